// The DIRECT tier: group numbers computed from keys.
//
// A key's code is its value modulo a power of two, plus one (0 is null), which stays unique while all values
// so far lie within that many of each other, wherever the next smaller or larger value comes; codes combine
// by strides. Groups are no longer marked once every combination of keys in range is known to have rows: that
// pass costs as much as a sum.
// Not taken: a table from code to dense number (no holes, but a dependent load more a row), and a base to
// subtract instead of the modulus (smaller values that come later would force a rebuild).

import { Type } from "../abi/layout";
import { bitmapGet } from "../column/bitmap";
import { lanes32 } from "../column/keep";
import { copyRun } from "../memory/copy";
import { regionBlock, regionFree } from "../memory/region";
import { Interner } from "./interner";
import { KeyColumn } from "./key-column";
import { Groups, Tier, groupsKey } from "./state";
import { isStepped, steppedFits, steppedLayout } from "./stepped";

/** A lone integer key gets at least this many slots: their accumulators still fit the first-level cache. */
const DIRECT_SLOTS_MIN: u64 = 4096;
/** ... where few groups are likely, this many. */
const SMALL_SLOTS_MIN: u64 = 64;
/** Group numbers that DIRECT may spend on any input, and at most. */
const DIRECT_GROUPS: u64 = 65536;
const SMALL_GROUPS: u64 = 4096;
const DIRECT_GROUPS_MAX: u64 = 1 << 22;
/** ... and for each row of the first batch, or of those that are expected; with an ordinal, whose groups leave in their order, of all rows. */
const DIRECT_GROUPS_PER_ROW: u64 = 8;
/** More of them where so many rows are expected that few would have none. */
const DENSE_GROUPS_MAX: u64 = 1 << 24;
const DENSE_GROUPS_PER_ROW: u64 = 2;
const ORDINAL_GROUPS_PER_ROW: u64 = 16;

/** Most groups that a first batch of `rows` rows can span. */
export function directMost(groups: Groups, rows: u32): u32 {
  const free: u64 = groups.small ? SMALL_GROUPS : DIRECT_GROUPS;
  const each = groups.extra != 0 ? ORDINAL_GROUPS_PER_ROW : DIRECT_GROUPS_PER_ROW;
  const some = min<u64>(DIRECT_GROUPS_MAX, max<u64>(free, <u64>max(rows, groups.expected) * each));
  return groups.small ? <u32>some : <u32>max<u64>(some, min<u64>(DENSE_GROUPS_MAX, <u64>groups.expected * DENSE_GROUPS_PER_ROW));
}

/** Slots of a key that has one for each number from 0 on, as many as come. */
const ORDINAL_SLOTS: u64 = 1 << 31;

/** How much of the keys' range is known to have rows. */
const enum Full {
  NO = 0,
  /** Every combination of values. */
  VALUES = 1,
  /** ... and of values and nulls. */
  WITH_NULLS = 2,
}

/** Chooses slots for each key from the vector at hand; false when there would be too many groups. */
export function layoutDirect(groups: Groups, rows: u32, batchRows: u32): bool {
  const alone = groups.keyCount == 1;
  const limit: u64 = directMost(groups, batchRows);
  const least: u64 = groups.small ? SMALL_SLOTS_MIN : DIRECT_SLOTS_MIN;
  let total: u64 = 1;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    key.low = i64.MAX_VALUE;
    key.high = i64.MIN_VALUE;
    if (!isDiscrete(key.type)) return false;
    observe(key, rows);
    if (isStepped(groups, key) && steppedLayout(groups, key, rows, key.nextLow, key.nextHigh, limit)) {
      setSlots(key, ORDINAL_SLOTS, 1);
      return true;
    }
    key.low = key.nextLow;
    key.high = key.nextHigh;
    let slots: u64 = 2;
    if (isOrdinal(groups, index)) {
      if (total * (<u64>groups.ordinals + 1) > limit) return false;
      setSlots(key, ORDINAL_SLOTS, <u32>total);
      continue;
    }
    if (key.type != <u32>Type.BOOL) {
      const range: u64 = key.high < key.low ? 1 : <u64>(key.high - key.low) + 1;
      if (range == 0 || range > limit) return false;
      const wanted = alone ? max<u64>(range << 1, least) : range + (range >> 3) + 1;
      while (slots < wanted) slots <<= 1;
      if (slots >= limit && slots >> 1 >= range + (range >> 4)) slots >>= 1;
    }
    if (alone && key.interner != 0) slots = ORDINAL_SLOTS;
    else if (total * (slots + 1) > limit) return false;
    else if (total * (lentSlots(groups, index, slots) + 1) <= limit) slots = lentSlots(groups, index, slots);
    setSlots(key, slots, <u32>total);
    if (groups.like != 0) groupsKey(changetype<Groups>(groups.like), index).mask = <u32>slots - 1;
    total *= slots + 1;
  }
  return true;
}

