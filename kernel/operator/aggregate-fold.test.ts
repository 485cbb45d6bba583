// Folding by parts (op_fold, op_fold_part) against combining whole (op_combine): the same results, counts and states, bit for
// bit, whatever the order of the parts; and what cannot be folded says so, with nothing lost.

import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { ArgumentError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import { valueName } from "../../twin/aggregate.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  outcome,
  type Query,
  rowsOf,
  slice,
  type Table,
} from "./testing.js";
import { failEach } from "./testing-retries.js";

const PARTS = 64;
const ROWS = 5000;
const coded = types.dictionary(types.utf8, types.int32);
const TABLE: Table = [
  Array.from({ length: ROWS }, (_, row): Value => (row % 31 === 30 ? null : `text ${(row * 7) % 400}`)),
  Array.from({ length: ROWS }, (_, row): Value => (row % 19 === 5 ? null : BigInt(((row * 7) % 900) + 3900))),
  Array.from({ length: ROWS }, (_, row): Value => (row % 13 === 2 ? null : (row - 2000) * 10 ** (row % 7))),
  Array.from({ length: ROWS }, (_, row): Value => (row % 7 === 0 ? null : BigInt(row - 900) * 1_000_003n)),
  Array.from({ length: ROWS }, (_, row): Value => row % 3 === 0),
];
const TYPES = [coded, types.int32, types.float64, types.int64, types.bool];
const AGGREGATES: readonly Aggregate[] = [
  { name: "sum", of: 2 },
  { name: "avg", of: 3 },
  { name: "sum", of: 1 },
  { name: "count" },
  { name: "count", of: 2 },
  { name: "sum", of: 3, filter: 4 },
  { name: "min", of: 1 },
  { name: "max", of: 2 },
  { name: "topK", of: 2, limit: 3 },
  { name: "bottomK", of: 3, limit: 2 },
  { name: "bitXor", of: 3 },
  { name: "variance", of: 1 },
];
const KEYS = [[0], [1], [4, 1], [0, 4], [4]];
const ALL = batchOf(TYPES, TABLE);

const queryOf = (keys: readonly number[], aggregates = AGGREGATES): Query => ({
  types: TYPES,
  keys,
  aggregates,
  faults: AggregateFault.TINY_TABLES,
});

const states = (operator: Operator) =>
  [...operator.snapshot()].flatMap((state) => rowsOf([state]).map((row) => row.map(valueName).join(" | ")));

