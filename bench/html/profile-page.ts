// A profile as a page: the tree of operators, the functions, and the run on a line of time.

import type { OperatorProfile, RunProfile } from "../../bindings/ts/index.js";
import { formatBytes } from "../../bindings/ts/kernel/index.js";
import type { ModeProfile, ProfileReport } from "../profile/profile.js";
import { sharesText, workersText } from "../profile/profile-text.js";
import type { FunctionKind } from "../profile/sampling.js";
import { operatorsIn } from "../profile/trace.js";
import { type Bar, barChart, legend, timeChart } from "./charts.js";
import { type Content, html, type Markup } from "./markup.js";
import { COLOURS, dataTable, download, page } from "./page.js";

const KIND_COLOURS: Readonly<Record<Exclude<FunctionKind, "waiting">, string>> = {
  kernel: COLOURS[0],
  typescript: COLOURS[1],
  node: COLOURS[2],
  engine: COLOURS[6],
};
const FUNCTIONS = 25;
/** Pieces of work that are drawn: the longest. */
const DRAWN = 1500;

export function profilePage(report: ProfileReport): string {
  const title = `Profile of ${report.case}`;
  const { machine } = report;
  return page(title, [
    html`<h1>${title}</h1><p>${report.question}</p>
<p class="soft">Millrace ${machine.millrace}, ${report.build} build, ${report.rows.toLocaleString("en-US")} rows, seed ${report.seed}; ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${machine.date.slice(0, 10)}.</p>`,
    ...report.modes.map((mode) => modeSection(report, mode)),
    html`<p>${download("millrace-profile.json", JSON.stringify(withoutSlices(report)), "Download as JSON")}</p>`,
  ]);
}

/** The page's size is for what can be read. */
function withoutSlices(report: ProfileReport): ProfileReport {
  return { ...report, modes: report.modes.map((mode) => ({ ...mode, run: { ...mode.run, slices: [] } })) };
}

function modeSection({ rows }: ProfileReport, profile: ModeProfile): Markup {
  const { mode, medianMs, minMs, run, functions } = profile;
  const workers = workersText(profile);
  const bars = functions
    .filter(({ kind }) => kind !== "waiting")
    .slice(0, FUNCTIONS)
    .map(({ name, kind, share }): Bar => {
      const percent = 100 * share;
      const colour = KIND_COLOURS[kind as keyof typeof KIND_COLOURS];
      return {
        group: name,
        label: kind,
        value: percent,
        spread: null,
        text: `${percent.toFixed(1)} %`,
        colour,
      };
    });
  return html`<h2>${mode}</h2>
<p>Median ${medianMs.toFixed(1)} ms, least ${minMs.toFixed(1)} ms: ${(rows / medianMs / 1000).toPrecision(3)} million rows/s. ${sharesText(profile)}.</p>${workers === null ? null : html`<p>${workers}</p>`}
<h3>Operators</h3>${operatorTable(run)}
<h3>Functions</h3>${legend(Object.entries(KIND_COLOURS).map(([name, colour]) => ({ name, colour })))}${bars.length === 0 ? null : barChart(bars, { title: "% of the samples, self time" })}
${timeline(run)}`;
}

const COLUMNS = [
  { name: "operator" },
  ...[
    "ms",
    "%",
    "kernel ms",
    "rows in",
    "selected",
    "rows out",
    "batches",
    "ns/row",
    "MB",
    "GB/s",
    "state",
    "groups",
  ].map((name) => ({
    name,
    numeric: true,
  })),
  { name: "keys" },
  ...["probes/row", "parts", "runs", "windows", "late"].map((name) => ({ name, numeric: true })),
];

function operatorTable(run: RunProfile): Markup {
  const lines = (operator: OperatorProfile, depth: number): Content[][] => [
    operatorLine(operator, run.wallMs, depth),
    ...operator.inputs.flatMap((input) => lines(input, depth + 1)),
  ];
  return dataTable(COLUMNS, lines(run.plan, 0));
}

function operatorLine(operator: OperatorProfile, wallMs: number, depth: number): Content[] {
  const { name, detail, ms, kernelMs, rowsIn, rowsSelected, rowsOut, batchesIn, nsPerRow } = operator;
  const bytes = operator.bytesRead + operator.bytesWritten;
  const some = (value: number, text = value.toLocaleString("en-US")) => (value === 0 ? "" : text);
  return [
    html`<span style="padding-left:${depth}rem" title="${detail}"><b>${name}</b> ${detail.length > 60 ? `${detail.slice(0, 59)}…` : detail}</span>`,
    ms.toFixed(2),
    ((100 * ms) / wallMs).toFixed(1),
    kernelMs.toFixed(2),
    ...[rowsIn, rowsSelected, rowsOut, batchesIn].map((value) => value.toLocaleString("en-US")),
    some(nsPerRow, nsPerRow.toFixed(2)),
    some(bytes, (bytes / 1e6).toFixed(1)),
    some(bytes, (operator.bytesPerSec / 1e9).toFixed(2)),
    some(operator.peakStateBytes, formatBytes(operator.peakStateBytes)),
    some(operator.groups),
    operator.keyTier ?? "",
    some(operator.probeLength, operator.probeLength.toFixed(3)),
    // Runs are absent in files from before they were counted.
    ...[operator.partitions, operator.runsMerged ?? 0, operator.openWindows, operator.lateRows].map((value) =>
      some(value),
    ),
  ];
}

/** A band an operator and thread, its pieces of work where they were in the run. */
function timeline({ plan, slices, wallMs }: RunProfile): Content {
  const work = slices.filter(({ call }) => call !== "kernel");
  if (work.length === 0) return null;
  const drawn = [...work].sort((a, b) => b.ms - a.ms).slice(0, DRAWN);
  const rows = operatorsIn(plan).flatMap(({ id, name }, index) => {
    const own = drawn.filter(({ operator }) => operator === id);
    const threads = [...new Set(own.map(({ worker }) => worker))].sort((a, b) => a - b);
    return threads.map((thread) => {
      const pieces = own
        .filter(({ worker }) => worker === thread)
        .map(({ start, ms }) => [start, start + ms] as const);
      const label = thread === 0 ? name : `${name}, worker ${thread}`;
      return { label, colour: COLOURS[index % COLOURS.length]!, pieces };
    });
  });
  return html`<h3>Over time</h3>${timeChart(rows, wallMs, "ms since the run began")}<p class="soft">The trace file has every piece.</p>`;
}
