// Reading data: the columns that a case asks for, put together as Arrow tables.

import { readFileSync } from "node:fs";
import { DataType, Dictionary, makeVector, Table, tableFromIPC, type Vector } from "apache-arrow";
import type { CaseFiles } from "../engine/engine.js";
import type { BenchCase } from "../suite/case.js";
import { columnFile } from "./data-file.js";
import { type PlainTable, plainTable } from "./plain-table.js";

/** The case's inputs as apache-arrow tables. */
export function arrowTables(of: BenchCase, files: CaseFiles): Record<string, Table> {
  return mapInputs(of, (name, columns) => {
    const vectors = columns.map((column, index): [string, Vector] => {
      const table = tableFromIPC(readFileSync(columnFile(files[name]!, column)));
      return [column, withDictionaryId(table.getChild(column)!, index)];
    });
    return new Table(Object.fromEntries(vectors));
  });
}

/** Dictionaries are numbered within a file; columns of different files may have the same number. */
function withDictionaryId(vector: Vector, id: number): Vector {
  const { type } = vector;
  if (!DataType.isDictionary(type)) return vector;
  const renumbered = new Dictionary(type.dictionary, type.indices, id, type.isOrdered);
  return makeVector(vector.data.map((data) => data.clone(renumbered)) as never);
}

/** Tables as typed arrays. */
export function plainTables(tables: Readonly<Record<string, Table>>): Record<string, PlainTable> {
  return Object.fromEntries(Object.entries(tables).map(([name, table]) => [name, plainTable(table)]));
}

/** Bytes of values, offsets and validity, dictionaries left out: what a scan of the tables has to read. */
export function scanBytes(tables: Readonly<Record<string, Table>>): number {
  const columns = Object.values(tables).flatMap((table) =>
    table.schema.fields.map((_, index) => table.getChildAt(index)!),
  );
  return columns.flatMap((column) => column.data).reduce((sum, data) => sum + data.byteLength, 0);
}

/** Bytes that a single kernel reads of a case's tables. */
export function kernelScanBytes(of: BenchCase, tables: Readonly<Record<string, Table>>): number {
  if (of.kernelReadsBytes !== true) return scanBytes(tables);
  return Object.values(tables).reduce((sum, table) => sum + table.numRows * table.numCols, 0);
}

export function inputRows(tables: Readonly<Record<string, Table>>): number {
  return Object.values(tables).reduce((sum, table) => sum + table.numRows, 0);
}

/** Something for every input of a case, by name. */
export function mapInputs<T>(
  of: BenchCase,
  make: (name: string, columns: readonly string[]) => T,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(of.inputs).map(([name, input]) => [name, make(name, input.columns)]),
  );
}
