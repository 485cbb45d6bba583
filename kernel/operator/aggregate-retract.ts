// RETRACT: an aggregation over a changelog, whose -U and -D rows take earlier rows back.
//
// Nothing is ordered: a state is what came less what was taken back, and may hold less than nothing on the way (in a
// part of the rows, before a merge). Only results must make sense: a group without rows has none, and one that owes
// rows, or a value of which more was taken back than came, is an error where it is met.

import { Type } from "../abi/layout";
import { AggregateEntryFlag, AggregateFlag, AggregateFunction } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { Accumulator, Family, isMultiset } from "../aggregate/accumulator";
import { MASK_BYTES } from "../aggregate/argument";
import { isMoment, isPairMoment } from "../aggregate/moments-result";
import { multisetOwes } from "../aggregate/multiset";
import { countOf } from "../aggregate/results";
import { vectorIsValid } from "../column/builder";
import { Vector } from "../column/vector";
import { programOutput, programOutputType, programOutputs } from "../expression/program";
import { fail, failValue } from "../memory/context";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";

/** The bits of FLAGS above the flags: the program's output that is the row kind. */
const KIND_SHIFT: u32 = 16;

// @ts-ignore: decorator
@inline
export function isRetracting(self: Aggregation): bool {
  return (self.flags & <u32>AggregateFlag.RETRACT) != 0;
}

/** Whether flags say what they may, for a program: the row kind is one of its outputs, an I8. */
export function retractFlagsAreSound(self: Aggregation): bool {
  const output = self.flags >> KIND_SHIFT;
  if (!isRetracting(self)) return output == 0;
  return output < programOutputs(self.program) && programOutputType(self.program, output) == <u32>Type.I8;
}

/** Whether a function can take rows back; `second` says that it has another argument. */
export function retractTakes(fn: u32, flags: u32, second: bool): bool {
  if ((flags & <u32>AggregateEntryFlag.FAST) != 0) return false;
  return fn <= <u32>AggregateFunction.MAX || isMoment(fn) || (readsAll(fn) && !second);
}

/** Whether a function reads every value of a group, or a state that does not know what it would be without one. */
export function readsAll(fn: u32): bool {
  return (
    (fn >= <u32>AggregateFunction.QUANTILE && fn <= <u32>AggregateFunction.BIT_XOR) ||
    (fn >= <u32>AggregateFunction.TOP && fn <= <u32>AggregateFunction.STRING)
  );
}

/** Whether DISTINCT means something to a function of one argument. */
export function takesDistinct(fn: u32): bool {
  if (fn == <u32>AggregateFunction.SUM || fn == <u32>AggregateFunction.AVG) return true;
  return readsAll(fn) || (isMoment(fn) && !isPairMoment(fn));
}

/** The family that keeps what `family` needs to take rows back. */
export function retractFamily(family: u32): u32 {
  switch (family) {
    case Family.SEEN:
      return Family.COUNT;
    case Family.DISTINCT:
      return Family.MULTISET;
    case Family.MIN:
    case Family.MIN_TEXT:
      return Family.MULTISET_MIN;
    case Family.MAX:
    case Family.MAX_TEXT:
      return Family.MULTISET_MAX;
    default:
      return family;
  }
}

/**
 * Writes the rows of the vector at hand that come, and those that are taken back, as two masks at `plus`. How many
 * are taken back, or an error.
 */
export function retractSplit(context: usize, self: Aggregation, rows: u32, plus: usize): i32 {
  const kinds = changetype<Vector>(programOutput(self.program, self.flags >> KIND_SHIFT));
  memory.fill(plus, 0, MASK_BYTES * 2);
  let taken: i32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const kind = load<u8>(kinds.values + <usize>row);
    const valid = vectorIsValid(kinds, row);
    if (kind > 3 || !valid) {
      if (valid) failValue(context, Type.I8, kind, 0);
      return fail(context, Status.BAD_ARGUMENT, Reason.ROW_KIND);
    }
    // -U and -D are odd.
    const minus = kind & 1;
    const byte = plus + <usize>(row >> 3) + (minus ? MASK_BYTES : 0);
    store<u8>(byte, load<u8>(byte) | ((<u8>1) << (<u8>(row & 7))));
    taken += minus;
  }
  return taken;
}

/** Whether a group has a result: as long as it has rows, or is the one group of an ungrouped aggregation. */
// @ts-ignore: decorator
@inline
export function groupIsThere(self: Aggregation, group: u32): bool {
  if (!isRetracting(self) || groupsOf(self).keyCount == 0) return true;
  return load<i64>(changetype<Accumulator>(self.rowsCounter).values + ((<usize>group) << 3)) != 0;
}

/** 0, or an error when more of a group was taken back than came. */
export function retractCheck(context: usize, operator: usize, group: u32): i32 {
  const self = aggregationOf(operator);
  if (!isRetracting(self)) return 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    let count: i64 = 0;
    if (accumulator.family == <u32>Family.COUNT) count = countOf(accumulator, self.rowsCounter, group);
    else if (isMultiset(accumulator.family) && multisetOwes(accumulator, group)) count = -1;
    if (count >= 0) continue;
    failValue(context, Type.I64, count, 0);
    return fail(context, Status.BAD_ARGUMENT, Reason.RETRACTED_ABSENT);
  }
  return 0;
}
