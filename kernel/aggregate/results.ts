// Results: what an aggregate shows of the accumulators that it reads.
//
// What most groups have, a value for each, leaves by a loop for its kind: one by one, with all that may be asked about a
// result, two extremes of 100,000 groups took 5 ms of the 34 that 10 million rows take, and two lists as long.

import { Type } from "../abi/layout";
import { AggregateFunction, AggregateEntryFlag } from "../abi/operator";
import { ErrorFlag, ErrorRecord } from "../abi/layout";
import { Reason, Status } from "../abi/status";
import { builderAppendFixed } from "../column/append";
import { Builder, builderAppendBytes, builderSetNull } from "../column/builder";
import { contextError, fail, failAt, failValue } from "../memory/context";
import { copyBytes } from "../memory/copy";
import { Accumulator, Family, isArg, isExtreme, isMultiset } from "./accumulator";
import { argTextBytes, argValue } from "./arg-extreme";
import { bitsLoad } from "./bits";
import { cardinalityEstimate } from "./cardinality";
import { minmaxList, minmaxLoad } from "./minmax";
import { LOG_SCRATCH, logResult, textLogResult } from "./quantile";
import { textLogLongest } from "./text-log";
import { logBase, logSize } from "./value-log";
import { multisetCount, multisetExtreme, multisetExtremeBytes } from "./multiset";
import { QUANTILE_SCRATCH, quantileSketchValue } from "./quantile-sketch";
import { textAddress, textLength } from "./minmax-text";
import { quickMoment } from "./quick-moments";
import { quickAverage, roundAverage192 } from "./round";
import { sumExactAverage, sumExactList, sumExactValue } from "./exact-read";
import { momentsFastValue } from "./moments-fast";
import { MOMENTS_SCRATCH, isMoment, momentLeast, momentValue } from "./moments-result";
import { runMoment } from "./run-moments";
import { sumIntegerLane, sumIntegerLoad } from "./sum-integer";
import { arrayBytes, arrayReserve, arrayResult } from "./array";
import { itemWidth } from "../column/order";
import { typeWidth } from "../column/type";
import { tailTake } from "./tail";
import { topHeld, topLength, topList } from "./top";
import {
  topByLength,
  topByList,
  topByReserveList,
  topByState,
  topByStateLength,
} from "./top-by";
import { topTextLength, topTextList, topTextReserveList } from "./top-text";

/** 10^38 as two words: decimals stay below. */
const LIMIT_LOW: u64 = 0x098a224000000000;
const LIMIT_HIGH: u64 = 0x4b3b4ca85a86c47a;
/** No bound of a result's bytes. */
export const UNBOUNDED: u32 = u32.MAX_VALUE;

// @ts-ignore: decorator
@unmanaged
export class Result {
  /** `AggregateFunction`. */
  fn: u32;
  /** `Type` of the argument, and of the result. */
  argumentType: u32;
  type: u32;
  scale: u32;
  /** Accumulator of the values (COUNT: of the count). */
  values: usize;
  /** COUNT or SEEN accumulator that tells whether there is a value, and how many; 0 where not needed. */
  counts: usize;
  /** Output column, for errors. */
  column: u32;
  /** Moments: addresses (u32) of the accumulators that moments-result.ts reads; 0 elsewhere, when fast, and over a log. */
  moments: usize;
  /** p of a quantile; ARRAY, STRING: 1 = descending. */
  parameter: f64;
  /** ARRAY, STRING: see array.ts. */
  separator: usize;
  separatorLength: u32;
  buffer: usize;
  bufferCapacity: u32;
  /** `Tail` of the argument, 0 = none. See tail.ts. */
  tail: u32;
  /** ARRAY with a tail: most items, 0 = all. */
  limit: u32;
  /** Results of a log that were found while it was settled (8 bytes a group), 0 = none: see ready.ts. */
  ready: usize;
}

