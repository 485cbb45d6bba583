// Columns of kept rows that stay in a loaded table.
//
// A row that a join keeps is a copy of what the table has already. Of a side that is read where it was loaded
// (JoinFlag.LOADED_LEFT, LOADED_RIGHT) only narrow columns are copied, up to ROW_BYTES a row: those that fit into one row
// together are one cache miss instead of one each. The others are lent: a chunk of the store knows where its first row's
// value lies (or its offset of a text), which holds as long as the table's batches begin at whole chunks.
//
// Who looks rows up reads copies that have all columns (gather-rows.ts), so that there is one form of a row for all who
// gather. The copies take lent columns chunk by chunk, like the rows themselves.
//
// A column that only a waiting index reads is lent, and not copied at all.
//
// For 10 million rows beside as many, of which two of six columns are lent, a join takes 1.26 times the time that it takes
// with whole rows of 48 bytes, and 21.5 bytes a row instead of 59.
//
// Tried and lost: texts copied one by one, each a chain of two misses among other work (1.7 times the time of the whole join);
// a text's offset and its address found in one loop (1.07). Blocks of 256 to 4,096 rows, and windows of 65,536, take the same.

import { Type } from "../abi/layout";
import {
  programOffsets,
  programOutputDictionary,
  programShares,
  programTextBase,
  programValues,
} from "../expression/program";
import {
  CHUNK_MASK,
  CHUNK_SHIFT,
  NOWHERE,
  SHORT_TEXT,
  Store,
  StoreColumn,
  pieceOf,
  storeChooseCoded,
  storeColumn,
  storeIsNull,
  storeLayout,
  wordLimit,
  writeCell,
} from "./store";

/** Bytes of columns that a row has though they could be lent. */
const ROW_BYTES: u32 = 16;

/**
 * Of an empty store: decides by the first batch, which the program is bound to, which columns are lent. Nobody but an index
 * reads the column `spare` (or NOWHERE).
 */
export function lentChoose(self: Store, program: usize, spare: u32): void {
  storeChooseCoded(self, program);
  let bytes: u32 = 0;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    column.lent = isShared(column, program) ? 1 : 0;
    if (column.lent && index == spare) column.offset = NOWHERE;
    else column.offset = 0;
    if (!column.lent) bytes += column.width;
  }
  for (let width: u32 = 1; width <= ROW_BYTES; width <<= 1) {
    for (let index: u32 = 0; index < self.columnCount; index++) {
      const column = storeColumn(self, index);
      if (!column.lent || column.width != width || column.offset == NOWHERE || bytes + width > ROW_BYTES) continue;
      column.lent = 0;
      bytes += width;
    }
  }
  self.lent = 0;
  for (let index: u32 = 0; index < self.columnCount; index++) self.lent += storeColumn(self, index).lent;
  storeLayout(self);
}

/** Where a column's values, or offsets of texts, lie in the batch that the program is bound to; 0 where they do not. */
function placeOf(column: StoreColumn, program: usize): usize {
  return column.type == <u32>Type.BYTES ? programOffsets(program, column.output) : programValues(program, column.output);
}

function isShared(column: StoreColumn, program: usize): bool {
  return !column.coded && placeOf(column, program) != 0 && programShares(program, column.output);
}

/** Bytes from the place of one row to that of the next. */
// @ts-ignore: decorator
@inline
function strideOf(column: StoreColumn): usize {
  return column.type == <u32>Type.BYTES ? 4 : <usize>column.width;
}

/** Whether the bound batch's rows, as rows `first` and on, lie where lent columns can be read: in a loaded table, and each chunk's in one piece. */
export function lentFits(self: Store, program: usize, first: u32): bool {
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    if (!column.lent) continue;
    if (!isShared(column, program)) return false;
    const at = (<usize>(first >> CHUNK_SHIFT)) << 2;
    const before = <usize>(first & CHUNK_MASK) * strideOf(column);
    if (before == 0) continue;
    if (placeOf(column, program) - before != <usize>load<u32>(column.places + at)) return false;
    if (column.type == <u32>Type.BYTES && programTextBase(program, column.output) != <usize>load<u32>(column.bases + at)) return false;
  }
  return true;
}

