// OVER: window functions over rows that come in order.
//
// Rows come sorted by the order columns, partitions mixed as they may be; each row leaves with its own columns and
// the functions' values. Partitions are groups of an aggregation (hash-aggregate.ts), whose accumulators run along:
// so every aggregate that shows its result at any time is a window function, its sums as exact as ever, and what is
// kept of a partition does not grow with its rows.
//
// A *stretch* is what may be folded in before results are read. With ROWS it ends before a partition's second row:
// rows of many partitions are folded in together, those of one partition one by one. With RANGE it is a *block*, the
// rows that the order columns do not tell apart; the values of a block's rows are known when the block is over, so the
// last one waits for the next row or a watermark, which says that no row equal to it will come.
//
// `whole` holds the rows of the last push and of the open block. Functions that count are written as rows come,
// aggregates when their stretch is over: their columns are shorter until then.
//
// Measured over 1 million rows, their sort included: a running integer sum takes 2.0 times what numbering the rows takes
// with 10,000 partitions, 1.6 times with one. Short stretches are what it costs: the same rows summed by key at the end
// take 1/40.

import { Abi, Batch, Type } from "../abi/layout";
import { AggregateConfig, AggregateFlag } from "../abi/operator";
import { OverConfig, OverEntry, OverFrame, OverFunction } from "../abi/over";
import { Reason, Status } from "../abi/status";
import { Accumulator, Family, isLog } from "../aggregate/accumulator";
import { accumulatorUpdate } from "../aggregate/accumulators";
import { RESULT_SCRATCH, resultEmit, resultReserve } from "../aggregate/results";
import {
  Builder,
  builderAppendVector,
  builderReserve,
  builderReserveBytes,
  outputColumn,
  outputCreate,
  outputDescribe,
  outputReset,
  regrow,
  regrowZeroed,
} from "../column/builder";
import { areEqualRows } from "../column/compare-rows";
import { builderGather, gatherBytes } from "../column/gather";
import { VECTOR_SIZE, Vector } from "../column/vector";
import { CUT_BYTES, vectorCut } from "../column/vector-cut";
import {
  programBind,
  programOutput,
  programOutputTextBytes,
  programOutputType,
  programOutputs,
  programRun,
} from "../expression/program";
import { groupsAssign, groupsPrepare, groupsSpan } from "../group/groups";
import { Tier } from "../group/state";
import { fail, failMemory, refuseConfig, refuseMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock, regionCopy, regionCut } from "../memory/region";
import { aggregateHasRoom } from "./aggregate-headroom";
import { aggregateTextLimit, resultTextBytes } from "./aggregate-output";
import { READS_MOST, aggregateReads } from "./aggregate-reads";
import { aggregateReserveBatch, aggregateReserveSpan, aggregateTrack } from "./aggregate-reserve";
import { AGGREGATION_SIZE, accumulatorAt, aggregationOf, groupsOf, resultAt } from "./aggregation";
import { aggregateCreate } from "./hash-aggregate";
import { OPERATOR_BODY, Operator } from "./operator";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Most rows of one pull, whatever the host asks for. */
const PULL_ROWS: u32 = 65536;
const MAX_COLUMNS: u32 = 4096;
/** As many groups as an aggregation may have, and as many rows as one builder. */
const MAX_ROWS: u64 = 0xfffffff0;

