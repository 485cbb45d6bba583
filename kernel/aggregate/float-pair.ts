// Pairs: the sum of two floats, the second of which is below half a unit in the last place of the first. They have some 105
// bits, so that a ratio of them, or its root, is nearly always known well enough to say how it rounds (Ziv, "Fast evaluation
// of elementary mathematical functions with correctly rounded last bit", 1991). Where it is not, all bits have to be
// computed (ratio.ts).
//
// Without error are sums (Knuth) and products (Dekker, Veltkamp: nothing overflows, or comes near 0).

import { SPLITTER } from "./exact-product";

/** What the arithmetic of pairs leaves of them, 2^25 operations and more: 2^-76. */
export const PAIR_ERROR: f64 = 1.0 / (9007199254740992.0 * 8388608.0);

/** a + b - sum, where that is the rounded sum. */
// @ts-ignore: decorator
@inline
export function sumError(a: f64, b: f64, sum: f64): f64 {
  const part = sum - a;
  return a - (sum - part) + (b - part);
}

/** a b - fl(a b). */
export function productError(a: f64, b: f64): f64 {
  const wideA = a * SPLITTER;
  const highA = wideA - (wideA - a);
  const lowA = a - highA;
  const wideB = b * SPLITTER;
  const highB = wideB - (wideB - b);
  const lowB = b - highB;
  return highA * highB - a * b + highA * lowB + lowA * highB + lowA * lowB;
}

/**
 * The float nearest to the ratio of two pairs, or to its root; NaN where it is not known which that is, or it is a root of 0.
 * `relative` is how far from it the numerator may be.
 */
export function pairRatio(high: f64, low: f64, divisor: f64, divisorLow: f64, relative: f64, root: bool): f64 {
  let result = high / divisor;
  let rest = high - result * divisor - productError(result, divisor) + low - result * divisorLow;
  rest /= divisor;
  let bound = (relative + PAIR_ERROR) * 2 * result;
  if (root) {
    const nearest = sqrt<f64>(result);
    rest += result - nearest * nearest - productError(nearest, nearest);
    rest /= 2 * nearest;
    bound = (relative + PAIR_ERROR) * nearest;
    result = nearest;
  }
  const rounded = result + (rest - bound);
  return rounded == result + (rest + bound) ? rounded : NaN;
}
