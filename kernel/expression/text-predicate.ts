// Predicates on texts with a right side that is known when the program is made: comparisons, IN,
// STARTS_WITH, ENDS_WITH, CONTAINS, LIKE.
//
// Over a dictionary each value is judged once: a byte a code (unknown, false, true), kept while the
// dictionary stays the same or grows. New values are judged at once when they are no more than the rows of
// the batch, so that the loop over codes asks nothing; in a larger dictionary when a row first refers to
// them. A dictionary above MEMO_LIMIT values is judged row by row, as are plain texts.
//
// Searches read up to 16 bytes past a text: harmless inside the memory, whose end is watched.

import { Instruction, Opcode, ProgramLimit } from "../abi/instruction";
import { Column, Type } from "../abi/layout";
import { Vector } from "../column/vector";
import { bitmapBytes } from "../column/bitmap";
import { bytesCompare, bytesEqual } from "../hash/hash";
import { regionBlock, regionCapacity, regionFree } from "../memory/region";
import { BoundColumn, boundColumn } from "./column-check";
import { listHolds } from "./in-list";
import { InstructionState, Program, dictionaryText, instructionState, registerVector, textViews } from "./machine";
import { textBound } from "./text-bound";

/** Codes that a memo holds at most: one byte each. */
const MEMO_LIMIT: u32 = 1 << 20;

const UNKNOWN: u8 = 0;
const FALSE: u8 = 1;

/** Whether the instruction is such a predicate, so that a memo pays. */
export function isTextPredicate(program: Program, instruction: usize, opcode: u32): bool {
  if (opcode == <u32>Opcode.IN) return load<u16>(instruction, <usize>Instruction.TYPE) == <u16>Type.BYTES;
  const compares = opcode >= <u32>Opcode.EQUAL && opcode <= <u32>Opcode.GREATER_EQUAL;
  const searches = opcode >= <u32>Opcode.STARTS_WITH && opcode <= <u32>Opcode.LIKE;
  if (!searches && !(compares && load<u16>(instruction, <usize>Instruction.TYPE) == <u16>Type.BYTES)) return false;
  const right = registerVector(program, load<u16>(instruction, <usize>Instruction.B));
  return right.constant != 0 && right.validity == 0;
}

/** Makes memos ready for the dictionaries of the bound batch. Without memory a predicate does without. */
export function prepareMemos(program: Program): void {
  for (let index: u32 = 0; index < program.instructionCount; index++) {
    const instruction = program.instructions + <usize>index * <usize>Instruction.SIZE;
    const opcode = <u32>load<u16>(instruction, <usize>Instruction.OPCODE);
    if (opcode < <u32>Opcode.EQUAL || !isTextPredicate(program, instruction, opcode)) continue;
    const writer = textBound(program, load<u16>(instruction, <usize>Instruction.A)).writer;
    const source = program.instructions + <usize>writer * <usize>Instruction.SIZE;
    if (load<u16>(source, <usize>Instruction.OPCODE) != <u16>Opcode.LOAD) continue;
    const bound = boundColumn(program, load<u32>(source, <usize>Instruction.ARG0));
    if (bound.dictionary == 0) continue;
    const state = instructionState(program, index);
    prepareMemo(program, state, bound);
    if (state.memo != 0) judgeNew(program, instruction, opcode, state, bound);
  }
}

function prepareMemo(program: Program, state: InstructionState, bound: BoundColumn): void {
  const length = bound.dictionaryLength;
  const same = state.memo != 0 && state.memoDictionary == bound.dictionaryId && bound.dictionaryId != 0;
  if (!same && state.memo != 0) memory.fill(state.memo, UNKNOWN, state.memoLength);
  if (!same) {
    state.memoLength = 0;
    state.memoKnown = 0;
  }
  state.memoDictionary = bound.dictionaryId;
  if (length > state.memoCapacity && !growMemo(program, state, length)) {
    regionFree(program.region, state.memo);
    state.memo = 0;
    state.memoCapacity = 0;
    return;
  }
  state.memoLength = max(state.memoLength, length);
}

/** Judges the values that are not known, unless they are more than the rows at hand. */
function judgeNew(program: Program, instruction: usize, opcode: u32, state: InstructionState, bound: BoundColumn): void {
  const length = bound.dictionaryLength;
  if (length <= state.memoKnown || length - state.memoKnown > program.batchRows) return;
  const right = rightView(program, instruction);
  for (let code = state.memoKnown; code < length; code++) {
    store<u8>(state.memo + <usize>code, FALSE + <u8>learn(program, instruction, opcode, dictionaryText(bound.dictionary, code), right));
  }
  state.memoKnown = length;
}