// @ts-ignore: decorator
@unmanaged
class Over {
  frame: u32;
  carried: u32;
  orderCount: u32;
  /** Outputs (u32) that rows are in the order of. */
  order: usize;
  functionCount: u32;
  /** `OverEntry` of each function. */
  functions: usize;
  /** Whether a count reads blocks; whether the last block waits until it is over. */
  ranks: u32;
  holds: u32;
  /** Builders of the rows at hand; of a copy of those that stay; of what is pulled. */
  whole: usize;
  spare: usize;
  output: usize;
  /** Partition of each row of `whole`, u32 each. */
  numbers: usize;
  /** A list of row numbers, u32 each. */
  list: usize;
  /** Rows of `whole`, those whose values are known, and those that have left. */
  rows: u32;
  complete: u32;
  cursor: u32;
  /** Rows whose aggregates are written. */
  written: u32;
  /** `Standing` of each partition, and for how many there is room. */
  standings: usize;
  capacity: u32;
  /** Where the open block begins in `whole`. */
  blockStart: u32;
  /** Numbers of the open block and of the open stretch, never used before. */
  block: u64;
  stretch: u64;
  /** Distinct program outputs (u32) that accumulators read, and copies of their vectors. */
  reads: usize;
  readCount: u32;
  vectors: usize;
  /** Whether a row of the push at hand has been applied. */
  applied: u32;
}

/** Where a partition stands. */
// @ts-ignore: decorator
@unmanaged
class Standing {
  rows: i64;
  rank: i64;
  dense: i64;
  /** The last block, and the last stretch, that had a row of it. */
  block: u64;
  stretch: u64;
}

const STANDING_SIZE: usize = 40;

// @ts-ignore: decorator
@inline
function overOf(operator: usize): Over {
  return changetype<Over>(operator + OPERATOR_BODY + AGGREGATION_SIZE);
}

// ---- create

/** Reads the configuration (abi/over.ts); false with the error recorded when it is refused. */
export function overCreate(context: usize, operator: usize, config: usize, length: u32): bool {
  const self = overOf(operator);
  if (!checkConfig(config, length)) return refuseConfig(context);
  self.frame = load<u32>(config, <usize>OverConfig.FRAME);
  self.carried = load<u32>(config, <usize>OverConfig.CARRIED);
  self.orderCount = load<u32>(config, <usize>OverConfig.ORDER);
  self.functionCount = load<u32>(config, <usize>OverConfig.FUNCTIONS);
  const aggregate = config + <usize>load<u32>(config, <usize>OverConfig.AGGREGATE);
  if (!aggregateCreate(context, operator, aggregate, load<u32>(config, <usize>OverConfig.AGGREGATE_BYTES))) return false;
  const order = config + <usize>OverConfig.SIZE;
  const functions = order + ((<usize>self.orderCount) << 2);
  if (self.carried == 0 || self.carried > programOutputs(aggregationOf(operator).program)) return refuseConfig(context);
  self.order = regionCopy(operator, order, (<usize>self.orderCount) << 2);
  self.functions = regionCopy(operator, functions, <usize>self.functionCount * <usize>OverEntry.SIZE);
  if (self.order == 0 || self.functions == 0) return refuseMemory(context);
  for (let index: u32 = 0; index < self.orderCount; index++) {
    if (orderAt(self, index) >= self.carried) return refuseConfig(context);
  }
  for (let index: u32 = 0; index < aggregationOf(operator).accumulatorCount; index++) {
    if (keepsRows(accumulatorAt(aggregationOf(operator), index))) return refuseConfig(context);
  }
  // Distinct values are added up when results are read, once.
  if (aggregationOf(operator).fedCount != 0) return refuseConfig(context);
  for (let index: u32 = 0; index < self.functionCount; index++) {
    if (!checkFunction(operator, self, index)) return refuseConfig(context);
  }
  self.holds = self.frame != <u32>OverFrame.ROWS || self.ranks ? 1 : 0;
  self.whole = createOutput(operator, self);
  self.spare = createOutput(operator, self);
  self.output = createOutput(operator, self);
  if (self.whole == 0 || self.spare == 0 || self.output == 0) return refuseMemory(context);
  return (outputReset(self.whole, 0) && createReads(operator, self)) || refuseMemory(context);
}

