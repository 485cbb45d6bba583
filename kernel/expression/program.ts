// Programs: the filters and computed columns of an operator, run a vector at a time.
//
// A program is checked and laid out once (`programCreate`), bound to each batch (`programBind`: the whole
// batch is checked, and memory for a vector's texts reserved, so that a run cannot fail for want of
// memory), and run per vector (`programRun`): one switch per instruction, then a loop over the vector.
//
// Registers share buffers where their lives do not overlap. Literals are filled in once and keep theirs.

import { Abi, Batch, Column, Type } from "../abi/layout";
import { Instruction, Opcode, ProgramHeader, ProgramLimit } from "../abi/instruction";
import { Reason, Status } from "../abi/status";
import { typeIsKnown, typeWidth } from "../column/type";
import { BITMAP_BYTES, VECTOR_SIZE, Vector } from "../column/vector";
import { fail, failDetail, failMemory } from "../memory/context";
import { regionBlock, regionCut, regionFree } from "../memory/region";
import { executeArithmetic } from "./arithmetic";
import { executeCast } from "./cast";
import { checkInstruction } from "./check";
import { BOUND_COLUMN_SIZE, BoundColumn, bindColumns, boundColumn, valueType } from "./column-check";
import { executeComparison } from "./compare";
import { executeIn, prepareList } from "./in-list";
import { BIT_NUMBERS_SIZE, bitNumbers, executeFilter, executeLiteral, executeLoad, executeRowIndex } from "./load";
import { executeLogic } from "./logic";
import { executeText, prepareCase } from "./text";
import { prepareMemos } from "./text-predicate";
import { executeTime, truncationUnit } from "./time";
import { TEXT_BOUND_SIZE, codedColumn, outputDistinctBytes, outputTextBytes, reserveTexts, textBound } from "./text-bound";
import { INSTRUCTION_STATE_SIZE, PROGRAM_SIZE, Program, ownVector, registerVector, rowInBatch } from "./machine";

const ROWS: usize = <usize>Abi.VECTOR_ROWS;
/** A register's life that never ends. */
const FOREVER: u32 = 0xffffffff;

/**
 * A program from its bytes (see abi/instruction.ts), in memory of `region`; 0 when refused, with the
 * error recorded: BAD_PROGRAM (DETAIL = the index of the instruction at fault) or OUT_OF_MEMORY.
 */
export function programCreate(context: usize, region: usize, bytes: usize, length: u32): usize {
  if (length < <u32>ProgramHeader.SIZE || load<u32>(bytes, <usize>ProgramHeader.VERSION) != <u32>Abi.VERSION) {
    return refuse(context, 0);
  }
  const address = regionCut(region, PROGRAM_SIZE);
  if (address == 0) return outOfMemory(context, PROGRAM_SIZE);
  const program = changetype<Program>(address);
  program.region = region;
  program.context = context;
  if (!readHeader(program, bytes, length)) return refuse(context, 0);
  const copy = regionBlock(region, length);
  if (copy == 0) return outOfMemory(context, length);
  memory.copy(copy, bytes, length);
  locate(program, copy);
  if (!readTypes(program, copy)) return refuse(context, 0);
  if (!allocateTables(program)) return outOfMemory(context, 0);
  if (!checkAll(context, program)) return 0;
  if (!allocateFilter(program)) return outOfMemory(context, BIT_NUMBERS_SIZE);
  if (!allocateRegisters(program)) return outOfMemory(context, 0);
  runLiterals(program);
  return prepareAll(program) ? address : outOfMemory(context, 0);
}

function refuse(context: usize, instruction: u32): usize {
  failDetail(context, instruction);
  fail(context, Status.BAD_ARGUMENT, Reason.BAD_PROGRAM);
  return 0;
}

function outOfMemory(context: usize, bytes: usize): usize {
  failMemory(context, bytes);
  return 0;
}

