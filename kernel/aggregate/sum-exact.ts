// SUM_EXACT: sums of floats without any rounding until the end.
//
// A float64 is an integer times 2^-1074. A sum is kept as signed 64-bit limbs on a fixed grid, limb j
// weighing 2^(40 j - 1074); 24 spare bits a limb take the carries of 2^21 rows before they must be passed
// on (`normalise`). Integer adds commute, so the order of rows, batches and workers cannot matter, and the
// result is rounded once, at the end. The idea is Neal's small superaccumulator (2015, "Fast exact
// summation using small and large superaccumulators"); what differs is that only the 1 to 4 limbs that a
// column needs are stored for each group, and that cutting a value into limbs has no branch and no shift:
//
//   q = x + M1       M = 1.5 * 2^(52 + s): adding it rounds x to a multiple of 2^s, and the low bits of the
//   r = x - (q - M1) sum, less those of M, are that multiple as an integer
//   p = r + M0       exact when (p - M0) == r, and |x| is small enough for the upper limb
//
// Values that do not fit the dense limbs widen them by whole limbs, to at most 4 (8 for the
// powers that moments need); rarer ones, those next to
// 2^1023 and the counts of NaN and infinities live beside them, as a short list of 128-bit sums a group.
// Work goes in chunks of CHUNK rows. Up to four limbs are added to the groups while they are cut, and taken back
// should a value not fit: integers wrap. Otherwise (no SIMD, more limbs) limbs go to scratch that stays in the
// first-level cache first, so that nothing of a chunk is added before all of it is known to fit. Rows that all belong
// to one group are added up in registers.
//
// exact-cut.ts cuts, exact-commit.ts adds, exact-read.ts reads; this file decides what is dense.
//
// Measured over a whole query with two limbs: 1.24 times the time of plain float adds for 100 groups, 1.07 for
// 10,000; through the scratch 1.43 and 1.44.
//
// State is the sum's digits, normalised and without zeros: the same bytes however the sum came about.

import { Type } from "../abi/layout";
import { AggregateFault } from "../abi/operator";
import { regionBlock, regionFree } from "../memory/region";
import { regrow } from "../column/builder";
import { keep64 } from "../column/keep";
import { widenFloats } from "../column/widen";
import { Accumulator, accumulatorReserve } from "./accumulator";
import { commit1, commit2, commit3, commit4, commitMany, commitOne } from "./exact-commit";
import { addOne, addRows, cut, reach, takeBack } from "./exact-cut";
import { GRID, KINDS, NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY, SIDE_ENTRY, STATE_ENTRY } from "./exact-limbs";
import { Power, powerPlanes } from "./power";
import { DIGIT_BITS, DIGIT_MASK } from "./round";
import { sumIntegerLargest } from "./sum-integer";

/** Rows that are cut before they are added: 4 limbs of them are 8 KB. */
const CHUNK: u32 = 256;
/** Most dense limbs: of sums, and of third and fourth powers, whose values are up to 212 bits long. */
const LIMBS_MAX: u32 = 4;
const LIMBS_MAX_POWERS: u32 = 8;
/** The highest limb that adding M can cut: 2^(52 + s) must be finite. Above it values go the integer way. */
const TOP_DENSE: u32 = 51;
const NORMALISE_ROWS: u64 = 1 << 21;
/** A top limb that has grown to this passes its upper part to the side list. */
const TOP_LIMB_MAX: i64 = 1 << 61;

const X_BYTES: usize = <usize>CHUNK * 8;

export function sumExactInit(self: Accumulator): bool {
  self.limbsMax = self.power >= <u32>Power.CUBE ? LIMBS_MAX_POWERS : LIMBS_MAX;
  self.scratch =
    self.like != 0
      ? changetype<Accumulator>(self.like).scratch
      : regionBlock(self.region, X_BYTES + X_BYTES * <usize>self.limbsMax);
  return self.scratch != 0;
}

/** Forgets every sum; `values` go with the caller. */
export function sumExactClear(self: Accumulator): void {
  regionFree(self.region, self.heads);
  self.heads = 0;
  self.headsCapacity = 0;
  self.sideCount = 0;
  if (self.type == <u32>Type.I128) return;
  self.limbs = 0;
  self.lowLimb = 0;
  self.stride = 0;
}

