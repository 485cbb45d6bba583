// Indexing what one side of a join has kept, in parts that several threads may claim.
//
// A batch's build side is indexed once it has ended, and until that is done nobody can probe. With a dense index (one
// integer key whose values lie close together) all that is shared are the heads, a u32 a key: a part links its rows there
// as if it were alone, without atomics, and counts them. Where each key has one row that is all. Two rows of one key
// would have to be chained in the order in which they came, and two threads that link them at once would lose one. So
// who finds a head taken says so, and at the end the heads that are taken are counted: as many as rows were linked, and
// nobody has met another. Else the heads are emptied, and one thread indexes all rows in their order. Parts stop as
// soon as a key has come twice, which among few keys is soon.
//
// Rows that only tell whether a key is there (the right side of SEMI and ANTI) may lose each other: any of them will do.
//
// The index is that of one thread, whoever links what. For 10 million keys on either side two threads take 402 ms instead
// of 458 for the whole join, of which 140 were indexing. Whoever pulls does the parts that nobody has claimed; so it is up
// to the host whether any are shared.
//
// Not done, by reckoning: each thread linking the keys of a range, from all rows, which would keep rows of one key in
// order. All keys are read by each, and half of the time goes into that.

import { KeyTier, Keys, NO_KEY, keysNumberKept, keysSpan } from "../join/keys";
import { CHUNK_MASK, CHUNK_SHIFT, Store, storeCell, storeColumn, storeNext, storeStride } from "../join/store";
import { failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock, regionFree } from "../memory/region";
import {
  Join,
  STEP,
  joinClosed,
  joinDecide,
  joinEnded,
  joinHeadCount,
  joinHeads,
  joinIndexed,
  joinIsSmall,
  joinLinkSome,
  joinLinksOnce,
  joinOf,
  joinReserveHeads,
  joinStore,
  joinTier,
} from "./join-state";

/** Parts that can be claimed. */
export const JOIN_PARTS: u32 = 64;
/** Fewer rows are indexed in some milliseconds, of which waking a thread would take a part. */
const LEAST_ROWS: u32 = 1 << 18;

/** What has been begun: of the side's rows a part has `each` at most. */
// @ts-ignore: decorator
@unmanaged
class Readying {
  rows: u32;
  each: u32;
  port: u32;
  /** 1 once a head was taken. */
  met: u32;
}

const HEAD: usize = 16;
/** Behind the head: per part the rows linked, plus one (u32); 0 until it is done. */
const READYING_SIZE: usize = HEAD + ((<usize>JOIN_PARTS) << 2);

// @ts-ignore: decorator
@inline
function partAt(readying: usize, part: u32): usize {
  return readying + HEAD + ((<usize>part) << 2);
}

/** Begins: how many parts there are to be done, 0 where one thread is to index, or OUT_OF_MEMORY with nothing lost. */
export function joinReadyBegin(context: usize, operator: usize): i32 {
  const self = joinOf(operator);
  if (self.readying != 0) return JOIN_PARTS;
  const port: u32 = joinEnded(self, 0) ? 0 : 1;
  if ((self.time | self.changes) != 0 || self.owner != 0) return 0;
  if (!joinEnded(self, port) || joinEnded(self, 1 - port) || joinClosed(self, port)) return 0;
  const kept = joinStore(self, port);
  if (kept.rows < (joinIsSmall(self) ? 1 : LEAST_ROWS) || joinIndexed(self, port) != 0) return 0;
  if (joinTier(self) == <u32>KeyTier.UNDECIDED && joinStore(self, 1 - port).rows == 0) joinDecide(self, port);
  if (joinTier(self) != <u32>KeyTier.DENSE) return 0;
  if (!joinReserveHeads(self, port, keysSpan(changetype<Keys>(self.keys)))) return failMemory(context, 0);
  const address = regionBlock(kept.region, READYING_SIZE);
  if (address == 0) return failMemory(context, 0);
  memory.fill(address, 0, READYING_SIZE);
  const readying = changetype<Readying>(address);
  readying.port = port;
  readying.rows = kept.rows;
  readying.each = ((kept.rows + JOIN_PARTS - 1) / JOIN_PARTS + STEP - 1) & ~(STEP - 1);
  self.readying = address;
  return JOIN_PARTS;
}

