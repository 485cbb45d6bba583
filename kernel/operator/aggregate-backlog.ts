// The backlog: rows that a hash aggregation sets aside by hash, so that a large table is met a part at a time.
//
// Once the table has outgrown the caches and most rows bring new keys, looking a row up costs two or three
// misses (slot, key, accumulators), each with a walk of the page tables. From then on rows are packed (key,
// arguments, null bits) into 256 partitions by the hash's top byte, which also chooses the sub-table
// (hash/slots.ts). A partition is later run through the same table and accumulators as ever: its slots, and
// the keys and sums that it adds, stay in the cache meanwhile. Group numbers depend on that order, results do
// not.
//
// At most BACKLOG_ROWS wait. A push that would leave more works partitions off first, about as many rows as it
// brings, so that a call stays bounded and memory too; pulls work off what is left, snapshots and merges all of
// it. Where all of a partition waits until the input has ended, its slots are of no use once it is worked off, and the
// next partition takes them: they stay in the cache, and there may be twice as many as a table that stays would have
// (whether a slot is taken is guessed wrong less often). Rows are worked off a chunk at a time, and room for a chunk is
// made before any of it is applied: what OUT_OF_MEMORY interrupts goes on later.
//
// Measured against looking every row up as it comes, one run, 4 M rows, 8-byte keys: all distinct 2.2 times as
// fast, a million keys 2.8 times. Tried and lost: the first try of every block (row-table.ts) in a partition too,
// and growing slots, keys and sums step by step instead of for all that waits: 1.5 and 1.9 times together. 10 M rows of
// distinct keys, 4 M of which may wait: 425 ms; 16 M: 315, and less memory, as slots, keys and sums grow once; slots
// that are taken over: 305; twice as many of them: 275. Tried and lost: reading the slots of a block before they are
// probed, and four times as many. Reading all places of a vector before rows are written there, on a processor that waits
// for memory longer: 0.82 of the time, 0.85 by six keys.
//
// Several operators that share one aggregation's rows (SHARED) begin earlier, and what waits then is applied by others:
// a partition of all of them at a time (aggregate-divide.ts), so that no row is looked up twice.
//
// Where the host has room for what does not fit (LEAVES), rows that hardly reduce are not worked off when memory ends, but
// leave as they lie (aggregate-leave.ts).
//
// Taken by aggregations without filters, text or boolean arguments, distinct counts and changelogs; each partial of a
// window (windows.ts) has its own.
//
//   row:   packed key | arguments, widest first | u32 null bits, bit 31: the key, where it has no mask of its own
//   chunk: as aggregate-aside.ts has it
//   partition: +0 first chunk  +4 end of its last one's rows  +8 room left there, in rows  +12 rows

import { Abi } from "../abi/layout";
import { AggregateFault, AggregateFlag, OperatorKind } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { accumulatorReserveRows, accumulatorUpdate } from "../aggregate/accumulators";
import { bitmapGet } from "../column/bitmap";
import { Vector } from "../column/vector";
import { programOutput } from "../expression/program";
import {
  groupsAssignRows,
  groupsHaveTexts,
  groupsLoad,
  groupsRowTags,
  groupsRows,
  groupsToHash,
} from "../group/groups";
import { copyLearntOne } from "../group/copy";
import {
  packingBegin,
  packingEnd,
  packingHasApart,
  packingIsSpent,
  packingReserve,
  packingTranslate,
} from "../group/packing";
import { Groups, NO_GROUP, Tier, groupsKey } from "../group/state";
import { fail, failMemory } from "../memory/context";
import { copyBytes } from "../memory/copy";
import { regionCut, regionHasRoom } from "../memory/region";
import { RowTable, rowTablePartitionRelease, rowTablePartitionReserve, rowTableReserve } from "../group/row-table";
import {
  Aside,
  AsideColumn,
  CHUNK_HEADER,
  SLAB_CHUNKS,
  asideAddSlab,
  asideColumn,
  asideCreateColumns,
  asideDropSlabs,
  asideGive,
  asideHide,
  asideMay,
  asideShow,
  asideTake,
} from "./aggregate-aside";
import { isWorthwhile, rowsLeave } from "./aggregate-leave";
import { aggregateReserveSpan, aggregateTrack } from "./aggregate-reserve";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { Operator } from "./operator";

