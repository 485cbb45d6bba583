// Dividing the rows of one store among the parts of splitters (splitters.ts): the part of every row is found in the order
// in which they lie, then each column's values move to their parts, as within a sort (sorter.ts). A part is a stretch of
// rows then. Rows whose parts never fall, as those of input that comes in order, stay where they are.
//
// A step handles 65,536 rows. Memory on top of the rows: 2 bytes a row, and while columns move another copy of the widest.

import { regionBlock, regionFree } from "../memory/region";
import { compareRows } from "./compare";
import { SORT_KEY_SIZE, SortOrder } from "./order";
import { NO_NUMBER, packRows } from "./pack";
import { PartMap, partMapFind } from "./part-map";
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
import { MOST_SPLIT_PARTS, Splitters, planSplitWord } from "./splitters";

const BLOCK_ROWS: u32 = 4096;
const WIDEST: u32 = 16;

const enum Phase {
  NEW = 0,
  FIND = 1,
  ROOM = 2,
  MOVE = 3,
  DONE = 4,
}

// @ts-ignore: decorator
@unmanaged
export class Division {
  phase: u32;
  pieces: u32;
  /** u16 a row: its part. */
  digits: usize;
  /** u32 where each part begins, and the end; and the row that the next one moves to. */
  starts: usize;
  numbers: usize;
  /** Words of a block of rows. */
  words: usize;
  /** Rows that are found, or moved. */
  done: u32;
  /** The part of the last row, and whether some part is below the one before. */
  last: u32;
  falls: u32;
  /** The column that is moving. */
  column: i32;
}

export const DIVISION_SIZE: usize = 40;

/** Whether rows lie in their parts. */
// @ts-ignore: decorator
@inline
export function divisionIsDone(self: Division): bool {
  return self.phase == <u32>Phase.DONE;
}

// @ts-ignore: decorator
@inline
export function divisionStart(self: Division, part: u32): u32 {
  return load<u32>(self.starts + ((<usize>part) << 2));
}

/** Gives its memory back where no row has moved yet, and the store is as it was; false where not. */
export function divisionDrop(self: Division, region: usize): bool {
  if (self.phase >= <u32>Phase.MOVE) return false;
  regionFree(region, self.starts);
  regionFree(region, self.words);
  return true;
}

/** Does some work; false when out of memory, and it can be called again. */
export function divisionStep(self: Division, region: usize, order: SortOrder, splitters: Splitters): bool {
  const rows = changetype<RowStore>(order.store);
  switch (self.phase) {
    case Phase.NEW:
      return begin(self, region, order, splitters);
    case Phase.FIND:
      find(self, order, splitters);
      if (self.done == rows.rows) endFind(self, region, splitters.parts);
      return true;
    case Phase.ROOM:
      if (!storeMoveBegin(rows)) return false;
      self.phase = Phase.MOVE;
      nextColumn(self, region, rows, -1, WIDEST, splitters.parts);
      return true;
    case Phase.MOVE:
      move(self, region, rows, splitters.parts);
      return true;
    default:
      return true;
  }
}

function begin(self: Division, region: usize, order: SortOrder, splitters: Splitters): bool {
  const tables: usize = (MOST_SPLIT_PARTS + 1) * 8;
  const starts = regionBlock(region, tables);
  // Parts are found of four words at a time, also of what lies behind the last ones: words of before, or none.
  const digits = regionBlock(region, ((<usize>BLOCK_ROWS) << 3) + (<usize>(changetype<RowStore>(order.store).rows + 3) << 1));
  if (starts == 0 || digits == 0) {
    regionFree(region, starts);
    regionFree(region, digits);
    return false;
  }
  memory.fill(starts, 0, tables);
  self.starts = starts;
  self.numbers = starts + (MOST_SPLIT_PARTS + 1) * 4;
  self.words = digits;
  self.digits = digits + ((<usize>BLOCK_ROWS) << 3);
  const shared = changetype<SortOrder>(splitters.order);
  memory.copy(order.keys, shared.keys, <usize>order.keyCount * SORT_KEY_SIZE);
  self.pieces = planSplitWord(splitters, order, self.words);
  memory.fill(self.words, 0, <usize>BLOCK_ROWS << 3);
  self.phase = Phase.FIND;
  return true;
}

