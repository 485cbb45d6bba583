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

import { Accumulator, Family } from "../aggregate/accumulator";
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
  return regionHasRoom(operator, aggregateHeadroom(operator, rows));
}

/** Bytes of the heap that `rows` further rows can take, beyond what is reserved for them. */
export function aggregateHeadroom(operator: usize, rows: u32): u64 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  let bytes: u64 = 0;
  let span: u32 = 1;
  if (groups.tier != <u32>Tier.NONE) {
    span = groups.count + <u32>steppedReach(groupsKey(groups, 0), rows) + 1;
    if (groups.tier == <u32>Tier.UNDECIDED) span = directMost(groups, rows);
    bytes += keysHeadroom(self, span, rows);
  }
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
