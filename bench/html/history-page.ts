// Reports of a folder as a page: how each case's speed went from report to report.

import { grouped } from "../report/grouped.js";
import type { Report, ResultRow } from "../report/report.js";
import { fastestPeer, ratioTo } from "../report/report.js";
import { type Line, legend, lineCharts } from "./charts.js";
import { type Content, html } from "./markup.js";
import { COLOURS, dataTable, page } from "./page.js";

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
  const points = reports.flatMap((report, index) =>
    report.results.flatMap((row) => {
      if (row.engine !== "millrace" || !row.verified || row.rowsPerSec === undefined) return [];
      const best = fastestPeer(report.results, row);
      const ratio = best === null ? null : ratioTo(row, best);
      return [{ name: rowName(row), mode: row.mode, at: index + 1, speed: row.rowsPerSec / 1e6, ratio }];
    }),
  );
  const charts = (figure: "speed" | "ratio") =>
    [...grouped(points, ({ name }) => name)].flatMap(([title, of]) => {
      const lines = [...grouped(of, ({ mode }) => mode).values()].flatMap((group): Line[] => {
        const found = group.flatMap(({ at, [figure]: y }) => (y === null ? [] : [[at, y] as const]));
        const isDashed = group[0].mode === "stream";
        return found.length === 0 ? [] : [{ points: found, colour: COLOURS[isDashed ? 3 : 0], isDashed }];
      });
      return lines.length === 0 ? [] : [{ title, lines }];
    });
  const [ratios, speeds] = [charts("ratio"), charts("speed")];
  const across = { title: "reports, by date", format: String };
  const numbers = reports.map(({ machine }, index) => [index + 1, machine.date, machine.millrace]);
  return [
    legend([
      { name: "batch", colour: COLOURS[0] },
      { name: "stream, dashed", colour: COLOURS[3] },
    ]),
    ratios.length === 0
      ? null
      : html`<h3>Times the fastest peer</h3>${lineCharts(ratios, across, "times the fastest peer")}`,
    html`<h3>Speed</h3>${lineCharts(speeds, across, "million records/s")}`,
    dataTable([{ name: "report", numeric: true }, { name: "date" }, { name: "version" }], numbers),
  ];
}

function rowName({ suite, case: name, threads, rows }: ResultRow): string {
  return `${suite}/${name}${threads === 1 ? "" : `, ${threads} threads`}, ${rows.toLocaleString("en-US")} rows`;
}
