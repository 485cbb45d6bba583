// Sums of integers that take the argument of every row as it is: what loops that add several things at once, or go by
// keys instead of group numbers, can add by themselves (operator/mixed-sums.ts, operator/keyed-sums.ts).

import { Type } from "../abi/layout";
import { Vector } from "../column/vector";
import { programOutput } from "../expression/program";
import { Accumulator, Family } from "./accumulator";
import { sumIntegerLargest, sumIntegerMakeRoom } from "./sum-integer";

/** Whether every row's argument goes into a sum as it is: no filter, no second argument, no power. */
// @ts-ignore: decorator
@inline
export function isWhole(self: Accumulator): bool {
  return self.power == 0 && self.filter < 0 && self.second < 0;
}

export function isWholeIntegerSum(self: Accumulator): bool {
  return self.family == <u32>Family.SUM_INTEGER && (self.type == <u32>Type.I32 || self.type == <u32>Type.I64) && isWhole(self);
}

/** The values of such a sum's argument in the vector at hand; 0 where one is null, or the sum is wide. */
export function wholeValues(self: Accumulator, program: usize): usize {
  const vector = changetype<Vector>(programOutput(program, <u32>self.argument));
  return vector.validity != 0 || self.wide != 0 ? 0 : vector.values;
}

/** The same, for which the sum has room then; 0 also where it might have to become wide. */
export function wholeIntegers(self: Accumulator, program: usize, rows: u32): usize {
  const values = wholeValues(self, program);
  if (values == 0) return 0;
  return sumIntegerMakeRoom(self, sumIntegerLargest(self.type, values, rows), rows) ? values : 0;
}
