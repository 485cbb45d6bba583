// Results of the engine as plain values, lists included.

import { type Data, Table, Vector } from "apache-arrow";
import { fromArrow } from "../bindings/ts/arrow/index.js";
import type { ColumnData } from "../bindings/ts/type/column.js";
import { listValue, readColumn, type Value } from "../twin/values.js";

/** Rows of a table or record batch. */
export function resultRows(result: object): Value[][] {
  return fromArrow(result).batches.flatMap((batch) => {
    const columns = batch.columns.map(resultColumn);
    return Array.from({ length: batch.length }, (_, row) => columns.map((values) => values[row]!));
  });
}

/** Values of a column; a list comes in as a column that is only carried along. */
function resultColumn(column: ColumnData): Value[] {
  if (column.type.kind !== "opaque") return readColumn(column);
  const data = column.opaque as Data;
  const { batches } = fromArrow(new Table({ item: new Vector([data.children[0]!]) }));
  const items = batches.flatMap((batch) => readColumn(batch.columns[0]!));
  const offsets = data.valueOffsets as Int32Array;
  return Array.from({ length: data.length }, (_, row) =>
    data.getValid(row) ? listValue(items.slice(offsets[row], offsets[row + 1])) : null,
  );
}

/** Rows as texts in which every bit shows (of a NaN only that it is one), in their order. */
export function inOrder(rows: readonly (readonly Value[])[]): string[] {
  return rows.map((row) => row.map(show).join("|"));
}

/** The same, sorted: equal where two results have the same rows. */
export function fingerprint(rows: readonly (readonly Value[])[]): string[] {
  return inOrder(rows).sort();
}

function show(value: Value): string {
  if (typeof value === "number") {
    const bits = new BigUint64Array(Float64Array.of(value).buffer)[0]!;
    return Number.isNaN(value) ? "NaN" : `f${bits.toString(16)}`;
  }
  return value instanceof Uint8Array ? `x${value.join()}` : `${typeof value}:${value}`;
}

/** Changes folded together, the last value of each being its row kind: what is left of +I, -U, +U and -D. */
export function consolidate(changes: readonly (readonly Value[])[]): Value[][] {
  const counts = new Map<string, { row: Value[]; times: number }>();
  for (const change of changes) {
    const row = change.slice(0, -1);
    const kind = change.at(-1);
    const name = inOrder([row])[0]!;
    const known = counts.get(name) ?? { row, times: 0 };
    known.times += kind === 0n || kind === 2n ? 1 : -1;
    counts.set(name, known);
  }
  const left = [...counts.values()].filter(({ times }) => times !== 0);
  const owed = left.find(({ times }) => times < 0);
  if (owed !== undefined) throw new RangeError(`more was taken back than came: ${owed.row.join(" ")}`);
  return left.flatMap(({ row, times }) => Array.from({ length: times }, () => row));
}
