// Slots: the open-addressing index under every hash table of the kernel.
//
// A slot is 8 bytes: the tag (upper 32 bits of the hash) above the entry's number plus one; 0 is free.
// Keys lie elsewhere, dense, by entry number, so that a table's users iterate, output and save them
// without the table. Linear probing; the tag decides nearly every comparison without touching a key.
//
// A small table is one piece, whose first slots stand behind it: an index that is never filled, as that of a
// dictionary or of keys of a small range, takes no block of its own. Past SPLIT_SLOTS it becomes 256 sub-tables
// by the tag's top byte which grow one at a time: the longest pause is the rehash of one sub-table, never of the
// whole table.
// Growing is wanted at a load of 5/8 and needed only when a piece is nearly full: when memory runs out in
// between, the table keeps working, and `slotsFeed` retries before the next batch: when memory is refused
// again, the operator refuses that batch before any of its rows is applied.
//
//   slots: +0 region  +4 pieces (1 or 256)  +8 address of pieces  +12 starved  +16 slots in all  +20 fault
//   piece: +0 address of slots  +4 mask  +8 used  +12 grow at

import { regionBlock, regionCut, regionFree } from "../memory/region";

export const SLOTS_SIZE: usize = 32;
const PIECE: usize = 16;
/** Those that stand behind the first piece. */
const FEW_SLOTS: u32 = 8;
const FIRST_SLOTS: u32 = 1024;
const SPLIT_SLOTS: u32 = 32768;
const PIECES: u32 = 256;
/** What a block takes beyond its bytes: the heap's header, the region's links, rounding. */
const BLOCK_COST: u64 = 384;
/** The tag's low 24 bits choose the slot; past that a piece only gets fuller. */
const MOST_SLOTS: u32 = 1 << 24;

/** Makes an empty index at `slots`; `tiny` starts with 4 slots (a fault switch). False when out of memory. */
export function slotsInit(slots: usize, region: usize, tiny: bool): bool {
  memory.fill(slots, 0, SLOTS_SIZE);
  store<u32>(slots, <u32>region);
  const piece = regionCut(region, PIECE + ((<usize>FEW_SLOTS) << 3));
  if (piece == 0) return false;
  store<u32>(slots, 1, 4);
  store<u32>(slots, <u32>piece, 8);
  if (tiny) return pieceInit(slots, piece, 4);
  pieceSet(slots, piece, piece + PIECE, FEW_SLOTS);
  return true;
}

/** Entries at which a piece of `count` slots grows. */
// @ts-ignore: decorator
@inline
function growAt(count: u32): u32 {
  return count - (count >> 2) - (count >> 3);
}

/** Slots of a piece after those of `count`. */
// @ts-ignore: decorator
@inline
function nextSize(count: u32): u32 {
  return count == FEW_SLOTS ? FIRST_SLOTS : count << (count < 4096 ? 2 : 1);
}

function pieceInit(slots: usize, piece: usize, count: u32): bool {
  const bytes: usize = (<usize>count) << 3;
  const block = regionBlock(load<u32>(slots), bytes);
  if (block == 0) return false;
  memory.fill(block, 0, bytes);
  pieceSet(slots, piece, block, count);
  return true;
}

function pieceSet(slots: usize, piece: usize, block: usize, count: u32): void {
  store<u32>(piece, <u32>block);
  store<u32>(piece, count - 1, 4);
  store<u32>(piece, 0, 8);
  store<u32>(piece, growAt(count), 12);
  store<u32>(slots, load<u32>(slots, 16) + count, 16);
}

/** Gives the slots of a piece back, unless they are the few that stand behind it. */
function giveBack(slots: usize, piece: usize, block: usize): void {
  if (block != piece + PIECE) regionFree(load<u32>(slots), block);
}

/** Frees every slot, keeping their number. */
export function slotsClear(slots: usize): void {
  const pieces = load<u32>(slots, 4);
  for (let index: u32 = 0; index < pieces; index++) {
    const piece = <usize>load<u32>(slots, 8) + <usize>index * PIECE;
    memory.fill(load<u32>(piece), 0, (<usize>load<u32>(piece, 4) + 1) << 3);
    store<u32>(piece, 0, 8);
  }
}

/** Gives every slot back, for good. */
export function slotsFree(slots: usize): void {
  const region: usize = load<u32>(slots);
  const pieces = load<u32>(slots, 4);
  const first: usize = load<u32>(slots, 8);
  if (pieces == 1) {
    giveBack(slots, first, load<u32>(first));
    return;
  }
  for (let index: u32 = 0; index < pieces; index++) regionFree(region, load<u32>(first + <usize>index * PIECE));
  regionFree(region, first);
}

