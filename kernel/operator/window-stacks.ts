// Two stacks of partials: a hopping or cumulating window's result for about three additions of a slice's groups,
// however many slices the window has.
//
//      front: each the sum of its slice      back: one sum of all
//      and those after it, up to the flip    slices since the flip
//      [ s5+s6+s7 | s6+s7 | s7 ]             s8 + s9 + s10                window of s6..s10 = (s6+s7) + back
//
// A slice that a window needs for the first time is added to the back. When every sum of the front has been used and
// slices of the back leave the window, the back's partials are summed up from the last to the first, each in its own
// place: they are the new front, and the back is empty. A front's sum is used by one window only (unless slices are
// missing), so that the back is added to it in its place. Nothing is ever subtracted: minima, distinct values and
// quantiles cost what sums do. (After the queue by two stacks, as in Tangwongsan et al. 2017, "Low-latency
// sliding-window aggregation in worst-case constant time".)
//
// Cumulating windows need the back alone, which is dropped when its period ends.
//
// Rows that come when windows over their slice have left are a partial of their own: it is added to the back, or to
// every sum of the front that contains its slice. Such rows are few unless the watermark runs far ahead of the data.
//
// Each addition goes on for as long as a pull may, and for want of memory, from where it stopped.

import { WindowKind } from "../abi/window";
import { failMemory } from "../memory/context";
import { sliceLastWindow, windowFirstSlice, windowLastSlice } from "../window/shape";
import { Combination, combineBegin, combineStep } from "./aggregate-combine";
import { aggregationOf } from "./aggregation";
import { Operator, operatorFree } from "./operator";
import {
  NO_WINDOW,
  PartialPlace,
  Windows,
  partialAt,
  partialCreate,
  partialFrom,
  partialPlace,
  partialRemove,
  partialSetPlace,
  partialSlice,
  partialState,
  shapeOf,
  windowsOf,
} from "./windows";

const enum Phase {
  /** New partials go to the back, late ones also to the front. */
  ABSORB = 1,
  FLIP = 2,
  RESULT = 3,
  DONE = 4,
}

/** What an addition that is done is followed by. */
const enum Then {
  /** The partial at the cursor is in the back. */
  IN_BACK = 1,
  /** A late one is in one sum of the front: on to the next. */
  IN_FRONT = 2,
  /** It has become a sum of the front itself. */
  IS_FRONT = 3,
  /** The partial at the cursor is a sum of the new front. */
  FLIPPED = 4,
  /** The result is there. */
  RESULT = 5,
  /** Half of it: the back follows. */
  HALF = 6,
}

/** Begins a window. */
export function stacksOpen(self: Windows): void {
  self.phase = Phase.ABSORB;
  self.next = 0;
  self.other = 0;
  self.result = 0;
}

/** After a window: gives up a back that no other needs. */
export function stacksClose(context: usize, self: Windows): void {
  if (self.back != 0 && sliceLastWindow(shapeOf(self), self.backLast) <= self.window) dropBack(context, self);
}

function dropBack(context: usize, self: Windows): void {
  operatorFree(context, self.back);
  self.back = 0;
}

/** Goes on towards the window's result: 0 when it is there, groups added when there is more to do, or an error. */
export function stacksStep(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  while (self.phase != <u32>Phase.DONE) {
    if (self.folding) {
      const work = changetype<Combination>(self.combination);
      const status = combineStep(context, operator, work, self.foldTarget, self.foldSource);
      if (status < 0 && work.broken) changetype<Operator>(operator).failed = 1;
      if (status != 0) return status;
      self.folding = 0;
      finishAddition(context, self);
      continue;
    }
    let status: i32 = 0;
    if (self.phase == <u32>Phase.ABSORB) status = absorb(context, operator);
    else if (self.phase == <u32>Phase.FLIP) status = flip(context, self);
    else status = sumUp(context, operator);
    if (status < 0) return status;
  }
  return 0;
}

/** Begins to add `source` to `target`. 0, or OUT_OF_MEMORY with nothing changed. */
function add(context: usize, self: Windows, target: usize, source: usize, then: Then): i32 {
  const begun = combineBegin(context, changetype<Combination>(self.combination), target, source);
  if (begun < 0) return begun;
  self.foldTarget = target;
  self.foldSource = source;
  self.then = then;
  self.folding = 1;
  return 0;
}

function finishAddition(context: usize, self: Windows): void {
  const partial = partialAt(self, self.next);
  switch (self.then) {
    case Then.IN_BACK:
      self.backFirst = min<i64>(self.backFirst, partialSlice(partial));
      self.backLast = max<i64>(self.backLast, partialSlice(partial));
      // What cumulates needs no front.
      if (shapeOf(self).kind == <u32>WindowKind.CUMULATE) partialRemove(context, self, self.next);
      else {
        partialSetPlace(partial, PartialPlace.BACK);
        self.next++;
      }
      break;
    case Then.IN_FRONT:
      self.other++;
      break;
    case Then.IS_FRONT:
      partialSetPlace(partial, PartialPlace.FRONT);
      self.next++;
      self.other = 0;
      break;
    case Then.FLIPPED:
      partialSetPlace(partial, PartialPlace.FRONT);
      self.other = self.next;
      break;
    case Then.HALF:
      self.other = 1;
      break;
    default:
      showResult(self, self.foldTarget);
  }
}

