// Logs of values that are large enough to be kept in parts: what they give, wherever they come from and go.

import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import { bool, float64, int8, int32, int64 } from "../../bindings/ts/type/data-type.js";
import { MemoryLimitError } from "../../bindings/ts/type/error.js";
import { consolidate } from "../../test/testing-result.js";
import type { Value } from "../../twin/values.js";
import { RowKind } from "../abi/operator.js";
import {
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  pushAll,
  type Query,
  rowsOf,
  slice,
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
    // Groups are numbered by their keys, and a part takes eight at a time: the first has groups below 8, from 512 on, ...
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
