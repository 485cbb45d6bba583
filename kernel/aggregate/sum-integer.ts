// SUM_INTEGER: exact sums of integers and decimals.
//
// A group has one i64 lane as long as that is certain to hold: `bound` is no less than any lane's
// magnitude, and each vector adds to it what its rows could add at most (for 64-bit and wider inputs found
// by OR-ing their bits). When the bound reaches 2^62 the lanes are looked at; only when one of them really
// has come near does the accumulator widen to 192 bits, for good. So a sum of int32, of small int64 and of
// everyday decimals is one load and one add a row, and no sum ever wraps: 192 bits hold 2^65 decimals.
//
//   lane: i64           wide: u64 low, u64 middle, i64 high
//
// Two accumulators may have their lanes side by side (sum-pair.ts adds to both at once); they part when either widens.

import { Type } from "../abi/layout";
import { keep32, keep64 } from "../column/keep";
import { widenShort } from "../column/widen";
import { typeWidth } from "../column/type";
import { copyBytes } from "../memory/copy";
import { regionBlock, regionFree } from "../memory/region";
import { Accumulator, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";
import { addByNumbers } from "./lane-rows";

const LANE: u32 = 8;
const WIDE: u32 = 24;
/** Beyond this a lane might wrap while the next vector is added. */
const BOUND_MAX: u64 = 1 << 62;
/** From here on a few thousand additions may bring a bound to the most. */
const BOUND_LOOSE: u64 = 1 << 38;

export function sumIntegerInit(self: Accumulator): void {
  self.stride = LANE;
}

export function sumIntegerReserve(self: Accumulator, groups: u32): bool {
  if (self.pair == 0) return accumulatorReserve(self, groups, 0);
  const other = changetype<Accumulator>(self.pair);
  const first = self.follows ? other : self;
  if (!accumulatorReserve(first, groups, 0)) return false;
  const second = self.follows ? self : other;
  second.values = first.values + LANE;
  second.capacity = first.capacity;
  return true;
}

/** Lays the lanes of two fresh accumulators side by side: those of a group are 16 bytes. */
export function sumIntegerPair(first: Accumulator, second: Accumulator): void {
  first.pair = changetype<usize>(second);
  second.pair = changetype<usize>(first);
  second.follows = 1;
  first.stride = LANE << 1;
  second.stride = LANE << 1;
}

/** Gives each of a pair an array of its own; false when out of memory, with nothing changed. */
export function sumIntegerSplit(self: Accumulator): bool {
  const other = changetype<Accumulator>(self.pair);
  const first = self.follows ? other : self;
  const second = self.follows ? self : other;
  const capacity = first.capacity;
  const bytes = max<usize>((<usize>capacity) << 3, 64);
  const left = regionBlock(self.region, bytes);
  const right = regionBlock(self.region, bytes);
  if (left == 0 || right == 0) {
    regionFree(self.region, left);
    regionFree(self.region, right);
    return false;
  }
  const lanes = first.values;
  for (let group: usize = 0; group < <usize>capacity; group++) {
    store<i64>(left + (group << 3), load<i64>(lanes + (group << 4)));
    store<i64>(right + (group << 3), load<i64>(lanes + (group << 4), LANE));
  }
  regionFree(self.region, lanes);
  alone(first, left);
  alone(second, right);
  return true;
}

function alone(self: Accumulator, values: usize): void {
  self.values = values;
  self.stride = LANE;
  self.pair = 0;
  self.follows = 0;
}

/** Where the lane of a group is, while sums are no wider. */
// @ts-ignore: decorator
@inline
function laneOf(self: Accumulator, group: u32): usize {
  return self.values + ((<usize>group) << (self.pair == 0 ? 3 : 4));
}

/**
 * Adds a vector; `one` says that every row belongs to group 0. `buffer` takes the values where those of rows
 * outside the mask have to become zero; it may be `values`. False when it must widen and memory is exhausted;
 * nothing was added then.
 */
export function sumIntegerUpdate(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  one: bool,
  buffer: usize,
): bool {
  if (typeWidth(self.type) < 4) return updateShort(self, numbers, values, mask, rows, one, buffer);
  const zeroes = mask != 0 && self.wide == 0 && hasLanes(self.type);
  const kept = zeroes ? sumIntegerKeep(self, values, mask, rows, buffer) : values;
  const magnitude = self.wide == 0 ? sumIntegerLargest(self.type, kept, rows) : 0;
  return sumIntegerAdd(self, numbers, kept, zeroes ? 0 : mask, rows, one, magnitude);
}

/** The same of integers of one or two bytes: lanes take them as such of 32 bits. */
function updateShort(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  one: bool,
  buffer: usize,
): bool {
  if (self.wide == 0 && sumIntegerMakeRoom(self, sumIntegerLargest(self.type, values, rows), rows)) {
    widenShort(self.type, values, rows, buffer);
    if (mask != 0) keep32(buffer, mask, rows, buffer);
    addLanes(self, Type.I32, numbers, buffer, 0, rows, one);
    return true;
  }
  // unreached: takes 2^46 rows
  if (self.wide == 0 && !widen(self)) return false;
  addWide(self, numbers, values, mask, rows);
  return true;
}

function hasLanes(type: u32): bool {
  const width = typeWidth(type);
  return width == 4 || width == 8;
}

/** Values of 4 or 8 bytes, in `buffer` with zeroes for rows outside the mask where there is one. */
export function sumIntegerKeep(self: Accumulator, values: usize, mask: usize, rows: u32, buffer: usize): usize {
  if (mask == 0) return values;
  if (typeWidth(self.type) == 4) keep32(values, mask, rows, buffer);
  else keep64(values, mask, 0, rows, buffer);
  return buffer;
}

/** The same where the caller knows a bound of the values' magnitudes. */
export function sumIntegerAdd(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  one: bool,
  magnitude: u64,
): bool {
  if (self.pair != 0 && !one && !sumIntegerSplit(self)) return false;
  if (self.wide == 0) {
    if (sumIntegerMakeRoom(self, magnitude, rows)) {
      addLanes(self, self.type, numbers, values, mask, rows, one);
      return true;
    }
    if (!widen(self)) return false;
  }
  addWide(self, numbers, values, mask, rows);
  return true;
}

/** Whether the lanes would be looked at to make room for `rows` values no larger than `magnitude`, or cannot have it. */
export function sumIntegerIsTight(self: Accumulator, magnitude: u64, rows: u32): bool {
  return magnitude >= BOUND_MAX >> 11 || self.bound + magnitude * <u64>rows >= BOUND_MAX;
}

/** Whether `rows` values no larger than `magnitude` still fit the lanes; the bound counts them then. */
export function sumIntegerMakeRoom(self: Accumulator, magnitude: u64, rows: u32): bool {
  if (magnitude >= BOUND_MAX >> 11) return false;
  const more: u64 = magnitude * <u64>rows;
  self.rows += rows;
  // Looking at every lane must pay: more often than once for as many rows, widening is cheaper.
  if (self.bound + more >= BOUND_MAX && self.rows >= <u64>self.capacity) {
    self.bound = lanesBound(self);
    self.rows = 0;
  }
  if (self.bound + more >= BOUND_MAX) return false;
  self.bound += more;
  return true;
}

function lanesBound(self: Accumulator): u64 {
  let bits: u64 = 0;
  const step: usize = self.stride;
  const end = self.values + <usize>self.capacity * step;
  for (let at = self.values; at < end; at += step) {
    const lane = load<i64>(at);
    bits |= <u64>(lane ^ (lane >> 63));
  }
  return bits + 1;
}

/**
 * Before lanes are added to others: looks at them where the bound, which counts what each row could have added, says
 * too little. Else a target's bound, which grows by theirs, would have to be looked after with every few vectors.
 */
export function sumIntegerTighten(self: Accumulator): void {
  if (self.wide == 0 && self.values != 0 && self.bound >= BOUND_LOOSE) self.bound = lanesBound(self);
}

/** No value of the vector is farther from 0; u64.MAX_VALUE when one does not fit an i64. */
export function sumIntegerLargest(type: u32, values: usize, rows: u32): u64 {
  switch (type) {
    case Type.I8:
    case Type.U8:
      return 1 << 8;
    case Type.I16:
    case Type.U16:
      return 1 << 16;
    case Type.I32:
    case Type.U32:
      return 1 << 32;
    case Type.I64:
      return largest64(values, rows, true);
    case Type.U64:
      return largest64(values, rows, false);
    default:
      return largest128(values, rows);
  }
}

/** The largest magnitude of i32 values. */
export function largest32(values: usize, rows: u32): u64 {
  let most: u32 = 0;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    let four = i32x4.splat(0);
    for (const whole = rows & ~3; row < whole; row += 4) four = i32x4.max_u(four, i32x4.abs(v128.load(values + ((<usize>row) << 2))));
    most = largestLane(four);
  }
  for (; row < rows; row++) most = max<u32>(most, <u32>abs(load<i32>(values + ((<usize>row) << 2))));
  return most;
}

