// Routing: which partial each row of a push goes to, before any row is applied.
//
// The whole batch is looked at first: late rows, null times and times out of range are told, the partials that are
// needed are made and given room, and only then rows are applied, so that a push is all or nothing. The program runs
// again for that, unless the batch is one vector. Where nothing but columns comes after its filters, only these and the
// time are run at first, and which rows passed is kept, so that no filter runs twice.
//
// Where filtered rows move time, too (ALL_TIMES), the newest time comes from the column of times as it is in the batch.
//
// A vector whose times fall in one slice, the usual case in a stream, is known by its smallest and largest time. So is
// one none of whose rows can be late for any window, looked at whole or, where the watermark moves on in it, in blocks
// of rows: its times are only cut into slices (window/cut.ts), or, where there are two next to each other, compared with
// the edge between them (window/split.ts), and a target is looked up for each slice, or, where the push is scattered
// (window-scatter.ts), not at all. Otherwise each row is looked at: the watermark before it decides which windows it
// still reaches, and, where windows take late rows, which of them have left (window-changes.ts).
//
//   target: +0 u32 aggregation  +4 u32 rows to come  +8 u32 last row + 1 of the vector at hand
//           +12 u32 groups before the push  +16 u32 rows  +20 u32 0
//   pair:   +0 bitmap of the later slice's rows  +256 u32 slice, then target of the earlier one  +260 u32 target of the
//           later one  +264 u32 its rows; where a vector's numbers of targets would be

import { Abi, Type } from "../abi/layout";
import { Reason, Status } from "../abi/status";
import { WindowFlag } from "../abi/window";
import { bitmapGet } from "../column/bitmap";
import { outputColumn, outputReset, regrow } from "../column/builder";
import { BITMAP_BYTES, Vector } from "../column/vector";
import {
  COLUMN_BYTES,
  programColumn,
  programOutput,
  programOutputWriter,
  programPlace,
  programResume,
  programRow,
  programRun,
  programSelect,
  programSelected,
  programSelection,
  programSelects,
} from "../expression/program";
import {
  ROW_TABLE_SCRATCH,
  RowTable,
  rowTableClear,
  rowTableMap,
  rowTableReserve,
  rowTableRow,
} from "../group/row-table";
import { fail, failAt, failDetail, failMemory, failValue, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock } from "../memory/region";
import {
  firstOpenWindow,
  shapeHighest,
  shapeLowest,
  sliceEnd,
  sliceFirstWindow,
  sliceLastWindow,
  sliceOf,
  sliceStart,
  windowIsClosed,
} from "../window/shape";
import { cutSlices } from "../window/cut";
import { splitRuns, splitTimes } from "../window/split";
import { expiryOf } from "./window-changes";
import { Windows, shapeOf, tableOf, windowsOf, windowsProgram } from "./windows";

const ROWS: u32 = Abi.VECTOR_ROWS;
export const TARGET: usize = 24;
/** Of a vector: its rows go to several partials; of a row: it goes nowhere. */
export const SEVERAL: u32 = 0xffffffff;
export const NOWHERE: u32 = 0xfffffffe;
/** Of a vector: its rows, so many, are cut into slices. */
const CUT: u32 = 0x80000000;
/** Of a vector: its rows, so many, belong to two slices next to each other. */
const PAIR: u32 = 0x90000000;
export const PAIR_LOW: usize = BITMAP_BYTES;
export const PAIR_HIGH: usize = BITMAP_BYTES + 4;
export const PAIR_HIGHS: usize = BITMAP_BYTES + 8;
/** Rows that are looked at together where the watermark moves among them. */
const BLOCK: u32 = 128;
/** Slices that are cut lie within so many of the push's first. */
const CUT_REACH: i64 = 1 << 30;

/** What a push would make of the operator's counts: taken over once nothing can fail any more. */
// @ts-ignore: decorator
@unmanaged
export class Routing {
  newest: i64;
  watermark: i64;
  lateRows: u64;
  partlyLateRows: u64;
  nullTimes: u64;
  selected: u64;
  lateCount: u32;
  /** Runs of rows with the same target, in vectors of several. */
  runs: u32;
  /** 1 while no row was late for any window, or had no time; then the least and the greatest slice. */
  open: u32;
  low: i64;
  high: i64;
  /** What slices that are cut are distances from; none are before it. */
  base: i64;
  /** 1 when there are vectors that are cut. */
  cut: u32;
  /** With ALL_TIMES: a `Vector` of the times of all rows of the vector at hand, and how many; else 0. */
  all: usize;
  allRows: u32;
  /** Room for the least and the greatest of them. */
  range: usize;
}

