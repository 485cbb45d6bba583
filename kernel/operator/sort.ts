// SORT: filters and computed columns, then all rows in order, or the first so many of them.
//
// A push evaluates the batch and appends its rows to a store (sort/row-store.ts). After the end of input pulls
// sort them step by step (sort/sorter.ts) and fetch each batch's rows column by column: a pull that has only
// sorted answers HAS_MORE with no rows. Rows are ordered by the keys, then by all other columns.
//
// With a limit, a push that would leave more than twice the rows asked for (and 65,536) first cuts what is
// there to those rows: memory is bound by the limit, and the input is never sorted as a whole.

import { Abi, Batch, Type } from "../abi/layout";
import { SortConfig, SortFault, SortFlag, SortKeyConfig } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { builderReserveBytes, outputColumn, outputCreate, outputDescribe, outputReset } from "../column/builder";
import { Vector } from "../column/vector";
import {
  programBind,
  programCreate,
  programOutput,
  programOutputTextBytes,
  programOutputType,
  programOutputs,
  programRun,
} from "../expression/program";
import { fail, failMemory } from "../memory/context";
import { regionCut } from "../memory/region";
import { GATHER_ROWS, gatherColumn } from "../sort/gather";
import { SortOrder, orderCreate, orderKey } from "../sort/order";
import {
  RowStore,
  storeAdvance,
  storeAppend,
  storeClear,
  storeColumn,
  storeColumnInit,
  storeCopy,
  storeCreate,
  storeReserve,
  storeTextBytes,
  storeValue,
} from "../sort/row-store";
import { SORTER_SIZE, Sorter, rowMask, sorterBegin, sorterEnd, sorterStep } from "../sort/sorter";
import { OPERATOR_BODY, Operator } from "./operator";

/** Rows beyond twice the limit that may pile up before they are cut. */
const SLACK_ROWS: u64 = 65536;
/** Rows' worth of work in one pull that gives none. */
const PULL_WORK: u32 = 262144;
const MAX_KEYS: u32 = 4096;
const ALL: u32 = 0xffffffff;
const TEXT_LIMIT: u64 = 0x7fffffff;

// @ts-ignore: decorator
@unmanaged
class Sort {
  program: usize;
  output: usize;
  /** `RowStore` of the rows so far, and an empty one to cut them into. */
  rows: usize;
  spare: usize;
  order: usize;
  sorter: usize;
  offset: u32;
  limit: u32;
  fault: u32;
  /** 1 while the rows are being sorted and handed out, 2 when all are out. */
  state: u32;
  /** Next row to hand out, and the one at which to stop. */
  next: u32;
  end: u32;
}

// @ts-ignore: decorator
@inline
function sortOf(operator: usize): Sort {
  return changetype<Sort>(operator + OPERATOR_BODY);
}

// @ts-ignore: decorator
@inline
function rowsOf(self: Sort): RowStore {
  return changetype<RowStore>(self.rows);
}

// @ts-ignore: decorator
@inline
function sorterOf(self: Sort): Sorter {
  return changetype<Sorter>(self.sorter);
}

// ---- create

