// TOP and BOTTOM by another column: the arguments of the k rows where `by` is greatest, or least.
//
// A group is a heap of k entries, the worst in front. Rows of equal `by` are told apart by the argument, least
// first, so that the answer does not depend on which came first. Rows where either is null do not count.
//
//   entry: +0 key of `by`: u64, i64 above it (of BOTTOM inverted; i64 min above: an empty entry, worse than any)
//          +16 the argument: its key in 128 bits, or u32 address and u32 length of a text in an arena
//
// The result is a list (BYTES). The state is BYTES too: for each entry the key and the argument's key, or the
// key, u32 length and the text.

import { Type } from "../abi/layout";
import { textAddressAt, textLengthAt } from "../column/text";
import { Vector } from "../column/vector";
import { bytesCompare } from "../hash/hash";
import { Arena, arenaTake } from "../memory/arena";
import { copyBytes } from "../memory/copy";
import { Accumulator, Family, accumulatorReserveBuffer } from "./accumulator";
import { maskBit } from "./argument";
import { textInit, textReserveAt } from "./minmax-text";
import { itemWidth, orderKey, storeOrdered } from "../column/order";

const ENTRY: usize = 32;
const KEY: usize = 16;
const EMPTY: i64 = i64.MIN_VALUE;

// @ts-ignore: decorator
@inline
function isText(self: Accumulator): bool {
  return self.type == <u32>Type.BYTES;
}

/** False when out of memory. */
export function topByInit(self: Accumulator): bool {
  self.stride = self.limit * <u32>ENTRY;
  // One entry more, for the one that is about to be put in.
  return textInit(self) && accumulatorReserveBuffer(self, <usize>self.stride + ENTRY);
}

/** Room for groups and for `bytes` of new texts. False when out of memory. */
export function topByReserve(self: Accumulator, groups: u32, bytes: usize): bool {
  return textReserveAt(self, groups, bytes, 0x8000000000000000, KEY, ENTRY);
}

/** Folds a vector in: `values` of a fixed-width argument, and of `by`. False when out of memory, which a reservation rules out. */
export function topByUpdate(
  self: Accumulator,
  numbers: usize,
  argument: Vector,
  values: usize,
  by: usize,
  mask: usize,
  rows: u32,
): bool {
  const invert: i64 = self.family == <u32>Family.BOTTOM_BY ? -1 : 0;
  const width: usize = itemWidth(self.type);
  const byWidth: usize = itemWidth(self.secondType);
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && maskBit(mask, row) == 0) continue;
    const at = self.values + <usize>load<u32>(numbers + ((<usize>row) << 2)) * <usize>self.stride;
    const entry = self.buffer;
    setKey(entry, self.secondType, by, row, byWidth, invert);
    if (order(entry, at) < 0) continue;
    if (isText(self)) {
      if (!foldText(self, at, entry, argument, row)) return false;
    } else {
      setKey(entry + KEY, self.type, values, row, width, 0);
      if (!isWorse(self, entry, at)) sift(self, at, self.limit, entry);
    }
  }
  return true;
}

/** Writes the key of row `row` of `values`. */
// @ts-ignore: decorator
@inline
function setKey(target: usize, type: u32, values: usize, row: u32, width: usize, invert: i64): void {
  const at = values + <usize>row * width;
  if (type == <u32>Type.I128) {
    store<i64>(target, load<i64>(at) ^ invert);
    store<i64>(target, load<i64>(at, 8) ^ invert, 8);
    return;
  }
  const key = (type == <u32>Type.BOOL ? <i64>maskBit(values, row) : orderKey(type, at)) ^ invert;
  store<i64>(target, key);
  store<i64>(target, key >> 63, 8);
}

function foldText(self: Accumulator, at: usize, entry: usize, argument: Vector, row: u32): bool {
  store<u32>(entry + KEY, <u32>textAddressAt(argument, row));
  store<u32>(entry + KEY, textLengthAt(argument, row), 4);
  return putText(self, at, entry);
}

