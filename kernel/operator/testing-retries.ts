// Calls of an operator while an allocation fails: one that finds no memory is made again, and must give what it would have.

import { expect } from "vitest";
import type { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import { MemoryLimitError } from "../../bindings/ts/type/error.js";
import { Root } from "../abi/layout.js";

/** Makes small pieces, and questions whether there is room, count as allocations (see `mem_fail`). */
export const SMALL_TOO = 0x8000_0000;
/** Makes what follows fail, too: a smaller piece that would do as well, and what was to be had for certain. */
export const LASTING = 0x4000_0000;

export class Retries {
  /** Calls that found no memory. */
  failures = 0;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  readonly again = <T>(call: () => T): T => {
    try {
      return call();
    } catch (error) {
      expect(error).toBeInstanceOf(MemoryLimitError);
      this.failures++;
      this.#kernel.failAllocation(0);
      return call();
    }
  };

  /** All results that an operator has, in batches of `maxRows` at most. */
  *pulls(operator: Operator, maxRows: number): Generator<BatchData> {
    const pull = () => this.again(() => operator.pull(maxRows));
    for (let batch = pull(); batch !== null; batch = pull()) yield batch;
  }
}

/**
 * Runs a story again and again while another allocation fails, small pieces too: the `first`, then each `stride` further
 * on, until the story has no more; with `lasting` once more each time, while all that follow fail, too, until the story
 * turns the switch off. What can be done without fails unseen: that the story found no memory tells nothing.
 */
export function failEach(
  kernel: Kernel,
  first: number,
  stride: number,
  story: (nth: number) => void,
  lasting = false,
): void {
  for (let nth = first, isOver = false; !isOver; nth += stride) {
    for (const lasts of lasting ? [LASTING, 0] : [0]) {
      kernel.failAllocation((nth | SMALL_TOO | lasts) >>> 0);
      story(nth);
      isOver = !hasFailed(kernel);
      kernel.failAllocation(0);
    }
  }
}

/** Whether the allocation that was to fail has been asked for. */
export function hasFailed({ memory }: Kernel): boolean {
  const [made, failing] = [Root.ALLOCATIONS, Root.FAIL_AT].map((field) =>
    memory.view.getUint32(memory.root + field, true),
  );
  return made! >= failing!;
}
