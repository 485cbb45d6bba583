// Sorting the rows of a store, in steps of bounded work.
//
//   plan      what the first words hold: as many leading bits of the order as fit above a row number
//   fill      words for all rows; whether they come in order, or in reverse, shows on the way
//   scatter   more rows than the cache holds: into parts, by the highest bits
//   finish    part by part: sort the words, then the rows whose words are equal (ties.ts)
//
// Rows in order (or in reverse, turned round first) need the last step's second half only.
//
// Memory: 16 bytes a row, taken at once when the sort begins. The longest step is a part that holds many rows
// with the same leading bits, which goes through in one.

import { regionBlock, regionFree } from "../memory/region";
import { CURSOR_SIZE, Cursor, SortOrder, orderReset } from "./order";
import { packRows, planWord, plannedBits } from "./pack";
import { countDigits, scatterWords, sortWords, startAddresses } from "./radix";
import { CHUNK_MASK, CHUNK_ROWS, RowStore } from "./row-store";
import { resolveTies } from "./ties";

/** Rows that are sorted at once, without parts. */
const WHOLE_ROWS: u32 = 32768;
/** Parts: 2^10 for a million rows and more, so that each fits the cache, else 2^8. */
const MANY_ROWS: u32 = 1 << 20;
const MOST_PARTS: usize = 1024;

const enum Phase {
  FILL = 0,
  SCATTER = 1,
  FINISH = 2,
}

// @ts-ignore: decorator
@unmanaged
export class Sorter {
  region: usize;
  order: usize;
  rows: u32;
  phase: u32;
  /** One word a row, and room for as many. */
  words: usize;
  other: usize;
  /** Where the sorted words lie: `words` or `other`. */
  sorted: usize;
  /** Bits of the row number, and of the key above it. */
  place: u32;
  keyBits: u32;
  pieces: u32;
  /** Rows whose words are filled, or (SCATTER) moved. */
  filled: u32;
  /** Whether the keys so far never fall; never rise; and whether two neighbours are equal. */
  rising: u32;
  falling: u32;
  equal: u32;
  lastKey: u64;
  /** Bits of the digit by which words are scattered, 0 when they are not; the lowest of them. */
  digitBits: u32;
  digitShift: u32;
  /** u32 a part: words, then the address of the next one. */
  addresses: usize;
  /** Next part to finish. */
  part: u32;
  /** Rows that are in their final order. */
  ready: u32;
  /** What the words do not hold. */
  cursor: usize;
}

export const SORTER_SIZE: usize = 88;

// @ts-ignore: decorator
@inline
function orderOf(sorter: Sorter): SortOrder {
  return changetype<SortOrder>(sorter.order);
}

/** The bits of a word that are the row number. */
// @ts-ignore: decorator
@inline
export function rowMask(sorter: Sorter): u64 {
  return (<u64>1 << sorter.place) - 1;
}

/** Begins to sort the rows of `rows` (a `RowStore` with at least one); false, and nothing held, when out of memory. */
export function sorterBegin(sorter: Sorter, region: usize, order: usize, rows: usize): bool {
  const count = changetype<RowStore>(rows).rows;
  const bytes: u64 = (<u64>count << 4) + <u64>MOST_PARTS * 4 + <u64>CURSOR_SIZE + 64;
  if (bytes > 0xffe00000) return false;
  const block = regionBlock(region, <usize>bytes);
  if (block == 0) return false;
  memory.fill(changetype<usize>(sorter), 0, SORTER_SIZE);
  sorter.region = region;
  sorter.order = order;
  sorter.rows = count;
  sorter.words = block;
  sorter.other = block + ((<usize>count) << 3);
  sorter.addresses = block + ((<usize>count) << 4);
  sorter.cursor = sorter.addresses + MOST_PARTS * 4;
  sorter.rising = 1;
  sorter.falling = 1;
  plan(sorter, rows);
  return true;
}

export function sorterEnd(sorter: Sorter): void {
  regionFree(sorter.region, sorter.words);
  sorter.words = 0;
}

function plan(sorter: Sorter, rows: usize): void {
  const order = orderOf(sorter);
  orderReset(order, rows);
  memory.fill(sorter.cursor, 0, CURSOR_SIZE);
  sorter.place = 32 - <u32>clz<u32>((sorter.rows - 1) | 1);
  const width = min<u64>(64 - sorter.place, order.width);
  sorter.pieces = planWord(order, changetype<Cursor>(sorter.cursor), width, sorter.place, u32.MAX_VALUE);
  sorter.keyBits = <u32>plannedBits(order, sorter.pieces);
  if (sorter.rows <= (order.tiny ? 64 : WHOLE_ROWS)) return;
  sorter.digitBits = min<u32>(sorter.rows >= MANY_ROWS ? 10 : 8, sorter.keyBits);
  sorter.digitShift = sorter.place + sorter.keyBits - sorter.digitBits;
  memory.fill(sorter.addresses, 0, MOST_PARTS * 4);
}

/** Does some work, of about as many rows as it answers. Not to be called when every row is ready. */
export function sorterStep(context: usize, sorter: Sorter): u32 {
  switch (sorter.phase) {
    case Phase.FILL:
      return fill(sorter);
    case Phase.SCATTER:
      return scatter(sorter);
    default:
      return sorter.digitBits != 0 ? finishPart(context, sorter) : finishRun(context, sorter);
  }
}