// @ts-ignore: decorator
@inline
export function largestLane(lanes: v128): u32 {
  const two = i32x4.max_u(lanes, v128.shuffle<i32>(lanes, lanes, 2, 3, 0, 1));
  return max<u32>(i32x4.extract_lane(two, 0), i32x4.extract_lane(two, 1));
}

function largest64(values: usize, rows: u32, signed: bool): u64 {
  let bits: u64 = 0;
  let row: u32 = 0;
  if (ASC_FEATURE_SIMD) {
    let a = i64x2.splat(0);
    let b = i64x2.splat(0);
    const signs: i32 = signed ? 63 : 0;
    for (const whole = rows & ~3; row < whole; row += 4) {
      const at = values + ((<usize>row) << 3);
      const x = v128.load(at);
      const y = v128.load(at, 16);
      a = v128.or(a, signed ? v128.xor(x, i64x2.shr_s(x, signs)) : x);
      b = v128.or(b, signed ? v128.xor(y, i64x2.shr_s(y, signs)) : y);
    }
    a = v128.or(a, b);
    bits = <u64>i64x2.extract_lane(a, 0) | <u64>i64x2.extract_lane(a, 1);
  }
  for (; row < rows; row++) {
    const value = load<i64>(values + ((<usize>row) << 3));
    bits |= <u64>(signed ? value ^ (value >> 63) : value);
  }
  // Rows outside the mask count too: at worst the lanes widen early.
  return bits >= 1 << 63 ? u64.MAX_VALUE : bits + 1;
}

