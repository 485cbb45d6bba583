// Sums of powers and products, exact: what variances, correlations, skewness and kurtosis are made of.
//
// The product is computed for a vector, without rounding, and goes to the accumulators that sum plain values:
//
//   integers   one integer of 64 or 128 bits a row -> SUM_INTEGER. Where even 128 are not enough (squares of
//              uint64, cubes of int64, decimals) the digits of the product -> the limbs of SUM_EXACT
//   floats     float64 values whose exact sum is the product -> SUM_EXACT, a value after the other.
//              x y = p + e by Dekker's and Veltkamp's splitting (1971): two values for products and squares,
//              four for x^3 = (p + e) x, six for x^4 = (p + e)^2; p and e are added as they are made where the
//              sums are dense (exact-product.ts)
//
// The splitting is exact only where nothing overflows or falls below 2^-1074; rows with a magnitude outside
// [2^-200, 2^200] go one at a time by integers, to limbs that cover the fourth powers of all floats.
// NaN and infinities are counted: any of them makes every moment NaN.

import { Type } from "../abi/layout";
import { keep64 } from "../column/keep";
import { widenFloats } from "../column/widen";
import { multiplyHigh } from "../expression/arithmetic";
import { Accumulator, Family } from "./accumulator";
import { maskBit, typeIsSigned } from "./argument";
import { NAN } from "./exact-limbs";
import { EXPONENTS, LEAST_EXPONENT, SPLITTER, addProducts, takesProducts } from "./exact-product";
import { Power, powerDegree, powerPlanes } from "./power";
import { addChunk, addLimb, negateFloats, sumExactAddMagnitude, sumExactAdded } from "./sum-exact";
import { largestLane, sumIntegerAdd, sumIntegerKeep, sumIntegerRetract, sumIntegerUpdate } from "./sum-integer";
import { GRID } from "./exact-limbs";
import { DIGIT_BITS } from "./round";

/** Rows of a float chunk, as sum-exact.ts takes them. */
const CHUNK: u32 = 256;
const PLANE: usize = 2048;

/** What `addFloats` lists of a chunk, in its buffer: rows that are left, their groups. */
const LEFT: usize = PLANE * 8;
const LEFT_GROUPS: usize = PLANE * 9;

// ---- types

/** Bits of a type's largest magnitude. */
function magnitudeBits(type: u32): u32 {
  switch (type) {
    case Type.I8:
      return 7;
    case Type.U8:
      return 8;
    case Type.I16:
      return 15;
    case Type.U16:
      return 16;
    case Type.I32:
      return 31;
    case Type.U32:
      return 32;
    case Type.I64:
      return 63;
    case Type.U64:
      return 64;
    default:
      return 127;
  }
}

/**
 * `Type` of a power of integers or decimals: I64, U64 or I128; NONE when 128 bits do not hold it, and its
 * digits are added.
 */
export function powerType(power: u32, type: u32, secondType: u32): u32 {
  const other = power == <u32>Power.PRODUCT ? secondType : type;
  const bits =
    power == <u32>Power.PRODUCT
      ? magnitudeBits(type) + magnitudeBits(other)
      : magnitudeBits(type) * powerDegree(power);
  if (bits <= 63) return Type.I64;
  if (bits == 64 && !typeIsSigned(type) && !typeIsSigned(other)) return Type.U64;
  return bits <= 127 ? Type.I128 : Type.NONE;
}

// ---- a vector

/** Adds the powers of a vector, or takes them back; `buffer` is 32 KiB of scratch. False when out of memory. */
export function momentsUpdate(
  self: Accumulator,
  numbers: usize,
  x: usize,
  y: usize,
  mask: usize,
  rows: u32,
  one: bool,
  buffer: usize,
  minus: bool = false,
): bool {
  if (self.family == <u32>Family.SUM_INTEGER) {
    const magnitude = momentsIntegers(self, x, y, rows, buffer);
    if (minus) return sumIntegerRetract(self, numbers, buffer, mask, rows);
    if (magnitude == 0) return sumIntegerUpdate(self, numbers, buffer, mask, rows, one, buffer);
    sumIntegerKeep(self, buffer, mask, rows, buffer);
    return sumIntegerAdd(self, numbers, buffer, 0, rows, one, magnitude);
  }
  if (self.type == <u32>Type.I128) return addDigits(self, numbers, x, y, mask, rows, buffer, minus);
  return addFloats(self, numbers, x, y, mask, rows, one, buffer, minus);
}

