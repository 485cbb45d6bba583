// Groups: rows -> dense group numbers, by the cheapest way that the keys allow.
//
// Three tiers behind one pair of calls, `groupsPrepare` and `groupsAssign`:
//   NONE    no keys: one group, which exists before the first row
//   DIRECT  every key is a text (interned), a boolean or an integer of a small range: the group number is
//           computed, not looked up (direct.ts). Numbers without rows ("holes") are told apart by their
//           count, where rows are counted anyway, or else by a byte each.
//   HASH    anything else: the keys packed into a row (pack.ts), looked up in a row table
// DIRECT turns into HASH when the data outgrows it: the groups keep their numbers, so that accumulators
// never move.

import { Type } from "../abi/layout";
import { AggregateFault } from "../abi/operator";
import { bitmapGet } from "../column/bitmap";
import { Vector } from "../column/vector";
import { programOutput } from "../expression/program";
import { regionBlock, regionCut, regionHasRoom } from "../memory/region";
import { directCode, directFits, directSpan, directValue, fits, growDirect, layoutDirect, mapDirect } from "./direct";
import { INTERNER_SIZE, Interner, internerClear, internerDefer, internerExpect, internerInit } from "./interner";
import { KeyColumn, keyLoad } from "./key-column";
import { layoutRow, pack } from "./pack";
import { packingReserve, packingWords } from "./packing";
import {
  ROW_TABLE_SCRATCH,
  ROW_TABLE_SIZE,
  RowTable,
  rowTableAppend,
  rowTableClear,
  rowTableFind,
  rowTableInit,
  rowTableMap,
  rowTableMapNear,
  rowTableReserve,
  rowTableRestart,
  rowTableRow,
  rowTableSlots,
  rowTableTags,
} from "./row-table";
import { Groups, NO_GROUP, ROWS, Tier, groupsIsOccupied, groupsKey } from "./state";

/**
 * Makes `groups` over `keyCount` keys, whose `type` and `output` the caller has set in `keys`, and `like` and
 * `small` where they apply, hashed by `seed`. False when out of memory.
 */
export function groupsInit(
  groups: Groups,
  region: usize,
  keys: usize,
  keyCount: u32,
  fault: u32,
  seed: u32 = 0,
): bool {
  groups.region = region;
  groups.keys = keys;
  groups.keyCount = keyCount;
  groups.fault = fault;
  groups.nullGroup = NO_GROUP;
  groups.tier = keyCount == 0 ? Tier.NONE : Tier.UNDECIDED;
  groups.count = keyCount == 0 ? 1 : 0;
  layoutRow(groups);
  const lender = changetype<Groups>(groups.like);
  groups.packed =
    groups.like != 0 ? lender.packed : regionBlock(region, <usize>ROWS * max<usize>(8, groups.rowWidth));
  groups.tags = groups.like != 0 ? lender.tags : regionBlock(region, ROW_TABLE_SCRATCH + 64);
  groups.table = regionCut(region, ROW_TABLE_SIZE);
  if (groups.packed == 0 || groups.tags == 0 || groups.table == 0) return false;
  const hashZero = (fault & <u32>AggregateFault.HASH_ZERO) != 0;
  const tiny = (fault & <u32>AggregateFault.TINY_TABLES) != 0;
  for (let index: u32 = 0; index < keyCount; index++) {
    const key = groupsKey(groups, index);
    key.buffer =
      groups.like != 0 ? groupsKey(lender, index).buffer : regionBlock(region, <usize>ROWS * <usize>key.width);
    if (key.buffer == 0) return false;
    if (key.type != <u32>Type.BYTES) continue;
    key.interner = regionCut(region, INTERNER_SIZE);
    if (key.interner == 0 || !internerInit(key.interner, region, hashZero, tiny, seed)) return false;
  }
  return rowTableInit(groups.table, region, max<usize>(8, groups.rowWidth), hashZero, tiny, seed);
}

/** Texts come by `internerReserve` alone: see `internerDefer`. */
export function groupsDefer(groups: Groups): void {
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const interner = groupsKey(groups, index).interner;
    if (interner != 0) internerDefer(interner);
  }
}

/** Says that at least `rows` rows are likely to come. */
export function groupsExpect(groups: Groups, rows: u32): void {
  groups.expected = rows;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const interner = groupsKey(groups, index).interner;
    if (interner != 0) internerExpect(interner, rows);
  }
}

