// SORT: filters and computed columns, then all rows in order, or the first so many of them.
//
// A push evaluates the batch and appends its rows to a store (sort/row-store.ts). After the end of input pulls
// sort them step by step (sort/sorter.ts), then fetch each batch's rows column by column: a pull that has only
// prepared answers HAS_MORE with no rows. Rows are ordered by the keys, then by all other columns.
//
// With a limit, a push that would leave more than twice the rows asked for (and 65,536) first cuts what is
// there to those rows: memory is bound by the limit, and the input is never sorted as a whole. From then on rows
// that come after the last of them in the first key are not taken (sort/bound.ts).

import { Abi, Batch, Type } from "../abi/layout";
import { SortConfig, SortFault, SortFlag, SortKeyConfig } from "../abi/operator";
import { Status } from "../abi/status";
import {
  Builder,
  builderReserveBytes,
  outputColumn,
  outputCreate,
  outputDescribe,
  outputReset,
} from "../column/builder";
import { Vector } from "../column/vector";
import {
  programBind,
  programCreate,
  programOutput,
  programOutputTextBytes,
  programOutputType,
  programOutputs,
  programRun,
  programValues,
  programValidity,
} from "../expression/program";
import { failMemory, refuseConfig, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionCut } from "../memory/region";
import { BOUND_SIZE, Bound, GUESS_ROWS, boundBlocks, boundGuess, boundSelect, boundSet } from "../sort/bound";
import { Course, courseOn } from "../sort/course";
import { GATHER_ROWS, gatherColumn } from "../sort/gather";
import { Division, divisionStart } from "../sort/division";
import { SORT_KEY_SIZE, SortOrder, orderCreate, orderKey } from "../sort/order";
import {
  RowStore,
  STORE_COLUMN_SIZE,
  storeAdvance,
  storeAllTextBytes,
  storeAppend,
  storeAppendSome,
  storeClear,
  storeColumn,
  storeColumnInit,
  storeCopy,
  storeCreate,
  storeReserve,
  storeTextBytes,
  storeValue,
} from "../sort/row-store";
import {
  SORTER_SIZE,
  Sorter,
  rowMask,
  sorterBegin,
  sorterEnd,
  sorterIsConsecutive,
  sorterIsReady,
  sorterNext,
  sorterPrepare,
  sorterStep,
} from "../sort/sorter";
import { hashBytes } from "../hash/hash";
import { Operator } from "./operator";
import { rangeNext } from "./sort-range";
import { ALL, Sort, rowsOf, sortOf, sorterOf } from "./sort-state";

/** Rows beyond twice the limit that may pile up before they are cut. */
const SLACK_ROWS: u64 = 65536;
/** Rows' worth of work in one pull that gives none. */
const PULL_WORK: u32 = 262144;
const MAX_KEYS: u32 = 4096;
const TEXT_LIMIT: u64 = 0x7fffffff;

// ---- create

