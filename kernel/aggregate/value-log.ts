// LOG: every value of a group, for what no smaller state can answer: quantiles, the mode, ARRAY (array.ts).
//
// An update appends (group, value) to a log, in no order. Before results are read the log is partitioned by
// group (a counting sort, which one group does not need; where groups are many, by ranges of groups first, so that
// few places are written to at a time), and each result then selects (select-key.ts; quickselect for few values) or
// sorts (mode) within its group. The log is a multiset, so moving its entries about changes no answer, and all
// quantiles and modes of one argument and filter share it.
//
// A large log of 8-byte keys is divided by group when values come instead (log-parts.ts): what is said here of entries,
// values and heads is how a small one lies, or one of texts or of 16-byte keys.
//
//   entries:  u32 group numbers       values:  order keys (order-key.ts)
//   heads:    u32 first entry of each group, and of the group past the last
//
// After quickselect has taken too many turns it falls back to a heap sort: no input makes it quadratic.

import { Type } from "../abi/layout";
import { regrow } from "../column/builder";
import { regionBlock, regionFree } from "../memory/region";
import { Accumulator, Family } from "./accumulator";
import { maskBit } from "./argument";
import {
  partsAppend,
  partsAppendRows,
  partsAppended,
  partsClose,
  partsEntry,
  partsGroup,
  partsOpen,
  partsPlace,
  partsReserve,
  partsSettle,
  partsSplice,
} from "./log-parts";
import { orderLoad, orderOf, orderWidth } from "./order-key";
import { selectKey, selectNext } from "./select-key";

/** Below this many values an insertion sort is all there is to do. */
const SMALL: u32 = 16;
/** From so many values on a rank is found by counting. */
const COUNTED: u32 = 96;
/** A log that holds so many values when more come is divided into parts: then blocks that are not full matter little. */
const DIVIDED: u64 = 1 << 17;
/** Ranges of groups that the values of many groups are divided by first, and from how many groups and values on. */
const RANGES: u32 = 128;
const MANY_GROUPS: u32 = 512;
const MANY_VALUES: u32 = 65536;

export function logInit(self: Accumulator): void {
  self.stride = orderWidth(self.type);
}

// @ts-ignore: decorator
@inline
export function logCount(self: Accumulator): u32 {
  return <u32>self.rows;
}

/** Room for `rows` more values. False when out of memory, with nothing lost. */
export function logReserve(self: Accumulator, rows: u32): bool {
  if (self.side != 0) return partsReserve(self, rows);
  const need: u64 = self.rows + <u64>rows;
  if (need <= <u64>self.sideCapacity) return true;
  if (self.rows >= DIVIDED && self.family == <u32>Family.LOG && self.stride == 8 && partsOpen(self, rows)) return true;
  // Half as much again: two copies are held while the values move.
  if (grow(self, max<u64>(need + (self.rows >> 1), 1024))) return true;
  return grow(self, need);
}

function grow(self: Accumulator, capacity: u64): bool {
  if (capacity * <u64>self.stride > 0xffe00000) return false; // unreached: needs more than 4 GiB
  const count = <usize>self.rows;
  const values = regrow(self.region, self.values, count * self.stride, <usize>capacity * self.stride);
  if (values == 0) return false;
  self.values = values;
  const entries = regrow(self.region, self.entries, count << 2, <usize>capacity << 2);
  if (entries == 0) return false;
  self.entries = entries;
  self.sideCapacity = <u32>capacity;
  return true;
}

/** Appends a vector's values that count; there is room for them. */
export function logUpdate(self: Accumulator, numbers: usize, values: usize, mask: usize, rows: u32): void {
  switch (self.type) {
    case Type.BOOL:
      return appendBits(self, numbers, values, mask, rows);
    case Type.I8:
      return append<i8>(self, numbers, values, mask, rows);
    case Type.U8:
      return append<u8>(self, numbers, values, mask, rows);
    case Type.I16:
      return append<i16>(self, numbers, values, mask, rows);
    case Type.U16:
      return append<u16>(self, numbers, values, mask, rows);
    case Type.I32:
      return append<i32>(self, numbers, values, mask, rows);
    case Type.U32:
      return append<u32>(self, numbers, values, mask, rows);
    case Type.I64:
      return append<i64>(self, numbers, values, mask, rows);
    case Type.U64:
      return append<u64>(self, numbers, values, mask, rows);
    case Type.F32:
      return append<f32>(self, numbers, values, mask, rows);
    case Type.F64:
      return append<f64>(self, numbers, values, mask, rows);
    default:
      return appendWide(self, numbers, values, mask, rows);
  }
}

