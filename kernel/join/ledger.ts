// A ledger: which kept rows of a side that is a changelog are there, and how much each of them matches.
//
// A row is taken back by a change that is equal to it in all its columns, of which the newest equal row goes. So that
// it is found whatever else shares its key, rows are in a table by the hash of all of their columns, chained by `same`;
// as the chain of a key is left in the middle, each row knows the one before. A change that takes back what has not come
// is kept as a row that is *owed*: it counts less than nothing, until the row comes and both are gone.
//
//   per row   u8 state   u32 hash   u32 same (the next of the bucket, plus one)   u32 before (of the key, plus one)
//             i32 matches: rows of the other side that match it, those that are owed counted as less than none
//
// A side whose rows only come has states, and matches where these decide what leaves. Rows that are gone stay where they
// are until the join lays out anew what is there (operator/join-changes-compact.ts).

import { regrow } from "../column/builder";
import { SLOT_HASH_SIZE, SlotHash, slotHashInit } from "../hash/slot-hash";
import { regionCut, regionFree } from "../memory/region";
import { storeEqual, storeHash } from "./compare";
import { Store } from "./store";

/** Bit 0: the row is owed. Bit 1: it is gone. Bit 2: what it matches is being added up (`ledgerTouch`). */
export const enum RowState {
  THERE = 0,
  OWED = 1,
  GONE = 2,
  TOUCHED = 4,
}

// @ts-ignore: decorator
@unmanaged
export class Ledger {
  region: usize;
  /** Whether rows are taken back, and whether matches are counted. */
  retracts: u32;
  counts: u32;
  /** Rows that there is room for. */
  capacity: u32;
  states: usize;
  hashes: usize;
  same: usize;
  before: usize;
  matches: usize;
  /** Per bucket the newest row, plus one; a power of two of them. */
  buckets: usize;
  bucketCount: u32;
  /** Rows that are there or owed; those that are owed. */
  live: u32;
  owed: u32;
  hashZero: u32;
  seeds: usize;
}

export const LEDGER_SIZE: usize = 64;
const FIRST_ROWS: u32 = 1024;
const MOST_BUCKETS: u32 = 1 << 28;

/** An empty ledger. False when out of memory. */
export function ledgerInit(address: usize, region: usize, retracts: bool, counts: bool, hashZero: bool, seed: u32): bool {
  const self = changetype<Ledger>(address);
  memory.fill(address, 0, LEDGER_SIZE);
  self.region = region;
  self.retracts = retracts ? 1 : 0;
  self.counts = counts ? 1 : 0;
  self.hashZero = hashZero ? 1 : 0;
  self.seeds = regionCut(region, SLOT_HASH_SIZE);
  if (self.seeds == 0) return false;
  slotHashInit(self.seeds, seed);
  return true;
}

// ---- room

/** Room for `rows` rows in all. False when out of memory. */
export function ledgerReserve(self: Ledger, rows: u32): bool {
  const capacity = self.capacity;
  if (rows <= capacity) return true;
  const room = max<u32>(rows, max<u32>(FIRST_ROWS, min<u32>(capacity, 0x7fffffff) << 1));
  const states = regrow(self.region, self.states, capacity, room);
  if (states == 0) return false;
  self.states = states;
  if (self.counts) {
    const matches = grown(self, self.matches, room);
    if (matches == 0) return false;
    self.matches = matches;
  }
  if (self.retracts) {
    const hashes = grown(self, self.hashes, room);
    if (hashes == 0) return false;
    self.hashes = hashes;
    const same = grown(self, self.same, room);
    if (same == 0) return false;
    self.same = same;
    const before = grown(self, self.before, room);
    if (before == 0) return false;
    self.before = before;
    if (!spread(self, room)) return false;
  }
  self.capacity = room;
  return true;
}

function grown(self: Ledger, old: usize, room: u32): usize {
  return regrow(self.region, old, (<usize>self.capacity) << 2, (<usize>room) << 2);
}

/** A bucket a row, or nearly; false when out of memory. */
function spread(self: Ledger, room: u32): bool {
  const wanted = min<u32>(MOST_BUCKETS, <u32>1 << (32 - clz<u32>(room - 1)));
  if (wanted <= self.bucketCount) return true; // unreached: needs more than 2^28 rows
  const old = self.buckets;
  const count = self.bucketCount;
  const fresh = regrow(self.region, 0, 0, (<usize>wanted) << 2);
  if (fresh == 0) return false;
  memory.fill(fresh, 0, (<usize>wanted) << 2);
  self.buckets = fresh;
  self.bucketCount = wanted;
  for (let bucket: u32 = 0; bucket < count; bucket++) {
    let link = load<u32>(old + ((<usize>bucket) << 2));
    while (link != 0) {
      const next = load<u32>(self.same + ((<usize>(link - 1)) << 2));
      enter(self, link - 1);
      link = next;
    }
  }
  regionFree(self.region, old);
  return true;
}

