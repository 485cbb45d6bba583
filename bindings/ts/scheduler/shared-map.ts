// Morsels that give rows of their own, shared by several workers: projections, and joins once one side is complete.
//
// A morsel goes to a place, which has an operator and memory for what is pushed; whoever claims it pushes it and
// pulls once, and the result waits there until the calling thread takes it, in the order of the morsels, so that results
// come as from one thread. What one pull has not given the calling thread pulls itself. It does a morsel itself
// whenever all places are taken and the oldest is not ready.
//
// The first morsel goes the way of one thread: most inputs are no longer.

import { type InputBatch, type Kernel, type Operator, Stage } from "../kernel/index.js";
import type { QueryWorkers } from "../pool/index.js";
import { type BatchData, emptyBatch } from "../type/column.js";
import type { Schema } from "../type/data-type.js";
import { SharedWork } from "./shared-work.js";

/** Places for each thread: one at work, one waiting to be taken, one that the next morsel goes to. */
const PLACES = 3;
/** An order: u32 handle, batch, out; the status of the pull, or of the push where nothing was pulled. */
const ORDER_BYTES = 16;
const BATCH = 4;
const OUT = 8;
const STATUS = 12;

interface Place {
  readonly operator: Operator;
  readonly stage: Stage;
  /** Address of the order that a worker gets. */
  readonly order: number;
}

/** A morsel that is at work, or waits to be taken. */
export interface MappedMorsel {
  readonly input: InputBatch;
  readonly start: number;
}

interface Offered extends MappedMorsel {
  readonly number: number;
  readonly place: Place;
  readonly schema: Schema;
  readonly firstRow: number;
}

export interface SharedMapOptions {
  readonly kernel: Kernel;
  readonly pool: QueryWorkers;
  /** Makes an operator for one more place. */
  readonly create: () => Operator;
  /** The port that is pushed on. */
  readonly port: number;
  /** Most rows and bytes of a pull. */
  readonly maxRows: number;
  readonly maxBytes: number;
  /** Takes what the operator's pull has left in its memory; `more` says that there is more to pull. */
  readonly take: (operator: Operator, more: boolean, morsel: MappedMorsel) => Iterable<BatchData>;
}

export class SharedMap {
  readonly #options: SharedMapOptions;
  readonly #places: Place[] = [];
  readonly #free: Place[] = [];
  /** In the order of the morsels. */
  readonly #offered: Offered[] = [];
  #work: SharedWork | null = null;

  constructor(options: SharedMapOptions) {
    this.#options = options;
  }

  /** Those of all places. */
  get operators(): readonly Operator[] {
    return this.#places.map(({ operator }) => operator);
  }

  /** Takes a morsel; yields what earlier ones have given, and empty batches while it waits. */
  *push(input: InputBatch, start: number, rows: number, firstRow: number): Generator<BatchData> {
    while (this.#offered[0] !== undefined && this.#work!.job.isDone(this.#offered[0].number))
      yield* this.#take();
    while (this.#free.length === 0 && !this.#mayGrow) yield* this.#next();
    const work = this.#begin();
    const place = this.#free.pop() ?? this.#grow();
    const { kernel, port } = this.#options;
    const address = place.stage.describe(input, place.operator.columnsOf(port), start, rows, firstRow);
    kernel.memory.view.setUint32(place.order + BATCH, address, true);
    const offered = { number: work.job.filled, place, schema: input.schema, firstRow: firstRow + start };
    this.#offered.push({ ...offered, input, start });
    work.offer(place.order);
  }

  /** What is still at work; afterwards no other thread is. */
  *finish(): Generator<BatchData> {
    while (this.#offered.length > 0) yield* this.#next();
    if (this.#work === null) return;
    for (const _ of this.#work.finish(this.#own)) yield this.#waiting;
    this.#work = null;
  }

  get #waiting(): BatchData {
    return emptyBatch(this.#places[0]!.operator.output);
  }

  get #mayGrow(): boolean {
    return this.#places.length < PLACES * (this.#options.pool.threads + 1);
  }

  /** Takes the oldest morsel's result, or does something meanwhile. */
  *#next(): Generator<BatchData> {
    const work = this.#work!;
    if (work.job.isDone(this.#offered[0]!.number)) {
      yield* this.#take();
      return;
    }
    for (const _ of work.help(this.#own)) yield this.#waiting;
  }

  *#take(): Generator<BatchData> {
    const offered = this.#offered[0]!;
    const { operator, order } = offered.place;
    const { kernel, take } = this.#options;
    // Another thread may have made the memory larger.
    kernel.memory.reachAll();
    const status = kernel.memory.view.getInt32(order + STATUS, true);
    yield* take(operator, status > 0, offered);
    this.#offered.shift();
    this.#free.push(offered.place);
  }

  #begin(): SharedWork {
    if (this.#work !== null) return this.#work;
    const { kernel, pool, port, maxRows, maxBytes } = this.#options;
    this.#work = new SharedWork(kernel, pool, {
      task: { kind: "process", port, maxRows, maxBytes },
      handles: Array.from({ length: pool.threads }, () => 0),
      ring: 2 * PLACES * (pool.threads + 1),
      failure: (number, record) => {
        const { place, schema, firstRow } = this.#offered.find((offered) => offered.number === number)!;
        return place.operator.pushError(record, schema, firstRow, port);
      },
    });
    return this.#work;
  }

  #grow(): Place {
    const { kernel, create } = this.#options;
    const order = kernel.allocate(ORDER_BYTES);
    let operator: Operator;
    try {
      operator = create();
    } catch (error) {
      kernel.free(order);
      throw error;
    }
    const place = { operator, stage: new Stage(kernel), order };
    const { view } = kernel.memory;
    view.setUint32(place.order, operator.handle, true);
    view.setUint32(place.order + OUT, operator.out, true);
    this.#places.push(place);
    return place;
  }

  /** The calling thread's part. */
  readonly #own = (order: number, number: number): void => {
    const { kernel, port, maxRows, maxBytes } = this.#options;
    const { place, schema, firstRow } = this.#offered.find((offered) => offered.number === number)!;
    const address = kernel.memory.view.getUint32(order + BATCH, true);
    const status = place.operator.processDescribed(address, schema, firstRow, port, maxRows, maxBytes);
    kernel.memory.view.setInt32(order + STATUS, status, true);
  };

  /** Stops what is going on; resolves when no other thread uses the operators or the input any more. */
  async abandon(): Promise<void> {
    await this.#work?.abandon();
  }

  /** Gives all memory back but that of the operators, which the caller destroys. Nobody may be at work (`abandon`). */
  free(): void {
    this.#work?.free();
    this.#work = null;
    this.#offered.length = 0;
    for (const { stage, order } of this.#places.splice(0)) {
      stage.free();
      this.#options.kernel.free(order);
    }
  }
}