/** Counts within their limits, and sections within `length`. */
function readHeader(program: Program, bytes: usize, length: u32): bool {
  const columns = load<u32>(bytes, <usize>ProgramHeader.COLUMNS);
  const registers = load<u32>(bytes, <usize>ProgramHeader.REGISTERS);
  const instructions = load<u32>(bytes, <usize>ProgramHeader.INSTRUCTIONS);
  const outputs = load<u32>(bytes, <usize>ProgramHeader.OUTPUTS);
  if (
    columns > <u32>ProgramLimit.MAX_COLUMNS ||
    registers > <u32>ProgramLimit.MAX_REGISTERS ||
    instructions > <u32>ProgramLimit.MAX_INSTRUCTIONS ||
    outputs > <u32>ProgramLimit.MAX_OUTPUTS
  ) {
    return false;
  }
  program.columnCount = columns;
  program.registerCount = registers;
  program.instructionCount = instructions;
  program.outputCount = outputs;
  program.poolBytes = load<u32>(bytes, <usize>ProgramHeader.LITERAL_BYTES);
  return <u64>poolStart(program) + <u64>program.poolBytes <= <u64>length;
}

function instructionStart(program: Program): usize {
  return (<usize>ProgramHeader.SIZE + (<usize>(program.columnCount + program.registerCount) << 2) + 7) & ~(<usize>7);
}

function outputStart(program: Program): usize {
  return instructionStart(program) + <usize>program.instructionCount * <usize>Instruction.SIZE;
}

function poolStart(program: Program): usize {
  return (outputStart(program) + (<usize>program.outputCount << 2) + 7) & ~(<usize>7);
}

function locate(program: Program, copy: usize): void {
  program.columnTypes = copy + <usize>ProgramHeader.SIZE;
  program.instructions = copy + instructionStart(program);
  program.outputs = copy + outputStart(program);
  program.pool = copy + poolStart(program);
}

/** Known types of columns and registers; LARGE_BYTES is read as BYTES. */
function readTypes(program: Program, copy: usize): bool {
  const count = program.columnCount + program.registerCount;
  const types = copy + <usize>ProgramHeader.SIZE;
  for (let index: u32 = 0; index < count; index++) {
    const type = load<u32>(types + (<usize>index << 2));
    if (!typeIsKnown(type)) return false;
    store<u32>(types + (<usize>index << 2), valueType(type));
  }
  return true;
}

function allocateTables(program: Program): bool {
  const region = program.region;
  const registers: usize = program.registerCount;
  program.registers = regionCut(region, registers * VECTOR_SIZE + 1);
  program.buffers = regionCut(region, (registers << 3) + 1);
  program.textBounds = regionCut(region, registers * TEXT_BOUND_SIZE + 1);
  program.states = regionCut(region, <usize>program.instructionCount * INSTRUCTION_STATE_SIZE + 1);
  program.columns = regionCut(region, <usize>program.columnCount * (BOUND_COLUMN_SIZE + <usize>Column.SIZE) + 1);
  const work = regionBlock(region, ROWS * 26 + BITMAP_BYTES * 2);
  if (program.registers == 0 || program.buffers == 0 || program.textBounds == 0) return false;
  if (program.states == 0 || program.columns == 0 || work == 0) return false;
  program.scratchA = work;
  program.scratchB = work + ROWS * 8;
  program.scratchC = work + ROWS * 16;
  program.selectionBuffer = work + ROWS * 24;
  program.bad = work + ROWS * 26;
  program.zeros = program.bad + BITMAP_BYTES;
  memory.fill(program.zeros, 0, BITMAP_BYTES);
  const types = program.columnTypes + (<usize>program.columnCount << 2);
  for (let register: u32 = 0; register < program.registerCount; register++) {
    registerVector(program, register).type = load<u32>(types + (<usize>register << 2));
  }
  return true;
}

/** Most programs have no filter, and have no room for what it looks up. */
function allocateFilter(program: Program): bool {
  if (program.filtered == 0) return true;
  program.bitNumbers = regionCut(program.region, BIT_NUMBERS_SIZE);
  if (program.bitNumbers == 0) return false;
  bitNumbers(program.bitNumbers);
  return true;
}

