// Sketches: approximate answers of bounded error and size, which merge exactly and know no order of rows.
//
// A sketch is a vector of counters of which few are not zero. A group's are kept in cells of 16 bytes, found
// through a row table of (group, cell number) and chained by group for reading:
//
//   CARDINALITY  HyperLogLog of 4,096 registers of one byte: a cell is 16 of them. See cardinality.ts.
//   SKETCH       DDSketch, counts (u64) of logarithmic buckets: a cell is 2 of them. See quantile-sketch.ts.
//
// So a group of few values takes few cells, and one of many a register or bucket each and a sixteenth of a table's
// row, without two forms and a change between them.
//
//   values: u32 a group: its last cell + 1     side: cells, 16 bytes and u32: the cell before it + 1

import { Abi, Type } from "../abi/layout";
import { AggregateFault } from "../abi/operator";
import { regrow } from "../column/builder";
import { Vector } from "../column/vector";
import {
  ROW_TABLE_SCRATCH,
  ROW_TABLE_SIZE,
  RowTable,
  rowTableInit,
  rowTableMap,
  rowTableReserve,
  rowTableRow,
} from "../group/row-table";
import { regionBlock, regionCut } from "../memory/region";
import { Accumulator, Family, accumulatorReserve } from "./accumulator";
import { CARDINALITY_CELLS, cardinalityAreRanks, cardinalityPack } from "./cardinality";
import { QUANTILE_CELLS, quantilePack } from "./quantile-sketch";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Bytes of counters in a cell, and of a cell. */
const COUNTERS: usize = 16;
const CELL: usize = 20;

export function sketchInit(self: Accumulator): bool {
  const region = self.region;
  self.stride = 4;
  self.table = regionCut(region, ROW_TABLE_SIZE);
  if (self.like != 0) {
    const lender = changetype<Accumulator>(self.like);
    self.scratch = lender.scratch;
    self.entries = lender.entries;
    self.tags = lender.tags;
  } else {
    self.scratch = regionBlock(region, (<usize>ROWS) << 3);
    self.entries = regionBlock(region, (<usize>ROWS) << 2);
    self.tags = regionBlock(region, ROW_TABLE_SCRATCH);
  }
  if (self.table == 0 || self.scratch == 0 || self.entries == 0 || self.tags == 0) return false;
  const hashZero = (self.fault & <u32>AggregateFault.HASH_ZERO) != 0;
  const tiny = (self.fault & <u32>AggregateFault.TINY_TABLES) != 0;
  return rowTableInit(self.table, region, 8, hashZero, tiny, self.seed);
}

/** Cells in use. */
// @ts-ignore: decorator
@inline
export function sketchCells(self: Accumulator): u32 {
  return changetype<RowTable>(self.table).entries;
}

/** Room for groups and for the cells of `rows` rows. False when out of memory, with nothing lost. */
export function sketchReserve(self: Accumulator, groups: u32, rows: u32): bool {
  if (!accumulatorReserve(self, groups, 0) || !rowTableReserve(self.table, rows)) return false;
  const cells = sketchCells(self);
  const need: u64 = <u64>cells + <u64>rows;
  if (need <= <u64>self.sideCapacity) return true;
  // Half as much again: two copies are held while cells move.
  return grow(self, need + <u64>(cells >> 1)) || grow(self, need);
}

function grow(self: Accumulator, capacity: u64): bool {
  if (capacity * <u64>CELL > 0xffe00000) return false; // unreached: needs more than 4 GiB
  const side = regrow(self.region, self.side, <usize>sketchCells(self) * CELL, max<usize>(<usize>capacity * CELL, 64));
  if (side == 0) return false;
  self.side = side;
  self.sideCapacity = <u32>capacity;
  return true;
}

/** Adds a vector; `lanes` is VALUES_BYTES. False when out of memory. */
export function sketchUpdate(
  self: Accumulator,
  numbers: usize,
  vector: Vector,
  mask: usize,
  rows: u32,
  lanes: usize,
): bool {
  if (self.family == <u32>Family.CARDINALITY) {
    const count = cardinalityPack(vector, numbers, mask, rows, self.scratch, lanes);
    // unreached: only where thousands of hashes collide while memory is out
    if (!mapCells(self, count)) return false;
    for (let row: u32 = 0; row < count; row++) {
      const lane = load<u32>(lanes + ((<usize>row) << 2));
      const at = cellOf(self, row) + <usize>(lane & 15);
      store<u8>(at, max<u8>(load<u8>(at), <u8>(lane >> 4)));
    }
    return true;
  }
  const count = quantilePack(vector, numbers, mask, rows, self.scratch, lanes);
  // unreached: only where thousands of hashes collide while memory is out
  if (!mapCells(self, count)) return false;
  for (let row: u32 = 0; row < count; row++) {
    const at = cellOf(self, row) + ((<usize>load<u32>(lanes + ((<usize>row) << 2))) << 3);
    store<u64>(at, load<u64>(at) + 1);
  }
  return true;
}

