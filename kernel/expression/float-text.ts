// Between floats and decimal digits, exactly: correctly rounded one way, shortest round trip the other.
//
// Reading: 19 digits or fewer with a small power of ten take Clinger's fast path (one exact product or
// quotient); the rest divides big integers bit by bit until 64 bits of the quotient and whether anything
// is left are known. Writing: Steele and White's free-format algorithm as in "Printing Floating-Point
// Numbers Quickly and Accurately" (Burger and Dybvig 1996), its ties as in double-conversion, so that digits
// agree with those of JavaScript. No tables, which would be data segments: 10^n is multiplied up.

import {
  BIG_SIZE,
  bigBits,
  bigCompare,
  bigCompareSum,
  bigCopy,
  bigIsZero,
  bigMultiplyAdd,
  bigMultiplyPowerOfTen,
  bigSet,
  bigShiftLeft,
  bigSubtract,
} from "./bignum";

/** Scratch that these functions need. */
export const FLOAT_WORK: usize = BIG_SIZE * 6;

/** Significant digits that can decide a rounding; more only matter as "not zero". */
const MAX_DIGITS: u32 = 800;

/** The float64 nearest to 10^exponent, exponent >= 0. */
export function powerOfTen(exponent: i32, work: usize): f64 {
  if (exponent > 308) return Infinity;
  if (exponent <= 22) {
    let power: f64 = 1;
    for (; exponent > 0; exponent--) power *= 10;
    return power;
  }
  bigSet(work, 1);
  return bigToFloat(work, exponent, work + BIG_SIZE);
}

/** The float64 nearest to (low, high) * 10^-scale, an unsigned 128-bit magnitude. */
export function wideToFloat(low: u64, high: u64, scale: u32, work: usize): f64 {
  if (high == 0 && low >> 53 == 0 && scale <= 22) return <f64>low / powerOfTen(scale, work);
  bigSet(work, high);
  bigShiftLeft(work, 64);
  bigSet(work + BIG_SIZE, low);
  if (bigIsZero(work)) bigCopy(work, work + BIG_SIZE);
  else if (low != 0) {
    store<u64>(work, low, 8);
  }
  return bigToFloat(work, -(<i32>scale), work + BIG_SIZE);
}

/**
 * The float64 nearest to the number whose `count` digits stand at [from, to) (a point among them is
 * skipped), times 10^exponent.
 */
export function digitsToFloat(from: usize, to: usize, exponent: i32, work: usize): f64 {
  let small: u64 = 0;
  let digits: u32 = 0;
  let rest = false;
  bigSet(work, 0);
  for (; from < to; from++) {
    const byte = load<u8>(from);
    if (byte == 0x2e) continue;
    const digit: u32 = byte - 0x30;
    if (digits == 0 && digit == 0) continue;
    digits++;
    if (digits <= 19) small = small * 10 + <u64>digit;
    if (digits == 20) bigSet(work, small);
    if (digits > 19 && digits <= MAX_DIGITS) bigMultiplyAdd(work, 10, digit);
    else if (digits > MAX_DIGITS) {
      rest = rest || digit != 0;
      exponent++;
    }
  }
  if (digits == 0) return 0;
  const kept = min<u32>(digits, MAX_DIGITS);
  if (<i32>kept + exponent > 310) return Infinity;
  if (<i32>kept + exponent < -330) return 0;
  if (digits <= 19) {
    if (small >> 53 == 0 && exponent >= -22 && exponent <= 22) {
      return exponent < 0 ? <f64>small / powerOfTen(-exponent, work) : <f64>small * powerOfTen(exponent, work);
    }
    bigSet(work, small);
  }
  if (rest) {
    bigMultiplyAdd(work, 10, 1);
    exponent--;
  }
  return bigToFloat(work, exponent, work + BIG_SIZE);
}

/** The float64 nearest to big * 10^exponent. Destroys `big`; `work` holds one number more. */
function bigToFloat(big: usize, exponent: i32, work: usize): f64 {
  if (bigIsZero(big)) return 0;
  const divisor = work;
  bigSet(divisor, 1);
  if (exponent >= 0) bigMultiplyPowerOfTen(big, exponent);
  else bigMultiplyPowerOfTen(divisor, -exponent);
  // Aligned so that big / divisor lies in (1/2, 2).
  const binary = bigBits(big) - bigBits(divisor);
  if (binary >= 0) bigShiftLeft(divisor, binary);
  else bigShiftLeft(big, -binary);
  let quotient: u64 = 0;
  for (let bit = 0; bit < 64; bit++) {
    quotient <<= 1;
    if (bigCompare(big, divisor) >= 0) {
      bigSubtract(big, divisor);
      quotient |= 1;
    }
    bigShiftLeft(big, 1);
  }
  return assemble(quotient, binary, !bigIsZero(big));
}

