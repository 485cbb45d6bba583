// Measuring a run from inside: what each step of its pipeline took and moved, and when.
//
// Steps work only inside `push`, `watermark`, `finish` and the `next` of what these answer, so the time of those
// calls is the step's own: what follows it runs between them. Calls into the kernel are measured apart, by the
// kernel itself. What other threads do they note themselves (pool/job-trace.ts), and it is read when the run is over.
// Runs that are not profiled have no probe and pay for none of this.

import {
  bytesRead,
  type InputBatch,
  type Kernel,
  type Operator,
  type OperatorCounts,
  ResidentBatch,
} from "../kernel/index.js";
import { type Stage, stageTitle } from "../plan/index.js";
import { JobTrace, type JobTracer, type QueryWorkers, type Task } from "../pool/index.js";
import { columnBytes } from "../type/column-bytes.js";
import type { Schema } from "../type/data-type.js";
import type { OperatorProfile, RunProfile, Slice } from "./profile.js";
import { rowsOf, type Step, type StepBatch } from "./step.js";

/** Slices that are kept; a run of days must not fill the memory. */
const MOST_SLICES = 100_000;

/** Which columns of a step's input its first stage reads; null: all. */
function columnsRead(stage: Stage, port: number): readonly number[] | null {
  switch (stage.kind) {
    case "project":
    case "aggregate":
    case "groupingSets":
    case "window":
      return stage.columns;
    case "join":
      return port === 0 ? stage.left.columns : stage.right.columns;
    default:
      return null;
  }
}

/** What has been measured of one node of the tree. */
export class ProbeRecord {
  readonly id: number;
  readonly name: string;
  readonly detail: string;
  readonly inputs: ProbeRecord[] = [];
  /** The first stage that the step runs; null for a source. */
  readonly stage: Stage | null;
  rowsIn = 0;
  batchesIn = 0;
  rowsOut = 0;
  batchesOut = 0;
  ms = 0;
  kernelMs = 0;
  workersMs = 0;
  bytesRead = 0;
  bytesWritten = 0;
  peakStateBytes = 0;
  runsMerged = 0;
  /** What each operator said last, and of what comes and goes the most that it said. */
  readonly counts = new Map<Operator, OperatorCounts>();

  constructor(id: number, name: string, detail: string, stage: Stage | null) {
    this.id = id;
    this.name = name;
    this.detail = detail;
    this.stage = stage;
  }
}

/** What a job's pieces are called in a profile. */
const CALLS: Readonly<Record<Task["kind"], Slice["call"]>> = {
  push: "push",
  pushTogether: "push",
  process: "push",
  divide: "divide",
  combine: "combine",
  fold: "combine",
  ready: "finish",
  measure: "divide",
  divideBy: "divide",
  range: "combine",
  pull: "finish",
};

interface TracedJob {
  readonly record: ProbeRecord;
  readonly call: Slice["call"];
  readonly trace: JobTrace;
}

