// Batches as CSV (RFC 4180, a header line, LF line ends) or NDJSON text.
//
// CSV: null is an empty field, the empty text a quoted one; quotes only where RFC 4180 needs them.
// NDJSON: nulls are written, NaN and the infinities as the words in quotes, which JSON has no numbers for.
// Values: text-format.ts.

import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";
import { isValid, rowText, type TextStyle } from "./text-format.js";

const csvStyle: TextStyle = {
  text: (value) => (value === "" || /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value),
  plain: (value) => (value === "" ? '""' : value),
  notFinite: String,
};

const jsonStyle: TextStyle = {
  text: (value) => JSON.stringify(value),
  plain: (value) => `"${value}"`,
  notFinite: (value) => `"${value}"`,
};

/** What comes before the first row. */
export function textHeader(format: "csv" | "ndjson", schema: Schema): string {
  return format === "csv" ? `${schema.fields.map(({ name }) => csvStyle.text(name)).join(",")}\n` : "";
}

/** The rows of a batch, each with its line break. Throws TypeMismatchError for nested columns. */
export function textRows(format: "csv" | "ndjson", batch: BatchData): string {
  const csv = format === "csv";
  const style = csv ? csvStyle : jsonStyle;
  const columns = batch.columns.map((column, index) => {
    const { name } = batch.schema.fields[index]!;
    return { column, text: rowText(name, column, style), key: csv ? "" : `${JSON.stringify(name)}:` };
  });
  const absent = csv ? "" : "null";
  let out = "";
  for (let row = 0; row < batch.length; row++) {
    if (!csv) out += "{";
    for (let index = 0; index < columns.length; index++) {
      const { column, text, key } = columns[index]!;
      if (index > 0) out += ",";
      out += key;
      out += isValid(column, row) ? text(row) : absent;
    }
    out += csv ? "\n" : "}\n";
  }
  return out;
}
