// Saving the state of a hash aggregation: see aggregate-state.ts for what it is.

import { Abi, Batch, Type } from "../abi/layout";
import { OperatorKind } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { Accumulator, Family, isLog, isMultiset, isPairs, isSketch } from "../aggregate/accumulator";
import { bitsLoad } from "../aggregate/bits";
import { distinctValue } from "../aggregate/distinct";
import { EXACT_STATE_BYTES } from "../aggregate/exact-limbs";
import { EXACT_SUM_BYTES, sumExactBring, sumExactState } from "../aggregate/exact-read";
import { MOMENTS_BYTES } from "../aggregate/moments-fast";
import { minmaxLoad } from "../aggregate/minmax";
import { multisetMultiplicity, multisetValue } from "../aggregate/multiset";
import { textAddress, textLength } from "../aggregate/minmax-text";
import { logLoad } from "../aggregate/value-log";
import { sketchCell, sketchNumber } from "../aggregate/sketch";
import {
  countOf,
  isListFamily,
  isPresent,
  listReserve,
  listState,
  listStateLength,
  resultAppend,
} from "../aggregate/results";
import { sumIntegerLoad } from "../aggregate/sum-integer";
import {
  builderAppendBytes,
  builderReserveBytes,
  outputColumn,
  outputCreate,
  outputDescribe,
  outputRegion,
  outputReset,
  regrow,
} from "../column/builder";
import { groupTextBytes, groupsEmitKey } from "../group/emit";
import { internedAddress, internedLength } from "../group/interner";
import { KeyColumn } from "../group/key-column";
import { groupsIsOccupied } from "../group/state";
import { fail, failMemory, scratchTake } from "../memory/context";
import { regionBlock, regionFree } from "../memory/region";
import { rangesWork } from "./aggregate-ranges";
import { waitingSettle } from "./aggregate-waiting";
import { changelogEmitted } from "./aggregate-changelog";
import {
  Division,
  divisionCreate,
  divisionFree,
  divisionGroups,
  divisionMark,
  divisionNext,
  divisionPairs,
  divisionStart,
  pairGroup,
} from "./aggregate-division";
import { rowsLeave } from "./aggregate-leave";
import {
  EMITTED,
  HEADER_COLUMNS,
  STATE_ROWS,
  State,
  distinctAt,
  isTwoColumns,
  pairsOf,
  scratchTypes,
  sectionTypes,
  stateLender,
  stateOf,
} from "./aggregate-state";
import { Aggregation, accumulatorAt, aggregationOf, groupsHaveRows, groupsOf } from "./aggregation";
import { Operator } from "./operator";

/** Sums that are brought into the cache together. */
const BROUGHT: u32 = 64;

/**
 * Writes the next batch of the state to `out`: the `first`, or the one after the last. HAS_MORE, then FINISHED. With
 * `parts` above 0 it is one state after the other, of each partition that has groups.
 */
