// Millrace's results in the form that canonical results are made from.

import type { Table, Vector } from "apache-arrow";
import { type PlainColumn, plainTable } from "../input/plain-table.js";
import type { RawColumn, RawResult } from "../result/canonical.js";
import type { BenchCase } from "../suite/case.js";

/** The columns of an Arrow result that the case asks for. */
export function rawResult(of: BenchCase, table: Table): RawResult {
  const lists = of.output.filter(({ kind }) => kind === "list-of-float").map(({ name }) => name);
  const names = of.output.map(({ name }) => name).filter((name) => !lists.includes(name));
  const plain = plainTable(table.select(names));
  const columns: Record<string, RawColumn> = {};
  for (const name of names) {
    const column = plain.columns[name];
    if (column !== undefined) columns[name] = rawColumn(column);
  }
  for (const name of lists) columns[name] = { values: listValues(table.getChild(name)!) };
  return { rows: table.numRows, columns };
}

/** Lists of numbers as views of their items. */
function listValues(column: Vector): (Float64Array | null)[] {
  return column.data.flatMap((data) => {
    const items = data.children[0]!.values as Float64Array;
    return Array.from({ length: data.length }, (_, row) =>
      data.getValid(row) ? items.subarray(data.valueOffsets[row], data.valueOffsets[row + 1]) : null,
    );
  });
}

function rawColumn(column: PlainColumn): RawColumn {
  const { valid, values, kind, ticksPerSecond } = column;
  if (kind === "text") return { values, valid, dictionary: column.dictionary! };
  if (kind !== "timestamp" || ticksPerSecond === 1_000_000) return { values, valid };
  const scale = (value: bigint) => (value * 1_000_000n) / BigInt(ticksPerSecond);
  return { values: (values as BigInt64Array).map(scale), valid };
}
