// Squares and products of float64 values, cut into limbs and added to their groups in one go: what moments.ts does plane
// by plane, for what nearly every row of a float column is.
//
// x y = p + e without error (see moments.ts), and both are cut in registers: p into all limbs of the window, as
// exact-cut.ts does it, and e into all but the highest, which it cannot reach: |e| <= 2^-53 |p|. Their limbs are added
// before a group's are touched. A pair of rows of which one does not fit is left out and listed, so that one rare value
// does not undo its chunk.
//
// For the squares of 10 million values in 10,000 groups that takes 0.6 of the time of two planes that are stored and
// added one after the other.

import { Accumulator } from "./accumulator";
import { groupOffset, limbsOf, magic, reach } from "./exact-cut";
import { addBoth, addFirst, addSecond } from "./lanes";

/** 2^27 + 1: Veltkamp's constant. */
export const SPLITTER: f64 = 134217729;
/** Magnitudes between which products are split without error, as their biased exponents: 2^-200 and 2^200. */
export const LEAST_EXPONENT: u32 = 823;
export const EXPONENTS: u32 = 400;
/** Limbs that are cut here: fewest and most. */
const LIMBS_LEAST: u32 = 2;
const LIMBS_MOST: u32 = 4;

/** Whether `addProducts` takes this accumulator's values. It needs SIMD. */
export function takesProducts(self: Accumulator): bool {
  return self.limbs >= LIMBS_LEAST && self.limbs <= LIMBS_MOST;
}

/**
 * Adds the products of `count` values (an even number) at `a` and `b`, which are one address for squares. Rows are
 * listed at `left` (u32 each), the first of a pair of which one does not fit and is not added; answers how many.
 */
export function addProducts(self: Accumulator, a: usize, b: usize, numbers: usize, count: u32, left: usize): u32 {
  switch (self.limbs) {
    case 2:
      return a == b
        ? fold<u16, u8>(self.lowLimb, self.values, a, a, numbers, count, left)
        : fold<u16, u16>(self.lowLimb, self.values, a, b, numbers, count, left);
    case 3:
      return a == b
        ? fold<u32, u8>(self.lowLimb, self.values, a, a, numbers, count, left)
        : fold<u32, u16>(self.lowLimb, self.values, a, b, numbers, count, left);
    default:
      return a == b
        ? fold<u64, u8>(self.lowLimb, self.values, a, a, numbers, count, left)
        : fold<u64, u16>(self.lowLimb, self.values, a, b, numbers, count, left);
  }
}

// The first type parameter stands for the number of limbs (u16 = 2, u32 = 3, u64 = 4), the other for that of factors
// (u8 = 1, u16 = 2).

// @ts-ignore: decorator
@inline
function isSquare<F>(): bool {
  return sizeof<F>() == 1;
}

