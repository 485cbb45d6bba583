// Sessions: rows of one key that are no more than a gap apart.
//
// A session holds [first time, last time] and ends a gap after its last row; a row that far away still belongs to it.
// It is closed when the watermark reaches its end, so that no row that could continue it can come any more, and rows
// find open sessions only. Each key has a list of its sessions, latest first: nearly every row goes to the first; where
// rows do not, in very many sessions, an index finds them (session-index.ts). A
// row that closes the gap between two joins them: the earlier one becomes a part of the later one.
//
// A session's number is also that of its group in accumulators: a joined one keeps its own, and is added to the one
// that it is part of when that leaves. Numbers are not given twice; `sessionsMove` lays what is open out anew.
//
// Where results may change, a session that has left stays in the list until its lateness is over, and one that leaves
// early until then, too. What has left is never written to: a row that continues it begins a session of its own, of
// which the other becomes a part, and the result of that is taken back.
//
// Which session ends next is known by a heap of (end, start), but only of those that end up to a horizon a little ahead of
// the watermark. The others wait in a list: when the watermark has passed the horizon, that is moved on, and the list looked
// through for what ends before it. Ends grow with nearly every row, so most sessions go through the heap once, and the heap
// is small. How far the horizon moves goes by how many came with the last move. An entry that comes up too early is put back
// with the end that its session has by then.
// (With all of them in the heap, and put back once a gap, that took a seventh of the time of 10,000 users' sessions.)
//
//   record: +0 i64 first  +8 i64 last  +16 u32 next of the key  +20 u32 key  +24 u32 first part  +28 u32 last part
//           +32 u32 next part; of what is in a list: the one before of the key, a later one  +36 u32 `SessionState`
//                                                                                       (numbers are + 1, 0 = none)
//   heap:   +0 i64 end  +8 i64 first  +16 u32 number  +20 u32 0
//   waiting: u32 number

import { regionBlock, regionFree } from "../memory/region";
import { WALK_FAR, indexAdd, indexBuild, indexRemove, indexReserve, indexSeek } from "./session-index";

export const RECORD: usize = 40;
const ENTRY: usize = 24;
/** A row that comes too late. */
export const NO_SESSION: u32 = 0xffffffff;

export const enum SessionState {
  GONE = 0,
  OPEN = 1,
  PART = 2,
  /** In its key's list, and its result has left. */
  LEFT = 3,
}

// @ts-ignore: decorator
@unmanaged
export class Sessions {
  region: usize;
  gap: i64;
  /** First session of each key, u32 each. */
  heads: usize;
  headCapacity: u32;
  records: usize;
  /** Numbers given, room for how many, how many of them are sessions and how many parts of one. */
  count: u32;
  capacity: u32;
  open: u32;
  parts: u32;
  heap: usize;
  heapCount: u32;
  heapCapacity: u32;
  /** Sessions to which nothing happens up to the horizon, and how far that moves. */
  waiting: usize;
  waitingCount: u32;
  waitingCapacity: u32;
  horizon: i64;
  step: i64;
  /** How long sessions that have left are kept. */
  lateness: i64;
  /** Numbers (u32) of sessions that have left and become parts: to be taken back. 0 where none leaves before its time. */
  changes: u32;
  retracted: usize;
  retractedCount: u32;
  retractedCapacity: u32;
  /** See session-index.ts: the uppermost head of each key's index (u32, + 1), and nodes. 1 once a walk was far. */
  wantsIndex: u32;
  indexes: usize;
  indexCapacity: u32;
  nodes: usize;
  nodeCount: u32;
  nodeCapacity: u32;
  freeNode: u32;
}

export const SESSIONS_SIZE: usize = 160;

// @ts-ignore: decorator
@inline
export function sessionAt(self: Sessions, number: u32): usize {
  return self.records + <usize>number * RECORD;
}

// @ts-ignore: decorator
@inline
export function sessionFirst(record: usize): i64 {
  return load<i64>(record);
}

// @ts-ignore: decorator
@inline
function sessionLast(record: usize): i64 {
  return load<i64>(record, 8);
}

// @ts-ignore: decorator
@inline
export function sessionEnd(self: Sessions, record: usize): i64 {
  return load<i64>(record, 8) + self.gap;
}

// @ts-ignore: decorator
@inline
export function sessionKey(record: usize): u32 {
  return load<u32>(record, 20);
}

/** The first part of a session, or the next one after a part; + 1, 0 = none. */
// @ts-ignore: decorator
@inline
export function sessionParts(record: usize): u32 {
  return load<u32>(record, 24);
}

