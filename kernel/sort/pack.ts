// Filling words: the next bits of the order, as many as fit above the row number, at the rows the words name.
//
//   word:   0 .. 0 | key bits, most significant first | row number
//
// What goes in is planned once (a list of pieces: of which part, which of its bits, where to), then done a
// piece at a time in a loop over the words. The first words of all rows are filled in row order, where values
// lie next to each other; those of rows that were equal so far are fetched by row number.

import { Type } from "../abi/layout";
import { bitmapGet } from "../column/bitmap";
import { normal, normalHigh, squeeze, textWord } from "./normal";
import { Cursor, Part, SortKey, SortOrder, keyColumn, orderKey, partBits, tailStart } from "./order";
import { CHUNK_MASK, StoreColumn, storeBitmap, storeIsValid, storeValue } from "./row-store";

/** Some of a part's bits: (code >> drop) & mask, at `place`. Of TAIL the 8 bytes from `from` on are the code. */
// @ts-ignore: decorator
@unmanaged
class Piece {
  key: u32;
  part: u32;
  drop: u64;
  mask: u64;
  place: u64;
  from: u32;
  bits: u32;
}

const PIECE_SIZE: usize = 40;
/** Rows that all pieces are applied to before the next: their words stay in the cache. */
const BLOCK_ROWS: u32 = 4096;

// @ts-ignore: decorator
@inline
function pieceAt(order: SortOrder, index: u32): Piece {
  return changetype<Piece>(order.pieces + <usize>index * PIECE_SIZE);
}

/**
 * Plans a word with `width` bits for keys above `place` bits of row number, and moves the cursor past them.
 * `longest`: no text of a key whose TAIL is begun is longer in the rows at hand. `keys`: only the first so many.
 * Answers the number of pieces.
 */
export function planWord(
  order: SortOrder,
  cursor: Cursor,
  width: u64,
  place: u64,
  longest: u32,
  keys: u32,
): u32 {
  let room = width;
  let count: u32 = 0;
  let limit = longest;
  while (cursor.key < keys && room != 0) {
    const key = orderKey(order, cursor.key);
    const tail = cursor.part == <u32>Part.TAIL;
    let bits = partBits(order, key, cursor.part);
    if (tail && bits != 0) bits = min<u64>(bits, <u64>(max(limit, tailStart(key)) - tailStart(key)) << 3);
    if (bits > cursor.done) {
      const left = bits - cursor.done;
      const take = tail ? min<u64>(left, room) & ~7 : min<u64>(left, room);
      if (take == 0) break;
      const piece = pieceAt(order, count);
      piece.key = cursor.key;
      piece.part = cursor.part;
      piece.from = tailStart(key) + <u32>(cursor.done >> 3);
      piece.drop = tail ? 64 - take : left - take;
      piece.mask = take == 64 ? <u64>-1 : (<u64>1 << take) - 1;
      piece.bits = <u32>take;
      count++;
      room -= take;
      cursor.done += take;
      if (take < left) break;
    }
    advance(cursor);
    limit = u32.MAX_VALUE;
  }
  let at = place;
  for (let index = count; index > 0; index--) {
    const piece = pieceAt(order, index - 1);
    piece.place = at;
    at += piece.bits;
  }
  return count;
}

// @ts-ignore: decorator
@inline
export function advance(cursor: Cursor): void {
  cursor.done = 0;
  cursor.part++;
  if (cursor.part < <u32>Part.COUNT) return;
  cursor.part = Part.NULL;
  cursor.key++;
}

/** Key bits of the planned word. */
export function plannedBits(order: SortOrder, pieces: u32): u64 {
  if (pieces == 0) return 0;
  const first = pieceAt(order, 0);
  return first.place + first.bits - pieceAt(order, pieces - 1).place;
}

/** The greatest word of so many bits. */
// @ts-ignore: decorator
@inline
export function greatest(bits: u32): u64 {
  return bits == 64 ? u64.MAX_VALUE : (<u64>1 << bits) - 1;
}

/**
 * Moves the cursor past those of the first `bits` bits of the order, of columns before `keys`, that all rows share whose bits lie
 * between `low` and `high`. Answers the bits of `low` that follow, highest first: words may be lessened by these; 0 where that
 * would hardly make them shorter, or the cursor has not come past all.
 */
