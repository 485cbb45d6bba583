// Folding one aggregation into another by parts, where both number their groups alike: arrays are added up, and several
// threads may take part, each with ranges of group numbers of its own.
//
// What the parts have in common is done before: room for all groups, counts that begin to be kept, the limbs of exact
// sums, the bounds of integer sums. A part then writes nothing but what belongs to its groups. Where a sum might outgrow
// its lanes, limbs lie beside the dense ones, or an aggregate keeps texts or pairs, op_combine does it, one thread alone.
//
// For 100,000 groups of two threads: 0.6 to 1.6 ms instead of 1.3 to 3.5. Most of it is waiting for what the other core has written.

import { Abi } from "../abi/layout";
import { AggregateFault } from "../abi/operator";
import { Accumulator, Family } from "../aggregate/accumulator";
import { COMBINE_SCRATCH, accumulatorCombine } from "../aggregate/combine";
import { sumExactFold, sumExactHolds } from "../aggregate/sum-exact";
import { sumIntegerFold, sumIntegerTakesAll, sumIntegerTighten } from "../aggregate/sum-integer";
import { copyAlign, copyIsAligned, copyIsAlike } from "../group/copy";
import { directBoundary, directEnd } from "../group/direct";
import { groupsListFrom } from "../group/list";
import { Tier } from "../group/state";
import { failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { backlogRows } from "./aggregate-backlog";
import { aggregateCombines, combineAccumulators } from "./aggregate-combine";
import { rangesWork } from "./aggregate-ranges";
import { aggregateReserveSpan } from "./aggregate-reserve";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { Operator } from "./operator";

const ROWS: u32 = Abi.VECTOR_ROWS;
export const FOLD_PARTS: u32 = 64;
/** Fewer groups are folded before another thread has woken. */
const LEAST_GROUPS: u32 = 16_384;

/**
 * Begins to fold `source` in: how many parts that has, each of which is to be done, once; 0 where there are few groups, or
 * it cannot be done so, with nothing lost, or OUT_OF_MEMORY, likewise.
 */
export function aggregateFoldBegin(context: usize, operator: usize, source: usize): i32 {
  const to = aggregationOf(operator);
  const from = aggregationOf(source);
  const isTiny = (to.fault & <u32>AggregateFault.TINY_TABLES) != 0;
  const groups = groupsOf(from);
  if (groups.tier != <u32>Tier.DIRECT || groupsOf(to).tier != <u32>Tier.DIRECT || groups.extra != 0) return 0;
  if ((groups.count < LEAST_GROUPS && !isTiny) || !aggregateCombines(operator) || !copyIsAlike(groupsOf(to), groups)) return 0;
  if (backlogRows(operator) != 0 || backlogRows(source) != 0 || !hasPlainFamilies(to)) return 0;
  const waiting = min(rangesWork(context, operator, true), rangesWork(context, source, true));
  if (waiting < 0) return waiting;
  const isAligned = copyAlign(groupsOf(to), groups) && aggregateReserveSpan(operator, groupsOf(to).count);
  if (!isAligned || !combineAccumulators(operator, source)) return failMemory(context, 0);
  for (let index: u32 = 0; index < to.accumulatorCount; index++) {
    const accumulator = accumulatorAt(from, index);
    if (accumulator.family == <u32>Family.SUM_EXACT && !sumExactHolds(accumulatorAt(to, index), accumulator)) return 0;
    if (accumulator.family != <u32>Family.SUM_INTEGER) continue;
    sumIntegerTighten(accumulator);
    if (!sumIntegerTakesAll(accumulatorAt(to, index), accumulator)) return 0;
  }
  const head = changetype<Operator>(operator);
  const other = changetype<Operator>(source);
  head.rowsIn += other.rowsIn;
  head.batchesIn += other.batchesIn;
  head.rowsSelected += other.rowsSelected;
  return FOLD_PARTS;
}

/** Whether a group's share of each accumulator is its own. */
function hasPlainFamilies(self: Aggregation): bool {
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    switch (accumulatorAt(self, index).family) {
      case Family.COUNT:
      case Family.SEEN:
      case Family.SUM_INTEGER:
      case Family.SUM_EXACT:
      case Family.SUM_FAST:
      case Family.MOMENTS_FAST:
      case Family.MIN:
      case Family.MAX:
      case Family.TOP:
      case Family.BOTTOM:
      case Family.BIT_AND:
      case Family.BIT_OR:
      case Family.BIT_XOR:
        continue;
      default:
        return false;
    }
  }
  return true;
}

/** Whether what a part writes has its place: so it is when folding has begun, and nothing else has come in between. */
export function aggregateFolds(operator: usize, source: usize): bool {
  const to = aggregationOf(operator);
  const from = aggregationOf(source);
  const groups = groupsOf(to);
  if (!copyIsAligned(groups, groupsOf(from)) || to.reserved < groups.count || !hasPlainFamilies(to)) return false;
  for (let index: u32 = 0; index < to.accumulatorCount; index++) {
    const mine = accumulatorAt(to, index);
    const theirs = accumulatorAt(from, index);
    if (mine.tracking < theirs.tracking || mine.wide != theirs.wide) return false;
    if (mine.family == <u32>Family.SUM_EXACT && !sumExactHolds(mine, theirs)) return false;
  }
  return true;
}

/**
 * Folds a part in. Others may do other parts meanwhile, also of other sources: where a part begins is for the target to say,
 * which has the range of all of them.
 */
export function aggregateFoldPart(context: usize, operator: usize, source: usize, part: u32): void {
  const all = groupsOf(aggregationOf(operator));
  const groups = groupsOf(aggregationOf(source));
  const mark = scratchMark(context);
  const list = scratchTake(context, (<usize>ROWS) << 2);
  const scratch = scratchTake(context, COMBINE_SCRATCH);
  const end = min(directBoundary(all, 0, part + 1, FOLD_PARTS), directEnd(groups));
  let group = directBoundary(all, 0, part, FOLD_PARTS);
  while (group < end) {
    const count = groupsListFrom(groups, list, ROWS, group, end);
    if (count == 0) break;
    foldListed(operator, source, list, count, scratch);
    group = load<u32>(list + ((<usize>(count - 1)) << 2)) + 1;
  }
  scratchReset(context, mark);
}

function foldListed(operator: usize, source: usize, list: usize, count: u32, scratch: usize): void {
  const to = aggregationOf(operator);
  const from = aggregationOf(source);
  const groups = groupsOf(to);
  if (groups.counts == 0) {
    for (let index: usize = 0; index < (<usize>count) << 2; index += 4)
      store<u8>(groups.occupied + <usize>load<u32>(list + index), 1);
  }
  for (let index: u32 = 0; index < to.accumulatorCount; index++)
    fold(accumulatorAt(to, index), accumulatorAt(from, index), list, count, from.rowsCounter, scratch);
}

function fold(to: Accumulator, from: Accumulator, list: usize, count: u32, rows: usize, scratch: usize): void {
  if (to.family == <u32>Family.SUM_INTEGER) sumIntegerFold(to, from, list, count);
  else if (to.family == <u32>Family.SUM_EXACT) sumExactFold(to, from, list, count);
  // Of these none fails.
  else accumulatorCombine(to, from, list, list, count, rows, scratch);
}
