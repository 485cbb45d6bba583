// Adding a vector's integers to lanes of 64 bits by group: alone, or with a count of rows beside them.
//
// Rows go from group numbers, or from the keys that these are computed from, to their lanes in one loop. Places of eight rows
// are computed as vectors a turn before the rows are added, while those of the turn before are: an address comes out of a
// vector's lane late, and what is loaded from there, and stored, would wait for it.
//
// The loop alone, over 10 million rows, of what it takes where four rows are added as soon as their places are there (AMD Zen
// 4): by one key of 100 values 0.84, with the count beside the sum 0.82; by two of 100 each 0.87, in the cache 0.65; by numbers
// of 100,000 groups 0.83. Four rows a turn, a turn ahead: 0.86 and 0.89 by one key. Places written down by one loop and read by
// another: 1.1 by two keys. By groups that lie on more than some three pages, hardly anything comes from memory before the
// loop asks for it, as it does by fewer: the processor takes their lanes for streams. Tried and lost against that: first lines
// of a page, or a few rows' lines, read ahead (1.04 to 1.4); all lines of 16,384 rows, as load.ts does, take what they save.

import { addBoth, addToTwo, twoOf } from "./lanes";

// Type parameters: `T` is i32, u32 or i64, what is added. `C` is u8 for the sum alone, u16 where the count of rows lies behind
// it, u32 where it lies before it.

/** Adds rows by their groups' numbers (u32 each); those of group 0 at `lanes`. */
export function addByNumbers<T, C>(lanes: usize, numbers: usize, values: usize, rows: u32): void {
  addRows<T, C, u8>(lanes, numbers, -1, 0, -1, 0, 0, 0, values, rows);
}

/**
 * Adds rows by keys (u32 each), of which `mask` is taken; those of key 0 at `lanes`. False where a key is not from `low` to
 * `low + span`.
 */
export function addByKey<T, C>(lanes: usize, keys: usize, mask: u32, low: u32, span: u32, values: usize, rows: u32): bool {
  return addRows<T, C, u16>(lanes, keys, mask, low, span, 0, 0, 0, values, rows);
}

/** Adds rows by two keys, of which masks are taken; the second's values are `stride` groups apart. */
export function addByKeys<T, C>(
  lanes: usize,
  keys: usize,
  mask: u32,
  others: usize,
  otherMask: u32,
  stride: u32,
  values: usize,
  rows: u32,
): void {
  addRows<T, C, u32>(lanes, keys, mask, 0, -1, others, otherMask, stride, values, rows);
}

/** `K` is u8 for numbers, u16 for one key, u32 for two. */
function addRows<T, C, K>(
  lanes: usize,
  keys: usize,
  mask: u32,
  low: u32,
  span: u32,
  others: usize,
  otherMask: u32,
  stride: u32,
  values: usize,
  rows: u32,
): bool {
  const shift = sizeof<C>() == 1 ? 3 : 4;
  const whole = rows & ~7;
  const lows = i32x4.splat(low);
  let distances = i32x4.splat(0);
  if (whole != 0) {
    const bases = i32x4.splat(<u32>lanes);
    const masks = i32x4.splat(mask);
    const otherMasks = i32x4.splat(otherMask);
    const strides = i32x4.splat(stride << shift);
    const last = (<usize>whole << 2) - 32;
    let at: usize = 0;
    let first = v128.load(keys);
    let second = v128.load(keys, 16);
    if (sizeof<K>() == 2) distances = i32x4.max_u(i32x4.sub(first, lows), i32x4.sub(second, lows));
    first = placesOf<C, K>(bases, first, masks, others, otherMasks, strides);
    second = placesOf<C, K>(bases, second, masks, others + 16, otherMasks, strides);
    let from = values;
    const end = values + <usize>whole * sizeof<T>();
    do {
      // The last turn computes its own places again.
      at = min(at + 32, last);
      let third = v128.load(keys + at);
      let fourth = v128.load(keys + at, 16);
      if (sizeof<K>() == 2) {
        distances = i32x4.max_u(distances, i32x4.sub(third, lows));
        distances = i32x4.max_u(distances, i32x4.sub(fourth, lows));
      }
      third = placesOf<C, K>(bases, third, masks, others + at, otherMasks, strides);
      fourth = placesOf<C, K>(bases, fourth, masks, others + at + 16, otherMasks, strides);
      addTwo<T, C>(i64x2.extract_lane(first, 0), from);
      addTwo<T, C>(i64x2.extract_lane(first, 1), from + 2 * sizeof<T>());
      addTwo<T, C>(i64x2.extract_lane(second, 0), from + 4 * sizeof<T>());
      addTwo<T, C>(i64x2.extract_lane(second, 1), from + 6 * sizeof<T>());
      first = third;
      second = fourth;
      from += 8 * sizeof<T>();
    } while (from < end);
  }
  for (let row = whole; row < rows; row++) {
    const key = load<u32>(keys + ((<usize>row) << 2));
    if (sizeof<K>() == 2) distances = i32x4.max_u(distances, i32x4.splat(key - low));
    let group = key & mask;
    if (sizeof<K>() == 4) group += (load<u32>(others + ((<usize>row) << 2)) & otherMask) * stride;
    addOne(lanes + ((<usize>group) << shift), <i64>load<T>(values + <usize>row * sizeof<T>()), sizeof<C>());
  }
  return sizeof<K>() != 2 || i32x4.all_true(i32x4.le_u(distances, i32x4.splat(span)));
}

/** Where the lanes of four rows' groups lie. */
// @ts-ignore: decorator
@inline
function placesOf<C, K>(bases: v128, keys: v128, masks: v128, others: usize, otherMasks: v128, strides: v128): v128 {
  const codes = sizeof<K>() == 1 ? keys : v128.and(keys, masks);
  const places = i32x4.add(bases, i32x4.shl(codes, sizeof<C>() == 1 ? 3 : 4));
  if (sizeof<K>() != 4) return places;
  return i32x4.add(places, i32x4.mul(v128.and(v128.load(others), otherMasks), strides));
}

/** Adds two rows in the places at both halves of `places`. */
// @ts-ignore: decorator
@inline
function addTwo<T, C>(places: u64, values: usize): void {
  const two = twoOf<T>(values);
  if (sizeof<C>() == 1) {
    addToTwo(places, two);
    return;
  }
  const ones = i64x2.splat(1);
  addBoth(<u32>places, sizeof<C>() == 4 ? v128.shuffle<i64>(ones, two, 0, 2) : v128.shuffle<i64>(two, ones, 0, 2));
  addBoth(<usize>(places >> 32), sizeof<C>() == 4 ? v128.shuffle<i64>(ones, two, 1, 3) : v128.shuffle<i64>(two, ones, 1, 3));
}

/** Adds a row, whose count of rows is as `C` of the given size says. */
function addOne(at: usize, value: i64, count: u32): void {
  if (count == 4) {
    store<i64>(at, load<i64>(at) + 1);
    at += 8;
  }
  store<i64>(at, load<i64>(at) + value);
  if (count == 2) store<i64>(at, load<i64>(at, 8) + 1, 8);
}
