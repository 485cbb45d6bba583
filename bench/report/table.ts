// The report as text: an aligned table and the verdicts below it.

import picocolors from "picocolors";
import type { BenchCase } from "../suite/case.js";
import { ALL_CASES, caseName } from "../suite/index.js";
import type { Double11, Exactness, Overhead, Ratio, Report, ResultRow, Spilling } from "./report.js";
import { fastestPeer, isGeometricMean, ratioTo, variantOf } from "./report.js";
import { scalingLines } from "./scaling.js";

type Colours = ReturnType<typeof picocolors.createColors>;

interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

const KERNEL_HEADER = [
  "kernel",
  "engine",
  "ns/row",
  "GB/s",
  "memory GB/s",
  "cache GB/s",
  "of fastest peer",
  "verified by",
];
/** Columns of numbers, set flush right. */
const KERNEL_NUMERIC = new Set([2, 3, 4, 5, 6]);

const LATENCY_HEADER = [
  "latency",
  "engine",
  "p50 us",
  "p99 us",
  "p99.9 us",
  "max us",
  "batch kept",
  "verified by",
];
const LATENCY_NUMERIC = new Set([2, 3, 4, 5, 6]);

const HEADER = [
  "case",
  "engine",
  "mode",
  "threads",
  "median ms",
  "M rows/s",
  "of fastest peer",
  "verified by",
];
/** Columns of numbers, set flush right. */
const NUMERIC = new Set([3, 4, 5, 6]);

/** Columns padded to their widest cell, two spaces apart, no spaces at line ends. */
export function alignedTable(rows: readonly (readonly Cell[])[], numeric: ReadonlySet<number>): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, displayWidth(cell.text));
    });
  }
  const line = (row: readonly Cell[]) => {
    const cells = row.map((cell, index) => {
      const gap = " ".repeat(widths[index]! - displayWidth(cell.text));
      const text = cell.paint === undefined ? cell.text : cell.paint(cell.text);
      if (numeric.has(index)) return gap + text;
      return index === row.length - 1 ? text : text + gap;
    });
    return cells.join("  ").trimEnd();
  };
  return rows.map(line).join("\n");
}

/** Terminal columns that a text takes: two for wide East Asian characters. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    const wide = (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xffdc && code !== 0x303f);
    width += wide && !(code >= 0xd800 && code <= 0xf8ff) ? 2 : 1;
  }
  return width;
}

export function resultTable(results: readonly ResultRow[], colours: Colours = picocolors): string {
  const lines: Cell[][] = [HEADER.map((text) => ({ text, paint: colours.bold }))];
  let previous = "";
  for (const row of results) {
    const name = sizedName(row, results);
    lines.push(resultLine(row, name === previous ? "" : name, results, colours));
    previous = name;
  }
  return alignedTable(lines, NUMERIC);
}

/** Rows of single kernels: time a row, and bytes a second beside those of reading the same memory, and the cache. */
export function kernelTable(results: readonly ResultRow[], colours: Colours = picocolors): string {
  const lines: Cell[][] = [KERNEL_HEADER.map((text) => ({ text, paint: colours.bold }))];
  let previous = "";
  for (const row of results) {
    const name = sizedName(row, results);
    lines.push(kernelLine(row, name === previous ? "" : name, results, colours));
    previous = name;
  }
  return alignedTable(lines, KERNEL_NUMERIC);
}

/** Rows of latency cases: percentiles of the time from a row in to its consequence out. */
export function latencyTable(results: readonly ResultRow[], colours: Colours = picocolors): string {
  const lines = results.map((row): Cell[] => {
    const name = { text: sizedName(row, results) };
    const start = [name, { text: row.engine, paint: colours.cyan }];
    if (row.p50Us === undefined || !row.verified) {
      const { text, paint } = missingFigure(row, colours);
      const none = ["", "", "", ""].map((empty) => ({ text: empty }));
      return [...start, { text, paint }, ...none, { text: row.error ?? "", paint }];
    }
    const micros = [row.p50Us, row.p99Us!, row.p999Us!, row.maxUs!].map((us) => ({ text: us.toFixed(1) }));
    const kept = row.backgroundKept === undefined ? "" : `${(100 * row.backgroundKept).toFixed(0)} %`;
    return [...start, ...micros, { text: kept }, { text: row.verifiedBy.join(", "), paint: colours.green }];
  });
  const header = LATENCY_HEADER.map((text) => ({ text, paint: colours.bold }));
  return alignedTable([header, ...lines], LATENCY_NUMERIC);
}

