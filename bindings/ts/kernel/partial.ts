/// <reference lib="esnext.disposable" preserve="true" />
// A partial aggregation: rows in, state out, for an operator elsewhere to merge.

import { Abi } from "../../../kernel/abi/layout.js";
import { Status } from "../../../kernel/abi/status.js";
import type { BatchData } from "../type/column.js";
import type { InputBatch } from "./input.js";
import { END_OF_INPUT, type Operator, type OperatorCounts } from "./operator.js";
import type { StateBatch } from "./state.js";

/** Any watermark before the end makes the state leave. */
const NOW = 0n;

export class PartialAggregation {
  readonly #operator: Operator;

  constructor(operator: Operator) {
    this.#operator = operator;
  }

  /**
   * Takes a batch and yields state that leaves meanwhile: when the rows hardly reduce, or groups are many. Run it to
   * its end: what is not taken is yielded by the next call.
   */
  *process(input: InputBatch | BatchData, firstRow = 0): Generator<StateBatch> {
    yield* this.#drain();
    const batch = this.#operator.stage(input);
    for (let start = 0; start < batch.rows; start += Abi.MORSEL_ROWS) {
      const rows = Math.min(Abi.MORSEL_ROWS, batch.rows - start);
      if (this.#operator.push(batch, start, rows, firstRow) === Status.HAS_MORE) yield* this.#drain();
    }
  }

  /** Merges another partial aggregation's state in: combining on the way. */
  merge(state: StateBatch): Status {
    return this.#operator.merge(state);
  }

  /** Yields the state so far and starts again empty. */
  *flush(): Generator<StateBatch> {
    this.#operator.watermark(NOW);
    yield* this.#drain();
  }

  /** Ends the input and yields the rest of the state. */
  *finish(): Generator<StateBatch> {
    this.#operator.watermark(END_OF_INPUT);
    yield* this.#drain();
  }

  *#drain(): Generator<StateBatch> {
    for (let state = this.#operator.pullState(); state !== null; state = this.#operator.pullState())
      yield state;
  }

  stats(): OperatorCounts {
    return this.#operator.stats();
  }

  /** Gives the memory back. Safe to call twice, and after a failure. */
  destroy(): void {
    this.#operator.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}
