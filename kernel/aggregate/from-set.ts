// Accumulators that are fed from a set when results are read: sum(DISTINCT x) and its like and, where rows may be
// taken back, everything that has to know every value.
//
// The set of (group, value) pairs (distinct.ts, or multiset.ts where rows may be taken back) is all the state there
// is: it leaves, merges, combines and takes rows back as it does for COUNT_DISTINCT. What reads it is an accumulator
// of the usual family that no row reaches: before results are read it gets the set's values, a vector at a time. So
// every family that folds rows folds distinct rows too, and the value that stands for several equal ones is the set's
// (+0, the canonical NaN), not whichever came first.
//
// A set that only grows feeds what is new in it. One that rows are taken from feeds all again once it has changed: the
// cost of reading is that of the values kept, as it is for a LOG.

import { Abi, Type } from "../abi/layout";
import { internedAddress, internedLength } from "../group/interner";
import { KeyColumn } from "../group/key-column";
import { BITMAP_BYTES, VECTOR_SIZE, Vector } from "../column/vector";
import { typeWidth } from "../column/type";
import { regionFree } from "../memory/region";
import { arenaClear, Arena } from "../memory/arena";
import { copyBytes } from "../memory/copy";
import { scratchMark, scratchReset, scratchTake } from "../memory/context";
import { Accumulator, Family, isLog, isMultiset } from "./accumulator";
import { accumulatorFold, accumulatorReserveGroups, accumulatorReserveRows } from "./accumulators";
import { VALUES_BYTES } from "./argument";
import { distinctGroup, distinctPairs, distinctValue } from "./distinct";
import { multisetMultiplicity, multisetValue } from "./multiset";
import { sumExactClear } from "./sum-exact";
import { logClear } from "./value-log";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** `fed` while a feeding that begins anew is not complete. */
const PARTLY: u64 = u64.MAX_VALUE;

/** Values on their way from the set: a vector, the groups they belong to, and how many there are. */
// @ts-ignore: decorator
@unmanaged
class Load {
  vector: usize;
  numbers: usize;
  count: u32;
  textBytes: u32;
}

const LOAD_SIZE: usize = 16;

/** Brings an accumulator to what its set holds, for `groups` groups. False when out of memory; it may be tried again. */
export function setFeed(self: Accumulator, context: usize, groups: u32): bool {
  const set = changetype<Accumulator>(self.set);
  const all = isMultiset(set.family);
  if (all && self.fed != set.rows + 1) {
    accumulatorClear(self);
    self.fed = PARTLY;
  }
  if (!accumulatorReserveGroups(self, max<u32>(groups, 1))) return false;
  if (self.fed == (all ? set.rows + 1 : <u64>distinctPairs(set))) return true;
  const mark = scratchMark(context);
  const address = loadCreate(context, set.type);
  const done = all ? feedAll(self, set, context, groups, address) : feedNew(self, set, context, groups, address);
  scratchReset(context, mark);
  return done;
}

function loadCreate(context: usize, type: u32): usize {
  const address = scratchTake(context, LOAD_SIZE);
  const load = changetype<Load>(address);
  load.vector = scratchTake(context, VECTOR_SIZE);
  load.numbers = scratchTake(context, (<usize>ROWS) << 2);
  memory.fill(load.vector, 0, VECTOR_SIZE);
  const vector = changetype<Vector>(load.vector);
  vector.type = type;
  vector.values = scratchTake(context, VALUES_BYTES);
  loadEmpty(load);
  return address;
}

function loadEmpty(self: Load): void {
  self.count = 0;
  self.textBytes = 0;
  const vector = changetype<Vector>(self.vector);
  if (vector.type == <u32>Type.BOOL) memory.fill(vector.values, 0, BITMAP_BYTES);
}

function feedNew(self: Accumulator, set: Accumulator, context: usize, groups: u32, address: usize): bool {
  const load = changetype<Load>(address);
  const value = scratchTake(context, 16);
  const pairs = distinctPairs(set);
  while (self.fed < <u64>pairs) {
    const first = <u32>self.fed;
    const end = min<u32>(pairs, first + ROWS);
    for (let pair = first; pair < end; pair++) {
      setValue(set, pair, value);
      append(load, distinctGroup(set, pair), value);
    }
    if (!flush(self, context, groups, load)) return false;
    self.fed = end;
  }
  return true;
}

