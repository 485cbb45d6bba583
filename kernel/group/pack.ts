// Packed rows: the keys of the HASH tier, next to each other in one row of fixed width.
//
// Widest keys first, then the null mask, then zeros up to a multiple of 8 bytes; a null key's value is zero.
// A lone 8-byte key is its own row and has no mask.

import { KeyColumn, keyWidth } from "./key-column";
import { Groups, NO_GROUP, groupsKey } from "./state";

/** Widest keys first, then the null mask; a lone 8-byte key needs no mask. */
export function layoutRow(groups: Groups): void {
  let offset: u32 = 0;
  for (let width: u32 = 16; width >= 4; width >>= 1) {
    for (let index: u32 = 0; index < groups.keyCount; index++) {
      const key = groupsKey(groups, index);
      key.width = keyWidth(key.type);
      if (key.width != width) continue;
      key.offset = offset;
      offset += width;
    }
  }
  groups.maskOffset = NO_GROUP;
  if (groups.keyCount != 1 || offset != 8) {
    groups.maskOffset = offset;
    offset += 4;
  }
  groups.rowWidth = (offset + 7) & ~7;
}

export function pack(groups: Groups, rows: u32): void {
  if (ASC_FEATURE_SIMD && packVectors(groups, rows)) return;
  const width: usize = groups.rowWidth;
  const packed = groups.packed;
  // Padding and mask are zero; keys overwrite the rest.
  const tail = packed + width - 8;
  for (let row: u32 = 0; row < rows; row++) store<u64>(tail + <usize>row * width, 0);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.width == 4) packColumn<u32>(groups, key, index, rows);
    else if (key.width == 8) packColumn<u64>(groups, key, index, rows);
    else packWide(groups, key, index, rows);
  }
}

/** Packs one key of 4 bytes, or two, without nulls, some rows at a time; whether they are that. */
function packVectors(groups: Groups, rows: u32): bool {
  if (groups.keyCount > 2) return false;
  const first = groupsKey(groups, 0);
  const second = groupsKey(groups, groups.keyCount - 1);
  if (first.width != 4 || second.width != 4 || (first.validity | second.validity) != 0) return false;
  const a = first.values;
  const b = second.values;
  let to = groups.packed;
  const whole = (<usize>(rows & ~3)) << 2;
  const end = (<usize>rows) << 2;
  let at: usize = 0;
  if (groups.keyCount == 1) {
    for (; at < whole; at += 16) {
      const four = v128.load(a + at);
      v128.store(to, i64x2.extend_low_i32x4_u(four));
      v128.store(to, i64x2.extend_high_i32x4_u(four), 16);
      to += 32;
    }
    for (; at < end; at += 4) {
      store<u64>(to, load<u32>(a + at));
      to += 8;
    }
    return true;
  }
  // The null mask, and four bytes of padding, are zero.
  const none = i64x2.splat(0);
  for (; at < whole; at += 16) {
    const lows = v128.load(a + at);
    const highs = v128.load(b + at);
    const near = v128.shuffle<i32>(lows, highs, 0, 4, 1, 5);
    const far = v128.shuffle<i32>(lows, highs, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<i64>(near, none, 0, 2));
    v128.store(to, v128.shuffle<i64>(near, none, 1, 2), 16);
    v128.store(to, v128.shuffle<i64>(far, none, 0, 2), 32);
    v128.store(to, v128.shuffle<i64>(far, none, 1, 2), 48);
    to += 64;
  }
  for (; at < end; at += 4) {
    store<u64>(to, <u64>load<u32>(a + at) | (<u64>load<u32>(b + at) << 32));
    store<u64>(to, 0, 8);
    to += 16;
  }
  return true;
}

function packColumn<T>(groups: Groups, key: KeyColumn, index: u32, rows: u32): void {
  const width: usize = groups.rowWidth;
  const target = groups.packed + <usize>key.offset;
  const values = key.values;
  const validity = key.validity;
  if (validity == 0) {
    for (let row: u32 = 0; row < rows; row++) {
      store<T>(target + <usize>row * width, load<T>(values + <usize>row * sizeof<T>()));
    }
    return;
  }
  const mask = groups.packed + <usize>groups.maskOffset;
  for (let row: u32 = 0; row < rows; row++) {
    const at = <usize>row * width;
    if ((load<u8>(validity + <usize>(row >> 3)) >> <u8>(row & 7)) & 1) {
      store<T>(target + at, load<T>(values + <usize>row * sizeof<T>()));
    } else {
      store<T>(target + at, 0);
      store<u32>(mask + at, load<u32>(mask + at) | ((<u32>1) << index));
    }
  }
}

function packWide(groups: Groups, key: KeyColumn, index: u32, rows: u32): void {
  const width: usize = groups.rowWidth;
  const mask = groups.packed + <usize>groups.maskOffset;
  for (let row: u32 = 0; row < rows; row++) {
    const at = <usize>row * width;
    const target = groups.packed + at + <usize>key.offset;
    const valid = key.validity == 0 || (load<u8>(key.validity + <usize>(row >> 3)) >> <u8>(row & 7)) & 1;
    store<u64>(target, valid ? load<u64>(key.values + ((<usize>row) << 4)) : 0);
    store<u64>(target, valid ? load<u64>(key.values + ((<usize>row) << 4), 8) : 0, 8);
    if (!valid) store<u32>(mask + at, load<u32>(mask + at) | ((<u32>1) << index));
  }
}
