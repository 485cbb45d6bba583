// How many bytes a column's rows take: their values or indices, offsets, and the validity bitmap where there is one.

import { Type } from "../../../kernel/abi/layout.js";
import type { ColumnData } from "./column.js";
import { byteWidth, isCarried, physicalType } from "./data-type.js";

/** Bytes of rows [start, start + rows). Of a dictionary column the indices: values are read once. Lists count as none. */
export function columnBytes(column: ColumnData, start: number, rows: number): number {
  const { type, validity } = column;
  if (isCarried(type)) return 0;
  const bits = validity === null ? 0 : Math.ceil(rows / 8);
  if (type.kind === "dictionary") return rows * byteWidth(physicalType(type.index)) + bits;
  const physical = physicalType(type);
  if (physical === Type.BOOL) return Math.ceil(rows / 8) + bits;
  const isWide = physical === Type.LARGE_BYTES;
  if (!isWide && physical !== Type.BYTES) return rows * byteWidth(physical) + bits;
  const width = isWide ? 8 : 4;
  return (rows + 1) * width + textBytes(column, start, rows, isWide) + bits;
}

function textBytes({ offsets, offset }: ColumnData, start: number, rows: number, isWide: boolean): number {
  // A column of results in kernel memory may have no offsets: texts that lie as codes, and of nulls alone.
  const width = isWide ? 8 : 4;
  if (offsets === null || rows === 0 || offsets.byteLength < (offset + start + rows + 1) * width) return 0;
  const view = new DataView(offsets.buffer, offsets.byteOffset, offsets.byteLength);
  const at = (row: number) =>
    isWide ? Number(view.getBigInt64((offset + row) * 8, true)) : view.getInt32((offset + row) * 4, true);
  return at(start + rows) - at(start);
}