const ROWS: u32 = Abi.VECTOR_ROWS;
export const BACKLOG_PARTITIONS: u32 = 256;
const PARTITIONS: u32 = BACKLOG_PARTITIONS;
export const PARTITION: usize = 16;
export const HEADER: usize = CHUNK_HEADER;
/** A chunk holds at most a vector of the narrowest rows (16 bytes). */
const CHUNK: u32 = 32768;
/** The same where all rows are set aside and there is no room for so many large ones: each partition has one or two. */
const SMALL_CHUNK: u32 = 4096;
const LARGE_ROOM: u64 = <u64>CHUNK * 1024;
/** Groups at which setting aside may begin: their slots, keys and sums are 8 MB then. */
const BEGIN_GROUPS: u32 = 1 << 18;
/** ... and the part of a push's rows, one in so many, that must bring new groups. */
const NEW_SHARE: u32 = 4;
/** The same for SHARED operators, whose groups will be looked up once more: what a morsel brings where nearly each row is new. */
const BEGIN_SHARED_GROUPS: u32 = 15 << 12;
const NEW_SHARED_SHARE: u32 = 2;
const BACKLOG_ROWS: u32 = 1 << 24;
const BACKLOG_BYTES: u32 = 1 << 29;
/** With the fault switch, so few that every path is taken. */
const FAULT_ROWS: u32 = 16;
/** A partition of more than one in so many of the rows that wait is not left to whoever takes that partition. */
const LARGE_SHARE: u32 = 16;
/** Rows that a pull works off before it answers. */
const PULL_ROWS: u32 = 65536;
const KEY_NULL: u32 = 1 << 31;

// @ts-ignore: decorator
@unmanaged
export class Backlog extends Aside {
  /** Where a row's null bits are. */
  nulls: u32;
  partitions: usize;
  /** The partition to work off next. */
  next: u32;
  /** Addresses of a vector's rows. */
  places: usize;
  /** A key without a mask: its validity. */
  keyBits: usize;
  /** New groups among 256 rows, as of the last chunk. */
  share: u32;
  /** Null bits that any row set aside so far may have. */
  seen: u32;
  /** While rows leave: the partition and the chunk that is next, 0 before the first; and whether they hardly reduce. */
  top: u32;
  chunk: usize;
  worthwhile: u32;
  /** Rows that waited when that was last looked at; 0: never. */
  judged: u32;
  /**
   * While results leave partition by partition (aggregate-drain.ts): 1; the groups from before that, how many others have
   * left, and whether the next partition's rows are half worked off.
   */
  drains: u32;
  kept: u32;
  left: u32;
  half: u32;
  /** Whether it takes others' partitions, whose groups leave before the next one's come. */
  takes: u32;
  /** What has been read to bring lines into the cache, for no one. */
  brought: u32;
}

const BACKLOG_SIZE: usize = 112;

// @ts-ignore: decorator
@inline
export function backlogOf(operator: usize): Backlog {
  return changetype<Backlog>(aggregationOf(operator).backlog);
}

/** Whether the operator sets rows aside. */
// @ts-ignore: decorator
@inline
export function backlogIsOpen(operator: usize): bool {
  return aggregationOf(operator).backlog != 0;
}

/** Rows that wait. */
export function backlogRows(operator: usize): u32 {
  return backlogIsOpen(operator) ? backlogOf(operator).rows : 0;
}

/** The same of a partition. */
export function backlogPartitionRows(operator: usize, top: u32): u32 {
  return backlogIsOpen(operator) ? load<u32>(backlogOf(operator).partitions + <usize>top * PARTITION, 12) : 0;
}

// ---- beginning

/**
 * After a push of `rows` rows that found `before` groups: begins to set rows aside when that should pay. Not
 * when out of memory.
 */