function checkConfig(config: usize, length: u32): bool {
  if (length < <u32>OverConfig.SIZE || load<u32>(config, <usize>OverConfig.VERSION) != <u32>Abi.VERSION) return false;
  const frame = load<u32>(config, <usize>OverConfig.FRAME);
  const order = load<u32>(config, <usize>OverConfig.ORDER);
  const functions = load<u32>(config, <usize>OverConfig.FUNCTIONS);
  if (frame < <u32>OverFrame.ROWS || frame > <u32>OverFrame.ALL) return false;
  if (order > MAX_COLUMNS || functions > MAX_COLUMNS) return false;
  const entries: u64 = <u64>OverConfig.SIZE + ((<u64>order) << 2) + <u64>functions * <u64>OverEntry.SIZE;
  const at: u64 = load<u32>(config, <usize>OverConfig.AGGREGATE);
  const bytes: u64 = load<u32>(config, <usize>OverConfig.AGGREGATE_BYTES);
  if ((at & 7) != 0 || at < entries || at + bytes > <u64>length || bytes < <u64>AggregateConfig.SIZE) return false;
  return load<u32>(config + <usize>at, <usize>AggregateConfig.FLAGS) == <u32>AggregateFlag.NONE;
}

/** What keeps its values to the end would be put in order anew for every row. */
function keepsRows(accumulator: Accumulator): bool {
  return isLog(accumulator) || (accumulator.family >= <u32>Family.TOP && accumulator.family <= <u32>Family.BOTTOM_BY);
}

function checkFunction(operator: usize, self: Over, index: u32): bool {
  const kind = functionKind(self, index);
  const place = functionIndex(self, index);
  if (kind < <u32>OverFunction.AGGREGATE || kind > <u32>OverFunction.DENSE_RANK) return false;
  if (kind != <u32>OverFunction.AGGREGATE) {
    if (kind != <u32>OverFunction.ROW_NUMBER) self.ranks = 1;
    return place == 0;
  }
  if (place >= aggregationOf(operator).resultCount) return false;
  resultAt(aggregationOf(operator), place).column = self.carried + index;
  return true;
}

function createOutput(operator: usize, self: Over): usize {
  const output = outputCreate(operator, self.carried + self.functionCount);
  if (output == 0) return 0;
  const aggregation = aggregationOf(operator);
  for (let column: u32 = 0; column < self.carried; column++)
    outputColumn(output, column).type = programOutputType(aggregation.program, column);
  for (let index: u32 = 0; index < self.functionCount; index++) {
    const isAggregate = functionKind(self, index) == <u32>OverFunction.AGGREGATE;
    outputColumn(output, self.carried + index).type = isAggregate
      ? resultAt(aggregation, functionIndex(self, index)).type
      : <u32>Type.I64;
  }
  return output;
}

function createReads(operator: usize, self: Over): bool {
  const aggregation = aggregationOf(operator);
  self.reads = regionCut(operator, max<usize>(1, <usize>aggregation.accumulatorCount * READS_MOST) << 2);
  if (self.reads == 0) return false;
  self.readCount = aggregateReads(aggregation, self.reads);
  self.vectors = regionBlock(operator, max<usize>(1, self.readCount) * (VECTOR_SIZE + CUT_BYTES));
  return self.vectors != 0;
}

// @ts-ignore: decorator
@inline
function readAt(self: Over, index: u32): u32 {
  return load<u32>(self.reads + ((<usize>index) << 2));
}

// @ts-ignore: decorator
@inline
function orderAt(self: Over, index: u32): u32 {
  return load<u32>(self.order + ((<usize>index) << 2));
}

// @ts-ignore: decorator
@inline
function functionKind(self: Over, index: u32): u32 {
  return load<u32>(self.functions + <usize>index * <usize>OverEntry.SIZE, <usize>OverEntry.KIND);
}

// @ts-ignore: decorator
@inline
function functionIndex(self: Over, index: u32): u32 {
  return load<u32>(self.functions + <usize>index * <usize>OverEntry.SIZE, <usize>OverEntry.INDEX);
}

// ---- push

export function overPending(operator: usize): bool {
  return overOf(operator).cursor < overOf(operator).complete;
}

