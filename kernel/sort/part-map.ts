// Parts of about as many rows each within one store, where the highest bits of the words do not make such: floats, half
// of which may have one exponent, or one value far from all others.
//
// A sample of the words tells how many rows each of 4096 slots has, the values of a word's highest bits. As many bounds of
// parts as fall in a slot when the sample is cut into even parts lie there at even distances:
//
//   word - low:   | slot, 12 bits | distance in the slot, 16 bits | ... |       part = base + (distance * cuts + 1/2 >> 16)
//   slot's entry:   base, cuts (u16 each)
//
// That takes a load, of 16 KiB that stay in the first-level cache, a multiplication and no branch: 2.5 ns a row with the
// count, where a shift takes 1.3. Ten million floats spread evenly about 0 are in order in 0.58 of the time that their
// highest bits need, which tell exponents apart and little else: parts of millions of rows are sorted in several passes,
// and their values fetched from all over memory. Words are lessened by the least one of their part (0.93 of the time):
// parts begin anywhere, so that all bits differ in one that lies across a power of two.
//
// Values that are neither even within a slot nor alike, as a cluster far narrower than 2^-28 of the range, stay in one
// part. Splitters (splitters.ts) tell them apart by a search a row; where a map of these has even parts it is used instead.

import { greatest } from "./pack";

/** Highest bits of a word that tell its slot. */
export const SLOT_BITS: u32 = 12;
/** The same in tests, for words of few bits. */
export const TINY_SLOT_BITS: u32 = 2;
const SLOTS: usize = 1 << 12;
/** Bits of the distance in a slot. */
const DISTANCE_BITS: u64 = 16;
const HALF: u64 = 1 << 15;

// @ts-ignore: decorator
@unmanaged
export class PartMap {
  /** The least word of the sample, and one above the greatest: those below and above count as these. */
  low: u64;
  high: u64;
  /** Bits of the distance in a slot, 1 at least, and parts: behind the last one there may be others, without rows. */
  shift: u32;
  parts: u32;
}

const HEAD_BYTES: usize = 24;

/** Bytes of a map of so many parts. */
export function partMapBytes(parts: u32): usize {
  return HEAD_BYTES + (SLOTS << 2) + ((<usize>parts) << 3);
}

// @ts-ignore: decorator
@inline
function slotsOf(map: PartMap): usize {
  return changetype<usize>(map) + HEAD_BYTES;
}

/** Where the least word of a part stands. */
// @ts-ignore: decorator
@inline
function boundOf(map: PartMap, part: u32): usize {
  return slotsOf(map) + (SLOTS << 2) + ((<usize>part) << 3);
}

/** Fills a map for `parts` parts of words like the `count` at `sample`; false where their range is too small. */
export function partMapFill(map: PartMap, sample: usize, count: u32, parts: u32, slotBits: u32): bool {
  let low = u64.MAX_VALUE;
  let high: u64 = 0;
  const end = sample + ((<usize>count) << 3);
  for (let at = sample; at < end; at += 8) {
    low = min<u64>(low, load<u64>(at));
    high = max<u64>(high, load<u64>(at));
  }
  // Words above the greatest one go behind the bounds in its slot.
  high = max<u64>(high, high + ((high - low) >> (<u64>slotBits - 1)) + 1);
  const bits: u32 = 64 - <u32>clz<u64>(high - low);
  if (bits <= slotBits) return false;
  map.low = low;
  map.high = high;
  map.shift = bits - slotBits;
  const slots = slotsOf(map);
  memory.fill(slots, 0, SLOTS << 2);
  for (let at = sample; at < end; at += 8) {
    const slot = slots + (<usize>((load<u64>(at) - low) >> <u64>map.shift) << 2);
    store<u32>(slot, load<u32>(slot) + 1);
  }
  cutSlots(map, count, parts, 1 << slotBits);
  return true;
}

/** Counts become entries. */
function cutSlots(map: PartMap, count: u32, parts: u32, slots: u32): void {
  let sum: u64 = 0;
  let base: u32 = 0;
  store<u64>(boundOf(map, 0), 0);
  for (let slot: u32 = 0; slot < slots; slot++) {
    const entry = slotsOf(map) + ((<usize>slot) << 2);
    sum += load<u32>(entry);
    const next = min<u32>(<u32>((sum * <u64>parts) / <u64>count), parts - 1);
    const cuts = next - base;
    store<u32>(entry, base | (cuts << 16));
    for (let cut: u32 = 0; cut < cuts; cut++) setBound(map, base + cut + 1, slot, cut, cuts);
    base = next;
  }
  // Words above the greatest one go where that one goes: there is no part behind it.
  map.parts = partMapAt(map, map.high) + 1;
}

/** A part begins at the `cut`th of `cuts` bounds in a slot. */
function setBound(map: PartMap, part: u32, slot: u32, cut: u32, cuts: u32): void {
  const shift = <u64>map.shift;
  let distance = ((<u64>cut << DISTANCE_BITS) + HALF + <u64>cuts - 1) / <u64>cuts;
  if (shift >= DISTANCE_BITS) distance <<= shift - DISTANCE_BITS;
  else distance = (distance + (<u64>1 << (DISTANCE_BITS - shift)) - 1) >> (DISTANCE_BITS - shift);
  store<u64>(boundOf(map, part), map.low + (<u64>slot << shift) + distance);
}

/** The part of a word, `low` and `high` being those of the map. */
// @ts-ignore: decorator
@inline
function partAt(slots: usize, shift: u64, low: u64, high: u64, word: u64): u32 {
  const offset = min<u64>(max<u64>(word, low), high) - low;
  const entry = load<u32>(slots + (<usize>(offset >> shift) << 2));
  const distance = <u32>((offset << (64 - shift)) >> (64 - DISTANCE_BITS));
  return (entry & 0xffff) + ((distance * (entry >> 16) + <u32>HALF) >> 16);
}

/** The part of a word. */
export function partMapAt(map: PartMap, word: u64): u32 {
  return partAt(slotsOf(map), map.shift, map.low, map.high, word);
}

/** Writes the u16 part of each word to `digits`, and adds it to the u32 counts. */
export function partMapFind(map: PartMap, words: usize, count: u32, digits: usize, counts: usize): void {
  const low = map.low;
  const high = map.high;
  const slots = slotsOf(map);
  const shift = <u64>map.shift;
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) {
    const part = partAt(slots, shift, low, high, load<u64>(at));
    store<u16>(digits, <u16>part);
    digits += 2;
    const slot = counts + ((<usize>part) << 2);
    store<u32>(slot, load<u32>(slot) + 1);
  }
}

/** The least word that a part may have. */
// @ts-ignore: decorator
@inline
export function partMapLeast(map: PartMap, part: u32): u64 {
  return load<u64>(boundOf(map, part));
}

/** The greatest that one of `bits` bits may have. */
export function partMapLast(map: PartMap, part: u32, bits: u32): u64 {
  if (part + 1 < map.parts) return load<u64>(boundOf(map, part + 1)) - 1;
  return greatest(bits);
}
