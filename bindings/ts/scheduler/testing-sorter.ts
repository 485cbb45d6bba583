// The order of rows done the plain way, row by row on the host: what the kernel's SORT is held against.
//
// Rows that the sort keys do not tell apart are ordered by all other columns; a limit without `orderBy`
// picks by that order too. Only rows that are equal in every column tie, and those are interchangeable.
// Columns that Millrace does not understand (lists, structs) take no part in it.
//
//   floats    -Inf .. -0 < +0 .. +Inf < NaN      texts, binary   by bytes (UTF-8: by code point)
//   booleans  false < true                       nulls           as the key says, last otherwise

import { Type } from "../../../kernel/abi/layout.js";
import { type BatchData, type ColumnData, emptyBatch } from "../type/column.js";
import { byteWidth, physicalType, type Schema } from "../type/data-type.js";
import { INTEGER_ARRAYS } from "../type/integer-array.js";
import { concatBatches, isSet, offsetsOf, takeRows } from "./testing-rows.js";

export interface SortKey {
  /** Index into the schema. */
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

export interface Limit {
  readonly count: number;
  readonly offset: number;
}

type Compare = (a: number, b: number) => number;

/** Rows beyond the limit that may pile up before they are cut: sorting often is dear, memory too. */
const SLACK_ROWS = 65_536;

/** Collects batches and hands out their rows in order, no more of them than the limit asks for. */
export class Sorter {
  readonly #schema: Schema;
  readonly #keys: readonly SortKey[];
  readonly #limit: Limit | null;
  #batches: BatchData[] = [];
  #rows = 0;

  constructor(schema: Schema, keys: readonly SortKey[], limit: Limit | null) {
    this.#schema = schema;
    this.#keys = keys;
    this.#limit = limit;
  }

  push(batch: BatchData): void {
    if (batch.length === 0) return;
    this.#batches.push(batch);
    this.#rows += batch.length;
    if (this.#limit === null) return;
    const wanted = this.#limit.offset + this.#limit.count;
    if (this.#rows > 2 * wanted + SLACK_ROWS) {
      const kept = this.#ordered(0, wanted);
      this.#batches = [kept];
      this.#rows = kept.length;
    }
  }

  /** The rows in order, as one batch. The sorter is empty afterwards. */
  finish(): BatchData {
    const start = this.#limit?.offset ?? 0;
    const result = this.#ordered(start, this.#limit === null ? this.#rows : start + this.#limit.count);
    this.#batches = [];
    this.#rows = 0;
    return result;
  }

  #ordered(start: number, end: number): BatchData {
    if (this.#rows === 0) return emptyBatch(this.#schema);
    const all = concatBatches(this.#schema, this.#batches);
    const compare = compareRows(all, this.#keys);
    const rows = Uint32Array.from({ length: all.length }, (_, row) => row).sort(compare);
    return takeRows(all, rows.subarray(start, end));
  }
}

/** Order of two rows of `batch`: by the keys, then by every other column, ascending and nulls last. */
function compareRows(batch: BatchData, keys: readonly SortKey[]): Compare {
  const named = new Set(keys.map((key) => key.column));
  const others = batch.columns.flatMap((_, column) =>
    named.has(column) ? [] : [{ column, descending: false, nullsFirst: false }],
  );
  const steps = [...keys, ...others].flatMap((key) => {
    const compare = compareColumn(batch.columns[key.column]!, key);
    return compare === null ? [] : [compare];
  });
  return (a, b) => {
    for (const step of steps) {
      const order = step(a, b);
      if (order !== 0) return order;
    }
    return 0;
  };
}

function compareColumn(column: ColumnData, key: SortKey): Compare | null {
  const values = compareValues(column);
  if (values === null) return null;
  const sign = key.descending ? -1 : 1;
  const { validity, offset } = column;
  if (validity === null) return (a, b) => sign * values(a, b);
  const nullSide = key.nullsFirst ? -1 : 1;
  return (a, b) => {
    const validA = isSet(validity, offset + a);
    const validB = isSet(validity, offset + b);
    if (validA && validB) return sign * values(a, b);
    if (validA === validB) return 0;
    return validA ? -nullSide : nullSide;
  };
}

function compareValues(column: ColumnData): Compare | null {
  const type = physicalType(column.type);
  const { offset, values } = column;
  switch (type) {
    case Type.NONE:
      return null;
    case Type.BOOL:
      return (a, b) => Number(isSet(values, offset + a)) - Number(isSet(values, offset + b));
    case Type.BYTES:
    case Type.LARGE_BYTES:
      return compareTexts(column);
    case Type.F32:
    case Type.F64: {
      const floats = elements(column) as Float64Array;
      return (a, b) => compareFloats(floats[a]!, floats[b]!);
    }
    case Type.I128: {
      const words = elements(column) as BigInt64Array;
      return (a, b) =>
        compareOrdered(words[2 * a + 1]!, words[2 * b + 1]!) ||
        compareOrdered(BigInt.asUintN(64, words[2 * a]!), BigInt.asUintN(64, words[2 * b]!));
    }
    default: {
      const numbers = elements(column) as Int32Array | BigInt64Array;
      return (a, b) => compareOrdered(numbers[a]!, numbers[b]!);
    }
  }
}

function compareOrdered(a: number | bigint, b: number | bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareFloats(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return Number(Object.is(b, -0)) - Number(Object.is(a, -0));
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
}

function compareTexts(column: ColumnData): Compare {
  const { values } = column;
  const offsets = offsetsOf(column);
  return (a, b) => {
    const startA = offsets[a]!;
    const startB = offsets[b]!;
    const lengthA = offsets[a + 1]! - startA;
    const lengthB = offsets[b + 1]! - startB;
    const shared = Math.min(lengthA, lengthB);
    for (let at = 0; at < shared; at++) {
      const difference = values[startA + at]! - values[startB + at]!;
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB;
  };
}

const ARRAYS = {
  ...INTEGER_ARRAYS,
  [Type.F32]: Float32Array,
  [Type.F64]: Float64Array,
  [Type.I128]: BigInt64Array,
} as const;

/** The column's values from its first row on as elements of its type (two a value for I128), copied only if unaligned. */
function elements(column: ColumnData): ArrayLike<number | bigint> {
  const type = physicalType(column.type) as keyof typeof ARRAYS;
  const width = byteWidth(type);
  const start = column.offset * width;
  let bytes = column.values.subarray(start, start + column.length * width);
  if (bytes.byteOffset % 8 !== 0) bytes = bytes.slice();
  const View = ARRAYS[type];
  return new View(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / View.BYTES_PER_ELEMENT);
}
