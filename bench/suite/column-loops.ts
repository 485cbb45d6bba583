// Group-by in JavaScript a column at a time, nulls and any number of groups included.
//
// The hand-written loops of groupby.ts take no nulls and few groups: a null check in them would cost the plain
// questions what it earns the others. These first number the groups (keys in a small range by arithmetic, others
// through the open-addressing table), then run one tight loop over typed arrays for each measure.

import type { PlainTable } from "../input/plain-table.js";
import type { RawColumn, RawResult } from "../result/canonical.js";
import { columnOf, directSize, WordPairGroups } from "./typed-loops.js";

/** What a question computes of each group; the last two of both columns, over the rows where neither is null. */
export type Measure =
  | { readonly kind: "rows" }
  | { readonly kind: "sum"; readonly column: string }
  | { readonly kind: "mean"; readonly column: string }
  | { readonly kind: "median"; readonly column: string }
  | { readonly kind: "sd"; readonly column: string }
  | { readonly kind: "two-largest"; readonly column: string }
  | { readonly kind: "max-less-min"; readonly columns: readonly [string, string] }
  | { readonly kind: "correlation" | "squared-correlation"; readonly columns: readonly [string, string] };

export interface GroupingQuestion {
  readonly keys: readonly string[];
  readonly measures: Readonly<Record<string, Measure>>;
}

/** The loop of a question over the input `t`. Keys and values are brought into form before the clock. */
export function columnLoop({ keys, measures }: GroupingQuestion) {
  return ({ t }: Readonly<Record<string, PlainTable>>) => {
    const keyColumns = keys.map((name) => keyColumn(t!, name));
    const measured = Object.entries(measures).map(
      ([name, measure]) => [name, measureOf(t!, measure)] as const,
    );
    return (): RawResult => {
      const groups = numberGroups(keyColumns, t!.rows);
      const columns: Record<string, RawColumn> = {};
      for (const key of keyColumns) columns[key.name] = key.at(groups.firstRows);
      for (const [name, measure] of measured) columns[name] = measure(groups);
      return { rows: groups.firstRows.length, columns };
    };
  };
}

interface KeyColumn {
  readonly name: string;
  /** Below `width`; nulls have a code of their own. */
  readonly codes: Int32Array;
  readonly width: number;
  /** The key's values at rows. */
  at(rows: Int32Array): RawColumn;
}

function keyColumn(table: PlainTable, name: string): KeyColumn {
  const { values, valid, dictionary } = columnOf(table, name, false);
  const plain = Int32Array.from(values as Int32Array);
  const size = dictionary === null ? directSize(plain) : dictionary.length;
  const codes = valid === null ? plain : plain.map((code, row) => (valid[row] === 1 ? code : size));
  const at = (rows: Int32Array): RawColumn => ({
    values: rows.map((row) => plain[row]!),
    valid: valid === null ? null : rows.map((row) => valid[row]!),
    ...(dictionary === null ? {} : { dictionary }),
  });
  return { name, codes, width: size + 1, at };
}

export interface Groups {
  /** The group of each row, 0 up to `firstRows.length` - 1. */
  readonly ids: Int32Array;
  readonly firstRows: Int32Array;
}

/** Up to so many combinations of keys are numbered by an array of them. */
const DIRECT_WIDTH = 1 << 21;

function numberGroups(keys: readonly KeyColumn[], rows: number): Groups {
  if (keys.length === 0) return { ids: new Int32Array(rows), firstRows: new Int32Array(Math.min(rows, 1)) };
  let { codes, width } = keys[0]!;
  for (const next of keys.slice(1)) {
    if (width * next.width <= DIRECT_WIDTH) {
      codes = product(codes, next.codes, next.width);
      width *= next.width;
    } else {
      ({ codes, width } = pairs(codes, next.codes));
    }
  }
  const numbers = new Int32Array(width).fill(-1);
  const [ids, firstRows] = [new Int32Array(rows), new Int32Array(Math.min(rows, width))];
  let groups = 0;
  for (let row = 0; row < rows; row++) {
    let id = numbers[codes[row]!]!;
    if (id < 0) {
      id = groups++;
      numbers[codes[row]!] = id;
      firstRows[id] = row;
    }
    ids[row] = id;
  }
  return { ids, firstRows: firstRows.subarray(0, groups) };
}

