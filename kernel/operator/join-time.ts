// Joins by time: WITHIN (interval joins) and BACKWARD, FORWARD, NEAREST (as-of joins).
//
// When the watermarks of both sides have passed a time, all rows up to it are at hand. They are put in the order of
// time, and both sides are gone through once, as in a merge; what earlier rows leave behind for later ones stands
// per key number:
//   WITHIN     the right rows of the key, latest first: a left row meets them until one is too early
//   BACKWARD   the latest right row of the key
//   FORWARD    the left rows of the key that no right row has come after yet
//   NEAREST    both
// So a row costs the same however many rows its key has, nothing is searched for, and a sweep over all rows (a
// batch) is the same as many over few (a stream). Right rows of one key and time are told apart by their content.
//
// What is due is found by a look at all that waits. That is in proportion to the disorder that the watermarks
// allow for, in each sweep; a heap would make it a logarithm for each row, and slower where pushes are large.

import { JoinTime, JoinType } from "../abi/operator";
import { NO_KEY } from "../join/keys";
import { storeCompare } from "../join/compare";
import { NO_ROW } from "../join/gather";
import { storeMatched, storeNext } from "../join/store";
import { orderByTime } from "../join/time-order";
import { failMemory } from "../memory/context";
import { regionBlock, regionFree } from "../memory/region";
import { timeCompact } from "./join-compact";
import { Join, Phase, joinPreserves, joinStep, joinStore } from "./join-state";
import {
  Direct,
  END,
  NO_TIME,
  TimeJoin,
  addTime,
  distance,
  leftLimit,
  timeFrontier,
  timeIsAsOf,
  timeOf,
} from "./join-time-state";

/** Rows that a step looks at, at most. */
const SCAN_ROWS: u32 = 1 << 16;

// @ts-ignore: decorator
@inline
function rowAt(list: usize, at: u32): u32 {
  return load<u32>(list + ((<usize>at) << 2));
}

// @ts-ignore: decorator
@inline
function timeAt(times: usize, row: u32): i64 {
  return load<i64>(times + ((<usize>row) << 3));
}

/** Finds the next rows that leave, or does some of the work that leads to them. Negative status with the error recorded. */
export function timeAdvance(context: usize, self: Join): i32 {
  const time = timeOf(self);
  switch (self.phase) {
    case Phase.PAIRS:
      if (time.lone < time.at0) findLone(self, time);
      else if (time.at0 < time.dueCount0 || time.at1 < time.dueCount1 || time.group < time.at1) sweep(self, time);
      else beginScan(self, time);
      return 0;
    case Phase.SCAN:
      if (time.mode == <u32>JoinTime.WITHIN) evict(self, time);
      else answer(self, time);
      return 0;
    default:
      return begin(context, self, time);
  }
}

// ---- what is due

/** Puts the rows that the watermarks have passed in the order of time. */
function begin(context: usize, self: Join, time: TimeJoin): i32 {
  if (time.direct != <u32>Direct.AT_WORK) timeCompact(self);
  const target = timeFrontier(time);
  const limit = leftLimit(time, target);
  const most = max(
    unsorted(time.waiting0, time.waitingCount0, time.times0, limit),
    unsorted(time.waiting1, time.waitingCount1, time.times1, target),
  );
  const region = joinStore(self, 0).region;
  if (!reserveDue(time, region, 0, limit) || !reserveDue(time, region, 1, target)) return failMemory(context, 0);
  const words: usize = most == 0 ? 0 : regionBlock(region, (<usize>most) << 4);
  if (most != 0 && words == 0) return failMemory(context, 0);
  takeDue(context, time, 0, limit, words, most);
  takeDue(context, time, 1, target, words, most);
  regionFree(region, words);
  time.target = target;
  time.at0 = 0;
  time.at1 = 0;
  time.lone = 0;
  time.group = 0;
  self.chain = 0;
  self.phase = Phase.PAIRS;
  return 0;
}