/** Notes where the `rows` of the bound batch lie, as rows `first` and on, which the store has room for. */
export function lentTake(self: Store, program: usize, first: u32, rows: u32): void {
  for (let index: u32 = 0; index < self.columnCount && rows != 0; index++) {
    const column = storeColumn(self, index);
    if (!column.lent) continue;
    const place = placeOf(column, program);
    const isText = column.type == <u32>Type.BYTES;
    const stride = strideOf(column);
    const last = (first + rows - 1) >> CHUNK_SHIFT;
    for (let chunk = first >> CHUNK_SHIFT; chunk <= last; chunk++) {
      // Where the chunk's first row lies, or would.
      const start = place + (<usize>(chunk << CHUNK_SHIFT) - <usize>first) * stride;
      store<u32>(column.places + ((<usize>chunk) << 2), <u32>start);
      if (isText) store<u32>(column.bases + ((<usize>chunk) << 2), <u32>programTextBase(program, column.output));
    }
    if (isText) column.longest = max(column.longest, longestOf(place, rows));
  }
}

/** The longest of so many texts, whose offsets begin at `place`. */
function longestOf(place: usize, rows: u32): u32 {
  let longest: u32 = 0;
  let at = place;
  const end = place + ((<usize>rows) << 2);
  if (ASC_FEATURE_SIMD) {
    let most = i32x4.splat(0);
    for (; at + 16 <= end; at += 16) most = i32x4.max_u(most, i32x4.sub(v128.load(at, 4), v128.load(at)));
    longest = max<u32>(
      max<u32>(i32x4.extract_lane(most, 0), i32x4.extract_lane(most, 1)),
      max<u32>(i32x4.extract_lane(most, 2), i32x4.extract_lane(most, 3)),
    );
  }
  for (; at < end; at += 4) longest = max(longest, load<u32>(at, 4) - load<u32>(at));
  return longest;
}

/** Length of a lent text. */
export function lentLength(column: StoreColumn, row: u32): u32 {
  if (storeIsNull(column, row)) return 0;
  const pair = load<u64>(pieceOf(column.places, row, 4));
  return <u32>(pair >> 32) - <u32>pair;
}

/** Rows whose columns are copied together, and what that takes besides: of each where it lies, where its text does and how long that is, and the text. */
const BLOCK: u32 = 2048;
export const LENT_SCRATCH: usize = (<usize>BLOCK) * 28;

/**
 * Writes lent columns of `count` rows (u32 each at `rows`) to copies, where each lies in the high half of its pair (u64 at
 * `pairs`). `scratch`: LENT_SCRATCH bytes.
 */
export function lentCopy(self: Store, rows: usize, pairs: usize, count: u32, scratch: usize): void {
  for (let done: u32 = 0; done < count; done += BLOCK) {
    const some = min(count - done, BLOCK);
    const listed = rows + ((<usize>done) << 2);
    const copies = pairs + ((<usize>done) << 3);
    for (let index: u32 = 0; index < self.columnCount; index++) {
      const column = storeColumn(self, index);
      if (!column.lent || column.offset == NOWHERE) continue;
      findPlaces(column, listed, some, scratch);
      if (column.type == <u32>Type.BYTES) copyTexts(column, listed, copies, some, scratch);
      else copyFixed(column, copies, some, scratch);
    }
  }
}

// The loops that miss the cache have few instructions: the more rows are on their way at once.

/** Where the rows' values, or offsets, lie: u32 each. */
function findPlaces(column: StoreColumn, rows: usize, count: u32, places: usize): void {
  const chunks = column.places;
  const stride = strideOf(column);
  const end = rows + ((<usize>count) << 2);
  for (; rows < end; rows += 4) {
    store<u32>(places, <u32>pieceOf(chunks, load<u32>(rows), stride));
    places += 4;
  }
}

