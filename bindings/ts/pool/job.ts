// A job: morsels that several workers push into operators of their own, and the words in shared memory by which they
// agree.
//
// The calling thread offers morsels (addresses of batch descriptors) in a ring; whoever is free claims the next one, the
// calling thread too. Nobody sends a message for a morsel: a worker that finds none sleeps on SIGNAL for a while, then
// goes back to its event loop, where other jobs reach it, and is called again when there are more. So one stalled
// query keeps no worker. After a job it looks for the next message by itself for a while, where the host lets it (worker.ts).
//
// To wake a thread takes the one that does so up to 0.3 ms where its core sleeps, too (measured on a virtual machine), and
// some microseconds where nobody sleeps. So who sleeps is counted (SLEEPING, WAITING), each looks for a while before where
// there is a core for each, and of morsels that are offered together the first one wakes. Looking for 20 us lost to
// 0.5 ms, by 1.7 times where a piece takes 0.7 ms: each slept whenever the other was at work.
//
//   words: CLOSED SIGNAL FILLED NEXT COMPLETED STOP TRAP RING SLEEPING WAITING, and two spare
//          per worker: INSIDE ASKED MORSELS MICROSECONDS FAILED (number of the morsel + 1), and three spare
//          ring: addresses, then for each the number of the morsel that was last done there + 1
//
// INSIDE is set before CLOSED is read, and CLOSED before INSIDE is read: one of the two sides sees the other, so what
// the job uses can be freed once it is closed and nobody is inside. The words are a buffer of their own and not
// part of the kernel's memory: a worker that is called late finds them, and CLOSED in them.

/** Words of a job, in units of 4 bytes. */
export const JobWord = {
  CLOSED: 0,
  SIGNAL: 1,
  FILLED: 2,
  NEXT: 3,
  COMPLETED: 4,
  STOP: 5,
  TRAP: 6,
  RING: 7,
  /** Workers that sleep on SIGNAL, or are about to; 1 while the calling thread does on COMPLETED. */
  SLEEPING: 8,
  WAITING: 9,
  WORKERS: 12,
} as const;

/** Words of a worker. */
export const WorkerWord = {
  INSIDE: 0,
  ASKED: 1,
  MORSELS: 2,
  MICROSECONDS: 3,
  FAILED: 4,
  SIZE: 8,
} as const;

/**
 * How many milliseconds a thread looks before it sleeps, how often before it looks at the clock, and at the clock at most:
 * one that has been put back does not keep it; how many milliseconds at most one looks for its next job.
 */
export const Spin = { MS: 0.5, LOOKS: 64, ROUNDS: 10_000, MOST_MS: 2 } as const;

export class Job {
  readonly buffer: SharedArrayBuffer;
  readonly workers: number;
  readonly ring: number;
  readonly #words: Int32Array;
  readonly #ringAt: number;
  readonly #spins: boolean;
  /** Workers that ended while they were inside. */
  readonly #lost = new Set<number>();

