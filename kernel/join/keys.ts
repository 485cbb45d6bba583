// Keys of a join: rows of both sides -> numbers, such that rows of equal keys have equal numbers.
//
// Both sides share one numbering, so that a row is hashed once, whether it is kept, looked up, or both:
//   NONE    no keys (a cross join): one number for every row
//   TEXT    one text key: the number is its interned id
//   DENSE   one integer key, all rows of one side at hand and their values in a small range: the number is the
//           value's distance from the smallest, and nothing is hashed or compared
//   HASH    anything else: packed rows in a row table (kernel/group)
//   RANGE   one integer key, rows of both sides still to come, keys so far close together (operator/join-range.ts): a
//           value in a range is numbered as in DENSE, null comes next, and others, which are looked up, follow
// Keys are in the normal form of groups: -0 = 0, NaN = NaN. A row with a null among its keys has no number,
// unless nulls are equal.
//
// `keysAssign` gives new keys numbers; `keysFind` adds nothing: it serves the side that is not kept.

import { Abi, Column, Type } from "../abi/layout";
import { AggregateFault, JoinFault } from "../abi/operator";
import { bitmapGet } from "../column/bitmap";
import { vectorIsValid } from "../column/builder";
import { BITMAP_BYTES, VECTOR_SIZE, Vector } from "../column/vector";
import {
  programCodes,
  programOutput,
  programOutputDictionary,
  programOutputDictionaryId,
  programOutputDistinctBytes,
  programValidity,
} from "../expression/program";
import { GROUPS_SIZE, Groups, NO_GROUP, Tier, groupsKey } from "../group/state";
import {
  groupsAssign,
  groupsFind,
  groupsInit,
  groupsProbes,
  groupsReserve,
  groupsRestart,
} from "../group/groups";
import { KEY_COLUMN_SIZE, KeyColumn, keyLoad } from "../group/key-column";
import {
  Interner,
  NO_ID,
  internFind,
  internFindCodes,
  internerLearnCodes,
  internerReserve,
  internerUseDictionary,
} from "../group/interner";
import { rowTableRow, rowTableSlots } from "../group/row-table";
import { regionBlock, regionCut, regionFree } from "../memory/region";
import { Store, storeTextBytes, storeVector } from "./store";

export const enum KeyTier {
  NONE = 0,
  /** One integer key, nothing is indexed yet: DENSE or HASH. */
  UNDECIDED = 1,
  DENSE = 2,
  HASH = 3,
  TEXT = 4,
  RANGE = 5,
}

/** A row without a number: nothing equals it. */
export const NO_KEY: u32 = 0xffffffff;

// @ts-ignore: decorator
@unmanaged
export class Keys {
  region: usize;
  groups: usize;
  count: u32;
  tier: u32;
  nullsEqual: u32;
  /** DENSE, RANGE: the smallest value, and how many numbers there are before that of null. */
  range: u32;
  low: i64;
  /** Per port and key what its interner remembers of the port's dictionary: id, remap, its length, identity. */
  remaps: usize;
  port: u32;
  /** RANGE: the rows of a vector that have values elsewhere, and their groups (u32 each); 0 until there is one. */
  elsewhere: usize;
  /** Keys in the table from which on it is worth a look whether they lie close together. */
  look: u32;
}

export const KEYS_SIZE: usize = 64;
const ELSEWHERE_GROUPS: usize = <usize>Abi.VECTOR_ROWS * 4;
const ELSEWHERE_SIZE: usize = <usize>Abi.VECTOR_ROWS * 8;
/** Fewer keys are found in the first-level cache. */
const LOOK: u32 = 1024;
const LOOK_TINY: u32 = 4;
const NEVER: u32 = 0xffffffff;
const REMAP_SIZE: usize = 16;

