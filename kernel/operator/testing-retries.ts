// Calls of an operator while an allocation fails: one that finds no memory is made again, and must give what it would have.

import { expect } from "vitest";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import { MemoryLimitError } from "../../bindings/ts/type/error.js";

export class Retries {
  /** Calls that found no memory. */
  failures = 0;

  readonly again = <T>(call: () => T): T => {
    try {
      return call();
    } catch (error) {
      expect(error).toBeInstanceOf(MemoryLimitError);
      this.failures++;
      return call();
    }
  };

  /** All results that an operator has, in batches of `maxRows` at most. */
  *pulls(operator: Operator, maxRows: number): Generator<BatchData> {
    const pull = () => this.again(() => operator.pull(maxRows));
    for (let batch = pull(); batch !== null; batch = pull()) yield batch;
  }
}
