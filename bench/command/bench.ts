// `millrace bench`: which cases, which engines, and the report of what they did.

import { writeFile } from "node:fs/promises";
import { PEERS, type PeerName } from "../engine/engine.js";
import { endChildren } from "../measure/child-process.js";
import { saveReport } from "../report/history.js";
import { type Machine, thisMachine } from "../report/machine.js";
import { type Progress, progressOn, timeLeftText } from "../report/progress.js";
import {
  type CaseSeconds,
  caseRatios,
  double11Verdict,
  exactnessOf,
  geometricMeans,
  overheadOf,
  type Report,
  type ResultRow,
  spillingOf,
} from "../report/report.js";
import { type MemorySpeed, scalingOf } from "../report/scaling.js";
import { reportText } from "../report/table.js";
import { type BenchCase, isLimited } from "../suite/case.js";
import { ALL_CASES, caseName, casesNamed, SUITES } from "../suite/index.js";
import { benchCommandLine } from "./command-line.js";
import { drawer } from "./drawer.js";
import { lookAgain, type MeasuredCase, measureCase, type SelectedCase } from "./measured-case.js";
import { checkMemory } from "./memory-need.js";
import type { BenchOptions } from "./options.js";
import { TimeBudget } from "./time-budget.js";
import { ExitCode, UsageError } from "./usage.js";
import { CHILD_PROCESSES, type Workshop } from "./workshop.js";
import { checkFilePlace, checkFolderPlace } from "./writable.js";

const QUICK_ROWS = 1_000_000;
const FULL_ROWS = 10_000_000;
/** Of the quick tour, which is to end within three minutes. */
const QUICK_SECONDS = 172;
const USUAL_PEERS: readonly PeerName[] = ["duckdb", "polars", "js"];
/** Peers of cases that run a single kernel. */
const KERNEL_PEERS: readonly PeerName[] = ["js", "native"];

/** After these the cases that are complete are reported. */
const INTERRUPTS = ["SIGINT", "SIGTERM"] as const;

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

/**
 * Single kernels race the same algorithm in C and JavaScript, whole questions race other engines; where memory is limited,
 * DuckDB, which can be told.
 */
function peersOf(of: BenchCase, peers: readonly PeerName[]): readonly PeerName[] {
  const { kernel, latency } = of;
  if (latency) return [];
  if (isLimited(of)) return peers.filter((peer) => peer === "duckdb");
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
  const { cases, budget } = await measureAll(selection, options, workshop, progress, signal, seconds);
  const results = cases.flatMap((measured) => measured.rows);
  const ratios = caseRatios(results);
  const scaling = scalingOf(results);
  const memory = scaling.length === 0 || signal?.aborted ? [] : await memorySpeeds(options, workshop);
  const averaged = SUITES.filter((suite) => suite.geometricMean).map((suite) => suite.name);
  const { workers, build, runs, seed, target, modes, peers, rows } = options;
  return {
    schema: "millrace-bench/1",
    machine,
    options: { rows, modes, workers, build, peers, runs, seed, target },
    ...(signal?.aborted ? { interrupted: true } : {}),
    seconds: Math.round(budget.elapsedMs / 1000),
    ...(seconds === Infinity ? {} : { budgetSeconds: seconds, leftOut: budget.leftOut }),
    caseSeconds: cases.map(caseSeconds),
    results,
    ratios: [...ratios, ...geometricMeans(ratios, averaged)],
    ...(scaling.length === 0 ? {} : { scaling, memory }),
    exactness: exactnessOf(results),
    spilling: spillingOf(results),
    overhead: overheadOf(results),
    double11: double11Verdict(results, machine.cores, target ?? undefined),
  };
}

/** Of one thread, and of each number that was asked for. */
async function memorySpeeds({ workers }: BenchOptions, { readMemory }: Workshop): Promise<MemorySpeed[]> {
  const speeds: MemorySpeed[] = [];
  for (const threads of new Set([1, ...workers])) {
    speeds.push({ threads, bytesPerSec: Math.round(await readMemory(threads)) });
  }
  return speeds;
}

/**
 * The needed cases, then the optional ones that there is time for, then further looks while there still is; the rows in
 * the order of the selection.
 */
async function measureAll(
  selection: readonly SelectedCase[],
  options: BenchOptions,
  workshop: Workshop,
  progress: Progress,
  signal: AbortSignal | undefined,
  seconds: number,
) {
  const casesOf = new Map(selection.map((selected) => [selected, [] as MeasuredCase[]]));
  const budget = new TimeBudget(seconds);
  const looks = seconds === Infinity || options.runs !== null ? "one" : "several";
  const inOrder = [...selection].sort((a, b) => Number(a.optional ?? false) - Number(b.optional ?? false));
  for (const [index, selected] of inOrder.entries()) {
    const left = timeLeft(budget, index, selection.length);
    const where = `[${index + 1}/${selection.length}${left}] ${caseName(selected.of)}`;
    const fitting = budget.fit(inOrder.slice(index));
    if (fitting === null) continue;
    for (const threads of options.workers) {
      if (signal?.aborted) break;
      const onStep = (step: string) => progress.show(`${where}  ${step}`);
      const measured = await measureCase(fitting, threads, options, looks, workshop, onStep);
      // A case that was interrupted has rows of engines that died.
      if (signal?.aborted) break;
      casesOf.get(selected)!.push(measured);
    }
    budget.finish(fitting);
  }
  if (looks === "several") await lookAtAllAgain([...casesOf.values()], workshop, progress, signal, budget);
  return { cases: [...casesOf.values()].flat(), budget };
}

/** So often a case is looked at, however much time there is. */
const MOST_LOOKS = 8;

/**
 * Further looks at the cases of each list that there is time for, in place: one at all, the quickest first, then at
 * whichever is the least certain.
 */
async function lookAtAllAgain(
  lists: readonly MeasuredCase[][],
  workshop: Workshop,
  progress: Progress,
  signal: AbortSignal | undefined,
  budget: TimeBudget,
): Promise<void> {
  const places = lists.flatMap((list) => list.map((_, index) => ({ list, index })));
  const caseAt = ({ list, index }: (typeof places)[number]) => list[index]!;
  places.sort((a, b) => caseAt(a).lookSeconds - caseAt(b).lookSeconds);
  while (!signal?.aborted) {
    const fitting = places.filter((place) => {
      const { of, looks, lookSeconds } = caseAt(place);
      const isOpen = lookSeconds > 0 && looks < MOST_LOOKS;
      return isOpen && budget.hasTimeToLook(looks + 1, caseName(of), lookSeconds);
    });
    if (fitting.length === 0) return;
    const place = fitting.reduce((a, b) => (caseAt(b).uncertainty > caseAt(a).uncertainty ? b : a));
    const before = caseAt(place);
    const where = `[look ${before.looks + 1}, ${timeLeftText(budget.leftMs)}] ${caseName(before.of)}`;
    const both = await lookAgain(before, workshop, (step) => progress.show(`${where}  ${step}`));
    if (!signal?.aborted) place.list[place.index] = both;
  }
}

function caseSeconds({ of, threads, seconds }: MeasuredCase): CaseSeconds {
  return { suite: of.suite, case: of.name, threads, seconds: Number(seconds.toFixed(2)) };
}

/** In words, once a few cases have shown how long they take. */
function timeLeft({ elapsedMs, leftMs }: TimeBudget, done: number, all: number): string {
  if (done < 2) return "";
  return `, ${timeLeftText(Math.min((elapsedMs / done) * (all - done), leftMs))}`;
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