/** Gives back all memory of the rows; from now on they are not kept, so none is taken back. */
export function ledgerClose(self: Ledger): void {
  regionFree(self.region, self.states);
  regionFree(self.region, self.hashes);
  regionFree(self.region, self.same);
  regionFree(self.region, self.before);
  regionFree(self.region, self.matches);
  regionFree(self.region, self.buckets);
  self.states = 0;
  self.hashes = 0;
  self.same = 0;
  self.before = 0;
  self.matches = 0;
  self.buckets = 0;
  self.bucketCount = 0;
  self.capacity = 0;
  self.live = 0;
  self.owed = 0;
  self.retracts = 0;
}

// ---- one row

// @ts-ignore: decorator
@inline
export function ledgerState(self: Ledger, row: u32): u32 {
  return load<u8>(self.states + <usize>row);
}

/** A row's state, with nothing that it matches. */
// @ts-ignore: decorator
@inline
export function ledgerSet(self: Ledger, row: u32, state: u32): void {
  store<u8>(self.states + <usize>row, <u8>state);
  if (self.counts) store<i32>(self.matches + ((<usize>row) << 2), 0);
}

/** Address of the i32 that counts what a row matches. */
// @ts-ignore: decorator
@inline
export function ledgerMatches(self: Ledger, row: u32): usize {
  return self.matches + ((<usize>row) << 2);
}

/** Address of the u32 row before in the chain of the key, plus one. */
// @ts-ignore: decorator
@inline
export function ledgerBefore(self: Ledger, row: u32): usize {
  return self.before + ((<usize>row) << 2);
}

/** What a row that is not gone counts: 1, or -1 where it is owed. */
// @ts-ignore: decorator
@inline
export function stateWeight(state: u32): i32 {
  return 1 - <i32>((state & 1) << 1);
}

/** What the change counts that has left a row in this state: it came, or it has gone. */
// @ts-ignore: decorator
@inline
export function changeWeight(state: u32): i32 {
  return stateWeight(state ^ (state >> 1));
}

/** Notes the hash of a row of the store, by which it can be found. */
// @ts-ignore: decorator
@inline
export function ledgerHash(self: Ledger, kept: Store, row: u32): void {
  const hash = self.hashZero ? 0 : storeHash(kept, row, changetype<SlotHash>(self.seeds));
  store<u32>(self.hashes + ((<usize>row) << 2), hash);
}

/** Keeps a row whose hash is noted. */
export function ledgerAdd(self: Ledger, row: u32, state: u32): void {
  ledgerSet(self, row, state);
  self.live += 1;
  self.owed += state & 1;
  if (self.retracts) enter(self, row);
}

function enter(self: Ledger, row: u32): void {
  const hash = load<u32>(self.hashes + ((<usize>row) << 2));
  const bucket = self.buckets + ((<usize>(hash & (self.bucketCount - 1))) << 2);
  store<u32>(self.same + ((<usize>row) << 2), load<u32>(bucket));
  store<u32>(bucket, row + 1);
}

/**
 * Takes out a row that is equal to the given one, whose hash is noted, and counts the opposite of `state`: it is gone
 * then, and returned plus one. 0 where there is none.
 */
export function ledgerTake(self: Ledger, kept: Store, row: u32, state: u32): u32 {
  const hash = load<u32>(self.hashes + ((<usize>row) << 2));
  let link = self.buckets + ((<usize>(hash & (self.bucketCount - 1))) << 2);
  for (let found = load<u32>(link); found != 0; found = load<u32>(link)) {
    const at = (<usize>(found - 1)) << 2;
    if (load<u32>(self.hashes + at) == hash && storeEqual(kept, found - 1, row)) {
      const known = ledgerState(self, found - 1);
      // Rows that are equal are all there, or all owed.
      if (known == state) return 0;
      store<u32>(link, load<u32>(self.same + at));
      store<u8>(self.states + <usize>(found - 1), <u8>(known | <u32>RowState.GONE));
      self.live -= 1;
      self.owed -= known;
      return found;
    }
    link = self.same + at;
  }
  return 0;
}

// ---- rows that stand for others, whose state follows from what they match: none, more, or less than none

/** Says that what a row matches changes; false where that was said before, since the last `ledgerSettle`. */
export function ledgerTouch(self: Ledger, row: u32): bool {
  const state = ledgerState(self, row);
  if (state & <u32>RowState.TOUCHED) return false;
  if ((state & <u32>RowState.GONE) == 0) {
    self.live -= 1;
    self.owed -= state & 1;
  }
  store<u8>(self.states + <usize>row, <u8>RowState.TOUCHED);
  return true;
}

/** Gives a row the state that follows. */
export function ledgerSettle(self: Ledger, row: u32): void {
  const matches = load<i32>(ledgerMatches(self, row));
  const owes: u32 = matches < 0 ? 1 : 0;
  store<u8>(self.states + <usize>row, <u8>(matches == 0 ? <u32>RowState.GONE : owes));
  if (matches == 0) return;
  self.live += 1;
  self.owed += owes;
}