function append<T>(self: Accumulator, numbers: usize, values: usize, mask: usize, rows: u32): void {
  if (self.side != 0) return appendDivided<T>(self, numbers, values, mask, rows);
  const groups = self.entries;
  const log = self.values;
  let at = <usize>self.rows;
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    store<u32>(groups + (at << 2), load<u32>(numbers + ((<usize>row) << 2)));
    store<i64>(log + (at << 3), orderOf<T>(load<T>(values + <usize>row * sizeof<T>())));
    at++;
  }
  self.rows = at;
}

function appendDivided<T>(self: Accumulator, numbers: usize, values: usize, mask: usize, rows: u32): void {
  if (mask == 0) {
    partsAppendRows<T>(self, numbers, values, rows);
    return partsAppended(self, rows);
  }
  let count: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    if (!maskBit(mask, row)) continue;
    const group = load<u32>(numbers + ((<usize>row) << 2));
    partsAppend(self, group, orderOf<T>(load<T>(values + <usize>row * sizeof<T>())));
    count++;
  }
  partsAppended(self, count);
}

function appendBits(self: Accumulator, numbers: usize, values: usize, mask: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    logAppend(self, load<u32>(numbers + ((<usize>row) << 2)), maskBit(values, row));
  }
}

function appendWide(self: Accumulator, numbers: usize, values: usize, mask: usize, rows: u32): void {
  let at = <usize>self.rows;
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    store<u32>(self.entries + (at << 2), load<u32>(numbers + ((<usize>row) << 2)));
    copyValue<Wide>(self.values + (at << 4), values + ((<usize>row) << 4));
    at++;
  }
  self.rows = at;
}

/** Appends a value by its 8-byte key; there is room for it. */
export function logAppend(self: Accumulator, group: u32, key: i64): void {
  if (self.side != 0) {
    partsAppend(self, group, key);
    return partsAppended(self, 1);
  }
  const at = <usize>self.rows;
  store<u32>(self.entries + (at << 2), group);
  store<i64>(self.values + (at << 3), key);
  self.rows++;
}

/**
 * Appends entries `first` to `end` of `source`, whose groups `map` (u32 each) turns into this log's; u32 max leaves an
 * entry out. Room was made.
 */
export function logCombine(self: Accumulator, source: Accumulator, map: usize, first: u32, end: u32): void {
  for (let entry = first; entry < end; entry++) {
    const group = load<u32>(map + ((<usize>logGroup(source, entry)) << 2));
    if (group == 0xffffffff) continue;
    const key = logKey(source, entry);
    if (self.stride == 8) {
      logAppend(self, group, load<i64>(key));
      continue;
    }
    const at = <usize>self.rows;
    store<u32>(self.entries + (at << 2), group);
    copyValue<Wide>(self.values + (at << 4), key);
    self.rows++;
  }
}

/**
 * Takes all values of a source whose groups have the same numbers here, without going through them; the source has none
 * afterwards. 1, or 0 where they are to be gone through, or -1 when out of memory, with nothing lost.
 */
export function logSplice(self: Accumulator, source: Accumulator): i32 {
  return source.side == 0 ? 0 : partsSplice(self, source);
}

// @ts-ignore: decorator
@inline
export function logGroup(self: Accumulator, entry: u32): u32 {
  return self.side != 0 ? partsGroup(self, entry) : load<u32>(self.entries + ((<usize>entry) << 2));
}

/** Address of an entry's key. */
// @ts-ignore: decorator
@inline
function logKey(self: Accumulator, entry: u32): usize {
  return self.side != 0 ? partsEntry(self, entry) : self.values + <usize>entry * <usize>self.stride;
}

/** Writes a value, as bits of the argument's type (a byte for BOOL), to `target` (16 bytes). */
export function logLoad(self: Accumulator, entry: u32, target: usize): void {
  orderLoad(self.type, logKey(self, entry), target);
}

/** Makes it as it was before the first value. */
export function logClear(self: Accumulator): void {
  if (self.side != 0) partsClose(self);
  self.rows = 0;
  self.sideCount = 0;
  self.headsCapacity = 0;
}

// ---- partition

