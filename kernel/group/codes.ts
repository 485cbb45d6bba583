// Copies of dictionaries that results refer to which leave as codes (KEEP_CODES), and those that an interner's texts make.
//
//   copy:  descriptor (a BYTES column)   i32 offsets   bytes

import { Column, ColumnFlag, Type } from "../abi/layout";
import { copyBytes } from "../memory/copy";
import { regionBlock } from "../memory/region";
import { Interner, internedAddress, internedLength } from "./interner";

const ALL_BYTES: u64 = 0x7fffffff;

/** An interner's texts as a dictionary whose codes are their ids; 0 where memory is short. */
export function codesOfInterner(region: usize, interner: usize): usize {
  const count = changetype<Interner>(interner).count;
  const copy = dictionaryAllocate(region, count, changetype<Interner>(interner).bytes);
  if (copy == 0) return 0;
  const offsets: usize = load<u32>(copy, <usize>Column.OFFSETS);
  const values: usize = load<u32>(copy, <usize>Column.VALUES);
  let at: u32 = 0;
  for (let id: u32 = 0; id < count; id++) {
    const size = internedLength(interner, id);
    store<u32>(offsets + ((<usize>id) << 2), at);
    copyBytes(values + <usize>at, internedAddress(interner, id), size);
    at += size;
  }
  store<u32>(offsets + ((<usize>count) << 2), at);
  return copy;
}

/** A descriptor with room for its values; 0 when out of memory, or past 2 GiB. */
export function dictionaryAllocate(region: usize, length: u32, bytes: u64): usize {
  const offsetBytes = (<u64>length + 1) << 2;
  if (bytes > ALL_BYTES || offsetBytes > ALL_BYTES) return 0; // unreached: 2 GiB of texts
  const copy = regionBlock(region, <usize>Column.SIZE + <usize>offsetBytes + <usize>bytes);
  if (copy == 0) return 0;
  const offsets = copy + <usize>Column.SIZE;
  memory.fill(copy, 0, <usize>Column.SIZE);
  store<u32>(copy, <u32>Type.BYTES, <usize>Column.TYPE);
  store<u32>(copy, <u32>ColumnFlag.TRUSTED, <usize>Column.FLAGS);
  store<u32>(copy, length, <usize>Column.LENGTH);
  store<u32>(copy, <u32>(offsets + <usize>offsetBytes), <usize>Column.VALUES);
  store<u32>(copy, <u32>bytes, <usize>Column.VALUES_BYTES);
  store<u32>(copy, <u32>offsets, <usize>Column.OFFSETS);
  store<u32>(copy, <u32>offsetBytes, <usize>Column.OFFSETS_BYTES);
  return copy;
}
