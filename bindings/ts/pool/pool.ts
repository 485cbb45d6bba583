// The worker pool of one engine: threads on the memory of its kernel, which take part in jobs (job.ts).
//
// The calling thread is one of the workers, so a pool of n has n - 1 threads. They wait in their event loops, which costs
// nothing, and do not keep the process alive unless a job runs. A thread that ends takes the jobs that it was at
// work on with it, and is replaced. It is never ended from here while it is at work: it might hold the allocator's
// lock (only `close` does so, after everything else has failed, when nobody uses the memory any more).

import { Batch, ContextFlag, ErrorRecord, Type } from "../../../kernel/abi/layout.js";
import { Status } from "../../../kernel/abi/status.js";
import type { Kernel } from "../kernel/index.js";
import { WorkerError } from "../type/error.js";
import { Job, JobWord, Spin, WorkerWord } from "./job.js";
import { type JobTrace, TraceWord } from "./job-trace.js";
import { coresOfHost, spawn, type Thread } from "./spawn.js";
import {
  type FromWorker,
  PullOrder,
  PushRounds,
  RECORD_TEXT_BYTES,
  type Task,
  type WorkerLayout,
} from "./worker.js";

/** What a worker has done since the engine was opened. */
export interface WorkerStats {
  readonly morsels: number;
  /** Time in the kernel. */
  readonly busyMs: number;
}

/** Switches for tests. */
export interface PoolFaults {
  /** Workers sleep up to so many microseconds before each morsel. */
  readonly jitterUs?: number | undefined;
  /** The thread that claims a morsel of this number or a later one ends. */
  readonly endAt?: number | undefined;
  /** The calling thread leaves all pieces to the others, which are there, and shares results however fast they are written. */
  readonly leavesPieces?: boolean | undefined;
  /** Groups from which on bringing aggregations together is shared. */
  readonly divideGroups?: number | undefined;
  /** Rows of results that one thread writes before the others are shared, whatever they take. */
  readonly lookRows?: number | undefined;
  /** Rows of a stream's push from which on it is spread, in pieces of half as many, however often results leave. */
  readonly spreadRows?: number | undefined;
  /** Rows after which other sorts take what comes. */
  readonly roundRows?: number | undefined;
}

/** What each thread of a job uses, in the kernel's memory. */
export interface JobPart {
  readonly handle: number;
  /** `RECORD_BYTES` for the record of a failure. */
  readonly record: number;
}

export const RECORD_BYTES: number = ErrorRecord.SIZE + RECORD_TEXT_BYTES;

/** Bytes of a set of `op_push_together`: u32 handle, u32 address of its outputs. */
export const SET_BYTES = 8;

export const LAYOUT: WorkerLayout = {
  job: JobWord,
  worker: WorkerWord,
  trace: TraceWord,
  spin: Spin,
  error: { SIZE: ErrorRecord.SIZE, TYPE: ErrorRecord.TYPE, VALUE: ErrorRecord.VALUE },
  textTypes: [Type.BYTES, Type.LARGE_BYTES],
  status: { OUT_OF_MEMORY: Status.OUT_OF_MEMORY, FAILED: Status.FAILED, HAS_MORE: Status.HAS_MORE },
  pull: PullOrder,
  rounds: PushRounds,
  batchBytes: Batch.SIZE,
  setBytes: SET_BYTES,
  attach: ContextFlag.ATTACH,
};

/** How long a thread may take to start, and `close` waits for one to end. */
const START_MS = 30_000;
const END_MS = 1000;
/** After so long a thread is replaced that could not be: runs may have had all the memory. */
const AGAIN_MS = 100;

interface Member {
  thread: Thread | null;
  /** Address of its context; 0 before it is ready. */
  context: number;
  /** Whether it did not start: it is not tried again, unless one has been there in its place. */
  hasFailed: boolean;
  wasReady: boolean;
  morsels: number;
  busyMs: number;
}

interface RunningJob {
  readonly job: Job;
  readonly task: Task;
  readonly parts: readonly JobPart[];
  readonly trace: JobTrace | null;
  /** Whether nothing is offered, and nobody waits for it: it does not keep the process alive. */
  rests: boolean;
}

