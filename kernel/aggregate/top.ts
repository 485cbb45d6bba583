// TOP and BOTTOM: the k greatest, or least, fixed-width values of each group.
//
// A group is a flat array of k keys, a heap with its least key in front: a row is compared with that one key,
// and most rows are done then. Keys are 64-bit integers (of decimals 128) in the order of the values, as in
// minmax.ts; those of BOTTOM are inverted, so that everything below knows only the greatest. Arrays begin full of
// the least key there is, which spares the loop a test for how many came: that the count of values knows.
//
// The state, and the result, is a list (BYTES): the values as they are, best first.

import { Type } from "../abi/layout";
import { regionBlock } from "../memory/region";
import { Accumulator, Family, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";
import { itemWidth, orderKey, storeOrdered } from "../column/order";

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

/** No decimal reaches the key that arrays begin with; a 64-bit value may, and is the same as none then. */
export function topReserve(self: Accumulator, groups: u32): bool {
  return accumulatorReserve(self, groups, 0x8000000000000000);
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
  fold(self, numbers, buffer, mask, rows);
}

function fold(self: Accumulator, numbers: usize, keys: usize, mask: usize, rows: u32): void {
  const kept = self.values;
  const stride: usize = self.stride;
  const limit = self.limit;
  for (let row: u32 = 0; row < rows; row++) {
    const at = kept + <usize>load<u32>(numbers + ((<usize>row) << 2)) * stride;
    const key = load<i64>(keys + ((<usize>row) << 3));
    if (key <= load<i64>(at)) continue;
    if (mask == 0 || maskBit(mask, row) != 0) put(at, limit, key);
  }
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

/** Values that a group holds, of which `count` came. */
// @ts-ignore: decorator
@inline
export function topLength(self: Accumulator, count: u64): u32 {
  return count < <u64>self.limit ? <u32>count : self.limit;
}

/** Writes a group's values, best first, to the accumulator's buffer and answers where they begin. */
export function topList(self: Accumulator, group: u32): usize {
  const buffer = self.buffer;
  memory.copy(buffer, self.values + <usize>group * <usize>self.stride, self.stride);
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
    const key = load<i64>(from + (item << 3));
    if (key > load<i64>(at)) put(at, self.limit, key);
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
