// Rows that an aggregation sets aside by ranges of their groups, where groups are computed and what they keep has outgrown
// the caches.
//
// A row then costs a miss or two for each accumulator, with a walk of the page tables. From then on rows wait, divided by the
// high bits of their group's number into up to PARTS parts, each with its group's number and its arguments, until there are
// some for most groups of a part: what a part's groups keep comes into the cache once for all of them. Parts take turns when
// room is needed, so that the part whose turn it is has waited longest, and has twice as many rows as the others on average.
// Arguments lie column by column in a chunk, and accumulators take them as a vector, in place.
//
// Rows are added in whatever order, so that results are the same. At most LIMIT rows wait; pulls work off what is left, a
// bounded number of them a call, whatever else looks at what groups keep works off all of it.
//
// What a row needs in memory when it is applied was there, or could be had, when it was set aside, as with rows that are applied
// at once (aggregate-headroom.ts); where that cannot be said, or no chunk can be had, fewer rows wait, or none any more, and
// rows are applied as they come.
//
// Not begun where rows hardly move about: neighbours of one range, or few groups for most rows, find the caches filled.
//
// Measured over 100 million rows and a million groups: a sum and a mean by texts take 0.5 of the time (10.7 ns a row), three sums
// by integers 0.6. Tried and lost: packed rows, from which arguments are gathered (13 ns), a million rows waiting (16.5 ns),
// chunks of 8 kB (1.06 of the time) and of 4 (1.17), 64 parts (1.0 to 1.08), beginning at 10 MB (no gain for 16 bytes a group),
// and lines of a chunk read ahead as rows come near them (1.15 to 1.5); a chunk that is read through when it begins takes 0.93 to
// 0.98.
//
//   row:   u32 group | arguments, widest first        (as columns of a chunk)
//   chunk: +0 u32 next  +4 u32 columns with nulls, a bit each  +16 groups, arguments, validity of each argument in words
//   part:  +0 first chunk  +4 the one that is filled (0: none)  +8 room left there, in rows

