// State of a hash aggregation: sections of record batches that any operator of the same configuration
// merges. Merging into an empty operator restores; merging the states of any split of the rows, in any
// order, gives the results of the whole bit for bit.
//
//   section 0, one row: u32 ABI version, u32 operator kind, u64 configuration hash, u64 rows in, u64 rows
//     selected, u64 batches in, u64 groups, u32 flags (1 = results were emitted as a changelog), and for each
//     DISTINCT accumulator u64 pairs
//   section 1, one row a group (left out where it would have no columns): the keys, then for each accumulator but DISTINCT
//     COUNT i64 | SEEN bool | SUM_INTEGER i128 (of decimals: and i64, the 64 bits above it) | SUM_FAST f64
//     SUM_EXACT bytes: see sum-exact.ts | MIN, MAX the value, null when there is none
//   section 2 + i, one row a pair of the i-th DISTINCT accumulator: u32 row of section 1, the value
//
// Accumulators are in the order in which the aggregates first need them: values, then counts. A state is
// checked batch by batch before anything of the batch is applied. Between the header and the last row of
// the last section the merge is open: the operator takes nothing else, and a release makes it failed.

import { Abi, Batch, ErrorRecord, Type } from "../abi/layout";
import { AggregateFlag, OperatorKind } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { Accumulator, Family } from "../aggregate/accumulator";
import { accumulatorReserveRows } from "../aggregate/accumulators";
import { distinctGroup, distinctPairs, distinctUpdate, distinctValue } from "../aggregate/distinct";
import { minmaxLoad, minmaxUpdate } from "../aggregate/minmax";
import { textAddress, textFold, textLength } from "../aggregate/minmax-text";
import { countOf, isPresent, resultAppend } from "../aggregate/results";
import {
  EXACT_STATE_BYTES,
  EXACT_SUM_BYTES,
  sumExactMerge,
  sumExactMerged,
  sumExactPrepareMerge,
  sumExactState,
  sumExactStateIsValid,
} from "../aggregate/sum-exact";
import { sumIntegerLoad, sumIntegerMerge } from "../aggregate/sum-integer";
import { VALUES_BYTES, maskBit } from "../aggregate/argument";
import { Builder, builderAppendBytes, builderReserveBytes, outputColumn, outputCreate, outputDescribe, outputReset, regrow } from "../column/builder";
import { Vector } from "../column/vector";
import { programBind, programOutput, programOutputDistinctBytes, programOutputTextBytes, programRun } from "../expression/program";
import {
  groupTextBytes,
  groupsAssign,
  groupsEmitKey,
  groupsIsOccupied,
  groupsKey,
  groupsPrepareLoaded,
  groupsReserve,
  groupsSpan,
} from "../group/groups";
import { internedAddress, internedLength, internerReserve } from "../group/interner";
import { KeyColumn, keyLoad } from "../group/key-column";
import { contextError, fail, failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock, regionCut, regionFree } from "../memory/region";
import { changelogAdopt, changelogReserve, changelogTouch } from "./aggregate-changelog";
import { Aggregation, accumulatorAt, aggregationOf, groupsHaveRows, groupsOf } from "./aggregation";
import { aggregateReserveSpan, startTracking } from "./hash-aggregate";
import { loadProgramCreate } from "./load-program";
import { Operator } from "./operator";

const ROWS: u32 = Abi.VECTOR_ROWS;
const STATE_ROWS: u32 = Abi.MORSEL_ROWS;
const HEADER_COLUMNS: u32 = 8;
const EMITTED: u32 = 1;

// @ts-ignore: decorator
@unmanaged
class State {
  /** Addresses (u32) of each section's output and load program, 0 until first needed. */
  outputs: usize;
  programs: usize;
  sections: u32;
  /** Snapshot: the section and row (group, pair) that come next. */
  section: u32;
  cursor: u32;
  /** Snapshot: row of section 1 of each group. Merge: group of each row. u32 each. */
  rows: usize;
  rowCount: u32;
  /** Merge: whether one is open; rows (u64) that each section still has to bring. */
  open: u32;
  left: usize;
  flags: u32;
  /** Merge: whether the operator had no rows before. */
  fresh: u32;
  rowsSelected: u64;
}

