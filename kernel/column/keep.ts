// Masks as lanes: bits of a bitmap widened to whole lanes, so that rows which do not count become zero (which
// adds nothing) or another value that changes nothing, or are left out, without a branch a row.
//
// Where few rows of 64 are missing, all are taken over as they are, and those put right one by one: with nulls in each
// twentieth row that takes 0.5 to 0.6 of the time.

import { bitmapGet } from "./bitmap";

/** Four 32-bit lanes, all ones where rows [row, row + 4) are in `mask`; `row` is a multiple of 4. */
// @ts-ignore: decorator
@inline
export function lanes32(mask: usize, row: u32): v128 {
  const bits = <i32>load<u8>(mask + <usize>(row >> 3)) >> <i32>(row & 4);
  return i32x4.ne(v128.and(i32x4.splat(bits), i32x4(1, 2, 4, 8)), i32x4.splat(0));
}

/** Two 64-bit lanes, all ones where rows `row` and `row + 1` are in `mask`; `row` is even. */
// @ts-ignore: decorator
@inline
export function lanes64(mask: usize, row: u32): v128 {
  const bits = <i64>load<u8>(mask + <usize>(row >> 3)) >> <i64>(row & 6);
  return i64x2.ne(v128.and(i64x2.splat(bits), i64x2(1, 2)), i64x2.splat(0));
}

/** Rows missing of 64, at most, for which these are put right one by one. */
const FEW_MISSING: u64 = 8;

/** The rows of the 64 at `mask` that are missing, where they are few; else -1. */
// @ts-ignore: decorator
@inline
export function fewMissing(mask: usize): u64 {
  const missing = ~load<u64>(mask);
  return popcnt<u64>(missing) > FEW_MISSING ? -1 : missing;
}

/** Takes 64 values of `T` over, those that are missing as `other`. */
// @ts-ignore: decorator
@inline
function keepMost<T>(values: usize, missing: u64, out: usize, other: T): void {
  if (values != out) {
    for (let at: usize = 0; at < 64 * sizeof<T>(); at += 32) {
      v128.store(out + at, v128.load(values + at));
      v128.store(out + at, v128.load(values + at, 16), 16);
    }
  }
  for (; missing != 0; missing &= missing - 1) store<T>(out + <usize>ctz<u64>(missing) * sizeof<T>(), other);
}

/** 4-byte values to `out` (which may be `values`), those of rows outside `mask` as zero. */
export function keep32(values: usize, mask: usize, rows: u32, out: usize): void {
  keepOr<u32>(values, mask, rows, out, 0);
}

/** The same of 8-byte values; row 0 is row `start` of the mask, a multiple of 8. */
export function keep64(values: usize, mask: usize, start: u32, rows: u32, out: usize): void {
  keepOr<u64>(values, mask + <usize>(start >> 3), rows, out, 0);
}

/** Bytes to `out`, as integers of 32 bits, those that are 255 as zero. */
export function keepBytes(bytes: usize, rows: u32, out: usize): void {
  const missing = i8x16.splat(-1);
  const end = bytes + <usize>rows;
  for (const whole = bytes + <usize>(rows & ~15); bytes < whole; bytes += 16) {
    const byte = v128.load(bytes);
    const kept = v128.andnot(byte, i8x16.eq(byte, missing));
    const near = i16x8.extend_low_i8x16_u(kept);
    const far = i16x8.extend_high_i8x16_u(kept);
    v128.store(out, i32x4.extend_low_i16x8_u(near));
    v128.store(out, i32x4.extend_high_i16x8_u(near), 16);
    v128.store(out, i32x4.extend_low_i16x8_u(far), 32);
    v128.store(out, i32x4.extend_high_i16x8_u(far), 48);
    out += 64;
  }
  for (; bytes < end; bytes++) {
    const byte: u32 = load<u8>(bytes);
    store<u32>(out, byte == 255 ? 0 : byte);
    out += 4;
  }
}

/** The same with `other` for rows outside `mask`. */
export function keepOr<T>(values: usize, mask: usize, rows: u32, out: usize, other: T): void {
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const others = sizeof<T>() == 4 ? i32x4.splat(<i32>other) : i64x2.splat(<i64>other);
    const each: u32 = 16 / sizeof<T>();
    for (const whole = rows & ~(each - 1); row < whole; ) {
      const missing = row + 64 <= rows ? fewMissing(mask + <usize>(row >> 3)) : -1;
      if (missing != -1) {
        const at = <usize>row * sizeof<T>();
        keepMost<T>(values + at, missing, out + at, other);
        row += 64;
        continue;
      }
      for (const end = min(whole, row + 64); row < end; row += each) {
        const at = <usize>row * sizeof<T>();
        const kept = sizeof<T>() == 4 ? lanes32(mask, row) : lanes64(mask, row);
        v128.store(out + at, v128.bitselect(v128.load(values + at), others, kept));
      }
    }
  }
  for (; row < rows; row++) {
    const at = <usize>row * sizeof<T>();
    store<T>(out + at, bitmapGet(mask, row) ? load<T>(values + at) : other);
  }
}
