// A card: the ratios as one picture for a README, with the machine, the date and the command below.
//
// An SVG file of its own: it carries its colours, for light and dark, and asks for no font.

import { isGeometricMean, type Report, reproduction } from "../report/report.js";
import { type Bar, barDrawing } from "./charts.js";
import { html, type Markup } from "./markup.js";
import { COLOURS } from "./page.js";
import { times } from "./report-page.js";

const WIDTH = 760;
const HEAD = 56;
const FOOT = 52;

/** Throws RangeError for a report without ratios. */
export function cardSvg(report: Report): string {
  const ratios = report.ratios.filter((ratio) => !isGeometricMean(ratio) && ratio.mode === "batch");
  if (ratios.length === 0) throw new RangeError("the report has no ratios to peers in batch mode");
  const { machine } = report;
  const hasSizes = new Set(ratios.map(({ size }) => size)).size > 1;
  const bars = ratios.map(({ suite, case: name, threads, size, best, ratio }): Bar => {
    const rows = hasSizes ? `, ${size?.toLocaleString("en-US")} rows` : "";
    const label = `${suite}/${name}${threads === 1 ? "" : `, ${threads} threads`}${rows}, ${best}`;
    return { group: null, label, value: ratio, spread: null, text: times(ratio), colour: COLOURS[0] };
  });
  const axis = {
    title: "times the fastest peer",
    log: true,
    mark: 1,
    format: (value: number) => `${value}x`,
  };
  const chart = barDrawing(bars, axis, WIDTH - 16);
  const foot = HEAD + chart.height;
  const height = foot + FOOT;
  const svg: Markup = html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Millrace against the fastest peer">
<style>svg{color:#1c2024}text{font:12px system-ui,sans-serif;fill:currentColor}.soft{fill:#5a636b;font-size:11px}.title{font-size:15px;font-weight:600}.back{fill:#fff}@media (prefers-color-scheme:dark){svg{color:#e6e9eb}.soft{fill:#a0a8ae}.back{fill:#15181a}}</style>
<rect class="back" width="${WIDTH}" height="${height}" rx="6"/>
<text x="16" y="26" class="title">Millrace ${machine.millrace} against the fastest peer of each case</text>
<text x="16" y="44" class="soft">rows a second over the peer's, batch mode; right of the line Millrace is faster</text>
<svg y="${HEAD}" width="${WIDTH - 16}" height="${chart.height}">${chart.picture}</svg>
<text x="16" y="${foot + 18}" class="soft">${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${machine.date.slice(0, 10)}</text>
<text x="16" y="${foot + 34}" class="soft">${reproduction(report)}</text>
</svg>`;
  return `${svg}\n`;
}