function feedAll(self: Accumulator, set: Accumulator, context: usize, groups: u32, address: usize): bool {
  const load = changetype<Load>(address);
  const value = scratchTake(context, 16);
  const pairs = distinctPairs(set);
  for (let pair: u32 = 0; pair < pairs; pair++) {
    let left = multisetMultiplicity(set, pair);
    if (left <= 0) continue;
    // COUNT_DISTINCT's set, which holds equal values as one: each counts once.
    if (set.family == <u32>Family.MULTISET) left = 1;
    if (self.family == <u32>Family.COUNT) {
      addCount(self, distinctGroup(set, pair), left);
      continue;
    }
    left = copies(self, left);
    multisetValue(set, pair, value);
    for (; left > 0; left--) {
      append(load, distinctGroup(set, pair), value);
      if (load.count == ROWS && !flush(self, context, groups, load)) return false;
    }
  }
  if (!flush(self, context, groups, load)) return false;
  self.fed = set.rows + 1;
  return true;
}

function addCount(self: Accumulator, group: u32, count: i64): void {
  const at = self.values + ((<usize>group) << 3);
  store<i64>(at, load<i64>(at) + count);
}

/** How many of so many equal values can make a difference: a value may have come more often than could be fed. */
function copies(self: Accumulator, count: i64): i64 {
  switch (self.family) {
    case Family.SEEN:
    case Family.BIT_AND:
    case Family.BIT_OR:
      return 1;
    case Family.BIT_XOR:
      return count & 1;
    case Family.TOP:
    case Family.BOTTOM:
    case Family.TOP_TEXT:
    case Family.BOTTOM_TEXT:
    case Family.TOP_BY:
    case Family.BOTTOM_BY:
      return min<i64>(count, self.limit);
    default:
      return count;
  }
}

/** Writes a pair's value to `target`, as `multisetValue` does. */
function setValue(set: Accumulator, pair: u32, target: usize): void {
  const key = changetype<KeyColumn>(set.key);
  const value = distinctValue(set, pair);
  if (key.interner == 0) {
    copyBytes(target, value, key.width);
    return;
  }
  const id = load<u32>(value);
  store<u32>(target, <u32>internedAddress(key.interner, id));
  store<u32>(target, internedLength(key.interner, id), 4);
}

function append(self: Load, group: u32, value: usize): void {
  const vector = changetype<Vector>(self.vector);
  const row = <usize>self.count;
  store<u32>(self.numbers + (row << 2), group);
  if (vector.type == <u32>Type.BOOL) {
    const byte = vector.values + (row >> 3);
    store<u8>(byte, load<u8>(byte) | ((load<u8>(value) & 1) << (<u8>(row & 7))));
  } else if (vector.type == <u32>Type.BYTES) {
    store<u64>(vector.values + (row << 3), load<u64>(value));
    self.textBytes += load<u32>(value, 4);
  } else {
    const width = typeWidth(vector.type);
    copyBytes(vector.values + row * width, value, width);
  }
  self.count++;
}

/** Folds what was loaded in. False when out of memory. */
function flush(self: Accumulator, context: usize, groups: u32, load: Load): bool {
  const rows = load.count;
  if (rows == 0) return true;
  const ok =
    accumulatorReserveRows(self, max<u32>(groups, 1), rows, load.textBytes) &&
    accumulatorFold(self, context, changetype<Vector>(load.vector), load.numbers, rows);
  loadEmpty(load);
  return ok;
}

/** Makes an accumulator as it was before the first row; arrays by group are made anew when next reserved. */
function accumulatorClear(self: Accumulator): void {
  self.rows = 0;
  if (isLog(self)) {
    logClear(self);
    if (self.family == <u32>Family.LOG_TEXT) arenaClear(changetype<Arena>(self.table));
    return;
  }
  if (self.family == <u32>Family.SUM_EXACT) sumExactClear(self);
  if (self.family == <u32>Family.TOP_TEXT || self.family == <u32>Family.BOTTOM_TEXT) {
    arenaClear(changetype<Arena>(self.table));
    self.live = 0;
    self.waste = 0;
  }
  regionFree(self.region, self.values);
  self.values = 0;
  self.capacity = 0;
  self.bound = 0;
}
