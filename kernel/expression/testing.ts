// What the tests of this folder share: a program run over columns by a PROJECT operator of each build.

import type { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { ProgramBuilder, type Register } from "../../bindings/ts/kernel/program.js";
import { DISTINCT_BUILDS } from "../../bindings/ts/kernel/testing.js";
import type { BatchData, ColumnData } from "../../bindings/ts/type/column.js";
import type { DataType, Schema } from "../../bindings/ts/type/data-type.js";
import { physicalType, valueType } from "../../bindings/ts/type/data-type.js";
import { readColumn, type Value } from "../../twin/values.js";

export { DISTINCT_BUILDS as BUILDS };

/** Writes a program: gets the registers of the loaded columns, answers those of the outputs. */
export type Write = (program: ProgramBuilder, ...columns: Register[]) => Register[];

export function schemaOf(columns: readonly ColumnData[]): Schema {
  return { fields: columns.map(({ type }, i) => ({ name: `c${i}`, type, nullable: true })) };
}

export function batchOf(columns: readonly ColumnData[]): BatchData {
  return { schema: schemaOf(columns), length: columns[0]?.length ?? 0, columns };
}

/** The outputs (of these types) of a program over columns of one length, as plain values. */
export function runProgram(
  kernel: Kernel,
  columns: readonly ColumnData[],
  outputs: readonly DataType[],
  write: Write,
): Value[][] {
  const program = new ProgramBuilder();
  const indices = columns.map(({ type }) => program.column(physicalType(valueType(type))));
  const registers = write(program, ...indices.map((index) => program.load(index)));
  for (const register of registers) program.output(register);
  return runBytes(kernel, columns, outputs, program.encode());
}

export function runBytes(
  kernel: Kernel,
  columns: readonly ColumnData[],
  outputs: readonly DataType[],
  program: Uint8Array,
): Value[][] {
  const results = outputs.map((): Value[] => []);
  for (const batch of runBatches(kernel, columns, outputs, program)) {
    batch.columns.forEach((column, i) => {
      results[i]!.push(...readColumn(column));
    });
  }
  return results;
}

/** The output batches themselves. */
export function runBatches(
  kernel: Kernel,
  columns: readonly ColumnData[],
  outputs: readonly DataType[],
  program: Uint8Array,
): BatchData[] {
  const fields = outputs.map((type, i) => ({ name: `o${i}`, type, nullable: true }));
  const operator = kernel.project({ program, columns: columns.map((_, i) => i), output: { fields } });
  try {
    return [...operator.process(batchOf(columns))];
  } finally {
    operator.destroy();
  }
}
