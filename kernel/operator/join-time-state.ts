// What a join by time holds besides (join-state.ts), and what arrives: rows wait until the watermarks of both sides
// have passed their times, and then meet in the order of time (join-time.ts).
//
//   times, numbers     of each kept row: its time, and the number of its key
//   waiting            rows whose time the watermarks have not passed, as they came
//   due                of the sweep at hand: those that they have passed, by time
//   kept               WITHIN: right rows that left ones to come may match; FORWARD, NEAREST: left rows that have
//                      no answer yet; both by time
//
// A row at or before its own port's watermark is late: it is counted, and takes no part. So what a row meets does
// not depend on how the two inputs interleave.

import { Abi, Batch } from "../abi/layout";
import { JoinFlag, JoinTime, JoinType } from "../abi/operator";
import { Status } from "../abi/status";
import { bitmapGet } from "../column/bitmap";
import { regrow } from "../column/builder";
import { Vector } from "../column/vector";
import { programOutput, programRun } from "../expression/program";
import { Keys, NO_KEY, keysAssign, keysReserve, keysSpan } from "../join/keys";
import { storeAppend, storeCommit, storeReserve } from "../join/store";
import { failMemory } from "../memory/context";
import { copyRun } from "../memory/copy";
import { REGION_SIZE, regionBytes, regionCut, regionDestroy, regionFree, regionInitLike } from "../memory/region";
import { Join, Phase, joinPreserves, joinReserveHeads, joinStore } from "./join-state";
import { Operator } from "./operator";

/** Before every time: no watermark yet, or the time of a row that has none. */
export const NO_TIME: i64 = i64.MIN_VALUE;
/** The end of time. */
export const END: i64 = i64.MAX_VALUE;
const FIRST_ROWS: u32 = 1024;

// @ts-ignore: decorator
@unmanaged
export class TimeJoin {
  mode: u32;
  strict: u32;
  bounded: u32;
  /** Index of both programs' output that is the time. */
  output: u32;
  low: i64;
  high: i64;
  watermark0: i64;
  watermark1: i64;
  /** Least time among those that wait. */
  least0: i64;
  least1: i64;
  /** Everything up to here has been swept, on the axis of the right times; and where the sweep at hand goes. */
  swept: i64;
  target: i64;
  lateRows: u64;
  /** Per port: i64 times and u32 key numbers by row, u32 rows that wait, how many rows there is room for. */
  times0: usize;
  times1: usize;
  numbers0: usize;
  numbers1: usize;
  waiting0: usize;
  waiting1: usize;
  waitingCount0: u32;
  waitingCount1: u32;
  capacity0: u32;
  capacity1: u32;
  /** NEAREST: of each row of port 0 the right row before it, plus one. */
  partners: usize;
  /** u32 rows, `keptFirst` to `keptEnd`. */
  kept: usize;
  keptFirst: u32;
  keptEnd: u32;
  /** Of them those that have been answered. */
  keptDone: u32;
  /** u32 rows that are due, how many there is room for, and how far the sweep has come. */
  due0: usize;
  due1: usize;
  dueRoom0: u32;
  dueRoom1: u32;
  dueCount0: u32;
  dueCount1: u32;
  at0: u32;
  at1: u32;
  /** Left rows before this one have left where they leave alone. */
  lone: u32;
  /** Right rows of one time whose waiting left rows are being answered: `group` to `at1`. */
  group: u32;
  /** Where the last phase reads and writes the kept rows. */
  scan: u32;
  write: u32;
  /** Two regions, of which one has what is kept of rows (join-compact.ts); how many rows there are when it is looked at. */
  generations: usize;
  compactAt: u32;
  /** Whether left rows leave with their push (join-asof-direct.ts), and the time of the last one that has. */
  direct: u32;
  last0: i64;
  /** By key number the latest right row and where it lies, for `latestCount` of them (join-asof-direct.ts); 0: not looked after. */
  latest: usize;
  latestCount: u32;
  latestRoom: u32;
}

export const enum Direct {
  NOT_YET = 0,
  /** All right rows are in the order of time, and the sweep is among them. */
  AT_WORK = 1,
  GIVEN_UP = 2,
}

// @ts-ignore: decorator
@inline
export function timeOf(self: Join): TimeJoin {
  return changetype<TimeJoin>(self.time);
}

/** Whether each left row gets one right row at most. */
// @ts-ignore: decorator
@inline
export function timeIsAsOf(time: TimeJoin): bool {
  return time.mode != <u32>JoinTime.WITHIN;
}

/** False when out of memory. */
export function timeCreate(self: Join, region: usize, mode: u32, low: i64, high: i64): bool {
  const address = regionCut(region, offsetof<TimeJoin>());
  const generations = regionCut(region, REGION_SIZE * 2);
  if (address == 0 || generations == 0) return false;
  regionInitLike(generations, region);
  regionInitLike(generations + REGION_SIZE, region);
  self.time = address;
  const time = timeOf(self);
  time.generations = generations;
  time.mode = mode;
  time.strict = self.flags & <u32>JoinFlag.STRICT ? 1 : 0;
  time.bounded = self.flags & <u32>JoinFlag.BOUNDED ? 1 : 0;
  time.output = self.keyCount;
  time.low = low;
  time.high = high;
  time.watermark0 = NO_TIME;
  time.watermark1 = NO_TIME;
  time.least0 = END;
  time.least1 = END;
  time.swept = NO_TIME;
  self.padded = timeIsAsOf(time) && self.type == <u32>JoinType.LEFT ? 1 : 0;
  return true;
}

