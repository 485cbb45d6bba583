// Rows of an aggregation that wait: what the ways to set them aside have in common (aggregate-backlog.ts by hash,
// aggregate-ranges.ts by ranges of groups).
//
// They lie in chunks of one size, which are cut from slabs and used again. Of the program's outputs they bring the arguments
// along, each once; while a chunk is applied those outputs show its values, and their own vectors are kept meanwhile.
//
//   chunk: +0 u32 next, of those that are free as of those that hold rows  +16 rows     slab: +0 u32 next  +16 chunks

import { Family } from "../aggregate/accumulator";
import { typeWidth } from "../column/type";
import { VECTOR_SIZE, Vector } from "../column/vector";
import { programOutput, programOutputType } from "../expression/program";
import { regionBlock, regionCut, regionFree } from "../memory/region";
import { ROWS } from "../group/state";
import { Aggregation, accumulatorAt, aggregationOf } from "./aggregation";

/** Bytes before a chunk's rows, and before a slab's chunks. */
export const CHUNK_HEADER: usize = 16;
/** Chunks are made this many at a time. */
export const SLAB_CHUNKS: u32 = 32;
/** Nulls of a row's arguments, and of a key, are bits of one word. */
const MAX_COLUMNS: u32 = 31;

// @ts-ignore: decorator
@unmanaged
export class Aside {
  /** Bytes of a row, and of what comes before its arguments. */
  width: u32;
  keyWidth: u32;
  chunkRows: u32;
  chunkBytes: u32;
  columns: usize;
  columnCount: u32;
  /** Rows waiting, and at most. */
  rows: u32;
  limit: u32;
  /** Chunks that wait to be used, and the slabs that they were cut from. */
  free: usize;
  freeCount: u32;
  slabs: usize;
}

export const ASIDE_SIZE: usize = 44;

/** An argument: an output of the program. */
// @ts-ignore: decorator
@unmanaged
export class AsideColumn {
  output: u32;
  width: u32;
  /** Bytes of a row before it. */
  offset: u32;
  /** Values and validity of a chunk, where these do not lie one after the other there; and the output's own vector meanwhile. */
  values: usize;
  validity: usize;
  saved: usize;
}

const COLUMN_SIZE: usize = 24;

// @ts-ignore: decorator
@inline
export function asideColumn(aside: Aside, index: u32): AsideColumn {
  return changetype<AsideColumn>(aside.columns + <usize>index * COLUMN_SIZE);
}

/**
 * Lists the arguments, widest first, behind `keyWidth`; `gathers` says that a chunk's values have to be brought together.
 * Bytes of a row up to the last one's end; 0 when there are too many, or out of memory.
 */
export function asideCreateColumns(operator: usize, aside: Aside, gathers: bool): u32 {
  const self = aggregationOf(operator);
  aside.columns = regionCut(operator, max<usize>(1, (<usize>self.accumulatorCount) << 1) * COLUMN_SIZE);
  if (aside.columns == 0) return 0;
  let offset = aside.keyWidth;
  for (let width: u32 = 16; width >= 1; width >>= 1) {
    for (let index: u32 = 0; index < self.accumulatorCount << 1; index++) {
      const accumulator = accumulatorAt(self, index >> 1);
      const output = index & 1 ? accumulator.second : accumulator.argument;
      if (output < 0 || <u32>typeWidth(programOutputType(self.program, output)) != width) continue;
      if (isListed(aside, output)) continue;
      if (aside.columnCount == MAX_COLUMNS || !createColumn(operator, aside, output, width, offset, gathers)) return 0;
      offset += width;
    }
  }
  return offset;
}

function isListed(aside: Aside, output: u32): bool {
  for (let index: u32 = 0; index < aside.columnCount; index++) {
    if (asideColumn(aside, index).output == output) return true;
  }
  return false;
}

function createColumn(operator: usize, aside: Aside, output: u32, width: u32, offset: u32, gathers: bool): bool {
  const column = asideColumn(aside, aside.columnCount);
  column.output = output;
  column.width = width;
  column.offset = offset;
  column.saved = regionCut(operator, VECTOR_SIZE);
  aside.columnCount++;
  if (!gathers) return column.saved != 0;
  column.values = regionBlock(operator, <usize>ROWS * <usize>width);
  column.validity = regionCut(operator, ROWS >> 3);
  return column.values != 0 && column.validity != 0 && column.saved != 0;
}

/**
 * Whether rows can wait: nothing is filtered, accumulators keep nothing but so many bytes a group (those of `lists`, too),
 * and arguments have a fixed width. A count reads nothing but its argument's nulls, but what waits has a width.
 */
export function asideMay(self: Aggregation, lists: bool): bool {
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const accumulator = accumulatorAt(self, index);
    const output = accumulator.argument;
    const isPlain = accumulator.family < <u32>Family.MIN_TEXT || (lists && isOther(accumulator.family));
    if (accumulator.filter >= 0 || !isPlain) return false;
    if (output >= 0 && typeWidth(programOutputType(self.program, output)) == 0) return false;
  }
  return true;
}

function isOther(family: u32): bool {
  const isBits = family >= <u32>Family.BIT_AND && family <= <u32>Family.BIT_XOR;
  return family == <u32>Family.TOP || family == <u32>Family.BOTTOM || isBits;
}

/** Lets the column's output show these values; its own vector is kept. */
export function asideShow(program: usize, column: AsideColumn, values: usize, validity: usize): void {
  const output = programOutput(program, column.output);
  memory.copy(column.saved, output, VECTOR_SIZE);
  const vector = changetype<Vector>(output);
  vector.values = values;
  vector.validity = validity;
  vector.dictionary = 0;
  vector.constant = 0;
}

/** Gives the outputs their own vectors back. */
export function asideHide(program: usize, aside: Aside): void {
  for (let index = aside.columnCount; index > 0; index--) {
    const column = asideColumn(aside, index - 1);
    memory.copy(programOutput(program, column.output), column.saved, VECTOR_SIZE);
  }
}

// ---- chunks

/** Makes SLAB_CHUNKS more; false when out of memory. */
export function asideAddSlab(operator: usize, aside: Aside): bool {
  const bytes: usize = aside.chunkBytes;
  const slab = regionBlock(operator, bytes * <usize>SLAB_CHUNKS + CHUNK_HEADER);
  if (slab == 0) return false;
  store<u32>(slab, <u32>aside.slabs);
  aside.slabs = slab;
  for (let index: usize = 0; index < <usize>SLAB_CHUNKS; index++) asideGive(aside, slab + CHUNK_HEADER + index * bytes);
  return true;
}

/** A free chunk, of which there is one; none comes after it. */
// @ts-ignore: decorator
@inline
export function asideTake(aside: Aside): usize {
  const chunk = aside.free;
  aside.free = load<u32>(chunk);
  aside.freeCount--;
  store<u32>(chunk, 0);
  return chunk;
}

// @ts-ignore: decorator
@inline
export function asideGive(aside: Aside, chunk: usize): void {
  store<u32>(chunk, <u32>aside.free);
  aside.free = chunk;
  aside.freeCount++;
}

/** Frees all chunks; none holds rows. */
export function asideDropSlabs(operator: usize, aside: Aside): void {
  while (aside.slabs != 0) {
    const slab = aside.slabs;
    aside.slabs = load<u32>(slab);
    regionFree(operator, slab);
  }
  aside.free = 0;
  aside.freeCount = 0;
}
