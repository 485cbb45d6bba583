// Sorting the rows of a store: in steps until every row is near its place, then part by part.
//
//   fill     the leading bits of every row's order, a block at a time: whether rows come in order, or in
//            reverse, shows on the way; of many rows the highest bits are kept as the number of a part, or what
//            a map made from a sample says where these would put many rows into one (part-map.ts)
//   divide   how many rows each part has: room for the largest
//   move     each column's values into their parts
//   parts    one after the other: words with the next bits of the order and the row's number in the part,
//            sorted (radix.ts), then the rows whose words are equal (ties.ts)
//
// A part is a stretch of every column that lies in the cache, so words are made, rows compared and values
// fetched there: two passes in order over a column take the place of one in no order. Few rows are one part.
// Rows that come in order are not moved, and if no two are equal in the keys not sorted: stretches of them are the
// parts, and leave as they lie.
//
// Memory on top of the rows: 2 bytes a row, 16 bytes a row of the largest part, and while columns move another
// copy of the widest of them. A step handles 65,536 rows; a part goes through in one, however many of its rows
// agree in their leading bits.
//
// Tried and lost, for 10 million rows with an 8-byte key and an 8-byte payload: words with the row's number in
// the whole store, scattered and sorted, and values fetched from where they came (2.5 times slower: every value
// is a miss); moving the words along with the columns (a fifth slower, and 16 bytes a row for them).

import { regionBlock, regionFree } from "../memory/region";
import { Course } from "./course";
import { CURSOR_SIZE, Cursor, SortOrder, orderKey, orderReset } from "./order";
import { NO_NUMBER, packRows, passShared, planWord, plannedBits } from "./pack";
import {
  PartMap,
  SLOT_BITS,
  TINY_SLOT_BITS,
  partMapBytes,
  partMapFill,
  partMapFind,
  partMapLast,
  partMapLeast,
} from "./part-map";
import { sortWords } from "./radix";
import {
  CHUNK_MASK,
  CHUNK_ROWS,
  RowStore,
  storeColumn,
  storeMoveBegin,
  storeMoveColumn,
  storeMoveEnd,
  storeMoveRows,
  storeMoved,
  storeNextToMove,
} from "./row-store";
import { resolveTies } from "./ties";

/** Rows that are one part. */
const WHOLE_ROWS: u32 = 32768;
/** Parts are made for so many rows on average: their words and values take half of a second-level cache. */
const PART_ROWS: u32 = 16384;
const MOST_DIGIT_BITS: u32 = 10;
const MOST_PARTS: usize = 1 << MOST_DIGIT_BITS;
/** Rows of a stretch of rows that come in order. */
const STRETCH_ROWS: u32 = 32768;
const BLOCK_ROWS: u32 = 4096;
/** A part with more rows than so many times the average, and the words of a part in the cache, makes a map worth it. */
const SKEWED: u64 = 5;
const SKEWED_ROWS: u64 = 32768;
const WIDEST: u32 = 16;
/** A part in which more than one row in so many is equal to another in the keys makes the next words hold more. */
const TIED_SHARE: u32 = 16;

const enum Phase {
  FILL = 0,
  DIVIDE = 1,
  MOVE = 2,
  PARTS = 3,
}