export const ROUTING_SIZE: usize = 104;
/** Selections, and u32 how many rows of each vector. */
const SELECTION_BYTES: usize = ((<usize>Abi.MORSEL_ROWS) << 1) + ((<usize>(<u32>Abi.MORSEL_ROWS / ROWS)) << 2);

/** Rows of a vector that is cut; 0 for another one. */
// @ts-ignore: decorator
@inline
export function cutRows(number: u32): u32 {
  return number >>> 12 == CUT >>> 12 ? number & 0xfff : 0;
}

/** Rows of a vector of two slices next to each other; 0 for another one. */
// @ts-ignore: decorator
@inline
export function pairRows(number: u32): u32 {
  return number >>> 12 == PAIR >>> 12 ? number & 0xfff : 0;
}

// @ts-ignore: decorator
@inline
export function targetAt(self: Windows, index: u32): usize {
  return self.targets + <usize>index * TARGET;
}

/** The watermark that the newest time so far stands for. */
// @ts-ignore: decorator
@inline
export function boundedWatermark(newest: i64, bound: i64): i64 {
  return newest < i64.MIN_VALUE + bound + 1 ? i64.MIN_VALUE : newest - bound - 1;
}

/** The watermark after rows whose newest time is `newest`. */
// @ts-ignore: decorator
@inline
export function watermarkAfter(self: Windows, watermark: i64, newest: i64): i64 {
  return self.bound < 0 ? watermark : max<i64>(watermark, boundedWatermark(newest, self.bound));
}

/** Routes the bound batch of `rows` rows. 0, or an error; the operator is as it was, in any case. */
export function route(context: usize, operator: usize, rows: u32, routing: Routing): i32 {
  const self = windowsOf(operator);
  rowTableClear(self.table);
  self.targetsKnown = 0;
  routing.newest = self.newest;
  routing.watermark = self.watermark;
  routing.lateRows = 0;
  routing.partlyLateRows = 0;
  routing.nullTimes = 0;
  routing.selected = 0;
  routing.lateCount = 0;
  routing.runs = 0;
  routing.open = 1;
  routing.low = i64.MAX_VALUE;
  routing.high = i64.MIN_VALUE;
  routing.cut = 0;
  routing.all = 0;
  if ((self.flags & <u32>WindowFlag.KEEP_LATE) != 0 && !outputReset(self.late, rows)) return failMemory(context, 0);
  const program = windowsProgram(operator);
  self.selects = rows > ROWS && programSelects(program) && reserveSelections(operator, self) ? 1 : 0;
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const mark = scratchMark(context);
    const count = min(ROWS, rows - start);
    if (self.flags & <u32>WindowFlag.ALL_TIMES) loadAllTimes(context, operator, start, count, routing);
    const selected = self.selects
      ? programSelect(context, program, start, count)
      : programRun(context, program, start, count);
    if (selected < 0) return selected;
    if (self.selects) keepSelection(self, program, start, count, <u32>selected);
    const status = routeVector(context, operator, start, selected, routing);
    scratchReset(context, mark);
    if (status < 0) return status;
    routing.selected += selected;
  }
  return 0;
}

/** Room for which rows of a push pass. False when out of memory. */
function reserveSelections(operator: usize, self: Windows): bool {
  if (self.selections == 0) self.selections = regionBlock(operator, SELECTION_BYTES);
  return self.selections != 0;
}

/** Where the number of rows of the vector at `start` that passed is kept. */
// @ts-ignore: decorator
@inline
function selectedAt(self: Windows, start: u32): usize {
  return self.selections + ((<usize>Abi.MORSEL_ROWS) << 1) + ((<usize>(start / ROWS)) << 2);
}

/** Keeps which of the `rows` rows at `start` passed. */
function keepSelection(self: Windows, program: usize, start: u32, rows: u32, selected: u32): void {
  store<u32>(selectedAt(self, start), selected);
  if (selected != rows)
    memory.copy(self.selections + ((<usize>start) << 1), programSelection(program), (<usize>selected) << 1);
}

/** Runs the program for a vector of a routed push again: how many rows passed, or an error. */
export function routedRun(context: usize, self: Windows, program: usize, start: u32, rows: u32): i32 {
  if (self.selects == 0) return programRun(context, program, start, rows);
  const selected = load<u32>(selectedAt(self, start));
  const selection: usize = selected == rows ? 0 : self.selections + ((<usize>start) << 1);
  programResume(context, program, start, selection, selected, self.unloaded);
  return selected;
}

