// Where values enter a program: columns, literals, row numbers; and FILTER, which decides at which rows.
//
// While every row is selected, a fixed-width column is not copied: the register points into the batch.
// After a FILTER that dropped rows, loads gather through the selection, so that all later work is done on
// dense vectors. Validity is always copied (256 bytes at most), shifted to bit 0; a vector without a null
// says so by having no bitmap, even where its column has one.
//
// Loops that work on what they read have few lines of memory on their way at a time, and wait. Where the operator says so
// (`programAhead`), a column's next rows are therefore brought into the cache before, by reading a byte of each line in
// four places in turn: 14 GB/s where a loop over times had 6. That is won where work does not hide the waiting: columns
// that are only compared or gathered from (windows behind a filter 1.25 times as fast), and groups that miss the cache
// themselves (100,000 groups, 1.1 times). It is lost where it does: exact sums of floats by few groups (0.9), joins, rows
// that are set aside; and, of columns without nulls, by exact sums and pairs of extremes of many groups (`programHides`: sums of
// columns with nulls, which are copied first, took 1.05). 16,384 rows at a time take 0.95 of what 8,192 do (means and sums by
// 10,000 groups; AMD Zen 4, a megabyte of second-level cache; no less on an Intel Xeon). Tried and lost: one place at a time;
// every other line (slower than not at all); all of a line (no faster); the first lines of each page only; lines of all columns
// in turn (an Intel Xeon: 0.91 with three columns, 1.01 to 1.14 with others).
//
// Dictionaries of texts stay codes, widened to u32. Those of fixed-width values are resolved here:
// nothing gains from their codes.

import { Abi, Column, Type } from "../abi/layout";
import { Instruction } from "../abi/instruction";
import { Vector } from "../column/vector";
import { bitmapBytes, bitmapClearTail, bitmapFill, bitmapGather, bitmapLoad, bitmapTail } from "../column/bitmap";
import { typeWidth } from "../column/type";
import { loadAhead } from "../memory/ahead";
import { BoundColumn, boundColumn } from "./column-check";
import { Program, operandA, targetValidity, targetVector } from "./machine";

/** Rows of a column that are brought into the cache together. */
const AHEAD: u32 = (<u32>Abi.VECTOR_ROWS) << 3;

export function executeLoad(program: Program, instruction: usize): void {
  const bound = boundColumn(program, load<u32>(instruction, <usize>Instruction.ARG0));
  const target = targetVector(program, instruction);
  loadValidity(program, bound, target, targetValidity(program, instruction));
  if (bound.dictionary != 0) loadCodes(program, bound, target, targetValidity(program, instruction));
  else if (bound.type == <u32>Type.BYTES) {
    if (!program.unviewed) loadTexts(program, bound, target);
  } else if (bound.type == <u32>Type.BOOL) loadBits(program, bound.values, bound.offset, target.values);
  else loadFixed(program, bound, target);
}

function loadValidity(program: Program, bound: BoundColumn, target: Vector, own: usize): void {
  if (bound.validity == 0) return;
  const all = loadBits(program, bound.validity, bound.offset, own);
  target.validity = all ? 0 : own;
}

/** The bits at the selected rows; true when all of them are set. */
function loadBits(program: Program, bits: usize, offset: u32, words: usize): bool {
  const first = offset + program.start;
  return program.selection == 0
    ? bitmapLoad(bits, first, program.count, words)
    : bitmapGather(bits, first, program.selection, program.count, words);
}

function loadFixed(program: Program, bound: BoundColumn, target: Vector): void {
  if (program.ahead) bringAhead(program, bound, bound.type);
  const width = typeWidth(bound.type);
  const values = bound.values + (<usize>bound.offset + <usize>program.start) * width;
  if (program.selection == 0) {
    target.values = values;
    return;
  }
  switch (<u32>width) {
    case 1:
      gather<u8>(values, program.selection, program.count, target.values);
      break;
    case 2:
      gather<u16>(values, program.selection, program.count, target.values);
      break;
    case 4:
      gather<u32>(values, program.selection, program.count, target.values);
      break;
    case 8:
      gather<u64>(values, program.selection, program.count, target.values);
      break;
    default:
      gatherWide(values, program.selection, program.count, target.values);
  }
}

/** Brings what comes of a column, of values or codes of a type, into the cache, unless hardly any of it is read. */
function bringAhead(program: Program, bound: BoundColumn, type: u32): void {
  if ((bound.hidden && bound.validity == 0) || program.start % AHEAD != 0) return;
  const rows = program.batchRows - program.start;
  if (program.selection != 0 && program.count << 3 < min<u32>(rows, Abi.VECTOR_ROWS)) return;
  const width = typeWidth(type);
  const values = bound.values + (<usize>bound.offset + <usize>program.start) * width;
  program.brought = loadAhead(values, <usize>min(rows, AHEAD) * width);
}