function largest128(values: usize, rows: u32): u64 {
  let bits: u64 = 0;
  let spread: u64 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const at = values + ((<usize>row) << 4);
    const value = load<i64>(at);
    bits |= <u64>(value ^ (value >> 63));
    spread |= <u64>((value >> 63) ^ load<i64>(at, 8));
  }
  return spread != 0 ? u64.MAX_VALUE : bits + 1;
}

/** Values are of `type`, of 4 bytes and more. */
function addLanes(
  self: Accumulator,
  type: u32,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  one: bool,
): void {
  const lanes = one ? self.values + <usize>load<u32>(numbers) * <usize>self.stride : self.values;
  switch (type) {
    case Type.I32:
      add<i32>(lanes, numbers, values, mask, rows, 2, one);
      break;
    case Type.U32:
      add<u32>(lanes, numbers, values, mask, rows, 2, one);
      break;
    case Type.I128:
      add<i64>(lanes, numbers, values, mask, rows, 4, one);
      break;
    default:
      add<i64>(lanes, numbers, values, mask, rows, 3, one);
  }
}

// @ts-ignore: decorator
@inline
function add<T>(
  lanes: usize,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  shift: usize,
  one: bool,
): void {
  if (one) {
    addOne<T>(lanes, values, mask, rows, shift);
    return;
  }
  // Values of 4 and 8 bytes come with zeroes instead of a mask: `sumIntegerUpdate`.
  if (shift != 4 || mask == 0) {
    if (ASC_FEATURE_SIMD && (<usize>1) << shift == sizeof<T>()) {
      addByNumbers<T, u8>(lanes, numbers, values, rows);
      return;
    }
    let row: u32 = 0;
    for (const whole = rows & ~3; row < whole; row += 4) {
      const first = load<u64>(numbers + ((<usize>row) << 2));
      const second = load<u64>(numbers + ((<usize>row) << 2), 8);
      const from = values + ((<usize>row) << shift);
      if (sizeof<T>() == 4) {
        // Two values a load, too.
        const a = load<u64>(from);
        const b = load<u64>(from, 8);
        addLane(lanes, <u32>first, <i64>(<T>a));
        addLane(lanes, <u32>(first >> 32), <i64>(<T>(a >> 32)));
        addLane(lanes, <u32>second, <i64>(<T>b));
        addLane(lanes, <u32>(second >> 32), <i64>(<T>(b >> 32)));
      } else {
        const step: usize = (<usize>1) << shift;
        addLane(lanes, <u32>first, <i64>load<T>(from));
        addLane(lanes, <u32>(first >> 32), <i64>load<T>(from + step));
        addLane(lanes, <u32>second, <i64>load<T>(from + step * 2));
        addLane(lanes, <u32>(second >> 32), <i64>load<T>(from + step * 3));
      }
    }
    for (; row < rows; row++) {
      const at = lanes + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 3);
      store<i64>(at, load<i64>(at) + <i64>load<T>(values + ((<usize>row) << shift)));
    }
    return;
  }
  for (let row: u32 = 0; row < rows; row++) {
    const at = lanes + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 3);
    const keep: i64 = -(<i64>maskBit(mask, row));
    store<i64>(at, load<i64>(at) + (<i64>load<T>(values + ((<usize>row) << shift)) & keep));
  }
}

