// Arithmetic on I128: decimals as unscaled integers, whose magnitude must stay below 10^38.
//
// Most decimals fit 64 bits; the products and quotients of those take the short ways of wide.ts.

import { Instruction, Opcode } from "../abi/instruction";
import { Reason, Status } from "../abi/status";
import { Vector } from "../column/vector";
import {
  Program,
  badClear,
  badMark,
  nullBad,
  operandA,
  operandB,
  raise,
  targetVector,
  validityOf,
  validityOfBoth,
} from "./machine";
import { inDecimalRange, isBelow, storeDivided, storeMagnitude, storeNegated, storePowerOfTen, storeSignedProduct, storeWide } from "./wide";

export function executeDecimal(program: Program, instruction: usize, opcode: u32): i32 {
  const target = targetVector(program, instruction);
  const a = operandA(program, instruction);
  const binary = opcode <= <u32>Opcode.MODULO;
  const b = binary ? operandB(program, instruction) : a;
  if (binary) validityOfBoth(program, instruction, target, a, b);
  else validityOf(program, instruction, target, a);
  badClear(program);
  const overflows = decimalLoop(program, instruction, opcode, target, a.values, b.values);
  return overflows ? raise(program, instruction, target, Status.OVERFLOW, Reason.DECIMAL_OVERFLOW) : 0;
}

function decimalLoop(program: Program, instruction: usize, opcode: u32, target: Vector, a: usize, b: usize): bool {
  const out = target.values;
  switch (opcode) {
    case Opcode.ADD:
    case Opcode.SUBTRACT:
      return sums(program, opcode == <u32>Opcode.SUBTRACT, a, b, out);
    case Opcode.MULTIPLY:
      return products(program, a, b, out);
    case Opcode.INTEGER_DIVIDE:
    case Opcode.MODULO:
      divisions(program, instruction, target, opcode == <u32>Opcode.MODULO, a, b);
      return false;
    case Opcode.NEGATE:
    case Opcode.ABS:
    case Opcode.SIGN:
      signs(program.count, opcode, a, out);
      return false;
    case Opcode.FLOOR:
    case Opcode.CEIL:
      return multiples(program, opcode, load<u32>(instruction, <usize>Instruction.ARG0), a, out);
    default: {
      const digits = load<i32>(instruction, <usize>Instruction.ARG0);
      const scale = load<i32>(instruction, <usize>Instruction.ARG1);
      if (digits >= scale) {
        memory.copy(out, a, <usize>program.count << 4);
        return false;
      }
      const places = <i64>scale - <i64>digits;
      if (places > 38) {
        // Half of 10^39 is more than any decimal.
        memory.fill(out, 0, <usize>program.count << 4);
        return false;
      }
      return multiples(program, opcode, <u32>places, a, out);
    }
  }
}

function sums(program: Program, subtract: bool, a: usize, b: usize, out: usize): bool {
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 4;
    const lowA = load<u64>(a + at);
    const lowB = load<u64>(b + at);
    const highA = load<u64>(a + at, 8);
    const highB = load<u64>(b + at, 8);
    const low = subtract ? lowA - lowB : lowA + lowB;
    const carry: u64 = subtract ? <u64>(lowA < lowB) : <u64>(low < lowA);
    const high = subtract ? highA - highB - carry : highA + highB + carry;
    storeWide(out + at, low, high);
    // Inputs lie below 10^38 < 2^127 / 1.7, so that 128 bits never wrap for them.
    if (inDecimalRange(low, high)) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

function products(program: Program, a: usize, b: usize, out: usize): bool {
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 4;
    const fits = storeSignedProduct(out + at, load<u64>(a + at), load<u64>(a + at, 8), load<u64>(b + at), load<u64>(b + at, 8));
    if (fits) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

/** Quotient towards zero, or the remainder with the sign of A; by zero is null. */
function divisions(program: Program, instruction: usize, target: Vector, remainder: bool, a: usize, b: usize): void {
  const work = program.scratchA;
  let zeros = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 4;
    const out = target.values + at;
    storeMagnitude(work, load<u64>(a + at), load<u64>(a + at, 8));
    storeMagnitude(work + 16, load<u64>(b + at), load<u64>(b + at, 8));
    if ((load<u64>(work, 16) | load<u64>(work, 24)) == 0) {
      storeWide(out, 0, 0);
      badMark(program, row);
      zeros = true;
      continue;
    }
    storeDivided(work + 32, load<u64>(work), load<u64>(work, 8), load<u64>(work, 16), load<u64>(work, 24));
    const from = work + (remainder ? 48 : 32);
    const negative = <i64>(remainder ? load<u64>(a + at, 8) : load<u64>(a + at, 8) ^ load<u64>(b + at, 8)) < 0;
    if (negative) storeNegated(out, load<u64>(from), load<u64>(from, 8));
    else storeWide(out, load<u64>(from), load<u64>(from, 8));
  }
  if (zeros) nullBad(program, instruction, target);
}

function signs(count: u32, opcode: u32, a: usize, out: usize): void {
  for (let row: u32 = 0; row < count; row++) {
    const at: usize = <usize>row << 4;
    const low = load<u64>(a + at);
    const high = load<u64>(a + at, 8);
    if (opcode == <u32>Opcode.NEGATE) storeNegated(out + at, low, high);
    else if (opcode == <u32>Opcode.ABS) storeMagnitude(out + at, low, high);
    else if (<i64>high < 0) storeWide(out + at, <u64>-1, <u64>-1);
    else storeWide(out + at, <u64>((low | high) != 0), 0);
  }
}

/** To a multiple of 10^places: down, up, or to the nearest (half away from zero). */
function multiples(program: Program, opcode: u32, places: u32, a: usize, out: usize): bool {
  const work = program.scratchA;
  storePowerOfTen(work, places);
  const unitLow = load<u64>(work);
  const unitHigh = load<u64>(work, 8);
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 4;
    const high = load<u64>(a + at, 8);
    const negative = <i64>high < 0;
    storeMagnitude(work, load<u64>(a + at), high);
    const low = load<u64>(work);
    const top = load<u64>(work, 8);
    storeDivided(work + 16, low, top, unitLow, unitHigh);
    const restLow = load<u64>(work, 32);
    const restHigh = load<u64>(work, 40);
    let resultLow = low - restLow;
    let resultHigh = top - restHigh - <u64>(low < restLow);
    if (roundsUp(opcode, negative, restLow, restHigh, unitLow, unitHigh)) {
      resultLow += unitLow;
      resultHigh += unitHigh + <u64>(resultLow < unitLow);
    }
    if (negative) storeNegated(out + at, resultLow, resultHigh);
    else storeWide(out + at, resultLow, resultHigh);
    if (inDecimalRange(resultLow, resultHigh) && <i64>resultHigh >= 0) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

/** Whether the magnitude grows to the next multiple. */
// @ts-ignore: decorator
@inline
function roundsUp(opcode: u32, negative: bool, low: u64, high: u64, unitLow: u64, unitHigh: u64): bool {
  if ((low | high) == 0) return false;
  if (opcode == <u32>Opcode.FLOOR) return negative;
  if (opcode == <u32>Opcode.CEIL) return !negative;
  return !isBelow(low << 1, (high << 1) | (low >> 63), unitLow, unitHigh);
}
