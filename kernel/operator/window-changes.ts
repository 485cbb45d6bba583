// Results that change: windows that take late rows after their close, or leave early, as a changelog.
//
// A window that has left and may be corrected, or has left early, keeps its result: an aggregation with a changelog
// (aggregate-changelog.ts), which knows what it emitted last, so that only groups whose results differ leave again.
// It is freed whole when no row can reach the window any more. What changes it is always another aggregation,
// combined into it:
//
//   correction   the rows of one push, slice and first window that came when that window had left already. Every
//                window from there to the last that has left is corrected; windows that are still to come get it as
//                one more partial of its slice.
//   close        the result of a window as window-close.ts makes it
//   early        all partials of the window since it last left: then partials are what came since, and are given up
//                once every window that they count for has them. So windows do not share sums, which they need not:
//                each leaves every time.
//
// What costs is what leaves: a window's changed groups, once for each time that they change.
//
//   kept: +0 i64 window  +8 u32 aggregation  +12 u32 0                   (in the order of windows)
//   correction: as a partial of windows.ts

import { Status } from "../abi/status";
import { WindowKind } from "../abi/window";
import { outputDescribe, outputReset } from "../column/builder";
import { clearError, failMemory, scratchMark, scratchReset } from "../memory/context";
import { regionBlock, regionBytes, regionCut, regionFree } from "../memory/region";
import {
  sliceLastWindow,
  windowFirstSlice,
  windowIsClosed,
  windowLastSlice,
} from "../window/shape";
import {
  changelogCreate,
  changelogEmit,
  changelogOpen,
  changelogPending,
  changelogReserve,
  changelogTouchFirst,
} from "./aggregate-changelog";
import { Combination, combineBegin, combineStep } from "./aggregate-combine";
import { PULL_ROWS, aggregateTextLimit } from "./aggregate-output";
import { aggregationOf } from "./aggregation";
import { Operator, operatorFree } from "./operator";
import { fillBounds } from "./window-bounds";
import {
  OPEN_WORK,
  PULL_WORK,
  finishWindow,
  nextWindow,
  outputBytes,
  prepareWindow,
  windowIsDue,
} from "./window-close";
import {
  NO_WINDOW,
  PARTIAL,
  Windows,
  earlyMultiple,
  partialAdd,
  partialAt,
  partialCreate,
  partialFrom,
  partialSearch,
  partialSlice,
  partialState,
  partialsExpire,
  shapeOf,
  windowsOf,
} from "./windows";

const KEPT: usize = 16;
/** Of a correction, in the place of its cursor: every window that has left has it. */
const PLACED: u32 = 0xffffffff;

/** What is under way. */
const enum Change {
  NONE = 0,
  CORRECTION = 1,
  /** A window's one result. */
  CLOSE = 2,
  /** A window's partials, as it closes. */
  LAST = 3,
  /** The same before that. */
  EARLY = 4,
}

// @ts-ignore: decorator
@unmanaged
export class Changes {
  lateness: i64;
  /** 0: windows do not leave early. */
  early: i64;
  /** The number of the multiple of `early` that the watermark had passed when windows last left. */
  fired: i64;
  kept: usize;
  keptFirst: u32;
  keptCount: u32;
  keptCapacity: u32;
  corrections: usize;
  correctionCount: u32;
  correctionCapacity: u32;
  /** The correction at hand. */
  correction: u32;
  /** `Change`, its window, the result that changes and what is combined into it; the next partial. */
  change: u32;
  window: i64;
  target: usize;
  source: usize;
  next: u32;
  /** 1 while one is. */
  combining: u32;
  /** 1 while the result's changes leave. */
  emits: u32;
}

export const CHANGES_SIZE: usize = 96;

// @ts-ignore: decorator
@inline
function changesOf(self: Windows): Changes {
  return changetype<Changes>(self.changes);
}

