// Results of several aggregations that have no group in common, written by all workers: each aggregation by one at a time.
//
// Where they stay in the kernel's memory whoever claims an aggregation pulls all that it has; no batch is copied, as the
// aggregation keeps each where it wrote it (KEEP_RESULTS). Those of parts that the workers bring together
// (parallel-push.ts) may be written before, each while its part's groups are in the cache (`pullPart`). Where they leave
// they are pulled a batch at a time: while the calling thread copies one out, others write the next ones of the other
// aggregations.
//
// What another core has written takes twice as long to copy as what lies in this one's cache. So the calling thread writes
// the first batch, and where that takes hardly longer than to copy it, all of them: of 10 million sums by one key
// writing is 40 ms, and copying 50 or 100. Deviations and skewnesses of 3 million groups, whose results take long, leave two
// workers in 0.7 of the time. A second set of buffers for each aggregation, so that others need not wait until one is
// copied, gained nothing.

import { Batch } from "../../../kernel/abi/layout.js";
import { Status } from "../../../kernel/abi/status.js";
import { END_OF_INPUT, type Kernel, type Operator, ResidentBatch } from "../kernel/index.js";
import { PullOrder, type QueryWorkers } from "../pool/index.js";
import { type BatchData, emptyBatch } from "../type/column.js";
import { MemoryLimitError } from "../type/error.js";
import { SharedWork } from "./shared-work.js";
import { atWork, BATCH_BYTES, pullOf, type StepBatch, type Take } from "./step.js";

/** Rows of a batch of results, whatever is asked for. */
const BATCH_ROWS = 65_536;
export const ALL_ROWS: number = 2 ** 32 - 1;
export const ALL_BYTES: number = 2 ** 31 - 1;
/** Writing is shared from so many times on that it takes of copying. */
const SHARE_RATIO = 2;

/** What the first rows took. */
export interface Written {
  readonly writingMs: number;
  readonly copyingMs: number;
}

interface Order {
  readonly operator: Operator;
  readonly address: number;
  /** Where the descriptions of its batches go. */
  readonly batches: number;
}

export class SharedResults {
  readonly #kernel: Kernel;
  readonly #pool: QueryWorkers;
  readonly #operators: readonly Operator[];
  readonly #orders = new Map<number, Order>();
  #work: SharedWork | null = null;

  /** @param operators which have ended, or of which parts are pulled first */
  constructor(pool: QueryWorkers, operators: readonly Operator[]) {
    this.#kernel = operators[0]!.kernel;
    this.#pool = pool;
    this.#operators = operators;
  }

  /**
   * Makes place for the batches of `rows` rows of results or fewer, in as many `parts`.
   * @returns addresses of `PullOrder`s, one for each operator
   */
  place(rows: number, parts: number): number[] {
    // Past 2 GiB of texts there are more, which the calling thread pulls (`takeKept`).
    const most = Math.ceil(rows / BATCH_ROWS) + parts;
    return this.#operators.map((operator) => this.#order(operator, most).address);
  }

