// Partial aggregations and their final ones: the same results, whenever state leaves, in bounded memory.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { PartialAggregation } from "../../bindings/ts/kernel/partial.js";
import type { StateBatch } from "../../bindings/ts/kernel/state.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { ArgumentError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import { AggregateFault } from "../abi/operator.js";
import {
  BUILDS,
  batchOf,
  cases,
  expected,
  multiset,
  open,
  outcome,
  type Query,
  rowsOf,
  slice,
  specOf,
} from "./testing.js";

const faults = fc.constantFrom(
  AggregateFault.NONE,
  AggregateFault.NO_DIRECT,
  AggregateFault.FLUSH_OFTEN,
  AggregateFault.FLUSH_OFTEN | AggregateFault.NO_DIRECT,
  AggregateFault.FLUSH_OFTEN | AggregateFault.HASH_ZERO | AggregateFault.TINY_TABLES,
);

function openPartial(kernel: Kernel, query: Query): PartialAggregation {
  return kernel.hashAggregate({ ...specOf(query), partial: true });
}

describe.each(BUILDS)("partial aggregation, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test("whatever leaves when, the final results are those of one run", () => {
    const steps = fc.array(
      fc.record({ rows: fc.integer({ min: 1, max: 70 }), flush: fc.boolean(), through: fc.boolean() }),
      { maxLength: 10 },
    );
    fc.assert(
      fc.property(cases, steps, faults, ({ query, table }, plan, fault) => {
        const rows = table[0]!.length;
        const partial = openPartial(kernel, { ...query, faults: fault });
        const between = openPartial(kernel, { ...query, faults: fault });
        const final = open(kernel, query);
        const send = (states: Iterable<StateBatch>, through: boolean) => {
          for (const state of states) (through ? between : final).merge(state);
        };
        try {
          let start = 0;
          for (const step of plan) {
            const end = Math.min(rows, start + step.rows);
            send(partial.process(batchOf(query.types, slice(table, start, end), start % 8)), step.through);
            if (step.flush) send(partial.flush(), step.through);
            start = end;
          }
          send(partial.process(batchOf(query.types, slice(table, start, rows))), false);
          send(partial.finish(), true);
          send(between.finish(), false);
          const { rowsIn, rowsSelected } = partial.stats();
          expect(rowsIn).toBe(rows);
          expect(final.stats()).toMatchObject({ rowsIn, rowsSelected });
          expect(outcome(() => multiset(rowsOf(final.finish())))).toEqual(
            outcome(() => multiset(expected(query, table))),
          );
        } finally {
          for (const operator of [partial, between, final]) operator.destroy();
        }
      }),
      { numRuns: 150 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  const N = 1 << 16;
  const query: Query = {
    types: [types.int64, types.int64],
    keys: [0],
    aggregates: [{ name: "sum", of: 1 }, { name: "count" }],
  };

  /** Rows from `start` on, whose keys are made by `key`. */
  function rowsFrom(start: number, key: (row: number) => number): BatchData {
    const column = (values: BigInt64Array) => ({
      type: types.int64,
      length: N,
      offset: 0,
      nullCount: 0,
      validity: null,
      offsets: null,
      values: new Uint8Array(values.buffer),
      dictionary: null,
    });
    const fields = query.types.map((type, i) => ({ name: `c${i}`, type, nullable: false }));
    const keys = BigInt64Array.from({ length: N }, (_, row) => BigInt(key(start + row)) * 2n ** 30n);
    return { schema: { fields }, length: N, columns: [column(keys), column(new BigInt64Array(N).fill(1n))] };
  }

  test("rows that do not reduce pass on, in bounded memory, until they reduce again", () => {
    const partial = openPartial(kernel, query);
    const final = open(kernel, query);
    let groups = 0;
    let peak = 0;
    const push = (batches: number, key: (row: number) => number) => {
      let sent = 0;
      for (let at = 0; at < batches; at++) {
        for (const state of partial.process(rowsFrom(at * N, key))) {
          if (state.section === 1) sent += state.length;
          final.merge(state);
        }
        peak = Math.max(peak, partial.stats().stateBytes);
      }
      return sent;
    };
    // All different: nearly every row is sent as it comes.
    expect(push(16, (row) => row)).toBe(16 * N);
    groups += 16 * N;
    // A thousand keys: a sample in eight still looks, and then no row is sent any more.
    expect(push(16, (row) => -1 - (row % 1000))).toBeLessThan(15 * N);
    expect(push(16, (row) => -1 - (row % 1000))).toBe(0);
    groups += 1000;
    for (const state of partial.finish()) final.merge(state);
    expect(peak).toBeLessThan(24 * 2 ** 20);
    expect(partial.stats()).toMatchObject({ rowsIn: 48 * N, rowsSelected: 48 * N });
    expect(final.stats().groups).toBe(groups);
    let rows = 0n;
    for (const batch of final.finish()) {
      const { buffer, byteOffset } = batch.columns[1]!.values;
      for (const sum of new BigInt64Array(buffer, byteOffset, batch.length)) rows += sum;
    }
    expect(rows).toBe(BigInt(48 * N));
    partial.destroy();
    final.destroy();
  });

  test.runIf(build === "simd")("many groups that do reduce leave at a million", () => {
    const partial = openPartial(kernel, query);
    const final = open(kernel, query);
    let sent = 0;
    for (let at = 0; at < 40; at++) {
      for (const state of partial.process(rowsFrom(at * N, (row) => Math.floor(row / 2)))) {
        if (state.section === 1) sent += state.length;
        final.merge(state);
      }
    }
    expect(sent).toBe(1 << 20);
    for (const state of partial.finish()) final.merge(state);
    expect(final.stats()).toMatchObject({ groups: 20 * N, rowsIn: 40 * N });
    partial.destroy();
    final.destroy();
  });

  test("when any allocation fails while state leaves, no row is lost and none counts twice", () => {
    const texts: Query = {
      types: [types.utf8, types.float64],
      keys: [0],
      aggregates: [
        { name: "sum", of: 1 },
        { name: "countDistinct", of: 0 },
        { name: "max", of: 0 },
      ],
    };
    const table = [
      Array.from({ length: 90 }, (_, i) => `text ${i % 80}`),
      Array.from({ length: 90 }, (_, i) => i / 3),
    ];
    const wanted = multiset(expected(texts, table));
    let failures = 0;
    for (let nth = 1; nth < 60; nth++) {
      const partial = openPartial(kernel, texts);
      const states = [...partial.process(batchOf(texts.types, slice(table, 0, 50)))];
      kernel.failAllocation(nth);
      for (let done = false; !done; ) {
        try {
          for (const state of partial.flush()) states.push(state);
          done = true;
        } catch (error) {
          if (!(error instanceof MemoryLimitError)) throw error;
          failures++;
          expect(partial.stats().rowsIn).toBe(50);
        }
      }
      kernel.failAllocation(0);
      states.push(...partial.process(batchOf(texts.types, slice(table, 50, 90))), ...partial.finish());
      partial.destroy();
      const final = open(kernel, texts);
      for (const state of states) final.merge(state);
      expect(multiset(rowsOf(final.finish()))).toEqual(wanted);
      final.destroy();
    }
    expect(failures).toBeGreaterThan(20);
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("a partial aggregation is no changelog, and takes no rows while state waits", () => {
    expect(() => kernel.hashAggregate({ ...specOf({ ...query, changelog: true }), partial: true })).toThrow(
      ArgumentError,
    );
    const partial = openPartial(kernel, { ...query, faults: AggregateFault.FLUSH_OFTEN });
    const states = partial.process(rowsFrom(0, (row) => row));
    const first = states.next().value as StateBatch;
    states.return?.(undefined);
    // What was not taken comes with the next call.
    const rest = [...partial.process(rowsFrom(0, (row) => row))];
    expect([first, ...rest].map(({ section }) => section)).toEqual([0, 1, 0, 1]);
    expect([...partial.finish()]).toEqual([]);
    partial.destroy();
  });
});
