// CAST: every physical type to every other.
//
// Pairs of I32, I64, U64, F64 and any fixed-width type are one monomorphised loop each, which converts and notes whether any
// row did not fit; only then a second pass finds those rows. They raise an error, or become null under TRY.
//
// Rounding: float to integer and to decimal half to even; decimals and texts half away from zero; a
// decimal or 64-bit integer becomes a float32 by way of float64. A float64 too large for float32 is an
// infinity, as IEEE 754 has it. A float becomes a decimal as the integer nearest to its product with
// 10^scale.

import { Type } from "../abi/layout";
import { Instruction, InstructionFlag } from "../abi/instruction";
import { Reason, Status } from "../abi/status";
import { Vector } from "../column/vector";
import { bitmapBytes, bitmapGet } from "../column/bitmap";
import { widenFloats, widenShort, widenUnsigned } from "../column/widen";
import {
  InstructionState,
  Program,
  badClear,
  badMark,
  instructionState,
  nullBad,
  operandA,
  raise,
  targetVector,
  textViews,
  validityOf,
} from "./machine";
import { canonical } from "./arithmetic";
import { powerOfTen, wideToFloat, writeFloat } from "./float-text";
import { NumberText, parseBool, parseFloat64, parseNumber, storeNumber, writeDecimal, writeDigits, writeInteger } from "./number-text";
import { isBelow, storeDivided, storeMagnitude, storeNegated, storePowerOfTen, storeSignedProduct, storeWide } from "./wide";

export function executeCast(program: Program, instruction: usize): i32 {
  const target = targetVector(program, instruction);
  const a = operandA(program, instruction);
  validityOf(program, instruction, target, a);
  if (target.type == <u32>Type.BYTES) {
    print(program, instruction, a, target);
    return 0;
  }
  if (a.type == <u32>Type.BYTES) {
    badClear(program);
    return settle(program, instruction, target, parse(program, instruction, a, target), Reason.CAST_TEXT);
  }
  return settle(program, instruction, target, castFixed(program, instruction, a, target), Reason.CAST_RANGE);
}

/** After a conversion that may have marked rows bad: nothing, nulls, or the error. */
export function settle(program: Program, instruction: usize, target: Vector, any: bool, reason: Reason): i32 {
  if (!any) return 0;
  if ((load<u16>(instruction, <usize>Instruction.FLAGS) & <u16>InstructionFlag.TRY) != 0) {
    nullBad(program, instruction, target);
    return 0;
  }
  return raise(program, instruction, target, Status.INVALID_CAST, reason);
}

/** Converts between fixed-width types; true when rows were marked bad. */
function castFixed(program: Program, instruction: usize, a: Vector, target: Vector): bool {
  switch (a.type) {
    case Type.BOOL:
      return castBits(program, instruction, a, target);
    case Type.I32:
      return castValues<i32>(program, instruction, a.values, target);
    case Type.I64:
      return castValues<i64>(program, instruction, a.values, target);
    case Type.U64:
      return castValues<u64>(program, instruction, a.values, target);
    case Type.F64:
      return castValues<f64>(program, instruction, a.values, target);
    case Type.I128:
      return castWide(program, instruction, a, target);
    default:
      return castWidened(program, instruction, a, target);
  }
}

/** Booleans count as 0 and 1. */
function castBits(program: Program, instruction: usize, a: Vector, target: Vector): bool {
  if (target.type == <u32>Type.BOOL) {
    memory.copy(target.values, a.values, bitmapBytes(program.count));
    return false;
  }
  const values = program.scratchB;
  for (let row: u32 = 0; row < program.count; row++) store<i32>(values + (<usize>row << 2), <i32>bitmapGet(a.values, row));
  return castValues<i32>(program, instruction, values, target);
}

/** Types whose values another type has all of go by way of that: loops for each of them are 9 KB of code. */
function castWidened(program: Program, instruction: usize, a: Vector, target: Vector): bool {
  const count = program.count;
  const values = program.scratchB;
  if (a.type == <u32>Type.F32) {
    widenFloats(a.values, count, values);
    return castValues<f64>(program, instruction, values, target);
  }
  if (a.type == <u32>Type.U32) {
    widenUnsigned(a.values, count, values);
    return castValues<i64>(program, instruction, values, target);
  }
  widenShort(a.type, a.values, count, values);
  return castValues<i32>(program, instruction, values, target);
}

