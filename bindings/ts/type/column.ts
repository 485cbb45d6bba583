// A column's data as plain views: what the Arrow bridge hands to the kernel and gets back from it.
//
// The buffers are Arrow's (validity LSB first, 1 = valid; offsets; values), always as bytes, so that a
// view of any element type over any memory fits. Neither apache-arrow nor the kernel is needed to make one.

import type { DataType, Schema } from "./data-type.js";

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