function showResult(self: Windows, result: usize): void {
  self.result = result;
  aggregationOf(result).cursor = 0;
  self.phase = Phase.DONE;
}

// ---- what is new

function absorb(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  const last = windowLastSlice(shapeOf(self), self.window);
  for (; self.next < self.count; self.next++) {
    const partial = partialAt(self, self.next);
    const slice = partialSlice(partial);
    if (slice > last) break;
    if (partialPlace(partial) != <u32>PartialPlace.NEW || partialFrom(self, partial) > self.window) continue;
    if (self.flipped == NO_WINDOW || slice >= self.flipped) return addToBack(context, operator, partial);
    const status = addToFront(context, self, partial);
    if (status < 0 || self.folding) return status;
    // It is gone: what follows has its place.
    if (self.other == 0) self.next--;
    self.other = 0;
  }
  self.phase = Phase.FLIP;
  self.next = self.count;
  self.other = self.count;
  return 0;
}

function addToBack(context: usize, operator: usize, partial: usize): i32 {
  const self = windowsOf(operator);
  if (self.back == 0) {
    self.back = partialCreate(context, operator);
    if (self.back == 0) return failMemory(context, 0);
    self.backFirst = partialSlice(partial);
    self.backLast = partialSlice(partial);
  }
  return add(context, self, self.back, partialState(partial), Then.IN_BACK);
}

/**
 * Adds a late partial to every sum of the front that contains its slice, then makes it a sum itself, or, where its
 * slice has one, removes it (`other` is 0 then).
 */
function addToFront(context: usize, self: Windows, partial: usize): i32 {
  const slice = partialSlice(partial);
  let isThere = false;
  let after: usize = 0;
  for (let index: u32 = 0; index < self.count && after == 0; index++) {
    const sum = partialAt(self, index);
    if (partialPlace(sum) != <u32>PartialPlace.FRONT) continue;
    if (partialSlice(sum) > slice) after = sum;
    else {
      isThere = isThere || partialSlice(sum) == slice;
      if (index >= self.other) {
        self.other = index;
        return add(context, self, partialState(sum), partialState(partial), Then.IN_FRONT);
      }
    }
  }
  if (isThere) {
    partialRemove(context, self, self.next);
    self.other = 0;
    return 0;
  }
  if (after != 0) return add(context, self, partialState(partial), partialState(after), Then.IS_FRONT);
  partialSetPlace(partial, PartialPlace.FRONT);
  self.other = 1;
  return 0;
}

// ---- turning the back into a front

/** From the last partial down; `other` is the one above, of the back's. */
function flip(context: usize, self: Windows): i32 {
  const shape = shapeOf(self);
  if (self.back != 0 && self.backFirst < windowFirstSlice(shape, self.window)) {
    while (self.next > 0) {
      self.next--;
      const partial = partialAt(self, self.next);
      if (partialPlace(partial) != <u32>PartialPlace.BACK) continue;
      if (self.other < self.count) {
        const above = partialState(partialAt(self, self.other));
        const status = add(context, self, partialState(partial), above, Then.FLIPPED);
        if (status < 0) self.next++;
        return status;
      }
      partialSetPlace(partial, PartialPlace.FRONT);
      self.other = self.next;
    }
    dropBack(context, self);
    self.flipped = windowLastSlice(shape, self.window) + 1;
  }
  self.phase = Phase.RESULT;
  self.other = 0;
  return 0;
}

// ---- the result

function sumUp(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  let front: usize = 0;
  for (let index: u32 = 0; index < self.count && front == 0; index++) {
    const partial = partialAt(self, index);
    if (partialPlace(partial) == <u32>PartialPlace.FRONT) front = partial;
  }
  if (front == 0 || self.back == 0) {
    showResult(self, front == 0 ? self.back : partialState(front));
    return 0;
  }
  if (partialSlice(front) < windowFirstSlice(shapeOf(self), self.window + 1)) {
    // No other window needs it.
    return add(context, self, partialState(front), self.back, Then.RESULT);
  }
  if (self.ownsResult == 0) {
    self.result = partialCreate(context, operator);
    if (self.result == 0) return failMemory(context, 0);
    self.ownsResult = 1;
  }
  return self.other == 0
    ? add(context, self, self.result, partialState(front), Then.HALF)
    : add(context, self, self.result, self.back, Then.RESULT);
}
