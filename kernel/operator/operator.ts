// What all operators share: their head, and the handles by which a host names them.
//
// A handle is a slot of the root block's table (low 10 bits) and the slot's generation (22 bits above),
// so that a stale or made-up handle is recognised without reading freed memory.
//
//   operator:  +0 region (32 bytes)  +32 u32 kind  +36 u32 failed  +40 u64 rows in  +48 u64 rows selected
//              +56 u64 rows out  +64 u64 batches in  +72 u32 ended  +76 u32 snapshot open  +80.. the kind's own

import { Root } from "../abi/layout";
import { Reason, Status } from "../abi/status";
import { contextAccount, contextRoot, fail } from "../memory/context";
import { heapAllocate, heapFree, lock, unlock } from "../memory/heap";
import { regionDestroy, regionInit } from "../memory/region";

/** Bytes of the head and of what every kind may keep inline after it. */
export const OPERATOR_BODY: usize = 80;
const OPERATOR_SIZE: usize = 1024;

const SLOT_BITS: u32 = 10;
const SLOT_MASK: u32 = 1023;

export const ENDED: u32 = 1;
/** An aggregation whose results have begun to leave by parts, of which others may come (aggregate-drain.ts). */
export const PARTS_ONLY: u32 = 2;

// @ts-ignore: decorator
@unmanaged
export class Operator {
  region0: u64;
  region1: u64;
  region2: u64;
  region3: u64;
  kind: u32;
  failed: u32;
  rowsIn: u64;
  rowsSelected: u64;
  rowsOut: u64;
  batchesIn: u64;
  /** ENDED after the watermark at the end of time, PARTS_ONLY once parts leave before that, else 0. */
  ended: u32;
  /** 1 while a snapshot is being read, 2 while rows leave. */
  snapshotOpen: u32;
}

/** A new operator's zeroed head, or 0 when out of memory. */
export function operatorAllocate(context: usize, kind: u32): usize {
  const root = contextRoot(context);
  const account = contextAccount(context);
  const operator = heapAllocate(root, account, OPERATOR_SIZE);
  if (operator == 0) return 0;
  memory.fill(operator, 0, OPERATOR_SIZE);
  regionInit(operator, root, account);
  changetype<Operator>(operator).kind = kind;
  return operator;
}

/** An operator is of no use where a part of it, an operator by itself, has failed. */
export function operatorFailWith(operator: usize, part: usize): void {
  changetype<Operator>(operator).failed |= changetype<Operator>(part).failed;
}

export function operatorFree(context: usize, operator: usize): void {
  regionDestroy(operator);
  heapFree(contextRoot(context), operator);
}

/** Names `operator` by a handle; 0 when all slots are taken. */
export function handleCreate(root: usize, operator: usize): u32 {
  let handle: u32 = 0;
  lock(root);
  for (let slot: u32 = 1; slot < <u32>Root.HANDLE_COUNT; slot++) {
    const entry = root + <usize>Root.HANDLES + ((<usize>slot) << 3);
    if (load<u32>(entry) != 0) continue;
    const generation = (load<u32>(entry, 4) + 1) & 0x3fffff;
    store<u32>(entry, <u32>operator);
    store<u32>(entry, generation, 4);
    handle = (generation << SLOT_BITS) | slot;
    break;
  }
  unlock(root);
  return handle;
}

/** The operator of a handle; 0 (and the error recorded) when there is none. */
export function handleOperator(context: usize, handle: u32): usize {
  const operator = handleAt(contextRoot(context), handle);
  if (operator == 0) fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  return operator;
}

/** The same without an error. */
export function handleAt(root: usize, handle: u32): usize {
  const entry = root + <usize>Root.HANDLES + ((<usize>(handle & SLOT_MASK)) << 3);
  return (handle & SLOT_MASK) != 0 && load<u32>(entry, 4) == handle >>> SLOT_BITS ? <usize>load<u32>(entry) : 0;
}

export function handleFree(root: usize, handle: u32): void {
  lock(root);
  store<u32>(root + <usize>Root.HANDLES + ((<usize>(handle & SLOT_MASK)) << 3), 0);
  unlock(root);
}
