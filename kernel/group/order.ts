// Groups in the order of a mark that each of them has, such as the partition that its keys belong to.

import { Groups, groupsIsOccupied } from "./state";

// @ts-ignore: decorator
@inline
function at32(table: usize, index: u32): usize {
  return table + ((<usize>index) << 2);
}

/**
 * Lists the groups that have rows by their marks, a byte each at `marks` and below `parts`, by a counting sort. `order`
 * takes the groups, u32 each; `starts` where each mark's begin there, u32, one more than there are marks.
 */
export function groupsByMark(groups: Groups, marks: usize, parts: u32, order: usize, starts: usize): void {
  memory.fill(starts, 0, (<usize>parts + 1) << 2);
  for (let group: u32 = 0; group < groups.count; group++) {
    if (!groupsIsOccupied(groups, group)) continue;
    const count = at32(starts, load<u8>(marks + <usize>group));
    store<u32>(count, load<u32>(count) + 1);
  }
  let start: u32 = 0;
  for (let part: u32 = 0; part <= parts; part++) {
    const count = load<u32>(at32(starts, part));
    store<u32>(at32(starts, part), start);
    start += count;
  }
  for (let group: u32 = 0; group < groups.count; group++) {
    if (!groupsIsOccupied(groups, group)) continue;
    const next = at32(starts, load<u8>(marks + <usize>group));
    const place = load<u32>(next);
    store<u32>(at32(order, place), group);
    store<u32>(next, place + 1);
  }
  // Each start is now the next one's: back again.
  for (let part = parts; part > 0; part--) store<u32>(at32(starts, part), load<u32>(at32(starts, part - 1)));
  store<u32>(starts, 0);
}
