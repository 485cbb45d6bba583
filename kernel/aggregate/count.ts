// COUNT and SEEN: how many rows, and whether any.
//
// A count of an argument that has never been null is the count of rows, and a sum's "has any value" is
// "has any row". So without a filter neither keeps anything until the first null comes (`tracking`);
// `countTrack` then takes over what the rows' count said so far, before that vector is counted.
//
// The count of rows may lie beside a sum of integers, which adds for both: see sum-pair.ts.
//
// Tried and lost: u32 counts with a carry array (half the memory, no faster at 100,000 groups).

import { bitmapCount, bitmapIsEmpty } from "../column/bitmap";
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
        increment(counts, <u32>first);
        increment(counts, <u32>(first >> 32));
        increment(counts, <u32>second);
        increment(counts, <u32>(second >> 32));
      }
    }
    for (; row < rows; row++) increment(counts, load<u32>(numbers + ((<usize>row) << 2)));
    return;
  }
  for (let start: u32 = 0; start < rows; start += 64) {
    let bits = load<u64>(mask + <usize>(start >> 3));
    const end = min(rows, start + 64);
    for (let row = start; row < end; row++) {
      const at = counts + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 3);
      store<i64>(at, load<i64>(at) + <i64>(bits & 1));
      bits >>= 1;
    }
  }
}

// @ts-ignore: decorator
@inline
function increment(counts: usize, group: u32): void {
  const at = counts + ((<usize>group) << 3);
  store<i64>(at, load<i64>(at) + 1);
}

/** Counts the rows of a vector that all belong to group 0. */
export function countUpdateOne(self: Accumulator, mask: usize, rows: u32): void {
  const count: u32 = mask == 0 ? rows : bitmapCount(mask, rows);
  store<i64>(self.values, load<i64>(self.values) + <i64>count);
}

export function seenUpdateOne(self: Accumulator, mask: usize, rows: u32): void {
  if (rows != 0 && (mask == 0 || !bitmapIsEmpty(mask, rows))) store<u8>(self.values, 1);
}

export function seenUpdate(self: Accumulator, numbers: usize, mask: usize, rows: u32): void {
  const seen = self.values;
  if (mask == 0) {
    for (let row: u32 = 0; row < rows; row++)
      store<u8>(seen + <usize>load<u32>(numbers + ((<usize>row) << 2)), 1);
    return;
  }
  for (let row: u32 = 0; row < rows; row++) {
    const at = seen + <usize>load<u32>(numbers + ((<usize>row) << 2));
    store<u8>(at, load<u8>(at) | <u8>maskBit(mask, row));
  }
}
