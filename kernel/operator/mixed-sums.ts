// Sums of different kinds side by side: an exact sum of floats with sums of integers, a count of rows, or both.
//
// Accumulators are arrays by group, and each goes through a vector's rows by itself. Where an aggregation has an exact sum
// of floats beside sums of integers or a count of rows, their lanes are kept in one record a group, and one loop adds to all
// of them: group numbers are read and turned into addresses once, a row goes to one line of the cache, and the columns' lines
// come from memory while the work on the others goes on, instead of one column after the other. The records stay from push to
// push. Before a lane of theirs might wrap they are added to the accumulators and are zero again; before anything but a push
// reaches the operator the same is done, and their memory given back. All of them are integers, so that it does not matter in
// which order that happens.
//
//   record: i64 two limbs of the exact sum (exact-cut.ts)   i64 two lanes   i64 a third lane, where there is one   padding
//
// A count of rows beside two integers needs no lane where one of them has 32 bits: its lane counts from bit 48 on, up to
// 65,535 rows. So many rows and no more are held for few groups, whose records are soon added up. For many groups records are
// made where no integer is wider than 32 bits; what their limbs have come to is looked at once in a million rows, and hardly
// ever more than some bits.
//
// Whether floats lose bits below the limbs is seen by the least of them: one that is large enough has none there. Only where
// a vector has smaller ones is each of its floats looked at.
//
// Where nothing else is to be added, and one small integer or text is the key, rows go from the key to the record in that loop,
// too: a record is within the table whatever the key, and the range is looked at on the way; codes of texts that are all known
// need no look (as in keyed-sums.ts).
//
// Nulls are added as zeros. A vector whose floats do not fit the two limbs, whose integers might make a sum wrap, or whose keys
// have not been there before goes the usual way. What such a vector had added to records is taken back: floats that are out of
// reach had counted as zeros there.
//
// Measured: means of two integers and a float by 100 keys take 0.76 of the time over 10 million rows, 0.87 over one million,
// which are in a cache; by the key itself 0.8 more; the count in another's lane and the look at the least float 0.83 more. By
// 100,000 texts a sum and a mean take 0.87 to 0.91 on an Intel Xeon, by as many integers two sums of integers and one of floats
// 0.9 to 0.95; the loop alone 0.7 to 0.8, as in C. (Many more groups have their rows set aside: aggregate-ranges.ts.)
// Tried and lost: one loop over the lanes where accumulators have them (a tenth less); both integers and the count packed into
// 16 bytes (no faster); keys and integers read from bytes (Column.NARROW: 1.03 to 1.08, by two threads 0.9 to 1.0); four rows a
// turn (no faster: it waits for memory), with places computed as one vector (1.1 in the cache); lines of the columns' next pages
// read ahead, columns by 100,000 groups not brought into the cache before (1.05), or their records read before they are written
// (1.0 to 1.1 in C).

import { Type } from "../abi/layout";
import { AggregateFault, AggregateFlag, OperatorKind } from "../abi/operator";
import { Accumulator, Family, isWhole } from "../aggregate/accumulator";
import { keptValues } from "../aggregate/argument";
import { areWhole, isWholeAbove, magic, reach } from "../aggregate/exact-cut";
import { addBoth, twoOf } from "../aggregate/lanes";
import { sumExactAdded } from "../aggregate/sum-exact";
import { DIGIT_BITS } from "../aggregate/round";
import { sumIntegerIsTight, sumIntegerLargest, sumIntegerMakeRoom, sumIntegerPlus } from "../aggregate/sum-integer";
import { isWholeIntegerSum } from "../aggregate/whole-integers";
import { Vector } from "../column/vector";
import { programOutput } from "../expression/program";
import { directEnd, directGap, directReach, directRoom } from "../group/direct";
import { Groups, Tier, groupsKey } from "../group/state";
import { regionBlock, regionCut, regionFree } from "../memory/region";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { isRetracting } from "./aggregate-retract";
import { countsByKey, isUntracked, readyCodes } from "./keyed-sums";
import { Operator } from "./operator";

