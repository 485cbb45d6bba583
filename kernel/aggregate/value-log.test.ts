import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { decimal, float64, int32, int64 } from "../../bindings/ts/type/data-type.js";
import { ArgumentError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import {
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  pushAll,
  type Query,
  rowsOf,
} from "../operator/testing.js";

const ROWS = 20_000;

/** Musser's sequence: a median of three is always the second smallest that is left. */
function medianOfThreeKiller(n: number): number[] {
  const half = n >> 1;
  const values: number[] = [];
  for (let i = 1; i <= half; i++) {
    values.push(i % 2 === 1 ? i : half + i - 1);
  }
  for (let i = 1; i <= half; i++) values.push(2 * i);
  return values;
}

const at = (make: (row: number) => number) => Array.from({ length: ROWS }, (_, row) => make(row));
const PATTERNS: readonly (readonly [string, number[]])[] = [
  ["ascending", at((row) => row)],
  ["descending", at((row) => ROWS - row)],
  ["all equal", at(() => 7)],
  ["two values", at((row) => row & 1)],
  ["organ pipe", at((row) => Math.min(row, ROWS - row))],
  ["scattered", at((row) => Math.imul(row, 2654435761) % 10007)],
  ["against the median of three", medianOfThreeKiller(ROWS)],
];

const AGGREGATES = [
  ...[0, 0.001, 0.25, 0.5, 0.99, 1].flatMap((p) => [
    { name: "quantile", of: 1, p } as const,
    { name: "quantileDisc", of: 1, p } as const,
  ]),
  { name: "median", of: 1 } as const,
  { name: "mode", of: 1 } as const,
];

describe.each(BUILDS)("logs of values, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  describe.each([
    ["float64", float64, (x: number): Value => x],
    ["decimal", decimal(38, 2), (x: number): Value => (BigInt(x) << 64n) - BigInt(x % 3)],
  ] as const)("%s", (_, type, convert) => {
    test.each(PATTERNS)("%s, in one group and in three", (_name, numbers) => {
      const values = numbers.map(convert);
      for (const keys of [[], [0]]) {
        const query: Query = { types: [int32, type], keys, aggregates: AGGREGATES };
        const table = [values.map((_value, row) => BigInt(row % 3)), values];
        const operator = open(kernel, query);
        pushAll(operator, query, table, [3000, 70, 9000]);
        expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(query, table)));
        operator.destroy();
      }
    });
  });

  test("ranks among values of all magnitudes, by groups from a handful to thousands", () => {
    const sizes = fc.array(fc.constantFrom(1, 17, 95, 96, 97, 500, 3000), { minLength: 1, maxLength: 4 });
    const bits = fc.oneof(fc.bigInt({ min: 0n, max: 63n }), fc.constantFrom(0n, 1n, 8n, 9n, 62n, 63n));
    // Values with so many leading bits alike, and some at the ends of the type.
    const column = fc.tuple(sizes, bits, fc.nat(9), fc.integer());
    fc.assert(
      fc.property(column, fc.constantFrom(int64, float64), ([counts, same, ends, seed], type) => {
        let state = BigInt(seed);
        const next = () => {
          state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
          return state;
        };
        const words = new BigInt64Array(1);
        const floats = new Float64Array(words.buffer);
        const value = (row: number): Value => {
          words[0] = BigInt.asIntN(64, (next() >> same) + (same === 0n ? 0n : 2n ** 62n));
          if (row % 10 < ends) words[0] = [2n ** 63n - 1n, -(2n ** 63n), 0n, -1n][row % 4]!;
          return type === int64 ? words[0]! : floats[0]!;
        };
        const keys = counts.flatMap((count, group) => Array<Value>(count).fill(BigInt(group)));
        const query: Query = { types: [int32, type], keys: [0], aggregates: AGGREGATES };
        const table = [keys, keys.map((_, row) => value(row))];
        const operator = open(kernel, query);
        pushAll(operator, query, table);
        const results = multiset(rowsOf(operator.finish()));
        operator.destroy();
        expect(results).toEqual(multiset(expected(query, table)));
      }),
      { numRuns: 40 },
    );
  });

  test("ranks in groups that are alike, drift apart, or are unlike the one before", () => {
    const query: Query = { types: [int32, float64], keys: [0], aggregates: AGGREGATES };
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    const shapes: readonly ((group: number) => number)[] = [
      () => Math.round(random() * 1e8) / 1e6,
      (group) => group + random() * 10,
      (group) => (group % 3 === 0 ? random() : -1e6 * random()),
      (group) => (group % 5 === 0 ? 7 : random() < 0.5 ? 7 : random()),
      (group) => (random() - 0.5) * 10 ** (group % 40),
    ];
    for (const shape of shapes) {
      const keys = Array.from({ length: 60 }, (_, group) =>
        Array<number>([100, 101, 400, 1500][group % 4]!).fill(group),
      ).flat();
      const table = [keys.map(BigInt), keys.map(shape)];
      const operator = open(kernel, query);
      pushAll(operator, query, table);
      const results = multiset(rowsOf(operator.finish()));
      operator.destroy();
      expect(results).toEqual(multiset(expected(query, table)));
    }
  });

  test("many values of many groups", () => {
    const query: Query = { types: [int32, int64], keys: [0], aggregates: AGGREGATES.slice(4, 8) };
    const rows = Array.from({ length: 70_000 }, (_, row) => row);
    const table: Value[][] = [
      rows.map((row) => BigInt(Math.imul(row, 2654435761) % 700)),
      rows.map((row) => BigInt(Math.imul(row, 40503) % 5000)),
    ];
    const wanted = multiset(expected(query, table));
    // Also where there is no room to scatter them by ranges.
    for (let nth = 0; nth < 16; nth++) {
      const operator = open(kernel, query);
      pushAll(operator, query, table);
      kernel.failAllocation(nth);
      try {
        expect([nth, multiset(rowsOf(operator.finish()))]).toEqual([nth, wanted]);
      } catch (error) {
        if (nth === 0 || !(error instanceof MemoryLimitError)) throw error;
      }
      kernel.failAllocation(0);
      operator.destroy();
    }
  });

  test("a refused allocation while results are read loses nothing", () => {
    const query: Query = { types: [int32, float64], keys: [0], aggregates: AGGREGATES };
    const values = at((row) => (row * 7919) % 1009);
    const table = [values.map((_, row) => BigInt(row % 50)), values];
    const wanted = multiset(expected(query, table));
    const operator = open(kernel, query);
    pushAll(operator, query, table);
    const state = [...operator.snapshot()];
    operator.destroy();
    for (let nth = 1; nth < 6; nth++) {
      const again = open(kernel, query);
      for (const batch of state) again.merge(batch);
      kernel.failAllocation(nth);
      let rows: Value[][] | null = null;
      try {
        rows = rowsOf(again.finish());
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
      }
      kernel.failAllocation(0);
      if (rows !== null) expect(multiset(rows)).toEqual(wanted);
      again.destroy();
    }
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("refuses p outside [0, 1] and NaN, and a p where none belongs", () => {
    const spec = (name: "quantile" | "median", p?: number) => () =>
      kernel.hashAggregate({
        columns: [{ name: "x", type: float64 }],
        keys: [],
        aggregates: [{ name: "q", function: name, column: "x", p }],
      });
    for (const p of [-0.1, 1.1, Number.NaN, undefined]) expect(spec("quantile", p)).toThrow(ArgumentError);
    expect(spec("median", 0.3)).toThrow(ArgumentError);
    spec("quantile", 1)().destroy();
  });

  test("ignores where a value came from: batches in any order", () => {
    const query: Query = { types: [int32, float64], keys: [0], aggregates: AGGREGATES };
    const values = at((row) => (row * 7919) % 1009);
    const table = [values.map((_, row) => BigInt(row % 7)), values];
    const reverse = table.map((column) => [...column].reverse());
    const results = [table, reverse].map((rows) => {
      const operator = open(kernel, query);
      operator.push(batchOf(query.types, rows as Value[][]));
      const result = multiset(rowsOf(operator.finish()));
      operator.destroy();
      return result;
    });
    expect(results[0]).toEqual(results[1]);
  });
});
