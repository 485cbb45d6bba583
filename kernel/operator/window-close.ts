// Closing windows: what the watermark has passed leaves, in the order of ends, a pull at a time.
//
// A window of one partial (every tumbling window) leaves straight from it. Those of a few slices are combined, partial
// by partial (aggregate-combine.ts), in the place of the slice that the window is the last one of; where that has no
// rows, in an aggregation of their own, which begins again where memory runs out. Those of many slices are combined by
// two stacks (window-stacks.ts). Results that may change are window-changes.ts's. A pull stops after PULL_WORK groups and
// goes on with the next one.

import { AggregateFlag, RowKind } from "../abi/operator";
import { Status } from "../abi/status";
import { WindowKind } from "../abi/window";
import { outputColumn, outputColumns, outputDescribe, outputReset } from "../column/builder";
import { clearError, failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import {
  sliceFirstWindow,
  sliceLastWindow,
  windowFirstSlice,
  windowIsClosed,
  windowLastSlice,
} from "../window/shape";
import { backlogRows, backlogWork } from "./aggregate-backlog";
import { Combination, combineBegin, combineStep } from "./aggregate-combine";
import { PULL_ROWS, aggregateEmit, aggregateTextLimit } from "./aggregate-output";
import { aggregationOf, groupsOf } from "./aggregation";
import { Operator, operatorFailWith, operatorFree } from "./operator";
import { fillBounds } from "./window-bounds";
import { changesAreDue, changesPull } from "./window-changes";
import { sessionsAreDue, sessionsPull } from "./window-session";
import { scatterEmit, scatterFold, scatterIsLeaving, scatterLeaves } from "./window-scatter";
import { scatterAggregation, scatterOf } from "./window-scatter-state";
import { stacksClose, stacksOpen, stacksStep } from "./window-stacks";
import {
  NO_WINDOW,
  PartialPlace,
  Windows,
  firstLeft,
  partialAt,
  partialCreate,
  partialFrom,
  partialPlace,
  partialSearch,
  partialSlice,
  partialState,
  partialsExpire,
  shapeOf,
  windowsOf,
} from "./windows";

/** Groups that a pull merges and emits, about, before it answers. */
export const PULL_WORK: u32 = 131072;
/** What opening a window costs, in groups. */
export const OPEN_WORK: u32 = 16;

/** Whether a window has been closed and not left yet. */
export function windowIsDue(operator: usize): bool {
  const self = windowsOf(operator);
  if (self.sessions != 0) return sessionsAreDue(operator);
  if (self.open || changesAreDue(self)) return true;
  const window = nextWindow(self);
  return window != NO_WINDOW && windowIsClosed(shapeOf(self), window, self.watermark);
}

/** Whether the one window of GLOBAL is to leave without rows: an aggregation without keys has a result then, too. */
function isEmptyWhole(self: Windows): bool {
  return shapeOf(self).kind == <u32>WindowKind.GLOBAL && self.count == 0 && self.closed == NO_WINDOW && self.keyless;
}

/** The first window with rows that has not left; NO_WINDOW when there is none. */
export function nextWindow(self: Windows): i64 {
  const shape = shapeOf(self);
  let best: i64 = NO_WINDOW;
  if (isEmptyWhole(self)) return 0;
  // A cumulating window's earlier slices are in the back alone.
  if (self.back != 0 && self.closed < sliceLastWindow(shape, self.backLast)) best = self.closed + 1;
  if (scatterAggregation(self.scatter) != 0) {
    const first = firstLeft(self, sliceFirstWindow(shape, scatterOf(self.scatter).low));
    best = best == NO_WINDOW ? first : min<i64>(best, first);
  }
  for (let index: u32 = 0; index < self.count; index++) {
    const partial = partialAt(self, index);
    // Slices come in order, and so do the first windows that they are part of.
    if (best != NO_WINDOW && firstLeft(self, sliceFirstWindow(shape, partialSlice(partial))) >= best) break;
    const from = partialFrom(self, partial);
    if (best == NO_WINDOW || from < best) best = from;
  }
  return best;
}

/** Writes the next results to `out`: at most `maxRows` rows, and `maxBytes` bytes of texts unless one row has more. */
export function windowPull(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const self = windowsOf(operator);
  if (self.sessions != 0) return sessionsPull(context, operator, out, maxRows, maxBytes);
  if (self.changes != 0) return changesPull(context, operator, out, maxRows, maxBytes);
  const output = aggregationOf(operator).output;
  if (!outputReset(output, 0)) return failMemory(context, 0);
  const limit = min(maxRows, PULL_ROWS);
  const bytes: u64 = aggregateTextLimit(maxBytes);
  let work: u32 = 0;
  let rows: u32 = 0;
  while (rows < limit && work < PULL_WORK && windowIsDue(operator)) {
    const mark = scratchMark(context);
    if (self.open == 0 ? scatterLeaves(operator) : scatterIsLeaving(self)) {
      const cost = scratchTake(context, 4);
      const emitted = scatterEmit(context, operator, limit - rows, bytes - outputBytes(output), cost);
      work += load<u32>(cost);
      scratchReset(context, mark);
      if (emitted < 0) {
        if (emitted != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
        else if (rows != 0 && changetype<Operator>(operator).failed == 0) {
          clearError(context);
          break;
        }
        return emitted;
      }
      if (emitted == 0 && rows != 0) break;
      fillKinds(operator, <u32>emitted);
      rows += emitted;
      continue;
    }
    let status = prepareWindow(context, operator);
    work += OPEN_WORK;
    if (status > 0) {
      work += <u32>status;
      scratchReset(context, mark);
      continue;
    }
    if (status == 0) status = aggregateEmit(context, self.result, limit - rows, bytes - outputBytes(output));
    scratchReset(context, mark);
    if (status < 0) {
      if (status != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
      // Rows that are in the output already leave first.
      else if (rows != 0 && changetype<Operator>(operator).failed == 0) {
        clearError(context);
        break;
      }
      return status;
    }
    fillBounds(self, output, self.window, <u32>status);
    fillKinds(operator, <u32>status);
    rows += status;
    work += status;
    const left = aggregationOf(self.result);
    if (left.cursor >= groupsOf(left).count) finishWindow(context, operator);
    if (outputBytes(output) >= bytes) break;
  }
  outputDescribe(output, out, rows, 0);
  if (windowIsDue(operator)) return Status.HAS_MORE;
  return changetype<Operator>(operator).ended ? Status.FINISHED : Status.NEED_INPUT;
}

/** Makes the next window's result ready: 0 when it is, groups merged when there is more to do, or an error. */
export function prepareWindow(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  if (self.open == 0) {
    const waiting = scatterFold(context, operator);
    if (waiting != 0) return waiting;
    const left = workOff(context, operator);
    if (left != 0) return left;
    const opened = openWindow(context, operator);
    if (opened < 0) return opened;
  }
  if (self.stacks) return self.phase == 0 ? 0 : stacksStep(context, operator);
  const last = windowLastSlice(shapeOf(self), self.window);
  for (; self.next < self.count; self.next++) {
    const partial = partialAt(self, self.next);
    if (partialSlice(partial) > last) break;
    if (partialFrom(self, partial) > self.window || partialState(partial) == self.result) continue;
    const status = foldState(context, operator, self.result, partialState(partial));
    if (status < 0 && self.ownsResult) closeResult(context, self);
    if (status == 0) self.next++;
    return status == 0 ? 1 : status;
  }
  return 0;
}

/** Goes on with rows that the next window's partials have set aside: about how many, 0 when none are left, or an error. */
function workOff(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  const last = windowLastSlice(shapeOf(self), nextWindow(self));
  for (let index: u32 = 0; index < self.count; index++) {
    const partial = partialAt(self, index);
    if (partialSlice(partial) > last) break;
    const state = partialState(partial);
    const waiting = backlogRows(state);
    if (waiting == 0) continue;
    const status = backlogWork(context, state, false);
    operatorFailWith(operator, state);
    return status < 0 ? status : <i32>(waiting - backlogRows(state));
  }
  return 0;
}

/** Goes on folding one aggregation into another: groups done, 0 when that was all, or an error. */
function foldState(context: usize, operator: usize, target: usize, source: usize): i32 {
  const self = windowsOf(operator);
  const work = changetype<Combination>(self.combination);
  if (self.folding == 0) {
    const begun = combineBegin(context, work, target, source);
    if (begun < 0) return begun;
    self.folding = 1;
  }
  const status = combineStep(context, operator, work, target, source);
  if (status < 0 && work.broken && self.ownsResult == 0) changetype<Operator>(operator).failed = 1;
  if (status == 0) self.folding = 0;
  return status;
}

/**
 * Begins the next window. A single partial is its own result; of several, those that no other window needs are of no more
 * use, and the others are added to the largest of them.
 */
function openWindow(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  const shape = shapeOf(self);
  self.window = nextWindow(self);
  if (self.stacks && !isLone(self)) {
    stacksOpen(self);
    self.open = 1;
    return 0;
  }
  self.phase = 0;
  self.next = partialSearch(self, windowFirstSlice(shape, self.window), i64.MIN_VALUE);
  const last = windowLastSlice(shape, self.window);
  let found: u32 = 0;
  let only: usize = 0;
  let result: usize = 0;
  for (let index = self.next; index < self.count; index++) {
    const partial = partialAt(self, index);
    if (partialSlice(partial) > last) break;
    if (partialFrom(self, partial) > self.window) continue;
    found++;
    only = partialState(partial);
    if (sliceLastWindow(shape, partialSlice(partial)) != self.window) continue;
    if (result == 0 || groupsOf(aggregationOf(only)).count > groupsOf(aggregationOf(result)).count) result = only;
  }
  if (found == 1) {
    result = only;
    self.next = self.count;
  } else if (result == 0) {
    result = partialCreate(context, operator);
    if (result == 0) return failMemory(context, 0);
    self.ownsResult = 1;
  }
  self.result = result;
  self.folding = 0;
  aggregationOf(result).cursor = 0;
  self.open = 1;
  return 0;
}

/** Whether one new partial is all that the next window has: the stacks need not know it. */
function isLone(self: Windows): bool {
  if (self.back != 0 || self.count == 0) return false;
  const last = windowLastSlice(shapeOf(self), self.window);
  if (partialPlace(partialAt(self, 0)) != <u32>PartialPlace.NEW) return false;
  if (partialFrom(self, partialAt(self, 0)) > self.window) return false;
  return self.count == 1 || partialSlice(partialAt(self, 1)) > last;
}

function closeResult(context: usize, self: Windows): void {
  if (self.ownsResult) operatorFree(context, self.result);
  self.ownsResult = 0;
  self.open = 0;
  self.folding = 0;
}

/** Gives up what only the window at hand needed. */
export function finishWindow(context: usize, operator: usize): void {
  const self = windowsOf(operator);
  closeResult(context, self);
  self.closed = self.window;
  stacksClose(context, self);
  partialsExpire(context, operator, self.window);
}

/** Where there are row kinds: results that leave once are all +I. */
function fillKinds(operator: usize, rows: u32): void {
  const self = aggregationOf(operator);
  if ((self.flags & <u32>AggregateFlag.CHANGELOG) == 0) return;
  const kinds = outputColumn(self.output, outputColumns(self.output) - 1);
  memory.fill(kinds.values + <usize>kinds.length, <u8>RowKind.INSERT, rows);
  kinds.length += rows;
}

/** Bytes of texts in the output. */
export function outputBytes(output: usize): u64 {
  let bytes: u64 = 0;
  for (let column: u32 = 0; column < outputColumns(output); column++) bytes += outputColumn(output, column).bytes;
  return bytes;
}