/** False when out of memory. */
export function changesCreate(operator: usize, lateness: i64, early: i64): bool {
  const self = windowsOf(operator);
  self.changes = regionCut(operator, CHANGES_SIZE);
  if (self.changes == 0) return false;
  memory.fill(self.changes, 0, CHANGES_SIZE);
  changesOf(self).lateness = shapeOf(self).kind == <u32>WindowKind.GLOBAL ? 0 : lateness;
  changesOf(self).early = early;
  return true;
}

export function changesDestroy(context: usize, self: Windows): void {
  if (self.changes == 0) return;
  const changes = changesOf(self);
  for (let index: u32 = 0; index < changes.keptCount; index++) operatorFree(context, keptState(keptAt(changes, index)));
  changes.keptCount = 0;
  changesDrop(context, self);
}

export function changesBytes(self: Windows): u64 {
  if (self.changes == 0) return 0;
  const changes = changesOf(self);
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < changes.keptCount; index++) bytes += regionBytes(keptState(keptAt(changes, index)));
  for (let index = changes.correction; index < changes.correctionCount; index++)
    bytes += regionBytes(partialState(correctionAt(changes, index)));
  return bytes;
}

/** Windows whose results are kept. */
export function changesKept(self: Windows): u32 {
  return self.changes == 0 ? 0 : changesOf(self).keptCount;
}

/** The watermark from which on a window takes nothing any more, for the one that there is. */
// @ts-ignore: decorator
@inline
export function expiryOf(self: Windows, watermark: i64): i64 {
  if (self.changes == 0) return watermark;
  const lateness = changesOf(self).lateness;
  // The end of input is no time that anything could be late for.
  if (watermark == i64.MAX_VALUE) return watermark;
  return watermark < i64.MIN_VALUE + lateness ? i64.MIN_VALUE : watermark - lateness;
}

// ---- kept results

// @ts-ignore: decorator
@inline
function keptAt(changes: Changes, index: u32): usize {
  return changes.kept + (<usize>changes.keptFirst + <usize>index) * KEPT;
}

// @ts-ignore: decorator
@inline
function keptState(kept: usize): usize {
  return load<u32>(kept, 8);
}

/** The kept result of a window, made when there is none; 0 with the error recorded when out of memory. */
function keptFor(context: usize, operator: usize, window: i64): usize {
  const changes = changesOf(windowsOf(operator));
  let low: u32 = 0;
  let high = changes.keptCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<i64>(keptAt(changes, middle)) < window) low = middle + 1;
    else high = middle;
  }
  if (low < changes.keptCount && load<i64>(keptAt(changes, low)) == window) return keptState(keptAt(changes, low));
  const state = changesResultCreate(context, operator);
  if (state == 0) return 0;
  const at = keptAt(changes, low);
  memory.copy(at + KEPT, at, <usize>(changes.keptCount - low) * KEPT);
  store<i64>(at, window);
  store<u64>(at, <u64>state, 8);
  changes.keptCount++;
  return state;
}

/** A result to keep, without rows, and room for it; 0 with the error recorded when out of memory. */
export function changesResultCreate(context: usize, operator: usize): usize {
  const changes = changesOf(windowsOf(operator));
  const state = reserveKept(operator, changes) ? partialCreate(context, operator) : <usize>0;
  if (state != 0 && changelogCreate(state) && changelogReserve(state, 1, 1)) return state;
  if (state != 0) operatorFree(context, state);
  failMemory(context, 0);
  return 0;
}

/** The result that is kept of a window after all others; room was made. */
export function changesAppend(self: Windows, window: i64, state: usize): void {
  const changes = changesOf(self);
  const at = keptAt(changes, changes.keptCount);
  store<i64>(at, window);
  store<u64>(at, <u64>state, 8);
  changes.keptCount++;
}

/** The window of the `index`-th result that is kept, and its aggregation. */
export function changesWindow(self: Windows, index: u32): i64 {
  return load<i64>(keptAt(changesOf(self), index));
}

