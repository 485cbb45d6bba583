// One sum of integers by one small key or two, with the count of rows beside it or without, or two extremes side by side by
// one key of texts: rows go from keys and values to what is kept in one loop (aggregate/lane-rows.ts, extreme-pair.ts), and
// group numbers are not written down.
//
// The usual way is a pass that looks at the range of the keys, one that computes numbers, and one that adds. For so
// little work the passes' own loads and stores are half of it, and each waits for its column's memory by itself.
//
// A lone integer key is looked at while it is added, for a number is within the accumulators whatever the key: where it turns
// out to be new, what was added is taken back, and the vector goes the usual way; an extreme could not be taken back. Codes of
// texts need no look where all texts of their dictionary are known. Of other keys the usual way has seen the range before, a
// vector at a time, in the cache.
//
// The count lies beside the sum, and one vector adds to both. Columns are not brought into the cache ahead (load.ts).
//
// Where keys and values lie in bytes, too (Column.NARROW), these are read instead (aggregate/byte-rows.ts): 0.7 of the time by one
// key, 0.75 by two, as less has to come from memory, and loops are shorter. By two keys with the count beside they are not read.
//
// Measured over 10 million rows by 100 keys: 0.68 of the time by integers, 0.76 by codes of texts; over one million, which
// are in a cache, 0.81 and 0.93. Looking at the range first, and fusing only the other two passes: 0.92 by integers. Sum and
// count as one vector instead of two words: 0.9 more by integers, 0.97 by codes; sums alone by halves of vectors (lanes.ts)
// 0.83 of those by words. By two texts of 100 each 0.8; the usual way without columns brought ahead 1.26. The range of two
// columns by 100,000 texts 0.84 to 0.89 (an Intel Xeon).

import { Type } from "../abi/layout";
import { Accumulator, Family, isExtreme } from "../aggregate/accumulator";
import { extremePairHasNulls, extremePairTakes, extremePairUpdate } from "../aggregate/extreme-pair";
import { PLACES_BYTES, addByNumbers16, addBytes, addBytesByTwo, addWords, numbersOfTwo, placeRows, placeSum } from "../aggregate/byte-rows";
import { addByKey, addByKeys } from "../aggregate/lane-rows";
import { sumIntegerMakeRoom } from "../aggregate/sum-integer";
import { isWholeIntegerSum, wholeIntegers } from "../aggregate/whole-integers";
import { Vector } from "../column/vector";
import { programBytes, programOutput } from "../expression/program";
import { directSpan } from "../group/direct";
import { KeyColumn, keyKnowsCodes } from "../group/key-column";
import { Groups, groupsKey } from "../group/state";
import { scratchMark, scratchReset, scratchTake } from "../memory/context";
import { Aggregation, accumulatorAt, groupsOf } from "./aggregation";
import { isRetracting } from "./aggregate-retract";
import { areComputed, byteKeysAreKnown, byteKeysAreThere } from "./byte-keys";

/** What is known for the length of a push. */
// @ts-ignore: decorator
@unmanaged
class KeyedSum {
  /** The sum, 0 where rows go the usual way; the count of rows that is its pair, or 0. */
  sum: usize;
  counts: usize;
  /** Instead of a sum the second of two extremes side by side, or 0. */
  extremes: usize;
}

export const KEYED_SUM_SIZE: usize = 12;
const LANE: usize = 8;
/** Most words that a push by two keys is added up in, and fewest rows for each. */
const WORDS_MOST: u64 = 1 << 14;
const WORD_ROWS: u64 = 4;
/** Rows whose numbers are computed at once. */
const NUMBERS: u32 = 2048;

/**
 * Whether the rows of a push may go this way, from its beginning: one sum and nothing else is to be added, groups are
 * computed from one key of four bytes, and it need not be marked which of them have rows.
 */
