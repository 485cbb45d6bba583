// Exact sums, read: their digits put together from dense limbs and side list, rounded, or saved as state.

import { Type } from "../abi/layout";
import { shiftedFloats } from "../column/shifter";
import { Accumulator } from "./accumulator";
import { DIGITS, GRID, GRID_EXPONENT, NAN, NEGATIVE_INFINITY, SIDE_ENTRY, STATE_ENTRY } from "./exact-limbs";
import { powerDegree } from "./power";
import { DIGIT_BITS, DIGIT_MASK, quickQuotient, roundDigits, roundQuotient } from "./round";

/**
 * A sum as it is read: its digits (see round.ts) with room for a quotient's, then
 *   +1744 u32 digits  +1748 u32 limb of the lowest  +1752 u32 negative
 *   +1760 u64 NaNs  +1768 u64 +Inf  +1776 u64 -Inf  +1784 limbs while they are put together
 */
export const EXACT_SUM_BYTES: usize = 5888;
const COUNT: usize = 1744;
const FIRST: usize = 1748;
const NEGATIVE: usize = 1752;
const NANS: usize = 1760;
const WORK: usize = 1784;
/** Digits by which a 128-bit side entry may reach past its limb. */
const SPILL: u32 = 4;

/**
 * Reads a word of the sums of listed groups (u32 each), that they are in the cache: these loads wait for memory together,
 * where sums that are read one after the other wait each by itself. Answers what depends on all of them.
 */
export function sumExactBring(self: Accumulator, list: usize, rows: u32): u64 {
  let all: u64 = 0;
  for (const end = list + ((<usize>rows) << 2); list < end; list += 4) {
    const group: usize = load<u32>(list);
    if (self.limbs != 0) all += load<u64>(self.values + group * <usize>self.stride);
    if (self.heads != 0) all += load<u32>(self.heads + (group << 2));
  }
  return all;
}

/** Reads a group's sum into `sum` (EXACT_SUM_BYTES). */
export function sumExactLoad(self: Accumulator, group: u32, sum: usize): void {
  memory.fill(sum + NANS, 0, 24);
  if (self.heads != 0 && load<u32>(self.heads + ((<usize>group) << 2)) != 0) loadSide(self, group, sum);
  else loadDense(self, group, sum);
}

function loadDense(self: Accumulator, group: u32, sum: usize): void {
  const limbs = self.limbs;
  const at = self.values + <usize>group * <usize>self.stride;
  let carry: i64 = 0;
  for (let limb: u32 = 0; limb < limbs; limb++) {
    const value = load<i64>(at + ((<usize>limb) << 3)) + carry;
    carry = value >> 40;
    store<u64>(sum + ((<usize>limb) << 3), value & <i64>DIGIT_MASK);
  }
  store<u64>(sum + ((<usize>limbs) << 3), <u64>carry & DIGIT_MASK);
  finishLoad(sum, limbs + 1, self.lowLimb + GRID, carry < 0);
}

