// Input of operators: batches that are copied into kernel memory a morsel at a time.
//
// A `Stage` is the memory for that: one block for the buffers, reused from push to push (so it stays in the cache), and
// the dictionaries of its source's columns (staged-dictionary.ts), each kept until the column has another.

import { Batch, Column, Type } from "../../../kernel/abi/layout.js";
import type { BatchData, ColumnData, DictionaryData } from "../type/column.js";
import { columnBytes } from "../type/column-bytes.js";
import { type Field, physicalType, type Schema } from "../type/data-type.js";
import { ArgumentError, MalformedArrowError } from "../type/error.js";
import { type ColumnDescriptor, writeBatch, writeColumn } from "./descriptor.js";
import type { Kernel } from "./kernel.js";
import { type ColumnSlice, padded, placeSlice, sliceColumn } from "./slice.js";
import { HeldDictionaries } from "./staged-dictionary.js";

/** A batch that operators can read: staged (`StagedBatch`) or already in kernel memory (`ResidentBatch`). */
export interface InputBatch {
  readonly rows: number;
  readonly schema: Schema;
  /** Whose memory the described batch lies in. */
  readonly kernel: Kernel;
  /**
   * Makes rows [start, start + rows) of these columns readable for the kernel.
   * @returns address of a `Batch` descriptor, valid until the next `describe`.
   */
  describe(columns: readonly number[], start: number, rows: number, firstRow?: number): number;
  /** The kernel has read, and so checked, rows [start, start + rows) of these columns. */
  accepted?(columns: readonly number[], start: number, rows: number): void;
  /** A column that the kernel does not read, as it came; null when it is not at hand. */
  source(column: number): ColumnData | null;
  /** Bytes of rows [start, start + rows) of a column (type/column-bytes.ts); 0 when it is not at hand. */
  bytesOf(column: number, start: number, rows: number): number;
  /** A column where it lies, in the host's memory or the kernel's (then valid until that grows); null when it is not at hand. */
  view(column: number): ColumnData | null;
}

/** Blocks grow by at least this factor, so that growing morsels do not allocate each time. */
const HEADROOM = 1.25;

/** Reusable kernel memory for one source of batches. Its bytes count towards the budget. */
export class Stage {
  readonly kernel: Kernel;
  #block = 0;
  #capacity = 0;
  /** Memory of another's that it began with and still uses; 0 where it has none. */
  #lent: number;
  /** Those of its own source, and of others whose batches it has described. */
  readonly #dictionaries = new HeldDictionaries();

  /** @param lent memory that it uses as long as that does, and that goes back after it (stages.ts) */
  constructor(kernel: Kernel, lent: { readonly address: number; readonly bytes: number } | null = null) {
    this.kernel = kernel;
    this.#lent = lent?.address ?? 0;
    this.#block = this.#lent;
    this.#capacity = lent?.bytes ?? 0;
  }

  /** `data` as an operator's input. */
  batch(data: BatchData): StagedBatch {
    return new StagedBatch(this, data);
  }

  /**
   * As `input.describe`, but the descriptor is this stage's (as is what it points to, where the rows lie on the host),
   * and stays until the stage is used again.
   */
  describe(
    input: InputBatch,
    columns: readonly number[],
    start: number,
    rows: number,
    firstRow: number,
  ): number {
    if (input instanceof StagedBatch) return input.describeIn(this, columns, start, rows, firstRow);
    const from = input.describe(columns, start, rows, firstRow);
    const descriptors = padded(Batch.SIZE);
    const size = columns.length * Column.SIZE;
    const to = this.reserve(describedBytes(columns.length));
    const { bytes, view } = this.kernel.memory;
    const source = view.getUint32(from + Batch.DESCRIPTORS, true);
    bytes.copyWithin(to, from, from + Batch.SIZE);
    bytes.copyWithin(to + descriptors, source, source + size);
    view.setUint32(to + Batch.DESCRIPTORS, to + descriptors, true);
    return to;
  }

  /** A block of at least `bytes`; what the last one held is gone. */
  reserve(bytes: number): number {
    if (bytes > this.#capacity) {
      this.#giveBack();
      const capacity = padded(Math.ceil(bytes * HEADROOM));
      this.#block = this.kernel.allocate(capacity);
      this.#capacity = capacity;
    }
    return this.#block;
  }

  /** The values of a column's dictionary in kernel memory, where they stay until `reader` describes others. */
  dictionary(column: number, field: Field, dictionary: DictionaryData, reader: Stage): ColumnDescriptor {
    const staged = this.#dictionaries.staged(this.kernel, column, field, dictionary);
    reader.#dictionaries.hold(column, staged);
    return { ...staged.descriptor, length: dictionary.values.length };
  }

  /** Gives all memory back. The stage can be used again. */
  free(): void {
    this.#giveBack();
    this.#dictionaries.release();
    this.kernel.retire(this);
  }

  #giveBack(): void {
    if (this.#block !== this.#lent) this.kernel.free(this.#block);
    this.#lent = 0;
    this.#block = 0;
    this.#capacity = 0;
  }
}

/** Bytes of the description of so many columns. */
export function describedBytes(columns: number): number {
  return padded(Batch.SIZE) + columns * Column.SIZE;
}

/** A batch in the host's memory. `describe` copies just the columns and rows that are asked for, once. */
export class StagedBatch implements InputBatch {
  readonly data: BatchData;
  readonly rows: number;
  readonly schema: Schema;
  /** Section of a state batch; 0 for input. */
  readonly section: number;
  readonly kernel: Kernel;
  readonly #stage: Stage;

