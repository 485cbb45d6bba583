// Sharing results: an aggregation that has ended gives its results to several others, which several threads pull.
//
// A reader is an aggregation of the same configuration without rows. It copies the heads of the owner's groups, keys and
// accumulators, not what they point to, and has an output, a list and buffers of its own: as its groups end where its
// part does, and its cursor stands where that begins, it is pulled like any other. Nothing that is pulled changes what
// readers share; aggregates of which that is not so (values that are put in order first, sketches) are not shared.
//
// Parts are of equally many group numbers, but those that the keys' range leaves out. The owner must not go while
// readers are pulled; one that has is noticed by the reader's next call.

import { Reason, Status } from "../abi/status";
import { ACCUMULATOR_SIZE, Accumulator, Family } from "../aggregate/accumulator";
import { directBoundary } from "../group/direct";
import { KEY_COLUMN_SIZE } from "../group/key-column";
import { GROUPS_SIZE, groupsKey } from "../group/state";
import { contextRoot, fail } from "../memory/context";
import { waitingRows } from "./aggregate-waiting";
import { aggregateCombines } from "./aggregate-combine";
import { aggregateIsDraining } from "./aggregate-drain";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { ENDED, Operator, handleAt } from "./operator";

/** Whether the results of aggregations of this kind can be shared. */
export function aggregateShares(operator: usize): bool {
  const self = aggregationOf(operator);
  if (groupsOf(self).keyCount == 0 || self.fedCount != 0 || self.division != 0 || self.owner != 0) return false;
  if (!aggregateCombines(operator) || aggregateIsDraining(operator)) return false;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    if (!isRead(accumulatorAt(self, index).family)) return false;
  }
  return true;
}

/** Whether results of a family are read without changing it. */
function isRead(family: u32): bool {
  switch (family) {
    case Family.LOG:
    case Family.LOG_TEXT:
    case Family.SKETCH:
    case Family.CARDINALITY:
      return false;
    default:
      return true;
  }
}

/** Makes an aggregation without rows give part `part` of `parts` of the results of `source`, of that handle. NEED_INPUT, or an error. */
export function aggregateShare(context: usize, operator: usize, source: usize, handle: u32, part: u32, parts: u32): i32 {
  const self = aggregationOf(operator);
  const owner = aggregationOf(source);
  if (!aggregateShares(source)) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (self.configHash != owner.configHash) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  const head = changetype<Operator>(operator);
  const isEmpty = head.rowsIn == 0 && head.ended == 0 && self.owner == 0 && groupsOf(self).count == 0;
  const isReady = changetype<Operator>(source).ended == ENDED && waitingRows(source) == 0;
  if (!isEmpty || !isReady) return fail(context, Status.BUSY, Reason.NONE);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) copyAccumulator(self, owner, index);
  copyGroups(self, owner);
  self.reserved = owner.reserved;
  self.cursor = directBoundary(groupsOf(owner), owner.cursor, part, parts);
  groupsOf(self).count = directBoundary(groupsOf(owner), owner.cursor, part + 1, parts);
  self.owner = handle;
  head.ended = 1;
  return Status.NEED_INPUT;
}

function copyAccumulator(self: Aggregation, owner: Aggregation, index: u32): void {
  const to = accumulatorAt(self, index);
  const region = to.region;
  const scratch = to.scratch;
  const buffer = to.buffer;
  const bufferCapacity = to.bufferCapacity;
  const presence = to.presence;
  memory.copy(changetype<usize>(to), changetype<usize>(accumulatorAt(owner, index)), ACCUMULATOR_SIZE);
  to.region = region;
  to.scratch = scratch;
  to.buffer = buffer;
  to.bufferCapacity = bufferCapacity;
  to.presence = presence;
  // Its own, as the owner's lies: only whether there is one tells where lanes are.
  if (to.pair != 0) to.pair = to.pair - owner.accumulators + self.accumulators;
}

function copyGroups(self: Aggregation, owner: Aggregation): void {
  const groups = groupsOf(self);
  const region = groups.region;
  const keys = groups.keys;
  const packed = groups.packed;
  const tags = groups.tags;
  memory.copy(changetype<usize>(groups), changetype<usize>(groupsOf(owner)), GROUPS_SIZE);
  groups.region = region;
  groups.keys = keys;
  groups.packed = packed;
  groups.tags = tags;
  if (groups.counts != 0) groups.counts = self.rowsCounter + offsetof<Accumulator>("values");
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    const buffer = key.buffer;
    memory.copy(changetype<usize>(key), changetype<usize>(groupsKey(groupsOf(owner), index)), KEY_COLUMN_SIZE);
    key.buffer = buffer;
    // A dictionary lives as long as the results that refer to it.
    key.dictionary = 0;
    key.dictionaryRows = 0;
  }
}

/** Whether it gives results of another, and whether that is still there. */
export function aggregateReads(operator: usize): bool {
  return aggregationOf(operator).owner != 0;
}

export function aggregateIsSound(context: usize, operator: usize): bool {
  const owner = aggregationOf(operator).owner;
  return owner == 0 || handleAt(contextRoot(context), owner) != 0;
}
