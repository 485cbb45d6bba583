// Changelog mode: after each push, how the results of the groups that it touched have changed.
//
// The operator keeps the result that it emitted last for each group. A pull works through the list of
// touched groups: a group emitted for the first time leaves as +I, one whose result differs (by its bits:
// NaN is canonical and zeros are told apart, as everywhere) as -U with the old values and +U with the new,
// one whose result is the same not at all. A group that a merge touched waits for the next push or the
// end, unless the merged state says that its results have been emitted.

import { Type } from "../abi/layout";
import { RowKind } from "../abi/operator";
import { Status } from "../abi/status";
import { ACCUMULATOR_SIZE, Accumulator, Family, accumulatorReserve } from "../aggregate/accumulator";
import { textAddress, textInit, textLength, textPut, textReserve } from "../aggregate/minmax-text";
import { RESULT_SCRATCH, resultAppend, resultReserve, resultValue } from "../aggregate/results";
import {
  Builder,
  builderReserveBytes,
  outputColumn,
  outputDescribe,
  outputRegion,
  outputReserve,
  outputReset,
  regrow,
} from "../column/builder";
import { bitmapGet } from "../column/bitmap";
import { typeWidth } from "../column/type";
import { groupTextBytes, groupsEmitKey } from "../group/emit";
import { Tier } from "../group/state";
import { bytesEqual } from "../hash/hash";
import { failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionCut } from "../memory/region";
import {
  aggregateTextBytes,
  aggregateTextLimit,
  aggregateTextsMatter,
  emitResult,
  resultTextBytes,
} from "./aggregate-output";
import { aggregatePrepareResults } from "./aggregate-reserve";
import { groupIsThere, isRetracting, retractCheck } from "./aggregate-retract";
import { Aggregation, aggregationOf, groupsHaveRows, groupsOf, resultAt } from "./aggregation";
import { Operator } from "./operator";

/** Groups that one pull looks at, at most. */
const PULL_GROUPS: u32 = 16384;
/** Groups that are new in a row from which on their columns are written at once, and at most so many of them. */
const FRESH_LEAST: u32 = 4;
const FRESH_MOST: u32 = 1024;
const SLOT: usize = 24;

// @ts-ignore: decorator
@unmanaged
class Changelog {
  /** Touched groups, u32 each: how many, room for how many, how many are done. */
  list: usize;
  count: u32;
  capacity: u32;
  cursor: u32;
  /** Number of the list, with which its groups are stamped. */
  round: u32;
  /** 1 when a push has closed the list: output is due. */
  open: u32;
  /** 1 when the -U of the group at the cursor has left and its +U has not (pulls of one row). */
  half: u32;
  /** 1 once any group was emitted. */
  begun: u32;
  /** Stamps (u32) and whether a group was emitted (u8), as flat arrays. */
  stamps: usize;
  emitted: usize;
  /** The last results: for each an array of values (or text slots) and one of validity bytes. */
  values: usize;
  valid: usize;
}

const CHANGELOG_SIZE: usize = 64;

// @ts-ignore: decorator
@inline
function changelogOf(operator: usize): Changelog {
  return changetype<Changelog>(aggregationOf(operator).changelog);
}

// @ts-ignore: decorator
@inline
function valuesAt(log: Changelog, index: u32): Accumulator {
  return changetype<Accumulator>(log.values + <usize>index * ACCUMULATOR_SIZE);
}

// @ts-ignore: decorator
@inline
function validAt(log: Changelog, index: u32): Accumulator {
  return changetype<Accumulator>(log.valid + <usize>index * ACCUMULATOR_SIZE);
}

function arrayCut(operator: usize, count: u32): usize {
  return regionCut(operator, max<usize>(1, <usize>count) * ACCUMULATOR_SIZE);
}

function arrayInit(array: usize, operator: usize, stride: u32): void {
  changetype<Accumulator>(array).region = operator;
  changetype<Accumulator>(array).stride = stride;
}

