// Rows of batches as plain values, and as a multiset in which numbers that group alike are alike.

import type { BatchData } from "../bindings/ts/type/column.js";
import { valueName } from "../twin/aggregate.js";
import { readRows } from "../twin/expression.js";
import type { Value } from "../twin/values.js";

export function valuesOf(batches: readonly BatchData[]): Value[][] {
  return batches.flatMap(readRows);
}

export function multiset(rows: readonly (readonly Value[])[]): string[] {
  return rows.map((row) => row.map(valueName).join(" | ")).sort();
}
