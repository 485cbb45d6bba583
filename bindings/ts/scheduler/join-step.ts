// A join as a step with two ports.
//
// Where there are files to write to, a batch's join by keys writes what it keeps when memory ends (spilled-join.ts): then its
// results come at the end.
//
// In a batch, rows that come once the other side is complete are shared by workers (shared-map.ts), each with a join that
// reads what this one has kept (op_attach). Where much is kept, they index it together before (op_ready).
//
// Watermarks end here, but for joins by time, and those whose right side is complete before the left one begins: a row
// that another join gives may be as old as the oldest that it keeps.

import { JoinType, OperatorKind } from "../../../kernel/abi/operator.js";
import { Status } from "../../../kernel/abi/status.js";
import {
  END_OF_INPUT,
  encodeJoinConfig,
  type InputBatch,
  type Kernel,
  type Operator,
  type ResidentBatch,
} from "../kernel/index.js";
import { type JoinSide, type JoinStage, ticksOfWatermark, watermarkOf } from "../plan/index.js";
import type { QueryWorkers } from "../pool/index.js";
import { type BatchData, emptyBatch } from "../type/column.js";
import type { DataType } from "../type/data-type.js";
import { MemoryLimitError, SpillError } from "../type/error.js";
import { lateRows } from "./late-rows.js";
import type { Relief, Spillable } from "./relief.js";
import { SharedMap } from "./shared-map.js";
import { SharedWork } from "./shared-work.js";
import { joinSpills, SpilledJoin } from "./spilled-join.js";
import { atWork, drain, drainOrRelieve, LEAST_ROWS, OperatorStep } from "./step.js";
import { indicesOf, ticksAt, timesOf } from "./time-column.js";
import type { LateRows } from "./window-step.js";

/** Most bytes of texts of a batch that leaves; of one that stays, and its rows: no limit. */
const PULL_BYTES = 2 ** 28;
const ALL_ROWS = 2 ** 32 - 1;
const ALL_BYTES = 2 ** 31 - 1;
/** Rows of a loaded side from which on memory for copies of them counts. */
const LEAST_LENT = 2 ** 18;
const FIRST_TICK = -(2n ** 63n);

export interface JoinStepOptions {
  /** Most rows of a result batch. */
  readonly batchRows: number;
  /** A hint: sources come one after the other. */
  readonly inTurn: boolean;
  /** The result of a join that is the last step stays in the kernel's memory: see `Pipeline.kept`. */
  readonly keepResults?: boolean;
  /** Workers to share the rows of the side that comes last with; null for the calling thread alone. */
  readonly pool: QueryWorkers | null;
  /** Whether the left side's watermarks go on: the right side ends before the left one begins. */
  readonly passes: boolean;
  /** Of a join by time; null: late rows are only counted. */
  readonly late: LateRows | null;
  /** Makes room when memory runs out; null where nothing can. */
  readonly relief: Relief | null;
  /** Per side its rows, if they lie in a loaded table, and are pushed by full morsels; else 0. */
  readonly loaded: readonly [number, number];
}

export class JoinStep extends OperatorStep implements Spillable {
  readonly #batchRows: number;
  /** Of a join by time what its times are ticks of; null of others. */
  readonly #time: DataType | null;
  /** Results that stay in the kernel's memory; null where they leave it. */
  readonly kept: ResidentBatch[] | null;

  /** SEMI and ANTI: whether a left row leaves depends on all right ones. */
  readonly #filters: boolean;
  readonly #pool: QueryWorkers | null;
  readonly #create: () => Operator;
  /** Morsels so far since one side is complete, and what shares them. */
  #probed = 0;
  #map: SharedMap | null = null;
  /** What several threads index a side by. */
  #index: SharedWork | null = null;
  /** What has left for files, where rows may. */
  readonly #spilled: SpilledJoin | null;
  #hasSpilled = false;
  /** Whether results of the operator are being taken, which must be written before its rows, and whether those of files are. */
  #isGiving = false;
  #isFinishing = false;
  /** Joins that read what `operator` has kept, and give results. */
  readonly #readers: Operator[] = [];
  readonly #ended = [false, false];
  /** Whether watermarks of the left side go on where the join is not by time. */
  readonly #passes: boolean;
  readonly #late: LateRows | null;
  readonly #sides: readonly JoinSide[];
  /** By port: the watermark, and what tells the times of rows once some have been late. */
  readonly #watermarks: bigint[] = [FIRST_TICK, FIRST_TICK];
  readonly #times: (Operator | null)[] = [null, null];
  #lateRows = 0;

