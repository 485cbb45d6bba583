// WINDOW_AGGREGATE: filter, compute, cut time into windows, group and aggregate within each.
//
// Each row goes to one partial, an aggregation of its slice (windows.ts); a window's result is what its slices'
// partials come to together (window-close.ts). So what a row costs does not depend on how many windows it falls in.
// Which partial a row goes to is decided for a whole push before any row is applied (window-route.ts).
//
// This file creates, feeds and tells; a push leaves the windows that its watermark has closed to pulls.

import { Abi, Batch, Type } from "../abi/layout";
import { WindowConfig, WindowFlag, WindowKind } from "../abi/window";
import { AggregateFlag, AggregateConfig } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { outputColumn, outputCreate, outputDescribe, outputReset } from "../column/builder";
import {
  programAhead,
  programBind,
  programLoads,
  programOutput,
  programOutputType,
  programOutputWriter,
  programOutputs,
} from "../expression/program";
import { ROW_TABLE_SIZE, rowTableInit } from "../group/row-table";
import { NO_GROUP, groupsKey } from "../group/state";
import { hashBytes } from "../hash/hash";
import { clearError, fail, failMemory, refuseConfig, refuseMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock, regionCut, regionHasRoom } from "../memory/region";
import { BITMAP_BYTES } from "../column/vector";
import { GATHER_SIZE, gatherBegin, gatherEnd, gatherInit, gatherRows, gatherSide, gatherSplit } from "../window/gather";
import { SHAPE_SIZE, Shape, shapeInit } from "../window/shape";
import { splitNumbers } from "../window/split";
import { COMBINATION_SIZE } from "./aggregate-combine";
import { aggregateHeadroom } from "./aggregate-headroom";
import { backlogConsider, backlogIsOpen, backlogReserve, backlogRows, backlogWork } from "./aggregate-backlog";
import { aggregateReserveRows, aggregateReserveTexts, aggregateTextsHeadroom } from "./aggregate-reserve";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { aggregateApply, aggregateCreate, aggregateGroups, aggregateSlots, aggregateTier } from "./hash-aggregate";
import { Operator, operatorFailWith } from "./operator";
import { changesBegin, changesCreate, changesDrop, changesKept, correctionFor, isCorrection } from "./window-changes";
import { windowIsDue } from "./window-close";
import {
  NOWHERE,
  PAIR_HIGH,
  PAIR_HIGHS,
  PAIR_LOW,
  ROUTING_SIZE,
  Routing,
  SEVERAL,
  numberRange,
  pairRows,
  route,
  routeCuts,
  routedRun,
  targetAt,
  targetCount,
  targetName,
} from "./window-route";
import {
  isScattered,
  scatterApply,
  scatterFoldAll,
  scatterGroups,
  scatterIsFolding,
  scatterPushed,
  scatterReserve,
} from "./window-scatter";
import { scatterAggregation, scatterOf } from "./window-scatter-state";
import { sessionsApply, sessionsCheck, sessionsCreate, sessionsHeld, sessionsReserveRows } from "./window-session";
import { tierConsider, tierExpect, tierForget } from "./window-tier";
import {
  NO_WINDOW,
  Windows,
  gatherOf,
  partialAt,
  partialFor,
  partialState,
  partialsDropEmpty,
  shapeOf,
  windowsOf,
  windowsProgram,
} from "./windows";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Columns before the keys: where a window starts and ends. */
const WINDOW_COLUMNS: u32 = 2;
/** Bounds up to here leave room for sums of a few of them. */
const LONGEST: i64 = 1 << 60;
/** Steps of a hopping window from which on two stacks pay. */
const STACKS_SPAN: i64 = 3;

// ---- create

