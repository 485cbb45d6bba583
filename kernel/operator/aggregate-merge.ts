// Merging states of hash aggregations: see aggregate-state.ts for what they are. The programs that read them only load
// columns, so that binding them takes no memory and no run fails; of dictionaries texts alone keep their codes.

import { Abi, Batch, ErrorRecord, Type } from "../abi/layout";
import { OperatorKind } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { Accumulator, Family, isArg, isMultiset, isPairs, isSketch } from "../aggregate/accumulator";
import { argMerge, argStateIsValid } from "../aggregate/arg-extreme";
import { accumulatorReserveRows } from "../aggregate/accumulators";
import { VALUES_BYTES, maskBit } from "../aggregate/argument";
import { bitsUpdate } from "../aggregate/bits";
import { distinctUpdate } from "../aggregate/distinct";
import { sumExactStateIsValid } from "../aggregate/exact-read";
import { MOMENTS_BYTES, momentsFastMerge } from "../aggregate/moments-fast";
import { minmaxUpdate } from "../aggregate/minmax";
import { multisetUpdate } from "../aggregate/multiset";
import { textFold } from "../aggregate/minmax-text";
import { sketchMerge, sketchStateIsValid } from "../aggregate/sketch";
import { sumExactMerge, sumExactMerged, sumExactPrepareMerge } from "../aggregate/sum-exact";
import { sumIntegerMerge } from "../aggregate/sum-integer";
import { logUpdate } from "../aggregate/value-log";
import { textLogUpdate } from "../aggregate/text-log";
import { topHeldIsValid, topMerge, topStateIsValid } from "../aggregate/top";
import { isListFamily } from "../aggregate/results";
import { topByMerge, topByStateIsValid } from "../aggregate/top-by";
import { topTextMerge, topTextStateIsValid } from "../aggregate/top-text";
import { regrow } from "../column/builder";
import { Vector } from "../column/vector";
import {
  programBind,
  programOutput,
  programOutputDistinctBytes,
  programOutputTextBytes,
  programOutputs,
  programRun,
} from "../expression/program";
import { groupsAssign, groupsPrepareLoaded, groupsReserve, groupsSpan } from "../group/groups";
import { internerReserve } from "../group/interner";
import { keyLoad } from "../group/key-column";
import { groupsKey } from "../group/state";
import { contextError, fail, failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionFree } from "../memory/region";
import { changelogAdopt, changelogReserve, changelogTouch } from "./aggregate-changelog";
import { waitingSettle } from "./aggregate-waiting";
import { divisionFree } from "./aggregate-division";
import { aggregateReserveSpan, startTracking } from "./aggregate-reserve";
import {
  EMITTED,
  HEADER_COLUMNS,
  State,
  distinctAt,
  isTwoColumns,
  scratchTypes,
  sectionTypes,
  stateLender,
  stateOf,
} from "./aggregate-state";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf } from "./aggregation";
import { loadProgramCreate } from "./load-program";
import { Operator } from "./operator";

const ROWS: u32 = Abi.VECTOR_ROWS;

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
  divisionFree(operator, state);
  regionFree(operator, state.rows);
  state.rows = 0;
  if (state.open) changetype<Operator>(operator).failed = 1;
  state.open = 0;
}

/** Merges one batch of a state. HAS_MORE while the merge is open, NEED_INPUT after its last batch. */
export function aggregateMerge(context: usize, operator: usize, batch: usize): i32 {
  const address = stateOf(operator);
  // The lender's has the programs of sections.
  if (address == 0 || stateOf(stateLender(operator)) == 0) return failMemory(context, 0);
  const state = changetype<State>(address);
  const waiting = waitingSettle(context, operator);
  if (waiting < 0) return waiting;
  const section = load<u32>(batch, <usize>Batch.SECTION);
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  if (section != (state.open ? state.section : 0)) return corrupt(context, Reason.STATE_ORDER);
  if (load<u32>(batch, <usize>Batch.COLUMNS) != sectionTypes(aggregationOf(operator), section, 0)) {
    return corrupt(context, Reason.STATE_SHAPE);
  }
  if (section != 0 && <u64>rows > leftAt(state, section)) return corrupt(context, Reason.STATE_SHAPE);
  const program = sectionProgram(context, operator, section);
  if (program == 0) return load<i32>(contextError(context), <usize>ErrorRecord.STATUS);
  if (programBind(context, program, batch) < 0) return corrupt(context, Reason.STATE_SHAPE);
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
  return load<u64>(state.left + ((<usize>section) << 3));
}