function loadSide(self: Accumulator, group: u32, sum: usize): void {
  const work = sum + WORK;
  // Only the limbs between the lowest and the highest that are there matter.
  let lowest: u32 = self.limbs == 0 ? DIGITS - 1 : self.lowLimb + GRID;
  let highest: u32 = self.limbs == 0 ? 0 : lowest + self.limbs - 1;
  for (let next = load<u32>(self.heads + ((<usize>group) << 2)); next != 0; ) {
    const entry = self.side + <usize>(next - 1) * SIDE_ENTRY;
    const limb = load<u32>(entry, 20);
    if (limb < NAN) {
      lowest = min(lowest, limb);
      highest = max(highest, limb);
    }
    next = load<u32>(entry, 16);
  }
  const end = min(max(lowest, highest) + SPILL, DIGITS - 1) + 1;
  memory.fill(work + ((<usize>lowest) << 4), 0, (<usize>(end - lowest)) << 4);
  memory.fill(work + ((<usize>NAN) << 4), 0, 48);
  const at = self.values + <usize>group * <usize>self.stride;
  for (let limb: u32 = 0; limb < self.limbs; limb++) {
    const value = load<i64>(at + ((<usize>limb) << 3));
    const target = work + ((<usize>(self.lowLimb + GRID + limb)) << 4);
    store<i64>(target, value);
    store<i64>(target, value >> 63, 8);
  }
  for (let next = load<u32>(self.heads + ((<usize>group) << 2)); next != 0; ) {
    const entry = self.side + <usize>(next - 1) * SIDE_ENTRY;
    add128(work + ((<usize>load<u32>(entry, 20)) << 4), load<u64>(entry), load<i64>(entry, 8));
    next = load<u32>(entry, 16);
  }
  memory.fill(sum + NANS, 0, 24);
  for (let kind = NAN; kind <= NEGATIVE_INFINITY; kind++) {
    store<u64>(sum + NANS + ((<usize>(kind - NAN)) << 3), load<u64>(work + ((<usize>kind) << 4)));
  }
  let low: u64 = 0;
  let high: i64 = 0;
  for (let limb = lowest; limb < end; limb++) {
    const from = work + ((<usize>limb) << 4);
    add128(from, low, high);
    low = load<u64>(from);
    high = load<i64>(from, 8);
    store<u64>(sum + ((<usize>(limb - lowest)) << 3), low & DIGIT_MASK);
    low = (low >> 40) | ((<u64>high) << 24);
    high >>= 40;
  }
  finishLoad(sum, end - lowest, lowest, high < 0);
}

// @ts-ignore: decorator
@inline
function add128(at: usize, low: u64, high: i64): void {
  const sum = load<u64>(at) + low;
  store<u64>(at, sum);
  store<i64>(at, load<i64>(at, 8) + high + <i64>(sum < low), 8);
}

/** Turns the complement of a negative sum into its magnitude. */
function finishLoad(sum: usize, count: u32, first: u32, negative: bool): void {
  if (negative) {
    let carry: u64 = 1;
    for (let digit: u32 = 0; digit < count; digit++) {
      const at = sum + ((<usize>digit) << 3);
      const value = (load<u64>(at) ^ DIGIT_MASK) + carry;
      carry = value >> 40;
      store<u64>(at, value & DIGIT_MASK);
    }
  }
  store<u32>(sum, count, COUNT);
  store<u32>(sum, first, FIRST);
  store<u32>(sum, negative ? 1 : 0, NEGATIVE);
}

/** NaN or an infinity when the inputs decide that, else 0. */
function special(sum: usize): f64 {
  const positive = load<u64>(sum, NANS + 8) != 0;
  const negative = load<u64>(sum, NANS + 16) != 0;
  if (load<u64>(sum, NANS) != 0 || (positive && negative)) return reinterpret<f64>(0x7ff8000000000000);
  return positive ? Infinity : negative ? -Infinity : 0;
}

/** Windows whose limbs' weights are normal floats, times 2^93 and divided by 2^53, too. */
const PLAIN_LOW_MIN: u32 = 4;
const PLAIN_LOW_MAX: u32 = 45;
const PLAIN_HIGH_MAX: i64 = 1 << 53;

/** 2^e for a normal float. */
// @ts-ignore: decorator
@inline
export function power(exponent: i32): f64 {
  return reinterpret<f64>((<u64>(exponent + 1023)) << 52);
}

// @ts-ignore: decorator
@inline
function hasPlainWeight(self: Accumulator): bool {
  return self.lowLimb >= PLAIN_LOW_MIN && self.lowLimb <= PLAIN_LOW_MAX;
}

/** Whether a group's sum is (high * 2^40 + rest) * weight, without a side list. */
// @ts-ignore: decorator
@inline
function isPlain(self: Accumulator, group: u32): bool {
  return (
    self.limbs - 1 < 2 &&
    hasPlainWeight(self) &&
    (self.heads == 0 || load<u32>(self.heads + ((<usize>group) << 2)) == 0)
  );
}

