// The report of a bench run: JSON schema `millrace-bench/1`, and the figures derived from its rows.

import { type EngineName, UnavailableError } from "../engine/engine.js";
import type { ContenderSpec } from "../measure/contender.js";
import type { Outcome } from "../measure/race.js";
import type { Verdict } from "../measure/verify.js";
import type { BenchCase, Mode } from "../suite/case.js";
import { inMemoryName } from "../suite/spill.js";
import { grouped } from "./grouped.js";
import type { Machine } from "./machine.js";
import type { MemorySpeed, Scaling } from "./scaling.js";

export interface ResultRow {
  readonly suite: string;
  readonly case: string;
  readonly engine: EngineName;
  readonly engineVersion?: string;
  /** Millrace only. */
  readonly build?: string;
  readonly mode: Mode;
  readonly threads: number;
  /** Input rows, of all inputs together. */
  readonly rows: number;
  /** What was asked for by --rows. */
  readonly size?: number;
  readonly bytesPerRecord?: number;
  readonly runs?: number;
  readonly coldMs?: number;
  readonly medianMs?: number;
  readonly minMs?: number;
  readonly maxMs?: number;
  /** The runs' median distance from their median. */
  readonly deviationMs?: number;
  /** Calls that a run is, where they are short: its time is then their mean. */
  readonly callsPerRun?: number;
  /** Of a call, by each of the runs. */
  readonly timesMs?: readonly number[];
  /** What the bench itself adds to the time of a call (of one row in a case of latency): the clock, and taking the results over. */
  readonly overheadUs?: number;
  /** Copying the result out to Arrow, where the clock stopped before that. */
  readonly copyMs?: number;
  /** Of single kernels: time a row, bytes of input a second, and those of just reading the same memory. */
  readonly nsPerRow?: number;
  readonly bytesPerSec?: number;
  readonly readBytesPerSec?: number;
  /** The same of memory that stays in the processor's cache. */
  readonly cacheBytesPerSec?: number;
  /** Of a case of latency, instead of rows a second: percentiles of the time from a row in to its consequence out. */
  readonly p50Us?: number;
  readonly p99Us?: number;
  readonly p999Us?: number;
  readonly maxUs?: number;
  /** Of one with a background: the background's speed, of what it has alone in the time that the stream leaves free. */
  readonly backgroundKept?: number;
  readonly rowsPerSec?: number;
  readonly rowsPerSecPerCore?: number;
  readonly outputRows?: number;
  readonly peakRssMiB?: number;
  /** What the row took to come about: starting the process and loading (beside another's), and everything together. */
  readonly loadMs?: number;
  readonly wallMs?: number;
  readonly checksum?: string;
  readonly verified: boolean;
  readonly verifiedBy: readonly string[];
  readonly error?: string;
  /** With `error`: the engine cannot take part here, which is no failure. */
  readonly unavailable?: boolean;
}

export interface Ratio {
  readonly suite: string;
  /** A case, `geomean` over the suite's cases, or `geomean@VARIANT` over those of a variant. */
  readonly case: string;
  readonly mode: Mode;
  readonly threads: number;
  readonly size?: number;
  /** The fastest peer; `fastest` in a geometric mean, where it may differ from case to case. */
  readonly best: string;
  /** Millrace's rows/s over that peer's, each by its fastest quarter of runs (`ratioTo`). */
  readonly ratio: number;
  /** Cases in a geometric mean. */
  readonly cases?: number;
}

export interface Double11 {
  /** Records/s that are needed. */
  readonly recordsPerSec: number;
  /** What Flink's fleet did per core on Double 11, 2020. */
  readonly recordsPerSecPerCore: number;
  /** Cores like this one that would carry `recordsPerSec`. */
  readonly coresNeeded: number;
  readonly case: string;
  readonly mode: Mode;
  readonly measuredPerSecPerCore: number;
  /** Of this machine, its cores scaling evenly. */
  readonly machinePerSec: number;
  /** What the peak of that day was in bytes. */
  readonly bytesPerSec: number;
  /** Bytes of the columns that the case reads; null where no engine told. */
  readonly measuredBytesPerSecPerCore: number | null;
  readonly coresNeededForBytes: number | null;
}

