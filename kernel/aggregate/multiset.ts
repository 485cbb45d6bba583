// MULTISET: how often each value of a group has come, for what must take values back.
//
// The pairs (group, value) lie in a row table, as those of DISTINCT do, and each has a multiplicity: taking a value
// back before it comes is a multiplicity below 0, which a merge may make up for. The least or greatest value of a
// group is the root of a skew heap over its pairs (Sleator, Tarjan 1986): a pair enters the heap when its
// multiplicity rises above 0, and leaves only when it is at the root and has none left, so that taking back costs
// nothing until the extreme itself is asked for. Every step is O(log n), amortised.
//
//   group (values): i64 values that are there, u32 root + 1, u32 values taken back more often than they came
//   pair (side): i64 multiplicity, u32 left + 1, u32 right + 1, u32 1 in the heap, u32 unused
//
// For extremes, and where every value is to be read (from-set.ts), floats are kept as integers in the total order (see minmax.ts), so that -0 and +0 are two values.

import { Type } from "../abi/layout";
import { Vector } from "../column/vector";
import { regrow } from "../column/builder";
import { bytesCompare } from "../hash/hash";
import { internedAddress, internedLength } from "../group/interner";
import { KeyColumn } from "../group/key-column";
import { RowTable } from "../group/row-table";
import { Accumulator, Family } from "./accumulator";
import { distinctGroup, distinctInitAs, distinctPairs, distinctReserve, distinctRows, distinctValue } from "./distinct";
import { minmaxInOrder, minmaxOrder, minmaxType } from "./minmax";

const GROUP: usize = 16;
const PAIR: usize = 24;

/** False when out of memory. */
export function multisetInit(self: Accumulator): bool {
  self.stride = <u32>GROUP;
  return distinctInitAs(self, isOrdered(self) ? minmaxType(self.type) : self.type);
}

// @ts-ignore: decorator
@inline
function isOrdered(self: Accumulator): bool {
  return self.family != <u32>Family.MULTISET;
}

// @ts-ignore: decorator
@inline
function hasExtreme(self: Accumulator): bool {
  return self.family == <u32>Family.MULTISET_MIN || self.family == <u32>Family.MULTISET_MAX;
}

/** Room for groups, and for `rows` rows of `bytes` of text. False when out of memory. */
export function multisetReserve(self: Accumulator, groups: u32, rows: u32, bytes: usize): bool {
  if (!distinctReserve(self, groups, rows, bytes)) return false;
  const capacity = changetype<RowTable>(self.table).capacity;
  if (capacity <= self.sideCapacity) return true;
  const total: u64 = <u64>capacity * <u64>PAIR;
  if (total > 0xffe00000) return false; // unreached: needs more than 4 GiB
  const side = regrow(self.region, self.side, <usize>distinctPairs(self) * PAIR, <usize>total);
  if (side == 0) return false;
  self.side = side;
  self.sideCapacity = capacity;
  return true;
}

/**
 * Adds `delta` to the multiplicities of a vector's values that count, or, where `deltas` is not 0, an i64 of it
 * each. `buffer` is VALUES_BYTES of scratch. False when out of memory.
 */
export function multisetUpdate(
  self: Accumulator,
  numbers: usize,
  vector: Vector,
  mask: usize,
  rows: u32,
  delta: i64,
  deltas: usize,
  buffer: usize,
): bool {
  const values = vector.values;
  const type = vector.type;
  if (isOrdered(self) && type != <u32>Type.BYTES) {
    vector.values = minmaxOrder(type, values, rows, buffer);
    vector.type = minmaxType(type);
  }
  self.rows++;
  const before = distinctPairs(self);
  const count = distinctRows(self, numbers, vector, mask, rows);
  vector.values = values;
  vector.type = type;
  if (count < 0) return false;
  const end = distinctPairs(self);
  memory.fill(self.side + <usize>before * PAIR, 0, <usize>(end - before) * PAIR);
  for (let row: i32 = 0; row < count; row++) {
    const pair = load<u32>(self.entries + ((<usize>row) << 2));
    adjust(self, pair, deltas == 0 ? delta : load<i64>(deltas + ((<usize>row) << 3)));
  }
  return true;
}

// @ts-ignore: decorator
@inline
function pairAt(self: Accumulator, pair: u32): usize {
  return self.side + <usize>pair * PAIR;
}

// @ts-ignore: decorator
@inline
function groupAt(self: Accumulator, group: u32): usize {
  return self.values + <usize>group * GROUP;
}

function adjust(self: Accumulator, pair: u32, delta: i64): void {
  const at = pairAt(self, pair);
  const old = load<i64>(at);
  const now = old + delta;
  store<i64>(at, now);
  const group = groupAt(self, distinctGroup(self, pair));
  store<i64>(group, load<i64>(group) + <i64>(now > 0) - <i64>(old > 0));
  store<u32>(group, load<u32>(group, 12) + <u32>(now < 0) - <u32>(old < 0), 12);
  if (!hasExtreme(self) || now <= 0 || load<u32>(at, 16) != 0) return;
  store<u32>(at, 1, 16);
  store<u64>(at, 0, 8);
  store<u32>(group, meld(self, load<u32>(group, 8), pair + 1, group + 8), 8);
}

