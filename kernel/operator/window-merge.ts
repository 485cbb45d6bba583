// Taking over the state of a windowed aggregation: see window-state.ts for what it is, and what is checked.

import { Abi, Batch, ErrorRecord } from "../abi/layout";
import { OperatorKind } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { WindowKind } from "../abi/window";
import { regrow } from "../column/builder";
import { Vector } from "../column/vector";
import { programBind, programOutput, programRun } from "../expression/program";
import { contextError, fail, failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionFree } from "../memory/region";
import {
  sliceEnd,
  sliceFirstWindow,
  sliceLastWindow,
  sliceOf,
  sliceStart,
  windowEnd,
  windowLastSlice,
  windowStart,
} from "../window/shape";
import { aggregateMerge } from "./aggregate-merge";
import { loadProgramCreate } from "./load-program";
import { Operator } from "./operator";
import { changesAppend, changesResultCreate, changesSetFired } from "./window-changes";
import { windowIsDue } from "./window-close";
import {
  HEADER_COLUMNS,
  OWN_SECTIONS,
  PART,
  PART_COLUMNS,
  PartRole,
  WindowState,
  highestSlice,
  lowestSlice,
  windowStateOf,
  windowStateType,
} from "./window-state";
import {
  NO_WINDOW,
  Windows,
  partialAppend,
  partialCreate,
  partialsReserve,
  shapeOf,
  windowsOf,
} from "./windows";

const ROWS: u32 = Abi.VECTOR_ROWS;

/** Merges one batch of a state. HAS_MORE while the merge is open, NEED_INPUT after its last batch. */
export function windowMerge(context: usize, operator: usize, batch: usize): i32 {
  const address = windowStateOf(operator);
  if (address == 0) return failMemory(context, 0);
  const state = changetype<WindowState>(address);
  const section = load<u32>(batch, <usize>Batch.SECTION);
  if (!state.open) {
    if (section != 0) return corrupt(context, Reason.STATE_ORDER);
    const status = mergeHeader(context, operator, state, batch);
    return status < 0 ? status : advance(context, operator, state);
  }
  if (state.known != state.total) {
    if (section != 1) return corrupt(context, Reason.STATE_ORDER);
    const status = mergeParts(context, operator, state, batch);
    return status < 0 ? status : Status.HAS_MORE;
  }
  if (section < OWN_SECTIONS) return corrupt(context, Reason.STATE_ORDER);
  const status = mergePart(context, operator, state, batch, section - OWN_SECTIONS);
  return status < 0 ? status : advance(context, operator, state);
}

function corrupt(context: usize, reason: Reason): i32 {
  return fail(context, Status.CORRUPT_STATE, reason);
}

/** After the header or a batch of a part: ends the merge where that was all. */
function advance(context: usize, operator: usize, state: WindowState): i32 {
  if (state.next < state.total) return Status.HAS_MORE;
  state.open = 0;
  regionFree(operator, state.list);
  state.list = 0;
  state.capacity = 0;
  // What is saved has nothing to give before its next row or watermark.
  if (!windowIsDue(operator)) return Status.NEED_INPUT;
  changetype<Operator>(operator).failed = 1;
  return corrupt(context, Reason.STATE_VALUE);
}

/** Binds a batch of section 0 or 1 to the program that loads it: its address, or 0 with the error recorded. */
function bound(context: usize, operator: usize, state: WindowState, section: u32, batch: usize): usize {
  const columns = section == 0 ? HEADER_COLUMNS : PART_COLUMNS;
  if (load<u32>(batch, <usize>Batch.COLUMNS) != columns) {
    corrupt(context, Reason.STATE_SHAPE);
    return 0;
  }
  let program = section == 0 ? state.headerProgram : state.partsProgram;
  if (program == 0) {
    const types = scratchTake(context, (<usize>columns) << 2);
    for (let column: u32 = 0; column < columns; column++)
      store<u32>(types + ((<usize>column) << 2), windowStateType(section, column));
    program = loadProgramCreate(context, operator, types, columns);
    if (program == 0) {
      failMemory(context, 0);
      return 0;
    }
    if (section == 0) state.headerProgram = program;
    else state.partsProgram = program;
  }
  // What only loads needs no memory for that.
  if (programBind(context, program, batch) >= 0) return program;
  corrupt(context, Reason.STATE_SHAPE);
  return 0;
}

// @ts-ignore: decorator
@inline
function recorded(context: usize): i32 {
  return load<i32>(contextError(context), <usize>ErrorRecord.STATUS);
}

/** Whether the program's outputs are values: no nulls, no codes of a dictionary. */
function areValues(program: usize, columns: u32): bool {
  for (let column: u32 = 0; column < columns; column++) {
    const vector = changetype<Vector>(programOutput(program, column));
    if (vector.validity != 0 || vector.dictionary != 0) return false;
  }
  return true;
}

