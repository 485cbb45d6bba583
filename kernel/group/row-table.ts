// Row table: fixed-width rows -> dense entry numbers in the order of first appearance.
//
// A row is W bytes (a multiple of 8): the packed key columns of a group, or a (group, value) pair of a
// distinct set. Rows lie dense by entry number, apart from the slots (slots.ts), so that output,
// snapshots and merges walk them in order. Work goes a vector at a time in two loops, hashing then
// probing: the probes of neighbouring rows do not depend on each other, and the processor overlaps their
// cache misses.
//
//   table: +0 slots (32 bytes)  +32 the hash's numbers (24 bytes)  +56 probes  +64 region and the rest

import { Abi } from "../abi/layout";
import { regionBlock, regionFree } from "../memory/region";
import {
  pieceMask,
  pieceSlots,
  slotsClear,
  slotsCount,
  slotsFeed,
  slotsFill,
  slotsFirst,
  slotsFree,
  slotsInit,
  slotsPiece,
  slotsRelease,
  slotsReserve,
  slotsRestart,
  tagOf,
} from "../hash/slots";
import { SLOT_HASH_SIZE, SlotHash, slotHashInit, slotHashRow, slotHashWord } from "../hash/slot-hash";

export const ROW_TABLE_SIZE: usize = 96;
const HASH: usize = 32;
/**
 * Rows that are tried together: few enough that their slots' lines are still in the first-level cache, and
 * their pages in the translation buffer, when they are probed. Measured, M rows/s at 100,000 known keys and
 * at 4 M new ones: 2048 rows 42 and 14, 512 rows 70 and 16, 128 rows 85 and 16; without the first try 30 and 11. (Before
 * slots were read by a loop of their own, which takes 0.8 of the time.)
 */
const BLOCK: u32 = 128;
/** Bytes of the scratch that lookups of a vector need: a tag for each row, and a block's pending list and slots. */
export const ROW_TABLE_SCRATCH: usize = <usize>Abi.VECTOR_ROWS * 4 + <usize>BLOCK * 10;
const PENDING: usize = <usize>Abi.VECTOR_ROWS * 4;
const FOUND: usize = <usize>BLOCK * 2;

// @ts-ignore: decorator
@unmanaged
export class RowTable {
  slots0: u64;
  slots1: u64;
  slots2: u64;
  slots3: u64;
  hash0: u64;
  hash1: u64;
  hash2: u64;
  /** Slots looked at beyond each key's first. */
  probes: u64;
  region: usize;
  /** Bytes of a row. */
  width: usize;
  rows: usize;
  /** Entries so far. */
  entries: u32;
  /** Rows that `rows` can hold. */
  capacity: u32;
  /** Fault switch: every hash is 0. */
  hashZero: u32;
  /** 1: rows are words (packing.ts), and those with the upper bit have 0 as their tags' top byte. */
  words: u32;
}

/** Makes an empty table at `table`, hashed by `seed`; false when out of memory. */
export function rowTableInit(
  table: usize,
  region: usize,
  width: usize,
  hashZero: bool,
  tiny: bool,
  seed: u32 = 0,
): bool {
  memory.fill(table, 0, ROW_TABLE_SIZE);
  const self = changetype<RowTable>(table);
  self.region = region;
  self.width = width;
  self.hashZero = hashZero ? 1 : 0;
  slotHashInit(table + HASH, seed);
  return slotsInit(table, region, tiny);
}

/** Makes an empty table at `table` of rows of another width, hashed as those of `other`; false when out of memory. */
export function rowTableLike(table: usize, other: usize, width: usize): bool {
  const like = changetype<RowTable>(other);
  if (!rowTableInit(table, like.region, width, like.hashZero != 0, false)) return false;
  memory.copy(table + HASH, other + HASH, SLOT_HASH_SIZE);
  return true;
}

/** Gives all memory back; the table is of no use any more. */
export function rowTableFree(table: usize): void {
  slotsFree(table);
  regionFree(changetype<RowTable>(table).region, changetype<RowTable>(table).rows);
}

/** Room for `more` further entries; false when out of memory. Nothing is lost then. */
export function rowTableReserve(table: usize, more: u32): bool {
  const self = changetype<RowTable>(table);
  if (!slotsFeed(table)) return false;
  const need: u64 = <u64>self.entries + <u64>more;
  if (need <= <u64>self.capacity) return true;
  if (need > 0xfffffff0) return false; // unreached: needs 2^32 rows
  // Half as much again past a million rows: a doubling copy of a large table would need three times its size.
  const spare: u64 = self.capacity < 1 << 20 ? self.capacity : self.capacity >> 1;
  let capacity = min<u64>(max<u64>(need, <u64>self.capacity + spare), 0xfffffff0);
  let rows = rowsBlock(self, capacity);
  if (rows == 0) {
    capacity = need;
    rows = rowsBlock(self, capacity);
    if (rows == 0) return false;
  }
  if (self.entries != 0) memory.copy(rows, self.rows, <usize>self.entries * self.width);
  regionFree(self.region, self.rows);
  self.rows = rows;
  self.capacity = <u32>capacity;
  return true;
}