// @ts-ignore: decorator
@inline
export function partNext(record: usize): u32 {
  return load<u32>(record, 32);
}

// @ts-ignore: decorator
@inline
export function sessionState(record: usize): u32 {
  return load<u32>(record, 36);
}

/** The next session of the same key, an earlier one; + 1, 0 = none. */
// @ts-ignore: decorator
@inline
export function sessionNext(record: usize): u32 {
  return load<u32>(record, 16);
}

/** `changes`: 1 where results may change; `lateness`: how long after its end a session may. */
export function sessionsInit(self: Sessions, region: usize, gap: i64, lateness: i64, changes: u32): void {
  memory.fill(changetype<usize>(self), 0, SESSIONS_SIZE);
  self.region = region;
  self.gap = gap;
  self.lateness = lateness;
  self.changes = changes;
  self.horizon = i64.MIN_VALUE;
  self.step = max<i64>(1, gap >> 3);
}

/** What the watermark has to reach for something to happen to a session: it leaves, or, when it has, is forgotten. */
export function sessionDue(self: Sessions, record: usize): i64 {
  const end = sessionEnd(self, record);
  if (sessionState(record) != <u32>SessionState.LEFT) return end;
  return min<i64>(end, i64.MAX_VALUE - self.lateness) + self.lateness;
}

/** Room for `rows` further rows of up to `keys` keys in all. False when out of memory, with nothing lost. */
export function sessionsReserve(self: Sessions, keys: u32, rows: u32): bool {
  if (keys > self.headCapacity) {
    const capacity = max<u32>(keys, self.headCapacity + (self.headCapacity >> 1));
    const heads = grown(self, self.heads, (<usize>self.headCapacity) << 2, (<usize>capacity) << 2);
    if (heads == 0) return false;
    memory.fill(heads + ((<usize>self.headCapacity) << 2), 0, (<usize>(capacity - self.headCapacity)) << 2);
    self.heads = heads;
    self.headCapacity = capacity;
  }
  if (self.count + rows > self.capacity) {
    const capacity = max<u32>(self.count + rows, self.capacity + (self.capacity >> 1));
    const records = grown(self, self.records, <usize>self.count * RECORD, <usize>capacity * RECORD);
    if (records == 0) return false;
    self.records = records;
    self.capacity = capacity;
  }
  // A row joins two at most.
  const retracted = self.changes != 0 ? self.retractedCount + (rows << 1) : 0;
  if (retracted > self.retractedCapacity) {
    const list = grown(self, self.retracted, (<usize>self.retractedCount) << 2, (<usize>retracted) << 2);
    if (list == 0) return false;
    self.retracted = list;
    self.retractedCapacity = retracted;
  }
  indexReserve(self, rows);
  // Whatever waits may come to the heap, and go back.
  const entries = self.heapCount + self.waitingCount + (rows << self.changes);
  if (entries > self.waitingCapacity) {
    const capacity = max<u32>(entries, self.waitingCapacity + (self.waitingCapacity >> 1));
    const waiting = grown(self, self.waiting, (<usize>self.waitingCount) << 2, (<usize>capacity) << 2);
    if (waiting == 0) return false;
    self.waiting = waiting;
    self.waitingCapacity = capacity;
  }
  if (entries <= self.heapCapacity) return true;
  const capacity = max<u32>(entries, self.heapCapacity + (self.heapCapacity >> 1));
  const heap = grown(self, self.heap, <usize>self.heapCount * ENTRY, <usize>capacity * ENTRY);
  if (heap == 0) return false;
  self.heap = heap;
  self.heapCapacity = capacity;
  return true;
}

function grown(self: Sessions, old: usize, used: usize, bytes: usize): usize {
  const fresh = regionBlock(self.region, max<usize>(bytes, 64));
  if (fresh == 0) return 0;
  if (used != 0) memory.copy(fresh, old, used);
  regionFree(self.region, old);
  return fresh;
}

/**
 * The number of the session that a row of `key` at `time` goes to, once no more rows up to `watermark` come.
 * `heads`, `records` and `gap` are the list's own, which nothing but a reservation moves.
 */
// @ts-ignore: decorator
@inline
export function sessionOf(
  self: Sessions,
  heads: usize,
  records: usize,
  gap: i64,
  key: u32,
  time: i64,
  watermark: i64,
): u32 {
  const head = load<u32>(heads + ((<usize>key) << 2));
  if (head != 0) {
    const record = records + <usize>(head - 1) * RECORD;
    const last = sessionLast(record);
    const end = last + gap;
    const isOpen = sessionState(record) == <u32>SessionState.OPEN;
    if (time >= sessionFirst(record) && time <= end && end > watermark && isOpen) {
      if (time > last) store<i64>(record, time, 8);
      return head - 1;
    }
  }
  return findSession(self, key, time, watermark);
}