/** Room for groups; passes carries on when `rows` further rows make it due. */
export function sumExactReserve(self: Accumulator, groups: u32, rows: u32): bool {
  if (self.limbs != 0) {
    if (!accumulatorReserve(self, groups, 0)) return false;
  } else if (groups > self.capacity) self.capacity = groups;
  if (self.heads != 0 && !reserveHeads(self)) return false;
  const added = <u64>rows * <u64>powerPlanes(self.power);
  if (self.rows + added <= NORMALISE_ROWS) return true;
  look(self);
  return self.rows + added <= NORMALISE_ROWS >> 1 || normalise(self);
}

/** Adds a vector of F32 or F64. False when it must widen and memory is exhausted. */
export function sumExactUpdate(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  one: bool,
): bool {
  const x = self.scratch;
  const narrow = self.type == <u32>Type.F32;
  let start: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    // What does not fit is found chunk by chunk.
    const whole = one && !narrow && mask == 0 && hasFewLimbs(self);
    if (whole && addOne(self, load<u32>(numbers), values, rows & ~1)) start = rows & ~1;
  }
  for (; start < rows; start += CHUNK) {
    const count = min(CHUNK, rows - start);
    let source = values + ((<usize>start) << 3);
    if (narrow || mask != 0) {
      if (narrow) widenFloats(values + ((<usize>start) << 2), count, x);
      if (mask != 0) keep64(narrow ? x : source, mask, start, count, x);
      source = x;
    }
    if (!addChunk(self, numbers + ((<usize>start) << 2), source, count, one)) return false;
  }
  return sumExactAdded(self, rows);
}

/** Takes the rows of a vector of F32 or F64 back that are in `mask`. False when out of memory. */
export function sumExactRetract(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
): bool {
  const x = self.scratch;
  for (let start: u32 = 0; start < rows; start += CHUNK) {
    const count = min(CHUNK, rows - start);
    const groups = numbers + ((<usize>start) << 2);
    let source = values + ((<usize>start) << 3);
    if (self.type == <u32>Type.F32) {
      widenFloats(values + ((<usize>start) << 2), count, x);
      source = x;
    }
    keep64(source, mask, start, count, x);
    if (!negateFloats(self, groups, x, count) || !addChunk(self, groups, x, count, false)) return false;
  }
  return sumExactAdded(self, rows);
}

/** Turns the signs of values to be taken back; NaNs and infinities are uncounted at once. False when out of memory. */
export function negateFloats(self: Accumulator, numbers: usize, x: usize, count: u32): bool {
  for (let row: u32 = 0; row < count; row++) {
    const at = x + ((<usize>row) << 3);
    const bits = load<u64>(at);
    if (isSpecial(bits)) {
      if (!addLimb(self, load<u32>(numbers + ((<usize>row) << 2)), kindOf(bits), -1)) return false;
      store<u64>(at, 0);
    } else store<u64>(at, bits ^ (1 << 63));
  }
  return true;
}

// @ts-ignore: decorator
@inline
function kindOf(bits: u64): u32 {
  if ((bits & 0xfffffffffffff) != 0) return NAN;
  return <i64>bits < 0 ? NEGATIVE_INFINITY : POSITIVE_INFINITY;
}

/** Counts added values towards the next passing on of carries. False when out of memory. */
export function sumExactAdded(self: Accumulator, rows: u32): bool {
  self.rows += rows;
  return (self.fault & <u32>AggregateFault.NORMALISE_ALWAYS) == 0 || normalise(self);
}

/** Adds up to CHUNK float64 values. False when out of memory. */
export function addChunk(self: Accumulator, numbers: usize, source: usize, count: u32, one: bool): bool {
  if (ASC_FEATURE_SIMD && hasFewLimbs(self)) {
    const even = count & ~1;
    if (one ? addOne(self, load<u32>(numbers), source, even) : addRows(self, source, numbers, even)) {
      if (even == count) return true;
      source += (<usize>even) << 3;
      numbers += (<usize>even) << 2;
      count = 1;
    } else if (!one) takeBack(self, source, numbers, even);
  }
  const limbs = self.scratch + X_BYTES;
  if (!cut(self, source, limbs, count)) {
    const x = self.scratch;
    if (source != x) memory.copy(x, source, (<usize>count) << 3);
    if (!chooseWindow(self, x, count) || !addMisfits(self, numbers, x, count)) return false;
    cut(self, x, limbs, count);
  }
  if (one) {
    commitOne(self.values + <usize>load<u32>(numbers) * <usize>self.stride, limbs, count, self.limbs);
    return true;
  }
  switch (self.limbs) {
    case 0:
      break;
    case 1:
      commit1(self.values, numbers, limbs, count);
      break;
    case 2:
      commit2(self.values, numbers, limbs, count);
      break;
    case 3:
      commit3(self.values, numbers, limbs, count);
      break;
    case 4:
      commit4(self.values, numbers, limbs, count);
      break;
    default:
      commitMany(self.values, numbers, limbs, count, self.limbs);
  }
  return true;
}

