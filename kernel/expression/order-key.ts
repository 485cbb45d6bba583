// ORDER_KEY: a value as bytes that order as it does (column/order-bytes.ts). Keys of several values, put together by
// CONCAT, stand for the tuple: what is distinct in pairs, or ordered by another column, is then one column.

import { Instruction, OrderKeyFlag } from "../abi/instruction";
import { Type } from "../abi/layout";
import { bitmapGet } from "../column/bitmap";
import { ORDER_BYTES_MAX, orderBytesPut, orderBytesPutText, orderBytesTextMost } from "../column/order-bytes";
import { typeWidth } from "../column/type";
import { Vector } from "../column/vector";
import { Program, instructionState, operandA, targetVector, textViews, validityOf } from "./machine";

/** Whether all keys of the vector found room; `row` of `program.at` did not when the answer is not -1. */
export function executeOrderKey(program: Program, instruction: usize): i32 {
  const flags = load<u32>(instruction, <usize>Instruction.ARG0);
  const target = targetVector(program, instruction);
  const a = operandA(program, instruction);
  const nullable = (flags & <u32>OrderKeyFlag.NULLABLE) != 0;
  if (!nullable) validityOf(program, instruction, target, a);
  const isText = a.type == <u32>Type.BYTES;
  const views: usize = isText ? textViews(program, a, program.scratchA) : 0;
  const state = instructionState(program, program.at);
  let cursor = state.text;
  const end = cursor + state.textCapacity;
  for (let row: u32 = 0; row < program.count; row++) {
    const at: usize = <usize>row << 3;
    const valid = a.validity == 0 || bitmapGet(a.validity, row);
    store<u64>(target.values + at, 0);
    if (!valid && !nullable) continue;
    const length: u32 = valid && isText ? load<u32>(views + at, 4) : 0;
    const most: u64 = valid && isText ? orderBytesTextMost(length) : ORDER_BYTES_MAX;
    if (most > <u64>(end - cursor)) return <i32>row;
    let bytes: u32 = 1;
    if (!valid) store<u8>(cursor, 1);
    else if (isText) bytes = orderBytesPutText(flags, load<u32>(views + at), length, cursor);
    else bytes = putFixed(a, flags, row, cursor);
    store<u64>(target.values + at, <u64>cursor | (<u64>bytes << 32));
    cursor += <usize>bytes;
  }
  return -1;
}

function putFixed(a: Vector, flags: u32, row: u32, to: usize): u32 {
  if (a.type != <u32>Type.BOOL) return orderBytesPut(a.type, flags, a.values + <usize>row * typeWidth(a.type), to);
  // A bit has no address of its own: its byte is read from where the key will be.
  store<u8>(to, bitmapGet(a.values, row) ? 1 : 0, ORDER_BYTES_MAX - 1);
  return orderBytesPut(Type.BOOL, flags, to + <usize>(ORDER_BYTES_MAX - 1), to);
}
