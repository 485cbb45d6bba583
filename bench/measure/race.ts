// One case, all contenders: load, then run in turn, round by round, so that whatever slows the machine for a
// while slows every engine alike.
//
// A cold run first, reported apart; then warm-up runs, as V8 compiles a loop's fast form only after some calls;
// then the runs that count. Results are checked at the end, outside of any clock.

import type { Checked, Contender, Opened } from "./contender.js";

export interface RaceOptions {
  /** Rounds that count; null: at least 5, and more while they are short. */
  readonly runs: number | null;
  /** Rounds beyond the least number stop after so long; the usual time when absent. */
  readonly roundsMs?: number;
  /** Told before each call: what happens now, in a few words. */
  readonly onStep?: (step: string) => void;
}

export interface Outcome {
  readonly contender: Contender;
  opened: Opened | null;
  coldMs: number;
  /** Of the runs that count, in order. */
  runMs: number[];
  copyMs: number[];
  readMs: number[];
  cacheMs: number[];
  /** Of all runs that count. */
  latencies: number[];
  backgroundKept: number[];
  outputRows: number;
  peakRssMiB: number;
  checked: Checked | null;
  /** Starting the process and loading the data, beside another's loading; and all calls together. */
  loadMs: number;
  wallMs: number;
  /** An UnavailableError where the engine cannot take part, which is no failure. */
  error: Error | null;
}

/** Warm-up: at least one run, and more until this long or this many. */
const WARM_UP_MS = 200;
const WARM_UP_RUNS = 5;

/** Rounds when the user does not say: a median of 5 runs of 3 ms each is too easily spoilt on a shared machine. */
const LEAST_ROUNDS = 5;
const MOST_ROUNDS = 25;
const ROUNDS_MS = 1500;

/** Processes that load at the same time. */
const LOADING_AT_ONCE = 2;

/** Races timed contenders; `witnesses` only load and show their result. Contenders stay open for comparison. */
export async function race(
  timed: readonly Contender[],
  witnesses: readonly Contender[],
  { runs, roundsMs = ROUNDS_MS, onStep }: RaceOptions,
): Promise<Outcome[]> {
  const outcomes = [...timed, ...witnesses].map(newOutcome);
  const racing = outcomes.slice(0, timed.length);
  await loadAll(outcomes, onStep);
  await eachInTurn(racing, "cold run", onStep, async (outcome) => {
    outcome.coldMs = (await outcome.contender.run()).ms;
  });
  await eachInTurn(racing, "warm-up", onStep, warmUp);
  const start = performance.now();
  for (let round = 1; isWanted(round, runs, performance.now() - start < roundsMs); round++) {
    await eachInTurn(
      racing,
      (outcome) => `run ${round}${rateText(outcome)}`,
      onStep,
      async (outcome) => {
        const figure = await outcome.contender.run();
        outcome.runMs.push(figure.ms);
        if (figure.copyMs !== undefined) outcome.copyMs.push(figure.copyMs);
        if (figure.readMs !== undefined) outcome.readMs.push(figure.readMs);
        if (figure.cacheMs !== undefined) outcome.cacheMs.push(figure.cacheMs);
        if (figure.backgroundKept !== undefined) outcome.backgroundKept.push(figure.backgroundKept);
        for (const micros of figure.latencies ?? []) outcome.latencies.push(micros);
      },
    );
  }
  await eachInTurn(outcomes, "check", onStep, async (outcome) => {
    outcome.peakRssMiB = await outcome.contender.peakRssMiB();
    outcome.checked = await outcome.contender.check();
    outcome.outputRows = outcome.checked.rows;
  });
  return outcomes;
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
    copyMs: [],
    readMs: [],
    cacheMs: [],
    latencies: [],
    backgroundKept: [],
    outputRows: 0,
    peakRssMiB: 0,
    checked: null,
    loadMs: 0,
    wallMs: 0,
    error: null,
  };
}

async function loadAll(outcomes: readonly Outcome[], onStep: RaceOptions["onStep"]): Promise<void> {
  const queue = [...outcomes];
  const load = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const outcome = next;
      onStep?.(`${label(outcome)}: load`);
      await guarded(outcome, async () => {
        outcome.opened = await outcome.contender.open();
      });
      outcome.loadMs = outcome.wallMs;
    }
  };
  await Promise.all(Array.from({ length: LOADING_AT_ONCE }, load));
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

async function warmUp(outcome: Outcome): Promise<void> {
  const start = performance.now();
  for (let run = 0; run < WARM_UP_RUNS; run++) {
    await outcome.contender.run();
    if (performance.now() - start > WARM_UP_MS) return;
  }
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
