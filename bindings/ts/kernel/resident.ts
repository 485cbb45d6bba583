/// <reference lib="esnext.disposable" preserve="true" />
// Batches in kernel memory: tables loaded once and read many times, and results that stay where they are.
//
// Operators read them without a copy: `describe` writes descriptors only, and says by the batch's OFFSET
// where a morsel begins. What is done for each batch makes no functions, as in arrow/to-arrow.ts.

import { Abi, Batch, Column, Type } from "../../../kernel/abi/layout.js";
import { type BatchData, type ColumnData, type DictionaryData, nextDictionaryId } from "../type/column.js";
import { columnBytes } from "../type/column-bytes.js";
import {
  byteWidth,
  type DataType,
  isCarried,
  physicalType,
  type Schema,
  valueType,
} from "../type/data-type.js";
import { ArgumentError, MemoryLimitError, UnknownColumnError } from "../type/error.js";
import {
  type BatchDescriptor,
  type ColumnDescriptor,
  readColumn,
  writeBatch,
  writeColumn,
} from "./descriptor.js";
import { checkBatch, checkRange, dictionaryField, fieldAt, type InputBatch } from "./input.js";
import type { Kernel } from "./kernel.js";
import type { KernelMemory } from "./memory.js";
import { narrowed } from "./narrow.js";
import { copyColumns, isCodes } from "./output.js";
import { type ColumnSlice, joinedBytes, padded, placeJoined, placeSlice, sliceColumn } from "./slice.js";

/** A batch in kernel memory, as an operator's input. */
export class ResidentBatch implements InputBatch {
  readonly kernel: Kernel;
  readonly schema: Schema;
  readonly rows: number;
  /** One a field; null for a column that was not loaded. */
  readonly #columns: (ColumnDescriptor | null)[];
  readonly #sources: readonly (ColumnData | null)[];
  /** Blocks that go with this batch. */
  readonly #owned: number[];
  /** Columns of texts that lie here as codes, as the host reads them. */
  readonly #decoded = new Map<number, ColumnData>();
  /** Morsels of columns that the kernel has read, as long as those are not all. */
  readonly #accepted = new Map<number, Set<number>>();
  /** Bytes of all rows of columns that were asked for: every query does. */
  readonly #bytes = new Map<number, number>();
  #isLasting = false;
  /** The description of some rows, with room for so many columns; and those that it is of, while they are unchanged. */
  #selection = 0;
  #selectionColumns = -1;
  #selected: readonly number[] | null = null;

  constructor(
    kernel: Kernel,
    schema: Schema,
    rows: number,
    columns: readonly (ColumnDescriptor | null)[],
    owned: readonly number[] = [],
    sources: readonly (ColumnData | null)[] = [],
  ) {
    this.kernel = kernel;
    this.schema = schema;
    this.rows = rows;
    this.#columns = [...columns];
    this.#owned = [...owned];
    this.#sources = sources;
  }

  /** An operator's output where it lies. */
  static borrow(kernel: Kernel, schema: Schema, batch: BatchDescriptor): ResidentBatch {
    const columns: ColumnDescriptor[] = [];
    for (let i = 0; i < schema.fields.length; i++) {
      const column = readColumn(kernel.memory.view, batch.descriptors + i * Column.SIZE);
      columns.push({ ...column, offset: column.offset + batch.offset });
    }
    return new ResidentBatch(kernel, schema, batch.rows, columns);
  }

  /** An operator's output that stays where it lies, with the dictionaries that it has numbered by the operator. */
  static keep(
    kernel: Kernel,
    schema: Schema,
    batch: BatchDescriptor,
    dictionaryId: (address: number) => number,
  ): ResidentBatch {
    const kept = ResidentBatch.borrow(kernel, schema, batch);
    for (let index = 0; index < kept.#columns.length; index++) {
      const column = kept.#columns[index]!;
      if (column === null || column.dictionary === 0) continue;
      kept.#columns[index] = { ...column, dictionaryId: dictionaryId(column.dictionary) };
    }
    return kept;
  }

  /** From now on results that stay in kernel memory may lie in its buffers: whoever frees them sees to it that none does. */
  outlive(): void {
    this.#isLasting = true;
    this.#selected = null;
  }

