// The charts of pages: bars with their spread, dots by engine under roofs, lines, pieces of time. Each says on its axes
// what they are, with the unit.

import * as Plot from "@observablehq/plot";
import { grouped } from "../report/grouped.js";
import { displayWidth } from "../report/table.js";
import { drawing, twice } from "./drawing.js";
import { html, type Markup } from "./markup.js";

export interface Bar {
  /** Bars of a group stand together under its name; null: no name. */
  readonly group: string | null;
  readonly label: string;
  readonly value: number;
  /** The spread behind the value, least and most; null where there is none. */
  readonly spread: readonly [least: number, most: number] | null;
  /** What stands to the right. */
  readonly text: string;
  readonly colour: string;
}

export interface Axis {
  /** With the unit. */
  readonly title: string;
  /** By powers of ten: ratios and rates that differ a hundredfold stay readable. */
  readonly log?: boolean;
  /** Where a line goes down through all rows, and bars begin: 1 for ratios. */
  readonly mark?: number;
  readonly format?: (value: number) => string;
}

/** No figure of a tick is rounded. */
const PLAIN = { maximumFractionDigits: 9 };

const ROW = 18;
/** Of most letters, and of a tick's label with the room around it. */
const LETTER = 7.2;
const TICK_WIDTH = 44;
const MOST_TICKS = 6;
const AXIS_HEIGHT = 42;
/** From this many rows on the axis stands at the top, too. */
const TALL = 20;

export function barChart(bars: readonly Bar[], axis: Axis): Markup {
  return chart(twice((width) => barDrawing(bars, axis, width).picture));
}

function chart(content: Markup): Markup {
  return html`<div class="chart">${content}</div>`;
}

/** A picture of bars of one width, with its height. */
export function barDrawing(bars: readonly Bar[], axis: Axis, width: number) {
  const groups = [...grouped(bars, ({ group }) => group ?? "")];
  const lines = groups.flatMap(([name, of]) => [...(name === "" ? [] : [name]), ...of]);
  const placed = lines.map((line, y) => ({ line, y }));
  const heads = placed.flatMap(({ line, y }) => (typeof line === "string" ? [{ text: line, y }] : []));
  const rows = placed.flatMap(({ line, y }) => (typeof line === "string" ? [] : [{ ...line, y }]));
  const spreads = rows.flatMap(({ spread, y }) =>
    spread === null ? [] : [{ least: spread[0], most: Math.max(spread[1], spread[0] * 1.002), y }],
  );
  const values = [...rows.map(({ value }) => value), ...spreads.flatMap(({ least, most }) => [least, most])];
  const scale = scaleOf(axis.mark === undefined ? values : [...values, axis.mark], axis.log === true);
  const from = axis.mark ?? scale.domain[0];
  const left = roomFor(bars, width);
  const frame = frameOf({ rows: lines.length, width, left, right: 62 }, axis, scale);
  const picture = drawing(`${bars.length} bars: ${axis.title}`, {
    ...frame.options,
    marks: [
      ...frame.marks,
      Plot.barX(rows, { y: "y", x1: () => from, x2: "value", fill: "colour", insetTop: 2, insetBottom: 2 }),
      Plot.ruleY(spreads, { y: "y", x1: "least", x2: "most", strokeWidth: 2 }),
      ...(axis.mark === undefined ? [] : [Plot.ruleX([axis.mark], { strokeWidth: 1.5 })]),
      ...labelMarks(rows, heads, left),
      Plot.text(rows, { y: "y", text: "text", frameAnchor: "right", textAnchor: "end", dx: 62 }),
    ],
  });
  return { picture, height: frame.options.height };
}

interface Scale {
  readonly domain: readonly [number, number];
  /** Powers of ten; null: as the library chooses. */
  readonly ticks: readonly number[] | null;
}

/** From 0 to the greatest value; by powers of ten from the power below the least one. */
export function scaleOf(values: readonly number[], isLog: boolean): Scale {
  const positive = values.filter((value) => value > 0);
  const most = positive.length === 0 ? 1 : Math.max(...positive);
  if (!isLog) return { domain: [0, most], ticks: null };
  const low = Math.floor(Math.log10(Math.min(...positive, most)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(most) - 1e-9));
  const every = Math.ceil((high - low) / (MOST_TICKS - 1));
  const ticks: number[] = [];
  for (let power = low; power <= high; power += every) ticks.push(10 ** power);
  return { domain: [10 ** low, 10 ** high], ticks };
}

