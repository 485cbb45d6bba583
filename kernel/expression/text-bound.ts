// How many bytes of text a program can make of the bound batch: upper bounds per register, for the whole
// batch (outputs reserve them) and for any one vector (instructions that write texts reserve them).
//
// With them, memory is asked for before the first vector runs, and never during a run.

import { Abi, Type } from "../abi/layout";
import { Instruction, Opcode } from "../abi/instruction";
import { ORDER_BYTES_MAX } from "../column/order-bytes";
import { BoundColumn, boundColumn } from "./column-check";
import { InstructionState, Program, dictionaryText, instructionState, registerVector } from "./machine";
import { regionBlock, regionCapacity, regionFree } from "../memory/region";

/** Bound of one register. */
// @ts-ignore: decorator
@unmanaged
export class TextBound {
  /** Bytes over the whole batch. */
  total: u64;
  /** Bytes of one vector. */
  vector: u64;
  /** Index of the instruction that writes the register. */
  writer: u32;
  reserved: u32;
}

export const TEXT_BOUND_SIZE: usize = 24;

const ROWS: u64 = <u64>Abi.VECTOR_ROWS;
/** Most bytes that one instruction may write for one vector; past it a text is TEXT_TOO_LONG. */
export const TEXT_LIMIT: u64 = 1 << 28;
/** Below this, rows times the longest value is bound enough for a dictionary column. */
const ROUGH: u64 = 1 << 20;
/** Longest printed forms: bool, 64-bit integer, float, decimal, timestamp. */
const PRINTED: u64 = 48;

// @ts-ignore: decorator
@inline
export function textBound(program: Program, register: u32): TextBound {
  return changetype<TextBound>(program.textBounds + <usize>register * TEXT_BOUND_SIZE);
}

/** Bounds of a LOAD's column in the bound batch; measured when first asked for. */
function measureColumn(program: Program, index: u32): BoundColumn {
  const bound = boundColumn(program, index);
  if (bound.measured) return bound;
  bound.measured = 1;
  const rows = program.batchRows;
  if (bound.dictionary != 0) {
    const rough = <u64>rows * <u64>bound.dictionaryLongest;
    bound.totalBytes = rough <= ROUGH ? rough : sumCodes(bound, rows);
    bound.vectorBytes = min<u64>(bound.totalBytes, ROWS * <u64>bound.dictionaryLongest);
  } else if (rows == 0) {
    bound.totalBytes = 0;
    bound.vectorBytes = 0;
  } else {
    bound.totalBytes = textSpan(bound, 0, rows);
    let most: u64 = 0;
    for (let start: u32 = 0; start < rows; start += <u32>ROWS) {
      most = max<u64>(most, textSpan(bound, start, min<u32>(rows, start + <u32>ROWS)));
    }
    bound.vectorBytes = most;
  }
  return bound;
}

/** Bytes of rows [from, to) of a plain text column. */
function textSpan(bound: BoundColumn, from: u32, to: u32): u64 {
  const first: usize = <usize>bound.offset + <usize>from;
  const last: usize = <usize>bound.offset + <usize>to;
  return bound.large
    ? load<u64>(bound.offsets + (last << 3)) - load<u64>(bound.offsets + (first << 3))
    : <u64>(load<u32>(bound.offsets + (last << 2)) - load<u32>(bound.offsets + (first << 2)));
}

function sumCodes(bound: BoundColumn, rows: u32): u64 {
  switch (bound.codes) {
    case Type.I8:
    case Type.U8:
      return sumCodesOf<u8>(bound, rows);
    case Type.I16:
    case Type.U16:
      return sumCodesOf<u16>(bound, rows);
    case Type.I32:
    case Type.U32:
      return sumCodesOf<u32>(bound, rows);
    default:
      return sumCodesOf<u64>(bound, rows);
  }
}

function sumCodesOf<T>(bound: BoundColumn, rows: u32): u64 {
  let total: u64 = 0;
  const codes = bound.values + <usize>bound.offset * sizeof<T>();
  for (let row: u32 = 0; row < rows; row++) {
    const code = <u64>load<T>(codes + <usize>row * sizeof<T>());
    if (code >= <u64>bound.dictionaryLength) continue;
    total += dictionaryText(bound.dictionary, <u32>code) >> 32;
  }
  return total;
}

/** Upper bound of the bytes that an output's texts take, all rows counted; u32 max where it is larger, 0 where it has none. */
export function outputTextBytes(program: Program, register: u32): usize {
  if (registerVector(program, register).type != <u32>Type.BYTES) return 0;
  const bound = textBound(program, register);
  if (program.makesTexts == 0) boundRegister(program, bound.writer);
  return <usize>min<u64>(bound.total, 0xffffffff);
}

/** The column (`BoundColumn`) whose codes a register of texts holds in every vector of the bound batch; 0 where it holds none. */
export function codedColumn(program: Program, register: u32): usize {
  const instruction = program.instructions + <usize>textBound(program, register).writer * <usize>Instruction.SIZE;
  if (load<u16>(instruction, <usize>Instruction.OPCODE) != <u16>Opcode.LOAD) return 0;
  const column = boundColumn(program, load<u32>(instruction, <usize>Instruction.ARG0));
  return column.type == <u32>Type.BYTES && column.dictionary != 0 ? changetype<usize>(column) : 0;
}

