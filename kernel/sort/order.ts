// The order of rows as bits: every column's values as a run of parts, most significant first.
//
//   NULL    1 bit where the column has nulls: their place does not depend on the direction
//   HIGH    128-bit integers whose range takes more than 64 bits: the bits above
//   VALUE   the value's distance from the least value of the column (descending: to the greatest), in as many
//           bits as the range takes; of texts the bytes past what all of them begin with
//   LENGTH  of texts: tells a text from the same one followed by zero bytes
//
// A part that is the same in every row takes no bits. The sort keys come first, then every other column in its
// order: rows are equal only when all of them are. A `Cursor` says how many leading bits are dealt with.

import { Type } from "../abi/layout";
import { bitmapGet } from "../column/bitmap";
import { regionCut } from "../memory/region";
import { normal, normalHigh, textWord } from "./normal";
import {
  CHUNK_ROWS,
  RowStore,
  StoreColumn,
  storeBitmap,
  storeColumn,
  storeIsValid,
  storeValue,
} from "./row-store";

export const enum Part {
  NULL = 0,
  HIGH = 1,
  VALUE = 2,
  LENGTH = 3,
  COUNT = 4,
}

// @ts-ignore: decorator
@unmanaged
export class SortOrder {
  /** `RowStore` of the rows. */
  store: usize;
  /** `SortKey` of each column that takes part, and how many there are. */
  keys: usize;
  keyCount: u32;
  /** Most key bits of one word; 64 but in tests. */
  width: u32;
  /** Room for the pieces of one word (pack.ts). */
  pieces: usize;
  /** 1 in tests: see `TINY_CACHE`. */
  tiny: u32;
}

export const SORT_ORDER_SIZE: usize = 24;
/** A word has at most 63 pieces of a bit each. */
const PIECES_BYTES: usize = 64 * 48;

// @ts-ignore: decorator
@unmanaged
export class SortKey {
  column: u32;
  descending: u32;
  nullsFirst: u32;
  /** 1 once the column's range is known. */
  ranged: u32;
  /** Least and greatest value; for I128 the low words, and the high words below. */
  low: u64;
  high: u64;
  lowHigh: u64;
  highHigh: u64;
  /** Texts: bytes that all begin with, and of the longest and the shortest. */
  prefix: u32;
  longest: u32;
  shortest: u32;
  /** Row of the text that `prefix` was compared with, plus 1. */
  sample: u32;
}

const SORT_KEY_SIZE: usize = 64;

/** Leading bits that are dealt with: all parts before `part` of key `key`, and `done` bits of that one. */
// @ts-ignore: decorator
@unmanaged
export class Cursor {
  key: u32;
  part: u32;
  done: u64;
}

export const CURSOR_SIZE: usize = 16;

/** An order with room for `keys` keys; 0 when out of memory. */
export function orderCreate(region: usize, keys: u32): usize {
  const address = regionCut(region, SORT_ORDER_SIZE);
  const list = regionCut(region, max<usize>(<usize>keys, 1) * SORT_KEY_SIZE);
  const pieces = regionCut(region, PIECES_BYTES);
  if (address == 0 || list == 0 || pieces == 0) return 0;
  const order = changetype<SortOrder>(address);
  order.keys = list;
  order.keyCount = keys;
  order.pieces = pieces;
  order.width = 64;
  return address;
}

// @ts-ignore: decorator
@inline
export function orderKey(order: SortOrder, key: u32): SortKey {
  return changetype<SortKey>(order.keys + <usize>key * SORT_KEY_SIZE);
}

// @ts-ignore: decorator
@inline
export function keyColumn(order: SortOrder, key: SortKey): StoreColumn {
  return storeColumn(changetype<RowStore>(order.store), key.column);
}

/** Forgets ranges: the rows are others now. */
export function orderReset(order: SortOrder, rows: usize): void {
  order.store = rows;
  for (let index: u32 = 0; index < order.keyCount; index++) orderKey(order, index).ranged = 0;
}

/** Bits of a part. */
export function partBits(order: SortOrder, key: SortKey, part: u32): u64 {
  const column = keyColumn(order, key);
  if (part == <u32>Part.NULL) {
    return column.nulls == 0 || column.nulls == changetype<RowStore>(order.store).rows ? 0 : 1;
  }
  if (key.ranged == 0) measureRange(order, key);
  const type = column.type;
  switch (part) {
    case Part.HIGH:
      return type == <u32>Type.I128 ? bitsOf(rangeHigh(key)) : 0;
    case Part.LENGTH:
      return type == <u32>Type.BYTES ? bitsOf(key.longest - key.shortest) : 0;
    default:
      if (type == <u32>Type.BYTES) return <u64>(key.longest - key.prefix) << 3;
      return type == <u32>Type.I128 && rangeHigh(key) != 0 ? 64 : bitsOf(key.high - key.low);
  }
}

