// Sums of small integers side by side, in 32 bits: what correlations and means of several columns add up.
//
// Accumulators are arrays of 64-bit lanes by group, at most two of them side by side, and each goes through a vector's rows
// by itself, products by way of scratch. Where an aggregation has several sums of 32-bit integers, of their squares and
// products, and the count of rows, all of these are kept in one record a group: one place in the cache a row, and half the
// bytes. The records stay from push to push. Before a sum of theirs might wrap they are added to the accumulators and are zero
// again; before anything but a push reaches the operator the same is done, and their memory given back. All of them are
// integers, so that it does not matter in which order that happens.
//
//   record: i32 a sum of each of up to 8 accumulators
//
// Nulls are added as zeros: of both columns of a correlation where one is null. A vector that makes an accumulator wide, or which
// finds groups that there is no record of yet, goes the usual way. Integers so large that records would have to be added up again
// and again make an end of them.
//
// What is in records counts for the bound of an accumulator's lanes (sum-integer.ts), too, but where that looks at the lanes
// meanwhile: it is too low then, by less than 2^31 of the 2^62 from where on a lane might wrap at 2^63.
//
// A correlation of columns that lie in bytes, as all of its keys do (byte-keys.ts), goes from these to the records: its rows need
// no group numbers, and its columns no look at how large they are: 0.7 of the time of 10 million rows by two keys.
//
// Correlations of 10 million rows by 10,000 groups: 0.85 of the time of the whole query; 0.77 of that where squares and products
// of the two columns are computed as they are added, and not laid in scratch before. What is left is one place of the
// second-level cache a row. Tried and lost: a loop over the table for each four lanes (1.01), all eight lanes for each row (1.03),
// a loop for each number of lanes (0.99, for twice the code), products made for 512 rows at a time, in the first-level cache
// (1.0), columns not brought into the cache before (1.0 to 1.2). Not the place of sum-pair.ts: that takes 64-bit integers, and
// groups of any number and kind.

import { Type } from "../abi/layout";
import { Accumulator, Family } from "../aggregate/accumulator";
import { MASK_BYTES, keptValues, rowsMask } from "../aggregate/argument";
import { Power } from "../aggregate/power";
import { largest32, sumIntegerMakeRoom, sumIntegerPlus } from "../aggregate/sum-integer";
import { Vector } from "../column/vector";
import { programBytes, programOutput } from "../expression/program";
import { directEnd, directGap, directReach, directRoom } from "../group/direct";
import { Tier, groupsKey } from "../group/state";
import { scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock, regionCut, regionFree } from "../memory/region";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { byteKeysAreKnown, byteKeysAreThere, mostByte } from "./byte-keys";
import { countsByKeys, isUntracked } from "./keyed-sums";
import { mayLieBeside, mixedSumsFlush, mixedSumsYield } from "./mixed-sums";
import { countsSettle } from "./tracked-counts";

/** Fewest and most sums of a record. */
const LANES_LEAST: u32 = 3;
const LANES_MOST: u32 = 8;
const RECORD_SHIFT: usize = 5;
/** Most records, and how many that groups may have there may be for each row of the push that makes them. */
const RECORDS_MOST: u32 = 1 << 20;
const RECORDS_EACH: u32 = 2;
/** Rows of a group between two times that records are added up, at least. */
const ROWS_EACH: u32 = 4;
/** Sums stay below. */
const BOUND_MAX: u64 = 1 << 31;

// @ts-ignore: decorator
@unmanaged
class NarrowLane {
  accumulator: usize;
  /** No sum's magnitude is above. */
  bound: u64;
  /** The largest magnitude of what a vector adds, and where its argument's values lie (i32 each). */
  largest: u64;
  values: usize;
}

const LANE_SIZE: usize = 32;

// @ts-ignore: decorator
@unmanaged
class NarrowSums {
  lanes: u32;
  /** The lane of the count of rows, or as many as there are. */
  counting: u32;
  /** Records, and how many; those of which none has rows are zero. */
  table: usize;
  capacity: u32;
  /** Rows that are in them. */
  rows: u64;
  /** Whether integers are too large for records to pay. */
  isOver: u32;
  /** Whether lanes are those of a correlation: x, y, x^2, y^2, xy and the count. */
  isMoments: u32;
}