/** Puts an entry in whose text lies elsewhere, if it is better than the worst, whose room it takes where it fits. */
function putText(self: Accumulator, at: usize, entry: usize): bool {
  if (isWorse(self, entry, at)) return true;
  const from: usize = load<u32>(entry + KEY);
  const length = load<u32>(entry + KEY, 4);
  const isEmpty = load<i64>(at, 8) == EMPTY;
  const oldLength: u32 = isEmpty ? 0 : load<u32>(at + KEY, 4);
  let place: usize = load<u32>(at + KEY);
  if (!isEmpty && length <= oldLength) self.waste += oldLength - length;
  else {
    place = arenaTake(changetype<Arena>(self.table), length);
    if (place == 0) return false;
    self.waste += oldLength;
  }
  self.live += length;
  self.live -= oldLength;
  copyBytes(place, from, length);
  store<u32>(entry + KEY, <u32>place);
  sift(self, at, self.limit, entry);
  return true;
}

/** Order of two keys: negative, 0 or positive. */
function order(a: usize, b: usize): i32 {
  const highA = load<i64>(a, 8);
  const highB = load<i64>(b, 8);
  if (highA != highB) return highA < highB ? -1 : 1;
  const lowA = load<u64>(a);
  const lowB = load<u64>(b);
  return lowA == lowB ? 0 : lowA < lowB ? -1 : 1;
}

/** Whether the first entry comes after the second in the list. Equal ones do not. */
function isWorse(self: Accumulator, a: usize, b: usize): bool {
  const keys = order(a, b);
  if (keys != 0) return keys < 0;
  if (load<i64>(a, 8) == EMPTY) return false;
  if (!isText(self)) return order(a + KEY, b + KEY) > 0;
  return (
    bytesCompare(load<u32>(a + KEY), load<u32>(a + KEY, 4), load<u32>(b + KEY), load<u32>(b + KEY, 4)) > 0
  );
}

/** Puts an entry, which lies elsewhere, in the place of the front one. */
function sift(self: Accumulator, at: usize, limit: u32, entry: usize): void {
  let hole = at;
  let index: u32 = 0;
  for (let child: u32 = 1; child < limit; child = (index << 1) + 1) {
    let from = at + <usize>child * ENTRY;
    if (child + 1 < limit && isWorse(self, from + ENTRY, from)) {
      child++;
      from += ENTRY;
    }
    if (!isWorse(self, from, entry)) break;
    memory.copy(hole, from, ENTRY);
    hole = from;
    index = child;
  }
  memory.copy(hole, entry, ENTRY);
}

// ---- reading and merging

/** Entries of a group. */
function count(self: Accumulator, group: u32): u32 {
  const at = self.values + <usize>group * <usize>self.stride;
  let found: u32 = 0;
  for (let entry = at; entry < at + <usize>self.stride; entry += ENTRY) {
    if (load<i64>(entry, 8) != EMPTY) found++;
  }
  return found;
}

/** Bytes of the texts of a group. */
function textBytes(self: Accumulator, group: u32): u32 {
  const at = self.values + <usize>group * <usize>self.stride;
  let total: u32 = 0;
  for (let entry = at; entry < at + <usize>self.stride; entry += ENTRY) {
    if (load<i64>(entry, 8) != EMPTY) total += load<u32>(entry + KEY, 4);
  }
  return total;
}

/** Bytes of a group's list: 0 exactly when there is none. */
export function topByLength(self: Accumulator, group: u32): u32 {
  const entries = count(self, group);
  return isText(self) ? entries * 4 + textBytes(self, group) : entries * itemWidth(self.type);
}

/** Bytes of a group's state. */
export function topByStateLength(self: Accumulator, group: u32): u32 {
  const entries = count(self, group);
  return isText(self) ? entries * (<u32>KEY + 4) + textBytes(self, group) : entries * <u32>ENTRY;
}

/** Room to show a list, or a state, of so many bytes. False when out of memory. */
export function topByReserveList(self: Accumulator, bytes: usize): bool {
  return accumulatorReserveBuffer(self, <usize>self.stride + ENTRY + bytes);
}

/** Writes a group's list, for which there is room, to the accumulator's buffer and answers where it begins. */
export function topByList(self: Accumulator, group: u32): usize {
  const entries = sorted(self, group);
  const list = entries + <usize>self.stride;
  let to = list;
  const width: usize = itemWidth(self.type);
  for (let entry = entries; entry < list && load<i64>(entry, 8) != EMPTY; entry += ENTRY) {
    if (isText(self)) to = copyText(to, entry);
    else {
      if (self.type == <u32>Type.I128) memory.copy(to, entry + KEY, 16);
      else storeOrdered(self.type, to, load<i64>(entry + KEY));
      to += width;
    }
  }
  return list;
}

