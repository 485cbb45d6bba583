// A large LOG in parts: value-log.ts once a log is too large to be copied when it grows, and to be sorted at one go.
//
// A value goes to the part of its group when it comes: to the part's open block, and once that is full, as a whole to a
// block that stays, at the end of a chain, so that growth never copies. The open blocks are always the same, which stay in
// the second-level cache: written where they stay, values of 128 parts would each wait for a line of memory.
// Which part that is, some bits of the group's number say: those that divide the groups seen when the log was divided
// into ranges. Later groups begin with the first part again, so that a part is a few ranges.
//
// Before results are read the parts are settled, one at a time, while each is in the cache: its values are moved, a
// group's side by side, to where they stay. The memory there is read through first, unless it is more than the cache
// holds: written to in more places than the processor sees coming, each line of it would be waited for. How many values a
// group has was counted as blocks filled; groups that the parts were not made for are counted then, with all others. What
// comes later waits in blocks again, and moves together with what lies settled. Where a part's values will be is known
// before any has moved, so threads may settle parts at the same time; until all are, nothing of what was there before has
// changed.
//
// Two logs that are divided alike, of operators that number their groups alike, become one by their chains: a part's
// full blocks are put in front of the other's, and only the values of its open one move.
//
//   entry:    +0 i64 order key   +8 u32 group
//   block:    341 entries, and behind them the address of the part's next block, the open one last; 4096 bytes, aligned
//   slab:     +0 u32 next slab   +4 u32 end of its blocks, which begin at the next multiple of 4096
//   settled:  `values` of the accumulator, part by part and in a part by group; `heads` likewise, `span` groups a part
//
// Entries are numbered: first those that lie settled, in their order, then the waiting ones, part by part.
//
// For a median and a deviation of 10 million values of 10,000 groups, parts that are read through take 0.84 of the time,
// 0.82 by two threads. Tried and lost there: 64 parts, twice as much to be read through at a time (no gain); 256 parts, or
// blocks of 8 KiB (as fast, and up to 5 % more); filling with zeros for reading through, or reading a line ahead of each
// group's values (no gain); counting all values when parts are settled (2 % more); loading the next block's lines while one
// is counted (no gain) or moved (10 % more); instead of blocks, an open line of the cache for each group, and an index of
// full lines by group (0.9 for 0.84, no gain by two threads: open lines want most of the second-level cache for
// themselves). The last bits of the group's number as its part take 5 % more for a million groups, whose results then leave
// from everywhere.

import { loadAhead } from "../memory/ahead";
import { copyRun } from "../memory/copy";
import { regionAdopt, regionBlock, regionFree } from "../memory/region";
import { Accumulator } from "./accumulator";
import { orderOf } from "./order-key";

const PART_BITS: u32 = 7;
export const PARTS: u32 = 1 << PART_BITS;
const BLOCK_BITS: usize = 12;
const BLOCK: usize = 1 << BLOCK_BITS;
const ENTRY: usize = 12;
const GROUP: usize = 8;
/** Where a block's entries end. A part's cursor that stands here has no room left. */
const BLOCK_ENTRIES: u32 = <u32>((BLOCK - 4) / ENTRY);
const LINK: usize = <usize>BLOCK_ENTRIES * ENTRY;
const SLAB_HEADER: usize = 8;
const SLAB_MIN: u64 = 16;
/** Most bytes of a part's values that are read through before they are moved there: what stays in a cache of 2 MiB. */
const BROUGHT: usize = 3 << 19;

// @ts-ignore: decorator
@unmanaged
class Parts {
  /** The blocks that are being filled, one a part. */
  open: usize;
  /** How many values each of the first groups has in blocks that are full, or 0 where these are counted when parts are settled. */
  counts: usize;
  /** The first slab, the one that blocks are taken from, and the next block there. */
  slabs: usize;
  slab: usize;
  next: usize;
  /** Blocks that can be taken, and blocks in all. */
  free: u32;
  held: u32;
  /** Which bits of a group say its part: PART_BITS of them from `shift` on. */
  shift: u32;
  /** Groups of a part that `heads` has. */
  span: u32;
  /** The waiting entries of a block, `first` to `end`, as numbered among them; the block and its part. */
  part: u32;
  block: usize;
  first: u32;
  end: u32;
  /** The place in `heads` of the settled entry that was asked for last. */
  place: u32;
  /** While parts are being settled: what `heads`, `values` and `span` are going to be; else 0. */
  newHeads: usize;
  newValues: usize;
  newSpan: u32;
  /** Whether values of groups without a count have come. */
  uncounted: bool;
}