export function passShared(order: SortOrder, cursor: Cursor, bits: u32, keys: u32, low: u64, high: u64): u64 {
  const differing = min<u32>(bits, 64 - <u32>clz<u64>(low ^ high));
  const shared: u64 = bits - differing;
  const pieces = planWord(order, cursor, shared, 0, u32.MAX_VALUE, keys);
  if (plannedBits(order, pieces) != shared) return 0;
  return differing >= 66 - <u32>clz<u64>(high - low) ? low << <u64>(64 - differing) : 0;
}

/** For words without row numbers. */
export const NO_NUMBER: u32 = 0xffffffff;

/** Fills the words of rows [row, row + rows), which lie in one chunk, in row order; the first is numbered `number`. */
export function packRows(order: SortOrder, pieces: u32, row: u32, rows: u32, words: usize, number: u32): void {
  for (let start: u32 = 0; start < rows; start += BLOCK_ROWS) {
    const some = min(BLOCK_ROWS, rows - start);
    const at = words + ((<usize>start) << 3);
    if (number == NO_NUMBER) memory.fill(at, 0, (<usize>some) << 3);
    else numberRows(at, number + start, some);
    for (let index: u32 = 0; index < pieces; index++) {
      packPiece(order, pieceAt(order, index), row + start, some, at, 0);
    }
  }
}

function numberRows(words: usize, row: u32, rows: u32): void {
  for (let at: u32 = 0; at < rows; at++) store<u64>(words + ((<usize>at) << 3), <u64>(row + at));
}

/** Fills the words at which row numbers stand in the bits of `mask`. */
export function packWords(order: SortOrder, pieces: u32, words: usize, count: u32, mask: u64): void {
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) store<u64>(at, load<u64>(at) & mask);
  for (let index: u32 = 0; index < pieces; index++) packPiece(order, pieceAt(order, index), order.first, count, words, mask);
}

/** Rows [row, row + rows) in order where `mask` is 0, else those that the words name, counted from `row`. */
function packPiece(order: SortOrder, piece: Piece, row: u32, rows: u32, words: usize, mask: u64): void {
  const key = orderKey(order, piece.key);
  const column = keyColumn(order, key);
  if (piece.part == <u32>Part.NULL) {
    packNulls(column, key, piece, row, rows, words, mask);
    return;
  }
  switch (column.type) {
    case Type.I8:
      packFixed<i8>(column, key, piece, row, rows, words, mask);
      break;
    case Type.BOOL:
    case Type.U8:
      packFixed<u8>(column, key, piece, row, rows, words, mask);
      break;
    case Type.I16:
      packFixed<i16>(column, key, piece, row, rows, words, mask);
      break;
    case Type.U16:
      packFixed<u16>(column, key, piece, row, rows, words, mask);
      break;
    case Type.I32:
      packFixed<i32>(column, key, piece, row, rows, words, mask);
      break;
    case Type.U32:
      packFixed<u32>(column, key, piece, row, rows, words, mask);
      break;
    case Type.I64:
      packFixed<i64>(column, key, piece, row, rows, words, mask);
      break;
    case Type.U64:
      packFixed<u64>(column, key, piece, row, rows, words, mask);
      break;
    case Type.F32:
      packFixed<f32>(column, key, piece, row, rows, words, mask);
      break;
    case Type.F64:
      packFixed<f64>(column, key, piece, row, rows, words, mask);
      break;
    case Type.I128:
      packWide(column, key, piece, row, rows, words, mask);
      break;
    default:
      packTexts(column, key, piece, row, rows, words, mask);
  }
}

/** Number of the row at place `index`: in order where `mask` is 0, else what its word names. */
// @ts-ignore: decorator
@inline
function numberAt(row: u32, index: u32, word: u64, mask: u64): u32 {
  return row + (mask == 0 ? index : <u32>(word & mask));
}

function packNulls(
  column: StoreColumn,
  key: SortKey,
  piece: Piece,
  row: u32,
  rows: u32,
  words: usize,
  mask: u64,
): void {
  const first: u64 = key.nullsFirst;
  for (let index: u32 = 0; index < rows; index++) {
    const at = words + ((<usize>index) << 3);
    const word = load<u64>(at);
    const number = numberAt(row, index, word, mask);
    // A null is 0 when nulls come first, and 1 when they come last.
    const valid: u64 = storeIsValid(column, number) ? 1 : 0;
    store<u64>(at, word | ((valid ^ first ^ 1) << piece.place));
  }
}

