// Draining: results that leave partition by partition while the rows that were set aside (aggregate-backlog.ts) are worked
// off.
//
// Once the input has ended, nothing but a partition's own rows will touch the groups that they make. So the rows of a few
// partitions are worked off, the groups that they have made leave, and the next partitions' groups get their numbers:
// packed keys and accumulators are then those of a partition, in the cache, instead of being written to memory and read back.
// Groups from before the end (`kept`) may have rows in any partition, and leave last.
//
// Taken where the host asks for nothing but results (DRAINS), of groups that have nothing but array elements that are zero at
// first: counts, sums, moments made of sums. A pull that finds no memory loses nothing: partitions that are worked off wait
// to leave, and one that is half worked off goes on where it was.
//
// The same goes for an operator that takes parts of others (aggregate-divide.ts): what a part has brought is complete when the
// host pulls, and leaves; the next part takes its numbers and slots. Small parts wait for one another, so that batches do not
// become small. What has not been asked for leaves at the end.
//
// Beside working everything off first, 10 M rows by three texts and three integers, nearly each a group: 0.93 of the time; what
// is held when the last results leave is two thirds. By one key of 8 bytes there is nothing gained but memory. What goes on
// costs what it did: rows set aside are written to memory and read back, results are written.

import { AggregateFault, AggregateFlag } from "../abi/operator";
import { Status } from "../abi/status";
import { Accumulator, Family } from "../aggregate/accumulator";
import { bitmapGet } from "../column/bitmap";
import { groupsForget } from "../group/groups";
import { rowTablePartitionRelease } from "../group/row-table";
import { backlogIsOpen, backlogNextRows, backlogOf, backlogWorkPartition } from "./aggregate-backlog";
import { Combination } from "./aggregate-combine";
import { accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { ENDED, Operator, PARTS_ONLY } from "./operator";

/** Rows that a pull works off before it answers, at about. */
const PULL_ROWS: u32 = 65536;

/** Whether results leave partition by partition; begins to where they can. The operator has ended. */
export function aggregateDrains(operator: usize): bool {
  if (aggregateIsDraining(operator)) return true;
  const self = aggregationOf(operator);
  if (!backlogIsOpen(operator) || backlogOf(operator).rows == 0 || !mayDrain(operator)) return false;
  const backlog = backlogOf(operator);
  backlog.drains = 1;
  backlog.kept = groupsOf(self).count;
  self.cursor = backlog.kept;
  return true;
}

/** Whether results leave so, and those of groups from before the end are still to come. */
export function aggregateIsDraining(operator: usize): bool {
  return backlogIsOpen(operator) && backlogOf(operator).drains != 0;
}

/** Groups that have left, and whose numbers are others' now. */
export function aggregateDrained(operator: usize): u64 {
  return backlogIsOpen(operator) ? backlogOf(operator).left : 0;
}

function mayDrain(operator: usize): bool {
  const self = aggregationOf(operator);
  if ((self.flags & <u32>AggregateFlag.DRAINS) == 0 || self.fedCount != 0) return false;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    if (!isZeroAtFirst(accumulatorAt(self, index).family)) return false;
  }
  return true;
}

function isZeroAtFirst(family: u32): bool {
  switch (family) {
    case Family.COUNT:
    case Family.SEEN:
    case Family.SUM_INTEGER:
    case Family.SUM_EXACT:
    case Family.SUM_FAST:
      return true;
    default:
      return false;
  }
}

/**
 * Works partitions off where no group waits to leave: as many as have `limit` rows together, but one at least. NEED_INPUT:
 * the groups from the cursor on may leave. HAS_MORE: a large partition is not through yet. Or an error.
 */
export function drainWork(context: usize, operator: usize, limit: u32): i32 {
  const self = aggregationOf(operator);
  const backlog = backlogOf(operator);
  if (backlog.half == 0) {
    if (self.cursor < groupsOf(self).count) return Status.NEED_INPUT;
    forget(operator);
  }
  let rows = groupsOf(self).count - backlog.kept;
  while (backlog.rows != 0) {
    if (backlog.half == 0 && rows != 0 && rows + backlogNextRows(operator) > limit) break;
    const before = backlog.rows;
    const status = backlogWorkPartition(context, operator, PULL_ROWS);
    if (status < 0) return status;
    rows += before - backlog.rows;
    if (backlog.half != 0) return Status.HAS_MORE;
  }
  return Status.NEED_INPUT;
}

/** Where all partitions' groups have left those from before the end are next, as they always are. */
export function drainEnd(operator: usize): void {
  const self = aggregationOf(operator);
  const backlog = backlogOf(operator);
  if (backlog.rows != 0 || self.cursor < groupsOf(self).count) return;
  forget(operator);
  backlog.drains = 0;
  self.cursor = 0;
}

// ---- parts of others

/** Fewer groups of parts wait for those of the next. */
const PART_GROUPS: u32 = 16384;

/** Whether groups of parts that are complete leave before the next ones come. */
export function aggregateDrainsParts(operator: usize): bool {
  const self = aggregationOf(operator);
  if (self.combination == 0 || changetype<Combination>(self.combination).stays != 0) return false;
  return changetype<Operator>(operator).ended != ENDED && mayDrain(operator);
}

/** Whether a part is complete: nobody looks for its groups any more. */
export function aggregatePartIsComplete(operator: usize, part: u32): bool {
  const combination = aggregationOf(operator).combination;
  if (combination == 0 || changetype<Operator>(operator).ended != PARTS_ONLY) return false;
  return bitmapGet(combination + offsetof<Combination>("complete0"), part) != 0;
}

/** The part at hand is complete, and the operator takes nothing but others any more: whether groups are to leave now. */
export function drainPart(operator: usize): bool {
  if (!aggregateDrainsParts(operator) || !backlogIsOpen(operator)) return false;
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const part = changetype<Combination>(self.combination).part - 1;
  const complete = self.combination + offsetof<Combination>("complete0") + <usize>(part >> 3);
  store<u8>(complete, load<u8>(complete) | (<u8>1 << <u8>(part & 7)));
  rowTablePartitionRelease(groups.table, part);
  changetype<Operator>(operator).ended = PARTS_ONLY;
  const least: u32 = (self.fault & <u32>AggregateFault.SET_ASIDE) != 0 ? 1 : PART_GROUPS;
  return self.cursor != 0 || groups.count >= least;
}

/** Groups have left: whether that were all. */
export function drainPartEnd(operator: usize): bool {
  const self = aggregationOf(operator);
  if (self.cursor < groupsOf(self).count) return false;
  forget(operator);
  return true;
}

/** Takes the numbers of partitions' groups, which have left, back. */
function forget(operator: usize): void {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const backlog = backlogOf(operator);
  for (let index: u32 = 0; index < self.accumulatorCount; index++)
    forgetState(accumulatorAt(self, index), backlog.kept, groups.count);
  backlog.left += groups.count - backlog.kept;
  groupsForget(groups, backlog.kept);
  self.cursor = backlog.kept;
}

function forgetState(self: Accumulator, from: u32, to: u32): void {
  const stride: usize = self.stride;
  const count: usize = max(from, min(to, self.capacity)) - from;
  // The second of a pair lies in the first one's array.
  if (self.values != 0 && self.follows == 0) memory.fill(self.values + <usize>from * stride, 0, count * stride);
  if (self.family == <u32>Family.SUM_EXACT && self.heads != 0)
    memory.fill(self.heads + ((<usize>from) << 2), 0, count << 2);
}
