// A running physical plan: chains of steps through which batches flow, the same in both modes; a chain for each
// source, which ends in the result or in a join of another chain.
//
// A step takes a morsel and yields the batches that became ready; the end of input makes it yield the rest.
// Steps are generators, so a consumer that stops pulling stops the work, and `return()` ends it anywhere.
// Dropping a pipeline (`free`) gives back all kernel memory of its steps.

import { Abi, Type } from "../../../kernel/abi/layout.js";
import { OperatorKind } from "../../../kernel/abi/operator.js";
import { Status } from "../../../kernel/abi/status.js";
import { takeOpaque } from "../arrow/index.js";
import {
  asDraining,
  asExpecting,
  asKeeping,
  asKeepingCodes,
  asLeaving,
  asLending,
  asShared,
  DictionaryCopies,
  END_OF_INPUT,
  type InputBatch,
  type Kernel,
  mayLeave,
  type Operator,
  ResidentBatch,
  Stage,
} from "../kernel/index.js";
import {
  type AggregateStage,
  chainsIn,
  type GroupingSetsStage,
  type JoinStage,
  type LimitStage,
  type LoweredPlan,
  type Stage as PhysicalStage,
  type ProjectStage,
  stageTitle,
  type TogetherProgram,
  type UnionStage,
} from "../plan/index.js";
import type { QueryWorkers } from "../pool/index.js";
import type { SpillFolder } from "../spill/index.js";
import type { BatchData, ColumnData } from "../type/column.js";
import { isCarried, physicalType, type Schema, uint32, valueType } from "../type/data-type.js";
import { CheckpointError, CorruptStateError, type MemoryHolder, MemoryLimitError } from "../type/error.js";
import { CarryingSortStep } from "./carrying-sort.js";
import type { SavedChain, SavedStep } from "./checkpoint.js";
import { widen } from "./grouping-columns.js";
import { JoinStep, type JoinStepOptions } from "./join-step.js";
import { OverStep } from "./over-step.js";
import { aloneWhere, ParallelPush } from "./parallel-push.js";
import type { Probe, ProbeRecord } from "./probe.js";
import { PushTogether } from "./push-together.js";
import { Relief, type Spillable } from "./relief.js";
import { hostBatch, sliceRows } from "./rows.js";
import type { RunState } from "./run.js";
import { SharedMap } from "./shared-map.js";
import { SharedPush } from "./shared-push.js";
import { type Order, sortOperatorOf } from "./sort.js";
import { SortStep } from "./sort-step.js";
import { results, SpilledAggregation } from "./spilled-aggregation.js";
import { joinSpills } from "./spilled-join.js";
import {
  atWork,
  BATCH_BYTES,
  hosted,
  labelOf,
  OperatorStep,
  pullOf,
  restoreOperator,
  type Step,
  type StepBatch,
  savedOperators,
  type Take,
  taken,
} from "./step.js";
import { SPREAD_TURN_MS, TURN_MS } from "./stride.js";
import { UnionStep } from "./union-step.js";
import { WindowStep, type WindowStepOptions } from "./window-step.js";

/** Rows of a batch that every operator takes in one push. */
export const MORSEL_ROWS: number = Abi.MORSEL_ROWS;

/** What is known of the time of a source that has watermarks. */
export interface Timing {
  /** How far rows may be behind, where the chain's first step keeps time by itself. */
  readonly bound: bigint | null;
  /** The source's column that it is the time of. */
  readonly column: number;
  /** The joins, other than by time, through which its watermarks go. */
  readonly passed: ReadonlySet<JoinStage>;
}

export type PipelineOptions = Omit<WindowStepOptions, "bound" | "relief"> &
  Omit<JoinStepOptions, "passes" | "relief" | "loaded"> & {
    /** By the number of the source; null, or left out, for those without watermarks. */
    readonly timing: readonly (Timing | null)[];
    /** Rows of each source; null where nobody knows. */
    readonly sizes: readonly (number | null)[];
    /** Whether each is a loaded table, whose every morsel is full but the last. */
    readonly loaded: readonly boolean[];
    /** Measures the run; null where nobody profiles. */
    readonly probe: Probe | null;
    /**
     * Workers to share the steps' morsels with; null for the calling thread alone. Of a stream they share aggregations, with
     * windows and without.
     */
    readonly pool: QueryWorkers | null;
    /** Where state goes when memory runs out; null: nowhere. */
    readonly spill: SpillFolder | null;
  };

/** What steps are built with. */
type StepOptions = PipelineOptions & { readonly relief: Relief | null };

/** The steps between a source and the result, or the join that the source's rows are the right side of. */
interface Chain {
  readonly steps: Step[];
  /** What messages call them. */
  readonly titles: string[];
  /** Memory for what a step is given by the one before it. */
  readonly stages: Stage[];
  /** Ports of each step that have not ended. */
  readonly open: number[];
  readonly join: { readonly chain: Chain; readonly index: number; readonly stage: Stage } | null;
}

export class Pipeline {
  readonly schema: Schema;
  readonly #kernel: Kernel;
  /** One a source, from left to right; the first ends in the result. */
  readonly #chains: Chain[] = [];
  readonly #probe: Probe | null;
  readonly #relief: Relief | null;
  #leavesLast = false;

