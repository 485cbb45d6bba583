// CSV by RFC 4180: a header line, fields in double quotes where they hold commas, quotes or line breaks, quotes
// doubled inside. Lines end with LF or CRLF; a byte order mark is skipped.
//
// An empty field is null, a quoted empty field is the empty text. A line without anything on it is skipped,
// except in a table of one column, where it is a null. Every line must have as many fields as the header.
// A state machine over bytes: rows may break anywhere between two chunks.

import { MalformedFileError } from "./file-error.js";
import {
  BLOCK_BYTES,
  ByteBuffer,
  FIELD_BARE,
  FIELD_NULL,
  FIELD_TEXT,
  FieldColumn,
  type TextBlock,
  type Tokenizer,
} from "./text-block.js";

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;

const FIELD_START = 0;
const IN_BARE = 1;
const IN_QUOTES = 2;
/** Behind a quote that ends the field or is the first of two. */
const AFTER_QUOTE = 3;
/** Behind a quoted field and a CR. */
const AFTER_CR = 4;

export class CsvTokenizer implements Tokenizer {
  readonly #path: string;
  readonly #delimiter: number;
  readonly #capacity: number;
  readonly #text = new ByteBuffer();
  readonly #lines: Float64Array;
  #columns: FieldColumn[] | null = null;
  #header: string[] = [];
  #state = FIELD_START;
  #started = false;
  #column = 0;
  #rows = 0;
  #fieldStart = 0;
  #line = 1;
  #rowLine = 1;

  /** `capacity`: rows of a block. `delimiter`: the byte between fields. */
  constructor(path: string, capacity: number, delimiter: number) {
    this.#path = path;
    this.#capacity = capacity;
    this.#delimiter = delimiter;
    this.#lines = new Float64Array(capacity);
  }

  get full(): boolean {
    return this.#rows === this.#capacity || (this.#rows > 0 && this.#text.length > BLOCK_BYTES);
  }

  take(): TextBlock {
    const block = {
      rows: this.#rows,
      bytes: this.#text.bytes.subarray(0, this.#text.length),
      columns: this.#columns ?? [],
      lines: this.#lines,
    };
    this.#rows = 0;
    this.#text.length = 0;
    this.#fieldStart = 0;
    return block;
  }

  push(chunk: Uint8Array, at: number): number {
    if (!this.#started) {
      this.#started = true;
      if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) at = 3;
    }
    const text = this.#text;
    while (at < chunk.length && !(this.#state === FIELD_START && this.#column === 0 && this.full)) {
      text.reserve(1);
      const byte = chunk[at]!;
      at += 1;
      if (byte === LF) this.#line += 1;
      switch (this.#state) {
        case FIELD_START:
          if (byte === QUOTE) this.#state = IN_QUOTES;
          else if (byte === this.#delimiter) this.#endField(FIELD_NULL);
          else if (byte === LF) this.#endRow(FIELD_NULL);
          else {
            text.bytes[text.length++] = byte;
            this.#state = IN_BARE;
          }
          break;
        case IN_BARE:
          if (byte === this.#delimiter) this.#endField(FIELD_BARE);
          else if (byte === LF) this.#endBareRow();
          else if (byte === QUOTE)
            throw this.#malformed("a quote inside a field that does not start with one");
          else text.bytes[text.length++] = byte;
          break;
        case IN_QUOTES:
          if (byte === QUOTE) this.#state = AFTER_QUOTE;
          else text.bytes[text.length++] = byte;
          break;
        case AFTER_QUOTE:
          if (byte === QUOTE) {
            text.bytes[text.length++] = byte;
            this.#state = IN_QUOTES;
          } else if (byte === this.#delimiter) this.#endField(FIELD_TEXT);
          else if (byte === LF) this.#endRow(FIELD_TEXT);
          else if (byte === CR) this.#state = AFTER_CR;
          else throw this.#malformed("text behind the closing quote of a field");
          break;
        default:
          if (byte !== LF) throw this.#malformed("text behind the closing quote of a field");
          this.#endRow(FIELD_TEXT);
      }
    }
    return at;
  }

  finish(): void {
    if (this.#state === IN_QUOTES)
      throw this.#malformed("a quoted field is not closed at the end of the file");
    if (this.#state === IN_BARE) this.#endBareRow();
    else if (this.#state !== FIELD_START) this.#endRow(FIELD_TEXT);
    else if (this.#column > 0) this.#endRow(FIELD_NULL);
    if (this.#columns === null) throw this.#malformed("there is no header line");
  }

  /** The end of a line in an unquoted field, whose CR, if any, belongs to the line break. */
  #endBareRow(): void {
    if (this.#text.bytes[this.#text.length - 1] === CR) this.#text.length -= 1;
    this.#endRow(this.#text.length > this.#fieldStart ? FIELD_BARE : FIELD_NULL);
  }

  #endField(kind: number): void {
    const { bytes, length } = this.#text;
    this.#state = FIELD_START;
    if (this.#columns === null) {
      this.#header.push(new TextDecoder().decode(bytes.subarray(this.#fieldStart, length)));
    } else {
      const column = this.#columns[this.#column];
      if (column === undefined) {
        throw this.#malformed(`more than ${this.#columns.length} fields, as many as the header has`);
      }
      column.set(this.#rows, this.#fieldStart, length, kind);
    }
    this.#column += 1;
    this.#fieldStart = length;
  }

  #endRow(kind: number): void {
    const blank = this.#column === 0 && kind === FIELD_NULL;
    if (blank && (this.#columns === null || this.#columns.length > 1)) {
      this.#state = FIELD_START;
    } else {
      this.#endField(kind);
      if (this.#columns === null) this.#columns = this.#headerColumns();
      else {
        if (this.#column < this.#columns.length) {
          throw this.#malformed(`${this.#column} fields, but the header has ${this.#columns.length}`);
        }
        this.#lines[this.#rows] = this.#rowLine;
        this.#rows += 1;
      }
    }
    this.#column = 0;
    this.#rowLine = this.#line;
  }

  #headerColumns(): FieldColumn[] {
    const repeated = this.#header.find((name, index) => this.#header.indexOf(name) !== index);
    if (repeated !== undefined) throw this.#malformed(`the header names "${repeated}" twice`);
    this.#text.length = 0;
    this.#fieldStart = 0;
    return this.#header.map((name) => new FieldColumn(name, this.#capacity));
  }

  #malformed(message: string): MalformedFileError {
    const column = this.#columns?.[this.#column]?.name;
    return new MalformedFileError(message, { path: this.#path, line: this.#rowLine, column });
  }
}
