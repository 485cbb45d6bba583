// Inputs of a run: whatever holds Arrow data, as a schema and batches that operators can read.
//
// The schema must be known before the plan can be bound, so of an iterable the first batch is awaited when
// the source is opened. Later batches may name their columns in any order, and need only those that the plan
// reads; each schema is looked at once, and a batch that lacks such a column or has it with another type is
// an error.

import { Abi } from "../../../kernel/abi/layout.js";
import { fromArrow, fromRecordBatch, isArrow, isArrowBatch } from "../arrow/index.js";
import type { InputBatch, Kernel, Stage } from "../kernel/index.js";
import { type BatchData, type ColumnData, emptyBatch } from "../type/column.js";
import { type Schema, sameType, typeName, valueType } from "../type/data-type.js";
import { ArgumentError, PlanError, SchemaMismatchError } from "../type/error.js";
import { KernelTable } from "./table.js";
import { settledSoon, unlessAborted } from "./yield.js";

/** A batch in a form that `Source` takes: an apache-arrow `RecordBatch` or `Table` (any copy), IPC bytes, or plain views. */
export type SourceItem = object;

/**
 * What a run reads: an apache-arrow `Table` or `RecordBatch`, Arrow IPC bytes, a `KernelTable`, or an
 * iterable, async iterable or `ReadableStream` of record batches or tables.
 */
export type SourceInput = object;

export class Source {
  readonly name: string;
  readonly schema: Schema;
  /** How many rows there will be; null where only the end will tell. */
  readonly rows: number | null;
  /** Whether all of it is there from the beginning: it is no stream. */
  readonly isTable: boolean;
  /** Whether all of it is one loaded table, whose every morsel is full but the last. */
  readonly isLoaded: boolean;
  /** Whether anything may come after `present`. */
  readonly hasLater: boolean;
  readonly #stage: Stage;
  #items: AsyncIterator<BatchData | KernelTable> | Iterator<BatchData | KernelTable>;
  #needed: ReadonlySet<number> = new Set();
  #first: readonly (BatchData | KernelTable)[];
  #conform: Conform | null = null;
  readonly #pinned: KernelTable[] = [];

  private constructor(name: string, stage: Stage, schema: Schema, opened: Opened) {
    this.name = name;
    this.schema = schema;
    this.isTable = opened.isTable;
    this.rows = opened.schema === null ? null : opened.first.reduce((sum, item) => sum + rowsOf(item), 0);
    const [first] = opened.first;
    this.isLoaded =
      opened.isTable && first instanceof KernelTable && first.beginsAtMultiplesOf(Abi.MORSEL_ROWS);
    this.hasLater = opened.schema === null;
    this.#stage = stage;
    this.#items = opened.rest;
    this.#first = opened.first;
  }

  /**
   * @param declared the schema that the plan declares, if it does: an empty iterable is fine then
   * @throws ArgumentError for an input of another kind
   */
  static async open(
    name: string,
    input: unknown,
    stage: Stage,
    declared: Schema | null,
    signal: AbortSignal | null,
  ): Promise<Source> {
    const opened = openInput(name, input);
    if (opened.schema !== null) return new Source(name, stage, opened.schema, opened);
    const head = await firstOf(opened.rest, signal);
    if (!head.done) return new Source(name, stage, head.value.schema, { ...opened, first: [head.value] });
    if (declared === null) {
      throw new PlanError(
        `source "${name}" ended before its first batch, so its columns are unknown: declare them with source("${name}", {...})`,
      );
    }
    return new Source(name, stage, declared, opened);
  }

  /** Tables in the kernel's memory that it has come to. */
  get tables(): readonly KernelTable[] {
    return this.#pinned;
  }

  /** Where its batches are read to. */
  get kernel(): Kernel {
    return this.#stage.kernel;
  }

