// A case that measures latency: rows pushed one at a time into a stream that has its state already, each timed from the
// moment it is handed over until its consequence is in the consumer's hands.
//
// With a background, rows are due at a fixed rate, and each is timed from the moment that it was due: what a busy engine
// makes wait before it is even taken counts, too.
//
// All that a user pays is inside: an Arrow batch of one row in, an Arrow batch of changes out, and the turns of the event
// loop between. The rest of the table goes before, in batches, so that the state is there.
//
// A push makes about 19 KB of young objects, so that one in 600 meets a collection of them: that, rather than the kernel,
// is the latency's p99.9. What is kept here until it is verified are plain numbers (kept-rows.ts): batches that are kept
// make each such collection longer.

import type { RecordBatch, Table } from "apache-arrow";
import type { KernelTable, Engine as Millrace, Plan } from "../../bindings/ts/index.js";
import { inputRows, scanBytes } from "../input/load.js";
import { millraceVersion } from "../report/machine.js";
import type { RawResult } from "../result/canonical.js";
import type { BenchCase } from "../suite/case.js";
import { consolidated } from "./changelog.js";
import { type EngineSession, ownCostMs, type RunFigure } from "./engine.js";
import { KeptRows } from "./kept-rows.js";

/** Rows pushed one at a time, of which the first ones warm up: V8 compiles a path of calls only after some. */
const PUSHES = 22_000;
const WARM_UP = 2000;
const BATCH_ROWS = 65_536;
/** Of cases with a background: rows, time between two of them, and the time for which the background runs alone. */
const MIXED_PUSHES = 4000;
const MIXED_WARM_UP = 500;
const MIXED_MS = 1;
const ALONE_MS = 400;

export class LatencySession implements EngineSession {
  readonly version = millraceVersion();
  readonly threads = 1;
  readonly inputRows: number;
  readonly inputBytes: number;
  readonly #engine: Millrace;
  readonly #of: BenchCase;
  readonly #plan: Plan;
  readonly #name: string;
  readonly #table: Table;
  readonly #before: readonly RecordBatch[];
  readonly #singles: readonly RecordBatch[];
  #changes = new KeptRows();
  #batches = 0;

  /** `tables` is one. */
  constructor(engine: Millrace, of: BenchCase, tables: Readonly<Record<string, Table>>) {
    this.#engine = engine;
    this.#of = of;
    this.#plan = of.plan();
    const [name, table] = Object.entries(tables)[0]!;
    this.#name = name;
    const pushes = Math.min(of.background === undefined ? PUSHES : MIXED_PUSHES, table.numRows >> 1);
    this.#table = table;
    const first = table.numRows - pushes;
    this.#before = cut(table, 0, first, BATCH_ROWS);
    this.#singles = cut(table, first, table.numRows, 1);
    this.inputRows = inputRows(tables);
    this.inputBytes = scanBytes(tables);
  }

  async run(): Promise<RunFigure> {
    if (this.#of.background === undefined) return this.#push(null);
    const background = await Background.open(this.#engine, this.#of.background(), this.#name, this.#table);
    try {
      return await this.#push(background);
    } finally {
      await background.close();
    }
  }

  async #push(background: Background | null): Promise<RunFigure> {
    const alone = background === null ? 0 : await background.rate(ALONE_MS);
    this.#changes = new KeptRows();
    this.#batches = 0;
    const micros = new Float64Array(this.#singles.length);
    const warmUp = Math.min(background === null ? WARM_UP : MIXED_WARM_UP, micros.length >> 1);
    let handed = 0;
    let next = 0;
    let busyMs = 0;
    const [before, singles] = [this.#before, this.#singles];
    async function* rows(): AsyncGenerator<RecordBatch> {
      yield* before;
      const start = performance.now();
      for (const single of singles) {
        if (background === null) handed = performance.now();
        else {
          handed = start + next * MIXED_MS;
          if (next === warmUp) background.mark();
          while (performance.now() < handed) await turn();
        }
        const taken = performance.now();
        yield single;
        if (next >= warmUp) busyMs += performance.now() - taken;
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
      this.#changes.add(batch);
      this.#batches += 1;
    }
    const latencies = [...micros.subarray(warmUp)];
    return {
      ms: latencies.reduce((sum, us) => sum + us, 0) / 1000,
      outputRows: this.#batches,
      latencies,
      ...(background === null ? {} : { backgroundKept: background.kept(alone, busyMs) }),
    };
  }

  /** Of a row: the clock's. The turns of the event loop between a row and its consequence are the user's, too. */
  ownMs(): Promise<number> {
    return ownCostMs(() => null);
  }

  async result(): Promise<RawResult> {
    if (this.#changes.rows === 0) await this.run();
    return consolidated(this.#of, this.#changes.table()!);
  }

  async close(): Promise<void> {
    await this.#engine.close();
  }
}

/** A plan that is collected over and over. */
class Background {
  readonly #engine: Millrace;
  readonly #plan: Plan;
  readonly #name: string;
  readonly #input: KernelTable;
  #going: Promise<void> | null = null;
  #isOver = false;
  #rows = 0;
  #since = { rows: 0, at: 0 };

  private constructor(engine: Millrace, plan: Plan, name: string, input: KernelTable) {
    this.#engine = engine;
    this.#plan = plan;
    this.#name = name;
    this.#input = input;
  }

  static async open(engine: Millrace, plan: Plan, name: string, table: Table): Promise<Background> {
    const background = new Background(engine, plan, name, await engine.load(table));
    background.#going = background.#go();
    return background;
  }

  async #go(): Promise<void> {
    while (!this.#isOver) {
      const result = await this.#engine.collect(
        this.#plan,
        { [this.#name]: this.#input },
        { result: "kernel" },
      );
      this.#rows += this.#input.rows;
      result.free();
    }
  }

  /** Rows a millisecond over so long. */
  async rate(ms: number): Promise<number> {
    this.mark();
    const end = performance.now() + ms;
    while (performance.now() < end) await turn();
    return (this.#rows - this.#since.rows) / (performance.now() - this.#since.at);
  }

  mark(): void {
    this.#since = { rows: this.#rows, at: performance.now() };
  }

  /** The rate since the mark, of what `alone` (rows a millisecond) makes of the time without `busyMs`. */
  kept(alone: number, busyMs: number): number {
    const free = performance.now() - this.#since.at - busyMs;
    return (this.#rows - this.#since.rows) / (alone * free);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#going;
    this.#input.free();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Rows [start, end) of a table in batches of `rows` rows. */
function cut(table: Table, start: number, end: number, rows: number): RecordBatch[] {
  const batches: RecordBatch[] = [];
  for (let at = start; at < end; at += rows)
    batches.push(...table.slice(at, Math.min(end, at + rows)).batches);
  return batches;
}
