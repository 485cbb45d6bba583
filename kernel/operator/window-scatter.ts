// Scattered rows: pushes that reach many slices with few rows each, as history out of order does.
//
// To select each slice's rows and run them through its partial costs more than the rows themselves. Such a push goes
// into one aggregation instead, whose first key is the partial that a row is for, by its address. Before any window
// leaves, its groups are folded into their partials, a vector of groups at a time (aggregate-combine.ts), and it is
// given up. What it holds is no more than the partials would.
//
// Not taken where values are kept as pairs with a group (distinct values, quantiles): folding would look at all pairs
// for each partial.

import { Abi, Type } from "../abi/layout";
import { AggregateConfig, KeyConfig } from "../abi/operator";
import { VECTOR_SIZE, Vector } from "../column/vector";
import { groupKeyValue } from "../group/emit";
import { NO_GROUP, groupsIsOccupied } from "../group/state";
import { failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock, regionCut } from "../memory/region";
import { gatherBegin, gatherEnd, gatherRows } from "../window/gather";
import { Combination, combineAccumulators, combineListed, hasPairs } from "./aggregate-combine";
import { aggregateHeadroom } from "./aggregate-headroom";
import { aggregateReserveRows } from "./aggregate-reserve";
import { aggregationOf, groupsOf } from "./aggregation";
import { aggregateApply, aggregateCreatePart } from "./hash-aggregate";
import { Operator, operatorAllocate, operatorFree } from "./operator";
import { NOWHERE, SEVERAL, targetAt } from "./window-route";
import { Windows, gatherOf, partialAt, partialState, windowsOf } from "./windows";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Partials of a push, at least, and rows one after the other that go to the same, at most, on average. */
const TARGETS_MIN: u32 = 64;
const RUN_MOST: u32 = 16;
/** A partial for which groups wait that are not chained yet. */
const WAITING: u32 = 0xffffffff;

/** Whether a push of `rows` rows to `targets` partials, in `runs` runs of the same, is scattered. */
export function isScattered(operator: usize, targets: u32, rows: u32, runs: u32): bool {
  return (
    targets >= TARGETS_MIN &&
    rows < runs * RUN_MOST &&
    windowsOf(operator).combines != 0 &&
    windowsOf(operator).changes == 0 &&
    !hasPairs(aggregationOf(operator))
  );
}

/** Room for `rows` rows of the bound batch: bytes of the heap beyond it, or -1 with the error recorded. */
export function scatterReserve(context: usize, operator: usize, rows: u32): i64 {
  const self = windowsOf(operator);
  if (self.scatter == 0) self.scatter = create(context, operator);
  if (self.scatter == 0 || !aggregateReserveRows(aggregationOf(self.scatter), rows, true)) {
    failMemory(context, 0);
    return -1;
  }
  return aggregateHeadroom(self.scatter, rows);
}

/** An aggregation like the partials with one key before theirs; 0 when out of memory. */
function create(context: usize, operator: usize): usize {
  const self = windowsOf(operator);
  if (self.scatterConfig == 0) {
    const size = <usize>AggregateConfig.SIZE;
    const config = regionBlock(operator, <usize>self.configBytes + <usize>KeyConfig.SIZE);
    const vector = regionCut(operator, VECTOR_SIZE);
    if (config == 0 || vector == 0) return 0;
    memory.copy(config, self.config, size);
    memory.copy(config + size + <usize>KeyConfig.SIZE, self.config + size, <usize>self.configBytes - size);
    store<u32>(config, load<u32>(config, <usize>AggregateConfig.KEYS) + 1, <usize>AggregateConfig.KEYS);
    store<u32>(config + size, NO_GROUP, <usize>KeyConfig.OUTPUT);
    store<u32>(config + size, Type.U32, <usize>KeyConfig.TYPE);
    self.scatterConfig = config;
    self.scatterKeys = vector;
    changetype<Vector>(vector).type = Type.U32;
  }
  const state = operatorAllocate(context, changetype<Operator>(operator).kind);
  if (state == 0) return 0;
  if (!aggregateCreatePart(context, state, operator, self.scatterConfig, true, true)) {
    operatorFree(context, state);
    return 0;
  }
  groupsOf(aggregationOf(state)).extra = self.scatterKeys;
  return state;
}