/** Pixels for the longest label, and no more than half of all. */
function roomFor(rows: readonly { readonly label: string }[], width: number): number {
  const longest = Math.max(...rows.map(({ label }) => displayWidth(label)));
  return Math.min(Math.ceil(longest * LETTER + 10), width / 2);
}

/** Size, scales and the axis of a chart of rows. */
function frameOf(
  { rows, width, left, right }: Readonly<Record<"rows" | "width" | "left" | "right", number>>,
  { title, log, format }: Axis,
  { domain, ticks }: Scale,
) {
  const hasRoom = ticks === null || width - left - right > TICK_WIDTH * ticks.length;
  const shown = hasRoom ? ticks : ticks.filter((_, index) => index % 2 === 0);
  const hasTop = rows >= TALL;
  const label = log ? `${title}, by powers of ten` : title;
  const axis = {
    ...(shown === null ? { ticks: 4 } : { ticks: [...shown] }),
    ...(format === undefined ? {} : { tickFormat: format }),
    tickSize: 0,
    labelArrow: "none" as const,
    labelAnchor: "right" as const,
  };
  const anchors = hasTop ? (["top", "bottom"] as const) : (["bottom"] as const);
  const [marginTop, marginBottom] = [hasTop ? AXIS_HEIGHT : 4, AXIS_HEIGHT];
  return {
    options: {
      width,
      height: rows * ROW + marginTop + marginBottom,
      ...{ marginLeft: left, marginRight: right, marginTop, marginBottom },
      x: { domain: [...domain], type: log ? ("log" as const) : ("linear" as const), nice: !log },
      y: {
        type: "band" as const,
        domain: Array.from({ length: rows }, (_, row) => row),
        axis: null,
        padding: 0,
      },
      color: { type: "identity" as const },
    },
    marks: [
      Plot.gridX({ ...(shown === null ? { ticks: 4 } : { ticks: [...shown] }), strokeOpacity: 0.2 }),
      ...anchors.map((anchor) => Plot.axisX({ ...axis, anchor, label })),
    ],
  };
}

interface Place {
  readonly y: number;
}

/** Names of rows, left of the plot, and of groups, from the left edge. */
function labelMarks(
  rows: readonly (Place & { readonly label: string })[],
  heads: readonly (Place & { readonly text: string })[],
  left: number,
) {
  return [
    Plot.text(rows, { y: "y", text: "label", frameAnchor: "left", textAnchor: "end", dx: -6 }),
    ...(heads.length === 0
      ? []
      : [
          Plot.text(heads, {
            y: "y",
            text: "text",
            frameAnchor: "left",
            textAnchor: "start",
            dx: -left,
            dy: 2,
            fontWeight: 600,
          }),
        ]),
  ];
}

export interface Dot {
  readonly value: number;
  readonly spread: readonly [least: number, most: number] | null;
  readonly colour: string;
  /** Drawn as a ring. */
  readonly isHollow?: boolean;
}

export interface DotRow {
  readonly label: string;
  readonly dots: readonly Dot[];
  /** Strokes across the row, by their kind: what no dot can be beyond. */
  readonly roofs?: readonly { readonly value: number; readonly isDashed: boolean }[];
}

/** A row a case, a dot an engine, by powers of ten. */
export function dotChart(rows: readonly DotRow[], title: string): Markup {
  const placed = rows.map((row, y) => ({ ...row, y }));
  const dots = placed.flatMap(({ dots, y }) => dots.map((dot) => ({ ...dot, y })));
  const spreads = dots.flatMap(({ spread, colour, y }) =>
    spread === null || spread[1] < spread[0] * 1.05 ? [] : [{ least: spread[0], most: spread[1], colour, y }],
  );
  const roofs = placed.flatMap(({ roofs = [], y }) => roofs.map((roof) => ({ ...roof, y })));
  const values = [
    ...dots.map(({ value }) => value),
    ...spreads.flatMap(({ least, most }) => [least, most]),
    ...roofs.map(({ value }) => value),
  ];
  const scale = scaleOf(values, true);
  const isFull = ({ isHollow }: Dot) => !isHollow;
  return chart(
    twice((width) => {
      const left = roomFor(rows, width);
      const frame = frameOf(
        { rows: rows.length, width, left, right: 26 },
        { title, log: true, format: (value: number) => value.toLocaleString("en-US", PLAIN) },
        scale,
      );
      const roofMarks = [false, true].map((isDashed) =>
        Plot.tickX(
          roofs.filter((roof) => roof.isDashed === isDashed),
          { x: "value", y: "y", strokeWidth: 2, ...(isDashed ? { strokeDasharray: "3,2" } : {}) },
        ),
      );
      return drawing(`${rows.length} rows of dots: ${title}`, {
        ...frame.options,
        marks: [
          ...frame.marks,
          Plot.ruleY(placed, { y: "y", strokeOpacity: 0.12 }),
          ...roofMarks,
          Plot.ruleY(spreads, { y: "y", x1: "least", x2: "most", stroke: "colour" }),
          Plot.dot(dots.filter(isFull), { x: "value", y: "y", r: 4, fill: "colour" }),
          Plot.dot(
            dots.filter((dot) => !isFull(dot)),
            { x: "value", y: "y", r: 4, stroke: "colour", strokeWidth: 2 },
          ),
          ...labelMarks(placed, [], left),
        ],
      });
    }),
  );
}