// @ts-ignore: decorator
@inline
function addLane(lanes: usize, group: u32, value: i64): void {
  const at = lanes + ((<usize>group) << 3);
  store<i64>(at, load<i64>(at) + value);
}

/** The same for rows that all belong to group 0: the sum stays in registers, four of them where lanes allow. */
// @ts-ignore: decorator
@inline
function addOne<T>(lanes: usize, values: usize, mask: usize, rows: u32, shift: usize): void {
  let sum: i64 = 0;
  if (shift != 4 || mask == 0) {
    let row: u32 = 0;
    if (ASC_FEATURE_SIMD && isSigned<T>() && ((sizeof<T>() == 4 && shift == 2) || (sizeof<T>() == 8 && shift == 3))) {
      const narrow = sizeof<T>() == 4;
      let a = i64x2.splat(0);
      let b = i64x2.splat(0);
      let c = i64x2.splat(0);
      let d = i64x2.splat(0);
      for (const whole = rows & ~7; row < whole; row += 8) {
        const from = values + ((<usize>row) << shift);
        const first = v128.load(from);
        const second = v128.load(from, 16);
        a = i64x2.add(a, narrow ? i64x2.extend_low_i32x4_s(first) : first);
        b = i64x2.add(b, narrow ? i64x2.extend_high_i32x4_s(first) : second);
        c = i64x2.add(c, narrow ? i64x2.extend_low_i32x4_s(second) : v128.load(from, 32));
        d = i64x2.add(d, narrow ? i64x2.extend_high_i32x4_s(second) : v128.load(from, 48));
      }
      a = i64x2.add(i64x2.add(a, b), i64x2.add(c, d));
      sum = i64x2.extract_lane(a, 0) + i64x2.extract_lane(a, 1);
    }
    for (; row < rows; row++) sum += <i64>load<T>(values + ((<usize>row) << shift));
  } else {
    for (let row: u32 = 0; row < rows; row++) {
      sum += <i64>load<T>(values + ((<usize>row) << shift)) & -(<i64>maskBit(mask, row));
    }
  }
  store<i64>(lanes, load<i64>(lanes) + sum);
}

/** Turns every lane into 192 bits; false when out of memory, with nothing changed. */
function widen(self: Accumulator): bool {
  if (self.pair != 0 && !sumIntegerSplit(self)) return false;
  const capacity = self.capacity;
  const bytes: u64 = <u64>capacity * <u64>WIDE;
  // unreached: needs more than 4 GiB
  const values: usize = bytes > 0xffe00000 ? 0 : regionBlock(self.region, max<usize>(<usize>bytes, 64));
  if (values == 0) return false;
  for (let group: u32 = 0; group < capacity; group++) {
    const lane = load<i64>(self.values + ((<usize>group) << 3));
    const at = values + <usize>group * <usize>WIDE;
    store<i64>(at, lane);
    store<i64>(at, lane >> 63, 8);
    store<i64>(at, lane >> 63, 16);
  }
  regionFree(self.region, self.values);
  self.values = values;
  self.stride = WIDE;
  self.wide = 1;
  return true;
}

