// One case, all contenders: load, then run in turn, round by round, so that whatever slows the machine for a
// while slows every engine alike.
//
// A cold run first, reported apart; then a warm-up; then the runs that count. Results are checked at the end, outside of
// any clock. A race that repeats another does neither the first nor the last: what it gives is more runs.
//
// A run of a short call is as many calls as fill some milliseconds. Single calls were tried: of 2.5 ms each, with the
// collector and the other engines between them, groupby/int-sum took 2.1 to 3.4 ms, and 1.3 ms when repeated.
//
// What V8 compiles is at its fastest only after a while: calls of groupby/int-sum fell from 3 ms to 1.7 ms within 50, and
// to 1.3 ms after 80, as the TypeScript around the kernel got its last form. Two reports that stopped on the way,
// each after five calls, agreed within 5 % on a quarter of their ratios. The warm-up is made of such runs as count,
// with their collections: some loops get their best form only after one (5.2 and 2.9 ms of groupby/int-sum's). Two
// processes that warm up at the same time were tried: V8 compiles beside them, and some loops stayed slower (groupby/q1
// as a stream: 2.0 to 2.6 ms instead of 1.75). Where several threads are to work V8 compiles on a core that one of them
// wants, so that they warm up for longer: runs of groupby/q1 by two, 10 million rows, take 8.3 ms on average after 350 ms,
// 6.9 after 2000, and 4.8 where nothing is compiled.

import type { EngineName } from "../engine/engine.js";
import type { Checked, Contender, Opened } from "./contender.js";

/** How long what is not counted lasts, and at least what is. */
export interface Pace {
  readonly warmUpMs: (engine: EngineName, threads: number) => number;
  /** A run is as many calls as take so long. */
  readonly runMs: number;
}

const COMPILED_BEFORE: readonly EngineName[] = ["duckdb", "polars", "native"];

export const STEADY_PACE: Pace = {
  warmUpMs: (engine, threads) => (COMPILED_BEFORE.includes(engine) ? 100 : threads > 1 ? 1000 : 350),
  runMs: 20,
};

/** Single calls, for tests of what is measured rather than of how long it takes. */
export const HASTY_PACE: Pace = { warmUpMs: () => 0, runMs: 0 };

export interface RaceOptions {
  /** Rounds that count; null: at least 5, and more while they are short. */
  readonly runs: number | null;
  /** Rounds beyond the least number stop after so long; the usual time when absent. */
  readonly roundsMs?: number;
  readonly pace?: Pace;
  /** Whether the same contenders have raced before: then nothing runs cold, and no result is looked at. */
  readonly isRepeat?: boolean;
  /** Told before each call: what happens now, in a few words. */
  readonly onStep?: (step: string) => void;
}

export interface Outcome {
  readonly contender: Contender;
  opened: Opened | null;
  coldMs: number;
  /** Of the runs that count, in order. */
  runMs: number[];
  /** Calls that each of these was. */
  calls: number[];
  copyMs: number[];
  readMs: number[];
  cacheMs: number[];
  /** Of all runs that count. */
  latencies: number[];
  backgroundKept: number[];
  /** Rows that a run gives; of a changelog its changes. */
  runRows: number;
  /** Rows of the result. */
  outputRows: number;
  peakRssMiB: number;
  checked: Checked | null;
  /** Starting the process and loading the data, beside another's loading; and all calls together. */
  loadMs: number;
  wallMs: number;
  /** What the last race took of it that a repeat takes again. */
  repeatMs: number;
  /** An UnavailableError where the engine cannot take part, which is no failure. */
  error: Error | null;
}

/** Rounds when the user does not say: a median of 5 runs is too easily spoilt on a shared machine. */
const LEAST_ROUNDS = 5;
const MOST_ROUNDS = 25;
const ROUNDS_MS = 3000;

/** A peer that takes so many times as long as the fastest one is out of its reach. */
const OUT_OF_REACH = 1.3;

/** Processes that load, or bring their results into canonical form, at the same time. */
const AT_ONCE = 2;

