// What a join by time no longer needs goes: everything that it keeps of rows lies in a region of its own, a
// *generation*, and once less than half of the rows are of any use those are laid out anew in the next one, keys,
// texts and all, and the old one is freed whole.
//
// That costs what is kept, after at least as much has come: a constant for each row. It is one piece of work, not
// bounded by a push; its memory is that of both generations for a moment. Where that cannot be had the old one
// stays, and it is tried again later.

import { Abi } from "../abi/layout";
import { JoinFlag, JoinTime } from "../abi/operator";
import { programOutputType } from "../expression/program";
import {
  KEYS_SIZE,
  KeyTier,
  Keys,
  NO_KEY,
  keysAssignStored,
  keysBoundsOf,
  keysHash,
  keysInit,
  keysMayRange,
  keysReserveStored,
  keysSpan,
} from "../join/keys";
import {
  STORE_SIZE,
  Store,
  storeColumn,
  storeCopy,
  storeInit,
  storeLayout,
  storeMatched,
  storeNext,
} from "../join/store";
import { REGION_SIZE, regionBlock, regionClear, regionCut, regionFree, regionInitLike } from "../memory/region";
import { joinBeginRange } from "./join-range";
import { Join, joinBounds, joinBoundsBegin, joinIsSmall, joinReserveHeads, joinStore } from "./join-state";
import { TimeJoin, addTime, timeGeneration, timeOf, timeReserve } from "./join-time-state";

/** Fewer rows are not worth it. */
const LEAST_ROWS: u32 = 1 << 15;

const NO_PLACE: u32 = 0xffffffff;

// @ts-ignore: decorator
@inline
function u32At(list: usize, at: u32): u32 {
  return load<u32>(list + ((<usize>at) << 2));
}

// @ts-ignore: decorator
@inline
function setU32(list: usize, at: u32, value: u32): void {
  store<u32>(list + ((<usize>at) << 2), value);
}

/** Lays out anew what is kept, if less than half of it is of use. Between sweeps. */
export function timeCompact(self: Join): void {
  const time = timeOf(self);
  const rows = joinStore(self, 0).rows + joinStore(self, 1).rows;
  if (rows < max(time.compactAt, joinIsSmall(self) ? 8 : LEAST_ROWS)) return;
  const live = time.waitingCount0 + time.waitingCount1;
  if (<u64>live << 1 > <u64>rows || !layOut(self, time, rows)) time.compactAt = rows + (rows >> 1);
}

/** False when the rows stay where they are. */
function layOut(self: Join, time: TimeJoin, rows: u32): bool {
  const old = timeGeneration(self);
  const places = regionBlock(old, <usize>rows << 2);
  if (places == 0) return false;
  const others = places + ((<usize>joinStore(self, 0).rows) << 2);
  memory.fill(places, 0xff, <usize>rows << 2);
  markLeft(self, time, places);
  markRight(self, time, others);
  const live = number(places, joinStore(self, 0).rows) + number(others, joinStore(self, 1).rows);
  if (<u64>live << 1 > <u64>rows) {
    regionFree(old, places);
    return false;
  }
  const next = time.generations + (old == time.generations ? REGION_SIZE : 0);
  regionInitLike(next, old);
  const size = offsetof<Join>();
  const saved = regionCut(next, size + offsetof<TimeJoin>());
  if (saved == 0) {
    regionClear(next);
    regionFree(old, places);
    return false;
  }
  const held = changetype<usize>(self);
  memory.copy(saved, held, size);
  memory.copy(saved + size, self.time, offsetof<TimeJoin>());
  if (!move(self, time, next, changetype<Join>(saved), changetype<TimeJoin>(saved + size), places, others)) {
    memory.copy(held, saved, size);
    memory.copy(self.time, saved + size, offsetof<TimeJoin>());
    regionClear(next);
    regionFree(old, places);
    return false;
  }
  time.compactAt = live << 1;
  regionClear(old);
  return true;
}

// ---- which rows are of use; later their places among these

function markLeft(self: Join, time: TimeJoin, places: usize): void {
  for (let at: u32 = 0; at < time.waitingCount0; at++) setU32(places, u32At(time.waiting0, at), 0);
  if (time.mode == <u32>JoinTime.WITHIN) return;
  for (let at = time.keptFirst; at < time.keptEnd; at++) {
    const row = u32At(time.kept, at);
    if (!load<u8>(storeMatched(joinStore(self, 0), row))) setU32(places, row, 0);
  }
}

