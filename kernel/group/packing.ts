// Packing: several keys in one word, each in as many bits as the groups that are there need.
//
// A row of three texts and three integers takes 32 bytes as pack.ts lays it out; where each of the texts is one of few, and
// the integers lie close together, 62 bits tell all of them apart. Words are what a lone key of 8 bytes is: they are hashed
// at once, compared at once, and a quarter of the bytes is moved, set aside and read back. Begun where rows begin to be set
// aside (operator/aggregate-backlog.ts): then hundreds of thousands of groups say what range a key has.
//
//   word: 0 | fields, the first key's lowest     a field: the value less `base`, which is below 2^bits
//         1 | number of a row in `apart`
//
// Several sets may pack alike (`packingFollow`): then their words mean the same, but numbers of rows apart are each set's own.
// For that these words' tags begin with a byte of 0, so that all of them are in one partition, wherever they are set aside.
//
// Bits that are left are spread over the fields, as room for values to come. Keys that have no place in their field, and
// nulls, have rows of their own as pack.ts lays them out, in a table apart; so words and keys are one to one whatever comes,
// and nothing that is there has to change. Once too many are apart (`packingIsSpent`) rows are wide again, for good: so they
// are for whoever saves them or brings groups together, too.
//
// 10 M rows by three texts and three integers, nearly each a group: 0.77 of the time of the whole query.

import { bitmapTail } from "../column/bitmap";
import { copyBytes } from "../memory/copy";
import { regionBlock, regionCut, regionFree, regionHasRoom } from "../memory/region";
import { slotsExpect, slotsHeadroom } from "../hash/slots";
import { Interner, internedCount } from "./interner";
import { KeyColumn } from "./key-column";
import { pack } from "./pack";
import { ROW_TABLE_SIZE, RowTable, rowTableFree, rowTableLike, rowTableMap, rowTableReserve, rowTableRow } from "./row-table";
import { Groups, NO_GROUP, ROWS, groupsIsOccupied, groupsKey } from "./state";

/** The bit of words whose keys are apart, and bits that fields can have. */
const APART: u64 = 1 << 63;
const WORD_BITS: u32 = 63;
/** Of the groups that are there one in so many may have a null among its keys. */
const NULL_SHARE: u32 = 32;
/** Rows that may be apart, besides one in so many of all rows. */
const MOST_APART: u32 = 4096;
const APART_SHARE: u32 = 64;
const FEW_APART: u32 = 8;

// @ts-ignore: decorator
@unmanaged
class Packing {
  /** Row table of the keys that are apart. */
  apart: usize;
  /** A fault switch: fields have no bit to spare, and few rows may be apart. */
  tight: u32;
}

const PACKING_SIZE: usize = 8;

// @ts-ignore: decorator
@unmanaged
class Field {
  base: i64;
  /** Greatest value of the groups that there were. */
  high: i64;
  bits: u32;
  shift: u32;
}

const FIELD_SIZE: usize = 24;

// @ts-ignore: decorator
@inline
function fieldAt(packing: usize, index: u32): Field {
  return changetype<Field>(packing + PACKING_SIZE + <usize>index * FIELD_SIZE);
}

// @ts-ignore: decorator
@inline
function maskOf(field: Field): u64 {
  return ((<u64>1) << field.bits) - 1;
}

// ---- beginning and ending

/**
 * HASH: packs the keys of all groups from now on, where they can be; groups keep their numbers. Not where memory does not
 * do, and then nothing has changed.
 */
