// SESSION windows: rows find their keys' sessions, and sessions their accumulators.
//
// Two aggregations stand behind it: one has the groups of keys and no aggregates, the other aggregates without keys,
// whose groups are sessions by their number (window/session.ts). Both are laid out anew, with what is open only, when
// most of the numbers are of sessions that have left.
//
// A push looks at all times before it applies any row, as in window-route.ts; which rows are late is found on the way,
// when their keys are known. Sessions that the watermark has closed are first taken to a list, with what their parts
// hold added, then leave from there.
//
// Where results change (`Sessions.changes`), what has left stays until its lateness is over, and a session that leaves
// early until then, too. Sessions that rows have continued since, or joined, are taken back with the next pull (-D):
// the accumulators of a part are its own, so that its result is still there. What they have become leaves (+I) when
// that is closed, or early.
//
//   due: +0 i64 start  +8 i64 end  +16 u32 key  +20 u32 session  +24 u32 `RowKind`  +28 u32 0

import { Abi, Type } from "../abi/layout";
import { AggregateFlag, RowKind } from "../abi/operator";
import { Status } from "../abi/status";
import { WindowFlag } from "../abi/window";
import { isPairs } from "../aggregate/accumulator";
import { COMBINE_SCRATCH, pairsCombine, pairsCount } from "../aggregate/combine";
import { RESULT_SCRATCH, resultReserve } from "../aggregate/results";
import { bitmapGet } from "../column/bitmap";
import {
  builderReserveBytes,
  outputColumn,
  outputColumns,
  outputDescribe,
  outputRegion,
  outputReserve,
  outputReset,
} from "../column/builder";
import { BITMAP_BYTES, Vector } from "../column/vector";
import { programOutput, programPlace, programRow, programRun } from "../expression/program";
import { Copying, copyAssign, copyPrepare } from "../group/copy";
import { groupTextBytes, groupsEmitKey } from "../group/emit";
import { Tier } from "../group/state";
import { failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock, regionFree, regionHasRoom } from "../memory/region";
import { gatherBegin, gatherEnd, gatherRows } from "../window/gather";
import {
  NO_SESSION,
  SESSIONS_SIZE,
  SessionState,
  Sessions,
  partNext,
  sessionAt,
  sessionCopy,
  sessionDue,
  sessionEnd,
  sessionExtended,
  sessionFirst,
  sessionKey,
  sessionLeave,
  sessionLink,
  sessionNext,
  sessionOf,
  sessionParts,
  sessionState,
  sessionsFirst,
  sessionsInit,
  sessionsRemoveFirst,
  sessionsReserve,
} from "../window/session";
import { shapeHighest } from "../window/shape";
import { combineAccumulators, combineReserve, combineValues, hasPairs } from "./aggregate-combine";
import { aggregateHeadroom } from "./aggregate-headroom";
import { PULL_ROWS, aggregateTextLimit, emitResult, resultTextBytes } from "./aggregate-output";
import { aggregatePrepareResults, aggregateReserveRows, aggregateReserveValues, aggregateTrack } from "./aggregate-reserve";
import { accumulatorAt, aggregationOf, groupsOf, resultAt } from "./aggregation";
import { aggregateApply, aggregateApplyValues, aggregateCreatePart } from "./hash-aggregate";
import { Operator, operatorAllocate, operatorFree } from "./operator";
import {
  Routing,
  boundedWatermark,
  loadAllTimes,
  newestOfAll,
  refuseNull,
  refuseTime,
  timeRange,
  watermarkAfter,
} from "./window-route";
import { Windows, earlyMultiple, gatherOf, shapeOf, windowsOf, windowsProgram } from "./windows";

const ROWS: u32 = Abi.VECTOR_ROWS;
const DUE: usize = 32;
/** Sessions that wait on the list of those that are due, at most; and that are written together. */
const DUE_MOST: u32 = 16384;
const EMIT_ROWS: u32 = 1024;
/** Sessions that leave or are forgotten together, at most. */
const WORK_MOST: u32 = 65536;
/** Numbers below this are not worth laying out anew. */
const LAYOUT_MIN: u32 = 1024;

// @ts-ignore: decorator
@inline
function sessionsOf(self: Windows): Sessions {
  return changetype<Sessions>(self.sessions);
}

