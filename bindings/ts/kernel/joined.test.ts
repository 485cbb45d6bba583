// Batches of a loaded table that lie in kernel memory as one (`joinable` of resident.ts): which do, and that they hold the rows of
// all of them.

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { readColumn, type Value, writeColumn } from "../../../twin/values.js";
import { sliceRows } from "../scheduler/rows.js";
import type { BatchData, ColumnData } from "../type/column.js";
import {
  bool,
  type DataType,
  decimal,
  dictionary,
  float64,
  int8,
  int32,
  int64,
  largeUtf8,
  type Schema,
  timestamp,
  typeName,
  utf8,
} from "../type/data-type.js";
import { MemoryLimitError } from "../type/error.js";
import { Kernel } from "./kernel.js";
import type { ResidentTable } from "./resident.js";

const MORSEL = 65_536;
/** Rows that batches are cut from. */
const ROWS = 2 * MORSEL + 100;

let kernel: Kernel;
beforeAll(async () => {
  kernel = await Kernel.open({ build: "simd", budget: "512 MiB" });
});
afterAll(() => kernel.close());
afterEach(() => vi.restoreAllMocks());

function textAt(row: number): string {
  return row % 5 === 0 ? "" : `é${row % 1000}`;
}

const VALUES: readonly (readonly [DataType, (row: number) => Value])[] = [
  [bool, (row) => row % 3 === 0],
  [int8, (row) => BigInt((row % 200) - 100)],
  [int32, (row) => BigInt(row)],
  [int64, (row) => BigInt(row) << 32n],
  [decimal(20, 2), (row) => BigInt(row) - 7n],
  [float64, (row) => row / 3],
  [timestamp("ms"), (row) => BigInt(row)],
  [utf8, textAt],
  [largeUtf8, textAt],
  [dictionary(utf8), textAt],
];

function batchOf(columns: readonly ColumnData[], schema: Schema = schemaOf(columns)): BatchData {
  return { schema, length: columns[0]!.length, columns };
}

function schemaOf(columns: readonly ColumnData[]): Schema {
  return { fields: columns.map(({ type }, index) => ({ name: `c${index}`, type, nullable: true })) };
}

/** Rows [0, rows) of a batch in which each row of `nulls` is null, where there are such. */
function column(type: DataType, valueAt: (row: number) => Value, nulls: number): ColumnData {
  return writeColumn(
    type,
    Array.from({ length: ROWS }, (_, row) => (nulls > 0 && row % nulls === 0 ? null : valueAt(row))),
  );
}

/** Some values of a column of a loaded table. */
function valuesAt(table: ResidentTable, index: number, rows: readonly number[]): Value[] {
  return rows.map((row) => {
    let [at, left] = [0, row];
    while (left >= table.batches[at]!.rows) left -= table.batches[at++]!.rows;
    const view = table.batches[at]!.view(index)!;
    return readColumn({ ...view, offset: view.offset + left, length: 1 })[0]!;
  });
}

/** Pieces of a batch: where each begins, and its rows. */
function cut(batch: BatchData, pieces: readonly (readonly [number, number])[]): BatchData[] {
  return pieces.map(([start, rows]) => sliceRows(batch, start, start + rows));
}

describe.each(VALUES.map(([type, valueAt]) => [typeName(type), type, valueAt] as const))(
  "%s",
  (_, type, valueAt) => {
    test("has the rows of all batches, with nulls in some of them or in none", () => {
      const before = kernel.usedBytes;
      const columns = [column(type, valueAt, 7), column(type, valueAt, 0)];
      const whole = batchOf(columns);
      const plain = { ...whole, columns: [columns[1]!, columns[1]!] };
      const pieces = [
        [0, MORSEL],
        [64, MORSEL + 24],
        [8, MORSEL + 5],
      ] as const;
      const [first, second, third] = [
        ...cut(whole, pieces.slice(0, 1)),
        ...cut(plain, pieces.slice(1, 2)),
        ...cut(whole, pieces.slice(2)),
      ];
      const isTexts = type.kind === "dictionary";
      // A dictionary is a column's own.
      const batches = isTexts ? cut(whole, pieces) : [first!, second!, third!];
      const table = kernel.load(batches);
      expect(table.batches.map(({ rows }) => rows)).toEqual([3 * MORSEL + 29]);
      const edges = [0, MORSEL, 2 * MORSEL + 24, 3 * MORSEL + 29];
      const rows = edges.flatMap((edge) => [-9, -8, -2, -1, 0, 1, 2, 7, 8, 9].map((by) => edge + by));
      const some = [...rows, ...Array.from({ length: 200 }, (_, at) => at * 983)].filter(
        (row) => row >= 0 && row < table.rows,
      );
      for (const index of [0, 1]) {
        const want = some.map((row) => {
          const at = edges.filter((edge) => edge <= row).length - 1;
          const batch = batches[at]!.columns[index]!;
          return readColumn({
            ...batch,
            offset: batch.offset + row - edges[at]!,
            length: 1,
            nullCount: -1,
          })[0]!;
        });
        expect(valuesAt(table, index, some)).toEqual(want);
      }
      table.free();
      expect(kernel.usedBytes).toBe(before);
    });
  },
);

