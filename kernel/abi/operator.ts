// Operators, their configurations, and the numbers they report. Constant enums only: see status.ts.

export const enum OperatorKind {
  NONE = 0,
  HASH_AGGREGATE = 1,
  PROJECT = 2,
  WINDOW_AGGREGATE = 3,
  JOIN = 4,
  SORT = 5,
  PARTITION = 6,
  OVER = 7,
  FRAMES = 8,
}

/**
 * Configuration of HASH_AGGREGATE: this header, KEYS x Key, AGGREGATES x Aggregate, then the program
 * bytes (see instruction.ts) at PROGRAM.
 */
export const enum AggregateConfig {
  /** u32 `Abi.VERSION`. */
  VERSION = 0,
  /** u32 `AggregateFlag`. */
  FLAGS = 4,
  KEYS = 8,
  AGGREGATES = 12,
  /** u32 byte offset of the program from the start of the configuration; 8-byte aligned. */
  PROGRAM = 16,
  PROGRAM_BYTES = 20,
  /** u32 fault switch for tests: `AggregateFault`. */
  FAULT = 24,
  /**
   * u32 seed of the tables' hashes: a random number that those who choose the keys do not know. Changes no result,
   * only in which order groups may come.
   */
  SEED = 28,
  SIZE = 32,
}

export const enum AggregateFlag {
  NONE = 0,
  /** Emit a changelog after each push (row kinds in the last column) instead of one result at the end. */
  CHANGELOG = 1,
  /**
   * Results are states (batches with SECTION), for an operator of the same configuration without this flag to
   * merge. They leave at the end of input, at watermarks, and when there are nearly as many groups as rows.
   */
  PARTIAL = 2,
  /**
   * The input is a changelog: rows whose kind (`RowKind`) is UPDATE_BEFORE or DELETE take earlier ones back. The upper 16
   * bits of FLAGS are the index of the program's output that is the kind, an I8.
   */
  RETRACT = 4,
  /**
   * One of several operators that take the rows of one aggregation, to be brought together by `op_divide` and
   * `op_combine_part`: rows that bring many groups are set aside early. Says nothing about results.
   */
  SHARED = 8,
  /**
   * The host has somewhere to put what does not fit: rows that are set aside wait for it (`op_rows_out`) where memory ends,
   * and a divided state goes by the same partitions as they do.
   */
  LEAVES = 16,
  /** With LEAVES: every row is set aside, from the first one on. */
  ASIDE = 32,
  /** Batches of results stay valid until the operator is destroyed, and not just until its next call. */
  KEEP_RESULTS = 64,
  /** Once its input has ended the operator is asked for nothing but results: groups may be forgotten as theirs leave. */
  DRAINS = 128,
  /** Keys that are texts may leave as codes of a dictionary that stays valid until the operator is destroyed. */
  KEEP_CODES = 8192,
  /** With LEAVES: no more rows wait than could be looked up, so that what is there can be saved. */
  SAVES = 16384,
}

/**
 * Bits 8 to 12 of FLAGS: the rows that will come are at least 2 to the power of that; 0: nobody knows. Says how many groups
 * may be numbered by computing, and how long dictionaries may be learnt whole; nothing about results.
 */
export const enum AggregateExpected {
  SHIFT = 8,
  MOST = 31,
}

/** Fault switches: make rare paths common in tests. May be combined. */
export const enum AggregateFault {
  NONE = 0,
  /** Every hash is 0. */
  HASH_ZERO = 1,
  /** Never take the direct-index tier. */
  NO_DIRECT = 2,
  /** Normalise exact sums after every vector. */
  NORMALISE_ALWAYS = 4,
  /** Hash tables start with 4 slots. */
  TINY_TABLES = 8,
  /** Set rows aside as soon as keys are hashed, or groups are computed, and only a few. */
  SET_ASIDE = 16,
  /** PARTIAL: every push is a sample. */
  FLUSH_OFTEN = 32,
}

/** One group key: an output of the program. 8 bytes. */
export const enum KeyConfig {
  /** u32 index into the program's outputs. */
  OUTPUT = 0,
  /** u32 `Type` of the key column in results: a fixed-width type, BOOL or BYTES. */
  TYPE = 4,
  SIZE = 8,
}

