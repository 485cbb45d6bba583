// Texts: lengths, searches whose both sides vary, and functions that make texts.
//
// SUBSTRING and TRIM answer views into their input. CASE_MAP and CONCAT write into a buffer of the
// instruction, which `programBind` has made large enough for one vector; TEXT_LIMIT bounds it, and what
// does not fit then is a TEXT_TOO_LONG error. Texts are taken as UTF-8; any bytes are survived.

import { Type } from "../abi/layout";
import { Instruction, Opcode, ProgramLimit } from "../abi/instruction";
import { Reason, Status } from "../abi/status";
import { Vector } from "../column/vector";
import { bitmapClearTail, bitmapGet } from "../column/bitmap";
import { copyBytes } from "../column/builder";
import {
  Program,
  andValidity,
  instructionState,
  operandA,
  operandB,
  operandC,
  rowInBatch,
  targetVector,
  textViews,
  validityOf,
  validityOfBoth,
} from "./machine";
import { fail, failAt, failDetail } from "../memory/context";
import { regionCut } from "../memory/region";
import { executeOrderKey } from "./order-key";
import { isBlank } from "./number-text";
import { codePointBytes, contains, endsWith, evaluatePredicate, isTextPredicate, startsWith } from "./text-predicate";

export function executeText(program: Program, instruction: usize, opcode: u32): i32 {
  if (opcode == <u32>Opcode.ORDER_KEY) {
    const left = executeOrderKey(program, instruction);
    return left < 0 ? 0 : tooLong(program, <u32>left);
  }
  const target = targetVector(program, instruction);
  const a = operandA(program, instruction);
  const binary = opcode <= <u32>Opcode.LIKE || opcode == <u32>Opcode.CONCAT || opcode == <u32>Opcode.SUBSTRING;
  if (binary) validityOfBoth(program, instruction, target, a, operandB(program, instruction));
  else validityOf(program, instruction, target, a);
  if (opcode <= <u32>Opcode.LIKE) {
    search(program, instruction, opcode, a, target);
    return 0;
  }
  const views = textViews(program, a, program.scratchA);
  switch (opcode) {
    case Opcode.LENGTH:
      lengths(program, a, views, target.values);
      return 0;
    case Opcode.OCTET_LENGTH:
      for (let row: u32 = 0; row < program.count; row++) {
        store<u64>(target.values + (<usize>row << 3), <u64>load<u32>(views + (<usize>row << 3), 4));
      }
      return 0;
    case Opcode.CASE_MAP:
      return mapCase(program, instruction, views, target);
    case Opcode.SUBSTRING:
      substrings(program, instruction, views, target);
      return 0;
    case Opcode.CONCAT:
      return concatenate(program, instruction, views, textViews(program, operandB(program, instruction), program.scratchB), target);
    default:
      trims(program, load<u32>(instruction, <usize>Instruction.ARG0), views, target.values);
      return 0;
  }
}

function search(program: Program, instruction: usize, opcode: u32, a: Vector, target: Vector): void {
  if (isTextPredicate(program, instruction, opcode)) {
    evaluatePredicate(program, instruction, opcode, a, target.values);
  } else if (opcode == <u32>Opcode.LIKE) {
    // The pattern is a null literal: every row is null.
    memory.fill(target.values, 0, 256);
  } else {
    searchBoth(program, opcode, a, operandB(program, instruction), target.values);
  }
  bitmapClearTail(target.values, program.count);
}

function searchBoth(program: Program, opcode: u32, left: Vector, right: Vector, out: usize): void {
  const a = textViews(program, left, program.scratchA);
  const b = textViews(program, right, program.scratchB);
  const count = program.count;
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++) {
      const at: usize = <usize>(row + bit) << 3;
      word |= <u64>found(opcode, load<u64>(a + at), load<u64>(b + at)) << bit;
    }
    store<u64>(out + <usize>(row >> 3), word);
  }
}

function found(opcode: u32, text: u64, part: u64): bool {
  const length = <u32>(text >> 32);
  const size = <u32>(part >> 32);
  if (opcode == <u32>Opcode.STARTS_WITH) return startsWith(<usize>text, length, <usize>part, size);
  if (opcode == <u32>Opcode.ENDS_WITH) return endsWith(<usize>text, length, <usize>part, size);
  return contains(<usize>text, length, <usize>part, size);
}

function lengths(program: Program, a: Vector, views: usize, out: usize): void {
  for (let row: u32 = 0; row < program.count; row++) {
    const view = load<u64>(views + (<usize>row << 3));
    store<u64>(out + (<usize>row << 3), codePoints(<usize>view, <u32>(view >> 32)));
  }
}

