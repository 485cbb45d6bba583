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
