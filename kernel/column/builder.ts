// Builders: output columns in Arrow layout, in the memory of the operator's region.
//
// A builder is reserved for a number of rows (and bytes), written row by row or vector by vector, then
// described as a `Column`. It keeps its buffers for the next batch. Validity is written only when a null
// comes; until then the bitmap is all ones and the descriptor says "no bitmap".
//
// `reserve` is the only part that can fail, so that callers reserve the worst case first and then write
// without a way back.

import { Batch, Column, ColumnFlag, Type } from "../abi/layout";
import { bitmapAppend, bitmapBytes, bitmapClearTail, bitmapTail } from "./bitmap";
import { copyRun } from "../memory/copy";
import { regionBlock, regionCapacity, regionCut, regionFree } from "../memory/region";
import { dictionaryAddress, dictionaryLength } from "./dictionary";
import { typeWidth } from "./type";
import { Vector } from "./vector";

// @ts-ignore: decorator
@unmanaged
export class Builder {
  type: u32;
  /** Rows written. */
  length: u32;
  nulls: u32;
  /** Rows that the buffers can hold. */
  capacity: u32;
  values: usize;
  validity: usize;
  /** i32 offsets, `length + 1` of them, for BYTES. */
  offsets: usize;
  /** Bytes of BYTES values written, and that the buffer can hold. */
  bytes: u32;
  bytesCapacity: u32;
  /** BYTES: descriptor of the dictionary that the rows are codes of, where they are: u32 each, in the place of offsets. */
  dictionary: usize;
  /** Whether values, codes or texts with their offsets lie in buffers of others (builderLend), and offset of the first text's first byte. */
  lent: u32;
  first: u32;
}

const BUILDER_SIZE: usize = 48;

/**
 * A set of builders and the batch they make:
 *   +0 region  +4 columns  +8 builders  +12 descriptors
 */
export const OUTPUT_SIZE: usize = 16;

/** An output of `columns` builders, whose types `outputColumn(...).type` the caller sets; 0 when out of memory. */
export function outputCreate(region: usize, columns: u32): usize {
  const output = regionCut(region, OUTPUT_SIZE);
  const builders = regionCut(region, <usize>max<u32>(columns, 1) * BUILDER_SIZE);
  const descriptors = regionCut(region, <usize>max<u32>(columns, 1) * <usize>Column.SIZE);
  if (output == 0 || builders == 0 || descriptors == 0) return 0;
  store<u32>(output, <u32>region);
  store<u32>(output, columns, 4);
  store<u32>(output, <u32>builders, 8);
  store<u32>(output, <u32>descriptors, 12);
  return output;
}

// @ts-ignore: decorator
@inline
export function outputColumn(output: usize, column: u32): Builder {
  return changetype<Builder>(<usize>load<u32>(output, 8) + <usize>column * BUILDER_SIZE);
}

/** Empties every builder and makes room for `rows` rows; false when out of memory. */
export function outputReset(output: usize, rows: u32): bool {
  const region: usize = load<u32>(output);
  const columns = load<u32>(output, 4);
  for (let column: u32 = 0; column < columns; column++) {
    const builder = outputColumn(output, column);
    if (builder.lent) forget(builder);
    builder.length = 0;
    builder.nulls = 0;
    builder.bytes = 0;
    builder.dictionary = 0;
    if (!builderReserve(region, builder, rows)) return false;
    const bitmap = bitmapBytes(builder.capacity);
    memory.fill(builder.validity, 0xff, bitmap);
    if (builder.type == <u32>Type.BYTES) store<u32>(builder.offsets, 0);
  }
  return true;
}

/** Makes room for `more` further rows in every builder; false when out of memory, with what is written kept. */
export function outputReserve(output: usize, more: u32): bool {
  const region: usize = load<u32>(output);
  const columns = load<u32>(output, 4);
  for (let column: u32 = 0; column < columns; column++) {
    const builder = outputColumn(output, column);
    const need = builder.length + more;
    if (need <= builder.capacity) continue;
    // What grows step by step doubles.
    const capacity = builder.length == 0 ? need : max<u32>(need, builder.capacity << 1);
    if (!builderReserve(region, builder, capacity)) return false;
  }
  return true;
}