/** Bytes that do not continue a code point. */
function codePoints(text: usize, length: u32): u64 {
  let continued: u32 = 0;
  let at: u32 = 0;
  // Eight bytes at a time: bit 7 set and bit 6 clear.
  for (; at + 8 <= length; at += 8) {
    const word = load<u64>(text + <usize>at);
    continued += <u32>popcnt<u64>(word & ~(word << 1) & 0x8080808080808080);
  }
  for (; at < length; at++) continued += <u32>((load<u8>(text + <usize>at) & 0xc0) == 0x80);
  return <u64>(length - continued);
}

// ---- views into the input

function trims(program: Program, sides: u32, views: usize, out: usize): void {
  for (let row: u32 = 0; row < program.count; row++) {
    const view = load<u64>(views + (<usize>row << 3));
    let from = <usize>view;
    let to = from + <usize>(view >> 32);
    if (sides & 1) while (from < to && isBlank(load<u8>(from))) from++;
    if (sides & 2) while (from < to && isBlank(load<u8>(to - 1))) to--;
    store<u64>(out + (<usize>row << 3), <u64>from | (<u64>(to - from) << 32));
  }
}

function substrings(program: Program, instruction: usize, views: usize, target: Vector): void {
  const starts = operandB(program, instruction).values;
  const bounded = load<u16>(instruction, <usize>Instruction.C) != <u16>ProgramLimit.NO_REGISTER;
  const counts = bounded ? operandC(program, instruction).values : 0;
  if (bounded) andThird(program, instruction, target);
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    const start = load<i64>(starts + at);
    const end = bounded ? endOf(start, load<i64>(counts + at)) : i64.MAX_VALUE;
    store<u64>(target.values + at, substring(load<u64>(views + at), start, end));
  }
}

/** Null where C is. */
function andThird(program: Program, instruction: usize, target: Vector): void {
  const c = operandC(program, instruction);
  if (c.validity == 0) return;
  if (target.validity == 0) validityOf(program, instruction, target, c);
  else andValidity(program, target, c.validity);
}

/** One past the last of `count` code points from `start` on: what lies before the first one counts, too. */
function endOf(start: i64, count: i64): i64 {
  if (count <= 0) return start;
  return start > 0 && count > i64.MAX_VALUE - start ? i64.MAX_VALUE : start + count;
}

/** Code points [start, last) of a text, the first one being 1. */
function substring(view: u64, start: i64, last: i64): u64 {
  let from = <usize>view;
  const end = from + <usize>(view >> 32);
  if (last <= start) return from;
  let position: i64 = 1;
  while (position < start && from < end) {
    from += <usize>codePointBytes(from, end);
    position++;
  }
  // No text has more code points than bytes.
  if (last >= <i64>(end - from) + position) return <u64>from | (<u64>(end - from) << 32);
  let to = from;
  while (position < last && to < end) {
    to += <usize>codePointBytes(to, end);
    position++;
  }
  return <u64>from | (<u64>(to - from) << 32);
}

// ---- texts of their own

function concatenate(program: Program, instruction: usize, a: usize, b: usize, target: Vector): i32 {
  const state = instructionState(program, program.at);
  let cursor = state.text;
  const end = cursor + state.textCapacity;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    store<u64>(target.values + at, 0);
    // Null rows take no room: the bound does not count them.
    if (target.validity != 0 && !bitmapGet(target.validity, row)) continue;
    const left = load<u32>(a + at, 4);
    const right = load<u32>(b + at, 4);
    const length: u64 = <u64>left + <u64>right;
    if (length > <u64>(end - cursor)) return tooLong(program, row);
    copyBytes(cursor, <usize>load<u32>(a + at), left);
    copyBytes(cursor + <usize>left, <usize>load<u32>(b + at), right);
    store<u64>(target.values + at, <u64>cursor | (length << 32));
    cursor += <usize>length;
  }
  return 0;
}

/** The texts up to `row` pass what one vector may hold. */
function tooLong(program: Program, row: u32): i32 {
  failAt(program.context, -1, rowInBatch(program, row));
  failDetail(program.context, program.at);
  return fail(program.context, Status.OVERFLOW, Reason.TEXT_TOO_LONG);
}

