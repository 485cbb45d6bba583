// A sort of rows some of whose columns the kernel cannot read (lists, structs): they wait on the host.
//
// The kernel gets the other columns and each row's number, which it carries along; the numbers that come out
// pick the rows of the columns that waited. With a limit, what is there is cut down to it from time to time, as
// the kernel does by itself where it has all columns.

import { takeOpaqueFrom } from "../arrow/index.js";
import { type InputBatch, type Kernel, type Operator, Stage } from "../kernel/index.js";
import type { BatchData, ColumnData } from "../type/column.js";
import { isCarried, type Schema, uint32 } from "../type/data-type.js";
import type { PipelineOptions } from "./pipeline.js";
import { hostBatch, sliceRows } from "./rows.js";
import { loadAll, type Order } from "./sort.js";
import type { Step } from "./step.js";

/** Rows beyond twice the limit that may pile up before they are cut. */
const SLACK_ROWS = 65_536;

const NUMBER = { name: "row number", type: uint32, nullable: false };

export class CarryingSortStep implements Step {
  readonly #kernel: Kernel;
  readonly #order: Order;
  readonly #batchRows: number;
  /** Rows from the front that may be needed. */
  readonly #wanted: number;
  readonly #stage: Stage;
  /** What the kernel sees: the columns that it can read, by their place in the schema, and the row number. */
  readonly #seen: readonly number[];
  readonly #seenSchema: Schema;
  #operator: Operator;
  /** Rows that were pushed, and the number of the first of each batch. */
  #held: BatchData[] = [];
  #starts: number[] = [];
  #rows = 0;

  constructor(kernel: Kernel, order: Order, { batchRows }: PipelineOptions) {
    this.#kernel = kernel;
    this.#order = order;
    this.#batchRows = batchRows;
    const { limit, schema } = order;
    this.#wanted = limit === null ? Number.POSITIVE_INFINITY : limit.offset + limit.count;
    this.#stage = new Stage(kernel);
    this.#seen = schema.fields.flatMap(({ type }, index) => (isCarried(type) ? [] : [index]));
    this.#seenSchema = { fields: [...this.#seen.map((index) => schema.fields[index]!), NUMBER] };
    this.#operator = this.#open();
  }

  #open(): Operator {
    return this.#kernel.sort({
      program: loadAll(this.#seenSchema),
      columns: this.#seenSchema.fields.map((_, index) => index),
      output: this.#seenSchema,
      keys: this.#order.by.map(({ column, descending, nullsFirst }) => ({
        output: this.#seen.indexOf(column),
        descending,
        nullsFirst,
      })),
      carried: 1,
      limit: Number.isFinite(this.#wanted) ? this.#wanted : undefined,
    });
  }

  push(input: InputBatch, start: number, rows: number): Iterable<BatchData> {
    if (this.#rows + rows > 2 * this.#wanted + SLACK_ROWS) this.#cut();
    this.#hold(sliceRows(hostBatch(input, this.#order.schema), start, start + rows));
    return [];
  }

  #hold(batch: BatchData): void {
    const numbers = Uint32Array.from({ length: batch.length }, (_, row) => this.#rows + row);
    const column: ColumnData = {
      type: uint32,
      length: batch.length,
      offset: 0,
      nullCount: 0,
      validity: null,
      offsets: null,
      values: new Uint8Array(numbers.buffer),
      dictionary: null,
    };
    const columns = [...this.#seen.map((index) => batch.columns[index]!), column];
    this.#operator.push(this.#stage.batch({ schema: this.#seenSchema, length: batch.length, columns }));
    this.#held.push(batch);
    this.#starts.push(this.#rows);
    this.#rows += batch.length;
  }

  /** Starts again with the rows that may be needed. */
  #cut(): void {
    const kept = [...this.#sorted()];
    this.#operator.destroy();
    this.#operator = this.#open();
    this.#held = [];
    this.#starts = [];
    this.#rows = 0;
    for (const batch of kept) this.#hold(batch);
  }

  *#sorted(): Generator<BatchData> {
    for (const batch of this.#operator.finish(this.#batchRows)) yield this.#whole(batch);
  }

  /** The kernel's rows with the columns that waited. */
  #whole(batch: BatchData): BatchData {
    const { schema } = this.#order;
    const { buffer, byteOffset } = batch.columns.at(-1)!.values;
    const rows = new Uint32Array(buffer, byteOffset, batch.length).slice();
    const chunks = rows.map((row) => this.#chunkOf(row));
    rows.forEach((row, at) => {
      rows[at] = row - this.#starts[chunks[at]!]!;
    });
    const columns = schema.fields.map((_, index) => {
      const seen = this.#seen.indexOf(index);
      if (seen >= 0) return batch.columns[seen]!;
      return takeOpaqueFrom(
        this.#held.map((held) => held.columns[index]!),
        chunks,
        rows,
      );
    });
    return { schema, length: batch.length, columns };
  }

  /** The held batch that has row number `row`. */
  #chunkOf(row: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle]! <= row) low = middle;
      else high = middle;
    }
    return low;
  }

  get operators(): readonly Operator[] {
    return [this.#operator];
  }

  passes(): null {
    return null;
  }

  watermark(): Iterable<BatchData> {
    return [];
  }

  *finish(): Generator<BatchData> {
    let skip = this.#order.limit?.offset ?? 0;
    for (const batch of this.#sorted()) {
      const start = Math.min(skip, batch.length);
      skip -= start;
      if (start < batch.length) yield sliceRows(batch, start, batch.length);
    }
  }

  free(): void {
    this.#operator.destroy();
    this.#stage.free();
  }
}