/** The same for distinct texts, where a dictionary's values count once. */
export function outputDistinctBytes(program: Program, register: u32): usize {
  const bound = textBound(program, register);
  const instruction = program.instructions + <usize>bound.writer * <usize>Instruction.SIZE;
  const opcode = <u32>load<u16>(instruction, <usize>Instruction.OPCODE);
  if (opcode == <u32>Opcode.LITERAL) return load<u32>(program.pool + <usize>load<u32>(instruction, <usize>Instruction.ARG0));
  if (opcode == <u32>Opcode.LOAD) {
    const column = boundColumn(program, load<u32>(instruction, <usize>Instruction.ARG0));
    if (column.dictionary != 0) return column.dictionaryBytes;
  }
  return outputTextBytes(program, register);
}

/** Bounds every text register, and reserves what instructions write. False when out of memory. */
export function reserveTexts(program: Program): bool {
  if (program.makesTexts == 0) return true;
  for (let index: u32 = 0; index < program.instructionCount; index++) {
    const instruction = program.instructions + <usize>index * <usize>Instruction.SIZE;
    const opcode = <u32>load<u16>(instruction, <usize>Instruction.OPCODE);
    if (opcode == <u32>Opcode.FILTER) continue;
    const target = <u32>load<u16>(instruction, <usize>Instruction.TARGET);
    if (registerVector(program, target).type != <u32>Type.BYTES) continue;
    boundRegister(program, index);
    if (writesTexts(opcode) && !reserveText(program, instructionState(program, index), textBound(program, target).vector)) {
      return false;
    }
  }
  return true;
}

function reserveText(program: Program, state: InstructionState, bytes: u64): bool {
  const need = <usize>min<u64>(bytes, TEXT_LIMIT);
  if (state.text != 0 && state.textCapacity >= need) return true;
  const fresh = regionBlock(program.region, max<usize>(need, 256));
  if (fresh == 0) return false;
  regionFree(program.region, state.text);
  state.text = fresh;
  state.textCapacity = regionCapacity(fresh);
  return true;
}

/** Whether the instruction writes texts of its own (SUBSTRING, TRIM, SELECT and COALESCE hand out views). */
function writesTexts(opcode: u32): bool {
  return (
    opcode == <u32>Opcode.CASE_MAP ||
    opcode == <u32>Opcode.CONCAT ||
    opcode == <u32>Opcode.ORDER_KEY ||
    opcode == <u32>Opcode.CAST ||
    opcode == <u32>Opcode.TIME_TO_TEXT
  );
}

/** Bounds the target of instruction `index` from its operands' bounds. */
function boundRegister(program: Program, index: u32): void {
  const instruction = program.instructions + <usize>index * <usize>Instruction.SIZE;
  const bound = textBound(program, load<u16>(instruction, <usize>Instruction.TARGET));
  const argument = load<u32>(instruction, <usize>Instruction.ARG0);
  const rows: u64 = program.batchRows;
  switch (<u32>load<u16>(instruction, <usize>Instruction.OPCODE)) {
    case Opcode.LOAD: {
      const column = measureColumn(program, argument);
      setBound(bound, column.totalBytes, column.vectorBytes);
      break;
    }
    case Opcode.LITERAL: {
      const length: u64 = load<u32>(program.pool + <usize>argument);
      setBound(bound, rows * length, ROWS * length);
      break;
    }
    case Opcode.CASE_MAP: {
      const a = textBound(program, load<u16>(instruction, <usize>Instruction.A));
      const growth: u64 = instructionState(program, index).tableMask;
      setBound(bound, (a.total * growth) / 12 + 1, (a.vector * growth) / 12 + 1);
      break;
    }
    case Opcode.SUBSTRING:
    case Opcode.TRIM: {
      const a = textBound(program, load<u16>(instruction, <usize>Instruction.A));
      setBound(bound, a.total, a.vector);
      break;
    }
    case Opcode.CONCAT:
    case Opcode.COALESCE: {
      const a = textBound(program, load<u16>(instruction, <usize>Instruction.A));
      const b = textBound(program, load<u16>(instruction, <usize>Instruction.B));
      setBound(bound, a.total + b.total, a.vector + b.vector);
      break;
    }
    case Opcode.ORDER_KEY: {
      const least: u64 = ORDER_BYTES_MAX;
      setBound(bound, rows * least, ROWS * least);
      if (<u32>load<u16>(instruction, <usize>Instruction.TYPE) != <u32>Type.BYTES) break;
      const a = textBound(program, load<u16>(instruction, <usize>Instruction.A));
      setBound(bound, a.total * 2 + rows * least, a.vector * 2 + ROWS * least);
      break;
    }
    case Opcode.SELECT: {
      const b = textBound(program, load<u16>(instruction, <usize>Instruction.B));
      const c = textBound(program, load<u16>(instruction, <usize>Instruction.C));
      setBound(bound, b.total + c.total, b.vector + c.vector);
      break;
    }
    default:
      setBound(bound, rows * PRINTED, ROWS * PRINTED);
  }
}

/** Sums of sums stay far below 2^63 this way. */
function setBound(bound: TextBound, total: u64, vector: u64): void {
  bound.total = min<u64>(total, <u64>1 << 48);
  bound.vector = min<u64>(vector, <u64>1 << 48);
}