  constructor(kernel: Kernel, plan: LoweredPlan, options: PipelineOptions) {
    this.#kernel = kernel;
    this.schema = plan.output;
    this.#probe = options.probe;
    const isTimed = options.timing.some((timing) => timing !== null);
    const relief =
      options.spill !== null && maySpill(plan, isTimed, options.inTurn)
        ? new Relief(kernel, options.spill)
        : null;
    this.#relief = relief;
    // A push that another worker could not make cannot be made again from here.
    const pool = relief === null ? options.pool : null;
    try {
      const last = this.#build(plan, null, { ...options, pool, relief });
      if (last !== null) this.#probe!.result(last, plan.output);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** Builds a chain, and those of its joins; answers what the probe has of its end. */
  #build(
    plan: LoweredPlan,
    join: { chain: Chain; index: number } | null,
    options: StepOptions,
  ): ProbeRecord | null {
    const probe = this.#probe;
    const { name, schema, columns } = plan.source;
    let last =
      probe?.addSource(
        name,
        columns.map((index) => schema.fields[index]!.name),
      ) ?? null;
    const chain: Chain = {
      steps: [],
      titles: [],
      stages: [],
      open: [],
      join: join === null ? null : { ...join, stage: new Stage(this.#kernel) },
    };
    this.#chains.push(chain);
    const source = knownOf(options, this.#chains.length - 1);
    // The chain that is built next.
    const right = () => knownOf(options, this.#chains.length);
    for (const { step, stages } of stepsOf(
      this.#kernel,
      plan.stages,
      options,
      source,
      right,
      join === null,
    )) {
      const [stage] = stages as [PhysicalStage];
      const index = chain.steps.push(step) - 1;
      chain.titles.push(titleOf(stages));
      last = last && probe!.addStep(step, stages, last);
      chain.stages.push(new Stage(this.#kernel));
      const hasRight = stage.kind === "join" || stage.kind === "union";
      chain.open.push(hasRight ? 2 : 1);
      if (!hasRight) continue;
      const right = this.#build(stage.input, { chain, index }, options);
      if (right !== null) last!.inputs.push(right);
    }
    return last;
  }

  /** How long a push of any number of a source's rows may take; undefined where it is to be of MORSEL_ROWS at most. */
  turnMs(source: number): number | undefined {
    return this.#chains[source]!.steps[0]?.turnMs;
  }

  /** Rows [start, start + rows) of a source, MORSEL_ROWS at most unless it has a `turnMs`; yields what became ready. */
  push(
    source: number,
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
  ): Generator<BatchData> {
    const chain = this.#chains[source]!;
    const { join } = chain;
    return chain.steps.length === 0 && join !== null
      ? this.#feed(join.chain, join.index, 1, input, start, rows, firstRow)
      : this.#feed(chain, 0, 0, input, start, rows, firstRow);
  }

  /**
   * No more rows of a source at or before `time` (see plan/time-scale.ts) will be pushed: yields what that makes
   * ready.
   */
  watermark(source: number, time: bigint): Generator<BatchData> {
    return this.#advance(this.#chains[source]!, 0, 0, time);
  }

  *#advance(chain: Chain, index: number, port: number, time: bigint): Generator<BatchData> {
    if (index === chain.steps.length) {
      if (chain.join !== null) yield* this.#advance(chain.join.chain, chain.join.index, 1, time);
      return;
    }
    const step = chain.steps[index]!;
    const results = this.#results(step, "watermark", () => step.watermark(time, port));
    for (const batch of results) yield* this.#pass(chain, index + 1, batch);
    const next = step.passes(time, port);
    if (next !== null) yield* this.#advance(chain, index + 1, 0, next);
  }

  /** The end of a source: yields what was waiting for it. */
  finish(source: number): Generator<BatchData> {
    return this.#end(this.#chains[source]!, 0, 0);
  }

  *#end(chain: Chain, index: number, port: number): Generator<BatchData> {
    if (index === chain.steps.length) {
      if (chain.join !== null) yield* this.#end(chain.join.chain, chain.join.index, 1);
      return;
    }
    const step = chain.steps[index]!;
    if (this.#leavesLast && chain.join === null && index === chain.steps.length - 1) {
      if (step.settle !== undefined) yield* this.#results(step, "finish", () => step.settle!());
      return;
    }
    const results = this.#results(step, "finish", () => step.finish(port));
    for (const batch of results) yield* this.#pass(chain, index + 1, batch);
    chain.open[index]! -= 1;
    if (chain.open[index] === 0) yield* this.#end(chain, index + 1, 0);
    else if (step instanceof UnionStep) yield* this.#joined(chain, index, step);
  }

  /** A source gives nothing for the time being, or does again: yields what that makes ready. */
  setIdle(source: number, idle: boolean): Generator<BatchData> {
    return this.#setIdle(this.#chains[source]!, 0, 0, idle);
  }

  /** Only where inputs meet is one let go; not behind a step that holds its rows, which are still to come. */
  *#setIdle(chain: Chain, index: number, port: number, idle: boolean): Generator<BatchData> {
    const step = chain.steps[index];
    if (step === undefined) {
      if (chain.join !== null) yield* this.#setIdle(chain.join.chain, chain.join.index, 1, idle);
    } else if (step instanceof UnionStep) {
      if (step.setIdle(port, idle)) yield* this.#setIdle(chain, index + 1, 0, idle);
      else if (idle) yield* this.#joined(chain, index, step);
    } else if (step instanceof JoinStep ? step.letsPass(port) : step.passes(0n, port) !== null) {
      yield* this.#setIdle(chain, index + 1, 0, idle);
    }
  }

  /** The watermark of a union's inputs that still count. */
  *#joined(chain: Chain, index: number, step: UnionStep): Generator<BatchData> {
    const time = step.joined;
    if (time !== null) yield* this.#advance(chain, index + 1, 0, time);
  }

  *#feed(
    chain: Chain,
    index: number,
    port: number,
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
  ): Generator<BatchData> {
    const step = chain.steps[index]!;
    const work = () => step.push(input, start, rows, firstRow, port);
    const results = this.#probe === null ? work() : this.#probe.push(step, input, start, rows, port, work);
    for (const batch of results) yield* this.#pass(chain, index + 1, batch);
  }

  #results<B extends StepBatch>(
    step: Step,
    call: "watermark" | "finish",
    work: () => Iterable<B>,
  ): Iterable<B> {
    return this.#probe === null ? work() : this.#probe.results(step, call, 0, work);
  }

  *#pass(chain: Chain, index: number, batch: StepBatch): Generator<BatchData> {
    if (batch instanceof ResidentBatch) {
      try {
        yield* this.#feedAll(chain, index, 0, batch);
      } finally {
        batch.free();
      }
      return;
    }
    const last = index === chain.steps.length;
    if (batch.length === 0 || (last && chain.join === null)) {
      yield batch;
      return;
    }
    const [target, at, port, stage] = last
      ? ([chain.join!.chain, chain.join!.index, 1, chain.join!.stage] as const)
      : ([chain, index, 0, chain.stages[index]!] as const);
    yield* this.#feedAll(target, at, port, stage.batch(batch));
  }