/** Checks every instruction and output; false with the error recorded. */
function checkAll(context: usize, program: Program): bool {
  const bytes = (<usize>program.registerCount << 2) + 4;
  const written = regionBlock(program.region, bytes);
  if (written == 0) {
    failMemory(context, bytes);
    return false;
  }
  memory.fill(written, 0, bytes);
  const sound = checkInstructions(context, program, written);
  regionFree(program.region, written);
  return sound;
}

function checkInstructions(context: usize, program: Program, written: usize): bool {
  let filters: u32 = 0;
  program.loadsOnly = 1;
  for (let index: u32 = 0; index < program.instructionCount; index++) {
    const instruction = instructionAt(program, index);
    const opcode = <u32>load<u16>(instruction, <usize>Instruction.OPCODE);
    if (!checkInstruction(program, instruction, written, filters)) {
      refuse(context, index);
      return false;
    }
    if (opcode == <u32>Opcode.FILTER) {
      program.filtered = index + 1;
      program.loadsOnly = 1;
      filters++;
      continue;
    }
    if (opcode != <u32>Opcode.LOAD && opcode != <u32>Opcode.LITERAL) program.loadsOnly = 0;
    if (readsTexts(program, instruction)) program.readsTexts = 1;
    noteWriter(program, load<u16>(instruction, <usize>Instruction.TARGET), opcode, index);
  }
  for (let output: u32 = 0; output < program.outputCount; output++) {
    const register = load<u32>(program.outputs + (<usize>output << 2));
    const when = register < program.registerCount ? load<u32>(written + (<usize>register << 2)) : 0;
    if (when != FOREVER && when != filters + 1) {
      refuse(context, program.instructionCount);
      return false;
    }
  }
  return true;
}

/** Whether an instruction has a text among its operands. */
function readsTexts(program: Program, instruction: usize): bool {
  for (let operand: usize = Instruction.A; operand <= <usize>Instruction.C; operand += 2) {
    const register = <u32>load<u16>(instruction + operand);
    if (register < program.registerCount && registerVector(program, register).type == <u32>Type.BYTES) return true;
  }
  return false;
}

function noteWriter(program: Program, register: u32, opcode: u32, index: u32): void {
  const vector = registerVector(program, register);
  textBound(program, register).writer = index;
  if (opcode == <u32>Opcode.LITERAL) vector.constant = 1;
  else if (opcode != <u32>Opcode.LOAD && vector.type == <u32>Type.BYTES) program.makesTexts = 1;
}

// @ts-ignore: decorator
@inline
function instructionAt(program: Program, index: u32): usize {
  return program.instructions + <usize>index * <usize>Instruction.SIZE;
}

// ---- registers

/** Bytes of a register's values. */
function bufferBytes(type: u32): usize {
  return type == <u32>Type.BYTES ? ROWS * 8 : max<usize>(ROWS * typeWidth(type), BITMAP_BYTES);
}

/**
 * Gives each register a buffer (values, then validity). Two u32 a buffer while they are dealt out: bytes
 * of its values, and the last instruction that needs it.
 */
function allocateRegisters(program: Program): bool {
  const registers: usize = program.registerCount;
  const work = regionBlock(program.region, registers * 16 + 4);
  if (work == 0) return false;
  const lastUse = work;
  const slotOf = work + (registers << 2);
  const slots = work + (registers << 3);
  measureLives(program, lastUse);
  const count = dealSlots(program, lastUse, slotOf, slots);
  const made = placeSlots(program, slotOf, slots, count);
  regionFree(program.region, work);
  return made;
}

function measureLives(program: Program, lastUse: usize): void {
  memory.fill(lastUse, 0, <usize>program.registerCount << 2);
  for (let index: u32 = 0; index < program.instructionCount; index++) {
    const instruction = instructionAt(program, index);
    for (let field: usize = <usize>Instruction.TARGET; field <= <usize>Instruction.MASK; field += 2) {
      const register = <u32>load<u16>(instruction + field);
      if (register < program.registerCount) store<u32>(lastUse + (<usize>register << 2), index);
    }
  }
  for (let output: u32 = 0; output < program.outputCount; output++) {
    store<u32>(lastUse + (<usize>load<u32>(program.outputs + (<usize>output << 2)) << 2), FOREVER);
  }
}