/** Makes it as it was at first, its memory given back. False when out of memory, with nothing changed. */
export function slotsRestart(slots: usize): bool {
  const region: usize = load<u32>(slots);
  const all = load<u32>(slots, 16);
  const first = regionCut(region, PIECE);
  if (first == 0 || !pieceInit(slots, first, FIRST_SLOTS)) return false;
  slotsFree(slots);
  store<u32>(slots, 1, 4);
  store<u32>(slots, <u32>first, 8);
  store<u32>(slots, 0, 12);
  store<u32>(slots, load<u32>(slots, 16) - all, 16);
  return true;
}

// @ts-ignore: decorator
@inline
export function slotsCount(slots: usize): u32 {
  return load<u32>(slots, 16);
}

// @ts-ignore: decorator
@inline
export function tagOf(hash: u64): u32 {
  return <u32>(hash >> 32);
}

/** The piece that a tag belongs to. */
// @ts-ignore: decorator
@inline
export function slotsPiece(slots: usize, tag: u32): usize {
  return slotsPieces(slots) + pieceOffset(tag, slotsPieceMask(slots));
}

// @ts-ignore: decorator
@inline
function slotsPieces(slots: usize): usize {
  return load<u32>(slots, 8);
}

// @ts-ignore: decorator
@inline
function slotsPieceMask(slots: usize): u32 {
  return load<u32>(slots, 4) - 1;
}

// @ts-ignore: decorator
@inline
function pieceOffset(tag: u32, mask: u32): usize {
  return <usize>((tag >> 24) & mask) * PIECE;
}

/**
 * The entry plus one (u32 each) in the slots that `count` tags point to, or 0 where such a slot has another tag or none.
 * `scratch` takes 8 bytes a tag. Slots are read in a loop of nothing else: of a table that is not in the cache, the processor
 * then waits for twice as many lines at once.
 */
export function slotsFirst(slots: usize, tags: usize, count: u32, entries: usize, scratch: usize): void {
  readSlots(slotsPieces(slots), slotsPieceMask(slots), tags, count, scratch);
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    for (const whole = count & ~3; row < whole; row += 4) {
      const from = scratch + ((<usize>row) << 3);
      const at = (<usize>row) << 2;
      const first = v128.load(from);
      const second = v128.load(from, 16);
      const same = i32x4.eq(v128.shuffle<i32>(first, second, 1, 3, 5, 7), v128.load(tags + at));
      v128.store(entries + at, v128.and(same, v128.shuffle<i32>(first, second, 0, 2, 4, 6)));
    }
  }
  for (; row < count; row++) {
    const slot = load<u64>(scratch + ((<usize>row) << 3));
    const at = (<usize>row) << 2;
    store<u32>(entries + at, <u32>(slot >> 32) == load<u32>(tags + at) ? <u32>slot : 0);
  }
}

/** Writes what is in the slots (8 bytes each) that tags point to. */
function readSlots(pieces: usize, choice: u32, tags: usize, count: u32, to: usize): void {
  const end = tags + ((<usize>count) << 2);
  for (const whole = tags + ((<usize>(count & ~3)) << 2); tags < whole; tags += 16) {
    store<u64>(to, slotOfTag(pieces, choice, load<u32>(tags)));
    store<u64>(to, slotOfTag(pieces, choice, load<u32>(tags, 4)), 8);
    store<u64>(to, slotOfTag(pieces, choice, load<u32>(tags, 8)), 16);
    store<u64>(to, slotOfTag(pieces, choice, load<u32>(tags, 12)), 24);
    to += 32;
  }
  for (; tags < end; tags += 4) {
    store<u64>(to, slotOfTag(pieces, choice, load<u32>(tags)));
    to += 8;
  }
}

// @ts-ignore: decorator
@inline
function slotOfTag(pieces: usize, choice: u32, tag: u32): u64 {
  const piece = pieces + pieceOffset(tag, choice);
  return load<u64>(pieceSlots(piece) + ((<usize>(tag & pieceMask(piece))) << 3));
}

// @ts-ignore: decorator
@inline
export function pieceSlots(piece: usize): usize {
  return load<u32>(piece);
}

// @ts-ignore: decorator
@inline
export function pieceMask(piece: usize): u32 {
  return load<u32>(piece, 4);
}

/**
 * Fills the free slot at `slot` (where a probe of `tag` ended) with entry `entry`, growing when due.
 * False when the piece is full and memory is exhausted: the entry is then not in the table.
 */
