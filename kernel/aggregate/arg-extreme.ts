// ARG_MIN and ARG_MAX: the value of the row whose order argument is least or greatest.
//
// Rows where either argument is null do not count. Ties go to the least (ARG_MAX: greatest) value, so the result is
// that of the pairs (order, value) alone, whatever the order in which rows came. A group holds its best pair as
// bytes in an arena, like the texts of minmax-text.ts: fixed-width parts as order keys (order-key.ts).
//
//   entry:  order key, or u32 length and bytes of a text | key of the value, or the bytes of a text to the end

import { Type } from "../abi/layout";
import { vectorIsValid } from "../column/builder";
import { textAddressAt, textLengthAt } from "../column/text";
import { Vector } from "../column/vector";
import { bytesCompare } from "../hash/hash";
import { copyBytes } from "../memory/copy";
import { Accumulator, Family } from "./accumulator";
import { VALUES_BYTES, maskBit } from "./argument";
import { textAddress, textLength, textPlace, textReserve } from "./minmax-text";
import { orderCompare, orderKeys, orderLoad, orderWidth } from "./order-key";

/** Length before a text. */
const LENGTH: u32 = 4;
const PART_MAX: usize = 16;

/** Room for groups and for `rows` new entries, whose texts are `bytes`. False when out of memory. */
export function argReserve(self: Accumulator, groups: u32, rows: u32, bytes: usize): bool {
  return textReserve(self, groups, <usize>rows * (PART_MAX << 1) + bytes);
}

/** Folds a vector in; `buffer` is 2 x VALUES_BYTES. False when out of memory, which a reservation rules out. */
export function argUpdate(
  self: Accumulator,
  numbers: usize,
  vector: Vector,
  second: Vector,
  mask: usize,
  rows: u32,
  buffer: usize,
): bool {
  let order = parts(self.secondType, second, rows, buffer);
  let value = parts(self.type, vector, rows, buffer + VALUES_BYTES);
  const orderStep: usize = max<u32>(8, orderWidth(self.secondType));
  const valueStep: usize = max<u32>(8, orderWidth(self.type));
  for (let row: u32 = 0; row < rows; row++, order += orderStep, value += valueStep) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    // unreached: its room is reserved before
    if (!fold(self, load<u32>(numbers + ((<usize>row) << 2)), order, value)) return false;
  }
  return true;
}

/** Order keys of a vector, or views (u32 address, u32 length) of its texts. */
function parts(type: u32, vector: Vector, rows: u32, target: usize): usize {
  if (type != <u32>Type.BYTES) {
    orderKeys(type, vector.values, rows, target);
    return target;
  }
  if (vector.dictionary == 0) return vector.values;
  for (let row: u32 = 0; row < rows; row++) {
    if (!vectorIsValid(vector, row)) continue;
    const view = target + ((<usize>row) << 3);
    store<u32>(view, <u32>textAddressAt(vector, row));
    store<u32>(view, textLengthAt(vector, row), 4);
  }
  return target;
}

/** Folds one pair in; parts are keys or views. */
function fold(self: Accumulator, group: u32, order: usize, value: usize): bool {
  const orderBytes = orderWidth(self.secondType);
  const valueBytes = orderWidth(self.type);
  const old = textAddress(self, group);
  if (old != 0) {
    let sign = comparePart(orderBytes, order, orderBytes == 0 ? old + LENGTH : old, load<u32>(old));
    if (sign == 0) {
      const at = valueOf(self, old);
      sign = comparePart(valueBytes, value, at, <u32>(old + <usize>textLength(self, group) - at));
    }
    if (self.family == <u32>Family.ARG_MIN ? sign >= 0 : sign <= 0) return true;
  }
  const orderLength = orderBytes == 0 ? LENGTH + load<u32>(order, 4) : orderBytes;
  const valueLength = valueBytes == 0 ? load<u32>(value, 4) : valueBytes;
  let at = textPlace(self, group, orderLength + valueLength);
  if (at == 0) return false; // unreached: its room is reserved before
  if (orderBytes == 0) {
    store<u32>(at, load<u32>(order, 4));
    copyBytes(at + LENGTH, load<u32>(order), load<u32>(order, 4));
  } else copyBytes(at, order, orderBytes);
  at += orderLength;
  if (valueBytes == 0) copyBytes(at, load<u32>(value), load<u32>(value, 4));
  else copyBytes(at, value, valueBytes);
  return true;
}

// @ts-ignore: decorator
@inline
function comparePart(width: u32, part: usize, stored: usize, storedLength: u32): i32 {
  if (width != 0) return orderCompare(width, part, stored);
  return bytesCompare(load<u32>(part), load<u32>(part, 4), stored, storedLength);
}

/** Where an entry's value begins. */
// @ts-ignore: decorator
@inline
function valueOf(self: Accumulator, entry: usize): usize {
  const width = orderWidth(self.secondType);
  return entry + <usize>(width == 0 ? LENGTH + load<u32>(entry) : width);
}

/** Writes a group's result to `target` (16 bytes): bits of its type, or address and length. False for null. */
export function argValue(self: Accumulator, group: u32, target: usize): bool {
  const entry = textAddress(self, group);
  if (entry == 0) return false;
  const at = valueOf(self, entry);
  if (self.type != <u32>Type.BYTES) {
    orderLoad(self.type, at, target);
    return true;
  }
  store<u32>(target, <u32>at);
  store<u32>(target, argTextBytes(self, group), 4);
  return true;
}

/** Bytes of a group's result, of values that are texts. */
export function argTextBytes(self: Accumulator, group: u32): u32 {
  const entry = textAddress(self, group);
  return entry == 0 || self.type != <u32>Type.BYTES
    ? 0
    : <u32>(entry + <usize>textLength(self, group) - valueOf(self, entry));
}

/** Whether bytes of a state are an entry. */
export function argStateIsValid(self: Accumulator, address: usize, length: u32): bool {
  const width = orderWidth(self.secondType);
  if (length < max<u32>(width, LENGTH)) return false;
  const first: u64 = width == 0 ? <u64>LENGTH + <u64>load<u32>(address) : <u64>width;
  return self.type == <u32>Type.BYTES
    ? first <= <u64>length
    : first + <u64>orderWidth(self.type) == <u64>length;
}

/** Folds what another accumulator, or this one, holds for a group in; `views` as of `argMerge`, and room for the entry. */
export function argCombine(self: Accumulator, group: u32, source: Accumulator, other: u32, views: usize): bool {
  const entry = textAddress(source, other);
  return entry == 0 || argMerge(self, group, entry, textLength(source, other), views);
}

/** Folds a valid entry of a state in; `views` is 16 bytes of scratch. False when out of memory. */
export function argMerge(self: Accumulator, group: u32, address: usize, length: u32, views: usize): bool {
  let order = address;
  if (orderWidth(self.secondType) == 0) {
    store<u32>(views, <u32>(address + LENGTH));
    store<u32>(views, load<u32>(address), 4);
    order = views;
  }
  let value = valueOf(self, address);
  if (self.type == <u32>Type.BYTES) {
    store<u32>(views, <u32>value, 8);
    store<u32>(views, <u32>(address + <usize>length - value), 12);
    value = views + 8;
  }
  return fold(self, group, order, value);
}
