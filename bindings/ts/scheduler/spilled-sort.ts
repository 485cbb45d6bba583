// What a sort has written for want of memory, and its rows in order.
//
// Each time it writes, the rows that it holds leave for a file. The first time they leave in order, a run. Rows of that run
// divide the order into ranges then, and what is written later leaves range by range, in no order within one, so that rows
// are put in order once, when their range is read (spilled-ranges.ts). Where ranges do not do, because rows came nearly in
// order, say, or carry columns that take no part in it, everything leaves as runs, which are merged (sorted-runs.ts).

import { END_OF_INPUT, type Operator } from "../kernel/index.js";
import type { SpillFile } from "../spill/index.js";
import type { BatchData } from "../type/column.js";
import type { Relief } from "./relief.js";
import type { SortedColumns } from "./sort.js";
import { type BatchLimits, SortedRuns } from "./sorted-runs.js";
import { SpilledRanges } from "./spilled-ranges.js";
import { drainAsFits } from "./step.js";

/** Most rows of a written batch, and what of the budget one should take: a merge holds one of each run at least. */
const BATCH_ROWS = 16_384;
const LEAST_BATCH_ROWS = 64;
const BATCH_SHARE = 1 / 256;

/** Where rows go, from the first time on. */
interface Written {
  readonly file: SpillFile;
  readonly limits: BatchLimits;
  readonly runs: SortedRuns;
  /** Null where all rows are runs. */
  ranges: SpilledRanges | null;
}

export class SpilledSort {
  readonly #relief: Relief;
  readonly #sorted: SortedColumns;
  #written: Written | null = null;
  /** How often rows were written. */
  runs = 0;

  constructor(relief: Relief, sorted: SortedColumns) {
    this.#relief = relief;
    this.#sorted = sorted;
  }

  /** Writes all rows that the operator holds and that have not left, and destroys it. Yields after each batch. */
  *write(operator: Operator): Generator<void> {
    const { rowsSelected, rowsOut } = operator.stats();
    if (rowsSelected > rowsOut) {
      yield* this.#written === null ? this.#first(operator) : this.#next(operator, this.#written);
      this.runs += 1;
    }
    operator.destroy();
  }

  *#first(operator: Operator): Generator<void> {
    const { rowsSelected, stateBytes, isInOrder } = operator.stats();
    const bytes = Math.floor(this.#relief.kernel.budgetBytes * BATCH_SHARE);
    const fitting = Math.floor(bytes / (stateBytes / Math.max(1, rowsSelected)));
    const rows = this.#relief.faults.batchRows ?? Math.max(LEAST_BATCH_ROWS, Math.min(fitting, BATCH_ROWS));
    const limits = { rows, bytes };
    const runs = new SortedRuns(this.#relief, this.#sorted, limits);
    const written: Written = { file: this.#relief.file(this.#sorted.schema), limits, runs, ranges: null };
    this.#written = written;
    const run = yield* this.#run(operator, written);
    if (!isInOrder && this.#sorted.carried === 0)
      written.ranges = SpilledRanges.of(this.#relief, this.#sorted, run);
    if (written.ranges === null) runs.add(run);
  }

  *#next(operator: Operator, written: Written): Generator<void> {
    const { file, limits, runs, ranges } = written;
    // Where there are runs besides, ranges have not done, and all rows will be runs at the end.
    const isRanged = ranges !== null && runs.isEmpty && !ranges.areFew;
    if (isRanged && (yield* ranges.write(operator, file, limits))) return;
    runs.add(yield* this.#run(operator, written));
  }

  *#run(operator: Operator, { file, limits, runs }: Written) {
    operator.watermark(END_OF_INPUT);
    operator.lend();
    return yield* runs.write(file, drainAsFits(operator, limits.rows, limits.bytes));
  }

  /** All rows in order. Yields an empty batch after each that was read. */
  *results(batchRows: number): Generator<BatchData> {
    if (this.#written === null) return;
    const { file, runs, ranges } = this.#written;
    if (ranges !== null) yield* ranges.results(batchRows, file, runs);
    else yield* runs.results(batchRows);
    this.#relief.drop(file);
    this.free();
  }

  /** Gives the kernel's memory back. */
  free(): void {
    this.#written?.runs.free();
    this.#written?.ranges?.free();
  }
}