// @ts-ignore: decorator
@inline
function dueAt(self: Windows, index: u32): usize {
  return self.due + <usize>index * DUE;
}

/** Makes what sessions need; false with the error recorded when out of memory. */
export function sessionsCreate(context: usize, operator: usize, lateness: i64, early: i64): bool {
  const self = windowsOf(operator);
  self.sessionsEarly = early;
  self.due = regionBlock(operator, <usize>DUE_MOST * DUE);
  if (self.due == 0) {
    failMemory(context, 0);
    return false;
  }
  self.keys = createPart(context, operator, true);
  self.values = self.keys == 0 ? 0 : createPart(context, operator, false);
  self.sessions = self.values == 0 ? 0 : regionBlock(self.values, SESSIONS_SIZE);
  if (self.sessions == 0) {
    sessionsDestroy(context, operator);
    failMemory(context, 0);
    return false;
  }
  const changes: u32 = lateness != 0 || early != 0 ? 1 : 0;
  sessionsInit(sessionsOf(self), self.values, shapeOf(self).length, lateness, changes);
  return true;
}

/** An aggregation of the keys, or of the values by session; 0 when out of memory. */
function createPart(context: usize, operator: usize, keys: bool): usize {
  const part = operatorAllocate(context, changetype<Operator>(operator).kind);
  if (part == 0) return 0;
  if (aggregateCreatePart(context, part, operator, windowsOf(operator).config, keys, !keys)) {
    if (!keys) {
      // Its groups are numbered from outside, and all have rows.
      groupsOf(aggregationOf(part)).tier = Tier.HASH;
      groupsOf(aggregationOf(part)).count = 0;
    }
    return part;
  }
  operatorFree(context, part);
  return 0;
}

export function sessionsDestroy(context: usize, operator: usize): void {
  const self = windowsOf(operator);
  if (self.keys != 0) operatorFree(context, self.keys);
  if (self.values != 0) operatorFree(context, self.values);
  self.keys = 0;
  self.values = 0;
}

// ---- push

/** Looks at the times of the bound batch of `rows` rows. 0, or an error. */
export function sessionsCheck(context: usize, operator: usize, rows: u32, routing: Routing): i32 {
  const self = windowsOf(operator);
  routing.selected = 0;
  routing.all = 0;
  self.sessionsFired = earlyMultiple(self, self.sessionsEarly);
  if ((self.flags & <u32>WindowFlag.KEEP_LATE) != 0 && !outputReset(self.late, rows)) return failMemory(context, 0);
  const program = windowsProgram(operator);
  const highest = shapeHighest(shapeOf(self));
  const drops = (self.flags & <u32>WindowFlag.DROP_NULL_TIME) != 0;
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const selected = programRun(context, program, start, min(ROWS, rows - start));
    if (selected < 0) return selected;
    const times = changetype<Vector>(programOutput(program, self.time));
    const from = times.validity == 0 && selected != 0 && latest(context, times.values, <u32>selected) <= highest ? selected : 0;
    for (let row: u32 = from; row < <u32>selected; row++) {
      if (times.validity != 0 && bitmapGet(times.validity, row) == 0) {
        if (!drops) return refuseNull(context, operator, row);
        continue;
      }
      const time = load<i64>(times.values + ((<usize>row) << 3));
      if (time > highest && !drops) return refuseTime(context, operator, row, time);
    }
    routing.selected += selected;
  }
  return 0;
}

/** The greatest of `rows` times. */
function latest(context: usize, times: usize, rows: u32): i64 {
  const range = scratchTake(context, 16);
  timeRange(times, rows, range);
  return load<i64>(range, 8);
}

/** Makes room for `rows` rows. 0, or OUT_OF_MEMORY with nothing changed. */
export function sessionsReserveRows(context: usize, operator: usize, rows: u32): i32 {
  const self = windowsOf(operator);
  layOut(context, operator);
  const sessions = sessionsOf(self);
  const groups = groupsOf(aggregationOf(self.keys));
  if (
    !aggregateReserveRows(aggregationOf(self.keys), rows, true) ||
    !aggregateReserveValues(aggregationOf(self.values), sessions.count + rows + 1, rows) ||
    !sessionsReserve(sessions, groups.count + rows + 1, rows)
  )
    return failMemory(context, 0);
  const bytes = aggregateHeadroom(self.keys, rows) + aggregateHeadroom(self.values, rows) + (<u64>rows << 5);
  return regionHasRoom(operator, bytes) ? 0 : failMemory(context, <usize>min<u64>(bytes, u32.MAX_VALUE));
}

