// Arithmetic on I32, I64, U64, F32 and F64 (decimals: decimal.ts).
//
// Floats are IEEE, every NaN brought to one bit pattern so that results do not depend on the host.
// Integers compute wrapping, and a flag gathered without branches says whether any row may have
// overflowed; only then does a second pass find which, and whether the row counts (valid, selected,
// inside MASK). 64-bit products of 32-bit operands take one multiplication; others check the high half.

import { Type } from "../abi/layout";
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
import { executeDecimal } from "./decimal";
import { powerOfTen } from "./float-text";

// The operator of a loop is a type parameter, told apart by its size at compile time.
type Add = u8;
type Subtract = u16;
type Multiply = u32;
type Divide = u64;

export function executeArithmetic(program: Program, instruction: usize, opcode: u32): i32 {
  const type = <u32>load<u16>(instruction, <usize>Instruction.TYPE);
  if (type == <u32>Type.I128) return executeDecimal(program, instruction, opcode);
  const target = targetVector(program, instruction);
  const a = operandA(program, instruction);
  if (opcode <= <u32>Opcode.MODULO) {
    validityOfBoth(program, instruction, target, a, operandB(program, instruction));
  } else {
    validityOf(program, instruction, target, a);
  }
  switch (type) {
    case Type.F32:
      executeFloat<f32>(program, instruction, opcode, target, a);
      return 0;
    case Type.F64:
      executeFloat<f64>(program, instruction, opcode, target, a);
      return 0;
    case Type.I32:
      return executeInteger<i32>(program, instruction, opcode, target, a);
    case Type.I64:
      return executeInteger<i64>(program, instruction, opcode, target, a);
    default:
      return executeInteger<u64>(program, instruction, opcode, target, a);
  }
}

// ---- floats

function executeFloat<T>(program: Program, instruction: usize, opcode: u32, target: Vector, a: Vector): void {
  const count = program.count;
  switch (opcode) {
    case Opcode.ADD:
      floatLoop<T, Add>(a, operandB(program, instruction), count, target.values);
      break;
    case Opcode.SUBTRACT:
      floatLoop<T, Subtract>(a, operandB(program, instruction), count, target.values);
      break;
    case Opcode.MULTIPLY:
      floatLoop<T, Multiply>(a, operandB(program, instruction), count, target.values);
      break;
    case Opcode.DIVIDE:
      floatLoop<T, Divide>(a, operandB(program, instruction), count, target.values);
      break;
    case Opcode.MODULO:
      moduloLoop<T>(a, operandB(program, instruction), count, target.values);
      break;
    case Opcode.ROUND:
      roundLoop<T>(a.values, load<i32>(instruction, <usize>Instruction.ARG0), count, target.values, program.scratchA);
      break;
    default:
      unaryLoop<T>(opcode, a.values, count, target.values);
  }
}

/** NaN as 0x7ff8000000000000 (or its 32-bit form), all else as it is. */
// @ts-ignore: decorator
@inline
export function canonical<T>(value: T): T {
  if (sizeof<T>() == 8) return value != value ? <T>reinterpret<f64>(<u64>0x7ff8000000000000) : value;
  return value != value ? <T>reinterpret<f32>(<u32>0x7fc00000) : value;
}

function floatLoop<T, Op>(left: Vector, right: Vector, count: u32, out: usize): void {
  let a = left.values;
  let b = right.values;
  let end = out + <usize>count * sizeof<T>();
  if (ASC_FEATURE_SIMD) {
    const nan = sizeof<T>() == 8 ? i64x2.splat(0x7ff8000000000000) : i32x4.splat(0x7fc00000);
    const stepA: usize = left.constant ? 0 : 16;
    const stepB: usize = right.constant ? 0 : 16;
    for (const whole = end - 16; out <= whole; out += 16) {
      const result = floatLanes<T, Op>(v128.load(a), v128.load(b));
      v128.store(out, v128.bitselect(result, nan, v128.eq<T>(result, result)));
      a += stepA;
      b += stepB;
    }
  }
  const stepA: usize = left.constant ? 0 : sizeof<T>();
  const stepB: usize = right.constant ? 0 : sizeof<T>();
  for (; out < end; out += sizeof<T>()) {
    store<T>(out, canonical<T>(floatOf<T, Op>(load<T>(a), load<T>(b))));
    a += stepA;
    b += stepB;
  }
}

