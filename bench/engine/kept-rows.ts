// Rows of many small batches, kept as one array a column.
//
// A batch of two rows is some hundred objects. Thousands of them that are kept would be copied by each collection of
// young objects, and those pauses would be taken for the engine's.

import { makeData, type RecordBatch, type Schema, Table, Vector } from "apache-arrow";

type Values = Int8Array | Int32Array | BigInt64Array;

export class KeptRows {
  #schema: Schema | null = null;
  #columns: Values[] = [];
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  /** @throws RangeError for a column that is no signed integer, or holds a null */
  add(batch: RecordBatch): void {
    const { children } = batch.data;
    this.#schema ??= batch.schema;
    children.forEach(({ values, nullCount }, index) => {
      if (!isKept(values) || nullCount > 0) {
        throw new RangeError(
          `column "${batch.schema.fields[index]!.name}" must hold integers, none of them null`,
        );
      }
      const column = this.#roomFor(index, values, batch.numRows);
      // Not `set`: for two rows it takes longer.
      for (let row = 0; row < batch.numRows; row++) column[this.#rows + row] = values[row]!;
    });
    this.#rows += batch.numRows;
  }

  /** The column's array, large enough for so many rows more. */
  #roomFor(index: number, like: Values, rows: number): Values {
    const known = this.#columns[index];
    const needed = this.#rows + rows;
    if (known !== undefined && known.length >= needed) return known;
    const Kind = like.constructor as new (length: number) => Values;
    const grown = new Kind(Math.max(needed, 65_536, 2 * (known?.length ?? 0)));
    if (known !== undefined) (grown as Int32Array).set(known as Int32Array);
    this.#columns[index] = grown;
    return grown;
  }

  /** All rows that have come; null where none has. */
  table(): Table | null {
    const schema = this.#schema;
    if (schema === null) return null;
    const columns = schema.fields.map(({ name, type }, index) => {
      const data = this.#columns[index]!.subarray(0, this.#rows);
      return [name, new Vector([makeData({ type, length: this.#rows, data })])];
    });
    return new Table(Object.fromEntries(columns));
  }
}

function isKept(values: unknown): values is Values {
  return values instanceof Int8Array || values instanceof Int32Array || values instanceof BigInt64Array;
}