/** Puts all right rows in the order of time, for a sweep that left pushes go on with. False when out of memory. */
export function timePrepareRight(context: usize, self: Join, time: TimeJoin): bool {
  const region = joinStore(self, 0).region;
  const most = unsorted(time.waiting1, time.waitingCount1, time.times1, END);
  if (!reserveDue(time, region, 1, END)) return false;
  const words: usize = most == 0 ? 0 : regionBlock(region, (<usize>most) << 4);
  if (most != 0 && words == 0) return false;
  takeDue(context, time, 1, END, words, most);
  regionFree(region, words);
  time.at1 = 0;
  time.last0 = NO_TIME;
  time.direct = Direct.AT_WORK;
  return true;
}

/** How many of the waiting rows are due, where they did not come in order; else 0. */
function unsorted(waiting: usize, count: u32, times: usize, limit: i64): u32 {
  let due: u32 = 0;
  let last = NO_TIME;
  let isSorted = true;
  for (let at: u32 = 0; at < count; at++) {
    const moment = timeAt(times, rowAt(waiting, at));
    if (moment > limit) continue;
    due++;
    if (moment < last) isSorted = false;
    last = moment;
  }
  return isSorted ? 0 : due;
}

function reserveDue(time: TimeJoin, region: usize, port: u32, limit: i64): bool {
  const waiting = port == 0 ? time.waiting0 : time.waiting1;
  const count = port == 0 ? time.waitingCount0 : time.waitingCount1;
  const times = port == 0 ? time.times0 : time.times1;
  let due: u32 = 0;
  for (let at: u32 = 0; at < count; at++) due += timeAt(times, rowAt(waiting, at)) <= limit ? 1 : 0;
  if (due <= (port == 0 ? time.dueRoom0 : time.dueRoom1)) return true;
  const block = regionBlock(region, (<usize>due) << 2);
  if (block == 0) return false;
  regionFree(region, port == 0 ? time.due0 : time.due1);
  if (port == 0) {
    time.due0 = block;
    time.dueRoom0 = due;
  } else {
    time.due1 = block;
    time.dueRoom1 = due;
  }
  return true;
}

function takeDue(context: usize, time: TimeJoin, port: u32, limit: i64, words: usize, room: u32): void {
  const waiting = port == 0 ? time.waiting0 : time.waiting1;
  const count = port == 0 ? time.waitingCount0 : time.waitingCount1;
  const times = port == 0 ? time.times0 : time.times1;
  const due = port == 0 ? time.due0 : time.due1;
  let taken: u32 = 0;
  let left: u32 = 0;
  let last = NO_TIME;
  let least = END;
  let isSorted = true;
  for (let at: u32 = 0; at < count; at++) {
    const row = rowAt(waiting, at);
    const moment = timeAt(times, row);
    if (moment <= limit) {
      store<u32>(due + ((<usize>taken) << 2), row);
      taken++;
      if (moment < last) isSorted = false;
      last = moment;
    } else {
      store<u32>(waiting + ((<usize>left) << 2), row);
      left++;
      least = min(least, moment);
    }
  }
  if (!isSorted) orderByTime(context, due, times, taken, words, words + ((<usize>room) << 3));
  if (port == 0) {
    time.dueCount0 = taken;
    time.waitingCount0 = left;
    time.least0 = least;
  } else {
    time.dueCount1 = taken;
    time.waitingCount1 = left;
    time.least1 = least;
  }
}

// ---- the sweep

function sweep(self: Join, time: TimeJoin): void {
  if (time.mode == <u32>JoinTime.WITHIN) {
    sweepWithin(self, time);
    return;
  }
  self.ready = time.mode == <u32>JoinTime.BACKWARD ? sweepBackward(self, time) : sweepForward(self, time);
  self.sides = 3;
}