// @ts-ignore: decorator
@unmanaged
export class Sorter {
  region: usize;
  order: usize;
  rows: u32;
  phase: u32;
  /** u16 a row: its part. */
  digits: usize;
  /** u32 a part: its rows, then its first row; and the row that the next one moves to. */
  starts: usize;
  numbers: usize;
  /** Words of a block, then of the part at hand; and room for as many. */
  words: usize;
  other: usize;
  /** Where the words of a part begin in the order: after the bits that its rows share. */
  cursor: usize;
  /** Room for the cursor of the part at hand, and for those of `words` and `other`. */
  work: usize;
  digitBits: u32;
  /** Parts that rows are divided into. */
  parts: u32;
  /** `PartMap` by which they are, 0 where the highest bits tell. */
  map: usize;
  keyBits: u32;
  pieces: u32;
  /** Rows that are filled, or moved. */
  done: u32;
  /** Whether keys so far never fall; never rise; and whether two neighbours are equal. */
  rising: u32;
  falling: u32;
  equal: u32;
  /** 1 when rows are counted by part. */
  divided: u32;
  /** The column that is moving. */
  column: i32;
  lastKey: u64;
  /** Next part. */
  next: u32;
  /** The part at hand: its first row, its rows, and bits of a row's number in a word. */
  first: u32;
  count: u32;
  place: u32;
  /** 1 when words hold as many bits of the order as fit, else those of the sort keys. */
  deep: u32;
  /** 1 when the rows of the part at hand came in order. */
  plain: u32;
  /** Rows of a stretch that are numbered. */
  numbered: u32;
  /** What the words of a part that is given (`sorterTake`) are lessened by, as `passShared` answers it. */
  least: u64;
}

export const SORTER_SIZE: usize = 144;

// @ts-ignore: decorator
@inline
function orderOf(sorter: Sorter): SortOrder {
  return changetype<SortOrder>(sorter.order);
}

// @ts-ignore: decorator
@inline
function storeOf(sorter: Sorter): RowStore {
  return changetype<RowStore>(orderOf(sorter).store);
}

/** The bits of a word of the part at hand that are the row's number in it. */
// @ts-ignore: decorator
@inline
export function rowMask(sorter: Sorter): u64 {
  return (<u64>1 << sorter.place) - 1;
}

/**
 * Begins to sort the rows of `rows` (a `RowStore` with at least one); false, and nothing held, when out of memory.
 * `course`: that of their first key, as far as it is known: NONE where nobody has looked, or found none.
 */
export function sorterBegin(sorter: Sorter, region: usize, order: usize, rows: usize, course: u32): bool {
  const count = changetype<RowStore>(rows).rows;
  const tables: usize = MOST_PARTS * 8 + 2 * CURSOR_SIZE + (<usize>BLOCK_ROWS << 3);
  const block = regionBlock(region, tables + (<usize>count << 1));
  if (block == 0) return false;
  memory.fill(changetype<usize>(sorter), 0, SORTER_SIZE);
  sorter.region = region;
  sorter.order = order;
  sorter.rows = count;
  sorter.starts = block;
  sorter.numbers = block + MOST_PARTS * 4;
  sorter.cursor = block + MOST_PARTS * 8;
  sorter.work = sorter.cursor + CURSOR_SIZE;
  sorter.digits = block + tables;
  sorter.rising = 1;
  sorter.falling = 1;
  sorter.parts = 1;
  orderReset(changetype<SortOrder>(order), rows);
  memory.fill(block, 0, MOST_PARTS * 8 + 2 * CURSOR_SIZE);
  if (course != <u32>Course.NONE) follow(sorter, course);
  else {
    planDigits(sorter);
    planKeys(sorter);
  }
  return true;
}

/** Rows come in a known direction: they leave as they lie, or from the last to the first. */
function follow(sorter: Sorter, course: u32): void {
  const rises: u32 = orderKey(orderOf(sorter), 0).descending ? Course.FALLING : Course.RISING;
  sorter.rising = (course & rises) != 0 ? 1 : 0;
  sorter.falling = sorter.rising ^ 1;
  sorter.phase = Phase.DIVIDE;
}

export function sorterEnd(sorter: Sorter): void {
  regionFree(sorter.region, sorter.words);
  regionFree(sorter.region, sorter.starts);
  regionFree(sorter.region, sorter.map);
  sorter.map = 0;
  sorter.words = 0;
  sorter.starts = 0;
}