function dealSlots(program: Program, lastUse: usize, slotOf: usize, slots: usize): u32 {
  let count: u32 = 0;
  for (let index: u32 = 0; index < program.instructionCount; index++) {
    const instruction = instructionAt(program, index);
    const opcode = <u32>load<u16>(instruction, <usize>Instruction.OPCODE);
    if (opcode == <u32>Opcode.FILTER) continue;
    const register = <usize>load<u16>(instruction, <usize>Instruction.TARGET);
    const bytes = <u32>bufferBytes(registerVector(program, <u32>register).type);
    const literal = opcode == <u32>Opcode.LITERAL;
    let slot: u32 = literal ? count : 0;
    while (slot < count) {
      const entry = slots + (<usize>slot << 3);
      if (load<u32>(entry) == bytes && load<u32>(entry, 4) < index) break;
      slot++;
    }
    store<u32>(slots + (<usize>slot << 3), bytes);
    store<u32>(slots + (<usize>slot << 3), literal ? FOREVER : load<u32>(lastUse + (register << 2)), 4);
    store<u32>(slotOf + (register << 2), slot);
    if (slot == count) count++;
  }
  return count;
}

function placeSlots(program: Program, slotOf: usize, slots: usize, count: u32): bool {
  for (let slot: u32 = 0; slot < count; slot++) {
    const entry = slots + (<usize>slot << 3);
    const bytes: usize = load<u32>(entry);
    const block = regionBlock(program.region, bytes + BITMAP_BYTES);
    if (block == 0) return false;
    store<u32>(entry, <u32>block);
    store<u32>(entry, <u32>(block + bytes), 4);
  }
  for (let index: u32 = 0; index < program.instructionCount; index++) {
    const instruction = instructionAt(program, index);
    if (load<u16>(instruction, <usize>Instruction.OPCODE) == <u16>Opcode.FILTER) continue;
    const register = <usize>load<u16>(instruction, <usize>Instruction.TARGET);
    const entry = slots + (<usize>load<u32>(slotOf + (register << 2)) << 3);
    store<u64>(program.buffers + (register << 3), load<u64>(entry));
    ownVector(program, <u32>register);
  }
  return true;
}

function runLiterals(program: Program): void {
  for (let index: u32 = 0; index < program.instructionCount; index++) {
    const instruction = instructionAt(program, index);
    if (load<u16>(instruction, <usize>Instruction.OPCODE) == <u16>Opcode.LITERAL) executeLiteral(program, instruction);
  }
}

/** Whatever instructions keep from vector to vector. False when out of memory. */
function prepareAll(program: Program): bool {
  for (let index: u32 = 0; index < program.instructionCount; index++) {
    const instruction = instructionAt(program, index);
    const opcode = <u32>load<u16>(instruction, <usize>Instruction.OPCODE);
    if (opcode == <u32>Opcode.IN && !prepareList(program, instruction, index)) return false;
    if (opcode == <u32>Opcode.CASE_MAP && !prepareCase(program, instruction, index)) return false;
  }
  return true;
}

// ---- running

/**
 * Checks the whole batch and binds the program to it. Negative status with the error recorded and nothing
 * changed: BAD_ARGUMENT, TYPE_MISMATCH, MALFORMED, OUT_OF_MEMORY.
 */
export function programBind(context: usize, address: usize, batch: usize): i32 {
  const program = changetype<Program>(address);
  program.context = context;
  program.batchRows = 0;
  const status = bindColumns(context, program, batch);
  if (status < 0) return status;
  prepareMemos(program);
  if (reserveTexts(program)) return 0;
  program.batchRows = 0;
  return failMemory(context, 0);
}

