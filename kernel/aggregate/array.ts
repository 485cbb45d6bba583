// ARRAY and STRING over a LOG: all values of a group in order, as a list, or as one text with a separator between.
//
// A group's values are sorted where they lie in the log, then written to the result's own buffer: two results may
// share a log and be read side by side.

import { Type } from "../abi/layout";
import { AggregateFunction } from "../abi/operator";
import { regrow } from "../column/builder";
import { copyBytes } from "../memory/copy";
import { Accumulator } from "./accumulator";
import { itemWidth } from "../column/order";
import { orderBytesLoad } from "../column/order-bytes";
import { Result } from "./results";
import { tailFrom, tailType } from "./tail";
import { textLogBytes, textLogSort } from "./text-log";
import { logBase, logFirst, logLoad, logSize, logSort } from "./value-log";

/** The longest result: offsets have 31 bits. */
const MOST: u64 = 0x7fffffff;

/** Bytes of a group's result, at most 2^32 - 1; the log is prepared. */
export function arrayBytes(self: Result, group: u32): u32 {
  const log = changetype<Accumulator>(self.values);
  const size: u64 = logSize(log, group);
  if (size == 0) return 0;
  let bytes: u64;
  // With a tail, texts are counted with their keys: it is a bound.
  if (self.tail != 0 && tailType(self.tail) != <u32>Type.BYTES)
    bytes = <u64>itemCount(self, <u32>size) * <u64>itemWidth(tailType(self.tail));
  else if (self.fn == <u32>AggregateFunction.STRING)
    bytes = textLogBytes(log, group) + (size - 1) * <u64>self.separatorLength;
  else if (log.type == <u32>Type.BYTES) bytes = textLogBytes(log, group) + size * 4;
  else bytes = size * <u64>itemWidth(log.type);
  return bytes > MOST ? u32.MAX_VALUE : <u32>bytes; // unreached: needs 2 GiB of values
}

// @ts-ignore: decorator
@inline
function itemCount(self: Result, size: u32): u32 {
  return self.limit == 0 ? size : min<u32>(size, self.limit);
}

/** Room for a result of so many bytes. False when out of memory, or when it is too long. */
export function arrayReserve(self: Result, bytes: u32): bool {
  if (bytes <= self.bufferCapacity && self.buffer != 0) return true;
  if (<u64>bytes > MOST) return false; // unreached: needs 2 GiB of values
  const log = changetype<Accumulator>(self.values);
  // The last value may be written 16 bytes wide.
  const capacity = max<u32>(bytes, 256);
  const buffer = regrow(log.region, self.buffer, 0, <usize>capacity + 16);
  if (buffer == 0) return false;
  self.buffer = buffer;
  self.bufferCapacity = capacity;
  return true;
}

/** Writes the group's result, for which there is room, to `target` as address and length; false for null. */
export function arrayResult(self: Result, group: u32, target: usize): bool {
  const log = changetype<Accumulator>(self.values);
  const size = logSize(log, group);
  if (size == 0) return false;
  const isText = log.type == <u32>Type.BYTES;
  if (isText) textLogSort(log, group);
  else logSort(log, group);
  const descending = self.parameter != 0;
  const width: usize = itemWidth(log.type);
  let to = self.buffer;
  const count = itemCount(self, size);
  for (let index: u32 = 0; index < count; index++) {
    const place = descending ? size - 1 - index : index;
    if (!isText) {
      logLoad(log, logFirst(log, group) + place, to);
      to += width;
      continue;
    }
    const slot = logBase(log, group) + ((<usize>place) << 3);
    let address: usize = load<u32>(slot);
    const end = address + <usize>load<u32>(slot, 4);
    if (self.tail != 0) {
      address = tailFrom(self.tail, address, end);
      const type = tailType(self.tail);
      if (type != <u32>Type.BYTES) {
        orderBytesLoad(type, address, to);
        to += itemWidth(type);
        continue;
      }
    }
    const length = <u32>(end - address);
    if (self.fn != <u32>AggregateFunction.STRING) {
      store<u32>(to, length);
      to += 4;
    } else if (index != 0) {
      copyBytes(to, self.separator, self.separatorLength);
      to += self.separatorLength;
    }
    copyBytes(to, address, length);
    to += length;
  }
  store<u32>(target, <u32>self.buffer);
  store<u32>(target, <u32>(to - self.buffer), 4);
  return true;
}