export const RESULT_SIZE: usize = 80;

/** Scratch for `resultValue`. */
export const RESULT_SCRATCH: usize = MOMENTS_SCRATCH + QUANTILE_SCRATCH + LOG_SCRATCH;

/** `Type` of a function's result; NONE where the function is not defined for `type`. */
export function resultType(fn: u32, type: u32, flags: u32): u32 {
  const isFloat = type == <u32>Type.F32 || type == <u32>Type.F64;
  const isInteger = type >= <u32>Type.I8 && type <= <u32>Type.U64;
  if ((flags & <u32>AggregateEntryFlag.FAST) != 0 && !isFloat) return Type.NONE;
  if (isMoment(fn)) return isFloat || isInteger || type == <u32>Type.I128 ? Type.F64 : Type.NONE;
  switch (fn) {
    case AggregateFunction.COUNT_ROWS:
    case AggregateFunction.COUNT:
    case AggregateFunction.COUNT_DISTINCT:
    case AggregateFunction.APPROX_COUNT_DISTINCT:
      return Type.I64;
    case AggregateFunction.SUM:
      if (isFloat) return Type.F64;
      if (type == <u32>Type.I128) return Type.I128;
      return isInteger ? (type >= <u32>Type.U8 ? Type.U64 : Type.I64) : Type.NONE;
    case AggregateFunction.AVG:
      return isFloat || isInteger || type == <u32>Type.I128 ? Type.F64 : Type.NONE;
    case AggregateFunction.MIN:
    case AggregateFunction.MAX:
    case AggregateFunction.ARG_MIN:
    case AggregateFunction.ARG_MAX:
      return type;
    case AggregateFunction.APPROX_QUANTILE:
      return isFloat || isInteger ? Type.F64 : Type.NONE;
    case AggregateFunction.QUANTILE:
      return isFloat || isInteger || type == <u32>Type.I128 ? Type.F64 : Type.NONE;
    case AggregateFunction.QUANTILE_DISC:
    case AggregateFunction.MODE:
      return type;
    case AggregateFunction.BIT_AND:
    case AggregateFunction.BIT_OR:
    case AggregateFunction.BIT_XOR:
      return isInteger ? type : Type.NONE;
    case AggregateFunction.TOP:
    case AggregateFunction.BOTTOM:
    case AggregateFunction.ARRAY:
      return Type.BYTES;
    case AggregateFunction.STRING:
      return type == <u32>Type.BYTES ? Type.BYTES : Type.NONE;
    default:
      return Type.NONE;
  }
}

/**
 * A group's result: 1 with the value at `target` (16 bytes; a byte for BOOL; u32 address and u32 length for
 * BYTES), 0 for null, or an error's status. `hasRows` is for groups of which nothing was tracked; `rows` the
 * accumulator that counts rows, 0 when none does.
 */
