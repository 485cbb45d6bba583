// What a SORT holds: shared by the files that feed and read it (sort.ts), and that share its rows among workers
// (sort-share.ts, sort-range.ts).

import { RowStore } from "../sort/row-store";
import { Sorter } from "../sort/sorter";
import { OPERATOR_BODY } from "./operator";

/** A limit that is none. */
export const ALL: u32 = 0xffffffff;

// @ts-ignore: decorator
@unmanaged
export class Sort {
  program: usize;
  output: usize;
  /** `RowStore` of the rows so far, and an empty one to cut them into. */
  rows: usize;
  spare: usize;
  order: usize;
  sorter: usize;
  offset: u32;
  limit: u32;
  fault: u32;
  /** 1 while the rows are being sorted and handed out, 2 when all are out. */
  state: u32;
  /** Rows that are still to be left out, and to be handed out. */
  skip: u32;
  left: u32;
  /** Rows of the sorter's part at hand that are out. */
  used: u32;
  /** `Bound` of the rows that may be needed. */
  bound: usize;
  /** Hash of its columns' types, its order and its limit: rows of two of one shape can be put together. */
  shape: u64;
  /** Columns that take no part in the order. */
  carried: u32;
  /** Columns of the order that have been measured since the last push: see sort-share.ts. */
  measured: u32;
  /** `Division` of the rows, 0 until it begins. */
  division: usize;
  /** Parts of the order that it, or what it gives, is divided into. */
  parts: u32;
  /** `Leader`, 0 where it leads no others. */
  leader: usize;
  /** Of one that gives a range of what others hold: the handle of what leads them, the next part and the end. */
  leading: u32;
  /** Of a divided one whose rows leave: their part. */
  part: u32;
  partEnd: u32;
  /** `RowStore` that the rows of the part at hand lie in. */
  shown: usize;
  /** Bytes of all texts there, at most. */
  textBytes: u64;
  /** `Course` of the first key of all rows. */
  course: u32;
  /** Whose rows come in, and how many have. */
  combining: u32;
  combined: u32;
}

// @ts-ignore: decorator
@inline
export function sortOf(operator: usize): Sort {
  return changetype<Sort>(operator + OPERATOR_BODY);
}

// @ts-ignore: decorator
@inline
export function rowsOf(self: Sort): RowStore {
  return changetype<RowStore>(self.rows);
}

// @ts-ignore: decorator
@inline
export function sorterOf(self: Sort): Sorter {
  return changetype<Sorter>(self.sorter);
}