function rowsBlock(self: RowTable, capacity: u64): usize {
  const bytes: u64 = capacity * <u64>self.width;
  return bytes > 0xffe00000 ? 0 : regionBlock(self.region, <usize>bytes); // unreached: needs more than 4 GiB
}

/** Forgets every row; memory stays for the next ones. */
export function rowTableClear(table: usize): void {
  slotsClear(table);
  changetype<RowTable>(table).entries = 0;
}

/** The same, and gives the memory back, as far as an empty table can be had. */
export function rowTableRestart(table: usize): void {
  if (!slotsRestart(table)) return rowTableClear(table);
  const self = changetype<RowTable>(table);
  regionFree(self.region, self.rows);
  self.rows = 0;
  self.capacity = 0;
  self.entries = 0;
}

// @ts-ignore: decorator
@inline
export function rowTableRow(table: usize, entry: u32): usize {
  const self = changetype<RowTable>(table);
  return self.rows + <usize>entry * self.width;
}

/**
 * Looks `count` rows up, adding those that are new: their entry numbers go to `entries` (u32 each).
 * `tags` is ROW_TABLE_SCRATCH. Room must have been reserved. False when the slots are full and cannot
 * grow (out of memory).
 */
export function rowTableMap(table: usize, rows: usize, count: u32, entries: usize, tags: usize): bool {
  return rowTableMapNear(table, rows, count, entries, tags, false);
}

/**
 * The same; `near` says that the rows are of one partition, whose slots are in the cache: blocks after one of
 * mostly new rows are then probed without a first try.
 */
export function rowTableMapNear(
  table: usize,
  rows: usize,
  count: u32,
  entries: usize,
  tags: usize,
  near: bool,
): bool {
  const self = changetype<RowTable>(table);
  rowTableTags(table, rows, count, tags);
  if (self.width == 8) return map<u64>(table, rows, count, entries, tags, near);
  if (self.width == 16) return map<u32>(table, rows, count, entries, tags, near);
  return map<u8>(table, rows, count, entries, tags, near);
}

/** Adds `count` rows without looking them up: they can not be found later. Room must have been reserved. */
export function rowTableAppend(table: usize, rows: usize, count: u32, entries: usize): void {
  const self = changetype<RowTable>(table);
  memory.copy(rowTableRow(table, self.entries), rows, <usize>count * self.width);
  for (let row: u32 = 0; row < count; row++) store<u32>(entries + ((<usize>row) << 2), self.entries + row);
  self.entries += count;
}

/** The tags of `count` rows (u32 each): their top bytes choose the sub-table of a large table. */
export function rowTableTags(table: usize, rows: usize, count: u32, tags: usize): void {
  const self = changetype<RowTable>(table);
  if (self.hashZero) memory.fill(tags, 0, (<usize>count) << 2);
  else if (self.words) hashWords(rows, count, tags, changetype<SlotHash>(table + HASH));
  else hashRows(rows, count, self.width, tags, changetype<SlotHash>(table + HASH));
}

function hashWords(rows: usize, count: u32, tags: usize, hash: SlotHash): void {
  const add = hash.add;
  const multiply = hash.multiply;
  for (let row: u32 = 0; row < count; row++) {
    const word = load<u64>(rows + ((<usize>row) << 3));
    const top = <u32>(<i64>word >> 63) & 0xff000000;
    store<u32>(tags + ((<usize>row) << 2), tagOf(slotHashWord(word, add, multiply)) & ~top);
  }
}

/**
 * Slots for `more` further entries whose tags have `partition` as their top byte, at best for `likely`. False
 * when out of memory.
 */
export function rowTablePartitionReserve(table: usize, partition: u32, more: u32, likely: u32): bool {
  return slotsReserve(table, partition, more, likely);
}

/** Gives back the slots of entries whose tags have `partition` as their top byte, of which none is looked up any more. */
export function rowTablePartitionRelease(table: usize, partition: u32): void {
  slotsRelease(table, partition);
}