function fold<N, F>(low: u32, sums: usize, a: usize, b: usize, numbers: usize, count: u32, left: usize): u32 {
  const M0 = f64x2.splat(magic(low));
  const M1 = f64x2.splat(magic(low + 1));
  const M2 = f64x2.splat(magic(low + 2));
  const M3 = f64x2.splat(magic(low + 3));
  const limits = f64x2.splat(reach(low, limbsOf<N>()));
  const splitter = f64x2.splat(SPLITTER);
  const most = f64x2.splat(power(LEAST_EXPONENT + EXPONENTS));
  const least = f64x2.splat(isSquare<F>() ? power(LEAST_EXPONENT) * power(LEAST_EXPONENT) : power(LEAST_EXPONENT));
  const zero = f64x2.splat(0);
  let lefts = left;
  for (let row: u32 = 0; row < count; row += 2) {
    const x = v128.load(a + ((<usize>row) << 3));
    const cx = f64x2.mul(x, splitter);
    const hx = f64x2.sub(cx, f64x2.sub(cx, x));
    const lx = f64x2.sub(x, hx);
    let p: v128;
    let e: v128;
    let bad: v128;
    if (isSquare<F>()) {
      p = f64x2.mul(x, x);
      e = f64x2.sub(f64x2.mul(hx, hx), p);
      e = f64x2.add(e, f64x2.mul(f64x2.add(hx, hx), lx));
      e = f64x2.add(e, f64x2.mul(lx, lx));
      // A square below the limit, which is below 2^1023, is not too large to be split.
      bad = v128.or(f64x2.ge(p, limits), v128.and(f64x2.lt(p, least), f64x2.ne(x, zero)));
    } else {
      const y = v128.load(b + ((<usize>row) << 3));
      const cy = f64x2.mul(y, splitter);
      const hy = f64x2.sub(cy, f64x2.sub(cy, y));
      const ly = f64x2.sub(y, hy);
      p = f64x2.mul(x, y);
      e = f64x2.sub(f64x2.mul(hx, hy), p);
      e = f64x2.add(e, f64x2.mul(hx, ly));
      e = f64x2.add(e, f64x2.mul(lx, hy));
      e = f64x2.add(e, f64x2.mul(lx, ly));
      const ax = f64x2.abs(x);
      const ay = f64x2.abs(y);
      bad = v128.or(f64x2.ge(f64x2.abs(p), limits), f64x2.ge(f64x2.max(ax, ay), most));
      bad = v128.or(bad, v128.and(f64x2.lt(ax, least), f64x2.ne(x, zero)));
      bad = v128.or(bad, v128.and(f64x2.lt(ay, least), f64x2.ne(y, zero)));
    }
    // What is left of p and e in the end is 0 where they fit, and NaN, which has bits, where an argument is or is infinite.
    let d1: v128;
    let d2: v128 = p;
    let d3: v128 = p;
    if (limbsOf<N>() >= 4) {
      const q = f64x2.add(p, M3);
      p = f64x2.sub(p, f64x2.sub(q, M3));
      d3 = i64x2.sub(q, M3);
    }
    if (limbsOf<N>() >= 3) {
      const q = f64x2.add(p, M2);
      p = f64x2.sub(p, f64x2.sub(q, M2));
      d2 = i64x2.sub(q, M2);
    }
    if (limbsOf<N>() >= 4) {
      const q = f64x2.add(e, M2);
      e = f64x2.sub(e, f64x2.sub(q, M2));
      d2 = i64x2.add(d2, i64x2.sub(q, M2));
    }
    const p1 = f64x2.add(p, M1);
    p = f64x2.sub(p, f64x2.sub(p1, M1));
    d1 = i64x2.sub(p1, M1);
    if (limbsOf<N>() >= 3) {
      const q = f64x2.add(e, M1);
      e = f64x2.sub(e, f64x2.sub(q, M1));
      d1 = i64x2.add(d1, i64x2.sub(q, M1));
    }
    const p0 = f64x2.add(p, M0);
    const e0 = f64x2.add(e, M0);
    const d0 = i64x2.add(i64x2.sub(p0, M0), i64x2.sub(e0, M0));
    p = f64x2.sub(p, f64x2.sub(p0, M0));
    e = f64x2.sub(e, f64x2.sub(e0, M0));
    const rest = v128.or(p, e);
    // A product of -0 leaves -0.
    if (v128.any_true(v128.or(bad, isSquare<F>() ? rest : i64x2.shl(rest, 1)))) {
      store<u32>(lefts, row);
      lefts += 4;
      continue;
    }
    const pair = load<u64>(numbers + ((<usize>row) << 2));
    const first = sums + groupOffset<N>(<u32>pair);
    const second = sums + groupOffset<N>(<u32>(pair >> 32));
    addBoth(first, v128.shuffle<i64>(d0, d1, 0, 2));
    if (limbsOf<N>() == 3) addFirst(first + 16, d2);
    if (limbsOf<N>() == 4) addBoth(first + 16, v128.shuffle<i64>(d2, d3, 0, 2));
    addBoth(second, v128.shuffle<i64>(d0, d1, 1, 3));
    if (limbsOf<N>() == 3) addSecond(second + 16, d2);
    if (limbsOf<N>() == 4) addBoth(second + 16, v128.shuffle<i64>(d2, d3, 1, 3));
  }
  return <u32>((lefts - left) >> 2);
}

/** The power of two with a biased exponent. */
// @ts-ignore: decorator
@inline
function power(exponent: u32): f64 {
  return reinterpret<f64>((<u64>exponent) << 52);
}
