// Queries that have a memory of their own: what was promised to whom, and who waits for others to end.
//
// One that waits begins once so much is free besides what those that run may still take of theirs. It is then sure to find
// it, but for queries that were given no bound. Those that wait begin in the order in which they came, so that a large
// one is not passed by for ever. Nobody waits while holding anything, so nobody waits for ever, either.

import { formatBytes, type Kernel, parseBudget } from "../kernel/index.js";
import { MemoryLimitError } from "../type/error.js";

interface Waiting {
  readonly bytes: number;
  readonly begin: (kernel: Kernel) => void;
  readonly fail: (error: unknown) => void;
}

export class MemoryQueue {
  readonly #kernel: Kernel;
  readonly #runs: () => number;
  readonly #promised = new Set<Kernel>();
  readonly #waiting: Waiting[] = [];

  /** @param runs how many queries have begun and not ended, those that wait among them */
  constructor(kernel: Kernel, runs: () => number) {
    this.#kernel = kernel;
    this.#runs = runs;
  }

  /** The kernel of a query that may take so much, until `leave`. */
  open(memory: number | string): Kernel {
    const kernel = this.#kernel.account(memory);
    this.#promised.add(kernel);
    return kernel;
  }

  /**
   * The same once there is so much.
   * @throws MemoryLimitError when there is not, and no other query is at work that could give any back; what `signal` says
   */
  wait(memory: number | string, signal: AbortSignal): Promise<Kernel> {
    const bytes = parseBudget(memory);
    return new Promise((begin, fail) => {
      signal.throwIfAborted();
      const waiting = { bytes, begin, fail };
      this.#waiting.push(waiting);
      const stop = () => {
        const at = this.#waiting.indexOf(waiting);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        fail(signal.reason);
        this.look();
      };
      signal.addEventListener("abort", stop, { once: true });
      this.look();
    });
  }

  /** The query is over. */
  leave(kernel: Kernel): void {
    this.#promised.delete(kernel);
    kernel.closeAccount();
  }

  /** Lets those begin for whom there is memory now: a query has ended, or a table was freed. */
  look(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const { bytes, begin, fail } = first;
      const isLast = this.#runs() <= this.#waiting.length;
      if (this.#free < bytes && !isLast && this.#kernel.isAlive) return;
      this.#waiting.shift();
      try {
        if (this.#free < bytes) throw this.#refusal(bytes);
        begin(this.open(bytes));
      } catch (error) {
        fail(error);
      }
    }
  }

  /** What is free, and promised to nobody. */
  get #free(): number {
    let bytes = this.#kernel.freeBytes;
    for (const { ownUse } of this.#promised) bytes -= ownUse!.limitBytes - ownUse!.usedBytes;
    return bytes;
  }

  #refusal(bytes: number): MemoryLimitError {
    const { usedBytes, budgetBytes } = this.#kernel;
    return new MemoryLimitError(
      `memory limit: the ${formatBytes(bytes)} of a query do not fit, ${formatBytes(usedBytes)} of the budget of ${formatBytes(budgetBytes)} are in use, and no other query will give any back`,
      { value: bytes, expected: `at most ${budgetBytes - usedBytes} bytes` },
    );
  }
}
