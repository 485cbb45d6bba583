// Variance, covariance, correlation, skewness and kurtosis from exact sums, rounded once.
//
// Every one of them is a ratio of integers, or the square root of one (n values, S1 = sum x, S2 = sum x^2, ...):
//
//   V = n S2 - S1^2            C = n Sxy - Sx Sy         T = n^2 S3 - 3 n S1 S2 + 2 S1^3
//   Q = n^3 S4 - 4 n^2 S1 S3 + 6 n S1^2 S2 - 3 S1^4
//
//   variance   V / (n (n - 1)), population V / n^2       covariance   C / (n (n - 1)), population C / n^2
//   stddev     the root of that                          corr         +- root (C^2 / (Vx Vy))
//   skewness   +- root (n (n - 1) T^2 / ((n - 2)^2 V^3))
//   kurtosis   (n - 1) ((n + 1) Q - 3 (n - 1) V^2) / ((n - 2) (n - 3) V^2), population (Q - 3 V^2) / V^2
//
// Sums of k-th powers are brought to integers times 2^(k g), so that all terms of a sum have one exponent.
// Definitions, and what few or equal values give, are DuckDB's.

import { Type } from "../abi/layout";
import { AggregateFunction } from "../abi/operator";
import { bigCopy, bigMultiplyPowerOfTen, bigSet, bigShiftLeft } from "../expression/bignum";
import { Accumulator, Family } from "./accumulator";
import { EXACT_SUM_BYTES, digitCount, exponentOf, hasSpecial, isNegative, sumExactLoad } from "./exact-read";
import { GRID, GRID_EXPONENT } from "./exact-limbs";
import { WIDE_BYTES, roundRatio, wideAdd, wideFrom192, wideFromDigits, wideIsNegative, wideMultiply, wideScale } from "./ratio";
import { DIGIT_BITS } from "./round";
import { sumIntegerLoad } from "./sum-integer";

/** Wide numbers that the formulas need at once. */
const NUMBERS: usize = 12;
export const MOMENTS_SCRATCH: usize = EXACT_SUM_BYTES + NUMBERS * WIDE_BYTES;

/** Accumulators of one result: x, xx, xxx, xxxx of one argument; x, y, xy, xx, yy of two. */
export const MOMENT_SLOTS: u32 = 5;

/** Exponents of a sum with a NaN or an infinity in it, and of 0. */
const SPECIAL: i32 = i32.MAX_VALUE;
const NOTHING: i32 = i32.MAX_VALUE - 1;

// @ts-ignore: decorator
@inline
export function isMoment(fn: u32): bool {
  return fn - <u32>AggregateFunction.VAR_SAMPLE <=
    <u32>AggregateFunction.KURTOSIS_POPULATION - <u32>AggregateFunction.VAR_SAMPLE;
}

/** Whether a moment takes two arguments. */
// @ts-ignore: decorator
@inline
export function isPairMoment(fn: u32): bool {
  return fn - <u32>AggregateFunction.COVAR_SAMPLE <=
    <u32>AggregateFunction.CORR - <u32>AggregateFunction.COVAR_SAMPLE;
}

/** Of a variance or deviation: whether it is a sample's. */
// @ts-ignore: decorator
@inline
export function isOfSample(fn: u32): bool {
  return fn == <u32>AggregateFunction.VAR_SAMPLE || fn == <u32>AggregateFunction.STDDEV_SAMPLE;
}

/** ... and whether it is a deviation. */
// @ts-ignore: decorator
@inline
export function isDeviation(fn: u32): bool {
  return fn == <u32>AggregateFunction.STDDEV_SAMPLE || fn == <u32>AggregateFunction.STDDEV_POPULATION;
}

/** Highest power that a moment of one argument needs. */
export function momentDegree(fn: u32): u32 {
  if (fn == <u32>AggregateFunction.SKEWNESS) return 3;
  return fn >= <u32>AggregateFunction.KURTOSIS ? 4 : 2;
}

