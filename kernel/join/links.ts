// From key numbers to kept rows.
//
// A link is a row plus one, 0 where there is none: heads have the link of each key's last row. The links of many numbers
// are read first, all of them, and only then is it listed which rows have one: each read may be a miss, and more are on
// their way at once while no place hangs on what they find. In one loop with the list a stream of two sides of 5 million
// rows takes 1.1 times the time.

import { packFour } from "../column/pack";

/**
 * The last row of a key number, plus one; 0 where there is none. A row without a number meets the head behind the last
 * one, which is always 0: whether a row has a number is as good as random, and no branch hangs on it.
 */
// @ts-ignore: decorator
@inline
export function linkOf(heads: usize, count: u32, number: u32): u32 {
  return load<u32>(heads + ((<usize>min<u32>(number, count)) << 2));
}

/** The links of `rows` key numbers, u32 each, to `links`, which may be where the numbers are. */
export function linksFind(heads: usize, count: u32, numbers: usize, rows: u32, links: usize): void {
  const end = numbers + ((<usize>rows) << 2);
  for (; numbers + 8 <= end; numbers += 8) {
    const pair = load<u64>(numbers);
    const first = linkOf(heads, count, <u32>pair);
    const second = linkOf(heads, count, <u32>(pair >> 32));
    store<u64>(links, <u64>first | (<u64>second << 32));
    links += 8;
  }
  if (numbers < end) store<u32>(links, linkOf(heads, count, load<u32>(numbers)));
}

/** The same of values of four bytes, whose key numbers are their distances from `low`. */
export function linksFindFrom(heads: usize, count: u32, low: u32, values: usize, rows: u32, links: usize): void {
  const end = values + ((<usize>rows) << 2);
  for (; values + 8 <= end; values += 8) {
    const pair = load<u64>(values);
    const first = linkOf(heads, count, <u32>pair - low);
    const second = linkOf(heads, count, <u32>(pair >> 32) - low);
    store<u64>(links, <u64>first | (<u64>second << 32));
    links += 8;
  }
  if (values < end) store<u32>(links, linkOf(heads, count, load<u32>(values) - low));
}

/** Which rows a list takes: those with a link, those without, or all. */
export const enum Listed {
  LINKED = 0,
  UNLINKED = 1,
  ALL = 2,
}

/**
 * Lists rows (u32 each to `mine`, numbered from `first` on), and beside each what its link leads to (to `theirs`; NO_ROW
 * where it has none); SIMD: also as a bitmap from bit 0 on, where `bits` is not 0. There is room for all in each list.
 * How many are listed.
 */
export function linksList(
  links: usize,
  rows: u32,
  first: u32,
  listed: Listed,
  mine: usize,
  theirs: usize,
  bits: usize,
  packing: usize,
): u32 {
  let found: usize = 0;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const all: u32 = listed == Listed.ALL ? 255 : 0;
    const turned: u32 = listed == Listed.UNLINKED ? 0 : 255;
    const one = i32x4.splat(1);
    const zero = i32x4.splat(0);
    let four = i32x4.add(i32x4.splat(<i32>first), i32x4(0, 1, 2, 3));
    for (; row + 8 <= rows; row += 8) {
      const low = v128.load(links + ((<usize>row) << 2));
      const high = v128.load(links + ((<usize>row) << 2), 16);
      const empty = <u32>i32x4.bitmask(i32x4.eq(low, zero)) | (<u32>i32x4.bitmask(i32x4.eq(high, zero)) << 4);
      const set = (empty ^ turned) | all;
      if (bits != 0) store<u8>(bits + <usize>(row >> 3), <u8>set);
      v128.store(theirs + found, packFour(i32x4.sub(low, one), set & 15, packing));
      v128.store(mine + found, packFour(four, set & 15, packing));
      found += (<usize>popcnt<u32>(set & 15)) << 2;
      four = i32x4.add(four, i32x4.splat(4));
      v128.store(theirs + found, packFour(i32x4.sub(high, one), set >> 4, packing));
      v128.store(mine + found, packFour(four, set >> 4, packing));
      found += (<usize>popcnt<u32>(set >> 4)) << 2;
      four = i32x4.add(four, i32x4.splat(4));
    }
    if (row < rows && bits != 0) store<u8>(bits + <usize>(row >> 3), 0);
  }
  for (; row < rows; row++) {
    const link = load<u32>(links + ((<usize>row) << 2));
    const takes: u32 = listed == Listed.ALL || (link != 0) == (listed == Listed.LINKED) ? 1 : 0;
    store<u32>(mine + found, first + row);
    store<u32>(theirs + found, link - 1);
    if (ASC_FEATURE_SIMD && bits != 0) {
      const byte = bits + <usize>(row >> 3);
      store<u8>(byte, load<u8>(byte) | <u8>(takes << (row & 7)));
    }
    found += (<usize>takes) << 2;
  }
  return <u32>(found >> 2);
}