function sweepWithin(self: Join, time: TimeJoin): void {
  const other = joinStore(self, 1);
  const most = joinStep(self);
  const end = time.at0 + min<u32>(time.dueCount0 - time.at0, SCAN_ROWS);
  let found: u32 = 0;
  let link = self.chain;
  while (time.at0 < end && found < most) {
    const row = rowAt(time.due0, time.at0);
    const moment = timeAt(time.times0, row);
    if (link == 0) {
      enter(self, time, addTime(moment, time.high));
      const number = rowAt(time.numbers0, row);
      if (number != NO_KEY) link = rowAt(self.heads1, number);
    }
    while (link != 0 && found < most) {
      const apart = distance(moment, timeAt(time.times1, link - 1));
      if (apart < time.low) {
        link = 0;
        break;
      }
      if (apart <= time.high) {
        store<u32>(self.found0 + ((<usize>found) << 2), row);
        store<u32>(self.found1 + ((<usize>found) << 2), link - 1);
        found++;
      }
      link = load<u32>(storeNext(other, link - 1));
    }
    if (link != 0) break;
    time.at0++;
  }
  self.chain = link;
  self.candidates = found;
  if (time.at0 == time.dueCount0) enter(self, time, END);
  time.group = time.at1;
}

function keep(time: TimeJoin, row: u32): void {
  store<u32>(time.kept + ((<usize>time.keptEnd) << 2), row);
  time.keptEnd++;
}

/** Right rows up to a time come into the reach of left ones. */
function enter(self: Join, time: TimeJoin, until: i64): void {
  const other = joinStore(self, 1);
  while (time.at1 < time.dueCount1) {
    const row = rowAt(time.due1, time.at1);
    if (timeAt(time.times1, row) > until) return;
    const number = rowAt(time.numbers1, row);
    if (number != NO_KEY) {
      const head = self.heads1 + ((<usize>number) << 2);
      store<u32>(storeNext(other, row), load<u32>(head));
      store<u32>(head, row + 1);
    }
    keep(time, row);
    time.at1++;
  }
}

/** Left rows of the sweep that leave alone, now that all their matches are known. */
function findLone(self: Join, time: TimeJoin): void {
  const kept = joinStore(self, 0);
  const without = joinPreserves(self, 0) || self.type == <u32>JoinType.ANTI;
  if (timeIsAsOf(time) || !without) {
    time.lone = time.at0;
    return;
  }
  const end = time.lone + min<u32>(time.at0 - time.lone, joinStep(self));
  let found: u32 = 0;
  for (; time.lone < end; time.lone++) {
    const row = rowAt(time.due0, time.lone);
    store<u32>(self.found0 + ((<usize>found) << 2), row);
    found += load<u8>(storeMatched(kept, row)) ? 0 : 1;
  }
  self.ready = found;
  self.sides = 1;
}

function sweepBackward(self: Join, time: TimeJoin): u32 {
  const outer: u32 = self.padded;
  const most = joinStep(self);
  const end = time.at0 + min<u32>(time.dueCount0 - time.at0, SCAN_ROWS);
  const bound = time.bounded ? time.high : END;
  let found: u32 = 0;
  for (; time.at0 < end && found < most; time.at0++) {
    const row = rowAt(time.due0, time.at0);
    const moment = timeAt(time.times0, row);
    if (moment != NO_TIME) timeTake(self, time, time.strict ? moment - 1 : moment);
    const number = rowAt(time.numbers0, row);
    let link = number == NO_KEY ? 0 : rowAt(self.heads1, number);
    if (link != 0 && distance(timeAt(time.times1, link - 1), moment) > bound) link = 0;
    store<u32>(self.found0 + ((<usize>found) << 2), row);
    store<u32>(self.found1 + ((<usize>found) << 2), link - 1);
    found += link != 0 ? 1 : outer;
  }
  if (time.at0 == time.dueCount0) timeTake(self, time, END);
  time.group = time.at1;
  return found;
}

/** Right rows up to a time become the latest of their keys. */
export function timeTake(self: Join, time: TimeJoin, until: i64): void {
  const times = time.times1;
  const due = time.due1;
  const end = time.dueCount1;
  const heads = self.heads1;
  let at = time.at1;
  // Rows of one time follow each other; what came before the first of a sweep is not known here.
  let last = at == 0 ? NO_TIME : timeAt(times, rowAt(due, at - 1));
  for (let first = at == 0; at < end; at++) {
    const row = rowAt(due, at);
    const moment = timeAt(times, row);
    if (moment > until) break;
    // Right rows without a key match nothing and never leave: none of them has waited.
    const head = heads + ((<usize>rowAt(time.numbers1, row)) << 2);
    // Of rows of one time the last by content counts.
    if ((moment != last && !first) || !timeIsOutdone(self, time, head, row)) store<u32>(head, row + 1);
    last = moment;
    first = false;
  }
  time.at1 = at;
}

