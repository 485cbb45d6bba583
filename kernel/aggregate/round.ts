// Rounding: a wide integer, or a quotient of two, to the nearest float64, once.
//
// Numbers are base 2^40 digits (u64 each, below 2^40), lowest first, times 2^e. Ties go to even, results
// below the normal range to the nearest subnormal, results beyond the largest float to an infinity.

export const DIGIT_BITS: u32 = 40;
export const DIGIT_MASK: u64 = (1 << 40) - 1;
/** Zero digits put below a dividend: with them every quotient has more than 53 bits. */
const QUOTIENT_DIGITS: u32 = 4;

/**
 * The float64 nearest to (digits * 2^exponent), negated where `negative`. `rest` says that something
 * nonzero lies below the lowest digit. Zero digits without rest give +0.
 */
export function roundDigits(digits: usize, count: u32, exponent: i32, negative: bool, rest: bool): f64 {
  while (count > 0 && load<u64>(digits + ((<usize>(count - 1)) << 3)) == 0) count--;
  if (count == 0) return 0;
  const top =
    <i32>(count - 1) * <i32>DIGIT_BITS + 63 - <i32>clz<u64>(load<u64>(digits + ((<usize>(count - 1)) << 3)));
  // Position, within the digits, of the result's lowest bit: 53 bits in all, none below 2^-1074.
  const lowest = max<i32>(top - 52, -1074 - exponent);
  let mantissa: u64 = 0;
  if (lowest <= 0) mantissa = bitsFrom(digits, count, 0) << (<u64>-lowest);
  else {
    mantissa = lowest > top ? 0 : bitsFrom(digits, count, lowest);
    const half = bitAt(digits, count, lowest - 1);
    if (half && ((mantissa & 1) != 0 || rest || anyBelow(digits, lowest - 1))) mantissa++;
  }
  const biased = lowest + exponent + 1074;
  let bits: u64 = biased > 2046 ? 0x7ff0000000000000 : ((<u64>biased) << 52) + mantissa;
  if (bits > 0x7ff0000000000000) bits = 0x7ff0000000000000;
  return reinterpret<f64>(negative ? bits | (1 << 63) : bits);
}

/** The up to 64 bits from position `at` on; the caller knows that no more are set. */
function bitsFrom(digits: usize, count: u32, at: i32): u64 {
  const digit = <u32>at / DIGIT_BITS;
  const shift = <u64>(<u32>at % DIGIT_BITS);
  let bits = load<u64>(digits + ((<usize>digit) << 3)) >> shift;
  if (digit + 1 < count) bits |= load<u64>(digits + ((<usize>(digit + 1)) << 3)) << (<u64>DIGIT_BITS - shift);
  const third: u64 = ((<u64>DIGIT_BITS) << 1) - shift;
  if (digit + 2 < count && third < 64) bits |= load<u64>(digits + ((<usize>(digit + 2)) << 3)) << third;
  return bits;
}

function bitAt(digits: usize, count: u32, at: i32): bool {
  const digit = <u32>at / DIGIT_BITS;
  if (digit >= count) return false;
  return ((load<u64>(digits + ((<usize>digit) << 3)) >> <u64>(<u32>at % DIGIT_BITS)) & 1) != 0;
}

function anyBelow(digits: usize, at: i32): bool {
  const digit = <u32>at / DIGIT_BITS;
  for (let index: u32 = 0; index < digit; index++) {
    if (load<u64>(digits + ((<usize>index) << 3)) != 0) return true;
  }
  const mask: u64 = ((<u64>1) << (<u64>(<u32>at % DIGIT_BITS))) - 1;
  return (load<u64>(digits + ((<usize>digit) << 3)) & mask) != 0;
}

/**
 * The float64 nearest to (digits * 2^exponent / divisor), divisor below 2^63 and not 0. `digits` has room
 * for 4 more digits than `count`, and is overwritten.
 */
