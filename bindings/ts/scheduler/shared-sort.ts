// A sort that several workers take part in, from the first morsel to the last row of the result.
//
// Each pushes morsels into a SORT of its own (shared-push.ts), and into another one after a while: who is quicker has more
// rows, and what comes later is shared sort by sort. At the end a leader finds splitters in a sample of all rows,
// each sort's rows are divided by them, and workers claim ranges of the order: the rows of a range are fetched from
// all sorts, sorted and laid out as a batch by one worker. Ranges are handed out in order (kernel/operator/sort-share.ts).
//
// While rows come in order the calling thread's sort takes all of them, which costs little more than a copy.
//
// Few rows, and those that a limit has left of each sort, go into the calling thread's instead, which gives the result.
//
// What sharing costs, over a million rows, all CPU time of two workers added up against that of one thread: a float and
// an int64, by the float, 50 ms against 38; by a key of four values, then a float and an int64, 57 against 57; texts of
// 12 bytes and an int64 147 against 124. Rows that come in order took 21 against 9, and now 5: one thread notices, and
// moves nothing.

import { Status } from "../../../kernel/abi/status.js";
import {
  type InputBatch,
  type Kernel,
  type Operator,
  type ResidentBatch,
  selectedRows,
} from "../kernel/index.js";
import type { QueryWorkers, Task } from "../pool/index.js";
import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";
import { SharedPush } from "./shared-push.js";
import { type Piece, SharedWork } from "./shared-work.js";
import { noRows } from "./step.js";

/** Rows from which on dividing them pays: sorting fewer takes 10 ms. */
const DIVIDE_ROWS = 131_072;
/** Rows after which other sorts take what comes, and the share of all rows so far. */
const ROUND_ROWS = 2 ** 20;
const ROUND_SHARE = 1 / 8;
/** Parts have so many rows on average (kernel/sort/sorter.ts), and there are so many at least, and at most. */
const PART_ROWS = 16_384;
const LEAST_PARTS = 64;
const MOST_PARTS = 1024;
/** A range has no more rows than this, where there may be as many, and each worker has so many ranges to claim. */
const RANGE_ROWS = 262_144;
const RANGES_EACH = 4;
/** Ranges whose results all stay: each keeps an operator. */
const MOST_KEPT = 64;
/** Ranges for each thread that are at work, or wait to be handed out. */
const AHEAD = 3;
const BATCH_BYTES = 2 ** 28;
const ALL_ROWS = 2 ** 32 - 1;
const ALL_BYTES = 2 ** 31 - 1;

/** An order: u32 handle, first part, parts, out; the status of the pull. */
const ORDER_BYTES = 24;
const FIRST = 4;
const PARTS = 8;
const OUT = 12;
const STATUS = 16;

interface Range {
  readonly number: number;
  readonly target: Operator;
  readonly first: number;
  readonly parts: number;
  /** Address of the order that a worker gets. */
  readonly order: number;
}

export class SharedSort {
  readonly #kernel: Kernel;
  readonly #pool: QueryWorkers;
  readonly #create: () => Operator;
  readonly #isLimited: boolean;
  readonly #morsels: SharedPush;
  #leader: Operator | null = null;
  #parts = 0;
  #rows = 0;
  #roundRows = 0;
  /** Whether all rows have come in order so far: then the first sort has them. */
  #isInOrder: boolean;
  /** In the order of their rows. */
  readonly #ranges: Range[] = [];
  /** Whether the ranges are the result: nothing else is needed any more. */
  #isKept = false;
  #work: SharedWork | null = null;
  /** Sorts that were brought together. */
  merged = 0;

  /** @param create makes another operator like `first`; with a limit where there is one */
  constructor(pool: QueryWorkers, first: Operator, create: () => Operator, isLimited: boolean) {
    this.#kernel = first.kernel;
    this.#pool = pool;
    this.#create = create;
    this.#isLimited = isLimited;
    this.#morsels = new SharedPush(pool, first, create, { renews: true });
    this.#isInOrder = !isLimited && first.stats().isInOrder;
  }

