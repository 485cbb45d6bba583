import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { CastError, OverflowError } from "../../bindings/ts/type/error.js";
import { type Value, writeColumn } from "../../twin/values.js";
import { Opcode, TimePart } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { BUILDS, runProgram } from "./testing.js";
import { arbitraryColumn } from "./testing-samples.js";

const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;

/** Ticks a day: dates, then s, ms, us, ns. */
const UNITS = [1n, 86_400n, 86_400_000n, 86_400_000_000n, 86_400_000_000_000n];

function floorDivide(a: bigint, b: bigint): bigint {
  return (a - floorModulo(a, b)) / b;
}

function floorModulo(a: bigint, b: bigint): bigint {
  return ((a % b) + b) % b;
}

/** A JavaScript Date at a day, years 0 to 9999 kept as they are. */
function dateOf(day: bigint): Date {
  return new Date(Number(day) * 86_400_000);
}

function dayOf(year: number, month: number, day: number): bigint {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return floorDivide(BigInt(date.getTime()), 86_400_000n);
}

function part(ticks: bigint, perDay: bigint, which: TimePart): bigint {
  const day = floorDivide(ticks, perDay);
  const date = dateOf(day);
  const monday = day - floorModulo(day + 3n, 7n);
  const thursday = dateOf(monday + 3n);
  const nanosecond = (floorModulo(ticks, perDay) * 86_400_000_000_000n) / perDay;
  switch (which) {
    case TimePart.YEAR:
      return BigInt(date.getUTCFullYear());
    case TimePart.QUARTER:
      return BigInt(Math.floor(date.getUTCMonth() / 3) + 1);
    case TimePart.MONTH:
      return BigInt(date.getUTCMonth() + 1);
    case TimePart.DAY:
      return BigInt(date.getUTCDate());
    case TimePart.HOUR:
      return nanosecond / 3_600_000_000_000n;
    case TimePart.MINUTE:
      return (nanosecond / 60_000_000_000n) % 60n;
    case TimePart.SECOND:
      return (nanosecond / 1_000_000_000n) % 60n;
    case TimePart.MILLISECOND:
      return (nanosecond % 60_000_000_000n) / 1_000_000n;
    case TimePart.MICROSECOND:
      return (nanosecond % 60_000_000_000n) / 1_000n;
    case TimePart.DAY_OF_WEEK:
      return BigInt(date.getUTCDay());
    case TimePart.ISO_DAY_OF_WEEK:
      return BigInt(date.getUTCDay() || 7);
    case TimePart.DAY_OF_YEAR:
      return day - dayOf(date.getUTCFullYear(), 0, 1) + 1n;
    case TimePart.WEEK:
      return (monday + 3n - dayOf(thursday.getUTCFullYear(), 0, 1)) / 7n + 1n;
    case TimePart.ISO_YEAR:
      return BigInt(thursday.getUTCFullYear());
    case TimePart.EPOCH:
      return floorDivide(ticks * 86_400n, perDay);
  }
}

const PARTS = Array.from({ length: 15 }, (_, index): TimePart => index + 1);
const CUTS = [1, 2, 3, 4, 5, 6, 7, 8, 9, TimePart.WEEK] as TimePart[];

function truncated(ticks: bigint, perDay: bigint, unit: TimePart): bigint {
  const day = floorDivide(ticks, perDay);
  const date = dateOf(day);
  const year = date.getUTCFullYear();
  const month = date.getUTCMonth();
  switch (unit) {
    case TimePart.YEAR:
      return dayOf(year, 0, 1) * perDay;
    case TimePart.QUARTER:
      return dayOf(year, month - (month % 3), 1) * perDay;
    case TimePart.MONTH:
      return dayOf(year, month, 1) * perDay;
    case TimePart.WEEK:
      return (day - floorModulo(day + 3n, 7n)) * perDay;
    default: {
      const perUnit = [1n, 24n, 1_440n, 86_400n, 86_400_000n, 86_400_000_000n][unit - TimePart.DAY]!;
      const length = perDay / perUnit || 1n;
      return ticks - floorModulo(ticks, length);
    }
  }
}

