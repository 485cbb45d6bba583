// Tables in the kernel's memory: inputs loaded once and read many times, and results left where they were made.

import type { Table } from "apache-arrow";
import { toTable } from "../arrow/index.js";
import type { InputBatch, ResidentBatch } from "../kernel/index.js";
import type { Schema } from "../type/data-type.js";
import { ClosedError } from "../type/error.js";

export class KernelTable {
  readonly schema: Schema;
  readonly rows: number;
  readonly #batches: readonly ResidentBatch[];
  readonly #release: () => void;
  #open = true;
  /** Runs that are reading, and results that lie in its memory. */
  #readers = 0;

  /** @internal */
  constructor(schema: Schema, batches: readonly ResidentBatch[], release: () => void) {
    this.schema = schema;
    this.rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
    this.#batches = batches;
    this.#release = release;
    for (const batch of batches) batch.outlive();
  }

  /** @internal Whether each batch begins at a multiple of `rows` rows. */
  beginsAtMultiplesOf(rows: number): boolean {
    return this.#batches.slice(0, -1).every((batch) => batch.rows % rows === 0);
  }

  /** @internal The batches, for whoever reads them until he calls `unpin`. */
  pin(): readonly InputBatch[] {
    this.#check();
    this.#readers += 1;
    return this.#batches;
  }

  /** @internal The same for what a run leaves that has pinned it, and may have been overtaken by `free`. */
  hold(): void {
    this.#readers += 1;
  }

  /** @internal */
  unpin(): void {
    this.#readers -= 1;
    if (!this.#open && this.#readers === 0) this.#release();
  }

  /** A copy as an ordinary apache-arrow table. Only for results: their columns are all here, and their texts leave as texts. */
  toArrow(): Table {
    this.#check();
    return toTable(
      this.schema,
      this.#batches.map((batch) => batch.toHost()),
    );
  }

  /**
   * Gives the memory back, once the runs that are reading the table have ended, and results that lie in it have been freed.
   * Safe to call twice.
   */
  free(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#readers === 0) this.#release();
  }

  [Symbol.dispose](): void {
    this.free();
  }

  #check(): void {
    if (!this.#open) throw new ClosedError("the table was freed");
  }
}