export function resultValue(
  context: usize,
  self: Result,
  rows: usize,
  group: u32,
  hasRows: bool,
  target: usize,
  scratch: usize,
): i32 {
  const values = changetype<Accumulator>(self.values);
  if (isMultiset(values.family)) {
    if (self.fn != <u32>AggregateFunction.COUNT_DISTINCT) {
      if (!multisetExtreme(values, group, target)) return 0;
      tailTake(self.tail, target);
      return 1;
    }
    store<i64>(target, multisetCount(values, group));
    return 1;
  }
  switch (self.fn) {
    case AggregateFunction.COUNT_ROWS:
    case AggregateFunction.COUNT:
    case AggregateFunction.COUNT_DISTINCT:
      store<i64>(target, countOf(values, rows, group));
      return 1;
    default:
  }
  if (values.family == <u32>Family.MIN_TEXT || values.family == <u32>Family.MAX_TEXT) {
    store<u32>(target, <u32>textAddress(values, group));
    store<u32>(target, textLength(values, group), 4);
    if (textAddress(values, group) == 0) return 0;
    tailTake(self.tail, target);
    return 1;
  }
  if (isArray(self.fn)) return arrayResult(self, group, target) ? 1 : 0;
  if (values.family == <u32>Family.LOG) {
    const size = logSize(values, group);
    if (self.ready == 0) return logValue(self, logBase(values, group), size, target, scratch) ? 1 : 0;
    store<u64>(target, load<u64>(self.ready + ((<usize>group) << 3)));
    return <u64>size < (isMoment(self.fn) ? momentLeast(self.fn) : 1) ? 0 : 1;
  }
  if (values.family == <u32>Family.LOG_TEXT)
    return textLogResult(self.fn, self.parameter, values, group, target) ? 1 : 0;
  if (isArg(values)) return argValue(values, group, target) ? 1 : 0;
  if (values.family == <u32>Family.SKETCH)
    return quantileSketchValue(values, self.parameter, group, target, scratch) ? 1 : 0;
  if (values.family == <u32>Family.CARDINALITY) {
    store<i64>(target, cardinalityEstimate(values, group, scratch));
    return 1;
  }
  const counts = changetype<Accumulator>(self.counts);
  if (isMoment(self.fn)) return moment(self, rows, group, target, scratch) ? 1 : 0;
  if (isListFamily(values.family)) {
    const length = listLength(values, rows, group);
    if (length == 0) return 0;
    store<u32>(target, <u32>listAddress(values, group));
    store<u32>(target, length, 4);
    return 1;
  }
  if (!isPresent(counts, rows, group, hasRows)) return 0;
  if (isExtreme(values)) {
    minmaxLoad(values, group, target);
    return 1;
  }
  if (values.family >= <u32>Family.BIT_AND && values.family <= <u32>Family.BIT_XOR) {
    bitsLoad(values, group, target);
    return 1;
  }
  if (self.fn == <u32>AggregateFunction.AVG) {
    store<f64>(target, average(self, values, group, <u64>countOf(counts, rows, group), scratch));
    return 1;
  }
  if (values.family == <u32>Family.SUM_INTEGER)
    return integerSum(context, self, values, group, target, scratch);
  store<f64>(
    target,
    values.family == <u32>Family.SUM_FAST
      ? canonical(load<f64>(values.values + ((<usize>group) << 3)))
      : sumExactValue(values, group, scratch),
  );
  return 1;
}

/** The result over a log of a group whose `size` values lie at `base`, at `target` (16 bytes); false for null. */
export function logValue(self: Result, base: usize, size: u32, target: usize, scratch: usize): bool {
  if (isMoment(self.fn)) return runMoment(self.fn, base, size, target, scratch);
  return logResult(self.fn, self.parameter, self.scale, changetype<Accumulator>(self.values), base, size, target, scratch);
}

// @ts-ignore: decorator
@inline
export function isArray(fn: u32): bool {
  return fn == <u32>AggregateFunction.ARRAY || fn == <u32>AggregateFunction.STRING;
}

// @ts-ignore: decorator
@inline
function isTextList(values: Accumulator): bool {
  return values.family == <u32>Family.TOP_TEXT || values.family == <u32>Family.BOTTOM_TEXT;
}

// @ts-ignore: decorator
@inline
function isByList(values: Accumulator): bool {
  return values.family == <u32>Family.TOP_BY || values.family == <u32>Family.BOTTOM_BY;
}

// @ts-ignore: decorator
@inline
export function isListFamily(family: u32): bool {
  return family >= <u32>Family.TOP && family <= <u32>Family.BOTTOM_BY;
}

/** A list of values of a fixed width, and of nothing else. */
// @ts-ignore: decorator
@inline
function isFixedList(family: u32): bool {
  return family == <u32>Family.TOP || family == <u32>Family.BOTTOM;
}

