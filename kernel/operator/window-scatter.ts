// Scattered rows: pushes that reach many slices with few rows each, as history out of order does.
//
// To select each slice's rows and run them through its partial costs more than the rows themselves. Such a push goes
// into one aggregation instead, whose last key is the slice, by an ordinal (window-scatter-state.ts): an ordinary
// group-by, whose groups of one slice are next to each other where numbers are computed. What it holds is no more than
// the partials would.
//
// Where the watermark has closed all windows that it has, each a slice, and there are no partials beside it, as at the
// end of a history, its results leave from there, a window after the other. Else its groups are folded into their
// partials, a vector of them at a time (aggregate-combine.ts), before any window leaves.
//
// Taken only by pushes none of whose rows is late for any window: then a slice has one partial to come. Not taken where
// values are kept as pairs with a group (distinct values, quantiles): folding would look at all pairs for each partial.
//
// Measured over a million rows of an hour in no order. Windows of 10 seconds by 100 keys: 9 ms; with a first key that was
// the address of the slice's partial, looked up, and all groups folded, 59 ms. Windows of a minute by 10,000 keys: 40 ms;
// 94 ms where numbers were computed up to 8 a row only, not 16 (direct.ts), so that groups were looked up.

import { Abi, Type } from "../abi/layout";
import { AggregateConfig, KeyConfig } from "../abi/operator";
import { Status } from "../abi/status";
import { WindowKind } from "../abi/window";
import { bitmapGet } from "../column/bitmap";
import { VECTOR_SIZE, Vector } from "../column/vector";
import { outputColumn, regrow } from "../column/builder";
import { directBlock } from "../group/direct";
import { groupKeyValue } from "../group/emit";
import { groupsExtend } from "../group/groups";
import { groupsListBetween } from "../group/list";
import { Groups, NO_GROUP, Tier, groupsIsOccupied } from "../group/state";
import { failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock, regionCut, regionFree, regionHasRoom } from "../memory/region";
import { sliceFirstWindow, windowIsClosed } from "../window/shape";
import { backlogConsider, backlogIsOpen, backlogReserve, backlogRows, backlogWork } from "./aggregate-backlog";
import { Combination, combineAccumulators, combineListed, hasPairs } from "./aggregate-combine";
import { aggregateHeadroom } from "./aggregate-headroom";
import { aggregateEmitListed, aggregateTextBytes, aggregateTextsMatter } from "./aggregate-output";
import { aggregateReserveRows, aggregateReserveSpan, aggregateReserveTexts } from "./aggregate-reserve";
import { Aggregation, aggregationOf, groupsOf } from "./aggregation";
import { aggregateApply, aggregateCreatePart } from "./hash-aggregate";
import { Operator, operatorAllocate, operatorFailWith, operatorFree } from "./operator";
import { fillBounds } from "./window-bounds";
import { NOWHERE, PAIR_LOW, Routing, cutRows, pairRows, targetName } from "./window-route";
import {
  Scatter,
  scatterAggregation,
  scatterCreate,
  scatterForget,
  scatterOf,
  scatterOrdinal,
  scatterReaches,
  scatterReserveSlices,
} from "./window-scatter-state";
import { Windows, partialFor, shapeOf, windowsOf } from "./windows";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Rows one after the other that go to the same slice, at most, on average. */
const RUN_MOST: u32 = 16;
/** ... and, where a watermark has come, so that what is scattered may be folded before the next push, slices at least. */
const SLICES_MIN: u64 = 64;
/**
 * In a history in order, rows of a slice, at most, on average: below, making a partial costs more than its rows. One
 * table with the keys of all slices is larger than that of each, so that rows in order are not scattered to one.
 */
const SLICE_ROWS: u64 = 4096;
/** Windows that leave together, at most. */
const RUNS: u32 = 1024;

/** Whether a routed push of `rows` rows is scattered. */
export function isScattered(operator: usize, rows: u32, routing: Routing): bool {
  const self = windowsOf(operator);
  if (routing.open == 0 || routing.cut == 0) return false;
  if (self.changes != 0 || hasPairs(aggregationOf(operator))) return false;
  if (!scatterReaches(self.scatter, routing.low, routing.high)) return false;
  const isShort = rows < routing.runs * RUN_MOST;
  const slices = min<u64>(<u64>routing.high - <u64>routing.low + 1, routing.runs);
  if (self.watermark != i64.MIN_VALUE || self.bound >= 0) return isShort && slices >= SLICES_MIN;
  if (isShort) return true;
  const state = scatterAggregation(self.scatter);
  return rows < slices * SLICE_ROWS && (state == 0 || groupsOf(aggregationOf(state)).tier != <u32>Tier.HASH);
}