export function changesResult(self: Windows, index: u32): usize {
  return keptState(keptAt(changesOf(self), index));
}

/** The number of the multiple of `early` that windows last left at; 0 where they never do. */
export function changesFired(self: Windows): i64 {
  return self.changes == 0 ? 0 : changesOf(self).fired;
}

export function changesSetFired(self: Windows, fired: i64): void {
  if (self.changes != 0) changesOf(self).fired = fired;
}

function reserveKept(operator: usize, changes: Changes): bool {
  if (changes.keptFirst + changes.keptCount < changes.keptCapacity) return true;
  // Half of the block must be free at its front for moving down to pay.
  const moves = changes.keptFirst > changes.keptCount;
  const capacity = moves ? changes.keptCapacity : max<u32>(16, changes.keptCount << 1);
  const block = moves ? changes.kept : regionBlock(operator, <usize>capacity * KEPT);
  if (block == 0) return false;
  if (changes.keptCount != 0) memory.copy(block, keptAt(changes, 0), <usize>changes.keptCount * KEPT);
  if (!moves) regionFree(operator, changes.kept);
  changes.kept = block;
  changes.keptFirst = 0;
  changes.keptCapacity = capacity;
  return true;
}

/** Frees the results of windows that no row can reach any more. */
function expire(context: usize, self: Windows): void {
  const changes = changesOf(self);
  const expiry = expiryOf(self, self.watermark);
  while (changes.keptCount != 0) {
    const kept = keptAt(changes, 0);
    if (!windowIsClosed(shapeOf(self), load<i64>(kept), expiry)) return;
    operatorFree(context, keptState(kept));
    changes.keptFirst++;
    changes.keptCount--;
  }
  changes.keptFirst = 0;
}

// ---- corrections

// @ts-ignore: decorator
@inline
function correctionAt(changes: Changes, index: u32): usize {
  return changes.corrections + <usize>index * PARTIAL;
}

/** Whether rows for windows from `from` on come when that one has left. */
// @ts-ignore: decorator
@inline
export function isCorrection(self: Windows, from: i64): bool {
  return self.changes != 0 && self.closed != NO_WINDOW && from <= self.closed;
}

/** A new correction's aggregation; 0 with the error recorded when out of memory. */
export function correctionFor(context: usize, operator: usize, slice: i64, from: i64): usize {
  const changes = changesOf(windowsOf(operator));
  if (changes.correctionCount == changes.correctionCapacity) {
    const capacity = max<u32>(16, changes.correctionCapacity << 1);
    const block = regionBlock(operator, <usize>capacity * PARTIAL);
    if (block != 0 && changes.correctionCount != 0)
      memory.copy(block, changes.corrections, <usize>changes.correctionCount * PARTIAL);
    if (block != 0) {
      regionFree(operator, changes.corrections);
      changes.corrections = block;
      changes.correctionCapacity = capacity;
    }
  }
  const has = changes.correctionCount < changes.correctionCapacity;
  const state = has ? partialCreate(context, operator) : <usize>0;
  if (state == 0) {
    failMemory(context, 0);
    return 0;
  }
  const at = correctionAt(changes, changes.correctionCount);
  store<i64>(at, slice);
  store<i64>(at, from, 8);
  store<u64>(at, <u64>state, 16);
  changes.correctionCount++;
  return state;
}

/** Frees the corrections: of a push that found no memory, none has rows. */
export function changesDrop(context: usize, self: Windows): void {
  if (self.changes == 0) return;
  const changes = changesOf(self);
  for (let index = changes.correction; index < changes.correctionCount; index++)
    operatorFree(context, partialState(correctionAt(changes, index)));
  changes.correctionCount = 0;
  changes.correction = 0;
}

// ---- what is due