/** Applies the checked batch: all of it, or nothing and OUT_OF_MEMORY, or the operator fails. */
export function sessionsApply(context: usize, operator: usize, rows: u32, routing: Routing): i32 {
  const self = windowsOf(operator);
  const program = windowsProgram(operator);
  let applied = false;
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const mark = scratchMark(context);
    const whole = min(ROWS, rows - start);
    if (self.flags & <u32>WindowFlag.ALL_TIMES) loadAllTimes(context, operator, start, whole, routing);
    const count = programRun(context, program, start, whole);
    if (count == 0) {
      if (routing.all != 0) moveTo(self, newestOfAll(routing, 0, whole, self.newest));
      scratchReset(context, mark);
      continue;
    }
    // unreached: the program has run for these rows when they were checked
    let status = count < 0 ? count : findKeys(context, self, <u32>count, rows - start);
    if (status == 0 || applied) {
      applied = true;
      if (status == 0) status = applyVector(context, operator, self, <u32>count, routing);
      if (status < 0) changetype<Operator>(operator).failed = 1;
    }
    scratchReset(context, mark);
    if (status < 0) return status;
  }
  return 0;
}

/** What can be refused without a trace: keys may be known then that have no sessions. 0, or OUT_OF_MEMORY. */
function findKeys(context: usize, self: Windows, rows: u32, left: u32): i32 {
  const known = aggregateApply(context, self.keys, rows, left);
  if (known < 0) return known;
  if (!sessionsReserve(sessionsOf(self), groupsOf(aggregationOf(self.keys)).count, 0)) return failMemory(context, 0);
  return aggregateTrack(context, self.values);
}

/** Time goes on to a newest row. */
function moveTo(self: Windows, newest: i64): void {
  self.newest = newest;
  self.watermark = watermarkAfter(self, self.watermark, newest);
}

function applyVector(context: usize, operator: usize, self: Windows, rows: u32, routing: Routing): i32 {
  const numbers = scratchTake(context, (<usize>ROWS) << 2);
  const selection = scratchTake(context, (<usize>ROWS) << 1);
  const times = changetype<Vector>(programOutput(windowsProgram(operator), self.time));
  const isWhole = routing.all == 0 && times.validity == 0;
  const most = isWhole ? latest(context, times.values, rows) : i64.MAX_VALUE;
  const kept =
    most <= shapeHighest(shapeOf(self))
      ? findMost(operator, self, rows, most, numbers, selection)
      : findSessions(operator, self, rows, routing, numbers, selection);
  if (kept == 0) return 0;
  const gather = gatherOf(self);
  if (kept == rows) return aggregateApplyValues(context, self.values, numbers, kept, sessionsOf(self).count);
  gatherBegin(gather);
  gatherRows(gather, selection, kept);
  const status = aggregateApplyValues(context, self.values, numbers, kept, sessionsOf(self).count);
  gatherEnd(gather);
  return status;
}

/** Writes each row's session to `numbers` and its row to `selection`, but for rows that are dropped. How many. */
function findSessions(
  operator: usize,
  self: Windows,
  rows: u32,
  routing: Routing,
  numbers: usize,
  selection: usize,
): u32 {
  const program = windowsProgram(operator);
  const sessions = sessionsOf(self);
  const times = changetype<Vector>(programOutput(program, self.time));
  const keys = aggregationOf(self.keys).numbers;
  const heads = sessions.heads;
  const records = sessions.records;
  const gap = sessions.gap;
  const bound = self.bound;
  const lateness = sessions.lateness;
  const highest = shapeHighest(shapeOf(self));
  let newest = self.newest;
  let watermark = self.watermark;
  let expiry = expiryOf(watermark, lateness);
  let kept: u32 = 0;
  // Rows before this one have moved the watermark.
  let passed: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    if (routing.all != 0) {
      const at = programPlace(program, row);
      const before = newest;
      newest = newestOfAll(routing, passed, at, newest);
      passed = at;
      if (newest > before) {
        watermark = watermarkAfter(self, watermark, newest);
        expiry = expiryOf(watermark, lateness);
      }
    }
    if (times.validity != 0 && bitmapGet(times.validity, row) == 0) {
      self.nullTimes++;
      continue;
    }
    const time = load<i64>(times.values + ((<usize>row) << 3));
    const key = load<u32>(keys + ((<usize>row) << 2));
    const number = time > highest ? NO_SESSION : sessionOf(sessions, heads, records, gap, key, time, expiry);
    if (time > highest) self.nullTimes++;
    else if (number == NO_SESSION) tellLate(self, program, row);
    else {
      store<u32>(numbers + ((<usize>kept) << 2), number);
      store<u16>(selection + ((<usize>kept) << 1), <u16>row);
      kept++;
      if (time <= expiry) tellPartlyLate(self, number, time, expiry);
    }
    if (time > newest) {
      newest = time;
      if (bound >= 0) {
        watermark = max<i64>(watermark, boundedWatermark(newest, bound));
        expiry = expiryOf(watermark, lateness);
      }
    }
  }
  self.newest = newest;
  self.watermark = watermark;
  if (routing.all != 0) moveTo(self, newestOfAll(routing, passed, routing.allRows, newest));
  return kept;
}