export function aggregateSnapshot(
  context: usize,
  operator: usize,
  out: usize,
  maxRows: u32,
  first: bool,
  parts: u32 = 0,
): i32 {
  const self = aggregationOf(operator);
  const address = stateOf(operator);
  if (address == 0) return failMemory(context, 0);
  const state = changetype<State>(address);
  // Rows that leave by themselves are no part of a divided state.
  const leave = parts != 0 && rowsLeave(operator);
  const waiting = leave ? rangesWork(context, operator, true) : waitingSettle(context, operator);
  if (waiting < 0) return waiting;
  if (state.open || (self.changelog != 0 && changelogEmitted(operator) < 0))
    return fail(context, Status.BUSY, Reason.NONE);
  if (first) {
    state.section = 0;
    state.cursor = 0;
    // Of a snapshot that was left half read.
    regionFree(operator, state.rows);
    state.rows = 0;
    divisionFree(operator, state);
    if (parts != 0 && !divisionCreate(context, operator, state, parts)) return failMemory(context, 0);
    if (parts != 0 && !divisionNext(changetype<Division>(state.division))) return finish(operator, state);
  }
  const output = sectionOutput(context, operator, state.section);
  if (output == 0) return failMemory(context, 0);
  const limit = min(maxRows, STATE_ROWS);
  let rows: i32 = 0;
  if (state.section == 0) rows = saveHeader(operator, state, output);
  else if (state.section == 1) rows = saveGroups(context, operator, state, output, limit);
  else rows = savePairs(context, operator, state, output, limit);
  if (rows < 0) return failMemory(context, 0);
  outputDescribe(output, out, rows, state.section);
  const division = divisionOf(state);
  if (division != null) store<u32>(out, division.part, <usize>Batch.PARTITION);
  while (isSectionDone(self, state)) {
    state.section++;
    state.cursor = 0;
    if (division != null) {
      division.left = 0;
      if (state.section == 1) state.cursor = divisionStart(division, division.part);
    }
    if (state.section < state.sections) continue;
    if (division == null) return finish(operator, state);
    division.part++;
    if (!divisionNext(division)) return finish(operator, state);
    state.section = 0;
    break;
  }
  return Status.HAS_MORE;
}

function finish(operator: usize, state: State): i32 {
  divisionFree(operator, state);
  regionFree(operator, state.rows);
  state.rows = 0;
  return Status.FINISHED;
}

/** The division that the open snapshot goes by; null where it has none. */
function divisionOf(state: State): Division | null {
  if (state.division == 0) return null;
  const division = changetype<Division>(state.division);
  return division.order == 0 ? null : division;
}

function sectionOutput(context: usize, operator: usize, section: u32): usize {
  const lender = stateLender(operator);
  const lent = stateOf(lender);
  if (lent == 0) return 0;
  const at = changetype<State>(lent).outputs + ((<usize>section) << 2);
  const known: usize = load<u32>(at);
  if (known != 0) return known;
  const self = aggregationOf(operator);
  const types = scratchTypes(context, self, section);
  const columns = sectionTypes(self, section, 0);
  const output = outputCreate(lender, columns);
  if (output == 0) return 0;
  for (let column: u32 = 0; column < columns; column++) {
    outputColumn(output, column).type = load<u32>(types + ((<usize>column) << 2));
  }
  store<u32>(at, <u32>output);
  return output;
}

function isSectionDone(self: Aggregation, state: State): bool {
  if (state.section == 0) return state.cursor != 0;
  const groups = groupsOf(self);
  const division = divisionOf(state);
  if (division != null) {
    return state.section == 1
      ? state.cursor >= divisionStart(division, division.part + 1)
      : division.left >= divisionPairs(division, state.section - 2);
  }
  if (state.section > 1) return state.cursor >= pairsOf(distinctAt(self, state.section - 2));
  if (sectionTypes(self, 1, 0) == 0) return true;
  while (state.cursor < groups.count && !groupsIsOccupied(groups, state.cursor)) state.cursor++;
  return state.cursor >= groups.count;
}

function occupiedGroups(self: Aggregation): u64 {
  const groups = groupsOf(self);
  let count: u64 = 0;
  for (let group: u32 = 0; group < groups.count; group++) count += <u64>groupsIsOccupied(groups, group);
  return count;
}

function saveHeader(operator: usize, state: State, output: usize): i32 {
  const self = aggregationOf(operator);
  const head = changetype<Operator>(operator);
  if (!outputReset(output, 1)) return -1;
  append64(output, 0, <u64>Abi.VERSION);
  append64(output, 1, <u64>OperatorKind.HASH_AGGREGATE);
  append64(output, 2, self.configHash);
  append64(output, 3, head.rowsIn);
  append64(output, 4, head.rowsSelected);
  append64(output, 5, head.batchesIn);
  const division = divisionOf(state);
  append64(output, 6, division == null ? occupiedGroups(self) : divisionGroups(division));
  append64(output, 7, self.changelog != 0 && changelogEmitted(operator) == 1 ? EMITTED : 0);
  for (let index: u32 = 0; index < state.sections - 2; index++) {
    const pairs = division == null ? pairsOf(distinctAt(self, index)) : divisionPairs(division, index);
    append64(output, HEADER_COLUMNS + index, pairs);
  }
  state.cursor = 1;
  return 1;
}