function castValues<S>(program: Program, instruction: usize, values: usize, target: Vector): bool {
  switch (target.type) {
    case Type.BOOL:
      notZero<S>(values, program.count, target.values);
      return false;
    case Type.I8:
      return castLoop<S, i8>(program, values, target.values);
    case Type.I16:
      return castLoop<S, i16>(program, values, target.values);
    case Type.I32:
      return castLoop<S, i32>(program, values, target.values);
    case Type.I64:
      return castLoop<S, i64>(program, values, target.values);
    case Type.U8:
      return castLoop<S, u8>(program, values, target.values);
    case Type.U16:
      return castLoop<S, u16>(program, values, target.values);
    case Type.U32:
      return castLoop<S, u32>(program, values, target.values);
    case Type.U64:
      return castLoop<S, u64>(program, values, target.values);
    case Type.F32:
      floatLoop<S, f32>(values, program.count, target.values);
      return false;
    case Type.F64:
      floatLoop<S, f64>(values, program.count, target.values);
      return false;
    default:
      return isFloat<S>() ? floatToWide<S>(program, instruction, values, target) : integerToWide<S>(program, instruction, values, target);
  }
}

function notZero<S>(values: usize, count: u32, out: usize): void {
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++) {
      word |= <u64>(load<S>(values) != <S>0) << bit;
      values += sizeof<S>();
    }
    store<u64>(out + <usize>(row >> 3), word);
  }
}

/** Integers widen exactly or by one rounding; NaNs become canonical. */
function floatLoop<S, T>(values: usize, count: u32, out: usize): void {
  const end = out + <usize>count * sizeof<T>();
  for (; out < end; out += sizeof<T>()) {
    store<T>(out, isFloat<S>() ? canonical<T>(<T>load<S>(values)) : <T>(<f64>load<S>(values)));
    values += sizeof<S>();
  }
}

/** To an integer type. The first pass only asks whether all rows fit. */
function castLoop<S, T>(program: Program, values: usize, out: usize): bool {
  const count = program.count;
  let from = values;
  let bad = false;
  const end = out + <usize>count * sizeof<T>();
  for (; out < end; out += sizeof<T>()) {
    const value = load<S>(from);
    bad = bad | !fits<S, T>(value);
    store<T>(out, convert<S, T>(value));
    from += sizeof<S>();
  }
  if (!bad) return false;
  badClear(program);
  for (let row: u32 = 0; row < count; row++) {
    if (!fits<S, T>(load<S>(values + <usize>row * sizeof<S>()))) badMark(program, row);
  }
  return true;
}

// @ts-ignore: decorator
@inline
function fits<S, T>(value: S): bool {
  if (isFloat<S>()) {
    const whole = nearest<f64>(<f64>value);
    // The type's bounds as floats: both exact, the upper one exclusive. NaN fails either way.
    const low: f64 = isSigned<T>() ? -<f64>((<u64>1) << (sizeof<T>() * 8 - 1)) : 0;
    const high: f64 = isSigned<T>() ? <f64>((<u64>1) << (sizeof<T>() * 8 - 1)) : 2 * <f64>((<u64>1) << (sizeof<T>() * 8 - 1));
    return (whole >= low) & (whole < high);
  }
  if (isSigned<S>()) {
    const wide = <i64>value;
    if (isSigned<T>()) return sizeof<T>() >= sizeof<S>() || wide == <i64>(<T>wide);
    return (wide >= 0) & (sizeof<T>() >= sizeof<S>() || <u64>wide == <u64>(<T>wide));
  }
  const wide = <u64>value;
  if (isSigned<T>()) return sizeof<T>() > sizeof<S>() || wide < <u64>1 << (sizeof<T>() * 8 - 1);
  return sizeof<T>() >= sizeof<S>() || wide == <u64>(<T>wide);
}

/** Half to even from floats; out of range and NaN give any value. */
// @ts-ignore: decorator
@inline
function convert<S, T>(value: S): T {
  if (!isFloat<S>()) return <T>value;
  const whole = nearest<f64>(<f64>value);
  const safe: f64 = fits<S, T>(value) ? whole : 0;
  return isSigned<T>() || sizeof<T>() < 8 ? <T>(<i64>safe) : <T>(<u64>safe);
}

