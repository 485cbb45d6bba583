// Two kept rows by their content, column by column as a store has them. Their order: ascending, nulls last,
// -Inf .. -0 < +0 .. Inf < NaN, as a sort breaks its ties. Whether they are equal, and a hash that equal rows share: as
// this order decides, with all NaNs one.

import { Type } from "../abi/layout";
import { bitmapGet } from "../column/bitmap";
import { bytesEqual } from "../hash/hash";
import { SlotHash, slotHashBytes, slotHashMore, slotHashWord } from "../hash/slot-hash";
import { CHUNK_MASK, CHUNK_SHIFT, SHORT_TEXT, Store, StoreColumn, storeColumn, storeRow } from "./store";

/** Below 0 when row `a` comes first, above 0 when row `b` does; 0 for rows that no column tells apart. */
export function storeCompare(self: Store, a: u32, b: u32): i32 {
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    if (column.nullable) {
      const first = isValid(column, a);
      const second = isValid(column, b);
      if (first != second) return first ? -1 : 1;
      if (!first) continue;
    }
    const order = compareCells(column.type, storeRow(self, a) + column.offset, storeRow(self, b) + column.offset);
    if (order != 0) return order;
  }
  return 0;
}

function isValid(column: StoreColumn, row: u32): bool {
  const bits: usize = load<u32>(column.validity + ((<usize>(row >> CHUNK_SHIFT)) << 2));
  return bitmapGet(bits, row & CHUNK_MASK) != 0;
}

function compareCells(type: u32, a: usize, b: usize): i32 {
  switch (type) {
    case Type.BOOL:
    case Type.U8:
      return order<u8>(load<u8>(a), load<u8>(b));
    case Type.I8:
      return order<i8>(load<i8>(a), load<i8>(b));
    case Type.I16:
      return order<i16>(load<i16>(a), load<i16>(b));
    case Type.U16:
      return order<u16>(load<u16>(a), load<u16>(b));
    case Type.I32:
      return order<i32>(load<i32>(a), load<i32>(b));
    case Type.U32:
      return order<u32>(load<u32>(a), load<u32>(b));
    case Type.I64:
      return order<i64>(load<i64>(a), load<i64>(b));
    case Type.U64:
      return order<u64>(load<u64>(a), load<u64>(b));
    case Type.F32:
      return compareFloats(<f64>load<f32>(a), <f64>load<f32>(b));
    case Type.F64:
      return compareFloats(load<f64>(a), load<f64>(b));
    case Type.I128: {
      const high = order<i64>(load<i64>(a, 8), load<i64>(b, 8));
      return high != 0 ? high : order<u64>(load<u64>(a), load<u64>(b));
    }
    default:
      return compareTexts(a, b);
  }
}

// @ts-ignore: decorator
@inline
function order<T>(a: T, b: T): i32 {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** NaNs with other bits differ, so that which of them leaves does not depend on arrival. */
function compareFloats(a: f64, b: f64): i32 {
  const ranks = order<i64>(floatRank(a), floatRank(b));
  return ranks != 0 ? ranks : order<u64>(reinterpret<u64>(a), reinterpret<u64>(b));
}

/** Floats in their order, as integers; NaN last, whatever its bits. */
function floatRank(value: f64): i64 {
  if (value != value) return i64.MAX_VALUE;
  const bits = reinterpret<i64>(value);
  return bits ^ ((bits >> 63) & i64.MAX_VALUE);
}

function compareTexts(a: usize, b: usize): i32 {
  const lengthA = load<u32>(a);
  const lengthB = load<u32>(b);
  const first: usize = lengthA > SHORT_TEXT ? <usize>load<u32>(a, 8) : a + 4;
  const second: usize = lengthB > SHORT_TEXT ? <usize>load<u32>(b, 8) : b + 4;
  const shared: usize = min(lengthA, lengthB);
  for (let at: usize = 0; at < shared; at++) {
    const step = order<u8>(load<u8>(first + at), load<u8>(second + at));
    if (step != 0) return step;
  }
  return order<u32>(lengthA, lengthB);
}

// ---- equality

/** Whether no column tells the rows apart. */
export function storeEqual(self: Store, a: u32, b: u32): bool {
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    if (column.nullable) {
      const valid = isValid(column, a);
      if (valid != isValid(column, b)) return false;
      if (!valid) continue;
    }
    const offset: usize = column.offset;
    if (!cellsAreEqual(column, storeRow(self, a) + offset, storeRow(self, b) + offset)) return false;
  }
  return true;
}

function cellsAreEqual(column: StoreColumn, a: usize, b: usize): bool {
  if (column.type == <u32>Type.BYTES) {
    const length = load<u32>(a);
    return length == load<u32>(b) && bytesEqual(textOf(a, length), textOf(b, length), length);
  }
  switch (column.width) {
    case 1:
      return load<u8>(a) == load<u8>(b);
    case 2:
      return load<u16>(a) == load<u16>(b);
    case 4:
      if (load<u32>(a) == load<u32>(b)) return true;
      return column.type == <u32>Type.F32 && load<f32>(a) != load<f32>(a) && load<f32>(b) != load<f32>(b);
    case 8:
      if (load<u64>(a) == load<u64>(b)) return true;
      return column.type == <u32>Type.F64 && load<f64>(a) != load<f64>(a) && load<f64>(b) != load<f64>(b);
    default:
      return load<u64>(a) == load<u64>(b) && load<u64>(a, 8) == load<u64>(b, 8);
  }
}

// @ts-ignore: decorator
@inline
function textOf(cell: usize, length: u32): usize {
  return length > SHORT_TEXT ? <usize>load<u32>(cell, 8) : cell + 4;
}

/** Stands for a null, or for any NaN, in a hash. */
const NULL_WORD: u64 = 0x6e756c6c;
const NAN_WORD: u64 = 0x7ff8000000000000;

/** A hash of all columns. */
export function storeHash(self: Store, row: u32, seeds: SlotHash): u32 {
  let hash: u64 = 0;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    if (column.nullable && !isValid(column, row)) {
      hash = slotHashMore(seeds, hash, NULL_WORD);
      continue;
    }
    const cell = storeRow(self, row) + <usize>column.offset;
    if (column.width == 16 && column.type != <u32>Type.BYTES) hash = slotHashMore(seeds, hash, load<u64>(cell, 8));
    hash = slotHashMore(seeds, hash, wordOf(column, cell, seeds));
  }
  return <u32>(slotHashWord(hash, seeds.add, seeds.multiply) >> 32);
}

function wordOf(column: StoreColumn, cell: usize, seeds: SlotHash): u64 {
  if (column.type == <u32>Type.BYTES) {
    const length = load<u32>(cell);
    return slotHashBytes(seeds, textOf(cell, length), length);
  }
  switch (column.width) {
    case 1:
      return load<u8>(cell);
    case 2:
      return load<u16>(cell);
    case 4:
      if (column.type == <u32>Type.F32 && load<f32>(cell) != load<f32>(cell)) return NAN_WORD;
      return load<u32>(cell);
    case 8:
      if (column.type == <u32>Type.F64 && load<f64>(cell) != load<f64>(cell)) return NAN_WORD;
      return load<u64>(cell);
    default:
      return load<u64>(cell);
  }
}
