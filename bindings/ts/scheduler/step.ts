// A step of a pipeline: takes morsels and watermarks, yields the batches that become ready.

import type { InputBatch, Operator } from "../kernel/index.js";
import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";

export interface Step {
  /**
   * Takes rows [start, start + rows) of `input`; `firstRow` is the number of the batch's row 0 in the run. Port 1
   * is the right side of a join or union.
   */
  push(input: InputBatch, start: number, rows: number, firstRow: number, port: number): Iterable<BatchData>;
  /** No more rows at or before `time` (on the line of plan/time-scale.ts) will be pushed on this port. */
  watermark(time: bigint, port: number): Iterable<BatchData>;
  /**
   * The watermark of what leaves the step after one of what came; null where rows leave only at the end of input,
   * or long after others, whatever their times: a watermark that went further would make them late.
   */
  passes(time: bigint): bigint | null;
  /** No more rows come on this port. */
  finish(port: number): Iterable<BatchData>;
  /** What it runs in the kernel. */
  readonly operators: readonly Operator[];
  /** Late rows that no operator of it has counted. */
  readonly lateRows?: number;
  /** Brings together in its operator what workers have done; yields empty batches while it waits for them. */
  settle?(): Iterable<BatchData>;
  /** Stops workers; resolves when none of them uses the step's memory, or its input's, any more. */
  abandon?(): Promise<void>;
  free(): void;
}

/** A step that is an operator of the kernel. */
export abstract class OperatorStep implements Step {
  readonly operator: Operator;

  constructor(operator: Operator) {
    this.operator = operator;
  }

  get operators(): readonly Operator[] {
    return [this.operator];
  }

  abstract passes(time: bigint): bigint | null;
  abstract push(
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
    port: number,
  ): Iterable<BatchData>;
  abstract watermark(time: bigint, port: number): Iterable<BatchData>;
  abstract finish(port: number): Iterable<BatchData>;

  free(): void {
    this.operator.destroy();
  }
}

/** An empty batch for each turn of `work`: a step that is still at work. */
export function* atWork(work: Iterable<void>, schema: Schema): Generator<BatchData> {
  for (const _ of work) yield { schema, length: 0, columns: [] };
}

/** Output that waits, until there is none. */
export function* drain(operator: Operator, batchRows: number): Generator<BatchData> {
  for (let batch = operator.pull(batchRows); batch !== null; batch = operator.pull(batchRows)) yield batch;
}

/** How messages name a result: `sum(amount)`, or `turnover = sum(amount)` under another name. */
export function labelOf(text: string, name: string): string {
  return text === name ? `"${name}"` : `"${name}" = ${text}`;
}
