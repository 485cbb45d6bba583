// Rows in order as an operator handle.

import { OperatorKind } from "../../../kernel/abi/operator.js";
import { type Field, type Schema, valueType } from "../type/data-type.js";
import { ArgumentError } from "../type/error.js";
import { ColumnLoader, type ColumnSpec, refuseDuplicates } from "./column-loader.js";
import { encodeSortConfig, type SortConfigSpec } from "./config.js";
import type { Kernel } from "./kernel.js";
import type { Operator } from "./operator.js";

export interface NamedSortKey {
  readonly column: string;
  readonly descending?: boolean | undefined;
  /** Nulls before everything else, whatever the direction; by default they come last. */
  readonly nullsFirst?: boolean | undefined;
}

/**
 * All rows by the keys, then by all other columns in their order, ascending with nulls last: equal input rows give
 * equal results whatever order they come in. Dictionary columns leave as their values.
 */
export interface NamedSortSpec {
  /** All columns of the input batches, which are the result's too. */
  readonly columns: readonly ColumnSpec[];
  readonly by: readonly NamedSortKey[];
  /** Rows to leave out at the front. */
  readonly offset?: number | undefined;
  /** Most rows of the result. Only about twice as many (and 65,536) are kept in memory then. */
  readonly limit?: number | undefined;
}

/** The general form: an encoded program whose outputs are the result's columns. What the planner uses. */
export interface ProgramSortSpec extends SortConfigSpec {
  /** Columns of the input batches, in the program's column order. */
  readonly columns: readonly number[];
  /** Fields of those columns, to check batches against. */
  readonly input?: readonly Field[] | undefined;
  /** Fields of the program's outputs. */
  readonly output: Schema;
  /** What to call the program's instructions in messages. */
  readonly instruction?: ((index: number) => string | undefined) | undefined;
}

export type SortSpec = NamedSortSpec | ProgramSortSpec;

/** @throws ArgumentError for a limit or offset that is not a whole number. */
export function sortOperator(kernel: Kernel, spec: SortSpec): Operator {
  const general = "program" in spec ? spec : compileSort(spec);
  checkCount("offset", general.offset);
  checkCount("limit", general.limit);
  return kernel.operator({
    kind: OperatorKind.SORT,
    config: encodeSortConfig(general),
    columns: general.columns,
    input: general.input,
    output: general.output,
    labels: general.output.fields.map(({ name }) => `column "${name}"`),
    instruction: general.instruction,
  });
}

function checkCount(what: string, rows: number | undefined): void {
  if (rows === undefined || (Number.isSafeInteger(rows) && rows >= 0)) return;
  throw new ArgumentError(`${what} takes a whole number of rows, not ${rows}`, { value: rows });
}

function compileSort(spec: NamedSortSpec): ProgramSortSpec {
  const loader = new ColumnLoader(spec.columns);
  const fields = spec.columns.map(({ name }) => {
    const field = loader.field(name);
    return { ...field, type: valueType(field.type) };
  });
  refuseDuplicates(fields);
  for (const { name } of fields) loader.output(name);
  const keys = spec.by.map(({ column, descending = false, nullsFirst = false }) => {
    loader.field(column);
    return { output: loader.output(column), descending, nullsFirst };
  });
  return {
    program: loader.program.encode(),
    keys,
    offset: spec.offset,
    limit: spec.limit,
    columns: loader.columns,
    input: loader.input,
    output: { fields },
  };
}