/**
 * The same where every row has a time, the newest of them `most`, and only they move the watermark. Nearly all rows
 * continue the first session of their key: one that ends after all that this vector can close, so that the watermark before
 * the row need not be known, and without a branch on which row is the newer one.
 */
function findMost(
  operator: usize,
  self: Windows,
  rows: u32,
  most: i64,
  numbers: usize,
  selection: usize,
): u32 {
  const program = windowsProgram(operator);
  const sessions = sessionsOf(self);
  const times = changetype<Vector>(programOutput(program, self.time)).values;
  const keys = aggregationOf(self.keys).numbers;
  const heads = sessions.heads;
  const records = sessions.records;
  const gap = sessions.gap;
  const lateness = sessions.lateness;
  const limit = expiryOf(watermarkAfter(self, self.watermark, max<i64>(self.newest, most)), lateness);
  let newest = self.newest;
  let kept: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const time = load<i64>(times + ((<usize>row) << 3));
    const key = load<u32>(keys + ((<usize>row) << 2));
    let name = sessionExtended(heads, records, gap, key, time, limit);
    if (name == 0) {
      const expiry = expiryOf(watermarkAfter(self, self.watermark, newest), lateness);
      name = sessionOf(sessions, heads, records, gap, key, time, expiry) + 1;
      if (name == 0) tellLate(self, program, row);
      else if (time <= expiry) tellPartlyLate(self, name - 1, time, expiry);
    }
    newest = max<i64>(newest, time);
    store<u32>(numbers + ((<usize>kept) << 2), name - 1);
    store<u16>(selection + ((<usize>kept) << 1), <u16>row);
    kept += <u32>(name != 0);
  }
  moveTo(self, newest);
  return kept;
}

/** Up to where sessions must have ended to take nothing any more. */
// @ts-ignore: decorator
@inline
function expiryOf(watermark: i64, lateness: i64): i64 {
  return watermark < i64.MIN_VALUE + lateness ? i64.MIN_VALUE : watermark - lateness;
}

function tellLate(self: Windows, program: usize, row: u32): void {
  self.lateRows++;
  if ((self.flags & <u32>WindowFlag.KEEP_LATE) == 0) return;
  store<u32>(outputColumn(self.late, 0).values + ((<usize>self.lateCount) << 2), programRow(program, row));
  self.lateCount++;
}

/**
 * Counts a row behind what may be forgotten where its session begins with it: one that is gone may have reached it. None
 * is before there is a watermark, and none ends at the first tick.
 */
function tellPartlyLate(self: Windows, number: u32, time: i64, expiry: i64): void {
  if (expiry == i64.MIN_VALUE) return;
  self.partlyLateRows += <u64>(sessionFirst(sessionAt(sessionsOf(self), number)) >= time);
}

// ---- pull

/** Whether a session has been closed and not left yet, or is to be taken back or to leave early. */
export function sessionsAreDue(operator: usize): bool {
  const self = windowsOf(operator);
  return self.dueCount != 0 || sessionsOf(self).retractedCount != 0 || nextIsDue(self) || isEarlyDue(self);
}

