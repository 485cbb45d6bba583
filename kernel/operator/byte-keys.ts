// Keys that lie in bytes (Column.NARROW), up to two of them, whose groups are computed: what they come to is read from the bytes
// themselves, where groups have all of them already.

import { Vector } from "../column/vector";
import { programBytes, programOutput } from "../expression/program";
import { directSpan } from "../group/direct";
import { KeyColumn, keyKnowsCodes } from "../group/key-column";
import { groupsKey } from "../group/state";
import { Aggregation, groupsOf } from "./aggregation";

/** Whether all keys of the bound batch lie in bytes, without nulls. */
export function byteKeysAreThere(self: Aggregation): bool {
  const groups = groupsOf(self);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    if (programBytes(self.program, groupsKey(groups, index).output) == 0) return false;
  }
  return groups.keyCount != 0;
}

/** Whether groups have all keys of the vector at hand, as they are in its bytes: so many from that of zeros on, by strides. */
export function byteKeysAreKnown(self: Aggregation, rows: u32): bool {
  const groups = groupsOf(self);
  if (directSpan(groups) > min(groups.count, self.reserved)) return false;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.high > <i64>key.mask || !isKnown(self, key, rows)) return false;
  }
  return true;
}

function isKnown(self: Aggregation, key: KeyColumn, rows: u32): bool {
  if (key.interner == 0) {
    const bytes = programBytes(self.program, key.output);
    return <i64>leastByte(bytes, rows) >= key.low && <i64>mostByte(bytes, rows) <= key.high;
  }
  return keyKnowsCodes(key, changetype<Vector>(programOutput(self.program, key.output)));
}

/** The greatest of some bytes; 0 of none. */
export function mostByte(bytes: usize, rows: u32): u32 {
  return 255 - leastOf(bytes, rows, i8x16.splat(-1));
}

function leastByte(bytes: usize, rows: u32): u32 {
  return leastOf(bytes, rows, i8x16.splat(0));
}

/** The least of some bytes that are turned over where `turned` has bits; 255 of none. */
function leastOf(bytes: usize, rows: u32, turned: v128): u32 {
  let least = i8x16.splat(-1);
  const end = bytes + <usize>rows;
  for (const whole = bytes + <usize>(rows & ~15); bytes < whole; bytes += 16) least = i8x16.min_u(least, v128.xor(v128.load(bytes), turned));
  for (; bytes < end; bytes++) least = i8x16.min_u(least, v128.xor(i8x16.splat(load<i8>(bytes)), turned));
  least = i8x16.min_u(least, v128.shuffle<i64>(least, least, 1, 0));
  least = i8x16.min_u(least, v128.shuffle<i32>(least, least, 1, 0, 3, 2));
  least = i8x16.min_u(least, v128.shuffle<i16>(least, least, 1, 0, 3, 2, 5, 4, 7, 6));
  return min<u32>(i8x16.extract_lane_u(least, 0), i8x16.extract_lane_u(least, 1));
}
