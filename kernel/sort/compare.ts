// Comparing two rows column by column, and sorting few rows, or stubborn ones, that way.
//
// Most words are sorted as numbers. Where only a handful of rows are equal in their first bits, comparing them
// costs less than filling new words; and texts that agree in one prefix after the other would take a level of
// words for each.

import { Type } from "../abi/layout";
import { normal, normalHigh, textWord } from "./normal";
import { SortOrder, orderKey } from "./order";
import { RowStore, StoreColumn, storeColumn, storeIsValid, storeValue } from "./row-store";

const INSERTION: u32 = 16;

/** The row that the word at an address names. */
// @ts-ignore: decorator
@inline
function rowOf(order: SortOrder, word: usize, mask: u64): u32 {
  return order.first + <u32>(load<u64>(word) & mask);
}

/** Whether row `a` comes before row `b`, whose keys before `from` are equal. Equal rows go by number. */
function isBefore(order: SortOrder, a: u32, b: u32, from: u32): bool {
  const rows = changetype<RowStore>(order.store);
  const sign = compareRows(order, rows, a, rows, b, from);
  return sign != 0 ? sign < 0 : a < b;
}

/**
 * How row `a` of one store stands to row `b` of another of the same columns, when their keys before `from` are equal:
 * below, above or 0. Only rows of the same bits are equal.
 */
export function compareRows(order: SortOrder, left: RowStore, a: u32, right: RowStore, b: u32, from: u32): i32 {
  for (let index = from; index < order.keyCount; index++) {
    const key = orderKey(order, index);
    const mine = storeColumn(left, key.column);
    const other = storeColumn(right, key.column);
    if ((mine.nulls | other.nulls) != 0) {
      const validA = storeIsValid(mine, a);
      const validB = storeIsValid(other, b);
      if (validA != validB) return validA != (key.nullsFirst != 0) ? -1 : 1;
      if (!validA) continue;
    }
    const width: usize = mine.width;
    const sign = compareValues(mine.type, storeValue(mine, a, width), storeValue(other, b, width));
    if (sign != 0) return key.descending ? -sign : sign;
  }
  return order.floats == 0 ? 0 : compareNaNs(order, left, a, right, b);
}

/** NaNs are one in the order; rows that are equal otherwise go by their bits, so that no other order decides. */
function compareNaNs(order: SortOrder, left: RowStore, a: u32, right: RowStore, b: u32): i32 {
  for (let index: u32 = 0; index < order.keyCount; index++) {
    const key = orderKey(order, index);
    const mine = storeColumn(left, key.column);
    if (mine.type != <u32>Type.F64 && mine.type != <u32>Type.F32) continue;
    const sign = compareWords(rawBits(mine, a), rawBits(storeColumn(right, key.column), b));
    if (sign != 0) return sign;
  }
  return 0;
}

function rawBits(column: StoreColumn, row: u32): u64 {
  return column.type == <u32>Type.F64 ? load<u64>(storeValue(column, row, 8)) : <u64>load<u32>(storeValue(column, row, 4));
}

/** Whether the row has a NaN where the order looks. */
export function hasNaN(order: SortOrder, row: u32): bool {
  const rows = changetype<RowStore>(order.store);
  for (let index: u32 = 0; index < order.keyCount; index++) {
    const column = storeColumn(rows, orderKey(order, index).column);
    if (column.type == <u32>Type.F64 && isNaN<f64>(load<f64>(storeValue(column, row, 8)))) return true;
    if (column.type == <u32>Type.F32 && isNaN<f32>(load<f32>(storeValue(column, row, 4)))) return true;
  }
  return false;
}

function compareValues(type: u32, left: usize, right: usize): i32 {
  switch (type) {
    case Type.I8:
      return compare<i8>(left, right);
    case Type.BOOL:
    case Type.U8:
      return compare<u8>(left, right);
    case Type.I16:
      return compare<i16>(left, right);
    case Type.U16:
      return compare<u16>(left, right);
    case Type.I32:
      return compare<i32>(left, right);
    case Type.U32:
      return compare<u32>(left, right);
    case Type.I64:
      return compare<i64>(left, right);
    case Type.U64:
      return compare<u64>(left, right);
    case Type.F32:
      return compare<f32>(left, right);
    case Type.F64:
      return compare<f64>(left, right);
    case Type.I128: {
      const sign = compareWords(normalHigh(left), normalHigh(right));
      return sign != 0 ? sign : compare<u64>(left, right);
    }
    default:
      return compareTexts(left, right);
  }
}

// @ts-ignore: decorator
@inline
function compare<T>(a: usize, b: usize): i32 {
  return compareWords(normal<T>(a), normal<T>(b));
}

// @ts-ignore: decorator
@inline
function compareWords(a: u64, b: u64): i32 {
  return <i32>(a > b) - <i32>(a < b);
}

/** Two texts, given by their views. */
function compareTexts(a: usize, b: usize): i32 {
  const lengthA = load<u32>(a, 4);
  const lengthB = load<u32>(b, 4);
  const end = max(lengthA, lengthB);
  for (let at: u32 = 0; at < end; at += 8) {
    const sign = compareWords(textWord(load<u32>(a), lengthA, at), textWord(load<u32>(b), lengthB, at));
    if (sign != 0) return sign;
  }
  return <i32>(lengthA > lengthB) - <i32>(lengthA < lengthB);
}

/**
 * Sorts `count` words by the rows that their low bits (`mask`) name, which are equal in the keys before `from`.
 * Stable merges of runs twice as long each time; `other` is room for as many words.
 */
export function sortRows(
  order: SortOrder,
  words: usize,
  other: usize,
  count: u32,
  mask: u64,
  from: u32,
): void {
  for (let start: u32 = 0; start < count; start += INSERTION) {
    insertRows(order, words + ((<usize>start) << 3), min(INSERTION, count - start), mask, from);
  }
  let source = words;
  let target = other;
  for (let run: u32 = INSERTION; run < count; run <<= 1) {
    for (let start: u32 = 0; start < count; start += run << 1) {
      mergeRuns(order, source, target, start, min(start + run, count), min(start + (run << 1), count), mask, from);
    }
    const swap = source;
    source = target;
    target = swap;
  }
  if (source != words) memory.copy(words, source, (<usize>count) << 3);
}

function insertRows(order: SortOrder, words: usize, count: u32, mask: u64, from: u32): void {
  const end = words + ((<usize>count) << 3);
  for (let next = words + 8; next < end; next += 8) {
    const word = load<u64>(next);
    const row = rowOf(order, next, mask);
    let at = next;
    while (at > words && isBefore(order, row, rowOf(order, at - 8, mask), from)) {
      store<u64>(at, load<u64>(at - 8));
      at -= 8;
    }
    store<u64>(at, word);
  }
}

/** Merges [start, middle) and [middle, end). */
function mergeRuns(
  order: SortOrder,
  source: usize,
  target: usize,
  start: u32,
  middle: u32,
  end: u32,
  mask: u64,
  from: u32,
): void {
  let left = start;
  let right = middle;
  for (let at = start; at < end; at++) {
    const fromRight =
      left == middle ||
      (right < end &&
        isBefore(
          order,
          rowOf(order, source + ((<usize>right) << 3), mask),
          rowOf(order, source + ((<usize>left) << 3), mask),
          from,
        ));
    const index = fromRight ? right++ : left++;
    store<u64>(target + ((<usize>at) << 3), load<u64>(source + ((<usize>index) << 3)));
  }
}
