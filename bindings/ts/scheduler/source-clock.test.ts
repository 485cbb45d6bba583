import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Value, writeColumn } from "../../../twin/values.js";
import { type InputBatch, Kernel, Stage } from "../kernel/index.js";
import { watermarkOf } from "../plan/index.js";
import type { ColumnData } from "../type/column.js";
import {
  type DataType,
  date32,
  dictionary,
  float64,
  int8,
  int16,
  int32,
  int64,
  type Schema,
  timestamp,
  uint16,
  uint64,
} from "../type/data-type.js";
import { ArgumentError, OverflowError, TypeMismatchError, UnknownColumnError } from "../type/error.js";
import type { SourceClock } from "./source-clock.js";
import { sourceClock, type WatermarkOptions } from "./watermark.js";

let kernel: Kernel;
let stage: Stage;
beforeAll(async () => {
  kernel = await Kernel.open({ budget: "16 MiB" });
  stage = new Stage(kernel);
});
afterAll(() => kernel.close());

function batchOf(type: DataType, rows: readonly (readonly [Value, Value])[], offset = 0) {
  const fields = ["ts", "mark"].map((name) => ({ name, type, nullable: true }));
  const columns = fields.map((field, at) =>
    writeColumn(
      field.type,
      rows.map((row) => row[at]!),
      { offset, bitmap: offset % 2 === 1 },
    ),
  );
  return { schema: { fields }, length: rows.length, columns };
}

/** What each row met: the watermark in ticks before it, as far as it matters, and the last one after all. */
function watched(clock: SourceClock, input: InputBatch, cuts: readonly number[]) {
  const met: (bigint | null)[] = [];
  let current: bigint | null = null;
  const ends = [...new Set([...cuts.filter((end) => end < input.rows), input.rows])].sort((a, b) => a - b);
  let start = 0;
  for (const end of ends) {
    for (const cut of clock.cuts(input, start, end - start)) {
      expect(cut.start).toBe(met.length);
      if (cut.watermark !== null) current = cut.watermark;
      for (let row = 0; row < cut.rows; row++) met.push(current);
    }
    current = clock.watermark;
    start = end;
  }
  expect(met.length).toBe(input.rows);
  return { met, last: clock.ticks };
}

const TYPES: readonly (readonly [DataType, fc.Arbitrary<bigint>])[] = [
  [timestamp("ms"), fc.bigInt(-30n, 30n)],
  [
    timestamp("ns", "UTC"),
    fc.oneof(fc.bigInt(-(2n ** 63n) + 99n, 2n ** 63n - 1n), fc.bigInt(2n ** 60n, 2n ** 60n + 9n)),
  ],
  [int64, fc.oneof(fc.bigInt(-(2n ** 40n), 2n ** 40n), fc.bigInt(-5n, 5n))],
  [int8, fc.bigInt(-20n, 20n)],
  [uint16, fc.bigInt(65_500n, 65_535n)],
  [date32, fc.bigInt(-20n, 20n)],
  [dictionary(int32, int16), fc.bigInt(-20n, 20n)],
];

const cases = fc.constantFrom(...TYPES).chain(([type, time]) =>
  fc.record({
    type: fc.constant(type),
    rows: fc.array(fc.tuple(fc.option(time, { freq: 8 }), fc.option(time, { freq: 2 })), { maxLength: 40 }),
    bound: fc.oneof(fc.bigInt(0n, 12n), fc.bigInt(0n, 2n ** 62n)),
    cuts: fc.array(fc.nat(40), { maxLength: 4 }),
    offset: fc.nat(9),
  }),
);

/** By the definition: the watermark after each row. */
function* definition(rows: readonly (readonly [bigint | null, bigint | null])[], bound: bigint | null) {
  let watermark: bigint | null = null;
  for (const [time, mark] of rows) {
    const next = bound === null ? mark : time === null ? null : time - bound - 1n;
    yield { time, before: watermark };
    if (next !== null && (watermark === null || next > watermark)) watermark = next;
  }
  return watermark;
}