/** Bytes of a group's list; 0 exactly when it has no values. */
export function listLength(values: Accumulator, rows: usize, group: u32): u32 {
  if (isByList(values)) return topByLength(values, group);
  if (isTextList(values)) return topTextLength(values, group);
  if (values.presence == 0) return topHeld(values, group) * itemWidth(values.type);
  const count = <u64>countOf(changetype<Accumulator>(values.presence), rows, group);
  return topLength(values, count) * itemWidth(values.type);
}

/** Bytes of a group's state. */
export function listStateLength(values: Accumulator, rows: usize, group: u32): u32 {
  return isByList(values) ? topByStateLength(values, group) : listLength(values, rows, group);
}

/** Bytes that no group's result has more of, as `resultBytes` counts them; `UNBOUNDED` where only the groups tell. */
export function resultBound(self: Result): u32 {
  const values = changetype<Accumulator>(self.values);
  if (self.type != <u32>Type.BYTES) return 0;
  return isFixedList(values.family) ? values.limit * itemWidth(values.type) : UNBOUNDED;
}

/** Bytes of a group's result where it is a text or a list; 0 elsewhere. */
export function resultBytes(self: Result, rows: usize, group: u32): u32 {
  const values = changetype<Accumulator>(self.values);
  if (isArray(self.fn)) return arrayBytes(self, group);
  // A bound: which one it is, only sorting tells.
  if (values.family == <u32>Family.LOG_TEXT) return textLogLongest(values, group);
  if (isListFamily(values.family)) return listLength(values, rows, group);
  if (isArg(values)) return argTextBytes(values, group);
  if (self.type == <u32>Type.BYTES && isMultiset(values.family)) return multisetExtremeBytes(values, group);
  const isText = values.family == <u32>Family.MIN_TEXT || values.family == <u32>Family.MAX_TEXT;
  return isText ? textLength(values, group) : 0;
}

/** Room to put a list, or a state, of so many bytes together, where that needs any. False when out of memory. */
export function listReserve(values: Accumulator, bytes: usize): bool {
  if (isByList(values)) return topByReserveList(values, bytes);
  return !isTextList(values) || topTextReserveList(values, bytes);
}

/** Puts a group's list together; valid until that of another group is. */
export function listAddress(values: Accumulator, group: u32): usize {
  if (isByList(values)) return topByList(values, group);
  return isTextList(values) ? topTextList(values, group) : topList(values, group);
}

/** Puts a group's state together, likewise. */
export function listState(values: Accumulator, group: u32): usize {
  return isByList(values) ? topByState(values, group) : listAddress(values, group);
}

/** As `listReserve`, for a result that may be none. */
export function resultReserve(self: Result, bytes: u32): bool {
  if (isArray(self.fn)) return arrayReserve(self, bytes);
  return listReserve(changetype<Accumulator>(self.values), bytes);
}

/** A count, be it tracked or still the count of rows. */
// @ts-ignore: decorator
@inline
export function countOf(counts: Accumulator, rows: usize, group: u32): i64 {
  const kept = counts.family == <u32>Family.DISTINCT || counts.tracking ? counts : changetype<Accumulator>(rows);
  return load<i64>(kept.values + <usize>group * <usize>kept.stride);
}

/** Whether a group has a value, as a COUNT or SEEN accumulator tells. */
// @ts-ignore: decorator
@inline
export function isPresent(counts: Accumulator, rows: usize, group: u32, hasRows: bool): bool {
  if (counts.family != <u32>Family.SEEN) return countOf(counts, rows, group) != 0;
  return counts.tracking ? load<u8>(counts.values + <usize>group) != 0 : hasRows;
}

// @ts-ignore: decorator
@inline
function canonical(value: f64): f64 {
  return value != value ? reinterpret<f64>(0x7ff8000000000000) : value;
}

