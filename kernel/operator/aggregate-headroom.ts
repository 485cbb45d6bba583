// Headroom: whether memory will do for the rest of a push, asked once, before its first row is applied.
//
// Most of a push's memory is reserved outright (aggregate-reserve.ts). What is left happens seldom, and
// holding memory for it all the time would cost more than the state itself: slots that grow, keys that leave
// the direct tier in the middle of a batch, sums that widen, counts that part from those of rows. Their worst
// case is added up here, and the heap asked whether it has as much. If not, the push is refused while nothing
// of it has happened.
//
// The estimate is that of the formulas by which things grow, not of the data: a push may be refused that
// would just have fitted. Not covered: keys whose hashes collide by the thousand, floats whose range first
// passes four limbs in this very batch, and another worker that takes the memory meanwhile. Then the
// operator fails with OUT_OF_MEMORY.

import { Type } from "../abi/layout";
import { Accumulator, Family } from "../aggregate/accumulator";
import { Power } from "../aggregate/power";
import { largest32, sumIntegerIsTight } from "../aggregate/sum-integer";
import { programBatchRows, programValues } from "../expression/program";
import { KeyColumn } from "../group/key-column";
import { directMost } from "../group/direct";
import { RowTable } from "../group/row-table";
import { Tier, groupsKey } from "../group/state";
import { steppedReach } from "../group/stepped";
import { slotsHeadroom } from "../hash/slots";
import { regionHasRoom } from "../memory/region";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";

/** What a block takes beyond its bytes. */
const BLOCK_COST: u64 = 384;
const EXACT_STRIDE: u64 = 32;
const EXACT_LIMBS: u32 = 4;
/** Bytes of a limb beside the dense ones, and how many a value has at most. */
const SIDE_ENTRY: u64 = 24;
const SIDE_LIMBS: u64 = 3;
const WIDE_STRIDE: u64 = 24;

/** Whether `rows` further rows of the bound batch, whose first vector is prepared, cannot run out of memory. */
export function aggregateHasRoom(operator: usize, rows: u32): bool {
  return hasRoom(operator, rows, rows <= programBatchRows(aggregationOf(operator).program));
}

/** `areSeen`: of all those rows it is known how large their integers are. */
function hasRoom(operator: usize, rows: u32, areSeen: bool): bool {
  const bytes = aggregateHeadroom(operator, rows);
  return regionHasRoom(operator, bytes) || (areSeen && regionHasRoom(operator, bytes - spared(operator, rows)));
}

/**
 * The same of rows that wait together with the bound batch, which come to `rows`: asked before each batch is set aside. `waits`
 * says whether any waits yet.
 */
export function aggregateHasRoomAside(operator: usize, rows: u32, waits: bool): bool {
  const self = aggregationOf(operator);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const sum = accumulatorAt(self, index);
    if (sum.family != <u32>Family.SUM_INTEGER || sum.wide != 0) continue;
    const magnitude = magnitudeOf(self, sum);
    sum.waiting = waits ? max(sum.waiting, magnitude) : magnitude;
  }
  return hasRoom(operator, rows, true);
}

/** Rows are set aside of which `aggregateHasRoomAside` has not been asked. */
export function aggregateWaitsUnseen(operator: usize): void {
  const self = aggregationOf(operator);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) accumulatorAt(self, index).waiting = u64.MAX_VALUE;
}

/** Bytes of that which sums would take if they widened, of those that do not by the integers of the batch, or of rows that wait. */
function spared(operator: usize, rows: u32): u64 {
  const self = aggregationOf(operator);
  const span = spanAfter(self, rows);
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (accumulator.family != <u32>Family.SUM_INTEGER || accumulator.wide != 0) continue;
    const magnitude = max(accumulator.waiting, magnitudeOf(self, accumulator));
    if (sumIntegerIsTight(accumulator, magnitude, rows)) continue;
    bytes += capacityFor(accumulator, span) * WIDE_STRIDE;
  }
  return bytes;
}

/** No integer that the bound batch adds to a sum counts for more there: of 32-bit integers and their squares and products. */
function magnitudeOf(self: Aggregation, sum: Accumulator): u64 {
  if (sum.power == <u32>Power.PLAIN) return sum.type == <u32>Type.I32 ? 1 << 32 : u64.MAX_VALUE;
  const first = largestOf(self, sum.argument, sum.sourceType);
  const second = sum.power == <u32>Power.PRODUCT ? largestOf(self, sum.second, sum.secondType) : first;
  // Four times as large, which leaves room to spare, products of such would wrap.
  if (sum.power > <u32>Power.SQUARE || max(first, second) >= 1 << 30) return u64.MAX_VALUE;
  return ((first + 1) * (second + 1)) << 2;
}

function largestOf(self: Aggregation, output: i32, type: u32): u64 {
  const values = type == <u32>Type.I32 ? programValues(self.program, <u32>output) : 0;
  return values == 0 ? u64.MAX_VALUE : largest32(values, programBatchRows(self.program));
}

