// Pushing morsels by several workers, each into an operator of its own.
//
// The first morsel goes the way of one thread: most inputs are no longer. From the second on morsels are described (or,
// if they lie on the host, copied) into slots and offered; the calling thread takes one itself whenever enough are
// waiting for the others. Which worker gets which rows is chance, so only operators whose states merge to the same
// bits whatever the division are pushed this way.
//
// At the end the states come together. Few groups are folded into the first operator. Many are divided by their keys'
// hash, by each operator's groups and the rows that it has set aside, and partitions are claimed: whoever takes one
// folds it, from all operators, into an operator of his own. These have no group in common and are the result.

import { type InputBatch, type Kernel, type Operator, Stage, StagedBatch } from "../kernel/index.js";
import type { Job, QueryWorkers, Task } from "../pool/index.js";
import type { Schema } from "../type/data-type.js";
import { SharedWork } from "./shared-work.js";

/** Places in a job's ring; morsels in kernel memory are offered this far ahead. */
const RING = 64;
/** Morsels that are copied ahead for each thread: they take memory, and grow cold. */
const STAGED_AHEAD = 3;

/**
 * One thread goes on alone when the first morsel, of so many rows or more, has brought a group for nearly each of them
 * and its aggregates cannot be divided: then folding costs what sharing saves. Over 3 M rows, five results, all CPU
 * time added up, 100,000 groups (a ratio of 0.73) cost 63 ms alone and 85 shared, of which 2 are folding; a million
 * (0.97) 372 alone, and 456 shared, 264 of them folding.
 */
