// Comparisons: two vectors to a bitmap of booleans.
//
// There are two inner loops, "equal" and "less", monomorphised per type; the six operators follow from
// swapping the sides and inverting the bits, since the order is total (floats: -0 = 0, NaN = NaN and
// greater than all else). With SIMD, 16 rows become 16 lanes of a byte by narrowing, then one bitmask.
// A literal's side does not advance (step 0), so it costs a load that always hits.
//
// Tried and lost: one bitmask per two 64-bit lanes (32 masks, shifts and ors a word of 64 rows instead of 4).

import { Type } from "../abi/layout";
import { Instruction, Opcode } from "../abi/instruction";
import { Vector } from "../column/vector";
import { bitmapBytes, bitmapClearTail } from "../column/bitmap";
import { bytesCompare, bytesEqual } from "../hash/hash";
import { Program, operandA, operandB, targetVector, textViews, validityOf, validityOfBoth } from "./machine";
import { evaluatePredicate, isTextPredicate } from "./text-predicate";

// The operator of a loop is a type parameter, told apart by its size at compile time.
type Equal = u8;
type Less = u16;

export function executeComparison(program: Program, instruction: usize, opcode: u32): void {
  const target = targetVector(program, instruction);
  const a = operandA(program, instruction);
  const b = operandB(program, instruction);
  const swap = opcode == <u32>Opcode.GREATER || opcode == <u32>Opcode.LESS_EQUAL;
  const equal = opcode == <u32>Opcode.EQUAL || opcode == <u32>Opcode.NOT_EQUAL || opcode == <u32>Opcode.SAME;
  const type = <u32>load<u16>(instruction, <usize>Instruction.TYPE);
  if (opcode != <u32>Opcode.SAME && isTextPredicate(program, instruction, opcode)) {
    evaluatePredicate(program, instruction, opcode, a, target.values);
    bitmapClearTail(target.values, program.count);
    validityOf(program, instruction, target, a);
    return;
  }
  if (equal) compareEqual(program, type, a, b, target.values);
  else if (swap) compareLess(program, type, b, a, target.values);
  else compareLess(program, type, a, b, target.values);
  const count = program.count;
  if (opcode == <u32>Opcode.SAME) {
    same(target.values, a.validity, b.validity, count);
    return;
  }
  const inverted =
    opcode == <u32>Opcode.NOT_EQUAL || opcode == <u32>Opcode.LESS_EQUAL || opcode == <u32>Opcode.GREATER_EQUAL;
  if (inverted) invert(target.values, count);
  bitmapClearTail(target.values, count);
  validityOfBoth(program, instruction, target, a, b);
}

/** Flips the words of the first `count` rows; the tail is the caller's to clear. */
export function invert(words: usize, count: u32): void {
  const bytes = bitmapBytes(count);
  for (let at: usize = 0; at < bytes; at += 8) store<u64>(words + at, ~load<u64>(words + at));
}

/** Equality where null equals null: `words` holds the equality of the values. */
function same(words: usize, validA: usize, validB: usize, count: u32): void {
  const bytes = bitmapBytes(count);
  for (let at: usize = 0; at < bytes; at += 8) {
    const a: u64 = validA == 0 ? <u64>-1 : load<u64>(validA + at);
    const b: u64 = validB == 0 ? <u64>-1 : load<u64>(validB + at);
    store<u64>(words + at, (a & b & load<u64>(words + at)) | ~(a | b));
  }
  bitmapClearTail(words, count);
}

function compareEqual(program: Program, type: u32, a: Vector, b: Vector, out: usize): void {
  switch (type) {
    case Type.BOOL:
      compareBits<Equal>(a.values, b.values, program.count, out);
      break;
    case Type.I8:
    case Type.U8:
      compareFixed<i8, Equal>(a, b, program.count, out);
      break;
    case Type.I16:
    case Type.U16:
      compareFixed<i16, Equal>(a, b, program.count, out);
      break;
    case Type.I32:
    case Type.U32:
      compareFixed<i32, Equal>(a, b, program.count, out);
      break;
    case Type.I64:
    case Type.U64:
      compareFixed<i64, Equal>(a, b, program.count, out);
      break;
    case Type.F32:
      compareFixed<f32, Equal>(a, b, program.count, out);
      break;
    case Type.F64:
      compareFixed<f64, Equal>(a, b, program.count, out);
      break;
    case Type.I128:
      compareWide<Equal>(a, b, program.count, out);
      break;
    default:
      compareTexts<Equal>(program, a, b, out);
  }
}

