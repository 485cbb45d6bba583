// What a join holds: its sides, the index over their keys, and where it stands in its work.
//
//   store 0 | store 1        rows that are kept, with the columns that results and the residual need
//   keys                     one numbering of the keys of both sides
//   heads 0 | heads 1        per key number the last row of that key (plus one); rows are chained by `next`
//
// A push looks the other side's chains up and, while the other port is open, keeps its own rows for the rows
// that will come there. Once the other port has ended nobody will look for them: the store holds the rows of the
// push at hand then, and no others. So the two ports need no order: with one side after the other this is
// the build and probe of a batch, with both interleaved it is a symmetric join of streams.

import { JoinFault, JoinFlag, JoinType } from "../abi/operator";
import { KeyTier, Keys, NO_KEY, keysAssignKept, keysDense, keysHash, keysLooked, keysReserveKept, keysSpan } from "../join/keys";
import {
  CHUNK_MASK,
  CHUNK_SHIFT,
  Store,
  storeCell,
  storeColumn,
  storeIsNull,
  storeLink,
  storeNext,
  storeStride,
} from "../join/store";
import { regrow } from "../column/builder";
import { copyBytes } from "../memory/copy";
import { OPERATOR_BODY } from "./operator";

/** Rows, or pairs of rows, that are found and handed on together. */
export const STEP: u32 = 2048;
/** Heads that lie beyond the second-level cache. */
const MANY_HEADS: u32 = 1 << 18;
/** Rows that one pull indexes at most. */
const INDEX_ROWS: u32 = 1 << 18;
/** A dense index takes at most this many numbers for each row, or this many on any input, and no more than that. */
export const DENSE_PER_ROW: u64 = 4;
const DENSE_ALWAYS: u64 = 1 << 16;
export const DENSE_MOST: u64 = 1 << 28;

export const enum Phase {
  IDLE = 0,
  /** The pushed rows meet the other side's. */
  PAIRS = 1,
  /** Pushed rows that leave alone: without a match, or (SEMI) because of one. */
  LONE = 2,
  /** A port has ended: the other side's rows that were never matched leave. */
  SCAN = 3,
  /** A port has ended: its rows are indexed, where that has waited. */
  INDEX = 4,
}

// @ts-ignore: decorator
@unmanaged
export class Join {
  type: u32;
  flags: u32;
  fault: u32;
  keyCount: u32;
  keys: usize;
  residual: usize;
  /** Per port. */
  program0: usize;
  program1: usize;
  store0: usize;
  store1: usize;
  heads0: usize;
  heads1: usize;
  headCount0: u32;
  headCount1: u32;
  /** 1 when some key has more than one row. */
  duplicates0: u32;
  duplicates1: u32;
  /** Rows that are in chains. */
  indexed0: u32;
  indexed1: u32;
  /** 1 after the last watermark of the port; 1 once what follows from it is done. */
  ended0: u32;
  ended1: u32;
  closed0: u32;
  closed1: u32;
  /** Smallest and largest key so far, while the index waits; afterwards those of port 0 are of both sides (join-range.ts). */
  low0: i64;
  high0: i64;
  low1: i64;
  high1: i64;
  /** Key numbers of the pushed rows, u32 each. */
  numbers: usize;
  /** Result columns, and those of the residual: u32 port, u32 column of its store. */
  columns: usize;
  output: usize;
  columnCount: u32;
  residualColumns: usize;
  residualOutput: usize;
  residualCount: u32;
  phase: u32;
  /** The port of the push at hand (or, SCAN and INDEX, the port that ended). */
  port: u32;
  /** Its rows: the first in its store, and how many; which is next, and where in the other side's chain. */
  first: u32;
  rows: u32;
  at: u32;
  chain: u32;
  /** Rows found, of port 0 and of port 1: u32 each. */
  found0: usize;
  found1: usize;
  /** Where the rows of one side lie that are being gathered: u32 each. */
  cells: usize;
  /** Pairs that the residual and the flags have not seen. */
  candidates: u32;
  /** Rows of the step that are ready, and how many of them have left; bit p: port p takes part. */
  ready: u32;
  taken: u32;
  sides: u32;
  /** Rows that the last push has written to the result itself, and how many of them have left. */
  written: u32;
  given: u32;
  /** 1 when a description of the result's builders has left. */
  handedOut: u32;
  /** Store column of the key while the index waits. */
  keyColumn0: u32;
  keyColumn1: u32;
  /** What a join by time holds besides (join-time-state.ts); 0 where equal keys alone decide. */
  time: usize;
  /** 1 when pairs may lack their row of port 1. */
  padded: u32;
  /** Per result column the dictionaries of its batches (join/codes.ts); 0 where texts leave as they are. */
  codes: usize;
  /** The links of the key's codes (join/code-links.ts). */
  codeLinks: usize;
  /** NULL_AWARE: 1 once a row has come on port 1, and once one without a key has. */
  some1: u32;
  nulls1: u32;
  /** The handle of the join whose kept rows this one reads (join-attach.ts); 0: its own. */
  owner: u32;
  /** What a join that follows changes holds besides (join-changes.ts); 0 where rows only come. */
  changes: usize;
  /** What kept rows leave by (join-leave.ts): builders of each port, 0 until asked for; the port and row that are next. */
  leaving0: usize;
  leaving1: usize;
  leavingPort: u32;
  leavingRow: u32;
  /** What rows of a side, where that is large, go through on their way to results (join/gather-rows.ts); 0 until they do. */
  window0: usize;
  window1: usize;
  /** `found0`, `found1` and `cells` for as many rows as a window takes; 0 until a side is large. */
  wide: usize;
  /** Bitmap of a push's rows that leave with it, and how they are packed (column/pack.ts). */
  leave: usize;
  packing: usize;
  /** Bitmap of listed rows of one side that are not there. */
  missing: usize;
  /**
   * The other side's rows that a push has found and not written yet: which, and where they lie, u32 each; how many there are,
   * and room for. They are in lists of a vector, or in a block of their own; 0 until a push is longer.
   */
  far: usize;
  farCells: usize;
  farCount: u32;
  farMost: u32;
  farBlock: usize;
  /** What reading heads ahead has read, kept for no one. */
  touched: u32;
  /** What several threads index a side by (join-ready.ts); 0 where nothing has begun. */
  readying: usize;
}