/** The times of all rows of a vector, before the program runs for it. */
export function loadAllTimes(context: usize, operator: usize, start: u32, rows: u32, routing: Routing): void {
  routing.range = scratchTake(context, 16);
  routing.all = scratchTake(context, COLUMN_BYTES);
  routing.allRows = rows;
  programColumn(context, windowsProgram(operator), windowsOf(operator).time, start, rows, routing.all);
}

/** The newest of the times of all rows [from, to) of the vector at hand, and of `newest`. */
export function newestOfAll(routing: Routing, from: u32, to: u32, newest: i64): i64 {
  const values = changetype<Vector>(routing.all).values;
  const validity = changetype<Vector>(routing.all).validity;
  for (let row = from; row < to; row++) {
    if (validity != 0 && bitmapGet(validity, row) == 0) continue;
    newest = max<i64>(newest, load<i64>(values + ((<usize>row) << 3)));
  }
  return newest;
}

function routeVector(context: usize, operator: usize, start: u32, rows: u32, routing: Routing): i32 {
  const self = windowsOf(operator);
  const at = self.vectors + ((<usize>(start / ROWS)) << 2);
  store<u32>(at, NOWHERE);
  if (rows == 0) {
    if (routing.all != 0) {
      routing.newest = newestOfAll(routing, 0, routing.allRows, routing.newest);
      routing.watermark = watermarkAfter(self, routing.watermark, routing.newest);
    }
    return 0;
  }
  if (routing.all != 0 && changetype<Vector>(routing.all).validity == 0) {
    if (routeTogether(context, operator, rows, routing, at)) return 0;
  }
  const times = changetype<Vector>(programOutput(windowsProgram(operator), self.time));
  if (self.selects) programSelected(windowsProgram(operator), self.time);
  const nulls = times.validity != 0 || (routing.all != 0 && changetype<Vector>(routing.all).validity != 0);
  if (!nulls && routeWhole(context, operator, times.values, rows, routing, start)) return 0;
  store<u32>(at, SEVERAL);
  routing.open = 0;
  return routeRows(context, operator, times, start, rows, routing);
}

// ---- a vector of one slice, or one that is only cut

/** Whether all rows of the vector, those that were dropped, too, are of one slice: then those that passed need no times. */
function routeTogether(context: usize, operator: usize, rows: u32, routing: Routing, at: usize): bool {
  const shape = shapeOf(windowsOf(operator));
  const range = routing.range;
  timeRange(changetype<Vector>(routing.all).values, routing.allRows, range);
  const low = load<i64>(range);
  const high = load<i64>(range, 8);
  if (low < shapeLowest(shape) || high > shapeHighest(shape)) return false;
  const slice = sliceOf(shape, low);
  return slice == sliceOf(shape, high) && routeSlice(context, operator, slice, high, rows, routing, at);
}

/** Gives a vector of one slice, whose newest row, or one that was dropped, is at `time`, its target; false where that does not do. */
function routeSlice(
  context: usize,
  operator: usize,
  slice: i64,
  time: i64,
  rows: u32,
  routing: Routing,
  at: usize,
): bool {
  const self = windowsOf(operator);
  const shape = shapeOf(self);
  const newest = max<i64>(routing.newest, time);
  const watermark = watermarkAfter(self, routing.watermark, newest);
  const expiry = expiryOf(self, watermark);
  let from = sliceFirstWindow(shape, slice);
  const closed = windowIsClosed(shape, from, expiry);
  if (closed) {
    // Still whole when no row moves the watermark: all of them come after what is closed now.
    if (watermark != routing.watermark) return false;
    from = firstOpenWindow(shape, expiry);
    if (from > sliceLastWindow(shape, slice)) return false;
  }
  if (!rememberTarget(context, operator, slice, from, rows, at)) return false;
  if (closed) {
    routing.open = 0;
    routing.partlyLateRows += rows;
  }
  routing.newest = newest;
  routing.watermark = watermark;
  routing.low = min<i64>(routing.low, slice);
  routing.high = max<i64>(routing.high, slice);
  return true;
}

/** Whether every row goes to the same partial, or counts for every window of its slice; the vector's number is then stored. */
function routeWhole(
  context: usize,
  operator: usize,
  times: usize,
  rows: u32,
  routing: Routing,
  start: u32,
): bool {
  const self = windowsOf(operator);
  const shape = shapeOf(self);
  const range = scratchTake(context, 16);
  timeRange(times, rows, range);
  const low = load<i64>(range);
  const high = load<i64>(range, 8);
  if (low < shapeLowest(shape) || high > shapeHighest(shape)) return false;
  const slice = sliceOf(shape, low);
  // sliceOf rather than an end: the last slice of all has none.
  const last = sliceOf(shape, high);
  const latest = routing.all != 0 ? load<i64>(routing.range, 8) : high;
  if (slice == last)
    return routeSlice(context, operator, slice, latest, rows, routing, self.vectors + ((<usize>(start / ROWS)) << 2));
  const newest = max<i64>(routing.newest, latest);
  const watermark = watermarkAfter(self, routing.watermark, newest);
  // Whatever order the rows are in.
  if (windowIsClosed(shape, sliceFirstWindow(shape, slice), expiryOf(self, watermark))) {
    if (!isInTime(context, self, times, rows, routing)) return false;
  }
  if (!cutVector(operator, times, rows, low, high, routing, start)) return false;
  routing.newest = newest;
  routing.watermark = watermark;
  routing.low = min<i64>(routing.low, slice);
  routing.high = max<i64>(routing.high, last);
  return true;
}