  constructor(
    kernel: Kernel,
    stage: JoinStage,
    { batchRows, inTurn, keepResults = false, pool, passes, late, relief, loaded }: JoinStepOptions,
  ) {
    const { config, left, right, residual, schema } = stage;
    const spills = relief !== null && inTurn && joinSpills(stage);
    const lends = inTurn && !spills && stage.time === null && stage.changes === null;
    const create = () =>
      kernel.operator({
        kind: OperatorKind.JOIN,
        config: encodeJoinConfig({
          ...config,
          buildFirst: inTurn,
          keepResults,
          keepCodes: keepResults && stage.changes === null,
          keepOutputs: spills,
          loaded: [lends && loaded[0] >= LEAST_LENT, lends && loaded[1] >= LEAST_LENT],
        }),
        columns: left.columns,
        instruction: (index) => left.instructions[index],
        second: { columns: right.columns, instruction: (index) => right.instructions[index] },
        pulled: (index) => residual?.instructions[index],
        output: schema,
        emitsPerPush: true,
      });
    super(create(), relief);
    this.#create = create;
    this.#spilled = spills ? new SpilledJoin(relief, stage) : null;
    if (spills) relief.add(this);
    this.#batchRows = batchRows;
    this.#time = stage.time?.type ?? null;
    this.#passes = passes;
    this.#late = this.#time === null ? null : late;
    this.#sides = [left, right];
    this.#filters = config.type === JoinType.SEMI || config.type === JoinType.ANTI;
    this.#pool = this.#time === null && stage.changes === null ? pool : null;
    this.kept = keepResults ? [] : null;
  }