// ---- integers

/** Writes powers or products of integers to `buffer`; a bound of their magnitudes where one is known, else 0. */
export function momentsIntegers(self: Accumulator, x: usize, y: usize, rows: u32, buffer: usize): u64 {
  const right = self.power == <u32>Power.PRODUCT ? y : x;
  if (isProductOfI32(self)) return multiplyI32(x, right, rows, buffer);
  multiplyRows(self, x, right, rows, buffer);
  return 0;
}

/** Value of row `row` sign-extended to 64 bits (not of I128). */
function loadInteger(type: u32, values: usize, row: u32): i64 {
  const at = <usize>row;
  switch (type) {
    case Type.I8:
      return load<i8>(values + at);
    case Type.U8:
      return load<u8>(values + at);
    case Type.I16:
      return load<i16>(values + (at << 1));
    case Type.U16:
      return load<u16>(values + (at << 1));
    case Type.I32:
      return load<i32>(values + (at << 2));
    case Type.U32:
      return load<u32>(values + (at << 2));
    default:
      return load<i64>(values + (at << 3));
  }
}

function isProductOfI32(self: Accumulator): bool {
  if (self.sourceType != <u32>Type.I32) return false;
  return (
    self.power == <u32>Power.SQUARE ||
    (self.power == <u32>Power.PRODUCT && self.secondType == <u32>Type.I32)
  );
}

/** `right` is `x` but for products of two arguments. */
function multiplyRows(self: Accumulator, x: usize, right: usize, rows: u32, out: usize): void {
  const type = self.sourceType;
  const narrow = self.type != <u32>Type.I128;
  if (self.power == <u32>Power.SQUARE || self.power == <u32>Power.PRODUCT) {
    const rightType = self.power == <u32>Power.SQUARE ? type : self.secondType;
    for (let row: u32 = 0; row < rows; row++) {
      const a = loadInteger(type, x, row);
      const b = loadInteger(rightType, right, row);
      if (narrow) store<i64>(out + ((<usize>row) << 3), a * b);
      else storeProduct(out + ((<usize>row) << 4), a, typeIsSigned(type), b, typeIsSigned(rightType));
    }
    return;
  }
  const fourth = self.power == <u32>Power.FOURTH;
  for (let row: u32 = 0; row < rows; row++) {
    const a = loadInteger(type, x, row);
    // Wider types go by digits, so the square fits 64 bits.
    const squared = a * a;
    if (narrow) store<i64>(out + ((<usize>row) << 3), squared * (fourth ? squared : a));
    else storeProduct(out + ((<usize>row) << 4), squared, false, fourth ? squared : a, !fourth);
  }
}

/** Products of 32-bit integers; answers a bound of their magnitudes: the product of bounds of the factors'. */
function multiplyI32(x: usize, y: usize, rows: u32, out: usize): u64 {
  let left: u32 = 0;
  let right: u32 = 0;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    let lefts = i32x4.splat(0);
    let rights = i32x4.splat(0);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const a = v128.load(x + ((<usize>row) << 2));
      const b = v128.load(y + ((<usize>row) << 2));
      const to = out + ((<usize>row) << 3);
      v128.store(to, i64x2.extmul_low_i32x4_s(a, b));
      v128.store(to, i64x2.extmul_high_i32x4_s(a, b), 16);
      lefts = i32x4.max_u(lefts, i32x4.abs(a));
      rights = i32x4.max_u(rights, i32x4.abs(b));
    }
    left = largestLane(lefts);
    right = largestLane(rights);
  }
  for (; row < rows; row++) {
    const a = load<i32>(x + ((<usize>row) << 2));
    const b = load<i32>(y + ((<usize>row) << 2));
    store<i64>(out + ((<usize>row) << 3), <i64>a * <i64>b);
    left = max<u32>(left, <u32>abs(a));
    right = max<u32>(right, <u32>abs(b));
  }
  return max<u64>(<u64>left * <u64>right, 1);
}

/** The 128-bit product of two 64-bit integers. */
// @ts-ignore: decorator
@inline
function storeProduct(out: usize, a: i64, signedA: bool, b: i64, signedB: bool): void {
  let high = multiplyHigh(a, b);
  if (signedA && a < 0) high -= b;
  if (signedB && b < 0) high -= a;
  store<u64>(out, a * b);
  store<u64>(out, high, 8);
}