/** Room to sort parts that come one by one (`sorterTake`), of `most` rows at most; false when out of memory. */
export function sorterReserve(sorter: Sorter, region: usize, order: usize, most: u32): bool {
  if (<u64>most << 4 > 0xffe00000) return false; // unreached: needs 2^28 rows
  const block = regionBlock(region, 2 * CURSOR_SIZE);
  const words = regionBlock(region, max<usize>(64, <usize>most << 4));
  if (block == 0 || words == 0) {
    regionFree(region, block);
    regionFree(region, words);
    return false;
  }
  memory.fill(changetype<usize>(sorter), 0, SORTER_SIZE);
  memory.fill(block, 0, 2 * CURSOR_SIZE);
  sorter.region = region;
  sorter.order = order;
  sorter.phase = Phase.PARTS;
  sorter.starts = block;
  sorter.cursor = block;
  sorter.work = block + CURSOR_SIZE;
  sorter.words = words;
  sorter.other = words + ((<usize>most) << 3);
  return true;
}

/** Where the cursor of the next part stands: see `orderPart`. */
// @ts-ignore: decorator
@inline
export function sorterCursor(sorter: Sorter): usize {
  return sorter.cursor;
}

/**
 * Makes rows [first, first + count) of the order's store, one at least, the part at hand, and puts them in order. `least`: the
 * bits of the least of them that the cursor stands before, highest first, or none.
 */
export function sorterTake(context: usize, sorter: Sorter, first: u32, count: u32, least: u64): void {
  sorter.least = least;
  sorter.first = first;
  sorter.count = count;
  sorterPrepare(context, sorter);
}

/** Bits that number the parts; the cursor moves past them. */
function planDigits(sorter: Sorter): void {
  const order = orderOf(sorter);
  if (sorter.rows <= (order.tiny ? 64 : WHOLE_ROWS)) return;
  const wanted = order.tiny ? 3 : min<u32>(MOST_DIGIT_BITS, 33 - clz<u32>(sorter.rows / PART_ROWS));
  const cursor = changetype<Cursor>(sorter.cursor);
  const pieces = planWord(order, cursor, max<u32>(wanted, 8), 0, u32.MAX_VALUE, order.keyCount);
  sorter.digitBits = <u32>plannedBits(order, pieces);
  sorter.parts = <u32>1 << sorter.digitBits;
}

/** What the words hold by which the input's direction is known: the sort keys, and the digits. */
function planKeys(sorter: Sorter): void {
  const order = orderOf(sorter);
  const cursor = changetype<Cursor>(sorter.work);
  let pieces = planWord(order, cursor, 64, 0, u32.MAX_VALUE, order.sortKeys);
  if (plannedBits(order, pieces) < sorter.digitBits) {
    memory.fill(sorter.work, 0, CURSOR_SIZE);
    pieces = planWord(order, cursor, 64, 0, u32.MAX_VALUE, order.keyCount);
  }
  sorter.pieces = pieces;
  sorter.keyBits = <u32>plannedBits(order, pieces);
}

/** Whether parts can be asked for: `sorterStep` has nothing more to do. */
// @ts-ignore: decorator
@inline
export function sorterIsReady(sorter: Sorter): bool {
  return sorter.phase == <u32>Phase.PARTS;
}

/** Does some work, of about as many rows as it answers; 0 when out of memory, and it can be called again. */
export function sorterStep(sorter: Sorter): u32 {
  switch (sorter.phase) {
    case Phase.FILL:
      return fill(sorter);
    case Phase.DIVIDE:
      return divide(sorter) ? 1 : 0;
    default:
      return moveRows(sorter);
  }
}

// ---- fill

function fill(sorter: Sorter): u32 {
  const row = sorter.done;
  const some = min<u32>(sorter.rows - row, CHUNK_ROWS - (row & CHUNK_MASK));
  const words = sorter.work + CURSOR_SIZE;
  for (let start: u32 = 0; start < some; start += BLOCK_ROWS) {
    const count = min(BLOCK_ROWS, some - start);
    packRows(orderOf(sorter), sorter.pieces, row + start, count, words, NO_NUMBER);
    if (!isUnordered(sorter) && sorter.divided == 0) {
      noteDirection(sorter, words, count, row + start == 0);
      if (isUnordered(sorter) && sorter.digitBits != 0) {
        sorter.divided = 1;
        makeMap(sorter);
        return fillAgain(sorter, some);
      }
    }
    if (sorter.divided) noteDigits(sorter, words, count, row + start);
  }
  sorter.done += some;
  if (sorter.done != sorter.rows) return some;
  if (sorter.divided == 0 && sorter.digitBits != 0 && sorter.equal) {
    sorter.divided = 1;
    return fillAgain(sorter, some);
  }
  sorter.phase = Phase.DIVIDE;
  return some;
}

