// A range of the order, read from what several sorts hold (sort-share.ts): the rows of one part after the other are
// fetched from all of them into a small store, in the cache, and put in order there as those of any sort.
//
// The sorts are only read, by as many threads as like. They must not go meanwhile; one that has is noticed by the
// next call.

import { contextRoot } from "../memory/context";
import { Division, divisionStart } from "../sort/division";
import { SortOrder } from "../sort/order";
import { sorterCursor, sorterTake } from "../sort/sorter";
import { storeAppendRows, storeRewind } from "../sort/row-store";
import { Splitters, orderPart } from "../sort/splitters";
import { Operator, handleAt } from "./operator";
import { Sort, rowsOf, sortOf, sorterOf } from "./sort-state";

/** Of a sort that leads others: what they are divided by, and a u32 handle and address of each. */
// @ts-ignore: decorator
@unmanaged
export class Leader {
  splitters: usize;
  sources: usize;
  count: u32;
}

export const LEADER_SIZE: usize = 12;

/** The address of source `index`, or 0 when it is no more, or gives its rows itself. */
export function leaderSource(context: usize, leader: Leader, index: u32): usize {
  const entry = leader.sources + ((<usize>index) << 3);
  const source = handleAt(contextRoot(context), load<u32>(entry));
  const isThere = source == <usize>load<u32>(entry, 4) && changetype<Operator>(source).ended == 0;
  return isThere ? source : 0;
}

/** Whether a sort that gives what others hold can go on: they are there. True for any other. */
export function sortIsSound(context: usize, operator: usize): bool {
  const self = sortOf(operator);
  if (self.leading == 0) return true;
  const leading = handleAt(contextRoot(context), self.leading);
  if (leading == 0) return false;
  const leader = changetype<Leader>(sortOf(leading).leader);
  for (let index: u32 = 0; index < leader.count; index++) if (leaderSource(context, leader, index) == 0) return false;
  return true;
}

/** Rows of a part in all sources, which are there. */
export function partRows(leader: Leader, part: u32): u32 {
  let rows: u32 = 0;
  for (let index: u32 = 0; index < leader.count; index++) {
    const division = divisionOf(leader, index);
    rows += divisionStart(division, part + 1) - divisionStart(division, part);
  }
  return rows;
}

// @ts-ignore: decorator
@inline
function divisionOf(leader: Leader, index: u32): Division {
  return changetype<Division>(sortOf(load<u32>(leader.sources + ((<usize>index) << 3), 4)).division);
}

/** Puts the next part that has rows in order, for which there is room; false when there is none. */
export function rangeNext(context: usize, self: Sort): bool {
  const leader = changetype<Leader>(sortOf(handleAt(contextRoot(context), self.leading)).leader);
  const splitters = leaderSplitters(leader);
  const sorter = sorterOf(self);
  while (self.part < self.partEnd) {
    const part = self.part++;
    const count = partRows(leader, part);
    if (count == 0) continue;
    const first = gatherPart(self, leader, part, count);
    const least = orderPart(splitters, changetype<SortOrder>(self.order), self.shown, part, sorterCursor(sorter));
    sorterTake(context, sorter, first, count, least);
    return true;
  }
  return false;
}

/**
 * Makes the `count` rows of a part lie one after the other in the store `shown`; answers the first. Where all of them are
 * one source's they are there already: that will do if the ranges of all columns are known, which would else be measured
 * over all rows of the source.
 */
function gatherPart(self: Sort, leader: Leader, part: u32, count: u32): u32 {
  const rows = rowsOf(self);
  const isMeasured = leaderSplitters(leader).keys == changetype<SortOrder>(self.order).keyCount;
  storeRewind(rows);
  for (let index: u32 = 0; index < leader.count; index++) {
    const source = sortOf(load<u32>(leader.sources + ((<usize>index) << 3), 4));
    const division = changetype<Division>(source.division);
    const start = divisionStart(division, part);
    const some = divisionStart(division, part + 1) - start;
    self.shown = source.rows;
    if (some == count && isMeasured) return start;
    storeAppendRows(rows, rowsOf(source), start, some);
  }
  self.shown = self.rows;
  return 0;
}

/** The splitters that `leader` has found. */
// @ts-ignore: decorator
@inline
export function leaderSplitters(leader: Leader): Splitters {
  return changetype<Splitters>(leader.splitters);
}