/** Whether values are added to the groups while they are cut. */
// @ts-ignore: decorator
@inline
function hasFewLimbs(self: Accumulator): bool {
  return self.limbs > 0 && self.limbs <= LIMBS_MAX;
}

// ---- the window of dense limbs

/** Lowest limb that a finite nonzero value needs. */
// @ts-ignore: decorator
@inline
function lowLimbOf(bits: u64): u32 {
  const field = <u32>(bits >> 52) & 0x7ff;
  const fraction = bits & 0xfffffffffffff;
  const mantissa = field == 0 ? fraction : fraction | (1 << 52);
  return ((field == 0 ? 0 : field - 1) + <u32>ctz<u64>(mantissa)) / DIGIT_BITS;
}

/**
 * Highest limb that a finite nonzero value needs in a window of two limbs and more: the upper one may reach
 * 2^41.
 */
// @ts-ignore: decorator
@inline
function highLimbOf(bits: u64): u32 {
  const field = <u32>(bits >> 52) & 0x7ff;
  const top = field == 0 ? 63 - <u32>clz<u64>(bits & 0xfffffffffffff) : field + 51;
  const limb = top / DIGIT_BITS;
  return limb > 0 && top % DIGIT_BITS == 0 ? limb - 1 : limb;
}

// @ts-ignore: decorator
@inline
function isSpecial(bits: u64): bool {
  return ((bits >> 52) & 0x7ff) == 0x7ff;
}

/**
 * Widens the dense limbs so that the chunk fits, when `limbsMax` are enough; if nothing is dense yet and they
 * are not, settles on those that most of the chunk's values fit. False when out of memory.
 */
function chooseWindow(self: Accumulator, x: usize, count: u32): bool {
  let low: u32 = self.limbs == 0 ? 0xffffffff : self.lowLimb;
  let high: u32 = self.limbs == 0 ? 0 : self.lowLimb + self.limbs - 1;
  let any = self.limbs != 0;
  for (let row: u32 = 0; row < count; row++) {
    const bits = load<u64>(x + ((<usize>row) << 3));
    if (isSpecial(bits) || bits << 1 == 0) continue;
    const highest = highLimbOf(bits);
    if (highest > TOP_DENSE) continue;
    any = true;
    low = min(low, lowLimbOf(bits));
    high = max(high, highest);
  }
  if (!any) return true;
  high = max(low, high);
  const most = self.limbsMax;
  if (high - low < most) return setWindow(self, low, high - low + 1);
  if (self.limbs == most) return true;
  if (self.limbs == 0) return setWindow(self, min(commonLow(x, count, most), TOP_DENSE - most + 1), most);
  // Something is dense: grow towards the chunk's values as far as the limbs go.
  const below = self.lowLimb - min(self.lowLimb, low);
  const more = most - self.limbs;
  const down = min(below, more);
  return setWindow(self, self.lowLimb - down, min(most, TOP_DENSE + 1 - (self.lowLimb - down)));
}

/** The lowest limb of the window of `most` limbs which holds the most values of a chunk. */
function commonLow(x: usize, count: u32, most: u32): u32 {
  let best: u32 = 0;
  let bestRows: u32 = 0;
  for (let low: u32 = 0; low <= TOP_DENSE; low++) {
    let rows: u32 = 0;
    for (let row: u32 = 0; row < count; row++) {
      const bits = load<u64>(x + ((<usize>row) << 3));
      if (isSpecial(bits) || bits << 1 == 0) continue;
      if (lowLimbOf(bits) >= low && highLimbOf(bits) < low + most) rows++;
    }
    if (rows > bestRows) {
      best = low;
      bestRows = rows;
    }
  }
  return best;
}

