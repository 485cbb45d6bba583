// What is known of the groups: shared by the files that assign numbers to rows and keys to groups.

import { Abi } from "../abi/layout";
import { KEY_COLUMN_SIZE, KeyColumn } from "./key-column";

export const enum Tier {
  NONE = 0,
  /** Keys exist, no row has come: the first one decides. */
  UNDECIDED = 1,
  DIRECT = 2,
  HASH = 3,
}

export const ROWS: u32 = Abi.VECTOR_ROWS;
export const MAX_KEYS: u32 = 32;
export const NO_GROUP: u32 = 0xffffffff;

// @ts-ignore: decorator
@unmanaged
export class Groups {
  region: usize;
  keys: usize;
  keyCount: u32;
  tier: u32;
  /** Group numbers given so far, holes included. */
  count: u32;
  fault: u32;
  /**
   * DIRECT: one byte a group, 1 where it has rows. Kept for groups below `holesBelow` after the change to
   * HASH.
   */
  occupied: usize;
  occupiedCapacity: u32;
  holesBelow: u32;
  /** HASH: the row table, and bytes of a packed row. */
  table: usize;
  rowWidth: u32;
  /** Offset of the null mask in a packed row; NO_GROUP when the row has none (one 8-byte key). */
  maskOffset: u32;
  /** Group of the null key where the row has no mask; NO_GROUP until it comes. */
  nullGroup: u32;
  /** VECTOR_ROWS packed rows, and as many tags. */
  packed: usize;
  tags: usize;
  /**
   * DIRECT: which combinations of keys in range are known to have rows (`Full` of direct.ts), so that vectors
   * of such mark nothing; rows marked since that was last looked at.
   */
  full: u32;
  marked: u32;
  /** The combination that had no rows then, those before it had; of so many. */
  lacking: u32;
  lackingOf: u32;
  /** `RowCounts` where an accumulator counts the rows of each group: it then tells holes, and no bytes are kept. 0 = none. */
  counts: usize;
  /** Groups of the same keys that lend their buffers for one vector, and 1 where few groups are likely. */
  like: usize;
  small: u32;
  /** HASH: 1 where every row becomes a group of its own, without being looked up (its null key apart). */
  appends: u32;
  /** 1 where numbers are always looked up: a group without rows may still have a state. */
  looksUp: u32;
  /**
   * `Vector` (U32) of a last key that is no output of the program (its output is NO_GROUP): numbers from 0 on, of
   * which there are `ordinals`. 0 = none.
   */
  extra: usize;
  ordinals: u32;
  /** Rows that are likely to come, as the host says or as they came to other groups like these; 0 where nothing is known. */
  expected: u32;
  /** What a group can take of memory, with what is kept for it; 0 where nothing is expected, or nobody asks. */
  bytes: u32;
  /** HASH: how keys lie in one word each (packing.ts); 0: as pack.ts lays them out. */
  packing: usize;
}

export const GROUPS_SIZE: usize = 128;

/** Where an accumulator has the rows of each group (i64 each), the distance from group to group, and for how many: part of it. */
// @ts-ignore: decorator
@unmanaged
export class RowCounts {
  values: usize;
  stride: u32;
  capacity: u32;
}

// @ts-ignore: decorator
@inline
export function groupsKey(groups: Groups, index: u32): KeyColumn {
  return changetype<KeyColumn>(groups.keys + <usize>index * KEY_COLUMN_SIZE);
}

/** Keys that are outputs of the program. */
// @ts-ignore: decorator
@inline
export function groupsOwnKeys(groups: Groups): u32 {
  return groups.keyCount - <u32>(groups.extra != 0);
}

/** Whether a group number has rows (or is the one group of an ungrouped aggregation). */
// @ts-ignore: decorator
@inline
export function groupsIsOccupied(groups: Groups, group: u32): bool {
  if (group >= groups.holesBelow) return true;
  if (groups.counts == 0) return load<u8>(groups.occupied + <usize>group) != 0;
  const counts = changetype<RowCounts>(groups.counts);
  return load<i64>(counts.values + <usize>group * <usize>counts.stride) != 0;
}
