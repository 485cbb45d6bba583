// FRAMES: rows come in, and those that no frame needs any more are given up.
//
// A push appends rows and links each to the one before it of its partition; what is computed of them is for pulls.
// Rows are given up when there are twice as many as after the last time, so that each is moved a few times at most.

import { Abi, Batch, Type } from "../abi/layout";
import { AggregateFault } from "../abi/operator";
import { FrameFlag, FrameUnit } from "../abi/over";
import { Reason, Status } from "../abi/status";
import { bitmapGet } from "../column/bitmap";
import {
  builderAppendVector,
  builderReserve,
  builderReserveBytes,
  outputColumn,
  outputReset,
  regrow,
} from "../column/builder";
import { areEqualRows } from "../column/compare-rows";
import { builderGather, gatherBytes } from "../column/gather";
import { orderKey } from "../column/order";
import { typeWidth } from "../column/type";
import { Vector } from "../column/vector";
import {
  programBind,
  programOutput,
  programOutputTextBytes,
  programRun,
} from "../expression/program";
import { groupsAssign, groupsPrepare, groupsSpan } from "../group/groups";
import { fail, failMemory } from "../memory/context";
import { aggregateHasRoom } from "./aggregate-headroom";
import { aggregateReserveBatch, aggregateReserveSpan, aggregateTrack } from "./aggregate-reserve";
import { aggregationOf, groupsOf } from "./aggregation";
import { framesPending } from "./frames";
import {
  Frames,
  NO_ROW,
  Standing,
  framesOf,
  keyOf,
  linksOf,
  orderOf,
  partitionOf,
  placeOf,
  queueOf,
  shiftOf,
  standingOf,
} from "./frames-state";
import { Operator } from "./operator";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Numbers above are references that are no rows. */
const MAX_ROWS: u64 = 0x7fffffff;
/** Rows that are never worth giving up. */
const FEW_ROWS: u32 = 4096;

/** Applies a batch whose rows follow those before in the order: all of them, or none and OUT_OF_MEMORY, or it fails. */
export function framesPush(context: usize, operator: usize, batch: usize): i32 {
  const self = framesOf(operator);
  self.applied = 0;
  const status = pushRows(context, operator, batch);
  if (status < 0 && (self.applied || status != <i32>Status.OUT_OF_MEMORY)) changetype<Operator>(operator).failed = 1;
  return status;
}

function pushRows(context: usize, operator: usize, batch: usize): i32 {
  const self = framesOf(operator);
  const aggregation = aggregationOf(operator);
  const program = aggregation.program;
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  const bound = programBind(context, program, batch);
  if (bound < 0) return bound;
  if (<u64>groupsOf(aggregation).count + <u64>self.rows + <u64>rows + 1 > MAX_ROWS)
    return fail(context, Status.OUT_OF_MEMORY, Reason.TOO_MANY_GROUPS);
  const often = (aggregation.fault & <u32>AggregateFault.FLUSH_OFTEN) != 0;
  if ((often || self.rows >= max(self.sweepAt, FEW_ROWS)) && !sweep(operator, self)) return failMemory(context, 0);
  if (!reserveRows(operator, self, program, rows) || !aggregateReserveBatch(aggregation, rows))
    return failMemory(context, 0);
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const count = programRun(context, program, start, min(ROWS, rows - start));
    if (count < 0) return count;
    if (count == 0) continue;
    const status = applyVector(context, operator, <u32>count, rows - start, rows);
    if (status < 0) return status;
    changetype<Operator>(operator).rowsSelected += count;
  }
  return framesPending(operator) ? Status.HAS_MORE : Status.NEED_INPUT;
}

/** Room for `more` rows of the bound batch. */
function reserveRows(operator: usize, self: Frames, program: usize, more: u32): bool {
  const need = self.rows + more;
  for (let column: u32 = 0; column < self.kept; column++) {
    const builder = outputColumn(self.whole, column);
    // What grows step by step doubles.
    const capacity = self.rows == 0 || need <= builder.capacity ? need : max<u32>(need, builder.capacity << 1);
    if (!builderReserve(operator, builder, capacity)) return false;
    if (builder.type == <u32>Type.BYTES && !builderReserveBytes(operator, builder, programOutputTextBytes(program, column)))
      return false;
  }
  const size: usize = self.placeSize;
  const bytes = max<usize>(<usize>outputColumn(self.whole, 0).capacity * size, 8);
  const places = regrow(operator, self.places, <usize>self.rows * size, bytes);
  if (places == 0) return false;
  self.places = places;
  return true;
}

