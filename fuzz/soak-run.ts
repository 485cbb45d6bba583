// A soak: streams and batches that start, finish and are cancelled, side by side in a few engines, for as long as is
// wanted. What comes of a run is its right result, or the error that was made on purpose; whenever nothing runs
// the engines hold what they held at first; and over the time the process grows no further.
//
// Memory is looked at when nothing runs, after a collection of garbage: of a process that runs it would say how much
// garbage there happens to be.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MemoryLimitError, WorkerError } from "../bindings/ts/index.js";
import { ArgumentError, KernelTrapError, MillraceError, PlanError } from "../bindings/ts/type/error.js";
import { abortAfter } from "./abort-after.js";
import { Draw } from "./draw.js";
import { FaultyEngine, type FaultyEngineOptions } from "./faulty-kernel.js";
import { drawnJob, type LargeJob, largeJobs, type SoakJob } from "./soak-job.js";
import type { Disturbance } from "./way.js";

export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Is told how it goes, at each rest. */
  readonly say?: (line: string) => void;
}

export interface SoakReport {
  /** Runs that gave their right result; that were ended on purpose; that found no memory; that cannot be run so. */
  readonly right: number;
  readonly ended: number;
  readonly short: number;
  readonly refused: number;
  readonly spilledBytes: number;
  /** Threads that ended on purpose and were replaced. */
  readonly restarts: number;
  readonly rests: number;
  /** What is wrong; empty where all is well. */
  readonly failures: readonly string[];
  /** How the process grew from the first to the last fifth of the time, in words. */
  readonly growth: string;
}

/** Runs side by side. */
const SLOTS = 6;
/** Nothing has ended for so long: something hangs. */
const HANG_MS = 180_000;
const REST_LEAST_MS = 700;
/** Rests in a soak, however long. */
const RESTS = 150;
/** After so many runs some must have spilled. */
const MANY_RUNS = 1000;
/** At every so-manieth rest the engines are closed, and opened again. */
const REOPEN_EVERY = 12;
const HEAL_MS = 30_000;
/** Enough of them to tell growth from noise. */
const LEAST_SAMPLES = 20;
/** What a process may grow by from the first to the last fifth: fragments, and code that is compiled late. */
const SLACK: Readonly<Record<keyof Sample, { readonly share: number; readonly bytes: number }>> = {
  rss: { share: 0.15, bytes: 48 * 2 ** 20 },
  heap: { share: 0.1, bytes: 8 * 2 ** 20 },
  buffers: { share: 0.1, bytes: 8 * 2 ** 20 },
};

interface Sample {
  readonly rss: number;
  readonly heap: number;
  /** Array buffers outside of the heap. */
  readonly buffers: number;
}

class Ended extends Error {}

/** What is to be wrong with an engine's run. */
type Ending = "none" | "abort" | "leave" | "throw";

interface Place {
  readonly name: string;
  readonly options: FaultyEngineOptions;
  engine: FaultyEngine;
  /** Bytes in use when nothing runs. */
  base: number;
  restarts: number;
  /** Whether threads have been made to end since the last rest. */
  isDeadly: boolean;
}

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const before = handles();
  const directory = mkdtempSync(join(tmpdir(), "millrace-soak-"));
  const run = await SoakRun.open(options, directory);
  await run.drive();
  await run.close();
  const left = readdirSync(directory);
  if (left.length > 0) run.fail(`the spill directory still has ${left.join(", ")}`);
  rmSync(directory, { recursive: true });
  const more = () => [...handles()].filter(([name, count]) => count > (before.get(name) ?? 0));
  // What was closed is gone a turn or two later.
  for (let turn = 0; turn < 500 && more().length > 0; turn++) await sleep(20);
  for (const [name, count] of more()) {
    run.fail(`open handles: ${before.get(name) ?? 0} of "${name}" at the start, ${count} at the end`);
  }
  return run.report;
}

/** How many there are of each kind of thing that keeps a process alive, and of open files where the host tells. */
function handles(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) {
    // The timers of whoever waits for this one.
    if (name !== "Timeout" && name !== "Immediate") counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const files = openFiles();
  if (files !== null) counts.set("files", files);
  return counts;
}

/** Files that the process has open; null where the host does not tell. */
function openFiles(): number | null {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return null;
  }
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

class SoakRun {
  readonly #options: SoakOptions;
  readonly #places: Place[];
  readonly #large: readonly LargeJob[];
  readonly #failures: string[] = [];
  readonly #samples: Sample[] = [];
  readonly #counts = { right: 0, ended: 0, short: 0, refused: 0 };
  #spilledBytes = 0;
  #restarts = 0;
  #next: number;
  #lastEnd = Date.now();

