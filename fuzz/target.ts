// What can be fuzzed: each target makes a case of a draw and says whether it holds.

import type { Draw } from "./draw.js";

export interface Target {
  readonly name: string;
  /** Throws where the case fails. */
  run(draw: Draw): Promise<void>;
  /** The case that `draw` gives as a test to paste. */
  test(draw: Draw, title: string): string;
  /** What the cases so far were like, for the report. */
  summary(): string;
  close(): Promise<void>;
}
