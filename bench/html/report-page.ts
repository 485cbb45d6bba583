// The report of a bench run as a page: the verdict, ratios to the fastest peer, every engine's speed, single kernels
// beside the memory they read, growth by rows and threads; every number also in a table, and in a download.

import { grouped } from "../report/grouped.js";
import {
  type Double11,
  fastestPeer,
  isGeometricMean,
  type Ratio,
  type Report,
  type ResultRow,
  reproduction,
} from "../report/report.js";
import { double11Lines, leftOutLine, sizedName, summaryLines } from "../report/table.js";
import { caseName } from "../suite/index.js";
import {
  type Bar,
  barChart,
  type DotRow,
  dotChart,
  type Key,
  type Line,
  legend,
  lineCharts,
} from "./charts.js";
import { type Content, html, type Markup } from "./markup.js";
import { COLOURS, dataTable, download, page } from "./page.js";

const ENGINE_COLOURS: Readonly<Record<string, string>> = {
  millrace: COLOURS[0],
  duckdb: COLOURS[1],
  polars: COLOURS[2],
  "duckdb-wasm": COLOURS[3],
  arquero: COLOURS[4],
  js: COLOURS[5],
  native: COLOURS[6],
};
const STREAM_COLOUR = COLOURS[5];
const BATCH_COLOUR = COLOURS[0];

export function reportPage(report: Report): string {
  const { machine, results } = report;
  const kernels = results.filter((row) => row.nsPerRow !== undefined);
  const queries = results.filter((row) => row.nsPerRow === undefined);
  const title = `Millrace ${machine.millrace} on ${machine.cpu}`;
  const leftOut = leftOutLine(report);
  return page(title, [
    html`<h1>${title}</h1>
<p class="soft">${machineText(report)}</p>`,
    report.interrupted ? html`<p class="bad">Interrupted: the cases that were complete by then.</p>` : null,
    leftOut === null ? null : html`<p class="soft">${leftOut}</p>`,
    report.double11 === null ? null : verdict(report.double11, machine.cores),
    summary(report),
    ratioSection(report),
    speedSection(queries, results),
    growthSection(queries),
    latencySection(results),
    kernelSection(kernels),
    tableSection(report),
    method(report),
  ]);
}

function machineText({ machine, options }: Report): string {
  const { cores, memoryGiB, node, platform, date } = machine;
  const given = Object.entries(options)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(", ") : String(value)}`);
  return `${cores} cores, ${memoryGiB} GiB, ${platform}, Node ${node}, ${date.replace("T", " ").slice(0, 16)} UTC. ${given.join("; ")}.`;
}

function verdict(double11: Double11, cores: number): Markup {
  return html`<div class="verdict"><b>${double11.coresNeeded.toLocaleString("en-US")} cores</b> like this one would carry ${double11.recordsPerSec.toLocaleString("en-US")} records a second.
${double11Lines(double11, cores).map((line) => html`<p>${line}</p>`)}</div>`;
}

function summary(report: Report): Content {
  const lines = summaryLines(report);
  return lines.length === 0 ? null : html`<ul>${lines.map((line) => html`<li>${line}</li>`)}</ul>`;
}

function ratioSection({ ratios, results }: Report): Content {
  const cases = ratios.filter((ratio) => !isGeometricMean(ratio));
  if (cases.length === 0) return null;
  const rows = cases.map((ratio) => ({ ratio, own: ownRow(ratio, results) }));
  const bars = rows.map(({ ratio, own }): Bar => {
    return {
      group: `${sizedName(own, results)}${threadsText(ratio)}`,
      label: `${ratio.mode}, ${ratio.best}`,
      value: ratio.ratio,
      spread: ratioSpread(own, results),
      text: times(ratio.ratio),
      colour: ratio.mode === "batch" ? BATCH_COLOUR : STREAM_COLOUR,
    };
  });
  return html`<h2>Against the fastest peer</h2>