// @ts-ignore: decorator
@inline
function setLeft(state: State, section: u32, rows: u64): void {
  store<u64>(state.left + ((<usize>section) << 3), rows);
}

function sectionProgram(context: usize, operator: usize, section: u32): usize {
  const lender = stateLender(operator);
  const at = changetype<State>(stateOf(lender)).programs + ((<usize>section) << 2);
  const known: usize = load<u32>(at);
  if (known != 0) return known;
  const self = aggregationOf(operator);
  const program = loadProgramCreate(
    context,
    lender,
    scratchTypes(context, self, section),
    sectionTypes(self, section, 0),
  );
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
  programRun(context, program, 0, 1);
  const columns = HEADER_COLUMNS + (state.sections - 2);
  for (let column: u32 = 0; column < columns; column++) {
    if (changetype<Vector>(programOutput(program, column)).validity != 0)
      return corrupt(context, Reason.STATE_VALUE);
  }
  if (headerValue(program, 0) != <u64>Abi.VERSION) return corrupt(context, Reason.STATE_VERSION);
  if (headerValue(program, 1) != <u64>OperatorKind.HASH_AGGREGATE) return corrupt(context, Reason.STATE_KIND);
  if (headerValue(program, 2) != self.configHash) return corrupt(context, Reason.STATE_CONFIG);
  const groups = headerValue(program, 6);
  if (groups > 0xfffffff0 || headerValue(program, 7) > EMITTED) return corrupt(context, Reason.STATE_VALUE);
  if (groupsOf(self).keyCount == 0 ? groups != 1 : groups > headerValue(program, 4))
    return corrupt(context, Reason.STATE_VALUE);
  state.rowCount = 0;
  // The one group of an ungrouped aggregation needs no row where pairs are all there is.
  const hasRows = sectionTypes(self, 1, 0) != 0;
  if (!hasRows) {
    store<u32>(self.numbers, 0);
    if (!rememberRows(operator, state, 1)) return failMemory(context, 0);
    // It has had its place among the changes since the operator was made.
    if (self.changelog != 0) changelogTouch(operator, self.numbers, 1);
  }
  setLeft(state, 0, 0);
  setLeft(state, 1, hasRows ? groups : 0);
  for (let section: u32 = 2; section < state.sections; section++)
    setLeft(state, section, headerValue(program, HEADER_COLUMNS + section - 2));
  state.section = 1;
  state.open = 1;
  state.flags = <u32>headerValue(program, 7);
  state.fresh = head.rowsIn == 0 && head.batchesIn == 0 ? 1 : 0;
  state.rowsSelected = headerValue(program, 4);
  head.rowsIn += headerValue(program, 3);
  head.batchesIn += headerValue(program, 5);
  return 0;
}

