// The engine: one kernel, and the two ways to run a plan on it.
//
// `collect` and `stream` differ in what they do with results, in nothing else: both drive the same pipeline
// over the same morsels.

import { type RecordBatch, Table } from "apache-arrow";
import { fromArrow, toRecordBatch, toTable } from "../arrow/index.js";
import {
  formatBytes,
  type Kernel,
  type KernelBuild,
  type Operator,
  type ResidentBatch,
  Stage,
  type WasmSource,
} from "../kernel/index.js";
import {
  bind,
  chainsIn,
  GroupedPlan,
  type JoinStage,
  type LoweredPlan,
  Plan,
  sourcesOf,
} from "../plan/index.js";
import { type PoolFaults, QueryWorkers, type WorkerPool, type WorkerStats } from "../pool/index.js";
import { type Host, SpillFolder, type SpillOptions, type SpillStats } from "../spill/index.js";
import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";
import {
  ArgumentError,
  ClosedError,
  CorruptStateError,
  MemoryLimitError,
  MillraceError,
} from "../type/error.js";
import { AT_BOUNDARY, Boundary, type Position, type Save } from "./boundary.js";
import { type Counts, checkPending, parseCheckpoint, type Restored, writeCheckpoint } from "./checkpoint.js";
import { MemoryQueue } from "./memory-queue.js";
import { Meter, type MetricsMeter } from "./metrics.js";
import { Pipeline, type PipelineOptions } from "./pipeline.js";
import { checkPrint, planPrint } from "./plan-print.js";
import { prepare } from "./prepared.js";
import { Probe } from "./probe.js";
import type { RunProfile } from "./profile.js";
import {
  type FinishedStats,
  QueryLog,
  type QueryMode,
  type QueryRecord,
  type QueryStats,
} from "./query-stats.js";
import { Counters, type DriveOptions, drive, type Opened, Run, type RunState, type RunStats } from "./run.js";
import { checkShare, type Share, type ShareOptions, Shares } from "./shares.js";
import { isBatchData, Source, type SourceInput } from "./source.js";
import { type SourceClock, WindowClock } from "./source-clock.js";
import { KernelTable } from "./table.js";
import {
  checkClock,
  idleMilliseconds,
  ownBound,
  passedJoins,
  sourceClock,
  type WatermarkOptions,
} from "./watermark.js";
import { checkWorkers, openWorkers, type Workers } from "./workers.js";

export interface EngineOptions {
  /**
   * Threads that `collect` runs on, the calling one among them: 1 (the default) to 64. More than 1 need shared memory:
   * Node has it, a page when it is cross-origin isolated. Elsewhere there is one, and `stats().workers` says why.
   */
  readonly workers?: number;
  /** Most memory of inputs, state and results together, in bytes or as a text like "2 GiB". Default: half of the machine's, at most 3.5 GiB. */
  readonly memory?: number | string;
  /**
   * Where state goes that does not fit the memory, in Node: `{ directory: "/tmp" }`. Aggregations with keys, and sorts,
   * write it there as Arrow IPC files, and finish. Nothing is left there when a run ends; a killed process's files go at the next start.
   * Without it a run that needs more memory fails with MemoryLimitError.
   */
  readonly spill?: SpillOptions;
  /** Which build of the kernel; "auto" (the default) takes SIMD where the host has it. Several workers need "threads". */
  readonly build?: KernelBuild | "auto";
  /** The kernel's module, or where to get it, where the package's own files cannot be read. */
  readonly wasm?: WasmSource;
  /**
   * Is told how many queries there were, their rows, bytes and time, and asked now and then to observe memory and workers:
   * a `Meter` of OpenTelemetry (`metrics.getMeter("millrace")`), or any object with its methods.
   */
  readonly meter?: MetricsMeter;
  /** @internal */
  readonly faults?: PoolFaults & { readonly spillHost?: Host };
}

/** Data by the name under which the plan reads it. */
export type Inputs = Readonly<Record<string, SourceInput>>;

export interface CollectOptions {
  readonly signal?: AbortSignal;
  /** What this run gets of the engine's time while others run, too. Class "batch" by default: streams come before it. */
  readonly share?: ShareOptions;
  /**
   * Most memory of this run, in bytes or as a text like "64 MiB": its input, state and results. Default: what the engine has
   * left.
   */
  readonly memory?: number | string;
  /**
   * Of a run with a `memory`: "fail" (the default) begins at once, and fails when the engine's memory ends before its own;
   * "wait" begins when so much is free, and promised to no other run.
   */
  readonly whenFull?: "fail" | "wait";
  /**
   * "arrow" (the default): a copy that outlives the engine. "kernel": the result stays in the kernel's memory. Of a join it
   * may lie in a table that was loaded, whose memory is then given back when both have been freed.
   */
  readonly result?: "arrow" | "kernel";
  /** Is told how far the run is: when it begins, about ten times a second, and when its input is done. The run fails if it throws. */
  readonly progress?: (progress: Progress) => void;
}

/** How far a run is. */
export interface Progress {
  /** Rows that were taken from the sources, of all of them together. */
  readonly rows: number;
  /** How many there are; null where a source does not know yet. */
  readonly of: number | null;
}

