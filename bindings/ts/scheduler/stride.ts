// How many morsels of a source's batch a run takes at a turn.
//
// Between two turns a run looks at its signal, its share of the engine's time, its source and who wants to save it. Where a
// morsel is done in some 50 microseconds, as sums by a few integers are, that is a twentieth of the time. A turn is therefore as
// many morsels as take a quarter of a millisecond, going by those before: less than a single morsel of most queries, so nobody
// waits for longer. Where other workers share them, all of a turn are offered at once, which takes the calling thread less; it
// gives way while it waits.
//
// Of a stream other workers are done when a turn ends (spread-push.ts), and whoever is first waits for the last. A turn of a
// millisecond, which is still less than a morsel of medians, halves what that costs: with two workers 0.75 to 0.85 of the time
// where a morsel takes a quarter of one, as three sums by 100,000 keys do, and half where it takes 50 microseconds.

import { Abi } from "../../../kernel/abi/layout.js";

/** How long a turn may take, and one that is spread over workers and waits for them. */
export const TURN_MS = 0.25;
export const SPREAD_TURN_MS = 1;

const MORSEL_ROWS: number = Abi.MORSEL_ROWS;
const MOST_MORSELS = 16;

export class Stride {
  readonly #turnMs: number;
  #morsels = 1;

  constructor(turnMs: number) {
    this.#turnMs = turnMs;
  }

  /** Rows of the next turn. */
  get rows(): number {
    return this.#morsels * MORSEL_ROWS;
  }

  /** So many rows, not 0, have taken so long. */
  took(rows: number, ms: number): void {
    const fitting = Math.floor((this.#turnMs * rows) / (ms * MORSEL_ROWS));
    this.#morsels = Math.max(1, Math.min(fitting, 2 * this.#morsels, MOST_MORSELS));
  }
}
