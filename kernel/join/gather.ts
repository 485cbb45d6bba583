// Gathering: rows of a store, in any order, or of the vector at hand, to the end of a result column.
//
// One column at a time, so that the loop is over one type and the rows of a step (2,048) stay in the cache
// from column to column, as the kept rows themselves do. Where each row lies is found once for all columns.
// Texts of up to 16 bytes are copied as two words whatever their length, where memory goes on far enough: their
// lengths are as good as random, and a branch on them costs more than the copy. Where results keep codes, texts that
// came by dictionary are four bytes like any others.
//
// Texts that came by dictionary take two loops: their codes are gathered to where their offsets are to stand, then each code
// makes way for an offset as its text is copied. In one loop each row went through ten addresses, and a million rows of five
// texts took 1.06 of the time.
//
// A row that is not there is read where zeros lie, as any other: no loop over a column asks. Which those are is found once
// for all columns.
//
// Tried and lost: texts copied as one 16-byte vector (0.95 to 1.03).

import { Column, Type } from "../abi/layout";
import { bitmapGet, bitmapTail } from "../column/bitmap";
import { Builder, builderMarkNulls, builderSetBit, builderSetNulls } from "../column/builder";
import { pack32, pack64 } from "../column/pack";
import { typeWidth } from "../column/type";
import { Vector } from "../column/vector";
import { Interner, NO_ID, internedLength } from "../group/interner";
import { copyBytes } from "../memory/copy";
import { lentLength } from "./lent";
import {
  CHUNK_MASK,
  CHUNK_SHIFT,
  SHORT_TEXT,
  Store,
  StoreColumn,
  storeColumn,
  storeRow,
  wordLimit,
} from "./store";

/** Stands for a row that is not there, where a side is padded. */
export const NO_ROW: u32 = 0xffffffff;

/** Texts of so many bytes, or fewer, have room made for them without a look at how long each is. */
export const ROUGH_BYTES: u64 = 1 << 20;

/** Bytes of the texts of `count` rows (u32 each at `rows`; NO_ROW has none). */
export function gatherBytes(self: Store, index: u32, rows: usize, count: u32): u64 {
  const column = storeColumn(self, index);
  const offset: usize = column.offset;
  let bytes: u64 = 0;
  if (column.coded) {
    for (let at: u32 = 0; at < count; at++) {
      const row = load<u32>(rows + ((<usize>at) << 2));
      if (row != NO_ROW && column.interner != 0)
        bytes += idBytes(column.interner, load<u32>(storeRow(self, row) + offset));
    }
    return bytes;
  }
  for (let at: u32 = 0; at < count; at++) {
    const row = load<u32>(rows + ((<usize>at) << 2));
    if (row == NO_ROW) continue;
    bytes += <u64>(column.lent ? lentLength(column, row) : load<u32>(storeRow(self, row) + offset));
  }
  return bytes;
}

/** Length of an interned text; 0 for NO_ID, that of a null row. */
// @ts-ignore: decorator
@inline
function idBytes(interner: usize, id: u32): u32 {
  return id < changetype<Interner>(interner).count ? internedLength(interner, id) : 0;
}

/** Bytes that the texts of `count` rows take at most, found without looking at them; the longest times as many. */
export function gatherBound(self: Store, index: u32, count: u32): u64 {
  const column = storeColumn(self, index);
  const longest: u32 = column.coded ? changetype<Interner>(column.interner).longest : column.longest;
  return <u64>longest * <u64>count;
}

