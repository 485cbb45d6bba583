// Batches as a Parquet file, by hyparquet-writer: Snappy, one row group for each ROW_GROUP_ROWS rows.
//
// Dictionary columns are written as their values (the writer finds its own dictionaries); timestamps and times in
// seconds as milliseconds, which is the coarsest unit of Parquet; durations as plain int64, which Parquet has no
// type for. Time zones survive as "UTC or not".

import type { SchemaElement } from "hyparquet";
import { getBit } from "../type/bits.js";
import type { BatchData, ColumnData } from "../type/column.js";
import { type DataType, type Field, type Schema, typeName, valueType } from "../type/data-type.js";
import { TypeMismatchError } from "../type/error.js";
import { missing } from "./optional-module.js";
import { integerReader, isValid, ranges, readInt128 } from "./text-format.js";

/** Rows that are collected before a row group is written; DuckDB takes 122,880. */
const ROW_GROUP_ROWS = 131_072;

/** Writes all batches to `path`; answers the rows written. Throws ArgumentError without hyparquet-writer. */
export async function writeParquet(
  path: string,
  schema: Schema,
  batches: AsyncIterable<BatchData>,
): Promise<number> {
  const { fileWriter, ParquetWriter } = await import("hyparquet-writer").catch(
    missing("hyparquet-writer", "writing Parquet"),
  );
  const root: SchemaElement = { name: "root", num_children: schema.fields.length };
  const elements = schema.fields.map(elementOf);
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: [root, ...elements],
    createdBy: "millrace",
  });
  let rows = 0;
  let pending: BatchData[] = [];
  let pendingRows = 0;
  const flush = async () => {
    if (pendingRows === 0) return;
    const columnData = schema.fields.map(({ name }, index) => ({
      name,
      data: pending.flatMap((batch) => valuesOf(batch.columns[index]!)),
    }));
    await writer.write({ columnData, rowGroupSize: pendingRows });
    pending = [];
    pendingRows = 0;
  };
  for await (const batch of batches) {
    if (pendingRows > 0 && pendingRows + batch.length > ROW_GROUP_ROWS) await flush();
    pending.push(batch);
    pendingRows += batch.length;
    rows += batch.length;
  }
  await flush();
  await writer.finish();
  return rows;
}

function elementOf(field: Field): SchemaElement {
  const type = valueType(field.type);
  return {
    name: field.name,
    repetition_type: field.nullable ? "OPTIONAL" : "REQUIRED",
    ...physicalElement(field.name, type),
  };
}

function physicalElement(name: string, type: DataType): Partial<SchemaElement> {
  switch (type.kind) {
    case "bool":
      return { type: "BOOLEAN" };
    case "int":
      // No logical type beside it: hyparquet-writer 0.17 writes its width as 32 bits where the format has 8, and
      // DuckDB refuses the file.
      return {
        type: type.bits === 64 ? "INT64" : "INT32",
        converted_type: `${type.signed ? "" : "U"}INT_${type.bits}`,
      };
    case "float":
      return { type: type.bits === 32 ? "FLOAT" : "DOUBLE" };
    case "decimal":
      return decimalElement(type.precision, type.scale);
    case "utf8":
    case "largeUtf8":
      return { type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } };
    case "binary":
    case "largeBinary":
      return { type: "BYTE_ARRAY" };
    case "date":
      return { type: "INT32", converted_type: "DATE", logical_type: { type: "DATE" } };
    case "timestamp":
      return {
        type: "INT64",
        logical_type: { type: "TIMESTAMP", isAdjustedToUTC: type.timezone !== null, unit: UNITS[type.unit] },
      };
    case "time":
      return {
        type: type.unit === "s" || type.unit === "ms" ? "INT32" : "INT64",
        logical_type: { type: "TIME", isAdjustedToUTC: false, unit: UNITS[type.unit] },
      };
    case "duration":
      return { type: "INT64" };
    default:
      throw new TypeMismatchError(`column "${name}" of type ${typeName(type)} cannot be written as Parquet`, {
        column: name,
      });
  }
}

const UNITS = { s: "MILLIS", ms: "MILLIS", us: "MICROS", ns: "NANOS" } as const;

function decimalElement(precision: number, scale: number): Partial<SchemaElement> {
  const common = {
    converted_type: "DECIMAL",
    logical_type: { type: "DECIMAL", precision, scale },
    precision,
    scale,
  } as const;
  return precision <= 18
    ? { type: "INT64", ...common }
    : { type: "FIXED_LEN_BYTE_ARRAY", type_length: 16, ...common };
}

/** Every value of a column in the form that hyparquet-writer takes; null where null. */
function valuesOf(column: ColumnData): unknown[] {
  const read = readerOf(column);
  const out = new Array<unknown>(column.length);
  for (let row = 0; row < column.length; row++) out[row] = isValid(column, row) ? read(row) : null;
  return out;
}

function readerOf(column: ColumnData): (row: number) => unknown {
  const { type, offset, values } = column;
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  switch (type.kind) {
    case "dictionary": {
      const entries = valuesOf(column.dictionary!.values);
      const code = integerReader(column, type.index);
      return (row) => entries[Number(code(row))];
    }
    case "bool":
      return (row) => getBit(values, offset + row);
    case "int":
      return integerReader(column, type);
    case "float":
      return type.bits === 32
        ? (row) => view.getFloat32((offset + row) * 4, true)
        : (row) => view.getFloat64((offset + row) * 8, true);
    case "decimal":
      return (row) => readInt128(view, (offset + row) * 16);
    case "utf8":
    case "largeUtf8": {
      const range = ranges(column);
      const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
      return (row) => bytes.toString("utf8", range(offset + row), range(offset + row + 1));
    }
    case "binary":
    case "largeBinary": {
      const range = ranges(column);
      return (row) => values.subarray(range(offset + row), range(offset + row + 1));
    }
    case "date":
      return type.unit === "day"
        ? (row) => view.getInt32((offset + row) * 4, true)
        : (row) => Math.floor(Number(view.getBigInt64((offset + row) * 8, true)) / 86_400_000);
    case "time": {
      const narrow = type.unit === "s" || type.unit === "ms";
      const read = integerReader(column, { bits: narrow ? 32 : 64, signed: true });
      return type.unit === "s" ? (row) => Number(read(row)) * 1000 : read;
    }
    default: {
      const read = integerReader(column, { bits: 64, signed: true });
      return type.kind === "timestamp" && type.unit === "s" ? (row) => (read(row) as bigint) * 1000n : read;
    }
  }
}
