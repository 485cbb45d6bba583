// Gathering: the outputs of a program for some of a vector's rows, in the outputs' own place.
//
// Groups and accumulators read a program's outputs. Where the rows of one vector belong to several slices, the
// outputs are replaced by a selection of their rows for each slice in turn, and put back afterwards.
//
//   column: +0 vector  +4 its values' buffer  +8 its validity's buffer  +16 the vector itself, meanwhile (32 bytes)

import { Abi, Type } from "../abi/layout";
import { bitmapGather } from "../column/bitmap";
import { typeWidth } from "../column/type";
import { BITMAP_BYTES, VECTOR_SIZE, Vector } from "../column/vector";
import { programOutput, programOutputs } from "../expression/program";
import { regionBlock, regionCut } from "../memory/region";

const ROWS: usize = Abi.VECTOR_ROWS;
const COLUMN: usize = 48;
const SAVED: usize = 16;

// @ts-ignore: decorator
@unmanaged
export class Gather {
  columns: usize;
  count: u32;
}

export const GATHER_SIZE: usize = 16;

/** Gathers all outputs but `unread`, which nothing reads (or another output shows, too). False when out of memory. */
export function gatherInit(gather: Gather, region: usize, program: usize, unread: u32): bool {
  const outputs = programOutputs(program);
  gather.columns = regionCut(region, max<usize>(1, <usize>outputs) * COLUMN);
  if (gather.columns == 0) return false;
  for (let output: u32 = 0; output < outputs; output++) {
    const vector = programOutput(program, output);
    if (output == unread || isListed(gather, vector)) continue;
    const column = columnAt(gather, gather.count);
    const type = changetype<Vector>(vector).type;
    const values = regionBlock(region, max<usize>(ROWS * max<usize>(8, typeWidth(type)), BITMAP_BYTES) + BITMAP_BYTES);
    if (values == 0) return false;
    store<u32>(column, <u32>vector);
    store<u32>(column, <u32>(values + BITMAP_BYTES), 4);
    store<u32>(column, <u32>values, 8);
    gather.count++;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function columnAt(gather: Gather, index: u32): usize {
  return gather.columns + <usize>index * COLUMN;
}

function isListed(gather: Gather, vector: usize): bool {
  for (let index: u32 = 0; index < gather.count; index++) {
    if (<usize>load<u32>(columnAt(gather, index)) == vector) return true;
  }
  return false;
}

/** Remembers the outputs as the program left them. */
export function gatherBegin(gather: Gather): void {
  for (let index: u32 = 0; index < gather.count; index++) {
    const column = columnAt(gather, index);
    memory.copy(column + SAVED, load<u32>(column), VECTOR_SIZE);
  }
}

/** Puts the `count` rows whose numbers (u16) are at `selection` into the outputs. */
export function gatherRows(gather: Gather, selection: usize, count: u32): void {
  for (let index: u32 = 0; index < gather.count; index++) {
    const column = columnAt(gather, index);
    const from = changetype<Vector>(column + SAVED);
    const to = changetype<Vector>(<usize>load<u32>(column));
    const values: usize = load<u32>(column, 4);
    const validity: usize = load<u32>(column, 8);
    to.values = values;
    gatherValues(from, selection, count, values);
    to.validity =
      from.validity == 0 || bitmapGather(from.validity, 0, selection, count, validity) ? 0 : validity;
  }
}

/** Puts the outputs back as they were. */
export function gatherEnd(gather: Gather): void {
  for (let index: u32 = 0; index < gather.count; index++) {
    const column = columnAt(gather, index);
    memory.copy(load<u32>(column), column + SAVED, VECTOR_SIZE);
  }
}

function gatherValues(from: Vector, selection: usize, count: u32, target: usize): void {
  if (from.dictionary != 0) {
    copy<u32>(from.values, selection, count, target);
    return;
  }
  if (from.type == <u32>Type.BOOL) {
    bitmapGather(from.values, 0, selection, count, target);
    return;
  }
  switch (from.type == <u32>Type.BYTES ? 8 : <u32>typeWidth(from.type)) {
    case 1:
      copy<u8>(from.values, selection, count, target);
      break;
    case 2:
      copy<u16>(from.values, selection, count, target);
      break;
    case 4:
      copy<u32>(from.values, selection, count, target);
      break;
    case 8:
      copy<u64>(from.values, selection, count, target);
      break;
    default:
      copyWide(from.values, selection, count, target);
  }
}

function copy<T>(values: usize, selection: usize, count: u32, target: usize): void {
  for (let row: usize = 0; row < <usize>count; row++) {
    store<T>(target + row * sizeof<T>(), load<T>(values + <usize>load<u16>(selection + (row << 1)) * sizeof<T>()));
  }
}

function copyWide(values: usize, selection: usize, count: u32, target: usize): void {
  for (let row: usize = 0; row < <usize>count; row++) {
    const at = values + ((<usize>load<u16>(selection + (row << 1))) << 4);
    store<u64>(target + (row << 4), load<u64>(at));
    store<u64>(target + (row << 4), load<u64>(at, 8), 8);
  }
}
