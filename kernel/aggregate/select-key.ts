// The key of a given rank among 64-bit order keys, without moving any of them.
//
// Keys are counted by their eight highest bits that differ at all; only the bucket that holds the rank is looked at
// then, by the bits that follow, first where its keys are and, once they are few, gathered. So a selection takes three
// passes over keys that are spread, and nine over any. (Allison and Noga, "Selection by distributive partitioning",
// 1980.)
//
// Groups are often alike: the key is looked for first in the band of keys around the one found last, which one pass
// counts and gathers. It was wide enough for the same rank of a sample of the same keys, some 4 roots of their number. Where the
// key is not in it, the selection goes on as above, and looks at bands less and less often. So medians of 1,000 values take 0.5
// of the time where groups are alike.
//
// Tried and lost: quickselect in place, whose comparisons no branch predictor foresees; it remains for small groups and
// 128-bit values (value-log.ts).

import { extreme } from "./minmax";

const BUCKETS: u32 = 256;
const BUCKET_BITS: u64 = 8;
/** Most keys that are gathered, and most among which the rank is found one by one. */
const KEPT: u32 = 1024;
const FEW: u32 = 16;
const COUNTS_BYTES: usize = (<usize>BUCKETS) << 2;
/** Scratch: a count a bucket, the gathered keys and one more, and the key that was selected. */
const SELECTED: usize = COUNTS_BYTES + ((<usize>KEPT + 1) << 3);
/**
 * And the band [low, low + range], where the keys gathered from it end, and how often it has missed: what another call
 * left, which decides about time alone.
 */
const BAND_LOW: usize = SELECTED + 8;
const BAND_RANGE: usize = BAND_LOW + 8;
const BAND_END: usize = BAND_RANGE + 8;
const MISSES: usize = BAND_END + 4;
export const SELECT_SCRATCH: usize = MISSES + 4;
/** The band's ranks on either side of the one asked for, in roots of the number of keys. */
const SPREAD: f64 = 2;
const NOWHERE: u32 = 0xffffffff;
/** However often a band has missed, every so often it is tried again. */
const MOST_MISSES: u32 = 16;

/** Address, in `scratch`, of the key of rank `rank` (0 = least) among the `count` keys at `keys`. */
export function selectKey(keys: usize, count: u32, rank: u32, scratch: usize): usize {
  const target = scratch + SELECTED;
  store<i64>(target, find(keys, count, rank, scratch));
  return target;
}

/** The same for the key of rank `rank` + 1, which exists; `selected` is the address that `selectKey` answered. */
export function selectNext(keys: usize, count: u32, rank: u32, selected: usize): usize {
  const key = load<i64>(selected);
  let upTo: u32 = 0;
  let next = i64.MAX_VALUE;
  let at = keys;
  const end = keys + ((<usize>count) << 3);
  if (ASC_FEATURE_SIMD) {
    const bound = i64x2.splat(key);
    const most = i64x2.splat(i64.MAX_VALUE);
    let above = i64x2.splat(0);
    let least = most;
    for (const whole = keys + ((<usize>(count & ~1)) << 3); at < whole; at += 16) {
      const two = v128.load(at);
      const greater = i64x2.gt_s(two, bound);
      above = i64x2.add(above, greater);
      const candidate = v128.bitselect(two, most, greater);
      least = v128.bitselect(candidate, least, i64x2.lt_s(candidate, least));
    }
    const pairs = <i64>((at - keys) >> 3);
    upTo = <u32>(pairs + i64x2.extract_lane(above, 0) + i64x2.extract_lane(above, 1));
    next = min<i64>(i64x2.extract_lane(least, 0), i64x2.extract_lane(least, 1));
  }
  for (; at < end; at += 8) {
    const other = load<i64>(at);
    if (other > key) next = min<i64>(next, other);
    else upTo++;
  }
  if (upTo <= rank + 1) store<i64>(selected, next);
  return selected;
}