// ---- decimals

/** Stores 10^precision, which results must stay below, at work + 48. */
function storeLimit(instruction: usize, work: usize): void {
  storePowerOfTen(work + 48, <u32>load<i64>(instruction, <usize>Instruction.IMMEDIATE));
}

/** Whether the value at `at` has a magnitude below the limit. */
function belowLimit(at: usize, work: usize): bool {
  storeMagnitude(work + 32, load<u64>(at), load<u64>(at, 8));
  return isBelow(load<u64>(work, 32), load<u64>(work, 40), load<u64>(work, 48), load<u64>(work, 56));
}

function integerToWide<S>(program: Program, instruction: usize, values: usize, target: Vector): bool {
  const work = program.scratchC;
  storeLimit(instruction, work);
  storePowerOfTen(work, load<u32>(instruction, <usize>Instruction.ARG1));
  badClear(program);
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const value = load<S>(values + <usize>row * sizeof<S>());
    const low = isSigned<S>() ? <u64>(<i64>value) : <u64>value;
    const high: u64 = isSigned<S>() ? <u64>(<i64>value >> 63) : 0;
    const out = target.values + (<usize>row << 4);
    if (storeSignedProduct(out, low, high, load<u64>(work), load<u64>(work, 8)) && belowLimit(out, work)) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

function floatToWide<S>(program: Program, instruction: usize, values: usize, target: Vector): bool {
  const work = program.scratchC;
  const factor = powerOfTen(load<i32>(instruction, <usize>Instruction.ARG1), work);
  storeLimit(instruction, work);
  badClear(program);
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const scaled = nearest<f64>(<f64>load<S>(values + <usize>row * sizeof<S>()) * factor);
    const out = target.values + (<usize>row << 4);
    storeWide(out, 0, 0);
    if (abs(scaled) < 1e38) {
      storeWhole(out, scaled);
      if (belowLimit(out, work)) continue;
    }
    badMark(program, row);
    any = true;
  }
  return any;
}

/** Stores a whole float of magnitude below 2^127. */
function storeWhole(out: usize, value: f64): void {
  const bits = reinterpret<u64>(abs(value));
  const shift = <i32>(bits >> 52) - 1075;
  const significand = (bits & 0xfffffffffffff) | ((<u64>1) << 52);
  let low: u64 = 0;
  let high: u64 = 0;
  if (shift <= 0) low = <u64>abs(value);
  else if (shift >= 64) high = significand << <u64>(shift - 64);
  else {
    low = significand << <u64>shift;
    high = significand >> <u64>(64 - shift);
  }
  if (value < 0) storeNegated(out, low, high);
  else storeWide(out, low, high);
}

/** From decimals. */
function castWide(program: Program, instruction: usize, a: Vector, target: Vector): bool {
  const scale = load<u32>(instruction, <usize>Instruction.ARG0);
  switch (target.type) {
    case Type.BOOL: {
      memory.fill(target.values, 0, bitmapBytes(program.count));
      for (let row: u32 = 0; row < program.count; row++) {
        const at = a.values + (<usize>row << 4);
        const byte = target.values + <usize>(row >> 3);
        store<u8>(byte, load<u8>(byte) | (<u8>((load<u64>(at) | load<u64>(at, 8)) != 0) << <u8>(row & 7)));
      }
      return false;
    }
    case Type.I8:
      return wideToInteger<i8>(program, scale, a.values, target.values);
    case Type.I16:
      return wideToInteger<i16>(program, scale, a.values, target.values);
    case Type.I32:
      return wideToInteger<i32>(program, scale, a.values, target.values);
    case Type.I64:
      return wideToInteger<i64>(program, scale, a.values, target.values);
    case Type.U8:
      return wideToInteger<u8>(program, scale, a.values, target.values);
    case Type.U16:
      return wideToInteger<u16>(program, scale, a.values, target.values);
    case Type.U32:
      return wideToInteger<u32>(program, scale, a.values, target.values);
    case Type.U64:
      return wideToInteger<u64>(program, scale, a.values, target.values);
    case Type.F32:
    case Type.F64:
      wideToFloats(program, scale, a.values, target);
      return false;
    default:
      return rescale(program, instruction, scale, a.values, target.values);
  }
}