export function backlogConsider(operator: usize, rows: u32, before: u32): void {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (groups.tier != <u32>Tier.HASH || self.backlogRefused) return;
  const fault = (self.fault & <u32>AggregateFault.SET_ASIDE) != 0;
  // Where texts' ids are each operator's own, rows with such are worked off before they are divided.
  const shared = (self.flags & <u32>AggregateFlag.SHARED) != 0 && copyLearntOne(groups, groups);
  const begin = shared ? BEGIN_SHARED_GROUPS : BEGIN_GROUPS;
  const share = shared ? NEW_SHARED_SHARE : NEW_SHARE;
  if (!fault && (groups.count < begin || groups.count - before < rows / share || rows == 0)) return;
  if (!mayBeSetAside(self)) self.backlogRefused = 1;
  else {
    if (mayPack(operator)) packingBegin(groups, fault);
    createBacklog(operator, fault);
  }
}

/** Whether keys may be words: where nothing but results leaves, nobody has to know how they lie. */
function mayPack(operator: usize): bool {
  const isAlone = changetype<Operator>(operator).kind == <u32>OperatorKind.HASH_AGGREGATE;
  return isAlone && (aggregationOf(operator).flags & <u32>AggregateFlag.DRAINS) != 0;
}

export function mayBeSetAside(self: Aggregation): bool {
  return (self.flags & <u32>AggregateFlag.CHANGELOG) == 0 && asideMay(self, false);
}

/** ASIDE: rows of a new operator are set aside from the first one on, if they can be and there is memory for it. */
export function backlogOpen(operator: usize): void {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const isAside = (self.flags & <u32>AggregateFlag.ASIDE) != 0;
  if (!isAside || groups.keyCount == 0 || groupsHaveTexts(groups) || !mayBeSetAside(self)) return;
  groups.tier = Tier.HASH;
  createBacklog(operator, (self.fault & <u32>AggregateFault.SET_ASIDE) != 0);
  if (backlogIsOpen(operator)) backlogOf(operator).limit = u32.MAX_VALUE;
}

/** A failure leaves small pieces behind that go with the region; it is not tried again. */
export function createBacklog(operator: usize, fault: bool): void {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  self.backlogRefused = 1;
  const address = regionCut(operator, BACKLOG_SIZE);
  if (address == 0) return;
  const backlog = changetype<Backlog>(address);
  backlog.partitions = regionCut(operator, <usize>PARTITIONS * PARTITION);
  backlog.places = regionCut(operator, (<usize>ROWS) << 2);
  backlog.keyBits = regionCut(operator, ROWS >> 3);
  if (backlog.partitions == 0 || backlog.places == 0 || backlog.keyBits == 0) return;
  backlog.keyWidth = <u32>changetype<RowTable>(groups.table).width;
  const end = asideCreateColumns(operator, backlog, true);
  if (end == 0) return;
  backlog.nulls = (end + 3) & ~3;
  backlog.width = (backlog.nulls + 4 + 7) & ~7;
  const isLarge = (self.flags & <u32>AggregateFlag.ASIDE) == 0 || regionHasRoom(operator, LARGE_ROOM);
  backlog.chunkBytes = isLarge ? CHUNK : SMALL_CHUNK;
  backlog.chunkRows = fault ? 2 : max<u32>(1, min<u32>(ROWS, (backlog.chunkBytes - <u32>HEADER) / backlog.width));
  backlog.limit = fault ? FAULT_ROWS : min<u32>(BACKLOG_ROWS, BACKLOG_BYTES / backlog.width);
  backlog.share = 256;
  self.backlog = address;
}

// ---- setting aside

/**
 * Makes room for `rows` rows, working older ones off where too many would wait. 0, or OUT_OF_MEMORY, with no
 * row lost.
 */
export function backlogReserve(context: usize, operator: usize, rows: u32): i32 {
  const backlog = backlogOf(operator);
  while (backlog.rows != 0 && backlog.rows + rows > backlog.limit) {
    const status = workChunk(context, operator);
    if (status < 0) return status;
  }
  const chunks = chunksFor(backlog, rows);
  let leaves = rowsLeave(operator);
  while (backlog.freeCount < chunks) {
    if (asideAddSlab(operator, backlog)) continue;
    // Short of memory: what waits goes, and its chunks serve again.
    if (backlog.rows == 0) return failMemory(context, backlog.chunkBytes * SLAB_CHUNKS);
    if (leaves) {
      if (isWorthwhile(operator)) return failMemory(context, backlog.chunkBytes * SLAB_CHUNKS);
      leaves = false;
    }
    const status = workChunk(context, operator);
    if (status < 0) return status;
  }
  return 0;
}

