// Integers near 0 as floats, and back, in lanes: SIMD has no conversion between 64-bit integers and floats.

/** 1.5 x 2^52: the float whose last bit is worth 1, and its bits. Integers from -2^51 to 2^51 - 1 are exact beside it. */
export const SHIFTER: f64 = 6755399441055744.0;
export const SHIFTER_BITS: i64 = 0x4338000000000000;

/** Two integers of that range as floats. */
// @ts-ignore: decorator
@inline
export function shiftedFloats(integers: v128): v128 {
  return f64x2.sub(i64x2.add(integers, i64x2.splat(SHIFTER_BITS)), f64x2.splat(SHIFTER));
}