/** The heap of two, by their roots + 1; `link` is a place to begin with. */
function meld(self: Accumulator, a: u32, b: u32, link: usize): u32 {
  const first = link;
  while (a != 0 && b != 0) {
    if (isBefore(self, b - 1, a - 1)) {
      const other = a;
      a = b;
      b = other;
    }
    store<u32>(link, a);
    const at = pairAt(self, a - 1);
    // The right child goes on to meld with the rest, on the left.
    const next = load<u32>(at, 12);
    store<u32>(at, load<u32>(at, 8), 12);
    link = at + 8;
    a = next;
  }
  store<u32>(link, a | b);
  return load<u32>(first);
}

function isBefore(self: Accumulator, a: u32, b: u32): bool {
  return self.family == <u32>Family.MULTISET_MIN ? isLess(self, a, b) : isLess(self, b, a);
}

function isLess(self: Accumulator, a: u32, b: u32): bool {
  const key = changetype<KeyColumn>(self.key);
  const x = distinctValue(self, a);
  const y = distinctValue(self, b);
  switch (key.type) {
    case Type.BYTES: {
      const one = load<u32>(x);
      const other = load<u32>(y);
      const interner = key.interner;
      const order = bytesCompare(
        internedAddress(interner, one),
        internedLength(interner, one),
        internedAddress(interner, other),
        internedLength(interner, other),
      );
      return order < 0;
    }
    case Type.U32:
      return load<u32>(x) < load<u32>(y);
    case Type.I64:
      return load<i64>(x) < load<i64>(y);
    case Type.U64:
      return load<u64>(x) < load<u64>(y);
    case Type.I128: {
      const high = load<i64>(x, 8);
      const otherHigh = load<i64>(y, 8);
      return high < otherHigh || (high == otherHigh && load<u64>(x) < load<u64>(y));
    }
    default:
      // Narrower integers have been widened to 32 bits by their sign.
      return load<i32>(x) < load<i32>(y);
  }
}

// ---- reading

/** Different values of a group that are there. */
// @ts-ignore: decorator
@inline
export function multisetCount(self: Accumulator, group: u32): i64 {
  return load<i64>(groupAt(self, group));
}

/** Whether a value of the group was taken back more often than it came. */
// @ts-ignore: decorator
@inline
export function multisetOwes(self: Accumulator, group: u32): bool {
  return load<u32>(groupAt(self, group), 12) != 0;
}

// @ts-ignore: decorator
@inline
export function multisetMultiplicity(self: Accumulator, pair: u32): i64 {
  return load<i64>(pairAt(self, pair));
}

/**
 * Writes the group's least or greatest value to `target` (16 bytes; a byte for BOOL; u32 address and u32 length for
 * BYTES); false when it has none.
 */
export function multisetExtreme(self: Accumulator, group: u32, target: usize): bool {
  const root = extremePair(self, group);
  if (root != 0) multisetValue(self, root - 1, target);
  return root != 0;
}

/** The pair + 1 of the group's extreme, 0 when it has none. */
function extremePair(self: Accumulator, group: u32): u32 {
  const at = groupAt(self, group);
  let root = load<u32>(at, 8);
  while (root != 0 && load<i64>(pairAt(self, root - 1)) <= 0) {
    const pair = pairAt(self, root - 1);
    store<u32>(pair, 0, 16);
    root = meld(self, load<u32>(pair, 8), load<u32>(pair, 12), at + 8);
    store<u32>(at, root, 8);
  }
  return root;
}

/** Writes a pair's value to `target`, as `multisetExtreme` does. */
export function multisetValue(self: Accumulator, pair: u32, target: usize): void {
  const key = changetype<KeyColumn>(self.key);
  const value = distinctValue(self, pair);
  if (key.interner != 0) {
    const id = load<u32>(value);
    store<u32>(target, <u32>internedAddress(key.interner, id));
    store<u32>(target, internedLength(key.interner, id), 4);
    return;
  }
  store<u64>(target, key.width == 4 ? <u64>load<u32>(value) : load<u64>(value));
  if (key.width == 16) store<u64>(target, load<u64>(value, 8), 8);
  if (isOrdered(self)) minmaxInOrder(self.type, target);
}

/** Bytes of the group's extreme when it is a text. */
export function multisetExtremeBytes(self: Accumulator, group: u32): u32 {
  const root = extremePair(self, group);
  const interner = changetype<KeyColumn>(self.key).interner;
  return root == 0 ? 0 : internedLength(interner, load<u32>(distinctValue(self, root - 1)));
}