export function packingBegin(groups: Groups, tight: bool): void {
  if (groups.packing != 0 || groups.rowWidth <= 8 || groups.maskOffset == NO_GROUP || groups.like != 0) return;
  const packing = regionCut(groups.region, PACKING_SIZE + <usize>groups.keyCount * FIELD_SIZE);
  const table = regionCut(groups.region, ROW_TABLE_SIZE);
  const apart = regionCut(groups.region, ROW_TABLE_SIZE);
  if (packing == 0 || table == 0 || apart == 0) return;
  changetype<Packing>(packing).apart = apart;
  changetype<Packing>(packing).tight = tight ? 1 : 0;
  const nulls = countNulls(groups);
  if (nulls == groups.count || (!tight && nulls > groups.count / NULL_SHARE)) return;
  if (!measure(groups, packing) || !layOut(groups, packing)) return;
  if (!rowTableLike(apart, groups.table, groups.rowWidth)) return;
  if (rowTableReserve(apart, nulls + 1) && rebuild(groups, packing, table, 8)) groups.packing = packing;
  else rowTableFree(apart);
}

/** Lays keys out as pack.ts does again. False when out of memory, with nothing changed. */
export function packingEnd(groups: Groups): bool {
  const packing = groups.packing;
  const table = regionCut(groups.region, ROW_TABLE_SIZE);
  if (table == 0 || !rebuild(groups, packing, table, groups.rowWidth)) return false;
  groups.packing = 0;
  rowTableFree(changetype<Packing>(packing).apart);
  return true;
}

/**
 * HASH, without groups: packs keys as those of another set over the same keys, of one seed, are packed. False when out of
 * memory, with nothing changed.
 */
export function packingFollow(groups: Groups, like: Groups): bool {
  const bytes = PACKING_SIZE + <usize>groups.keyCount * FIELD_SIZE;
  const packing = regionCut(groups.region, bytes);
  const table = regionCut(groups.region, ROW_TABLE_SIZE);
  const apart = regionCut(groups.region, ROW_TABLE_SIZE);
  if (packing == 0 || table == 0 || apart == 0) return false;
  if (!rowTableLike(apart, groups.table, groups.rowWidth)) return false;
  if (!rowTableLike(table, groups.table, 8)) {
    rowTableFree(apart);
    return false;
  }
  memory.copy(packing, like.packing, bytes);
  changetype<Packing>(packing).apart = apart;
  changetype<RowTable>(table).words = 1;
  rowTableFree(groups.table);
  groups.table = table;
  groups.packing = packing;
  return true;
}

/** Whether words of two sets mean the same keys, where these are not apart, as far as texts do; or there are none in both. */
export function packingAgrees(groups: Groups, other: Groups): bool {
  if (groups.packing == 0 || other.packing == 0) return groups.packing == other.packing;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const mine = fieldAt(groups.packing, index);
    const theirs = fieldAt(other.packing, index);
    if (mine.base != theirs.base || mine.bits != theirs.bits || mine.shift != theirs.shift) return false;
  }
  return true;
}

/** Whether any key is apart. */
export function packingHasApart(groups: Groups): bool {
  return groups.packing != 0 && changetype<RowTable>(changetype<Packing>(groups.packing).apart).entries != 0;
}

/**
 * Words of another set with which this one agrees, `count` of them, become this one's: those of keys that are apart. There must be
 * room (`packingReserve`). False when out of memory.
 */
export function packingTranslate(groups: Groups, source: Groups, words: usize, count: u32): bool {
  const own = changetype<Packing>(groups.packing).apart;
  const theirs = changetype<Packing>(source.packing).apart;
  const entry = groups.tags;
  for (let at = words; at < words + ((<usize>count) << 3); at += 8) {
    const word = load<u64>(at);
    if ((word & APART) == 0) continue;
    if (!rowTableMap(own, rowTableRow(theirs, <u32>word), 1, entry, entry + 64)) return false;
    store<u64>(at, APART | <u64>load<u32>(entry));
  }
  return true;
}

/** Groups that have a null among their keys, or no rows. */
function countNulls(groups: Groups): u32 {
  let nulls: u32 = 0;
  for (let group: u32 = 0; group < groups.count; group++) nulls += <u32>!isWhole(groups, group);
  return nulls;
}

// @ts-ignore: decorator
@inline
function isWhole(groups: Groups, group: u32): bool {
  const mask = rowTableRow(groups.table, group) + <usize>groups.maskOffset;
  return load<u32>(mask) == 0 && groupsIsOccupied(groups, group);
}