describe.each(BUILDS)("folding by parts, %s build", (build) => {
  let kernel: Kernel;
  beforeAll(async () => {
    kernel = await Kernel.open({ build });
  });

  /** Operators that have a run of the rows each; the first has seen all texts. */
  function operators(query: Query, cuts: readonly number[]): Operator[] {
    const ends = [...cuts, ROWS];
    return ends.map((end, index) => {
      const operator = open(kernel, query);
      const start = index === 0 ? 0 : ends[index - 1]!;
      if (end > start) operator.push(ALL, start, end - start);
      return operator;
    });
  }

  test("is combining whole, in any order of the parts", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...KEYS),
        fc.subarray(AGGREGATES as Aggregate[], { minLength: 1 }),
        fc.uniqueArray(fc.integer({ min: 1100, max: ROWS - 1 }), { minLength: 1, maxLength: 3 }),
        fc.shuffledSubarray([...Array(PARTS).keys()], { minLength: PARTS }),
        (keys, aggregates, cuts, order) => {
          const query = queryOf(keys, aggregates);
          const sorted = [...cuts].sort((a, b) => a - b);
          const [first, ...others] = operators(query, sorted);
          const [whole, ...rest] = operators(query, sorted);
          const folded = others.filter((other) => first!.fold(other) === PARTS);
          for (const part of order) for (const other of folded) first!.foldPart(other, part);
          for (const other of others) if (!folded.includes(other)) for (const _ of first!.absorb(other));
          for (const other of rest) for (const _ of whole!.absorb(other));
          expect(states(first!)).toEqual(states(whole!));
          const { rowsIn, rowsSelected, batchesIn, groups } = first!.stats();
          expect(whole!.stats()).toMatchObject({ rowsIn, rowsSelected, batchesIn, groups });
          expect(multiset(rowsOf(first!.finish()))).toEqual(multiset(expected(query, TABLE)));
          for (const one of [first!, ...others, whole!, ...rest]) one.destroy();
        },
      ),
      { numRuns: 60 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test.each(KEYS)(
    "keys %s are folded, also where the target has not met all that the source has",
    (...keys) => {
      const query = queryOf(keys);
      const [first, other] = operators(query, [3000]);
      expect(first!.fold(other!)).toBe(PARTS);
      for (let part = 0; part < PARTS; part++) first!.foldPart(other!, part);
      expect(multiset(rowsOf(first!.finish()))).toEqual(multiset(expected(query, TABLE)));
      for (const one of [first!, other!]) one.destroy();
    },
  );

  test.each([
    [0, 900, 7, 1000],
    [7, 1000, 0, 900],
    [-300, 200, 100, 500],
    [4000, 4400, 3900, 4200],
  ])("parts of sources with keys of %i to %i and %i to %i are of the same groups", (...bounds) => {
    const keyTypes = [types.int32, types.int64];
    const query: Query = {
      types: keyTypes,
      keys: [0],
      aggregates: [{ name: "sum", of: 1 }],
      faults: AggregateFault.TINY_TABLES,
    };
    const [low, high, otherLow, otherHigh] = bounds;
    const [all, one, other] = [
      [Math.min(low!, otherLow!), Math.max(high!, otherHigh!), 4n],
      [low!, high!, 1n],
      [otherLow!, otherHigh!, 2n],
    ].map(([from, to, value]) => {
      const keys = Array.from(
        { length: Number(to) - Number(from) },
        (_, at): Value => BigInt(Number(from) + at),
      );
      const operator = open(kernel, query);
      operator.push(batchOf(keyTypes, [keys, keys.map(() => value as Value)]));
      return operator;
    });
    expect([all!.fold(one!), all!.fold(other!)]).toEqual([PARTS, PARTS]);
    for (let part = 0; part < PARTS; part++) all!.foldPart(part % 2 === 0 ? one! : other!, part);
    // No group is of an even part of one source, and of an odd part of another.
    const sums = rowsOf(all!.finish()).map(([, sum]) => sum);
    expect(sums).not.toContain(7n);
    expect(sums).toContain(5n);
    expect(sums).toContain(6n);
    for (const operator of [all!, one!, other!]) operator.destroy();
  });

  test("sums that might outgrow their lanes, limbs that lie apart, and what has no plain arrays are left to combining", () => {
    const huge: Table = [
      [1n, 2n, 3n, 1n],
      [2n ** 62n, 5n, -(2n ** 61n), 2n ** 62n],
      [1e300, 1e-300, 1, 2],
      ["a", "b", "c", "d"],
    ];
    const hugeTypes = [types.int32, types.int64, types.float64, types.utf8];
    const of: readonly (readonly Aggregate[])[] = [
      [{ name: "avg", of: 1 }],
      [{ name: "sum", of: 2 }],
      [{ name: "min", of: 3 }],
      [{ name: "countDistinct", of: 1 }],
      [{ name: "quantile", of: 1, p: 0.5 }],
    ];
    for (const aggregates of of) {
      const query: Query = { types: hugeTypes, keys: [0], aggregates, faults: AggregateFault.TINY_TABLES };
      const [first, other] = [0, 2].map((start) => {
        const operator = open(kernel, query);
        operator.push(batchOf(hugeTypes, slice(huge, start, start + 2)));
        return operator;
      });
      expect(first!.fold(other!)).toBe(0);
      for (const _ of first!.absorb(other!));
      expect(outcome(() => multiset(rowsOf(first!.finish())))).toEqual(multiset(expected(query, huge)));
      for (const one of [first!, other!]) one.destroy();
    }
  });

  test("few groups, other layouts, and other keys are not folded; what is wrong is refused", () => {
    const query = queryOf([1]);
    const [first, other] = operators(query, [3000]);
    const far = open(kernel, query);
    far.push(
      batchOf(
        TYPES,
        TABLE.map((column, at) => (at === 1 ? column.map((_, row) => BigInt(row * 100_000)) : column)),
      ),
    );
    expect(first!.fold(far)).toBe(0);
    const few = [1, 2].map(() => open(kernel, { ...query, faults: 0 }));
    for (const one of few) one.push(ALL);
    expect(few[0]!.fold(few[1]!)).toBe(0);
    const looked = [1, 2].map(() => open(kernel, { ...query, faults: AggregateFault.NO_DIRECT }));
    for (const one of looked) one.push(ALL);
    expect(looked[0]!.fold(looked[1]!)).toBe(0);
    const texts = open(kernel, queryOf([0]));
    expect(() => first!.fold(texts)).toThrow(/configuration/);
    expect(() => first!.fold(first!)).toThrow(ArgumentError);
    // What has no place in the target yet.
    const young = open(kernel, query);
    expect(() => young.foldPart(other!, 0)).toThrow(ArgumentError);
    expect(first!.fold(other!)).toBe(PARTS);
    expect(() => first!.foldPart(other!, PARTS)).toThrow(ArgumentError);
    other!.watermark(END_OF_INPUT);
    expect(() => first!.foldPart(other!, 0)).toThrow(/ended/);
    for (const one of [first!, other!, far, ...few, ...looked, texts, young]) one.destroy();
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("an allocation that fails is told before anything is folded, and it can be begun again", () => {
    // Sums whose limbs the target makes room for, and a count that it begins to keep.
    const table: Table = [
      [1n, 2n, 3n, 1n, 2n, 5n],
      [1, 2, 3, 2 ** 70, null, 1],
    ];
    const query: Query = {
      types: [types.int32, types.float64],
      keys: [0],
      aggregates: [
        { name: "sum", of: 1 },
        { name: "count", of: 1 },
      ],
      faults: AggregateFault.TINY_TABLES,
    };
    let failures = 0;
    failEach(kernel, 1, 1, (nth) => {
      kernel.failAllocation(0);
      const [first, other] = [0, 3].map((start) => {
        const operator = open(kernel, query);
        operator.push(batchOf(query.types, slice(table, start, start + 3)));
        return operator;
      });
      kernel.failAllocation((nth | 0x8000_0000) >>> 0);
      try {
        expect(first!.fold(other!)).toBe(PARTS);
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        failures++;
        kernel.failAllocation(0);
        expect(first!.fold(other!)).toBe(PARTS);
      }
      for (let part = 0; part < PARTS; part++) first!.foldPart(other!, part);
      first!.watermark(END_OF_INPUT);
      const rows: Value[][] = [];
      for (let batch = pullAgain(first!); batch !== null; batch = pullAgain(first!))
        rows.push(...rowsOf([batch]));
      expect(multiset(rows)).toEqual(multiset(expected(query, table)));
      for (const one of [first!, other!]) one.destroy();
    });
    expect(failures).toBeGreaterThan(0);
    expect(kernel.blocks).toBeLessThan(8);
  });

  function pullAgain(operator: Operator) {
    try {
      return operator.pull();
    } catch (error) {
      expect(error).toBeInstanceOf(MemoryLimitError);
      kernel.failAllocation(0);
      return operator.pull();
    }
  }
});