/** Stores value / 10^scale, rounded half away from zero, at `out`. The power stands at `power`; `work`: 48 bytes. */
function storeRounded(out: usize, at: usize, power: usize, work: usize): void {
  const high = load<u64>(at, 8);
  storeMagnitude(work, load<u64>(at), high);
  storeDivided(work + 16, load<u64>(work), load<u64>(work, 8), load<u64>(power), load<u64>(power, 8));
  const restLow = load<u64>(work, 32);
  const restHigh = load<u64>(work, 40);
  let low = load<u64>(work, 16);
  let top = load<u64>(work, 24);
  if (!isBelow(restLow << 1, (restHigh << 1) | (restLow >> 63), load<u64>(power), load<u64>(power, 8))) {
    low++;
    top += <u64>(low == 0);
  }
  if (<i64>high < 0) storeNegated(out, low, top);
  else storeWide(out, low, top);
}

function wideToInteger<T>(program: Program, scale: u32, values: usize, out: usize): bool {
  const work = program.scratchC;
  storePowerOfTen(work + 64, scale);
  badClear(program);
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    storeRounded(work + 80, values + (<usize>row << 4), work + 64, work);
    const low = load<u64>(work, 80);
    const high = load<u64>(work, 88);
    store<T>(out + <usize>row * sizeof<T>(), <T>low);
    const inside = isSigned<T>() ? high == <u64>(<i64>low >> 63) && <i64>low == <i64>(<T>low) : high == 0 && low == <u64>(<T>low);
    if (inside) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

function wideToFloats(program: Program, scale: u32, values: usize, target: Vector): void {
  const work = program.scratchC;
  for (let row: u32 = 0; row < program.count; row++) {
    const at = values + (<usize>row << 4);
    const high = load<u64>(at, 8);
    const negative = <i64>high < 0;
    storeMagnitude(program.scratchB, load<u64>(at), high);
    const magnitude = wideToFloat(load<u64>(program.scratchB), load<u64>(program.scratchB, 8), scale, work);
    const value = negative ? -magnitude : magnitude;
    if (target.type == <u32>Type.F64) store<f64>(target.values + (<usize>row << 3), value);
    else store<f32>(target.values + (<usize>row << 2), <f32>value);
  }
}

function rescale(program: Program, instruction: usize, scale: u32, values: usize, out: usize): bool {
  const wanted = load<u32>(instruction, <usize>Instruction.ARG1);
  const work = program.scratchC;
  storeLimit(instruction, work);
  storePowerOfTen(work + 64, wanted >= scale ? wanted - scale : scale - wanted);
  badClear(program);
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at = values + (<usize>row << 4);
    const to = out + (<usize>row << 4);
    let inside = true;
    if (wanted >= scale) inside = storeSignedProduct(to, load<u64>(at), load<u64>(at, 8), load<u64>(work, 64), load<u64>(work, 72));
    else storeRounded(to, at, work + 64, program.scratchB);
    if (inside && belowLimit(to, work)) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

// ---- texts

/** Prints every row into the instruction's own text buffer, which holds the longest forms. */
function print(program: Program, instruction: usize, a: Vector, target: Vector): void {
  const state = instructionState(program, program.at);
  let cursor = state.text;
  const scale = load<u32>(instruction, <usize>Instruction.ARG0);
  for (let row: u32 = 0; row < program.count; row++) {
    const length = printValue(program, a, row, scale, cursor);
    store<u64>(target.values + (<usize>row << 3), <u64>cursor | (<u64>length << 32));
    cursor += <usize>length;
  }
}

function printValue(program: Program, a: Vector, row: u32, scale: u32, out: usize): u32 {
  const values = a.values;
  const at: usize = row;
  switch (a.type) {
    case Type.BOOL:
      return printBool(bitmapGet(values, row), out);
    case Type.I8:
      return writeInteger(load<i8>(values + at), out);
    case Type.I16:
      return writeInteger(load<i16>(values + (at << 1)), out);
    case Type.I32:
      return writeInteger(load<i32>(values + (at << 2)), out);
    case Type.I64:
      return writeInteger(load<i64>(values + (at << 3)), out);
    case Type.U8:
      return writeDigits(load<u8>(values + at), 1, out);
    case Type.U16:
      return writeDigits(load<u16>(values + (at << 1)), 1, out);
    case Type.U32:
      return writeDigits(load<u32>(values + (at << 2)), 1, out);
    case Type.U64:
      return writeDigits(load<u64>(values + (at << 3)), 1, out);
    case Type.F32:
      return writeFloat<f32>(load<f32>(values + (at << 2)), out, program.scratchC);
    case Type.F64:
      return writeFloat<f64>(load<f64>(values + (at << 3)), out, program.scratchC);
    default:
      return writeDecimal(load<u64>(values + (at << 4)), load<u64>(values + (at << 4), 8), scale, out, program.scratchC);
  }
}

function printBool(bit: u32, out: usize): u32 {
  if (bit) {
    store<u32>(out, 0x65757274);
    return 4;
  }
  store<u32>(out, 0x736c6166);
  store<u8>(out, 0x65, 4);
  return 5;
}

/** Parses every valid row; marks those that are no value of the target's type. True when there are any. */
function parse(program: Program, instruction: usize, a: Vector, target: Vector): bool {
  const views = textViews(program, a, program.scratchA);
  const type = target.type;
  const scale = type == <u32>Type.I128 ? load<u32>(instruction, <usize>Instruction.ARG1) : 0;
  if (type == <u32>Type.BOOL) memory.fill(target.values, 0, bitmapBytes(program.count));
  if (type == <u32>Type.I128) storeLimit(instruction, program.scratchB);
  let any = false;
  for (let row: u32 = 0; row < program.count; row++) {
    if (a.validity != 0 && !bitmapGet(a.validity, row)) continue;
    const view = load<u64>(views + (<usize>row << 3));
    if (parseValue(program, type, scale, <usize>view, <u32>(view >> 32), row, target.values)) continue;
    badMark(program, row);
    any = true;
  }
  return any;
}

function parseValue(program: Program, type: u32, scale: u32, text: usize, length: u32, row: u32, out: usize): bool {
  const number = changetype<NumberText>(program.scratchB + 64);
  const value = program.scratchB + 96;
  if (type == <u32>Type.BOOL) {
    const bit = parseBool(text, length);
    const byte = out + <usize>(row >> 3);
    store<u8>(byte, load<u8>(byte) | (<u8>(bit & 1) << <u8>(row & 7)));
    return bit < 2;
  }
  if (type == <u32>Type.F64 || type == <u32>Type.F32) {
    store<f64>(value, 0);
    const found = parseFloat64(text, length, number, value, program.scratchC);
    if (type == <u32>Type.F64) store<f64>(out + (<usize>row << 3), canonical<f64>(load<f64>(value)));
    else store<f32>(out + (<usize>row << 2), canonical<f32>(<f32>load<f64>(value)));
    return found;
  }
  storeWide(value, 0, 0);
  const found = parseNumber(text, length, number) && storeNumber(number, scale, value);
  if (type == <u32>Type.I128) {
    storeWide(out + (<usize>row << 4), load<u64>(value), load<u64>(value, 8));
    return found && belowLimit(value, program.scratchB);
  }
  return found & storeInteger(type, row, load<u64>(value), load<u64>(value, 8), out);
}

/** Stores an integer of a type of up to 64 bits; false when it does not fit. */
function storeInteger(type: u32, row: u32, low: u64, high: u64, out: usize): bool {
  switch (type) {
    case Type.I8:
      return storeFitting<i8>(row, low, high, out);
    case Type.I16:
      return storeFitting<i16>(row, low, high, out);
    case Type.I32:
      return storeFitting<i32>(row, low, high, out);
    case Type.I64:
      return storeFitting<i64>(row, low, high, out);
    case Type.U8:
      return storeFitting<u8>(row, low, high, out);
    case Type.U16:
      return storeFitting<u16>(row, low, high, out);
    case Type.U32:
      return storeFitting<u32>(row, low, high, out);
    default:
      return storeFitting<u64>(row, low, high, out);
  }
}

function storeFitting<T>(row: u32, low: u64, high: u64, out: usize): bool {
  store<T>(out + <usize>row * sizeof<T>(), <T>low);
  if (isSigned<T>()) return high == <u64>(<i64>low >> 63) && <i64>low == <i64>(<T>low);
  return high == 0 && low == <u64>(<T>low);
}
