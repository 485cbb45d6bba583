// MIN and MAX of fixed-width values.
//
// Every type is compared as an integer. Floats become one whose order is the total order
// -Inf .. -0 < +0 .. +Inf < NaN (so that the answer does not depend on the order of rows where zeros or
// NaNs meet), booleans a byte. A group without a value holds the neutral element, which spares the loop a
// test; whether a value came is another accumulator's to know. Two of 32-bit integers lie side by side (extreme-pair.ts), so that
// a value's place goes by the stride.
//
// Four rows' places are computed as a vector, and a kept value goes through one: the range of two columns by 100,000 groups
// takes 0.82 of the time of integers in general registers, between which V8 chooses by a branch.

import { Type } from "../abi/layout";
import { typeWidth } from "../column/type";
import { keepOr } from "../column/keep";
import { copyBytes } from "../memory/copy";
import { Accumulator, Family, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";
import { extremePairReserve } from "./extreme-pair";
import { lanesOfFour } from "./lanes";

/** `Type` in which values of `type` are compared and kept. */
export function minmaxType(type: u32): u32 {
  switch (type) {
    case Type.BOOL:
      return Type.U8;
    case Type.F32:
      return Type.I32;
    case Type.F64:
      return Type.I64;
    default:
      return type;
  }
}

export function minmaxReserve(self: Accumulator, groups: u32): bool {
  if (self.pair != 0) return extremePairReserve(self, groups);
  const type = minmaxType(self.type);
  const least = self.family == <u32>Family.MIN;
  const before = self.capacity;
  if (!accumulatorReserve(self, groups, neutralOf(type, least))) return false;
  if (type != <u32>Type.I128) return true;
  for (let group = before; group < self.capacity; group++)
    store<u64>(self.values + ((<usize>group) << 4), neutralOf(Type.I64, least), 8);
  return true;
}

/** What any value of `type` takes the place of, where the least (else the greatest) is kept, as many times as 64 bits hold. */
function neutralOf(type: u32, least: bool): u64 {
  switch (type) {
    case Type.I8:
      return least ? 0x7f7f7f7f7f7f7f7f : 0x8080808080808080;
    case Type.I16:
      return least ? 0x7fff7fff7fff7fff : 0x8000800080008000;
    case Type.I32:
      return least ? 0x7fffffff7fffffff : 0x8000000080000000;
    case Type.I64:
      return least ? 0x7fffffffffffffff : 0x8000000000000000;
    // Of an I128 the lower half.
    default:
      return least ? u64.MAX_VALUE : 0;
  }
}

/**
 * Folds a vector in; `one` says that every row belongs to one group. `buffer` is VALUES_BYTES of scratch and may be
 * where `values` are.
 */
export function minmaxUpdate(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  one: bool,
  buffer: usize,
): void {
  const type = minmaxType(self.type);
  const width = typeWidth(type);
  const isKept = mask != 0 && (width == 4 || width == 8);
  let ordered = minmaxOrder(self.type, values, rows, buffer);
  if (isKept) {
    const neutral = neutralOf(type, self.family == <u32>Family.MIN);
    if (width == 4) keepOr<u32>(ordered, mask, rows, buffer, <u32>neutral);
    else keepOr<u64>(ordered, mask, rows, buffer, neutral);
    ordered = buffer;
  }
  fold(self, numbers, ordered, isKept ? 0 : mask, rows, one);
}

/** Values of `type` as those of `minmaxType`: `values`, or in `buffer`. */
export function minmaxOrder(type: u32, values: usize, rows: u32, buffer: usize): usize {
  if (type == <u32>Type.BOOL) spreadBits(values, rows, buffer);
  else if (type == <u32>Type.F32) orderFloats32(values, rows, buffer);
  else if (type == <u32>Type.F64) orderFloats64(values, rows, buffer);
  else return values;
  return buffer;
}

/** Folds groups of `source` in, by way of `buffer` (16 bytes a group). */
export function minmaxCombine(
  self: Accumulator,
  source: Accumulator,
  list: usize,
  numbers: usize,
  count: u32,
  buffer: usize,
): void {
  gatherKept(source, list, count, buffer);
  fold(self, numbers, buffer, 0, count, false);
}

/** What the `count` groups listed at `list` (u32 each) have, one after the other. */
function gatherKept(self: Accumulator, list: usize, count: u32, target: usize): void {
  switch (typeWidth(minmaxType(self.type))) {
    case 1:
      gather<u8>(self, list, count, target);
      break;
    case 2:
      gather<u16>(self, list, count, target);
      break;
    case 4:
      gather<u32>(self, list, count, target);
      break;
    case 8:
      gather<u64>(self, list, count, target);
      break;
    default:
      for (let index: usize = 0; index < <usize>count; index++) {
        const from = self.values + ((<usize>load<u32>(list + (index << 2))) << 4);
        store<u64>(target + (index << 4), load<u64>(from));
        store<u64>(target + (index << 4), load<u64>(from, 8), 8);
      }
  }
}

// @ts-ignore: decorator
@inline
function gather<T>(self: Accumulator, list: usize, count: u32, target: usize): void {
  const kept = self.values;
  const stride: usize = self.stride;
  for (let index: usize = 0; index < <usize>count; index++) {
    const at = kept + <usize>load<u32>(list + (index << 2)) * stride;
    store<T>(target + index * sizeof<T>(), load<T>(at));
  }
}

function fold(self: Accumulator, numbers: usize, values: usize, mask: usize, rows: u32, one: bool): void {
  const kept = self.values;
  const shift = <usize>ctz<u32>(self.stride);
  const least = self.family == <u32>Family.MIN;
  switch (minmaxType(self.type)) {
    case Type.I8:
      foldRows<i8>(kept, shift, numbers, values, mask, rows, one, least);
      break;
    case Type.U8:
      foldRows<u8>(kept, shift, numbers, values, mask, rows, one, least);
      break;
    case Type.I16:
      foldRows<i16>(kept, shift, numbers, values, mask, rows, one, least);
      break;
    case Type.U16:
      foldRows<u16>(kept, shift, numbers, values, mask, rows, one, least);
      break;
    case Type.I32:
      foldRows<i32>(kept, shift, numbers, values, mask, rows, one, least);
      break;
    case Type.U32:
      foldRows<u32>(kept, shift, numbers, values, mask, rows, one, least);
      break;
    case Type.I64:
      foldRows<i64>(kept, shift, numbers, values, mask, rows, one, least);
      break;
    case Type.U64:
      foldRows<u64>(kept, shift, numbers, values, mask, rows, one, least);
      break;
    default:
      foldWide(kept, numbers, values, mask, rows, least);
  }
}

// @ts-ignore: decorator
@inline
function foldRows<T>(
  kept: usize,
  shift: usize,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  one: bool,
  least: bool,
): void {
  if (sizeof<T>() < 4) {
    foldShort<T>(kept, shift, numbers, values, mask, rows, one, least);
  } else if (one) {
    const at = kept + ((<usize>load<u32>(numbers)) << shift);
    const so = load<T>(at);
    store<T>(at, least ? extreme<T>(so, values, rows, true) : extreme<T>(so, values, rows, false));
  } else if (least) foldLoop<T>(kept, shift, numbers, values, rows, true);
  else foldLoop<T>(kept, shift, numbers, values, rows, false);
}

/**
 * The least or greatest of `so` and the values of a vector, whose bits in `turned` are turned, of four runs at a time: none waits
 * for the one before.
 */
// @ts-ignore: decorator
@inline
export function extreme<T>(so: T, values: usize, rows: u32, least: bool, turned: T = 0): T {
  let a = so;
  let b = so;
  let c = so;
  let d = so;
  let row: u32 = 0;
  for (const whole = rows & ~3; row < whole; row += 4) {
    const at = values + <usize>row * sizeof<T>();
    a = better<T>(a, load<T>(at) ^ turned, least);
    b = better<T>(b, load<T>(at, sizeof<T>()) ^ turned, least);
    c = better<T>(c, load<T>(at, sizeof<T>() * 2) ^ turned, least);
    d = better<T>(d, load<T>(at, sizeof<T>() * 3) ^ turned, least);
  }
  for (; row < rows; row++) a = better<T>(a, load<T>(values + <usize>row * sizeof<T>()) ^ turned, least);
  return better<T>(better<T>(a, b, least), better<T>(c, d, least), least);
}

// @ts-ignore: decorator
@inline
function better<T>(a: T, b: T, least: bool): T {
  return least ? (b < a ? b : a) : b > a ? b : a;
}

// @ts-ignore: decorator
@inline
function foldLoop<T>(kept: usize, shift: usize, numbers: usize, values: usize, rows: u32, least: bool): void {
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD && sizeof<T>() == 4) {
    const bases = i32x4.splat(<u32>kept);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const places = i32x4.add(bases, i32x4.shl(v128.load(numbers + ((<usize>row) << 2)), <i32>shift));
      foldFour<T>(places, v128.load(values + ((<usize>row) << 2)), least);
    }
  }
  if (ASC_FEATURE_SIMD && sizeof<T>() == 8 && isSigned<T>()) {
    const bases = i32x4.splat(<u32>kept);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const places = lanesOfFour(bases, numbers + ((<usize>row) << 2));
      const from = values + ((<usize>row) << 3);
      foldTwo(i64x2.extract_lane(places, 0), v128.load(from), least);
      foldTwo(i64x2.extract_lane(places, 1), v128.load(from, 16), least);
    }
  }
  for (; row < rows; row++) {
    const at = kept + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << shift);
    store<T>(at, better<T>(load<T>(at), load<T>(values + <usize>row * sizeof<T>()), least));
  }
}

