// A table's chunks joined into one record batch, types and dictionaries kept.
//
// For Arquero, which reads the nulls of a dictionary column wrongly past the first batch (8.0.3): validity is
// looked up in the first batch's bitmap.

import {
  type Data,
  DataType,
  makeData,
  makeVector,
  Table,
  Utf8,
  type Vector,
  vectorFromArray,
} from "apache-arrow";

export function singleBatch(table: Table): Table {
  const columns = table.schema.fields.map((field): [string, Vector] => {
    const vector = table.getChild(field.name)!;
    return [field.name, vector.data.length === 1 ? vector : joined(vector)];
  });
  return new Table(Object.fromEntries(columns));
}

function joined(vector: Vector): Vector {
  const { type, length, nullCount } = vector;
  if (DataType.isUtf8(type)) return vectorFromArray(Array.from(vector), new Utf8());
  if (DataType.isBool(type)) return vectorFromArray(Array.from(vector), type);
  const dictionary = DataType.isDictionary(type) ? { dictionary: longestDictionary(vector) } : {};
  const data = joinedValues(vector.data);
  const nullBitmap = nullCount === 0 ? null : joinedValidity(vector);
  return makeVector(makeData({ type, length, nullCount, nullBitmap, data, ...dictionary } as never));
}

function longestDictionary(vector: Vector): Vector {
  return vector.data.map((data) => data.dictionary!).reduce((a, b) => (b.length > a.length ? b : a));
}

function joinedValues(chunks: readonly Data[]) {
  const parts = chunks.map((data) => data.values.subarray(0, data.length * data.stride));
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const all = new (parts[0]!.constructor as new (length: number) => (typeof parts)[0])(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function joinedValidity(vector: Vector): Uint8Array {
  const bits = new Uint8Array(Math.ceil(vector.length / 8));
  let at = 0;
  for (const data of vector.data) {
    for (let row = 0; row < data.length; row++, at++) {
      if (data.getValid(row)) bits[at >> 3]! |= 1 << (at & 7);
    }
  }
  return bits;
}
