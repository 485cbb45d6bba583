// PARTITION: filter, compute, and divide rows among n partitions by the key hash of their keys.
//
// A push evaluates the batch into columns, as PROJECT does, and sorts its row numbers by partition (a counting
// sort); each pull gathers rows of one partition and names it in SECTION. Memory for the worst case is taken
// before the first vector.
//
//   operator body:  see `Partition`

import { Abi, Batch, Type } from "../abi/layout";
import { PartitionConfig } from "../abi/operator";
import { Status } from "../abi/status";
import { builderReserveBytes, outputColumn, outputDescribe, outputReset, regrow } from "../column/builder";
import { builderGather, gatherBytes } from "../column/gather";
import { Vector } from "../column/vector";
import { programBind, programCreate, programOutput, programOutputs, programRun } from "../expression/program";
import { keyHashMix, keyHashParts } from "../group/key-hash";
import { failMemory, refuseConfig, scratchTake } from "../memory/context";
import { regionBlock } from "../memory/region";
import { OPERATOR_BODY, Operator } from "./operator";
import { programOutputAppend, programOutputCreate, programOutputReserve } from "./program-output";

const KEY_HASH: u32 = 1;
const MAX_PARTS: u32 = 65536;
const ROWS: u32 = Abi.VECTOR_ROWS;

// @ts-ignore: decorator
@unmanaged
class Partition {
  program: usize;
  keys: u32;
  parts: u32;
  /** Builders of the pushed batch, and of the rows of one partition. */
  whole: usize;
  output: usize;
  /** The partition of each row of the batch; row numbers by partition; where each partition begins. u32 each. */
  numbers: usize;
  order: usize;
  starts: usize;
  /** Rows to hand out, how many are, and the partition that is next. */
  rows: u32;
  cursor: u32;
  part: u32;
}

// @ts-ignore: decorator
@inline
function partitionOf(operator: usize): Partition {
  return changetype<Partition>(operator + OPERATOR_BODY);
}

/** Reads the configuration (abi/operator.ts, PartitionConfig); false with the error recorded. */
export function partitionCreate(context: usize, operator: usize, config: usize, length: u32): bool {
  const self = partitionOf(operator);
  if (!readHeader(self, config, length)) return refuseConfig(context);
  const start = config + <usize>load<u32>(config, <usize>PartitionConfig.PROGRAM);
  self.program = programCreate(context, operator, start, load<u32>(config, <usize>PartitionConfig.PROGRAM_BYTES));
  if (self.program == 0) return false;
  const columns = programOutputs(self.program);
  if (columns != load<u32>(config, <usize>PartitionConfig.OUTPUTS) || self.keys > columns) return refuseConfig(context);
  self.whole = programOutputCreate(operator, self.program);
  self.output = programOutputCreate(operator, self.program);
  self.starts = regionBlock(operator, (<usize>self.parts + 1) << 2);
  if (self.whole == 0 || self.output == 0 || self.starts == 0) {
    failMemory(context, 0);
    return false;
  }
  return true;
}

function readHeader(self: Partition, config: usize, length: u32): bool {
  const size = <u32>PartitionConfig.SIZE;
  if (length < size || load<u32>(config, <usize>PartitionConfig.VERSION) != <u32>Abi.VERSION) return false;
  const start = load<u32>(config, <usize>PartitionConfig.PROGRAM);
  const bytes = load<u32>(config, <usize>PartitionConfig.PROGRAM_BYTES);
  self.keys = load<u32>(config, <usize>PartitionConfig.KEYS);
  self.parts = load<u32>(config, <usize>PartitionConfig.PARTS);
  return (
    load<u32>(config, <usize>PartitionConfig.HASH) == KEY_HASH &&
    self.keys != 0 &&
    self.parts != 0 &&
    self.parts <= MAX_PARTS &&
    start >= size &&
    (start & 7) == 0 &&
    <u64>start + <u64>bytes <= <u64>length
  );
}

export function partitionPending(operator: usize): bool {
  return partitionOf(operator).cursor < partitionOf(operator).rows;
}