const ALONE_ROWS = 16_384;
const ALONE_RATIO = 0.9;
/** Groups besides those of the first operator from which on they are divided: folding them takes some 5 ms. */
const DIVIDE_GROUPS = 65_536;
/** Parts into which the kernel divides. */
const PARTS = 256;

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
  readonly #pool: QueryWorkers;
  readonly #create: () => Operator;
  /** The calling thread's first. Those of the result, once it has been brought together. */
  operators: Operator[];
  /** What is brought into `operators` when many groups are. */
  #sources: Operator[] = [];
  #work: SharedWork | null = null;
  /** States of several threads that were brought together. */
  merged = 0;
  #pushed = 0;
  /** Whether sharing would not pay. */
  #alone = false;
  readonly #free: Stage[] = [];
  readonly #offered = new Map<number, Offered>();

  /** @param create makes another operator like `first` */
  constructor(pool: QueryWorkers, first: Operator, create: () => Operator) {
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
      if (this.#pushed === 0) this.#alone = bringsManyGroups(operator!) && !operator!.divides();
      this.#pushed += 1;
      return;
    }
    const work = this.#begin();
    const { job } = work;
    const ahead = input instanceof StagedBatch ? STAGED_AHEAD * this.#pool.threads : RING - 1;
    for (;;) {
      this.#collect(job);
      if (this.#offered.size <= ahead + this.#pool.threads && job.waiting <= ahead && job.hasPlace) break;
      yield* work.help(this.#own);
    }
    // It counts as free until it is described: memory may end in the middle of that.
    if (this.#free.length === 0) this.#free.push(new Stage(this.#kernel));
    const slot = this.#free.at(-1)!;
    const { columns } = this.operators[0]!;
    const address = slot.describe(input, columns, start, rows, firstRow);
    this.#free.pop();
    const whole = start === 0 && rows === input.rows && input.accepted !== undefined;
    this.#offered.set(job.filled, {
      number: job.filled,
      slot,
      schema: input.schema,
      firstRow: firstRow + start,
      accepted: whole ? () => input.accepted!(columns, start, rows) : null,
    });
    work.offer(address);
    this.#pushed += 1;
  }

  /** Finishes what was offered and brings it together: `operators` then have the result. */
  *finish(): Generator<void> {
    if (this.#work !== null) {
      yield* this.#work.finish(this.#own);
      this.#collect(this.#work.job);
      this.#work = null;
      for (const slot of this.#free.splice(0)) slot.free();
    }
    if (this.operators.length === 1) return;
    this.merged = this.operators.length;
    if (this.#isDivided()) yield* this.#divide();
    else yield* this.#fold();
  }

  /** Folds what all operators hold into the first one. */
  *#fold(): Generator<void> {
    const [first, ...others] = this.operators;
    for (const other of others) {
      yield* first!.absorb(other);
      other.destroy();
    }
    this.operators = [first!];
  }

  #isDivided(): boolean {
    const [first, ...others] = this.operators;
    if (!first!.divides()) return false;
    const counts = others.map((operator) => operator.stats());
    const groups = counts.reduce((sum, count) => sum + count.groups, 0);
    return (
      counts.some(({ partitions }) => partitions > 0) ||
      groups >= (this.#pool.faults.divideGroups ?? DIVIDE_GROUPS)
    );
  }

  *#divide(): Generator<void> {
    this.#sources = this.operators;
    this.operators = [];
    while (this.operators.length <= this.#pool.threads) this.operators.push(this.#create());
    const [own, ...others] = this.operators;
    const byHandle = new Map(this.#sources.map((source) => [source.handle, source]));
    yield* this.#share({ kind: "divide", parts: PARTS }, others, [...byHandle.keys()], (handle) =>
      byHandle.get(handle)!.divide(PARTS),
    );
    const sources = [...byHandle.keys()];
    yield* this.#share({ kind: "combine", sources }, others, [...Array(PARTS).keys()], (part) => {
      for (const source of this.#sources) own!.combinePart(source, part);
    });
    for (const source of this.#sources.splice(0)) source.destroy();
  }

  *#share(task: Task, others: readonly Operator[], values: readonly number[], own: (value: number) => void) {
    const [first] = this.operators;
    this.#work = new SharedWork(this.#kernel, this.#pool, {
      task,
      handles: others.map(({ handle }) => handle),
      ring: values.length,
      failure: (_, record) => first!.errorAt(record),
    });
    for (const value of values) this.#work.offer(value);
    yield* this.#work.finish(own);
    this.#work = null;
  }

  #begin(): SharedWork {
    if (this.#work !== null) return this.#work;
    const { threads } = this.#pool;
    while (this.operators.length <= threads) this.operators.push(this.#create());
    this.#work = new SharedWork(this.#kernel, this.#pool, {
      task: { kind: "push" },
      handles: this.operators.slice(1).map(({ handle }) => handle),
      ring: RING,
      failure: (number, record) => {
        const { schema, firstRow } = this.#offered.get(number)!;
        return this.operators[0]!.pushError(record, schema, firstRow);
      },
    });
    return this.#work;
  }

  readonly #own = (address: number, number: number): void => {
    const { schema, firstRow } = this.#offered.get(number)!;
    this.operators[0]!.pushDescribed(address, schema, firstRow);
  };

  /** Takes slots back whose morsels are done. */
  #collect(job: Job): void {
    for (const { number, slot, accepted } of this.#offered.values()) {
      if (!job.isDone(number)) continue;
      accepted?.();
      this.#offered.delete(number);
      this.#free.push(slot);
    }
  }

  /** Stops what is going on; resolves when no other thread uses the operators or the input any more. */
  async abandon(): Promise<void> {
    await this.#work?.abandon();
  }

  /** Gives all memory back. Nobody may be at work (`abandon`). */
  free(): void {
    this.#work?.free();
    this.#work = null;
    for (const { slot } of this.#offered.values()) this.#free.push(slot);
    this.#offered.clear();
    for (const slot of this.#free.splice(0)) slot.free();
    for (const operator of [...this.#sources.splice(0), ...this.operators]) operator.destroy();
  }
}

function bringsManyGroups(operator: Operator): boolean {
  const { groups, rowsSelected } = operator.stats();
  return rowsSelected >= ALONE_ROWS && groups > ALONE_RATIO * rowsSelected;
}
