// The machine that a program runs on: its memory layout, and how instructions reach their operands.
//
// Registers are vectors. Their buffers are fixed when the program is created and shared by registers
// whose lives do not overlap, so that a long program's working set stays near its widest point. No
// register aliases another; only a LOAD may point into the batch.

import { Column, Type } from "../abi/layout";
import { Instruction, ProgramLimit } from "../abi/instruction";
import { Reason, Status } from "../abi/status";
import { VECTOR_SIZE, Vector } from "../column/vector";
import { bitmapBytes, bitmapGet, bitmapIsEmpty } from "../column/bitmap";
import { fail, failAt, failDetail, failValue } from "../memory/context";

// @ts-ignore: decorator
@unmanaged
export class Program {
  region: usize;
  /** Context of the call at hand. */
  context: usize;
  columnCount: u32;
  registerCount: u32;
  instructionCount: u32;
  outputCount: u32;
  /** u32 `Type` of each column. */
  columnTypes: usize;
  /** `Vector` of each register. */
  registers: usize;
  /** Per register: u32 address of its values' buffer, u32 of its validity's. */
  buffers: usize;
  /** `Instruction` records. */
  instructions: usize;
  /** `InstructionState` of each instruction. */
  states: usize;
  /** u32 register of each output. */
  outputs: usize;
  pool: usize;
  poolBytes: u32;
  /** `BoundColumn` of each column, for the bound batch. */
  columns: usize;
  /** The bound batch's rows. */
  batchRows: u32;
  /** The vector at hand: its first row in the batch, its rows, and those still selected. */
  start: u32;
  rows: u32;
  count: u32;
  /** u16 row numbers within the vector of the `count` selected rows; 0 when all are. */
  selection: usize;
  selectionBuffer: usize;
  /** With a FILTER, for each set of bits which they are: see `bitNumbers` of load.ts. */
  bitNumbers: usize;
  /** VECTOR_ROWS x 8 bytes each, for one instruction: operands' texts as views, or codes. */
  scratchA: usize;
  scratchB: usize;
  scratchC: usize;
  /** A bitmap: rows whose operation failed. */
  bad: usize;
  /** Bitmaps of all zeros. */
  zeros: usize;
  /** TextBound of each register; see text-bound.ts. */
  textBounds: usize;
  /** 1 when an instruction other than LOAD and LITERAL makes texts. */
  makesTexts: u32;
  /** Index of the instruction at hand. */
  at: u32;
  /** Instructions up to the last FILTER, 0 without one; and 1 when only columns are loaded after it. */
  filtered: u32;
  loadsOnly: u32;
  /** 1: columns are brought into the cache before they are read; see load.ts. What that has read is kept for no one. */
  ahead: u32;
  brought: u32;
  /** 1: columns of plain texts are not loaded; who reads them looks where they lie. */
  unviewed: u32;
  /** Whether an instruction has a text among its operands. */
  readsTexts: u32;
}

export const PROGRAM_SIZE: usize = 176;

/** What an instruction keeps from vector to vector. */
// @ts-ignore: decorator
@unmanaged
export class InstructionState {
  /** Texts that the instruction makes for one vector. */
  text: usize;
  textCapacity: usize;
  /** Text predicates over dictionaries: a byte a code (0 = unknown, 1 = false, 2 = true). */
  memo: usize;
  memoCapacity: u32;
  memoDictionary: u32;
  memoLength: u32;
  /** Codes below this one are all known. */
  memoKnown: u32;
  reserved: u32;
  /** IN: hash table of the list, and its mask. CASE_MAP: what ASCII maps to, and growth in twelfths. */
  table: usize;
  tableMask: u32;
}

export const INSTRUCTION_STATE_SIZE: usize = 40;

// @ts-ignore: decorator
@inline
export function registerVector(program: Program, register: u32): Vector {
  return changetype<Vector>(program.registers + <usize>register * VECTOR_SIZE);
}

// @ts-ignore: decorator
@inline
export function operandA(program: Program, instruction: usize): Vector {
  return registerVector(program, load<u16>(instruction, <usize>Instruction.A));
}

// @ts-ignore: decorator
@inline
export function operandB(program: Program, instruction: usize): Vector {
  return registerVector(program, load<u16>(instruction, <usize>Instruction.B));
}