/** Reads the configuration at `config`; false with the error recorded when it is refused. */
export function windowCreate(context: usize, operator: usize, config: usize, length: u32): bool {
  const self = windowsOf(operator);
  if (!checkConfig(config, length)) return refuseConfig(context);
  self.shape = regionCut(operator, SHAPE_SIZE);
  self.gather = regionCut(operator, GATHER_SIZE);
  self.table = regionCut(operator, ROW_TABLE_SIZE);
  self.combination = regionCut(operator, COMBINATION_SIZE);
  self.vectors = regionCut(operator, <usize>(<u32>Abi.MORSEL_ROWS / ROWS) << 2);
  if (self.shape == 0 || self.gather == 0 || self.table == 0) return refuseMemory(context);
  if (self.combination == 0 || self.vectors == 0) return refuseMemory(context);
  if (!readConfig(self, config)) return refuseConfig(context);
  const aggregate = config + <usize>load<u32>(config, <usize>WindowConfig.AGGREGATE);
  const bytes = load<u32>(config, <usize>WindowConfig.AGGREGATE_BYTES);
  aggregationOf(operator).firstColumn = WINDOW_COLUMNS;
  if (!aggregateCreate(context, operator, aggregate, bytes)) return false;
  const early = load<i64>(config, <usize>WindowConfig.EARLY);
  self.stacks = early == 0 && hasManySlices(shapeOf(self)) ? 1 : 0;
  self.keyless = groupsOf(aggregationOf(operator)).keyCount == 0 ? 1 : 0;
  const program = windowsProgram(operator);
  if (self.time >= programOutputs(program) || programOutputType(program, self.time) != <u32>Type.I64)
    return refuseConfig(context);
  const all = (self.flags & <u32>WindowFlag.ALL_TIMES) != 0;
  if (all && (self.bound < 0 || !programLoads(program, self.time))) return refuseConfig(context);
  self.config = regionBlock(operator, max<usize>(bytes, 8));
  if (self.config == 0) return refuseMemory(context);
  memory.copy(self.config, aggregate, bytes);
  self.configBytes = bytes;
  self.configHash = hashConfig(config, aggregationOf(operator).configHash);
  for (let column: u32 = 0; column < WINDOW_COLUMNS; column++)
    outputColumn(aggregationOf(operator).output, column).type = Type.I64;
  if (!createParts(operator, self)) return refuseMemory(context);
  const lateness = load<i64>(config, <usize>WindowConfig.LATENESS);
  const changes = lateness != 0 || early != 0;
  if (shapeOf(self).kind == <u32>WindowKind.SESSION) return sessionsCreate(context, operator, lateness, early);
  return !changes || changesCreate(operator, lateness, early) || refuseMemory(context);
}

/** What decides whether a state fits: everything but what becomes of late rows. */
function hashConfig(config: usize, aggregate: u64): u64 {
  const sizes = hashBytes(
    config + <usize>WindowConfig.LENGTH,
    <u32>WindowConfig.LATENESS + 8 - <u32>WindowConfig.LENGTH,
  );
  const early = load<u64>(config, <usize>WindowConfig.EARLY);
  const kind = load<u32>(config, <usize>WindowConfig.KIND);
  const time = load<u32>(config, <usize>WindowConfig.TIME);
  const flags = load<u32>(config, <usize>WindowConfig.FLAGS) & ~(<u32>WindowFlag.KEEP_LATE);
  const first = (aggregate * 31 + sizes) * 31 + early;
  return (first ^ (((<u64>kind) << 32) | <u64>time)) + <u64>flags * 0x9e3779b97f4a7c15;
}

/** Whether two stacks cost less than adding up each window's slices: about three additions a slice. */
function hasManySlices(shape: Shape): bool {
  if (shape.kind == <u32>WindowKind.HOP) return shape.span > STACKS_SPAN * <i64>shape.parts;
  return shape.kind == <u32>WindowKind.CUMULATE && shape.steps > 1;
}

function checkConfig(config: usize, length: u32): bool {
  if (length < <u32>WindowConfig.SIZE || load<u32>(config, <usize>WindowConfig.VERSION) != <u32>Abi.VERSION) return false;
  const at: u64 = load<u32>(config, <usize>WindowConfig.AGGREGATE);
  const bytes: u64 = load<u32>(config, <usize>WindowConfig.AGGREGATE_BYTES);
  if ((at & 7) != 0 || at < <u64>WindowConfig.SIZE || at + bytes > <u64>length || bytes < <u64>AggregateConfig.SIZE)
    return false;
  const flags = load<u32>(config, <usize>WindowConfig.FLAGS);
  if (flags > <u32>(WindowFlag.DROP_NULL_TIME | WindowFlag.KEEP_LATE | WindowFlag.ALL_TIMES)) return false;
  const lateness = load<i64>(config, <usize>WindowConfig.LATENESS);
  const early = load<i64>(config, <usize>WindowConfig.EARLY);
  if (lateness < 0 || lateness > LONGEST || early < 0 || early > LONGEST) return false;
  const kind = load<u32>(config + <usize>at, <usize>AggregateConfig.FLAGS);
  return kind == <u32>AggregateFlag.CHANGELOG || (kind == <u32>AggregateFlag.NONE && lateness == 0 && early == 0);
}

