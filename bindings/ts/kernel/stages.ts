// Stages for batches that are under way at the same time.
//
// Batches that lie in kernel memory need no more than room for their description, of which a job has as many as morsels wait
// in its ring. One block has some of them: to get and to give back one each took a fiftieth of a sum by 100 keys over 10 million
// rows by two workers.

import { describedBytes, type InputBatch, Stage, StagedBatch } from "./input.js";
import type { Kernel } from "./kernel.js";
import { padded } from "./slice.js";

/** Stages of a block. */
const STAGES = 16;

export class Stages {
  readonly #kernel: Kernel;
  readonly #blocks: number[] = [];
  readonly #free: Stage[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** One that is free, for rows of `input`; it counts as that until `take`. */
  next(input: InputBatch, columns: number): Stage {
    if (this.#free.length === 0) this.#add(input, columns);
    return this.#free.at(-1)!;
  }

  #add(input: InputBatch, columns: number): void {
    if (input instanceof StagedBatch) {
      this.#free.push(new Stage(this.#kernel));
      return;
    }
    const bytes = padded(describedBytes(columns));
    const block = this.#kernel.allocate(STAGES * bytes);
    this.#blocks.push(block);
    for (let address = block; address < block + STAGES * bytes; address += bytes)
      this.#free.push(new Stage(this.#kernel, { address, bytes }));
  }

  /** The last one that `next` has answered is in use. */
  take(): void {
    this.#free.pop();
  }

  giveBack(stage: Stage): void {
    this.#free.push(stage);
  }

  /** Gives all memory back; none may be in use. They can be used again. */
  free(): void {
    for (const stage of this.#free.splice(0)) stage.free();
    for (const block of this.#blocks.splice(0)) this.#kernel.free(block);
    this.#kernel.retire(this);
  }
}
