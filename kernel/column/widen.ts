// Values as such of a type that has them all, and another type more: a loop for that does for all.

import { Type } from "../abi/layout";

/** Values of type I8, U8, I16 or U16 as I32; `out` may be where they are. */
export function widenShort(type: u32, values: usize, rows: u32, out: usize): void {
  switch (type) {
    case Type.I8:
      return widen<i8>(values, rows, out);
    case Type.U8:
      return widen<u8>(values, rows, out);
    case Type.I16:
      return widen<i16>(values, rows, out);
    default:
      return widen<u16>(values, rows, out);
  }
}

// Elements grow, so that the last comes first.
function widen<T>(values: usize, rows: u32, out: usize): void {
  for (let row: i32 = <i32>rows - 1; row >= 0; row--)
    store<i32>(out + ((<usize>row) << 2), <i32>load<T>(values + <usize>row * sizeof<T>()));
}

/** Values of type U32 as I64, elsewhere. */
export function widenUnsigned(values: usize, rows: u32, out: usize): void {
  for (let row: u32 = 0; row < rows; row++) {
    store<u64>(out + ((<usize>row) << 3), <u64>load<u32>(values + ((<usize>row) << 2)));
  }
}

/** Values of type F32 as F64, elsewhere. */
export function widenFloats(values: usize, rows: u32, out: usize): void {
  for (let row: u32 = 0; row < rows; row++) {
    store<f64>(out + ((<usize>row) << 3), <f64>load<f32>(values + ((<usize>row) << 2)));
  }
}