const STATE_SIZE: usize = 64;

/** The operator's State, made when first needed; 0 when out of memory. */
function stateOf(operator: usize): usize {
  const self = aggregationOf(operator);
  if (self.state != 0) return self.state;
  const sections = 2 + distinctCount(self);
  const state = regionCut(operator, STATE_SIZE);
  const arrays = regionCut(operator, <usize>sections * 16);
  if (state == 0 || arrays == 0) return 0;
  changetype<State>(state).sections = sections;
  changetype<State>(state).left = arrays;
  changetype<State>(state).outputs = arrays + (<usize>sections << 3);
  changetype<State>(state).programs = arrays + <usize>sections * 12;
  self.state = state;
  return state;
}

function distinctCount(self: Aggregation): u32 {
  let count: u32 = 0;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    if (accumulatorAt(self, index).family == <u32>Family.DISTINCT) count++;
  }
  return count;
}

function distinctAt(self: Aggregation, number: u32): Accumulator {
  let index: u32 = 0;
  for (; ; index++) {
    if (accumulatorAt(self, index).family != <u32>Family.DISTINCT) continue;
    if (number == 0) break;
    number--;
  }
  return accumulatorAt(self, index);
}

// ---- the shape of a section

/** Writes the column types of a section to `types` (u32 each, none when 0) and answers how many there are. */
function sectionTypes(self: Aggregation, section: u32, types: usize): u32 {
  if (section == 0) return headerTypes(self, types);
  if (section > 1) {
    put(types, 0, Type.U32);
    return put(types, 1, distinctAt(self, section - 2).type);
  }
  const groups = groupsOf(self);
  let count: u32 = 0;
  for (; count < groups.keyCount; count++) put(types, count, groupsKey(groups, count).type);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (accumulator.family == <u32>Family.DISTINCT) continue;
    count = put(types, count, stateType(accumulator));
    if (isTwoColumns(accumulator)) count = put(types, count, Type.I64);
  }
  return count;
}

function headerTypes(self: Aggregation, types: usize): u32 {
  put(types, 0, Type.U32);
  put(types, 1, Type.U32);
  for (let column: u32 = 2; column < 7; column++) put(types, column, Type.U64);
  let count = put(types, 7, Type.U32);
  for (let left = distinctCount(self); left > 0; left--) count = put(types, count, Type.U64);
  return count;
}

function put(types: usize, index: u32, type: u32): u32 {
  if (types != 0) store<u32>(types + (<usize>index << 2), type);
  return index + 1;
}

function stateType(accumulator: Accumulator): u32 {
  switch (accumulator.family) {
    case Family.COUNT:
      return Type.I64;
    case Family.SEEN:
      return Type.BOOL;
    case Family.SUM_INTEGER:
      return Type.I128;
    case Family.SUM_EXACT:
      return Type.BYTES;
    case Family.SUM_FAST:
      return Type.F64;
    default:
      return accumulator.type;
  }
}

// @ts-ignore: decorator
@inline
function isTwoColumns(accumulator: Accumulator): bool {
  return accumulator.family == <u32>Family.SUM_INTEGER && accumulator.type == <u32>Type.I128;
}

/** Types of a section in scratch. */
function scratchTypes(context: usize, self: Aggregation, section: u32): usize {
  const types = scratchTake(context, <usize>sectionTypes(self, section, 0) << 2);
  sectionTypes(self, section, types);
  return types;
}

// ---- snapshot