// Behind it, for each part: where its next entry goes, its first block, the last one that is full (0: none), and how many
// are; while parts are being settled the part's first value, and whether it is settled.
const CURSORS: usize = 72;
const FIRSTS: usize = CURSORS + <usize>PARTS * 4;
const LASTS: usize = FIRSTS + <usize>PARTS * 4;
const BLOCKS: usize = LASTS + <usize>PARTS * 4;
const STARTS: usize = BLOCKS + <usize>PARTS * 4;
const SETTLED: usize = STARTS + <usize>PARTS * 4;
const PARTS_SIZE: usize = SETTLED + <usize>PARTS * 4;

// @ts-ignore: decorator
@inline
function partsOf(self: Accumulator): Parts {
  return changetype<Parts>(self.side);
}

// @ts-ignore: decorator
@inline
function slot(self: Parts, array: usize, part: u32): usize {
  return changetype<usize>(self) + array + ((<usize>part) << 2);
}

// ---- room

/**
 * Divides a log into parts, with room for `rows` more values, as the values at hand suggest, or as another log is
 * divided. False when out of memory, with nothing changed.
 */
export function partsOpen(self: Accumulator, rows: u32, like: usize = 0): bool {
  const address = regionBlock(self.region, PARTS_SIZE);
  if (address == 0) return false;
  memory.fill(address, 0, PARTS_SIZE);
  const parts = changetype<Parts>(address);
  const count = <u32>self.rows;
  let last: u32 = 0;
  for (let entry: usize = 0; entry < <usize>count; entry++) last = max(last, load<u32>(self.entries + (entry << 2)));
  parts.shift = like != 0 ? changetype<Parts>(like).shift : max(32 - clz(last), PART_BITS) - PART_BITS;
  const open = regionBlock(self.region, ((<usize>PARTS + 1) << BLOCK_BITS) - 1);
  parts.open = open;
  const counted = like != 0 ? changetype<Parts>(like).counts != 0 : last < count;
  parts.counts = counted ? regionBlock(self.region, countsBytes(parts)) : 0;
  empty(parts);
  if (open == 0 || !reserve(self, parts, <u64>count + <u64>rows)) {
    regionFree(self.region, open);
    regionFree(self.region, parts.counts);
    regionFree(self.region, address);
    return false;
  }
  self.side = address;
  for (let entry: usize = 0; entry < <usize>count; entry++)
    partsAppend(self, load<u32>(self.entries + (entry << 2)), load<i64>(self.values + (entry << 3)));
  regionFree(self.region, self.entries);
  regionFree(self.region, self.values);
  regionFree(self.region, self.heads);
  self.entries = 0;
  self.values = 0;
  self.heads = 0;
  self.headsCapacity = 0;
  self.sideCapacity = 0;
  self.sideCount = 0;
  return true;
}

/** Makes it a log without values, and not divided. */
export function partsClose(self: Accumulator): void {
  freeSlabs(self, partsOf(self));
  regionFree(self.region, partsOf(self).open);
  regionFree(self.region, partsOf(self).counts);
  regionFree(self.region, partsOf(self).newHeads);
  regionFree(self.region, partsOf(self).newValues);
  regionFree(self.region, self.side);
  regionFree(self.region, self.values);
  regionFree(self.region, self.heads);
  self.side = 0;
  self.values = 0;
  self.heads = 0;
}

/** Room for `rows` more values. False when out of memory, with nothing lost. */
export function partsReserve(self: Accumulator, rows: u32): bool {
  return reserve(self, partsOf(self), rows);
}