export interface StreamOptions {
  readonly signal?: AbortSignal;
  /** What this run gets of the engine's time while others run, too. Class "stream" by default: it comes before batches. */
  readonly share?: ShareOptions;
  /** Most memory of this run, in bytes or as a text like "64 MiB". Default: what the engine has left. */
  readonly memory?: number | string;
  /**
   * What an aggregation without windows emits: "onClose" (the default) its result at the end of input,
   * "onUpdate" a changelog as rows arrive, with the int8 column `row_kind` (0 +I, 1 -U, 2 +U, 3 -D).
   */
  readonly emit?: "onClose" | "onUpdate";
  /** Most rows of a result batch; 65,536 by default. */
  readonly batchRows?: number;
  /**
   * By the names of sources, how their rows say that time has passed:
   * `{ orders: { column: "ts", outOfOrderness: "5 seconds" } }`. It closes windows over that column while the
   * stream runs; without it they close when the input ends, and no row is ever late.
   */
  readonly watermarks?: Readonly<Record<string, WatermarkOptions>>;
  /**
   * What becomes of late rows, besides being counted: "drop" (the default), or a function that gets them as they
   * come to their window, all columns of the source. The run waits for it, and fails if it does.
   */
  readonly late?: "drop" | ((rows: RecordBatch) => void | Promise<void>);
  /**
   * What `Run.snapshot()` of an earlier run of the same plan has given: this one goes on from there. The sources give what
   * comes after what that run has read of them (`readCheckpoint(bytes).sources`); one that had ended is not read.
   */
  readonly restore?: Uint8Array;
}

export interface ProfileOptions extends StreamOptions {
  /** "batch" (the default) or "stream". */
  readonly mode?: "batch" | "stream";
}

export interface Profiled {
  readonly result: Table;
  readonly profile: RunProfile;
}

export interface EngineStats {
  readonly build: KernelBuild;
  /** Bytes of the kernel's memory in use, the most so far, and the budget. */
  readonly usedBytes: number;
  readonly peakBytes: number;
  readonly budgetBytes: number;
  /** Runs that have begun and not ended. */
  readonly activeRuns: number;
  /** Queries that run, and what those that are over have added up to. */
  readonly queries: readonly QueryStats[];
  readonly finished: FinishedStats;
  /** Bytes of spill files; null where the engine has no directory for them. */
  readonly spill: SpillStats | null;
  readonly workers: {
    readonly asked: number;
    /** Those that are ready, or about to be. */
    readonly running: number;
    /** Why fewer run than were asked for; null where they do not. */
    readonly fallback: string | null;
    /** Threads that ended and were replaced. */
    readonly restarts: number;
    /** The calling thread first; of morsels that are shared. Empty where one thread runs. */
    readonly each: readonly WorkerStats[];
  };
}

/** Least time between two calls of `progress`. */
const PROGRESS_MS = 100;
const DEFAULT_BATCH_ROWS = 65_536;
/** `collect` hands results on in larger pieces: fewer chunks in the table. */
const COLLECT_BATCH_ROWS = 1 << 20;

export class Engine {
  readonly #kernel: Kernel;
  readonly #workers: Workers;
  readonly #spill: SpillFolder | null;
  /** One a run that has begun and not ended. */
  readonly #runs = new Set<AbortController>();
  readonly #shares = new Shares();
  readonly #meter: Meter | null;
  readonly #log: QueryLog;
  readonly #memory: MemoryQueue;
  /** Those of runs that are going on. */
  readonly #pipelines = new Set<Pipeline>();
  /** Bytes of tables that `load` holds. */
  #loadedBytes = 0;
  #closed = false;
  /** A function of the engine, and not of each run: V8 drops what it has compiled of those that are gone. */
  readonly #check = (): void => {
    if (this.#closed) throw new ClosedError("the engine is closed");
  };

  private constructor(
    kernel: Kernel,
    workers: Workers,
    meter: MetricsMeter | null,
    spill: SpillFolder | null,
  ) {
    this.#kernel = kernel;
    this.#workers = workers;
    this.#spill = spill;
    const levels = () => ({
      usedBytes: kernel.usedBytes,
      activeRuns: this.#runs.size,
      workers: workers.pool?.stats ?? [],
    });
    this.#meter = meter === null ? null : new Meter(meter, levels);
    this.#log = new QueryLog(this.#meter);
    this.#memory = new MemoryQueue(kernel, () => this.#runs.size);
    // A run's own may be asked for as long as the caller has the run.
    kernel.retire(new Boundary());
  }

  /**
   * @throws ArgumentError for an option out of range; SpillError for a spill directory that cannot be written.
   */
  static async open(options: EngineOptions = {}): Promise<Engine> {
    const { workers = 1, memory, spill, build, wasm, meter, faults } = options;
    checkMeter(meter);
    checkWorkers(workers, build);
    const folder = spill === undefined ? null : await SpillFolder.open(spill, faults?.spillHost);
    try {
      const { kernel, ...pool } = await openWorkers(workers, { budget: memory, build, wasm }, faults);
      return new Engine(kernel, pool, meter ?? null, folder);
    } catch (error) {
      folder?.close();
      throw error;
    }
  }

