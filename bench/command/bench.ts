// `millrace bench`: which cases, which engines, and the report of what they did.

import { writeFile } from "node:fs/promises";
import { type CaseFiles, type EngineName, PEERS, type PeerName } from "../engine/engine.js";
import { type DataFolder, type DataRequest, fixtureRows, prepareData } from "../input/data-file.js";
import { ChildContender, endChildren, prepareInChild } from "../measure/child-process.js";
import { type Contender, type ContenderSpec, LocalContender } from "../measure/contender.js";
import { HASTY_PACE, type Outcome, type Pace, race, STEADY_PACE } from "../measure/race.js";
import { verify } from "../measure/verify.js";
import { saveReport } from "../report/history.js";
import { type Machine, thisMachine } from "../report/machine.js";
import { type Progress, progressOn, timeLeftText } from "../report/progress.js";
import {
  type CaseSeconds,
  caseRatios,
  double11Verdict,
  exactnessOf,
  failedRow,
  geometricMeans,
  overheadOf,
  type Report,
  type ResultRow,
  resultRow,
} from "../report/report.js";
import { reportText } from "../report/table.js";
import type { BenchCase, Mode } from "../suite/case.js";
import { ALL_CASES, caseName, casesNamed, SUITES } from "../suite/index.js";
import { benchCommandLine } from "./command-line.js";
import { drawer } from "./drawer.js";
import { checkMemory } from "./memory-need.js";
import type { BenchOptions } from "./options.js";
import { TimeBudget } from "./time-budget.js";
import { ExitCode, UsageError } from "./usage.js";
import { checkFilePlace, checkFolderPlace } from "./writable.js";

/** How contenders and data files are made: in child processes, or (for tests) in this one. */
export interface Workshop {
  readonly contender: (spec: ContenderSpec) => Contender;
  readonly prepare: (request: DataRequest) => Promise<DataFolder>;
  readonly pace: Pace;
}

export const CHILD_PROCESSES: Workshop = {
  contender: (spec) => new ChildContender(spec),
  prepare: prepareInChild,
  pace: STEADY_PACE,
};

/** Everything in this process, data files in `folder`, a call a run. */
export function inProcess(folder: string): Workshop {
  return {
    contender: (spec) => new LocalContender(spec),
    prepare: (request) => prepareData(request, folder),
    pace: HASTY_PACE,
  };
}

const QUICK_ROWS = 1_000_000;
const FULL_ROWS = 10_000_000;
/** Of the quick tour, which is to end within three minutes. */
const QUICK_SECONDS = 160;
const USUAL_PEERS: readonly PeerName[] = ["duckdb", "polars", "js"];
/** Engines that use one thread whatever they are asked for. */
const SINGLE_THREADED: readonly PeerName[] = ["duckdb-wasm", "arquero", "js", "native"];
/** Peers of cases that run a single kernel. */
const KERNEL_PEERS: readonly PeerName[] = ["js", "native"];

/** After these the cases that are complete are reported. */
const INTERRUPTS = ["SIGINT", "SIGTERM"] as const;

/** Past this many rows the naive twin takes longer than the whole race, and the loop is the witness instead. */
const TWIN_ROWS = 100_000;

/** Runs the command; answers the exit code. `names` as on the command line: none or `quick` is the quick tour. */
export async function benchCommand(names: readonly string[], options: BenchOptions): Promise<number> {
  const selection = select(names, options);
  checkMemory(selection, options.modes.length);
  await checkFilePlace("--json", options.json);
  await checkFilePlace("--html", options.html);
  await checkFolderPlace("--save", options.save);
  const draw = options.html === null ? null : await drawer();
  const progress = progressOn(process.stderr, options.quiet);
  const interrupt = new AbortController();
  const onInterrupt = () => {
    interrupt.abort();
    endChildren();
  };
  for (const signal of INTERRUPTS) process.once(signal, onInterrupt);
  const measured = await benchReport(
    selection,
    options,
    CHILD_PROCESSES,
    progress,
    interrupt.signal,
    thisMachine(),
    budgetSeconds(names, options),
  );
  const report: Report = { ...measured, command: benchCommandLine(names, options) };
  for (const signal of INTERRUPTS) process.off(signal, onInterrupt);
  progress.clear();
  process.stdout.write(reportText(report));
  if (options.json !== null) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (draw !== null) await writeFile(options.html!, draw.reportPage(report));
  if (options.save !== null) process.stdout.write(`saved: ${await saveReport(options.save, report)}\n`);
  return exitCode(report, options);
}

export interface SelectedCase {
  readonly of: BenchCase;
  readonly rows: number;
  readonly peers: readonly PeerName[];
  /** Runs when the others are done and there is time. */
  readonly optional?: boolean;
  /** Short runs are repeated no more often than they must be. */
  readonly isBrief?: boolean;
}