  *#feedAll(chain: Chain, index: number, port: number, input: InputBatch): Generator<BatchData> {
    const { rows } = input;
    for (let start = 0; start < rows; start += MORSEL_ROWS)
      yield* this.#feed(chain, index, port, input, start, Math.min(MORSEL_ROWS, rows - start), 0);
  }

  /** The operators of the last step, when their results may stay in the kernel's memory; else null. */
  get lastOperators(): readonly Operator[] | null {
    const last = this.#chains[0]!.steps.at(-1);
    return last instanceof AggregateStep || last instanceof SortStep ? last.operators : null;
  }

  /** The results of `lastOperators`, left in the kernel's memory. */
  finishResident(): ResidentBatch[] {
    this.#relief?.release();
    const last = this.#chains[0]!.steps.at(-1)!;
    const settles = last instanceof SortStep || last instanceof AggregateStep;
    const work = () => (settles ? last.takeKept() : null) ?? finishAll(this.lastOperators!);
    return this.#probe === null ? work() : this.#probe.resident(last, work);
  }

  /**
   * The batches that a join or a projection has left in the kernel's memory, which are the caller's now, and the operators that
   * they live as long as: none where each has memory of its own.
   */
  takeKept(): { readonly operators: readonly Operator[]; readonly batches: readonly ResidentBatch[] } | null {
    const last = this.#chains[0]!.steps.at(-1);
    if (last instanceof JoinStep && last.kept !== null)
      return { operators: last.operators, batches: last.kept };
    const batches = last instanceof ProjectStep ? last.takeKept() : null;
    return batches === null ? null : { operators: [], batches };
  }

  /** The results of the last step where it has spilled, instead of `finishResident`; null where it has not. */
  finishSpilled(): Iterable<BatchData> | null {
    const last = this.#chains[0]!.steps.at(-1);
    const spills = last instanceof AggregateStep || last instanceof SortStep;
    return spills && last.hasSpilled ? this.#results(last, "finish", () => hosted(last.finish())) : null;
  }

  /** The results of the last step after `finishResident` has found no memory; null where there is no other way. */
  finishInPieces(): Iterable<BatchData> | null {
    const last = this.#chains[0]!.steps.at(-1);
    if (!(last instanceof SortStep && last.mayStartOver)) return null;
    return this.#results(last, "finish", () => last.finish());
  }

  /** Whether rows may leave for files, which results in the kernel's memory would leave less room for. */
  get maySpill(): boolean {
    return this.#relief !== null;
  }

  /** From now on the end of input does not reach the last step: the caller pulls `lastOperators` himself. */
  leaveLast(): void {
    this.#leavesLast = true;
  }

  /** The watermark of a source whose first step keeps time by itself. */
  ownWatermark(source: number): bigint | null {
    return this.#chains[source]!.steps[0]!.operators[0]!.watermarkTime;
  }

  /** What each step holds of the kernel's memory, by the name that `explain` gives it; most first. */
  get held(): MemoryHolder[] {
    return this.#chains
      .flatMap(({ steps, titles }) =>
        steps.map(({ operators }, index) => ({
          what: titles[index]!,
          bytes: operators
            .filter(({ isOpen }) => isOpen)
            .reduce((sum, operator) => sum + operator.stats().stateBytes, 0),
        })),
      )
      .filter(({ bytes }) => bytes > 0)
      .sort((a, b) => b.bytes - a.bytes);
  }

  /** What the operators hold and have counted. */
  get state(): RunState {
    const operators = this.#chains
      .flatMap(({ steps }) => steps)
      .flatMap((step) => step.operators)
      .filter(({ isOpen }) => isOpen);
    const stats = operators.map((operator) => operator.stats());
    const total = (of: "stateBytes" | "lateRows" | "partlyLateRows" | "nullTimes") =>
      stats.reduce((sum, counts) => sum + counts[of], 0);
    const late = this.#chains.flatMap(({ steps }) => steps.map((step) => step.lateRows ?? 0));
    const lateRows = late.reduce((sum, rows) => sum + rows, total("lateRows"));
    return {
      stateBytes: total("stateBytes"),
      lateRows,
      partlyLateRows: total("partlyLateRows"),
      nullTimes: total("nullTimes"),
    };
  }

  /**
   * What the steps are between two morsels.
   * @throws CheckpointError for a step that cannot be saved.
   */
  save(): SavedChain[] {
    return this.#chains.map(({ steps, titles, open }) => ({
      open: [...open],
      steps: steps.map((step, index) => {
        if (open[index] === 0) return null;
        const saved = step.save?.() ?? "such steps cannot be saved yet";
        if (typeof saved !== "string") return saved;
        throw new CheckpointError(`the stream cannot be saved: ${titles[index]}: ${saved}`, {
          value: titles[index],
        });
      }),
    }));
  }

  /** Goes on from what a pipeline of the same plan has saved. */
  restore(saved: readonly SavedChain[]): void {
    for (const [index, { steps, open }] of this.#chains.entries()) {
      const chain = saved[index]!;
      for (const [at, step] of steps.entries()) {
        const kept = chain.steps[at]!;
        const ports = chain.open[at]!;
        if (!(ports >= 0 && ports <= open[at]!) || (ports === 0) !== (kept === null))
          throw new CorruptStateError("the checkpoint is damaged: a step has impossible inputs");
        open[at] = ports;
        if (kept !== null) step.restore!(kept);
      }
    }
  }

  /** Stops workers that are at work here; then the pipeline and its inputs can be freed. */
  async abandon(): Promise<void> {
    const steps = this.#chains.flatMap((chain) => chain.steps);
    await Promise.all(steps.map((step) => step.abandon?.()));
  }

  /** Gives all memory back, except that of a step whose operators `keep` names. */
  free(keep: readonly Operator[] = []): void {
    this.#relief?.close();
    if (!this.#kernel.isAlive) return;
    for (const { steps, stages, join } of this.#chains) {
      for (const step of steps) {
        if (!step.operators.some((operator) => keep.includes(operator))) step.free();
        this.#kernel.retire(step);
      }
      for (const stage of stages) stage.free();
      join?.stage.free();
    }
    this.#kernel.retire(this);
  }
}

