// Random choices that can be written down, played again and made smaller.
//
// A case is whatever a function makes of a `Draw`. Every decision is a number below some bound, and 0 is always the
// simplest one (no more items, the first alternative, a zero), so that a case is a list of numbers: played again it
// gives the same case, and a list with smaller or fewer numbers gives a simpler one. Whatever depends on what was
// drawn before (a column of a table, a step over a schema) stays sound, which is hard to have with values that are
// shrunk by themselves: fast-check's `chain` starts over when its first part shrinks. The idea is that of Hypothesis
// (MacIver and Donaldson, "Test-Case Reduction via Test-Case Generation", ECOOP 2020).

import { RowRandom } from "../fixtures/random.js";

export class Draw {
  /** The decisions so far. */
  readonly choices: number[] = [];
  /** Choices that belong together and can be left out: from and to. */
  readonly spans: (readonly [number, number])[] = [];
  readonly #next: (at: number, bound: number) => number;

  private constructor(next: (at: number, bound: number) => number) {
    this.#next = next;
  }

  /** Equal seeds and names give equal choices. */
  static random(seed: number, name: string): Draw {
    const random = new RowRandom(seed, name);
    return new Draw((at, bound) => random.below(at, bound));
  }

  /** These choices; zeros when there are no more. */
  static replay(choices: readonly number[]): Draw {
    return new Draw((at, bound) => Math.min(choices[at] ?? 0, bound - 1));
  }

  /** Uniform in 0 .. bound - 1. */
  below(bound: number): number {
    if (bound < 1) throw new RangeError("there is nothing to choose from");
    const choice = this.#next(this.choices.length, bound);
    this.choices.push(choice);
    return choice;
  }

  /** True so many times in a hundred; false is the simpler one. */
  chance(percent: number): boolean {
    return this.below(100) >= 100 - percent;
  }

  /** One of them; the first is the simplest. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** At most `most` items, `mean` on average where `most` is far away. */
  list<T>(most: number, mean: number, item: () => T): T[] {
    const items: T[] = [];
    while (items.length < most) {
      const start = this.choices.length;
      if (this.below(mean + 1) === 0) break;
      items.push(item());
      this.spans.push([start, this.choices.length]);
    }
    return items;
  }

  /** Some of them, in their order. */
  some<T>(values: readonly T[], percent: number): T[] {
    return values.filter(() => this.chance(percent));
  }
}
