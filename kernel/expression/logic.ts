// Three-valued logic on bitmaps, 64 rows at a time, and the choices that depend on it (CASE, COALESCE).
//
// A null row's value bit may be anything, so every formula takes the validity into account before the
// value. Results are cut to the last row: literals' bitmaps are not.

import { Type } from "../abi/layout";
import { Opcode } from "../abi/instruction";
import { Vector } from "../column/vector";
import { bitmapBytes, bitmapClearTail, bitmapFill } from "../column/bitmap";
import { typeWidth } from "../column/type";
import {
  Program,
  operandA,
  operandB,
  operandC,
  targetValidity,
  targetVector,
  textViews,
  validityOf,
} from "./machine";

export function executeLogic(program: Program, instruction: usize, opcode: u32): void {
  const target = targetVector(program, instruction);
  const a = operandA(program, instruction);
  switch (opcode) {
    case Opcode.AND:
      andOr<And>(program, instruction, target, a, operandB(program, instruction));
      break;
    case Opcode.OR:
      andOr<Or>(program, instruction, target, a, operandB(program, instruction));
      break;
    case Opcode.NOT:
      not(program, target.values, a.values);
      validityOf(program, instruction, target, a);
      break;
    case Opcode.IS_NULL:
    case Opcode.IS_NOT_NULL:
      isNotNull(program, target.values, a.validity);
      if (opcode == <u32>Opcode.IS_NULL) not(program, target.values, target.values);
      break;
    case Opcode.IS_TRUE:
      isTrue(program, a, target.values);
      break;
    case Opcode.IS_NAN:
      if (a.type == <u32>Type.F64) isNaNs<f64>(program, a.values, target.values);
      else isNaNs<f32>(program, a.values, target.values);
      validityOf(program, instruction, target, a);
      break;
    case Opcode.SELECT:
      chooseByA(program, instruction, target, a);
      break;
    default:
      coalesce(program, instruction, target, a);
  }
  if (target.type == <u32>Type.BOOL) bitmapClearTail(target.values, program.count);
}

// AND and OR share a loop; the operator is a type parameter, told apart by its size.
type And = u8;
type Or = u16;

/** Known where both are known, or where one is known and decides. */
function andOr<Op>(program: Program, instruction: usize, target: Vector, a: Vector, b: Vector): void {
  const bytes = bitmapBytes(program.count);
  const out = target.values;
  if (a.validity == 0 && b.validity == 0) {
    for (let at: usize = 0; at < bytes; at += 8) {
      const x = load<u64>(a.values + at);
      const y = load<u64>(b.values + at);
      store<u64>(out + at, sizeof<Op>() == sizeof<And>() ? x & y : x | y);
    }
    return;
  }
  const own = targetValidity(program, instruction);
  for (let at: usize = 0; at < bytes; at += 8) {
    const x = load<u64>(a.values + at);
    const y = load<u64>(b.values + at);
    const validX: u64 = a.validity == 0 ? <u64>-1 : load<u64>(a.validity + at);
    const validY: u64 = b.validity == 0 ? <u64>-1 : load<u64>(b.validity + at);
    // False decides AND, true decides OR.
    const decidesX = validX & (sizeof<Op>() == sizeof<And>() ? ~x : x);
    const decidesY = validY & (sizeof<Op>() == sizeof<And>() ? ~y : y);
    const decided = decidesX | decidesY;
    store<u64>(out + at, sizeof<Op>() == sizeof<And>() ? ~decided : decided);
    store<u64>(own + at, (validX & validY) | decided);
  }
  bitmapClearTail(own, program.count);
  target.validity = own;
}

function not(program: Program, out: usize, words: usize): void {
  const bytes = bitmapBytes(program.count);
  for (let at: usize = 0; at < bytes; at += 8) store<u64>(out + at, ~load<u64>(words + at));
}

function isNotNull(program: Program, out: usize, validity: usize): void {
  if (validity == 0) bitmapFill(out, program.count);
  else memory.copy(out, validity, bitmapBytes(program.count));
}

function isTrue(program: Program, a: Vector, out: usize): void {
  const bytes = bitmapBytes(program.count);
  for (let at: usize = 0; at < bytes; at += 8) {
    const valid: u64 = a.validity == 0 ? <u64>-1 : load<u64>(a.validity + at);
    store<u64>(out + at, load<u64>(a.values + at) & valid);
  }
}