/** Where the listed rows lie, u32 each to `cells`, as every column's loop wants it; of NO_ROW where zeros do. */
export function gatherCells(self: Store, rows: usize, count: u32, cells: usize): void {
  const end = rows + ((<usize>count) << 2);
  const chunks = self.rowChunks;
  const stride = self.rowBytes;
  if (self.rowFirst > CHUNK_MASK) {
    for (; rows < end; rows += 4) {
      const row = load<u32>(rows);
      // The table's first chunk, in place of one that is not there.
      const known = row == NO_ROW ? 0 : row;
      const chunk: usize = load<u32>(chunks + ((<usize>(known >> CHUNK_SHIFT)) << 2));
      store<u32>(cells, <u32>(row == NO_ROW ? self.none : chunk + <usize>(row & CHUNK_MASK) * stride));
      cells += 4;
    }
    return;
  }
  const first = self.rows == 0 ? 0 : load<u32>(chunks);
  if (ASC_FEATURE_SIMD) {
    const begin = i32x4.splat(<i32>first);
    const bytes = i32x4.splat(<i32>stride);
    const zeros = i32x4.splat(<i32>self.none);
    for (; rows + 16 <= end; rows += 16) {
      const four = v128.load(rows);
      const place = i32x4.add(begin, i32x4.mul(four, bytes));
      v128.store(cells, v128.bitselect(zeros, place, i32x4.eq(four, i32x4.splat(<i32>NO_ROW))));
      cells += 16;
    }
  }
  for (; rows < end; rows += 4) {
    const row = load<u32>(rows);
    store<u32>(cells, row == NO_ROW ? <u32>self.none : first + row * <u32>stride);
    cells += 4;
  }
}

/**
 * Appends `count` rows to a builder that has room for them and for their texts (and TEXT_SLACK): `cells` says where they
 * lie (`gatherCells`), `rows` which they are. Where `missing` is not 0, some are NO_ROW, whose values are null
 * (`gatherMissing`). A builder with a dictionary has that of the column (storeDictionary). Rows that were copied beside each
 * other (gather-rows.ts) lie there, but have the validity of those that they are from.
 */
export function gather(self: Store, cells: usize, index: u32, rows: usize, count: u32, builder: Builder, missing: usize): void {
  const column = storeColumn(self, index);
  const offset: usize = column.offset;
  if (missing != 0 && self.rows == 0) {
    appendNulls(builder, count);
    return;
  }
  if (builder.dictionary != 0) gatherFixed<u32>(offset, cells, count, gatherTarget(builder, 4));
  else if (column.type == <u32>Type.BYTES) {
    if (column.coded) gatherIds(column, cells, rows, count, builder, missing != 0);
    else gatherTexts(offset, cells, count, builder);
  } else if (column.type == <u32>Type.BOOL) gatherBits(offset, cells, count, builder);
  else {
    const target = gatherTarget(builder, column.width);
    switch (column.width) {
      case 1:
        gatherFixed<u8>(offset, cells, count, target);
        break;
      case 2:
        gatherFixed<u16>(offset, cells, count, target);
        break;
      case 4:
        gatherFixed<u32>(offset, cells, count, target);
        break;
      case 8:
        gatherFixed<u64>(offset, cells, count, target);
        break;
      default:
        gatherWide(offset, cells, count, target);
    }
  }
  gatherFinish(column, rows, count, builder, missing);
}

/** Where the next words of `width` bytes of a column go: values, or codes. */
export function gatherTarget(builder: Builder, width: u32): usize {
  return (builder.dictionary != 0 ? builder.offsets : builder.values) + <usize>builder.length * <usize>width;
}

/** The listed rows' values are there: says so, and which are null. */
export function gatherFinish(column: StoreColumn, rows: usize, count: u32, builder: Builder, missing: usize): void {
  const start = builder.length;
  builder.length = start + count;
  if (column.nullable) gatherNulls(column, rows, count, builder, start);
  else if (missing != 0) markMissing(missing, count, builder, start);
}

/** Appends `count` nulls. */
export function appendNulls(builder: Builder, count: u32): void {
  const start = builder.length;
  const width = typeWidth(builder.type);
  if (builder.type == <u32>Type.BYTES) {
    const end = builder.bytes;
    const offsets = builder.offsets + ((<usize>start) << 2);
    for (let row: u32 = 1; row <= count; row++) store<u32>(offsets + ((<usize>row) << 2), end);
  } else if (width != 0) memory.fill(builder.values + <usize>start * width, 0, <usize>count * width);
  for (let row: u32 = 0; row < count; row += 64) {
    builderSetNulls(builder, start + row, bitmapTail(min<u32>(64, count - row)));
  }
  builder.length = start + count;
}

