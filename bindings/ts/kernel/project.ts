// Filters and computed columns as an operator handle.

import { OperatorKind } from "../../../kernel/abi/operator.js";
import { type Field, type Schema, valueType } from "../type/data-type.js";
import { ColumnLoader, type ColumnSpec, refuseDuplicates } from "./column-loader.js";
import { encodeProjectConfig } from "./config.js";
import type { Kernel } from "./kernel.js";
import type { Operator } from "./operator.js";

/** Keeps rows and chooses columns. Dictionary columns leave as their values. */
export interface NamedProjectSpec {
  /** All columns of the input batches; only those that are named below are copied and read. */
  readonly columns: readonly ColumnSpec[];
  /** Names of the result columns; all of them when absent. */
  readonly select?: readonly string[] | undefined;
  /** A bool column: only rows where it is true stay. */
  readonly where?: string | undefined;
}

/** The general form: an encoded program whose outputs are the result's columns. What the planner uses. */
export interface ProgramProjectSpec {
  readonly program: Uint8Array;
  /** Columns of the input batches, in the program's column order. */
  readonly columns: readonly number[];
  /** Fields of those columns, to check batches against. */
  readonly input?: readonly Field[] | undefined;
  /** Fields of the program's outputs. */
  readonly output: Schema;
  /** What to call the program's instructions in messages. */
  readonly instruction?: ((index: number) => string | undefined) | undefined;
}

export type ProjectSpec = NamedProjectSpec | ProgramProjectSpec;

export function projectOperator(kernel: Kernel, spec: ProjectSpec): Operator {
  const general = "program" in spec ? spec : compileProject(spec);
  return kernel.operator({
    kind: OperatorKind.PROJECT,
    config: encodeProjectConfig(general.program, general.output.fields.length),
    columns: general.columns,
    input: general.input,
    output: general.output,
    emitsPerPush: true,
    labels: general.output.fields.map(({ name }) => `column "${name}"`),
    instruction: general.instruction,
  });
}

function compileProject(spec: NamedProjectSpec): ProgramProjectSpec {
  const loader = new ColumnLoader(spec.columns);
  if (spec.where !== undefined) loader.filter(spec.where);
  const names = spec.select ?? spec.columns.map(({ name }) => name);
  const fields = names.map((name) => {
    const field = loader.field(name);
    return { ...field, type: valueType(field.type) };
  });
  refuseDuplicates(fields);
  for (const name of names) loader.output(name);
  return {
    program: loader.program.encode(),
    columns: loader.columns,
    input: loader.input,
    output: { fields },
  };
}
