// Sorts for tests: operators, their rows, what the naive twin makes of them, and values that are hard to tell apart.

import fc from "fast-check";
import { loadedType } from "../../bindings/ts/kernel/column-loader.js";
import type { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { type DataType, valueType } from "../../bindings/ts/type/data-type.js";
import { bitsOf } from "../../bindings/ts/type/testing.js";
import { sortRows } from "../../twin/plan.js";
import type { Value } from "../../twin/values.js";
import { SortFault } from "../abi/operator.js";
import { batchOf, valuesOf } from "../operator/testing.js";

export interface Key {
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

export interface Query {
  readonly types: readonly DataType[];
  readonly by: readonly Key[];
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
  readonly faults?: number | undefined;
}

export function open(kernel: Kernel, { types, by, ...rest }: Query): Operator {
  const program = new ProgramBuilder();
  for (const type of types) program.output(program.load(program.column(loadedType(type))));
  return kernel.sort({
    ...rest,
    program: program.encode(),
    keys: by.map(({ column, descending, nullsFirst }) => ({ output: column, descending, nullsFirst })),
    columns: types.map((_, index) => index),
    output: {
      fields: types.map((type, index) => ({ name: `c${index}`, type: valueType(type), nullable: true })),
    },
  });
}

export type Rows = readonly (readonly Value[])[];

export function pushRows(
  operator: Operator,
  types: readonly DataType[],
  rows: Rows,
  sizes: readonly number[],
): void {
  let start = 0;
  for (let index = 0; start < rows.length; index++) {
    const end = Math.min(rows.length, start + (sizes[index] ?? rows.length));
    const part = rows.slice(start, end);
    operator.push(
      batchOf(
        types,
        types.map((_, column) => part.map((row) => row[column]!)),
        index % 9,
        index % 2 === 1,
      ),
    );
    start = end;
  }
}

export function expected({ by, offset = 0, limit }: Query, rows: Rows): Rows {
  return sortRows(rows, by).slice(offset, limit === undefined ? undefined : offset + limit);
}

export const bits = (rows: Rows) => rows.map((row) => row.map(bitsOf));

export const FAULTS = [
  0,
  SortFault.NARROW_WORDS,
  SortFault.TINY_CACHE,
  SortFault.CUT_OFTEN,
  SortFault.NARROW_WORDS | SortFault.TINY_CACHE | SortFault.CUT_OFTEN,
];

export const TEXTS = [
  "",
  "\0",
  "a",
  "a\0",
  "a\0\0b",
  "shared prefix of more than 16 bytes",
  "shared prefix of more than 16 bytes!",
];
export const awkward = (type: DataType): fc.Arbitrary<Value> =>
  valueType(type).kind === "utf8"
    ? fc.oneof(
        valuesOf(type),
        fc.constantFrom(...TEXTS),
        fc.nat(3).map((n) => "shared prefix ".repeat(n) + n),
      )
    : valuesOf(type);
