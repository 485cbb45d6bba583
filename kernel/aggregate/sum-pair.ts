// Two sums of integers side by side: the lanes of a group are one v128, so that a row costs one load, add and store
// for both, and one cache line.
//
// An aggregation pairs its sums of 32- and 64-bit integers, powers and products among them, in the order in which
// they were made; one that is left over is paired with the count of rows, where there is one. The second of a pair
// adds for both. Where that cannot be (a lane might wrap, so that one has to widen) they part for good, and each goes
// its own way.
//
// Tried and lost: products of 32-bit integers multiplied as they are added, instead of going to scratch first (0.98 of the time
// of a correlation by 10,000 groups, for twice the loops).

import { Type } from "../abi/layout";
import { Accumulator, Family } from "./accumulator";
import { countUpdate, countUpdateOne } from "./count";
import { addByNumbers } from "./lane-rows";
import { addBoth, twoOf } from "./lanes";
import { sumIntegerAdd, sumIntegerMakeRoom, sumIntegerPair } from "./sum-integer";

/** One vector of an accumulator of a pair: values as they are to be added, none of which is masked. */
// @ts-ignore: decorator
@unmanaged
export class Addend {
  values: usize;
  magnitude: u64;
}

export const ADDEND_SIZE: usize = 16;

/** Pairs `self` with the accumulator before it that could have a partner, if `waiting` is one; answers who waits now. */
export function sumPairConsider(waiting: usize, self: Accumulator): usize {
  if (!ASC_FEATURE_SIMD || self.retracts || self.family != <u32>Family.SUM_INTEGER) return waiting;
  if (self.type != <u32>Type.I32 && self.type != <u32>Type.I64) return waiting;
  if (waiting == 0) return changetype<usize>(self);
  sumIntegerPair(changetype<Accumulator>(waiting), self);
  return 0;
}

/**
 * Pairs the sum that has found no partner (0: none) with the count of rows. Whichever was made later is the second: the
 * first must not come again for a vector when they part.
 */
export function sumPairCount(waiting: usize, counts: Accumulator): void {
  if (waiting == 0 || counts.retracts) return;
  const sums = changetype<Accumulator>(waiting);
  if (changetype<usize>(counts) < waiting) sumIntegerPair(counts, sums);
  else sumIntegerPair(sums, counts);
}

/** Adds a vector to a sum and its rows to the count that is paired with it; false as `sumPairAdd`. */
export function sumPairAddCounted(
  sums: Accumulator,
  counts: Accumulator,
  addend: Addend,
  numbers: usize,
  rows: u32,
  one: bool,
): bool {
  if (ASC_FEATURE_SIMD && !one && sumIntegerMakeRoom(sums, addend.magnitude, rows)) {
    if (sums.follows) countRows(sums.type, counts.values, numbers, addend.values, rows, true);
    else countRows(sums.type, sums.values, numbers, addend.values, rows, false);
    return true;
  }
  if (!sumIntegerAdd(sums, numbers, addend.values, 0, rows, one, addend.magnitude)) return false;
  if (one) countUpdateOne(counts, load<u32>(numbers), 0, rows);
  else countUpdate(counts, numbers, 0, rows);
  return true;
}

function countRows(type: u32, lanes: usize, numbers: usize, values: usize, rows: u32, countFirst: bool): void {
  if (type == <u32>Type.I32) {
    if (countFirst) addByNumbers<i32, u32>(lanes, numbers, values, rows);
    else addByNumbers<i32, u16>(lanes, numbers, values, rows);
  } else if (countFirst) addByNumbers<i64, u32>(lanes, numbers, values, rows);
  else addByNumbers<i64, u16>(lanes, numbers, values, rows);
}

/** Adds a vector to both; false when they have to part and memory is exhausted. */
export function sumPairAdd(
  first: Accumulator,
  second: Accumulator,
  left: Addend,
  right: Addend,
  numbers: usize,
  rows: u32,
  one: bool,
): bool {
  if (
    ASC_FEATURE_SIMD &&
    !one &&
    sumIntegerMakeRoom(first, left.magnitude, rows) &&
    sumIntegerMakeRoom(second, right.magnitude, rows)
  ) {
    const lanes = first.values;
    const narrow = first.type == <u32>Type.I32;
    if (second.type == <u32>Type.I32) {
      if (narrow) addRows<i32, i32>(lanes, numbers, left.values, right.values, rows);
      else addRows<i64, i32>(lanes, numbers, left.values, right.values, rows);
    } else if (narrow) addRows<i32, i64>(lanes, numbers, left.values, right.values, rows);
    else addRows<i64, i64>(lanes, numbers, left.values, right.values, rows);
    return true;
  }
  return (
    sumIntegerAdd(first, numbers, left.values, 0, rows, one, left.magnitude) &&
    sumIntegerAdd(second, numbers, right.values, 0, rows, one, right.magnitude)
  );
}

function addRows<A, B>(lanes: usize, numbers: usize, a: usize, b: usize, rows: u32): void {
  let row: u32 = 0;
  for (const whole = rows & ~3; row < whole; row += 4) {
    const groups = numbers + ((<usize>row) << 2);
    const near = load<u64>(groups);
    const far = load<u64>(groups, 8);
    if (sizeof<A>() == 4 && sizeof<B>() == 4) {
      const x = v128.load(a + ((<usize>row) << 2));
      const y = v128.load(b + ((<usize>row) << 2));
      const low = v128.shuffle<i32>(x, y, 0, 4, 1, 5);
      const high = v128.shuffle<i32>(x, y, 2, 6, 3, 7);
      addLanes(lanes, <u32>near, i64x2.extend_low_i32x4_s(low));
      addLanes(lanes, <u32>(near >> 32), i64x2.extend_high_i32x4_s(low));
      addLanes(lanes, <u32>far, i64x2.extend_low_i32x4_s(high));
      addLanes(lanes, <u32>(far >> 32), i64x2.extend_high_i32x4_s(high));
    } else {
      const left = a + <usize>row * sizeof<A>();
      const right = b + <usize>row * sizeof<B>();
      const x = twoOf<A>(left);
      const y = twoOf<B>(right);
      addLanes(lanes, <u32>near, v128.shuffle<i64>(x, y, 0, 2));
      addLanes(lanes, <u32>(near >> 32), v128.shuffle<i64>(x, y, 1, 3));
      const z = twoOf<A>(left + 2 * sizeof<A>());
      const w = twoOf<B>(right + 2 * sizeof<B>());
      addLanes(lanes, <u32>far, v128.shuffle<i64>(z, w, 0, 2));
      addLanes(lanes, <u32>(far >> 32), v128.shuffle<i64>(z, w, 1, 3));
    }
  }
  for (; row < rows; row++) {
    const pair = i64x2.replace_lane(
      i64x2.splat(<i64>load<A>(a + <usize>row * sizeof<A>())),
      1,
      <i64>load<B>(b + <usize>row * sizeof<B>()),
    );
    addLanes(lanes, load<u32>(numbers + ((<usize>row) << 2)), pair);
  }
}

// @ts-ignore: decorator
@inline
function addLanes(lanes: usize, group: u32, pair: v128): void {
  addBoth(lanes + ((<usize>group) << 4), pair);
}