/** Room for keys that have no place in their words, of `rows` rows; where there are too many, there are no words any more. */
export function backlogReserveKeys(context: usize, operator: usize, rows: u32): i32 {
  const groups = groupsOf(aggregationOf(operator));
  if (groups.packing == 0) return 0;
  if (packingIsSpent(groups, groups.count + backlogRows(operator))) return min<i32>(0, backlogSettle(context, operator));
  return packingReserve(groups, rows) ? 0 : failMemory(context, 0);
}

/** Chunks that `rows` rows can take: each partition may begin one of its own. */
function chunksFor(backlog: Backlog, rows: u32): u32 {
  return rows / backlog.chunkRows + min(rows, PARTITIONS);
}

/** Whether `rows` rows are, or can be, set aside where none waits. */
export function backlogBegins(operator: usize, rows: u32): bool {
  const backlog = backlogOf(operator);
  if (backlog.rows != 0) return true;
  const chunks = chunksFor(backlog, rows);
  while (backlog.freeCount < chunks) {
    if (!asideAddSlab(operator, backlog)) return false;
  }
  return true;
}

/** Sets nothing aside any more; no row waits. */
export function backlogClose(operator: usize): void {
  asideDropSlabs(operator, backlogOf(operator));
  aggregationOf(operator).backlog = 0;
}

/**
 * Sets the program's `rows` rows aside; `backlogReserve` has made room. False when a text key finds no memory.
 */
export function backlogAppend(context: usize, operator: usize, rows: u32): bool {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const backlog = backlogOf(operator);
  if (!groupsLoad(groups, self.program, rows)) return false;
  const keys = groupsRows(groups, rows);
  if (keys == 0) return false;
  const tags = groupsRowTags(groups, keys, rows);
  if (groups.maskOffset == NO_GROUP) nullTags(tags, groupsKey(groups, 0).validity, rows);
  place(backlog, tags, rows);
  clear(backlog, rows);
  const width: usize = backlog.keyWidth;
  if (width == 8) placeKeys<u64>(backlog, keys, rows, 8);
  else if (width == 16) placeKeys<u32>(backlog, keys, rows, 16);
  else placeKeys<u8>(backlog, keys, rows, width);
  if (groups.maskOffset == NO_GROUP) placeNulls(backlog, groupsKey(groups, 0).validity, KEY_NULL, rows);
  for (let index: u32 = 0; index < backlog.columnCount; index++) {
    const column = asideColumn(backlog, index);
    const vector = changetype<Vector>(programOutput(self.program, column.output));
    const values = vector.values;
    switch (column.width) {
      case 1:
        placeValues<u8>(backlog, column.offset, values, rows);
        break;
      case 2:
        placeValues<u16>(backlog, column.offset, values, rows);
        break;
      case 4:
        placeValues<u32>(backlog, column.offset, values, rows);
        break;
      case 8:
        placeValues<u64>(backlog, column.offset, values, rows);
        break;
      default:
        placeWide(backlog, column.offset, values, rows);
    }
    placeNulls(backlog, vector.validity, (<u32>1) << index, rows);
  }
  backlog.rows += rows;
  return true;
}

/** A null key has no value, and so no hash: it belongs to partition 0, wherever it is set aside. */
function nullTags(tags: usize, validity: usize, rows: u32): void {
  if (validity == 0) return;
  for (let row: u32 = 0; row < rows; row++) {
    if (!bitmapGet(validity, row)) store<u32>(tags + ((<usize>row) << 2), 0);
  }
}