// @ts-ignore: decorator
@inline
function plainHigh(self: Accumulator, at: usize): i64 {
  return (load<i64>(at) >> 40) + (self.limbs == 2 ? load<i64>(at, 8) : 0);
}

// @ts-ignore: decorator
@inline
function isWhole(high: i64): bool {
  return high <= PLAIN_HIGH_MAX && high >= -PLAIN_HIGH_MAX;
}

// @ts-ignore: decorator
@inline
function plainWeight(self: Accumulator): f64 {
  return power(<i32>(self.lowLimb * DIGIT_BITS) - 1074);
}

/** A group's sum, rounded. `scratch` is EXACT_SUM_BYTES. */
export function sumExactValue(self: Accumulator, group: u32, scratch: usize): f64 {
  if (isPlain(self, group)) {
    const at = self.values + <usize>group * <usize>self.stride;
    const high = plainHigh(self, at);
    if (isWhole(high)) {
      // Both parts are floats without rounding: their sum rounds once.
      const weight = plainWeight(self);
      const rest = <f64>(load<i64>(at) & <i64>DIGIT_MASK);
      return <f64>high * (weight * 1099511627776.0) + rest * weight;
    }
  }
  return wideValue(self, group, scratch);
}

/** Sums of the `count` groups listed at `list` (u32 each), rounded, at `target` (8 bytes each). `scratch` likewise. */
export function sumExactList(self: Accumulator, list: usize, count: u32, target: usize, scratch: usize): void {
  let at: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    for (const whole = self.limbs == 2 && self.heads == 0 && hasPlainWeight(self) ? count & ~1 : 0; at < whole; at += 2) {
      const groups = list + ((<usize>at) << 2);
      const to = target + ((<usize>at) << 3);
      if (plainTwo(self, load<u32>(groups), load<u32>(groups, 4), to)) continue;
      store<f64>(to, sumExactValue(self, load<u32>(groups), scratch));
      store<f64>(to, sumExactValue(self, load<u32>(groups, 4), scratch), 8);
    }
  }
  for (; at < count; at++)
    store<f64>(target + ((<usize>at) << 3), sumExactValue(self, load<u32>(list + ((<usize>at) << 2)), scratch));
}

/** The sums of two groups of two limbs, at `target`; false where a limb is no integer of 52 bits. */
// @ts-ignore: decorator
@inline
function plainTwo(self: Accumulator, first: u32, second: u32, target: usize): bool {
  const one = v128.load(self.values + ((<usize>first) << 4));
  const other = v128.load(self.values + ((<usize>second) << 4));
  const low = v128.shuffle<i64>(one, other, 0, 2);
  const high = v128.shuffle<i64>(one, other, 1, 3);
  const half = i64x2.splat(1 << 51);
  const beyond = v128.or(i64x2.add(low, half), i64x2.add(high, half));
  if (v128.any_true(v128.and(beyond, i64x2.splat(-1 << 52)))) return false;
  // Both parts are floats without rounding: their sum rounds once.
  const weight = plainWeight(self);
  const rest = f64x2.mul(shiftedFloats(low), f64x2.splat(weight));
  const part = f64x2.mul(shiftedFloats(high), f64x2.splat(weight * 1099511627776.0));
  v128.store(target, f64x2.add(part, rest));
  return true;
}

function wideValue(self: Accumulator, group: u32, scratch: usize): f64 {
  sumExactLoad(self, group, scratch);
  const exception = special(scratch);
  if (exception != 0) return exception;
  return roundDigits(
    scratch,
    load<u32>(scratch, COUNT),
    exponentOf(scratch),
    load<u32>(scratch, NEGATIVE) != 0,
    false,
  );
}

