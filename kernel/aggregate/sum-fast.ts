// SUM_FAST: plain float64 adds, for those who ask for them. The result depends on the order of the rows.

import { Type } from "../abi/layout";
import { Accumulator, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";

export function sumFastReserve(self: Accumulator, groups: u32): bool {
  return accumulatorReserve(self, groups, 0);
}

export function sumFastUpdate(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
): void {
  if (self.type == <u32>Type.F32) add<f32>(self.values, numbers, values, mask, rows);
  else add<f64>(self.values, numbers, values, mask, rows);
}

// @ts-ignore: decorator
@inline
function add<T>(sums: usize, numbers: usize, values: usize, mask: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    const at = sums + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 3);
    store<f64>(at, load<f64>(at) + <f64>load<T>(values + <usize>row * sizeof<T>()));
  }
}