function gatherFixed<T>(offset: usize, cells: usize, count: u32, target: usize): void {
  const end = target + <usize>count * sizeof<T>();
  const fours = target + <usize>(count & ~3) * sizeof<T>();
  for (; target < fours; target += 4 * sizeof<T>()) {
    store<T>(target, load<T>(<usize>load<u32>(cells) + offset));
    store<T>(target, load<T>(<usize>load<u32>(cells, 4) + offset), sizeof<T>());
    store<T>(target, load<T>(<usize>load<u32>(cells, 8) + offset), 2 * sizeof<T>());
    store<T>(target, load<T>(<usize>load<u32>(cells, 12) + offset), 3 * sizeof<T>());
    cells += 16;
  }
  for (; target < end; target += sizeof<T>()) {
    store<T>(target, load<T>(<usize>load<u32>(cells) + offset));
    cells += 4;
  }
}

function gatherWide(offset: usize, cells: usize, count: u32, target: usize): void {
  for (let at: u32 = 0; at < count; at++) {
    const from = <usize>load<u32>(cells + ((<usize>at) << 2)) + offset;
    store<u64>(target, load<u64>(from));
    store<u64>(target, load<u64>(from, 8), 8);
    target += 16;
  }
}

function gatherBits(offset: usize, cells: usize, count: u32, builder: Builder): void {
  const start = builder.length;
  for (let at: u32 = 0; at < count; at++)
    builderSetBit(builder, start + at, load<u8>(<usize>load<u32>(cells + ((<usize>at) << 2)) + offset));
}

function gatherTexts(offset: usize, cells: usize, count: u32, builder: Builder): void {
  const base = builder.values;
  const limit = wordLimit();
  const end = cells + ((<usize>count) << 2);
  let offsets = builder.offsets + ((<usize>builder.length) << 2);
  let to = base + <usize>builder.bytes;
  for (; cells < end; cells += 4) {
    const cell = <usize>load<u32>(cells) + offset;
    const length = load<u32>(cell);
    if (length <= SHORT_TEXT) {
      const tail = load<u64>(cell, 12);
      store<u64>(to, load<u64>(cell, 4));
      store<u64>(to, tail, 8);
    } else copyText(to, load<u32>(cell, 8), length, limit);
    to += <usize>length;
    offsets += 4;
    store<u32>(offsets, <u32>(to - base));
  }
  builder.bytes = <u32>(to - base);
}

/** Texts whose ids lie in the rows; NO_ROW, among others where `padded`, has none. */
function gatherIds(column: StoreColumn, cells: usize, rows: usize, count: u32, builder: Builder, padded: bool): void {
  const interner = changetype<Interner>(column.interner);
  const slots = builder.offsets + ((<usize>builder.length + 1) << 2);
  gatherFixed<u32>(column.offset, cells, count, slots);
  if (padded) {
    for (let at: usize = 0; at < (<usize>count) << 2; at += 4)
      if (load<u32>(rows + at) == NO_ROW) store<u32>(slots + at, NO_ID);
  }
  const entries = interner.entries;
  const known = interner.count;
  const base = builder.values;
  const limit = wordLimit();
  const end = slots + ((<usize>count) << 2);
  let to = base + <usize>builder.bytes;
  for (let slot = slots; slot < end; slot += 4) {
    const id = load<u32>(slot);
    // A null has none.
    if (id < known) {
      const entry = load<u64>(entries + ((<usize>id) << 3));
      const length = <usize>(entry >> 32);
      copyText(to, <usize>(<u32>entry), length, limit);
      to += length;
    }
    store<u32>(slot, <u32>(to - base));
  }
  builder.bytes = <u32>(to - base);
}