function product(codes: Int32Array, next: Int32Array, width: number): Int32Array {
  const out = new Int32Array(codes.length);
  for (let row = 0; row < codes.length; row++) out[row] = codes[row]! * width + next[row]!;
  return out;
}

function pairs(codes: Int32Array, next: Int32Array) {
  const table = new WordPairGroups(1 << 16);
  const out = new Int32Array(codes.length);
  for (let row = 0; row < codes.length; row++) out[row] = table.group(codes[row]!, next[row]!);
  return { codes: out, width: table.groups };
}

type MeasureLoop = (groups: Groups) => RawColumn;

export interface Values {
  readonly values: Int32Array | Float64Array;
  /** A byte a row, all 1 where nothing is null. */
  readonly valid: Uint8Array;
}

function valuesOf(table: PlainTable, name: string): Values {
  const { values, valid, rows } = columnOf(table, name, false);
  return { values: values as Int32Array, valid: valid ?? new Uint8Array(rows).fill(1) };
}

function measureOf(table: PlainTable, measure: Measure): MeasureLoop {
  switch (measure.kind) {
    case "rows":
      return countRows;
    case "sum": {
      const values = valuesOf(table, measure.column);
      return (groups) => sums(groups, values).sum;
    }
    case "mean": {
      const values = valuesOf(table, measure.column);
      return (groups) => means(groups, values);
    }
    case "median": {
      const values = valuesOf(table, measure.column);
      return (groups) => medians(groups, values);
    }
    case "sd": {
      const values = valuesOf(table, measure.column);
      return (groups) => deviations(groups, values);
    }
    case "two-largest": {
      const values = valuesOf(table, measure.column);
      return (groups) => twoLargest(groups, values);
    }
    case "max-less-min": {
      const [high, low] = measure.columns;
      const [a, b] = [valuesOf(table, high), valuesOf(table, low)];
      return (groups) => maxLessMin(groups, a, b);
    }
    case "correlation":
    case "squared-correlation": {
      const [x, y] = measure.columns;
      const [a, b] = [valuesOf(table, x), valuesOf(table, y)];
      const isSquared = measure.kind === "squared-correlation";
      return (groups) => correlation(groups, a, b, isSquared);
    }
  }
}

function countRows({ ids, firstRows }: Groups): RawColumn {
  const counts = new Float64Array(firstRows.length);
  for (let row = 0; row < ids.length; row++) counts[ids[row]!]! += 1;
  return { values: counts };
}

/** Sums, and how many values each has; null values are 0 in data files. */
function sums({ ids, firstRows }: Groups, { values, valid }: Values) {
  const sum = new Float64Array(firstRows.length);
  const counts = new Uint32Array(firstRows.length);
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row]!;
    const there = valid[row]!;
    sum[id]! += there * values[row]!;
    counts[id]! += there;
  }
  return { sum: { values: sum, valid: counts }, counts };
}

function means(groups: Groups, values: Values): RawColumn {
  const { sum, counts } = sums(groups, values);
  return { values: sum.values.map((total, group) => total / counts[group]!), valid: counts };
}

/** Each group's values side by side, sorted by the host's own sort of doubles. */
function medians(groups: Groups, values: Values): RawColumn {
  const { starts, grouped } = valuesByGroup(groups, values);
  const size = groups.firstRows.length;
  const [out, valid] = [new Float64Array(size), new Uint8Array(size)];
  for (let group = 0; group < size; group++) {
    const own = grouped.subarray(starts[group]!, starts[group + 1]!).sort();
    if (own.length === 0) continue;
    const upper = own.length >> 1;
    valid[group] = 1;
    out[group] = own.length % 2 === 1 ? own[upper]! : (own[upper - 1]! + own[upper]!) / 2;
  }
  return { values: out, valid };
}

