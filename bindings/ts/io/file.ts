// Files as sources and sinks of record batches. The extension is the format:
//   .arrow    Arrow IPC file        .arrows   Arrow IPC stream      (either is read under either name)
//   .csv      RFC 4180              .ndjson   one JSON object a line
//   .parquet  needs the packages hyparquet (reading) and hyparquet-writer (writing)
//
// Node only, and only when called: everything that touches a file is imported then.

import type { Schema as ArrowSchema, RecordBatch } from "apache-arrow";
import type { BatchData } from "../type/column.js";
import { type DataType, type Schema, sameType, typeName } from "../type/data-type.js";
import { ArgumentError, SchemaMismatchError, UnknownColumnError } from "../type/error.js";
import type { BatchSource } from "./source.js";

export type FileFormat = "arrow" | "arrows" | "csv" | "ndjson" | "parquet";

export interface ReadOptions {
  /** Only these columns, in this order. */
  readonly columns?: readonly string[];
  /** Rows of a batch at most; 65,536 by default. Arrow files keep their own batches unless it is given. */
  readonly batchRows?: number;
  /** CSV and NDJSON: types of columns, instead of the inferred ones. */
  readonly types?: Readonly<Record<string, DataType>>;
  /** CSV and NDJSON: the first rows, from which types are inferred; 10,000 by default. */
  readonly sampleRows?: number;
  /** CSV: one ASCII character between fields; a comma by default. */
  readonly delimiter?: string;
}

/** The record batches of a file. Each iteration reads the file anew. */
export interface FileSource extends AsyncIterable<RecordBatch> {
  readonly path: string;
  readonly schema: ArrowSchema;
}

export interface WriteOptions {
  /** Needed only when there may be no batch at all. */
  readonly schema?: Schema;
}

export interface WriteResult {
  readonly rows: number;
  readonly bytes: number;
}

const BATCH_ROWS = 65_536;
const SAMPLE_ROWS = 10_000;
/** Rows written as one text: a string holds at most 512 MiB. */
const TEXT_ROWS = 16_384;

/** The format that a path's extension names. Throws ArgumentError for any other extension. */
export function fileFormat(path: string): FileFormat {
  const extension = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase();
  switch (extension) {
    case "arrow":
    case "arrows":
    case "csv":
    case "ndjson":
    case "parquet":
      return extension;
    default:
      throw new ArgumentError(
        `${path}: the extension says the format; it must be .arrow, .arrows, .csv, .ndjson or .parquet`,
        { value: path },
      );
  }
}

/**
 * Opens a file: its schema at once, its record batches as they are asked for.
 * Throws ArgumentError (no such file, unknown extension, missing package), UnknownColumnError, and, here or while
 * iterating, MalformedFileError or MalformedArrowError.
 */
export async function readFile(path: string, options: ReadOptions = {}): Promise<FileSource> {
  const { toRecordBatch, toArrowSchema } = await import("../arrow/index.js");
  let opened: BatchSource | null = await openFile(path, options);
  return {
    path,
    schema: toArrowSchema(opened.schema),
    async *[Symbol.asyncIterator]() {
      const source = opened ?? (await openFile(path, options));
      opened = null;
      for await (const batch of source.batches()) yield toRecordBatch(batch);
    },
  };
}

/** The same below apache-arrow: batches as plain views. May be iterated once. */
export async function openFile(path: string, options: ReadOptions = {}): Promise<BatchSource> {
  const format = fileFormat(path);
  const batchRows = positive("batchRows", options.batchRows ?? BATCH_ROWS);
  const sampleRows = positive("sampleRows", options.sampleRows ?? SAMPLE_ROWS);
  await requireFile(path);
  switch (format) {
    case "arrow":
    case "arrows": {
      const { readArrow } = await import("./arrow-file.js");
      return narrowed(await readArrow(path), options);
    }
    case "parquet": {
      const { readParquet } = await import("./parquet-reader.js");
      return await readParquet(path, { columns: options.columns, batchRows });
    }
    default: {
      const { readText } = await import("./text-reader.js");
      const { columns, types, delimiter = "," } = options;
      return await readText(format, path, fileChunks(path), {
        columns,
        types,
        delimiter,
        batchRows,
        sampleRows,
      });
    }
  }
}

function positive(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new ArgumentError(`${name} must be a positive integer, not ${value}`, { value });
  }
  return value;
}

async function requireFile(path: string): Promise<void> {
  const { stat } = await import("node:fs/promises");
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new ArgumentError(cause.code === "ENOENT" ? `${path}: no such file` : cause.message, {
      value: path,
      cause,
    });
  });
  if (!found.isFile()) throw new ArgumentError(`${path} is not a file`, { value: path });
}

const CHUNK_BYTES = 1 << 20;

