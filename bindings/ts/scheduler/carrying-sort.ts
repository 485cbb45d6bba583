// A sort of rows some of whose columns the kernel cannot read (lists, structs): they wait on the host.
//
// The kernel gets the other columns and each row's number, which it carries along; the numbers that come out
// pick the rows of the columns that waited. With a limit, what is there is cut down to it from time to time, as
// the kernel does by itself where it has all columns. What leaves for files when memory ends is the kernel's part.

import { takeOpaqueFrom } from "../arrow/index.js";
import { type InputBatch, type Kernel, type Operator, Stage } from "../kernel/index.js";
import type { BatchData } from "../type/column.js";
import { isCarried } from "../type/data-type.js";
import { ExternalSort } from "./external-sort.js";
import type { Relief } from "./relief.js";
import { hostBatch, sliceRows } from "./rows.js";
import { numbered, numbersIn, type Order, type SortedColumns, sortOperatorFor, withNumbers } from "./sort.js";
import type { SortStepOptions } from "./sort-step.js";
import { type Step, taken } from "./step.js";

/** Rows beyond twice the limit that may pile up before they are cut. */
const SLACK_ROWS = 65_536;

export class CarryingSortStep implements Step {
  readonly #kernel: Kernel;
  readonly #order: Order;
  readonly #batchRows: number;
  readonly #relief: Relief | null;
  /** Rows from the front that may be needed. */
  readonly #wanted: number;
  readonly #stage: Stage;
  /** What the kernel sees: the columns that it can read, by their place in the schema, and the row number. */
  readonly #seen: readonly number[];
  readonly #seenColumns: SortedColumns;
  #sort: ExternalSort;
  /** Rows that were pushed, and the number of the first of each batch. */
  #held: BatchData[] = [];
  #starts: number[] = [];
  #rows = 0;

  constructor(kernel: Kernel, order: Order, { batchRows, relief }: SortStepOptions) {
    this.#kernel = kernel;
    this.#order = order;
    this.#batchRows = batchRows;
    this.#relief = relief;
    const { limit, schema } = order;
    this.#wanted = limit === null ? Number.POSITIVE_INFINITY : limit.offset + limit.count;
    this.#stage = new Stage(kernel);
    this.#seen = schema.fields.flatMap(({ type }, index) => (isCarried(type) ? [] : [index]));
    this.#seenColumns = numbered({
      schema: { fields: this.#seen.map((index) => schema.fields[index]!) },
      by: order.by.map((key) => ({ ...key, column: this.#seen.indexOf(key.column) })),
      carried: 0,
    });
    this.#sort = this.#open();
  }

  #open(): ExternalSort {
    const isLimited = Number.isFinite(this.#wanted);
    const create = () =>
      sortOperatorFor(this.#kernel, this.#seenColumns, isLimited ? this.#wanted : undefined);
    return new ExternalSort(isLimited ? null : this.#relief, create, this.#seenColumns);
  }

  *push(input: InputBatch, start: number, rows: number): Generator<BatchData> {
    if (this.#rows + rows > 2 * this.#wanted + SLACK_ROWS) yield* this.#cut();
    yield* this.#hold(sliceRows(hostBatch(input, this.#order.schema), start, start + rows));
  }

  *#hold(batch: BatchData): Generator<BatchData> {
    const { schema } = this.#seenColumns;
    const numbers = Uint32Array.from({ length: batch.length }, (_, row) => this.#rows + row);
    const columns = this.#seen.map((index) => batch.columns[index]!);
    const seen = this.#stage.batch(withNumbers({ ...batch, columns }, numbers, schema));
    yield* taken(this.#relief, this.#order.schema, 0, batch.length, (start, rows) =>
      this.#sort.push(seen, start, rows, 0),
    );
    this.#held.push(batch);
    this.#starts.push(this.#rows);
    this.#rows += batch.length;
  }

  /** Starts again with the rows that may be needed. */
  *#cut(): Generator<BatchData> {
    const kept = [...this.#sorted()].filter(({ length }) => length > 0);
    this.#sort.free();
    this.#sort = this.#open();
    this.#held = [];
    this.#starts = [];
    this.#rows = 0;
    for (const batch of kept) yield* this.#hold(batch);
  }

  *#sorted(): Generator<BatchData> {
    for (const batch of this.#sort.finish(this.#batchRows)) {
      yield batch.length === 0 ? batch : this.#whole(batch);
    }
  }

  /** The kernel's rows with the columns that waited. */
  #whole(batch: BatchData): BatchData {
    const { schema } = this.#order;
    const rows = numbersIn(batch.columns.at(-1)!).slice();
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

  get runs(): number {
    return this.#sort.runs;
  }

  get operators(): readonly Operator[] {
    return [this.#sort.operator];
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
      if (start === 0 || start < batch.length) yield sliceRows(batch, start, batch.length);
    }
  }

  free(): void {
    this.#sort.free();
    this.#stage.free();
    this.#held = [];
  }
}