// @ts-ignore: decorator
@inline
export function joinOf(operator: usize): Join {
  return changetype<Join>(operator + OPERATOR_BODY);
}

// The fields of one port.

// @ts-ignore: decorator
@inline
export function joinProgram(self: Join, port: u32): usize {
  return port == 0 ? self.program0 : self.program1;
}

// @ts-ignore: decorator
@inline
export function joinStore(self: Join, port: u32): Store {
  return changetype<Store>(port == 0 ? self.store0 : self.store1);
}

// @ts-ignore: decorator
@inline
export function joinHeads(self: Join, port: u32): usize {
  return port == 0 ? self.heads0 : self.heads1;
}

// @ts-ignore: decorator
@inline
export function joinEnded(self: Join, port: u32): bool {
  return (port == 0 ? self.ended0 : self.ended1) != 0;
}

// @ts-ignore: decorator
@inline
export function joinClosed(self: Join, port: u32): bool {
  return (port == 0 ? self.closed0 : self.closed1) != 0;
}

// @ts-ignore: decorator
@inline
export function joinIndexed(self: Join, port: u32): u32 {
  return port == 0 ? self.indexed0 : self.indexed1;
}

// @ts-ignore: decorator
@inline
export function joinDuplicates(self: Join, port: u32): bool {
  return (port == 0 ? self.duplicates0 : self.duplicates1) != 0;
}

/** Whether rows of the port come from where they can be lent (lent.ts). */
export function joinIsLoaded(self: Join, port: u32): bool {
  return (self.flags & (port == 0 ? <u32>JoinFlag.LOADED_LEFT : <u32>JoinFlag.LOADED_RIGHT)) != 0;
}

/** Whether rows of the port leave padded with nulls when nothing matches them. */
export function joinPreserves(self: Join, port: u32): bool {
  if (self.type == <u32>JoinType.FULL) return true;
  return self.type == (port == 0 ? <u32>JoinType.LEFT : <u32>JoinType.RIGHT);
}

export function joinIsNullAware(self: Join): bool {
  return (self.flags & <u32>JoinFlag.NULL_AWARE) != 0;
}

/** NULL_AWARE, once port 1 has ended: whether a kept row of port 0 stays away though no key equals its own. */
export function joinStaysAway(self: Join, row: u32): bool {
  if (self.nulls1) return true;
  return self.some1 != 0 && joinLacksKey(self, row);
}

/** NULL_AWARE: whether the key of a kept row of port 0 is null. */
export function joinLacksKey(self: Join, row: u32): bool {
  return storeIsNull(storeColumn(joinStore(self, 0), self.keyColumn0), row);
}