function gather<T>(values: usize, selection: usize, count: u32, target: usize): void {
  const end = target + <usize>count * sizeof<T>();
  while (target < end) {
    store<T>(target, load<T>(values + <usize>load<u16>(selection) * sizeof<T>()));
    target += sizeof<T>();
    selection += 2;
  }
}

function gatherWide(values: usize, selection: usize, count: u32, target: usize): void {
  const end = target + (<usize>count << 4);
  while (target < end) {
    const from = values + (<usize>load<u16>(selection) << 4);
    store<u64>(target, load<u64>(from));
    store<u64>(target, load<u64>(from, 8), 8);
    target += 16;
    selection += 2;
  }
}

// ---- texts

function loadTexts(program: Program, bound: BoundColumn, target: Vector): void {
  const first: usize = <usize>bound.offset + <usize>program.start;
  if (bound.large) loadViews<u64>(program, bound.offsets + (first << 3), bound.values, target.values);
  else loadViews<u32>(program, bound.offsets + (first << 2), bound.values, target.values);
}

function loadViews<T>(program: Program, offsets: usize, base: usize, target: usize): void {
  const selection = program.selection;
  const end = target + (<usize>program.count << 3);
  if (selection == 0) {
    let start = <u32>load<T>(offsets);
    for (; target < end; target += 8) {
      offsets += sizeof<T>();
      const next = <u32>load<T>(offsets);
      store<u64>(target, <u64>(<u32>base + start) | (<u64>(next - start) << 32));
      start = next;
    }
    return;
  }
  for (let row = selection; target < end; target += 8) {
    const at = offsets + <usize>load<u16>(row) * sizeof<T>();
    const start = <u32>load<T>(at);
    store<u64>(target, <u64>(<u32>base + start) | (<u64>(<u32>load<T>(at, sizeof<T>()) - start) << 32));
    row += 2;
  }
}

// ---- dictionaries

function loadCodes(program: Program, bound: BoundColumn, target: Vector, own: usize): void {
  const texts = bound.type == <u32>Type.BYTES;
  if (program.ahead) bringAhead(program, bound, bound.codes);
  const codes = widenCodes(program, bound, texts ? target.values : program.scratchA);
  if (bound.dictionaryValidity != 0) dictionaryNulls(program, bound, codes, target, own);
  if (texts) {
    target.values = codes;
    target.dictionary = bound.dictionary;
    target.dictionaryId = bound.dictionaryId;
  } else {
    resolve(program, bound, codes, target.values);
  }
}

/** The selected rows' codes as u32: in the batch where they lie so already, else at `buffer`. */
function widenCodes(program: Program, bound: BoundColumn, buffer: usize): usize {
  switch (bound.codes) {
    case Type.I8:
    case Type.U8:
      widen<u8>(program, bound, buffer);
      return buffer;
    case Type.I16:
    case Type.U16:
      widen<u16>(program, bound, buffer);
      return buffer;
    case Type.I32:
    case Type.U32:
      if (program.selection == 0) return bound.values + ((<usize>bound.offset + <usize>program.start) << 2);
      widen<u32>(program, bound, buffer);
      return buffer;
    default:
      widen<u64>(program, bound, buffer);
      return buffer;
  }
}

function widen<T>(program: Program, bound: BoundColumn, target: usize): void {
  const codes = bound.values + (<usize>bound.offset + <usize>program.start) * sizeof<T>();
  const selection = program.selection;
  const count = program.count;
  let row: u32 = 0;
  if (selection != 0) {
    for (; row < count; row++) {
      const at: usize = load<u16>(selection + (<usize>row << 1));
      store<u32>(target + (<usize>row << 2), <u32>load<T>(codes + at * sizeof<T>()));
    }
    return;
  }
  if (ASC_FEATURE_SIMD && sizeof<T>() == 1) {
    for (; row + 8 <= count; row += 8) {
      const half = v128.load_ext<u8>(codes + <usize>row);
      v128.store(target + (<usize>row << 2), i32x4.extend_low_i16x8_u(half));
      v128.store(target + (<usize>row << 2), i32x4.extend_high_i16x8_u(half), 16);
    }
  }
  if (ASC_FEATURE_SIMD && sizeof<T>() == 2) {
    for (; row + 4 <= count; row += 4) v128.store(target + (<usize>row << 2), v128.load_ext<u16>(codes + (<usize>row << 1)));
  }
  for (; row < count; row++) store<u32>(target + (<usize>row << 2), <u32>load<T>(codes + <usize>row * sizeof<T>()));
}

