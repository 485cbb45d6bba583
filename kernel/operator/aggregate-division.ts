// Dividing a state: the groups of an aggregation in the order of the partitions that their keys belong to, so that
// a snapshot leaves as one whole state for each partition. What comes from several operators, or from one at several
// times, can then be merged a partition at a time, in memory for one partition.
//
// The partition is that of PARTITION (the key hash), which is the same in every operator; or, where rows leave, too
// (LEAVES), the one in which they are set aside (aggregate-backlog.ts), which is the same in operators of one seed, or several
// of these together where there are to be fewer than 256. Groups are sorted by it once,
// 5 bytes a group for as long as the snapshot is open; pairs (of distinct counts and the like, 4 bytes more a group) are
// not: each partition goes through all of them, which costs a load for each pair and partition.

import { AggregateFlag } from "../abi/operator";
import { Accumulator, isLog, isSketch } from "../aggregate/accumulator";
import { distinctGroup } from "../aggregate/distinct";
import { sketchGroup } from "../aggregate/sketch";
import { logGroup } from "../aggregate/value-log";
import { groupPart } from "../group/group-hash";
import { groupsByMark } from "../group/order";
import { Groups, groupsIsOccupied } from "../group/state";
import { groupsHaveTexts } from "../group/groups";
import { groupsTops } from "../group/tops";
import { scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock, regionCut, regionFree } from "../memory/region";
import { State, distinctAt, pairsOf } from "./aggregate-state";
import { aggregationOf, groupsOf } from "./aggregation";

/** A group's partition is kept in a byte. */
const MAX_PARTS: u32 = 256;

// @ts-ignore: decorator
@unmanaged
export class Division {
  parts: u32;
  /** The partition at hand. */
  part: u32;
  /** Groups by partition, u32 each, and where each partition begins there (u32, one more than there are). */
  order: usize;
  starts: usize;
  /** The partition of each group, u8. */
  marks: usize;
  /** Of each section of pairs the number in each partition, u32. */
  pairs: usize;
  /** Pairs of the section and partition at hand that have left. */
  left: u32;
}

const DIVISION_SIZE: usize = 32;

/** Whether the operator's state can be divided into so many partitions. */
export function divisionTakes(operator: usize, parts: u32): bool {
  return groupsOf(aggregationOf(operator)).keyCount != 0 && parts != 0 && parts <= MAX_PARTS;
}

/** Puts the groups in order. False when out of memory, and nothing is held then. */
export function divisionCreate(context: usize, operator: usize, state: State, parts: u32): bool {
  const count: usize = groupsOf(aggregationOf(operator)).count;
  if (state.division == 0) state.division = regionCut(operator, DIVISION_SIZE);
  if (state.division == 0) return false;
  const division = changetype<Division>(state.division);
  const sections = state.sections - 2;
  division.parts = parts;
  division.part = 0;
  division.order = regionBlock(operator, max<usize>(1, count) << 2);
  division.marks = regionBlock(operator, max<usize>(1, count));
  division.starts = regionBlock(operator, (<usize>parts + 1) << 2);
  division.pairs = regionBlock(operator, max<usize>(1, <usize>sections * <usize>parts) << 2);
  if (sections != 0) state.rows = regionBlock(operator, max<usize>(1, count) << 2);
  const isShort =
    division.order == 0 || division.marks == 0 || division.starts == 0 || division.pairs == 0 ||
    (sections != 0 && state.rows == 0);
  if (isShort) {
    divisionFree(operator, state);
    return false;
  }
  sortGroups(context, operator, division);
  memory.fill(division.pairs, 0, (<usize>sections * <usize>parts) << 2);
  if (sections == 0) return true;
  rankGroups(division, state.rows);
  for (let section: u32 = 0; section < sections; section++) {
    countPairs(distinctAt(aggregationOf(operator), section), division, division.pairs + ((<usize>(section * parts)) << 2));
  }
  return true;
}

export function divisionFree(operator: usize, state: State): void {
  if (state.division == 0) return;
  const division = changetype<Division>(state.division);
  regionFree(operator, division.order);
  regionFree(operator, division.marks);
  regionFree(operator, division.starts);
  regionFree(operator, division.pairs);
  regionFree(operator, state.rows);
  division.order = 0;
  division.marks = 0;
  division.starts = 0;
  division.pairs = 0;
  state.rows = 0;
}

// @ts-ignore: decorator
@inline
function at32(table: usize, index: u32): usize {
  return table + ((<usize>index) << 2);
}

/** Marks the groups with their partitions, and lists them by these. */
function sortGroups(context: usize, operator: usize, division: Division): void {
  const groups = groupsOf(aggregationOf(operator));
  if (aggregationOf(operator).flags & <u32>AggregateFlag.LEAVES) markTops(groups, division);
  else markHashes(context, groups, division);
  groupsByMark(groups, division.marks, division.parts, division.order, division.starts);
}

function markTops(groups: Groups, division: Division): void {
  groupsTops(groups, division.marks, groupsHaveTexts(groups));
  for (let at = division.marks; at < division.marks + <usize>groups.count; at++)
    store<u8>(at, <u8>((<u32>load<u8>(at) * division.parts) >> 8));
}

function markHashes(context: usize, groups: Groups, division: Division): void {
  const mark = scratchMark(context);
  const scratch = scratchTake(context, 16);
  memory.fill(division.marks, 0, groups.count);
  for (let group: u32 = 0; group < groups.count; group++) {
    if (!groupsIsOccupied(groups, group)) continue;
    store<u8>(division.marks + <usize>group, <u8>groupPart(groups, group, division.parts, scratch));
  }
  scratchReset(context, mark);
}

/** Makes the table from group to row of its partition's section 1. */
function rankGroups(division: Division, ranks: usize): void {
  for (let part: u32 = 0; part < division.parts; part++) {
    const first = divisionStart(division, part);
    const end = divisionStart(division, part + 1);
    for (let place = first; place < end; place++) {
      store<u32>(at32(ranks, load<u32>(at32(division.order, place))), place - first);
    }
  }
}

function countPairs(accumulator: Accumulator, division: Division, counts: usize): void {
  const pairs = pairsOf(accumulator);
  for (let entry: u32 = 0; entry < pairs; entry++) {
    const count = at32(counts, divisionMark(division, pairGroup(accumulator, entry)));
    store<u32>(count, load<u32>(count) + 1);
  }
}

/** The group that an entry of an accumulator's pairs, log or cells belongs to. */
export function pairGroup(accumulator: Accumulator, entry: u32): u32 {
  if (isSketch(accumulator)) return sketchGroup(accumulator, entry);
  return isLog(accumulator) ? logGroup(accumulator, entry) : distinctGroup(accumulator, entry);
}

// @ts-ignore: decorator
@inline
export function divisionMark(division: Division, group: u32): u32 {
  return load<u8>(division.marks + <usize>group);
}

// @ts-ignore: decorator
@inline
export function divisionStart(division: Division, part: u32): u32 {
  return load<u32>(at32(division.starts, part));
}

/** Groups of the partition at hand. */
export function divisionGroups(division: Division): u32 {
  return divisionStart(division, division.part + 1) - divisionStart(division, division.part);
}

/** Pairs of the i-th section of pairs in the partition at hand. */
export function divisionPairs(division: Division, section: u32): u32 {
  return load<u32>(at32(division.pairs, section * division.parts + division.part));
}

/** Goes on to the next partition that has groups, from the one at hand; false when there is none. */
export function divisionNext(division: Division): bool {
  while (division.part < division.parts && divisionGroups(division) == 0) division.part++;
  return division.part < division.parts;
}