/** Whether rows of the port say by themselves that they have had a match. */
// @ts-ignore: decorator
@inline
export function joinIsMarked(self: Join, port: u32): bool {
  return (self.flags & (port == 0 ? <u32>JoinFlag.MATCHED_LEFT : <u32>JoinFlag.MATCHED_RIGHT)) != 0;
}

/** Whether only rows of port 0 leave. */
export function joinFilters(self: Join): bool {
  return self.type == <u32>JoinType.SEMI || self.type == <u32>JoinType.ANTI;
}

export function joinIsSmall(self: Join): bool {
  return (self.fault & <u32>JoinFault.SMALL_STEPS) != 0;
}

/** Rows of one step. */
export function joinStep(self: Join): u32 {
  return joinIsSmall(self) ? 3 : STEP;
}

export function joinTier(self: Join): u32 {
  return changetype<Keys>(self.keys).tier;
}

/** Whether rows are kept without an index for now. */
export function joinWaits(self: Join): bool {
  return joinTier(self) == <u32>KeyTier.UNDECIDED && (self.flags & <u32>JoinFlag.BUILD_FIRST) != 0;
}

// ---- the index

/** Where bounds of the port's keys are collected: low and high, i64 each. */
// @ts-ignore: decorator
@inline
export function joinBounds(self: Join, port: u32): usize {
  return changetype<usize>(self) + (port == 0 ? offsetof<Join>("low0") : offsetof<Join>("low1"));
}

export function joinBoundsBegin(self: Join, port: u32): void {
  store<i64>(joinBounds(self, port), i64.MAX_VALUE);
  store<i64>(joinBounds(self, port), i64.MIN_VALUE, 8);
}

// @ts-ignore: decorator
@inline
export function joinHeadCount(self: Join, port: u32): u32 {
  return port == 0 ? self.headCount0 : self.headCount1;
}

/** Heads for key numbers below `count`, and one more; false when out of memory. */
export function joinReserveHeads(self: Join, port: u32, count: u32): bool {
  const old = port == 0 ? self.headCount0 : self.headCount1;
  if (count <= old && joinHeads(self, port) != 0) return true;
  // Of a range only what comes elsewhere grows, and not for each key.
  const isRange = joinTier(self) == <u32>KeyTier.RANGE;
  const growing = isRange ? max<u32>(keysLooked(changetype<Keys>(self.keys)), old >> 3) : old;
  let size = max<u32>(1024, max<u32>(count, old + min<u32>(growing, 0x1fffffff)));
  const region = changetype<Store>(self.store0).region;
  let heads = regrow(region, joinHeads(self, port), (<usize>old) << 2, (<usize>size + 1) << 2);
  if (heads == 0) {
    size = count;
    heads = regrow(region, joinHeads(self, port), (<usize>old) << 2, (<usize>size + 1) << 2);
  }
  if (heads == 0) return false;
  memory.fill(heads + ((<usize>old) << 2), 0, (<usize>(size - old) + 1) << 2);
  if (port == 0) {
    self.heads0 = heads;
    self.headCount0 = size;
  } else {
    self.heads1 = heads;
    self.headCount1 = size;
  }
  return true;
}

/** Of rows that only tell whether a key is there, the first does. */
export function joinLinksOnce(self: Join, port: u32): bool {
  return port == 1 && joinFilters(self) && self.residual == 0;
}

/**
 * Puts rows `first` to `first + count` of a side, whose key numbers are at `numbers`, into their chains. A store without
 * links gets them when a key has its second row; false when there is no memory for them: the rows before are in chains then.
 */
export function joinLink(self: Join, port: u32, first: u32, count: u32, numbers: usize): bool {
  const kept = joinStore(self, port);
  let duplicates: u32 = 0;
  for (let done: u32 = 0; done < count; ) {
    const some = min<u32>(min<u32>(count - done, STEP), CHUNK_MASK + 1 - ((first + done) & CHUNK_MASK));
    const listed = numbers + ((<usize>done) << 2);
    const isLinked = kept.nextBytes != 0;
    // Nothing is being gathered now.
    const links = isLinked ? storeNext(kept, first + done) : self.cells;
    duplicates |= joinLinkSome(self, port, first + done, some, listed, links);
    if (duplicates != 0 && !isLinked) {
      if (!storeLink(kept)) {
        unlink(joinHeads(self, port), listed, some, links);
        setIndexed(self, port, first + done, false);
        return false;
      }
      copyBytes(storeNext(kept, first + done), links, (<usize>some) << 2);
    }
    done += some;
  }
  setIndexed(self, port, first + count, duplicates != 0);
  return true;
}