/** Notes that rows of the push at hand go to a partial, so that it is not taken for an empty one. */
export function scatterExpect(state: usize): void {
  aggregationOf(state).waiting = WAITING;
}

/** Applies a vector of a routed push. 0, or an error. */
export function scatterApply(context: usize, operator: usize, start: u32, rows: u32, left: u32): i32 {
  const self = windowsOf(operator);
  const mark = scratchMark(context);
  const keys = scratchTake(context, (<usize>ROWS) << 2);
  const selection = scratchTake(context, (<usize>ROWS) << 1);
  const lone = load<u32>(self.vectors + ((<usize>(start / ROWS)) << 2));
  const numbers = self.rows + ((<usize>start) << 2);
  let kept: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const number = lone == SEVERAL ? load<u32>(numbers + ((<usize>row) << 2)) : lone;
    if (number == NOWHERE) continue;
    store<u32>(keys + ((<usize>kept) << 2), load<u32>(targetAt(self, number)));
    store<u16>(selection + ((<usize>kept) << 1), <u16>row);
    kept++;
  }
  changetype<Vector>(self.scatterKeys).values = keys;
  let status: i32 = 0;
  if (kept == rows) status = aggregateApply(context, self.scatter, rows, left);
  else if (kept != 0) {
    const gather = gatherOf(self);
    gatherBegin(gather);
    gatherRows(gather, selection, kept);
    status = aggregateApply(context, self.scatter, kept, left);
    gatherEnd(gather);
  }
  scratchReset(context, mark);
  return status;
}

// ---- folding groups into their partials

/** Goes on: groups folded, 0 when none are left, or an error. */
export function scatterFold(context: usize, operator: usize): i32 {
  const self = windowsOf(operator);
  if (self.scatter == 0) return 0;
  if (self.chains == 0) {
    if (!chain(context, self)) return failMemory(context, 0);
    self.folded = 0;
  }
  for (; self.folded < self.count; self.folded++) {
    const state = partialState(partialAt(self, self.folded));
    if (aggregationOf(state).waiting != 0) return foldGroups(context, operator, state);
  }
  operatorFree(context, self.scatter);
  self.scatter = 0;
  self.chains = 0;
  return 0;
}

/** Chains the groups of each partial. False when out of memory. */
function chain(context: usize, self: Windows): bool {
  const groups = groupsOf(aggregationOf(self.scatter));
  self.chains = regionBlock(self.scatter, max<usize>((<usize>groups.count) << 2, 64));
  if (self.chains == 0) return false;
  for (let index: u32 = 0; index < self.count; index++) aggregationOf(partialState(partialAt(self, index))).waiting = 0;
  const value = scratchTake(context, 16);
  for (let group: u32 = 0; group < groups.count; group++) {
    if (!groupsIsOccupied(groups, group)) continue;
    groupKeyValue(groups, 0, group, value);
    const partial = aggregationOf(load<u32>(value));
    store<u32>(self.chains + ((<usize>group) << 2), partial.waiting);
    partial.waiting = group + 1;
  }
  return true;
}

function foldGroups(context: usize, operator: usize, state: usize): i32 {
  const self = windowsOf(operator);
  const partial = aggregationOf(state);
  const list = scratchTake(context, (<usize>ROWS) << 2);
  const numbers = scratchTake(context, (<usize>ROWS) << 2);
  let count: u32 = 0;
  let next = partial.waiting;
  for (; next != 0 && count < ROWS; count++) {
    store<u32>(list + ((<usize>count) << 2), next - 1);
    next = load<u32>(self.chains + ((<usize>(next - 1)) << 2));
  }
  const work = changetype<Combination>(self.combination);
  work.broken = 0;
  if (
    !combineAccumulators(state, self.scatter) ||
    !combineListed(context, work, state, self.scatter, list, count, numbers, 1)
  ) {
    if (work.broken) changetype<Operator>(operator).failed = 1;
    return failMemory(context, 0);
  }
  changetype<Operator>(state).rowsSelected += count;
  partial.waiting = next;
  return <i32>count;
}
