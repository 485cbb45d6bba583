// Byte layouts that cross the ABI, as offsets into linear memory. Little-endian; blocks are 8-byte aligned.
// ABI.md draws them. Constant enums only: see status.ts.

/** Version of everything in this folder; stored in every state header. */
export const enum Abi {
  VERSION = 1,
  /** Rows of one vector: what one instruction, key lookup or accumulator update loops over. */
  VECTOR_ROWS = 2048,
  /** Most rows of one push. */
  MORSEL_ROWS = 65536,
}

/** Physical type of a column: how its bytes lie. Logical types (dates, decimals' scale) stay with the host. */
export const enum Type {
  NONE = 0,
  BOOL = 1,
  I8 = 2,
  I16 = 3,
  I32 = 4,
  I64 = 5,
  U8 = 6,
  U16 = 7,
  U32 = 8,
  U64 = 9,
  F32 = 10,
  F64 = 11,
  /** 16 bytes, two's complement: decimal128. */
  I128 = 12,
  /** Bytes with 32-bit offsets: utf8 and binary. */
  BYTES = 13,
  /** Bytes with 64-bit offsets: large utf8 and large binary. */
  LARGE_BYTES = 14,
}

/** A column descriptor: an Arrow array with its pointers spelled out. 64 bytes. */
export const enum Column {
  /** u32 `Type`; of the indices where DICTIONARY is set. */
  TYPE = 0,
  /** u32 `ColumnFlag`. */
  FLAGS = 4,
  /** u32 rows. */
  LENGTH = 8,
  /** u32 rows to skip at the front of every buffer. */
  OFFSET = 12,
  /** i32; -1 when unknown. */
  NULL_COUNT = 16,
  /** u32 address of the validity bitmap (LSB first, 1 = valid); 0 when every row is valid. */
  VALIDITY = 20,
  /** u32 bytes of the bitmap that may be read. */
  VALIDITY_BYTES = 24,
  /** u32 address of the values (bits for BOOL, the bytes for BYTES). */
  VALUES = 28,
  /** u32 bytes of the values that may be read. */
  VALUES_BYTES = 32,
  /** u32 address of the offsets (BYTES: i32, LARGE_BYTES: i64); may be 0 when LENGTH is 0. */
  OFFSETS = 36,
  /** u32 bytes of the offsets that may be read. */
  OFFSETS_BYTES = 40,
  /** u32 address of the descriptor of the dictionary's values, where DICTIONARY is set. */
  DICTIONARY = 44,
  /** u32, not 0: equal ids mean the same dictionary, perhaps grown at its end. */
  DICTIONARY_ID = 48,
  /**
   * u32 address of the same values (or codes) in a byte each, as many as LENGTH and OFFSET come to; 0 when there is no such copy.
   * Of columns of 4 or 8 bytes a value that are TRUSTED; where these have VALIDITY, 255 is null, and nothing else is.
   */
  NARROW = 52,
  /** i64: offset at which VALUES begins (BYTES, LARGE_BYTES), so that a slice's offsets need no rewriting. */
  BASE = 56,
  SIZE = 64,
}

export const enum ColumnFlag {
  NONE = 0,
  DICTIONARY = 1,
  /** The host vouches for the buffers (it wrote them): the kernel does not check them again. */
  TRUSTED = 2,
  /**
   * Of an input: the host keeps the buffers for as long as results live that stay in kernel memory, which may lie in them.
   * Of such a result: it does.
   */
  SHARED = 4,
}

/** A batch descriptor. 32 bytes. */
export const enum Batch {
  /** u32 rows of this batch. */
  ROWS = 0,
  /** u32 rows to skip in every column, on top of the column's own OFFSET. */
  OFFSET = 4,
  /** u32 number of columns. */
  COLUMNS = 8,
  /** u32 address of that many column descriptors. */
  DESCRIPTORS = 12,
  /** u32 section of a state batch; 0 elsewhere. */
  SECTION = 16,
  /** u32 partition that a batch of a divided state, or the part that one of a divided sort, belongs to; 0 elsewhere. */
  PARTITION = 20,
  RESERVED1 = 24,
  RESERVED2 = 28,
  SIZE = 32,
}

