// What the race knows of an engine: load, run, show the result.

import type { DataFolder } from "../input/data-file.js";
import type { RawResult } from "../result/canonical.js";
import type { BenchCase, Mode } from "../suite/case.js";

export type EngineName =
  | "millrace"
  | "duckdb"
  | "polars"
  | "duckdb-wasm"
  | "arquero"
  | "js"
  | "native"
  | "twin";

/** Peers in the order that tables list them; the twin verifies and is never timed. */
export const PEERS = ["duckdb", "polars", "duckdb-wasm", "arquero", "js", "native"] as const;

export type PeerName = (typeof PEERS)[number];

export type BuildName = "simd" | "threads" | "scalar";

export interface EngineOptions {
  readonly threads: number;
  readonly mode: Mode;
  readonly build: BuildName;
}

/** Files by the input names of the case. */
export type CaseFiles = Readonly<Record<string, DataFolder>>;

export interface RunFigure {
  /** Of one call; where the run is several, their mean. */
  readonly ms: number;
  /** Calls that the run is, where they are several. */
  readonly calls?: number;
  readonly outputRows: number;
  /** Time to copy the result out of the engine's memory, where that is not part of `ms`. */
  readonly copyMs?: number;
  /** Of a single kernel: time to read the input's memory and do nothing with it. */
  readonly readMs?: number;
  /** Of a single kernel: time to read as many bytes of memory that stays in the cache. */
  readonly cacheMs?: number;
  /** Of a case of latency: microseconds from each row in to its consequence out. */
  readonly latencies?: readonly number[];
  /** Of one with a background: its speed, of what it has alone in the time that the stream leaves free. */
  readonly backgroundKept?: number;
}

/** One engine with one case's data in its own form. */
export interface EngineSession {
  readonly version: string;
  /** Threads that the engine says it works with, not those it was asked for. */
  readonly threads: number;
  readonly inputRows: number;
  /** Bytes of the input columns in the engine's form, where it tells. */
  readonly inputBytes: number | null;
  run(): Promise<RunFigure>;
  /** Calls for so long at least, as one figure, where the session has a way of its own to repeat them. */
  repeat?(leastMs: number): Promise<RunFigure>;
  /** What the bench does within the clock beside the engine's work; nothing when absent. */
  handOver?(): unknown;
  /** Milliseconds that the bench adds to a call, where `ownCostMs` of `handOver` is not it; null: nothing that it knows of. */
  ownMs?(): Promise<number | null>;
  /** The rows of the last run, materialised again where the run did not keep them. */
  result(): Promise<RawResult>;
  close(): Promise<void>;
}

export interface Engine {
  readonly name: EngineName;
  /** Whether it can work with more than one thread. */
  readonly parallel: boolean;
  open(of: BenchCase, files: CaseFiles, options: EngineOptions): Promise<EngineSession>;
}

/** An engine that cannot take part, for a reason that is no defect: not installed, no such query, one thread only. */
export class UnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UnavailableError";
  }
}

/** Imports a peer's package. Throws UnavailableError where it is not installed. */
export async function importPeer<T>(load: () => Promise<T>, packageName: string): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const code = (cause as { code?: unknown }).code;
    if (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND") {
      throw new UnavailableError(`${packageName} is not installed`);
    }
    throw cause;
  }
}

const OWN_COST_TRIES = 501;

/**
 * Milliseconds that the clock reads around no work but the bench's own: what measuring adds to a call. That is the clock,
 * the turn of the event loop in which the answer arrives, and `handOver`, which takes over results that are there.
 */
export async function ownCostMs(handOver: () => unknown = async () => null): Promise<number> {
  const times: number[] = [];
  for (let attempt = 0; attempt < OWN_COST_TRIES; attempt++) times.push((await timed(handOver)).ms);
  return times.sort((a, b) => a - b)[OWN_COST_TRIES >> 1]!;
}

/** Milliseconds that `work` took, with its answer. */
export async function timed<T>(work: () => T | Promise<T>): Promise<{ ms: number; value: T }> {
  const start = performance.now();
  const value = await work();
  return { ms: performance.now() - start, value };
}
