// Tails: a value behind an order key, both in one text (column/order-bytes.ts). So that what is ordered by another
// column, or is the value of the row where it is least, is a matter of one argument: one that every family of texts can
// keep, take back and sort.

import { Type } from "../abi/layout";
import { Tail } from "../abi/operator";
import { orderBytesLoad, orderBytesSkip } from "../column/order-bytes";

/** Turns the view of a text at `target` (16 bytes) into its tail's value; without a tail nothing changes. */
export function tailTake(tail: u32, target: usize): void {
  if (tail == 0) return;
  const address: usize = load<u32>(target);
  const end = address + <usize>load<u32>(target, 4);
  const from = tailFrom(tail, address, end);
  if (tailType(tail) != <u32>Type.BYTES) {
    orderBytesLoad(tailType(tail), from, target);
    return;
  }
  store<u32>(target, <u32>from);
  store<u32>(target, <u32>(end - from), 4);
}

// @ts-ignore: decorator
@inline
export function tailType(tail: u32): u32 {
  return tail & 0xff;
}

/** Where the value of a text from `address` to `end` begins. */
export function tailFrom(tail: u32, address: usize, end: usize): usize {
  const order = (tail >> <u32>Tail.ORDER_SHIFT) & 0xff;
  return orderBytesSkip(order, tail >> <u32>Tail.FLAGS_SHIFT, address, end);
}
