// Rows of a builder compared: by value, in the order of orderBy, without its nulls.

import { Type } from "../abi/layout";
import { bitmapGet } from "./bitmap";
import { Builder } from "./builder";
import { orderKey } from "./order";
import { typeWidth } from "./type";

/** Whether two rows hold the same: nulls are equal, all NaNs are, and -0 and 0. */
export function areEqualRows(column: Builder, a: u32, b: u32): bool {
  const hasA = bitmapGet(column.validity, a);
  if (hasA != bitmapGet(column.validity, b)) return false;
  if (hasA == 0) return true;
  if (column.type == <u32>Type.BYTES) return areEqualTexts(column, a, b);
  if (column.type == <u32>Type.BOOL) return bitmapGet(column.values, a) == bitmapGet(column.values, b);
  const width = typeWidth(column.type);
  const x = column.values + <usize>a * width;
  const y = column.values + <usize>b * width;
  if (column.type == <u32>Type.F64) return areEqualFloats(load<f64>(x), load<f64>(y));
  if (column.type == <u32>Type.F32) return areEqualFloats(load<f32>(x), load<f32>(y));
  if (width == 8) return load<u64>(x) == load<u64>(y);
  return memory.compare(x, y, width) == 0;
}

// @ts-ignore: decorator
@inline
function areEqualFloats(a: f64, b: f64): bool {
  return a == b || (a != a && b != b);
}

function areEqualTexts(column: Builder, a: u32, b: u32): bool {
  const x = column.offsets + ((<usize>a) << 2);
  const y = column.offsets + ((<usize>b) << 2);
  const length = load<u32>(x, 4) - load<u32>(x);
  if (length != load<u32>(y, 4) - load<u32>(y)) return false;
  return memory.compare(column.values + <usize>load<u32>(x), column.values + <usize>load<u32>(y), length) == 0;
}

/** Below 0, 0 or above: two rows that are not null in the total order of their type. */
export function compareRows(column: Builder, a: u32, b: u32): i32 {
  if (column.type == <u32>Type.BYTES) return compareTexts(column, a, b);
  if (column.type == <u32>Type.BOOL) return <i32>bitmapGet(column.values, a) - <i32>bitmapGet(column.values, b);
  const width = typeWidth(column.type);
  const x = column.values + <usize>a * width;
  const y = column.values + <usize>b * width;
  if (width == 16) {
    const high = compareKeys(load<i64>(x, 8), load<i64>(y, 8));
    return high != 0 ? high : compareKeys(load<i64>(x) ^ i64.MIN_VALUE, load<i64>(y) ^ i64.MIN_VALUE);
  }
  return compareKeys(orderKey(column.type, x), orderKey(column.type, y));
}

// @ts-ignore: decorator
@inline
function compareKeys(a: i64, b: i64): i32 {
  return <i32>(a > b) - <i32>(a < b);
}

function compareTexts(column: Builder, a: u32, b: u32): i32 {
  const x = column.offsets + ((<usize>a) << 2);
  const y = column.offsets + ((<usize>b) << 2);
  const lengthA = load<u32>(x, 4) - load<u32>(x);
  const lengthB = load<u32>(y, 4) - load<u32>(y);
  const sign = memory.compare(
    column.values + <usize>load<u32>(x),
    column.values + <usize>load<u32>(y),
    min(lengthA, lengthB),
  );
  if (sign != 0) return sign;
  return <i32>(lengthA > lengthB) - <i32>(lengthA < lengthB);
}
