// Results of a hash aggregation: one batch a pull, groups by number, a column at a time.

import { Type } from "../abi/layout";
import { AggregateFlag } from "../abi/operator";
import { Status } from "../abi/status";
import {
  RESULT_SCRATCH,
  UNBOUNDED,
  resultBound,
  resultBytes,
  resultEmit,
  resultReserve,
} from "../aggregate/results";
import {
  builderReserveBytes,
  outputColumn,
  outputDescribe,
  outputDetach,
  outputRegion,
  outputReserve,
  outputReset,
  outputTrim,
  regrow,
} from "../column/builder";

import { groupTextBytes, groupsEmitKeys, groupsKeyBound } from "../group/emit";
import { directEnd } from "../group/direct";
import { groupsListFrom } from "../group/list";
import { Groups, groupsIsOccupied, groupsOwnKeys } from "../group/state";
import { failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { changelogPull } from "./aggregate-changelog";
import { codesChoose } from "./aggregate-codes";
import { aggregateDrains, drainEnd, drainPart, drainPartEnd, drainWork } from "./aggregate-drain";
import { groupIsThere, isRetracting, retractCheck } from "./aggregate-retract";
import { isPartial, partialPull } from "./aggregate-partial";
import { aggregateReady } from "./aggregate-ready";
import { aggregatePrepareResults } from "./aggregate-reserve";
import { waitingRows, waitingWork } from "./aggregate-waiting";
import { Aggregation, aggregationOf, groupsHaveRows, groupsOf, resultAt } from "./aggregation";
import { ENDED, Operator } from "./operator";

/** Most rows of one pull, whatever the host asks for. */
export const PULL_ROWS: u32 = 65536;
/** Groups whose columns are written together: their packed keys stay in the cache from column to column. */
const EMIT_ROWS: u32 = 1024;
/** Up to this, room for a column's texts is made for the longest in every row, without adding them up. */
const ROUGH_BYTES: u64 = 1 << 22;

/**
 * Writes the next results to `out`: at most `maxRows` rows, and `maxBytes` bytes of texts unless one row has
 * more. 0 = no limit.
 */
export function aggregatePull(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const self = aggregationOf(operator);
  if (self.changelog != 0) return changelogPull(context, operator, out, maxRows, maxBytes);
  if (isPartial(operator)) return partialPull(context, operator, out, maxRows);
  if (changetype<Operator>(operator).ended != ENDED) return pullPart(context, operator, out, maxRows, maxBytes);
  if (waitingRows(operator) == 0 && self.cursor >= groupsOf(self).count) return Status.FINISHED;
  if (!freshOutput(self)) return failMemory(context, 0);
  const limit = min(maxRows, PULL_ROWS);
  const drains = aggregateDrains(operator);
  const waiting = drains ? drainWork(context, operator, limit) : waitingWork(context, operator);
  if (waiting < 0) return waiting;
  if (waiting == <i32>Status.HAS_MORE) {
    outputDescribe(self.output, out, 0, 0);
    return waiting;
  }
  const readied = aggregateReady(context, operator);
  if (readied < 0) return readied;
  const emitted = emitBatch(context, operator, out, limit, maxBytes);
  if (emitted < 0) return emitted;
  if (drains) drainEnd(operator);
  return waitingRows(operator) != 0 || self.cursor < groupsOf(self).count ? Status.HAS_MORE : Status.FINISHED;
}

/** Before the end: the groups of parts that have come from others, where these leave as they are complete. */
function pullPart(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  if (!drainPart(operator)) return Status.NEED_INPUT;
  if (!freshOutput(aggregationOf(operator))) return failMemory(context, 0);
  const emitted = emitBatch(context, operator, out, min(maxRows, PULL_ROWS), maxBytes);
  if (emitted < 0) return emitted;
  return drainPartEnd(operator) ? Status.NEED_INPUT : Status.HAS_MORE;
}

/** Writes the next groups to the output, which is empty. 0, or an error; out of memory changes nothing. */
function emitBatch(context: usize, operator: usize, out: usize, limit: u32, maxBytes: u32): i32 {
  const self = aggregationOf(operator);
  codesChoose(operator);
  const rows = aggregateEmit(context, operator, limit, aggregateTextLimit(maxBytes));
  if (rows < 0) {
    if (rows != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
    return rows;
  }
  if ((self.flags & <u32>AggregateFlag.KEEP_RESULTS) != 0) outputTrim(self.output);
  outputDescribe(self.output, out, rows, 0);
  return 0;
}

/** Empties the output or, where it has results that stay, begins another one. False when out of memory. */
function freshOutput(self: Aggregation): bool {
  const stays = (self.flags & <u32>AggregateFlag.KEEP_RESULTS) != 0 && outputColumn(self.output, 0).length != 0;
  if (stays && !outputDetach(self.output)) return false;
  return outputReset(self.output, 0);
}

/**
 * Appends the results of the next groups to the output: at most `limit` rows and `bytes` of texts, but one row at
 * least. Answers how many, 0 when none are left, or an error; out of memory changes nothing.
 */
export function aggregateEmit(context: usize, operator: usize, limit: u32, bytes: u64): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (!aggregatePrepareResults(context, self)) return failMemory(context, 0);
  const list = regrow(operator, self.list, 0, (<usize>min(limit, groups.count - self.cursor)) << 2);
  if (list == 0) return failMemory(context, 0);
  self.list = list;
  const scratch = scratchTake(context, RESULT_SCRATCH);
  const rows = listGroups(self, list, limit, bytes, scratch, self.cursor);
  for (let row: u32 = 0; row < rows && isRetracting(self); row++) {
    const owes = retractCheck(context, operator, load<u32>(list + ((<usize>row) << 2)));
    if (owes < 0) return owes;
  }
  const status = emitListed(context, operator, list, rows, scratch);
  if (status < 0) return status;
  self.cursor = rows == 0 ? groups.count : load<u32>(list + ((<usize>(rows - 1)) << 2)) + 1;
  return rows;
}

/**
 * Appends the results of `rows` groups that are listed (u32 each) of an aggregation that keeps no values as pairs with a
 * group. 0, or an error; out of memory changes nothing.
 */
export function aggregateEmitListed(context: usize, operator: usize, list: usize, rows: u32): i32 {
  return emitListed(context, operator, list, rows, scratchTake(context, RESULT_SCRATCH));
}

function emitListed(context: usize, operator: usize, list: usize, rows: u32, scratch: usize): i32 {
  if (!reserveRows(aggregationOf(operator), list, rows, scratch)) return failMemory(context, 0);
  for (let start: u32 = 0; start < rows; start += EMIT_ROWS) {
    const status = emitGroups(
      context,
      operator,
      list + ((<usize>start) << 2),
      min(EMIT_ROWS, rows - start),
      scratch,
    );
    if (status < 0) return status;
  }
  return 0;
}

/** Appends the keys and results of listed groups. 0, or an error's status. */
function emitGroups(context: usize, operator: usize, list: usize, rows: u32, scratch: usize): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  groupsEmitKeys(groups, list, rows, self.output, self.firstColumn, scratch);
  for (let index: u32 = 0; index < self.resultCount; index++) {
    const mark = scratchMark(context);
    const status = emitResult(context, operator, index, list, rows, scratch);
    if (status < 0) return status;
    scratchReset(context, mark);
  }
  return 0;
}