function addWide(self: Accumulator, numbers: usize, values: usize, mask: usize, rows: u32): void {
  const sums = self.values;
  switch (self.type) {
    case Type.I8:
      addWideRows<i8>(sums, numbers, values, mask, rows, 0);
      break;
    case Type.U8:
      addWideRows<u8>(sums, numbers, values, mask, rows, 0);
      break;
    case Type.I16:
      addWideRows<i16>(sums, numbers, values, mask, rows, 1);
      break;
    case Type.U16:
      addWideRows<u16>(sums, numbers, values, mask, rows, 1);
      break;
    case Type.I32:
      addWideRows<i32>(sums, numbers, values, mask, rows, 2);
      break;
    case Type.U32:
      addWideRows<u32>(sums, numbers, values, mask, rows, 2);
      break;
    case Type.I64:
      addWideRows<i64>(sums, numbers, values, mask, rows, 3);
      break;
    case Type.U64:
      addWideRows<u64>(sums, numbers, values, mask, rows, 3);
      break;
    default:
      addWideRows<i64>(sums, numbers, values, mask, rows, 4);
  }
}

/** A shift of 4 stands for 128-bit integers. */
// @ts-ignore: decorator
@inline
function addWideRows<T>(
  sums: usize,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  shift: usize,
): void {
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    const at = sums + <usize>load<u32>(numbers + ((<usize>row) << 2)) * <usize>WIDE;
    const from = values + ((<usize>row) << shift);
    if (shift == 4) addTo(at, load<u64>(from), load<u64>(from, 8), load<i64>(from, 8) >> 63);
    else if (isSigned<T>())
      addTo(at, <u64>(<i64>load<T>(from)), <u64>(<i64>load<T>(from) >> 63), <i64>load<T>(from) >> 63);
    else addTo(at, <u64>load<T>(from), 0, 0);
  }
}

// @ts-ignore: decorator
@inline
function addTo(at: usize, low: u64, middle: u64, high: i64): void {
  const oldLow = load<u64>(at);
  const newLow = oldLow + low;
  const carry: u64 = <u64>(newLow < low);
  const oldMiddle = load<u64>(at, 8);
  const partial = oldMiddle + middle;
  const newMiddle = partial + carry;
  store<u64>(at, newLow);
  store<u64>(at, newMiddle, 8);
  store<i64>(at, load<i64>(at, 16) + high + <i64>(partial < middle) + <i64>(newMiddle < partial), 16);
}

/** Takes the rows of a vector back that are in `mask`. False when out of memory. */
export function sumIntegerRetract(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
): bool {
  switch (self.type) {
    case Type.I8:
      return retractRows<i8>(self, numbers, values, mask, rows, 0);
    case Type.U8:
      return retractRows<u8>(self, numbers, values, mask, rows, 0);
    case Type.I16:
      return retractRows<i16>(self, numbers, values, mask, rows, 1);
    case Type.U16:
      return retractRows<u16>(self, numbers, values, mask, rows, 1);
    case Type.I32:
      return retractRows<i32>(self, numbers, values, mask, rows, 2);
    case Type.U32:
      return retractRows<u32>(self, numbers, values, mask, rows, 2);
    case Type.I64:
      return retractRows<i64>(self, numbers, values, mask, rows, 3);
    case Type.U64:
      return retractRows<u64>(self, numbers, values, mask, rows, 3);
    default:
      return retractRows<i64>(self, numbers, values, mask, rows, 4);
  }
}

/** A shift of 4 stands for 128-bit integers. */
function retractRows<T>(
  self: Accumulator,
  numbers: usize,
  values: usize,
  mask: usize,
  rows: u32,
  shift: usize,
): bool {
  for (let row: u32 = 0; row < rows; row++) {
    if (!maskBit(mask, row)) continue;
    const from = values + ((<usize>row) << shift);
    const low = isSigned<T>() ? <u64>(<i64>load<T>(from)) : <u64>load<T>(from);
    const sign: u64 = isSigned<T>() ? <u64>(<i64>load<T>(from) >> 63) : 0;
    const middle = shift == 4 ? load<u64>(from, 8) : sign;
    const high = shift == 4 ? <u64>(<i64>middle >> 63) : sign;
    const group = load<u32>(numbers + ((<usize>row) << 2));
    const noLow = <u64>(low == 0);
    const noMiddle = noLow & <u64>(middle == 0);
    if (!sumIntegerMerge(self, group, 0 - low, ~middle + noLow, <i64>(~high + noMiddle))) return false;
  }
  return true;
}

