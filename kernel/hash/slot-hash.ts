// The slot hash: where a key lies in a table. Seeded, so that nobody who does not know the seed can choose keys
// that meet in one slot; it never leaves the process (the key hash of hash.ts, which does, has no seed).
//
// One word: word * M + A (M odd, both from the seed), folded, times a constant. For any two words the products
// differ by a random multiple, so that they share a tag with a chance of about 2^-32 over the seeds.
// Rows and texts: a polynomial in M over (low half + L) * (high half + H) of each word, the exact 64-bit product
// of two 32-bit sums (the NH of UMAC: Black, Halevi, Krawczyk, Krovetz, Rogaway 1999). The words' products do
// not wait for each other: only a multiplication and an addition a word do.
//
// Tried and lost: the key hash begun at a seed, or with keys xor-ed by one. A multiplication by an odd number
// leaves a difference in the top bit where it is, whatever the factor, and the next word can take it back:
// the same texts then collide under every seed (as in Murmur: Aumasson, Bernstein 2012).

import { hashFinish, shortWord } from "./hash";

const STEP: u64 = 0x9e3779b97f4a7c15;
const FOLD: u64 = 0x94d049bb133111eb;

/** What a seed comes to. */
// @ts-ignore: decorator
@unmanaged
export class SlotHash {
  add: u64;
  multiply: u64;
  low: u32;
  high: u32;
}

export const SLOT_HASH_SIZE: usize = 24;

/** Fills `hash` from a seed, by SplitMix64. */
export function slotHashInit(hash: usize, seed: u32): void {
  const self = changetype<SlotHash>(hash);
  const start = <u64>seed * FOLD;
  self.add = hashFinish(start + STEP);
  self.multiply = hashFinish(start + STEP * 2) | 1;
  const halves = hashFinish(start + STEP * 3);
  self.low = <u32>halves;
  self.high = <u32>(halves >> 32);
}

/** Hash of one 64-bit key; `add` and `multiply` are the seed's. Its upper half is the tag. */
// @ts-ignore: decorator
@inline
export function slotHashWord(word: u64, add: u64, multiply: u64): u64 {
  const h = word * multiply + add;
  return (h ^ (h >> 32)) * FOLD;
}

// @ts-ignore: decorator
@inline
function product(word: u64, low: u32, high: u32): u64 {
  return <u64>(<u32>word + low) * <u64>(<u32>(word >> 32) + high);
}

/** Hash of `width` bytes (a multiple of 8) at `address`; the other arguments are the seed's. */
// @ts-ignore: decorator
@inline
export function slotHashRow(
  address: usize,
  width: usize,
  add: u64,
  multiply: u64,
  low: u32,
  high: u32,
): u64 {
  let hash = product(load<u64>(address), low, high);
  for (let at: usize = 8; at < width; at += 8)
    hash = hash * multiply + product(load<u64>(address + at), low, high);
  return slotHashWord(hash, add, multiply);
}

/** A hash over one more word, for `slotHashWord` to finish. */
// @ts-ignore: decorator
@inline
export function slotHashMore(self: SlotHash, hash: u64, word: u64): u64 {
  return hash * self.multiply + product(word, self.low, self.high);
}

/** Hash of a text. */
export function slotHashBytes(self: SlotHash, address: usize, length: u32): u64 {
  const low = self.low;
  const high = self.high;
  const multiply = self.multiply;
  let hash: u64 = length;
  if (length >= 8) {
    const last = address + <usize>length - 8;
    for (let at = address; at < last; at += 8) hash = hash * multiply + product(load<u64>(at), low, high);
    hash = hash * multiply + product(load<u64>(last), low, high);
  } else {
    hash = hash * multiply + product(shortWord(address, length), low, high);
  }
  return slotHashWord(hash, self.add, multiply);
}