<p>Rows a second of Millrace over those of the fastest other engine of the same run, each by the fastest quarter of its runs. Right of the line at 1 Millrace is faster; the thin line is what the slowest and the fastest runs of the two would make of it.</p>
${legend([
  { name: "batch", colour: BATCH_COLOUR },
  { name: "stream", colour: STREAM_COLOUR },
])}${barChart(bars, { title: "times the fastest peer", log: true, mark: 1, format: (value) => `${value}x` })}${figures(
  ["case", "mode", "fastest peer"],
  ["threads", "rows", "times", "least", "most"],
  rows.map(({ ratio, own }) => {
    const [least, most] = ratioSpread(own, results) ?? [];
    const [threads, size] = [own.threads, own.rows].map((value) => value.toLocaleString("en-US"));
    const spread = [least, most].map((value) => value?.toFixed(3) ?? "");
    const name = caseName({ suite: own.suite, name: own.case });
    return [name, ratio.mode, ratio.best, threads!, size!, ratio.ratio.toFixed(3), ...spread];
  }),
)}`;
}

/** Millrace's row behind a ratio. */
function ownRow(ratio: Ratio, results: readonly ResultRow[]): ResultRow {
  return results.find(
    (row) =>
      row.engine === "millrace" &&
      row.suite === ratio.suite &&
      row.case === ratio.case &&
      row.mode === ratio.mode &&
      row.threads === ratio.threads &&
      row.size === ratio.size,
  )!;
}

function threadsText({ threads }: { readonly threads: number }): string {
  return threads === 1 ? "" : `, ${threads} threads`;
}

/** The numbers behind a chart: texts, then numbers. */
function figures(
  texts: readonly string[],
  numbers: readonly string[],
  rows: readonly (readonly Content[])[],
): Markup {
  const columns = [...texts.map((name) => ({ name })), ...numbers.map((name) => ({ name, numeric: true }))];
  return html`<details><summary>Figures</summary>${dataTable(columns, rows)}</details>`;
}

/** From Millrace's slowest run over the peer's fastest to the other way round. */
function ratioSpread(own: ResultRow, results: readonly ResultRow[]): [least: number, most: number] | null {
  const peer = fastestPeer(results, own);
  if (!own.minMs || !own.maxMs || !peer?.minMs || !peer.maxMs) return null;
  const scale = own.rows / peer.rows;
  return [(scale * peer.minMs) / own.maxMs, (scale * peer.maxMs) / own.minMs];
}

function speedSection(rows: readonly ResultRow[], results: readonly ResultRow[]): Content {
  const measured = rows.filter((row) => row.verified && row.rowsPerSec !== undefined);
  if (measured.length === 0) return null;
  const suites = [...new Set(measured.map(({ suite }) => suite))];
  return html`<h2>Records a second</h2>