function value32(program: usize, column: u32, row: u32): u32 {
  return load<u32>(changetype<Vector>(programOutput(program, column)).values + ((<usize>row) << 2));
}

function value64(program: usize, column: u32, row: u32): i64 {
  return load<i64>(changetype<Vector>(programOutput(program, column)).values + ((<usize>row) << 3));
}

// ---- the header

function mergeHeader(context: usize, operator: usize, state: WindowState, batch: usize): i32 {
  const self = windowsOf(operator);
  const head = changetype<Operator>(operator);
  if (!isFresh(operator)) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_TARGET);
  const program = bound(context, operator, state, 0, batch);
  if (program == 0) return recorded(context);
  if (load<u32>(batch, <usize>Batch.ROWS) != 1) return corrupt(context, Reason.STATE_SHAPE);
  const run = programRun(context, program, 0, 1);
  if (run < 0) return run; // unreached: a program that only loads cannot fail
  if (!areValues(program, HEADER_COLUMNS)) return corrupt(context, Reason.STATE_VALUE);
  if (value32(program, 0, 0) != <u32>Abi.VERSION) return corrupt(context, Reason.STATE_VERSION);
  if (value32(program, 1, 0) != <u32>OperatorKind.WINDOW_AGGREGATE) return corrupt(context, Reason.STATE_KIND);
  if (<u64>value64(program, 2, 0) != self.configHash) return corrupt(context, Reason.STATE_CONFIG);
  const watermark = value64(program, 6, 0);
  const closed = value64(program, 8, 0);
  const total = <u64>value64(program, 14, 0);
  if (watermark == i64.MAX_VALUE || total > <u64>(u32.MAX_VALUE / <u32>PART) || !isWindow(self, closed))
    return corrupt(context, Reason.STATE_VALUE);
  head.rowsIn = <u64>value64(program, 3, 0);
  head.rowsSelected = <u64>value64(program, 4, 0);
  head.batchesIn = <u64>value64(program, 5, 0);
  self.watermark = watermark;
  self.newest = value64(program, 7, 0);
  self.closed = closed;
  changesSetFired(self, value64(program, 9, 0));
  self.flipped = value64(program, 10, 0);
  self.lateRows = <u64>value64(program, 11, 0);
  self.nullTimes = <u64>value64(program, 12, 0);
  self.backward = <u64>value64(program, 13, 0);
  state.open = 1;
  state.total = <u32>total;
  state.known = 0;
  state.next = 0;
  return 0;
}

/** Whether nothing has come to the operator yet. */
function isFresh(operator: usize): bool {
  const self = windowsOf(operator);
  const head = changetype<Operator>(operator);
  return head.batchesIn == 0 && self.watermark == i64.MIN_VALUE && self.backward == 0 && self.count == 0;
}

/** Whether a window of that number may have left: NO_WINDOW, or one around a time that is taken. */
function isWindow(self: Windows, window: i64): bool {
  if (window == NO_WINDOW) return true;
  const shape = shapeOf(self);
  // GLOBAL leaves at the end of input alone.
  if (shape.kind == <u32>WindowKind.GLOBAL) return false;
  return window >= sliceFirstWindow(shape, lowestSlice(self)) && window <= sliceLastWindow(shape, highestSlice(self));
}

// ---- the list of parts

function mergeParts(context: usize, operator: usize, state: WindowState, batch: usize): i32 {
  const program = bound(context, operator, state, 1, batch);
  if (program == 0) return recorded(context);
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  if (rows == 0 || rows > state.total - state.known) return corrupt(context, Reason.STATE_SHAPE);
  if (state.known + rows > state.capacity) {
    const capacity = min(state.total, max(state.known + rows, state.capacity << 1));
    const list = regrow(operator, state.list, <usize>state.known * PART, <usize>capacity * PART);
    if (list == 0) return failMemory(context, 0);
    state.list = list;
    state.capacity = capacity;
  }
  let next = state.known;
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const mark = scratchMark(context);
    const count = programRun(context, program, start, min(ROWS, rows - start));
    if (count < 0) return count; // unreached: a program that only loads cannot fail
    if (!areValues(program, PART_COLUMNS)) return corrupt(context, Reason.STATE_VALUE);
    for (let row: u32 = 0; row < <u32>count; row++) {
      if (!readPart(operator, state, program, row, next)) return corrupt(context, Reason.STATE_VALUE);
      next++;
    }
    scratchReset(context, mark);
  }
  if (next == state.total && !isWhole(state)) return corrupt(context, Reason.STATE_VALUE);
  state.known = next;
  return 0;
}

// @ts-ignore: decorator
@inline
function entryAt(state: WindowState, index: u32): usize {
  return state.list + <usize>index * PART;
}