// @ts-ignore: decorator
@inline
export function operandC(program: Program, instruction: usize): Vector {
  return registerVector(program, load<u16>(instruction, <usize>Instruction.C));
}

/** The target register, its values in its own buffer. Validity is the caller's to set. */
// @ts-ignore: decorator
@inline
export function targetVector(program: Program, instruction: usize): Vector {
  return ownVector(program, load<u16>(instruction, <usize>Instruction.TARGET));
}

export function ownVector(program: Program, register: u32): Vector {
  const vector = registerVector(program, register);
  const buffers = program.buffers + (<usize>register << 3);
  vector.values = load<u32>(buffers);
  vector.validity = 0;
  vector.dictionary = 0;
  vector.dictionaryId = 0;
  vector.constant = 0;
  return vector;
}

/** The bitmap that belongs to the target register. */
// @ts-ignore: decorator
@inline
export function targetValidity(program: Program, instruction: usize): usize {
  return load<u32>(program.buffers + (<usize>load<u16>(instruction, <usize>Instruction.TARGET) << 3), 4);
}

// @ts-ignore: decorator
@inline
export function instructionState(program: Program, index: u32): InstructionState {
  return changetype<InstructionState>(program.states + <usize>index * INSTRUCTION_STATE_SIZE);
}

/** Validity of a result that is null where A is. */
export function validityOf(program: Program, instruction: usize, target: Vector, a: Vector): void {
  target.validity = 0;
  if (a.validity == 0) return;
  const own = targetValidity(program, instruction);
  memory.copy(own, a.validity, bitmapBytes(program.count));
  target.validity = own;
}

/** Validity of a result that is null where A or B is. */
export function validityOfBoth(program: Program, instruction: usize, target: Vector, a: Vector, b: Vector): void {
  if (a.validity == 0) {
    validityOf(program, instruction, target, b);
    return;
  }
  validityOf(program, instruction, target, a);
  if (b.validity != 0) andValidity(program, target, b.validity);
}

/** Makes rows whose bit in `valid` is 0 null. The target must have a bitmap already. */
export function andValidity(program: Program, target: Vector, valid: usize): void {
  const own = target.validity;
  const bytes = bitmapBytes(program.count);
  for (let at: usize = 0; at < bytes; at += 8) store<u64>(own + at, load<u64>(own + at) & load<u64>(valid + at));
}

/** Makes the rows of `program.bad` null. */
export function nullBad(program: Program, instruction: usize, target: Vector): void {
  const own = targetValidity(program, instruction);
  const rows = program.count;
  const bytes = bitmapBytes(rows);
  for (let at: usize = 0; at < bytes; at += 8) {
    const valid: u64 = target.validity == 0 ? <u64>-1 : load<u64>(own + at);
    store<u64>(own + at, valid & ~load<u64>(program.bad + at));
  }
  target.validity = own;
  if ((rows & 63) != 0) {
    const last = own + (<usize>(rows >> 6) << 3);
    store<u64>(last, load<u64>(last) & ((<u64>1 << (rows & 63)) - 1));
  }
}

/** An empty `bad` bitmap for the vector at hand. */
export function badClear(program: Program): usize {
  memory.fill(program.bad, 0, bitmapBytes(program.count));
  return program.bad;
}

// @ts-ignore: decorator
@inline
export function badMark(program: Program, row: u32): void {
  const byte = program.bad + <usize>(row >> 3);
  store<u8>(byte, load<u8>(byte) | (<u8>1 << <u8>(row & 7)));
}

/** Whether any row of `bad` counts: is valid in the target and inside MASK. Leaves only those in `bad`. */
export function badCounts(program: Program, instruction: usize, target: Vector): bool {
  const bad = program.bad;
  const bytes = bitmapBytes(program.count);
  if (target.validity != 0) {
    for (let at: usize = 0; at < bytes; at += 8) store<u64>(bad + at, load<u64>(bad + at) & load<u64>(target.validity + at));
  }
  const mask = <u32>load<u16>(instruction, <usize>Instruction.MASK);
  if (mask != <u32>ProgramLimit.NO_REGISTER) {
    const vector = registerVector(program, mask);
    for (let at: usize = 0; at < bytes; at += 8) {
      let inside = load<u64>(vector.values + at);
      if (vector.validity != 0) inside &= load<u64>(vector.validity + at);
      store<u64>(bad + at, load<u64>(bad + at) & inside);
    }
  }
  return !bitmapIsEmpty(bad, program.count);
}