/** One aggregate. 40 bytes. */
export const enum AggregateEntry {
  /** u32 `AggregateFunction`. */
  FUNCTION = 0,
  /** i32 index into the program's outputs; -1 for count(*). */
  ARGUMENT = 4,
  /** i32 index of a boolean output: only its true rows count; -1 when none. */
  FILTER = 8,
  /** u32 `Type` of the argument. */
  TYPE = 12,
  /** u32 `AggregateEntryFlag`. */
  FLAGS = 16,
  /** u32 decimal scale, for AVG, QUANTILE and the moments over I128. ARRAY with a TAIL: most items, 0 = all. */
  SCALE = 20,
  /**
   * COVAR_SAMPLE, COVAR_POPULATION, CORR, ARG_MIN, ARG_MAX: i32 index of the second argument's output. TOP, BOTTOM: of
   * the output to go by, -1 for the argument itself. STRING: of the separator, a literal of BYTES. Not read elsewhere.
   */
  SECOND = 24,
  /**
   * u32 decimal scale of the second argument; TOP, BOTTOM: how many values, 1 to 1024; MIN, MAX, ARRAY, STRING: `Tail`
   * where the argument is an order key with a value behind it, else 0.
   */
  SECOND_SCALE = 28,
  /** f64: p of QUANTILE, QUANTILE_DISC and APPROX_QUANTILE, in [0, 1]; ARRAY, STRING: 1 = descending; 0 elsewhere. */
  PARAMETER = 32,
  SIZE = 40,
}

/**
 * An argument of BYTES that is an ORDER_KEY and, behind it, a value: an ORDER_KEY without flags, or a text as it is.
 * MIN, MAX, ARRAY and STRING go by all of it and give the value.
 */
export const enum Tail {
  /** Bits 0 to 7: `Type` of the value. */
  TYPE = 0,
  /** Bits 8 to 15: `Type` of the order. */
  ORDER_SHIFT = 8,
  /** From bit 16: `OrderKeyFlag` of the order. */
  FLAGS_SHIFT = 16,
}

export const enum AggregateEntryFlag {
  NONE = 0,
  /** Plain float adds: faster, but the result depends on the order of the rows. */
  FAST = 1,
  /**
   * Equal values of a group count once (-0 equals 0, all NaNs are one): for SUM, AVG, the moments of one argument,
   * QUANTILE to BIT_XOR, TOP and BOTTOM that go by the argument itself, ARRAY, STRING. Not together with FAST.
   */
  DISTINCT = 2,
}

/**
 * Result types: COUNT_ROWS, COUNT, COUNT_DISTINCT -> I64; SUM of signed integers -> I64, of unsigned ->
 * U64, of floats -> F64, of I128 -> I128; AVG, everything from VAR_SAMPLE to KURTOSIS_POPULATION, QUANTILE ->
 * F64; MIN, MAX, QUANTILE_DISC, MODE, BIT_*, ARG_MIN, ARG_MAX -> the argument's type; APPROX_COUNT_DISTINCT -> I64;
 * APPROX_QUANTILE -> F64.
 */
export const enum AggregateFunction {
  COUNT_ROWS = 1,
  COUNT = 2,
  COUNT_DISTINCT = 3,
  SUM = 4,
  AVG = 5,
  MIN = 6,
  MAX = 7,
  VAR_SAMPLE = 20,
  VAR_POPULATION = 21,
  STDDEV_SAMPLE = 22,
  STDDEV_POPULATION = 23,
  COVAR_SAMPLE = 24,
  COVAR_POPULATION = 25,
  CORR = 26,
  SKEWNESS = 27,
  KURTOSIS = 28,
  KURTOSIS_POPULATION = 29,
  QUANTILE = 40,
  QUANTILE_DISC = 41,
  MODE = 42,
  BIT_AND = 43,
  BIT_OR = 44,
  BIT_XOR = 45,
  ARG_MIN = 46,
  ARG_MAX = 47,
  APPROX_COUNT_DISTINCT = 48,
  APPROX_QUANTILE = 49,
  /** Lists: see ABI.md. */
  TOP = 50,
  BOTTOM = 51,
  ARRAY = 52,
  STRING = 53,
}

/** Configuration of PROJECT: this header, then the program bytes. Output columns are the program's outputs. */
export const enum ProjectConfig {
  VERSION = 0,
  /** u32 number of outputs. */
  OUTPUTS = 4,
  /** u32 byte offset of the program; 8-byte aligned. */
  PROGRAM = 8,
  PROGRAM_BYTES = 12,
  /** u32 `ProjectFlag`. */
  FLAGS = 16,
  SIZE = 24,
}

export const enum ProjectFlag {
  /** Columns of texts by dictionary leave as its codes: it is the input's, and stays valid as long as that. */
  KEEP_CODES = 1,
}

