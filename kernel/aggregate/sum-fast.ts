// SUM_FAST: plain float64 adds, for those who ask for them. The result depends on the order of the rows.

import { Type } from "../abi/layout";
import { Accumulator, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";

export function sumFastReserve(self: Accumulator, groups: u32): bool {
  return accumulatorReserve(self, groups, 0);
}

/** Adds a vector; `one` says that every row belongs to one group, whose rows are then added in eight runs. */
export function sumFastUpdate(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  one: bool,
): void {
  if (ASC_FEATURE_SIMD && one && mask == 0 && self.type == <u32>Type.F64) {
    const whole = rows & ~7;
    const at = self.values + ((<usize>load<u32>(numbers)) << 3);
    store<f64>(at, load<f64>(at) + total(values, whole));
    add<f64>(self.values, numbers, values + ((<usize>whole) << 3), 0, rows - whole);
  } else if (self.type == <u32>Type.F32) add<f32>(self.values, numbers, values, mask, rows);
  else add<f64>(self.values, numbers, values, mask, rows);
}

/** The sum of a multiple of 8 values. */
function total(values: usize, rows: u32): f64 {
  let a = f64x2.splat(0);
  let b = f64x2.splat(0);
  let c = f64x2.splat(0);
  let d = f64x2.splat(0);
  const end = values + ((<usize>rows) << 3);
  for (let at = values; at < end; at += 64) {
    a = f64x2.add(a, v128.load(at));
    b = f64x2.add(b, v128.load(at, 16));
    c = f64x2.add(c, v128.load(at, 32));
    d = f64x2.add(d, v128.load(at, 48));
  }
  a = f64x2.add(f64x2.add(a, b), f64x2.add(c, d));
  return f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
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
