import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { date32, date64, int32, timestamp } from "../type/data-type.js";
import {
  numberOf,
  numberOfWatermark,
  type TimeScale,
  ticksOfWatermark,
  timeOf,
  watermarkOf,
} from "./time-scale.js";

const ZONES = [
  "Europe/Berlin",
  "America/New_York",
  "America/St_Johns",
  "America/Sao_Paulo",
  "Asia/Kathmandu",
  "Australia/Lord_Howe",
];

/** Year, month and day that the host's calendar shows in a zone. */
function shown(second: number, zone: string | null): { year: number; month: number; day: number } {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone ?? "UTC",
    year: "numeric",
    month: "numeric",
    day: "numeric",
  });
  const [month, day, year] = format
    .format(second * 1000)
    .split("/")
    .map(Number) as [number, number, number];
  return { year, month, day };
}

const seconds = fc.integer({ min: Date.UTC(1975, 0, 1) / 1000, max: Date.UTC(2035, 0, 1) / 1000 });
const zones = fc.constantFrom(null, ...ZONES);

describe("numbers of a calendar", () => {
  it("are those that the host's calendar shows", () => {
    fc.assert(
      fc.property(seconds, zones, (second, zone) => {
        const { year, month, day } = shown(second, zone);
        const type = timestamp("s", zone);
        const months = numberOf({ kind: "months", type, zone }, BigInt(second));
        expect(months).toBe(BigInt(year) * 12n + BigInt(month) - 1n);
        const days = numberOf({ kind: "days", type, zone }, BigInt(second));
        expect(days).toBe(BigInt(Date.UTC(year, month - 1, day) / 86_400_000));
      }),
      { numRuns: 500 },
    );
  });

  it("begin where they say", () => {
    fc.assert(
      fc.property(seconds, zones, fc.constantFrom("days", "months"), (second, zone, kind) => {
        const scale = { kind, type: timestamp("s", zone), zone } as TimeScale;
        const number = numberOf(scale, BigInt(second));
        const start = timeOf(scale, number);
        expect(numberOf(scale, start)).toBe(number);
        expect(numberOf(scale, start - 1n)).toBe(number - 1n);
        expect(start <= BigInt(second)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("of dates need no clock", () => {
    expect(numberOf({ kind: "months", type: date32, zone: null }, 59n)).toBe(1970n * 12n + 2n);
    expect(timeOf({ kind: "months", type: date32, zone: null }, 1970n * 12n + 2n)).toBe(59n);
    expect(timeOf({ kind: "months", type: date64, zone: null }, 1970n * 12n + 1n)).toBe(31n * 86_400_000n);
  });
});

describe("watermarks", () => {
  it("pass from one unit to another without a row too many or too few", () => {
    const seconds = timestamp("s");
    // No more rows up to 1.999 s: the second 1 is over.
    expect(ticksOfWatermark(watermarkOf(1_999n, timestamp("ms")), seconds)).toBe(1n);
    expect(ticksOfWatermark(watermarkOf(1_998n, timestamp("ms")), seconds)).toBe(0n);
    expect(ticksOfWatermark(watermarkOf(1n, seconds), timestamp("ms"))).toBe(1_999n);
    expect(ticksOfWatermark(watermarkOf(-1n, seconds), timestamp("ns"))).toBe(-1n);
    expect(ticksOfWatermark(watermarkOf(0n, date32), timestamp("s"))).toBe(86_399n);
    expect(ticksOfWatermark(watermarkOf(7n, int32), int32)).toBe(7n);
  });

  it("close a number when no later time has it, also where clocks go back over midnight", () => {
    fc.assert(
      fc.property(
        seconds,
        fc.constantFrom(...ZONES),
        fc.constantFrom("days", "months"),
        (second, zone, kind) => {
          const scale = { kind, type: timestamp("s", zone), zone } as TimeScale;
          const closed = numberOfWatermark(scale, watermarkOf(BigInt(second), scale.type));
          for (let later = second + 1; later < second + 100_000; later += 600) {
            expect(numberOf(scale, BigInt(later)) > closed).toBe(true);
          }
          expect(numberOf(scale, BigInt(second + 1)) - closed <= 2n).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
    // Newfoundland's clocks went from 00:01 back to 23:01 of the day before.
    const scale = {
      kind: "days",
      type: timestamp("s", "America/St_Johns"),
      zone: "America/St_Johns",
    } as const;
    const change = BigInt(Date.UTC(2005, 9, 30, 2, 31) / 1000);
    const day = numberOf(scale, change);
    expect(numberOf(scale, change - 1n)).toBe(day + 1n);
    expect(numberOfWatermark(scale, watermarkOf(change - 30n, scale.type))).toBe(day - 1n);
    expect(numberOfWatermark(scale, watermarkOf(change + 59n * 60n - 1n, scale.type))).toBe(day);
  });
});