function mergeRows(
  context: usize,
  operator: usize,
  state: State,
  program: usize,
  section: u32,
  rows: u32,
): i32 {
  const valid =
    section == 1 ? checkGroups(context, operator, program, rows) : checkPairs(context, operator, state, program, section, rows);
  if (valid < 0) return valid;
  const mark = scratchMark(context);
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const count = <u32>programRun(context, program, start, min(ROWS, rows - start));
    const status =
      section == 1
        ? mergeGroups(context, operator, state, program, count, rows)
        : mergePairs(context, operator, state, program, section, count);
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
    const count = <u32>programRun(context, program, start, min(ROWS, rows - start));
    let column = groupsOf(self).keyCount;
    for (let index: u32 = 0; index < self.accumulatorCount; index++) {
      const accumulator = accumulatorAt(self, index);
      if (isPairs(accumulator)) continue;
      const vector = changetype<Vector>(programOutput(program, column));
      if (!isStateValid(self, program, accumulator, vector, count)) {
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

function isStateValid(
  self: Aggregation,
  program: usize,
  accumulator: Accumulator,
  vector: Vector,
  rows: u32,
): bool {
  const family = accumulator.family;
  const isExtreme = family >= <u32>Family.MIN && family <= <u32>Family.MAX_TEXT;
  // States hold values, not codes of a dictionary.
  if (vector.dictionary != 0) return false;
  if (!isExtreme && !isArg(accumulator) && vector.validity != 0) return false;
  if (isArg(accumulator)) {
    for (let row: u32 = 0; row < rows; row++) {
      if (vector.validity != 0 && !maskBit(vector.validity, row)) continue;
      const view = vector.values + ((<usize>row) << 3);
      if (!argStateIsValid(accumulator, load<u32>(view), load<u32>(view, 4))) return false;
    }
  }
  if (family == <u32>Family.COUNT && !accumulator.retracts) {
    const least: i64 =
      changetype<usize>(accumulator) == self.rowsCounter && groupsOf(self).keyCount != 0 ? 1 : 0;
    for (let row: u32 = 0; row < rows; row++) {
      if (load<i64>(vector.values + ((<usize>row) << 3)) < least) return false;
    }
  }
  if (family == <u32>Family.MOMENTS_FAST) {
    for (let row: u32 = 0; row < rows; row++) {
      if (load<u32>(vector.values + ((<usize>row) << 3), 4) != MOMENTS_BYTES) return false;
    }
  }
  if (family == <u32>Family.TOP_BY || family == <u32>Family.BOTTOM_BY) {
    for (let row: u32 = 0; row < rows; row++) {
      const view = vector.values + ((<usize>row) << 3);
      if (!topByStateIsValid(accumulator, load<u32>(view), load<u32>(view, 4))) return false;
    }
  } else if (isListFamily(family) && accumulator.presence == 0) {
    for (let row: u32 = 0; row < rows; row++) {
      if (!topHeldIsValid(accumulator, load<u32>(vector.values + ((<usize>row) << 3), 4))) return false;
    }
  } else if (isListFamily(family)) {
    const isText = accumulator.type == <u32>Type.BYTES;
    const counts = changetype<Vector>(programOutput(program, columnOf(self, accumulator.presence)));
    for (let row: u32 = 0; row < rows; row++) {
      const view = vector.values + ((<usize>row) << 3);
      const count = load<u64>(counts.values + ((<usize>row) << 3));
      const length = load<u32>(view, 4);
      if (isText ? !topTextStateIsValid(accumulator, load<u32>(view), length, count) : !topStateIsValid(accumulator, length, count))
        return false;
    }
  }
  if (family == <u32>Family.SUM_EXACT) {
    for (let row: u32 = 0; row < rows; row++) {
      const view = vector.values + ((<usize>row) << 3);
      if (!sumExactStateIsValid(accumulator, load<u32>(view), load<u32>(view, 4))) return false;
    }
  }
  return true;
}

function checkPairs(
  context: usize,
  operator: usize,
  state: State,
  program: usize,
  section: u32,
  rows: u32,
): i32 {
  const accumulator = distinctAt(aggregationOf(operator), section - 2);
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const count = <u32>programRun(context, program, start, min(ROWS, rows - start));
    const numbers = changetype<Vector>(programOutput(program, 0));
    for (let column: u32 = 0; column < programOutputs(program); column++) {
      if (changetype<Vector>(programOutput(program, column)).validity != 0)
        return corrupt(context, Reason.STATE_VALUE);
    }
    for (let row: u32 = 0; row < count; row++) {
      if (load<u32>(numbers.values + ((<usize>row) << 2)) >= state.rowCount)
        return corrupt(context, Reason.STATE_VALUE);
    }
    if (accumulator.family == <u32>Family.DISTINCT) continue;
    if (changetype<Vector>(programOutput(program, 1)).dictionary != 0)
      return corrupt(context, Reason.STATE_VALUE);
    if (isSketch(accumulator) && !areCells(accumulator, program, count))
      return corrupt(context, Reason.STATE_VALUE);
    if (isMultiset(accumulator.family) && !areMultiplicities(program, count, state.rowsSelected))
      return corrupt(context, Reason.STATE_VALUE);
  }
  return 0;
}

/** Whether no value has come, or been taken back, more often than rows were seen: what is read would take for ever. */
function areMultiplicities(program: usize, rows: u32, seen: u64): bool {
  const deltas = changetype<Vector>(programOutput(program, 2)).values;
  for (let row: usize = 0; row < <usize>rows; row++) {
    const delta = load<i64>(deltas + (row << 3));
    if (<u64>(delta < 0 ? -delta : delta) > seen) return false;
  }
  return true;
}

function areCells(accumulator: Accumulator, program: usize, rows: u32): bool {
  const numbers = changetype<Vector>(programOutput(program, 1)).values;
  const counters = changetype<Vector>(programOutput(program, 2)).values;
  for (let row: usize = 0; row < <usize>rows; row++) {
    const at = counters + (row << 4);
    if (!sketchStateIsValid(accumulator, load<u32>(numbers + (row << 2)), at)) return false;
  }
  return true;
}

/** Folds a vector of group states in. */
function mergeGroups(
  context: usize,
  operator: usize,
  state: State,
  program: usize,
  rows: u32,
  batchRows: u32,
): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (self.changelog != 0 && !changelogReserve(operator, rows, max<u32>(self.reserved, 1)))
    return failMemory(context, 0);
  for (let index: u32 = 0; index < groups.keyCount; index++) {
    const key = groupsKey(groups, index);
    if (key.interner != 0 && !internerReserve(key.interner, rows, programOutputDistinctBytes(program, index)))
      return failMemory(context, 0);
    if (!keyLoad(key, changetype<Vector>(programOutput(program, index)), rows)) return failMemory(context, 0);
  }
  if (!groupsReserve(groups, rows) || !groupsPrepareLoaded(groups, rows, batchRows))
    return failMemory(context, 0);
  const span = groupsSpan(groups, rows);
  if (!aggregateReserveSpan(operator, span) || !trackStates(operator, program, rows))
    return failMemory(context, 0);
  if (!groupsAssign(groups, rows, self.numbers)) return failMemory(context, 0);
  if (self.changelog != 0) changelogTouch(operator, self.numbers, rows);
  let column = groups.keyCount;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    if (isPairs(accumulator)) continue;
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
    if (
      accumulator.tracking ||
      (accumulator.family != <u32>Family.COUNT && accumulator.family != <u32>Family.SEEN)
    )
      continue;
    const values = changetype<Vector>(
      programOutput(program, columnOf(self, changetype<usize>(accumulator))),
    ).values;
    let same = true;
    if (accumulator.family == <u32>Family.SEEN) {
      for (let row: u32 = 0; row < rows; row++) same = same && maskBit(values, row) != 0;
    } else {
      const counts = changetype<Vector>(programOutput(program, rowsColumn)).values;
      for (let row: usize = 0; row < <usize>rows; row++)
        same = same && load<i64>(values + (row << 3)) == load<i64>(counts + (row << 3));
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
    if (!isPairs(other)) column += isTwoColumns(other) ? 2 : 1;
  }
  return column;
}

/** Remembers which group each row of section 1 is, for pairs to come. */
function rememberRows(operator: usize, state: State, rows: u32): bool {
  if (state.sections > 2) {
    const known: usize = (<usize>state.rowCount) << 2;
    const need = known + ((<usize>rows) << 2);
    const table = regrow(
      operator,
      state.rows,
      known,
      max<usize>(need, min<usize>(known << 1, (<usize>leftAt(state, 1)) << 2)),
    );
    if (table == 0) return false;
    memory.copy(table + known, aggregationOf(operator).numbers, (<usize>rows) << 2);
    state.rows = table;
  }
  state.rowCount += rows;
  return true;
}

function mergeColumn(
  context: usize,
  self: Aggregation,
  accumulator: Accumulator,
  program: usize,
  column: u32,
  rows: u32,
): bool {
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
      const above = isTwoColumns(accumulator)
        ? changetype<Vector>(programOutput(program, column + 1)).values
        : 0;
      return mergeIntegers(accumulator, numbers, vector.values, above, rows);
    }
    case Family.SUM_FAST:
      mergeFast(accumulator, numbers, vector.values, rows);
      return true;
    case Family.SUM_EXACT:
      return mergeExact(accumulator, numbers, vector.values, rows);
    case Family.MOMENTS_FAST:
      mergeMoments(accumulator, numbers, vector.values, rows);
      return true;
    case Family.TOP:
    case Family.BOTTOM:
    case Family.TOP_TEXT:
    case Family.BOTTOM_TEXT:
    case Family.TOP_BY:
    case Family.BOTTOM_BY:
      return mergeLists(accumulator, numbers, vector.values, rows, programOutputTextBytes(program, column));
    case Family.MIN_TEXT:
    case Family.MAX_TEXT:
      return mergeTexts(accumulator, numbers, vector, rows, programOutputTextBytes(program, column));
    case Family.ARG_MIN:
    case Family.ARG_MAX:
      return mergeArgs(
        accumulator,
        numbers,
        vector,
        rows,
        programOutputTextBytes(program, column),
        scratchTake(context, 16),
      );
    case Family.BIT_AND:
    case Family.BIT_OR:
    case Family.BIT_XOR:
      bitsUpdate(accumulator, numbers, vector.values, 0, rows);
      return true;
    default:
      minmaxUpdate(
        accumulator,
        numbers,
        vector.values,
        vector.validity,
        rows,
        false,
        scratchTake(context, VALUES_BYTES),
      );
      return true;
  }
}