export interface Report {
  readonly schema: "millrace-bench/1";
  readonly machine: Machine;
  readonly options: Readonly<Record<string, unknown>>;
  /** What makes the report again. */
  readonly command?: string;
  /** Ended by the user: the cases that were complete by then. */
  readonly interrupted?: boolean;
  /** How long it all took; the time that there was, and what was left out to end within it. */
  readonly seconds?: number;
  readonly budgetSeconds?: number;
  readonly leftOut?: readonly string[];
  /** By case: generating or finding its data, starting and loading, running, checking. */
  readonly caseSeconds?: readonly CaseSeconds[];
  readonly results: readonly ResultRow[];
  readonly ratios: readonly Ratio[];
  /** Of more threads, where there are figures of one. */
  readonly scaling?: readonly Scaling[];
  /** Where there is `scaling`: what as many threads read from memory. */
  readonly memory?: readonly MemorySpeed[];
  readonly exactness: readonly Exactness[];
  /** Absent in reports from before the suite `spill`. */
  readonly spilling?: readonly Spilling[];
  /** The bench's own part of the times; null where no row has one. */
  readonly overhead?: Overhead | null;
  readonly double11: Double11 | null;
}

export interface CaseSeconds {
  readonly suite: string;
  readonly case: string;
  readonly threads: number;
  readonly seconds: number;
}

/** The bench's own time within that of the calls, as shares of what was measured. */
export interface Overhead {
  /** Of all rows together, each by a call. */
  readonly share: number;
  /** Of the row where it is largest. */
  readonly largest: number;
  readonly case: string;
  readonly engine: EngineName;
}

/** What exact float sums cost over a whole query. */
export interface Exactness {
  readonly groups: "few" | "many";
  readonly mode: Mode;
  /** Time with exact sums over time with plain ones. */
  readonly timeRatio: number;
}

/** What little memory costs over a whole query. */
export interface Spilling {
  readonly case: string;
  readonly mode: Mode;
  readonly threads: number;
  /** Time with a quarter of the memory over time with all of it. */
  readonly timeRatio: number;
}

/** The command that makes a report again; of reports from before it was kept, its suites. */
export function reproduction({ command, results }: Report): string {
  return command ?? `npx millrace bench ${[...new Set(results.map(({ suite }) => suite))].join(" ")}`;
}

const GEOMETRIC_MEAN = "geomean";

/** The variant of a case by its name: what stands behind the `@`; null when nothing does. */
export function variantOf(name: string): string | null {
  const at = name.indexOf("@");
  return at < 0 ? null : name.slice(at + 1);
}

export function isGeometricMean(ratio: Ratio): boolean {
  return ratio.cases !== undefined;
}

/** What engines that failed to open, or do not tell, read: from the others, or as asked for. */
export interface InputSize {
  readonly asked: number;
  readonly rows: number;
  readonly bytes: number | null;
}

/** The row of an engine that gave no figure. */
export function failedRow(of: BenchCase, spec: ContenderSpec, error: unknown, input: InputSize): ResultRow {
  const { engine, options } = spec;
  return {
    suite: of.suite,
    case: of.name,
    engine,
    ...(engine === "millrace" ? { build: options.build } : {}),
    mode: options.mode,
    threads: options.threads,
    rows: input.rows,
    size: input.asked,
    verified: false,
    verifiedBy: [],
    error: error instanceof Error ? error.message : String(error),
    ...(error instanceof UnavailableError ? { unavailable: true } : {}),
  };
}