/** A case's name, with its size where there are several. */
export function sizedName(row: ResultRow, results: readonly ResultRow[]): string {
  const name = caseName({ suite: row.suite, name: row.case });
  const sizes = new Set(results.map(({ size }) => size));
  return sizes.size < 2 || row.size === undefined ? name : `${name} ${row.size.toLocaleString("en-US")} rows`;
}

function kernelLine(row: ResultRow, name: string, results: readonly ResultRow[], colours: Colours): Cell[] {
  const own = row.engine === "millrace";
  const start = [{ text: name }, { text: row.engine, ...(own ? { paint: colours.cyan } : {}) }];
  if (row.nsPerRow === undefined || !row.verified) {
    const { text, paint } = missingFigure(row, colours);
    return [
      ...start,
      { text, paint },
      ...["", "", "", ""].map((text) => ({ text })),
      { text: row.error ?? "", paint },
    ];
  }
  const best = fastestPeer(results, row);
  const perSec = (bytes: number | undefined) => ({
    text: bytes === undefined ? "" : (bytes / 1e9).toFixed(2),
  });
  return [
    ...start,
    { text: row.nsPerRow.toFixed(2) },
    perSec(row.bytesPerSec),
    perSec(row.readBytesPerSec),
    perSec(row.cacheBytesPerSec),
    {
      text: best === null ? "" : times(ratioTo(row, best)),
      ...(own ? { paint: colours.bold } : {}),
    },
    { text: row.verifiedBy.join(", "), paint: colours.green },
  ];
}

/** What stands where a figure would: a dash for an engine that cannot take part, `failed` for one that did not. */
function missingFigure(row: ResultRow, colours: Colours) {
  return row.unavailable ? { text: "-", paint: colours.dim } : { text: "failed", paint: colours.red };
}

function resultLine(row: ResultRow, name: string, results: readonly ResultRow[], colours: Colours): Cell[] {
  const own = row.engine === "millrace";
  const start = [
    { text: name },
    { text: row.engine, ...(own ? { paint: colours.cyan } : {}) },
    { text: row.mode },
    { text: String(row.threads) },
  ];
  if (row.medianMs === undefined || !row.verified) {
    const { text, paint } = missingFigure(row, colours);
    return [...start, { text, paint }, { text: "" }, { text: "" }, { text: row.error ?? "", paint }];
  }
  const best = fastestPeer(results, row);
  const ratio = best === null ? "" : times(ratioTo(row, best));
  return [
    ...start,
    { text: row.medianMs < 100 ? row.medianMs.toFixed(2) : row.medianMs.toFixed(0) },
    { text: millions(row.rowsPerSec!) },
    { text: ratio, ...(own ? { paint: colours.bold } : {}) },
    { text: row.verifiedBy.join(", "), paint: colours.green },
  ];
}

function times(ratio: number): string {
  return `${ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2)}x`;
}

