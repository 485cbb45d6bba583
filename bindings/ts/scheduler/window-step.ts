// A windowed aggregation as a step: watermarks in, results of the windows that they close out.

import { OperatorKind } from "../../../kernel/abi/operator.js";
import { Status } from "../../../kernel/abi/status.js";
import { WindowKind } from "../../../kernel/abi/window.js";
import {
  END_OF_INPUT,
  encodeWindowConfig,
  type InputBatch,
  type Kernel,
  type Operator,
} from "../kernel/index.js";
import {
  nanosecondsATick,
  numberOfWatermark,
  type WindowName,
  type WindowStage,
  wholeSteps,
} from "../plan/index.js";
import type { QueryWorkers } from "../pool/index.js";
import type { BatchData } from "../type/column.js";
import type { SavedStep } from "./checkpoint.js";
import { lateRows } from "./late-rows.js";
import { bringsManyGroups, ParallelPush } from "./parallel-push.js";
import type { Relief } from "./relief.js";
import type { SpreadPush } from "./spread-push.js";
import { atWork, drain, labelOf, noRows, OperatorStep, restoreOperator, savedOperators } from "./step.js";
import { windowBounds } from "./window-bounds.js";

const KINDS: { readonly [name in WindowName]: WindowKind } = {
  tumble: WindowKind.TUMBLE,
  hop: WindowKind.HOP,
  cumulate: WindowKind.CUMULATE,
  session: WindowKind.SESSION,
  global: WindowKind.GLOBAL,
};

const FIRST_NUMBER = -(2n ** 63n);

/** Takes the late rows of a push. */
export type LateRows = (batch: BatchData) => void;

export interface WindowStepOptions {
  /** Most rows of a result batch. */
  readonly batchRows: number;
  /** Null: late rows are only counted. */
  readonly late: LateRows | null;
  /** Of the first stage: how far rows may be behind, where it keeps time by itself. */
  readonly bound: bigint | null;
  /** Makes room when memory runs out; null where nothing can. */
  readonly relief: Relief | null;
  /** Workers to share morsels with; null for the calling thread alone. */
  readonly pool: QueryWorkers | null;
  /** Whether the sources are read one after the other: as a batch is. */
  readonly inTurn: boolean;
}

/**
 * From so many groups a row on one thread goes on alone: windows are brought together group by group by one thread, each
 * of which costs what several rows do.
 */
const ALONE_RATIO = 0.25;

export class WindowStep extends OperatorStep {
  readonly #stage: WindowStage;
  /** Where morsels are shared with other workers. */
  readonly #parallel: ParallelPush | null;
  readonly #inTurn: boolean;
  readonly #batchRows: number;
  readonly #late: LateRows | null;
  /** The last number of which no more rows will come. */
  #closed = FIRST_NUMBER;

  constructor(kernel: Kernel, stage: WindowStage, options: WindowStepOptions) {
    const { batchRows, late, bound, relief, pool, inTurn } = options;
    const { window, texts, instructions, changelog, aggregate, time, output } = stage;
    const { kind, length, step, offset, dropNullTime } = window;
    const sizes = kind === "global" ? {} : { length, step, offset };
    const corrections = changelog ? { lateness: window.lateness, early: window.early } : {};
    const create = () =>
      kernel.operator({
        kind: OperatorKind.WINDOW_AGGREGATE,
        config: encodeWindowConfig({
          kind: KINDS[kind],
          time,
          dropNullTime,
          keepLate: late !== null,
          ...(bound === null ? {} : { bound, allTimes: stage.filtered }),
          ...sizes,
          ...corrections,
          aggregate,
        }),
        columns: stage.columns,
        output: { fields: output },
        emitsPerPush: changelog,
        labels: texts.map((text, index) => labelOf(text, output[index]!.name)),
        instruction: (index) => instructions[index],
        time: window.column,
      });
    super(create(), relief);
    const another = () => {
      const operator = create();
      const time = this.operator.watermarkTime;
      if (time !== null) operator.watermark(time);
      return operator;
    };
    const staysAlone = (operator: Operator) => bringsManyGroups(operator, ALONE_RATIO);
    const isShared = pool !== null && relief === null && late === null && this.operator.combines();
    this.#parallel = isShared
      ? new ParallelPush(pool, this.operator, another, staysAlone, bound !== null)
      : null;
    this.#inTurn = inTurn;
    this.#stage = stage;
    this.#batchRows = batchRows;
    this.#late = late;
  }