/** Lays the dense limbs out anew over a window that contains the old one. False when out of memory. */
function setWindow(self: Accumulator, low: u32, limbs: u32): bool {
  if (low == self.lowLimb && limbs == self.limbs) return true;
  const stride = limbs << 3;
  const bytes: u64 = <u64>self.capacity * <u64>stride;
  // unreached: needs more than 4 GiB
  const values: usize = bytes > 0xffe00000 ? 0 : regionBlock(self.region, max<usize>(<usize>bytes, 64));
  if (values == 0) return false;
  memory.fill(values, 0, <usize>bytes);
  if (self.limbs != 0) {
    const old: usize = self.stride;
    const shift = values + ((<usize>(self.lowLimb - low)) << 3);
    for (let group: usize = 0; group < <usize>self.capacity; group++) {
      memory.copy(shift + group * <usize>stride, self.values + group * old, old);
    }
    regionFree(self.region, self.values);
  }
  self.values = values;
  self.stride = stride;
  self.lowLimb = low;
  self.limbs = limbs;
  return true;
}

// ---- values that do not fit: one at a time, by integers

/** Adds the rows that the window does not take, and zeroes them in `x`. False when out of memory. */
function addMisfits(self: Accumulator, numbers: usize, x: usize, count: u32): bool {
  for (let row: u32 = 0; row < count; row++) {
    const at = x + ((<usize>row) << 3);
    const bits = load<u64>(at);
    if (bits << 1 == 0 || takes(self, bits)) continue;
    if (!addByInteger(self, load<u32>(numbers + ((<usize>row) << 2)), bits)) return false;
    store<u64>(at, 0);
  }
  return true;
}

function takes(self: Accumulator, bits: u64): bool {
  if (self.limbs == 0 || isSpecial(bits)) return false;
  const value = abs(reinterpret<f64>(bits));
  return value < reach(self.lowLimb, self.limbs) && lowLimbOf(bits) >= self.lowLimb;
}

function addByInteger(self: Accumulator, group: u32, bits: u64): bool {
  const field = <u32>(bits >> 52) & 0x7ff;
  const fraction = bits & 0xfffffffffffff;
  const negative = <i64>bits < 0;
  if (field == 0x7ff) {
    return addLimb(self, group, kindOf(bits), 1);
  }
  const mantissa = field == 0 ? fraction : fraction | (1 << 52);
  const position: u32 = field == 0 ? 0 : field - 1;
  const limb = position / DIGIT_BITS + GRID;
  const shift = <u64>(position % DIGIT_BITS);
  // 53 bits shifted by up to 39 are three limbs at most.
  const first = <i64>((mantissa << shift) & DIGIT_MASK);
  const rest = shift == 0 ? mantissa >> 40 : mantissa >> (<u64>DIGIT_BITS - shift);
  const second = <i64>(rest & DIGIT_MASK);
  const third = <i64>(rest >> 40);
  return (
    addLimb(self, group, limb, negative ? -first : first) &&
    addLimb(self, group, limb + 1, negative ? -second : second) &&
    addLimb(self, group, limb + 2, negative ? -third : third)
  );
}

/**
 * Adds an unsigned integer of `words` 32-bit words (lowest first, 8 bytes of zeros behind them) times 2^position
 * of the grid, negated where `negative`. False when out of memory.
 */
export function sumExactAddMagnitude(
  self: Accumulator,
  group: u32,
  magnitude: usize,
  words: u32,
  position: u32,
  negative: bool,
): bool {
  let limb = position / DIGIT_BITS;
  const shift = position % DIGIT_BITS;
  const first = <i64>((load<u64>(magnitude) << (<u64>shift)) & DIGIT_MASK);
  if (!addLimb(self, group, limb, negative ? -first : first)) return false;
  for (let bit = DIGIT_BITS - shift; bit < words << 5; bit += DIGIT_BITS) {
    const digit = <i64>((load<u64>(magnitude + <usize>(bit >> 3)) >> (<u64>(bit & 7))) & DIGIT_MASK);
    limb++;
    if (!addLimb(self, group, limb, negative ? -digit : digit)) return false;
  }
  return true;
}

/** A window for integers, whose unit is limb GRID. */
export function sumExactInitInteger(self: Accumulator): void {
  self.limbsMax = LIMBS_MAX_POWERS;
  self.limbs = LIMBS_MAX_POWERS;
  self.stride = LIMBS_MAX_POWERS << 3;
}