/** Reads the configuration (abi/operator.ts, SortConfig); false with the error recorded. */
export function sortCreate(context: usize, operator: usize, config: usize, length: u32): bool {
  const self = sortOf(operator);
  const keys = length < <u32>SortConfig.SIZE ? ALL : load<u32>(config, <usize>SortConfig.KEYS);
  if (keys > MAX_KEYS || load<u32>(config, <usize>SortConfig.VERSION) != <u32>Abi.VERSION) return refuseConfig(context);
  const program = load<u32>(config, <usize>SortConfig.PROGRAM);
  const bytes = load<u32>(config, <usize>SortConfig.PROGRAM_BYTES);
  const head: u32 = <u32>SortConfig.SIZE + keys * <u32>SortKeyConfig.SIZE;
  if (program < head || (program & 7) != 0 || <u64>program + <u64>bytes > <u64>length) return refuseConfig(context);
  self.program = programCreate(context, operator, config + <usize>program, bytes);
  if (self.program == 0) return false;
  self.offset = load<u32>(config, <usize>SortConfig.OFFSET);
  self.limit = load<u32>(config, <usize>SortConfig.LIMIT);
  self.fault = load<u32>(config, <usize>SortConfig.FAULT);
  const columns = programOutputs(self.program);
  const carried = load<u32>(config, <usize>SortConfig.CARRIED);
  if (carried > columns) return refuseConfig(context);
  self.carried = carried;
  self.output = outputCreate(operator, columns);
  self.rows = storeCreate(operator, columns);
  self.spare = storeCreate(operator, columns);
  self.sorter = regionCut(operator, SORTER_SIZE);
  self.bound = regionCut(operator, BOUND_SIZE);
  self.order = orderCreate(operator, keys + columns - carried);
  if (self.output == 0 || self.rows == 0 || self.spare == 0 || self.sorter == 0 || self.order == 0 || self.bound == 0) {
    failMemory(context, 0);
    return false;
  }
  for (let column: u32 = 0; column < columns; column++) {
    const type = programOutputType(self.program, column);
    outputColumn(self.output, column).type = type;
    storeColumnInit(rowsOf(self), column, type);
    storeColumnInit(changetype<RowStore>(self.spare), column, type);
  }
  if (!createKeys(self, config + <usize>SortConfig.SIZE, keys, columns - carried)) return refuseConfig(context);
  self.shape = shapeOf(self, config);
  return true;
}

/** Of a sort without rows. */
function shapeOf(self: Sort, config: usize): u64 {
  const order = changetype<SortOrder>(self.order);
  const head = hashBytes(config, <u32>SortConfig.PROGRAM);
  const keys = hashBytes(order.keys, order.keyCount * <u32>SORT_KEY_SIZE);
  const columns = hashBytes(rowsOf(self).columns, rowsOf(self).columnCount * <u32>STORE_COLUMN_SIZE);
  return head ^ rotl<u64>(keys, 1) ^ rotl<u64>(columns, 2) ^ self.fault;
}

/** The sort keys, then all other columns that take part, ascending with nulls last. */
function createKeys(self: Sort, config: usize, keys: u32, columns: u32): bool {
  const order = changetype<SortOrder>(self.order);
  if (self.fault & <u32>SortFault.NARROW_WORDS) order.width = 8;
  order.tiny = self.fault & <u32>SortFault.TINY_CACHE ? 1 : 0;
  for (let index: u32 = 0; index < keys; index++) {
    const from = config + <usize>index * <usize>SortKeyConfig.SIZE;
    const flags = load<u32>(from, <usize>SortKeyConfig.FLAGS);
    const key = orderKey(order, index);
    key.column = load<u32>(from, <usize>SortKeyConfig.OUTPUT);
    key.descending = flags & <u32>SortFlag.DESCENDING ? 1 : 0;
    key.nullsFirst = flags & <u32>SortFlag.NULLS_FIRST ? 1 : 0;
    if (key.column >= columns || flags > <u32>(SortFlag.DESCENDING | SortFlag.NULLS_FIRST)) return false;
  }
  let count = keys;
  for (let column: u32 = 0; column < columns; column++) {
    if (!isKey(order, keys, column)) orderKey(order, count++).column = column;
  }
  order.keyCount = count;
  if (count != 0) self.course = Course.ANY;
  for (let index: u32 = 0; index < count; index++) {
    const type = storeColumn(rowsOf(self), orderKey(order, index).column).type;
    if (type == <u32>Type.F64 || type == <u32>Type.F32) order.floats = 1;
  }
  order.sortKeys = keys == 0 ? count : keys;
  return true;
}

function isKey(order: SortOrder, keys: u32, column: u32): bool {
  for (let index: u32 = 0; index < keys; index++) if (orderKey(order, index).column == column) return true;
  return false;
}

// ---- push

