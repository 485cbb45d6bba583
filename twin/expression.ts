// Expressions over whole batches, one row and one value at a time: the oracle of the expression kernel.
//
// The definition of every expression is bindings/ts/plan/evaluate.ts, which also folds constants; this file
// lays it over columns. Floats leave as the kernel leaves them: NaNs canonical, signs of zero kept.

import type { BoundExpression } from "../bindings/ts/plan/bound.js";
import { evaluate } from "../bindings/ts/plan/evaluate.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { readColumn, type Value } from "./values.js";

/** Every row of a batch, as values in column order. Columns that cannot be read (opaque ones) are null. */
export function readRows(batch: BatchData): Value[][] {
  const columns = batch.columns.map((column) => (column.type.kind === "opaque" ? null : readColumn(column)));
  return Array.from({ length: batch.length }, (_, row) => columns.map((column) => column?.[row] ?? null));
}

/** The expression's value on every row. Throws OverflowError or CastError at the first row that fails. */
export function evaluateRows(expression: BoundExpression, rows: readonly (readonly Value[])[]): Value[] {
  return rows.map((row) => evaluate(expression, row));
}
