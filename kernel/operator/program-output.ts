// Builders for a program's outputs: a batch evaluated vector by vector into columns of its own, for PROJECT and
// PARTITION.

import { Type } from "../abi/layout";
import { builderAppendVector, builderReserveBytes, outputColumn, outputCreate, outputReset } from "../column/builder";
import { Vector } from "../column/vector";
import { programOutput, programOutputDictionary, programOutputTextBytes, programOutputType, programOutputs } from "../expression/program";

/** Builders of the program's outputs; 0 when out of memory. */
export function programOutputCreate(region: usize, program: usize): usize {
  const columns = programOutputs(program);
  const output = outputCreate(region, columns);
  if (output == 0) return 0;
  for (let column: u32 = 0; column < columns; column++)
    outputColumn(output, column).type = programOutputType(program, column);
  return output;
}

/**
 * Empties the builders and makes room for all of the bound batch's rows; false when out of memory.
 * @param codes whether texts by dictionary are to stay its codes
 */
export function programOutputReserve(region: usize, program: usize, output: usize, rows: u32, codes: bool): bool {
  if (!outputReset(output, rows)) return false;
  const columns = programOutputs(program);
  for (let column: u32 = 0; column < columns; column++) {
    const builder = outputColumn(output, column);
    if (builder.type != <u32>Type.BYTES) continue;
    if (codes) builder.dictionary = programOutputDictionary(program, column);
    if (builder.dictionary != 0) continue;
    if (!builderReserveBytes(region, builder, programOutputTextBytes(program, column))) return false;
  }
  return true;
}

/** Appends the vector at hand. */
export function programOutputAppend(program: usize, output: usize, rows: u32): void {
  if (rows == 0) return;
  const columns = programOutputs(program);
  for (let column: u32 = 0; column < columns; column++)
    builderAppendVector(outputColumn(output, column), changetype<Vector>(programOutput(program, column)), rows);
}