function plusMonths(ticks: bigint, perDay: bigint, months: bigint): bigint {
  const date = dateOf(floorDivide(ticks, perDay));
  const total = BigInt(date.getUTCFullYear()) * 12n + BigInt(date.getUTCMonth()) + months;
  const year = Number(floorDivide(total, 12n));
  const month = Number(floorModulo(total, 12n));
  const last = Number(dayOf(year, month + 1, 1) - dayOf(year, month, 1));
  return dayOf(year, month, Math.min(date.getUTCDate(), last)) * perDay + floorModulo(ticks, perDay);
}

/** Ticks of years 1 to 9999 or so, wherever 64 bits reach. */
function ticksOf(perDay: bigint): fc.Arbitrary<bigint> {
  const clamp = (value: bigint) => (value < I64_MIN ? I64_MIN : value > I64_MAX ? I64_MAX : value);
  const low = clamp(-719_000n * perDay) / 2n;
  const high = clamp(2_932_000n * perDay) / 2n;
  return fc.oneof(
    fc.bigInt(low, high),
    fc.bigInt(-3n, 3n).map((day) => day * perDay),
    fc.bigInt(-800n, 800n).map((day) => (day * perDay * 3n) / 2n),
    fc.constantFrom(-1n, 0n, 1n, perDay - 1n, -perDay, 11_016n * perDay, 19_782n * perDay + 5n),
  );
}