/** False when out of memory. */
export function changelogCreate(operator: usize): bool {
  const self = aggregationOf(operator);
  self.changelog = regionCut(operator, CHANGELOG_SIZE);
  if (self.changelog == 0) return false;
  const log = changelogOf(operator);
  log.round = 1;
  log.stamps = arrayCut(operator, 1);
  log.emitted = arrayCut(operator, 1);
  log.values = arrayCut(operator, self.resultCount);
  log.valid = arrayCut(operator, self.resultCount);
  if (log.stamps == 0 || log.emitted == 0 || log.values == 0 || log.valid == 0) return false;
  arrayInit(log.stamps, operator, 4);
  arrayInit(log.emitted, operator, 1);
  for (let index: u32 = 0; index < self.resultCount; index++) {
    const type = resultAt(self, index).type;
    const values = valuesAt(log, index);
    arrayInit(changetype<usize>(values), operator, type == <u32>Type.I128 ? 16 : 8);
    arrayInit(changetype<usize>(validAt(log, index)), operator, 1);
    values.family = Family.MIN_TEXT;
    if (type == <u32>Type.BYTES && !textInit(values)) return false;
  }
  return true;
}

/** Room for `groups` groups, and for `rows` further touched ones. False when out of memory. */
export function changelogReserve(operator: usize, rows: u32, groups: u32): bool {
  const self = aggregationOf(operator);
  const log = changelogOf(operator);
  const need = log.count + rows + 1;
  if (need > log.capacity) {
    const list = regrow(operator, log.list, (<usize>log.count) << 2, (<usize>need) << 2);
    if (list == 0) return false;
    log.list = list;
    log.capacity = need;
  }
  if (!accumulatorReserve(changetype<Accumulator>(log.stamps), groups, 0)) return false;
  if (!accumulatorReserve(changetype<Accumulator>(log.emitted), groups, 0)) return false;
  for (let index: u32 = 0; index < self.resultCount; index++) {
    if (
      !accumulatorReserve(valuesAt(log, index), groups, 0) ||
      !accumulatorReserve(validAt(log, index), groups, 0)
    )
      return false;
  }
  return true;
}

/** Lists the groups of a vector that are not listed yet. */
export function changelogTouch(operator: usize, numbers: usize, rows: u32): void {
  const log = changelogOf(operator);
  // The one group of all rows is listed once.
  if (log.count != 0 && groupsOf(aggregationOf(operator)).tier == <u32>Tier.NONE) return;
  const stamps = changetype<Accumulator>(log.stamps).values;
  for (let row: u32 = 0; row < rows; row++) {
    const group = load<u32>(numbers + ((<usize>row) << 2));
    const stamp = stamps + ((<usize>group) << 2);
    if (load<u32>(stamp) == log.round) continue;
    store<u32>(stamp, log.round);
    store<u32>(log.list + ((<usize>log.count) << 2), group);
    log.count++;
  }
}

/**
 * An ungrouped aggregation has its group before the first row: it is emitted with the first push, or at the
 * end.
 */
export function changelogTouchFirst(operator: usize): void {
  const log = changelogOf(operator);
  if (groupsOf(aggregationOf(operator)).tier != <u32>Tier.NONE || log.count != 0) return;
  if (load<u8>(changetype<Accumulator>(log.emitted).values) != 0) return;
  store<u32>(changetype<Accumulator>(log.stamps).values, log.round);
  store<u32>(log.list, 0);
  log.count = 1;
}

/** Closes the list after a push; whether there is anything to pull. */
export function changelogOpen(operator: usize): bool {
  const log = changelogOf(operator);
  log.open = log.cursor < log.count ? 1 : 0;
  return log.open != 0;
}

/**
 * Whether the results of all groups have been emitted: 1 yes, 0 of none, -1 of some (a merge's wait for the
 * next push).
 */
