// One case, measured: its data, the race, the verdicts, and the rows that a report gets of it.
//
// Where there is time it is looked at again when the other cases are done, in fresh processes: what slows a machine for
// minutes, and how a process happens to lie in memory, change from one look to the other and not from run to run. Two
// quick tours one after the other, of which each case was looked at once for 3 s, had 38 % of their ratios within 5 %;
// looked at twice for 1 s, in the same hour, 62 %. Of 16 looks at each of ten cases, drawn anew, two looks a tour agree on
// 80 % of the ratios, three on 88 %, four on 93 %.
//
// So a further look is as short as it can be. Looked at are Millrace and the peers near the fastest one, which alone
// decide on a ratio; both modes of Millrace are in one process; results are counted and not compared again.

import { type CaseFiles, type EngineName, type PeerName, UnavailableError } from "../engine/engine.js";
import { type DataFolder, fixtureRows } from "../input/data-file.js";
import type { ContenderSpec } from "../measure/contender.js";
import { finalists, type Outcome, race, together } from "../measure/race.js";
import { type Verdict, verify } from "../measure/verify.js";
import { failedRow, type InputSize, quietTime, type ResultRow, resultRow } from "../report/report.js";
import type { BenchCase, Mode } from "../suite/case.js";
import { caseName } from "../suite/index.js";
import type { BenchOptions } from "./options.js";
import type { Workshop } from "./workshop.js";

export interface SelectedCase {
  readonly of: BenchCase;
  readonly rows: number;
  readonly peers: readonly PeerName[];
  /** Runs when the others are done and there is time. */
  readonly optional?: boolean;
  /** Short runs are repeated no more often than they must be. */
  readonly isBrief?: boolean;
}

/** Whether a case may be looked at again, and its rounds are shared out between the looks. */
export type Looks = "one" | "several";

type Setting = Pick<BenchOptions, "modes" | "build" | "runs" | "seed">;

export interface MeasuredCase {
  readonly of: BenchCase;
  readonly threads: number;
  readonly input: InputSize;
  /** What it took, with all looks. */
  readonly seconds: number;
  /** What another look will take; 0 where no ratio depends on it. */
  readonly lookSeconds: number;
  /** How often it was looked at. */
  readonly looks: number;
  /** How far the least certain of the times that a ratio depends on may be off, as a part of it: Infinity after one look. */
  readonly uncertainty: number;
  /** The engines that were timed; none where there was no data for them. */
  readonly timed: readonly Timed[];
  readonly rows: readonly ResultRow[];
}

interface Timed {
  readonly outcome: Outcome;
  readonly verdict: Verdict;
  /** The runs of each look. */
  readonly looks: readonly (readonly number[])[];
}

/** Engines that use one thread whatever they are asked for. */
const SINGLE_THREADED: readonly PeerName[] = ["duckdb-wasm", "arquero", "js", "native"];

/** Past this many rows the naive twin takes longer than the whole race, and the loop is the witness instead. */
const TWIN_ROWS = 100_000;

/** How long rounds go on in one of several looks. */
const LOOK_MS = 1300;

export async function measureCase(
  selected: SelectedCase,
  threads: number,
  options: Setting,
  looks: Looks,
  workshop: Workshop,
  onStep: (step: string) => void,
): Promise<MeasuredCase> {
  const start = performance.now();
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
    const rows = entries.map(([engine, mode]) => failedRow(of, specOf(engine, mode, {}), error, size));
    const none = { lookSeconds: 0, looks: 0, uncertainty: 0, timed: [] };
    return { of, threads, input: size, seconds: secondsSince(start), ...none, rows };
  }
  const specs = entries.map(([engine, mode]) => specOf(engine, mode, files));
  const witnesses = witnessesFor(selected, peers).map((name) => specOf(name, "batch", files));
  const roundsMs = selected.isBrief ? 0 : looks === "several" ? LOOK_MS : undefined;
  const timed = await raced(of, specs, witnesses, workshop, { runs: options.runs, roundsMs, onStep });
  const bytes = timed
    .map(({ outcome }) => outcome.opened?.inputBytes ?? null)
    .find((count) => count !== null);
  const input = { ...size, bytes: bytes ?? null };
  return measured({ of, threads, input, seconds: secondsSince(start) }, timed);
}

