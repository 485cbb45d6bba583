// Splitters: rows that cut the order into parts of about as many rows each, whatever the rows are, and by which the rows
// of several stores are divided (division.ts), each store by another thread.
//
// They are picked from a sample of all stores, which is sorted as a whole: every so many rows one is a splitter. A part
// has the rows that are not below its splitter, and below the next one's. A row's part is found by its first word of the
// order among the splitters' words; where that word does not tell, the row is compared with the splitters that have it.
// So one value of the first key in most of the rows does not make one part of them: only equal rows are never divided.
//
// Within one store parts are the highest bits of the first word (sorter.ts), for which a shift does, or a map of them
// (part-map.ts), which may leave a cluster in one part. Here that would leave one thread alone with it. So there is a map only
// where it cuts the sample about as evenly as the splitters do. It takes 3.4 ns a row; a search, which goes by halves from what
// the highest bits tell, 2.5 where these are enough and 9 where they tell hardly anything, as of floats about 0.

import { CURSOR_SIZE, Cursor, SORT_KEY_SIZE, SortOrder, orderReset } from "./order";
import { NO_NUMBER, greatest, packRows, passShared, planWord, plannedBits } from "./pack";
import {
  PartMap,
  SLOT_BITS,
  partMapAt,
  partMapBytes,
  partMapFill,
  partMapLast,
  partMapLeast,
} from "./part-map";
import { RowStore, storeCopy, storeReserve, storeTextBytes } from "./row-store";
import { Sorter, rowMask, sorterNext, sorterPrepare } from "./sorter";

export const MOST_SPLIT_PARTS: u32 = 1024;
/** Highest bits of a word by which splitters are looked up, as far as it has so many. */
const LOOK_UP_BITS: u32 = 12;
/** Splitters in one part of a map, at most, for it to be used: the part has up to four times the rows of the average. */
const MOST_SHARING: u32 = 3;
/** Bits of a map's slots that are tried first: few slots have parts that are more even than the sample is. */
const COARSE_SLOT_BITS: u32 = 8;
/** Rows of the sample for each part, and at least. */
const SAMPLED: u32 = 8;
const LEAST_SAMPLE: u32 = 1024;

// @ts-ignore: decorator
@unmanaged
export class Splitters {
  /** A power of two; one more than there are splitters. */
  parts: u32;
  /** `SortOrder` whose ranges hold for all stores, and the columns of it that a word is made of. */
  order: usize;
  keys: u32;
  /** 1 when the rows are given, and have to be the splitters: others are divided by the same ones, whose values have another range. */
  given: u32;
  /** 1 when words tell all rows apart that differ. */
  complete: u32;
  /** Bits of a word. */
  bits: u32;
  /** `RowStore` of the splitters, in order, and u64 words of them: twice as many as parts, those that are none as great as can be. */
  rows: usize;
  words: usize;
  /** `PartMap` by which rows are divided, whose parts are even; 0 where it is by the splitters themselves. */
  map: usize;
  /** For each value of a word's highest bits, behind `shift` others, the splitters below all such words. */
  lookUp: usize;
  shift: u32;
  /** The first step of a search among the splitters that share one such value: a power of two, or 0 where none does. */
  half: u32;
}

export const SPLITTERS_SIZE: usize = 48;

/** Bytes of the words, and of a map, which are more than those of a u16 for each value of the highest bits. */
export function splittersBytes(parts: u32): usize {
  return ((<usize>parts) << 4) + partMapBytes(parts);
}

/** Begins at a block of so many bytes. */
export function splittersBegin(self: Splitters, block: usize, parts: u32, order: usize, rows: usize): void {
  self.parts = parts;
  self.order = order;
  self.rows = rows;
  self.words = block;
  self.lookUp = block + ((<usize>parts) << 4);
}

/** Rows of all stores' sample. */
export function sampleRows(parts: u32): u32 {
  return max(parts * SAMPLED, LEAST_SAMPLE);
}

/**
 * Appends a row of every `stride` of a store to `sample`. `words`: room for as many u64. False when out of memory.
 * Which row of a stretch is drawn by its number: values that come back at a distance would be met or missed as a whole.
 */
export function sampleStore(sample: RowStore, from: RowStore, stride: u32, words: usize, room: u32): bool {
  let count: u32 = 0;
  for (let row: u64 = 0; row < from.rows && count < room; row += stride) {
    const number = row + <u64>((<u32>count * 0x9e3779b1) >>> 8) % <u64>stride;
    if (number >= from.rows) break;
    store<u64>(words + ((<usize>count) << 3), number);
    count++;
  }
  if (count == 0) return true;
  const bytes = storeTextBytes(from, words, u64.MAX_VALUE, 0, count);
  if (!storeReserve(sample, count, bytes)) return false;
  storeCopy(sample, from, words, u64.MAX_VALUE, 0, count);
  return true;
}