  /**
   * Resolves when all workers have started, or failed to (`stats().workers` says why). Nobody needs to wait for that, but
   * who measures: runs begin on the calling thread, and workers take part once they are ready.
   */
  async ready(): Promise<void> {
    await this.#workers.pool?.ready();
  }

  /** @internal An engine over a kernel of the caller's, and what goes with it: tests have one with fault switches. */
  static over(kernel: Kernel, pool: WorkerPool | null = null, spill: SpillFolder | null = null): Engine {
    const asked = 1 + (pool?.threads ?? 0);
    return new Engine(kernel, { asked, pool, fallback: null }, null, spill);
  }

  /**
   * Copies a table into the kernel's memory, where runs read it without another copy. Lists, structs and
   * other types that Millrace does not compute on stay on the host. Integers of 4 and 8 bytes that are all from 0 to 255, and
   * codes of dictionaries that are, lie in a byte each besides, for runs that add them up, where a quarter of the engine's
   * memory stays free. Batches of 65,536 rows and more are joined to larger ones.
   * @param columns names of the columns to load; all by default
   * @throws MemoryLimitError when it does not fit; nothing is held then.
   */
  async load(table: object, columns?: readonly string[]): Promise<KernelTable> {
    this.#check();
    const { schema, batches } = readTable(table);
    const before = this.#kernel.usedBytes;
    const resident = this.#kernel.load(batches, columns);
    const bytes = this.#kernel.usedBytes - before;
    this.#loadedBytes += bytes;
    return new KernelTable(schema, resident.batches, () => {
      this.#loadedBytes -= bytes;
      resident.free();
      this.#memory.look();
    });
  }

  /**
   * Runs a plan to its end and answers the whole result.
   * @throws MillraceError: what is wrong with plan, data or memory; the signal's reason when it aborts.
   */
  collect(
    plan: Plan<unknown>,
    inputs?: Inputs,
    options?: CollectOptions & { result?: "arrow" },
  ): Promise<Table>;
  collect(
    plan: Plan<unknown>,
    inputs: Inputs,
    options: CollectOptions & { result: "kernel" },
  ): Promise<KernelTable>;
  async collect(
    plan: Plan<unknown>,
    inputs: Inputs = {},
    options: CollectOptions = {},
  ): Promise<Table | KernelTable> {
    return this.#collect(plan, inputs, options, null);
  }

