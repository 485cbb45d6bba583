// Random plans over random tables against the naive twin, in a few ways each.

import { agree } from "./agree.js";
import type { Draw } from "./draw.js";
import { Engines } from "./engines.js";
import { drawPlan, type PlanCase } from "./plan.js";
import { sourceText } from "./source-text.js";
import type { Target } from "./target.js";
import { drawWay, type Way } from "./way.js";

export class PlanTarget implements Target {
  readonly name = "plan";
  readonly #engines: Engines;
  #compared = 0;
  #refused = 0;
  #short = 0;
  #failing = 0;

  private constructor(engines: Engines) {
    this.#engines = engines;
  }

  static async open(): Promise<PlanTarget> {
    return new PlanTarget(new Engines());
  }

  async run(draw: Draw): Promise<void> {
    const { one, ways } = this.#draw(draw);
    const { compared, refused, short, failing } = await agree(this.#engines, one, ways);
    this.#compared += compared;
    this.#refused += refused;
    this.#short += short;
    this.#failing += Number(failing);
  }

  #draw(draw: Draw): { one: PlanCase; ways: Way[] } {
    const ways = [
      drawWay(draw, this.#engines.builds),
      ...draw.list(4, 2, () => drawWay(draw, this.#engines.builds)),
    ];
    return { one: drawPlan(draw), ways };
  }

  test(draw: Draw, title: string): string {
    const { one, ways } = this.#draw(draw);
    return `it(${JSON.stringify(title)}, () =>\n  holds(${sourceText(one, "  ")}, ${sourceText(ways, "  ")}));`;
  }

  summary(): string {
    return `${this.#compared} runs compared, ${this.#refused} refused, ${this.#short} short of memory, ${this.#failing} cases where the twin gives an error`;
  }

  close(): Promise<void> {
    return this.#engines.close();
  }
}
