// Keys that lie in bytes (Column.NARROW), up to two of them, whose groups are computed: what they come to is read from the bytes
// themselves, where groups have all of them already.
//
// Where rows need numbers of groups these are made of the bytes, too, nulls and all: null is 255, one more is a byte of 0, and
// that is null's code. Means of three columns by 100 integers, a twentieth of each null: 0.85 of the time, as a quarter of the key
// has to come from memory, and a vector has four times as many lanes.

import { Vector } from "../column/vector";
import { programBytes, programBytesOrNulls, programOutput } from "../expression/program";
import { directSpan, markOccupied } from "../group/direct";
import { KeyColumn, keyKnowsCodes } from "../group/key-column";
import { Groups, Tier, groupsKey } from "../group/state";
import { Aggregation, groupsOf } from "./aggregation";
import { isRetracting } from "./aggregate-retract";

/** Whether groups are computed from up to two keys of four bytes, as they are brought to normal form. */
export function areComputed(groups: Groups): bool {
  if (groups.tier != <u32>Tier.DIRECT || groups.keyCount > 2 || groups.extra != 0) return false;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.codes != 0 || key.width != 4) return false;
  }
  return true;
}

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
  const vector = changetype<Vector>(programOutput(self.program, key.output));
  if (key.interner != 0) return keyKnowsCodes(key, vector);
  const bytes = programBytesOrNulls(self.program, key.output);
  const most = vector.validity == 0 ? <i32>mostByte(bytes, rows) : mostBeforeNull(bytes, rows);
  return most < 0 || (<i64>leastByte(bytes, rows) >= key.low && <i64>most <= key.high);
}

/**
 * Numbers the groups of the vector at hand by the bytes of its keys, which may be null; false, with nothing done, where these do
 * not lie there, or groups have not all of them. Groups that have rows are still to be marked: `byteKeysMark`.
 */
export function byteKeysNumber(self: Aggregation, rows: u32): bool {
  const groups = groupsOf(self);
  if (!ASC_FEATURE_SIMD || groups.keyCount == 0 || !areComputed(groups) || isRetracting(self)) return false;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    if (programBytesOrNulls(self.program, groupsKey(groups, index).output) == 0) return false;
  }
  if (!byteKeysAreKnown(self, rows)) return false;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    const bytes = programBytesOrNulls(self.program, key.output);
    addNumbers(bytes, rows, key.stride, hasNulls(self, key), self.numbers, index != 0);
  }
  return true;
}

/** Marks the groups that rows have been numbered by. */
export function byteKeysMark(self: Aggregation, rows: u32): void {
  const groups = groupsOf(self);
  const nulls = hasNulls(self, groupsKey(groups, 0)) || hasNulls(self, groupsKey(groups, groups.keyCount - 1));
  markOccupied(groups, rows, self.numbers, nulls);
}

function hasNulls(self: Aggregation, key: KeyColumn): bool {
  return changetype<Vector>(programOutput(self.program, key.output)).validity != 0;
}

/** Writes the codes of a key by its stride, each value's one more than its byte, null's 0; `more`: adds them to numbers there. */
function addNumbers(bytes: usize, rows: u32, stride: u32, nulls: bool, numbers: usize, more: bool): void {
  const strides = i32x4.splat(stride);
  const there = i32x4.splat(more ? -1 : 0);
  // Bytes wrap, and wider lanes do not.
  const before = i8x16.splat(nulls ? 1 : 0);
  const after = i32x4.splat(nulls ? 0 : 1);
  let row: u32 = 0;
  for (const whole = rows & ~15; row < whole; row += 16) {
    const codes = i8x16.add(v128.load(bytes + <usize>row), before);
    const near = i16x8.extend_low_i8x16_u(codes);
    const far = i16x8.extend_high_i8x16_u(codes);
    const to = numbers + ((<usize>row) << 2);
    addFour(i32x4.extend_low_i16x8_u(near), after, strides, to, there);
    addFour(i32x4.extend_high_i16x8_u(near), after, strides, to + 16, there);
    addFour(i32x4.extend_low_i16x8_u(far), after, strides, to + 32, there);
    addFour(i32x4.extend_high_i16x8_u(far), after, strides, to + 48, there);
  }
  for (; row < rows; row++) {
    const byte: u32 = load<u8>(bytes + <usize>row);
    const code = nulls ? (byte + 1) & 255 : byte + 1;
    const to = numbers + ((<usize>row) << 2);
    store<u32>(to, code * stride + (more ? load<u32>(to) : 0));
  }
}

// @ts-ignore: decorator
@inline
function addFour(codes: v128, after: v128, strides: v128, to: usize, there: v128): void {
  const numbers = i32x4.mul(i32x4.add(codes, after), strides);
  v128.store(to, i32x4.add(numbers, v128.and(v128.load(to), there)));
}

/** The greatest of some bytes; 0 of none. */
export function mostByte(bytes: usize, rows: u32): u32 {
  return 255 - leastOf(bytes, rows, i8x16.splat(-1), i8x16.splat(0));
}

/** The greatest of those that are not 255; -1 of none. */
function mostBeforeNull(bytes: usize, rows: u32): i32 {
  return 254 - <i32>leastOf(bytes, rows, i8x16.splat(-1), i8x16.splat(-1));
}

function leastByte(bytes: usize, rows: u32): u32 {
  return leastOf(bytes, rows, i8x16.splat(0), i8x16.splat(0));
}

/** The least of some bytes that are turned over where `turned` has bits, and have `more` added then; 255 of none. */
function leastOf(bytes: usize, rows: u32, turned: v128, more: v128): u32 {
  let least = i8x16.splat(-1);
  const end = bytes + <usize>rows;
  for (const whole = bytes + <usize>(rows & ~15); bytes < whole; bytes += 16)
    least = i8x16.min_u(least, i8x16.add(v128.xor(v128.load(bytes), turned), more));
  for (; bytes < end; bytes++) least = i8x16.min_u(least, i8x16.add(v128.xor(i8x16.splat(load<i8>(bytes)), turned), more));
  least = i8x16.min_u(least, v128.shuffle<i64>(least, least, 1, 0));
  least = i8x16.min_u(least, v128.shuffle<i32>(least, least, 1, 0, 3, 2));
  least = i8x16.min_u(least, v128.shuffle<i16>(least, least, 1, 0, 3, 2, 5, 4, 7, 6));
  return min<u32>(i8x16.extract_lane_u(least, 0), i8x16.extract_lane_u(least, 1));
}
