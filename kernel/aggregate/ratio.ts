// Ratios of wide integers, and their square roots, to the nearest float64, once.
//
// Numbers are those of expression/bignum.ts with a sign: +0 u32 words in use, +4 u32 negative, +8 words.
// The longest are squares of the third moment of floats of all sizes, some 13,700 bits.
//
// A ratio is shifted until its quotient has 125 to 127 bits; they and whether anything is left decide the
// rounding, of the root too: the root of the integer part is the integer part of the root.

import { multiplyHigh } from "../expression/arithmetic";
import { bigAdd, bigBits, bigCompare, bigCopy, bigMultiplyAdd, bigShiftLeft, bigSubtract } from "../expression/bignum";
import { multiplyWords } from "./moments";
import { DIGIT_MASK, roundDigits } from "./round";

/** Bytes of one number. */
export const WIDE_BYTES: usize = 2048;
const TWO_64: f64 = 4294967296.0 * 4294967296.0;
/** Bits of the largest float64 below it. */
const LARGEST_BELOW: u64 = 0x43efffffffffffff;
/** A quotient has this many bits, or up to two more. */
const QUOTIENT_BITS: i32 = 125;

// @ts-ignore: decorator
@inline
function word(big: usize, index: u32): usize {
  return big + 8 + ((<usize>index) << 2);
}

// @ts-ignore: decorator
@inline
export function wideIsNegative(big: usize): bool {
  return load<u32>(big, 4) != 0;
}

function trim(big: usize, count: u32): void {
  while (count > 0 && load<u32>(word(big, count - 1)) == 0) count--;
  store<u32>(big, count);
}

/** From a signed 192-bit integer (24 bytes). */
export function wideFrom192(big: usize, source: usize): void {
  let low = load<u64>(source);
  let middle = load<u64>(source, 8);
  let high = load<u64>(source, 16);
  const negative = <i64>high < 0;
  if (negative) {
    low = 0 - low;
    middle = ~middle + <u64>(low == 0);
    high = ~high + <u64>(low == 0 && middle == 0);
  }
  store<u32>(big, negative ? 1 : 0, 4);
  store<u64>(big, low, 8);
  store<u64>(big, middle, 16);
  store<u64>(big, high, 24);
  trim(big, 6);
}

/** From digits of 40 bits (see round.ts). */
export function wideFromDigits(big: usize, digits: usize, count: u32, negative: bool): void {
  store<u32>(big, negative ? 1 : 0, 4);
  let bits: u64 = 0;
  let held: u64 = 0;
  let words: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    // At most 24 bits are held here: 64 with the digit.
    bits |= load<u64>(digits + ((<usize>index) << 3)) << held;
    held += 40;
    while (held >= 32) {
      store<u32>(word(big, words), <u32>bits);
      words++;
      bits >>= 32;
      held -= 32;
    }
  }
  store<u32>(word(big, words), <u32>bits);
  trim(big, words + 1);
}

/** From `count` lanes (i64 each), of which each weighs 2^32 of the one before, and has less than 63 bits. */
export function wideFromLanes(big: usize, lanes: usize, count: u32): void {
  let carry: i64 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const value = load<i64>(lanes + ((<usize>index) << 3)) + carry;
    store<u32>(word(big, index), <u32>value);
    carry = value >> 32;
  }
  store<u32>(word(big, count), <u32>carry);
  store<u32>(big, carry < 0 ? 1 : 0, 4);
  if (carry < 0) {
    let more: u64 = 1;
    for (let index: u32 = 0; index <= count; index++) {
      more += <u64>load<u32>(word(big, index)) ^ 0xffffffff;
      store<u32>(word(big, index), <u32>more);
      more >>= 32;
    }
  }
  trim(big, count + 1);
}

/** out = a * b; `out` is neither. */
export function wideMultiply(out: usize, a: usize, b: usize): void {
  const na = load<u32>(a);
  const nb = load<u32>(b);
  if (na == 0 || nb == 0) {
    store<u64>(out, 0);
    return;
  }
  multiplyWords(out + 8, a + 8, na, b + 8, nb);
  store<u32>(out, load<u32>(a, 4) ^ load<u32>(b, 4), 4);
  trim(out, na + nb);
}

/** big = big * factor, which is not 0, and below 2^63. */
export function wideScale(big: usize, factor: u64): void {
  const high = <u32>(factor >> 32);
  if (high == 0) {
    bigMultiplyAdd(big, <u32>factor, 0);
    return;
  }
  const count = load<u32>(big);
  let before: u64 = 0;
  let carry: u64 = 0;
  let overflow: u64 = 0;
  for (let index: u32 = 0; index < count + 2; index++) {
    const digit: u64 = index < count ? load<u32>(word(big, index)) : 0;
    const first = digit * (factor & 0xffffffff);
    const second = before * <u64>high;
    let sum = carry + first;
    overflow = <u64>(sum < first);
    sum += second;
    overflow += <u64>(sum < second);
    store<u32>(word(big, index), <u32>sum);
    carry = (sum >> 32) | (overflow << 32);
    before = digit;
  }
  trim(big, count + 2);
}

/** big += other (negated where `minus`); `work` is a number's room. */
export function wideAdd(big: usize, other: usize, minus: bool, work: usize): void {
  if (load<u32>(other) == 0) return;
  const sign: u32 = load<u32>(other, 4) ^ (minus ? 1 : 0);
  if (load<u32>(big) == 0) {
    bigCopy(big, other);
    store<u32>(big, sign, 4);
  } else if (load<u32>(big, 4) == sign) {
    bigAdd(big, other);
  } else if (bigCompare(big, other) >= 0) {
    bigSubtract(big, other);
  } else {
    bigCopy(work, other);
    bigSubtract(work, big);
    bigCopy(big, work);
    store<u32>(big, sign, 4);
  }
}