function isEarlyDue(self: Windows): bool {
  return self.sessionsEarly != 0 && sessionsOf(self).open != 0 && earlyMultiple(self, self.sessionsEarly) > self.sessionsFired;
}

function nextIsDue(self: Windows): bool {
  const sessions = sessionsOf(self);
  const number = sessionsFirst(sessions, self.watermark);
  return number != NO_SESSION && sessionDue(sessions, sessionAt(sessions, number)) <= self.watermark;
}

/** Sessions that are open, or closed and have not left. */
export function sessionsHeld(operator: usize): u32 {
  const self = windowsOf(operator);
  return sessionsOf(self).open + self.dueCount - self.dueFirst;
}

/** Writes the next results to `out`. */
export function sessionsPull(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const self = windowsOf(operator);
  const output = aggregationOf(operator).output;
  if (!outputReset(output, 0)) return failMemory(context, 0);
  if (self.dueCount == 0 && sessionsAreDue(operator)) {
    const taken = takeDue(context, operator);
    if (taken < 0) return taken;
  }
  if (self.dueCount != 0) {
    const rows = emitDue(context, operator, min(maxRows, PULL_ROWS), aggregateTextLimit(maxBytes));
    if (rows < 0) {
      if (rows != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
      return rows;
    }
    outputDescribe(output, out, rows, 0);
  } else outputDescribe(output, out, 0, 0);
  if (sessionsAreDue(operator)) return Status.HAS_MORE;
  return changetype<Operator>(operator).ended ? Status.FINISHED : Status.NEED_INPUT;
}

/** Takes closed sessions to the list, first those that end first. 0, or an error. */
function takeDue(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  const sessions = sessionsOf(self);
  const before = sessions.parts;
  const map = before == 0 ? <usize>0 : partsMap(self);
  if (before != 0 && (map == 0 || !combineAccumulators(self.values, self.values))) {
    regionFree(self.values, map);
    return failMemory(context, 0);
  }
  self.dueFirst = 0;
  takeRetracted(self);
  // Sessions that are only forgotten are work, too.
  for (let work: u32 = 0; work < WORK_MOST && self.dueCount < DUE_MOST && nextIsDue(self); work++) {
    const number = sessionsFirst(sessions, self.watermark);
    const record = sessionAt(sessions, number);
    if (sessionState(record) == <u32>SessionState.LEFT) {
      sessionsRemoveFirst(sessions);
      continue;
    }
    if (sessionParts(record) != 0 && !addParts(context, self, number, map)) return failParts(context, operator, map);
    addDue(self, number, RowKind.INSERT);
    if (sessions.lateness != 0) sessionLeave(sessions, number);
    else sessionsRemoveFirst(sessions);
  }
  if (!nextIsDue(self) && isEarlyDue(self) && !takeEarly(context, self, map)) return failParts(context, operator, map);
  if (sessions.parts != before && !movePairs(self, self.values, map)) return failParts(context, operator, map);
  regionFree(self.values, map);
  return 0;
}

function addDue(self: Windows, number: u32, kind: RowKind): void {
  const sessions = sessionsOf(self);
  const record = sessionAt(sessions, number);
  const due = dueAt(self, self.dueCount);
  store<i64>(due, sessionFirst(record));
  store<i64>(due, sessionEnd(sessions, record), 8);
  store<u32>(due, sessionKey(record), 16);
  store<u32>(due, number, 20);
  store<u64>(due, <u64>kind, 24);
  self.dueCount++;
}

/** What has left and has become a part since: last first, as the order is of no account. */
function takeRetracted(self: Windows): void {
  const sessions = sessionsOf(self);
  while (sessions.retractedCount != 0 && self.dueCount < DUE_MOST) {
    sessions.retractedCount--;
    addDue(self, load<u32>(sessions.retracted + ((<usize>sessions.retractedCount) << 2)), RowKind.DELETE);
  }
}

/** Lets sessions leave that are open and not as they left before. False when out of memory. */
function takeEarly(context: usize, self: Windows, map: usize): bool {
  const sessions = sessionsOf(self);
  for (; self.sessionsNext < sessions.count && self.dueCount < DUE_MOST; self.sessionsNext++) {
    const number = self.sessionsNext;
    const record = sessionAt(sessions, number);
    if (sessionState(record) != <u32>SessionState.OPEN) continue;
    if (sessionParts(record) != 0 && !addParts(context, self, number, map)) return false;
    addDue(self, number, RowKind.INSERT);
    sessionLeave(sessions, number);
  }
  if (self.sessionsNext < sessions.count) return true;
  self.sessionsNext = 0;
  self.sessionsFired = earlyMultiple(self, self.sessionsEarly);
  return true;
}

/** Sums that were half added are of no use. */
function failParts(context: usize, operator: usize, map: usize): i32 {
  changetype<Operator>(operator).failed = 1;
  regionFree(windowsOf(operator).values, map);
  return failMemory(context, 0);
}

/** For each number (u32) the session that it is added to, none yet; 0 when out of memory. */
function partsMap(self: Windows): usize {
  const bytes = (<usize>sessionsOf(self).count) << 2;
  const map = regionBlock(self.values, max<usize>(bytes, 64));
  if (map != 0) memory.fill(map, 0xff, bytes);
  return map;
}

/** Adds what a session's parts hold to its own, but for distinct values. False when out of memory. */
function addParts(context: usize, self: Windows, number: u32, map: usize): bool {
  const sessions = sessionsOf(self);
  const mark = scratchMark(context);
  const list = scratchTake(context, (<usize>ROWS) << 2);
  const numbers = scratchTake(context, (<usize>ROWS) << 2);
  const scratch = scratchTake(context, COMBINE_SCRATCH);
  let ok = true;
  let part = sessionParts(sessionAt(sessions, number));
  while (part != 0 && ok) {
    let count: u32 = 0;
    for (; part != 0 && count < ROWS; part = partNext(sessionAt(sessions, part - 1))) {
      store<u32>(list + ((<usize>count) << 2), part - 1);
      store<u32>(numbers + ((<usize>count) << 2), number);
      store<u32>(map + ((<usize>(part - 1)) << 2), number);
      count++;
    }
    ok =
      combineReserve(self.values, self.values, list, count) &&
      combineValues(self.values, self.values, list, numbers, count, scratch);
  }
  scratchReset(context, mark);
  return ok;
}

/** Adds the distinct values of the numbers that `map` names. False when out of memory. */
function movePairs(self: Windows, target: usize, map: usize): bool {
  const from = aggregationOf(self.values);
  if (!hasPairs(from)) return true;
  for (let index: u32 = 0; index < from.accumulatorCount; index++) {
    const accumulator = accumulatorAt(from, index);
    if (!isPairs(accumulator)) continue;
    const to = accumulatorAt(aggregationOf(target), index);
    // What is added to the same set comes behind its end.
    const pairs = pairsCount(accumulator);
    for (let first: i64 = 0; first < <i64>pairs; ) {
      first = pairsCombine(to, accumulator, map, <u32>first, pairs);
      if (first < 0) return false;
    }
  }
  return true;
}

/** Appends sessions of the list to the output: how many, or an error, after which none are. */
function emitDue(context: usize, operator: usize, limit: u32, bytes: u64): i32 {
  const self = windowsOf(operator);
  const output = aggregationOf(operator).output;
  if (!aggregatePrepareResults(context, aggregationOf(self.values))) return failMemory(context, 0);
  const keys = scratchTake(context, (<usize>EMIT_ROWS) << 2);
  const numbers = scratchTake(context, (<usize>EMIT_ROWS) << 2);
  const scratch = scratchTake(context, RESULT_SCRATCH);
  let rows: u32 = 0;
  let total: u64 = 0;
  while (rows < limit && self.dueFirst < self.dueCount) {
    let count: u32 = 0;
    const most = min<u32>(min<u32>(EMIT_ROWS, limit - rows), self.dueCount - self.dueFirst);
    for (; count < most; count++) {
      const due = dueAt(self, self.dueFirst + count);
      const size = textBytes(self, load<u32>(due, 16), load<u32>(due, 20), scratch);
      if (total + size > bytes && (rows != 0 || count != 0)) break;
      total += size;
      store<u32>(keys + ((<usize>count) << 2), load<u32>(due, 16));
      store<u32>(numbers + ((<usize>count) << 2), load<u32>(due, 20));
    }
    if (count == 0) break;
    if (!reserveRows(self, output, keys, numbers, count, scratch)) {
      // Rows that are in the output already leave first.
      if (rows != 0) break;
      return failMemory(context, 0);
    }
    const mark = scratchMark(context);
    const status = emitRows(context, self, output, keys, numbers, count, scratch);
    scratchReset(context, mark);
    if (status < 0) return status;
    self.dueFirst += count;
    rows += count;
    if (total >= bytes) break;
  }
  if (self.dueFirst == self.dueCount) {
    self.dueFirst = 0;
    self.dueCount = 0;
  }
  return rows;
}

function textBytes(self: Windows, key: u32, number: u32, scratch: usize): u64 {
  const groups = groupsOf(aggregationOf(self.keys));
  const values = aggregationOf(self.values);
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++) bytes += groupTextBytes(groups, index, key, scratch);
  for (let index: u32 = 0; index < values.resultCount; index++) bytes += resultTextBytes(values, index, number);
  return bytes;
}