function isQuick(names: readonly string[]): boolean {
  return names.length === 0 || (names.length === 1 && names[0] === "quick");
}

/** The cases that run, with their sizes and peers; of the quick tour all but each suite's first are optional. Throws UsageError on unknown names. */
export function select(names: readonly string[], options: BenchOptions): SelectedCase[] {
  const quick = isQuick(names);
  if (!quick && names.includes("quick")) throw new UsageError("quick stands alone: it is a choice of cases");
  const cases = quick ? ALL_CASES.filter((of) => of.quick !== undefined) : casesNamed(names);
  const sizes = options.rows ?? [quick ? QUICK_ROWS : FULL_ROWS];
  const firsts = new Set(SUITES.map(({ name }) => cases.find(({ suite }) => suite === name)));
  return cases.flatMap((of) => {
    const peers = peersOf(of, options.peers ?? (quick && of.quick === "all" ? PEERS : USUAL_PEERS));
    const optional = quick && !firsts.has(of);
    return sizes.map((rows) => ({ of, rows, peers, ...(optional ? { optional } : {}) }));
  });
}

/** Seconds that there are for the chosen cases. */
export function budgetSeconds(names: readonly string[], options: BenchOptions): number {
  return options.budget ?? (isQuick(names) ? QUICK_SECONDS : Infinity);
}

/** Single kernels race the same algorithm in C and JavaScript, whole questions race other engines. */
function peersOf({ kernel, latency }: BenchCase, peers: readonly PeerName[]): readonly PeerName[] {
  if (latency) return [];
  if (kernel === undefined) return peers.filter((peer) => peer !== "native");
  return peers === USUAL_PEERS ? ["native"] : peers.filter((peer) => KERNEL_PEERS.includes(peer));
}

/** Measures the selected cases one after the other; stops at `signal` with the cases that were complete. */
export async function benchReport(
  selection: readonly SelectedCase[],
  options: BenchOptions,
  workshop: Workshop,
  progress: Progress,
  signal?: AbortSignal,
  machine: Machine = thisMachine(),
  seconds = options.budget ?? Infinity,
): Promise<Report> {
  const { results, caseSeconds, budget } = await measureAll(
    selection,
    options,
    workshop,
    progress,
    signal,
    seconds,
  );
  const ratios = caseRatios(results);
  const averaged = SUITES.filter((suite) => suite.geometricMean).map((suite) => suite.name);
  const { workers, build, runs, seed, target, modes, peers, rows } = options;
  return {
    schema: "millrace-bench/1",
    machine,
    options: { rows, modes, workers, build, peers, runs, seed, target },
    ...(signal?.aborted ? { interrupted: true } : {}),
    seconds: Math.round(budget.elapsedMs / 1000),
    ...(seconds === Infinity ? {} : { budgetSeconds: seconds, leftOut: budget.leftOut }),
    caseSeconds,
    results,
    ratios: [...ratios, ...geometricMeans(ratios, averaged)],
    exactness: exactnessOf(results),
    overhead: overheadOf(results),
    double11: double11Verdict(results, machine.cores, target ?? undefined),
  };
}

/** The needed cases, then the optional ones that there is time for; the rows in the order of the selection. */
async function measureAll(
  selection: readonly SelectedCase[],
  options: BenchOptions,
  workshop: Workshop,
  progress: Progress,
  signal: AbortSignal | undefined,
  seconds: number,
) {
  const rowsOf = new Map(selection.map((selected) => [selected, [] as ResultRow[]]));
  const caseSeconds: CaseSeconds[] = [];
  const budget = new TimeBudget(seconds);
  const inOrder = [...selection].sort((a, b) => Number(a.optional ?? false) - Number(b.optional ?? false));
  for (const [index, selected] of inOrder.entries()) {
    const left = timeLeft(budget.elapsedMs, index, selection.length, 1000 * seconds);
    const where = `[${index + 1}/${selection.length}${left}] ${caseName(selected.of)}`;
    const fitting = budget.fit(inOrder.slice(index));
    if (fitting === null) continue;
    for (const threads of options.workers) {
      if (signal?.aborted) break;
      const start = performance.now();
      const onStep = (step: string) => progress.show(`${where}  ${step}`);
      const rows = await measureCase(fitting, threads, options, workshop, onStep);
      const { suite, name } = selected.of;
      const seconds = Math.round((performance.now() - start) / 10) / 100;
      // A case that was interrupted has rows of engines that died.
      if (signal?.aborted) break;
      rowsOf.get(selected)!.push(...rows);
      caseSeconds.push({ suite, case: name, threads, seconds });
    }
    budget.finish(fitting);
  }
  return { results: [...rowsOf.values()].flat(), caseSeconds, budget };
}

