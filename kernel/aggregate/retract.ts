// Taking rows back: what an accumulator does with the rows of a changelog that are -U or -D.
//
// Counts and exact sums are exact, so that taking a row back leaves them as if it had never come, whatever the order;
// extremes and distinct counts keep multiplicities (multiset.ts). Families whose state forgets what it would need
// (plain float sums, seen, min and max of a value each) are not made where rows may be taken back.

import { Vector } from "../column/vector";
import { programOutput } from "../expression/program";
import { scratchMark, scratchReset, scratchTake } from "../memory/context";
import { Accumulator, Family, isMultiset } from "./accumulator";
import { MASK_BYTES, VALUES_BYTES, maskBit, rowsMask } from "./argument";
import { momentsUpdate } from "./moments";
import { multisetUpdate } from "./multiset";
import { sumExactRetract } from "./sum-exact";
import { sumIntegerRetract } from "./sum-integer";

/** Takes the rows of a vector back whose bit in `minus` is set. False when out of memory. */
export function accumulatorRetract(
  self: Accumulator,
  context: usize,
  program: usize,
  numbers: usize,
  rows: u32,
  minus: usize,
): bool {
  if (self.family == <u32>Family.COUNT && self.tracking == 0) return true;
  const mark = scratchMark(context);
  const argument: usize = self.argument < 0 ? 0 : programOutput(program, <u32>self.argument);
  const second: usize = self.second < 0 ? 0 : programOutput(program, <u32>self.second);
  const mask = rowsMask(self, program, rows, minus, scratchTake(context, MASK_BYTES));
  const done = retract(self, context, changetype<Vector>(argument), changetype<Vector>(second), numbers, mask, rows);
  scratchReset(context, mark);
  return done;
}

function retract(
  self: Accumulator,
  context: usize,
  vector: Vector,
  second: Vector,
  numbers: usize,
  mask: usize,
  rows: u32,
): bool {
  if (self.family == <u32>Family.COUNT) {
    for (let row: u32 = 0; row < rows; row++) {
      const at = self.values + <usize>load<u32>(numbers + ((<usize>row) << 2)) * <usize>self.stride;
      store<i64>(at, load<i64>(at) - <i64>maskBit(mask, row));
    }
    return true;
  }
  const buffer = scratchTake(context, VALUES_BYTES * 3);
  if (isMultiset(self.family))
    return multisetUpdate(self, numbers, vector, mask, rows, -1, 0, buffer);
  const x = vector.values;
  if (self.power != 0) {
    const y = changetype<usize>(second) == 0 ? x : second.values;
    return momentsUpdate(self, numbers, x, y, mask, rows, false, buffer, true);
  }
  return self.family == <u32>Family.SUM_INTEGER
    ? sumIntegerRetract(self, numbers, x, mask, rows)
    : sumExactRetract(self, numbers, x, mask, rows);
}