  override get operators(): readonly Operator[] {
    return this.#parallel?.operators ?? [this.operator];
  }

  get runs(): number {
    return this.#parallel?.merged ?? 0;
  }

  *push(input: InputBatch, start: number, rows: number, firstRow: number): Generator<BatchData> {
    if (this.#parallel !== null) {
      if (this.#inTurn) yield* atWork(this.#parallel.push(input, start, rows, firstRow), this.#stage.schema);
      else yield* this.#spread(this.#parallel.spread, input, start, rows, firstRow);
      return;
    }
    const status = yield* this.pushed(input, start, rows, firstRow);
    if (this.#late !== null) {
      const numbers = this.operator.late();
      if (numbers.length > 0)
        this.#late(
          lateRows(
            input,
            numbers.map((row) => start + row),
          ),
        );
    }
    if (status === Status.HAS_MORE) yield* this.#results();
  }

  *#spread(
    spread: SpreadPush,
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
  ): Generator<BatchData> {
    const { schema } = this.#stage;
    for (const hasResults of spread.push(input, start, rows, firstRow)) {
      if (hasResults) yield* this.#results();
      else yield noRows(schema);
    }
  }

  /**
   * A session closes at its end, not a tick before: its last moment is a tick behind. Of dates the last moment is
   * the last day, which is behind while the watermark is within a day.
   */
  passes(time: bigint): bigint {
    const { kind, scale } = this.#stage.window;
    return wholeSteps(kind === "session" ? time - nanosecondsATick(scale.type) : time, scale.type);
  }

  *watermark(time: bigint): Generator<BatchData> {
    const exact = numberOfWatermark(this.#stage.window.scale, time);
    // The end of input is `finish`, whatever a row's time.
    const number = exact < END_OF_INPUT ? exact : END_OF_INPUT - 1n;
    if (number <= this.#closed) return;
    this.#closed = number;
    if (this.#parallel === null || this.#inTurn) {
      if (this.operator.watermark(number) === Status.HAS_MORE) yield* this.#results();
      return;
    }
    if (!this.#parallel.spread.watermark(number)) return;
    yield* atWork(this.#parallel.spread.gather(), this.#stage.schema);
    yield* this.#results();
  }

  *finish(): Generator<BatchData> {
    if (this.#parallel !== null) yield* atWork(this.#parallel.finish(), this.#stage.schema);
    for (const batch of this.operator.finish(this.#batchRows)) yield this.#result(batch);
  }

  save(): SavedStep | string {
    if (this.#stage.window.kind === "session") return "sessions cannot be saved yet";
    this.#parallel?.spread.gatherAtOnce();
    return { ...savedOperators([this.operator]), kept: { closed: String(this.#closed) } };
  }

  restore({ kept, states }: SavedStep): void {
    restoreOperator(this.operator, states[0]!);
    this.#closed = BigInt(kept.closed as string);
  }

  async abandon(): Promise<void> {
    await this.#parallel?.abandon();
  }

  override free(): void {
    this.#parallel?.free();
    super.free();
  }

  *#results(): Generator<BatchData> {
    for (const batch of drain(this.operator, this.#batchRows)) yield this.#result(batch);
  }

  #result({ length, columns }: BatchData): BatchData {
    const { window, schema } = this.#stage;
    const [start, end, ...rest] = columns;
    const bounds = windowBounds(window.scale, window.kind === "global", start!, end!);
    return { schema, length, columns: [...bounds, ...rest] };
  }
}
