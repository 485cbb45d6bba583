// Combining aggregations: all groups of one folded into another of the same configuration, a vector of them at a
// time, so that a call can stop in between. Where room for a vector of groups is not found, nothing has happened and
// the next step tries again; what fails later (`broken`) leaves a target of no use.

import { Abi } from "../abi/layout";
import { AggregateFlag } from "../abi/operator";
import { Status } from "../abi/status";
import { Accumulator, Family, isPairs } from "../aggregate/accumulator";
import {
  COMBINE_SCRATCH,
  accumulatorCombine,
  accumulatorCombineBegin,
  accumulatorCombineReserve,
  pairsCombine,
  pairsCount,
  pairsTake,
} from "../aggregate/combine";
import { sumIntegerTighten } from "../aggregate/sum-integer";
import { regrow } from "../column/builder";
import { BITMAP_BYTES } from "../column/vector";
import { Copying, copyAssign, copyIsAlike, copyPrepare, copySpan, copyTextsAgree } from "../group/copy";
import { groupsListFrom } from "../group/list";
import { NO_GROUP, groupsIsOccupied } from "../group/state";
import { contextRoot, failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionCut, regionFree } from "../memory/region";
import { waitingSettle } from "./aggregate-waiting";
import { changelogReserve, changelogTouch } from "./aggregate-changelog";
import { aggregateReserveSpan, startTracking } from "./aggregate-reserve";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { Operator, handleAt } from "./operator";

const ROWS: u32 = Abi.VECTOR_ROWS;

/** How far a combination has come. */
// @ts-ignore: decorator
@unmanaged
export class Combination {
  /** The next group of the source, up to `end`; then the accumulator and the pair of it that come next. */
  group: u32;
  accumulator: u32;
  pair: u32;
  /** Target's group of each of the source's (u32), where there are pairs to be moved. */
  map: usize;
  /** 1 when memory ran out between two accumulators: the target is of no use then. */
  broken: u32;
  /** Of `aggregateCombine`: the handle of the operator that is being combined; 0 when none is. */
  source: u32;
  /** The source's groups that are to come (u32 each), of which `group` is then an index; 0: all, by number. */
  order: usize;
  /** Where they end. */
  end: u32;
  /** Whether the source's ids of texts are the target's. */
  agree: u32;
  /** Whether the source may lose its values, which are then not copied, and whether it has. */
  gives: u32;
  gave: u32;
  /** Of `aggregateCombinePart`: one more than the part at hand, its rows that have come, and those of the part before. */
  part: u32;
  rows: u32;
  rowsBefore: u32;
  /** Whether groups may be looked for again once their part is complete: then they stay. */
  stays: u32;
  /** How many groups and rows that wait all parts at hand may bring: about as many as one source has, of as many operators. */
  coming: u32;
  /** Parts that are complete (aggregate-drain.ts), a bit each. */
  complete0: u64;
  complete1: u64;
  complete2: u64;
  complete3: u64;
}

export const COMBINATION_SIZE: usize = 96;
/** Groups, or pairs, that a call of `aggregateCombine` goes through. */
const CALL_GROUPS: u32 = Abi.MORSEL_ROWS;

/** Whether an operator's groups have begun to come, and not all of them have. */
export function aggregateCombining(operator: usize): bool {
  const address = aggregationOf(operator).combination;
  return address != 0 && changetype<Combination>(address).source != 0;
}

/** Whether `aggregateCombine` takes operators of this kind: those over rows that are not taken back, with results once. */
export function aggregateCombines(operator: usize): bool {
  const never = <u32>(AggregateFlag.CHANGELOG | AggregateFlag.PARTIAL | AggregateFlag.RETRACT);
  return (aggregationOf(operator).flags & never) == 0;
}

/**
 * Whether two operators of the same configuration number their groups alike, so that folding one into the other adds
 * arrays up: some nanoseconds a group, fewer than dividing them costs.
 */
export function aggregateIsAlike(operator: usize, source: usize): bool {
  return copyIsAlike(groupsOf(aggregationOf(operator)), groupsOf(aggregationOf(source)));
}

/**
 * Folds the groups of another operator of the same configuration, of that handle, into this one, a bounded number of
 * them. HAS_MORE, NEED_INPUT when that was all, or an error: after OUT_OF_MEMORY the call may be made again.
 */
