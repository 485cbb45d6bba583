// The order of rows as bits: every column's values as a run of parts, most significant first.
//
//   NULL    1 bit where the column has nulls: their place does not depend on the direction
//   HIGH    128-bit integers whose range takes more than 64 bits: the bits above
//   VALUE   the value's distance from the least value of the column (descending: to the greatest), in as many
//           bits as the range takes
//
// of texts, after the bytes that all of them begin with where those are many:
//
//   HIGH, VALUE   8 bytes each, of every byte the low bits that differ anywhere: 4 for digits, 5 for letters
//   TAIL          the bytes after those
//   LENGTH        tells a text from the same one followed by zero bytes
//
// A part that is the same in every row takes no bits. The sort keys come first, then every other column in its
// order: rows are equal only when all of them are. A `Cursor` says how many leading bits are dealt with.

import { Type } from "../abi/layout";
import { bitmapGet } from "../column/bitmap";
import { regionCut } from "../memory/region";
import { normal, normalHigh, squeeze, textWord } from "./normal";
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
  TAIL = 3,
  LENGTH = 4,
  COUNT = 5,
}

// @ts-ignore: decorator
@unmanaged
export class SortOrder {
  /** `RowStore` of the rows. */
  store: usize;
  /** `SortKey` of each column that takes part, and how many there are. */
  keys: usize;
  keyCount: u32;
  /** The first so many of them are the sort keys, or all are. */
  sortKeys: u32;
  /** Row that words count from. */
  first: u32;
  /** Most key bits of one word; 64 but in tests. */
  width: u32;
  /** Room for the pieces of one word (pack.ts). */
  pieces: usize;
  /** 1 in tests: see `TINY_CACHE`. */
  tiny: u32;
  /** 1 when floats take part. */
  floats: u32;
}

export const SORT_ORDER_SIZE: usize = 36;
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
  /** Whether nulls take a bit: `NullBit`. */
  nullBit: u32;
  /** Of the two words after the prefix: bits that are set in all texts, and in any. */
  all0: u64;
  any0: u64;
  all1: u64;
  any1: u64;
  /** Bits a byte that differ, and bits to cut off behind the longest text. */
  unit0: u32;
  cut0: u32;
  unit1: u32;
  cut1: u32;
}

export const SORT_KEY_SIZE: usize = 112;

export const enum NullBit {
  /** Where the store has nulls, and not only nulls. */
  ASK = 0,
  NEVER = 1,
  ALWAYS = 2,
}

/** Bytes of HIGH and VALUE together. */
export const HEAD_BYTES: u32 = 16;

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
  for (let index: u32 = 0; index < order.keyCount; index++) {
    const key = orderKey(order, index);
    key.ranged = 0;
    key.nullBit = NullBit.ASK;
  }
}

/** Bits of a part. */
export function partBits(order: SortOrder, key: SortKey, part: u32): u64 {
  const column = keyColumn(order, key);
  if (part == <u32>Part.NULL) {
    if (key.nullBit != <u32>NullBit.ASK) return key.nullBit == <u32>NullBit.ALWAYS ? 1 : 0;
    return column.nulls == 0 || column.nulls == changetype<RowStore>(order.store).rows ? 0 : 1;
  }
  if (key.ranged == 0) measureRange(order, key);
  if (column.type == <u32>Type.BYTES) return textBits(key, part);
  const wide = column.type == <u32>Type.I128 ? rangeHigh(key) : 0;
  if (part == <u32>Part.HIGH) return bitsOf(wide);
  if (part == <u32>Part.VALUE) return wide != 0 ? 64 : bitsOf(key.high - key.low);
  return 0;
}

function textBits(key: SortKey, part: u32): u64 {
  switch (part) {
    case Part.HIGH:
      return bitsOf(squeeze(key.all0 ^ key.any0, key.unit0) >> key.cut0);
    case Part.VALUE:
      return bitsOf(squeeze(key.all1 ^ key.any1, key.unit1) >> key.cut1);
    case Part.TAIL:
      return <u64>(max(key.longest, tailStart(key)) - tailStart(key)) << 3;
    default:
      return bitsOf(key.longest - key.shortest);
  }
}

/** Where the bytes of TAIL begin. */
// @ts-ignore: decorator
@inline
export function tailStart(key: SortKey): u32 {
  return key.prefix + HEAD_BYTES;
}

function bitsOf(range: u64): u64 {
  return 64 - clz<u64>(range);
}