function bitsOf(range: u64): u64 {
  return 64 - clz<u64>(range);
}

/** The upper word of the range of 128-bit integers. */
function rangeHigh(key: SortKey): u64 {
  return key.highHigh - key.lowHigh - <u64>(key.high < key.low);
}

// ---- ranges

function measureRange(order: SortOrder, key: SortKey): void {
  const rows = changetype<RowStore>(order.store).rows;
  const column = keyColumn(order, key);
  key.ranged = 1;
  key.low = u64.MAX_VALUE;
  key.high = 0;
  key.lowHigh = u64.MAX_VALUE;
  key.highHigh = 0;
  key.sample = 0;
  key.longest = 0;
  key.shortest = u32.MAX_VALUE;
  for (let row: u32 = 0; row < rows; row += CHUNK_ROWS) {
    const some = min<u32>(CHUNK_ROWS, rows - row);
    if (column.type == <u32>Type.BYTES) rangeOfTexts(column, key, row, some);
    else rangeOfChunk(column, key, row, some);
  }
  if (column.nulls != rows) return;
  key.low = 0;
  key.lowHigh = 0;
  key.prefix = 0;
  key.shortest = 0;
}

function rangeOfChunk(column: StoreColumn, key: SortKey, row: u32, rows: u32): void {
  const values = storeValue(column, row, column.width);
  const bitmap: usize = column.nulls == 0 ? 0 : storeBitmap(column, row);
  switch (column.type) {
    case Type.I8:
      range<i8>(key, values, bitmap, rows);
      break;
    case Type.BOOL:
    case Type.U8:
      range<u8>(key, values, bitmap, rows);
      break;
    case Type.I16:
      range<i16>(key, values, bitmap, rows);
      break;
    case Type.U16:
      range<u16>(key, values, bitmap, rows);
      break;
    case Type.I32:
      range<i32>(key, values, bitmap, rows);
      break;
    case Type.U32:
      range<u32>(key, values, bitmap, rows);
      break;
    case Type.I64:
      range<i64>(key, values, bitmap, rows);
      break;
    case Type.U64:
      range<u64>(key, values, bitmap, rows);
      break;
    case Type.F32:
      range<f32>(key, values, bitmap, rows);
      break;
    case Type.F64:
      range<f64>(key, values, bitmap, rows);
      break;
    default:
      rangeWide(key, values, bitmap, rows);
  }
}

function range<T>(key: SortKey, values: usize, bitmap: usize, rows: u32): void {
  let low = key.low;
  let high = key.high;
  for (let row: u32 = 0; row < rows; row++) {
    if (bitmap != 0 && bitmapGet(bitmap, row) == 0) continue;
    const value = normal<T>(values + <usize>row * sizeof<T>());
    low = min<u64>(low, value);
    high = max<u64>(high, value);
  }
  key.low = low;
  key.high = high;
}

function rangeWide(key: SortKey, values: usize, bitmap: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    if (bitmap != 0 && bitmapGet(bitmap, row) == 0) continue;
    const at = values + ((<usize>row) << 4);
    const lower = load<u64>(at);
    const upper = normalHigh(at);
    if (upper < key.lowHigh || (upper == key.lowHigh && lower < key.low)) {
      key.lowHigh = upper;
      key.low = lower;
    }
    if (upper > key.highHigh || (upper == key.highHigh && lower >= key.high)) {
      key.highHigh = upper;
      key.high = lower;
    }
  }
}

function rangeOfTexts(column: StoreColumn, key: SortKey, first: u32, rows: u32): void {
  for (let row = first; row < first + rows; row++) {
    if (!storeIsValid(column, row)) continue;
    const view = storeValue(column, row, 8);
    const length = load<u32>(view, 4);
    key.longest = max(key.longest, length);
    key.shortest = min(key.shortest, length);
    if (key.sample == 0) {
      key.sample = row + 1;
      key.prefix = length;
    } else if (key.prefix != 0) {
      const sample = storeValue(column, key.sample - 1, 8);
      key.prefix = commonBytes(load<u32>(sample), load<u32>(view), 0, min(key.prefix, length));
    }
  }
}

/** Bytes from `from` on that two texts share, `end` at most, which neither is shorter than. */
export function commonBytes(a: usize, b: usize, from: u32, end: u32): u32 {
  let at = from;
  while (at < end) {
    const differ = textWord(a, end, at) ^ textWord(b, end, at);
    if (differ != 0) return at + <u32>(clz<u64>(differ) >> 3);
    at += 8;
  }
  return end;
}