/** Values of one or two bytes of rows in `mask` (0: of all). Where all bits are turned, the least is the greatest. */
// @ts-ignore: decorator
@inline
function foldShort<T>(
  kept: usize,
  shift: usize,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  one: bool,
  least: bool,
): void {
  const turned: T = least ? ~(<T>0) : 0;
  if (one && mask == 0) {
    const at = kept + ((<usize>load<u32>(numbers)) << shift);
    store<T>(at, extreme<T>(load<T>(at) ^ turned, values, rows, false, turned) ^ turned);
    return;
  }
  for (let row: u32 = 0; row < rows; row++) {
    const at = kept + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << shift);
    const value: T = load<T>(values + <usize>row * sizeof<T>()) ^ turned;
    const old: T = load<T>(at) ^ turned;
    const counts = mask == 0 ? 1 : maskBit(mask, row);
    store<T>(at, (<u32>(value > old) & counts ? value : old) ^ turned);
  }
}

// Rows one after the other, as two of them may be of one group; each by a vector of which one lane counts, which spares the
// branch that a choice between two integers is to V8.

// @ts-ignore: decorator
@inline
function foldFour<T>(places: v128, four: v128, least: bool): void {
  const near = i64x2.extract_lane(places, 0);
  const far = i64x2.extract_lane(places, 1);
  const a = <usize>(<u32>near);
  v128.store32_lane(a, betterOfFour<T>(v128.load32_splat(a), four, least), 0);
  const b = <usize>(near >> 32);
  v128.store32_lane(b, betterOfFour<T>(v128.load32_splat(b), four, least), 1);
  const c = <usize>(<u32>far);
  v128.store32_lane(c, betterOfFour<T>(v128.load32_splat(c), four, least), 2);
  const d = <usize>(far >> 32);
  v128.store32_lane(d, betterOfFour<T>(v128.load32_splat(d), four, least), 3);
}

