// A contender: one engine on one case, in this process or in one of its own.
//
// The race calls both alike, so the test suite drives the same code without child processes.

import {
  type CaseFiles,
  type EngineName,
  type EngineOptions,
  type EngineSession,
  ownCostMs,
  type RunFigure,
} from "../engine/engine.js";
import { engineNamed } from "../engine/index.js";
import { type CanonicalResult, canonicalResult } from "../result/canonical.js";
import { checksum } from "../result/checksum.js";
import { ALL_CASES, caseName } from "../suite/index.js";

/** Everything that a contender is made from; plain data, so that it can be sent to a process. */
export interface ContenderSpec {
  readonly engine: EngineName;
  /** `suite/case`. */
  readonly case: string;
  readonly files: CaseFiles;
  readonly options: EngineOptions;
}

export interface Opened {
  readonly version: string;
  readonly threads: number;
  readonly inputRows: number;
  readonly inputBytes: number | null;
}

export interface Checked {
  readonly rows: number;
  readonly checksum: string;
  /** What measuring itself adds to the time of a call; null where the engine has a clock of its own. */
  readonly ownMs: number | null;
}

export interface Contender {
  readonly spec: ContenderSpec;
  /** Starts the engine and loads the data. */
  open(): Promise<Opened>;
  /** One call, or where it takes less than `leastMs`, as many as take so long, after one that is not counted. */
  run(leastMs: number): Promise<RunFigure>;
  /** Such runs for `ms`. */
  warmUp(ms: number, leastMs: number): Promise<void>;
  /** Most memory that the process has held so far, in MiB. */
  peakRssMiB(): Promise<number>;
  /** Brings the last result into canonical form. */
  check(): Promise<Checked>;
  /** The canonical result; after `check`. */
  table(): Promise<CanonicalResult>;
  close(): Promise<void>;
}

export class LocalContender implements Contender {
  readonly spec: ContenderSpec;
  #session: EngineSession | null = null;
  #result: CanonicalResult | null = null;

  constructor(spec: ContenderSpec) {
    this.spec = spec;
  }

  get #case() {
    const found = ALL_CASES.find((of) => caseName(of) === this.spec.case);
    if (found === undefined) throw new RangeError(`no case "${this.spec.case}"`);
    return found;
  }

  async open(): Promise<Opened> {
    const engine = await engineNamed(this.spec.engine);
    this.#session = await engine.open(this.#case, this.spec.files, this.spec.options);
    const { version, threads, inputRows, inputBytes } = this.#session;
    return { version, threads, inputRows, inputBytes };
  }

  async run(leastMs: number): Promise<RunFigure> {
    const session = this.#session!;
    // Where the process was started with --expose-gc: the last run's garbage is not this run's cost.
    // Buffers go behind its back, on a thread of its own that two workers would have to make room for (250 MB take 70 ms);
    // collecting again waits for that.
    const { gc } = globalThis as { gc?: () => void };
    gc?.();
    gc?.();
    const first = await session.run();
    // It found the caches as the other engines and the collector left them, which is more than a short call's own work.
    if (first.ms >= leastMs) return first;
    return session.repeat?.(leastMs) ?? repeated(session, leastMs);
  }

  async warmUp(ms: number, leastMs: number): Promise<void> {
    const end = performance.now() + ms;
    do await this.run(leastMs);
    while (performance.now() < end);
  }

  async peakRssMiB(): Promise<number> {
    return Math.round(process.resourceUsage().maxRSS / 1024);
  }

  async check(): Promise<Checked> {
    const of = this.#case;
    this.#result = canonicalResult(of.output, await this.#session!.result(), of.ordered);
    return { rows: this.#result.rows, checksum: checksum(this.#result), ownMs: await this.#ownMs() };
  }

  #ownMs(): Promise<number | null> {
    const session = this.#session!;
    return session.ownMs?.() ?? ownCostMs(session.handOver?.bind(session));
  }

  async table(): Promise<CanonicalResult> {
    return this.#result!;
  }

  async close(): Promise<void> {
    await this.#session?.close();
    this.#session = null;
    this.#result = null;
  }
}

/** Calls until they have taken `leastMs`, as one figure: the mean of each time. */
async function repeated(session: EngineSession, leastMs: number): Promise<RunFigure> {
  const figures: RunFigure[] = [];
  let spent = 0;
  while (spent < leastMs) {
    const figure = await session.run();
    figures.push(figure);
    spent += figure.ms;
  }
  const calls = figures.length;
  const copied = figures.flatMap(({ copyMs }) => (copyMs === undefined ? [] : [copyMs]));
  return {
    ...figures.at(-1)!,
    ms: spent / calls,
    calls,
    ...(copied.length === 0 ? {} : { copyMs: copied.reduce((sum, ms) => sum + ms, 0) / copied.length }),
  };
}
