// TOP and BOTTOM of texts, by their bytes: as top.ts, over slots that point into an arena as in minmax-text.ts.
//
//   slot: u32 address (0: none yet), u32 length; k of them a group, a heap with the worst in front
//
// The state, and the result, is a list (BYTES): u32 length and bytes of each text, best first.

import { textAddressAt, textLengthAt } from "../column/text";
import { Vector } from "../column/vector";
import { bytesCompare } from "../hash/hash";
import { Arena, arenaTake } from "../memory/arena";
import { copyBytes } from "../memory/copy";
import { Accumulator, Family, accumulatorReserveBuffer } from "./accumulator";
import { maskBit } from "./argument";
import { textInit } from "./minmax-text";

/** False when out of memory. */
export function topTextInit(self: Accumulator): bool {
  self.stride = self.limit << 3;
  return textInit(self) && accumulatorReserveBuffer(self, self.stride);
}

/** Folds a vector of texts (plain or dictionary) in. False when out of memory, which a reservation rules out. */
export function topTextUpdate(
  self: Accumulator,
  numbers: usize,
  vector: Vector,
  mask: usize,
  rows: u32,
): bool {
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && maskBit(mask, row) == 0) continue;
    const group = load<u32>(numbers + ((<usize>row) << 2));
    if (!fold(self, group, textAddressAt(vector, row), textLengthAt(vector, row))) return false;
  }
  return true;
}

/** Puts a text in if it is better than the worst, whose room it takes where it fits. */
function fold(self: Accumulator, group: u32, address: usize, length: u32): bool {
  const at = self.values + <usize>group * <usize>self.stride;
  const worst: usize = load<u32>(at);
  const worstLength: u32 = worst == 0 ? 0 : load<u32>(at, 4);
  if (worst != 0 && !isWorse(self, worst, worstLength, address, length)) return true;
  let place = worst;
  if (worst != 0 && length <= worstLength) self.waste += worstLength - length;
  else {
    place = arenaTake(changetype<Arena>(self.table), length);
    if (place == 0) return false;
    self.waste += worstLength;
  }
  self.live += length;
  self.live -= worstLength;
  copyBytes(place, address, length);
  sift(self, at, self.limit, place, length);
  return true;
}

/** Whether the first text comes after the second in the list; none comes last. */
function isWorse(self: Accumulator, a: usize, lengthA: u32, b: usize, lengthB: u32): bool {
  if (a == 0 || b == 0) return a == 0 && b != 0;
  const order = bytesCompare(a, lengthA, b, lengthB);
  return self.family == <u32>Family.TOP_TEXT ? order < 0 : order > 0;
}

// @ts-ignore: decorator
@inline
function slotIsWorse(self: Accumulator, slot: usize, address: usize, length: u32): bool {
  return isWorse(self, load<u32>(slot), load<u32>(slot, 4), address, length);
}

/** Puts a text in the place of the front one. */
function sift(self: Accumulator, at: usize, limit: u32, address: usize, length: u32): void {
  let hole: u32 = 0;
  for (let child: u32 = 1; child < limit; child = (hole << 1) + 1) {
    let from = at + ((<usize>child) << 3);
    if (child + 1 < limit && slotIsWorse(self, from + 8, load<u32>(from), load<u32>(from, 4))) {
      child++;
      from += 8;
    }
    if (!slotIsWorse(self, from, address, length)) break;
    store<u64>(at + ((<usize>hole) << 3), load<u64>(from));
    hole = child;
  }
  store<u32>(at + ((<usize>hole) << 3), <u32>address);
  store<u32>(at + ((<usize>hole) << 3), length, 4);
}

/** Bytes of a group's list. */
export function topTextLength(self: Accumulator, group: u32): u32 {
  const at = self.values + <usize>group * <usize>self.stride;
  let total: u32 = 0;
  for (let slot = at; slot < at + <usize>self.stride; slot += 8) {
    if (load<u32>(slot) != 0) total += load<u32>(slot, 4) + 4;
  }
  return total;
}

/** Room to show a list of so many bytes. False when out of memory. */
export function topTextReserveList(self: Accumulator, bytes: usize): bool {
  return accumulatorReserveBuffer(self, <usize>self.stride + bytes);
}

/** Writes a group's list, for which there is room, to the accumulator's buffer and answers where it begins. */
export function topTextList(self: Accumulator, group: u32): usize {
  const slots = self.buffer;
  memory.copy(slots, self.values + <usize>group * <usize>self.stride, self.stride);
  for (let last = self.limit - 1; last > 0; last--) {
    const place = slots + ((<usize>last) << 3);
    const worst = load<u64>(slots);
    sift(self, slots, last, load<u32>(place), load<u32>(place, 4));
    store<u64>(place, worst);
  }
  const list = slots + <usize>self.stride;
  let to = list;
  for (let slot = slots; slot < list && load<u32>(slot) != 0; slot += 8) {
    const length = load<u32>(slot, 4);
    store<u32>(to, length);
    copyBytes(to + 4, load<u32>(slot), length);
    to += 4 + <usize>length;
  }
  return list;
}

/** Whether bytes are a list of a group to which `count` texts came. */
export function topTextStateIsValid(self: Accumulator, address: usize, length: u32, count: u64): bool {
  let left: u64 = min<u64>(count, self.limit);
  let rest = length;
  for (; left > 0 && rest >= 4; left--) {
    const size = load<u32>(address);
    if (size > rest - 4) return false;
    address += 4 + <usize>size;
    rest -= 4 + size;
  }
  return left == 0 && rest == 0;
}

/** Folds what another accumulator, or this one, holds for a group in; room for its `topTextLength` has been reserved. */
export function topTextCombine(self: Accumulator, group: u32, source: Accumulator, other: u32): bool {
  const from = source.values + <usize>other * <usize>self.stride;
  for (let slot = from; slot < from + <usize>self.stride; slot += 8) {
    const address: usize = load<u32>(slot);
    // unreached: its room is reserved before
    if (address != 0 && !fold(self, group, address, load<u32>(slot, 4))) return false;
  }
  return true;
}

/** Folds a list in, room for whose bytes has been reserved. */
export function topTextMerge(self: Accumulator, group: u32, address: usize, length: u32): bool {
  const end = address + <usize>length;
  while (address < end) {
    const size = load<u32>(address);
    if (!fold(self, group, address + 4, size)) return false; // unreached: its room is reserved before
    address += 4 + <usize>size;
  }
  return true;
}