function reserve(self: Accumulator, parts: Parts, rows: u64): bool {
  // Every part may need a block more than its values fill.
  const need = rows / <u64>BLOCK_ENTRIES + <u64>PARTS;
  if (need <= <u64>parts.free) return true;
  const missing = need - <u64>parts.free;
  const ample = max<u64>(missing, max<u64>(<u64>(parts.held >> 3), SLAB_MIN));
  return addSlab(self, parts, ample) || addSlab(self, parts, missing);
}

function addSlab(self: Accumulator, parts: Parts, blocks: u64): bool {
  const bytes = blocks * <u64>BLOCK;
  if (bytes > 0xff000000) return false; // unreached: needs more than 4 GiB
  const slab = regionBlock(self.region, SLAB_HEADER + BLOCK - 1 + <usize>bytes);
  if (slab == 0) return false;
  store<u32>(slab, 0);
  store<u32>(slab, <u32>(blocksOf(slab) + <usize>bytes), 4);
  if (parts.slabs == 0) {
    parts.slabs = slab;
    parts.slab = slab;
    parts.next = blocksOf(slab);
  } else {
    let last = parts.slab;
    while (load<u32>(last) != 0) last = load<u32>(last);
    store<u32>(last, <u32>slab);
  }
  parts.free += <u32>blocks;
  parts.held += <u32>blocks;
  return true;
}

// @ts-ignore: decorator
@inline
function blocksOf(slab: usize): usize {
  return (slab + SLAB_HEADER + BLOCK - 1) & ~(BLOCK - 1);
}

function freeSlabs(self: Accumulator, parts: Parts): void {
  for (let slab = parts.slabs; slab != 0; ) {
    const next: usize = load<u32>(slab);
    regionFree(self.region, slab);
    slab = next;
  }
  empty(parts);
}

/** The block of a part that is being filled. */
// @ts-ignore: decorator
@inline
function openOf(self: Parts, part: u32): usize {
  return ((self.open + BLOCK - 1) & ~(BLOCK - 1)) + ((<usize>part) << BLOCK_BITS);
}

// @ts-ignore: decorator
@inline
function countsBytes(self: Parts): usize {
  return ((<usize>PARTS) << self.shift) << 2;
}

/** Makes it parts that have no blocks but those that are being filled, which are empty. */
function empty(parts: Parts): void {
  parts.slabs = 0;
  parts.slab = 0;
  parts.free = 0;
  parts.held = 0;
  parts.block = 0;
  parts.end = 0;
  parts.uncounted = parts.counts == 0;
  if (parts.counts != 0) memory.fill(parts.counts, 0, countsBytes(parts));
  for (let part: u32 = 0; part < PARTS; part++) {
    store<u32>(slot(parts, CURSORS, part), <u32>openOf(parts, part));
    store<u32>(slot(parts, FIRSTS, part), <u32>openOf(parts, part));
    store<u32>(slot(parts, LASTS, part), 0);
    store<u32>(slot(parts, BLOCKS, part), 0);
  }
}

// ---- values that come

/** Appends a value; there is room for it, and the caller counts it. */
// @ts-ignore: decorator
@inline
export function partsAppend(self: Accumulator, group: u32, key: i64): void {
  const part = (group >> partsOf(self).shift) & (PARTS - 1);
  const cursor = self.side + CURSORS + ((<usize>part) << 2);
  let at: usize = load<u32>(cursor);
  if ((at & (BLOCK - 1)) == LINK) at = turn(partsOf(self), part);
  store<i64>(at, key);
  store<u32>(at, group, GROUP);
  store<u32>(cursor, <u32>(at + ENTRY));
}

/** Appends a vector's values; likewise. */
export function partsAppendRows<T>(self: Accumulator, numbers: usize, values: usize, rows: u32): void {
  const parts = partsOf(self);
  const shift = parts.shift;
  const cursors = slot(parts, CURSORS, 0);
  for (const end = numbers + ((<usize>rows) << 2); numbers < end; numbers += 4) {
    const group = load<u32>(numbers);
    const cursor = cursors + ((<usize>((group >> shift) & (PARTS - 1))) << 2);
    let at: usize = load<u32>(cursor);
    if ((at & (BLOCK - 1)) == LINK) at = turn(parts, (group >> shift) & (PARTS - 1));
    store<i64>(at, orderOf<T>(load<T>(values)));
    store<u32>(at, group, GROUP);
    store<u32>(cursor, <u32>(at + ENTRY));
    values += sizeof<T>();
  }
}