// @ts-ignore: decorator
@inline
function entryRole(entry: usize): u32 {
  return load<u32>(entry, 16);
}

/** Writes the `index`-th part to the list; false where it is impossible, after the one before it or at all. */
function readPart(operator: usize, state: WindowState, program: usize, row: u32, index: u32): bool {
  const self = windowsOf(operator);
  const shape = shapeOf(self);
  const start = value64(program, 0, row);
  const end = value64(program, 1, row);
  const window = value64(program, 2, row);
  const role = value32(program, 3, row);
  const entry = entryAt(state, index);
  const before: usize = index == 0 ? 0 : entryAt(state, index - 1);
  const slice = sliceOf(shape, start);
  store<i64>(entry, slice);
  store<i64>(entry, window, 8);
  store<u32>(entry, role, 16);
  if (role > <u32>PartRole.RESULT) return false;
  if (before != 0 && entryRole(before) >= <u32>PartRole.SUM && role < <u32>PartRole.RESULT) return false;
  if (role == <u32>PartRole.RESULT) {
    if (self.changes == 0 || !isKept(self, window)) return false;
    if (windowStart(shape, window) != start || windowEnd(shape, window) != end) return false;
    return before == 0 || entryRole(before) != <u32>PartRole.RESULT || load<i64>(before, 8) < window;
  }
  if (slice < lowestSlice(self) || slice > highestSlice(self) || sliceStart(shape, slice) != start) return false;
  if (role == <u32>PartRole.SUM) {
    const last = sliceOf(shape, end - 1);
    store<i64>(entry, last, 8);
    return self.stacks != 0 && last <= highestSlice(self) && sliceEnd(shape, last) == end && isBack(self, slice, last);
  }
  if (role != <u32>PartRole.NEW && self.stacks == 0) return false;
  if (sliceEnd(shape, slice) != end || window < sliceFirstWindow(shape, slice)) return false;
  if (window > sliceLastWindow(shape, slice) || (self.closed != NO_WINDOW && window <= self.closed)) return false;
  if (before == 0) return true;
  return load<i64>(before) < slice || (load<i64>(before) == slice && load<i64>(before, 8) <= window);
}

/** Whether the result of a window can be kept. */
function isKept(self: Windows, window: i64): bool {
  if (shapeOf(self).kind == <u32>WindowKind.GLOBAL) return window == 0;
  return window != NO_WINDOW && isWindow(self, window);
}

/** Whether slices from `first` to `last` can be in the back, after the last window that has left. */
function isBack(self: Windows, first: i64, last: i64): bool {
  const shape = shapeOf(self);
  const closed = self.closed;
  return (
    closed != NO_WINDOW &&
    first <= last &&
    last <= windowLastSlice(shape, closed) &&
    sliceFirstWindow(shape, last) <= closed &&
    sliceLastWindow(shape, last) > closed
  );
}

/** Whether partials that are in the back have their sum. */
function isWhole(state: WindowState): bool {
  let inBack = false;
  let sum = false;
  for (let index: u32 = 0; index < state.total; index++) {
    inBack = inBack || entryRole(entryAt(state, index)) == <u32>PartRole.BACK;
    sum = sum || entryRole(entryAt(state, index)) == <u32>PartRole.SUM;
  }
  return sum || !inBack;
}

// ---- the parts

function mergePart(context: usize, operator: usize, state: WindowState, batch: usize, section: u32): i32 {
  const self = windowsOf(operator);
  const entry = entryAt(state, state.next);
  const role = entryRole(entry);
  if (state.coming == 0) {
    if (section != 0) return corrupt(context, Reason.STATE_ORDER);
    if (role == <u32>PartRole.RESULT) state.coming = changesResultCreate(context, operator);
    else if (partialsReserve(operator)) state.coming = partialCreate(context, operator);
    if (state.coming == 0) return failMemory(context, 0);
  }
  const part = scratchTake(context, <usize>Batch.SIZE);
  memory.copy(part, batch, <usize>Batch.SIZE);
  store<u32>(part, section, <usize>Batch.SECTION);
  const coming = state.coming;
  const status = aggregateMerge(context, coming, part);
  if (changetype<Operator>(coming).failed) changetype<Operator>(operator).failed = 1;
  if (status != <i32>Status.NEED_INPUT) return status;
  if (role == <u32>PartRole.RESULT) changesAppend(self, load<i64>(entry, 8), coming);
  else if (role == <u32>PartRole.SUM) {
    self.back = coming;
    self.backFirst = load<i64>(entry);
    self.backLast = load<i64>(entry, 8);
  } else partialAppend(self, load<i64>(entry), load<i64>(entry, 8), coming, role);
  state.coming = 0;
  state.next++;
  return 0;
}
