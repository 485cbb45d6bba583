// Dictionaries and their ids: the same apache-arrow dictionary gets the same id, wherever it turns up.
//
// A dictionary is known by its chunks: batches of one stream share the chunk objects, and a delta adds
// one at the end. So a dictionary whose chunks begin with those of a known one has grown and keeps its id;
// any other is new. Nothing is compared by value.

import { type ColumnData, type DictionaryData, nextDictionaryId } from "../type/column.js";
import type { DataType } from "../type/data-type.js";
import { concatColumns } from "./concat.js";
import type { ArrowData, ArrowVector } from "./shape.js";

interface KnownDictionary {
  readonly id: number;
  readonly chunks: readonly ArrowData[];
  readonly values: ColumnData;
  /** By length, so that one state of the dictionary is one object. */
  readonly states: Map<number, DictionaryData>;
}

const known = new WeakMap<object, KnownDictionary>();

/** The dictionary of a column's chunk. `read` turns one chunk of its values into a column. */
export function fromArrowDictionary(
  vector: ArrowVector,
  type: DataType,
  read: (chunk: ArrowData, type: DataType) => ColumnData,
): DictionaryData {
  const chunks = vector.data;
  const key = chunks[0] ?? vector;
  let entry = known.get(key);
  const shared = entry === undefined ? 0 : sharedChunks(entry.chunks, chunks);
  if (entry === undefined || shared < Math.min(entry.chunks.length, chunks.length)) {
    entry = remember(
      nextDictionaryId(),
      chunks,
      concatColumns(type, chunks.length === 0 ? [] : chunks.map((chunk) => read(chunk, type))),
      key,
    );
  } else if (entry.chunks.length < chunks.length) {
    const grown = chunks.slice(shared).map((chunk) => read(chunk, type));
    entry = remember(entry.id, chunks, concatColumns(type, [entry.values, ...grown]), key);
  }
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  return stateOf(entry, length);
}

function remember(
  id: number,
  chunks: readonly ArrowData[],
  values: ColumnData,
  key: object,
): KnownDictionary {
  const entry = { id, chunks: [...chunks], values, states: new Map<number, DictionaryData>() };
  known.set(key, entry);
  return entry;
}

function sharedChunks(a: readonly ArrowData[], b: readonly ArrowData[]): number {
  let shared = 0;
  while (shared < a.length && shared < b.length && a[shared] === b[shared]) shared++;
  return shared;
}

/** The dictionary as of `length` values: an earlier batch of a grown dictionary sees fewer. */
function stateOf({ id, values, states }: KnownDictionary, length: number): DictionaryData {
  let state = states.get(length);
  if (state === undefined) {
    const nullCount = length === values.length || values.nullCount === 0 ? values.nullCount : -1;
    state = { id, values: length === values.length ? values : { ...values, length, nullCount } };
    states.set(length, state);
  }
  return state;
}