/** Configuration of SORT: this header, KEYS x SortKey, then the program bytes. Output columns are the program's outputs. */
export const enum SortConfig {
  VERSION = 0,
  /** u32 number of sort keys; 0 orders by all columns. */
  KEYS = 4,
  /** u32: so many of the program's outputs, the last ones, go along without taking part in the order. */
  CARRIED = 8,
  /** u32 rows to leave out at the front. */
  OFFSET = 12,
  /** u32 most rows to give after those; 0xffffffff = all. */
  LIMIT = 16,
  /** u32 byte offset of the program; 8-byte aligned. */
  PROGRAM = 20,
  PROGRAM_BYTES = 24,
  /** u32 fault switch for tests: `SortFault`. */
  FAULT = 28,
  SIZE = 32,
}

/** One sort key: an output of the program. 8 bytes. */
export const enum SortKeyConfig {
  /** u32 index into the program's outputs. */
  OUTPUT = 0,
  /** u32 `SortFlag`. */
  FLAGS = 4,
  SIZE = 8,
}

export const enum SortFlag {
  NONE = 0,
  DESCENDING = 1,
  /** Nulls first, whatever the direction; else last. */
  NULLS_FIRST = 2,
}

/** Fault switches: make rare paths common in tests. May be combined. */
export const enum SortFault {
  NONE = 0,
  /** Words hold 8 bits of the keys at a time. */
  NARROW_WORDS = 1,
  /** Every range is too large for the cache, down to a few words. */
  TINY_CACHE = 2,
  /** With a limit, drop rows as soon as there are twice as many as it asks for. */
  CUT_OFTEN = 4,
}

/**
 * Configuration of PARTITION: this header, then the program bytes. Output columns are the program's outputs, the
 * keys first; each batch is of one partition, its SECTION.
 */
export const enum PartitionConfig {
  VERSION = 0,
  /** u32 number of outputs. */
  OUTPUTS = 4,
  /** u32 byte offset of the program; 8-byte aligned. */
  PROGRAM = 8,
  PROGRAM_BYTES = 12,
  /** u32 outputs that are keys, at least 1: the first ones. */
  KEYS = 16,
  /** u32 number of partitions, 1 to 65,536. */
  PARTS = 20,
  /** u32 version of the key hash: 1. */
  HASH = 24,
  RESERVED = 28,
  SIZE = 32,
}

/**
 * Configuration of JOIN: this header, OUTPUTS x JoinColumn, RESIDUAL_COLUMNS x JoinColumn, then the programs.
 * The first KEYS outputs of both sides' programs are the keys, of the same types.
 */
export const enum JoinConfig {
  VERSION = 0,
  /** u32 `JoinFlag`. */
  FLAGS = 4,
  /** u32 `JoinType`. */
  TYPE = 8,
  /** u32 number of keys, at most 32; 0 joins every row with every row. */
  KEYS = 12,
  /** u32 byte offset of the program of port 0; 8-byte aligned, as are the others. */
  LEFT_PROGRAM = 16,
  LEFT_PROGRAM_BYTES = 20,
  /** u32 byte offset of the program of port 1. */
  RIGHT_PROGRAM = 24,
  RIGHT_PROGRAM_BYTES = 28,
  /** u32 byte offset of the program that a pair of rows must pass; 0 when there is none. Its one output is ROW_INDEX. */
  RESIDUAL_PROGRAM = 32,
  RESIDUAL_PROGRAM_BYTES = 36,
  /** u32 number of result columns. */
  OUTPUTS = 40,
  /** u32 number of the residual program's columns. */
  RESIDUAL_COLUMNS = 44,
  /** u32 fault switch for tests: `JoinFault`. */
  FAULT = 48,
  /** u32 seed of the tables' hashes; changes no result. */
  SEED = 52,
  /** u32 `JoinTime`. */
  TIME = 56,
  /**
   * u32: a side that is a changelog has one more than the output of its program that is the row kind, an I8; 0: its rows
   * only come. The low 16 bits are the left side's, the high ones the right side's.
   */
  KINDS = 60,
  /** i64 least distance from the left time to the right one (WITHIN). */
  LOW = 64,
  /** i64 largest distance (WITHIN), or with BOUNDED the tolerance of the other modes. */
  HIGH = 72,
  SIZE = 80,
}

