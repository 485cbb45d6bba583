// Results over a LOG: quantiles and the mode. See value-log.ts for how values are kept and selected.

import { Type } from "../abi/layout";
import { AggregateFunction } from "../abi/operator";
import { Accumulator } from "./accumulator";
import { textLogMode, textLogSort } from "./text-log";
import { roundAverage192 } from "./round";
import { orderLoad } from "./order-key";
import { SELECT_SCRATCH } from "./select-key";
import { logBase, logMode, logNext, logSelect, logSize } from "./value-log";

/** Scratch for `logResult`: what selecting needs, and after it what the mean of two decimals does. */
const MEAN_SCRATCH: usize = 32 + 256;
const MEAN: usize = (SELECT_SCRATCH + 15) & ~15;
export const LOG_SCRATCH: usize = MEAN + MEAN_SCRATCH;

/**
 * The result of a group whose `size` values lie at `base`, at `target` (16 bytes); false for null. The values may move;
 * `scratch` is LOG_SCRATCH.
 * The continuous quantile lies at (n - 1) p between two values, low (1 - d) + high d; the discrete one is the
 * first value with at least p n values up to it (as DuckDB has both).
 */
export function logResult(
  fn: u32,
  parameter: f64,
  scale: u32,
  log: Accumulator,
  base: usize,
  size: u32,
  target: usize,
  scratch: usize,
): bool {
  if (size == 0) return false;
  if (fn == <u32>AggregateFunction.MODE) {
    orderLoad(log.type, logMode(log, base, size), target);
    if (log.type == <u32>Type.F64 && load<f64>(target) == 0) store<f64>(target, 0);
    if (log.type == <u32>Type.F32 && load<f32>(target) == 0) store<f32>(target, 0);
    return true;
  }
  if (fn == <u32>AggregateFunction.QUANTILE_DISC) {
    orderLoad(log.type, logSelect(log, base, size, discreteRank(size, parameter), scratch), target);
    return true;
  }
  const position = <f64>(size - 1) * parameter;
  const rank = min<u32>(<u32>floor<f64>(position), size - 1);
  const part = position - <f64>rank;
  const selected = logSelect(log, base, size, rank, scratch);
  const low = asFloat(log, selected, scale, scratch + MEAN);
  let value = low;
  if (part > 0 && rank + 1 < size) {
    const high = asFloat(log, logNext(log, base, size, rank, selected), scale, scratch + MEAN);
    // Two equal neighbours are the result as they are; infinities have no way between them.
    if (reinterpret<i64>(low) != reinterpret<i64>(high)) value = low * (1 - part) + high * part;
  }
  store<f64>(target, value);
  if (value != value) store<u64>(target, 0x7ff8000000000000);
  return true;
}

/** Rank of the first of `size` values that has at least p n of them up to it. */
function discreteRank(size: u32, parameter: f64): u32 {
  const below = <f64>size - floor<f64>(<f64>size - parameter * <f64>size);
  return <u32>max<f64>(1, min<f64>(below, <f64>size)) - 1;
}

/** MODE or QUANTILE_DISC of a group's texts, as u32 address and u32 length at `target`; false for null. */
export function textLogResult(fn: u32, parameter: f64, log: Accumulator, group: u32, target: usize): bool {
  const size = logSize(log, group);
  if (size == 0) return false;
  textLogSort(log, group);
  const rank = fn == <u32>AggregateFunction.MODE ? textLogMode(log, group) : discreteRank(size, parameter);
  store<u64>(target, load<u64>(logBase(log, group) + ((<usize>rank) << 3)));
  return true;
}

/** The value of an order key as the nearest float64. */
function asFloat(log: Accumulator, key: usize, scale: u32, scratch: usize): f64 {
  orderLoad(log.type, key, scratch);
  switch (log.type) {
    case Type.F64:
      return load<f64>(scratch);
    case Type.F32:
      return <f64>load<f32>(scratch);
    case Type.U64:
      return <f64>load<u64>(scratch);
    case Type.I128:
      store<i64>(scratch, load<i64>(scratch, 8) >> 63, 16);
      return roundAverage192(scratch, 1, scale, scratch + 32);
    default:
      return <f64>load<i64>(scratch);
  }
}