function markRight(self: Join, time: TimeJoin, places: usize): void {
  for (let at: u32 = 0; at < time.waitingCount1; at++) setU32(places, u32At(time.waiting1, at), 0);
  if (time.mode == <u32>JoinTime.WITHIN) {
    for (let at = time.keptFirst; at < time.keptEnd; at++) setU32(places, u32At(time.kept, at), 0);
    return;
  }
  if (time.mode == <u32>JoinTime.FORWARD) return;
  const rows = joinStore(self, 1).rows;
  for (let row: u32 = 0; row < rows; row++) if (isLatest(self, time, row)) setU32(places, row, 0);
  if (time.mode != <u32>JoinTime.NEAREST) return;
  // Between sweeps none that is kept has its answer.
  for (let at = time.keptFirst; at < time.keptEnd; at++) {
    const before = u32At(time.partners, u32At(time.kept, at));
    if (before != 0) setU32(places, before - 1, 0);
  }
}

/** Whether a right row is the latest of its key so far, and near enough for left rows to come. */
function isLatest(self: Join, time: TimeJoin, row: u32): bool {
  const key = u32At(time.numbers1, row);
  if (key == NO_KEY || u32At(self.heads1, key) != row + 1) return false;
  return !time.bounded || addTime(load<i64>(time.times1 + ((<usize>row) << 3)), time.high) > time.swept;
}

/** Gives the marked rows their places; answers how many there are. */
function number(places: usize, rows: u32): u32 {
  let count: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    if (u32At(places, row) == 0) setU32(places, row, count++);
  }
  return count;
}

// ---- the next generation

/** False when out of memory: what was there is in `before` and `past`. */
function move(
  self: Join,
  time: TimeJoin,
  region: usize,
  before: Join,
  past: TimeJoin,
  places: usize,
  others: usize,
): bool {
  self.store0 = freshStore(joinStore(before, 0), region);
  self.store1 = freshStore(joinStore(before, 1), region);
  if (self.store0 == 0 || self.store1 == 0 || !freshKeys(self, region, joinStore(before, 0).seed)) return false;
  narrow(self, before, past, places, others);
  self.heads0 = 0;
  self.heads1 = 0;
  self.headCount0 = 0;
  self.headCount1 = 0;
  time.capacity0 = 0;
  time.capacity1 = 0;
  time.times0 = 0;
  time.times1 = 0;
  time.numbers0 = 0;
  time.numbers1 = 0;
  time.waiting0 = 0;
  time.waiting1 = 0;
  time.partners = 0;
  time.kept = 0;
  time.due0 = 0;
  time.due1 = 0;
  time.dueRoom0 = 0;
  time.dueRoom1 = 0;
  if (!moveRows(self, time, 0, before, past, places) || !moveRows(self, time, 1, before, past, others)) return false;
  const span = keysSpan(changetype<Keys>(self.keys));
  if (!joinReserveHeads(self, 0, span) || !joinReserveHeads(self, 1, span)) return false;
  replace(past.waiting0, past.waitingCount0, places, time.waiting0);
  replace(past.waiting1, past.waitingCount1, others, time.waiting1);
  if (time.mode == <u32>JoinTime.BACKWARD || time.mode == <u32>JoinTime.NEAREST) moveLatest(self, time, before, past, others);
  if (time.mode != <u32>JoinTime.BACKWARD) moveKept(self, time, past, places, others);
  return true;
}

/** Computes the numbers of keys that lie close together: those of rows that stay. */
function narrow(self: Join, before: Join, past: TimeJoin, places: usize, others: usize): void {
  const keys = changetype<Keys>(before.keys);
  if (!keysMayRange(keys)) return;
  joinBoundsBegin(self, 0);
  let rows: u32 = 0;
  for (let port: u32 = 0; port < 2; port++) {
    const numbers = port == 0 ? past.numbers0 : past.numbers1;
    const kept = port == 0 ? places : others;
    for (let row: u32 = 0; row < joinStore(before, port).rows; row++) {
      if (u32At(kept, row) == NO_PLACE || u32At(numbers, row) == NO_KEY) continue;
      keysBoundsOf(keys, u32At(numbers, row), joinBounds(self, 0));
      rows++;
    }
  }
  joinBeginRange(self, rows);
}