/** Writes the least of `rows` times, and the greatest, to `range`. */
export function timeRange(times: usize, rows: u32, range: usize): void {
  if (ASC_FEATURE_SIMD && rows >= BLOCK && narrowRange(times, rows, range)) return;
  let low: i64 = load<i64>(times);
  let high = low;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD && rows >= 8) {
    // Four of each: none waits for the one before.
    let lows = v128.load(times);
    let lows1 = v128.load(times, 16);
    let lows2 = v128.load(times, 32);
    let lows3 = v128.load(times, 48);
    let highs = lows;
    let highs1 = lows1;
    let highs2 = lows2;
    let highs3 = lows3;
    row = 8;
    for (const whole = rows & ~7; row < whole; row += 8) {
      const at = times + ((<usize>row) << 3);
      const first = v128.load(at);
      const second = v128.load(at, 16);
      const third = v128.load(at, 32);
      const fourth = v128.load(at, 48);
      lows = lesser(lows, first);
      lows1 = lesser(lows1, second);
      lows2 = lesser(lows2, third);
      lows3 = lesser(lows3, fourth);
      highs = greater(highs, first);
      highs1 = greater(highs1, second);
      highs2 = greater(highs2, third);
      highs3 = greater(highs3, fourth);
    }
    lows = lesser(lesser(lows, lows1), lesser(lows2, lows3));
    highs = greater(greater(highs, highs1), greater(highs2, highs3));
    low = min<i64>(i64x2.extract_lane(lows, 0), i64x2.extract_lane(lows, 1));
    high = max<i64>(i64x2.extract_lane(highs, 0), i64x2.extract_lane(highs, 1));
  }
  for (; row < rows; row++) {
    const time = load<i64>(times + ((<usize>row) << 3));
    low = min<i64>(low, time);
    high = max<i64>(high, time);
  }
  store<i64>(range, low);
  store<i64>(range, high, 8);
}

/**
 * The same of times whose upper halves are equal, 2.4 times as fast: of their lower halves four are in a vector, and
 * there are instructions for the lesser and the greater of them. False where the upper halves differ.
 */
function narrowRange(times: usize, rows: u32, range: usize): bool {
  const first = load<i64>(times);
  const all = i64x2.splat(first);
  let lows = i32x4.splat(-1);
  let lows1 = lows;
  let highs = i32x4.splat(0);
  let highs1 = highs;
  let at = times;
  for (let row: u32 = 0; row < rows; row += BLOCK) {
    let differ = i32x4.splat(0);
    // The last block of all, whole: some of its rows again.
    if (row + BLOCK > rows) at = times + (<usize>(rows - BLOCK) << 3);
    for (const end = at + (<usize>BLOCK << 3); at < end; at += 64) {
      const a = v128.load(at);
      const b = v128.load(at, 16);
      const c = v128.load(at, 32);
      const d = v128.load(at, 48);
      differ = v128.or(differ, v128.or(v128.xor(a, all), v128.xor(b, all)));
      differ = v128.or(differ, v128.or(v128.xor(c, all), v128.xor(d, all)));
      const left = v128.shuffle<u32>(a, b, 0, 2, 4, 6);
      const right = v128.shuffle<u32>(c, d, 0, 2, 4, 6);
      lows = i32x4.min_u(lows, left);
      lows1 = i32x4.min_u(lows1, right);
      highs = i32x4.max_u(highs, left);
      highs1 = i32x4.max_u(highs1, right);
    }
    if ((i64x2.extract_lane(differ, 0) | i64x2.extract_lane(differ, 1)) >>> 32 != 0) return false;
  }
  const upper = first & ~0xffffffff;
  store<i64>(range, upper | <i64>leastOf(i32x4.min_u(lows, lows1)));
  store<i64>(range, upper | <i64>~leastOf(v128.not(i32x4.max_u(highs, highs1))), 8);
  return true;
}