import { AggregateFault, AggregateFlag, OperatorKind } from "../abi/operator";
import { Status } from "../abi/status";
import { accumulatorReserveRows, accumulatorUpdate } from "../aggregate/accumulators";
import { bitmapBytes, bitmapClearTail, bitmapGet } from "../column/bitmap";
import { Vector } from "../column/vector";
import { programOutput } from "../expression/program";
import { directReach } from "../group/direct";
import { Groups, ROWS, Tier } from "../group/state";
import { loadAhead } from "../memory/ahead";
import { failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { copyBytes } from "../memory/copy";
import { regionCut, regionHasRoom } from "../memory/region";
import {
  ASIDE_SIZE,
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
import { aggregateHasRoom, aggregateHeadroom } from "./aggregate-headroom";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { Operator } from "./operator";

const PARTS: u32 = 256;
const PART: usize = 16;
/** What all groups keep together, in bytes, from which on rows are set aside. */
const BEGIN_BYTES: u64 = 20 << 20;
/** Rows that wait, and their bytes, at most. */
const LIMIT: u32 = 1 << 22;
const LIMIT_BYTES: u32 = 1 << 27;
/** A chunk has about so many bytes, and no more rows than that. */
const CHUNK_BYTES: u32 = 24576;
const CHUNK_ROWS: u32 = 1024;
/** Rows that a pull works off before it answers. */
const PULL_ROWS: u32 = 65536;
/** Rows of a vector, of four, that have to be the first of their group in it, and of another part than the row before. */
const SPREAD: u32 = 3;
const LEAST_ROWS: u32 = 256;
/** Pushes from one look at that to the next: those that are looked at have their groups numbered (keyed-sums.ts). */
const LOOK_EVERY: u64 = 8;
/** With the fault switch, so few that every path is taken. */
const FAULT_PARTS: u32 = 4;
const FAULT_LIMIT: u32 = 16;
const FAULT_CHUNK_ROWS: u32 = 8;

// @ts-ignore: decorator
@unmanaged
export class Ranges extends Aside {
  parts: usize;
  /** Parts that there may be, and by how many bits a group's number goes down to its part's. */
  partsMost: u32;
  shift: u32;
  /** The part to work off next. */
  next: u32;
  /** Where a vector's rows are: u32 chunk, u32 row in it. */
  places: usize;
}

const RANGES_SIZE: usize = ASIDE_SIZE + 20;

// @ts-ignore: decorator
@inline
function rangesOf(self: Aggregation): Ranges {
  return changetype<Ranges>(self.ranges);
}

/** Rows that wait. */
export function rangesRows(operator: usize): u32 {
  const self = aggregationOf(operator);
  return self.ranges == 0 ? 0 : rangesOf(self).rows;
}

/** Parts among which rows are divided, 0 where none are set aside. */
export function rangesParts(operator: usize): u32 {
  const self = aggregationOf(operator);
  return self.ranges == 0 ? 0 : rangesOf(self).partsMost;
}

// ---- beginning

/** Whether rows are to be set aside from the next push on, should those of the one at hand be spread over many groups. */
export function rangesMayBegin(operator: usize): bool {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (self.rangesRefused || self.ranges != 0 || groups.tier != <u32>Tier.DIRECT) return false;
  if (isFaulty(self)) return true;
  if (changetype<Operator>(operator).batchesIn % LOOK_EVERY != 0) return false;
  const reach = directReach(groups);
  return changetype<Operator>(operator).rowsSelected >= <u64>reach && strides(self) * <u64>reach >= BEGIN_BYTES;
}

// @ts-ignore: decorator
@inline
function isFaulty(self: Aggregation): bool {
  return (self.fault & <u32>AggregateFault.SET_ASIDE) != 0;
}

/** Bytes that a group keeps. */
function strides(self: Aggregation): u64 {
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    // The lanes of a pair are the first one's.
    if (accumulator.values != 0 && !accumulator.follows) bytes += accumulator.stride;
  }
  return bytes;
}

/** After a push, whose last vector had `rows` rows: begins to set rows aside when that should pay. Not when out of memory. */
export function rangesConsider(context: usize, operator: usize, rows: u32): void {
  if (!rangesMayBegin(operator)) return;
  const self = aggregationOf(operator);
  if (!isFaulty(self) && !isSpread(context, self, rows)) return;
  self.rangesRefused = 1;
  if (mayBeSetAside(operator)) create(operator);
}

function mayBeSetAside(operator: usize): bool {
  const self = aggregationOf(operator);
  const others = <u32>(AggregateFlag.CHANGELOG | AggregateFlag.PARTIAL | AggregateFlag.RETRACT);
  if (changetype<Operator>(operator).kind != <u32>OperatorKind.HASH_AGGREGATE || (self.flags & others) != 0) return false;
  return self.like == 0 && groupsOf(self).extra == 0 && asideMay(self, true);
}

/** Whether the rows of the vector whose groups are numbered last are of many groups, and of other ones than their neighbours. */
function isSpread(context: usize, self: Aggregation, rows: u32): bool {
  if (rows < LEAST_ROWS) return false;
  const shift = shiftFor(groupsOf(self).count, PARTS);
  const mark = scratchMark(context);
  const bits = scratchTake(context, ROWS);
  memory.fill(bits, 0, ROWS);
  let before: u32 = 0;
  let spread: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const group = load<u32>(self.numbers + ((<usize>row) << 2));
    const place = (group * 0x9e3779b1) >> 18;
    const at = bits + <usize>(place >> 3);
    const byte: u32 = load<u8>(at);
    const bit: u32 = 1 << (place & 7);
    spread += <u32>((byte & bit) == 0) & <u32>((group ^ before) >> shift != 0);
    store<u8>(at, <u8>(byte | bit));
    before = group;
  }
  scratchReset(context, mark);
  return spread << 2 >= rows * SPREAD;
}