/** Fewest values for which a moment is not null. */
export function momentLeast(fn: u32): u64 {
  switch (fn) {
    case AggregateFunction.SKEWNESS:
      return 3;
    case AggregateFunction.KURTOSIS:
      return 4;
    case AggregateFunction.VAR_SAMPLE:
    case AggregateFunction.STDDEV_SAMPLE:
    case AggregateFunction.COVAR_SAMPLE:
    case AggregateFunction.KURTOSIS_POPULATION:
      return 2;
    default:
      return 1;
  }
}

// @ts-ignore: decorator
@inline
function wide(scratch: usize, index: u32): usize {
  return scratch + EXACT_SUM_BYTES + <usize>index * WIDE_BYTES;
}

// @ts-ignore: decorator
@inline
function storeNaN(target: usize): bool {
  store<u64>(target, 0x7ff8000000000000);
  return true;
}

/** Reads a sum as an integer times 2^exponent, and answers the exponent. */
function loadSum(accumulators: usize, index: u32, group: u32, scratch: usize, big: usize): i32 {
  const self = changetype<Accumulator>(load<u32>(accumulators + ((<usize>index) << 2)));
  let exponent: i32 = 0;
  if (self.family == <u32>Family.SUM_INTEGER) {
    sumIntegerLoad(self, group, scratch);
    wideFrom192(big, scratch);
  } else {
    sumExactLoad(self, group, scratch);
    if (hasSpecial(scratch)) return SPECIAL;
    wideFromDigits(big, scratch, digitCount(scratch), isNegative(scratch));
    exponent = exponentOf(scratch);
    // Digits of integers count from limb GRID.
    if (self.type == <u32>Type.I128) exponent -= <i32>(GRID * DIGIT_BITS) + GRID_EXPONENT;
  }
  return load<u32>(big) == 0 ? NOTHING : exponent;
}

/** Brings a sum of exponent `exponent` down to `wanted`; no exponent is larger. */
function lower(big: usize, exponent: i32, wanted: i32): void {
  if (exponent != NOTHING) bigShiftLeft(big, <u32>(exponent - wanted));
}

/** floor(exponent / degree); NOTHING stays. */
function share(exponent: i32, degree: i32): i32 {
  if (exponent == NOTHING) return NOTHING;
  return exponent >= 0 ? exponent / degree : -((degree - 1 - exponent) / degree);
}

/**
 * A group's moment to `target`; false for null. `n` is the number of its values, at least `momentLeast`.
 * `scale` is the sum of the scales of both factors of a product.
 */
export function momentValue(
  fn: u32,
  accumulators: usize,
  group: u32,
  n: u64,
  scale: u32,
  target: usize,
  scratch: usize,
): bool {
  return isPairMoment(fn)
    ? pairValue(fn, accumulators, group, n, scale, target, scratch)
    : oneValue(fn, accumulators, group, n, scale, target, scratch);
}

// ---- one argument

function oneValue(
  fn: u32,
  accumulators: usize,
  group: u32,
  n: u64,
  scale: u32,
  target: usize,
  scratch: usize,
): bool {
  const degree = momentDegree(fn);
  const s1 = wide(scratch, 0);
  const s2 = wide(scratch, 1);
  const e1 = loadSum(accumulators, 0, group, scratch, s1);
  const e2 = loadSum(accumulators, 1, group, scratch, s2);
  if (degree == 2) return momentOfSums(fn, n, scale, e1, e2, target, scratch);
  const e3 = loadSum(accumulators, 2, group, scratch, wide(scratch, 2));
  const e4 = degree >= 4 ? loadSum(accumulators, 3, group, scratch, wide(scratch, 3)) : NOTHING;
  if (e1 == SPECIAL || e2 == SPECIAL || e3 == SPECIAL || e4 == SPECIAL) return storeNaN(target);
  let unit = min(min(e1, share(e2, 2)), min(share(e3, 3), share(e4, 4)));
  if (unit == NOTHING) unit = 0;
  lower(s1, e1, unit);
  lower(s2, e2, unit * 2);
  lower(wide(scratch, 2), e3, unit * 3);
  lower(wide(scratch, 3), e4, unit * 4);
  const v = wide(scratch, 4);
  storeSpread(v, s1, s1, s2, n, scratch);
  return degree == 3 ? skewness(n, v, target, scratch) : kurtosis(fn, n, v, target, scratch);
}

