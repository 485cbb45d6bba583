// Copying groups: the keys of some groups of one set looked up, and added where new, in another over the same keys.
//
// Numbers that are computed from keys (DIRECT) are the same in both when the layouts are, and packed rows (HASH) mean
// the same in both: then nothing has to be unpacked. Ids of texts are each set's own, but sets that have learnt the
// same dictionary have the same (`copyTextsAgree`), and one that knows no texts can learn them. Else keys go one by one
// in the normal form of key-column.ts.
//
// The source may have a last key that the target has not, an ordinal (`Groups.extra`): of groups that have all the
// same, numbers that are computed differ by what that one adds.

import { BITMAP_BYTES } from "../column/vector";
import { copyBytes } from "../memory/copy";
import { groupKeyValue, groupTextBytes } from "./emit";
import { groupsAssign, groupsHaveTexts, groupsPrepareLoaded, groupsSpan } from "./groups";
import { directBlock, growDirect } from "./direct";
import {
  NO_ID,
  internText,
  internedAddress,
  internedCount,
  internedLength,
  internerFollow,
  internerLearn,
  internerReserve,
  internersAgree,
  internersLearntOne,
} from "./interner";
import { packingHasApart, packingReserve, packingTranslate } from "./packing";
import { RowTable, rowTableMap, rowTableReserve, rowTableRow } from "./row-table";
import { Groups, NO_GROUP, Tier, groupsKey } from "./state";
import { steppedTake } from "./stepped";

/** How numbers of the source's groups are found in the target. */
export const enum Copying {
  /** They are the same. */
  SAME = 1,
  /** By packed rows. */
  PACKED = 2,
  /** By keys, one by one. */
  KEYS = 3,
  /** Out of memory. */
  FAILED = 0,
}

/** Whether every text of the source's keys has the same id in the target. */
export function copyTextsAgree(target: Groups, source: Groups): bool {
  for (let index: u32 = 0; index < source.keyCount; index++) {
    const texts = groupsKey(source, index).interner;
    if (texts != 0 && !internersAgree(groupsKey(target, index).interner, texts)) return false;
  }
  return true;
}

/**
 * Whether every text that the source knows is of the dictionary that the target has learnt, and learnt likewise: then
 * ids of texts mean the same as far as both know them.
 */
export function copyLearntOne(target: Groups, source: Groups): bool {
  for (let index: u32 = 0; index < source.keyCount; index++) {
    const texts = groupsKey(source, index).interner;
    if (texts == 0 || internedCount(texts) == 0) continue;
    if (!internersLearntOne(groupsKey(target, index).interner, texts)) return false;
  }
  return true;
}

/**
 * Gives a target that knows no texts, or has learnt the same dictionaries, all that the source has learnt. -1 when out of
 * memory, 0 where it knows others.
 */
export function copyFollow(target: Groups, source: Groups): i32 {
  for (let index: u32 = 0; index < source.keyCount; index++) {
    const texts = groupsKey(source, index).interner;
    const own = groupsKey(target, index).interner;
    if (texts == 0 || internedCount(texts) == 0) continue;
    if (internedCount(own) != 0 && !internersLearntOne(own, texts)) return 0;
    if (!internerFollow(own, texts)) return -1;
  }
  return 1;
}

/** Most texts of a key that a target takes over at once: they are compared whenever groups come. */
const LEARN_TEXTS: u32 = 1024;

/** Gives a target that knows no texts those of the source, where they are few. False when out of memory. */
export function copyTextsLearn(target: Groups, source: Groups): bool {
  for (let index: u32 = 0; index < source.keyCount; index++) {
    const texts = groupsKey(source, index).interner;
    const own = groupsKey(target, index).interner;
    if (texts == 0 || internedCount(own) != 0 || internedCount(texts) > LEARN_TEXTS) continue;
    if (!internerLearn(own, texts)) return false;
  }
  return true;
}

/** Whether `copyTextsAgree`, where that is soon told. */
export function copyFewTextsAgree(target: Groups, source: Groups): bool {
  for (let index: u32 = 0; index < source.keyCount; index++) {
    const texts = groupsKey(source, index).interner;
    if (texts != 0 && internedCount(texts) > LEARN_TEXTS) return false;
  }
  return copyTextsAgree(target, source);
}

