// Results of one grouping set as rows of the whole grouping: keys that it leaves out are columns of nulls,
// indicators columns of one number.

import { Type } from "../../../kernel/abi/layout.js";
import type { GroupingSetStage } from "../plan/index.js";
import type { BatchData, ColumnData } from "../type/column.js";
import { byteWidth, type DataType, int64, physicalType, type Schema } from "../type/data-type.js";

/** The batch with the columns of `schema`, in their order. */
export function widen(batch: BatchData, layout: GroupingSetStage["layout"], schema: Schema): BatchData {
  const columns = layout.map((place, index) => {
    if (place === null) return nulls(schema.fields[index]!.type, batch.length);
    return "column" in place ? batch.columns[place.column]! : repeated(place.constant, batch.length);
  });
  return { schema, length: batch.length, columns };
}

function nulls(type: DataType, length: number): ColumnData {
  const physical = physicalType(type);
  const bitmap = new Uint8Array(Math.ceil(length / 8));
  const isText = physical === Type.BYTES || physical === Type.LARGE_BYTES;
  const offsets = isText ? new Uint8Array((length + 1) * (physical === Type.BYTES ? 4 : 8)) : null;
  const bytes = physical === Type.BOOL ? bitmap.length : length * byteWidth(physical);
  const values = new Uint8Array(bytes);
  return { type, length, offset: 0, nullCount: length, validity: bitmap, offsets, values, dictionary: null };
}

function repeated(value: bigint, length: number): ColumnData {
  const values = new Uint8Array(new BigInt64Array(length).fill(value).buffer);
  return {
    type: int64,
    length,
    offset: 0,
    nullCount: 0,
    validity: null,
    offsets: null,
    values,
    dictionary: null,
  };
}