  async #collect(
    plan: Plan<unknown>,
    inputs: Inputs,
    { signal, share: wanted, memory, whenFull = "fail", result = "arrow", progress }: CollectOptions,
    probe: Probe | null,
  ): Promise<Table | KernelTable> {
    this.#check();
    checkPlan(plan);
    checkChoice("result", result, ["arrow", "kernel"]);
    checkChoice("whenFull", whenFull, ["fail", "wait"]);
    this.#checkMemory(memory, whenFull);
    const controller = new AbortController();
    const signals = allOf(signal, controller);
    const share = this.#shares.open(checkShare(wanted, "batch"));
    const workers = this.#queryWorkers(probe);
    const counters = new Counters();
    const bounded = { memory, isWaiting: whenFull === "wait" };
    return this.#track(controller, share, "batch", counters, workers, (record) =>
      this.#bounded(bounded, signals, async (kernel) => {
        const opened = await this.#open(kernel, plan, inputs, {
          emit: null,
          batchRows: COLLECT_BATCH_ROWS,
          inTurn: true,
          keepResults: result === "kernel",
          pool: workers,
          watermarks: {},
          late: null,
          signal: signals,
          probe,
        });
        record.stateBytes = () => {
          if (workers !== null) return null;
          return this.#kernel.isAlive ? opened.pipeline.state.stateBytes : 0;
        };
        let kept: readonly Operator[] = [];
        try {
          const driving = { signal: signals, check: this.#check, share, probe };
          const options =
            progress === undefined ? driving : { ...driving, progress: teller(opened, progress) };
          if (result === "kernel") {
            const made = await this.#collectResident(kernel, opened, counters, options);
            kept = made.operators;
            return made.table;
          }
          const batches: BatchData[] = [];
          for await (const batch of drive(opened, counters, options)) batches.push(batch);
          return toTable(opened.pipeline.schema, batches);
        } catch (error) {
          throw this.#explained(error, opened.pipeline, kernel);
        } finally {
          record.stateBytes = () => 0;
          await opened.pipeline.abandon();
          opened.pipeline.free(kept);
          this.#pipelines.delete(opened.pipeline);
          await closeAll(opened.readers);
        }
      }),
    );
  }

  /** The pool as one query sees it; null where one thread runs. */
  #queryWorkers(probe: Probe | null): QueryWorkers | null {
    const { pool } = this.#workers;
    const workers = pool === null ? null : new QueryWorkers(pool, probe);
    probe?.sharedWith(workers);
    return workers;
  }

  /** Runs `work` with the kernel of a query that has a memory of its own, or the engine's. */
  async #bounded<T>(
    { memory, isWaiting }: { memory: number | string | undefined; isWaiting: boolean },
    signal: AbortSignal,
    work: (kernel: Kernel) => Promise<T>,
  ): Promise<T> {
    if (memory === undefined) return work(this.#kernel);
    const kernel = isWaiting ? await this.#memory.wait(memory, signal) : this.#memory.open(memory);
    try {
      signal.throwIfAborted();
      return await work(kernel);
    } finally {
      this.#memory.leave(kernel);
    }
  }

  #checkMemory(memory: number | string | undefined, whenFull: "fail" | "wait"): void {
    if (memory === undefined) {
      if (whenFull === "fail") return;
      throw new ArgumentError('whenFull: "wait" needs to know for how much memory: give memory, too', {
        value: whenFull,
        expected: 'memory: "64 MiB", or the like',
      });
    }
    this.#kernel.checkLimit(memory);
  }

  /**
   * Runs a plan over data as it arrives. Nothing is read before the first `next()`; each later one reads
   * only what it needs for the next batch of results.
   */
  stream(plan: Plan<unknown>, inputs: Inputs = {}, options: StreamOptions = {}): Run {
    return this.#stream(plan, inputs, options, null);
  }

  /**
   * Runs a plan to its end and measures where the time goes: a tree of what ran, with rows, bytes, time and state,
   * and every piece of work on a line of time. What else runs on this engine meanwhile is measured with it: profile
   * alone. The time stops when the result lies complete in the kernel's memory (batch) or has been handed over (stream).
   */
  async profile(
    plan: Plan<unknown>,
    inputs: Inputs = {},
    { mode = "batch", ...options }: ProfileOptions = {},
  ): Promise<Profiled> {
    this.#check();
    checkChoice("mode", mode, ["batch", "stream"]);
    const probe = new Probe(this.#kernel);
    try {
      if (mode === "batch") {
        const { signal, memory } = options;
        const bounds = {
          ...(signal === undefined ? {} : { signal }),
          ...(memory === undefined ? {} : { memory }),
        };
        const collecting = { ...bounds, result: "kernel" } as const;
        const kept = (await this.#collect(plan, inputs, collecting, probe)) as KernelTable;
        const profile = probe.finish(mode);
        try {
          return { result: kept.toArrow(), profile };
        } finally {
          kept.free();
        }
      }
      const batches: RecordBatch[] = [];
      const run = this.#stream(plan, inputs, options, probe);
      for await (const batch of run) batches.push(batch);
      const profile = probe.finish(mode);
      const result = batches.length > 0 ? new Table(batches) : toTable(probe.schema, []);
      return { result, profile };
    } finally {
      probe.stop();
    }
  }

  #stream(plan: Plan<unknown>, inputs: Inputs, options: StreamOptions, probe: Probe | null): Run {
    this.#check();
    const {
      signal,
      memory,
      share: wanted,
      emit = "onClose",
      batchRows = DEFAULT_BATCH_ROWS,
      watermarks = {},
      late = "drop",
      restore,
    } = options;
    const restored = restore === undefined ? null : parseCheckpoint(restore);
    checkPlan(plan);
    checkChoice("emit", emit, ["onClose", "onUpdate"]);
    if (typeof late !== "function") checkChoice("late", late, ["drop"]);
    const sharing = checkShare(wanted, "stream");
    this.#checkMemory(memory, "fail");
    const waiting: BatchData[] = [];
    if (!Number.isInteger(batchRows) || batchRows < 1) {
      throw new ArgumentError(`batchRows must be a whole number above 0, not ${batchRows}`, {
        value: batchRows,
      });
    }
    const controller = new AbortController();
    const signals = allOf(signal, controller);
    const workers = this.#queryWorkers(probe);
    const counters = new Counters();
    let pipeline: Pipeline | null = null;
    const { lateRows = 0, partlyLateRows = 0, nullTimes = 0, counts = NO_COUNTS } = restored ?? {};
    let last: RunState = { stateBytes: 0, lateRows, partlyLateRows, nullTimes };
    /** What steps have counted that had ended when the run was saved, and what their states do not carry. */
    const gone = { lateRows: 0, partlyLateRows: 0, nullTimes: 0 };
    const withGone = (state: RunState): RunState => ({
      stateBytes: state.stateBytes,
      lateRows: state.lateRows + gone.lateRows,
      partlyLateRows: state.partlyLateRows + gone.partlyLateRows,
      nullTimes: state.nullTimes + gone.nullTimes,
    });
    const boundary = new Boundary();
    const engine = this;
    async function* results(): AsyncGenerator<BatchData> {
      signals.throwIfAborted();
      const share = engine.#shares.open(sharing);
      engine.#runs.add(controller);
      const record = engine.#log.begin("stream", counters, workers);
      let isComplete = false;
      let opened: Opened | null = null;
      const base = engine.#kernel;
      let kernel = base;
      try {
        if (memory !== undefined) kernel = engine.#memory.open(memory);
        opened = await engine.#open(kernel, plan, inputs, {
          emit,
          batchRows,
          inTurn: false,
          pool: workers,
          watermarks,
          late: late === "drop" ? null : (rows) => waiting.push(rows),
          signal: signals,
          probe,
          restored,
        });
        pipeline = opened.pipeline;
        record.stateBytes = () => (kernel.isAlive ? (pipeline?.state.stateBytes ?? 0) : 0);
        if (restored !== null) {
          const here = opened.pipeline.state;
          gone.lateRows = lateRows - here.lateRows;
          gone.partlyLateRows = partlyLateRows - here.partlyLateRows;
          gone.nullTimes = nullTimes - here.nullTimes;
        }
        const positions = positionsOf(opened);
        boundary.open(saverOf(opened, positions, () => run.stats, boundary.pending));
        if (restored !== null && restored.pending.length > 0) {
          checkPending(restored.pending, opened.pipeline.schema);
          boundary.pending.push(...restored.pending);
          // They are handed out before the loop begins.
          yield AT_BOUNDARY;
        }
        if (restored?.ended) boundary.end();
        else
          yield* drive(opened, counters, {
            boundary: { at: boundary, positions },
            signal: signals,
            check: engine.#check,
            share,
            late: () => (late === "drop" || waiting.length === 0 ? null : handOver(waiting, late)),
            probe,
          });
        isComplete = true;
      } catch (error) {
        throw engine.#explained(error, opened?.pipeline ?? null, kernel);
      } finally {
        if (!isComplete) boundary.close(new ClosedError("the run is over: there is nothing to save"));
        engine.#leave(controller, share, record, isComplete);
        await opened?.pipeline.abandon();
        if (opened !== null) engine.#pipelines.delete(opened.pipeline);
        if (opened !== null && kernel.isAlive) last = withGone({ ...opened.pipeline.state, stateBytes: 0 });
        pipeline = null;
        opened?.pipeline.free();
        if (opened !== null) await closeAll(opened.readers);
        if (kernel !== base) engine.#memory.leave(kernel);
        engine.#memory.look();
      }
    }
    const state = () => (pipeline === null ? last : withGone(pipeline.state));
    const run = new Run(results(), counters, controller, signals, state, boundary, counts);
    return run;
  }

  stats(): EngineStats {
    const { build, usedBytes, peakBytes, budgetBytes } = this.#kernel;
    const { asked, pool, fallback } = this.#workers;
    const { running: queries, finished } = this.#log;
    const workers = {
      asked,
      running: 1 + (pool?.alive ?? 0),
      fallback: fallback ?? pool?.failure ?? null,
      restarts: pool?.restarts ?? 0,
      each: pool?.stats ?? [],
    };
    return {
      build,
      usedBytes,
      peakBytes,
      budgetBytes,
      activeRuns: this.#runs.size,
      queries,
      finished,
      spill: this.#spill?.stats ?? null,
      workers,
    };
  }

  /** Ends the engine. Runs still going, or waiting for their sources, throw ClosedError; tables in its memory are gone. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const run of [...this.#runs]) run.abort(new ClosedError("the engine is closed"));
    this.#meter?.stop();
    await this.#workers.pool?.close();
    this.#kernel.close();
    this.#spill?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A MemoryLimitError with who holds how much; whatever else as it is. */
  #explained(error: unknown, pipeline: Pipeline | null, kernel: Kernel): unknown {
    if (!(error instanceof MemoryLimitError) || error.held.length > 0 || !this.#kernel.isAlive) return error;
    const held = pipeline?.held ?? [];
    const own = kernel.ownUse;
    const isOwn = own !== null && own.limitBytes - own.usedBytes <= this.#kernel.freeBytes;
    if (!isOwn) {
      const others = [...this.#pipelines].filter((other) => other !== pipeline);
      const other = others.flatMap((run) => run.held).reduce((sum, { bytes }) => sum + bytes, 0);
      held.push({ what: "other runs", bytes: other }, { what: "loaded tables", bytes: this.#loadedBytes });
    }
    const known = held.reduce((sum, { bytes }) => sum + bytes, 0);
    const usedBytes = isOwn ? own.usedBytes : this.#kernel.usedBytes;
    held.push({ what: "input, results and scratch", bytes: Math.max(0, usedBytes - known) });
    const said = held.filter(({ bytes }) => bytes > 0).sort((a, b) => b.bytes - a.bytes);
    const list = said.map(({ what, bytes }) => `${what}: ${formatBytes(bytes)}`).join("; ");
    const { value, expected, column, row, cause } = error;
    return new MemoryLimitError(`${error.message} (${list})`, {
      value,
      expected,
      column,
      row,
      cause,
      held: said,
    });
  }

  async #track<T>(
    run: AbortController,
    share: Share,
    mode: QueryMode,
    counters: Counters,
    workers: QueryWorkers | null,
    work: (record: QueryRecord) => Promise<T>,
  ): Promise<T> {
    this.#runs.add(run);
    const record = this.#log.begin(mode, counters, workers);
    let isComplete = false;
    try {
      const result = await work(record);
      isComplete = true;
      return result;
    } finally {
      this.#leave(run, share, record, isComplete);
      this.#memory.look();
    }
  }

  /** A run is over: it takes no more turns, and counts as one that has been. */
  #leave(run: AbortController, share: Share, record: QueryRecord, isComplete: boolean): void {
    share.close();
    this.#runs.delete(run);
    this.#log.end(record, isComplete);
    this.#kernel.retire(share);
    this.#kernel.retire(record);
  }

  async #open(kernel: Kernel, plan: Plan<unknown>, inputs: Inputs, options: OpenOptions): Promise<Opened> {
    const { restored = null } = options;
    const nodes = sourcesOf(plan);
    const given = nodes.map(({ name, data }) => (Object.hasOwn(inputs, name) ? inputs[name] : data));
    if (given.some((input) => input === undefined || input === null)) bind(plan, schemasOf(inputs));
    refuseSecondReading(nodes, given);
    const sources: Source[] = [];
    let pipeline: Pipeline | null = null;
    try {
      for (const [index, { name, schema }] of nodes.entries()) {
        const stage = new Stage(kernel);
        // A source that has nothing more to give has the columns that it had.
        const declared = schema ?? restored?.sources[index]?.schema ?? null;
        sources.push(await Source.open(name, given[index], stage, declared, options.signal));
      }
      const named = nodes.flatMap(({ name, data }, index) =>
        data === null || Object.hasOwn(inputs, name) ? [[name, sources[index]!.schema] as const] : [],
      );
      const physical = prepare(plan, named, options.emit);
      refuseUnread(options.watermarks, nodes);
      const chains = chainsIn(physical);
      const print = () => planPrint(physical, options.watermarks);
      if (restored !== null) checkPrint(restored.plan, print());
      const clocks = sources.map((source, index) => {
        const clock = clockOf(source, options.watermarks);
        if (clock !== null) checkClock(clock, chains[index]!, joinOver(physical, chains[index]!));
        const kept = restored?.sources[index]?.clock ?? null;
        if (clock !== null && kept !== null) clock.restore(BigInt(kept));
        return clock;
      });
      const isTable = (chain: LoweredPlan) =>
        chainsIn(chain).every((one) => sources[chains.indexOf(one)]!.isTable);
      const timing = clocks.map((clock, index) => {
        if (clock === null) return null;
        const chain = chains[index]!;
        const passed = passedJoins(clock, chain, joinOver(physical, chain), isTable);
        return { bound: ownBound(clock, chain), column: clock.column, passed };
      });
      const sizes = sources.map(({ rows }) => rows);
      const loaded = sources.map(({ isLoaded }) => isLoaded);
      const made = new Pipeline(kernel, physical, { ...options, spill: this.#spill, timing, sizes, loaded });
      pipeline = made;
      this.#pipelines.add(made);
      const readers = sources.map((source, index) => {
        const clock = clocks[index]!;
        // Who takes late rows takes them whole.
        const whole = options.late === null ? [] : source.schema.fields.keys();
        const read = [...chains[index]!.source.columns, ...(clock?.columns ?? []), ...whole];
        const keepsTime = clock !== null && timing[index]!.bound !== null;
        const watch = keepsTime ? new WindowClock(clock, () => made.ownWatermark(index)) : clock;
        const idleMs =
          clock === null ? undefined : idleMilliseconds(source.name, options.watermarks[source.name]!);
        return { source, columns: [...new Set(read)], clock: watch, idleMs, from: restored?.sources[index] };
      });
      if (restored !== null && !restored.ended) restoreSteps(made, restored);
      const passed = new Set(timing.flatMap((time) => [...(time?.passed ?? [])]));
      const inTurn = readingOrder(physical, sizes);
      const order = options.inTurn ? inTurn.map((index) => [index]) : inTurns(inTurn, passed, chains);
      return { readers, order, pipeline: made, print };
    } catch (error) {
      pipeline?.free();
      if (pipeline !== null) this.#pipelines.delete(pipeline);
      for (const source of sources) await source.close();
      throw error;
    }
  }

  /** The result without a copy where one aggregation or join made it: the table then owns the operator. */
  async #collectResident(
    kernel: Kernel,
    opened: Opened,
    counters: Counters,
    options: DriveOptions,
  ): Promise<{ table: KernelTable; operators: readonly Operator[] }> {
    const { pipeline } = opened;
    const count = (batches: readonly { readonly rows: number }[]) => {
      counters.rowsOut += batches.reduce((sum, { rows }) => sum + rows, 0);
      counters.batchesOut += batches.length;
    };
    if (pipeline.lastOperators === null) {
      const coming = drive(opened, counters, options);
      const load = pipeline.maySpill ? loadedAtTheEnd : loadedAsTheyCome;
      const taken = await load(kernel, coming);
      const kept = pipeline.takeKept();
      if (kept === null) return owned(pipeline.schema, [], taken, []);
      count(kept.batches);
      options.probe?.keep(kept.batches);
      return owned(pipeline.schema, kept.operators, kept.batches, tablesOf(opened));
    }
    pipeline.leaveLast();
    for await (const batch of drive(opened, counters, options)) {
      // Empty ones say that it is at work: sharing it, or spilling.
      if (batch.length === 0) continue;
      throw new MillraceError("ARGUMENT", "an aggregation gave a result before the end of input");
    }
    const since = performance.now();
    let spilled = pipeline.finishSpilled();
    if (spilled === null) {
      try {
        const kept = pipeline.finishResident();
        counters.worked(since);
        count(kept);
        return owned(pipeline.schema, pipeline.lastOperators, kept, tablesOf(opened));
      } catch (error) {
        spilled = error instanceof MemoryLimitError ? pipeline.finishInPieces() : null;
        if (spilled === null) throw error;
      }
    }
    const batches: BatchData[] = [];
    for (const batch of spilled) {
      options.signal?.throwIfAborted();
      if (batch.length > 0) batches.push(batch);
    }
    // Files and the block kept aside make room for the result.
    pipeline.free();
    counters.worked(since);
    count(batches.map(({ length }) => ({ rows: length })));
    return owned(pipeline.schema, [], loadedResults(kernel, batches), []);
  }
}

