// Arguments: which rows an accumulator reads.
//
// The vector's validity and the FILTER's true rows become one mask (words, zero tail) or none at all. So every family
// needs just two loops, with and without mask.

import { Type } from "../abi/layout";
import { Vector } from "../column/vector";
import { keepBytes, keepOr } from "../column/keep";
import { typeWidth } from "../column/type";
import { programBytesOrNulls, programOutput, programOutputType } from "../expression/program";
import { scratchTake } from "../memory/context";
import { Accumulator } from "./accumulator";

/** Bytes of scratch for a mask, and for values that an accumulator makes of its arguments. */
export const MASK_BYTES: usize = 256;
export const VALUES_BYTES: usize = 32768;

/**
 * The rows of a vector that count for an accumulator, of those in `only` where that is not 0: 0 when all do, else a
 * mask, which may be `words`.
 */
export function rowsMask(self: Accumulator, program: usize, rows: u32, only: usize, words: usize): usize {
  const argument: usize = self.argument < 0 ? 0 : programOutput(program, <u32>self.argument);
  const filter: usize = self.filter < 0 ? 0 : programOutput(program, <u32>self.filter);
  let mask = argumentMask(argument, filter, rows, words);
  if (self.second >= 0) mask = pairMask(mask, programOutput(program, <u32>self.second), rows, words);
  return only == 0 ? mask : bothMask(mask, only, rows, words);
}

/** The mask of rows that count: 0 when all do, else `words` or the vector's own validity. */
export function argumentMask(argument: usize, filter: usize, rows: u32, words: usize): usize {
  const validity: usize = argument == 0 ? 0 : changetype<Vector>(argument).validity;
  if (filter == 0) return validity;
  const condition = changetype<Vector>(filter);
  const bits = condition.values;
  const count: usize = (<usize>rows + 63) >> 6;
  for (let word: usize = 0; word < count; word++) {
    const at = word << 3;
    let mask = load<u64>(bits + at);
    if (condition.validity != 0) mask &= load<u64>(condition.validity + at);
    if (validity != 0) mask &= load<u64>(validity + at);
    store<u64>(words + at, mask);
  }
  // A filter's bits past the last row are not promised to be zero.
  if ((rows & 63) != 0) {
    const last = words + ((count - 1) << 3);
    store<u64>(last, load<u64>(last) & (((<u64>1) << (rows & 63)) - 1));
  }
  return words;
}

/**
 * A column of the program's outputs, of integers or floats of 4 or 8 bytes, with `other` in rows outside `mask`: its own values
 * where that is 0, else in scratch. Where it lies in bytes, and nulls are to be zero, and only they are, those are read.
 */
export function keptValues(context: usize, program: usize, output: u32, mask: usize, rows: u32, other: u64 = 0): usize {
  const vector = changetype<Vector>(programOutput(program, output));
  if (mask == 0) return vector.values;
  const isShort = typeWidth(programOutputType(program, output)) == 4;
  const kept = scratchTake(context, (<usize>rows) << (isShort ? 2 : 3));
  if (ASC_FEATURE_SIMD) {
    const bytes = isShort && mask == vector.validity && other == 0 ? programBytesOrNulls(program, output) : 0;
    if (bytes != 0) {
      keepBytes(bytes, rows, kept);
      return kept;
    }
  }
  if (isShort) keepOr<u32>(vector.values, mask, rows, kept, <u32>other);
  else keepOr<u64>(vector.values, mask, rows, kept, other);
  return kept;
}

/** A mask without the rows where a second argument is null; `words` may hold the mask already. */
export function pairMask(mask: usize, second: usize, rows: u32, words: usize): usize {
  const validity = changetype<Vector>(second).validity;
  return validity == 0 ? mask : bothMask(mask, validity, rows, words);
}

/** A mask without the rows that are not in `other`; `words` may hold the mask already. */
export function bothMask(mask: usize, other: usize, rows: u32, words: usize): usize {
  if (mask == 0) return other;
  const bytes: usize = ((<usize>rows + 63) >> 6) << 3;
  for (let at: usize = 0; at < bytes; at += 8) store<u64>(words + at, load<u64>(mask + at) & load<u64>(other + at));
  return words;
}

/** Bit `row` of a mask. */
// @ts-ignore: decorator
@inline
export function maskBit(mask: usize, row: u32): u32 {
  return <u32>((load<u8>(mask + <usize>(row >> 3)) >> <u8>(row & 7)) & 1);
}

/** Whether a type's values are signed integers, for widening. */
export function typeIsSigned(type: u32): bool {
  return (type >= <u32>Type.I8 && type <= <u32>Type.I64) || type == <u32>Type.I128;
}