/** Keys of these types (u32 each at `types`). False when out of memory. */
export function keysInit(address: usize, region: usize, types: usize, count: u32, nullsEqual: bool, fault: u32, seed: u32): bool {
  const self = changetype<Keys>(address);
  self.region = region;
  self.count = count;
  self.nullsEqual = nullsEqual ? 1 : 0;
  self.look = NEVER;
  if (count == 0) return true;
  self.groups = regionCut(region, GROUPS_SIZE);
  self.remaps = regionCut(region, <usize>count * 2 * REMAP_SIZE);
  const columns = regionCut(region, <usize>count * KEY_COLUMN_SIZE);
  if (self.groups == 0 || self.remaps == 0 || columns == 0) return false;
  for (let index: u32 = 0; index < count; index++) {
    const key = changetype<KeyColumn>(columns + <usize>index * KEY_COLUMN_SIZE);
    key.type = load<u32>(types + ((<usize>index) << 2));
    key.output = index;
  }
  let faults: u32 = AggregateFault.NO_DIRECT;
  if (fault & <u32>JoinFault.HASH_ZERO) faults |= <u32>AggregateFault.HASH_ZERO;
  if (fault & <u32>JoinFault.TINY_TABLES) faults |= <u32>AggregateFault.TINY_TABLES;
  const groups = changetype<Groups>(self.groups);
  if (!groupsInit(groups, region, columns, count, faults, seed)) return false;
  groups.tier = Tier.HASH;
  const only = groupsKey(groups, 0);
  self.tier = KeyTier.HASH;
  if (count == 1 && only.interner != 0) self.tier = KeyTier.TEXT;
  else if (count == 1 && isWhole(only.type) && (fault & <u32>JoinFault.NO_DENSE) == 0) {
    self.tier = KeyTier.UNDECIDED;
    self.look = fault & <u32>JoinFault.TINY_TABLES ? LOOK_TINY : LOOK;
  }
  return true;
}

/** Integers whose normal form is what vectors hold. */
function isWhole(type: u32): bool {
  return type == <u32>Type.I32 || type == <u32>Type.U32 || type == <u32>Type.I64 || type == <u32>Type.U64;
}

// @ts-ignore: decorator
@inline
function keyColumn(self: Keys, index: u32): KeyColumn {
  return groupsKey(changetype<Groups>(self.groups), index);
}

/** All numbers given so far are below this. */
export function keysSpan(self: Keys): u32 {
  if (self.tier == <u32>KeyTier.NONE) return 1;
  if (self.tier == <u32>KeyTier.DENSE) return self.range + 1;
  if (self.tier == <u32>KeyTier.TEXT) return changetype<Interner>(keyColumn(self, 0).interner).count + 1;
  const looked = changetype<Groups>(self.groups).count;
  return self.tier == <u32>KeyTier.RANGE ? self.range + 1 + looked : looked;
}

/** Keys so far, for statistics; of DENSE, and of a range, numbers. */
export function keysCount(self: Keys): u32 {
  if (self.count == 0 || self.tier == <u32>KeyTier.UNDECIDED) return 0;
  if (self.tier == <u32>KeyTier.DENSE) return self.range;
  if (self.tier == <u32>KeyTier.TEXT) return changetype<Interner>(keyColumn(self, 0).interner).count;
  const looked = changetype<Groups>(self.groups).count;
  return self.tier == <u32>KeyTier.RANGE ? self.range + looked : looked;
}

/** Slots of the tables, for statistics. */
export function keysSlots(self: Keys): u32 {
  if (self.tier == <u32>KeyTier.DENSE) return self.range + 1;
  const looks = self.tier == <u32>KeyTier.HASH || self.tier == <u32>KeyTier.RANGE;
  const slots = looks ? rowTableSlots(changetype<Groups>(self.groups).table) : 0;
  return self.tier == <u32>KeyTier.RANGE ? self.range + 1 + slots : slots;
}

/** Slots that lookups went past because they were another key's. */
export function keysProbes(self: Keys): u64 {
  return self.count == 0 ? 0 : groupsProbes(changetype<Groups>(self.groups));
}

/** Room for the keys of `rows` further rows of the batch that `program` is bound to. False when out of memory. */
export function keysReserve(self: Keys, program: usize, rows: u32): bool {
  for (let index: u32 = 0; index < self.count; index++) {
    const key = keyColumn(self, index);
    if (key.interner == 0) continue;
    if (!internerReserve(key.interner, rows, programOutputDistinctBytes(program, key.output))) return false;
  }
  return self.tier != <u32>KeyTier.HASH || groupsReserve(changetype<Groups>(self.groups), rows);
}