/** Writes the next batch of the state to `out`. HAS_MORE while there is more, then FINISHED. */
export function aggregateSnapshot(context: usize, operator: usize, out: usize, maxRows: u32): i32 {
  const self = aggregationOf(operator);
  const address = stateOf(operator);
  if (address == 0) return failMemory(context, 0);
  const state = changetype<State>(address);
  if (state.open) return fail(context, Status.BUSY, Reason.NONE);
  if (changetype<Operator>(operator).snapshotOpen == 0) {
    state.section = 0;
    state.cursor = 0;
  }
  const output = sectionOutput(context, operator, state, state.section);
  if (output == 0) return failMemory(context, 0);
  const limit = min(maxRows, STATE_ROWS);
  let rows: i32 = 0;
  if (state.section == 0) rows = saveHeader(operator, state, output);
  else if (state.section == 1) rows = saveGroups(context, operator, state, output, limit);
  else rows = savePairs(context, operator, state, output, limit);
  if (rows < 0) return failMemory(context, 0);
  outputDescribe(output, out, rows, state.section);
  while (isSectionDone(self, state)) {
    state.section++;
    state.cursor = 0;
    if (state.section < state.sections) continue;
    regionFree(operator, state.rows);
    state.rows = 0;
    return Status.FINISHED;
  }
  return Status.HAS_MORE;
}

function sectionOutput(context: usize, operator: usize, state: State, section: u32): usize {
  const at = state.outputs + (<usize>section << 2);
  const known: usize = load<u32>(at);
  if (known != 0) return known;
  const self = aggregationOf(operator);
  const types = scratchTypes(context, self, section);
  const columns = sectionTypes(self, section, 0);
  const output = outputCreate(operator, columns);
  if (output == 0) return 0;
  for (let column: u32 = 0; column < columns; column++) {
    outputColumn(output, column).type = load<u32>(types + (<usize>column << 2));
  }
  store<u32>(at, <u32>output);
  return output;
}

function isSectionDone(self: Aggregation, state: State): bool {
  if (state.section >= state.sections) return false;
  if (state.section == 0) return state.cursor != 0;
  const groups = groupsOf(self);
  if (state.section > 1) return state.cursor >= distinctPairs(distinctAt(self, state.section - 2));
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
  append64(output, 6, occupiedGroups(self));
  append64(output, 7, self.flags & <u32>AggregateFlag.CHANGELOG ? EMITTED : 0);
  for (let index: u32 = 0; index < state.sections - 2; index++) {
    append64(output, HEADER_COLUMNS + index, distinctPairs(distinctAt(self, index)));
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
  const list = regrow(operator, self.list, 0, <usize>min(limit, groups.count) << 2);
  if (list == 0) return -1;
  self.list = list;
  let cursor = state.cursor;
  let rows: u32 = 0;
  for (; cursor < groups.count && rows < limit; cursor++) {
    if (!groupsIsOccupied(groups, cursor)) continue;
    store<u32>(list + (<usize>rows << 2), cursor);
    rows++;
  }
  if (!outputReset(output, rows)) return -1;
  const scratch = scratchTake(context, EXACT_SUM_BYTES);
  const value = scratchTake(context, <usize>EXACT_STATE_BYTES);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    if (!saveKey(operator, index, outputColumn(output, index), list, rows, scratch)) return -1;
  }
  let column = groups.keyCount;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (accumulator.family == <u32>Family.DISTINCT) continue;
    if (!saveAccumulator(operator, accumulator, output, column, list, rows, value, scratch)) return -1;
    column += isTwoColumns(accumulator) ? 2 : 1;
  }
  state.cursor = cursor;
  return rows;
}

function saveKey(operator: usize, index: u32, builder: Builder, list: usize, rows: u32, scratch: usize): bool {
  const groups = groupsOf(aggregationOf(operator));
  if (builder.type == <u32>Type.BYTES) {
    let bytes: usize = 0;
    for (let row: u32 = 0; row < rows; row++) bytes += groupTextBytes(groups, index, load<u32>(list + (<usize>row << 2)), scratch);
    if (!builderReserveBytes(operator, builder, bytes)) return false;
  }
  groupsEmitKey(groups, index, list, rows, builder, scratch);
  return true;
}

