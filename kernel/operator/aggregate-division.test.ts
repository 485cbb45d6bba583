// Divided states: every partition is a state of its own, and those of one partition hold all that there is of its keys.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import type { PartitionedState } from "../../bindings/ts/kernel/state.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { ArgumentError, CorruptStateError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import {
  BUILDS,
  batchOf,
  cases,
  expected,
  multiset,
  open,
  outcome,
  pushAll,
  type Query,
  rowsOf,
  slice,
  type Table,
} from "./testing.js";

const faults = fc.constantFrom(
  AggregateFault.NONE,
  AggregateFault.HASH_ZERO | AggregateFault.NO_DIRECT,
  AggregateFault.SET_ASIDE,
  AggregateFault.SET_ASIDE | AggregateFault.TINY_TABLES | AggregateFault.NO_DIRECT,
);
const numbers = fc.constantFrom(1, 2, 7, 64, 256);
const keyed = cases.filter(({ query }) => query.keys.length > 0);

/** Merges states partition by partition and answers the results of each, by the number of the partition. */
function merged(kernel: Kernel, query: Query, states: readonly PartitionedState[]): Map<number, Value[][]> {
  const parts = new Map<number, PartitionedState[]>();
  for (const state of states) parts.set(state.partition, [...(parts.get(state.partition) ?? []), state]);
  const answers = new Map<number, Value[][]>();
  for (const [part, own] of parts) {
    const operator = open(kernel, query);
    try {
      for (const state of own) operator.merge(state);
      answers.set(part, rowsOf(operator.finish()));
    } finally {
      operator.destroy();
    }
  }
  return answers;
}

/** Refuses states whose rows are not all of the partition that PARTITION puts them in. */
function checkPlaces(kernel: Kernel, { keys }: Query, parts: number, states: readonly PartitionedState[]) {
  for (const state of states) {
    if (state.section !== 1) continue;
    const fields = state.schema.fields.slice(0, keys.length);
    const partition = kernel.partition({ columns: fields, keys: fields.map(({ name }) => name), parts });
    const batch = { schema: { fields }, length: state.length, columns: state.columns.slice(0, keys.length) };
    for (const piece of partition.split(batch)) expect(piece.partition).toBe(state.partition);
    partition.destroy();
  }
}

describe.each(BUILDS)("divided states, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test("merge partition by partition to the results of the whole", () => {
    fc.assert(
      fc.property(
        keyed,
        numbers,
        faults,
        fc.integer({ min: 1, max: 40 }),
        ({ query, table }, parts, fault, maxRows) => {
          const rows = table[0]!.length;
          const states: PartitionedState[] = [];
          for (const [from, to] of [
            [0, rows >> 1],
            [rows >> 1, rows],
          ] as const) {
            const operator = open(kernel, { ...query, faults: fault });
            pushAll(operator, query, slice(table, from, to), [17]);
            // It goes on as if it had not been asked, and may have ended as long as nothing has been pulled.
            const once = [...operator.snapshotParts(parts, maxRows)];
            operator.watermark(END_OF_INPUT);
            const again = [...operator.snapshotParts(parts, maxRows)];
            expect(again).toEqual(once);
            states.push(...once);
            operator.destroy();
          }
          checkPlaces(kernel, query, parts, states);
          const got = outcome(() => multiset([...merged(kernel, query, states).values()].flat()));
          const wanted = outcome(() => multiset(expected(query, table)));
          expect(got).toEqual(wanted);
        },
      ),
      { numRuns: 150 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  const query: Query = {
    types: [types.int64, types.utf8],
    keys: [0],
    aggregates: [{ name: "countDistinct", of: 1 }],
  };
  const table: Table = [
    Array.from({ length: 200 }, (_, row) => BigInt(row % 50)),
    Array.from({ length: 200 }, (_, row) => `text ${row % 9}`),
  ];
  const filled = (): Operator => {
    const operator = open(kernel, query);
    operator.push(batchOf(query.types, table));
    return operator;
  };

  test("only keys divide, among 1 to 256 partitions", () => {
    const operator = filled();
    for (const wrong of [0, 257, 2 ** 32 - 1])
      expect(() => [...operator.snapshotParts(wrong)]).toThrow(ArgumentError);
    expect([...operator.snapshotParts(256)].length).toBeGreaterThan(3);
    operator.destroy();
    const ungrouped = open(kernel, { ...query, keys: [] });
    expect(() => [...ungrouped.snapshotParts(2)]).toThrow(CorruptStateError);
    ungrouped.destroy();
  });

  test("one that is left half-way is given up, one without groups is empty", () => {
    const operator = filled();
    const before = kernel.usedBytes;
    for (const _ of operator.snapshotParts(8)) break;
    const whole = [...operator.snapshotParts(8)];
    expect(merged(kernel, query, whole).size).toBeGreaterThan(4);
    expect(kernel.usedBytes - before).toBeLessThan(2 ** 20);
    operator.destroy();
    const empty = open(kernel, query);
    expect([...empty.snapshotParts(8)]).toEqual([]);
    empty.push(batchOf(query.types, table));
    expect(empty.stats().groups).toBe(50);
    empty.destroy();
  });

  test("each allocation fails in turn, and changes nothing", () => {
    const wanted = (() => {
      const operator = filled();
      const states = [...operator.snapshotParts(4)];
      operator.destroy();
      return states;
    })();
    for (let nth = 1, refused = true; refused; nth++) {
      const operator = filled();
      kernel.failAllocation(nth);
      refused = false;
      try {
        Array.from(operator.snapshotParts(4));
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        refused = true;
      }
      kernel.failAllocation(0);
      expect([...operator.snapshotParts(4)]).toEqual(wanted);
      operator.destroy();
    }
    expect(kernel.blocks).toBeLessThan(8);
  });
});