/** The upper word of the range of 128-bit integers. */
function rangeHigh(key: SortKey): u64 {
  return key.highHigh - key.lowHigh - <u64>(key.high < key.low);
}

// ---- ranges

export function measureRange(order: SortOrder, key: SortKey): void {
  const rows = changetype<RowStore>(order.store).rows;
  const column = keyColumn(order, key);
  key.ranged = 1;
  if (column.type == <u32>Type.BYTES) {
    measureTexts(column, key, rows);
    return;
  }
  key.low = u64.MAX_VALUE;
  key.high = 0;
  key.lowHigh = u64.MAX_VALUE;
  key.highHigh = 0;
  for (let row: u32 = 0; row < rows; row += CHUNK_ROWS) rangeOfChunk(column, key, row, min(CHUNK_ROWS, rows - row));
  if (column.nulls != rows) return;
  key.low = 0;
  key.lowHigh = 0;
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

function measureTexts(column: StoreColumn, key: SortKey, rows: u32): void {
  key.prefix = 0;
  key.longest = 0;
  key.shortest = u32.MAX_VALUE;
  scanTexts(column, key, rows);
  if (column.nulls == rows) key.shortest = 0;
  else if (key.all0 == key.any0 && key.all1 == key.any1 && key.shortest > HEAD_BYTES) {
    key.prefix = sharedBytes(column, rows, key.shortest);
    scanTexts(column, key, rows);
  }
  measureUnits(key);
}

/** How many bits a byte of the two words after the prefix takes. */
export function measureUnits(key: SortKey): void {
  const bytes = key.longest - min(key.longest, key.prefix);
  key.unit0 = differingUnit(key.all0 ^ key.any0);
  key.unit1 = differingUnit(key.all1 ^ key.any1);
  key.cut0 = (8 - min<u32>(bytes, 8)) * key.unit0;
  key.cut1 = (HEAD_BYTES - min(max<u32>(bytes, 8), HEAD_BYTES)) * key.unit1;
}

/** Bits of the widest byte. */
function differingUnit(word: u64): u32 {
  word |= word >> 32;
  word |= word >> 16;
  return 32 - clz<u32>(<u32>(word | (word >> 8)) & 0xff);
}

function scanTexts(column: StoreColumn, key: SortKey, rows: u32): void {
  key.all0 = u64.MAX_VALUE;
  key.any0 = 0;
  key.all1 = u64.MAX_VALUE;
  key.any1 = 0;
  for (let row: u32 = 0; row < rows; row += CHUNK_ROWS) scanChunk(column, key, row, min(CHUNK_ROWS, rows - row));
  // Nothing but nulls: nothing differs.
  if (column.nulls != rows) return;
  key.all0 = 0;
  key.all1 = 0;
}

function scanChunk(column: StoreColumn, key: SortKey, first: u32, rows: u32): void {
  const from = key.prefix;
  let longest = key.longest;
  let shortest = key.shortest;
  let all0 = key.all0;
  let any0 = key.any0;
  let all1 = key.all1;
  let any1 = key.any1;
  let view = storeValue(column, first, 8);
  const bitmap: usize = column.nulls == 0 ? 0 : storeBitmap(column, first);
  for (let row: u32 = 0; row < rows; row++) {
    if (bitmap == 0 || bitmapGet(bitmap, row)) {
      const address: usize = load<u32>(view);
      const length = load<u32>(view, 4);
      longest = max(longest, length);
      shortest = min(shortest, length);
      const word0 = textWord(address, length, from);
      const word1 = textWord(address, length, from + 8);
      all0 &= word0;
      any0 |= word0;
      all1 &= word1;
      any1 |= word1;
    }
    view += 8;
  }
  key.longest = longest;
  key.shortest = shortest;
  key.all0 = all0;
  key.any0 = any0;
  key.all1 = all1;
  key.any1 = any1;
}

/** Bytes that all texts begin with; none is shorter than `shortest`. */
function sharedBytes(column: StoreColumn, rows: u32, shortest: u32): u32 {
  let sample: usize = 0;
  let shared = shortest;
  for (let row: u32 = 0; row < rows; row++) {
    if (!storeIsValid(column, row)) continue;
    const text: usize = load<u32>(storeValue(column, row, 8));
    if (sample == 0) sample = text;
    else shared = commonBytes(sample, text, 0, shared);
  }
  return shared;
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
