// How many morsels of a table a run takes at a turn.
//
// Between two turns a run looks at its signal, its share of the engine's time and its source. Where a morsel is done in some
// 50 microseconds, as sums by a few integers are, that is a twentieth of the time. A turn is therefore as many morsels as take a
// quarter of a millisecond, going by those before: less than a single morsel of most queries, so nobody waits for longer. Where
// other workers share them, all of a turn are offered at once, which takes the calling thread less; it gives way while it waits.

import { MORSEL_ROWS } from "./pipeline.js";

const TURN_MS = 0.25;
const MOST_MORSELS = 16;

export class Stride {
  #morsels = 1;

  /** Rows of the next turn. */
  get rows(): number {
    return this.#morsels * MORSEL_ROWS;
  }

  /** So many rows, not 0, have taken so long. */
  took(rows: number, ms: number): void {
    const fitting = Math.floor((TURN_MS * rows) / (ms * MORSEL_ROWS));
    this.#morsels = Math.max(1, Math.min(fitting, 2 * this.#morsels, MOST_MORSELS));
  }
}