// @ts-ignore: decorator
@inline
function betterOfFour<T>(a: v128, b: v128, least: bool): v128 {
  if (isSigned<T>()) return least ? i32x4.min_s(a, b) : i32x4.max_s(a, b);
  return least ? i32x4.min_u(a, b) : i32x4.max_u(a, b);
}

// @ts-ignore: decorator
@inline
function foldTwo(places: u64, two: v128, least: bool): void {
  const a = <usize>(<u32>places);
  v128.store64_lane(a, betterOfTwo(v128.load64_zero(a), two, least), 0);
  const b = <usize>(places >> 32);
  v128.store64_lane(b, betterOfTwo(v128.load64_splat(b), two, least), 1);
}

// @ts-ignore: decorator
@inline
function betterOfTwo(a: v128, b: v128, least: bool): v128 {
  return v128.bitselect(b, a, least ? i64x2.lt_s(b, a) : i64x2.gt_s(b, a));
}

function foldWide(kept: usize, numbers: usize, values: usize, mask: usize, rows: u32, least: bool): void {
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    const at = kept + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 4);
    const from = values + ((<usize>row) << 4);
    if (least ? isLess128(from, at) : isLess128(at, from)) {
      store<u64>(at, load<u64>(from));
      store<u64>(at, load<u64>(from, 8), 8);
    }
  }
}