/**
 * Looks at the highest bits of a sample of all rows, and makes a map where one part would have many of them. Where there is
 * no memory for it these bits have to do. The words of the block at hand are lost.
 */
function makeMap(sorter: Sorter): void {
  const order = orderOf(sorter);
  const words = sorter.work + CURSOR_SIZE;
  const count = sampleWords(sorter, words);
  if (order.tiny == 0 && !isSkewed(sorter, words, count)) return;
  const map = regionBlock(sorter.region, partMapBytes(sorter.parts));
  if (map == 0) return;
  if (partMapFill(changetype<PartMap>(map), words, count, sorter.parts, order.tiny ? TINY_SLOT_BITS : SLOT_BITS)) {
    sorter.map = map;
    sorter.parts = changetype<PartMap>(map).parts;
    // What the rows of a part have in common its bounds tell.
    memory.fill(sorter.cursor, 0, CURSOR_SIZE);
  } else regionFree(sorter.region, map);
}

/** Words of rows from all over the store; answers how many. Which one of a stretch is drawn by the stretch's number. */
function sampleWords(sorter: Sorter, words: usize): u32 {
  const count = min(sorter.rows, BLOCK_ROWS);
  const stride = sorter.rows / count;
  for (let index: u32 = 0; index < count; index++) {
    const row = index * stride + ((index * 0x9e3779b1) >>> 8) % stride;
    packRows(orderOf(sorter), sorter.pieces, row, 1, words + ((<usize>index) << 3), NO_NUMBER);
  }
  return count;
}

/** Whether the highest bits make a part of too many rows. */
function isSkewed(sorter: Sorter, words: usize, count: u32): bool {
  const counts = sorter.starts;
  const shift: u64 = sorter.keyBits - sorter.digitBits;
  const end = words + ((<usize>count) << 3);
  let most: u64 = 0;
  for (let at = words; at < end; at += 8) {
    const slot = counts + (<usize>(load<u64>(at) >> shift) << 2);
    const some = load<u32>(slot) + 1;
    store<u32>(slot, some);
    most = max<u64>(most, some);
  }
  memory.fill(counts, 0, MOST_PARTS * 4);
  return most * <u64>sorter.parts > SKEWED * <u64>count && most * <u64>sorter.rows > SKEWED_ROWS * <u64>count;
}

/** Parts are not asked for while rows come in order and no two are equal: now they are, from the first row on. */
function fillAgain(sorter: Sorter, some: u32): u32 {
  sorter.done = 0;
  return some;
}

// @ts-ignore: decorator
@inline
function isUnordered(sorter: Sorter): bool {
  return (sorter.rising | sorter.falling) == 0;
}