/** Puts what fills a part's open block into one that stays, in front of it; answers where the open one begins. */
function turn(self: Parts, part: u32): usize {
  if (self.next == <usize>load<u32>(self.slab, 4)) {
    self.slab = load<u32>(self.slab);
    self.next = blocksOf(self.slab);
  }
  const block = self.next;
  self.next = block + BLOCK;
  self.free--;
  const open = openOf(self, part);
  copyRun(block, open, LINK);
  if (!self.uncounted) countFull(self, open);
  store<u32>(block, <u32>open, LINK);
  const before: usize = load<u32>(slot(self, LASTS, part));
  if (before == 0) store<u32>(slot(self, FIRSTS, part), <u32>block);
  else store<u32>(before, <u32>block, LINK);
  store<u32>(slot(self, LASTS, part), <u32>block);
  store<u32>(slot(self, BLOCKS, part), load<u32>(slot(self, BLOCKS, part)) + 1);
  return open;
}

/** Counts the values of a block that is full. */
function countFull(self: Parts, block: usize): void {
  const counts = self.counts;
  const first = (PARTS << self.shift) - 1;
  let any: u32 = 0;
  for (let at = block; at < block + LINK; at += ENTRY) {
    const group = load<u32>(at, GROUP);
    any |= group;
    const counter = counts + ((<usize>(group & first)) << 2);
    store<u32>(counter, load<u32>(counter) + 1);
  }
  if (any > first) self.uncounted = true;
}

/** Values have been appended. */
// @ts-ignore: decorator
@inline
export function partsAppended(self: Accumulator, count: u32): void {
  self.rows += count;
  partsOf(self).block = 0;
}

// ---- values that come all at once

/**
 * Takes all values of another log, which has none afterwards, where both number their groups alike: 1. 0, with nothing
 * changed, where they are not divided alike, or some of the other's lie settled; -1 when out of memory, likewise.
 */
export function partsSplice(self: Accumulator, source: Accumulator): i32 {
  const from = partsOf(source);
  if (source.sideCount != 0) return 0;
  if (self.side == 0 && !partsOpen(self, 0, source.side)) return -1;
  const parts = partsOf(self);
  if (parts.shift != from.shift) return 0;
  if (!reserve(self, parts, (<u64>PARTS) * (<u64>BLOCK_ENTRIES))) return -1;
  for (let part: u32 = 0; part < PARTS; part++) spliceChain(self, parts, from, part);
  spliceCounts(parts, from);
  spliceSlabs(self, parts, source, from);
  self.rows += source.rows;
  parts.block = 0;
  source.rows = 0;
  empty(from);
  return 1;
}

function spliceChain(self: Accumulator, parts: Parts, from: Parts, part: u32): void {
  const last: usize = load<u32>(slot(from, LASTS, part));
  if (last != 0) {
    const first = slot(parts, FIRSTS, part);
    store<u32>(last, load<u32>(first), LINK);
    store<u32>(first, load<u32>(slot(from, FIRSTS, part)));
    if (load<u32>(slot(parts, LASTS, part)) == 0) store<u32>(slot(parts, LASTS, part), <u32>last);
    const blocks = slot(parts, BLOCKS, part);
    store<u32>(blocks, load<u32>(blocks) + load<u32>(slot(from, BLOCKS, part)));
  }
  const end: usize = load<u32>(slot(from, CURSORS, part));
  for (let at = openOf(from, part); at < end; at += ENTRY) partsAppend(self, load<u32>(at, GROUP), load<i64>(at));
}

function spliceCounts(self: Parts, from: Parts): void {
  if (from.uncounted) self.uncounted = true;
  if (self.uncounted) return;
  for (let at: usize = 0; at < countsBytes(self); at += 4)
    store<u32>(self.counts + at, load<u32>(self.counts + at) + load<u32>(from.counts + at));
}