describe("not as one lie", () => {
  const whole = batchOf([column(int32, (row) => BigInt(row), 0)]);
  const sizes = (batches: readonly BatchData[], columns?: readonly string[]) => {
    const table = kernel.load(batches, columns);
    const rows = table.batches.map((batch) => batch.rows);
    table.free();
    return rows;
  };

  test("batches of less than a morsel, and what comes behind bits that are no whole bytes", () => {
    const odd = [MORSEL + 4, MORSEL] as const;
    const batches = cut(whole, [
      [0, MORSEL],
      [0, MORSEL - 8],
      [0, MORSEL],
      [0, odd[0]],
      [0, odd[1]],
    ]);
    expect(sizes(batches)).toEqual([MORSEL, MORSEL - 8, MORSEL + odd[0], odd[1]]);
  });

  test("batches that begin in the midst of a byte of bits", () => {
    expect(
      sizes(
        cut(whole, [
          [0, MORSEL],
          [3, MORSEL],
        ]),
      ),
    ).toEqual([MORSEL, MORSEL]);
    expect(
      sizes(
        cut(whole, [
          [16, MORSEL],
          [24, MORSEL],
        ]),
      ),
    ).toEqual([2 * MORSEL]);
  });

  test("more than a million rows, or batches of other schemas", () => {
    const many = Array.from({ length: 35 }, () => sliceRows(whole, 0, MORSEL));
    expect(sizes(many)).toEqual([16 * MORSEL, 16 * MORSEL, 3 * MORSEL]);
    const other = batchOf(whole.columns);
    expect(sizes([sliceRows(whole, 0, MORSEL), sliceRows(other, 0, MORSEL)])).toEqual([MORSEL, MORSEL]);
  });

  test("codes of dictionaries that are not the same, or have become shorter", () => {
    const texts = column(dictionary(utf8), textAt, 0);
    const longer = texts.dictionary!;
    const shorter = { ...longer, values: { ...longer.values, length: longer.values.length - 1 } };
    const { schema } = batchOf([texts]);
    const piece = (codes: ColumnData) => sliceRows(batchOf([codes], schema), 0, MORSEL);
    const early = piece({ ...texts, dictionary: shorter });
    expect(sizes([early, piece(texts), piece(texts)])).toEqual([3 * MORSEL]);
    expect(sizes([piece(texts), early])).toEqual([MORSEL, MORSEL]);
    expect(sizes([piece(texts), piece(column(dictionary(utf8), textAt, 0))])).toEqual([MORSEL, MORSEL]);
    const table = kernel.load([early, piece(texts)]);
    const last = [MORSEL - 1, MORSEL, 2 * MORSEL - 1];
    expect(valuesAt(table, 0, last)).toEqual(last.map((row) => textAt(row % MORSEL)));
    table.free();
  });

  test("columns that stay on the host for whoever carries them along, but others that were not asked for do", () => {
    const numbers = whole.columns[0]!;
    const lists: ColumnData = {
      ...numbers,
      type: { kind: "opaque", name: "Struct" } as DataType,
      opaque: {},
    };
    const carrying = batchOf([numbers, lists]);
    expect(
      sizes(
        cut(carrying, [
          [0, MORSEL],
          [0, MORSEL],
        ]),
        ["c0"],
      ),
    ).toEqual([MORSEL, MORSEL]);
    const wide = batchOf([numbers, numbers]);
    expect(
      sizes(
        cut(wide, [
          [0, MORSEL],
          [0, MORSEL],
        ]),
        ["c0"],
      ),
    ).toEqual([2 * MORSEL]);
  });

  test("batches for which memory has room in pieces only", () => {
    const before = kernel.usedBytes;
    const { allocate } = kernel;
    vi.spyOn(kernel, "allocate").mockImplementation((bytes) => {
      if (bytes > MORSEL * 6) throw new MemoryLimitError("no piece is as large", {});
      return allocate.call(kernel, bytes);
    });
    expect(
      sizes(
        cut(whole, [
          [0, MORSEL],
          [8, MORSEL],
        ]),
      ),
    ).toEqual([MORSEL, MORSEL]);
    expect(kernel.usedBytes).toBe(before);
  });
});

test("what lies here is trusted once all of it has been read, morsel by morsel in any order", () => {
  const numbers = column(int32, (row) => BigInt(row * 3), 0);
  const table = kernel.load(
    cut(batchOf([numbers, numbers]), [
      [0, MORSEL],
      [0, MORSEL + 100],
    ]),
  );
  const batch = table.batches[0]!;
  const trusted = () => [0, 1].map((index) => batch.column(index)!.trusted);
  batch.accepted([0, 1], MORSEL, MORSEL);
  batch.accepted([0], 2 * MORSEL, 100);
  batch.accepted([0], 0, MORSEL - 1);
  batch.accepted([0], 8, MORSEL);
  batch.accepted([0], MORSEL, MORSEL);
  expect(trusted()).toEqual([false, false]);
  batch.accepted([0, 1], 0, MORSEL);
  expect(trusted()).toEqual([true, false]);
  batch.accepted([1], 0, batch.rows);
  expect(trusted()).toEqual([true, true]);
  table.free();
});