/** Does a part, unless it is done or nothing has begun. Others may do other parts meanwhile. */
export function joinReadyPart(context: usize, operator: usize, part: u32): void {
  const self = joinOf(operator);
  if (self.readying != 0) doPart(context, self, part);
}

function doPart(context: usize, self: Join, part: u32): void {
  const at = partAt(self.readying, part);
  if (load<u32>(at) != 0) return;
  const mark = scratchMark(context);
  const numbers = scratchTake(context, (<usize>STEP) << 3);
  store<u32>(at, linkPart(self, changetype<Readying>(self.readying), part, numbers) + 1);
  scratchReset(context, mark);
}

/** How many rows of a part have been linked; it stops where a row meets another. `numbers`: two words of four bytes for each row of a step. */
function linkPart(self: Join, readying: Readying, part: u32, numbers: usize): u32 {
  const port = readying.port;
  const kept = joinStore(self, port);
  const keys = changetype<Keys>(self.keys);
  const column = storeColumn(kept, port == 0 ? self.keyColumn0 : self.keyColumn1);
  const once = joinLinksOnce(self, port);
  const end = <u32>min<u64>(readying.rows, <u64>(part + 1) * <u64>readying.each);
  let linked: u32 = 0;
  for (let row = part * readying.each; row < end && readying.met == 0; row += STEP) {
    const count = min<u32>(end - row, STEP);
    const bits: usize = load<u32>(column.validity + ((<usize>(row >> CHUNK_SHIFT)) << 2));
    const validity = column.nullable ? bits + <usize>((row & CHUNK_MASK) >> 3) : 0;
    keysNumberKept(keys, storeCell(kept, column, row), storeStride(kept, column), validity, count, numbers);
    // Where no row has a link so far, none will that counts.
    const links = kept.nextBytes != 0 ? storeNext(kept, row) : numbers + ((<usize>STEP) << 2);
    if (joinLinkSome(self, port, row, count, numbers, links) != 0 && !once) readying.met = 1;
    linked += numbered(numbers, count);
  }
  return linked;
}

function numbered(numbers: usize, count: u32): u32 {
  let rows: u32 = 0;
  for (let at: usize = 0; at < (<usize>count) << 2; at += 4) rows += load<u32>(numbers + at) != NO_KEY ? 1 : 0;
  return rows;
}

/** Does what is left, where something has begun. The side is indexed then, unless one thread is to do it. */
export function joinReadyEnd(context: usize, self: Join): void {
  const address = self.readying;
  if (address == 0) return;
  for (let part: u32 = 0; part < JOIN_PARTS; part++) doPart(context, self, part);
  const readying = changetype<Readying>(address);
  const port = readying.port;
  let linked: u32 = 0;
  for (let part: u32 = 0; part < JOIN_PARTS; part++) linked += load<u32>(partAt(address, part)) - 1;
  const heads = joinHeads(self, port);
  const count = joinHeadCount(self, port) + 1;
  const isWhole = joinLinksOnce(self, port) || (readying.met == 0 && taken(heads, count) == linked);
  if (!isWhole) memory.fill(heads, 0, (<usize>count) << 2);
  else if (port == 0) self.indexed0 = readying.rows;
  else self.indexed1 = readying.rows;
  joinReadyDrop(self, port);
}

/** The rows of the port go, or are indexed: nothing has begun any more. */
export function joinReadyDrop(self: Join, port: u32): void {
  if (self.readying == 0 || changetype<Readying>(self.readying).port != port) return;
  regionFree(changetype<Store>(self.store0).region, self.readying);
  self.readying = 0;
}

/** Heads that have a row. */
function taken(heads: usize, count: u32): u32 {
  let empty: u32 = 0;
  let at: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    let sum = i32x4.splat(0);
    const zero = i32x4.splat(0);
    for (const whole = count & ~3; at < whole; at += 4) sum = i32x4.sub(sum, i32x4.eq(v128.load(heads + ((<usize>at) << 2)), zero));
    empty = i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
  }
  for (; at < count; at++) empty += load<u32>(heads + ((<usize>at) << 2)) == 0 ? 1 : 0;
  return count - empty;
}