describe("clocks of sources", () => {
  it("let every row that is behind meet exactly the watermark before it, whatever the batches", () => {
    const kinds = fc.constantFrom("bound", "punctuation", "advance");
    fc.assert(
      fc.property(cases, kinds, ({ type, rows, bound, cuts, offset }, kind) => {
        const batch = batchOf(type, rows, offset);
        const time = type.kind === "dictionary" ? type.value : type;
        const size = time.kind === "int" ? bound : time.kind === "date" ? `${bound} days` : `${bound} ns`;
        // Bounds over milliseconds are given in nanoseconds here, and round up.
        const ticks =
          time.kind === "timestamp" && time.unit === "ms" ? (bound + 999_999n) / 1_000_000n : bound;
        if (time.kind === "date" && bound > 2n ** 40n) return;
        const options: WatermarkOptions =
          kind === "bound"
            ? { column: "ts", outOfOrderness: size }
            : kind === "punctuation"
              ? { column: "ts", punctuation: "mark" }
              : { column: "ts", advance: (now) => now - bound - 1n };
        const clock = sourceClock("t", options, batch.schema);
        const { met, last } = watched(clock, stage.batch(batch), cuts);
        const rule = definition(rows, kind === "punctuation" ? null : kind === "bound" ? ticks : bound);
        for (const got of met) {
          const { time: now, before } = (
            rule.next() as IteratorYieldResult<{ time: bigint | null; before: bigint | null }>
          ).value;
          // A row that is not behind may meet an earlier watermark: none of its windows is closed either way.
          if (now !== null && before !== null && now <= before) expect(got).toBe(watermarkOf(before, time));
          else if (got !== null && before !== null) expect(got <= watermarkOf(before, time)).toBe(true);
        }
        expect(last).toBe(rule.next().value ?? null);
      }),
      { numRuns: 600 },
    );
  });

  it("refuse an unsigned number that is past the signed ones", () => {
    const largest = 2n ** 63n - 1n;
    const rows: [Value, Value][] = [
      [0n, null],
      [null, null],
      [largest, null],
      [largest + 1n, null],
    ];
    const batch = batchOf(uint64, rows, 3);
    for (const options of [
      { column: "ts", outOfOrderness: 5 },
      { column: "ts", advance: (now: bigint) => now - 1n },
    ]) {
      const clock = sourceClock("t", options, batch.schema);
      expect(clock.cuts(stage.batch(batch), 0, 3).length).toBeGreaterThan(0);
      expect(() => clock.cuts(stage.batch(batch), 3, 1)).toThrow(OverflowError);
      expect(() => clock.cuts(stage.batch(batch), 3, 1)).toThrow(/"ts" \(row 3.* 9223372036854775808/);
    }
  });

  it("leave morsels in order whole", () => {
    const rows = Array.from({ length: 1000 }, (_, at): [Value, Value] => [BigInt(at - (at % 5)), null]);
    const clock = sourceClock("t", { column: "ts" }, batchOf(timestamp("us"), rows).schema);
    expect(clock.cuts(stage.batch(batchOf(timestamp("us"), rows)), 0, 1000)).toEqual([
      { start: 0, rows: 1000, watermark: null },
    ]);
    expect(clock.ticks).toBe(994n);
  });
});

it("times that a buffer does not hold are refused before they are read", () => {
  for (const type of [timestamp("us"), int16, dictionary(timestamp("us"), int16)]) {
    const batch = batchOf(
      type,
      Array.from({ length: 8 }, (_, at): [Value, Value] => [BigInt(at), null]),
    );
    const [ts, mark] = batch.columns as [ColumnData, ColumnData];
    const short = { ...ts, values: ts.values.subarray(0, 6) };
    const clock = sourceClock("t", { column: "ts" }, batch.schema);
    const cut = stage.batch({ ...batch, columns: [short, mark] });
    expect(() => clock.cuts(cut, 0, 8)).toThrow(/column "ts": the values buffer has 6 bytes/);
    if (ts.dictionary === null) continue;
    const { values } = ts.dictionary;
    const dictionary = { ...ts.dictionary, values: { ...values, values: values.values.subarray(0, 9) } };
    const worse = stage.batch({ ...batch, columns: [{ ...ts, dictionary }, mark] });
    expect(() => clock.cuts(worse, 0, 8)).toThrow(/column "ts \(dictionary\)": the values buffer has 9/);
  }
});

describe("watermarks that do not fit the source", () => {
  const schema: Schema = {
    fields: [
      { name: "ts", type: timestamp("ms"), nullable: true },
      { name: "other", type: timestamp("us"), nullable: true },
      { name: "n", type: int64, nullable: true },
      { name: "x", type: float64, nullable: true },
    ],
  };
  it.each([
    [{ column: "tss" }, UnknownColumnError, 'did you mean "ts"'],
    [{ column: "x" }, TypeMismatchError, '"x" is float64, not a time'],
    [{ column: "ts", outOfOrderness: 5 }, Error, 'such as "10 seconds"'],
    [{ column: "n", outOfOrderness: "5 s" }, Error, "whole number"],
    [{ column: "ts", outOfOrderness: "-5 s" }, ArgumentError, "below 0"],
    [{ column: "ts", outOfOrderness: "1 month" }, ArgumentError, "months differ"],
    [{ column: "ts", punctuation: "other" }, TypeMismatchError, '"other" is timestamp[us]'],
    [{ column: "ts", punctuation: "gone" }, UnknownColumnError, "gone"],
    [{ column: "ts", advance: 3 as never }, ArgumentError, "advance is a function"],
  ] as const)("%o", (options, type, message) => {
    const run = () => sourceClock("t", options as WatermarkOptions, schema);
    expect(run).toThrow(type);
    expect(run).toThrow(message);
  });
});
