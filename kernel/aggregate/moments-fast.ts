// MOMENTS_FAST: moments in plain float64, for those who ask for them: one pass, no exact sums.
//
// Welford's update (1962) around a running mean, so that a large mean does not cancel the variance; merged by
// Chan, Golub and LeVeque's formulas, with Pebay's (2008) for the third and fourth moment. The last digits
// depend on the order of the rows, batches and merges.
//
//   one argument:  +0 n  +8 mean  +16 M2  +24 M3  +32 M4        (f64; M3, M4 only when asked for)
//   two:           +0 n  +8 mean x  +16 mean y  +24 Mxx  +32 Myy  +40 Mxy
//
// A group's 48 bytes are its state.

import { Type } from "../abi/layout";
import { AggregateFunction } from "../abi/operator";
import { Accumulator } from "./accumulator";
import { maskBit } from "./argument";
import { Power } from "./power";

export const MOMENTS_BYTES: u32 = 48;

/** Adds a vector; `power` of the accumulator is the highest moment kept, PRODUCT for two arguments. */
export function momentsFastUpdate(
  self: Accumulator,
  numbers: usize,
  x: usize,
  y: usize,
  mask: usize,
  rows: u32,
): void {
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    const at = self.values + <usize>load<u32>(numbers + ((<usize>row) << 2)) * <usize>MOMENTS_BYTES;
    const a = loadFloat(self.sourceType, x, row);
    if (self.power == <u32>Power.PRODUCT) addPair(at, a, loadFloat(self.secondType, y, row));
    else addValue(at, a, self.power);
  }
}

// @ts-ignore: decorator
@inline
function loadFloat(type: u32, values: usize, row: u32): f64 {
  return type == <u32>Type.F32
    ? <f64>load<f32>(values + ((<usize>row) << 2))
    : load<f64>(values + ((<usize>row) << 3));
}

// @ts-ignore: decorator
@inline
function addPair(at: usize, x: f64, y: f64): void {
  const n = load<f64>(at) + 1;
  const dx = x - load<f64>(at, 8);
  const dy = y - load<f64>(at, 16);
  const meanX = load<f64>(at, 8) + dx / n;
  const meanY = load<f64>(at, 16) + dy / n;
  store<f64>(at, n);
  store<f64>(at, meanX, 8);
  store<f64>(at, meanY, 16);
  store<f64>(at, load<f64>(at, 24) + dx * (x - meanX), 24);
  store<f64>(at, load<f64>(at, 32) + dy * (y - meanY), 32);
  store<f64>(at, load<f64>(at, 40) + dx * (y - meanY), 40);
}

// @ts-ignore: decorator
@inline
function addValue(at: usize, x: f64, power: u32): void {
  const before = load<f64>(at);
  const n = before + 1;
  const d = x - load<f64>(at, 8);
  const step = d / n;
  const term = d * step * before;
  const m2 = load<f64>(at, 16);
  if (power > <u32>Power.SQUARE) {
    const m3 = load<f64>(at, 24);
    const m4 = load<f64>(at, 32);
    store<f64>(at, m4 + term * step * step * (n * n - 3 * n + 3) + 6 * step * step * m2 - 4 * step * m3, 32);
    store<f64>(at, m3 + term * step * (n - 2) - 3 * step * m2, 24);
  }
  store<f64>(at, n);
  store<f64>(at, load<f64>(at, 8) + step, 8);
  store<f64>(at, m2 + term, 16);
}

/** Merges a group's state from `from`. */
export function momentsFastMerge(self: Accumulator, group: u32, from: usize): void {
  const at = self.values + <usize>group * <usize>MOMENTS_BYTES;
  const other = load<f64>(from);
  if (other == 0) return;
  const own = load<f64>(at);
  if (own == 0) {
    memory.copy(at, from, MOMENTS_BYTES);
    return;
  }
  const n = own + other;
  const share = (own * other) / n;
  const d = load<f64>(from, 8) - load<f64>(at, 8);
  if (self.power == <u32>Power.PRODUCT) {
    const dy = load<f64>(from, 16) - load<f64>(at, 16);
    store<f64>(at, load<f64>(at, 24) + load<f64>(from, 24) + d * d * share, 24);
    store<f64>(at, load<f64>(at, 32) + load<f64>(from, 32) + dy * dy * share, 32);
    store<f64>(at, load<f64>(at, 40) + load<f64>(from, 40) + d * dy * share, 40);
    store<f64>(at, load<f64>(at, 16) + (dy * other) / n, 16);
  } else {
    const a2 = load<f64>(at, 16);
    const b2 = load<f64>(from, 16);
    const a3 = load<f64>(at, 24);
    const b3 = load<f64>(from, 24);
    const r = d / n;
    const m4 =
      load<f64>(at, 32) +
      load<f64>(from, 32) +
      d * r * r * r * own * other * (own * own - own * other + other * other) +
      6 * r * r * (own * own * b2 + other * other * a2) +
      4 * r * (own * b3 - other * a3);
    store<f64>(at, m4, 32);
    store<f64>(at, a3 + b3 + d * r * r * own * other * (own - other) + 3 * r * (own * b2 - other * a2), 24);
    store<f64>(at, a2 + b2 + d * d * share, 16);
  }
  store<f64>(at, load<f64>(at, 8) + (d * other) / n, 8);
  store<f64>(at, n);
}

/** A group's result, and whether there is one. */
export function momentsFastValue(self: Accumulator, fn: u32, group: u32, target: usize): bool {
  const at = self.values + <usize>group * <usize>MOMENTS_BYTES;
  const n = load<f64>(at);
  const pair = self.power == <u32>Power.PRODUCT;
  const m2 = load<f64>(at, 16);
  let value: f64 = NaN;
  const finite = isFinite<f64>(load<f64>(at, 8)) && (!pair || isFinite<f64>(load<f64>(at, 16)));
  switch (fn) {
    case AggregateFunction.VAR_SAMPLE:
      value = m2 / (n - 1);
      break;
    case AggregateFunction.VAR_POPULATION:
      value = m2 / n;
      break;
    case AggregateFunction.STDDEV_SAMPLE:
      value = sqrt<f64>(m2 / (n - 1));
      break;
    case AggregateFunction.STDDEV_POPULATION:
      value = sqrt<f64>(m2 / n);
      break;
    case AggregateFunction.COVAR_SAMPLE:
      value = load<f64>(at, 40) / (n - 1);
      break;
    case AggregateFunction.COVAR_POPULATION:
      value = load<f64>(at, 40) / n;
      break;
    case AggregateFunction.CORR:
      value = load<f64>(at, 40) / (sqrt<f64>(load<f64>(at, 24)) * sqrt<f64>(load<f64>(at, 32)));
      break;
    case AggregateFunction.SKEWNESS:
      value = (sqrt<f64>(n * (n - 1)) / (n - 2)) * ((sqrt<f64>(n) * load<f64>(at, 24)) / (m2 * sqrt<f64>(m2)));
      break;
    default: {
      if (finite && m2 == 0) return false;
      const ratio = (n * load<f64>(at, 32)) / (m2 * m2);
      value =
        fn == <u32>AggregateFunction.KURTOSIS
          ? ((n - 1) * ((n + 1) * ratio - 3 * (n - 1))) / ((n - 2) * (n - 3))
          : ratio - 3;
    }
  }
  store<f64>(target, finite && value == value ? value : reinterpret<f64>(0x7ff8000000000000));
  return true;
}
