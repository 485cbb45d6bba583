// JOIN: two ports, equal keys (or none), any further condition, every type of join.
//
// A push runs its side's program, numbers the keys, keeps the rows (see join-state.ts) and leaves the matching
// to the pulls after it (join-results.ts), which find a bounded number of rows each and resume anywhere, also in
// the middle of a long run of equal keys: the product of such runs is never held.
//
// A push is all or nothing: room is made first, and rows count, and enter the index, only after all of them
// were evaluated. State cannot be saved yet, but kept rows can leave (join-leave.ts).

import { Abi, Batch, Type } from "../abi/layout";
import { JoinColumn, JoinConfig, JoinFlag, JoinTime, JoinType } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { bitmapGet } from "../column/bitmap";
import { outputColumn, outputCreate, regrow } from "../column/builder";
import { PACK_TABLE_SIZE, packTable } from "../column/pack";
import { Vector } from "../column/vector";
import {
  programBind,
  programCreate,
  programLeavesTexts,
  programOutput,
  programOutputType,
  programOutputs,
  programRun,
} from "../expression/program";
import { MAX_KEYS } from "../group/state";
import { CODES_SIZE } from "../join/codes";
import {
  KEYS_SIZE,
  KeyTier,
  Keys,
  keysAssign,
  keysCount,
  keysFind,
  keysHash,
  keysInit,
  keysObserve,
  keysProbes,
  keysReserve,
  keysSlots,
  keysSpan,
} from "../join/keys";
import { CODE_LINKS_SIZE } from "../join/code-links";
import { WINDOW_ROWS } from "../join/gather-rows";
import { lentChoose, lentFits, lentTakesTexts, lentTake } from "../join/lent";
import {
  Coded,
  NOWHERE,
  STORE_SIZE,
  Store,
  storeAppend,
  storeClear,
  storeColumn,
  storeCommit,
  storeInit,
  storeIsNull,
  storeLayout,
  storeLink,
  storeMatched,
  storeReserve,
  storeRow,
} from "../join/store";
import { fail, failMemory, refuseConfig } from "../memory/context";
import { regionBlock, regionCut, regionFree } from "../memory/region";
import { asOfIsDirect, asOfPush } from "./join-asof-direct";
import {
  FOUND_ROWS,
  changesAreAsked,
  changesAreSound,
  changesBytes,
  changesCreate,
  changesDestroy,
  changesLedgers,
  changesOf,
  changesPush,
} from "./join-changes";
import { joinHasTextKey, joinIsDirect, joinPushDirect } from "./join-direct";
import { joinTighten } from "./join-range";
import {
  Join,
  Phase,
  STEP,
  joinBounds,
  joinBoundsBegin,
  joinClosed,
  joinEnded,
  joinFilters,
  joinIndexSome,
  joinIndexed,
  joinIsLoaded,
  joinIsMarked,
  joinIsNullAware,
  joinIsSmall,
  joinLink,
  joinOf,
  joinPreserves,
  joinProgram,
  joinReserveHeads,
  joinStore,
  joinTier,
  joinWaits,
} from "./join-state";
import { timeBytes, timeCreate, timeDestroy, timeIsAsOf, timeIsDue, timeOf, timePassed, timePush, timeWatermark } from "./join-time-state";
import { Operator } from "./operator";

const MAX_COLUMNS: u32 = 4096;
const NO_COLUMN: u32 = 0xffffffff;
/** A bit for each row of a push. */
const LEAVE_BYTES: usize = (<usize>Abi.MORSEL_ROWS) >> 3;
/** Of the most rows that are listed at once. */
const MISSING_BYTES: usize = (<usize>WINDOW_ROWS + <usize>STEP) >> 3;
const LOADED: u32 = <u32>JoinFlag.LOADED_LEFT | <u32>JoinFlag.LOADED_RIGHT;
const MATCHED: u32 = <u32>JoinFlag.MATCHED_LEFT | <u32>JoinFlag.MATCHED_RIGHT;