function reserveRows(
  self: Windows,
  output: usize,
  keys: usize,
  numbers: usize,
  count: u32,
  scratch: usize,
): bool {
  if (!outputReserve(output, count)) return false;
  const groups = groupsOf(aggregationOf(self.keys));
  const values = aggregationOf(self.values);
  for (let column: u32 = 0; column < groups.keyCount + values.resultCount; column++) {
    const builder = outputColumn(output, values.firstColumn + column);
    if (builder.type != <u32>Type.BYTES) continue;
    let bytes: usize = 0;
    let longest: u32 = 0;
    for (let at: usize = 0; at < (<usize>count) << 2; at += 4) {
      const length =
        column < groups.keyCount
          ? groupTextBytes(groups, column, load<u32>(keys + at), scratch)
          : resultTextBytes(values, column - groups.keyCount, load<u32>(numbers + at));
      bytes += length;
      longest = max(longest, length);
    }
    if (column >= groups.keyCount && !resultReserve(resultAt(values, column - groups.keyCount), longest)) return false;
    if (!builderReserveBytes(outputRegion(output), builder, bytes)) return false;
  }
  return true;
}

function emitRows(
  context: usize,
  self: Windows,
  output: usize,
  keys: usize,
  numbers: usize,
  count: u32,
  scratch: usize,
): i32 {
  const starts = outputColumn(output, 0);
  const ends = outputColumn(output, 1);
  for (let index: u32 = 0; index < count; index++) {
    const due = dueAt(self, self.dueFirst + index);
    store<i64>(starts.values + ((<usize>(starts.length + index)) << 3), load<i64>(due));
    store<i64>(ends.values + ((<usize>(ends.length + index)) << 3), load<i64>(due, 8));
  }
  if ((aggregationOf(self.values).flags & <u32>AggregateFlag.CHANGELOG) != 0) {
    const kinds = outputColumn(output, outputColumns(output) - 1);
    for (let index: u32 = 0; index < count; index++)
      store<u8>(kinds.values + <usize>(kinds.length + index), load<u8>(dueAt(self, self.dueFirst + index), 24));
    kinds.length += count;
  }
  starts.length += count;
  ends.length += count;
  const groups = groupsOf(aggregationOf(self.keys));
  const values = aggregationOf(self.values);
  for (let index: u32 = 0; index < groups.keyCount; index++)
    groupsEmitKey(groups, index, keys, count, outputColumn(output, values.firstColumn + index), scratch);
  for (let index: u32 = 0; index < values.resultCount; index++) {
    const mark = scratchMark(context);
    const status = emitResult(context, self.values, index, numbers, count, scratch);
    scratchReset(context, mark);
    if (status < 0) return status;
  }
  return 0;
}