// @ts-ignore: decorator
@inline
export function outputColumns(output: usize): u32 {
  return load<u32>(output, 4);
}

/** The region of an output's builders. */
// @ts-ignore: decorator
@inline
export function outputRegion(output: usize): usize {
  return load<u32>(output);
}

/**
 * Leaves what the builders hold, and its column descriptors, to whoever has the description: they start with new ones, and
 * the old ones live as long as the region. False when out of memory, with nothing changed.
 */
export function outputDetach(output: usize): bool {
  const columns = load<u32>(output, 4);
  const descriptors = regionCut(load<u32>(output), <usize>max<u32>(columns, 1) * <usize>Column.SIZE);
  if (descriptors == 0) return false;
  store<u32>(output, <u32>descriptors, 12);
  for (let column: u32 = 0; column < columns; column++) {
    const builder = outputColumn(output, column);
    forget(builder);
    builder.validity = 0;
    builder.length = 0;
    builder.bytes = 0;
  }
  return true;
}

/** Leaves the buffers, but that of the validity, where they are. */
function forget(builder: Builder): void {
  builder.values = 0;
  builder.offsets = 0;
  builder.capacity = 0;
  builder.bytesCapacity = 0;
  builder.lent = 0;
}

/** Moves what the builders hold to buffers of its size. False when out of memory, and nothing is lost then. */
export function outputShrink(output: usize): bool {
  const region: usize = load<u32>(output);
  const columns = load<u32>(output, 4);
  for (let column: u32 = 0; column < columns; column++) {
    const builder = outputColumn(output, column);
    const rows = builder.length;
    const bitmap = bitmapBytes(rows);
    const width = typeWidth(builder.type);
    const text = builder.type == <u32>Type.BYTES;
    const validity = moved(region, builder.validity, bitmap);
    if (validity == 0) return false;
    builder.validity = validity;
    // Should a further move fail, what has been moved has no room for more.
    builder.capacity = rows;
    if (builder.lent) continue;
    const bytes: usize = text ? <usize>builder.bytes : width == 0 ? bitmap : <usize>rows * width;
    const values = moved(region, builder.values, bytes);
    if (values == 0) return false;
    builder.values = values;
    if (!text) continue;
    builder.bytesCapacity = builder.bytes;
    const offsets = moved(region, builder.offsets, (<usize>rows + 1) << 2);
    if (offsets == 0) return false;
    builder.offsets = offsets;
  }
  return true;
}

/**
 * Gives room for texts back that a batch which stays has not used, where that is more than a quarter of what it has. Without
 * memory to move them to they stay where they are.
 */
export function outputTrim(output: usize): void {
  const region: usize = load<u32>(output);
  const columns = load<u32>(output, 4);
  for (let column: u32 = 0; column < columns; column++) {
    const builder = outputColumn(output, column);
    if (builder.type != <u32>Type.BYTES || builder.lent || builder.bytes >= builder.bytesCapacity - (builder.bytesCapacity >> 2)) continue;
    const values = moved(region, builder.values, builder.bytes);
    if (values == 0) return;
    builder.values = values;
    builder.bytesCapacity = builder.bytes;
  }
}

/** The first `bytes` of a block in one of their size, which takes its place. */
function moved(region: usize, block: usize, bytes: usize): usize {
  const fresh = regionBlock(region, max<usize>(bytes, 8));
  if (fresh == 0) return 0;
  memory.copy(fresh, block, bytes);
  regionFree(region, block);
  return fresh;
}

/** Fills the batch descriptor at `batch` with what the builders hold. */
export function outputDescribe(output: usize, batch: usize, rows: u32, section: u32): void {
  const columns = load<u32>(output, 4);
  const descriptors: usize = load<u32>(output, 12);
  for (let column: u32 = 0; column < columns; column++) {
    builderDescribe(outputColumn(output, column), descriptors + <usize>column * <usize>Column.SIZE);
  }
  memory.fill(batch, 0, <usize>Batch.SIZE);
  store<u32>(batch, rows, <usize>Batch.ROWS);
  store<u32>(batch, columns, <usize>Batch.COLUMNS);
  store<u32>(batch, <u32>descriptors, <usize>Batch.DESCRIPTORS);
  store<u32>(batch, section, <usize>Batch.SECTION);
}

