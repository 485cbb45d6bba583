// What a query has done: numbers that the run counts anyway, and its time, told apart into work and waiting.
//
// Running is the time in which the calling thread pushes morsels and makes results (the workers' time stands beside it);
// waiting is the rest: sources that have nothing to give, the consumer, other work of the event loop.

import type { QueryWorkers, WorkerStats } from "../pool/index.js";
import type { Meter } from "./metrics.js";
import type { Counters } from "./run.js";

export interface QueryStats {
  /** Counts from 1 on in the order in which the engine's queries began. */
  readonly id: number;
  readonly mode: QueryMode;
  /** Rows, batches and bytes read from the sources so far; bytes of the columns that the plan reads. */
  readonly rowsIn: number;
  readonly batchesIn: number;
  readonly bytesIn: number;
  readonly rowsOut: number;
  readonly batchesOut: number;
  /** Bytes that the query's operators hold; null where several workers are at work on them. */
  readonly stateBytes: number | null;
  /** Morsels that were pushed into the first step. */
  readonly morsels: number;
  readonly runningMs: number;
  readonly waitingMs: number;
  /** What each worker has done for it, the calling thread first; empty where one thread runs. */
  readonly workers: readonly WorkerStats[];
}

/** Queries that are over. */
export interface FinishedStats {
  readonly completed: number;
  /** With an error, the signal or `break`. */
  readonly ended: number;
  readonly rowsIn: number;
  readonly bytesIn: number;
  readonly rowsOut: number;
  readonly morsels: number;
  readonly runningMs: number;
  readonly waitingMs: number;
}

export type QueryMode = "batch" | "stream";

/** A query that has begun. */
export class QueryRecord {
  readonly id: number;
  readonly mode: QueryMode;
  readonly counters: Counters;
  readonly workers: QueryWorkers | null;
  /** Bytes that its operators hold. */
  stateBytes: () => number | null = () => 0;
  readonly #begin = performance.now();

  constructor(id: number, mode: QueryMode, counters: Counters, workers: QueryWorkers | null) {
    this.id = id;
    this.mode = mode;
    this.counters = counters;
    this.workers = workers;
  }

  get elapsedMs(): number {
    return performance.now() - this.#begin;
  }

  get stats(): QueryStats {
    const { id, mode, workers } = this;
    const { rowsIn, batchesIn, bytesIn, rowsOut, batchesOut, morsels, runningMs } = this.counters;
    return {
      id,
      mode,
      rowsIn,
      batchesIn,
      bytesIn,
      rowsOut,
      batchesOut,
      stateBytes: this.stateBytes(),
      morsels,
      runningMs,
      waitingMs: Math.max(0, this.elapsedMs - runningMs),
      workers: workers?.stats ?? [],
    };
  }
}

/** The queries of one engine. */
export class QueryLog {
  readonly #running = new Set<QueryRecord>();
  readonly #meter: Meter | null;
  #begun = 0;
  #finished: FinishedStats = {
    completed: 0,
    ended: 0,
    rowsIn: 0,
    bytesIn: 0,
    rowsOut: 0,
    morsels: 0,
    runningMs: 0,
    waitingMs: 0,
  };

  constructor(meter: Meter | null) {
    this.#meter = meter;
  }

  begin(mode: QueryMode, counters: Counters, workers: QueryWorkers | null): QueryRecord {
    this.#begun += 1;
    const record = new QueryRecord(this.#begun, mode, counters, workers);
    this.#running.add(record);
    return record;
  }

  end(record: QueryRecord, isComplete: boolean): void {
    if (!this.#running.delete(record)) return;
    // The kernel may be gone.
    record.stateBytes = () => 0;
    const { rowsIn, bytesIn, rowsOut, morsels, runningMs, waitingMs } = record.stats;
    const before = this.#finished;
    this.#finished = {
      completed: before.completed + (isComplete ? 1 : 0),
      ended: before.ended + (isComplete ? 0 : 1),
      rowsIn: before.rowsIn + rowsIn,
      bytesIn: before.bytesIn + bytesIn,
      rowsOut: before.rowsOut + rowsOut,
      morsels: before.morsels + morsels,
      runningMs: before.runningMs + runningMs,
      waitingMs: before.waitingMs + waitingMs,
    };
    this.#meter?.query({ ...record.stats, elapsedMs: record.elapsedMs, isComplete });
  }

  get running(): readonly QueryStats[] {
    return [...this.#running].map(({ stats }) => stats);
  }

  get finished(): FinishedStats {
    return this.#finished;
  }
}
