// What a SORT operator does for a plan: a sort or a limit without one, and the projection before it.

import { type Kernel, type Operator, ProgramBuilder } from "../kernel/index.js";
import type { ProjectStage } from "../plan/index.js";
import { physicalType, type Schema } from "../type/data-type.js";

export interface Limit {
  readonly count: number;
  readonly offset: number;
}

export interface Order {
  /** The projection whose program the operator runs; null when it takes its input's columns as they are. */
  readonly project: ProjectStage | null;
  readonly schema: Schema;
  /** Columns of `schema`. */
  readonly by: readonly {
    readonly column: number;
    readonly descending: boolean;
    readonly nullsFirst: boolean;
  }[];
  readonly limit: Limit | null;
  /** Whether all rows that there are may leave, in order, at every watermark. */
  readonly timed: boolean;
  /** Stages of the plan that this is. */
  readonly stages: number;
}

/** All columns of the schema must be of types that the kernel knows. */
export function sortOperatorOf(kernel: Kernel, { project, schema, by, limit }: Order): Operator {
  return kernel.sort({
    program: project?.program ?? loadAll(schema),
    columns: project?.columns ?? schema.fields.map((_, index) => index),
    output: schema,
    keys: by.map(({ column, descending, nullsFirst }) => ({ output: column, descending, nullsFirst })),
    offset: limit?.offset,
    limit: limit?.count,
    instruction: (index) => project?.instructions[index],
  });
}

/** The program whose outputs are the columns themselves. */
export function loadAll(schema: Schema): Uint8Array {
  const program = new ProgramBuilder();
  for (const { type } of schema.fields) program.output(program.load(program.column(physicalType(type))));
  return program.encode();
}
