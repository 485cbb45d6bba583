// A step of a pipeline: takes morsels and watermarks, yields the batches that become ready.

import { Type } from "../../../kernel/abi/layout.js";
import { Status } from "../../../kernel/abi/status.js";
import { type InputBatch, type Operator, ResidentBatch, type StateBatch } from "../kernel/index.js";
import type { BatchData } from "../type/column.js";
import { byteWidth, physicalType, type Schema } from "../type/data-type.js";
import { CorruptStateError, MemoryLimitError } from "../type/error.js";
import type { SavedStep } from "./checkpoint.js";
import type { Relief } from "./relief.js";

/**
 * What a step yields: a batch on the host or, where the step behind it takes that at once, one that lies in the kernel's
 * memory until the next is asked for.
 */
export type StepBatch = BatchData | ResidentBatch;

export interface Step {
  /**
   * Takes rows [start, start + rows) of `input`; `firstRow` is the number of the batch's row 0 in the run. Port 1
   * is the right side of a join or union.
   */
  push(input: InputBatch, start: number, rows: number, firstRow: number, port: number): Iterable<StepBatch>;
  /** How long one push of several morsels may take (stride.ts); left out where a push is of one at most. */
  readonly turnMs?: number | undefined;
  /** No more rows at or before `time` (on the line of plan/time-scale.ts) will be pushed on this port. */
  watermark(time: bigint, port: number): Iterable<StepBatch>;
  /**
   * The watermark of what leaves the step after one of what came on this port; null where rows leave only at the end of
   * input, or long after others, whatever their times: a watermark that went further would make them late.
   */
  passes(time: bigint, port: number): bigint | null;
  /** No more rows come on this port. */
  finish(port: number): Iterable<StepBatch>;
  /** What it runs in the kernel. */
  readonly operators: readonly Operator[];
  /** Late rows that no operator of it has counted. */
  readonly lateRows?: number;
  /** Sorted runs and states that it has brought together: written for want of memory, or made by other threads. */
  readonly runs?: number;
  /** Brings together in its operator what workers have done; yields empty batches while it waits for them. */
  settle?(): Iterable<BatchData>;
  /**
   * What it is between two morsels, or why it cannot be saved. Left out: nothing of it can.
   * Not called once its input has ended.
   */
  save?(): SavedStep | string;
  /** Goes on from what another step of the same stage has saved. */
  restore?(saved: SavedStep): void;
  /** Stops workers; resolves when none of them uses the step's memory, or its input's, any more. */
  abandon?(): Promise<void>;
  free(): void;
}

/** A step that is an operator of the kernel. */
export abstract class OperatorStep implements Step {
  #operator: Operator;
  protected readonly relief: Relief | null;

  /** @param relief makes room when memory runs out; null where nothing can */
  constructor(operator: Operator, relief: Relief | null = null) {
    this.#operator = operator;
    this.relief = relief;
  }

  get operator(): Operator {
    return this.#operator;
  }

