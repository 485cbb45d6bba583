// A profile as text: a tree of operators with their figures, then the functions.

import picocolors from "picocolors";
import type { OperatorProfile } from "../../bindings/ts/index.js";
import { formatBytes } from "../../bindings/ts/kernel/index.js";
import { alignedTable } from "../report/table.js";
import type { ModeProfile, ProfileReport } from "./profile.js";
import type { FunctionTime } from "./sampling.js";

type Colours = ReturnType<typeof picocolors.createColors>;

const HEADER = [
  ...["operator", "ms", "%", "rows in", "rows out", "batches", "ns/row", "MB", "GB/s", "state", "groups"],
  ...["keys", "probes/row", "parts", "runs", "windows"],
];
const TEXTS = new Set([0, 11]);
const NUMERIC = new Set([...HEADER.keys()].filter((index) => !TEXTS.has(index)));

/** Most characters of an operator's description in the table. */
const DETAIL_WIDTH = 56;
const FUNCTIONS = 12;
const OWN_FUNCTIONS = 4;

export function profileText(report: ProfileReport, colours: Colours = picocolors): string {
  const title = `${report.case}: ${report.question}`;
  return [colours.bold(title), ...report.modes.map((mode) => modeText(report, mode, colours))].join("\n\n");
}

function modeText({ rows, build }: ProfileReport, profile: ModeProfile, colours: Colours): string {
  const { mode, medianMs, run } = profile;
  const workers = workersText(profile);
  const rate = (rows / medianMs / 1000).toPrecision(3);
  const head = `${mode}, ${count(rows)} rows, ${build} build: median ${medianMs.toFixed(1)} ms, ${rate} million rows/s`;
  return [
    colours.cyan(head),
    `time: ${sharesText(profile)}`,
    ...(workers === null ? [] : [workers]),
    operatorTable(run.plan, run.wallMs, colours),
    functionTable(profile.functions, colours),
  ].join("\n");
}

/** Where the wall time of the measured run went, and how much of the processor's was garbage collection. */
export function sharesText({ run, functions }: ModeProfile): string {
  const share = (ms: number) => `${((100 * ms) / run.wallMs).toFixed(1)} %`;
  const collector = functions.find(({ name }) => name === "(garbage collector)")?.share ?? 0;
  return [
    `${share(run.kernelMs)} in kernels`,
    `${share(run.typescriptMs)} in TypeScript`,
    `${share(run.waitingMs)} waiting`,
    `garbage collection ${(100 * collector).toFixed(1)} % of the samples`,
  ].join(", ");
}

/** What each thread has done; null where there is one. */
export function workersText({ run: { workers } }: ModeProfile): string | null {
  // Absent in files from before there were several.
  if (workers === undefined || workers.length < 2) return null;
  const parts = workers.map(({ morsels, busyMs }, worker) => {
    const name = worker === 0 ? "the calling thread" : `worker ${worker}`;
    return `${name} ${count(morsels)} morsels in ${busyMs.toFixed(1)} ms`;
  });
  return `shared: ${parts.join(", ")}`;
}

function operatorTable(plan: OperatorProfile, wallMs: number, colours: Colours): string {
  const lines = operatorLines(plan, wallMs, "", "");
  const header = HEADER.map((text) => ({ text, paint: colours.bold }));
  return alignedTable([header, ...lines.map((line) => line.map((text) => ({ text })))], NUMERIC);
}

/** The operator that gives the result on top, its inputs below it. */
function operatorLines(operator: OperatorProfile, wallMs: number, lead: string, below: string): string[][] {
  const { inputs } = operator;
  return [
    operatorLine(operator, wallMs, lead),
    ...inputs.flatMap((input, index) => {
      const isLast = index === inputs.length - 1;
      return operatorLines(
        input,
        wallMs,
        `${below}${isLast ? "└ " : "├ "}`,
        `${below}${isLast ? "  " : "│ "}`,
      );
    }),
  ];
}

function operatorLine(operator: OperatorProfile, wallMs: number, lead: string): string[] {
  const { name, detail, ms, rowsIn, rowsOut, batchesIn, nsPerRow, peakStateBytes, groups } = operator;
  const isSource = name === "read";
  const bytes = operator.bytesRead + operator.bytesWritten;
  const some = (value: number, text = count(value)) => (value === 0 ? "" : text);
  return [
    `${lead}${name} ${clipped(detail)}`,
    ms.toFixed(2),
    ((100 * ms) / wallMs).toFixed(1),
    count(rowsIn),
    count(rowsOut),
    count(batchesIn),
    isSource ? "" : nsPerRow.toFixed(2),
    some(bytes, (bytes / 1e6).toFixed(1)),
    some(bytes, (operator.bytesPerSec / 1e9).toFixed(2)),
    some(peakStateBytes, formatBytes(peakStateBytes)),
    some(groups),
    operator.keyTier ?? "",
    some(operator.probeLength, operator.probeLength.toFixed(3)),
    some(operator.partitions),
    // Absent in files from before it was counted.
    some(operator.runsMerged ?? 0),
    some(operator.openWindows),
  ];
}

function clipped(text: string): string {
  return text.length <= DETAIL_WIDTH ? text : `${text.slice(0, DETAIL_WIDTH - 1)}…`;
}

function functionTable(functions: readonly FunctionTime[], colours: Colours): string {
  const kernel = functions.filter(({ kind }) => kind === "kernel").slice(0, FUNCTIONS);
  const others = functions
    .filter(({ kind }) => kind !== "kernel" && kind !== "waiting")
    .slice(0, OWN_FUNCTIONS);
  const lines = [...kernel, ...others].map(({ name, kind, share }) =>
    [`${(100 * share).toFixed(1)}`, kind, name].map((text) => ({ text })),
  );
  const header = ["self %", "where", "function"].map((text) => ({ text, paint: colours.bold }));
  return alignedTable([header, ...lines], new Set([0]));
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}