// @ts-ignore: decorator
@inline
function floatLanes<T, Op>(x: v128, y: v128): v128 {
  if (sizeof<Op>() == sizeof<Add>()) return v128.add<T>(x, y);
  if (sizeof<Op>() == sizeof<Subtract>()) return v128.sub<T>(x, y);
  if (sizeof<Op>() == sizeof<Multiply>()) return v128.mul<T>(x, y);
  return v128.div<T>(x, y);
}

// @ts-ignore: decorator
@inline
function floatOf<T, Op>(x: T, y: T): T {
  if (sizeof<Op>() == sizeof<Add>()) return <T>(x + y);
  if (sizeof<Op>() == sizeof<Subtract>()) return <T>(x - y);
  if (sizeof<Op>() == sizeof<Multiply>()) return <T>(x * y);
  return <T>(x / y);
}

function moduloLoop<T>(left: Vector, right: Vector, count: u32, out: usize): void {
  for (let row: u32 = 0; row < count; row++) {
    const at = <usize>row * sizeof<T>();
    store<T>(out + at, <T>modulo(<f64>load<T>(left.values + at), <f64>load<T>(right.values + at)));
  }
}

/** C's fmod: the exact remainder of x / y truncated, with the sign of x. Exact for f32 operands too. */
export function modulo(x: f64, y: f64): f64 {
  const magnitude = abs(x);
  const divisor = abs(y);
  if (!(magnitude < Infinity) || divisor != divisor || divisor == 0) return reinterpret<f64>(<u64>0x7ff8000000000000);
  if (magnitude < divisor) return x;
  const result = remainder(reinterpret<u64>(magnitude), reinterpret<u64>(divisor));
  return copysign(result, x);
}

/** Long division of significands: one subtraction per bit of the exponents' distance. */
function remainder(x: u64, y: u64): f64 {
  let exponent = <i32>(x >> 52);
  const exponentY = <i32>(y >> 52);
  // Subnormals are brought to the form of the others, with exponents below 1.
  const shiftX = exponent == 0 ? <i32>clz<u64>(x) - 11 : 0;
  const shiftY = exponentY == 0 ? <i32>clz<u64>(y) - 11 : 0;
  let a = exponent == 0 ? x << <u64>shiftX : (x & 0xfffffffffffff) | ((<u64>1) << 52);
  const b = exponentY == 0 ? y << <u64>shiftY : (y & 0xfffffffffffff) | ((<u64>1) << 52);
  exponent = max(exponent, 1) - shiftX;
  const last = max(exponentY, 1) - shiftY;
  for (; exponent > last; exponent--) {
    if (a >= b) a -= b;
    a <<= 1;
  }
  if (a >= b) a -= b;
  if (a == 0) return 0;
  const shift = <i32>clz<u64>(a) - 11;
  a <<= <u64>shift;
  exponent -= shift;
  if (exponent < 1) return reinterpret<f64>(a >> <u64>(1 - exponent));
  return reinterpret<f64>((a & 0xfffffffffffff) | (<u64>exponent << 52));
}

function unaryLoop<T>(opcode: u32, values: usize, count: u32, out: usize): void {
  const end = out + <usize>count * sizeof<T>();
  switch (opcode) {
    case Opcode.NEGATE:
      for (; out < end; out += sizeof<T>()) {
        store<T>(out, canonical<T>(<T>-load<T>(values)));
        values += sizeof<T>();
      }
      break;
    case Opcode.ABS:
      for (; out < end; out += sizeof<T>()) {
        store<T>(out, canonical<T>(abs<T>(load<T>(values))));
        values += sizeof<T>();
      }
      break;
    case Opcode.FLOOR:
      for (; out < end; out += sizeof<T>()) {
        store<T>(out, canonical<T>(floor<T>(load<T>(values))));
        values += sizeof<T>();
      }
      break;
    case Opcode.CEIL:
      for (; out < end; out += sizeof<T>()) {
        store<T>(out, canonical<T>(ceil<T>(load<T>(values))));
        values += sizeof<T>();
      }
      break;
    case Opcode.SQRT:
      for (; out < end; out += sizeof<T>()) {
        store<T>(out, canonical<T>(sqrt<T>(load<T>(values))));
        values += sizeof<T>();
      }
      break;
    default:
      // SIGN: zeros keep theirs.
      for (; out < end; out += sizeof<T>()) {
        const value = load<T>(values);
        store<T>(out, value > <T>0 ? <T>1 : value < <T>0 ? <T>-1 : canonical<T>(value));
        values += sizeof<T>();
      }
  }
}