export function changelogEmitted(operator: usize): i32 {
  const log = changelogOf(operator);
  if (log.begun == 0) return 0;
  return log.cursor < log.count ? -1 : 1;
}

export function changelogPending(operator: usize): bool {
  return changelogOf(operator).open != 0;
}

/**
 * Takes the results of every listed group as emitted, without emitting them. False when out of memory;
 * negative results never come.
 */
export function changelogAdopt(context: usize, operator: usize): i32 {
  const self = aggregationOf(operator);
  const log = changelogOf(operator);
  if (!aggregatePrepareResults(context, self)) return failMemory(context, 0);
  const row = scratchTake(context, rowBytes(self));
  const scratch = scratchTake(context, RESULT_SCRATCH);
  for (; log.cursor < log.count; log.cursor++) {
    const group = load<u32>(log.list + ((<usize>log.cursor) << 2));
    if (!groupIsThere(self, group)) continue;
    if (!reserveKept(self, log, log.cursor, log.cursor + 1)) return failMemory(context, 0);
    const status = evaluate(context, operator, group, row, scratch);
    if (status < 0) return status;
    keep(self, log, group, row);
  }
  nextRound(log);
  return 0;
}

function nextRound(log: Changelog): void {
  log.count = 0;
  log.cursor = 0;
  log.open = 0;
  log.round++;
}

// ---- pull

export function changelogPull(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const self = aggregationOf(operator);
  const log = changelogOf(operator);
  const ended = changetype<Operator>(operator).ended != 0;
  if (ended) {
    if (!changelogReserve(operator, 0, max<u32>(1, self.reserved))) return failMemory(context, 0);
    changelogTouchFirst(operator);
    log.open = log.cursor < log.count ? 1 : 0;
  }
  if (log.open == 0) return ended ? Status.FINISHED : Status.NEED_INPUT;
  if (!outputReset(self.output, 0)) return failMemory(context, 0);
  const rows = changelogEmit(context, operator, maxRows, aggregateTextLimit(maxBytes));
  if (rows < 0) return rows;
  outputDescribe(self.output, out, rows, 0);
  if (log.open != 0) return Status.HAS_MORE;
  return ended ? Status.FINISHED : Status.NEED_INPUT;
}

/**
 * Appends the changes of the next groups of an open list to the output: at most `limit` rows and `bytes` of texts, but
 * one row at least. How many, or an error; the list is closed with its last group.
 */
export function changelogEmit(context: usize, operator: usize, limit: u32, bytes: u64): i32 {
  const self = aggregationOf(operator);
  const log = changelogOf(operator);
  const scratch = scratchTake(context, RESULT_SCRATCH);
  if (!aggregatePrepareResults(context, self)) return failMemory(context, 0);
  const last = lastGroup(self, log, min(max<u32>(1, limit >> 1), PULL_GROUPS), bytes, scratch);
  if (!reservePull(operator, log, last, scratch)) return failMemory(context, 0);
  const row = scratchTake(context, rowBytes(self));
  const before = outputColumn(self.output, kindColumn(self)).length;
  while (log.cursor < last) {
    const fresh = freshGroups(self, log, last);
    const status =
      fresh < FRESH_LEAST
        ? emitGroup(context, operator, log, row, scratch, limit == 1)
        : emitFresh(context, operator, log, fresh, scratch);
    if (status < 0) {
      changetype<Operator>(operator).failed = 1;
      return status;
    }
    if (status != 0) break;
    log.cursor += fresh < FRESH_LEAST ? 1 : fresh;
  }
  if (log.cursor >= log.count) nextRound(log);
  return outputColumn(self.output, kindColumn(self)).length - before;
}

// @ts-ignore: decorator
@inline
function kindColumn(self: Aggregation): u32 {
  return self.firstColumn + groupsOf(self).keyCount + self.resultCount;
}