export function aggregateCombine(context: usize, operator: usize, source: usize, handle: u32): i32 {
  const self = aggregationOf(operator);
  const head = changetype<Operator>(operator);
  if (self.combination == 0) self.combination = regionCut(operator, COMBINATION_SIZE);
  if (self.combination == 0) return failMemory(context, 0);
  const work = changetype<Combination>(self.combination);
  if (work.source == 0) {
    const waiting = min(waitingSettle(context, operator), waitingSettle(context, source));
    if (waiting < 0) return waiting;
    const other = changetype<Operator>(source);
    // Without keys there is a group before the first row.
    if (other.rowsSelected != 0) {
      const begun = combineBegin(context, work, operator, source);
      if (begun < 0) return begun;
      work.source = handle;
      work.gives = self.flags & <u32>AggregateFlag.SHARED;
    }
    head.rowsIn += other.rowsIn;
    head.batchesIn += other.batchesIn;
    if (work.source == 0) return Status.NEED_INPUT;
  }
  for (let left = CALL_GROUPS; left > 0; ) {
    const mark = scratchMark(context);
    const done = combineStep(context, operator, work, operator, source);
    scratchReset(context, mark);
    if (done < 0) {
      head.failed = work.broken;
      return done;
    }
    if (done == 0) {
      regionFree(operator, work.map);
      work.map = 0;
      work.source = 0;
      if (work.gave != 0) changetype<Operator>(source).failed = 1;
      return Status.NEED_INPUT;
    }
    left -= min(left, <u32>done);
  }
  return Status.HAS_MORE;
}

/** A source that has lost values is of no use when the rest of it is not to follow. */
export function combineGaveUp(context: usize, operator: usize): void {
  const work = changetype<Combination>(aggregationOf(operator).combination);
  const source: usize = work.gave == 0 ? 0 : handleAt(contextRoot(context), work.source);
  if (source != 0) changetype<Operator>(source).failed = 1;
}

/** Begins to fold `source` into `target`. 0, or an error. */
export function combineBegin(context: usize, work: Combination, target: usize, source: usize): i32 {
  work.group = 0;
  work.accumulator = 0;
  work.pair = 0;
  work.broken = 0;
  work.gives = 0;
  work.gave = 0;
  work.order = 0;
  work.end = groupsOf(aggregationOf(source)).count;
  work.agree = copyTextsAgree(groupsOf(aggregationOf(target)), groupsOf(aggregationOf(source))) ? 1 : 0;
  if (!combineAccumulators(target, source)) return failMemory(context, 0);
  const from = aggregationOf(source);
  for (let index: u32 = 0; index < from.accumulatorCount; index++) {
    const accumulator = accumulatorAt(from, index);
    if (accumulator.family == <u32>Family.SUM_INTEGER) sumIntegerTighten(accumulator);
  }
  changetype<Operator>(target).rowsSelected += changetype<Operator>(source).rowsSelected;
  return 0;
}

