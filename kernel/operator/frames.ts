// FRAMES: window functions over frames that slide along with their row, over rows that come in order.
//
// A frame of a partition has a first and an end row, which only ever go forward: what comes in is added to the
// partition's accumulators, what falls out is taken back, as from a changelog (aggregate/retract.ts). Counts and exact
// sums lose no bit by that, however long a frame slides. The least and greatest value are not taken back: a queue holds
// the rows of a frame that may yet be it, each greater than the one before, so its head is the least; a new row
// drops those behind which it makes useless. Each row enters and leaves once.
//
// As OVER does, rows are folded in together while no partition is met twice (a *stretch*). First and last rows, those
// before and after, and extremes are numbers of rows, and fetched when the rows of a pull are known.
//
// ROWS with rows that follow lets a row go when they have come, PEERS and VALUES when a row of any partition, or
// a watermark, is beyond its frame; so those leave in order.

import { Abi, Type } from "../abi/layout";
import { FrameFlag, FrameFunction, FrameUnit, FramesEntry } from "../abi/over";
import { Status } from "../abi/status";
import { accumulatorReserveRows, accumulatorUpdate } from "../aggregate/accumulators";
import { MASK_BYTES } from "../aggregate/argument";
import { RESULT_SCRATCH, resultEmit } from "../aggregate/results";
import { accumulatorRetract } from "../aggregate/retract";
import { bitmapGet, bitmapTail } from "../column/bitmap";
import {
  Builder,
  builderReserveBytes,
  builderSetBit,
  builderSetNull,
  outputColumn,
  outputDescribe,
  outputReset,
  regrow,
} from "../column/builder";
import { compareRows } from "../column/compare-rows";
import { builderGather, gatherBytes } from "../column/gather";
import { typeWidth } from "../column/type";
import { VECTOR_SIZE, Vector } from "../column/vector";
import { GATHER_BYTES, vectorGather } from "../column/vector-gather";
import { programOutput } from "../expression/program";
import { Tier } from "../group/state";
import { failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { aggregateTextLimit } from "./aggregate-output";
import { accumulatorAt, aggregationOf, groupsOf, resultAt } from "./aggregation";
import {
  Frames,
  NO_ROW,
  OTHER_OF_ROW,
  Standing,
  columnOf,
  entryOf,
  framesOf,
  keyOf,
  kindOf,
  linksOf,
  nextOf,
  numberOf,
  orderOf,
  otherOf,
  partitionOf,
  queueOf,
  readOf,
  shiftOf,
  standingOf,
} from "./frames-state";
import { Operator } from "./operator";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Most rows of one pull, whatever the host asks for. */
const PULL_ROWS: u32 = 65536;

// ---- what dispatch asks

export function framesPending(operator: usize): bool {
  const self = framesOf(operator);
  if (changetype<Operator>(operator).ended) return self.closing < self.rows;
  if (self.unit == <u32>FrameUnit.ROWS) return self.cursor < self.rows;
  return self.cursor < self.rows && isCertain(self, self.cursor);
}

/**
 * No row at or before `time` will come, if VALUES count it (rising, nulls last); and none that the order does not tell
 * from the last one.
 */
export function framesWatermark(operator: usize, time: i64): void {
  const self = framesOf(operator);
  if (self.unit == <u32>FrameUnit.PEERS) self.complete = self.rows;
  if (self.unit != <u32>FrameUnit.VALUES || (self.flags & <u32>FrameFlag.DESCENDING) != 0) return;
  if (!self.hasPassed || time > self.passed) self.passed = time;
  self.hasPassed = 1;
}

export function framesGroups(operator: usize): u64 {
  return groupsOf(aggregationOf(operator)).count;
}

// ---- when a row's frame is known

/** Whether the end of a row's frame is known: all rows before it in the order are done. */
function isCertain(self: Frames, row: u32): bool {
  if ((self.flags & <u32>FrameFlag.END_UNBOUNDED) != 0) return false;
  if (self.unit == <u32>FrameUnit.PEERS) return row < self.complete || keyOf(self, self.rows - 1) != keyOf(self, row);
  const last = self.rows - 1;
  const isNull = isNullRow(self, row);
  if (isNullRow(self, last) != isNull) return true;
  if (isNull) return false;
  if (!isAtMost(keyOf(self, last), keyOf(self, row), self.end)) return true;
  return self.hasPassed != 0 && isAtLeast(self.passed, keyOf(self, row), self.end);
}

// @ts-ignore: decorator
@inline
export function isNullRow(self: Frames, row: u32): bool {
  return self.unit == <u32>FrameUnit.VALUES && !bitmapGet(outputColumn(self.whole, orderOf(self, 0)).validity, row);
}

/** Whether a - b <= by, however far apart they are. */
function isAtMost(a: i64, b: i64, by: i64): bool {
  if (a >= b) return by >= 0 && <u64>(a - b) <= <u64>by;
  return by >= 0 || <u64>(b - a) >= <u64>-by;
}

/** Whether a - b >= by, likewise. */
export function isAtLeast(a: i64, b: i64, by: i64): bool {
  if (a >= b) return by <= 0 || <u64>(a - b) >= <u64>by;
  return by <= 0 && <u64>(b - a) <= <u64>-by;
}

/** Whether a partition's next row can be computed from the rows of the partition that have come. */
function hasFollowing(self: Frames, standing: Standing): bool {
  if ((self.flags & <u32>FrameFlag.END_UNBOUNDED) != 0) return false;
  if (standing.currentIndex + self.end >= standing.rows) return false;
  for (let index: u32 = 0; index < self.functionCount && self.shifts != 0; index++) {
    if (kindOf(self, index) != <u32>FrameFunction.SHIFT) continue;
    if (standing.currentIndex + load<i64>(entryOf(self, index), <usize>FramesEntry.OFFSET) >= standing.rows) return false;
  }
  return true;
}

/** The next row whose values can be computed, or NO_ROW. */
function nextRow(operator: usize, self: Frames): u32 {
  if (self.unit == <u32>FrameUnit.ROWS) {
    for (; self.cursor < self.rows; self.cursor++) {
      const standing = standingOf(self, partitionOf(self, self.cursor));
      if (standing.current != 0 && hasFollowing(self, standing)) return standing.current - 1;
    }
  } else if (self.cursor < self.rows && isCertain(self, self.cursor)) return self.cursor++;
  if (!changetype<Operator>(operator).ended) return NO_ROW;
  for (; self.closing < self.rows; self.closing++) {
    if (standingOf(self, partitionOf(self, self.closing)).current == self.closing + 1) return self.closing++;
  }
  return NO_ROW;
}

// ---- pull

/** The next rows whose values are known, at most `maxRows`, and no more texts than `maxBytes` unless one row has more. */
export function framesPull(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const self = framesOf(operator);
  let rows = min(min(maxRows, PULL_ROWS), self.rows);
  if (self.longest != 0) rows = min(rows, max<u32>(1, <u32>min<u64>(aggregateTextLimit(maxBytes) / self.longest, PULL_ROWS)));
  if (!reservePull(operator, self, rows)) return failMemory(context, 0);
  const status = pick(context, operator, rows);
  if (status < 0) {
    changetype<Operator>(operator).failed = 1;
    return status;
  }
  const picked = self.pickedCount;
  const ended = changetype<Operator>(operator).ended != 0;
  if (picked == 0) return ended ? Status.FINISHED : Status.NEED_INPUT;
  outputDescribe(self.output, out, picked, 0);
  if (framesPending(operator)) return Status.HAS_MORE;
  return ended ? Status.FINISHED : Status.NEED_INPUT;
}

/** Room for a pull of `rows` rows, but for their texts. */
function reservePull(operator: usize, self: Frames, rows: u32): bool {
  if (!outputReset(self.output, rows)) return false;
  const bytes = max<usize>((<usize>rows) << 2, 8);
  const picked = regrow(operator, self.picked, 0, bytes);
  if (picked == 0) return false;
  self.picked = picked;
  const references = regrow(operator, self.references, 0, max<usize>(bytes * <usize>self.functionCount, 8));
  if (references == 0) return false;
  self.references = references;
  self.room = rows;
  if (self.aggregates == 0) return true;
  // All rows may come into frames at once, and leave them.
  const most = max<usize>((<usize>self.rows) << 2, 8);
  const adds = regrow(operator, self.adds, 0, most);
  if (adds == 0) return false;
  self.adds = adds;
  const removes = regrow(operator, self.removes, 0, most);
  if (removes == 0) return false;
  self.removes = removes;
  return true;
}

/** Puts up to `rows` rows with their values into the output. */
function pick(context: usize, operator: usize, rows: u32): i32 {
  const self = framesOf(operator);
  self.pickedCount = 0;
  self.written = 0;
  self.addCount = 0;
  self.removeCount = 0;
  self.stretch++;
  while (self.pickedCount < rows) {
    const row = nextRow(operator, self);
    if (row == NO_ROW) break;
    const standing = standingOf(self, partitionOf(self, row));
    if (standing.stretch == self.stretch && self.aggregates != 0) {
      const status = closeStretch(context, operator);
      if (status < 0) return status;
      self.stretch++;
    }
    standing.stretch = self.stretch;
    moveFrame(self, standing, row);
    for (let index: u32 = 0; index < self.functionCount; index++) refer(self, standing, row, index);
    store<u32>(self.picked + ((<usize>self.pickedCount) << 2), row);
    self.pickedCount++;
    standing.current = nextOf(self, row);
    standing.currentIndex++;
  }
  const status = closeStretch(context, operator);
  if (status < 0) return status;
  return fetch(operator, self) ? 0 : failMemory(context, 0);
}

// ---- the frame of one row

function moveFrame(self: Frames, standing: Standing, row: u32): void {
  while (standing.end != 0 && !isBehind(self, standing, standing.end - 1, row)) {
    const next = standing.end - 1;
    standing.within = next + 1;
    standing.end = nextOf(self, next);
    standing.endIndex++;
    for (let index: u32 = 0; index < self.functionCount && self.extremes != 0; index++) enqueue(self, standing, next, index);
    if (self.aggregates != 0) add(self, next);
  }
  if ((self.flags & <u32>FrameFlag.START_UNBOUNDED) != 0) return;
  while (standing.start != standing.end && isBefore(self, standing, standing.start - 1, row)) {
    const first = standing.start - 1;
    standing.start = nextOf(self, first);
    standing.startIndex++;
    for (let number: u32 = 0; number < self.extremes; number++) dequeue(self, standing, first, number);
    if (self.aggregates != 0) remove(self, first);
  }
}

function add(self: Frames, row: u32): void {
  store<u32>(self.adds + ((<usize>self.addCount) << 2), row);
  self.addCount++;
}

function remove(self: Frames, row: u32): void {
  store<u32>(self.removes + ((<usize>self.removeCount) << 2), row);
  self.removeCount++;
}

/** Whether `next`, the first row behind the frame so far, is behind that of `row`. */
function isBehind(self: Frames, standing: Standing, next: u32, row: u32): bool {
  if ((self.flags & <u32>FrameFlag.END_UNBOUNDED) != 0) return false;
  if (self.unit == <u32>FrameUnit.ROWS) return standing.endIndex > standing.currentIndex + self.end;
  const isNull = isNullRow(self, row);
  if (isNullRow(self, next) != isNull) return next > row;
  return !isNull && !isAtMost(keyOf(self, next), keyOf(self, row), self.end);
}

/** Whether `first`, the first row of the frame so far, is before that of `row`. */
function isBefore(self: Frames, standing: Standing, first: u32, row: u32): bool {
  if (self.unit == <u32>FrameUnit.ROWS) return standing.startIndex < standing.currentIndex + self.start;
  const isNull = isNullRow(self, row);
  if (isNullRow(self, first) != isNull) return first < row;
  return !isNull && !isAtLeast(keyOf(self, first), keyOf(self, row), self.start);
}

/** A row of the frame goes to the end of the queue of function `index`, if that is a MIN or MAX. */
function enqueue(self: Frames, standing: Standing, row: u32, index: u32): void {
  const kind = kindOf(self, index);
  if (kind != <u32>FrameFunction.MIN && kind != <u32>FrameFunction.MAX) return;
  const column = outputColumn(self.whole, columnOf(self, index));
  if (!bitmapGet(column.validity, row)) return;
  const other = otherOf(self, index);
  if (other >= 0) {
    const filter = outputColumn(self.whole, <u32>other);
    if (!bitmapGet(filter.validity, row) || !bitmapGet(filter.values, row)) return;
  }
  const number = numberOf(self, index);
  const queue = queueOf(self, standing, number);
  let tail = load<u32>(queue, 4);
  // Nothing falls out of a frame without a beginning: one row is all that counts.
  const one = (self.flags & <u32>FrameFlag.START_UNBOUNDED) != 0;
  while (tail != 0) {
    const sign = compareRows(column, tail - 1, row);
    if (kind == <u32>FrameFunction.MIN ? sign < 0 : sign > 0) break;
    tail = load<u32>(linksOf(self, tail - 1, number));
  }
  if (one && tail != 0) return;
  const links = linksOf(self, row, number);
  store<u32>(links, tail);
  store<u32>(links, 0, 4);
  if (tail == 0) store<u32>(queue, row + 1);
  else store<u32>(linksOf(self, tail - 1, number), row + 1, 4);
  store<u32>(queue, row + 1, 4);
}

export function dequeue(self: Frames, standing: Standing, row: u32, number: u32): void {
  const queue = queueOf(self, standing, number);
  if (load<u32>(queue) != row + 1) return;
  const next = load<u32>(linksOf(self, row, number), 4);
  store<u32>(queue, next);
  if (next == 0) store<u32>(queue, 0, 4);
  else store<u32>(linksOf(self, next - 1, number), 0);
}

/** Notes which row a function's value is to be fetched from. */
function refer(self: Frames, standing: Standing, row: u32, index: u32): void {
  let from: u32 = 0;
  switch (kindOf(self, index)) {
    case FrameFunction.AGGREGATE:
      return;
    case FrameFunction.NUMBER: {
      const before = min(standing.currentIndex, standing.endIndex) - standing.startIndex;
      const column = outputColumn(self.output, self.carried + index);
      store<i64>(column.values + ((<usize>self.pickedCount) << 3), max<i64>(before, 0) + 1);
      column.length = self.pickedCount + 1;
      return;
    }
    case FrameFunction.FIRST:
      if (standing.start != standing.end) from = standing.start;
      break;
    case FrameFunction.LAST:
      if (standing.start != standing.end) from = standing.within;
      break;
    case FrameFunction.SHIFT:
      from = shifted(self, standing, index);
      if (from == 0 && otherOf(self, index) >= 0) from = OTHER_OF_ROW + 1;
      break;
    default:
      from = load<u32>(queueOf(self, standing, numberOf(self, index)));
  }
  store<u32>(self.references + ((<usize>(index * self.room + self.pickedCount)) << 2), from - 1);
}

/** The row OFFSET after the current one + 1, 0 where there is none. */
function shifted(self: Frames, standing: Standing, index: u32): u32 {
  const target = standing.currentIndex + load<i64>(entryOf(self, index), <usize>FramesEntry.OFFSET);
  if (target < 0) return 0;
  const shift = shiftOf(standing, numberOf(self, index));
  let row = load<u32>(shift);
  let at = load<i64>(shift, 8);
  while (at < target && nextOf(self, row - 1) != 0) {
    row = nextOf(self, row - 1);
    at++;
  }
  store<u32>(shift, row);
  store<i64>(shift, at, 8);
  return at == target ? row : 0;
}

// ---- aggregates of a stretch

/** Adds what came into frames, takes back what fell out, and writes the aggregates of the rows picked since. */
function closeStretch(context: usize, operator: usize): i32 {
  const self = framesOf(operator);
  if (self.aggregates == 0 || self.written == self.pickedCount) return 0;
  const aggregation = aggregationOf(operator);
  for (let index: u32 = 0; index < self.readCount; index++) {
    memory.copy(savedAt(self, index), programOutput(aggregation.program, readOf(self, index)), VECTOR_SIZE);
  }
  let ok = true;
  for (let at: u32 = 0; at < self.addCount && ok; at += ROWS)
    ok = fold(context, operator, self.adds + ((<usize>at) << 2), min(ROWS, self.addCount - at), false);
  for (let at: u32 = 0; at < self.removeCount && ok; at += ROWS)
    ok = fold(context, operator, self.removes + ((<usize>at) << 2), min(ROWS, self.removeCount - at), true);
  for (let index: u32 = 0; index < self.readCount; index++) {
    memory.copy(programOutput(aggregation.program, readOf(self, index)), savedAt(self, index), VECTOR_SIZE);
  }
  self.addCount = 0;
  self.removeCount = 0;
  return ok ? writeAggregates(context, operator) : failMemory(context, 0);
}

// @ts-ignore: decorator
@inline
function savedAt(self: Frames, index: u32): usize {
  return self.vectors + <usize>index * (VECTOR_SIZE + GATHER_BYTES);
}

/** Folds the listed rows in, or takes them back. False when out of memory. */
function fold(context: usize, operator: usize, list: usize, rows: u32, back: bool): bool {
  const self = framesOf(operator);
  const aggregation = aggregationOf(operator);
  const program = aggregation.program;
  const groups = groupsOf(aggregation);
  for (let index: u32 = 0; index < self.readCount; index++) {
    const output = readOf(self, index);
    const vector = changetype<Vector>(programOutput(program, output));
    vectorGather(vector, outputColumn(self.whole, output), list, rows, savedAt(self, index) + VECTOR_SIZE);
  }
  for (let row: u32 = 0; row < rows; row++)
    store<u32>(self.groups + ((<usize>row) << 2), partitionOf(self, load<u32>(list + ((<usize>row) << 2))));
  const mark = scratchMark(context);
  const all = scratchTake(context, MASK_BYTES);
  memory.fill(all, 0, MASK_BYTES);
  for (let row: u32 = 0; row < rows; row += 64) store<u64>(all + <usize>(row >> 3), bitmapTail(min<u32>(64, rows - row)));
  const one = groups.tier == <u32>Tier.NONE;
  let ok = true;
  for (let index: u32 = 0; index < aggregation.accumulatorCount && ok; index++) {
    const accumulator = accumulatorAt(aggregation, index);
    const texts = accumulator.argument >= 0 && accumulator.type == <u32>Type.BYTES;
    const bytes: u64 = texts ? gatherBytes(outputColumn(self.whole, <u32>accumulator.argument), list, rows) : 0;
    ok =
      accumulatorReserveRows(accumulator, aggregation.reserved, rows, <usize>bytes) &&
      (back
        ? accumulatorRetract(accumulator, context, program, self.groups, rows, all)
        : accumulatorUpdate(accumulator, context, program, self.groups, rows, one));
  }
  scratchReset(context, mark);
  return ok;
}

function writeAggregates(context: usize, operator: usize): i32 {
  const self = framesOf(operator);
  const aggregation = aggregationOf(operator);
  const mark = scratchMark(context);
  const value = scratchTake(context, 16);
  const scratch = scratchTake(context, RESULT_SCRATCH);
  while (self.written < self.pickedCount) {
    const rows = min(ROWS, self.pickedCount - self.written);
    for (let row: u32 = 0; row < rows; row++) {
      const picked = load<u32>(self.picked + ((<usize>(self.written + row)) << 2));
      store<u32>(self.groups + ((<usize>row) << 2), partitionOf(self, picked));
    }
    for (let index: u32 = 0; index < self.functionCount; index++) {
      if (kindOf(self, index) != <u32>FrameFunction.AGGREGATE) continue;
      const result = resultAt(aggregation, columnOf(self, index));
      const builder = outputColumn(self.output, self.carried + index);
      const status = resultEmit(context, result, aggregation.rowsCounter, self.groups, rows, false, builder, value, scratch);
      if (status < 0) return status;
    }
    self.written += rows;
  }
  scratchReset(context, mark);
  return 0;
}

// ---- values of other rows

/** Fetches the picked rows' columns, and what functions refer to. False when out of memory. */
function fetch(operator: usize, self: Frames): bool {
  const rows = self.pickedCount;
  for (let column: u32 = 0; column < self.carried; column++) {
    const from = outputColumn(self.whole, column);
    const to = outputColumn(self.output, column);
    if (to.type == <u32>Type.BYTES) {
      if (!builderReserveBytes(operator, to, <usize>gatherBytes(from, self.picked, rows))) return false;
    }
    builderGather(to, from, self.picked, rows);
  }
  for (let index: u32 = 0; index < self.functionCount; index++) {
    const kind = kindOf(self, index);
    if (kind == <u32>FrameFunction.AGGREGATE || kind == <u32>FrameFunction.NUMBER) continue;
    if (!fetchReferences(operator, self, index)) return false;
  }
  return true;
}

function fetchReferences(operator: usize, self: Frames, index: u32): bool {
  const to = outputColumn(self.output, self.carried + index);
  const from = outputColumn(self.whole, columnOf(self, index));
  const list = self.references + ((<usize>(index * self.room)) << 2);
  const rows = self.pickedCount;
  let end: u32 = 0;
  for (let start: u32 = 0; start < rows; start = end) {
    const kind = sourceOf(list, start);
    for (end = start + 1; end < rows && sourceOf(list, end) == kind; ) end++;
    const at = (<usize>start) << 2;
    if (kind == NO_ROW) appendNulls(to, end - start);
    else if (kind == OTHER_OF_ROW) {
      if (!gather(operator, to, outputColumn(self.whole, <u32>otherOf(self, index)), self.picked + at, end - start)) return false;
    } else if (!gather(operator, to, from, list + at, end - start)) return false;
  }
  const kind = kindOf(self, index);
  if (kind == <u32>FrameFunction.MIN || kind == <u32>FrameFunction.MAX) oneNaN(to);
  return true;
}

// @ts-ignore: decorator
@inline
function sourceOf(list: usize, at: u32): u32 {
  const row = load<u32>(list + ((<usize>at) << 2));
  return row >= OTHER_OF_ROW ? row : 0;
}

function gather(operator: usize, to: Builder, from: Builder, list: usize, rows: u32): bool {
  if (to.type == <u32>Type.BYTES && !builderReserveBytes(operator, to, <usize>gatherBytes(from, list, rows))) return false;
  builderGather(to, from, list, rows);
  return true;
}

function appendNulls(to: Builder, rows: u32): void {
  for (let row = to.length; row < to.length + rows; row++) {
    builderSetNull(to, row);
    if (to.type == <u32>Type.BYTES) store<u32>(to.offsets + ((<usize>row) << 2), to.bytes, 4);
    else if (to.type == <u32>Type.BOOL) builderSetBit(to, row, 0);
    else memory.fill(to.values + <usize>row * typeWidth(to.type), 0, typeWidth(to.type));
  }
  to.length += rows;
}

/** As of other extremes, all NaNs are one. */
function oneNaN(column: Builder): void {
  for (let row: u32 = 0; row < column.length; row++) {
    if (column.type == <u32>Type.F64) {
      const at = column.values + ((<usize>row) << 3);
      if (load<f64>(at) != load<f64>(at)) store<u64>(at, 0x7ff8000000000000);
    } else if (column.type == <u32>Type.F32) {
      const at = column.values + ((<usize>row) << 2);
      if (load<f32>(at) != load<f32>(at)) store<u32>(at, 0x7fc00000);
    }
  }
}