// ---- laying out anew

/** Gives back what sessions that have left still take, when that is most of it; none is due. Not when out of memory. */
function layOut(context: usize, operator: usize): void {
  const self = windowsOf(operator);
  const sessions = sessionsOf(self);
  const held = sessions.open + sessions.parts;
  if (sessions.count < LAYOUT_MIN || sessions.count - held < held) return;
  const keys = createPart(context, operator, true);
  const values = keys == 0 ? <usize>0 : createPart(context, operator, false);
  const fresh = values == 0 ? <usize>0 : regionBlock(values, SESSIONS_SIZE);
  if (fresh != 0) sessionsInit(changetype<Sessions>(fresh), values, sessions.gap, sessions.lateness, sessions.changes);
  if (fresh != 0) changetype<Sessions>(fresh).wantsIndex = sessions.wantsIndex;
  const mark = scratchMark(context);
  const done = fresh != 0 && copyOpen(context, self, keys, values, changetype<Sessions>(fresh));
  scratchReset(context, mark);
  if (!done) {
    if (keys != 0) operatorFree(context, keys);
    if (values != 0) operatorFree(context, values);
    return;
  }
  sessionsDestroy(context, operator);
  self.keys = keys;
  self.values = values;
  self.sessions = fresh;
}

function copyOpen(context: usize, self: Windows, keys: usize, values: usize, fresh: Sessions): bool {
  const old = sessionsOf(self);
  const held = old.open + old.parts;
  if (!aggregateReserveValues(aggregationOf(values), held + 1, 0) || !combineAccumulators(values, self.values)) return false;
  const map = regionBlock(values, max<usize>((<usize>old.count) << 2, 64));
  if (map == 0) return false;
  memory.fill(map, 0xff, (<usize>old.count) << 2);
  const ok =
    copyKeys(context, self, keys, fresh, map) &&
    copyValues(context, self, values, map) &&
    movePairs(self, values, map);
  regionFree(values, map);
  const to = aggregationOf(values);
  groupsOf(to).count = fresh.count;
  changetype<Operator>(values).rowsSelected = changetype<Operator>(self.values).rowsSelected;
  return ok;
}