/** Reads the configuration (abi/operator.ts, SortConfig); false with the error recorded. */
export function sortCreate(context: usize, operator: usize, config: usize, length: u32): bool {
  const self = sortOf(operator);
  const keys = length < <u32>SortConfig.SIZE ? ALL : load<u32>(config, <usize>SortConfig.KEYS);
  if (keys > MAX_KEYS || load<u32>(config, <usize>SortConfig.VERSION) != <u32>Abi.VERSION) return refuse(context);
  const program = load<u32>(config, <usize>SortConfig.PROGRAM);
  const bytes = load<u32>(config, <usize>SortConfig.PROGRAM_BYTES);
  const head: u32 = <u32>SortConfig.SIZE + keys * <u32>SortKeyConfig.SIZE;
  if (program < head || (program & 7) != 0 || <u64>program + <u64>bytes > <u64>length) return refuse(context);
  self.program = programCreate(context, operator, config + <usize>program, bytes);
  if (self.program == 0) return false;
  self.offset = load<u32>(config, <usize>SortConfig.OFFSET);
  self.limit = load<u32>(config, <usize>SortConfig.LIMIT);
  self.fault = load<u32>(config, <usize>SortConfig.FAULT);
  const columns = programOutputs(self.program);
  const carried = load<u32>(config, <usize>SortConfig.CARRIED);
  if (carried > columns) return refuse(context);
  self.output = outputCreate(operator, columns);
  self.rows = storeCreate(operator, columns);
  self.spare = storeCreate(operator, columns);
  self.sorter = regionCut(operator, SORTER_SIZE);
  self.order = orderCreate(operator, keys + columns - carried);
  if (self.output == 0 || self.rows == 0 || self.spare == 0 || self.sorter == 0 || self.order == 0) {
    failMemory(context, 0);
    return false;
  }
  for (let column: u32 = 0; column < columns; column++) {
    const type = programOutputType(self.program, column);
    outputColumn(self.output, column).type = type;
    storeColumnInit(rowsOf(self), column, type);
    storeColumnInit(changetype<RowStore>(self.spare), column, type);
  }
  return createKeys(self, config + <usize>SortConfig.SIZE, keys, columns - carried) || refuse(context);
}