  override get operators(): readonly Operator[] {
    return [this.operator, ...this.#readers];
  }

  *push(
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
    port: number,
  ): Generator<BatchData> {
    if (this.#isShared(port)) {
      this.#map ??= this.#share(port);
      yield* this.#map.push(input, start, rows, firstRow);
      return;
    }
    if (this.#spilled !== null) {
      yield* this.#taken(this.#spilled, input, start, rows, firstRow, port as 0 | 1);
      return;
    }
    const status = yield* this.pushed(input, start, rows, firstRow, port);
    if (this.#late !== null) this.#tellLate(this.#late, input, start, rows, port);
    if (status === Status.HAS_MORE) yield* this.#pulled(this.operator);
  }

  /**
   * Pushes rows or, once those that are kept have left, writes them, too. A morsel for which there is no room comes in
   * halves before anything is spilled that is hardly worth it.
   */
  *#taken(
    spilled: SpilledJoin,
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
    port: 0 | 1,
  ): Generator<BatchData> {
    const { operator } = this;
    const relief = this.relief!;
    const divides = rows > LEAST_ROWS;
    const push = () => (this.#hasSpilled ? null : operator.push(input, start, rows, firstRow, port));
    let status: Status | null;
    try {
      status = yield* atWork(relief.attempt(push, divides ? relief.worthwhile : 1), operator.output);
    } catch (error) {
      if (!(error instanceof MemoryLimitError)) throw error;
      if (divides) {
        const half = rows >> 1;
        yield* this.#taken(spilled, input, start, half, firstRow, port);
        yield* this.#taken(spilled, input, start + half, rows - half, firstRow, port);
        return;
      }
      // No room even for the first rows.
      status = null;
      yield* atWork(
        relief.spilling(() => this.spill()),
        operator.output,
      );
    }
    if (status === Status.HAS_MORE) yield* this.#pulled(operator);
    if (status !== null) return;
    const writing = relief.spilling(() => spilled.push(port, input, start, rows, firstRow));
    yield* atWork(writing, operator.output);
  }

  get spillable(): number {
    if (this.#hasSpilled || this.#isFinishing || !this.operator.isOpen) return 0;
    const { rowsSelected, stateBytes } = this.operator.stats();
    return rowsSelected === 0 ? 0 : stateBytes;
  }

  *spill(): Generator<void> {
    const spilled = this.#spilled!;
    const short = this.#isGiving ? yield* spilled.keep(this.operator) : null;
    try {
      yield* spilled.write(this.operator, this.#ended);
    } catch (error) {
      // Rows do not leave while results wait.
      throw short !== null && !(error instanceof SpillError) ? short : error;
    }
    this.#hasSpilled = true;
  }

  /** Hands the late rows of a push over, if it had any: the operator only counts them. */
  #tellLate(late: LateRows, input: InputBatch, start: number, rows: number, port: number): void {
    const { lateRows: count } = this.operator.stats();
    if (count === this.#lateRows) return;
    this.#lateRows = count;
    const { config, columns, instructions, output } = this.#sides[port]!.times!;
    this.#times[port] ??= this.operator.kernel.operator({
      kind: OperatorKind.PROJECT,
      config,
      columns,
      output: { fields: output },
      emitsPerPush: true,
      instruction: (index) => instructions[index],
    });
    const numbers: number[] = [];
    const operator = this.#times[port]!;
    operator.push(input, start, rows);
    for (const { columns, length } of drain(operator, rows)) {
      const row = indicesOf(columns[0]!);
      const times = timesOf(columns[1]!, 0, length);
      for (let at = 0; at < length; at++) {
        const isLate = !times.isNull?.(at) && ticksAt(times, at) <= this.#watermarks[port]!;
        if (isLate) numbers.push(start + row(at));
      }
    }
    late(lateRows(input, Uint32Array.from(numbers)));
  }

  /** Whether a morsel goes to the workers: none does before the other side is complete, nor does the first one then. */
  #isShared(port: number): boolean {
    if (this.#pool === null || !this.#ended[1 - port] || (this.#filters && port === 1)) return false;
    return this.#probed++ > 0;
  }

  #share(port: number): SharedMap {
    const [maxRows, maxBytes] = this.kept === null ? [this.#batchRows, PULL_BYTES] : [ALL_ROWS, ALL_BYTES];
    return new SharedMap({
      kernel: this.operator.kernel,
      pool: this.#pool!,
      port,
      maxRows,
      maxBytes,
      create: () => {
        const reader = this.#create();
        this.#readers.push(reader);
        reader.attach(this.operator, 1 - port);
        return reader;
      },
      take: (reader, more) => this.#given(reader, more),
    });
  }

  *watermark(time: bigint, port: number): Generator<BatchData> {
    if (this.#time === null) return;
    const ticks = ticksOfWatermark(time, this.#time);
    // Before all times: says nothing.
    if (ticks < FIRST_TICK) return;
    // The end of input is `finish`, whatever a row's time.
    const most = ticks < END_OF_INPUT ? ticks : END_OF_INPUT - 1n;
    if (most > this.#watermarks[port]!) this.#watermarks[port] = most;
    if (this.operator.watermark(most, port) === Status.HAS_MORE) yield* this.#pulled(this.operator);
  }

  /** Whether watermarks on this port go on as they are, and that its source gives nothing for the time being. */
  letsPass(port: number): boolean {
    return this.#passes && port === 0;
  }

  /** How far the left times that leave have come. */
  passes(time: bigint, port: number): bigint | null {
    if (this.#time === null) return this.letsPass(port) ? time : null;
    const watermark = this.operator.watermarkTime;
    return watermark === null ? null : watermarkOf(watermark, this.#time);
  }

  *finish(port: number): Generator<BatchData> {
    if (this.#map !== null) {
      yield* this.#map.finish();
      this.#map.free();
      this.#map = null;
      // What is kept lies in the readers' memory.
      if (this.kept === null) for (const reader of this.#readers.splice(0)) reader.destroy();
    }
    this.#ended[port] = true;
    // The side that ends first is only indexed where the other one comes after it.
    const mayGive = this.#ended[1 - port]!;
    if (!this.#hasSpilled && this.operator.watermark(END_OF_INPUT, port) === Status.HAS_MORE) {
      if (this.#pool !== null && !mayGive) yield* this.#indexed(this.#pool);
      yield* this.#pulled(this.operator, mayGive);
    }
    if (this.#spilled !== null && this.#ended[1 - port]) yield* this.#finished(this.#spilled);
  }

  /** Lets everybody index what one side has kept, where it is much. */
  *#indexed(pool: QueryWorkers): Generator<BatchData> {
    const { operator } = this;
    const parts = operator.ready();
    if (parts === 0) return;
    const work = new SharedWork(operator.kernel, pool, {
      task: { kind: "ready", operator: operator.handle },
      handles: Array.from({ length: pool.threads }, () => 0),
      ring: parts,
      failure: (_, record) => operator.errorAt(record),
    });
    this.#index = work;
    for (let part = 0; part < parts; part++) work.offer(part);
    yield* atWork(
      work.finish((part) => operator.readyPart(part)),
      operator.output,
    );
    this.#index = null;
  }

  /** Both sides have ended: the results of what was written. */
  *#finished(spilled: SpilledJoin): Generator<BatchData> {
    this.#isFinishing = true;
    if (this.#hasSpilled) {
      this.relief!.release();
      this.relief!.restore();
    }
    yield* spilled.results(this.#batchRows);
  }

  /** What a reader's first pull has brought, and the rest. */
  *#given(reader: Operator, more: boolean): Generator<BatchData> {
    if (this.kept === null) {
      const batch = reader.taken();
      if (batch !== null) yield batch;
    } else {
      const batch = reader.takenResident();
      if (batch !== null) this.kept.push(batch);
    }
    if (more) yield* this.#pulled(reader);
  }

  /** Empty batches tell that the operator is at work and has found nothing yet, or nothing that leaves the kernel. */
  *#pulled(operator: Operator, mayGive = true): Generator<BatchData> {
    if (this.relief !== null && this.kept === null) {
      this.#isGiving = mayGive;
      yield* drainOrRelieve(this.relief, operator, this.#batchRows);
      this.#isGiving = false;
      return;
    }
    for (let more = true; more && this.kept !== null; ) {
      const pulled = operator.tryPullResident();
      more = pulled.more;
      if (pulled.batch !== null) this.kept.push(pulled.batch);
      if (more) yield emptyBatch(operator.output);
    }
    for (let more = this.kept === null; more; ) {
      const pulled = operator.tryPull(this.#batchRows);
      more = pulled.more;
      if (pulled.batch !== null) yield pulled.batch;
      else if (more) yield emptyBatch(operator.output);
    }
  }

  async abandon(): Promise<void> {
    await this.#index?.abandon();
    await this.#map?.abandon();
  }

  override free(): void {
    this.#index?.free();
    this.#index = null;
    this.#map?.free();
    this.#map = null;
    for (const reader of this.#readers.splice(0)) reader.destroy();
    for (const times of this.#times.splice(0)) times?.destroy();
    super.free();
  }
}
