// FRAMES: its configuration read (abi/over.ts), or refused.

import { Abi, Type } from "../abi/layout";
import { AggregateConfig, AggregateFlag } from "../abi/operator";
import { FrameFlag, FrameFunction, FrameUnit, FramesConfig, FramesEntry } from "../abi/over";
import { outputColumn, outputCreate, outputReset } from "../column/builder";
import { typeWidth } from "../column/type";
import { VECTOR_SIZE } from "../column/vector";
import { GATHER_BYTES } from "../column/vector-gather";
import { programOutputType, programOutputs } from "../expression/program";
import { refuseConfig, refuseMemory } from "../memory/context";
import { regionBlock, regionCopy, regionCut } from "../memory/region";
import { READS_MOST, aggregateReads } from "./aggregate-reads";
import { accumulatorAt, aggregationOf, resultAt } from "./aggregation";
import {
  Frames,
  PLACE_SIZE,
  QUEUE_SIZE,
  SHIFT_SIZE,
  STANDING_SIZE,
  columnOf,
  entryOf,
  framesOf,
  kindOf,
  orderOf,
  otherOf,
} from "./frames-state";
import { aggregateCreate } from "./hash-aggregate";

const MAX_COLUMNS: u32 = 4096;
/** Rows of one partition that a frame may reach over. */
const MAX_REACH: i64 = 0x7fffffff;

/** Reads the configuration; false with the error recorded when it is refused. */
export function framesCreate(context: usize, operator: usize, config: usize, length: u32): bool {
  const self = framesOf(operator);
  if (!checkConfig(config, length)) return refuseConfig(context);
  self.unit = load<u32>(config, <usize>FramesConfig.UNIT);
  self.carried = load<u32>(config, <usize>FramesConfig.CARRIED);
  self.kept = load<u32>(config, <usize>FramesConfig.KEPT);
  self.orderCount = load<u32>(config, <usize>FramesConfig.ORDER);
  self.functionCount = load<u32>(config, <usize>FramesConfig.FUNCTIONS);
  self.flags = load<u32>(config, <usize>FramesConfig.FLAGS);
  self.start = load<i64>(config, <usize>FramesConfig.START);
  self.end = load<i64>(config, <usize>FramesConfig.END);
  const aggregate = config + <usize>load<u32>(config, <usize>FramesConfig.AGGREGATE);
  if (!aggregateCreate(context, operator, aggregate, load<u32>(config, <usize>FramesConfig.AGGREGATE_BYTES))) return false;
  const aggregation = aggregationOf(operator);
  if (self.carried == 0 || self.carried > self.kept || self.kept > programOutputs(aggregation.program))
    return refuseConfig(context);
  const order = config + <usize>FramesConfig.SIZE;
  const functions = order + ((<usize>self.orderCount) << 2);
  self.order = regionCopy(operator, order, (<usize>self.orderCount) << 2);
  self.functions = regionCopy(operator, functions, <usize>self.functionCount * <usize>FramesEntry.SIZE);
  self.numbering = regionCut(operator, max<usize>((<usize>self.functionCount) << 2, 8));
  if (self.order == 0 || self.functions == 0 || self.numbering == 0) return refuseMemory(context);
  for (let index: u32 = 0; index < self.orderCount; index++) {
    if (orderOf(self, index) >= self.kept) return refuseConfig(context);
  }
  if (self.unit == <u32>FrameUnit.VALUES && !countsValues(self, aggregation.program)) return refuseConfig(context);
  // What keeps every value of a group would go through all of them for every row.
  if (aggregation.fedCount != 0) return refuseConfig(context);
  for (let index: u32 = 0; index < self.functionCount; index++) {
    if (!checkFunction(operator, self, index)) return refuseConfig(context);
  }
  self.placeSize = PLACE_SIZE + self.extremes * QUEUE_SIZE;
  self.standingSize = STANDING_SIZE + self.shifts * SHIFT_SIZE + self.extremes * QUEUE_SIZE;
  self.groups = regionBlock(operator, (<usize>Abi.VECTOR_ROWS) << 2);
  if (self.groups == 0 || !createOutputs(operator, self)) return refuseMemory(context);
  if (!outputReset(self.whole, 0)) return refuseMemory(context);
  return createReads(context, operator, self);
}

function checkConfig(config: usize, length: u32): bool {
  if (length < <u32>FramesConfig.SIZE) return false;
  if (load<u32>(config, <usize>FramesConfig.VERSION) != <u32>Abi.VERSION) return false;
  const order = load<u32>(config, <usize>FramesConfig.ORDER);
  const functions = load<u32>(config, <usize>FramesConfig.FUNCTIONS);
  const unit = load<u32>(config, <usize>FramesConfig.UNIT);
  if (unit < <u32>FrameUnit.ROWS || unit > <u32>FrameUnit.VALUES || order > MAX_COLUMNS || functions > MAX_COLUMNS)
    return false;
  if (!checkBounds(config, unit)) return false;
  const entries: u64 = <u64>FramesConfig.SIZE + ((<u64>order) << 2) + <u64>functions * <u64>FramesEntry.SIZE;
  const at: u64 = load<u32>(config, <usize>FramesConfig.AGGREGATE);
  const bytes: u64 = load<u32>(config, <usize>FramesConfig.AGGREGATE_BYTES);
  if ((at & 7) != 0 || at < entries || at + bytes > <u64>length || bytes < <u64>AggregateConfig.SIZE) return false;
  return (load<u32>(config + <usize>at, <usize>AggregateConfig.FLAGS) & 0xffff) == <u32>AggregateFlag.RETRACT;
}

