// Reading CSV and NDJSON as a stream of batches: chunks of the file -> blocks of fields -> typed columns.
//
// Types are taken from the first rows (text-infer.ts); a value further down that does not fit is a
// MalformedFileError that names the file, the line and the column, never a silent null. Memory: one block of
// rows as text, and the batches that the reader's user holds.

import type { BatchData } from "../type/column.js";
import { type DataType, type Field, type Schema, typeName, utf8 } from "../type/data-type.js";
import { ArgumentError, UnknownColumnError } from "../type/error.js";
import { CsvTokenizer } from "./csv-tokenizer.js";
import { MalformedFileError } from "./file-error.js";
import { JsonTokenizer } from "./json-tokenizer.js";
import type { BatchSource } from "./source.js";
import { FIELD_NULL, type FieldColumn, type TextBlock, type Tokenizer } from "./text-block.js";
import { inferType } from "./text-infer.js";
import { checkParsable, parseColumn } from "./text-parse.js";

export interface TextOptions {
  readonly columns?: readonly string[] | undefined;
  readonly batchRows: number;
  readonly types?: Readonly<Record<string, DataType>> | undefined;
  /** Rows from which types are inferred. */
  readonly sampleRows: number;
  /** CSV only: one ASCII character. */
  readonly delimiter: string;
}

/** Reads the chunks of a CSV or NDJSON file. `path` is for messages. */
export async function readText(
  format: "csv" | "ndjson",
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  options: TextOptions,
): Promise<BatchSource> {
  const capacity = Math.max(options.batchRows, options.sampleRows);
  const tokenizer =
    format === "csv"
      ? new CsvTokenizer(path, capacity, delimiterByte(options.delimiter))
      : new JsonTokenizer(path, capacity);
  const blocks = tokenize(tokenizer, chunks);
  const first = await blocks.next();
  const block = first.done ? tokenizer.take() : first.value;
  const schema = schemaOf(block, options, format === "ndjson");
  if (tokenizer instanceof JsonTokenizer && options.columns === undefined) {
    tokenizer.fixColumns(schema.fields.map(({ name }) => name));
  }
  const { isUtf8 } = await import("node:buffer");
  const reader = new BlockReader(path, schema, options, isUtf8);
  return { schema, batches: () => reader.batches(block, blocks) };
}

function delimiterByte(delimiter: string): number {
  const byte = delimiter.charCodeAt(0);
  if (delimiter.length !== 1 || byte > 0x7f || '"\r\n'.includes(delimiter)) {
    throw new ArgumentError(`delimiter must be one ASCII character, not ${JSON.stringify(delimiter)}`);
  }
  return byte;
}

async function* tokenize(tokenizer: Tokenizer, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TextBlock> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      at = tokenizer.push(chunk, at);
      if (tokenizer.full) yield tokenizer.take();
    }
  }
  tokenizer.finish();
  const last = tokenizer.take();
  if (last.rows > 0) yield last;
}

function schemaOf(block: TextBlock, options: TextOptions, quotedIsText: boolean): Schema {
  const { columns, types = {} } = options;
  const found = block.columns.map(({ name }) => name);
  const late = quotedIsText ? Object.keys(types).filter((name) => !found.includes(name)) : [];
  const names = [...found, ...late];
  for (const name of [...(columns ?? []), ...Object.keys(types)]) {
    if (!names.includes(name)) throw new UnknownColumnError(name, names);
  }
  const rows = Math.min(block.rows, options.sampleRows);
  const fields = (columns ?? names).map((name): Field => {
    const column = block.columns.find((candidate) => candidate.name === name);
    const given = types[name];
    if (given !== undefined) checkParsable(name, given);
    const inferred = column === undefined ? utf8 : inferType(column, block.bytes, rows, quotedIsText);
    return { name, type: given ?? inferred, nullable: true };
  });
  return { fields };
}

/** Turns blocks into batches of the schema. */
class BlockReader {
  readonly #path: string;
  readonly #schema: Schema;
  readonly #options: TextOptions;
  readonly #isUtf8: (bytes: Uint8Array) => boolean;
  #rowsBefore = 0;

  constructor(path: string, schema: Schema, options: TextOptions, isUtf8: (bytes: Uint8Array) => boolean) {
    this.#path = path;
    this.#schema = schema;
    this.#options = options;
    this.#isUtf8 = isUtf8;
  }

  async *batches(first: TextBlock, rest: AsyncIterable<TextBlock>): AsyncGenerator<BatchData> {
    yield* this.#split(first);
    for await (const block of rest) yield* this.#split(block);
  }

  *#split(block: TextBlock): Generator<BatchData> {
    if (!this.#isUtf8(block.bytes)) this.#refuseBytes(block);
    const columns = this.#schema.fields.map(
      ({ name }) => block.columns.find((column) => column.name === name) ?? null,
    );
    const { batchRows } = this.#options;
    for (let start = 0; start < block.rows; start += batchRows) {
      const rows = Math.min(batchRows, block.rows - start);
      yield {
        schema: this.#schema,
        length: rows,
        columns: this.#schema.fields.map((field, index) =>
          parseColumn(columns[index]!, block.bytes, start, rows, field.type, (row, text) =>
            this.#refuseValue(block, row, field, text),
          ),
        ),
      };
    }
    this.#rowsBefore += block.rows;
  }

  #refuseValue(block: TextBlock, row: number, field: Field, text: string): never {
    const shown = JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
    const inferred =
      this.#options.types?.[field.name] === undefined
        ? ` (its type by the first ${this.#options.sampleRows} rows; say types: { "${field.name}": ... } to choose another)`
        : "";
    throw new MalformedFileError(
      `column "${field.name}": ${shown} is not ${typeName(field.type)}${inferred}`,
      {
        path: this.#path,
        line: block.lines[row],
        column: field.name,
        row: this.#rowsBefore + row,
        value: text,
        expected: typeName(field.type),
      },
    );
  }

  /** Finds the field that is not UTF-8. */
  #refuseBytes(block: TextBlock): never {
    const isBad = (column: FieldColumn, row: number) =>
      column.kinds[row] !== FIELD_NULL &&
      !this.#isUtf8(block.bytes.subarray(column.starts[row]!, column.ends[row]!));
    for (let row = 0; row < block.rows; row++) {
      const column = block.columns.find((candidate) => isBad(candidate, row));
      if (column !== undefined) {
        throw new MalformedFileError(`column "${column.name}" is not valid UTF-8`, {
          path: this.#path,
          line: block.lines[row],
          column: column.name,
          row: this.#rowsBefore + row,
        });
      }
    }
    throw new MalformedFileError("the file is not valid UTF-8", { path: this.#path, line: block.lines[0] });
  }
}
