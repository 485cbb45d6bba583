// Variances and deviations of float64 values that lie side by side: those of a group in a LOG, where a quantile or the
// mode of the same argument keeps every value anyway. Nothing has to be summed as rows come then, and a group's values are
// read from the cache.
//
// The result is V = n S2 - S1^2 over n (n - 1) or n^2, or its root, rounded once, as in moments-result.ts. To know how it
// rounds it mostly does to know it to 65 bits (float-pair.ts), and V is the same about any centre:
//
//   x - c = h + l          c and h multiples of a grid g, 2^-22 of the values' range; |l| <= g / 2; without error
//   S1 = sum h + sum l     S2 = sum h^2 + 2 sum h l + sum l^2
//
// A block's sums of h and h^2 are exact; the others are 2^-22 of them, and so is what rounding makes of those. Only where
// both ends of what the result may be round to different floats (one group in some thousands), or values lie close together
// and far from 0, or are very large, very small or not finite, are sums of all bits made.
//
// For the deviation of 10 million values in 10,000 groups that is a quarter of the time of sums and squares that are added
// to their groups as rows come (exact-product.ts).

import { power } from "./exact-read";
import { PAIR_ERROR, pairRatio, productError, sumError } from "./float-pair";
import { mantissaOf, positionOf } from "./moments";
import { isDeviation, isOfSample, momentLeast, momentOfSums, momentSum } from "./moments-result";
import { orderFloat } from "./order-key";
import { wideFromLanes } from "./ratio";

/** Values whose sums are plain floats before they are added to the totals. */
const BLOCK: usize = 128;
/**
 * What rounding leaves of a block's sum, for each value, in half units in the last place of the largest: up to 32.5 of
 * additions to one of two lanes, 1 of adding these, 1 of the product, and 1 of adding sums of products up.
 */
const BLOCK_ERROR: f64 = 36;
/** Half a unit in the last place of 1. */
const HALF_UNIT: f64 = 1.0 / 9007199254740992.0;
/** The range is so many bits above the grid, and what rounds to the grid when it is added and taken away. */
const GRID_BITS: i32 = 22;
const ROUNDER_BITS: i32 = 52;
/** Exponents of ranges from which all that is computed is far from both ends of the floats. */
const EXPONENT_MOST: i32 = 400;

/**
 * VAR or STDDEV of the `size` float64 values whose order keys lie at `base`, at `target` (8 bytes); false for null.
 * `scratch` is MOMENTS_SCRATCH.
 */
export function runMoment(fn: u32, base: usize, size: u32, target: usize, scratch: usize): bool {
  if (<u64>size < momentLeast(fn)) return false;
  const value = quickMoment(base, size, isOfSample(fn), isDeviation(fn), scratch);
  if (value != value) return exactMoment(fn, base, size, target, scratch);
  store<f64>(target, value);
  return true;
}

// @ts-ignore: decorator
@inline
function twoFloats(at: usize): v128 {
  const keys = v128.load(at);
  return v128.xor(keys, i64x2.shr_u(i64x2.lt_s(keys, i64x2.splat(0)), 1));
}

// ---- to 65 bits

// Totals are pairs in scratch: +0, +8.
const S1: usize = 0;
const S2: usize = 16;
const TOTALS: usize = 32;