/** Cell of the row-th packed row. */
// @ts-ignore: decorator
@inline
function cellOf(self: Accumulator, row: u32): usize {
  return self.side + <usize>load<u32>(self.entries + ((<usize>row) << 2)) * CELL;
}

/** Finds or makes the cells of the packed rows. False when out of memory: those that were made stay, empty. */
function mapCells(self: Accumulator, count: u32): bool {
  const before = sketchCells(self);
  const mapped = rowTableMap(self.table, self.scratch, count, self.entries, self.tags);
  const end = sketchCells(self);
  for (let entry = before; entry < end; entry++) {
    const cell = self.side + <usize>entry * CELL;
    const head = self.values + ((<usize>load<u32>(rowTableRow(self.table, entry))) << 2);
    store<u64>(cell, 0);
    store<u64>(cell, 0, 8);
    store<u32>(cell, load<u32>(head), COUNTERS);
    store<u32>(head, entry + 1);
  }
  return mapped;
}

// ---- reading a group's cells, and states

/** The group's last cell + 1, 0 when it has none. */
// @ts-ignore: decorator
@inline
export function sketchFirst(self: Accumulator, group: u32): u32 {
  return load<u32>(self.values + ((<usize>group) << 2));
}

/** The cell before `entry` (a number + 1), in the same form. */
// @ts-ignore: decorator
@inline
export function sketchNext(self: Accumulator, entry: u32): u32 {
  return load<u32>(sketchCell(self, entry - 1), COUNTERS);
}

/** Address of a cell's counters. */
// @ts-ignore: decorator
@inline
export function sketchCell(self: Accumulator, entry: u32): usize {
  return self.side + <usize>entry * CELL;
}

// @ts-ignore: decorator
@inline
export function sketchGroup(self: Accumulator, entry: u32): u32 {
  return load<u32>(rowTableRow(self.table, entry));
}

/** Number of a cell within its sketch. */
// @ts-ignore: decorator
@inline
export function sketchNumber(self: Accumulator, entry: u32): u32 {
  return load<u32>(rowTableRow(self.table, entry), 4);
}

/** Whether a cell of a state can be one. */
export function sketchStateIsValid(self: Accumulator, number: u32, counters: usize): bool {
  if (self.family == <u32>Family.CARDINALITY)
    return number < CARDINALITY_CELLS && cardinalityAreRanks(counters);
  return number < QUANTILE_CELLS;
}

/** Merges cells: groups, numbers (u32 each) and counters (16 bytes each), with room for them. */
export function sketchMerge(self: Accumulator, groups: usize, numbers: usize, counters: usize, rows: u32): bool {
  for (let row: usize = 0; row < <usize>rows; row++) {
    store<u32>(self.scratch + (row << 3), load<u32>(groups + (row << 2)));
    store<u32>(self.scratch + (row << 3), load<u32>(numbers + (row << 2)), 4);
  }
  // unreached: only where thousands of hashes collide while memory is out
  if (!mapCells(self, rows)) return false;
  for (let row: u32 = 0; row < rows; row++) addCell(self, cellOf(self, row), counters + ((<usize>row) << 4));
  return true;
}

/**
 * Adds the source's cells from `first` up to `end`, at most a vector of them, whose groups `map` (u32 each) turns into
 * this one's; u32 max leaves a cell out. The source may be this one. False when out of memory.
 */
export function sketchCombine(self: Accumulator, source: Accumulator, map: usize, first: u32, end: u32): bool {
  if (!sketchReserve(self, self.capacity, end - first)) return false;
  let count: u32 = 0;
  for (let entry = first; entry < end; entry++) {
    const group = load<u32>(map + ((<usize>sketchGroup(source, entry)) << 2));
    if (group == 0xffffffff) continue;
    const row = self.scratch + ((<usize>count) << 3);
    store<u32>(row, group);
    store<u32>(row, sketchNumber(source, entry), 4);
    count++;
  }
  if (!mapCells(self, count)) return false;
  let row: u32 = 0;
  for (let entry = first; entry < end; entry++) {
    if (load<u32>(map + ((<usize>sketchGroup(source, entry)) << 2)) == 0xffffffff) continue;
    addCell(self, cellOf(self, row++), sketchCell(source, entry));
  }
  return true;
}

// @ts-ignore: decorator
@inline
function addCell(self: Accumulator, to: usize, from: usize): void {
  if (self.family == <u32>Family.CARDINALITY) {
    for (let lane: usize = 0; lane < COUNTERS; lane++)
      store<u8>(to + lane, max<u8>(load<u8>(to + lane), load<u8>(from + lane)));
    return;
  }
  store<u64>(to, load<u64>(to) + load<u64>(from));
  store<u64>(to, load<u64>(to, 8) + load<u64>(from, 8), 8);
}

/** Column types of a state's section: row, number, counters. */
export const SKETCH_COLUMNS: u32 = 3;
export const SKETCH_COUNTERS: u32 = Type.I128;
