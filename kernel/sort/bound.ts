// With a limit, rows that come after enough others are dropped as they arrive: what a row begins with is compared
// with the last row that was kept when rows were cut, and only rows that do not come after it are taken.
//
// Only the first key is looked at, and of texts and 128-bit integers its first 8 bytes: rows that are equal in
// those are taken, and the next cut decides.
//
// Once the bound is close few rows pass, so blocks of 32 values are first held against its value by vectors
// (`boundBlocks`), those of a whole batch at once where a column of it is the key; only in blocks where a value might not
// come after the bound does the loop over rows look. To vectors -0 and +0 are one, and NaN does not come after anything:
// the loop decides, and a NaN as the bound is left to it. Values are read in four places in turn, so that more of memory
// is on its way: 0.36 of the loop's time for 10 million 64-bit integers, 0.42 with four places within each vector of 2,048
// values, 0.47 in one place. Tried and lost: reading a byte of each line before (1.1 times the time of four places), eight
// places (1.00).
//
// The first bound does not wait for a cut: it is the last row wanted of the first few thousand, by their first key alone
// (`boundGuess`).

import { Type } from "../abi/layout";
import { bitmapGet } from "../column/bitmap";
import { vectorIsValid } from "../column/builder";
import { textAddressAt, textLengthAt } from "../column/text";
import { Vector } from "../column/vector";
import { scratchMark, scratchReset, scratchTake } from "../memory/context";
import { normal, normalHigh, textWord } from "./normal";
import { SortKey } from "./order";
import { sortWords } from "./radix";
import { StoreColumn, storeIsValid, storeValue } from "./row-store";

/** Rows that are held against the bound at once: a vector has 64 times as many. */
const BLOCK_ROWS: u32 = 32;
/** Most rows that a first bound is found among. */
export const GUESS_ROWS: u32 = 8192;

// @ts-ignore: decorator
@unmanaged
export class Bound {
  /** 1 once there is one. */
  isSet: u32;
  column: u32;
  nullsFirst: u32;
  /** Whether the key of the row at the bound is null. */
  isNull: u32;
  /** Its first 8 bytes in order; `flip` turns descending keys round. */
  lead: u64;
  flip: u64;
  /** The value itself, where it has 8 bytes at most. */
  value: u64;
  /** What `boundBlocks` has found in a vector. */
  found: u64;
}

export const BOUND_SIZE: usize = 48;

/** The bound is row `row` of the store that `column` belongs to. */
export function boundSet(bound: Bound, key: SortKey, column: StoreColumn, row: u32): void {
  bound.isSet = 1;
  bound.column = key.column;
  bound.nullsFirst = key.nullsFirst;
  bound.flip = key.descending ? <u64>-1 : 0;
  bound.isNull = storeIsValid(column, row) ? 0 : 1;
  const value = storeValue(column, row, column.width);
  bound.lead = leadOf(column.type, value) ^ bound.flip;
  memory.copy(changetype<usize>(bound) + offsetof<Bound>("value"), value, min<u32>(column.width, 8));
}

/**
 * The bound is the last of the first `wanted` of a store's `rows` rows, GUESS_ROWS at most, by their leads: as good as
 * that of a cut, for a sort of words. Nothing where there are nulls.
 */
export function boundGuess(context: usize, bound: Bound, key: SortKey, column: StoreColumn, rows: u32, wanted: u32): void {
  if (column.nulls != 0) return;
  const mark = scratchMark(context);
  const words = scratchTake(context, (<usize>rows) << 4);
  if (words != 0) {
    const flip: u64 = key.descending ? <u64>-1 : 0;
    const end = words + ((<usize>rows) << 3);
    let row: u32 = 0;
    for (let at = words; at < end; at += 8) {
      store<u64>(at, leadOf(column.type, storeValue(column, row++, column.width)) ^ flip);
    }
    sortWords(context, words, end, rows, false, false);
    const lead = load<u64>(words + ((<usize>wanted - 1) << 3)) ^ flip;
    row = 0;
    while (leadOf(column.type, storeValue(column, row, column.width)) != lead) row++;
    boundSet(bound, key, column, row);
  }
  scratchReset(context, mark);
}

/** The first 8 bytes of a value as the store has it. */
function leadOf(type: u32, value: usize): u64 {
  switch (type) {
    case Type.I8:
      return normal<i8>(value);
    case Type.BOOL:
    case Type.U8:
      return normal<u8>(value);
    case Type.I16:
      return normal<i16>(value);
    case Type.U16:
      return normal<u16>(value);
    case Type.I32:
      return normal<i32>(value);
    case Type.U32:
      return normal<u32>(value);
    case Type.I64:
      return normal<i64>(value);
    case Type.U64:
      return normal<u64>(value);
    case Type.F32:
      return normal<f32>(value);
    case Type.F64:
      return normal<f64>(value);
    case Type.I128:
      return normalHigh(value);
    default:
      return textWord(load<u32>(value), load<u32>(value, 4), 0);
  }
}

