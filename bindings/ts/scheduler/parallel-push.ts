// Pushing morsels by several workers, each into an operator of its own.
//
// The first morsel goes the way of one thread: most inputs are no longer. From the second on morsels are described (or,
// if they lie on the host, copied) into slots and offered; the calling thread takes one itself whenever enough are
// waiting for the others. Which worker gets which rows is chance, so only operators whose states merge to the same
// bits whatever the division are pushed this way.
//
// Morsels are claimed in order, and who has claimed one finishes it. So when one fails, all before it are done, and the
// failure of the least number is the one that a single thread would have met.

import { type InputBatch, type Kernel, type Operator, Stage, StagedBatch } from "../kernel/index.js";
import { type Job, RECORD_BYTES, type WorkerPool } from "../pool/index.js";
import type { Schema } from "../type/data-type.js";

/** Places in a job's ring; morsels in kernel memory are offered this far ahead. */
const RING = 64;
/** Morsels that are copied ahead for each thread: they take memory, and grow cold. */
const STAGED_AHEAD = 3;

/**
 * One thread goes on alone when the first morsel, of so many rows or more, has brought a group for nearly each of them.
 * Then there are some 300,000 groups or more, and merging costs what sharing saves: over 3 M rows, five results, all CPU
 * time added up, 100,000 groups (a ratio of 0.73) cost 63 ms alone and 85 shared, of which 2 are merging; a million
 * (0.97) 372 alone, and 456 shared, 264 of them merging.
 */
const ALONE_ROWS = 16_384;
const ALONE_RATIO = 0.9;

/** A morsel that is in the ring. */
interface Offered {
  readonly number: number;
  readonly slot: Stage;
  readonly schema: Schema;
  readonly firstRow: number;
  /** The whole batch, if that is what the morsel is. */
  readonly accepted: (() => void) | null;
}

export class ParallelPush {
  readonly #kernel: Kernel;
  readonly #pool: WorkerPool;
  readonly #create: () => Operator;
  /** The calling thread's first. */
  readonly operators: Operator[];
  #job: Job | null = null;
  #records = 0;
  #pushed = 0;
  /** Whether sharing would not pay. */
  #alone = false;
  readonly #free: Stage[] = [];
  readonly #offered = new Map<number, Offered>();

  /** @param create makes another operator like `first` */
  constructor(pool: WorkerPool, first: Operator, create: () => Operator) {
    this.#kernel = first.kernel;
    this.#pool = pool;
    this.#create = create;
    this.operators = [first];
  }

  /** Takes a morsel; yields while it waits for the others. What goes wrong with its rows may come up later. */
  *push(input: InputBatch, start: number, rows: number, firstRow: number): Generator<void> {
    if (this.#pushed === 0 || this.#alone) {
      const [operator] = this.operators;
      operator!.push(input, start, rows, firstRow);
      if (this.#pushed === 0) this.#alone = bringsManyGroups(operator!);
      this.#pushed += 1;
      return;
    }
    const job = this.#begin();
    const ahead = input instanceof StagedBatch ? STAGED_AHEAD * this.#pool.threads : RING - 1;
    for (;;) {
      this.#collect(job);
      if (this.#offered.size <= ahead + this.#pool.threads && job.waiting <= ahead && job.hasPlace) break;
      yield* this.#help(job);
    }
    const slot = this.#free.pop() ?? new Stage(this.#kernel);
    const { columns } = this.operators[0]!;
    const address = slot.describe(input, columns, start, rows, firstRow);
    const whole = start === 0 && rows === input.rows && input.accepted !== undefined;
    this.#offered.set(job.filled, {
      number: job.filled,
      slot,
      schema: input.schema,
      firstRow: firstRow + start,
      accepted: whole ? () => input.accepted!(columns, start, rows) : null,
    });
    job.offer(address);
    this.#pool.call(job);
    this.#pushed += 1;
  }

  /** Finishes what was offered. Afterwards every row is in one of the operators, and no other thread at work. */
  *finish(): Generator<void> {
    const job = this.#job;
    if (job === null) return;
    while (job.completed < job.filled) yield* this.#help(job);
    job.close();
    this.#collect(job);
    while (job.isBusy) {
      this.#pool.check(job);
      job.sleep(job.completed);
      yield;
    }
    this.#kernel.memory.reach(Number.POSITIVE_INFINITY);
    this.#end(job);
  }

  /** One morsel by the calling thread or, if none is left, some patience with the others. */
  *#help(job: Job): Generator<void> {
    if (job.isStopped) yield* this.#fail(job);
    const number = job.claim();
    if (number < 0) {
      this.#pool.check(job);
      job.sleep(job.completed);
    } else {
      const { schema, firstRow } = this.#offered.get(number)!;
      const begin = performance.now();
      try {
        this.operators[0]!.pushDescribed(job.address(number), schema, firstRow);
      } catch (error) {
        job.stop();
        yield* this.#fail(job, { number, error });
      }
      this.#pool.count(performance.now() - begin);
      job.done(number);
    }
    yield;
  }

  /** Waits until nobody is at work, and throws the failure of the first morsel that failed. */
  *#fail(job: Job, own: { number: number; error: unknown } | null = null): Generator<void, never> {
    while (job.isBusy) {
      job.sleep(job.completed);
      yield;
    }
    this.#pool.check(job);
    let first = own;
    for (let worker = 0; worker < job.workers; worker++) {
      const number = job.failed(worker);
      if (number < 0 || (first !== null && first.number < number)) continue;
      const { schema, firstRow } = this.#offered.get(number)!;
      const record = this.#records + worker * RECORD_BYTES;
      first = { number, error: this.operators[0]!.pushError(record, schema, firstRow) };
    }
    throw first?.error ?? new Error("a job was stopped, but nobody says why");
  }

  #begin(): Job {
    if (this.#job !== null) return this.#job;
    const { threads } = this.#pool;
    this.#records = this.#kernel.allocate(threads * RECORD_BYTES);
    while (this.operators.length <= threads) this.operators.push(this.#create());
    const parts = this.operators
      .slice(1)
      .map(({ handle }, worker) => ({ handle, record: this.#records + worker * RECORD_BYTES }));
    this.#job = this.#pool.begin(parts, RING);
    return this.#job;
  }

  /** Takes slots back whose morsels are done. */
  #collect(job: Job): void {
    for (const { number, slot, accepted } of this.#offered.values()) {
      if (!job.isDone(number)) continue;
      accepted?.();
      this.#offered.delete(number);
      this.#free.push(slot);
    }
  }

  #end(job: Job): void {
    this.#pool.forget(job);
    this.#job = null;
    this.#kernel.free(this.#records);
    this.#records = 0;
    for (const slot of this.#free.splice(0)) slot.free();
  }

  /** Stops what is going on; resolves when no other thread uses the operators or the input any more. */
  async abandon(): Promise<void> {
    const job = this.#job;
    if (job === null) return;
    job.stop();
    await this.#pool.end(job);
  }

  /** Gives all memory back but that of the calling thread's operator. Nobody may be at work (`abandon`). */
  free(): void {
    for (const { slot } of this.#offered.values()) this.#free.push(slot);
    this.#offered.clear();
    if (this.#job !== null) this.#end(this.#job);
    for (const operator of this.operators.splice(1)) operator.destroy();
  }
}

function bringsManyGroups(operator: Operator): boolean {
  const { groups, rowsSelected } = operator.stats();
  return rowsSelected >= ALONE_ROWS && groups > ALONE_RATIO * rowsSelected;
}