function reserveStandings(operator: usize, self: Frames, groups: u32): bool {
  if (groups <= self.capacity) return true;
  const capacity = max<u32>(groups, max<u32>(self.capacity + (self.capacity >> 1), 64));
  const used = <usize>self.capacity * <usize>self.standingSize;
  const bytes: u64 = <u64>capacity * <u64>self.standingSize;
  if (bytes > 0xf0000000) return false;
  const standings = regrow(operator, self.standings, used, <usize>bytes);
  if (standings == 0) return false;
  memory.fill(standings + used, 0, <usize>bytes - used);
  self.standings = standings;
  self.capacity = capacity;
  return true;
}

/** The `count` rows of the vector at hand, of `left` that are still to come of the batch's `batchRows`. */
function applyVector(context: usize, operator: usize, count: u32, left: u32, batchRows: u32): i32 {
  const self = framesOf(operator);
  const aggregation = aggregationOf(operator);
  const groups = groupsOf(aggregation);
  const program = aggregation.program;
  if (!groupsPrepare(groups, program, count, batchRows)) return failMemory(context, 0);
  const span = max<u32>(1, groupsSpan(groups, left));
  if (!aggregateReserveSpan(operator, span) || !reserveStandings(operator, self, span)) return failMemory(context, 0);
  const tracked = aggregateTrack(context, operator);
  if (tracked < 0) return tracked;
  if (!self.applied && !aggregateHasRoom(operator, left)) return failMemory(context, 0);
  self.applied = 1;
  for (let column: u32 = 0; column < self.kept; column++) {
    const builder = outputColumn(self.whole, column);
    builderAppendVector(builder, changetype<Vector>(programOutput(program, column)), count);
    if (builder.type != <u32>Type.BYTES) continue;
    for (let row = self.rows; row < self.rows + count; row++) {
      const at = builder.offsets + ((<usize>row) << 2);
      self.longest = max(self.longest, load<u32>(at, 4) - load<u32>(at));
    }
  }
  if (!groupsAssign(groups, count, self.groups)) return failMemory(context, 0);
  for (let row: u32 = 0; row < count; row++) append(self, load<u32>(self.groups + ((<usize>row) << 2)));
  return 0;
}

/** The next row of `whole` takes its place in a partition. */
function append(self: Frames, partition: u32): void {
  const row = self.rows;
  const place = placeOf(self, row);
  store<u32>(place, partition);
  store<u32>(place, 0, 4);
  store<i64>(place, orderOfRow(self, row), 8);
  self.rows = row + 1;
  const standing = standingOf(self, partition);
  if (standing.last != 0) store<u32>(placeOf(self, standing.last - 1), row + 1, 4);
  standing.last = row + 1;
  if (standing.current == 0) standing.current = row + 1;
  // Nothing of a frame is behind its end, which comes last.
  if (standing.start == 0) standing.start = row + 1;
  if (standing.end == 0) standing.end = row + 1;
  if (standing.rows == 0) {
    for (let shift: u32 = 0; shift < self.shifts; shift++) store<u32>(shiftOf(standing, shift), row + 1);
  }
  standing.rows++;
}

/** What frames compare of a row: its value (in descending order turned round), or its block's number. */
function orderOfRow(self: Frames, row: u32): i64 {
  if (self.unit == <u32>FrameUnit.ROWS) return 0;
  if (self.unit == <u32>FrameUnit.PEERS) {
    if (row > 0 && keyOf(self, row - 1) == self.block && arePeers(self, row - 1, row)) return self.block;
    return ++self.block;
  }
  const column = outputColumn(self.whole, orderOf(self, 0));
  if (!bitmapGet(column.validity, row)) return 0;
  const key = orderKey(column.type, column.values + <usize>row * typeWidth(column.type));
  return (self.flags & <u32>FrameFlag.DESCENDING) != 0 ? ~key : key;
}

function arePeers(self: Frames, a: u32, b: u32): bool {
  for (let index: u32 = 0; index < self.orderCount; index++) {
    if (!areEqualRows(outputColumn(self.whole, orderOf(self, index)), a, b)) return false;
  }
  return true;
}

// ---- giving up