const NARROW_SIZE: usize = 40;
/** Lanes of a correlation. */
const MOMENTS: u32 = 6;

// @ts-ignore: decorator
@inline
function narrowOf(self: Aggregation): NarrowSums {
  return changetype<NarrowSums>(self.narrowSums);
}

// @ts-ignore: decorator
@inline
function laneAt(self: NarrowSums, index: u32): NarrowLane {
  return changetype<NarrowLane>(changetype<usize>(self) + NARROW_SIZE + <usize>index * LANE_SIZE);
}

/** Finds the sums that may lie side by side; false when out of memory. There need not be any. */
export function narrowSumsCreate(operator: usize): bool {
  const self = aggregationOf(operator);
  if (!ASC_FEATURE_SIMD || self.mixedSums != 0 || !mayLieBeside(operator)) return true;
  let count: u32 = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    accumulator.beside = takesLane(self, accumulator, count) ? 1 : 0;
    count += accumulator.beside;
  }
  if (count < LANES_LEAST) {
    for (let index: u32 = 0; index < self.accumulatorCount; index++) accumulatorAt(self, index).beside = 0;
    return true;
  }
  const bytes = NARROW_SIZE + <usize>count * LANE_SIZE;
  const address = regionCut(operator, bytes);
  if (address == 0) return false;
  memory.fill(address, 0, bytes);
  self.narrowSums = address;
  const sums = narrowOf(self);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    if (accumulatorAt(self, index).beside == 0) continue;
    laneAt(sums, sums.lanes).accumulator = changetype<usize>(accumulatorAt(self, index));
    sums.lanes++;
  }
  sums.isMoments = orderMoments(self, sums) ? 1 : 0;
  while (sums.counting < count && laneAt(sums, sums.counting).accumulator != self.rowsCounter) sums.counting++;
  return true;
}

/** Whether lanes are those of a correlation, which are put in their order then. */
function orderMoments(self: Aggregation, sums: NarrowSums): bool {
  if (sums.lanes != MOMENTS) return false;
  let product: usize = 0;
  for (let index: u32 = 0; index < MOMENTS; index++) {
    const accumulator = laneAt(sums, index).accumulator;
    if (changetype<Accumulator>(accumulator).power == <u32>Power.PRODUCT) product = accumulator;
  }
  if (product == 0) return false;
  const x = changetype<Accumulator>(product).argument;
  const y = changetype<Accumulator>(product).second;
  const plainX = sumOf(sums, Power.PLAIN, x);
  const plainY = sumOf(sums, Power.PLAIN, y);
  const squareX = sumOf(sums, Power.SQUARE, x);
  const squareY = sumOf(sums, Power.SQUARE, y);
  const isCounted = self.rowsCounter != 0 && changetype<Accumulator>(self.rowsCounter).beside != 0;
  // Six different ones: where x is y there are fewer.
  if (x == y || !isCounted || plainX == 0 || plainY == 0 || squareX == 0 || squareY == 0) return false;
  laneAt(sums, 0).accumulator = plainX;
  laneAt(sums, 1).accumulator = plainY;
  laneAt(sums, 2).accumulator = squareX;
  laneAt(sums, 3).accumulator = squareY;
  laneAt(sums, 4).accumulator = product;
  laneAt(sums, 5).accumulator = self.rowsCounter;
  return true;
}

/** The accumulator of a lane that adds up a power of an argument, or 0. */
function sumOf(sums: NarrowSums, power: u32, argument: i32): usize {
  for (let index: u32 = 0; index < sums.lanes; index++) {
    const address = laneAt(sums, index).accumulator;
    const accumulator = changetype<Accumulator>(address);
    const isSum = accumulator.family == <u32>Family.SUM_INTEGER;
    if (isSum && accumulator.power == power && accumulator.argument == argument) return address;
  }
  return 0;
}

