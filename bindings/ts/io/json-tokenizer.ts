// NDJSON: one JSON object on each line, its keys the columns.
//
// The line is scanned as bytes, not by JSON.parse: integers past 2^53 keep all their digits, and no object is
// made for a row. A missing key and `null` are null. Nested objects and arrays are kept as their JSON text.
// Keys are looked for in the order of the line before, so that a regular file costs one comparison a key.

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
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class JsonTokenizer implements Tokenizer {
  readonly #path: string;
  readonly #capacity: number;
  readonly #text = new ByteBuffer();
  readonly #lines: Float64Array;
  /** The beginning of a line whose end is in a later chunk. */
  readonly #partial = new ByteBuffer();
  readonly #columns: FieldColumn[] = [];
  readonly #keys: Uint8Array[] = [];
  readonly #index = new Map<string, number>();
  #known: ReadonlySet<string> | null = null;
  #rows = 0;
  #line = 0;
  #started = false;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  constructor(path: string, capacity: number) {
    this.#path = path;
    this.#capacity = capacity;
    this.#lines = new Float64Array(capacity);
  }

  /** From now on a key that is not in `names` is an error; without `names` one that has not occurred yet. */
  fixColumns(names?: readonly string[]): void {
    this.#known = new Set(names ?? this.#columns.map(({ name }) => name));
  }

  get full(): boolean {
    return this.#rows === this.#capacity || (this.#rows > 0 && this.#text.length > BLOCK_BYTES);
  }

  take(): TextBlock {
    const block = {
      rows: this.#rows,
      bytes: this.#text.bytes.subarray(0, this.#text.length),
      columns: [...this.#columns],
      lines: this.#lines,
    };
    this.#rows = 0;
    this.#text.length = 0;
    return block;
  }

  push(chunk: Uint8Array, at: number): number {
    if (!this.#started) {
      this.#started = true;
      if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) at = 3;
    }
    while (at < chunk.length && !this.full) {
      const end = chunk.indexOf(LF, at);
      if (end < 0) {
        this.#partial.append(chunk, at, chunk.length);
        return chunk.length;
      }
      if (this.#partial.length > 0) {
        this.#partial.append(chunk, at, end);
        this.#readLine(this.#partial.bytes, 0, this.#partial.length);
        this.#partial.length = 0;
      } else this.#readLine(chunk, at, end);
      at = end + 1;
    }
    return at;
  }

  finish(): void {
    if (this.#partial.length > 0) this.#readLine(this.#partial.bytes, 0, this.#partial.length);
    this.#partial.length = 0;
  }

  #readLine(bytes: Uint8Array, start: number, end: number): void {
    this.#line += 1;
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    if (this.#skipSpace() < 0) return;
    for (const column of this.#columns) column.kinds[this.#rows] = FIELD_NULL;
    this.#expect(OPEN_BRACE, "an object");
    this.#readMembers();
    if (this.#skipSpace() >= 0) throw this.#malformed("text behind the object");
    this.#lines[this.#rows] = this.#line;
    this.#rows += 1;
  }

  #readMembers(): void {
    if (this.#skipSpace() === CLOSE_BRACE) {
      this.#at += 1;
      return;
    }
    for (let guess = 0; ; guess++) {
      const index = this.#readKey(guess);
      this.#expect(COLON, "a colon");
      this.#readValue(this.#columns[index]!);
      guess = index;
      const next = this.#skipSpace();
      this.#at += 1;
      if (next === CLOSE_BRACE) return;
      if (next !== COMMA) throw this.#malformed("neither a comma nor a closing brace behind a value");
    }
  }

  /** Index of the column that the key at hand names, `guess` being the likely one. */
  #readKey(guess: number): number {
    this.#expect(QUOTE, "a key in quotes");
    const likely = this.#keys[guess];
    if (likely !== undefined && this.#isKey(likely)) {
      this.#at += likely.length + 1;
      return guess;
    }
    const mark = this.#text.length;
    this.#readString();
    const name = decoder.decode(this.#text.bytes.subarray(mark, this.#text.length));
    this.#text.length = mark;
    return this.#index.get(name) ?? this.#addColumn(name);
  }

  #isKey(key: Uint8Array): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    if (bytes[at + key.length] !== QUOTE || at + key.length >= this.#end) return false;
    for (let i = 0; i < key.length; i++) if (bytes[at + i] !== key[i]) return false;
    return true;
  }

  #addColumn(name: string): number {
    if (this.#known !== null && !this.#known.has(name)) {
      throw this.#malformed(
        `the key "${name}" does not occur in the first rows, from which the columns were taken`,
      );
    }
    const index = this.#columns.length;
    this.#columns.push(new FieldColumn(name, this.#capacity));
    // Keys with escapes never match byte by byte; they are found by name.
    this.#keys.push(encoder.encode(name));
    this.#index.set(name, index);
    return index;
  }

  #readValue(column: FieldColumn): void {
    const first = this.#skipSpace();
    const start = this.#text.length;
    if (first === QUOTE) {
      this.#at += 1;
      this.#readString();
      column.set(this.#rows, start, this.#text.length, FIELD_TEXT);
    } else if (first === OPEN_BRACE || first === OPEN_BRACKET) {
      this.#readNested();
      column.set(this.#rows, start, this.#text.length, FIELD_TEXT);
    } else {
      const kind = this.#readBare();
      column.set(this.#rows, start, this.#text.length, kind);
    }
  }

  /** The string whose opening quote is behind us, unescaped, into the text. */
  #readString(): void {
    const bytes = this.#bytes;
    let from = this.#at;
    for (let at = from; at < this.#end; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        this.#text.append(bytes, from, at);
        this.#at = at + 1;
        return;
      }
      if (byte < 0x20) throw this.#malformed("a control character in a string");
      if (byte === BACKSLASH) {
        this.#text.append(bytes, from, at);
        this.#at = at + 1;
        this.#readEscape();
        at = this.#at - 1;
        from = this.#at;
      }
    }
    throw this.#malformed("a string is not closed");
  }

  #readEscape(): void {
    const byte = this.#at < this.#end ? this.#bytes[this.#at]! : 0;
    const at = '"\\/bfnrt'.indexOf(String.fromCharCode(byte));
    if (byte === 0x75) {
      const text = encoder.encode(String.fromCharCode(...this.#readCodeUnits()));
      this.#text.append(text, 0, text.length);
    } else if (at >= 0 && byte !== 0) {
      this.#text.reserve(1);
      this.#text.bytes[this.#text.length++] = '"\\/\b\f\n\r\t'.charCodeAt(at);
      this.#at += 1;
    } else throw this.#malformed("an unknown escape in a string");
  }

  /** One `uXXXX`, or two when they are a surrogate pair. */
  #readCodeUnits(): number[] {
    const first = this.#readHex();
    const next = this.#at;
    if (first < 0xd800 || first >= 0xdc00) return [first];
    if (this.#bytes[next] !== BACKSLASH || this.#bytes[next + 1] !== 0x75) return [first];
    this.#at += 1;
    const second = this.#readHex();
    if (second >= 0xdc00 && second < 0xe000) return [first, second];
    this.#at = next;
    return [first];
  }

  #readHex(): number {
    const digits = decoder.decode(this.#bytes.subarray(this.#at + 1, Math.min(this.#at + 5, this.#end)));
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.#malformed("an unknown escape in a string");
    this.#at += 5;
    return Number.parseInt(digits, 16);
  }

  /** A number or a literal into the text; answers the kind of field. */
  #readBare(): number {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    while (at < this.#end && isBare(bytes[at]!)) at += 1;
    this.#at = at;
    const first = bytes[start];
    if (at === start) throw this.#malformed("a value is missing");
    if (first === 0x6e && at - start === 4 && ascii(bytes, start, at) === "null") return FIELD_NULL;
    const number = first === 0x2d || (first! >= 0x30 && first! <= 0x39);
    if (!number) {
      const literal = ascii(bytes, start, at);
      if (!/^(true|false|NaN|Infinity)$/.test(literal))
        throw this.#malformed(`"${literal}" is not a JSON value`);
    }
    this.#text.append(bytes, start, at);
    return FIELD_BARE;
  }

  /** An object or array, as its JSON text, into the text. */
  #readNested(): void {
    const bytes = this.#bytes;
    const start = this.#at;
    let depth = 0;
    let inString = false;
    for (let at = start; at < this.#end; at++) {
      const byte = bytes[at]!;
      if (inString) {
        if (byte === BACKSLASH) at += 1;
        else if (byte === QUOTE) inString = false;
      } else if (byte === QUOTE) inString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth += 1;
      else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        depth -= 1;
        if (depth === 0) {
          this.#checkNested(start, at + 1);
          this.#text.append(bytes, start, at + 1);
          this.#at = at + 1;
          return;
        }
      }
    }
    throw this.#malformed("a nested value is not closed");
  }

  #checkNested(start: number, end: number): void {
    try {
      JSON.parse(decoder.decode(this.#bytes.subarray(start, end)));
    } catch (cause) {
      throw this.#malformed(`a nested value is not JSON: ${(cause as Error).message}`);
    }
  }

  #expect(byte: number, what: string): void {
    if (this.#skipSpace() !== byte) throw this.#malformed(`${what} is missing`);
    this.#at += 1;
  }

  /** Skips blanks; answers the byte at hand, -1 at the end of the line. */
  #skipSpace(): number {
    while (this.#at < this.#end && isSpace(this.#bytes[this.#at]!)) this.#at += 1;
    return this.#at < this.#end ? this.#bytes[this.#at]! : -1;
  }

  #malformed(message: string): MalformedFileError {
    return new MalformedFileError(message, { path: this.#path, line: this.#line });
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

function isBare(byte: number): boolean {
  return !isSpace(byte) && byte !== COMMA && byte !== CLOSE_BRACE && byte !== CLOSE_BRACKET && byte !== QUOTE;
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end));
}