/** Group numbers of a small table, and rows of the push that makes one for each that can have some. */
const SMALL_MOST: u32 = 8192;
const SMALL_ROWS_EACH: u32 = 32;
/** The same of a large one; groups that can have some for each of those rows. */
const LARGE_MOST: u32 = 1 << 19;
const LARGE_EACH: u32 = 4;
/** Rows that a small one may hold: they fit 16 bits, limbs come to less than 2^58, integers of 32 bits to less than 2^47. */
const SMALL_ROWS: u32 = 65535;
/** ... a large one, by what its limbs come to: less than 2^61; and before integers of 32 bits might come to 2^61. */
const LARGE_ROWS: u32 = 1 << 20;
const HELD_MOST: u64 = 1 << 29;
/** Limbs of an exact sum in a record. */
const LIMBS: u32 = 2;
const LANES: usize = 16;
const THIRD: usize = 32;

/** What a lane adds. */
const enum Lane {
  NONE = 0,
  I32 = 1,
  I64 = 2,
  /** One for each row. */
  ROWS = 3,
  /** The same, from bit COUNT_BIT of the second lane on. */
  ROWS_ABOVE = 4,
}
const COUNT_BIT: i64 = 48;

// @ts-ignore: decorator
@unmanaged
class MixedSums {
  exact: usize;
  /** The accumulators of the lanes, 0 where there is none, and what each adds. */
  first: usize;
  second: usize;
  third: usize;
  firstLane: u32;
  secondLane: u32;
  thirdLane: u32;
  /** Bits of a float's size, and a row's count in the second lane: constants would be made anew in each turn of the loop. */
  sizes: i64;
  above: i64;
  stride: u32;
  /** Whether no integer is wider than 32 bits, and none shares a lane: rows without number may be held. */
  isNarrow: u32;
  /** Records, how many, and whether they are few. */
  table: usize;
  capacity: u32;
  isSmall: u32;
  /** Rows that are in it, and how many would make its limbs as large as they are. */
  held: u64;
  rows: u32;
  /** Vectors that go the usual way before the next attempt, and after the next one that fails. */
  pause: u32;
  patience: u32;
  /** Limbs of the exact sum when the first of the rows came. */
  lowLimb: u32;
  /** Addresses of a vector's values. */
  floats: usize;
  firstValues: usize;
  secondValues: usize;
  /** Group numbers or keys (u32 each), what is taken of them, and the record of those of which that is 0. */
  numbers: usize;
  mask: u32;
  base: usize;
  /** The least of them, and how far above it the others may lie. */
  low: u32;
  span: u32;
}

const MIXED_SUMS_SIZE: usize = 128;
/** Most vectors that are left out after one that did not fit. */
const PAUSE_MOST: u32 = 256;

// @ts-ignore: decorator
@inline
function mixedSumsOf(self: Aggregation): MixedSums {
  return changetype<MixedSums>(self.mixedSums);
}

/** Whether an aggregation is one whose sums may be beside its accumulators between pushes. */
export function mayLieBeside(operator: usize): bool {
  const self = aggregationOf(operator);
  return (
    ASC_FEATURE_SIMD &&
    changetype<Operator>(operator).kind == <u32>OperatorKind.HASH_AGGREGATE &&
    self.like == 0 &&
    !isRetracting(self) &&
    (self.flags & <u32>(AggregateFlag.CHANGELOG | AggregateFlag.PARTIAL)) == 0 &&
    (self.fault & <u32>AggregateFault.NORMALISE_ALWAYS) == 0
  );
}

