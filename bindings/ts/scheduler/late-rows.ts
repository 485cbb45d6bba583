// Late rows as they came, for whoever wants to have them: copies, dictionaries turned into their values.

import { concatColumns, takeOpaque } from "../arrow/index.js";
import type { InputBatch } from "../kernel/index.js";
import { getBit } from "../type/bits.js";
import type { BatchData, ColumnData } from "../type/column.js";
import { type DataType, type Schema, valueType } from "../type/data-type.js";
import { indicesOf } from "./time-column.js";

/** Rows of a batch by their numbers, with all columns that are at hand. */
export function lateRows(input: InputBatch, rows: Uint32Array): BatchData {
  const taken = input.schema.fields.flatMap((field, index) => {
    const column = input.view(index);
    if (column === null) return [];
    return [{ field: { ...field, type: valueType(field.type) }, column: plainRows(column, rows) }];
  });
  const schema: Schema = { fields: taken.map(({ field }) => field) };
  return { schema, length: rows.length, columns: taken.map(({ column }) => column) };
}

function plainRows(column: ColumnData, rows: Uint32Array): ColumnData {
  const { type, dictionary } = column;
  if (type.kind === "opaque") return takeOpaque(column, rows);
  if (dictionary === null)
    return joined(
      type,
      [...rows].map((row) => cut(column, row)),
      column,
    );
  const { values } = dictionary;
  const index = indicesOf(column);
  const isNull = (row: number) => column.validity !== null && !getBit(column.validity, column.offset + row);
  const cells = [...rows].map((row) => (isNull(row) ? nullOf(values) : cut(values, index(row))));
  return joined(values.type, cells, values);
}

function cut(column: ColumnData, row: number): ColumnData {
  return { ...column, offset: column.offset + row, length: 1, nullCount: -1 };
}

/** Copied, also where there is one piece: it may lie in the kernel's memory. */
function joined(type: DataType, pieces: readonly ColumnData[], of: ColumnData): ColumnData {
  return concatColumns(type, [...pieces, { ...of, length: 0 }]);
}

/** One row without a value, of the column's type. */
function nullOf(column: ColumnData): ColumnData {
  return {
    ...column,
    length: 1,
    offset: 0,
    nullCount: 1,
    validity: Uint8Array.of(0),
    offsets: column.offsets && new Uint8Array(16),
    values: new Uint8Array(16),
  };
}
