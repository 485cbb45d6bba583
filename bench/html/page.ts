// The page around a report: one file that asks nothing of any network, in light and dark, from 320 pixels on.

import { Buffer } from "node:buffer";
import { type Content, html, Markup } from "./markup.js";

/** Told apart also by the colour-blind (colours.test.ts): Okabe and Ito, 2008, and a grey. One a slot of a legend. */
export const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#6e6e6e"] as const;

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
.chart .row:not(.line) > .plot > svg { background: var(--grid); }
.row { display: grid; grid-template-columns: minmax(6rem, 16rem) minmax(0, 1fr) 5.5rem; gap: .5rem; align-items: center; font-size: .87rem; }
.row + .row { margin-top: 2px; } .row.first { margin-top: .5rem; }
.row svg { display: block; width: 100%; height: 14px; overflow: visible; }
.row.line svg { height: 46px; }
.row .value { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.axis { position: relative; height: 1.2rem; font-size: .75rem; color: var(--soft); }
.axis span { position: absolute; transform: translateX(-50%); white-space: nowrap; } .axis span:first-child { transform: none; } .axis span:last-child { transform: translateX(-100%); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .3em; vertical-align: -.05em; } .legend span { margin-right: 1rem; white-space: nowrap; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .82rem; width: 100%; } th, td { padding: .2rem .5rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
th { position: sticky; top: 0; background: var(--back); } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .bad { color: var(--bad); } details > summary { cursor: pointer; margin: .5rem 0; }
pre { background: var(--panel); padding: .5rem .75rem; overflow-x: auto; font-size: .82rem; }
@media (max-width: 34rem) { .row { grid-template-columns: minmax(0, 1fr) 5.5rem; } .row .plot { grid-column: 1 / 3; grid-row: 2; } .row.axes .label { display: none; } }
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

export function dataTable(columns: readonly TableColumn[], rows: readonly (readonly Content[])[]): Markup {
  const cell = (tag: "th" | "td", content: Content, { numeric }: TableColumn) =>
    new Markup(`<${tag}${numeric ? ' class="number"' : ""}>${html`${content}`}</${tag}>`);
  return html`<div class="scroll"><table><thead><tr>${columns.map((column) => cell("th", column.name, column))}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((content, index) => cell("td", content, columns[index]!))}</tr>\n`)}</tbody></table></div>`;
}

/** A link that saves what lies behind the page. */
export function download(name: string, text: string, what: string): Markup {
  const data = Buffer.from(text).toString("base64");
  return html`<a download="${name}" href="data:application/json;base64,${data}">${what}</a>`;
}