/** quotient / 2^63 * 2^exponent (and a bit more where `sticky`), rounded to nearest even. */
function assemble(quotient: u64, exponent: i32, sticky: bool): f64 {
  const zeros = <i32>clz<u64>(quotient);
  quotient <<= <u64>zeros;
  exponent -= zeros;
  if (exponent > 1023) return Infinity;
  const bits = exponent >= -1022 ? 53 : 53 - (-1022 - exponent);
  if (bits < 0) return 0;
  const drop: u64 = 64 - bits;
  let significand: u64 = drop == 64 ? 0 : quotient >> drop;
  const half: u64 = <u64>1 << (drop - 1);
  const rest: u64 = drop == 64 ? quotient : quotient & ((<u64>1 << drop) - 1);
  if (rest > half || (rest == half && (sticky || (significand & 1) != 0))) significand++;
  // The hidden bit adds one to the exponent field; a carry out of the significand does the same.
  return reinterpret<f64>((exponent >= -1022 ? <u64>(exponent + 1022) << 52 : 0) + significand);
}

// ---- writing

/**
 * Writes a float as DuckDB lays it out (`0.1`, `1.0`, `1e+20`, `nan`, `-inf`) with the fewest digits that
 * read back as the same float of its width; answers how many bytes (at most 25).
 */
export function writeFloat<T>(value: T, out: usize, work: usize): u32 {
  const start = out;
  if (value != value) return writeWord(out, 0x6e616e, 3);
  const negative = sizeof<T>() == 8 ? reinterpret<u64>(<f64>value) >> 63 != 0 : reinterpret<u32>(<f32>value) >> 31 != 0;
  if (negative) {
    store<u8>(out, 0x2d);
    out++;
  }
  const magnitude = abs<T>(value);
  if (magnitude == <T>Infinity) return <u32>(out - start) + writeWord(out, 0x666e69, 3);
  if (magnitude == <T>0) return <u32>(out - start) + writeWord(out, 0x302e30, 3);
  // Digits first, in scratch; then the layout.
  const digits = work + BIG_SIZE * 5;
  const whole = <f64>magnitude;
  let point: i32 = 0;
  if (whole < (sizeof<T>() == 8 ? 9007199254740992 : 16777216) && whole == floor<f64>(whole)) {
    point = integerDigits(<u64>whole, digits);
  } else {
    point = shortDigits<T>(magnitude, digits);
    if (point == NO_POINT) {
      point = sizeof<T>() == 8 ? shortest64(reinterpret<u64>(<f64>magnitude), digits, work) : shortest32(reinterpret<u32>(<f32>magnitude), digits, work);
    }
  }
  return <u32>(out - start) + layOut(digits + 4, load<u32>(digits), point - 1, out);
}

// @ts-ignore: decorator
@inline
function writeWord(out: usize, letters: u32, count: u32): u32 {
  store<u8>(out, <u8>letters);
  store<u8>(out, <u8>(letters >> 8), 1);
  store<u8>(out, <u8>(letters >> 16), 2);
  return count;
}

const NO_POINT: i32 = 0x7fffffff;

/**
 * A float that few decimal digits make: at most 15 (6 for f32), of which no two strings read as the same
 * float, so that the first one found is the shortest. NO_POINT when there is none.
 */
function shortDigits<T>(magnitude: T, digits: usize): i32 {
  const value = <f64>magnitude;
  if (value < 1e-5) return NO_POINT;
  let power: f64 = 1;
  for (let places = 1; places <= 20; places++) {
    power *= 10;
    const scaled = nearest<f64>(value * power);
    if (scaled >= (sizeof<T>() == 8 ? 1e15 : 1e6)) return NO_POINT;
    if (<T>(scaled / power) == magnitude) return integerDigits(<u64>scaled, digits) - places;
  }
  return NO_POINT;
}

/** Digits of a whole number without its trailing zeros: count, then the digits; answers where the point is. */
function integerDigits(value: u64, digits: usize): i32 {
  let size: i32 = 1;
  for (let rest = value; rest >= 10; rest /= 10) size++;
  let count = size;
  while (value % 10 == 0) {
    value /= 10;
    count--;
  }
  store<u32>(digits, count);
  for (let at = count - 1; at >= 0; at--) {
    store<u8>(digits + 4 + <usize>at, <u8>(value % 10));
    value /= 10;
  }
  return size;
}

function shortest64(bits: u64, digits: usize, work: usize): i32 {
  const field = <i32>(bits >> 52);
  const fraction = bits & 0xfffffffffffff;
  const significand = field == 0 ? fraction : fraction | ((<u64>1) << 52);
  return shortest(significand, max(field, 1) - 1075, fraction == 0 && field > 1, digits, work);
}

