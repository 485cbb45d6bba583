// An accumulator: what one (function, argument, filter) keeps for every group, as flat arrays by dense
// group number.
//
// Accumulators are not aggregates: sum(x) and avg(x) read the same sums, avg(x) and count(x) the same
// counts. The operator makes each kind once per argument and filter, and a result (results.ts) is a view
// of one or two of them. Each family has a file of its own with the verbs reserve, update, merge and state;
// accumulators.ts dispatches to them, once per vector.

import { regrow } from "../column/builder";
import { regionBlock, regionFree } from "../memory/region";

export const enum Family {
  /** i64 rows per group. */
  COUNT = 1,
  /** One byte per group: whether a value has come. */
  SEEN = 2,
  SUM_INTEGER = 3,
  SUM_EXACT = 4,
  SUM_FAST = 5,
  MIN = 6,
  MAX = 7,
  MIN_TEXT = 8,
  MAX_TEXT = 9,
  DISTINCT = 10,
  /** Values with their multiplicities, and their least or greatest one: see multiset.ts. */
  MULTISET = 90,
  MULTISET_MIN = 91,
  MULTISET_MAX = 92,
  /** The same without an extreme, zeros of both signs apart: what every value is read from. */
  MULTISET_ALL = 93,
  /** Plain float moments: see moments-fast.ts. */
  MOMENTS_FAST = 20,
  /** Every value: see value-log.ts. */
  LOG = 40,
  BIT_AND = 41,
  BIT_OR = 42,
  BIT_XOR = 43,
  /** Pairs of an order argument and a value: see arg-extreme.ts. */
  ARG_MIN = 44,
  ARG_MAX = 45,
  /** Sketches: see sketch.ts. */
  CARDINALITY = 46,
  SKETCH = 47,
  /** Every text of a group: see text-log.ts. */
  LOG_TEXT = 48,
  /** The k greatest or least: see top.ts, top-text.ts. */
  TOP = 30,
  BOTTOM = 31,
  TOP_TEXT = 32,
  BOTTOM_TEXT = 33,
  /** The arguments of the k rows where another column is greatest or least: see top-by.ts. */
  TOP_BY = 34,
  BOTTOM_BY = 35,
}

// @ts-ignore: decorator
@unmanaged
export class Accumulator {
  /** `Family`. */
  family: u32;
  /** Output of the program that holds the argument; -1: rows themselves. */
  argument: i32;
  /** Output of the program that holds the filter; -1: none. */
  filter: i32;
  /** `Type` of the argument. */
  type: u32;
  region: usize;
  /** The flat array, `stride` bytes a group, and the groups that it can hold. */
  values: usize;
  stride: u32;
  capacity: u32;
  /**
   * COUNT and SEEN without a filter: 0 while no argument has ever been null, when counting rows (or having
   * rows) says the same and nothing needs to be kept.
   */
  tracking: u32;
  /** COUNT: whether `values` are not counts, but how many fewer these are than rows (0 or less): see tracked-counts.ts. */
  lags: u32;
  /** SUM_INTEGER: whether sums are 192 bits wide. */
  wide: u32;
  /**
   * The other accumulator of its pair, 0 when alone; whether this is the second. SUM_INTEGER, COUNT: sum-pair.ts; MIN, MAX:
   * extreme-pair.ts.
   */
  pair: usize;
  follows: u32;
  /** SUM_EXACT: lowest dense limb, and dense limbs (0 to 4). */
  lowLimb: u32;
  limbs: u32;
  /** SUM_INTEGER: no lane is farther from 0; no integer of rows that wait counts for more (aggregate-headroom.ts). */
  bound: u64;
  waiting: u64;
  /**
   * SUM_EXACT: rows since carries were passed on. SUM_INTEGER: rows since the lanes were looked at. MULTISET: changes
   * so far.
   */
  rows: u64;
  /**
   * LOG: `rows` values in `values` with their groups in `entries`, room for `sideCapacity`; `heads` are the
   * starts of `headsCapacity` groups when the first `sideCount` values are in their order. `side` is 0 but for a large
   * log, which lies as log-parts.ts says.
   */
  /** SUM_EXACT: per group the first side entry + 1 (u32), the entries, how many, and room for how many. */
  heads: usize;
  headsCapacity: u32;
  side: usize;
  sideCount: u32;
  sideCapacity: u32;
  /** SUM_EXACT: one chunk's values and limbs. DISTINCT: a vector's packed (group, value) rows. */
  scratch: usize;
  /** DISTINCT: the row table. MIN_TEXT, MAX_TEXT: the arena. */
  table: usize;
  /** DISTINCT: the key column that brings values to normal form, and a vector's entry numbers and tags. */
  key: usize;
  entries: usize;
  tags: usize;
  /** MIN_TEXT, MAX_TEXT: bytes of the arena in use, and given up. */
  live: u64;
  waste: u64;
  /** `AggregateFault` switches. */
  fault: u32;
  /** Seed of its tables' hashes. */
  seed: u32;
  /** Whether rows may be taken back. */
  retracts: u32;
  /** MIN, MAX: the accumulator that tells whether a group has a value; TOP and its like: how many came. */
  presence: usize;
  /** Output of the second argument, which must not be null either; -1: none. Its `Type`. */
  second: i32;
  secondType: u32;
  /** What is summed: `Power` of moments.ts. `type` is that of the summed values, this the argument's. */
  power: u32;
  sourceType: u32;
  /** SUM_EXACT: most limbs that may be dense. */
  limbsMax: u32;
  /** An accumulator of the same description that lends its buffers for one vector; 0 = none. */
  like: usize;
  /** TOP and its like: k, and where a group's list is put together, with its bytes. */
  limit: u32;
  buffer: usize;
  bufferCapacity: u32;
  /** The set that feeds it when results are read, and how far it has: see from-set.ts. 0 = rows do. */
  set: usize;
  fed: u64;
  /** Whether its lanes may be beside others' while pushes are applied: see operator/mixed-sums.ts, operator/narrow-sums.ts. */
  beside: u32;
}