/** Reads the configuration (abi/operator.ts, JoinConfig); false with the error recorded. */
export function joinCreate(context: usize, operator: usize, config: usize, length: u32): bool {
  if (!isSound(config, length)) return refuseConfig(context);
  const self = joinOf(operator);
  self.type = load<u32>(config, <usize>JoinConfig.TYPE);
  self.flags = load<u32>(config, <usize>JoinConfig.FLAGS);
  self.fault = load<u32>(config, <usize>JoinConfig.FAULT);
  self.keyCount = load<u32>(config, <usize>JoinConfig.KEYS);
  self.program0 = makeProgram(context, operator, config, <usize>JoinConfig.LEFT_PROGRAM);
  if (self.program0 == 0) return false;
  self.program1 = makeProgram(context, operator, config, <usize>JoinConfig.RIGHT_PROGRAM);
  if (self.program1 == 0) return false;
  if (load<u32>(config, <usize>JoinConfig.RESIDUAL_PROGRAM) != 0) {
    self.residual = makeProgram(context, operator, config, <usize>JoinConfig.RESIDUAL_PROGRAM);
    if (self.residual == 0) return false;
    if (programOutputs(self.residual) != 1 || programOutputType(self.residual, 0) != <u32>Type.U32)
      return refuseConfig(context);
  }
  const mode = load<u32>(config, <usize>JoinConfig.TIME);
  if (joinIsNullAware(self)) {
    const alone = mode == <u32>JoinTime.NONE && self.residual == 0 && (self.flags & <u32>JoinFlag.NULLS_EQUAL) == 0;
    if (self.type != <u32>JoinType.ANTI || self.keyCount != 1 || !alone) return refuseConfig(context);
  }
  if (!sameKeys(self) || !areTimes(self, config, mode)) return refuseConfig(context);
  const kinds = load<u32>(config, <usize>JoinConfig.KINDS);
  if (!changesAreSound(self, config) || (changesAreAsked(self, kinds) && mode != <u32>JoinTime.NONE)) return refuseConfig(context);
  const plain = mode == <u32>JoinTime.NONE && !changesAreAsked(self, kinds);
  if (!plain && (self.flags & (<u32>JoinFlag.KEEP_OUTPUTS | MATCHED | LOADED)) != 0) return refuseConfig(context);
  const leaves = (self.flags & (<u32>JoinFlag.KEEP_OUTPUTS | MATCHED)) != 0;
  if (leaves && (self.flags & LOADED) != 0) return refuseConfig(context);
  if (!areMarks(self, 0) || !areMarks(self, 1)) return refuseConfig(context);
  const columns = config + <usize>JoinConfig.SIZE;
  const count = load<u32>(config, <usize>JoinConfig.OUTPUTS);
  const residual = load<u32>(config, <usize>JoinConfig.RESIDUAL_COLUMNS);
  if (!areColumns(self, columns, count + residual)) return refuseConfig(context);
  for (let index: u32 = 0; index < count && joinFilters(self); index++) {
    if (load<u32>(columns + <usize>index * <usize>JoinColumn.SIZE) != 0) return refuseConfig(context);
  }
  self.columnCount = count;
  self.residualCount = residual;
  if (mode != <u32>JoinTime.NONE) {
    const low = load<i64>(config, <usize>JoinConfig.LOW);
    const high = load<i64>(config, <usize>JoinConfig.HIGH);
    if (!timeCreate(self, operator, mode, low, high)) {
      failMemory(context, 0);
      return false;
    }
  }
  if (changesAreAsked(self, kinds) && !changesCreate(self, operator, kinds)) {
    failMemory(context, 0);
    return false;
  }
  if (allocate(self, operator, columns, load<u32>(config, <usize>JoinConfig.SEED))) return true;
  failMemory(context, 0);
  return false;
}