/** Where, in scratch, `momentOfSums` takes the sums of values (0) and of their squares (1) as wide numbers. */
export function momentSum(scratch: usize, index: u32): usize {
  return wide(scratch, index);
}

/** VAR or STDDEV of the sums, which have those exponents. True: it is never null. */
export function momentOfSums(
  fn: u32,
  n: u64,
  scale: u32,
  exponent: i32,
  squareExponent: i32,
  target: usize,
  scratch: usize,
): bool {
  if (exponent == SPECIAL || squareExponent == SPECIAL) return storeNaN(target);
  const s1 = wide(scratch, 0);
  const s2 = wide(scratch, 1);
  let unit = min(exponent, share(squareExponent, 2));
  if (unit == NOTHING) unit = 0;
  lower(s1, exponent, unit);
  lower(s2, squareExponent, unit * 2);
  const v = wide(scratch, 4);
  storeSpread(v, s1, s1, s2, n, scratch);
  const divisor = divisorOf(n, isOfSample(fn), scale, scratch);
  store<f64>(target, roundRatio(v, divisor, unit * 2, isDeviation(fn), false, scratch));
  return true;
}

/** out = n product - a b: the spread of squares or products, times n^2. Uses wide numbers 10 and 11. */
function storeSpread(out: usize, a: usize, b: usize, product: usize, n: u64, scratch: usize): void {
  const work = wide(scratch, 10);
  bigCopy(out, product);
  wideScale(out, n);
  wideMultiply(work, a, b);
  wideAdd(out, work, true, wide(scratch, 11));
}

/** n (n - 1) or n^2, by 10^scale: wide number 9. */
function divisorOf(n: u64, sample: bool, scale: u32, scratch: usize): usize {
  const divisor = wide(scratch, 9);
  bigSet(divisor, n);
  store<u32>(divisor, 0, 4);
  wideScale(divisor, sample ? n - 1 : n);
  bigMultiplyPowerOfTen(divisor, scale);
  return divisor;
}

/** n^2 S3 - 3 n S1 S2 + 2 S1^3 and V decide. */
function skewness(n: u64, v: usize, target: usize, scratch: usize): bool {
  if (load<u32>(v) == 0) return storeNaN(target);
  const s1 = wide(scratch, 0);
  const t = wide(scratch, 2);
  const a = wide(scratch, 5);
  const b = wide(scratch, 6);
  const work = wide(scratch, 11);
  wideScale(t, n);
  wideScale(t, n);
  wideMultiply(a, s1, wide(scratch, 1));
  wideScale(a, n);
  wideScale(a, 3);
  wideAdd(t, a, true, work);
  wideMultiply(a, s1, s1);
  wideMultiply(b, a, s1);
  wideScale(b, 2);
  wideAdd(t, b, false, work);
  const negative = wideIsNegative(t);
  wideMultiply(a, t, t);
  wideScale(a, n);
  wideScale(a, n - 1);
  wideMultiply(b, v, v);
  const divisor = wide(scratch, 9);
  wideMultiply(divisor, b, v);
  wideScale(divisor, n - 2);
  wideScale(divisor, n - 2);
  store<f64>(target, roundRatio(a, divisor, 0, true, negative, scratch));
  return true;
}