/**
 * The name (number + 1) of the first session of `key`, where a row at `time` is within it or continues it, and it ends
 * after `limit`; else 0, and nothing has happened. Nor where the row is as old as the session, and not newer than `limit`:
 * whether it is counted depends on the watermark before it. One branch, which nearly always goes the same way.
 */
// @ts-ignore: decorator
@inline
export function sessionExtended(
  heads: usize,
  records: usize,
  gap: i64,
  key: u32,
  time: i64,
  limit: i64,
): u32 {
  const head = load<u32>(heads + ((<usize>key) << 2));
  // Of a key without sessions some record is looked at, and not taken.
  const record = records + <usize>(head - <u32>(head != 0)) * RECORD;
  const last = sessionLast(record);
  const end = last + gap;
  const isOpen = <i32>(head != 0) & <i32>(sessionState(record) == <u32>SessionState.OPEN);
  const first = sessionFirst(record);
  const isLater = <i32>(time > first) | (<i32>(time == first) & <i32>(time > limit));
  const isNear = isLater & <i32>(time <= end) & <i32>(end > limit);
  if ((isOpen & isNear) == 0) return 0;
  store<i64>(record, max<i64>(time, last), 8);
  return head;
}

/** Any row: see the top of the file. */
function findSession(self: Sessions, key: u32, time: i64, watermark: i64): u32 {
  const gap = self.gap;
  const later = indexSeek(self, key, time + gap);
  let link = later == 0 ? self.heads + ((<usize>key) << 2) : sessionAt(self, later - 1) + 16;
  let passed: u32 = 0;
  for (; load<u32>(link) != 0 && sessionFirst(sessionAt(self, load<u32>(link) - 1)) > time + gap; passed++)
    link = sessionAt(self, load<u32>(link) - 1) + 16;
  if (passed > WALK_FAR) indexBuild(self, key);
  const next = load<u32>(link);
  if (next != 0) {
    const record = sessionAt(self, next - 1);
    const end = sessionEnd(self, record);
    if (time <= end && end > watermark) {
      if (sessionState(record) == <u32>SessionState.LEFT) return continueSession(self, record, link, time, watermark);
      if (time > sessionLast(record)) store<i64>(record, time, 8);
      if (time < sessionFirst(record)) reachBack(self, record, next - 1, time, watermark);
      return next - 1;
    }
  }
  return time + gap <= watermark ? NO_SESSION : addSession(self, key, time, time, link);
}

/** A row continues a session that has left: one more session, in its place in the list, of which that is a part. */
function continueSession(self: Sessions, left: usize, link: usize, time: i64, watermark: i64): u32 {
  const name = load<u32>(link);
  unlink(self, link, left, name - 1);
  const first = min<i64>(time, sessionFirst(left));
  const number = addSession(self, sessionKey(left), first, max<i64>(time, sessionLast(left)), link);
  const record = sessionAt(self, number);
  takePart(self, record, left, name);
  if (time < sessionFirst(left)) takeEarlier(self, record, watermark);
  if (sessionFirst(record) < first) pushEntry(self, sessionEnd(self, record), sessionFirst(record), number);
  return number;
}

/** A session that now begins at `time` takes in the earlier ones that it reaches. */
function reachBack(self: Sessions, record: usize, number: u32, time: i64, watermark: i64): void {
  store<i64>(record, time);
  takeEarlier(self, record, watermark);
  pushEntry(self, sessionEnd(self, record), sessionFirst(record), number);
}

function takeEarlier(self: Sessions, record: usize, watermark: i64): void {
  for (let next = load<u32>(record, 16); next != 0; next = load<u32>(record, 16)) {
    const earlier = sessionAt(self, next - 1);
    const end = sessionEnd(self, earlier);
    if (end < sessionFirst(record) || end <= watermark) break;
    unlink(self, record + 16, earlier, next - 1);
    store<i64>(record, min<i64>(sessionFirst(record), sessionFirst(earlier)));
    takePart(self, record, earlier, next);
  }
}