export function keyedSumFind(self: Aggregation): bool {
  if (!ASC_FEATURE_SIMD || self.changelog != 0 || self.like != 0 || isRetracting(self)) return false;
  const keyed = changetype<KeyedSum>(self.keyedSum);
  const groups = groupsOf(self);
  if (!countsByKeys(groups)) return false;
  let sum: usize = 0;
  let extremes: usize = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    const address = changetype<usize>(accumulator);
    if (isUntracked(accumulator) || (address == self.rowsCounter && accumulator.pair != 0)) continue;
    if (isExtreme(accumulator) && accumulator.pair != 0) {
      if (!accumulator.follows) continue;
      if (extremes != 0) return false;
      extremes = address;
      continue;
    }
    if (sum != 0 || accumulator.wide != 0 || !isWholeIntegerSum(accumulator)) return false;
    sum = address;
  }
  keyed.sum = sum;
  keyed.extremes = extremes;
  if (sum == 0 && extremes == 0) return false;
  // Whether an argument has nulls, which would have to be counted then, is seen of those alone which are read.
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (isUntracked(accumulator) && !reads(keyed, accumulator.argument)) return false;
  }
  if (extremes != 0) return sum == 0;
  keyed.counts = changetype<Accumulator>(sum).pair;
  return keyed.counts == 0 || keyed.counts == self.rowsCounter;
}

function reads(keyed: KeyedSum, argument: i32): bool {
  if (keyed.extremes == 0) return changetype<Accumulator>(keyed.sum).argument == argument;
  const second = changetype<Accumulator>(keyed.extremes);
  return second.argument == argument || changetype<Accumulator>(second.pair).argument == argument;
}

/** A count of an argument that has had no null yet. */
// @ts-ignore: decorator
@inline
export function isUntracked(self: Accumulator): bool {
  return self.tracking == 0 && (self.family == <u32>Family.COUNT || self.family == <u32>Family.SEEN);
}

/** Whether groups are computed from up to two keys of four bytes (`areComputed`), and it need not be marked which of them have rows. */
export function countsByKeys(groups: Groups): bool {
  return (groups.counts != 0 || groups.full != 0) && areComputed(groups);
}

/** Whether that is one key, an integer whose normal form is the program's output, or a text. */
export function countsByKey(groups: Groups): bool {
  const key = groupsKey(groups, 0);
  const isPlain = key.type == <u32>Type.I32 || key.type == <u32>Type.U32 || key.interner != 0;
  return groups.keyCount == 1 && isPlain && countsByKeys(groups);
}

/** Adds a vector by keys that nobody has looked at yet; false where it has to go the usual way. */
export function keyedSumAddNew(context: usize, self: Aggregation, rows: u32): bool {
  const groups = groupsOf(self);
  const key = groupsKey(groups, 0);
  if (keyedSumReadsBytes(self) && countsByKeys(groups)) {
    const isLone = groups.keyCount == 1 && key.interner == 0;
    return (isLone || byteKeysAreKnown(self, rows)) && addFromBytes(context, self, rows);
  }
  if (key.interner != 0) return readyCodes(self) && addReady(context, self, rows);
  if (changetype<KeyedSum>(self.keyedSum).sum == 0 || !countsByKey(groups) || key.low > key.high) return false;
  const keys = changetype<Vector>(programOutput(self.program, key.output));
  const values = valuesOf(self, keys.validity, rows);
  if (values == 0) return false;
  const keyed = changetype<KeyedSum>(self.keyedSum);
  const fits = add(groups, keyed, keys.values, values, rows, <u32>key.low, <u32>(key.high - key.low));
  if (!fits) takeBack(key, keyed, keys.values, values, rows);
  return fits;
}

/** Whether keys and values lie in bytes, without nulls. */
export function keyedSumReadsBytes(self: Aggregation): bool {
  const keyed = changetype<KeyedSum>(self.keyedSum);
  if (keyed.sum == 0 || (groupsOf(self).keyCount == 2 && keyed.counts != 0)) return false;
  const argument = changetype<Accumulator>(keyed.sum).argument;
  return programBytes(self.program, <u32>argument) != 0 && byteKeysAreThere(self);
}