function saveAccumulator(operator: usize, accumulator: Accumulator, output: usize, column: u32, list: usize, rows: u32, value: usize, scratch: usize): bool {
  const self = aggregationOf(operator);
  const builder = outputColumn(output, column);
  const isText = builder.type == <u32>Type.BYTES;
  const hasRows = groupsHaveRows(operator);
  for (let row: u32 = 0; row < rows; row++) {
    const group = load<u32>(list + (<usize>row << 2));
    if (accumulator.family == <u32>Family.SUM_EXACT) {
      const length = sumExactState(accumulator, group, value, scratch);
      if (!builderReserveBytes(operator, builder, length)) return false;
      builderAppendBytes(builder, value, length);
    } else if (isText) {
      const address = textAddress(accumulator, group);
      if (!builderReserveBytes(operator, builder, address == 0 ? 0 : textLength(accumulator, group))) return false;
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
function saveFixed(self: Aggregation, accumulator: Accumulator, group: u32, hasRows: bool, value: usize): bool {
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
      store<u64>(value, load<u64>(accumulator.values + (<usize>group << 3)));
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
  const first = state.cursor;
  const end = min(distinctPairs(accumulator), first + limit);
  if (!outputReset(output, end - first)) return -1;
  const numbers = outputColumn(output, 0);
  const values = outputColumn(output, 1);
  const interner = changetype<KeyColumn>(accumulator.key).interner;
  const copy = scratchTake(context, 16);
  if (interner != 0) {
    let bytes: usize = 0;
    for (let entry = first; entry < end; entry++) bytes += internedLength(interner, load<u32>(distinctValue(accumulator, entry)));
    if (!builderReserveBytes(operator, values, bytes)) return -1;
  }
  for (let entry = first; entry < end; entry++) {
    store<u32>(numbers.values + (<usize>numbers.length << 2), load<u32>(state.rows + (<usize>distinctGroup(accumulator, entry) << 2)));
    numbers.length++;
    const value = distinctValue(accumulator, entry);
    if (interner != 0) {
      store<u32>(copy, <u32>internedAddress(interner, load<u32>(value)));
      store<u32>(copy, internedLength(interner, load<u32>(value)), 4);
      resultAppend(values, true, copy);
    } else resultAppend(values, true, value);
  }
  state.cursor = end;
  return end - first;
}

/** Makes the table from group to row of section 1. False when out of memory. */
function rankGroups(operator: usize, state: State): bool {
  if (state.rows != 0) return true;
  const groups = groupsOf(aggregationOf(operator));
  state.rows = regionBlock(operator, <usize>max<u32>(groups.count, 1) << 2);
  if (state.rows == 0) return false;
  let rank: u32 = 0;
  for (let group: u32 = 0; group < groups.count; group++) {
    store<u32>(state.rows + (<usize>group << 2), rank);
    rank += groupsIsOccupied(groups, group) ? 1 : 0;
  }
  return true;
}

// ---- merge

/** Whether a merge has begun and not all of it has come. */
export function aggregateMergeOpen(operator: usize): bool {
  const state = aggregationOf(operator).state;
  return state != 0 && changetype<State>(state).open != 0;
}

/** Drops a half-read snapshot; a half-done merge cannot be undone. */
export function aggregateRelease(operator: usize): void {
  const address = aggregationOf(operator).state;
  if (address == 0) return;
  const state = changetype<State>(address);
  regionFree(operator, state.rows);
  state.rows = 0;
  if (state.open) changetype<Operator>(operator).failed = 1;
  state.open = 0;
}

/** Merges one batch of a state. HAS_MORE while the merge is open, NEED_INPUT after its last batch. */
export function aggregateMerge(context: usize, operator: usize, batch: usize): i32 {
  const address = stateOf(operator);
  if (address == 0) return failMemory(context, 0);
  const state = changetype<State>(address);
  const section = load<u32>(batch, <usize>Batch.SECTION);
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  if (section != (state.open ? state.section : 0)) return corrupt(context, Reason.STATE_ORDER);
  if (load<u32>(batch, <usize>Batch.COLUMNS) != sectionTypes(aggregationOf(operator), section, 0)) {
    return corrupt(context, Reason.STATE_SHAPE);
  }
  if (section != 0 && <u64>rows > leftAt(state, section)) return corrupt(context, Reason.STATE_SHAPE);
  const program = sectionProgram(context, operator, state, section);
  if (program == 0) return load<i32>(contextError(context), <usize>ErrorRecord.STATUS);
  const bound = programBind(context, program, batch);
  if (bound < 0) return bound == <i32>Status.OUT_OF_MEMORY ? bound : corrupt(context, Reason.STATE_SHAPE);
  let status: i32 = 0;
  if (section == 0) status = mergeHeader(context, operator, state, program, batch);
  else status = mergeRows(context, operator, state, program, section, rows);
  if (status < 0) return status;
  return advance(context, operator, state);
}

function corrupt(context: usize, reason: Reason): i32 {
  return fail(context, Status.CORRUPT_STATE, reason);
}

// @ts-ignore: decorator
@inline
function leftAt(state: State, section: u32): u64 {
  return load<u64>(state.left + (<usize>section << 3));
}

// @ts-ignore: decorator
@inline
function setLeft(state: State, section: u32, rows: u64): void {
  store<u64>(state.left + (<usize>section << 3), rows);
}

function sectionProgram(context: usize, operator: usize, state: State, section: u32): usize {
  const at = state.programs + (<usize>section << 2);
  const known: usize = load<u32>(at);
  if (known != 0) return known;
  const self = aggregationOf(operator);
  const program = loadProgramCreate(context, operator, scratchTypes(context, self, section), sectionTypes(self, section, 0));
  store<u32>(at, <u32>program);
  if (program == 0) failMemory(context, 0);
  return program;
}

/** After a batch: goes to the next section that has rows, or ends the merge. */
function advance(context: usize, operator: usize, state: State): i32 {
  while (state.section < state.sections && leftAt(state, state.section) == 0) state.section++;
  if (state.section < state.sections) return Status.HAS_MORE;
  state.open = 0;
  const self = aggregationOf(operator);
  const head = changetype<Operator>(operator);
  head.rowsSelected += state.rowsSelected;
  regionFree(operator, state.rows);
  state.rows = 0;
  if (self.changelog == 0 || !state.fresh || (state.flags & EMITTED) == 0) return Status.NEED_INPUT;
  const adopted = changelogAdopt(context, operator);
  if (adopted < 0) head.failed = 1;
  return adopted;
}

function headerValue(program: usize, column: u32): u64 {
  const vector = changetype<Vector>(programOutput(program, column));
  return vector.type == <u32>Type.U32 ? <u64>load<u32>(vector.values) : load<u64>(vector.values);
}

function mergeHeader(context: usize, operator: usize, state: State, program: usize, batch: usize): i32 {
  const self = aggregationOf(operator);
  const head = changetype<Operator>(operator);
  if (load<u32>(batch, <usize>Batch.ROWS) != 1) return corrupt(context, Reason.STATE_SHAPE);
  const run = programRun(context, program, 0, 1);
  if (run < 0) return run;
  const columns = HEADER_COLUMNS + (state.sections - 2);
  for (let column: u32 = 0; column < columns; column++) {
    if (changetype<Vector>(programOutput(program, column)).validity != 0) return corrupt(context, Reason.STATE_VALUE);
  }
  if (headerValue(program, 0) != <u64>Abi.VERSION) return corrupt(context, Reason.STATE_VERSION);
  if (headerValue(program, 1) != <u64>OperatorKind.HASH_AGGREGATE) return corrupt(context, Reason.STATE_KIND);
  if (headerValue(program, 2) != self.configHash) return corrupt(context, Reason.STATE_CONFIG);
  const groups = headerValue(program, 6);
  if (groups > 0xfffffff0 || headerValue(program, 7) > EMITTED) return corrupt(context, Reason.STATE_VALUE);
  if (groupsOf(self).keyCount == 0 ? groups != 1 : groups > headerValue(program, 4)) return corrupt(context, Reason.STATE_VALUE);
  state.rowCount = 0;
  // The one group of an ungrouped aggregation needs no row where DISTINCT is all there is.
  const hasRows = sectionTypes(self, 1, 0) != 0;
  if (!hasRows) {
    store<u32>(self.numbers, 0);
    if (!rememberRows(operator, state, 1)) return failMemory(context, 0);
  }
  setLeft(state, 0, 0);
  setLeft(state, 1, hasRows ? groups : 0);
  for (let section: u32 = 2; section < state.sections; section++) setLeft(state, section, headerValue(program, HEADER_COLUMNS + section - 2));
  state.section = 1;
  state.open = 1;
  state.flags = <u32>headerValue(program, 7);
  state.fresh = head.rowsIn == 0 && head.batchesIn == 0 ? 1 : 0;
  state.rowsSelected = headerValue(program, 4);
  head.rowsIn += headerValue(program, 3);
  head.batchesIn += headerValue(program, 5);
  return 0;
}

function mergeRows(context: usize, operator: usize, state: State, program: usize, section: u32, rows: u32): i32 {
  const valid = section == 1 ? checkGroups(context, operator, program, rows) : checkPairs(context, state, program, rows);
  if (valid < 0) return valid;
  const mark = scratchMark(context);
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const count = programRun(context, program, start, min(ROWS, rows - start));
    let status = count;
    if (count >= 0) {
      status =
        section == 1
          ? mergeGroups(context, operator, state, program, count, rows)
          : mergePairs(context, operator, state, program, section, count);
    }
    scratchReset(context, mark);
    if (status < 0) {
      // Groups may have been added without their sums: there is no way back.
      changetype<Operator>(operator).failed = 1;
      return status;
    }
  }
  setLeft(state, section, leftAt(state, section) - <u64>rows);
  return 0;
}

// Checks go through a whole batch before anything of it is applied.

function checkGroups(context: usize, operator: usize, program: usize, rows: u32): i32 {
  const self = aggregationOf(operator);
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const count = programRun(context, program, start, min(ROWS, rows - start));
    if (count < 0) return count;
    let column = groupsOf(self).keyCount;
    for (let index: u32 = 0; index < self.accumulatorCount; index++) {
      const accumulator = accumulatorAt(self, index);
      if (accumulator.family == <u32>Family.DISTINCT) continue;
      const vector = changetype<Vector>(programOutput(program, column));
      if (!isStateValid(self, accumulator, vector, count)) {
        corrupt(context, Reason.STATE_VALUE);
        store<i32>(contextError(context), <i32>column, <usize>ErrorRecord.COLUMN);
        return Status.CORRUPT_STATE;
      }
      if (isTwoColumns(accumulator) && changetype<Vector>(programOutput(program, column + 1)).validity != 0) {
        return corrupt(context, Reason.STATE_VALUE);
      }
      column += isTwoColumns(accumulator) ? 2 : 1;
    }
  }
  return 0;
}

function isStateValid(self: Aggregation, accumulator: Accumulator, vector: Vector, rows: u32): bool {
  const family = accumulator.family;
  const isExtreme = family >= <u32>Family.MIN && family <= <u32>Family.MAX_TEXT;
  if (!isExtreme && vector.validity != 0) return false;
  if (family == <u32>Family.COUNT) {
    const least: i64 = changetype<usize>(accumulator) == self.rowsCounter && groupsOf(self).keyCount != 0 ? 1 : 0;
    for (let row: u32 = 0; row < rows; row++) {
      if (load<i64>(vector.values + (<usize>row << 3)) < least) return false;
    }
  }
  if (family == <u32>Family.SUM_EXACT) {
    for (let row: u32 = 0; row < rows; row++) {
      const view = vector.values + (<usize>row << 3);
      if (!sumExactStateIsValid(load<u32>(view), load<u32>(view, 4))) return false;
    }
  }
  return true;
}

function checkPairs(context: usize, state: State, program: usize, rows: u32): i32 {
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const count = programRun(context, program, start, min(ROWS, rows - start));
    if (count < 0) return count;
    const numbers = changetype<Vector>(programOutput(program, 0));
    if (numbers.validity != 0 || changetype<Vector>(programOutput(program, 1)).validity != 0) return corrupt(context, Reason.STATE_VALUE);
    for (let row = 0; row < count; row++) {
      if (load<u32>(numbers.values + (<usize>row << 2)) >= state.rowCount) return corrupt(context, Reason.STATE_VALUE);
    }
  }
  return 0;
}

