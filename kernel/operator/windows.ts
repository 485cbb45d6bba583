// What a windowed aggregation holds: an aggregation of its own, which has no rows but lends its buffers, and a list
// of partials.
//
// A partial is an aggregation (aggregation.ts) of rows of one slice, in a region of its own that is freed whole when
// no window needs it. A row that comes when some windows over its slice are closed already belongs to those that are
// still open only, whatever its push has brought besides: so a partial is named by its slice and by the first window
// that it counts for, and one slice may have several. They are listed in the order of slices, oldest first.
//
//   partial: +0 i64 slice  +8 i64 first window  +16 u32 aggregation  +20 u32 `PartialPlace`

import { regionBlock, regionBytes, regionFree, regionSetChunk } from "../memory/region";
import { failMemory } from "../memory/context";
import { RowTable } from "../group/row-table";
import { Gather } from "../window/gather";
import { Shape, floorDivide, sliceLastWindow } from "../window/shape";
import { AGGREGATION_SIZE, aggregationOf } from "./aggregation";
import { aggregateCreateLike } from "./hash-aggregate";
import { OPERATOR_BODY, Operator, operatorAllocate, operatorFree } from "./operator";
import { changesBytes, changesDestroy } from "./window-changes";
import { scatterAggregation } from "./window-scatter-state";
import { stateComing } from "./window-state";

export const PARTIAL: usize = 24;
/** Regions of partials grow in small pieces: there may be many. */
const PARTIAL_CHUNK: usize = 2048;
export const NO_WINDOW: i64 = i64.MIN_VALUE;

/** Where a partial stands among the two stacks: see window-stacks.ts. */
export const enum PartialPlace {
  NEW = 0,
  BACK = 1,
  FRONT = 2,
}

// @ts-ignore: decorator
@unmanaged
export class Windows {
  /** Shape, gather and the row table of routing, each with an address of its own. */
  shape: usize;
  gather: usize;
  /** Output of the program that is the time; `WindowFlag`. */
  time: u32;
  flags: u32;
  /** -1: only the host moves the watermark. */
  bound: i64;
  /** The newest time of any row so far, and the watermark; i64 min while there is none. */
  newest: i64;
  watermark: i64;
  lateRows: u64;
  partlyLateRows: u64;
  nullTimes: u64;
  backward: u64;
  /** The last window that has left, NO_WINDOW while there is none. */
  closed: i64;
  /** A copy of the aggregate's configuration. */
  config: usize;
  configBytes: u32;
  /** Scattered rows (window-scatter-state.ts), 0 until there are any; 1 when the push at hand goes there. */
  scatter: usize;
  scattered: u32;
  /** The list of partials: its block, the first one in it, how many, and room for how many. */
  partials: usize;
  first: u32;
  count: u32;
  capacity: u32;
  /** 1 without group keys. */
  keyless: u32;
  /** Rows that a slice has had lately: see window-tier.ts. */
  expected: u32;
  /** Numbers of the last push's late rows: an output of one column. */
  late: usize;
  lateCount: u32;
  /** Routing: see window-route.ts. */
  table: usize;
  vectors: usize;
  rows: usize;
  /** Rows of each vector that passed the filters, and how many: see window-route.ts. 0 until a push needs it. */
  selections: usize;
  /** 1 when the push at hand has selected its rows, and the outputs are to be loaded again. */
  selects: u32;
  /** The instruction that brings the time, where only routing reads it; NO_GROUP otherwise. */
  unloaded: u32;
  targets: usize;
  targetsKnown: u32;
  targetCapacity: u32;
  /** SESSION, see window-session.ts: sessions, keys, values; those that are due, the first and how many. */
  sessions: usize;
  keys: usize;
  values: usize;
  due: usize;
  dueFirst: u32;
  dueCount: u32;
  /** How often sessions leave early (0: not), the last such time, and the next of them while they do. */
  sessionsEarly: i64;
  sessionsFired: i64;
  sessionsNext: u32;
  /** The window that is leaving: its number, the aggregation that holds its result, and whether that is to be freed. */
  open: u32;
  ownsResult: u32;
  window: i64;
  result: usize;
  /** The next partial to fold into the result, how far that has come, and 1 while one is under way. */
  next: u32;
  combination: usize;
  folding: u32;
  /** Two stacks, see window-stacks.ts: 1 where they are used; the back, and its first and last slice. */
  stacks: u32;
  back: usize;
  backFirst: i64;
  backLast: i64;
  /** The first slice after the front; NO_WINDOW while there was none. */
  flipped: i64;
  /** What is under way: the phase, a second cursor, the addition and what follows it. */
  phase: u32;
  other: u32;
  foldTarget: usize;
  foldSource: usize;
  then: u32;
  /** The handle of what is being combined with it, or that it is itself (window-combine.ts); 0 at other times. */
  combining: u32;
  /** Results that change, see window-changes.ts; 0 where none does. */
  changes: usize;
  /** Snapshot and merge, see window-state.ts; 0 until there was one. What its states must agree in. */
  state: usize;
  configHash: u64;
}

