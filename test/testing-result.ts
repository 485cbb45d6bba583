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