/** Room for the keys of `rows` rows that are kept: see `keysAssignKept`. */
export function keysReserveKept(self: Keys, rows: u32): bool {
  return groupsReserve(changetype<Groups>(self.groups), rows);
}

/** Interners remember one dictionary: each port has its own. */
function usePort(self: Keys, port: u32): void {
  if (self.port == port) return;
  for (let index: u32 = 0; index < self.count; index++) {
    const address = keyColumn(self, index).interner;
    if (address == 0) continue;
    const interner = changetype<Interner>(address);
    const old = self.remaps + <usize>(self.port * self.count + index) * REMAP_SIZE;
    const own = self.remaps + <usize>(port * self.count + index) * REMAP_SIZE;
    store<u32>(old, interner.dictionaryId);
    store<u32>(old, <u32>interner.remap, 4);
    store<u32>(old, interner.remapLength, 8);
    store<u32>(old, interner.identity, 12);
    interner.dictionaryId = load<u32>(own);
    interner.remap = load<u32>(own, 4);
    interner.remapLength = load<u32>(own, 8);
    interner.identity = load<u32>(own, 12);
  }
  self.port = port;
}

/** The numbers of the first `rows` rows of a program's outputs, new ones where keys are new. False when out of memory. */
export function keysAssign(self: Keys, port: u32, program: usize, rows: u32, numbers: usize): bool {
  if (self.tier == <u32>KeyTier.NONE) {
    memory.fill(numbers, 0, (<usize>rows) << 2);
    return true;
  }
  usePort(self, port);
  for (let index: u32 = 0; index < self.count; index++) {
    const key = keyColumn(self, index);
    if (!keyLoad(key, changetype<Vector>(programOutput(program, key.output)), rows)) return false;
  }
  return assignLoaded(self, rows, numbers);
}

/**
 * Where the number of each code of a batch's dictionary stands, less one (u32 each), after `keysReserve`: of one key, a
 * text by dictionary without nulls that lies in the batch, where there are many rows to a text. Texts that no row has may
 * get numbers. 0 where it is not so, or memory is short.
 */
export function keysOfCodes(self: Keys, port: u32, program: usize, rows: u32): usize {
  if (self.tier != <u32>KeyTier.TEXT) return 0;
  const key = keyColumn(self, 0);
  if (programCodes(program, key.output) == 0 || programValidity(program, key.output) != 0) return 0;
  const dictionary = programOutputDictionary(program, key.output);
  if (load<u32>(dictionary, <usize>Column.LENGTH) > rows >> 3) return 0;
  usePort(self, port);
  const id = programOutputDictionaryId(program, key.output);
  return internerUseDictionary(key.interner, dictionary, id, rows) ? internerLearnCodes(key.interner, dictionary) : 0;
}

/** The same for kept rows, at the end of one side: the one key's values lie `stride` bytes apart. */
export function keysAssignKept(
  self: Keys,
  cells: usize,
  stride: usize,
  validity: usize,
  rows: u32,
  numbers: usize,
): bool {
  if (self.tier == <u32>KeyTier.DENSE) {
    keysNumberKept(self, cells, stride, validity, rows, numbers);
    return true;
  }
  const key = keyColumn(self, 0);
  key.values = key.buffer;
  key.validity = validity;
  for (let row: u32 = 0; row < rows; row++) {
    if (key.width == 8) store<u64>(key.buffer + ((<usize>row) << 3), load<u64>(cells));
    else store<u32>(key.buffer + ((<usize>row) << 2), load<u32>(cells));
    cells += stride;
  }
  return assignLoaded(self, rows, numbers);
}

/** Room for the keys of kept rows `first` to `first + rows`, which are the first columns of their store. */
export function keysReserveStored(self: Keys, kept: Store, first: u32, rows: u32): bool {
  for (let index: u32 = 0; index < self.count; index++) {
    const key = keyColumn(self, index);
    if (key.interner == 0) continue;
    if (!internerReserve(key.interner, rows, <usize>storeTextBytes(kept, index, first, rows))) return false;
  }
  return self.tier != <u32>KeyTier.HASH || groupsReserve(changetype<Groups>(self.groups), rows);
}