function checkBounds(config: usize, unit: u32): bool {
  const flags = load<u32>(config, <usize>FramesConfig.FLAGS);
  const start = load<i64>(config, <usize>FramesConfig.START);
  const end = load<i64>(config, <usize>FramesConfig.END);
  const fromFirst = (flags & <u32>FrameFlag.START_UNBOUNDED) != 0;
  const toLast = (flags & <u32>FrameFlag.END_UNBOUNDED) != 0;
  if (flags > 7 || ((flags & <u32>FrameFlag.DESCENDING) != 0 && unit != <u32>FrameUnit.VALUES)) return false;
  if ((fromFirst && start != 0) || (toLast && end != 0)) return false;
  if (!fromFirst && !toLast && start > end) return false;
  if (unit == <u32>FrameUnit.PEERS) return start == 0 && end == 0;
  if (unit == <u32>FrameUnit.VALUES) return start != i64.MIN_VALUE && end != i64.MIN_VALUE;
  return start >= -MAX_REACH && start <= MAX_REACH && end >= -MAX_REACH && end <= MAX_REACH;
}

/** Whether there is one order column, whose values can be counted. */
function countsValues(self: Frames, program: usize): bool {
  if (self.orderCount != 1) return false;
  const type = programOutputType(program, orderOf(self, 0));
  if (type == <u32>Type.U64 || type == <u32>Type.F32 || type == <u32>Type.F64) return false;
  return typeWidth(type) != 0 && typeWidth(type) <= 8;
}

function checkFunction(operator: usize, self: Frames, index: u32): bool {
  const aggregation = aggregationOf(operator);
  const entry = entryOf(self, index);
  const kind = kindOf(self, index);
  const column = columnOf(self, index);
  const other = otherOf(self, index);
  const offset = load<i64>(entry, <usize>FramesEntry.OFFSET);
  if (load<u32>(entry, <usize>FramesEntry.RESERVED) != 0) return false;
  if (kind != <u32>FrameFunction.SHIFT && offset != 0) return false;
  if (kind == <u32>FrameFunction.AGGREGATE) {
    if (other != -1 || column >= aggregation.resultCount) return false;
    const result = resultAt(aggregation, column);
    result.column = self.carried + index;
    self.aggregates++;
    return result.type != <u32>Type.BYTES;
  }
  if (kind == <u32>FrameFunction.NUMBER) return column == 0 && other == -1;
  if (column >= self.kept || other < -1 || other >= <i32>self.kept) return false;
  const number = self.numbering + ((<usize>index) << 2);
  const type = programOutputType(aggregation.program, column);
  switch (kind) {
    case FrameFunction.MIN:
    case FrameFunction.MAX:
      store<u32>(number, self.extremes++);
      return other < 0 || programOutputType(aggregation.program, <u32>other) == <u32>Type.BOOL;
    case FrameFunction.FIRST:
    case FrameFunction.LAST:
      return other < 0;
    case FrameFunction.SHIFT:
      store<u32>(number, self.shifts++);
      if (offset < -MAX_REACH || offset > MAX_REACH) return false;
      // Rows that wait for one of their partition would hold up those behind them.
      if (offset > 0 && self.unit != <u32>FrameUnit.ROWS) return false;
      return other < 0 || programOutputType(aggregation.program, <u32>other) == type;
    default:
      return false;
  }
}

function createOutputs(operator: usize, self: Frames): bool {
  const program = aggregationOf(operator).program;
  self.whole = outputCreate(operator, self.kept);
  self.spare = outputCreate(operator, self.kept);
  self.output = outputCreate(operator, self.carried + self.functionCount);
  if (self.whole == 0 || self.spare == 0 || self.output == 0) return false;
  for (let column: u32 = 0; column < self.kept; column++) {
    outputColumn(self.whole, column).type = programOutputType(program, column);
    outputColumn(self.spare, column).type = programOutputType(program, column);
    if (column < self.carried) outputColumn(self.output, column).type = programOutputType(program, column);
  }
  for (let index: u32 = 0; index < self.functionCount; index++) {
    let type: u32 = Type.I64;
    if (kindOf(self, index) == <u32>FrameFunction.AGGREGATE)
      type = resultAt(aggregationOf(operator), columnOf(self, index)).type;
    else if (kindOf(self, index) != <u32>FrameFunction.NUMBER) type = programOutputType(program, columnOf(self, index));
    outputColumn(self.output, self.carried + index).type = type;
  }
  return true;
}

function createReads(context: usize, operator: usize, self: Frames): bool {
  const aggregation = aggregationOf(operator);
  self.reads = regionCut(operator, max<usize>(1, <usize>aggregation.accumulatorCount * READS_MOST) << 2);
  if (self.reads == 0) return refuseMemory(context);
  if (self.aggregates == 0) return true;
  for (let index: u32 = 0; index < aggregation.accumulatorCount; index++) {
    const accumulator = accumulatorAt(aggregation, index);
    if (
      accumulator.argument >= <i32>self.kept ||
      accumulator.second >= <i32>self.kept ||
      accumulator.filter >= <i32>self.kept
    )
      return refuseConfig(context);
  }
  self.readCount = aggregateReads(aggregation, self.reads);
  self.vectors = regionBlock(operator, max<usize>(1, self.readCount) * (VECTOR_SIZE + GATHER_BYTES));
  return self.vectors != 0 || refuseMemory(context);
}