function mapCase(program: Program, instruction: usize, views: usize, target: Vector): i32 {
  const state = instructionState(program, program.at);
  const table = program.pool + <usize>load<u32>(instruction, <usize>Instruction.ARG0);
  let cursor = state.text;
  const end = cursor + state.textCapacity;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    store<u64>(target.values + at, 0);
    if (target.validity != 0 && !bitmapGet(target.validity, row)) continue;
    const view = load<u64>(views + at);
    const length = <u32>(view >> 32);
    // Four bytes a code point at worst; where that does not fit, it is counted.
    if ((<u64>length << 2) > <u64>(end - cursor) && mappedBytes(table, <usize>view, length) > <u64>(end - cursor)) {
      return tooLong(program, row);
    }
    const size = mapText(table, state.table, <usize>view, length, cursor);
    store<u64>(target.values + at, <u64>cursor | (<u64>size << 32));
    cursor += <usize>size;
  }
  return 0;
}

/** Writes the text with its code points mapped; answers how many bytes. `ascii`: what the first 128 map to. */
function mapText(table: usize, ascii: usize, text: usize, length: u32, out: usize): u32 {
  const start = out;
  const end = text + <usize>length;
  while (text < end) {
    const byte: u32 = load<u8>(text);
    if (byte < 0x80) {
      out += <usize>encode(load<u32>(ascii + (<usize>byte << 2)), out);
      text++;
      continue;
    }
    const size = codePointSize(text, end);
    if (size == 0) {
      store<u8>(out++, <u8>byte);
      text++;
      continue;
    }
    out += <usize>encode(mapCode(table, decode(text, size)), out);
    text += <usize>size;
  }
  return <u32>(out - start);
}

/** What a code point maps to, by binary search; itself when the table does not say. */
function mapCode(table: usize, code: u32): u32 {
  let low: u32 = 0;
  let high = load<u32>(table);
  while (low < high) {
    const middle = (low + high) >> 1;
    const from = load<u32>(table + 8 + (<usize>middle << 3));
    if (from == code) return load<u32>(table + 8 + (<usize>middle << 3), 4);
    if (from < code) low = middle + 1;
    else high = middle;
  }
  return code;
}

/**
 * Lays out what the first 128 code points map to, and notes how much longer a text can get (in twelfths,
 * which divide by every size of a code point). False when out of memory.
 */
export function prepareCase(program: Program, instruction: usize, index: u32): bool {
  const state = instructionState(program, index);
  const table = program.pool + <usize>load<u32>(instruction, <usize>Instruction.ARG0);
  state.table = regionCut(program.region, 512);
  if (state.table == 0) return false;
  for (let code: u32 = 0; code < 128; code++) store<u32>(state.table + (<usize>code << 2), mapCode(table, code));
  state.tableMask = 12;
  for (let entry: u32 = 0; entry < load<u32>(table); entry++) {
    const at = table + 8 + (<usize>entry << 3);
    state.tableMask = max<u32>(state.tableMask, (12 * encodedBytes(load<u32>(at, 4))) / encodedBytes(load<u32>(at)));
  }
  return true;
}

function mappedBytes(table: usize, text: usize, length: u32): u64 {
  const end = text + <usize>length;
  let bytes: u64 = 0;
  while (text < end) {
    const size = codePointSize(text, end);
    bytes += size == 0 ? 1 : encodedBytes(mapCode(table, decode(text, size)));
    text += <usize>max<u32>(1, size);
  }
  return bytes;
}

/** Bytes of the well-formed code point at `at`; 0 where there is none. */
// @ts-ignore: decorator
@inline
function codePointSize(at: usize, end: usize): u32 {
  const lead: u32 = load<u8>(at);
  if (lead < 0x80) return 1;
  const size: u32 = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + <usize>size > end) return 0;
  for (let next: u32 = 1; next < size; next++) {
    if ((load<u8>(at + <usize>next) & 0xc0) != 0x80) return 0;
  }
  return size;
}

// @ts-ignore: decorator
@inline
function decode(at: usize, size: u32): u32 {
  let code: u32 = load<u8>(at);
  if (size == 1) return code;
  code &= 0x7f >> size;
  for (let next: u32 = 1; next < size; next++) code = (code << 6) | (<u32>load<u8>(at + <usize>next) & 0x3f);
  return code;
}

// @ts-ignore: decorator
@inline
export function encodedBytes(code: u32): u32 {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

function encode(code: u32, out: usize): u32 {
  const size = encodedBytes(code);
  if (size == 1) {
    store<u8>(out, <u8>code);
    return 1;
  }
  for (let at = size - 1; at > 0; at--) {
    store<u8>(out + <usize>at, <u8>(0x80 | (code & 0x3f)));
    code >>= 6;
  }
  store<u8>(out, <u8>((0xf00 >> size) | code));
  return size;
}
