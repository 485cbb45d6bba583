// Rows of a text file cut into fields: what the CSV and the NDJSON tokenizer fill, and inference and parsing read.
//
// A field is a range of one byte buffer, without quotes and escapes; no string is made for it. Ranges are
// kept column by column, as a column is what is parsed at a time.

export const FIELD_NULL = 0;
/** Not quoted: a number, a literal, or in CSV any text. */
export const FIELD_BARE = 1;
/** Quoted. */
export const FIELD_TEXT = 2;

/** The fields of one column of a block. */
export class FieldColumn {
  readonly name: string;
  starts: Int32Array;
  ends: Int32Array;
  kinds: Uint8Array;

  constructor(name: string, capacity: number) {
    this.name = name;
    this.starts = new Int32Array(capacity);
    this.ends = new Int32Array(capacity);
    this.kinds = new Uint8Array(capacity);
  }

  set(row: number, start: number, end: number, kind: number): void {
    this.starts[row] = start;
    this.ends[row] = end;
    this.kinds[row] = kind;
  }
}

export interface TextBlock {
  readonly rows: number;
  readonly bytes: Uint8Array;
  readonly columns: readonly FieldColumn[];
  /** Line of the file (from 1) on which each row starts. */
  readonly lines: Float64Array;
}

/** Cuts chunks of a file into blocks of at most a given number of rows. */
export interface Tokenizer {
  /** Reads `chunk` from `at` on; stops when the block is full. Answers how far it came. */
  push(chunk: Uint8Array, at: number): number;
  /** Whether `take` should be called before the next push. */
  readonly full: boolean;
  /** The rows so far, which stay valid until the next push. */
  take(): TextBlock;
  /** The end of the file: completes the last row when its line break is missing. */
  finish(): void;
}

/** A block is also full when its text passes this many bytes, whatever its rows. */
export const BLOCK_BYTES = 1 << 26;

/** A growing byte buffer. */
export class ByteBuffer {
  bytes = new Uint8Array(1 << 16);
  length = 0;

  /** Makes room for `more` bytes behind the present ones. */
  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.bytes.length, this.length + more));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  append(source: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    if (end - start < 32) {
      for (let at = start; at < end; at++) this.bytes[this.length++] = source[at]!;
    } else {
      this.bytes.set(source.subarray(start, end), this.length);
      this.length += end - start;
    }
  }
}