export function roundQuotient(digits: usize, count: u32, exponent: i32, divisor: u64, negative: bool): f64 {
  if (divisor == 1) return roundDigits(digits, count, exponent, negative, false);
  for (let index = <i32>count - 1; index >= 0; index--) {
    store<u64>(
      digits + ((<usize>(<u32>index + QUOTIENT_DIGITS)) << 3),
      load<u64>(digits + ((<usize>index) << 3)),
    );
  }
  memory.fill(digits, 0, (<usize>QUOTIENT_DIGITS) << 3);
  const all = count + QUOTIENT_DIGITS;
  // The remainder, shifted by a piece of a digit, must fit 64 bits.
  const piece: u64 = divisor < 1 << 24 ? 40 : divisor < 1 << 44 ? 20 : divisor < 1 << 56 ? 8 : 1;
  let remainder: u64 = 0;
  for (let index = <i32>all - 1; index >= 0; index--) {
    const at = digits + ((<usize>index) << 3);
    const digit = load<u64>(at);
    let quotient: u64 = 0;
    for (let shift: i64 = 40 - <i64>piece; shift >= 0; shift -= <i64>piece) {
      const part = (remainder << piece) | ((digit >> <u64>shift) & ((1 << piece) - 1));
      const ratio = part / divisor;
      remainder = part - ratio * divisor;
      quotient = (quotient << piece) | ratio;
    }
    store<u64>(at, quotient);
  }
  return roundDigits(digits, all, exponent - <i32>(QUOTIENT_DIGITS * DIGIT_BITS), negative, remainder != 0);
}

/** Integers below this are floats. */
const FLOAT_INTEGERS: u64 = 1 << 53;
/** The greatest power of ten that `quickAverage` multiplies by. */
const QUICK_SCALE: u32 = 15;
/** The mantissa's bits in a float64. */
const MANTISSA: u64 = (1 << 52) - 1;
/** No rounded quotient of a rounded dividend is off by more than this many units. */
const UNITS_MOST: u64 = 4;

/**
 * sum / (count * 10^scale) where both are floats, so that one division rounds as it should, as nearly all averages of
 * integers are; NaN where they need not be.
 */
// @ts-ignore: decorator
@inline
export function quickAverage(sum: i64, count: u64, scale: u32): f64 {
  if (count >= FLOAT_INTEGERS || <u64>(sum ^ (sum >> 63)) >= FLOAT_INTEGERS || scale > QUICK_SCALE) return NaN;
  let divisor = <f64>count;
  for (; scale > 0; scale--) divisor *= 10;
  return divisor < <f64>FLOAT_INTEGERS ? <f64>sum / divisor : NaN;
}

/**
 * The float64 nearest to (high * 2^40 + low) / count, for `low` below 2^40, `high` from -2^53 to 2^53 and `count` from 1
 * to 2^53 - 1; NaN where that is next to a power of two and not equal to it.
 *
 * The rounded dividend divided is off by a unit or two. What that leaves of the dividend, a few times `count` at most,
 * says by how many: 64 bits are enough for it, however long the products are. The correction is Markstein's (1990,
 * "Computation of elementary functions on the IBM RISC System/6000 processor"), with integers for his fused operation.
 */
export function quickQuotient(high: i64, low: u64, count: u64): f64 {
  const negative = high < 0;
  if (negative) {
    high = ~high + <i64>(low == 0);
    low = ((<u64>1 << 40) - low) & DIGIT_MASK;
  }
  const found = reinterpret<u64>((<f64>high * 1099511627776.0 + <f64>low) / <f64>count);
  if (found == 0) return 0;
  const mantissa = (found & MANTISSA) | (MANTISSA + 1);
  const exponent = <i64>(found >> 52) - 1075;
  const left: u64 = exponent < 0 ? -exponent : 0;
  const right: u64 = exponent > 0 ? exponent : 0;
  // All modulo 2^64, in units of 2^min(exponent, 0).
  const dividend = left < 64 ? ((<u64>high << 40) + low) << left : 0;
  const unit = <i64>(count << right);
  let rest = <i64>(dividend - ((mantissa * count) << right));
  if (rest != 0 && mantissa - (MANTISSA + 1) - UNITS_MOST > MANTISSA - (UNITS_MOST << 1)) return NaN;
  let units: u64 = 0;
  for (; rest << 1 > unit || (rest << 1 == unit && ((mantissa + units) & 1) != 0); rest -= unit) units++;
  for (; rest << 1 < -unit || (rest << 1 == -unit && ((mantissa + units) & 1) != 0); rest += unit) units--;
  return reinterpret<f64>((found + units) | (<u64>negative << 63));
}