/** Room for `rows` rows in all; keeps what is written. False when out of memory. */
export function builderReserve(region: usize, builder: Builder, rows: u32): bool {
  const type = builder.type;
  // One of them alone was all that there was memory for, or is left of a column that lay elsewhere.
  const isThere = builder.validity != 0 && (type == <u32>Type.BYTES ? builder.offsets : builder.values) != 0;
  if (rows <= builder.capacity && isThere) return true;
  const capacity = max<u32>(rows, 64);
  const oldBitmap: usize = builder.validity == 0 ? 0 : bitmapBytes(builder.capacity);
  const bitmap = bitmapBytes(capacity);
  const validity = regrow(region, builder.validity, oldBitmap, bitmap);
  if (validity == 0) return false;
  builder.validity = validity;
  memory.fill(validity + oldBitmap, 0xff, bitmap - oldBitmap);
  if (type == <u32>Type.BYTES) {
    const used: usize = builder.offsets == 0 ? 0 : (<usize>builder.length + 1) << 2;
    const offsets = regrow(region, builder.offsets, used, (<usize>capacity + 1) << 2);
    if (offsets == 0) return false;
    if (used == 0) store<u32>(offsets, 0);
    builder.offsets = offsets;
  } else {
    const width = typeWidth(type);
    const used: usize = builder.values == 0 ? 0 : width == 0 ? bitmapBytes(builder.length) : <usize>builder.length * width;
    const values = regrow(region, builder.values, used, width == 0 ? bitmap : <usize>capacity * width);
    if (values == 0) return false;
    builder.values = values;
  }
  builder.capacity = capacity;
  return true;
}

/** Room for `more` further bytes of BYTES values; false when out of memory or past 2 GiB. */
export function builderReserveBytes(region: usize, builder: Builder, more: usize): bool {
  const need: u64 = <u64>builder.bytes + <u64>more;
  if (need <= <u64>builder.bytesCapacity && builder.values != 0) return true;
  if (need > 0x7fffffff) return false; // unreached: needs 2 GiB of values
  const capacity = max<usize>(<usize>need, min<usize>(<usize>builder.bytesCapacity << 1, 0x7fffffff));
  const values = regrow(region, builder.values, builder.bytes, max<usize>(capacity, 256));
  if (values == 0) return false;
  builder.values = values;
  builder.bytesCapacity = <u32>max<usize>(capacity, 256);
  return true;
}

/** A block of at least `bytes` with the first `used` bytes of `old`, which is freed; 0 (and `old` kept) when out of memory. */
export function regrow(region: usize, old: usize, used: usize, bytes: usize): usize {
  if (old != 0 && regionCapacity(old) >= bytes) return old;
  const fresh = regionBlock(region, bytes);
  if (fresh == 0) return 0;
  if (used != 0) memory.copy(fresh, old, used);
  regionFree(region, old);
  return fresh;
}

/** The same with zeroes behind what was used. */
export function regrowZeroed(region: usize, old: usize, used: usize, bytes: u64): usize {
  if (bytes > 0xf0000000) return 0; // unreached: needs more than 4 GiB
  const fresh = regrow(region, old, used, <usize>bytes);
  if (fresh != 0) memory.fill(fresh + used, 0, <usize>bytes - used);
  return fresh;
}

/**
 * Makes an empty builder's column `rows` rows, none of them null, that lie elsewhere, and gives its own room for them back:
 * values or codes at `at`, or i32 offsets, from `base` on. They stay as they are for as long as what is described is read.
 */
export function builderLend(region: usize, builder: Builder, at: usize, base: usize, rows: u32): void {
  const text = builder.type == <u32>Type.BYTES;
  regionFree(region, builder.offsets);
  regionFree(region, builder.values);
  forget(builder);
  builder.lent = 1;
  builder.length = rows;
  builder.capacity = rows;
  if (text) builder.offsets = at;
  else builder.values = at;
  if (!text || builder.dictionary != 0) return;
  builder.first = load<u32>(at);
  builder.values = base + <usize>builder.first;
  builder.bytes = load<u32>(at + ((<usize>rows) << 2)) - builder.first;
  builder.bytesCapacity = builder.bytes;
}