function readConfig(self: Windows, config: usize): bool {
  const kind = load<u32>(config, <usize>WindowConfig.KIND);
  self.time = load<u32>(config, <usize>WindowConfig.TIME);
  self.flags = load<u32>(config, <usize>WindowConfig.FLAGS);
  self.bound = load<i64>(config, <usize>WindowConfig.BOUND);
  self.newest = i64.MIN_VALUE;
  self.watermark = i64.MIN_VALUE;
  self.closed = NO_WINDOW;
  self.flipped = NO_WINDOW;
  if (self.bound < -1 || self.bound > LONGEST) return false;
  return shapeInit(
    shapeOf(self),
    kind,
    load<i64>(config, <usize>WindowConfig.LENGTH),
    load<i64>(config, <usize>WindowConfig.STEP),
    load<i64>(config, <usize>WindowConfig.OFFSET),
  );
}

/** Whether groups or accumulators read an output of the program. */
function readsOutput(self: Aggregation, output: u32): bool {
  for (let index: u32 = 0; index < groupsOf(self).keyCount; index++) {
    if (groupsKey(groupsOf(self), index).output == output) return true;
  }
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (accumulator.argument == <i32>output || accumulator.second == <i32>output || accumulator.filter == <i32>output)
      return true;
  }
  return false;
}

/** Whether another output of a program shows the same values. */
function isShared(program: usize, output: u32): bool {
  for (let other: u32 = 0; other < programOutputs(program); other++) {
    if (other != output && programOutput(program, other) == programOutput(program, output)) return true;
  }
  return false;
}

function createParts(operator: usize, self: Windows): bool {
  if (!rowTableInit(self.table, operator, 16, false, false, aggregationOf(operator).seed)) return false;
  const unread = readsOutput(aggregationOf(operator), self.time) ? NO_GROUP : self.time;
  self.unloaded = unread == NO_GROUP || isShared(windowsProgram(operator), unread) ? NO_GROUP : programOutputWriter(windowsProgram(operator), unread);
  if (!gatherInit(gatherOf(self), operator, windowsProgram(operator), unread)) return false;
  if ((self.flags & <u32>WindowFlag.KEEP_LATE) == 0) return true;
  self.late = outputCreate(operator, 1);
  if (self.late == 0) return false;
  outputColumn(self.late, 0).type = Type.U32;
  return outputReset(self.late, 0);
}

// ---- push

