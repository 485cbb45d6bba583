// Window functions: the configuration of OVER. Constant enums only: see status.ts.

export const enum OverFrame {
  /** From the partition's first row to this one. */
  ROWS = 1,
  /** From the partition's first row to the last one that this one's order columns do not tell from it. */
  RANGE = 2,
  /** The whole partition. */
  ALL = 3,
}

export const enum OverFunction {
  /** An aggregate over the frame: INDEX is its place among the aggregate configuration's. */
  AGGREGATE = 1,
  /** I64: the row's number in its partition, from 1 on. */
  ROW_NUMBER = 2,
  /** I64: the number of the first row with equal order columns. */
  RANK = 3,
  /** I64: how many different order columns there are up to this row. */
  DENSE_RANK = 4,
}

/**
 * Configuration of OVER: this header, ORDER x u32 (outputs of the program, each a carried one), FUNCTIONS x OverEntry,
 * then at AGGREGATE a whole configuration of HASH_AGGREGATE, whose keys are the partition.
 */
export const enum OverConfig {
  /** u32 `Abi.VERSION`. */
  VERSION = 0,
  /** u32 `OverFrame`. */
  FRAME = 4,
  /** u32: so many of the program's outputs, the first ones, are the result's first columns. */
  CARRIED = 8,
  /** u32 number of order columns. */
  ORDER = 12,
  /** u32 number of functions, whose values are the result's last columns. */
  FUNCTIONS = 16,
  /** u32 byte offset of the aggregate configuration; 8-byte aligned. */
  AGGREGATE = 20,
  AGGREGATE_BYTES = 24,
  /** 0 */
  RESERVED = 28,
  SIZE = 32,
}

/** One function. 8 bytes. */
export const enum OverEntry {
  /** u32 `OverFunction`. */
  KIND = 0,
  /** u32; 0 but for AGGREGATE. */
  INDEX = 4,
  SIZE = 8,
}

/** What the bounds of a frame count. */
export const enum FrameUnit {
  /** Rows of the partition before (below 0) and after this one. */
  ROWS = 1,
  /** Rows that the order columns do not tell apart are one: START and END, where bounded, are 0. */
  PEERS = 2,
  /** The values of the one order column, a fixed-width type that is no float: START and END are added to this row's. */
  VALUES = 3,
}

/** May be combined. */
export const enum FrameFlag {
  NONE = 0,
  /** The frame begins with the partition's first row; START is 0. */
  START_UNBOUNDED = 1,
  /** The frame ends with the partition's last row; END is 0. */
  END_UNBOUNDED = 2,
  /** VALUES: rows come from the greatest value to the least; START and END count downwards. */
  DESCENDING = 4,
}

export const enum FrameFunction {
  /** An aggregate over the frame: COLUMN is its place among the aggregate configuration's. */
  AGGREGATE = 1,
  /** The least value of COLUMN in the frame, null for none. OTHER: of the rows where this is true. */
  MIN = 2,
  MAX = 3,
  /** COLUMN of the first, of the last row in the frame; null where it has no rows. */
  FIRST = 4,
  LAST = 5,
  /** COLUMN of the partition's row OFFSET after this one (before it, if below 0), else OTHER of this row. */
  SHIFT = 6,
  /** I64: how many rows of the frame come before this one, and 1. COLUMN is 0. */
  NUMBER = 7,
}

/**
 * Configuration of FRAMES: this header, ORDER x u32 (outputs of the program, below KEPT), FUNCTIONS x FramesEntry, then
 * at AGGREGATE a whole configuration of HASH_AGGREGATE with the flag RETRACT, whose keys are the partition.
 */
export const enum FramesConfig {
  /** u32 `Abi.VERSION`. */
  VERSION = 0,
  /** u32 `FrameUnit`. */
  UNIT = 4,
  /** u32: so many of the program's outputs, the first ones, are the result's first columns. */
  CARRIED = 8,
  /** u32: so many are kept while a frame may need them: those carried, and all that functions read. */
  KEPT = 12,
  /** u32 number of order columns. */
  ORDER = 16,
  /** u32 number of functions, whose values are the result's last columns. */
  FUNCTIONS = 20,
  /** u32 byte offset of the aggregate configuration; 8-byte aligned. */
  AGGREGATE = 24,
  AGGREGATE_BYTES = 28,
  /** u32 `FrameFlag`. */
  FLAGS = 32,
  /** 0 */
  RESERVED = 36,
  /** i64 the frame's first row, i64 its last one, as UNIT counts. */
  START = 40,
  END = 48,
  SIZE = 56,
}

/** One function. 24 bytes. */
export const enum FramesEntry {
  /** u32 `FrameFunction`. */
  KIND = 0,
  /** u32 output of the program, below KEPT. */
  COLUMN = 4,
  /** i32 likewise; -1: none. */
  OTHER = 8,
  /** 0 */
  RESERVED = 12,
  /** i64; 0 but for SHIFT. */
  OFFSET = 16,
  SIZE = 24,
}
