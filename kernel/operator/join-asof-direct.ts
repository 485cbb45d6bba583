// As-of joins (BACKWARD) the short way: left rows that come in the order of time leave with their push.
//
// It is taken once the right side has ended, while the left one has no watermark and nothing of it waits: a batch
// whose right side is read first. All right rows are known and put in the order of time then, so a push goes on with
// the sweep where the one before ended, and writes its rows from the program's registers to the result (see
// join-direct.ts) instead of keeping them until the left side ends.
//
// A row before one that has left would need the sweep to go back. It does so at once, to its beginning, and for good:
// that row and all after it wait for the end of input (`timeRewind`). So does a push that fails for want of memory:
// the sweep begins anew with the next one.
//
// Measured over the benchmark's as-of join (250,000 rows beside 25,000, texts as codes): 1.55 times as fast as keeping
// them, from 0.85 to 1.3 times Polars' speed.
//
// Where the key is a text by dictionary, too, it is looked up in the same loop, from code to id to the latest row and where
// that lies, which stand side by side for each key: no numbers, and no places, that a loop of its own would write. It takes right
// rows itself: by `timeTake`, and a look at what that has taken, the whole join takes 1.05 of the time.
//
// Where no time is null and no right row too old, left rows up to the next right one's time are a run: they look up the
// latest row of their key, and no time but their own. That took 0.74 of the time for 10 million rows beside a million.

import { Abi, Batch } from "../abi/layout";
import { JoinTime } from "../abi/operator";
import { Status } from "../abi/status";
import { bitmapGet } from "../column/bitmap";
import { Vector } from "../column/vector";
import { programOutput, programRun, programValidity, programValues } from "../expression/program";
import { NO_ROW } from "../join/gather";
import { Keys, NO_KEY, keysAssign, keysOfCodes, keysReserve, keysSpan } from "../join/keys";
import { storeRow } from "../join/store";
import { failMemory } from "../memory/context";
import { regionBlock, regionFree } from "../memory/region";
import { joinDirectAppend, joinDirectAppendFound, joinDirectFlush, joinDirectReserve, joinDirectRest } from "./join-direct";
import { Join, Phase, joinFar, joinIsSmall, joinReserveHeads, joinStore } from "./join-state";
import { timeIsOutdone, timeNext, timePrepareRight, timeTake } from "./join-time";
import { Direct, END, NO_TIME, TimeJoin, distance, timeGeneration, timeOf, timePush, timeRewind } from "./join-time-state";
import { Operator } from "./operator";

/** Whether a push on this port may go the short way. */
export function asOfIsDirect(self: Join, port: u32): bool {
  const time = timeOf(self);
  if (port != 0 || time.mode != <u32>JoinTime.BACKWARD || time.direct == <u32>Direct.GIVEN_UP) return false;
  if (time.watermark1 != END || time.watermark0 != NO_TIME || time.waitingCount0 != 0) return false;
  return self.phase == <u32>Phase.IDLE && !joinIsSmall(self);
}

/** Writes the rows of the batch that the left program is bound to, as far as they are in the order of time. */
export function asOfPush(context: usize, operator: usize, self: Join, program: usize, batch: usize): i32 {
  const time = timeOf(self);
  const keys = changetype<Keys>(self.keys);
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  if (time.direct == <u32>Direct.NOT_YET && !timePrepareRight(context, self, time)) return failMemory(context, 0);
  if (!joinDirectReserve(self, 0, program, rows) || !keysReserve(keys, program, rows)) return undo(context, self, time);
  const ids = idsOfCodes(self, time, program, rows);
  // All left rows leave, or columns are written by a list.
  const rests = self.padded != 0;
  let selected: u32 = 0;
  let leaving: u32 = 0;
  let start: u32 = 0;
  for (; start < rows; start += <u32>Abi.VECTOR_ROWS) {
    const count = programRun(context, program, start, min<u32>(<u32>Abi.VECTOR_ROWS, rows - start));
    if (count < 0) return count;
    if (count == 0) continue;
    const moments = changetype<Vector>(programOutput(program, time.output));
    if (!goesOn(time, moments, count)) break;
    if (ids != 0) {
      const codes = changetype<Vector>(programOutput(program, 0)).values;
      const found = sweepCodes(self, time, moments.values, codes, ids, count);
      if (!joinDirectAppendFound(self, program, count, found, rests)) return undo(context, self, time);
      selected += count;
      leaving += found;
      continue;
    }
    if (!keysAssign(keys, 0, program, count, self.numbers)) return undo(context, self, time);
    if (!joinReserveHeads(self, 1, keysSpan(keys))) return undo(context, self, time);
    const found = sweep(self, time, moments, count);
    if (!joinDirectAppend(self, 0, program, count, found, 0, rests, 0)) return undo(context, self, time);
    selected += count;
    leaving += found;
  }
  if (!joinDirectFlush(self, 0, ids != 0)) return undo(context, self, time);
  if (rests) joinDirectRest(self, 0, program, leaving, leaving);
  if (start < rows) {
    timeRewind(self, time, Direct.GIVEN_UP);
    const status = timePush(context, operator, self, 0, program, batch, start);
    if (status < 0) return status;
  }
  changetype<Operator>(operator).rowsSelected += selected;
  self.written = leaving;
  self.given = 0;
  return leaving == 0 ? Status.NEED_INPUT : Status.HAS_MORE;
}