/** Bytes that a builder of texts must have room for beyond them: short texts are copied 16 bytes at a time. */
export const TEXT_SLACK: usize = 16;

// @ts-ignore: decorator
@inline
export function copyText(to: usize, from: usize, length: usize, limit: usize): void {
  if (length <= TEXT_SLACK && from <= limit) {
    const tail = load<u64>(from, 8);
    store<u64>(to, load<u64>(from));
    store<u64>(to, tail, 8);
  } else copyBytes(to, from, length);
}

/** Writes a bit for each of the listed rows, which is set where it is not there; whether any is. */
export function gatherMissing(rows: usize, count: u32, bits: usize): bool {
  let any: u64 = 0;
  for (let at: u32 = 0; at < count; at += 64) {
    const word = missingOf(rows + ((<usize>at) << 2), min<u32>(64, count - at));
    store<u64>(bits + <usize>(at >> 3), word);
    any |= word;
  }
  return any != 0;
}

function gatherNulls(column: StoreColumn, rows: usize, count: u32, builder: Builder, start: u32): void {
  for (let at: u32 = 0; at < count; at += 64) {
    const nulls = nullsOf(column, rows + ((<usize>at) << 2), min<u32>(64, count - at));
    if (nulls != 0) builderSetNulls(builder, start + at, nulls);
  }
}

/** Makes rows null that are not there, whose values are zero. */
function markMissing(missing: usize, count: u32, builder: Builder, start: u32): void {
  for (let at: u32 = 0; at < count; at += 64) {
    const nulls = load<u64>(missing + <usize>(at >> 3));
    if (nulls != 0) builderMarkNulls(builder, start + at, nulls);
  }
}

/** A bit for each of at most 64 listed rows that is not there. */
function missingOf(rows: usize, count: u32): u64 {
  let bits: u64 = 0;
  let at: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const none = i32x4.splat(<i32>NO_ROW);
    for (const whole = count & ~15; at < whole; at += 16) {
      const four = rows + ((<usize>at) << 2);
      const low = i16x8.narrow_i32x4_s(i32x4.eq(v128.load(four), none), i32x4.eq(v128.load(four, 16), none));
      const high = i16x8.narrow_i32x4_s(i32x4.eq(v128.load(four, 32), none), i32x4.eq(v128.load(four, 48), none));
      bits |= (<u64>(<u32>i8x16.bitmask(i8x16.narrow_i16x8_s(low, high)))) << (<u64>at);
    }
  }
  for (; at < count; at++) bits |= (<u64>(load<u32>(rows + ((<usize>at) << 2)) == NO_ROW)) << (<u64>at);
  return bits;
}

/** A bit for each that is not there, or is null. */
function nullsOf(column: StoreColumn, rows: usize, count: u32): u64 {
  let bits: u64 = 0;
  for (let at: u32 = 0; at < count; at++) {
    const row = load<u32>(rows + ((<usize>at) << 2));
    let valid: u32 = 0;
    if (row != NO_ROW) {
      const words: usize = load<u32>(column.validity + ((<usize>(row >> CHUNK_SHIFT)) << 2));
      valid = bitmapGet(words, row & CHUNK_MASK);
    }
    bits |= (<u64>(valid ^ 1)) << (<u64>at);
  }
  return bits;
}

// ---- from the vector at hand

/**
 * Appends the `count` rows of a vector that are listed at `rows` (u32 each, ascending) to a builder that has
 * room for as many as the vector has (`all`), and for their texts (and TEXT_SLACK). A builder with a dictionary has a copy
 * of the vector's. Where `bits` are not 0, they are those of the listed rows, and numbers are packed by `packing`.
 */
