// Dividing an aggregation by its keys' hash, so that several workers can bring several aggregations together: each takes
// a partition of all of them at a time into an operator of its own (`aggregateCombinePart`), and the operators then have
// no group in common.
//
// A group's partition is the top byte of its packed row's tag, in which a text is its hash and not its id (ids are each
// operator's own); a null key that has no mask has none, and belongs to partition 0. Rows that were set aside lie in
// such partitions already (aggregate-backlog.ts) and are applied where they are taken, without having been looked up
// before; but where texts are keys, or a partition holds a large part of the rows (a frequent key), they are worked off
// here. Operators whose texts are all of the same dictionaries, learnt whole, have the same ids: then these are in the tag,
// packed rows are taken as they lie, and whoever takes them learns the texts first.
//
// From then on the source is only read, by as many threads as like. Aggregates that keep pairs of a group and a value
// are not taken: going through the pairs for each partition would cost more than is saved.
//
//   division: +0 u32 group numbers, by partition  +4 u32[257] where each partition begins  then u32 1: by ids of texts

import { Reason, Status } from "../abi/status";
import { Family } from "../aggregate/accumulator";
import { sumExactSettle } from "../aggregate/sum-exact";
import { copyFewTextsAgree, copyFollow, copyLearntOne, copyTextsLearn } from "../group/copy";
import { groupsHaveTexts } from "../group/groups";
import { groupsByMark } from "../group/order";
import { packingAgrees } from "../group/packing";
import { groupsTops } from "../group/tops";
import { fail, failMemory, scratchMark, scratchReset } from "../memory/context";
import { regionBlock, regionCut, regionFree } from "../memory/region";
import {
  BACKLOG_PARTITIONS,
  backlogCombine,
  backlogPartitionRows,
  backlogSettle,
  backlogWorkLarge,
} from "./aggregate-backlog";
import { rangesClose, rangesWork } from "./aggregate-ranges";
import {
  COMBINATION_SIZE,
  Combination,
  aggregateCombines,
  combineAccumulators,
  combineStep,
  hasPairs,
} from "./aggregate-combine";
import { aggregateDrainsParts } from "./aggregate-drain";
import { packLike } from "./aggregate-pack";
import { waitingRows } from "./aggregate-waiting";
import { accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { Operator } from "./operator";

export const DIVISION_PARTS: u32 = BACKLOG_PARTITIONS;
const STARTS: usize = 4;
const BY_IDS: usize = STARTS + (<usize>DIVISION_PARTS + 1) * 4;
const DIVISION_SIZE: usize = BY_IDS + 4;

/** Whether aggregations of this kind can be divided. */
export function aggregateDivides(operator: usize): bool {
  const self = aggregationOf(operator);
  return groupsOf(self).keyCount != 0 && aggregateCombines(operator) && !hasPairs(self);
}

/** Whether it has been: then it takes nothing, and gives nothing but parts. */
export function aggregateDivided(operator: usize): bool {
  return aggregationOf(operator).division != 0;
}

/**
 * Whether packed rows of two aggregations of one configuration mean the same: all texts that `other` knows of its keys are
 * of dictionaries that both have learnt whole, or there are none, and keys are words (aggregate-pack.ts) in both or neither.
 * Of one and itself: whether that may become so.
 */
export function aggregateSharesTexts(operator: usize, other: usize): bool {
  const mine = groupsOf(aggregationOf(operator));
  const theirs = groupsOf(aggregationOf(other));
  const hasRows = changetype<Operator>(other).rowsSelected != 0;
  return copyLearntOne(mine, theirs) && (!hasRows || packingAgrees(mine, theirs));
}

/**
 * Divides the groups, where `byIds` says so by ids of texts. NEED_INPUT, or OUT_OF_MEMORY: then it may be tried again.
 */
export function aggregateDivide(context: usize, operator: usize, byIds: bool): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const hashed = groupsHaveTexts(groups) && !byIds;
  const waiting = rangesWork(context, operator, true);
  if (waiting < 0) return waiting;
  const settles = groups.packing != 0 && !byIds;
  const worked = settles ? backlogSettle(context, operator) : backlogWorkLarge(context, operator, hashed);
  if (worked < 0) return worked;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    // unreached: takes a million rows of a group, and memory that ends just then
    if (accumulator.family == <u32>Family.SUM_EXACT && !sumExactSettle(accumulator)) return failMemory(context, 0);
  }
  const division = regionCut(operator, DIVISION_SIZE);
  const order = regionBlock(operator, max<usize>(64, (<usize>groups.count) << 2));
  const parts = regionBlock(operator, max<usize>(64, <usize>groups.count));
  if (division == 0 || order == 0 || parts == 0) {
    regionFree(operator, order);
    regionFree(operator, parts);
    return failMemory(context, 0);
  }
  store<u32>(division, <u32>order);
  groupsTops(groups, parts, hashed);
  groupsByMark(groups, parts, DIVISION_PARTS, order, division + STARTS);
  regionFree(operator, parts);
  store<u32>(division, byIds ? 1 : 0, BY_IDS);
  self.division = division;
  return Status.NEED_INPUT;
}