/** Gives each row its place in its tag's partition. */
function place(backlog: Backlog, tags: usize, rows: u32): void {
  const partitions = backlog.partitions;
  const places = backlog.places;
  const width = backlog.width;
  for (let row: u32 = 0; row < rows; row++) {
    const partition = partitions + <usize>(load<u32>(tags + ((<usize>row) << 2)) >> 24) * PARTITION;
    if (load<u32>(partition, 8) == 0) beginChunk(backlog, partition);
    const at: usize = load<u32>(partition, 4);
    store<u32>(partition, <u32>at + width, 4);
    store<u32>(partition, load<u32>(partition, 8) - 1, 8);
    store<u32>(partition, load<u32>(partition, 12) + 1, 12);
    store<u32>(places + ((<usize>row) << 2), <u32>at);
  }
}

/**
 * Clears the null bits of rows at their places, and reads there before, which brings many lines from memory at a time: what is
 * written to a line that is not in the cache waits for it, and few writes can wait.
 */
function clear(backlog: Backlog, rows: u32): void {
  const nulls: usize = backlog.nulls;
  let brought: u32 = 0;
  for (let at = backlog.places, end = at + ((<usize>rows) << 2); at < end; at += 4) {
    const row = <usize>load<u32>(at) + nulls;
    brought += load<u32>(row);
    store<u32>(row, 0);
  }
  backlog.brought = brought;
}

/** A fresh chunk behind the partition's last one, whose link lies before its rows. */
function beginChunk(backlog: Backlog, partition: usize): void {
  const chunk = asideTake(backlog);
  if (load<u32>(partition) == 0) store<u32>(partition, <u32>chunk);
  else {
    const last = <usize>load<u32>(partition, 4) - <usize>backlog.chunkRows * <usize>backlog.width - HEADER;
    store<u32>(last, <u32>chunk);
  }
  store<u32>(partition, <u32>(chunk + HEADER), 4);
  store<u32>(partition, backlog.chunkRows, 8);
}

// u64 = 8 bytes, u32 = 16, u8 = any multiple of 8.

// @ts-ignore: decorator
@inline
function placeKeys<S>(backlog: Backlog, keys: usize, rows: u32, width: usize): void {
  const places = backlog.places;
  for (let row: u32 = 0; row < rows; row++) {
    const to: usize = load<u32>(places + ((<usize>row) << 2));
    const from = keys + <usize>row * width;
    store<u64>(to, load<u64>(from));
    if (sizeof<S>() == 8) continue;
    store<u64>(to, load<u64>(from, 8), 8);
    if (sizeof<S>() == 4) continue;
    for (let at: usize = 16; at < width; at += 8) store<u64>(to + at, load<u64>(from + at));
  }
}

function placeValues<T>(backlog: Backlog, offset: usize, values: usize, rows: u32): void {
  const places = backlog.places;
  for (let row: u32 = 0; row < rows; row++) {
    const to = <usize>load<u32>(places + ((<usize>row) << 2)) + offset;
    store<T>(to, load<T>(values + <usize>row * sizeof<T>()));
  }
}

function placeWide(backlog: Backlog, offset: usize, values: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const to = <usize>load<u32>(backlog.places + ((<usize>row) << 2)) + offset;
    copyBytes(to, values + ((<usize>row) << 4), 16);
  }
}

function placeNulls(backlog: Backlog, validity: usize, bit: u32, rows: u32): void {
  if (validity == 0) return;
  backlog.seen |= bit;
  const places = backlog.places;
  const nulls: usize = backlog.nulls;
  for (let row: u32 = 0; row < rows; row++) {
    const valid = (load<u8>(validity + <usize>(row >> 3)) >> <u8>(row & 7)) & 1;
    const at = <usize>load<u32>(places + ((<usize>row) << 2)) + nulls;
    store<u32>(at, load<u32>(at) | (valid ? 0 : bit));
  }
}

// ---- working off

/** Works off what waits, PULL_ROWS rows of it or all. HAS_MORE, NEED_INPUT when nothing is left, or an error. */
export function backlogWork(context: usize, operator: usize, all: bool): i32 {
  if (!backlogIsOpen(operator)) return Status.NEED_INPUT;
  const backlog = backlogOf(operator);
  const stop: u32 = all ? 0 : backlog.rows - min(backlog.rows, PULL_ROWS);
  while (backlog.rows > stop) {
    const status = workChunk(context, operator);
    if (status < 0) return status;
  }
  if (backlog.rows != 0) return Status.HAS_MORE;
  asideDropSlabs(operator, backlog);
  return Status.NEED_INPUT;
}