/**
 * Room for `rows` further rows in the table that must not fail while they are applied (interners of text
 * keys are reserved by the caller, who knows their bytes). False when out of memory, with nothing lost.
 */
export function groupsReserve(groups: Groups, rows: u32): bool {
  if (groups.tier != <u32>Tier.HASH) return true;
  return rowTableReserve(groups.table, rows + 1) && (groups.packing == 0 || packingReserve(groups, rows));
}

/**
 * Group numbers to make room for before `rows` further rows: all that they can need, but for keys of small
 * ranges, of which new ones are rare (should they outgrow their tier, room is made then).
 */
export function groupsNeed(groups: Groups, rows: u32): u32 {
  if (groups.tier == <u32>Tier.NONE) return 1;
  if (groups.tier != <u32>Tier.HASH && !groupsHaveTexts(groups)) return groups.count;
  return groups.count + rows + 1;
}

/** Whether any key is a text, whose ids are this set's own. */
export function groupsHaveTexts(groups: Groups): bool {
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    if (groupsKey(groups, index).interner != 0) return true;
  }
  return false;
}

/**
 * Lets the last key, an ordinal, have `ordinals` values, of `rows` rows in all, `more` of which are still to come. False
 * when out of memory.
 */
export function groupsExtend(groups: Groups, ordinals: u32, rows: u64, more: u32): bool {
  if (groups.tier == <u32>Tier.DIRECT && !directFits(groups, ordinals, rows) && !toHash(groups, more)) return false;
  const before = groups.ordinals;
  groups.ordinals = ordinals;
  if (groups.tier != <u32>Tier.DIRECT || growDirect(groups)) return true;
  groups.ordinals = before;
  return false;
}

/** HASH: forgets every group: numbers begin at 0 again, with as much room as there is. */
export function groupsClear(groups: Groups): void {
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.interner != 0) internerClear(key.interner);
  }
  rowTableClear(groups.table);
  groups.nullGroup = NO_GROUP;
  groups.count = 0;
}

/**
 * HASH: forgets groups from `count` on, which nobody looks for any more. Slots that they have stay taken: what is looked up
 * afterwards differs in the tag.
 */
export function groupsForget(groups: Groups, count: u32): void {
  changetype<RowTable>(groups.table).entries = count;
  groups.count = count;
  if (groups.nullGroup != NO_GROUP && groups.nullGroup >= count) groups.nullGroup = NO_GROUP;
}

/** HASH over keys that are no texts: the same, and gives the memory back. */
export function groupsRestart(groups: Groups): void {
  rowTableRestart(groups.table);
  groups.nullGroup = NO_GROUP;
  groups.count = 0;
}

/**
 * Makes the first `rows` rows of the program's outputs ready for `groupsAssign`: afterwards `groupsSpan`
 * bounds the numbers it will give. `batchRows` bounds the rows that are still to come before the next
 * reservation. Changes no group; false when out of memory.
 */
export function groupsPrepare(groups: Groups, program: usize, rows: u32, batchRows: u32): bool {
  return groupsLoad(groups, program, rows) && groupsPrepareLoaded(groups, rows, batchRows);
}

/** Brings the keys among the program's outputs to normal form. False when out of memory. */
export function groupsLoad(groups: Groups, program: usize, rows: u32): bool {
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    const vector = key.output == NO_GROUP ? groups.extra : programOutput(program, key.output);
    if (!keyLoad(key, changetype<Vector>(vector), rows)) return false;
  }
  return true;
}

// HASH, for rows that are set aside between packing and looking up.

/** Keys are looked up packed from now on. False when out of memory. */
export function groupsToHash(groups: Groups): bool {
  if (groups.tier == <u32>Tier.DIRECT) return toHash(groups, 0);
  groups.tier = Tier.HASH;
  return true;
}

/** Packed rows of the loaded keys (a lone 8-byte key: its values; nulls are told by its validity). 0 when out of memory. */
export function groupsRows(groups: Groups, rows: u32): usize {
  if (groups.packing != 0) return packingWords(groups, rows);
  if (groups.maskOffset == NO_GROUP) return groupsKey(groups, 0).values;
  pack(groups, rows);
  return groups.packed;
}

/** The tags of packed rows, u32 each. */
export function groupsRowTags(groups: Groups, keys: usize, rows: u32): usize {
  rowTableTags(groups.table, keys, rows, groups.tags);
  return groups.tags;
}

