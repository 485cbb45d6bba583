// One case, measured: its data, the race, the verdicts, and the rows that a report gets of it.
//
// Where there is time it is looked at again when the other cases are done, and once more when these are, in fresh
// processes: what slows a machine for minutes, and how a process happens to lie in memory, change from one look to the
// other and not from run to run. Two quick tours one after the other, of which each case was looked at once for 3 s, had
// 38 % of their ratios within 5 %; looked at twice for 1 s, in the same hour, 62 %. Looked at again are Millrace and the
// peers near the fastest one, which alone decide on a ratio.

import { type CaseFiles, type EngineName, type PeerName, UnavailableError } from "../engine/engine.js";
import { type DataFolder, fixtureRows } from "../input/data-file.js";
import type { ContenderSpec } from "../measure/contender.js";
import { finalists, type Outcome, race, together } from "../measure/race.js";
import { type Verdict, verify } from "../measure/verify.js";
import { failedRow, type InputSize, type ResultRow, resultRow } from "../report/report.js";
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
  /** The engines that were timed; none where there was no data for them. */
  readonly timed: readonly Timed[];
  readonly rows: readonly ResultRow[];
}

interface Timed {
  readonly outcome: Outcome;
  readonly verdict: Verdict;
}

/** Engines that use one thread whatever they are asked for. */
const SINGLE_THREADED: readonly PeerName[] = ["duckdb-wasm", "arquero", "js", "native"];

/** Past this many rows the naive twin takes longer than the whole race, and the loop is the witness instead. */
const TWIN_ROWS = 100_000;

/** How long rounds go on in one of several looks. */
const LOOK_MS = 1000;

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
    return { of, threads, input: size, seconds: secondsSince(start), lookSeconds: 0, timed: [], rows };
  }
  const specs = entries.map(([engine, mode]) => specOf(engine, mode, files));
  const witnesses = witnessesFor(selected, peers).map((name) => specOf(name, "batch", files));
  const roundsMs = selected.isBrief ? 0 : looks === "several" ? LOOK_MS : undefined;
  const timed = await raced(of, specs, witnesses, workshop, { runs: options.runs, roundsMs, onStep });
  const bytes = timed
    .map(({ outcome }) => outcome.opened?.inputBytes ?? null)
    .find((count) => count !== null);
  const input = { ...size, bytes: bytes ?? null };
  return measured({ of, threads, input, seconds: 0 }, secondsSince(start), specs.length, timed);
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
  const again = await raced(of, specs, [], workshop, { runs: null, roundsMs: LOOK_MS, onStep });
  const timed = before.timed.map((one) => {
    const other = again.find(({ outcome }) => outcome.contender.spec === one.outcome.contender.spec);
    return other === undefined ? one : joinedLooks(one, other);
  });
  return measured(before, secondsSince(start), specs.length, timed);
}

/** What a ratio depends on; none where nothing does, or it does not count. */
function finalistsOf(of: BenchCase, timed: readonly Timed[]): Outcome[] {
  const there = timed.filter(({ outcome: { error } }) => !(error instanceof UnavailableError));
  if (of.latency || there.some(({ verdict }) => !verdict.verified)) return [];
  const racing = finalists(there.map(({ outcome }) => outcome));
  return racing.length < 2 ? [] : racing;
}

function joinedLooks(before: Timed, after: Timed): Timed {
  if (!after.verdict.verified) return after;
  return { outcome: together(before.outcome, after.outcome), verdict: before.verdict };
}

/** A case after another look, of so many seconds at so many engines; the next one takes the same for fewer. */
function measured(
  { of, threads, input, seconds }: Pick<MeasuredCase, "of" | "threads" | "input" | "seconds">,
  lastSeconds: number,
  engines: number,
  timed: readonly Timed[],
): MeasuredCase {
  const rows = timed.map(({ outcome, verdict }) => resultRow(of, outcome, verdict, input));
  const lookSeconds = (lastSeconds * finalistsOf(of, timed).length) / engines;
  return { of, threads, input, seconds: seconds + lastSeconds, lookSeconds, timed, rows };
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
    return specs.map((_, index) => ({ outcome: outcomes[index]!, verdict: verdicts[index]! }));
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