/** The report's row of one outcome. */
export function resultRow(of: BenchCase, outcome: Outcome, verdict: Verdict, input: InputSize): ResultRow {
  const { spec } = outcome.contender;
  const { engine, options } = spec;
  if (outcome.error !== null) return failedRow(of, spec, outcome.error, input);
  const { version, threads, inputRows } = outcome.opened!;
  const base = {
    suite: of.suite,
    case: of.name,
    engine,
    engineVersion: version,
    ...(engine === "millrace" ? { build: options.build } : {}),
    mode: options.mode,
    threads,
    rows: inputRows,
    size: input.asked,
  };
  if (threads !== options.threads) {
    const error = `worked with ${threads} threads, not ${options.threads}`;
    return { ...base, verified: false, verifiedBy: [], error };
  }
  const medianMs = median(outcome.runMs);
  const rowsPerSec = (base.rows / medianMs) * 1000;
  const bytes = outcome.opened!.inputBytes ?? input.bytes;
  return {
    ...base,
    ...(bytes === null || base.rows === 0 ? {} : { bytesPerRecord: rounded(bytes / base.rows, 1) }),
    runs: outcome.runMs.length,
    coldMs: rounded(outcome.coldMs),
    medianMs: rounded(medianMs),
    minMs: rounded(Math.min(...outcome.runMs)),
    maxMs: rounded(Math.max(...outcome.runMs)),
    deviationMs: rounded(median(outcome.runMs.map((ms) => Math.abs(ms - medianMs)))),
    timesMs: outcome.runMs.map((ms) => Number(ms.toPrecision(5))),
    ...callsPerRun(outcome),
    ...(outcome.checked!.ownMs === null ? {} : { overheadUs: rounded(1000 * outcome.checked!.ownMs) }),
    ...(outcome.copyMs.length === 0 ? {} : { copyMs: rounded(median(outcome.copyMs)) }),
    ...(of.kernel === undefined ? {} : kernelFigures(base.rows, bytes ?? 0, medianMs, outcome)),
    ...(of.latency
      ? latencyFigures(outcome)
      : {
          rowsPerSec: Math.round(rowsPerSec),
          rowsPerSecPerCore: Math.round(rowsPerSec / base.threads),
        }),
    outputRows: outcome.outputRows,
    peakRssMiB: outcome.peakRssMiB,
    loadMs: Math.round(outcome.loadMs),
    wallMs: Math.round(outcome.wallMs),
    checksum: outcome.checked!.checksum,
    verified: verdict.verified,
    verifiedBy: verdict.verifiedBy,
    ...(verdict.verified ? {} : { error: verdict.mismatch ?? "nothing to verify the result against" }),
  };
}

function callsPerRun({ calls }: Outcome) {
  const usual = Math.round(median(calls));
  return usual > 1 ? { callsPerRun: usual } : {};
}

function kernelFigures(rows: number, bytes: number, medianMs: number, { readMs, cacheMs }: Outcome) {
  const perSec = (ms: number) => Math.round((bytes / ms) * 1000);
  return {
    nsPerRow: rounded((medianMs * 1e6) / rows),
    bytesPerSec: perSec(medianMs),
    ...(readMs.length === 0 ? {} : { readBytesPerSec: perSec(median(readMs)) }),
    ...(cacheMs.length === 0 ? {} : { cacheBytesPerSec: perSec(median(cacheMs)) }),
  };
}