/** Where the next row's value of `width` bytes goes, or its code. */
// @ts-ignore: decorator
@inline
export function builderPlace(builder: Builder, width: usize): usize {
  return (builder.dictionary != 0 ? builder.offsets : builder.values) + <usize>builder.length * width;
}

/** Marks `row` null. Its value stays whatever the caller wrote: write zero. */
// @ts-ignore: decorator
@inline
export function builderSetNull(builder: Builder, row: u32): void {
  const byte = builder.validity + <usize>(row >> 3);
  store<u8>(byte, load<u8>(byte) & ~(<u8>1 << <u8>(row & 7)));
  builder.nulls++;
}

/**
 * Makes rows null, whose values lie there already: bit i of `nulls` is row `row + i`. Fixed-width values, bits and codes
 * of them become zero, so that equal results have equal bytes.
 */
export function builderSetNulls(builder: Builder, row: u32, nulls: u64): void {
  builderMarkNulls(builder, row, nulls);
  if (builder.type == <u32>Type.BOOL) clearBits(builder.values, row, nulls);
  else if (builder.dictionary != 0) clearValues<u32>(builder.offsets, row, nulls);
  else if (builder.type != <u32>Type.BYTES) clearFixed(builder.values, typeWidth(builder.type), row, nulls);
}

/** The same of rows whose values are zero. */
export function builderMarkNulls(builder: Builder, row: u32, nulls: u64): void {
  builder.nulls += <u32>popcnt<u64>(nulls);
  clearBits(builder.validity, row, nulls);
}

function clearFixed(values: usize, width: usize, row: u32, rows: u64): void {
  switch (<u32>width) {
    case 1:
      return clearValues<u8>(values, row, rows);
    case 2:
      return clearValues<u16>(values, row, rows);
    case 4:
      return clearValues<u32>(values, row, rows);
    case 8:
      return clearValues<u64>(values, row, rows);
    default:
      clearWide(values + (<usize>row << 4), rows);
  }
}

// @ts-ignore: decorator
@inline
function clearValues<T>(values: usize, row: u32, rows: u64): void {
  const first = values + <usize>row * sizeof<T>();
  for (; rows != 0; rows &= rows - 1) store<T>(first + <usize>ctz<u64>(rows) * sizeof<T>(), 0);
}

function clearWide(first: usize, rows: u64): void {
  for (; rows != 0; rows &= rows - 1) {
    const value = first + (<usize>ctz<u64>(rows) << 4);
    store<u64>(value, 0);
    store<u64>(value, 0, 8);
  }
}

/** Clears bits `row` and on that are set in `bits`. */
function clearBits(bitmap: usize, row: u32, bits: u64): void {
  const shift: u64 = row & 63;
  const word = bitmap + (<usize>(row >> 6) << 3);
  store<u64>(word, load<u64>(word) & ~(bits << shift));
  const high = shift == 0 ? 0 : bits >> (64 - shift);
  if (high != 0) store<u64>(word, load<u64>(word, 8) & ~high, 8);
}

/** Appends one BYTES value; room for it must have been reserved. */
// @ts-ignore: decorator
@inline
export function builderAppendBytes(builder: Builder, address: usize, length: u32): void {
  memory.copy(builder.values + <usize>builder.bytes, address, length);
  builder.bytes += length;
  builder.length++;
  store<u32>(builder.offsets + (<usize>builder.length << 2), builder.bytes);
}

/** Bytes that the first `rows` rows of a BYTES vector (plain or dictionary) hold. */
export function vectorBytes(vector: Vector, rows: u32): usize {
  let total: usize = 0;
  for (let row: u32 = 0; row < rows; row++) {
    if (!vectorIsValid(vector, row)) continue;
    total +=
      vector.dictionary == 0
        ? load<u32>(vector.values + (<usize>row << 3), 4)
        : dictionaryLength(vector.dictionary, load<u32>(vector.values + (<usize>row << 2)));
  }
  return total;
}

// @ts-ignore: decorator
@inline
export function vectorIsValid(vector: Vector, row: u32): bool {
  return vector.validity == 0 || (load<u8>(vector.validity + <usize>(row >> 3)) >> <u8>(row & 7)) & 1;
}