/**
 * Writes the u16 numbers of the vector's rows that do not come after the bound to `rows`; answers how many. `blocks`: what
 * `boundBlocks` has found in it, 0 where it has not been asked.
 */
export function boundSelect(bound: Bound, vector: Vector, count: u32, rows: usize, blocks: usize): u32 {
  switch (vector.type) {
    case Type.I8:
      return select<i8>(bound, vector, count, rows, blocks);
    case Type.U8:
      return select<u8>(bound, vector, count, rows, blocks);
    case Type.I16:
      return select<i16>(bound, vector, count, rows, blocks);
    case Type.U16:
      return select<u16>(bound, vector, count, rows, blocks);
    case Type.I32:
      return select<i32>(bound, vector, count, rows, blocks);
    case Type.U32:
      return select<u32>(bound, vector, count, rows, blocks);
    case Type.I64:
      return select<i64>(bound, vector, count, rows, blocks);
    case Type.U64:
      return select<u64>(bound, vector, count, rows, blocks);
    case Type.F32:
      return select<f32>(bound, vector, count, rows, blocks);
    case Type.F64:
      return select<f64>(bound, vector, count, rows, blocks);
    default:
      return selectOthers(bound, vector, count, rows);
  }
}

/**
 * Writes a bit for each whole block of 32 of `rows` values of a type: whether any of them might not come after the bound.
 * Bits past them are 0 as far as the last byte. False where that is not known without a look at each row.
 */
export function boundBlocks(bound: Bound, type: u32, values: usize, validity: usize, rows: u32, bits: usize): bool {
  if (!ASC_FEATURE_SIMD || bound.isNull != 0 || (validity != 0 && bound.nullsFirst != 0)) return false;
  switch (type) {
    case Type.I8:
      return findBlocks<i8, i8>(bound, values, rows, bits);
    case Type.U8:
      return findBlocks<u8, i8>(bound, values, rows, bits);
    case Type.I16:
      return findBlocks<i16, i16>(bound, values, rows, bits);
    case Type.U16:
      return findBlocks<u16, i16>(bound, values, rows, bits);
    case Type.I32:
      return findBlocks<i32, i32>(bound, values, rows, bits);
    case Type.U32:
      return findBlocks<u32, i32>(bound, values, rows, bits);
    case Type.I64:
      return findBlocks<i64, i64>(bound, values, rows, bits);
    case Type.U64:
      return findBlocks<u64, i64>(bound, values, rows, bits);
    case Type.F32:
      return findBlocks<f32, f32>(bound, values, rows, bits);
    case Type.F64:
      return findBlocks<f64, f64>(bound, values, rows, bits);
    default:
      return false;
  }
}

/** Whether rows with null keys do not come after the bound, and whether those with values do not. */
// @ts-ignore: decorator
@inline
function takesNulls(bound: Bound): bool {
  return bound.nullsFirst != 0 || bound.isNull != 0;
}

// @ts-ignore: decorator
@inline
function takesAllValues(bound: Bound): bool {
  return bound.isNull != 0 && bound.nullsFirst == 0;
}

// @ts-ignore: decorator
@inline
function takesNoValues(bound: Bound): bool {
  return bound.isNull != 0 && bound.nullsFirst != 0;
}

function select<T>(bound: Bound, vector: Vector, count: u32, rows: usize, blocks: usize): u32 {
  let at = rows;
  let row: u32 = 0;
  if (blocks == 0) {
    blocks = changetype<usize>(bound) + offsetof<Bound>("found");
    store<u64>(blocks, 0);
    if (!boundBlocks(bound, vector.type, vector.values, vector.validity, count, blocks)) blocks = 0;
  }
  if (blocks != 0) {
    for (let maybe = load<u64>(blocks); maybe != 0; maybe &= maybe - 1) {
      const first = <u32>ctz<u64>(maybe) * BLOCK_ROWS;
      at = selectRows<T>(bound, vector, first, first + BLOCK_ROWS, at);
    }
    row = count & ~(BLOCK_ROWS - 1);
  }
  at = selectRows<T>(bound, vector, row, count, at);
  return <u32>((at - rows) >> 1);
}

/** Values of T, which vectors compare as `Lane`: floats, or integers with a sign. */
function findBlocks<T, Lane>(bound: Bound, values: usize, rows: u32, bits: usize): bool {
  const value = load<T>(changetype<usize>(bound) + offsetof<Bound>("value"));
  if (isFloat<T>() && isNaN<T>(value)) return false;
  const turn = turnOf<T>(bound.flip != 0);
  const limit = v128.xor(v128.splat<T>(value), turn);
  blocksBelow<Lane>(values, rows / BLOCK_ROWS, limit, turn, bits);
  return true;
}