/** Null rows count as 0: among themselves they are equal. */
function packFixed<T>(
  column: StoreColumn,
  key: SortKey,
  piece: Piece,
  row: u32,
  rows: u32,
  words: usize,
  mask: u64,
): void {
  const base = key.descending ? key.high : key.low;
  const sign: u64 = key.descending ? <u64>-1 : 1;
  const drop = piece.drop;
  const keep = piece.mask;
  const place = piece.place;
  const end = words + ((<usize>rows) << 3);
  const nullable = column.nulls != 0;
  if (mask == 0) {
    let value = storeValue(column, row, sizeof<T>());
    const bitmap = storeBitmap(column, row);
    let bit = row & CHUNK_MASK;
    for (let at = words; at < end; at += 8) {
      let code = (normal<T>(value) - base) * sign;
      if (nullable && bitmapGet(bitmap, bit) == 0) code = 0;
      store<u64>(at, load<u64>(at) | (((code >> drop) & keep) << place));
      value += sizeof<T>();
      bit++;
    }
    return;
  }
  for (let at = words; at < end; at += 8) {
    const word = load<u64>(at);
    const number = row + <u32>(word & mask);
    let code = (normal<T>(storeValue(column, number, sizeof<T>())) - base) * sign;
    if (nullable && !storeIsValid(column, number)) code = 0;
    store<u64>(at, word | (((code >> drop) & keep) << place));
  }
}

function packWide(
  column: StoreColumn,
  key: SortKey,
  piece: Piece,
  row: u32,
  rows: u32,
  words: usize,
  mask: u64,
): void {
  for (let index: u32 = 0; index < rows; index++) {
    const at = words + ((<usize>index) << 3);
    const word = load<u64>(at);
    const number = numberAt(row, index, word, mask);
    if (!storeIsValid(column, number)) continue;
    const value = storeValue(column, number, 16);
    const lower = load<u64>(value);
    const upper = normalHigh(value);
    let code: u64 = 0;
    if (piece.part == <u32>Part.VALUE) code = key.descending ? key.high - lower : lower - key.low;
    else if (key.descending) code = key.highHigh - upper - <u64>(key.high < lower);
    else code = upper - key.lowHigh - <u64>(lower < key.low);
    store<u64>(at, word | (((code >> piece.drop) & piece.mask) << piece.place));
  }
}

function packTexts(
  column: StoreColumn,
  key: SortKey,
  piece: Piece,
  row: u32,
  rows: u32,
  words: usize,
  mask: u64,
): void {
  if (piece.part == <u32>Part.LENGTH) {
    packLengths(column, key, piece, row, rows, words, mask);
    return;
  }
  let from = piece.from;
  let unit: u64 = 8;
  let drop = piece.drop;
  if (piece.part != <u32>Part.TAIL) {
    const second = piece.part == <u32>Part.VALUE;
    from = second ? key.prefix + 8 : key.prefix;
    unit = second ? key.unit1 : key.unit0;
    drop += second ? key.cut1 : key.cut0;
  }
  const flip: u64 = key.descending ? <u64>-1 : 0;
  const keep = piece.mask;
  const place = piece.place;
  const nullable = column.nulls != 0;
  for (let index: u32 = 0; index < rows; index++) {
    const at = words + ((<usize>index) << 3);
    const word = load<u64>(at);
    const number = numberAt(row, index, word, mask);
    if (nullable && !storeIsValid(column, number)) continue;
    const view = storeValue(column, number, 8);
    const code = squeeze(textWord(load<u32>(view), load<u32>(view, 4), from), unit) ^ flip;
    store<u64>(at, word | (((code >> drop) & keep) << place));
  }
}

function packLengths(
  column: StoreColumn,
  key: SortKey,
  piece: Piece,
  row: u32,
  rows: u32,
  words: usize,
  mask: u64,
): void {
  for (let index: u32 = 0; index < rows; index++) {
    const at = words + ((<usize>index) << 3);
    const word = load<u64>(at);
    const number = numberAt(row, index, word, mask);
    if (!storeIsValid(column, number)) continue;
    const length = load<u32>(storeValue(column, number, 8), 4);
    const code: u64 = key.descending ? key.longest - length : length - key.shortest;
    store<u64>(at, word | (((code >> piece.drop) & piece.mask) << piece.place));
  }
}
