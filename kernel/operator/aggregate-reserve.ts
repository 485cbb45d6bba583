// Room for a hash aggregation: what is made before rows are applied, so that want of memory is told first.

import { Column } from "../abi/layout";
import { Accumulator, Family, accumulatorReserve, isLog } from "../aggregate/accumulator";
import {
  accumulatorMustTrack,
  accumulatorReserveGroups,
  accumulatorReserveRows,
  accumulatorTextBytes,
} from "../aggregate/accumulators";
import { setFeed } from "../aggregate/from-set";
import { logPrepare } from "../aggregate/value-log";
import {
  programOutputDictionary,
  programOutputDictionaryId,
  programOutputDistinctBytes,
  programOutputTextBytes,
} from "../expression/program";
import { groupsNeed, groupsReserve } from "../group/groups";
import { internerHasWhole, internerReserve } from "../group/interner";
import { KeyColumn } from "../group/key-column";
import { Tier, groupsIsOccupied, groupsKey } from "../group/state";
import { changelogReserve } from "./aggregate-changelog";
import { failMemory } from "../memory/context";
import { Aggregation, accumulatorAt, aggregationOf, fedAt, groupsOf } from "./aggregation";
import { Operator } from "./operator";
import { sumsSettle } from "./narrow-sums";

/** Room for the worst case of a batch; false when out of memory, with nothing changed. */
export function aggregateReserveBatch(self: Aggregation, rows: u32): bool {
  return aggregateReserveRows(self, rows, true);
}

/** The same for `rows` rows of the batch; `texts` says that they may have all of its texts, else none are counted. */
export function aggregateReserveRows(self: Aggregation, rows: u32, texts: bool): bool {
  const groups = groupsOf(self);
  if (!reserveTexts(self, rows, texts) || !groupsReserve(groups, rows)) return false;
  return reserveValues(self, aggregateNeed(self, rows), rows, texts);
}

/** As `groupsNeed`, where the texts that `rows` rows of the bound batch can bring are counted. */
export function aggregateNeed(self: Aggregation, rows: u32): u32 {
  const groups = groupsOf(self);
  const isText = groups.keyCount == 1 && groupsKey(groups, 0).interner != 0;
  return groupsNeed(groups, isText ? newTexts(self, groupsKey(groups, 0), rows) : rows);
}

/** Texts that `rows` rows of the bound batch can bring a key: no more than their dictionary has. */
function newTexts(self: Aggregation, key: KeyColumn, rows: u32): u32 {
  const dictionary = programOutputDictionary(self.program, key.output);
  if (dictionary == 0) return rows;
  return hasWhole(self, key, dictionary) ? 0 : min(rows, load<u32>(dictionary, <usize>Column.LENGTH));
}

/** Whether the bound batch has a dictionary that the key knows whole, and so no text that is new to it. */
function hasWhole(self: Aggregation, key: KeyColumn, dictionary: usize): bool {
  return internerHasWhole(key.interner, dictionary, programOutputDictionaryId(self.program, key.output));
}

/** Room in the accumulators for `need` groups and `rows` further rows of the bound batch. False when out of memory. */
export function aggregateReserveValues(self: Aggregation, need: u32, rows: u32): bool {
  return reserveValues(self, need, rows, rows != 0);
}

function reserveValues(self: Aggregation, need: u32, rows: u32, texts: bool): bool {
  let ok = true;
  for (let index: u32 = 0; index < self.accumulatorCount && ok; index++) {
    const accumulator = accumulatorAt(self, index);
    const bytes = texts ? accumulatorTextBytes(accumulator, self.program) : 0;
    ok = accumulatorReserveRows(accumulator, need, rows, bytes);
  }
  return reserved(self, need, ok);
}

/** Room for the texts among the bound batch's keys; false when out of memory, with nothing changed. */
export function aggregateReserveTexts(self: Aggregation, rows: u32): bool {
  return reserveTexts(self, rows, true);
}

