// Rows on the host: views of batches, for what runs between two operators.

import { concatColumns } from "../arrow/index.js";
import type { InputBatch } from "../kernel/index.js";
import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";

/** Rows `start` to `end` of `batch`: views, nothing is copied. */
export function sliceRows(batch: BatchData, start: number, end: number): BatchData {
  if (start === 0 && end === batch.length) return batch;
  const columns = batch.columns.map((column) => ({
    ...column,
    offset: column.offset + start,
    length: end - start,
    nullCount: column.nullCount === 0 ? 0 : -1,
  }));
  return { schema: batch.schema, length: end - start, columns };
}

/** The rows of all of these, one after the other; two batches or more leave memory of their own. */
export function concatBatches(schema: Schema, batches: readonly BatchData[]): BatchData {
  const columns = schema.fields.map(({ type }, index) =>
    concatColumns(
      type,
      batches.map((batch) => batch.columns[index]!),
    ),
  );
  return { schema, length: batches.reduce((sum, { length }) => sum + length, 0), columns };
}

/** An intermediate result as a batch: it lies on the host. */
export function hostBatch(input: InputBatch, schema: Schema): BatchData {
  const columns = schema.fields.map((_, column) => input.source(column)!);
  return { schema, length: input.rows, columns };
}

/** The same in memory of its own: a batch that is kept although its operator lends its memory (`Operator.lend`). */
export function owned<T extends BatchData>(batch: T): T {
  const columns = batch.columns.map((column) => ({
    ...column,
    values: column.values.slice(),
    validity: column.validity?.slice() ?? null,
    offsets: column.offsets?.slice() ?? null,
  }));
  return { ...batch, columns };
}