/** Results in the kernel's memory. */
function loadedResults(kernel: Kernel, batches: readonly BatchData[]): readonly ResidentBatch[] {
  return kernel.load(batches, undefined, false).batches;
}

/** Copies of batches in the kernel's memory, made before the next one comes: they need last no longer. */
async function loadedAsTheyCome(kernel: Kernel, batches: AsyncIterable<BatchData>): Promise<ResidentBatch[]> {
  const taken: ResidentBatch[] = [];
  try {
    for await (const batch of batches) if (batch.length > 0) taken.push(...loadedResults(kernel, [batch]));
  } catch (error) {
    for (const batch of taken) batch.free();
    throw error;
  }
  return taken;
}

async function loadedAtTheEnd(
  kernel: Kernel,
  coming: AsyncIterable<BatchData>,
): Promise<readonly ResidentBatch[]> {
  const batches: BatchData[] = [];
  for await (const batch of coming) batches.push(batch);
  return loadedResults(kernel, batches);
}

/** Adds up rows for `progress`, and speaks now and then. */
function teller({ readers }: Opened, progress: (progress: Progress) => void): DriveOptions["progress"] & {} {
  const sizes = readers.map(({ source }) => source.rows);
  const of = sizes.reduce<number | null>(
    (sum, rows) => (sum === null || rows === null ? null : sum + rows),
    0,
  );
  let rows = 0;
  let told = performance.now();
  progress({ rows, of });
  return (more, isOver) => {
    rows += more;
    if (!isOver && performance.now() - told < PROGRESS_MS) return;
    told = performance.now();
    progress({ rows, of });
  };
}