/** Room for `length` codes; keeps what is known. */
function growMemo(program: Program, state: InstructionState, length: u32): bool {
  if (length > MEMO_LIMIT) return false;
  const wanted = min<u32>(MEMO_LIMIT, max<u32>(256, length + (length >> 1)));
  const fresh = regionBlock(program.region, wanted);
  if (fresh == 0) return false;
  const capacity = regionCapacity(fresh);
  memory.fill(fresh, UNKNOWN, capacity);
  if (state.memo != 0) memory.copy(fresh, state.memo, state.memoLength);
  regionFree(program.region, state.memo);
  state.memo = fresh;
  state.memoCapacity = <u32>capacity;
  return true;
}

/** Writes the predicate's bits to `out`. Null rows get any bit. */
export function evaluatePredicate(program: Program, instruction: usize, opcode: u32, a: Vector, out: usize): void {
  const state = instructionState(program, program.at);
  if (a.dictionary != 0 && state.memo != 0 && state.memoDictionary == a.dictionaryId) {
    const length = load<u32>(a.dictionary, <usize>Column.LENGTH);
    if (length == 0) memory.fill(out, 0, bitmapBytes(program.count));
    else if (state.memoKnown >= length) byKnownCode(a, program.count, state.memo, length, out);
    else byCode(program, instruction, opcode, a, state.memo, length, out);
    return;
  }
  const views = textViews(program, a, program.scratchA);
  switch (opcode) {
    case Opcode.EQUAL:
    case Opcode.NOT_EQUAL:
      byRow(program, instruction, Opcode.EQUAL, views, out);
      if (opcode == <u32>Opcode.NOT_EQUAL) invertWords(program.count, out);
      break;
    case Opcode.STARTS_WITH:
      byRow(program, instruction, Opcode.STARTS_WITH, views, out);
      break;
    case Opcode.ENDS_WITH:
      byRow(program, instruction, Opcode.ENDS_WITH, views, out);
      break;
    case Opcode.CONTAINS:
      byRow(program, instruction, Opcode.CONTAINS, views, out);
      break;
    case Opcode.LIKE:
      byRow(program, instruction, Opcode.LIKE, views, out);
      break;
    case Opcode.IN:
      byRow(program, instruction, Opcode.IN, views, out);
      break;
    default:
      byRowAny(program, instruction, opcode, views, out);
  }
}

function invertWords(count: u32, out: usize): void {
  const bytes = bitmapBytes(count);
  for (let at: usize = 0; at < bytes; at += 8) store<u64>(out + at, ~load<u64>(out + at));
}

/** The constant right side as a view; 0 for IN, which has a list instead. */
function rightView(program: Program, instruction: usize): u64 {
  const register = <u32>load<u16>(instruction, <usize>Instruction.B);
  return register == <u32>ProgramLimit.NO_REGISTER ? 0 : load<u64>(registerVector(program, register).values);
}

/** Codes of a dictionary so small that its memo is one vector. */
const FEW_CODES: u32 = 16;

/** 16 codes as bytes; those above 127 end up there somewhere. */
// @ts-ignore: decorator
@inline
function codeBytes(codes: usize): v128 {
  return i8x16.narrow_i16x8_u(
    i16x8.narrow_i32x4_u(v128.load(codes), v128.load(codes, 16)),
    i16x8.narrow_i32x4_u(v128.load(codes, 32), v128.load(codes, 48)),
  );
}

/** The bits of 16 codes. */
// @ts-ignore: decorator
@inline
function fewBits(codes: usize, memo: v128): u64 {
  return <u64>i8x16.bitmask(i8x16.swizzle(memo, codeBytes(codes)));
}

