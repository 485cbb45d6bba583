// The order of two kept rows by their content, column by column as a store has them: ascending, nulls last,
// -Inf .. -0 < +0 .. Inf < NaN, as a sort breaks its ties.

import { Type } from "../abi/layout";
import { bitmapGet } from "../column/bitmap";
import { CHUNK_MASK, CHUNK_SHIFT, SHORT_TEXT, Store, StoreColumn, storeColumn, storeRow } from "./store";

/** Below 0 when row `a` comes first, above 0 when row `b` does; 0 for rows that no column tells apart. */
export function storeCompare(self: Store, a: u32, b: u32): i32 {
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    if (column.nullable) {
      const first = isValid(column, a);
      const second = isValid(column, b);
      if (first != second) return first ? -1 : 1;
      if (!first) continue;
    }
    const order = compareCells(column.type, storeRow(self, a) + column.offset, storeRow(self, b) + column.offset);
    if (order != 0) return order;
  }
  return 0;
}

function isValid(column: StoreColumn, row: u32): bool {
  const bits: usize = load<u32>(column.validity + ((<usize>(row >> CHUNK_SHIFT)) << 2));
  return bitmapGet(bits, row & CHUNK_MASK) != 0;
}

function compareCells(type: u32, a: usize, b: usize): i32 {
  switch (type) {
    case Type.BOOL:
    case Type.U8:
      return order<u8>(load<u8>(a), load<u8>(b));
    case Type.I8:
      return order<i8>(load<i8>(a), load<i8>(b));
    case Type.I16:
      return order<i16>(load<i16>(a), load<i16>(b));
    case Type.U16:
      return order<u16>(load<u16>(a), load<u16>(b));
    case Type.I32:
      return order<i32>(load<i32>(a), load<i32>(b));
    case Type.U32:
      return order<u32>(load<u32>(a), load<u32>(b));
    case Type.I64:
      return order<i64>(load<i64>(a), load<i64>(b));
    case Type.U64:
      return order<u64>(load<u64>(a), load<u64>(b));
    case Type.F32:
      return compareFloats(<f64>load<f32>(a), <f64>load<f32>(b));
    case Type.F64:
      return compareFloats(load<f64>(a), load<f64>(b));
    case Type.I128: {
      const high = order<i64>(load<i64>(a, 8), load<i64>(b, 8));
      return high != 0 ? high : order<u64>(load<u64>(a), load<u64>(b));
    }
    default:
      return compareTexts(a, b);
  }
}

// @ts-ignore: decorator
@inline
function order<T>(a: T, b: T): i32 {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** NaNs with other bits differ, so that which of them leaves does not depend on arrival. */
function compareFloats(a: f64, b: f64): i32 {
  const ranks = order<i64>(floatRank(a), floatRank(b));
  return ranks != 0 ? ranks : order<u64>(reinterpret<u64>(a), reinterpret<u64>(b));
}

/** Floats in their order, as integers; NaN last, whatever its bits. */
function floatRank(value: f64): i64 {
  if (value != value) return i64.MAX_VALUE;
  const bits = reinterpret<i64>(value);
  return bits ^ ((bits >> 63) & i64.MAX_VALUE);
}

function compareTexts(a: usize, b: usize): i32 {
  const lengthA = load<u32>(a);
  const lengthB = load<u32>(b);
  const first: usize = lengthA > SHORT_TEXT ? <usize>load<u32>(a, 8) : a + 4;
  const second: usize = lengthB > SHORT_TEXT ? <usize>load<u32>(b, 8) : b + 4;
  const shared: usize = min(lengthA, lengthB);
  for (let at: usize = 0; at < shared; at++) {
    const step = order<u8>(load<u8>(first + at), load<u8>(second + at));
    if (step != 0) return step;
  }
  return order<u32>(lengthA, lengthB);
}