/** The numbers of kept rows, at most a vector of them. False when out of memory. */
export function keysAssignStored(self: Keys, kept: Store, first: u32, rows: u32, numbers: usize): bool {
  if (self.tier == <u32>KeyTier.NONE) {
    memory.fill(numbers, 0, (<usize>rows) << 2);
    return true;
  }
  const stride: usize = VECTOR_SIZE + BITMAP_BYTES + (<usize>Abi.VECTOR_ROWS << 4);
  const vectors = regionBlock(self.region, stride * <usize>self.count);
  if (vectors == 0) return false;
  let done = true;
  for (let index: u32 = 0; index < self.count && done; index++) {
    const vector = changetype<Vector>(vectors + stride * <usize>index);
    storeVector(kept, index, first, rows, vector);
    done = keyLoad(keyColumn(self, index), vector, rows);
  }
  done = done && assignLoaded(self, rows, numbers);
  regionFree(self.region, vectors);
  return done;
}

function assignLoaded(self: Keys, rows: u32, numbers: usize): bool {
  if (self.tier == <u32>KeyTier.TEXT) {
    textNumbers(self, rows, numbers);
    return true;
  }
  if (self.tier == <u32>KeyTier.RANGE) return rangeNumbers(self, rows, numbers, true);
  if (!groupsAssign(changetype<Groups>(self.groups), rows, numbers)) return false;
  if (self.nullsEqual == 0) dropNulls(self, rows, numbers);
  return true;
}

/** The numbers of rows whose keys are known; NO_KEY for the others. False when out of memory. */
export function keysFind(self: Keys, port: u32, program: usize, rows: u32, numbers: usize): bool {
  if (self.tier == <u32>KeyTier.NONE) {
    memory.fill(numbers, 0, (<usize>rows) << 2);
    return true;
  }
  usePort(self, port);
  for (let index: u32 = 0; index < self.count; index++) {
    const key = keyColumn(self, index);
    const vector = changetype<Vector>(programOutput(program, key.output));
    if (!(key.interner == 0 ? keyLoad(key, vector, rows) : findTexts(key, vector, rows))) return false;
  }
  if (self.tier == <u32>KeyTier.DENSE) findDense(self, keyColumn(self, 0), rows, numbers);
  else if (self.tier == <u32>KeyTier.TEXT) textNumbers(self, rows, numbers);
  else if (self.tier == <u32>KeyTier.RANGE) return rangeNumbers(self, rows, numbers, false);
  else {
    groupsFind(changetype<Groups>(self.groups), rows, numbers);
    if (self.nullsEqual == 0) dropNulls(self, rows, numbers);
  }
  return true;
}

/** Ids of texts that are known, NO_ID for the others. */
function findTexts(key: KeyColumn, vector: Vector, rows: u32): bool {
  const interner = key.interner;
  const ids = key.buffer;
  key.values = ids;
  key.validity = vector.validity;
  const dictionary = vector.dictionary;
  if (dictionary != 0) {
    // As for no rows, so that no text of the dictionary is added.
    if (!internerUseDictionary(interner, dictionary, vector.dictionaryId, 0)) return false;
  }
  if (dictionary != 0) {
    internFindCodes(interner, dictionary, vector.values, vector.validity, rows, ids);
    return true;
  }
  for (let row: u32 = 0; row < rows; row++) {
    let id = NO_ID;
    if (vectorIsValid(vector, row)) {
      const view = vector.values + ((<usize>row) << 3);
      id = internFind(interner, load<u32>(view), load<u32>(view, 4));
    }
    store<u32>(ids + ((<usize>row) << 2), id);
  }
  return true;
}