/** Finds the least and the greatest value of each key. False where one is wider than a word. */
function measure(groups: Groups, packing: usize): bool {
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    const field = fieldAt(packing, index);
    field.base = i64.MAX_VALUE;
    field.high = i64.MIN_VALUE;
    if (key.width == 4) measureKey<i32>(groups, key, field);
    else if (key.width == 8) measureKey<i64>(groups, key, field);
    else return false;
    if (key.interner == 0) continue;
    // Texts that a dictionary has brought will come.
    field.base = 0;
    field.high = max<i64>(field.high, <i64>internedCount(key.interner) - 1);
  }
  return true;
}

function measureKey<T>(groups: Groups, key: KeyColumn, field: Field): void {
  let low = field.base;
  let high = field.high;
  for (let group: u32 = 0; group < groups.count; group++) {
    if (!isWhole(groups, group)) continue;
    const value = <i64>load<T>(rowTableRow(groups.table, group) + <usize>key.offset);
    low = min(low, value);
    high = max(high, value);
  }
  field.base = low;
  field.high = high;
}

/** Gives each key its bits. False where they are too many for a word. */
function layOut(groups: Groups, packing: usize): bool {
  let bits: u32 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const field = fieldAt(packing, index);
    field.bits = 64 - <u32>clz<u64>(<u64>(field.high - field.base));
    bits += field.bits;
  }
  if (bits > WORD_BITS) return false;
  const spare = changetype<Packing>(packing).tight != 0 ? 0 : (WORD_BITS - bits) / groups.keyCount;
  let shift: u32 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    const field = fieldAt(packing, index);
    field.bits = min(field.bits + spare, key.width << 3);
    field.shift = shift;
    shift += field.bits;
    if (key.interner != 0) continue;
    // Room on both sides, but for numbers below zero where there is none.
    const room = maskOf(field) - <u64>(field.high - field.base);
    const below = <i64>(room >> 1);
    field.base = field.base >= 0 && field.base < below ? 0 : field.base - below;
  }
  return true;
}

/** Puts the keys of all groups into a table of rows of another width, in place of the one that is there. */
function rebuild(groups: Groups, packing: usize, table: usize, width: u32): bool {
  if (!rowTableLike(table, groups.table, width)) return false;
  changetype<RowTable>(table).words = width == 8 ? 1 : 0;
  slotsExpect(table, groups.count);
  if (rowTableReserve(table, groups.count + 1) && fill(groups, packing, table, width)) {
    rowTableFree(groups.table);
    groups.table = table;
    return true;
  }
  rowTableFree(table);
  return false;
}

function fill(groups: Groups, packing: usize, table: usize, width: u32): bool {
  const half = ROWS >> 1;
  const rows = groups.packed;
  const numbers = rows + <usize>half * <usize>groups.rowWidth;
  for (let group: u32 = 0; group < groups.count; ) {
    let count: u32 = 0;
    for (; count < half && group < groups.count && groupsIsOccupied(groups, group); group++) {
      const from = rowTableRow(groups.table, group);
      const to = rows + <usize>count * <usize>width;
      if (width != 8) unpack(groups, packing, load<u64>(from), to);
      else {
        const word = wordOf(groups, packing, from);
        if (word == NO_WORD) return false;
        store<u64>(to, word);
      }
      count++;
    }
    if (!rowTableMap(table, rows, count, numbers, groups.tags)) return false;
    if (group == groups.count || groupsIsOccupied(groups, group)) continue;
    // A number without rows stays so.
    memory.fill(rowTableRow(table, group), 0, width);
    changetype<RowTable>(table).entries++;
    group++;
  }
  return true;
}

// ---- one row

/** No word: memory has ended. */
const NO_WORD: u64 = <u64>-1;

