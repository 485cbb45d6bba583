// Parts of about as many rows each within one store, where the highest bits of the words do not make such: floats, half
// of which may have one exponent, or one value far from all others.
//
// A sample of the words tells how many rows each of 4096 slots has, the values of a word's highest bits. A slot with many
// rows is cut into as many parts, at even distances, as it has its share of them; slots with few go together in one part:
//
//   word - low:   | slot, 12 bits | distance in the slot, 16 bits | ... |       part = base + (distance * parts >> 16)
//   slot's entry:   base, parts (u16 each)
//
// That takes a load, of 16 KiB that stay in the first-level cache, a multiplication and no branch: 2.5 ns a row with the
// count, where a shift takes 1.3. Ten million floats spread evenly about 0 are in order in 0.58 of the time that their
// highest bits need, which tell exponents apart and little else: parts of millions of rows are sorted in several passes,
// and their values fetched from all over memory. Words are lessened by the least one of their part (0.93 of the time):
// parts begin anywhere, so that all bits differ in one that lies across a power of two.
//
// Values that are neither even within a slot nor alike, as a cluster far narrower than 2^-28 of the range, stay in one
// part. Splitters (splitters.ts) would tell them apart for a search a row.

/** Highest bits of a word that tell its slot. */
export const SLOT_BITS: u32 = 12;
/** The same in tests, for words of few bits. */
export const TINY_SLOT_BITS: u32 = 2;
const SLOTS: usize = 1 << 12;
/** Bits of the distance in a slot. */
const DISTANCE_BITS: u64 = 16;

// @ts-ignore: decorator
@unmanaged
export class PartMap {
  /** Least and greatest word of the sample: those below and above count as these. */
  low: u64;
  high: u64;
  /** Bits of the distance in a slot, 1 at least, and parts. */
  shift: u32;
  parts: u32;
}

const HEAD_BYTES: usize = 24;

/** Bytes of a map of `parts` parts wanted. */
export function partMapBytes(parts: u32): usize {
  return HEAD_BYTES + (SLOTS << 2) + ((<usize>mostParts(parts) + 1) << 3);
}

/** Parts that come of `parts` wanted, at most: where few rows lie before a slot with many they are a part, too. */
function mostParts(parts: u32): u32 {
  return parts + (parts >> 1) + 1;
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

/** Fills a map for about `parts` parts of words like the `count` at `sample`; false where their range is too small. */
export function partMapFill(map: PartMap, sample: usize, count: u32, parts: u32, slotBits: u32): bool {
  let low = u64.MAX_VALUE;
  let high: u64 = 0;
  const end = sample + ((<usize>count) << 3);
  for (let at = sample; at < end; at += 8) {
    low = min<u64>(low, load<u64>(at));
    high = max<u64>(high, load<u64>(at));
  }
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
  let part: u32 = 0;
  // Words of the sample in the part that slots with few of them share, and whether it has begun: maybe with none.
  let shared: u32 = 0;
  let begun = false;
  store<u64>(boundOf(map, 0), 0);
  for (let slot: u32 = 0; slot < slots; slot++) {
    const entry = slotsOf(map) + ((<usize>slot) << 2);
    const some = load<u32>(entry);
    const share = max<u32>(1, <u32>((<u64>some * <u64>parts) / <u64>count));
    if (share > 1 && shared != 0) {
      part++;
      begun = false;
    }
    if (!begun) setBound(map, part, slot, 0, 1);
    store<u32>(entry, part | (share << 16));
    for (let cut: u32 = 1; cut < share; cut++) setBound(map, part + cut, slot, cut, share);
    shared = share > 1 ? 0 : shared + some;
    begun = share == 1 && <u64>shared * <u64>parts < <u64>count;
    if (begun) continue;
    part += share;
    shared = 0;
  }
  // Words above the greatest one go where that one goes: there is no part behind it.
  map.parts = partAt(slotsOf(map), map.shift, map.high - map.low) + 1;
}

/** A part begins at the `cut`th of `share` parts of a slot; the first one with the least word of all. */
function setBound(map: PartMap, part: u32, slot: u32, cut: u32, share: u32): void {
  if (part == 0) return;
  const shift = <u64>map.shift;
  let distance = ((<u64>cut << DISTANCE_BITS) + <u64>share - 1) / <u64>share;
  if (shift >= DISTANCE_BITS) distance <<= shift - DISTANCE_BITS;
  else distance = (distance + (<u64>1 << (DISTANCE_BITS - shift)) - 1) >> (DISTANCE_BITS - shift);
  store<u64>(boundOf(map, part), map.low + (<u64>slot << shift) + distance);
}

/** The part of a word, less the least one of the sample. */
// @ts-ignore: decorator
@inline
function partAt(slots: usize, shift: u64, word: u64): u32 {
  const entry = load<u32>(slots + (<usize>(word >> shift) << 2));
  const distance = <u32>((word << (64 - shift)) >> (64 - DISTANCE_BITS));
  return (entry & 0xffff) + ((distance * (entry >> 16)) >> 16);
}

/** Writes the u16 part of each word to `digits`, and adds it to the u32 counts. */
export function partMapFind(map: PartMap, words: usize, count: u32, digits: usize, counts: usize): void {
  const low = map.low;
  const high = map.high;
  const slots = slotsOf(map);
  const shift = <u64>map.shift;
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) {
    const part = partAt(slots, shift, min<u64>(max<u64>(load<u64>(at), low), high) - low);
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

/** How many of the highest of `bits` bits all words of a part have in common. */
export function partMapShared(map: PartMap, part: u32, bits: u32): u32 {
  const all: u64 = bits == 64 ? u64.MAX_VALUE : (<u64>1 << bits) - 1;
  const last = part + 1 == map.parts ? all : load<u64>(boundOf(map, part + 1)) - 1;
  const differing: u32 = 64 - <u32>clz<u64>(load<u64>(boundOf(map, part)) ^ last);
  return bits - min(bits, differing);
}