/** Texts of codes, as they lie in scratch (`codes_spell`). */
export const enum Spelled {
  /** u32 rows. */
  ROWS = 0,
  /** u32 a row: where its text ends. */
  ENDS = 64,
  /** The texts, one behind the other. */
  TEXTS = 32832,
  SIZE = 163904,
}

/** The error record of a context. Numbers only; the host finds the words. 64 bytes. */
export const enum ErrorRecord {
  /** i32 `Status`. */
  STATUS = 0,
  /** u32 `Reason`. */
  REASON = 4,
  /** u32 `OperatorKind`. */
  KIND = 8,
  /** i32 port, -1 when none. */
  PORT = 12,
  /** i32 what the reason names: a column of the batch, or (`FLAG_OUTPUT`) an output of the operator; -1 when none. */
  COLUMN = 16,
  /** u32 row of the batch, 0xffffffff when none. */
  ROW = 20,
  /** u32 `Type` of the value; NONE when there is no value. */
  TYPE = 24,
  /** u32 `ErrorFlag`. */
  FLAGS = 28,
  /** 16 bytes of value; for BYTES a u32 address and a u32 length, valid until the next call. */
  VALUE = 32,
  /** u32 a second number: instruction index, wanted type, bytes asked for. */
  DETAIL = 48,
  SIZE = 64,
}

export const enum ErrorFlag {
  NONE = 0,
  /** COLUMN counts outputs of the operator (keys first, then aggregates), not columns of the batch. */
  OUTPUT = 1,
}

/** The root block: one a memory, at an address that the host chooses. The host may read it, never write. */
export const enum Root {
  MAGIC = 0,
  VERSION = 4,
  /** i32 spin lock: 0 free, 1 held. */
  LOCK = 8,
  /** u32 first byte of the heap. */
  HEAP_START = 12,
  /** u32 end of the part of the heap that was handed out at least once. */
  HEAP_TOP = 16,
  /** u32 last block below HEAP_TOP, which is in use; 0 when there is none. */
  LAST_BLOCK = 20,
  /** u32 bytes in use, block headers included. */
  USED = 24,
  /** u32 highest USED so far. */
  PEAK = 28,
  /** u32 budget in bytes; 0 when unlimited. */
  BUDGET = 32,
  /** u32 blocks in use. */
  BLOCKS = 36,
  /** u32 end of the memory that the heap may use without growing it. */
  HEAP_LIMIT = 40,
  /** u32: allocation number that fails on purpose (a fault switch for tests); 0 = none. */
  FAIL_AT = 44,
  /** u32 allocations so far. */
  ALLOCATIONS = 48,
  /** u32 1 when the heap may grow memory. */
  GROWABLE = 52,
  /** u32 1 when small pieces, which need no block of their own, and questions for room count among those, too. */
  FAIL_SMALL = 56,
  /** u32 how many allocations fail on purpose, from that one on. */
  FAIL_COUNT = 60,
  /** Handle slots: per slot u32 address (0 = free), u32 generation. */
  HANDLES = 64,
  HANDLE_COUNT = 1024,
  /** Dictionaries whose values are known to differ: by the low bits of its DICTIONARY_ID, u32 that id, u32 how many values. */
  DICTIONARIES = 8256,
  DICTIONARY_COUNT = 64,
  /** Which classes of free blocks have any: a bit for each, in u32 words. */
  FREE_MAP = 8768,
  /** u32 for each class of free blocks: the first of them, 0 when none. */
  FREE_LISTS = 8784,
  FREE_CLASSES = 104,
  SIZE = 9216,
}

/** What one query uses of the memory: see `mem_account`. To read, never to write. */
export const enum Account {
  /** u32 bytes in use, block headers included. */
  USED = 0,
  /** u32 most bytes that may be in use; 0 when it has no limit of its own. */
  LIMIT = 4,
  /** u32 highest USED so far. */
  PEAK = 8,
  /** u32 1 when it is closed, and goes with its last block. */
  CLOSED = 12,
  SIZE = 16,
}

/** Flags of `ctx_init`. */
export const enum ContextFlag {
  /** Attach to a root block that another context created. */
  ATTACH = 1,
  /** The heap may grow the memory. */
  GROW = 2,
}