// @ts-ignore: decorator
@inline
export function slotsFill(slots: usize, piece: usize, slot: usize, tag: u32, entry: u32): bool {
  const used = load<u32>(piece, 8) + 1;
  if (used > load<u32>(piece, 4)) return false;
  store<u64>(slot, ((<u64>tag) << 32) | <u64>(entry + 1));
  store<u32>(piece, used, 8);
  if (used >= load<u32>(piece, 12)) grow(slots, piece);
  return true;
}

/**
 * Bytes of the heap that adding `more` entries can take, at most while their tags spread over the pieces as
 * those of different hashes do.
 */
export function slotsHeadroom(slots: usize, more: u32): u64 {
  const first: usize = load<u32>(slots, 8);
  if (load<u32>(slots, 4) != 1) {
    // Far more than a piece's share ever is.
    const share = (more >> 7) + 64;
    let bytes: u64 = 0;
    for (let index: u32 = 0; index < PIECES; index++) {
      const piece = first + <usize>index * PIECE;
      bytes += growth(load<u32>(piece, 4) + 1, load<u32>(piece, 8) + share, MOST_SLOTS);
    }
    return bytes;
  }
  const count = load<u32>(first, 4) + 1;
  const entries = load<u32>(first, 8) + more;
  let bytes = growth(count, entries, SPLIT_SLOTS);
  const whole = max<u32>(count, SPLIT_SLOTS);
  if (entries < growAt(whole)) return bytes;
  const size = (whole << 2) / PIECES;
  bytes += <u64>PIECES * (blockBytes(size) + <u64>PIECE) + BLOCK_COST;
  return bytes + <u64>PIECES * growth(size, (entries >> 7) + 64, MOST_SLOTS);
}

/** Bytes of all blocks that a piece of `count` slots goes through until it holds `entries`, or has `most`. */
function growth(count: u32, entries: u32, most: u32): u64 {
  let bytes: u64 = 0;
  while (entries >= growAt(count) && count < most) {
    count = nextSize(count);
    bytes += blockBytes(count);
  }
  return bytes;
}

// @ts-ignore: decorator
@inline
function blockBytes(count: u32): u64 {
  return (<u64>count << 3) + BLOCK_COST;
}

/**
 * Slots for `more` further entries whose tags have `top` as their top byte, so that filling them cannot fail,
 * and for `likely` of them at once where memory allows. False when out of memory.
 */
export function slotsReserve(slots: usize, top: u32, more: u32, likely: u32): bool {
  let piece = slotsPiece(slots, top << 24);
  const wanted = load<u32>(piece, 8) + likely;
  if (load<u32>(slots, 4) != 1 && wanted >= load<u32>(piece, 12)) {
    const count = load<u32>(piece, 4) + 1;
    const size = sizeFor(count, wanted);
    if (size > count) enlarge(slots, piece, count, size); // unreached: else needs 2^24 slots in one piece
  }
  while (load<u32>(piece, 8) + more > load<u32>(piece, 4)) {
    if (!growPiece(slots, piece, load<u32>(piece, 4) + 1)) return false;
    piece = slotsPiece(slots, top << 24);
  }
  return true;
}

/**
 * Gives back the slots for tags with `top` as their top byte, none of which will be looked for or added any more. The next
 * ones that are asked for get the memory while it is in the cache. Nothing happens where all tags share one piece.
 */
export function slotsRelease(slots: usize, top: u32): void {
  if (load<u32>(slots, 4) == 1) return;
  const piece = slotsPiece(slots, top << 24);
  if (load<u32>(piece) == 0) return;
  store<u32>(slots, slotsCount(slots) - (load<u32>(piece, 4) + 1), 16);
  regionFree(load<u32>(slots), load<u32>(piece));
  store<u32>(piece, 0);
  store<u32>(piece, 0, 4);
  store<u32>(piece, 0, 8);
  // Never due to grow.
  store<u32>(piece, u32.MAX_VALUE, 12);
}

/** Gives an index without entries the size that `entries` of them will want, where memory allows. */
export function slotsExpect(slots: usize, entries: u32): void {
  const piece: usize = load<u32>(slots, 8);
  const count = load<u32>(piece, 4) + 1;
  if (load<u32>(slots, 4) != 1 || load<u32>(piece, 8) != 0 || entries < growAt(count)) return;
  if (entries < growAt(SPLIT_SLOTS)) enlarge(slots, piece, count, sizeFor(count, entries));
  // Pieces do not get the same share of them.
  else split(slots, piece, sizeFor(FIRST_SLOTS, entries / PIECES + (entries >> 11)));
}