/** Finds the sums that may lie side by side; false when out of memory. There need not be any. */
export function mixedSumsCreate(operator: usize): bool {
  const self = aggregationOf(operator);
  if (!ASC_FEATURE_SIMD || !mayLieBeside(operator)) return true;
  let exact: usize = 0;
  let first: usize = 0;
  let second: usize = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    const address = changetype<usize>(accumulator);
    if (exact == 0 && isFloatSum(accumulator)) exact = address;
    if (first != 0 || !isWholeIntegerSum(accumulator)) continue;
    const isLone = accumulator.pair == 0 || accumulator.pair == self.rowsCounter;
    if (!isLone && !isWholeIntegerSum(changetype<Accumulator>(accumulator.pair))) continue;
    first = address;
    second = accumulator.pair;
  }
  let third: usize = self.rowsCounter == second ? 0 : self.rowsCounter;
  if (third != 0 && changetype<Accumulator>(third).pair != 0) third = 0;
  if (third != 0 && second == 0) {
    second = third;
    third = 0;
  }
  if (first == 0) {
    first = second;
    second = 0;
  }
  if (exact == 0 || first == 0) return true;
  // The wider of two integers first: half the loops.
  if (laneOf(first) == Lane.I32 && laneOf(second) == Lane.I64) {
    const other = first;
    first = second;
    second = other;
  }
  const address = regionCut(operator, MIXED_SUMS_SIZE);
  if (address == 0) return false;
  memory.fill(address, 0, MIXED_SUMS_SIZE);
  self.mixedSums = address;
  const sums = changetype<MixedSums>(address);
  sums.exact = exact;
  sums.first = first;
  sums.second = second;
  sums.third = third;
  sums.firstLane = laneOf(first);
  // A lane more to count rows in costs nothing: a lone integer has that of an integer and a count.
  sums.secondLane = second == 0 && sums.firstLane != <u32>Lane.ROWS ? Lane.ROWS : laneOf(second);
  sums.sizes = i64.MAX_VALUE;
  sums.above = <i64>1 << COUNT_BIT;
  sums.thirdLane = third == 0 ? Lane.NONE : sums.secondLane == <u32>Lane.I32 ? Lane.ROWS_ABOVE : Lane.ROWS;
  sums.stride = sums.thirdLane == <u32>Lane.ROWS ? 48 : 32;
  sums.isNarrow = third == 0 && sums.firstLane != <u32>Lane.I64 && sums.secondLane != <u32>Lane.I64 ? 1 : 0;
  sums.patience = 1;
  mark(exact);
  mark(first);
  mark(second);
  mark(third);
  return true;
}

function mark(accumulator: usize): void {
  if (accumulator != 0) changetype<Accumulator>(accumulator).beside = 1;
}

function isFloatSum(self: Accumulator): bool {
  return self.family == <u32>Family.SUM_EXACT && self.type == <u32>Type.F64 && isWhole(self);
}

function laneOf(accumulator: usize): Lane {
  if (accumulator == 0) return Lane.NONE;
  const self = changetype<Accumulator>(accumulator);
  if (self.family == <u32>Family.COUNT) return Lane.ROWS;
  return self.type == <u32>Type.I32 ? Lane.I32 : Lane.I64;
}

/**
 * Before a push of `rows` rows makes its room: makes records, where they should pay and there is memory for them. Where they
 * should not, there are none: adding them up, which takes as long as groups are many, comes once in rows enough.
 */
export function mixedSumsBegin(operator: usize, rows: u32): void {
  const self = aggregationOf(operator);
  if (self.mixedSums == 0) return;
  const sums = mixedSumsOf(self);
  const groups = groupsOf(self);
  const takes = groups.tier == <u32>Tier.DIRECT && changetype<Accumulator>(sums.exact).limbs <= LIMBS;
  if (takes && groups.count <= sums.capacity) return;
  mixedSumsYield(operator);
  if (!takes || !pays(sums, groups, rows)) return;
  sums.isSmall = groups.count <= SMALL_MOST ? 1 : 0;
  const records = directRoom(groups);
  const bytes = <usize>records * <usize>sums.stride;
  sums.table = regionBlock(operator, bytes);
  if (sums.table == 0) return;
  sums.capacity = records;
  memory.fill(sums.table, 0, bytes);
}

function pays(sums: MixedSums, groups: Groups, rows: u32): bool {
  const used = <u64>directReach(groups);
  if (groups.count <= SMALL_MOST) return used * <u64>SMALL_ROWS_EACH <= <u64>rows;
  return sums.isNarrow != 0 && groups.count <= LARGE_MOST && used <= <u64>rows * <u64>LARGE_EACH;
}

/** Gives the records' memory back; whether they had any. */
export function mixedSumsYield(operator: usize): bool {
  const self = aggregationOf(operator);
  if (self.mixedSums == 0 || mixedSumsOf(self).table == 0) return false;
  mixedSumsFlush(operator);
  const sums = mixedSumsOf(self);
  regionFree(operator, sums.table);
  sums.table = 0;
  sums.capacity = 0;
  return true;
}

/** Whether all that a push adds goes into the table, by one small integer or text: then its rows need no group numbers. */
export function mixedSumsByKey(self: Aggregation): bool {
  if (!ASC_FEATURE_SIMD || self.mixedSums == 0 || self.changelog != 0) return false;
  const sums = mixedSumsOf(self);
  const groups = groupsOf(self);
  if (sums.capacity == 0 || !countsByKey(groups)) return false;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    const isTold = isUntracked(accumulator) && isArgument(sums, accumulator.argument);
    if (accumulator.beside == 0 && !isTold) return false;
  }
  return true;
}

