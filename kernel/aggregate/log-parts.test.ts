// Logs of values that are large enough to be kept in parts: what they give, wherever they come from and go.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asShared, encodeAggregateConfig } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import type { BatchData, ColumnData } from "../../bindings/ts/type/column.js";
import { bool, float64, int8, int32, int64 } from "../../bindings/ts/type/data-type.js";
import { ClosedError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import { consolidate } from "../../test/testing-result.js";
import { type Value, writeColumn } from "../../twin/values.js";
import { OperatorKind, RowKind } from "../abi/operator.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  pushAll,
  type Query,
  rowsOf,
  slice,
  specOf,
  type Table,
} from "../operator/testing.js";
import { LASTING } from "../operator/testing-retries.js";
import { runWindow } from "../operator/testing-window.js";

/** A log is divided when a push finds 2^17 values in it, and no room for its own: here the fourth one does. */
const ROWS = 200_000;
const SIZES = [65_000, 65_000, 6000, 30_000];

const [KEY, FLOAT, INTEGER, FLAG] = [0, 1, 2, 3];
const AGGREGATES = [
  { name: "median", of: FLOAT },
  { name: "quantileDisc", of: INTEGER, p: 0.3 },
  { name: "mode", of: FLAG },
] as const;
const QUERY: Query = { types: [int32, float64, int64, bool], keys: [KEY], aggregates: AGGREGATES };

/** Few groups at first, then more than the parts were made for. */
const TABLE: Table = [
  Array.from({ length: ROWS }, (_, row) => BigInt((row * 7919) % (row < 136_000 ? 300 : 2500))),
  Array.from({ length: ROWS }, (_, row) => (row % 170 === 3 ? null : ((row * 40503) % 100_003) / 7)),
  Array.from({ length: ROWS }, (_, row) => BigInt((row * 104_729) % 999_983) - 400_000n),
  Array.from({ length: ROWS }, (_, row) => (row * 31) % 7 < 3),
];
const WANTED = multiset(expected(QUERY, TABLE));

/** An operator of several that share the rows of an aggregation: its values may be taken, not copied. */
function openShared(kernel: Kernel, query: Query): Operator {
  const spec = specOf(query);
  return kernel.operator({
    kind: OperatorKind.HASH_AGGREGATE,
    config: asShared(encodeAggregateConfig(spec)),
    columns: spec.columns,
    output: spec.output,
  });
}

const PARTS = 128;
/** Groups by number, and a float and an integer of each row, of `rows` rows in `groups` groups. */
const KEYED = [int32, float64, int32] as const;
function keyed(rows: number, groups: number, from: number): BatchData[] {
  return Array.from({ length: Math.ceil(rows / 65_536) }, (_, at) => {
    const first = from + at * 65_536;
    const length = Math.min(65_536, from + rows - first);
    const keys = Int32Array.from({ length }, (_, row) => Math.imul(first + row, 0x9e3779b1) >>> 1).map(
      (mixed) => mixed % groups,
    );
    const floats = Float64Array.from({ length }, (_, row) => ((first + row) * 40_503) % 100_003).map(
      (value) => (value - 50_000) / 7,
    );
    const integers = Int32Array.from({ length }, (_, row) => ((first + row) * 7919) % 1009);
    const columns = [keys, floats, integers].map(
      (values, index): ColumnData => ({
        ...writeColumn(KEYED[index]!, []),
        length,
        values: new Uint8Array(values.buffer),
      }),
    );
    const fields = KEYED.map((type, index) => ({ name: `c${index}`, type, nullable: true }));
    return { schema: { fields }, length, columns };
  });
}

/** Changes that wait to be pulled. */
function changesOf(operator: Operator): Value[][] {
  const rows: Value[][] = [];
  for (let batch = operator.pull(); batch !== null; batch = operator.pull()) rows.push(...rowsOf([batch]));
  return rows;
}

