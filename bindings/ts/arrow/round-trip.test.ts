// Every type, through apache-arrow and back: in memory, sliced, and as IPC bytes.

import {
  type RecordBatch as ArrowRecordBatch,
  RecordBatchStreamWriter,
  tableFromIPC,
  tableToIPC,
} from "apache-arrow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readColumn, type Value, writeColumn } from "../../../twin/values.js";
import type { BatchData } from "../type/column.js";
import {
  type DataType,
  decimal,
  dictionary,
  float32,
  int64,
  largeUtf8,
  sameType,
  typeName,
  utf8,
} from "../type/data-type.js";
import { ALL_TYPES, arbitraryColumn, bitsOf, oneColumn } from "../type/testing.js";
import { fromArrow, fromRecordBatch, toRecordBatch, toTable } from "./index.js";

function valuesOf(batches: readonly BatchData[]): unknown[] {
  return batches.flatMap(({ columns }) => readColumn(columns[0]!).map(bitsOf));
}

function typeOf(batches: readonly BatchData[]): DataType {
  return batches[0]!.columns[0]!.type;
}

const bits = (values: readonly Value[]) => values.map(bitsOf);

describe.each(ALL_TYPES.map((type) => [typeName(type), type] as const))("%s", (_, type) => {
  test("keeps type and values through a RecordBatch, a slice of it, and IPC", () => {
    fc.assert(
      fc.property(arbitraryColumn(type), fc.nat(40), fc.nat(40), ({ values, column }, a, b) => {
        const batch = toRecordBatch(oneColumn(column));
        const back = fromRecordBatch(batch);
        expect(sameType(typeOf([back]), type)).toBe(true);
        expect(valuesOf([back])).toEqual(bits(values));

        const [from, to] = [Math.min(a, b, values.length), Math.min(Math.max(a, b), values.length)];
        const sliced = batch.slice(from, to) as ArrowRecordBatch;
        expect(valuesOf([fromRecordBatch(sliced)])).toEqual(bits(values.slice(from, to)));
        const twice = sliced.slice(1) as ArrowRecordBatch;
        expect(valuesOf([fromRecordBatch(twice)])).toEqual(bits(values.slice(from, to).slice(1)));

        const table = toTable(oneColumn(column).schema, [oneColumn(column)]);
        for (const format of ["stream", "file"] as const) {
          const read = fromArrow(tableToIPC(table.slice(from, to), format));
          expect(valuesOf(read.batches)).toEqual(bits(values.slice(from, to)));
          expect(sameType(read.schema.fields[0]!.type, type)).toBe(true);
        }
      }),
      { numRuns: 25 },
    );
  });

  test("reads the same from bytes at any alignment", () => {
    fc.assert(
      fc.property(arbitraryColumn(type, 20), fc.nat(15), ({ values, column }, shift) => {
        const bytes = tableToIPC(toTable(oneColumn(column).schema, [oneColumn(column)]));
        const moved = new Uint8Array(bytes.length + shift).subarray(shift);
        moved.set(bytes);
        expect(valuesOf(fromArrow(moved).batches)).toEqual(bits(values));
      }),
      { numRuns: 10 },
    );
  });
});

test("buffers at odd addresses are copied where typed arrays need it", () => {
  for (const type of [int64, decimal(20, 2), float32, utf8, largeUtf8]) {
    const values =
      type.kind === "utf8" || type.kind === "largeUtf8"
        ? ["a", null, "bc"]
        : type === float32
          ? [1.5, null, 2]
          : [1n, null, 3n];
    const column = writeColumn(type, values);
    const odd = (bytes: Uint8Array | null) => {
      if (bytes === null) return null;
      const moved = new Uint8Array(bytes.length + 1).subarray(1);
      moved.set(bytes);
      return moved;
    };
    const moved = { ...column, values: odd(column.values)!, offsets: odd(column.offsets) };
    expect(valuesOf([fromRecordBatch(toRecordBatch(oneColumn(moved)))])).toEqual(values);
  }
});

test("apache-arrow itself sees the values", () => {
  const strings = ["ä", null, "", "日本"];
  const text = toRecordBatch(oneColumn(writeColumn(utf8, strings, { offset: 3 })));
  expect([...text.getChildAt(0)!]).toEqual(strings);
  const coded = toRecordBatch(oneColumn(writeColumn(dictionary(utf8), strings, { offset: 9 })));
  expect([...coded.getChildAt(0)!]).toEqual(strings);
  expect(text.getChildAt(0)!.nullCount).toBe(1);
});

test("batches with dictionaries of their own survive a stream", () => {
  const type = dictionary(utf8);
  const schema = { fields: [{ name: "x", type, nullable: true }] };
  const parts = [
    ["a", "b", "a"],
    ["c", null],
    ["a", "z"],
  ];
  const batches = parts.map((values) => ({ ...oneColumn(writeColumn(type, values)), schema }));
  const table = toTable(schema, batches);
  const bytes = RecordBatchStreamWriter.writeAll(table).toUint8Array(true);
  const read = fromArrow(bytes);
  expect(read.batches.map(({ columns }) => readColumn(columns[0]!))).toEqual(parts);
  const ids = read.batches.map(({ columns }) => columns[0]!.dictionary!.id);
  expect(new Set(ids).size).toBe(3);
  expect(
    tableFromIPC(bytes)
      .toArray()
      .map((row) => row!.x),
  ).toEqual(parts.flat());
});

test("a table without rows keeps its schema", () => {
  const { schema } = oneColumn(writeColumn(dictionary(utf8), []));
  const table = tableFromIPC(tableToIPC(toTable(schema, [])));
  expect(table.numRows).toBe(0);
  expect(fromArrow(table).batches.reduce((rows, { length }) => rows + length, 0)).toBe(0);
  expect(sameType(fromArrow(table).schema.fields[0]!.type, dictionary(utf8))).toBe(true);
});
