// Programs: the filters and computed columns of an operator, as bytes. Constant enums only: see status.ts.
//
// A program is a typed register machine. It runs over one vector (up to `Abi.VECTOR_ROWS` rows) at a time;
// an instruction reads whole registers and writes one. Every register is written by one instruction.
// FILTER drops rows: registers written before it must not be read after it (load again instead), except
// literals. Operands that an opcode does not name are NO_REGISTER.
//
// A row that raises an error (OVERFLOW, INVALID_CAST) is named in the error record by its number in the batch,
// with the instruction's index as DETAIL and operand A as the value; where A has 8 bytes or fewer, the second 8
// bytes of the value are operand B. Rows that are null, filtered out or outside MASK raise none.
//
//   header (ProgramHeader) | COLUMNS x u32 Type | REGISTERS x u32 Type | pad to 8
//   INSTRUCTIONS x Instruction | OUTPUTS x u32 register | pad to 8 | literal pool

export const enum ProgramHeader {
  /** u32 `Abi.VERSION`. */
  VERSION = 0,
  /** u32 columns of every batch. Each has a u32 `Type`: that of its values, BYTES also standing for LARGE_BYTES. */
  COLUMNS = 4,
  /** u32 registers, at most MAX_REGISTERS. Each has a u32 `Type`. */
  REGISTERS = 8,
  INSTRUCTIONS = 12,
  OUTPUTS = 16,
  /** u32 bytes of the literal pool at the end. */
  LITERAL_BYTES = 20,
  RESERVED0 = 24,
  RESERVED1 = 28,
  SIZE = 32,
}

export const enum ProgramLimit {
  MAX_REGISTERS = 4096,
  MAX_INSTRUCTIONS = 4096,
  MAX_OUTPUTS = 4096,
  MAX_COLUMNS = 4096,
  /** A register operand that is not there. */
  NO_REGISTER = 0xffff,
}

export const enum Instruction {
  /** u16 `Opcode`. */
  OPCODE = 0,
  /** u16 `Type` of the operands (see each opcode). */
  TYPE = 2,
  /** u16 register written. */
  TARGET = 4,
  /** u16 operands; NO_REGISTER when absent. */
  A = 6,
  B = 8,
  C = 10,
  /** u16 BOOL register or NO_REGISTER: rows where it is not true raise no error (their result is undefined). */
  MASK = 12,
  /** u16 `InstructionFlag`. */
  FLAGS = 14,
  /** u32 column index, `TimePart`, scale, byte offset into the literal pool: see each opcode. */
  ARG0 = 16,
  ARG1 = 20,
  /** i64. */
  IMMEDIATE = 24,
  SIZE = 32,
}

export const enum InstructionFlag {
  NONE = 0,
  /** CAST, SCALE_UP and the times: a value that does not convert or fit becomes null instead of an error. */
  TRY = 1,
}

/**
 * What an instruction does. "Null in, null out" unless it says otherwise. Arithmetic types are I32, I64,
 * U64, F32, F64 and I128; comparisons take every type. Narrower columns are CAST first.
 */
