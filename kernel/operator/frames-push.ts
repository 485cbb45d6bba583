// FRAMES: rows come in.
//
// A push appends rows and links each to the one before it of its partition; what is computed of them is for pulls. From
// time to time it first gives up those that no frame needs (frames-sweep.ts).

import { Abi, Batch, Type } from "../abi/layout";
import { AggregateFault } from "../abi/operator";
import { FrameFlag, FrameUnit } from "../abi/over";
import { Reason, Status } from "../abi/status";
import { bitmapGet } from "../column/bitmap";
import { builderAppendVector, builderReserve, builderReserveBytes, outputColumn, regrow, regrowZeroed } from "../column/builder";
import { areEqualRows } from "../column/compare-rows";
import { orderKey } from "../column/order";
import { typeWidth } from "../column/type";
import { Vector } from "../column/vector";
import { programBind, programOutput, programOutputTextBytes, programRun } from "../expression/program";
import { groupsAssign, groupsPrepare, groupsSpan } from "../group/groups";
import { fail, failMemory } from "../memory/context";
import { aggregateHasRoom } from "./aggregate-headroom";
import { aggregateReserveBatch, aggregateReserveSpan, aggregateTrack } from "./aggregate-reserve";
import { aggregationOf, groupsOf } from "./aggregation";
import { framesPending } from "./frames";
import { FEW_ROWS, framesSweep } from "./frames-sweep";
import { Frames, framesOf, keyOf, orderOf, placeOf, shiftOf, standingOf } from "./frames-state";
import { Operator } from "./operator";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Numbers above are references that are no rows. */
const MAX_ROWS: u64 = 0x7fffffff;

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
    // unreached: four thousand million groups
    return fail(context, Status.OUT_OF_MEMORY, Reason.TOO_MANY_GROUPS);
  const often = (aggregation.fault & <u32>AggregateFault.FLUSH_OFTEN) != 0;
  if ((often || self.rows >= max(self.sweepAt, FEW_ROWS)) && !framesSweep(operator, often)) return failMemory(context, 0);
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
  const standings = regrowZeroed(operator, self.standings, used, bytes);
  if (standings == 0) return false;
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
  // unreached: only where thousands of hashes collide while memory is out
  if (!groupsAssign(groups, count, self.groups)) return failMemory(context, 0);
  for (let row: u32 = 0; row < count; row++) append(self, load<u32>(self.groups + ((<usize>row) << 2)));
  return 0;
}

/** The next row of `whole` takes its place in a partition. */
function append(self: Frames, partition: u32): void {
  const row = self.rows;
  const place = placeOf(self, row);
  memory.fill(place, 0, self.placeSize);
  store<u32>(place, partition);
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

