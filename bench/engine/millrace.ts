// Millrace itself, on a table that it loaded into its own memory.
//
// Batch: the clock stops when the result lies complete in kernel memory; copying it out to Arrow is timed
// apart. Where a case says what an engine may hold it stops when the result lies on the host, as the table does.
// Stream: the same table through the streaming path in batches of 64K rows, timed until the consumer holds the last
// result batch.

import { type RecordBatch, Table } from "apache-arrow";
import type { KernelTable } from "../../bindings/ts/index.js";
import { arrowTables, inputRows, scanBytes } from "../input/load.js";
import { millraceVersion } from "../report/machine.js";
import type { RawResult } from "../result/canonical.js";
import { type BenchCase, streamOptions } from "../suite/case.js";
import { consolidated } from "./changelog.js";
import {
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
import { OpenedCase, openEngine } from "./opened-case.js";

export const millrace: Engine = {
  name: "millrace",
  parallel: true,
  async open(of, files, options) {
    if (options.threads !== 1) refuseThreads(of, options);
    if (of.kernel !== undefined) return KernelSession.open(of, of.kernel, files, options.build);
    if (of.latency) {
      const engine = await openEngine({ build: options.build, workers: 1 });
      return new LatencySession(engine, of, arrowTables(of, files));
    }
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
  readonly #opened: OpenedCase;
  readonly #of: BenchCase;
  readonly #plan: ReturnType<BenchCase["plan"]>;
  readonly #mode: EngineOptions["mode"];
  #result: KernelTable | Table | null = null;
  #batches: RecordBatch[] = [];

  private constructor(
    opened: OpenedCase,
    of: BenchCase,
    mode: EngineOptions["mode"],
    tables: Readonly<Record<string, Table>>,
  ) {
    this.inputRows = inputRows(tables);
    this.inputBytes = scanBytes(tables);
    this.threads = opened.engine.stats().workers.running;
    this.#opened = opened;
    this.#of = of;
    this.#plan = of.plan();
    this.#mode = mode;
  }

  static async open(
    of: BenchCase,
    files: CaseFiles,
    { mode, build, threads }: EngineOptions,
  ): Promise<MillraceSession> {
    const tables = arrowTables(of, files);
    return new MillraceSession(
      await OpenedCase.open(of, tables, { build, workers: threads }),
      of,
      mode,
      tables,
    );
  }

  run(): Promise<RunFigure> {
    return this.#mode === "batch" ? this.#runBatch() : this.#runStream();
  }

  async #runBatch(): Promise<RunFigure> {
    if (!(this.#result instanceof Table)) this.#result?.free();
    this.#result = null;
    const { ms, value } = await timed(() => this.#opened.collect(this.#plan));
    this.#result = value;
    if (value instanceof Table) return { ms, outputRows: value.numRows };
    const copy = await timed(() => value.toArrow());
    return { ms, outputRows: value.rows, copyMs: copy.ms };
  }

  async #runStream(): Promise<RunFigure> {
    this.#batches = [];
    const { ms } = await timed(async () => {
      const { engine, inputs } = this.#opened;
      const run = engine.stream(this.#plan, inputs, streamOptions(this.#of));
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
      if (this.#result === null) await this.#runBatch();
      const result = this.#result!;
      return rawResult(this.#of, result instanceof Table ? result : result.toArrow());
    }
    if (this.#batches.length === 0) await this.#runStream();
    // Without a row no batch has left that would tell the schema.
    if (this.#batches.length === 0) {
      const empty = await this.#opened.engine.collect(this.#plan, this.#opened.inputs);
      return rawResult(this.#of, empty.slice(0, 0));
    }
    const table = new Table(this.#batches);
    return this.#of.emit !== "onUpdate" ? rawResult(this.#of, table) : consolidated(this.#of, table);
  }

  async close(): Promise<void> {
    await this.#opened.close();
  }
}

async function* replay(batches: readonly RecordBatch[]): AsyncGenerator<RecordBatch> {
  yield* batches;
}