/**
 * Evaluates rows [start, start + rows) of the bound batch; `start` is a multiple of 64, `rows` at
 * most VECTOR_ROWS (any number where `programPoints`), and no more than the batch has. Answers how many rows passed the
 * filters (outputs hold that many; bits past them may be anything), or a negative status with the error recorded.
 */
export function programRun(context: usize, address: usize, start: u32, rows: u32): i32 {
  const program = changetype<Program>(address);
  beginVector(context, program, start, rows);
  const status = executeAll(program, 0, program.instructionCount);
  return status < 0 ? status : program.count;
}

/** Whether columns are brought into the cache before they are read, from the next vector on. */
// @ts-ignore: decorator
@inline
export function programAhead(address: usize, ahead: bool): void {
  changetype<Program>(address).ahead = ahead ? 1 : 0;
}

/**
 * Says of an output whether who reads it hides the waiting for memory, so that its column is not brought into the cache before
 * (`programAhead`). For programs that do nothing but load columns.
 */
export function programHides(address: usize, output: u32, hides: bool): void {
  const program = changetype<Program>(address);
  if (program.filtered != 0 || program.loadsOnly == 0 || !programLoads(address, output)) return;
  loadedColumn(program, address, output).hidden = hides ? 1 : 0;
}

function beginVector(context: usize, program: Program, start: u32, rows: u32): void {
  program.context = context;
  program.start = start;
  program.rows = rows;
  program.count = rows;
  program.selection = 0;
}

/** Instructions [from, to), while rows are left. 0, or an error. */
function executeAll(program: Program, from: u32, to: u32): i32 {
  for (let index = from; index < to && program.count != 0; index++) {
    program.at = index;
    const status = execute(program, instructionAt(program, index));
    if (status < 0) return status;
  }
  return 0;
}

// ---- running in two steps: which rows pass, for a whole batch, then what they are

/** Whether `programSelect` does less than a run: there is a filter, and nothing but columns is loaded after it. */
export function programSelects(address: usize): bool {
  const program = changetype<Program>(address);
  return program.filtered != 0 && program.loadsOnly != 0;
}

/** Runs a program that selects as far as its last filter: how many rows passed, or an error. No output holds anything yet. */
export function programSelect(context: usize, address: usize, start: u32, rows: u32): i32 {
  const program = changetype<Program>(address);
  beginVector(context, program, start, rows);
  const status = executeAll(program, 0, program.filtered);
  return status < 0 ? status : program.count;
}

/** Whether there is one output, and all that is done behind the last filter is to gather it: a column of fixed width. */
export function programGathersOne(address: usize): bool {
  const program = changetype<Program>(address);
  const last = program.instructionCount - 1;
  if (!programSelects(address) || program.filtered != last || programOutputs(address) != 1) return false;
  if (programOutputWriter(address, 0) != last || !programLoads(address, 0)) return false;
  return isFixed(loadedColumn(program, address, 0));
}

/** Brings one output of the rows that `programSelect` left, of which there are some. */
export function programSelected(address: usize, output: u32): void {
  const program = changetype<Program>(address);
  const writer = instructionAt(program, programOutputWriter(address, output));
  if (load<u16>(writer, <usize>Instruction.OPCODE) == <u16>Opcode.LOAD) executeLoad(program, writer);
}

/** Row numbers (u16) within the vector of the rows that passed; 0 when all did. */
// @ts-ignore: decorator
@inline
export function programSelection(address: usize): usize {
  return changetype<Program>(address).selection;
}

/**
 * Goes on where `programSelect` had left `count` rows, whose numbers are at `selection` (0: all). What the instruction
 * `unloaded` would have loaded is not there then; it may be none.
 */
export function programResume(
  context: usize,
  address: usize,
  start: u32,
  selection: usize,
  count: u32,
  unloaded: u32,
): void {
  const program = changetype<Program>(address);
  beginVector(context, program, start, count);
  program.selection = selection;
  const end = program.instructionCount;
  if (unloaded < program.filtered || unloaded >= end) {
    executeAll(program, program.filtered, end);
    return;
  }
  executeAll(program, program.filtered, unloaded);
  executeAll(program, unloaded + 1, end);
}