/**
 * The float64 nearest to (numerator / denominator * 2^exponent), or to the square root of that where `root`,
 * negated where `negative`. The signs of both are ignored, and both are overwritten; the denominator is not
 * 0. `work` is 64 bytes.
 */
export function roundRatio(
  numerator: usize,
  denominator: usize,
  exponent: i32,
  root: bool,
  negative: bool,
  work: usize,
): f64 {
  if (load<u32>(numerator) == 0) return 0;
  let shift = QUOTIENT_BITS - (bigBits(numerator) - bigBits(denominator));
  if (root && ((exponent - shift) & 1) != 0) shift++;
  if (shift >= 0) bigShiftLeft(numerator, <u32>shift);
  else bigShiftLeft(denominator, <u32>-shift);
  const even = (32 - (bigBits(denominator) & 31)) & 31;
  bigShiftLeft(numerator, even);
  bigShiftLeft(denominator, even);
  memory.fill(work, 0, 64);
  let rest = divide(numerator, denominator, work);
  let low = load<u64>(work);
  let high = load<u64>(work, 8);
  exponent -= shift;
  if (root) {
    rest = squareRoot(low, high, work) || rest;
    low = load<u64>(work);
    high = 0;
    exponent >>= 1;
  }
  store<u64>(work, low & DIGIT_MASK);
  store<u64>(work, ((low >> 40) | (high << 24)) & DIGIT_MASK, 8);
  store<u64>(work, (high >> 16) & DIGIT_MASK, 16);
  store<u64>(work, high >> 56, 24);
  return roundDigits(work, 4, exponent, negative, rest);
}

/**
 * Knuth's algorithm D: the quotient of at most 5 words goes to `out`, the remainder replaces the numerator.
 * The divisor's highest bit is set, and it is not longer than the numerator. Whether the remainder is not 0.
 */
function divide(numerator: usize, divisor: usize, out: usize): bool {
  const nv = load<u32>(divisor);
  const nu = load<u32>(numerator);
  store<u32>(word(numerator, nu), 0);
  const top: u64 = load<u32>(word(divisor, nv - 1));
  const next: u64 = nv > 1 ? load<u32>(word(divisor, nv - 2)) : 0;
  for (let j = <i32>(nu - nv); j >= 0; j--) {
    const at = <u32>j + nv;
    const head = ((<u64>load<u32>(word(numerator, at))) << 32) | <u64>load<u32>(word(numerator, at - 1));
    let quotient = head / top;
    let remainder = head % top;
    const third: u64 = at >= 2 && nv > 1 ? load<u32>(word(numerator, at - 2)) : 0;
    while (quotient >> 32 != 0 || quotient * next > ((remainder << 32) | third)) {
      quotient--;
      remainder += top;
      if (remainder >> 32 != 0) break;
    }
    let borrow: i64 = 0;
    let carry: u64 = 0;
    for (let index: u32 = 0; index < nv; index++) {
      carry += quotient * <u64>load<u32>(word(divisor, index));
      const place = word(numerator, <u32>j + index);
      borrow += <i64>load<u32>(place) - <i64>(carry & 0xffffffff);
      store<u32>(place, <u32>borrow);
      borrow >>= 32;
      carry >>= 32;
    }
    const place = word(numerator, at);
    borrow += <i64>load<u32>(place) - <i64>carry;
    store<u32>(place, <u32>borrow);
    if (borrow < 0) {
      quotient--;
      let back: u64 = 0;
      for (let index: u32 = 0; index < nv; index++) {
        const again = word(numerator, <u32>j + index);
        back += <u64>load<u32>(again) + <u64>load<u32>(word(divisor, index));
        store<u32>(again, <u32>back);
        back >>= 32;
      }
      store<u32>(place, load<u32>(place) + <u32>back);
    }
    store<u32>(out + ((<usize>j) << 2), <u32>quotient);
  }
  trim(numerator, nu);
  return load<u32>(numerator) != 0;
}

/**
 * Stores the integer part of the square root of 128 bits, of which one of the first four is set; whether anything is left.
 * The nearest float64 is right to 52 bits, and Newton's step from it to twice as many: what it gives is off by one or
 * two at most. (Bit by bit, with a branch for each, that took 250 ns.)
 */
function squareRoot(low: u64, high: u64, out: usize): bool {
  const near = min(sqrt<f64>(<f64>high) * 4294967296, reinterpret<f64>(LARGEST_BELOW));
  let root = <u64>near;
  const error = <f64>restHigh(low, high, root) * TWO_64 + <f64>(low - root * root);
  const step = <i64>(error / (2 * near));
  const moved = root + <u64>step;
  // A root of 2^64 and more cannot be.
  root = step > 0 && moved < root ? u64.MAX_VALUE : moved;
  let above = restHigh(low, high, root);
  let rest = low - root * root;
  while (above < 0) {
    root--;
    // Adds 2 root + 1.
    const more = (root << 1) | 1;
    rest += more;
    above += <i64>(root >> 63) + <i64>(rest < more);
  }
  while (above > <i64>(root >> 63) || (above == <i64>(root >> 63) && rest > root << 1)) {
    const less = (root << 1) | 1;
    above -= <i64>(root >> 63) + <i64>(rest < less);
    rest -= less;
    root++;
  }
  store<u64>(out, root);
  return (rest | <u64>above) != 0;
}

/** The upper 64 bits of a 128-bit number less the square of `root`, which are signed. */
// @ts-ignore: decorator
@inline
function restHigh(low: u64, high: u64, root: u64): i64 {
  return high - multiplyHigh(root, root) - <u64>(low < root * root);
}