/** Takes a session, whose name stands at `link`, out of its key's list. */
function unlink(self: Sessions, link: usize, record: usize, number: u32): void {
  indexRemove(self, sessionKey(record), number);
  const next = load<u32>(record, 16);
  store<u32>(link, next);
  if (next != 0) store<u32>(sessionAt(self, next - 1), load<u32>(record, 32), 32);
}

/** Puts `part` (whose number + 1 is `name`) and its own parts before those of `record`. */
function takePart(self: Sessions, record: usize, part: usize, name: u32): void {
  if (sessionState(part) == <u32>SessionState.LEFT) {
    store<u32>(self.retracted + ((<usize>self.retractedCount) << 2), name - 1);
    self.retractedCount++;
  }
  const own = load<u32>(part, 24);
  const last = own == 0 ? name : load<u32>(part, 28);
  store<u32>(part, own, 32);
  store<u32>(sessionAt(self, last - 1), load<u32>(record, 24), 32);
  if (load<u32>(record, 24) == 0) store<u32>(record, last, 28);
  store<u32>(record, name, 24);
  store<u32>(part, 0, 24);
  store<u32>(part, SessionState.PART, 36);
  self.open--;
  self.parts++;
}

function addSession(self: Sessions, key: u32, first: i64, last: i64, link: usize): u32 {
  const number = self.count;
  self.count++;
  const record = sessionAt(self, number);
  store<i64>(record, first);
  store<i64>(record, last, 8);
  const next = load<u32>(link);
  const isHead = link == self.heads + ((<usize>key) << 2);
  store<u32>(record, next, 16);
  store<u32>(record, key, 20);
  store<u64>(record, 0, 24);
  store<u32>(record, isHead ? 0 : <u32>((link - self.records) / RECORD) + 1, 32);
  store<u32>(record, SessionState.OPEN, 36);
  store<u32>(link, number + 1);
  if (next != 0) store<u32>(sessionAt(self, next - 1), number + 1, 32);
  indexAdd(self, key, number);
  self.open++;
  pushEntry(self, last + self.gap, first, number);
  return number;
}

/**
 * Adds a copy of another list's session, without parts, behind `link` (0: at the head of its key); its number. Room
 * was made.
 */
export function sessionCopy(self: Sessions, key: u32, from: Sessions, number: u32, link: usize): u32 {
  const old = sessionAt(from, number);
  const place = link == 0 ? self.heads + ((<usize>key) << 2) : link;
  const copy = addSession(self, key, sessionFirst(old), sessionLast(old), place);
  store<u32>(sessionAt(self, copy), sessionState(old), 36);
  return copy;
}

/** A session's result leaves, but it is kept: its parts are in it now. */
export function sessionLeave(self: Sessions, number: u32): void {
  const record = sessionAt(self, number);
  dropParts(self, record);
  store<u64>(record, 0, 24);
  store<u32>(record, SessionState.LEFT, 36);
}

function dropParts(self: Sessions, record: usize): void {
  for (let part = sessionParts(record); part != 0; part = partNext(sessionAt(self, part - 1))) {
    store<u32>(sessionAt(self, part - 1), SessionState.GONE, 36);
    self.parts--;
  }
}

/** Where the number of the session after `number` stands. */
export function sessionLink(self: Sessions, number: u32): usize {
  return sessionAt(self, number) + 16;
}

/**
 * The session to which something happens first (`sessionDue`), where that is by `watermark`; NO_SESSION, or one to which
 * it happens later, where nothing does.
 */
export function sessionsFirst(self: Sessions, watermark: i64): u32 {
  if (watermark > self.horizon) moveHorizon(self, watermark);
  while (self.heapCount != 0) {
    const number = load<u32>(self.heap, 16);
    const record = sessionAt(self, number);
    const state = sessionState(record);
    if (state == <u32>SessionState.OPEN || state == <u32>SessionState.LEFT) {
      const end = sessionDue(self, record);
      // Where it has begun earlier since, the entry that says so has come before.
      if (load<i64>(self.heap) == end) return number;
      if (end > self.horizon) addWaiting(self, number);
      else {
        sinkEntry(self, 0, end, sessionFirst(record), number);
        continue;
      }
    }
    popEntry(self);
  }
  return NO_SESSION;
}

