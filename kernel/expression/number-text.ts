// Reading and writing numbers as text: integers, decimals, booleans, and the grammar that floats share.
//
// A number is blanks, a sign, digits with at most one point among them, an exponent of up to four digits,
// blanks. Integers accept all of that and round half away from zero, as decimals do.

import { digitsToFloat } from "./float-text";
import { isBelow, storeDivided, storeNegated, storePowerOfTen, storeWide } from "./wide";
import { multiplyHigh } from "./arithmetic";

/** A number found in a text. */
// @ts-ignore: decorator
@unmanaged
export class NumberText {
  /** Its digits, a point among them. */
  from: usize;
  to: usize;
  /** Digits in all. */
  digits: u32;
  /** The number is the digits as an integer, times 10 to this. */
  exponent: i32;
  negative: u32;
  reserved: u32;
}

export const NUMBER_TEXT_SIZE: usize = 24;

// @ts-ignore: decorator
@inline
export function isBlank(byte: u32): bool {
  return byte == 0x20 || (byte >= 9 && byte <= 13);
}

// @ts-ignore: decorator
@inline
export function isDigit(byte: u32): bool {
  return byte - 0x30 <= 9;
}

/** First byte of [from, to) that is no blank. */
export function skipBlanks(from: usize, to: usize): usize {
  while (from < to && isBlank(load<u8>(from))) from++;
  return from;
}

/** End of [from, to) without the blanks at its end. */
export function dropBlanks(from: usize, to: usize): usize {
  while (from < to && isBlank(load<u8>(to - 1))) to--;
  return to;
}

/** Finds the number that the text is; false when it is none. */
export function parseNumber(text: usize, length: u32, number: NumberText): bool {
  let at = skipBlanks(text, text + <usize>length);
  const end = dropBlanks(at, text + <usize>length);
  number.negative = at < end && load<u8>(at) == 0x2d ? 1 : 0;
  if (at < end && (load<u8>(at) == 0x2d || load<u8>(at) == 0x2b)) at++;
  number.from = at;
  let digits: u32 = 0;
  let fraction: u32 = 0;
  let point = false;
  for (; at < end; at++) {
    const byte: u32 = load<u8>(at);
    if (isDigit(byte)) {
      digits++;
      fraction += <u32>point;
    } else if (byte == 0x2e && !point) point = true;
    else break;
  }
  number.to = at;
  number.digits = digits;
  number.exponent = -(<i32>fraction);
  if (digits == 0) return false;
  return at == end || parseExponent(at, end, number);
}

function parseExponent(at: usize, end: usize, number: NumberText): bool {
  if ((load<u8>(at) | 0x20) != 0x65) return false;
  at++;
  const negative = at < end && load<u8>(at) == 0x2d;
  if (at < end && (load<u8>(at) == 0x2d || load<u8>(at) == 0x2b)) at++;
  if (at == end || end - at > 4) return false;
  let exponent: i32 = 0;
  for (; at < end; at++) {
    const byte: u32 = load<u8>(at);
    if (!isDigit(byte)) return false;
    exponent = exponent * 10 + <i32>(byte - 0x30);
  }
  number.exponent += negative ? -exponent : exponent;
  return true;
}

/** Stores number * 10^scale, rounded half away from zero, at `out`; false when its magnitude is 10^38 or more. */
export function storeNumber(number: NumberText, scale: u32, out: usize): bool {
  // How many of the digits lie before the point of the result.
  let kept = <i64>number.digits + <i64>number.exponent + <i64>scale;
  let low: u64 = 0;
  let high: u64 = 0;
  let up = false;
  for (let at = number.from; at < number.to; at++) {
    const byte: u32 = load<u8>(at);
    if (byte == 0x2e) continue;
    if (kept <= 0) {
      up = kept == 0 && byte >= 0x35;
      break;
    }
    kept--;
    if (high >> 60 != 0) return false;
    high = high * 10 + multiplyHigh(low, 10);
    low *= 10;
    const digit = <u64>(byte - 0x30);
    low += digit;
    high += <u64>(low < digit);
  }
  if (low | high) {
    for (; kept > 0; kept--) {
      if (high >> 60 != 0) return false;
      high = high * 10 + multiplyHigh(low, 10);
      low *= 10;
    }
  }
  if (up) {
    low++;
    high += <u64>(low == 0);
  }
  storePowerOfTen(out, 38);
  if (!isBelow(low, high, load<u64>(out), load<u64>(out, 8))) return false;
  if (number.negative) storeNegated(out, low, high);
  else storeWide(out, low, high);
  return true;
}

