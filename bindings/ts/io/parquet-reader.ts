// Parquet files as a stream of batches, decoded by hyparquet a row group at a time.
//
// hyparquet turns logical types into JavaScript values on the way (decimals into floats, timestamps into Date),
// which loses digits. So the logical types are taken out of the schema that it is given: it delivers physical
// values, and this file gives them their meaning. A dictionary-coded text arrives as one shared byte array for
// all its rows.
// Nested and repeated columns are refused by name unless `columns` leaves them out. 96-bit timestamps come as
// timestamp[ns]; JSON and enum as utf8; UUIDs and other fixed-length bytes as binary.

import type { FileMetaData, SchemaElement } from "hyparquet";
import type { BatchData, ColumnData } from "../type/column.js";
import {
  binary,
  bool,
  byteWidth,
  type DataType,
  date32,
  decimal,
  type Field,
  float32,
  float64,
  int32,
  int64,
  physicalType,
  type Schema,
  type TimeUnit,
  time,
  timestamp,
  typeName,
  utf8,
} from "../type/data-type.js";
import { OverflowError, TypeMismatchError, UnknownColumnError } from "../type/error.js";
import { MalformedFileError } from "./file-error.js";
import { missing } from "./optional-module.js";
import type { BatchSource } from "./source.js";

export interface ParquetOptions {
  readonly columns?: readonly string[] | undefined;
  readonly batchRows: number;
}

/** Opens a Parquet file. Throws ArgumentError without hyparquet, MalformedFileError when it is not Parquet. */
export async function readParquet(path: string, options: ParquetOptions): Promise<BatchSource> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetScan } = await import("hyparquet").catch(
    missing("hyparquet", "reading Parquet"),
  );
  const file = await asyncBufferFromFile(path);
  const metadata = await guarded(path, () => parquetMetadataAsync(file));
  const schema = schemaOf(metadata, options.columns);
  const names = schema.fields.map(({ name }) => name);
  const scan = await guarded(path, async () =>
    parquetScan({
      file,
      metadata: physicalMetadata(metadata),
      columns: names,
      utf8: false,
      compressors: await compressorsOf(metadata),
      parsers: { timestampFromNanoseconds: (nanoseconds) => nanoseconds },
    }),
  );
  async function* batches(): AsyncGenerator<BatchData> {
    for (const { rowStart, rowEnd } of scan.ranges) {
      const columns = await guarded(path, () =>
        Promise.all(names.map((column) => scan.readColumn({ column, rowStart, rowEnd }))),
      );
      for (let start = 0; start < rowEnd - rowStart; start += options.batchRows) {
        const rows = Math.min(options.batchRows, rowEnd - rowStart - start);
        yield {
          schema,
          length: rows,
          columns: schema.fields.map((field, index) =>
            columnOf(field, columns[index] as ArrayLike<unknown>, start, rows),
          ),
        };
      }
    }
  }
  return { schema, batches };
}

/** Runs a step of hyparquet, whose errors are plain ones, and says which file it was. */
async function guarded<T>(path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    throw new MalformedFileError(`not readable as Parquet: ${(cause as Error).message}`, { path, cause });
  }
}

/** Decompressors, loaded when a column uses another codec than Snappy, which hyparquet has itself. */
async function compressorsOf(metadata: FileMetaData) {
  const codecs = metadata.row_groups.flatMap((group) =>
    group.columns.map((column) => column.meta_data?.codec),
  );
  if (codecs.every((codec) => codec === undefined || codec === "UNCOMPRESSED" || codec === "SNAPPY"))
    return {};
  const { compressors } = await import("hyparquet-compressors").catch(
    missing("hyparquet-compressors", "reading Parquet compressed by Gzip, Brotli, LZ4 or Zstandard"),
  );
  return compressors;
}

/** The schema's top level, elements without children being columns. */
function topLevel(metadata: FileMetaData): SchemaElement[] {
  const elements: SchemaElement[] = [];
  let skip = 0;
  for (const element of metadata.schema.slice(1)) {
    if (skip === 0) elements.push(element);
    else skip -= 1;
    skip += element.num_children ?? 0;
  }
  return elements;
}

function schemaOf(metadata: FileMetaData, columns: readonly string[] | undefined): Schema {
  const elements = topLevel(metadata);
  const names = elements.map(({ name }) => name);
  const fields = (columns ?? names).map((name): Field => {
    const element = elements.find((candidate) => candidate.name === name);
    if (element === undefined) throw new UnknownColumnError(name, names);
    return { name, type: typeOf(element), nullable: element.repetition_type !== "REQUIRED" };
  });
  return { fields };
}

const UNITS = { MILLIS: "ms", MICROS: "us", NANOS: "ns" } as const satisfies Record<string, TimeUnit>;

function typeOf(element: SchemaElement): DataType {
  const { name, logical_type: logical, converted_type: converted } = element;
  if (element.num_children || element.repetition_type === "REPEATED" || logical?.type === "FLOAT16") {
    throw new TypeMismatchError(
      `column "${name}" is ${logical?.type.toLowerCase() ?? converted?.toLowerCase() ?? "nested"}, which cannot be read; leave it out with columns: [...]`,
      { column: name },
    );
  }
  if (logical?.type === "DECIMAL" || converted === "DECIMAL") {
    return decimal(element.precision ?? 38, element.scale ?? 0);
  }
  if (logical?.type === "TIMESTAMP")
    return timestamp(UNITS[logical.unit], logical.isAdjustedToUTC ? "UTC" : null);
  if (logical?.type === "TIME") return time(UNITS[logical.unit]);
  if (logical?.type === "INTEGER") {
    return { kind: "int", bits: logical.bitWidth as 8 | 16 | 32 | 64, signed: logical.isSigned };
  }
  const integer = /^(U?)INT_(8|16|32|64)$/.exec(converted ?? "");
  if (integer !== null) {
    return { kind: "int", bits: Number(integer[2]) as 8 | 16 | 32 | 64, signed: integer[1] === "" };
  }
  switch (converted) {
    case "TIMESTAMP_MILLIS":
      return timestamp("ms", "UTC");
    case "TIMESTAMP_MICROS":
      return timestamp("us", "UTC");
    case "TIME_MILLIS":
      return time("ms");
    case "TIME_MICROS":
      return time("us");
    case "DATE":
      return date32;
    default:
      return plainType(element);
  }
}