/** Numbers the slices of a routed push of `rows` rows and makes room for them. 0, or OUT_OF_MEMORY with nothing changed. */
export function scatterReserve(context: usize, operator: usize, rows: u32, routing: Routing): i32 {
  const self = windowsOf(operator);
  if (self.scatter == 0) self.scatter = scatterCreate(operator);
  if (self.scatter == 0) return failMemory(context, 0);
  const scatter = scatterOf(self.scatter);
  if (scatter.state == 0 && !create(context, operator, scatter)) return failMemory(context, 0);
  const count = scatter.count;
  const low = scatter.low;
  const high = scatter.high;
  let status: i32 = Status.OUT_OF_MEMORY;
  if (scatterReserveSlices(operator, scatter, routing.low, routing.high)) {
    numberSlices(self, scatter, rows, routing);
    status = reserveRows(context, scatter, rows);
    operatorFailWith(operator, scatter.state);
  } else failMemory(context, 0);
  if (status < 0) {
    scatterForget(scatter, count, low, high);
    if (count == 0) release(context, scatter);
  }
  return status;
}

function reserveRows(context: usize, scatter: Scatter, rows: u32): i32 {
  const state = scatter.state;
  const self = aggregationOf(state);
  const groups = groupsOf(self);
  if (backlogIsOpen(state)) {
    groups.ordinals = scatter.count;
    if (!aggregateReserveTexts(self, rows)) return failMemory(context, 0);
    return backlogReserve(context, state, rows);
  }
  const total = changetype<Operator>(state).rowsSelected + <u64>rows;
  if (
    !groupsExtend(groups, scatter.count, total, rows) ||
    !aggregateReserveSpan(state, groups.count) ||
    !aggregateReserveRows(self, rows, true)
  )
    return failMemory(context, 0);
  const bytes = aggregateHeadroom(state, rows);
  return regionHasRoom(state, bytes) ? 0 : failMemory(context, <usize>min<u64>(bytes, u32.MAX_VALUE));
}

/** An aggregation like the partials with one key after theirs. False when out of memory. */
function create(context: usize, operator: usize, scatter: Scatter): bool {
  const self = windowsOf(operator);
  if (scatter.config == 0) {
    const config = regionBlock(operator, <usize>self.configBytes + <usize>KeyConfig.SIZE);
    if (config == 0) return false;
    const keys = <usize>AggregateConfig.SIZE + <usize>groupsOf(aggregationOf(operator)).keyCount * <usize>KeyConfig.SIZE;
    memory.copy(config, self.config, keys);
    memory.copy(config + keys + <usize>KeyConfig.SIZE, self.config + keys, <usize>self.configBytes - keys);
    store<u32>(config, load<u32>(config, <usize>AggregateConfig.KEYS) + 1, <usize>AggregateConfig.KEYS);
    store<u32>(config + keys, NO_GROUP, <usize>KeyConfig.OUTPUT);
    store<u32>(config + keys, Type.U32, <usize>KeyConfig.TYPE);
    scatter.config = config;
  }
  if (scatter.keys == 0) scatter.keys = regionCut(operator, VECTOR_SIZE);
  if (scatter.keys == 0) return false;
  changetype<Vector>(scatter.keys).type = Type.U32;
  const state = operatorAllocate(context, changetype<Operator>(operator).kind);
  if (state == 0) return false;
  if (!aggregateCreatePart(context, state, operator, scatter.config, true, true)) {
    operatorFree(context, state);
    return false;
  }
  groupsOf(aggregationOf(state)).extra = scatter.keys;
  scatter.state = state;
  return true;
}

