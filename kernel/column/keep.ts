// Masks as lanes: bits of a bitmap widened to whole lanes, so that rows which do not count become zero (which
// adds nothing), or are left out, without a branch a row.

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

/** 4-byte values to `out` (which may be `values`), those of rows outside `mask` as zero. */
export function keep32(values: usize, mask: usize, rows: u32, out: usize): void {
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    for (const whole = rows & ~3; row < whole; row += 4) {
      const at = (<usize>row) << 2;
      v128.store(out + at, v128.and(v128.load(values + at), lanes32(mask, row)));
    }
  }
  for (; row < rows; row++) {
    const at = (<usize>row) << 2;
    store<u32>(out + at, load<u32>(values + at) & (0 - bitmapGet(mask, row)));
  }
}

/** The same of 8-byte values; row 0 is row `start` of the mask, a multiple of 8. */
export function keep64(values: usize, mask: usize, start: u32, rows: u32, out: usize): void {
  const bits = mask + <usize>(start >> 3);
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    for (const whole = rows & ~1; row < whole; row += 2) {
      const at = (<usize>row) << 3;
      v128.store(out + at, v128.and(v128.load(values + at), lanes64(bits, row)));
    }
  }
  for (; row < rows; row++) {
    const at = (<usize>row) << 3;
    store<u64>(out + at, load<u64>(values + at) & (0 - <u64>bitmapGet(bits, row)));
  }
}