/** Applies a batch: all of its rows, or none of them and OUT_OF_MEMORY, or the operator fails. */
export function windowPush(context: usize, operator: usize, batch: usize): i32 {
  const self = windowsOf(operator);
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  self.lateCount = 0;
  // A snapshot that found no memory has left some of them.
  if (scatterIsFolding(self)) {
    const folded = scatterFoldAll(context, operator);
    if (folded < 0) return folded;
  }
  changesBegin(self);
  const bound = programBind(context, windowsProgram(operator), batch);
  if (bound < 0) return bound;
  programAhead(windowsProgram(operator), true);
  const routing = changetype<Routing>(scratchTake(context, ROUTING_SIZE));
  const sessions = isSession(self);
  let status = sessions ? sessionsCheck(context, operator, rows, routing) : route(context, operator, rows, routing);
  // Rows that passed filters are gathered now; else the columns go to work that hides the waiting.
  programAhead(windowsProgram(operator), !sessions && self.selects != 0);
  if (status == 0) {
    status = sessions ? sessionsReserveRows(context, operator, rows) : reserve(context, operator, rows, routing);
    // Rows that wait take more room than what they come to.
    if (status == <i32>Status.OUT_OF_MEMORY && settle(context, operator)) {
      clearError(context);
      changesDrop(context, self);
      status = route(context, operator, rows, routing);
      // unreached: what routing needs is there from the first time
      if (status == 0) status = reserve(context, operator, rows, routing);
    }
    if (status < 0) {
      partialsDropEmpty(context, operator);
      changesDrop(context, self);
    }
  }
  if (status < 0) {
    if (status != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
    return status;
  }
  status = sessions ? sessionsApply(context, operator, rows, routing) : applyRouted(context, operator, rows, routing);
  if (status < 0) return status;
  changetype<Operator>(operator).rowsSelected += routing.selected;
  return windowIsDue(operator) ? Status.HAS_MORE : Status.NEED_INPUT;
}

// @ts-ignore: decorator
@inline
function isSession(self: Windows): bool {
  return self.sessions != 0;
}

/** Decides where a routed push goes, and makes room for it. 0, or OUT_OF_MEMORY. */
function reserve(context: usize, operator: usize, rows: u32, routing: Routing): i32 {
  const self = windowsOf(operator);
  self.scattered = isScattered(operator, rows, routing) ? 1 : 0;
  if (self.scattered) return scatterReserve(context, operator, rows, routing);
  const cuts = routeCuts(context, operator, rows, routing);
  return cuts < 0 ? cuts : reserveTargets(context, operator);
}

/** Finds or makes every target's partial, and makes room for its rows. 0, or OUT_OF_MEMORY. */
function reserveTargets(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  const targets = targetCount(self);
  for (let index: u32 = 0; index < targets; index++) {
    const target = targetAt(self, index);
    const rows = load<u32>(target, 4);
    const name = targetName(self, index);
    const state = isCorrection(self, load<i64>(name, 8))
      ? correctionFor(context, operator, load<i64>(name), load<i64>(name, 8))
      : partialFor(context, operator, load<i64>(name), load<i64>(name, 8));
    if (state == 0) return failMemory(context, 0);
    store<u32>(target, <u32>state);
    store<u32>(target, groupsOf(aggregationOf(state)).count, 12);
    store<u32>(target, rows, 16);
    if (backlogIsOpen(state)) {
      // The texts of a batch may all be this one's.
      if (!aggregateReserveTexts(aggregationOf(state), rows)) return failMemory(context, 0);
      const reserved = backlogReserve(context, state, rows);
      operatorFailWith(operator, state);
      if (reserved < 0) return reserved;
      continue;
    }
    if (!aggregateReserveRows(aggregationOf(state), rows, targets == 1)) return failMemory(context, 0);
    tierExpect(self, state, targets);
  }
  const texts: u64 = targets > 1 ? aggregateTextsHeadroom(aggregationOf(operator)) : 0;
  if (regionHasRoom(operator, texts + targetsHeadroom(self, true))) return 0;
  const bytes = texts + targetsHeadroom(self, false);
  return regionHasRoom(operator, bytes) ? 0 : failMemory(context, <usize>min<u64>(bytes, u32.MAX_VALUE));
}

/** What the rows of all targets can take beyond what is reserved; `expects` says whether partials may expect more. */
function targetsHeadroom(self: Windows, expects: bool): u64 {
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < targetCount(self); index++) {
    const target = targetAt(self, index);
    const rows = load<u32>(target, 16);
    const state: usize = load<u32>(target);
    if (backlogIsOpen(state)) continue;
    if (!expects) tierForget(state);
    bytes += aggregateHeadroom(state, rows);
  }
  return bytes;
}

/** Works off all rows that are set aside; whether there were any. */
function settle(context: usize, operator: usize): bool {
  const self = windowsOf(operator);
  let any = false;
  for (let index: u32 = 0; index < self.count; index++) {
    const state = partialState(partialAt(self, index));
    if (backlogRows(state) == 0) continue;
    any = true;
    const worked = backlogWork(context, state, true);
    operatorFailWith(operator, state);
    if (worked < 0) return false;
  }
  const scattered = scatterAggregation(self.scatter);
  if (scattered == 0 || backlogRows(scattered) == 0) return any;
  const worked = backlogWork(context, scattered, true);
  operatorFailWith(operator, scattered);
  return worked >= 0;
}

