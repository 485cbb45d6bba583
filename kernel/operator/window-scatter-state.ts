// What a windowed aggregation holds of scattered rows (window-scatter.ts): one aggregation for all slices, and the
// slices' ordinals in it.
//
// Slices are numbered as they come, so that their last one can be computed with where groups are, whatever lies
// between them; a table by their distance from a first one gives a slice's ordinal by one load.

import { regionBlock, regionCut, regionFree } from "../memory/region";

// @ts-ignore: decorator
@unmanaged
export class Scatter {
  /** The aggregation: 0 while there are no rows. */
  state: usize;
  /** Its configuration, and the vector of its last key. */
  config: usize;
  keys: usize;
  /** The ordinal (u32) + 1 of each slice from `first` on, 0 where it has none; for how many there is room. */
  table: usize;
  first: i64;
  room: u32;
  /** Slices with an ordinal, and the least and the greatest of them. */
  count: u32;
  low: i64;
  high: i64;
  /** 1 while groups leave or are folded; the slice whose turn it is. */
  begun: u32;
  slice: i64;
  /** The next group of that slice: its number, or, where groups are listed by slice, its place in the list. */
  next: u32;
  /** Where numbers are looked up: groups (u32) by slice, and where those of each ordinal begin, and end. */
  order: usize;
  starts: usize;
}

export const SCATTER_SIZE: usize = 96;
/** Slices between the first and the last, at most: what an hour has of milliseconds, half a month of seconds. */
const SLICES_MOST: u64 = 1 << 20;
const TABLE_MIN: u64 = 1024;

// @ts-ignore: decorator
@inline
export function scatterOf(address: usize): Scatter {
  return changetype<Scatter>(address);
}

/** The aggregation behind the scatter at `address`, which may be 0; 0 when it has no rows. */
// @ts-ignore: decorator
@inline
export function scatterAggregation(address: usize): usize {
  return address == 0 ? 0 : scatterOf(address).state;
}

/** The ordinal of a slice from `low` to `high`, + 1; 0 = none. */
// @ts-ignore: decorator
@inline
export function scatterOrdinal(scatter: Scatter, slice: i64): u32 {
  return load<u32>(scatter.table + (<usize>(slice - scatter.first) << 2));
}

/** Whether slices from `low` to `high` can have ordinals beside those that have any in the scatter at `address`, 0 for none. */
export function scatterReaches(address: usize, low: i64, high: i64): bool {
  if (address != 0 && scatterOf(address).count != 0) {
    low = min<i64>(low, scatterOf(address).low);
    high = max<i64>(high, scatterOf(address).high);
  }
  return <u64>high - <u64>low < SLICES_MOST;
}

/** Room in the table for slices from `low` to `high`, which it reaches. False when out of memory. */
export function scatterReserveSlices(region: usize, scatter: Scatter, low: i64, high: i64): bool {
  const any = scatter.count != 0;
  const from = any ? min<i64>(low, scatter.low) : low;
  const to = any ? max<i64>(high, scatter.high) : high;
  if (scatter.room != 0 && from >= scatter.first && <u64>to - <u64>scatter.first < <u64>scatter.room) return true;
  const need = <u64>to - <u64>from + 1;
  const room = <u32>max<u64>(need + (need >> 1), TABLE_MIN);
  const spare = min<u64>(<u64>room - need, <u64>from - <u64>i64.MIN_VALUE);
  // Time goes on, as a rule; where it goes back there is room before.
  const first = any && low < scatter.low ? from - <i64>spare : from;
  const table = regionBlock(region, (<usize>room) << 2);
  if (table == 0) return false;
  memory.fill(table, 0, (<usize>room) << 2);
  if (any) {
    const at = (<usize>(scatter.low - first)) << 2;
    const old = scatter.table + ((<usize>(scatter.low - scatter.first)) << 2);
    memory.copy(table + at, old, ((<usize>(scatter.high - scatter.low)) << 2) + 4);
  }
  regionFree(region, scatter.table);
  scatter.table = table;
  scatter.first = first;
  scatter.room = room;
  return true;
}

/** Takes the ordinals from `count` on back; `low` and `high` are those from before them. */
export function scatterForget(scatter: Scatter, count: u32, low: i64, high: i64): void {
  if (scatter.count == count) return;
  for (let slice = scatter.low; slice <= scatter.high; slice++) {
    if (scatterOrdinal(scatter, slice) > count)
      store<u32>(scatter.table + (<usize>(slice - scatter.first) << 2), 0);
  }
  scatter.count = count;
  scatter.low = low;
  scatter.high = high;
}

/** Makes what an operator has of it once; 0 when out of memory. */
export function scatterCreate(region: usize): usize {
  return regionCut(region, SCATTER_SIZE);
}
