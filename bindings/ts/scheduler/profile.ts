// What `engine.profile` answers: plain data, so that it can be written as JSON.

import type { WorkerStats } from "../pool/index.js";

/** One node of the plan that ran: an operator of the kernel, a step on the host, or a source. */
export interface OperatorProfile {
  readonly id: number;
  /** As `hash aggregate`; `read` for a source. */
  readonly name: string;
  readonly detail: string;
  readonly rowsIn: number;
  /** Rows that passed the filters. */
  readonly rowsSelected: number;
  readonly rowsOut: number;
  readonly batchesIn: number;
  readonly batchesOut: number;
  /** Of this node alone, on the calling thread; of a source the time that it was waited for. */
  readonly ms: number;
  /** The part of `ms` that was spent in the kernel. */
  readonly kernelMs: number;
  /** Of other threads, in the kernel; it overlaps with `ms`. */
  readonly workersMs: number;
  /** Of `ms`, as is `bytesPerSec`. */
  readonly nsPerRow: number;
  /** Bytes of the columns that it reads and of its results; state is not in it. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Both over `ms`. */
  readonly bytesPerSec: number;
  readonly peakStateBytes: number;
  /** Groups of an aggregation (of the fullest window), numbers of keys of a join. */
  readonly groups: number;
  /** How keys become numbers: see ARCHITECTURE.md; null without keys. */
  readonly keyTier: string | null;
  readonly tableSlots: number;
  /** Slots that a row's look-up went past, on average. */
  readonly probeLength: number;
  /** Parts that rows were divided into: of an aggregation's backlog, of a sort; 0 where they were not. */
  readonly partitions: number;
  /** Sorted runs, or states, that were brought together: written for want of memory, or made by other threads. */
  readonly runsMerged: number;
  /** Slices or sessions held, at most. */
  readonly openWindows: number;
  readonly lateRows: number;
  readonly inputs: readonly OperatorProfile[];
}

/** One piece of work, in milliseconds since the run began. */
export interface Slice {
  /** `OperatorProfile.id`. */
  readonly operator: number;
  /** The thread: 0 is the calling one. */
  readonly worker: number;
  /**
   * What the step was asked for; `kernel`: a call into the kernel, inside of one of the others. Other threads push
   * morsels, divide states and combine parts of them.
   */
  readonly call: "push" | "watermark" | "finish" | "kernel" | "divide" | "combine";
  readonly start: number;
  readonly ms: number;
  /** Rows pushed, on the calling thread. */
  readonly rows: number;
  /** Of other threads: the number of the morsel, or of the part, among those that were shared. */
  readonly piece?: number;
}

export interface RunProfile {
  readonly mode: "batch" | "stream";
  readonly rowsIn: number;
  readonly rowsOut: number;
  readonly wallMs: number;
  /**
   * Of the calling thread: in calls into the kernel; waiting for sources, for the event loop and for other threads;
   * and everything else. The three are the wall time.
   */
  readonly kernelMs: number;
  readonly waitingMs: number;
  readonly typescriptMs: number;
  /** The node that the result comes from; what feeds it is below. */
  readonly plan: OperatorProfile;
  /** What each of several threads has done of what they shared, the calling one first; empty where there is one. */
  readonly workers: readonly WorkerStats[];
  readonly slices: readonly Slice[];
  /** Slices beyond the first 100,000, which are in the sums but not kept. */
  readonly slicesDropped: number;
}
