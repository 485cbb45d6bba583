// `compare OLD.json NEW.json [AGAIN.json...]`: regressions and gains outside the noise, as ratios.

import picocolors from "picocolors";
import {
  type Agreement,
  type Change,
  type ChangeKind,
  type Comparison,
  compareReports,
  NOISE_FLOOR,
} from "../report/changes.js";
import { readReport } from "../report/read-report.js";
import type { Report } from "../report/report.js";
import { alignedTable } from "../report/table.js";
import { caseName } from "../suite/index.js";
import { ExitCode, UsageError } from "./usage.js";

type Colours = ReturnType<typeof picocolors.createColors>;

/** Prints what changed; answers the exit code: 1 when a regression is confirmed or a result is not verified any more. */
export async function compareCommand(oldPath: string, newPaths: readonly string[]): Promise<number> {
  if (newPaths.length === 0) throw new UsageError("compare needs OLD.json and NEW.json");
  const old = await readReport(oldPath);
  const news = await Promise.all(newPaths.map(readReport));
  const comparison = compareReports(old, news);
  if (comparison.changes.length === 0) {
    throw new UsageError(
      `${oldPath} and ${newPaths.join(", ")} have no measured case of the same size in common`,
    );
  }
  process.stdout.write(comparisonText(old, news, comparison, [oldPath, ...newPaths]));
  const isBad = comparison.changes.some(({ kind }) => kind === "regression" || kind === "broken");
  return isBad ? ExitCode.failed : ExitCode.verified;
}

const WORDS: Readonly<Record<ChangeKind, string>> = {
  noise: "noise",
  gain: "gain",
  suspected: "suspected regression",
  regression: "REGRESSION",
  broken: "NO LONGER VERIFIED",
};

export function comparisonText(
  old: Report,
  news: readonly Report[],
  { changes, missing, agreement }: Comparison,
  paths: readonly string[],
  colours: Colours = picocolors,
): string {
  const versions = (report: Report) => `${report.machine.millrace} of ${report.machine.date.slice(0, 10)}`;
  const parts = [colours.bold(`Millrace ${versions(old)} against ${news.map(versions).join(" and ")}`)];
  const other = news.find(
    ({ machine }) => machine.cpu !== old.machine.cpu || machine.node !== old.machine.node,
  );
  if (other !== undefined) {
    parts.push(
      `Other machines or versions of Node (${old.machine.cpu}, ${old.machine.node} and ${other.machine.cpu}, ${other.machine.node}): only ratios to peers say something.`,
    );
  }
  const loud = changes.filter(({ kind }) => kind !== "noise");
  if (loud.length > 0) parts.push(changeTable(loud, colours));
  const quiet = changes.length - loud.length;
  parts.push(`${quiet} of ${changes.length} cases within the noise.`);
  if (agreement.ratios > 0) parts.push(agreementText(agreement));
  if (missing.length > 0) parts.push(`Not in the new report: ${missing.join(", ")}.`);
  const suspected = changes.filter(({ kind }) => kind === "suspected");
  if (suspected.length > 0) parts.push(confirmationText(suspected, paths));
  return `${parts.join("\n\n")}\n`;
}

function agreementText({ ratios, agreeing }: Agreement): string {
  const share = Math.floor((100 * agreeing) / ratios);
  return `${agreeing} of ${ratios} ratios to the fastest peer (${share} %) agree within ${100 * NOISE_FLOOR} %.`;
}

/** How to find out whether suspicions hold. */
function confirmationText(suspected: readonly Change[], paths: readonly string[]): string {
  const rows = new Map<number, Set<string>>();
  for (const { of } of suspected) {
    const size = of.size ?? of.rows;
    const names = rows.get(size) ?? new Set();
    rows.set(size, names.add(caseName({ suite: of.suite, name: of.case })));
  }
  const files = [...rows.keys()].map((_, index) => `again${index === 0 ? "" : index + 1}.json`);
  const runs = [...rows].map(
    ([count, names], index) =>
      `  millrace bench ${[...names].join(" ")} --rows ${count} --runs 15 --json ${files[index]}`,
  );
  const compare = `  millrace compare ${[...paths, ...files].join(" ")}`;
  return `One measurement is a suspicion. To confirm it, measure again and compare:\n${[...runs, compare].join("\n")}`;
}

const HEADER = ["case", "M rows/s before", "after", "change", "noise", "relative to", ""];
const NUMERIC = new Set([1, 2, 3, 4]);

function changeTable(changes: readonly Change[], colours: Colours): string {
  const slowestFirst = [...changes].sort((a, b) => a.ratio - b.ratio);
  const millions = (rowsPerSec: number) => (rowsPerSec / 1e6).toPrecision(3);
  const lines = slowestFirst.map((change) => {
    const { name, before, after, ratio, noise, peer, kind } = change;
    const paint = kind === "gain" ? colours.green : kind === "suspected" ? colours.yellow : colours.red;
    const figures =
      kind === "broken"
        ? ["-", "-", "-", ""]
        : [millions(after), `${ratio.toFixed(2)}x`, `${(100 * noise).toFixed(0)} %`, peer ?? "itself"];
    const cells = [name, millions(before), ...figures].map((text) => ({ text }));
    return [...cells, { text: WORDS[kind], paint }];
  });
  return alignedTable([HEADER.map((text) => ({ text, paint: colours.bold })), ...lines], NUMERIC);
}