/** Before a push, when all that was due has left: what it brings leaves early from the next multiple on. */
export function changesBegin(self: Windows): void {
  if (self.changes != 0) changesOf(self).fired = earlyMultiple(self, changesOf(self).early);
}

/** Whether anything but a window's close is to leave. */
export function changesAreDue(self: Windows): bool {
  if (self.changes == 0) return false;
  const changes = changesOf(self);
  return changes.change != 0 || changes.correctionCount != 0 || isEarlyDue(self);
}

function isEarlyDue(self: Windows): bool {
  const changes = changesOf(self);
  return changes.early != 0 && self.count != 0 && earlyMultiple(self, changesOf(self).early) > changes.fired;
}

// ---- pull

/** Writes the next changes to `out`, as `windowPull` does results. */
export function changesPull(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const self = windowsOf(operator);
  const changes = changesOf(self);
  const output = aggregationOf(operator).output;
  if (!outputReset(output, 0)) return failMemory(context, 0);
  const limit = min(maxRows, PULL_ROWS);
  const bytes: u64 = aggregateTextLimit(maxBytes);
  let work: u32 = 0;
  let rows: u32 = 0;
  while (rows < limit && work < PULL_WORK && windowIsDue(operator)) {
    const mark = scratchMark(context);
    let status = changes.emits ? 0 : prepare(context, operator);
    work += OPEN_WORK + <u32>max<i32>(status, 0);
    const ready = status == 0 && changes.emits != 0;
    if (ready) status = changelogEmit(context, changes.target, limit - rows, bytes - outputBytes(output));
    scratchReset(context, mark);
    if (status < 0) {
      if (ready && changetype<Operator>(changes.target).failed) changetype<Operator>(operator).failed = 1;
      if (status != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
      // Rows that are in the output already leave first.
      else if (rows != 0 && changetype<Operator>(operator).failed == 0) {
        clearError(context);
        break;
      }
      return status;
    }
    if (!ready) continue;
    fillBounds(self, output, changes.window, <u32>status);
    // Groups that have not changed are work, too.
    work += max<u32>(<u32>status, limit - rows);
    rows += status;
    if (!changelogPending(changes.target)) finish(context, operator);
    if (outputBytes(output) >= bytes) break;
  }
  if (!windowIsDue(operator)) expire(context, self);
  outputDescribe(output, out, rows, 0);
  if (windowIsDue(operator)) return Status.HAS_MORE;
  return changetype<Operator>(operator).ended ? Status.FINISHED : Status.NEED_INPUT;
}

/** Goes on towards a result whose changes can leave (`emits`): how many groups that was, or an error. */
function prepare(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  const changes = changesOf(self);
  if (changes.combining) return combine(context, operator);
  if (changes.change == <u32>Change.NONE) return begin(context, operator);
  if (changes.change == <u32>Change.CORRECTION && changes.next == PLACED) return place(context, operator);
  if (changes.target == 0) {
    changes.target = keptFor(context, operator, changes.window);
    if (changes.target == 0) return failMemory(context, 0);
  }
  if (hasSource(self)) {
    const begun = combineBegin(context, changetype<Combination>(self.combination), changes.target, changes.source);
    if (begun == 0) changes.combining = 1;
    return begun;
  }
  if (shapeOf(self).kind == <u32>WindowKind.GLOBAL) changelogTouchFirst(changes.target);
  changelogOpen(changes.target);
  changes.emits = 1;
  return 0;
}

function combine(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  const changes = changesOf(self);
  const work = changetype<Combination>(self.combination);
  const status = combineStep(context, operator, work, changes.target, changes.source);
  if (status < 0 && work.broken) changetype<Operator>(operator).failed = 1;
  if (status != 0) return status;
  changes.combining = 0;
  changes.next++;
  return 0;
}

function begin(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  const changes = changesOf(self);
  changes.next = 0;
  changes.target = 0;
  if (changes.correctionCount != 0) {
    const correction = correctionAt(changes, changes.correction);
    changes.change = Change.CORRECTION;
    changes.window = load<i64>(correction, 8);
    changes.source = partialState(correction);
    return 0;
  }
  const window = nextWindow(self);
  if (self.open || (changes.early == 0 && window != NO_WINDOW)) {
    const status = prepareWindow(context, operator);
    if (status != 0) return status;
    changes.change = Change.CLOSE;
    changes.window = self.window;
    changes.source = self.result;
    return 0;
  }
  const closes = windowIsClosed(shapeOf(self), window, self.watermark);
  changes.change = closes ? Change.LAST : Change.EARLY;
  openPartials(self, window);
  return 0;
}

function openPartials(self: Windows, window: i64): void {
  const changes = changesOf(self);
  changes.window = window;
  changes.target = 0;
  changes.next = partialSearch(self, windowFirstSlice(shapeOf(self), window), i64.MIN_VALUE);
}

/** Whether there is anything more to combine into the result: it is then `source`. */
function hasSource(self: Windows): bool {
  const changes = changesOf(self);
  if (changes.change == <u32>Change.CORRECTION || changes.change == <u32>Change.CLOSE) return changes.next == 0;
  const last = windowLastSlice(shapeOf(self), changes.window);
  for (; changes.next < self.count; changes.next++) {
    const partial = partialAt(self, changes.next);
    if (partialSlice(partial) > last) return false;
    if (partialFrom(self, partial) > changes.window) continue;
    changes.source = partialState(partial);
    return true;
  }
  return false;
}

/** After a result's changes have left. */
function finish(context: usize, operator: usize): void {
  const self = windowsOf(operator);
  const changes = changesOf(self);
  changes.emits = 0;
  if (changes.change == <u32>Change.CORRECTION) {
    const slice = partialSlice(correctionAt(changes, changes.correction));
    if (changes.window >= min<i64>(sliceLastWindow(shapeOf(self), slice), self.closed)) {
      changes.next = PLACED;
      return;
    }
    changes.window++;
    changes.target = 0;
    changes.next = 0;
    return;
  }
  if (changes.change == <u32>Change.EARLY) {
    const window = windowAfter(self, changes.window);
    if (window != NO_WINDOW) {
      openPartials(self, window);
      return;
    }
    // Every window has them.
    for (let index: u32 = 0; index < self.count; index++) operatorFree(context, partialState(partialAt(self, index)));
    self.count = 0;
    self.first = 0;
    changes.fired = earlyMultiple(self, changesOf(self).early);
  } else if (changes.change == <u32>Change.CLOSE) finishWindow(context, operator);
  else {
    self.closed = changes.window;
    partialsExpire(context, operator, changes.window);
  }
  changes.change = Change.NONE;
}

/** The first window after `window` that a partial counts for; NO_WINDOW when there is none. */
function windowAfter(self: Windows, window: i64): i64 {
  let best: i64 = NO_WINDOW;
  for (let index: u32 = 0; index < self.count; index++) {
    const partial = partialAt(self, index);
    const next = max<i64>(partialFrom(self, partial), window + 1);
    if (next > sliceLastWindow(shapeOf(self), partialSlice(partial))) continue;
    if (best == NO_WINDOW || next < best) best = next;
  }
  return best;
}

/** A correction that all windows that have left have: it is a partial for those to come. 0, or OUT_OF_MEMORY. */
function place(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  const changes = changesOf(self);
  const correction = correctionAt(changes, changes.correction);
  const slice = partialSlice(correction);
  if (sliceLastWindow(shapeOf(self), slice) <= self.closed) operatorFree(context, partialState(correction));
  else if (!partialAdd(operator, slice, self.closed + 1, partialState(correction))) return failMemory(context, 0);
  changes.correction++;
  if (changes.correction == changes.correctionCount) {
    changes.correctionCount = 0;
    changes.correction = 0;
  }
  changes.change = Change.NONE;
  return 0;
}