/**
 * As DuckDB rounds: x * 10^digits to the nearest integer (half away from zero), divided back; where that
 * overflows, x itself (or 0 for negative digits). F32 computes in f64.
 */
function roundLoop<T>(values: usize, digits: i32, count: u32, out: usize, work: usize): void {
  const factor = powerOfTen(digits < 0 ? (digits < -400 ? 400 : -digits) : min<i32>(digits, 400), work);
  const end = out + <usize>count * sizeof<T>();
  for (; out < end; out += sizeof<T>()) {
    const value = <f64>load<T>(values);
    values += sizeof<T>();
    let result = value;
    if (abs(value) < Infinity) {
      if (digits >= 0) {
        result = roundAway(value * factor) / factor;
        if (!(abs(result) < Infinity)) result = value;
      } else {
        result = roundAway(value / factor) * factor;
        if (!(abs(result) < Infinity)) result = 0;
      }
    }
    store<T>(out, canonical<T>(<T>result));
  }
}

/** To the nearest integer, half away from zero. */
// @ts-ignore: decorator
@inline
export function roundAway(value: f64): f64 {
  const whole = trunc<f64>(value);
  return abs(value - whole) >= 0.5 ? whole + copysign<f64>(1, value) : whole;
}

// ---- integers

function executeInteger<T>(program: Program, instruction: usize, opcode: u32, target: Vector, a: Vector): i32 {
  const count = program.count;
  let overflows = false;
  switch (opcode) {
    case Opcode.ADD:
      overflows = sumLoop<T, Add>(a, operandB(program, instruction), count, target.values);
      break;
    case Opcode.SUBTRACT:
      overflows = sumLoop<T, Subtract>(a, operandB(program, instruction), count, target.values);
      break;
    case Opcode.MULTIPLY:
      overflows = productLoop<T>(a, operandB(program, instruction), count, target.values);
      break;
    case Opcode.INTEGER_DIVIDE:
      overflows = divideLoop<T>(program, instruction, target, a, operandB(program, instruction));
      break;
    case Opcode.MODULO:
      remainderLoop<T>(program, instruction, target, a, operandB(program, instruction));
      break;
    case Opcode.SIGN:
      signLoop<T>(a.values, count, target.values);
      break;
    default:
      overflows = negateLoop<T>(a.values, count, target.values, opcode == <u32>Opcode.ABS);
  }
  if (!overflows) return 0;
  markOverflows<T>(program, instruction, opcode);
  return raise(program, instruction, target, Status.OVERFLOW, Reason.INTEGER_OVERFLOW);
}

/** Second pass: marks the rows that overflowed. */
function markOverflows<T>(program: Program, instruction: usize, opcode: u32): void {
  badClear(program);
  const a = operandA(program, instruction).values;
  const b = opcode <= <u32>Opcode.MODULO ? operandB(program, instruction).values : a;
  for (let row: u32 = 0; row < program.count; row++) {
    const at = <usize>row * sizeof<T>();
    if (overflowed<T>(opcode, load<T>(a + at), load<T>(b + at))) badMark(program, row);
  }
}

function overflowed<T>(opcode: u32, x: T, y: T): bool {
  switch (opcode) {
    case Opcode.ADD: {
      const sum = <T>(x + y);
      return isSigned<T>() ? ((x ^ sum) & (y ^ sum)) < <T>0 : sum < x;
    }
    case Opcode.SUBTRACT: {
      const difference = <T>(x - y);
      return isSigned<T>() ? ((x ^ y) & (x ^ difference)) < <T>0 : x < y;
    }
    case Opcode.MULTIPLY:
      return productOverflows<T>(x, y);
    case Opcode.INTEGER_DIVIDE:
      return isSigned<T>() && x == lowest<T>() && y == <T>-1;
    default:
      return isSigned<T>() ? x == lowest<T>() : opcode == <u32>Opcode.NEGATE && x != <T>0;
  }
}

// @ts-ignore: decorator
@inline
function lowest<T>(): T {
  return sizeof<T>() == 4 ? <T>i32.MIN_VALUE : <T>i64.MIN_VALUE;
}

