// Sorting 64-bit words, no two of which are equal, as unsigned integers.
//
// A key's leading bits stand in a word's high bits and the row number in its low ones, so a sort of plain
// words is a stable sort of rows, and ties need no care. What a range's words have in common is found first
// (one pass of xor and or), so digits that are all equal cost nothing.
//
//   more words than the cache holds   most significant digit first: scatter into 256 parts, then each part
//   up to CACHE_WORDS                 the 16 highest bits that differ, two least-significant-digit passes in
//                                     the cache, then the (few, small) groups that are equal in those
//   up to SHORT                       8 bits at once, then the groups
//   up to INSERTION                   insertion
//
// Each level needs 2 KiB of scratch, and there are at most 8 levels.
//
// Tried and lost: reading the line behind each place of the first scatter, that it comes while the words before it are moved
// (1.05 of the time of 10 million words).

import { scratchMark, scratchReset, scratchTake } from "../memory/context";

/** Words of a part that its two buffers keep in the second-level cache. */
const CACHE_WORDS: u32 = 32768;
const SHORT: u32 = 1024;
const INSERTION: u32 = 24;

/** Fault switch for tests: every size is "more than the cache holds" down to this one. */
const TINY_CACHE: u32 = 32;

/**
 * Sorts the `count` words at `words`. `other` has room for as many and is overwritten; the result lies there
 * if `inOther`, and at `words` if not. `cache`: `CACHE_WORDS`, or less in tests.
 */
export function sortWords(
  context: usize,
  words: usize,
  other: usize,
  count: u32,
  inOther: bool,
  tiny: bool,
): void {
  if (count <= INSERTION) {
    insertionSort(words, count);
    if (inOther) memory.copy(other, words, (<usize>count) << 3);
    return;
  }
  const low = 64 - <u32>clz<u64>(differingBits(words, count));
  const mark = scratchMark(context);
  if (count > (tiny ? TINY_CACHE : CACHE_WORDS)) sortParts(context, words, other, count, low, inOther, tiny);
  else if (count <= SHORT || low <= 8) sortByDigit(context, words, other, count, low, inOther, tiny);
  else sortByTwoDigits(context, words, other, count, low, inOther, tiny);
  scratchReset(context, mark);
}

/** The bits in which any two of the words differ. */
function differingBits(words: usize, count: u32): u64 {
  const first = load<u64>(words);
  let bits: u64 = 0;
  let at = words;
  const end = words + ((<usize>count) << 3);
  if (ASC_FEATURE_SIMD) {
    const all = i64x2.splat(<i64>first);
    let any = i64x2.splat(0);
    for (; at + 16 <= end; at += 16) any = v128.or(any, v128.xor(v128.load(at), all));
    bits = <u64>i64x2.extract_lane(any, 0) | <u64>i64x2.extract_lane(any, 1);
  }
  for (; at < end; at += 8) bits |= load<u64>(at) ^ first;
  return bits;
}

function insertionSort(words: usize, count: u32): void {
  const end = words + ((<usize>count) << 3);
  for (let next = words + 8; next < end; next += 8) {
    const word = load<u64>(next);
    let at = next;
    while (at > words && load<u64>(at - 8) > word) {
      store<u64>(at, load<u64>(at - 8));
      at -= 8;
    }
    store<u64>(at, word);
  }
}

/** Adds each word's digit `(word >> shift) & mask` to the u32 counts. */
function countDigits(words: usize, count: u32, shift: u64, mask: u64, counts: usize): void {
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) {
    const slot = counts + (<usize>((load<u64>(at) >> shift) & mask) << 2);
    store<u32>(slot, load<u32>(slot) + 1);
  }
}

/** Counts become the addresses at which each digit's words begin, from `start` on. */
function startAddresses(counts: usize, digits: u32, start: usize): void {
  let address = start;
  for (let digit: u32 = 0; digit < digits; digit++) {
    const slot = counts + ((<usize>digit) << 2);
    const some: usize = load<u32>(slot);
    store<u32>(slot, <u32>address);
    address += some << 3;
  }
}