/** The least of four unsigned numbers. */
function leastOf(values: v128): u32 {
  const pairs = i32x4.min_u(values, v128.shuffle<u32>(values, values, 2, 3, 0, 1));
  return min<u32>(i32x4.extract_lane(pairs, 0), i32x4.extract_lane(pairs, 1));
}

// @ts-ignore: decorator
@inline
function lesser(a: v128, b: v128): v128 {
  return v128.bitselect(a, b, i64x2.lt_s(a, b));
}

// @ts-ignore: decorator
@inline
function greater(a: v128, b: v128): v128 {
  return v128.bitselect(a, b, i64x2.gt_s(a, b));
}

/**
 * Whether no row is late for any window of its slice, though the watermark of the last row has closed some of those of
 * the first: a block of rows at a time.
 */
function isInTime(context: usize, self: Windows, times: usize, rows: u32, routing: Routing): bool {
  const shape = shapeOf(self);
  const range = scratchTake(context, 16);
  let newest = routing.newest;
  // All rows of a block rather than those that passed: none of those is older than the oldest of all.
  if (routing.all != 0) {
    times = changetype<Vector>(routing.all).values;
    rows = routing.allRows;
  }
  for (let row: u32 = 0; row < rows; row += BLOCK) {
    const block = times + ((<usize>row) << 3);
    const count = min(BLOCK, rows - row);
    timeRange(block, count, range);
    const before = newest;
    newest = max<i64>(newest, load<i64>(range, 8));
    const watermark = max<i64>(routing.watermark, boundedWatermark(newest, self.bound));
    const low = load<i64>(range);
    if (routing.all != 0 && (low < shapeLowest(shape) || low > shapeHighest(shape))) return false;
    const from = sliceFirstWindow(shape, sliceOf(shape, low));
    if (windowIsClosed(shape, from, expiryOf(self, watermark)) && !rowsAreInTime(self, block, count, routing, before))
      return false;
  }
  return true;
}

/** The same for a few rows one by one, all of them times that are taken; `newest` is the newest before them. */
function rowsAreInTime(self: Windows, times: usize, rows: u32, routing: Routing, newest: i64): bool {
  const shape = shapeOf(self);
  let expiry = expiryOf(self, max<i64>(routing.watermark, boundedWatermark(newest, self.bound)));
  let low: i64 = 0;
  let high: i64 = 0;
  let from: i64 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const time = load<i64>(times + ((<usize>row) << 3));
    if (time < low || time >= high) {
      const slice = sliceOf(shape, time);
      low = sliceStart(shape, slice);
      high = sliceEnd(shape, slice);
      from = sliceFirstWindow(shape, slice);
    }
    if (windowIsClosed(shape, from, expiry)) return false;
    if (time <= newest) continue;
    newest = time;
    expiry = expiryOf(self, max<i64>(routing.watermark, boundedWatermark(newest, self.bound)));
  }
  return true;
}

/** Cuts a vector whose least and greatest time are known; false where slices are too far apart, or out of memory. */
function cutVector(
  operator: usize,
  times: usize,
  rows: u32,
  low: i64,
  high: i64,
  routing: Routing,
  start: u32,
): bool {
  const self = windowsOf(operator);
  const shape = shapeOf(self);
  const slice = sliceOf(shape, low);
  if (routing.cut == 0) {
    if (slice < i64.MIN_VALUE + CUT_REACH) return false;
    routing.base = slice - CUT_REACH;
  }
  if (slice < routing.base || <u64>(sliceOf(shape, high) - routing.base) >= <u64>(CUT_REACH << 1)) return false;
  if (!reserveNumbers(operator, self)) return false;
  routing.cut = 1;
  const to = self.rows + ((<usize>start) << 2);
  const at = self.vectors + ((<usize>(start / ROWS)) << 2);
  if (sliceOf(shape, high) - slice != 1) {
    routing.runs += cutSlices(shape, times, rows, low, high, routing.base, to);
    store<u32>(at, CUT | rows);
    return true;
  }
  const highs = splitTimes(times, rows, sliceStart(shape, slice + 1), to);
  store<u32>(to, <u32>(slice - routing.base), PAIR_LOW);
  store<u32>(to, highs, PAIR_HIGHS);
  routing.runs += splitRuns(to, rows);
  store<u32>(at, PAIR | rows);
  return true;
}

/** Room for a number of each row of a push. False when out of memory. */
function reserveNumbers(operator: usize, self: Windows): bool {
  if (self.rows == 0) self.rows = regionBlock(operator, (<usize>Abi.MORSEL_ROWS) << 2);
  return self.rows != 0;
}