/** Copies every so many of the rows of a sorter that is ready to `rows`. False when out of memory. */
export function pickSplitters(context: usize, sorter: Sorter, sample: RowStore, rows: RowStore, parts: u32): bool {
  let before: u64 = 0;
  let next: u32 = 1;
  while (next < parts && sorterNext(sorter)) {
    sorterPrepare(context, sorter);
    const end = before + sorter.count;
    while (next < parts) {
      const at = (<u64>next * sample.rows) / parts;
      if (at >= end) break;
      const word = sorter.words + ((<usize>(at - before)) << 3);
      const bytes = storeTextBytes(sample, word, rowMask(sorter), sorter.first, 1);
      if (!storeReserve(rows, 1, bytes)) return false;
      storeCopy(rows, sample, word, rowMask(sorter), sorter.first, 1);
      next++;
    }
    before = end;
  }
  return true;
}

/** Makes the splitters' words, when their rows and the ranges of all rows are known. */
export function packSplitters(self: Splitters): void {
  const order = changetype<SortOrder>(self.order);
  const rows = changetype<RowStore>(self.rows).rows;
  order.store = self.rows;
  // What is looked up comes after.
  const pieces = planSplitWord(self, order, self.lookUp);
  self.complete = changetype<Cursor>(self.lookUp).key >= order.keyCount ? 1 : 0;
  self.bits = <u32>plannedBits(order, pieces);
  if (rows != 0) packRows(order, pieces, 0, rows, self.words, NO_NUMBER);
  // Where there are no rows at all there are no splitters either.
  memory.fill(self.words + ((<usize>rows) << 3), 0xff, (<usize>(2 * self.parts - rows)) << 3);
  if (self.given == 0 && !takeShares(self) && (makeMap(self, COARSE_SLOT_BITS) || makeMap(self, SLOT_BITS))) return;
  const most = fillLookUp(self, LOOK_UP_BITS);
  self.half = most == 0 ? 0 : 0x80000000 >>> clz<u32>(most);
}

/**
 * Where values are spread evenly over nearly all that their bits can be, bounds of equal shares of that are the splitters: to look a
 * word up is enough then, and its first bits tell its part.
 */
function takeShares(self: Splitters): bool {
  const parts = self.parts;
  const partBits = ctz<u32>(parts);
  if (self.bits < partBits || fillLookUp(self, partBits) > MOST_SHARING) return false;
  const share: u64 = self.bits - partBits;
  if (splitterWord(self, parts - 2) >> share < parts - (parts >> 3)) return false;
  for (let part: u32 = 1; part < parts; part++) store<u64>(self.words + ((<usize>part) << 3) - 8, <u64>part << share);
  self.complete = 1;
  return true;
}

/** Whether a map with so many slots has hardly more splitters in one of its parts than in another; it is made then. */
function makeMap(self: Splitters, slotBits: u32): bool {
  const map = changetype<PartMap>(self.lookUp);
  if (!partMapFill(map, self.words, self.parts - 1, self.parts, slotBits)) return false;
  for (let index: u32 = MOST_SHARING; index + 1 < self.parts; index++) {
    if (partMapAt(map, splitterWord(self, index)) == partMapAt(map, splitterWord(self, index - MOST_SHARING))) return false;
  }
  self.map = self.lookUp;
  return true;
}

/** Looks splitters up by so many of the highest bits; answers how many at most share those and are above the least such word. */
function fillLookUp(self: Splitters, bits: u32): u32 {
  self.shift = self.bits > bits ? self.bits - bits : 0;
  const shift: u64 = self.shift;
  const values: u64 = <u64>1 << (self.bits - shift);
  let most: u32 = 0;
  let below: u32 = 0;
  for (let value: u64 = 0; value < values; value++) {
    while (below + 1 < self.parts && splitterWord(self, below) <= value << shift) below++;
    store<u16>(self.lookUp + (<usize>value << 1), <u16>below);
    const first = below;
    while (below + 1 < self.parts && splitterWord(self, below) >> shift == value) below++;
    most = max(most, below - first);
  }
  return most;
}

// @ts-ignore: decorator
@inline
function splitterWord(self: Splitters, index: u32): u64 {
  return load<u64>(self.words + ((<usize>index) << 3));
}

/** Plans the word by which rows are divided, in an order that has the ranges of the splitters'. */
export function planSplitWord(self: Splitters, order: SortOrder, cursor: usize): u32 {
  memory.fill(cursor, 0, CURSOR_SIZE);
  return planWord(order, changetype<Cursor>(cursor), order.width, 0, u32.MAX_VALUE, self.keys);
}

/**
 * Readies an order for the rows of a part, which lie in `rows`: with the ranges of all rows, and the cursor behind the
 * bits that all rows between two splitters share. Answers those of the least of them that follow, highest first; 0 where
 * the cursor has not come so far, or taking them from the rows' would make these hardly shorter.
 */
export function orderPart(self: Splitters, order: SortOrder, rows: usize, part: u32, cursor: usize): u64 {
  orderReset(order, rows);
  memory.copy(order.keys, changetype<SortOrder>(self.order).keys, <usize>self.keys * SORT_KEY_SIZE);
  memory.fill(cursor, 0, CURSOR_SIZE);
  let low: u64 = part == 0 ? 0 : splitterWord(self, part - 1);
  let high: u64 = part + 1 == self.parts ? greatest(self.bits) : splitterWord(self, part) - self.complete;
  if (self.map != 0) {
    low = partMapLeast(changetype<PartMap>(self.map), part);
    high = partMapLast(changetype<PartMap>(self.map), part, self.bits);
  }
  return passShared(order, changetype<Cursor>(cursor), self.bits, self.keys, low, high);
}
