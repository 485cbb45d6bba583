// Rows [start, start + rows) of a column as byte ranges: what has to be copied, and whether it is there.
//
// A slice begins at the multiple of 8 rows at or before its first row, so that bitmaps are copied without
// shifting; the up to 7 rows before are skipped by the descriptor's OFFSET. Of texts only the bytes of the
// slice are copied: the descriptor's BASE says where they begin, so offsets need no rewriting.
//
// Checked here is what the copy itself relies on: lengths of buffers, first and last offset. What lies
// between (decreasing offsets, dictionary indices) the kernel checks when the batch is pushed.

import { Type } from "../../../kernel/abi/layout.js";
import type { ColumnData } from "../type/column.js";
import { byteWidth, type Field, physicalType, typeName } from "../type/data-type.js";
import { MalformedArrowError, TypeMismatchError } from "../type/error.js";
import type { ColumnDescriptor } from "./descriptor.js";
import type { KernelMemory } from "./memory.js";

/** Buffers in kernel memory start at multiples of this. */
const ALIGNMENT = 64;

export interface ColumnSlice {
  readonly type: Type;
  /** Rows before the first one, 0 to 7. */
  readonly skip: number;
  readonly rows: number;
  readonly nullCount: number;
  readonly validity: Uint8Array | null;
  readonly values: Uint8Array;
  readonly offsets: Uint8Array | null;
  readonly base: number;
  /** Bytes in kernel memory, each buffer padded to the alignment. */
  readonly bytes: number;
}

/**
 * The slice of `column`; `firstRow` is the number of the column's row 0 in messages.
 * @throws MalformedArrowError when a buffer is too short or the offsets run outside the values.
 * @throws TypeMismatchError for a type that the kernel does not know.
 */
export function sliceColumn(
  column: ColumnData,
  field: Field,
  start: number,
  rows: number,
  firstRow = 0,
): ColumnSlice {
  const type = physicalType(column.type);
  if (type === Type.NONE) {
    throw new TypeMismatchError(
      `column "${field.name}" is a ${typeName(column.type)}: Millrace carries such a column along but cannot compute on it`,
      { column: field.name },
    );
  }
  const first = column.offset + start;
  const skip = rows === 0 ? 0 : first & 7;
  const from = first - skip;
  const end = first + rows;
  const validity = sliceValidity(column, field, from, end, firstRow + start);
  let values: Uint8Array;
  let offsets: Uint8Array | null = null;
  let base = 0;
  if (type === Type.BYTES || type === Type.LARGE_BYTES) {
    const texts = sliceTexts(column, field, type === Type.BYTES ? 4 : 8, first, end, firstRow + start);
    ({ values, offsets, base } = texts);
  } else {
    const width = byteWidth(type);
    const begin = width === 0 ? from >>> 3 : from * width;
    const stop = rows === 0 ? begin : width === 0 ? Math.ceil(end / 8) : end * width;
    values = cut(column.values, begin, stop, field, "values buffer", firstRow + start);
  }
  const bytes = padded(validity?.length ?? 0) + padded(values.length) + padded(offsets?.length ?? 0);
  const nullCount = validity === null ? 0 : rows === column.length ? column.nullCount : -1;
  return { type, skip, rows, nullCount, validity, values, offsets, base, bytes };
}

function sliceValidity(
  column: ColumnData,
  field: Field,
  from: number,
  end: number,
  row: number,
): Uint8Array | null {
  if (column.nullCount === 0 || end === from) return null;
  if (column.validity === null) {
    if (column.nullCount < 0) return null;
    throw new MalformedArrowError(
      `column "${field.name}": ${column.nullCount} nulls are announced, but there is no validity bitmap`,
      { column: field.name },
    );
  }
  return cut(column.validity, from >>> 3, Math.ceil(end / 8), field, "validity bitmap", row);
}

function cut(
  buffer: Uint8Array,
  begin: number,
  stop: number,
  field: Field,
  what: string,
  row: number,
): Uint8Array {
  if (stop > buffer.length) {
    throw new MalformedArrowError(
      `column "${field.name}": the ${what} has ${buffer.length} bytes, ${stop} are needed for the rows from ${row} on`,
      { column: field.name, row, value: buffer.length, expected: `at least ${stop} bytes` },
    );
  }
  return buffer.subarray(begin, stop);
}

function sliceTexts(column: ColumnData, field: Field, width: 4 | 8, first: number, end: number, row: number) {
  const from = first & ~7;
  if (end === first) return { values: column.values.subarray(0, 0), offsets: null, base: 0 };
  if (column.offsets === null) {
    throw new MalformedArrowError(`column "${field.name}": the offsets are missing`, { column: field.name });
  }
  const offsets = cut(column.offsets, from * width, (end + 1) * width, field, "offsets buffer", row);
  const base = readOffset(column.offsets, first, width);
  const last = readOffset(column.offsets, end, width);
  if (base < 0 || last < base || last > column.values.length) {
    throw offsetError(column, field, width, first, end, row);
  }
  return { values: column.values.subarray(base, last), offsets, base };
}

function readOffset(offsets: Uint8Array, index: number, width: 4 | 8): number {
  const view = new DataView(offsets.buffer, offsets.byteOffset, offsets.byteLength);
  return width === 4 ? view.getInt32(index * 4, true) : Number(view.getBigInt64(index * 8, true));
}

