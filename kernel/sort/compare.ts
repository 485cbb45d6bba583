// Comparing two rows column by column, and sorting few rows, or stubborn ones, that way.
//
// Most words are sorted as numbers. Where only a handful of rows are equal in their first bits, comparing them
// costs less than filling new words; and texts that agree in one prefix after the other would take a level of
// words for each.

import { Type } from "../abi/layout";
import { normal, normalHigh, textWord } from "./normal";
import { SortKey, SortOrder, keyColumn, orderKey } from "./order";
import { StoreColumn, storeIsValid, storeValue } from "./row-store";

const INSERTION: u32 = 16;

/** The row that the word at an address names. */
// @ts-ignore: decorator
@inline
function rowOf(order: SortOrder, word: usize, mask: u64): u32 {
  return order.first + <u32>(load<u64>(word) & mask);
}

/** Whether row `a` comes before row `b`, whose keys before `from` are equal. Equal rows go by number. */
function isBefore(order: SortOrder, a: u32, b: u32, from: u32): bool {
  for (let index = from; index < order.keyCount; index++) {
    const key = orderKey(order, index);
    const column = keyColumn(order, key);
    if (column.nulls != 0) {
      const validA = storeIsValid(column, a);
      const validB = storeIsValid(column, b);
      if (validA != validB) return validA != (key.nullsFirst != 0);
      if (!validA) continue;
    }
    const sign = compareValues(column, a, b);
    if (sign != 0) return sign < 0 != (key.descending != 0);
  }
  return a < b;
}

function compareValues(column: StoreColumn, a: u32, b: u32): i32 {
  const width: usize = column.width;
  const left = storeValue(column, a, width);
  const right = storeValue(column, b, width);
  switch (column.type) {
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