/** What ends up to a new horizon, ahead of `watermark`, comes to the heap. */
function moveHorizon(self: Sessions, watermark: i64): void {
  const horizon = watermark > i64.MAX_VALUE - self.step ? i64.MAX_VALUE : watermark + self.step;
  self.horizon = horizon;
  const waiting = self.waiting;
  const before = self.heapCount;
  const count = self.waitingCount;
  let kept: u32 = 0;
  let moved: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const number = load<u32>(waiting + ((<usize>index) << 2));
    const record = sessionAt(self, number);
    const state = sessionState(record);
    if (state != <u32>SessionState.OPEN && state != <u32>SessionState.LEFT) continue;
    const end = sessionDue(self, record);
    if (end > horizon) {
      store<u32>(waiting + ((<usize>kept) << 2), number);
      kept++;
      continue;
    }
    storeEntry(entryAt(self, before + moved), end, sessionFirst(record), number);
    moved++;
  }
  self.waitingCount = kept;
  if (moved > before) {
    self.heapCount = before + moved;
    for (let at = self.heapCount >> 1; at > 0; at--) settleEntry(self, at - 1);
  } else {
    for (let index: u32 = 0; index < moved; index++) {
      const entry = entryAt(self, before + index);
      liftEntry(self, load<i64>(entry), load<i64>(entry, 8), load<u32>(entry, 16));
    }
  }
  // A sixteenth to a quarter of what waits each time.
  if (moved > count >> 2) self.step = max<i64>(1, self.step >> 1);
  else if (moved < count >> 4 && self.step < <i64>1 << 60) self.step <<= 1;
}

/** Takes the session that ends first, and its parts, away; whether its key has any other. */
export function sessionsRemoveFirst(self: Sessions): bool {
  const number = load<u32>(self.heap, 16);
  const record = sessionAt(self, number);
  popEntry(self);
  const head = self.heads + ((<usize>sessionKey(record)) << 2);
  const before = load<u32>(record, 32);
  unlink(self, before == 0 ? head : sessionAt(self, before - 1) + 16, record, number);
  store<u32>(record, SessionState.GONE, 36);
  self.open--;
  dropParts(self, record);
  return load<u32>(head) != 0;
}

// ---- the heap

// @ts-ignore: decorator
@inline
function isBefore(end: i64, first: i64, entry: usize): bool {
  const other = load<i64>(entry);
  return end < other || (end == other && first < load<i64>(entry, 8));
}

// @ts-ignore: decorator
@inline
function entryAt(self: Sessions, index: u32): usize {
  return self.heap + <usize>index * ENTRY;
}

// @ts-ignore: decorator
@inline
function storeEntry(entry: usize, end: i64, first: i64, number: u32): void {
  store<i64>(entry, end);
  store<i64>(entry, first, 8);
  store<u64>(entry, number, 16);
}

/** Room was reserved. */
function pushEntry(self: Sessions, end: i64, first: i64, number: u32): void {
  if (end > self.horizon) addWaiting(self, number);
  else liftEntry(self, end, first, number);
}

// @ts-ignore: decorator
@inline
function addWaiting(self: Sessions, number: u32): void {
  store<u32>(self.waiting + ((<usize>self.waitingCount) << 2), number);
  self.waitingCount++;
}

/** Puts an entry behind the last one and lets it rise. */
function liftEntry(self: Sessions, end: i64, first: i64, number: u32): void {
  let at = self.heapCount;
  self.heapCount++;
  while (at != 0) {
    const above = (at - 1) >> 1;
    const entry = entryAt(self, above);
    if (!isBefore(end, first, entry)) break;
    memory.copy(entryAt(self, at), entry, ENTRY);
    at = above;
  }
  storeEntry(entryAt(self, at), end, first, number);
}

function popEntry(self: Sessions): void {
  self.heapCount--;
  if (self.heapCount == 0) return;
  const last = entryAt(self, self.heapCount);
  sinkEntry(self, 0, load<i64>(last), load<i64>(last, 8), load<u32>(last, 16));
}

/** Lets an entry sink from where it is. */
function settleEntry(self: Sessions, at: u32): void {
  const entry = entryAt(self, at);
  sinkEntry(self, at, load<i64>(entry), load<i64>(entry, 8), load<u32>(entry, 16));
}

/** Puts an entry in the place of another and lets it sink. */
function sinkEntry(self: Sessions, at: u32, end: i64, first: i64, number: u32): void {
  for (;;) {
    let below = (at << 1) + 1;
    if (below >= self.heapCount) break;
    let entry = entryAt(self, below);
    if (below + 1 < self.heapCount && isBefore(load<i64>(entry, ENTRY), load<i64>(entry, ENTRY + 8), entry)) {
      below++;
      entry += ENTRY;
    }
    if (isBefore(end, first, entry)) break;
    memory.copy(entryAt(self, at), entry, ENTRY);
    at = below;
  }
  storeEntry(entryAt(self, at), end, first, number);
}
