// Pieces of work that the threads of a pool take part in, the calling one among them.
//
// Pieces are claimed in order, and who has claimed one finishes it. So when one fails, all before it are done, and the
// failure of the least number is the one that a single thread would have met.

import type { Kernel } from "../kernel/index.js";
import { type Job, type QueryWorkers, RECORD_BYTES, type Task } from "../pool/index.js";

export interface SharedWorkOptions {
  readonly task: Task;
  /** The operator of each thread but the calling one. */
  readonly handles: readonly number[];
  /** Pieces that can be offered ahead. */
  readonly ring: number;
  /** The error of a piece that failed in another thread, whose record lies at `record`. */
  readonly failure: (number: number, record: number) => unknown;
}

/** What the calling thread does with a piece; where it takes long, it yields in between. */
export type Piece = (value: number, number: number) => Iterable<void> | void;

export class SharedWork {
  readonly job: Job;
  readonly #kernel: Kernel;
  readonly #pool: QueryWorkers;
  readonly #failure: SharedWorkOptions["failure"];
  /**
   * Pieces that were done before the caller last looked whether there is anything to wait for. To read it only once one
   * goes to sleep is too late: the last piece may be done by then, and two threads end at the same time more often than not.
   */
  #completed = 0;
  #records: number;

  constructor(kernel: Kernel, pool: QueryWorkers, { task, handles, ring, failure }: SharedWorkOptions) {
    this.#kernel = kernel;
    this.#pool = pool;
    this.#failure = failure;
    this.#records = kernel.allocate(Math.max(1, handles.length) * RECORD_BYTES);
    const parts = handles.map((handle, worker) => ({
      handle,
      record: this.#records + worker * RECORD_BYTES,
    }));
    this.job = pool.begin(parts, ring, task);
  }

  /**
   * Lets everybody claim one more piece; there is a place for it.
   * @param wakes false: only those who are awake, as the others have just been woken
   */
  offer(value: number, wakes = true): void {
    this.job.offer(value);
    if (!wakes) return;
    this.job.wake();
    this.#pool.call(this.job);
  }

  /**
   * One piece by the calling thread (`work` does it, at once or step by step) or, if none is left, some patience with the
   * others.
   */
  *help(work: Piece): Generator<void> {
    const { job } = this;
    if (job.isStopped) yield* this.#fail();
    const number = this.#pool.faults.leavesPieces ? -1 : job.claim();
    if (number < 0) {
      this.#pool.check(job);
      this.#pool.sleep(job, this.#completed);
    } else {
      let ms = 0;
      let begin = performance.now();
      try {
        const steps = work(job.address(number), number)?.[Symbol.iterator]();
        while (steps !== undefined && steps.next().done !== true) {
          ms += performance.now() - begin;
          yield;
          begin = performance.now();
        }
      } catch (error) {
        job.stop();
        yield* this.#fail({ number, error });
      }
      ms += performance.now() - begin;
      this.#pool.count(ms);
      job.done(number);
    }
    this.#completed = job.completed;
    yield;
  }

  /** Finishes what was offered; the others wait for more, and do not keep the process alive meanwhile. */
  *rest(work: Piece): Generator<void> {
    const { job } = this;
    // One that was woken for the first of several pieces may have come and gone before the last.
    if (job.waiting > 0) {
      job.wake();
      this.#pool.call(job);
    }
    while (job.completed < job.filled) yield* this.help(work);
    this.#pool.rest(job);
  }

  /**
   * Finishes what was offered. Afterwards no other thread is at work here.
   * @param closing what the calling thread does while the others leave
   */
  *finish(work: Piece, closing: (() => void) | null = null): Generator<void> {
    const { job } = this;
    while (job.completed < job.filled) yield* this.help(work);
    job.close();
    closing?.();
    while (job.isBusy) {
      this.#pool.check(job);
      this.#pool.sleepUntilLeft(job);
      yield;
    }
    this.#kernel.memory.reachAll();
    this.free();
  }

  /** Waits until nobody is at work, and throws the failure of the first piece that failed. */
  *#fail(own: { number: number; error: unknown } | null = null): Generator<void, never> {
    const { job } = this;
    while (job.isBusy) {
      this.#pool.sleepUntilLeft(job);
      yield;
    }
    this.#pool.check(job);
    let first = own;
    for (let worker = 0; worker < job.workers; worker++) {
      const number = job.failed(worker);
      if (number < 0 || (first !== null && first.number < number)) continue;
      first = { number, error: this.#failure(number, this.#records + worker * RECORD_BYTES) };
    }
    throw first?.error ?? new Error("a job was stopped, but nobody says why");
  }

  /** Stops what is going on; resolves when no other thread is at work here any more. */
  async abandon(): Promise<void> {
    this.job.stop();
    await this.#pool.end(this.job);
  }

  /** Nobody may be at work any more (`finish`, `abandon`). */
  free(): void {
    if (this.#records === 0) return;
    this.#pool.forget(this.job);
    this.#kernel.free(this.#records);
    this.#records = 0;
    this.#kernel.retire(this);
  }
}
