// Making room when a run is out of memory: what its steps hold goes to files, the most first, and the push that found no
// room is made again. A push is all or nothing, so nothing is lost or counted twice.
//
// To write state takes some memory, too. So a run that may spill keeps a block aside, which it gives back for as long as
// it writes.

import type { Kernel } from "../kernel/index.js";
import { SpillBytes, type SpillFaults, SpillFile, type SpillFolder } from "../spill/index.js";
import type { Schema } from "../type/data-type.js";
import { MemoryLimitError } from "../type/error.js";

/** A step whose state can leave for a file. */
export interface Spillable {
  /** Bytes of the kernel's memory that spilling would give back; 0 when there is nothing to spill. */
  readonly spillable: number;
  /** Writes the state, and starts again without; yields in between. */
  spill(): Iterable<void>;
}

/**
 * Part of the budget that is kept aside. A divided snapshot takes 5 to 9 bytes a group where groups take 30 and more,
 * and a batch on its way out.
 */
const RESERVE_SHARE = 5;
const LEAST_RESERVE = 2 ** 16;
/** What grows bit by bit grows by so much at once. */
const HEADROOM = 1.25;
const WORTHWHILE_SHARE = 4;

export class Relief {
  readonly kernel: Kernel;
  readonly #folder: SpillFolder;
  readonly #steps: Spillable[] = [];
  readonly #files = new Set<SpillFile | SpillBytes>();
  #reserve = 0;
  #reserved = 0;

  constructor(kernel: Kernel, folder: SpillFolder) {
    this.kernel = kernel;
    this.#folder = folder;
    this.#keep();
  }

  get faults(): SpillFaults {
    return this.#folder.faults;
  }

  add(step: Spillable): void {
    this.#steps.push(step);
  }

  /** A file that lives as long as the run, unless it is closed before. */
  file(schema: Schema): SpillFile {
    return this.#kept(new SpillFile(this.#folder, schema));
  }

  /** The same for bytes that are no batches. */
  bytes(): SpillBytes {
    return this.#kept(new SpillBytes(this.#folder));
  }

  #kept<T extends SpillFile | SpillBytes>(file: T): T {
    this.#files.add(file);
    return file;
  }

  drop(file: SpillFile | SpillBytes): void {
    this.#files.delete(file);
    file.close();
  }

  /**
   * Does `work`, as often as there is something to spill when memory runs out; yields while it spills.
   * @param least bytes that a step must hold for spilling it to be worth while
   * @throws what `work` throws
   */
  *attempt<T>(work: () => T, least = 1): Generator<void, T> {
    for (;;) {
      let refused: unknown;
      try {
        return work();
      } catch (error) {
        if (!(error instanceof MemoryLimitError)) throw error;
        refused = error;
      }
      if (!(yield* this.relieve(least))) throw refused;
    }
  }

  /** Spills what holds most; answers whether there was anything of `least` bytes or more. */
  *relieve(least = 1): Generator<void, boolean> {
    let most: Spillable | null = null;
    let bytes = least - 1;
    for (const step of this.#steps) {
      const held = step.spillable;
      if (held <= bytes) continue;
      most = step;
      bytes = held;
    }
    if (most === null) return false;
    const step = most;
    yield* this.spilling(() => step.spill());
    return true;
  }

  /** Bytes that are worth a file: where all that is there is less, a smaller push may still find room. */
  get worthwhile(): number {
    return Math.floor(this.kernel.budgetBytes / WORTHWHILE_SHARE);
  }

  /** Does `work` with the block that is kept aside given back. */
  *spilling(work: () => Iterable<void>): Generator<void> {
    this.release();
    try {
      yield* work();
    } finally {
      if (this.kernel.isAlive) this.#keep();
    }
  }

  /**
   * Makes what is kept aside at least so large, for a step that needs as much to write what it holds.
   * @throws MemoryLimitError when there is not so much; what was kept is kept
   */
  reserve(bytes: number): void {
    if (bytes <= this.#reserved) return;
    const before = this.#reserved;
    this.release();
    for (const wanted of [bytes * HEADROOM, bytes]) {
      try {
        this.#allocate(Math.ceil(wanted));
        return;
      } catch (error) {
        if (!(error instanceof MemoryLimitError)) throw error;
        if (wanted !== bytes) continue;
        if (before > 0) this.#allocate(before);
        throw error;
      }
    }
  }

  #allocate(bytes: number): void {
    this.#reserve = this.kernel.allocate(bytes);
    this.#reserved = bytes;
  }

  /** As much as there is: a run that begins when memory is short does without. */
  #keep(): void {
    for (
      let bytes = Math.floor(this.kernel.budgetBytes / RESERVE_SHARE);
      bytes >= LEAST_RESERVE;
      bytes /= 2
    ) {
      try {
        this.#allocate(Math.floor(bytes));
        return;
      } catch (error) {
        if (!(error instanceof MemoryLimitError)) throw error;
      }
    }
  }

  /** Gives back what is kept aside: for a step that gives its results, and will not write. */
  release(): void {
    this.kernel.free(this.#reserve);
    this.#reserve = 0;
    this.#reserved = 0;
  }

  /** Keeps memory aside again where other steps may still write. */
  restore(): void {
    if (this.#steps.length > 1 && this.#reserve === 0) this.#keep();
  }

  /** Removes all files and gives the block back. */
  close(): void {
    for (const file of this.#files) file.close();
    this.#files.clear();
    if (this.kernel.isAlive) this.release();
  }
}