/** Appends a vector; dictionary codes are resolved, unless the builder has a dictionary: a copy of the vector's. Room for its rows, one at least, and bytes must have been reserved. */
export function builderAppendVector(builder: Builder, vector: Vector, rows: u32): void {
  const start = builder.length;
  if (vector.validity != 0) builder.nulls += rows - bitmapAppend(builder.validity, start, vector.validity, 0, rows);
  if (builder.dictionary != 0) keepCodes(builder, vector, rows);
  else if (vector.type == <u32>Type.BYTES) {
    if (vector.dictionary == 0) appendViews(builder, vector, rows);
    else appendCodes(builder, vector, rows);
  } else if (vector.type == <u32>Type.BOOL) {
    bitmapAppend(builder.values, start, vector.values, vector.validity, rows);
  } else {
    appendFixed(builder, vector, rows);
  }
  builder.length = start + rows;
}

/** Texts that lie one after the other (a column's own, unfiltered) are copied as one piece. */
function appendViews(builder: Builder, vector: Vector, rows: u32): void {
  const done = vector.validity == 0 ? appendAdjacent(builder, vector.values, rows) : 0;
  let offsets = builder.offsets + (<usize>(builder.length + done) << 2);
  let to = builder.values + <usize>builder.bytes;
  const base = builder.values;
  let from: usize = 0;
  let pending: usize = 0;
  for (let row = done; row < rows; row++) {
    const view = vector.values + (<usize>row << 3);
    if (vectorIsValid(vector, row)) {
      const address: usize = load<u32>(view);
      const length: usize = load<u32>(view, 4);
      if (address != from + pending) {
        copyBytes(to, from, pending);
        to += pending;
        from = address;
        pending = 0;
      }
      pending += length;
    }
    offsets += 4;
    store<u32>(offsets, <u32>(to + pending - base));
  }
  copyBytes(to, from, pending);
  builder.bytes = <u32>(to + pending - base);
}

/** Appends the texts, seen four at a time, behind which the next one begins, up to the first that is elsewhere; how many. */
function appendAdjacent(builder: Builder, views: usize, rows: u32): u32 {
  if (!ASC_FEATURE_SIMD || rows == 0) return 0;
  const from: usize = load<u32>(views);
  const distance = i32x4.splat(<i32>(<u32>from - builder.bytes));
  const ends = builder.offsets + (<usize>builder.length << 2) + 4;
  let row: u32 = 0;
  for (; row + 4 < rows; row += 4) {
    const view = views + (<usize>row << 3);
    const one = v128.load(view);
    const two = v128.load(view, 16);
    const starts = v128.shuffle<i32>(one, two, 0, 2, 4, 6);
    const end = i32x4.add(starts, v128.shuffle<i32>(one, two, 1, 3, 5, 7));
    const next = i32x4.replace_lane(v128.shuffle<i32>(starts, starts, 1, 2, 3, 3), 3, load<u32>(view, 32));
    if (!i32x4.all_true(i32x4.eq(end, next))) break;
    v128.store(ends + (<usize>row << 2), i32x4.sub(end, distance));
  }
  const bytes = <usize>load<u32>(views + (<usize>row << 3)) - from;
  copyBytes(builder.values + <usize>builder.bytes, from, bytes);
  builder.bytes += <u32>bytes;
  return row;
}

/** Codes as they are; those of null rows become zero. */
function keepCodes(builder: Builder, vector: Vector, rows: u32): void {
  const target = builder.offsets + ((<usize>builder.length) << 2);
  copyRun(target, vector.values, (<usize>rows) << 2);
  clearNulls(target, 4, vector, rows);
}

function appendCodes(builder: Builder, vector: Vector, rows: u32): void {
  let offsets = builder.offsets + (<usize>builder.length << 2);
  const base = builder.values;
  let to = base + <usize>builder.bytes;
  for (let row: u32 = 0; row < rows; row++) {
    if (vectorIsValid(vector, row)) {
      const code = load<u32>(vector.values + (<usize>row << 2));
      const length: usize = dictionaryLength(vector.dictionary, code);
      copyBytes(to, dictionaryAddress(vector.dictionary, code), length);
      to += length;
    }
    offsets += 4;
    store<u32>(offsets, <u32>(to - base));
  }
  builder.bytes = <u32>(to - base);
}