/** Rows of the bound batch. */
export function programBatchRows(address: usize): u32 {
  return changetype<Program>(address).batchRows;
}

/** Whether an output is a column of the batch. */
export function programLoads(address: usize, output: u32): bool {
  const writer = instructionAt(changetype<Program>(address), programOutputWriter(address, output));
  return load<u16>(writer, <usize>Instruction.OPCODE) == <u16>Opcode.LOAD;
}

/** Whether an output is a column of the batch as it lies there: the program does nothing but load columns. */
function programHandsOn(address: usize, output: u32): bool {
  const program = changetype<Program>(address);
  return program.filtered == 0 && program.loadsOnly != 0 && programLoads(address, output);
}

/**
 * Where the values of an output lie for the whole bound batch, when it is a column of it of a fixed width of bytes, and the
 * program does nothing but load columns; else 0.
 */
export function programValues(address: usize, output: u32): usize {
  if (!programHandsOn(address, output)) return 0;
  const bound = loadedColumn(changetype<Program>(address), address, output);
  return isFixed(bound) ? bound.values + <usize>bound.offset * typeWidth(bound.type) : 0;
}

function isFixed(bound: BoundColumn): bool {
  return bound.dictionary == 0 && bound.type != <u32>Type.BYTES && bound.type != <u32>Type.BOOL;
}

/**
 * The same of a column of texts by dictionary whose codes lie there as u32 (or i32): where these lie; else 0. No code is
 * checked here for a null value of the dictionary.
 */
export function programCodes(address: usize, output: u32): usize {
  if (!programHandsOn(address, output)) return 0;
  const bound = loadedColumn(changetype<Program>(address), address, output);
  return isWholeCodes(bound) ? bound.values + ((<usize>bound.offset) << 2) : 0;
}

function isWholeCodes(bound: BoundColumn): bool {
  const isWhole = bound.codes == <u32>Type.I32 || bound.codes == <u32>Type.U32;
  return bound.dictionary != 0 && bound.type == <u32>Type.BYTES && isWhole && bound.dictionaryValidity == 0;
}

/**
 * Where the values of an output, or codes of texts, lie in a byte each (Column.NARROW) from the vector at hand on, when it is a
 * column without nulls and the program does nothing but load columns; else 0.
 */
export function programBytes(address: usize, output: u32): usize {
  const bytes = programBytesOrNulls(address, output);
  return bytes == 0 || loadedColumn(changetype<Program>(address), address, output).validity != 0 ? 0 : bytes;
}

/** The same of a column that may have nulls: if it does, each of them is 255, and nothing else is. */
export function programBytesOrNulls(address: usize, output: u32): usize {
  if (!programHandsOn(address, output)) return 0;
  const program = changetype<Program>(address);
  const bound = loadedColumn(program, address, output);
  if (bound.narrow == 0) return 0;
  if (bound.dictionary != 0 && (bound.type != <u32>Type.BYTES || bound.dictionaryValidity != 0)) return 0;
  return bound.narrow + <usize>bound.offset + <usize>program.start;
}

/** Whether all that runs do with the bound batch is to point at columns without nulls where they lie: values, or codes of texts. */
export function programPoints(address: usize): bool {
  const program = changetype<Program>(address);
  if (program.filtered != 0 || program.loadsOnly == 0) return false;
  for (let index: u32 = 0; index < program.instructionCount; index++) {
    const instruction = instructionAt(program, index);
    if (load<u16>(instruction, <usize>Instruction.OPCODE) != <u16>Opcode.LOAD) return false;
    const bound = boundColumn(program, load<u32>(instruction, <usize>Instruction.ARG0));
    if (bound.validity != 0 || !(isFixed(bound) || isWholeCodes(bound))) return false;
  }
  return true;
}

/**
 * The same of a column of plain texts with offsets of 32 bits: where the first row's offset lies; else 0. `programTextBase`
 * says where offset 0 would point.
 */