/** Moves each word to the next address of its digit. */
function scatterWords(words: usize, count: u32, shift: u64, mask: u64, addresses: usize): void {
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) {
    const word = load<u64>(at);
    const slot = addresses + (<usize>((word >> shift) & mask) << 2);
    const to: usize = load<u32>(slot);
    store<u64>(to, word);
    store<u32>(slot, <u32>(to + 8));
  }
}

/** Moves the words into `other` by 8 bits from `shift` on; answers where each digit's words end (u32 each). */
function scatterByDigit(context: usize, words: usize, other: usize, count: u32, shift: u64): usize {
  const ends = scratchTake(context, 1024);
  memory.fill(ends, 0, 1024);
  countDigits(words, count, shift, 0xff, ends);
  startAddresses(ends, 256, other);
  scatterWords(words, count, shift, 0xff, ends);
  return ends;
}

/** By the 8 highest differing bits into `other`; then each part by itself, back into `words` or in place. */
function sortParts(
  context: usize,
  words: usize,
  other: usize,
  count: u32,
  low: u32,
  inOther: bool,
  tiny: bool,
): void {
  const shift: u64 = low > 8 ? low - 8 : 0;
  const ends = scatterByDigit(context, words, other, count, shift);
  let start = other;
  for (let digit: usize = 0; digit < 256; digit++) {
    const end: usize = load<u32>(ends + (digit << 2));
    const some = <u32>((end - start) >> 3);
    if (some != 0) sortWords(context, start, words + (start - other), some, !inOther, tiny);
    start = end;
  }
}

/** By the 8 highest differing bits into `other`, then what is equal in them. */
function sortByDigit(
  context: usize,
  words: usize,
  other: usize,
  count: u32,
  low: u32,
  inOther: bool,
  tiny: bool,
): void {
  const shift: u64 = low > 8 ? low - 8 : 0;
  const ends = scatterByDigit(context, words, other, count, shift);
  if (shift != 0) {
    let start = other;
    for (let digit: usize = 0; digit < 256; digit++) {
      const end: usize = load<u32>(ends + (digit << 2));
      const some = <u32>((end - start) >> 3);
      if (some > 1) sortWords(context, start, words + (start - other), some, false, tiny);
      start = end;
    }
  }
  if (!inOther) memory.copy(words, other, (<usize>count) << 3);
}

/** By the 16 highest differing bits, least significant digit first, then what is equal in them. */
function sortByTwoDigits(
  context: usize,
  words: usize,
  other: usize,
  count: u32,
  low: u32,
  inOther: bool,
  tiny: bool,
): void {
  const second: u64 = low - 8;
  const first: u64 = low > 16 ? low - 16 : 0;
  const mask: u64 = (<u64>1 << (second - first)) - 1;
  const counts = scratchTake(context, 2048);
  memory.fill(counts, 0, 2048);
  countTwoDigits(words, count, first, mask, second, counts);
  startAddresses(counts, 256, other);
  startAddresses(counts + 1024, 256, words);
  scatterWords(words, count, first, mask, counts);
  scatterWords(other, count, second, 0xff, counts + 1024);
  if (first != 0) sortGroups(context, words, other, count, first, tiny);
  if (inOther) memory.copy(other, words, (<usize>count) << 3);
}

function countTwoDigits(words: usize, count: u32, first: u64, mask: u64, second: u64, counts: usize): void {
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) {
    const word = load<u64>(at);
    const one = counts + (<usize>((word >> first) & mask) << 2);
    store<u32>(one, load<u32>(one) + 1);
    const two = counts + (<usize>((word >> second) & 0xff) << 2);
    store<u32>(two, load<u32>(two, 1024) + 1, 1024);
  }
}

/** Sorts each group of words that are equal above bit `shift`; the groups themselves are in order. */
function sortGroups(context: usize, words: usize, other: usize, count: u32, shift: u64, tiny: bool): void {
  const end = words + ((<usize>count) << 3);
  let start = words;
  let digit = load<u64>(words) >> shift;
  for (let at = words + 8; at <= end; at += 8) {
    const next = at == end ? ~digit : load<u64>(at) >> shift;
    if (next == digit) continue;
    const some = <u32>((at - start) >> 3);
    if (some > 1) sortWords(context, start, other + (start - words), some, false, tiny);
    start = at;
    digit = next;
  }
}