/** Brings the log into the order of `groups` groups. False when out of memory, with nothing lost. */
export function logPrepare(self: Accumulator, groups: u32): bool {
  const count = logCount(self);
  if (self.side == 0 && self.heads != 0 && self.headsCapacity == groups && self.sideCount == count) return true;
  if (self.side != 0) return partsSettle(self, groups);
  const heads = regrow(self.region, self.heads, 0, ((<usize>groups) + 2) << 2);
  if (heads == 0) return false;
  self.heads = heads;
  self.headsCapacity = 0;
  memory.fill(heads, 0, ((<usize>groups) + 2) << 2);
  // Counts go two places up, so that after the scatter, which moves each start to its end, heads are starts.
  const counts = heads + 8;
  for (let entry: u32 = 0; entry < count; entry++) {
    const at = counts + ((<usize>logGroup(self, entry)) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  if (groups <= 1) store<u32>(heads, count, 4);
  else {
    const fresh = regionBlock(self.region, max<usize>(64, <usize>self.sideCapacity * self.stride));
    if (fresh == 0) return false;
    let start: u32 = 0;
    for (let group: u32 = 0; group <= groups; group++) {
      const at = heads + ((<usize>group) << 2);
      const size = load<u32>(at, 4);
      start += size;
      store<u32>(at, start, 4);
    }
    // heads[g + 1] is now the start of g.
    if (!scatterByRange(self, fresh, count, groups)) {
      if (self.stride == 8) scatter<i64>(self, self.entries, self.values, fresh, 0, count);
      else scatter<Wide>(self, self.entries, self.values, fresh, 0, count);
      regionFree(self.region, self.values);
      self.values = fresh;
    }
    let entry: u32 = 0;
    for (let group: u32 = 0; group < groups; group++) {
      const end = load<u32>(heads + ((<usize>group) << 2), 4);
      for (; entry < end; entry++) store<u32>(self.entries + ((<usize>entry) << 2), group);
    }
  }
  self.headsCapacity = groups;
  self.sideCount = count;
  return true;
}

/** Moves entries `first` to `end` to where their groups' are, which `heads` tells and follows. */
function scatter<T>(
  self: Accumulator,
  groups: usize,
  values: usize,
  target: usize,
  first: u32,
  end: u32,
): void {
  const starts = self.heads + 4;
  for (let entry = first; entry < end; entry++) {
    const at = starts + ((<usize>load<u32>(groups + ((<usize>entry) << 2))) << 2);
    const to = load<u32>(at);
    store<u32>(at, to + 1);
    copyValue<T>(target + <usize>to * width<T>(), values + <usize>entry * width<T>());
  }
}

/**
 * The same in two steps, for many groups of 8-byte values: to ranges of groups in `fresh`, and from each range, which
 * fits the cache, back. False, with nothing done, where that does not pay or memory is exhausted; else `fresh` is freed.
 */
function scatterByRange(self: Accumulator, fresh: usize, count: u32, groups: u32): bool {
  if (self.stride != 8 || groups < MANY_GROUPS || count < MANY_VALUES) return false;
  const numbers = regionBlock(self.region, ((<usize>count) + <usize>RANGES) << 2);
  if (numbers == 0) return false;
  const next = numbers + ((<usize>count) << 2);
  const shift = 32 - clz<u32>((groups - 1) / RANGES);
  const starts = self.heads + 4;
  const ranges = ((groups - 1) >> shift) + 1;
  for (let range: u32 = 0; range < ranges; range++)
    store<u32>(next + ((<usize>range) << 2), load<u32>(starts + ((<usize>(range << shift)) << 2)));
  for (let entry: u32 = 0; entry < count; entry++) {
    const group = logGroup(self, entry);
    const at = next + ((<usize>(group >> shift)) << 2);
    const to = <usize>load<u32>(at);
    store<u32>(at, <u32>to + 1);
    store<u32>(numbers + (to << 2), group);
    store<i64>(fresh + (to << 3), load<i64>(self.values + ((<usize>entry) << 3)));
  }
  scatter<i64>(self, numbers, fresh, self.values, 0, count);
  regionFree(self.region, numbers);
  regionFree(self.region, fresh);
  return true;
}

/** Values of a group; the log is prepared. */
export function logSize(self: Accumulator, group: u32): u32 {
  const at = headOf(self, group);
  return load<u32>(at, 4) - load<u32>(at);
}

export function logFirst(self: Accumulator, group: u32): u32 {
  return load<u32>(headOf(self, group));
}

// @ts-ignore: decorator
@inline
function headOf(self: Accumulator, group: u32): usize {
  return self.heads + ((<usize>(self.side != 0 ? partsPlace(self, group) : group)) << 2);
}

/** Address of a group's first value. */
// @ts-ignore: decorator
@inline
export function logBase(self: Accumulator, group: u32): usize {
  return self.values + <usize>logFirst(self, group) * <usize>self.stride;
}

/** Brings a group's values into order. */
export function logSort(self: Accumulator, group: u32): void {
  if (self.stride == 8) sort<i64>(logBase(self, group), logSize(self, group));
  else sort<Wide>(logBase(self, group), logSize(self, group));
}

/**
 * Where the key of rank `rank` (0 = smallest) is among a group's `size` values at `base`, until the next call.
 * `scratch` is SELECT_SCRATCH.
 */
export function logSelect(self: Accumulator, base: usize, size: u32, rank: u32, scratch: usize): usize {
  if (self.stride == 8 && size >= COUNTED) return selectKey(base, size, rank, scratch);
  if (self.stride == 8) select<i64>(base, size, rank);
  else select<Wide>(base, size, rank);
  return base + <usize>rank * <usize>self.stride;
}

/** The same for the next rank, which exists; `selected` is where the one of `rank` is. */
export function logNext(self: Accumulator, base: usize, size: u32, rank: u32, selected: usize): usize {
  const stride: usize = self.stride;
  if (stride == 8 && size >= COUNTED) return selectNext(base, size, rank, selected);
  let best = selected + stride;
  const end = base + <usize>size * stride;
  for (let at = best + stride; at < end; at += stride) {
    if (stride == 8 ? isLess<i64>(at, best) : isLess<Wide>(at, best)) best = at;
  }
  return best;
}

/**
 * Where the key of the most frequent of a group's `size` values at `base` is, the smallest where several are. -0 is +0.
 */
export function logMode(self: Accumulator, base: usize, size: u32): usize {
  if (self.stride != 8) {
    sort<Wide>(base, size);
    return base + ((<usize>longestRun<Wide>(base, size)) << 4);
  }
  sort<i64>(base, size);
  if (self.type != <u32>Type.F32 && self.type != <u32>Type.F64)
    return base + ((<usize>longestRun<i64>(base, size)) << 3);
  let best: u32 = 0;
  let longest: u32 = 0;
  for (let start: u32 = 0; start < size; ) {
    let end = start + 1;
    const value = zeroed(load<i64>(base + ((<usize>start) << 3)));
    while (end < size && zeroed(load<i64>(base + ((<usize>end) << 3))) == value) end++;
    if (end - start > longest) {
      longest = end - start;
      best = start;
    }
    start = end;
  }
  return base + ((<usize>best) << 3);
}

/** -0, which is -1 in this order, as +0. */
// @ts-ignore: decorator
@inline
function zeroed(value: i64): i64 {
  return value == -1 ? 0 : value;
}

function longestRun<T>(base: usize, size: u32): u32 {
  let best: u32 = 0;
  let longest: u32 = 0;
  for (let start: u32 = 0; start < size; ) {
    let end = start + 1;
    while (end < size && !isLess<T>(base + <usize>start * width<T>(), base + <usize>end * width<T>())) end++;
    if (end - start > longest) {
      longest = end - start;
      best = start;
    }
    start = end;
  }
  return best;
}

// ---- ordering in place, over values of 8 (i64) or 16 bytes (Wide)

/** Stands for a 128-bit value; never loaded as such. */
type Wide = u8;

// @ts-ignore: decorator
@inline
function width<T>(): usize {
  return sizeof<T>() == 8 ? 8 : 16;
}

// @ts-ignore: decorator
@inline
function isLess<T>(a: usize, b: usize): bool {
  if (sizeof<T>() == 8) return load<i64>(a) < load<i64>(b);
  const highA = load<i64>(a, 8);
  const highB = load<i64>(b, 8);
  return highA < highB || (highA == highB && load<u64>(a) < load<u64>(b));
}

// @ts-ignore: decorator
@inline
function copyValue<T>(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from));
  if (sizeof<T>() != 8) store<u64>(to, load<u64>(from, 8), 8);
}

