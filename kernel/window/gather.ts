// Gathering: the outputs of a program for some of a vector's rows, in the outputs' own place.
//
// Groups and accumulators read a program's outputs. Where the rows of one vector belong to several slices, the
// outputs are replaced by a selection of their rows for each slice in turn, and put back afterwards. Of two slices the
// values of both are brought at once (split.ts), one side's behind the other's.
//
//   column: +0 vector  +4 its values' buffer  +8 its validity's buffer  +16 the vector itself, meanwhile (32 bytes)

import { Abi, Type } from "../abi/layout";
import { bitmapGather } from "../column/bitmap";
import { typeWidth } from "../column/type";
import { BITMAP_BYTES, VECTOR_SIZE, Vector } from "../column/vector";
import { programOutput, programOutputs } from "../expression/program";
import { regionBlock, regionCut } from "../memory/region";
import {
  SPLIT_SHUFFLES,
  SPLIT_SPARE,
  splitFixed,
  splitNarrow,
  splitSelection,
  splitShuffles,
  splitWide,
} from "./split";

const ROWS: usize = Abi.VECTOR_ROWS;
const COLUMN: usize = 48;
const SAVED: usize = 16;

// @ts-ignore: decorator
@unmanaged
export class Gather {
  columns: usize;
  count: u32;
  /** What `splitNarrow` looks up. */
  shuffles: usize;
}

export const GATHER_SIZE: usize = 16;

/** Gathers all outputs but `unread`, which nothing reads (or another output shows, too). False when out of memory. */
export function gatherInit(gather: Gather, region: usize, program: usize, unread: u32): bool {
  const outputs = programOutputs(program);
  gather.columns = regionCut(region, max<usize>(1, <usize>outputs) * COLUMN);
  gather.shuffles = regionCut(region, SPLIT_SHUFFLES);
  if (gather.columns == 0 || gather.shuffles == 0) return false;
  splitShuffles(gather.shuffles);
  for (let output: u32 = 0; output < outputs; output++) {
    const vector = programOutput(program, output);
    if (output == unread || isListed(gather, vector)) continue;
    const column = columnAt(gather, gather.count);
    const type = changetype<Vector>(vector).type;
    const bytes = max<usize>(ROWS * max<usize>(8, typeWidth(type)), BITMAP_BYTES) + SPLIT_SPARE * 2;
    const values = regionBlock(region, bytes + BITMAP_BYTES);
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

/** Brings the values of both sides of `mask`, whose early one has `early` rows; `gatherSide` shows one of them. */
export function gatherSplit(gather: Gather, mask: usize, rows: u32, early: u32): void {
  for (let index: u32 = 0; index < gather.count; index++) {
    const column = columnAt(gather, index);
    const from = changetype<Vector>(column + SAVED);
    if (hasBits(from)) continue;
    const width = valueWidth(from);
    const first: usize = load<u32>(column, 4);
    const second = first + lateOffset(width, early);
    switch (<u32>width) {
      case 1:
        splitFixed<u8>(from.values, mask, rows, first, second);
        break;
      case 2:
        splitFixed<u16>(from.values, mask, rows, first, second);
        break;
      case 4:
        splitNarrow(from.values, mask, rows, gather.shuffles, first, second);
        break;
      case 8:
        splitFixed<u64>(from.values, mask, rows, first, second);
        break;
      default:
        splitWide(from.values, mask, rows, first, second);
    }
  }
}

/** Puts one side's rows, `count` of `rows`, into the outputs; `selection` is room for a number (u16) of each. */
export function gatherSide(
  gather: Gather,
  mask: usize,
  rows: u32,
  early: u32,
  late: bool,
  selection: usize,
): void {
  const count = late ? rows - early : early;
  let listed = false;
  for (let index: u32 = 0; index < gather.count; index++) {
    const column = columnAt(gather, index);
    const from = changetype<Vector>(column + SAVED);
    const to = changetype<Vector>(<usize>load<u32>(column));
    const values: usize = load<u32>(column, 4);
    const validity: usize = load<u32>(column, 8);
    if (!listed && (from.validity != 0 || hasBits(from))) {
      splitSelection(mask, rows, late, selection);
      listed = true;
    }
    if (hasBits(from)) {
      bitmapGather(from.values, 0, selection, count, values);
      to.values = values;
    } else to.values = late ? values + lateOffset(valueWidth(from), early) : values;
    to.validity =
      from.validity == 0 || bitmapGather(from.validity, 0, selection, count, validity) ? 0 : validity;
  }
}

// @ts-ignore: decorator
@inline
function hasBits(vector: Vector): bool {
  return vector.dictionary == 0 && vector.type == <u32>Type.BOOL;
}

/** Bytes of a value: views of texts, and codes, have their own. */
// @ts-ignore: decorator
@inline
function valueWidth(vector: Vector): usize {
  if (vector.dictionary != 0) return 4;
  return vector.type == <u32>Type.BYTES ? 8 : typeWidth(vector.type);
}

/** Where the late side's values begin behind the early side's. */
// @ts-ignore: decorator
@inline
function lateOffset(width: usize, early: u32): usize {
  return <usize>early * width + SPLIT_SPARE;
}

/** Puts the outputs back as they were. */
export function gatherEnd(gather: Gather): void {
  for (let index: u32 = 0; index < gather.count; index++) {
    const column = columnAt(gather, index);
    memory.copy(load<u32>(column), column + SAVED, VECTOR_SIZE);
  }
}

function gatherValues(from: Vector, selection: usize, count: u32, target: usize): void {
  if (hasBits(from)) {
    bitmapGather(from.values, 0, selection, count, target);
    return;
  }
  switch (<u32>valueWidth(from)) {
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
