// A LOG of texts: value-log.ts over slots of (u32 address, u32 length) that point into an arena.

import { textAddressAt, textLengthAt } from "../column/text";
import { Vector } from "../column/vector";
import { bytesCompare } from "../hash/hash";
import { Arena, arenaReserve, arenaTake } from "../memory/arena";
import { copyBytes } from "../memory/copy";
import { Accumulator } from "./accumulator";
import { maskBit } from "./argument";
import { textInit } from "./minmax-text";
import { logBase, logGroup, logReserve, logSize } from "./value-log";

/** False when out of memory. */
export function textLogInit(self: Accumulator): bool {
  self.stride = 8;
  return textInit(self);
}

/** Room for `rows` more texts of `bytes` together. False when out of memory, with nothing lost. */
export function textLogReserve(self: Accumulator, rows: u32, bytes: usize): bool {
  return logReserve(self, rows) && arenaReserve(changetype<Arena>(self.table), bytes);
}

/** Appends a vector's texts that count. False when out of memory, which a reservation rules out. */
export function textLogUpdate(
  self: Accumulator,
  numbers: usize,
  vector: Vector,
  mask: usize,
  rows: u32,
): bool {
  const arena = changetype<Arena>(self.table);
  let at = <usize>self.rows;
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && maskBit(mask, row) == 0) continue;
    const length = textLengthAt(vector, row);
    const copy = arenaTake(arena, length);
    if (copy == 0) return false;
    copyBytes(copy, textAddressAt(vector, row), length);
    store<u32>(self.entries + (at << 2), load<u32>(numbers + ((<usize>row) << 2)));
    store<u32>(self.values + (at << 3), <u32>copy);
    store<u32>(self.values + (at << 3), length, 4);
    at++;
  }
  self.rows = at;
  return true;
}

/**
 * Appends entries `first` to `end` of `source`, whose groups `map` (u32 each) turns into this log's; u32 max leaves an
 * entry out. False when out of memory, with nothing lost.
 */
export function textLogCombine(self: Accumulator, source: Accumulator, map: usize, first: u32, end: u32): bool {
  let bytes: usize = 0;
  for (let entry = first; entry < end; entry++) {
    if (logTarget(source, map, entry) != 0xffffffff) bytes += load<u32>(source.values + ((<usize>entry) << 3), 4);
  }
  if (!textLogReserve(self, end - first, bytes)) return false;
  const arena = changetype<Arena>(self.table);
  let at = <usize>self.rows;
  for (let entry = first; entry < end; entry++) {
    const group = logTarget(source, map, entry);
    if (group == 0xffffffff) continue;
    const from = source.values + ((<usize>entry) << 3);
    const length = load<u32>(from, 4);
    const copy = arenaTake(arena, length);
    if (copy == 0) return false; // unreached: there is room for all of them
    copyBytes(copy, load<u32>(from), length);
    store<u32>(self.entries + (at << 2), group);
    store<u32>(self.values + (at << 3), <u32>copy);
    store<u32>(self.values + (at << 3), length, 4);
    at++;
  }
  self.rows = at;
  return true;
}

// @ts-ignore: decorator
@inline
function logTarget(source: Accumulator, map: usize, entry: u32): u32 {
  return load<u32>(map + ((<usize>logGroup(source, entry)) << 2));
}

/** Bytes of a group's texts; the log is prepared. */
export function textLogBytes(self: Accumulator, group: u32): u64 {
  const base = logBase(self, group);
  let total: u64 = 0;
  for (let slot = base; slot < base + ((<usize>logSize(self, group)) << 3); slot += 8) {
    total += load<u32>(slot, 4);
  }
  return total;
}

/** Bytes of a group's longest text; the log is prepared. */
export function textLogLongest(self: Accumulator, group: u32): u32 {
  const base = logBase(self, group);
  let longest: u32 = 0;
  for (let slot = base; slot < base + ((<usize>logSize(self, group)) << 3); slot += 8) {
    longest = max<u32>(longest, load<u32>(slot, 4));
  }
  return longest;
}

/** Rank of the most frequent text of a group, which is in order, the least where several are. */
export function textLogMode(self: Accumulator, group: u32): u32 {
  const base = logBase(self, group);
  const count = logSize(self, group);
  let best: u32 = 0;
  let longest: u32 = 0;
  for (let start: u32 = 0; start < count; ) {
    let end = start + 1;
    while (end < count && !isLess(base + ((<usize>start) << 3), base + ((<usize>end) << 3))) end++;
    if (end - start > longest) {
      longest = end - start;
      best = start;
    }
    start = end;
  }
  return best;
}

/** Brings a group's texts into the order of their bytes: a heap sort. */
export function textLogSort(self: Accumulator, group: u32): void {
  const base = logBase(self, group);
  const count = logSize(self, group);
  for (let root = <i32>(count >> 1) - 1; root >= 0; root--) sink(base, <u32>root, count);
  for (let end = <i32>count - 1; end > 0; end--) {
    swap(base, base + ((<usize>end) << 3));
    sink(base, 0, <u32>end);
  }
}

function sink(base: usize, root: u32, count: u32): void {
  for (let child = root * 2 + 1; child < count; child = root * 2 + 1) {
    let below = base + ((<usize>child) << 3);
    if (child + 1 < count && isLess(below, below + 8)) {
      child++;
      below += 8;
    }
    const above = base + ((<usize>root) << 3);
    if (!isLess(above, below)) return;
    swap(above, below);
    root = child;
  }
}

function isLess(a: usize, b: usize): bool {
  return bytesCompare(load<u32>(a), load<u32>(a, 4), load<u32>(b), load<u32>(b, 4)) < 0;
}

function swap(a: usize, b: usize): void {
  const slot = load<u64>(a);
  store<u64>(a, load<u64>(b));
  store<u64>(b, slot);
}
