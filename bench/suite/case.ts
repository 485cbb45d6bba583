// What a benchmark case is: one question over one fixture, worded for every engine.
//
// A suite file lists its cases; nothing else has to know of them (suite/index.ts gathers the suites). Every
// case runs at a smoke size inside the test suite, so none rots.

import type * as Arquero from "arquero";
import type Polars from "nodejs-polars";
import type { Plan, StreamOptions } from "../../bindings/ts/index.js";
import type { Kernel, Operator } from "../../bindings/ts/kernel/index.js";
import type { Schema } from "../../bindings/ts/type/data-type.js";
import type { FixtureOptions } from "../../fixtures/catalog.js";
import type { PlainTable } from "../input/plain-table.js";
import type { OutputColumn, RawResult } from "../result/canonical.js";

export type Mode = "batch" | "stream";

/** An input of a case: a fixture of input/catalog.ts and the columns that are loaded of it. */
export interface CaseInput {
  readonly fixture: string;
  readonly columns: readonly string[];
  /** What the fixture is asked for beyond rows, seed and columns. */
  readonly options?: DataOptions;
}

export type DataOptions = Pick<FixtureOptions, "k" | "nulls" | "sorted">;

/** Inputs by the name that plans and SQL use; most cases have one, named `t`. */
export type CaseInputs = Readonly<Record<string, CaseInput>>;

/** A tight loop over typed arrays. The outer call may prepare (untimed: its own form of the data), the inner one is timed. */
export type JavaScriptLoop = (tables: Readonly<Record<string, PlainTable>>) => () => RawResult;

export type PolarsQuery = (
  pl: typeof Polars,
  tables: Readonly<Record<string, ReturnType<typeof Polars.DataFrame>>>,
) => ReturnType<ReturnType<typeof Polars.DataFrame>["lazy"]>;

export type ArqueroTable = ReturnType<typeof Arquero.fromArrow>;

export type ArqueroQuery = (
  aq: typeof Arquero,
  tables: Readonly<Record<string, ArqueroTable>>,
) => ArqueroTable;

/** Makes the operator over batches of the case's only input. */
export type KernelOperator = (kernel: Kernel, schema: Schema) => Operator;

export interface BenchCase {
  readonly suite: string;
  readonly name: string;
  /** Of a question over other data (5 % nulls, sorted, other numbers of groups): the part of the name behind `@`. */
  readonly variant?: string;
  /** The question in a line. */
  readonly question: string;
  readonly inputs: CaseInputs;
  /** The result's columns. Keys first reads best. */
  readonly output: readonly OutputColumn[];
  /** Whether the result's row order is part of the answer. */
  readonly ordered?: boolean;
  readonly plan: () => Plan;
  /** In stream mode: what closes the windows of the plan before the end of input. */
  readonly watermarks?: StreamOptions["watermarks"];
  /** In stream mode: results as changes with every batch of input, and not at its end. */
  readonly emit?: StreamOptions["emit"];
  /** For DuckDB and DuckDB-Wasm; absent in cases of a single kernel. */
  readonly sql?: string;
  readonly polars?: PolarsQuery | undefined;
  readonly arquero?: ArqueroQuery;
  /** Absent where the twin, and DuckDB at sizes that are too large for it, verify alone. */
  readonly javascript?: JavaScriptLoop | undefined;
  /** What Millrace runs instead of the plan, which is for the twin then: one operator of the kernel. */
  readonly kernel?: KernelOperator;
  /** With `kernel`: whether the operator answers every push with output. */
  readonly kernelEmits?: boolean;
  /** With `kernel`: whether small integers lie in bytes, too, as those of loaded tables do, and are read from there. */
  readonly kernelReadsBytes?: boolean;
  /** Rows are pushed one at a time and each is timed, instead of the whole: Millrace alone, as a stream. */
  readonly latency?: boolean;
  /** With `latency`: a plan that the same engine collects meanwhile, over and over; rows come at a fixed rate then. */
  readonly background?: () => Plan;
  /** The same algorithm's name in bench/native/kernels.c. */
  readonly native?: string;
  /** Plain float sums: modes may differ in the last bits, and are compared as peers are. */
  readonly inexact?: boolean;
  /**
   * Bytes for each row of the input that an engine may hold while it works; what is more it writes to files. Infinity: all that
   * it likes. Input then lies outside the engine, and results leave it. Absent: input is loaded, and results stay.
   */
  readonly memoryARow?: number;
  /** In the quick tour: every engine, or all but the slow starters DuckDB-Wasm and Arquero. */
  readonly quick?: "all" | "fast";
}

export interface Suite {
  readonly name: string;
  readonly title: string;
  readonly cases: readonly BenchCase[];
  /** Whether reports carry the geometric mean of the suite's ratios. */
  readonly geometricMean?: boolean;
}

/** Whether engines are held to less memory than they would like. */
export function isLimited({ memoryARow = Infinity }: BenchCase): boolean {
  return memoryARow !== Infinity;
}

/** Engines need so much whatever there is to do: DuckDB's sort fails with half of it. */
const LEAST_MEMORY_BYTES = 32 * 2 ** 20;

/** Bytes that an engine may hold for so many rows of input, or Infinity; null where input and results are within it. */
export function memoryLimit({ memoryARow }: BenchCase, rows: number): number | null {
  if (memoryARow === undefined) return null;
  return Math.max(LEAST_MEMORY_BYTES, Math.round(memoryARow * rows));
}

/** Rows of a batch of a stream, in and out. */
const STREAM_BATCH_ROWS = 65_536;

/** How a case runs in stream mode. */
export function streamOptions({ watermarks = {}, emit = "onClose" }: BenchCase): StreamOptions {
  return { batchRows: STREAM_BATCH_ROWS, watermarks, emit };
}
