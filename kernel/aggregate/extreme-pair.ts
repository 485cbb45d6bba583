// Two extremes of 32-bit integers side by side, least or greatest ones: those of a group are 8 bytes, so that a row costs one
// load and one store for both, and one line of the cache.
//
// An aggregation pairs them in the order in which they were made; the second of a pair takes a vector's rows for both. Unlike
// sums (sum-pair.ts) they never part: where one of the two has a filter, each goes through its rows by itself. In place of null a
// vector has what changes nothing.
//
// The range of two columns by 100,000 texts: 0.95 of the time of the whole query over 10 million rows, 0.79 over one million.
// Tried and lost: places of four rows computed a turn ahead, as lane-rows.ts does (1.0 to 1.05 on an Intel Xeon).

import { Type } from "../abi/layout";
import { Vector } from "../column/vector";
import { programOutput } from "../expression/program";
import { scratchMark, scratchReset } from "../memory/context";
import { Accumulator, Family, accumulatorReserve, isExtreme, isWhole } from "./accumulator";
import { keptValues } from "./argument";

const WIDTH: u32 = 4;

/** Pairs `self` with the accumulator before it that could have a partner, if `waiting` is one; answers who waits now. */
export function extremePairConsider(waiting: usize, self: Accumulator): usize {
  if (!ASC_FEATURE_SIMD || self.retracts || !isExtreme(self) || self.type != <u32>Type.I32) return waiting;
  if (waiting == 0) return changetype<usize>(self);
  const first = changetype<Accumulator>(waiting);
  first.pair = changetype<usize>(self);
  self.pair = waiting;
  self.follows = 1;
  first.stride = WIDTH << 1;
  self.stride = WIDTH << 1;
  return 0;
}

/** Room for `groups` groups of a pair, of which `self` is one. False when out of memory, with nothing lost. */
export function extremePairReserve(self: Accumulator, groups: u32): bool {
  const other = changetype<Accumulator>(self.pair);
  const first = self.follows ? other : self;
  const second = self.follows ? self : other;
  if (!accumulatorReserve(first, groups, neutral(first) | (neutral(second) << 32))) return false;
  second.values = first.values + WIDTH;
  second.capacity = first.capacity;
  return true;
}

function neutral(self: Accumulator): u64 {
  return self.family == <u32>Family.MIN ? 0x7fffffff : 0x80000000;
}

/** Whether every row whose argument is not null counts for both of a pair, of which `self` is one. */
export function extremePairTakes(self: Accumulator): bool {
  return isWhole(self) && isWhole(changetype<Accumulator>(self.pair));
}

/** Whether the vector at hand may have nulls for either of a pair. */
export function extremePairHasNulls(self: Accumulator, program: usize): bool {
  return (validityOf(self, program) | validityOf(changetype<Accumulator>(self.pair), program)) != 0;
}

// @ts-ignore: decorator
@inline
function validityOf(self: Accumulator, program: usize): usize {
  return changetype<Vector>(programOutput(program, <u32>self.argument)).validity;
}

function valuesOf(self: Accumulator, context: usize, program: usize, rows: u32): usize {
  return keptValues(context, program, <u32>self.argument, validityOf(self, program), rows, neutral(self));
}

/**
 * Folds the vector at hand into both of such a pair, of which `second` is the second. Groups' numbers (u32 each) count from
 * `base` on.
 */
export function extremePairUpdate(
  second: Accumulator,
  context: usize,
  program: usize,
  numbers: usize,
  base: u32,
  rows: u32,
): void {
  const first = changetype<Accumulator>(second.pair);
  const mark = scratchMark(context);
  const a = valuesOf(first, context, program, rows);
  const b = valuesOf(second, context, program, rows);
  const leasts = leastMask(first) | (leastMask(second) << 32);
  foldRows(first.values + (<usize>base << 3), numbers, a, b, rows, i64x2.splat(leasts));
  scratchReset(context, mark);
}

// @ts-ignore: decorator
@inline
function leastMask(self: Accumulator): u64 {
  return self.family == <u32>Family.MIN ? 0xffffffff : 0;
}

/** `leasts` is all ones in the lanes whose least value is kept. */
function foldRows(kept: usize, numbers: usize, a: usize, b: usize, rows: u32, leasts: v128): void {
  const bases = i32x4.splat(<u32>kept);
  let row: u32 = 0;
  for (const whole = rows & ~3; row < whole; row += 4) {
    const at = (<usize>row) << 2;
    const places = i32x4.add(bases, i32x4.shl(v128.load(numbers + at), 3));
    const x = v128.load(a + at);
    const y = v128.load(b + at);
    foldTwo(i64x2.extract_lane(places, 0), v128.shuffle<i32>(x, y, 0, 4, 1, 5), leasts);
    foldTwo(i64x2.extract_lane(places, 1), v128.shuffle<i32>(x, y, 2, 6, 3, 7), leasts);
  }
  for (; row < rows; row++) {
    const at = (<usize>row) << 2;
    const place = kept + ((<usize>load<u32>(numbers + at)) << 3);
    const two = i32x4.replace_lane(i32x4.splat(load<i32>(a + at)), 1, load<i32>(b + at));
    v128.store64_lane(place, better(v128.load64_zero(place), two, leasts), 0);
  }
}

/** Folds two rows in, one after the other, as both may be of one group. */
// @ts-ignore: decorator
@inline
function foldTwo(places: u64, two: v128, leasts: v128): void {
  const near = <usize>(<u32>places);
  v128.store64_lane(near, better(v128.load64_zero(near), two, leasts), 0);
  const far = <usize>(places >> 32);
  v128.store64_lane(far, better(v128.load64_splat(far), two, leasts), 1);
}

// @ts-ignore: decorator
@inline
function better(a: v128, b: v128, leasts: v128): v128 {
  return v128.bitselect(i32x4.min_s(a, b), i32x4.max_s(a, b), leasts);
}
