// State of a windowed aggregation (all kinds but SESSION): what its open windows hold, as sections of record batches
// that an operator of the same configuration, which has had no rows, takes over.
//
//   section 0, one row: u32 ABI version, u32 operator kind, u64 configuration hash, u64 rows in, u64 rows selected,
//     u64 batches in, i64 watermark, i64 newest time, i64 last window that has left, i64 early multiple that windows
//     last left at, i64 slice behind the front of the stacks (window-stacks.ts) (each i64 min where there is none),
//     u64 late rows, u64 rows without a time, u64 watermarks that went backwards, u64 parts
//   section 1, one row a part: i64 first tick, i64 tick after the last one, i64 window, u32 `PartRole`
//     partials in the order of slices, with the bounds of theirs and the first window that they count for; then the
//     sum of the back, from its first slice to its last one; then results that are kept, with the bounds and the
//     number of their window, in the order of windows
//   section 2 + i, for one part after the other: section i of the part's aggregation (aggregate-state.ts)
//
// Scattered rows are folded into partials first, so that a state has one form. Windows and slices have the numbers of
// window/shape.ts. All of a row is checked before it is believed: a slice and its bounds must fit, windows must be
// such as the slice is part of, and the stacks must be what closing windows leaves behind, or else a pull could go on
// for windows without end, or find no sum. Nothing of a merge is seen before its last batch; it is open until then.

import { Type } from "../abi/layout";
import { WindowKind } from "../abi/window";
import { outputColumn, outputCreate } from "../column/builder";
import { regionCut } from "../memory/region";
import { shapeHighest, shapeLowest, sliceOf } from "../window/shape";
import { Windows, shapeOf, windowsOf } from "./windows";

export const HEADER_COLUMNS: u32 = 15;
export const PART_COLUMNS: u32 = 4;
/** Sections before those of the parts' aggregations. */
export const OWN_SECTIONS: u32 = 2;

/** What a part is; of partials as `PartialPlace`. */
export const enum PartRole {
  NEW = 0,
  BACK = 1,
  FRONT = 2,
  /** The sum of the back. */
  SUM = 3,
  /** A result that may change. */
  RESULT = 4,
}

/**
 * A part of a merge that is open:
 *   +0 i64 slice (of SUM the first)  +8 i64 window (of SUM the last slice)  +16 u32 `PartRole`  +20 u32 0
 */
export const PART: usize = 24;

// @ts-ignore: decorator
@unmanaged
export class WindowState {
  /** Builders of sections 0 and 1, and programs that load them; 0 until first needed. */
  header: usize;
  parts: usize;
  headerProgram: usize;
  partsProgram: usize;
  /** Snapshot: the section that comes next, 2 for all parts' own, and the part; 1 while that has begun. */
  section: u32;
  cursor: u32;
  begun: u32;
  /** Merge: 1 while one is open; parts in all and those known so far, with room for how many. */
  open: u32;
  total: u32;
  known: u32;
  capacity: u32;
  /** The list of parts, the one whose state comes next, and its aggregation, 0 before its first batch. */
  list: usize;
  next: u32;
  coming: usize;
}

const WINDOW_STATE_SIZE: usize = 64;

/** The operator's WindowState, made when first needed; 0 when out of memory. */
export function windowStateOf(operator: usize): usize {
  const self = windowsOf(operator);
  if (self.state == 0) self.state = regionCut(operator, WINDOW_STATE_SIZE);
  return self.state;
}

/** The aggregation that a merge is filling; 0 where there is none. */
// @ts-ignore: decorator
@inline
export function stateComing(self: Windows): usize {
  return self.state == 0 ? 0 : changetype<WindowState>(self.state).coming;
}

/** Whether a merge has begun and not all of it has come. */
// @ts-ignore: decorator
@inline
export function windowMergeOpen(operator: usize): bool {
  const state = windowsOf(operator).state;
  return state != 0 && changetype<WindowState>(state).open != 0;
}

/** Whether windows of this kind have a state to save: sessions have none yet. */
// @ts-ignore: decorator
@inline
export function windowHasState(operator: usize): bool {
  return shapeOf(windowsOf(operator)).kind != <u32>WindowKind.SESSION;
}

/** Type of a column of section 0, or 1. */
export function windowStateType(section: u32, column: u32): u32 {
  if (section != 0) return column == PART_COLUMNS - 1 ? Type.U32 : Type.I64;
  if (column < 2) return Type.U32;
  return column >= 6 && column <= 10 ? Type.I64 : Type.U64;
}

/** Builders of section 0 or 1; 0 when out of memory. */
export function windowStateOutput(operator: usize, section: u32): usize {
  const columns = section == 0 ? HEADER_COLUMNS : PART_COLUMNS;
  const output = outputCreate(operator, columns);
  if (output == 0) return 0;
  for (let column: u32 = 0; column < columns; column++)
    outputColumn(output, column).type = windowStateType(section, column);
  return output;
}

/** The first and the last slice that any time can be in. */
export function lowestSlice(self: Windows): i64 {
  return sliceOf(shapeOf(self), shapeLowest(shapeOf(self)));
}

export function highestSlice(self: Windows): i64 {
  return sliceOf(shapeOf(self), shapeHighest(shapeOf(self)));
}
