// Keys of a stream's join that lie close together, as numbered rows of a table do: their numbers are computed then, where
// a batch would have known that before the first look-up.
//
// Nothing is known of keys that are still to come. So they are looked up at first, and whenever the table has grown by a
// good part, it is seen how far apart its keys lie. Where a range of them would be a quarter full or more, the heads of both
// sides, which are all that goes by number, are laid out anew: values in the range are numbered by their distance, with
// some room on either side, and the table begins anew for those that come outside of it. When these have become many,
// the range is made wider, or they stay where they are. Each time what is moved is no more than has come since, times four,
// so that moving costs some nanoseconds a row in all. Where memory does not do for a second set of heads nothing changes.
//
// A key that lies far from the others (0 for none, say, among numbers from a million on) when the range is made keeps all of
// them looked up; one that comes afterwards is looked up alone.
//
// When one side has ended, and rows of the other still come, all keys that can be met are known. If they are in the table then,
// be they too few to have been looked at or scattered among the other side's, they are numbered as in a batch.
//
// A join by time, which keeps the number of each row, computes them from the next generation on (join-compact.ts).
//
// Measured with two streams of 5 million rows, each key once a side, in batches of 65,536: 0.45 of the time of looking
// them up, which is two or three cache misses a row where a head is one; 1.7 to 2.5 times (by machine) that of the same join
// as a batch, which keeps one side only.

import {
  KeyTier,
  Keys,
  keysAreMany,
  keysBounds,
  keysBoundsHeld,
  keysGreatest,
  keysLeast,
  keysLookLater,
  keysLooked,
  keysMayRange,
  keysMove,
  keysRange,
  keysSettle,
} from "../join/keys";
import { Store } from "../join/store";
import { regionBlock, regionFree } from "../memory/region";
import { DENSE_MOST, DENSE_PER_ROW, Join, joinBounds, joinBoundsBegin, joinDenseRange, joinHeadCount, joinHeads } from "./join-state";

/** Between two pushes that keep rows: computes the numbers of keys from now on, where that pays and memory allows. */
export function joinTighten(self: Join): void {
  const keys = changetype<Keys>(self.keys);
  if (!keysAreMany(keys)) return;
  const table = keysLooked(keys);
  const known = table + (keys.tier == <u32>KeyTier.RANGE ? used(self, keys.range) : 0);
  joinBoundsBegin(self, 0);
  keysBounds(keys, joinBounds(self, 0));
  const range = chosenRange(self, keys, known);
  if (range == 0) {
    // As soon as they would do, if none came beyond; after as many again at the latest.
    const wanted = self.high0 < self.low0 ? known : <u64>(self.high0 - self.low0) / DENSE_PER_ROW + 1;
    return keysLookLater(keys, <u32>min<u64>(wanted - min<u64>(known, wanted), table));
  }
  if (!lay(self, keys, self.low0, range, known)) keysLookLater(keys, table);
}

/** Lets keys without any compute numbers from the first on, where `known` ones within the bounds that were collected do for it. */
export function joinBeginRange(self: Join, known: u32): void {
  const keys = changetype<Keys>(self.keys);
  const range = chosenRange(self, keys, known);
  if (range != 0) keysRange(keys, self.low0, range, known);
}

/** A side has ended, and all its rows are indexed: computes the numbers of its keys, where they lie close together and memory allows. */
export function joinSettle(self: Join, port: u32): void {
  const keys = changetype<Keys>(self.keys);
  if (keys.tier != <u32>KeyTier.HASH || !keysMayRange(keys)) return;
  const bounds = joinBounds(self, port);
  joinBoundsBegin(self, port);
  keysBoundsHeld(keys, joinHeads(self, port), joinHeadCount(self, port), bounds);
  const low = load<i64>(bounds);
  // No row has a key that anything equals, or null alone.
  if (load<i64>(bounds, 8) < low) return;
  const range = joinDenseRange(self, port);
  const fresh: usize = range == 0 ? 0 : freshHeads(self, range);
  if (fresh == 0) return;
  move(self, keys, port, fresh, low, range);
  keysSettle(keys, low, range);
  setHeads(self, port, fresh, range);
}

/** How many values a range takes in which `known` keys lie as bounded, with some room; `low0` is its least then. 0: too many. */
function chosenRange(self: Join, keys: Keys, known: u32): u32 {
  const most = min<u64>(DENSE_MOST, <u64>known * DENSE_PER_ROW);
  const distance = <u64>(self.high0 - self.low0);
  if (self.high0 < self.low0 || distance >= most) return 0;
  const room = min<u64>(known >> 1, (most - distance) >> 1);
  const below = min<u64>(room, <u64>(self.low0 - keysLeast(keys)));
  const above = min<u64>(room, <u64>(keysGreatest(keys) - self.high0));
  self.low0 -= <i64>below;
  return <u32>(distance + below + above) + 1;
}

/** Numbers of a range that have rows. */
function used(self: Join, range: u32): u32 {
  let count: u32 = 0;
  for (let at: usize = 0; at < (<usize>range) << 2; at += 4)
    count += (load<u32>(self.heads0 + at) | load<u32>(self.heads1 + at)) != 0 ? 1 : 0;
  return count;
}

/** Numbers the keys by their distance from `low`. False when out of memory, with nothing changed. */
function lay(self: Join, keys: Keys, low: i64, range: u32, known: u32): bool {
  const fresh0 = freshHeads(self, range);
  const fresh1: usize = fresh0 == 0 ? 0 : freshHeads(self, range);
  if (fresh1 == 0) {
    regionFree(changetype<Store>(self.store0).region, fresh0);
    return false;
  }
  move(self, keys, 0, fresh0, low, range);
  move(self, keys, 1, fresh1, low, range);
  keysRange(keys, low, range, known);
  setHeads(self, 0, fresh0, range);
  setHeads(self, 1, fresh1, range);
  return true;
}

/** Heads for a range, null and one behind the last (see linkOf), all of no row; 0 when out of memory. */
function freshHeads(self: Join, range: u32): usize {
  const bytes = (<usize>range + 2) << 2;
  const fresh = regionBlock(changetype<Store>(self.store0).region, bytes);
  if (fresh != 0) memory.fill(fresh, 0, bytes);
  return fresh;
}

function setHeads(self: Join, port: u32, fresh: usize, range: u32): void {
  if (port == 0) {
    self.heads0 = fresh;
    self.headCount0 = range + 1;
  } else {
    self.heads1 = fresh;
    self.headCount1 = range + 1;
  }
}

function move(self: Join, keys: Keys, port: u32, fresh: usize, low: i64, range: u32): void {
  const heads = joinHeads(self, port);
  keysMove(keys, heads, joinHeadCount(self, port), fresh, low, range);
  regionFree(changetype<Store>(self.store0).region, heads);
}