/** Gives the vectors of a routed push of `rows` rows that are cut their targets. 0, or OUT_OF_MEMORY. */
export function routeCuts(context: usize, operator: usize, rows: u32, routing: Routing): i32 {
  const self = windowsOf(operator);
  if (routing.cut == 0) return 0;
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const at = self.vectors + ((<usize>(start / ROWS)) << 2);
    const to = self.rows + ((<usize>start) << 2);
    const kept = cutRows(load<u32>(at));
    const pair = pairRows(load<u32>(at));
    if (kept == 0 && pair == 0) continue;
    const mark = scratchMark(context);
    const done =
      pair != 0
        ? routePair(context, operator, to, pair, routing.base)
        : routeSlices(context, operator, to, kept, routing.base);
    scratchReset(context, mark);
    if (!done) return failMemory(context, 0);
    if (pair == 0) store<u32>(at, SEVERAL);
  }
  return 0;
}

/** Puts the numbers of targets in the place of slices. False when out of memory. */
function routeSlices(context: usize, operator: usize, slices: usize, rows: u32, base: i64): bool {
  const shape = shapeOf(windowsOf(operator));
  const range = numberRange(slices, rows);
  const low = <u32>range;
  const high = <u32>(range >> 32);
  if (high - low >= ROWS) return routeRuns(context, operator, slices, rows, base);
  const span = high - low + 1;
  // Counts of even rows, and of odd ones, so that none waits for the one before.
  const counts = scratchTake(context, (<usize>ROWS) << 3);
  memory.fill(counts, 0, (<usize>span) << 3);
  for (let row: u32 = 0; row < rows; row++) {
    const at = counts + ((<usize>(load<u32>(slices + ((<usize>row) << 2)) - low)) << 3) + ((<usize>(row & 1)) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  const names = scratchTake(context, (<usize>ROWS) << 4);
  const numbers = scratchTake(context, (<usize>ROWS) << 2);
  let found: u32 = 0;
  for (let slice: u32 = 0; slice < span; slice++) {
    if (load<u64>(counts + ((<usize>slice) << 3)) == 0) continue;
    const name = names + ((<usize>found) << 4);
    store<i64>(name, base + <i64>(low + slice));
    store<i64>(name, sliceFirstWindow(shape, base + <i64>(low + slice)), 8);
    found++;
  }
  if (!mapTargets(context, operator, names, found, numbers)) return false;
  found = 0;
  for (let slice: u32 = 0; slice < span; slice++) {
    const at = counts + ((<usize>slice) << 3);
    const count = load<u32>(at) + load<u32>(at, 4);
    if (count == 0) continue;
    const number = load<u32>(numbers + ((<usize>found) << 2));
    const target = targetAt(windowsOf(operator), number);
    store<u32>(target, load<u32>(target, 4) + count, 4);
    store<u32>(at, number);
    found++;
  }
  for (let row: usize = 0; row < <usize>rows; row++) {
    const at = slices + (row << 2);
    store<u32>(at, load<u32>(counts + ((<usize>(load<u32>(at) - low)) << 3)));
  }
  return true;
}

/** The least of `rows` numbers in the low half, and the greatest in the high one. */
export function numberRange(numbers: usize, rows: u32): u64 {
  let low: u32 = u32.MAX_VALUE;
  let high: u32 = 0;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD && rows >= 4) {
    let lows = v128.load(numbers);
    let highs = lows;
    for (const whole = rows & ~3; row < whole; row += 4) {
      const four = v128.load(numbers + ((<usize>row) << 2));
      lows = i32x4.min_u(lows, four);
      highs = i32x4.max_u(highs, four);
    }
    for (let lane: u32 = 0; lane < 2; lane++) {
      low = min(low, min<u32>(i32x4.extract_lane(lows, 0), i32x4.extract_lane(lows, 1)));
      high = max(high, max<u32>(i32x4.extract_lane(highs, 0), i32x4.extract_lane(highs, 1)));
      lows = i8x16.shuffle(lows, lows, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
      highs = i8x16.shuffle(highs, highs, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    }
  }
  for (; row < rows; row++) {
    const number = load<u32>(numbers + ((<usize>row) << 2));
    low = min(low, number);
    high = max(high, number);
  }
  return <u64>low | (<u64>high << 32);
}

/** Puts the targets of a pair in the place of its slice, as nearly all vectors of a stream have that have not one alone. */
function routePair(context: usize, operator: usize, pair: usize, rows: u32, base: i64): bool {
  const shape = shapeOf(windowsOf(operator));
  const names = scratchTake(context, 32);
  const numbers = scratchTake(context, 16);
  for (let index: usize = 0; index < 2; index++) {
    const slice = base + <i64>load<u32>(pair, PAIR_LOW) + <i64>index;
    store<i64>(names + (index << 4), slice);
    store<i64>(names + (index << 4), sliceFirstWindow(shape, slice), 8);
  }
  if (!mapTargets(context, operator, names, 2, numbers)) return false;
  const self = windowsOf(operator);
  const highs = load<u32>(pair, PAIR_HIGHS);
  for (let index: usize = 0; index < 2; index++) {
    const number = load<u32>(numbers + (index << 2));
    store<u32>(pair + (index << 2), number, PAIR_LOW);
    const target = targetAt(self, number);
    store<u32>(target, load<u32>(target, 4) + (index == 0 ? rows - highs : highs), 4);
  }
  return true;
}

/** The same for slices that lie far apart, by runs of the same. */
function routeRuns(context: usize, operator: usize, slices: usize, rows: u32, base: i64): bool {
  const shape = shapeOf(windowsOf(operator));
  const names = scratchTake(context, (<usize>ROWS) << 4);
  const lengths = scratchTake(context, (<usize>ROWS) << 2);
  const numbers = scratchTake(context, (<usize>ROWS) << 2);
  const end = slices + ((<usize>rows) << 2);
  let runs: u32 = 0;
  for (let at = slices; at < end; runs++) {
    const first = at;
    const slice = load<u32>(at);
    for (at += 4; at < end && load<u32>(at) == slice; ) at += 4;
    const name = names + ((<usize>runs) << 4);
    store<i64>(name, base + <i64>slice);
    store<i64>(name, sliceFirstWindow(shape, base + <i64>slice), 8);
    store<u32>(lengths + ((<usize>runs) << 2), <u32>((at - first) >> 2));
  }
  if (!mapTargets(context, operator, names, runs, numbers)) return false;
  let at = slices;
  for (let run: usize = 0; run < <usize>runs; run++) {
    const number = load<u32>(numbers + (run << 2));
    const length = load<u32>(lengths + (run << 2));
    const target = targetAt(windowsOf(operator), number);
    store<u32>(target, load<u32>(target, 4) + length, 4);
    for (const next = at + ((<usize>length) << 2); at < next; at += 4) store<u32>(at, number);
  }
  return true;
}

/** False when out of memory, which the way row by row will tell. */
function rememberTarget(context: usize, operator: usize, slice: i64, from: i64, rows: u32, at: usize): bool {
  const name = scratchTake(context, 16);
  store<i64>(name, slice);
  store<i64>(name, from, 8);
  if (!mapTargets(context, operator, name, 1, at)) return false;
  const target = targetAt(windowsOf(operator), load<u32>(at));
  store<u32>(target, load<u32>(target, 4) + rows, 4);
  return true;
}

/** Numbers of the targets of `count` (slice, window) pairs, to `numbers`. False when out of memory. */
function mapTargets(context: usize, operator: usize, names: usize, count: u32, numbers: usize): bool {
  const self = windowsOf(operator);
  const table = tableOf(self);
  if (!rowTableReserve(self.table, count)) return false;
  const tags = scratchTake(context, ROW_TABLE_SCRATCH);
  // unreached: only where thousands of hashes collide while memory is out
  if (!rowTableMap(self.table, names, count, numbers, tags)) return false;
  // Names that came when there was no memory for their targets are in the table, too.
  const known = self.targetsKnown;
  if (table.entries > self.targetCapacity) {
    const capacity = max<u32>(max<u32>(64, table.entries), self.targetCapacity << 1);
    const targets = regrow(operator, self.targets, <usize>known * TARGET, <usize>capacity * TARGET);
    if (targets == 0) return false;
    self.targets = targets;
    self.targetCapacity = capacity;
  }
  memory.fill(targetAt(self, known), 0, <usize>(table.entries - known) * TARGET);
  self.targetsKnown = table.entries;
  return true;
}

// ---- a vector of several

function routeRows(context: usize, operator: usize, times: Vector, start: u32, rows: u32, routing: Routing): i32 {
  const self = windowsOf(operator);
  if (!reserveNumbers(operator, self)) return failMemory(context, 0);
  const names = scratchTake(context, (<usize>ROWS) << 4);
  const places = scratchTake(context, (<usize>ROWS) << 2);
  const numbers = scratchTake(context, (<usize>ROWS) << 2);
  const kept = nameRows(context, operator, times, rows, routing, names, places);
  if (kept < 0) return kept;
  if (!mapTargets(context, operator, names, kept, numbers)) return failMemory(context, 0);
  const to = self.rows + ((<usize>start) << 2);
  for (let row: u32 = 0; row < rows; row++) store<u32>(to + ((<usize>row) << 2), NOWHERE);
  let last: u32 = NOWHERE;
  for (let index: usize = 0; index < <usize>kept; index++) {
    const number = load<u32>(numbers + (index << 2));
    routing.runs += <u32>(number != last);
    last = number;
    store<u32>(to + ((<usize>load<u32>(places + (index << 2))) << 2), number);
    const target = targetAt(self, number);
    store<u32>(target, load<u32>(target, 4) + 1, 4);
  }
  return 0;
}

/**
 * Writes slice and first window of each row that is neither late nor without a time to `names`, and its number to
 * `places`. How many, or an error.
 */
function nameRows(
  context: usize,
  operator: usize,
  times: Vector,
  rows: u32,
  routing: Routing,
  names: usize,
  places: usize,
): i32 {
  const self = windowsOf(operator);
  const shape = shapeOf(self);
  const program = windowsProgram(operator);
  const lowest = shapeLowest(shape);
  const highest = shapeHighest(shape);
  const bound = self.bound;
  let newest = routing.newest;
  let watermark = routing.watermark;
  let expiry = expiryOf(self, watermark);
  // The slice of the row before, and its windows that were open then.
  let low: i64 = 0;
  let high: i64 = 0;
  let slice: i64 = 0;
  let first: i64 = 0;
  let from: i64 = 0;
  let last: i64 = 0;
  let any = false;
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
        expiry = expiryOf(self, watermark);
      }
    }
    if (times.validity != 0 && bitmapGet(times.validity, row) == 0) {
      if ((self.flags & <u32>WindowFlag.DROP_NULL_TIME) == 0) return refuseNull(context, operator, row);
      routing.nullTimes++;
      continue;
    }
    const time = load<i64>(times.values + ((<usize>row) << 3));
    if (time < lowest || time > highest) {
      if ((self.flags & <u32>WindowFlag.DROP_NULL_TIME) == 0) return refuseTime(context, operator, row, time);
      routing.nullTimes++;
      if (time > newest) {
        newest = time;
        watermark = watermarkAfter(self, watermark, newest);
        expiry = expiryOf(self, watermark);
      }
      continue;
    }
    if (time < low || time >= high || !any) {
      slice = sliceOf(shape, time);
      low = sliceStart(shape, slice);
      high = sliceEnd(shape, slice);
      first = sliceFirstWindow(shape, slice);
      from = first;
      last = sliceLastWindow(shape, slice);
      any = true;
    }
    if (windowIsClosed(shape, from, expiry)) from = firstOpenWindow(shape, expiry);
    if (from > last) {
      routing.lateRows++;
      if ((self.flags & <u32>WindowFlag.KEEP_LATE) != 0) {
        const numbers = outputColumn(self.late, 0).values;
        store<u32>(numbers + ((<usize>routing.lateCount) << 2), programRow(program, row));
        routing.lateCount++;
      }
    } else {
      store<i64>(names + ((<usize>kept) << 4), slice);
      store<i64>(names + ((<usize>kept) << 4), from, 8);
      store<u32>(places + ((<usize>kept) << 2), row);
      kept++;
      routing.partlyLateRows += <u64>(from != first);
    }
    if (time > newest) {
      newest = time;
      if (bound >= 0) {
        watermark = max<i64>(watermark, boundedWatermark(newest, bound));
        expiry = expiryOf(self, watermark);
      }
    }
  }
  if (routing.all != 0) {
    newest = newestOfAll(routing, passed, routing.allRows, newest);
    watermark = watermarkAfter(self, watermark, newest);
  }
  routing.newest = newest;
  routing.watermark = watermark;
  return kept;
}

export function refuseNull(context: usize, operator: usize, row: u32): i32 {
  return refuseRow(context, operator, row, Status.BAD_ARGUMENT, Reason.NULL_TIME);
}

export function refuseTime(context: usize, operator: usize, row: u32, time: i64): i32 {
  failValue(context, Type.I64, <u64>time, 0);
  return refuseRow(context, operator, row, Status.OVERFLOW, Reason.WINDOW_OVERFLOW);
}

function refuseRow(context: usize, operator: usize, row: u32, status: Status, reason: Reason): i32 {
  const program = windowsProgram(operator);
  failAt(context, -1, programRow(program, row));
  failDetail(context, programOutputWriter(program, windowsOf(operator).time));
  return fail(context, status, reason);
}

/** The slice and the first window of a target. */
// @ts-ignore: decorator
@inline
export function targetName(self: Windows, index: u32): usize {
  return rowTableRow(self.table, index);
}

/** Targets of the batch that was routed. */
// @ts-ignore: decorator
@inline
export function targetCount(self: Windows): u32 {
  return changetype<RowTable>(self.table).entries;
}