/** out (na + nb words) = a * b, all of 32-bit words, lowest first. */
export function multiplyWords(out: usize, a: usize, na: u32, b: usize, nb: u32): void {
  memory.fill(out, 0, (<usize>(na + nb)) << 2);
  for (let i: u32 = 0; i < na; i++) {
    const factor: u64 = load<u32>(a + ((<usize>i) << 2));
    if (factor == 0) continue;
    let carry: u64 = 0;
    for (let j: u32 = 0; j < nb; j++) {
      const at = out + ((<usize>(i + j)) << 2);
      carry += factor * <u64>load<u32>(b + ((<usize>j) << 2)) + <u64>load<u32>(at);
      store<u32>(at, <u32>carry);
      carry >>= 32;
    }
    store<u32>(out + ((<usize>(i + nb)) << 2), <u32>carry);
  }
}

/** Words of a 128-bit magnitude, and of a fourth power of one. */
const MAGNITUDE_WORDS: u32 = 4;
const POWER_BYTES: usize = 80;

function addDigits(
  self: Accumulator,
  numbers: usize,
  x: usize,
  y: usize,
  mask: usize,
  rows: u32,
  buffer: usize,
  minus: bool,
): bool {
  const product = self.power == <u32>Power.PRODUCT;
  const a = buffer;
  const b = buffer + 16;
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    let negative = storeMagnitude(a, self.sourceType, x, row);
    if (product) negative = storeMagnitude(b, self.secondType, y, row) != negative;
    else if (self.power != <u32>Power.CUBE) negative = false;
    const words = raise(self.power, a, b, buffer + 32, MAGNITUDE_WORDS);
    const group = load<u32>(numbers + ((<usize>row) << 2));
    const power = lastPower(self.power, buffer + 32);
    if (!sumExactAddMagnitude(self, group, power, words, GRID * DIGIT_BITS, negative != minus)) return false;
  }
  return sumExactAdded(self, rows * powerPlanes(self.power));
}

/**
 * Multiplies magnitudes of `count` words as the power says: products lie POWER_BYTES apart at `out`, the
 * last one with zeros behind it. Answers its words.
 */
function raise(power: u32, a: usize, b: usize, out: usize, count: u32): u32 {
  const degree = powerDegree(power);
  let from = a;
  let words = count;
  for (let step: u32 = 1; step < degree; step++) {
    const to = out + <usize>(step - 1) * POWER_BYTES;
    multiplyWords(to, from, words, power == <u32>Power.PRODUCT ? b : a, count);
    words += count;
    store<u64>(to + ((<usize>words) << 2), 0);
    from = to;
  }
  return words;
}

// @ts-ignore: decorator
@inline
function lastPower(power: u32, out: usize): usize {
  return out + <usize>(powerDegree(power) - 2) * POWER_BYTES;
}

/** Stores a value's 128-bit magnitude; whether it is negative. */
function storeMagnitude(out: usize, type: u32, values: usize, row: u32): bool {
  let low: u64;
  let high: u64;
  if (type == <u32>Type.I128) {
    low = load<u64>(values + ((<usize>row) << 4));
    high = load<u64>(values + ((<usize>row) << 4), 8);
  } else {
    low = loadInteger(type, values, row);
    high = typeIsSigned(type) ? <u64>(<i64>low >> 63) : 0;
  }
  const negative = <i64>high < 0;
  if (negative) {
    low = 0 - low;
    high = ~high + <u64>(low == 0);
  }
  store<u64>(out, low);
  store<u64>(out, high, 8);
  return negative;
}

// ---- floats

function addFloats(
  self: Accumulator,
  numbers: usize,
  x: usize,
  y: usize,
  mask: usize,
  rows: u32,
  one: bool,
  buffer: usize,
  minus: bool,
): bool {
  const fused = self.power <= <u32>Power.SQUARE && !one && !minus;
  for (let start: u32 = 0; start < rows; start += CHUNK) {
    const count = min(CHUNK, rows - start);
    const groups = numbers + ((<usize>start) << 2);
    const a = loadFloats(self.sourceType, x, mask, start, count, buffer);
    let b = a;
    if (self.power == <u32>Power.PRODUCT)
      b = loadFloats(self.secondType, y, mask, start, count, buffer + PLANE);
    let ok: bool;
    if (ASC_FEATURE_SIMD && fused && takesProducts(self)) ok = addTogether(self, groups, a, b, count, buffer);
    else ok = addPlanes(self, groups, a, b, count, one, buffer, minus);
    if (!ok) return false;
  }
  return sumExactAdded(self, rows * powerPlanes(self.power));
}