function average(self: Result, values: Accumulator, group: u32, count: u64, scratch: usize): f64 {
  if (values.family == <u32>Family.SUM_FAST)
    return canonical(load<f64>(values.values + ((<usize>group) << 3)) / <f64>count);
  if (values.family == <u32>Family.SUM_EXACT) return sumExactAverage(values, group, count, scratch);
  const quotient = values.wide ? NaN : quickAverage(sumIntegerLane(values, group), count, self.scale);
  if (quotient == quotient) return quotient;
  sumIntegerLoad(values, group, scratch);
  return roundAverage192(scratch, count, self.scale, scratch + 32);
}

/** Averages of listed groups, all of which have values, at `target` (8 bytes each). */
function averageList(self: Result, rows: usize, list: usize, count: u32, target: usize, scratch: usize): void {
  const values = changetype<Accumulator>(self.values);
  const counts = changetype<Accumulator>(self.counts);
  for (let at: u32 = 0; at < count; at++) {
    const group = load<u32>(list + ((<usize>at) << 2));
    const value = average(self, values, group, <u64>countOf(counts, rows, group), scratch);
    store<f64>(target + ((<usize>at) << 3), value);
  }
}

function moment(self: Result, rows: usize, group: u32, target: usize, scratch: usize): bool {
  const n = <u64>countOf(changetype<Accumulator>(self.counts), rows, group);
  if (n < momentLeast(self.fn)) return false;
  if (self.moments == 0) return momentsFastValue(changetype<Accumulator>(self.values), self.fn, group, target);
  const quick = quickMoment(self.fn, self.moments, group, n, self.scale);
  if (quick != quick) return momentValue(self.fn, self.moments, group, n, self.scale, target, scratch);
  store<f64>(target, quick);
  return true;
}

/** A sum of integers in its result type, or an error that names the sum. */
function integerSum(
  context: usize,
  self: Result,
  values: Accumulator,
  group: u32,
  target: usize,
  scratch: usize,
): i32 {
  sumIntegerLoad(values, group, scratch);
  const low = load<u64>(scratch);
  const middle = load<u64>(scratch, 8);
  const high = load<i64>(scratch, 16);
  let fits: bool;
  if (self.type == <u32>Type.I64) fits = middle == <u64>(<i64>low >> 63) && high == <i64>low >> 63;
  else if (self.type == <u32>Type.U64) fits = middle == 0 && high == 0;
  else fits = high == <i64>middle >> 63 && isDecimal(low, middle);
  if (fits) {
    store<u64>(target, low);
    store<u64>(target, middle, 8);
    return 1;
  }
  const decimal = self.type == <u32>Type.I128;
  const status = fail(context, Status.OVERFLOW, decimal ? Reason.DECIMAL_OVERFLOW : Reason.SUM_OVERFLOW);
  failAt(context, <i32>self.column, 0xffffffff);
  store<u32>(contextError(context), <u32>ErrorFlag.OUTPUT, <usize>ErrorRecord.FLAGS);
  failValue(context, Type.I128, low, middle);
  return status;
}

/** Whether a 128-bit number has at most 38 digits. */
function isDecimal(low: u64, high: u64): bool {
  if (<i64>high < 0) {
    low = ~low + 1;
    high = ~high + <u64>(low == 0);
  }
  return high < LIMIT_HIGH || (high == LIMIT_HIGH && low < LIMIT_LOW);
}

/**
 * Appends the results of the `count` groups listed at `list` (u32 each) to a builder with room for them.
 * 0, or an error's status. `value` is 16 bytes of scratch.
 */