/** Works off the next partition that has rows, or `most` rows of it and a few: `half` says which. 0, or an error. */
export function backlogWorkPartition(context: usize, operator: usize, most: u32): i32 {
  const backlog = backlogOf(operator);
  const stop = backlog.rows - min(backlog.rows, most);
  do {
    const status = workChunk(context, operator);
    if (status < 0) return status;
    backlog.half = <u32>(load<u32>(backlog.partitions + <usize>backlog.next * PARTITION) != 0);
  } while (backlog.half != 0 && backlog.rows > stop);
  if (backlog.rows == 0) asideDropSlabs(operator, backlog);
  return 0;
}

/** Rows of the next partition that has any. */
export function backlogNextRows(operator: usize): u32 {
  const backlog = backlogOf(operator);
  skipEmpty(backlog);
  return load<u32>(backlog.partitions + <usize>backlog.next * PARTITION, 12);
}

/** Goes on to a partition that has rows; there is one. */
function skipEmpty(backlog: Backlog): void {
  while (load<u32>(backlog.partitions + <usize>backlog.next * PARTITION) == 0)
    backlog.next = (backlog.next + 1) % PARTITIONS;
}

/** Works all of it off and lays keys out for whoever reads their rows. NEED_INPUT, or an error. */
export function backlogSettle(context: usize, operator: usize): i32 {
  const status = backlogWork(context, operator, true);
  const self = aggregationOf(operator);
  if (status < 0 || groupsOf(self).packing == 0) return status;
  if (!packingEnd(groupsOf(self))) return failMemory(context, 0);
  // Rows that wait have another width from now on.
  aggregationOf(operator).backlog = 0;
  createBacklog(operator, (self.fault & <u32>AggregateFault.SET_ASIDE) != 0);
  return status;
}

/** Applies the first chunk of the next partition that has one: all of it, or OUT_OF_MEMORY and none. */
function workChunk(context: usize, operator: usize): i32 {
  const backlog = backlogOf(operator);
  skipEmpty(backlog);
  const partition = backlog.partitions + <usize>backlog.next * PARTITION;
  const chunk: usize = load<u32>(partition);
  const rows = chunkLength(backlog, partition, chunk);
  const status = applyChunk(context, operator, backlog.next, chunk, rows, load<u32>(partition, 12), backlog.rows);
  if (status < 0) return status;
  if (load<u32>(chunk) == 0) store<u32>(partition, 0, 8);
  store<u32>(partition, load<u32>(chunk));
  store<u32>(partition, load<u32>(partition, 12) - rows, 12);
  asideGive(backlog, chunk);
  backlog.rows -= rows;
  if (load<u32>(partition) == 0 && isLast(operator))
    rowTablePartitionRelease(groupsOf(aggregationOf(operator)).table, backlog.next);
  return 0;
}

/** Whether the rows of a partition that wait are the last ones: nothing comes, nor is combined or merged, after the end. */
// @ts-ignore: decorator
@inline
function isLast(operator: usize): bool {
  return changetype<Operator>(operator).ended != 0;
}

/** Rows of a partition's chunk: all have as many as they can, but the last. */
// @ts-ignore: decorator
@inline
export function chunkLength(backlog: Backlog, partition: usize, chunk: usize): u32 {
  return backlog.chunkRows - (load<u32>(chunk) == 0 ? load<u32>(partition, 8) : 0);
}

/**
 * Applies a chunk's rows, of `top`, a partition: all of them, or OUT_OF_MEMORY and none. The chunk may be another
 * operator's of the same layout, whose `others` are then the groups where any of their keys is apart. `inPartition` and
 * `waiting` bound the rows that will follow.
 */