/** `groupsAssign` for rows of one partition that lie in `groups.packed` already, or, a lone 8-byte key, in its column. */
export function groupsAssignRows(groups: Groups, rows: u32, numbers: usize): bool {
  const only = groupsKey(groups, 0);
  if (groups.maskOffset == NO_GROUP && only.validity != 0) return mapHash(groups, rows, numbers);
  const from = groups.maskOffset == NO_GROUP ? only.values : groups.packed;
  const mapped = rowTableMapNear(groups.table, from, rows, numbers, groups.tags, true);
  groups.count = changetype<RowTable>(groups.table).entries;
  return mapped;
}

/** The same for keys that `keyLoad` has brought to normal form. */
export function groupsPrepareLoaded(groups: Groups, rows: u32, batchRows: u32): bool {
  return groupsPrepareFitted(groups, rows, batchRows, groupsFit(groups, rows, batchRows));
}

/** Whether the loaded keys can be numbered as those before them; where not, preparing them looks at which groups there are. */
export function groupsFit(groups: Groups, rows: u32, batchRows: u32): bool {
  return groups.tier != <u32>Tier.DIRECT || rows == 0 || fits(groups, rows, batchRows);
}

/** `groupsPrepareLoaded` after `groupsFit` has said `fit`. */
export function groupsPrepareFitted(groups: Groups, rows: u32, batchRows: u32, fit: bool): bool {
  if (groups.tier == <u32>Tier.NONE || rows == 0) return true;
  if (groups.tier == <u32>Tier.UNDECIDED) return decide(groups, rows, batchRows);
  if (groups.tier == <u32>Tier.HASH) return true;
  return fit ? growDirect(groups) : toHash(groups, batchRows);
}

/** One more than the largest group number that assigning `rows` prepared rows can give. */
export function groupsSpan(groups: Groups, rows: u32): u32 {
  return groups.tier == <u32>Tier.HASH ? groups.count + rows + 1 : groups.count;
}

/** Writes the group number of each of the prepared rows to `numbers` (u32 each). False when out of memory. */
export function groupsAssign(groups: Groups, rows: u32, numbers: usize): bool {
  if (groups.tier == <u32>Tier.HASH) return mapHash(groups, rows, numbers);
  if (groups.tier == <u32>Tier.DIRECT) mapDirect(groups, rows, numbers);
  else memory.fill(numbers, 0, (<usize>rows) << 2);
  return true;
}

function decide(groups: Groups, rows: u32, batchRows: u32): bool {
  const direct = groups.appends == 0 && groups.looksUp == 0 && (groups.fault & <u32>AggregateFault.NO_DIRECT) == 0;
  if (direct && layoutDirect(groups, rows, batchRows)) {
    if (groups.bytes != 0 && !regionHasRoom(groups.region, <u64>directSpan(groups) * <u64>groups.bytes)) {
      groups.expected = 0;
      groups.bytes = 0;
      return decide(groups, rows, batchRows);
    }
    if (!growDirect(groups)) return false;
    groups.tier = Tier.DIRECT;
    return true;
  }
  if (!rowTableReserve(groups.table, batchRows + 1)) return false;
  groups.tier = Tier.HASH;
  return true;
}

/**
 * Moves from DIRECT: packs every occupied group's keys into the table under the number it has. False when out
 * of memory.
 */
function toHash(groups: Groups, batchRows: u32): bool {
  const count = groups.count;
  const table = groups.table;
  // What an attempt that ran out of memory left behind goes first.
  rowTableClear(table);
  if (!rowTableReserve(table, count + batchRows + 1)) return false;
  const width: usize = groups.rowWidth;
  // Numbers without rows, and that of a null which no mask tells, are nowhere in the index.
  memory.fill(rowTableRow(table, 0), 0, <usize>count * width);
  const rows = groups.packed;
  const half = ROWS >> 1;
  const numbers = rows + <usize>half * width;
  let packed: u32 = 0;
  for (let group: u32 = 0; group < count; group++) {
    const occupied = groupsIsOccupied(groups, group);
    const isKeyed =
      occupied && (!packDirect(groups, group, rows + <usize>packed * width) || groups.maskOffset != NO_GROUP);
    if (isKeyed) packed++;
    if (isKeyed && packed < half && group + 1 < count) continue;
    if (packed != 0 && !rowTableMap(table, rows, packed, numbers, groups.tags)) return false;
    packed = 0;
    if (occupied && !isKeyed) groups.nullGroup = group;
    changetype<RowTable>(table).entries = group + 1;
  }
  groups.tier = Tier.HASH;
  return true;
}