function hashRows(rows: usize, count: u32, width: usize, tags: usize, hash: SlotHash): void {
  const add = hash.add;
  const multiply = hash.multiply;
  if (width == 8) {
    const end = tags + ((<usize>count) << 2);
    for (const whole = tags + ((<usize>(count & ~1)) << 2); tags < whole; tags += 8) {
      store<u32>(tags, tagOf(slotHashWord(load<u64>(rows), add, multiply)));
      store<u32>(tags, tagOf(slotHashWord(load<u64>(rows, 8), add, multiply)), 4);
      rows += 16;
    }
    for (; tags < end; tags += 4) {
      store<u32>(tags, tagOf(slotHashWord(load<u64>(rows), add, multiply)));
      rows += 8;
    }
    return;
  }
  const low = hash.low;
  const high = hash.high;
  let key = rows;
  for (let row: u32 = 0; row < count; row++) {
    store<u32>(tags + ((<usize>row) << 2), tagOf(slotHashRow(key, width, add, multiply, low, high)));
    key += width;
  }
}

// Row shapes for which the loops are compiled apart: u64 = 8 bytes, u32 = 16, u8 = any multiple of 8.

// @ts-ignore: decorator
@inline
function differs<S>(a: usize, b: usize, width: usize): u64 {
  if (sizeof<S>() == 8) return load<u64>(a) ^ load<u64>(b);
  let bits = (load<u64>(a) ^ load<u64>(b)) | (load<u64>(a, 8) ^ load<u64>(b, 8));
  if (sizeof<S>() == 4) return bits;
  for (let at: usize = 16; at < width; at += 8) bits |= load<u64>(a + at) ^ load<u64>(b + at);
  return bits;
}

// @ts-ignore: decorator
@inline
function rowAddress<S>(rows: usize, row: u32, width: usize): usize {
  if (sizeof<S>() == 8) return rows + ((<usize>row) << 3);
  if (sizeof<S>() == 4) return rows + ((<usize>row) << 4);
  return rows + <usize>row * width;
}

// @ts-ignore: decorator
@inline
function copyRow<S>(to: usize, from: usize, width: usize): void {
  store<u64>(to, load<u64>(from));
  if (sizeof<S>() == 8) return;
  store<u64>(to, load<u64>(from, 8), 8);
  if (sizeof<S>() == 4) return;
  for (let at: usize = 16; at < width; at += 8) store<u64>(to + at, load<u64>(from + at));
}

/**
 * First every row is tried at the slot where its hash points, without a branch: the loads of many rows are
 * under way at once, and most rows that are known end there. The others are listed and probed one by one; their slots are in
 * the cache by then.
 */