function rowBytes(self: Aggregation): usize {
  return max<usize>(1, self.resultCount) * SLOT;
}

/** Where in the list this pull ends: after `limit` groups or `bytes` of texts, but not before one group. */
function lastGroup(self: Aggregation, log: Changelog, limit: u32, bytes: u64, scratch: usize): u32 {
  let total: u64 = 0;
  const end = min(log.count, log.cursor + limit);
  if (!aggregateTextsMatter(self, limit << 1, bytes)) return end;
  for (let at = log.cursor; at < end; at++) {
    const group = load<u32>(log.list + ((<usize>at) << 2));
    total += aggregateTextBytes(self, group, scratch) * 2 + keptBytes(self, log, group);
    if (total > bytes && at != log.cursor) return at;
  }
  return end;
}

function keptBytes(self: Aggregation, log: Changelog, group: u32): u64 {
  let total: u64 = 0;
  for (let index: u32 = 0; index < self.resultCount; index++) {
    if (resultAt(self, index).type == <u32>Type.BYTES) total += textLength(valuesAt(log, index), group);
  }
  return total;
}

/**
 * Room for two rows of each group from the cursor to `last`, and to keep their new texts. False when out of
 * memory.
 */
function reservePull(operator: usize, log: Changelog, last: u32, scratch: usize): bool {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (!outputReserve(self.output, (last - log.cursor) << 1)) return false;
  for (let column: u32 = 0; column < groups.keyCount + self.resultCount; column++) {
    const builder = outputColumn(self.output, self.firstColumn + column);
    if (builder.type != <u32>Type.BYTES) continue;
    let bytes: usize = 0;
    for (let at = log.cursor; at < last; at++) {
      const group = load<u32>(log.list + ((<usize>at) << 2));
      if (column < groups.keyCount) bytes += (<usize>groupTextBytes(groups, column, group, scratch)) << 1;
      else {
        const index = column - groups.keyCount;
        bytes += <usize>resultTextBytes(self, index, group) + <usize>textLength(valuesAt(log, index), group);
      }
    }
    if (!builderReserveBytes(outputRegion(self.output), builder, bytes)) return false;
  }
  return reserveKept(self, log, log.cursor, last);
}

function reserveKept(self: Aggregation, log: Changelog, first: u32, last: u32): bool {
  for (let index: u32 = 0; index < self.resultCount; index++) {
    if (resultAt(self, index).type != <u32>Type.BYTES) continue;
    let bytes: usize = 0;
    let longest: u32 = 0;
    for (let at = first; at < last; at++) {
      const length = resultTextBytes(self, index, load<u32>(log.list + ((<usize>at) << 2)));
      bytes += length;
      longest = max(longest, length);
    }
    if (!resultReserve(resultAt(self, index), longest)) return false;
    if (!textReserve(valuesAt(log, index), 0, bytes)) return false;
  }
  return true;
}

/**
 * How many listed groups from the cursor on are emitted for the first time, one after the other: whole columns of them
 * are written at once. 0 where results are kept in another form than columns have (texts, fewer than 8 bytes), or rows are
 * taken back, so that each group has to be looked at.
 */
function freshGroups(self: Aggregation, log: Changelog, last: u32): u32 {
  if (log.half != 0 || isRetracting(self) || !keepsColumns(self)) return 0;
  const emitted = changetype<Accumulator>(log.emitted).values;
  const end = min(last, log.cursor + FRESH_MOST);
  let at = log.cursor;
  while (at < end && load<u8>(emitted + <usize>load<u32>(log.list + ((<usize>at) << 2))) == 0) at++;
  return at - log.cursor;
}

function keepsColumns(self: Aggregation): bool {
  for (let index: u32 = 0; index < self.resultCount; index++) {
    if (typeWidth(resultAt(self, index).type) < 8) return false;
  }
  return true;
}

