// Keys that order values of every fixed-width type: 64-bit signed integers, one a value and back.
//
// Floats in the total order -Inf .. -0 < +0 .. +Inf < NaN, with all NaNs one. Decimals (I128) are their own key, of
// 128 bits, and not made here.

import { Type } from "../abi/layout";
import { typeWidth } from "../column/type";

/** Bytes of a value in a list: a byte for BOOL. */
// @ts-ignore: decorator
@inline
export function itemWidth(type: u32): u32 {
  return type == <u32>Type.BOOL ? 1 : <u32>typeWidth(type);
}

/** The key of a value of up to 8 bytes. */
export function orderKey(type: u32, at: usize): i64 {
  switch (type) {
    case Type.I8:
      return <i64>load<i8>(at);
    case Type.I16:
      return <i64>load<i16>(at);
    case Type.I32:
      return <i64>load<i32>(at);
    case Type.BOOL:
    case Type.U8:
      return <i64>load<u8>(at);
    case Type.U16:
      return <i64>load<u16>(at);
    case Type.U32:
      return <i64>load<u32>(at);
    case Type.U64:
      return load<i64>(at) ^ i64.MIN_VALUE;
    case Type.F32: {
      const value = load<f32>(at);
      const bits = value != value ? 0x7fc00000 : reinterpret<i32>(value);
      return <i64>(bits ^ <i32>(<u32>(bits >> 31) >> 1));
    }
    case Type.F64: {
      const value = load<f64>(at);
      const bits = value != value ? 0x7ff8000000000000 : reinterpret<i64>(value);
      return bits ^ <i64>(<u64>(bits >> 63) >> 1);
    }
    default:
      return load<i64>(at);
  }
}

/** Writes the value of a key; the inverse of `orderKey`. */
export function storeOrdered(type: u32, at: usize, key: i64): void {
  switch (itemWidth(type)) {
    case 1:
      store<u8>(at, <u8>key);
      break;
    case 2:
      store<u16>(at, <u16>key);
      break;
    case 4: {
      const bits = <i32>key;
      store<i32>(at, type == <u32>Type.F32 ? bits ^ <i32>(<u32>(bits >> 31) >> 1) : bits);
      break;
    }
    default:
      if (type == <u32>Type.F64) store<i64>(at, key ^ <i64>(<u64>(key >> 63) >> 1));
      else store<i64>(at, type == <u32>Type.U64 ? key ^ i64.MIN_VALUE : key);
  }
}