/** By how many bits the numbers of `groups` groups go down to those of `parts` parts. */
function shiftFor(groups: u32, parts: u32): u32 {
  let shift: u32 = 0;
  while (groups > parts << shift) shift++;
  return shift;
}

/** A failure leaves small pieces behind that go with the region; it is not tried again. */
function create(operator: usize): void {
  const self = aggregationOf(operator);
  const address = regionCut(operator, RANGES_SIZE);
  if (address == 0) return;
  const ranges = changetype<Ranges>(address);
  ranges.parts = regionCut(operator, <usize>PARTS * PART);
  ranges.places = regionCut(operator, (<usize>ROWS) << 3);
  if (ranges.parts == 0 || ranges.places == 0) return;
  ranges.keyWidth = 4;
  ranges.width = asideCreateColumns(operator, ranges, false);
  if (ranges.width == 0) return;
  const fault = isFaulty(self);
  const most = min<u32>(CHUNK_ROWS, max<u32>(64, (CHUNK_BYTES / ranges.width) & ~63));
  ranges.chunkRows = fault ? FAULT_CHUNK_ROWS : most;
  ranges.limit = fault ? FAULT_LIMIT : min<u32>(LIMIT, LIMIT_BYTES / ranges.width);
  ranges.partsMost = fault ? FAULT_PARTS : PARTS;
  const bitmaps = ranges.columnCount * <u32>bitmapBytes(ranges.chunkRows);
  const bytes = <u32>CHUNK_HEADER + ranges.chunkRows * ranges.width + bitmaps;
  ranges.chunkBytes = (bytes + 15) & ~15;
  ranges.shift = shiftFor(groupsOf(self).count, ranges.partsMost);
  self.ranges = address;
}

// ---- setting aside

/**
 * Before a push of `rows` rows: 1 where they are to be set aside, and there is room; 0 where they are to be applied as they
 * come; or an error, with no row lost.
 */
export function rangesReserve(context: usize, operator: usize, rows: u32): i32 {
  const self = aggregationOf(operator);
  if (self.ranges == 0) return 0;
  const ranges = rangesOf(self);
  if (groupsOf(self).tier != <u32>Tier.DIRECT) return min<i32>(0, rangesClose(context, operator));
  // Whatever waits must find room when it is worked off.
  while (!aggregateHasRoom(operator, ranges.rows + rows)) {
    if (ranges.rows == 0) return min<i32>(0, rangesClose(context, operator));
    const status = workChunk(context, operator);
    if (status < 0) return status;
  }
  const shift = shiftFor(groupsOf(self).count, ranges.partsMost);
  if (shift > ranges.shift) {
    const worked = rangesWork(context, operator, true);
    if (worked < 0) return worked;
    ranges.shift = shift;
  }
  const chunks = rows / ranges.chunkRows + min(rows, ranges.partsMost);
  for (let many = areMany(ranges, rows); many || ranges.freeCount < chunks; many = areMany(ranges, rows)) {
    if (!many && hasRoomForSlab(operator, rows) && asideAddSlab(operator, ranges)) continue;
    if (ranges.rows == 0) return 0;
    const status = workChunk(context, operator);
    if (status < 0) return status;
  }
  return 1;
}

/** Whether too many rows would wait. */
function areMany(ranges: Ranges, rows: u32): bool {
  return ranges.rows != 0 && ranges.rows + rows > ranges.limit;
}

/** Whether there is memory for more rows to wait, besides what these and `rows` further ones may need. */
function hasRoomForSlab(operator: usize, rows: u32): bool {
  const ranges = rangesOf(aggregationOf(operator));
  const needed = aggregateHeadroom(operator, ranges.rows + rows);
  return regionHasRoom(operator, needed + <u64>ranges.chunkBytes * SLAB_CHUNKS);
}

