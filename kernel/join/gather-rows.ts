// Rows of a large store copied beside each other before their columns are gathered.
//
// Keys that come in any order find each row of a large side on a page of its own, and the walk to where that page lies
// takes longer than the row. So rows are not fetched in the order in which they leave: of some thousand of them those of
// one chunk are copied after each other, each to its place among the copies, by one pass of a counting sort. Then walks
// go through few tables, which stay in the cache, and the columns are gathered from the copies, one after the other.
//
// Measured outside of the kernel for 10 million rows of 48 bytes, six columns, one of them text, in any order: 277 ms
// instead of 619 (in order: 98). Windows of 16,384 to 262,144 rows and parts of 32,768 to 262,144 rows take the same.
//
// Where columns of a store are lent (lent.ts) copies have them, too, and all rows go through a window.
//
// The copying loop has few instructions, so that many rows are on their way at once: with a loop over the bytes of a row
// the join of 10 million rows a side takes 1.13 times the time.
//
// Tried and lost: copies in the order in which rows leave, or rows in the order in which they lie without copies. Each by
// itself gains less than a tenth. Columns gathered in the order of parts and written to their places (479 ms: a place for
// each column of a row). Both sides put in the order of parts of their key numbers, the left rows in blocks of 16,384 of
// one part: what is found lies in a few MB then, but all of both sides is copied once more, and the whole join takes 1.13 times
// the time of none of this. Heads looked up part by part: nothing gained, they are 4 bytes each, and many are on
// their way as it is.

import { regionBlock } from "../memory/region";
import { NO_ROW } from "./gather";
import { LENT_SCRATCH, lentCopy } from "./lent";
import { Store, STORE_SIZE, storeRow } from "./store";

/** Bytes of rows from which on they are copied. */
export const LARGE_STORE: u64 = 16 << 20;
/** Rows of a window, and bytes that their copies should not pass. */
export const WINDOW_ROWS: u32 = 1 << 14;
const WINDOW_BYTES: u32 = 1 << 20;
/** Parts at most, and bits of a row's number in which those of a part differ where these do. */
const PARTS: u32 = 256;
const PART_SHIFT: u32 = 16;

/** Rows on their way. */
// @ts-ignore: decorator
@unmanaged
export class RowWindow {
  /** Rows that there is room for before those of a step. */
  most: u32;
  /** Rows so far, u32 each at `rows`; NO_ROW stands for none. */
  count: u32;
  /** Bits of a row's number in which those of a part differ, at least. */
  least: u32;
  rows: usize;
  /** The store of copies, and, u32 each, where the copy of each row lies. */
  copies: usize;
  cells: usize;
  /** Where rows lie, and where their copies will, in the order of parts, u32 each; u32 a part. */
  pairs: usize;
  parts: usize;
  /** Rows in that order, u32 each, for columns that are lent. */
  ordered: usize;
  scratch: usize;
}

const HEAD: usize = 40;

/** A window for rows of a store, `step` of which come at once; `small`: of as many parts as there may be. 0 when out of memory. */
export function windowCreate(region: usize, kept: Store, step: u32, small: bool): usize {
  const most = min<u32>(WINDOW_ROWS, max<u32>(step, WINDOW_BYTES / <u32>max<usize>(1, kept.fullBytes)));
  const rows: usize = <usize>most + <usize>step;
  const listed: usize = kept.lent ? rows * 20 + LENT_SCRATCH : rows * 16;
  const block = regionBlock(region, HEAD + STORE_SIZE + 8 + listed + ((<usize>PARTS) << 2) + rows * kept.fullBytes + SLACK);
  if (block == 0) return 0;
  const self = changetype<RowWindow>(block);
  self.most = most;
  self.count = 0;
  self.least = small ? 0 : PART_SHIFT;
  self.copies = block + HEAD;
  const table = self.copies + STORE_SIZE;
  self.pairs = table + 8;
  self.rows = self.pairs + rows * 8;
  self.cells = self.rows + rows * 4;
  self.ordered = self.cells + rows * 4;
  self.scratch = self.ordered + rows * 4;
  self.parts = self.pairs + listed;
  store<u32>(table, <u32>(self.parts + ((<usize>PARTS) << 2)));
  return block;
}

