// When each piece of a job was worked on in another thread: for those who profile (scheduler/probe.ts).
//
// A buffer beside the job's words. For each worker a number of pieces, then three numbers a piece: which it was, when
// it began, when it ended, in milliseconds since 1970, as threads may count from moments of their own. Only the worker
// writes its part, before it says by the job's words that the piece is done.

import type { Task } from "./worker.js";

/** Places in the numbers of a worker, and of a piece. */
export const TraceWord = {
  COUNT: 0,
  PIECES: 1,
  NUMBER: 0,
  BEGIN: 1,
  END: 2,
  PIECE: 3,
  /** Pieces of a worker in one job that are noted; more are counted. */
  MOST: 4096,
} as const;

const WORKER_WORDS = TraceWord.PIECES + TraceWord.MOST * TraceWord.PIECE;

export interface TracedPiece {
  /** Of the morsel, or the part, in its job. */
  readonly number: number;
  /** In milliseconds since 1970. */
  readonly begin: number;
  readonly end: number;
}

/** Who is told of jobs and of the time that the calling thread sleeps for them. */
export interface JobTracer {
  /** Where the job's pieces are noted; null where they are not wanted. */
  begins(task: Task["kind"], workers: number): JobTrace | null;
  slept(ms: number): void;
}

export class JobTrace {
  readonly buffer: SharedArrayBuffer;
  readonly workers: number;
  readonly #words: Float64Array;

  constructor(workers: number) {
    this.workers = workers;
    this.buffer = new SharedArrayBuffer(8 * workers * WORKER_WORDS);
    this.#words = new Float64Array(this.buffer);
  }

  /** Those of a worker, in the order in which it took them. The job is over. */
  pieces(worker: number): TracedPiece[] {
    const first = worker * WORKER_WORDS;
    const count = Math.min(this.#words[first + TraceWord.COUNT]!, TraceWord.MOST);
    return Array.from({ length: count }, (_, piece) => {
      const at = first + TraceWord.PIECES + piece * TraceWord.PIECE;
      const [number, begin, end] = this.#words.subarray(at, at + TraceWord.PIECE) as unknown as number[];
      return { number: number!, begin: begin!, end: end! };
    });
  }

  /** How many a worker has done beyond those. */
  dropped(worker: number): number {
    return Math.max(0, this.#words[worker * WORKER_WORDS + TraceWord.COUNT]! - TraceWord.MOST);
  }
}