/**
 * Folds a partition of a divided operator of the same configuration into this one: all of it. NEED_INPUT, or an error,
 * after which the operator is of no use. What the source has counted comes with its first partition.
 */
export function aggregateCombinePart(context: usize, operator: usize, source: usize, part: u32): i32 {
  const self = aggregationOf(operator);
  const head = changetype<Operator>(operator);
  const other = changetype<Operator>(source);
  if (self.combination == 0) self.combination = regionCut(operator, COMBINATION_SIZE);
  let status = self.combination == 0 ? failMemory(context, 0) : min<i32>(0, rangesClose(context, operator));
  if (status == 0) beginPart(operator, source, part);
  if (status == 0) status = learnTexts(context, operator, source);
  if (status == 0) status = followPacking(context, operator, source);
  if (status == 0) status = combineGroups(context, operator, source, part);
  const work = changetype<Combination>(self.combination);
  if (status == 0) {
    const expected = work.rowsBefore - min(work.rows, work.rowsBefore);
    status = backlogCombine(context, operator, source, part, expected, aggregateDrainsParts(operator));
    work.rows += backlogPartitionRows(source, part);
  }
  if (status < 0) {
    head.failed = 1;
    return status;
  }
  if (part == 0) {
    head.rowsIn += other.rowsIn;
    head.batchesIn += other.batchesIn;
    head.rowsSelected += other.rowsSelected;
  }
  return Status.NEED_INPUT;
}

/** Goes on to a part, unless it is at hand; it will have about as many rows as the one before. */
function beginPart(operator: usize, source: usize, part: u32): void {
  const work = changetype<Combination>(aggregationOf(operator).combination);
  if (work.part != part + 1) {
    if (work.part != 0) work.rowsBefore = work.rows;
    work.rows = 0;
    work.part = part + 1;
  }
  work.coming = max(work.coming, waitingRows(source) + groupsOf(aggregationOf(source)).count);
  // By hashes of texts a part's groups have any tag here.
  const byIds = load<u32>(aggregationOf(source).division, BY_IDS) != 0;
  if (!byIds && groupsHaveTexts(groupsOf(aggregationOf(source)))) work.stays = 1;
}

/** Where the source is divided by ids of texts they are to mean the same here. 0, or an error. */
function learnTexts(context: usize, operator: usize, source: usize): i32 {
  const from = aggregationOf(source);
  if (load<u32>(from.division, BY_IDS) == 0) return 0;
  const followed = copyFollow(groupsOf(aggregationOf(operator)), groupsOf(from));
  if (followed > 0) return 0;
  return followed < 0 ? failMemory(context, 0) : fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
}

/** Packed rows are to mean the same here. 0, or an error. */
function followPacking(context: usize, operator: usize, source: usize): i32 {
  if (changetype<Operator>(source).rowsSelected == 0) return 0;
  const groups = groupsOf(aggregationOf(operator));
  const from = groupsOf(aggregationOf(source));
  if (packingAgrees(groups, from)) return 0;
  if (groups.packing != 0 && from.packing == 0) return min<i32>(0, backlogSettle(context, operator));
  return groups.packing == 0 ? packLike(context, operator, from) : fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
}

function combineGroups(context: usize, operator: usize, source: usize, part: u32): i32 {
  const division = aggregationOf(source).division;
  const work = changetype<Combination>(aggregationOf(operator).combination);
  work.group = load<u32>(division + STARTS + ((<usize>part) << 2));
  work.end = load<u32>(division + STARTS + ((<usize>part + 1) << 2));
  work.order = load<u32>(division);
  work.accumulator = 0;
  work.pair = 0;
  work.broken = 0;
  if (work.group == work.end) return 0;
  // Where ids of texts mean the same, packed rows do.
  const target = groupsOf(aggregationOf(operator));
  const from = groupsOf(aggregationOf(source));
  const byIds = load<u32>(division, BY_IDS) != 0;
  if (!byIds && !copyTextsLearn(target, from)) return failMemory(context, 0);
  work.agree = byIds || copyFewTextsAgree(target, from) ? 1 : 0;
  if (!combineAccumulators(operator, source)) return failMemory(context, 0);
  let done: i32 = 1;
  while (done > 0) {
    const mark = scratchMark(context);
    done = combineStep(context, operator, work, operator, source);
    scratchReset(context, mark);
  }
  return done;
}