  /** Writes the results of the calling thread's part, as a worker does (pool/worker.ts). */
  pullPart(address: number): void {
    try {
      for (const _ of this.#pull(address, ALL_ROWS, ALL_BYTES));
    } catch (error) {
      if (!(error instanceof MemoryLimitError)) throw error;
      // They wait, and so do those of all parts after it.
      const { view } = this.#kernel.memory;
      view.setUint32(address + PullOrder.MOST, view.getUint32(address + PullOrder.COUNT, true), true);
    }
  }

  /** Writes all results that are left, of `rows` rows or fewer, into the operators' memory. */
  *keep(rows: number): Generator<void> {
    if (this.#orders.size === 0) this.place(rows, 1);
    const work = this.#begin(ALL_ROWS, ALL_BYTES, this.#orders.size);
    for (const address of this.#orders.keys()) work.offer(address);
    yield* work.finish((address) => this.#pull(address, ALL_ROWS, ALL_BYTES));
    this.#work = null;
  }

  /** The batches that `keep` has left; their memory is the operators'. */
  takeKept(): ResidentBatch[] {
    const batches: ResidentBatch[] = [];
    try {
      for (const { operator, address, batches: first } of this.#orders.values()) {
        const { view } = this.#kernel.memory;
        const count = view.getUint32(address + PullOrder.COUNT, true);
        const more = view.getInt32(address + PullOrder.STATUS, true) === Status.HAS_MORE;
        for (let index = 0; index < count; index++)
          batches.push(operator.takenResident(first + index * Batch.SIZE)!);
        if (more) batches.push(...operator.finishResident());
      }
    } catch (error) {
      for (const batch of batches) batch.free();
      throw error;
    }
    this.free();
    return batches;
  }

  /**
   * All results, in batches of `batchRows` at most; empty ones while others are at work.
   * @param written what rows before them took; null: the first batch tells
   * @param take copies a batch, or lends it until the next one is asked for
   */
  *leave<B extends StepBatch>(
    batchRows: number,
    written: Written | null,
    take: Take<B>,
  ): Generator<B | BatchData> {
    if (this.#pool.faults.leavesPieces !== true) {
      let took = written;
      let more = true;
      if (took === null) {
        const [operator] = this.#operators;
        const first = yield* atWork(firstRows(operator!, batchRows, take), operator!.output);
        ({ more, written: took } = first);
        if (first.batch !== null) yield first.batch;
      }
      if (took.writingMs < SHARE_RATIO * took.copyingMs || !more) {
        for (const operator of this.#operators) yield* finished(operator, batchRows, take);
        return;
      }
    }
    const waiting = emptyBatch(this.#operators[0]!.output);
    const orders = this.#operators.map((operator) => this.#order(operator, 1));
    const work = this.#begin(batchRows, BATCH_BYTES, orders.length);
    const own = (address: number) => this.#pull(address, batchRows, BATCH_BYTES);
    const offer = (order: Order) => {
      this.#kernel.memory.view.setUint32(order.address + PullOrder.COUNT, 0, true);
      const number = work.job.filled;
      work.offer(order.address);
      return { order, number };
    };
    const offered = orders.map(offer);
    for (let next = offered[0]; next !== undefined; next = offered[0]) {
      if (!work.job.isDone(next.number)) {
        for (const _ of work.help(own)) yield waiting;
        continue;
      }
      offered.shift();
      // Another thread may have made the memory larger.
      this.#kernel.memory.reachAll();
      const { operator, address } = next.order;
      const { view } = this.#kernel.memory;
      const more = view.getInt32(address + PullOrder.STATUS, true) === Status.HAS_MORE;
      const batch = view.getUint32(address + PullOrder.COUNT, true) === 0 ? null : take(operator);
      const isLent = batch instanceof ResidentBatch;
      if (isLent) yield batch;
      if (more) offered.push(offer(next.order));
      if (batch !== null && !isLent) yield batch;
    }
    for (const _ of work.finish(own)) yield waiting;
    this.free();
  }

  #order(operator: Operator, most: number): Order {
    const bytes = PullOrder.SIZE + (most === 1 ? 0 : most * Batch.SIZE);
    const address = this.#kernel.allocate(bytes);
    const order = {
      operator,
      address,
      batches: most === 1 ? operator.out : address + PullOrder.SIZE,
    };
    this.#orders.set(address, order);
    const { view } = this.#kernel.memory;
    view.setUint32(address + PullOrder.HANDLE, operator.handle, true);
    view.setUint32(address + PullOrder.BATCHES, order.batches, true);
    view.setUint32(address + PullOrder.MOST, most, true);
    view.setUint32(address + PullOrder.COUNT, 0, true);
    return order;
  }

  #begin(maxRows: number, maxBytes: number, ring: number): SharedWork {
    const [first] = this.#operators;
    this.#work = new SharedWork(this.#kernel, this.#pool, {
      task: { kind: "pull", maxRows, maxBytes },
      handles: Array.from({ length: this.#pool.threads }, () => 0),
      ring,
      failure: (_, record) => first!.errorAt(record),
    });
    return this.#work;
  }

  /** The calling thread's part: what a worker does (pool/worker.ts). */
  *#pull(address: number, maxRows: number, maxBytes: number): Generator<void> {
    const { operator, batches } = this.#orders.get(address)!;
    const { memory } = this.#kernel;
    const most = memory.view.getUint32(address + PullOrder.MOST, true);
    let count = memory.view.getUint32(address + PullOrder.COUNT, true);
    for (let more = true; more && count < most; ) {
      const out = batches + count * Batch.SIZE;
      more = operator.pullHere(maxRows, maxBytes, out);
      if (memory.view.getUint32(out + Batch.ROWS, true) > 0) count += 1;
      memory.view.setUint32(address + PullOrder.COUNT, count, true);
      memory.view.setInt32(address + PullOrder.STATUS, more ? Status.HAS_MORE : Status.FINISHED, true);
      if (more && count < most) yield;
    }
  }

  /** Stops what is going on; resolves when no other thread uses the operators any more. */
  async abandon(): Promise<void> {
    await this.#work?.abandon();
  }

  /** Gives all memory back but that of the operators. Nobody may be at work (`abandon`). */
  free(): void {
    this.#work?.free();
    this.#work = null;
    for (const address of this.#orders.keys()) this.#kernel.free(address);
    this.#orders.clear();
  }
}

/** The results of an operator whose input ends now, in batches of `batchRows` at most. */
export function* finished<B extends StepBatch>(
  operator: Operator,
  batchRows: number,
  take: Take<B>,
): Generator<B> {
  const pull = pullOf(operator, take);
  for (let more = operator.watermark(END_OF_INPUT) === Status.HAS_MORE; more; ) {
    const pulled = pull(batchRows);
    more = pulled.more;
    if (pulled.batch !== null) yield pulled.batch;
  }
}

interface FirstRows<B> {
  readonly batch: B | null;
  readonly more: boolean;
  readonly written: Written;
}

/**
 * Pulls the first rows, so many at most, and tells what it took to write and to take them; yields while rows that were set
 * aside are looked up, which is before any leaves.
 */
export function* firstRows<B extends StepBatch>(
  operator: Operator,
  rows: number,
  take: Take<B>,
  bytes = BATCH_BYTES,
): Generator<void, FirstRows<B>> {
  for (;;) {
    const start = performance.now();
    const more = operator.pullHere(rows, bytes);
    const taking = performance.now();
    const batch = take(operator);
    const written = { writingMs: taking - start, copyingMs: performance.now() - taking };
    if (batch !== null || !more) return { batch, more, written };
    yield;
  }
}
