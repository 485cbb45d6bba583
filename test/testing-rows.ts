// Rows of batches as plain values, and as a multiset in which numbers that group alike are alike.

import type { BatchData } from "../bindings/ts/type/column.js";
import { valueName } from "../twin/aggregate.js";
import { readColumn, type Value } from "../twin/values.js";

export function valuesOf(batches: readonly BatchData[]): Value[][] {
  return batches.flatMap((batch) => {
    const values = batch.columns.map(readColumn);
    return Array.from({ length: batch.length }, (_, row) => values.map((column) => column[row]!));
  });
}

export function multiset(rows: readonly (readonly Value[])[]): string[] {
  return rows.map((row) => row.map(valueName).join(" | ")).sort();
}