/** Races timed contenders; `witnesses` only load and show their result. Contenders stay open for comparison. */
export async function race(
  timed: readonly Contender[],
  witnesses: readonly Contender[],
  { runs, roundsMs = ROUNDS_MS, pace = STEADY_PACE, isRepeat = false, onStep }: RaceOptions,
): Promise<Outcome[]> {
  const outcomes = [...timed, ...witnesses].map(newOutcome);
  const racing = outcomes.slice(0, timed.length);
  await someAtOnce(outcomes, "load", onStep, async (outcome) => {
    outcome.opened = await outcome.contender.open();
  });
  for (const outcome of outcomes) outcome.loadMs = outcome.wallMs;
  if (!isRepeat) {
    await eachInTurn(racing, "cold run", onStep, async (outcome) => {
      outcome.coldMs = (await outcome.contender.run(0)).ms;
    });
  }
  await eachInTurn(racing, "warm-up", onStep, ({ contender }) =>
    contender.warmUp(pace.warmUpMs(contender.spec.engine, contender.spec.options.threads), pace.runMs),
  );
  const start = performance.now();
  for (let round = 1; isWanted(round, runs, performance.now() - start < roundsMs); round++) {
    await eachInTurn(
      runs === null && round > LEAST_ROUNDS ? finalists(racing) : racing,
      (outcome) => `run ${round}${rateText(outcome)}`,
      onStep,
      async (outcome) => {
        const figure = await outcome.contender.run(pace.runMs);
        outcome.runMs.push(figure.ms);
        outcome.runRows = figure.outputRows;
        outcome.calls.push(figure.calls ?? 1);
        if (figure.copyMs !== undefined) outcome.copyMs.push(figure.copyMs);
        if (figure.readMs !== undefined) outcome.readMs.push(figure.readMs);
        if (figure.cacheMs !== undefined) outcome.cacheMs.push(figure.cacheMs);
        if (figure.backgroundKept !== undefined) outcome.backgroundKept.push(figure.backgroundKept);
        for (const micros of figure.latencies ?? []) outcome.latencies.push(micros);
      },
    );
  }
  for (const outcome of outcomes) outcome.repeatMs = outcome.wallMs - outcome.coldMs;
  if (isRepeat) return outcomes;
  await someAtOnce(outcomes, "check", onStep, async (outcome) => {
    outcome.peakRssMiB = await outcome.contender.peakRssMiB();
    outcome.checked = await outcome.contender.check();
    outcome.outputRows = outcome.checked.rows;
  });
  return outcomes;
}

/** Those that the ratio of Millrace to the fastest peer may depend on. */
export function finalists(outcomes: readonly Outcome[]): Outcome[] {
  const running = outcomes.filter(({ error }) => error === null);
  const peers = running.filter((outcome) => !isMillrace(outcome));
  const fastest = Math.min(...peers.map(({ runMs }) => Math.min(...runMs)));
  return running.filter(
    (outcome) => isMillrace(outcome) || Math.min(...outcome.runMs) <= OUT_OF_REACH * fastest,
  );
}

/** Two races of the same contender as one; the second repeats the first. */
export function together(first: Outcome, second: Outcome): Outcome {
  return {
    ...first,
    runMs: [...first.runMs, ...second.runMs],
    calls: [...first.calls, ...second.calls],
    copyMs: [...first.copyMs, ...second.copyMs],
    readMs: [...first.readMs, ...second.readMs],
    cacheMs: [...first.cacheMs, ...second.cacheMs],
    latencies: [...first.latencies, ...second.latencies],
    backgroundKept: [...first.backgroundKept, ...second.backgroundKept],
    peakRssMiB: Math.max(first.peakRssMiB, second.peakRssMiB),
    loadMs: first.loadMs + second.loadMs,
    wallMs: first.wallMs + second.wallMs,
    repeatMs: second.repeatMs,
  };
}

export function isMillrace({ contender }: Outcome): boolean {
  return contender.spec.engine === "millrace";
}

function isWanted(round: number, runs: number | null, isEarly: boolean): boolean {
  if (runs !== null) return round <= runs;
  return round <= LEAST_ROUNDS || (round <= MOST_ROUNDS && isEarly);
}

function newOutcome(contender: Contender): Outcome {
  return {
    contender,
    opened: null,
    coldMs: 0,
    runMs: [],
    calls: [],
    copyMs: [],
    readMs: [],
    cacheMs: [],
    latencies: [],
    backgroundKept: [],
    runRows: 0,
    outputRows: 0,
    peakRssMiB: 0,
    checked: null,
    loadMs: 0,
    wallMs: 0,
    repeatMs: 0,
    error: null,
  };
}

async function someAtOnce(
  outcomes: readonly Outcome[],
  step: string,
  onStep: RaceOptions["onStep"],
  act: (outcome: Outcome) => Promise<void>,
): Promise<void> {
  const queue = outcomes.filter(({ error }) => error === null);
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const outcome = next;
      onStep?.(`${label(outcome)}: ${step}`);
      await guarded(outcome, () => act(outcome));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function eachInTurn(
  outcomes: readonly Outcome[],
  step: string | ((outcome: Outcome) => string),
  onStep: RaceOptions["onStep"],
  act: (outcome: Outcome) => Promise<void>,
): Promise<void> {
  for (const outcome of outcomes) {
    if (outcome.error !== null) continue;
    onStep?.(`${label(outcome)}: ${typeof step === "string" ? step : step(outcome)}`);
    await guarded(outcome, () => act(outcome));
  }
}

/** How fast the run before was. */
function rateText({ runMs, opened }: Outcome): string {
  const ms = runMs.at(-1);
  return ms === undefined ? "" : `, ${(opened!.inputRows / ms / 1000).toPrecision(3)} M rows/s`;
}

/** An engine that fails is out of the race; the others go on. */
async function guarded(outcome: Outcome, act: () => Promise<void>): Promise<void> {
  const start = performance.now();
  try {
    await act();
  } catch (error) {
    outcome.error = error instanceof Error ? error : new Error(String(error));
    await outcome.contender.close().catch(() => {});
  }
  outcome.wallMs += performance.now() - start;
}

function label({ contender: { spec } }: Outcome): string {
  return `${spec.engine}${spec.engine === "millrace" ? ` ${spec.options.mode}` : ""}`;
}