function fill(sorter: Sorter): u32 {
  const row = sorter.filled;
  const some = min<u32>(sorter.rows - row, CHUNK_ROWS - (row & CHUNK_MASK));
  const words = sorter.words + ((<usize>row) << 3);
  packRows(orderOf(sorter), sorter.pieces, row, some, words);
  noteDirection(sorter, words, some, row == 0);
  if (sorter.digitBits != 0) {
    countDigits(words, some, sorter.digitShift, digitMask(sorter), sorter.addresses);
  }
  sorter.filled += some;
  if (sorter.filled == sorter.rows) decide(sorter);
  return some;
}

// @ts-ignore: decorator
@inline
function digitMask(sorter: Sorter): u64 {
  return (<u64>1 << sorter.digitBits) - 1;
}

function noteDirection(sorter: Sorter, words: usize, count: u32, isFirst: bool): void {
  if ((sorter.rising | sorter.falling) == 0) return;
  const place: u64 = sorter.place;
  let last = isFirst ? load<u64>(words) >> place : sorter.lastKey;
  let rises: u32 = 0;
  let falls: u32 = 0;
  let same: u32 = 0;
  const end = words + ((<usize>count) << 3);
  for (let at = words + (isFirst ? 8 : 0); at < end; at += 8) {
    const next = load<u64>(at) >> place;
    rises |= <u32>(next > last);
    falls |= <u32>(next < last);
    same |= <u32>(next == last);
    last = next;
  }
  sorter.rising &= falls ^ 1;
  sorter.falling &= rises ^ 1;
  sorter.equal |= same;
  sorter.lastKey = last;
}

/** All words are there: what is left to do? */
function decide(sorter: Sorter): void {
  sorter.phase = Phase.FINISH;
  sorter.sorted = sorter.words;
  if (sorter.rising) {
    sorter.digitBits = 0;
  } else if (sorter.falling) {
    sorter.digitBits = 0;
    reverse(sorter.words, sorter.rows);
    if (sorter.equal) reverseEqual(sorter.words, sorter.rows, sorter.place);
  } else if (sorter.digitBits != 0) {
    startAddresses(sorter.addresses, <u32>1 << sorter.digitBits, sorter.other);
    sorter.sorted = sorter.other;
    sorter.phase = Phase.SCATTER;
    sorter.filled = 0;
    return;
  } else {
    // Few rows: they are sorted by the first step that finishes them.
    sorter.rising = 0;
    return;
  }
  sorter.rising = 1;
}

function reverse(words: usize, count: u32): void {
  let left = words;
  let right = words + ((<usize>count) << 3) - 8;
  for (; left < right; left += 8) {
    const word = load<u64>(left);
    store<u64>(left, load<u64>(right));
    store<u64>(right, word);
    right -= 8;
  }
}

/** Turns runs of equal keys round, so that rows are in their first order again. */
function reverseEqual(words: usize, count: u32, place: u64): void {
  const end = words + ((<usize>count) << 3);
  let start = words;
  let key = load<u64>(words) >> place;
  for (let at = words + 8; at <= end; at += 8) {
    const next = at == end ? ~key : load<u64>(at) >> place;
    if (next == key) continue;
    reverse(start, <u32>((at - start) >> 3));
    start = at;
    key = next;
  }
}

function scatter(sorter: Sorter): u32 {
  const some = min<u32>(sorter.rows - sorter.filled, CHUNK_ROWS);
  const words = sorter.words + ((<usize>sorter.filled) << 3);
  scatterWords(words, some, sorter.digitShift, digitMask(sorter), sorter.addresses);
  sorter.filled += some;
  if (sorter.filled == sorter.rows) sorter.phase = Phase.FINISH;
  return some;
}

function finishPart(context: usize, sorter: Sorter): u32 {
  const start = sorter.other + ((<usize>sorter.ready) << 3);
  const end: usize = load<u32>(sorter.addresses + ((<usize>sorter.part) << 2));
  const some = <u32>((end - start) >> 3);
  sorter.part++;
  if (some == 0) return 1;
  sortWords(context, start, sorter.words + (start - sorter.other), some, false, orderOf(sorter).tiny != 0);
  finish(context, sorter, start, some);
  return some;
}

/** Rows without parts: all of them, or a stretch of those that came in order. */
function finishRun(context: usize, sorter: Sorter): u32 {
  let end = sorter.rows;
  if (sorter.rising == 0) {
    sortWords(context, sorter.words, sorter.other, sorter.rows, false, orderOf(sorter).tiny != 0);
  } else if (sorter.rows - sorter.ready > CHUNK_ROWS) {
    end = sorter.ready + CHUNK_ROWS;
    const key = load<u64>(sorter.words + ((<usize>(end - 1)) << 3)) >> sorter.place;
    while (end < sorter.rows && load<u64>(sorter.words + ((<usize>end) << 3)) >> sorter.place == key) end++;
  }
  const some = end - sorter.ready;
  finish(context, sorter, sorter.words + ((<usize>sorter.ready) << 3), some);
  return some;
}

function finish(context: usize, sorter: Sorter, words: usize, count: u32): void {
  const offset = words - sorter.sorted;
  const other = sorter.sorted == sorter.words ? sorter.other : sorter.words;
  const cursor = changetype<Cursor>(sorter.cursor);
  resolveTies(context, orderOf(sorter), words, other + offset, count, sorter.place, cursor, 0);
  sorter.ready += count;
}