function find(keys: usize, count: u32, rank: u32, scratch: usize): i64 {
  const kept = scratch + COUNTS_BYTES;
  let at = keys;
  let end = keys + ((<usize>count) << 3);
  let left = rank;
  let low = load<i64>(scratch, BAND_LOW);
  let range = load<u64>(scratch, BAND_RANGE);
  const below = isGuessed(scratch) ? guess(at, end, low, range, scratch) : NOWHERE;
  const held = (load<u32>(scratch, BAND_END) - <u32>kept) >> 3;
  const hit = below <= rank && rank - below < held;
  if (hit) {
    left -= below;
    at = kept;
    end = load<u32>(scratch, BAND_END);
    store<u32>(scratch, 0, MISSES);
    if (held <= FEW) return pick(kept, end, left);
  } else {
    const first = load<i64>(keys);
    low = extreme<i64>(first, keys, count, true);
    range = <u64>extreme<i64>(first, keys, count, false) - <u64>low;
  }
  let isFirst = !hit;
  while (range != 0) {
    const bits = 64 - clz<u64>(range);
    const shift: u64 = bits > BUCKET_BITS ? bits - BUCKET_BITS : 0;
    tally(at, end, <u64>low, range, shift, scratch);
    if (isFirst) setBand(low, shift, count, rank, scratch);
    isFirst = false;
    let bucket: u64 = 0;
    let size = load<u32>(scratch);
    for (; size <= left; size = load<u32>(scratch + ((<usize>bucket) << 2))) {
      left -= size;
      bucket++;
    }
    low += <i64>(bucket << shift);
    // The last bucket may reach past the greatest key; no key is there.
    range = ((<u64>1) << shift) - 1;
    if (range == 0 || size > KEPT) continue;
    end = gather(at, end, <u64>low, range, kept);
    at = kept;
    if (size <= FEW) return pick(kept, end, left);
  }
  return low;
}

/** Whether it is worth a look: after misses one by one, then every other time, every fourth and so on. */
function isGuessed(scratch: usize): bool {
  const misses = load<u32>(scratch, MISSES) + 1;
  store<u32>(scratch, misses, MISSES);
  return (misses & (misses - 1)) == 0 || (misses & (MOST_MISSES - 1)) == 0;
}

/** Gathers the keys in the band; answers how many are less, NOWHERE when the band has too many. */
function guess(keys: usize, end: usize, low: i64, range: u64, scratch: usize): u32 {
  let to = scratch + COUNTS_BYTES;
  let below: u32 = 0;
  for (let at = keys; at < end; ) {
    const room = scratch + COUNTS_BYTES + ((<usize>KEPT) << 3) - to;
    if (room == 0) return NOWHERE;
    for (const stop = min(end, at + room); at < stop; at += 8) {
      const key = load<i64>(at);
      store<i64>(to, key);
      to += (<usize>(<u64>key - <u64>low <= range)) << 3;
      below += <u32>(key < low);
    }
  }
  store<u32>(scratch, <u32>to, BAND_END);
  return below;
}

/** The band for the groups that follow: of the buckets that have been counted, those with ranks near the one asked for. */
function setBand(low: i64, shift: u64, count: u32, rank: u32, scratch: usize): void {
  const spread = <u32>(sqrt<f64>(<f64>count) * SPREAD);
  const first = rank - min(rank, spread);
  const last = min(rank + spread, count - 1);
  let bucket: u64 = 0;
  let upTo = load<u32>(scratch);
  for (; upTo <= first; upTo += load<u32>(scratch + ((<usize>bucket) << 2))) bucket++;
  const start = bucket << shift;
  for (; upTo <= last; upTo += load<u32>(scratch + ((<usize>bucket) << 2))) bucket++;
  store<i64>(scratch, low + <i64>start, BAND_LOW);
  store<u64>(scratch, ((bucket + 1) << shift) - 1 - start, BAND_RANGE);
}

/** Counts the keys in [low, low + range] by their distance's bits from `shift` on. */
function tally(keys: usize, end: usize, low: u64, range: u64, shift: u64, counts: usize): void {
  memory.fill(counts, 0, COUNTS_BYTES);
  for (let at = keys; at < end; at += 8) {
    const distance = load<u64>(at) - low;
    if (distance > range) continue;
    const counter = counts + ((<usize>(distance >> shift)) << 2);
    store<u32>(counter, load<u32>(counter) + 1);
  }
}

/** Writes the keys in [low, low + range] to `kept`, which may be where they are; answers the end. */
function gather(keys: usize, end: usize, low: u64, range: u64, kept: usize): usize {
  let to = kept;
  for (let at = keys; at < end; at += 8) {
    const key = load<u64>(at);
    store<u64>(to, key);
    to += (<usize>(key - low <= range)) << 3;
  }
  return to;
}

/** The key of a rank among a few, which it moves: pass by pass the least of the rest comes to the front. */
function pick(keys: usize, end: usize, rank: u32): i64 {
  const last = keys + ((<usize>rank) << 3);
  let from = keys;
  while (true) {
    let least = from;
    for (let at = from + 8; at < end; at += 8) if (load<i64>(at) < load<i64>(least)) least = at;
    const key = load<i64>(least);
    if (from == last) return key;
    store<i64>(least, load<i64>(from));
    store<i64>(from, key);
    from += 8;
  }
}