/** Rows whose dictionary value is null become null. A dictionary without values has no bitmap, and does not come here. */
function dictionaryNulls(program: Program, bound: BoundColumn, codes: usize, target: Vector, own: usize): void {
  const count = program.count;
  const length = bound.dictionaryLength;
  const bits = bound.dictionaryValidity;
  const offset: usize = load<u32>(bound.dictionary, <usize>Column.OFFSET);
  if (target.validity == 0) bitmapFill(own, count);
  target.validity = own;
  let all: u64 = <u64>-1;
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; bit++) {
      const code = load<u32>(codes + (<usize>(row + bit) << 2));
      const at: usize = (code < length ? <usize>code : 0) + offset;
      word |= <u64>((load<u8>(bits + (at >> 3)) >> <u8>(at & 7)) & 1) << bit;
    }
    const words = own + (<usize>row >> 3);
    word &= load<u64>(words);
    store<u64>(words, word);
    all &= word | ~bitmapTail(some);
  }
  if (all == <u64>-1) target.validity = 0;
}

/** Values of a fixed-width dictionary (or of booleans) at the codes. */
function resolve(program: Program, bound: BoundColumn, codes: usize, target: usize): void {
  const count = program.count;
  const width = typeWidth(bound.type);
  if (bound.dictionaryLength == 0) {
    memory.fill(target, 0, width == 0 ? bitmapBytes(count) : <usize>count * width);
    return;
  }
  const offset: usize = load<u32>(bound.dictionary, <usize>Column.OFFSET);
  const values: usize = load<u32>(bound.dictionary, <usize>Column.VALUES);
  const length = bound.dictionaryLength;
  switch (<u32>width) {
    case 0:
      resolveBits(values, offset, length, codes, count, target);
      break;
    case 1:
      resolveFixed<u8>(values + offset, length, codes, count, target);
      break;
    case 2:
      resolveFixed<u16>(values + (offset << 1), length, codes, count, target);
      break;
    case 4:
      resolveFixed<u32>(values + (offset << 2), length, codes, count, target);
      break;
    case 8:
      resolveFixed<u64>(values + (offset << 3), length, codes, count, target);
      break;
    default:
      for (let row: u32 = 0; row < count; row++) {
        const code = load<u32>(codes + (<usize>row << 2));
        const from = values + ((offset + (code < length ? <usize>code : 0)) << 4);
        store<u64>(target + (<usize>row << 4), load<u64>(from));
        store<u64>(target + (<usize>row << 4), load<u64>(from, 8), 8);
      }
  }
}

function resolveFixed<T>(values: usize, length: u32, codes: usize, count: u32, target: usize): void {
  for (let row: u32 = 0; row < count; row++) {
    const code = load<u32>(codes + (<usize>row << 2));
    store<T>(target + <usize>row * sizeof<T>(), load<T>(values + (code < length ? <usize>code : 0) * sizeof<T>()));
  }
}

function resolveBits(values: usize, offset: usize, length: u32, codes: usize, count: u32, target: usize): void {
  memory.fill(target, 0, bitmapBytes(count));
  for (let row: u32 = 0; row < count; row++) {
    const code = load<u32>(codes + (<usize>row << 2));
    const at = offset + (code < length ? <usize>code : 0);
    const byte = target + <usize>(row >> 3);
    store<u8>(byte, load<u8>(byte) | (((load<u8>(values + (at >> 3)) >> <u8>(at & 7)) & 1) << <u8>(row & 7)));
  }
}

// ---- literals, row numbers, filters

/** Fills a register with VECTOR_ROWS copies of a literal; once, when the program is created. */
export function executeLiteral(program: Program, instruction: usize): void {
  const target = targetVector(program, instruction);
  const literal = program.pool + <usize>load<u32>(instruction, <usize>Instruction.ARG0);
  const length = load<u32>(literal);
  const value = literal + 8;
  const rows: u32 = Abi.VECTOR_ROWS;
  const values = target.values;
  target.constant = 1;
  if (load<u32>(literal, 4) != 0) {
    target.validity = program.zeros;
    memory.fill(values, 0, target.type == <u32>Type.BYTES ? <usize>rows << 3 : max<usize>(256, <usize>rows * typeWidth(target.type)));
    return;
  }
  if (target.type == <u32>Type.BYTES) {
    const view = <u64>value | (<u64>length << 32);
    for (let row: u32 = 0; row < rows; row++) store<u64>(values + (<usize>row << 3), view);
  } else if (target.type == <u32>Type.BOOL) {
    memory.fill(values, load<u8>(value) != 0 ? 0xff : 0, <usize>(rows >> 3));
  } else {
    const width = typeWidth(target.type);
    for (let row: u32 = 0; row < rows; row++) memory.copy(values + <usize>row * width, value, width);
  }
}