function isSound(config: usize, length: u32): bool {
  if (length < <u32>JoinConfig.SIZE || load<u32>(config, <usize>JoinConfig.VERSION) != <u32>Abi.VERSION) return false;
  if (load<u32>(config, <usize>JoinConfig.TYPE) > <u32>JoinType.ANTI) return false;
  if (load<u32>(config, <usize>JoinConfig.KEYS) > MAX_KEYS) return false;
  const outputs = load<u32>(config, <usize>JoinConfig.OUTPUTS);
  const residual = load<u32>(config, <usize>JoinConfig.RESIDUAL_COLUMNS);
  if (outputs > MAX_COLUMNS || residual > MAX_COLUMNS) return false;
  const head = <u32>JoinConfig.SIZE + (outputs + residual) * <u32>JoinColumn.SIZE;
  return (
    head <= length &&
    isInside(config, <usize>JoinConfig.LEFT_PROGRAM, head, length) &&
    isInside(config, <usize>JoinConfig.RIGHT_PROGRAM, head, length) &&
    (load<u32>(config, <usize>JoinConfig.RESIDUAL_PROGRAM) == 0
      ? residual == 0
      : isInside(config, <usize>JoinConfig.RESIDUAL_PROGRAM, head, length))
  );
}

/** Whether the program whose offset and size stand at `field` lies behind the head. */
function isInside(config: usize, field: usize, head: u32, length: u32): bool {
  const start = load<u32>(config + field);
  return start >= head && (start & 7) == 0 && <u64>start + <u64>load<u32>(config + field, 4) <= <u64>length;
}

function makeProgram(context: usize, operator: usize, config: usize, field: usize): usize {
  return programCreate(context, operator, config + <usize>load<u32>(config + field), load<u32>(config + field, 4));
}

function sameKeys(self: Join): bool {
  if (self.keyCount > programOutputs(self.program0) || self.keyCount > programOutputs(self.program1)) return false;
  for (let key: u32 = 0; key < self.keyCount; key++) {
    if (programOutputType(self.program0, key) != programOutputType(self.program1, key)) return false;
  }
  return true;
}

/** Whether rows of the port that say that they have had a match can say so, and it means something. */
function areMarks(self: Join, port: u32): bool {
  if (!joinIsMarked(self, port)) return true;
  const program = joinProgram(self, port);
  const outputs = programOutputs(program);
  if (!joinPreserves(self, port) || outputs <= self.keyCount) return false;
  return programOutputType(program, outputs - 1) == <u32>Type.BOOL;
}

/** Bounds are as far from the ends of 64 bits as sums of two of them need. */
const FURTHEST: i64 = 1 << 62;

/** Whether the configuration's times are sound, and its other parts go with them. */
function areTimes(self: Join, config: usize, mode: u32): bool {
  if (mode == <u32>JoinTime.NONE) return true;
  if (mode > <u32>JoinTime.NEAREST) return false;
  for (let port: u32 = 0; port < 2; port++) {
    const program = joinProgram(self, port);
    if (self.keyCount >= programOutputs(program)) return false;
    if (programOutputType(program, self.keyCount) != <u32>Type.I64) return false;
  }
  const low = load<i64>(config, <usize>JoinConfig.LOW);
  const high = load<i64>(config, <usize>JoinConfig.HIGH);
  if (mode == <u32>JoinTime.WITHIN) return low <= high && low >= -FURTHEST && high <= FURTHEST;
  if (self.type > <u32>JoinType.LEFT || self.residual != 0) return false;
  return high >= 0 && high <= FURTHEST;
}

function areColumns(self: Join, columns: usize, count: u32): bool {
  for (let index: u32 = 0; index < count; index++) {
    const column = columns + <usize>index * <usize>JoinColumn.SIZE;
    const port = load<u32>(column);
    if (port > 1 || load<u32>(column, <usize>JoinColumn.OUTPUT) >= programOutputs(joinProgram(self, port))) return false;
  }
  return true;
}