/** The region that has what is kept of rows. */
export function timeGeneration(self: Join): usize {
  return joinStore(self, 0).region;
}

export function timeBytes(self: Join): u32 {
  return regionBytes(timeGeneration(self));
}

export function timeDestroy(self: Join): void {
  const generations = timeOf(self).generations;
  regionDestroy(generations);
  regionDestroy(generations + REGION_SIZE);
}

// ---- arithmetic of times

/** Sums that do not fit are the nearest that do. */
// @ts-ignore: decorator
@inline
export function addTime(time: i64, more: i64): i64 {
  const sum = time + more;
  if (((time ^ sum) & (more ^ sum)) >= 0) return sum;
  return more > 0 ? END : NO_TIME;
}

/** How far `to` is after `from`; the nearest that fits. */
// @ts-ignore: decorator
@inline
export function distance(from: i64, to: i64): i64 {
  const less = to - from;
  if (((to ^ from) & (to ^ less)) >= 0) return less;
  return to > from ? END : NO_TIME;
}

/** The time of left rows that the watermarks let sweep, when they let right ones up to `until`. */
export function leftLimit(time: TimeJoin, until: i64): i64 {
  if (time.mode != <u32>JoinTime.WITHIN || until == END) return until;
  return addTime(until, -time.high);
}

/** How far both sides' times have come, on the axis of the right ones. */
export function timeFrontier(time: TimeJoin): i64 {
  let left = time.watermark0;
  if (time.mode == <u32>JoinTime.WITHIN && left != END && left != NO_TIME) left = min(addTime(left, time.high), END - 1);
  return min(left, time.watermark1);
}

// ---- input

/** Room for so many rows of a port. False when out of memory. */
export function timeReserve(self: Join, port: u32, rows: u32): bool {
  const time = timeOf(self);
  const capacity = port == 0 ? time.capacity0 : time.capacity1;
  if (rows <= capacity) return true;
  const region = joinStore(self, 0).region;
  const room = max<u32>(rows, max<u32>(FIRST_ROWS, min<u32>(capacity, 0x7fffffff) << 1));
  const times = regrow(region, port == 0 ? time.times0 : time.times1, (<usize>capacity) << 3, (<usize>room) << 3);
  if (times == 0) return false;
  if (port == 0) time.times0 = times;
  else time.times1 = times;
  const numbers = grown(region, port == 0 ? time.numbers0 : time.numbers1, capacity, room);
  if (numbers == 0) return false;
  if (port == 0) time.numbers0 = numbers;
  else time.numbers1 = numbers;
  const waiting = grown(region, port == 0 ? time.waiting0 : time.waiting1, capacity, room);
  if (waiting == 0) return false;
  if (port == 0) time.waiting0 = waiting;
  else time.waiting1 = waiting;
  if (port == (time.mode == <u32>JoinTime.WITHIN ? 1 : 0) && time.mode != <u32>JoinTime.BACKWARD) {
    const kept = grown(region, time.kept, capacity, room);
    if (kept == 0) return false;
    time.kept = kept;
  }
  if (port == 0 && time.mode == <u32>JoinTime.NEAREST) {
    const partners = grown(region, time.partners, capacity, room);
    if (partners == 0) return false;
    time.partners = partners;
  }
  if (port == 0) time.capacity0 = room;
  else time.capacity1 = room;
  return true;
}

function grown(region: usize, old: usize, used: u32, room: u32): usize {
  return regrow(region, old, (<usize>used) << 2, (<usize>room) << 2);
}

/** Keeps the rows of the batch that the port's program is bound to, from row `from` on (a multiple of VECTOR_ROWS). */
export function timePush(
  context: usize,
  operator: usize,
  self: Join,
  port: u32,
  program: usize,
  batch: usize,
  from: u32,
): i32 {
  const time = timeOf(self);
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  const kept = joinStore(self, port);
  const keys = changetype<Keys>(self.keys);
  const first = kept.rows;
  if (
    !storeReserve(kept, program, rows) ||
    !keysReserve(keys, program, rows) ||
    !timeReserve(self, port, first + rows)
  )
    return failMemory(context, 0);
  let selected: u32 = 0;
  for (let start = from; start < rows; start += <u32>Abi.VECTOR_ROWS) {
    const count = programRun(context, program, start, min<u32>(<u32>Abi.VECTOR_ROWS, rows - start));
    if (count < 0) return count;
    if (count == 0) continue;
    const at = first + selected;
    const numbers = (port == 0 ? time.numbers0 : time.numbers1) + ((<usize>at) << 2);
    if (
      !keysAssign(keys, port, program, count, numbers) ||
      !joinReserveHeads(self, 0, keysSpan(keys)) ||
      !joinReserveHeads(self, 1, keysSpan(keys)) ||
      !storeAppend(kept, program, at, count)
    )
      return failMemory(context, 0);
    const vector = changetype<Vector>(programOutput(program, time.output));
    keepTimes(vector, (port == 0 ? time.times0 : time.times1) + ((<usize>at) << 3), numbers, count);
    selected += count;
  }
  storeCommit(kept, selected);
  changetype<Operator>(operator).rowsSelected += selected;
  enqueue(self, time, port, first, selected);
  return Status.NEED_INPUT;
}

