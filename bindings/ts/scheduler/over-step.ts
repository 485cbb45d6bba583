// Window functions as a step: rows are put in order and go through an OVER operator, which counts on that.
//
// Without watermarks, or in another order than theirs, all rows wait for the end of input (in files where memory ends). In the order of a source's
// time they leave as the watermark passes them: each morsel is sorted by itself, and what is not behind the watermark
// waits as a run in that order. A watermark takes the front of every run, which the SORT operator puts together. So a
// row is sorted twice at most, however long it waits, and what waits is not looked at but for its runs' fronts.
//
// Stages behind another one of the same order get rows in order and pass them on to their operator at once. Where
// a frame reaches on, rows leave that much behind the watermark, and it goes on as much earlier.
//
// A row at or before the watermark is late: the rows after it have left with their values. It is left out and counted.

import { Status } from "../../../kernel/abi/status.js";
import { type InputBatch, type Kernel, type Operator, Stage } from "../kernel/index.js";
import { type OverStage, ticksOfWatermark, watermarkOf } from "../plan/index.js";
import type { BatchData } from "../type/column.js";
import type { DataType } from "../type/data-type.js";
import { ExternalSort } from "./external-sort.js";
import type { Relief } from "./relief.js";
import { sliceRows } from "./rows.js";
import { type Order, sortOperatorOf } from "./sort.js";
import { drain, labelOf, OperatorStep, taken } from "./step.js";
import { type Times, ticksAt, timesOf } from "./time-column.js";
import type { LateRows } from "./window-step.js";

/** Rows of one push. */
const PUSH_ROWS = 65_536;
/** The last tick of a watermark that is not the end of input. */
const LAST_TICK = 2n ** 63n - 2n;

export interface OverStepOptions {
  /** Most rows of a result batch. */
  readonly batchRows: number;
  /** Null: late rows are only counted. */
  readonly late: LateRows | null;
  /** The source's column that has watermarks; null where there are none before the end of input. */
  readonly clock: number | null;
  /** Null where rows cannot leave for files. */
  readonly relief: Relief | null;
}

/** Rows in order that wait, and their times. */
interface SortedRun {
  readonly batch: BatchData;
  readonly times: Times;
  /** Rows before this one have left. */
  start: number;
}

export class OverStep extends OperatorStep {
  readonly #kernel: Kernel;
  readonly #stage: OverStage;
  readonly #order: Order;
  readonly #batchRows: number;
  readonly #late: LateRows | null;
  readonly #timed: boolean;
  readonly #sorted: Stage;
  readonly #pieces: Stage;
  /** Without watermarks: the sort of all rows, made when the first come. */
  #sort: ExternalSort | null = null;
  #runs: SortedRun[] = [];
  /** No more rows at or before this tick; null before the first watermark. */
  #passed: bigint | null = null;
  #lateRows = 0;

  constructor(kernel: Kernel, stage: OverStage, { batchRows, late, clock, relief }: OverStepOptions) {
    const { config, columns, texts, instructions, schema, input, by } = stage;
    super(
      kernel.operator({
        kind: stage.operator,
        config,
        columns,
        output: schema,
        emitsPerPush: true,
        labels: texts.map((text, index) => labelOf(text, schema.fields[index]!.name)),
        instruction: (index) => instructions[index],
      }),
      relief,
    );
    this.#kernel = kernel;
    this.#stage = stage;
    this.#order = { project: null, schema: input, by, limit: null, timed: false, stages: 1 };
    this.#batchRows = batchRows;
    this.#late = late;
    this.#timed = clock !== null && stage.clock === clock;
    this.#sorted = new Stage(kernel);
    this.#pieces = new Stage(kernel);
  }

  override get operators(): readonly Operator[] {
    return this.#sort === null ? [this.operator] : [this.operator, this.#sort.operator];
  }

  get lateRows(): number {
    return this.#lateRows;
  }