/** Adds to one limb of a group, dense or not; false when out of memory. */
export function addLimb(self: Accumulator, group: u32, limb: u32, value: i64): bool {
  if (value == 0) return true;
  const dense = limb - GRID - self.lowLimb;
  if (dense < self.limbs && limb < NAN) {
    const at = self.values + <usize>group * <usize>self.stride + ((<usize>dense) << 3);
    store<i64>(at, load<i64>(at) + value);
    return true;
  }
  const entry = sideEntry(self, group, limb);
  if (entry == 0) return false;
  const low = load<u64>(entry);
  store<u64>(entry, low + <u64>value);
  store<i64>(entry, load<i64>(entry, 8) + (value >> 63) + <i64>(low + <u64>value < low), 8);
  return true;
}

/** The 128-bit sum of (group, limb) beside the dense ones, made when new; 0 when out of memory. */
function sideEntry(self: Accumulator, group: u32, limb: u32): usize {
  if (self.heads == 0 && !reserveHeads(self)) return 0;
  const head = self.heads + ((<usize>group) << 2);
  for (let next = load<u32>(head); next != 0; ) {
    const entry = self.side + <usize>(next - 1) * SIDE_ENTRY;
    if (load<u32>(entry, 20) == limb) return entry;
    next = load<u32>(entry, 16);
  }
  if (self.sideCount == self.sideCapacity) {
    const capacity = max<u32>(64, self.sideCapacity + (self.sideCapacity >> 1));
    const side = regrow(
      self.region,
      self.side,
      <usize>self.sideCount * SIDE_ENTRY,
      <usize>capacity * SIDE_ENTRY,
    );
    if (side == 0) return 0;
    self.side = side;
    self.sideCapacity = capacity;
  }
  const entry = self.side + <usize>self.sideCount * SIDE_ENTRY;
  self.sideCount++;
  store<u64>(entry, 0);
  store<u64>(entry, 0, 8);
  store<u32>(entry, load<u32>(head), 16);
  store<u32>(entry, limb, 20);
  store<u32>(head, self.sideCount);
  return entry;
}

function reserveHeads(self: Accumulator): bool {
  const capacity = self.capacity;
  if (self.heads != 0 && self.headsCapacity >= capacity) return true;
  const heads = regrow(
    self.region,
    self.heads,
    (<usize>self.headsCapacity) << 2,
    max<usize>((<usize>capacity) << 2, 64),
  );
  if (heads == 0) return false;
  memory.fill(heads + ((<usize>self.headsCapacity) << 2), 0, (<usize>(capacity - self.headsCapacity)) << 2);
  self.heads = heads;
  self.headsCapacity = capacity;
  return true;
}

// ---- normalising

/** No limb of one row is larger. */
const ROW_BITS: u64 = DIGIT_BITS + 1;

/**
 * Counts only as many rows as could have made the largest limb: of many groups none has had all rows that came. Reading the
 * limbs takes a third of the time of passing carries on.
 */
function look(self: Accumulator): void {
  const largest = sumIntegerLargest(Type.I64, self.values, self.capacity * self.limbs);
  self.rows = min(self.rows, (largest >> ROW_BITS) + 1);
}

/**
 * Passes carries on, so that 2^21 further rows fit. A top limb near its end gives to the side list. False
 * when out of memory.
 */
function normalise(self: Accumulator): bool {
  self.rows = 0;
  const limbs = self.limbs;
  if (limbs == 0) return true;
  const stride: usize = self.stride;
  for (let group: u32 = 0; group < self.capacity; group++) {
    const at = self.values + <usize>group * stride;
    let carry: i64 = 0;
    for (let limb: u32 = 0; limb + 1 < limbs; limb++) {
      const value = load<i64>(at + ((<usize>limb) << 3)) + carry;
      carry = value >> 40;
      store<i64>(at + ((<usize>limb) << 3), value & <i64>DIGIT_MASK);
    }
    const top = at + ((<usize>(limbs - 1)) << 3);
    const value = load<i64>(top) + carry;
    store<i64>(top, value);
    if (value < TOP_LIMB_MAX && value > -TOP_LIMB_MAX) continue;
    // unreached: takes a million rows of a group, and memory that ends just then
    if (!addLimb(self, group, self.lowLimb + limbs + GRID, value >> 40)) {
      self.rows = NORMALISE_ROWS;
      return false;
    }
    store<i64>(top, value & <i64>DIGIT_MASK);
  }
  return true;
}

// ---- merging