function isArgument(sums: MixedSums, argument: i32): bool {
  return argumentOf(sums.exact) == argument || argumentOf(sums.first) == argument || argumentOf(sums.second) == argument;
}

function argumentOf(accumulator: usize): i32 {
  return accumulator == 0 ? -1 : changetype<Accumulator>(accumulator).argument;
}

/** Adds a vector of `rows` rows by integers that nobody has looked at yet, or codes; false where it has to go the usual way. */
export function mixedSumsAddNew(context: usize, operator: usize, rows: u32): bool {
  const self = aggregationOf(operator);
  const sums = mixedSumsOf(self);
  const key = groupsKey(groupsOf(self), 0);
  const keys = changetype<Vector>(programOutput(self.program, key.output));
  const isText = key.interner != 0;
  if (sums.pause != 0 || keys.validity != 0 || key.low > key.high || (isText && !readyCodes(self))) return false;
  // Counts of arguments have to be kept before the first null.
  if (hasNulls(self, sums.exact) || hasNulls(self, sums.first) || hasNulls(self, sums.second)) return false;
  if (!takesVector(context, self, sums, rows)) return false;
  sums.numbers = keys.values;
  sums.mask = key.mask;
  // Number 0 is null's.
  sums.base = sums.table + <usize>sums.stride;
  sums.low = isText ? 0 : <u32>key.low;
  sums.span = isText ? -1 : <u32>(key.high - key.low);
  return addVector(operator, sums, rows);
}

/**
 * Adds a vector of `rows` rows, whose groups are numbered, to the accumulators that are marked. False where that has to go the
 * usual way.
 */
export function mixedSumsAdd(context: usize, operator: usize, rows: u32): bool {
  const self = aggregationOf(operator);
  const sums = mixedSumsOf(self);
  if (sums.capacity == 0) return false;
  if (sums.pause != 0) {
    sums.pause--;
    return false;
  }
  if (takesVector(context, self, sums, rows)) {
    sums.numbers = self.numbers;
    sums.mask = -1;
    sums.base = sums.table;
    sums.low = 0;
    sums.span = -1;
    if (addVector(operator, sums, rows)) return true;
  }
  // Lanes may be looked at that way, too: what integers of 32 bits may come to in records is too little to matter.
  if (sums.isNarrow == 0) mixedSumsFlush(operator);
  sums.pause = sums.patience;
  sums.patience = min(PAUSE_MOST, sums.patience << 1);
  return false;
}

/** Adds a vector that the table takes; false, with nothing added, where a float or a key does not fit. */
function addVector(operator: usize, sums: MixedSums, rows: u32): bool {
  if (!hasBitsFor(sums, rows)) mixedSumsFlush(operator);
  sums.lowLimb = changetype<Accumulator>(sums.exact).lowLimb;
  const whole = rows & ~1;
  let fits = whole == 0 || addWhole(sums, whole);
  for (let row = whole; row < rows; row++) fits = addOne(sums, row, 1) && fits;
  if (fits) {
    sums.held += rows;
    sums.rows += rows;
    sums.patience = 1;
    return true;
  }
  for (let row: u32 = 0; row < rows; row++) addOne(sums, row, -1);
  return false;
}

/** Whether no lane can wrap by `rows` rows more. */
function hasBitsFor(sums: MixedSums, rows: u32): bool {
  if (sums.isSmall) return sums.rows + rows <= SMALL_ROWS;
  if (sums.held + rows > HELD_MOST) return false;
  if (sums.rows + rows <= LARGE_ROWS) return true;
  sums.rows = rowsByLimbs(sums);
  return sums.rows <= LARGE_ROWS >> 1;
}

/** How many rows make limbs as large as the table's. */
function rowsByLimbs(sums: MixedSums): u32 {
  let bits = i64x2.splat(0);
  const end = sums.table + <usize>sums.capacity * <usize>sums.stride;
  for (let record = sums.table; record < end; record += sums.stride) {
    const limbs = v128.load(record);
    bits = v128.or(bits, v128.xor(limbs, i64x2.shr_s(limbs, 63)));
  }
  const most = <u64>(i64x2.extract_lane(bits, 0) | i64x2.extract_lane(bits, 1));
  return <u32>min<u64>(sums.rows, (most >> (DIGIT_BITS + 1)) + 1);
}