export function appendRows(
  builder: Builder,
  vector: Vector,
  rows: usize,
  count: u32,
  bits: usize,
  all: u32,
  packing: usize,
): void {
  const start = builder.length;
  const values = vector.values;
  const width: u32 = builder.dictionary != 0 ? 4 : <u32>typeWidth(vector.type);
  if (ASC_FEATURE_SIMD && bits != 0 && width == 4) pack32(values, bits, all, packing, gatherTarget(builder, 4));
  else if (ASC_FEATURE_SIMD && bits != 0 && width == 8) pack64(values, bits, all, packing, gatherTarget(builder, 8));
  else if (builder.dictionary != 0) takeFixed<u32>(values, rows, count, gatherTarget(builder, 4));
  else if (vector.type == <u32>Type.BYTES) {
    if (vector.dictionary == 0) appendViews(builder, vector, rows, count);
    else appendCodes(builder, vector, rows, count);
  } else if (vector.type == <u32>Type.BOOL) {
    for (let at: u32 = 0; at < count; at++)
      builderSetBit(builder, start + at, <u8>bitmapGet(values, load<u32>(rows + ((<usize>at) << 2))));
  } else {
    const target = builder.values + <usize>start * <usize>width;
    switch (width) {
      case 1:
        takeFixed<u8>(values, rows, count, target);
        break;
      case 2:
        takeFixed<u16>(values, rows, count, target);
        break;
      case 4:
        takeFixed<u32>(values, rows, count, target);
        break;
      case 8:
        takeFixed<u64>(values, rows, count, target);
        break;
      default:
        for (let at: u32 = 0; at < count; at++) {
          const from = values + ((<usize>load<u32>(rows + ((<usize>at) << 2))) << 4);
          store<u64>(target + ((<usize>at) << 4), load<u64>(from));
          store<u64>(target + ((<usize>at) << 4), load<u64>(from, 8), 8);
        }
    }
  }
  builder.length = start + count;
  if (vector.validity != 0) takeNulls(builder, vector.validity, rows, count, start);
}

function takeFixed<T>(values: usize, rows: usize, count: u32, target: usize): void {
  const end = target + <usize>count * sizeof<T>();
  const fours = target + <usize>(count & ~3) * sizeof<T>();
  for (; target < fours; target += 4 * sizeof<T>()) {
    store<T>(target, load<T>(values + <usize>load<u32>(rows) * sizeof<T>()));
    store<T>(target, load<T>(values + <usize>load<u32>(rows, 4) * sizeof<T>()), sizeof<T>());
    store<T>(target, load<T>(values + <usize>load<u32>(rows, 8) * sizeof<T>()), 2 * sizeof<T>());
    store<T>(target, load<T>(values + <usize>load<u32>(rows, 12) * sizeof<T>()), 3 * sizeof<T>());
    rows += 16;
  }
  for (; target < end; target += sizeof<T>()) {
    store<T>(target, load<T>(values + <usize>load<u32>(rows) * sizeof<T>()));
    rows += 4;
  }
}

function takeNulls(builder: Builder, validity: usize, rows: usize, count: u32, start: u32): void {
  for (let at: u32 = 0; at < count; at += 64) {
    const some = min<u32>(64, count - at);
    let nulls: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++)
      nulls |= (<u64>(bitmapGet(validity, load<u32>(rows + ((<usize>(at + bit)) << 2))) ^ 1)) << (<u64>bit);
    if (nulls != 0) builderSetNulls(builder, start + at, nulls);
  }
}

function appendViews(builder: Builder, vector: Vector, rows: usize, count: u32): void {
  const base = builder.values;
  const views = vector.values;
  const validity = vector.validity;
  const limit = wordLimit();
  let offsets = builder.offsets + ((<usize>builder.length) << 2);
  let to = base + <usize>builder.bytes;
  for (let at: u32 = 0; at < count; at++) {
    const row = load<u32>(rows + ((<usize>at) << 2));
    if (validity == 0 || bitmapGet(validity, row)) {
      const view = load<u64>(views + ((<usize>row) << 3));
      const length = <usize>(view >> 32);
      copyText(to, <usize>(<u32>view), length, limit);
      to += length;
    }
    offsets += 4;
    store<u32>(offsets, <u32>(to - base));
  }
  builder.bytes = <u32>(to - base);
}