/**
 * Whether an accumulator is to have a lane, after `lanes` others. Of a pair both have one, or none: two lanes are left for the
 * second of two integers, and of a sum and the count.
 */
function takesLane(self: Aggregation, accumulator: Accumulator, lanes: u32): bool {
  if (!isNarrow(self, accumulator)) return false;
  const other = changetype<Accumulator>(accumulator.pair);
  if (accumulator.pair != 0 && accumulator.follows) return other.beside != 0;
  return (accumulator.pair == 0 || isNarrow(self, other)) && lanes + 2 < LANES_MOST;
}

/** Whether what a row adds is an integer of 32 bits, most often. */
function isNarrow(self: Aggregation, accumulator: Accumulator): bool {
  if (changetype<usize>(accumulator) == self.rowsCounter) return true;
  if (accumulator.family != <u32>Family.SUM_INTEGER || accumulator.filter >= 0) return false;
  if (accumulator.power == <u32>Power.PLAIN) return accumulator.type == <u32>Type.I32;
  if (accumulator.power == <u32>Power.SQUARE) return accumulator.sourceType == <u32>Type.I32;
  const isProduct = accumulator.power == <u32>Power.PRODUCT;
  return isProduct && accumulator.sourceType == <u32>Type.I32 && accumulator.secondType == <u32>Type.I32;
}

/**
 * Before a push of `rows` rows makes its room: makes records, where they should pay and there is memory for them. Where they
 * should not, there are none: adding them up, which takes as long as groups are many, comes once in rows enough.
 */
export function narrowSumsBegin(operator: usize, rows: u32): void {
  const self = aggregationOf(operator);
  if (self.narrowSums == 0) return;
  const sums = narrowOf(self);
  const groups = groupsOf(self);
  const pays =
    sums.isOver == 0 &&
    groups.tier == <u32>Tier.DIRECT &&
    groups.count <= RECORDS_MOST &&
    <u64>directReach(groups) <= <u64>rows * <u64>RECORDS_EACH;
  if (pays && groups.count <= sums.capacity) return;
  narrowSumsYield(operator);
  if (!pays) return;
  const records = directRoom(groups);
  const bytes = (<usize>records) << RECORD_SHIFT;
  sums.table = regionBlock(operator, bytes);
  if (sums.table == 0) return;
  sums.capacity = records;
  memory.fill(sums.table, 0, bytes);
}

/** Gives the records' memory back; whether they had any. */
export function narrowSumsYield(operator: usize): bool {
  const self = aggregationOf(operator);
  if (self.narrowSums == 0 || narrowOf(self).table == 0) return false;
  narrowSumsFlush(operator);
  const sums = narrowOf(self);
  regionFree(operator, sums.table);
  sums.table = 0;
  sums.capacity = 0;
  return true;
}

/**
 * Adds a vector of `rows` rows, whose groups are numbered, to the accumulators that are marked. False where that has to go the
 * usual way.
 */
export function narrowSumsAdd(context: usize, operator: usize, rows: u32): bool {
  const self = aggregationOf(operator);
  const sums = narrowOf(self);
  if (sums.capacity == 0) return false;
  const mark = scratchMark(context);
  const added = takesVector(context, operator, rows);
  if (added) {
    addVector(context, self, rows);
    sums.rows += rows;
  }
  scratchReset(context, mark);
  return added;
}

/**
 * Whether all that a push adds is a correlation's, of columns that lie in bytes as its keys do: then its rows need no group
 * numbers.
 */
export function narrowSumsByBytes(self: Aggregation): bool {
  if (!ASC_FEATURE_SIMD || self.narrowSums == 0 || self.changelog != 0) return false;
  const sums = narrowOf(self);
  if (sums.isMoments == 0 || sums.capacity == 0 || !countsByKeys(groupsOf(self)) || !byteKeysAreThere(self)) return false;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (accumulator.beside == 0 && !isUntracked(accumulator)) return false;
    if (accumulator.argument >= 0 && programBytes(self.program, <u32>accumulator.argument) == 0) return false;
  }
  return true;
}

