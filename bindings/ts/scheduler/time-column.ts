// Times of a morsel as 64-bit ticks, each a pair of 32-bit words (low, high): a scan over words takes a
// nanosecond a row where one over bigints takes ten.

import { getBit } from "../type/bits.js";
import type { ColumnData } from "../type/column.js";
import { byteWidth, physicalType } from "../type/data-type.js";
import { NARROW_ARRAYS } from "../type/integer-array.js";

export interface Times {
  /** Low and high word of each row's ticks; anything where the row has none. */
  readonly words: Int32Array;
  /** Null when every row has a time. */
  readonly isNull: ((row: number) => boolean) | null;
}

/** Rows [start, start + rows) of a column of integers, dates or timestamps, dictionary-encoded or not. */
export function timesOf(column: ColumnData, start: number, rows: number): Times {
  const words = column.dictionary === null ? wordsOf(column, start, rows) : decoded(column, start, rows);
  return { words, isNull: nullsOf(column, start, words) };
}

/** A row's ticks. */
export function ticksAt({ words }: Times, row: number): bigint {
  return (BigInt(words[row * 2 + 1]!) << 32n) | BigInt(words[row * 2]! >>> 0);
}

function wordsOf({ type, values, offset }: ColumnData, start: number, rows: number): Int32Array {
  const physical = physicalType(type);
  const width = byteWidth(physical);
  const from = (offset + start) * width;
  let bytes = values.subarray(from, from + rows * width);
  if (bytes.byteOffset % Math.min(width, 4) !== 0) bytes = bytes.slice();
  if (width === 8) return new Int32Array(bytes.buffer, bytes.byteOffset, rows * 2);
  const narrow = new NARROW_ARRAYS[physical as keyof typeof NARROW_ARRAYS](
    bytes.buffer as ArrayBuffer,
    bytes.byteOffset,
    rows,
  );
  const words = new Int32Array(rows * 2);
  for (let row = 0; row < rows; row++) {
    const value = narrow[row]!;
    words[row * 2] = value;
    words[row * 2 + 1] = value < 0 ? -1 : 0;
  }
  return words;
}

function decoded(column: ColumnData, start: number, rows: number): Int32Array {
  const indices = wordsOf(column, start, rows);
  const { values } = column.dictionary!;
  const dictionary = wordsOf(values, 0, values.length);
  const words = new Int32Array(rows * 2);
  for (let row = 0; row < rows; row++) {
    const index = indices[row * 2]! * 2;
    words[row * 2] = dictionary[index] ?? 0;
    words[row * 2 + 1] = dictionary[index + 1] ?? 0;
  }
  return words;
}

/** The dictionary index of each row. */
export function indicesOf(column: ColumnData): (row: number) => number {
  const words = wordsOf({ ...column, dictionary: null }, 0, column.length);
  return (row) => words[row * 2]!;
}

function nullsOf(column: ColumnData, start: number, words: Int32Array): Times["isNull"] {
  const { validity, offset, dictionary } = column;
  const own = validity === null ? null : (row: number) => !getBit(validity, offset + start + row);
  const bits = dictionary?.values.validity ?? null;
  if (dictionary === null || bits === null) return own;
  const indices = wordsOf(column, start, words.length / 2);
  const shift = dictionary.values.offset;
  return (row) => own?.(row) === true || !getBit(bits, shift + indices[row * 2]!);
}