  push(input: InputBatch, start: number, rows: number, firstRow: number): Iterable<BatchData> {
    if (this.#stage.sorted) return this.#pushSorted(input, start, rows);
    if (!this.#timed) {
      this.#sort ??= this.#open();
      const sort = this.#sort;
      return taken(this.relief, this.#order.schema, start, rows, (from, some) =>
        sort.push(input, from, some, firstRow),
      );
    }
    const sort = sortOperatorOf(this.#kernel, this.#order);
    try {
      sort.push(input, start, rows, firstRow);
      for (const batch of sort.finish(PUSH_ROWS)) this.#wait(batch);
    } finally {
      sort.destroy();
    }
    return [];
  }

  #open(): ExternalSort {
    const { schema, by } = this.#order;
    const create = () => sortOperatorOf(this.#kernel, this.#order);
    return new ExternalSort(this.relief, create, { schema, by, carried: 0 });
  }

  /** Rows in order begin to wait, but for those that are late. */
  #wait(batch: BatchData): void {
    const times = timesOf(batch.columns[this.#time]!, 0, batch.length);
    const late = this.#passed === null ? 0 : firstAfter(times, 0, batch.length, this.#passed);
    if (late > 0) {
      this.#lateRows += late;
      this.#late?.(sliceRows(batch, 0, late));
    }
    if (late < batch.length) this.#runs.push({ batch, times, start: late });
  }

  get #time(): number {
    return this.#stage.by[0]!.column;
  }

  get #type(): DataType {
    return this.#stage.input.fields[this.#time]!.type;
  }

  passes(time: bigint): bigint | null {
    const { delay } = this.#stage;
    if (!this.#timed || delay === null) return null;
    return delay === 0n ? time : watermarkOf(ticksOfWatermark(time, this.#type) - delay, this.#type);
  }

  *watermark(time: bigint): Generator<BatchData> {
    if (!this.#timed) return;
    const ticks = ticksOfWatermark(time, this.#type);
    if (this.#passed !== null && ticks <= this.#passed) return;
    this.#passed = ticks;
    if (!this.#stage.sorted) yield* this.#releaseUntil(ticks);
    // No row equal to the last one in its time will come, nor one at or before the watermark.
    const known = ticks < -LAST_TICK ? -LAST_TICK : ticks > LAST_TICK ? LAST_TICK : ticks;
    if (this.operator.watermark(known) === Status.HAS_MORE) yield* drain(this.operator, this.#batchRows);
  }

  *#releaseUntil(ticks: bigint): Generator<BatchData> {
    const fronts = this.#runs.flatMap((run) => {
      const end = firstAfter(run.times, run.start, run.batch.length, ticks);
      if (end === run.start) return [];
      const front = sliceRows(run.batch, run.start, end);
      run.start = end;
      return [front];
    });
    if (fronts.length === 0) return;
    this.#runs = this.#runs.filter(({ batch, start }) => start < batch.length);
    yield* this.#release(fronts);
  }

  *finish(): Generator<BatchData> {
    if (this.#timed) {
      yield* this.#release(this.#runs.map(({ batch, start }) => sliceRows(batch, start, batch.length)));
      this.#runs = [];
    } else if (this.#sort !== null) {
      for (const batch of this.#sort.finish(PUSH_ROWS)) {
        if (batch.length > 0) yield* this.#apply(batch);
        else yield batch;
      }
      this.#sort.free();
      this.#sort = null;
    }
    yield* this.operator.finish(this.#batchRows);
  }

  /** Pieces in order go on as one. */
  *#release(pieces: readonly BatchData[]): Generator<BatchData> {
    if (pieces.length === 1) yield* this.#apply(pieces[0]!);
    if (pieces.length < 2) return;
    const sort = sortOperatorOf(this.#kernel, this.#order);
    try {
      for (const piece of pieces) sort.push(this.#pieces.batch(piece));
      for (const batch of sort.finish(PUSH_ROWS)) yield* this.#apply(batch);
    } finally {
      sort.destroy();
    }
  }

  *#apply(batch: BatchData): Generator<BatchData> {
    const input = this.#sorted.batch(batch);
    for (let start = 0; start < batch.length; start += PUSH_ROWS)
      yield* this.#pushSorted(input, start, Math.min(PUSH_ROWS, batch.length - start));
  }

  *#pushSorted(input: InputBatch, start: number, rows: number): Generator<BatchData> {
    if (this.operator.push(input, start, rows) === Status.HAS_MORE)
      yield* drain(this.operator, this.#batchRows);
  }

  override free(): void {
    super.free();
    this.#sort?.free();
    this.#sort = null;
    this.#sorted.free();
    this.#pieces.free();
    this.#runs = [];
  }
}

/** The first row from `start` on whose time is after `ticks`, or that has none; rows are in order, those without last. */
function firstAfter(times: Times, start: number, end: number, ticks: bigint): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times.isNull?.(middle) || ticksAt(times, middle) > ticks) high = middle;
    else low = middle + 1;
  }
  return low;
}