/** NaN where all bits are needed. */
function quickMoment(base: usize, size: u32, sample: bool, root: bool, totals: usize): f64 {
  const end = base + ((<usize>size) << 3);
  let least = orderFloat(load<i64>(base));
  let most = least;
  let at = base;
  if (ASC_FEATURE_SIMD) {
    let low = f64x2.splat(least);
    let high = low;
    for (const whole = end - ((<usize>size & 1) << 3); at < whole; at += 16) {
      const x = twoFloats(at);
      low = f64x2.pmin(low, x);
      high = f64x2.pmax(high, x);
    }
    least = min<f64>(f64x2.extract_lane(low, 0), f64x2.extract_lane(low, 1));
    most = max<f64>(f64x2.extract_lane(high, 0), f64x2.extract_lane(high, 1));
  }
  for (; at < end; at += 8) {
    const x = orderFloat(load<i64>(at));
    least = x < least ? x : least;
    most = x > most ? x : most;
  }
  const range = most - least;
  if (range == 0) return hasNaN(base, end) ? NaN : 0;
  // The range is below 2^exponent. NaNs and infinities have the greatest.
  const exponent = <i32>((reinterpret<u64>(range) >> 52) & 0x7ff) - 1022;
  if (abs(exponent) > EXPONENT_MOST) return NaN;
  const grid = power(exponent - GRID_BITS);
  const rounder = power(exponent - GRID_BITS + ROUNDER_BITS) * 1.5;
  if (max<f64>(abs<f64>(least), abs<f64>(most)) * 4 > rounder) return NaN;
  const centre = least * 0.5 + most * 0.5 + rounder - rounder;
  memory.fill(totals, 0, TOTALS);
  for (at = base; at < end; at += BLOCK << 3) addBlock(at, min(at + (BLOCK << 3), end), rounder, centre, totals);
  return finish(totals, <f64>size, power(exponent - 1) + grid, grid * 0.5, sample, root);
}

/** Whether there is a NaN, which comparisons pass over where it is not the first value. */
function hasNaN(at: usize, end: usize): bool {
  let most = load<i64>(at);
  for (; at < end; at += 8) most = max<i64>(most, load<i64>(at));
  return orderFloat(most) != orderFloat(most);
}

/** Adds the values of a block to the totals. */
function addBlock(at: usize, end: usize, rounder: f64, centre: f64, totals: usize): void {
  let h: f64 = 0;
  let l: f64 = 0;
  let hh: f64 = 0;
  let hl: f64 = 0;
  let ll: f64 = 0;
  if (ASC_FEATURE_SIMD) {
    const rounders = f64x2.splat(rounder);
    const centres = f64x2.splat(centre);
    let sumH = f64x2.splat(0);
    let sumL = f64x2.splat(0);
    let sumHH = f64x2.splat(0);
    let sumHL = f64x2.splat(0);
    let sumLL = f64x2.splat(0);
    for (const whole = end - ((end - at) & 8); at < whole; at += 16) {
      const x = twoFloats(at);
      const near = f64x2.sub(f64x2.add(x, rounders), rounders);
      const low = f64x2.sub(x, near);
      const high = f64x2.sub(near, centres);
      sumH = f64x2.add(sumH, high);
      sumL = f64x2.add(sumL, low);
      sumHH = f64x2.add(sumHH, f64x2.mul(high, high));
      sumHL = f64x2.add(sumHL, f64x2.mul(high, low));
      sumLL = f64x2.add(sumLL, f64x2.mul(low, low));
    }
    h = sumOf(sumH);
    l = sumOf(sumL);
    hh = sumOf(sumHH);
    hl = sumOf(sumHL);
    ll = sumOf(sumLL);
  }
  for (; at < end; at += 8) {
    const x = orderFloat(load<i64>(at));
    const near = x + rounder - rounder;
    const low = x - near;
    const high = near - centre;
    h += high;
    l += low;
    hh += high * high;
    hl += high * low;
    ll += low * low;
  }
  addTo(totals + S1, h, l);
  addTo(totals + S2, hh, 2 * hl + ll);
}

// @ts-ignore: decorator
@inline
function sumOf(two: v128): f64 {
  return f64x2.extract_lane(two, 0) + f64x2.extract_lane(two, 1);
}

/**
 * The moment of `n` values of which those totals are known; NaN where it is not known how it rounds. No |h| is above
 * `large`, no |l| above `small`.
 */
