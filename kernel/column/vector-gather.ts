// Rows of a builder, by their numbers, as a vector: what was kept goes through accumulators once more.

import { Abi, Type } from "../abi/layout";
import { bitmapGet } from "./bitmap";
import { Builder } from "./builder";
import { typeWidth } from "./type";
import { BITMAP_BYTES, VECTOR_SIZE, Vector } from "./vector";

/** Bytes that `vectorGather` writes: validity, and values of up to 16 bytes. */
export const GATHER_BYTES: usize = BITMAP_BYTES + ((<usize>Abi.VECTOR_ROWS) << 4);

/** Makes `to` the listed rows (u32 each, a vector of them at most) of `from`, with values in `buffer`. */
export function vectorGather(to: Vector, from: Builder, list: usize, rows: u32, buffer: usize): void {
  memory.fill(changetype<usize>(to), 0, VECTOR_SIZE);
  to.type = from.type;
  to.values = buffer + BITMAP_BYTES;
  if (from.nulls != 0 && gatherBits(buffer, from.validity, list, rows) != rows) to.validity = buffer;
  if (from.type == <u32>Type.BYTES) gatherViews(to.values, from, list, rows);
  else {
    switch (typeWidth(from.type)) {
      case 0:
        gatherBits(to.values, from.values, list, rows);
        break;
      case 1:
        gatherFixed<u8>(to.values, from.values, list, rows);
        break;
      case 2:
        gatherFixed<u16>(to.values, from.values, list, rows);
        break;
      case 4:
        gatherFixed<u32>(to.values, from.values, list, rows);
        break;
      case 8:
        gatherFixed<u64>(to.values, from.values, list, rows);
        break;
      default:
        gatherWide(to.values, from.values, list, rows);
    }
  }
}

/** Writes whole words; how many bits are set. */
function gatherBits(to: usize, from: usize, list: usize, rows: u32): u32 {
  let set: u32 = 0;
  for (let start: u32 = 0; start < rows; start += 64) {
    const count = min<u32>(64, rows - start);
    let word: u64 = 0;
    for (let row: u32 = 0; row < count; row++) {
      word |= (<u64>bitmapGet(from, load<u32>(list + ((<usize>(start + row)) << 2)))) << (<u64>row);
    }
    store<u64>(to + ((<usize>(start >> 6)) << 3), word);
    set += <u32>popcnt<u64>(word);
  }
  return set;
}

function gatherFixed<T>(to: usize, from: usize, list: usize, rows: u32): void {
  for (let index: u32 = 0; index < rows; index++) {
    const row: usize = load<u32>(list + ((<usize>index) << 2));
    store<T>(to + <usize>index * sizeof<T>(), load<T>(from + row * sizeof<T>()));
  }
}

function gatherWide(to: usize, from: usize, list: usize, rows: u32): void {
  for (let index: u32 = 0; index < rows; index++) {
    const at = from + ((<usize>load<u32>(list + ((<usize>index) << 2))) << 4);
    store<u64>(to + ((<usize>index) << 4), load<u64>(at));
    store<u64>(to + ((<usize>index) << 4), load<u64>(at, 8), 8);
  }
}

function gatherViews(to: usize, from: Builder, list: usize, rows: u32): void {
  for (let index: u32 = 0; index < rows; index++) {
    const at = from.offsets + ((<usize>load<u32>(list + ((<usize>index) << 2))) << 2);
    const start = load<u32>(at);
    store<u32>(to + ((<usize>index) << 3), <u32>from.values + start);
    store<u32>(to + ((<usize>index) << 3), load<u32>(at, 4) - start, 4);
  }
}
