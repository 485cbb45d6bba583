// SKETCH: quantiles within 1/128 (0.8 %) of a value of that rank, by DDSketch (Masson, Rim, Lee 2019).
//
// Counts of logarithmic buckets: a bucket is one sixty-fourth of a power of two, that is the sign, the exponent and
// the top six bits of the mantissa of a float64, read off its bits (the paper's linearly interpolated mapping).
// The answer is the middle of the bucket that holds the rank floor((n - 1) p), at most 1/128 of it away. Counts
// add up whatever the order. Values nearer to 0 than 2^-1022 count as 0; infinities and NaN, the greatest value,
// have buckets of their own and are answered exactly.

import { Type } from "../abi/layout";
import { Vector } from "../column/vector";
import { Accumulator } from "./accumulator";
import { maskBit } from "./argument";
import { sketchCell, sketchFirst, sketchNext, sketchNumber } from "./sketch";

/** Bits below a bucket's, and of a bucket's number. */
const SHIFT: i64 = 46;
const BIAS: u32 = 1 << 17;
/** Cells of two buckets. */
export const QUANTILE_CELLS: u32 = BIAS;
/** A bucket is found by its upper and its lower bits, with one array of counts at a time. */
const DIGIT: u32 = 9;
const DIGITS: u32 = 512;
const COUNTS: usize = 4096;
export const QUANTILE_SCRATCH: usize = COUNTS + 8;

/** Packs the rows that count as (group, cell) at `packed` and their bucket in the cell at `lanes`; how many. */
export function quantilePack(
  vector: Vector,
  numbers: usize,
  mask: usize,
  rows: u32,
  packed: usize,
  lanes: usize,
): u32 {
  const values = vector.values;
  switch (vector.type) {
    case Type.I8:
      return pack<i8>(values, numbers, mask, rows, packed, lanes);
    case Type.U8:
      return pack<u8>(values, numbers, mask, rows, packed, lanes);
    case Type.I16:
      return pack<i16>(values, numbers, mask, rows, packed, lanes);
    case Type.U16:
      return pack<u16>(values, numbers, mask, rows, packed, lanes);
    case Type.I32:
      return pack<i32>(values, numbers, mask, rows, packed, lanes);
    case Type.U32:
      return pack<u32>(values, numbers, mask, rows, packed, lanes);
    case Type.I64:
      return pack<i64>(values, numbers, mask, rows, packed, lanes);
    case Type.U64:
      return pack<u64>(values, numbers, mask, rows, packed, lanes);
    case Type.F32:
      return pack<f32>(values, numbers, mask, rows, packed, lanes);
    default:
      return pack<f64>(values, numbers, mask, rows, packed, lanes);
  }
}

function pack<T>(values: usize, numbers: usize, mask: usize, rows: u32, packed: usize, lanes: usize): u32 {
  let count: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    const bucket = bucketOf(<f64>load<T>(values + <usize>row * sizeof<T>()));
    store<u32>(packed + ((<usize>count) << 3), load<u32>(numbers + ((<usize>row) << 2)));
    store<u32>(packed + ((<usize>count) << 3), bucket >> 1, 4);
    store<u32>(lanes + ((<usize>count) << 2), bucket & 1);
    count++;
  }
  return count;
}

// @ts-ignore: decorator
@inline
function bucketOf(value: f64): u32 {
  let bits = value != value ? 0x7ff8000000000000 : reinterpret<i64>(value);
  if ((bits & 0x7ff0000000000000) == 0) bits = 0;
  bits ^= <i64>(<u64>(bits >> 63) >> 1);
  return <u32>(bits >> SHIFT) + BIAS;
}

/** The middle of a bucket. */
function middleOf(bucket: u32): f64 {
  const order = <i64>(<i32>(bucket - BIAS));
  const negative = order < 0;
  const bits = (negative ? ~order : order) << SHIFT;
  let value: f64 = 0;
  if ((bits & 0x7ff0000000000000) == 0x7ff0000000000000) value = reinterpret<f64>(bits);
  else if (bits != 0) value = reinterpret<f64>(bits | ((<i64>1) << (SHIFT - 1)));
  return negative && value == value ? -value : value;
}

/** Writes a group's quantile to `target`; false when it has no values. `scratch` is QUANTILE_SCRATCH. */
export function quantileSketchValue(self: Accumulator, p: f64, group: u32, target: usize, scratch: usize): bool {
  memory.fill(scratch, 0, COUNTS);
  let total: u64 = 0;
  for (let entry = sketchFirst(self, group); entry != 0; entry = sketchNext(self, entry)) {
    const cell = sketchCell(self, entry - 1);
    const count = load<u64>(cell) + load<u64>(cell, 8);
    const at = scratch + ((<usize>((sketchNumber(self, entry - 1) << 1) >> DIGIT)) << 3);
    store<u64>(at, load<u64>(at) + count);
    total += count;
  }
  if (total == 0) return false;
  let rank = min<u64>(<u64>floor<f64>(<f64>(total - 1) * p), total - 1);
  const upper = digitOf(scratch, rank);
  rank -= load<u64>(scratch + ((<usize>DIGITS) << 3));
  memory.fill(scratch, 0, COUNTS);
  for (let entry = sketchFirst(self, group); entry != 0; entry = sketchNext(self, entry)) {
    const bucket = sketchNumber(self, entry - 1) << 1;
    if (bucket >> DIGIT != upper) continue;
    const cell = sketchCell(self, entry - 1);
    const at = scratch + ((<usize>(bucket & (DIGITS - 1))) << 3);
    store<u64>(at, load<u64>(cell));
    store<u64>(at, load<u64>(cell, 8), 8);
  }
  store<f64>(target, middleOf((upper << DIGIT) | digitOf(scratch, rank)));
  return true;
}

/** The digit that holds `rank`; how many values are before it is written past the counts. */
function digitOf(counts: usize, rank: u64): u32 {
  let before: u64 = 0;
  let digit: u32 = 0;
  for (; digit < DIGITS - 1; digit++) {
    const count = load<u64>(counts + ((<usize>digit) << 3));
    if (rank - before < count) break;
    before += count;
  }
  store<u64>(counts + ((<usize>DIGITS) << 3), before);
  return digit;
}
