// IN: membership in a list of literals, by an open-addressing table made with the program.
//
// Slots hold 1 + the offset of a value in the pool. Values that compare equal (-0 and 0, all NaNs) hash
// equal; a duplicate costs a slot and nothing else.

import { Type } from "../abi/layout";
import { Instruction } from "../abi/instruction";
import { Vector } from "../column/vector";
import { bitmapBytes, bitmapClearTail, bitmapFill } from "../column/bitmap";
import { typeWidth } from "../column/type";
import { bytesEqual, hashBytes, hashWord } from "../hash/hash";
import { regionBlock } from "../memory/region";
import {
  InstructionState,
  Program,
  andValidity,
  instructionState,
  operandA,
  targetValidity,
  targetVector,
  validityOf,
} from "./machine";
import { evaluatePredicate } from "./text-predicate";

/** Makes the table of instruction `index`; false when out of memory. */
export function prepareList(program: Program, instruction: usize, index: u32): bool {
  const state = instructionState(program, index);
  const type = <u32>load<u16>(instruction, <usize>Instruction.TYPE);
  const list = load<u32>(instruction, <usize>Instruction.ARG0);
  const count = load<u32>(program.pool + <usize>list);
  let slots: u32 = 4;
  while (slots < count << 1) slots <<= 1;
  state.table = regionBlock(program.region, <usize>slots << 2);
  if (state.table == 0) return false;
  memory.fill(state.table, 0, <usize>slots << 2);
  state.tableMask = slots - 1;
  let offset = list + 8;
  for (let entry: u32 = 0; entry < count; entry++) {
    const value = program.pool + <usize>offset;
    let slot = entryHash(type, value) & state.tableMask;
    while (load<u32>(state.table + (<usize>slot << 2)) != 0) slot = (slot + 1) & state.tableMask;
    store<u32>(state.table + (<usize>slot << 2), offset + 1);
    offset += type == <u32>Type.BYTES ? (4 + load<u32>(value) + 7) & ~7 : type == <u32>Type.I128 ? 16 : 8;
  }
  return true;
}

function entryHash(type: u32, value: usize): u32 {
  switch (type) {
    case Type.BOOL:
    case Type.U8:
      return keyHash(<u64>load<u8>(value));
    case Type.I8:
      return keyHash(<u64>load<i8>(value));
    case Type.I16:
      return keyHash(<u64>load<i16>(value));
    case Type.U16:
      return keyHash(<u64>load<u16>(value));
    case Type.I32:
      return keyHash(<u64>load<i32>(value));
    case Type.U32:
      return keyHash(<u64>load<u32>(value));
    case Type.F32:
      return keyHash(keyOf<f32>(load<f32>(value)));
    case Type.F64:
      return keyHash(keyOf<f64>(load<f64>(value)));
    case Type.I128:
      return wideHash(load<u64>(value), load<u64>(value, 8));
    case Type.BYTES:
      return <u32>(hashBytes(value + 4, load<u32>(value)) >> 32);
    default:
      return keyHash(load<u64>(value));
  }
}

// @ts-ignore: decorator
@inline
function keyHash(key: u64): u32 {
  return <u32>(hashWord(key) >> 32);
}

// @ts-ignore: decorator
@inline
function wideHash(low: u64, high: u64): u32 {
  return <u32>(hashWord(low ^ (high * 0x9e3779b97f4a7c15)) >> 32);
}

/** A value as 64 bits that are equal exactly when the values are. */
// @ts-ignore: decorator
@inline
function keyOf<T>(value: T): u64 {
  if (sizeof<T>() == 8 && isFloat<T>()) {
    return value != value ? <u64>0x7ff8000000000000 : value == <T>0 ? 0 : reinterpret<u64>(<f64>value);
  }
  if (isFloat<T>()) return value != value ? 0x7fc00000 : value == <T>0 ? 0 : <u64>reinterpret<u32>(<f32>value);
  return isSigned<T>() ? <u64>(<i64>value) : <u64>value;
}

/** Whether a text (as a view) is in the list. */
export function listHolds(program: Program, instruction: usize, view: u64): bool {
  const index = <u32>((instruction - program.instructions) / <usize>Instruction.SIZE);
  const state = instructionState(program, index);
  const length = <u32>(view >> 32);
  let slot = <u32>(hashBytes(<usize>view, length) >> 32) & state.tableMask;
  while (true) {
    const entry = load<u32>(state.table + (<usize>slot << 2));
    if (entry == 0) return false;
    const value = program.pool + <usize>(entry - 1);
    if (load<u32>(value) == length && bytesEqual(value + 4, <usize>view, length)) return true;
    slot = (slot + 1) & state.tableMask;
  }
}

