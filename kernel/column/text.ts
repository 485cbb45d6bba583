// Texts of a BYTES vector by row, whether they are views or the codes of a dictionary. The row must be valid.

import { dictionaryAddress, dictionaryLength } from "./dictionary";
import { Vector } from "./vector";

// @ts-ignore: decorator
@inline
export function textAddressAt(vector: Vector, row: u32): usize {
  return vector.dictionary == 0
    ? <usize>load<u32>(vector.values + ((<usize>row) << 3))
    : dictionaryAddress(vector.dictionary, load<u32>(vector.values + ((<usize>row) << 2)));
}

// @ts-ignore: decorator
@inline
export function textLengthAt(vector: Vector, row: u32): u32 {
  return vector.dictionary == 0
    ? load<u32>(vector.values + ((<usize>row) << 3), 4)
    : dictionaryLength(vector.dictionary, load<u32>(vector.values + ((<usize>row) << 2)));
}
