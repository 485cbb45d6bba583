// Cutting: the slices of a vector of times, as 32-bit distances from a first slice.
//
// A division of 64 bits a row costs as much as grouping it. Where the times lie within 2^52 ticks of each other they
// are divided as floats, two at a time: the quotient by a multiplication with the reciprocal is off by one at most,
// and what is left of the time, exact as all numbers are below 2^53, tells which way. Cumulating windows, and builds
// without SIMD, compare each time with the slice of the one before, and divide where that is another.
// (The latter is how all times were cut before: out of order, nearly every row divided.)

import { WindowKind } from "../abi/window";
import { Shape, sliceEnd, sliceOf, sliceStart } from "./shape";

/** 2^52: a float whose mantissa is an integer below it. */
const MAGIC: f64 = 4503599627370496;
const MAGIC_BITS: i64 = 0x4330000000000000;

/**
 * Writes each time's slice less `base` (u32) to `to`, in order; no slice comes before `base`, and `low` is the least
 * time and `high` the greatest. Answers how many runs of the same slice there are.
 */
export function cutSlices(shape: Shape, times: usize, rows: u32, low: i64, high: i64, base: i64, to: usize): u32 {
  let row: u32 = 0;
  let runs: u32 = 1;
  if (ASC_FEATURE_SIMD) {
    const first = sliceOf(shape, low);
    const anchor = shape.kind == <u32>WindowKind.CUMULATE ? 0 : sliceStart(shape, first & -(<i64>shape.parts));
    if (shape.kind != <u32>WindowKind.CUMULATE && <u64>(high - anchor) < <u64>1 << 51 && shape.period < <i64>1 << 51) {
      const offset = <u32>((first & -(<i64>shape.parts)) - base);
      row = rows & ~3;
      if (row != 0) runs = shape.parts == 1 ? cutWhole(shape, times, row, anchor, offset, to) : cutHalves(shape, times, row, anchor, offset, to);
    }
  }
  return row == rows ? runs : runs + cutEach(shape, times, row, rows, base, to) - (row == 0 ? 1 : 0);
}

/** From `row` on, one by one; runs that begin there. */
function cutEach(shape: Shape, times: usize, row: u32, rows: u32, base: i64, to: usize): u32 {
  let start: i64 = 0;
  let end: i64 = 0;
  let slice: u32 = 0;
  let runs: u32 = 0;
  if (row != 0) slice = load<u32>(to + ((<usize>(row - 1)) << 2));
  let known = row != 0;
  for (; row < rows; row++) {
    const time = load<i64>(times + ((<usize>row) << 3));
    if (time < start || time >= end) {
      const found = sliceOf(shape, time);
      start = sliceStart(shape, found);
      end = sliceEnd(shape, found);
      const next = <u32>(found - base);
      runs += <u32>(!known || next != slice);
      known = true;
      slice = next;
    }
    store<u32>(to + ((<usize>row) << 2), slice);
  }
  return runs;
}

/** Whole periods in two times after `anchor`. */
// @ts-ignore: decorator
@inline
function periods(times: v128, period: v128, reciprocal: v128): v128 {
  const quotient = f64x2.floor(f64x2.mul(times, reciprocal));
  const rest = f64x2.sub(times, f64x2.mul(quotient, period));
  const ones = f64x2.splat(1);
  const over = v128.and(f64x2.ge(rest, period), ones);
  const under = v128.and(f64x2.lt(rest, f64x2.splat(0)), ones);
  return f64x2.sub(f64x2.add(quotient, over), under);
}

/** Two times after `anchor` as floats. */
// @ts-ignore: decorator
@inline
function distances(at: usize, anchor: v128): v128 {
  const distance = i64x2.sub(v128.load(at), anchor);
  return f64x2.sub(v128.or(distance, i64x2.splat(MAGIC_BITS)), f64x2.splat(MAGIC));
}

/** The low halves of four non-negative integers that are kept as floats. */
// @ts-ignore: decorator
@inline
function integers(first: v128, second: v128): v128 {
  const magic = f64x2.splat(MAGIC);
  return i8x16.shuffle(
    f64x2.add(first, magic),
    f64x2.add(second, magic),
    0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27,
  );
}

/** Lanes that differ from the one before: -1; `before` holds the four before. */
// @ts-ignore: decorator
@inline
function changes(before: v128, slices: v128): v128 {
  return i32x4.ne(i8x16.shuffle(before, slices, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27), slices);
}

// @ts-ignore: decorator
@inline
function laneSum(lanes: v128): u32 {
  return (
    i32x4.extract_lane(lanes, 0) + i32x4.extract_lane(lanes, 1) + i32x4.extract_lane(lanes, 2) + i32x4.extract_lane(lanes, 3)
  );
}

/** Slices that are periods: `rows` times, a multiple of four. */
function cutWhole(shape: Shape, times: usize, rows: u32, anchor: i64, offset: u32, to: usize): u32 {
  const anchors = i64x2.splat(anchor);
  const period = f64x2.splat(<f64>shape.period);
  const reciprocal = f64x2.splat(1.0 / <f64>shape.period);
  const offsets = i32x4.splat(offset);
  let runs = i32x4.splat(0);
  let before = i32x4.splat(0);
  for (let row: u32 = 0; row < rows; row += 4) {
    const at = times + ((<usize>row) << 3);
    const first = periods(distances(at, anchors), period, reciprocal);
    const second = periods(distances(at + 16, anchors), period, reciprocal);
    const slices = i32x4.add(integers(first, second), offsets);
    runs = i32x4.sub(runs, changes(row == 0 ? i32x4.splat(~i32x4.extract_lane(slices, 0)) : before, slices));
    v128.store(to + ((<usize>row) << 2), slices);
    before = slices;
  }
  return laneSum(runs);
}

/** The same where a period has two slices, the second of which begins after `rest` ticks. */
function cutHalves(shape: Shape, times: usize, rows: u32, anchor: i64, offset: u32, to: usize): u32 {
  const anchors = i64x2.splat(anchor);
  const period = f64x2.splat(<f64>shape.period);
  const reciprocal = f64x2.splat(1.0 / <f64>shape.period);
  const rest = f64x2.splat(<f64>shape.rest);
  const offsets = i32x4.splat(offset);
  let runs = i32x4.splat(0);
  let before = i32x4.splat(0);
  for (let row: u32 = 0; row < rows; row += 4) {
    const at = times + ((<usize>row) << 3);
    const first = halves(distances(at, anchors), period, reciprocal, rest);
    const second = halves(distances(at + 16, anchors), period, reciprocal, rest);
    const slices = i32x4.add(integers(first, second), offsets);
    runs = i32x4.sub(runs, changes(row == 0 ? i32x4.splat(~i32x4.extract_lane(slices, 0)) : before, slices));
    v128.store(to + ((<usize>row) << 2), slices);
    before = slices;
  }
  return laneSum(runs);
}

// @ts-ignore: decorator
@inline
function halves(times: v128, period: v128, reciprocal: v128, rest: v128): v128 {
  const whole = periods(times, period, reciprocal);
  const left = f64x2.sub(times, f64x2.mul(whole, period));
  return f64x2.add(f64x2.add(whole, whole), v128.and(f64x2.ge(left, rest), f64x2.splat(1)));
}
