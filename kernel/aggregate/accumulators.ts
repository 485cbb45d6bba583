// The verbs of every accumulator behind one switch on its family, taken once a vector.

import { Type } from "../abi/layout";
import { Vector } from "../column/vector";
import { programOutput, programOutputTextBytes } from "../expression/program";
import { scratchMark, scratchReset, scratchTake } from "../memory/context";
import { Accumulator, Family, accumulatorReserve, isArg, isExtreme, isMultiset } from "./accumulator";
import { argReserve, argUpdate } from "./arg-extreme";
import { bitsReserve, bitsUpdate } from "./bits";
import { logInit, logReserve, logUpdate } from "./value-log";
import { MASK_BYTES, VALUES_BYTES, keptValues, rowsMask } from "./argument";
import { countReserve, countUpdate, countUpdateOne, seenUpdate, seenUpdateOne } from "./count";
import { distinctInit, distinctReserve, distinctUpdate } from "./distinct";
import { momentsIntegers, momentsUpdate } from "./moments";
import { MOMENTS_BYTES, momentsFastUpdate } from "./moments-fast";
import { extremePairTakes, extremePairUpdate } from "./extreme-pair";
import { minmaxReserve, minmaxType, minmaxUpdate } from "./minmax";
import { multisetInit, multisetReserve, multisetUpdate } from "./multiset";
import { textInit, textReserve, textUpdate } from "./minmax-text";
import { sketchInit, sketchReserve, sketchUpdate } from "./sketch";
import { sumExactInit, sumExactInitInteger, sumExactReserve, sumExactUpdate } from "./sum-exact";
import { sumFastReserve, sumFastUpdate } from "./sum-fast";
import {
  sumIntegerInit,
  sumIntegerKeep,
  sumIntegerLargest,
  sumIntegerReserve,
  sumIntegerUpdate,
} from "./sum-integer";
import { ADDEND_SIZE, Addend, sumPairAdd, sumPairAddCounted } from "./sum-pair";
import { topInit, topReserve, topUpdate } from "./top";
import { topByInit, topByReserve, topByUpdate } from "./top-by";
import { textLogInit, textLogReserve, textLogUpdate } from "./text-log";
import { topTextInit, topTextUpdate } from "./top-text";
import { typeWidth } from "../column/type";

/**
 * Finishes an accumulator whose family, argument, filter, type, region, fault and like are set. False when out
 * of memory.
 */
export function accumulatorInit(self: Accumulator): bool {
  switch (self.family) {
    case Family.SEEN:
      self.stride = 1;
      self.tracking = self.filter >= 0 ? 1 : 0;
      return true;
    case Family.COUNT:
      self.stride = 8;
      self.tracking = self.argument < 0 || self.filter >= 0 ? 1 : 0;
      return true;
    case Family.SUM_INTEGER:
      sumIntegerInit(self);
      return true;
    case Family.SUM_EXACT:
      if (self.type == <u32>Type.I128) {
        sumExactInitInteger(self);
        return true;
      }
      return sumExactInit(self);
    case Family.MOMENTS_FAST:
      self.stride = MOMENTS_BYTES;
      return true;
    case Family.MIN:
    case Family.MAX:
      self.stride = <u32>typeWidth(minmaxType(self.type));
      return true;
    case Family.MIN_TEXT:
    case Family.MAX_TEXT:
    case Family.ARG_MIN:
    case Family.ARG_MAX:
      self.stride = 8;
      return textInit(self);
    case Family.CARDINALITY:
    case Family.SKETCH:
      return sketchInit(self);
    case Family.DISTINCT:
      self.stride = 8;
      return distinctInit(self);
    case Family.LOG:
      logInit(self);
      return true;
    case Family.MULTISET:
    case Family.MULTISET_MIN:
    case Family.MULTISET_MAX:
    case Family.MULTISET_ALL:
      return multisetInit(self);
    case Family.LOG_TEXT:
      return textLogInit(self);
    case Family.TOP:
    case Family.BOTTOM:
      return topInit(self);
    case Family.TOP_TEXT:
    case Family.BOTTOM_TEXT:
      return topTextInit(self);
    case Family.TOP_BY:
    case Family.BOTTOM_BY:
      return topByInit(self);
    default:
      self.stride = 8;
      return true;
  }
}