// @ts-ignore: decorator
@inline
export function windowsOf(operator: usize): Windows {
  return changetype<Windows>(operator + OPERATOR_BODY + AGGREGATION_SIZE);
}

/** The number of the multiple of an interval of early results that the watermark has passed. */
export function earlyMultiple(self: Windows, early: i64): i64 {
  return early == 0 ? 0 : floorDivide(min<i64>(self.watermark, i64.MAX_VALUE - 1) + 1, early);
}

// @ts-ignore: decorator
@inline
export function shapeOf(self: Windows): Shape {
  return changetype<Shape>(self.shape);
}

// @ts-ignore: decorator
@inline
export function gatherOf(self: Windows): Gather {
  return changetype<Gather>(self.gather);
}

// @ts-ignore: decorator
@inline
export function tableOf(self: Windows): RowTable {
  return changetype<RowTable>(self.table);
}

/** Address of the `index`-th partial. */
// @ts-ignore: decorator
@inline
export function partialAt(self: Windows, index: u32): usize {
  return self.partials + (<usize>self.first + <usize>index) * PARTIAL;
}

// @ts-ignore: decorator
@inline
export function partialSlice(partial: usize): i64 {
  return load<i64>(partial);
}

/** The first window that a partial still has to count for. */
// @ts-ignore: decorator
@inline
export function partialFrom(self: Windows, partial: usize): i64 {
  return firstLeft(self, load<i64>(partial, 8));
}

// @ts-ignore: decorator
@inline
export function partialState(partial: usize): usize {
  return load<u32>(partial, 16);
}

// @ts-ignore: decorator
@inline
export function partialPlace(partial: usize): u32 {
  return load<u32>(partial, 20);
}

// @ts-ignore: decorator
@inline
export function partialSetPlace(partial: usize, place: PartialPlace): void {
  store<u32>(partial, <u32>place, 20);
}

/** `window`, or the first that has not left yet, when that comes later. */
// @ts-ignore: decorator
@inline
export function firstLeft(self: Windows, window: i64): i64 {
  return self.closed == NO_WINDOW ? window : max<i64>(window, self.closed + 1);
}

