// Building blocks of the hand-written loops: what a good engineer would write in JavaScript over typed arrays.
//
// Keys in a small range (or dictionary codes) index arrays directly; others go through an open-addressing
// table over pairs of 32-bit words. `Map` with number keys was 3-5 times slower at 100,000 groups.

import type { Numbers, PlainColumn, PlainTable } from "../input/plain-table.js";

/** The column of that name. Throws RangeError when the table has none or, with `full`, when it holds nulls. */
export function columnOf(table: PlainTable, name: string, full = true): PlainColumn {
  const column = table.columns[name];
  if (column === undefined) throw new RangeError(`no column "${name}"`);
  if (full && column.valid !== null) throw new RangeError(`the loop takes no nulls in "${name}"`);
  return column;
}

export function int32(table: PlainTable, name: string): Int32Array {
  const values = columnOf(table, name).values;
  if (!(values instanceof Int32Array)) throw new TypeError(`"${name}" is not int32`);
  return values;
}

export function float64(table: PlainTable, name: string): Float64Array {
  const values = columnOf(table, name).values;
  if (!(values instanceof Float64Array)) throw new TypeError(`"${name}" is not float64`);
  return values;
}

/** Dictionary codes as int32 with their texts. */
export function codes(table: PlainTable, name: string): { codes: Int32Array; texts: readonly string[] } {
  const column = columnOf(table, name);
  if (column.dictionary === null) throw new TypeError(`"${name}" is not text`);
  const values = column.values;
  return {
    codes: values instanceof Int32Array ? values : Int32Array.from(values as Uint32Array),
    texts: column.dictionary,
  };
}

/** Integer values (decimals unscaled) as doubles: exact up to 2^53, and the form that JavaScript adds fastest. */
export function integersAsFloat64(table: PlainTable, name: string, full = true): Float64Array {
  const values: Numbers = columnOf(table, name, full).values;
  const out = new Float64Array(values.length);
  for (let row = 0; row < values.length; row++) out[row] = Number(values[row]);
  return out;
}

/** One more than the largest value: the length of an array indexed by it. Throws on negative values. */
export function directSize(values: Int32Array): number {
  let max = -1;
  let min = 0;
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    if (value > max) max = value;
    if (value < min) min = value;
  }
  if (min < 0) throw new RangeError("keys below 0 cannot index an array");
  return max + 1;
}

/** Numbers of the groups that have rows: their counts are the last of `width` figures a group. */
export function occupied(counts: ArrayLike<number>, width = 1): Int32Array {
  let groups = 0;
  for (let at = width - 1; at < counts.length; at += width) if (counts[at] !== 0) groups += 1;
  const out = new Int32Array(groups);
  let next = 0;
  for (let at = width - 1, group = 0; at < counts.length; at += width, group++)
    if (counts[at] !== 0) out[next++] = group;
  return out;
}

/** Figure `index` of `width` a group, of these groups in that order. */
export function pick(
  values: Float64Array | Int32Array,
  groups: Int32Array,
  width = 1,
  index = 0,
): Float64Array {
  const out = new Float64Array(groups.length);
  for (let at = 0; at < groups.length; at++) out[at] = values[groups[at]! * width + index]!;
  return out;
}

/** What `of` makes of each value: Float64Array.from takes ten times as long, for it asks for an iterator. */
export function mapped(values: ArrayLike<number>, of: (value: number) => number): Float64Array {
  const out = new Float64Array(values.length);
  for (let at = 0; at < values.length; at++) out[at] = of(values[at]!);
  return out;
}

/** Pairs of 32-bit words to dense group numbers, in order of first appearance. */
export class WordPairGroups {
  groups = 0;
  lows: Int32Array;
  highs: Int32Array;
  #slots: Int32Array;
  #mask: number;

  /** `expected` groups fit without growing. */
  constructor(expected: number) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(16, 2 * expected)));
    this.#slots = new Int32Array(capacity).fill(-1);
    this.#mask = capacity - 1;
    this.lows = new Int32Array(capacity >> 1);
    this.highs = new Int32Array(capacity >> 1);
  }

  /** The group of a pair; a new number when it has not been seen. */
  group(low: number, high: number): number {
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = hashPair(low, high) & mask;
    for (;;) {
      const group = slots[slot]!;
      if (group < 0) return this.#add(slot, low, high);
      if (this.lows[group] === low && this.highs[group] === high) return group;
      slot = (slot + 1) & mask;
    }
  }

  #add(slot: number, low: number, high: number): number {
    if (this.groups === this.lows.length) {
      this.#grow();
      return this.group(low, high);
    }
    const group = this.groups++;
    this.#slots[slot] = group;
    this.lows[group] = low;
    this.highs[group] = high;
    return group;
  }

  #grow(): void {
    const capacity = 2 * this.#slots.length;
    const mask = capacity - 1;
    const slots = new Int32Array(capacity).fill(-1);
    for (let group = 0; group < this.groups; group++) {
      let slot = hashPair(this.lows[group]!, this.highs[group]!) & mask;
      while (slots[slot]! >= 0) slot = (slot + 1) & mask;
      slots[slot] = group;
    }
    this.#slots = slots;
    this.#mask = mask;
    this.lows = lengthened(this.lows, capacity >> 1);
    this.highs = lengthened(this.highs, capacity >> 1);
  }
}

function hashPair(low: number, high: number): number {
  let hash = Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return hash ^ (hash >>> 13);
}

/** A longer copy. */
export function lengthened<T extends Int32Array | Float64Array>(values: T, length: number): T {
  const out = new (values.constructor as new (length: number) => T)(length);
  out.set(values);
  return out;
}