/** Puts the ordinals of a routed push's slices in the place of their distances from the first. */
function numberSlices(self: Windows, scatter: Scatter, rows: u32, routing: Routing): void {
  if (scatter.count == 0) {
    scatter.low = routing.low;
    scatter.high = routing.high;
  } else {
    scatter.low = min<i64>(scatter.low, routing.low);
    scatter.high = max<i64>(scatter.high, routing.high);
  }
  const table = scatter.table;
  const less = <u32>(scatter.first - routing.base);
  let count = scatter.count;
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const number = load<u32>(self.vectors + ((<usize>(start / ROWS)) << 2));
    if (number == NOWHERE) continue;
    let at = self.rows + ((<usize>start) << 2);
    let kept = cutRows(number);
    if (pairRows(number) != 0) {
      kept = pairRows(number);
      slicesOfPair(at, kept);
    }
    if (kept == 0) {
      kept = min(ROWS, rows - start);
      const slice = <u32>(load<i64>(targetName(self, number)) - routing.base);
      for (let row: usize = 0; row < <usize>kept; row++) store<u32>(at + (row << 2), slice);
    }
    for (const end = at + ((<usize>kept) << 2); at < end; at += 4) {
      const entry = table + ((<usize>(load<u32>(at) - less)) << 2);
      let ordinal = load<u32>(entry);
      if (ordinal == 0) {
        count++;
        ordinal = count;
        store<u32>(entry, ordinal);
      }
      store<u32>(at, ordinal - 1);
    }
  }
  scatter.count = count;
}

/** Puts the slice of each row in the place of a pair: the last row first, as a row's bit lies before its slice. */
function slicesOfPair(pair: usize, rows: u32): void {
  const low = load<u32>(pair, PAIR_LOW);
  for (let row = rows; row > 0; row--) store<u32>(pair + ((<usize>(row - 1)) << 2), low + bitmapGet(pair, row - 1));
}

/** Applies a vector of a push for which room was made, of `left` rows that are still to come. 0, or an error. */
export function scatterApply(context: usize, operator: usize, start: u32, rows: u32, left: u32): i32 {
  const self = windowsOf(operator);
  const scatter = scatterOf(self.scatter);
  changetype<Vector>(scatter.keys).values = self.rows + ((<usize>start) << 2);
  return aggregateApply(context, scatter.state, rows, left);
}

/** After a push of `rows` rows, before which there were `groups` groups. */
export function scatterPushed(operator: usize, rows: u32, groups: u32): void {
  backlogConsider(scatterAggregation(windowsOf(operator).scatter), rows, groups);
}

/** Groups of scattered rows so far, those that wait left out. */
export function scatterGroups(operator: usize): u32 {
  return groupsOf(aggregationOf(scatterAggregation(windowsOf(operator).scatter))).count;
}

// ---- groups by slice

/** Makes the groups of each slice known. Rows worked off that were set aside, 0 when groups are ready, or an error. */
function ready(context: usize, operator: usize, scatter: Scatter): i32 {
  if (scatter.begun) return 0;
  const state = scatter.state;
  const waiting = backlogRows(state);
  if (waiting != 0) {
    const status = backlogWork(context, state, false);
    operatorFailWith(operator, state);
    return status < 0 ? status : <i32>max<u32>(1, waiting - backlogRows(state));
  }
  const groups = groupsOf(aggregationOf(state));
  if (groups.tier == <u32>Tier.HASH && !sortGroups(context, scatter, groups)) return failMemory(context, 0);
  scatter.begun = 1;
  scatter.slice = scatter.low;
  scatter.next = firstOf(scatter, groups);
  return 0;
}

