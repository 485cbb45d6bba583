// COUNT and SEEN: how many rows, and whether any.
//
// A count of an argument that has never been null is the count of rows, and a sum's "has any value" is
// "has any row". So without a filter neither keeps anything until the first null comes (`tracking`);
// `startTracking` then takes over what the rows' count said so far, before that vector is counted.
//
// While rows are pushed, a count may say by how many rows it lags behind theirs: see tracked-counts.ts.
//
// The count of rows may lie beside a sum of integers, which adds for both: see sum-pair.ts.
//
// Tried and lost: u32 counts with a carry array (half the memory, no faster at 100,000 groups).

import { bitmapCount, bitmapIsEmpty } from "../column/bitmap";
import { fewMissing } from "../column/keep";
import { Accumulator, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";
import { addToTwo, lanesOfFour } from "./lanes";

export function countReserve(self: Accumulator, groups: u32): bool {
  return accumulatorReserve(self, groups, 0);
}

/** Counts the rows of a vector. `mask` 0: all of them. */
export function countUpdate(self: Accumulator, numbers: usize, mask: usize, rows: u32): void {
  const counts = self.values;
  if (mask == 0) {
    if (self.lags == 0) countAll(counts, numbers, rows);
    return;
  }
  for (let start: u32 = 0; start < rows; start += 64) {
    const groups = numbers + ((<usize>start) << 2);
    let missing = start + 64 <= rows ? fewMissing(mask + <usize>(start >> 3)) : -1;
    if (missing != -1) {
      if (self.lags == 0) countAll(counts, groups, 64);
      for (; missing != 0; missing &= missing - 1) count(counts, load<u32>(groups + (<usize>ctz<u64>(missing) << 2)), -1);
      continue;
    }
    let bits = load<u64>(mask + <usize>(start >> 3));
    for (let row: u32 = 0; row < min<u32>(64, rows - start); row++) {
      count(counts, load<u32>(groups + ((<usize>row) << 2)), <i64>(bits & 1) - <i64>self.lags);
      bits >>= 1;
    }
  }
}

function countAll(counts: usize, numbers: usize, rows: u32): void {
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const ones = i64x2.splat(1);
    const bases = i32x4.splat(<u32>counts);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const places = lanesOfFour(bases, numbers + ((<usize>row) << 2));
      addToTwo(i64x2.extract_lane(places, 0), ones);
      addToTwo(i64x2.extract_lane(places, 1), ones);
    }
  } else {
    // Two group numbers a load, and four rows a turn.
    for (const whole = rows & ~3; row < whole; row += 4) {
      const first = load<u64>(numbers + ((<usize>row) << 2));
      const second = load<u64>(numbers + ((<usize>row) << 2), 8);
      count(counts, <u32>first, 1);
      count(counts, <u32>(first >> 32), 1);
      count(counts, <u32>second, 1);
      count(counts, <u32>(second >> 32), 1);
    }
  }
  for (; row < rows; row++) count(counts, load<u32>(numbers + ((<usize>row) << 2)), 1);
}

// @ts-ignore: decorator
@inline
function count(counts: usize, group: u32, rows: i64): void {
  const at = counts + ((<usize>group) << 3);
  store<i64>(at, load<i64>(at) + rows);
}

/** Counts the rows of a vector that all belong to one group. */
export function countUpdateOne(self: Accumulator, group: u32, mask: usize, rows: u32): void {
  const count: u32 = mask == 0 ? rows : bitmapCount(mask, rows);
  const at = self.values + <usize>group * <usize>self.stride;
  store<i64>(at, load<i64>(at) + <i64>count - <i64>rows * <i64>self.lags);
}

export function seenUpdateOne(self: Accumulator, group: u32, mask: usize, rows: u32): void {
  if (rows != 0 && (mask == 0 || !bitmapIsEmpty(mask, rows))) store<u8>(self.values + <usize>group, 1);
}

export function seenUpdate(self: Accumulator, numbers: usize, mask: usize, rows: u32): void {
  const seen = self.values;
  if (mask == 0) {
    for (let row: u32 = 0; row < rows; row++)
      store<u8>(seen + <usize>load<u32>(numbers + ((<usize>row) << 2)), 1);
    return;
  }
  if (allSeen(seen, numbers, rows)) return;
  for (let row: u32 = 0; row < rows; row++) {
    const at = seen + <usize>load<u32>(numbers + ((<usize>row) << 2));
    store<u8>(at, load<u8>(at) | <u8>maskBit(mask, row));
  }
}

/** Whether all rows' groups have been seen before, as is soon the case. */
function allSeen(seen: usize, numbers: usize, rows: u32): bool {
  let all: u32 = 1;
  for (const end = numbers + ((<usize>rows) << 2); numbers < end; numbers += 4) all &= load<u8>(seen + <usize>load<u32>(numbers));
  return all != 0;
}