/** The first partial that does not come before (slice, window). */
export function partialSearch(self: Windows, slice: i64, window: i64): u32 {
  let low: u32 = 0;
  let high = self.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    const partial = partialAt(self, middle);
    const at = partialSlice(partial);
    if (at < slice || (at == slice && partialFrom(self, partial) < window)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The aggregation of a slice for `window` and those after it, made when there is none; 0 with the error recorded
 * when out of memory.
 */
export function partialFor(context: usize, operator: usize, slice: i64, from: i64): usize {
  const self = windowsOf(operator);
  const window = firstLeft(self, from);
  const index = partialSearch(self, slice, window);
  for (let other = index; other < self.count; other++) {
    const partial = partialAt(self, other);
    if (partialSlice(partial) != slice || partialFrom(self, partial) != window) break;
    if (partialPlace(partial) == <u32>PartialPlace.NEW) return partialState(partial);
  }
  const state = partialCreate(context, operator);
  if (state == 0) return 0;
  if (partialAdd(operator, slice, window, state)) return state;
  operatorFree(context, state);
  failMemory(context, 0);
  return 0;
}

/** Puts an aggregation of a slice, for `window` and those after it, on the list. False when out of memory. */
export function partialAdd(operator: usize, slice: i64, window: i64, state: usize): bool {
  const self = windowsOf(operator);
  if (!partialsReserve(operator)) return false;
  const index = partialSearch(self, slice, window);
  const at = partialAt(self, index);
  memory.copy(at + PARTIAL, at, <usize>(self.count - index) * PARTIAL);
  store<i64>(at, slice);
  store<i64>(at, window, 8);
  store<u64>(at, <u64>state, 16);
  self.count++;
  return true;
}

/** Puts one behind all others, where it belongs; room was made. */
export function partialAppend(self: Windows, slice: i64, window: i64, state: usize, place: u32): void {
  const at = partialAt(self, self.count);
  store<i64>(at, slice);
  store<i64>(at, window, 8);
  store<u32>(at, <u32>state, 16);
  store<u32>(at, place, 20);
  self.count++;
}

/** Room for one more on the list. False when out of memory. */
export function partialsReserve(operator: usize): bool {
  const self = windowsOf(operator);
  if (self.first + self.count < self.capacity) return true;
  // Half of the block must be free at its front for moving down to pay.
  if (self.first > self.count) {
    memory.copy(self.partials, partialAt(self, 0), <usize>self.count * PARTIAL);
    self.first = 0;
    return true;
  }
  const capacity = max<u32>(16, self.count << 1);
  const block = regionBlock(operator, <usize>capacity * PARTIAL);
  if (block == 0) return false;
  if (self.count != 0) memory.copy(block, partialAt(self, 0), <usize>self.count * PARTIAL);
  regionFree(operator, self.partials);
  self.partials = block;
  self.first = 0;
  self.capacity = capacity;
  return true;
}

/** An aggregation without rows; 0 with the error recorded when out of memory. */
export function partialCreate(context: usize, operator: usize): usize {
  const state = operatorAllocate(context, changetype<Operator>(operator).kind);
  if (state == 0) {
    failMemory(context, 0);
    return 0;
  }
  regionSetChunk(state, PARTIAL_CHUNK);
  if (aggregateCreateLike(context, state, operator, windowsOf(operator).config)) return state;
  operatorFree(context, state);
  return 0;
}

/** Frees one partial; those after it move up. */
export function partialRemove(context: usize, self: Windows, index: u32): void {
  const partial = partialAt(self, index);
  operatorFree(context, partialState(partial));
  self.count--;
  if (index == 0) self.first++;
  else memory.copy(partial, partial + PARTIAL, <usize>(self.count - index) * PARTIAL);
}

/** Frees the partials that no window after `window` needs: they are the first of the list. */
export function partialsExpire(context: usize, operator: usize, window: i64): void {
  const self = windowsOf(operator);
  const shape = shapeOf(self);
  while (self.count != 0) {
    const partial = partialAt(self, 0);
    if (sliceLastWindow(shape, partialSlice(partial)) > window) return;
    operatorFree(context, partialState(partial));
    self.first++;
    self.count--;
  }
  self.first = 0;
}

/** Frees partials that no row has reached: what a push that found no memory leaves behind. */
export function partialsDropEmpty(context: usize, operator: usize): void {
  const self = windowsOf(operator);
  let kept: u32 = 0;
  for (let index: u32 = 0; index < self.count; index++) {
    const partial = partialAt(self, index);
    const state = partialState(partial);
    if (changetype<Operator>(state).rowsSelected == 0) {
      operatorFree(context, partialState(partial));
      continue;
    }
    if (kept != index) memory.copy(partialAt(self, kept), partial, PARTIAL);
    kept++;
  }
  self.count = kept;
}

/** Frees every aggregation; the operator's own region goes with it. */
export function windowsDestroy(context: usize, operator: usize): void {
  const self = windowsOf(operator);
  for (let index: u32 = 0; index < self.count; index++) operatorFree(context, partialState(partialAt(self, index)));
  if (self.keys != 0) operatorFree(context, self.keys);
  if (self.values != 0) operatorFree(context, self.values);
  if (self.ownsResult) operatorFree(context, self.result);
  if (self.back != 0) operatorFree(context, self.back);
  if (scatterAggregation(self.scatter) != 0) operatorFree(context, scatterAggregation(self.scatter));
  if (stateComing(self) != 0) operatorFree(context, stateComing(self));
  changesDestroy(context, self);
}

/** Bytes of the heap that the operator holds. */
export function windowsBytes(operator: usize): u64 {
  const self = windowsOf(operator);
  let bytes: u64 = <u64>regionBytes(operator) + changesBytes(self);
  for (let index: u32 = 0; index < self.count; index++) bytes += regionBytes(partialState(partialAt(self, index)));
  if (scatterAggregation(self.scatter) != 0) bytes += regionBytes(scatterAggregation(self.scatter));
  if (self.back != 0) bytes += regionBytes(self.back);
  if (stateComing(self) != 0) bytes += regionBytes(stateComing(self));
  if (self.keys != 0) bytes += <u64>regionBytes(self.keys) + <u64>regionBytes(self.values);
  return self.ownsResult ? bytes + <u64>regionBytes(self.result) : bytes;
}

/** The program's outputs have been read by `aggregationOf(operator)`, which never has rows. */
// @ts-ignore: decorator
@inline
export function windowsProgram(operator: usize): usize {
  return aggregationOf(operator).program;
}
