// TOP and BOTTOM: the k greatest, or least, fixed-width values of each group.
//
// A group is a flat array of k keys, a heap with its least key in front: a row is compared with that one key,
// and most rows are done then. Keys are 64-bit integers (of decimals 128) in the order of the values, as in
// minmax.ts; those of BOTTOM are inverted, so that everything below knows only the greatest. Arrays begin full of
// the least key there is, which spares the loop a test for how many came. Only 64-bit integers have a value with that key:
// of these a count of values knows how many came (`topNeedsCount`).
//
// Rows of a vector that beat their group's front key are found first, without a branch, and put in then: a branch that is
// foreseen wrongly, one in ten of where each group has a hundred rows, waits for a key that is far away. With that, and two
// keys put in order as a vector, 10 million rows by 100,000 groups take 19 ms instead of 29 for two keys, 23 for others.
// Tried and lost: each row by itself as a vector, without a branch (26: all lines are written); lines touched before.
//
// The state, and the result, is a list (BYTES): the values as they are, best first.

import { Abi, Type } from "../abi/layout";
import { copyBytes } from "../memory/copy";
import { regionBlock } from "../memory/region";
import { Accumulator, Family, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";
import { itemWidth, orderKey, storeOrdered } from "../column/order";

/** Bytes of a vector's 64-bit keys. Behind them a buffer has room for as many again. */
const KEYS_BYTES: usize = <usize>Abi.VECTOR_ROWS << 3;
/** No key, as words of 64 bits. */
const NONE: u64 = 0x8000000000000000;

// @ts-ignore: decorator
@inline
function keyWidth(type: u32): usize {
  return type == <u32>Type.I128 ? 16 : 8;
}

/** Room for sorting, and showing, one group. False when out of memory. */
export function topInit(self: Accumulator): bool {
  self.stride = self.limit * <u32>keyWidth(self.type);
  self.buffer = regionBlock(self.region, self.stride);
  return self.buffer != 0;
}

/** Keys begin as none: the least there is, of decimals one that is below any of them. */
export function topReserve(self: Accumulator, groups: u32): bool {
  return accumulatorReserve(self, groups, NONE);
}

/** Folds a vector in. `buffer` is VALUES_BYTES of scratch and may be where `values` are. */
export function topUpdate(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  buffer: usize,
): void {
  const invert: i64 = self.family == <u32>Family.BOTTOM ? -1 : 0;
  const width: usize = itemWidth(self.type);
  if (self.type == <u32>Type.I128) {
    foldWide(self, numbers, values, mask, rows, invert);
    return;
  }
  if (self.type == <u32>Type.F64) orderFloats(values, rows, buffer, invert);
  else if (self.type == <u32>Type.BOOL) {
    for (let row = <i32>rows - 1; row >= 0; row--) {
      store<i64>(buffer + ((<usize>row) << 3), <i64>maskBit(values, <u32>row) ^ invert);
    }
  } else {
    // Backwards, as keys are wider than values that may lie in the same place.
    for (let row = <i32>rows - 1; row >= 0; row--) {
      store<i64>(buffer + ((<usize>row) << 3), orderKey(self.type, values + <usize>row * width) ^ invert);
    }
  }
  fold(self, numbers, buffer, mask, rows, buffer + KEYS_BYTES);
}

/** `list` has room for the number of each row (u16). */
function fold(self: Accumulator, numbers: usize, keys: usize, mask: usize, rows: u32, list: usize): void {
  const kept = self.values;
  const stride: usize = self.stride;
  const limit = self.limit;
  const end = findGreater(self, numbers, keys, rows, list);
  for (let entry = list; entry < end; entry += 2) {
    const row: u32 = load<u16>(entry);
    if (mask != 0 && maskBit(mask, row) == 0) continue;
    const at = kept + <usize>load<u32>(numbers + ((<usize>row) << 2)) * stride;
    const from = keys + ((<usize>row) << 3);
    // The group may have had another row meanwhile.
    offer(at, limit, from);
  }
}

/** Lists the rows whose keys are greater than the front one of their group; where the list ends. */
function findGreater(self: Accumulator, numbers: usize, keys: usize, rows: u32, list: usize): usize {
  const kept = self.values;
  const stride = self.stride;
  let row: u32 = 0;
  let end = list;
  if (ASC_FEATURE_SIMD) {
    const bases = i32x4.splat(<u32>kept);
    const strides = i32x4.splat(stride);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const places = i32x4.add(bases, i32x4.mul(v128.load(numbers + ((<usize>row) << 2)), strides));
      const near = i64x2.extract_lane(places, 0);
      const far = i64x2.extract_lane(places, 1);
      const first = v128.load64_lane(<usize>(near >> 32), v128.load64_zero(<u32>near), 1);
      const second = v128.load64_lane(<usize>(far >> 32), v128.load64_zero(<u32>far), 1);
      const from = keys + ((<usize>row) << 3);
      const one = i64x2.bitmask(i64x2.gt_s(v128.load(from), first));
      const other = i64x2.bitmask(i64x2.gt_s(v128.load(from, 16), second));
      store<u16>(end, <u16>row);
      end += (one & 1) << 1;
      store<u16>(end, <u16>(row + 1));
      end += one & 2;
      store<u16>(end, <u16>(row + 2));
      end += (other & 1) << 1;
      store<u16>(end, <u16>(row + 3));
      end += other & 2;
    }
  }
  for (; row < rows; row++) {
    const at = kept + <usize>load<u32>(numbers + ((<usize>row) << 2)) * <usize>stride;
    store<u16>(end, <u16>row);
    end += <usize>(load<i64>(keys + ((<usize>row) << 3)) > load<i64>(at)) << 1;
  }
  return end;
}