/**
 * Lays a lone integer key of groups that are like others out for values from `low` to `high`, and a 32nd more. False when
 * they are too many, or out of memory.
 */
export function directRangeLayout(groups: Groups, low: i64, high: i64): bool {
  const key = groupsKey(groups, 0);
  const range = <u64>(high - low) + 1;
  // unreached: takes half a million groups in a window, whose rows are set aside before
  if (range > DIRECT_GROUPS_MAX >> 1) return false;
  let slots: u64 = SMALL_SLOTS_MIN;
  while (slots < range + (range >> 5)) slots <<= 1;
  slots = lentSlots(groups, 0, slots);
  if (slots + 1 > DIRECT_GROUPS_MAX) return false; // unreached: takes as many groups
  key.low = low;
  key.high = high;
  setSlots(key, slots, 1);
  if (!growDirect(groups)) return false;
  groupsKey(changetype<Groups>(groups.like), 0).mask = key.mask;
  groups.tier = Tier.DIRECT;
  return true;
}

/** Slots that groups like these had last, where they are not many more: the same numbers are combined without lookups. */
function lentSlots(groups: Groups, index: u32, slots: u64): u64 {
  if (groups.like == 0) return slots;
  const lent = <u64>groupsKey(changetype<Groups>(groups.like), index).mask + 1;
  return lent > slots && lent <= slots << 2 ? lent : slots;
}

function setSlots(key: KeyColumn, slots: u64, stride: u32): void {
  key.mask = <u32>slots - 1;
  key.stride = stride;
}

/** Whether a key counts from 0 on, the last one: it has as many slots as come. */
// @ts-ignore: decorator
@inline
function isOrdinal(groups: Groups, index: u32): bool {
  return groups.extra != 0 && index == groups.keyCount - 1;
}

function isDiscrete(type: u32): bool {
  return type == <u32>Type.BYTES || type == <u32>Type.BOOL || (type >= <u32>Type.I8 && type <= <u32>Type.U64);
}

/** Group numbers that the layout spans now. */
export function directSpan(groups: Groups): u32 {
  const last = groupsKey(groups, groups.keyCount - 1);
  if (groups.extra != 0) return last.stride * (groups.ordinals + 1);
  if (groups.keyCount == 1 && last.interner != 0) return changetype<Interner>(last.interner).count + 1;
  if (last.codes != 0) return <u32>last.high + 2;
  return last.stride * (last.mask + 2);
}

/** Group numbers of one value of a last key that is an ordinal. */
// @ts-ignore: decorator
@inline
export function directBlock(groups: Groups): u32 {
  return groupsKey(groups, groups.keyCount - 1).stride;
}

/** Whether `ordinals` values of the last key would not be too many groups for `rows` rows in all. */
export function directFits(groups: Groups, ordinals: u32, rows: u64): bool {
  const span = <u64>directBlock(groups) * (<u64>ordinals + 1);
  return span <= min<u64>(DIRECT_GROUPS_MAX, max<u64>(DIRECT_GROUPS, rows * ORDINAL_GROUPS_PER_ROW));
}

/** Whether numbers go by one integer, so that its range tells which can have rows. */
function isLoneRange(groups: Groups): bool {
  if (groups.tier != <u32>Tier.DIRECT || groups.keyCount != 1 || groups.extra != 0) return false;
  const key = groupsKey(groups, 0);
  return key.type >= <u32>Type.I8 && key.type <= <u32>Type.U64 && key.low <= key.high;
}

