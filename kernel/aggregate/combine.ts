// Combining: what one accumulator holds for some groups, folded into another accumulator of the same description.
//
// As merging states (operator/aggregate-merge.ts) does it, but from memory to memory, in the accumulators' own form:
// closing windows and joining sessions do little else. Where both forms agree (sums that are both narrow, the same
// limbs), it is a load, an add and a store for each group.
//
// `list` names the source's groups, `numbers` the target's, u32 each, a vector's worth at most; a target's number may
// come more than once. COUNT and SEEN that do not track are the rows' business (accumulator.ts). Families over rows that
// may be taken back are not combined: their states are merged.

import { Abi } from "../abi/layout";
import { KeyColumn } from "../group/key-column";
import { NO_ID, internText, internedAddress, internedLength, internerReserve } from "../group/interner";
import { RowTable, rowTableMap, rowTableReserve, rowTableRow } from "../group/row-table";
import { Accumulator, Family, isSketch } from "./accumulator";
import { argCombine } from "./arg-extreme";
import { bitsCombine } from "./bits";
import { distinctCount, distinctPairs } from "./distinct";
import { EXACT_STATE_BYTES } from "./exact-limbs";
import { sumExactState } from "./exact-read";
import { momentsFastMerge, MOMENTS_BYTES } from "./moments-fast";
import { minmaxCombine } from "./minmax";
import { textAddress, textFold, textLength, textReserve } from "./minmax-text";
import { countOf, isPresent } from "./results";
import { sketchCells, sketchCombine } from "./sketch";
import { textLogCombine } from "./text-log";
import { topCombine } from "./top";
import { topByCombine, topByLength, topByReserve } from "./top-by";
import { topTextCombine, topTextLength } from "./top-text";
import { logCombine, logCount, logReserve, logSplice } from "./value-log";
import { sumExactCombine, sumExactCombineBegin, sumExactMerge, sumExactMerged, sumExactPrepareMerge } from "./sum-exact";
import { sumIntegerCombine } from "./sum-integer";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Scratch that combining needs. */
export const COMBINE_SCRATCH: usize = 32768 + 8192;

/** Comes once before a source is combined, group by group. False when out of memory. */
export function accumulatorCombineBegin(target: Accumulator, source: Accumulator): bool {
  return target.family != <u32>Family.SUM_EXACT || sumExactCombineBegin(target, source);
}

/** Room for what `count` groups bring, before any of it is folded in. False when out of memory, with nothing lost. */
export function accumulatorCombineReserve(target: Accumulator, source: Accumulator, list: usize, count: u32): bool {
  let bytes: usize = 0;
  switch (target.family) {
    case Family.MIN_TEXT:
    case Family.MAX_TEXT:
    case Family.ARG_MIN:
    case Family.ARG_MAX:
      for (let index: usize = 0; index < <usize>count; index++) bytes += textLength(source, groupAt(list, index));
      return textReserve(target, target.capacity, bytes);
    case Family.TOP_TEXT:
    case Family.BOTTOM_TEXT:
      for (let index: usize = 0; index < <usize>count; index++) bytes += topTextLength(source, groupAt(list, index));
      return textReserve(target, target.capacity, bytes);
    case Family.TOP_BY:
    case Family.BOTTOM_BY:
      for (let index: usize = 0; index < <usize>count; index++) bytes += topByLength(source, groupAt(list, index));
      return topByReserve(target, target.capacity, bytes);
    default:
      return true;
  }
}

/**
 * Folds `count` groups in; pairs follow in `pairsCombine`. `rows` is the source's count of rows, `scratch`
 * COMBINE_SCRATCH. False when out of memory.
 */
