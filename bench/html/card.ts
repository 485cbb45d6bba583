// A card: the ratios as one picture for a README, with the machine, the date and the command below.
//
// An SVG file of its own: it carries its colours, for light and dark, and asks for no font.

import { isGeometricMean, type Report, reproduction } from "../report/report.js";
import { scaleOf } from "./charts.js";
import { html, type Markup } from "./markup.js";
import { COLOURS } from "./page.js";
import { times } from "./report-page.js";

const WIDTH = 760;
const LABEL = 240;
const VALUE = 110;
const LINE = 20;
const HEAD = 56;

/** Throws RangeError for a report without ratios. */
export function cardSvg(report: Report): string {
  const ratios = report.ratios.filter((ratio) => !isGeometricMean(ratio) && ratio.mode === "batch");
  if (ratios.length === 0) throw new RangeError("the report has no ratios to peers in batch mode");
  const { machine } = report;
  const scale = scaleOf([...ratios.map(({ ratio }) => ratio), 1], true);
  const plot = WIDTH - LABEL - VALUE;
  const x = (value: number) => LABEL + (scale.at(value) * plot) / 100;
  const bottom = HEAD + ratios.length * LINE;
  const height = bottom + 62;
  const hasSizes = new Set(ratios.map(({ size }) => size)).size > 1;
  const bars = ratios.map(({ suite, case: name, threads, size, best, ratio }, index) => {
    const y = HEAD + index * LINE;
    const rows = hasSizes ? `, ${size?.toLocaleString("en-US")} rows` : "";
    const label = `${suite}/${name}${threads === 1 ? "" : `, ${threads} threads`}${rows}`;
    return html`<text x="${LABEL - 8}" y="${y + 14}" text-anchor="end">${label}</text><rect x="${LABEL}" y="${y + 3}" width="${(x(ratio) - LABEL).toFixed(1)}" height="${LINE - 6}" fill="${COLOURS[0]}"/><text x="${(x(ratio) + 6).toFixed(1)}" y="${y + 14}">${times(ratio)} <tspan class="soft">${best}</tspan></text>\n`;
  });
  const ticks = scale.ticks.map(
    (tick) =>
      html`<line x1="${x(tick).toFixed(1)}" x2="${x(tick).toFixed(1)}" y1="${HEAD}" y2="${bottom}" class="grid"/><text x="${x(tick).toFixed(1)}" y="${bottom + 14}" text-anchor="middle" class="soft">${tick}x</text>`,
  );
  const svg: Markup = html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Millrace against the fastest peer">
<style>text{font:12px system-ui,sans-serif;fill:#1c2024}.soft{fill:#5a636b;font-size:11px}.title{font-size:15px;font-weight:600}.grid{stroke:#d5dade}.one{stroke:#1c2024;stroke-width:1.5}.back{fill:#fff}@media (prefers-color-scheme:dark){text{fill:#e6e9eb}.soft{fill:#a0a8ae}.grid{stroke:#3b4247}.one{stroke:#e6e9eb}.back{fill:#15181a}}</style>
<rect class="back" width="${WIDTH}" height="${height}" rx="6"/>
<text x="16" y="26" class="title">Millrace ${machine.millrace} against the fastest peer of each case</text>
<text x="16" y="44" class="soft">rows a second over the peer's, batch mode, by powers of ten; right of the line Millrace is faster</text>
${ticks}${bars}<line x1="${x(1).toFixed(1)}" x2="${x(1).toFixed(1)}" y1="${HEAD}" y2="${bottom}" class="one"/>
<text x="16" y="${bottom + 34}" class="soft">${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${machine.date.slice(0, 10)}</text>
<text x="16" y="${bottom + 50}" class="soft">${reproduction(report)}</text>
</svg>`;
  return `${svg}\n`;
}
