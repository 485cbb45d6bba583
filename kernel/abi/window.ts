// Windows: the configuration of WINDOW_AGGREGATE. Constant enums only: see status.ts.

export const enum WindowKind {
  TUMBLE = 1,
  HOP = 2,
  CUMULATE = 3,
  SESSION = 4,
  GLOBAL = 5,
}

export const enum WindowFlag {
  NONE = 0,
  /** Rows whose time is null, or whose windows might not fit 64 bits, are dropped and counted; else they are an error. */
  DROP_NULL_TIME = 1,
  /** Keep the numbers of late rows of the last push for `op_late`. */
  KEEP_LATE = 2,
  /** With BOUND: rows that the program's filters drop move time, too. The time is a column that the program loads. */
  ALL_TIMES = 4,
}

/** Configuration of WINDOW_AGGREGATE: this header, then at AGGREGATE a whole configuration of HASH_AGGREGATE. */
export const enum WindowConfig {
  /** u32 `Abi.VERSION`. */
  VERSION = 0,
  /** u32 `WindowKind`. */
  KIND = 4,
  /** u32 index of the program's output that is the event time: I64, in ticks of any unit. */
  TIME = 8,
  /** u32 `WindowFlag`. */
  FLAGS = 12,
  /** i64 length of a window in ticks; of CUMULATE the longest; of SESSION the gap. */
  LENGTH = 16,
  /** i64 slide of HOP, step of CUMULATE; TUMBLE: as LENGTH. It need not divide LENGTH. */
  STEP = 24,
  /** i64 where windows begin: one starts at this tick. */
  OFFSET = 32,
  /** i64 rows may be this much older than the newest row before them; -1: only `op_watermark` moves time. */
  BOUND = 40,
  /** i64 how long after its close a window takes late rows, as corrections; 0 unless the aggregate's CHANGELOG flag is set. */
  LATENESS = 48,
  /** u32 byte offset of the aggregate configuration; 8-byte aligned. */
  AGGREGATE = 56,
  AGGREGATE_BYTES = 60,
  /**
   * i64: whenever the watermark passes a multiple of this, what has changed in open windows leaves; 0: only windows
   * that are closed leave. 0 unless the aggregate's CHANGELOG flag is set.
   */
  EARLY = 64,
  SIZE = 72,
}