// @ts-ignore: decorator
@inline
function swap<T>(a: usize, b: usize): void {
  const low = load<u64>(a);
  store<u64>(a, load<u64>(b));
  store<u64>(b, low);
  if (sizeof<T>() != 8) {
    const high = load<u64>(a, 8);
    store<u64>(a, load<u64>(b, 8), 8);
    store<u64>(b, high, 8);
  }
}

/** Puts the value of rank `rank` in its place, smaller ones below it and greater ones above. */
function select<T>(base: usize, count: u32, rank: u32): void {
  let low: i32 = 0;
  let high: i32 = <i32>count - 1;
  for (let turns = depth(count); high - low >= <i32>SMALL; turns--) {
    if (turns == 0) return heapSort<T>(base + <usize>low * width<T>(), <u32>(high - low + 1));
    const middle = partition<T>(base, low, high);
    if (<i32>rank <= middle) high = middle;
    else low = middle + 1;
  }
  insertionSort<T>(base + <usize>low * width<T>(), <u32>(high - low + 1));
}

function sort<T>(base: usize, count: u32): void {
  sortRange<T>(base, 0, <i32>count - 1, depth(count));
}

/** Recurs into the shorter side only, so that the stack stays below 32 calls. */
function sortRange<T>(base: usize, low: i32, high: i32, turns: i32): void {
  while (high - low >= <i32>SMALL) {
    if (turns == 0) return heapSort<T>(base + <usize>low * width<T>(), <u32>(high - low + 1));
    turns--;
    const middle = partition<T>(base, low, high);
    if (middle - low < high - middle) {
      sortRange<T>(base, low, middle, turns);
      low = middle + 1;
    } else {
      sortRange<T>(base, middle + 1, high, turns);
      high = middle;
    }
  }
  if (high > low) insertionSort<T>(base + <usize>low * width<T>(), <u32>(high - low + 1));
}