/** The first row whose offset is wrong; only ever run on the way to an exception. */
function offsetError(
  column: ColumnData,
  field: Field,
  width: 4 | 8,
  first: number,
  end: number,
  row: number,
) {
  let previous = 0;
  for (let index = first; index <= end; index++) {
    const offset = readOffset(column.offsets!, index, width);
    const at = row + Math.max(0, index - 1 - first);
    if (offset < previous) {
      const what = previous === 0 ? "is negative" : `is less than the one before, ${previous}`;
      return new MalformedArrowError(`column "${field.name}", row ${at}: offset ${offset} ${what}`, {
        column: field.name,
        row: at,
        value: offset,
      });
    }
    if (offset > column.values.length) {
      return new MalformedArrowError(
        `column "${field.name}", row ${at}: offset ${offset} runs past the end of the values, which have ${column.values.length} bytes`,
        { column: field.name, row: at, value: offset },
      );
    }
    previous = offset;
  }
  return new MalformedArrowError(`column "${field.name}": the offsets contradict the values`, {
    column: field.name,
  });
}

/** Copies the slice to `at` (a multiple of 64) and answers its descriptor. */
export function placeSlice(
  memory: KernelMemory,
  slice: ColumnSlice,
  at: number,
  dictionary = 0,
  dictionaryId = 0,
): ColumnDescriptor {
  const target = memory.bytes;
  let cursor = at;
  const place = (buffer: Uint8Array | null): number => {
    if (buffer === null) return 0;
    const address = cursor;
    target.set(buffer, address);
    cursor += padded(buffer.length);
    return address;
  };
  return {
    type: slice.type,
    trusted: false,
    length: slice.rows,
    offset: slice.skip,
    nullCount: slice.nullCount,
    validity: place(slice.validity),
    validityBytes: slice.validity?.length ?? 0,
    values: place(slice.values),
    valuesBytes: slice.values.length,
    offsets: place(slice.offsets),
    offsetsBytes: slice.offsets?.length ?? 0,
    base: slice.base,
    dictionary,
    dictionaryId,
  };
}

/**
 * Copies slices one behind the other to `at`, as one column: none skips rows, and all but the last have a multiple of 8. Offsets
 * of texts then count through all of them.
 */
export function placeJoined(
  memory: KernelMemory,
  slices: readonly ColumnSlice[],
  at: number,
  dictionary = 0,
  dictionaryId = 0,
): ColumnDescriptor {
  const [first] = slices as [ColumnSlice];
  if (slices.length === 1) return placeSlice(memory, first, at, dictionary, dictionaryId);
  const { rows, validityBytes, valuesBytes, offsetsBytes } = joinedSizes(slices);
  const values = at + padded(validityBytes);
  const offsets = values + padded(valuesBytes);
  const { bytes } = memory;
  // Rows, and bytes of values, before a slice.
  let [row, before] = [0, 0];
  for (const slice of slices) {
    const bits = at + row / 8;
    if (slice.validity !== null) bytes.set(slice.validity, bits);
    else if (validityBytes > 0) bytes.fill(0xff, bits, bits + Math.ceil(slice.rows / 8));
    bytes.set(slice.values, values + before);
    if (slice.offsets !== null) placeOffsets(bytes, slice, before, offsets + row * offsetWidth(slice));
    row += slice.rows;
    before += slice.values.length;
  }
  return {
    type: first.type,
    trusted: false,
    length: rows,
    offset: 0,
    nullCount: slices.some(({ nullCount }) => nullCount < 0)
      ? -1
      : slices.reduce((sum, { nullCount }) => sum + nullCount, 0),
    validity: validityBytes === 0 ? 0 : at,
    validityBytes,
    values,
    valuesBytes,
    offsets: offsetsBytes === 0 ? 0 : offsets,
    offsetsBytes,
    base: 0,
    dictionary,
    dictionaryId,
  };
}

/** Bytes that `placeJoined` takes of kernel memory. */
export function joinedBytes(slices: readonly ColumnSlice[]): number {
  if (slices.length === 1) return slices[0]!.bytes;
  const { validityBytes, valuesBytes, offsetsBytes } = joinedSizes(slices);
  return padded(validityBytes) + padded(valuesBytes) + padded(offsetsBytes);
}

function joinedSizes(slices: readonly ColumnSlice[]) {
  const [first] = slices as [ColumnSlice];
  const rows = slices.reduce((sum, slice) => sum + slice.rows, 0);
  const validityBytes = slices.some(({ validity }) => validity !== null) ? Math.ceil(rows / 8) : 0;
  const valuesBytes = slices.reduce((sum, { values }) => sum + values.length, 0);
  const offsetsBytes = first.offsets === null ? 0 : (rows + 1) * offsetWidth(first);
  return { rows, validityBytes, valuesBytes, offsetsBytes };
}

function offsetWidth({ type }: ColumnSlice): 4 | 8 {
  return type === Type.BYTES ? 4 : 8;
}

/** The offsets of a slice whose first text begins `start` bytes behind the values' first one. */
function placeOffsets(bytes: Uint8Array, slice: ColumnSlice, start: number, at: number): void {
  const { rows, base } = slice;
  const from = slice.offsets!.slice().buffer;
  if (slice.type === Type.BYTES) {
    const target = new Int32Array(bytes.buffer, at, rows + 1);
    const source = new Int32Array(from);
    for (let row = 0; row <= rows; row++) target[row] = source[row]! - base + start;
  } else {
    const target = new BigInt64Array(bytes.buffer, at, rows + 1);
    const source = new BigInt64Array(from);
    const shift = BigInt(start - base);
    for (let row = 0; row <= rows; row++) target[row] = source[row]! + shift;
  }
}

/** `bytes` rounded up to the alignment of buffers. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
