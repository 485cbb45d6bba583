// What FRAMES holds: rows while a frame may need them, and of each partition where its frame stands.
//
//   place of a row        +0 u32 partition  +4 u32 next row of it + 1  +8 i64 what PEERS and VALUES compare
//                         +16.. of each MIN and MAX: u32 row before + 1, u32 row behind + 1, in the partition's queue
//   standing of a         +0 `Standing`  then of each SHIFT +0 u32 row + 1 +8 i64 its number in the partition,
//   partition             then of each MIN and MAX u32 head + 1, u32 tail + 1 of its queue

import { FramesEntry } from "../abi/over";
import { OPERATOR_BODY } from "./operator";
import { AGGREGATION_SIZE } from "./aggregation";

// @ts-ignore: decorator
@unmanaged
export class Frames {
  unit: u32;
  carried: u32;
  kept: u32;
  orderCount: u32;
  /** Outputs (u32) that rows are in the order of. */
  order: usize;
  functionCount: u32;
  /** `FramesEntry` of each function. */
  functions: usize;
  /** `FrameFlag`. */
  flags: u32;
  start: i64;
  end: i64;
  /** How many functions are aggregates, shifts, extremes; of each function its number among its like (u32). */
  aggregates: u32;
  shifts: u32;
  extremes: u32;
  numbering: usize;
  /** Builders of the rows at hand; of a copy of those that stay; of what is pulled. */
  whole: usize;
  spare: usize;
  output: usize;
  /** The place of each row. */
  places: usize;
  placeSize: u32;
  rows: u32;
  /** Rows before this one have been looked at; with an end of input, those before `closing` again. */
  cursor: u32;
  closing: u32;
  /** Rows before this one are complete, as a watermark said. */
  complete: u32;
  /** VALUES: rows to come are behind this value, once a watermark said so. */
  hasPassed: u32;
  passed: i64;
  /** PEERS: the number of the last row's block. */
  block: i64;
  /** Rows at which those that no frame needs are given up. */
  sweepAt: u32;
  /** Bytes of the longest text kept so far. */
  longest: u32;
  /** `Standing` of each partition, and for how many there is room. */
  standings: usize;
  standingSize: u32;
  capacity: u32;
  /** Number of the open stretch, never used before. */
  stretch: u64;
  /** Rows (u32) that came into, and fell out of, frames in the open stretch. */
  adds: usize;
  addCount: u32;
  removes: usize;
  removeCount: u32;
  /** Rows of the pull (u32), those whose aggregates are written; their values' rows (u32 each, a list a function). */
  picked: usize;
  pickedCount: u32;
  written: u32;
  references: usize;
  room: u32;
  /** Distinct program outputs (u32) that accumulators read, copies of their vectors, and buffers for gathered ones. */
  reads: usize;
  readCount: u32;
  vectors: usize;
  /** Partition of each row of a vector or of the pull (u32). */
  groups: usize;
  /** New number of each row + 1 (u32), 0 for one that is given up. */
  moved: usize;
  /** Whether a row of the push at hand has been applied. */
  applied: u32;
}

/** Rows of a partition; each + 1, 0 for the one to come. */
// @ts-ignore: decorator
@unmanaged
export class Standing {
  /** The last row that came. */
  last: u32;
  /** The next one whose values are to be found. */
  current: u32;
  /** The frame: its first row, the first behind it, and its last. */
  start: u32;
  end: u32;
  within: u32;
  reserved: u32;
  /** Rows so far, and numbers of `current`, `start` and `end` among them. */
  rows: i64;
  currentIndex: i64;
  startIndex: i64;
  endIndex: i64;
  /** The last stretch that moved its frame. */
  stretch: u64;
}

export const STANDING_SIZE: u32 = 64;
export const SHIFT_SIZE: u32 = 16;
export const QUEUE_SIZE: u32 = 8;
export const PLACE_SIZE: u32 = 16;
/** References that are no row of their own. */
export const NO_ROW: u32 = 0xffffffff;
export const OTHER_OF_ROW: u32 = 0xfffffffe;

// @ts-ignore: decorator
@inline
export function framesOf(operator: usize): Frames {
  return changetype<Frames>(operator + OPERATOR_BODY + AGGREGATION_SIZE);
}

// @ts-ignore: decorator
@inline
export function placeOf(self: Frames, row: u32): usize {
  return self.places + <usize>row * <usize>self.placeSize;
}

// @ts-ignore: decorator
@inline
export function partitionOf(self: Frames, row: u32): u32 {
  return load<u32>(placeOf(self, row));
}

/** The partition's row behind `row`, + 1. */
// @ts-ignore: decorator
@inline
export function nextOf(self: Frames, row: u32): u32 {
  return load<u32>(placeOf(self, row), 4);
}

// @ts-ignore: decorator
@inline
export function keyOf(self: Frames, row: u32): i64 {
  return load<i64>(placeOf(self, row), 8);
}

// @ts-ignore: decorator
@inline
export function standingOf(self: Frames, partition: u32): Standing {
  return changetype<Standing>(self.standings + <usize>partition * <usize>self.standingSize);
}

/** Where a SHIFT of a partition stands. */
// @ts-ignore: decorator
@inline
export function shiftOf(standing: Standing, number: u32): usize {
  return changetype<usize>(standing) + STANDING_SIZE + <usize>number * SHIFT_SIZE;
}

/** The queue of a MIN or MAX of a partition. */
// @ts-ignore: decorator
@inline
export function queueOf(self: Frames, standing: Standing, number: u32): usize {
  return changetype<usize>(standing) + STANDING_SIZE + <usize>self.shifts * SHIFT_SIZE + <usize>number * QUEUE_SIZE;
}

/** The links of a row in the queue of a MIN or MAX. */
// @ts-ignore: decorator
@inline
export function linksOf(self: Frames, row: u32, number: u32): usize {
  return placeOf(self, row) + PLACE_SIZE + <usize>number * QUEUE_SIZE;
}

// @ts-ignore: decorator
@inline
export function entryOf(self: Frames, index: u32): usize {
  return self.functions + <usize>index * <usize>FramesEntry.SIZE;
}

// @ts-ignore: decorator
@inline
export function kindOf(self: Frames, index: u32): u32 {
  return load<u32>(entryOf(self, index), <usize>FramesEntry.KIND);
}

// @ts-ignore: decorator
@inline
export function columnOf(self: Frames, index: u32): u32 {
  return load<u32>(entryOf(self, index), <usize>FramesEntry.COLUMN);
}

// @ts-ignore: decorator
@inline
export function otherOf(self: Frames, index: u32): i32 {
  return load<i32>(entryOf(self, index), <usize>FramesEntry.OTHER);
}

// @ts-ignore: decorator
@inline
export function numberOf(self: Frames, index: u32): u32 {
  return load<u32>(self.numbering + ((<usize>index) << 2));
}

// @ts-ignore: decorator
@inline
export function readOf(self: Frames, index: u32): u32 {
  return load<u32>(self.reads + ((<usize>index) << 2));
}

// @ts-ignore: decorator
@inline
export function orderOf(self: Frames, index: u32): u32 {
  return load<u32>(self.order + ((<usize>index) << 2));
}
