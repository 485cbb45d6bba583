// Millrace itself, on a table that it loaded into its own memory.
//
// Batch: the clock stops when the result lies complete in kernel memory; copying it out to Arrow is timed
// apart. Stream: the same table through the streaming path in batches of 64K rows, timed until the consumer
// holds the last result batch.

import { type RecordBatch, Table } from "apache-arrow";
import { type KernelTable, Engine as Millrace } from "../../bindings/ts/index.js";
import { arrowTables, inputRows, scanBytes } from "../input/load.js";
import { millraceVersion } from "../report/machine.js";
import type { RawResult } from "../result/canonical.js";
import { type BenchCase, streamOptions } from "../suite/case.js";
import { consolidated } from "./changelog.js";
import {
  type BuildName,
  type CaseFiles,
  type Engine,
  type EngineOptions,
  type EngineSession,
  type RunFigure,
  timed,
  UnavailableError,
} from "./engine.js";
import { KernelSession } from "./kernel-session.js";
import { LatencySession } from "./latency-session.js";
import { rawResult } from "./millrace-result.js";

export const millrace: Engine = {
  name: "millrace",
  parallel: true,
  async open(of, files, options) {
    if (options.threads !== 1) refuseThreads(of, options);
    if (of.kernel !== undefined) return KernelSession.open(of, of.kernel, files, options.build);
    if (of.latency) return new LatencySession(await openEngine(options.build, 1), of, arrowTables(of, files));
    return MillraceSession.open(of, files, options);
  },
};

/** Where more than one thread has nothing to do. */
function refuseThreads(of: BenchCase, { threads }: EngineOptions): void {
  const one = of.kernel !== undefined ? "a single operator" : of.latency ? "a push" : null;
  if (one !== null) throw new UnavailableError(`${one} runs on 1 thread, not on ${threads}`);
}

class MillraceSession implements EngineSession {
  readonly version = millraceVersion();
  readonly threads: number;
  readonly inputRows: number;
  readonly inputBytes: number;
  readonly #engine: Millrace;
  readonly #of: BenchCase;
  readonly #plan: ReturnType<BenchCase["plan"]>;
  readonly #mode: EngineOptions["mode"];
  readonly #inputs: Record<string, KernelTable> = {};
  #kernelResult: KernelTable | null = null;
  #batches: RecordBatch[] = [];

  private constructor(
    engine: Millrace,
    of: BenchCase,
    mode: EngineOptions["mode"],
    tables: Readonly<Record<string, Table>>,
  ) {
    this.inputRows = inputRows(tables);
    this.inputBytes = scanBytes(tables);
    this.threads = engine.stats().workers.running;
    this.#engine = engine;
    this.#of = of;
    this.#plan = of.plan();
    this.#mode = mode;
  }

  static async open(
    of: BenchCase,
    files: CaseFiles,
    { mode, build, threads }: EngineOptions,
  ): Promise<MillraceSession> {
    const engine = await openEngine(build, threads);
    const tables = arrowTables(of, files);
    const session = new MillraceSession(engine, of, mode, tables);
    for (const [name, table] of Object.entries(tables)) session.#inputs[name] = await engine.load(table);
    return session;
  }

  run(): Promise<RunFigure> {
    return this.#mode === "batch" ? this.#runBatch() : this.#runStream();
  }

  async #runBatch(): Promise<RunFigure> {
    this.#kernelResult?.free();
    this.#kernelResult = null;
    const { ms, value } = await timed(() =>
      this.#engine.collect(this.#plan, this.#inputs, { result: "kernel" }),
    );
    this.#kernelResult = value;
    const copy = await timed(() => value.toArrow());
    return { ms, outputRows: value.rows, copyMs: copy.ms };
  }

  async #runStream(): Promise<RunFigure> {
    this.#batches = [];
    const { ms } = await timed(async () => {
      const run = this.#engine.stream(this.#plan, this.#inputs, streamOptions(this.#of));
      for await (const batch of run) this.#batches.push(batch);
    });
    return { ms, outputRows: this.#batches.reduce((sum, batch) => sum + batch.numRows, 0) };
  }

  /** A stream's batches are the consumer's, one at a time. */
  async handOver(): Promise<void> {
    if (this.#mode === "batch") return;
    const taken: RecordBatch[] = [];
    for await (const batch of replay(this.#batches)) taken.push(batch);
  }

  async result(): Promise<RawResult> {
    if (this.#mode === "batch") {
      if (this.#kernelResult === null) await this.#runBatch();
      return rawResult(this.#of, this.#kernelResult!.toArrow());
    }
    if (this.#batches.length === 0) await this.#runStream();
    // Without a row no batch has left that would tell the schema.
    if (this.#batches.length === 0) {
      const empty = await this.#engine.collect(this.#plan, this.#inputs);
      return rawResult(this.#of, empty.slice(0, 0));
    }
    const table = new Table(this.#batches);
    return this.#of.emit !== "onUpdate" ? rawResult(this.#of, table) : consolidated(this.#of, table);
  }

  async close(): Promise<void> {
    await this.#engine.close();
  }
}

async function* replay(batches: readonly RecordBatch[]): AsyncGenerator<RecordBatch> {
  yield* batches;
}

/** Several threads need the build that shares memory, whichever one runs alone. */
async function openEngine(build: BuildName, workers: number): Promise<Millrace> {
  const engine = await Millrace.open({
    workers,
    build: workers === 1 ? build : "threads",
    memory: "3.5 GiB",
  });
  await engine.ready();
  return engine;
}