/** Readies the target's accumulators for what the source's hold. False when out of memory. */
export function combineAccumulators(target: usize, source: usize): bool {
  const to = aggregationOf(target);
  const from = aggregationOf(source);
  for (let index: u32 = 0; index < to.accumulatorCount; index++) {
    const accumulator = accumulatorAt(to, index);
    const tracks = isCount(accumulator) && accumulatorAt(from, index).tracking > accumulator.tracking;
    if (tracks && !startTracking(target, accumulator)) return false;
    if (!accumulatorCombineBegin(accumulator, accumulatorAt(from, index))) return false;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function isCount(self: Accumulator): bool {
  return self.family == <u32>Family.COUNT || self.family == <u32>Family.SEEN;
}

/** Goes on by a vector: how many groups or pairs that was, 0 when all is done, or an error. `region` keeps the map. */
export function combineStep(context: usize, region: usize, work: Combination, target: usize, source: usize): i32 {
  const from = aggregationOf(source);
  const groups = groupsOf(from);
  if (work.group >= work.end) return combinePairs(context, work, target, source);
  if (work.group == 0 && hasPairs(from)) {
    const map = regrow(region, work.map, 0, max<usize>((<usize>groups.count) << 2, 64));
    if (map == 0) return failMemory(context, 0);
    work.map = map;
    memory.fill(map, 0xff, (<usize>groups.count) << 2);
  }
  const list = scratchTake(context, (<usize>ROWS) << 2);
  const numbers = scratchTake(context, (<usize>ROWS) << 2);
  let count: u32 = 0;
  let group = work.group;
  if (work.order == 0 && groups.nullGroup == NO_GROUP) {
    count = groupsListFrom(groups, list, ROWS, group, work.end);
    group = count < ROWS ? work.end : load<u32>(list + ((<usize>(ROWS - 1)) << 2)) + 1;
  }
  for (; group < work.end && count < ROWS; group++) {
    const number = work.order == 0 ? group : load<u32>(work.order + ((<usize>group) << 2));
    // A null without a mask goes by itself, so that the others can go packed.
    const alone = number == groups.nullGroup;
    if (alone && count != 0) break;
    store<u32>(list + ((<usize>count) << 2), number);
    count += <u32>groupsIsOccupied(groups, number);
    if (!alone) continue;
    group++;
    break;
  }
  if (count != 0 && !combineListed(context, work, target, source, list, count, numbers))
    return failMemory(context, 0);
  if (hasPairs(from)) {
    for (let index: usize = 0; index < <usize>count; index++)
      store<u32>(work.map + ((<usize>load<u32>(list + (index << 2))) << 2), load<u32>(numbers + (index << 2)));
  }
  work.group = group;
  return max<u32>(count, 1);
}

/**
 * Folds listed groups of the source in; `numbers` then has the target's, and a changelog lists them. The
 * source may have a last key, an ordinal, that the target has not; all of them then have the same. False when out of memory.
 */
export function combineListed(
  context: usize,
  work: Combination,
  target: usize,
  source: usize,
  list: usize,
  count: u32,
  numbers: usize,
): bool {
  const to = groupsOf(aggregationOf(target));
  const from = groupsOf(aggregationOf(source));
  const scratch = scratchTake(context, COMBINE_SCRATCH);
  const bitmaps = scratchTake(context, max<usize>(1, to.keyCount) * BITMAP_BYTES);
  const copying = copyPrepare(to, from, list, count, work.agree != 0, bitmaps, scratch);
  if (copying == Copying.FAILED || !aggregateReserveSpan(target, copySpan(to, count))) return false;
  if (!combineReserve(target, source, list, count)) return false;
  const changes = aggregationOf(target).changelog != 0;
  if (changes && !changelogReserve(target, count, max<u32>(1, aggregationOf(target).reserved))) return false;
  if (!copyAssign(to, from, list, count, numbers, copying)) return false;
  if (changes) changelogTouch(target, numbers, count);
  work.broken = combineValues(target, source, list, numbers, count, scratch) ? 0 : 1;
  return work.broken == 0;
}

/** Room for what `combineValues` will need. False when out of memory, with nothing lost. */
export function combineReserve(target: usize, source: usize, list: usize, count: u32): bool {
  const to = aggregationOf(target);
  for (let index: u32 = 0; index < to.accumulatorCount; index++) {
    const from = accumulatorAt(aggregationOf(source), index);
    if (!accumulatorCombineReserve(accumulatorAt(to, index), from, list, count)) return false;
  }
  return true;
}

/** Folds what accumulators hold for listed groups of the source into numbered ones of the target. */
export function combineValues(
  target: usize,
  source: usize,
  list: usize,
  numbers: usize,
  count: u32,
  scratch: usize,
): bool {
  const to = aggregationOf(target);
  const from = aggregationOf(source);
  for (let index: u32 = 0; index < to.accumulatorCount; index++) {
    const accumulator = accumulatorAt(to, index);
    const other = accumulatorAt(from, index);
    if (!accumulatorCombine(accumulator, other, list, numbers, count, from.rowsCounter, scratch)) return false;
  }
  return true;
}

/** Whether there are values that are kept as pairs with a group, which `combineValues` leaves. */
export function hasPairs(self: Aggregation): bool {
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    if (isPairs(accumulatorAt(self, index))) return true;
  }
  return false;
}

/** Whether `map` leaves every group its number. */
function isSameMap(source: Aggregation, map: usize): bool {
  const groups = groupsOf(source).count;
  for (let group: u32 = 0; group < groups; group++) {
    const number = load<u32>(map + ((<usize>group) << 2));
    if (number != group && number != NO_GROUP) return false;
  }
  return true;
}

/** Moves a vector of pairs: see `combineStep`. */
export function combinePairs(context: usize, work: Combination, target: usize, source: usize): i32 {
  const to = aggregationOf(target);
  const from = aggregationOf(source);
  for (; work.accumulator < to.accumulatorCount; work.accumulator++) {
    const accumulator = accumulatorAt(from, work.accumulator);
    if (!isPairs(accumulator)) continue;
    const first = work.pair;
    work.pair = 0;
    const pairs = pairsCount(accumulator);
    if (first >= pairs) continue;
    if (first == 0 && work.gives != 0 && isSameMap(from, work.map)) {
      const took = pairsTake(accumulatorAt(to, work.accumulator), accumulator);
      if (took < 0) return failMemory(context, 0);
      if (took > 0) {
        work.gave = 1;
        continue;
      }
    }
    const next = pairsCombine(accumulatorAt(to, work.accumulator), accumulator, work.map, first, pairs);
    if (next < 0) {
      work.pair = first;
      return failMemory(context, 0);
    }
    work.pair = <u32>next;
    return <i32>(work.pair - first);
  }
  return 0;
}