/** Copies a text: a short one by overlapping words, never beyond either end. */
// @ts-ignore: decorator
@inline
export function copyBytes(to: usize, from: usize, length: usize): void {
  if (length > 32) copyRun(to, from, length);
  else if (length >= 8) {
    const last = length - 8;
    for (let at: usize = 0; at < last; at += 8) store<u64>(to + at, load<u64>(from + at));
    store<u64>(to + last, load<u64>(from + last));
  } else {
    for (let at: usize = 0; at < length; at++) store<u8>(to + at, load<u8>(from + at));
  }
}

/** Writes bit `row` of a BOOL builder. */
// @ts-ignore: decorator
@inline
export function builderSetBit(builder: Builder, row: u32, bit: u8): void {
  const byte = builder.values + <usize>(row >> 3);
  const shift = <u8>(row & 7);
  store<u8>(byte, (load<u8>(byte) & ~(<u8>1 << shift)) | (bit << shift));
}

/** Fixed-width values; those of null rows become zero, so that equal results have equal bytes. */
function appendFixed(builder: Builder, vector: Vector, rows: u32): void {
  const width = typeWidth(vector.type);
  const target = builder.values + <usize>builder.length * width;
  copyRun(target, vector.values, <usize>rows * width);
  clearNulls(target, width, vector, rows);
}

/** Makes the values of a vector's null rows zero. */
function clearNulls(values: usize, width: usize, vector: Vector, rows: u32): void {
  for (let row: u32 = 0; vector.validity != 0 && row < rows; row += 64) {
    const nulls = ~load<u64>(vector.validity + <usize>(row >> 3)) & bitmapTail(min<u32>(64, rows - row));
    clearFixed(values, width, row, nulls);
  }
}

/** Fills a column descriptor; clears the bitmap bits past the last row. */
export function builderDescribe(builder: Builder, column: usize): void {
  const rows = builder.length;
  memory.fill(column, 0, <usize>Column.SIZE);
  store<u32>(column, builder.type, <usize>Column.TYPE);
  const flags = <u32>ColumnFlag.TRUSTED | (builder.lent ? <u32>ColumnFlag.SHARED : 0);
  store<u32>(column, flags, <usize>Column.FLAGS);
  store<u32>(column, rows, <usize>Column.LENGTH);
  store<u32>(column, builder.nulls, <usize>Column.NULL_COUNT);
  if (builder.nulls != 0) {
    bitmapClearTail(builder.validity, rows);
    store<u32>(column, <u32>builder.validity, <usize>Column.VALIDITY);
    store<u32>(column, <u32>bitmapBytes(rows), <usize>Column.VALIDITY_BYTES);
  }
  if (builder.dictionary != 0) {
    store<u32>(column, <u32>Type.U32, <usize>Column.TYPE);
    store<u32>(column, flags | <u32>ColumnFlag.DICTIONARY, <usize>Column.FLAGS);
    store<u32>(column, <u32>builder.offsets, <usize>Column.VALUES);
    store<u32>(column, rows << 2, <usize>Column.VALUES_BYTES);
    store<u32>(column, <u32>builder.dictionary, <usize>Column.DICTIONARY);
    return;
  }
  store<u32>(column, <u32>builder.values, <usize>Column.VALUES);
  const width = typeWidth(builder.type);
  if (builder.type == <u32>Type.BYTES) {
    store<u32>(column, builder.bytes, <usize>Column.VALUES_BYTES);
    store<u32>(column, <u32>builder.offsets, <usize>Column.OFFSETS);
    store<u32>(column, (rows + 1) << 2, <usize>Column.OFFSETS_BYTES);
    if (builder.lent) store<u64>(column, builder.first, <usize>Column.BASE);
  } else if (width == 0) {
    bitmapClearTail(builder.values, rows);
    store<u32>(column, <u32>bitmapBytes(rows), <usize>Column.VALUES_BYTES);
  } else {
    store<u32>(column, <u32>(<usize>rows * width), <usize>Column.VALUES_BYTES);
  }
}
