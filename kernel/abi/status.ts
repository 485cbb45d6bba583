// What an export of the kernel answers, and why it refused: the one list both sides read.
//
// These files (`kernel/abi/*.ts`) hold nothing but constant enums, so that the same text compiles as
// AssemblyScript into the kernel and as TypeScript into the bindings. Nothing here depends on anything.

/** Result of an operator call. Negative values are errors; the error record says more. */
export const enum Status {
  /** The operator has consumed its input and can take more. */
  NEED_INPUT = 0,
  /** Output (or another snapshot batch) is ready: pull before pushing again. */
  HAS_MORE = 1,
  /** Every output has been handed out. */
  FINISHED = 2,
  /** An argument is out of range: null pointer, unknown handle, unknown port, malformed batch. */
  BAD_ARGUMENT = -1,
  /** A column is not of the type that the operator was created for. */
  TYPE_MISMATCH = -2,
  /** The memory budget, or the 4 GiB of the address space, is exhausted. */
  OUT_OF_MEMORY = -3,
  /** A value does not fit its result type. */
  OVERFLOW = -4,
  /** A state batch is not what this operator wrote. */
  CORRUPT_STATE = -5,
  /** A pull or snapshot is still open: the operator cannot take input now. */
  BUSY = -6,
  /** The operator failed earlier; only `op_destroy` is allowed. */
  FAILED = -7,
  /** A value cannot be converted (a cast). */
  INVALID_CAST = -8,
  /** An Arrow buffer contradicts itself: offsets, dictionary index, bitmap length. */
  MALFORMED = -9,
}

/** The cause behind an error status: what the host words for people. */
export const enum Reason {
  NONE = 0,
  BAD_HANDLE = 1,
  BAD_PORT = 2,
  BAD_CONFIG = 3,
  BAD_BATCH = 4,
  PORT_CLOSED = 5,
  COLUMN_TYPE = 6,
  MEMORY_LIMIT = 7,
  ADDRESS_SPACE = 8,
  INTEGER_OVERFLOW = 9,
  SUM_OVERFLOW = 10,
  DECIMAL_OVERFLOW = 11,
  CAST_RANGE = 12,
  CAST_TEXT = 13,
  OFFSET_DECREASES = 14,
  OFFSET_PAST_END = 15,
  VALIDITY_TOO_SHORT = 16,
  VALUES_TOO_SHORT = 17,
  DICTIONARY_INDEX = 18,
  DICTIONARY_MISSING = 19,
  STATE_VERSION = 20,
  STATE_KIND = 21,
  STATE_CONFIG = 22,
  STATE_ORDER = 23,
  STATE_SHAPE = 24,
  STATE_VALUE = 25,
  TOO_MANY_GROUPS = 26,
  TOO_MANY_ROWS = 27,
  TIMESTAMP_OVERFLOW = 28,
  BAD_PROGRAM = 29,
  TEXT_TOO_LONG = 30,
  STATE_TARGET = 31,
  NULL_TIME = 40,
  WINDOW_OVERFLOW = 41,
  ROW_KIND = 50,
  RETRACTED_ABSENT = 51,
}