  constructor(stage: Stage, data: BatchData, section = 0) {
    this.#stage = stage;
    this.kernel = stage.kernel;
    this.data = data;
    this.rows = data.length;
    this.schema = data.schema;
    this.section = section;
    checkBatch(data);
  }

  describe(columns: readonly number[], start: number, rows: number, firstRow = 0): number {
    return this.describeIn(this.#stage, columns, start, rows, firstRow);
  }

  /** The same in the memory of another stage; dictionaries lie in that of its own, whichever describes them. */
  describeIn(
    stage: Stage,
    columns: readonly number[],
    start: number,
    rows: number,
    firstRow: number,
  ): number {
    checkRange(this.rows, start, rows);
    const fields = columns.map((column) => fieldAt(this.schema, column));
    const sources = columns.map((column) => this.data.columns[column]!);
    const slices = sources.map((source, i) => sliceColumn(source, fields[i]!, start, rows, firstRow));
    const dictionaries = sources.map((source, i) =>
      source.dictionary === null
        ? null
        : this.#stage.dictionary(columns[i]!, dictionaryField(fields[i]!), source.dictionary, stage),
    );
    const descriptors = padded(Batch.SIZE);
    const values = descriptors + columns.length * 2 * Column.SIZE;
    const total = slices.reduce((sum, slice) => sum + slice.bytes, values);
    const block = stage.reserve(total);
    this.#write(block, block + descriptors, block + values, slices, dictionaries, sources, rows);
    return block;
  }

  #write(
    batch: number,
    descriptors: number,
    buffers: number,
    slices: readonly ColumnSlice[],
    dictionaries: readonly (ColumnDescriptor | null)[],
    sources: readonly ColumnData[],
    rows: number,
  ): void {
    const { memory } = this.#stage.kernel;
    const { view } = memory;
    let cursor = buffers;
    slices.forEach((slice, i) => {
      const dictionary = dictionaries[i]!;
      const dictionaryAt = descriptors + (slices.length + i) * Column.SIZE;
      if (dictionary !== null) writeColumn(view, dictionaryAt, dictionary);
      const id = sources[i]!.dictionary?.id ?? 0;
      const column = placeSlice(memory, slice, cursor, dictionary === null ? 0 : dictionaryAt, id);
      writeColumn(view, descriptors + i * Column.SIZE, column);
      cursor += slice.bytes;
    });
    writeBatch(view, batch, { rows, offset: 0, columns: slices.length, descriptors, section: this.section });
  }

  source(column: number): ColumnData | null {
    return this.data.columns[column] ?? null;
  }

  view(column: number): ColumnData | null {
    return this.source(column);
  }

  bytesOf(column: number, start: number, rows: number): number {
    const source = this.source(column);
    return source === null ? 0 : columnBytes(source, start, rows);
  }
}

/** Bytes of rows [start, start + rows) of some of a batch's columns; null: of all. */
export function bytesRead(
  input: InputBatch,
  columns: readonly number[] | null,
  start: number,
  rows: number,
): number {
  const read = columns ?? input.schema.fields.map((_, index) => index);
  let bytes = 0;
  for (const column of read) bytes += input.bytesOf(column, start, rows);
  return bytes;
}

/** Refuses a batch whose columns do not fit its schema and length. */
export function checkBatch(data: BatchData): void {
  const { fields } = data.schema;
  if (fields.length !== data.columns.length) {
    throw new MalformedArrowError(`a batch has ${data.columns.length} columns, its schema ${fields.length}`);
  }
  data.columns.forEach((column, i) => {
    if (column.length !== data.length) {
      throw new MalformedArrowError(
        `column "${fields[i]!.name}" has ${column.length} rows, its batch ${data.length}`,
        { column: fields[i]!.name, value: column.length, expected: `${data.length} rows` },
      );
    }
    if (column.type.kind === "dictionary" && column.dictionary === null) {
      throw new MalformedArrowError(`column "${fields[i]!.name}": the dictionary is missing`, {
        column: fields[i]!.name,
      });
    }
  });
}

/** Refuses also a batch whose buffers do not hold its rows: for those that are handed on and no kernel looks at. */
export function checkHeld(data: BatchData): void {
  checkBatch(data);
  for (const [at, column] of data.columns.entries())
    checkHeldRows(column, data.schema.fields[at]!, 0, data.length);
}

/** Refuses a column whose buffers do not hold rows [start, start + rows), or its dictionary's do not hold that. */
export function checkHeldRows(column: ColumnData, field: Field, start: number, rows: number): void {
  if (physicalType(column.type) === Type.NONE) return;
  sliceColumn(column, field, start, rows);
  if (column.dictionary === null) return;
  const { values } = column.dictionary;
  sliceColumn(values, dictionaryField(field), 0, values.length);
}

export function checkRange(available: number, start: number, rows: number): void {
  if (
    !(
      start >= 0 &&
      rows >= 0 &&
      start + rows <= available &&
      Number.isInteger(start) &&
      Number.isInteger(rows)
    )
  ) {
    throw new ArgumentError(
      `rows ${start} to ${start + rows} lie outside the batch, which has ${available} rows`,
      {
        value: start,
      },
    );
  }
}

export function fieldAt(schema: Schema, column: number): Field {
  const field = schema.fields[column];
  if (field === undefined) {
    throw new ArgumentError(`there is no column ${column}: the batch has ${schema.fields.length} columns`, {
      value: column,
    });
  }
  return field;
}

/** The field of a dictionary's values, for messages. */
export function dictionaryField(field: Field): Field {
  return { ...field, name: `${field.name} (dictionary)` };
}