/** Applies a batch whose rows follow those before in the order: all of them, or none and OUT_OF_MEMORY, or it fails. */
export function overPush(context: usize, operator: usize, batch: usize): i32 {
  const self = overOf(operator);
  self.applied = 0;
  const status = pushRows(context, operator, batch);
  if (status < 0 && (self.applied || status != <i32>Status.OUT_OF_MEMORY)) changetype<Operator>(operator).failed = 1;
  return status;
}

function pushRows(context: usize, operator: usize, batch: usize): i32 {
  const self = overOf(operator);
  const aggregation = aggregationOf(operator);
  const program = aggregation.program;
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  const bound = programBind(context, program, batch);
  if (bound < 0) return bound;
  if (<u64>groupsOf(aggregation).count + <u64>self.rows + <u64>rows + 1 > MAX_ROWS)
    // unreached: four thousand million groups
    return fail(context, Status.OUT_OF_MEMORY, Reason.TOO_MANY_GROUPS);
  if (!dropLeft(operator, self) || !reserveRows(operator, self, program, rows)) return failMemory(context, 0);
  if (!aggregateReserveBatch(aggregation, rows)) return failMemory(context, 0);
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const count = programRun(context, program, start, min(ROWS, rows - start));
    if (count < 0) return count;
    if (count == 0) continue;
    const status = applyVector(context, operator, <u32>count, rows - start, rows);
    if (status < 0) return status;
    changetype<Operator>(operator).rowsSelected += count;
  }
  if (!self.holds) self.complete = self.rows;
  else if (self.frame != <u32>OverFrame.ALL) self.complete = self.blockStart;
  return overPending(operator) ? Status.HAS_MORE : Status.NEED_INPUT;
}

/** Forgets the rows that have left. False when out of memory, with nothing changed. */
function dropLeft(operator: usize, self: Over): bool {
  if (self.cursor == 0) return true;
  const stay = self.rows - self.cursor;
  if (!listRows(operator, self, self.cursor, stay)) return false;
  const known = max(self.written, self.cursor) - self.cursor;
  if (!outputReset(self.spare, stay)) return false;
  const columns = self.carried + self.functionCount;
  for (let column: u32 = 0; column < columns; column++) {
    if (!reserveTexts(operator, self, self.spare, isLate(self, column) ? known : stay, column)) return false;
  }
  for (let column: u32 = 0; column < columns; column++) {
    const rows = isLate(self, column) ? known : stay;
    builderGather(outputColumn(self.spare, column), outputColumn(self.whole, column), self.list, rows);
  }
  memory.copy(self.numbers, self.numbers + ((<usize>self.cursor) << 2), (<usize>stay) << 2);
  const whole = self.whole;
  self.whole = self.spare;
  self.spare = whole;
  self.rows = stay;
  self.complete = 0;
  self.cursor = 0;
  self.written = known;
  self.blockStart = 0;
  return true;
}

/** Whether a column is an aggregate's, which is written when a stretch is over. */
// @ts-ignore: decorator
@inline
function isLate(self: Over, column: u32): bool {
  return column >= self.carried && functionKind(self, column - self.carried) == <u32>OverFunction.AGGREGATE;
}

/** Lists rows [from, from + rows). */
function listRows(operator: usize, self: Over, from: u32, rows: u32): bool {
  const list = regrow(operator, self.list, 0, max<usize>((<usize>rows) << 2, 8));
  if (list == 0) return false;
  self.list = list;
  for (let row: u32 = 0; row < rows; row++) store<u32>(list + ((<usize>row) << 2), from + row);
  return true;
}

/** Room in a column of `to` for the texts of the first listed rows. */
function reserveTexts(operator: usize, self: Over, to: usize, rows: u32, column: u32): bool {
  const builder = outputColumn(to, column);
  if (builder.type != <u32>Type.BYTES) return true;
  const bytes = gatherBytes(outputColumn(self.whole, column), self.list, rows);
  return builderReserveBytes(operator, builder, <usize>bytes);
}

