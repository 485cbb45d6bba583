// Facts about physical types.

import { Type } from "../abi/layout";

/** Bytes of one value; 0 for BOOL and bytes. */
export function typeWidth(type: u32): usize {
  switch (type) {
    case Type.I8:
    case Type.U8:
      return 1;
    case Type.I16:
    case Type.U16:
      return 2;
    case Type.I32:
    case Type.U32:
    case Type.F32:
      return 4;
    case Type.I64:
    case Type.U64:
    case Type.F64:
      return 8;
    case Type.I128:
      return 16;
    default:
      return 0;
  }
}

export function typeIsKnown(type: u32): bool {
  return type >= <u32>Type.BOOL && type <= <u32>Type.LARGE_BYTES;
}

// @ts-ignore: decorator
@inline
export function typeIsBytes(type: u32): bool {
  return type == <u32>Type.BYTES || type == <u32>Type.LARGE_BYTES;
}