/** The bits to turn in values so that those that come after are below, as lanes compare. */
// @ts-ignore: decorator
@inline
function turnOf<T>(descending: bool): v128 {
  const none = i64x2.splat(0);
  if (isFloat<T>()) return descending ? none : v128.neg<T>(v128.splat<T>(0));
  const turn = descending ? none : v128.not(none);
  return isSigned<T>() ? turn : v128.xor(turn, v128.splat<T>(<T>1 << <T>(sizeof<T>() * 8 - 1)));
}

/** Of each block a bit: whether any value is not below the limit. */
function blocksBelow<T>(values: usize, blocks: u32, limit: v128, turn: v128, bits: usize): void {
  const bytes = <usize>BLOCK_ROWS * sizeof<T>();
  const quarter: usize = blocks >> 5;
  const stride = (quarter << 3) * bytes;
  let at = values;
  for (const end = bits + quarter; bits < end; bits++) {
    let some0: u32 = 0;
    let some1: u32 = 0;
    let some2: u32 = 0;
    let some3: u32 = 0;
    for (let bit: u32 = 0; bit < 8; bit++) {
      some0 |= isNotBelow<T>(at, limit, turn) << bit;
      some1 |= isNotBelow<T>(at + stride, limit, turn) << bit;
      some2 |= isNotBelow<T>(at + stride * 2, limit, turn) << bit;
      some3 |= isNotBelow<T>(at + stride * 3, limit, turn) << bit;
      at += bytes;
    }
    store<u8>(bits, <u8>some0);
    store<u8>(bits + quarter, <u8>some1);
    store<u8>(bits + quarter * 2, <u8>some2);
    store<u8>(bits + quarter * 3, <u8>some3);
  }
  at += stride * 3;
  bits += quarter * 3;
  for (let block = <u32>(quarter << 5); block < blocks; block += 8) {
    let some: u32 = 0;
    for (let bit: u32 = 0; bit < min<u32>(8, blocks - block); bit++) {
      some |= isNotBelow<T>(at, limit, turn) << bit;
      at += bytes;
    }
    store<u8>(bits++, <u8>some);
  }
}

/** 0 where all values of a block are below the limit, else 1. */
// @ts-ignore: decorator
@inline
function isNotBelow<T>(values: usize, limit: v128, turn: v128): u32 {
  let all = i64x2.splat(-1);
  for (const end = values + <usize>BLOCK_ROWS * sizeof<T>(); values < end; values += 32) {
    const first = v128.lt<T>(v128.xor(v128.load(values), turn), limit);
    const second = v128.lt<T>(v128.xor(v128.load(values, 16), turn), limit);
    all = v128.and(all, v128.and(first, second));
  }
  return i8x16.all_true(all) ? 0 : 1;
}

/** Rows [row, end), one at a time; answers where the next number goes. */
function selectRows<T>(bound: Bound, vector: Vector, row: u32, end: u32, at: usize): usize {
  // A lead that no value passes, or that all do.
  const lead = takesAllValues(bound) ? u64.MAX_VALUE : bound.lead;
  const none = takesNoValues(bound);
  const flip = bound.flip;
  const validity = vector.validity;
  const nulls = takesNulls(bound);
  let value = vector.values + <usize>row * sizeof<T>();
  for (; row < end; row++) {
    store<u16>(at, <u16>row);
    let taken = !none && (normal<T>(value) ^ flip) <= lead;
    if (validity != 0 && bitmapGet(validity, row) == 0) taken = nulls;
    at += (<usize>taken) << 1;
    value += sizeof<T>();
  }
  return at;
}

function selectOthers(bound: Bound, vector: Vector, count: u32, rows: usize): u32 {
  let at = rows;
  for (let row: u32 = 0; row < count; row++) {
    store<u16>(at, <u16>row);
    let taken = takesNulls(bound);
    if (vectorIsValid(vector, row)) {
      taken = takesAllValues(bound) || (!takesNoValues(bound) && (vectorLead(vector, row) ^ bound.flip) <= bound.lead);
    }
    at += (<usize>taken) << 1;
  }
  return <u32>((at - rows) >> 1);
}

/** The first 8 bytes of a valid row of booleans, 128-bit integers or texts. */
function vectorLead(vector: Vector, row: u32): u64 {
  if (vector.type == <u32>Type.BOOL) return bitmapGet(vector.values, row);
  if (vector.type == <u32>Type.I128) return normalHigh(vector.values + ((<usize>row) << 4));
  return textWord(textAddressAt(vector, row), textLengthAt(vector, row), 0);
}