/** The least size, `count` or more, at which so many entries do not make a piece grow. */
function sizeFor(count: u32, entries: u32): u32 {
  while (count < MOST_SLOTS && entries >= growAt(count)) count <<= 1;
  return count;
}

/** Retries the growth that memory refused earlier; false when it is refused again. */
export function slotsFeed(slots: usize): bool {
  if (load<u32>(slots, 12) == 0) return true;
  store<u32>(slots, 0, 12);
  const pieces = load<u32>(slots, 4);
  for (let index: u32 = 0; index < pieces && load<u32>(slots, 4) == pieces; index++) {
    const piece = <usize>load<u32>(slots, 8) + <usize>index * PIECE;
    if (load<u32>(piece, 8) >= load<u32>(piece, 12)) grow(slots, piece);
  }
  return load<u32>(slots, 12) == 0;
}

function grow(slots: usize, piece: usize): void {
  const count = load<u32>(piece, 4) + 1;
  if (!growPiece(slots, piece, count)) store<u32>(slots, 1, 12);
}

function growPiece(slots: usize, piece: usize, count: u32): bool {
  return load<u32>(slots, 4) == 1 && count >= SPLIT_SLOTS
    ? split(slots, piece, (count << 2) / PIECES)
    : enlarge(slots, piece, count, nextSize(count));
}

function enlarge(slots: usize, piece: usize, count: u32, size: u32): bool {
  if (count >= MOST_SLOTS) return false; // unreached: needs 2^24 slots in one piece
  const old: usize = load<u32>(piece);
  const used = load<u32>(piece, 8);
  if (!pieceInit(slots, piece, size)) return false;
  const end = old + ((<usize>count) << 3);
  for (let at = old; at < end; at += 8) {
    const entry = load<u64>(at);
    if (entry != 0) place(piece, entry);
  }
  store<u32>(piece, used, 8);
  store<u32>(slots, load<u32>(slots, 16) - count, 16);
  giveBack(slots, piece, old);
  return true;
}

/** Makes pieces of `least` slots or more of the one that there is. */
function split(slots: usize, whole: usize, least: u32): bool {
  const region: usize = load<u32>(slots);
  const pieces = regionBlock(region, <usize>PIECES * PIECE);
  if (pieces == 0) return false;
  memory.fill(pieces, 0, <usize>PIECES * PIECE);
  const count = load<u32>(whole, 4) + 1;
  const old: usize = load<u32>(whole);
  const end = old + ((<usize>count) << 3);
  // Count first: skewed tags (all of them equal, say) need a larger piece from the start.
  for (let at = old; at < end; at += 8) {
    const entry = load<u64>(at);
    if (entry == 0) continue;
    const piece = pieceOf(pieces, entry);
    store<u32>(piece, load<u32>(piece, 8) + 1, 8);
  }
  const before = load<u32>(slots, 16);
  for (let index: u32 = 0; index < PIECES; index++) {
    const piece = pieces + <usize>index * PIECE;
    const used = load<u32>(piece, 8);
    let size = least;
    while (size < used << 1) size <<= 1;
    if (pieceInit(slots, piece, size)) continue;
    for (let made: u32 = 0; made < index; made++) regionFree(region, load<u32>(pieces + <usize>made * PIECE));
    regionFree(region, pieces);
    store<u32>(slots, before, 16);
    return false;
  }
  for (let at = old; at < end; at += 8) {
    const entry = load<u64>(at);
    if (entry == 0) continue;
    const piece = pieceOf(pieces, entry);
    place(piece, entry);
    store<u32>(piece, load<u32>(piece, 8) + 1, 8);
  }
  giveBack(slots, whole, old);
  store<u32>(slots, PIECES, 4);
  store<u32>(slots, <u32>pieces, 8);
  store<u32>(slots, load<u32>(slots, 16) - count, 16);
  return true;
}

// @ts-ignore: decorator
@inline
function pieceOf(pieces: usize, entry: u64): usize {
  return pieces + <usize>(<u32>(entry >> 56)) * PIECE;
}

// @ts-ignore: decorator
@inline
function place(piece: usize, entry: u64): void {
  const block: usize = load<u32>(piece);
  const mask = load<u32>(piece, 4);
  let index = <u32>(entry >> 32) & mask;
  while (load<u64>(block + ((<usize>index) << 3)) != 0) index = (index + 1) & mask;
  store<u64>(block + ((<usize>index) << 3), entry);
}