describe.each(BUILDS)("times, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const nullable = (perDay: bigint) => fc.option(ticksOf(perDay), { freq: 5 });

  test.each(UNITS)("parts and truncation, %i ticks a day", (perDay) => {
    fc.assert(
      fc.property(
        fc.nat(6).chain((size) => arbitraryColumn(types.int64, size, nullable(perDay))),
        ({ column, values }) => {
          const outputs = [...PARTS, ...CUTS].map(() => types.int64);
          const results = runProgram(kernel, [column], outputs, (program, a) => [
            ...PARTS.map((arg0) =>
              program.emit(Opcode.TIME_PART, Type.I64, { a: a!, arg0, immediate: perDay }),
            ),
            ...CUTS.map((arg0) =>
              program.emit(Opcode.TIME_TRUNCATE, Type.I64, { a: a!, arg0, immediate: perDay }),
            ),
          ]);
          const map = (apply: (ticks: bigint) => bigint) =>
            values.map((value) => (value === null ? null : apply(value as bigint)));
          expect(results).toEqual([
            ...PARTS.map((which) => map((ticks) => part(ticks, perDay, which))),
            ...CUTS.map((which) => map((ticks) => truncated(ticks, perDay, which))),
          ]);
        },
      ),
      { numRuns: 12 },
    );
  });

  test.each(UNITS)("truncation of times that lie together, wherever that is, %i ticks a day", (perDay) => {
    const cuts = CUTS.filter((which) => which >= TimePart.DAY && which <= TimePart.MICROSECOND);
    const clamp = (ticks: bigint) =>
      ticks < I64_MIN + perDay ? I64_MIN + perDay : ticks > I64_MAX ? I64_MAX : ticks;
    const place = fc.oneof(
      ticksOf(perDay),
      fc.bigInt(I64_MIN, I64_MAX),
      fc.constantFrom(2n ** 61n, -(2n ** 61n), 2n ** 51n, -(2n ** 51n), I64_MIN, I64_MAX),
    );
    const reach = fc.constantFrom(3n, 1000n, perDay, perDay * 1000n, 2n ** 52n, 2n ** 62n);
    const times = fc
      .tuple(place, reach, fc.integer({ min: 1, max: 70 }))
      .chain(([base, most, rows]) =>
        fc
          .array(fc.bigInt(-most, most), { minLength: rows, maxLength: rows })
          .map((offsets) => offsets.map((offset) => clamp(base + offset))),
      );
    fc.assert(
      fc.property(times, (ticks) => {
        const column = writeColumn(types.int64, ticks);
        const outputs = cuts.map(() => types.int64);
        const results = runProgram(kernel, [column], outputs, (program, a) =>
          cuts.map((arg0) =>
            program.emit(Opcode.TIME_TRUNCATE, Type.I64, { a: a!, arg0, immediate: perDay }),
          ),
        );
        expect(results).toEqual(cuts.map((which) => ticks.map((time) => truncated(time, perDay, which))));
      }),
      { numRuns: 150 },
    );
  });

  test.each(UNITS)("months are added and clamped, %i ticks a day", (perDay) => {
    const counts = fc.option(fc.bigInt(-600n, 600n), { freq: 5 });
    const columns = fc
      .nat(6)
      .chain((size) =>
        fc.tuple(
          arbitraryColumn(types.int64, size, nullable(perDay)),
          arbitraryColumn(types.int64, size, counts),
        ),
      );
    fc.assert(
      fc.property(columns, ([times, months]) => {
        const [result] = runProgram(kernel, [times.column, months.column], [types.int64], (program, a, b) => [
          program.emit(Opcode.ADD_MONTHS, Type.I64, { a: a!, b: b!, immediate: perDay }),
        ]);
        const expected = times.values.map((ticks, row) => {
          const count = months.values[row]!;
          return ticks === null || count === null
            ? null
            : plusMonths(ticks as bigint, perDay, count as bigint);
        });
        expect(result).toEqual(expected);
      }),
      { numRuns: 20 },
    );
  });

  test("to finer and coarser units", () => {
    const values: Value[] = [0n, 1n, -1n, 999n, -1000n, -1001n, null, 2n ** 53n];
    const [up, down] = runProgram(
      kernel,
      [writeColumn(types.int64, values)],
      [types.int64, types.int64],
      (program, a) => [
        program.emit(Opcode.SCALE_UP, Type.I64, { a: a!, immediate: 1000n }),
        program.emit(Opcode.SCALE_DOWN, Type.I64, { a: a!, immediate: 1000n }),
      ],
    );
    expect(up).toEqual(values.map((value) => (value === null ? null : (value as bigint) * 1000n)));
    expect(down).toEqual(
      values.map((value) => (value === null ? null : floorDivide(value as bigint, 1000n))),
    );
  });

  test.each([
    [Opcode.SCALE_UP, I64_MAX / 1000n + 1n, 1000n, 0],
    [Opcode.SCALE_UP, I64_MIN / 1000n - 1n, 1000n, 0],
    [Opcode.TIME_TRUNCATE, I64_MIN + 5n, 86_400_000_000_000n, TimePart.YEAR],
    [Opcode.TIME_TRUNCATE, I64_MIN + 5n, 86_400n, TimePart.DAY],
    [Opcode.TIME_TRUNCATE, I64_MIN, 1n, TimePart.WEEK],
  ])("opcode %i of %i overflows with its row", (opcode, value, immediate, arg0) => {
    const values = Array.from({ length: 2500 }, (_, row) => (row === 2222 ? value : 0n));
    const run = (attempt: boolean) =>
      runProgram(kernel, [writeColumn(types.int64, values)], [types.int64], (program, a) => [
        program.emit(opcode, Type.I64, { a: a!, immediate, arg0, try: attempt }),
      ])[0]!;
    expect(() => run(false)).toThrow(OverflowError);
    try {
      run(false);
    } catch (error) {
      expect(error).toMatchObject({ row: 2222, value });
    }
    expect(run(true)[2222]).toBe(null);
  });

  test("a month that leaves 64 bits is an error, a month that stays inside is not", () => {
    const perDay = 86_400_000_000_000n;
    const at = (value: bigint, months: bigint) => () =>
      runProgram(kernel, [writeColumn(types.int64, [value])], [types.int64], (program, a) => [
        program.emit(Opcode.ADD_MONTHS, Type.I64, {
          a: a!,
          b: program.literal(Type.I64, months),
          immediate: perDay,
        }),
      ])[0]!;
    expect(at(I64_MAX, 0n)()).toEqual([I64_MAX]);
    expect(at(I64_MIN, 0n)()).toEqual([I64_MIN]);
    for (const [value, months] of [
      [I64_MAX, 1n],
      [I64_MIN, -1n],
      [0n, I64_MAX],
      [0n, I64_MIN],
      [0n, 12n * 300n],
    ] as const) {
      expect(at(value, months)).toThrow(OverflowError);
    }
  });

  describe("time zones", () => {
    // Three offsets, with a gap of an hour, an overlap of an hour, and one of half an hour.
    const table: [bigint, number][] = [
      [I64_MIN, 3600],
      [1_000_000n, 7200],
      [5_000_000n, 3600],
      [9_000_000n, 1800],
    ];
    const offsetAt = (second: bigint) => BigInt(table.filter(([from]) => from <= second).at(-1)![1]);
    // The earliest second of UTC that reads as `local`; a skipped one reads later by the gap.
    const toUtc = (local: bigint) => {
      const spans = table.map(([from, offset], index) => ({
        from,
        offset: BigInt(offset),
        to: table[index + 1]?.[0] ?? I64_MAX,
      }));
      const found = spans.find(({ from, offset, to }) => local - offset >= from && local - offset < to);
      const gap = spans.filter(({ offset, to }) => to !== I64_MAX && local - offset >= to).at(-1);
      return local - (found ?? gap)!.offset;
    };
    test("times that leave 64 bits in their zone are an error, those that stay inside are not", () => {
      const shifted = (opcode: Opcode, ticks: bigint, offset: number) => () =>
        runProgram(kernel, [writeColumn(types.int64, [0n, ticks])], [types.int64], (program, a) => [
          program.emit(opcode, Type.I64, {
            a: a!,
            arg0: program.zoneTable([[I64_MIN, offset]]),
            immediate: 1_000n,
          }),
        ])[0]!;
      for (const [opcode, sign] of [
        [Opcode.TO_LOCAL, 1],
        [Opcode.FROM_LOCAL, -1],
      ] as const) {
        const [up, down] = [3600 * sign, -3600 * sign];
        expect(shifted(opcode, I64_MAX - 3_600_000n, up)()).toEqual([3_600_000n, I64_MAX]);
        expect(shifted(opcode, I64_MIN + 3_600_000n, down)()).toEqual([-3_600_000n, I64_MIN]);
        expect(shifted(opcode, I64_MAX - 3_599_999n, up)).toThrow(OverflowError);
        expect(shifted(opcode, I64_MIN + 3_599_999n, down)).toThrow(OverflowError);
      }
    });

    test.each([1n, 1_000n, 1_000_000n, 1_000_000_000n])("%i ticks a second", (perSecond) => {
      const near = fc.oneof(
        fc.bigInt(-10_000_000n, 20_000_000n),
        fc
          .tuple(fc.constantFrom(...table.slice(1).map(([from]) => from)), fc.bigInt(-9_000n, 9_000n))
          .map(([from, by]) => from + by),
      );
      const ticks = fc
        .tuple(near, fc.bigInt(0n, perSecond - 1n))
        .map(([second, rest]) => second * perSecond + rest);
      fc.assert(
        fc.property(
          fc.nat(6).chain((size) => arbitraryColumn(types.int64, size, fc.option(ticks))),
          ({ column, values }) => {
            const results = runProgram(kernel, [column], [types.int64, types.int64], (program, a) => {
              const arg0 = program.zoneTable(table);
              return [Opcode.TO_LOCAL, Opcode.FROM_LOCAL].map((opcode) =>
                program.emit(opcode, Type.I64, { a: a!, arg0, immediate: perSecond }),
              );
            });
            const map = (apply: (second: bigint) => bigint) =>
              values.map((value) => {
                if (value === null) return null;
                const second = floorDivide(value as bigint, perSecond);
                return apply(second) * perSecond + floorModulo(value as bigint, perSecond);
              });
            expect(results).toEqual([map((second) => second + offsetAt(second)), map(toUtc)]);
          },
        ),
        { numRuns: 30 },
      );
    });
  });

  test.each(UNITS)("text and back, %i ticks a day", (perDay) => {
    fc.assert(
      fc.property(
        fc.nat(6).chain((size) => arbitraryColumn(types.int64, size, nullable(perDay))),
        ({ column, values }) => {
          const [texts, back] = runProgram(kernel, [column], [types.utf8, types.int64], (program, a) => {
            const text = program.emit(Opcode.TIME_TO_TEXT, Type.I64, {
              target: Type.BYTES,
              a: a!,
              immediate: perDay,
            });
            return [
              text,
              program.emit(Opcode.TEXT_TO_TIME, Type.BYTES, { target: Type.I64, a: text, immediate: perDay }),
            ];
          });
          expect(texts).toEqual(
            values.map((value) => (value === null ? null : isoText(value as bigint, perDay))),
          );
          expect(back).toEqual(values);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("texts that are times, and texts that are not", () => {
    const good: [string, bigint, bigint][] = [
      ["1970-01-02", 86_400_000n, 86_400_000n],
      [" 2024-02-29T12:30 ", 86_400_000n, 1_709_209_800_000n],
      ["2024-02-29 12:30:15.25", 86_400_000n, 1_709_209_815_250n],
      ["2024-02-29 12:30:15.123456789", 86_400_000n, 1_709_209_815_123n],
      ["2024-02-29t12:30:15Z", 86_400n, 1_709_209_815n],
      ["2024-02-29 12:30:15 +02:00", 86_400n, 1_709_202_615n],
      ["2024-02-29 12:30:15-0130", 86_400n, 1_709_215_215n],
      ["2024-02-29 00:30:00+01", 1n, 19_781n],
      ["-0001-12-31", 1n, -719_529n],
      ["+12024-01-01", 1n, 3_672_148n],
      ["1969-12-31 23:59:59.999999999", 86_400_000_000_000n, -1n],
      // The first and last that 64 bits of nanoseconds hold: the whole second before the first is outside.
      ["1677-09-21 00:12:43.145224192", 86_400_000_000_000n, I64_MIN],
      ["1677-09-21 00:12:44", 86_400_000_000_000n, I64_MIN + 854_775_808n],
      ["2262-04-11 23:47:16.854775807", 86_400_000_000_000n, I64_MAX],
    ];
    for (const [text, immediate, ticks] of good) {
      const [result] = runProgram(kernel, [writeColumn(types.utf8, [text])], [types.int64], (program, a) => [
        program.emit(Opcode.TEXT_TO_TIME, Type.BYTES, { target: Type.I64, a: a!, immediate }),
      ]);
      expect([text, result]).toEqual([text, [ticks]]);
    }
    const bad = [
      "",
      "2024",
      "2024-1-01",
      "2024-13-01",
      "2023-02-29",
      "2024-02-30",
      "2024-00-10",
      "24-01-01",
      "2024-01-01x",
      "2024-01-01 ",
      "2024-01-01 25:00",
      "2024-01-01 10:60",
      "2024-01-01 10:00:60",
      "2024-01-01 10:00:00.",
      "2024-01-01 10:00:00.1234567890",
      "2024-01-01 10:00 +24",
      "2024-01-01 10:00 z0",
      "2024-01-01T",
      "1234567-01-01",
      "2024-01-01 10",
      "2024-01-01 10:00 +01:60",
      "2024-01-01 10:00 +01:0",
      "2024-01-01 10:00 +01:000",
      "2024-01-01 10:00 -0100x",
    ];
    const failing = bad.filter((text) => text !== "2024-01-01 ");
    const run = (attempt: boolean) =>
      runProgram(kernel, [writeColumn(types.utf8, failing)], [types.int64], (program, a) => [
        program.emit(Opcode.TEXT_TO_TIME, Type.BYTES, {
          target: Type.I64,
          a: a!,
          immediate: 86_400n,
          try: attempt,
        }),
      ])[0]!;
    expect(run(true)).toEqual(failing.map(() => null));
    expect(() => run(false)).toThrow(CastError);
    const outside = [
      "1677-09-21 00:12:43.145224191",
      "1677-09-21 00:12:42.9",
      "2262-04-11 23:47:16.854775808",
      "2262-04-11 23:47:17",
      "-9999-01-01",
    ];
    const [results] = runProgram(kernel, [writeColumn(types.utf8, outside)], [types.int64], (program, a) => [
      program.emit(Opcode.TEXT_TO_TIME, Type.BYTES, {
        target: Type.I64,
        a: a!,
        immediate: 86_400_000_000_000n,
        try: true,
      }),
    ]);
    expect(results).toEqual(outside.map(() => null));
  });
});

function isoText(ticks: bigint, perDay: bigint): string {
  const date = dateOf(floorDivide(ticks, perDay)).toISOString();
  const day = date.slice(0, date.indexOf("T")).replace(/^\+0*(?=\d{5})/, "");
  if (perDay === 1n) return day;
  const nanosecond = (floorModulo(ticks, perDay) * 86_400_000_000_000n) / perDay;
  const clock = new Date(Number(nanosecond / 1_000_000_000n) * 1000).toISOString().slice(11, 19);
  const fraction = (nanosecond % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  return `${day} ${clock}${fraction === "" ? "" : `.${fraction}`}`;
}