// ---- parts of rows

function find(self: Division, order: SortOrder, splitters: Splitters): void {
  const row = self.done;
  const some = min<u32>(changetype<RowStore>(order.store).rows - row, CHUNK_ROWS - (row & CHUNK_MASK));
  for (let start: u32 = 0; start < some; start += BLOCK_ROWS) {
    const count = min(BLOCK_ROWS, some - start);
    packRows(order, self.pieces, row + start, count, self.words, NO_NUMBER);
    const digits = self.digits + ((<usize>(row + start)) << 1);
    if (splitters.map != 0) partMapFind(changetype<PartMap>(splitters.map), self.words, count, digits, self.starts);
    else findBySplitters(self, order, splitters, digits, row + start, count);
    if (self.falls == 0) noteFalls(self, digits, count);
  }
  self.done += some;
}

function findBySplitters(
  self: Division,
  order: SortOrder,
  splitters: Splitters,
  digits: usize,
  row: u32,
  count: u32,
): void {
  const isEqual = !areOnePart(splitters, self.words, digits, count) && findParts(splitters, self.words, digits, count);
  if (isEqual && splitters.complete == 0) compareEqual(order, splitters, self.words, digits, row, count);
  const end = digits + ((<usize>count) << 1);
  for (let at = digits; at < end; at += 2) {
    const slot = self.starts + ((<usize>load<u16>(at)) << 2);
    store<u32>(slot, load<u32>(slot) + 1);
  }
}

/** Whether all words lie between the same two splitters, and none is one, as in blocks of input in order: their part is written then. */
function areOnePart(splitters: Splitters, words: usize, digits: usize, count: u32): bool {
  const end = words + ((<usize>count) << 3);
  findParts(splitters, words, digits, 1);
  const part = <u32>load<u16>(digits);
  // The last row of a block in no order mostly tells.
  let low = load<u64>(end - 8);
  let high = low;
  if (!lieIn(splitters, part, low, high)) return false;
  for (let at = words; at < end; at += 8) {
    low = min<u64>(low, load<u64>(at));
    high = max<u64>(high, load<u64>(at));
  }
  if (!lieIn(splitters, part, low, high)) return false;
  for (let digit = digits; digit < digits + ((<usize>count) << 1); digit += 2) store<u16>(digit, <u16>part);
  return true;
}

/** Whether words from `low` to `high` lie between the splitters at both ends of a part. */
function lieIn(splitters: Splitters, part: u32, low: u64, high: u64): bool {
  const table = splitters.words + ((<usize>part) << 3);
  return (part == 0 || low > load<u64>(table - 8)) && (part + 1 == splitters.parts || high < load<u64>(table));
}

/**
 * For each word, and up to three behind them, the number of splitters whose words are not above it: those below all words with
 * its highest bits, and of the ones that share these what halving finds, four words at a time, as each waits for its loads (a
 * word at a time took twice as long). Whether a word is a splitter's, too.
 */
function findParts(splitters: Splitters, words: usize, digits: usize, count: u32): bool {
  const table = splitters.words;
  const lookUp = splitters.lookUp;
  const shift: u64 = splitters.shift;
  const first: usize = (<usize>splitters.half) << 3;
  // A word that is as great as can be counts the end of the table, too, and what lies behind it.
  const last = table + ((<usize>splitters.parts - 1) << 3);
  const end = words + ((<usize>count) << 3);
  let equal: u32 = 0;
  for (let at = words, digit = digits; at < end; at += 32, digit += 8) {
    const word0 = load<u64>(at);
    const word1 = load<u64>(at, 8);
    const word2 = load<u64>(at, 16);
    const word3 = load<u64>(at, 24);
    let place0 = table + placeOf(lookUp, word0 >> shift);
    let place1 = table + placeOf(lookUp, word1 >> shift);
    let place2 = table + placeOf(lookUp, word2 >> shift);
    let place3 = table + placeOf(lookUp, word3 >> shift);
    for (let half = first; half >= 8; half >>= 1) {
      place0 += load<u64>(place0 + half - 8) <= word0 ? half : 0;
      place1 += load<u64>(place1 + half - 8) <= word1 ? half : 0;
      place2 += load<u64>(place2 + half - 8) <= word2 ? half : 0;
      place3 += load<u64>(place3 + half - 8) <= word3 ? half : 0;
    }
    place0 = min(place0, last);
    place1 = min(place1, last);
    place2 = min(place2, last);
    place3 = min(place3, last);
    store<u16>(digit, <u16>((place0 - table) >> 3));
    store<u16>(digit, <u16>((place1 - table) >> 3), 2);
    store<u16>(digit, <u16>((place2 - table) >> 3), 4);
    store<u16>(digit, <u16>((place3 - table) >> 3), 6);
    equal |= <u32>(load<u64>(place0 - 8) == word0) | <u32>(load<u64>(place1 - 8) == word1);
    equal |= <u32>(load<u64>(place2 - 8) == word2) | <u32>(load<u64>(place3 - 8) == word3);
  }
  return equal != 0;
}

