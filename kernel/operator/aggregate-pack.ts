// Packing alike: several operators that share one aggregation's rows keep keys in the same words (group/packing.ts), so that
// what one has set aside another can look up, and is a fraction of the bytes.
//
// Not where texts are numbered by each operator in its own way: then words would not mean the same.
//
// The host says when (`op_pack`): first to the operator that has seen the first rows, where these are set aside from then on;
// it lays its words out by the groups that it has. Then to the others, before they have any: these set aside from their first row
// on. Keys that have no place in their words are in one partition of each operator, and whoever takes that gives them rows of
// his own. Where so many are apart that an operator's rows are wide again, those of all others are, too, when they are
// divided: what they have set aside is worked off then, by each its own.
//
// 10 M rows by three texts and three integers, nearly each a group, two workers: 0.78 of the time of the whole query.

import { AggregateFault } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { copyFollow, copyLearntOne } from "../group/copy";
import { packingBegin, packingFollow } from "../group/packing";
import { Groups, Tier } from "../group/state";
import { fail, failMemory } from "../memory/context";
import { backlogIsOpen, backlogRows, createBacklog, mayBeSetAside } from "./aggregate-backlog";
import { aggregationOf, groupsOf } from "./aggregation";
import { Operator } from "./operator";

/** HAS_MORE where keys are words from now on, or have been; NEED_INPUT where they are not. */
export function aggregatePack(operator: usize): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (groups.packing != 0) return Status.HAS_MORE;
  if (!backlogIsOpen(operator) || backlogRows(operator) != 0 || !copyLearntOne(groups, groups)) return Status.NEED_INPUT;
  const fault = (self.fault & <u32>AggregateFault.SET_ASIDE) != 0;
  packingBegin(groups, fault);
  if (groups.packing == 0) return Status.NEED_INPUT;
  self.backlog = 0;
  createBacklog(operator, fault);
  return Status.HAS_MORE;
}

/** The same, as another operator of this configuration has packed its keys; this one has had no rows. Or an error. */
export function aggregatePackLike(context: usize, operator: usize, other: usize): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const like = groupsOf(aggregationOf(other));
  if (changetype<Operator>(operator).rowsIn != 0 || groups.count != 0 || groups.tier != <u32>Tier.UNDECIDED)
    return fail(context, Status.BUSY, Reason.NONE);
  if (like.packing == 0 || !mayBeSetAside(self)) return Status.NEED_INPUT;
  const followed = copyFollow(groups, like);
  // unreached: it knows no texts
  if (followed == 0) return Status.NEED_INPUT;
  if (followed < 0) return failMemory(context, 0);
  const packed = packLike(context, operator, like);
  if (packed < 0) return packed;
  createBacklog(operator, (self.fault & <u32>AggregateFault.SET_ASIDE) != 0);
  return Status.HAS_MORE;
}

/** Lays keys out as in `like` where there are no groups yet. 0, or an error. */
export function packLike(context: usize, operator: usize, like: Groups): i32 {
  const groups = groupsOf(aggregationOf(operator));
  if (groups.count != 0 || backlogIsOpen(operator)) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  if (!packingFollow(groups, like)) return failMemory(context, 0);
  groups.tier = Tier.HASH;
  return 0;
}