function applyRouted(context: usize, operator: usize, rows: u32, routing: Routing): i32 {
  const self = windowsOf(operator);
  self.newest = routing.newest;
  self.watermark = routing.watermark;
  self.lateRows += routing.lateRows;
  self.partlyLateRows += routing.partlyLateRows;
  self.nullTimes += routing.nullTimes;
  self.lateCount = routing.lateCount;
  const groups = self.scattered ? scatterGroups(operator) : 0;
  const status = apply(context, operator, rows, <u32>routing.selected);
  if (status < 0) changetype<Operator>(operator).failed = 1;
  else if (self.scattered) scatterPushed(operator, rows, groups);
  else {
    self.expected = 0;
    for (let index: u32 = 0; index < targetCount(self); index++) {
      const target = targetAt(self, index);
      const before = load<u32>(target, 12);
      const state = tierConsider(context, operator, load<u32>(target), before);
      backlogConsider(state, load<u32>(target, 16), before);
    }
  }
  return status;
}

/** Applies the routed batch, of which `selected` rows passed the filters. 0, or an error. */
function apply(context: usize, operator: usize, rows: u32, selected: u32): i32 {
  const self = windowsOf(operator);
  const program = windowsProgram(operator);
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const number = load<u32>(self.vectors + ((<usize>(start / ROWS)) << 2));
    if (number == NOWHERE) continue;
    // The outputs of a lone vector are still there.
    const count = rows <= ROWS ? <i32>selected : routedRun(context, self, program, start, min(ROWS, rows - start));
    if (count < 0) return count; // unreached: the program has run for these rows when they were routed
    let status: i32 = 0;
    if (self.scattered) status = scatterApply(context, operator, start, count, rows - start);
    else if (number == SEVERAL) status = applyRows(context, operator, start, count);
    else if (pairRows(number) != 0) status = applyNeighbours(context, self, start, count);
    else status = applyTo(context, targetAt(self, number), <u32>count);
    if (status < 0) return status;
  }
  return 0;
}

/** Applies the rows that the program's outputs hold to a target, whose count of rows is of those still to come. */
function applyTo(context: usize, target: usize, rows: u32): i32 {
  const mark = scratchMark(context);
  const status = aggregateApply(context, load<u32>(target), rows, load<u32>(target, 4));
  store<u32>(target, load<u32>(target, 4) - rows, 4);
  scratchReset(context, mark);
  return status;
}

/** Not a status. */
const NO_PAIR: i32 = 1;

/** Applies a vector whose rows go to two targets; NO_PAIR where they go to more. 0, or an error. */
function applyPair(context: usize, operator: usize, numbers: usize, rows: u32): i32 {
  const self = windowsOf(operator);
  const range = numberRange(numbers, rows);
  const low = <u32>range;
  const high = <u32>(range >> 32);
  if (low == high) return NO_PAIR;
  const mask = scratchTake(context, BITMAP_BYTES);
  const highs = splitNumbers(numbers, rows, low, high, mask);
  return highs < 0 ? NO_PAIR : applySides(context, self, mask, rows, <u32>highs, low, high);
}

/** Applies a vector of which `highs` rows, those of `mask`, go to the target `high`, and the others to `low`. 0, or an error. */
function applySides(
  context: usize,
  self: Windows,
  mask: usize,
  rows: u32,
  highs: u32,
  low: u32,
  high: u32,
): i32 {
  const lows = rows - highs;
  const selection = scratchTake(context, (<usize>ROWS) << 1);
  const gather = gatherOf(self);
  gatherBegin(gather);
  gatherSplit(gather, mask, rows, lows);
  gatherSide(gather, mask, rows, lows, false, selection);
  let status = applyTo(context, targetAt(self, low), lows);
  if (status >= 0 && high != NOWHERE) {
    gatherSide(gather, mask, rows, lows, true, selection);
    status = applyTo(context, targetAt(self, high), highs);
  }
  gatherEnd(gather);
  return status;
}

/** Applies a vector of two slices next to each other. 0, or an error. */
function applyNeighbours(context: usize, self: Windows, start: u32, rows: u32): i32 {
  const mask = self.rows + ((<usize>start) << 2);
  const mark = scratchMark(context);
  const low = load<u32>(mask, PAIR_LOW);
  const status = applySides(context, self, mask, rows, load<u32>(mask, PAIR_HIGHS), low, load<u32>(mask, PAIR_HIGH));
  scratchReset(context, mark);
  return status;
}