/** Gives up the rows that no frame needs. False when out of memory, with nothing changed. */
function sweep(operator: usize, self: Frames): bool {
  const moved = regrow(operator, self.moved, 0, (<usize>self.rows) << 2);
  if (moved == 0) return false;
  self.moved = moved;
  const stay = markRows(self, groupsOf(aggregationOf(operator)).count);
  const partitions = groupsOf(aggregationOf(operator)).count;
  self.sweepAt = (stay << 1) + (partitions >> 2) + FEW_ROWS;
  if (stay == self.rows) return true;
  const list = regrow(operator, self.adds, 0, max<usize>((<usize>stay) << 2, 8));
  if (list == 0) return false;
  self.adds = list;
  self.room = 0;
  let count: u32 = 0;
  let cursor: u32 = 0;
  for (let row: u32 = 0; row < self.rows; row++) {
    if (load<u32>(moved + ((<usize>row) << 2)) == 0) continue;
    if (row < self.cursor) cursor++;
    store<u32>(list + ((<usize>count) << 2), row);
    count++;
  }
  if (!outputReset(self.spare, stay)) return false;
  for (let column: u32 = 0; column < self.kept; column++) {
    const builder = outputColumn(self.spare, column);
    if (builder.type != <u32>Type.BYTES) continue;
    const bytes = gatherBytes(outputColumn(self.whole, column), list, stay);
    if (!builderReserveBytes(operator, builder, <usize>bytes)) return false;
  }
  for (let column: u32 = 0; column < self.kept; column++)
    builderGather(outputColumn(self.spare, column), outputColumn(self.whole, column), list, stay);
  movePlaces(self, list, stay);
  for (let partition: u32 = 0; partition < partitions; partition++) moveStanding(self, standingOf(self, partition));
  const whole = self.whole;
  self.whole = self.spare;
  self.spare = whole;
  self.rows = stay;
  self.cursor = cursor;
  // Their rows have left.
  self.complete = 0;
  return true;
}

/** Numbers the rows that stay, from 1 on, in `moved`; 0 for others. How many stay. */
function markRows(self: Frames, partitions: u32): u32 {
  const moved = self.moved;
  memory.fill(moved, 0, (<usize>self.rows) << 2);
  for (let partition: u32 = 0; partition < partitions; partition++) markSome(self, standingOf(self, partition));
  let stay: u32 = 0;
  for (let row: u32 = 0; row < self.rows; row++) {
    const at = moved + ((<usize>row) << 2);
    if (load<u32>(at) == 0 && row < oldestOf(self, standingOf(self, partitionOf(self, row)))) continue;
    store<u32>(at, ++stay);
  }
  return stay;
}

/** Rows that a frame without a beginning still needs: its first and last one, and its extremes. */
function markSome(self: Frames, standing: Standing): void {
  if ((self.flags & <u32>FrameFlag.START_UNBOUNDED) != 0) mark(self, standing.start);
  mark(self, standing.within);
  for (let number: u32 = 0; number < self.extremes; number++) mark(self, load<u32>(queueOf(self, standing, number)));
}

// @ts-ignore: decorator
@inline
function mark(self: Frames, row: u32): void {
  if (row != 0) store<u32>(self.moved + ((<usize>(row - 1)) << 2), 1);
}

/** The first row from which on all rows of the partition are needed. */
function oldestOf(self: Frames, standing: Standing): u32 {
  let oldest = NO_ROW;
  if (standing.current != 0) oldest = min(oldest, standing.current - 1);
  if (standing.end != 0) oldest = min(oldest, standing.end - 1);
  if (standing.start != 0 && (self.flags & <u32>FrameFlag.START_UNBOUNDED) == 0) oldest = min(oldest, standing.start - 1);
  for (let shift: u32 = 0; shift < self.shifts; shift++) {
    const row = load<u32>(shiftOf(standing, shift));
    if (row != 0) oldest = min(oldest, row - 1);
  }
  return oldest;
}

// @ts-ignore: decorator
@inline
function movedTo(self: Frames, row: u32): u32 {
  return row == 0 ? 0 : load<u32>(self.moved + ((<usize>(row - 1)) << 2));
}

function movePlaces(self: Frames, list: usize, stay: u32): void {
  for (let index: u32 = 0; index < stay; index++) {
    const place = placeOf(self, index);
    memory.copy(place, placeOf(self, load<u32>(list + ((<usize>index) << 2))), self.placeSize);
    store<u32>(place, movedTo(self, load<u32>(place, 4)), 4);
    for (let number: u32 = 0; number < self.extremes; number++) {
      const links = linksOf(self, index, number);
      store<u32>(links, movedTo(self, load<u32>(links)));
      store<u32>(links, movedTo(self, load<u32>(links, 4)), 4);
    }
  }
}

function moveStanding(self: Frames, standing: Standing): void {
  standing.last = movedTo(self, standing.last);
  standing.current = movedTo(self, standing.current);
  standing.start = movedTo(self, standing.start);
  standing.end = movedTo(self, standing.end);
  standing.within = movedTo(self, standing.within);
  for (let shift: u32 = 0; shift < self.shifts; shift++) {
    const at = shiftOf(standing, shift);
    store<u32>(at, movedTo(self, load<u32>(at)));
  }
  for (let number: u32 = 0; number < self.extremes; number++) {
    const queue = queueOf(self, standing, number);
    store<u32>(queue, movedTo(self, load<u32>(queue)));
    store<u32>(queue, movedTo(self, load<u32>(queue, 4)), 4);
  }
}
