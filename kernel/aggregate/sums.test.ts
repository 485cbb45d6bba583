// Sums and averages against big integers, over values chosen to break rounding.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import * as types from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import {
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  pushAll,
  type Query,
  rowsOf,
  type Table,
} from "../operator/testing.js";

const power = (low: number, high: number) =>
  fc
    .tuple(fc.integer({ min: low, max: high }), fc.double({ min: 1, max: 2, noNaN: true }), fc.boolean())
    .map(([exponent, mantissa, negative]) => (negative ? -1 : 1) * mantissa * 2 ** exponent);
const everywhere = fc.oneof(
  power(-1074, 1023),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(Number.MAX_VALUE, -Number.MAX_VALUE, 5e-324, -5e-324, 2 ** -1022, 2 ** 1023, 0, -0),
);
/** Values whose sums lie halfway between two floats, or next to it. */
const halfway = fc
  .tuple(fc.integer({ min: -60, max: 60 }), fc.constantFrom(1, -1))
  .map(([e, sign]) => sign * 2 ** e);
const columns = fc.oneof(
  fc.array(everywhere, { maxLength: 40 }),
  fc.array(power(-30, 30), { maxLength: 600 }),
  fc.array(power(940, 1023), { maxLength: 40 }),
  fc.array(power(-1074, -1000), { maxLength: 40 }),
  fc.array(halfway, { maxLength: 60 }),
  // A value, and all that cancels it but a tail.
  fc
    .array(everywhere, { maxLength: 20 })
    .chain((values) => fc.shuffledSubarray([...values, ...values.map((x) => -x), 1e-5])),
);

const FAULTS = [AggregateFault.NONE, AggregateFault.NORMALISE_ALWAYS];

