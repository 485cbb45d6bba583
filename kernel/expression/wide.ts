// 128-bit integers in memory: 16 bytes, two's complement, low half first. What decimals are made of.
//
// AssemblyScript has no wide integers and functions answer one value, so results go to an address. No
// function here keeps state; operands are pairs of halves.

import { multiplyHigh } from "./arithmetic";

/** 10^38: decimals lie strictly inside its negative and itself. */
const LIMIT_LOW: u64 = 0x098a224000000000;
const LIMIT_HIGH: u64 = 0x4b3b4ca85a86c47a;

// @ts-ignore: decorator
@inline
export function storeWide(out: usize, low: u64, high: u64): void {
  store<u64>(out, low);
  store<u64>(out, high, 8);
}

/** Whether |value| < 10^38. */
// @ts-ignore: decorator
@inline
export function inDecimalRange(low: u64, high: u64): bool {
  const negative = <i64>high < 0;
  const magnitudeLow: u64 = negative ? 0 - low : low;
  const magnitudeHigh: u64 = negative ? ~high + <u64>(low == 0) : high;
  return isBelow(magnitudeLow, magnitudeHigh, LIMIT_LOW, LIMIT_HIGH);
}

/** a < b, unsigned. */
// @ts-ignore: decorator
@inline
export function isBelow(lowA: u64, highA: u64, lowB: u64, highB: u64): bool {
  return (highA < highB) | ((highA == highB) & (lowA < lowB));
}

/** Stores |value|. */
export function storeMagnitude(out: usize, low: u64, high: u64): void {
  if (<i64>high < 0) storeNegated(out, low, high);
  else storeWide(out, low, high);
}

export function storeNegated(out: usize, low: u64, high: u64): void {
  storeWide(out, 0 - low, ~high + <u64>(low == 0));
}

/** Stores 10^exponent, 0 <= exponent <= 38. */
export function storePowerOfTen(out: usize, exponent: u32): void {
  let low: u64 = 1;
  let high: u64 = 0;
  for (; exponent > 0; exponent--) {
    high = high * 10 + multiplyHigh(low, 10);
    low *= 10;
  }
  storeWide(out, low, high);
}

/** Stores the product of two magnitudes; false when it passes 128 bits. */
export function storeProduct(out: usize, lowA: u64, highA: u64, lowB: u64, highB: u64): bool {
  storeWide(out, 0, 0);
  if (highA != 0 && highB != 0) return false;
  const low = lowA * lowB;
  const carry = multiplyHigh(lowA, lowB);
  // At most one high half is not zero, so the cross terms are one product.
  const crossHigh = highA != 0 ? multiplyHigh(highA, lowB) : multiplyHigh(highB, lowA);
  const cross = highA != 0 ? highA * lowB : highB * lowA;
  const high = carry + cross;
  storeWide(out, low, high);
  return crossHigh == 0 && high >= carry;
}

/** Stores the product of two signed values; false when its magnitude is not below 10^38. */
export function storeSignedProduct(out: usize, lowA: u64, highA: u64, lowB: u64, highB: u64): bool {
  if (highA == <u64>(<i64>lowA >> 63) && highB == <u64>(<i64>lowB >> 63)) {
    // Two 64-bit operands: the product stays below 2^126 < 10^38.
    let high = multiplyHigh(lowA, lowB);
    if (<i64>lowA < 0) high -= lowB;
    if (<i64>lowB < 0) high -= lowA;
    storeWide(out, lowA * lowB, high);
    return true;
  }
  const negative = <i64>(highA ^ highB) < 0;
  storeMagnitude(out, lowA, highA);
  const magnitudeLowA = load<u64>(out);
  const magnitudeHighA = load<u64>(out, 8);
  storeMagnitude(out, lowB, highB);
  const fits = storeProduct(out, magnitudeLowA, magnitudeHighA, load<u64>(out), load<u64>(out, 8));
  const low = load<u64>(out);
  const high = load<u64>(out, 8);
  if (!fits || !isBelow(low, high, LIMIT_LOW, LIMIT_HIGH)) return false;
  if (negative) storeNegated(out, low, high);
  return true;
}

/** Stores quotient (at `out`) and remainder (at `out` + 16) of two magnitudes. The divisor is not zero. */
export function storeDivided(out: usize, lowN: u64, highN: u64, lowD: u64, highD: u64): void {
  if (highD == 0 && highN == 0) {
    storeWide(out, lowN / lowD, 0);
    storeWide(out + 16, lowN % lowD, 0);
  } else if (highD == 0 && lowD >> 32 == 0) {
    divideShort(out, lowN, highN, lowD);
  } else {
    divideLong(out, lowN, highN, lowD, highD);
  }
}

/** By a divisor below 2^32: four steps of 64 by 32 bits. */
function divideShort(out: usize, lowN: u64, highN: u64, divisor: u64): void {
  const q3 = highN / divisor;
  let rest = highN % divisor;
  let part = (rest << 32) | (lowN >> 32);
  const q1 = part / divisor;
  rest = part % divisor;
  part = (rest << 32) | (lowN & 0xffffffff);
  storeWide(out, (q1 << 32) | (part / divisor), q3);
  storeWide(out + 16, part % divisor, 0);
}

/** Bit by bit, from the highest place where the divisor fits. */
function divideLong(out: usize, lowN: u64, highN: u64, lowD: u64, highD: u64): void {
  const zerosN: u32 = <u32>(highN != 0 ? clz<u64>(highN) : 64 + clz<u64>(lowN));
  const zerosD: u32 = <u32>(highD != 0 ? clz<u64>(highD) : 64 + clz<u64>(lowD));
  let low: u64 = 0;
  let high: u64 = 0;
  if (zerosD >= zerosN) {
    let shift = zerosD - zerosN;
    let divisorHigh = shift >= 64 ? lowD << (shift - 64) : shift == 0 ? highD : (highD << shift) | (lowD >> (64 - shift));
    let divisorLow: u64 = shift >= 64 ? 0 : lowD << shift;
    for (let step: u32 = 0; step <= shift; step++) {
      high = (high << 1) | (low >> 63);
      low <<= 1;
      if (!isBelow(lowN, highN, divisorLow, divisorHigh)) {
        highN -= divisorHigh + <u64>(lowN < divisorLow);
        lowN -= divisorLow;
        low |= 1;
      }
      divisorLow = (divisorLow >> 1) | (divisorHigh << 63);
      divisorHigh >>= 1;
    }
  }
  storeWide(out, low, high);
  storeWide(out + 16, lowN, highN);
}