/** Bytes of texts that a batch may hold: offsets have 31 bits. */
export function aggregateTextLimit(maxBytes: u32): u64 {
  return maxBytes == 0 || maxBytes > 0x7fffffff ? 0x7fffffff : maxBytes;
}

/**
 * Lists groups from `from` on until there are `limit` or their texts are `bytes`; at least one when any is
 * left.
 */
function listGroups(self: Aggregation, list: usize, limit: u32, bytes: u64, scratch: usize, from: u32): u32 {
  const groups = groupsOf(self);
  // Where even the longest texts would fit, nothing needs to be added up.
  const texts = aggregateTextsMatter(self, limit, bytes);
  if (!texts && !isRetracting(self)) return listOccupied(groups, list, limit, from);
  let rows: u32 = 0;
  let total: u64 = 0;
  for (let group = from; group < groups.count && rows < limit; group++) {
    if (!groupsIsOccupied(groups, group) || !groupIsThere(self, group)) continue;
    if (texts) {
      total += aggregateTextBytes(self, group, scratch);
      if (total > bytes && rows != 0) break;
    }
    store<u32>(list + ((<usize>rows) << 2), group);
    rows++;
  }
  return rows;
}

/** Lists groups that have rows, from `from` on; no branch depends on which have. */
function listOccupied(groups: Groups, list: usize, limit: u32, from: u32): u32 {
  return groupsListFrom(groups, list, limit, from, directEnd(groups));
}