// @ts-ignore: decorator
@inline
function groupOfRow(numbers: usize, row: u32): u32 {
  return load<u32>(numbers + ((<usize>row) << 2));
}

function mergeCounts(accumulator: Accumulator, numbers: usize, values: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const at = accumulator.values + <usize>groupOfRow(numbers, row) * <usize>accumulator.stride;
    store<i64>(at, load<i64>(at) + load<i64>(values + ((<usize>row) << 3)));
  }
}

function mergeSeen(accumulator: Accumulator, numbers: usize, values: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const at = accumulator.values + <usize>groupOfRow(numbers, row);
    store<u8>(at, load<u8>(at) | <u8>maskBit(values, row));
  }
}

function mergeIntegers(
  accumulator: Accumulator,
  numbers: usize,
  values: usize,
  above: usize,
  rows: u32,
): bool {
  for (let row: u32 = 0; row < rows; row++) {
    const at = values + ((<usize>row) << 4);
    const middle = load<u64>(at, 8);
    const high = above == 0 ? <i64>middle >> 63 : load<i64>(above + ((<usize>row) << 3));
    if (!sumIntegerMerge(accumulator, groupOfRow(numbers, row), load<u64>(at), middle, high)) return false;
  }
  return true;
}

function mergeFast(accumulator: Accumulator, numbers: usize, values: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    const at = accumulator.values + ((<usize>groupOfRow(numbers, row)) << 3);
    store<f64>(at, load<f64>(at) + load<f64>(values + ((<usize>row) << 3)));
  }
}

