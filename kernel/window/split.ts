// Splitting: which of a vector's rows belong to the later of two slices, as a bitmap, and values divided by it.
//
// Nearly all vectors of a stream that have more than one slice have two, next to each other. One edge tells them apart:
// no division a row, and no list of row numbers for either side. Values of both sides are written in one pass, each row
// to both places, of which one moves on; four 4-byte values at once are put together by a shuffle that is looked up.
//
// A slice number a row, two lists of row numbers made from these, and a gather by each, as it was before, cost 1.4 times
// as much over windows of 10 seconds by 100 keys, of whose vectors every other one is split (10 million rows; that the least and the
// greatest time are found without one comparison waiting for another has a part in that).

import { bitmapBytes, bitmapGet, bitmapTail } from "../column/bitmap";

/** Bytes of the shuffles of `splitNarrow`. */
export const SPLIT_SHUFFLES: usize = 256;
/** Bytes that the first side's values may reach past their end. */
export const SPLIT_SPARE: usize = 16;

/** Sets the bits of the rows at or after `edge`, in words that are zero past the last row; how many. */
export function splitTimes(times: usize, rows: u32, edge: i64, mask: usize): u32 {
  let ones: u64 = 0;
  for (let start: u32 = 0; start < rows; start += 64) {
    const from = times + ((<usize>start) << 3);
    const some = min<u32>(64, rows - start);
    let word: u64 = 0;
    let row: u32 = 0;
    if (ASC_FEATURE_SIMD) {
      const before = i64x2.splat(edge - 1);
      for (const whole = some & ~7; row < whole; row += 8) {
        const at = from + ((<usize>row) << 3);
        const first = i64x2.gt_s(v128.load(at), before);
        const second = i64x2.gt_s(v128.load(at, 16), before);
        const third = i64x2.gt_s(v128.load(at, 32), before);
        const fourth = i64x2.gt_s(v128.load(at, 48), before);
        const near = v128.shuffle<i32>(first, second, 0, 2, 4, 6);
        const far = v128.shuffle<i32>(third, fourth, 0, 2, 4, 6);
        word |= <u64>(<u32>i16x8.bitmask(i16x8.narrow_i32x4_s(near, far))) << row;
      }
    }
    for (; row < some; row++) word |= <u64>(load<i64>(from + ((<usize>row) << 3)) >= edge) << row;
    store<u64>(mask + <usize>(start >> 3), word);
    ones += popcnt<u64>(word);
  }
  return <u32>ones;
}

/** Sets the bits of the rows with number `high`; how many, or -1 where a row has neither that nor `low`. */
export function splitNumbers(numbers: usize, rows: u32, low: u32, high: u32, mask: usize): i32 {
  let ones: u64 = 0;
  for (let start: u32 = 0; start < rows; start += 64) {
    const from = numbers + ((<usize>start) << 2);
    const some = min<u32>(64, rows - start);
    let word: u64 = 0;
    let known: u64 = 0;
    for (let row: u32 = 0; row < some; row++) {
      const number = load<u32>(from + ((<usize>row) << 2));
      word |= <u64>(number == high) << row;
      known |= <u64>(number == high || number == low) << row;
    }
    if (known != bitmapTail(some)) return -1;
    store<u64>(mask + <usize>(start >> 3), word);
    ones += popcnt<u64>(word);
  }
  return <i32>ones;
}

/** Runs of rows of the same side. */
export function splitRuns(mask: usize, rows: u32): u32 {
  let changes: u64 = 0;
  let before: u64 = load<u64>(mask) & 1;
  for (let start: u32 = 0; start < rows; start += 64) {
    const word = load<u64>(mask + <usize>(start >> 3));
    changes += popcnt<u64>((word ^ ((word << 1) | before)) & bitmapTail(min<u32>(64, rows - start)));
    before = word >> 63;
  }
  return <u32>changes + 1;
}