function shortest32(bits: u32, digits: usize, work: usize): i32 {
  const field = <i32>(bits >> 23);
  const fraction = <u64>(bits & 0x7fffff);
  const significand = field == 0 ? fraction : fraction | ((<u64>1) << 23);
  return shortest(significand, max(field, 1) - 150, fraction == 0 && field > 1, digits, work);
}

/** Shortest digits of significand * 2^exponent; `closer` when the float below is only half as far. */
function shortest(significand: u64, exponent: i32, closer: bool, digits: usize, work: usize): i32 {
  const value = work;
  const unit = work + BIG_SIZE;
  const above = work + BIG_SIZE * 2;
  const below = work + BIG_SIZE * 3;
  const sum = work + BIG_SIZE * 4;
  const extra: u32 = closer ? 2 : 1;
  bigSet(value, significand);
  bigSet(unit, 1);
  bigSet(above, closer ? 2 : 1);
  bigSet(below, 1);
  bigShiftLeft(value, extra + <u32>max(exponent, 0));
  bigShiftLeft(unit, extra + <u32>max(-exponent, 0));
  bigShiftLeft(above, <u32>max(exponent, 0));
  bigShiftLeft(below, <u32>max(exponent, 0));
  const length = 64 - <i32>clz<u64>(significand);
  // At most one too small.
  let point = <i32>ceil<f64>(<f64>(exponent + length - 1) * 0.30102999566398114 - 1e-10);
  if (point >= 0) bigMultiplyPowerOfTen(unit, point);
  else {
    bigMultiplyPowerOfTen(value, -point);
    bigMultiplyPowerOfTen(above, -point);
    bigMultiplyPowerOfTen(below, -point);
  }
  const even: i32 = (significand & 1) == 0 ? 0 : 1;
  if (bigCompareSum(value, above, unit, sum) >= even) point++;
  else timesTen(value, above, below);
  let count: u32 = 0;
  while (true) {
    let digit: u32 = 0;
    while (bigCompare(value, unit) >= 0) {
      bigSubtract(value, unit);
      digit++;
    }
    const low = bigCompare(value, below) <= -even;
    const high = bigCompareSum(value, above, unit, sum) >= even;
    if (low && high) {
      const half = bigCompareSum(value, value, unit, sum);
      if (half > 0 || (half == 0 && (digit & 1) != 0)) digit++;
    } else if (high) digit++;
    store<u8>(digits + 4 + <usize>count, <u8>digit);
    count++;
    if (low || high) break;
    timesTen(value, above, below);
  }
  store<u32>(digits, count);
  return point;
}

function timesTen(value: usize, above: usize, below: usize): void {
  bigMultiplyAdd(value, 10, 0);
  bigMultiplyAdd(above, 10, 0);
  bigMultiplyAdd(below, 10, 0);
}

/** Plain from 1e-5 up to 1e16 exclusive, else with an exponent of at least two digits. */
function layOut(digits: usize, count: u32, exponent: i32, out: usize): u32 {
  const start = out;
  if (exponent >= -5 && exponent < 16) {
    if (exponent < 0) {
      store<u8>(out, 0x30);
      store<u8>(out, 0x2e, 1);
      out += 2;
      for (let zero = -1; zero > exponent; zero--) store<u8>(out++, 0x30);
      for (let at: u32 = 0; at < count; at++) store<u8>(out++, 0x30 + load<u8>(digits + <usize>at));
      return <u32>(out - start);
    }
    const whole = <u32>exponent + 1;
    for (let at: u32 = 0; at < whole; at++) store<u8>(out++, at < count ? 0x30 + load<u8>(digits + <usize>at) : 0x30);
    store<u8>(out++, 0x2e);
    if (count <= whole) store<u8>(out++, 0x30);
    for (let at = whole; at < count; at++) store<u8>(out++, 0x30 + load<u8>(digits + <usize>at));
    return <u32>(out - start);
  }
  store<u8>(out++, 0x30 + load<u8>(digits));
  if (count > 1) store<u8>(out++, 0x2e);
  for (let at: u32 = 1; at < count; at++) store<u8>(out++, 0x30 + load<u8>(digits + <usize>at));
  store<u8>(out++, 0x65);
  store<u8>(out++, exponent < 0 ? 0x2d : 0x2b);
  const magnitude = <u32>(exponent < 0 ? -exponent : exponent);
  if (magnitude >= 100) store<u8>(out++, <u8>(0x30 + magnitude / 100));
  store<u8>(out++, <u8>(0x30 + (magnitude / 10) % 10));
  store<u8>(out++, <u8>(0x30 + (magnitude % 10)));
  return <u32>(out - start);
}