export class Probe implements JobTracer {
  readonly #kernel: Kernel;
  readonly #start = performance.now();
  readonly #jobs: TracedJob[] = [];
  #workers: QueryWorkers | null = null;
  readonly #records: ProbeRecord[] = [];
  readonly #sources: ProbeRecord[] = [];
  readonly #steps = new Map<Step, ProbeRecord>();
  readonly #slices: Slice[] = [];
  #root: ProbeRecord | null = null;
  #schema: Schema | null = null;
  #dropped = 0;
  #kernelMs = 0;
  #waitingMs = 0;
  /** Whose call is being measured. */
  #current: ProbeRecord | null = null;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    kernel.watch((start, end) => {
      const ms = end - start;
      this.#kernelMs += ms;
      if (this.#current === null) return;
      this.#current.kernelMs += ms;
      const { id } = this.#current;
      this.#slice({ operator: id, worker: 0, call: "kernel", start: start - this.#start, ms, rows: 0 });
    });
  }

  /** A chain's source: sources come in the order of their numbers. */
  addSource(name: string, columns: readonly string[]): ProbeRecord {
    const record = this.#add(
      "read",
      `${name}: ${columns.length > 0 ? columns.join(", ") : "row counts"}`,
      null,
    );
    this.#sources.push(record);
    return record;
  }

  /** A step that takes what `input` gives, and the stages that it runs. */
  addStep(step: Step, stages: readonly Stage[], input: ProbeRecord): ProbeRecord {
    const titles = stages.map(stageTitle);
    const { name } = titles.at(-1)!;
    const detail = titles.map((title, index) =>
      index === titles.length - 1 ? title.detail : `${title.name} ${title.detail}`,
    );
    const record = this.#add(name, detail.join("; "), stages[0]!);
    record.inputs.push(input);
    this.#steps.set(step, record);
    return record;
  }

  #add(name: string, detail: string, stage: Stage | null): ProbeRecord {
    const record = new ProbeRecord(this.#records.length, name, detail, stage);
    this.#records.push(record);
    return record;
  }

  /** The node that the result comes from, and its columns. */
  result(record: ProbeRecord, schema: Schema): void {
    this.#root = record;
    this.#schema = schema;
  }

  get schema(): Schema {
    return this.#schema!;
  }

  /** The threads that the run is shared with; null: there are none. */
  sharedWith(workers: QueryWorkers | null): void {
    this.#workers = workers;
  }

  begins(task: Task["kind"], workers: number): JobTrace | null {
    if (this.#current === null) return null;
    const trace = new JobTrace(workers);
    this.#jobs.push({ record: this.#current, call: CALLS[task], trace });
    return trace;
  }

  slept(ms: number): void {
    this.#waitingMs += ms;
  }

  /** Rows that a source has given, after being waited for. */
  read(source: number, rows: number, isBatch: boolean): void {
    const record = this.#sources[source]!;
    record.rowsIn += rows;
    record.rowsOut += rows;
    if (!isBatch) return;
    record.batchesIn += 1;
    record.batchesOut += 1;
  }

  /** Time until `work` is done: others had the thread, or a source had nothing to give. */
  async waiting<T>(work: Promise<T>, source: number | null = null): Promise<T> {
    const start = performance.now();
    try {
      return await work;
    } finally {
      const ms = performance.now() - start;
      this.#waitingMs += ms;
      if (source !== null) this.#sources[source]!.ms += ms;
    }
  }

  /** A push, with what it reads. */
  *push(
    step: Step,
    input: InputBatch,
    start: number,
    rows: number,
    port: number,
    work: () => Iterable<StepBatch>,
  ): Generator<StepBatch> {
    const record = this.#steps.get(step)!;
    record.rowsIn += rows;
    record.batchesIn += 1;
    record.bytesRead += bytesRead(input, columnsRead(record.stage!, port), start, rows);
    yield* this.results(step, "push", rows, work);
  }

  /** What a call of a step yields, each piece of work measured. */
  *results<B extends StepBatch>(
    step: Step,
    call: Slice["call"],
    rows: number,
    work: () => Iterable<B>,
  ): Generator<B> {
    const record = this.#steps.get(step)!;
    const iterable = this.#timed(step, record, call, rows, work);
    const iterator = iterable[Symbol.iterator]();
    let ended = false;
    try {
      for (;;) {
        const next = this.#timed(step, record, call, 0, () => iterator.next());
        ended = next.done === true;
        if (ended) return;
        count(record, next.value);
        yield next.value;
      }
    } finally {
      if (!ended) iterator.return?.();
    }
  }

  /** A last step's results, left where they are. */
  resident(step: Step, work: () => ResidentBatch[]): ResidentBatch[] {
    const record = this.#steps.get(step)!;
    const batches = this.#timed(step, record, "finish", 0, work);
    for (const batch of batches) count(record, batch);
    return batches;
  }

  /** Results of the last step that stayed in the kernel's memory as they came. */
  keep(batches: readonly ResidentBatch[]): void {
    for (const batch of batches) count(this.#root!, batch);
  }

  #timed<T>(step: Step, record: ProbeRecord, call: Slice["call"], rows: number, work: () => T): T {
    const outer = this.#current;
    this.#current = record;
    const start = performance.now();
    try {
      return work();
    } finally {
      const ms = performance.now() - start;
      this.#current = null;
      record.ms += ms;
      this.#slice({ operator: record.id, worker: 0, call, start: start - this.#start, ms, rows });
      this.#sample(step, record);
      this.#current = outer;
    }
  }

  #slice(slice: Slice): void {
    if (this.#slices.length < MOST_SLICES) this.#slices.push(slice);
    else this.#dropped += 1;
  }

  /** What other threads have noted. */
  #takeJobs(): void {
    const start = performance.timeOrigin + this.#start;
    for (const { record, call, trace } of this.#jobs) {
      for (let worker = 0; worker < trace.workers; worker++) {
        for (const { number, begin, end } of trace.pieces(worker)) {
          const ms = end - begin;
          record.workersMs += ms;
          const slice = { operator: record.id, worker: worker + 1, call, start: begin - start, ms, rows: 0 };
          this.#slice({ ...slice, piece: number });
        }
        this.#dropped += trace.dropped(worker);
      }
    }
  }

  /**
   * What the step's operators say of themselves. Not measured: nobody asks when nobody profiles. While other threads are
   * at work on some of them they are not asked.
   */
  #sample(step: Step, record: ProbeRecord): void {
    if (!this.#kernel.isAlive || this.#workers?.isSharing) return;
    const before = this.#kernelMs;
    let state = 0;
    // What operators of other threads have counted goes on in those that they are brought together in.
    if (this.#workers !== null && step.operators.some(({ isOpen }) => isOpen)) record.counts.clear();
    for (const operator of step.operators) {
      if (!operator.isOpen || operator.hasFailed) continue;
      const counts = operator.stats();
      record.counts.set(operator, withPeaks(counts, record.counts.get(operator)));
      state += counts.stateBytes;
    }
    record.peakStateBytes = Math.max(record.peakStateBytes, state);
    record.runsMerged = Math.max(record.runsMerged, step.runs ?? 0);
    this.#kernelMs = before;
  }

  /** Ends the measurement. */
  finish(mode: RunProfile["mode"]): RunProfile {
    const wallMs = performance.now() - this.#start;
    this.stop();
    this.#takeJobs();
    const kernelMs = this.#kernelMs;
    const waitingMs = Math.min(this.#waitingMs, wallMs - kernelMs);
    const root = this.#root!;
    return {
      mode,
      rowsIn: this.#sources.reduce((sum, { rowsOut }) => sum + rowsOut, 0),
      rowsOut: root.rowsOut,
      wallMs,
      kernelMs,
      waitingMs,
      typescriptMs: wallMs - kernelMs - waitingMs,
      plan: operatorProfile(root),
      workers: this.#workers?.stats ?? [],
      slices: this.#slices,
      slicesDropped: this.#dropped,
    };
  }

  /** Leaves the kernel alone again. */
  stop(): void {
    this.#kernel.watch(null);
  }
}

function withPeaks(now: OperatorCounts, before: OperatorCounts | undefined): OperatorCounts {
  if (before === undefined) return now;
  const most = (of: "groups" | "tableSlots" | "openWindows" | "partitions" | "keyTier") =>
    Math.max(now[of], before[of]);
  return {
    ...now,
    groups: most("groups"),
    tableSlots: most("tableSlots"),
    openWindows: most("openWindows"),
    partitions: most("partitions"),
    keyTier: most("keyTier"),
  };
}

function count(record: ProbeRecord, batch: StepBatch): void {
  const rows = rowsOf(batch);
  record.rowsOut += rows;
  // An empty batch is a join that is still at work.
  if (rows > 0) record.batchesOut += 1;
  if (batch instanceof ResidentBatch) record.bytesWritten += batch.bytes;
  else for (const column of batch.columns) record.bytesWritten += columnBytes(column, 0, column.length);
}

const KEY_TIERS = [null, "undecided", "direct", "hash", "text"] as const;

function operatorProfile(record: ProbeRecord): OperatorProfile {
  const { id, name, detail, rowsIn, batchesIn, rowsOut, batchesOut, ms, kernelMs } = record;
  const { bytesRead, bytesWritten, workersMs } = record;
  const counts = [...record.counts.values()];
  const total = (of: "rowsSelected" | "probes" | "lateRows") => counts.reduce((sum, one) => sum + one[of], 0);
  const most = (of: "groups" | "tableSlots" | "openWindows" | "keyTier" | "partitions") =>
    counts.reduce((max, one) => Math.max(max, one[of]), 0);
  // A projection gives each row that it selects, whichever of its operators did; some of several threads' are gone.
  const counted = name === "project" ? rowsOut : total("rowsSelected");
  const rowsSelected = counts.length === 0 ? rowsIn : counted;
  return {
    id,
    name,
    detail,
    rowsIn,
    rowsSelected,
    rowsOut,
    batchesIn,
    batchesOut,
    ms,
    kernelMs,
    workersMs,
    nsPerRow: rowsIn === 0 ? 0 : (ms * 1e6) / rowsIn,
    bytesRead,
    bytesWritten,
    bytesPerSec: ms === 0 ? 0 : ((bytesRead + bytesWritten) / ms) * 1000,
    peakStateBytes: record.peakStateBytes,
    groups: most("groups"),
    keyTier: KEY_TIERS[most("keyTier")] ?? null,
    tableSlots: most("tableSlots"),
    probeLength: rowsSelected === 0 ? 0 : total("probes") / rowsSelected,
    partitions: most("partitions"),
    runsMerged: record.runsMerged,
    openWindows: most("openWindows"),
    lateRows: total("lateRows"),
    inputs: record.inputs.map(operatorProfile),
  };
}