function refuse(context: usize): bool {
  fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  return false;
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
  if (isOverfull(self, rows) && !cut(context, operator)) return failMemory(context, 0);
  if (!storeReserve(rowsOf(self), rows, textBytes(self))) return failMemory(context, 0);
  for (let start: u32 = 0; start < rows; start += <u32>Abi.VECTOR_ROWS) {
    const count = programRun(context, self.program, start, min<u32>(<u32>Abi.VECTOR_ROWS, rows - start));
    if (count < 0) return count;
    append(self, count);
    changetype<Operator>(operator).rowsSelected += count;
  }
  return Status.NEED_INPUT;
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

function append(self: Sort, rows: u32): void {
  if (rows == 0) return;
  const columns = programOutputs(self.program);
  for (let column: u32 = 0; column < columns; column++) {
    storeAppend(rowsOf(self), column, changetype<Vector>(programOutput(self.program, column)), rows);
  }
  storeAdvance(rowsOf(self), rows);
}

// ---- limit

/** Rows from the front that may be needed. */
function wantedRows(self: Sort): u64 {
  return self.limit == ALL ? u64.MAX_VALUE : <u64>self.offset + <u64>self.limit;
}

function isOverfull(self: Sort, more: u32): bool {
  if (self.limit == ALL) return false;
  const wanted = wantedRows(self);
  const slack: u64 = self.fault & <u32>SortFault.CUT_OFTEN ? 0 : SLACK_ROWS;
  const rows: u64 = rowsOf(self).rows;
  return rows > wanted && rows + <u64>more > 2 * wanted + slack;
}

/** Keeps only the rows that may be needed. False, and nothing changed, when out of memory. */
function cut(context: usize, operator: usize): bool {
  const self = sortOf(operator);
  const sorter = sorterOf(self);
  if (!sorterBegin(sorter, operator, self.order, self.rows)) return false;
  const wanted = <u32>wantedRows(self);
  while (sorter.ready < wanted) sorterStep(context, sorter);
  const mask = rowMask(sorter);
  const spare = changetype<RowStore>(self.spare);
  const kept = storeReserve(spare, wanted, storeTextBytes(rowsOf(self), sorter.sorted, mask, wanted));
  if (kept) storeCopy(spare, rowsOf(self), sorter.sorted, mask, wanted);
  sorterEnd(sorter);
  if (!kept) {
    storeClear(spare);
    return false;
  }
  storeClear(rowsOf(self));
  const old = self.rows;
  self.rows = self.spare;
  self.spare = old;
  return true;
}

// ---- pull

/** Writes the next rows in order to `out`, see `op_pull`. */
export function sortPull(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const self = sortOf(operator);
  if (changetype<Operator>(operator).ended == 0) return Status.NEED_INPUT;
  if (self.state == 0 && !begin(self, operator)) return failMemory(context, 0);
  if (self.state == 2) return Status.FINISHED;
  const sorter = sorterOf(self);
  let rows = min(maxRows, self.end - self.next);
  let work: u32 = 0;
  while (sorter.ready < self.next + rows && work < PULL_WORK) work += sorterStep(context, sorter);
  if (sorter.ready < self.next + rows) {
    if (!outputReset(self.output, 0)) return failMemory(context, 0);
    outputDescribe(self.output, out, 0, 0);
    return Status.HAS_MORE;
  }
  const words = sorter.sorted + ((<usize>self.next) << 3);
  const mask = rowMask(sorter);
  if (!outputReset(self.output, rows)) return failMemory(context, 0);
  rows = reserveTexts(self, operator, words, mask, rows, maxBytes == 0 ? TEXT_LIMIT : min<u64>(maxBytes, TEXT_LIMIT));
  if (rows == 0) return failMemory(context, 0);
  for (let start: u32 = 0; start < rows; start += GATHER_ROWS) {
    gatherRows(self, words + ((<usize>start) << 3), mask, min(GATHER_ROWS, rows - start));
  }
  self.next += rows;
  outputDescribe(self.output, out, rows, 0);
  if (self.next < self.end) return Status.HAS_MORE;
  finish(self);
  return Status.FINISHED;
}

/** False when out of memory. */
function begin(self: Sort, operator: usize): bool {
  const rows = rowsOf(self).rows;
  self.next = self.offset;
  self.end = <u32>min<u64>(rows, wantedRows(self));
  if (self.next >= self.end) {
    finish(self);
    return true;
  }
  if (!sorterBegin(sorterOf(self), operator, self.order, self.rows)) return false;
  self.state = 1;
  return true;
}

/** All rows are out: nothing but the last batch is needed any more. */
function finish(self: Sort): void {
  self.state = 2;
  storeClear(rowsOf(self));
  if (sorterOf(self).words != 0) sorterEnd(sorterOf(self));
}

/** Rows, at most `rows`, whose texts fit `limit` (one in any case), with room for them made; 0 when out of memory. */
function reserveTexts(self: Sort, operator: usize, words: usize, mask: u64, rows: u32, limit: u64): u32 {
  const columns = programOutputs(self.program);
  let count = rows;
  if (storeTextBytes(rowsOf(self), words, mask, rows) > limit) count = rowsWithin(self, words, mask, rows, limit);
  for (let column: u32 = 0; column < columns; column++) {
    const builder = outputColumn(self.output, column);
    if (builder.type != <u32>Type.BYTES) continue;
    const bytes = columnTextBytes(self, column, words, mask, count);
    if (!builderReserveBytes(operator, builder, <usize>bytes)) return 0;
  }
  return count;
}

function columnTextBytes(self: Sort, index: u32, words: usize, mask: u64, rows: u32): u64 {
  const column = storeColumn(rowsOf(self), index);
  let total: u64 = 0;
  for (let at: u32 = 0; at < rows; at++) {
    total += load<u32>(storeValue(column, <u32>(load<u64>(words + ((<usize>at) << 3)) & mask), 8), 4);
  }
  return total;
}

function rowsWithin(self: Sort, words: usize, mask: u64, rows: u32, limit: u64): u32 {
  let total: u64 = 0;
  for (let at: u32 = 0; at < rows; at++) {
    total += storeTextBytes(rowsOf(self), words + ((<usize>at) << 3), mask, 1);
    if (total > limit && at != 0) return at;
  }
  return rows;
}

function gatherRows(self: Sort, words: usize, mask: u64, rows: u32): void {
  const columns = programOutputs(self.program);
  for (let column: u32 = 0; column < columns; column++) {
    gatherColumn(storeColumn(rowsOf(self), column), words, mask, rows, outputColumn(self.output, column));
  }
}