/** The same of a step's rows of one chunk at most, whose links are written to `links`; they do not count as indexed yet. Not 0 where a key had a row. */
export function joinLinkSome(self: Join, port: u32, first: u32, count: u32, numbers: usize, links: usize): u32 {
  const heads = joinHeads(self, port);
  const once = joinLinksOnce(self, port);
  let duplicates: u32 = 0;
  // Each of these may be a miss, and more of them are on their way at once while nothing is done with what they find.
  if (joinHeadCount(self, port) > MANY_HEADS) self.touched = touch(heads, numbers, count);
  for (let row: u32 = 0; row < count; row++) {
    const number = load<u32>(numbers + ((<usize>row) << 2));
    if (number != NO_KEY) {
      const head = heads + ((<usize>number) << 2);
      const before = load<u32>(head);
      if (before == 0 || !once) {
        store<u32>(links, before);
        store<u32>(head, first + row + 1);
        duplicates |= before;
      }
    }
    links += 4;
  }
  return duplicates;
}

/** Takes rows out of their chains again, the last one first: what each has been put before is at `links`. */
function unlink(heads: usize, numbers: usize, count: u32, links: usize): void {
  for (let at: usize = (<usize>count) << 2; at != 0; ) {
    at -= 4;
    const number = load<u32>(numbers + at);
    if (number != NO_KEY) store<u32>(heads + ((<usize>number) << 2), load<u32>(links + at));
  }
}

function setIndexed(self: Join, port: u32, rows: u32, duplicates: bool): void {
  if (port == 0) {
    self.indexed0 = rows;
    if (duplicates) self.duplicates0 = 1;
  } else {
    self.indexed1 = rows;
    if (duplicates) self.duplicates1 = 1;
  }
}

/** Where the next row of the other side goes that a push has found and not written yet. */
// @ts-ignore: decorator
@inline
export function joinFar(self: Join): usize {
  return self.far + ((<usize>self.farCount) << 2);
}

/** Reads the heads of key numbers, so that they are in the cache. */
function touch(heads: usize, numbers: usize, count: u32): u32 {
  let sum: u32 = 0;
  const end = numbers + ((<usize>count) << 2);
  for (; numbers < end; numbers += 4) {
    const number = load<u32>(numbers);
    sum += load<u32>(heads + ((<usize>(number == NO_KEY ? 0 : number)) << 2));
  }
  return sum;
}

/** Ends the wait: a port has ended and the other is empty, so its keys may take the dense index. */
export function joinDecide(self: Join, port: u32): void {
  const range = joinDenseRange(self, port);
  if (range != 0) keysDense(changetype<Keys>(self.keys), port == 0 ? self.low0 : self.low1, range);
  else keysHash(changetype<Keys>(self.keys));
}

/** Numbers of a dense index of the port's keys, whose bounds were collected; 0: it would take too many. */
export function joinDenseRange(self: Join, port: u32): u32 {
  const low = port == 0 ? self.low0 : self.low1;
  const high = port == 0 ? self.high0 : self.high1;
  const rows: u64 = joinStore(self, port).rows;
  const distance: u64 = high < low ? 0 : <u64>(high - low);
  const fits = distance < min<u64>(DENSE_MOST, max<u64>(DENSE_ALWAYS, rows * DENSE_PER_ROW));
  return fits ? <u32>distance + 1 : 0;
}

/** Indexes kept rows of a port, at most INDEX_ROWS of them; false when out of memory, with what is done kept. */
export function joinIndexSome(self: Join, port: u32): bool {
  const keys = changetype<Keys>(self.keys);
  const kept = joinStore(self, port);
  const column = storeColumn(kept, port == 0 ? self.keyColumn0 : self.keyColumn1);
  const start = joinIndexed(self, port);
  const end = start + min<u32>(kept.rows - start, joinIsSmall(self) ? STEP : INDEX_ROWS);
  for (let row = start; row < end; row += STEP) {
    const count = min<u32>(end - row, STEP);
    if (keys.tier == <u32>KeyTier.HASH && !keysReserveKept(keys, count)) return false;
    const bits: usize = load<u32>(column.validity + ((<usize>(row >> CHUNK_SHIFT)) << 2));
    const validity = column.nullable ? bits + <usize>((row & CHUNK_MASK) >> 3) : 0;
    if (!keysAssignKept(keys, storeCell(kept, column, row), storeStride(kept, column), validity, count, self.numbers)) return false;
    if (!joinReserveHeads(self, port, keysSpan(keys))) return false;
    if (!joinLink(self, port, row, count, self.numbers)) return false;
  }
  return true;
}