/** Whether a vector may go into the table, as far as can be told before; where its values are. */
function takesVector(context: usize, self: Aggregation, sums: MixedSums, rows: u32): bool {
  const groups = groupsOf(self);
  const exact = changetype<Accumulator>(sums.exact);
  if (groups.tier != <u32>Tier.DIRECT || groups.count > sums.capacity || exact.limbs != LIMBS) return false;
  sums.firstValues = valuesFor(context, self, sums, sums.first, rows);
  if (sums.firstValues == 0) return false;
  sums.secondValues = sums.second == 0 ? 0 : valuesFor(context, self, sums, sums.second, rows);
  if (sums.second != 0 && sums.secondValues == 0) return false;
  sums.floats = keptArgument(context, self, exact, rows);
  return true;
}

/** Values of a lane for which there is room, nulls as zeros; of a count any address, 0 where there is something else. */
function valuesFor(context: usize, self: Aggregation, sums: MixedSums, address: usize, rows: u32): usize {
  const accumulator = changetype<Accumulator>(address);
  if (accumulator.family == <u32>Family.COUNT) return self.numbers;
  if (accumulator.wide != 0) return 0;
  const values = keptArgument(context, self, accumulator, rows);
  const largest = sumIntegerLargest(accumulator.type, values, rows);
  // Who looks at its lanes must see all that has come.
  if (sums.held != 0 && sumIntegerIsTight(accumulator, largest, rows)) flush(self, sums);
  return sumIntegerMakeRoom(accumulator, largest, rows) ? values : 0;
}

function hasNulls(self: Aggregation, accumulator: usize): bool {
  const argument = argumentOf(accumulator);
  return argument >= 0 && changetype<Vector>(programOutput(self.program, <u32>argument)).validity != 0;
}

/** What a sum adds for each row: 0 for null. */
function keptArgument(context: usize, self: Aggregation, sum: Accumulator, rows: u32): usize {
  const validity = changetype<Vector>(programOutput(self.program, <u32>sum.argument)).validity;
  return keptValues(context, self.program, <u32>sum.argument, validity, rows);
}

/** Adds `rows` rows, an even number and not 0; false where one did not fit (a float that is too large has counted as zero). */
function addWhole(sums: MixedSums, rows: u32): bool {
  switch ((sums.firstLane << 3) | (sums.secondLane << 1) | <u32>(sums.third != 0)) {
    case (Lane.ROWS << 3) | (Lane.NONE << 1):
      return addRows<u16, u8, u8>(sums, rows);
    case (Lane.I32 << 3) | (Lane.ROWS << 1):
      return addRows<i32, u16, u8>(sums, rows);
    case (Lane.I64 << 3) | (Lane.ROWS << 1):
      return addRows<i64, u16, u8>(sums, rows);
    case (Lane.I32 << 3) | (Lane.I32 << 1):
      return addRows<i32, i32, u8>(sums, rows);
    case (Lane.I64 << 3) | (Lane.I32 << 1):
      return addRows<i64, i32, u8>(sums, rows);
    case (Lane.I64 << 3) | (Lane.I64 << 1):
      return addRows<i64, i64, u8>(sums, rows);
    case (Lane.I32 << 3) | (Lane.I32 << 1) | 1:
      return addRows<i32, i32, u32>(sums, rows);
    case (Lane.I64 << 3) | (Lane.I32 << 1) | 1:
      return addRows<i64, i32, u32>(sums, rows);
    default:
      return addRows<i64, i64, u16>(sums, rows);
  }
}

// Type parameters stand for lanes: i32 and i64 for themselves, u16 for a count of rows, u32 for one in the second lane, u8 for
// none.

