// Rows by their times: numbers of rows, put in the ascending order of 64-bit times that lie apart from them.
//
// A word a row: how far its time is after the least one, and in the low bits its place in the list, so that plain
// words are sorted (kernel/sort/radix.ts). Where the times' range does not fit beside the places, the words have its
// high bits first; then each run of rows that are equal in those has the rest, which does.

import { sortWords } from "../sort/radix";

/**
 * Sorts the `count` rows, two at least (u32 each at `rows`), by their times (i64 at `times`, by row). `words` and `other`
 * are room for 8 bytes a row each.
 */
export function orderByTime(context: usize, rows: usize, times: usize, count: u32, words: usize, other: usize): void {
  let least = i64.MAX_VALUE;
  let most = i64.MIN_VALUE;
  for (let at: u32 = 0; at < count; at++) {
    const time = timeOf(times, rows, at);
    least = min(least, time);
    most = max(most, time);
  }
  const place: u64 = 32 - <u64>clz<u32>(count - 1);
  const range: u64 = 64 - clz<u64>(<u64>most - <u64>least);
  const cut: u64 = range + place > 64 ? range + place - 64 : 0;
  for (let at: u32 = 0; at < count; at++) {
    const distance = <u64>timeOf(times, rows, at) - <u64>least;
    store<u64>(words + ((<usize>at) << 3), ((distance >> cut) << place) | <u64>at);
  }
  sortWords(context, words, other, count, false, false);
  const mask: u64 = (<u64>1 << place) - 1;
  if (cut != 0) resolve(context, rows, times, count, words, other, place, mask, cut);
  // The rows move by way of the other buffer: the list is read at random and written in order.
  for (let at: u32 = 0; at < count; at++) {
    const from = <usize>(load<u64>(words + ((<usize>at) << 3)) & mask);
    store<u32>(other + ((<usize>at) << 2), load<u32>(rows + (from << 2)));
  }
  memory.copy(rows, other, (<usize>count) << 2);
}

// @ts-ignore: decorator
@inline
function timeOf(times: usize, rows: usize, at: u32): i64 {
  return load<i64>(times + ((<usize>load<u32>(rows + ((<usize>at) << 2))) << 3));
}

/** Sorts each run of words that are equal above their places by the `cut` low bits of the times. */
function resolve(
  context: usize,
  rows: usize,
  times: usize,
  count: u32,
  words: usize,
  other: usize,
  place: u64,
  mask: u64,
  cut: u64,
): void {
  const low: u64 = (<u64>1 << cut) - 1;
  let least = i64.MAX_VALUE;
  for (let at: u32 = 0; at < count; at++) least = min(least, timeOf(times, rows, at));
  let start: u32 = 0;
  for (let at: u32 = 1; at <= count; at++) {
    const word = words + ((<usize>start) << 3);
    if (at < count && load<u64>(words + ((<usize>at) << 3)) >> place == load<u64>(word) >> place) continue;
    if (at - start > 1) {
      for (let row = start; row < at; row++) {
        const slot = words + ((<usize>row) << 3);
        const index = load<u64>(slot) & mask;
        const distance = <u64>timeOf(times, rows, <u32>index) - <u64>least;
        store<u64>(slot, ((distance & low) << place) | index);
      }
      sortWords(context, word, other, at - start, false, false);
    }
    start = at;
  }
}