/** NEED_INPUT. Any error but OUT_OF_MEMORY ends the operator. */
export function sortPush(context: usize, operator: usize, batch: usize): i32 {
  const status = pushBatch(context, operator, batch);
  if (status < 0 && status != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
  return status;
}

function pushBatch(context: usize, operator: usize, batch: usize): i32 {
  const self = sortOf(operator);
  const bound = programBind(context, self.program, batch);
  if (bound < 0) return bound;
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  if (!sortMakeRoom(context, operator, rows)) return failMemory(context, 0);
  self.measured = 0;
  if (!storeReserve(rowsOf(self), rows, textBytes(self))) return failMemory(context, 0);
  const blocks = findBlocks(context, self, rows);
  for (let start: u32 = 0; start < rows; start += <u32>Abi.VECTOR_ROWS) {
    const some = min<u32>(<u32>Abi.VECTOR_ROWS, rows - start);
    const found: usize = blocks == 0 ? 0 : blocks + <usize>(start >> 8);
    // No row of it is needed, and there is nothing to be computed.
    const isOver = found != 0 && some == <u32>Abi.VECTOR_ROWS && load<u64>(found) == 0;
    const count = isOver ? <i32>some : programRun(context, self.program, start, some);
    if (count < 0) return count;
    if (!isOver) append(context, self, count, found);
    changetype<Operator>(operator).rowsSelected += count;
  }
  return Status.NEED_INPUT;
}

/**
 * Holds all of the batch against the bound at once where the first key is a column as it lies there, and nothing is
 * filtered or computed: a bit for each block of rows, 64 a vector, see `boundBlocks`. 0 where not.
 */
function findBlocks(context: usize, self: Sort, rows: u32): usize {
  const bound = changetype<Bound>(self.bound);
  if (bound.isSet == 0 || rows < <u32>Abi.VECTOR_ROWS) return 0;
  const values = programValues(self.program, bound.column);
  if (values == 0) return 0;
  const bytes: usize = ((<usize>rows >> 11) + 1) << 3;
  const bits = scratchTake(context, bytes);
  if (bits == 0) return 0;
  memory.fill(bits, 0, bytes);
  const type = storeColumn(rowsOf(self), bound.column).type;
  return boundBlocks(bound, type, values, programValidity(self.program, bound.column), rows, bits) ? bits : 0;
}

/** Upper bound of the bytes of texts that the bound batch brings. */
function textBytes(self: Sort): u64 {
  let total: u64 = 0;
  const columns = programOutputs(self.program);
  for (let column: u32 = 0; column < columns; column++) {
    if (programOutputType(self.program, column) != <u32>Type.BYTES) continue;
    total += <u64>programOutputTextBytes(self.program, column);
  }
  return total;
}

/** `blocks`: see `boundSelect`. */
function append(context: usize, self: Sort, rows: u32, blocks: usize): void {
  if (rows == 0) return;
  if (changetype<Bound>(self.bound).isSet != 0 && appendWithin(context, self, rows, blocks)) return;
  const columns = programOutputs(self.program);
  for (let column: u32 = 0; column < columns; column++) {
    storeAppend(rowsOf(self), column, changetype<Vector>(programOutput(self.program, column)), rows);
  }
  if (self.course != <u32>Course.NONE) look(self, rows);
  storeAdvance(rowsOf(self), rows);
  if (self.limit != ALL && changetype<Bound>(self.bound).isSet == 0) guessBound(context, self);
}

/** Whether the first key goes on in the direction of the rows before. */
function look(self: Sort, rows: u32): void {
  const order = changetype<SortOrder>(self.order);
  const index = orderKey(order, 0).column;
  const column = storeColumn(rowsOf(self), index);
  const last: usize = rowsOf(self).rows == 0 ? 0 : storeValue(column, rowsOf(self).rows - 1, column.width);
  self.course = courseOn(self.course, last, changetype<Vector>(programOutput(self.program, index)), rows);
}

/** A first bound as soon as there are several times the rows asked for, if that is soon. */
function guessBound(context: usize, self: Sort): void {
  const order = changetype<SortOrder>(self.order);
  const wanted = wantedRows(self);
  const rows = rowsOf(self).rows;
  const enough: u64 = self.fault & <u32>SortFault.CUT_OFTEN ? wanted + 1 : max<u64>(<u64>Abi.VECTOR_ROWS, 8 * wanted);
  if (rows < enough || rows > GUESS_ROWS || wanted == 0 || order.keyCount == 0) return;
  const key = orderKey(order, 0);
  boundGuess(context, changetype<Bound>(self.bound), key, storeColumn(rowsOf(self), key.column), rows, <u32>wanted);
}

/** Appends only the rows that may be needed; false, and nothing done, when they are most. */
function appendWithin(context: usize, self: Sort, rows: u32, blocks: usize): bool {
  const bound = changetype<Bound>(self.bound);
  const mark = scratchMark(context);
  const taken = scratchTake(context, ((<usize>Abi.VECTOR_ROWS) << 1) + 2);
  const count = boundSelect(bound, changetype<Vector>(programOutput(self.program, bound.column)), rows, taken, blocks);
  const few = count <= rows >> 1;
  if (few) {
    if (count != 0) self.course = Course.NONE;
    const columns = programOutputs(self.program);
    for (let column: u32 = 0; column < columns; column++) {
      storeAppendSome(rowsOf(self), column, changetype<Vector>(programOutput(self.program, column)), taken, count);
    }
    storeAdvance(rowsOf(self), count);
  }
  scratchReset(context, mark);
  return few;
}

// ---- limit

/** Rows from the front that may be needed. */
function wantedRows(self: Sort): u64 {
  return self.limit == ALL ? u64.MAX_VALUE : <u64>self.offset + <u64>self.limit;
}

/** Cuts rows that will not be needed before `more` come, where there are many. False, and no row lost, when out of memory. */
export function sortMakeRoom(context: usize, operator: usize, more: u32): bool {
  return !isOverfull(sortOf(operator), more) || cut(context, operator);
}

function isOverfull(self: Sort, more: u32): bool {
  if (self.limit == ALL) return false;
  const wanted = wantedRows(self);
  const slack: u64 = self.fault & <u32>SortFault.CUT_OFTEN ? 0 : SLACK_ROWS;
  const rows: u64 = rowsOf(self).rows;
  return rows > wanted && rows + <u64>more > 2 * wanted + slack;
}

/** Keeps only the rows that may be needed. False, and no row lost, when out of memory. */
function cut(context: usize, operator: usize): bool {
  const self = sortOf(operator);
  const sorter = sorterOf(self);
  if (!sorterBegin(sorter, operator, self.order, self.rows, self.course)) return false;
  const kept = keepFirst(context, self, <u32>wantedRows(self));
  sorterEnd(sorter);
  if (!kept) {
    storeClear(changetype<RowStore>(self.spare));
    return false;
  }
  storeClear(rowsOf(self));
  self.course = Course.NONE;
  const old = self.rows;
  self.rows = self.spare;
  self.spare = old;
  const order = changetype<SortOrder>(self.order);
  if (rowsOf(self).rows == 0 || order.keyCount == 0) return true;
  const key = orderKey(order, 0);
  boundSet(changetype<Bound>(self.bound), key, storeColumn(rowsOf(self), key.column), rowsOf(self).rows - 1);
  return true;
}

/** Copies the first `wanted` rows into the spare store; false when out of memory. */
function keepFirst(context: usize, self: Sort, wanted: u32): bool {
  const sorter = sorterOf(self);
  const spare = changetype<RowStore>(self.spare);
  while (!sorterIsReady(sorter)) if (sorterStep(sorter) == 0) return false;
  while (spare.rows < wanted && sorterNext(sorter)) {
    sorterPrepare(context, sorter);
    const mask = rowMask(sorter);
    const some = min(sorter.count, wanted - spare.rows);
    const bytes = storeTextBytes(rowsOf(self), sorter.words, mask, sorter.first, some);
    if (!storeReserve(spare, some, bytes)) return false;
    storeCopy(spare, rowsOf(self), sorter.words, mask, sorter.first, some);
  }
  return true;
}

/** Parts that the rows were divided into; 0 where they were not. */
export function sortParts(operator: usize): u32 {
  const self = sortOf(operator);
  const sorter = sorterOf(self);
  if (self.parts != 0) return self.parts;
  return self.state != 0 && sorter.divided ? sorter.parts : 0;
}

/** Whether it is known that its rows come in order, or in reverse. */
export function sortIsInOrder(operator: usize): bool {
  return sortOf(operator).course != <u32>Course.NONE;
}

// ---- pull

/** Writes the next rows in order to `out`, see `op_pull`. */
export function sortPull(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const self = sortOf(operator);
  if (changetype<Operator>(operator).ended == 0) return Status.NEED_INPUT;
  if (self.state == 0 && !begin(self, operator)) return failMemory(context, 0);
  if (self.state == 2) return Status.FINISHED;
  const sorter = sorterOf(self);
  let work: u32 = 0;
  while (!sorterIsReady(sorter) && work < PULL_WORK) {
    const some = sorterStep(sorter);
    if (some == 0) return failMemory(context, 0);
    work += some;
  }
  const ready = sorterIsReady(sorter);
  let wanted = ready ? min(maxRows, self.left) : 0;
  if (self.division != 0) wanted = min(wanted, leftOfPart(self));
  if (!outputReset(self.output, wanted) || !reserveWhole(self, operator, wanted)) return failMemory(context, 0);
  const limit = maxBytes == 0 ? TEXT_LIMIT : min<u64>(maxBytes, TEXT_LIMIT);
  const rows = emit(context, operator, wanted, limit);
  if (ready && rows == 0) return failMemory(context, 0);
  self.left -= rows;
  outputDescribe(self.output, out, rows, 0);
  if (self.division != 0) store<u32>(out, self.part, <usize>Batch.PARTITION);
  if (self.left != 0) return Status.HAS_MORE;
  finish(self);
  return Status.FINISHED;
}

/** Rows of the part of a divided sort that the next row, which there is, lies in: those that have not left. */
function leftOfPart(self: Sort): u32 {
  const division = changetype<Division>(self.division);
  const row = rowsOf(self).rows - self.left;
  while (divisionStart(division, self.part + 1) <= row) self.part++;
  return divisionStart(division, self.part + 1) - row;
}

/** False when out of memory. */
function begin(self: Sort, operator: usize): bool {
  const rows = rowsOf(self).rows;
  const end = <u32>min<u64>(rows, wantedRows(self));
  self.skip = self.offset;
  self.used = 0;
  self.left = end - min(end, self.offset);
  if (self.left == 0) {
    finish(self);
    return true;
  }
  // The rows of a divided sort leave part by part, as they lie.
  const course = self.division != 0 ? Course.ANY : self.course;
  if (!sorterBegin(sorterOf(self), operator, self.order, self.rows, course)) return false;
  self.state = 1;
  return true;
}

/** All rows are out: nothing but the last batch is needed any more. */
function finish(self: Sort): void {
  if (self.state == 1) sorterEnd(sorterOf(self));
  self.state = 2;
  storeClear(rowsOf(self));
}

/** Room for all texts at once where all rows leave in one batch. */
function reserveWhole(self: Sort, operator: usize, rows: u32): bool {
  if (self.leading != 0 || rows != rowsOf(self).rows || storeAllTextBytes(rowsOf(self)) > TEXT_LIMIT) return true;
  const columns = programOutputs(self.program);
  for (let index: u32 = 0; index < columns; index++) {
    const builder = outputColumn(self.output, index);
    if (builder.type != <u32>Type.BYTES) continue;
    if (!builderReserveBytes(operator, builder, <usize>storeColumn(rowsOf(self), index).bytes)) return false;
  }
  return true;
}

/**
 * Appends the next rows to the output, a block at a time: `rows` of them, fewer when their texts pass `limit` bytes
 * or memory ends after the first block. 0 when out of memory.
 */
function emit(context: usize, operator: usize, rows: u32, limit: u64): u32 {
  const self = sortOf(operator);
  const sorter = sorterOf(self);
  const measured = (self.leading != 0 ? self.textBytes : storeAllTextBytes(rowsOf(self))) > limit;
  let bytes: u64 = 0;
  let done: u32 = 0;
  while (done < rows && partAtHand(context, self)) {
    const mask = rowMask(sorter);
    const words = sorter.words + ((<usize>self.used) << 3);
    let some = min(min(GATHER_ROWS, rows - done), sorter.count - self.used);
    if (measured) {
      const fitting = rowsWithin(self, words, mask, some, limit - bytes, done == 0);
      bytes += storeTextBytes(shownBy(self), words, mask, sorter.first, fitting);
      if (fitting < some) rows = done + fitting;
      some = fitting;
    }
    if (some == 0 || !gatherBlock(context, operator, words, mask, done, some)) break;
    self.used += some;
    done += some;
  }
  return done;
}

/** The rows of the part at hand. */
// @ts-ignore: decorator
@inline
function shownBy(self: Sort): RowStore {
  return changetype<RowStore>(self.leading != 0 ? self.shown : self.rows);
}

/** Makes the part that the next row is in ready; false when there is none. */
function partAtHand(context: usize, self: Sort): bool {
  const sorter = sorterOf(self);
  if (self.leading != 0) {
    if (self.used != sorter.count) return true;
    self.used = 0;
    return rangeNext(context, self);
  }
  while (self.used == sorter.count) {
    // unreached: nobody asks for more than the last row
    if (!sorterNext(sorter)) return false;
    self.used = min(self.skip, sorter.count);
    self.skip -= self.used;
    if (self.used != sorter.count) sorterPrepare(context, sorter);
  }
  return true;
}

/** Rows, at most `rows`, whose texts fit `limit` bytes; one at least where `first` is set. */
function rowsWithin(self: Sort, words: usize, mask: u64, rows: u32, limit: u64, first: bool): u32 {
  const row = sorterOf(self).first;
  if (storeTextBytes(shownBy(self), words, mask, row, rows) <= limit) return rows;
  let total: u64 = 0;
  for (let at: u32 = 0; at < rows; at++) {
    total += storeTextBytes(shownBy(self), words + ((<usize>at) << 3), mask, row, 1);
    if (total > limit && !(first && at == 0)) return at;
  }
  return rows;
}

/** Appends a block of rows to every column, or to none when there is no room for texts. `done` rows are there. */
function gatherBlock(context: usize, operator: usize, words: usize, mask: u64, done: u32, rows: u32): bool {
  const self = sortOf(operator);
  const first = sorterOf(self).first;
  const consecutive = sorterIsConsecutive(sorterOf(self));
  const columns = programOutputs(self.program);
  const mark = scratchMark(context);
  const nulls = scratchTake(context, (<usize>columns) << 2);
  for (let index: u32 = 0; index < columns; index++) {
    const builder = outputColumn(self.output, index);
    store<u32>(nulls + ((<usize>index) << 2), builder.nulls);
    const column = storeColumn(shownBy(self), index);
    if (!gatherColumn(context, operator, column, words, mask, first, rows, builder, consecutive)) {
      for (let back: u32 = 0; back <= index; back++) {
        builderTruncate(outputColumn(self.output, back), done, load<u32>(nulls + ((<usize>back) << 2)));
      }
      scratchReset(context, mark);
      return false;
    }
  }
  scratchReset(context, mark);
  return true;
}

/** Drops the rows after the first `rows`, of which `nulls` are null. */
function builderTruncate(builder: Builder, rows: u32, nulls: u32): void {
  builder.length = rows;
  builder.nulls = nulls;
  if (builder.type == <u32>Type.BYTES) builder.bytes = load<u32>(builder.offsets + ((<usize>rows) << 2));
}