/** The results of all operators; when one fails, none are held. */
function finishAll(operators: readonly Operator[]): ResidentBatch[] {
  const batches: ResidentBatch[] = [];
  try {
    for (const operator of operators) batches.push(...operator.finishResident());
  } catch (error) {
    for (const batch of batches) batch.free();
    throw error;
  }
  return batches;
}

/** What is known of a source before it is read. */
interface Known {
  readonly timing: Timing | null;
  readonly rows: number | null;
  readonly isLoaded: boolean;
}

function knownOf({ timing, sizes, loaded }: StepOptions, source: number): Known {
  return {
    timing: timing[source] ?? null,
    rows: sizes[source] ?? null,
    isLoaded: loaded[source] ?? false,
  };
}

function* stepsOf(
  kernel: Kernel,
  stages: readonly PhysicalStage[],
  options: StepOptions,
  source: Known,
  right: () => Known,
  isResult: boolean,
): Generator<{ step: Step; stages: readonly PhysicalStage[] }> {
  const bound = source.timing?.bound ?? null;
  // What gives results as rows come would keep those of a stream back; grouping sets are faster together.
  const prompt = options.inTurn ? options : { ...options, pool: null };
  // Null behind a join that watermarks do not pass.
  let { timing } = source;
  for (let index = 0; index < stages.length; index++) {
    const stage = stages[index]!;
    const alone = { stages: [stage] };
    const isLast = index === stages.length - 1;
    const keepsResults = options.keepResults === true && isResult && isLast;
    const lends = !isLast && takesAtOnce(stages, index + 1);
    // What does not stay where it was made is loaded as it comes.
    const isLoaded = keepsResults && options.relief === null && isPlain(stage.schema);
    if (stage.kind === "aggregate") {
      const told = index === 0 ? expecting(stage, source.rows) : stage;
      const step = new AggregateStep(kernel, told, { ...options, keepResults: keepsResults, lends });
      yield { ...alone, step };
    } else if (stage.kind === "groupingSets")
      yield { ...alone, step: new GroupingSetsStep(kernel, stage, { ...prompt, keepResults: false }) };
    else if (stage.kind === "window") {
      const step = new WindowStep(kernel, stage, { ...options, bound: index === 0 ? bound : null });
      if ((lends && prompt.pool === null) || isLoaded) step.operator.lendResults();
      yield { ...alone, step };
    } else if (stage.kind === "over")
      yield { ...alone, step: new OverStep(kernel, stage, { ...options, clock: timing?.column ?? null }) };
    else if (stage.kind === "union")
      yield { ...alone, step: new UnionStep(stage.schema, isTimedUnion(stage, timing, right().timing)) };
    else if (stage.kind === "join") {
      // Results that stay where they are made stay when rows leave for files, too, and would be in their way.
      const mayLeave = options.relief !== null && options.inTurn && joinSpills(stage);
      const keepResults = keepsResults && !mayLeave;
      const passes = timing?.passed.has(stage) ?? false;
      if (stage.time === null && !passes) timing = null;
      const loadedRows = ({ isLoaded, rows }: Known) => (isLoaded && rows !== null ? rows : 0);
      const loaded = [
        index === 0 ? loadedRows(source) : 0,
        stage.input.stages.length === 0 ? loadedRows(right()) : 0,
      ] as const;
      yield { ...alone, step: new JoinStep(kernel, stage, { ...prompt, keepResults, passes, loaded }) };
    } else if (stage.kind === "limit" && stage.ordered) yield { ...alone, step: new SliceStep(stage) };
    else {
      const order = orderAt(stages, index, timing !== null);
      if (order === null) {
        // What an aggregation lends does not wait for others.
        const isLent = stages[index - 1]?.kind === "aggregate" && takesAtOnce(stages, index);
        const pool = isLent ? null : prompt.pool;
        const step = new ProjectStep(kernel, stage as ProjectStage, {
          ...prompt,
          pool,
          keepResults: isLoaded,
          isLent,
        });
        yield { ...alone, step };
      } else {
        const covered = { stages: stages.slice(index, index + order.stages) };
        if (order.timed) yield { ...covered, step: new TimedSortStep(kernel, order, options) };
        else if (hasOpaque(stage.schema))
          yield { ...covered, step: new CarryingSortStep(kernel, order, options) };
        else yield { ...covered, step: new SortStep(kernel, order, prompt) };
        index += order.stages - 1;
      }
    }
  }
}

