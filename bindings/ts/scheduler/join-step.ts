// A join as a step with two ports.
//
// Watermarks end here, but for joins by time: a row that another join gives may be as old as the oldest that it keeps.

import { OperatorKind } from "../../../kernel/abi/operator.js";
import { Status } from "../../../kernel/abi/status.js";
import {
  END_OF_INPUT,
  encodeJoinConfig,
  type InputBatch,
  type Kernel,
  type ResidentBatch,
} from "../kernel/index.js";
import { type JoinStage, ticksOfWatermark, watermarkOf } from "../plan/index.js";
import type { BatchData } from "../type/column.js";
import type { DataType } from "../type/data-type.js";
import { emptyBatch } from "./rows.js";
import { OperatorStep } from "./step.js";

export interface JoinStepOptions {
  /** Most rows of a result batch. */
  readonly batchRows: number;
  /** A hint: sources come one after the other. */
  readonly inTurn: boolean;
  /** The result of a join that is the last step stays in the kernel's memory: see `Pipeline.kept`. */
  readonly keepResults?: boolean;
}

export class JoinStep extends OperatorStep {
  readonly #batchRows: number;
  /** Of a join by time what its times are ticks of; null of others. */
  readonly #time: DataType | null;
  /** Results that stay in the kernel's memory; null where they leave it. */
  readonly kept: ResidentBatch[] | null;

  constructor(kernel: Kernel, stage: JoinStage, { batchRows, inTurn, keepResults = false }: JoinStepOptions) {
    const { config, left, right, residual, schema } = stage;
    super(
      kernel.operator({
        kind: OperatorKind.JOIN,
        config: encodeJoinConfig({ ...config, buildFirst: inTurn, keepResults, keepCodes: keepResults }),
        columns: left.columns,
        instruction: (index) => left.instructions[index],
        second: { columns: right.columns, instruction: (index) => right.instructions[index] },
        pulled: (index) => residual?.instructions[index],
        output: schema,
        emitsPerPush: true,
      }),
    );
    this.#batchRows = batchRows;
    this.#time = stage.time?.type ?? null;
    this.kept = keepResults ? [] : null;
  }

  *push(
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
    port: number,
  ): Generator<BatchData> {
    if (this.operator.push(input, start, rows, firstRow, port) === Status.HAS_MORE) yield* this.#results();
  }

  *watermark(time: bigint, port: number): Generator<BatchData> {
    if (this.#time === null) return;
    const ticks = ticksOfWatermark(time, this.#time);
    // The end of input is `finish`, whatever a row's time.
    const most = ticks < END_OF_INPUT ? ticks : END_OF_INPUT - 1n;
    if (this.operator.watermark(most, port) === Status.HAS_MORE) yield* this.#results();
  }

  /** How far the left times that leave have come. */
  passes(): bigint | null {
    if (this.#time === null) return null;
    const { watermark } = this.operator.stats();
    return watermark === null ? null : watermarkOf(watermark, this.#time);
  }

  *finish(port: number): Generator<BatchData> {
    if (this.operator.watermark(END_OF_INPUT, port) === Status.HAS_MORE) yield* this.#results();
  }

  /** Empty batches tell that the operator is at work and has found nothing yet, or nothing that leaves the kernel. */
  *#results(): Generator<BatchData> {
    for (let more = true; more && this.kept !== null; ) {
      const pulled = this.operator.tryPullResident();
      more = pulled.more;
      if (pulled.batch !== null) this.kept.push(pulled.batch);
      if (more) yield emptyBatch(this.operator.output);
    }
    for (let more = this.kept === null; more; ) {
      const pulled = this.operator.tryPull(this.#batchRows);
      more = pulled.more;
      if (pulled.batch !== null) yield pulled.batch;
      else if (more) yield emptyBatch(this.operator.output);
    }
  }
}