  get operators(): readonly Operator[] {
    return [this.#operator];
  }

  /** From now on another operator does the step's work; the old one is destroyed. */
  protected replace(operator: Operator): void {
    this.#operator.destroy();
    this.#operator = operator;
  }

  /** Pushes a morsel; yields empty batches while steps of the run spill to make room for it. */
  protected *pushed(
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
    port = 0,
  ): Generator<BatchData, Status> {
    const push = () => this.#operator.push(input, start, rows, firstRow, port);
    if (this.relief === null) return push();
    return yield* atWork(this.relief.attempt(push), this.#operator.output);
  }

  abstract passes(time: bigint, port: number): bigint | null;
  abstract push(
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
    port: number,
  ): Iterable<StepBatch>;
  abstract watermark(time: bigint, port: number): Iterable<StepBatch>;
  abstract finish(port: number): Iterable<StepBatch>;

  free(): void {
    this.operator.destroy();
  }
}

/** A push of so few rows, or fewer, is not divided. */
export const LEAST_ROWS = 1024;

/**
 * Pushes rows to what gives nothing before the end; yields empty batches while steps of the run spill to make room.
 * A morsel for which there is no room comes in halves before anything is spilled that is hardly worth it.
 */
export function* taken(
  relief: Relief | null,
  schema: Schema,
  start: number,
  rows: number,
  push: (start: number, rows: number) => unknown,
): Generator<BatchData> {
  if (relief === null) {
    push(start, rows);
    return;
  }
  const divides = rows > LEAST_ROWS;
  try {
    const attempt = relief.attempt(() => push(start, rows), divides ? relief.worthwhile : 1);
    yield* atWork(attempt, schema);
  } catch (error) {
    if (!divides || !(error instanceof MemoryLimitError)) throw error;
    const half = rows >> 1;
    yield* taken(relief, schema, start, half, push);
    yield* taken(relief, schema, start + half, rows - half, push);
  }
}

export function rowsOf(batch: StepBatch): number {
  return batch instanceof ResidentBatch ? batch.rows : batch.length;
}

/** What is on the host, or comes there. */
export function* hosted(batches: Iterable<StepBatch>): Generator<BatchData> {
  for (const batch of batches) yield batch instanceof ResidentBatch ? batch.toHost() : batch;
}

/** What a step yields while it is at work: neither rows nor columns. */
export function noRows(schema: Schema): BatchData {
  return { schema, length: 0, columns: [] };
}

/** An empty batch for each turn of `work`: a step that is still at work. */
export function* atWork<T>(work: Generator<unknown, T>, schema: Schema): Generator<BatchData, T> {
  try {
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
      yield noRows(schema);
    }
  } finally {
    // A run that is left here must leave the work, too: it may hold operators.
    work.return(undefined as T);
  }
}

/** The state of operators of one configuration, as one: that of the second is merged into that of the first. */
export function savedOperators(operators: readonly Operator[]): SavedStep {
  return { kept: {}, states: [statesOf(operators)] };
}

function* statesOf(operators: readonly Operator[]): Generator<StateBatch> {
  for (const operator of operators) yield* operator.snapshot();
}

/** @throws CorruptStateError for a state that is none of the operator's. */
export function restoreOperator(operator: Operator, states: Iterable<StateBatch>): void {
  let status: Status = Status.HAS_MORE;
  for (const state of states) status = operator.merge(state);
  if (status === Status.HAS_MORE) throw new CorruptStateError("the checkpoint holds half of a state");
}

/** Fewest rows of a batch of results before memory that does not do for them is an error. */
const LEAST_RESULT_ROWS = 256;

/** Rows of a batch of results after one that found no memory. */
function fewerRows(rows: number): number {
  return Math.max(LEAST_RESULT_ROWS, Math.min(rows, 65_536) >> 2);
}

/**
 * The results of an operator whose input has ended, in batches as large as memory allows; empty ones while it works.
 * @param isPatient whether the first batch, too, may be smaller than asked for
 * @throws MemoryLimitError when there is no room to begin, or for a small batch; rows that have not left are still there
 */
export function* drainAsFits(
  operator: Operator,
  batchRows: number,
  batchBytes?: number,
  isPatient = true,
): Generator<BatchData> {
  const pulls = pullAsFits((rows) => operator.tryPull(rows, batchBytes), batchRows, isPatient);
  for (const batch of pulls) yield batch ?? noRows(operator.output);
}

/** Pulls so many rows at most, or gives up after some work: null, and `more` where there may be results still. */
export type Pull<B> = (rows: number) => { readonly batch: B | null; readonly more: boolean };

/** Takes what an operator's pull has left: a copy, or the batch where it lies; null when it has no rows. */
export type Take<B extends StepBatch> = (operator: Operator) => B | null;

/** Bytes of a batch of results at most. */
export const BATCH_BYTES: number = 2 ** 28;

export function pullOf<B extends StepBatch>(operator: Operator, take: Take<B>): Pull<B> {
  return (rows) => {
    const more = operator.pullHere(rows, BATCH_BYTES);
    return { batch: take(operator), more };
  };
}

/** What `drainAsFits` gives, of what `pull` brings; null while it has brought nothing. */
export function* pullAsFits<B>(pull: Pull<B>, batchRows: number, isPatient: boolean): Generator<B | null> {
  let rows = batchRows;
  for (let isFirst = true; ; ) {
    let pulled: ReturnType<typeof pull>;
    try {
      pulled = pull(rows);
    } catch (error) {
      const isLeast = rows <= LEAST_RESULT_ROWS || (isFirst && !isPatient);
      if (!(error instanceof MemoryLimitError) || isLeast) throw error;
      rows = fewerRows(rows);
      continue;
    }
    if (pulled.batch !== null) isFirst = false;
    yield pulled.batch;
    if (!pulled.more) return;
  }
}

/** What of the free memory a batch of results may take, and what a text does, about. */
const RESULT_SHARE = 1 / 8;
const TEXT_BYTES = 32;

/** What a row takes, about. */
export function rowBytes({ fields }: Schema): number {
  return fields.reduce((sum, { type }) => {
    const physical = physicalType(type);
    const isText = physical === Type.BYTES || physical === Type.LARGE_BYTES;
    return sum + (isText ? TEXT_BYTES : Math.max(1, byteWidth(physical)));
  }, 1);
}

/** Rows of a result batch that should fit: what a larger one has taken, also one that did not fit, stays taken. */
export function fittingRows({ kernel, output }: Operator, batchRows: number): number {
  const rows = Math.floor((kernel.freeBytes * RESULT_SHARE) / rowBytes(output));
  return Math.min(batchRows, Math.max(LEAST_RESULT_ROWS, rows));
}

/**
 * The results of an operator that waits for what it has given to be taken, in batches as large as memory allows; steps of
 * the run spill where it does not do for small ones. Ends where the operator is gone then: it was the one that spilled.
 */
export function* drainOrRelieve(
  relief: Relief,
  operator: Operator,
  batchRows: number,
  batchBytes?: number,
): Generator<BatchData> {
  for (let rows = fittingRows(operator, batchRows); operator.isOpen; ) {
    let pulled: ReturnType<Operator["tryPull"]>;
    try {
      pulled = operator.tryPull(rows, batchBytes);
    } catch (error) {
      if (!(error instanceof MemoryLimitError)) throw error;
      if (rows > LEAST_RESULT_ROWS) rows = fewerRows(rows);
      else if (!(yield* atWork(relief.relieve(), operator.output))) throw error;
      continue;
    }
    yield pulled.batch ?? noRows(operator.output);
    if (!pulled.more) return;
  }
}

/** Output that waits, until there is none. */
export function* drain(operator: Operator, batchRows: number): Generator<BatchData> {
  for (let batch = operator.pull(batchRows); batch !== null; batch = operator.pull(batchRows)) yield batch;
}

/** How messages name a result: `sum(amount)`, or `turnover = sum(amount)` under another name. */
export function labelOf(text: string, name: string): string {
  return text === name ? `"${name}"` : `"${name}" = ${text}`;
}
