// A sort whose rows leave for files when memory ends, and are brought together at the end (spilled-sort.ts).
//
// To put rows in order takes memory, too, more than they take themselves where they are narrow. So it is set aside as
// rows come: a sort that has taken rows can always write them.

import { END_OF_INPUT, type InputBatch, type Operator } from "../kernel/index.js";
import type { BatchData } from "../type/column.js";
import { MemoryLimitError } from "../type/error.js";
import type { Relief, Spillable } from "./relief.js";
import { type SortedColumns, sortingBytes } from "./sort.js";
import { SpilledSort } from "./spilled-sort.js";
import { atWork, drainAsFits } from "./step.js";

export class ExternalSort implements Spillable {
  operator: Operator;
  readonly #relief: Relief | null;
  readonly #create: () => Operator;
  readonly #sorted: SortedColumns;
  readonly #spilled: SpilledSort | null;
  #hasSpilled = false;
  /** Whether results are being read: nothing can be spilled any more. */
  #isFinishing = false;
  /** What went wrong while rows left: some have, and those that have not can only be read. */
  #failure: unknown = null;

  /**
   * @param relief null where all rows stay in memory
   * @param create makes an operator, without a limit where there is a relief
   * @param sorted the columns that it gives
   */
  constructor(relief: Relief | null, create: () => Operator, sorted: SortedColumns) {
    this.#relief = relief;
    this.#create = create;
    this.#sorted = sorted;
    this.operator = create();
    this.#spilled = relief === null ? null : new SpilledSort(relief, sorted);
    relief?.add(this);
  }

  get hasSpilled(): boolean {
    return this.#hasSpilled;
  }

  get runs(): number {
    return this.#spilled?.runs ?? 0;
  }

  /** Whether results can be given in another way than by the operator: none has left it. */
  get mayStartOver(): boolean {
    return this.#spilled !== null && this.operator.stats().rowsOut === 0;
  }

  /** @throws MemoryLimitError when there is no room for the rows, or to put them in order; none is taken then */
  push(input: InputBatch, start: number, rows: number, firstRow: number): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#relief !== null) {
      const after = this.operator.stats().rowsSelected + rows;
      this.#relief.reserve(sortingBytes(this.#sorted.schema, after));
    }
    this.operator.push(input, start, rows, firstRow);
  }

  get spillable(): number {
    if (this.#spilled === null || this.#isFinishing || this.#failure !== null || !this.operator.isOpen)
      return 0;
    const { rowsSelected, stateBytes } = this.operator.stats();
    return rowsSelected === 0 ? 0 : stateBytes;
  }

  *spill(): Generator<void> {
    this.#hasSpilled = true;
    try {
      yield* this.#spilled!.write(this.operator);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
    this.operator = this.#create();
  }

  /** All rows in order; empty batches while it is at work. */
  *finish(batchRows: number): Generator<BatchData> {
    this.#isFinishing = true;
    if (!this.#hasSpilled && (yield* this.#inMemory(batchRows))) return;
    this.#hasSpilled = true;
    const writing = this.#relief!.spilling(() => this.#spilled!.write(this.operator));
    yield* atWork(writing, this.#sorted.schema);
    this.#relief!.release();
    this.#relief!.restore();
    yield* this.#spilled!.results(batchRows);
  }

  /** Answers whether all rows have left: not when memory did not do and there are files. */
  *#inMemory(batchRows: number): Generator<BatchData, boolean> {
    this.#relief?.release();
    this.operator.watermark(END_OF_INPUT);
    let isFirst = true;
    try {
      for (const batch of drainAsFits(this.operator, batchRows)) {
        if (batch.length > 0 && isFirst) {
          isFirst = false;
          this.#relief?.restore();
        }
        yield batch;
      }
      return true;
    } catch (error) {
      if (this.#spilled === null || !(error instanceof MemoryLimitError)) throw error;
      return false;
    }
  }

  free(): void {
    this.operator.destroy();
    this.#spilled?.free();
  }
}
