// Keys of groups, on their way out: to results and to state.

import { builderAppendFixed } from "../column/append";
import { Builder, builderPlace, builderSetNull, outputColumn } from "../column/builder";
import { typeWidth } from "../column/type";
import { copyBytes } from "../memory/copy";
import { KeyColumn } from "./key-column";
import { copyInterned, emitWordRun, groupsAreRun, groupsEmitRun } from "./emit-run";
import { directCode, directValue } from "./direct";
import { Interner, internedLength } from "./interner";
import { packingRun, packingValue } from "./packing";
import { RowTable, rowTableRow } from "./row-table";
import { Groups, NO_GROUP, Tier, groupsKey, groupsOwnKeys } from "./state";

/** Whether key `index` of a group is null; else its normal form is at `value` (16 bytes of room). */
export function groupKeyValue(groups: Groups, index: u32, group: u32, value: usize): bool {
  const key = groupsKey(groups, index);
  if (groups.tier == <u32>Tier.DIRECT) {
    const code = directCode(key, group);
    if (code == 0) return false;
    store<i64>(value, directValue(key, code));
    return true;
  }
  if (groups.packing != 0) return packingValue(groups, index, group, value);
  const row = rowTableRow(groups.table, group);
  if (groups.maskOffset == NO_GROUP) {
    if (group == groups.nullGroup) return false;
  } else if ((load<u32>(row + <usize>groups.maskOffset) >> index) & 1) return false;
  copyBytes(value, row + <usize>key.offset, key.width);
  return true;
}

/** Bytes of key `index` of a group when it is a text, else 0. */
export function groupTextBytes(groups: Groups, index: u32, group: u32, scratch: usize): u32 {
  const interner = groupsKey(groups, index).interner;
  return interner != 0 && groupKeyValue(groups, index, group, scratch)
    ? internedLength(interner, load<u32>(scratch))
    : 0;
}

/** Bytes of texts that key `index` of no group exceeds. */
export function groupsKeyBound(groups: Groups, index: u32): u32 {
  const interner = groupsKey(groups, index).interner;
  return interner == 0 ? 0 : changetype<Interner>(interner).longest;
}

/** Appends all keys, but an ordinal, of the `count` groups listed at `list` (u32 each) to the columns from `first` on. */
export function groupsEmitKeys(
  groups: Groups,
  list: usize,
  count: u32,
  output: usize,
  first: u32,
  scratch: usize,
): void {
  if (groups.packing != 0) return emitWords(groups, list, count, output, first, scratch);
  const isRun = groupsAreRun(groups, list, count);
  for (let index: u32 = 0; index < groupsOwnKeys(groups); index++) {
    const builder = outputColumn(output, first + index);
    if (isRun && groupsEmitRun(groups, index, load<u32>(list), count, builder)) continue;
    groupsEmitKey(groups, index, list, count, builder, scratch);
  }
}

/** The same for keys that are words: runs of such as have all that they are in them, and the others one by one. */
function emitWords(groups: Groups, list: usize, count: u32, output: usize, first: u32, scratch: usize): void {
  for (let start: u32 = 0; start < count; ) {
    const from = list + ((<usize>start) << 2);
    const run = packingRun(groups, from, count - start);
    for (let index: u32 = 0; index < groups.keyCount; index++) {
      const builder = outputColumn(output, first + index);
      if (run == 0 || !emitWordRun(groups, index, load<u32>(from), run, builder))
        groupsEmitKey(groups, index, from, max<u32>(1, run), builder, scratch);
    }
    start += max<u32>(1, run);
  }
}

/** Appends key `index` of the `count` groups listed at `list` (u32 each) to a builder with room for them: texts as codes, where it has a dictionary. */
export function groupsEmitKey(
  groups: Groups,
  index: u32,
  list: usize,
  count: u32,
  builder: Builder,
  scratch: usize,
): void {
  const key = groupsKey(groups, index);
  const isCoded = builder.dictionary != 0;
  if (key.interner != 0 && !isCoded) {
    if (groups.tier == <u32>Tier.HASH && groups.packing == 0) emitPackedTexts(groups, index, list, count, builder);
    else emitTexts(groups, index, list, count, builder, scratch);
    return;
  }
  const isWide = groups.tier == <u32>Tier.HASH && groups.packing == 0;
  const leavesSo = isCoded || typeWidth(key.type) == key.width;
  if (isWide && leavesSo && key.width != 16) {
    if (key.width == 8) emitPacked<u64>(groups, index, list, count, builder);
    else emitPacked<u32>(groups, index, list, count, builder);
    return;
  }
  if (groups.tier == <u32>Tier.DIRECT && leavesSo) {
    if (key.width == 8) emitDirect<u64>(groups, key, list, count, builder);
    else emitDirect<u32>(groups, key, list, count, builder);
    return;
  }
  for (let at: u32 = 0; at < count; at++) {
    if (!groupKeyValue(groups, index, load<u32>(list + ((<usize>at) << 2)), scratch)) {
      store<u64>(scratch, 0);
      store<u64>(scratch, 0, 8);
      builderSetNull(builder, builder.length);
    }
    if (isCoded) store<u32>(builderPlace(builder, 4), load<u32>(scratch));
    if (isCoded) builder.length++;
    else builderAppendFixed(builder, scratch);
  }
}