/** Adds rows whose keys and values lie in bytes; false where they have to go the usual way. */
function addFromBytes(context: usize, self: Aggregation, rows: u32): bool {
  const keyed = changetype<KeyedSum>(self.keyedSum);
  const sum = changetype<Accumulator>(keyed.sum);
  const groups = groupsOf(self);
  const key = groupsKey(groups, 0);
  const keys = programBytes(self.program, key.output);
  const values = programBytes(self.program, <u32>sum.argument);
  if (!sumIntegerMakeRoom(sum, 255, rows)) return false;
  const mark = scratchMark(context);
  let added = true;
  if (groups.keyCount == 2) addByTwo(context, self, keys, values, rows);
  else added = addByOne(context, key, keyed, keys, values, rows);
  scratchReset(context, mark);
  return added;
}

/** Adds rows by one key's bytes; false where groups have not all of them. */
function addByOne(context: usize, key: KeyColumn, keyed: KeyedSum, keys: usize, values: usize, rows: u32): bool {
  const places = scratchTake(context, PLACES_BYTES);
  if (places == 0) return false;
  memory.fill(places, 0, PLACES_BYTES);
  addBytes(places, keys, values, rows);
  return settle(key, keyed, places);
}

/** Adds rows by two keys' bytes, all of which are known. */
function addByTwo(context: usize, self: Aggregation, keys: usize, values: usize, rows: u32): void {
  const key = groupsKey(groupsOf(self), 0);
  const other = groupsKey(groupsOf(self), 1);
  const others = programBytes(self.program, other.output);
  // Null's codes are 0.
  const lanes = changetype<Accumulator>(changetype<KeyedSum>(self.keyedSum).sum).values + (<usize>(other.stride + 1) << 3);
  // Bytes are no less than 0, whatever other vectors had.
  const first = <u32>max<i64>(key.low, 0);
  const row = <u32>max<i64>(other.low, 0);
  const width = <u32>key.high - first + 1;
  const height = <u32>other.high - row + 1;
  const count = <u64>width * <u64>height;
  const words = count <= WORDS_MOST && count * WORD_ROWS <= rows ? scratchTake(context, (<usize>count) << 2) : 0;
  const numbers: usize = words == 0 ? 0 : scratchTake(context, (<usize>NUMBERS) << 1);
  if (numbers == 0) {
    addBytesByTwo(lanes, keys, others, other.stride, values, rows);
    return;
  }
  memory.fill(words, 0, (<usize>count) << 2);
  for (let at: u32 = 0; at < rows; at += NUMBERS) {
    const some = min(NUMBERS, rows - at);
    numbersOfTwo(keys + at, others + at, width, first + row * width, some, numbers);
    addByNumbers16(words, numbers, values + at, some);
  }
  for (let at: u32 = 0; at < height; at++)
    addWords(lanes + ((<usize>(first + (row + at) * other.stride)) << 3), words + ((<usize>(at * width)) << 2), width);
}

/** Adds what places have come to to the groups, if these have all of their keys. */
function settle(key: KeyColumn, keyed: KeyedSum, places: usize): bool {
  const sum = changetype<Accumulator>(keyed.sum);
  for (let value: u32 = 0; value < 256; value++) {
    if (placeRows(places, value) != 0 && (<i64>value < key.low || <i64>value > key.high)) return false;
  }
  for (let value: u32 = 0; value < 256; value++) {
    const rows = placeRows(places, value);
    if (rows == 0) continue;
    const group = <usize>((value & key.mask) + 1) * <usize>sum.stride;
    store<i64>(sum.values + group, load<i64>(sum.values + group) + <i64>placeSum(places, value));
    if (keyed.counts == 0) continue;
    const count = changetype<Accumulator>(keyed.counts).values + group;
    store<i64>(count, load<i64>(count) + <i64>rows);
  }
  return true;
}

/** Whether all keys are codes of texts that have been looked at, every one: they are ready then. */
export function readyCodes(self: Aggregation): bool {
  const groups = groupsOf(self);
  if (!countsByKeys(groups) || directSpan(groups) > min(groups.count, self.reserved)) return false;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    const codes = changetype<Vector>(programOutput(self.program, key.output));
    if (!keyKnowsCodes(key, codes)) return false;
    key.values = codes.values;
    key.validity = codes.validity;
  }
  return true;
}

