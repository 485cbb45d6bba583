// Aggregations pushed together against the same ones pushed each by itself: results, changes after every push and states
// are the same bits in the same order, whatever the keys, tiers, fault switches and memory that runs out in between.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeProjectConfig } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { ClosedError, MemoryLimitError, OverflowError } from "../../bindings/ts/type/error.js";
import { valueName } from "../../twin/aggregate.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault, OperatorKind } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import {
  aggregateSpec,
  BUILDS,
  batchOf,
  cases,
  open,
  type Query,
  rowsOf,
  slice,
  type Table,
} from "./testing.js";
import { LASTING, SMALL_TOO } from "./testing-retries.js";

const RUNS = 150;

/** Sets of keys of a query, each with its fault switches; more columns may be keys than the query groups by. */
const sets = fc.array(
  fc.record({
    keys: fc.subarray([0, 1, 2]),
    faults: fc.constantFrom(
      AggregateFault.NONE,
      AggregateFault.NO_DIRECT,
      AggregateFault.HASH_ZERO | AggregateFault.NO_DIRECT,
      AggregateFault.SET_ASIDE,
      AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT,
      AggregateFault.SET_ASIDE | AggregateFault.TINY_TABLES | AggregateFault.NO_DIRECT,
    ),
  }),
  { minLength: 1, maxLength: 4 },
);
const splits = fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 8 });

function queriesOf(
  query: Query,
  of: readonly { keys: number[]; faults: number }[],
  changelog: boolean,
): Query[] {
  const most = query.types.length - 2;
  const queries = of.map(({ keys, faults }) => ({
    ...query,
    keys: keys.filter((key) => key < most),
    faults,
    changelog,
  }));
  return queries.filter(({ keys, aggregates }) => keys.length + aggregates.length > 0);
}

/** A projection that computes what the queries' programs do, its outputs turned round. */
function leaderOf(kernel: Kernel, query: Query): { leader: Operator; count: number } {
  const own = new ProgramBuilder();
  const count = aggregateSpec(own, query).outputs.length;
  const program = new ProgramBuilder();
  const columns = specColumns(program, query);
  for (const column of [...columns].reverse()) program.output(column);
  const leader = kernel.operator({
    kind: OperatorKind.PROJECT,
    config: encodeProjectConfig(program.encode(), count),
    columns: query.types.map((_, index) => index),
    output: { fields: [] },
  });
  return { leader, count };
}

function specColumns(program: ProgramBuilder, query: Query): number[] {
  // What `aggregateSpec` does, without its outputs.
  const columns = query.types.map((type) => program.column(types.physicalType(types.valueType(type))));
  if (query.where !== undefined) program.filter(program.load(columns[query.where]!));
  return columns.map((column) => program.load(column));
}

/** The sets as `op_push_together` is told of them. */
function listed(kernel: Kernel, operators: readonly Operator[], count: number): number {
  const address = kernel.allocate(8 * operators.length + 4 * count);
  const { view } = kernel.memory;
  const outputs = address + 8 * operators.length;
  for (const [index, { handle }] of operators.entries()) {
    view.setUint32(address + 8 * index, handle, true);
    view.setUint32(address + 8 * index + 4, outputs, true);
  }
  for (let output = 0; output < count; output++)
    view.setUint32(outputs + 4 * output, count - 1 - output, true);
  return address;
}

const named = (batches: Iterable<BatchData>) => rowsOf(batches).map((row) => row.map(valueName).join(" | "));

/** Batches of a table, cut as `sizes` say; the last one takes the rest. */
function* batchesOf(query: Query, table: Table, sizes: readonly number[]): Generator<BatchData> {
  const rows = table[0]?.length ?? 0;
  for (let start = 0, i = 0; start < rows; i++) {
    const end = Math.min(rows, start + (sizes[i] ?? rows));
    yield batchOf(query.types, slice(table, start, end), i % 9, i % 2 === 1);
    start = end;
  }
}

/** Results of a run, up to where a sum overflows. */
function told(run: (tell: (rows: readonly string[]) => void) => void): string[] {
  const rows: string[] = [];
  try {
    run((more) => rows.push(...more));
  } catch (error) {
    if (!(error instanceof OverflowError)) throw error;
    rows.push("overflow");
  }
  return rows;
}

const drained = (operator: Operator, maxRows: number) => {
  const batches: BatchData[] = [];
  for (let batch = operator.pull(maxRows); batch !== null; batch = operator.pull(maxRows))
    batches.push(batch);
  return named(batches);
};