/** Room for `more` rows of the bound batch. */
function reserveRows(operator: usize, self: Over, program: usize, more: u32): bool {
  const need = self.rows + more;
  for (let column: u32 = 0; column < self.carried + self.functionCount; column++) {
    const builder = outputColumn(self.whole, column);
    // What grows step by step doubles.
    const capacity = self.rows == 0 || need <= builder.capacity ? need : max<u32>(need, builder.capacity << 1);
    if (!builderReserve(operator, builder, capacity)) return false;
    const text = builder.type == <u32>Type.BYTES && column < self.carried;
    if (text && !builderReserveBytes(operator, builder, programOutputTextBytes(program, column))) return false;
  }
  const bytes: usize = max<usize>((<usize>outputColumn(self.whole, 0).capacity) << 2, 8);
  const numbers = regrow(operator, self.numbers, (<usize>self.rows) << 2, bytes);
  if (numbers == 0) return false;
  self.numbers = numbers;
  return true;
}

function reserveStandings(operator: usize, self: Over, groups: u32): bool {
  if (groups <= self.capacity) return true;
  const capacity = max<u32>(groups, max<u32>(self.capacity + (self.capacity >> 1), 64));
  const used = <usize>self.capacity * STANDING_SIZE;
  const standings = regrowZeroed(operator, self.standings, used, <u64>capacity * <u64>STANDING_SIZE);
  if (standings == 0) return false;
  self.standings = standings;
  self.capacity = capacity;
  return true;
}

/** The `count` rows of the vector at hand, of `left` that are still to come of the batch's `batchRows`. */
function applyVector(context: usize, operator: usize, count: u32, left: u32, batchRows: u32): i32 {
  const self = overOf(operator);
  const aggregation = aggregationOf(operator);
  const groups = groupsOf(aggregation);
  const program = aggregation.program;
  if (!groupsPrepare(groups, program, count, batchRows)) return failMemory(context, 0);
  const span = max<u32>(1, groupsSpan(groups, left));
  if (!aggregateReserveSpan(operator, span) || !reserveStandings(operator, self, span)) return failMemory(context, 0);
  const tracked = aggregateTrack(context, operator);
  if (tracked < 0) return tracked;
  if (!self.applied && !aggregateHasRoom(operator, left)) return failMemory(context, 0);
  self.applied = 1;
  const at = self.rows;
  for (let column: u32 = 0; column < self.carried; column++)
    builderAppendVector(outputColumn(self.whole, column), changetype<Vector>(programOutput(program, column)), count);
  // unreached: only where thousands of hashes collide while memory is out
  if (!groupsAssign(groups, count, self.numbers + ((<usize>at) << 2))) return failMemory(context, 0);
  saveVectors(self, program);
  const status = walk(context, operator, at, count);
  restoreVectors(self, program);
  self.rows = at + count;
  return status;
}

/** Goes along the rows [at, at + count) of `whole`, which are those of the vector: folds stretches in, counts. */
function walk(context: usize, operator: usize, at: u32, count: u32): i32 {
  const self = overOf(operator);
  const byRow = self.frame == <u32>OverFrame.ROWS;
  const byBlock = self.frame == <u32>OverFrame.RANGE;
  let from: u32 = 0;
  self.stretch++;
  for (let row: u32 = 0; row < count; row++) {
    const place = at + row;
    if (self.holds && (place == 0 || !arePeers(self, place - 1, place))) {
      if (byBlock) {
        const status = closeStretch(context, operator, at, from, row);
        if (status < 0) return status;
        from = row;
      }
      self.blockStart = place;
      self.block++;
    }
    const number: usize = load<u32>(self.numbers + ((<usize>place) << 2));
    const standing = changetype<Standing>(self.standings + number * STANDING_SIZE);
    if (byRow) {
      if (standing.stretch == self.stretch) {
        const status = closeStretch(context, operator, at, from, row);
        if (status < 0) return status;
        from = row;
        self.stretch++;
      }
      standing.stretch = self.stretch;
    }
    standing.rows++;
    if (self.holds && standing.block != self.block) {
      standing.block = self.block;
      standing.rank = standing.rows;
      standing.dense++;
    }
    writeCounts(self, place, standing);
  }
  return byRow ? closeStretch(context, operator, at, from, count) : fold(context, operator, at, from, count);
}

