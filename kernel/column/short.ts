// Integers of one or two bytes as such of 32 bits: a loop for these does for all.

import { Type } from "../abi/layout";

/** Widens values of type I8, U8, I16 or U16; `out` may be where they are. */
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