/** Writes a group's state, for which there is room, to the accumulator's buffer and answers where it begins. */
export function topByState(self: Accumulator, group: u32): usize {
  const entries = sorted(self, group);
  if (!isText(self)) return entries;
  const state = entries + <usize>self.stride;
  let to = state;
  for (let entry = entries; entry < state && load<i64>(entry, 8) != EMPTY; entry += ENTRY) {
    memory.copy(to, entry, KEY);
    to = copyText(to + KEY, entry);
  }
  return state;
}

function copyText(to: usize, entry: usize): usize {
  const length = load<u32>(entry + KEY, 4);
  store<u32>(to, length);
  copyBytes(to + 4, load<u32>(entry + KEY), length);
  return to + 4 + <usize>length;
}

/** The group's entries in the buffer, best first. The entry at the buffer's front is scratch. */
function sorted(self: Accumulator, group: u32): usize {
  const entry = self.buffer;
  const entries = entry + ENTRY;
  memory.copy(entries, self.values + <usize>group * <usize>self.stride, self.stride);
  const worst = entry;
  for (let last = self.limit - 1; last > 0; last--) {
    const place = entries + <usize>last * ENTRY;
    memory.copy(worst, place, ENTRY);
    // `place` is behind the heap from here on: the worst goes there.
    const front0 = load<u64>(entries);
    const front1 = load<u64>(entries, 8);
    const front2 = load<u64>(entries, 16);
    const front3 = load<u64>(entries, 24);
    sift(self, entries, last, worst);
    store<u64>(place, front0);
    store<u64>(place, front1, 8);
    store<u64>(place, front2, 16);
    store<u64>(place, front3, 24);
  }
  return entries;
}

/** Whether bytes are the state of a group. */
export function topByStateIsValid(self: Accumulator, address: usize, length: u32): bool {
  let left = self.limit;
  const end = address + <usize>length;
  while (address < end) {
    if (left == 0 || end - address < (isText(self) ? KEY + 4 : ENTRY)) return false;
    left--;
    if (load<i64>(address, 8) == EMPTY) return false;
    if (isText(self)) {
      const size = load<u32>(address + KEY);
      if (<usize>size > end - address - KEY - 4) return false;
      address += KEY + 4 + <usize>size;
    } else address += ENTRY;
  }
  return true;
}

/** Folds what another accumulator, or this one, holds for a group in; room for its `topByLength` has been reserved. */
export function topByCombine(self: Accumulator, group: u32, source: Accumulator, other: u32): bool {
  const at = self.values + <usize>group * <usize>self.stride;
  const from = source.values + <usize>other * <usize>self.stride;
  for (let item = from; item < from + <usize>self.stride; item += ENTRY) {
    if (load<i64>(item, 8) == EMPTY) continue;
    const entry = self.buffer;
    memory.copy(entry, item, ENTRY);
    if (isText(self)) {
      if (!putText(self, at, entry)) return false; // unreached: its room is reserved before
    } else if (!isWorse(self, entry, at)) sift(self, at, self.limit, entry);
  }
  return true;
}

/** Folds a state in, room for whose bytes has been reserved. */
export function topByMerge(self: Accumulator, group: u32, address: usize, length: u32): bool {
  const at = self.values + <usize>group * <usize>self.stride;
  const end = address + <usize>length;
  const entry = self.buffer;
  while (address < end) {
    memory.copy(entry, address, KEY);
    if (isText(self)) {
      const size = load<u32>(address + KEY);
      store<u32>(entry + KEY, <u32>(address + KEY + 4));
      store<u32>(entry + KEY, size, 4);
      if (!putText(self, at, entry)) return false; // unreached: its room is reserved before
      address += KEY + 4 + <usize>size;
    } else {
      memory.copy(entry + KEY, address + KEY, KEY);
      if (!isWorse(self, entry, at)) sift(self, at, self.limit, entry);
      address += ENTRY;
    }
  }
  return true;
}