/** Adds a vector of `rows` rows by the bytes of its keys; false where it has to go the usual way. */
export function narrowSumsAddBytes(context: usize, operator: usize, rows: u32): bool {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (!byteKeysAreKnown(self, rows) || !takesVector(context, operator, rows)) return false;
  const sums = narrowOf(self);
  const key = programBytes(self.program, groupsKey(groups, 0).output);
  const last = groupsKey(groups, groups.keyCount - 1);
  const other = programBytes(self.program, last.output);
  const stride = groups.keyCount > 1 ? last.stride : 0;
  const x = programBytes(self.program, <u32>changetype<Accumulator>(laneAt(sums, 0).accumulator).argument);
  const y = programBytes(self.program, <u32>changetype<Accumulator>(laneAt(sums, 1).accumulator).argument);
  // Null's codes are 0.
  addMoments<u8>(sums.table + ((<usize>(stride + 1)) << RECORD_SHIFT), key, other, stride, x, y, rows);
  sums.rows += rows;
  return true;
}

function addVector(context: usize, self: Aggregation, rows: u32): void {
  const sums = narrowOf(self);
  if (sums.isMoments) {
    addMoments<u32>(sums.table, self.numbers, 0, 0, laneAt(sums, 0).values, laneAt(sums, 1).values, rows);
    return;
  }
  const columns = scratchTake(context, (<usize>LANES_MOST) << 2);
  // Lanes that are no sum's add up what nobody reads.
  for (let index: u32 = 0; index < LANES_MOST; index++) {
    const column = index < sums.lanes ? columnOf(context, self, laneAt(sums, index), rows) : <usize>load<u32>(columns);
    store<u32>(columns + ((<usize>index) << 2), <u32>column);
  }
  addRows(sums.table, self.numbers, columns, rows, sums.lanes > LANES_MOST - 2);
}

/** Where what a lane adds for each row lies: in scratch where it is not its argument. */
function columnOf(context: usize, self: Aggregation, lane: NarrowLane, rows: u32): usize {
  const accumulator = changetype<Accumulator>(lane.accumulator);
  const isCount = accumulator.family == <u32>Family.COUNT;
  if (!isCount && accumulator.power == <u32>Power.PLAIN) return lane.values;
  const column = scratchTake(context, (<usize>rows + 3) << 2);
  if (isCount) {
    for (let at: usize = 0; at < (<usize>rows) << 2; at += 16) v128.store(column + at, i32x4.splat(1));
    return column;
  }
  const isProduct = accumulator.power == <u32>Power.PRODUCT;
  const other = isProduct ? changetype<Vector>(programOutput(self.program, <u32>accumulator.second)).values : lane.values;
  multiply(lane.values, other, rows, column);
  return column;
}

/** Whether the records take a vector: what each lane adds is accounted for then. */
function takesVector(context: usize, operator: usize, rows: u32): bool {
  const self = aggregationOf(operator);
  const sums = narrowOf(self);
  const groups = groupsOf(self);
  if (groups.tier != <u32>Tier.DIRECT || groups.count > sums.capacity) return false;
  let most: u64 = 0;
  const mask = sums.isMoments ? pairMaskOf(context, self, laneAt(sums, 0), rows) : 0;
  for (let index: u32 = 0; index < sums.lanes; index++) {
    const lane = laneAt(sums, index);
    if (changetype<Accumulator>(lane.accumulator).wide != 0) return over(operator);
    if (!measureLane(context, self, sums, index, mask, rows)) return false;
    // A magnitude that is below lets its product with the rows of a vector not wrap either.
    if (lane.largest >= BOUND_MAX || lane.largest * <u64>rows >= BOUND_MAX) return over(operator);
    most = max(most, lane.bound + lane.largest * <u64>rows);
  }
  if (most >= BOUND_MAX) {
    if (sums.rows < <u64>directReach(groups) * <u64>ROWS_EACH) return over(operator);
    narrowSumsFlush(operator);
  }
  for (let index: u32 = 0; index < sums.lanes; index++) {
    const lane = laneAt(sums, index);
    lane.bound += lane.largest * <u64>rows;
  }
  return true;
}

