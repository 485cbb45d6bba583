// Where a run can be saved: between two morsels, when everything that the last one made ready has been handed out, or lies
// here. The loop of the run says when it is there; a run that waits for its source is, and is saved at once.

import type { BatchData } from "../type/column.js";
import type { SourceState } from "./checkpoint.js";

/** How far each source has been read. */
export type Position = {
  -readonly [K in keyof Pick<SourceState, "rows" | "batches" | "ended">]: SourceState[K];
};

interface Asked {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

/** Writes what there is, or (`ended`) that nothing is left but results. */
export type Save = (ended: boolean) => Uint8Array;

/** What the loop yields at a boundary that was asked for: no result. */
export const AT_BOUNDARY: BatchData = { schema: { fields: [] }, length: 0, columns: [] };

export class Boundary {
  /** Results that are there and have not been handed out. */
  readonly pending: BatchData[] = [];
  readonly #asked: Asked[] = [];
  #save: Save | null = null;
  /** Whether the loop is between two morsels; whether it is over. */
  #rests = false;
  #ended = false;

  /** The run has its sources and steps: from now on it can be saved. */
  open(save: Save): void {
    this.#save = save;
  }

  /** Whether a saving is being waited for. */
  get isAsked(): boolean {
    return this.#asked.length > 0;
  }

  /** The bytes, as soon as the loop is between two morsels. */
  ask(): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject });
      if (this.#rests) this.#answer();
    });
  }

  /** The loop has taken all of a morsel; whether somebody has waited for that. */
  rest(): boolean {
    this.#rests = true;
    return this.#answer();
  }

  /** The next morsel is there. */
  leave(): void {
    this.#rests = false;
  }

  /** The loop is over: results are all that is left. */
  end(): void {
    this.#ended = true;
    this.rest();
  }

  /** Nobody will come to where the run could be saved. */
  refuse(error: unknown): void {
    for (const { reject } of this.#asked.splice(0)) reject(error);
  }

  /** The run's steps are gone: it can be saved no more. */
  close(error: unknown): void {
    this.#rests = false;
    this.refuse(error);
  }

  #answer(): boolean {
    const asked = this.#asked.splice(0);
    if (asked.length === 0) return false;
    try {
      const bytes = this.#save!(this.#ended);
      for (const { resolve } of asked) resolve(bytes);
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
    return true;
  }
}