/** The source's slabs come to be in front, where no blocks are taken any more. */
function spliceSlabs(self: Accumulator, parts: Parts, source: Accumulator, from: Parts): void {
  let last: usize = 0;
  for (let slab = from.slabs; slab != 0; slab = load<u32>(slab)) {
    regionAdopt(self.region, source.region, slab);
    last = slab;
  }
  if (last == 0) return;
  store<u32>(last, <u32>parts.slabs);
  parts.slabs = from.slabs;
  parts.held += from.held;
}

// ---- entries by number

/** Address of the key of an entry. */
export function partsEntry(self: Accumulator, entry: u32): usize {
  return entry < self.sideCount ? self.values + ((<usize>entry) << 3) : waiting(partsOf(self), entry - self.sideCount);
}

/** The group of an entry. */
export function partsGroup(self: Accumulator, entry: u32): u32 {
  const parts = partsOf(self);
  if (entry >= self.sideCount) return load<u32>(waiting(parts, entry - self.sideCount), GROUP);
  const heads = self.heads;
  let place = heads + ((<usize>parts.place) << 2);
  if (entry < load<u32>(place) || entry >= load<u32>(place, 4)) {
    // The last place that begins at or before the entry.
    let low: u32 = 0;
    let high = parts.span << PART_BITS;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (load<u32>(heads + ((<usize>middle) << 2)) <= entry) low = middle;
      else high = middle;
    }
    parts.place = low;
    place = heads + ((<usize>low) << 2);
  }
  const part = parts.place / parts.span;
  return groupOf(parts, part, parts.place - part * parts.span);
}

/** The group that `rest` says in its part. */
// @ts-ignore: decorator
@inline
function groupOf(self: Parts, part: u32, rest: u32): u32 {
  const shift = self.shift;
  return ((((rest >> shift) << PART_BITS) | part) << shift) | (rest & ((1 << shift) - 1));
}

function waiting(self: Parts, entry: u32): usize {
  if (self.block == 0 || entry < self.first) {
    self.part = 0;
    self.end = 0;
    self.block = load<u32>(slot(self, FIRSTS, 0));
    begin(self);
  }
  while (entry >= self.end) {
    const last: usize = load<u32>(slot(self, CURSORS, self.part));
    self.block = blockAfter(self.block, last);
    if (self.block == 0) {
      self.part++;
      self.block = load<u32>(slot(self, FIRSTS, self.part));
    }
    begin(self);
  }
  return self.block + <usize>(entry - self.first) * ENTRY;
}

/** The block of a part behind this one, 0 when it is the last; `last` is the part's cursor. */
// @ts-ignore: decorator
@inline
function blockAfter(block: usize, last: usize): usize {
  return block == (last & ~(BLOCK - 1)) ? 0 : load<u32>(block, LINK);
}

/** Where a block's entries end; `last` likewise. */
// @ts-ignore: decorator
@inline
function blockEnd(block: usize, last: usize): usize {
  return block == (last & ~(BLOCK - 1)) ? last : block + LINK;
}

/** Numbers the entries of the block at hand. */
function begin(self: Parts): void {
  self.first = self.end;
  const end = blockEnd(self.block, load<u32>(slot(self, CURSORS, self.part)));
  self.end += <u32>((end - self.block) / ENTRY);
}

// ---- settling

/** The place in `heads` of a group. */
// @ts-ignore: decorator
@inline
export function partsPlace(self: Accumulator, group: u32): u32 {
  const parts = partsOf(self);
  return ((group >> parts.shift) & (PARTS - 1)) * parts.span + rest(parts.shift, group);
}

/** What a group is numbered by in its part. */
// @ts-ignore: decorator
@inline
function rest(shift: u32, group: u32): u32 {
  return ((group >> (shift + PART_BITS)) << shift) | (group & ((1 << shift) - 1));
}

/** Lays the values of `groups` groups group by group. False when out of memory, with nothing changed. */
export function partsSettle(self: Accumulator, groups: u32): bool {
  if (!partsSettleBegin(self, groups)) return false;
  if (partsSettling(self)) {
    for (let part: u32 = 0; part < PARTS; part++) partsSettlePart(self, part);
    partsSettleEnd(self);
  }
  return true;
}