/** Room for `groups` groups. False when out of memory, with nothing lost. */
export function accumulatorReserveGroups(self: Accumulator, groups: u32): bool {
  switch (self.family) {
    case Family.COUNT:
    case Family.SEEN:
      if (self.pair != 0) return sumIntegerReserve(self, groups);
      return self.tracking == 0 || countReserve(self, groups);
    case Family.SUM_INTEGER:
      return sumIntegerReserve(self, groups);
    case Family.SUM_EXACT:
      return sumExactReserve(self, groups, 0);
    case Family.MIN:
    case Family.MAX:
      return minmaxReserve(self, groups);
    case Family.SUM_FAST:
      return sumFastReserve(self, groups);
    case Family.LOG:
    case Family.LOG_TEXT:
      return true;
    case Family.BIT_AND:
    case Family.BIT_OR:
    case Family.BIT_XOR:
      return bitsReserve(self, groups);
    case Family.TOP:
    case Family.BOTTOM:
      return topReserve(self, groups);
    case Family.TOP_BY:
    case Family.BOTTOM_BY:
      return topByReserve(self, groups, 0);
    default:
      return accumulatorReserve(self, groups, 0);
  }
}

/**
 * Room for what a batch of `rows` rows with `textBytes` of texts in the argument can bring to `groups`
 * groups.
 */
export function accumulatorReserveRows(self: Accumulator, groups: u32, rows: u32, textBytes: usize): bool {
  switch (self.family) {
    case Family.SUM_EXACT:
      return sumExactReserve(self, groups, rows);
    case Family.MIN_TEXT:
    case Family.MAX_TEXT:
    case Family.TOP_TEXT:
    case Family.BOTTOM_TEXT:
      return textReserve(self, groups, textBytes);
    case Family.TOP_BY:
    case Family.BOTTOM_BY:
      return topByReserve(self, groups, textBytes);
    case Family.DISTINCT:
      return distinctReserve(self, groups, rows, textBytes);
    case Family.LOG:
      return logReserve(self, rows);
    case Family.ARG_MIN:
    case Family.ARG_MAX:
      return argReserve(self, groups, rows, textBytes);
    case Family.CARDINALITY:
    case Family.SKETCH:
      return sketchReserve(self, groups, rows);
    case Family.MULTISET:
    case Family.MULTISET_MIN:
    case Family.MULTISET_MAX:
    case Family.MULTISET_ALL:
      return multisetReserve(self, groups, rows, textBytes);
    case Family.LOG_TEXT:
      return textLogReserve(self, rows, textBytes);
    default:
      return accumulatorReserveGroups(self, groups);
  }
}

/** Upper bound for the bytes of texts that the bound batch can bring. */
export function accumulatorTextBytes(self: Accumulator, program: usize): usize {
  if (isArg(self)) {
    let bytes: usize = 0;
    if (self.type == <u32>Type.BYTES) bytes += programOutputTextBytes(program, <u32>self.argument);
    if (self.secondType == <u32>Type.BYTES) bytes += programOutputTextBytes(program, <u32>self.second);
    return bytes;
  }
  const keepsText =
    self.family == <u32>Family.MIN_TEXT ||
    self.family == <u32>Family.MAX_TEXT ||
    self.family == <u32>Family.LOG_TEXT ||
    self.family == <u32>Family.TOP_TEXT ||
    self.family == <u32>Family.BOTTOM_TEXT ||
    ((self.family == <u32>Family.TOP_BY || self.family == <u32>Family.BOTTOM_BY) &&
      self.type == <u32>Type.BYTES) ||
    self.family == <u32>Family.DISTINCT ||
    isMultiset(self.family);
  return keepsText ? programOutputTextBytes(program, <u32>self.argument) : 0;
}

/**
 * Whether the vector at hand is the first to tell the argument's values from rows, so that tracking has to
 * begin before its rows are counted.
 */