/** Whether the row at the head is of the same time, and counts before this one. */
export function timeIsOutdone(self: Join, time: TimeJoin, head: usize, row: u32): bool {
  const before = load<u32>(head);
  if (before == 0 || timeAt(time.times1, before - 1) != timeAt(time.times1, row)) return false;
  return storeCompare(joinStore(self, 1), before - 1, row) > 0;
}

/** The time of the right row that `timeTake` takes next; END when there is none. */
export function timeNext(time: TimeJoin): i64 {
  return time.at1 < time.dueCount1 ? timeAt(time.times1, rowAt(time.due1, time.at1)) : END;
}

/** FORWARD and NEAREST: right rows answer the left ones of their key that came before them. */
function sweepForward(self: Join, time: TimeJoin): u32 {
  const most = joinStep(self);
  const nearest = time.mode == <u32>JoinTime.NEAREST;
  let patience = SCAN_ROWS;
  let found: u32 = 0;
  while (found < most && patience-- != 0) {
    if (time.group < time.at1) {
      found = answerFrom(self, time, rowAt(time.due1, time.group), found, most);
      if (self.chain != 0) break;
      time.group++;
      continue;
    }
    const next = time.at1 < time.dueCount1 ? timeAt(time.times1, rowAt(time.due1, time.at1)) : END;
    // Of equal times the left row waits for the right one, unless it finds it behind itself.
    const behind = nearest && !time.strict && time.at1 < time.dueCount1 && next != NO_TIME;
    const last = behind ? next - 1 : next;
    if (time.at0 < time.dueCount0 && timeAt(time.times0, rowAt(time.due0, time.at0)) <= last) {
      found = wait(self, time, rowAt(time.due0, time.at0++), found);
      continue;
    }
    if (time.at1 == time.dueCount1) break;
    timeTake(self, time, next);
  }
  time.lone = time.at0;
  return found;
}

/** A left row waits for a right one after it, unless it need not. */
function wait(self: Join, time: TimeJoin, row: u32, found: u32): u32 {
  const number = rowAt(time.numbers0, row);
  if (number == NO_KEY) return give(self, row, NO_ROW, found);
  if (time.mode == <u32>JoinTime.NEAREST) {
    const before = rowAt(self.heads1, number);
    store<u32>(time.partners + ((<usize>row) << 2), before);
    if (before != 0 && timeAt(time.times1, before - 1) == timeAt(time.times0, row))
      return give(self, row, before - 1, found);
  }
  chain(self, row, number);
  keep(time, row);
  return found;
}

function chain(self: Join, row: u32, number: u32): void {
  const head = self.heads0 + ((<usize>number) << 2);
  store<u32>(storeNext(joinStore(self, 0), row), load<u32>(head));
  store<u32>(head, row + 1);
}

/** The left rows that wait for a right row, as far as the step goes; the rest is at `self.chain` then. */
function answerFrom(self: Join, time: TimeJoin, row: u32, found: u32, most: u32): u32 {
  const number = rowAt(time.numbers1, row);
  // Only the one that its time's others gave way to.
  if (rowAt(self.heads1, number) != row + 1) return found;
  const kept = joinStore(self, 0);
  const moment = timeAt(time.times1, row);
  let link = self.chain;
  if (link == 0) {
    const head = self.heads0 + ((<usize>number) << 2);
    link = load<u32>(head);
    store<u32>(head, 0);
  }
  while (link != 0 && found < most) {
    const waiter = link - 1;
    link = load<u32>(storeNext(kept, waiter));
    if (load<u8>(storeMatched(kept, waiter))) continue;
    const first = timeAt(time.times0, waiter);
    if (time.strict && first == moment) {
      chain(self, waiter, number);
      continue;
    }
    time.keptDone++;
    found = give(self, waiter, choose(time, waiter, first, row, distance(first, moment)), found);
  }
  self.chain = link;
  return found;
}

