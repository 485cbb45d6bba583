// Appending single values to a builder: results and keys are written group by group.

import { Type } from "../abi/layout";
import { Builder, builderSetBit } from "./builder";

/** Appends the fixed-width value (a byte for BOOL) at `value`; room must have been reserved. */
export function builderAppendFixed(builder: Builder, value: usize): void {
  const row: usize = builder.length;
  switch (builder.type) {
    case Type.BOOL:
      builderSetBit(builder, builder.length, load<u8>(value));
      break;
    case Type.I8:
    case Type.U8:
      store<u8>(builder.values + row, load<u8>(value));
      break;
    case Type.I16:
    case Type.U16:
      store<u16>(builder.values + (row << 1), load<u16>(value));
      break;
    case Type.I32:
    case Type.U32:
    case Type.F32:
      store<u32>(builder.values + (row << 2), load<u32>(value));
      break;
    case Type.I128:
      store<u64>(builder.values + (row << 4), load<u64>(value));
      store<u64>(builder.values + (row << 4), load<u64>(value, 8), 8);
      break;
    default:
      store<u64>(builder.values + (row << 3), load<u64>(value));
  }
  builder.length++;
}