/** Emits `count` groups from the cursor on for the first time. 0, or an error. */
function emitFresh(context: usize, operator: usize, log: Changelog, count: u32, scratch: usize): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const list = log.list + ((<usize>log.cursor) << 2);
  for (let index: u32 = 0; index < groups.keyCount; index++)
    groupsEmitKey(groups, index, list, count, outputColumn(self.output, self.firstColumn + index), scratch);
  const kinds: Builder = outputColumn(self.output, kindColumn(self));
  memory.fill(kinds.values + <usize>kinds.length, <u8>RowKind.INSERT, count);
  kinds.length += count;
  for (let index: u32 = 0; index < self.resultCount; index++) {
    const builder = outputColumn(self.output, self.firstColumn + groups.keyCount + index);
    const before = builder.length;
    const mark = scratchMark(context);
    const status = emitResult(context, operator, index, list, count, scratch);
    scratchReset(context, mark);
    if (status < 0) return status;
    keepColumn(valuesAt(log, index), validAt(log, index), builder, before, list, count);
  }
  const emitted = changetype<Accumulator>(log.emitted).values;
  for (let at: usize = 0; at < (<usize>count) << 2; at += 4) store<u8>(emitted + <usize>load<u32>(list + at), 1);
  log.begun = 1;
  return 0;
}

/** Keeps what a column has from row `from` on as the last results of listed groups. */
function keepColumn(
  values: Accumulator,
  valid: Accumulator,
  builder: Builder,
  from: u32,
  list: usize,
  count: u32,
): void {
  const wide = values.stride == 16;
  for (let at: u32 = 0; at < count; at++) {
    const group: usize = load<u32>(list + ((<usize>at) << 2));
    const row = from + at;
    const source = builder.values + <usize>row * <usize>values.stride;
    const to = values.values + group * <usize>values.stride;
    store<u64>(to, load<u64>(source));
    if (wide) store<u64>(to, load<u64>(source, 8), 8);
    store<u8>(valid.values + group, builder.nulls == 0 ? 1 : <u8>bitmapGet(builder.validity, row));
  }
}

/** Writes the group's results to `row`: per result a value of 16 bytes and its validity. 0, or an error. */
function evaluate(context: usize, operator: usize, group: u32, row: usize, scratch: usize): i32 {
  const self = aggregationOf(operator);
  const hasRows = groupsHaveRows(operator);
  for (let index: u32 = 0; index < self.resultCount; index++) {
    const slot = row + <usize>index * SLOT;
    store<u64>(slot, 0);
    store<u64>(slot, 0, 8);
    const status = resultValue(
      context,
      resultAt(self, index),
      self.rowsCounter,
      group,
      hasRows,
      slot,
      scratch,
    );
    if (status < 0) return status;
    if (status == 0) {
      store<u64>(slot, 0);
      store<u64>(slot, 0, 8);
    }
    store<u32>(slot, status, 16);
  }
  return 0;
}

/** Emits the group at the cursor. 0, 1 when it is only half done, or an error. */
function emitGroup(
  context: usize,
  operator: usize,
  log: Changelog,
  row: usize,
  scratch: usize,
  single: bool,
): i32 {
  const self = aggregationOf(operator);
  const at = log.list + ((<usize>log.cursor) << 2);
  const group = load<u32>(at);
  const owes = retractCheck(context, operator, group);
  if (owes < 0) return owes;
  const emitted = load<u8>(changetype<Accumulator>(log.emitted).values + <usize>group) != 0;
  if (!groupIsThere(self, group)) {
    if (emitted) emitRow(self, log, at, row, scratch, true, RowKind.DELETE);
    store<u8>(changetype<Accumulator>(log.emitted).values + <usize>group, 0);
    return 0;
  }
  const status = evaluate(context, operator, group, row, scratch);
  if (status < 0) return status;
  if (emitted && log.half == 0) {
    if (isKept(self, log, group, row)) return 0;
    emitRow(self, log, at, row, scratch, true, RowKind.UPDATE_BEFORE);
    log.half = single ? 1 : 0;
    if (single) return 1;
  }
  emitRow(self, log, at, row, scratch, false, emitted ? RowKind.UPDATE_AFTER : RowKind.INSERT);
  log.half = 0;
  keep(self, log, group, row);
  return 0;
}