export const enum Opcode {
  /** TARGET = column ARG0 of the batch, at the selected rows. TYPE = its type. Dictionary columns stay codes. */
  LOAD = 1,
  /** TARGET = literal at pool offset ARG0: 8 bytes of u32 length + u32 flag (1 = null), then the value's bytes. Run once. */
  LITERAL = 2,
  /** Keep the rows where BOOL register A is true (not false, not null). No target. */
  FILTER = 3,
  /** TARGET (U32) = the row's number in the batch. */
  ROW_INDEX = 4,

  /** Integers: OVERFLOW error. Floats: IEEE. I128: both sides of one scale, error past 10^38 - 1. */
  ADD = 10,
  SUBTRACT = 11,
  /** I128: scales add up; the compiler keeps the sum in range. */
  MULTIPLY = 12,
  /** F32, F64 only: IEEE, x / 0 is an infinity or NaN. */
  DIVIDE = 13,
  /** Integers: towards zero; by 0 is null; MIN / -1 is an OVERFLOW error. */
  INTEGER_DIVIDE = 14,
  /** Sign of the dividend; integer by 0 is null; floats as C's fmod. */
  MODULO = 15,
  NEGATE = 16,
  ABS = 17,
  /** Floats only; I128: ARG0 = scale, to a multiple of 10^scale. */
  FLOOR = 18,
  CEIL = 19,
  /**
   * Half away from zero, to ARG0 (as i32) decimal digits. I128: ARG1 = scale. Floats as DuckDB: the nearest
   * integer to x * 10^digits, divided back; x itself where that is not finite.
   */
  ROUND = 20,
  /** Floats; NaN below zero. */
  SQRT = 21,
  /** -1, 0 or 1 of the operand's type (I128: unscaled). Floats: zeros and NaN stay. */
  SIGN = 22,

  /** TARGET (BOOL) = A op B. Texts by bytes. Floats: -0 = 0, NaN = NaN and greater than all else. */
  EQUAL = 30,
  NOT_EQUAL = 31,
  LESS = 32,
  LESS_EQUAL = 33,
  GREATER = 34,
  GREATER_EQUAL = 35,
  /** Null-safe equality: never null. */
  SAME = 36,
  /**
   * TARGET (BOOL) = A is one of the values at pool offset ARG0: u32 count, u32 flag (1 = the list holds a
   * null), then per value: fixed-width types their bytes, padded to 8; BYTES u32 length and bytes, padded to 8.
   */
  IN = 37,

  /** Three-valued logic over BOOL. */
  AND = 40,
  OR = 41,
  NOT = 42,
  /** Never null. */
  IS_NULL = 43,
  IS_NOT_NULL = 44,
  /** Floats: is A NaN. */
  IS_NAN = 45,
  /** TARGET = A (BOOL) is true ? B : C. TYPE = theirs. Null where the chosen one is null. */
  SELECT = 46,
  /** TARGET = A is not null ? A : B. */
  COALESCE = 47,
  /** TARGET (BOOL) = A is true: null becomes false. */
  IS_TRUE = 48,

  /**
   * TARGET (of its register's type) = A of TYPE converted; any type but BYTES to BYTES. ARG0 = scale of A, ARG1 =
   * scale of the target, where they are I128 decimals (integers and floats convert by value). IMMEDIATE = the most
   * digits (precision) of an I128 target.
   *
   * Float to integer rounds half to even as DuckDB does, out of range and NaN are errors; float to decimal is the
   * integer nearest (half to even) to its float64 product with 10^scale. Decimals to integers and to fewer digits
   * round half away from zero. Decimals and 64-bit integers become float32 by way of float64; a float64 beyond
   * float32 is an infinity. To BOOL: not zero.
   *
   * Texts: surrounding ASCII blanks are allowed. Numbers are `[+-]digits[.digits][e[+-]d{1,4}]`, for integers and
   * decimals too, which round half away from zero; floats also inf, infinity, nan; booleans true t yes y 1, false f
   * no n 0; all in any case. Floats print the shortest digits that read back, laid out as DuckDB does (`1.0`,
   * `1e+20`, `nan`, `-inf`, `-0.0`), decimals all digits of their scale, booleans true and false.
   */
  CAST = 50,
  /** TARGET (I64) = A (I64) * IMMEDIATE, OVERFLOW error (TIMESTAMP_OVERFLOW): to a finer time unit. */
  SCALE_UP = 51,
  /** TARGET (I64) = floor(A (I64) / IMMEDIATE): to a coarser time unit. */
  SCALE_DOWN = 52,
  /**
   * Date or timestamp to text, as ISO 8601: TYPE = I64, IMMEDIATE = ticks a day; `2024-02-29` or `2024-02-29
   * 12:00:00.123`, without the zeros at the end of the fraction. Ticks a day are 1 or 86400 times 1, 1e3, 1e6, 1e9.
   */
  TIME_TO_TEXT = 53,
  /**
   * The reverse (TYPE = BYTES); IMMEDIATE = ticks a day. `[+-]YYYY-MM-DD`, years of 4 to 6 digits, then perhaps `T` or
   * a blank, `HH:MM[:SS[.f{1,9}]]` and `Z` or `+HH[[:]MM]`, which is subtracted. What is finer than a tick is dropped.
   * Errors are INVALID_CAST, TRY gives null.
   */
  TEXT_TO_TIME = 54,

  /** TARGET (BOOL): A starts with / ends with / contains B. */
  STARTS_WITH = 60,
  ENDS_WITH = 61,
  CONTAINS = 62,
  /** B = a literal pattern: % any run, _ one code point, ARG0 = escape byte or 0. A trailing escape is itself. */
  LIKE = 63,
  /** TARGET (I64) = code points of A. */
  LENGTH = 64,
  /** TARGET (I64) = bytes of A. */
  OCTET_LENGTH = 65,
  /** Simple Unicode case mapping by the table at pool offset ARG0: u32 count, u32 0, then count x (u32 from, u32 to), ascending. */
  CASE_MAP = 66,
  /** A view into A: its code points from B (I64, 1 = the first; below 1 reaches before the start), C (I64) of them; C absent: to the end. */
  SUBSTRING = 67,
  CONCAT = 68,
  /** ARG0: 1 = leading, 2 = trailing, 3 = both: ASCII blanks (space, tab, line feed, VT, FF, CR). */
  TRIM = 69,
  /**
   * TARGET (BYTES) = A of TYPE, any, as bytes that order as its values do and end by themselves; ARG0 =
   * `OrderKeyFlag`. Keys that are put together by CONCAT order and tell apart tuples.
   */
  ORDER_KEY = 70,

  /** TARGET (I64) = ARG0 (`TimePart`) of A (I64 ticks since 1970); IMMEDIATE = ticks a day (1 = a date). */
  TIME_PART = 80,
  /** TARGET (I64) = A cut down to the start of its ARG0 (`TimePart`); IMMEDIATE = ticks a day. */
  TIME_TRUNCATE = 81,
  /** TARGET (I64) = A plus B (I64) calendar months, the day clamped to the month's end; IMMEDIATE = ticks a day. */
  ADD_MONTHS = 82,
  /**
   * TARGET (I64) = A (I64, UTC ticks) as local ticks. Table at pool offset ARG0: u32 count, u32 0, then count x
   * (i64 UTC second from which the offset holds, i64 offset in seconds), ascending, the first at i64 min.
   * IMMEDIATE = ticks a second (1, 1e3, 1e6, 1e9).
   */
  TO_LOCAL = 83,
  /** The reverse: a local time that occurs twice is the first, one that is skipped moves forward by the gap. */
  FROM_LOCAL = 84,
}

/** How ORDER_KEY writes values. May be combined. */
export const enum OrderKeyFlag {
  NONE = 0,
  /** In the reverse order. */
  DESCENDING = 1,
  /** -0 as +0. */
  ZEROS_EQUAL = 2,
  /** Never null: a byte in front is 0, or 1 for a null, which comes last whatever the order. */
  NULLABLE = 4,
}

/** Fields of a time, and units to truncate to. */
export const enum TimePart {
  YEAR = 1,
  QUARTER = 2,
  MONTH = 3,
  DAY = 4,
  HOUR = 5,
  MINUTE = 6,
  SECOND = 7,
  /** Of the minute: second * 1000 + milliseconds, as DuckDB has it. */
  MILLISECOND = 8,
  MICROSECOND = 9,
  /** 0 = Sunday. */
  DAY_OF_WEEK = 10,
  /** 1 = Monday .. 7 = Sunday. */
  ISO_DAY_OF_WEEK = 11,
  /** 1 = January 1. */
  DAY_OF_YEAR = 12,
  /** ISO 8601 week; TIME_TRUNCATE: to Monday. */
  WEEK = 13,
  ISO_YEAR = 14,
  /** Whole seconds since 1970, rounded down. */
  EPOCH = 15,
}