export function accumulatorMustTrack(self: Accumulator, program: usize): bool {
  if (self.tracking || (self.family != <u32>Family.COUNT && self.family != <u32>Family.SEEN)) return false;
  return (
    changetype<Vector>(programOutput(program, <u32>self.argument)).validity != 0 ||
    (self.second >= 0 && changetype<Vector>(programOutput(program, <u32>self.second)).validity != 0)
  );
}

/**
 * Folds the program's outputs for `rows` rows in, or, where `only` is not 0, for those whose bit in it is set; `one`
 * says that every row belongs to the first one's group. False when out of memory.
 */
export function accumulatorUpdate(
  self: Accumulator,
  context: usize,
  program: usize,
  numbers: usize,
  rows: u32,
  one: bool,
  only: usize = 0,
): bool {
  const isCount = self.family == <u32>Family.COUNT || self.family == <u32>Family.SEEN;
  if (isCount && self.tracking == 0) return true;
  if (self.pair != 0 && !isExtreme(self))
    return !self.follows || updatePair(self, context, program, numbers, rows, one);
  if (ASC_FEATURE_SIMD) {
    if (self.pair != 0 && !one && only == 0 && extremePairTakes(self)) {
      if (self.follows) extremePairUpdate(self, context, program, numbers, 0, rows);
      return true;
    }
  }
  const mark = scratchMark(context);
  const argument: usize = self.argument < 0 ? 0 : programOutput(program, <u32>self.argument);
  const second: usize = self.second < 0 ? 0 : programOutput(program, <u32>self.second);
  const mask = rowsMask(self, program, rows, only, scratchTake(context, MASK_BYTES));
  let ok = true;
  if (isCount && one) {
    if (self.family == <u32>Family.COUNT) countUpdateOne(self, load<u32>(numbers), mask, rows);
    else seenUpdateOne(self, load<u32>(numbers), mask, rows);
  } else if (self.family == <u32>Family.COUNT) countUpdate(self, numbers, mask, rows);
  else if (self.family == <u32>Family.SEEN) seenUpdate(self, numbers, mask, rows);
  else if (self.family == <u32>Family.TOP_BY || self.family == <u32>Family.BOTTOM_BY)
    ok = updateBy(self, changetype<Vector>(argument), second, mask, numbers, rows);
  else if (self.power != 0)
    ok = updateMoments(
      self,
      changetype<Vector>(argument),
      second,
      mask,
      numbers,
      rows,
      one,
      scratchTake(context, VALUES_BYTES),
    );
  else
    ok = updateValues(
      self,
      changetype<Vector>(argument),
      changetype<Vector>(second),
      mask,
      numbers,
      rows,
      one,
      scratchTake(context, VALUES_BYTES * 3),
    );
  scratchReset(context, mark);
  return ok;
}

/** Adds for both of a pair, of which `self` is the second. */
function updatePair(
  self: Accumulator,
  context: usize,
  program: usize,
  numbers: usize,
  rows: u32,
  one: bool,
): bool {
  const mark = scratchMark(context);
  const first = changetype<Accumulator>(self.pair);
  let ok: bool;
  if (self.family == <u32>Family.COUNT) {
    ok = sumPairAddCounted(first, self, integersOf(first, context, program, rows), numbers, rows, one);
  } else if (first.family == <u32>Family.COUNT) {
    ok = sumPairAddCounted(self, first, integersOf(self, context, program, rows), numbers, rows, one);
  } else {
    const left = integersOf(first, context, program, rows);
    const right = integersOf(self, context, program, rows);
    ok = sumPairAdd(first, self, left, right, numbers, rows, one);
  }
  scratchReset(context, mark);
  return ok;
}

/** What an accumulator of a pair adds for a vector, in scratch where it is not the argument itself. */
function integersOf(self: Accumulator, context: usize, program: usize, rows: u32): Addend {
  const addend = changetype<Addend>(scratchTake(context, ADDEND_SIZE));
  const mask = rowsMask(self, program, rows, 0, scratchTake(context, MASK_BYTES));
  addend.magnitude = 0;
  if (self.power != 0) {
    const x = changetype<Vector>(programOutput(program, <u32>self.argument)).values;
    const y = self.second < 0 ? x : changetype<Vector>(programOutput(program, <u32>self.second)).values;
    const products = scratchTake(context, VALUES_BYTES);
    addend.magnitude = momentsIntegers(self, x, y, rows, products);
    addend.values = sumIntegerKeep(self, products, mask, rows, products);
  } else addend.values = keptValues(context, program, <u32>self.argument, mask, rows);
  if (addend.magnitude == 0) addend.magnitude = sumIntegerLargest(self.type, addend.values, rows);
  return addend;
}