  /** @param spins whether the calling thread looks for a while before it sleeps */
  constructor(workers: number, ring: number, spins = false) {
    this.#spins = spins;
    this.workers = workers;
    this.ring = ring;
    this.#ringAt = JobWord.WORKERS + workers * WorkerWord.SIZE;
    this.buffer = new SharedArrayBuffer((this.#ringAt + 2 * ring) * 4);
    this.#words = new Int32Array(this.buffer);
    this.#words[JobWord.RING] = ring;
  }

  #load(word: number): number {
    return Atomics.load(this.#words, word);
  }

  #worker(worker: number, word: number): number {
    return JobWord.WORKERS + worker * WorkerWord.SIZE + word;
  }

  get filled(): number {
    return this.#load(JobWord.FILLED);
  }

  get claimed(): number {
    return this.#load(JobWord.NEXT);
  }

  /** Morsels offered that nobody has claimed. */
  get waiting(): number {
    return this.filled - this.claimed;
  }

  get completed(): number {
    return this.#load(JobWord.COMPLETED);
  }

  /** Whether the next morsel's place in the ring is free: the one before it there is done. */
  get hasPlace(): boolean {
    const number = this.filled;
    return number < this.ring || this.isDone(number - this.ring);
  }

  isDone(number: number): boolean {
    return this.#load(this.#ringAt + this.ring + (number % this.ring)) > number;
  }

  /** Lets everybody who is awake claim one more morsel; there is a place for it. Others are to be woken (`wake`). */
  offer(address: number): void {
    const number = this.filled;
    Atomics.store(this.#words, this.#ringAt + (number % this.ring), address | 0);
    Atomics.store(this.#words, JobWord.FILLED, number + 1);
    Atomics.add(this.#words, JobWord.SIGNAL, 1);
  }

  /** Wakes workers that sleep. */
  wake(): void {
    if (this.#load(JobWord.SLEEPING) > 0) Atomics.notify(this.#words, JobWord.SIGNAL);
  }

  /** The number of a morsel that is the caller's now, or -1. */
  claim(): number {
    if (this.isStopped) return -1;
    for (;;) {
      const next = this.#load(JobWord.NEXT);
      if (next >= this.filled) return -1;
      if (Atomics.compareExchange(this.#words, JobWord.NEXT, next, next + 1) === next) return next;
    }
  }

  address(number: number): number {
    return this.#load(this.#ringAt + (number % this.ring)) >>> 0;
  }

  /** A claimed morsel has been pushed, by the calling thread. */
  done(number: number): void {
    Atomics.store(this.#words, this.#ringAt + this.ring + (number % this.ring), number + 1);
    Atomics.add(this.#words, JobWord.COMPLETED, 1);
  }

  /** No more morsels are claimed: one has failed, or nobody wants the result. */
  stop(): void {
    Atomics.store(this.#words, JobWord.STOP, 1);
    this.#signal();
  }

  /** Nobody comes in from now on; who is inside leaves when there is nothing to do. */
  close(): void {
    Atomics.store(this.#words, JobWord.CLOSED, 1);
    this.#signal();
  }

  get isStopped(): boolean {
    return this.#load(JobWord.STOP) !== 0;
  }

  get isClosed(): boolean {
    return this.#load(JobWord.CLOSED) !== 0;
  }

  /** Whether the kernel trapped in a worker: its memory may be half-written. */
  get hasTrapped(): boolean {
    return this.#load(JobWord.TRAP) !== 0;
  }

  /** Whether `worker` is to be called: it is neither inside nor on its way. If so it counts as being on its way. */
  asks(worker: number): boolean {
    if (this.isClosed || this.isInside(worker)) return false;
    return Atomics.compareExchange(this.#words, this.#worker(worker, WorkerWord.ASKED), 0, 1) === 0;
  }

  isInside(worker: number): boolean {
    return !this.#lost.has(worker) && this.#load(this.#worker(worker, WorkerWord.INSIDE)) !== 0;
  }

  /** Whether anybody but the calling thread is at work. */
  get isBusy(): boolean {
    for (let worker = 0; worker < this.workers; worker++) if (this.isInside(worker)) return true;
    return false;
  }

  /** The thread of `worker` has ended. True when it was at work here. */
  lose(worker: number): boolean {
    const inside = this.isInside(worker);
    if (inside) {
      this.#lost.add(worker);
      this.stop();
    }
    return inside;
  }

  get lost(): ReadonlySet<number> {
    return this.#lost;
  }

  morsels(worker: number): number {
    return this.#load(this.#worker(worker, WorkerWord.MORSELS));
  }

  milliseconds(worker: number): number {
    return this.#load(this.#worker(worker, WorkerWord.MICROSECONDS)) / 1000;
  }

  /** Number of the morsel that a worker could not push; -1 when there is none. */
  failed(worker: number): number {
    return this.#load(this.#worker(worker, WorkerWord.FAILED)) - 1;
  }

  /**
   * Sleeps until somebody has finished a morsel since `completed` was read, a millisecond at most. On a thread that
   * must not sleep (a page's) it returns at once.
   */
  sleep(completed: number): void {
    if (this.#changesSoon(JobWord.COMPLETED, completed)) return;
    Atomics.store(this.#words, JobWord.WAITING, 1);
    this.#wait(JobWord.COMPLETED, completed);
    Atomics.store(this.#words, JobWord.WAITING, 0);
  }

  /**
   * Sleeps until a worker that is inside has left, a millisecond at most: by its own word, which says so to whoever
   * looks too late to be woken. All is done then, and it leaves at once.
   */
  sleepUntilLeft(): void {
    const worker = Array.from({ length: this.workers }, (_, at) => at).find((at) => this.isInside(at));
    if (worker === undefined) return;
    const inside = this.#worker(worker, WorkerWord.INSIDE);
    if (!this.#changesSoon(inside, 1)) this.#wait(inside, 1);
  }

  /** Looks at a word for a while, where there is a core for each thread: whether it is not `value` any more. */
  #changesSoon(word: number, value: number): boolean {
    if (!this.#spins) return false;
    const until = performance.now() + Spin.MS;
    for (let round = 0; round < Spin.ROUNDS && performance.now() < until; round++) {
      for (let look = 0; look < Spin.LOOKS; look++) if (this.#load(word) !== value) return true;
    }
    return false;
  }

  #wait(word: number, value: number): void {
    if (!canSleep) return;
    try {
      Atomics.wait(this.#words, word, value, 1);
    } catch {
      canSleep = false;
    }
  }

  #signal(): void {
    Atomics.add(this.#words, JobWord.SIGNAL, 1);
    this.wake();
  }
}

let canSleep = true;