  /** Whether this is a result some of which lies in its input. */
  get liesInInput(): boolean {
    return this.#columns.some((column) => column?.shared);
  }

  /** Descriptor of a column; null when it was not loaded. Addresses are in kernel memory. */
  column(index: number): ColumnDescriptor | null {
    return this.#columns[index] ?? null;
  }

  describe(columns: readonly number[], start: number, rows: number): number {
    checkRange(this.rows, start, rows);
    if (columns !== this.#selected) this.#select(columns);
    const { view } = this.kernel.memory;
    view.setUint32(this.#selection + Batch.ROWS, rows, true);
    view.setUint32(this.#selection + Batch.OFFSET, start, true);
    return this.#selection;
  }

  /** Describes the columns; which rows of them is said morsel by morsel. */
  #select(columns: readonly number[]): void {
    for (const column of columns) {
      if (this.#columns[column]) continue;
      const { name } = fieldAt(this.schema, column);
      throw new ArgumentError(`column "${name}" is not in kernel memory: load it with the table`, {
        column: name,
      });
    }
    this.#selected = null;
    if (this.#selectionColumns < columns.length) {
      this.kernel.free(this.#selection);
      this.#selection = 0;
      this.#selectionColumns = -1;
      this.#selection = this.kernel.allocate(padded(Batch.SIZE) + columns.length * Column.SIZE);
      this.#selectionColumns = columns.length;
    }
    const { view } = this.kernel.memory;
    const descriptors = this.#selection + padded(Batch.SIZE);
    for (let i = 0; i < columns.length; i++)
      writeColumn(view, descriptors + i * Column.SIZE, this.#columns[columns[i]!]!, this.#isLasting);
    writeBatch(view, this.#selection, {
      rows: 0,
      offset: 0,
      columns: columns.length,
      descriptors,
      section: 0,
    });
    this.#selected = columns;
  }

  /** What lies here does not change: offsets and codes of a column that were all checked once are not checked again. */
  accepted(columns: readonly number[], start: number, rows: number): void {
    for (const index of columns) {
      const column = this.#columns[index];
      if (!column || column.trusted || !this.#isAccepted(index, start, rows)) continue;
      this.#columns[index] = { ...column, trusted: true };
      this.#selected = null;
    }
  }

  /** Whether all rows of a column have been read, now that these have: whole, or in morsels. */
  #isAccepted(column: number, start: number, rows: number): boolean {
    if (rows === this.rows) return true;
    const isLast = start + rows === this.rows;
    if (start % Abi.MORSEL_ROWS !== 0 || (rows !== Abi.MORSEL_ROWS && !isLast)) return false;
    let morsels = this.#accepted.get(column);
    if (morsels === undefined) {
      morsels = new Set();
      this.#accepted.set(column, morsels);
    }
    morsels.add(start / Abi.MORSEL_ROWS);
    if (morsels.size < Math.ceil(this.rows / Abi.MORSEL_ROWS)) return false;
    this.#accepted.delete(column);
    return true;
  }

  /** Lists lie in kernel memory in a form of its own (list.ts): a copy for the host. */
  source(column: number): ColumnData | null {
    const known = this.#sources[column];
    if (known) return known;
    const field = fieldAt(this.schema, column);
    return field.type.kind === "list" && this.#columns[column] ? this.#hostColumns([column])[0]! : null;
  }

  view(column: number): ColumnData | null {
    const descriptor = this.#columns[column] ?? null;
    if (descriptor === null) return this.source(column);
    const { type } = fieldAt(this.schema, column);
    if (!isCodes(descriptor) || type.kind === "dictionary")
      return columnView(this.kernel.memory, descriptor, type, this.rows);
    const known = this.#decoded.get(column);
    if (known !== undefined) return known;
    const decoded = this.#hostColumns([column])[0]!;
    this.#decoded.set(column, decoded);
    return decoded;
  }

  bytesOf(column: number, start: number, rows: number): number {
    const isWhole = start === 0 && rows === this.rows;
    const known = isWhole ? this.#bytes.get(column) : undefined;
    if (known !== undefined) return known;
    const view = this.view(column);
    const bytes = view === null ? 0 : columnBytes(view, start, rows);
    if (isWhole) this.#bytes.set(column, bytes);
    return bytes;
  }

  /**
   * A copy in kernel memory that lives until it is freed. Dictionaries stay where they are, or go to `dictionaries`: with the
   * first batch that has them.
   */
  copy(dictionaries: DictionaryCopies | null = null): ResidentBatch {
    const sizes = this.#columns.map((column) => (column === null ? 0 : copySize(column, this.rows)));
    const block = this.kernel.allocate(
      Math.max(
        sizes.reduce((sum, size) => sum + size, 0),
        1,
      ),
    );
    const owned = [block];
    let cursor = block;
    try {
      const columns = this.#columns.map((column, i) => {
        if (column === null) return null;
        const copied = copyColumn(this.kernel.memory.bytes, column, this.rows, cursor);
        cursor += sizes[i]!;
        return dictionaries === null || !isCodes(column) ? copied : dictionaries.refer(copied, owned);
      });
      return new ResidentBatch(this.kernel, this.schema, this.rows, columns, owned, this.#sources);
    } catch (error) {
      for (const owns of owned) this.kernel.free(owns);
      throw error;
    }
  }

  /** The batch in the host's memory. Only for batches of results. */
  toHost(): BatchData {
    const { fields } = this.schema;
    const here: number[] = [];
    for (let index = 0; index < fields.length; index++) if (this.#columns[index]) here.push(index);
    const copied = this.#hostColumns(here);
    let next = 0;
    const columns = fields.map((_, index) =>
      index === here[next] ? copied[next++]! : this.#sources[index]!,
    );
    return { schema: this.schema, length: this.rows, columns };
  }

  /** The first `rows` rows of its first columns, which `schema` names, in the host's memory. Only for batches of results. */
  leading(schema: Schema, rows: number): BatchData {
    const columns = this.#hostColumns([...schema.fields.keys()], rows);
    return { schema, length: rows, columns };
  }

  #hostColumns(columns: readonly number[], rows = this.rows): readonly ColumnData[] {
    const sources = columns.map((column) => this.#columns[column]!);
    const fields = columns.map((column) => fieldAt(this.schema, column));
    return copyColumns(this.kernel, sources, fields, 0, rows);
  }

  /** Bytes of the loaded columns, dictionaries not included. */
  get bytes(): number {
    return this.#columns.reduce(
      (sum, column) => sum + (column === null ? 0 : copySize(column, this.rows)),
      0,
    );
  }

  /** Gives back what belongs to this batch alone. Safe to call twice. */
  free(): void {
    this.kernel.free(this.#selection);
    this.#selection = 0;
    this.#selectionColumns = -1;
    this.#selected = null;
    for (const block of this.#owned.splice(0)) this.kernel.free(block);
  }
}

/** Dictionaries of copies that outlive the operator which made them: each is copied once, and told by where its values lie. */
export class DictionaryCopies {
  readonly #kernel: Kernel;
  readonly #copies = new Map<string, { readonly at: number; readonly id: number }>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** A column of codes with the copy of its dictionary. Where that is made its block goes to `owned`. */
  refer(column: ColumnDescriptor, owned: number[]): ColumnDescriptor {
    const { memory } = this.#kernel;
    const values = readColumn(memory.view, column.dictionary);
    const key = `${values.values} ${values.length}`;
    let copy = this.#copies.get(key);
    if (copy === undefined) {
      const at = this.#kernel.allocate(padded(Column.SIZE) + copySize(values, values.length));
      owned.push(at);
      const placed = copyColumn(memory.bytes, values, values.length, at + padded(Column.SIZE));
      writeColumn(memory.view, at, placed);
      copy = { at, id: nextDictionaryId() };
      this.#copies.set(key, copy);
    }
    return { ...column, dictionary: copy.at, dictionaryId: copy.id };
  }
}

function columnView(
  memory: KernelMemory,
  column: ColumnDescriptor,
  type: DataType,
  length: number,
): ColumnData {
  const { bytes } = memory;
  const part = (address: number, size: number) => bytes.subarray(address, address + size);
  const texts = column.type === Type.BYTES || column.type === Type.LARGE_BYTES;
  let dictionary: DictionaryData | null = null;
  if (column.dictionary !== 0 && type.kind === "dictionary") {
    const values = readColumn(memory.view, column.dictionary);
    dictionary = { id: column.dictionaryId, values: columnView(memory, values, type.value, values.length) };
  }
  return {
    type,
    length,
    offset: column.offset,
    nullCount: -1,
    validity: column.validity === 0 ? null : part(column.validity, column.validityBytes),
    offsets: texts ? offsetsFromValues(part(column.offsets, column.offsetsBytes), column) : null,
    values: part(column.values, column.valuesBytes),
    dictionary,
  };
}

/** Offsets that count from the first byte of the values. */
function offsetsFromValues(offsets: Uint8Array, { base, type }: ColumnDescriptor): Uint8Array {
  if (base === 0) return offsets;
  const copy = offsets.slice().buffer;
  const counted =
    type === Type.BYTES
      ? new Int32Array(copy).map((at) => at - base)
      : new BigInt64Array(copy).map((at) => at - BigInt(base));
  return new Uint8Array(counted.buffer);
}

interface CopyParts {
  readonly begin: number;
  readonly end: number;
}

/** The byte range of rows [offset & ~7, offset + rows) in a buffer of `width` bytes a row (0 = bits). */
function rowRange(offset: number, rows: number, width: number, extra = 0): CopyParts {
  const from = offset & ~7;
  if (width === 0) return { begin: from / 8, end: Math.ceil((offset + rows) / 8) };
  return { begin: from * width, end: (offset + rows + extra) * width };
}

function copyParts(column: ColumnDescriptor, rows: number) {
  const texts = column.type === Type.BYTES || column.type === Type.LARGE_BYTES;
  const none = { begin: 0, end: 0 };
  const validity = column.validity === 0 ? none : rowRange(column.offset, rows, 0);
  const offsets =
    texts && rows > 0 ? rowRange(column.offset, rows, column.type === Type.BYTES ? 4 : 8, 1) : none;
  const values = texts
    ? { begin: 0, end: column.valuesBytes }
    : rowRange(column.offset, rows, byteWidth(column.type));
  return { validity, offsets, values };
}

function size({ begin, end }: CopyParts): number {
  return padded(end - begin);
}

function copySize(column: ColumnDescriptor, rows: number): number {
  const { validity, offsets, values } = copyParts(column, rows);
  return size(validity) + size(offsets) + size(values);
}

function copyColumn(bytes: Uint8Array, column: ColumnDescriptor, rows: number, at: number): ColumnDescriptor {
  let cursor = at;
  const place = (source: number, part: CopyParts): number => {
    if (source === 0) return 0;
    const address = cursor;
    bytes.copyWithin(address, source + part.begin, source + part.end);
    cursor += size(part);
    return address;
  };
  const parts = copyParts(column, rows);
  return {
    ...column,
    length: rows,
    offset: column.offset & 7,
    validity: place(column.validity, parts.validity),
    validityBytes: parts.validity.end - parts.validity.begin,
    offsets: place(column.offsets, parts.offsets),
    offsetsBytes: parts.offsets.end - parts.offsets.begin,
    values: place(column.values, parts.values),
    valuesBytes: parts.values.end - parts.values.begin,
    narrow: 0,
  };
}

/** Batches of one schema in kernel memory. */
export class ResidentTable {
  readonly schema: Schema;
  readonly batches: readonly ResidentBatch[];
  readonly rows: number;
  /** Bytes of kernel memory that the columns take. */
  readonly bytes: number;
  readonly #kernel: Kernel;
  readonly #dictionaries: readonly number[];

  private constructor(
    kernel: Kernel,
    schema: Schema,
    batches: readonly ResidentBatch[],
    bytes: number,
    dictionaries: readonly number[],
  ) {
    this.#kernel = kernel;
    this.schema = schema;
    this.batches = batches;
    this.rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
    this.bytes = bytes;
    this.#dictionaries = dictionaries;
  }

  /** See `Kernel.load`. All or nothing: when it throws, every byte is given back. */
  static load(
    kernel: Kernel,
    batches: readonly BatchData[],
    columns: readonly string[] | undefined,
    readsOften: boolean,
  ): ResidentTable {
    const schema: Schema = batches[0]?.schema ?? { fields: [] };
    const loader = new TableLoader(kernel, wantedColumns(schema, columns), readsOften);
    try {
      loader.loadDictionaries(batches);
      let row = 0;
      for (const group of readsOften ? joinable(batches) : batches.map((batch) => [batch]))
        row = loader.load(group, row);
    } catch (error) {
      for (const batch of loader.batches) batch.free();
      for (const { block } of loader.dictionaries.values()) kernel.free(block);
      throw error;
    }
    const blocks = [...loader.dictionaries.values()].map(({ block }) => block);
    return new ResidentTable(kernel, schema, loader.batches, loader.bytes, blocks);
  }

  /**
   * A table of batches that are in kernel memory already, such as copies of an operator's results. They
   * belong to it from now on.
   */
  static of(kernel: Kernel, schema: Schema, batches: readonly ResidentBatch[]): ResidentTable {
    const bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0);
    return new ResidentTable(kernel, schema, [...batches], bytes, []);
  }

  /** The table in the host's memory. Only for tables of results, or whose every column is loaded, without dictionaries. */
  toHost(): BatchData[] {
    return this.batches.map((batch) => batch.toHost());
  }

  /** Gives the memory back. Safe to call twice. */
  free(): void {
    for (const batch of this.batches) batch.free();
    for (const block of (this.#dictionaries as number[]).splice(0)) this.#kernel.free(block);
  }

  [Symbol.dispose](): void {
    this.free();
  }
}

function wantedColumns(schema: Schema, names?: readonly string[]): readonly boolean[] {
  const available = schema.fields.map(({ name }) => name);
  for (const name of names ?? []) {
    if (!available.includes(name)) throw new UnknownColumnError(name, available);
  }
  return schema.fields.map(({ name, type }) =>
    names === undefined
      ? physicalType(type) !== Type.NONE && physicalType(valueType(type)) !== Type.NONE
      : names.includes(name),
  );
}

/** Rows from which on a batch is joined to those beside it, and a group of them is large enough. */
const JOINED_ROWS: number = Abi.MORSEL_ROWS;
const ENOUGH_ROWS: number = 16 * Abi.MORSEL_ROWS;
/** Bytes of a column's values, at most: offsets of 32 bits count them. */
const MOST_BYTES = 2 ** 30;

/**
 * Batches by groups that can be one in memory: of a morsel each at least, so that nothing else begins to wait for rows that came
 * in batches of few; and of the same columns, in whole bytes of bits, with dictionaries that only grow. What is done for each
 * batch (a table of 10 million rows has 153 of 65,536) is a tenth of the time of a sum by few keys.
 */
function* joinable(batches: readonly BatchData[]): Generator<BatchData[]> {
  let group: BatchData[] = [];
  let rows = 0;
  for (const batch of batches) {
    const last = group.at(-1);
    if (last !== undefined && (rows >= ENOUGH_ROWS || !joins(last, batch))) {
      yield group;
      group = [];
      rows = 0;
    }
    group.push(batch);
    rows += batch.length;
  }
  if (group.length > 0) yield group;
}

/** Whether a batch can lie behind another as if they were one. */
function joins(last: BatchData, next: BatchData): boolean {
  if (last.length < JOINED_ROWS || (last.length & 7) !== 0 || next.length < JOINED_ROWS) return false;
  if (last.schema !== next.schema) return false;
  return next.columns.every(({ dictionary }, index) => {
    const before = last.columns[index]!.dictionary;
    if (dictionary === null || before === null) return dictionary === before;
    return dictionary.id === before.id && dictionary.values.length >= before.values.length;
  });
}

interface LoadedDictionary {
  readonly block: number;
  readonly values: ColumnDescriptor;
}

class TableLoader {
  readonly batches: ResidentBatch[] = [];
  readonly dictionaries = new Map<number, LoadedDictionary>();
  bytes = 0;
  readonly #kernel: Kernel;
  readonly #wanted: readonly boolean[];
  readonly #readsOften: boolean;

  constructor(kernel: Kernel, wanted: readonly boolean[], readsOften: boolean) {
    this.#kernel = kernel;
    this.#wanted = wanted;
    this.#readsOften = readsOften;
  }

  /** Every dictionary once, in its longest form: batches of a growing dictionary read prefixes of it. */
  loadDictionaries(batches: readonly BatchData[]): void {
    const longest = new Map<number, { dictionary: DictionaryData; column: number; batch: BatchData }>();
    for (const batch of batches) {
      checkBatch(batch);
      batch.columns.forEach(({ dictionary }, column) => {
        if (dictionary === null || !this.#wanted[column]) return;
        const known = longest.get(dictionary.id);
        if (known === undefined || known.dictionary.values.length < dictionary.values.length) {
          longest.set(dictionary.id, { dictionary, column, batch });
        }
      });
    }
    for (const [id, { dictionary, column, batch }] of longest) {
      const field = dictionaryField(fieldAt(batch.schema, column));
      const slice = sliceColumn(dictionary.values, field, 0, dictionary.values.length);
      const block = this.#kernel.allocate(Math.max(slice.bytes, 1));
      this.bytes += slice.bytes;
      this.dictionaries.set(id, { block, values: placeSlice(this.#kernel.memory, slice, block) });
    }
  }

  /**
   * Loads batches as one, if there is no more than one or they can be (`joinable`, and what their columns are).
   * @returns the number of the row behind them
   */
  load(batches: readonly BatchData[], firstRow: number): number {
    let row = firstRow;
    const sliced = batches.map((batch) => {
      const slices = batch.columns.map((column, i) =>
        this.#wanted[i] ? sliceColumn(column, fieldAt(batch.schema, i), 0, batch.length, row) : null,
      );
      row += batch.length;
      return slices;
    });
    const isOne = sliced.length > 1 && this.#placedAsOne(batches, sliced);
    if (!isOne) for (const [at, batch] of batches.entries()) this.#place([batch], [sliced[at]!]);
    return row;
  }

  /** Whether batches could be loaded as one: what stays on the host does so batch by batch. */
  #placedAsOne(batches: readonly BatchData[], sliced: readonly (readonly (ColumnSlice | null)[])[]): boolean {
    const { fields } = batches[0]!.schema;
    const fit = fields.every(({ type }, i) => {
      if (!this.#wanted[i]) return !isCarried(valueType(type));
      const bytes = sliced.reduce((sum, slices) => sum + slices[i]!.values.length, 0);
      return bytes <= MOST_BYTES && sliced.every((slices) => slices[i]!.skip === 0);
    });
    if (!fit) return false;
    try {
      this.#place(batches, sliced);
    } catch (error) {
      // Memory may lie in pieces that do for each.
      if (error instanceof MemoryLimitError) return false;
      throw error;
    }
    return true;
  }

  #place(batches: readonly BatchData[], sliced: readonly (readonly (ColumnSlice | null)[])[]): void {
    const batch = batches.at(-1)!;
    const columnsOf = batch.columns.map((_, i) =>
      this.#wanted[i] ? sliced.map((slices) => slices[i]!) : null,
    );
    const sizes = columnsOf.map((slices) => (slices === null ? 0 : joinedBytes(slices)));
    const descriptors = sizes.length * Column.SIZE;
    const total = sizes.reduce((sum, size) => sum + size, descriptors);
    const block = this.#kernel.allocate(Math.max(total, 1));
    this.bytes += total;
    const { memory } = this.#kernel;
    let cursor = block + descriptors;
    const columns = columnsOf.map((slices, i) => {
      if (slices === null) return null;
      // The longest of them: those before are prefixes of it.
      const { dictionary } = batch.columns[i]!;
      const at = block + i * Column.SIZE;
      if (dictionary !== null) {
        const values = this.dictionaries.get(dictionary.id)!.values;
        writeColumn(memory.view, at, { ...values, length: dictionary.values.length });
      }
      const placed = placeJoined(memory, slices, cursor, dictionary === null ? 0 : at, dictionary?.id ?? 0);
      cursor += sizes[i]!;
      return placed;
    });
    const lengths = batch.columns.map(({ dictionary }) => dictionary?.values.length ?? 0);
    const copies = this.#readsOften ? narrowed(this.#kernel, columns, lengths) : null;
    this.bytes += copies?.bytes ?? 0;
    const sources = batch.columns.map((column, i) => (this.#wanted[i] || batches.length > 1 ? null : column));
    const owned = copies === null ? [block] : [block, copies.block];
    const loaded = copies?.columns ?? columns;
    const rows = batches.reduce((sum, { length }) => sum + length, 0);
    this.batches.push(new ResidentBatch(this.#kernel, batch.schema, rows, loaded, owned, sources));
  }
}
