// Millrace's results in the form that canonical results are made from.

import type { Table } from "apache-arrow";
import { type PlainColumn, plainTable } from "../input/plain-table.js";
import type { RawColumn, RawResult } from "../result/canonical.js";
import type { BenchCase } from "../suite/case.js";

/** The columns of an Arrow result that the case asks for. */
export function rawResult(of: BenchCase, table: Table): RawResult {
  const names = of.output.map(({ name }) => name);
  const plain = plainTable(table.select(names));
  const columns: Record<string, RawColumn> = {};
  for (const name of names) {
    const column = plain.columns[name];
    if (column !== undefined) columns[name] = rawColumn(column);
  }
  return { rows: table.numRows, columns };
}

function rawColumn(column: PlainColumn): RawColumn {
  const { valid, values, kind, ticksPerSecond } = column;
  if (kind === "text") return { values, valid, dictionary: column.dictionary! };
  if (kind !== "timestamp" || ticksPerSecond === 1_000_000) return { values, valid };
  const scale = (value: bigint) => (value * 1_000_000n) / BigInt(ticksPerSecond);
  return { values: (values as BigInt64Array).map(scale), valid };
}