function append64(output: usize, column: u32, value: u64): void {
  const builder = outputColumn(output, column);
  if (builder.type == <u32>Type.U32) store<u32>(builder.values, <u32>value);
  else store<u64>(builder.values, value);
  builder.length = 1;
}

/** Saves groups from the cursor on; how many, or -1 when out of memory. */
function saveGroups(context: usize, operator: usize, state: State, output: usize, limit: u32): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const division = divisionOf(state);
  let cursor = state.cursor;
  let rows: u32 = 0;
  let list: usize = 0;
  if (division != null) {
    list = division.order + ((<usize>cursor) << 2);
    rows = min(limit, divisionStart(division, division.part + 1) - cursor);
    cursor += rows;
  } else {
    list = regrow(operator, self.list, 0, (<usize>min(limit, groups.count)) << 2);
    if (list == 0) return -1;
    self.list = list;
    for (; cursor < groups.count && rows < limit; cursor++) {
      if (!groupsIsOccupied(groups, cursor)) continue;
      store<u32>(list + ((<usize>rows) << 2), cursor);
      rows++;
    }
  }
  if (!outputReset(output, rows)) return -1;
  const scratch = scratchTake(context, EXACT_SUM_BYTES);
  const value = scratchTake(context, <usize>EXACT_STATE_BYTES);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    if (!saveKey(operator, index, output, list, rows, scratch)) return -1;
  }
  let column = groups.keyCount;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (isPairs(accumulator)) continue;
    if (!saveAccumulator(operator, accumulator, output, column, list, rows, value, scratch)) return -1;
    column += isTwoColumns(accumulator) ? 2 : 1;
  }
  state.cursor = cursor;
  return rows;
}

function saveKey(
  operator: usize,
  index: u32,
  output: usize,
  list: usize,
  rows: u32,
  scratch: usize,
): bool {
  const groups = groupsOf(aggregationOf(operator));
  const builder = outputColumn(output, index);
  if (builder.type == <u32>Type.BYTES) {
    let bytes: usize = 0;
    for (let row: u32 = 0; row < rows; row++)
      bytes += groupTextBytes(groups, index, load<u32>(list + ((<usize>row) << 2)), scratch);
    if (!builderReserveBytes(outputRegion(output), builder, bytes)) return false;
  }
  groupsEmitKey(groups, index, list, rows, builder, scratch);
  return true;
}