  /**
   * The batches that are there already, with their columns in the order of `schema`: nothing is waited for.
   * @param needed the columns that are read: every batch must have them
   */
  *present(needed: readonly number[]): Generator<InputBatch> {
    this.#needed = new Set(needed);
    for (const item of this.#first) yield* this.#read(item);
    this.#first = [];
  }

  /** Those that come after `present`, where some may (`hasLater`). */
  async *later(): AsyncGenerator<InputBatch> {
    for (let next = await this.#items.next(); !next.done; next = await this.#items.next()) {
      // Not `yield*`, which makes promises of what is there.
      for (const input of this.#read(next.value)) yield input;
    }
  }

  *#read(item: BatchData | KernelTable): Generator<InputBatch> {
    this.#conform =
      this.#conform?.from === item.schema ? this.#conform : conform(this, this.#needed, item.schema);
    const { columns } = this.#conform;
    const inputs = item instanceof KernelTable ? this.#pin(item) : [this.#stage.batch(item)];
    for (const input of inputs) yield columns === null ? input : new Reordered(input, this.schema, columns);
  }

  #pin(table: KernelTable): readonly InputBatch[] {
    const batches = table.pin();
    this.#pinned.push(table);
    return batches;
  }

  /** Frees the staging memory and lets the iterable go: its `return` is called, and not waited for if it hangs. */
  async close(): Promise<void> {
    this.#stage.free();
    for (const table of this.#pinned.splice(0)) table.unpin();
    this.#first = [];
    const items = this.#items;
    this.#items = [].values();
    this.kernel.retire(this);
    if (this.hasLater) await settledSoon(ended(items));
  }
}

function rowsOf(item: BatchData | KernelTable): number {
  return item instanceof KernelTable ? item.rows : item.length;
}

/** The iterator's clean-up. What it throws is nobody's answer: the run has its result, or its own error. */
async function ended(items: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  await items.return?.();
}

async function firstOf<T>(
  items: AsyncIterator<T> | Iterator<T>,
  signal: AbortSignal | null,
): Promise<IteratorResult<T>> {
  try {
    return await unlessAborted(Promise.resolve(items.next()), signal);
  } catch (error) {
    await settledSoon(ended(items));
    throw error;
  }
}

interface Opened {
  readonly isTable: boolean;
  /** Null when only the first batch will tell. */
  readonly schema: Schema | null;
  readonly first: readonly (BatchData | KernelTable)[];
  readonly rest: AsyncIterator<BatchData | KernelTable> | Iterator<BatchData | KernelTable>;
}

function openInput(name: string, input: unknown): Opened {
  const table = { isTable: true, rest: [].values() };
  if (input instanceof KernelTable) return { ...table, schema: input.schema, first: [input] };
  if (isBatchData(input)) return { ...table, schema: input.schema, first: [input] };
  if (isArrow(input)) {
    const { schema, batches } = fromArrow(input);
    return { ...table, schema, first: batches };
  }
  const iterator = iterate(input);
  if (iterator === null) {
    throw new ArgumentError(
      `source "${name}" is ${describe(input)}: give an Arrow table, record batches (an iterable, async iterable or ReadableStream of them), IPC bytes or a KernelTable`,
      { value: input },
    );
  }
  return { isTable: Array.isArray(input), schema: null, first: [], rest: readItems(name, iterator) };
}

async function* readItems(
  name: string,
  iterator: AsyncIterator<unknown> | Iterator<unknown>,
): AsyncGenerator<BatchData> {
  let done = false;
  try {
    for (;;) {
      const next = await iterator.next();
      if (next.done) break;
      for (const batch of batchesOf(name, next.value)) yield batch;
    }
    done = true;
  } finally {
    if (!done) await ended(iterator).catch(() => {});
  }
}

function batchesOf(name: string, item: unknown): readonly BatchData[] {
  if (isBatchData(item)) return [item];
  if (isArrowBatch(item)) return [fromRecordBatch(item)];
  if (isArrow(item)) {
    const { schema, batches } = fromArrow(item);
    return batches.length > 0 ? batches : [emptyBatch(schema)];
  }
  throw new ArgumentError(`source "${name}" yielded ${describe(item)} where a record batch is expected`, {
    value: item,
  });
}

function iterate(input: unknown): AsyncIterator<unknown> | Iterator<unknown> | null {
  if (typeof input !== "object" || input === null) return null;
  const candidate = input as Partial<AsyncIterable<unknown> & Iterable<unknown> & ReadableStream<unknown>>;
  if (typeof candidate[Symbol.asyncIterator] === "function") return candidate[Symbol.asyncIterator]!();
  if (typeof candidate[Symbol.iterator] === "function") return candidate[Symbol.iterator]!();
  if (typeof candidate.getReader === "function") return readStream(candidate as ReadableStream<unknown>);
  return null;
}

/** For hosts whose streams are not async iterables yet. */
async function* readStream(stream: ReadableStream<unknown>): AsyncGenerator<unknown> {
  const reader = stream.getReader();
  let ended = false;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
    ended = true;
  } finally {
    if (!ended) await reader.cancel();
    reader.releaseLock();
  }
}