/** Lists groups by ordinal. False when out of memory. */
function sortGroups(context: usize, scatter: Scatter, groups: Groups): bool {
  const state = scatter.state;
  const ordinals = scatter.count;
  regionFree(state, scatter.starts);
  scatter.starts = regionBlock(state, (<usize>ordinals + 2) << 2);
  const order = regionBlock(state, (<usize>groups.count + 1) << 2);
  if (scatter.starts == 0 || order == 0) {
    regionFree(state, order);
    return false;
  }
  scatter.order = order;
  const value = scratchTake(context, 16);
  const key = groups.keyCount - 1;
  // Counted one place further: the start of each is then where the next one's stands.
  const starts = scatter.starts;
  memory.fill(starts, 0, (<usize>ordinals + 2) << 2);
  for (let group: u32 = 0; group < groups.count; group++) {
    if (!groupsIsOccupied(groups, group)) continue;
    groupKeyValue(groups, key, group, value);
    const at = starts + ((<usize>load<u32>(value) + 2) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  for (let at = starts + 8; at < starts + ((<usize>ordinals + 2) << 2); at += 4)
    store<u32>(at, load<u32>(at) + load<u32>(at - 4));
  for (let group: u32 = 0; group < groups.count; group++) {
    if (!groupsIsOccupied(groups, group)) continue;
    groupKeyValue(groups, key, group, value);
    const at = starts + ((<usize>load<u32>(value) + 1) << 2);
    const place = load<u32>(at);
    store<u32>(order + ((<usize>place) << 2), group);
    store<u32>(at, place + 1);
  }
  return true;
}

/** Where the groups of the slice whose turn it is begin, and end; both 0 where it has no ordinal. */
function firstOf(scatter: Scatter, groups: Groups): u32 {
  const ordinal = scatterOrdinal(scatter, scatter.slice);
  if (ordinal == 0) return 0;
  if (groups.tier == <u32>Tier.HASH) return load<u32>(scatter.starts + ((<usize>(ordinal - 1)) << 2));
  return ordinal * directBlock(groups);
}

function endOf(scatter: Scatter, groups: Groups): u32 {
  const ordinal = scatterOrdinal(scatter, scatter.slice);
  if (ordinal == 0) return 0;
  if (groups.tier == <u32>Tier.HASH) return load<u32>(scatter.starts + ((<usize>ordinal) << 2));
  return (ordinal + 1) * directBlock(groups);
}

/** Lists groups of the slice whose turn it is, from `next` on, at most `most`; `next` is then behind them. How many. */
function listGroups(scatter: Scatter, groups: Groups, list: usize, most: u32): u32 {
  const end = endOf(scatter, groups);
  let next = scatter.next;
  let count: u32 = 0;
  if (groups.tier == <u32>Tier.HASH) {
    count = min<u32>(most, end - next);
    memory.copy(list, scatter.order + ((<usize>next) << 2), (<usize>count) << 2);
    next += count;
  } else {
    count = groupsListBetween(groups, list, 0, most, next, end);
    next = count < most ? end : load<u32>(list + ((<usize>(most - 1)) << 2)) + 1;
  }
  scatter.next = next;
  return count;
}

/** On to the next slice; false when that was the last one. */
function nextSlice(scatter: Scatter, groups: Groups): bool {
  if (scatter.slice == scatter.high) return false;
  scatter.slice++;
  scatter.next = firstOf(scatter, groups);
  return true;
}

function release(context: usize, scatter: Scatter): void {
  operatorFree(context, scatter.state);
  scatter.state = 0;
  scatter.begun = 0;
  scatter.order = 0;
  scatter.starts = 0;
}

/** Gives up the aggregation and the ordinals. */
function finish(context: usize, scatter: Scatter): void {
  release(context, scatter);
  memory.fill(
    scatter.table + (<usize>(scatter.low - scatter.first) << 2),
    0,
    (<usize>(scatter.high - scatter.low + 1)) << 2,
  );
  scatter.count = 0;
}

// ---- leaving at once

/** Whether scattered rows are all that there is, and their windows are closed. */
export function scatterLeaves(operator: usize): bool {
  const self = windowsOf(operator);
  if (scatterAggregation(self.scatter) == 0 || self.count != 0) return false;
  const shape = shapeOf(self);
  return shape.kind == <u32>WindowKind.TUMBLE && windowIsClosed(shape, scatterOf(self.scatter).high, self.watermark);
}

/** Whether they have begun to, where a window is open. */
export function scatterIsLeaving(self: Windows): bool {
  return scatterAggregation(self.scatter) != 0;
}

/**
 * Appends the next results, at most `limit` rows and `bytes` of texts, but one row where there is none yet; `work` gets
 * what that cost, in groups. How many rows, or an error; out of memory changes nothing.
 */
export function scatterEmit(context: usize, operator: usize, limit: u32, bytes: u64, work: usize): i32 {
  const self = windowsOf(operator);
  const scatter = scatterOf(self.scatter);
  const state = scatter.state;
  const waiting = ready(context, operator, scatter);
  store<u32>(work, <u32>max<i32>(0, waiting));
  if (waiting != 0) return min<i32>(0, waiting);
  self.open = 1;
  const own = aggregationOf(state);
  const list = regrow(state, own.list, 0, (<usize>limit) << 2);
  if (list == 0) return failMemory(context, 0);
  own.list = list;
  const slice = scatter.slice;
  const next = scatter.next;
  const runs = scratchTake(context, (<usize>RUNS) << 4);
  const output = aggregationOf(operator).output;
  const isFirst = outputColumn(output, 0).length == 0;
  const rows = listRuns(context, scatter, own, list, limit, bytes, isFirst, runs);
  const status = aggregateEmitListed(context, state, list, rows);
  if (status < 0) {
    scatter.slice = slice;
    scatter.next = next;
    return status;
  }
  for (let done: u32 = 0, run = runs; done < rows; run += 16) {
    fillBounds(self, output, load<i64>(run), load<u32>(run, 8));
    done += load<u32>(run, 8);
  }
  store<u32>(work, rows + 1);
  if (scatter.slice == scatter.high && scatter.next == endOf(scatter, groupsOf(own))) {
    self.closed = scatter.high;
    self.open = 0;
    finish(context, scatter);
  }
  return <i32>rows;
}

/** Lists the next groups, and at `runs` slices (i64) with how many of them are theirs (u32). How many groups. */
function listRuns(
  context: usize,
  scatter: Scatter,
  own: Aggregation,
  list: usize,
  limit: u32,
  bytes: u64,
  isFirst: bool,
  runs: usize,
): u32 {
  const groups = groupsOf(own);
  const texts = aggregateTextsMatter(own, limit, bytes);
  const last = runs + ((<usize>RUNS) << 4);
  let rows: u32 = 0;
  let used: u64 = 0;
  for (let run = runs; run < last; ) {
    const to = list + ((<usize>rows) << 2);
    const found = listGroups(scatter, groups, to, limit - rows);
    let count = found;
    if (texts) {
      const scratch = scratchTake(context, 64);
      for (count = 0; count < found; count++) {
        used += aggregateTextBytes(own, load<u32>(to + ((<usize>count) << 2)), scratch);
        if (used > bytes && (rows + count != 0 || !isFirst)) break;
      }
    }
    rows += count;
    if (count != 0) {
      store<i64>(run, scatter.slice);
      store<u32>(run, count, 8);
      run += 16;
    }
    if (count != found) {
      scatter.next =
        groups.tier == <u32>Tier.HASH ? scatter.next - (found - count) : load<u32>(to + ((<usize>count) << 2));
      break;
    }
    if (rows == limit || !nextSlice(scatter, groups)) break;
  }
  return rows;
}

// ---- folding groups into partials

/** Whether folding has begun and not all groups are folded: nothing can be scattered then. */
// @ts-ignore: decorator
@inline
export function scatterIsFolding(self: Windows): bool {
  return scatterAggregation(self.scatter) != 0 && scatterOf(self.scatter).begun != 0;
}

/** Folds all groups. 0, or an error; what is folded then stays so. */
export function scatterFoldAll(context: usize, operator: usize): i32 {
  let status: i32 = 1;
  while (status > 0) {
    const mark = scratchMark(context);
    status = scatterFold(context, operator);
    scratchReset(context, mark);
  }
  return status;
}

/** Goes on: groups folded, 0 when none are left, or an error. */
export function scatterFold(context: usize, operator: usize): i32 {
  return scatterFoldInto(context, operator, operator);
}

/** The same into the partials of another operator of the same configuration. */
export function scatterFoldInto(context: usize, operator: usize, source: usize): i32 {
  const self = windowsOf(source);
  if (scatterAggregation(self.scatter) == 0) return 0;
  const scatter = scatterOf(self.scatter);
  const waiting = ready(context, source, scatter);
  if (waiting != 0) return waiting;
  const groups = groupsOf(aggregationOf(scatter.state));
  const list = scratchTake(context, (<usize>ROWS) << 2);
  do {
    const next = scatter.next;
    const count = listGroups(scatter, groups, list, ROWS);
    if (count == 0) continue;
    const status = foldGroups(context, operator, scatter, list, count);
    if (status < 0) scatter.next = next;
    return status;
  } while (nextSlice(scatter, groups));
  finish(context, scatter);
  return 0;
}

function foldGroups(context: usize, operator: usize, scatter: Scatter, list: usize, count: u32): i32 {
  const self = windowsOf(operator);
  const partial = partialFor(context, operator, scatter.slice, sliceFirstWindow(shapeOf(self), scatter.slice));
  if (partial == 0) return failMemory(context, 0);
  const numbers = scratchTake(context, (<usize>ROWS) << 2);
  const work = changetype<Combination>(self.combination);
  work.broken = 0;
  work.agree = 0;
  if (
    !combineAccumulators(partial, scatter.state) ||
    !combineListed(context, work, partial, scatter.state, list, count, numbers)
  ) {
    if (work.broken) changetype<Operator>(operator).failed = 1;
    return failMemory(context, 0);
  }
  changetype<Operator>(partial).rowsSelected += count;
  return <i32>count;
}