function tablesOf({ readers }: Opened): readonly KernelTable[] {
  return readers.flatMap(({ source }) => source.tables);
}

/**
 * A table of batches that live as long as their operators do and, where they lie in what these have read, as long as that.
 * @param read tables that the run has read
 */
function owned(
  schema: Schema,
  operators: readonly Operator[],
  batches: readonly ResidentBatch[],
  read: readonly KernelTable[],
): { table: KernelTable; operators: readonly Operator[] } {
  const lenders = batches.some(({ liesInInput }) => liesInInput) ? read : [];
  for (const lender of lenders) lender.hold();
  const release = () => {
    for (const batch of batches) batch.free();
    for (const operator of operators) operator.destroy();
    for (const lender of lenders) lender.unpin();
  };
  return { table: new KernelTable(schema, batches, release), operators };
}

interface OpenOptions extends Omit<PipelineOptions, "timing" | "sizes" | "loaded" | "spill"> {
  /** Of a stream; null where the whole result is collected. */
  readonly emit: "onClose" | "onUpdate" | null;
  readonly watermarks: Readonly<Record<string, WatermarkOptions>>;
  readonly signal: AbortSignal | null;
  /** What an earlier run has saved; null, or left out, for a run from the beginning. */
  readonly restored?: Restored | null;
}

