// Listing groups that have rows, in the order of their numbers: no branch depends on which have.

import { directGap } from "./direct";
import { Groups, RowCounts } from "./state";

/** As `groupsListBetween` from the first one on, but goes past the numbers that cannot have rows. */
export function groupsListFrom(groups: Groups, list: usize, limit: u32, from: u32, to: u32): u32 {
  const gap = directGap(groups);
  const rows = groupsListBetween(groups, list, 0, limit, from, min(<u32>gap, to));
  return groupsListBetween(groups, list, rows, limit, max(from, <u32>(gap >> 32)), to);
}

/**
 * Lists those of the groups [from, to) that have rows, u32 each, behind `rows` that are listed already, until there are
 * `limit`. How many are then.
 */
export function groupsListBetween(groups: Groups, list: usize, rows: u32, limit: u32, from: u32, to: u32): u32 {
  let group = from;
  const holes = min(to, groups.holesBelow);
  if (groups.counts == 0) {
    const occupied = groups.occupied;
    for (; group < holes && rows < limit; group++) {
      store<u32>(list + ((<usize>rows) << 2), group);
      rows += <u32>(load<u8>(occupied + <usize>group) != 0);
    }
  } else {
    const stride: usize = changetype<RowCounts>(groups.counts).stride;
    let at = changetype<RowCounts>(groups.counts).values + <usize>group * stride;
    for (; group < holes && rows < limit; group++) {
      store<u32>(list + ((<usize>rows) << 2), group);
      rows += <u32>(load<i64>(at) != 0);
      at += stride;
    }
  }
  for (; group < to && rows < limit; group++) {
    store<u32>(list + ((<usize>rows) << 2), group);
    rows++;
  }
  return rows;
}

/** How many groups have rows. */
export function groupsOccupied(groups: Groups): u32 {
  const holes = min(groups.count, groups.holesBelow);
  let count: u32 = groups.count - holes;
  if (groups.counts == 0) {
    for (let at = groups.occupied; at < groups.occupied + <usize>holes; at++) count += <u32>(load<u8>(at) != 0);
    return count;
  }
  const counts = changetype<RowCounts>(groups.counts);
  const stride: usize = counts.stride;
  // A push that has found no memory for counts may have brought numbers into reach before: none of these has rows.
  const end = counts.values + <usize>min(holes, counts.capacity) * stride;
  for (let at = counts.values; at < end; at += stride) count += <u32>(load<i64>(at) != 0);
  return count;
}
