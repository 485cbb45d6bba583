// The program that just loads the columns of a batch: how an operator reads state batches. So they get the
// same checks and the same vectors as any input.

import { Abi } from "../abi/layout";
import { Instruction, Opcode, ProgramHeader, ProgramLimit } from "../abi/instruction";
import { programCreate } from "../expression/program";
import { regionBlock, regionFree } from "../memory/region";

/**
 * A program with one output for each of the `count` columns, whose types are the u32 at `types`. 0 with the
 * error recorded when out of memory.
 */
export function loadProgramCreate(context: usize, region: usize, types: usize, count: u32): usize {
  const typesBytes: usize = (<usize>count) << 3;
  const instructions: usize = <usize>ProgramHeader.SIZE + typesBytes;
  const outputs = instructions + <usize>count * <usize>Instruction.SIZE;
  const length = (outputs + ((<usize>count) << 2) + 7) & ~7;
  const bytes = regionBlock(region, length);
  if (bytes == 0) return 0;
  memory.fill(bytes, 0, length);
  store<u32>(bytes, <u32>Abi.VERSION, <usize>ProgramHeader.VERSION);
  store<u32>(bytes, count, <usize>ProgramHeader.COLUMNS);
  store<u32>(bytes, count, <usize>ProgramHeader.REGISTERS);
  store<u32>(bytes, count, <usize>ProgramHeader.INSTRUCTIONS);
  store<u32>(bytes, count, <usize>ProgramHeader.OUTPUTS);
  for (let index: u32 = 0; index < count; index++) {
    const at: usize = (<usize>index) << 2;
    const type = load<u32>(types + at);
    store<u32>(bytes + <usize>ProgramHeader.SIZE + at, type);
    store<u32>(bytes + <usize>ProgramHeader.SIZE + ((<usize>count) << 2) + at, type);
    store<u32>(bytes + outputs + at, index);
    writeLoad(bytes + instructions + <usize>index * <usize>Instruction.SIZE, type, index);
  }
  const program = programCreate(context, region, bytes, <u32>length);
  regionFree(region, bytes);
  return program;
}

function writeLoad(instruction: usize, type: u32, index: u32): void {
  store<u16>(instruction, <u16>Opcode.LOAD, <usize>Instruction.OPCODE);
  store<u16>(instruction, <u16>type, <usize>Instruction.TYPE);
  store<u16>(instruction, <u16>index, <usize>Instruction.TARGET);
  store<u16>(instruction, <u16>ProgramLimit.NO_REGISTER, <usize>Instruction.A);
  store<u16>(instruction, <u16>ProgramLimit.NO_REGISTER, <usize>Instruction.B);
  store<u16>(instruction, <u16>ProgramLimit.NO_REGISTER, <usize>Instruction.C);
  store<u16>(instruction, <u16>ProgramLimit.NO_REGISTER, <usize>Instruction.MASK);
  store<u32>(instruction, index, <usize>Instruction.ARG0);
}