describe.each(BUILDS)("aggregations pushed together, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test("give what they give pushed one by one, after each push and in the end", () => {
    fc.assert(
      fc.property(
        cases,
        sets,
        splits,
        fc.boolean(),
        fc.integer({ min: 1, max: 50 }),
        ({ query, table }, of, sizes, changelog, maxRows) => {
          const queries = queriesOf(query, of, changelog);
          if (queries.length === 0) return;
          const [apart, together] = [0, 1].map(() => queries.map((one) => open(kernel, one)));
          const { leader, count } = leaderOf(kernel, query);
          const list = listed(kernel, together!, count);
          const alone = told((tell) => {
            for (const batch of batchesOf(query, table, sizes)) {
              for (const operator of apart!) operator.push(batch);
              if (changelog) for (const operator of apart!) tell(drained(operator, maxRows));
            }
            for (const operator of apart!) tell(named(operator.finish(maxRows)));
          });
          const all = told((tell) => {
            for (const batch of batchesOf(query, table, sizes)) {
              const address = leader.stage(batch).describe(leader.columns, 0, batch.length);
              const status = leader.pushTogether(address, batch.schema, 0, list, queries.length);
              const rows = changelog ? together!.map((operator) => drained(operator, maxRows)) : [];
              // A group that was met may have the results that it had.
              if (status !== Status.HAS_MORE) expect(rows.flat()).toEqual([]);
              tell(rows.flat());
            }
            for (const operator of together!) tell(named(operator.finish(maxRows)));
          });
          expect(all).toEqual(alone);
          for (const [index, operator] of together!.entries()) {
            const { rowsIn, rowsSelected, batchesIn, groups, keyTier } = operator.stats();
            if (!alone.includes("overflow"))
              expect(apart![index]!.stats()).toMatchObject({
                rowsIn,
                rowsSelected,
                batchesIn,
                groups,
                keyTier,
              });
          }
          for (const operator of [...apart!, ...together!, leader]) operator.destroy();
          kernel.free(list);
        },
      ),
      { numRuns: RUNS * 2 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("have the states that they have pushed one by one, and may be pushed either way", () => {
    fc.assert(
      fc.property(cases, sets, splits, ({ query, table }, of, sizes) => {
        const queries = queriesOf(query, of, false);
        if (queries.length === 0) return;
        const operators = queries.map((one) => open(kernel, one));
        const apart = queries.map((one) => open(kernel, one));
        const { leader, count } = leaderOf(kernel, query);
        const list = listed(kernel, operators, count);
        let together = true;
        for (const batch of batchesOf(query, table, sizes)) {
          for (const operator of apart) operator.push(batch);
          if (together) {
            const address = leader.stage(batch).describe(leader.columns, 0, batch.length);
            leader.pushTogether(address, batch.schema, 0, list, queries.length);
          } else for (const operator of operators) operator.push(batch);
          together = !together;
        }
        for (const [index, operator] of operators.entries()) {
          const states = [...operator.snapshot(7)].map(({ section, ...batch }) => [section, named([batch])]);
          const wanted = [...apart[index]!.snapshot(7)].map(({ section, ...batch }) => [
            section,
            named([batch]),
          ]);
          expect(states).toEqual(wanted);
          const restored = open(kernel, queries[index]!);
          for (const state of operator.snapshot(7)) restored.merge(state);
          restored.destroy();
        }
        for (const operator of [...apart, ...operators, leader]) operator.destroy();
        kernel.free(list);
      }),
      { numRuns: RUNS },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test.each([false, true])(
    "an allocation that fails leaves all of them as they were, changes: %s",
    (changelog) => {
      const query: Query = {
        types: [types.int64, types.utf8, types.float64],
        keys: [],
        aggregates: [
          { name: "sum", of: 2 },
          { name: "count" },
          { name: "min", of: 1 },
          { name: "sum", of: 0 },
        ],
        changelog,
      };
      const queries = [[0], [1], [0, 1], []].map((keys) => ({ ...query, keys }));
      const rows = 700;
      const table: Table = [
        Array.from({ length: rows }, (_, row): Value => (row % 50 === 49 ? null : BigInt(row) * 77_000_003n)),
        Array.from({ length: rows }, (_, row): Value => `text ${row % 90}`),
        Array.from({ length: rows }, (_, row): Value => (row % 7 === 0 ? null : 1.5 ** (row % 300))),
      ];
      /** The rows that come, where the nth allocation of the second push fails; null where that was the end. */
      const run = (nth: number) => {
        const operators = queries.map((one) => open(kernel, one));
        const { leader, count } = leaderOf(kernel, query);
        const list = listed(kernel, operators, count);
        const given: string[] = [];
        let refused = false;
        let isLost = false;
        for (const [index, batch] of [...batchesOf(query, table, [200, 300])].entries()) {
          const address = leader.stage(batch).describe(leader.columns, 0, batch.length);
          const push = () => leader.pushTogether(address, batch.schema, 0, list, queries.length);
          kernel.failAllocation(index === 1 ? nth : 0);
          try {
            if (push() === null) refused = true;
          } catch (error) {
            expect(error).toBeInstanceOf(MemoryLimitError);
            isLost = true;
          }
          kernel.failAllocation(0);
          if (isLost) break;
          if (refused && index === 1) expect(push()).not.toBeNull();
          if (changelog) for (const operator of operators) given.push(...drained(operator, 1000));
        }
        // What fails in the midst of the rows ends them all.
        const again = () => leader.push(batchOf(query.types, table));
        for (const operator of operators) {
          if (isLost) expect(() => operator.push(batchOf(query.types, table))).toThrow(ClosedError);
          else given.push(...named(operator.finish()));
        }
        if (isLost) expect(again).toThrow(ClosedError);
        for (const operator of [...operators, leader]) operator.destroy();
        kernel.free(list);
        return { refused, given: isLost ? null : given.sort() };
      };
      const undisturbed = run(0).given!;
      expect(undisturbed.length).toBeGreaterThan(700);
      let refusals = 0;
      for (let nth = 1; nth < 80; nth++) {
        const { refused, given } = run(nth % 2 === 0 ? nth : (nth | LASTING | SMALL_TOO) >>> 0);
        refusals += Number(refused);
        if (given !== null) expect([nth, given]).toEqual([nth, undisturbed]);
      }
      expect(refusals).toBeGreaterThan(5);
      expect(kernel.blocks).toBeLessThan(8);
    },
  );
});