function depth(count: u32): i32 {
  return 2 * (32 - <i32>clz<u32>(count | 1)) + 8;
}

/** Hoare's: answers m, low <= m < high, with nothing up to m greater than anything after it. */
function partition<T>(base: usize, low: i32, high: i32): i32 {
  const first = base + <usize>low * width<T>();
  const middle = base + <usize>(low + ((high - low) >> 1)) * width<T>();
  const last = base + <usize>high * width<T>();
  // The median of three goes to the front, where it serves as the pivot until something is swapped with it.
  if (isLess<T>(middle, first)) swap<T>(middle, first);
  if (isLess<T>(last, middle)) swap<T>(last, middle);
  if (isLess<T>(middle, first)) swap<T>(middle, first);
  const pivotLow = load<i64>(middle);
  const pivotHigh: i64 = sizeof<T>() == 8 ? 0 : load<i64>(middle, 8);
  let up = first;
  let down = last;
  while (true) {
    while (isBelow<T>(up, pivotLow, pivotHigh)) up += width<T>();
    while (isAbove<T>(down, pivotLow, pivotHigh)) down -= width<T>();
    if (up >= down) return <i32>((down - base) / width<T>());
    swap<T>(up, down);
    up += width<T>();
    down -= width<T>();
  }
}

// @ts-ignore: decorator
@inline
function isBelow<T>(at: usize, low: i64, high: i64): bool {
  if (sizeof<T>() == 8) return load<i64>(at) < low;
  const top = load<i64>(at, 8);
  return top < high || (top == high && load<u64>(at) < <u64>low);
}

// @ts-ignore: decorator
@inline
function isAbove<T>(at: usize, low: i64, high: i64): bool {
  if (sizeof<T>() == 8) return load<i64>(at) > low;
  const top = load<i64>(at, 8);
  return top > high || (top == high && load<u64>(at) > <u64>low);
}

function insertionSort<T>(base: usize, count: u32): void {
  for (let index: u32 = 1; index < count; index++) {
    for (let at = base + <usize>index * width<T>(); at > base; at -= width<T>()) {
      if (!isLess<T>(at, at - width<T>())) break;
      swap<T>(at, at - width<T>());
    }
  }
}

function heapSort<T>(base: usize, count: u32): void {
  for (let root = <i32>(count >> 1) - 1; root >= 0; root--) sink<T>(base, <u32>root, count);
  for (let end = count - 1; <i32>end > 0; end--) {
    swap<T>(base, base + <usize>end * width<T>());
    sink<T>(base, 0, end);
  }
}

function sink<T>(base: usize, root: u32, count: u32): void {
  while (true) {
    let child = root * 2 + 1;
    if (child >= count) return;
    if (
      child + 1 < count &&
      isLess<T>(base + <usize>child * width<T>(), base + <usize>(child + 1) * width<T>())
    )
      child++;
    const above = base + <usize>root * width<T>();
    const below = base + <usize>child * width<T>();
    if (!isLess<T>(above, below)) return;
    swap<T>(above, below);
    root = child;
  }
}