/** Every code of the dictionary is known: bits are only gathered, four a step, or 16 where the memo is one vector. */
function byKnownCode(a: Vector, count: u32, memo: usize, length: u32, out: usize): void {
  let codes = a.values;
  // Codes of null rows may be anything: they are clamped, the others need not be.
  const last: u32 = a.validity == 0 ? 0xffffffff : length - 1;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD && length <= FEW_CODES) {
    const table = i8x16.shl(v128.load(memo), 6);
    for (const whole = count & ~63; row < whole; row += 64) {
      const low = fewBits(codes, table) | (fewBits(codes + 64, table) << 16);
      const high = fewBits(codes + 128, table) | (fewBits(codes + 192, table) << 16);
      store<u64>(out + <usize>(row >> 3), low | (high << 32));
      codes += 256;
    }
  }
  for (const whole = count & ~63; row < whole; row += 64) {
    let word: u64 = 0;
    for (let bit: u64 = 0; bit < 64; bit += 4) {
      const b0 = <u32>load<u8>(memo + <usize>min<u32>(load<u32>(codes), last));
      const b1 = <u32>load<u8>(memo + <usize>min<u32>(load<u32>(codes, 4), last));
      const b2 = <u32>load<u8>(memo + <usize>min<u32>(load<u32>(codes, 8), last));
      const b3 = <u32>load<u8>(memo + <usize>min<u32>(load<u32>(codes, 12), last));
      word |= <u64>((b0 >> 1) | (b1 & 2) | ((b2 & 2) << 1) | ((b3 & 2) << 2)) << bit;
      codes += 16;
    }
    store<u64>(out + <usize>(row >> 3), word);
  }
  if (row == count) return;
  let word: u64 = 0;
  for (let bit: u64 = 0; row + <u32>bit < count; bit++) {
    word |= <u64>(load<u8>(memo + <usize>min<u32>(load<u32>(codes), last)) >> 1) << bit;
    codes += 4;
  }
  store<u64>(out + <usize>(row >> 3), word);
}

function byCode(program: Program, instruction: usize, opcode: u32, a: Vector, memo: usize, length: u32, out: usize): void {
  const codes = a.values;
  const count = program.count;
  const right = rightView(program, instruction);
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++) {
      let code = load<u32>(codes + (<usize>(row + bit) << 2));
      // Codes of null rows may be anything.
      code = code < length ? code : 0;
      let known = load<u8>(memo + <usize>code);
      if (known == UNKNOWN) {
        known = FALSE + <u8>learn(program, instruction, opcode, dictionaryText(a.dictionary, code), right);
        store<u8>(memo + <usize>code, known);
      }
      word |= <u64>(known >> 1) << bit;
    }
    store<u64>(out + <usize>(row >> 3), word);
  }
}

/** The rare call of `byCode`, kept out of its loop. */
function learn(program: Program, instruction: usize, opcode: u32, text: u64, right: u64): bool {
  return judge(program, instruction, opcode, text, right);
}

/** Ordering comparisons, whose cost is that of comparing bytes: one loop for all. */
function byRowAny(program: Program, instruction: usize, opcode: u32, views: usize, out: usize): void {
  byRow(program, instruction, opcode, views, out);
}

/** Inlined per operator, so that the loop holds no switch. */
// @ts-ignore: decorator
@inline
function byRow(program: Program, instruction: usize, opcode: u32, views: usize, out: usize): void {
  const count = program.count;
  const right = rightView(program, instruction);
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++) {
      word |= <u64>judge(program, instruction, opcode, load<u64>(views), right) << bit;
      views += 8;
    }
    store<u64>(out + <usize>(row >> 3), word);
  }
}

/** One text (as a view) against the right side. */
// @ts-ignore: decorator
@inline
function judge(program: Program, instruction: usize, opcode: u32, left: u64, right: u64): bool {
  const text = <usize>left;
  const length = <u32>(left >> 32);
  const other = <usize>right;
  const size = <u32>(right >> 32);
  switch (opcode) {
    case Opcode.EQUAL:
      return length == size && bytesEqual(text, other, length);
    case Opcode.NOT_EQUAL:
      return !(length == size && bytesEqual(text, other, length));
    case Opcode.LESS:
      return bytesCompare(text, length, other, size) < 0;
    case Opcode.LESS_EQUAL:
      return bytesCompare(text, length, other, size) <= 0;
    case Opcode.GREATER:
      return bytesCompare(text, length, other, size) > 0;
    case Opcode.GREATER_EQUAL:
      return bytesCompare(text, length, other, size) >= 0;
    case Opcode.STARTS_WITH:
      return startsWith(text, length, other, size);
    case Opcode.ENDS_WITH:
      return endsWith(text, length, other, size);
    case Opcode.CONTAINS:
      return contains(text, length, other, size);
    case Opcode.LIKE:
      return like(text, length, other, size, load<u32>(instruction, <usize>Instruction.ARG0));
    default:
      return listHolds(program, instruction, left);
  }
}

// @ts-ignore: decorator
@inline
export function startsWith(text: usize, length: u32, prefix: usize, size: u32): bool {
  return length >= size && bytesEqual(text, prefix, size);
}