/** Puts the key at `from` in, if it is greater than the front one. */
// @ts-ignore: decorator
@inline
function offer(at: usize, limit: u32, from: usize): void {
  if (ASC_FEATURE_SIMD && limit == 2) putOfTwo(at, v128.load64_splat(from));
  else if (load<i64>(from) > load<i64>(at)) put(at, limit, load<i64>(from));
}

/** Puts a key, in both halves of `key`, among two, of which the lesser comes first. */
// @ts-ignore: decorator
@inline
function putOfTwo(at: usize, key: v128): void {
  const two = v128.load(at);
  const greater = i64x2.gt_s(key, two);
  const put = v128.bitselect(key, two, greater);
  // The greatest of all goes behind, and what was there to the front.
  const turned = v128.shuffle<i64>(two, two, 1, 0);
  const turns = v128.shuffle<i64>(greater, i64x2.splat(0), 1, 2);
  v128.store(at, v128.bitselect(turned, put, turns));
}

function foldWide(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  invert: i64,
): void {
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && maskBit(mask, row) == 0) continue;
    const at = self.values + <usize>load<u32>(numbers + ((<usize>row) << 2)) * <usize>self.stride;
    const value = values + ((<usize>row) << 4);
    putWide(at, self.limit, load<u64>(value) ^ <u64>invert, load<i64>(value, 8) ^ invert);
  }
}

/** Puts a key that is greater than the front one in its place. */
function put(at: usize, limit: u32, key: i64): void {
  let hole: u32 = 0;
  for (let child: u32 = 1; child < limit; child = (hole << 1) + 1) {
    let least = load<i64>(at + ((<usize>child) << 3));
    if (child + 1 < limit) {
      const other = load<i64>(at + ((<usize>child) << 3), 8);
      if (other < least) {
        least = other;
        child++;
      }
    }
    if (key <= least) break;
    store<i64>(at + ((<usize>hole) << 3), least);
    hole = child;
  }
  store<i64>(at + ((<usize>hole) << 3), key);
}

// @ts-ignore: decorator
@inline
function isLess(low: u64, high: i64, at: usize): bool {
  const other = load<i64>(at, 8);
  return high < other || (high == other && low < load<u64>(at));
}

/** Puts a 128-bit key in, if it is not less than the front one. */
function putWide(at: usize, limit: u32, low: u64, high: i64): void {
  if (!isLess(low, high, at)) siftWide(at, limit, low, high);
}

function siftWide(at: usize, limit: u32, low: u64, high: i64): void {
  let hole: u32 = 0;
  for (let child: u32 = 1; child < limit; child = (hole << 1) + 1) {
    let from = at + ((<usize>child) << 4);
    if (child + 1 < limit && isLess(load<u64>(from, 16), load<i64>(from, 24), from)) {
      child++;
      from += 16;
    }
    if (isLess(low, high, from)) break;
    memory.copy(at + ((<usize>hole) << 4), from, 16);
    hole = child;
  }
  store<u64>(at + ((<usize>hole) << 4), low);
  store<i64>(at + ((<usize>hole) << 4), high, 8);
}

/** The keys of float64 values. */
function orderFloats(values: usize, rows: u32, buffer: usize, invert: i64): void {
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const flip = i64x2.splat(invert);
    const nan = i64x2.splat(0x7ff8000000000000);
    for (; row + 2 <= rows; row += 2) {
      const value = v128.load(values + ((<usize>row) << 3));
      const bits = v128.bitselect(value, nan, f64x2.eq(value, value));
      const key = v128.xor(bits, i64x2.shr_u(i64x2.shr_s(bits, 63), 1));
      v128.store(buffer + ((<usize>row) << 3), v128.xor(key, flip));
    }
  }
  for (; row < rows; row++) {
    const at = (<usize>row) << 3;
    store<i64>(buffer + at, orderKey(Type.F64, values + at) ^ invert);
  }
}

