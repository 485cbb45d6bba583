// FRAMES: rows that no frame needs any more are given up, and partitions that are left without any.
//
// Rows go when there are twice as many as after the last time, so that each is moved a few times at most. A partition
// goes with its rows, where the watermark says that no row to come reaches back to them, and nothing is kept of it
// besides (rows before, accumulators): when most partitions are such, those that are left are numbered anew.

import { Abi, Type } from "../abi/layout";
import { FrameFlag, FrameUnit } from "../abi/over";
import { outputColumn, outputReset, regrow, builderReserveBytes } from "../column/builder";
import { builderGather, gatherBytes } from "../column/gather";
import { Vector, VECTOR_SIZE } from "../column/vector";
import { GATHER_BYTES, vectorGather } from "../column/vector-gather";
import { programOutput } from "../expression/program";
import { groupsAssign, groupsClear, groupsPrepare, groupsReserve } from "../group/groups";
import { internerReserve } from "../group/interner";
import { Groups, Tier, groupsKey } from "../group/state";
import { regionBlock, regionFree } from "../memory/region";
import { aggregationOf, groupsOf } from "./aggregation";
import { dequeue, isAtLeast, isNullRow } from "./frames";
import {
  Frames,
  NO_ROW,
  Standing,
  framesOf,
  keyOf,
  linksOf,
  nextOf,
  partitionOf,
  placeOf,
  queueOf,
  shiftOf,
  standingOf,
} from "./frames-state";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Rows that are never worth giving up. */
export const FEW_ROWS: u32 = 4096;

/**
 * Gives up the rows, and partitions, that no frame needs; `all` of these, else where they are the most. False when out of
 * memory, with nothing changed unless `applied` is set.
 */
export function framesSweep(operator: usize, all: bool): bool {
  const self = framesOf(operator);
  const groups = groupsOf(aggregationOf(operator));
  const moved = regrow(operator, self.moved, 0, max<usize>((<usize>self.rows) << 2, 8));
  if (moved == 0) return false;
  self.moved = moved;
  const passing = forgets(self);
  let empty: u32 = 0;
  for (let partition: u32 = 0; partition < groups.count && passing; partition++) {
    const standing = standingOf(self, partition);
    if (standing.current != 0) continue;
    dropPassed(self, standing);
    if (standing.start == 0) empty++;
  }
  if (!sweepRows(operator, self, groups.count)) return false;
  const most = empty > groups.count >> 1 && empty > FEW_ROWS >> 2;
  if (groups.tier == <u32>Tier.HASH && empty != 0 && (all || most) && !forget(operator, self, groups, groups.count - empty))
    return false;
  self.sweepAt = (self.rows << 1) + (groups.count >> 2) + FEW_ROWS;
  return true;
}

/** Whether nothing but the rows in its frame is kept of a partition, and the watermark tells which are. */
function forgets(self: Frames): bool {
  return (
    self.hasPassed != 0 &&
    self.unit == <u32>FrameUnit.VALUES &&
    (self.flags & (<u32>FrameFlag.START_UNBOUNDED | <u32>FrameFlag.DESCENDING)) == 0 &&
    self.aggregates == 0 &&
    self.shifts == 0
  );
}

/** Takes the rows out of a partition's frame that no row behind the watermark reaches back to. */
function dropPassed(self: Frames, standing: Standing): void {
  while (standing.start != 0) {
    const row = standing.start - 1;
    if (isNullRow(self, row) || isAtLeast(keyOf(self, row), self.passed + 1, self.start)) return;
    if (standing.start == standing.end) {
      standing.end = nextOf(self, row);
      standing.endIndex++;
    }
    standing.start = nextOf(self, row);
    standing.startIndex++;
    for (let number: u32 = 0; number < self.extremes; number++) dequeue(self, standing, row, number);
  }
  standing.within = 0;
}