function writeCounts(self: Over, place: u32, standing: Standing): void {
  for (let index: u32 = 0; index < self.functionCount; index++) {
    const kind = functionKind(self, index);
    if (kind == <u32>OverFunction.AGGREGATE) continue;
    const builder = outputColumn(self.whole, self.carried + index);
    let value = standing.rows;
    if (kind == <u32>OverFunction.RANK) value = standing.rank;
    else if (kind == <u32>OverFunction.DENSE_RANK) value = standing.dense;
    store<i64>(builder.values + ((<usize>place) << 3), value);
    builder.length = place + 1;
  }
}

/** Folds rows [from, to) of the vector in, and writes the aggregates of all rows of `whole` up to the last of them. */
function closeStretch(context: usize, operator: usize, at: u32, from: u32, to: u32): i32 {
  const status = fold(context, operator, at, from, to);
  return status < 0 ? status : writeAggregates(context, operator, at + to);
}

function fold(context: usize, operator: usize, at: u32, from: u32, to: u32): i32 {
  if (from == to) return 0;
  const self = overOf(operator);
  const aggregation = aggregationOf(operator);
  const program = aggregation.program;
  const one = groupsOf(aggregation).tier == <u32>Tier.NONE;
  const numbers = self.numbers + ((<usize>(at + from)) << 2);
  for (let index: u32 = 0; index < self.readCount; index++) {
    const saved = self.vectors + <usize>index * (VECTOR_SIZE + CUT_BYTES);
    const vector = changetype<Vector>(programOutput(program, readAt(self, index)));
    vectorCut(vector, changetype<Vector>(saved), from, to - from, saved + VECTOR_SIZE);
  }
  for (let index: u32 = 0; index < aggregation.accumulatorCount; index++) {
    if (!accumulatorUpdate(accumulatorAt(aggregation, index), context, program, numbers, to - from, one))
      return failMemory(context, 0);
  }
  return 0;
}

function saveVectors(self: Over, program: usize): void {
  for (let index: u32 = 0; index < self.readCount; index++) {
    const saved = self.vectors + <usize>index * (VECTOR_SIZE + CUT_BYTES);
    memory.copy(saved, programOutput(program, readAt(self, index)), VECTOR_SIZE);
  }
}

function restoreVectors(self: Over, program: usize): void {
  for (let index: u32 = 0; index < self.readCount; index++) {
    const saved = self.vectors + <usize>index * (VECTOR_SIZE + CUT_BYTES);
    memory.copy(programOutput(program, readAt(self, index)), saved, VECTOR_SIZE);
  }
}

/** Writes the aggregates of rows up to `end` as they stand. Out of memory changes nothing. */
function writeAggregates(context: usize, operator: usize, end: u32): i32 {
  const self = overOf(operator);
  const aggregation = aggregationOf(operator);
  const rows = end - self.written;
  if (rows == 0) return 0;
  const list = self.numbers + ((<usize>self.written) << 2);
  for (let index: u32 = 0; index < self.functionCount; index++) {
    if (functionKind(self, index) != <u32>OverFunction.AGGREGATE) continue;
    const builder = outputColumn(self.whole, self.carried + index);
    if (builder.type != <u32>Type.BYTES) continue;
    if (!reserveResult(operator, self, functionIndex(self, index), builder, list, rows)) return failMemory(context, 0);
  }
  const mark = scratchMark(context);
  const value = scratchTake(context, 16);
  const scratch = scratchTake(context, RESULT_SCRATCH);
  for (let index: u32 = 0; index < self.functionCount; index++) {
    if (functionKind(self, index) != <u32>OverFunction.AGGREGATE) continue;
    const result = resultAt(aggregation, functionIndex(self, index));
    const builder = outputColumn(self.whole, self.carried + index);
    const status = resultEmit(context, result, aggregation.rowsCounter, list, rows, true, builder, value, scratch);
    if (status < 0) return status;
  }
  scratchReset(context, mark);
  self.written = end;
  return 0;
}