// ---- reading and merging

/** Whether values of the type have to be counted: one may have the key that stands for none, or they are texts. */
export function topNeedsCount(type: u32): bool {
  return type == <u32>Type.I64 || type == <u32>Type.U64 || type == <u32>Type.BYTES;
}

/** Values that a group holds, of which `count` came. */
// @ts-ignore: decorator
@inline
export function topLength(self: Accumulator, count: u64): u32 {
  return count < <u64>self.limit ? <u32>count : self.limit;
}

/** The same where values need not be counted. */
export function topHeld(self: Accumulator, group: u32): u32 {
  const at = self.values + <usize>group * <usize>self.stride;
  // The front key is the least.
  if (!isNone(self, at)) return self.limit;
  const width = keyWidth(self.type);
  let held: u32 = 0;
  for (let key = at; key < at + <usize>self.stride; key += width) held += isNone(self, key) ? 0 : 1;
  return held;
}

// @ts-ignore: decorator
@inline
function isNone(self: Accumulator, key: usize): bool {
  return load<u64>(key + keyWidth(self.type) - 8) == NONE;
}

/** Writes a group's values, best first, to the accumulator's buffer and answers where they begin. */
export function topList(self: Accumulator, group: u32): usize {
  const buffer = self.buffer;
  copyBytes(buffer, self.values + <usize>group * <usize>self.stride, self.stride);
  const invert: i64 = self.family == <u32>Family.BOTTOM ? -1 : 0;
  if (self.type == <u32>Type.I128) {
    sortWide(buffer, self.limit);
    for (let at = buffer; at < buffer + <usize>self.stride; at += 8) store<i64>(at, load<i64>(at) ^ invert);
    return buffer;
  }
  sort(buffer, self.limit);
  const width: usize = itemWidth(self.type);
  for (let item: usize = 0; item < <usize>self.limit; item++) {
    storeOrdered(self.type, buffer + item * width, load<i64>(buffer + (item << 3)) ^ invert);
  }
  return buffer;
}

/** A heap in descending order: its least key goes last, and so on. */
function sort(at: usize, limit: u32): void {
  for (let last = limit - 1; last > 0; last--) {
    const place = at + ((<usize>last) << 3);
    const least = load<i64>(at);
    put(at, last, load<i64>(place));
    store<i64>(place, least);
  }
}

function sortWide(at: usize, limit: u32): void {
  for (let last = limit - 1; last > 0; last--) {
    const place = at + ((<usize>last) << 4);
    const low = load<u64>(at);
    const high = load<i64>(at, 8);
    siftWide(at, last, load<u64>(place), load<i64>(place, 8));
    store<u64>(place, low);
    store<i64>(place, high, 8);
  }
}

/** Whether bytes are a list of a group to which `count` values came. */
export function topStateIsValid(self: Accumulator, length: u32, count: u64): bool {
  return length == topLength(self, count) * itemWidth(self.type);
}

/** The same where values are not counted. */
export function topHeldIsValid(self: Accumulator, length: u32): bool {
  return length <= self.limit * itemWidth(self.type) && length % itemWidth(self.type) == 0;
}

/** Folds what another accumulator, or this one, holds for a group in. */
export function topCombine(self: Accumulator, group: u32, source: Accumulator, other: u32): void {
  const at = self.values + <usize>group * <usize>self.stride;
  const from = source.values + <usize>other * <usize>self.stride;
  // Keys that stand for none are less than any, or the same.
  for (let item: usize = 0; item < <usize>self.limit; item++) {
    if (self.type == <u32>Type.I128) {
      putWide(at, self.limit, load<u64>(from + (item << 4)), load<i64>(from + (item << 4), 8));
      continue;
    }
    offer(at, self.limit, from + (item << 3));
  }
}

/** Folds a list in. */
export function topMerge(self: Accumulator, group: u32, address: usize, length: u32): void {
  const at = self.values + <usize>group * <usize>self.stride;
  const invert: i64 = self.family == <u32>Family.BOTTOM ? -1 : 0;
  const width: usize = itemWidth(self.type);
  const end = address + <usize>length;
  for (; address < end; address += width) {
    if (self.type == <u32>Type.I128) {
      putWide(at, self.limit, load<u64>(address) ^ <u64>invert, load<i64>(address, 8) ^ invert);
      continue;
    }
    const key = orderKey(self.type, address) ^ invert;
    if (key > load<i64>(at)) put(at, self.limit, key);
  }
}