// @ts-ignore: decorator
@inline
function isLess128(a: usize, b: usize): bool {
  const highA = load<i64>(a, 8);
  const highB = load<i64>(b, 8);
  return highA < highB || (highA == highB && load<u64>(a) < load<u64>(b));
}

// Source and target may be the same: bits spread backwards, floats keep their width.

function spreadBits(values: usize, rows: u32, buffer: usize): void {
  for (let row = <i32>rows - 1; row >= 0; row--) {
    store<u8>(buffer + <usize>row, (load<u8>(values + <usize>(row >> 3)) >> <u8>(row & 7)) & 1);
  }
}

function orderFloats32(values: usize, rows: u32, buffer: usize): void {
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const nan = i32x4.splat(0x7fc00000);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const value = v128.load(values + ((<usize>row) << 2));
      const bits = v128.bitselect(value, nan, f32x4.eq(value, value));
      v128.store(buffer + ((<usize>row) << 2), v128.xor(bits, i32x4.shr_u(i32x4.shr_s(bits, 31), 1)));
    }
  }
  for (; row < rows; row++) {
    const value = load<f32>(values + ((<usize>row) << 2));
    const bits = value != value ? 0x7fc00000 : reinterpret<i32>(value);
    store<i32>(buffer + ((<usize>row) << 2), bits ^ <i32>(<u32>(bits >> 31) >> 1));
  }
}

function orderFloats64(values: usize, rows: u32, buffer: usize): void {
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const nan = i64x2.splat(0x7ff8000000000000);
    for (const whole = rows & ~1; row < whole; row += 2) {
      const value = v128.load(values + ((<usize>row) << 3));
      const bits = v128.bitselect(value, nan, f64x2.eq(value, value));
      v128.store(buffer + ((<usize>row) << 3), v128.xor(bits, i64x2.shr_u(i64x2.shr_s(bits, 63), 1)));
    }
  }
  for (; row < rows; row++) {
    const value = load<f64>(values + ((<usize>row) << 3));
    const bits = value != value ? 0x7ff8000000000000 : reinterpret<i64>(value);
    store<i64>(buffer + ((<usize>row) << 3), bits ^ <i64>(<u64>(bits >> 63) >> 1));
  }
}

/** Turns the value at `at` from `minmaxType` back into one of `type`. */
export function minmaxInOrder(type: u32, at: usize): void {
  if (type == <u32>Type.F64) {
    const bits = load<i64>(at);
    store<i64>(at, bits ^ <i64>(<u64>(bits >> 63) >> 1));
  } else if (type == <u32>Type.F32) {
    const bits = load<i32>(at);
    store<i32>(at, bits ^ <i32>(<u32>(bits >> 31) >> 1));
  }
}

/** Writes a group's value, as bits of `self.type` (a byte for BOOL), to `target` (16 bytes). */
export function minmaxLoad(self: Accumulator, group: u32, target: usize): void {
  copyBytes(target, self.values + <usize>group * <usize>self.stride, typeWidth(minmaxType(self.type)));
  minmaxInOrder(self.type, target);
}

/** Writes the values of the `count` groups listed at `list` (u32 each) likewise, but as a column has them; not for BOOL. */
export function minmaxList(self: Accumulator, list: usize, count: u32, target: usize): void {
  gatherKept(self, list, count, target);
  const type = self.type;
  if (type != <u32>Type.F32 && type != <u32>Type.F64) return;
  const width = typeWidth(type);
  for (const end = target + <usize>count * width; target < end; target += width) minmaxInOrder(type, target);
}