/** Bytes behind the last row that may be read. */
const SLACK: usize = 16;

/** Copies the first `count` of the window's rows, and says where they are. */
export function windowCopy(self: RowWindow, kept: Store, count: u32): void {
  const rows = self.rows;
  const parts = self.parts;
  // The store may have grown since the last time.
  const copies = changetype<Store>(self.copies);
  const table = self.copies + STORE_SIZE;
  memory.copy(self.copies, changetype<usize>(kept), STORE_SIZE);
  copies.rowChunks = table;
  copies.rowFirst = self.most;
  copies.rowBytes = kept.fullBytes;
  let shift = self.least;
  while (kept.rows >> shift >= PARTS) shift++;
  memory.fill(parts, 0, (<usize>PARTS) << 2);
  const end = (<usize>count) << 2;
  const bytes = kept.fullBytes;
  const lent = kept.lent != 0;
  const target: usize = load<u32>(table);
  const none = <u32>kept.none;
  for (let at: usize = 0; at < end; at += 4) {
    const row = load<u32>(rows + at);
    store<u32>(self.cells + at, row == NO_ROW ? none : <u32>(target + (at >> 2) * bytes));
    if (row == NO_ROW) continue;
    const part = parts + ((<usize>(row >> shift)) << 2);
    store<u32>(part, load<u32>(part) + 1);
  }
  let first: u32 = 0;
  for (let at: usize = 0; at < (<usize>PARTS) << 2; at += 4) {
    const some = load<u32>(parts + at);
    store<u32>(parts + at, first);
    first += some;
  }
  for (let at: usize = 0; at < end; at += 4) {
    const row = load<u32>(rows + at);
    if (row == NO_ROW) continue;
    const part = parts + ((<usize>(row >> shift)) << 2);
    const place = load<u32>(part);
    store<u32>(part, place + 1);
    const to = target + (at >> 2) * bytes;
    store<u64>(self.pairs + ((<usize>place) << 3), (<u64>to << 32) | <u64>storeRow(kept, row));
    if (lent) store<u32>(self.ordered + ((<usize>place) << 2), row);
  }
  copyRows(self.pairs, first, kept.rowBytes);
  if (lent) lentCopy(kept, self.ordered, self.pairs, first, self.scratch);
}

/** Copies `count` rows of `bytes` bytes: of each pair the low half is where from, the high one where to. */
function copyRows(pairs: usize, count: u32, bytes: usize): void {
  const end = pairs + ((<usize>count) << 3);
  if (ASC_FEATURE_SIMD) {
    // The fewer instructions a row has, the more rows are on their way at once.
    switch (<u32>bytes) {
      case 16:
        return copyVectors(pairs, end, 16);
      case 24:
        return copyVectors(pairs, end, 24);
      case 32:
        return copyVectors(pairs, end, 32);
      case 40:
        return copyVectors(pairs, end, 40);
      case 48:
        return copyVectors(pairs, end, 48);
      case 56:
        return copyVectors(pairs, end, 56);
      case 64:
        return copyVectors(pairs, end, 64);
      default:
    }
  }
  for (; pairs < end; pairs += 8) {
    let from: usize = load<u32>(pairs);
    let to: usize = load<u32>(pairs, 4);
    const last = from + bytes;
    for (; from + 8 <= last; from += 8) {
      store<u64>(to, load<u64>(from));
      to += 8;
    }
    if (from < last) store<u32>(to, load<u32>(from));
  }
}

/** The same for so many bytes as are known here: 16 to 64. The last vector reaches back into the one before. */
// @ts-ignore: decorator
@inline
function copyVectors(pairs: usize, end: usize, bytes: usize): void {
  for (; pairs < end; pairs += 8) {
    const from: usize = load<u32>(pairs);
    const to: usize = load<u32>(pairs, 4);
    if (bytes > 16) v128.store(to, v128.load(from));
    if (bytes > 32) v128.store(to + 16, v128.load(from + 16));
    if (bytes > 48) v128.store(to + 32, v128.load(from + 32));
    v128.store(to + (bytes - 16), v128.load(from + (bytes - 16)));
  }
}