const NO_COUNTS: Counts = { rowsIn: 0, batchesIn: 0, rowsOut: 0, batchesOut: 0, backwardWatermarks: 0 };

function positionsOf({ readers }: Opened): Position[] {
  return readers.map(({ from }) => ({
    rows: from?.rows ?? 0,
    batches: from?.batches ?? 0,
    ended: from?.ended ?? false,
  }));
}

/** Writes down a run between two morsels. */
function saverOf(
  { readers, pipeline, print }: Opened,
  positions: readonly Position[],
  stats: () => RunStats,
  pending: readonly BatchData[],
): Save {
  return (isOver) => {
    const ended = isOver || positions.every((position) => position.ended);
    const { rowsOut, batchesOut, lateRows, partlyLateRows, nullTimes, backwardWatermarks } = stats();
    // A batch that is half taken in counts with the run that goes on with it.
    const total = (of: "rows" | "batches") => positions.reduce((sum, position) => sum + position[of], 0);
    const [rowsIn, batchesIn] = [total("rows"), total("batches")];
    const sources = readers.map(({ source, clock }, index) => ({
      ...positions[index]!,
      name: source.name,
      watermark: textOf(clock?.ticks),
      clock: textOf(clock?.kept),
      schema: source.schema,
    }));
    return writeCheckpoint({
      plan: print(),
      sources,
      counts: { rowsIn, batchesIn, rowsOut, batchesOut, backwardWatermarks },
      ended,
      lateRows,
      partlyLateRows,
      nullTimes,
      chains: ended ? [] : pipeline.save(),
      pending,
    });
  };
}

function textOf(ticks: bigint | null | undefined): string | null {
  return ticks === null || ticks === undefined ? null : String(ticks);
}

/** @throws CorruptStateError for states, or a list of steps, that are not what such a pipeline has saved. */
function restoreSteps(pipeline: Pipeline, { chains }: Restored): void {
  try {
    pipeline.restore(chains);
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new CorruptStateError("the checkpoint is damaged: its steps are not those of its plan", {
      cause: error,
    });
  }
}

