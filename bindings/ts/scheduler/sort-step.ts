// Rows in order as a step: all of them, or the first so many.

import type { InputBatch, Kernel, Operator, ResidentBatch } from "../kernel/index.js";
import type { QueryWorkers } from "../pool/index.js";
import type { BatchData } from "../type/column.js";
import { ExternalSort } from "./external-sort.js";
import type { Relief } from "./relief.js";
import { SharedSort } from "./shared-sort.js";
import { type Order, sortOperatorOf } from "./sort.js";
import { atWork, type Step, taken } from "./step.js";

export interface SortStepOptions {
  /** Most rows of a result batch. */
  readonly batchRows: number;
  /** Null where rows cannot leave for files. */
  readonly relief: Relief | null;
  /** Workers to share the rows with; null where there are none, and where rows can leave for files. */
  readonly pool: QueryWorkers | null;
}

export class SortStep implements Step {
  readonly #order: Order;
  readonly #batchRows: number;
  readonly #relief: Relief | null;
  readonly #sort: ExternalSort;
  /** Where the rows are shared with other workers. */
  readonly #shared: SharedSort | null;

  constructor(kernel: Kernel, order: Order, { batchRows, relief, pool }: SortStepOptions) {
    this.#order = order;
    this.#batchRows = batchRows;
    this.#relief = relief;
    const { schema, by, limit } = order;
    // With a limit what it holds is bound by that.
    const spills = limit === null ? relief : null;
    const create = () => sortOperatorOf(kernel, order);
    this.#sort = new ExternalSort(spills, create, { schema, by, carried: 0 });
    const isShared = pool !== null && relief === null;
    this.#shared = isShared ? new SharedSort(pool, this.#sort.operator, create, limit !== null) : null;
  }

  get operators(): readonly Operator[] {
    return this.#shared?.operators ?? [this.#sort.operator];
  }

  get runs(): number {
    return this.#sort.runs + (this.#shared?.merged ?? 0);
  }

  get hasSpilled(): boolean {
    return this.#sort.hasSpilled;
  }

  /** Whether `finish` can give the results when they have not fitted the memory as a whole. */
  get mayStartOver(): boolean {
    return this.#sort.mayStartOver;
  }

  push(input: InputBatch, start: number, rows: number, firstRow: number): Iterable<BatchData> {
    const { schema } = this.#order;
    if (this.#shared !== null) return atWork(this.#shared.push(input, start, rows, firstRow), schema);
    return taken(this.#relief, schema, start, rows, (from, some) =>
      this.#sort.push(input, from, some, firstRow),
    );
  }

  passes(): null {
    return null;
  }

  watermark(): Iterable<BatchData> {
    return [];
  }

  *finish(): Generator<BatchData> {
    const shared = this.#shared;
    if (shared !== null) yield* atWork(shared.bring(), this.#order.schema);
    if (shared?.isDivided) yield* shared.results(this.#order.schema, this.#batchRows);
    else yield* this.#sort.finish(this.#batchRows);
  }

  /** Puts the rows in order as far as other workers take part in it, for `finishResident`. */
  *settle(): Generator<BatchData> {
    const shared = this.#shared;
    if (shared === null) return;
    yield* atWork(shared.bring(), this.#order.schema);
    if (shared.isDivided) yield* atWork(shared.keepAll(), this.#order.schema);
  }

  /** The results where the workers have left them (`settle`); null where the operator is still to be asked for them. */
  takeKept(): ResidentBatch[] | null {
    return this.#shared?.isDivided ? this.#shared.takeKept() : null;
  }

  async abandon(): Promise<void> {
    await this.#shared?.abandon();
  }

  free(): void {
    this.#shared?.free();
    this.#sort.free();
  }
}
