// Sums of integers that take the argument of every row as it is: what loops that add several things at once, or go by
// keys instead of group numbers, can add by themselves (operator/mixed-sums.ts, operator/keyed-sums.ts).

import { Type } from "../abi/layout";
import { Vector } from "../column/vector";
import { programOutput } from "../expression/program";
import { Accumulator, Family, isWhole } from "./accumulator";
import { sumIntegerLargest, sumIntegerMakeRoom } from "./sum-integer";

export function isWholeIntegerSum(self: Accumulator): bool {
  return self.family == <u32>Family.SUM_INTEGER && (self.type == <u32>Type.I32 || self.type == <u32>Type.I64) && isWhole(self);
}

/**
 * The values of such a sum's argument in the vector at hand, for which the sum has room then; 0 where one is null, or the sum is
 * wide, or might have to become so.
 */
export function wholeIntegers(self: Accumulator, program: usize, rows: u32): usize {
  const vector = changetype<Vector>(programOutput(program, <u32>self.argument));
  if (vector.validity != 0 || self.wide != 0) return 0;
  return sumIntegerMakeRoom(self, sumIntegerLargest(self.type, vector.values, rows), rows) ? vector.values : 0;
}