/** TEXT: the numbers of all `length` codes of a port's dictionary, u32 each; no text is added. False when out of memory. */
export function keysFindCodes(self: Keys, port: u32, dictionary: usize, id: u32, length: u32, numbers: usize): bool {
  usePort(self, port);
  const key = keyColumn(self, 0);
  if (!internerUseDictionary(key.interner, dictionary, id, 0)) return false;
  for (let first: u32 = 0; first < length; first += <u32>Abi.VECTOR_ROWS) {
    const some = min<u32>(<u32>Abi.VECTOR_ROWS, length - first);
    const codes = numbers + ((<usize>first) << 2);
    for (let code: u32 = 0; code < some; code++) store<u32>(codes + ((<usize>code) << 2), first + code);
    internFindCodes(key.interner, dictionary, codes, 0, some, key.buffer);
    key.values = key.buffer;
    key.validity = 0;
    textNumbers(self, some, codes);
  }
  return true;
}

/** TEXT: 0 is null, ids count from 1. */
function textNumbers(self: Keys, rows: u32, numbers: usize): void {
  const key = keyColumn(self, 0);
  const none: u32 = self.nullsEqual ? 0 : NO_KEY;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD && key.validity == 0) {
    const absent = i32x4.splat(<i32>NO_ID);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const ids = v128.load(key.values + ((<usize>row) << 2));
      const number = v128.or(i32x4.add(ids, i32x4.splat(1)), i32x4.eq(ids, absent));
      v128.store(numbers + ((<usize>row) << 2), number);
    }
  }
  for (; row < rows; row++) {
    const at: usize = (<usize>row) << 2;
    const id = load<u32>(key.values + at);
    let number = id == NO_ID ? NO_KEY : id + 1;
    if (key.validity != 0 && !bitmapGet(key.validity, row)) number = none;
    store<u32>(numbers + at, number);
  }
}

function dropNulls(self: Keys, rows: u32, numbers: usize): void {
  for (let index: u32 = 0; index < self.count; index++) {
    const validity = keyColumn(self, index).validity;
    if (validity == 0) continue;
    for (let row: u32 = 0; row < rows; row++) {
      if (bitmapGet(validity, row)) continue;
      store<u32>(numbers + ((<usize>row) << 2), NO_KEY);
    }
  }
}

// ---- DENSE

/** Numbers the values from `low` on, `range` of them; no key may have a number yet. */
export function keysDense(self: Keys, low: i64, range: u32): void {
  self.tier = KeyTier.DENSE;
  self.low = low;
  self.range = range;
}

/** Gives up on DENSE. */
export function keysHash(self: Keys): void {
  self.tier = KeyTier.HASH;
}

function findDense(self: Keys, key: KeyColumn, rows: u32, numbers: usize): void {
  if (key.width == 8) denseNumbers<i64>(self, key, rows, numbers);
  else if (key.type == <u32>Type.U32) denseNumbers<u32>(self, key, rows, numbers);
  else denseNumbers<i32>(self, key, rows, numbers);
  numberNulls(self, key.validity, rows, numbers);
}

/** DENSE: the numbers of kept rows, as of `keysAssignKept`. Changes nothing else: several threads may ask at once. */
export function keysNumberKept(self: Keys, cells: usize, stride: usize, validity: usize, rows: u32, numbers: usize): void {
  const key = keyColumn(self, 0);
  if (key.width == 8) spacedNumbers<i64>(self, cells, stride, rows, numbers);
  else if (key.type == <u32>Type.U32) spacedNumbers<u32>(self, cells, stride, rows, numbers);
  else spacedNumbers<i32>(self, cells, stride, rows, numbers);
  numberNulls(self, validity, rows, numbers);
}

function numberNulls(self: Keys, validity: usize, rows: u32, numbers: usize): void {
  if (validity == 0) return;
  const none: u32 = self.nullsEqual ? self.range : NO_KEY;
  for (let row: u32 = 0; row < rows; row++) {
    if (bitmapGet(validity, row)) continue;
    store<u32>(numbers + ((<usize>row) << 2), none);
  }
}

function spacedNumbers<T>(self: Keys, cells: usize, stride: usize, rows: u32, numbers: usize): void {
  const low = <u64>self.low;
  const range: u64 = self.range;
  const end = numbers + ((<usize>rows) << 2);
  for (; numbers < end; numbers += 4) {
    const distance = <u64>(<i64>load<T>(cells)) - low;
    store<u32>(numbers, distance < range ? <u32>distance : NO_KEY);
    cells += stride;
  }
}