/** The word of a wide row. */
function wordOf(groups: Groups, packing: usize, row: usize): u64 {
  let word: u64 = 0;
  let over: u64 = load<u32>(row + <usize>groups.maskOffset);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    const field = fieldAt(packing, index);
    const at = row + <usize>key.offset;
    const less = key.width == 4 ? lessBase<u32>(at, field) : lessBase<u64>(at, field);
    over |= less & ~maskOf(field);
    word |= less << field.shift;
  }
  if (over == 0) return word;
  const entry = groups.tags;
  const apart = changetype<Packing>(packing).apart;
  if (!rowTableMap(apart, row, 1, entry, entry + 64)) return NO_WORD;
  return APART | <u64>load<u32>(entry);
}

/** The value at `at` less the field's base. A value of 4 bytes is loaded as such: else the difference would have 8. */
// @ts-ignore: decorator
@inline
function lessBase<T>(at: usize, field: Field): u64 {
  const value: T = load<T>(at);
  const less: T = value - <T>field.base;
  return <u64>less;
}

/** The wide row of a word. */
function unpack(groups: Groups, packing: usize, word: u64, row: usize): void {
  if (word & APART) {
    copyBytes(row, rowTableRow(changetype<Packing>(packing).apart, <u32>word), groups.rowWidth);
    return;
  }
  memory.fill(row, 0, groups.rowWidth);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    const value = valueOf(fieldAt(packing, index), word);
    if (key.width == 4) store<u32>(row + <usize>key.offset, <u32>value);
    else store<u64>(row + <usize>key.offset, value);
  }
}

// @ts-ignore: decorator
@inline
function valueOf(field: Field, word: u64): u64 {
  return ((word >> field.shift) & maskOf(field)) + <u64>field.base;
}

/** Whether key `index` of a group is null; else its normal form is at `value`. */
export function packingValue(groups: Groups, index: u32, group: u32, value: usize): bool {
  const key = groupsKey(groups, index);
  const word = load<u64>(rowTableRow(groups.table, group));
  if (word & APART) {
    const row = rowTableRow(changetype<Packing>(groups.packing).apart, <u32>word);
    if ((load<u32>(row + <usize>groups.maskOffset) >> index) & 1) return false;
    copyBytes(value, row + <usize>key.offset, key.width);
    return true;
  }
  const found = valueOf(fieldAt(groups.packing, index), word);
  if (key.width == 4) store<u32>(value, <u32>found);
  else store<u64>(value, found);
  return true;
}

// ---- rows

/** Room for `rows` further rows of which all may be apart. False when out of memory. */
export function packingReserve(groups: Groups, rows: u32): bool {
  const apart = changetype<Packing>(groups.packing).apart;
  return rowTableReserve(apart, rows + 1) && regionHasRoom(groups.region, slotsHeadroom(apart, rows + 1));
}

/** Whether so many rows are apart that words do not pay, of `rows` that have been packed. */
export function packingIsSpent(groups: Groups, rows: u32): bool {
  const packing = changetype<Packing>(groups.packing);
  const most = packing.tight != 0 ? FEW_APART : MOST_APART + rows / APART_SHARE;
  return changetype<RowTable>(packing.apart).entries > most;
}

/** The words of the loaded keys; 0 when memory has ended. */
export function packingWords(groups: Groups, rows: u32): usize {
  const words = groups.packed;
  memory.fill(words, 0, (<usize>rows) << 3);
  let over: u64 = 0;
  for (let index: u32 = 0; index < groups.keyCount && over == 0; index++) {
    const key = groupsKey(groups, index);
    const field = fieldAt(groups.packing, index);
    if (key.validity != 0 && !isFull(key.validity, rows)) over = 1;
    else if (key.width == 4) over = addField<u32>(words, key.values, rows, field);
    else over = addField<u64>(words, key.values, rows, field);
  }
  return over == 0 || packRows(groups, rows) ? words : 0;
}

/** Whether the first `rows` bits are set, whatever comes after them. */
function isFull(bits: usize, rows: u32): bool {
  let all: u64 = -1;
  let row: u32 = 0;
  for (const whole = rows & ~63; row < whole; row += 64) all &= load<u64>(bits + <usize>(row >> 3));
  if (row < rows) all &= load<u64>(bits + <usize>(row >> 3)) | ~bitmapTail(rows);
  return ~all == 0;
}