/** Copies the keys that have sessions, and those; `map` then says which old number is which new one. */
function copyKeys(context: usize, self: Windows, keys: usize, fresh: Sessions, map: usize): bool {
  const old = sessionsOf(self);
  if (!sessionsReserve(fresh, 0, old.open)) return false;
  const from = groupsOf(aggregationOf(self.keys));
  const to = groupsOf(aggregationOf(keys));
  const list = scratchTake(context, (<usize>ROWS) << 2);
  const numbers = scratchTake(context, (<usize>ROWS) << 2);
  const bitmaps = scratchTake(context, max<usize>(1, to.keyCount) * BITMAP_BYTES);
  const scratch = scratchTake(context, RESULT_SCRATCH);
  for (let key: u32 = 0; key < from.count; ) {
    let count: u32 = 0;
    for (; key < from.count && count < ROWS; key++) {
      store<u32>(list + ((<usize>count) << 2), key);
      count += <u32>(key < old.headCapacity && load<u32>(old.heads + ((<usize>key) << 2)) != 0);
    }
    if (count == 0) break;
    const copying = copyPrepare(to, from, list, count, false, bitmaps, scratch);
    if (copying == Copying.FAILED || !copyAssign(to, from, list, count, numbers, copying)) return false;
    if (!sessionsReserve(fresh, to.count, 0)) return false;
    for (let index: usize = 0; index < <usize>count; index++) {
      let link: usize = 0;
      const head = load<u32>(old.heads + ((<usize>load<u32>(list + (index << 2))) << 2));
      for (let name = head; name != 0; name = sessionNext(sessionAt(old, name - 1))) {
        const number = sessionCopy(fresh, load<u32>(numbers + (index << 2)), old, name - 1, link);
        link = sessionLink(fresh, number);
        store<u32>(map + ((<usize>(name - 1)) << 2), number);
        for (let part = sessionParts(sessionAt(old, name - 1)); part != 0; part = partNext(sessionAt(old, part - 1)))
          store<u32>(map + ((<usize>(part - 1)) << 2), number);
      }
    }
  }
  return true;
}

function copyValues(context: usize, self: Windows, values: usize, map: usize): bool {
  const old = sessionsOf(self);
  const list = scratchTake(context, (<usize>ROWS) << 2);
  const numbers = scratchTake(context, (<usize>ROWS) << 2);
  const scratch = scratchTake(context, COMBINE_SCRATCH);
  for (let at: u32 = 0; at < old.count; ) {
    let count: u32 = 0;
    for (; at < old.count && count < ROWS; at++) {
      const number = load<u32>(map + ((<usize>at) << 2));
      store<u32>(list + ((<usize>count) << 2), at);
      store<u32>(numbers + ((<usize>count) << 2), number);
      count += <u32>(number != NO_SESSION);
    }
    if (count == 0) break;
    if (!combineReserve(values, self.values, list, count)) return false;
    if (!combineValues(values, self.values, list, numbers, count, scratch)) return false;
  }
  return true;
}
