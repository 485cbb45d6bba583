// Gathering: rows of one set of builders, by their numbers, into another.

import { Type } from "../abi/layout";
import { bitmapGet } from "./bitmap";
import { Builder, builderSetBit, builderSetNull, copyBytes } from "./builder";
import { typeWidth } from "./type";

/** Bytes that the texts of the listed rows (u32 each) take. */
export function gatherBytes(from: Builder, list: usize, rows: u32): u64 {
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < rows; index++) {
    const at = from.offsets + ((<usize>load<u32>(list + ((<usize>index) << 2))) << 2);
    bytes += <u64>(load<u32>(at, 4) - load<u32>(at));
  }
  return bytes;
}

/** Appends the listed rows of `from`. Room for rows and bytes must have been reserved. */
export function builderGather(to: Builder, from: Builder, list: usize, rows: u32): void {
  if (from.nulls != 0) gatherNulls(to, from, list, rows);
  if (from.type == <u32>Type.BYTES) gatherTexts(to, from, list, rows);
  else {
    switch (typeWidth(from.type)) {
      case 0:
        gatherBits(to, from, list, rows);
        break;
      case 1:
        gatherFixed<u8>(to, from, list, rows);
        break;
      case 2:
        gatherFixed<u16>(to, from, list, rows);
        break;
      case 4:
        gatherFixed<u32>(to, from, list, rows);
        break;
      case 8:
        gatherFixed<u64>(to, from, list, rows);
        break;
      default:
        gatherWide(to, from, list, rows);
    }
  }
  to.length += rows;
}

function gatherNulls(to: Builder, from: Builder, list: usize, rows: u32): void {
  for (let index: u32 = 0; index < rows; index++) {
    const row = load<u32>(list + ((<usize>index) << 2));
    if (bitmapGet(from.validity, row)) continue;
    builderSetNull(to, to.length + index);
  }
}

function gatherFixed<T>(to: Builder, from: Builder, list: usize, rows: u32): void {
  let at = to.values + <usize>to.length * sizeof<T>();
  for (let index: u32 = 0; index < rows; index++) {
    const row: usize = load<u32>(list + ((<usize>index) << 2));
    store<T>(at, load<T>(from.values + row * sizeof<T>()));
    at += sizeof<T>();
  }
}

function gatherWide(to: Builder, from: Builder, list: usize, rows: u32): void {
  let at = to.values + ((<usize>to.length) << 4);
  for (let index: u32 = 0; index < rows; index++) {
    copyBytes(at, from.values + ((<usize>load<u32>(list + ((<usize>index) << 2))) << 4), 16);
    at += 16;
  }
}

function gatherBits(to: Builder, from: Builder, list: usize, rows: u32): void {
  for (let index: u32 = 0; index < rows; index++) {
    const row = load<u32>(list + ((<usize>index) << 2));
    builderSetBit(to, to.length + index, <u8>bitmapGet(from.values, row));
  }
}

function gatherTexts(to: Builder, from: Builder, list: usize, rows: u32): void {
  let offsets = to.offsets + ((<usize>to.length) << 2);
  let bytes: usize = to.bytes;
  for (let index: u32 = 0; index < rows; index++) {
    const at = from.offsets + ((<usize>load<u32>(list + ((<usize>index) << 2))) << 2);
    const start: usize = load<u32>(at);
    const length: usize = <usize>load<u32>(at, 4) - start;
    copyBytes(to.values + bytes, from.values + start, length);
    bytes += length;
    offsets += 4;
    store<u32>(offsets, <u32>bytes);
  }
  to.bytes = <u32>bytes;
}
