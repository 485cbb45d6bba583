// A region: everything that one operator owns, freed whole when the operator goes.
//
// Small, long-lived things are cut from chunks (never freed one by one); large or growing things are
// blocks of their own, linked so that they can be given back early or with the region. The links stand
// in the first 16 bytes of each block, before its payload.
//
//   region: +0 root   +4 first block   +8 chunk cursor   +12 chunk end   +16 bytes held   +20 bytes of a chunk
//           +24 account that its blocks are charged to
//   block:  +0 next   +4 previous      +8 u32 payload bytes              +16.. payload (16-byte aligned)
//
// Tried: links in the 40 bytes of the heap's header that nobody uses. Windows that come by the thousand took 0.98 of the
// time, pairs of texts and sorts 1.01.

import { heapAllocate, heapFails, heapFree, heapCapacity, heapHasRoom } from "./heap";

export const REGION_SIZE: usize = 32;
const LINKS: usize = 64;
const CHUNK: usize = 16384;

const FIRST: usize = 4;
const CURSOR: usize = 8;
const END: usize = 12;
const HELD: usize = 16;
const CHUNK_BYTES: usize = 20;
const ACCOUNT: usize = 24;

export function regionInit(region: usize, root: usize, account: usize): void {
  memory.fill(region, 0, REGION_SIZE);
  store<u32>(region, <u32>root);
  store<u32>(region, <u32>account, ACCOUNT);
  store<u32>(region, <u32>CHUNK, CHUNK_BYTES);
}

/** A region that takes from where another one does. */
export function regionInitLike(region: usize, other: usize): void {
  const account: usize = load<u32>(other, ACCOUNT);
  regionInit(region, load<u32>(other), account);
}

/** Makes chunks of `bytes` from now on: for regions of which there are many. */
export function regionSetChunk(region: usize, bytes: usize): void {
  store<u32>(region, <u32>bytes, CHUNK_BYTES);
}

/** Whether blocks of `bytes` bytes in all could be had now: see `heapHasRoom`. */
export function regionHasRoom(region: usize, bytes: u64): bool {
  return heapHasRoom(load<u32>(region), load<u32>(region, ACCOUNT), bytes);
}

/** A block of its own, 64-byte aligned, contents undefined; 0 when memory is exhausted. */
export function regionBlock(region: usize, bytes: usize): usize {
  if (bytes > 0xffe00000) return 0; // unreached: needs more than 4 GiB
  const block = heapAllocate(load<u32>(region), load<u32>(region, ACCOUNT), bytes + LINKS);
  if (block == 0) return 0;
  link(region, block);
  return block + LINKS;
}

function link(region: usize, block: usize): void {
  const first: usize = load<u32>(region, FIRST);
  store<u32>(block, <u32>first);
  store<u32>(block, 0, 4);
  if (first != 0) store<u32>(first, <u32>block, 4);
  store<u32>(region, <u32>block, FIRST);
  store<u32>(region, load<u32>(region, HELD) + <u32>heapCapacity(block), HELD);
}

/** Gives one block of the region back. `payload` 0 is ignored. */
export function regionFree(region: usize, payload: usize): void {
  if (payload == 0) return;
  const block = payload - LINKS;
  unlink(region, block);
  heapFree(load<u32>(region), block);
}

function unlink(region: usize, block: usize): void {
  const next: usize = load<u32>(block);
  const previous: usize = load<u32>(block, 4);
  if (previous == 0) store<u32>(region, <u32>next, FIRST);
  else store<u32>(previous, <u32>next);
  // unreached: a region's oldest block is the chunk that its small things are cut from, which never goes alone
  if (next != 0) store<u32>(next, <u32>previous, 4);
  store<u32>(region, load<u32>(region, HELD) - <u32>heapCapacity(block), HELD);
}

/** Makes a block of another region on the same memory one of this region. */
export function regionAdopt(region: usize, other: usize, payload: usize): void {
  const block = payload - LINKS;
  unlink(other, block);
  link(region, block);
}

/** Payload bytes that a block can hold (at least what was asked for). */
export function regionCapacity(payload: usize): usize {
  return heapCapacity(payload - LINKS) - LINKS;
}

/** A small zeroed piece that lives as long as the region, 16-byte aligned; 0 when memory is exhausted. */
export function regionCut(region: usize, bytes: usize): usize {
  if (heapFails(load<u32>(region))) return 0;
  const size: usize = (bytes + 15) & ~(<usize>15);
  const chunk: usize = load<u32>(region, CHUNK_BYTES);
  if (size > chunk / 4) {
    const own = regionBlock(region, size);
    if (own != 0) memory.fill(own, 0, size);
    return own;
  }
  let cursor: usize = load<u32>(region, CURSOR);
  if (cursor == 0 || cursor + size > <usize>load<u32>(region, END)) {
    cursor = regionBlock(region, chunk);
    if (cursor == 0) return 0;
    store<u32>(region, <u32>(cursor + chunk), END);
  }
  store<u32>(region, <u32>(cursor + size), CURSOR);
  memory.fill(cursor, 0, size);
  return cursor;
}

/** A piece that begins with `bytes` from `from`; 0 when memory is exhausted. */
export function regionCopy(region: usize, from: usize, bytes: usize): usize {
  const to = regionCut(region, max<usize>(bytes, 8));
  if (to != 0) memory.copy(to, from, bytes);
  return to;
}

/** Bytes that the region holds of the heap. */
export function regionBytes(region: usize): u32 {
  return load<u32>(region, HELD);
}

/** Frees every block. The region itself (which may lie in one of them) is not touched afterwards. */
export function regionDestroy(region: usize): void {
  const root: usize = load<u32>(region);
  let block: usize = load<u32>(region, FIRST);
  while (block != 0) {
    const next: usize = load<u32>(block);
    heapFree(root, block);
    block = next;
  }
}

/** Frees every block and begins anew: for regions that do not lie in a block of their own. */
export function regionClear(region: usize): void {
  regionDestroy(region);
  regionInitLike(region, region);
}