<p>Median of the runs; a line where they spread by more than 5 %, from the slowest to the fastest. The figures are in the table at the end.</p>
${legend(engineKeys(measured))}${suites.map((suite) =>
  suiteChart(
    suite,
    measured.filter((row) => row.suite === suite),
    results,
  ),
)}`;
}

/** One entry an engine, Millrace's streams apart. */
function engineKeys(rows: readonly ResultRow[]): Key[] {
  const names = [
    ...new Set(rows.map(({ engine, mode }) => (mode === "stream" ? `${engine} stream` : engine))),
  ];
  return names.map((name) => {
    const [engine, stream] = name.split(" ");
    return { name, colour: ENGINE_COLOURS[engine!]!, form: stream === undefined ? "full" : "ring" };
  });
}

function suiteChart(suite: string, rows: readonly ResultRow[], results: readonly ResultRow[]): Markup {
  const byCase = grouped(rows, (row) => `${shortName(row, results)}${threadsText(row)}`);
  const dotRows = [...byCase].map(([label, of]): DotRow => {
    const dots = of.map((row) => {
      const perSec = (ms: number | undefined) =>
        (ms === undefined ? row.rowsPerSec! : (row.rows / ms) * 1000) / 1e6;
      return {
        value: row.rowsPerSec! / 1e6,
        spread: [perSec(row.maxMs), perSec(row.minMs)] as const,
        colour: ENGINE_COLOURS[row.engine]!,
        isHollow: row.mode === "stream",
      };
    });
    return { label, dots };
  });
  return html`<h3>${suite}</h3>${dotChart(dotRows, "million records/s")}`;
}

/** A case's name within its suite, with its size where there are several. */
function shortName(row: ResultRow, results: readonly ResultRow[]): string {
  const isAlone = new Set(results.map(({ size }) => size)).size < 2 || row.size === undefined;
  return isAlone ? row.case : `${row.case} ${shortRows(row.size)}`;
}

/** 10M for 10000000. */
function shortRows(rows: number): string {
  return rows >= 1e6 ? `${Number((rows / 1e6).toPrecision(3))}M` : `${Number((rows / 1e3).toPrecision(3))}k`;
}

function engineLabel({ engine, mode, threads }: ResultRow): string {
  const of = engine === "millrace" ? `${engine} ${mode}` : engine;
  return threads === 1 ? of : `${of}, ${threads} threads`;
}

/** How a case's speed changes with its rows and with its threads, where a report has several. */
function growthSection(rows: readonly ResultRow[]): Content {
  const measured = rows.filter((row) => row.verified && row.rowsPerSec !== undefined);
  const by = (of: "rows" | "threads") => {
    const other = of === "rows" ? "threads" : "rows";
    const charts = grouped(measured, (row) => {
      const fixed = of === "rows" ? threadsText(row) : `, ${shortRows(row.rows)} rows`;
      return `${caseName({ suite: row.suite, name: row.case })}${fixed}`;
    });
    return [...charts].flatMap(([title, rows]) => {
      const lines = [...grouped(rows, (row) => `${row.engine} ${row.mode} ${row[other]}`).values()].flatMap(
        (group): Line[] => {
          const points = group
            .map((row) => [row[of], row.rowsPerSec! / 1e6] as const)
            .sort(([a], [b]) => a - b);
          if (new Set(points.map(([x]) => x)).size < 2) return [];
          const [{ engine, mode }] = group;
          return [{ points, colour: ENGINE_COLOURS[engine]!, isDashed: mode === "stream" }];
        },
      );
      return lines.length === 0 ? [] : [{ title, lines }];
    });
  };
  const [threads, sizes] = [by("threads"), by("rows")];
  const note = html`<p>Colours as above; streams dashed.</p>`;
  return [
    threads.length === 0
      ? null
      : html`<h2>By threads</h2>${note}${lineCharts(threads, { title: "threads", format: String }, UP)}`,
    sizes.length === 0
      ? null
      : html`<h2>By rows</h2>${note}${lineCharts(sizes, { title: "rows", log: true, format: shortRows }, UP)}`,
  ];
}

const UP = "million records/s";

const PERCENTILES = [
  ["p50Us", "p50"],
  ["p99Us", "p99"],
  ["p999Us", "p99.9"],
  ["maxUs", "most"],
] as const;

/** Rows that carry latencies instead of throughput. */
function latencySection(results: readonly ResultRow[]): Content {
  const rows = results.filter((row) => row.verified && row.p50Us !== undefined);
  if (rows.length === 0) return null;
  const bars = rows.flatMap((row) =>
    PERCENTILES.map(([field, name]): Bar => {
      const value = row[field]!;
      return {
        group: `${row.suite}/${row.case} ${engineLabel(row)}`,
        label: name,
        value,
        spread: null,
        text: `${value} µs`,
        colour: ENGINE_COLOURS[row.engine]!,
      };
    }),
  );
  const lines = rows.map((row) => [
    caseName({ suite: row.suite, name: row.case }),
    ...PERCENTILES.map(([field]) => row[field]!.toFixed(1)),
  ]);
  const numbers = PERCENTILES.map(([, name]) => `${name} µs`);
  return html`<h2>Latency</h2>
