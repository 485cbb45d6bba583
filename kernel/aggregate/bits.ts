// BIT_AND, BIT_OR, BIT_XOR: one u64 a group, of which the argument's width counts.

import { Type } from "../abi/layout";
import { Accumulator, Family, accumulatorReserve } from "./accumulator";
import { maskBit } from "./argument";

export function bitsReserve(self: Accumulator, groups: u32): bool {
  return accumulatorReserve(self, groups, self.family == <u32>Family.BIT_AND ? u64.MAX_VALUE : 0);
}

/** Folds a vector in; a state's column is folded in the same way. */
export function bitsUpdate(self: Accumulator, numbers: usize, values: usize, mask: usize, rows: u32): void {
  switch (self.type) {
    case Type.I8:
    case Type.U8:
      return fold<u8>(self, numbers, values, mask, rows);
    case Type.I16:
    case Type.U16:
      return fold<u16>(self, numbers, values, mask, rows);
    case Type.I32:
    case Type.U32:
      return fold<u32>(self, numbers, values, mask, rows);
    default:
      return fold<u64>(self, numbers, values, mask, rows);
  }
}

function fold<T>(self: Accumulator, numbers: usize, values: usize, mask: usize, rows: u32): void {
  const family = self.family;
  for (let row: u32 = 0; row < rows; row++) {
    if (mask != 0 && !maskBit(mask, row)) continue;
    const at = self.values + ((<usize>load<u32>(numbers + ((<usize>row) << 2))) << 3);
    const value = <u64>load<T>(values + <usize>row * sizeof<T>());
    const old = load<u64>(at);
    store<u64>(
      at,
      family == <u32>Family.BIT_AND ? old & value : family == <u32>Family.BIT_OR ? old | value : old ^ value,
    );
  }
}

/** Folds groups of `source` in. */
export function bitsCombine(self: Accumulator, source: Accumulator, list: usize, numbers: usize, count: u32): void {
  const family = self.family;
  for (let index: usize = 0; index < (<usize>count) << 2; index += 4) {
    const at = self.values + ((<usize>load<u32>(numbers + index)) << 3);
    const value = load<u64>(source.values + ((<usize>load<u32>(list + index)) << 3));
    const old = load<u64>(at);
    store<u64>(
      at,
      family == <u32>Family.BIT_AND ? old & value : family == <u32>Family.BIT_OR ? old | value : old ^ value,
    );
  }
}

// @ts-ignore: decorator
@inline
export function bitsLoad(self: Accumulator, group: u32, target: usize): void {
  store<u64>(target, load<u64>(self.values + ((<usize>group) << 3)));
}