/** Appends one row: the kept values (`old`) or those of `row`. `at` is the address of the group's number. */
function emitRow(
  self: Aggregation,
  log: Changelog,
  at: usize,
  row: usize,
  scratch: usize,
  old: bool,
  kind: RowKind,
): void {
  const groups = groupsOf(self);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    groupsEmitKey(groups, index, at, 1, outputColumn(self.output, self.firstColumn + index), scratch);
  }
  const group = load<u32>(at);
  for (let index: u32 = 0; index < self.resultCount; index++) {
    let slot = row + <usize>index * SLOT;
    if (old) {
      slot = scratch;
      loadKept(self, log, group, index, slot);
    }
    // A copy: appending a null clears the value.
    store<u64>(scratch, load<u64>(slot), 32);
    store<u64>(scratch, load<u64>(slot, 8), 40);
    const column = self.firstColumn + groups.keyCount + index;
    resultAppend(outputColumn(self.output, column), load<u32>(slot, 16) != 0, scratch + 32);
  }
  const kinds: Builder = outputColumn(self.output, kindColumn(self));
  store<i8>(kinds.values + <usize>kinds.length, <i8>kind);
  kinds.length++;
}

// ---- what was emitted last

function loadKept(self: Aggregation, log: Changelog, group: u32, index: u32, slot: usize): void {
  const values = valuesAt(log, index);
  const at = values.values + <usize>group * <usize>values.stride;
  store<u64>(slot, load<u64>(at));
  store<u64>(slot, values.stride == 16 ? load<u64>(at, 8) : 0, 8);
  store<u32>(slot, load<u8>(validAt(log, index).values + <usize>group), 16);
}

function isKept(self: Aggregation, log: Changelog, group: u32, row: usize): bool {
  for (let index: u32 = 0; index < self.resultCount; index++) {
    const slot = row + <usize>index * SLOT;
    const valid = load<u32>(slot, 16);
    if (valid != <u32>load<u8>(validAt(log, index).values + <usize>group)) return false;
    if (valid == 0) continue;
    const values = valuesAt(log, index);
    if (resultAt(self, index).type == <u32>Type.BYTES) {
      const length = load<u32>(slot, 4);
      if (
        length != textLength(values, group) ||
        !bytesEqual(load<u32>(slot), textAddress(values, group), length)
      )
        return false;
      continue;
    }
    const at = values.values + <usize>group * <usize>values.stride;
    if (load<u64>(at) != load<u64>(slot)) return false;
    if (values.stride == 16 && load<u64>(at, 8) != load<u64>(slot, 8)) return false;
  }
  return true;
}

function keep(self: Aggregation, log: Changelog, group: u32, row: usize): void {
  log.begun = 1;
  store<u8>(changetype<Accumulator>(log.emitted).values + <usize>group, 1);
  for (let index: u32 = 0; index < self.resultCount; index++) {
    const slot = row + <usize>index * SLOT;
    const valid = load<u32>(slot, 16);
    store<u8>(validAt(log, index).values + <usize>group, <u8>valid);
    const values = valuesAt(log, index);
    if (resultAt(self, index).type == <u32>Type.BYTES) {
      // Its room was reserved.
      if (valid) textPut(values, group, load<u32>(slot), load<u32>(slot, 4));
      continue;
    }
    const at = values.values + <usize>group * <usize>values.stride;
    store<u64>(at, load<u64>(slot));
    if (values.stride == 16) store<u64>(at, load<u64>(slot, 8), 8);
  }
}