/** The file's bytes, opened for each chunk: an iteration that is never finished leaves nothing open. */
async function* fileChunks(path: string): AsyncGenerator<Uint8Array> {
  const { open } = await import("node:fs/promises");
  for (let position = 0; ; ) {
    const handle = await open(path);
    let chunk: Uint8Array;
    try {
      const { bytesRead, buffer } = await handle.read(new Uint8Array(CHUNK_BYTES), 0, CHUNK_BYTES, position);
      chunk = buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
    if (chunk.length === 0) return;
    position += chunk.length;
    yield chunk;
  }
}

/** Columns chosen and batches cut, for a source that can do neither itself. */
function narrowed(source: BatchSource, { columns, batchRows }: ReadOptions): BatchSource {
  if (columns === undefined && batchRows === undefined) return source;
  const names = source.schema.fields.map(({ name }) => name);
  const indices = (columns ?? names).map((name) => {
    const index = names.indexOf(name);
    if (index < 0) throw new UnknownColumnError(name, names);
    return index;
  });
  const schema = { fields: indices.map((index) => source.schema.fields[index]!) };
  async function* batches(): AsyncGenerator<BatchData> {
    for await (const batch of source.batches()) {
      const chosen = { schema, length: batch.length, columns: indices.map((index) => batch.columns[index]!) };
      yield* cut(chosen, batchRows ?? batch.length);
    }
  }
  return { schema, batches };
}

function* cut(batch: BatchData, batchRows: number): Generator<BatchData> {
  if (batch.length <= batchRows) {
    yield batch;
    return;
  }
  for (let start = 0; start < batch.length; start += batchRows) {
    const length = Math.min(batchRows, batch.length - start);
    const columns = batch.columns.map((column) => ({
      ...column,
      length,
      offset: column.offset + start,
      nullCount: column.nullCount === 0 ? 0 : -1,
    }));
    yield { schema: batch.schema, length, columns };
  }
}

async function* cutAll(batches: AsyncIterable<BatchData>, batchRows: number): AsyncGenerator<BatchData> {
  for await (const batch of batches) yield* cut(batch, batchRows);
}

/** Record batches of any copy of apache-arrow, or plain views, or something that has a table's schema too. */
export type BatchInput =
  | Iterable<RecordBatch | BatchData>
  | AsyncIterable<RecordBatch | BatchData>
  | { readonly batches: readonly RecordBatch[]; readonly schema: ArrowSchema };

/**
 * Writes batches to a file, as they come; at most one is held. The file appears under its name when it is complete.
 * Throws ArgumentError (unknown extension, missing directory or package, no batch and no schema),
 * SchemaMismatchError when batches differ, TypeMismatchError for a type that the format has not.
 */
export async function writeFile(
  path: string,
  input: BatchInput,
  options: WriteOptions = {},
): Promise<WriteResult> {
  const format = fileFormat(path);
  const { rename, rm, stat } = await import("node:fs/promises");
  const { schema, batches } = await uniform(input, options.schema);
  const partial = `${path}.partial-${process.pid}`;
  try {
    const rows = await writeAs(format, partial, schema, batches);
    await rename(partial, path);
    return { rows, bytes: (await stat(path)).size };
  } catch (error) {
    await rm(partial, { force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "EACCES" && code !== "EISDIR" && code !== "ENOSPC") throw error;
    throw new ArgumentError(`${path} cannot be written: ${(error as Error).message}`, {
      value: path,
      cause: error,
    });
  }
}

async function writeAs(
  format: FileFormat,
  path: string,
  schema: Schema,
  batches: AsyncIterable<BatchData>,
): Promise<number> {
  if (format === "parquet") {
    const { writeParquet } = await import("./parquet-writer.js");
    return await writeParquet(path, schema, cutAll(batches, BATCH_ROWS));
  }
  let rows = 0;
  async function* counted(): AsyncGenerator<BatchData> {
    for await (const batch of batches) {
      rows += batch.length;
      yield batch;
    }
  }
  const { open } = await import("node:fs/promises");
  const handle = await open(path, "w");
  try {
    const pieces =
      format === "csv" || format === "ndjson"
        ? textPieces(format, schema, counted())
        : (await import("./arrow-file.js")).arrowBytes(format, schema, counted());
    for await (const chunks of pieces) for (const chunk of chunks) await handle.writeFile(chunk);
  } finally {
    await handle.close();
  }
  return rows;
}

async function* textPieces(
  format: "csv" | "ndjson",
  schema: Schema,
  batches: AsyncIterable<BatchData>,
): AsyncGenerator<Uint8Array[]> {
  const { textHeader, textRows } = await import("./text-writer.js");
  const encoder = new TextEncoder();
  yield [encoder.encode(textHeader(format, schema))];
  for await (const batch of batches) {
    for (const part of cut(batch, TEXT_ROWS)) yield [encoder.encode(textRows(format, part))];
  }
}

/** Every batch as plain views under one schema object, that of the first when none is given. */
async function uniform(input: BatchInput, given: Schema | undefined) {
  const { fromArrowSchema, fromRecordBatch } = await import("../arrow/index.js");
  const known = given ?? ("schema" in input ? fromArrowSchema(input.schema) : undefined);
  const iterable = "batches" in input ? input.batches : input;
  const iterator =
    Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]();
  const plain = (batch: RecordBatch | BatchData) =>
    "columns" in batch ? (batch as BatchData) : fromRecordBatch(batch);
  const first = await iterator.next();
  const firstBatch = first.done ? null : plain(first.value);
  const schema = known ?? firstBatch?.schema;
  if (schema === undefined) {
    throw new ArgumentError("there is no batch to write, and no schema to write instead");
  }
  async function* batches(): AsyncGenerator<BatchData> {
    try {
      let batch = firstBatch;
      for (let index = 0; batch !== null; index++) {
        requireSchema(batch.schema, schema!, index);
        if (batch.length > 0) yield { ...batch, schema: schema! };
        const next = await iterator.next();
        batch = next.done ? null : plain(next.value);
      }
    } finally {
      await iterator.return?.();
    }
  }
  return { schema, batches: batches() };
}

function requireSchema(found: Schema, expected: Schema, index: number): void {
  if (found === expected) return;
  const describe = ({ fields }: Schema) =>
    fields.map(({ name, type }) => `${name}: ${typeName(type)}`).join(", ");
  const same =
    found.fields.length === expected.fields.length &&
    found.fields.every(({ name, type }, i) => {
      const field = expected.fields[i]!;
      return name === field.name && sameType(type, field.type);
    });
  if (same) return;
  throw new SchemaMismatchError(
    `batch ${index} has the columns (${describe(found)}), not those of the file (${describe(expected)})`,
    { expected: describe(expected) },
  );
}