export function applyChunk(
  context: usize,
  operator: usize,
  top: u32,
  chunk: usize,
  rows: u32,
  inPartition: u32,
  waiting: u32,
  others: usize = 0,
): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const backlog = backlogOf(operator);
  if (!makeRoom(operator, top, rows, inPartition, waiting)) return failMemory(context, 0);
  if (others != 0 && !packingReserve(groups, rows)) return failMemory(context, 0);
  const before = groups.count;
  gatherKeys(backlog, groups, chunk + HEADER, rows);
  // unreached: there is room
  if (others != 0 && !packingTranslate(groups, changetype<Groups>(others), groups.packed, rows)) return failMemory(context, 0);
  for (let index: u32 = 0; index < backlog.columnCount; index++) {
    showColumn(self.program, backlog, asideColumn(backlog, index), (<u32>1) << index, chunk + HEADER, rows);
  }
  let status = aggregateTrack(context, operator);
  if (status == 0) {
    status = apply(context, self, rows);
    if (status < 0) changetype<Operator>(operator).failed = 1;
  }
  asideHide(self.program, backlog);
  if (status < 0) return status;
  backlog.share = ((groups.count - before) << 8) / rows;
  return 0;
}

/**
 * Room for a chunk's rows; where arrays have to grow, at best for all that waits and is likely to be new, so
 * that they are copied less often.
 */
function makeRoom(operator: usize, top: u32, rows: u32, inPartition: u32, waiting: u32): bool {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const backlog = backlogOf(operator);
  const need = groups.count + rows + 1;
  // While results leave, a partition's groups get the numbers of those before.
  const leave = (backlog.drains | backlog.takes) != 0;
  const likely = (<u64>backlog.share * <u64>(leave ? inPartition : waiting)) >> 8;
  const spread: u64 = isLast(operator) || leave ? 2 : 1;
  const likelyHere = (<u64>backlog.share * <u64>inPartition * spread) >> 8;
  const table = groups.table;
  if (!rowTablePartitionReserve(table, top, rows, <u32>likelyHere)) return false;
  if (need > changetype<RowTable>(table).capacity && rowTableReserve(table, rows + 1 + <u32>likely))
    aggregateReserveSpan(operator, min<u32>(need + <u32>likely, changetype<RowTable>(table).capacity));
  if (!rowTableReserve(table, rows + 1) || !aggregateReserveSpan(operator, need)) return false;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    // unreached: all but carries of exact sums has its room; takes two million rows, and memory that ends just then
    if (!accumulatorReserveRows(accumulatorAt(self, index), need, rows, 0)) return false;
  }
  return true;
}

// ---- bringing several operators together

/** Works off what is not to be left to others: everything, or partitions that hold a large part of the rows. */
export function backlogWorkLarge(context: usize, operator: usize, all: bool): i32 {
  if (all || !backlogIsOpen(operator)) return min<i32>(0, backlogWork(context, operator, true));
  const backlog = backlogOf(operator);
  const large = backlog.rows / LARGE_SHARE;
  for (let top: u32 = 0; top < PARTITIONS; top++) {
    const partition = backlog.partitions + <usize>top * PARTITION;
    if (load<u32>(partition, 12) <= large) continue;
    backlog.next = top;
    while (load<u32>(partition) != 0) {
      const status = workChunk(context, operator);
      if (status < 0) return status;
    }
  }
  return 0;
}

/**
 * Applies the rows that wait in a partition of another operator of the same configuration, which stays as it is. About
 * `expected` rows of it will come, of all operators. `drains` says that its groups leave before the next partition's come. 0, or
 * an error: then some of the rows may have been applied.
 */
export function backlogCombine(
  context: usize,
  operator: usize,
  source: usize,
  top: u32,
  expected: u32,
  drains: bool,
): i32 {
  if (backlogRows(source) == 0) return 0;
  const theirs = backlogOf(source);
  const partition = theirs.partitions + <usize>top * PARTITION;
  if (load<u32>(partition) == 0) return 0;
  const groups = groupsOf(aggregationOf(operator));
  if (groups.tier != <u32>Tier.HASH && !groupsToHash(groups)) return failMemory(context, 0);
  if (!backlogIsOpen(operator)) createBacklog(operator, (aggregationOf(operator).fault & <u32>AggregateFault.SET_ASIDE) != 0);
  if (!backlogIsOpen(operator)) return failMemory(context, 0);
  const backlog = backlogOf(operator);
  if (backlog.width != theirs.width || backlog.chunkRows != theirs.chunkRows)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  backlog.seen |= theirs.seen;
  backlog.takes = drains ? 1 : 0;
  const from = groupsOf(aggregationOf(source));
  const others: usize = top == 0 && packingHasApart(from) ? changetype<usize>(from) : 0;
  let left = max(expected, load<u32>(partition, 12));
  for (let chunk: usize = load<u32>(partition); chunk != 0; chunk = load<u32>(chunk)) {
    const rows = chunkLength(theirs, partition, chunk);
    const waiting = left * (PARTITIONS - top);
    const status = applyChunk(context, operator, top, chunk, rows, left, waiting, others);
    if (status < 0) return status;
    left -= rows;
  }
  return 0;
}