function sumLoop<T, Op>(left: Vector, right: Vector, count: u32, out: usize): bool {
  let a = left.values;
  let b = right.values;
  const end = out + <usize>count * sizeof<T>();
  let any: T = 0;
  let wide = false;
  if (ASC_FEATURE_SIMD && isSigned<T>()) {
    let flags = i32x4.splat(0);
    const stepA: usize = left.constant ? 0 : 16;
    const stepB: usize = right.constant ? 0 : 16;
    for (const whole = end - 16; out <= whole; out += 16) {
      const x = v128.load(a);
      const y = v128.load(b);
      const result = sizeof<Op>() == sizeof<Add>() ? v128.add<T>(x, y) : v128.sub<T>(x, y);
      const signs = sizeof<Op>() == sizeof<Add>() ? v128.xor(y, result) : v128.xor(x, y);
      flags = v128.or(flags, v128.and(v128.xor(x, result), signs));
      v128.store(out, result);
      a += stepA;
      b += stepB;
    }
    wide = v128.bitmask<T>(flags) != 0;
  }
  const stepA: usize = left.constant ? 0 : sizeof<T>();
  const stepB: usize = right.constant ? 0 : sizeof<T>();
  for (; out < end; out += sizeof<T>()) {
    const x = load<T>(a);
    const y = load<T>(b);
    const result = sizeof<Op>() == sizeof<Add>() ? <T>(x + y) : <T>(x - y);
    if (isSigned<T>()) any |= <T>((x ^ result) & (sizeof<Op>() == sizeof<Add>() ? y ^ result : x ^ y));
    else any |= sizeof<Op>() == sizeof<Add>() ? <T>(result < x) : <T>(x < y);
    store<T>(out, result);
    a += stepA;
    b += stepB;
  }
  return wide || (isSigned<T>() ? any < <T>0 : any != <T>0);
}

function productLoop<T>(left: Vector, right: Vector, count: u32, out: usize): bool {
  if (sizeof<T>() == 4) return productNarrow(left, right, count, out);
  if (isSigned<T>() && productSmall(left, right, count, out)) return false;
  let a = left.values;
  let b = right.values;
  const stepA: usize = left.constant ? 0 : 8;
  const stepB: usize = right.constant ? 0 : 8;
  const end = out + (<usize>count << 3);
  let any = false;
  for (; out < end; out += 8) {
    const x = load<T>(a);
    const y = load<T>(b);
    any = any || productOverflows<T>(x, y);
    store<T>(out, <T>(x * y));
    a += stepA;
    b += stepB;
  }
  return any;
}

function productNarrow(left: Vector, right: Vector, count: u32, out: usize): bool {
  let a = left.values;
  let b = right.values;
  const end = out + (<usize>count << 2);
  let any: i64 = 0;
  let wide = false;
  if (ASC_FEATURE_SIMD) {
    let flags = i64x2.splat(0);
    const stepA: usize = left.constant ? 0 : 16;
    const stepB: usize = right.constant ? 0 : 16;
    for (const whole = end - 16; out <= whole; out += 16) {
      const x = v128.load(a);
      const y = v128.load(b);
      const low = i64x2.extmul_low_i32x4_s(x, y);
      const high = i64x2.extmul_high_i32x4_s(x, y);
      const result = v128.shuffle<i32>(low, high, 0, 2, 4, 6);
      flags = v128.or(flags, v128.xor(low, i64x2.extend_low_i32x4_s(result)));
      flags = v128.or(flags, v128.xor(high, i64x2.extend_high_i32x4_s(result)));
      v128.store(out, result);
      a += stepA;
      b += stepB;
    }
    wide = v128.any_true(flags);
  }
  const stepA: usize = left.constant ? 0 : 4;
  const stepB: usize = right.constant ? 0 : 4;
  for (; out < end; out += 4) {
    const product = <i64>load<i32>(a) * <i64>load<i32>(b);
    any |= product ^ <i64>(<i32>product);
    store<i32>(out, <i32>product);
    a += stepA;
    b += stepB;
  }
  return wide || any != 0;
}

/** 64-bit products of operands that all fit 32 bits; false (and nothing promised) when one does not. */
function productSmall(left: Vector, right: Vector, count: u32, out: usize): bool {
  let a = left.values;
  let b = right.values;
  const end = out + (<usize>count << 3);
  let any: i64 = 0;
  if (ASC_FEATURE_SIMD) {
    let flags = i64x2.splat(0);
    const stepA: usize = left.constant ? 0 : 16;
    const stepB: usize = right.constant ? 0 : 16;
    for (const whole = end - 16; out <= whole; out += 16) {
      const x = v128.load(a);
      const y = v128.load(b);
      const lowX = v128.shuffle<i32>(x, x, 0, 2, 0, 2);
      const lowY = v128.shuffle<i32>(y, y, 0, 2, 0, 2);
      flags = v128.or(flags, v128.xor(x, i64x2.extend_low_i32x4_s(lowX)));
      flags = v128.or(flags, v128.xor(y, i64x2.extend_low_i32x4_s(lowY)));
      v128.store(out, i64x2.extmul_low_i32x4_s(lowX, lowY));
      a += stepA;
      b += stepB;
    }
    if (v128.any_true(flags)) return false;
  }
  const stepA: usize = left.constant ? 0 : 8;
  const stepB: usize = right.constant ? 0 : 8;
  for (; out < end; out += 8) {
    const x = load<i64>(a);
    const y = load<i64>(b);
    any |= (x ^ <i64>(<i32>x)) | (y ^ <i64>(<i32>y));
    store<i64>(out, x * y);
    a += stepA;
    b += stepB;
  }
  return any == 0;
}

