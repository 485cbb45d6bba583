// The partition of 256 that groups belong to by the top byte of their packed rows' tags, as rows that are set aside do
// (operator/aggregate-backlog.ts): the same in all operators of one seed. A text is its hash here, not its id, unless
// ids mean the same in all of them.

import { directCode } from "./direct";
import { groupsRowTags, packDirect } from "./groups";
import { internedHash } from "./interner";
import { rowTableRow } from "./row-table";
import { Groups, NO_GROUP, ROWS, Tier, groupsIsOccupied, groupsKey } from "./state";
import { copyBytes } from "../memory/copy";

/** Writes the partitions of all groups, a byte each; `hashed` says that texts are to be their hashes. */
export function groupsTops(groups: Groups, tops: usize, hashed: bool): void {
  for (let first: u32 = 0; first < groups.count; first += ROWS)
    partition(groups, first, min(ROWS, groups.count - first), tops, hashed);
}

/** The same for `count` groups from `first` on. */
function partition(groups: Groups, first: u32, count: u32, tops: usize, hashed: bool): void {
  let rows = rowTableRow(groups.table, first);
  if (groups.tier != <u32>Tier.HASH || hashed) {
    rows = groups.packed;
    const width: usize = max<u32>(8, groups.rowWidth);
    for (let index: u32 = 0; index < count; index++)
      packGroup(groups, first + index, rows + <usize>index * width, hashed);
  }
  const tags = groupsRowTags(groups, rows, count);
  for (let index: u32 = 0; index < count; index++) {
    const part = isNullAlone(groups, first + index) ? 0 : load<u32>(tags + ((<usize>index) << 2)) >> 24;
    store<u8>(tops + <usize>(first + index), <u8>part);
  }
}

/**
 * Whether a group's only key is null, and without a mask: it has no value, and so no hash, and belongs to partition 0 as
 * such rows do that were set aside. One aggregation may have it by its code, another by its number.
 */
function isNullAlone(groups: Groups, group: u32): bool {
  if (groups.maskOffset != NO_GROUP) return false;
  if (groups.tier == <u32>Tier.HASH) return group == groups.nullGroup;
  return directCode(groupsKey(groups, 0), group) == 0;
}

/** The packed row of a group, `hashed` with hashes in place of texts' ids. A null key without a mask is not told from 0. */
function packGroup(groups: Groups, group: u32, row: usize, hashed: bool): void {
  const width: usize = groups.rowWidth;
  if (!groupsIsOccupied(groups, group)) {
    memory.fill(row, 0, width);
    return;
  }
  if (groups.tier == <u32>Tier.HASH) copyBytes(row, rowTableRow(groups.table, group), width);
  else packDirect(groups, group, row);
  for (let index: u32 = 0; index < groups.keyCount && hashed; index++) {
    const key = groupsKey(groups, index);
    if (key.interner == 0 || (load<u32>(row + <usize>groups.maskOffset) >> index) & 1) continue;
    const at = row + <usize>key.offset;
    store<u32>(at, internedHash(key.interner, load<u32>(at)));
  }
}