function allocate(self: Join, operator: usize, columns: usize, seed: u32): bool {
  // What is kept of rows lies apart where it is laid out anew from time to time.
  let region = operator;
  if (self.time != 0) region = timeOf(self).generations;
  else if (self.changes != 0) region = changesOf(self).generations;
  self.keys = regionCut(region, KEYS_SIZE);
  // A plain join makes room for the rows of a push when they come.
  const numbered = self.time == 0 && self.changes == 0 ? STEP : <u32>Abi.MORSEL_ROWS;
  self.numbers = regionBlock(operator, (<usize>numbered) << 2);
  const found = self.changes != 0 ? FOUND_ROWS : STEP;
  self.found0 = regionBlock(operator, <usize>found * 12);
  if (self.keys == 0 || self.numbers == 0 || self.found0 == 0) return false;
  self.found1 = self.found0 + <usize>found * 4;
  self.cells = self.found0 + <usize>found * 8;
  self.leave = regionCut(operator, LEAVE_BYTES + PACK_TABLE_SIZE + MISSING_BYTES);
  if (self.leave == 0) return false;
  self.packing = self.leave + LEAVE_BYTES;
  self.missing = self.packing + PACK_TABLE_SIZE;
  packTable(self.packing);
  const types = regionCut(operator, <usize>self.keyCount * 4 + 4);
  if (types == 0) return false;
  for (let key: u32 = 0; key < self.keyCount; key++)
    store<u32>(types + ((<usize>key) << 2), programOutputType(self.program0, key));
  const nullsEqual = (self.flags & <u32>JoinFlag.NULLS_EQUAL) != 0;
  if (!keysInit(self.keys, region, types, self.keyCount, nullsEqual, self.fault, seed)) return false;
  const keys = changetype<Keys>(self.keys);
  const waits = (self.flags & <u32>JoinFlag.BUILD_FIRST) != 0 && self.time == 0 && self.changes == 0;
  if (keys.tier == <u32>KeyTier.UNDECIDED && !waits) keysHash(keys);
  joinBoundsBegin(self, 0);
  joinBoundsBegin(self, 1);
  const keeps = (self.flags & <u32>JoinFlag.KEEP_RESULTS) != 0 && (self.flags & <u32>JoinFlag.KEEP_CODES) != 0;
  if (keeps && self.changes == 0) {
    self.codes = regionCut(operator, <usize>self.columnCount * CODES_SIZE + 8);
    if (self.codes == 0) return false;
  }
  self.codeLinks = regionCut(operator, CODE_LINKS_SIZE);
  if (self.codeLinks == 0) return false;
  if (!makeStores(self, operator, region, columns, seed)) return false;
  if (self.changes != 0 && !changesLedgers(self, region, seed)) return false;
  self.columns = regionCut(operator, <usize>(self.columnCount + self.residualCount) * 8 + 8);
  if (self.columns == 0) return false;
  self.residualColumns = self.columns + <usize>self.columnCount * 8;
  for (let index: u32 = 0; index < self.columnCount + self.residualCount; index++) {
    const from = columns + <usize>index * <usize>JoinColumn.SIZE;
    const port = load<u32>(from);
    store<u32>(self.columns + <usize>index * 8, port);
    store<u32>(self.columns + <usize>index * 8, storedAs(joinStore(self, port), load<u32>(from, 4)), 4);
  }
  self.output = makeOutput(self, operator, self.columns, self.columnCount, self.changes != 0);
  self.residualOutput = makeOutput(self, operator, self.residualColumns, self.residualCount, false);
  return self.output != 0 && self.residualOutput != 0;
}

/**
 * A store a side, with each output that results, the residual or a waiting index need once; with KEEP_OUTPUTS, and of
 * the right side of an as-of join, where they tell rows of equal times apart, all of them.
 */