/**
 * Where the values of the first `rows` rows lie (four bytes each), if their numbers are no more than what they are above the
 * smallest: a dense index, no nulls. 0 where they are not.
 */
export function keysDistances(self: Keys, program: usize): usize {
  if (self.tier != <u32>KeyTier.DENSE || self.nullsEqual) return 0;
  const key = keyColumn(self, 0);
  const vector = changetype<Vector>(programOutput(program, key.output));
  return key.width == 4 && vector.validity == 0 ? vector.values : 0;
}

/** Distances wrap for values far away, but never into the range. */
function denseNumbers<T>(self: Keys, key: KeyColumn, rows: u32, numbers: usize): void {
  const values = key.values;
  const low = <u64>self.low;
  const range: u64 = self.range;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD && sizeof<T>() == 4) {
    // The range lies within the type's values, so that distances of 32 bits wrap into it as little; without any value
    // on the side that was indexed it is one number that no row has.
    const first = i32x4.splat(<i32>self.low);
    const end = i32x4.splat(<i32>self.range);
    for (const whole = rows & ~3; row < whole; row += 4) {
      const distance = i32x4.sub(v128.load(values + ((<usize>row) << 2)), first);
      v128.store(numbers + ((<usize>row) << 2), v128.or(distance, i32x4.ge_u(distance, end)));
    }
  }
  for (; row < rows; row++) {
    const distance = <u64>(<i64>load<T>(values + <usize>row * sizeof<T>())) - low;
    store<u32>(numbers + ((<usize>row) << 2), distance < range ? <u32>distance : NO_KEY);
  }
}

// ---- RANGE

/** Keys that are looked up. */
export function keysLooked(self: Keys): u32 {
  return changetype<Groups>(self.groups).count;
}

/** Whether the table has so many keys that it should be looked whether they lie close together. */
// @ts-ignore: decorator
@inline
export function keysAreMany(self: Keys): bool {
  return self.look != NEVER && changetype<Groups>(self.groups).count >= self.look;
}

/** Lets `count` more keys come into the table, or a quarter more than there are, before the next look. */
export function keysLookLater(self: Keys, count: u32): void {
  const keys = keysLooked(self);
  self.look = <u32>min<u64>(<u64>keys + <u64>max<u32>(count, keys >> 2), NEVER - 1);
}

/** Widens [low, high] (16 bytes at `bounds`) by the keys in the table, and by the range. */
export function keysBounds(self: Keys, bounds: usize): void {
  if (self.tier == <u32>KeyTier.RANGE) {
    store<i64>(bounds, min(load<i64>(bounds), self.low));
    store<i64>(bounds, max(load<i64>(bounds, 8), self.low + <i64>self.range - 1), 8);
  }
  const type = keyColumn(self, 0).type;
  if (type == <u32>Type.I32) boundTable<i32>(self, bounds);
  else if (type == <u32>Type.U32) boundTable<u32>(self, bounds);
  else boundTable<i64>(self, bounds);
}

function boundTable<T>(self: Keys, bounds: usize): void {
  const groups = changetype<Groups>(self.groups);
  let low = load<i64>(bounds);
  let high = load<i64>(bounds, 8);
  for (let group: u32 = 0; group < groups.count; group++) {
    if (isNull(groups, group)) continue;
    const value = <i64>load<T>(rowTableRow(groups.table, group));
    low = min(low, value);
    high = max(high, value);
  }
  store<i64>(bounds, low);
  store<i64>(bounds, high, 8);
}

/** Widens the bounds by the keys in the table whose head (u32 each at `heads`, `count` of them) is of a row. */
export function keysBoundsHeld(self: Keys, heads: usize, count: u32, bounds: usize): void {
  const end = min(changetype<Groups>(self.groups).count, count);
  for (let group: u32 = 0; group < end; group++) {
    if (load<u32>(heads + ((<usize>group) << 2)) != 0) keysBoundsOf(self, group, bounds);
  }
}