// @ts-ignore: decorator
@inline
function map<S>(
  table: usize,
  rows: usize,
  count: u32,
  entries: usize,
  tags: usize,
  near: bool,
): bool {
  const width = changetype<RowTable>(table).width;
  let known = true;
  for (let start: u32 = 0; start < count; start += BLOCK) {
    const block = min<u32>(BLOCK, count - start);
    const at: usize = (<usize>start) << 2;
    const from = rowAddress<S>(rows, start, width);
    const before = changetype<RowTable>(table).entries;
    if (!mapBlock<S>(table, from, block, entries + at, tags + at, tags + PENDING, known)) return false;
    known = !near || (changetype<RowTable>(table).entries - before) * 4 < block * 3;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function mapBlock<S>(
  table: usize,
  rows: usize,
  count: u32,
  entries: usize,
  tags: usize,
  pending: usize,
  known: bool,
): bool {
  let left = count;
  if (known && changetype<RowTable>(table).entries != 0)
    left = tryFirst<S>(table, rows, count, entries, tags, pending);
  else {
    for (let row: u32 = 0; row < count; row++) store<u16>(pending + ((<usize>row) << 1), <u16>row);
  }
  return probe<S>(table, rows, left, entries, tags, pending);
}

function tryFirst<S>(
  table: usize,
  rows: usize,
  count: u32,
  entries: usize,
  tags: usize,
  pending: usize,
): u32 {
  slotsFirst(table, tags, count, entries, pending + FOUND);
  const self = changetype<RowTable>(table);
  const width = self.width;
  const known = self.rows;
  let next = pending;
  let row: u32 = 0;
  for (const whole = count & ~1; row < whole; row += 2) {
    next = tryKey<S>(known, rows, width, entries, row, next);
    next = tryKey<S>(known, rows, width, entries, row + 1, next);
  }
  if (row < count) next = tryKey<S>(known, rows, width, entries, row, next);
  return <u32>(next - pending) >> 1;
}

/** Lists a row at `next` if its key is not the one that was found; where to list the next one. */
// @ts-ignore: decorator
@inline
function tryKey<S>(known: usize, rows: usize, width: usize, entries: usize, row: u32, next: usize): usize {
  const at = entries + ((<usize>row) << 2);
  const found = load<u32>(at);
  // 0 reads the key of entry 0, which may be the row's.
  const entry = max<u32>(found, 1) - 1;
  const different = differs<S>(rowAddress<S>(known, entry, width), rowAddress<S>(rows, row, width), width);
  store<u32>(at, entry);
  store<u16>(next, <u16>row);
  return next + (<usize>(<u32>(different != 0) | <u32>(found == 0)) << 1);
}

/** Where a row is among a piece's slots, or the free one where it would be. */
// @ts-ignore: decorator
@inline
function slotOf<S>(self: RowTable, slots: usize, mask: u32, tag: u32, key: usize, width: usize): u32 {
  let at = tag & mask;
  let found = load<u64>(slots + ((<usize>at) << 3));
  while (found != 0) {
    if (
      <u32>(found >> 32) == tag &&
      differs<S>(rowAddress<S>(self.rows, <u32>found - 1, width), key, width) == 0
    )
      break;
    at = (at + 1) & mask;
    found = load<u64>(slots + ((<usize>at) << 3));
  }
  return at;
}

function probe<S>(table: usize, rows: usize, count: u32, entries: usize, tags: usize, pending: usize): bool {
  const self = changetype<RowTable>(table);
  const width = self.width;
  let probes: u64 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const row = <u32>load<u16>(pending + ((<usize>index) << 1));
    const tag = load<u32>(tags + ((<usize>row) << 2));
    const key = rowAddress<S>(rows, row, width);
    const piece = slotsPiece(table, tag);
    const slots = pieceSlots(piece);
    const mask = pieceMask(piece);
    const at = slotOf<S>(self, slots, mask, tag, key, width);
    const slot = slots + ((<usize>at) << 3);
    let found = load<u64>(slot);
    probes += <u64>((at - tag) & mask);
    if (found == 0) {
      const entry = self.entries;
      if (!slotsFill(table, piece, slot, tag, entry)) return false;
      copyRow<S>(rowAddress<S>(self.rows, entry, width), key, width);
      self.entries = entry + 1;
      found = <u64>entry + 1;
    }
    store<u32>(entries + ((<usize>row) << 2), <u32>found - 1);
  }
  self.probes += probes;
  return true;
}

/** The entry of a row that is not in the table. */
export const NO_ENTRY: u32 = 0xffffffff;

/** Looks `count` rows up without adding any: NO_ENTRY for those that are not there. `tags` is ROW_TABLE_SCRATCH. */
export function rowTableFind(table: usize, rows: usize, count: u32, entries: usize, tags: usize): void {
  const self = changetype<RowTable>(table);
  if (self.entries == 0) {
    memory.fill(entries, 0xff, (<usize>count) << 2);
    return;
  }
  rowTableTags(table, rows, count, tags);
  if (self.width == 8) find<u64>(table, rows, count, entries, tags);
  else if (self.width == 16) find<u32>(table, rows, count, entries, tags);
  else find<u8>(table, rows, count, entries, tags);
}

// @ts-ignore: decorator
@inline
function find<S>(table: usize, rows: usize, count: u32, entries: usize, tags: usize): void {
  const width = changetype<RowTable>(table).width;
  for (let start: u32 = 0; start < count; start += BLOCK) {
    const block = min<u32>(BLOCK, count - start);
    const at: usize = (<usize>start) << 2;
    const from = rowAddress<S>(rows, start, width);
    const left = tryFirst<S>(table, from, block, entries + at, tags + at, tags + PENDING);
    seek<S>(table, from, left, entries + at, tags + at, tags + PENDING);
  }
}

function seek<S>(table: usize, rows: usize, count: u32, entries: usize, tags: usize, pending: usize): void {
  const self = changetype<RowTable>(table);
  const width = self.width;
  for (let index: u32 = 0; index < count; index++) {
    const row = <u32>load<u16>(pending + ((<usize>index) << 1));
    const tag = load<u32>(tags + ((<usize>row) << 2));
    const key = rowAddress<S>(rows, row, width);
    const piece = slotsPiece(table, tag);
    const slots = pieceSlots(piece);
    const at = slotOf<S>(self, slots, pieceMask(piece), tag, key, width);
    const found = load<u64>(slots + ((<usize>at) << 3));
    store<u32>(entries + ((<usize>row) << 2), <u32>found - 1);
  }
}

/** Slots of the index, free ones included. */
export function rowTableSlots(table: usize): u32 {
  return slotsCount(table);
}