  /** Takes a morsel; yields while it waits for the others. What goes wrong with its rows may come up later. */
  *push(input: InputBatch, start: number, rows: number, firstRow: number): Generator<void> {
    if (this.#isInOrder) {
      const [first] = this.#morsels.operators;
      first!.push(input, start, rows, firstRow);
      this.#isInOrder = first!.stats().isInOrder;
      this.#rows += rows;
      return;
    }
    const most = this.#pool.faults.roundRows ?? Math.max(ROUND_ROWS, this.#rows * ROUND_SHARE);
    if (this.#roundRows >= most && !this.#isLimited) {
      yield* this.#morsels.renew();
      this.#roundRows = 0;
    }
    this.#rows += rows;
    this.#roundRows += rows;
    yield* this.#morsels.push(input, start, rows, firstRow);
  }

  /** What has taken the rows, and what gives the result. */
  get operators(): readonly Operator[] {
    return this.#isKept ? this.#ranges.map(({ target }) => target) : this.#morsels.operators;
  }

  /** Whether rows are divided among ranges: else the first operator has them all, once `bring` is over. */
  get isDivided(): boolean {
    return this.#leader !== null;
  }

  /** Finishes what was offered, and divides the rows or puts them all into the first operator. */
  *bring(): Generator<void> {
    yield* this.#morsels.finish();
    const { operators } = this.#morsels;
    if (operators.length === 1) return;
    this.merged = operators.length;
    this.#rows = selectedRows(operators);
    if (this.#isLimited || this.#rows < (this.#pool.faults.divideGroups ?? DIVIDE_ROWS))
      yield* this.#morsels.fold();
    else yield* this.#divide();
  }

  *#divide(): Generator<void> {
    const sources = this.#morsels.operators;
    const byHandle = new Map(sources.map((source) => [source.handle, source]));
    const handles = [...byHandle.keys()];
    yield* this.#share({ kind: "measure" }, handles, (handle) => byHandle.get(handle)!.measure());
    const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, this.#rows / PART_ROWS)));
    this.#parts = Math.min(MOST_PARTS, Math.max(LEAST_PARTS, wanted));
    const leader = this.#create();
    this.#leader = leader;
    leader.split(sources, this.#parts);
    yield* this.#share({ kind: "divideBy", leader: leader.handle }, handles, function* (handle) {
      while (!byHandle.get(handle)!.divideBy(leader)) yield;
    });
  }

  *#share(task: Task, values: readonly number[], own: Piece): Generator<void> {
    const work = this.#begin(task, values.length);
    for (const value of values) work.offer(value);
    yield* work.finish(own);
    this.#work = null;
  }

  #begin(task: Task, ring: number): SharedWork {
    const [first] = this.#morsels.operators;
    this.#work = new SharedWork(this.#kernel, this.#pool, {
      task,
      handles: Array.from({ length: this.#pool.threads }, () => 0),
      ring,
      failure: (_, record) => first!.errorAt(record),
    });
    return this.#work;
  }

  // ---- ranges

  #rangeCount(rows: number, most: number): number {
    const each = RANGES_EACH * (this.#pool.threads + 1);
    return Math.min(this.#parts, Math.max(each, Math.min(most, Math.ceil(this.#rows / rows))));
  }

  /** Lets everybody claim range `index` of `count`. */
  #offer(work: SharedWork, index: number, count: number): void {
    const kernel = this.#kernel;
    const first = Math.floor((index * this.#parts) / count);
    const parts = Math.floor(((index + 1) * this.#parts) / count) - first;
    const order = kernel.allocate(ORDER_BYTES);
    let target: Operator;
    try {
      target = this.#create();
    } catch (error) {
      kernel.free(order);
      throw error;
    }
    this.#ranges.push({ number: work.job.filled, target, first, parts, order });
    const { view } = kernel.memory;
    view.setUint32(order, target.handle, true);
    view.setUint32(order + FIRST, first, true);
    view.setUint32(order + PARTS, parts, true);
    view.setUint32(order + OUT, target.out, true);
    work.offer(order);
  }

  /** The calling thread's part. */
  #own(order: number, maxRows: number, maxBytes: number): void {
    const { target, first, parts } = this.#ranges.find((range) => range.order === order)!;
    target.takeParts(this.#leader!, first, parts);
    const more = target.pullHere(maxRows, maxBytes);
    const status = more ? Status.HAS_MORE : Status.FINISHED;
    this.#kernel.memory.view.setInt32(order + STATUS, status, true);
  }

  #hasMore({ order }: Range): boolean {
    return this.#kernel.memory.view.getInt32(order + STATUS, true) === Status.HAS_MORE;
  }

  /** All rows in order, in batches of `batchRows` at most; empty ones while others are at work. */
  *results(schema: Schema, batchRows: number): Generator<BatchData> {
    const ahead = AHEAD * (this.#pool.threads + 1);
    const count = this.#rangeCount(Math.min(batchRows, RANGE_ROWS), MOST_PARTS);
    const task = { leader: this.#leader!.handle, maxRows: batchRows, maxBytes: BATCH_BYTES };
    const work = this.#begin({ kind: "range", ...task }, 2 * ahead);
    const own = (order: number) => this.#own(order, batchRows, BATCH_BYTES);
    let next = 0;
    while (next < count || this.#ranges.length > 0) {
      while (next < count && this.#ranges.length < ahead) this.#offer(work, next++, count);
      const range = this.#ranges[0]!;
      if (!work.job.isDone(range.number)) {
        for (const _ of work.help(own)) yield noRows(schema);
        continue;
      }
      // Another thread may have made the memory larger.
      this.#kernel.memory.reachAll();
      const more = this.#hasMore(range);
      const batch = range.target.taken();
      if (batch !== null) yield batch;
      if (more) yield* range.target.finish(batchRows);
      this.#ranges.shift();
      this.#freeRange(range);
    }
    for (const _ of work.finish(own)) yield noRows(schema);
    this.#work = null;
  }

  /** Puts all ranges in order, each in the memory of an operator (`operators` from now on), and frees the rest. */
  *keepAll(): Generator<void> {
    const count = this.#rangeCount(RANGE_ROWS, MOST_KEPT);
    const task = { leader: this.#leader!.handle, maxRows: ALL_ROWS, maxBytes: ALL_BYTES };
    const work = this.#begin({ kind: "range", ...task }, count);
    for (let index = 0; index < count; index++) this.#offer(work, index, count);
    yield* work.finish((order) => this.#own(order, ALL_ROWS, ALL_BYTES));
    this.#work = null;
    this.#isKept = true;
    if (!this.#ranges.some((range) => this.#hasMore(range))) this.#freeSources();
  }

  /** The batches that `keepAll` has left; their memory is that of `operators`. */
  takeKept(): ResidentBatch[] {
    const batches: ResidentBatch[] = [];
    try {
      for (const range of this.#ranges) {
        const batch = range.target.takenResident();
        const more = this.#hasMore(range);
        if (batch !== null) batches.push(more ? batch.copy() : batch);
        if (more) batches.push(...range.target.finishResident());
      }
    } catch (error) {
      for (const batch of batches) batch.free();
      throw error;
    }
    for (const { order } of this.#ranges) this.#kernel.free(order);
    this.#freeSources();
    return batches;
  }

  /** Stops what is going on; resolves when no other thread uses the operators or the input any more. */
  async abandon(): Promise<void> {
    await this.#morsels.abandon();
    await this.#work?.abandon();
  }

  /** Gives all memory back. Nobody may be at work (`abandon`). */
  free(): void {
    this.#morsels.free();
    this.#work?.free();
    this.#work = null;
    for (const range of this.#ranges.splice(0)) this.#freeRange(range);
    this.#freeSources();
  }

  #freeRange({ target, order }: Range): void {
    target.destroy();
    this.#kernel.free(order);
  }

  #freeSources(): void {
    for (const operator of this.#morsels.operators) operator.destroy();
    this.#leader?.destroy();
  }
}
