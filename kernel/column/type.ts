// Facts about physical types.

import { Type } from "../abi/layout";

/** For each type, four bits from the low end on: 0 for no bytes, else 1 more than the binary logarithm of how many. */
const WIDTHS: u64 = 0x5434321432100;

/** Bytes of one value; 0 for BOOL and bytes. */
export function typeWidth(type: u32): usize {
  return (1 << (<usize>(WIDTHS >> (<u64>type << 2)) & 15)) >> 1;
}

export function typeIsKnown(type: u32): bool {
  return type >= <u32>Type.BOOL && type <= <u32>Type.LARGE_BYTES;
}

// @ts-ignore: decorator
@inline
export function typeIsBytes(type: u32): bool {
  return type == <u32>Type.BYTES || type == <u32>Type.LARGE_BYTES;
}