function reserveTexts(self: Aggregation, rows: u32, texts: bool): bool {
  const groups = groupsOf(self);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.interner == 0) continue;
    const dictionary = programOutputDictionary(self.program, key.output);
    if (dictionary != 0 && hasWhole(self, key, dictionary)) continue;
    const bytes = texts ? programOutputDistinctBytes(self.program, key.output) : 0;
    if (!internerReserve(key.interner, newTexts(self, key, rows), bytes)) return false;
  }
  return true;
}

/** Upper bound of the bytes of texts, for keys and arguments, in the bound batch. */
export function aggregateTextsHeadroom(self: Aggregation): u64 {
  const groups = groupsOf(self);
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.interner != 0) bytes += programOutputTextBytes(self.program, key.output);
  }
  for (let index: u32 = 0; index < self.accumulatorCount; index++)
    bytes += accumulatorTextBytes(accumulatorAt(self, index), self.program);
  return bytes;
}

/** What results need before they are read: what sets feed, and logs in the order of groups. False when out of memory. */
export function aggregatePrepareResults(context: usize, self: Aggregation): bool {
  const groups = groupsOf(self).count;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (isLog(accumulator) && !logPrepare(accumulator, groups)) return false;
  }
  for (let index: u32 = 0; index < self.fedCount; index++) {
    const accumulator = fedAt(self, index);
    if (!setFeed(accumulator, context, groups)) return false;
    if (isLog(accumulator) && !logPrepare(accumulator, groups)) return false;
  }
  return true;
}

/** After an attempt to reserve. */
function reserved(self: Aggregation, groups: u32, ok: bool): bool {
  if (ok) self.reserved = max(self.reserved, groups);
  const counts = self.rowsCounter;
  if (counts != 0 && changetype<Accumulator>(counts).values != 0)
    groupsOf(self).counts = counts + offsetof<Accumulator>("values");
  return ok;
}

/** Makes room for `span` groups, which preparing keys has brought into reach. False when out of memory. */
export function aggregateReserveSpan(operator: usize, span: u32): bool {
  const self = aggregationOf(operator);
  if (span <= self.reserved) return true;
  let ok = self.changelog == 0 || changelogReserve(operator, 0, span);
  for (let index: u32 = 0; index < self.accumulatorCount && ok; index++) {
    ok = accumulatorReserveGroups(accumulatorAt(self, index), span);
  }
  return reserved(self, span, ok);
}

/**
 * An argument's count, or whether it was seen, parts from that of rows: it starts where they are now. False
 * when out of memory.
 */
export function startTracking(operator: usize, accumulator: Accumulator): bool {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (!accumulatorReserve(accumulator, max<u32>(self.reserved, 1), 0)) return false;
  sumsSettle(operator);
  accumulator.tracking = 1;
  if (accumulator.family == <u32>Family.COUNT) {
    const rows = changetype<Accumulator>(self.rowsCounter);
    const counted = min(rows.capacity, accumulator.capacity);
    for (let group: usize = 0; group < <usize>counted; group++)
      store<i64>(accumulator.values + (group << 3), load<i64>(rows.values + group * <usize>rows.stride));
    return true;
  }
  if (groups.tier == <u32>Tier.NONE) {
    store<u8>(accumulator.values, changetype<Operator>(operator).rowsSelected != 0 ? 1 : 0);
    return true;
  }
  for (let group: u32 = 0; group < groups.count; group++) {
    store<u8>(accumulator.values + <usize>group, groupsIsOccupied(groups, group) ? 1 : 0);
  }
  return true;
}

/** Counts that the vector at hand is the first to tell from rows begin to be kept. 0, or OUT_OF_MEMORY. */
export function aggregateTrack(context: usize, operator: usize): i32 {
  const self = aggregationOf(operator);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (accumulatorMustTrack(accumulator, self.program) && !startTracking(operator, accumulator))
      return failMemory(context, 0);
  }
  return 0;
}