/** Folds a vector in whose rows all count. False when out of memory. */
export function accumulatorFold(self: Accumulator, context: usize, vector: Vector, numbers: usize, rows: u32): bool {
  const mark = scratchMark(context);
  const buffer = scratchTake(context, VALUES_BYTES * 3);
  let ok = true;
  if (self.family == <u32>Family.COUNT) countUpdate(self, numbers, 0, rows);
  else if (self.power != 0) ok = updateMoments(self, vector, 0, 0, numbers, rows, false, buffer);
  else ok = updateValues(self, vector, vector, 0, numbers, rows, false, buffer);
  scratchReset(context, mark);
  return ok;
}

/** Powers and products; `buffer` is VALUES_BYTES, `second` 0 where there is one argument. */
function updateMoments(
  self: Accumulator,
  vector: Vector,
  second: usize,
  mask: usize,
  numbers: usize,
  rows: u32,
  one: bool,
  buffer: usize,
): bool {
  const x = vector.values;
  const y = second == 0 ? x : changetype<Vector>(second).values;
  if (self.family != <u32>Family.MOMENTS_FAST)
    return momentsUpdate(self, numbers, x, y, mask, rows, one, buffer);
  momentsFastUpdate(self, numbers, x, y, mask, rows);
  return true;
}

function updateBy(
  self: Accumulator,
  vector: Vector,
  second: usize,
  mask: usize,
  numbers: usize,
  rows: u32,
): bool {
  const values: usize = self.type == <u32>Type.BYTES ? 0 : vector.values;
  return topByUpdate(self, numbers, vector, values, changetype<Vector>(second).values, mask, rows);
}

/** Everything else; `buffer` is 3 x VALUES_BYTES. */
function updateValues(
  self: Accumulator,
  vector: Vector,
  second: Vector,
  mask: usize,
  numbers: usize,
  rows: u32,
  one: bool,
  buffer: usize,
): bool {
  if (isMultiset(self.family)) return multisetUpdate(self, numbers, vector, mask, rows, 1, 0, buffer);
  switch (self.family) {
    case Family.DISTINCT:
      return distinctUpdate(self, numbers, vector, mask, rows);
    case Family.MIN_TEXT:
    case Family.MAX_TEXT:
      return textUpdate(self, numbers, vector, mask, rows);
    case Family.ARG_MIN:
    case Family.ARG_MAX:
      return argUpdate(self, numbers, vector, second, mask, rows, buffer);
    case Family.CARDINALITY:
    case Family.SKETCH:
      return sketchUpdate(self, numbers, vector, mask, rows, buffer);
    case Family.TOP_TEXT:
    case Family.BOTTOM_TEXT:
      return topTextUpdate(self, numbers, vector, mask, rows);
    case Family.LOG_TEXT:
      return textLogUpdate(self, numbers, vector, mask, rows);
    default:
  }
  const values = vector.values;
  switch (self.family) {
    case Family.SUM_INTEGER:
      return sumIntegerUpdate(self, numbers, values, mask, rows, one, buffer);
    case Family.SUM_EXACT:
      return sumExactUpdate(self, numbers, values, mask, rows, one);
    case Family.SUM_FAST:
      sumFastUpdate(self, numbers, values, mask, rows, one);
      return true;
    case Family.LOG:
      logUpdate(self, numbers, values, mask, rows);
      return true;
    case Family.BIT_AND:
    case Family.BIT_OR:
    case Family.BIT_XOR:
      bitsUpdate(self, numbers, values, mask, rows);
      return true;
    case Family.TOP:
    case Family.BOTTOM:
      topUpdate(self, numbers, values, mask, rows, buffer);
      return true;
    default:
      minmaxUpdate(self, numbers, values, mask, rows, one, buffer);
      return true;
  }
}