/** A group's sum divided by `count` (not 0), rounded once. */
export function sumExactAverage(self: Accumulator, group: u32, count: u64, scratch: usize): f64 {
  if (isPlain(self, group) && count < 1 << 53) {
    const at = self.values + <usize>group * <usize>self.stride;
    const high = plainHigh(self, at);
    const quotient = isWhole(high) ? quickQuotient(high, load<u64>(at) & DIGIT_MASK, count) : NaN;
    if (quotient == quotient) return quotient * plainWeight(self);
  }
  sumExactLoad(self, group, scratch);
  const exception = special(scratch);
  if (exception != 0) return exception;
  return roundQuotient(
    scratch,
    load<u32>(scratch, COUNT),
    exponentOf(scratch),
    count,
    load<u32>(scratch, NEGATIVE) != 0,
  );
}

// @ts-ignore: decorator
@inline
export function exponentOf(sum: usize): i32 {
  return <i32>(load<u32>(sum, FIRST) * DIGIT_BITS) + GRID_EXPONENT;
}

// @ts-ignore: decorator
@inline
export function digitCount(sum: usize): u32 {
  return load<u32>(sum, COUNT);
}

// @ts-ignore: decorator
@inline
export function isNegative(sum: usize): bool {
  return load<u32>(sum, NEGATIVE) != 0;
}

/** Whether a NaN or an infinity is in a loaded sum. */
export function hasSpecial(sum: usize): bool {
  return (load<u64>(sum, NANS) | load<u64>(sum, NANS + 8) | load<u64>(sum, NANS + 16)) != 0;
}

/**
 * Writes a group's state to `target` (EXACT_STATE_BYTES) and answers its length; 0 for a sum of nothing but
 * zeros.
 */
export function sumExactState(self: Accumulator, group: u32, target: usize, scratch: usize): u32 {
  sumExactLoad(self, group, scratch);
  let at = target + 1;
  const count = load<u32>(scratch, COUNT);
  const first = load<u32>(scratch, FIRST);
  for (let digit: u32 = 0; digit < count; digit++)
    at = putState(at, first + digit, load<u64>(scratch + ((<usize>digit) << 3)));
  for (let kind = NAN; kind <= NEGATIVE_INFINITY; kind++) {
    at = putState(at, kind, load<u64>(scratch + NANS + ((<usize>(kind - NAN)) << 3)));
  }
  store<u8>(target, load<u8>(scratch, NEGATIVE));
  return at == target + 1 ? 0 : <u32>(at - target);
}

function putState(at: usize, limb: u32, value: u64): usize {
  if (value == 0) return at;
  store<u8>(at, <u8>limb);
  store<u64>(at, value, 1);
  return at + <usize>STATE_ENTRY;
}

/** Lowest and highest limb that sums of this power can have. */
function leastLimb(self: Accumulator): u32 {
  if (self.type == <u32>Type.I128) return GRID;
  return <u32>(-GRID_EXPONENT - 1074 * <i32>powerDegree(self.power)) / DIGIT_BITS;
}

function greatestLimb(self: Accumulator): u32 {
  const degree = powerDegree(self.power);
  if (self.type == <u32>Type.I128) return GRID + (128 * degree + 64) / DIGIT_BITS;
  return <u32>(-GRID_EXPONENT + 1024 * <i32>degree + 64) / DIGIT_BITS;
}

/** Whether `length` bytes are a state that `sumExactState` could have written. */
export function sumExactStateIsValid(self: Accumulator, state: usize, length: u32): bool {
  if (length == 0) return true;
  if (length % STATE_ENTRY != 1 || length == 1 || load<u8>(state) > 1) return false;
  let previous = <i32>leastLimb(self) - 1;
  const most = <i32>greatestLimb(self);
  for (let at: u32 = 1; at < length; at += STATE_ENTRY) {
    const limb = <i32>load<u8>(state + <usize>at);
    const value = load<u64>(state + <usize>at, 1);
    if (limb <= previous || value == 0) return false;
    if (limb < <i32>NAN ? limb > most || value > DIGIT_MASK : !self.retracts && value >> 62 != 0) return false;
    previous = limb;
  }
  return true;
}