/** Adds to a group's lane; to a sum that has become wide meanwhile, which takes no memory any more. */
// @ts-ignore: decorator
@inline
export function sumIntegerPlus(self: Accumulator, group: u32, more: i64): void {
  if (self.wide == 0) {
    const at = self.values + <usize>group * <usize>self.stride;
    store<i64>(at, load<i64>(at) + more);
  } else if (more != 0) sumIntegerMerge(self, group, more, more >> 63, more >> 63);
}

/** Adds a 192-bit sum to a group's, as a merge does; false when it must widen and memory is exhausted. */
export function sumIntegerMerge(self: Accumulator, group: u32, low: u64, middle: u64, high: i64): bool {
  if (self.wide == 0) {
    const sign = <i64>low >> 63;
    const magnitude = <u64>(<i64>low ^ sign) + 1;
    if (<i64>middle == sign && high == sign && magnitude < BOUND_MAX >> 1) {
      const at = laneOf(self, group);
      const lane = load<i64>(at);
      if (<u64>(lane ^ (lane >> 63)) < BOUND_MAX >> 1) {
        const sum = lane + <i64>low;
        store<i64>(at, sum);
        self.bound = max<u64>(self.bound, <u64>(sum ^ (sum >> 63)) + 1);
        return true;
      }
    }
    if (!widen(self)) return false;
  }
  addTo(self.values + <usize>group * <usize>WIDE, low, middle, high);
  return true;
}

/**
 * Adds groups of `source`, 24 bytes of `scratch` at hand: lanes to lanes while that is certain to hold, else one at
 * a time. False when it must widen and memory is exhausted.
 */
export function sumIntegerCombine(
  self: Accumulator,
  source: Accumulator,
  list: usize,
  numbers: usize,
  count: u32,
  scratch: usize,
): bool {
  if (self.wide == 0 && source.wide == 0 && takesLanes(self, source.bound, count)) {
    for (let index: usize = 0; index < (<usize>count) << 2; index += 4) {
      const at = laneOf(self, load<u32>(numbers + index));
      store<i64>(at, load<i64>(at) + load<i64>(laneOf(source, load<u32>(list + index))));
    }
    return true;
  }
  for (let index: usize = 0; index < (<usize>count) << 2; index += 4) {
    sumIntegerLoad(source, load<u32>(list + index), scratch);
    const number = load<u32>(numbers + index);
    if (!sumIntegerMerge(self, number, load<u64>(scratch), load<u64>(scratch, 8), load<i64>(scratch, 16)))
      return false;
  }
  return true;
}

/** Whether the lanes of a source can be added one to each of the target's: then that is accounted for. */
export function sumIntegerTakesAll(self: Accumulator, source: Accumulator): bool {
  if (self.wide != 0 || source.wide != 0) return false;
  if (self.bound + source.bound >= BOUND_MAX) self.bound = lanesBound(self);
  if (self.bound + source.bound >= BOUND_MAX) return false;
  self.bound += source.bound;
  return true;
}

/** Adds lanes of a source that the target takes (`sumIntegerTakesAll`), of listed groups to the same ones. */
export function sumIntegerFold(self: Accumulator, source: Accumulator, list: usize, count: u32): void {
  for (let index: usize = 0; index < (<usize>count) << 2; index += 4) {
    const group = load<u32>(list + index);
    const at = laneOf(self, group);
    store<i64>(at, load<i64>(at) + load<i64>(laneOf(source, group)));
  }
}

/** Whether `count` lanes no larger than `bound` still fit, should they all be one group's. */
function takesLanes(self: Accumulator, bound: u64, count: u32): bool {
  if (bound >= BOUND_MAX >> 12) return false;
  const more: u64 = bound * <u64>count;
  if (self.bound + more >= BOUND_MAX) self.bound = lanesBound(self);
  if (self.bound + more >= BOUND_MAX) return false;
  self.bound += more;
  return true;
}

/** The sum of a group, while sums are no wider. */
// @ts-ignore: decorator
@inline
export function sumIntegerLane(self: Accumulator, group: u32): i64 {
  return load<i64>(laneOf(self, group));
}

/** Writes the 192-bit sum of a group to `target` (24 bytes). */
export function sumIntegerLoad(self: Accumulator, group: u32, target: usize): void {
  if (self.wide) {
    copyBytes(target, self.values + <usize>group * <usize>WIDE, WIDE);
    return;
  }
  const lane = load<i64>(laneOf(self, group));
  store<i64>(target, lane);
  store<i64>(target, lane >> 63, 8);
  store<i64>(target, lane >> 63, 16);
}