/** Whether all numbers of the source's groups are the target's for the same keys. */
export function copyIsAlike(target: Groups, source: Groups): bool {
  return target.tier == <u32>Tier.NONE || (sharesLayout(target, source) && copyTextsAgree(target, source));
}

/** Whether both compute the same numbers, as far as texts agree, and the target has all that the source has. */
export function copyIsAligned(target: Groups, source: Groups): bool {
  return source.extra == 0 && source.count <= target.count && sharesLayout(target, source);
}

/** Gives a target that is alike, as `copyIsAlike` says, all numbers that the source has. False when out of memory. */
export function copyAlign(target: Groups, source: Groups): bool {
  widenRanges(target, source);
  return growDirect(target);
}

/**
 * Makes `target` ready for `count` groups of `source` that are listed at `list`: afterwards `copySpan` bounds their
 * numbers. `agree` says what `copyTextsAgree` does; `bitmaps` is scratch, BITMAP_BYTES a key.
 */
export function copyPrepare(
  target: Groups,
  source: Groups,
  list: usize,
  count: u32,
  agree: bool,
  bitmaps: usize,
  scratch: usize,
): Copying {
  if (target.tier == <u32>Tier.NONE) return Copying.SAME;
  const unpacked = !agree && groupsHaveTexts(source);
  if (!unpacked && target.tier == <u32>Tier.UNDECIDED) {
    if (source.tier == <u32>Tier.DIRECT && !takeLayout(target, source)) return Copying.FAILED;
    if (source.tier == <u32>Tier.HASH && source.extra == 0) target.tier = Tier.HASH;
  }
  if (!unpacked && sharesLayout(target, source)) {
    widenRanges(target, source);
    return growDirect(target) ? Copying.SAME : Copying.FAILED;
  }
  if (target.tier == <u32>Tier.HASH && !rowTableReserve(target.table, count + 1)) return Copying.FAILED;
  if (packingHasApart(source) && !packingReserve(target, count)) return Copying.FAILED;
  if (
    !unpacked &&
    target.tier == <u32>Tier.HASH &&
    source.tier == <u32>Tier.HASH &&
    source.extra == 0 &&
    !listsNull(source, list, count)
  )
    return Copying.PACKED;
  if (!loadKeys(target, source, list, count, bitmaps, scratch)) return Copying.FAILED;
  return groupsPrepareLoaded(target, count, count) ? Copying.KEYS : Copying.FAILED;
}

/** Whether the group of a null key that has no mask, and so no packed row, is listed. */
function listsNull(source: Groups, list: usize, count: u32): bool {
  if (source.nullGroup == NO_GROUP) return false;
  for (let index: usize = 0; index < <usize>count; index++) {
    if (load<u32>(list + (index << 2)) == source.nullGroup) return true;
  }
  return false;
}

/** One more than the largest number that the groups can get. */
export function copySpan(target: Groups, count: u32): u32 {
  return target.tier == <u32>Tier.NONE ? 1 : groupsSpan(target, count);
}

/** Writes the target's numbers (u32 each) of the groups that were prepared. False when out of memory. */
export function copyAssign(
  target: Groups,
  source: Groups,
  list: usize,
  count: u32,
  numbers: usize,
  copying: Copying,
): bool {
  if (copying == Copying.KEYS) return groupsAssign(target, count, numbers);
  if (copying == Copying.PACKED) return mapPacked(target, source, list, count, numbers);
  if (target.tier == <u32>Tier.NONE) memory.fill(numbers, 0, (<usize>count) << 2);
  else sameNumbers(source, list, count, numbers);
  if (target.tier == <u32>Tier.DIRECT && target.counts == 0) {
    for (let index: usize = 0; index < <usize>count; index++)
      store<u8>(target.occupied + <usize>load<u32>(numbers + (index << 2)), 1);
  }
  return true;
}

function sameNumbers(source: Groups, list: usize, count: u32, numbers: usize): void {
  let less: u32 = 0;
  if (source.extra != 0) less = load<u32>(list) - load<u32>(list) % directBlock(source);
  for (let at: usize = 0; at < (<usize>count) << 2; at += 4) store<u32>(numbers + at, load<u32>(list + at) - less);
}