async function handOver(
  batches: BatchData[],
  late: (rows: RecordBatch) => void | Promise<void>,
): Promise<void> {
  for (const batch of batches.splice(0)) await late(toRecordBatch(batch));
}

function refuseUnread(
  watermarks: OpenOptions["watermarks"],
  nodes: readonly { readonly name: string }[],
): void {
  const names = [...new Set(nodes.map(({ name }) => name))];
  const other = Object.keys(watermarks).find((given) => !names.includes(given));
  if (other === undefined) return;
  const expected = names.join(", ");
  const read = names.map((name) => `"${name}"`).join(", ");
  throw new ArgumentError(`watermarks: the plan reads no source "${other}", it reads ${read}`, {
    value: other,
    expected,
  });
}

function clockOf({ name, schema }: Source, watermarks: OpenOptions["watermarks"]): SourceClock | null {
  return Object.hasOwn(watermarks, name) ? sourceClock(name, watermarks[name]!, schema) : null;
}

async function closeAll(readers: Opened["readers"]): Promise<void> {
  for (const { source } of readers) await source.close();
}

/** What can be iterated once only cannot be two sources. */
function refuseSecondReading(nodes: readonly { readonly name: string }[], given: readonly unknown[]): void {
  given.forEach((input, index) => {
    if (typeof input !== "object" || input === null || given.indexOf(input) === index) return;
    const iterable = input as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
    const isOnce =
      "getReader" in input ||
      (iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]?.()) === (input as unknown);
    if (!isOnce) return;
    const { name } = nodes[index]!;
    throw new ArgumentError(
      `the plan reads source "${name}" more than once, but it can be iterated only once: give a table, or an array of batches`,
      { value: name },
    );
  });
}

/** Sources by number, a join's right side before its left one, unless the left one is known to be smaller. */
function readingOrder(plan: LoweredPlan, sizes: readonly (number | null)[]): number[] {
  let next = 0;
  const visit = ({ stages }: LoweredPlan): { order: number[]; rows: number | null } => {
    const index = next++;
    let order = [index];
    let rows: number | null = sizes[index]!;
    for (const stage of stages) {
      if (stage.kind !== "join" && stage.kind !== "union") continue;
      const right = visit(stage.input);
      const leftFirst = rows !== null && right.rows !== null && rows < right.rows;
      order = leftFirst ? [...order, ...right.order] : [...right.order, ...order];
      rows = null;
    }
    return { order, rows };
  };
  return visit(plan).order;
}

/** All sources in turns, but first, one after the other, those that are right sides of joins that watermarks pass. */
function inTurns(
  order: readonly number[],
  passed: ReadonlySet<JoinStage>,
  chains: readonly LoweredPlan[],
): number[][] {
  const right = new Set([...passed].flatMap(({ input }) => chainsIn(input)));
  const isFirst = (index: number) => right.has(chains[index]!);
  return [...order.filter(isFirst).map((index) => [index]), order.filter((index) => !isFirst(index))];
}

/** The join whose right side a chain of the plan is; null of the first chain, and of the sides of unions. */
function joinOver(plan: LoweredPlan, chain: LoweredPlan): JoinStage | null {
  const stages = chainsIn(plan).flatMap(({ stages }) => stages);
  return stages.find((stage): stage is JoinStage => stage.kind === "join" && stage.input === chain) ?? null;
}

/** The signal of a run: the user's, if there is one, and the run's own. */
function allOf(signal: AbortSignal | undefined, run: AbortController): AbortSignal {
  return signal === undefined ? run.signal : AbortSignal.any([signal, run.signal]);
}

function checkPlan(plan: unknown): void {
  if (plan instanceof Plan) return;
  const hint =
    plan instanceof GroupedPlan ? "groupBy needs aggregate({...}) after it" : "build it with from(...)";
  throw new ArgumentError(`the first argument is not a plan: ${hint}`, { value: plan, expected: "a Plan" });
}

function checkMeter(meter: unknown): void {
  if (meter === undefined || meter === null) return;
  const methods = ["createCounter", "createHistogram", "createObservableGauge"];
  const missing = methods.filter((name) => typeof (meter as Record<string, unknown>)[name] !== "function");
  if (missing.length === 0) return;
  throw new ArgumentError(`meter: it has no method ${missing.join(", ")}: give a Meter of OpenTelemetry`, {
    value: meter,
    expected: "a Meter",
  });
}

function checkChoice(option: string, value: unknown, choices: readonly string[]): void {
  if (choices.includes(value as string)) return;
  const expected = choices.map((choice) => `"${choice}"`).join(" or ");
  throw new ArgumentError(`${option} is ${expected}, not ${JSON.stringify(value)}`, { value, expected });
}

function schemasOf(inputs: Inputs): Record<string, Schema> {
  return Object.fromEntries(Object.keys(inputs).map((name) => [name, { fields: [] }]));
}

function readTable(table: object): { schema: Schema; batches: readonly BatchData[] } {
  if (isBatchData(table)) return { schema: table.schema, batches: [table] };
  if (Array.isArray(table) && table.length > 0 && table.every(isBatchData)) {
    return { schema: (table[0] as BatchData).schema, batches: table };
  }
  return fromArrow(table);
}