/** A store without rows, of the columns of another; 0 when out of memory. */
export function freshStore(like: Store, region: usize): usize {
  const address = regionCut(region, STORE_SIZE);
  if (address == 0 || !storeInit(address, region, like.columnCount, like.seed)) return 0;
  const fresh = changetype<Store>(address);
  for (let index: u32 = 0; index < like.columnCount; index++) {
    storeColumn(fresh, index).type = storeColumn(like, index).type;
    storeColumn(fresh, index).output = storeColumn(like, index).output;
    storeColumn(fresh, index).longest = storeColumn(like, index).longest;
  }
  storeLayout(fresh);
  return address;
}

/** Keys without any; false when out of memory. */
export function freshKeys(self: Join, region: usize, seed: u32): bool {
  self.keys = regionCut(region, KEYS_SIZE);
  const types = regionCut(region, <usize>self.keyCount * 4 + 4);
  if (self.keys == 0 || types == 0) return false;
  for (let key: u32 = 0; key < self.keyCount; key++) setU32(types, key, programOutputType(self.program0, key));
  const nullsEqual = (self.flags & <u32>JoinFlag.NULLS_EQUAL) != 0;
  if (!keysInit(self.keys, region, types, self.keyCount, nullsEqual, self.fault, seed)) return false;
  const keys = changetype<Keys>(self.keys);
  if (keys.tier == <u32>KeyTier.UNDECIDED) keysHash(keys);
  return true;
}

/** Rows, their times, and the numbers of their keys. */
function moveRows(self: Join, time: TimeJoin, port: u32, before: Join, past: TimeJoin, places: usize): bool {
  const from = joinStore(before, port);
  const to = joinStore(self, port);
  if (!storeCopy(to, from, places)) return false;
  const count = to.rows;
  if (!timeReserve(self, port, max<u32>(count, 1))) return false;
  const old = port == 0 ? past.times0 : past.times1;
  const times = port == 0 ? time.times0 : time.times1;
  const oldNumbers = port == 0 ? past.numbers0 : past.numbers1;
  const numbers = port == 0 ? time.numbers0 : time.numbers1;
  const keys = changetype<Keys>(self.keys);
  for (let start: u32 = 0; start < count; start += <u32>Abi.VECTOR_ROWS) {
    const some = min<u32>(<u32>Abi.VECTOR_ROWS, count - start);
    if (!keysReserveStored(keys, to, start, some)) return false;
    if (!keysAssignStored(keys, to, start, some, numbers + ((<usize>start) << 2))) return false;
  }
  for (let row: u32 = 0; row < from.rows; row++) {
    const place = u32At(places, row);
    if (place == NO_PLACE) continue;
    store<i64>(times + ((<usize>place) << 3), load<i64>(old + ((<usize>row) << 3)));
    // A row without a time has no number, whatever its key.
    if (u32At(oldNumbers, row) == NO_KEY) setU32(numbers, place, NO_KEY);
  }
  return true;
}

function replace(list: usize, count: u32, places: usize, target: usize): void {
  for (let at: u32 = 0; at < count; at++) setU32(target, at, u32At(places, u32At(list, at)));
}

function moveLatest(self: Join, time: TimeJoin, before: Join, past: TimeJoin, others: usize): void {
  const rows = joinStore(before, 1).rows;
  for (let row: u32 = 0; row < rows; row++) {
    const place = u32At(others, row);
    if (place == NO_PLACE) continue;
    const key = u32At(past.numbers1, row);
    if (key == NO_KEY || u32At(before.heads1, key) != row + 1) continue;
    setU32(self.heads1, u32At(time.numbers1, place), place + 1);
  }
}

/** The kept rows in their order, and the chains of their keys. */
function moveKept(self: Join, time: TimeJoin, past: TimeJoin, places: usize, others: usize): void {
  const within = time.mode == <u32>JoinTime.WITHIN;
  const side = within ? others : places;
  const numbers = within ? time.numbers1 : time.numbers0;
  const heads = within ? self.heads1 : self.heads0;
  const kept = joinStore(self, within ? 1 : 0);
  let end: u32 = 0;
  for (let at = past.keptFirst; at < past.keptEnd; at++) {
    const row = u32At(past.kept, at);
    const place = u32At(side, row);
    if (place == NO_PLACE) continue;
    setU32(time.kept, end, place);
    end++;
    const key = u32At(numbers, place);
    if (key != NO_KEY) {
      store<u32>(storeNext(kept, place), u32At(heads, key));
      setU32(heads, key, place + 1);
    }
    if (time.mode != <u32>JoinTime.NEAREST) continue;
    const before = u32At(past.partners, row);
    setU32(time.partners, place, before == 0 ? 0 : u32At(others, before - 1) + 1);
  }
  time.keptFirst = 0;
  time.keptEnd = end;
  time.keptDone = 0;
}
