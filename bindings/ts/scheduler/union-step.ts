// A union as a step with two ports: rows of both as they come.
//
// Its watermark is the lesser one of its inputs': a row of either may be as old as that. An input that has ended no
// longer counts, nor does one that is idle, which a source is that has given nothing for as long as its watermark's
// options say: it lets go, and counts again with its next row. The watermark never goes back, so what such a source
// then gives from before it is late for windows that have closed meanwhile, and counted as such.

import type { InputBatch } from "../kernel/index.js";
import type { BatchData } from "../type/column.js";
import type { Schema } from "../type/data-type.js";
import type { SavedStep } from "./checkpoint.js";
import { hostBatch, sliceRows } from "./rows.js";
import type { Step } from "./step.js";

type PortState = "open" | "idle" | "ended";

export class UnionStep implements Step {
  readonly operators = [];
  readonly #schema: Schema;
  /** Whether both inputs have watermarks of one column of the union. */
  readonly #timed: boolean;
  readonly #ports: [PortState, PortState] = ["open", "open"];
  readonly #watermarks: [bigint | null, bigint | null] = [null, null];

  constructor(schema: Schema, timed: boolean) {
    this.#schema = schema;
    this.#timed = timed;
  }

  *push(input: InputBatch, start: number, rows: number): Generator<BatchData> {
    if (rows > 0) yield sliceRows(hostBatch(input, this.#schema), start, start + rows);
  }

  watermark(time: bigint, port: number): Iterable<BatchData> {
    const before = this.#watermarks[port as 0 | 1];
    if (before === null || time > before) this.#watermarks[port as 0 | 1] = time;
    return [];
  }

  passes(): bigint | null {
    return this.#timed ? this.joined : null;
  }

  /** The watermark of both inputs; null where one that counts has none, or none counts. */
  get joined(): bigint | null {
    if (!this.#timed) return null;
    let least: bigint | null = null;
    for (const port of [0, 1] as const) {
      if (this.#ports[port] !== "open") continue;
      const watermark = this.#watermarks[port];
      if (watermark === null) return null;
      if (least === null || watermark < least) least = watermark;
    }
    return least;
  }

  /** Lets an input go, or counts it again. Answers whether that is so of the whole union. */
  setIdle(port: number, idle: boolean): boolean {
    const all = () => this.#ports.every((state) => state !== "open");
    const before = all();
    if (this.#ports[port as 0 | 1] !== "ended") this.#ports[port as 0 | 1] = idle ? "idle" : "open";
    return idle ? all() : before;
  }

  finish(port: number): Iterable<BatchData> {
    this.#ports[port as 0 | 1] = "ended";
    return [];
  }

  save(): SavedStep {
    const watermarks = this.#watermarks.map((time) => (time === null ? null : String(time)));
    return { kept: { ports: this.#ports, watermarks }, states: [] };
  }

  restore({ kept }: SavedStep): void {
    const { ports, watermarks } = kept as { ports: PortState[]; watermarks: (string | null)[] };
    for (const port of [0, 1] as const) {
      const time = watermarks[port]!;
      this.#ports[port] = ports[port]!;
      this.#watermarks[port] = time === null ? null : BigInt(time);
    }
  }

  free(): void {}
}