export function programOffsets(address: usize, output: u32): usize {
  if (!programHandsOn(address, output)) return 0;
  const bound = loadedColumn(changetype<Program>(address), address, output);
  if (bound.dictionary != 0 || bound.type != <u32>Type.BYTES || bound.large != 0) return 0;
  return bound.offsets + ((<usize>bound.offset) << 2);
}

export function programTextBase(address: usize, output: u32): usize {
  return loadedColumn(changetype<Program>(address), address, output).values;
}

/** Whether results that stay may lie in the buffers of an output that `programValues` or its like knows. */
export function programShares(address: usize, output: u32): bool {
  return loadedColumn(changetype<Program>(address), address, output).shared != 0;
}

/**
 * Whether runs leave plain texts of columns where they lie, without views of them, from now on: asked for by whoever reads
 * outputs without them. Where an instruction of the program reads a text views are made as ever.
 */
export function programLeavesTexts(address: usize, leaves: bool): void {
  const program = changetype<Program>(address);
  program.unviewed = leaves && program.readsTexts == 0 ? 1 : 0;
}

/** The validity of an output that `programValues` or its like knows, whose first bit may be that of another row; 0 where none is null. */
export function programValidity(address: usize, output: u32): usize {
  return loadedColumn(changetype<Program>(address), address, output).validity;
}

function loadedColumn(program: Program, address: usize, output: u32): BoundColumn {
  const writer = instructionAt(program, programOutputWriter(address, output));
  return boundColumn(program, load<u32>(writer, <usize>Instruction.ARG0));
}

/** Bytes that `programColumn` writes of a column of 8 bytes a row. */
export const COLUMN_BYTES: usize = VECTOR_SIZE + BITMAP_BYTES + ROWS * 8;

/**
 * Makes a `Vector` at `to` (COLUMN_BYTES) of an output that `programLoads`, 8 bytes a row, at all rows [start, start +
 * rows), before any filter. What the outputs hold is lost.
 */
export function programColumn(context: usize, address: usize, output: u32, start: u32, rows: u32, to: usize): void {
  const program = changetype<Program>(address);
  beginVector(context, program, start, rows);
  const register = load<u32>(program.outputs + (<usize>output << 2));
  executeLoad(program, instructionAt(program, programOutputWriter(address, output)));
  memory.copy(to, changetype<usize>(registerVector(program, register)), VECTOR_SIZE);
  const vector = changetype<Vector>(to);
  if (vector.validity != 0) {
    memory.copy(to + VECTOR_SIZE, vector.validity, BITMAP_BYTES);
    vector.validity = to + VECTOR_SIZE;
  }
  if (vector.values != <usize>load<u32>(program.buffers + (<usize>register << 3))) return;
  memory.copy(to + VECTOR_SIZE + BITMAP_BYTES, vector.values, <usize>rows << 3);
  vector.values = to + VECTOR_SIZE + BITMAP_BYTES;
}

function execute(program: Program, instruction: usize): i32 {
  const opcode = <u32>load<u16>(instruction, <usize>Instruction.OPCODE);
  switch (opcode) {
    case Opcode.LOAD:
      executeLoad(program, instruction);
      return 0;
    case Opcode.LITERAL:
      return 0;
    case Opcode.FILTER:
      executeFilter(program, instruction);
      return 0;
    case Opcode.ROW_INDEX:
      executeRowIndex(program, instruction);
      return 0;
    default:
      return executeOperation(program, instruction, opcode);
  }
}

function executeOperation(program: Program, instruction: usize, opcode: u32): i32 {
  if (opcode < <u32>Opcode.EQUAL) return executeArithmetic(program, instruction, opcode);
  if (opcode < <u32>Opcode.AND) {
    if (opcode == <u32>Opcode.IN) executeIn(program, instruction, opcode);
    else executeComparison(program, instruction, opcode);
    return 0;
  }
  if (opcode < <u32>Opcode.CAST) {
    executeLogic(program, instruction, opcode);
    return 0;
  }
  if (opcode == <u32>Opcode.CAST) return executeCast(program, instruction);
  if (opcode < <u32>Opcode.STARTS_WITH || opcode >= <u32>Opcode.TIME_PART) return executeTime(program, instruction, opcode);
  return executeText(program, instruction, opcode);
}