/** Makes parts ready to be settled, unless they are or have begun to be. False when out of memory, with nothing changed. */
export function partsSettleBegin(self: Accumulator, groups: u32): bool {
  const parts = partsOf(self);
  if (parts.newHeads != 0) return true;
  const count = <u32>self.rows;
  const shift = parts.shift;
  const span = max<u32>(1, <u32>((<u64>groups + ((<u64>PARTS) << <u64>shift) - 1) >> <u64>(shift + PART_BITS))) << shift;
  if (self.heads != 0 && self.sideCount == count && parts.span == span) return true;
  const heads = regionBlock(self.region, headsBytes(span));
  const values: usize = heads == 0 ? 0 : regionBlock(self.region, max<usize>((<usize>count) << 3, 64));
  if (values == 0) {
    regionFree(self.region, heads);
    return false;
  }
  let start: u32 = 0;
  for (let part: u32 = 0; part < PARTS; part++) {
    store<u32>(slot(parts, STARTS, part), start);
    store<u32>(slot(parts, SETTLED, part), 0);
    start += waitingOf(parts, part);
    if (self.heads == 0) continue;
    const old = self.heads + ((<usize>(part * parts.span)) << 2);
    start += load<u32>(old + ((<usize>parts.span) << 2)) - load<u32>(old);
  }
  parts.newHeads = heads;
  parts.newValues = values;
  parts.newSpan = span;
  return true;
}

/** Whether parts are being settled. */
// @ts-ignore: decorator
@inline
export function partsSettling(self: Accumulator): bool {
  return partsOf(self).newHeads != 0;
}

// @ts-ignore: decorator
@inline
function headsBytes(span: u32): usize {
  return (((<usize>span) << PART_BITS) + 1) << 2;
}

/** Values of a part that wait. */
function waitingOf(self: Parts, part: u32): u32 {
  const open = load<u32>(slot(self, CURSORS, part)) - <u32>openOf(self, part);
  return load<u32>(slot(self, BLOCKS, part)) * BLOCK_ENTRIES + open / <u32>ENTRY;
}

/** Settles a part, unless it is; the others may be settled by other threads meanwhile. True: it was not. */
export function partsSettlePart(self: Accumulator, part: u32): bool {
  const parts = partsOf(self);
  if (load<u32>(slot(parts, SETTLED, part)) != 0) return false;
  const span = parts.newSpan;
  const values = parts.newValues;
  const ends = parts.newHeads + ((<usize>(part * span)) << 2);
  memory.fill(ends, 0, (<usize>span) << 2);
  const oldSpan = self.heads == 0 ? 0 : parts.span;
  const old = self.heads + ((<usize>(part * oldSpan)) << 2);
  if (parts.uncounted) countPart(parts, part, ends);
  else {
    memory.copy(ends, parts.counts + ((<usize>(part << parts.shift)) << 2), (<usize>1 << parts.shift) << 2);
    countBlock(parts, openOf(parts, part), load<u32>(slot(parts, CURSORS, part)), ends);
  }
  for (let at: usize = 0; at < (<usize>oldSpan) << 2; at += 4)
    store<u32>(ends + at, load<u32>(ends + at) + runLength(old + at));
  const first = load<u32>(slot(parts, STARTS, part));
  let start = first;
  for (let at: usize = 0; at < (<usize>span) << 2; at += 4) {
    const size = load<u32>(ends + at);
    store<u32>(ends + at, start);
    start += size;
  }
  for (let at: usize = 0; at < (<usize>oldSpan) << 2; at += 4) {
    const to = load<u32>(ends + at);
    const bytes = (<usize>runLength(old + at)) << 3;
    memory.copy(values + ((<usize>to) << 3), self.values + ((<usize>load<u32>(old + at)) << 3), bytes);
    store<u32>(ends + at, to + runLength(old + at));
  }
  const bytes = (<usize>(start - first)) << 3;
  const brought = bytes <= BROUGHT ? loadAhead(values + ((<usize>first) << 3), bytes) : 0;
  scatterPart(parts, part, ends, values);
  // Starts have become ends, each of which is the next one's start.
  memory.copy(ends + 4, ends, (<usize>(span - 1)) << 2);
  store<u32>(ends, first);
  // Not 0 says that it is settled; the rest keeps what has been read, for no one.
  store<u32>(slot(parts, SETTLED, part), brought | 1);
  return true;
}

