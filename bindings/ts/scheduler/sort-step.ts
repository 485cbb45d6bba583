// Rows in order as a step: all of them, or the first so many.

import type { InputBatch, Kernel, Operator } from "../kernel/index.js";
import type { BatchData } from "../type/column.js";
import { ExternalSort } from "./external-sort.js";
import type { Relief } from "./relief.js";
import { type Order, sortOperatorOf } from "./sort.js";
import { type Step, taken } from "./step.js";

export interface SortStepOptions {
  /** Most rows of a result batch. */
  readonly batchRows: number;
  /** Null where rows cannot leave for files. */
  readonly relief: Relief | null;
}

export class SortStep implements Step {
  readonly #order: Order;
  readonly #batchRows: number;
  readonly #relief: Relief | null;
  readonly #sort: ExternalSort;

  constructor(kernel: Kernel, order: Order, { batchRows, relief }: SortStepOptions) {
    this.#order = order;
    this.#batchRows = batchRows;
    this.#relief = relief;
    const { schema, by, limit } = order;
    // With a limit what it holds is bound by that.
    const spills = limit === null ? relief : null;
    this.#sort = new ExternalSort(spills, () => sortOperatorOf(kernel, order), { schema, by, carried: 0 });
  }

  get operators(): readonly Operator[] {
    return [this.#sort.operator];
  }

  get runs(): number {
    return this.#sort.runs;
  }

  get hasSpilled(): boolean {
    return this.#sort.hasSpilled;
  }

  /** Whether `finish` can give the results when they have not fitted the memory as a whole. */
  get mayStartOver(): boolean {
    return this.#sort.mayStartOver;
  }

  push(input: InputBatch, start: number, rows: number, firstRow: number): Iterable<BatchData> {
    return taken(this.#relief, this.#order.schema, start, rows, (from, some) =>
      this.#sort.push(input, from, some, firstRow),
    );
  }

  passes(): null {
    return null;
  }

  watermark(): Iterable<BatchData> {
    return [];
  }

  finish(): Generator<BatchData> {
    return this.#sort.finish(this.#batchRows);
  }

  free(): void {
    this.#sort.free();
  }
}