/** The number in the batch of row `row` of the vector at hand. */
// @ts-ignore: decorator
@inline
export function rowInBatch(program: Program, row: u32): u32 {
  return program.start + (program.selection == 0 ? row : <u32>load<u16>(program.selection + (<usize>row << 1)));
}

/**
 * After an operation that marked rows `bad`: 0 when none of them counts, else the error with the first
 * row, the instruction, and its operands A and (8-byte types) B as the value.
 */
export function raise(program: Program, instruction: usize, target: Vector, status: Status, reason: Reason): i32 {
  if (!badCounts(program, instruction, target)) return 0;
  let row: u32 = 0;
  while (bitmapGet(program.bad, row) == 0) row++;
  const context = program.context;
  failAt(context, -1, rowInBatch(program, row));
  failDetail(context, program.at);
  const a = operandA(program, instruction);
  const low = scalarLow(a, row);
  let high: u64 = a.type == <u32>Type.I128 ? load<u64>(a.values + (<usize>row << 4), 8) : 0;
  const second = <u32>load<u16>(instruction, <usize>Instruction.B);
  if (second != <u32>ProgramLimit.NO_REGISTER && a.type != <u32>Type.I128 && a.type != <u32>Type.BYTES) {
    high = scalarLow(registerVector(program, second), row);
  }
  failValue(context, a.type, low, high);
  return fail(context, status, reason);
}

/** The first 8 bytes of a value, sign-extended; of a text its address and length. */
export function scalarLow(vector: Vector, row: u32): u64 {
  const values = vector.values;
  const at: usize = row;
  switch (vector.type) {
    case Type.BOOL:
      return bitmapGet(values, row);
    case Type.I8:
      return <u64>load<i8>(values + at);
    case Type.U8:
      return load<u8>(values + at);
    case Type.I16:
      return <u64>load<i16>(values + (at << 1));
    case Type.U16:
      return load<u16>(values + (at << 1));
    case Type.I32:
      return <u64>load<i32>(values + (at << 2));
    case Type.U32:
    case Type.F32:
      return load<u32>(values + (at << 2));
    case Type.I128:
      return load<u64>(values + (at << 4));
    case Type.BYTES:
      if (vector.dictionary != 0) return dictionaryView(vector, row);
      return load<u64>(values + (at << 3));
    default:
      return load<u64>(values + (at << 3));
  }
}

/** A text of a dictionary vector, as a view. The row must be valid. */
function dictionaryView(vector: Vector, row: u32): u64 {
  return dictionaryText(vector.dictionary, load<u32>(vector.values + (<usize>row << 2)));
}

/** Value `code` of a dictionary of texts, as a view: address in the low half, length in the high one. */
// @ts-ignore: decorator
@inline
export function dictionaryText(dictionary: usize, code: u32): u64 {
  const offsets: usize = load<u32>(dictionary, <usize>Column.OFFSETS);
  const index: usize = <usize>load<u32>(dictionary, <usize>Column.OFFSET) + <usize>code;
  const large = load<u32>(dictionary) == <u32>Type.LARGE_BYTES;
  const start: u32 = large ? <u32>load<u64>(offsets + (index << 3)) : load<u32>(offsets + (index << 2));
  const end: u32 = large ? <u32>load<u64>(offsets + (index << 3), 8) : load<u32>(offsets + (index << 2), 4);
  return <u64>(load<u32>(dictionary, <usize>Column.VALUES) + start) | (<u64>(end - start) << 32);
}

/** The operand's texts as 8-byte views: its own, or its dictionary's written to `scratch`. */
export function textViews(program: Program, vector: Vector, scratch: usize): usize {
  if (vector.dictionary == 0) return vector.values;
  const dictionary = vector.dictionary;
  const length = load<u32>(dictionary, <usize>Column.LENGTH);
  const rows = program.count;
  if (length == 0) {
    memory.fill(scratch, 0, <usize>rows << 3);
    return scratch;
  }
  for (let row: u32 = 0; row < rows; row++) {
    let code = load<u32>(vector.values + (<usize>row << 2));
    // Codes of null rows may be anything.
    code = code < length ? code : 0;
    store<u64>(scratch + (<usize>row << 3), dictionaryText(dictionary, code));
  }
  return scratch;
}