/** Sets the `rows` rows of the program's outputs aside, whose groups are numbered; `rangesReserve` has made room. */
export function rangesAppend(self: Aggregation, numbers: usize, rows: u32): void {
  const ranges = rangesOf(self);
  place(ranges, numbers, rows);
  for (let index: u32 = 0; index < ranges.columnCount; index++) {
    const column = asideColumn(ranges, index);
    const vector = changetype<Vector>(programOutput(self.program, column.output));
    placeColumn(ranges, column, vector.values, rows);
    if (vector.validity != 0) placeNulls(ranges, index, vector.validity, rows);
  }
  ranges.rows += rows;
}

/** Gives each row its place in its part, and writes its group's number there. */
function place(ranges: Ranges, numbers: usize, rows: u32): void {
  const parts = ranges.parts;
  const places = ranges.places;
  const shift = ranges.shift;
  const chunkRows = ranges.chunkRows;
  // Groups that a text of this push has begun may lie beyond the last part.
  const last = ranges.partsMost - 1;
  for (let row: usize = 0; row < <usize>rows; row++) {
    const group = load<u32>(numbers + (row << 2));
    const part = parts + <usize>min(group >> shift, last) * PART;
    if (load<u32>(part, 8) == 0) beginChunk(ranges, part);
    const room = load<u32>(part, 8);
    const chunk: usize = load<u32>(part, 4);
    const at = chunkRows - room;
    store<u32>(part, room - 1, 8);
    store<u32>(chunk + ((<usize>at) << 2), group, CHUNK_HEADER);
    store<u64>(places + (row << 3), <u64>chunk | (<u64>at << 32));
  }
}

/** A fresh chunk behind the part's last one. */
function beginChunk(ranges: Ranges, part: usize): void {
  const chunk = asideTake(ranges);
  const last: usize = load<u32>(part, 4);
  store<u32>(chunk, 0, 4);
  // Read line after line it comes from memory sooner than while it is written here and there.
  store<u32>(chunk, loadAhead(chunk, ranges.chunkBytes), 8);
  store<u32>(last == 0 ? part : last, <u32>chunk);
  store<u32>(part, <u32>chunk, 4);
  store<u32>(part, ranges.chunkRows, 8);
}

function placeColumn(ranges: Ranges, column: AsideColumn, values: usize, rows: u32): void {
  const offset = CHUNK_HEADER + <usize>ranges.chunkRows * <usize>column.offset;
  switch (column.width) {
    case 4:
      placeValues<u32>(ranges.places, offset, values, rows);
      break;
    case 8:
      placeValues<u64>(ranges.places, offset, values, rows);
      break;
    default:
      placeBytes(ranges.places, offset, values, rows, column.width);
  }
}

function placeValues<T>(places: usize, offset: usize, values: usize, rows: u32): void {
  for (let row: usize = 0; row < <usize>rows; row++) {
    const at = load<u64>(places + (row << 3));
    store<T>(<usize>(<u32>at) + offset + <usize>(at >> 32) * sizeof<T>(), load<T>(values + row * sizeof<T>()));
  }
}

function placeBytes(places: usize, offset: usize, values: usize, rows: u32, width: usize): void {
  for (let row: usize = 0; row < <usize>rows; row++) {
    const at = load<u64>(places + (row << 3));
    copyBytes(<usize>(<u32>at) + offset + <usize>(at >> 32) * width, values + row * width, width);
  }
}

// @ts-ignore: decorator
@inline
function bitmapAt(ranges: Ranges, chunk: usize, index: u32): usize {
  const values = CHUNK_HEADER + <usize>ranges.chunkRows * <usize>ranges.width;
  return chunk + values + <usize>index * bitmapBytes(ranges.chunkRows);
}

function placeNulls(ranges: Ranges, index: u32, validity: usize, rows: u32): void {
  const bit: u32 = 1 << index;
  for (let row: usize = 0; row < <usize>rows; row++) {
    if (bitmapGet(validity, <u32>row)) continue;
    const at = load<u64>(ranges.places + (row << 3));
    const chunk: usize = <u32>at;
    const place = <u32>(at >> 32);
    const bitmap = bitmapAt(ranges, chunk, index);
    const columns = load<u32>(chunk, 4);
    if ((columns & bit) == 0) {
      store<u32>(chunk, columns | bit, 4);
      memory.fill(bitmap, 0xff, bitmapBytes(ranges.chunkRows));
    }
    const byte = bitmap + <usize>(place >> 3);
    store<u8>(byte, load<u8>(byte) & ~(<u8>1 << (<u8>(place & 7))));
  }
}

