// What a changelog comes to: the rows that were not taken back.

import type { Table } from "apache-arrow";
import type { RawColumn, RawResult } from "../result/canonical.js";
import type { BenchCase } from "../suite/case.js";
import { rawResult } from "./millrace-result.js";

/** The rows left of `changes`, whose column `row_kind` says +I, -U, +U or -D. Throws RangeError when one is taken back that had not come. */
export function consolidated(of: BenchCase, changes: Table): RawResult {
  const all = rawResult(of, changes);
  const kinds = changes.getChild("row_kind")!.toArray() as Int8Array;
  const columns = Object.values(all.columns);
  /** The last row of each content, and how often it is there. */
  const left = new Map<string, { row: number; count: number }>();
  for (let row = 0; row < all.rows; row++) {
    const content = JSON.stringify(columns.map((column) => textAt(column, row)));
    const seen = left.get(content) ?? { row, count: 0 };
    seen.count += (kinds[row]! & 1) === 0 ? 1 : -1;
    if (seen.count < 0) throw new RangeError(`row ${row} of the changes takes back what had not come`);
    if (seen.count === 0) left.delete(content);
    else left.set(content, seen);
  }
  const rows = [...left.values()].flatMap(({ row, count }) => Array<number>(count).fill(row));
  const picked = Object.entries(all.columns).map(([name, column]) => [name, rowsOf(column, rows)]);
  return { rows: rows.length, columns: Object.fromEntries(picked) };
}

function isValid({ values, valid }: RawColumn, row: number): boolean {
  return values[row] != null && (valid == null || valid[row] !== 0);
}

function textAt(column: RawColumn, row: number): string | null {
  return isValid(column, row) ? String(column.values[row]) : null;
}

function rowsOf(column: RawColumn, rows: readonly number[]): RawColumn {
  const values = rows.map((row) => (isValid(column, row) ? column.values[row]! : null));
  return column.dictionary === undefined ? { values } : { values, dictionary: column.dictionary };
}