function noteDirection(sorter: Sorter, words: usize, count: u32, isFirst: bool): void {
  let last = isFirst ? load<u64>(words) : sorter.lastKey;
  let rises: u32 = 0;
  let falls: u32 = 0;
  let same: u32 = 0;
  const end = words + ((<usize>count) << 3);
  for (let at = words + (isFirst ? 8 : 0); at < end; at += 8) {
    const next = load<u64>(at);
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

function noteDigits(sorter: Sorter, words: usize, count: u32, row: u32): void {
  if (sorter.map != 0) {
    const digits = sorter.digits + ((<usize>row) << 1);
    partMapFind(changetype<PartMap>(sorter.map), words, count, digits, sorter.starts);
    return;
  }
  const shift: u64 = sorter.keyBits - sorter.digitBits;
  const counts = sorter.starts;
  let digit = sorter.digits + ((<usize>row) << 1);
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) {
    const part = <u32>(load<u64>(at) >> shift);
    store<u16>(digit, <u16>part);
    digit += 2;
    const slot = counts + ((<usize>part) << 2);
    store<u32>(slot, load<u32>(slot) + 1);
  }
}

// ---- divide

/** Whether rows come in one direction, and no two are equal in the sort keys: their order is known. */
// @ts-ignore: decorator
@inline
function isStrict(sorter: Sorter): bool {
  return sorter.equal == 0 && (sorter.rising | sorter.falling) != 0;
}

/** Whether the rows of the part at hand leave as they lie in the store. */
export function sorterIsConsecutive(sorter: Sorter): bool {
  return sorter.plain != 0 || (isStrict(sorter) && sorter.rising != 0);
}

/** Room for the largest part's words, and to move columns where rows are in no order; false when out of memory. */
function divide(sorter: Sorter): bool {
  let most = sorter.rows;
  if (isStrict(sorter)) most = min(most, STRETCH_ROWS);
  else if (sorter.digitBits != 0) most = largestPart(sorter);
  if (<u64>most << 4 > 0xffe00000) return false; // unreached: needs 2^28 rows
  if (sorter.words == 0) sorter.words = regionBlock(sorter.region, <usize>most << 4);
  if (sorter.words == 0) return false;
  sorter.other = sorter.words + ((<usize>most) << 3);
  const inOrder = (sorter.rising | sorter.falling) != 0;
  if (!inOrder && sorter.digitBits != 0 && !storeMoveBegin(storeOf(sorter))) return false;
  startNumbers(sorter.starts, sorter.parts);
  sorter.phase = Phase.PARTS;
  if (inOrder || sorter.digitBits == 0) return true;
  sorter.phase = Phase.MOVE;
  nextColumn(sorter, -1, WIDEST);
  return true;
}

function largestPart(sorter: Sorter): u32 {
  let most: u32 = 1;
  for (let part: usize = 0; part < <usize>sorter.parts; part++) {
    most = max(most, load<u32>(sorter.starts + (part << 2)));
  }
  return most;
}

/** Counts become the rows at which parts begin. */
function startNumbers(counts: usize, parts: u32): void {
  let row: u32 = 0;
  for (let part: u32 = 0; part < parts; part++) {
    const slot = counts + ((<usize>part) << 2);
    const some = load<u32>(slot);
    store<u32>(slot, row);
    row += some;
  }
}

function nextColumn(sorter: Sorter, after: i32, width: u32): void {
  const store = storeOf(sorter);
  sorter.column = storeNextToMove(store, after, width);
  if (sorter.column < 0) {
    storeMoveEnd(store);
    sorter.phase = Phase.PARTS;
    return;
  }
  storeMoveColumn(store, sorter.column);
  memory.copy(sorter.numbers, sorter.starts, MOST_PARTS * 4);
  sorter.done = 0;
}

function moveRows(sorter: Sorter): u32 {
  const row = sorter.done;
  const some = min<u32>(sorter.rows - row, CHUNK_ROWS);
  const store = storeOf(sorter);
  const column = sorter.column;
  storeMoveRows(store, column, row, some, sorter.digits + ((<usize>row) << 1), sorter.numbers);
  sorter.done += some;
  if (sorter.done == sorter.rows) {
    storeMoved(store, column);
    nextColumn(sorter, column, storeColumn(store, column).width);
  }
  return some;
}

// ---- parts

/** Goes on to the next part that has rows: `first` and `count`. False when there is none. */
export function sorterNext(sorter: Sorter): bool {
  if (isStrict(sorter)) return nextStretch(sorter);
  const parts = sorter.parts;
  sorter.count = 0;
  while (sorter.count == 0 && sorter.next < parts) {
    const part = sorter.next++;
    const start = load<u32>(sorter.starts + ((<usize>part) << 2));
    const end = part + 1 == parts ? sorter.rows : load<u32>(sorter.starts + ((<usize>part) << 2), 4);
    sorter.first = sorter.falling && !sorter.rising ? sorter.rows - end : start;
    sorter.count = end - start;
  }
  return sorter.count != 0;
}

function nextStretch(sorter: Sorter): bool {
  const start: u64 = <u64>sorter.next * <u64>STRETCH_ROWS;
  // unreached: nobody asks for more than the last row
  if (start >= sorter.rows) return false;
  sorter.next++;
  sorter.count = min(STRETCH_ROWS, sorter.rows - <u32>start);
  sorter.first = sorter.rising ? <u32>start : sorter.rows - <u32>start - sorter.count;
  return true;
}

/** Puts the rows of the part at hand in order: the low bits of `words` are their numbers, from `first` on. */
export function sorterPrepare(context: usize, sorter: Sorter): void {
  const order = orderOf(sorter);
  const count = sorter.count;
  order.first = sorter.first;
  sorter.place = 32 - clz<u32>((count - 1) | 1);
  if (isStrict(sorter)) {
    numberStretch(sorter);
    return;
  }
  memory.copy(sorter.work, sorter.cursor, CURSOR_SIZE);
  const cursor = changetype<Cursor>(sorter.work);
  let least = sorter.least;
  if (sorter.map != 0) {
    const map = changetype<PartMap>(sorter.map);
    const part = sorter.next - 1;
    const last = partMapLast(map, part, sorter.keyBits);
    least = passShared(order, cursor, sorter.keyBits, order.keyCount, partMapLeast(map, part), last);
  }
  const deep = sorter.deep != 0 || cursor.key >= order.sortKeys;
  const width = min<u64>(64 - sorter.place, order.width);
  const keys = deep ? order.keyCount : order.sortKeys;
  const pieces = planWord(order, cursor, width, sorter.place, u32.MAX_VALUE, keys);
  fillPart(sorter, pieces);
  if (least != 0) lessen(sorter.words, count, ((least >> 1) >> (63 - plannedBits(order, pieces))) << <u64>sorter.place);
  const inOrder = isAscending(sorter.words, count);
  if (!inOrder) {
    sortWords(context, sorter.words, sorter.other, count, false, order.tiny != 0);
  }
  const tied = resolveTies(context, order, sorter.words, sorter.other, count, sorter.place, cursor, 0);
  sorter.plain = inOrder && tied == 0 ? 1 : 0;
  if (<u64>tied * TIED_SHARE > <u64>count) sorter.deep = 1;
}

/** Takes `least` from each word: what differs then is as low as it can be, however high a bit the part lies across. */
function lessen(words: usize, count: u32, least: u64): void {
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) store<u64>(at, load<u64>(at) - least);
}

/** Numbers rows from the first, or the last, of a stretch: those of the stretch before mostly do. */
function numberStretch(sorter: Sorter): void {
  if (sorter.numbered == sorter.count) return;
  sorter.numbered = sorter.count;
  const last: u64 = sorter.count - 1;
  const words = sorter.words;
  for (let at: u64 = 0; at <= last; at++) store<u64>(words + (<usize>at << 3), sorter.rising ? at : last - at);
}

function fillPart(sorter: Sorter, pieces: u32): void {
  let done: u32 = 0;
  while (done < sorter.count) {
    const row = sorter.first + done;
    const some = min(sorter.count - done, CHUNK_ROWS - (row & CHUNK_MASK));
    packRows(orderOf(sorter), pieces, row, some, sorter.words + ((<usize>done) << 3), done);
    done += some;
  }
}

function isAscending(words: usize, count: u32): bool {
  const end = words + ((<usize>count) << 3);
  let last = load<u64>(words);
  for (let at = words + 8; at < end; at += 8) {
    const next = load<u64>(at);
    if (next < last) return false;
    last = next;
  }
  return true;
}