/**
 * Where the ids of the push's key codes stand, where its rows can be looked up by them in one loop: times without nulls, no
 * right row too old. The latest rows are looked after then. 0 where they cannot, or memory is short.
 */
function idsOfCodes(self: Join, time: TimeJoin, program: usize, rows: u32): usize {
  const isWhole = programValues(program, time.output) != 0 && programValidity(program, time.output) == 0;
  const ids = isWhole && time.bounded == 0 ? keysOfCodes(changetype<Keys>(self.keys), 0, program, rows) : 0;
  const keys = keysSpan(changetype<Keys>(self.keys));
  if (ids != 0 && joinReserveHeads(self, 1, keys) && (time.latestCount >= keys || listLatest(self, time))) return ids;
  time.latestCount = 0;
  return 0;
}

/** Lists the latest row of every key number. False when out of memory. */
function listLatest(self: Join, time: TimeJoin): bool {
  const count = self.headCount1;
  if (time.latestRoom < count) {
    const region = timeGeneration(self);
    const fresh = regionBlock(region, (<usize>count) << 3);
    if (fresh == 0) return false;
    regionFree(region, time.latest);
    time.latest = fresh;
    time.latestRoom = count;
  }
  for (let number: u32 = 0; number < count; number++) noteLatest(self, time, number);
  time.latestCount = count;
  return true;
}

/** Notes the latest row of a key number (u32 row, or NO_ROW) and, behind it, where that lies. */
// @ts-ignore: decorator
@inline
function noteLatest(self: Join, time: TimeJoin, number: u32): void {
  const row = load<u32>(self.heads1 + ((<usize>number) << 2)) - 1;
  const kept = joinStore(self, 1);
  const cell = row == NO_ROW ? kept.none : storeRow(kept, row);
  store<u64>(time.latest + ((<usize>number) << 3), ((<u64>cell) << 32) | <u64>row);
}

/** Out of memory: as if the push had never been. */
function undo(context: usize, self: Join, time: TimeJoin): i32 {
  timeRewind(self, time, Direct.NOT_YET);
  return failMemory(context, 0);
}

/** Whether the vector's times ascend, from the last one on that has left. */
function goesOn(time: TimeJoin, moments: Vector, count: u32): bool {
  if (moments.validity == 0) return goesOnWhole(time, moments.values, count);
  const validity = moments.validity;
  let last = time.last0;
  let ascends = true;
  for (let row: u32 = 0; row < count; row++) {
    if (validity != 0 && !bitmapGet(validity, row)) continue;
    const moment = load<i64>(moments.values + ((<usize>row) << 3));
    if (moment < last) ascends = false;
    last = moment;
  }
  if (ascends) time.last0 = last;
  return ascends;
}

/** The same of times none of which is null. */
function goesOnWhole(time: TimeJoin, moments: usize, count: u32): bool {
  const last = moments + ((<usize>(count - 1)) << 3);
  let at = moments;
  if (ASC_FEATURE_SIMD) {
    let falls = i64x2.splat(0);
    for (; at + 32 <= last; at += 32) {
      falls = v128.or(falls, i64x2.gt_s(v128.load(at), v128.load(at, 8)));
      falls = v128.or(falls, i64x2.gt_s(v128.load(at, 16), v128.load(at, 24)));
    }
    if (v128.any_true(falls)) return false;
  }
  for (; at < last; at += 8) if (load<i64>(at) > load<i64>(at, 8)) return false;
  if (load<i64>(moments) < time.last0) return false;
  time.last0 = load<i64>(last);
  return true;
}

/** Lists the vector's rows that leave, and beside each the latest right row of its key (NO_ROW where there is none). */
function sweep(self: Join, time: TimeJoin, moments: Vector, count: u32): u32 {
  if (moments.validity == 0 && time.bounded == 0) return sweepWhole(self, time, moments.values, count);
  const outer: u32 = self.padded;
  const bound = time.bounded ? time.high : END;
  const validity = moments.validity;
  const theirs = joinFar(self);
  let found: u32 = 0;
  for (let row: u32 = 0; row < count; row++) {
    let link: u32 = 0;
    if (validity == 0 || bitmapGet(validity, row)) {
      const moment = load<i64>(moments.values + ((<usize>row) << 3));
      if (moment != NO_TIME) timeTake(self, time, time.strict ? moment - 1 : moment);
      const number = load<u32>(self.numbers + ((<usize>row) << 2));
      if (number != NO_KEY) link = load<u32>(self.heads1 + ((<usize>number) << 2));
      if (link != 0) {
        const other = load<i64>(time.times1 + ((<usize>(link - 1)) << 3));
        if (distance(other, moment) > bound) link = 0;
      }
    }
    store<u32>(self.found0 + ((<usize>found) << 2), row);
    store<u32>(theirs + ((<usize>found) << 2), link - 1);
    found += link != 0 ? 1 : outer;
  }
  return found;
}

