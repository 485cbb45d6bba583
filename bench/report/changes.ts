// What changed between two reports, and what of it is more than noise.
//
// A machine is faster on one day than on another, so Millrace's speed is taken relative to that of a peer in the same
// report where one peer is in both: of those, the one fastest before. Without a common peer rows a second are
// compared as they are.
//
// The noise of a change comes from the spread of the runs behind it: the standard error of a median is about
// 1.25 sigma / sqrt(runs), sigma about 1.48 times the median distance from the median; those of all medians
// involved add as squares, and three of the whole count as certain. Runs of one process resemble each other more
// than runs of two, so a change below NOISE_FLOOR is noise whatever the spread. One report that shows a regression
// is a suspicion; it is confirmed when another measurement shows it too.

import { caseName } from "../suite/index.js";
import { isGeometricMean, median, type Ratio, type Report, type ResultRow } from "./report.js";

export type ChangeKind = "noise" | "gain" | "suspected" | "regression" | "broken";

export interface Change {
  readonly name: string;
  readonly of: ResultRow;
  /** Rows a second before, and the median of those after. */
  readonly before: number;
  readonly after: number;
  /** Speed after over speed before, in the median over the reports. */
  readonly ratio: number;
  /** The peer that both are relative to; null when none is in all reports. */
  readonly peer: string | null;
  /** A ratio within 1 / (1 + noise) to 1 + noise says nothing. */
  readonly noise: number;
  /** `suspected`: slower in the only report there is; `broken`: verified before, and not any more. */
  readonly kind: ChangeKind;
}

export interface Comparison {
  readonly changes: readonly Change[];
  /** Cases of the old report that no new one has. */
  readonly missing: readonly string[];
  readonly agreement: Agreement;
}

/** How many of the ratios to the fastest peer are in both reports the same within NOISE_FLOOR. */
export interface Agreement {
  readonly ratios: number;
  readonly agreeing: number;
}

/** Changes smaller than this are noise: two quiet runs agree within 5 %. */
export const NOISE_FLOOR = 0.05;

const STANDARD_ERRORS = 3;

/** Compares Millrace's rows of `old` with those of `news`, measurements of one version each. */
export function compareReports(old: Report, news: readonly Report[]): Comparison {
  const changes: Change[] = [];
  const missing: string[] = [];
  for (const row of old.results) {
    if (row.engine !== "millrace" || !row.verified || row.rowsPerSec === undefined) continue;
    const found = news.flatMap((report) => {
      const match = report.results.find((candidate) => isSame(candidate, row));
      return match === undefined ? [] : [{ report, row: match }];
    });
    if (found.length === 0) missing.push(rowName(row));
    else changes.push(changeOf(old, row, found));
  }
  return { changes, missing, agreement: agreementOf(old, news) };
}

/** Of each case that is in both, by its ratio in the old report and in each of the new ones. */
function agreementOf(old: Report, news: readonly Report[]): Agreement {
  const nameOf = ({ suite, case: name, mode, threads, size }: Ratio) =>
    [suite, name, mode, threads, size].join(" ");
  const before = new Map(caseRatiosOf(old).map((ratio) => [nameOf(ratio), ratio.ratio]));
  const quotients = news.flatMap(caseRatiosOf).flatMap((ratio) => {
    const was = before.get(nameOf(ratio));
    return was === undefined ? [] : [Math.max(ratio.ratio / was, was / ratio.ratio)];
  });
  const agreeing = quotients.filter((quotient) => quotient <= 1 + NOISE_FLOOR).length;
  return { ratios: quotients.length, agreeing };
}

function caseRatiosOf({ ratios }: Report): Ratio[] {
  return ratios.filter((ratio) => !isGeometricMean(ratio));
}

interface Found {
  readonly report: Report;
  readonly row: ResultRow;
}

function changeOf(old: Report, row: ResultRow, found: readonly Found[]): Change {
  const base = { name: rowName(row), of: row, before: row.rowsPerSec! };
  const valid = found.filter(({ row: after }) => after.verified && after.rowsPerSec !== undefined);
  if (valid.length < found.length) {
    return { ...base, after: 0, ratio: 0, peer: null, noise: 0, kind: "broken" };
  }
  const peer = commonPeer(old, row, valid);
  const ratios = valid.map((after) => {
    const plain = after.row.rowsPerSec! / row.rowsPerSec!;
    const drift =
      peer === null
        ? 1
        : peerRow(after.report, row, peer)!.rowsPerSec! / peerRow(old, row, peer)!.rowsPerSec!;
    return plain / drift;
  });
  const noises = valid.map((after) => {
    const medians = [row, after.row];
    if (peer !== null) medians.push(peerRow(old, row, peer)!, peerRow(after.report, row, peer)!);
    const squares = medians.reduce((sum, figure) => sum + relativeError(figure) ** 2, 0);
    return Math.max(NOISE_FLOOR, STANDARD_ERRORS * Math.sqrt(squares));
  });
  return {
    ...base,
    after: median(valid.map((after) => after.row.rowsPerSec!)),
    ratio: median(ratios),
    peer,
    noise: Math.max(...noises),
    kind: kindOf(ratios, noises),
  };
}

function kindOf(ratios: readonly number[], noises: readonly number[]): ChangeKind {
  if (ratios.every((ratio, index) => ratio > 1 + noises[index]!)) return "gain";
  if (!ratios.every((ratio, index) => ratio < 1 / (1 + noises[index]!))) return "noise";
  return ratios.length > 1 ? "regression" : "suspected";
}

/** Standard error of a row's median time, relative to it. */
function relativeError({ runs, medianMs, minMs, maxMs, deviationMs }: ResultRow): number {
  if (medianMs === undefined || runs === undefined || medianMs === 0) return 0;
  // Reports from before the deviation was kept: half of the range is never less.
  const deviation = deviationMs ?? ((maxMs ?? medianMs) - (minMs ?? medianMs)) / 2;
  return (1.25 * 1.48 * deviation) / medianMs / Math.sqrt(runs);
}

/** The peer that was fastest before among those with a figure in all reports. */
function commonPeer(old: Report, row: ResultRow, found: readonly Found[]): string | null {
  const peers = old.results
    .filter((peer) => peer.engine !== "millrace" && isMeasured(peer) && isSameCase(peer, row))
    .filter((peer) => found.every(({ report }) => peerRow(report, row, peer.engine) !== undefined))
    .sort((a, b) => b.rowsPerSec! - a.rowsPerSec!);
  return peers[0]?.engine ?? null;
}

function peerRow(report: Report, row: ResultRow, engine: string): ResultRow | undefined {
  return report.results.find((peer) => peer.engine === engine && isMeasured(peer) && isSameCase(peer, row));
}

function isMeasured(row: ResultRow): boolean {
  return row.verified && row.rowsPerSec !== undefined;
}

function isSameCase(a: ResultRow, b: ResultRow): boolean {
  return a.suite === b.suite && a.case === b.case && a.threads === b.threads && a.rows === b.rows;
}

function isSame(a: ResultRow, b: ResultRow): boolean {
  return isSameCase(a, b) && a.engine === b.engine && a.mode === b.mode && a.build === b.build;
}

/** The case with what tells rows of one case apart. */
function rowName({ suite, case: name, mode, threads, build }: ResultRow): string {
  const parts = [
    mode,
    ...(threads === 1 ? [] : [`${threads} threads`]),
    ...(build === "simd" ? [] : [build]),
  ];
  return `${caseName({ suite, name })} ${parts.join(" ")}`;
}