/** Texts of the HASH tier, whose rows always have a mask: ids are 4 bytes. */
function emitPackedTexts(groups: Groups, index: u32, list: usize, count: u32, builder: Builder): void {
  const key = groupsKey(groups, index);
  const entries = changetype<Interner>(key.interner).entries;
  const rows = changetype<RowTable>(groups.table).rows;
  const width: usize = groups.rowWidth;
  const ids = rows + <usize>key.offset;
  const masks = rows + <usize>groups.maskOffset;
  const values = builder.values;
  const length = builder.length;
  const offsets = builder.offsets + ((<usize>length) << 2);
  let end = builder.bytes;
  for (let at: u32 = 0; at < count; at++) {
    const row = <usize>load<u32>(list + ((<usize>at) << 2)) * width;
    if ((load<u32>(masks + row) >> index) & 1) builderSetNull(builder, length + at);
    else end += <u32>copyInterned(values + <usize>end, entries, load<u32>(ids + row));
    store<u32>(offsets + ((<usize>at) << 2), end, 4);
  }
  builder.length = length + count;
  builder.bytes = end;
}

/** Texts of the other tiers: those of a key alone whose numbers are computed have nothing to be looked up. */
function emitTexts(
  groups: Groups,
  index: u32,
  list: usize,
  count: u32,
  builder: Builder,
  scratch: usize,
): void {
  const key = groupsKey(groups, index);
  const entries = changetype<Interner>(key.interner).entries;
  const isDirect = groups.tier == <u32>Tier.DIRECT && groups.keyCount == 1;
  const values = builder.values;
  const length = builder.length;
  const offsets = builder.offsets + ((<usize>length) << 2);
  let end = builder.bytes;
  for (let at: u32 = 0; at < count; at++) {
    const group = load<u32>(list + ((<usize>at) << 2));
    if (isDirect ? group != 0 : groupKeyValue(groups, index, group, scratch)) {
      const id = isDirect ? <u32>directValue(key, group) : load<u32>(scratch);
      end += <u32>copyInterned(values + <usize>end, entries, id);
    } else builderSetNull(builder, length + at);
    store<u32>(offsets + ((<usize>at) << 2), end, 4);
  }
  builder.length = length + count;
  builder.bytes = end;
}

/** Integers of 4 or 8 bytes, or codes, whose numbers are computed. */
function emitDirect<T>(groups: Groups, key: KeyColumn, list: usize, count: u32, builder: Builder): void {
  const alone = groups.keyCount == 1;
  const length = builder.length;
  const values = builderPlace(builder, sizeof<T>());
  for (let at: u32 = 0; at < count; at++) {
    const group = load<u32>(list + ((<usize>at) << 2));
    // A lone key's number is its code.
    const code = alone ? group : directCode(key, group);
    store<T>(values + <usize>at * sizeof<T>(), code == 0 ? 0 : <T>directValue(key, code));
    if (code == 0) builderSetNull(builder, length + at);
  }
  builder.length = length + count;
}

/** Keys that leave as they are packed. */
function emitPacked<T>(groups: Groups, index: u32, list: usize, count: u32, builder: Builder): void {
  const key = groupsKey(groups, index);
  const from = changetype<RowTable>(groups.table).rows + <usize>key.offset;
  const width: usize = groups.rowWidth;
  const masks: usize =
    groups.maskOffset == NO_GROUP ? 0 : changetype<RowTable>(groups.table).rows + <usize>groups.maskOffset;
  const nullGroup = groups.nullGroup;
  const length = builder.length;
  const values = builderPlace(builder, sizeof<T>());
  for (let at: u32 = 0; at < count; at++) {
    const group = load<u32>(list + ((<usize>at) << 2));
    const row = <usize>group * width;
    // A null key's value is zero in its row.
    store<T>(values + <usize>at * sizeof<T>(), load<T>(from + row));
    if (masks == 0 ? group == nullGroup : ((load<u32>(masks + row) >> index) & 1) != 0)
      builderSetNull(builder, length + at);
  }
  builder.length = length + count;
}