/** Packs the keys of a DIRECT group into `row`; whether any is null. */
export function packDirect(groups: Groups, group: u32, row: usize): bool {
  const end = row + <usize>groups.rowWidth;
  for (let at = row; at < end; at += 8) store<u64>(at, 0);
  let nulls: u32 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    const code = directCode(key, group);
    if (code == 0) nulls |= (<u32>1) << index;
    else if (key.width == 8) store<i64>(row + <usize>key.offset, directValue(key, code));
    else store<u32>(row + <usize>key.offset, <u32>directValue(key, code));
  }
  if (groups.maskOffset != NO_GROUP) store<u32>(row + <usize>groups.maskOffset, nulls);
  return nulls != 0;
}

function mapHash(groups: Groups, rows: u32, numbers: usize): bool {
  const table = groups.table;
  const only = groupsKey(groups, 0);
  let mapped: bool;
  if (groups.maskOffset == NO_GROUP) {
    mapped =
      only.validity == 0
        ? lookUp(groups, only.values, rows, numbers)
        : mapNullable(groups, only, rows, numbers);
  } else {
    const packed = groupsRows(groups, rows);
    mapped = packed != 0 && lookUp(groups, packed, rows, numbers);
  }
  groups.count = changetype<RowTable>(table).entries;
  return mapped;
}

function lookUp(groups: Groups, packed: usize, rows: u32, numbers: usize): bool {
  if (!groups.appends) return rowTableMap(groups.table, packed, rows, numbers, groups.tags);
  rowTableAppend(groups.table, packed, rows, numbers);
  return true;
}

/**
 * HASH: the numbers of loaded keys that have one already, NO_GROUP for the others. Adds nothing.
 */
export function groupsFind(groups: Groups, rows: u32, numbers: usize): void {
  if (groups.maskOffset != NO_GROUP) {
    pack(groups, rows);
    rowTableFind(groups.table, groups.packed, rows, numbers, groups.tags);
    return;
  }
  const only = groupsKey(groups, 0);
  rowTableFind(groups.table, only.values, rows, numbers, groups.tags);
  if (only.validity == 0) return;
  for (let row: u32 = 0; row < rows; row++) {
    if (bitmapGet(only.validity, row)) continue;
    store<u32>(numbers + ((<usize>row) << 2), groups.nullGroup);
  }
}

/**
 * One 8-byte key with nulls: valid rows are looked up packed together, null rows share a group of their own.
 */
function mapNullable(groups: Groups, key: KeyColumn, rows: u32, numbers: usize): bool {
  const table = changetype<RowTable>(groups.table);
  let valid: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    if (!((load<u8>(key.validity + <usize>(row >> 3)) >> <u8>(row & 7)) & 1)) continue;
    store<u64>(groups.packed + ((<usize>valid) << 3), load<u64>(key.values + ((<usize>row) << 3)));
    valid++;
  }
  if (!lookUp(groups, groups.packed, valid, numbers)) return false;
  if (valid == rows) return true;
  if (groups.nullGroup == NO_GROUP) {
    groups.nullGroup = table.entries;
    store<u64>(rowTableRow(groups.table, table.entries), 0);
    table.entries++;
  }
  // Spread the numbers of the valid rows to their places, last row first.
  for (let row: i32 = <i32>rows - 1; row >= 0; row--) {
    const isValid = (load<u8>(key.validity + <usize>(row >> 3)) >> <u8>(row & 7)) & 1;
    if (isValid) valid--;
    store<u32>(
      numbers + ((<usize>row) << 2),
      isValid ? load<u32>(numbers + ((<usize>valid) << 2)) : groups.nullGroup,
    );
  }
  return true;
}

/** Slots that lookups went past because they were another key's, for statistics. */
export function groupsProbes(groups: Groups): u64 {
  let probes = changetype<RowTable>(groups.table).probes;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const interner = groupsKey(groups, index).interner;
    if (interner != 0) probes += changetype<Interner>(interner).probes;
  }
  return probes;
}

/** Slots of the tables, for statistics. */
export function groupsSlots(groups: Groups): u32 {
  return groups.tier == <u32>Tier.HASH
    ? rowTableSlots(groups.table)
    : groups.tier == <u32>Tier.DIRECT
      ? groups.count
      : 0;
}