/** Applies a vector's rows to several targets, one after the other. */
function applyRows(context: usize, operator: usize, start: u32, rows: u32): i32 {
  const self = windowsOf(operator);
  const numbers = self.rows + ((<usize>start) << 2);
  const mark = scratchMark(context);
  const pair = applyPair(context, operator, numbers, rows);
  scratchReset(context, mark);
  if (pair != NO_PAIR) return pair;
  // Rows of one target are chained, last row first; so are the targets, by the numbers in `chain`.
  const before = scratchTake(context, (<usize>ROWS) << 2);
  const selection = scratchTake(context, (<usize>ROWS) << 1);
  const list = scratchTake(context, (<usize>ROWS) << 2);
  let targets: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const number = load<u32>(numbers + ((<usize>row) << 2));
    if (number == NOWHERE) continue;
    const target = targetAt(self, number);
    const last = load<u32>(target, 8);
    store<u32>(before + ((<usize>row) << 2), last);
    store<u32>(target, row + 1, 8);
    if (last != 0) continue;
    store<u32>(list + ((<usize>targets) << 2), number);
    targets++;
  }
  const gather = gatherOf(self);
  gatherBegin(gather);
  let status: i32 = 0;
  for (let index: u32 = 0; index < targets && status >= 0; index++) {
    const target = targetAt(self, load<u32>(list + ((<usize>index) << 2)));
    let at: usize = selection + ((<usize>ROWS) << 1);
    for (let row = load<u32>(target, 8); row != 0; row = load<u32>(before + ((<usize>(row - 1)) << 2))) {
      at -= 2;
      store<u16>(at, <u16>(row - 1));
    }
    store<u32>(target, 0, 8);
    const count = <u32>((selection + ((<usize>ROWS) << 1) - at) >> 1);
    if (count != rows) gatherRows(gather, at, count);
    status = applyTo(context, target, count);
  }
  gatherEnd(gather);
  scratchReset(context, mark);
  return status;
}

// ---- what dispatch asks

/** Moves the watermark; one that goes backwards is ignored and counted. */
export function windowWatermark(operator: usize, time: i64): void {
  const self = windowsOf(operator);
  if (time < self.watermark) self.backward++;
  else self.watermark = time;
}

/** Writes the late rows of the last push to `out`. */
export function windowLate(context: usize, operator: usize, out: usize): i32 {
  const self = windowsOf(operator);
  if (self.late == 0) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  outputColumn(self.late, 0).length = self.lateCount;
  outputDescribe(self.late, out, self.lateCount, 0);
  return Status.NEED_INPUT;
}

/** Groups of all partials that have rows. */
export function windowGroups(operator: usize): u64 {
  const self = windowsOf(operator);
  let groups: u64 = self.keys == 0 ? 0 : aggregateGroups(self.keys);
  if (scatterAggregation(self.scatter) != 0) groups += aggregateGroups(scatterAggregation(self.scatter));
  for (let index: u32 = 0; index < self.count; index++) groups += aggregateGroups(partialState(partialAt(self, index)));
  return groups;
}

export function windowSlots(operator: usize): u64 {
  const self = windowsOf(operator);
  let slots: u64 = self.keys == 0 ? 0 : aggregateSlots(self.keys);
  if (scatterAggregation(self.scatter) != 0) slots += aggregateSlots(scatterAggregation(self.scatter));
  for (let index: u32 = 0; index < self.count; index++) slots += aggregateSlots(partialState(partialAt(self, index)));
  return slots;
}

/** The key tier of scattered rows, or else of the newest partial. */
export function windowTier(operator: usize): u64 {
  const self = windowsOf(operator);
  if (self.keys != 0) return aggregateTier(self.keys);
  if (scatterAggregation(self.scatter) != 0) return aggregateTier(scatterAggregation(self.scatter));
  return aggregateTier(self.count == 0 ? operator : partialState(partialAt(self, self.count - 1)));
}

/** Slices, results that may change, or sessions held. */
export function windowsHeld(operator: usize): u64 {
  const self = windowsOf(operator);
  if (isSession(self)) return sessionsHeld(operator);
  const scattered: u32 = self.scatter == 0 ? 0 : scatterOf(self.scatter).count;
  return self.count + scattered + changesKept(self);
}
