// Sides that lie in loaded tables: their wide columns are read where they are. What has to hold for that, and what it saves.
// Any such join is held against its twin in join.test.ts.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import type { ResidentBatch } from "../../bindings/ts/kernel/resident.js";
import {
  bool,
  dictionary,
  float64,
  int8,
  int16,
  int32,
  int64,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import { ArgumentError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { BUILDS, batchOf, multiset, rowsOf, slice, type Table } from "./testing.js";
import { expectedJoin, HOWS, type JoinQuery, loadedTable, openJoin } from "./testing-join.js";

const CHUNK = 65_536;
const END = 2n ** 63n - 1n;
const PROBE = [int32, utf8];
const BUILD = [int32, int64, utf8, float64, dictionary(utf8, int16), int16, bool, int8, utf8];

/** Rows of these keys, nulls in every column but the key's, now and then a long text. */
function build(keys: readonly number[], salt = 0): Table {
  const some = (row: number, every: number, value: unknown) => ((row + salt) % every === 3 ? null : value);
  return [
    keys.map(BigInt),
    keys.map((_, row) => some(row, 13, BigInt(row) << 20n)),
    keys.map((_, row) => some(row, 11, `é ${row} ${"y".repeat(row % 97 === 0 ? 300 : row % 14)}`)),
    keys.map((_, row) => some(row, 7, row % 5 === 0 ? -0 : row / 3)),
    keys.map((_, row) => some(row, 9, `code ${row % 60}`)),
    keys.map((_, row) => some(row, 17, BigInt((row % 60_000) - 30_000))),
    keys.map((_, row) => some(row, 19, row % 3 === 0)),
    keys.map((_, row) => some(row, 23, BigInt((row % 256) - 128))),
    keys.map((_, row) => some(row, 29, `${row % 1000}`)),
  ] as Table;
}

const probe = (rows: number, keys: number): Table => [
  Array.from({ length: rows }, (_, row) => (row % 31 === 5 ? null : BigInt((row * 7919) % keys))),
  Array.from({ length: rows }, (_, row) => `left ${row}`),
];

describe.each(BUILDS)("joins of loaded tables, %s build", async (of) => {
  const kernel = await Kernel.open({ build: of, budget: "1 GiB" });
  const start = { used: kernel.usedBytes, blocks: kernel.blocks };
  afterAll(() => expect({ used: kernel.usedBytes, blocks: kernel.blocks }).toEqual(start));

  /** The rows of a join whose right side comes first: `push` pushes it. */
  function joined(query: JoinQuery, left: Table, push: (operator: Operator) => void): Value[][] {
    const operator = openJoin(kernel, query);
    const rows: Value[][] = [];
    const drain = () => {
      for (let batch = operator.pull(); batch !== null; batch = operator.pull())
        rows.push(...rowsOf([batch]));
    };
    push(operator);
    operator.watermark(END, 1);
    drain();
    operator.push(batchOf(PROBE, left), 0, undefined, 0, 0);
    drain();
    operator.watermark(END, 0);
    drain();
    operator.destroy();
    return rows;
  }

  test("rows of many chunks and batches, by morsels of any size", { timeout: 120_000 }, () => {
    const keys = Array.from({ length: 2 * CHUNK + 5000 }, (_, row) => (row * 17) % 200_000);
    const rows = build(keys);
    const left = probe(3000, 220_000);
    // A batch may end where a chunk does.
    const parts = [slice(rows, 0, 2 * CHUNK), slice(rows, 2 * CHUNK, keys.length)].map((part) =>
      loadedTable(kernel, BUILD, part),
    );
    const pushed = (operator: Operator, sizes: readonly number[]) => {
      let turn = 0;
      for (const [batch] of parts.map(({ batches }) => batches as [ResidentBatch])) {
        for (let at = 0, size = 0; at < batch.rows; at += size) {
          size = Math.min(sizes[turn++ % sizes.length]!, batch.rows - at);
          operator.push(batch, at, size, 0, 1);
        }
      }
    };
    const sizes = fc.array(fc.integer({ min: 1000, max: CHUNK }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        fc.constantFrom(...HOWS.filter((how) => how !== "right" && how !== "full")),
        sizes,
        (how, sizes) => {
          const query: JoinQuery = { types: [PROBE, BUILD], keys: 1, how, buildFirst: true };
          const lent = joined({ ...query, loaded: [false, true] }, left, (operator) =>
            pushed(operator, sizes),
          );
          expect(lent).toEqual(joined(query, left, (operator) => pushed(operator, [CHUNK])));
        },
      ),
      { numRuns: 4 },
    );
    for (const part of parts) part.free();
  });

  test.each(HOWS)("results are those of the twin, %s", (how) => {
    const rows = build(Array.from({ length: 700 }, (_, row) => row % 650));
    const left = probe(900, 800);
    const query: JoinQuery = { types: [PROBE, BUILD], keys: 1, how, buildFirst: true, loaded: [false, true] };
    const table = loadedTable(kernel, BUILD, rows);
    const out = joined(query, left, (operator) => operator.push(table.batches[0]!, 0, 700, 0, 1));
    table.free();
    expect(multiset(out)).toEqual(multiset(expectedJoin(query, [left, rows])));
  });

  test("a row takes sixteen bytes, and links once a key has two", () => {
    const bytes = (keys: readonly number[], loaded: boolean) => {
      const query: JoinQuery = {
        types: [PROBE, [int32, int32, int32, int32, int32, float64, utf8]],
        keys: 1,
        how: "inner",
        buildFirst: true,
        loaded: [false, loaded],
      };
      const wide = keys.map((key) => BigInt(key));
      const table = loadedTable(kernel, query.types[1], [
        wide,
        wide,
        wide,
        wide,
        wide,
        keys.map((key) => key / 3),
        keys.map((key) => `text ${key}`),
      ]);
      const operator = openJoin(kernel, query);
      for (let at = 0; at < keys.length; at += CHUNK) operator.push(table.batches[0]!, at, CHUNK, 0, 1);
      operator.watermark(END, 1);
      while (operator.pull() !== null);
      const { stateBytes } = operator.stats();
      operator.destroy();
      table.free();
      return stateBytes;
    };
    const each = Array.from({ length: 8 * CHUNK }, (_, row) => row);
    const twice = each.map((row) => row >> 1);
    // Of more rows, as some memory is needed for any number.
    const perRow = (keys: readonly number[], loaded: boolean) =>
      (bytes(keys, loaded) - bytes(keys.slice(0, 4 * CHUNK), loaded)) / (4 * CHUNK);
    // Heads take 4 of a key, links 4, and what tells nulls a bit of a column.
    expect(perRow(each, true)).toBeLessThan(21);
    expect(perRow(twice, true)).toBeLessThan(23);
    expect(perRow(each, false)).toBeGreaterThan(44);
  });

  test("rows that lie elsewhere than was promised are refused", () => {
    const rows = build(Array.from({ length: 500 }, (_, row) => row));
    const query: JoinQuery = {
      types: [PROBE, BUILD],
      keys: 1,
      how: "inner",
      buildFirst: true,
      loaded: [false, true],
    };
    const [one, other] = [rows, rows].map((table) => loadedTable(kernel, BUILD, table)) as [
      ReturnType<typeof loadedTable>,
      ReturnType<typeof loadedTable>,
    ];
    // Another table's rows, rows behind some that were left out, rows in the host's memory.
    for (const [batch, at] of [
      [other.batches[0]!, 200],
      [one.batches[0]!, 300],
      [batchOf(BUILD, rows), 200],
    ] as const) {
      const operator = openJoin(kernel, query);
      operator.push(one.batches[0]!, 0, 200, 0, 1);
      expect(() => operator.push(batch, at, 100, 0, 1)).toThrow(ArgumentError);
      operator.destroy();
    }
    for (const table of [one, other]) table.free();
  });

  test("rows in the host's memory from the beginning are copied as ever", () => {
    const rows = build(Array.from({ length: 500 }, (_, row) => row));
    const left = probe(100, 600);
    const query: JoinQuery = {
      types: [PROBE, BUILD],
      keys: 1,
      how: "left",
      buildFirst: true,
      loaded: [false, true],
    };
    const out = joined(query, left, (operator) => {
      for (const part of [slice(rows, 0, 200), slice(rows, 200, 500)])
        operator.push(batchOf(BUILD, part), 0, undefined, 0, 1);
    });
    expect(multiset(out)).toEqual(multiset(expectedJoin(query, [left, rows])));
  });
});
