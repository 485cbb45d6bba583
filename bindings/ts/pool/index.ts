// Threads of one engine, and the jobs that they share.

export type { Job } from "./job.js";
export { JobTrace, type JobTracer } from "./job-trace.js";
export { type PoolFaults, RECORD_BYTES, SET_BYTES, WorkerPool, type WorkerStats } from "./pool.js";
export { QueryWorkers } from "./query-workers.js";
export { whyNoThreads } from "./spawn.js";
export { PullOrder, PushRounds, type Task } from "./worker.js";