function productOverflows<T>(x: T, y: T): bool {
  if (sizeof<T>() == 4) {
    const product = <i64>x * <i64>y;
    return product != <i64>(<i32>product);
  }
  const high = multiplyHigh(<u64>x, <u64>y);
  if (!isSigned<T>()) return high != 0;
  const signed = <i64>high - (<i64>x < 0 ? <i64>y : 0) - (<i64>y < 0 ? <i64>x : 0);
  return signed != <i64>(x * y) >> 63;
}

/** The upper 64 bits of an unsigned product. */
export function multiplyHigh(x: u64, y: u64): u64 {
  const lowX = x & 0xffffffff;
  const lowY = y & 0xffffffff;
  const highX = x >> 32;
  const highY = y >> 32;
  const cross = highX * lowY + ((lowX * lowY) >> 32);
  const other = lowX * highY + (cross & 0xffffffff);
  return highX * highY + (cross >> 32) + (other >> 32);
}

/** Towards zero; rows divided by zero become null. Dividing MIN by -1 gives MIN and true. */
function divideLoop<T>(program: Program, instruction: usize, target: Vector, left: Vector, right: Vector): bool {
  const out = target.values;
  let zeros = false;
  let overflows = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at = <usize>row * sizeof<T>();
    const x = load<T>(left.values + at);
    const y = load<T>(right.values + at);
    // The division itself never sees 0 or -1: both would trap.
    const minus = isSigned<T>() && y == <T>-1;
    const quotient = <T>(x / (y == <T>0 || minus ? <T>1 : y));
    zeros = zeros || y == <T>0;
    if (isSigned<T>()) overflows = overflows || (minus && x == lowest<T>());
    store<T>(out + at, minus ? <T>(<T>0 - quotient) : quotient);
  }
  if (zeros) nullZeros<T>(program, instruction, target, right);
  return overflows;
}

function remainderLoop<T>(program: Program, instruction: usize, target: Vector, left: Vector, right: Vector): void {
  const out = target.values;
  let zeros = false;
  for (let row: u32 = 0; row < program.count; row++) {
    const at = <usize>row * sizeof<T>();
    const y = load<T>(right.values + at);
    const one = y == <T>0 || (isSigned<T>() && y == <T>-1);
    zeros = zeros || y == <T>0;
    store<T>(out + at, <T>(load<T>(left.values + at) % (one ? <T>1 : y)));
  }
  if (zeros) nullZeros<T>(program, instruction, target, right);
}

/** Makes the rows null whose divisor is zero. */
function nullZeros<T>(program: Program, instruction: usize, target: Vector, right: Vector): void {
  badClear(program);
  for (let row: u32 = 0; row < program.count; row++) {
    if (load<T>(right.values + <usize>row * sizeof<T>()) == <T>0) badMark(program, row);
  }
  nullBad(program, instruction, target);
}

function signLoop<T>(values: usize, count: u32, out: usize): void {
  for (let row: u32 = 0; row < count; row++) {
    const at = <usize>row * sizeof<T>();
    const value = load<T>(values + at);
    store<T>(out + at, <T>(<i32>(value > <T>0) - <i32>(isSigned<T>() && value < <T>0)));
  }
}

/** -x or |x|; true when a row overflowed. */
function negateLoop<T>(values: usize, count: u32, out: usize, absolute: bool): bool {
  let any = false;
  for (let row: u32 = 0; row < count; row++) {
    const at = <usize>row * sizeof<T>();
    const value = load<T>(values + at);
    const negated = <T>(<T>0 - value);
    if (isSigned<T>()) {
      any = any || value == lowest<T>();
      store<T>(out + at, absolute && value > <T>0 ? value : negated);
    } else {
      any = any || (!absolute && value != <T>0);
      store<T>(out + at, absolute ? value : negated);
    }
  }
  return any;
}
