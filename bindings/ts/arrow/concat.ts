// Chunks of one type in one column: what a chunked dictionary needs, as codes count through all chunks.

import { Type } from "../../../kernel/abi/layout.js";
import { copyBits } from "../type/bits.js";
import type { ColumnData } from "../type/column.js";
import { byteWidth, type DataType, physicalType } from "../type/data-type.js";

/** One column with the rows of all of them. Their types must be `type`, without dictionaries. */
export function concatColumns(type: DataType, columns: readonly ColumnData[]): ColumnData {
  if (columns.length === 1) return columns[0]!;
  const length = columns.reduce((sum, column) => sum + column.length, 0);
  const physical = physicalType(type);
  const base = { type, length, offset: 0, dictionary: null, ...concatValidity(columns, length) };
  if (physical === Type.BYTES || physical === Type.LARGE_BYTES) {
    return { ...base, ...concatTexts(columns, length, physical === Type.BYTES ? 4 : 8) };
  }
  const width = byteWidth(physical);
  const values = new Uint8Array(width === 0 ? Math.ceil(length / 8) : length * width);
  let row = 0;
  for (const column of columns) {
    if (width === 0) copyBits(column.values, column.offset, column.length, values, row);
    else {
      const end = (column.offset + column.length) * width;
      values.set(column.values.subarray(column.offset * width, end), row * width);
    }
    row += column.length;
  }
  return { ...base, offsets: null, values };
}

function concatValidity(columns: readonly ColumnData[], length: number) {
  if (columns.every(({ validity }) => validity === null)) return { validity: null, nullCount: 0 };
  const validity = new Uint8Array(Math.ceil(length / 8)).fill(0xff);
  let row = 0;
  for (const column of columns) {
    if (column.validity !== null) copyBits(column.validity, column.offset, column.length, validity, row);
    row += column.length;
  }
  return { validity, nullCount: -1 };
}

function concatTexts(columns: readonly ColumnData[], length: number, width: 4 | 8) {
  const offsets = new Uint8Array((length + 1) * width);
  const out = new DataView(offsets.buffer);
  const parts: Uint8Array[] = [];
  let row = 0;
  let total = 0;
  for (const column of columns) {
    if (column.length === 0) continue;
    const view = new DataView(column.offsets!.buffer, column.offsets!.byteOffset, column.offsets!.byteLength);
    const read = (index: number) =>
      width === 4 ? view.getInt32(index * 4, true) : Number(view.getBigInt64(index * 8, true));
    const first = read(column.offset);
    for (let i = 1; i <= column.length; i++) {
      const offset = total + read(column.offset + i) - first;
      if (width === 4) out.setInt32((row + i) * 4, offset, true);
      else out.setBigInt64((row + i) * 8, BigInt(offset), true);
    }
    const last = read(column.offset + column.length);
    parts.push(column.values.subarray(first, last));
    total += last - first;
    row += column.length;
  }
  const values = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    values.set(part, at);
    at += part.length;
  }
  return { offsets, values };
}
