// DuckDB's types for the columns of data files, for both of its editions.

import type { PlainColumn } from "../input/plain-table.js";

const INTEGERS: Readonly<Record<string, string>> = {
  Int8Array: "TINYINT",
  Int16Array: "SMALLINT",
  Int32Array: "INTEGER",
  BigInt64Array: "BIGINT",
  Uint8Array: "UTINYINT",
  Uint16Array: "USMALLINT",
  Uint32Array: "UINTEGER",
  BigUint64Array: "UBIGINT",
};
const TIMESTAMPS: Readonly<Record<number, string>> = {
  1: "TIMESTAMP_S",
  1000: "TIMESTAMP_MS",
  1000000: "TIMESTAMP",
  1000000000: "TIMESTAMP_NS",
};

export function sqlType(table: string, column: PlainColumn): string {
  switch (column.kind) {
    case "int":
      return INTEGERS[column.values.constructor.name]!;
    case "float":
      return column.values.BYTES_PER_ELEMENT === 8 ? "DOUBLE" : "FLOAT";
    case "bool":
      return "BOOLEAN";
    case "date":
      return "DATE";
    case "timestamp":
      return TIMESTAMPS[column.ticksPerSecond]!;
    case "decimal":
      // 10 to 18 digits are 64-bit integers in DuckDB, which is what data files hold.
      return `DECIMAL(${Math.min(18, Math.max(10, column.precision))}, ${column.scale})`;
    case "text":
      return column.coded ? enumName(table, column) : "VARCHAR";
  }
}

export function columnDefinition(table: string, column: PlainColumn): string {
  return `"${column.name}" ${sqlType(table, column)}`;
}

export function enumName(table: string, column: PlainColumn): string {
  return `"${table}_${column.name}"`;
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