/** Reads a float (also inf, infinity, nan in any case) to `out`; false when the text is none. */
export function parseFloat64(text: usize, length: u32, number: NumberText, out: usize, work: usize): bool {
  if (parseNumber(text, length, number)) {
    const magnitude = digitsToFloat(number.from, number.to, number.exponent, work);
    store<f64>(out, number.negative ? -magnitude : magnitude);
    return true;
  }
  let at = skipBlanks(text, text + <usize>length);
  const end = dropBlanks(at, text + <usize>length);
  const negative = at < end && load<u8>(at) == 0x2d;
  if (at < end && (load<u8>(at) == 0x2d || load<u8>(at) == 0x2b)) at++;
  const word = lowerWord(at, end);
  if (word == 0x6e616e) {
    store<u64>(out, 0x7ff8000000000000);
    return true;
  }
  if (word != 0x666e69 && word != 0x7974696e69666e69) return false;
  store<f64>(out, negative ? -Infinity : Infinity);
  return true;
}

/** Up to 8 ASCII letters in lower case, first in the lowest byte; 0 when there are none or more. */
function lowerWord(from: usize, to: usize): u64 {
  if (to - from > 8) return 0;
  let word: u64 = 0;
  for (let at = to; at > from; at--) {
    let byte: u64 = load<u8>(at - 1);
    if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
    word = (word << 8) | byte;
  }
  return word;
}

/** true, t, yes, y, 1 -> 1; false, f, no, n, 0 -> 0, in any case; else 2. */
export function parseBool(text: usize, length: u32): u32 {
  const from = skipBlanks(text, text + <usize>length);
  switch (lowerWord(from, dropBlanks(from, text + <usize>length))) {
    case 0x65757274:
    case 0x74:
    case 0x736579:
    case 0x79:
    case 0x31:
      return 1;
    case 0x65736c6166:
    case 0x66:
    case 0x6f6e:
    case 0x6e:
    case 0x30:
      return 0;
    default:
      return 2;
  }
}

// ---- writing

/** Writes at least `width` digits; answers how many bytes. */
export function writeDigits(value: u64, width: u32, out: usize): u32 {
  let size: u32 = 1;
  for (let rest = value; rest >= 10; rest /= 10) size++;
  size = max(size, width);
  for (let at = out + <usize>size; at > out; ) {
    at--;
    store<u8>(at, <u8>(0x30 + (value % 10)));
    value /= 10;
  }
  return size;
}

export function writeInteger(value: i64, out: usize): u32 {
  if (value >= 0) return writeDigits(value, 1, out);
  store<u8>(out, 0x2d);
  return 1 + writeDigits(<u64>(0 - value), 1, out + 1);
}

/** A decimal with all digits of its scale, such as `-0.50`. `work`: 64 bytes. */
export function writeDecimal(low: u64, high: u64, scale: u32, out: usize, work: usize): u32 {
  const start = out;
  if (<i64>high < 0) {
    store<u8>(out++, 0x2d);
    storeNegated(work, low, high);
    low = load<u64>(work);
    high = load<u64>(work, 8);
  }
  // Two pieces of 19 digits each hold any magnitude below 10^38.
  storeDivided(work, low, high, 10000000000000000000, 0);
  const head = load<u64>(work);
  const tail = load<u64>(work, 16);
  const size = head == 0 ? writeDigits(tail, scale + 1, out) : writeHeadAndTail(head, tail, scale + 1, out);
  if (scale == 0) return <u32>(out - start) + size;
  const point = out + <usize>(size - scale);
  memory.copy(point + 1, point, scale);
  store<u8>(point, 0x2e);
  return <u32>(out - start) + size + 1;
}

function writeHeadAndTail(head: u64, tail: u64, width: u32, out: usize): u32 {
  const size = writeDigits(head, width > 19 ? width - 19 : 1, out);
  return size + writeDigits(tail, 19, out + <usize>size);
}