function finish(totals: usize, n: f64, large: f64, small: f64, sample: bool, root: bool): f64 {
  const first = load<f64>(totals, S1);
  const firstLow = load<f64>(totals, S1 + 8);
  const second = load<f64>(totals, S2);
  const secondLow = load<f64>(totals, S2 + 8);
  // V, as n S2 less S1^2.
  const whole = n * second;
  const square = first * first;
  let high = whole - square;
  let low = sumError(whole, -square, high);
  low += productError(n, second) + n * secondLow - (productError(first, first) + 2 * first * firstLow);
  const spread = high + low;
  low -= spread - high;
  const firstError = n * (BLOCK_ERROR * HALF_UNIT * small + PAIR_ERROR * large);
  const secondError = 2 * BLOCK_ERROR * HALF_UNIT * n * small * (large + small);
  const error = n * secondError + (2 * abs<f64>(first) + firstError) * firstError + PAIR_ERROR * (whole + square);
  // NaN, too.
  if (!(error < spread * HALF_UNIT)) return NaN;
  // Over the divisor, which is a pair, too.
  const other = sample ? n - 1 : n;
  return pairRatio(spread, low, n * other, productError(n, other), error / spread, root);
}

/** Adds two numbers to a pair. */
// @ts-ignore: decorator
@inline
function addTo(pair: usize, a: f64, b: f64): void {
  const before = load<f64>(pair);
  const middle = before + a;
  const high = middle + b;
  const low = load<f64>(pair, 8) + sumError(before, a, middle) + sumError(middle, b, high);
  store<f64>(pair, high + low);
  store<f64>(pair, low - (high + low - high), 8);
}

// ---- all bits

// Sums in scratch, as integers in lanes (i64 each) that weigh 2^32 of the ones before: any float less the least exponent,
// and its square.
const LANES: usize = 72;
const SQUARE_LANES: usize = 140;
const SQUARES: usize = LANES << 3;

function exactMoment(fn: u32, base: usize, size: u32, target: usize, scratch: usize): bool {
  const end = base + ((<usize>size) << 3);
  let least: u32 = 2046;
  for (let at = base; at < end; at += 8) {
    const bits = reinterpret<u64>(orderFloat(load<i64>(at)));
    const position = positionOf(bits);
    // Not finite.
    if (position == 2046) {
      store<u64>(target, 0x7ff8000000000000);
      return true;
    }
    if (bits << 1 != 0) least = min(least, position);
  }
  memory.fill(scratch, 0, (LANES + SQUARE_LANES) << 3);
  for (let at = base; at < end; at += 8) {
    const bits = reinterpret<u64>(orderFloat(load<i64>(at)));
    if (bits << 1 == 0) continue;
    const mantissa = mantissaOf(bits);
    const position = positionOf(bits) - least;
    const sign: i64 = <i64>bits >> 63;
    const low = mantissa & 0xffffffff;
    const high = mantissa >> 32;
    const lane = scratch + ((<usize>(position >> 5)) << 3);
    addLane(lane, low, position & 31, sign);
    addLane(lane + 8, high, position & 31, sign);
    const twice = position << 1;
    const square = scratch + SQUARES + ((<usize>(twice >> 5)) << 3);
    addSquare(square, low * low, twice & 31);
    addSquare(square + 8, (low * high) << 1, twice & 31);
    addSquare(square + 16, high * high, twice & 31);
  }
  wideFromLanes(momentSum(scratch, 0), scratch, <u32>LANES);
  wideFromLanes(momentSum(scratch, 1), scratch + SQUARES, <u32>SQUARE_LANES);
  // Zeros alone have no least exponent.
  const exponent = <i32>min<u32>(least, 2045) - 1074;
  momentOfSums(fn, size, 0, exponent, exponent << 1, target, scratch);
  return true;
}

// @ts-ignore: decorator
@inline
function addSquare(lane: usize, value: u64, shift: u32): void {
  addLane(lane, value & 0xffffffff, shift, 0);
  addLane(lane + 8, value >> 32, shift, 0);
}

/** Adds 32 bits, shifted by up to 31, to a lane and the next; takes them away where `sign` is -1. */
// @ts-ignore: decorator
@inline
function addLane(lane: usize, value: u64, shift: u32, sign: i64): void {
  const shifted = value << <u64>shift;
  store<i64>(lane, load<i64>(lane) + ((<i64>(shifted & 0xffffffff) ^ sign) - sign));
  store<i64>(lane, load<i64>(lane, 8) + ((<i64>(shifted >> 32) ^ sign) - sign), 8);
}