/** Whether a key leaves the batch at hand as codes, which are no texts. */
// @ts-ignore: decorator
@inline
function keyIsCoded(self: Aggregation, index: u32): bool {
  return ((self.coded >> index) & 1) != 0;
}

/** Whether `rows` rows of results may have more than `bytes` of texts and lists. */
export function aggregateTextsMatter(self: Aggregation, rows: u32, bytes: u64): bool {
  const groups = groupsOf(self);
  let total: u64 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++)
    if (!keyIsCoded(self, index)) total += groupsKeyBound(groups, index);
  for (let index: u32 = 0; index < self.resultCount; index++) {
    const bound = resultBound(resultAt(self, index));
    if (bound == UNBOUNDED) return true;
    total += bound;
  }
  return total * <u64>rows > bytes;
}

/** Bytes of texts in a group's row of results. */
export function aggregateTextBytes(self: Aggregation, group: u32, scratch: usize): u64 {
  const groups = groupsOf(self);
  let total: u64 = 0;
  for (let index: u32 = 0; index < groups.keyCount; index++)
    if (!keyIsCoded(self, index)) total += groupTextBytes(groups, index, group, scratch);
  for (let index: u32 = 0; index < self.resultCount; index++) total += resultTextBytes(self, index, group);
  return total;
}

export function resultTextBytes(self: Aggregation, index: u32, group: u32): u32 {
  return resultBytes(resultAt(self, index), self.rowsCounter, group);
}

/** Makes room in the output for the listed groups. False when out of memory. */
function reserveRows(self: Aggregation, list: usize, rows: u32, scratch: usize): bool {
  if (!outputReserve(self.output, rows)) return false;
  const region = outputRegion(self.output);
  const groups = groupsOf(self);
  const keys = groupsOwnKeys(groups);
  for (let column: u32 = 0; column < keys + self.resultCount; column++) {
    const builder = outputColumn(self.output, self.firstColumn + column);
    if (builder.type != <u32>Type.BYTES || builder.dictionary != 0) continue;
    const each = column < keys ? groupsKeyBound(groups, column) : resultBound(resultAt(self, column - keys));
    const bound = <u64>each * <u64>rows;
    const isRough = each != UNBOUNDED && bound <= ROUGH_BYTES;
    let bytes: usize = isRough ? <usize>bound : 0;
    let longest: u32 = 0;
    for (let row: u32 = 0; row < rows && !isRough; row++) {
      const group = load<u32>(list + ((<usize>row) << 2));
      const length =
        column < keys
          ? groupTextBytes(groups, column, group, scratch)
          : resultTextBytes(self, column - keys, group);
      bytes += length;
      longest = max(longest, length);
    }
    if (column >= keys && !resultReserve(resultAt(self, column - keys), longest))
      return false;
    if (!builderReserveBytes(region, builder, bytes)) return false;
  }
  return true;
}

/** Appends a result of listed groups. 0, or an error's status. */
export function emitResult(
  context: usize,
  operator: usize,
  index: u32,
  list: usize,
  rows: u32,
  scratch: usize,
): i32 {
  const self = aggregationOf(operator);
  const result = resultAt(self, index);
  const builder = outputColumn(self.output, result.column);
  const hasRows = groupsHaveRows(operator);
  return resultEmit(
    context,
    result,
    self.rowsCounter,
    list,
    rows,
    hasRows,
    builder,
    scratchTake(context, 16),
    scratch,
  );
}