function millions(rowsPerSec: number): string {
  const value = rowsPerSec / 1e6;
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

type TableForm = "query" | "kernel" | "latency";

const TABLES: readonly (readonly [TableForm, typeof resultTable])[] = [
  ["query", resultTable],
  ["kernel", kernelTable],
  ["latency", latencyTable],
];

function tableFor({ kernel, latency }: BenchCase): TableForm {
  if (latency) return "latency";
  return kernel === undefined ? "query" : "kernel";
}

/** Everything that a terminal shows of a report. */
export function reportText(report: Report, colours: Colours = picocolors): string {
  const { machine } = report;
  const title = `Millrace ${machine.millrace} on ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`;
  const formOf = new Map(ALL_CASES.map((of) => [caseName(of), tableFor(of)]));
  const rowsOf = (form: TableForm) =>
    report.results.filter(
      (row) => (formOf.get(caseName({ suite: row.suite, name: row.case })) ?? "query") === form,
    );
  const parts = [colours.bold(title)];
  if (report.interrupted) parts.push(colours.yellow("Interrupted: the cases that were complete by then."));
  const leftOut = leftOutLine(report);
  if (leftOut !== null) parts.push(colours.yellow(leftOut));
  for (const [form, table] of TABLES) {
    const rows = rowsOf(form);
    if (rows.length > 0) parts.push(table(rows, colours));
  }
  const summary = summaryLines(report);
  if (summary.length > 0) parts.push(summary.join("\n"));
  if (report.double11 !== null) parts.push(double11Lines(report.double11, machine.cores).join("\n"));
  return `${parts.join("\n\n")}\n`;
}

/** What all rows say together, a sentence each. */
export function summaryLines({
  ratios,
  scaling = [],
  memory = [],
  exactness,
  spilling = [],
  overhead,
}: Report): string[] {
  return [
    ...ratios.filter(isGeometricMean).map(meanLine),
    ...scalingLines(scaling, memory),
    ...exactness.map(exactnessLine),
    ...spilling.map(spillingLine),
    ...(overhead ? [overheadLine(overhead)] : []),
  ];
}

/** What there was no time for; null when nothing was left out. */
export function leftOutLine({ budgetSeconds, leftOut = [] }: Report): string | null {
  if (budgetSeconds === undefined || leftOut.length === 0) return null;
  return `Left out, to end within ${budgetSeconds} s: ${leftOut.join("; ")}. All of it takes --budget ${2 * budgetSeconds}.`;
}

/** A geometric mean in words. */
function meanLine({ suite, case: name, mode, threads, size, ratio, cases }: Ratio): string {
  const variant = variantOf(name);
  const of = size === undefined ? "" : `, ${size.toLocaleString("en-US")} rows`;
  return `${suite}${variant === null ? "" : `@${variant}`}, ${mode}, ${threadsText(threads)}${of}: ${times(ratio)} the fastest peer (geometric mean of ${cases === 1 ? "1 case" : `${cases} cases`})`;
}

function threadsText(threads: number): string {
  return threads === 1 ? "1 thread" : `${threads} threads`;
}

function exactnessLine({ groups, mode, timeRatio }: Exactness): string {
  return `exact float sums, ${groups} groups, ${mode}: ${times(timeRatio)} the time of plain ones`;
}

function spillingLine({ case: name, mode, threads, timeRatio }: Spilling): string {
  return `spill/${name}, ${mode}, ${threadsText(threads)}: ${times(timeRatio)} the time that it takes with all of the memory`;
}

function overheadLine({ share, largest, case: name, engine }: Overhead): string {
  const percent = (of: number) => `${(100 * of).toPrecision(2)} %`;
  return `the bench's own part of the times (its clock, taking results over): ${percent(share)}, and ${percent(largest)} at most (${name}, ${engine})`;
}

/** The verdict, a sentence or two a line. */
export function double11Lines(verdict: Double11, cores: number): string[] {
  const { recordsPerSec, coresNeeded, measuredPerSecPerCore, machinePerSec } = verdict;
  const perCore = `${millions(measuredPerSecPerCore)} million records/s on one core`;
  const flink = Math.round(measuredPerSecPerCore / verdict.recordsPerSecPerCore).toLocaleString("en-US");
  const share = (part: number) => `${((100 * part) / recordsPerSec).toPrecision(2)} %`;
  return [
    `Double 11 (${verdict.case}, ${verdict.mode}): ${perCore}; Flink's fleet did ${verdict.recordsPerSecPerCore.toLocaleString("en-US")} on each of its 1.5 million cores in 2020 (${flink} times less).`,
    `${recordsPerSec.toExponential().replace("e+", "e")} records/s take ${coresNeeded.toLocaleString("en-US")} cores like this one. One core carries ${share(measuredPerSecPerCore)}; the ${cores} of this machine, scaling evenly, ${share(machinePerSec)} (${millions(machinePerSec)} million records/s).`,
    ...bytesLine(verdict),
  ];
}

/** That day's bytes: whole records, of which a columnar engine reads what is asked for. */
function bytesLine(verdict: Double11): string[] {
  const { bytesPerSec, measuredBytesPerSecPerCore: perCore, coresNeededForBytes: cores } = verdict;
  // Reports from before bytes were told have none.
  if (perCore == null || cores == null) return [];
  const bytes = (perCore / verdict.measuredPerSecPerCore).toPrecision(3);
  return [
    `${bytesPerSec / 1e12} TB/s, the peak's bytes, take ${cores.toLocaleString("en-US")} cores at the ${(perCore / 1e9).toPrecision(3)} GB/s that this question reads on one (${bytes} bytes a record: the columns it asks for).`,
  ];
}
