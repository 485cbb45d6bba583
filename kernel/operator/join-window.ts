// When rows of the other side are copied before their columns are gathered (join/gather-rows.ts), and in what.
//
// Where that side is large each of its rows is a walk of the page tables of its own, unless many are fetched at once. A
// push whose rows find one row at most brings them by itself (join-direct.ts). Pairs of two open sides, or of keys that
// have several rows, are found in steps: with a window, steps of as many rows as it takes. Two streams of 5 million rows,
// each key once a side: 0.9 of the time. Rows of a side whose columns are lent are read by way of copies whatever finds them.

import { JoinFault } from "../abi/operator";
import { outputRegion } from "../column/builder";
import { LARGE_STORE, RowWindow, WINDOW_ROWS, windowCreate } from "../join/gather-rows";
import { regionBlock, regionFree } from "../memory/region";
import { Join, STEP, joinIsSmall, joinStep, joinStore } from "./join-state";

/** Fewer rows are not worth the pass over the window's parts. */
const FEW_ROWS: u32 = 1024;

/** What rows of the other side go through, empty; 0 where that side is small or has no columns, or memory is short. */
export function joinWindow(self: Join, port: u32): usize {
  const side = 1 - port;
  const kept = joinStore(self, side);
  const always = (self.fault & <u32>JoinFault.COPY_ROWS) != 0;
  const least: u64 = always ? 1 : LARGE_STORE;
  const small = <u64>kept.rows * <u64>kept.rowBytes < least || !takesFrom(self, side);
  if (kept.rows == 0 || (small && kept.lent == 0)) return 0;
  let window = joinWindowOf(self, side);
  if (window == 0) {
    window = windowCreate(outputRegion(self.output), kept, STEP, always);
    setWindow(self, side, window);
  }
  // One that memory ended in holds rows of another push.
  if (window != 0) changetype<RowWindow>(window).count = 0;
  return window;
}

/** Makes the windows that rows of lent columns are read through. False when out of memory. */
export function joinWindowsMake(self: Join): bool {
  for (let side: u32 = 0; side < 2; side++) {
    const kept = joinStore(self, side);
    if (kept.lent != 0 && kept.rows != 0 && joinWindow(self, 1 - side) == 0) return false;
  }
  return true;
}

/** The window that a side has, or 0. */
// @ts-ignore: decorator
@inline
function joinWindowOf(self: Join, side: u32): usize {
  return side == 0 ? self.window0 : self.window1;
}

/**
 * The window for so many listed rows of a side; 0 where no column is lent and they are few, those of the push at hand, or,
 * not in pairs, in order.
 */
export function joinWindowFor(self: Join, side: u32, rows: u32): usize {
  if (joinStore(self, side).lent != 0) return joinWindowOf(self, side);
  const always = (self.fault & <u32>JoinFault.COPY_ROWS) != 0;
  if (self.sides != 3 || side == self.port || (rows < FEW_ROWS && !always)) return 0;
  return joinWindowOf(self, side);
}

function setWindow(self: Join, side: u32, window: usize): void {
  if (side == 0) self.window0 = window;
  else self.window1 = window;
}

export function joinWindowDrop(self: Join, side: u32): void {
  regionFree(outputRegion(self.output), joinWindowOf(self, side));
  setWindow(self, side, 0);
}

/**
 * Pairs that a step of the push at hand may find: as many as a window takes, where they go through one. A residual and
 * changes look at the usual few at once. The lists of what is found may move.
 */
export function joinPairStep(self: Join): u32 {
  if (self.residual != 0 || self.changes != 0 || joinIsSmall(self)) return joinStep(self);
  if (joinWindow(self, self.port) == 0) return STEP;
  if (self.wide == 0) {
    self.wide = regionBlock(outputRegion(self.output), (<usize>WINDOW_ROWS) * 12);
    if (self.wide == 0) return STEP;
    self.found0 = self.wide;
    self.found1 = self.wide + ((<usize>WINDOW_ROWS) << 2);
    self.cells = self.wide + ((<usize>WINDOW_ROWS) << 3);
  }
  return WINDOW_ROWS;
}

function takesFrom(self: Join, side: u32): bool {
  for (let index: u32 = 0; index < self.columnCount; index++) {
    if (load<u32>(self.columns + <usize>index * 8) == side) return true;
  }
  return false;
}