function isNaNs<T>(program: Program, values: usize, out: usize): void {
  const count = program.count;
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++) {
      const value = load<T>(values);
      word |= <u64>(value != value) << bit;
      values += sizeof<T>();
    }
    store<u64>(out + <usize>(row >> 3), word);
  }
}

/** A true ? B : C. */
function chooseByA(program: Program, instruction: usize, target: Vector, a: Vector): void {
  const chosen = program.bad;
  isTrue(program, a, chosen);
  choose(program, instruction, target, chosen, operandB(program, instruction), operandC(program, instruction));
}

/** A not null ? A : B. */
function coalesce(program: Program, instruction: usize, target: Vector, a: Vector): void {
  const chosen = program.bad;
  isNotNull(program, chosen, a.validity);
  choose(program, instruction, target, chosen, a, operandB(program, instruction));
}

/** Values and validity of `b` where the bit of `chosen` is set, else of `c`. */
function choose(program: Program, instruction: usize, target: Vector, chosen: usize, b: Vector, c: Vector): void {
  chooseValidity(program, instruction, target, chosen, b.validity, c.validity);
  if (target.type == <u32>Type.BOOL) {
    const bytes = bitmapBytes(program.count);
    for (let at: usize = 0; at < bytes; at += 8) {
      const bit = load<u64>(chosen + at);
      store<u64>(target.values + at, (load<u64>(b.values + at) & bit) | (load<u64>(c.values + at) & ~bit));
    }
    return;
  }
  if (target.type == <u32>Type.BYTES) {
    const left = textViews(program, b, program.scratchA);
    const right = textViews(program, c, program.scratchB);
    chooseFixed<u64>(chosen, left, b.constant, right, c.constant, program.count, target.values);
    return;
  }
  switch (<u32>typeWidth(target.type)) {
    case 1:
      chooseFixed<u8>(chosen, b.values, b.constant, c.values, c.constant, program.count, target.values);
      break;
    case 2:
      chooseFixed<u16>(chosen, b.values, b.constant, c.values, c.constant, program.count, target.values);
      break;
    case 4:
      chooseFixed<u32>(chosen, b.values, b.constant, c.values, c.constant, program.count, target.values);
      break;
    case 8:
      chooseFixed<u64>(chosen, b.values, b.constant, c.values, c.constant, program.count, target.values);
      break;
    default:
      chooseWide(chosen, b.values, c.values, program.count, target.values);
  }
}

function chooseValidity(program: Program, instruction: usize, target: Vector, chosen: usize, b: usize, c: usize): void {
  if (b == 0 && c == 0) return;
  const own = targetValidity(program, instruction);
  const bytes = bitmapBytes(program.count);
  for (let at: usize = 0; at < bytes; at += 8) {
    const bit = load<u64>(chosen + at);
    const validB: u64 = b == 0 ? <u64>-1 : load<u64>(b + at);
    const validC: u64 = c == 0 ? <u64>-1 : load<u64>(c + at);
    store<u64>(own + at, (validB & bit) | (validC & ~bit));
  }
  bitmapClearTail(own, program.count);
  target.validity = own;
}

function chooseFixed<T>(chosen: usize, b: usize, constantB: u32, c: usize, constantC: u32, count: u32, out: usize): void {
  const stepB: usize = constantB ? 0 : sizeof<T>();
  const stepC: usize = constantC ? 0 : sizeof<T>();
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word = load<u64>(chosen + <usize>(row >> 3));
    for (let bit: u32 = 0; bit < some; bit++) {
      store<T>(out, select<T>(load<T>(b), load<T>(c), <bool>(word & 1)));
      word >>= 1;
      b += stepB;
      c += stepC;
      out += sizeof<T>();
    }
  }
}

function chooseWide(chosen: usize, b: usize, c: usize, count: u32, out: usize): void {
  for (let row: u32 = 0; row < count; row++) {
    const at: usize = <usize>row << 4;
    const from = ((load<u8>(chosen + <usize>(row >> 3)) >> <u8>(row & 7)) & 1 ? b : c) + at;
    store<u64>(out + at, load<u64>(from));
    store<u64>(out + at, load<u64>(from, 8), 8);
  }
}
