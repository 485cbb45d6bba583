// A pool as one query sees it: what its jobs have taken of each worker is counted here too.

import type { Job } from "./job.js";
import type { JobTracer } from "./job-trace.js";
import type { JobPart, PoolFaults, WorkerPool, WorkerStats } from "./pool.js";
import type { Task } from "./worker.js";

export class QueryWorkers {
  readonly #pool: WorkerPool;
  readonly #tracer: JobTracer | null;
  readonly #jobs = new Set<Job>();
  /** The calling thread first; of jobs that are over, and of the calling thread's part in those that are not. */
  readonly #done: { morsels: number; busyMs: number }[];

  constructor(pool: WorkerPool, tracer: JobTracer | null = null) {
    this.#pool = pool;
    this.#tracer = tracer;
    this.#done = Array.from({ length: pool.threads + 1 }, () => ({ morsels: 0, busyMs: 0 }));
  }

  get threads(): number {
    return this.#pool.threads;
  }

  get faults(): PoolFaults {
    return this.#pool.faults;
  }

  /** The calling thread first. */
  get stats(): readonly WorkerStats[] {
    const stats = this.#done.map((done) => ({ ...done }));
    for (const job of this.#jobs) addTo(stats, job);
    return stats;
  }

  /** Whether a job of the query goes on: its operators belong to other threads, too. */
  get isSharing(): boolean {
    return this.#jobs.size > 0;
  }

  begin(parts: readonly JobPart[], ring: number, task: Task): Job {
    const trace = this.#tracer === null ? null : this.#tracer.begins(task.kind, parts.length);
    const job = this.#pool.begin(parts, ring, task, trace);
    this.#jobs.add(job);
    return job;
  }

  call(job: Job): void {
    this.#pool.call(job);
  }

  rest(job: Job): void {
    this.#pool.rest(job);
  }

  async end(job: Job): Promise<void> {
    await this.#pool.end(job);
    this.#count(job);
  }

  forget(job: Job): void {
    this.#pool.forget(job);
    this.#count(job);
  }

  /** The calling thread sleeps until somebody has finished a piece since `completed` was read, as `Job.sleep` says. */
  sleep(job: Job, completed: number): void {
    this.#slept(() => job.sleep(completed));
  }

  /** The same until a worker has left, as `Job.sleepUntilLeft` says. */
  sleepUntilLeft(job: Job): void {
    this.#slept(() => job.sleepUntilLeft());
  }

  #slept(sleep: () => void): void {
    if (this.#tracer === null) {
      sleep();
      return;
    }
    const start = performance.now();
    sleep();
    this.#tracer.slept(performance.now() - start);
  }

  check(job: Job): void {
    this.#pool.check(job);
  }

  /** Counts a morsel of the calling thread. */
  count(busyMs: number): void {
    this.#pool.count(busyMs);
    this.#done[0]!.morsels += 1;
    this.#done[0]!.busyMs += busyMs;
  }

  #count(job: Job): void {
    if (this.#jobs.delete(job)) addTo(this.#done, job);
  }
}

function addTo(stats: { morsels: number; busyMs: number }[], job: Job): void {
  for (let worker = 0; worker < job.workers; worker++) {
    stats[worker + 1]!.morsels += job.morsels(worker);
    stats[worker + 1]!.busyMs += job.milliseconds(worker);
  }
}
