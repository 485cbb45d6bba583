// Profiling one case: the times without any measuring inside, the tree of operators, and the functions.
//
// Three kinds of runs, as each measurement costs something: plain runs give the median, probed runs the tree (the
// fastest of them is shown), sampled runs the functions. Functions are sampled on one thread: the sampler sees the
// calling one, and the build with names has no memory that others could share.

import { Table } from "apache-arrow";
import type { RunProfile } from "../../bindings/ts/index.js";
import { consolidated } from "../engine/changelog.js";
import type { BuildName, CaseFiles } from "../engine/engine.js";
import { rawResult } from "../engine/millrace-result.js";
import { OpenedCase } from "../engine/opened-case.js";
import { arrowTables, inputRows } from "../input/load.js";
import type { Machine } from "../report/machine.js";
import { median } from "../report/report.js";
import { canonicalResult } from "../result/canonical.js";
import { checksum } from "../result/checksum.js";
import { type BenchCase, type Mode, streamOptions } from "../suite/case.js";
import { type CpuProfile, type FunctionTime, functionTimes, sampled } from "./sampling.js";

export interface ModeProfile {
  readonly mode: Mode;
  /** Of plain runs. */
  readonly runs: number;
  readonly medianMs: number;
  readonly minMs: number;
  readonly checksum: string;
  /** Without the slices where it is read from a file. */
  readonly run: RunProfile;
  readonly sampledMs: number;
  readonly functions: readonly FunctionTime[];
}

export interface ProfileReport {
  readonly schema: "millrace-profile/1";
  readonly machine: Machine;
  /** `suite/case`. */
  readonly case: string;
  readonly question: string;
  readonly build: string;
  /** Threads that batches ran on; absent in files from before there were several. */
  readonly threads?: number;
  readonly rows: number;
  readonly seed: number;
  readonly modes: readonly ModeProfile[];
}

export type ProfileBuild = BuildName | "debug";

export interface ProfileSettings {
  readonly modes: readonly Mode[];
  readonly build: ProfileBuild;
  readonly workers: number;
  readonly runs: number;
  /** Least time to sample. */
  readonly sampleMs: number;
  readonly onStep: (step: string) => void;
}

export interface MeasuredMode {
  readonly profile: ModeProfile;
  readonly cpu: CpuProfile;
}

const WARM_UP_MS = 300;
const WARM_UP_RUNS = 5;
const PROBED_RUNS = 3;

/** Measures a case in each mode. Answers also the rows of its inputs. */
export async function profileCase(
  of: BenchCase,
  files: CaseFiles,
  { modes, build, workers, runs, sampleMs, onStep }: ProfileSettings,
): Promise<{ rows: number; threads: number; modes: MeasuredMode[] }> {
  onStep("load");
  const tables = arrowTables(of, files);
  const timed = await OpenedCase.open(of, tables, { build, workers });
  let named = timed;
  try {
    if (workers > 1) named = await OpenedCase.open(of, tables, { build, workers: 1 });
    const measured: MeasuredMode[] = [];
    for (const mode of modes) {
      const [runner, sampler] = [new CaseRuns(timed, of, mode), new CaseRuns(named, of, mode)];
      const tell = (step: string) => onStep(`${mode}: ${step}`);
      const figures = await runner.measure(runs, tell);
      tell("functions");
      const { cpu, ...functions } = await sampler.sample(sampleMs);
      measured.push({ profile: { ...figures, ...functions }, cpu });
    }
    const threads = timed.engine.stats().workers.running;
    return { rows: inputRows(tables), threads, modes: measured };
  } finally {
    await timed.close();
    if (named !== timed) await named.close();
  }
}

class CaseRuns {
  readonly #opened: OpenedCase;
  readonly #of: BenchCase;
  readonly #mode: Mode;
  readonly #plan: ReturnType<BenchCase["plan"]>;

  constructor(opened: OpenedCase, of: BenchCase, mode: Mode) {
    this.#opened = opened;
    this.#of = of;
    this.#mode = mode;
    this.#plan = of.plan();
  }

  async #warmUp(): Promise<void> {
    const start = performance.now();
    for (let run = 0; run < WARM_UP_RUNS && performance.now() - start < WARM_UP_MS; run++)
      await this.#plain();
  }

  async measure(runs: number, onStep: (step: string) => void) {
    onStep("warm-up");
    await this.#warmUp();
    const times: number[] = [];
    for (let run = 1; run <= runs; run++) {
      onStep(`run ${run}`);
      times.push(await this.#plain());
    }
    onStep("operators");
    const { run, sum } = await this.#probed();
    const [medianMs, minMs] = [median(times), Math.min(...times)];
    return { mode: this.#mode, runs, medianMs, minMs, checksum: sum, run };
  }

  async sample(leastMs: number) {
    await this.#warmUp();
    const start = performance.now();
    const cpu = await sampled(async () => {
      do {
        await this.#plain();
      } while (performance.now() - start < leastMs);
    });
    return { cpu, sampledMs: performance.now() - start, functions: functionTimes(cpu) };
  }

  /** Milliseconds of a run that nothing measures inside. */
  async #plain(): Promise<number> {
    const start = performance.now();
    if (this.#mode === "stream") {
      const { engine, inputs } = this.#opened;
      for await (const _ of engine.stream(this.#plan, inputs, streamOptions(this.#of)));
      return performance.now() - start;
    }
    const result = await this.#opened.collect(this.#plan);
    const ms = performance.now() - start;
    if (!(result instanceof Table)) result.free();
    return ms;
  }

  async #probed(): Promise<{ run: RunProfile; sum: string }> {
    const options = this.#mode === "stream" ? streamOptions(this.#of) : {};
    const { engine, inputs } = this.#opened;
    let best: RunProfile | null = null;
    let sum = "";
    for (let run = 0; run < PROBED_RUNS; run++) {
      const { profile, result } = await engine.profile(this.#plan, inputs, {
        mode: this.#mode,
        ...options,
      });
      if (run === 0) sum = this.#checksum(result);
      if (best === null || profile.wallMs < best.wallMs) best = profile;
    }
    return { run: best!, sum };
  }

  #checksum(result: Table): string {
    const isChanges = this.#mode === "stream" && this.#of.emit === "onUpdate";
    const rows = isChanges ? consolidated(this.#of, result) : rawResult(this.#of, result);
    return checksum(canonicalResult(this.#of.output, rows, this.#of.ordered));
  }
}