/** n^3 S4 - 4 n^2 S1 S3 + 6 n S1^2 S2 - 3 S1^4 and V^2 decide. */
function kurtosis(fn: u32, n: u64, v: usize, target: usize, scratch: usize): bool {
  if (load<u32>(v) == 0) return false;
  const s1 = wide(scratch, 0);
  const q = wide(scratch, 3);
  const a = wide(scratch, 5);
  const squared = wide(scratch, 6);
  const work = wide(scratch, 11);
  wideScale(q, n);
  wideScale(q, n);
  wideScale(q, n);
  wideMultiply(a, s1, wide(scratch, 2));
  wideScale(a, n);
  wideScale(a, n);
  wideScale(a, 4);
  wideAdd(q, a, true, work);
  wideMultiply(squared, s1, s1);
  wideMultiply(a, squared, wide(scratch, 1));
  wideScale(a, n);
  wideScale(a, 6);
  wideAdd(q, a, false, work);
  wideMultiply(a, squared, squared);
  wideScale(a, 3);
  wideAdd(q, a, true, work);
  const divisor = wide(scratch, 9);
  wideMultiply(divisor, v, v);
  bigCopy(a, divisor);
  wideScale(a, 3);
  if (fn == <u32>AggregateFunction.KURTOSIS) {
    wideScale(q, n + 1);
    wideScale(a, n - 1);
    wideAdd(q, a, true, work);
    wideScale(q, n - 1);
    wideScale(divisor, n - 2);
    wideScale(divisor, n - 3);
  } else wideAdd(q, a, true, work);
  store<f64>(target, roundRatio(q, divisor, 0, false, wideIsNegative(q), scratch));
  return true;
}

// ---- two arguments

function pairValue(
  fn: u32,
  accumulators: usize,
  group: u32,
  n: u64,
  scale: u32,
  target: usize,
  scratch: usize,
): bool {
  const corr = fn == <u32>AggregateFunction.CORR;
  // One value is equal to itself, whatever it is.
  if (corr && n == 1) return storeNaN(target);
  const sx = wide(scratch, 0);
  const sy = wide(scratch, 1);
  const sxy = wide(scratch, 2);
  const sxx = wide(scratch, 3);
  const syy = wide(scratch, 4);
  const ex = loadSum(accumulators, 0, group, scratch, sx);
  const ey = loadSum(accumulators, 1, group, scratch, sy);
  const exy = loadSum(accumulators, 2, group, scratch, sxy);
  const exx = corr ? loadSum(accumulators, 3, group, scratch, sxx) : NOTHING;
  const eyy = corr ? loadSum(accumulators, 4, group, scratch, syy) : NOTHING;
  if (ex == SPECIAL || ey == SPECIAL || exy == SPECIAL || exx == SPECIAL || eyy == SPECIAL)
    return storeNaN(target);
  let unitX = min(ex, share(exx, 2));
  let unitY = min(ey, share(eyy, 2));
  if (unitX == NOTHING) unitX = 0;
  if (unitY == NOTHING) unitY = 0;
  if (exy != NOTHING && exy < unitX + unitY) unitX = exy - unitY;
  lower(sx, ex, unitX);
  lower(sy, ey, unitY);
  lower(sxy, exy, unitX + unitY);
  const c = wide(scratch, 5);
  storeSpread(c, sx, sy, sxy, n, scratch);
  const negative = wideIsNegative(c);
  if (!corr) {
    const divisor = divisorOf(n, fn == <u32>AggregateFunction.COVAR_SAMPLE, scale, scratch);
    store<f64>(target, roundRatio(c, divisor, unitX + unitY, false, negative, scratch));
    return true;
  }
  lower(sxx, exx, unitX * 2);
  lower(syy, eyy, unitY * 2);
  const vx = wide(scratch, 6);
  const vy = wide(scratch, 7);
  storeSpread(vx, sx, sx, sxx, n, scratch);
  storeSpread(vy, sy, sy, syy, n, scratch);
  if (load<u32>(vx) == 0 || load<u32>(vy) == 0) return storeNaN(target);
  const squared = wide(scratch, 8);
  const divisor = wide(scratch, 9);
  wideMultiply(squared, c, c);
  wideMultiply(divisor, vx, vy);
  store<f64>(target, roundRatio(squared, divisor, 0, true, negative, scratch));
  return true;
}
