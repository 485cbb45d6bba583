// Typed arrays of integers by their physical type.

import { Type } from "../../../kernel/abi/layout.js";

/** Up to 32 bits: elements are numbers. */
export const NARROW_ARRAYS = {
  [Type.I8]: Int8Array,
  [Type.U8]: Uint8Array,
  [Type.I16]: Int16Array,
  [Type.U16]: Uint16Array,
  [Type.I32]: Int32Array,
  [Type.U32]: Uint32Array,
} as const;

/** All: elements of 64 bits are bigints. */
export const INTEGER_ARRAYS = {
  ...NARROW_ARRAYS,
  [Type.I64]: BigInt64Array,
  [Type.U64]: BigUint64Array,
} as const;