/** Integers are too large: false. */
function over(operator: usize): bool {
  narrowSumsYield(operator);
  narrowOf(aggregationOf(operator)).isOver = 1;
  return false;
}

/** Rows where neither column of a correlation is null; 0 where that is all of them. */
function pairMaskOf(context: usize, self: Aggregation, lane: NarrowLane, rows: u32): usize {
  return rowsMask(changetype<Accumulator>(lane.accumulator), self.program, rows, 0, scratchTake(context, MASK_BYTES));
}

/**
 * Finds a lane's argument and largest magnitude; false where the sum might have to become wide, or where which rows count is not
 * said by its own argument alone: other than those of a correlation, of which that is `mask`.
 */
function measureLane(context: usize, self: Aggregation, sums: NarrowSums, index: u32, mask: usize, rows: u32): bool {
  const lane = laneAt(sums, index);
  const accumulator = changetype<Accumulator>(lane.accumulator);
  if (accumulator.family == <u32>Family.COUNT) {
    lane.largest = 1;
    return true;
  }
  const vector = changetype<Vector>(programOutput(self.program, <u32>accumulator.argument));
  // A second argument that is not multiplied says which rows count, too.
  const second = accumulator.second < 0 ? vector : changetype<Vector>(programOutput(self.program, <u32>accumulator.second));
  const isPaired = second != vector;
  if (sums.isMoments ? mask != 0 && !isPaired : isPaired && (vector.validity != 0 || second.validity != 0)) return false;
  lane.values = columnBefore(sums, index, accumulator.argument);
  if (lane.values == 0) {
    const kept = sums.isMoments ? mask : vector.validity;
    lane.values = keptValues(context, self.program, <u32>accumulator.argument, kept, rows);
  }
  const largest = largestOf(self, index, accumulator.argument, lane.values, rows);
  lane.largest = largest;
  if (accumulator.power != <u32>Power.PLAIN) {
    const other = accumulator.power == <u32>Power.PRODUCT ? second : vector;
    lane.largest *= other == vector ? largest : largestOf(self, index, accumulator.second, second.values, rows);
    if (lane.largest >= BOUND_MAX) return true;
  }
  return sumIntegerMakeRoom(accumulator, lane.largest, rows);
}

/** The values of a column that a lane before `end` reads; else 0. */
function columnBefore(sums: NarrowSums, end: u32, argument: i32): usize {
  for (let index: u32 = 0; index < end; index++) {
    const lane = laneAt(sums, index);
    const accumulator = changetype<Accumulator>(lane.accumulator);
    if (accumulator.family != <u32>Family.COUNT && accumulator.argument == argument) return lane.values;
  }
  return 0;
}

/** A bound of the magnitudes of a column, which a lane before `end` may know. */
function largestOf(self: Aggregation, end: u32, argument: i32, values: usize, rows: u32): u64 {
  const sums = narrowOf(self);
  for (let index: u32 = 0; index < end; index++) {
    const lane = laneAt(sums, index);
    const accumulator = changetype<Accumulator>(lane.accumulator);
    if (accumulator.power == <u32>Power.PLAIN && accumulator.argument == argument) return lane.largest;
  }
  const bytes = programBytes(self.program, <u32>argument);
  if (bytes != 0) return mostByte(bytes, rows);
  return largest32(values, rows);
}

function multiply(a: usize, b: usize, rows: u32, out: usize): void {
  let at: usize = 0;
  const end = (<usize>rows) << 2;
  for (const whole = end & ~15; at < whole; at += 16) v128.store(out + at, i32x4.mul(v128.load(a + at), v128.load(b + at)));
  for (; at < end; at += 4) store<i32>(out + at, load<i32>(a + at) * load<i32>(b + at));
}