export function resultEmit(
  context: usize,
  self: Result,
  rows: usize,
  list: usize,
  count: u32,
  hasRows: bool,
  builder: Builder,
  value: usize,
  scratch: usize,
): i32 {
  const plain = plainLanes(self, rows, hasRows);
  if (plain != 0) {
    const target = builder.values + ((<usize>builder.length) << 3);
    const lanes = changetype<Accumulator>(plain).values;
    const shift: usize = changetype<Accumulator>(plain).pair == 0 ? 3 : 4;
    for (let at: u32 = 0; at < count; at++) {
      store<u64>(
        target + ((<usize>at) << 3),
        load<u64>(lanes + ((<usize>load<u32>(list + ((<usize>at) << 2))) << shift)),
      );
    }
    builder.length += count;
    return 0;
  }
  const sums = changetype<Accumulator>(self.values);
  const isAverage = self.fn == <u32>AggregateFunction.AVG;
  const isSum = self.fn == <u32>AggregateFunction.SUM && sums.family == <u32>Family.SUM_EXACT;
  if ((isAverage || isSum) && alwaysPresent(self, hasRows)) {
    const target = builder.values + ((<usize>builder.length) << 3);
    if (isSum) sumExactList(sums, list, count, target, scratch);
    else averageList(self, rows, list, count, target, scratch);
    builder.length += count;
    return 0;
  }
  if (isExtreme(sums) && sums.type != <u32>Type.BOOL && alwaysPresent(self, hasRows)) {
    minmaxList(sums, list, count, builder.values + <usize>builder.length * typeWidth(builder.type));
    builder.length += count;
    return 0;
  }
  if (isFixedList(sums.family)) {
    emitLists(sums, rows, list, count, builder);
    return 0;
  }
  for (let at: u32 = 0; at < count; at++) {
    const status = resultValue(
      context,
      self,
      rows,
      load<u32>(list + ((<usize>at) << 2)),
      hasRows,
      value,
      scratch,
    );
    if (status < 0) return status;
    resultAppend(builder, status != 0, value);
  }
  return 0;
}

/** Appends lists of values of a fixed width. */
function emitLists(values: Accumulator, rows: usize, list: usize, count: u32, builder: Builder): void {
  const start = builder.values;
  let to = start + <usize>builder.bytes;
  let offset = builder.offsets + ((<usize>builder.length) << 2);
  for (let at: u32 = 0; at < count; at++) {
    const group = load<u32>(list + ((<usize>at) << 2));
    const length: usize = listLength(values, rows, group);
    if (length == 0) builderSetNull(builder, builder.length + at);
    else copyBytes(to, topList(values, group), length);
    to += length;
    offset += 4;
    store<u32>(offset, <u32>(to - start));
  }
  builder.length += count;
  builder.bytes = <u32>(to - start);
}

/**
 * The accumulator whose 64-bit elements (of one of a pair: each second one) are the results as they stand, for groups
 * that have rows; 0 when there is none.
 */
function plainLanes(self: Result, rows: usize, hasRows: bool): usize {
  const values = changetype<Accumulator>(self.values);
  if (values.family == <u32>Family.DISTINCT) return self.values;
  if (values.family == <u32>Family.COUNT) return values.tracking ? self.values : rows;
  const plain =
    values.family == <u32>Family.SUM_INTEGER &&
    self.fn == <u32>AggregateFunction.SUM &&
    values.wide == 0 &&
    self.type != <u32>Type.I128;
  return plain && alwaysPresent(self, hasRows) ? self.values : 0;
}

/** Where nothing was null, or rows themselves are counted, every group with rows has a value. */
function alwaysPresent(self: Result, hasRows: bool): bool {
  const counts = changetype<Accumulator>(self.counts);
  return hasRows && (counts.tracking == 0 || (counts.family == <u32>Family.COUNT && counts.argument < 0));
}

/** Appends the value of `resultValue` (`valid` 0: null) to a builder with room for it. */
export function resultAppend(builder: Builder, valid: bool, value: usize): void {
  if (!valid) {
    store<u64>(value, 0);
    store<u64>(value, 0, 8);
    builderSetNull(builder, builder.length);
  }
  if (builder.type == <u32>Type.BYTES) builderAppendBytes(builder, load<u32>(value), load<u32>(value, 4));
  else builderAppendFixed(builder, value);
}
