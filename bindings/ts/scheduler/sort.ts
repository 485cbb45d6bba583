// What a SORT operator does for a plan: a sort or a limit without one, and the projection before it.

import { Type } from "../../../kernel/abi/layout.js";
import { type Kernel, loadAll, type Operator } from "../kernel/index.js";
import type { ProjectStage } from "../plan/index.js";
import { type BatchData, type ColumnData, validColumn } from "../type/column.js";
import { byteWidth, type DataType, physicalType, type Schema, uint32 } from "../type/data-type.js";

export interface Limit {
  readonly count: number;
  readonly offset: number;
}

export interface OrderKey {
  /** Column of the schema. */
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

export interface Order {
  /** The projection whose program the operator runs; null when it takes its input's columns as they are. */
  readonly project: ProjectStage | null;
  readonly schema: Schema;
  readonly by: readonly OrderKey[];
  readonly limit: Limit | null;
  /** Whether all rows that there are may leave, in order, at every watermark. */
  readonly timed: boolean;
  /** Stages of the plan that this is. */
  readonly stages: number;
}

/** Columns that a sort takes as they are. */
export interface SortedColumns {
  readonly schema: Schema;
  readonly by: readonly OrderKey[];
  /** So many of them, the last ones, take no part in the order. */
  readonly carried: number;
}

/** All columns of the schema must be of types that the kernel knows. */
export function sortOperatorOf(kernel: Kernel, { project, schema, by, limit }: Order): Operator {
  return kernel.sort({
    program: project?.program ?? loadSchema(schema),
    columns: project?.columns ?? schema.fields.map((_, index) => index),
    output: schema,
    keys: keysOf(by),
    offset: limit?.offset,
    limit: limit?.count,
    instruction: (index) => project?.instructions[index],
  });
}

/** @param limit most rows that it gives */
export function sortOperatorFor(
  kernel: Kernel,
  { schema, by, carried }: SortedColumns,
  limit?: number,
): Operator {
  const columns = schema.fields.map((_, index) => index);
  return kernel.sort({
    program: loadSchema(schema),
    columns,
    output: schema,
    keys: keysOf(by),
    carried,
    limit,
  });
}

function keysOf(by: readonly OrderKey[]) {
  return by.map(({ column, descending, nullsFirst }) => ({ output: column, descending, nullsFirst }));
}

function loadSchema({ fields }: Schema): Uint8Array {
  return loadAll(fields.map(({ type }) => physicalType(type)));
}

// ---- rows with a number

/** The same columns and one more, which takes no part in the order. */
export function numbered({ schema, by, carried }: SortedColumns): SortedColumns {
  const number = { name: "number", type: uint32, nullable: false };
  return { schema: { fields: [...schema.fields, number] }, by, carried: carried + 1 };
}

/** A batch with its rows' numbers as its last column. */
export function withNumbers(
  { length, columns }: BatchData,
  numbers: Uint32Array<ArrayBuffer>,
  schema: Schema,
): BatchData {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  const column = validColumn(uint32, length, bytes);
  return { schema, length, columns: [...columns, column] };
}

/** The numbers in a column of rows that have left an operator. */
export function numbersIn({ length, values }: ColumnData): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, length);
}

// ---- memory (kernel/sort/row-store.ts and sorter.ts)

/** A row's number of its part, and room for its word twice where one part has all rows. */
const WORD_BYTES = 18;
/** What sorting takes however few rows there are. */
export const TABLE_BYTES = 49_152;
/** Rows that are not moved. */
const WHOLE_ROWS = 32_768;
const CHUNK_ROWS = 65_536;

/** What an operator takes to sort so many rows, besides the rows themselves. */
export function sortingBytes(schema: Schema, rows: number): number {
  const bytes = rows * WORD_BYTES + TABLE_BYTES;
  return rows <= WHOLE_ROWS ? bytes : bytes + Math.ceil(rows / CHUNK_ROWS) * CHUNK_ROWS * widestBytes(schema);
}

export interface RowSize {
  /** What a row takes while it is sorted, without the bytes of its texts. */
  readonly rowBytes: number;
  readonly hasTexts: boolean;
}

export function rowSize(schema: Schema): RowSize {
  const stored = schema.fields.reduce((sum, { type }) => sum + storedBytes(type), 0);
  return {
    rowBytes: stored + WORD_BYTES + widestBytes(schema),
    hasTexts: schema.fields.some(({ type }) => isText(type)),
  };
}

function widestBytes({ fields }: Schema): number {
  return fields.reduce((most, { type }) => Math.max(most, storedBytes(type)), 0);
}

/** Of a value and its bit of validity; of a text where it lies. */
function storedBytes(type: DataType): number {
  const physical = physicalType(type);
  const width = physical === Type.BOOL ? 1 : isText(type) ? 8 : byteWidth(physical);
  return width + 1 / 8;
}

function isText(type: DataType): boolean {
  const physical = physicalType(type);
  return physical === Type.BYTES || physical === Type.LARGE_BYTES;
}
