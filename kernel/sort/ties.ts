// Rows whose words were equal: the same again with the next bits of the order.
//
// Few rows are compared (compare.ts). More get new words with the bits that follow, which are sorted as numbers;
// what is equal in those, too, goes on from there. Before texts are cut into words, the bytes that the rows at
// hand have in common are skipped, so a long shared prefix costs one look at each text.

import { Type } from "../abi/layout";
import { scratchMark, scratchReset, scratchTake } from "../memory/context";
import { hasNaN, sortRows } from "./compare";
import { CURSOR_SIZE, Cursor, Part, SortOrder, commonBytes, keyColumn, orderKey, tailStart } from "./order";
import { advance, packWords, planWord } from "./pack";
import { sortWords } from "./radix";
import { storeValue } from "./row-store";

/** Rows that are compared rather than given new words. */
const FEW: u32 = 24;
/**
 * Levels of words. Only texts that split off one after the other at ever longer prefixes get there; comparing
 * them is quicker, and the stack stays small.
 */
const MAX_LEVEL: u32 = 24;

/**
 * Orders each run of words that are equal above their `place` low bits, in which the row numbers stand, by the
 * bits after the cursor. The words are in order; `other` is room for as many. Answers how many rows had equals.
 */
export function resolveTies(
  context: usize,
  order: SortOrder,
  words: usize,
  other: usize,
  count: u32,
  place: u64,
  cursor: Cursor,
  level: u32,
): u32 {
  if (count < 2) return 0;
  const isEnd = cursor.key >= order.keyCount;
  if (isEnd && order.floats == 0) return 0;
  let tied: u32 = 0;
  const end = words + ((<usize>count) << 3);
  let start = words;
  let bits = load<u64>(words) >> place;
  for (let at = words + 8; at <= end; at += 8) {
    const next = at == end ? ~bits : load<u64>(at) >> place;
    if (next == bits) continue;
    const some = <u32>((at - start) >> 3);
    if (some > 1) {
      tied += some;
      if (isEnd) orderNaNs(order, start, other + (start - words), some, (<u64>1 << place) - 1);
      else resolveRun(context, order, start, other + (start - words), some, place, cursor, level);
    }
    start = at;
    bits = next;
  }
  return tied;
}

function resolveRun(
  context: usize,
  order: SortOrder,
  words: usize,
  other: usize,
  count: u32,
  place: u64,
  from: Cursor,
  level: u32,
): void {
  const mask: u64 = (<u64>1 << place) - 1;
  const mark = scratchMark(context);
  const room = count > FEW && level < MAX_LEVEL ? scratchTake(context, CURSOR_SIZE) : 0;
  if (room == 0) {
    sortRows(order, words, other, count, mask, from.key);
    return;
  }
  const cursor = changetype<Cursor>(room);
  memory.copy(room, changetype<usize>(from), CURSOR_SIZE);
  const longest = skipShared(order, words, count, mask, cursor);
  const width = min<u64>(64 - place, order.width);
  const pieces = planWord(order, cursor, width, place, longest, order.keyCount);
  if (pieces == 0) orderNaNs(order, words, other, count, mask);
  else {
    packWords(order, pieces, words, count, mask);
    sortWords(context, words, other, count, false, order.tiny != 0);
    resolveTies(context, order, words, other, count, place, cursor, level + 1);
  }
  scratchReset(context, mark);
}

/** Rows that are equal in every key: those with a NaN go by their bits. */
function orderNaNs(order: SortOrder, words: usize, other: usize, count: u32, mask: u64): void {
  if (order.floats == 0 || !hasNaN(order, order.first + <u32>(load<u64>(words) & mask))) return;
  sortRows(order, words, other, count, mask, order.keyCount);
}

/**
 * Where the cursor stands in texts: moves it past the bytes that the rows share, and past the part when none
 * has more. Answers the bytes of the longest.
 */
function skipShared(order: SortOrder, words: usize, count: u32, mask: u64, cursor: Cursor): u32 {
  if (cursor.part != <u32>Part.TAIL) return u32.MAX_VALUE;
  const key = orderKey(order, cursor.key);
  const column = keyColumn(order, key);
  if (column.type != <u32>Type.BYTES || key.longest <= tailStart(key)) return u32.MAX_VALUE;
  const from = tailStart(key) + <u32>(cursor.done >> 3);
  const sample = storeValue(column, order.first + <u32>(load<u64>(words) & mask), 8);
  let longest: u32 = 0;
  let shared: u32 = load<u32>(sample, 4);
  for (let index: u32 = 0; index < count; index++) {
    const view = storeValue(column, order.first + <u32>(load<u64>(words + ((<usize>index) << 3)) & mask), 8);
    const length = load<u32>(view, 4);
    longest = max(longest, length);
    if (shared > from) shared = commonBytes(load<u32>(sample), load<u32>(view), from, min(shared, length));
  }
  if (longest <= from) advance(cursor);
  else if (shared > from) cursor.done += <u64>(shared - from) << 3;
  if (longest > from && shared >= longest) advance(cursor);
  return longest;
}