/** Adds the products of a chunk as they are made, and those that do not fit by planes. False when out of memory. */
function addTogether(self: Accumulator, groups: usize, a: usize, b: usize, count: u32, buffer: usize): bool {
  const even = count & ~1;
  const left = buffer + LEFT;
  let pairs = addProducts(self, a, b, groups, even, left);
  if (even < count) {
    store<u32>(left + ((<usize>pairs) << 2), even);
    pairs++;
  }
  if (pairs == 0) return true;
  // Rows move to the front only.
  const from = buffer + LEFT_GROUPS;
  let rows: u32 = 0;
  for (let pair: u32 = 0; pair < pairs; pair++) {
    const row = load<u32>(left + ((<usize>pair) << 2));
    for (let at = row; at < min(row + 2, count); at++) {
      store<u32>(from + ((<usize>rows) << 2), load<u32>(groups + ((<usize>at) << 2)));
      const to = (<usize>rows) << 3;
      store<u64>(buffer + to, load<u64>(a + ((<usize>at) << 3)));
      if (a != b) store<u64>(buffer + PLANE + to, load<u64>(b + ((<usize>at) << 3)));
      rows++;
    }
  }
  return addPlanes(self, from, buffer, a == b ? buffer : buffer + PLANE, rows, false, buffer, false);
}

/** Adds the powers of a chunk plane by plane; values that are not split are zeroed in `buffer`. False when out of memory. */
function addPlanes(
  self: Accumulator,
  groups: usize,
  a: usize,
  b: usize,
  count: u32,
  one: bool,
  buffer: usize,
  minus: bool,
): bool {
  const p = buffer + PLANE * 2;
  if (!areTame(a, count) || (a != b && !areTame(b, count))) {
    const x = ownCopy(a, buffer, count);
    b = a == b ? x : ownCopy(b, buffer + PLANE, count);
    a = x;
    if (!addWild(self, groups, a, b, count, p, minus)) return false;
  }
  expand(self.power, a, b, p, count);
  for (let plane: u32 = 0; plane < powerPlanes(self.power); plane++) {
    const values = p + <usize>plane * PLANE;
    // unreached: NaNs and infinities, which alone take memory there, were taken out before
    if (minus && !negateFloats(self, groups, values, count)) return false;
    if (!addChunk(self, groups, values, count, one)) return false;
  }
  return true;
}

function ownCopy(values: usize, own: usize, count: u32): usize {
  if (values != own) memory.copy(own, values, (<usize>count) << 3);
  return own;
}

/** Where a chunk's values lie as float64, those that do not count as zeros: in `out` unless they are so already. */
function loadFloats(type: u32, values: usize, mask: usize, start: u32, count: u32, out: usize): usize {
  let from = values + ((<usize>start) << 3);
  if (type == <u32>Type.F32) {
    widenFloats(values + ((<usize>start) << 2), count, out);
    from = out;
  }
  if (mask == 0) return from;
  keep64(from, mask, start, count, out);
  return out;
}

// @ts-ignore: decorator
@inline
function isTame(bits: u64): bool {
  return ((<u32>(bits >> 52) & 0x7ff) - LEAST_EXPONENT < EXPONENTS) | (bits << 1 == 0);
}

function areTame(values: usize, count: u32): bool {
  let tame = true;
  for (let row: u32 = 0; row < count; row++) tame = tame && isTame(load<u64>(values + ((<usize>row) << 3)));
  return tame;
}

/**
 * Adds the rows that the splitting does not take by integers (or takes them back), and zeroes them. False when out
 * of memory.
 */
function addWild(
  self: Accumulator,
  numbers: usize,
  a: usize,
  b: usize,
  count: u32,
  work: usize,
  minus: bool,
): bool {
  for (let row: u32 = 0; row < count; row++) {
    const at = (<usize>row) << 3;
    const x = load<u64>(a + at);
    const y = load<u64>(b + at);
    if (isTame(x) && isTame(y)) continue;
    store<u64>(a + at, 0);
    store<u64>(b + at, 0);
    if (!addWildRow(self, load<u32>(numbers + ((<usize>row) << 2)), x, y, work, minus)) return false;
  }
  return true;
}