/**
 * The texts of `rows` rows, whose offsets (i32) from `base` are at `offsets`. The builder has room for all of them; its length
 * is the caller's to set.
 */
export function appendTexts(builder: Builder, base: usize, offsets: usize, rows: u32): void {
  let slot = builder.offsets + ((<usize>builder.length + 1) << 2);
  const start = load<u32>(offsets);
  const bytes = load<u32>(offsets + ((<usize>rows) << 2)) - start;
  copyBytes(builder.values + <usize>builder.bytes, base + <usize>start, bytes);
  const less = start - builder.bytes;
  let row: u32 = 1;
  if (ASC_FEATURE_SIMD) {
    for (; row + 3 <= rows; row += 4) {
      v128.store(slot, i32x4.sub(v128.load(offsets + ((<usize>row) << 2)), i32x4.splat(<i32>less)));
      slot += 16;
    }
  }
  for (; row <= rows; row++) {
    store<u32>(slot, load<u32>(offsets + ((<usize>row) << 2)) - less);
    slot += 4;
  }
  builder.bytes += bytes;
}

function appendCodes(builder: Builder, vector: Vector, rows: usize, count: u32): void {
  const dictionary = vector.dictionary;
  if (vector.validity != 0 || load<u32>(dictionary) == <u32>Type.LARGE_BYTES) return appendSomeCodes(builder, vector, rows, count);
  const texts: usize = load<u32>(dictionary, <usize>Column.VALUES);
  const first =
    <usize>load<u32>(dictionary, <usize>Column.OFFSETS) + ((<usize>load<u32>(dictionary, <usize>Column.OFFSET)) << 2);
  const slots = builder.offsets + ((<usize>builder.length + 1) << 2);
  takeFixed<u32>(vector.values, rows, count, slots);
  const base = builder.values;
  const limit = wordLimit();
  const end = slots + ((<usize>count) << 2);
  let to = base + <usize>builder.bytes;
  for (let slot = slots; slot < end; slot += 4) {
    const pair = load<u64>(first + ((<usize>load<u32>(slot)) << 2));
    const start = <u32>pair;
    const length = <usize>(<u32>(pair >> 32) - start);
    copyText(to, texts + <usize>start, length, limit);
    to += length;
    store<u32>(slot, <u32>(to - base));
  }
  builder.bytes = <u32>(to - base);
}

/** The same of codes some of which may be of nulls, or of a dictionary with long offsets. */
function appendSomeCodes(builder: Builder, vector: Vector, rows: usize, count: u32): void {
  const dictionary = vector.dictionary;
  const validity = vector.validity;
  const base = builder.values;
  const limit = wordLimit();
  const large = load<u32>(dictionary) == <u32>Type.LARGE_BYTES;
  const texts: usize = load<u32>(dictionary, <usize>Column.VALUES);
  const first =
    <usize>load<u32>(dictionary, <usize>Column.OFFSETS) +
    ((<usize>load<u32>(dictionary, <usize>Column.OFFSET)) << (large ? 3 : 2));
  let offsets = builder.offsets + ((<usize>builder.length) << 2);
  let to = base + <usize>builder.bytes;
  for (let at: u32 = 0; at < count; at++) {
    const row = load<u32>(rows + ((<usize>at) << 2));
    if (validity == 0 || bitmapGet(validity, row)) {
      const code: usize = load<u32>(vector.values + ((<usize>row) << 2));
      let start: usize;
      let end: usize;
      if (large) {
        start = <usize>load<u64>(first + (code << 3));
        end = <usize>load<u64>(first + (code << 3), 8);
      } else {
        const pair = load<u64>(first + (code << 2));
        start = <usize>(<u32>pair);
        end = <usize>(pair >> 32);
      }
      copyText(to, texts + start, end - start, limit);
      to += end - start;
    }
    offsets += 4;
    store<u32>(offsets, <u32>(to - base));
  }
  builder.bytes = <u32>(to - base);
}