<p>From a row handed in to its consequence handed out, one row at a time.</p>
${barChart(bars, { title: "microseconds", log: true, format: (value) => String(value) })}${figures(["case"], numbers, lines)}`;
}

/** A roofline: bytes a second of each kernel, of C's, and of reading the same memory, and the cache. */
function kernelSection(rows: readonly ResultRow[]): Content {
  const measured = rows.filter((row) => row.verified && row.bytesPerSec !== undefined);
  if (measured.length === 0) return null;
  const rowsOf = [...grouped(measured, (row) => `${row.case}${threadsText(row)}`)].map(
    ([label, of]): DotRow => {
      const dots = of.map((row) => {
        const value = row.bytesPerSec! / 1e9;
        const spread = (ms: number | undefined) => value * ((row.medianMs ?? 1) / (ms ?? row.medianMs ?? 1));
        const colour = ENGINE_COLOURS[row.engine]!;
        return { value, spread: [spread(row.maxMs), spread(row.minMs)] as const, colour };
      });
      const own = of.find(({ engine }) => engine === "millrace");
      const roofs = [own?.readBytesPerSec, own?.cacheBytesPerSec].flatMap((read, index) =>
        read === undefined ? [] : [{ value: read / 1e9, isDashed: index === 1 }],
      );
      return { label, dots, roofs };
    },
  );
  const lines = measured.map((row) => [
    caseName({ suite: row.suite, name: row.case }),
    row.engine,
    row.nsPerRow!.toFixed(2),
    ...[row.bytesPerSec, row.readBytesPerSec, row.cacheBytesPerSec].map((bytes) =>
      bytes === undefined ? "" : (bytes / 1e9).toFixed(2),
    ),
  ]);
  return html`<h2>Single kernels under the memory's roof</h2>
<p>Bytes of input a second. No kernel can be faster than reading its input and doing nothing with it: the strokes, from the input's own memory, and (dashed) from a piece of it that stays in the processor's cache.</p>
${legend([
  ...engineKeys(measured),
  { name: "memory read", colour: "var(--text)", form: "line" },
  { name: "cache read", colour: "var(--text)", form: "dashes" },
])}${dotChart(rowsOf, "GB/s of input")}${figures(
  ["kernel", "engine"],
  ["ns/row", "GB/s", "memory read GB/s", "cache read GB/s"],
  lines,
)}`;
}

const COLUMNS = [
  { name: "case" },
  { name: "engine" },
  { name: "mode" },
  ...[
    "threads",
    "rows",
    "cold ms",
    "median ms",
    "min ms",
    "max ms",
    "runs",
    "M rows/s",
    "bytes/record",
    "MiB",
  ].map((name) => ({
    name,
    numeric: true,
  })),
  { name: "verified by" },
];

function tableSection(report: Report): Markup {
  const ms = (value: number | undefined) => (value === undefined ? "" : value.toFixed(2));
  const rows = report.results.map((row): Content[] => [
    caseName({ suite: row.suite, name: row.case }),
    `${row.engine} ${row.engineVersion ?? ""}`,
    row.mode,
    row.threads,
    row.rows.toLocaleString("en-US"),
    ...[row.coldMs, row.medianMs, row.minMs, row.maxMs].map(ms),
    row.runs ?? "",
    row.rowsPerSec === undefined ? "" : millions(row.rowsPerSec),
    row.bytesPerRecord ?? "",
    row.peakRssMiB ?? "",
    row.verified
      ? html`<span class="good">${row.verifiedBy.join(", ")}</span>`
      : html`<span class="${row.unavailable ? "soft" : "bad"}">${row.error ?? ""}</span>`,
  ]);
  return html`<h2>All figures</h2>
<p>${download("millrace-bench.json", JSON.stringify(report), "Download as JSON")}</p>
${dataTable(COLUMNS, rows)}`;
}

function method(report: Report): Markup {
  return html`<h2>How it was measured</h2>
<p>Each engine and case in a process of its own, data loaded into the engine's own form before the clock, engines in turn run by run. One cold run is reported apart, then a warm-up, then the runs that count, each of as many calls as fill 20 ms; the median is quoted. Every result is checked before its time is shown. Float sums of Millrace are exact.</p>
<pre>${reproduction(report)}</pre>`;
}

export function times(ratio: number): string {
  return `${ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2)}x`;
}

function millions(rowsPerSec: number): string {
  return (rowsPerSec / 1e6).toPrecision(3);
}
