// The page around a report: one file that asks nothing of any network, in light and dark, from 320 pixels on.

import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { type Content, html, Markup } from "./markup.js";

/** Told apart also by the colour-blind (colours.test.ts): Okabe and Ito, 2008, and a grey. One a slot of a legend. */
export const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#6e6e6e"] as const;

/** Columns of a table that may hold numbers. */
const MOST_COLUMNS = 20;

/** Larger downloads are compressed: a page has at most 2 MB. */
const LARGE_BYTES = 200_000;

const STYLE = `
:root { color-scheme: light dark; --text: #1c2024; --soft: #5a636b; --line: #d5dade; --back: #fff; --panel: #f5f7f8; --good: #00704f; --bad: #b3420a; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9eb; --soft: #a0a8ae; --line: #3b4247; --back: #15181a; --panel: #1e2225; --good: #3ecf9c; --bad: #ff8f57; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; font: 15px/1.45 system-ui, sans-serif; color: var(--text); background: var(--back); overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .25rem; } h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
p { margin: .25rem 0 .75rem; } .soft { color: var(--soft); font-size: .87rem; }
a { color: inherit; }
.verdict { background: var(--panel); border-left: 4px solid #0072b2; padding: .75rem 1rem; margin: 1rem 0; }
.verdict b { font-size: 1.25rem; }
.chart { margin: .5rem 0 1rem; } .chart, .scroll { content-visibility: auto; contain-intrinsic-size: auto 40rem; }
.drawing { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums; } .drawing text { white-space: pre; }
.narrow { max-width: 30rem; } .wide { display: none; } @media (min-width: 60rem) { .narrow { display: none; } .wide { display: block; } }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(17.5rem, 1fr)); gap: 1rem; } .small figure { margin: 0; max-width: 24rem; } .small figcaption { font-size: .87rem; font-weight: 600; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 50%; border: 0 solid; margin-right: .3em; vertical-align: -.05em; } .full { background: currentColor; } .ring { border-width: 2px; } .line, .dashes { width: 0; border-radius: 0; border-left-width: 2px; } .dashes { border-left-style: dashed; } .legend span { margin-right: 1rem; white-space: nowrap; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .82rem; width: 100%; } th, td { padding: .2rem .5rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
th { position: sticky; top: 0; background: var(--back); } ${Array.from({ length: MOST_COLUMNS }, (_, index) => `.n${index + 1} :is(td, th):nth-child(${index + 1})`).join(", ")} { text-align: right; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .bad { color: var(--bad); } details > summary { cursor: pointer; margin: .5rem 0; }
pre { background: var(--panel); padding: .5rem .75rem; overflow-x: auto; font-size: .82rem; }
`;

export function page(title: string, body: Content): string {
  return `<!doctype html>\n${html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${new Markup(STYLE)}</style>
</head>
<body>
${body}
</body>
</html>`}\n`;
}

export interface TableColumn {
  readonly name: string;
  readonly numeric?: boolean;
}

/** Columns of numbers are told once, in the table's classes: a class in each cell is a third of a large page. */
export function dataTable(columns: readonly TableColumn[], rows: readonly (readonly Content[])[]): Markup {
  const numeric = columns.flatMap(({ numeric }, index) => (numeric ? [`n${index + 1}`] : []));
  return html`<div class="scroll"><table class="${numeric.join(" ")}"><thead><tr>${columns.map(({ name }) => html`<th>${name}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((content) => html`<td>${content}</td>`)}</tr>\n`)}</tbody></table></div>`;
}

/** A link that saves what lies behind the page; `name` ends in .json. */
export function download(name: string, text: string, what: string): Markup {
  const isLarge = text.length > LARGE_BYTES;
  const [data, type, suffix] = isLarge
    ? [gzipSync(text, { level: 9 }), "application/gzip", ".gz"]
    : [Buffer.from(text), "application/json", ""];
  return html`<a download="${name}${suffix}" href="data:${type};base64,${data.toString("base64")}">${what}${isLarge ? " (gzip)" : ""}</a>`;
}