export function accumulatorCombine(
  target: Accumulator,
  source: Accumulator,
  list: usize,
  numbers: usize,
  count: u32,
  rows: usize,
  scratch: usize,
): bool {
  switch (target.family) {
    case Family.COUNT:
      if (target.tracking) addCounts(target, source, list, numbers, count, rows);
      return true;
    case Family.SEEN:
      if (target.tracking) addSeen(target, source, list, numbers, count, rows);
      return true;
    case Family.SUM_INTEGER:
      return sumIntegerCombine(target, source, list, numbers, count, scratch);
    case Family.SUM_FAST:
      addFast(target, source, list, numbers, count);
      return true;
    case Family.SUM_EXACT:
      if (sumExactCombine(target, source, list, numbers, count)) return true;
      return combineExactStates(target, source, list, numbers, count, scratch);
    case Family.MOMENTS_FAST:
      for (let index: usize = 0; index < <usize>count; index++) {
        const from = source.values + <usize>groupAt(list, index) * <usize>MOMENTS_BYTES;
        momentsFastMerge(target, groupAt(numbers, index), from);
      }
      return true;
    case Family.MIN_TEXT:
    case Family.MAX_TEXT:
      return combineTexts(target, source, list, numbers, count);
    case Family.ARG_MIN:
    case Family.ARG_MAX:
      for (let index: usize = 0; index < <usize>count; index++) {
        // unreached: its room is reserved before
        if (!argCombine(target, groupAt(numbers, index), source, groupAt(list, index), scratch)) return false;
      }
      return true;
    case Family.TOP:
    case Family.BOTTOM:
      for (let index: usize = 0; index < <usize>count; index++)
        topCombine(target, groupAt(numbers, index), source, groupAt(list, index));
      return true;
    case Family.TOP_TEXT:
    case Family.BOTTOM_TEXT:
      for (let index: usize = 0; index < <usize>count; index++) {
        // unreached: its room is reserved before
        if (!topTextCombine(target, groupAt(numbers, index), source, groupAt(list, index))) return false;
      }
      return true;
    case Family.TOP_BY:
    case Family.BOTTOM_BY:
      for (let index: usize = 0; index < <usize>count; index++) {
        // unreached: its room is reserved before
        if (!topByCombine(target, groupAt(numbers, index), source, groupAt(list, index))) return false;
      }
      return true;
    case Family.DISTINCT:
    case Family.LOG:
    case Family.LOG_TEXT:
    case Family.CARDINALITY:
    case Family.SKETCH:
      return true;
    case Family.BIT_AND:
    case Family.BIT_OR:
    case Family.BIT_XOR:
      bitsCombine(target, source, list, numbers, count);
      return true;
    default:
      minmaxCombine(target, source, list, numbers, count, scratch);
      return true;
  }
}

// @ts-ignore: decorator
@inline
function groupAt(list: usize, index: usize): u32 {
  return load<u32>(list + (index << 2));
}

function addCounts(
  target: Accumulator,
  source: Accumulator,
  list: usize,
  numbers: usize,
  count: u32,
  rows: usize,
): void {
  for (let index: usize = 0; index < <usize>count; index++) {
    const at = target.values + <usize>groupAt(numbers, index) * <usize>target.stride;
    store<i64>(at, load<i64>(at) + countOf(source, rows, groupAt(list, index)));
  }
}

function addSeen(
  target: Accumulator,
  source: Accumulator,
  list: usize,
  numbers: usize,
  count: u32,
  rows: usize,
): void {
  for (let index: usize = 0; index < <usize>count; index++) {
    const at = target.values + <usize>groupAt(numbers, index);
    store<u8>(at, load<u8>(at) | <u8>isPresent(source, rows, groupAt(list, index), true));
  }
}

function addFast(target: Accumulator, source: Accumulator, list: usize, numbers: usize, count: u32): void {
  for (let index: usize = 0; index < <usize>count; index++) {
    const at = target.values + ((<usize>groupAt(numbers, index)) << 3);
    store<f64>(at, load<f64>(at) + load<f64>(source.values + ((<usize>groupAt(list, index)) << 3)));
  }
}

/** Exact sums whose limbs differ go by their states, one at a time. */
function combineExactStates(
  target: Accumulator,
  source: Accumulator,
  list: usize,
  numbers: usize,
  count: u32,
  scratch: usize,
): bool {
  const work = scratch + ((<usize>EXACT_STATE_BYTES + 63) & ~63);
  for (let index: usize = 0; index < <usize>count; index++) {
    const length = sumExactState(source, groupAt(list, index), scratch, work);
    if (!sumExactPrepareMerge(target, scratch, length)) return false;
    if (!sumExactMerge(target, groupAt(numbers, index), scratch, length)) return false;
  }
  sumExactMerged(target, count);
  return true;
}

