// Order keys: fixed-width values as signed integers whose order is the total order
// -Inf .. -0 < +0 .. +Inf < NaN, so that everything that compares values compares one type. NaNs are one.
//
// 8 bytes for every type up to 64 bits, 16 for I128; texts have none (width 0).

import { Type } from "../abi/layout";
import { maskBit } from "./argument";

// @ts-ignore: decorator
@inline
export function orderWidth(type: u32): u32 {
  return type == <u32>Type.BYTES ? 0 : type == <u32>Type.I128 ? 16 : 8;
}

// @ts-ignore: decorator
@inline
export function orderOf<T>(value: T): i64 {
  if (isFloat<T>()) {
    const wide = <f64>value;
    const bits = wide != wide ? 0x7ff8000000000000 : reinterpret<i64>(wide);
    return bits ^ <i64>(<u64>(bits >> 63) >> 1);
  }
  if (!isSigned<T>() && sizeof<T>() == 8) return <i64>value ^ i64.MIN_VALUE;
  return <i64>value;
}

/** The float64 of a key: its bits, turned but for the sign where that is set. */
// @ts-ignore: decorator
@inline
export function orderFloat(key: i64): f64 {
  return reinterpret<f64>(key ^ <i64>(<u64>(key >> 63) >> 1));
}

/** Writes the keys of `rows` values of a fixed-width type (bits for BOOL) to `target`. */
export function orderKeys(type: u32, values: usize, rows: u32, target: usize): void {
  switch (type) {
    case Type.BOOL:
      for (let row: u32 = 0; row < rows; row++) store<i64>(target + ((<usize>row) << 3), maskBit(values, row));
      return;
    case Type.I8:
      return keys<i8>(values, rows, target);
    case Type.U8:
      return keys<u8>(values, rows, target);
    case Type.I16:
      return keys<i16>(values, rows, target);
    case Type.U16:
      return keys<u16>(values, rows, target);
    case Type.I32:
      return keys<i32>(values, rows, target);
    case Type.U32:
      return keys<u32>(values, rows, target);
    case Type.I64:
      return keys<i64>(values, rows, target);
    case Type.U64:
      return keys<u64>(values, rows, target);
    case Type.F32:
      return keys<f32>(values, rows, target);
    case Type.F64:
      return keys<f64>(values, rows, target);
    default:
      memory.copy(target, values, (<usize>rows) << 4);
  }
}

function keys<T>(values: usize, rows: u32, target: usize): void {
  for (let row: u32 = 0; row < rows; row++)
    store<i64>(target + ((<usize>row) << 3), orderOf<T>(load<T>(values + <usize>row * sizeof<T>())));
}

/** Writes the value of the key at `at`, as bits of its type (a byte for BOOL), to `target` (16 bytes). */
export function orderLoad(type: u32, at: usize, target: usize): void {
  const key = load<i64>(at);
  switch (type) {
    case Type.F64:
      store<f64>(target, orderFloat(key));
      return;
    case Type.F32: {
      const wide = orderFloat(key);
      if (wide != wide) store<u32>(target, 0x7fc00000);
      else store<f32>(target, <f32>wide);
      return;
    }
    case Type.U64:
      store<i64>(target, key ^ i64.MIN_VALUE);
      return;
    case Type.I128:
      store<i64>(target, key);
      store<i64>(target, load<i64>(at, 8), 8);
      return;
    default:
      store<i64>(target, key);
  }
}

/** Order of the keys at two addresses, of a width from `orderWidth`: negative, 0 or positive. */
// @ts-ignore: decorator
@inline
export function orderCompare(width: u32, a: usize, b: usize): i32 {
  if (width == 8) return <i32>(load<i64>(a) > load<i64>(b)) - <i32>(load<i64>(a) < load<i64>(b));
  const highA = load<i64>(a, 8);
  const highB = load<i64>(b, 8);
  if (highA != highB) return highA < highB ? -1 : 1;
  return <i32>(load<u64>(a) > load<u64>(b)) - <i32>(load<u64>(a) < load<u64>(b));
}