function saveAccumulator(
  operator: usize,
  accumulator: Accumulator,
  output: usize,
  column: u32,
  list: usize,
  rows: u32,
  value: usize,
  scratch: usize,
): bool {
  const self = aggregationOf(operator);
  const builder = outputColumn(output, column);
  const region = outputRegion(output);
  const isText = builder.type == <u32>Type.BYTES;
  const hasRows = groupsHaveRows(operator);
  for (let row: u32 = 0; row < rows; row++) {
    const group = load<u32>(list + ((<usize>row) << 2));
    if (accumulator.family == <u32>Family.SUM_EXACT) {
      // Groups of a partition lie far apart.
      if (row % BROUGHT == 0) {
        const some = sumExactBring(accumulator, list + ((<usize>row) << 2), min(BROUGHT, rows - row));
        store<u64>(value, some);
      }
      const length = sumExactState(accumulator, group, value, scratch);
      if (!builderReserveBytes(region, builder, length)) return false;
      builderAppendBytes(builder, value, length);
    } else if (accumulator.family == <u32>Family.MOMENTS_FAST) {
      if (!builderReserveBytes(region, builder, MOMENTS_BYTES)) return false;
      const at = accumulator.values + <usize>group * <usize>MOMENTS_BYTES;
      builderAppendBytes(builder, at, MOMENTS_BYTES);
    } else if (isListFamily(accumulator.family)) {
      const length = listStateLength(accumulator, self.rowsCounter, group);
      if (!builderReserveBytes(region, builder, length) || !listReserve(accumulator, length)) return false;
      builderAppendBytes(builder, listState(accumulator, group), length);
    } else if (isText) {
      const address = textAddress(accumulator, group);
      if (!builderReserveBytes(region, builder, address == 0 ? 0 : textLength(accumulator, group)))
        return false;
      store<u32>(value, <u32>address);
      store<u32>(value, textLength(accumulator, group), 4);
      resultAppend(builder, address != 0, value);
    } else {
      const valid = saveFixed(self, accumulator, group, hasRows, value);
      resultAppend(builder, valid, value);
      if (!isTwoColumns(accumulator)) continue;
      resultAppend(outputColumn(output, column + 1), true, value + 16);
    }
  }
  return true;
}

/** Writes a group's fixed-width state to `value`; false for null. */
function saveFixed(
  self: Aggregation,
  accumulator: Accumulator,
  group: u32,
  hasRows: bool,
  value: usize,
): bool {
  switch (accumulator.family) {
    case Family.COUNT:
      store<i64>(value, countOf(accumulator, self.rowsCounter, group));
      return true;
    case Family.SEEN:
      store<u8>(value, isPresent(accumulator, self.rowsCounter, group, hasRows) ? 1 : 0);
      return true;
    case Family.SUM_INTEGER:
      sumIntegerLoad(accumulator, group, value);
      return true;
    case Family.SUM_FAST:
      store<u64>(value, load<u64>(accumulator.values + ((<usize>group) << 3)));
      return true;
    case Family.BIT_AND:
    case Family.BIT_OR:
    case Family.BIT_XOR:
      bitsLoad(accumulator, group, value);
      return true;
    default:
      minmaxLoad(accumulator, group, value);
      return isPresent(changetype<Accumulator>(accumulator.presence), self.rowsCounter, group, hasRows);
  }
}

/** Saves pairs from the cursor on; how many, or -1 when out of memory. */
function savePairs(context: usize, operator: usize, state: State, output: usize, limit: u32): i32 {
  const accumulator = distinctAt(aggregationOf(operator), state.section - 2);
  if (!rankGroups(operator, state)) return -1;
  const division = divisionOf(state);
  const known: u32 = division == null ? state.cursor : division.left;
  const pairs: u32 = division == null ? pairsOf(accumulator) : divisionPairs(division, state.section - 2);
  const rows = min(limit, pairs - known);
  const list = regrow(operator, aggregationOf(operator).list, 0, (<usize>rows) << 2);
  if (list == 0) return -1;
  aggregationOf(operator).list = list;
  const cursor = listPairs(accumulator, division, list, rows, state.cursor);
  if (!outputReset(output, rows)) return -1;
  const saved = isSketch(accumulator)
    ? saveCells(accumulator, state, output, list, rows)
    : saveValues(context, operator, accumulator, state, output, list, rows);
  if (!saved) return -1;
  state.cursor = cursor;
  if (division != null) division.left += rows;
  return rows;
}

/** Lists the next `rows` entries (u32 each) from `from` on, of the partition at hand if there is one; answers the next. */
function listPairs(accumulator: Accumulator, division: Division | null, list: usize, rows: u32, from: u32): u32 {
  let entry = from;
  for (let row: u32 = 0; row < rows; entry++) {
    if (division != null && divisionMark(division, pairGroup(accumulator, entry)) != division.part) continue;
    store<u32>(list + ((<usize>row) << 2), entry);
    row++;
  }
  return entry;
}