/** Folds a vector of group states in. */
function mergeGroups(context: usize, operator: usize, state: State, program: usize, rows: u32, batchRows: u32): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (self.changelog != 0 && !changelogReserve(operator, rows, max<u32>(self.reserved, 1))) return failMemory(context, 0);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.interner != 0 && !internerReserve(key.interner, rows, programOutputDistinctBytes(program, index))) return failMemory(context, 0);
    if (!keyLoad(key, changetype<Vector>(programOutput(program, index)), rows)) return failMemory(context, 0);
  }
  if (!groupsReserve(groups, rows) || !groupsPrepareLoaded(groups, rows, batchRows)) return failMemory(context, 0);
  const span = groupsSpan(groups, rows);
  if (!aggregateReserveSpan(operator, span) || !trackStates(operator, program, rows)) return failMemory(context, 0);
  if (!groupsAssign(groups, rows, self.numbers)) return failMemory(context, 0);
  if (self.changelog != 0) changelogTouch(operator, self.numbers, rows);
  let column = groups.keyCount;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (accumulator.family == <u32>Family.DISTINCT) continue;
    if (!mergeColumn(context, self, accumulator, program, column, rows)) return failMemory(context, 0);
    column += isTwoColumns(accumulator) ? 2 : 1;
  }
  return rememberRows(operator, state, rows) ? 0 : failMemory(context, 0);
}