function mergeMoments(accumulator: Accumulator, numbers: usize, views: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row++) {
    momentsFastMerge(accumulator, groupOfRow(numbers, row), load<u32>(views + ((<usize>row) << 3)));
  }
}

function mergeExact(accumulator: Accumulator, numbers: usize, views: usize, rows: u32): bool {
  // unreached: takes a million rows of a group, and memory that ends just then
  if (!accumulatorReserveRows(accumulator, accumulator.capacity, rows, 0)) return false;
  for (let row: u32 = 0; row < rows; row++) {
    const view = views + ((<usize>row) << 3);
    if (!sumExactPrepareMerge(accumulator, load<u32>(view), load<u32>(view, 4))) return false;
  }
  for (let row: u32 = 0; row < rows; row++) {
    const view = views + ((<usize>row) << 3);
    if (!sumExactMerge(accumulator, groupOfRow(numbers, row), load<u32>(view), load<u32>(view, 4)))
      return false;
  }
  sumExactMerged(accumulator, rows);
  return true;
}

function mergeLists(accumulator: Accumulator, numbers: usize, views: usize, rows: u32, bytes: usize): bool {
  if (accumulator.type == <u32>Type.BYTES) {
    if (!accumulatorReserveRows(accumulator, accumulator.capacity, rows, bytes)) return false;
  }
  const by = accumulator.family == <u32>Family.TOP_BY || accumulator.family == <u32>Family.BOTTOM_BY;
  for (let row: u32 = 0; row < rows; row++) {
    const view = views + ((<usize>row) << 3);
    const address: usize = load<u32>(view);
    const length = load<u32>(view, 4);
    const group = groupOfRow(numbers, row);
    if (by) {
      if (!topByMerge(accumulator, group, address, length)) return false; // unreached: its room is reserved before
    } else if (accumulator.type == <u32>Type.BYTES) {
      if (!topTextMerge(accumulator, group, address, length)) return false; // unreached: its room is reserved before
    } else topMerge(accumulator, group, address, length);
  }
  return true;
}