/** The groups of a part that is being settled, as a span of places, each with the values of one. */
export function partsPlaces(self: Accumulator): u32 {
  return partsOf(self).newSpan;
}

/** The group that has a place of a part that is being settled. */
export function partsPlaceGroup(self: Accumulator, part: u32, place: u32): u32 {
  return groupOf(partsOf(self), part, place);
}

/** Address of the first value at a place of a part that has been settled while others have not. */
export function partsPlaceBase(self: Accumulator, part: u32, place: u32): usize {
  const parts = partsOf(self);
  return parts.newValues + ((<usize>load<u32>(placeHead(parts, part, place))) << 3);
}

/** How many values there are. */
export function partsPlaceSize(self: Accumulator, part: u32, place: u32): u32 {
  const parts = partsOf(self);
  const head = placeHead(parts, part, place);
  // The part behind may not have its heads yet.
  const isLast = place == parts.newSpan - 1;
  const next = part == PARTS - 1 ? <u32>self.rows : load<u32>(slot(parts, STARTS, part + 1));
  return (isLast ? next : load<u32>(head, 4)) - load<u32>(head);
}

// @ts-ignore: decorator
@inline
function placeHead(self: Parts, part: u32, place: u32): usize {
  return self.newHeads + ((<usize>(part * self.newSpan + place)) << 2);
}

/** All parts have been settled: what lies settled is the log from now on. */
export function partsSettleEnd(self: Accumulator): void {
  const parts = partsOf(self);
  const count = <u32>self.rows;
  store<u32>(parts.newHeads + headsBytes(parts.newSpan) - 4, count);
  freeSlabs(self, parts);
  regionFree(self.region, self.heads);
  regionFree(self.region, self.values);
  self.heads = parts.newHeads;
  self.values = parts.newValues;
  self.sideCount = count;
  parts.span = parts.newSpan;
  parts.place = 0;
  parts.newHeads = 0;
  parts.newValues = 0;
}

// @ts-ignore: decorator
@inline
function runLength(head: usize): u32 {
  return load<u32>(head, 4) - load<u32>(head);
}

/** Counts a part's waiting values by group. */
function countPart(self: Parts, part: u32, counts: usize): void {
  const last: usize = load<u32>(slot(self, CURSORS, part));
  for (let block: usize = load<u32>(slot(self, FIRSTS, part)); block != 0; block = blockAfter(block, last))
    countBlock(self, block, blockEnd(block, last), counts);
}

function countBlock(self: Parts, block: usize, end: usize, counts: usize): void {
  const shift = self.shift;
  for (let at = block; at < end; at += ENTRY) {
    const counter = counts + ((<usize>rest(shift, load<u32>(at, GROUP))) << 2);
    store<u32>(counter, load<u32>(counter) + 1);
  }
}

/** Moves a part's waiting values to where their groups' go on, which `ends` tells and follows. */
function scatterPart(self: Parts, part: u32, ends: usize, values: usize): void {
  const last: usize = load<u32>(slot(self, CURSORS, part));
  // Most often a part is one range.
  const isRange = self.newSpan >> self.shift == 1;
  for (let block: usize = load<u32>(slot(self, FIRSTS, part)); block != 0; block = blockAfter(block, last)) {
    if (isRange) scatterBlock(self, block, blockEnd(block, last), ends, values, true);
    else scatterBlock(self, block, blockEnd(block, last), ends, values, false);
  }
}

// @ts-ignore: decorator
@inline
function scatterBlock(self: Parts, block: usize, end: usize, ends: usize, values: usize, isRange: bool): void {
  const shift = self.shift;
  const mask: u32 = (1 << shift) - 1;
  for (let at = block; at < end; at += ENTRY) {
    const group = load<u32>(at, GROUP);
    const next = ends + ((<usize>(isRange ? group & mask : rest(shift, group))) << 2);
    const to = load<u32>(next);
    store<u32>(next, to + 1);
    store<i64>(values + ((<usize>to) << 3), load<i64>(at));
  }
}
