// Order bytes: values of any type as bytes that compare, byte by byte, as the values do, and that end by themselves:
// several of them one behind the other order, and tell apart, whole tuples.
//
//   fixed-width   the 64-bit key of order.ts (I128: the value) with its sign bit turned, the highest byte first
//   texts         their bytes, 0 written as 00 FF, and 00 00 at the end
//
// DESCENDING turns every bit of that. NULLABLE puts a byte in front, which is never turned: 0, or 1 for null, which
// is all there is of it, so that nulls come last. ZEROS_EQUAL writes -0 as +0.

import { OrderKeyFlag } from "../abi/instruction";
import { Type } from "../abi/layout";
import { orderKey, storeOrdered } from "./order";

/** Most bytes of a value of a fixed-width type. */
export const ORDER_BYTES_MAX: u32 = 17;

/** Writes the value at `at` (a byte for BOOL) to `to`, and answers how many bytes that were. */
export function orderBytesPut(type: u32, flags: u32, at: usize, to: usize): u32 {
  const turned: u64 = flags & <u32>OrderKeyFlag.DESCENDING ? u64.MAX_VALUE : 0;
  const front: u32 = flags & <u32>OrderKeyFlag.NULLABLE ? 1 : 0;
  if (front != 0) store<u8>(to, 0);
  const body = to + <usize>front;
  if (type == <u32>Type.I128) {
    store<u64>(body, bswap<u64>(load<u64>(at, 8) ^ SIGN ^ turned));
    store<u64>(body, bswap<u64>(load<u64>(at) ^ turned), 8);
    return front + 16;
  }
  let key = orderKey(type, at);
  // -0 is the key right below that of +0.
  const isFloat = type == <u32>Type.F32 || type == <u32>Type.F64;
  if (isFloat && key == -1 && (flags & <u32>OrderKeyFlag.ZEROS_EQUAL) != 0) key = 0;
  store<u64>(body, bswap<u64>(<u64>key ^ SIGN ^ turned));
  return front + 8;
}

const SIGN: u64 = 1 << 63;

/** Most bytes that `orderBytesPutText` writes for `length` bytes. */
// @ts-ignore: decorator
@inline
export function orderBytesTextMost(length: u64): u64 {
  return length * 2 + 3;
}

/** The same for a text. */
export function orderBytesPutText(flags: u32, address: usize, length: u32, to: usize): u32 {
  const turned: u8 = flags & <u32>OrderKeyFlag.DESCENDING ? 0xff : 0;
  let at = to;
  if (flags & <u32>OrderKeyFlag.NULLABLE) {
    store<u8>(at, 0);
    at++;
  }
  for (let from = address; from < address + <usize>length; from++) {
    const byte = load<u8>(from);
    store<u8>(at, byte ^ turned);
    at++;
    if (byte != 0) continue;
    store<u8>(at, 0xff ^ turned);
    at++;
  }
  store<u8>(at, turned);
  store<u8>(at, turned, 1);
  return <u32>(at + 2 - to);
}

/** Where what follows the value at `at` begins, at most at `end`. */
export function orderBytesSkip(type: u32, flags: u32, at: usize, end: usize): usize {
  let next = at;
  if (flags & <u32>OrderKeyFlag.NULLABLE) {
    if (next < end && load<u8>(next) != 0) return next + 1;
    next++;
  }
  if (type != <u32>Type.BYTES) return min<usize>(end, next + (type == <u32>Type.I128 ? 16 : 8));
  const turned: u8 = flags & <u32>OrderKeyFlag.DESCENDING ? 0xff : 0;
  while (next + 1 < end) {
    const isEnd = load<u8>(next) == turned && load<u8>(next, 1) == turned;
    if (isEnd) return next + 2;
    // The byte behind a 0 goes with it.
    next += load<u8>(next) == turned ? 2 : 1;
  }
  return end;
}

/** Writes the value of a fixed-width type that was put without flags at `at` to `target` (16 bytes). */
export function orderBytesLoad(type: u32, at: usize, target: usize): void {
  const high = bswap<u64>(load<u64>(at)) ^ SIGN;
  if (type == <u32>Type.I128) {
    store<u64>(target, bswap<u64>(load<u64>(at, 8)));
    store<u64>(target, high, 8);
  } else storeOrdered(type, target, <i64>high);
}
