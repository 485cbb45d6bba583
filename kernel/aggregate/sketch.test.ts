import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import {
  type DataType,
  decimal,
  dictionary,
  float32,
  float64,
  int8,
  int32,
  int64,
  uint32,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import { ArgumentError, CorruptStateError, TypeMismatchError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { BUILDS, expected, multiset, open, pushAll, type Query, rowsOf } from "../operator/testing.js";

/** Scattered numbers below 2^32, the same every time. */
const scattered = (count: number) =>
  Array.from({ length: count }, (_, i) => Math.imul(i + 1, 2654435761) >>> 0);

describe.each(BUILDS)("sketches, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  function resultsOf(query: Query, table: readonly (readonly Value[])[]): Value[][] {
    const operator = open(kernel, query);
    pushAll(operator, query, table as Value[][], [5000, 3, 7000]);
    const rows = rowsOf(operator.finish());
    operator.destroy();
    return rows;
  }

  test.each([1, 10, 200, 4000, 30_000])(
    "estimates %i different values within four standard errors",
    (count) => {
      const values = [...scattered(count), ...scattered(count >> 1)].map(BigInt);
      const query: Query = { types: [int64], keys: [], aggregates: [{ name: "approxCountDistinct", of: 0 }] };
      const [[estimate]] = resultsOf(query, [values]) as [[bigint]];
      expect(estimate).toEqual(expected(query, [values])[0]![0]);
      expect(Math.abs(Number(estimate) - count)).toBeLessThanOrEqual(Math.max(1, 4 * 0.0163 * count));
    },
  );

  test("equal values count once, whatever their type and encoding", () => {
    const numbers = [0, 1, -1, 100, -128, 127, 5];
    const of = (type: DataType, values: readonly Value[]) =>
      resultsOf({ types: [type], keys: [], aggregates: [{ name: "approxCountDistinct", of: 0 }] }, [
        values,
      ])[0]![0];
    const integers = numbers.map(BigInt);
    expect(of(int8, integers)).toBe(of(int64, integers));
    expect(of(int32, integers)).toBe(of(dictionary(int64, int8), integers));
    const large = [0n, 7n, 2n ** 31n, 2n ** 32n - 1n];
    expect(of(uint32, large)).toBe(of(int64, large));
    expect(of(float32, [0.5, 1.5, -0, 0, Number.NaN])).toBe(of(float64, [0.5, 1.5, 0, -0, Number.NaN]));
    const texts = scattered(900).map((x) => `name ${x}`);
    expect(of(utf8, texts)).toBe(of(dictionary(utf8, int32), texts));
    const wide = scattered(500).map((x) => (BigInt(x) << 64n) - BigInt(x));
    expect(Number(of(decimal(38, 0), wide))).toBeGreaterThan(470);
    expect(Number(of(decimal(38, 0), [-1n, 0n, -2n, 1n]))).toBe(4);
  });

  test.each([0, 0.01, 0.5, 0.99, 1])("quantile %d is within 1/128 of the value of its rank", (p) => {
    const values = scattered(9000).map((x, i) => (x - 2 ** 31) * 10 ** ((i % 40) - 20));
    const query: Query = { types: [float64], keys: [], aggregates: [{ name: "approxQuantile", of: 0, p }] };
    const [[about]] = resultsOf(query, [values]) as [[number]];
    const exact = [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * p)]!;
    expect(Math.abs(about - exact)).toBeLessThanOrEqual(Math.abs(exact) / 128);
    expect(about).toBe(expected(query, [values])[0]![0]);
  });

  test("zeros, the smallest, infinities and NaN", () => {
    const values = [Number.NaN, Infinity, -Infinity, 0, -0, 5e-324, 2 ** -1022, Number.MAX_VALUE, 1];
    const query: Query = {
      types: [float64],
      keys: [],
      aggregates: Array.from({ length: 9 }, (_, i) => ({ name: "approxQuantile", of: 0, p: i / 8 }) as const),
    };
    const [row] = resultsOf(query, [values]);
    expect(row).toEqual(expected(query, [values])[0]);
    expect(row!.slice(0, 4)).toEqual([-Infinity, 0, 0, 0]);
    expect(row!.slice(7)).toEqual([Infinity, Number.NaN]);
  });

  test("states of parts merge to that of the whole, in any order", () => {
    const query: Query = {
      types: [int32, float64, utf8],
      keys: [0],
      aggregates: [
        { name: "approxCountDistinct", of: 1 },
        { name: "approxMedian", of: 1 },
        { name: "argMax", of: 2, second: 1 },
        { name: "first", of: 1, second: 2 },
      ],
    };
    const numbers = scattered(6000);
    const table: Value[][] = [
      numbers.map((_, i) => BigInt(i % 5)),
      numbers.map((x) => x % 3000),
      numbers.map((x) => `text ${x % 777}`),
    ];
    const states = [0, 2000, 4000].map((start) => {
      const part = open(kernel, query);
      pushAll(
        part,
        query,
        table.map((column) => column.slice(start, start + 2000)),
      );
      const state = [...part.snapshot()];
      part.destroy();
      return state;
    });
    for (const order of [
      [0, 1, 2],
      [2, 0, 1],
    ]) {
      const whole = open(kernel, query);
      for (const part of order) for (const batch of states[part]!) whole.merge(batch);
      expect(multiset(rowsOf(whole.finish()))).toEqual(multiset(expected(query, table)));
      whole.destroy();
    }
  });

  test("a state whose cells cannot be is refused", () => {
    const query: Query = { types: [int64], keys: [], aggregates: [{ name: "approxCountDistinct", of: 0 }] };
    const operator = open(kernel, query);
    pushAll(operator, query, [[1n, 2n, 3n]]);
    const state = [...operator.snapshot()];
    operator.destroy();
    const cells = state.at(-1)!;
    const damaged = cells.columns[1]!.values as Uint8Array;
    const bytes = new Uint8Array(damaged.buffer, damaged.byteOffset, damaged.byteLength);
    bytes[1] = 1;
    const again = open(kernel, query);
    expect(() => {
      for (const batch of state) again.merge(batch);
    }).toThrow(CorruptStateError);
    again.destroy();
  });

  test("refuses what it cannot take", () => {
    const spec = (aggregate: object) => () =>
      kernel.hashAggregate({
        columns: [
          { name: "x", type: float64 },
          { name: "t", type: utf8 },
        ],
        keys: [],
        aggregates: [{ name: "a", column: "x", ...aggregate } as never],
      });
    expect(spec({ function: "approxQuantile", p: 2 })).toThrow(ArgumentError);
    expect(spec({ function: "approxMedian", column: "t" })).toThrow(TypeMismatchError);
    expect(spec({ function: "argMin" })).toThrow(ArgumentError);
    expect(spec({ function: "max", second: "t" })).toThrow(ArgumentError);
    spec({ function: "argMin", second: "t" })().destroy();
  });
});