function addRows<A, B, C>(sums: MixedSums, rows: u32): bool {
  const low = sums.lowLimb;
  const M0 = f64x2.splat(magic(low));
  const M1 = f64x2.splat(magic(low + 1));
  const limits = f64x2.splat(reach(low, LIMBS));
  const sizes = i64x2.splat(sums.sizes);
  const above = i64x2.splat(sums.above);
  const lows = i32x4.splat(sums.low);
  const mask = <u64>sums.mask | (<u64>sums.mask << 32);
  const base = sums.base;
  const numbers = sums.numbers;
  const x = sums.floats;
  const a = sums.firstValues;
  const b = sums.secondValues;
  let good = i64x2.splat(-1);
  let least = i32x4.splat(-1);
  let distances = i32x4.splat(0);
  for (let row: u32 = 0; row < rows; row += 2) {
    const places = numbers + ((<usize>row) << 2);
    distances = i32x4.max_u(distances, i32x4.sub(v128.load64_splat(places), lows));
    const value = v128.load(x + ((<usize>row) << 3));
    const size = v128.and(value, sizes);
    const inside = f64x2.lt(size, limits);
    good = v128.and(good, inside);
    // One less than zero is the greatest.
    least = i32x4.min_u(least, i64x2.add(size, i64x2.splat(-1)));
    const r = v128.and(value, inside);
    const q = f64x2.add(r, M1);
    const upper = i64x2.sub(q, M1);
    const lower = i64x2.sub(f64x2.add(f64x2.sub(r, f64x2.sub(q, M1)), M0), M0);
    const left = lanesOf<A>(a + <usize>row * sizeof<A>());
    let right = lanesOf<B>(b + <usize>row * sizeof<B>());
    if (sizeof<C>() == 4) right = i64x2.add(right, above);
    const pair = load<u64>(places) & mask;
    addRecord<C>(base + recordOf<C>(<u32>pair), v128.shuffle<i64>(lower, upper, 0, 2), v128.shuffle<i64>(left, right, 0, 2));
    addRecord<C>(
      base + recordOf<C>(<u32>(pair >> 32)),
      v128.shuffle<i64>(lower, upper, 1, 3),
      v128.shuffle<i64>(left, right, 1, 3),
    );
  }
  const fits = i64x2.all_true(good) && i32x4.all_true(i32x4.le_u(distances, i32x4.splat(sums.span)));
  return fits && (isWholeAbove(least, low) || areWhole(x, rows, low));
}

// @ts-ignore: decorator
@inline
function lanesOf<T>(values: usize): v128 {
  if (sizeof<T>() == 1) return i64x2.splat(0);
  if (sizeof<T>() == 2) return i64x2.splat(1);
  return twoOf<T>(values);
}

/** How far the record of a number lies from the first: 32 or 48 bytes each. */
// @ts-ignore: decorator
@inline
function recordOf<C>(number: u32): usize {
  const most = (<usize>number) << 5;
  return sizeof<C>() == 2 ? most + ((<usize>number) << 4) : most;
}

// @ts-ignore: decorator
@inline
function addRecord<C>(at: usize, limbs: v128, lanes: v128): void {
  addBoth(at, limbs);
  v128.store(at, i64x2.add(v128.load(at, LANES), lanes), LANES);
  if (sizeof<C>() == 2) v128.store64_lane(at, i64x2.add(v128.load64_zero(at, THIRD), i64x2.splat(1)), 0, THIRD);
}

/** Adds a row `times` 1 or -1, just as `addRows` does. */
function addOne(sums: MixedSums, row: u32, times: i64): bool {
  const number = load<u32>(sums.numbers + ((<usize>row) << 2));
  const at = sums.base + <usize>(number & sums.mask) * <usize>sums.stride;
  const m0 = magic(sums.lowLimb);
  const m1 = magic(sums.lowLimb + 1);
  const value = load<f64>(sums.floats + ((<usize>row) << 3));
  const inside = abs(value) < reach(sums.lowLimb, LIMBS);
  let r = inside ? value : 0;
  const q = r + m1;
  r -= q - m1;
  const p = r + m0;
  addTo(at, (reinterpret<i64>(p) - reinterpret<i64>(m0)) * times);
  addTo(at + 8, (reinterpret<i64>(q) - reinterpret<i64>(m1)) * times);
  addTo(at + LANES, laneAt(sums.firstLane, sums.firstValues, row) * times);
  addTo(at + LANES + 8, laneAt(sums.secondLane, sums.secondValues, row) * times);
  if (sums.thirdLane == <u32>Lane.ROWS_ABOVE) addTo(at + LANES + 8, times << COUNT_BIT);
  else if (sums.third != 0) addTo(at + THIRD, times);
  return inside && p - m0 == r && number - sums.low <= sums.span;
}