/** Counts that do not equal those of rows, in what comes, end the sharing. False when out of memory. */
function trackStates(operator: usize, program: usize, rows: u32): bool {
  const self = aggregationOf(operator);
  const rowsColumn = columnOf(self, self.rowsCounter);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (accumulator.tracking || (accumulator.family != <u32>Family.COUNT && accumulator.family != <u32>Family.SEEN)) continue;
    const values = changetype<Vector>(programOutput(program, columnOf(self, changetype<usize>(accumulator)))).values;
    let same = true;
    if (accumulator.family == <u32>Family.SEEN) {
      for (let row: u32 = 0; row < rows; row++) same = same && maskBit(values, row) != 0;
    } else {
      const counts = changetype<Vector>(programOutput(program, rowsColumn)).values;
      for (let row: usize = 0; row < <usize>rows; row++) same = same && load<i64>(values + (row << 3)) == load<i64>(counts + (row << 3));
    }
    if (!same && !startTracking(operator, accumulator)) return false;
  }
  return true;
}

/** Column of section 1 that holds an accumulator's state. */
function columnOf(self: Aggregation, accumulator: usize): u32 {
  let column = groupsOf(self).keyCount;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const other = accumulatorAt(self, index);
    if (changetype<usize>(other) == accumulator) break;
    if (other.family != <u32>Family.DISTINCT) column += isTwoColumns(other) ? 2 : 1;
  }
  return column;
}