// @ts-ignore: decorator
@inline
export function endsWith(text: usize, length: u32, suffix: usize, size: u32): bool {
  return length >= size && bytesEqual(text + <usize>(length - size), suffix, size);
}

/** Candidates are places where first and last byte agree: 16 of them a step with SIMD. */
export function contains(text: usize, length: u32, part: usize, size: u32): bool {
  if (size == 0) return true;
  if (size > length) return false;
  const first = load<u8>(part);
  const last = load<u8>(part + <usize>size - 1);
  const places = length - size + 1;
  let place: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const firsts = i8x16.splat(first);
    const lasts = i8x16.splat(last);
    const end: u64 = <u64>memory.size() << 16;
    while (place < places && <u64>text + <u64>place + <u64>size + 16 <= end) {
      const at = text + <usize>place;
      let found = i8x16.bitmask(
        v128.and(i8x16.eq(v128.load(at), firsts), i8x16.eq(v128.load(at + <usize>size - 1), lasts)),
      );
      if (places - place < 16) found &= (1 << (places - place)) - 1;
      while (found != 0) {
        if (bytesEqual(at + <usize>ctz<i32>(found), part, size)) return true;
        found &= found - 1;
      }
      place += 16;
    }
  }
  for (; place < places; place++) {
    const at = text + <usize>place;
    if (load<u8>(at) == first && load<u8>(at + <usize>size - 1) == last && bytesEqual(at, part, size)) return true;
  }
  return false;
}

/**
 * SQL's LIKE over UTF-8: % is any run of bytes, _ one code point, `escape` (0 = none) takes the next byte of
 * the pattern literally. Greedy with one point of return, which is enough as the last % may take anything;
 * a % before a literal byte goes on to where that byte is next.
 */
export function like(text: usize, length: u32, pattern: usize, size: u32, escape: u32): bool {
  const end = text + <usize>length;
  const stop = pattern + <usize>size;
  let retryPattern: usize = 0;
  let retryText: usize = 0;
  let wanted: u32 = ANY_BYTE;
  while (true) {
    if (pattern < stop && load<u8>(pattern) == 0x25 && escape != 0x25) {
      pattern++;
      if (pattern == stop) return true;
      retryPattern = pattern;
      wanted = literalByte(pattern, escape);
      text = seek(text, end, wanted);
      retryText = text;
      continue;
    }
    const matched = text < end && pattern < stop ? step(text, end, pattern, stop, escape) : 0;
    if (matched != 0) {
      text += <usize>(matched & 0xff);
      pattern += <usize>(matched >> 8);
      continue;
    }
    if (text == end && pattern == stop) return true;
    if (retryPattern == 0 || retryText >= end) return false;
    retryText = seek(retryText + <usize>codePointBytes(retryText, end), end, wanted);
    text = retryText;
    pattern = retryPattern;
  }
}

const ANY_BYTE: u32 = 256;

/** The byte that the pattern wants next, ANY_BYTE where it is none. */
// @ts-ignore: decorator
@inline
function literalByte(pattern: usize, escape: u32): u32 {
  const byte: u32 = load<u8>(pattern);
  return byte == 0x25 || byte == 0x5f || byte == escape ? ANY_BYTE : byte;
}

/** First place of a byte in [text, end), else `end`. Never within a code point: patterns begin with a whole one. */
// @ts-ignore: decorator
@inline
function seek(text: usize, end: usize, byte: u32): usize {
  if (byte == ANY_BYTE) return text;
  while (text < end && <u32>load<u8>(text) != byte) text++;
  return text;
}

/** Matches one pattern element that is not %: bytes of text | bytes of pattern << 8, or 0. */
// @ts-ignore: decorator
@inline
function step(text: usize, end: usize, pattern: usize, stop: usize, escape: u32): u32 {
  let byte: u32 = load<u8>(pattern);
  if (byte == escape && escape != 0) {
    if (pattern + 1 < stop) {
      return load<u8>(text) == load<u8>(pattern + 1) ? 1 | (2 << 8) : 0;
    }
    return load<u8>(text) == byte ? 1 | (1 << 8) : 0;
  }
  if (byte == 0x5f) return codePointBytes(text, end) | (1 << 8);
  return load<u8>(text) == byte ? 1 | (1 << 8) : 0;
}

/** Bytes of the code point at `at`: itself and the continuation bytes after it. */
// @ts-ignore: decorator
@inline
export function codePointBytes(at: usize, end: usize): u32 {
  let size: u32 = 1;
  while (at + <usize>size < end && (load<u8>(at + <usize>size) & 0xc0) == 0x80) size++;
  return size;
}