/** A row without a time matches nothing, and need not wait. */
function keepTimes(vector: Vector, times: usize, numbers: usize, count: u32): void {
  copyRun(times, vector.values, (<usize>count) << 3);
  if (vector.validity == 0) return;
  for (let row: u32 = 0; row < count; row++) {
    if (bitmapGet(vector.validity, row)) continue;
    store<i64>(times + ((<usize>row) << 3), NO_TIME);
    store<u32>(numbers + ((<usize>row) << 2), NO_KEY);
  }
}

function enqueue(self: Join, time: TimeJoin, port: u32, first: u32, count: u32): void {
  const times = port == 0 ? time.times0 : time.times1;
  const numbers = port == 0 ? time.numbers0 : time.numbers1;
  const waiting = port == 0 ? time.waiting0 : time.waiting1;
  const watermark = port == 0 ? time.watermark0 : time.watermark1;
  // Rows that match nothing are of interest only where they leave for that.
  const leaves = joinPreserves(self, port) || (port == 0 && self.type == <u32>JoinType.ANTI);
  let least = port == 0 ? time.least0 : time.least1;
  let waits = port == 0 ? time.waitingCount0 : time.waitingCount1;
  let late: u32 = 0;
  for (let row = first; row < first + count; row++) {
    const moment = load<i64>(times + ((<usize>row) << 3));
    if (moment <= watermark && moment != NO_TIME) {
      late++;
      continue;
    }
    store<u32>(waiting + ((<usize>waits) << 2), row);
    if (leaves || load<u32>(numbers + ((<usize>row) << 2)) != NO_KEY) {
      waits++;
      least = min(least, moment);
    }
  }
  time.lateRows += late;
  if (port == 0) {
    time.least0 = least;
    time.waitingCount0 = waits;
  } else {
    time.least1 = least;
    time.waitingCount1 = waits;
  }
}

/** Puts all right rows back among those that wait: no left one has been swept past them. Allocates nothing. */
export function timeRewind(self: Join, time: TimeJoin, direct: Direct): void {
  let least = END;
  for (let at: u32 = 0; at < time.dueCount1; at++) {
    const row = load<u32>(time.due1 + ((<usize>at) << 2));
    store<u32>(time.waiting1 + ((<usize>at) << 2), row);
    least = min(least, load<i64>(time.times1 + ((<usize>row) << 3)));
  }
  memory.fill(self.heads1, 0, (<usize>self.headCount1) << 2);
  time.waitingCount1 = time.dueCount1;
  time.least1 = least;
  time.dueCount1 = 0;
  time.at1 = 0;
  regionFree(timeGeneration(self), time.latest);
  time.latest = 0;
  time.latestRoom = 0;
  time.latestCount = 0;
  time.direct = direct;
}

// ---- watermarks

/** No more rows at or before `moment` will come on this port; the work is left to the pulls. */
export function timeWatermark(self: Join, port: u32, moment: i64): void {
  const time = timeOf(self);
  if (port == 0) time.watermark0 = max(time.watermark0, moment);
  else time.watermark1 = max(time.watermark1, moment);
  if (time.direct == <u32>Direct.AT_WORK && moment != END) timeRewind(self, time, Direct.GIVEN_UP);
  const frontier = timeFrontier(time);
  if (self.phase != <u32>Phase.IDLE || frontier <= time.swept) return;
  const nothing = time.least0 > leftLimit(time, frontier) && time.least1 > frontier && time.keptFirst == time.keptEnd;
  if (nothing && frontier != END) time.swept = frontier;
}

/** Whether a sweep is to be made or gone on with. */
export function timeIsDue(self: Join): bool {
  return self.phase != <u32>Phase.IDLE || timeFrontier(timeOf(self)) > timeOf(self).swept;
}

/** No row that leaves from now on has a left time at or before this. */
export function timePassed(self: Join): i64 {
  const time = timeOf(self);
  let passed = leftLimit(time, time.swept);
  if (time.mode == <u32>JoinTime.FORWARD || time.mode == <u32>JoinTime.NEAREST) {
    for (let at = time.keptFirst; at < time.keptEnd; at++) {
      const row = load<u32>(time.kept + ((<usize>at) << 2));
      const first = load<i64>(time.times0 + ((<usize>row) << 3));
      // Nothing is before the first moment of all.
      passed = min(passed, max(first, NO_TIME + 1) - 1);
      break;
    }
  }
  return passed;
}