function reserveResult(operator: usize, self: Over, index: u32, builder: Builder, list: usize, rows: u32): bool {
  const aggregation = aggregationOf(operator);
  let bytes: usize = 0;
  let longest: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const length = resultTextBytes(aggregation, index, load<u32>(list + ((<usize>row) << 2)));
    bytes += length;
    longest = max(longest, length);
  }
  return resultReserve(resultAt(aggregation, index), longest) && builderReserveBytes(operator, builder, bytes);
}

/** Whether the order columns do not tell two rows apart: nulls are equal, all NaNs are, and -0 and 0. */
function arePeers(self: Over, a: u32, b: u32): bool {
  for (let index: u32 = 0; index < self.orderCount; index++) {
    if (!areEqualRows(outputColumn(self.whole, orderAt(self, index)), a, b)) return false;
  }
  return true;
}

// ---- watermark and pull

/** No row equal to the last one in the order columns will come: all rows are complete. */
export function overWatermark(operator: usize): void {
  overOf(operator).complete = overOf(operator).rows;
}

export function overGroups(operator: usize): u64 {
  return groupsOf(aggregationOf(operator)).count;
}

/** The next rows that are complete, at most `maxRows` of them, and `maxBytes` of texts unless one row has more. */
export function overPull(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const self = overOf(operator);
  const ended = changetype<Operator>(operator).ended != 0;
  let rows = min(min(maxRows, PULL_ROWS), self.complete - self.cursor);
  if (rows == 0) return ended ? Status.FINISHED : Status.NEED_INPUT;
  if (self.written < self.cursor + rows && hasLate(self)) {
    // Of the last block: its results are read as they stand when their rows leave.
    const status = writeAggregates(context, operator, self.cursor + rows);
    if (status < 0) {
      if (status != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
      return status;
    }
  }
  if (!listRows(operator, self, self.cursor, rows)) return failMemory(context, 0);
  const columns = self.carried + self.functionCount;
  const limit = aggregateTextLimit(maxBytes);
  while (rows > 1 && textBytes(self, rows) > limit) rows >>= 1;
  if (!outputReset(self.output, rows)) return failMemory(context, 0);
  for (let column: u32 = 0; column < columns; column++) {
    if (!reserveTexts(operator, self, self.output, rows, column)) return failMemory(context, 0);
  }
  for (let column: u32 = 0; column < columns; column++)
    builderGather(outputColumn(self.output, column), outputColumn(self.whole, column), self.list, rows);
  outputDescribe(self.output, out, rows, 0);
  self.cursor += rows;
  if (self.cursor < self.complete) return Status.HAS_MORE;
  return ended ? Status.FINISHED : Status.NEED_INPUT;
}

function hasLate(self: Over): bool {
  for (let index: u32 = 0; index < self.functionCount; index++) {
    if (functionKind(self, index) == <u32>OverFunction.AGGREGATE) return true;
  }
  return false;
}

/** The most bytes that the texts of one column of the first listed rows take. */
function textBytes(self: Over, rows: u32): u64 {
  let most: u64 = 0;
  for (let column: u32 = 0; column < self.carried + self.functionCount; column++) {
    const builder = outputColumn(self.whole, column);
    if (builder.type == <u32>Type.BYTES) most = max(most, gatherBytes(builder, self.list, rows));
  }
  return most;
}