function laneAt(lane: Lane, values: usize, row: u32): i64 {
  if (lane == Lane.NONE) return 0;
  if (lane == Lane.ROWS) return 1;
  return lane == Lane.I32 ? <i64>load<i32>(values + ((<usize>row) << 2)) : load<i64>(values + ((<usize>row) << 3));
}

// @ts-ignore: decorator
@inline
function addTo(at: usize, more: i64): void {
  store<i64>(at, load<i64>(at) + more);
}

/** Adds the records to the accumulators; they are zero then. */
export function mixedSumsFlush(operator: usize): void {
  const self = aggregationOf(operator);
  if (ASC_FEATURE_SIMD) {
    if (self.mixedSums != 0 && mixedSumsOf(self).held != 0) flush(self, mixedSumsOf(self));
  }
}

function flush(self: Aggregation, sums: MixedSums): void {
  const groups = groupsOf(self);
  const gap = directGap(groups);
  flushBetween(sums, 0, min(<u32>gap, sums.capacity));
  flushBetween(sums, <u32>(gap >> 32), min(directEnd(groups), sums.capacity));
  sumExactAdded(changetype<Accumulator>(sums.exact), sums.rows);
  sums.held = 0;
  sums.rows = 0;
}

function flushBetween(sums: MixedSums, from: u32, to: u32): void {
  const exact = changetype<Accumulator>(sums.exact);
  const step: usize = exact.stride;
  // Vectors that went the usual way may have widened it.
  let limbs = exact.values + ((<usize>(sums.lowLimb - exact.lowLimb)) << 3) + <usize>from * step;
  const stride: usize = sums.stride;
  let record = sums.table + <usize>from * stride;
  const zero = i64x2.splat(0);
  for (let group = from; group < to; group++) {
    const second = load<i64>(record, LANES + 8);
    const counted = rowsIn(sums, record);
    const floats = v128.load(record);
    const lanes = v128.load(record, LANES);
    if (v128.any_true(v128.or(floats, lanes)) || counted != 0) {
      addBoth(limbs, floats);
      flushLane(sums.first, group, i64x2.extract_lane(lanes, 0));
      flushLane(sums.second, group, sums.thirdLane == <u32>Lane.ROWS_ABOVE ? second - (counted << COUNT_BIT) : second);
      flushLane(sums.third, group, counted);
      // A call for each takes as long as all the rest.
      v128.store(record, zero);
      v128.store(record, zero, LANES);
      if (stride > THIRD) v128.store(record, zero, THIRD);
    }
    record += stride;
    limbs += step;
  }
}

// @ts-ignore: decorator
@inline
function flushLane(address: usize, group: u32, more: i64): void {
  if (address != 0) sumIntegerPlus(changetype<Accumulator>(address), group, more);
}

/** The third lane of a record, 0 where there is none. */
// @ts-ignore: decorator
@inline
function rowsIn(sums: MixedSums, record: usize): i64 {
  if (sums.thirdLane == <u32>Lane.ROWS) return load<i64>(record, THIRD);
  if (sums.thirdLane != <u32>Lane.ROWS_ABOVE) return 0;
  return <i64>(<u64>(load<i64>(record, LANES + 8) + (<i64>1 << (COUNT_BIT - 1))) >> COUNT_BIT);
}

/** Groups whose rows are in records, all of them: nobody else knows of such a group. */
export function mixedSumsGroups(self: Aggregation): u64 {
  let count: u64 = 0;
  if (self.mixedSums == 0 || mixedSumsOf(self).held == 0) return 0;
  const sums = mixedSumsOf(self);
  if (self.rowsCounter == 0) return 0;
  const counts = changetype<Accumulator>(self.rowsCounter);
  if (counts.beside == 0) return 0;
  const at = self.rowsCounter == sums.first ? LANES : LANES + 8;
  // A push that has found no memory for counts may have made records before.
  for (let group: u32 = 0, end = min(sums.capacity, counts.capacity); group < end; group++) {
    const known = load<i64>(counts.values + <usize>group * <usize>counts.stride);
    const record = sums.table + <usize>group * <usize>sums.stride;
    const more = self.rowsCounter == sums.third ? rowsIn(sums, record) : load<i64>(record + at);
    count += <u64>(known == 0 && more != 0);
  }
  return count;
}
