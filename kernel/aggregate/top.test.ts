// The k greatest and least of each group against a sorted array, whatever the type, k, batches, parts and changes.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { isOrderType } from "../../bindings/ts/type/aggregate.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { ArgumentError, CorruptStateError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import {
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

/** A key, a value, a filter, a value to go by; the same lists twice share one accumulator. */
function query(
  type: types.DataType,
  keys: readonly number[],
  limit: number,
  by: types.DataType = types.int32,
): Query {
  return {
    types: [types.int32, type, types.bool, by],
    keys,
    aggregates: [
      { name: "topK", of: 1, limit },
      { name: "bottomK", of: 1, limit },
      { name: "topK", of: 1, limit: 2, filter: 2 },
      { name: "bottomK", of: 1, limit: 1 },
      { name: "topK", of: 1, limit },
      { name: "topK", of: 1, second: 3, limit },
      { name: "bottomK", of: 1, second: 3, limit: 2, filter: 2 },
      { name: "max", of: 1 },
      { name: "count", of: 1 },
    ],
  };
}

const cases: fc.Arbitrary<{ query: Query; table: Table; cut: number }> = fc
  .record({
    type: fc.constantFrom(...TYPES),
    by: fc.constantFrom(...TYPES.filter(isOrderType)),
    keys: fc.constantFrom([], [0], [0, 1]),
    limit: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant(31)),
    rows: fc.integer({ min: 0, max: 120 }),
    groups: fc.constantFrom(1n, 3n, 50n),
  })
  .chain(({ type, by, keys, limit, rows, groups }) => {
    const column = <T extends Value>(cell: fc.Arbitrary<T>) =>
      fc.array(fc.option(cell, { freq: 8 }), { minLength: rows, maxLength: rows });
    return fc.record({
      query: fc.constant(query(type, keys, limit, by)),
      table: fc.tuple(
        column(fc.bigInt(0n, groups)),
        column(valuesOf(type)),
        column(fc.boolean()),
        column(valuesOf(by)),
      ),
      cut: fc.nat(rows),
    });
  });

describe.each(BUILDS)("%s", async (build) => {
  const kernel = await Kernel.open({ build, budget: 2 ** 30 });

  test("whole, in parts that are merged, and as changes", () => {
    fc.assert(
      fc.property(cases, ({ query, table, cut }) => {
        const wanted = multiset(expected(query, table));
        const { whole, merged, changes } = inThreeWays(kernel, query, table, cut);
        expect(whole).toEqual(wanted);
        expect(merged).toEqual(wanted);
        expect(changes).toEqual(wanted);
      }),
      { numRuns: RUNS },
    );
  });

  test("many groups and rows, growing and shrinking texts", () => {
    const rows = 5_000;
    const cell = (row: number) => (row * 7919) % 10_007;
    const table: Table = [
      Array.from({ length: rows }, (_, row) => BigInt(cell(row) % 700)),
      Array.from({ length: rows }, (_, row) => "x".repeat(cell(row) % 90) + cell(row + 1)),
      Array.from({ length: rows }, (_, row) => row % 3 === 0),
      Array.from({ length: rows }, (_, row) => BigInt(cell(row) % 300)),
    ];
    for (const keys of [[], [0]]) {
      const texts = query(types.utf8, keys, 3);
      const operator = open(kernel, texts);
      pushAll(operator, texts, table, [1500, 2500]);
      expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(texts, table)));
      operator.destroy();
      const floats = query(types.float64, keys, 5);
      const numbers = [table[0]!, table[1]!.map((text) => (text as string).length - 40.5), ...table.slice(2)];
      const other = open(kernel, floats);
      pushAll(other, floats, numbers, [1500, 2500]);
      expect(multiset(rowsOf(other.finish()))).toEqual(multiset(expected(floats, numbers)));
      other.destroy();
    }
  });

  test("a state that contradicts itself is refused", () => {
    for (const [type, value] of [
      [types.int64, 5n],
      [types.utf8, "abc"],
    ] as const) {
      const asked = query(type, [0], 3);
      const operator = open(kernel, asked);
      operator.push(batchOf(asked.types, [[1n], [value], [true], [7n]]));
      const [header, groups] = [...operator.snapshot()];
      operator.destroy();
      // Each list in turn (the last column of bytes is the maximum): a byte fewer, a length past the end.
      const lists = groups!.columns.flatMap(({ offsets }, at) => (offsets === null ? [] : [at]));
      const all = lists.slice(0, 5).flatMap((at) => {
        const list = groups!.columns[at]!;
        const short = { ...list, offsets: new Uint8Array(Int32Array.of(0, list.values.length - 1).buffer) };
        const wrong = { ...list, values: list.values.map(() => 0xff) };
        return type === types.utf8
          ? [
              { at, list: short },
              { at, list: wrong },
            ]
          : [{ at, list: short }];
      });
      expect(all.length).toBe(type === types.utf8 ? 10 : 5);
      for (const damaged of all) {
        const columns = groups!.columns.map((column, at) => (at === damaged.at ? damaged.list : column));
        const fresh = open(kernel, asked);
        fresh.merge(header!);
        expect(() => fresh.merge({ ...groups!, columns })).toThrow(CorruptStateError);
        fresh.destroy();
      }
    }
  });

  test("k is at least 1 and at most 1,024", () => {
    for (const limit of [0, 1025, 2.5]) {
      expect(() =>
        kernel.hashAggregate({
          columns: [{ name: "x", type: types.int32 }],
          keys: [],
          aggregates: [{ name: "top", function: "topK", column: "x", limit }],
        }),
      ).toThrow(ArgumentError);
    }
    expect(() => open(kernel, query(types.int32, [], 1025))).toThrow(ArgumentError);
    expect(kernel.blocks).toBeLessThan(8);
  });
});