describe.each(BUILDS)("logs in parts, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  const filled = (from = 0, end = ROWS): Operator => {
    const operator = open(kernel, QUERY);
    pushAll(operator, QUERY, slice(TABLE, from, end), SIZES);
    return operator;
  };

  const resultsOf = (operator: Operator): string[] => {
    try {
      return multiset(rowsOf(operator.finish()));
    } finally {
      operator.destroy();
    }
  };

  const stateOf = (operator: Operator) => {
    const state = [...operator.snapshot()];
    operator.destroy();
    return state;
  };

  test("groups that become more", () => {
    expect(resultsOf(filled())).toEqual(WANTED);
  });

  test("one group", () => {
    const query = { ...QUERY, keys: [] };
    const operator = open(kernel, query);
    pushAll(operator, query, TABLE, SIZES);
    expect(resultsOf(operator)).toEqual(multiset(expected(query, TABLE)));
  });

  test("a snapshot, whole or by partitions, restores", () => {
    const operator = filled();
    const whole = open(kernel, QUERY);
    for (const state of operator.snapshot(50_000)) whole.merge(state);
    expect(resultsOf(whole)).toEqual(WANTED);
    const parts = new Map<number, Operator>();
    for (const state of operator.snapshotParts(3)) {
      const target = parts.get(state.partition) ?? open(kernel, QUERY);
      parts.set(state.partition, target);
      target.merge(state);
    }
    expect(parts.size).toBe(3);
    expect([...parts.values()].flatMap(resultsOf).sort()).toEqual(WANTED);
    expect(resultsOf(operator)).toEqual(WANTED);
  });

  test.each([
    ["into few values", 0, 4000],
    ["into many", 0, 170_000],
    ["of few into many", 4000, ROWS],
  ])("combined %s", (_, from, end) => {
    const target = filled(from, end);
    const others = [filled(0, from), filled(end)];
    for (const other of others) {
      for (const _step of target.absorb(other));
      other.destroy();
    }
    expect(resultsOf(target)).toEqual(WANTED);
  });

  const query: Query = {
    types: [...KEYED],
    keys: [0],
    aggregates: [
      { name: "median", of: 1 },
      { name: "quantileDisc", of: 1, p: 0.9 },
      { name: "mode", of: 2 },
      { name: "count" },
    ],
  };
  /** Operators number their groups alike when their first rows have the same range of keys. */
  const ends = batchOf(KEYED, [
    [0n, 3999n],
    [null, null],
    [null, null],
  ]);
  /** How many rows, in how many groups. */
  type Some = readonly [number, number];
  const sharing = (shares: readonly Some[], more: readonly Aggregate[] = []) => {
    const asked = { ...query, aggregates: [...query.aggregates, ...more] };
    const whole = open(kernel, asked);
    let from = 0;
    const operators = shares.map(([rows, groups]) => {
      const operator = openShared(kernel, asked);
      for (const batch of [ends, ...keyed(rows, groups, from)]) {
        whole.push(batch);
        operator.push(batch);
      }
      from += rows;
      return operator;
    });
    return { whole, operators };
  };
  const hasFailed = (operator: Operator): boolean => {
    try {
      operator.watermark(END_OF_INPUT);
      return false;
    } catch (error) {
      expect(error).toBeInstanceOf(ClosedError);
      return true;
    }
  };

  test.each<[string, Some, Some, boolean]>([
    ["few", [4000, 4000], [250_000, 4000], true],
    ["none", [0, 1], [250_000, 4000], true],
    ["as many", [250_000, 3000], [250_000, 4000], true],
    ["as many, divided otherwise", [250_000, 40], [250_000, 4000], false],
    ["more than come", [250_000, 4000], [4000, 4000], false],
    ["values of few groups", [250_000, 3000], [250_000, 1], false],
  ])("values that come to where there are %s move, or are copied", (_name, there, come, move) => {
    const { whole, operators } = sharing([there, come]);
    const [target, source] = operators as [Operator, Operator];
    for (const _step of target.absorb(source));
    // What has lost its values can only be destroyed.
    expect(hasFailed(source)).toBe(move);
    source.destroy();
    expect(resultsOf(target)).toEqual(resultsOf(whole));
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("a combination that is given up leaves neither of any use once values have moved", () => {
    const many: Some = [250_000, 4000];
    const { whole, operators } = sharing([many, many], [{ name: "countDistinct", of: 1 }]);
    whole.destroy();
    const [target, source] = operators as [Operator, Operator];
    // A call goes through 65,536 groups or values: logs have moved, most of the distinct values are to come.
    expect(target.absorb(source).next().done).toBe(false);
    target.release();
    for (const operator of operators) {
      expect(hasFailed(operator)).toBe(true);
      operator.destroy();
    }
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("an allocation that fails while values move loses none", () => {
    let failed = 0;
    let wanted: string[] | null = null;
    for (const nth of [1, 2, 3, 4, 5].flatMap((one) => [one, one | LASTING])) {
      const { whole, operators } = sharing([
        [60_000, 500],
        [160_000, 500],
      ]);
      wanted ??= resultsOf(whole);
      whole.destroy();
      const [target, source] = operators as [Operator, Operator];
      kernel.failAllocation(nth >>> 0);
      try {
        for (const _step of target.absorb(source));
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        failed++;
        kernel.failAllocation(0);
        for (const _step of target.absorb(source));
      }
      kernel.failAllocation(0);
      source.destroy();
      expect(resultsOf(target)).toEqual(wanted);
    }
    expect(failed).toBeGreaterThan(3);
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("values that move, and results readied by parts in any order: those of one operator", () => {
    const share = fc.integer({ min: 1, max: 250_000 });
    const parts = fc.shuffledSubarray(Array.from({ length: PARTS }, (_, part) => part));
    fc.assert(
      fc.property(
        fc.array(share, { minLength: 2, maxLength: 4 }),
        fc.constantFrom(1, 60, 4000, 40_000),
        parts,
        (shares, groups, some) => {
          const { whole, operators } = sharing(shares.map((rows): Some => [rows, groups]));
          const from = shares.reduce((sum, rows) => sum + rows, 0);
          const [first, ...others] = operators;
          for (const other of others) {
            for (const _step of first!.absorb(other));
            other.destroy();
          }
          expect(first!.ready()).toBe(0);
          first!.watermark(END_OF_INPUT);
          const count = first!.ready();
          expect(count).toBe(from > 400_000 ? PARTS : count);
          // Twice, which changes nothing.
          if (count > 0) for (const part of [...some, ...some.slice(0, 3)]) first!.readyPart(part);
          const state = [...first!.snapshot()].length;
          expect(state).toBeGreaterThan(1);
          expect(resultsOf(first!)).toEqual(resultsOf(whole));
        },
      ),
      { numRuns: 6 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("an allocation that fails while results are readied changes none", () => {
    for (let nth = 1; nth < 8; nth++) {
      const operator = filled();
      operator.watermark(END_OF_INPUT);
      kernel.failAllocation(nth);
      let parts = 0;
      try {
        parts = operator.ready();
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
      }
      kernel.failAllocation(0);
      if (parts > 0) for (let part = 0; part < PARTS; part += 3) operator.readyPart(part);
      expect(resultsOf(operator)).toEqual(WANTED);
      const left = filled();
      left.watermark(END_OF_INPUT);
      left.ready();
      left.destroy();
    }
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("results in between: what lies settled and what has come since", () => {
    const operator = open(kernel, { ...QUERY, changelog: true });
    const rows: Value[][] = [];
    let start = 0;
    for (const size of [...SIZES, 2000, 8500]) {
      const end = start + size;
      operator.push(batchOf(QUERY.types, slice(TABLE, start, end)));
      rows.push(...changesOf(operator));
      expect(multiset(consolidate(rows))).toEqual(multiset(expected(QUERY, slice(TABLE, 0, end))));
      start = end;
    }
    const again = open(kernel, { ...QUERY, changelog: true });
    for (const state of operator.snapshot()) again.merge(state);
    operator.destroy();
    again.push(batchOf(QUERY.types, slice(TABLE, start, ROWS)));
    rows.push(...changesOf(again));
    again.destroy();
    expect(multiset(consolidate(rows))).toEqual(WANTED);
  });

  test("a state of values that lie settled and of others that wait", () => {
    const time = TABLE.length;
    const query = { ...QUERY, types: [...QUERY.types, int64] };
    const table = [...TABLE, Array.from({ length: ROWS }, (_, row) => BigInt(row))];
    const length = 1_000_000n;
    const changes = { lateness: 0n, early: 10_000n };
    const asked = {
      query,
      time,
      window: { kind: "tumble", length, offset: 0n },
      bound: 0n,
      changes,
    } as const;
    // Early results come every 10,000 rows, and a state leaves after 190,000.
    const { rows } = runWindow(kernel, asked, { table, watermarks: [] }, [2000], 65536, 95);
    const wanted = expected(QUERY, TABLE).map((row) => [0n, length, ...row]);
    expect(multiset(consolidate(rows))).toEqual(multiset(wanted));
  });

  test("values that are fed anew, when rows have been taken back", () => {
    const query: Query = {
      types: [int32, float64, int8],
      keys: [KEY],
      aggregates: [{ name: "median", of: FLOAT }],
      kind: 2,
    };
    const plain = TABLE.slice(0, 2);
    const kinds = (rows: number, kind: RowKind) => Array<Value>(rows).fill(BigInt(kind));
    const operator = open(kernel, { ...query, changelog: true });
    const come = batchOf(query.types, [...plain, kinds(ROWS, RowKind.INSERT)]);
    const rows = rowsOf(operator.process(come));
    const taken = 6000;
    operator.push(batchOf(query.types, [...slice(plain, 0, taken), kinds(taken, RowKind.DELETE)]));
    rows.push(...changesOf(operator));
    operator.destroy();
    const rest = [...slice(plain, taken, ROWS), kinds(ROWS - taken, RowKind.INSERT)];
    expect(multiset(consolidate(rows))).toEqual(multiset(expected(query, rest)));
  });

  test("values of no group in the first part, read before they are settled", () => {
    // Groups are numbered by their keys, and a part takes four at a time: the first has groups below 4, from 512 on, ...
    const keys = TABLE[KEY]!.map((_, row) => BigInt(40 + (row % 300)));
    const table = [keys, ...TABLE.slice(1)];
    const wanted = multiset(expected(QUERY, table));
    const operator = open(kernel, QUERY);
    pushAll(operator, QUERY, table, SIZES);
    const restored = open(kernel, QUERY);
    for (const state of operator.snapshot(50_000)) restored.merge(state);
    const whole = open(kernel, QUERY);
    for (const _step of whole.absorb(operator));
    operator.destroy();
    for (const other of [restored, whole]) expect(resultsOf(other)).toEqual(wanted);
  });

  test.each([
    ["that has come back from a state", 0],
    ["that is divided meanwhile", LASTING],
  ])("an allocation that fails loses nothing of a log %s", (_name, lasting) => {
    const starts = [0, 65_000, 130_000, 136_000, 137_000, ROWS];
    const batches = starts.slice(1).map((end, at) => batchOf(QUERY.types, slice(TABLE, starts[at]!, end)));
    const [filling, rest] = [batches.slice(0, 3), batches.slice(3)];
    const state = stateOf(filled(0, 136_000));
    let failed = 0;
    for (let nth = 1; nth < 30; nth += lasting === 0 ? 2 : 1) {
      const operator = open(kernel, QUERY);
      if (lasting === 0) for (const batch of state) operator.merge(batch);
      else for (const batch of filling) operator.push(batch);
      const again = <T>(call: () => T): T => {
        try {
          return call();
        } catch (error) {
          expect(error).toBeInstanceOf(MemoryLimitError);
          failed++;
          kernel.failAllocation(0);
          return call();
        }
      };
      kernel.failAllocation((nth | lasting) >>> 0);
      for (const batch of rest) again(() => operator.push(batch));
      operator.watermark(END_OF_INPUT);
      const rows: Value[][] = [];
      for (let batch = again(() => operator.pull()); batch !== null; batch = again(() => operator.pull()))
        rows.push(...rowsOf([batch]));
      kernel.failAllocation(0);
      operator.destroy();
      expect(multiset(rows)).toEqual(WANTED);
    }
    expect(failed).toBeGreaterThan(5);
    expect(kernel.blocks).toBeLessThan(8);
  });
});
