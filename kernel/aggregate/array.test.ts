// All values of a group as a list or a text, against a sorted array, whatever the type, batches, parts and changes.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { ArgumentError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  expected,
  inThreeWays,
  multiset,
  open,
  pushAll,
  type Query,
  rowsOf,
  type Table,
  TYPES,
  valuesOf,
} from "../operator/testing.js";

const RUNS = 60;

/** A key, a value, a filter. All over one column share its log; a text has its separators, too. */
function query(type: types.DataType, keys: readonly number[]): Query {
  const isText = type.kind === "utf8" || type.kind === "largeUtf8";
  const texts: Aggregate[] = [
    { name: "stringAgg", of: 1, separator: "" },
    { name: "stringAgg", of: 1, separator: "|é", descending: true },
    { name: "stringAgg", of: 1, separator: ", ", filter: 2 },
  ];
  return {
    types: [types.int32, type, types.bool],
    keys,
    aggregates: [
      { name: "arrayAgg", of: 1 },
      { name: "arrayAgg", of: 1, descending: true },
      { name: "arrayAgg", of: 1, filter: 2 },
      { name: "count" },
      ...(isText ? texts : []),
    ],
  };
}

const cases: fc.Arbitrary<{ query: Query; table: Table; cut: number }> = fc
  .record({
    type: fc.oneof(fc.constantFrom(...TYPES), fc.constantFrom(types.utf8, types.largeUtf8)),
    keys: fc.constantFrom([], [0], [0, 1]),
    rows: fc.integer({ min: 0, max: 120 }),
    groups: fc.constantFrom(1n, 3n, 50n),
  })
  .chain(({ type, keys, rows, groups }) => {
    const column = <T extends Value>(cell: fc.Arbitrary<T>) =>
      fc.array(fc.option(cell, { freq: 8 }), { minLength: rows, maxLength: rows });
    return fc.record({
      query: fc.constant(query(type, keys)),
      table: fc.tuple(column(fc.bigInt(0n, groups)), column(valuesOf(type)), column(fc.boolean())),
      cut: fc.nat(rows),
    });
  });

describe.each(BUILDS)("%s", async (build) => {
  const kernel = await Kernel.open({ build, budget: 2 ** 28 });

  test("whole, in parts that are merged, and as changes", () => {
    fc.assert(
      fc.property(cases, ({ query, table, cut }) => {
        const wanted = multiset(expected(query, table));
        const { whole, merged, changes } = inThreeWays(kernel, query, table, cut, 7);
        expect(whole).toEqual(wanted);
        expect(merged).toEqual(wanted);
        expect(changes).toEqual(wanted);
      }),
      { numRuns: RUNS },
    );
  });

  test("several vectors and many groups", () => {
    const rows = 5_000;
    const cell = (row: number) => (row * 7919) % 10_007;
    const table: Table = [
      Array.from({ length: rows }, (_, row) => BigInt(cell(row) % 700)),
      Array.from({ length: rows }, (_, row) => "x".repeat(cell(row) % 30) + cell(row + 1)),
      Array.from({ length: rows }, (_, row) => row % 3 === 0),
    ];
    for (const keys of [[], [0]]) {
      const texts = query(types.utf8, keys);
      const operator = open(kernel, texts);
      pushAll(operator, texts, table, [1500, 2500]);
      expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(texts, table)));
      operator.destroy();
    }
  });

  test("memory that ends refuses a push or a pull, and all of it comes back", async () => {
    const small = await Kernel.open({ build, budget: 6 * 2 ** 20 });
    const before = small.usedBytes;
    const asked = query(types.utf8, []);
    const text = "x".repeat(1000);
    const batch = batchOf(asked.types, [Array(500).fill(1n), Array(500).fill(text), Array(500).fill(true)]);
    const operator = open(small, asked);
    expect(() => {
      for (let push = 0; push < 50; push++) operator.push(batch);
      for (const _ of operator.finish());
    }).toThrow(MemoryLimitError);
    operator.destroy();
    expect(small.usedBytes).toBe(before);
    small.close();
  });

  test("a text needs a separator, and only a text", () => {
    const aggregate = (spec: object) => () =>
      kernel.hashAggregate({
        columns: [
          { name: "s", type: types.utf8 },
          { name: "x", type: types.int32 },
        ],
        keys: [],
        aggregates: [{ name: "all", function: "stringAgg", column: "s", ...spec }],
      });
    expect(aggregate({})).toThrow(ArgumentError);
    expect(aggregate({ function: "arrayAgg", separator: "," })).toThrow(ArgumentError);
    expect(aggregate({ column: "x", separator: "," })).toThrow(/stringAgg takes a text column/);
    const fine = aggregate({ separator: ", " })();
    expect(rowsOf(fine.finish())).toEqual([[null]]);
    fine.destroy();
    expect(kernel.blocks).toBeLessThan(8);
  });
});