function mergeTexts(accumulator: Accumulator, numbers: usize, vector: Vector, rows: u32, bytes: usize): bool {
  if (!accumulatorReserveRows(accumulator, accumulator.capacity, rows, bytes)) return false;
  for (let row: u32 = 0; row < rows; row++) {
    if (vector.validity != 0 && !maskBit(vector.validity, row)) continue;
    const view = vector.values + ((<usize>row) << 3);
    // unreached: its room is reserved before
    if (!textFold(accumulator, groupOfRow(numbers, row), load<u32>(view), load<u32>(view, 4))) return false;
  }
  return true;
}

function mergeArgs(
  accumulator: Accumulator,
  numbers: usize,
  vector: Vector,
  rows: u32,
  bytes: usize,
  views: usize,
): bool {
  if (!accumulatorReserveRows(accumulator, accumulator.capacity, rows, bytes)) return false;
  for (let row: u32 = 0; row < rows; row++) {
    if (vector.validity != 0 && !maskBit(vector.validity, row)) continue;
    const view = vector.values + ((<usize>row) << 3);
    // unreached: its room is reserved before
    if (!argMerge(accumulator, groupOfRow(numbers, row), load<u32>(view), load<u32>(view, 4), views)) return false;
  }
  return true;
}

/** Folds a vector of (row of section 1, value) pairs in. */
function mergePairs(
  context: usize,
  operator: usize,
  state: State,
  program: usize,
  section: u32,
  rows: u32,
): i32 {
  const self = aggregationOf(operator);
  const accumulator = distinctAt(self, section - 2);
  const numbers = changetype<Vector>(programOutput(program, 0)).values;
  for (let row: u32 = 0; row < rows; row++) {
    const group = load<u32>(state.rows + ((<usize>groupOfRow(numbers, row)) << 2));
    store<u32>(self.numbers + ((<usize>row) << 2), group);
  }
  const isText = accumulator.family == <u32>Family.DISTINCT && accumulator.type == <u32>Type.BYTES;
  let bytes: usize = isText ? programOutputDistinctBytes(program, 1) : 0;
  if (accumulator.family == <u32>Family.LOG_TEXT) bytes = programOutputTextBytes(program, 1);
  if (!accumulatorReserveRows(accumulator, accumulator.capacity, rows, bytes)) return failMemory(context, 0);
  const values = changetype<Vector>(programOutput(program, 1));
  if (accumulator.family == <u32>Family.LOG_TEXT)
    // unreached: its room is reserved before
    return textLogUpdate(accumulator, self.numbers, values, 0, rows) ? 0 : failMemory(context, 0);
  if (accumulator.family == <u32>Family.LOG) {
    logUpdate(accumulator, self.numbers, values.values, 0, rows);
    return 0;
  }
  if (isSketch(accumulator)) {
    const cells = values.values;
    const counters = changetype<Vector>(programOutput(program, 2)).values;
    // unreached: only where thousands of hashes collide while memory is out
    return sketchMerge(accumulator, self.numbers, cells, counters, rows) ? 0 : failMemory(context, 0);
  }
  if (isMultiset(accumulator.family)) {
    const deltas = changetype<Vector>(programOutput(program, 2)).values;
    const buffer = scratchTake(context, VALUES_BYTES);
    return multisetUpdate(accumulator, self.numbers, values, 0, rows, 0, deltas, buffer) ? 0 : failMemory(context, 0);
  }
  // unreached: only where thousands of hashes collide while memory is out
  return distinctUpdate(accumulator, self.numbers, values, 0, rows) ? 0 : failMemory(context, 0);
}
