// Keys of groups whose numbers follow one another and of which none is null, on their way out: nearly all results of large
// aggregations. Their packed rows lie one after the other, so neither a list nor a mask is looked at row by row.
//
// 10 M groups by three texts and three integers: 0.88 of the time of the whole query, of which writing keys was a fifth. Where
// there are many texts, those of 64 rows are read before they are copied, so that none waits for another: 10 M pairs of texts of
// a million each leave in 0.65 of the time. Tried and lost: blocks of 128 and 256 rows (1.04 to 1.07 of a whole query), and
// texts of one length found without their entries, which gained nothing over that.

import { Builder, builderPlace } from "../column/builder";
import { typeWidth } from "../column/type";
import { copyBytes, copyRun } from "../memory/copy";
import { Interner } from "./interner";
import { KeyColumn } from "./key-column";
import { packingRead } from "./packing";
import { RowTable, rowTableRow } from "./row-table";
import { Groups, NO_GROUP, Tier, groupsKey } from "./state";

/** So many texts are in no cache that is near: of a block of rows they are read before, one not waiting for the other. */
const FAR_TEXTS: u32 = 16_384;
const BLOCK: usize = 64;

/** Whether the `count` groups listed (u32 each) are such. */
export function groupsAreRun(groups: Groups, list: usize, count: u32): bool {
  if (groups.tier != <u32>Tier.HASH || count == 0) return false;
  const first = load<u32>(list);
  if (load<u32>(list + ((<usize>(count - 1)) << 2)) - first != count - 1) return false;
  let others: u32 = 0;
  for (let at: u32 = 0; at < count; at++) others |= (load<u32>(list + ((<usize>at) << 2)) - at) ^ first;
  if (others != 0) return false;
  if (groups.maskOffset == NO_GROUP) return groups.nullGroup - first >= count;
  const width: usize = groups.rowWidth;
  let mask = rowTableRow(groups.table, first) + <usize>groups.maskOffset;
  let nulls: u32 = 0;
  for (const end = mask + <usize>count * width; mask < end; mask += width) nulls |= load<u32>(mask);
  return nulls == 0;
}

/**
 * Appends key `index` of the `count` groups from `first` on, which are such, to a builder with room for them. False where it
 * is not packed as it leaves.
 */
export function groupsEmitRun(groups: Groups, index: u32, first: u32, count: u32, builder: Builder): bool {
  const key = groupsKey(groups, index);
  const from = rowTableRow(groups.table, first) + <usize>key.offset;
  const width: usize = changetype<RowTable>(groups.table).width;
  if (leavesAsTexts(key, builder)) emitTexts(key, from, width, count, builder);
  else if (!leavesAsItIs(key, builder) || key.width == 16) return false;
  else if (key.width == 8) emitValues<u64>(from, width, count, builder);
  else emitValues<u32>(from, width, count, builder);
  builder.length += count;
  return true;
}

/** The same for keys that are words (packing.ts), at most EMIT_ROWS of them. */
export function emitWordRun(groups: Groups, index: u32, first: u32, count: u32, builder: Builder): bool {
  const key = groupsKey(groups, index);
  if (!leavesAsTexts(key, builder)) {
    if (!leavesAsItIs(key, builder)) return false;
    packingRead(groups, index, first, count, builderPlace(builder, key.width));
  } else {
    packingRead(groups, index, first, count, key.buffer);
    emitTexts(key, key.buffer, 4, count, builder);
  }
  builder.length += count;
  return true;
}

function leavesAsTexts(key: KeyColumn, builder: Builder): bool {
  return key.interner != 0 && builder.dictionary == 0;
}

function leavesAsItIs(key: KeyColumn, builder: Builder): bool {
  return builder.dictionary != 0 || typeWidth(key.type) == key.width;
}

// @ts-ignore: decorator
@inline
function emitValues<T>(from: usize, width: usize, count: u32, builder: Builder): void {
  let to = builderPlace(builder, sizeof<T>());
  if (width == sizeof<T>()) {
    copyRun(to, from, <usize>count * sizeof<T>());
    return;
  }
  for (const end = to + <usize>count * sizeof<T>(); to < end; to += sizeof<T>()) {
    store<T>(to, load<T>(from));
    from += width;
  }
}

function emitTexts(key: KeyColumn, from: usize, width: usize, count: u32, builder: Builder): void {
  const interner = changetype<Interner>(key.interner);
  const isFar = interner.count >= FAR_TEXTS;
  const entries = interner.entries;
  let offset = builder.offsets + ((<usize>builder.length) << 2);
  const start = builder.values;
  let to = start + <usize>builder.bytes;
  for (const end = offset + ((<usize>count) << 2); offset < end; ) {
    const stop = min(end, offset + (BLOCK << 2));
    // It stands where an offset comes.
    if (isFar) store<u32>(offset, bringInterned(entries, from, width, from + ((stop - offset) >> 2) * width), 4);
    for (; offset < stop; offset += 4) {
      to += copyInterned(to, entries, load<u32>(from));
      store<u32>(offset, <u32>(to - start), 4);
      from += width;
    }
  }
  builder.bytes = <u32>(to - start);
}

/** Reads the first bytes of texts, so that they are in the cache; answers what depends on all of them, for no one. */
function bringInterned(entries: usize, from: usize, width: usize, end: usize): u32 {
  let some: u32 = 0;
  for (let at = from; at < end; at += width) some += load<u32>(entries + ((<usize>load<u32>(at)) << 3), 4);
  for (let at = from; at < end; at += width) {
    const entry = load<u64>(entries + ((<usize>load<u32>(at)) << 3));
    // An empty text may lie where the memory ends.
    some += load<u8>(entry >> 32 == 0 ? entries : <usize>(<u32>entry));
  }
  return some;
}

/** Copies text `id` of an interner's `entries`; answers its length. */
// @ts-ignore: decorator
@inline
export function copyInterned(to: usize, entries: usize, id: u32): usize {
  const entry = load<u64>(entries + ((<usize>id) << 3));
  const length = <usize>(entry >> 32);
  copyText(to, <usize>(<u32>entry), length);
  return length;
}

/** Copies a text of a length that is common among keys without a call. */
// @ts-ignore: decorator
@inline
function copyText(to: usize, from: usize, length: usize): void {
  if (length - 8 <= 8) {
    const tail = load<u64>(from + length - 8);
    store<u64>(to, load<u64>(from));
    store<u64>(to + length - 8, tail);
  } else if (length - 4 < 4) {
    const tail = load<u32>(from + length - 4);
    store<u32>(to, load<u32>(from));
    store<u32>(to + length - 4, tail);
  } else copyBytes(to, from, length);
}
