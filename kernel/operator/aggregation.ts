// What a hash aggregation holds: shared by the files that create, feed, read, save and restore it.
//
// It lies behind a head with a region and counts (operator.ts). The operator HASH_AGGREGATE is one of these; a
// windowed aggregation holds many, one a slice, none of which has a handle: they are made like a first one,
// which lends them its program, its output and what it needs for one vector.

import { AggregateFlag } from "../abi/operator";
import { Accumulator, ACCUMULATOR_SIZE } from "../aggregate/accumulator";
import { RESULT_SIZE, Result } from "../aggregate/results";
import { Groups } from "../group/state";
import { OPERATOR_BODY, Operator } from "./operator";

// @ts-ignore: decorator
@unmanaged
export class Aggregation {
  program: usize;
  groups: usize;
  accumulators: usize;
  accumulatorCount: u32;
  /** Accumulators that sets feed when results are read: see aggregate/from-set.ts. */
  fed: usize;
  fedCount: u32;
  /** The set among `accumulators` that what is being created reads; 0: rows. */
  set: usize;
  results: usize;
  resultCount: u32;
  /** The accumulator that counts the rows of each group, 0 when nothing needs it. */
  rowsCounter: usize;
  /** Builders of results. */
  output: usize;
  /** Group numbers of one vector, u32 each. */
  numbers: usize;
  /** Groups that every accumulator has room for. */
  reserved: u32;
  /** `AggregateFlag`, `AggregateFault`. */
  flags: u32;
  fault: u32;
  /** Seed of the tables' hashes. */
  seed: u32;
  configHash: u64;
  /** Pull: the next group number to look at, and the list of those that make up a batch. */
  cursor: u32;
  list: usize;
  /** Changelog: see aggregate-changelog.ts. */
  changelog: usize;
  /** Rows set aside (aggregate-backlog.ts), 0 until that begins; 1 once it was refused or has begun. */
  backlog: usize;
  backlogRefused: u32;
  /** The same by ranges of groups (aggregate-ranges.ts). */
  ranges: usize;
  rangesRefused: u32;
  /** Snapshot and merge: see aggregate-state.ts. */
  state: usize;
  /** Columns of the output before the keys. */
  firstColumn: u32;
  /** The aggregation that lends its buffers; 0 = none. */
  like: usize;
  /** How far another operator's groups have come in: see aggregate-combine.ts. 0 until the first do. */
  combination: usize;
  /** Its groups by partition: see aggregate-divide.ts. 0 until they are divided; then it takes nothing any more. */
  division: usize;
  /** The handle of the aggregation whose results it gives: see aggregate-share.ts. 0: its own. */
  owner: u32;
  /** Sums of different kinds side by side: see mixed-sums.ts; 0 where there are none. */
  mixedSums: usize;
  /** Sums of small integers side by side: see narrow-sums.ts; 0 where there are none. */
  narrowSums: usize;
  /** One integer sum by one key or two: see keyed-sums.ts. */
  keyedSum: usize;
  /** Keys, bit by bit, that are texts and leave the batch of results at hand as codes: see aggregate-codes.ts. */
  coded: u32;
}

/** Bytes behind the head that an aggregation takes. */
export const AGGREGATION_SIZE: usize = 200;

// @ts-ignore: decorator
@inline
export function aggregationOf(operator: usize): Aggregation {
  return changetype<Aggregation>(operator + OPERATOR_BODY);
}

// @ts-ignore: decorator
@inline
export function groupsOf(self: Aggregation): Groups {
  return changetype<Groups>(self.groups);
}

// @ts-ignore: decorator
@inline
export function accumulatorAt(self: Aggregation, index: u32): Accumulator {
  return changetype<Accumulator>(self.accumulators + <usize>index * ACCUMULATOR_SIZE);
}

// @ts-ignore: decorator
@inline
export function fedAt(self: Aggregation, index: u32): Accumulator {
  return changetype<Accumulator>(self.fed + <usize>index * ACCUMULATOR_SIZE);
}

// @ts-ignore: decorator
@inline
export function resultAt(self: Aggregation, index: u32): Result {
  return changetype<Result>(self.results + <usize>index * RESULT_SIZE);
}

/**
 * Whether a listed group has rows: all have, but the one group of an ungrouped aggregation may not, because none came
 * or because all were taken back.
 */
export function groupsHaveRows(operator: usize): bool {
  const self = aggregationOf(operator);
  if (groupsOf(self).keyCount != 0) return true;
  if (changetype<Operator>(operator).rowsSelected == 0) return false;
  if ((self.flags & <u32>AggregateFlag.RETRACT) == 0) return true;
  const counts = changetype<Accumulator>(self.rowsCounter).values;
  return counts != 0 && load<i64>(counts) != 0;
}