/** What a filter lets through of so many rows at least, as far as anybody plans for it. */
const FILTERED_SHARE = 1 / 8;

/** An aggregation of a source's rows, told how many there are. */
function expecting(stage: AggregateStage, rows: number | null): AggregateStage {
  if (rows === null) return stage;
  const some = stage.filters.length === 0 ? rows : rows * FILTERED_SHARE;
  return { ...stage, config: asExpecting(stage.config, some) };
}

/** Whether a stage has done all that it will with a batch when it has taken it: what it is given need not last. */
function takesAtOnce(stages: readonly PhysicalStage[], index: number): boolean {
  const stage = stages[index]!;
  return stage.kind === "project" && stage.passthrough.length === 0 && orderAt(stages, index, false) === null;
}

/** Whether both sides have watermarks, on columns that are one of the union. */
function isTimedUnion({ clocks }: UnionStage, left: Timing | null, right: Timing | null): boolean {
  return clocks.some((pair) => pair[0] === left?.column && pair[1] === right?.column);
}

/** Whether the state of an aggregation can leave for files: it is divided by keys, and nothing has left before the end. */
function isSpillable({ changelog, keys }: AggregateStage): boolean {
  return !changelog && keys !== 0;
}

function hasTextKeys({ schema, keys }: AggregateStage): boolean {
  return schema.fields.slice(0, keys).some(({ type }) => {
    const { kind } = valueType(type);
    return kind === "utf8" || kind === "largeUtf8";
  });
}

function maySpill(plan: LoweredPlan, isTimed: boolean, inTurn: boolean): boolean {
  const stages = chainsIn(plan).flatMap((chain) => chain.stages);
  return stages.some(
    (stage, index) =>
      (stage.kind === "join" && inTurn && joinSpills(stage)) ||
      (stage.kind === "sort" && stages[index + 1]?.kind !== "limit") ||
      (stage.kind === "over" && !stage.sorted && !isTimed) ||
      (stage.kind === "aggregate" && isSpillable(stage)) ||
      (stage.kind === "groupingSets" && stage.sets.some((set) => isSpillable(set.stage))),
  );
}

function titleOf(stages: readonly PhysicalStage[]): string {
  const { name, detail } = stageTitle(stages.at(-1)!);
  return `${name} ${detail}`;
}

/** Whether all columns lie in the kernel's memory where a batch is loaded. */
function isPlain({ fields }: Schema): boolean {
  return fields.every(({ type }) => physicalType(valueType(type)) !== Type.NONE);
}

function hasOpaque(schema: Schema): boolean {
  return schema.fields.some(({ type }) => isCarried(type));
}

/**
 * What the stages from `index` on put in order: a sort, its limit, and the projection before them, whose program
 * the sort takes over (but for columns that the kernel cannot read). Null when they do not begin with that.
 */
function orderAt(stages: readonly PhysicalStage[], index: number, withWatermarks: boolean): Order | null {
  const first = stages[index]!;
  const project = first.kind === "project" && first.passthrough.length === 0 ? first : null;
  const at = project === null ? index : index + 1;
  const stage = stages[at];
  if (stage?.kind === "limit" && !stage.ordered) {
    return { project, schema: stage.schema, by: [], limit: stage, timed: false, stages: at - index + 1 };
  }
  if (stage?.kind !== "sort") return null;
  const timed = withWatermarks && stage.timed;
  const next = stages[at + 1];
  // A limit of what leaves in turns is a step of its own.
  const limit = next?.kind === "limit" && !timed ? next : null;
  return {
    project,
    schema: stage.schema,
    by: stage.by,
    limit,
    timed,
    stages: at - index + (limit === null ? 1 : 2),
  };
}

class AggregateStep extends OperatorStep implements Spillable {
  readonly #changelog: boolean;
  readonly #batchRows: number;
  /** Makes the operator that goes on when one has been written. */
  readonly #createNext: (aside?: boolean) => Operator;
  /** Where morsels are shared with other workers. */
  readonly #parallel: ParallelPush | null;
  readonly #inTurn: boolean;
  /** How what a pull has left is taken. */
  readonly #take: Take<StepBatch>;
  /** What has left for files, where state may: only that with keys can be divided. */
  readonly #spilled: SpilledAggregation | null;
  #hasSpilled = false;
  /** Whether results are being read: nothing can be spilled any more. */
  #isFinishing = false;
  /** What a push met in the midst of its rows: there is nothing to spill any more, and no push to make again. */
  #failure: unknown = null;

