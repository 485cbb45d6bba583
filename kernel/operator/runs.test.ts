// Rows that come in runs of one group (runs.ts) come to what the twin says: every aggregate, runs shorter and longer than a
// vector, with nulls and filters or without.

import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Value } from "../../twin/values.js";
import {
  type Aggregate,
  BUILDS,
  cases,
  expected,
  multiset,
  outcome,
  type Query,
  resultsOfTable,
  type Table,
} from "./testing.js";
import {
  FILTER,
  FLOAT,
  INT_KEY,
  KINDS,
  LARGE,
  OTHER,
  SMALL,
  TEXT_KEY,
  TYPES,
  tableOf,
} from "./testing-stretches.js";

/** The rows of a table so many times, those of one group together. */
function inRuns(table: Table, keys: readonly number[], times: number): Table {
  const rows = (table[0] ?? []).length;
  const groups = new Map<string, number[]>();
  for (let row = 0; row < rows; row++) {
    const key = inspect(keys.map((column) => table[column]![row]));
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const order = [...groups.values()].flatMap((of) => Array.from({ length: times }, () => of).flat());
  return table.map((column) => order.map((row) => column[row]!));
}

const MANY: readonly (readonly Aggregate[])[] = [
  [{ name: "sum", of: SMALL }, { name: "count" }],
  [
    { name: "sum", of: SMALL },
    { name: "sum", of: LARGE },
  ],
  [
    { name: "sum", of: FLOAT },
    { name: "avg", of: OTHER },
    { name: "count", of: OTHER },
  ],
  [
    { name: "min", of: SMALL },
    { name: "max", of: SMALL },
    { name: "min", of: LARGE },
    { name: "max", of: FLOAT },
  ],
  [
    { name: "sum", of: FLOAT, filter: FILTER },
    { name: "max", of: LARGE, filter: FILTER },
    { name: "count", filter: FILTER },
  ],
  [
    { name: "stddev", of: FLOAT },
    { name: "corr", of: FLOAT, second: OTHER },
    { name: "variance", of: SMALL },
  ],
  [
    { name: "min", of: TEXT_KEY },
    { name: "countDistinct", of: SMALL },
    { name: "median", of: LARGE },
    { name: "boolAnd", of: FILTER },
  ],
];

describe.each(BUILDS)("rows in runs of one group, %s build", (build) => {
  test("any aggregation is the twin's", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    fc.assert(
      fc.property(
        cases,
        fc.integer({ min: 3, max: 40 }),
        fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 4 }),
        ({ query, table }, times, sizes) => {
          const runs = inRuns(table, query.keys, times);
          const wanted = outcome(() => multiset(expected(query, runs)));
          const got = outcome(() => resultsOfTable(kernel, query, runs, sizes));
          expect(got).toEqual(wanted);
          expect(kernel.usedBytes).toBe(before);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each(MANY.map((aggregates, at) => [at, aggregates] as const))(
    "aggregates %i, of rows of every kind",
    async (_, aggregates) => {
      const kernel = await Kernel.open({ build });
      for (const keys of [[INT_KEY], [TEXT_KEY], [TEXT_KEY, INT_KEY]]) {
        const query: Query = { types: TYPES, keys, aggregates };
        for (const kind of KINDS) {
          const table = inRuns(tableOf(["plain", kind, "plain"], 700), keys, 3);
          expect(resultsOfTable(kernel, query, table, [5000])).toEqual(multiset(expected(query, table)));
        }
      }
    },
  );

  test("plain sums of whole floats", async () => {
    const kernel = await Kernel.open({ build });
    const query: Query = {
      types: TYPES,
      keys: [INT_KEY],
      aggregates: [{ name: "sum", of: FLOAT, fast: true }],
    };
    const plain = inRuns(tableOf(["plain", "nulls", "plain"], 2000), [INT_KEY], 1);
    const whole = plain.map((column, at) =>
      at === FLOAT ? plain[SMALL]!.map((value) => (value === null ? null : Number(value))) : column,
    );
    expect(resultsOfTable(kernel, query, whole, [])).toEqual(multiset(expected(query, whole)));
  });

  test("runs of any length, and groups that come again", async () => {
    const kernel = await Kernel.open({ build });
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.integer({ min: 0, max: 5 }),
            fc.constantFrom(1, 63, 64, 65, 130, 700, 2047, 2048, 5000),
          ),
          {
            minLength: 1,
            maxLength: 12,
          },
        ),
        (lengths) => {
          const plain = tableOf(
            ["plain"],
            lengths.reduce((sum, [, length]) => sum + length, 0),
          );
          const keys: Value[] = lengths.flatMap(([key, length]) => Array.from({ length }, () => BigInt(key)));
          const table = plain.map((column, at) => (at === INT_KEY ? keys : column));
          const query: Query = { types: TYPES, keys: [INT_KEY], aggregates: MANY.slice(0, 4).flat() };
          expect(resultsOfTable(kernel, query, table, [])).toEqual(multiset(expected(query, table)));
        },
      ),
      { numRuns: 40 },
    );
  });
});