/**
 * Group numbers that cannot have rows, from the low half up to the high one: those of a lone integer lie between the
 * numbers of its least and its greatest value or, where the modulus falls among them, around the others.
 */
export function directGap(groups: Groups): u64 {
  if (!isLoneRange(groups)) return 0;
  const key = groupsKey(groups, 0);
  const first = (<u32>key.low & key.mask) + 1;
  const last = (<u32>key.high & key.mask) + 1;
  return <u64>(first <= last ? 1 : last + 1) | (<u64>first << 32);
}

/** Group numbers from here on cannot have rows either. */
export function directEnd(groups: Groups): u32 {
  if (!isLoneRange(groups)) return groups.count;
  const key = groupsKey(groups, 0);
  const first = (<u32>key.low & key.mask) + 1;
  const last = (<u32>key.high & key.mask) + 1;
  return first <= last ? min(groups.count, last + 1) : groups.count;
}

/** Group numbers that can have rows. */
export function directReach(groups: Groups): u32 {
  const gap = directGap(groups);
  return <u32>gap + (max(<u32>(gap >> 32), directEnd(groups)) - <u32>(gap >> 32));
}

/** How many groups to make room for beside accumulators: one key's texts become more push by push. */
export function directRoom(groups: Groups): u32 {
  const isText = groups.keyCount == 1 && groupsKey(groups, 0).interner != 0;
  return isText ? groups.count + (groups.count >> 1) : groups.count;
}

/** Where part `part` of `parts` begins among the group numbers from `from` on: those that cannot have rows are not counted. */
export function directBoundary(groups: Groups, from: u32, part: u32, parts: u32): u32 {
  const gap = directGap(groups);
  const gapStart = max(from, min(<u32>gap, groups.count));
  const gapEnd = max(gapStart, <u32>(gap >> 32));
  const last = max(gapEnd, directEnd(groups));
  const below = gapStart - from;
  const rank = <u32>((<u64>(below + (last - gapEnd)) * <u64>part) / <u64>parts);
  return rank < below || part == 0 ? from + rank : gapEnd + (rank - below);
}

/** Makes `count` and `occupied` follow the span; false when out of memory. */
export function growDirect(groups: Groups): bool {
  const span = directSpan(groups);
  if (span <= groups.count) return true;
  if (groups.counts == 0 && span > groups.occupiedCapacity && !growOccupied(groups, span)) return false;
  groups.count = span;
  groups.holesBelow = span;
  return true;
}

function growOccupied(groups: Groups, span: u32): bool {
  const capacity = max<u32>(span + (span >> 1), 1024);
  const occupied = regionBlock(groups.region, capacity);
  if (occupied == 0) return false;
  if (groups.count != 0) memory.copy(occupied, groups.occupied, groups.count);
  memory.fill(occupied + <usize>groups.count, 0, <usize>(capacity - groups.count));
  regionFree(groups.region, groups.occupied);
  groups.occupied = occupied;
  groups.occupiedCapacity = capacity;
  return true;
}

/** Whether the vector at hand fits every key's slots; the ranges are widened by it then, else kept. */
export function fits(groups: Groups, rows: u32, batchRows: u32): bool {
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.codes != 0) {
      key.nextLow = i64.MAX_VALUE;
      key.nextHigh = i64.MIN_VALUE;
      observeLong(key, rows);
      if (!steppedFits(groups, key, rows, batchRows, key.nextLow, key.nextHigh)) return false;
      continue;
    }
    observe(key, rows);
    if (key.nextHigh >= key.nextLow && <u64>(key.nextHigh - key.nextLow) > <u64>key.mask) return false;
  }
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.low != key.nextLow || key.high != key.nextHigh) groups.full = Full.NO;
    key.low = key.nextLow;
    key.high = key.nextHigh;
  }
  return true;
}

/**
 * Folds the vector's valid values into the range so far, giving `nextLow` and `nextHigh`. Unsigned 64-bit
 * values compare as signed: only distances matter.
 */