  private constructor(options: SoakOptions, places: Place[], large: readonly LargeJob[]) {
    this.#options = options;
    this.#places = places;
    this.#large = large;
    this.#next = options.seed * 1_000_000;
  }

  static async open(options: SoakOptions, directory: string): Promise<SoakRun> {
    const spill = { directory };
    const wanted: Readonly<Record<string, FaultyEngineOptions>> = {
      "one thread, spilling": { build: "simd", budget: "6 MiB", spill },
      "three threads": { build: "threads", budget: "32 MiB", workers: 3, spreadRows: 256 },
      "two threads, spilling": { build: "threads", budget: "8 MiB", workers: 2, spill },
    };
    const roomy = await FaultyEngine.open({ build: "scalar", budget: "1 GiB" });
    const large = await largeJobs(options.seed, roomy);
    await roomy.engine.close();
    const places = await Promise.all(
      Object.entries(wanted).map(async ([name, wish]): Promise<Place> => {
        const engine = await FaultyEngine.open(wish);
        return { name, options: wish, engine, base: engine.kernel.usedBytes, restarts: 0, isDeadly: false };
      }),
    );
    return new SoakRun(options, places, large);
  }

  get report(): SoakReport {
    return {
      ...this.#counts,
      spilledBytes: this.#spilledBytes,
      restarts: this.#restarts,
      rests: this.#samples.length,
      failures: this.#failures,
      growth: this.#growth(),
    };
  }

  fail(what: string): void {
    this.#failures.push(what);
  }

  /** Works and rests until the time is up, or something is wrong. */
  async drive(): Promise<void> {
    const { seconds, say } = this.#options;
    const start = Date.now();
    const end = start + 1000 * seconds;
    const workMs = Math.max(REST_LEAST_MS, (1000 * seconds) / RESTS);
    const watch = setInterval(() => {
      if (Date.now() - this.#lastEnd < HANG_MS) return;
      console.error(`nothing has ended for ${HANG_MS / 1000} s: ${this.#running().join(", ")}`);
      process.exit(1);
    }, 5000);
    watch.unref();
    for (let rest = 1; Date.now() < end && this.#failures.length === 0; rest++) {
      const until = Math.min(end, Date.now() + workMs);
      await Promise.all(Array.from({ length: SLOTS }, () => this.#work(until)));
      await this.#rest();
      if (rest % REOPEN_EVERY === 0) await this.#reopen();
      const { right, ended, short } = this.#counts;
      const { rss, heap } = this.#samples.at(-1)!;
      say?.(
        `${((Date.now() - start) / 1000).toFixed(0)} s: ${right} right, ${ended} ended on purpose, ${short} short of memory; rss ${mib(rss)}, heap ${mib(heap)}`,
      );
    }
    clearInterval(watch);
  }

  readonly #now = new Set<string>();

  #running(): string[] {
    return [...this.#now];
  }

  async #work(until: number): Promise<void> {
    while (Date.now() < until && this.#failures.length === 0) await this.#one(this.#next++);
  }

  async #one(seed: number): Promise<void> {
    const draw = Draw.random(seed, "soak");
    const place = draw.pick(this.#places);
    const ending = draw.pick(["none", "none", "none", "none", "abort", "abort", "leave", "throw"] as const);
    const at = draw.below(draw.pick([4, 20]));
    const isDeadly = place.engine.pool !== null && draw.chance(2);
    const job = draw.chance(20) ? draw.pick(this.#large).drawn(draw) : drawnJob(draw, seed);
    const what = `${job.name} (seed ${seed}, ${place.name}, ${ending} ${at})`;
    this.#now.add(what);
    try {
      if (isDeadly) {
        place.isDeadly = true;
        place.engine.pool!.faults.endAt = at;
      }
      await this.#run(place, job, what, ending, at);
    } finally {
      if (isDeadly) place.engine.pool!.faults.endAt = undefined;
      this.#now.delete(what);
      this.#lastEnd = Date.now();
    }
  }

  async #run(place: Place, job: SoakJob, what: string, ending: Ending, at: number): Promise<void> {
    const controller = new AbortController();
    if (ending === "abort") void abortAfter(controller, 4 * at, new Ended("aborted"));
    const disturbance: Disturbance = {
      ...(ending === "abort" ? { signal: controller.signal } : {}),
      ...(ending === "leave" ? { leaveAfter: at } : {}),
      ...(ending === "throw" ? { before: throwAt(at) } : {}),
    };
    let got: string | null;
    try {
      got = await job.run(place.engine, disturbance);
    } catch (error) {
      this.#judgeError(place, job, what, ending, error);
      return;
    }
    if (got === null) this.#counts.refused++;
    else if (job.checksum === null) this.#counts.refused++;
    else if (got === job.checksum) this.#counts.right++;
    // Who leaves has part of it.
    else if (ending === "leave") this.#counts.ended++;
    else this.fail(`${what}: ${job.checksum} wanted, ${got} given`);
  }

  #judgeError(place: Place, job: SoakJob, what: string, ending: Ending, error: unknown): void {
    if (error instanceof Ended && (ending === "abort" || ending === "throw")) this.#counts.ended++;
    else if (error instanceof WorkerError && place.isDeadly) this.#counts.ended++;
    else if (error instanceof MemoryLimitError) this.#counts.short++;
    else if (error instanceof PlanError || error instanceof ArgumentError) this.#counts.refused++;
    // A stream may fail before rows that a later one takes back, or that nobody asks for.
    else if (error instanceof MillraceError && !(error instanceof KernelTrapError) && job.checksum === null)
      this.#counts.refused++;
    else if (error instanceof MillraceError && error.code === "OVERFLOW") this.#counts.refused++;
    else this.fail(`${what}: ${error instanceof Error ? error.stack : error}`);
  }

  /** Nothing runs: what is held now is held for ever. */
  async #rest(): Promise<void> {
    for (const place of this.#places) {
      const { engine, name, base } = place;
      // A thread that has ended gives its context back, and the next one takes one.
      const deadline = Date.now() + HEAL_MS;
      while (engine.kernel.usedBytes !== base && Date.now() < deadline) await sleep(2);
      const { usedBytes, activeRuns, spill, workers } = engine.engine.stats();
      if (usedBytes !== base) this.fail(`${name}: ${usedBytes - base} bytes are left when nothing runs`);
      if (activeRuns !== 0) this.fail(`${name}: ${activeRuns} runs are left`);
      if (spill !== null && spill.files + spill.bytes !== 0) this.fail(`${name}: spill files are left`);
      if (workers.fallback !== null) this.fail(`${name}: ${workers.fallback}`);
      this.#restarts += workers.restarts - place.restarts;
      place.restarts = workers.restarts;
      place.isDeadly = false;
    }
    collectGarbage();
    await sleep(0);
    collectGarbage();
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    this.#samples.push({ rss, heap: heapUsed, buffers: arrayBuffers });
  }

  async #reopen(): Promise<void> {
    for (const place of this.#places) {
      this.#spilledBytes += place.engine.engine.stats().spill?.bytesWritten ?? 0;
      await place.engine.engine.close();
      place.engine = await FaultyEngine.open(place.options);
      place.base = place.engine.kernel.usedBytes;
      place.restarts = 0;
    }
  }