export function programOutputs(address: usize): u32 {
  return changetype<Program>(address).outputCount;
}

/** Type of an output's values, known from creation on. */
export function programOutputType(address: usize, output: u32): u32 {
  const program = changetype<Program>(address);
  return registerVector(program, load<u32>(program.outputs + (<usize>output << 2))).type;
}

/** The `Vector` of an output, valid until the next run. */
// @ts-ignore: decorator
@inline
export function programOutput(address: usize, output: u32): usize {
  const program = changetype<Program>(address);
  return program.registers + <usize>load<u32>(program.outputs + (<usize>output << 2)) * VECTOR_SIZE;
}

/**
 * Lets outputs begin so many rows later, or earlier again: those whose values are no bits. Their validity stays as it is, as do
 * the numbers of rows.
 */
export function programSkip(address: usize, rows: i32): void {
  const program = changetype<Program>(address);
  for (let register: u32 = 0; register < program.registerCount; register++) {
    const vector = registerVector(program, register);
    if (vector.type == <u32>Type.BOOL) continue;
    const width: usize = vector.type != <u32>Type.BYTES ? typeWidth(vector.type) : vector.dictionary != 0 ? 4 : 8;
    vector.values += rows * <i32>width;
  }
}

/** The number in the batch of row `row` of the last run's outputs. */
// @ts-ignore: decorator
@inline
export function programRow(address: usize, row: u32): u32 {
  return rowInBatch(changetype<Program>(address), row);
}

/** The same within the vector. */
// @ts-ignore: decorator
@inline
export function programPlace(address: usize, row: u32): u32 {
  return rowInBatch(changetype<Program>(address), row) - changetype<Program>(address).start;
}

/** Index of the instruction that makes an output. */
export function programOutputWriter(address: usize, output: u32): u32 {
  const program = changetype<Program>(address);
  return textBound(program, load<u32>(program.outputs + (<usize>output << 2))).writer;
}

/** What all values of an output are multiples apart: the unit that times are cut down to. 0 where nothing is known. */
export function programOutputStep(address: usize, output: u32): i64 {
  const writer = instructionAt(changetype<Program>(address), programOutputWriter(address, output));
  if (load<u16>(writer, <usize>Instruction.OPCODE) != <u16>Opcode.TIME_TRUNCATE) return 0;
  return truncationUnit(load<u32>(writer, <usize>Instruction.ARG0), load<i64>(writer, <usize>Instruction.IMMEDIATE));
}

/**
 * Upper bound of the bytes of a BYTES output over the whole bound batch: what appending all of its rows can
 * take. u32 max where it is larger.
 */
export function programOutputTextBytes(address: usize, output: u32): usize {
  const program = changetype<Program>(address);
  return outputTextBytes(program, load<u32>(program.outputs + (<usize>output << 2)));
}

/** Descriptor of the dictionary whose codes a BYTES output holds in every vector of the bound batch; 0 where it holds none. */
export function programOutputDictionary(address: usize, output: u32): usize {
  const column = outputColumn(address, output);
  return column == 0 ? 0 : changetype<BoundColumn>(column).dictionary;
}

/** DICTIONARY_ID of that dictionary, which there must be. */
export function programOutputDictionaryId(address: usize, output: u32): u32 {
  return changetype<BoundColumn>(outputColumn(address, output)).dictionaryId;
}

function outputColumn(address: usize, output: u32): usize {
  const program = changetype<Program>(address);
  return codedColumn(program, load<u32>(program.outputs + (<usize>output << 2)));
}

/** Upper bound of the bytes of a BYTES output's distinct texts, a dictionary's values counted once each. */
export function programOutputDistinctBytes(address: usize, output: u32): usize {
  const program = changetype<Program>(address);
  return outputDistinctBytes(program, load<u32>(program.outputs + (<usize>output << 2)));
}
