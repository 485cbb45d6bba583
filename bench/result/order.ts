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
