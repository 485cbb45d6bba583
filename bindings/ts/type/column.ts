// A column's data as plain views: what the Arrow bridge hands to the kernel and gets back from it.
//
// The buffers are Arrow's (validity LSB first, 1 = valid; offsets; values), always as bytes, so that a
// view of any element type over any memory fits. Neither apache-arrow nor the kernel is needed to make one.

import { Type } from "../../../kernel/abi/layout.js";
import { type DataType, physicalType, type Schema } from "./data-type.js";

export interface ColumnData {
  readonly type: DataType;
  /** Rows. */
  readonly length: number;
  /** Rows to skip at the front of `validity`, `offsets` and `values` (never of the dictionary). */
  readonly offset: number;
  /** -1 when unknown. */
  readonly nullCount: number;
  /** Null when every row is valid. */
  readonly validity: Uint8Array | null;
  /** utf8, binary and lists (4 bytes each), large utf8 and binary (8 bytes each); null for other types. */
  readonly offsets: Uint8Array | null;
  /** Fixed-width values, bits of booleans, the bytes of utf8 and binary, or the indices of a dictionary; empty of a list. */
  readonly values: Uint8Array;
  readonly dictionary: DictionaryData | null;
  /** Of a list: the items that the offsets count, never null. */
  readonly items?: ColumnData;
  /** For opaque types, and lists that were carried: whatever the bridge needs to carry the column through. */
  readonly opaque?: unknown;
}

/** A dictionary's values. Equal ids mean the same values, perhaps grown at the end since. */
export interface DictionaryData {
  /** Positive integer, unique in the process. */
  readonly id: number;
  readonly values: ColumnData;
}

export interface BatchData {
  readonly schema: Schema;
  readonly length: number;
  readonly columns: readonly ColumnData[];
}

let lastDictionaryId = 0;

/** A dictionary id that no other dictionary of this process has. */
export function nextDictionaryId(): number {
  lastDictionaryId += 1;
  return lastDictionaryId;
}

/** A column of which no row is null, from the first of its buffers' rows on. */
export function validColumn(
  type: DataType,
  length: number,
  values: Uint8Array,
  offsets: Uint8Array | null = null,
): ColumnData {
  return { type, length, offset: 0, nullCount: 0, validity: null, offsets, values, dictionary: null };
}

/** A batch without rows. An opaque column has no data then, only its type. */
export function emptyBatch(schema: Schema): BatchData {
  const nothing = new Uint8Array(0);
  const columns = schema.fields.map(({ type }) => {
    const texts = physicalType(type) === Type.BYTES || physicalType(type) === Type.LARGE_BYTES;
    return validColumn(type, 0, nothing, texts ? new Uint8Array(8) : null);
  });
  return { schema, length: 0, columns };
}
