// Splitters: rows that cut the order into parts of about as many rows each, whatever the rows are, and by which the rows
// of several stores are divided (division.ts), each store by another thread.
//
// They are picked from a sample of all stores, which is sorted as a whole: every so many rows one is a splitter. A part
// has the rows that are not below its splitter, and below the next one's. A row's part is found by its first word of the
// order among the splitters' words; where that word does not tell, the row is compared with the splitters that have it.
// So one value of the first key in most of the rows does not make one part of them: only equal rows are never divided.
//
// Within one store parts are the highest bits of the first word (sorter.ts), for which a shift does, or a map of them
// (part-map.ts), which may leave a cluster in one part. Here that would leave one thread alone with it.

import { CURSOR_SIZE, Cursor, SORT_KEY_SIZE, SortOrder, orderReset } from "./order";
import { NO_NUMBER, packRows, planWord, plannedBits } from "./pack";
import { RowStore, storeCopy, storeReserve, storeTextBytes } from "./row-store";
import { Sorter, rowMask, sorterNext, sorterPrepare } from "./sorter";

export const MOST_SPLIT_PARTS: u32 = 1024;
/** Highest bits of a word by which splitters are looked up, as far as it has so many. */
const LOOK_UP_BITS: u32 = 12;
/** Bytes of the look-up: u16 for each of their values. */
export const LOOK_UP_BYTES: usize = (1 << LOOK_UP_BITS) << 1;
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
  /** 1 when words tell all rows apart that differ. */
  complete: u32;
  /** Bits of a word. */
  bits: u32;
  /** `RowStore` of the splitters, in order, and u64 words of them: as many as parts, the last one of which is none. */
  rows: usize;
  words: usize;
  /** For each value of a word's highest bits, behind `shift` others, the splitters below all such words. */
  lookUp: usize;
  shift: u32;
  /** Splitters among the words of one such value, at most. */
  steps: u32;
}

export const SPLITTERS_SIZE: usize = 40;

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

/** Makes the splitters' words, when their rows and the ranges of all rows are known. `cursor`: room for one. */
export function packSplitters(self: Splitters, cursor: usize): void {
  const order = changetype<SortOrder>(self.order);
  const rows = changetype<RowStore>(self.rows).rows;
  order.store = self.rows;
  const pieces = planSplitWord(self, order, cursor);
  self.complete = changetype<Cursor>(cursor).key >= order.keyCount ? 1 : 0;
  self.bits = <u32>plannedBits(order, pieces);
  if (rows != 0) packRows(order, pieces, 0, rows, self.words, NO_NUMBER);
  // Where there are no rows at all there are no splitters either.
  for (let at = rows; at < self.parts; at++) store<u64>(self.words + ((<usize>at) << 3), u64.MAX_VALUE);
  fillLookUp(self);
}

function fillLookUp(self: Splitters): void {
  self.shift = self.bits > LOOK_UP_BITS ? self.bits - LOOK_UP_BITS : 0;
  self.steps = 0;
  const values: u32 = 1 << min(self.bits, LOOK_UP_BITS);
  let below: u32 = 0;
  for (let value: u32 = 0; value < values; value++) {
    store<u16>(self.lookUp + ((<usize>value) << 1), <u16>below);
    const first = below;
    while (below + 1 < self.parts && load<u64>(self.words + ((<usize>below) << 3)) >> self.shift == value) below++;
    self.steps = max(self.steps, below - first);
  }
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
  const all: u64 = self.bits == 64 ? u64.MAX_VALUE : (<u64>1 << self.bits) - 1;
  const at = self.words + ((<usize>part) << 3);
  const low: u64 = part == 0 ? 0 : load<u64>(at - 8);
  const high: u64 = part + 1 == self.parts ? all : load<u64>(at);
  const differing: u32 = 64 - <u32>clz<u64>(low ^ high);
  memory.fill(cursor, 0, CURSOR_SIZE);
  if (differing < self.bits) {
    const shared: u64 = self.bits - differing;
    const pieces = planWord(order, changetype<Cursor>(cursor), shared, 0, u32.MAX_VALUE, self.keys);
    if (plannedBits(order, pieces) != shared) return 0;
  }
  return differing >= 66 - <u32>clz<u64>(high - low) ? low << <u64>(64 - differing) : 0;
}