/** Null where A is null, or where nothing matches and the list holds a null. */
export function executeIn(program: Program, instruction: usize, opcode: u32): void {
  const target = targetVector(program, instruction);
  const a = operandA(program, instruction);
  const state = instructionState(program, program.at);
  lookUp(program, instruction, opcode, state, a, target.values);
  bitmapClearTail(target.values, program.count);
  validityOf(program, instruction, target, a);
  const list = program.pool + <usize>load<u32>(instruction, <usize>Instruction.ARG0);
  if (load<u32>(list, 4) == 0) return;
  if (target.validity == 0) {
    target.validity = targetValidity(program, instruction);
    bitmapFill(target.validity, program.count);
  }
  andValidity(program, target, target.values);
}

function lookUp(program: Program, instruction: usize, opcode: u32, state: InstructionState, a: Vector, out: usize): void {
  const count = program.count;
  switch (a.type) {
    case Type.BOOL:
      bitsIn(program, instruction, a.values, out);
      break;
    case Type.I8:
      valuesIn<i8>(program.pool, state, a.values, count, out);
      break;
    case Type.U8:
      valuesIn<u8>(program.pool, state, a.values, count, out);
      break;
    case Type.I16:
      valuesIn<i16>(program.pool, state, a.values, count, out);
      break;
    case Type.U16:
      valuesIn<u16>(program.pool, state, a.values, count, out);
      break;
    case Type.I32:
      valuesIn<i32>(program.pool, state, a.values, count, out);
      break;
    case Type.U32:
      valuesIn<u32>(program.pool, state, a.values, count, out);
      break;
    case Type.F32:
      valuesIn<f32>(program.pool, state, a.values, count, out);
      break;
    case Type.F64:
      valuesIn<f64>(program.pool, state, a.values, count, out);
      break;
    case Type.I128:
      wideIn(program.pool, state, a.values, count, out);
      break;
    case Type.BYTES:
      evaluatePredicate(program, instruction, opcode, a, out);
      break;
    default:
      valuesIn<i64>(program.pool, state, a.values, count, out);
  }
}

function valuesIn<T>(pool: usize, state: InstructionState, values: usize, count: u32, out: usize): void {
  const table = state.table;
  const mask = state.tableMask;
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++) {
      const key = keyOf<T>(load<T>(values));
      values += sizeof<T>();
      let slot = keyHash(key) & mask;
      let entry = load<u32>(table + (<usize>slot << 2));
      while (entry != 0 && keyOf<T>(load<T>(pool + <usize>(entry - 1))) != key) {
        slot = (slot + 1) & mask;
        entry = load<u32>(table + (<usize>slot << 2));
      }
      word |= <u64>(entry != 0) << bit;
    }
    store<u64>(out + <usize>(row >> 3), word);
  }
}

function wideIn(pool: usize, state: InstructionState, values: usize, count: u32, out: usize): void {
  const table = state.table;
  const mask = state.tableMask;
  memory.fill(out, 0, bitmapBytes(count));
  for (let row: u32 = 0; row < count; row++) {
    const at = values + (<usize>row << 4);
    const low = load<u64>(at);
    const high = load<u64>(at, 8);
    let slot = wideHash(low, high) & mask;
    let entry = load<u32>(table + (<usize>slot << 2));
    while (entry != 0 && (load<u64>(pool + <usize>(entry - 1)) != low || load<u64>(pool + <usize>(entry - 1), 8) != high)) {
      slot = (slot + 1) & mask;
      entry = load<u32>(table + (<usize>slot << 2));
    }
    const byte = out + <usize>(row >> 3);
    store<u8>(byte, load<u8>(byte) | (<u8>(entry != 0) << <u8>(row & 7)));
  }
}

function bitsIn(program: Program, instruction: usize, values: usize, out: usize): void {
  const list = program.pool + <usize>load<u32>(instruction, <usize>Instruction.ARG0);
  let ones: u64 = 0;
  let zeros: u64 = 0;
  for (let entry: u32 = 0; entry < load<u32>(list); entry++) {
    if (load<u8>(list + 8 + (<usize>entry << 3)) != 0) ones = <u64>-1;
    else zeros = <u64>-1;
  }
  const bytes = bitmapBytes(program.count);
  for (let at: usize = 0; at < bytes; at += 8) {
    const word = load<u64>(values + at);
    store<u64>(out + at, (word & ones) | (~word & zeros));
  }
}