/**
 * The same of times none of which is null, where a right row may be as old as it will: the rows up to the next right one
 * need no look at the time of any.
 */
function sweepWhole(self: Join, time: TimeJoin, moments: usize, count: u32): u32 {
  const outer: u32 = self.padded;
  const numbers = self.numbers;
  const mine = self.found0;
  const theirs = joinFar(self);
  const early: i64 = time.strict ? 1 : 0;
  let found: u32 = 0;
  let row: u32 = 0;
  while (row < count) {
    const moment = load<i64>(moments + ((<usize>row) << 3));
    if (moment != NO_TIME) timeTake(self, time, moment - early);
    const next = timeNext(time);
    const heads = self.heads1;
    do {
      const number = load<u32>(numbers + ((<usize>row) << 2));
      const link = number == NO_KEY ? 0 : load<u32>(heads + ((<usize>number) << 2));
      store<u32>(mine + ((<usize>found) << 2), row);
      store<u32>(theirs + ((<usize>found) << 2), link - 1);
      found += link != 0 ? 1 : outer;
      row++;
    } while (row < count && load<i64>(moments + ((<usize>row) << 3)) - early < next);
  }
  return found;
}

/** The same again, of keys that are codes whose ids stand at `ids`; where the right rows lie is said, too. */
function sweepCodes(self: Join, time: TimeJoin, moments: usize, codes: usize, ids: usize, count: u32): u32 {
  const kept = joinStore(self, 1);
  const theirs = joinFar(self);
  const cells = self.farCells + ((<usize>self.farCount) << 2);
  const early: i64 = time.strict ? 1 : 0;
  const latest = time.latest;
  const times = time.times1;
  const end = time.due1 + ((<usize>time.dueCount1) << 2);
  let due = time.due1 + ((<usize>time.at1) << 2);
  let next = timeNext(time);
  // What came before the first right row of a sweep is not known here (see timeTake).
  let last = next;
  let row: u32 = 0;
  while (row < count) {
    const moment = load<i64>(moments + ((<usize>row) << 3));
    const until = moment - early;
    while (moment != NO_TIME && next <= until && due < end) {
      const taken = load<u32>(due);
      const number = <usize>load<u32>(time.numbers1 + ((<usize>taken) << 2));
      const head = self.heads1 + (number << 2);
      if (next != last || !timeIsOutdone(self, time, head, taken)) {
        store<u32>(head, taken + 1);
        store<u64>(latest + (number << 3), (<u64>storeRow(kept, taken) << 32) | <u64>taken);
      }
      last = next;
      due += 4;
      next = due < end ? load<i64>(times + ((<usize>load<u32>(due)) << 3)) : END;
    }
    do {
      const id = load<u32>(ids + ((<usize>load<u32>(codes + ((<usize>row) << 2))) << 2));
      // Of key number id + 1.
      const pair = load<u64>(latest + ((<usize>id) << 3), 8);
      store<u32>(theirs + ((<usize>row) << 2), <u32>pair);
      store<u32>(cells + ((<usize>row) << 2), <u32>(pair >> 32));
      row++;
    } while (row < count && load<i64>(moments + ((<usize>row) << 3)) - early < next);
  }
  time.at1 = <u32>((due - time.due1) >> 2);
  return listed(self, theirs, cells, count);
}

/** Lists the rows that leave, each with the right one beside it: all where the side is padded, or those that have one. */
function listed(self: Join, theirs: usize, cells: usize, count: u32): u32 {
  const mine = self.found0;
  if (self.padded) {
    let row: u32 = 0;
    if (ASC_FEATURE_SIMD) {
      let rows = i32x4(0, 1, 2, 3);
      for (; row + 4 <= count; row += 4) {
        v128.store(mine + ((<usize>row) << 2), rows);
        rows = i32x4.add(rows, i32x4.splat(4));
      }
    }
    for (; row < count; row++) store<u32>(mine + ((<usize>row) << 2), row);
    return count;
  }
  let found: usize = 0;
  for (let row: u32 = 0; row < count; row++) {
    const other = load<u32>(theirs + ((<usize>row) << 2));
    store<u32>(mine + found, row);
    store<u32>(theirs + found, other);
    store<u32>(cells + found, load<u32>(cells + ((<usize>row) << 2)));
    found += other != NO_ROW ? 4 : 0;
  }
  return <u32>(found >> 2);
}