export class WorkerPool {
  /** Resolves to the same as `#kernel`, which is there once the pool is open. */
  readonly #opening: Promise<Kernel>;
  #kernel!: Kernel;
  readonly #members: Member[];
  readonly #jobs = new Set<RunningJob>();
  readonly faults: PoolFaults;
  readonly #own = { morsels: 0, busyMs: 0 };
  #started: Promise<void> = Promise.resolve();
  #failure: string | null = null;
  #restarts = 0;
  #closed = false;
  /** Whether the threads keep the process alive. */
  #holds = false;
  /** Whether threads look for work for a while before they sleep: there is a core for each. */
  readonly #spins: boolean;

  private constructor(opening: Promise<Kernel>, threads: number, faults: PoolFaults) {
    this.#opening = opening;
    this.faults = faults;
    this.#spins = threads < coresOfHost();
    this.#members = Array.from({ length: threads }, () => ({
      thread: null,
      context: 0,
      hasFailed: false,
      wasReady: false,
      morsels: 0,
      busyMs: 0,
    }));
  }

  /**
   * A pool of `workers`, the calling thread among them, on a kernel that is being opened. Threads start meanwhile, and
   * nobody waits for them: one that is ready takes part in what runs then (a thread needs 15 ms and more to start).
   * @throws what `opening` throws.
   */
  static async open(opening: Promise<Kernel>, workers: number, faults: PoolFaults = {}): Promise<WorkerPool> {
    const pool = new WorkerPool(opening, workers - 1, faults);
    const started = pool.#members.map((_, worker) => pool.#start(worker));
    pool.#started = Promise.allSettled(started).then(() => {});
    try {
      pool.#kernel = await opening;
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  /** Resolves when every thread is ready, or has failed to start. */
  async ready(): Promise<void> {
    // Threads do not keep the process alive while they start: who waits for them does.
    const waiting = setInterval(() => {}, START_MS);
    await this.#started;
    clearInterval(waiting);
  }

  /** Why a thread did not start; null while none has failed to. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Threads that are ready or about to be. */
  get alive(): number {
    return this.#members.filter(({ hasFailed }) => !hasFailed).length;
  }

  /** Threads besides the calling one. */
  get threads(): number {
    return this.#members.length;
  }

  /** Threads that ended and were replaced. */
  get restarts(): number {
    return this.#restarts;
  }

  /** The calling thread first. */
  get stats(): readonly WorkerStats[] {
    const running = [...this.#jobs].map(({ job }) => job);
    const others = this.#members.map(({ morsels, busyMs }, worker) => ({
      morsels: running.reduce((sum, job) => sum + job.morsels(worker), morsels),
      busyMs: running.reduce((sum, job) => sum + job.milliseconds(worker), busyMs),
    }));
    return [{ ...this.#own }, ...others];
  }

  /** Counts a morsel of the calling thread. */
  count(busyMs: number): void {
    this.#own.morsels += 1;
    this.#own.busyMs += busyMs;
  }

  /** Begins a job: `parts` has one for each thread. */
  begin(parts: readonly JobPart[], ring: number, task: Task, trace: JobTrace | null = null): Job {
    const job = new Job(parts.length, ring, this.#spins);
    this.#jobs.add({ job, parts, task, trace, rests: false });
    this.#holdWhileBusy();
    return job;
  }

  /** Calls the threads that are not at work on the job. */
  call(job: Job): void {
    const running = this.#find(job);
    if (running === undefined) return;
    if (running.rests) {
      running.rests = false;
      this.#holdWhileBusy();
    }
    for (let worker = 0; worker < running.parts.length; worker++) {
      const { thread, context } = this.#members[worker]!;
      if (thread === null || context === 0 || !job.asks(worker)) continue;
      thread.post({
        kind: "job",
        words: job.buffer,
        task: running.task,
        ...running.parts[worker]!,
        endAt: this.faults.endAt ?? -1,
        trace: running.trace?.buffer ?? null,
      });
    }
  }

  /** All that was offered is done: until more is, the job keeps nobody. */
  rest(job: Job): void {
    const running = this.#find(job);
    if (running === undefined || running.rests) return;
    running.rests = true;
    this.#holdWhileBusy();
  }

  /** The job is over; resolves when no thread uses anything of it any more. Within a morsel's time, or a thread's end. */
  async end(job: Job): Promise<void> {
    job.close();
    while (job.isBusy && !this.#closed) await new Promise((resolve) => setTimeout(resolve, 1));
    this.forget(job);
  }

  /** The same for a job that nobody is at work on. */
  forget(job: Job): void {
    const running = this.#find(job);
    if (running === undefined) return;
    job.close();
    this.#jobs.delete(running);
    this.#members.forEach((member, worker) => {
      member.morsels += job.morsels(worker);
      member.busyMs += job.milliseconds(worker);
    });
    this.#holdWhileBusy();
  }

  /** Throws what went wrong with threads of the job, but not with its rows. */
  check(job: Job): void {
    if (job.hasTrapped) throw this.#kernel.poison("in a worker");
    if (job.lost.size > 0) {
      throw new WorkerError(
        "a worker of the engine ended while it was at work on this query: it has been replaced, run the query again",
      );
    }
  }

  /** Ends the threads; bounded. Jobs that still run are lost. */
  async close(): Promise<void> {
    if (this.#closed) return;
    for (const { job } of this.#jobs) {
      job.stop();
      job.close();
    }
    const deadline = performance.now() + END_MS;
    const isBusy = () => [...this.#jobs].some(({ job }) => job.isBusy);
    while (isBusy() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 1));
    this.#closed = true;
    await Promise.all(this.#members.map(({ thread }) => thread?.terminate()));
  }

  #find(job: Job): RunningJob | undefined {
    for (const running of this.#jobs) if (running.job === job) return running;
    return undefined;
  }

  get #isBusy(): boolean {
    for (const { rests } of this.#jobs) if (!rests) return true;
    return false;
  }

  /** The threads keep the process alive while a job does not rest. */
  #holdWhileBusy(): void {
    const isBusy = this.#isBusy;
    if (isBusy === this.#holds) return;
    this.#holds = isBusy;
    for (const { thread, context } of this.#members) if (context !== 0) thread?.hold(isBusy);
  }

  /** Resolves when the thread is ready, or has failed to start; never rejects. */
  async #start(worker: number): Promise<void> {
    const member = this.#members[worker]!;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const failed = (reason: unknown) => {
      if (member.context !== 0 || member.hasFailed) return;
      member.hasFailed = true;
      if (!this.#closed)
        this.#failure = `a worker did not start${reason === null ? "" : `: ${String(reason)}`}`;
    };
    await new Promise<void>((resolve) => {
      const fail = (reason: unknown) => {
        failed(reason);
        resolve();
      };
      timer = setTimeout(() => fail("no answer"), START_MS);
      // A page's timers are numbers, and keep nothing alive.
      if (typeof timer === "object") timer.unref();
      const events = {
        message: (message: FromWorker) => {
          if (message.kind === "trap") {
            this.#kernel.poison(message.message);
            return;
          }
          member.context = message.context;
          member.wasReady = true;
          member.thread?.hold(this.#holds);
          for (const { job } of this.#jobs) if (job.waiting > 0) this.call(job);
          resolve();
        },
        exit: (reason: unknown) => {
          if (member.context === 0 && member.wasReady && !member.hasFailed) this.#later(worker);
          else fail(reason);
          resolve();
          this.#gone(worker);
        },
      };
      spawn(events)
        .then(async (thread) => {
          if (this.#closed) {
            await thread.terminate();
            return;
          }
          member.thread = thread;
          const share = (await this.#opening).share();
          thread.post({
            kind: "open",
            share,
            worker,
            layout: LAYOUT,
            jitter: this.faults.jitterUs ?? 0,
            spins: this.#spins,
          });
        })
        .catch(fail);
    }).finally(() => clearTimeout(timer));
  }

  /** Another try at replacing a thread. */
  #later(worker: number): void {
    const timer: unknown = setTimeout(() => {
      if (!this.#closed && this.#kernel.isAlive) void this.#start(worker);
    }, AGAIN_MS);
    if (typeof timer === "object") (timer as { unref(): void }).unref();
  }

  /** A thread has ended: its jobs are lost, its context is freed, and another takes its place. */
  #gone(worker: number): void {
    const member = this.#members[worker]!;
    const { context } = member;
    member.thread = null;
    member.context = 0;
    if (this.#closed) return;
    for (const { job } of this.#jobs) job.lose(worker);
    // One that never was ready is not tried again.
    if (context === 0) return;
    if (this.#kernel.isAlive) this.#kernel.free(context);
    this.#restarts += 1;
    void this.#start(worker);
  }
}