/** Widens the bounds by the value of a number that a row has. */
export function keysBoundsOf(self: Keys, number: u32, bounds: usize): void {
  let group = number;
  if (self.tier == <u32>KeyTier.RANGE) {
    if (number < self.range) return widen(bounds, self.low + <i64>number);
    if (number == self.range) return;
    group = number - self.range - 1;
  }
  const groups = changetype<Groups>(self.groups);
  if (isNull(groups, group)) return;
  const row = rowTableRow(groups.table, group);
  const type = keyColumn(self, 0).type;
  if (type == <u32>Type.I32) widen(bounds, load<i32>(row));
  else if (type == <u32>Type.U32) widen(bounds, load<u32>(row));
  else widen(bounds, load<i64>(row));
}

// @ts-ignore: decorator
@inline
function widen(bounds: usize, value: i64): void {
  store<i64>(bounds, min(load<i64>(bounds), value));
  store<i64>(bounds, max(load<i64>(bounds, 8), value), 8);
}

/** Whether the keys are one integer, whose numbers may be computed. */
export function keysMayRange(self: Keys): bool {
  return self.look != NEVER;
}

/** Whether the one key of a group is null. */
// @ts-ignore: decorator
@inline
function isNull(groups: Groups, group: u32): bool {
  if (groups.maskOffset == NO_GROUP) return group == groups.nullGroup;
  return load<u32>(rowTableRow(groups.table, group) + <usize>groups.maskOffset) != 0;
}

/** The least and the greatest value of the key's type, as far as 64 signed bits have them. */
export function keysLeast(self: Keys): i64 {
  const type = keyColumn(self, 0).type;
  return type == <u32>Type.I32 ? i32.MIN_VALUE : type == <u32>Type.U32 ? 0 : i64.MIN_VALUE;
}

export function keysGreatest(self: Keys): i64 {
  const type = keyColumn(self, 0).type;
  return type == <u32>Type.I32 ? i32.MAX_VALUE : type == <u32>Type.U32 ? <i64>u32.MAX_VALUE : i64.MAX_VALUE;
}

/**
 * Copies a head (u32) a number, `count` of them by the numbers that there are, to `fresh`, by those that `keysRange` of
 * these values would give, where all heads are of no row; keys whose head is of one lie in the range.
 */
export function keysMove(self: Keys, heads: usize, count: u32, fresh: usize, low: i64, range: u32): void {
  let first: u32 = 0;
  if (self.tier == <u32>KeyTier.RANGE) {
    memory.copy(fresh + (<usize>(self.low - low) << 2), heads, <usize>self.range << 2);
    store<u32>(fresh + ((<usize>range) << 2), load<u32>(heads + ((<usize>self.range) << 2)));
    first = self.range + 1;
  }
  const groups = changetype<Groups>(self.groups);
  // A key whose head found no room has no row.
  const end = min(groups.count, count - first);
  const type = keyColumn(self, 0).type;
  heads += (<usize>first) << 2;
  if (type == <u32>Type.I32) moveTable<i32>(groups, heads, end, fresh, low, range);
  else if (type == <u32>Type.U32) moveTable<u32>(groups, heads, end, fresh, low, range);
  else moveTable<i64>(groups, heads, end, fresh, low, range);
}

function moveTable<T>(groups: Groups, heads: usize, end: u32, fresh: usize, low: i64, range: u32): void {
  for (let group: u32 = 0; group < end; group++) {
    const head = load<u32>(heads + ((<usize>group) << 2));
    if (head == 0) continue;
    const value = <i64>load<T>(rowTableRow(groups.table, group));
    const number = isNull(groups, group) ? range : <u32>(value - low);
    store<u32>(fresh + ((<usize>number) << 2), head);
  }
}

/** Numbers `range` values from `low` on, all keys among them, by their distance; the table is empty then. */
export function keysRange(self: Keys, low: i64, range: u32, keys: u32): void {
  self.tier = KeyTier.RANGE;
  self.low = low;
  self.range = range;
  self.look = max<u32>(LOOK_TINY, keys >> 2);
  groupsRestart(changetype<Groups>(self.groups));
}

