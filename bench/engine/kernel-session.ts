// A case that runs one operator of the kernel, without plan and scheduler: a push a morsel over loaded batches.
//
// A call makes the operator, pushes, and has the result complete in kernel memory; a projection's output takes the
// place of the one before, as it would in a pipeline. tinybench repeats and times it. So it does reading the same memory
// (memory-read.ts): no kernel can be faster than that. As many bytes are then read from a piece that stays in the cache:
// where the input is small enough to stay there itself, that is the roof.

import { Bench } from "tinybench";
import { fromArrow, toTable } from "../../bindings/ts/arrow/index.js";
import { Kernel, type Operator, type ResidentTable } from "../../bindings/ts/kernel/index.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import { Abi } from "../../kernel/abi/layout.js";
import { arrowTables, inputRows, kernelScanBytes } from "../input/load.js";
import { millraceVersion } from "../report/machine.js";
import type { RawResult } from "../result/canonical.js";
import type { BenchCase, KernelOperator } from "../suite/case.js";
import type { BuildName, CaseFiles, EngineSession, RunFigure } from "./engine.js";
import { MemoryReader } from "./memory-read.js";
import { rawResult } from "./millrace-result.js";

const MORSEL_ROWS: number = Abi.MORSEL_ROWS;

/** Part of a run's time that each of the two readings gets. */
const READING_SHARE = 0.25;

/** Calls of nothing, by which tinybench's own part of a time is known. */
const EMPTY_CALLS = 501;

/** Less than any second-level cache; of a first-level cache's size calls would cost as much as reading. */
const CACHED_BYTES = 2 ** 17;

export class KernelSession implements EngineSession {
  readonly version = millraceVersion();
  readonly threads = 1;
  readonly inputRows: number;
  readonly inputBytes: number;
  readonly #of: BenchCase;
  readonly #open: KernelOperator;
  readonly #kernel: Kernel;
  readonly #table: ResidentTable;
  readonly #reader: MemoryReader;

  private constructor(
    of: BenchCase,
    open: KernelOperator,
    kernel: Kernel,
    table: ResidentTable,
    sizes: { rows: number; bytes: number },
  ) {
    this.#of = of;
    this.#open = open;
    this.#kernel = kernel;
    this.#table = table;
    this.#reader = new MemoryReader(kernel.memory.memory, kernel.build === "threads");
    this.inputRows = sizes.rows;
    this.inputBytes = sizes.bytes;
  }

  static async open(
    of: BenchCase,
    open: KernelOperator,
    files: CaseFiles,
    build: BuildName,
  ): Promise<KernelSession> {
    const kernel = await Kernel.open({ build, budget: "3.5 GiB" });
    const tables = arrowTables(of, files);
    const only = Object.values(tables)[0]!;
    const table = kernel.load(fromArrow(only).batches, undefined, of.kernelReadsBytes === true);
    const sizes = { rows: inputRows(tables), bytes: kernelScanBytes(of, tables) };
    return new KernelSession(of, open, kernel, table, sizes);
  }

  run(): Promise<RunFigure> {
    return this.repeat(0);
  }

  async repeat(leastMs: number): Promise<RunFigure> {
    let operator: Operator | null = null;
    let outputRows = 0;
    const call = () => {
      operator = this.#open(this.#kernel, this.#table.schema);
      outputRows = this.#push(operator);
    };
    const { ms, calls } = repeated(call, leastMs, () => operator?.destroy());
    const { ms: readMs } = repeated(() => this.#read(), READING_SHARE * leastMs);
    const { ms: cacheMs } = repeated(() => this.#readCached(), READING_SHARE * leastMs);
    return { ms, calls, outputRows, readMs, cacheMs };
  }

  async ownMs(): Promise<number> {
    const bench = new Bench({ time: 0, iterations: EMPTY_CALLS, warmup: false, throws: true });
    return latencies(bench.add("nothing", () => null)).p50;
  }

  /** Rows of the result. */
  #push(operator: Operator): number {
    let rows = 0;
    for (const batch of this.#table.batches) {
      for (let start = 0; start < batch.rows; start += MORSEL_ROWS) {
        operator.push(batch, start, Math.min(MORSEL_ROWS, batch.rows - start));
        if (this.#of.kernelEmits) rows += operator.pullResident()?.rows ?? 0;
      }
    }
    for (const batch of operator.finishResident()) {
      rows += batch.rows;
      batch.free();
    }
    return rows;
  }

  #read(): void {
    for (const { at, bytes } of this.#columns()) this.#reader.read(at, at + bytes);
  }

  /** The input's first values again and again, until it is as many bytes as the whole input. */
  #readCached(): void {
    const columns = this.#columns();
    const all = columns.reduce((sum, { bytes }) => sum + bytes, 0);
    const { at: first, bytes } = columns[0]!;
    const piece = Math.min(bytes, CACHED_BYTES);
    for (let at = 0; at < all; at += piece) this.#reader.read(first, first + Math.min(piece, all - at));
  }

  /** Where the values lie that the kernel reads. */
  #columns(): { at: number; bytes: number }[] {
    const indices = [...this.#table.schema.fields.keys()];
    return [...this.#table.batches].flatMap((batch) =>
      indices.map((index) => {
        const { values, valuesBytes, narrow = 0, offset, length } = batch.column(index)!;
        return narrow === 0 ? { at: values, bytes: valuesBytes } : { at: narrow, bytes: offset + length };
      }),
    );
  }

  async result(): Promise<RawResult> {
    const operator = this.#open(this.#kernel, this.#table.schema);
    const batches: BatchData[] = [];
    for (const batch of this.#table.batches) {
      if (this.#of.kernelEmits) batches.push(...operator.process(batch));
      else operator.push(batch);
    }
    batches.push(...operator.finish());
    operator.destroy();
    return rawResult(this.#of, toTable(operator.output, batches));
  }

  async close(): Promise<void> {
    this.#table.free();
    this.#kernel.close();
  }
}

/** Calls for so long at least, one at least. */
function repeated(call: () => void, leastMs: number, after: () => void = () => {}) {
  const bench = new Bench({ time: leastMs, iterations: 1, warmup: false, throws: true });
  // Else it would be called once to see, with nothing after it.
  bench.add("call", call, { async: false, afterEach: after });
  const { mean, samplesCount } = latencies(bench);
  return { ms: mean, calls: samplesCount };
}

/** What tinybench says of the only task. */
function latencies(bench: Bench) {
  const { result } = bench.runSync()[0]!;
  if (result.state !== "completed") throw new Error(`tinybench ended with "${result.state}"`);
  return result.latency;
}