function makeStores(self: Join, operator: usize, region: usize, columns: usize, seed: u32): bool {
  const waits = joinTier(self) == <u32>KeyTier.UNDECIDED;
  for (let port: u32 = 0; port < 2; port++) {
    const outputs = programOutputs(joinProgram(self, port));
    const wanted = regionBlock(operator, <usize>outputs + 1);
    const address = regionCut(region, STORE_SIZE);
    if (wanted == 0 || address == 0) return false;
    const all = (self.flags & <u32>JoinFlag.KEEP_OUTPUTS) != 0 || (port == 1 && self.time != 0 && timeIsAsOf(timeOf(self)));
    memory.fill(wanted, all ? 1 : 0, <usize>outputs + 1);
    if (joinIsMarked(self, port)) store<u8>(wanted + <usize>(outputs - 1), 1);
    // Of a kept row it must be known whether it has a key.
    if (waits || (port == 0 && joinIsNullAware(self))) store<u8>(wanted, 1);
    // Keys come first then, in their order.
    if (self.time != 0 || self.changes != 0) memory.fill(wanted, 1, self.keyCount);
    for (let index: u32 = 0; index < self.columnCount + self.residualCount; index++) {
      const column = columns + <usize>index * <usize>JoinColumn.SIZE;
      if (load<u32>(column) == port) store<u8>(wanted + <usize>load<u32>(column, 4), 1);
    }
    let count: u32 = 0;
    for (let output: u32 = 0; output < outputs; output++) count += <u32>load<u8>(wanted + <usize>output);
    if (!storeInit(address, region, count, seed)) return false;
    if (port == 0) self.store0 = address;
    else self.store1 = address;
    count = 0;
    for (let output: u32 = 0; output < outputs; output++) {
      if (!load<u8>(wanted + <usize>output)) continue;
      const column = storeColumn(joinStore(self, port), count++);
      column.output = output;
      column.type = programOutputType(joinProgram(self, port), output);
    }
    storeLayout(joinStore(self, port));
    if (self.time == 0 && self.changes == 0) chooseSlabs(self, port, waits);
    // Joins by time, and those that follow changes, lay kept rows out anew, texts and all.
    const coded = self.codes != 0 ? <u32>Coded.ALL : <u32>Coded.FEW;
    joinStore(self, port).codes = self.time == 0 && self.changes == 0 ? coded : <u32>Coded.NONE;
    regionFree(operator, wanted);
  }
  self.keyColumn0 = storedAs(joinStore(self, 0), 0);
  self.keyColumn1 = storedAs(joinStore(self, 1), 0);
  return true;
}

/** Of what rows need besides their columns only what somebody reads: whether they were matched, and at once, links. */
function chooseSlabs(self: Join, port: u32, waits: bool): void {
  const kept = joinStore(self, port);
  const filters = joinFilters(self);
  const marks = filters || joinPreserves(self, port) || (self.flags & <u32>JoinFlag.KEEP_OUTPUTS) != 0;
  kept.matchedBytes = marks ? 1 : 0;
  kept.nextBytes = waits && !filters && !joinIsSmall(self) ? 0 : 4;
}

/** The column of a store that holds an output of the side's program. */
function storedAs(kept: Store, output: u32): u32 {
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const column = storeColumn(kept, index);
    if (column.output == output) return index;
  }
  return NO_COLUMN;
}

/** Builders of these columns, and, of changes, one of their row kinds. */
function makeOutput(self: Join, operator: usize, columns: usize, count: u32, kinds: bool): usize {
  const output = outputCreate(operator, count + (kinds ? 1 : 0));
  if (output == 0) return 0;
  if (kinds) outputColumn(output, count).type = Type.I8;
  for (let index: u32 = 0; index < count; index++) {
    const kept = joinStore(self, load<u32>(columns + <usize>index * 8));
    outputColumn(output, index).type = storeColumn(kept, load<u32>(columns + <usize>index * 8, 4)).type;
  }
  return output;
}

// ---- input

/** Whether a pull has something to do. */
export function joinPending(operator: usize): bool {
  const self = joinOf(operator);
  if (self.candidates != 0 || self.taken < self.ready || self.given < self.written) return true;
  if (self.time != 0) return timeIsDue(self);
  return (
    self.phase != <u32>Phase.IDLE ||
    (self.ended0 != 0 && self.closed0 == 0) ||
    (self.ended1 != 0 && self.closed1 == 0)
  );
}