/** Makes the limbs of a valid state dense where `limbsMax` are enough. False when out of memory. */
export function sumExactPrepareMerge(self: Accumulator, state: usize, length: u32): bool {
  let low: u32 = self.limbs == 0 ? KINDS : self.lowLimb;
  let high: u32 = self.limbs == 0 ? 0 : self.lowLimb + self.limbs - 1;
  for (let at: u32 = 1; at < length; at += STATE_ENTRY) {
    const limb = <u32>load<u8>(state + <usize>at) - GRID;
    if (limb > TOP_DENSE) continue;
    low = min(low, limb);
    high = max(high, limb);
  }
  return low > high || high - low >= self.limbsMax || setWindow(self, low, high - low + 1);
}

/** Adds a valid state to a group's sum, counting as one row. False when out of memory. */
export function sumExactMerge(self: Accumulator, group: u32, state: usize, length: u32): bool {
  if (length == 0) return true;
  const negative = load<u8>(state) != 0;
  for (let at: u32 = 1; at < length; at += STATE_ENTRY) {
    const limb = <u32>load<u8>(state + <usize>at);
    const value = load<i64>(state + <usize>at, 1);
    if (!addLimb(self, group, limb, negative && limb < NAN ? -value : value)) return false;
  }
  return true;
}

/** Counts `rows` merged rows towards the next passing on of carries. */
export function sumExactMerged(self: Accumulator, rows: u32): void {
  self.rows += rows;
}

// ---- combining, in the accumulators' own form

/**
 * Before groups of `source` are added to those of `target`: makes a window for both where `limbsMax` limbs are
 * enough, and passes carries on where too many would come together. False when out of memory.
 */
export function sumExactCombineBegin(target: Accumulator, source: Accumulator): bool {
  if (source.rows + 1 > NORMALISE_ROWS >> 1) look(source);
  // unreached: takes a million rows of a group, and memory that ends just then
  if (source.rows + 1 > NORMALISE_ROWS >> 1 && !normalise(source)) return false;
  if (target.rows + source.rows + 1 > NORMALISE_ROWS) look(target);
  // unreached: takes a million rows of a group, and memory that ends just then
  if (target.rows + source.rows + 1 > NORMALISE_ROWS && !normalise(target)) return false;
  target.rows += source.rows + 1;
  if (source.limbs == 0) return true;
  const low = target.limbs == 0 ? source.lowLimb : min(target.lowLimb, source.lowLimb);
  const sourceHigh = source.lowLimb + source.limbs;
  const high = target.limbs == 0 ? sourceHigh : max(target.lowLimb + target.limbs, sourceHigh);
  return high - low > target.limbsMax || setWindow(target, low, high - low);
}

/** Passes carries on, so that `sumExactCombineBegin` has nothing to do with this as a source. False when out of memory. */
export function sumExactSettle(self: Accumulator): bool {
  return self.rows == 0 || normalise(self);
}

/** Whether all limbs of a source lie in the target's window, one after the other. */
export function sumExactHolds(target: Accumulator, source: Accumulator): bool {
  if (source.sideCount != 0) return false;
  if (source.limbs == 0) return true;
  return source.lowLimb >= target.lowLimb && source.lowLimb + source.limbs <= target.lowLimb + target.limbs;
}

/** Adds limbs of a source that the target holds, after `sumExactCombineBegin`, of listed groups to the same ones. */
export function sumExactFold(target: Accumulator, source: Accumulator, list: usize, count: u32): void {
  if (source.limbs != 0) addLimbs(target, source, list, list, count);
}

function addLimbs(target: Accumulator, source: Accumulator, list: usize, numbers: usize, count: u32): void {
  const shift = target.values + ((<usize>(source.lowLimb - target.lowLimb)) << 3);
  const bytes: usize = source.stride;
  const stride: usize = target.stride;
  for (let index: usize = 0; index < (<usize>count) << 2; index += 4) {
    const from = source.values + <usize>load<u32>(list + index) * bytes;
    const to = shift + <usize>load<u32>(numbers + index) * stride;
    for (let at: usize = 0; at < bytes; at += 8) store<i64>(to + at, load<i64>(to + at) + load<i64>(from + at));
  }
}

/** Adds groups of `source`; false, with nothing done, where their limbs do not all lie in the target's window. */
export function sumExactCombine(
  target: Accumulator,
  source: Accumulator,
  list: usize,
  numbers: usize,
  count: u32,
): bool {
  if (!sumExactHolds(target, source)) return false;
  if (source.limbs == 0) return true;
  // unreached: takes a million rows of a group, and memory that ends just then
  if (target.rows + <u64>count > NORMALISE_ROWS && !normalise(target)) return false;
  target.rows += count;
  addLimbs(target, source, list, numbers, count);
  return true;
}
