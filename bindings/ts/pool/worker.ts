// What runs in a worker: an instance of the kernel on the shared memory, and the loop that claims morsels, or other
// pieces of work.
//
// The function is turned into text and started from that (spawn.ts), so it uses nothing from outside itself: no
// import, no constant of this module. The numbers of job.ts and of the ABI come as an argument.

import type { KernelExports } from "../kernel/exports.js";
import type { KernelShare } from "../kernel/index.js";
import type { JobWord, Spin, WorkerWord } from "./job.js";
import type { TraceWord } from "./job-trace.js";

/** What a worker is told. */
export type ToWorker =
  | {
      readonly kind: "open";
      readonly share: KernelShare;
      /** Its number; the calling thread has none. */
      readonly worker: number;
      readonly layout: WorkerLayout;
      /** Sleeps up to so many microseconds before each morsel, for tests of timing; 0 does not. */
      readonly jitter: number;
      /** Looks for a while before it sleeps. */
      readonly spins: boolean;
    }
  | {
      readonly kind: "job";
      readonly words: SharedArrayBuffer;
      readonly task: Task;
      /** The worker's own operator. */
      readonly handle: number;
      /** Where a failure's record goes, and 256 bytes of text after it. */
      readonly record: number;
      /** Ends the thread before its first morsel from this number on, for tests; -1 does not. */
      readonly endAt: number;
      /** Where each piece is noted (job-trace.ts); null where nobody profiles. */
      readonly trace: SharedArrayBuffer | null;
    }
  | { readonly kind: "close" };

/** What is done with each value that a job offers. */
export type Task =
  /**
   * The address of a morsel: it is pushed, into an operator of its round where there are such (`PushRounds`), else 0. Where
   * `settles`, who is there when no more come has what his aggregation keeps beside its sums added to these.
   */
  | { readonly kind: "push"; readonly rounds: number; readonly settles: boolean }
  /** The same, by the worker's projection into all aggregations of a list, one for each worker (kernel/operator/aggregate-together.ts). */
  | { readonly kind: "pushTogether"; readonly sets: readonly number[]; readonly count: number }
  /** The address of an order (u32 handle, batch, out, i32 status): the batch is pushed, and what comes of it pulled once. */
  | { readonly kind: "process"; readonly port: number; readonly maxRows: number; readonly maxBytes: number }
  /** An operator's handle: its groups are divided, by ids of texts where these are those of `like`, unless it is 0. */
  | { readonly kind: "divide"; readonly parts: number; readonly like: number }
  /**
   * A part: that of all these operators is folded into the worker's own. Where there are orders (addresses of `PullOrder`s, one
   * for each worker), its results are pulled as far as they leave by parts.
   */
  | {
      readonly kind: "combine";
      readonly sources: readonly number[];
      readonly orders: readonly number[];
      readonly maxRows: number;
      readonly maxBytes: number;
    }
  /** A part: that of all these operators, which number their groups alike, is folded into the target. */
  | { readonly kind: "fold"; readonly target: number; readonly sources: readonly number[] }
  /** A part: that of the results of this aggregation is readied. */
  | { readonly kind: "ready"; readonly operator: number }
  /** A sort's handle: the ranges of its columns are learnt. */
  | { readonly kind: "measure" }
  /** A sort's handle: its rows are divided as the leader says. */
  | { readonly kind: "divideBy"; readonly leader: number }
  /** The address of a `PullOrder`: results are pulled. */
  | { readonly kind: "pull"; readonly maxRows: number; readonly maxBytes: number }
  /** The address of an order (u32 handle, first part, parts, out, i32 status): what the parts have is put in order. */
  | { readonly kind: "range"; readonly leader: number; readonly maxRows: number; readonly maxBytes: number };

/** What says which results are pulled, and how far that has come: offsets of words. */
export const PullOrder = {
  /** u32 handle of the operator. */
  HANDLE: 0,
  /** u32 address where the batches are described, one after the other. */
  BATCHES: 4,
  /** u32 batches at most. */
  MOST: 8,
  /** u32 batches that there are. */
  COUNT: 12,
  /** i32 status of the last pull. */
  STATUS: 16,
  SIZE: 32,
} as const;

/** Rounds of pushes, each with operators of its own: offsets of words. A round that has not begun has a FIRST beyond all. */
export const PushRounds = {
  /** u32 rounds so far. */
  COUNT: 0,
  /** For each round: */
  ROUNDS: 8,
  /** u32 number of its first morsel, */
  FIRST: 0,
  /** and for each worker u32 handle of an operator. */
  HANDLES: 4,
} as const;

/** What a worker says. */
export type FromWorker =
  | { readonly kind: "ready"; readonly context: number }
  | { readonly kind: "trap"; readonly message: string };