/** Adds the values at the addresses listed at `columns` (u32 each). */
function addRows(table: usize, numbers: usize, columns: usize, rows: u32, isFull: bool): void {
  const a: usize = load<u32>(columns);
  const b: usize = load<u32>(columns, 4);
  const c: usize = load<u32>(columns, 8);
  const d: usize = load<u32>(columns, 12);
  const e: usize = load<u32>(columns, 16);
  const f: usize = load<u32>(columns, 20);
  const g: usize = load<u32>(columns, 24);
  const h: usize = load<u32>(columns, 28);
  const bases = i32x4.splat(<u32>table);
  let row: u32 = 0;
  for (const whole = rows & ~3; row < whole; row += 4) {
    const at = (<usize>row) << 2;
    const records = i32x4.add(bases, i32x4.shl(v128.load(numbers + at), <i32>RECORD_SHIFT));
    const near = i64x2.extract_lane(records, 0);
    const far = i64x2.extract_lane(records, 1);
    addFour(near, far, v128.load(a + at), v128.load(b + at), v128.load(c + at), v128.load(d + at));
    addTwo(near, far, v128.load(e + at), v128.load(f + at), 16);
    if (isFull) addTwo(near, far, v128.load(g + at), v128.load(h + at), 24);
  }
  for (; row < rows; row++) {
    const at = (<usize>row) << 2;
    const record = table + ((<usize>load<u32>(numbers + at)) << RECORD_SHIFT);
    for (let lane: usize = 0; lane < (<usize>LANES_MOST) << 2; lane += 4)
      store<i32>(record + lane, load<i32>(record + lane) + load<i32>(<usize>load<u32>(columns + lane) + at));
  }
}

/**
 * Adds what a correlation needs, of two columns. `T` is u8 for keys of a byte each and values of a byte, else u32 for group
 * numbers and values of 32 bits.
 */
function addMoments<T>(table: usize, keys: usize, others: usize, stride: u32, xs: usize, ys: usize, rows: u32): void {
  const bases = i32x4.splat(<u32>table);
  const strides = i32x4.splat(stride);
  const ones = i32x4.splat(1);
  let row: u32 = 0;
  for (const whole = rows & ~3; row < whole; row += 4) {
    const at = <usize>row * sizeof<T>();
    let numbers = fourOf<T>(keys + at);
    if (sizeof<T>() == 1) numbers = i32x4.add(numbers, i32x4.mul(fourOf<T>(others + at), strides));
    const records = i32x4.add(bases, i32x4.shl(numbers, <i32>RECORD_SHIFT));
    const near = i64x2.extract_lane(records, 0);
    const far = i64x2.extract_lane(records, 1);
    const x = fourOf<T>(xs + at);
    const y = fourOf<T>(ys + at);
    addFour(near, far, x, y, i32x4.mul(x, x), i32x4.mul(y, y));
    addTwo(near, far, i32x4.mul(x, y), ones, 16);
  }
  for (; row < rows; row++) {
    const at = <usize>row * sizeof<T>();
    let number = <u32>load<T>(keys + at);
    if (sizeof<T>() == 1) number += <u32>load<T>(others + at) * stride;
    const record = table + ((<usize>number) << RECORD_SHIFT);
    const x = <i32>load<T>(xs + at);
    const y = <i32>load<T>(ys + at);
    const more = i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(x * x), 0, x), 1, y);
    addAll(record, i32x4.replace_lane(more, 3, y * y));
    store<i32>(record, load<i32>(record, 16) + x * y, 16);
    store<i32>(record, load<i32>(record, 20) + 1, 20);
  }
}

// @ts-ignore: decorator
@inline
function fourOf<T>(at: usize): v128 {
  return sizeof<T>() == 4 ? v128.load(at) : i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(at)));
}