  constructor(
    kernel: Kernel,
    stage: AggregateStage,
    {
      batchRows,
      pool,
      relief,
      inTurn,
      keepResults = false,
      lends = false,
    }: StepOptions & { lends?: boolean },
  ) {
    const { columns, texts, instructions, changelog } = stage;
    const spills = relief !== null && isSpillable(stage);
    const isShared = pool !== null && !changelog;
    const leaves = spills && mayLeave(stage.config);
    // What may leave for files takes memory while it does, and is not to be kept in it.
    const keepsResults = keepResults && relief === null && !changelog;
    // A projection reads codes as it does texts.
    const isLent = lends && relief === null && !changelog;
    const passing = isLent ? asLending(stage.config) : stage.config;
    const config = keepsResults ? asKeeping(stage.config, true) : passing;
    // Where memory ends while the first results are written, all that was pushed goes to files.
    const drains = !spills && !isShared && mayLeave(stage.config);
    const configOf = (waiting: Parameters<typeof asLeaving>[1]) => {
      if (leaves) return asLeaving(config, waiting);
      if (drains) return asDraining(config);
      return isShared ? asShared(config) : config;
    };
    const operatorOf = (config: Uint8Array, keepsResults: boolean) =>
      kernel.operator({
        kind: OperatorKind.HASH_AGGREGATE,
        config,
        columns,
        output: stage.schema,
        emitsPerPush: changelog,
        keepsResults,
        labels: texts.map((text, index) => labelOf(text, stage.output[index]!.name)),
        instruction: (index) => instructions[index],
      });
    // A stream may be saved, with all that waits, as long as it has not spilled.
    const createFirst = () => operatorOf(configOf(inTurn ? null : "saved"), keepsResults);
    const createNext = (aside = false) => operatorOf(configOf(aside ? "aside" : null), keepsResults);
    const keepsParts = (keepsResults || isLent) && mayLeave(config);
    const createKeeping = keepsParts
      ? () => operatorOf(asDraining(asKeeping(stage.config, true)), true)
      : null;
    super(createFirst(), relief);
    this.#createNext = createNext;
    this.#changelog = changelog;
    this.#batchRows = lends ? Math.min(batchRows, MORSEL_ROWS) : batchRows;
    this.#take = lends ? (operator) => operator.takenResident() : (operator) => operator.taken();
    this.#spilled = spills ? new SpilledAggregation(relief, createNext) : null;
    const staysAlone = aloneWhere(this.operator.divides(), hasTextKeys(stage));
    this.#parallel = isShared
      ? new ParallelPush(pool, this.operator, createFirst, staysAlone, false, createKeeping)
      : null;
    this.#inTurn = inTurn;
    if (spills) relief.add(this);
  }

  override get operators(): readonly Operator[] {
    return this.#parallel?.operators ?? [this.operator];
  }