  async close(): Promise<void> {
    for (const { engine } of this.#places) {
      this.#spilledBytes += engine.engine.stats().spill?.bytesWritten ?? 0;
      await engine.engine.close();
    }
    this.#judge();
  }

  #judge(): void {
    const { right, short } = this.#counts;
    if (right === 0) this.fail("no run gave its result");
    if (right >= MANY_RUNS && this.#spilledBytes === 0) this.fail(`${right} runs, and none has spilled`);
    if (short > right) this.fail(`${short} runs found no memory, and only ${right} gave their results`);
    for (const [what, { first, last }] of this.#fifths()) {
      const { share, bytes } = SLACK[what];
      if (last > first * (1 + share) + bytes) this.fail(`${what} grew from ${mib(first)} to ${mib(last)}`);
    }
  }

  #growth(): string {
    return this.#fifths()
      .map(([what, { first, last }]) => `${what} ${mib(first)} to ${mib(last)}`)
      .join(", ");
  }

  /** Medians of the first and the last fifth of what follows a warm-up of a fifth; nothing where there is too little of it. */
  #fifths(): [keyof Sample, { first: number; last: number }][] {
    const samples = this.#samples.slice(Math.ceil(this.#samples.length / 5));
    if (samples.length < LEAST_SAMPLES) return [];
    const fifth = Math.floor(samples.length / 5);
    return (Object.keys(SLACK) as (keyof Sample)[]).map((what) => [
      what,
      {
        first: median(samples.slice(0, fifth).map((sample) => sample[what])),
        last: median(samples.slice(-fifth).map((sample) => sample[what])),
      },
    ]);
  }
}

function throwAt(at: number): (batch: number) => void {
  return (batch) => {
    if (batch === at) throw new Ended("the source fails");
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
