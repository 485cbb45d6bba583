// MIN and MAX of texts, by their bytes (for UTF-8 that is by code point).
//
// A group holds the address and length of its text in an arena; address 0 is "none yet". A better text
// that is no longer than the old one takes its place, else it gets new room and the old room is waste;
// when waste outgrows what is in use, the texts move to a fresh arena.
//
//   slot: u32 address, u32 length; top-text.ts and top-by.ts have several a group

import { copyBytes } from "../memory/copy";
import { regionCut } from "../memory/region";
import { ARENA_SIZE, Arena, arenaClear, arenaInit, arenaReserve, arenaTake } from "../memory/arena";
import { bytesCompare } from "../hash/hash";
import { textAddressAt, textLengthAt } from "../column/text";
import { Vector } from "../column/vector";
import { Accumulator, Family, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";

/** Waste below this is left alone. */
const WASTE_MIN: u64 = 65536;

export function textInit(self: Accumulator): bool {
  // A second one, for the texts' next arena, lies behind it.
  self.table = regionCut(self.region, ARENA_SIZE << 1);
  if (self.table == 0) return false;
  arenaInit(changetype<Arena>(self.table), self.region);
  return true;
}

/** Room for groups and for `bytes` of new texts. False when out of memory. */
export function textReserve(self: Accumulator, groups: u32, bytes: usize): bool {
  return textReserveAt(self, groups, bytes, 0, 0, 8);
}

/** The same where slots lie `offset` bytes into every `step` bytes, which begin full of `fill`. */
export function textReserveAt(
  self: Accumulator,
  groups: u32,
  bytes: usize,
  fill: u64,
  offset: usize,
  step: usize,
): bool {
  if (!accumulatorReserve(self, groups, fill)) return false;
  if (self.waste > WASTE_MIN && self.waste > self.live) compact(self, offset, step);
  return arenaReserve(changetype<Arena>(self.table), bytes);
}

/** Moves what is in use to an arena of its own; without memory for that, nothing changes. */
function compact(self: Accumulator, offset: usize, step: usize): void {
  const fresh = self.table + ARENA_SIZE;
  const arena = changetype<Arena>(fresh);
  arenaInit(arena, self.region);
  if (self.live > 0x7fffffff || !arenaReserve(arena, <usize>self.live)) return;
  const end = self.values + <usize>self.capacity * <usize>self.stride;
  for (let slot = self.values + offset; slot < end; slot += step) {
    const length: usize = load<u32>(slot, 4);
    if (load<u32>(slot) == 0) continue;
    const at = arenaTake(arena, length);
    memory.copy(at, load<u32>(slot), length);
    store<u32>(slot, <u32>at);
  }
  const old = changetype<Arena>(self.table);
  arenaClear(old);
  memory.copy(self.table, fresh, ARENA_SIZE);
  self.waste = 0;
}

/**
 * Folds a vector of texts (plain or dictionary) in. False when out of memory, which a reservation rules out.
 */
export function textUpdate(self: Accumulator, numbers: usize, vector: Vector, mask: usize, rows: u32): bool {
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    const group = load<u32>(numbers + ((<usize>row) << 2));
    if (!textFold(self, group, textAddressAt(vector, row), textLengthAt(vector, row))) return false;
  }
  return true;
}

/** Folds one text in. */
// @ts-ignore: decorator
@inline
export function textFold(self: Accumulator, group: u32, address: usize, length: u32): bool {
  const slot = self.values + ((<usize>group) << 3);
  const old: usize = load<u32>(slot);
  if (old != 0) {
    const order = bytesCompare(address, length, old, load<u32>(slot, 4));
    if (self.family == <u32>Family.MIN_TEXT ? order >= 0 : order <= 0) return true;
  }
  return textPut(self, group, address, length);
}

/** Makes a text the group's, whatever it was before. */
export function textPut(self: Accumulator, group: u32, address: usize, length: u32): bool {
  const at = textPlace(self, group, length);
  if (at == 0) return false;
  copyBytes(at, address, length);
  return true;
}

/** Makes `length` bytes the group's text, to be written by the caller; 0 when out of memory. */
export function textPlace(self: Accumulator, group: u32, length: u32): usize {
  const slot = self.values + ((<usize>group) << 3);
  let at: usize = load<u32>(slot);
  const oldLength: u32 = at == 0 ? 0 : load<u32>(slot, 4);
  self.live += length;
  self.live -= oldLength;
  if (at != 0 && length <= oldLength) self.waste += oldLength - length;
  else {
    at = arenaTake(changetype<Arena>(self.table), length);
    if (at == 0) return 0;
    self.waste += oldLength;
  }
  store<u32>(slot, <u32>at);
  store<u32>(slot, length, 4);
  return at;
}

/** Address of a group's text, 0 when there is none. */
// @ts-ignore: decorator
@inline
export function textAddress(self: Accumulator, group: u32): usize {
  return load<u32>(self.values + ((<usize>group) << 3));
}

// @ts-ignore: decorator
@inline
export function textLength(self: Accumulator, group: u32): u32 {
  return load<u32>(self.values + ((<usize>group) << 3), 4);
}