/** Behind the words' begin, that of the splitters whose highest bits have a value. */
// @ts-ignore: decorator
@inline
function placeOf(lookUp: usize, value: u64): usize {
  return (<usize>load<u16>(lookUp + (<usize>value << 1))) << 3;
}

/** Rows whose word is that of splitters: as many of those as are not above the row count, not all. */
function compareEqual(
  order: SortOrder,
  splitters: Splitters,
  words: usize,
  digits: usize,
  row: u32,
  count: u32,
): void {
  const table = splitters.words - 8;
  for (let index: u32 = 0; index < count; index++) {
    const digit = digits + ((<usize>index) << 1);
    let high = <u32>load<u16>(digit);
    const word = load<u64>(words + ((<usize>index) << 3));
    if (high == 0 || load<u64>(table + ((<usize>high) << 3)) != word) continue;
    let low = wordsBelow(table, high, word);
    while (low < high) {
      const middle = (low + high) >> 1;
      const isBelow =
        compareRows(order, changetype<RowStore>(order.store), row + index, changetype<RowStore>(splitters.rows), middle, 0) < 0;
      if (isBelow) high = middle;
      else low = middle + 1;
    }
    store<u16>(digit, <u16>low);
  }
}

/** How many of the first `count` words, the last of which is `word`, are below it. */
function wordsBelow(table: usize, count: u32, word: u64): u32 {
  let low: u32 = 0;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u64>(table + ((<usize>middle + 1) << 3)) < word) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether a row's part is below that of the row before. */
function noteFalls(self: Division, digits: usize, count: u32): void {
  let last = self.last;
  let falls: u32 = 0;
  const end = digits + ((<usize>count) << 1);
  for (let at = digits; at < end; at += 2) {
    const part = <u32>load<u16>(at);
    falls |= <u32>(part < last);
    last = part;
  }
  self.last = last;
  self.falls = falls;
}

/** Counts become the rows at which parts begin. */
function endFind(self: Division, region: usize, parts: u32): void {
  let row: u32 = 0;
  for (let part: u32 = 0; part <= parts; part++) {
    const slot = self.starts + ((<usize>part) << 2);
    const some = load<u32>(slot);
    store<u32>(slot, row);
    row += some;
  }
  if (self.falls) self.phase = Phase.ROOM;
  else end(self, region);
}

function end(self: Division, region: usize): void {
  regionFree(region, self.words);
  self.words = 0;
  self.digits = 0;
  self.phase = Phase.DONE;
}

// ---- move

function nextColumn(self: Division, region: usize, rows: RowStore, after: i32, width: u32, parts: u32): void {
  self.column = storeNextToMove(rows, after, width);
  self.done = 0;
  if (self.column >= 0) {
    storeMoveColumn(rows, self.column);
    memory.copy(self.numbers, self.starts, (<usize>parts) << 2);
    return;
  }
  storeMoveEnd(rows);
  end(self, region);
}

function move(self: Division, region: usize, rows: RowStore, parts: u32): void {
  const row = self.done;
  const some = min<u32>(rows.rows - row, CHUNK_ROWS);
  storeMoveRows(rows, self.column, row, some, self.digits + ((<usize>row) << 1), self.numbers);
  self.done += some;
  if (self.done != rows.rows) return;
  storeMoved(rows, self.column);
  nextColumn(self, region, rows, self.column, storeColumn(rows, self.column).width, parts);
}
