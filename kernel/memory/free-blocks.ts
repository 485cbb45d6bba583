// The free blocks of the heap, by size: a list for each quarter of a power of two, and a bit that says whether the list
// has any. A block that suffices is found in a few steps however many there are, and one is put in or out in one.
//
// Source: Masmano, Ripoll, Crespo, Real, "TLSF: a new dynamic memory allocator for real-time systems" (ECRTS 2004), with
// blocks cut to the size that is asked for, so that no byte is lost to the division into classes, and a full search of a
// class before more memory is taken.
//
// Tried and lost: one list by address, first fit. What is freed looks for its place in it, past every hole before:
// windows that come by the thousand took up to 1.05 of the time, and 1.4 with hash indexes that begin small and leave holes.

import { Root } from "../abi/layout";

/** u32 in each block: its bytes, header included. */
export const BYTES: usize = 0;
/** u32 in a free block: the next and the one before in its list, 0 for none. */
const NEXT: usize = 4;
const PREVIOUS: usize = 20;

/** Blocks of the class at hand that are looked at before the next class, of which each suffices, is taken. */
const TRIES: u32 = 8;

/** The class of blocks of `bytes` (64 or more): 4 for each power of two. */
// @ts-ignore: decorator
@inline
function classOf(bytes: u32): u32 {
  const power: u32 = 31 - clz(bytes);
  return ((power - 6) << 2) + ((bytes >> (power - 2)) & 3);
}

// @ts-ignore: decorator
@inline
function listOf(root: usize, kind: u32): usize {
  return root + <usize>Root.FREE_LISTS + ((<usize>kind) << 2);
}

// @ts-ignore: decorator
@inline
function mapOf(root: usize, kind: u32): usize {
  return root + <usize>Root.FREE_MAP + ((<usize>(kind >> 5)) << 2);
}

/** Puts a block in. */
export function freePut(root: usize, block: usize): void {
  const kind = classOf(load<u32>(block, BYTES));
  const list = listOf(root, kind);
  const first: usize = load<u32>(list);
  store<u32>(block, <u32>first, NEXT);
  store<u32>(block, 0, PREVIOUS);
  if (first != 0) store<u32>(first, <u32>block, PREVIOUS);
  store<u32>(list, <u32>block);
  const map = mapOf(root, kind);
  store<u32>(map, load<u32>(map) | ((<u32>1) << (kind & 31)));
}

/** Takes a block out. */
export function freeTake(root: usize, block: usize): void {
  const next: usize = load<u32>(block, NEXT);
  const previous: usize = load<u32>(block, PREVIOUS);
  if (next != 0) store<u32>(next, <u32>previous, PREVIOUS);
  if (previous != 0) {
    store<u32>(previous, <u32>next, NEXT);
    return;
  }
  const kind = classOf(load<u32>(block, BYTES));
  store<u32>(listOf(root, kind), <u32>next);
  if (next != 0) return;
  const map = mapOf(root, kind);
  store<u32>(map, load<u32>(map) & ~((<u32>1) << (kind & 31)));
}

/** A free block of at least `bytes`, still in its list; 0 when there is none. */
export function freeFind(root: usize, bytes: u32): usize {
  const kind = classOf(bytes);
  let block: usize = load<u32>(listOf(root, kind));
  for (let tries = TRIES; block != 0 && tries != 0; tries--) {
    if (load<u32>(block, BYTES) >= bytes) return block;
    block = load<u32>(block, NEXT);
  }
  const larger = largerThan(root, kind);
  if (larger != 0) return larger;
  while (block != 0 && load<u32>(block, BYTES) < bytes) block = load<u32>(block, NEXT);
  return block;
}

/** A block of a class above `kind`; 0 when there is none. */
function largerThan(root: usize, kind: u32): usize {
  kind++;
  let word = load<u32>(mapOf(root, kind)) & ((<u32>-1) << (kind & 31));
  while (word == 0) {
    kind = (kind | 31) + 1;
    if (kind >= <u32>Root.FREE_CLASSES) return 0;
    word = load<u32>(mapOf(root, kind));
  }
  return load<u32>(listOf(root, (kind & ~31) + ctz(word)));
}