export interface Line {
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly colour: string;
  readonly isDashed?: boolean;
}

/** Small pictures that fit beside each other on a desk and below each other on a phone: a case each, a line an engine. */
export function lineCharts(
  charts: readonly { readonly title: string; readonly lines: readonly Line[] }[],
  across: Axis,
  up: string,
): Markup {
  const pictures = charts.map(({ title, lines }) => {
    const points = lines.flatMap(({ points }, z) => points.map(([x, y]) => ({ x, y, z, ...lines[z]! })));
    const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
    const ticks = across.log ? xs : xs.filter((_, index) => index % Math.ceil(xs.length / 6) === 0);
    const isDashed = (of: boolean) => points.filter((point) => (point.isDashed ?? false) === of);
    const picture = drawing(`${title}: ${up} by ${across.title}`, {
      ...{ width: 300, height: 170, marginLeft: 54, marginRight: 16, marginTop: 24, marginBottom: 36 },
      x: {
        type: across.log ? "log" : "linear",
        domain: xs.length < 2 ? [xs[0]! / 2, 2 * xs[0]!] : [xs[0]!, xs.at(-1)!],
        label: across.title,
        ticks,
        labelAnchor: "center",
        labelArrow: "none",
        ...(across.format === undefined ? {} : { tickFormat: across.format }),
      },
      y: { zero: true, nice: true, ticks: 3, tickFormat: "~r", grid: true, label: up, labelArrow: "none" },
      color: { type: "identity" },
      marks: [false, true].flatMap((of) => [
        Plot.lineY(isDashed(of), {
          ...{ x: "x", y: "y", z: "z", stroke: "colour", strokeWidth: 2 },
          ...(of ? { strokeDasharray: "4,3" } : {}),
        }),
        Plot.dot(isDashed(of), { x: "x", y: "y", r: 3, fill: "colour" }),
      ]),
    });
    return html`<figure><figcaption>${title}</figcaption>${picture}</figure>\n`;
  });
  return html`<div class="chart small">${pictures}</div>`;
}

/** A row a worker of any kind, a piece a stretch of time. */
export function timeChart(
  rows: readonly {
    readonly label: string;
    readonly colour: string;
    readonly pieces: readonly (readonly [from: number, to: number])[];
  }[],
  end: number,
  title: string,
): Markup {
  const placed = rows.map((row, y) => ({ ...row, y }));
  const pieces = placed.flatMap(({ pieces, colour, y }) =>
    pieces.map(([from, to]) => ({ from, to: Math.max(to, from + end / 1000), colour, y })),
  );
  return chart(
    twice((width) => {
      const left = roomFor(rows, width);
      const frame = frameOf(
        { rows: rows.length, width, left, right: 26 },
        { title },
        { domain: [0, end], ticks: null },
      );
      return drawing(`${rows.length} rows of pieces of time: ${title}`, {
        ...frame.options,
        x: { ...frame.options.x, nice: false },
        marks: [
          ...frame.marks,
          Plot.barX(pieces, { y: "y", x1: "from", x2: "to", fill: "colour", insetTop: 2, insetBottom: 2 }),
          ...labelMarks(placed, [], left),
        ],
      });
    }),
  );
}

export interface Key {
  readonly name: string;
  readonly colour: string;
  readonly form?: "full" | "ring" | "line" | "dashes";
}

export function legend(keys: readonly Key[]): Markup {
  const entries = keys.map(
    ({ name, colour, form = "full" }) =>
      html`<span><span class="key ${form}" style="color:${colour}"></span>${name}</span> `,
  );
  return html`<p class="soft legend">${entries}</p>`;
}