/** Writes the numbers (u16) of one side's rows to `selection`. */
export function splitSelection(mask: usize, rows: u32, late: bool, selection: usize): void {
  const bytes = bitmapBytes(rows);
  let base: u32 = 0;
  for (let at: usize = 0; at < bytes; at += 8) {
    let word = load<u64>(mask + at);
    if (!late) word = ~word & bitmapTail(min<u32>(64, rows - base));
    while (word != 0) {
      store<u16>(selection, <u16>(base + <u32>ctz<u64>(word)));
      selection += 2;
      word &= word - 1;
    }
    base += 64;
  }
}

/** Fills the table of `splitNarrow`: for each four bits the bytes of the lanes that they name, moved together. */
export function splitShuffles(table: usize): void {
  for (let bits: u32 = 0; bits < 16; bits++) {
    const entry = table + ((<usize>bits) << 4);
    let lanes: u32 = 0;
    for (let lane: u32 = 0; lane < 4; lane++) {
      if (((bits >> lane) & 1) == 0) continue;
      store<u32>(entry + ((<usize>lanes) << 2), 0x03020100 + lane * 0x04040404);
      lanes++;
    }
    for (; lanes < 4; lanes++) store<u32>(entry + ((<usize>lanes) << 2), 0x80808080);
  }
}

/** Divides 4-byte values, in order: rows without a bit to `early`, the others to `late`. Both have SPLIT_SPARE behind them. */
export function splitNarrow(values: usize, mask: usize, rows: u32, table: usize, early: usize, late: usize): void {
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    for (const whole = rows & ~7; row < whole; row += 8) {
      const bits = load<u8>(mask + <usize>(row >> 3));
      const at = values + ((<usize>row) << 2);
      const near = <usize>(bits & 15);
      const far = <usize>(bits >> 4);
      const nearOnes = <usize>popcnt<u32>(<u32>near) << 2;
      const farOnes = <usize>popcnt<u32>(<u32>far) << 2;
      const first = v128.load(at);
      v128.store(late, i8x16.swizzle(first, v128.load(table + (near << 4))));
      v128.store(early, i8x16.swizzle(first, v128.load(table + ((near ^ 15) << 4))));
      late += nearOnes;
      early += 16 - nearOnes;
      const second = v128.load(at, 16);
      v128.store(late, i8x16.swizzle(second, v128.load(table + (far << 4))));
      v128.store(early, i8x16.swizzle(second, v128.load(table + ((far ^ 15) << 4))));
      late += farOnes;
      early += 16 - farOnes;
    }
  }
  for (; row < rows; row++) {
    const value = load<u32>(values + ((<usize>row) << 2));
    const one = bitmapGet(mask, row);
    store<u32>(late, value);
    store<u32>(early, value);
    late += (<usize>one) << 2;
    early += (<usize>(one ^ 1)) << 2;
  }
}

/** The same of values of another width. */
export function splitFixed<T>(values: usize, mask: usize, rows: u32, early: usize, late: usize): void {
  for (let start: u32 = 0; start < rows; start += 64) {
    let word = load<u64>(mask + <usize>(start >> 3));
    const from = values + <usize>start * sizeof<T>();
    const end = from + <usize>min<u32>(64, rows - start) * sizeof<T>();
    for (let at = from; at < end; at += sizeof<T>()) {
      const value = load<T>(at);
      const one = <usize>word & 1;
      store<T>(late, value);
      store<T>(early, value);
      late += one * sizeof<T>();
      early += (one ^ 1) * sizeof<T>();
      word >>= 1;
    }
  }
}

/** The same of values of 16 bytes. */
export function splitWide(values: usize, mask: usize, rows: u32, early: usize, late: usize): void {
  for (let row: u32 = 0; row < rows; row++) {
    const at = values + ((<usize>row) << 4);
    const low = load<u64>(at);
    const high = load<u64>(at, 8);
    const one = bitmapGet(mask, row);
    const to = one ? late : early;
    store<u64>(to, low);
    store<u64>(to, high, 8);
    if (one) late += 16;
    else early += 16;
  }
}
