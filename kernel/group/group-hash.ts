// The key hash (key-hash.ts) of groups that are there: the partition that all their rows would go to.

import { Type } from "../abi/layout";
import { hashBytes, hashFinish, hashMix } from "../hash/hash";
import { groupKeyValue } from "./emit";
import { internedAddress, internedLength } from "./interner";
import { NULL_WORD } from "./key-hash";
import { Groups, groupsKey } from "./state";

/** The partition of `parts` that a group's keys belong to; `scratch` has room for 16 bytes. */
export function groupPart(groups: Groups, group: u32, parts: u32, scratch: usize): u32 {
  let hash: u64 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    if (!groupKeyValue(groups, index, group, scratch)) hash = hashMix(hash, NULL_WORD);
    else hash = mixValue(hash, groups, index, scratch);
  }
  return <u32>(((hashFinish(hash) >> 32) * <u64>parts) >> 32);
}

/** Mixes in a value's normal form (key-column.ts): integers of up to 32 bits have 4 bytes. */
function mixValue(hash: u64, groups: Groups, index: u32, value: usize): u64 {
  const key = groupsKey(groups, index);
  switch (key.type) {
    case Type.BYTES: {
      const id = load<u32>(value);
      return hashMix(hash, hashBytes(internedAddress(key.interner, id), internedLength(key.interner, id)));
    }
    case Type.I8:
    case Type.I16:
    case Type.I32:
      return hashMix(hash, <u64>(<i64>load<i32>(value)));
    case Type.BOOL:
    case Type.U8:
    case Type.U16:
    case Type.U32:
      return hashMix(hash, load<u32>(value));
    case Type.F32: {
      const float = <f64>load<f32>(value);
      return hashMix(hash, float != float ? 0x7ff8000000000000 : reinterpret<u64>(float));
    }
    case Type.I128:
      return hashMix(hashMix(hash, load<u64>(value)), load<u64>(value, 8));
    default:
      return hashMix(hash, load<u64>(value));
  }
}
