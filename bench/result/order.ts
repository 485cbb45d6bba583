// The row order of canonical results: an argsort over typed columns.
//
// A least-significant-digit radix sort of row numbers, 16 bits a pass, passes over a constant digit skipped.
// A comparator sort of 9.5 million rows took longer than all the runs that it was to verify.

import type { CanonicalColumn } from "./canonical.js";

/** Row numbers in ascending order of the columns, the first column first; nulls first, NaN last. */
export function ascendingOrder(columns: readonly CanonicalColumn[], rows: number): Uint32Array {
  const sort = new RadixOrder(rows);
  for (const column of [...columns].reverse()) {
    for (const word of orderWords(column)) sort.byWord(word);
    if (column.valid !== null) sort.byWord(Uint32Array.from(column.valid));
  }
  return sort.order;
}

/** Text numbers in ascending order of the texts by code units. */
export function textOrder(texts: readonly string[]): Uint32Array {
  const words = asciiWords(texts);
  if (words === null) return Uint32Array.from(texts.keys()).sort((a, b) => byCodeUnit(texts[a]!, texts[b]!));
  const sort = new RadixOrder(texts.length);
  for (const word of words.reverse()) sort.byWord(word);
  return sort.order;
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Above this many characters comparing is no slower. */
const LONGEST_TEXT = 32;

/** Four characters a word, the first ones in the first word; null where a text is long, or not ASCII. */
function asciiWords(texts: readonly string[]): Uint32Array[] | null {
  const longest = texts.reduce((length, text) => Math.max(length, text.length), 0);
  if (longest > LONGEST_TEXT) return null;
  const words = Array.from({ length: Math.ceil(longest / 4) }, () => new Uint32Array(texts.length));
  for (const [row, text] of texts.entries()) {
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit >= 0x80) return null;
      // A text comes before all that go on where it ends.
      words[at >> 2]![row]! |= (unit + 1) << (24 - 8 * (at & 3));
    }
  }
  return words;
}

/** Unsigned 32-bit words that order as the column's values do, least significant word first. */
function orderWords(column: CanonicalColumn): Uint32Array[] {
  if (column.kind === "text") return [column.values];
  if (column.kind === "list-of-float")
    throw new TypeError(`rows cannot be sorted by the lists of "${column.name}"`);
  const rows = column.values.length;
  const bits = new Uint32Array(column.values.buffer, column.values.byteOffset, 2 * rows);
  const low = new Uint32Array(rows);
  const high = new Uint32Array(rows);
  for (let row = 0; row < rows; row++) {
    // Integers: flip the sign bit. Negative floats: flip every bit.
    const mask = column.kind === "float" && bits[2 * row + 1]! >>> 31 === 1 ? 0xffffffff : 0;
    low[row] = bits[2 * row]! ^ mask;
    high[row] = bits[2 * row + 1]! ^ mask ^ (mask === 0 ? 0x80000000 : 0);
  }
  return [low, high];
}

class RadixOrder {
  order: Uint32Array;
  #spare: Uint32Array;
  readonly #ends = new Uint32Array(65537);

  constructor(rows: number) {
    this.order = Uint32Array.from({ length: rows }, (_, row) => row);
    this.#spare = new Uint32Array(rows);
  }

  byWord(word: Uint32Array): void {
    this.#byDigit(word, 0);
    this.#byDigit(word, 16);
  }

  #byDigit(word: Uint32Array, shift: number): void {
    const rows = this.order.length;
    const ends = this.#ends.fill(0);
    for (let row = 0; row < rows; row++) ends[((word[row]! >>> shift) & 0xffff) + 1]! += 1;
    if (rows === 0 || ends[((word[0]! >>> shift) & 0xffff) + 1] === rows) return;
    for (let digit = 0; digit < 65536; digit++) ends[digit + 1]! += ends[digit]!;
    for (let at = 0; at < rows; at++) {
      const row = this.order[at]!;
      const digit = (word[row]! >>> shift) & 0xffff;
      this.#spare[ends[digit]!] = row;
      ends[digit]! += 1;
    }
    [this.order, this.#spare] = [this.#spare, this.order];
  }
}