export interface WorkerLayout {
  readonly job: typeof JobWord;
  readonly worker: typeof WorkerWord;
  readonly trace: typeof TraceWord;
  readonly spin: typeof Spin;
  readonly error: { readonly SIZE: number; readonly TYPE: number; readonly VALUE: number };
  readonly textTypes: readonly number[];
  readonly status: { readonly OUT_OF_MEMORY: number; readonly FAILED: number; readonly HAS_MORE: number };
  readonly pull: typeof PullOrder;
  readonly rounds: typeof PushRounds;
  /** Bytes of a batch's description. */
  readonly batchBytes: number;
  /** Bytes of a set in a list of those that are pushed together. */
  readonly setBytes: number;
  readonly attach: number;
}

/** The worker's side of its channel, the same on every host. */
export interface WorkerPort {
  post(message: FromWorker): void;
  listen(receive: (message: ToWorker) => void): void;
  /** The next message, before `listen` would hand it over, or null; left out where the host has no way to ask. */
  next?(): ToWorker | null;
  close(): void;
  /** Ends the thread at once. */
  end(): void;
}

/** Most bytes of a text that a failure's record takes along. */
export const RECORD_TEXT_BYTES = 256;

export function runWorker(port: WorkerPort): void {
  /** How long a worker without morsels stays, in milliseconds. */
  const PATIENCE_MS = 2;
  const TEXT_BYTES = 256;
  let exports: KernelExports;
  let memory: WebAssembly.Memory;
  let context = 0;
  let worker = 0;
  let layout: WorkerLayout;
  let jitter = 0;
  let looks = false;
  let trapped = false;

  function open(message: Extract<ToWorker, { kind: "open" }>): void {
    const { share } = message;
    memory = share.memory as WebAssembly.Memory;
    worker = message.worker;
    layout = message.layout;
    jitter = message.jitter;
    looks = message.spins;
    const instance = new WebAssembly.Instance(share.module as WebAssembly.Module, { env: { memory } });
    exports = instance.exports as unknown as KernelExports;
    context = exports.ctx_init(share.base, 0, layout.attach) >>> 0;
    if (context === 0) throw new Error("the kernel found no room for a worker's context");
    port.post({ kind: "ready", context });
  }

  /** Where memory does not do for all sets at once it may do for one after the other. */
  function pushTogether(
    { sets, count }: Extract<Task, { kind: "pushTogether" }>,
    leader: number,
    batch: number,
  ): number {
    const list = sets[worker]!;
    const { OUT_OF_MEMORY, FAILED } = layout.status;
    const status = exports.op_push_together(context, leader, batch, list, count);
    if (status !== OUT_OF_MEMORY) return status;
    const record = exports.last_error(context) >>> 0;
    const first = new Uint8Array(memory.buffer).slice(record, record + layout.error.SIZE);
    for (let set = 0; set < count; set++) {
      const own = exports.op_push_together(context, leader, batch, list + set * layout.setBytes, 1);
      if (own >= 0) continue;
      if (own !== FAILED) return own;
      // Memory ended in the midst of the rows, which says more than that nothing goes on after that.
      new Uint8Array(memory.buffer).set(first, record);
      return status;
    }
    return 0;
  }

  function pushAndPull(
    { port, maxRows, maxBytes }: Extract<Task, { kind: "process" }>,
    order: number,
  ): number {
    const numbers = new DataView(memory.buffer);
    const handle = numbers.getUint32(order, true);
    const out = numbers.getUint32(order + 8, true);
    // No rows, where nothing is pulled.
    numbers.setUint32(out, 0, true);
    let status = exports.op_push(context, handle, port, numbers.getUint32(order + 4, true));
    if (status > 0) status = exports.op_pull(context, handle, out, maxRows, maxBytes);
    numbers.setInt32(order + 12, status, true);
    return status;
  }

  function takeAndPull(
    { leader, maxRows, maxBytes }: Extract<Task, { kind: "range" }>,
    order: number,
  ): number {
    const numbers = new DataView(memory.buffer);
    const [target, first, parts, out] = [0, 4, 8, 12].map((at) => numbers.getUint32(order + at, true));
    let status = exports.op_take_parts(context, target!, leader, first!, parts!);
    if (status >= 0) status = exports.op_pull(context, target!, out!, maxRows, maxBytes);
    numbers.setInt32(order + 16, status, true);
    return status;
  }

  /** Until there are no more results (now), or no place for them. */
  function pullAll(
    { maxRows, maxBytes }: Extract<Task, { kind: "pull" | "combine" }>,
    order: number,
    isStopped: () => boolean,
  ): number {
    const { pull, status: known, batchBytes } = layout;
    let view = new DataView(memory.buffer);
    const [handle, batches, most] = [pull.HANDLE, pull.BATCHES, pull.MOST].map((word) =>
      view.getUint32(order + word, true),
    );
    let status: number = known.HAS_MORE;
    let count = view.getUint32(order + pull.COUNT, true);
    while (status === known.HAS_MORE && count < most! && !isStopped()) {
      const out = batches! + count * batchBytes;
      status = exports.op_pull(context, handle!, out, maxRows, maxBytes);
      if (status < 0) break;
      view = new DataView(memory.buffer);
      // Its rows.
      if (view.getUint32(out, true) > 0) count++;
      view.setUint32(order + pull.COUNT, count, true);
      view.setInt32(order + pull.STATUS, status, true);
    }
    return status;
  }

  /** The worker's operator for a morsel. */
  function operatorIn(rounds: number, morsel: number, workers: number): number {
    const { rounds: word } = layout;
    const numbers = new DataView(memory.buffer);
    const size = word.HANDLES + 4 * workers;
    let at = rounds + word.ROUNDS + (numbers.getUint32(rounds + word.COUNT, true) - 1) * size;
    // One may have begun since the morsel was claimed.
    while (numbers.getUint32(at + word.FIRST, true) > morsel) at -= size;
    return numbers.getUint32(at + word.HANDLES + 4 * worker, true);
  }

  /** The status of the first call that fails, or the last one's. */
  function perform(task: Task, handle: number, value: number, isStopped: () => boolean): number {
    if (task.kind === "push") return exports.op_push(context, handle, 0, value);
    if (task.kind === "pushTogether") return pushTogether(task, handle, value);
    if (task.kind === "process") return pushAndPull(task, value);
    if (task.kind === "divide") return exports.op_divide(context, value, task.parts, task.like);
    if (task.kind === "ready") return exports.op_ready_part(context, task.operator, value);
    if (task.kind === "measure") return exports.op_measure(context, value);
    if (task.kind === "range") return takeAndPull(task, value);
    if (task.kind === "pull") return pullAll(task, value, isStopped);
    if (task.kind === "divideBy") {
      // Until NEED_INPUT, which is 0.
      for (;;) {
        const status = exports.op_divide_by(context, value, task.leader);
        if (status <= 0 || isStopped()) return status;
      }
    }
    let status = 0;
    for (let at = 0; at < task.sources.length && status >= 0; at++) {
      const source = task.sources[at]!;
      status =
        task.kind === "fold"
          ? exports.op_fold_part(context, task.target, source, value)
          : exports.op_combine_part(context, handle, source, value);
    }
    if (task.kind === "fold" || status < 0 || task.orders.length === 0) return status;
    return pullPart(task, task.orders[worker]!, isStopped);
  }

  /** The results of a part; where memory ends they wait, and so do those of all parts after it. */
  function pullPart(
    task: Extract<Task, { kind: "combine" }>,
    order: number,
    isStopped: () => boolean,
  ): number {
    const { pull, status: known } = layout;
    const status = pullAll(task, order, isStopped);
    if (status !== known.OUT_OF_MEMORY) return status;
    const view = new DataView(memory.buffer);
    view.setUint32(order + pull.MOST, view.getUint32(order + pull.COUNT, true), true);
    return 0;
  }

  function run(message: Extract<ToWorker, { kind: "job" }>): void {
    const { words: buffer, task, handle, record, endAt, trace } = message;
    const { job, worker: own } = layout;
    const words = new Int32Array(buffer);
    const ring = words[job.RING]!;
    const mine = job.WORKERS + worker * own.SIZE;
    const workers = (words.length - job.WORKERS - 2 * ring) / own.SIZE;
    const addresses = job.WORKERS + workers * own.SIZE;
    const isStopped = () => Atomics.load(words, job.STOP) !== 0;
    const leave = () => {
      Atomics.store(words, mine + own.INSIDE, 0);
      Atomics.notify(words, mine + own.INSIDE);
    };
    const tell = (trap: unknown) => {
      trapped = true;
      Atomics.store(words, job.TRAP, 1);
      Atomics.store(words, job.STOP, 1);
      port.post({ kind: "trap", message: String(trap) });
    };
    Atomics.store(words, mine + own.INSIDE, 1);
    Atomics.store(words, mine + own.ASKED, 0);
    // Whether who closes the job waits for this worker to leave: it was inside before.
    let isAwaited = false;
    for (;;) {
      const signal = Atomics.load(words, job.SIGNAL);
      if (trapped || isStopped() || Atomics.load(words, job.CLOSED) !== 0) break;
      isAwaited = true;
      const next = Atomics.load(words, job.NEXT);
      if (next >= Atomics.load(words, job.FILLED)) {
        if (looks && changes(words, job.SIGNAL, signal)) continue;
        Atomics.add(words, job.SLEEPING, 1);
        const woken = Atomics.wait(words, job.SIGNAL, signal, PATIENCE_MS) !== "timed-out";
        Atomics.sub(words, job.SLEEPING, 1);
        if (woken) continue;
        // Who offers a morsel after this sees nobody inside, and calls.
        isAwaited = false;
        leave();
        if (Atomics.load(words, job.NEXT) >= Atomics.load(words, job.FILLED)) return;
        Atomics.store(words, mine + own.INSIDE, 1);
        continue;
      }
      if (Atomics.compareExchange(words, job.NEXT, next, next + 1) !== next) continue;
      if (endAt >= 0 && next >= endAt) port.end();
      if (jitter > 0) Atomics.wait(words, job.TRAP, 0, (Math.random() * jitter) / 1000);
      const begin = performance.now();
      let status: number;
      try {
        const inRounds = task.kind === "push" && task.rounds !== 0;
        const operator = inRounds ? operatorIn(task.rounds, next, workers) : handle;
        status = perform(task, operator, Atomics.load(words, addresses + (next % ring)) >>> 0, isStopped);
      } catch (error) {
        tell(error);
        break;
      }
      const end = performance.now();
      Atomics.add(words, mine + own.MORSELS, 1);
      Atomics.add(words, mine + own.MICROSECONDS, Math.round((end - begin) * 1000));
      if (trace !== null) note(new Float64Array(trace), next, begin, end);
      if (status < 0) {
        keepRecord(record);
        Atomics.store(words, mine + own.FAILED, next + 1);
        Atomics.store(words, job.STOP, 1);
        break;
      }
      Atomics.store(words, addresses + ring + (next % ring), next + 1);
      Atomics.add(words, job.COMPLETED, 1);
      if (Atomics.load(words, job.WAITING) !== 0) Atomics.notify(words, job.COMPLETED);
    }
    // Asked whether it divides, which it need not, an aggregation has nothing beside its sums any more.
    if (task.kind === "push" && task.settles && isAwaited && !trapped && !isStopped()) {
      try {
        exports.op_divide(context, handle, 0, 0);
      } catch (error) {
        tell(error);
      }
    }
    leave();
    Atomics.notify(words, job.COMPLETED);
  }

  /**
   * The next message, if it comes soon after a job that began at `since`: jobs of a query follow one another, and queries do.
   * By the event loop each takes 0.1 ms, and several where the system has to find a core for the thread. Who looks no
   * longer than he has been at work loses no more than that.
   */
  function nextSoon(since: number): ToWorker | null {
    const { spin } = layout;
    const now = performance.now();
    const until = now + Math.min(now - since, spin.MOST_MS);
    for (let round = 0; looks && round < spin.ROUNDS && performance.now() < until; round++) {
      const message = port.next?.();
      if (message === undefined) return null;
      if (message !== null) return message;
    }
    return null;
  }

  /** Whether the word changes soon. */
  function changes(words: Int32Array, word: number, value: number): boolean {
    const { spin } = layout;
    const until = performance.now() + spin.MS;
    for (let round = 0; round < spin.ROUNDS && performance.now() < until; round++) {
      for (let look = 0; look < spin.LOOKS; look++) if (Atomics.load(words, word) !== value) return true;
    }
    return false;
  }

  function note(words: Float64Array, number: number, begin: number, end: number): void {
    const { trace: word } = layout;
    const first = worker * (word.PIECES + word.MOST * word.PIECE);
    const count = words[first + word.COUNT]!;
    words[first + word.COUNT] = count + 1;
    if (count >= word.MOST) return;
    const at = first + word.PIECES + count * word.PIECE;
    words[at + word.NUMBER] = number;
    words[at + word.BEGIN] = performance.timeOrigin + begin;
    words[at + word.END] = performance.timeOrigin + end;
  }

  /** Copies the error record out of the context, which other jobs write to, and a text that it points to. */
  function keepRecord(to: number): void {
    const from = exports.last_error(context) >>> 0;
    const { SIZE, TYPE, VALUE } = layout.error;
    const bytes = new Uint8Array(memory.buffer);
    const view = new DataView(memory.buffer);
    bytes.copyWithin(to, from, from + SIZE);
    if (!layout.textTypes.includes(view.getUint32(from + TYPE, true))) return;
    const text = view.getUint32(from + VALUE, true);
    const length = Math.min(view.getUint32(from + VALUE + 4, true), TEXT_BYTES);
    bytes.copyWithin(to + SIZE, text, text + length);
    view.setUint32(to + VALUE, to + SIZE, true);
    view.setUint32(to + VALUE + 4, length, true);
  }

  port.listen((message) => {
    for (let next: ToWorker | null = message; next !== null; ) {
      const since = performance.now();
      if (next.kind === "open") open(next);
      else if (next.kind === "job") run(next);
      else port.close();
      next = next.kind === "job" ? nextSoon(since) : null;
    }
  });
}