// ---- working off

/** Works off what waits, PULL_ROWS rows of it or all. HAS_MORE, NEED_INPUT when nothing is left, or an error. */
export function rangesWork(context: usize, operator: usize, all: bool): i32 {
  const self = aggregationOf(operator);
  if (self.ranges == 0) return Status.NEED_INPUT;
  const ranges = rangesOf(self);
  const stop: u32 = all ? 0 : ranges.rows - min(ranges.rows, PULL_ROWS);
  while (ranges.rows > stop) {
    const status = workChunk(context, operator);
    if (status < 0) return status;
  }
  if (ranges.rows != 0) return Status.HAS_MORE;
  asideDropSlabs(operator, ranges);
  return Status.NEED_INPUT;
}

/** Works all of it off, and sets nothing aside any more. NEED_INPUT, or an error. */
export function rangesClose(context: usize, operator: usize): i32 {
  const status = rangesWork(context, operator, true);
  if (status >= 0) aggregationOf(operator).ranges = 0;
  return status;
}

/** Gives the memory of rows that wait back, once they are applied; whether there was any. */
export function rangesYield(context: usize, operator: usize): bool {
  return aggregationOf(operator).ranges != 0 && rangesClose(context, operator) >= 0;
}

/** Applies the first chunk of the next part that has one: all of it, or OUT_OF_MEMORY and none. */
function workChunk(context: usize, operator: usize): i32 {
  const ranges = rangesOf(aggregationOf(operator));
  while (load<u32>(ranges.parts + <usize>ranges.next * PART) == 0) ranges.next = (ranges.next + 1) % PARTS;
  const part = ranges.parts + <usize>ranges.next * PART;
  const chunk: usize = load<u32>(part);
  const following = load<u32>(chunk);
  const rows = ranges.chunkRows - (following == 0 ? load<u32>(part, 8) : 0);
  const status = applyChunk(context, operator, chunk, rows);
  if (status < 0) return status;
  store<u32>(part, following);
  if (following == 0) store<u64>(part, 0, 4);
  asideGive(ranges, chunk);
  ranges.rows -= rows;
  return 0;
}

function applyChunk(context: usize, operator: usize, chunk: usize, rows: u32): i32 {
  const self = aggregationOf(operator);
  const ranges = rangesOf(self);
  const groups: Groups = groupsOf(self);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    // unreached: all but carries of exact sums has its room; takes two million rows, and memory that ends just then
    if (!accumulatorReserveRows(accumulatorAt(self, index), groups.count, rows, 0)) return failMemory(context, 0);
  }
  for (let index: u32 = 0; index < ranges.columnCount; index++) {
    const column = asideColumn(ranges, index);
    const values = chunk + CHUNK_HEADER + <usize>ranges.chunkRows * <usize>column.offset;
    asideShow(self.program, column, values, validityOf(ranges, chunk, index, rows));
  }
  let ok = true;
  for (let index: u32 = 0; index < self.accumulatorCount && ok; index++) {
    ok = accumulatorUpdate(accumulatorAt(self, index), context, self.program, chunk + CHUNK_HEADER, rows, false);
  }
  asideHide(self.program, ranges);
  if (ok) return 0;
  changetype<Operator>(operator).failed = 1;
  return failMemory(context, 0);
}

/** Validity of a chunk's column, whose bits past the last row are 0; or 0 when none of it is null. */
function validityOf(ranges: Ranges, chunk: usize, index: u32, rows: u32): usize {
  if ((load<u32>(chunk, 4) & ((<u32>1) << index)) == 0) return 0;
  const bitmap = bitmapAt(ranges, chunk, index);
  bitmapClearTail(bitmap, rows);
  return bitmap;
}