export function joinPortEnded(operator: usize, port: u32): bool {
  return joinEnded(joinOf(operator), port);
}

/** No more rows will come on this port. */
export function joinEnd(operator: usize, port: u32): void {
  const self = joinOf(operator);
  if (port == 0) self.ended0 = 1;
  else self.ended1 = 1;
  if (self.ended0 && self.ended1) changetype<Operator>(operator).ended = 1;
}

/** No more rows at or before `time` will come on this port: means something to joins by time only. */
export function joinWatermark(operator: usize, port: u32, time: i64): void {
  const self = joinOf(operator);
  if (self.time != 0) timeWatermark(self, port, time);
}

/** HAS_MORE when rows may leave because of the batch, else NEED_INPUT. */
export function joinPush(context: usize, operator: usize, port: u32, batch: usize): i32 {
  const status = pushBatch(context, operator, port, batch);
  if (status < 0 && status != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
  return status;
}

function pushBatch(context: usize, operator: usize, port: u32, batch: usize): i32 {
  const self = joinOf(operator);
  const program = joinProgram(self, port);
  const bound = programBind(context, program, batch);
  if (bound < 0) return bound;
  if (self.time != 0) {
    return asOfIsDirect(self, port)
      ? asOfPush(context, operator, self, program, batch)
      : timePush(context, operator, self, port, program, batch, 0);
  }
  if (self.changes != 0) return changesPush(context, operator, self, port, program, batch);
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  if (joinIsDirect(self, port)) return joinPushDirect(context, operator, self, port, rows);
  const kept = joinStore(self, port);
  const keeps = !joinClosed(self, 1 - port);
  if (!keeps) storeClear(kept);
  else {
    if (joinStore(self, 1 - port).rows != 0 && !endWait(self, 1 - port)) return failMemory(context, 0);
    if (!joinWaits(self)) {
      if (!endWait(self, port)) return failMemory(context, 0);
      joinTighten(self);
    }
  }
  const numbers = regrow(operator, self.numbers, 0, (<usize>rows) << 2);
  if (numbers == 0) return failMemory(context, 0);
  self.numbers = numbers;
  const first = kept.rows;
  if (keeps && kept.capacity == 0 && joinIsLoaded(self, port)) lentChoose(kept, program, spareKey(self, port));
  if (!lentFits(kept, program, first)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  if (!storeReserve(kept, program, rows)) return failMemory(context, 0);
  if (keeps && !joinWaits(self) && !storeLink(kept)) return failMemory(context, 0);
  if (keeps && !joinWaits(self) && !keysReserve(changetype<Keys>(self.keys), program, rows)) return failMemory(context, 0);
  programLeavesTexts(program, lentTakesTexts(kept, program) && !joinHasTextKey(self, program));
  const looks = port == 1 && joinIsNullAware(self);
  let nulls = false;
  let selected: u32 = 0;
  for (let start: u32 = 0; start < rows; start += <u32>Abi.VECTOR_ROWS) {
    const count = programRun(context, program, start, min<u32>(<u32>Abi.VECTOR_ROWS, rows - start));
    if (count < 0) return count;
    if (count == 0) continue;
    if (!numberKeys(self, port, program, count, selected, keeps)) return failMemory(context, 0);
    if (!storeAppend(kept, program, first + selected, count)) return failMemory(context, 0);
    if (looks) nulls = nulls || hasNull(changetype<Vector>(programOutput(program, 0)), count);
    selected += count;
  }
  lentTake(kept, program, first, selected);
  if (looks && selected != 0) self.some1 = 1;
  if (nulls) self.nulls1 = 1;
  storeCommit(kept, selected);
  if (joinIsMarked(self, port)) takeMarks(kept, storedAs(kept, programOutputs(program) - 1), first, selected);
  changetype<Operator>(operator).rowsSelected += selected;
  if (keeps && joinWaits(self)) return Status.NEED_INPUT;
  // It has its links.
  if (keeps) joinLink(self, port, first, selected, self.numbers);
  if (selected == 0 || (keeps && joinStore(self, 1 - port).rows == 0)) return Status.NEED_INPUT;
  self.phase = Phase.PAIRS;
  self.port = port;
  self.first = first;
  self.rows = selected;
  self.at = 0;
  self.chain = 0;
  return Status.HAS_MORE;
}

/** The store column of a port's key, where only a waiting index reads it; else NOWHERE. */
function spareKey(self: Join, port: u32): u32 {
  const key = port == 0 ? self.keyColumn0 : self.keyColumn1;
  let read = !joinWaits(self);
  for (let index: u32 = 0; index < self.columnCount + self.residualCount; index++) {
    const column = self.columns + <usize>index * 8;
    if (load<u32>(column) == port && load<u32>(column, 4) == key) read = true;
  }
  return read ? NOWHERE : key;
}

/** Rows whose column `index` is true, and not null, have had a match. */
function takeMarks(kept: Store, index: u32, first: u32, rows: u32): void {
  const column = storeColumn(kept, index);
  const offset: usize = column.offset;
  for (let row = first; row < first + rows; row++) {
    const mark: u8 = storeIsNull(column, row) ? 0 : load<u8>(storeRow(kept, row) + offset);
    store<u8>(storeMatched(kept, row), mark);
  }
}

function hasNull(vector: Vector, rows: u32): bool {
  for (let row: u32 = 0; vector.validity != 0 && row < rows; row++) {
    if (!bitmapGet(vector.validity, row)) return true;
  }
  return false;
}

/** Indexes all that the port has kept: both sides have come, so it can wait no longer. False when out of memory. */
function endWait(self: Join, port: u32): bool {
  if (joinTier(self) == <u32>KeyTier.UNDECIDED) keysHash(changetype<Keys>(self.keys));
  while (joinIndexed(self, port) < joinStore(self, port).rows) {
    if (!joinIndexSome(self, port)) return false;
  }
  return true;
}

function numberKeys(self: Join, port: u32, program: usize, rows: u32, done: u32, keeps: bool): bool {
  const keys = changetype<Keys>(self.keys);
  const numbers = self.numbers + ((<usize>done) << 2);
  if (!keeps) return keysFind(keys, port, program, rows, numbers);
  if (!joinWaits(self)) {
    // Either side may be asked for any key.
    return (
      keysAssign(keys, port, program, rows, numbers) &&
      joinReserveHeads(self, 0, keysSpan(keys)) &&
      joinReserveHeads(self, 1, keysSpan(keys))
    );
  }
  keysObserve(changetype<Vector>(programOutput(program, 0)), rows, joinBounds(self, port));
  return true;
}

// ---- statistics

export function joinKeys(operator: usize): u32 {
  return keysCount(changetype<Keys>(joinOf(operator).keys));
}

export function joinSlots(operator: usize): u32 {
  return keysSlots(changetype<Keys>(joinOf(operator).keys));
}

export function joinKeyTier(operator: usize): u32 {
  return joinTier(joinOf(operator));
}

export function joinProbes(operator: usize): u64 {
  return keysProbes(changetype<Keys>(joinOf(operator).keys));
}

/** Rows of joins by time that came behind their port's watermark. */
export function joinLateRows(operator: usize): u64 {
  const self = joinOf(operator);
  return self.time == 0 ? 0 : timeOf(self).lateRows;
}

/** The watermark of the left times that leave. */
export function joinPassed(operator: usize): i64 {
  const self = joinOf(operator);
  return self.time == 0 ? i64.MIN_VALUE : timePassed(self);
}

/** Bytes that it holds besides its region. */
export function joinBytes(operator: usize): u32 {
  const self = joinOf(operator);
  if (self.changes != 0) return changesBytes(self);
  return self.time == 0 ? 0 : timeBytes(self);
}

/** Gives back what lies outside the operator's region. */
export function joinDestroy(operator: usize): void {
  const self = joinOf(operator);
  if (self.time != 0) timeDestroy(self);
  if (self.changes != 0) changesDestroy(self);
}