/** Saves listed values of a distinct count, a multiset or a log. False when out of memory. */
function saveValues(
  context: usize,
  operator: usize,
  accumulator: Accumulator,
  state: State,
  output: usize,
  list: usize,
  rows: u32,
): bool {
  const numbers = outputColumn(output, 0);
  const values = outputColumn(output, 1);
  const log = isLog(accumulator);
  const interner: usize = log ? 0 : changetype<KeyColumn>(accumulator.key).interner;
  const multiset = isMultiset(accumulator.family);
  const copy = scratchTake(context, 16);
  if (interner != 0 || accumulator.family == <u32>Family.LOG_TEXT) {
    let bytes: usize = 0;
    for (let row: u32 = 0; row < rows; row++) {
      const entry = load<u32>(list + ((<usize>row) << 2));
      bytes +=
        interner != 0
          ? internedLength(interner, load<u32>(distinctValue(accumulator, entry)))
          : load<u32>(accumulator.values + ((<usize>entry) << 3), 4);
    }
    if (!builderReserveBytes(outputRegion(output), values, bytes)) return false;
  }
  for (let row: u32 = 0; row < rows; row++) {
    const entry = load<u32>(list + ((<usize>row) << 2));
    store<u32>(
      numbers.values + ((<usize>numbers.length) << 2),
      load<u32>(state.rows + ((<usize>pairGroup(accumulator, entry)) << 2)),
    );
    numbers.length++;
    if (log) {
      if (accumulator.family == <u32>Family.LOG_TEXT)
        store<u64>(copy, load<u64>(accumulator.values + ((<usize>entry) << 3)));
      else logLoad(accumulator, entry, copy);
      resultAppend(values, true, copy);
      continue;
    }
    if (multiset) {
      multisetValue(accumulator, entry, copy);
      resultAppend(values, true, copy);
      store<i64>(copy, multisetMultiplicity(accumulator, entry));
      resultAppend(outputColumn(output, 2), true, copy);
      continue;
    }
    const value = distinctValue(accumulator, entry);
    if (interner != 0) {
      store<u32>(copy, <u32>internedAddress(interner, load<u32>(value)));
      store<u32>(copy, internedLength(interner, load<u32>(value)), 4);
      resultAppend(values, true, copy);
    } else resultAppend(values, true, value);
  }
  return true;
}

/** Saves listed cells of a sketch; there is room. */
function saveCells(accumulator: Accumulator, state: State, output: usize, list: usize, count: u32): bool {
  const rows = outputColumn(output, 0);
  const numbers = outputColumn(output, 1);
  const counters = outputColumn(output, 2);
  for (let at: usize = 0; at < <usize>count; at++) {
    const entry = load<u32>(list + (at << 2));
    const cell = sketchCell(accumulator, entry);
    store<u32>(rows.values + (at << 2), load<u32>(state.rows + ((<usize>pairGroup(accumulator, entry)) << 2)));
    store<u32>(numbers.values + (at << 2), sketchNumber(accumulator, entry));
    store<u64>(counters.values + (at << 4), load<u64>(cell));
    store<u64>(counters.values + (at << 4), load<u64>(cell, 8), 8);
  }
  rows.length += count;
  numbers.length += count;
  counters.length += count;
  return true;
}

/** Makes the table from group to row of section 1. False when out of memory. */
function rankGroups(operator: usize, state: State): bool {
  if (state.rows != 0) return true;
  const groups = groupsOf(aggregationOf(operator));
  state.rows = regionBlock(operator, (<usize>max<u32>(groups.count, 1)) << 2);
  if (state.rows == 0) return false;
  let rank: u32 = 0;
  for (let group: u32 = 0; group < groups.count; group++) {
    store<u32>(state.rows + ((<usize>group) << 2), rank);
    rank += groupsIsOccupied(groups, group) ? 1 : 0;
  }
  return true;
}