/** Splits the magnitude of a signed 192-bit number (24 bytes) into 5 digits; whether it is negative. */
export function digitsOf192(source: usize, digits: usize): bool {
  let low = load<u64>(source);
  let middle = load<u64>(source, 8);
  let high = load<u64>(source, 16);
  const negative = <i64>high < 0;
  if (negative) {
    low = ~low + 1;
    middle = ~middle + <u64>(low == 0);
    high = ~high + <u64>(low == 0 && middle == 0);
  }
  store<u64>(digits, low & DIGIT_MASK);
  store<u64>(digits, ((low >> 40) | (middle << 24)) & DIGIT_MASK, 8);
  store<u64>(digits, (middle >> 16) & DIGIT_MASK, 16);
  store<u64>(digits, ((middle >> 56) | (high << 8)) & DIGIT_MASK, 24);
  store<u64>(digits, high >> 32, 32);
  return negative;
}

/**
 * The float64 nearest to a signed 192-bit number divided by (count * 10^scale): an average of integers or
 * decimals. `digits` is scratch of 32 u64.
 */
export function roundAverage192(source: usize, count: u64, scale: u32, digits: usize): f64 {
  const negative = digitsOf192(source, digits);
  // Powers of ten go into the divisor while it stays small.
  let divisor = count;
  let left = scale;
  while (left > 0 && divisor < (<u64>1) << 52) {
    divisor *= 10;
    left--;
  }
  if (left == 0) return roundQuotient(digits, 5, 0, divisor, negative);
  return roundWideQuotient(digits, divisor, left, negative);
}

/** Words of 32 bits (in u64, lowest first) of a divisor: 63 bits times 10^38, and one bit to shift. */
const WORDS: usize = 7;
const WORDS_BYTES: usize = 56;
/** Bits of a quotient that decide its rounding: 53, one more, and the rest as "anything left". */
const QUOTIENT_BITS: u32 = 64;

/**
 * The same by divisor * 10^left, bit by bit: shift in, compare, subtract. `digits` holds 5; 25 more are
 * scratch.
 */
function roundWideQuotient(digits: usize, divisor: u64, left: u32, negative: bool): f64 {
  const wide = digits + 40;
  const remainder = wide + WORDS_BYTES;
  const quotient = remainder + WORDS_BYTES;
  memory.fill(wide, 0, WORDS_BYTES * 2 + 16);
  store<u64>(wide, divisor & 0xffffffff);
  store<u64>(wide, divisor >> 32, 8);
  for (; left > 0; left--) multiplyBy10(wide);
  if (isZero(digits, 5)) return 0;
  let produced: u32 = 0;
  let bit: i32 = 5 * <i32>DIGIT_BITS;
  while (produced < QUOTIENT_BITS) {
    bit--;
    shiftIn(remainder, bit >= 0 ? <u64>bitAt(digits, 5, bit) : 0);
    const one = !isLess(remainder, wide);
    if (one) subtract(remainder, wide);
    if (!one && produced == 0) continue;
    produced++;
    store<u64>(quotient, (load<u64>(quotient) << 1) | <u64>one);
  }
  const rest = !isZero(remainder, <u32>WORDS) || (bit > 0 && anyBelow(digits, bit));
  const bits = load<u64>(quotient);
  store<u64>(quotient, bits & DIGIT_MASK);
  store<u64>(quotient, bits >> 40, 8);
  return roundDigits(quotient, 2, bit, negative, rest);
}

function multiplyBy10(wide: usize): void {
  let carry: u64 = 0;
  for (let word: usize = 0; word < WORDS_BYTES; word += 8) {
    const product = load<u64>(wide + word) * 10 + carry;
    store<u64>(wide + word, product & 0xffffffff);
    carry = product >> 32;
  }
}

function shiftIn(wide: usize, bit: u64): void {
  for (let word: usize = 0; word < WORDS_BYTES; word += 8) {
    const shifted = (load<u64>(wide + word) << 1) | bit;
    store<u64>(wide + word, shifted & 0xffffffff);
    bit = shifted >> 32;
  }
}

function isLess(a: usize, b: usize): bool {
  for (let word = <isize>WORDS - 1; word >= 0; word--) {
    const x = load<u64>(a + ((<usize>word) << 3));
    const y = load<u64>(b + ((<usize>word) << 3));
    if (x != y) return x < y;
  }
  return false;
}

function subtract(a: usize, b: usize): void {
  let borrow: u64 = 0;
  for (let word: usize = 0; word < WORDS_BYTES; word += 8) {
    const difference = load<u64>(a + word) - load<u64>(b + word) - borrow;
    store<u64>(a + word, difference & 0xffffffff);
    borrow = difference >> 63;
  }
}

function isZero(words: usize, count: u32): bool {
  for (let index: u32 = 0; index < count; index++) {
    if (load<u64>(words + ((<usize>index) << 3)) != 0) return false;
  }
  return true;
}
