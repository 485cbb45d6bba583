// Key tiers of partials: what one of them has found out about keys serves the next.
//
// A partial's first rows are few, and choose its tier (group/groups.ts): keys that would be computed, had all of its rows
// come at once, are looked up. So a new partial is told how many rows slices have had lately (`expected`), and one that
// looks its keys up is laid out anew with computed numbers, by folding it into a fresh one (aggregate-combine.ts), once it
// has so many groups that they fill a good part of their range. That is looked at whenever their number has doubled.
//
// An expectation is only taken where memory would do for it. Windows of half an hour by a million keys take 0.7 times what they
// did looked up and set aside by hash.

import { Type } from "../abi/layout";
import { AggregateFault } from "../abi/operator";
import { directRangeLayout } from "../group/direct";
import { groupKeyValue } from "../group/emit";
import { Groups, Tier, groupsIsOccupied, groupsKey } from "../group/state";
import { regionHasRoom } from "../memory/region";
import { clearError, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { backlogIsOpen } from "./aggregate-backlog";
import { COMBINATION_SIZE, Combination, combineBegin, combineStep, hasPairs } from "./aggregate-combine";
import { aggregateReserveSpan } from "./aggregate-reserve";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { Operator, operatorFree } from "./operator";
import { Windows, partialAt, partialCreate, partialState, windowsOf } from "./windows";

/** Groups below this are not laid out anew. */
const GROUPS_MIN: u32 = 1024;
/** Numbers that each group may spend, and bytes of all values of a number, at most. */
const NUMBERS_PER_GROUP: u64 = 8;
const VALUE_BYTES: u32 = 64;

/** Tells a partial that has no rows yet how many slices have had lately; `targets` may begin with this push. */
export function tierExpect(self: Windows, state: usize, targets: u32): void {
  const groups = groupsOf(aggregationOf(state));
  if (groups.tier != <u32>Tier.UNDECIDED || valueBytes(aggregationOf(state)) > VALUE_BYTES) return;
  groups.expected = targets <= 2 ? self.expected : self.expected / targets;
}

/** Nothing is expected, after all. */
// @ts-ignore: decorator
@inline
export function tierForget(state: usize): void {
  groupsOf(aggregationOf(state)).expected = 0;
}

/** After a push: the partial at `state`, which had `before` groups before it, may be laid out anew; where it is then. */
export function tierConsider(context: usize, operator: usize, state: usize, before: u32): usize {
  const self = windowsOf(operator);
  const rows = changetype<Operator>(state).rowsSelected;
  self.expected = max<u32>(self.expected, <u32>min<u64>(rows, u32.MAX_VALUE));
  const groups = groupsOf(aggregationOf(state));
  if (groups.tier != <u32>Tier.HASH || groups.count < GROUPS_MIN || clz(groups.count) == clz(before | 1)) return state;
  if (self.open || self.changes != 0 || backlogIsOpen(state) || !isLoneInteger(groups)) return state;
  if (hasPairs(aggregationOf(state)) || valueBytes(aggregationOf(state)) > VALUE_BYTES) return state;
  for (let index: u32 = 0; index < self.count; index++) {
    const partial = partialAt(self, index);
    if (partialState(partial) != state) continue;
    const fresh = laidOut(context, operator, state);
    if (fresh == 0) return state;
    store<u32>(partial, <u32>fresh, 16);
    operatorFree(context, state);
    return fresh;
  }
  return state;
}

function valueBytes(self: Aggregation): u32 {
  let bytes: u32 = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    // Two that lie side by side have the stride of both.
    if (!accumulator.follows) bytes += accumulator.stride;
  }
  return bytes;
}

function isLoneInteger(groups: Groups): bool {
  if (groups.keyCount != 1 || groups.looksUp != 0 || (groups.fault & <u32>AggregateFault.NO_DIRECT) != 0) return false;
  const type = groupsKey(groups, 0).type;
  return type >= <u32>Type.I8 && type <= <u32>Type.U64;
}

/** A partial of the same groups with computed numbers; 0 where they are too far apart, or memory would not do. */
function laidOut(context: usize, operator: usize, source: usize): usize {
  const groups = groupsOf(aggregationOf(source));
  const mark = scratchMark(context);
  const range = scratchTake(context, 16);
  const most = keyRange(groups, range, scratchTake(context, 16));
  const fresh =
    most != 0 && most <= <u64>groups.count * NUMBERS_PER_GROUP && hasRoom(operator, source, most)
      ? partialCreate(context, operator)
      : 0;
  const done = fresh != 0 && fold(context, operator, fresh, source, load<i64>(range), load<i64>(range, 8));
  scratchReset(context, mark);
  if (done) return fresh;
  if (fresh != 0) operatorFree(context, fresh);
  clearError(context);
  return 0;
}

/** Writes the least and the greatest key to `range`; how many integers that spans, 0 where they are too many. */
function keyRange(groups: Groups, range: usize, value: usize): u64 {
  const key = groupsKey(groups, 0);
  let low = i64.MAX_VALUE;
  let high = i64.MIN_VALUE;
  for (let group: u32 = 0; group < groups.count; group++) {
    if (!groupsIsOccupied(groups, group) || !groupKeyValue(groups, 0, group, value)) continue;
    let at = load<i64>(value);
    if (key.width == 4) at = key.type == <u32>Type.U32 ? <i64>load<u32>(value) : <i64>load<i32>(value);
    low = min<i64>(low, at);
    high = max<i64>(high, at);
  }
  store<i64>(range, low);
  store<i64>(range, high, 8);
  return <u64>(high - low) + 1;
}

/** Whether memory would do for twice the numbers of so many groups, beside what there is. */
function hasRoom(operator: usize, source: usize, range: u64): bool {
  return regionHasRoom(operator, (range << 1) * (<u64>valueBytes(aggregationOf(source)) + 2) + (1 << 16));
}

/** Folds all groups of `source` into `fresh`, whose keys are to be computed. False where that cannot be. */
function fold(context: usize, operator: usize, fresh: usize, source: usize, low: i64, high: i64): bool {
  const groups = groupsOf(aggregationOf(fresh));
  if (!directRangeLayout(groups, low, high) || !aggregateReserveSpan(fresh, groups.count)) return false;
  const work = changetype<Combination>(scratchTake(context, COMBINATION_SIZE));
  memory.fill(changetype<usize>(work), 0, COMBINATION_SIZE);
  let done = combineBegin(context, work, fresh, source) < 0 ? -1 : 1;
  while (done > 0) {
    const mark = scratchMark(context);
    done = combineStep(context, operator, work, fresh, source);
    scratchReset(context, mark);
  }
  return done == 0;
}
