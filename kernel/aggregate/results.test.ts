// What aggregates come to at the ends of what can be: counts past 2^32, sums that no rows could bring in a test but a
// state can, states that cannot be, types that functions do not take.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ProgramAggregateSpec } from "../../bindings/ts/kernel/hash-aggregate.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import type { StateBatch } from "../../bindings/ts/kernel/state.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { CorruptStateError, MillraceError } from "../../bindings/ts/type/error.js";
import { type Value, writeColumn } from "../../twin/values.js";
import { Type } from "../abi/layout.js";
import { AggregateFunction } from "../abi/operator.js";
import {
  type Aggregate,
  BUILDS,
  expected,
  open,
  pushAll,
  type Query,
  rowsOf,
  type Table,
} from "../operator/testing.js";

/** The float64 nearest to a ratio of integers. */
function nearest(numerator: bigint, denominator: bigint): number {
  const negative = numerator < 0n;
  const scaled = (negative ? -numerator : numerator) << 400n;
  // Far more bits than decide, and one for the rest.
  const quotient = ((scaled / denominator) << 1n) | (scaled % denominator === 0n ? 0n : 1n);
  return ((negative ? -1 : 1) * Number(quotient)) / 2 ** 401;
}

describe.each(BUILDS)("results at the ends, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  const ungrouped = (type: types.DataType, ...aggregates: Aggregate[]): Query => ({
    types: [type, types.int64],
    keys: [],
    aggregates,
  });

  /** The results of a state whose section `section` has other values in some columns. */
  function forged(
    query: Query,
    table: Table,
    section: number,
    values: { readonly [column: number]: readonly Value[] },
    later: Table | null = null,
  ): Value[][] {
    const source = open(kernel, query);
    pushAll(source, query, table);
    const states: StateBatch[] = [...source.snapshot()];
    source.destroy();
    const operator = open(kernel, query);
    try {
      for (const state of states) {
        const columns = state.columns.map((column, at) =>
          state.section === section && values[at] !== undefined
            ? writeColumn(column.type, values[at])
            : column,
        );
        operator.merge({ ...state, columns });
      }
      if (later !== null) pushAll(operator, query, later);
      return rowsOf(operator.finish());
    } finally {
      operator.destroy();
    }
  }
  const one = (aggregate: Partial<Aggregate> & Pick<Aggregate, "name">): Aggregate => ({
    of: 0,
    ...aggregate,
  });

  test.each([2n ** 33n + 1n, 2n ** 52n + 1n, 2n ** 56n + 1n, 2n ** 62n + 12_345n])(
    "averages and variances of %i values",
    (n) => {
      const sum = 10n ** 30n + 7n;
      const table: Table = [
        [1n, 2n],
        [1n, 2n],
      ];
      const average = forged(ungrouped(types.int64, one({ name: "avg" })), table, 1, {
        0: [sum],
        1: [n],
        2: [n],
      });
      expect(average).toEqual([[nearest(sum, n)]]);
      for (const scale of [3, 30]) {
        const decimals = forged(ungrouped(types.decimal(38, scale), one({ name: "avg" })), table, 1, {
          0: [-sum],
          // The sign goes on above 128 bits.
          1: [-1n],
          2: [n],
          3: [n],
        });
        expect(decimals).toEqual([[nearest(-sum, n * 10n ** BigInt(scale))]]);
      }
      const [s1, s2] = [n - 5n, 3n * n + 1n];
      const moments = { 0: [n], 1: [s1], 2: [s2], 4: [n] };
      const population = forged(ungrouped(types.int64, one({ name: "varPop" })), table, 1, moments);
      expect(population).toEqual([[nearest(n * s2 - s1 * s1, n * n)]]);
      const sample = forged(ungrouped(types.int64, one({ name: "variance" })), table, 1, moments);
      expect(sample).toEqual([[nearest(n * s2 - s1 * s1, n * (n - 1n))]]);
    },
  );

  // Sums next to halfway between two floats times the count, where a quotient is rounded the wrong way first.
  const close = fc.record({
    mantissa: fc.oneof(
      fc.bigInt(2n ** 52n, 2n ** 53n - 1n),
      fc.bigInt(2n ** 52n, 2n ** 52n + 9n),
      fc.bigInt(2n ** 53n - 9n, 2n ** 53n - 1n),
    ),
    count: fc.oneof(fc.bigInt(1n, 9n), fc.bigInt(1n, 2n ** 20n), fc.bigInt(1n, 2n ** 39n)),
    halves: fc.integer({ min: -3, max: 3 }),
    off: fc.bigInt(-2n, 2n),
    drop: fc.integer({ min: 0, max: 60 }),
    negative: fc.boolean(),
  });

  test("averages of floats are rounded once, next to halfway too", () => {
    fc.assert(
      fc.property(
        close,
        fc.integer({ min: -900, max: 800 }),
        ({ mantissa, count, halves, off, drop, negative }, exponent) => {
          const size = (mantissa * count + (BigInt(halves) * count) / 2n + off) >> BigInt(drop);
          const sum = negative ? -size : size;
          const low = BigInt.asUintN(40, sum);
          const unit = 2 ** exponent;
          const table: Table = [
            [Number(sum - low) * unit, Number(low) * unit],
            [1n, 2n],
          ];
          const average = forged(ungrouped(types.float64, one({ name: "avg" })), table, 1, {
            1: [count],
            2: [count],
          });
          expect(average).toEqual([[nearest(sum, count) * unit]]);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("averages of integers and decimals are rounded once, whether their sums are floats or not", () => {
    fc.assert(
      fc.property(
        close,
        fc.constantFrom(0, 1, 4, 15, 16, 38),
        ({ mantissa, count, halves, off, drop, negative }, scale) => {
          const size = (mantissa * count + (BigInt(halves) * count) / 2n + off) >> BigInt(drop + 30);
          const sum = negative ? -size : size;
          const type = scale === 0 ? types.int64 : types.decimal(38, scale);
          const table: Table = [
            [sum, 0n],
            [1n, 2n],
          ];
          const average = forged(
            ungrouped(type, one({ name: "avg" })),
            table,
            1,
            scale === 0 ? { 1: [count], 2: [count] } : { 2: [count], 3: [count] },
          );
          expect(average).toEqual([[nearest(sum, count * 10n ** BigInt(scale))]]);
        },
      ),
    );
  });

  test("the average of decimals that are all 0 is 0, whatever their scale", () => {
    const query = ungrouped(types.decimal(38, 38), one({ name: "avg" }));
    const operator = open(kernel, query);
    pushAll(operator, query, [
      [0n, null, 0n, 0n],
      [1n, 2n, 3n, 4n],
    ]);
    expect(rowsOf(operator.finish())).toEqual([[0]]);
    operator.destroy();
  });

  test.each([
    types.int8,
    types.uint8,
    types.int16,
    types.uint16,
    types.int32,
    types.uint32,
    types.int64,
    types.uint64,
  ])("a sum that a state made wide takes rows of $bits bits", (type) => {
    const query = ungrouped(type, one({ name: "avg" }));
    const unsigned = type.kind === "int" && !type.signed;
    const values = [unsigned ? 7n : -7n, 100n, null, 3n];
    const later = [values, values.map(() => 1n)];
    const sum = 2n ** 100n + 5n;
    const rows = forged(query, [[1n], [1n]], 1, { 0: [sum], 1: [1n], 2: [1n] }, later);
    const total = values.reduce<bigint>((all, value) => all + (value ?? 0n), sum);
    expect(rows).toEqual([[nearest(total, 4n)]]);
  });

  test("a sketch of registers that no hash has set reads as what they say", () => {
    const query = ungrouped(types.int64, one({ name: "approxCountDistinct" }));
    const estimate = (cells: readonly bigint[]) => {
      const table: Table = [
        Array.from({ length: 20_000 }, (_, row) => BigInt(row)),
        Array.from({ length: 20_000 }, () => 1n),
      ];
      return forged(query, table, 2, { 2: cells });
    };
    const cells = 256;
    const each = (rank: bigint) =>
      Array.from({ length: 16 }, (_, lane) => rank << BigInt(8 * lane)).reduce((a, b) => a | b);
    // Counters are 16 bytes, read as a decimal: none of them has the sign's bit.
    expect(estimate(Array(cells).fill(0n))).toEqual([[0n]]);
    expect(estimate([53n, ...Array(cells - 1).fill(0n)])).toEqual([[1n]]);
    expect(estimate(Array(cells).fill(each(53n)))).toEqual([[2n ** 63n - 1n]]);
    expect(() => estimate(Array(cells).fill(each(54n)))).toThrow(CorruptStateError);
  });

  /** An entry of the state of an exact sum. */
  const entry = (limb: number, value: bigint) => {
    const bytes = new Uint8Array(9);
    bytes[0] = limb;
    new DataView(bytes.buffer).setBigInt64(1, value, true);
    return [...bytes];
  };
  const limb = 110;
  test.each<[string, number[]]>([
    ["a sign alone", [0]],
    ["half an entry", [0, ...entry(limb, 1n).slice(0, 5)]],
    ["a sign that is none", [2, ...entry(limb, 1n)]],
    ["an entry of 0", [0, ...entry(limb, 0n)]],
    ["an entry twice", [0, ...entry(limb, 1n), ...entry(limb, 1n)]],
    ["entries out of order", [0, ...entry(limb, 1n), ...entry(limb - 1, 1n)]],
    ["a digit too large", [0, ...entry(limb, 2n ** 40n)]],
    ["a limb past them all", [0, ...entry(200, 1n)]],
  ])("%s is no state of an exact sum", (_, bytes) => {
    const query = ungrouped(types.float64, one({ name: "sum" }));
    const table: Table = [
      [1, 2],
      [1n, 1n],
    ];
    expect(() => forged(query, table, 1, { 0: [Uint8Array.from(bytes)] })).toThrow(CorruptStateError);
  });

  test("entries that end too early, or are of nothing, are no state of values by an order", () => {
    const table: Table = [
      [1.5, 2],
      [1n, 2n],
    ];
    const last = ungrouped(types.float64, one({ name: "argMax", second: 1 }));
    for (const length of [1, 3, 4, 15, 17])
      expect(() => forged(last, table, 1, { 0: [new Uint8Array(length)] })).toThrow(CorruptStateError);
    for (const type of [types.float64, types.utf8]) {
      const top = ungrouped(type, one({ name: "topK", second: 1, limit: 2 }));
      const empty = new Uint8Array(type === types.utf8 ? 20 : 32);
      expect(forged(top, [type === types.utf8 ? ["a"] : [1.5], [1n]], 1, { 0: [empty] })).toHaveLength(1);
      empty[15] = 0x80;
      const run = () => forged(top, [type === types.utf8 ? ["a"] : [1.5], [1n]], 1, { 0: [empty] });
      expect(run).toThrow(CorruptStateError);
    }
  });

  test("plain sums and moments: float32, one group and many, brought together in memory", () => {
    const rows = 3000;
    const values = Array.from({ length: rows }, (_, row): Value => (row % 11 === 3 ? null : (row % 32) / 4));
    for (const type of [types.float32, types.float64]) {
      for (const keys of [[], [1]]) {
        const names = ["sum", "avg", "varPop", "kurtosisPop", "covarPop"] as const;
        const query: Query = {
          types: [type, types.int64],
          keys,
          aggregates: names.map((name) => ({
            name,
            of: 0,
            fast: true,
            second: name === "covarPop" ? 0 : undefined,
          })),
        };
        const table: Table = [values, values.map((_, row) => BigInt(row % 3))];
        const [whole, part] = [open(kernel, query), open(kernel, query)];
        pushAll(whole, query, table, [1000, 7]);
        pushAll(part, query, table);
        for (const _ of whole.absorb(part));
        const exact = {
          ...query,
          aggregates: query.aggregates.map((each) => ({ ...each, fast: undefined })),
        };
        const twice = table.map((column) => [...column, ...column]);
        const sort = (results: Value[][]) =>
          results.map((row) => row.map(Number)).sort((a, b) => a[0]! - b[0]!);
        const wanted = sort(expected(exact, twice));
        sort(rowsOf(whole.finish())).forEach((row, group) => {
          row.forEach((value, at) => {
            expect(value).toBeCloseTo(wanted[group]![at]!, 9);
          });
        });
        for (const operator of [whole, part]) operator.destroy();
      }
    }
  });

  test("plain sums of no number are the one NaN, plain moments of equal values null where they have none", () => {
    const query: Query = {
      types: [types.float64],
      keys: [],
      aggregates: (["sum", "avg", "varPop", "kurtosisPop", "skewness"] as const).map((name) => ({
        name,
        of: 0,
        fast: true,
      })),
    };
    const results = (values: readonly Value[]) => {
      const operator = open(kernel, query);
      pushAll(operator, query, [values]);
      const [row] = [...operator.finish()].map(({ columns }) =>
        columns.map(({ values, validity }) =>
          validity !== null && (validity[0]! & 1) === 0
            ? null
            : new BigUint64Array(values.slice().buffer)[0]!.toString(16),
        ),
      );
      operator.destroy();
      return row;
    };
    const nan = "7ff8000000000000";
    expect(results([Infinity, 1, -Infinity, 2, 3, 4, 5, 6, 7, 8])!.slice(0, 3)).toEqual([nan, nan, nan]);
    expect(results([2.5, 2.5, 2.5, 2.5])!.slice(2)).toEqual(["0", null, nan]);
  });

  test("sums beyond what two floats hold are rounded once", () => {
    // Near the top of two limbs: after 2^13 of them the upper part has more than 53 bits.
    const large = 2 ** 85 * (2 - 2 ** -52);
    const values = Array.from({ length: 20_000 }, () => large);
    const query = ungrouped(types.float64, one({ name: "sum" }));
    const operator = open(kernel, query);
    pushAll(operator, query, [[...values, 2 ** 33], values.map(() => 1n).concat(1n)]);
    expect(rowsOf(operator.finish())).toEqual([[nearest(BigInt(large) * 20_000n + 2n ** 33n, 1n)]]);
    operator.destroy();
  });

  test("lanes of integer sums are looked at before they might wrap, and widened when they would", () => {
    const vectors = 5;
    for (const keys of [[], [1]]) {
      for (const sign of [-1n, 1n]) {
        const query: Query = {
          types: [types.int64, types.int64],
          keys,
          aggregates: [one({ name: "avg" }), { name: "count" }],
        };
        // Each vector adds at most 2^61: lanes are near 0 when they are looked at, or not.
        const values = Array.from(
          { length: 2048 * vectors },
          (_, row) => (row % 2 === 0 ? sign : 1n) * (2n ** 50n - BigInt(row)),
        );
        const table: Table = [values, values.map((_, row) => BigInt((row >> 1) % 3))];
        const operator = open(kernel, query);
        pushAll(operator, query, table);
        const sort = (rows: Value[][]) => rows.map((row) => row.map(String)).sort();
        expect(sort(rowsOf(operator.finish()))).toEqual(sort(expected(query, table)));
        operator.destroy();
      }
    }
  });

  test("lanes brought together in memory are looked at before they might wrap", () => {
    const query: Query = { types: [types.int64, types.int64], keys: [1], aggregates: [one({ name: "avg" })] };
    for (const sign of [-1n, 1n]) {
      // Up to 2^62 in one group; many groups beside it whose numbers, taken together, could pass that.
      const first = Array.from({ length: 4095 }, (_, row) => (row < 2047 ? 1n : sign) * 2n ** 50n);
      const second = Array.from({ length: 6000 }, (_, row) => 2n ** 30n - BigInt(row));
      const left: Table = [first, first.map(() => 7n)];
      const right: Table = [second, second.map((_, row) => BigInt(row) * 1_000_003n + 7n)];
      const [whole, part] = [open(kernel, query), open(kernel, query)];
      pushAll(whole, query, left);
      pushAll(part, query, right);
      for (const _ of whole.absorb(part));
      const table = left.map((column, at) => [...column, ...right[at]!]);
      const sort = (rows: Value[][]) => rows.map((row) => row.map(String)).sort();
      expect(sort(rowsOf(whole.finish()))).toEqual(sort(expected(query, table)));
      for (const operator of [whole, part]) operator.destroy();
    }
  });

  test.each<[string, AggregateFunction[], Type[], Type[]]>([
    [
      "moments",
      [AggregateFunction.VAR_SAMPLE, AggregateFunction.SKEWNESS, AggregateFunction.KURTOSIS],
      [Type.U8, Type.F32, Type.I128],
      [Type.BOOL, Type.BYTES],
    ],
    [
      "sums and averages",
      [AggregateFunction.SUM, AggregateFunction.AVG],
      [Type.I8, Type.U64, Type.F64, Type.I128],
      [Type.BOOL, Type.BYTES],
    ],
    [
      "estimated quantiles",
      [AggregateFunction.APPROX_QUANTILE],
      [Type.I16, Type.F32],
      [Type.BOOL, Type.BYTES, Type.I128],
    ],
    ["quantiles", [AggregateFunction.QUANTILE], [Type.I16, Type.F64, Type.I128], [Type.BOOL, Type.BYTES]],
    [
      "bits",
      [AggregateFunction.BIT_AND, AggregateFunction.BIT_OR, AggregateFunction.BIT_XOR],
      [Type.I8, Type.U64],
      [Type.BOOL, Type.F64, Type.I128, Type.BYTES],
    ],
    ["one text of all", [AggregateFunction.STRING], [Type.BYTES], [Type.I64, Type.BOOL]],
    [
      "counts",
      [AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT],
      [Type.BOOL, Type.I128, Type.BYTES],
      [],
    ],
  ])("%s are of types that they are defined for", (_, functions, taken, refused) => {
    const make = (fn: number, type: Type) => {
      const program = new ProgramBuilder();
      program.output(program.load(program.column(type)));
      program.output(program.literal(Type.BYTES, ","));
      const spec: ProgramAggregateSpec = {
        program: program.encode(),
        keys: [],
        aggregates: [
          {
            function: fn,
            argument: 0,
            type,
            second: fn === AggregateFunction.STRING ? 1 : undefined,
            parameter: 0,
          },
        ],
        columns: [0],
        output: { fields: [{ name: "a", type: types.int64, nullable: true }] },
      };
      kernel.hashAggregate(spec).destroy();
    };
    for (const fn of functions) {
      for (const type of taken) make(fn, type);
      for (const type of refused) expect(() => make(fn, type), `${fn} of ${type}`).toThrow(MillraceError);
    }
    expect(() => make(99, Type.I64)).toThrow(MillraceError);
  });
});