/** Another look, as one with those before. What fails in it has failed. */
export async function lookAgain(
  before: MeasuredCase,
  workshop: Workshop,
  onStep: (step: string) => void,
): Promise<MeasuredCase> {
  const start = performance.now();
  const { of } = before;
  const specs = finalistsOf(of, before.timed).map(({ contender }) => contender.spec);
  const contenders = workshop.housemates(specs);
  const settings = { runs: null, roundsMs: LOOK_MS, pace: workshop.pace, isRepeat: true, onStep };
  const again = await race(contenders, [], settings);
  await closeAll(again);
  const timed = before.timed.map((one) => {
    const other = again.find(({ contender }) => contender.spec === one.outcome.contender.spec);
    return other === undefined ? one : joinedLooks(one, other);
  });
  return measured({ ...before, seconds: before.seconds + secondsSince(start) }, timed);
}

/** What a ratio depends on; none where nothing does, or it does not count. */
function finalistsOf(of: BenchCase, timed: readonly Timed[]): Outcome[] {
  const there = timed.filter(({ outcome: { error } }) => !(error instanceof UnavailableError));
  if (of.latency || there.some(({ verdict }) => !verdict.verified)) return [];
  const racing = finalists(there.map(({ outcome }) => outcome));
  return racing.length < 2 ? [] : racing;
}

function joinedLooks({ outcome, verdict, looks }: Timed, after: Outcome): Timed {
  const unverified = { ...verdict, verified: false };
  if (after.error !== null) return { outcome: after, verdict: unverified, looks };
  const both = { outcome: together(outcome, after), looks: [...looks, after.runMs] };
  if (after.runRows === outcome.runRows) return { ...both, verdict };
  const mismatch = `a run of another look gave ${after.runRows} rows, not ${outcome.runRows}`;
  return { ...both, verdict: { ...unverified, mismatch } };
}

function measured(
  { of, threads, input, seconds }: Pick<MeasuredCase, "of" | "threads" | "input" | "seconds">,
  timed: readonly Timed[],
): MeasuredCase {
  const rows = timed.map(({ outcome, verdict }) => resultRow(of, outcome, verdict, input));
  const racing = finalistsOf(of, timed);
  const lookSeconds = racing.reduce((sum, { repeatMs }) => sum + repeatMs, 0) / 1000;
  const looks = Math.max(0, ...timed.map((one) => one.looks.length));
  const deciding = timed.filter(({ outcome }) => racing.includes(outcome));
  const uncertainty = Math.max(0, ...deciding.map((one) => deviation(one.looks)));
  return { of, threads, input, seconds, lookSeconds, looks, uncertainty, timed, rows };
}

/** What an engine's time differs by from one look to another, as a part of it, as far as anybody knows beforehand. */
const USUAL_DEVIATION = 0.02;

/**
 * How far the time by these looks may be off, as a part of it: what it changes by where each of them is left out (the
 * jackknife; Efron and Stein, The jackknife estimate of variance, 1981), and what may be expected of any so many. One look
 * says nothing: Infinity.
 */
export function deviation(looks: readonly (readonly number[])[]): number {
  const count = looks.length;
  if (count === 1) return Infinity;
  const without = looks.map((_, at) => Math.log(quietTime(looks.filter((_, other) => other !== at).flat())));
  const mean = without.reduce((sum, log) => sum + log, 0) / count;
  const squares = without.reduce((sum, log) => sum + (log - mean) ** 2, 0);
  return Math.sqrt(USUAL_DEVIATION ** 2 / count + (squares * (count - 1)) / count);
}

/** Races the contenders and lets them go; verdicts of those that are timed. */
async function raced(
  of: BenchCase,
  specs: readonly ContenderSpec[],
  witnesses: readonly ContenderSpec[],
  { contender, pace }: Workshop,
  options: { runs: number | null; roundsMs: number | undefined; onStep: (step: string) => void },
): Promise<Timed[]> {
  const { runs, roundsMs, onStep } = options;
  const repeat = { runs, ...(roundsMs === undefined ? {} : { roundsMs }) };
  const outcomes = await race(specs.map(contender), witnesses.map(contender), { ...repeat, pace, onStep });
  onStep("verify");
  try {
    const verdicts = await verify(outcomes, of.inexact);
    return specs.map((_, index) => {
      const outcome = outcomes[index]!;
      return { outcome, verdict: verdicts[index]!, looks: [outcome.runMs] };
    });
  } finally {
    await closeAll(outcomes);
  }
}

/** A kernel knows no modes, and only a stream has a latency. */
function modesOf({ kernel, latency }: BenchCase, { modes }: Pick<BenchOptions, "modes">): readonly Mode[] {
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

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
