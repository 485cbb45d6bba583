// DISTINCT: how many different values, for each group.
//
// The set of (group, value) pairs seen, as rows of a row table, with values in the same normal form as
// group keys: texts interned, -0 as +0, NaNs alike. A pair that is new counts once for its group.
//
//   row:  4-byte values: u32 group, value     8: u32 group, u32 0, value     16: u32 group, u32 0, value

import { Abi, Type } from "../abi/layout";
import { AggregateFault } from "../abi/operator";
import { Vector } from "../column/vector";
import { regionBlock, regionCut } from "../memory/region";
import { INTERNER_SIZE, Interner, internerInit, internerReserve } from "../group/interner";
import { KEY_COLUMN_SIZE, KeyColumn, keyLoad, keyWidth } from "../group/key-column";
import {
  ROW_TABLE_SCRATCH,
  ROW_TABLE_SIZE,
  RowTable,
  rowTableInit,
  rowTableMap,
  rowTableReserve,
  rowTableRow,
} from "../group/row-table";
import { Accumulator, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";

const ROWS: u32 = Abi.VECTOR_ROWS;

export function distinctInit(self: Accumulator): bool {
  return distinctInitAs(self, self.type);
}

/** The same with values of another type. */
export function distinctInitAs(self: Accumulator, type: u32): bool {
  const region = self.region;
  const hashZero = (self.fault & <u32>AggregateFault.HASH_ZERO) != 0;
  const tiny = (self.fault & <u32>AggregateFault.TINY_TABLES) != 0;
  self.key = regionCut(region, KEY_COLUMN_SIZE);
  self.table = regionCut(region, ROW_TABLE_SIZE);
  if (self.key == 0 || self.table == 0) return false;
  const key = changetype<KeyColumn>(self.key);
  key.type = type;
  key.width = keyWidth(type);
  const width = rowWidth(key);
  if (self.like != 0) borrowBuffers(self, key);
  else {
    key.buffer = regionBlock(region, <usize>ROWS * <usize>key.width);
    self.scratch = regionBlock(region, <usize>ROWS * width);
    self.entries = regionBlock(region, (<usize>ROWS) << 2);
    self.tags = regionBlock(region, ROW_TABLE_SCRATCH);
  }
  if (key.buffer == 0 || self.scratch == 0 || self.entries == 0 || self.tags == 0) return false;
  if (type == <u32>Type.BYTES) {
    key.interner = regionCut(region, INTERNER_SIZE);
    if (key.interner == 0 || !internerInit(key.interner, region, hashZero, tiny, self.seed)) return false;
  }
  return rowTableInit(self.table, region, width, hashZero, tiny, self.seed);
}

function borrowBuffers(self: Accumulator, key: KeyColumn): void {
  const lender = changetype<Accumulator>(self.like);
  key.buffer = changetype<KeyColumn>(lender.key).buffer;
  self.scratch = lender.scratch;
  self.entries = lender.entries;
  self.tags = lender.tags;
}

function rowWidth(key: KeyColumn): usize {
  return key.width == 4 ? 8 : <usize>key.width + 8;
}

/** Room for groups, and for `rows` rows of `bytes` of text. False when out of memory. */
export function distinctReserve(self: Accumulator, groups: u32, rows: u32, bytes: usize): bool {
  if (!accumulatorReserve(self, groups, 0) || !rowTableReserve(self.table, rows)) return false;
  const interner = changetype<KeyColumn>(self.key).interner;
  return interner == 0 || internerReserve(interner, rows, bytes);
}

/** Counts the pairs from entry `before` on, which are new, for their groups. */
export function distinctCount(self: Accumulator, before: u32): void {
  const entries = changetype<RowTable>(self.table).entries;
  for (let entry = before; entry < entries; entry++) {
    const at = self.values + ((<usize>load<u32>(rowTableRow(self.table, entry))) << 3);
    store<i64>(at, load<i64>(at) + 1);
  }
}

/** Adds a vector. False when out of memory. */
export function distinctUpdate(
  self: Accumulator,
  numbers: usize,
  vector: Vector,
  mask: usize,
  rows: u32,
): bool {
  const before = changetype<RowTable>(self.table).entries;
  if (distinctRows(self, numbers, vector, mask, rows) < 0) return false;
  distinctCount(self, before);
  return true;
}

/**
 * Finds the pairs of a vector's rows that count, adding new ones: their entries go to `self.entries`. How many rows,
 * or -1 when out of memory.
 */
export function distinctRows(
  self: Accumulator,
  numbers: usize,
  vector: Vector,
  mask: usize,
  rows: u32,
): i32 {
  const key = changetype<KeyColumn>(self.key);
  if (!keyLoad(key, vector, rows)) return -1;
  let count: u32 = 0;
  if (key.width == 4) count = pack4(self.scratch, numbers, key.values, mask, rows);
  else if (key.width == 8) count = pack8(self.scratch, numbers, key.values, mask, rows);
  else count = pack16(self.scratch, numbers, key.values, mask, rows);
  return rowTableMap(self.table, self.scratch, count, self.entries, self.tags) ? <i32>count : -1;
}

function pack4(rows: usize, numbers: usize, values: usize, mask: usize, count: u32): u32 {
  let at = rows;
  for (let row: u32 = 0; row < count; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    store<u32>(at, load<u32>(numbers + ((<usize>row) << 2)));
    store<u32>(at, load<u32>(values + ((<usize>row) << 2)), 4);
    at += 8;
  }
  return <u32>((at - rows) >> 3);
}

function pack8(rows: usize, numbers: usize, values: usize, mask: usize, count: u32): u32 {
  let at = rows;
  for (let row: u32 = 0; row < count; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    store<u64>(at, load<u32>(numbers + ((<usize>row) << 2)));
    store<u64>(at, load<u64>(values + ((<usize>row) << 3)), 8);
    at += 16;
  }
  return <u32>((at - rows) >> 4);
}

function pack16(rows: usize, numbers: usize, values: usize, mask: usize, count: u32): u32 {
  let packed: u32 = 0;
  for (let row: u32 = 0; row < count; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    const at = rows + <usize>packed * 24;
    store<u64>(at, load<u32>(numbers + ((<usize>row) << 2)));
    store<u64>(at, load<u64>(values + ((<usize>row) << 4)), 8);
    store<u64>(at, load<u64>(values + ((<usize>row) << 4), 8), 16);
    packed++;
  }
  return packed;
}

/** Slots that lookups went past because they were another pair's or text's. */
export function distinctProbes(self: Accumulator): u64 {
  const interner = changetype<KeyColumn>(self.key).interner;
  return (
    changetype<RowTable>(self.table).probes + (interner == 0 ? 0 : changetype<Interner>(interner).probes)
  );
}

/** Pairs so far. */
export function distinctPairs(self: Accumulator): u32 {
  return changetype<RowTable>(self.table).entries;
}

/** The group of pair `entry`. */
export function distinctGroup(self: Accumulator, entry: u32): u32 {
  return load<u32>(rowTableRow(self.table, entry));
}

/** Address of the value of pair `entry`, in normal form: an interned id for texts. */
export function distinctValue(self: Accumulator, entry: u32): usize {
  return rowTableRow(self.table, entry) + (changetype<KeyColumn>(self.key).width == 4 ? 4 : 8);
}