function copyFixed(column: StoreColumn, pairs: usize, count: u32, places: usize): void {
  switch (column.width) {
    case 1:
      return copyValues<u8>(column.offset, pairs, count, places);
    case 2:
      return copyValues<u16>(column.offset, pairs, count, places);
    case 4:
      return copyValues<u32>(column.offset, pairs, count, places);
    case 8:
      return copyValues<u64>(column.offset, pairs, count, places);
    default:
      copyValues<u64>(column.offset, pairs, count, places);
      for (let at: usize = 0; at < (<usize>count) << 2; at += 4) store<u32>(places + at, load<u32>(places + at) + 8);
      copyValues<u64>(column.offset + 8, pairs, count, places);
  }
}

function copyValues<T>(offset: usize, pairs: usize, count: u32, places: usize): void {
  const end = places + ((<usize>count) << 2);
  for (; places < end; places += 4) {
    store<T>(<usize>load<u32>(pairs, 4) + offset, load<T>(load<u32>(places)));
    pairs += 8;
  }
}

/** Texts, as cells (store.ts). */
function copyTexts(column: StoreColumn, rows: usize, pairs: usize, count: u32, places: usize): void {
  const offset: usize = column.offset;
  const bases = column.bases;
  const texts = places + ((<usize>BLOCK) << 2);
  const bytes = (<usize>count) << 2;
  for (let at: usize = 0; at < bytes; at += 4) store<u64>(texts + (at << 1), load<u64>(load<u32>(places + at)));
  let furthest: usize = 0;
  for (let at: usize = 0; at < bytes; at += 4) {
    const pair = load<u64>(texts + (at << 1));
    const text = <usize>load<u32>(bases + ((<usize>(load<u32>(rows + at) >> CHUNK_SHIFT)) << 2)) + <usize>(<u32>pair);
    store<u32>(texts + (at << 1), <u32>text);
    store<u32>(texts + (at << 1), <u32>(pair >> 32) - <u32>pair, 4);
    furthest = max(furthest, text);
  }
  if (column.nullable) dropNulls(column, rows, bytes, texts);
  const limit = wordLimit();
  if (furthest <= limit && column.longest <= SHORT_TEXT) copyShort(offset, pairs, bytes, texts);
  else {
    for (let at: usize = 0; at < bytes << 1; at += 8)
      writeCell(<usize>load<u32>(pairs + at, 4) + offset, load<u32>(texts + at), load<u32>(texts + at, 4), limit);
  }
}

/** Nulls are of no bytes, though they may have some there. */
function dropNulls(column: StoreColumn, rows: usize, bytes: usize, texts: usize): void {
  for (let at: usize = 0; at < bytes; at += 4) {
    if (storeIsNull(column, load<u32>(rows + at))) store<u32>(texts + (at << 1), 0, 4);
  }
}

/** Texts of at most SHORT_TEXT bytes, sixteen of which can be read. */
function copyShort(offset: usize, pairs: usize, bytes: usize, texts: usize): void {
  const end = pairs + (bytes << 1);
  if (ASC_FEATURE_SIMD) {
    let to = texts + (<usize>BLOCK << 3);
    for (let from = texts; from < texts + (bytes << 1); from += 8) {
      v128.store(to, v128.load(load<u32>(from)));
      to += 16;
    }
    to = texts + (<usize>BLOCK << 3);
    for (; pairs < end; pairs += 8) {
      const length = v128.load32_zero(texts, 4);
      v128.store(<usize>load<u32>(pairs, 4) + offset, v128.shuffle<i32>(length, v128.load(to), 0, 4, 5, 6));
      texts += 8;
      to += 16;
    }
    return;
  }
  for (; pairs < end; pairs += 8) {
    const cell = <usize>load<u32>(pairs, 4) + offset;
    const text: usize = load<u32>(texts);
    const tail = load<u32>(text, 8);
    store<u32>(cell, load<u32>(texts, 4));
    store<u64>(cell, load<u64>(text), 4);
    store<u32>(cell, tail, 12);
    texts += 8;
  }
}

/** Whether something is lent, and so is each plain text of the bound batch. */
export function lentTakesTexts(self: Store, program: usize): bool {
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    if (column.type != <u32>Type.BYTES || column.lent) continue;
    if (programOutputDictionary(program, column.output) == 0) return false;
  }
  return self.lent != 0;
}