/** Group numbers that accumulators may have to have room for, after `rows` further rows. */
function spanAfter(self: Aggregation, rows: u32): u32 {
  const groups = groupsOf(self);
  if (groups.tier == <u32>Tier.NONE) return 1;
  if (groups.tier == <u32>Tier.UNDECIDED) return directMost(groups, rows);
  return groups.count + <u32>steppedReach(groupsKey(groups, 0), rows) + 1;
}

/** Bytes of the heap that `rows` further rows can take, beyond what is reserved for them. */
export function aggregateHeadroom(operator: usize, rows: u32): u64 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  let bytes: u64 = 0;
  const span = spanAfter(self, rows);
  if (groups.tier != <u32>Tier.NONE) bytes += keysHeadroom(self, span, rows);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    bytes += accumulatorHeadroom(accumulatorAt(self, index), span, rows);
  }
  if (self.changelog != 0 && span > self.reserved) bytes += changelogHeadroom(self, span);
  return bytes;
}

function keysHeadroom(self: Aggregation, span: u32, rows: u32): u64 {
  const groups = groupsOf(self);
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.interner != 0) bytes += slotsHeadroom(key.interner, rows);
  }
  const table = changetype<RowTable>(groups.table);
  if (groups.tier == <u32>Tier.HASH) return bytes + slotsHeadroom(groups.table, rows + 1);
  if (groups.counts == 0) bytes += <u64>span + (<u64>span >> 1) + BLOCK_COST;
  // A lone text never leaves the direct tier.
  if (groups.keyCount == 1 && groupsKey(groups, 0).interner != 0) return bytes;
  const capacity = max<u64>(span, <u64>table.capacity << 1);
  return bytes + slotsHeadroom(groups.table, span) + capacity * <u64>table.width + BLOCK_COST;
}

/** Groups that an accumulator will have room for once it needs room for `span`. */
function capacityFor(self: Accumulator, span: u32): u64 {
  if (span <= self.capacity) return self.capacity;
  // unreached: a million groups, of which nothing waits
  const spare: u64 = self.capacity < 1 << 20 ? self.capacity : self.capacity >> 1;
  return max<u64>(max<u64>(span, <u64>self.capacity + spare), 16) + 8;
}

function accumulatorHeadroom(self: Accumulator, span: u32, rows: u32): u64 {
  const capacity = capacityFor(self, span);
  const grows = span > self.capacity;
  let bytes: u64 = grows ? capacity * <u64>self.stride + BLOCK_COST : 0;
  switch (self.family) {
    case Family.COUNT:
    case Family.SEEN:
      // The lanes of a pair are the first one's to reserve, until they part.
      if (self.pair != 0) return (self.follows ? 0 : bytes) + (capacity << 3) + BLOCK_COST;
      return self.tracking ? bytes : capacity * <u64>self.stride + BLOCK_COST;
    case Family.SUM_INTEGER:
      // The lanes of a pair are the first one's to reserve, until they part.
      if (self.follows) bytes = 0;
      if (self.pair != 0) bytes += (capacity << 3) + BLOCK_COST;
      if (!self.wide) bytes += capacity * WIDE_STRIDE + BLOCK_COST;
      return bytes;
    case Family.SUM_EXACT:
      if (self.limbs != EXACT_LIMBS) bytes += capacity * EXACT_STRIDE + BLOCK_COST;
      if (grows || self.heads == 0) bytes += (capacity << 2) + BLOCK_COST;
      return bytes + sideHeadroom(self, rows);
    case Family.MULTISET:
    case Family.MULTISET_MIN:
    case Family.MULTISET_MAX:
    case Family.MULTISET_ALL:
    case Family.DISTINCT: {
      const interner = changetype<KeyColumn>(self.key).interner;
      if (interner != 0) bytes += slotsHeadroom(interner, rows);
      return bytes + slotsHeadroom(self.table, rows);
    }
    case Family.CARDINALITY:
    case Family.SKETCH:
      return bytes + slotsHeadroom(self.table, rows);
    case Family.LOG:
    case Family.LOG_TEXT:
      // A log grows by rows, which were all reserved for; it has no array by group.
      return 0;
    default:
      return self.follows ? 0 : bytes;
  }
}

/** Limbs beside the dense ones: once there are any, every row may bring some. */
function sideHeadroom(self: Accumulator, rows: u32): u64 {
  const more = self.limbs == EXACT_LIMBS || self.sideCount != 0 ? <u64>rows * SIDE_LIMBS : 64;
  const need = <u64>self.sideCount + more;
  if (need <= <u64>self.sideCapacity) return 0;
  // Growing by half each time, the arrays on the way are three times the last one at most.
  return need * SIDE_ENTRY * 5 + BLOCK_COST;
}

function changelogHeadroom(self: Aggregation, span: u32): u64 {
  // Stamps, emitted; per result a value and whether it is there. Arrays at most double.
  const stride: u64 = 5 + 17 * <u64>self.resultCount;
  return <u64>span * 2 * stride + <u64>(2 + 2 * self.resultCount) * BLOCK_COST;
}