export const enum JoinFlag {
  NONE = 0,
  /** Null keys are equal to each other. */
  NULLS_EQUAL = 1,
  /** A hint: one port ends before the other begins, so that its index may wait until then. */
  BUILD_FIRST = 2,
  /** Results stay valid until the operator is destroyed, and not just until its next call. */
  KEEP_RESULTS = 4,
  /** BACKWARD, FORWARD, NEAREST: equal times are no match. */
  STRICT = 8,
  /** BACKWARD, FORWARD, NEAREST: nor are times further apart than HIGH. */
  BOUNDED = 16,
  /** With KEEP_RESULTS: texts that came by dictionary may leave as codes of one that stays valid as long. */
  KEEP_CODES = 32,
  /** ANTI by one key: a null may be equal to anything, as in SQL's NOT IN. */
  NULL_AWARE = 64,
  /** Rows without a match leave at once, and are taken back when they have one, instead of at the end: as with KINDS, results are changes. */
  CORRECT = 128,
  /** Of kept rows all outputs of their side's program are kept, so that `op_snapshot` can write them. */
  KEEP_OUTPUTS = 256,
  /** The last output of the left side's program, a BOOL, tells whether the row has had a match before. */
  MATCHED_LEFT = 512,
  /** The same of the right side. */
  MATCHED_RIGHT = 1024,
  /**
   * Rows of the left side lie in buffers with ColumnFlag.SHARED, which outlast it, each 65,536 of them in one piece of each: they
   * need not be copied whole.
   */
  LOADED_LEFT = 2048,
  /** The same of the right side. */
  LOADED_RIGHT = 4096,
}

/** How the times of both sides decide what matches; the output after the keys is the time then, an I64. */
export const enum JoinTime {
  NONE = 0,
  /** Every row whose time less the left one's is from LOW to HIGH. */
  WITHIN = 1,
  /** The latest right row at or before the left one. */
  BACKWARD = 2,
  /** The earliest at or after it. */
  FORWARD = 3,
  /** The nearer of the two; of equally near ones the earlier. */
  NEAREST = 4,
}

export const enum JoinType {
  INNER = 0,
  LEFT = 1,
  RIGHT = 2,
  FULL = 3,
  /** Rows of port 0 that have a match, once each. */
  SEMI = 4,
  /** Rows of port 0 that have none. */
  ANTI = 5,
}

/** Fault switches: make rare paths common in tests. May be combined. */
export const enum JoinFault {
  NONE = 0,
  /** Every hash is 0. */
  HASH_ZERO = 1,
  /** Never take the dense index. */
  NO_DENSE = 2,
  /** Results are found three at a time, and a pull gives up after one such step. */
  SMALL_STEPS = 4,
  /** Hash tables start with 4 slots. */
  TINY_TABLES = 8,
  /** Kept rows are copied before their columns are gathered, however few there are. */
  COPY_ROWS = 16,
}

/** A column of one side. 8 bytes. */
export const enum JoinColumn {
  /** u32 port. */
  PORT = 0,
  /** u32 output of that port's program. */
  OUTPUT = 4,
  SIZE = 8,
}

/** Row kinds of a changelog, as int8 in the column `row_kind`. */
export const enum RowKind {
  INSERT = 0,
  UPDATE_BEFORE = 1,
  UPDATE_AFTER = 2,
  DELETE = 3,
}

/** What `op_stats` writes: u64 each, but for WATERMARK. */
export const enum OperatorStats {
  ROWS_IN = 0,
  ROWS_SELECTED = 8,
  ROWS_OUT = 16,
  BATCHES_IN = 24,
  GROUPS = 32,
  STATE_BYTES = 40,
  TABLE_SLOTS = 48,
  /** Which key tier is in use: 0 no keys, 1 undecided, 2 direct, 3 hash. */
  KEY_TIER = 56,
  /** Slots of hash tables that lookups went past because another key was there. */
  PROBES = 64,
  /** WINDOW_AGGREGATE, as all below: rows that came after every window that would have taken them. */
  LATE_ROWS = 72,
  /** Rows dropped because their time is null. */
  NULL_TIMES = 80,
  /** i64; i64 min while there is none. */
  WATERMARK = 88,
  /** Slices or sessions held. */
  OPEN_WINDOWS = 96,
  /** Watermarks that were ignored because they went backwards. */
  BACKWARD_WATERMARKS = 104,
  /** Parts that rows were divided into by key, so that each stays in the cache: of rows that an aggregation sets aside, of a sort; 0 where they were not. */
  PARTITIONS = 112,
  /**
   * Rows that came after some window that would have taken them, and count in the others only; of sessions, rows at or
   * before the watermark that begin one, or move its beginning, which a session that is gone may have reached. A state
   * does not carry it.
   */
  PARTLY_LATE_ROWS = 120,
  /** SORT: 1 while all rows have come in the order of a numeric first key, or in reverse, no two of them equal. */
  IN_ORDER = 128,
  SIZE = 136,
}