function apply(context: usize, self: Aggregation, rows: u32): i32 {
  // unreached: there is room for the chunk
  if (!groupsAssignRows(groupsOf(self), rows, self.numbers)) return failMemory(context, 0);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    if (!accumulatorUpdate(accumulatorAt(self, index), context, self.program, self.numbers, rows, false))
      return failMemory(context, 0);
  }
  return 0;
}

/** Puts a chunk's keys where `groupsAssignRows` looks for them. */
function gatherKeys(backlog: Backlog, groups: Groups, from: usize, rows: u32): void {
  let to = groups.packed;
  if (groups.maskOffset == NO_GROUP) {
    const key = groupsKey(groups, 0);
    to = key.buffer;
    key.values = to;
    key.validity = gatherNulls(backlog, from, KEY_NULL, rows, backlog.keyBits);
  }
  packKeys(backlog, to, from, rows);
}

/** Puts a chunk's packed keys one after the other. */
export function packKeys(backlog: Backlog, to: usize, from: usize, rows: u32): void {
  const step: usize = backlog.width;
  const width: usize = backlog.keyWidth;
  if (width == 8) {
    for (let row: usize = 0; row < <usize>rows; row++) store<u64>(to + (row << 3), load<u64>(from + row * step));
    return;
  }
  for (let row: u32 = 0; row < rows; row++) {
    for (let at: usize = 0; at < width; at += 8) store<u64>(to + at, load<u64>(from + at));
    to += width;
    from += step;
  }
}

/** Lets the program's output show a chunk's values; its own vector is kept. */
function showColumn(
  program: usize,
  backlog: Backlog,
  column: AsideColumn,
  bit: u32,
  from: usize,
  rows: u32,
): void {
  const at = from + <usize>column.offset;
  switch (column.width) {
    case 1:
      gatherValues<u8>(backlog, column.values, at, rows);
      break;
    case 2:
      gatherValues<u16>(backlog, column.values, at, rows);
      break;
    case 4:
      gatherValues<u32>(backlog, column.values, at, rows);
      break;
    case 8:
      gatherValues<u64>(backlog, column.values, at, rows);
      break;
    default:
      for (let row: usize = 0; row < <usize>rows; row++)
        copyBytes(column.values + (row << 4), at + row * <usize>backlog.width, 16);
  }
  asideShow(program, column, column.values, gatherNulls(backlog, from, bit, rows, column.validity));
}

function gatherValues<T>(backlog: Backlog, to: usize, from: usize, rows: u32): void {
  const step: usize = backlog.width;
  for (let row: u32 = 0; row < rows; row++) {
    store<T>(to + <usize>row * sizeof<T>(), load<T>(from));
    from += step;
  }
}

/** Validity of a chunk's column in words at `target`, or 0 when none of it is null. */
function gatherNulls(backlog: Backlog, from: usize, bit: u32, rows: u32, target: usize): usize {
  if ((backlog.seen & bit) == 0) return 0;
  const step: usize = backlog.width;
  const nulls = from + <usize>backlog.nulls;
  let any: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) any |= load<u32>(nulls + <usize>row * step) & bit;
  if (any == 0) return 0;
  memory.fill(target, 0, ROWS >> 3);
  for (let row: u32 = 0; row < rows; row++) {
    if (load<u32>(nulls + <usize>row * step) & bit) continue;
    const byte = target + <usize>(row >> 3);
    store<u8>(byte, load<u8>(byte) | ((<u8>1) << (<u8>(row & 7))));
  }
  return target;
}