/** In words, once a few cases have shown how long they take. */
function timeLeft(elapsedMs: number, done: number, all: number, budgetMs: number): string {
  if (done < 2) return "";
  const expected = Math.min((elapsedMs / done) * (all - done), Math.max(budgetMs - elapsedMs, 0));
  return `, ${timeLeftText(expected)}`;
}

async function measureCase(
  selected: SelectedCase,
  threads: number,
  options: BenchOptions,
  workshop: Workshop,
  onStep: (step: string) => void,
): Promise<ResultRow[]> {
  const { of } = selected;
  const peers = selected.peers.filter((peer) => threads === 1 || !SINGLE_THREADED.includes(peer));
  const entries: [EngineName, Mode][] = [
    ...modesOf(of, options).map((mode): [EngineName, Mode] => ["millrace", mode]),
    ...peers.map((peer): [EngineName, Mode] => [peer, "batch"]),
  ];
  const size = { asked: selected.rows, rows: inputRows(selected), bytes: null };
  const specOf = (engine: EngineName, mode: Mode, files: CaseFiles): ContenderSpec => {
    return { engine, case: caseName(of), files, options: { threads, mode, build: options.build } };
  };
  let files: CaseFiles;
  try {
    files = await prepareInputs(selected, options.seed, workshop.prepare, onStep);
  } catch (error) {
    return entries.map(([engine, mode]) => failedRow(of, specOf(engine, mode, {}), error, size));
  }
  const contender = (engine: EngineName, mode: Mode) => workshop.contender(specOf(engine, mode, files));
  const timed = entries.map(([engine, mode]) => contender(engine, mode));
  const witnesses = witnessesFor(selected, peers).map((name) => contender(name, "batch"));
  const repeat = { runs: options.runs, ...(selected.isBrief ? { roundsMs: 0 } : {}) };
  const outcomes = await race(timed, witnesses, { ...repeat, pace: workshop.pace, onStep });
  onStep("verify");
  try {
    const verdicts = await verify(outcomes, of.inexact);
    const bytes = outcomes.map(({ opened }) => opened?.inputBytes ?? null).find((count) => count !== null);
    const input = { ...size, bytes: bytes ?? null };
    return timed.map((_, index) => resultRow(of, outcomes[index]!, verdicts[index]!, input));
  } finally {
    await closeAll(outcomes);
  }
}

/** A kernel knows no modes, and only a stream has a latency. */
function modesOf({ kernel, latency }: BenchCase, { modes }: BenchOptions): readonly Mode[] {
  if (latency) return ["stream"];
  return kernel === undefined ? modes : ["batch"];
}

/** Generates the files that a case reads. */
export async function prepareInputs(
  { of, rows }: SelectedCase,
  seed: number,
  prepare: Workshop["prepare"],
  onStep: (step: string) => void,
): Promise<CaseFiles> {
  const files: Record<string, DataFolder> = {};
  for (const [name, { fixture, columns, options = {} }] of Object.entries(of.inputs)) {
    onStep(`data: ${fixture}`);
    files[name] = await prepare({ fixture, rows, seed, columns, options });
  }
  return files;
}

/** Engines that only verify: the naive twin where it is quick enough, else the loop, or DuckDB where there is none. */
function witnessesFor({ of, rows }: SelectedCase, peers: readonly PeerName[]): EngineName[] {
  if (rows <= TWIN_ROWS) return ["twin"];
  const witness = of.javascript === undefined ? "duckdb" : "js";
  return peers.includes(witness) ? [] : [witness];
}

function inputRows({ of, rows }: SelectedCase): number {
  return Object.values(of.inputs).reduce((sum, { fixture }) => sum + fixtureRows(fixture, rows), 0);
}

async function closeAll(outcomes: readonly Outcome[]): Promise<void> {
  const open = outcomes.filter((outcome) => outcome.error === null);
  await Promise.all(open.map((outcome) => outcome.contender.close().catch(() => {})));
}

/** The exit code that a report earns under the options. */
export function exitCode(report: Report, { failBelow }: Pick<BenchOptions, "failBelow">): number {
  const failed = report.results.some((row) => isFailure(row));
  if (failed || report.interrupted) return ExitCode.failed;
  const missed = failBelow !== null && report.ratios.some(({ ratio }) => ratio < failBelow);
  return missed ? ExitCode.targetMissed : ExitCode.verified;
}

/** A result that failed verification, or Millrace failing to give one. A peer that cannot start is no failure. */
function isFailure(row: ResultRow): boolean {
  if (row.verified || row.unavailable) return false;
  return row.engine === "millrace" || row.checksum !== undefined;
}
