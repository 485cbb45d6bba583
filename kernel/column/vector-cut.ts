// A stretch of a vector as a vector of its own.
//
// Values are shared; bits (validity, booleans) are shifted to begin at bit 0, as every reader expects them.

import { Type } from "../abi/layout";
import { bitmapTail } from "./bitmap";
import { typeWidth } from "./type";
import { BITMAP_BYTES, VECTOR_SIZE, Vector } from "./vector";

/** Bytes of bits that `vectorCut` writes: validity, and the values of booleans. */
export const CUT_BYTES: usize = 2 * BITMAP_BYTES;

/** Makes `to` rows [start, start + rows) of `from`, whose bits go to `bits`. */
export function vectorCut(to: Vector, from: Vector, start: u32, rows: u32, bits: usize): void {
  memory.copy(changetype<usize>(to), changetype<usize>(from), VECTOR_SIZE);
  if (from.validity != 0) {
    shift(from.validity, start, rows, bits);
    to.validity = bits;
  }
  if (from.dictionary != 0) to.values = from.values + ((<usize>start) << 2);
  else if (from.type == <u32>Type.BOOL) {
    shift(from.values, start, rows, bits + BITMAP_BYTES);
    to.values = bits + BITMAP_BYTES;
  } else if (from.type == <u32>Type.BYTES) to.values = from.values + ((<usize>start) << 3);
  else to.values = from.values + <usize>start * typeWidth(from.type);
}

function shift(from: usize, start: u32, rows: u32, to: usize): void {
  const by = start & 63;
  let at = from + ((<usize>(start >> 6)) << 3);
  for (let row: u32 = 0; row < rows; row += 64) {
    const count = min<u32>(64, rows - row);
    let word = load<u64>(at) >> <u64>by;
    at += 8;
    // A word without bits of the stretch is not read: it may lie past the bitmap.
    if (by + count > 64) word |= load<u64>(at) << <u64>(64 - by);
    store<u64>(to + ((<usize>(row >> 6)) << 3), word & bitmapTail(count));
  }
}