/** HAS_MORE when rows passed the filters, else NEED_INPUT. Any error but OUT_OF_MEMORY ends the operator. */
export function partitionPush(context: usize, operator: usize, batch: usize): i32 {
  const self = partitionOf(operator);
  const status = pushBatch(context, operator, batch);
  if (status < 0) {
    self.rows = 0;
    self.cursor = 0;
    if (status != <i32>Status.OUT_OF_MEMORY) changetype<Operator>(operator).failed = 1;
    return status;
  }
  changetype<Operator>(operator).rowsSelected += self.rows;
  sortRows(self);
  return self.rows == 0 ? Status.NEED_INPUT : Status.HAS_MORE;
}

function pushBatch(context: usize, operator: usize, batch: usize): i32 {
  const self = partitionOf(operator);
  const program = self.program;
  const bound = programBind(context, program, batch);
  if (bound < 0) return bound;
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  if (!reserveRows(self, operator, rows) || !programOutputReserve(operator, program, self.whole, rows, false))
    return failMemory(context, 0);
  const hashes = scratchTake(context, (<usize>ROWS) << 3);
  self.rows = 0;
  self.cursor = 0;
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const count = programRun(context, program, start, min(ROWS, rows - start));
    if (count < 0) return count;
    memory.fill(hashes, 0, (<usize>count) << 3);
    for (let key: u32 = 0; key < self.keys; key++)
      keyHashMix(hashes, changetype<Vector>(programOutput(program, key)), count);
    programOutputAppend(program, self.whole, count);
    keyHashParts(hashes, count, self.parts, self.numbers + ((<usize>self.rows) << 2));
    self.rows += count;
  }
  return 0;
}

/** Room for the numbers of so many rows; false when out of memory. */
function reserveRows(self: Partition, operator: usize, rows: u32): bool {
  const bytes: usize = (<usize>rows) << 2;
  const numbers = regrow(operator, self.numbers, 0, bytes);
  if (numbers == 0) return false;
  self.numbers = numbers;
  const order = regrow(operator, self.order, 0, bytes);
  if (order == 0) return false;
  self.order = order;
  return true;
}

/** Lists the rows of each partition, in their order. */
function sortRows(self: Partition): void {
  const starts = self.starts;
  const numbers = self.numbers;
  const order = self.order;
  const rows = self.rows;
  const parts = self.parts;
  memory.fill(starts, 0, (<usize>parts + 1) << 2);
  for (let row: u32 = 0; row < rows; row++) {
    const at = starts + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  let start: u32 = 0;
  for (let part: u32 = 0; part <= parts; part++) {
    const at = starts + ((<usize>part) << 2);
    const count = load<u32>(at);
    store<u32>(at, start);
    start += count;
  }
  for (let row: u32 = 0; row < rows; row++) {
    const at = starts + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 2);
    const place = load<u32>(at);
    store<u32>(order + ((<usize>place) << 2), row);
    store<u32>(at, place + 1);
  }
  // Each start is now the next one's.
  self.part = 0;
}

/** Rows of the next partition that has any; SECTION is its number. */
export function partitionPull(context: usize, operator: usize, out: usize, maxRows: u32): i32 {
  const self = partitionOf(operator);
  const ended = changetype<Operator>(operator).ended != 0;
  if (self.cursor >= self.rows) return ended ? Status.FINISHED : Status.NEED_INPUT;
  while (load<u32>(self.starts + ((<usize>self.part) << 2)) <= self.cursor) self.part++;
  const left = load<u32>(self.starts + ((<usize>self.part) << 2)) - self.cursor;
  const rows = min(left, maxRows);
  const list = self.order + ((<usize>self.cursor) << 2);
  if (!outputReset(self.output, rows)) return failMemory(context, 0);
  const columns = programOutputs(self.program);
  for (let column: u32 = 0; column < columns; column++) {
    const builder = outputColumn(self.output, column);
    if (builder.type != <u32>Type.BYTES) continue;
    const bytes = gatherBytes(outputColumn(self.whole, column), list, rows);
    if (!builderReserveBytes(operator, builder, <usize>bytes)) return failMemory(context, 0);
  }
  for (let column: u32 = 0; column < columns; column++)
    builderGather(outputColumn(self.output, column), outputColumn(self.whole, column), list, rows);
  outputDescribe(self.output, out, rows, self.part);
  self.cursor += rows;
  if (self.cursor < self.rows) return Status.HAS_MORE;
  return ended ? Status.FINISHED : Status.NEED_INPUT;
}