describe.each(BUILDS)("sums, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  /** Results of a query over the table pushed in batches of `size`, in parts merged at the end. */
  function run(query: Query, table: Table, size: number, parts: number): string[] {
    const whole = open(kernel, query);
    const rows = table[0]!.length;
    for (let part = 0; part < parts; part++) {
      const some = open(kernel, query);
      const mine = table.map((column) => column.filter((_, row) => row % parts === part));
      pushAll(some, query, mine, Array(Math.ceil(rows / size)).fill(size));
      for (const state of some.snapshot()) whole.merge(state);
      some.destroy();
    }
    const results = multiset(rowsOf(whole.finish()));
    whole.destroy();
    return results;
  }

  test.each([types.float64, types.float32])(
    "floats are summed and averaged exactly, rounded once",
    (type) => {
      fc.assert(
        fc.property(
          columns,
          fc.integer({ min: 1, max: 300 }),
          fc.constantFrom(...FAULTS),
          fc.boolean(),
          (column, size, faults, grouped) => {
            const values: Value[] = column.map((x) => (type === types.float32 ? Math.fround(x) : x));
            const keys: Value[] = values.map((_, i) => BigInt(i % 3));
            const query: Query = {
              types: [types.int32, type],
              keys: grouped ? [0] : [],
              aggregates: [
                { name: "sum", of: 1 },
                { name: "avg", of: 1 },
              ],
              faults,
            };
            const table = [keys, values];
            const wanted = multiset(expected(query, table));
            for (const parts of [1, 3]) expect(run(query, table, size, parts)).toEqual(wanted);
          },
        ),
        { numRuns: 400 },
      );
    },
  );

  test("integer sums that lie in pairs, or beside the count: any widths, nulls and filters, one outgrowing its lane", () => {
    const narrow = fc.option(fc.bigInt(-(2n ** 31n), 2n ** 31n - 1n), { freq: 8 });
    const long = fc.option(
      fc.oneof(fc.bigInt(-1000n, 1000n), fc.bigInt(-(2n ** 62n), 2n ** 62n), fc.constant(-(2n ** 63n))),
      { freq: 8 },
    );
    const rows = fc.array(fc.tuple(fc.nat(6), narrow, narrow, long, long, fc.boolean()), { maxLength: 300 });
    const names = ["sum", "avg", "variance"] as const;
    const sum = fc.record({
      name: fc.constantFrom(...names),
      of: fc.integer({ min: 1, max: 4 }),
      filter: fc.option(fc.constant(5), { nil: undefined, freq: 4 }),
    });
    const aggregates = fc.array(
      fc.oneof(
        { weight: 4, arbitrary: sum },
        { weight: 1, arbitrary: fc.constant({ name: "count" as const, of: 0 }) },
      ),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(
        rows,
        aggregates,
        fc.integer({ min: 1, max: 120 }),
        fc.boolean(),
        (values, asked, size, grouped) => {
          const query: Query = {
            types: [types.int32, types.int32, types.int32, types.int64, types.int64, types.bool],
            keys: grouped ? [0] : [],
            // Sums of the long columns overflow int64, which is an error; averages show what they came to.
            aggregates: asked.map((each) => {
              if (each.name === "count") return { name: "count" };
              return each.of > 2 && each.name === "sum" ? { ...each, name: "avg" } : each;
            }),
          };
          const table: Table = query.types.map((_, column) =>
            values.map((row) => (column === 0 ? BigInt(row[0]) : row[column]!)),
          );
          const wanted = multiset(expected(query, table));
          for (const parts of [1, 3]) expect(run(query, table, size, parts)).toEqual(wanted);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("a halfway sum goes to even, and the smallest rest decides it", () => {
    const query: Query = { types: [types.float64], keys: [], aggregates: [{ name: "sum", of: 0 }] };
    const sum = (values: number[]) => {
      const operator = open(kernel, query);
      pushAll(operator, query, [values]);
      const [row] = rowsOf(operator.finish());
      operator.destroy();
      return row![0];
    };
    expect(sum([1, 2 ** -53])).toBe(1);
    expect(sum([1, 2 ** -53, 5e-324])).toBe(1 + 2 ** -52);
    expect(sum([1 + 2 ** -52, 2 ** -53])).toBe(1 + 2 ** -51);
    expect(sum([1 + 2 ** -52, 2 ** -53, -5e-324])).toBe(1 + 2 ** -52);
    expect(sum([Number.MAX_VALUE, 2 ** 969])).toBe(Number.MAX_VALUE);
    expect(sum([Number.MAX_VALUE, 2 ** 970])).toBe(Infinity);
    expect(sum([Number.MAX_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE])).toBe(Number.MAX_VALUE);
    expect(Object.is(sum([-0, -0]), 0)).toBe(true);
    expect(sum([Infinity, -Infinity])).toBeNaN();
    expect(sum([Infinity, 1e308, 1e308])).toBe(Infinity);
    expect(sum([1e308, Number.NaN, -Infinity])).toBeNaN();
  });

  test("sums of several groups at once, whatever each comes to", () => {
    const query: Query = {
      types: [types.int32, types.float64],
      keys: [0],
      aggregates: [{ name: "sum", of: 1 }],
    };
    const nearby = fc.oneof(power(-30, 30), power(-6, 6), halfway, fc.constantFrom(0, -0));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), nearby), { maxLength: 200 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), everywhere), { maxLength: 3 }),
        (near, far) => {
          const rows = [...near, ...far];
          // Each value once more with the other sign, of every other group: what is left is a zero, or a tail.
          const back = near.filter(([key]) => key % 2 === 1).map(([key, value]) => [key, -value] as const);
          const all = [...rows, ...back];
          const table: Table = [all.map(([key]) => BigInt(key)), all.map(([, value]) => value)];
          expect(run(query, table, 50, 1)).toEqual(multiset(expected(query, table)));
        },
      ),
    );
  });

  test("millions of rows, most of them of one group: carries are passed on before limbs are full", () => {
    const ROWS = 65_536;
    const query: Query = {
      types: [types.int32, types.float64],
      keys: [0],
      aggregates: [{ name: "sum", of: 1 }, { name: "count" }],
    };
    // As far up in their limbs as values come, beside others that reach two limbs down.
    const table: Table = [
      Array.from({ length: ROWS }, (_, row) => (row % 16 === 0 ? BigInt(row % 1000) : 7n)),
      Array.from({ length: ROWS }, (_, row) => (row % 16 === 0 ? row / 3e9 : 127.99999999999999)),
    ];
    const batch = batchOf(query.types, table);
    const sums = FAULTS.map((faults) => {
      const operator = open(kernel, { ...query, faults });
      for (let push = 0; push < 80; push++) operator.push(batch);
      const rows = multiset(rowsOf(operator.finish()));
      operator.destroy();
      return rows;
    });
    expect(sums[0]).toEqual(sums[1]);
    expect(sums[0]).toHaveLength(126);
  });

  test("a value that does not fit, anywhere in a vector of one group", () => {
    const query: Query = { types: [types.float64], keys: [], aggregates: [{ name: "sum", of: 0 }] };
    const usual = Array.from({ length: 2048 }, (_, row): Value => (row * 37) / 64 - 500);
    const odd = [Number.NaN, Number.POSITIVE_INFINITY, -1e300, 2 ** 52, 5e-324, -(2 ** -30), -0];
    for (const rows of [2048, 2047, 257]) {
      for (const at of [0, 1, 255, 256, rows >> 1, rows - 2, rows - 1]) {
        for (const value of odd) {
          const values = usual.slice(0, rows);
          values[at] = value;
          const operator = open(kernel, query);
          // Which limbs there are has been decided then.
          operator.push(batchOf(query.types, [usual]));
          operator.push(batchOf(query.types, [values]));
          const sum = multiset(rowsOf(operator.finish()));
          operator.destroy();
          expect(sum, `${value} in row ${at} of ${rows}`).toEqual(
            multiset(expected(query, [[...usual, ...values]])),
          );
        }
      }
    }
  });

  test("averages of integers and decimals are divided once, in wide integers", () => {
    const wide = fc.oneof(
      fc.bigInt({ min: 1n - 10n ** 38n, max: 10n ** 38n - 1n }),
      fc.bigInt({ min: -1000n, max: 1000n }),
      fc.constantFrom(2n ** 53n + 1n, 2n ** 64n, -(2n ** 63n), 10n ** 38n - 1n),
    );
    fc.assert(
      fc.property(
        fc.array(wide, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 0, max: 38 }),
        (values, scale) => {
          const query: Query = {
            types: [types.decimal(38, scale)],
            keys: [],
            aggregates: [{ name: "avg", of: 0 }],
          };
          expect(run(query, [values], 7, 2)).toEqual(multiset(expected(query, [values])));
        },
      ),
      { numRuns: 300 },
    );
  });

  test("64-bit sums pass through 128 bits and come back, whatever is merged", () => {
    const extreme = (low: bigint, high: bigint) =>
      fc.oneof(fc.constantFrom(low, high, high - 1n), fc.bigInt({ min: low, max: high }));
    const signed = fc.array(extreme(-(2n ** 63n), 2n ** 63n - 1n), { maxLength: 30 });
    fc.assert(
      fc.property(signed, fc.integer({ min: 1, max: 9 }), (values, size) => {
        // All values and their opposites (of the least one, its successor's): the sum is small again.
        const all = [...values, ...values.map((x) => (x === -(2n ** 63n) ? 2n ** 63n - 1n : -x)), 5n];
        const query: Query = {
          types: [types.int64],
          keys: [],
          aggregates: [
            { name: "sum", of: 0 },
            { name: "avg", of: 0 },
          ],
        };
        for (const parts of [1, 2])
          expect(run(query, [all], size, parts)).toEqual(multiset(expected(query, [all])));
      }),
      { numRuns: 200 },
    );
  });

  test("narrow sums stay right when lanes come near their end", () => {
    const top = 2n ** 51n - 1n;
    const query: Query = { types: [types.int64], keys: [], aggregates: [{ name: "sum", of: 0 }] };
    const up: Value[] = Array(2048).fill(top);
    const down: Value[] = Array(2048).fill(-top);
    const operator = open(kernel, query);
    for (let i = 0; i < 3; i++) pushAll(operator, query, [up]);
    for (let i = 0; i < 3; i++) pushAll(operator, query, [down]);
    pushAll(operator, query, [[3n]]);
    expect(rowsOf(operator.finish())).toEqual([[3n]]);
    operator.destroy();
  });

  test("averages of sums that two limbs hold, and a float does not, are rounded once", () => {
    const query: Query = {
      types: [types.float64],
      keys: [],
      aggregates: [
        { name: "avg", of: 0 },
        { name: "sum", of: 0 },
      ],
    };
    for (let exponent = 2; exponent < 9; exponent++) {
      // The first value says where the limbs are: the others are at their upper end, or just past it.
      const rest = Array.from({ length: 20_000 }, (_, row) => 2 ** exponent * (1 + (row % 7) / 8));
      const table = [[1 + 2 ** -52, ...rest]];
      expect(run(query, table, 1000, 1)).toEqual(multiset(expected(query, table)));
      const operator = open(kernel, query);
      pushAll(operator, query, table);
      expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(query, table)));
      operator.destroy();
    }
  });

  test("fast sums are plain float adds", () => {
    const query: Query = {
      types: [types.float64],
      keys: [],
      aggregates: [
        { name: "sum", of: 0, fast: true },
        { name: "avg", of: 0, fast: true },
      ],
    };
    const values = [0.1, 0.2, null, 0.3];
    const operator = open(kernel, query);
    pushAll(operator, query, [values]);
    expect(rowsOf(operator.finish())).toEqual([[0.1 + 0.2 + 0.3, (0.1 + 0.2 + 0.3) / 3]]);
    operator.destroy();
  });
});