function combineTexts(target: Accumulator, source: Accumulator, list: usize, numbers: usize, count: u32): bool {
  for (let index: usize = 0; index < <usize>count; index++) {
    const group = groupAt(list, index);
    const address = textAddress(source, group);
    // unreached: its room is reserved before
    if (address != 0 && !textFold(target, groupAt(numbers, index), address, textLength(source, group))) return false;
  }
  return true;
}

/** Pairs of a DISTINCT or LOG accumulator, of texts or not, or cells of a sketch. */
export function pairsCount(self: Accumulator): u32 {
  if (isSketch(self)) return sketchCells(self);
  return self.family == <u32>Family.DISTINCT ? distinctPairs(self) : logCount(self);
}

/**
 * Adds the pairs of such a source from pair `first` up to `last`, at most a vector of them, whose groups `map`
 * (u32 each) turns into the target's; u32 max leaves a pair out. The next pair to come, or -1 when out of memory.
 */
export function pairsCombine(target: Accumulator, source: Accumulator, map: usize, first: u32, last: u32): i64 {
  const end = min<u32>(last, first + ROWS);
  if (target.family == <u32>Family.LOG) {
    if (!logReserve(target, end - first)) return -1;
    logCombine(target, source, map, first, end);
    return end;
  }
  if (isSketch(target)) return sketchCombine(target, source, map, first, end) ? end : -1;
  if (target.family == <u32>Family.LOG_TEXT) return textLogCombine(target, source, map, first, end) ? end : -1;
  return distinctCombine(target, source, map, first, end) ? end : -1;
}

/**
 * Takes all pairs of a source whose groups have the same numbers here, where that can be done without going through
 * them; it has none afterwards. 1, 0 where it cannot, -1 when out of memory.
 */
export function pairsTake(target: Accumulator, source: Accumulator): i32 {
  return target.family == <u32>Family.LOG ? logSplice(target, source) : 0;
}

function distinctCombine(target: Accumulator, source: Accumulator, map: usize, first: u32, end: u32): bool {
  const interner = changetype<KeyColumn>(target.key).interner;
  if (!rowTableReserve(target.table, end - first)) return false;
  if (interner != 0 && !reserveTexts(interner, source, map, first, end)) return false;
  const table = changetype<RowTable>(target.table);
  const width = table.width;
  let count: u32 = 0;
  for (let entry = first; entry < end; entry++) {
    const from = rowTableRow(source.table, entry);
    const group = load<u32>(map + ((<usize>load<u32>(from)) << 2));
    if (group == 0xffffffff) continue;
    const to = target.scratch + <usize>count * width;
    memory.copy(to, from, width);
    store<u32>(to, group);
    if (interner != 0) {
      const texts = changetype<KeyColumn>(source.key).interner;
      const id = load<u32>(from, 4);
      const own = internText(interner, internedAddress(texts, id), internedLength(texts, id));
      if (own == NO_ID) return false;
      store<u32>(to, own, 4);
    }
    count++;
  }
  const before = table.entries;
  const mapped = rowTableMap(target.table, target.scratch, count, target.entries, target.tags);
  // Also those that came before memory ran out: they are there when it is tried again.
  distinctCount(target, before);
  return mapped;
}

function reserveTexts(interner: usize, source: Accumulator, map: usize, first: u32, end: u32): bool {
  const texts = changetype<KeyColumn>(source.key).interner;
  let bytes: usize = 0;
  for (let entry = first; entry < end; entry++) {
    const from = rowTableRow(source.table, entry);
    if (load<u32>(map + ((<usize>load<u32>(from)) << 2)) != 0xffffffff) bytes += internedLength(texts, load<u32>(from, 4));
  }
  return internerReserve(interner, end - first, bytes);
}
