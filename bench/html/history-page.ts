// Reports of a folder as a page: how each case's speed went from report to report.

import { grouped } from "../report/grouped.js";
import type { Report, ResultRow } from "../report/report.js";
import { fastestPeer } from "../report/report.js";
import { lineRows, type Series } from "./charts.js";
import { type Content, html } from "./markup.js";
import { COLOURS, dataTable, page } from "./page.js";
import { times } from "./report-page.js";

/** Reports in the order of their dates. */
export function historyPage(reports: readonly Report[]): string {
  const machines = [...grouped(reports, ({ machine }) => machineName(machine))];
  const [first, last] = [reports[0]!.machine.date, reports.at(-1)!.machine.date].map((date) =>
    date.slice(0, 10),
  );
  return page("Millrace over time", [
    html`<h1>Millrace over time</h1><p class="soft">${reports.length} reports from ${first!} to ${last!}.</p>`,
    ...machines.map(([name, of]) => html`<h2>${name}</h2>${machineSection(of)}`),
  ]);
}

export function machineName({ cpu, cores, node }: Report["machine"]): string {
  return `${cpu}, ${cores} cores, Node ${node}`;
}

function machineSection(reports: readonly Report[]): Content {
  const speeds = new Map<string, [number, number][]>();
  const ratios = new Map<string, [number, number][]>();
  reports.forEach((report, index) => {
    for (const row of report.results) {
      if (row.engine !== "millrace" || !row.verified || row.rowsPerSec === undefined) continue;
      const name = rowName(row);
      speeds.set(name, [...(speeds.get(name) ?? []), [index + 1, row.rowsPerSec / 1e6]]);
      const best = fastestPeer(report.results, row);
      if (best === null) continue;
      ratios.set(name, [...(ratios.get(name) ?? []), [index + 1, row.rowsPerSec / best.rowsPerSec]]);
    }
  });
  const series = (
    of: ReadonlyMap<string, readonly [number, number][]>,
    text: (value: number) => string,
    colour: string,
  ) =>
    [...of].map(([label, points]): Series => {
      return { label, points, text: `${text(points[0]![1])} → ${text(points.at(-1)![1])}`, colour };
    });
  const numbers = reports.map(({ machine }, index) => [index + 1, machine.date, machine.millrace]);
  return [
    ratios.size === 0
      ? null
      : html`<h3>Times the fastest peer</h3>${lineRows(series(ratios, times, COLOURS[0]), "reports in order of their dates", "times the fastest peer")}`,
    html`<h3>Speed</h3>${lineRows(
      series(speeds, (value) => value.toPrecision(3), COLOURS[2]),
      "reports in order of their dates",
      "million records/s",
    )}`,
    dataTable([{ name: "report", numeric: true }, { name: "date" }, { name: "version" }], numbers),
  ];
}

function rowName({ suite, case: name, mode, threads, rows }: ResultRow): string {
  return `${suite}/${name} ${mode}${threads === 1 ? "" : `, ${threads} threads`}, ${rows.toLocaleString("en-US")} rows`;
}