  get turnMs(): number | undefined {
    if (this.relief !== null || this.#changelog) return undefined;
    return this.#parallel === null || this.#inTurn ? TURN_MS : SPREAD_TURN_MS;
  }

  /** Where other workers take morsels of it. */
  get parallel(): ParallelPush | null {
    return this.#parallel;
  }

  get runs(): number {
    return (this.#spilled?.runs ?? 0) + (this.#parallel?.merged ?? 0);
  }

  get hasSpilled(): boolean {
    return this.#hasSpilled;
  }

  get spillable(): number {
    if (this.#isFinishing || this.#failure !== null || !this.operator.isOpen) return 0;
    const { rowsIn, stateBytes } = this.operator.stats();
    return rowsIn === 0 ? 0 : stateBytes;
  }

  *spill(): Generator<void> {
    this.#hasSpilled = true;
    const isAside = yield* this.#spilled!.write(this.operator);
    this.replace(this.#createNext(isAside));
  }

  *push(input: InputBatch, start: number, rows: number, firstRow: number): Generator<StepBatch> {
    if (this.#parallel !== null) {
      const push = this.#inTurn ? this.#parallel : this.#parallel.spread;
      yield* atWork(push.push(input, start, rows, firstRow), this.operator.output);
      return;
    }
    if (!this.#changelog) {
      yield* taken(this.relief, this.operator.output, start, rows, (from, some) =>
        this.#apply(input, from, some, firstRow),
      );
      return;
    }
    if ((yield* this.pushed(input, start, rows, firstRow)) === Status.HAS_MORE) yield* this.changes();
  }

  #apply(input: InputBatch, start: number, rows: number, firstRow: number): void {
    if (this.#failure !== null) throw this.#failure;
    try {
      this.operator.push(input, start, rows, firstRow);
    } catch (error) {
      const isRefused = error instanceof MemoryLimitError && this.operator.isSound();
      if (!isRefused) this.#failure = error;
      throw error;
    }
  }

  /** What a push has changed. */
  *changes(): Generator<StepBatch> {
    const pull = pullOf(this.operator, this.#take);
    for (let more = true; more; ) {
      const pulled = pull(this.#batchRows);
      if (pulled.batch !== null) yield pulled.batch;
      more = pulled.more;
    }
  }

  passes(time: bigint): bigint | null {
    return this.#changelog ? time : null;
  }

  watermark(): Iterable<BatchData> {
    return [];
  }

  *finish(): Generator<StepBatch> {
    this.#isFinishing = true;
    if (this.#parallel !== null) {
      yield* atWork(this.#parallel.finish(), this.operator.output);
      yield* this.#parallel.results(this.#batchRows, this.#take);
      return;
    }
    const { operator } = this;
    if (!this.#hasSpilled) {
      operator.watermark(END_OF_INPUT);
      const mayGiveUp = this.#spilled !== null;
      if (!(yield* results(pullOf(operator, this.#take), this.#batchRows, mayGiveUp))) return;
      this.#hasSpilled = true;
    }
    const spilled = this.#spilled!;
    yield* atWork(
      this.relief!.spilling(() => spilled.write(operator)),
      operator.output,
    );
    yield* spilled.results(this.#batchRows);
  }

  save(): SavedStep | string {
    return this.#hasSpilled ? "some of its state is in spill files" : savedOperators(this.operators);
  }

  restore({ states }: SavedStep): void {
    restoreOperator(this.operator, states[0]!);
  }

  /** Writes the results as far as other workers take part in it, for `finishResident`. */
  *settle(): Generator<BatchData> {
    if (this.#parallel === null) return;
    yield* atWork(this.#parallel.finish(), this.operator.output);
    yield* atWork(this.#parallel.keep(), this.operator.output);
  }

  /** The results where the workers have left them (`settle`); null where the operator is still to be asked for them. */
  takeKept(): ResidentBatch[] | null {
    return this.#parallel?.takeKept() ?? null;
  }

  async abandon(): Promise<void> {
    await this.#parallel?.abandon();
  }

  override free(): void {
    this.#parallel?.free();
    super.free();
  }
}

/**
 * One aggregation a set of keys. One program, which computes what any set reads, feeds all of them a vector at a time, in
 * each worker that takes part, unless their state may leave for files, where each is pushed by itself.
 */
class GroupingSetsStep implements Step {
  readonly #stage: GroupingSetsStage;
  readonly #steps: AggregateStep[] = [];
  #together: PushTogether | null = null;
  /** Where morsels are shared with other workers, each of which pushes together. */
  #shared: SharedPush<PushTogether> | null = null;

  constructor(kernel: Kernel, stage: GroupingSetsStage, options: StepOptions) {
    this.#stage = stage;
    try {
      for (const set of stage.sets) this.#steps.push(new AggregateStep(kernel, set.stage, options));
      if (stage.together !== null && options.relief === null)
        this.#pushTogether(kernel, stage.together, options.pool);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  #pushTogether(kernel: Kernel, program: TogetherProgram, pool: QueryWorkers | null): void {
    this.#together = new PushTogether(kernel, program, this.operators);
    const sets = this.#steps.flatMap(({ parallel }) => (parallel === null ? [] : [parallel]));
    // None of what emits changes is shared.
    if (pool === null || sets.length === 0) return;
    const create = () =>
      new PushTogether(
        kernel,
        program,
        sets.map((set) => set.another()),
      );
    const staysAlone = ({ operators }: PushTogether) =>
      sets.some((set, index) => (set.staysAlone?.(operators[index]!) ?? false) !== false);
    this.#shared = new SharedPush(pool, this.#together, create, {
      staysAlone: sets.every((set) => set.staysAlone === null) ? null : staysAlone,
      task: (others) => ({
        kind: "pushTogether",
        sets: others.map((other) => other.sets),
        count: this.#steps.length,
      }),
    });
  }

  passes(time: bigint): bigint | null {
    return this.#steps.some((step) => step.passes(time) === null) ? null : time;
  }

  get operators(): readonly Operator[] {
    return this.#steps.flatMap(({ operators }) => operators);
  }

  get runs(): number {
    return this.#steps.reduce((sum, { runs }) => sum + runs, 0);
  }

  *push(input: InputBatch, start: number, rows: number, firstRow: number): Generator<BatchData> {
    if (this.#shared !== null) {
      yield* atWork(this.#shared.push(input, start, rows, firstRow), this.#stage.schema);
      return;
    }
    const status = this.#together?.push(input, start, rows, firstRow) ?? null;
    if (status === Status.NEED_INPUT) return;
    for (const [index, step] of this.#steps.entries()) {
      const results = status === null ? step.push(input, start, rows, firstRow) : step.changes();
      yield* this.#widened(index, hosted(results));
    }
  }

  watermark(): Iterable<BatchData> {
    return [];
  }

  /** Set by set; each gives its memory back when its results are out. */
  *finish(): Generator<BatchData> {
    if (this.#shared !== null) yield* atWork(this.#shared.finish(), this.#stage.schema);
    this.#freeTogether();
    for (const [index, step] of this.#steps.entries()) {
      yield* this.#widened(index, hosted(step.finish()));
      step.free();
    }
  }

  *#widened(index: number, results: Iterable<BatchData>): Generator<BatchData> {
    const { sets, schema } = this.#stage;
    const { layout, times } = sets[index]!;
    for (const result of results) {
      const batch = widen(result, layout, schema);
      for (let time = 0; time < times; time++) yield batch;
    }
  }

  save(): SavedStep | string {
    const saved = this.#steps.map((step) => step.save());
    const refused = saved.find((one) => typeof one === "string");
    return refused ?? { kept: {}, states: saved.flatMap((one) => (one as SavedStep).states) };
  }

  restore({ states }: SavedStep): void {
    for (const [index, step] of this.#steps.entries()) step.restore({ kept: {}, states: [states[index]!] });
  }

  async abandon(): Promise<void> {
    await this.#shared?.abandon();
    await Promise.all(this.#steps.map((step) => step.abandon()));
  }

  /** Gives back what the sets were pushed by. */
  #freeTogether(): void {
    this.#shared?.free();
    for (const together of this.#shared?.operators ?? [this.#together]) together?.free();
    this.#shared = null;
    this.#together = null;
  }

  free(): void {
    this.#freeTogether();
    for (const step of this.#steps) step.free();
  }
}

const ROW_INDEX = { name: "row_index", type: uint32, nullable: false };

class ProjectStep extends OperatorStep {
  readonly #stage: ProjectStage;
  readonly #pool: QueryWorkers | null;
  readonly #create: () => Operator;
  #pushed = 0;
  /** What shares morsels with other workers, and has operators of its own. */
  #map: SharedMap | null = null;
  /** Results that stay in the kernel's memory: copies, with their dictionaries; null where they leave. */
  #kept: ResidentBatch[] | null;
  /** Null where what is pushed has none that goes on. */
  readonly #dictionaries: DictionaryCopies | null;

  /** @param isLent whether what is pushed lies in an aggregation's memory, texts maybe as codes, which then leave as such, too */
  constructor(
    kernel: Kernel,
    stage: ProjectStage,
    { pool, relief, keepResults, isLent }: StepOptions & { isLent: boolean },
  ) {
    const { columns, output, passthrough, instructions } = stage;
    const config = isLent ? asKeepingCodes(stage.config) : stage.config;
    const create = () =>
      kernel.operator({
        kind: OperatorKind.PROJECT,
        config,
        columns,
        output: { fields: passthrough.length > 0 ? [...output, ROW_INDEX] : output },
        emitsPerPush: true,
        instruction: (index) => instructions[index],
      });
    super(create(), relief);
    this.#stage = stage;
    this.#pool = pool;
    this.#create = create;
    this.#kept = keepResults === true ? [] : null;
    this.#dictionaries = isLent ? new DictionaryCopies(kernel) : null;
  }

  override get operators(): readonly Operator[] {
    return [this.operator, ...(this.#map?.operators ?? [])];
  }

  /** The results that are kept, which are the caller's from now on; null where they leave. */
  takeKept(): ResidentBatch[] | null {
    const kept = this.#kept;
    this.#kept = null;
    return kept;
  }

  *push(input: InputBatch, start: number, rows: number, firstRow: number): Generator<BatchData> {
    if (this.#pool !== null && this.#pushed++ > 0) {
      this.#map ??= this.#share(this.#pool);
      yield* this.#map.push(input, start, rows, firstRow);
      return;
    }
    if ((yield* this.pushed(input, start, rows, firstRow)) !== Status.HAS_MORE) return;
    this.operator.pullHere(MORSEL_ROWS, BATCH_BYTES);
    yield* this.#given(this.operator, input, start);
  }

  /** What a pull, which gives all that a push has made, has left. */
  *#given(operator: Operator, input: InputBatch, start: number): Generator<BatchData> {
    if (this.#kept !== null) {
      const batch = operator.takenResident();
      if (batch !== null) this.#kept.push(batch.copy(this.#dictionaries));
      return;
    }
    const batch = operator.taken();
    if (batch !== null) yield this.#withPassthrough(batch, input, start);
  }

  #share(pool: QueryWorkers): SharedMap {
    return new SharedMap({
      kernel: this.operator.kernel,
      pool,
      port: 0,
      maxRows: MORSEL_ROWS,
      maxBytes: 0,
      create: this.#create,
      take: (operator, _more, { input, start }) => this.#given(operator, input, start),
    });
  }

  passes(time: bigint): bigint {
    return time;
  }

  watermark(): Iterable<BatchData> {
    return [];
  }

  *finish(): Generator<BatchData> {
    if (this.#map !== null) yield* this.#map.finish();
    this.#freeMap();
  }

  save(): SavedStep {
    return { kept: {}, states: [] };
  }

  restore(): void {}

  async abandon(): Promise<void> {
    await this.#map?.abandon();
  }

  override free(): void {
    for (const batch of this.#kept ?? []) batch.free();
    this.#freeMap();
    super.free();
  }

  #freeMap(): void {
    for (const operator of this.#map?.operators ?? []) operator.destroy();
    this.#map?.free();
    this.#map = null;
  }

  /** Columns that the kernel cannot read are picked on this side, by the row numbers in the last output. */
  #withPassthrough(batch: BatchData, input: InputBatch, start: number): BatchData {
    const { passthrough, schema } = this.#stage;
    if (passthrough.length === 0) return { ...batch, schema };
    const rows = rowNumbers(batch.columns.at(-1)!, start);
    const columns = batch.columns.slice(0, -1);
    for (const { position, inputColumn } of passthrough) {
      columns.splice(position, 0, takeOpaque(input.source(inputColumn)!, rows));
    }
    return { schema, length: batch.length, columns };
  }
}

function rowNumbers(column: ColumnData, start: number): Uint32Array {
  const { buffer, byteOffset } = column.values;
  return new Uint32Array(buffer, byteOffset, column.length).map((row) => row + start);
}

/** A limit over rows that come in order: the first rows after `offset`. */
class SliceStep implements Step {
  readonly operators = [];
  readonly #limit: LimitStage;
  #seen = 0;

  constructor(limit: LimitStage) {
    this.#limit = limit;
  }

  *push(input: InputBatch, start: number, rows: number): Generator<BatchData> {
    const { count, offset, schema } = this.#limit;
    const first = Math.max(offset - this.#seen, 0);
    const last = Math.min(offset + count - this.#seen, rows);
    this.#seen += rows;
    if (first < last) yield sliceRows(hostBatch(input, schema), start + first, start + last);
  }

  passes(time: bigint): bigint {
    return time;
  }

  watermark(): Iterable<BatchData> {
    return [];
  }

  finish(): Iterable<BatchData> {
    return [];
  }

  save(): SavedStep {
    return { kept: { seen: this.#seen }, states: [] };
  }

  restore({ kept }: SavedStep): void {
    this.#seen = kept.seen as number;
  }

  free(): void {}
}

/** A sort of windows' results by the windows' ends first: what a watermark has brought leaves in order after it. */
class TimedSortStep implements Step {
  readonly #kernel: Kernel;
  readonly #order: Order;
  readonly #batchRows: number;
  /** Of the rows since the last watermark; null while there are none. */
  #operator: Operator | null = null;

  constructor(kernel: Kernel, order: Order, { batchRows }: PipelineOptions) {
    this.#kernel = kernel;
    this.#order = order;
    this.#batchRows = batchRows;
  }

  get operators(): readonly Operator[] {
    return this.#operator === null ? [] : [this.#operator];
  }

  push(input: InputBatch, start: number, rows: number, firstRow: number): Iterable<BatchData> {
    this.#operator ??= sortOperatorOf(this.#kernel, this.#order);
    this.#operator.push(input, start, rows, firstRow);
    return [];
  }

  passes(time: bigint): bigint {
    return time;
  }

  watermark(): Iterable<BatchData> {
    return this.finish();
  }

  *finish(): Generator<BatchData> {
    const operator = this.#operator;
    if (operator === null) return;
    try {
      yield* operator.finish(this.#batchRows);
    } finally {
      this.free();
    }
  }

  save(): SavedStep | string {
    return this.#operator === null ? { kept: {}, states: [] } : "rows wait for a watermark";
  }

  restore(): void {}

  free(): void {
    this.#operator?.destroy();
    this.#operator = null;
  }
}
