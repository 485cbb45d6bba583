// Joining batches end to end and picking rows by number, on the host: for the plain sorter.

import { Type } from "../../../kernel/abi/layout.js";
import { concatColumns, takeOpaque, takeOpaqueFrom } from "../arrow/index.js";
import type { BatchData, ColumnData } from "../type/column.js";
import { byteWidth, physicalType, type Schema } from "../type/data-type.js";

/** One batch with the rows of all `batches`, whose schemas are the same. */
export function concatBatches(schema: Schema, batches: readonly BatchData[]): BatchData {
  const length = batches.reduce((sum, batch) => sum + batch.length, 0);
  const columns = schema.fields.map((_, index) =>
    concatChunks(batches.map((batch) => batch.columns[index]!)),
  );
  return { schema, length, columns };
}

/** The rows of `batch` whose numbers stand in `rows`, in that order. */
export function takeRows(batch: BatchData, rows: Uint32Array): BatchData {
  const columns = batch.columns.map((column) => takeColumn(column, rows));
  return { schema: batch.schema, length: rows.length, columns };
}

function concatChunks(chunks: readonly ColumnData[]): ColumnData {
  const { type } = chunks[0]!;
  if (type.kind !== "opaque" || chunks.length === 1) return concatColumns(type, chunks);
  const chunkOf = chunks.flatMap((chunk, index) => new Array<number>(chunk.length).fill(index));
  const rowOf = chunks.flatMap((chunk) => Array.from({ length: chunk.length }, (_, row) => row));
  return takeOpaqueFrom(chunks, Uint32Array.from(chunkOf), Uint32Array.from(rowOf));
}

function takeColumn(column: ColumnData, rows: Uint32Array): ColumnData {
  const { type } = column;
  if (type.kind === "opaque") return takeOpaque(column, rows);
  const length = rows.length;
  const base = { type, length, offset: 0, nullCount: -1, dictionary: null };
  const validity = column.validity === null ? null : takeBits(column.validity, column.offset, rows);
  const physical = physicalType(type);
  if (physical === Type.BOOL) {
    return { ...base, validity, offsets: null, values: takeBits(column.values, column.offset, rows) };
  }
  const width = byteWidth(physical);
  if (width > 0) {
    const start = column.offset * width;
    const source = column.values.subarray(start, start + column.length * width);
    return { ...base, validity, offsets: null, values: takeFixed(source, width, rows) };
  }
  const offsets = offsetsOf(column);
  let bytes = 0;
  for (const row of rows) bytes += offsets[row + 1]! - offsets[row]!;
  const writer = new TextWriter(physical, length, bytes);
  for (const row of rows) writer.append(column.values, offsets[row]!, offsets[row + 1]!);
  return { ...base, validity, offsets: writer.offsets, values: writer.values };
}

function takeFixed(source: Uint8Array, width: number, rows: Uint32Array): Uint8Array {
  const target = new Uint8Array(rows.length * width);
  const aligned = width >= 4 && source.byteOffset % 4 === 0;
  if (!aligned) {
    rows.forEach((row, at) => {
      for (let byte = 0; byte < width; byte++) target[at * width + byte] = source[row * width + byte]!;
    });
    return target;
  }
  const words = width / 4;
  const from = new Uint32Array(source.buffer, source.byteOffset, source.byteLength / 4);
  const to = new Uint32Array(target.buffer);
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at]! * words;
    for (let word = 0; word < words; word++) to[at * words + word] = from[row + word]!;
  }
  return target;
}

/** The `length + 1` offsets of a text column from its first row on, as numbers. */
export function offsetsOf(column: ColumnData): Uint32Array | Float64Array {
  const { offset, length, offsets } = column;
  const large = physicalType(column.type) === Type.LARGE_BYTES;
  const result = large ? new Float64Array(length + 1) : new Uint32Array(length + 1);
  if (offsets === null || offsets.byteLength === 0) return result;
  const view = new DataView(offsets.buffer, offsets.byteOffset, offsets.byteLength);
  for (let row = 0; row <= length; row++) {
    const at = offset + row;
    result[row] = large ? Number(view.getBigInt64(at * 8, true)) : view.getInt32(at * 4, true);
  }
  return result;
}

/** Appends byte ranges to a text column whose sizes are known. */
class TextWriter {
  readonly offsets: Uint8Array;
  readonly values: Uint8Array;
  readonly #ends: Int32Array | BigInt64Array;
  #row = 0;
  #at = 0;

  constructor(type: Type, rows: number, bytes: number) {
    this.#ends = type === Type.LARGE_BYTES ? new BigInt64Array(rows + 1) : new Int32Array(rows + 1);
    this.offsets = new Uint8Array(this.#ends.buffer);
    this.values = new Uint8Array(bytes);
  }

  append(source: Uint8Array, start: number, end: number): void {
    const { values } = this;
    let at = this.#at;
    for (let from = start; from < end; from++) values[at++] = source[from]!;
    this.#at = at;
    this.#row += 1;
    this.#ends[this.#row] = this.#ends instanceof Int32Array ? at : BigInt(at);
  }
}

function bitmap(rows: number): Uint8Array {
  return new Uint8Array(Math.ceil(rows / 64) * 8);
}

function takeBits(bits: Uint8Array, offset: number, rows: Uint32Array): Uint8Array {
  const target = bitmap(rows.length);
  rows.forEach((row, at) => {
    if (isSet(bits, offset + row)) target[at >> 3]! |= 1 << (at & 7);
  });
  return target;
}

/** Bit `at` of a bitmap, least significant first. */
export function isSet(bits: Uint8Array, at: number): boolean {
  return ((bits[at >> 3]! >> (at & 7)) & 1) === 1;
}