/** Adds four sums each to four records, two in the halves of `near` and of `far`. */
// @ts-ignore: decorator
@inline
function addFour(near: u64, far: u64, x: v128, y: v128, z: v128, w: v128): void {
  const xy = v128.shuffle<i32>(x, y, 0, 4, 1, 5);
  const zw = v128.shuffle<i32>(z, w, 0, 4, 1, 5);
  addAll(<usize>(<u32>near), v128.shuffle<i64>(xy, zw, 0, 2));
  addAll(<usize>(near >> 32), v128.shuffle<i64>(xy, zw, 1, 3));
  const xyFar = v128.shuffle<i32>(x, y, 2, 6, 3, 7);
  const zwFar = v128.shuffle<i32>(z, w, 2, 6, 3, 7);
  addAll(<usize>(<u32>far), v128.shuffle<i64>(xyFar, zwFar, 0, 2));
  addAll(<usize>(far >> 32), v128.shuffle<i64>(xyFar, zwFar, 1, 3));
}

/** Adds two sums each, `offset` bytes in. */
// @ts-ignore: decorator
@inline
function addTwo(near: u64, far: u64, x: v128, y: v128, offset: usize): void {
  addHalves(near, v128.shuffle<i32>(x, y, 0, 4, 1, 5), offset);
  addHalves(far, v128.shuffle<i32>(x, y, 2, 6, 3, 7), offset);
}

// @ts-ignore: decorator
@inline
function addAll(at: usize, four: v128): void {
  v128.store(at, i32x4.add(v128.load(at), four));
}

// @ts-ignore: decorator
@inline
function addHalves(records: u64, four: v128, offset: usize): void {
  const first = <usize>(<u32>records) + offset;
  const second = <usize>(records >> 32) + offset;
  v128.store64_lane(first, i32x4.add(v128.load64_zero(first), four), 0);
  v128.store64_lane(second, i32x4.add(v128.load64_splat(second), four), 1);
}

/** Adds all that lies side by side to the accumulators, and makes counts of what lags behind rows. */
export function sumsSettle(operator: usize): void {
  mixedSumsFlush(operator);
  narrowSumsFlush(operator);
  countsSettle(operator);
}

/** The same, and gives back what memory is taken by sums that lie side by side; whether there was any. */
export function sumsYield(operator: usize): bool {
  const yielded = mixedSumsYield(operator);
  const gaveMore = narrowSumsYield(operator);
  countsSettle(operator);
  return gaveMore || yielded;
}

/** Adds the records to the accumulators; they are zero then. */
export function narrowSumsFlush(operator: usize): void {
  const self = aggregationOf(operator);
  if (self.narrowSums == 0 || narrowOf(self).rows == 0) return;
  const sums = narrowOf(self);
  const groups = groupsOf(self);
  const gap = directGap(groups);
  for (let index: u32 = 0; index < sums.lanes; index++) {
    laneAt(sums, index).bound = 0;
    flushLane(sums, index, 0, min(<u32>gap, sums.capacity));
    flushLane(sums, index, <u32>(gap >> 32), min(directEnd(groups), sums.capacity));
  }
  memory.fill(sums.table, 0, (<usize>sums.capacity) << RECORD_SHIFT);
  sums.rows = 0;
}

function flushLane(sums: NarrowSums, index: u32, from: u32, to: u32): void {
  const accumulator = changetype<Accumulator>(laneAt(sums, index).accumulator);
  for (let group = from; group < to; group++) sumIntegerPlus(accumulator, group, inRecord(sums, index, group));
}

// @ts-ignore: decorator
@inline
function inRecord(sums: NarrowSums, index: u32, group: u32): i64 {
  return <i64>load<i32>(sums.table + ((<usize>group) << RECORD_SHIFT) + ((<usize>index) << 2));
}

/** Groups whose rows are in records, all of them: nobody else knows of such a group. */
export function narrowSumsGroups(self: Aggregation): u64 {
  let count: u64 = 0;
  if (self.narrowSums == 0 || narrowOf(self).counting == narrowOf(self).lanes) return 0;
  const sums = narrowOf(self);
  const counts = changetype<Accumulator>(self.rowsCounter);
  // A push that has found no memory for counts may have made records before.
  for (let group: u32 = 0, end = min(sums.capacity, counts.capacity); group < end; group++) {
    const known = load<i64>(counts.values + <usize>group * <usize>counts.stride);
    count += <u64>(known == 0 && inRecord(sums, sums.counting, group) != 0);
  }
  return count;
}