function addWildRow(self: Accumulator, group: u32, x: u64, y: u64, work: usize, minus: bool): bool {
  if (((x >> 52) & 0x7ff) == 0x7ff || ((y >> 52) & 0x7ff) == 0x7ff)
    return addLimb(self, group, NAN, minus ? -1 : 1);
  const degree = powerDegree(self.power);
  // Each position counts from 2^-1074, and the product's from `degree` times that; the grid from 2^-4314.
  const positions = self.power == <u32>Power.PRODUCT ? positionOf(x) + positionOf(y) : positionOf(x) * degree;
  const odd = self.power == <u32>Power.PRODUCT || self.power == <u32>Power.CUBE;
  const negative = odd && (self.power == <u32>Power.PRODUCT ? <i64>(x ^ y) < 0 : <i64>x < 0);
  store<u64>(work, mantissaOf(x));
  store<u64>(work, mantissaOf(y), 16);
  const words = raise(self.power, work, work + 16, work + 32, 2);
  return sumExactAddMagnitude(
    self,
    group,
    lastPower(self.power, work + 32),
    words,
    positions + GRID * DIGIT_BITS + 1074 - 1074 * degree,
    negative != minus,
  );
}

/** The exponent of a float's lowest bit, from that of the least float; 2046 of what is not finite. */
// @ts-ignore: decorator
@inline
export function positionOf(bits: u64): u32 {
  const field = <u32>(bits >> 52) & 0x7ff;
  return field == 0 ? 0 : field - 1;
}

// @ts-ignore: decorator
@inline
export function mantissaOf(bits: u64): u64 {
  const fraction = bits & 0xfffffffffffff;
  return ((bits >> 52) & 0x7ff) == 0 ? fraction : fraction | (1 << 52);
}

/** Writes the planes whose sum is the power of each row. */
function expand(power: u32, a: usize, b: usize, p: usize, count: u32): void {
  if (power <= <u32>Power.SQUARE) {
    twoProducts(a, b, p, p + PLANE, count);
    return;
  }
  // Planes 4 and 5 hold the square while the others are made from it.
  const h = p + PLANE * 4;
  const l = p + PLANE * 5;
  twoProducts(a, a, h, l, count);
  if (power == <u32>Power.CUBE) {
    twoProducts(h, a, p, p + PLANE, count);
    twoProducts(l, a, p + PLANE * 2, p + PLANE * 3, count);
    return;
  }
  twoProducts(h, h, p, p + PLANE, count);
  for (let at: usize = 0; at < (<usize>count) << 3; at += 8) store<f64>(h + at, load<f64>(h + at) * 2);
  twoProducts(h, l, p + PLANE * 2, p + PLANE * 3, count);
  twoProducts(l, l, h, l, count);
}

/** p = fl(a b), e = a b - p; the outputs may be the inputs. */
function twoProducts(a: usize, b: usize, p: usize, e: usize, count: u32): void {
  let at: usize = 0;
  const end = (<usize>count) << 3;
  if (ASC_FEATURE_SIMD) {
    const splitter = f64x2.splat(SPLITTER);
    for (const whole = end & ~15; at < whole; at += 16) {
      const x = v128.load(a + at);
      const y = v128.load(b + at);
      const cx = f64x2.mul(x, splitter);
      const hx = f64x2.sub(cx, f64x2.sub(cx, x));
      const lx = f64x2.sub(x, hx);
      const cy = f64x2.mul(y, splitter);
      const hy = f64x2.sub(cy, f64x2.sub(cy, y));
      const ly = f64x2.sub(y, hy);
      const product = f64x2.mul(x, y);
      let rest = f64x2.sub(f64x2.mul(hx, hy), product);
      rest = f64x2.add(rest, f64x2.mul(hx, ly));
      rest = f64x2.add(rest, f64x2.mul(lx, hy));
      v128.store(p + at, product);
      v128.store(e + at, f64x2.add(rest, f64x2.mul(lx, ly)));
    }
  }
  for (; at < end; at += 8) {
    const x = load<f64>(a + at);
    const y = load<f64>(b + at);
    const cx = x * SPLITTER;
    const hx = cx - (cx - x);
    const lx = x - hx;
    const cy = y * SPLITTER;
    const hy = cy - (cy - y);
    const ly = y - hy;
    const product = x * y;
    const rest = hx * hy - product + hx * ly + lx * hy + lx * ly;
    store<f64>(p + at, product);
    store<f64>(e + at, rest);
  }
}
