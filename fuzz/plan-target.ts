// Random plans over random tables against the naive twin, in a few ways each.

import { agree, Engines } from "./agree.js";
import type { Draw } from "./draw.js";
import { drawPlan, type PlanCase } from "./plan.js";
import { sourceText } from "./source-text.js";
import type { Target } from "./target.js";
import { drawWay, type Way } from "./way.js";

export class PlanTarget implements Target {
  readonly name = "plan";
  readonly #engines: Engines;
  #compared = 0;
  #refused = 0;
  #failing = 0;

  private constructor(engines: Engines) {
    this.#engines = engines;
  }

  static async open(): Promise<PlanTarget> {
    return new PlanTarget(await Engines.open());
  }

  async run(draw: Draw): Promise<void> {
    const { one, ways } = this.#draw(draw);
    const { compared, refused, failing } = await agree(this.#engines, one, ways);
    this.#compared += compared;
    this.#refused += refused;
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
    return `${this.#compared} runs compared, ${this.#refused} refused, ${this.#failing} cases where the twin gives an error`;
  }

  close(): Promise<void> {
    return this.#engines.close();
  }
}