export function executeRowIndex(program: Program, instruction: usize): void {
  const target = targetVector(program, instruction).values;
  const start = program.start;
  const selection = program.selection;
  for (let row: u32 = 0; row < program.count; row++) {
    const at = selection == 0 ? row : <u32>load<u16>(selection + (<usize>row << 1));
    store<u32>(target + (<usize>row << 2), start + at);
  }
}

/** Keeps the rows where A is true. */
export function executeFilter(program: Program, instruction: usize): void {
  const a = operandA(program, instruction);
  const count = program.count;
  const words = program.bad;
  const bytes = bitmapBytes(count);
  let kept: u64 = 0;
  for (let at: usize = 0; at < bytes; at += 8) {
    let word = load<u64>(a.values + at);
    if (a.validity != 0) word &= load<u64>(a.validity + at);
    if (at + 8 == bytes) word &= bitmapTail(count);
    store<u64>(words + at, word);
    kept += popcnt<u64>(word);
  }
  if (<u32>kept == count) return;
  const buffer = program.selectionBuffer;
  if (program.selection == 0) selectRows(words, bytes, buffer, program.bitNumbers);
  else selectAgain(words, bytes, buffer);
  program.selection = buffer;
  program.count = <u32>kept;
}

/** Bits of a set whose numbers are looked up, and bytes of a number there. */
const SET_BITS: u32 = ASC_FEATURE_SIMD ? 8 : 4;
const NUMBER_BYTES: u32 = ASC_FEATURE_SIMD ? 1 : 2;
export const BIT_NUMBERS_SIZE: usize = 8 << SET_BITS;

/** Writes the numbers of the bits of each set to BIT_NUMBERS_SIZE bytes: eight of a byte each, or four of two. */
export function bitNumbers(table: usize): void {
  for (let set: u32 = 0; set < 1 << SET_BITS; set++) {
    let numbers: u64 = 0;
    let count: u64 = 0;
    for (let bit: u32 = 0; bit < SET_BITS; bit++) {
      if (((set >> bit) & 1) == 0) continue;
      numbers |= <u64>bit << count;
      count += NUMBER_BYTES << 3;
    }
    store<u64>(table + (<usize>set << 3), numbers);
  }
}

/** Of a word with fewer bits each is looked for. */
const FEW_BITS: u64 = 6;
/** The same number in four u16. */
const EACH: u64 = 0x0001000100010001;

/**
 * Row numbers of the set bits: eight or four bits at a time, whatever they are, which takes 0.1 or 0.2 ns a row. One after the
 * other takes 1.1 ns a bit that is set. Numbers too many are written, but none behind those that as many rows could have.
 */
function selectRows(words: usize, bytes: usize, selection: usize, table: usize): void {
  for (let at: usize = 0; at < bytes; at += 8) {
    let word = load<u64>(words + at);
    let row = <u32>at << 3;
    const end = row + 64;
    if (popcnt<u64>(word) < FEW_BITS) {
      for (; word != 0; word &= word - 1) {
        store<u16>(selection, <u16>(row + <u32>ctz<u64>(word)));
        selection += 2;
      }
      continue;
    }
    if (ASC_FEATURE_SIMD) {
      for (; row < end; row += 8) {
        const set: usize = <usize>word & 255;
        v128.store(selection, i16x8.add(v128.load_ext<u8>(table + (set << 3)), i16x8.splat(<i16>row)));
        selection += <usize>popcnt<u32>(<u32>set) << 1;
        word >>= 8;
      }
    } else {
      for (; row < end; row += 4) {
        const set: usize = <usize>word & 15;
        store<u64>(selection, load<u64>(table + (set << 3)) + <u64>row * EACH);
        selection += <usize>popcnt<u32>(<u32>set) << 1;
        word >>= 4;
      }
    }
  }
}

/** Keeps of a selection the entries whose bit is set; in place, as an entry never moves up. */
function selectAgain(words: usize, bytes: usize, selection: usize): void {
  let from = selection;
  for (let at: usize = 0; at < bytes; at += 8) {
    let word = load<u64>(words + at);
    while (word != 0) {
      store<u16>(selection, load<u16>(from + (<usize>ctz<u64>(word) << 1)));
      selection += 2;
      word &= word - 1;
    }
    from += 128;
  }
}
