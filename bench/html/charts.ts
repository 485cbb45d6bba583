// Charts as rows: a label, a drawing as wide as there is room, a figure.
//
// Only bars, dots and lines are drawn (SVG); labels and figures are the page's own text, which wraps and keeps its
// size on any screen. A row's drawing is 100 units wide, whatever its size in pixels. The grid is one background for all
// rows of a chart: lines in each row were half of a large page's elements, and of the time until it was open.

import { html, type Markup } from "./markup.js";

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** The spread behind the value, least and most; null where there is none. */
  readonly spread: readonly [least: number, most: number] | null;
  /** What stands to the right. */
  readonly text: string;
  readonly colour: string;
  /** Begins a group: a little room above. */
  readonly first?: boolean;
}

export interface Axis {
  /** With the unit. */
  readonly title: string;
  /** By powers of ten: ratios and rates that differ a hundredfold stay readable. */
  readonly log?: boolean;
  /** Where a line goes down through all rows, such as 1 for ratios. */
  readonly mark?: number;
  readonly format: (value: number) => string;
}

/** Maps values to 0 .. 100. */
export interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

const TICKS = 4;

/** From 0 to the greatest value; by powers of ten from the power below the least one. */
export function scaleOf(values: readonly number[], isLog: boolean): Scale {
  const positive = values.filter((value) => value > 0);
  const most = positive.length === 0 ? 1 : Math.max(...positive);
  if (!isLog) {
    const step = roundStep(most / TICKS);
    const end = step * Math.ceil(most / step);
    const count = Math.round(end / step);
    const ticks = Array.from({ length: count + 1 }, (_, index) => step * index);
    return { at: (value) => (100 * Math.min(Math.max(value, 0), end)) / end, ticks };
  }
  const low = Math.floor(Math.log10(Math.min(...positive, most)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(most) - 1e-9));
  const every = Math.ceil((high - low) / TICKS);
  const ticks = Array.from(
    { length: Math.floor((high - low) / every) + 1 },
    (_, index) => 10 ** (low + index * every),
  );
  const at = (value: number) =>
    value <= 0 ? 0 : Math.min(100, Math.max(0, (100 * (Math.log10(value) - low)) / (high - low)));
  return { at, ticks };
}

/** 1, 2 or 5 times a power of ten, at least `value`. */
function roundStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= value * (1 - 1e-9))!;
}

export function barChart(bars: readonly Bar[], axis: Axis): Markup {
  const values = bars.flatMap(({ value, spread }) => [value, ...(spread ?? [])]);
  const scale = scaleOf(axis.mark === undefined ? values : [...values, axis.mark], axis.log === true);
  return html`<div class="chart" style="--grid:${grid(scale)}">${bars.map((bar) => barRow(bar, scale, axis.mark))}${axisRow(axis, scale)}</div>`;
}

/** A line of a pixel at each tick. */
function grid({ at, ticks }: Scale): string {
  const lines = ticks.map((tick) => {
    const place = figure(at(tick));
    return `linear-gradient(var(--line),var(--line)) ${place}% 0/1px 100% no-repeat`;
  });
  return lines.join(",");
}

function barRow({ label, value, spread, text, colour, first }: Bar, { at }: Scale, mark?: number): Markup {
  return html`<div class="row${first ? " first" : ""}"><span class="label">${label}</span><span class="plot"><svg viewBox="0 0 100 14" preserveAspectRatio="none" role="img" aria-label="${label}: ${text}"><rect x="0" y="2" width="${figure(at(value))}" height="10" fill="${colour}"/>${spread === null ? null : whisker(at(spread[0]), at(spread[1]))}${mark === undefined ? null : line(at(mark), "var(--text)", 1.5)}</svg></span><span class="value">${text}</span></div>
`;
}

function line(x: number, colour: string, width: number): Markup {
  return html`<line x1="${figure(x)}" x2="${figure(x)}" y1="0" y2="14" stroke="${colour}" stroke-width="${width}" vector-effect="non-scaling-stroke"/>`;
}

function whisker(from: number, to: number): Markup {
  return html`<line x1="${figure(from)}" x2="${figure(Math.max(to, from + 0.3))}" y1="7" y2="7" stroke="var(--text)" stroke-width="2" vector-effect="non-scaling-stroke"/>`;
}

function axisRow({ title, format }: Axis, { at, ticks }: Scale): Markup {
  const labels = ticks.map((tick) => html`<span style="left:${figure(at(tick))}%">${format(tick)}</span>`);
  return html`<div class="row axes"><span class="label soft">${title}</span><span class="plot"><span class="axis" style="display:block">${labels}</span></span><span></span></div>
<p class="soft">Across: ${title}${ticks.length > 1 && isLogarithmic(ticks) ? ", by powers of ten" : ""}.</p>`;
}

function isLogarithmic(ticks: readonly number[]): boolean {
  return ticks[0]! > 0;
}

export interface Series {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly text: string;
  readonly colour: string;
}

/** A line a series, each on a row and a scale of its own from 0 to its greatest value. */
export function lineRows(series: readonly Series[], across: string, up: string): Markup {
  const xs = series.flatMap(({ points }) => points.map(([x]) => x));
  const [least, most] = [Math.min(...xs), Math.max(...xs)];
  const rows = series.map(({ label, points, text, colour }) => {
    const top = Math.max(...points.map(([, y]) => y)) || 1;
    const place = ([x, y]: readonly [number, number]) =>
      [most === least ? 50 : (100 * (x - least)) / (most - least), 43 - (40 * y) / top] as const;
    const path = points.map((point) => place(point).map(figure).join(",")).join(" ");
    return html`<div class="row line first"><span class="label">${label}</span><span class="plot"><svg viewBox="0 0 100 46" preserveAspectRatio="none" role="img" aria-label="${label}: ${text}"><line x1="0" x2="100" y1="43" y2="43" stroke="var(--line)" vector-effect="non-scaling-stroke"/><polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2" vector-effect="non-scaling-stroke"/>
${points.map((point) => dot(place(point), colour))}</svg></span><span class="value">${text}</span></div>
`;
  });
  return html`<div class="chart">${rows}<p class="soft">Across: ${across}. Up: ${up}, from 0.</p></div>`;
}

/** A line of no length with round ends is a dot that no scaling makes oval. */
function dot([x, y]: readonly [number, number], colour: string): Markup {
  return html`<line x1="${figure(x)}" x2="${figure(x)}" y1="${figure(y)}" y2="${figure(y)}" stroke="${colour}" stroke-width="6" stroke-linecap="round" vector-effect="non-scaling-stroke"/>`;
}

export function legend(entries: readonly (readonly [name: string, colour: string])[]): Markup {
  return html`<p class="soft legend">${entries.map(([name, colour]) => html`<span><span class="key" style="background:${colour}"></span>${name}</span> `)}</p>`;
}

function figure(value: number): string {
  return String(Number(value.toFixed(2)));
}