/** Rows some of which are apart: wide first, each then in the place of what has become a word. */
function packRows(groups: Groups, rows: u32): bool {
  pack(groups, rows);
  const packed = groups.packed;
  const width: usize = groups.rowWidth;
  for (let row: usize = 0; row < <usize>rows; row++) {
    const word = wordOf(groups, groups.packing, packed + row * width);
    if (word == NO_WORD) return false;
    store<u64>(packed + (row << 3), word);
  }
  return true;
}

/** Adds a key to words; bits of it that have no place there, of any row. */
function addField<T>(words: usize, values: usize, rows: u32, field: Field): u64 {
  const shift = field.shift;
  let over: u64 = 0;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    const bases = sizeof<T>() == 4 ? i32x4.splat(<i32>field.base) : i64x2.splat(field.base);
    let all = i64x2.splat(0);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const from = values + <usize>row * sizeof<T>();
      const to = words + ((<usize>row) << 3);
      let low: v128;
      let high: v128;
      if (sizeof<T>() == 4) {
        const less = i32x4.sub(v128.load(from), bases);
        low = i64x2.extend_low_i32x4_u(less);
        high = i64x2.extend_high_i32x4_u(less);
      } else {
        low = i64x2.sub(v128.load(from), bases);
        high = i64x2.sub(v128.load(from, 16), bases);
      }
      all = v128.or(all, v128.or(low, high));
      v128.store(to, v128.or(v128.load(to), i64x2.shl(low, shift)));
      v128.store(to, v128.or(v128.load(to, 16), i64x2.shl(high, shift)), 16);
    }
    over = i64x2.extract_lane(all, 0) | i64x2.extract_lane(all, 1);
  }
  for (; row < rows; row++) {
    const less = lessBase<T>(values + <usize>row * sizeof<T>(), field);
    const to = words + ((<usize>row) << 3);
    over |= less;
    store<u64>(to, load<u64>(to) | (less << shift));
  }
  return over & ~maskOf(field);
}

// ---- on their way out

/** Of `count` groups listed at `list` (u32 each) how many at its beginning follow one another, none of them apart. */
export function packingRun(groups: Groups, list: usize, count: u32): u32 {
  const first = load<u32>(list);
  const words = rowTableRow(groups.table, first);
  let run: u32 = 0;
  while (run < count && load<u32>(list + ((<usize>run) << 2)) - first == run && load<i64>(words + ((<usize>run) << 3)) >= 0) run++;
  return run;
}

/** Writes key `index` of `count` such groups from `first` on, in normal form. */
export function packingRead(groups: Groups, index: u32, first: u32, count: u32, to: usize): void {
  const words = rowTableRow(groups.table, first);
  const field = fieldAt(groups.packing, index);
  if (groupsKey(groups, index).width == 4) readField<u32>(words, count, field, to);
  else readField<u64>(words, count, field, to);
}

function readField<T>(words: usize, count: u32, field: Field, to: usize): void {
  const base = <T>field.base;
  const shift = field.shift;
  const mask = maskOf(field);
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    if (sizeof<T>() == 4) {
      const bases = i32x4.splat(<i32>base);
      const masks = i64x2.splat(<i64>mask);
      for (const whole = count & ~3; row < whole; row += 4) {
        const from = words + ((<usize>row) << 3);
        const low = v128.and(i64x2.shr_u(v128.load(from), shift), masks);
        const high = v128.and(i64x2.shr_u(v128.load(from, 16), shift), masks);
        v128.store(to + ((<usize>row) << 2), i32x4.add(v128.shuffle<i32>(low, high, 0, 2, 4, 6), bases));
      }
    }
  }
  for (; row < count; row++)
    store<T>(to + <usize>row * sizeof<T>(), <T>((load<u64>(words + ((<usize>row) << 3)) >> shift) & mask) + base);
}
