// Reading a dictionary's values by code: the one place that knows how a dictionary's descriptor lies.
//
// A code is checked before it gets here (a vector's codes are in range where its row is valid). The
// descriptor is the copy that binding a batch makes (expression/column-check.ts): BASE is folded into
// VALUES, OFFSET still counts.

import { Column, Type } from "../abi/layout";
import { bitmapGet } from "./bitmap";

/** Address of the bytes of value `code` of a BYTES or LARGE_BYTES dictionary. */
// @ts-ignore: decorator
@inline
export function dictionaryAddress(dictionary: usize, code: u32): usize {
  const offsets: usize = load<u32>(dictionary, <usize>Column.OFFSETS);
  const index: usize = <usize>load<u32>(dictionary, <usize>Column.OFFSET) + <usize>code;
  const start: usize =
    load<u32>(dictionary) == <u32>Type.LARGE_BYTES
      ? <usize>load<u64>(offsets + (index << 3))
      : <usize>load<u32>(offsets + (index << 2));
  return <usize>load<u32>(dictionary, <usize>Column.VALUES) + start;
}

/** Length in bytes of value `code` of a BYTES or LARGE_BYTES dictionary. */
// @ts-ignore: decorator
@inline
export function dictionaryLength(dictionary: usize, code: u32): u32 {
  const offsets: usize = load<u32>(dictionary, <usize>Column.OFFSETS);
  const index: usize = <usize>load<u32>(dictionary, <usize>Column.OFFSET) + <usize>code;
  return load<u32>(dictionary) == <u32>Type.LARGE_BYTES
    ? <u32>(load<u64>(offsets + (index << 3), 8) - load<u64>(offsets + (index << 3)))
    : load<u32>(offsets + (index << 2), 4) - load<u32>(offsets + (index << 2));
}

/** Whether value `code` of a dictionary is not null. */
export function dictionaryIsValid(dictionary: usize, code: u32): bool {
  const bits: usize = load<u32>(dictionary, <usize>Column.VALIDITY);
  return bits == 0 || bitmapGet(bits, load<u32>(dictionary, <usize>Column.OFFSET) + code) != 0;
}