/** The right row for a left one: the one after it, the one before it, or neither where they are too far away. */
function choose(time: TimeJoin, waiter: u32, moment: i64, after: u32, ahead: i64): u32 {
  const before: u32 = time.mode == <u32>JoinTime.NEAREST ? rowAt(time.partners, waiter) : 0;
  const bound = time.bounded ? time.high : END;
  if (before != 0) {
    const behind = distance(timeAt(time.times1, before - 1), moment);
    if (after == NO_ROW || behind <= ahead) return behind <= bound ? before - 1 : NO_ROW;
  }
  return after != NO_ROW && ahead <= bound ? after : NO_ROW;
}

/** A left row has its answer. */
function give(self: Join, row: u32, partner: u32, found: u32): u32 {
  store<u8>(storeMatched(joinStore(self, 0), row), 1);
  store<u32>(self.found0 + ((<usize>found) << 2), row);
  store<u32>(self.found1 + ((<usize>found) << 2), partner);
  return found + (partner != NO_ROW ? 1 : self.padded);
}

// ---- after the sweep

function beginScan(self: Join, time: TimeJoin): void {
  time.scan = time.keptFirst;
  time.write = time.keptFirst;
  self.phase = Phase.SCAN;
}

function finish(self: Join, time: TimeJoin): void {
  time.swept = time.target;
  self.phase = Phase.IDLE;
}

/** WITHIN: right rows that no left one can match any more. */
function evict(self: Join, time: TimeJoin): void {
  const kept = joinStore(self, 1);
  const leave = joinPreserves(self, 1);
  const last = time.target == END ? END : addTime(time.target, time.low - time.high);
  const most = joinStep(self);
  let found: u32 = 0;
  let more = false;
  for (let patience = SCAN_ROWS; time.keptFirst < time.keptEnd; time.keptFirst++) {
    const row = rowAt(time.kept, time.keptFirst);
    if (timeAt(time.times1, row) > last) break;
    if (found == most || patience-- == 0) {
      more = true;
      break;
    }
    store<u32>(self.found1 + ((<usize>found) << 2), row);
    if (leave) found += load<u8>(storeMatched(kept, row)) ? 0 : 1;
  }
  self.ready = found;
  self.sides = 2;
  if (!more) finish(self, time);
}

/** FORWARD and NEAREST: left rows whose answer no right row to come can change. */
function answer(self: Join, time: TimeJoin): void {
  const last = time.target == END;
  const forward = time.mode == <u32>JoinTime.FORWARD;
  // Nothing but a right row answers them then; those that are answered go when they are the half.
  const needless = forward && !time.bounded && !last && time.keptDone << 1 < time.keptEnd - time.keptFirst;
  if (time.mode == <u32>JoinTime.BACKWARD || needless) {
    finish(self, time);
    return;
  }
  const kept = joinStore(self, 0);
  const most = joinStep(self);
  let found: u32 = 0;
  let patience = SCAN_ROWS;
  for (; time.scan < time.keptEnd && found < most && patience-- != 0; time.scan++) {
    const row = rowAt(time.kept, time.scan);
    if (load<u8>(storeMatched(kept, row))) continue;
    const moment = timeAt(time.times0, row);
    if (last || isCertain(time, row, moment)) found = give(self, row, choose(time, row, moment, NO_ROW, END), found);
    else {
      store<u32>(time.kept + ((<usize>time.write) << 2), row);
      time.write++;
    }
  }
  self.ready = found;
  self.sides = 3;
  if (time.scan < time.keptEnd) return;
  time.keptEnd = time.write;
  time.keptDone = 0;
  finish(self, time);
}

/** Whether every right row that could be the answer has come. */
function isCertain(time: TimeJoin, row: u32, moment: i64): bool {
  if (time.bounded && addTime(moment, time.high) <= time.target) return true;
  const before: u32 = time.mode == <u32>JoinTime.NEAREST ? rowAt(time.partners, row) : 0;
  if (before == 0) return false;
  return addTime(moment, distance(timeAt(time.times1, before - 1), moment)) <= time.target;
}