// @ts-ignore: decorator
@inline
export function isMultiset(family: u32): bool {
  return family >= <u32>Family.MULTISET && family <= <u32>Family.MULTISET_ALL;
}

export const ACCUMULATOR_SIZE: usize = 216;

/** Whether an accumulator keeps every value: see value-log.ts, text-log.ts. */
// @ts-ignore: decorator
@inline
export function isLog(self: Accumulator): bool {
  return self.family == <u32>Family.LOG || self.family == <u32>Family.LOG_TEXT;
}

/** Whether the state is a section of its own, of (group, value) pairs or of a sketch's cells. */
// @ts-ignore: decorator
@inline
export function isPairs(self: Accumulator): bool {
  return self.family == <u32>Family.DISTINCT || isLog(self) || isSketch(self) || isMultiset(self.family);
}

// @ts-ignore: decorator
@inline
export function isSketch(self: Accumulator): bool {
  return self.family == <u32>Family.CARDINALITY || self.family == <u32>Family.SKETCH;
}

/** Whether every row's argument goes in as it is: no filter, no second argument, no power. */
// @ts-ignore: decorator
@inline
export function isWhole(self: Accumulator): bool {
  return self.power == 0 && self.filter < 0 && self.second < 0;
}

/** The least or greatest fixed-width values of groups. */
// @ts-ignore: decorator
@inline
export function isExtreme(self: Accumulator): bool {
  return self.family == <u32>Family.MIN || self.family == <u32>Family.MAX;
}

// @ts-ignore: decorator
@inline
export function isArg(self: Accumulator): bool {
  return self.family == <u32>Family.ARG_MIN || self.family == <u32>Family.ARG_MAX;
}

/**
 * Room for `groups` groups of `stride` bytes, new ones filled with `fill` (repeated u64). False when out of
 * memory, with nothing lost. Arrays double while small and then grow by half: a copy of a large array would
 * otherwise need three times its size at once; when even that is refused, just what is needed is tried.
 */
export function accumulatorReserve(self: Accumulator, groups: u32, fill: u64): bool {
  if (groups <= self.capacity) return true;
  const spare: u64 = self.capacity < 1 << 20 ? self.capacity : self.capacity >> 1;
  // A multiple of 8 groups, so that the fill may run in whole words.
  let capacity: u64 = (max<u64>(max<u64>(groups, <u64>self.capacity + spare), 16) + 7) & ~7;
  let values = groupsBlock(self, capacity);
  if (values == 0) {
    capacity = (<u64>groups + 7) & ~7;
    values = groupsBlock(self, capacity);
    if (values == 0) return false;
  }
  const used: usize = <usize>self.capacity * <usize>self.stride;
  if (used != 0) memory.copy(values, self.values, used);
  regionFree(self.region, self.values);
  self.values = values;
  self.capacity = <u32>capacity;
  const end = values + <usize>capacity * <usize>self.stride;
  if (fill == 0) memory.fill(values + used, 0, end - values - used);
  else {
    for (let at = values + used; at < end; at += 8) store<u64>(at, fill);
  }
  return true;
}

/** A `buffer` of at least `need` bytes, whose contents are free to go. False when out of memory. */
export function accumulatorReserveBuffer(self: Accumulator, need: usize): bool {
  if (need <= <usize>self.bufferCapacity) return true;
  const buffer = regrow(self.region, self.buffer, 0, need);
  if (buffer == 0) return false;
  self.buffer = buffer;
  self.bufferCapacity = <u32>need;
  return true;
}

function groupsBlock(self: Accumulator, capacity: u64): usize {
  const bytes: u64 = capacity * <u64>self.stride;
  return bytes > 0xffe00000 ? 0 : regionBlock(self.region, max<usize>(<usize>bytes, 64)); // unreached: needs more than 4 GiB
}
