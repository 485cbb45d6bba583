// Lists as the kernel gives them: BYTES whose every row holds its items one after the other.
//
//   fixed-width items   their bytes as they lie in a column; booleans a byte each
//   texts, binary       u32 length and that many bytes, each
//
// So the kernel needs no nested columns: groups, states and changelogs carry a list as they carry a text. Here
// such a column becomes Arrow's form, offsets that count items and a column of them.

import { Type } from "../../../kernel/abi/layout.js";
import { type ColumnData, validColumn } from "../type/column.js";
import { byteWidth, type DataType, physicalType } from "../type/data-type.js";

const LENGTH_BYTES = 4;

/** A column of lists from one of bytes, whose offsets count from 0. Buffers are shared where they can be. */
export function listColumn(
  column: ColumnData,
  type: Extract<DataType, { readonly kind: "list" }>,
): ColumnData {
  const physical = physicalType(type.item);
  const isText = physical === Type.BYTES || physical === Type.LARGE_BYTES;
  const made = isText
    ? texts(column, type.item, physical === Type.BYTES ? 4 : 8)
    : fixed(column, type.item, physical === Type.BOOL ? 1 : byteWidth(physical));
  return { ...column, type, values: new Uint8Array(0), ...made };
}

function ends(column: ColumnData): Uint32Array {
  const { buffer, byteOffset } = column.offsets!;
  return new Uint32Array(buffer, byteOffset, column.length + 1);
}

function fixed(column: ColumnData, type: DataType, width: number) {
  const items = column.values.length / width;
  const offsets = ends(column).slice();
  for (let row = 0; row < offsets.length; row++) offsets[row]! /= width;
  const values = type.kind === "bool" ? packBits(column.values) : column.values;
  return { offsets: new Uint8Array(offsets.buffer), items: validColumn(type, items, values) };
}

function packBits(bytes: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(bytes.length / 8));
  bytes.forEach((bit, at) => {
    bits[at >> 3]! |= bit << (at & 7);
  });
  return bits;
}

function texts(column: ColumnData, type: DataType, width: 4 | 8) {
  const from = ends(column);
  const view = new DataView(column.values.buffer, column.values.byteOffset, column.values.byteLength);
  const offsets = new Uint32Array(from.length);
  const starts: number[] = [0];
  const bytes = new Uint8Array(column.values.length);
  let length = 0;
  for (let row = 0; row < column.length; row++) {
    for (let at = from[row]!; at < from[row + 1]!; ) {
      const size = view.getUint32(at, true);
      at += LENGTH_BYTES;
      bytes.set(column.values.subarray(at, at + size), length);
      at += size;
      length += size;
      starts.push(length);
    }
    offsets[row + 1] = starts.length - 1;
  }
  const itemOffsets = width === 4 ? Uint32Array.from(starts) : BigUint64Array.from(starts, BigInt);
  const items = validColumn(
    type,
    starts.length - 1,
    bytes.slice(0, length),
    new Uint8Array(itemOffsets.buffer),
  );
  return { offsets: new Uint8Array(offsets.buffer), items };
}