function observe(key: KeyColumn, rows: u32): void {
  key.nextLow = key.low;
  key.nextHigh = key.high;
  if (key.interner != 0) {
    key.nextLow = 0;
    key.nextHigh = max<i64>(0, <i64>changetype<Interner>(key.interner).count - 1);
  } else if (key.width == 8) observeLong(key, rows);
  else if (key.type == <u32>Type.U32) observeNarrow<u32>(key, rows);
  else observeNarrow<i32>(key, rows);
}

function observeNarrow<T>(key: KeyColumn, rows: u32): void {
  if (!ASC_FEATURE_SIMD || rows < 8) {
    observeScalar<T>(key, rows);
    return;
  }
  if (key.validity != 0) {
    observeNullable<T>(key, rows);
    return;
  }
  const values = key.values;
  let lows = v128.load(values);
  let highs = lows;
  const whole = rows & ~3;
  for (let row: u32 = 4; row < whole; row += 4) {
    const value = v128.load(values + ((<usize>row) << 2));
    lows = isSigned<T>() ? i32x4.min_s(lows, value) : i32x4.min_u(lows, value);
    highs = isSigned<T>() ? i32x4.max_s(highs, value) : i32x4.max_u(highs, value);
  }
  fold<T>(key, i32x4.extract_lane(lows, 0));
  fold<T>(key, i32x4.extract_lane(lows, 1));
  fold<T>(key, i32x4.extract_lane(lows, 2));
  fold<T>(key, i32x4.extract_lane(lows, 3));
  fold<T>(key, i32x4.extract_lane(highs, 0));
  fold<T>(key, i32x4.extract_lane(highs, 1));
  fold<T>(key, i32x4.extract_lane(highs, 2));
  fold<T>(key, i32x4.extract_lane(highs, 3));
  for (let row = whole; row < rows; row++) fold<T>(key, load<i32>(values + ((<usize>row) << 2)));
}

/** The same where some rows are null. */
function observeNullable<T>(key: KeyColumn, rows: u32): void {
  const values = key.values;
  const validity = key.validity;
  const least: i32 = isSigned<T>() ? i32.MIN_VALUE : 0;
  const most: i32 = isSigned<T>() ? i32.MAX_VALUE : -1;
  let lows = i32x4.splat(most);
  let highs = i32x4.splat(least);
  const whole = rows & ~3;
  for (let row: u32 = 0; row < whole; row += 4) {
    const value = v128.load(values + ((<usize>row) << 2));
    const valid = lanes32(validity, row);
    const low = v128.bitselect(value, i32x4.splat(most), valid);
    const high = v128.bitselect(value, i32x4.splat(least), valid);
    lows = isSigned<T>() ? i32x4.min_s(lows, low) : i32x4.min_u(lows, low);
    highs = isSigned<T>() ? i32x4.max_s(highs, high) : i32x4.max_u(highs, high);
  }
  foldLane<T>(key, i32x4.extract_lane(lows, 0), i32x4.extract_lane(highs, 0));
  foldLane<T>(key, i32x4.extract_lane(lows, 1), i32x4.extract_lane(highs, 1));
  foldLane<T>(key, i32x4.extract_lane(lows, 2), i32x4.extract_lane(highs, 2));
  foldLane<T>(key, i32x4.extract_lane(lows, 3), i32x4.extract_lane(highs, 3));
  for (let row = whole; row < rows; row++) {
    if (bitmapGet(validity, row)) fold<T>(key, load<i32>(values + ((<usize>row) << 2)));
  }
}

/** A lane without a valid row has its limits the wrong way round. */
// @ts-ignore: decorator
@inline
function foldLane<T>(key: KeyColumn, low: i32, high: i32): void {
  if (<T>low > <T>high) return;
  fold<T>(key, low);
  fold<T>(key, high);
}