function plainType({ type, logical_type: logical, converted_type: converted }: SchemaElement): DataType {
  switch (type) {
    case "BOOLEAN":
      return bool;
    case "INT32":
      return logical?.type === "DATE" ? date32 : int32;
    case "INT64":
      return int64;
    case "INT96":
      return timestamp("ns");
    case "FLOAT":
      return float32;
    case "DOUBLE":
      return float64;
    default: {
      const isText = ["STRING", "ENUM", "JSON"].includes(logical?.type ?? "");
      return isText || ["UTF8", "ENUM", "JSON"].includes(converted ?? "") ? utf8 : binary;
    }
  }
}

/** The same file with physical types only. */
function physicalMetadata(metadata: FileMetaData): FileMetaData {
  const schema = metadata.schema.map((element) => {
    if (element.num_children) return element;
    const { logical_type: _, converted_type: __, ...physical } = element;
    return physical as SchemaElement;
  });
  return { ...metadata, schema };
}

function columnOf(field: Field, data: ArrayLike<unknown>, start: number, rows: number): ColumnData {
  const validity = new Uint8Array((rows + 7) >> 3);
  let nulls = 0;
  for (let i = 0; i < rows; i++) {
    const value = data[start + i];
    if (value === null || value === undefined) nulls += 1;
    else validity[i >> 3]! |= 1 << (i & 7);
  }
  const { type } = field;
  const column = {
    type,
    length: rows,
    offset: 0,
    nullCount: nulls,
    validity: nulls > 0 ? validity : null,
    offsets: null,
    dictionary: null,
  };
  if (type.kind === "utf8" || type.kind === "binary")
    return { ...column, ...textBuffers(field, data, start, rows) };
  return { ...column, values: fixedValues(field, data, start, rows) };
}

function textBuffers(field: Field, data: ArrayLike<unknown>, start: number, rows: number) {
  const offsets = new Int32Array(rows + 1);
  let length = 0;
  for (let i = 0; i < rows; i++) {
    length += (data[start + i] as Uint8Array | null | undefined)?.length ?? 0;
    if (length > 0x7fffffff) {
      throw new OverflowError(`column "${field.name}": ${rows} rows pass 2 GiB; read smaller batches`, {
        column: field.name,
      });
    }
    offsets[i + 1] = length;
  }
  const values = new Uint8Array(length);
  for (let i = 0; i < rows; i++) {
    const bytes = data[start + i] as Uint8Array | null | undefined;
    if (bytes !== null && bytes !== undefined) values.set(bytes, offsets[i]!);
  }
  return { offsets: new Uint8Array(offsets.buffer), values };
}

function fixedValues(field: Field, data: ArrayLike<unknown>, start: number, rows: number): Uint8Array {
  const { type } = field;
  if (type.kind === "bool") {
    const bits = new Uint8Array((rows + 7) >> 3);
    for (let i = 0; i < rows; i++) if (data[start + i] === true) bits[i >> 3]! |= 1 << (i & 7);
    return bits;
  }
  const width = byteWidth(physicalType(type));
  const values = new Uint8Array(rows * width);
  const put = writerOf(type, values);
  for (let i = 0; i < rows; i++) {
    const value = data[start + i];
    if (value !== null && value !== undefined) put(i, value);
  }
  return values;
}

function writerOf(type: DataType, values: Uint8Array): (row: number, value: unknown) => void {
  const view = new DataView(values.buffer);
  if (type.kind === "float") {
    const out = type.bits === 32 ? new Float32Array(values.buffer) : new Float64Array(values.buffer);
    return (row, value) => {
      out[row] = value as number;
    };
  }
  if (type.kind === "decimal") {
    return (row, value) => {
      const unscaled = unscaledOf(value);
      view.setBigUint64(row * 16, BigInt.asUintN(64, unscaled), true);
      view.setBigInt64(row * 16 + 8, BigInt.asIntN(64, unscaled >> 64n), true);
    };
  }
  switch (byteWidth(physicalType(type))) {
    case 1:
      return (row, value) => view.setUint8(row, value as number);
    case 2:
      return (row, value) => view.setUint16(row * 2, value as number, true);
    case 4:
      return (row, value) => view.setInt32(row * 4, value as number, true);
    case 8:
      return (row, value) => view.setBigUint64(row * 8, BigInt.asUintN(64, BigInt(value as bigint)), true);
    default:
      throw new TypeMismatchError(`Parquet has no ${typeName(type)}`);
  }
}

/** A decimal's unscaled integer: an INT32, an INT64, or two's complement bytes, most significant first. */
function unscaledOf(value: unknown): bigint {
  if (!(value instanceof Uint8Array)) return BigInt(value as number | bigint);
  let unsigned = 0n;
  for (const byte of value) unsigned = (unsigned << 8n) | BigInt(byte);
  return BigInt.asIntN(8 * value.length, unsigned);
}
