// State of a hash aggregation: sections of record batches that any operator of the same configuration
// merges. Merging into an empty operator restores; merging the states of any split of the rows, in any
// order, gives the results of the whole bit for bit.
//
//   section 0, one row: u32 ABI version, u32 operator kind, u64 configuration hash, u64 rows in, u64 rows
//     selected, u64 batches in, u64 groups, u32 flags (1 = all results so far were emitted as a changelog),
//     and for each DISTINCT, MULTISET, LOG or sketch accumulator u64 pairs or cells
//   section 1, one row a group (left out where it would have no columns): the keys, then for each
//     accumulator but these
//     COUNT i64 | SEEN bool | SUM_INTEGER i128 (of decimals: and i64, the 64 bits above it) | SUM_FAST f64
//     SUM_EXACT bytes: see exact-limbs.ts | MOMENTS_FAST bytes: see moments-fast.ts | MIN, MAX the value, null when there is none
//     BIT_AND, BIT_OR, BIT_XOR the value | ARG_MIN, ARG_MAX bytes: see arg-extreme.ts, null when there is none
//     TOP, BOTTOM bytes: the result's list, empty when there is none | TOP_BY, BOTTOM_BY bytes: see top-by.ts
//   section 2 + i, one row a pair of the i-th DISTINCT, MULTISET or LOG accumulator: u32 row of section 1, the value, of
//     MULTISET also i64 multiplicity;
//     or a cell of a sketch: u32 row of section 1, u32 number, i128 counters: see sketch.ts
//
// Where rows may be taken back (RETRACT) counts, multiplicities and numbers of NaNs and infinities may be below 0: the
// state that makes up for it may come from elsewhere.
//
// Accumulators are in the order in which the aggregates first need them: values, then counts. A state is
// checked batch by batch before anything of the batch is applied. Between the header and the last row of
// the last section the merge is open: the operator takes nothing else, and a release makes it failed.

import { Abi, Type } from "../abi/layout";
import { Accumulator, Family, isArg, isLog, isMultiset, isPairs, isSketch } from "../aggregate/accumulator";
import { distinctPairs } from "../aggregate/distinct";
import { SKETCH_COUNTERS, sketchCells } from "../aggregate/sketch";
import { logCount } from "../aggregate/value-log";
import { groupsKey } from "../group/state";
import { scratchTake } from "../memory/context";
import { regionCut } from "../memory/region";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { OPERATOR_BODY } from "./operator";

export const STATE_ROWS: u32 = Abi.MORSEL_ROWS;
export const HEADER_COLUMNS: u32 = 8;
/** Flag of the header. */
export const EMITTED: u32 = 1;

// @ts-ignore: decorator
@unmanaged
export class State {
  /** Addresses (u32) of each section's output and load program, 0 until first needed. */
  outputs: usize;
  programs: usize;
  sections: u32;
  /** Snapshot: the section and row (group, pair) that come next. */
  section: u32;
  cursor: u32;
  /** Snapshot: row of section 1 of each group. Merge: group of each row. u32 each. */
  rows: usize;
  rowCount: u32;
  /** Merge: whether one is open; rows (u64) that each section still has to bring. */
  open: u32;
  left: usize;
  flags: u32;
  /** Merge: whether the operator had no rows before. */
  fresh: u32;
  rowsSelected: u64;
  /** A divided snapshot: see aggregate-division.ts. */
  division: usize;
}

export const STATE_SIZE: usize = 64;

/** The operator's State, made when first needed; 0 when out of memory. */
export function stateOf(operator: usize): usize {
  const self = aggregationOf(operator);
  if (self.state != 0) return self.state;
  const sections = 2 + distinctCount(self);
  const state = regionCut(operator, STATE_SIZE);
  const arrays = regionCut(operator, <usize>sections * 16);
  if (state == 0 || arrays == 0) return 0;
  changetype<State>(state).sections = sections;
  changetype<State>(state).left = arrays;
  changetype<State>(state).outputs = arrays + ((<usize>sections) << 3);
  changetype<State>(state).programs = arrays + <usize>sections * 12;
  self.state = state;
  return state;
}