/** 64-bit values: SIMD has no minimum of them, but a comparison to select by. */
function observeLong(key: KeyColumn, rows: u32): void {
  if (!ASC_FEATURE_SIMD || key.validity != 0 || rows < 4) {
    observeScalar<i64>(key, rows);
    return;
  }
  const values = key.values;
  let lows = i64x2.splat(key.nextLow);
  let highs = i64x2.splat(key.nextHigh);
  const whole = rows & ~1;
  for (let row: u32 = 0; row < whole; row += 2) {
    const value = v128.load(values + ((<usize>row) << 3));
    lows = v128.bitselect(value, lows, i64x2.lt_s(value, lows));
    highs = v128.bitselect(value, highs, i64x2.gt_s(value, highs));
  }
  let low = min(i64x2.extract_lane(lows, 0), i64x2.extract_lane(lows, 1));
  let high = max(i64x2.extract_lane(highs, 0), i64x2.extract_lane(highs, 1));
  if (whole < rows) {
    const last = load<i64>(values + ((<usize>whole) << 3));
    low = min(low, last);
    high = max(high, last);
  }
  key.nextLow = low;
  key.nextHigh = high;
}

// @ts-ignore: decorator
@inline
function fold<T>(key: KeyColumn, bits: i32): void {
  const value: i64 = isSigned<T>() ? <i64>bits : <i64>(<u64>(<u32>bits));
  key.nextLow = min(key.nextLow, value);
  key.nextHigh = max(key.nextHigh, value);
}

function observeScalar<T>(key: KeyColumn, rows: u32): void {
  const values = key.values;
  const validity = key.validity;
  let low = key.nextLow;
  let high = key.nextHigh;
  for (let row: u32 = 0; row < rows; row++) {
    if (validity != 0 && !((load<u8>(validity + <usize>(row >> 3)) >> <u8>(row & 7)) & 1)) continue;
    const value: i64 = <i64>load<T>(values + <usize>row * sizeof<T>());
    low = min(low, value);
    high = max(high, value);
  }
  key.nextLow = low;
  key.nextHigh = high;
}

export function mapDirect(groups: Groups, rows: u32, numbers: usize): void {
  let nulls = false;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    nulls = nulls || key.validity != 0;
    if (key.codes != 0) copyRun(numbers, key.codes, (<usize>rows) << 2);
    else if (key.width == 8) addCodes<u64>(key, 0, rows, numbers, index == 0);
    else if (key.validity != 0) nullableCodes(key, rows, numbers, index == 0);
    else if (index == 0) firstCodes(key, rows, numbers);
    else nextCodes(key, rows, numbers);
  }
  markOccupied(groups, rows, numbers, nulls);
}

/** Marks the groups of rows as such that have some, unless all are known to; `nulls`: some keys may be null. */
export function markOccupied(groups: Groups, rows: u32, numbers: usize, nulls: bool): void {
  if (groups.counts != 0 || groups.full >= (nulls ? <u32>Full.WITH_NULLS : <u32>Full.VALUES)) return;
  const occupied = groups.occupied;
  for (let row: u32 = 0; row < rows; row++)
    store<u8>(occupied + <usize>load<u32>(numbers + ((<usize>row) << 2)), 1);
  lookFull(groups, rows, nulls);
}

/**
 * Looks whether every combination of keys in range has rows (those with nulls too, where the vector had some),
 * once as many rows were marked as there are.
 */
function lookFull(groups: Groups, rows: u32, nulls: bool): void {
  groups.marked += rows;
  let combinations: u64 = 1;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const range = directRange(groupsKey(groups, index), nulls);
    if (range == 0 || range > <u64>groups.marked) return;
    combinations *= range;
    if (combinations > <u64>groups.marked) return;
  }
  groups.marked = 0;
  // Of other ranges there are more.
  if (groups.lackingOf != <u32>combinations) groups.lacking = 0;
  groups.lackingOf = <u32>combinations;
  for (; groups.lacking < <u32>combinations; groups.lacking++) {
    if (!load<u8>(groups.occupied + <usize>combinationGroup(groups, groups.lacking, nulls))) return;
  }
  groups.full = nulls ? Full.WITH_NULLS : Full.VALUES;
}

/** Values in a key's range so far, and null where that is asked for; 0 when no value has come. */
function directRange(key: KeyColumn, nulls: bool): u64 {
  return key.high < key.low ? 0 : <u64>(key.high - key.low) + 1 + <u64>nulls;
}

