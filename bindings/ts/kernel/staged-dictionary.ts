// Dictionaries of batches that are copied into kernel memory: each is there once, however many stages describe batches with
// it (several threads are at work on batches of one source), and as long as one of them may still be read. Where a kernel
// meets the same bytes in the same place again it checks and measures nothing.

import type { DictionaryData } from "../type/column.js";
import type { Field } from "../type/data-type.js";
import type { ColumnDescriptor } from "./descriptor.js";
import type { Kernel } from "./kernel.js";
import { placeSlice, sliceColumn } from "./slice.js";

/** The values of one in kernel memory. Whoever made it holds it. */
export class StagedDictionary {
  readonly id: number;
  readonly descriptor: ColumnDescriptor;
  readonly #kernel: Kernel;
  readonly #block: number;
  #holders = 1;

  constructor(kernel: Kernel, field: Field, { id, values }: DictionaryData) {
    const slice = sliceColumn(values, field, 0, values.length);
    this.id = id;
    this.#kernel = kernel;
    this.#block = kernel.allocate(Math.max(slice.bytes, 1));
    this.descriptor = placeSlice(kernel.memory, slice, this.#block);
  }

  hold(): this {
    this.#holders += 1;
    return this;
  }

  /** Gives its memory back when nobody else holds it. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#kernel.free(this.#block);
  }
}

/** Dictionaries by the number of their column, the last of each: held until there is another. */
export class HeldDictionaries {
  readonly #held = new Map<number, StagedDictionary>();

  /** The one of a column, which has all of these values: copied only when it changed or grew. */
  staged(kernel: Kernel, column: number, field: Field, dictionary: DictionaryData): StagedDictionary {
    const last = this.#held.get(column);
    if (last?.id === dictionary.id && last.descriptor.length >= dictionary.values.length) return last;
    this.#drop(column);
    const made = new StagedDictionary(kernel, field, dictionary);
    this.#held.set(column, made);
    return made;
  }

  hold(column: number, dictionary: StagedDictionary): void {
    if (this.#held.get(column) === dictionary) return;
    this.#drop(column);
    this.#held.set(column, dictionary.hold());
  }

  /** Before another one takes memory. */
  #drop(column: number): void {
    this.#held.get(column)?.release();
    this.#held.delete(column);
  }

  release(): void {
    for (const dictionary of this.#held.values()) dictionary.release();
    this.#held.clear();
  }
}
