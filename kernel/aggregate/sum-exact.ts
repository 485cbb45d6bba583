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
// Values that do not fit the dense limbs widen them by whole limbs, to at most 4; rarer ones, those next to
// 2^1023 and the counts of NaN and infinities live beside them, as a short list of 128-bit sums a group.
// Work goes in chunks of CHUNK rows: cut and check into scratch that stays in the first-level cache, then
// add to the groups, so that nothing of a chunk is added before all of it is known to fit.
//
// State is the sum's digits, normalised and without zeros: the same bytes however the sum came about.

import { Type } from "../abi/layout";
import { AggregateFault } from "../abi/operator";
import { regionBlock, regionFree } from "../memory/region";
import { regrow } from "../column/builder";
import { Accumulator, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";
import { DIGIT_BITS, DIGIT_MASK, roundDigits, roundQuotient } from "./round";

/** Rows that are cut before they are added: 4 limbs of them are 8 KB. */
const CHUNK: u32 = 256;
const LIMBS_MAX: u32 = 4;
/** The highest limb that adding M can cut: 2^(52 + s) must be finite. Above it values go the integer way. */
const TOP_DENSE: u32 = 51;
const NORMALISE_ROWS: u64 = 1 << 21;
/** A top limb that has grown to this passes its upper part to the side list. */
const TOP_LIMB_MAX: i64 = 1 << 61;

/** What the side list holds beside limbs. */
const NAN: u32 = 61;
const POSITIVE_INFINITY: u32 = 62;
const NEGATIVE_INFINITY: u32 = 63;
const KINDS: u32 = 64;

/** Digits of a whole sum: 2^1024 times 2^64 rows over 2^-1074, and a sign. */
const DIGITS: u32 = 56;

/**
 * A sum as it is read: its digits (see round.ts) with room for a quotient's, then
 *   +512 u32 digits  +516 u32 limb of the lowest  +520 u32 negative  +528 u64 NaNs  +536 u64 +Inf  +544 u64 -Inf
 *   +552 limbs while they are put together
 */
export const EXACT_SUM_BYTES: usize = 1664;
const COUNT: usize = 512;
const FIRST: usize = 516;
const NEGATIVE: usize = 520;
const NANS: usize = 528;
const WORK: usize = 552;

/** Side entry: i128 sum, u32 next entry + 1, u32 limb. */
const SIDE_ENTRY: usize = 24;
const X_BYTES: usize = <usize>CHUNK * 8;
const LIMBS_BYTES: usize = <usize>CHUNK * 8 * <usize>LIMBS_MAX;

export function sumExactInit(self: Accumulator): bool {
  self.scratch = regionBlock(self.region, X_BYTES + LIMBS_BYTES);
  return self.scratch != 0;
}

/** Room for groups; passes carries on when `rows` further rows make it due. */
export function sumExactReserve(self: Accumulator, groups: u32, rows: u32): bool {
  if (self.limbs != 0) {
    if (!accumulatorReserve(self, groups, 0)) return false;
  } else if (groups > self.capacity) self.capacity = groups;
  if (self.heads != 0 && !reserveHeads(self)) return false;
  return self.rows + <u64>rows <= NORMALISE_ROWS || normalise(self);
}

/** Adds a vector of F32 or F64. False when it must widen and memory is exhausted. */
export function sumExactUpdate(self: Accumulator, numbers: usize, values: usize, mask: usize, rows: u32, one: bool): bool {
  const x = self.scratch;
  const narrow = self.type == <u32>Type.F32;
  for (let start: u32 = 0; start < rows; start += CHUNK) {
    const count = min(CHUNK, rows - start);
    let source = values + (<usize>start << 3);
    if (narrow || mask != 0) {
      if (narrow) widenFloats(values + (<usize>start << 2), x, count);
      if (mask != 0) maskFloats(narrow ? x : source, mask, start, x, count);
      source = x;
    }
    if (!addChunk(self, numbers + (<usize>start << 2), source, count, one)) return false;
  }
  self.rows += rows;
  return (self.fault & <u32>AggregateFault.NORMALISE_ALWAYS) == 0 || normalise(self);
}

function widenFloats(values: usize, x: usize, count: u32): void {
  for (let row: u32 = 0; row < count; row++) {
    store<f64>(x + (<usize>row << 3), <f64>load<f32>(values + (<usize>row << 2)));
  }
}

/** Rows that do not count become zero, which adds nothing. */
function maskFloats(values: usize, mask: usize, start: u32, x: usize, count: u32): void {
  for (let row: u32 = 0; row < count; row++) {
    const keep: i64 = -(<i64>maskBit(mask, start + row));
    store<i64>(x + (<usize>row << 3), load<i64>(values + (<usize>row << 3)) & keep);
  }
}

function addChunk(self: Accumulator, numbers: usize, source: usize, count: u32, one: bool): bool {
  const limbs = self.scratch + X_BYTES;
  if (!cut(self, source, limbs, count)) {
    const x = self.scratch;
    if (source != x) memory.copy(x, source, <usize>count << 3);
    if (!chooseWindow(self, x, count) || !addMisfits(self, numbers, x, count)) return false;
    cut(self, x, limbs, count);
  }
  if (one) {
    commitOne(self.values, limbs, count, self.limbs);
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
    default:
      commit4(self.values, numbers, limbs, count);
  }
  return true;
}

// ---- cutting values into limbs

/** M of limb `limb`: 1.5 * 2^(52 + 40 limb - 1074). */
// @ts-ignore: decorator
@inline
function magic(limb: u32): f64 {
  return reinterpret<f64>((<u64>(limb * DIGIT_BITS + 1) << 52) | (1 << 51));
}

/** 2^e for the largest |x| that `limbs` limbs from `low` on take: the upper limb stays below 2^41. */
// @ts-ignore: decorator
@inline
function reach(low: u32, limbs: u32): f64 {
  const exponent = <i32>((low + limbs) * DIGIT_BITS) - 1074 + 1;
  if (exponent > 1023) return Infinity;
  return exponent < -1022
    ? reinterpret<f64>(<u64>1 << <u64>(exponent + 1074))
    : reinterpret<f64>(<u64>(exponent + 1023) << 52);
}

/** Cuts `count` values into limbs, lowest first, `self.limbs` i64 a row; false when one does not fit (none counts then). */
function cut(self: Accumulator, x: usize, limbs: usize, count: u32): bool {
  switch (self.limbs) {
    case 0:
      return allZero(x, count);
    case 1:
      return cutRows<u8>(self.lowLimb, x, limbs, count);
    case 2:
      return cutRows<u16>(self.lowLimb, x, limbs, count);
    case 3:
      return cutRows<u32>(self.lowLimb, x, limbs, count);
    default:
      return cutRows<u64>(self.lowLimb, x, limbs, count);
  }
}

function allZero(x: usize, count: u32): bool {
  let bits: u64 = 0;
  for (let row: u32 = 0; row < count; row++) bits |= load<u64>(x + (<usize>row << 3)) << 1;
  return bits == 0;
}

// The type parameter stands for the number of limbs: u8 = 1, u16 = 2, u32 = 3, u64 = 4.

// @ts-ignore: decorator
@inline
function limbsOf<N>(): u32 {
  return sizeof<N>() == 1 ? 1 : sizeof<N>() == 2 ? 2 : sizeof<N>() == 4 ? 3 : 4;
}

function cutRows<N>(low: u32, x: usize, limbs: usize, count: u32): bool {
  const m0 = magic(low);
  const m1 = magic(low + 1);
  const m2 = magic(low + 2);
  const m3 = magic(low + 3);
  const limit = reach(low, limbsOf<N>());
  let row: u32 = 0;
  let fine = true;
  if (ASC_FEATURE_SIMD) {
    const M0 = f64x2.splat(m0);
    const M1 = f64x2.splat(m1);
    const M2 = f64x2.splat(m2);
    const M3 = f64x2.splat(m3);
    const limits = f64x2.splat(limit);
    let bad = i64x2.splat(0);
    let at = limbs;
    for (const whole = count & ~1; row < whole; row += 2) {
      let r = v128.load(x + (<usize>row << 3));
      bad = v128.or(bad, v128.not(f64x2.lt(f64x2.abs(r), limits)));
      let d1: v128 = M0;
      let d2: v128 = M0;
      let d3: v128 = M0;
      if (limbsOf<N>() >= 4) {
        const q = f64x2.add(r, M3);
        r = f64x2.sub(r, f64x2.sub(q, M3));
        d3 = i64x2.sub(q, M3);
      }
      if (limbsOf<N>() >= 3) {
        const q = f64x2.add(r, M2);
        r = f64x2.sub(r, f64x2.sub(q, M2));
        d2 = i64x2.sub(q, M2);
      }
      if (limbsOf<N>() >= 2) {
        const q = f64x2.add(r, M1);
        r = f64x2.sub(r, f64x2.sub(q, M1));
        d1 = i64x2.sub(q, M1);
      }
      const p = f64x2.add(r, M0);
      bad = v128.or(bad, f64x2.ne(f64x2.sub(p, M0), r));
      const d0 = i64x2.sub(p, M0);
      if (limbsOf<N>() == 1) v128.store(at, d0);
      else {
        const a = v128.shuffle<i64>(d0, d1, 0, 2);
        const b = v128.shuffle<i64>(d0, d1, 1, 3);
        v128.store(at, a);
        if (limbsOf<N>() == 2) v128.store(at, b, 16);
        else if (limbsOf<N>() == 3) {
          i64.store(at, i64x2.extract_lane(d2, 0), 16);
          v128.store(at, b, 24);
          i64.store(at, i64x2.extract_lane(d2, 1), 40);
        } else {
          v128.store(at, v128.shuffle<i64>(d2, d3, 0, 2), 16);
          v128.store(at, b, 32);
          v128.store(at, v128.shuffle<i64>(d2, d3, 1, 3), 48);
        }
      }
      at += <usize>limbsOf<N>() << 4;
    }
    fine = !v128.any_true(bad);
  }
  for (; row < count; row++) {
    let r = load<f64>(x + (<usize>row << 3));
    if (!(abs(r) < limit)) fine = false;
    const at = limbs + <usize>row * <usize>(limbsOf<N>() << 3);
    if (limbsOf<N>() >= 4) r = cutLimb(r, m3, at + 24);
    if (limbsOf<N>() >= 3) r = cutLimb(r, m2, at + 16);
    if (limbsOf<N>() >= 2) r = cutLimb(r, m1, at + 8);
    if (cutLimb(r, m0, at) != 0) fine = false;
  }
  return fine;
}

/** Writes the limb of `r` on M's grid, and answers what is left of `r`. */
// @ts-ignore: decorator
@inline
function cutLimb(r: f64, m: f64, at: usize): f64 {
  const q = r + m;
  store<i64>(at, reinterpret<i64>(q) - reinterpret<i64>(m));
  return r - (q - m);
}

// ---- adding to groups

function commit1(sums: usize, numbers: usize, limbs: usize, count: u32): void {
  for (let row: u32 = 0; row < count; row++) {
    const at = sums + (<usize>load<u32>(numbers + (<usize>row << 2)) << 3);
    store<i64>(at, load<i64>(at) + load<i64>(limbs + (<usize>row << 3)));
  }
}

function commit2(sums: usize, numbers: usize, limbs: usize, count: u32): void {
  let row: u32 = 0;
  for (const whole = count & ~1; row < whole; row += 2) {
    const pair = load<u64>(numbers + (<usize>row << 2));
    const from = limbs + (<usize>row << 4);
    add2(sums + (<usize>(<u32>pair) << 4), from);
    add2(sums + (<usize>(pair >> 32) << 4), from + 16);
  }
  if (row < count) add2(sums + (<usize>load<u32>(numbers + (<usize>row << 2)) << 4), limbs + (<usize>row << 4));
}

function commit3(sums: usize, numbers: usize, limbs: usize, count: u32): void {
  for (let row: u32 = 0; row < count; row++) {
    const at = sums + <usize>load<u32>(numbers + (<usize>row << 2)) * 24;
    const from = limbs + <usize>row * 24;
    add2(at, from);
    store<i64>(at, load<i64>(at, 16) + load<i64>(from, 16), 16);
  }
}

function commit4(sums: usize, numbers: usize, limbs: usize, count: u32): void {
  for (let row: u32 = 0; row < count; row++) {
    const at = sums + (<usize>load<u32>(numbers + (<usize>row << 2)) << 5);
    const from = limbs + (<usize>row << 5);
    add2(at, from);
    add2(at + 16, from + 16);
  }
}

/** All rows to group 0: a limb at a time. */
function commitOne(sums: usize, limbs: usize, count: u32, width: u32): void {
  const stride: usize = <usize>width << 3;
  const end = limbs + <usize>count * stride;
  for (let limb: usize = 0; limb < stride; limb += 8) {
    let sum: i64 = 0;
    for (let at = limbs + limb; at < end; at += stride) sum += load<i64>(at);
    store<i64>(sums + limb, load<i64>(sums + limb) + sum);
  }
}

// @ts-ignore: decorator
@inline
function add2(at: usize, from: usize): void {
  if (ASC_FEATURE_SIMD) v128.store(at, i64x2.add(v128.load(at), v128.load(from)));
  else {
    store<i64>(at, load<i64>(at) + load<i64>(from));
    store<i64>(at, load<i64>(at, 8) + load<i64>(from, 8), 8);
  }
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

/** Highest limb that a finite nonzero value needs in a window of two limbs and more: the upper one may reach 2^41. */
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
 * Widens the dense limbs so that the chunk fits, when 4 are enough; if nothing is dense yet and they are
 * not, settles on the 4 that most of the chunk's values fit. False when out of memory.
 */
function chooseWindow(self: Accumulator, x: usize, count: u32): bool {
  let low: u32 = self.limbs == 0 ? 0xffffffff : self.lowLimb;
  let high: u32 = self.limbs == 0 ? 0 : self.lowLimb + self.limbs - 1;
  let any = self.limbs != 0;
  for (let row: u32 = 0; row < count; row++) {
    const bits = load<u64>(x + (<usize>row << 3));
    if (isSpecial(bits) || bits << 1 == 0) continue;
    const highest = highLimbOf(bits);
    if (highest > TOP_DENSE) continue;
    any = true;
    low = min(low, lowLimbOf(bits));
    high = max(high, highest);
  }
  if (!any) return true;
  high = max(low, high);
  if (high - low < LIMBS_MAX) return setWindow(self, low, high - low + 1);
  if (self.limbs == LIMBS_MAX) return true;
  if (self.limbs == 0) return setWindow(self, min(commonLow(x, count), TOP_DENSE - LIMBS_MAX + 1), LIMBS_MAX);
  // Something is dense: grow towards the chunk's values as far as 4 limbs go.
  const below = self.lowLimb - min(self.lowLimb, low);
  const more = LIMBS_MAX - self.limbs;
  const down = min(below, more);
  return setWindow(self, self.lowLimb - down, min(LIMBS_MAX, TOP_DENSE + 1 - (self.lowLimb - down)));
}

/** The lowest limb of the window of 4 which holds the most values of a chunk. */
function commonLow(x: usize, count: u32): u32 {
  let best: u32 = 0;
  let bestRows: u32 = 0;
  for (let low: u32 = 0; low <= TOP_DENSE; low++) {
    let rows: u32 = 0;
    for (let row: u32 = 0; row < count; row++) {
      const bits = load<u64>(x + (<usize>row << 3));
      if (isSpecial(bits) || bits << 1 == 0) continue;
      if (lowLimbOf(bits) >= low && highLimbOf(bits) < low + LIMBS_MAX) rows++;
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
  const values: usize = bytes > 0xffe00000 ? 0 : regionBlock(self.region, max<usize>(<usize>bytes, 64));
  if (values == 0) return false;
  memory.fill(values, 0, <usize>bytes);
  if (self.limbs != 0) {
    const old: usize = self.stride;
    const shift = values + (<usize>(self.lowLimb - low) << 3);
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
    const at = x + (<usize>row << 3);
    const bits = load<u64>(at);
    if (bits << 1 == 0 || takes(self, bits)) continue;
    if (!addByInteger(self, load<u32>(numbers + (<usize>row << 2)), bits)) return false;
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
    const kind = fraction != 0 ? NAN : negative ? NEGATIVE_INFINITY : POSITIVE_INFINITY;
    return addLimb(self, group, kind, 1);
  }
  const mantissa = field == 0 ? fraction : fraction | (1 << 52);
  const position: u32 = field == 0 ? 0 : field - 1;
  const limb = position / DIGIT_BITS;
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

/** Adds to one limb of a group, dense or not; false when out of memory. */
function addLimb(self: Accumulator, group: u32, limb: u32, value: i64): bool {
  if (value == 0) return true;
  const dense = limb - self.lowLimb;
  if (dense < self.limbs && limb < NAN) {
    const at = self.values + <usize>group * <usize>self.stride + (<usize>dense << 3);
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
  const head = self.heads + (<usize>group << 2);
  for (let next = load<u32>(head); next != 0; ) {
    const entry = self.side + <usize>(next - 1) * SIDE_ENTRY;
    if (load<u32>(entry, 20) == limb) return entry;
    next = load<u32>(entry, 16);
  }
  if (self.sideCount == self.sideCapacity) {
    const capacity = max<u32>(64, self.sideCapacity + (self.sideCapacity >> 1));
    const side = regrow(self.region, self.side, <usize>self.sideCount * SIDE_ENTRY, <usize>capacity * SIDE_ENTRY);
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
  const heads = regrow(self.region, self.heads, <usize>self.headsCapacity << 2, max<usize>(<usize>capacity << 2, 64));
  if (heads == 0) return false;
  memory.fill(heads + (<usize>self.headsCapacity << 2), 0, <usize>(capacity - self.headsCapacity) << 2);
  self.heads = heads;
  self.headsCapacity = capacity;
  return true;
}

// ---- normalising

/** Passes carries on, so that 2^21 further rows fit. A top limb near its end gives to the side list. False when out of memory. */
function normalise(self: Accumulator): bool {
  self.rows = 0;
  const limbs = self.limbs;
  if (limbs == 0) return true;
  const stride: usize = self.stride;
  for (let group: u32 = 0; group < self.capacity; group++) {
    const at = self.values + <usize>group * stride;
    let carry: i64 = 0;
    for (let limb: u32 = 0; limb + 1 < limbs; limb++) {
      const value = load<i64>(at + (<usize>limb << 3)) + carry;
      carry = value >> 40;
      store<i64>(at + (<usize>limb << 3), value & <i64>DIGIT_MASK);
    }
    const top = at + (<usize>(limbs - 1) << 3);
    const value = load<i64>(top) + carry;
    store<i64>(top, value);
    if (value < TOP_LIMB_MAX && value > -TOP_LIMB_MAX) continue;
    if (!addLimb(self, group, self.lowLimb + limbs, value >> 40)) {
      self.rows = NORMALISE_ROWS;
      return false;
    }
    store<i64>(top, value & <i64>DIGIT_MASK);
  }
  return true;
}

// ---- reading sums

/** Reads a group's sum into `sum` (EXACT_SUM_BYTES). */
function sumExactLoad(self: Accumulator, group: u32, sum: usize): void {
  memory.fill(sum + NANS, 0, 24);
  if (self.heads != 0 && load<u32>(self.heads + (<usize>group << 2)) != 0) loadSide(self, group, sum);
  else loadDense(self, group, sum);
}

function loadDense(self: Accumulator, group: u32, sum: usize): void {
  const limbs = self.limbs;
  const at = self.values + <usize>group * <usize>self.stride;
  let carry: i64 = 0;
  for (let limb: u32 = 0; limb < limbs; limb++) {
    const value = load<i64>(at + (<usize>limb << 3)) + carry;
    carry = value >> 40;
    store<u64>(sum + (<usize>limb << 3), value & <i64>DIGIT_MASK);
  }
  store<u64>(sum + (<usize>limbs << 3), <u64>carry & DIGIT_MASK);
  finishLoad(sum, limbs + 1, self.lowLimb, carry < 0);
}

function loadSide(self: Accumulator, group: u32, sum: usize): void {
  const work = sum + WORK;
  memory.fill(work, 0, <usize>KINDS << 4);
  const at = self.values + <usize>group * <usize>self.stride;
  for (let limb: u32 = 0; limb < self.limbs; limb++) {
    const value = load<i64>(at + (<usize>limb << 3));
    const target = work + (<usize>(self.lowLimb + limb) << 4);
    store<i64>(target, value);
    store<i64>(target, value >> 63, 8);
  }
  for (let next = load<u32>(self.heads + (<usize>group << 2)); next != 0; ) {
    const entry = self.side + <usize>(next - 1) * SIDE_ENTRY;
    add128(work + (<usize>load<u32>(entry, 20) << 4), load<u64>(entry), load<i64>(entry, 8));
    next = load<u32>(entry, 16);
  }
  memory.fill(sum + NANS, 0, 24);
  for (let kind = NAN; kind <= NEGATIVE_INFINITY; kind++) {
    store<u64>(sum + NANS + (<usize>(kind - NAN) << 3), load<u64>(work + (<usize>kind << 4)));
  }
  let low: u64 = 0;
  let high: i64 = 0;
  for (let limb: u32 = 0; limb < DIGITS; limb++) {
    const from = work + (<usize>limb << 4);
    add128(from, low, high);
    low = load<u64>(from);
    high = load<i64>(from, 8);
    store<u64>(sum + (<usize>limb << 3), low & DIGIT_MASK);
    low = (low >> 40) | (<u64>high << 24);
    high >>= 40;
  }
  finishLoad(sum, DIGITS, 0, high < 0);
}

// @ts-ignore: decorator
@inline
function add128(at: usize, low: u64, high: i64): void {
  const sum = load<u64>(at) + low;
  store<u64>(at, sum);
  store<i64>(at, load<i64>(at, 8) + high + <i64>(sum < low), 8);
}

/** Turns the complement of a negative sum into its magnitude. */
function finishLoad(sum: usize, count: u32, first: u32, negative: bool): void {
  if (negative) {
    let carry: u64 = 1;
    for (let digit: u32 = 0; digit < count; digit++) {
      const at = sum + (<usize>digit << 3);
      const value = (load<u64>(at) ^ DIGIT_MASK) + carry;
      carry = value >> 40;
      store<u64>(at, value & DIGIT_MASK);
    }
  }
  store<u32>(sum, count, COUNT);
  store<u32>(sum, first, FIRST);
  store<u32>(sum, negative ? 1 : 0, NEGATIVE);
}

/** NaN or an infinity when the inputs decide that, else 0. */
function special(sum: usize): f64 {
  const positive = load<u64>(sum, NANS + 8) != 0;
  const negative = load<u64>(sum, NANS + 16) != 0;
  if (load<u64>(sum, NANS) != 0 || (positive && negative)) return reinterpret<f64>(0x7ff8000000000000);
  return positive ? Infinity : negative ? -Infinity : 0;
}

/** A group's sum, rounded. `scratch` is EXACT_SUM_BYTES. */
export function sumExactValue(self: Accumulator, group: u32, scratch: usize): f64 {
  sumExactLoad(self, group, scratch);
  const exception = special(scratch);
  if (exception != 0) return exception;
  return roundDigits(scratch, load<u32>(scratch, COUNT), exponentOf(scratch), load<u32>(scratch, NEGATIVE) != 0, false);
}

/** A group's sum divided by `count` (not 0), rounded once. */
export function sumExactAverage(self: Accumulator, group: u32, count: u64, scratch: usize): f64 {
  sumExactLoad(self, group, scratch);
  const exception = special(scratch);
  if (exception != 0) return exception;
  return roundQuotient(scratch, load<u32>(scratch, COUNT), exponentOf(scratch), count, load<u32>(scratch, NEGATIVE) != 0);
}

// @ts-ignore: decorator
@inline
function exponentOf(sum: usize): i32 {
  return <i32>(load<u32>(sum, FIRST) * DIGIT_BITS) - 1074;
}

// ---- state: u8 sign (1 = negative), then for each nonzero digit and count, lowest limb first: u8 limb, u64 value

const STATE_ENTRY: u32 = 9;
/** Most bytes of one state. */
export const EXACT_STATE_BYTES: u32 = 1 + STATE_ENTRY * (DIGITS + 3);

/** Writes a group's state to `target` (EXACT_STATE_BYTES) and answers its length; 0 for a sum of nothing but zeros. */
export function sumExactState(self: Accumulator, group: u32, target: usize, scratch: usize): u32 {
  sumExactLoad(self, group, scratch);
  let at = target + 1;
  const count = load<u32>(scratch, COUNT);
  const first = load<u32>(scratch, FIRST);
  for (let digit: u32 = 0; digit < count; digit++) at = putState(at, first + digit, load<u64>(scratch + (<usize>digit << 3)));
  for (let kind = NAN; kind <= NEGATIVE_INFINITY; kind++) {
    at = putState(at, kind, load<u64>(scratch + NANS + (<usize>(kind - NAN) << 3)));
  }
  store<u8>(target, load<u8>(scratch, NEGATIVE));
  return at == target + 1 ? 0 : <u32>(at - target);
}

function putState(at: usize, limb: u32, value: u64): usize {
  if (value == 0) return at;
  store<u8>(at, <u8>limb);
  store<u64>(at, value, 1);
  return at + <usize>STATE_ENTRY;
}

/** Whether `length` bytes are a state that `sumExactState` could have written. */
export function sumExactStateIsValid(state: usize, length: u32): bool {
  if (length == 0) return true;
  if (length % STATE_ENTRY != 1 || length == 1 || load<u8>(state) > 1) return false;
  let previous: i32 = -1;
  for (let at: u32 = 1; at < length; at += STATE_ENTRY) {
    const limb = <i32>load<u8>(state + <usize>at);
    const value = load<u64>(state + <usize>at, 1);
    if (limb <= previous || value == 0 || limb > <i32>NEGATIVE_INFINITY) return false;
    if (limb < <i32>NAN ? limb >= <i32>DIGITS || value > DIGIT_MASK : value >> 62 != 0) return false;
    previous = limb;
  }
  return true;
}

/** Makes the limbs of a valid state dense where 4 are enough. False when out of memory. */
export function sumExactPrepareMerge(self: Accumulator, state: usize, length: u32): bool {
  let low: u32 = self.limbs == 0 ? KINDS : self.lowLimb;
  let high: u32 = self.limbs == 0 ? 0 : self.lowLimb + self.limbs - 1;
  for (let at: u32 = 1; at < length; at += STATE_ENTRY) {
    const limb = <u32>load<u8>(state + <usize>at);
    if (limb > TOP_DENSE) continue;
    low = min(low, limb);
    high = max(high, limb);
  }
  return low > high || high - low >= LIMBS_MAX || setWindow(self, low, high - low + 1);
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