/** Adds a vector whose keys are ready; false where it has to go the usual way. */
export function keyedSumAdd(context: usize, self: Aggregation, rows: u32): bool {
  return countsByKeys(groupsOf(self)) && addReady(context, self, rows);
}

function addReady(context: usize, self: Aggregation, rows: u32): bool {
  const groups = groupsOf(self);
  const keyed = changetype<KeyedSum>(self.keyedSum);
  if (keyed.sum == 0) return addExtremes(context, self, changetype<Accumulator>(keyed.extremes), rows);
  // Neither key may have nulls.
  const values = valuesOf(self, groupsKey(groups, 0).validity | groupsKey(groups, groups.keyCount - 1).validity, rows);
  if (values == 0) return false;
  add(groups, keyed, groupsKey(groups, 0).values, values, rows, 0, -1);
  return true;
}

/** Texts of one key have their codes' numbers. */
function addExtremes(context: usize, self: Aggregation, second: Accumulator, rows: u32): bool {
  const groups = groupsOf(self);
  const key = groupsKey(groups, 0);
  if (groups.keyCount != 1 || key.interner == 0 || key.validity != 0) return false;
  if (!extremePairTakes(second) || extremePairHasNulls(second, self.program)) return false;
  // Null's is 0.
  extremePairUpdate(second, context, self.program, key.values, 1, rows);
  return true;
}

/** The sum's values where all rows have keys and values, and there is room for them; else 0. */
function valuesOf(self: Aggregation, validity: usize, rows: u32): usize {
  return validity != 0 ? 0 : wholeIntegers(changetype<Accumulator>(changetype<KeyedSum>(self.keyedSum).sum), self.program, rows);
}

/** Adds all rows; false where one key is not from `low` to `low + span`, whose sum then may be any. */
function add(groups: Groups, keyed: KeyedSum, keys: usize, values: usize, rows: u32, low: u32, span: u32): bool {
  const sum = changetype<Accumulator>(keyed.sum);
  const narrow = sum.type == <u32>Type.I32;
  if (keyed.counts == 0) {
    return narrow
      ? addLanes<i32, u8>(groups, sum.values, keys, values, rows, low, span)
      : addLanes<i64, u8>(groups, sum.values, keys, values, rows, low, span);
  }
  if (sum.follows) {
    const counts = sum.values - LANE;
    return narrow
      ? addLanes<i32, u32>(groups, counts, keys, values, rows, low, span)
      : addLanes<i64, u32>(groups, counts, keys, values, rows, low, span);
  }
  return narrow
    ? addLanes<i32, u16>(groups, sum.values, keys, values, rows, low, span)
    : addLanes<i64, u16>(groups, sum.values, keys, values, rows, low, span);
}

/** `T` and `C` as in lane-rows.ts. */
function addLanes<T, C>(groups: Groups, lanes: usize, keys: usize, values: usize, rows: u32, low: u32, span: u32): bool {
  const shift = sizeof<C>() == 1 ? 3 : 4;
  const key = groupsKey(groups, 0);
  // Null's code is 0.
  const base = lanes + ((<usize>1) << shift);
  if (groups.keyCount == 1) return addByKey<T, C>(base, keys, key.mask, low, span, values, rows);
  const other = groupsKey(groups, 1);
  const stride = <usize>other.stride;
  addByKeys<T, C>(base + (stride << shift), keys, key.mask, other.values, other.mask, other.stride, values, rows);
  return true;
}

function takeBack(key: KeyColumn, keyed: KeyedSum, keys: usize, values: usize, rows: u32): void {
  const sum = changetype<Accumulator>(keyed.sum);
  const narrow = sum.type == <u32>Type.I32;
  for (let row: usize = 0; row < <usize>rows; row++) {
    const group = <usize>((load<u32>(keys + (row << 2)) & key.mask) + 1);
    const value = narrow ? <i64>load<i32>(values + (row << 2)) : load<i64>(values + (row << 3));
    const at = sum.values + group * <usize>sum.stride;
    store<i64>(at, load<i64>(at) - value);
    if (keyed.counts == 0) continue;
    const count = changetype<Accumulator>(keyed.counts).values + group * <usize>sum.stride;
    store<i64>(count, load<i64>(count) - 1);
  }
}