/** The same of a side that has ended: what is not in the range has no number. */
export function keysSettle(self: Keys, low: i64, range: u32): void {
  groupsRestart(changetype<Groups>(self.groups));
  keysDense(self, low, range);
}

/** The numbers of a loaded vector; keys outside of the range are looked up, and added where `adds`. False when out of memory. */
function rangeNumbers(self: Keys, rows: u32, numbers: usize, adds: bool): bool {
  const key = keyColumn(self, 0);
  findDense(self, key, rows, numbers);
  const lacks = !adds && changetype<Groups>(self.groups).count == 0;
  if (lacks || !hasNone(numbers, rows)) return true;
  if (self.elsewhere == 0) {
    self.elsewhere = regionBlock(self.region, ELSEWHERE_SIZE);
    if (self.elsewhere == 0) return false;
  }
  const count = key.width == 8 ? listElsewhere<u64>(self, key, rows, numbers) : listElsewhere<u32>(self, key, rows, numbers);
  if (count == 0) return true;
  key.values = key.buffer;
  key.validity = 0;
  const groups = changetype<Groups>(self.groups);
  const found = self.elsewhere + ELSEWHERE_GROUPS;
  if (!adds) groupsFind(groups, count, found);
  else if (!groupsReserve(groups, count) || !groupsAssign(groups, count, found)) return false;
  for (let at: usize = 0; at < (<usize>count) << 2; at += 4) {
    const group = load<u32>(found + at);
    const number = group == NO_GROUP ? NO_KEY : self.range + 1 + group;
    store<u32>(numbers + ((<usize>load<u32>(self.elsewhere + at)) << 2), number);
  }
  return true;
}

/** Whether any of the numbers is NO_KEY. */
function hasNone(numbers: usize, rows: u32): bool {
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    let none = i32x4.splat(0);
    for (const whole = rows & ~3; row < whole; row += 4)
      none = v128.or(none, i32x4.eq(v128.load(numbers + ((<usize>row) << 2)), i32x4.splat(<i32>NO_KEY)));
    if (v128.any_true(none)) return true;
  }
  for (; row < rows; row++) if (load<u32>(numbers + ((<usize>row) << 2)) == NO_KEY) return true;
  return false;
}

/** Lists the rows that have a key but no number, and brings their values to the front of the key's buffer. */
function listElsewhere<T>(self: Keys, key: KeyColumn, rows: u32, numbers: usize): u32 {
  const list = self.elsewhere;
  let count: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    if (load<u32>(numbers + ((<usize>row) << 2)) != NO_KEY) continue;
    if (key.validity != 0 && !bitmapGet(key.validity, row)) continue;
    store<u32>(list + ((<usize>count) << 2), row);
    // Never in front of a value that is still to be read.
    store<T>(key.buffer + <usize>count * sizeof<T>(), load<T>(key.values + <usize>row * sizeof<T>()));
    count++;
  }
  return count;
}

/** Widens [low, high] (16 bytes at `bounds`) by the valid values of one integer key column. */
export function keysObserve(vector: Vector, rows: u32, bounds: usize): void {
  if (vector.type == <u32>Type.I32) observe<i32>(vector, rows, bounds);
  else if (vector.type == <u32>Type.U32) observe<u32>(vector, rows, bounds);
  else observe<i64>(vector, rows, bounds);
}

function observe<T>(vector: Vector, rows: u32, bounds: usize): void {
  let low = load<i64>(bounds);
  let high = load<i64>(bounds, 8);
  if (vector.validity == 0) {
    const end = vector.values + <usize>rows * sizeof<T>();
    for (let at = vector.values; at < end; at += sizeof<T>()) {
      const value = <i64>load<T>(at);
      low = min(low, value);
      high = max(high, value);
    }
    store<i64>(bounds, low);
    store<i64>(bounds, high, 8);
    return;
  }
  for (let row: u32 = 0; row < rows; row++) {
    if (!vectorIsValid(vector, row)) continue;
    const value = <i64>load<T>(vector.values + <usize>row * sizeof<T>());
    low = min(low, value);
    high = max(high, value);
  }
  store<i64>(bounds, low);
  store<i64>(bounds, high, 8);
}