/**
 * The operator whose `State` has the builders and load programs of an aggregation's sections: of a window's partials,
 * which are many and take their turns, the one that they are like.
 */
// @ts-ignore: decorator
@inline
export function stateLender(operator: usize): usize {
  const like = aggregationOf(operator).like;
  return like == 0 ? operator : like - OPERATOR_BODY;
}

export function distinctCount(self: Aggregation): u32 {
  let count: u32 = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    if (isPairs(accumulatorAt(self, index))) count++;
  }
  return count;
}

export function distinctAt(self: Aggregation, number: u32): Accumulator {
  let index: u32 = 0;
  for (; ; index++) {
    if (!isPairs(accumulatorAt(self, index))) continue;
    if (number == 0) break;
    number--;
  }
  return accumulatorAt(self, index);
}

/** Rows of an accumulator's section of pairs. */
export function pairsOf(accumulator: Accumulator): u32 {
  if (isSketch(accumulator)) return sketchCells(accumulator);
  return isLog(accumulator) ? logCount(accumulator) : distinctPairs(accumulator);
}

// ---- the shape of a section

/** Writes the column types of a section to `types` (u32 each, none when 0) and answers how many there are. */
export function sectionTypes(self: Aggregation, section: u32, types: usize): u32 {
  if (section == 0) return headerTypes(self, types);
  if (section > 1) {
    const pairs = distinctAt(self, section - 2);
    put(types, 0, Type.U32);
    if (!isSketch(pairs)) {
      put(types, 1, pairs.type);
      return isMultiset(pairs.family) ? put(types, 2, Type.I64) : 2;
    }
    put(types, 1, Type.U32);
    return put(types, 2, SKETCH_COUNTERS);
  }
  const groups = groupsOf(self);
  let count: u32 = 0;
  for (; count < groups.keyCount; count++) put(types, count, groupsKey(groups, count).type);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (isPairs(accumulator)) continue;
    count = put(types, count, stateType(accumulator));
    if (isTwoColumns(accumulator)) count = put(types, count, Type.I64);
  }
  return count;
}

function headerTypes(self: Aggregation, types: usize): u32 {
  put(types, 0, Type.U32);
  put(types, 1, Type.U32);
  for (let column: u32 = 2; column < 7; column++) put(types, column, Type.U64);
  let count = put(types, 7, Type.U32);
  for (let left = distinctCount(self); left > 0; left--) count = put(types, count, Type.U64);
  return count;
}

function put(types: usize, index: u32, type: u32): u32 {
  if (types != 0) store<u32>(types + ((<usize>index) << 2), type);
  return index + 1;
}

function stateType(accumulator: Accumulator): u32 {
  if (isArg(accumulator)) return Type.BYTES;
  switch (accumulator.family) {
    case Family.COUNT:
      return Type.I64;
    case Family.SEEN:
      return Type.BOOL;
    case Family.SUM_INTEGER:
      return Type.I128;
    case Family.SUM_EXACT:
    case Family.MOMENTS_FAST:
    case Family.TOP:
    case Family.BOTTOM:
    case Family.TOP_TEXT:
    case Family.BOTTOM_TEXT:
    case Family.TOP_BY:
    case Family.BOTTOM_BY:
      return Type.BYTES;
    case Family.SUM_FAST:
      return Type.F64;
    default:
      return accumulator.type;
  }
}

// @ts-ignore: decorator
@inline
export function isTwoColumns(accumulator: Accumulator): bool {
  return accumulator.family == <u32>Family.SUM_INTEGER && accumulator.type == <u32>Type.I128;
}

/** Types of a section in scratch. */
export function scratchTypes(context: usize, self: Aggregation, section: u32): usize {
  const types = scratchTake(context, (<usize>sectionTypes(self, section, 0)) << 2);
  sectionTypes(self, section, types);
  return types;
}