function latencyFigures({ latencies, backgroundKept }: Outcome) {
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => rounded(sorted[Math.ceil(share * sorted.length) - 1]!, 1);
  return {
    p50Us: at(0.5),
    p99Us: at(0.99),
    p999Us: at(0.999),
    maxUs: at(1),
    ...(backgroundKept.length === 0 ? {} : { backgroundKept: rounded(median(backgroundKept)) }),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function rounded(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}

/** A row whose figure counts. */
export function counts(
  row: ResultRow,
): row is ResultRow & { rowsPerSec: number; rowsPerSecPerCore: number; medianMs: number } {
  return row.verified && row.rowsPerSec !== undefined;
}

/** Millrace against the fastest verified peer of the same case, size and thread count. */
export function caseRatios(results: readonly ResultRow[]): Ratio[] {
  return results.flatMap((row) => {
    if (row.engine !== "millrace" || !counts(row)) return [];
    const best = fastestPeer(results, row);
    if (best === null) return [];
    const { suite, case: name, mode, threads, size } = row;
    const ratio = rounded(ratioTo(row, best));
    return [
      { suite, case: name, mode, threads, ...(size === undefined ? {} : { size }), best: best.engine, ratio },
    ];
  });
}

/** The fastest verified peer beside `row`, as `ratioTo` has it; null when there is none. */
export function fastestPeer(results: readonly ResultRow[], row: ResultRow) {
  return results
    .filter((peer) => peer.suite === row.suite && peer.case === row.case)
    .filter((peer) => peer.threads === row.threads && peer.rows === row.rows)
    .filter((peer) => peer.engine !== "millrace")
    .filter(counts)
    .reduce<(ResultRow & { rowsPerSec: number }) | null>(
      (best, peer) => (best === null || ratioTo(peer, best) > 1 ? peer : best),
      null,
    );
}

/**
 * How many times as fast as `peer` a row is, by the quiet times of both (`quietTime`); by their medians where a report does
 * not tell the time of each run.
 */
export function ratioTo(row: ResultRow, peer: ResultRow): number {
  const [own, other] = [row.timesMs ?? [], peer.timesMs ?? []];
  if (own.length === 0 || other.length === 0 || row.rows !== peer.rows)
    return row.rowsPerSec! / peer.rowsPerSec!;
  return quietTime(other) / quietTime(own);
}

/**
 * The mean of the fastest quarter of the runs. What else a machine does makes runs longer, never shorter: of two quick
 * tours of a quiet virtual machine 79 % of the ratios agreed within 5 % by these times, 72 % by the fastest runs alone,
 * 41 % by medians, 34 % by the median of the quotients of each round.
 */
export function quietTime(times: readonly number[]): number {
  const fastest = [...times].sort((a, b) => a - b).slice(0, Math.ceil(times.length / 4));
  return fastest.reduce((sum, ms) => sum + ms, 0) / fastest.length;
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Geometric means of the case ratios of each of `suites`, by variant, mode, threads and size. */
export function geometricMeans(ratios: readonly Ratio[], suites: readonly string[]): Ratio[] {
  const of = ratios.filter(({ suite }) => suites.includes(suite));
  const groups = grouped(
    of,
    ({ suite, case: name, mode, threads, size }) => `${suite} ${variantOf(name)} ${mode} ${threads} ${size}`,
  );
  return [...groups.values()].map((group) => {
    const { suite, mode, threads, size, case: first } = group[0];
    const variant = variantOf(first);
    const name = variant === null ? GEOMETRIC_MEAN : `${GEOMETRIC_MEAN}@${variant}`;
    const ratio = rounded(geometricMean(group.map((of) => of.ratio)));
    return {
      suite,
      case: name,
      mode,
      threads,
      ...(size === undefined ? {} : { size }),
      best: "fastest",
      ratio,
      cases: group.length,
    };
  });
}

/** How much of the times is the bench's own. */
export function overheadOf(results: readonly ResultRow[]): Overhead | null {
  const rows = results.flatMap(({ suite, case: name, engine, overheadUs, medianMs, p50Us }) => {
    const all = p50Us ?? 1000 * (medianMs ?? 0);
    if (overheadUs === undefined || all === 0) return [];
    return [{ case: `${suite}/${name}`, engine, own: overheadUs, all }];
  });
  if (rows.length === 0) return null;
  const sum = (of: "own" | "all") => rows.reduce((total, row) => total + row[of], 0);
  const worst = rows.reduce((a, b) => (b.own / b.all > a.own / a.all ? b : a));
  return {
    share: rounded(sum("own") / sum("all"), 6),
    largest: rounded(worst.own / worst.all, 6),
    case: worst.case,
    engine: worst.engine,
  };
}

/** Exact against plain sums, from the suite `exact`. */
export function exactnessOf(results: readonly ResultRow[]): Exactness[] {
  const pairs = pairsOf(results, "exact", (name) =>
    name.endsWith("-exact") ? name.replace(/exact$/, "plain") : null,
  );
  return pairs.map(([exact, plain]) => ({
    groups: exact.case.split("-")[0] as Exactness["groups"],
    mode: exact.mode,
    timeRatio: rounded(exact.medianMs / plain.medianMs),
  }));
}

/** A quarter of the memory against all of it, from the suite `spill`. */
export function spillingOf(results: readonly ResultRow[]): Spilling[] {
  return pairsOf(results, "spill", inMemoryName).map(([limited, free]) => ({
    case: limited.case,
    mode: limited.mode,
    threads: limited.threads,
    timeRatio: rounded(limited.medianMs / free.medianMs),
  }));
}

/** Millrace's rows of a suite, each beside that of the case which `other` names, of the same mode, threads and size. */
function pairsOf(results: readonly ResultRow[], suite: string, other: (name: string) => string | null) {
  const own = results.filter((row) => row.suite === suite && row.engine === "millrace").filter(counts);
  return own.flatMap((row) => {
    const name = other(row.case);
    const found = own.find(
      (candidate) =>
        candidate.case === name &&
        candidate.mode === row.mode &&
        candidate.threads === row.threads &&
        candidate.rows === row.rows,
    );
    return found === undefined ? [] : [[row, found] as const];
  });
}

/** 4 billion records/s and 7 TB/s on 1.5 million cores: Flink at Alibaba on Double 11, 2020. */
export const FLINK_PER_CORE = 2667;
export const DOUBLE11_PEAK = 4e9;
export const DOUBLE11_PEAK_BYTES = 7e12;

/**
 * How many cores like this one would carry `target` records/s: by double11/gmv as a stream where it was
 * measured, else by the slowest verified figure of Millrace, streams first. Null when there is none.
 */
export function double11Verdict(
  results: readonly ResultRow[],
  cores: number,
  target = DOUBLE11_PEAK,
): Double11 | null {
  // A single kernel is no job that a record goes through.
  const jobs = results.filter((row) => row.engine === "millrace" && row.nsPerRow === undefined);
  const own = jobs.filter(counts);
  const streams = own.filter((row) => row.mode === "stream");
  const candidates = streams.length > 0 ? streams : own;
  const gmv = candidates.filter((row) => row.suite === "double11" && row.case === "gmv");
  const slowestFirst = [...(gmv.length > 0 ? gmv : candidates)].sort(
    (a, b) => a.rowsPerSecPerCore - b.rowsPerSecPerCore,
  );
  const row = slowestFirst[0];
  if (row === undefined) return null;
  return {
    recordsPerSec: target,
    recordsPerSecPerCore: FLINK_PER_CORE,
    coresNeeded: rounded(target / row.rowsPerSecPerCore, 1),
    case: `${row.suite}/${row.case}`,
    mode: row.mode,
    measuredPerSecPerCore: row.rowsPerSecPerCore,
    machinePerSec: row.rowsPerSecPerCore * cores,
    ...bytesCarried(row),
  };
}

function bytesCarried({ rowsPerSecPerCore, bytesPerRecord }: ResultRow & { rowsPerSecPerCore: number }) {
  const perCore = bytesPerRecord === undefined ? null : Math.round(rowsPerSecPerCore * bytesPerRecord);
  return {
    bytesPerSec: DOUBLE11_PEAK_BYTES,
    measuredBytesPerSecPerCore: perCore,
    coresNeededForBytes: perCore === null ? null : rounded(DOUBLE11_PEAK_BYTES / perCore, 1),
  };
}