export function isBatchData(value: unknown): value is BatchData {
  if (typeof value !== "object" || value === null) return false;
  const { schema, columns, length } = value as Partial<BatchData>;
  return (
    typeof length === "number" &&
    Array.isArray(columns) &&
    Array.isArray(schema?.fields) &&
    schema.fields.every((field) => typeof field?.type?.kind === "string")
  );
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === "object"
    ? `a ${value.constructor?.name ?? "Object"}`
    : `${typeof value} ${String(value)}`;
}

interface Conform {
  readonly from: Schema;
  /** Per column of the source's schema the batch's column; null when they are the same. */
  readonly columns: readonly number[] | null;
}

/** Columns that a batch lacks and nobody reads get -1. */
function conform(source: Source, needed: ReadonlySet<number>, from: Schema): Conform {
  const { name, schema } = source;
  if (from === schema) return { from, columns: null };
  const names = from.fields.map((field) => field.name);
  const columns = schema.fields.map((field, at) => {
    const index = names[at] === field.name ? at : names.indexOf(field.name);
    if (!needed.has(at)) return index;
    if (index < 0) {
      throw new SchemaMismatchError(
        `a batch of source "${name}" has no column "${field.name}"; it has: ${names.join(", ")}`,
        { column: field.name, expected: typeName(field.type) },
      );
    }
    const { type } = from.fields[index]!;
    if (!sameType(valueType(type), valueType(field.type))) {
      throw new SchemaMismatchError(
        `a batch of source "${name}" has column "${field.name}" as ${typeName(type)} where the batches before have ${typeName(field.type)}`,
        { column: field.name, value: typeName(type), expected: typeName(field.type) },
      );
    }
    return index;
  });
  return { from, columns: columns.every((column, at) => column === at) ? null : columns };
}

/** A batch whose columns stand in another order. */
class Reordered implements InputBatch {
  readonly kernel: Kernel;
  readonly rows: number;
  readonly schema: Schema;
  readonly #input: InputBatch;
  readonly #columns: readonly number[];

  constructor(input: InputBatch, schema: Schema, columns: readonly number[]) {
    this.#input = input;
    this.kernel = input.kernel;
    this.rows = input.rows;
    this.schema = schema;
    this.#columns = columns;
  }

  describe(columns: readonly number[], start: number, rows: number, firstRow?: number): number {
    const chosen = columns.map((column) => this.#columns[column]!);
    return this.#input.describe(chosen, start, rows, firstRow);
  }

  source(column: number): ColumnData | null {
    return this.#input.source(this.#columns[column]!);
  }

  view(column: number): ColumnData | null {
    return this.#input.view(this.#columns[column]!);
  }

  bytesOf(column: number, start: number, rows: number): number {
    return this.#input.bytesOf(this.#columns[column]!, start, rows);
  }
}