function compareLess(program: Program, type: u32, a: Vector, b: Vector, out: usize): void {
  switch (type) {
    case Type.BOOL:
      compareBits<Less>(a.values, b.values, program.count, out);
      break;
    case Type.I8:
      compareFixed<i8, Less>(a, b, program.count, out);
      break;
    case Type.U8:
      compareFixed<u8, Less>(a, b, program.count, out);
      break;
    case Type.I16:
      compareFixed<i16, Less>(a, b, program.count, out);
      break;
    case Type.U16:
      compareFixed<u16, Less>(a, b, program.count, out);
      break;
    case Type.I32:
      compareFixed<i32, Less>(a, b, program.count, out);
      break;
    case Type.U32:
      compareFixed<u32, Less>(a, b, program.count, out);
      break;
    case Type.I64:
      compareFixed<i64, Less>(a, b, program.count, out);
      break;
    case Type.U64:
      compareFixed<u64, Less>(a, b, program.count, out);
      break;
    case Type.F32:
      compareFixed<f32, Less>(a, b, program.count, out);
      break;
    case Type.F64:
      compareFixed<f64, Less>(a, b, program.count, out);
      break;
    case Type.I128:
      compareWide<Less>(a, b, program.count, out);
      break;
    default:
      compareTexts<Less>(program, a, b, out);
  }
}

function compareBits<Op>(a: usize, b: usize, count: u32, out: usize): void {
  const bytes = bitmapBytes(count);
  for (let at: usize = 0; at < bytes; at += 8) {
    const x = load<u64>(a + at);
    const y = load<u64>(b + at);
    store<u64>(out + at, sizeof<Op>() == sizeof<Equal>() ? ~(x ^ y) : ~x & y);
  }
}

/** Whether two values compare, in the total order. */
// @ts-ignore: decorator
@inline
function holds<T, Op>(x: T, y: T): bool {
  if (sizeof<Op>() == sizeof<Equal>()) {
    if (isFloat<T>()) return (x == y) | ((x != x) & (y != y));
    return x == y;
  }
  if (isFloat<T>()) return (x == x) & !(x >= y);
  return x < y;
}

function compareFixed<T, Op>(left: Vector, right: Vector, count: u32, out: usize): void {
  let a = left.values;
  let b = right.values;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const stepA: usize = left.constant ? 0 : 16;
    const stepB: usize = right.constant ? 0 : 16;
    for (const whole = count & ~63; row < whole; row += 64) {
      let word = lanes16<T, Op>(a, stepA, b, stepB);
      a += stepA * sizeof<T>();
      b += stepB * sizeof<T>();
      word |= lanes16<T, Op>(a, stepA, b, stepB) << 16;
      a += stepA * sizeof<T>();
      b += stepB * sizeof<T>();
      word |= lanes16<T, Op>(a, stepA, b, stepB) << 32;
      a += stepA * sizeof<T>();
      b += stepB * sizeof<T>();
      word |= lanes16<T, Op>(a, stepA, b, stepB) << 48;
      a += stepA * sizeof<T>();
      b += stepB * sizeof<T>();
      store<u64>(out, word);
      out += 8;
    }
  }
  const stepA: usize = left.constant ? 0 : sizeof<T>();
  const stepB: usize = right.constant ? 0 : sizeof<T>();
  for (; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++) {
      word |= <u64>holds<T, Op>(load<T>(a), load<T>(b)) << bit;
      a += stepA;
      b += stepB;
    }
    store<u64>(out, word);
    out += 8;
  }
}