/** Remembers which group each row of section 1 is, for pairs to come. */
function rememberRows(operator: usize, state: State, rows: u32): bool {
  if (state.sections > 2) {
    const known: usize = <usize>state.rowCount << 2;
    const need = known + (<usize>rows << 2);
    const table = regrow(operator, state.rows, known, max<usize>(need, min<usize>(known << 1, <usize>leftAt(state, 1) << 2)));
    if (table == 0) return false;
    memory.copy(table + known, aggregationOf(operator).numbers, <usize>rows << 2);
    state.rows = table;
  }
  state.rowCount += rows;
  return true;
}

function mergeColumn(context: usize, self: Aggregation, accumulator: Accumulator, program: usize, column: u32, rows: u32): bool {
  const vector = changetype<Vector>(programOutput(program, column));
  const numbers = self.numbers;
  switch (accumulator.family) {
    case Family.COUNT:
      if (accumulator.tracking) mergeCounts(accumulator, numbers, vector.values, rows);
      return true;
    case Family.SEEN:
      if (accumulator.tracking) mergeSeen(accumulator, numbers, vector.values, rows);
      return true;
    case Family.SUM_INTEGER: {
      const above = isTwoColumns(accumulator) ? changetype<Vector>(programOutput(program, column + 1)).values : 0;
      return mergeIntegers(accumulator, numbers, vector.values, above, rows);
    }
    case Family.SUM_FAST:
      mergeFast(accumulator, numbers, vector.values, rows);
      return true;
    case Family.SUM_EXACT:
      return mergeExact(accumulator, numbers, vector.values, rows);
    case Family.MIN_TEXT:
    case Family.MAX_TEXT:
      return mergeTexts(accumulator, numbers, vector, rows, programOutputTextBytes(program, column));
    default:
      minmaxUpdate(accumulator, numbers, vector.values, vector.validity, rows, scratchTake(context, VALUES_BYTES));
      return true;
  }
}

