// Comparing two canonical results: everything exactly, floats within a relative tolerance.

import { type CanonicalColumn, type CanonicalResult, listStarts } from "./canonical.js";

/** What a peer that does not sum exactly may differ by, relative to the larger value. */
export const FLOAT_TOLERANCE = 1e-9;

/**
 * And relative to the largest value of the column, for results whose terms cancel: a mean of 0 comes out as
 * 2e-16 in a peer, and rounding errors go with the terms, not with what is left of them.
 */
const CANCELLATION_TOLERANCE = 1e-13;

/** The first difference in words, or null when the results agree. A tolerance of 0 compares floats by bits. */
export function firstDifference(
  ours: CanonicalResult,
  theirs: CanonicalResult,
  tolerance = FLOAT_TOLERANCE,
): string | null {
  if (ours.rows !== theirs.rows) return `${ours.rows} rows against ${theirs.rows}`;
  for (let index = 0; index < ours.columns.length; index++) {
    const [a, b] = [ours.columns[index]!, theirs.columns[index]!];
    const same = rowComparison(a, b, tolerance);
    for (let row = 0; row < ours.rows; row++) {
      if (!same(row)) return `${a.name}, sorted row ${row}: ${show(a, row)} against ${show(b, row)}`;
    }
  }
  return null;
}

function rowComparison(a: CanonicalColumn, b: CanonicalColumn, tolerance: number): (row: number) => boolean {
  const values = valueComparison(a, b, tolerance);
  if (a.valid === null && b.valid === null) return values;
  return (row) => {
    const [ours, theirs] = [isValid(a, row), isValid(b, row)];
    return ours === theirs && (!ours || values(row));
  };
}

function valueComparison(
  a: CanonicalColumn,
  b: CanonicalColumn,
  tolerance: number,
): (row: number) => boolean {
  if (a.kind === "text" && b.kind === "text") {
    return (row) => a.dictionary[a.values[row]!] === b.dictionary[b.values[row]!];
  }
  if (a.kind === "float" && b.kind === "float") {
    const slack = tolerance === 0 ? 0 : CANCELLATION_TOLERANCE * largest(a.values);
    return (row) => sameFloat(a.values[row]!, b.values[row]!, tolerance, slack);
  }
  if (a.kind === "list-of-float" && b.kind === "list-of-float") {
    const [starts, others] = [listStarts(a.lengths), listStarts(b.lengths)];
    const slack = tolerance === 0 ? 0 : CANCELLATION_TOLERANCE * largest(a.values);
    return (row) => {
      const length = a.lengths[row]!;
      if (length !== b.lengths[row]) return false;
      for (let item = 0; item < length; item++) {
        const [ours, theirs] = [a.values[starts[row]! + item]!, b.values[others[row]! + item]!];
        if (!sameFloat(ours, theirs, tolerance, slack)) return false;
      }
      return true;
    };
  }
  if (a.kind === "int" && b.kind === "int") return (row) => a.values[row] === b.values[row];
  throw new TypeError(`column "${a.name}" is ${a.kind} here and ${b.kind} there`);
}

function sameFloat(a: number, b: number, tolerance: number, slack: number): boolean {
  if (Object.is(a, b)) return true;
  if (tolerance === 0 || !Number.isFinite(a) || !Number.isFinite(b)) return false;
  return Math.abs(a - b) <= Math.max(slack, tolerance * Math.max(Math.abs(a), Math.abs(b)));
}

/** The largest finite magnitude; 0 of none. */
function largest(values: Float64Array): number {
  let most = 0;
  for (const value of values) {
    const magnitude = Math.abs(value);
    if (magnitude > most && magnitude < Number.POSITIVE_INFINITY) most = magnitude;
  }
  return most;
}

function isValid(column: CanonicalColumn, row: number): boolean {
  return column.valid === null || column.valid[row] === 1;
}

function show(column: CanonicalColumn, row: number): string {
  if (!isValid(column, row)) return "null";
  if (column.kind === "list-of-float") {
    const start = listStarts(column.lengths)[row]!;
    return `[${column.values.subarray(start, start + column.lengths[row]!).join(", ")}]`;
  }
  return column.kind === "text"
    ? JSON.stringify(column.dictionary[column.values[row]!])
    : String(column.values[row]);
}
