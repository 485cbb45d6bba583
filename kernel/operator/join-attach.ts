// Attaching: one join looks up what another has kept, so that several workers probe one build side.
//
// The build side of a batch is complete before the first row of the other side comes: from then on it is only read, but
// for the bytes that tell which rows were matched, which are only ever set to 1. A reader is a join of the same
// configuration that copies the heads of the owner's structures (store, chains, table, interners), not what they
// point to, and has a program, buffers and a result of its own. It takes rows on the other port only, and never
// ends: the owner, which the readers have marked the matched rows of, gives what follows from the end.
//
// The owner must not go, nor be ended, while readers work; one that has is noticed by the reader's next call.

import { JoinFlag } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { INTERNER_SIZE, Interner } from "../group/interner";
import { ROW_TABLE_SIZE } from "../group/row-table";
import { Groups, groupsKey } from "../group/state";
import { KeyTier, Keys } from "../join/keys";
import { STORE_SIZE, Store, storeColumn, storeDictionary } from "../join/store";
import { contextRoot, fail, failMemory } from "../memory/context";
import { handleAt } from "./operator";
import {
  Join,
  Phase,
  joinClosed,
  joinEnded,
  joinFilters,
  joinHeadCount,
  joinHeads,
  joinOf,
  joinStore,
} from "./join-state";

/** Makes a join without rows a reader of what `source`, of that handle, has kept on `port`. NEED_INPUT, or an error. */
export function joinAttach(context: usize, operator: usize, source: usize, handle: u32, port: u32): i32 {
  const self = joinOf(operator);
  const owner = joinOf(source);
  if (port > 1) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_PORT);
  // Whether a row of port 0 leaves because of one of port 1 depends on all that came before.
  const alone = (self.time | owner.time | self.changes | owner.changes) != 0;
  if (alone || (joinFilters(self) && port == 0))
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (!isAlike(self, owner)) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  const isReady = joinClosed(owner, port) && !joinEnded(owner, 1 - port) && owner.owner == 0;
  if (!isReady || !isEmpty(self)) return fail(context, Status.BUSY, Reason.NONE);
  const kept = joinStore(owner, port);
  for (let index: u32 = 0; index < kept.columnCount && self.codes != 0; index++) {
    // Made now, because readers must not.
    const coded = kept.rows != 0 && storeColumn(kept, index).coded != 0;
    if (coded && storeDictionary(kept, index) == 0) return failMemory(context, 0);
  }
  memory.copy(changetype<usize>(joinStore(self, port)), changetype<usize>(kept), STORE_SIZE);
  if (port == 0) {
    self.heads0 = owner.heads0;
    self.headCount0 = owner.headCount0;
    self.duplicates0 = owner.duplicates0;
    self.indexed0 = owner.indexed0;
    self.ended0 = 1;
    self.closed0 = 1;
  } else {
    self.heads1 = owner.heads1;
    self.headCount1 = owner.headCount1;
    self.duplicates1 = owner.duplicates1;
    self.indexed1 = owner.indexed1;
    self.some1 = owner.some1;
    self.nulls1 = owner.nulls1;
    self.ended1 = 1;
    self.closed1 = 1;
  }
  attachKeys(changetype<Keys>(self.keys), changetype<Keys>(owner.keys));
  self.owner = handle;
  return Status.NEED_INPUT;
}

/** Whether both are of one configuration, as far as what is shared goes. */
function isAlike(self: Join, owner: Join): bool {
  const flags = ~(<u32>JoinFlag.BUILD_FIRST);
  if (self.type != owner.type || (self.flags & flags) != (owner.flags & flags) || self.fault != owner.fault) return false;
  if (self.keyCount != owner.keyCount || (self.codes == 0) != (owner.codes == 0)) return false;
  for (let index: u32 = 0; index < self.keyCount; index++) {
    const mine = groupsKey(changetype<Groups>(changetype<Keys>(self.keys).groups), index);
    const theirs = groupsKey(changetype<Groups>(changetype<Keys>(owner.keys).groups), index);
    if (mine.type != theirs.type) return false;
  }
  return sameColumns(joinStore(self, 0), joinStore(owner, 0)) && sameColumns(joinStore(self, 1), joinStore(owner, 1));
}

/** Where they lie in a row may differ: a store that has rows may hold texts as ids, and is taken over with its layout. */
function sameColumns(mine: Store, theirs: Store): bool {
  if (mine.columnCount != theirs.columnCount) return false;
  for (let index: u32 = 0; index < mine.columnCount; index++) {
    const a = storeColumn(mine, index);
    const b = storeColumn(theirs, index);
    if (a.type != b.type || a.output != b.output) return false;
  }
  return true;
}

function isEmpty(self: Join): bool {
  return (
    self.phase == <u32>Phase.IDLE &&
    self.owner == 0 &&
    (self.ended0 | self.ended1) == 0 &&
    (joinStore(self, 0).rows | joinStore(self, 1).rows) == 0
  );
}

function attachKeys(self: Keys, owner: Keys): void {
  self.tier = owner.tier;
  self.range = owner.range;
  self.low = owner.low;
  if (self.tier == <u32>KeyTier.NONE) return;
  const mine = changetype<Groups>(self.groups);
  const theirs = changetype<Groups>(owner.groups);
  memory.copy(mine.table, theirs.table, ROW_TABLE_SIZE);
  mine.count = theirs.count;
  mine.nullGroup = theirs.nullGroup;
  for (let index: u32 = 0; index < self.count; index++) {
    const address = groupsKey(mine, index).interner;
    if (address == 0) continue;
    const interner = changetype<Interner>(address);
    const region = interner.region;
    const scratch = interner.scratch;
    memory.copy(address, groupsKey(theirs, index).interner, INTERNER_SIZE);
    interner.region = region;
    interner.scratch = scratch;
    interner.dictionaryId = 0;
    interner.remap = 0;
    interner.remapLength = 0;
    interner.identity = 0;
  }
}

/** Whether it reads what another join keeps: then it is not ended. */
export function joinReads(operator: usize): bool {
  return joinOf(operator).owner != 0;
}

/** Whether what it reads, if it reads, is still there. */
export function joinIsSound(context: usize, operator: usize): bool {
  const self = joinOf(operator);
  if (self.owner == 0) return true;
  const source = handleAt(contextRoot(context), self.owner);
  if (source == 0) return false;
  const owner = joinOf(source);
  const port: u32 = self.closed1;
  return (
    joinClosed(owner, port) &&
    !joinClosed(owner, 1 - port) &&
    joinHeads(owner, port) == joinHeads(self, port) &&
    joinHeadCount(owner, port) == joinHeadCount(self, port)
  );
}