/** Leaves room to list the rows that stay. False when out of memory, with nothing changed. */
function sweepRows(operator: usize, self: Frames, partitions: u32): bool {
  const stay = markRows(self, partitions);
  const list = regrow(operator, self.adds, 0, max<usize>((<usize>stay) << 2, 8));
  if (list == 0) return false;
  self.adds = list;
  if (stay == self.rows) return true;
  let count: u32 = 0;
  let cursor: u32 = 0;
  for (let row: u32 = 0; row < self.rows; row++) {
    if (load<u32>(self.moved + ((<usize>row) << 2)) == 0) continue;
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
    // There is one from a partition's first row on, which stays.
    oldest = min(oldest, load<u32>(shiftOf(standing, shift)) - 1);
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

// ---- partitions without rows

/** Numbers the partitions anew that have rows, of which there are `left`. False when out of memory. */
function forget(operator: usize, self: Frames, groups: Groups, left: u32): bool {
  const capacity = max<u32>(left, 64);
  const bytes = <usize>capacity * <usize>self.standingSize;
  const standings = regionBlock(operator, bytes);
  const saved = regionBlock(operator, max<usize>(1, groups.keyCount) * (VECTOR_SIZE + GATHER_BYTES));
  if (standings == 0 || saved == 0 || !reserveKeys(self, groups, self.rows)) {
    regionFree(operator, standings);
    regionFree(operator, saved);
    return false;
  }
  memory.fill(standings, 0, bytes);
  // From here on there is no way back.
  self.applied = 1;
  groupsClear(groups);
  const done = assignRows(operator, self, groups, saved, standings);
  regionFree(operator, saved);
  regionFree(operator, self.standings);
  self.standings = standings;
  self.capacity = capacity;
  if (done) self.applied = 0;
  return done;
}

/** Room for the keys of all rows that are left. */
function reserveKeys(self: Frames, groups: Groups, rows: u32): bool {
  for (let row: u32 = 0; row < rows; row++) store<u32>(self.adds + ((<usize>row) << 2), row);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.interner == 0) continue;
    const bytes = gatherBytes(outputColumn(self.whole, key.output), self.adds, rows);
    if (!internerReserve(key.interner, rows, <usize>bytes)) return false;
  }
  return groupsReserve(groups, rows);
}

function assignRows(operator: usize, self: Frames, groups: Groups, saved: usize, standings: usize): bool {
  const program = aggregationOf(operator).program;
  for (let index: u32 = 0; index < groups.keyCount; index++)
    memory.copy(savedAt(saved, index), programOutput(program, groupsKey(groups, index).output), VECTOR_SIZE);
  let done = true;
  for (let start: u32 = 0; start < self.rows && done; start += ROWS) {
    const rows = min(ROWS, self.rows - start);
    for (let index: u32 = 0; index < groups.keyCount; index++) {
      const output = groupsKey(groups, index).output;
      const vector = changetype<Vector>(programOutput(program, output));
      const list = self.adds + ((<usize>start) << 2);
      vectorGather(vector, outputColumn(self.whole, output), list, rows, savedAt(saved, index) + VECTOR_SIZE);
    }
    done = groupsPrepare(groups, program, rows, rows) && groupsAssign(groups, rows, self.groups);
    for (let row: u32 = 0; row < rows && done; row++) {
      const number = load<u32>(self.groups + ((<usize>row) << 2));
      const place = placeOf(self, start + row);
      const size: usize = self.standingSize;
      memory.copy(standings + <usize>number * size, self.standings + <usize>load<u32>(place) * size, size);
      store<u32>(place, number);
    }
  }
  for (let index: u32 = 0; index < groups.keyCount; index++)
    memory.copy(programOutput(program, groupsKey(groups, index).output), savedAt(saved, index), VECTOR_SIZE);
  return done;
}

// @ts-ignore: decorator
@inline
function savedAt(saved: usize, index: u32): usize {
  return saved + <usize>index * (VECTOR_SIZE + GATHER_BYTES);
}