// @ts-ignore: decorator
@inline
function groupOfRow(numbers: usize, row: u32): u32 {
  return load<u32>(numbers + (<usize>row << 2));
}

function mergeCounts(accumulator: Accumulator, numbers: usize, values: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const at = accumulator.values + (<usize>groupOfRow(numbers, row) << 3);
    store<i64>(at, load<i64>(at) + load<i64>(values + (<usize>row << 3)));
  }
}

function mergeSeen(accumulator: Accumulator, numbers: usize, values: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const at = accumulator.values + <usize>groupOfRow(numbers, row);
    store<u8>(at, load<u8>(at) | <u8>maskBit(values, row));
  }
}

function mergeIntegers(accumulator: Accumulator, numbers: usize, values: usize, above: usize, rows: u32): bool {
  for (let row: u32 = 0; row < rows; row++) {
    const at = values + (<usize>row << 4);
    const middle = load<u64>(at, 8);
    const high = above == 0 ? <i64>middle >> 63 : load<i64>(above + (<usize>row << 3));
    if (!sumIntegerMerge(accumulator, groupOfRow(numbers, row), load<u64>(at), middle, high)) return false;
  }
  return true;
}

function mergeFast(accumulator: Accumulator, numbers: usize, values: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const at = accumulator.values + (<usize>groupOfRow(numbers, row) << 3);
    store<f64>(at, load<f64>(at) + load<f64>(values + (<usize>row << 3)));
  }
}

function mergeExact(accumulator: Accumulator, numbers: usize, views: usize, rows: u32): bool {
  if (!accumulatorReserveRows(accumulator, accumulator.capacity, rows, 0)) return false;
  for (let row: u32 = 0; row < rows; row++) {
    const view = views + (<usize>row << 3);
    if (!sumExactPrepareMerge(accumulator, load<u32>(view), load<u32>(view, 4))) return false;
  }
  for (let row: u32 = 0; row < rows; row++) {
    const view = views + (<usize>row << 3);
    if (!sumExactMerge(accumulator, groupOfRow(numbers, row), load<u32>(view), load<u32>(view, 4))) return false;
  }
  sumExactMerged(accumulator, rows);
  return true;
}

function mergeTexts(accumulator: Accumulator, numbers: usize, vector: Vector, rows: u32, bytes: usize): bool {
  if (!accumulatorReserveRows(accumulator, accumulator.capacity, rows, bytes)) return false;
  for (let row: u32 = 0; row < rows; row++) {
    if (vector.validity != 0 && !maskBit(vector.validity, row)) continue;
    const view = vector.values + (<usize>row << 3);
    if (!textFold(accumulator, groupOfRow(numbers, row), load<u32>(view), load<u32>(view, 4))) return false;
  }
  return true;
}

/** Folds a vector of (row of section 1, value) pairs in. */
function mergePairs(context: usize, operator: usize, state: State, program: usize, section: u32, rows: u32): i32 {
  const self = aggregationOf(operator);
  const accumulator = distinctAt(self, section - 2);
  const numbers = changetype<Vector>(programOutput(program, 0)).values;
  for (let row: u32 = 0; row < rows; row++) {
    const group = load<u32>(state.rows + (<usize>groupOfRow(numbers, row) << 2));
    store<u32>(self.numbers + (<usize>row << 2), group);
  }
  const isText = accumulator.type == <u32>Type.BYTES;
  const bytes = isText ? programOutputDistinctBytes(program, 1) : 0;
  if (!accumulatorReserveRows(accumulator, accumulator.capacity, rows, bytes)) return failMemory(context, 0);
  return distinctUpdate(accumulator, self.numbers, changetype<Vector>(programOutput(program, 1)), 0, rows) ? 0 : failMemory(context, 0);
}
