// Results of one grouping set as rows of the whole grouping: keys that it leaves out are columns of nulls,
// indicators columns of one number.

import { Type } from "../../../kernel/abi/layout.js";
import type { GroupingSetStage } from "../plan/index.js";
import { type BatchData, type ColumnData, validColumn } from "../type/column.js";
import { byteWidth, type DataType, int64, physicalType, type Schema } from "../type/data-type.js";

/** The batch with the columns of `schema`, in their order. */
export function widen(batch: BatchData, layout: GroupingSetStage["layout"], schema: Schema): BatchData {
  const { length } = batch;
  const absent = schema.fields.filter((_, index) => layout[index] === null);
  const zeros = new Uint8Array(Math.max(0, ...absent.map(({ type }) => nullBytes(type, length))));
  const columns = layout.map((place, index) => {
    if (place === null) return nulls(schema.fields[index]!.type, length, zeros);
    return "column" in place ? batch.columns[place.column]! : repeated(place.constant, length);
  });
  return { schema, length, columns };
}

/** Bytes of the largest buffer of a column of nulls. */
function nullBytes(type: DataType, length: number): number {
  const physical = physicalType(type);
  const bitmap = Math.ceil(length / 8);
  if (physical === Type.BYTES) return 4 * (length + 1);
  if (physical === Type.LARGE_BYTES) return 8 * (length + 1);
  return Math.max(bitmap, physical === Type.BOOL ? 0 : length * byteWidth(physical));
}

/** A column of nulls, all of whose buffers are of `zeros`, as are those of others of the batch. */
function nulls(type: DataType, length: number, zeros: Uint8Array): ColumnData {
  const physical = physicalType(type);
  const validity = zeros.subarray(0, Math.ceil(length / 8));
  const isText = physical === Type.BYTES || physical === Type.LARGE_BYTES;
  const offsets = isText ? zeros.subarray(0, (length + 1) * (physical === Type.BYTES ? 4 : 8)) : null;
  const bytes = physical === Type.BOOL ? validity.length : length * byteWidth(physical);
  const values = isText ? zeros.subarray(0, 0) : zeros.subarray(0, bytes);
  return { type, length, offset: 0, nullCount: length, validity, offsets, values, dictionary: null };
}

function repeated(value: bigint, length: number): ColumnData {
  return validColumn(int64, length, new Uint8Array(new BigInt64Array(length).fill(value).buffer));
}