/** Gives groups without rows the source's layout. False when out of memory. */
function takeLayout(target: Groups, source: Groups): bool {
  for (let index: u32 = 0; index < target.keyCount; index++) {
    const from = groupsKey(source, index);
    const to = groupsKey(target, index);
    to.low = from.low;
    to.high = from.high;
    to.mask = from.mask;
    to.stride = from.stride;
    if (!steppedTake(target, to, from)) return false;
  }
  if (!growDirect(target)) return false;
  target.tier = Tier.DIRECT;
  return true;
}

/** Whether both compute the same numbers, and could if the target's ranges covered the source's. */
function sharesLayout(target: Groups, source: Groups): bool {
  if (target.tier != <u32>Tier.DIRECT || source.tier != <u32>Tier.DIRECT) return false;
  for (let index: u32 = 0; index < target.keyCount; index++) {
    const from = groupsKey(source, index);
    const to = groupsKey(target, index);
    if (from.mask != to.mask || from.stride != to.stride) return false;
    if ((from.codes != 0) != (to.codes != 0) || (from.codes != 0 && from.base != to.base)) return false;
    const low = min(from.low, to.low);
    const high = max(from.high, to.high);
    if (high >= low && <u64>(high - low) > <u64>to.mask) return false;
  }
  return true;
}

function widenRanges(target: Groups, source: Groups): void {
  for (let index: u32 = 0; index < target.keyCount; index++) {
    const from = groupsKey(source, index);
    const to = groupsKey(target, index);
    if (from.low < to.low || from.high > to.high) target.full = 0;
    to.low = min(from.low, to.low);
    to.high = max(from.high, to.high);
  }
}

function mapPacked(target: Groups, source: Groups, list: usize, count: u32, numbers: usize): bool {
  const width = changetype<RowTable>(source.table).width;
  const first = load<u32>(list);
  const apart = packingHasApart(source);
  let rows = rowTableRow(source.table, first);
  if (apart || load<u32>(list + ((<usize>(count - 1)) << 2)) - first != count - 1) {
    rows = target.packed;
    for (let index: usize = 0; index < <usize>count; index++)
      copyBytes(rows + index * width, rowTableRow(source.table, load<u32>(list + (index << 2))), width);
  }
  // unreached: there is room for what is apart
  if (apart && !packingTranslate(target, source, rows, count)) return false;
  const mapped = rowTableMap(target.table, rows, count, numbers, target.tags);
  target.count = changetype<RowTable>(target.table).entries;
  return mapped;
}

/** Loads the keys in normal form, as `keyLoad` does from a vector. False when out of memory. */
function loadKeys(
  target: Groups,
  source: Groups,
  list: usize,
  count: u32,
  bitmaps: usize,
  scratch: usize,
): bool {
  for (let index: u32 = 0; index < target.keyCount; index++) {
    const key = groupsKey(target, index);
    const width: usize = key.width;
    const bitmap = bitmaps + <usize>index * BITMAP_BYTES;
    const texts = groupsKey(source, index).interner;
    if (texts != 0 && !internerReserve(key.interner, count, textBytes(source, index, list, count, scratch))) return false;
    memory.fill(bitmap, 0, BITMAP_BYTES);
    let nulls = false;
    for (let row: u32 = 0; row < count; row++) {
      const to = key.buffer + <usize>row * width;
      if (!groupKeyValue(source, index, load<u32>(list + ((<usize>row) << 2)), scratch)) {
        memory.fill(to, 0, width);
        nulls = true;
        continue;
      }
      const byte = bitmap + <usize>(row >> 3);
      store<u8>(byte, load<u8>(byte) | (<u8>1 << <u8>(row & 7)));
      if (texts == 0) copyBytes(to, scratch, width);
      else {
        const id = load<u32>(scratch);
        const own = internText(key.interner, internedAddress(texts, id), internedLength(texts, id));
        if (own == NO_ID) return false;
        store<u32>(to, own);
      }
    }
    key.values = key.buffer;
    key.validity = nulls ? bitmap : 0;
  }
  return true;
}

function textBytes(source: Groups, index: u32, list: usize, count: u32, scratch: usize): usize {
  let bytes: usize = 0;
  for (let row: usize = 0; row < <usize>count; row++)
    bytes += groupTextBytes(source, index, load<u32>(list + (row << 2)), scratch);
  return bytes;
}
