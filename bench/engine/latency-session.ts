// A case that measures latency: rows pushed one at a time into a stream that has its state already, each timed from the
// moment it is handed over until its consequence is in the consumer's hands.
//
// All that a user pays is inside: an Arrow batch of one row in, an Arrow batch of changes out, and the turns of the event
// loop between. The rest of the table goes before, in batches, so that the state is there.

import { type RecordBatch, Table } from "apache-arrow";
import type { Engine as Millrace, Plan } from "../../bindings/ts/index.js";
import { inputRows, scanBytes } from "../input/load.js";
import { millraceVersion } from "../report/machine.js";
import type { RawResult } from "../result/canonical.js";
import type { BenchCase } from "../suite/case.js";
import { consolidated } from "./changelog.js";
import type { EngineSession, RunFigure } from "./engine.js";

/** Rows pushed one at a time, of which the first ones warm up: V8 compiles a path of calls only after some. */
const PUSHES = 22_000;
const WARM_UP = 2000;
const BATCH_ROWS = 65_536;

export class LatencySession implements EngineSession {
  readonly version = millraceVersion();
  readonly threads = 1;
  readonly inputRows: number;
  readonly inputBytes: number;
  readonly #engine: Millrace;
  readonly #of: BenchCase;
  readonly #plan: Plan;
  readonly #name: string;
  readonly #before: readonly RecordBatch[];
  readonly #singles: readonly RecordBatch[];
  #changes: RecordBatch[] = [];

  /** `tables` is one. */
  constructor(engine: Millrace, of: BenchCase, tables: Readonly<Record<string, Table>>) {
    this.#engine = engine;
    this.#of = of;
    this.#plan = of.plan();
    const [name, table] = Object.entries(tables)[0]!;
    this.#name = name;
    const pushes = Math.min(PUSHES, table.numRows >> 1);
    const first = table.numRows - pushes;
    this.#before = cut(table, 0, first, BATCH_ROWS);
    this.#singles = cut(table, first, table.numRows, 1);
    this.inputRows = inputRows(tables);
    this.inputBytes = scanBytes(tables);
  }

  async run(): Promise<RunFigure> {
    this.#changes = [];
    const micros = new Float64Array(this.#singles.length);
    let handed = 0;
    let next = 0;
    const [before, singles] = [this.#before, this.#singles];
    async function* rows(): AsyncGenerator<RecordBatch> {
      yield* before;
      for (const single of singles) {
        handed = performance.now();
        yield single;
        next += 1;
      }
    }
    for await (const batch of this.#engine.stream(
      this.#plan,
      { [this.#name]: rows() },
      { emit: "onUpdate" },
    )) {
      // Of the state's last batch, whose changes come before the first single row is asked for, there is no time.
      if (handed > 0) micros[next] = (performance.now() - handed) * 1000;
      this.#changes.push(batch);
    }
    const latencies = [...micros.subarray(Math.min(WARM_UP, micros.length >> 1))];
    return {
      ms: latencies.reduce((sum, us) => sum + us, 0) / 1000,
      outputRows: this.#changes.length,
      latencies,
    };
  }

  async result(): Promise<RawResult> {
    if (this.#changes.length === 0) await this.run();
    return consolidated(this.#of, new Table(this.#changes));
  }

  async close(): Promise<void> {
    await this.#engine.close();
  }
}

/** Rows [start, end) of a table in batches of `rows` rows. */
function cut(table: Table, start: number, end: number, rows: number): RecordBatch[] {
  const batches: RecordBatch[] = [];
  for (let at = start; at < end; at += rows)
    batches.push(...table.slice(at, Math.min(end, at + rows)).batches);
  return batches;
}