/** 16 rows as 16 bits. Addresses advance by `step` (16 or 0) per 16 bytes. */
// @ts-ignore: decorator
@inline
function lanes16<T, Op>(a: usize, stepA: usize, b: usize, stepB: usize): u64 {
  const m0 = lanes<T, Op>(a, b);
  if (sizeof<T>() == 1) return <u64>i8x16.bitmask(m0) & 0xffff;
  const m1 = lanes<T, Op>(a + stepA, b + stepB);
  if (sizeof<T>() == 2) return <u64>i8x16.bitmask(i8x16.narrow_i16x8_s(m0, m1)) & 0xffff;
  const m2 = lanes<T, Op>(a + stepA * 2, b + stepB * 2);
  const m3 = lanes<T, Op>(a + stepA * 3, b + stepB * 3);
  if (sizeof<T>() == 4) {
    const low = i16x8.narrow_i32x4_s(m0, m1);
    const high = i16x8.narrow_i32x4_s(m2, m3);
    return <u64>i8x16.bitmask(i8x16.narrow_i16x8_s(low, high)) & 0xffff;
  }
  const m4 = lanes<T, Op>(a + stepA * 4, b + stepB * 4);
  const m5 = lanes<T, Op>(a + stepA * 5, b + stepB * 5);
  const m6 = lanes<T, Op>(a + stepA * 6, b + stepB * 6);
  const m7 = lanes<T, Op>(a + stepA * 7, b + stepB * 7);
  const low = i16x8.narrow_i32x4_s(v128.shuffle<i32>(m0, m1, 0, 2, 4, 6), v128.shuffle<i32>(m2, m3, 0, 2, 4, 6));
  const high = i16x8.narrow_i32x4_s(v128.shuffle<i32>(m4, m5, 0, 2, 4, 6), v128.shuffle<i32>(m6, m7, 0, 2, 4, 6));
  return <u64>i8x16.bitmask(i8x16.narrow_i16x8_s(low, high)) & 0xffff;
}

/** All ones in the lanes that compare. */
// @ts-ignore: decorator
@inline
function lanes<T, Op>(a: usize, b: usize): v128 {
  const x = v128.load(a);
  const y = v128.load(b);
  if (sizeof<Op>() == sizeof<Equal>()) {
    const equal = v128.eq<T>(x, y);
    if (isFloat<T>()) return v128.or(equal, v128.and(v128.ne<T>(x, x), v128.ne<T>(y, y)));
    return equal;
  }
  if (isFloat<T>()) return v128.andnot(v128.eq<T>(x, x), v128.ge<T>(x, y));
  if (!isSigned<T>() && sizeof<T>() == 8) {
    // There is no unsigned 64-bit comparison: flipping the top bits turns it into the signed one.
    const top = i64x2.splat(i64.MIN_VALUE);
    return i64x2.lt_s(v128.xor(x, top), v128.xor(y, top));
  }
  return v128.lt<T>(x, y);
}

function compareWide<Op>(left: Vector, right: Vector, count: u32, out: usize): void {
  let a = left.values;
  let b = right.values;
  const stepA: usize = left.constant ? 0 : 16;
  const stepB: usize = right.constant ? 0 : 16;
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++) {
      const lowA = load<u64>(a);
      const lowB = load<u64>(b);
      const highA = load<i64>(a, 8);
      const highB = load<i64>(b, 8);
      const result =
        sizeof<Op>() == sizeof<Equal>()
          ? (lowA == lowB) & (highA == highB)
          : (highA < highB) | ((highA == highB) & (lowA < lowB));
      word |= <u64>result << bit;
      a += stepA;
      b += stepB;
    }
    store<u64>(out, word);
    out += 8;
  }
}

function compareTexts<Op>(program: Program, left: Vector, right: Vector, out: usize): void {
  const a = textViews(program, left, program.scratchA);
  const b = textViews(program, right, program.scratchB);
  const count = program.count;
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++) {
      const at: usize = <usize>(row + bit) << 3;
      word |= <u64>textHolds<Op>(load<u64>(a + at), load<u64>(b + at)) << bit;
    }
    store<u64>(out + <usize>(row >> 3), word);
  }
}

// @ts-ignore: decorator
@inline
function textHolds<Op>(a: u64, b: u64): bool {
  const lengthA = <u32>(a >> 32);
  const lengthB = <u32>(b >> 32);
  if (sizeof<Op>() == sizeof<Equal>()) return lengthA == lengthB && bytesEqual(<usize>a, <usize>b, lengthA);
  return bytesCompare(<usize>a, lengthA, <usize>b, lengthB) < 0;
}