/** Values that are not null by group, in the order of the rows; group g has those from `starts[g]` to `starts[g + 1]`. */
export function valuesByGroup({ ids, firstRows }: Groups, { values, valid }: Values) {
  const starts = new Uint32Array(firstRows.length + 1);
  for (let row = 0; row < ids.length; row++) starts[ids[row]! + 1]! += valid[row]!;
  for (let group = 0; group < firstRows.length; group++) starts[group + 1]! += starts[group]!;
  const next = starts.slice();
  const grouped = new Float64Array(starts[firstRows.length]!);
  for (let row = 0; row < ids.length; row++) {
    if (valid[row] === 0) continue;
    grouped[next[ids[row]!]!] = values[row]!;
    next[ids[row]!]! += 1;
  }
  return { starts, grouped };
}

/** Standard deviations of samples, in two passes: the squares' distance from the mean keeps its digits. */
function deviations(groups: Groups, values: Values): RawColumn {
  const { ids, firstRows } = groups;
  const { sum, counts } = sums(groups, values);
  const mean = sum.values.map((total, group) => total / counts[group]!);
  const squares = new Float64Array(firstRows.length);
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row]!;
    const distance = values.values[row]! - mean[id]!;
    squares[id]! += values.valid[row]! * distance * distance;
  }
  const out = squares.map((total, group) => Math.sqrt(total / (counts[group]! - 1)));
  return { values: out, valid: Uint8Array.from(counts, (count) => (count > 1 ? 1 : 0)) };
}

function twoLargest({ ids, firstRows }: Groups, { values, valid }: Values): RawColumn {
  const size = firstRows.length;
  const first = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  const second = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  for (let row = 0; row < ids.length; row++) {
    const value = values[row]!;
    const id = ids[row]!;
    if (valid[row] === 0 || value <= second[id]!) continue;
    if (value > first[id]!) {
      second[id] = first[id]!;
      first[id] = value;
    } else {
      second[id] = value;
    }
  }
  const lists = Array.from(first, (value, group) =>
    [value, second[group]!].filter((item) => item !== Number.NEGATIVE_INFINITY),
  );
  return { values: lists.map((list) => (list.length === 0 ? null : list)) };
}

function maxLessMin({ ids, firstRows }: Groups, a: Values, b: Values): RawColumn {
  const high = new Float64Array(firstRows.length).fill(Number.NEGATIVE_INFINITY);
  const low = new Float64Array(firstRows.length).fill(Number.POSITIVE_INFINITY);
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row]!;
    if (a.valid[row] === 1 && a.values[row]! > high[id]!) high[id] = a.values[row]!;
    if (b.valid[row] === 1 && b.values[row]! < low[id]!) low[id] = b.values[row]!;
  }
  const values = high.map((value, group) => value - low[group]!);
  return { values, valid: Uint8Array.from(values, (value) => (Number.isFinite(value) ? 1 : 0)) };
}

/** Of small integers, whose sums are exact in float64 as they are. */
function correlation({ ids, firstRows }: Groups, a: Values, b: Values, isSquared: boolean): RawColumn {
  const size = firstRows.length;
  const counts = new Uint32Array(size);
  const [x, y, xy] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  const [xx, yy] = [new Float64Array(size), new Float64Array(size)];
  for (let row = 0; row < ids.length; row++) {
    if (a.valid[row] === 0 || b.valid[row] === 0) continue;
    const id = ids[row]!;
    const [p, q] = [a.values[row]!, b.values[row]!];
    counts[id]! += 1;
    x[id]! += p;
    y[id]! += q;
    xy[id]! += p * q;
    xx[id]! += p * p;
    yy[id]! += q * q;
  }
  const values = x.map((sx, group) => {
    const [n, sy] = [counts[group]!, y[group]!];
    const [above, below] = [
      n * xy[group]! - sx * sy,
      (n * xx[group]! - sx * sx) * (n * yy[group]! - sy * sy),
    ];
    return isSquared ? above ** 2 / below : above / Math.sqrt(below);
  });
  return { values, valid: counts };
}
