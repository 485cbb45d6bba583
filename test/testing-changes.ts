// Sources that are changelogs, for tests: rows of which some come once more and are taken back, cut into batches, and what
// a stream over them comes to.

import fc from "fast-check";
import { type DataType, type Engine, int8, type Plan, type StreamOptions } from "../bindings/ts/index.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { type Value, writeBatch } from "../twin/values.js";
import { consolidate, fingerprint, resultRows } from "./testing-result.js";

export type Rows = readonly (readonly Value[])[];

/** Columns of a source: names, types, and what their cells may be besides null. */
export type Columns = readonly (readonly [string, DataType, fc.Arbitrary<Value>])[];

/** Cells that are often equal. */
export const CELLS = {
  whole: fc.integer({ min: -2, max: 2 }).map(BigInt),
  text: fc.constantFrom("", "a", "b", "a text that is longer than a cell"),
  float: fc.constantFrom(0, -0, 1.5, Number.NaN),
  number: fc.bigInt(0n, 9n),
} as const;

export interface Change {
  readonly row: readonly Value[];
  /** Comes once more, and is taken back; an update says +U and -U. */
  readonly extra: "none" | "delete" | "update";
  readonly came: number;
  readonly went: number;
}

export function changesOf(columns: Columns): fc.Arbitrary<readonly Change[]> {
  return fc.array(
    fc.record({
      row: fc.tuple(...columns.map(([, , cell]) => fc.option(cell, { freq: 6 }))),
      extra: fc.constantFrom("none", "delete", "update"),
      came: fc.nat(60),
      went: fc.nat(60),
    }),
    { maxLength: 22 },
  );
}

/** Rows with their kinds, as they arrive: what is taken back comes before. */
export function arriving(changes: readonly Change[], isChangelog: boolean): Rows {
  const due = changes.flatMap(({ row, extra, came, went }) => {
    const kept = { row: [...row, 0n], at: came };
    if (!isChangelog || extra === "none") return [kept];
    const [plus, minus] = extra === "update" ? [2n, 1n] : [0n, 3n];
    const [first, last] = [Math.min(came, went), Math.max(came, went)];
    return [kept, { row: [...row, plus], at: first }, { row: [...row, minus], at: last }];
  });
  return due.sort((a, b) => a.at - b.at).map(({ row }) => row);
}

/** The rows that are left of changes, as +I. */
export function left(changes: Rows): Rows {
  return consolidate(changes).map((row) => [...row, 0n]);
}

/** Batches of rows and their kinds. */
export function batches(columns: Columns, rows: Rows, cuts: readonly number[] = [], offset = 0): BatchData[] {
  const fields = [
    ...columns.map(([name, type]) => ({ name, type, nullable: true })),
    { name: "row_kind", type: int8, nullable: false },
  ];
  const edges = [0, ...cuts.map((cut) => Math.min(cut, rows.length)).sort((a, b) => a - b), rows.length];
  return edges
    .slice(1)
    .map((end, at) => writeBatch(fields, rows.slice(edges[at], end), { offset: (offset + at) % 9 }));
}

/** A result as `fingerprint` has it, what is left of it where it is a changelog. */
export function folded(names: readonly string[], rows: readonly (readonly Value[])[]): string[] {
  return fingerprint(names.at(-1) === "row_kind" ? consolidate(rows) : rows);
}

/** All that a stream gives, folded. */
export async function streamed(
  engine: Engine,
  plan: Plan<unknown>,
  inputs: Record<string, object>,
  options: StreamOptions,
): Promise<string[]> {
  const rows: Value[][] = [];
  let names: string[] = [];
  for await (const batch of engine.stream(plan, inputs, options)) {
    names = batch.schema.fields.map(({ name }) => name);
    rows.push(...resultRows(batch));
  }
  return folded(names, rows);
}