/** Group number of a combination of keys: each counts from its lowest value on, null comes last. */
function combinationGroup(groups: Groups, combination: u32, nulls: bool): u32 {
  let group: u32 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    const range = <u32>directRange(key, nulls);
    const digit = combination % range;
    combination /= range;
    if (nulls && digit == range - 1) continue;
    group += ((<u32>(<u64>key.low + <u64>digit) & key.mask) + 1) * key.stride;
  }
  return group;
}

/** Codes of a 4-byte key without nulls whose stride is 1. */
function firstCodes(key: KeyColumn, rows: u32, numbers: usize): void {
  const values = key.values;
  const mask = key.mask;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const masks = i32x4.splat(mask);
    const ones = i32x4.splat(1);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const at = (<usize>row) << 2;
      v128.store(numbers + at, i32x4.add(v128.and(v128.load(values + at), masks), ones));
    }
  }
  for (; row < rows; row++) {
    const at = (<usize>row) << 2;
    store<u32>(numbers + at, (load<u32>(values + at) & mask) + 1);
  }
}

/** Adds the codes of a further 4-byte key without nulls. */
function nextCodes(key: KeyColumn, rows: u32, numbers: usize): void {
  const values = key.values;
  const mask = key.mask;
  const stride = key.stride;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const masks = i32x4.splat(mask);
    const strides = i32x4.splat(stride);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const at = (<usize>row) << 2;
      const codes = i32x4.mul(v128.and(v128.load(values + at), masks), strides);
      v128.store(numbers + at, i32x4.add(v128.load(numbers + at), i32x4.add(codes, strides)));
    }
  }
  for (; row < rows; row++) {
    const at = (<usize>row) << 2;
    store<u32>(numbers + at, load<u32>(numbers + at) + ((load<u32>(values + at) & mask) + 1) * stride);
  }
}

/** Sets or adds the codes of a 4-byte key with nulls, whose code is 0. */
function nullableCodes(key: KeyColumn, rows: u32, numbers: usize, first: bool): void {
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const values = key.values;
    const validity = key.validity;
    const masks = i32x4.splat(key.mask);
    const strides = i32x4.splat(key.stride);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const at = (<usize>row) << 2;
      const scaled = i32x4.mul(v128.and(v128.load(values + at), masks), strides);
      const codes = v128.and(i32x4.add(scaled, strides), lanes32(validity, row));
      v128.store(numbers + at, first ? codes : i32x4.add(v128.load(numbers + at), codes));
    }
  }
  addCodes<u32>(key, row, rows, numbers, first);
}

/** Sets or adds the codes of a key of any width from `row` on; null is 0. */
function addCodes<T>(key: KeyColumn, row: u32, rows: u32, numbers: usize, first: bool): void {
  const values = key.values;
  const validity = key.validity;
  const mask = key.mask;
  const stride = key.stride;
  for (; row < rows; row++) {
    let code: u32 = 0;
    if (validity == 0 || (load<u8>(validity + <usize>(row >> 3)) >> <u8>(row & 7)) & 1) {
      code = (<u32>load<T>(values + <usize>row * sizeof<T>()) & mask) + 1;
    }
    const at = numbers + ((<usize>row) << 2);
    store<u32>(at, (first ? 0 : load<u32>(at)) + code * stride);
  }
}

/** The code of `key` in group number `group`: 0 is null. */
// @ts-ignore: decorator
@inline
export function directCode(key: KeyColumn, group: u32): u32 {
  return key.mask == <u32>ORDINAL_SLOTS - 1 ? group / key.stride : (group / key.stride) % (key.mask + 2);
}

/** The value that a code other than 0 stands for: the one within the slots that start at `low`, or so many steps on. */
// @ts-ignore: decorator
@inline
export function directValue(key: KeyColumn, code: u32): i64 {
  const slot: u64 = code - 1;
  if (key.codes != 0) return key.base + <i64>slot * key.step;
  return key.low + <i64>((slot - <u64>key.low) & <u64>key.mask);
}
