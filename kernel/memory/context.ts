// A context: what one worker brings along. Every export takes one.
//
// It holds the worker's error record and its scratch: memory whose contents are dead when an export
// returns, handed out stack-wise (mark, take, reset), so that inner loops reuse the same cached bytes.
//
//   context: +0 root   +4 scratch start   +8 scratch end   +12 scratch cursor   +16.. error record (64 bytes)
//            +80 account that is charged, 0 = none

import { ContextFlag, ErrorRecord, Type } from "../abi/layout";
import { Reason, Status } from "../abi/status";
import { heapAllocate, heapInit, heapIsRoot } from "./heap";

const SIZE: usize = 128;
const ERROR: usize = 16;
const ACCOUNT: usize = 80;
/**
 * Scratch of one worker: group ids, hashes, selections and masks of one vector. Registers are the program's
 * own.
 */
const SCRATCH: usize = 512 * 1024;

/** Address of a new context, or 0. See `ctx_init` in ABI.md. */
export function contextCreate(base: usize, length: usize, flags: u32): usize {
  if (flags & <u32>ContextFlag.ATTACH) {
    if (!heapIsRoot(base)) return 0;
  } else if (!heapInit(base, length, flags)) return 0;
  const context = heapAllocate(base, 0, SIZE + SCRATCH);
  if (context == 0) return 0;
  memory.fill(context, 0, SIZE);
  store<u32>(context, <u32>base);
  store<u32>(context, <u32>(context + SIZE), 4);
  store<u32>(context, <u32>(context + SIZE + SCRATCH), 8);
  store<u32>(context, <u32>(context + SIZE), 12);
  return context;
}

// @ts-ignore: decorator
@inline
export function contextRoot(context: usize): usize {
  return load<u32>(context);
}

/** The account that what is made in this context is charged to; 0 = none. */
// @ts-ignore: decorator
@inline
export function contextAccount(context: usize): usize {
  return load<u32>(context, ACCOUNT);
}

/** From now on `account` is charged. */
export function contextCharge(context: usize, account: usize): void {
  store<u32>(context, <u32>account, ACCOUNT);
}

// @ts-ignore: decorator
@inline
export function contextError(context: usize): usize {
  return context + ERROR;
}

/** Starts an export: scratch is empty, the error record is clear. */
export function contextEnter(context: usize): void {
  store<u32>(context, load<u32>(context, 4), 12);
  clearError(context);
}

/** Nothing has failed: what did was tried for speed alone. */
export function clearError(context: usize): void {
  memory.fill(context + ERROR, 0, <usize>ErrorRecord.SIZE);
  store<i32>(context, -1, ERROR + <usize>ErrorRecord.PORT);
  store<i32>(context, -1, ERROR + <usize>ErrorRecord.COLUMN);
  store<u32>(context, 0xffffffff, ERROR + <usize>ErrorRecord.ROW);
}

/**
 * Scratch of `bytes`, 64-byte aligned; 0 when there is no room left. Dead when the export returns or
 * `scratchReset`.
 */
export function scratchTake(context: usize, bytes: usize): usize {
  const start: usize = (<usize>load<u32>(context, 12) + 63) & ~(<usize>63);
  if (start + bytes > <usize>load<u32>(context, 8)) return 0;
  store<u32>(context, <u32>(start + bytes), 12);
  return start;
}

// @ts-ignore: decorator
@inline
export function scratchMark(context: usize): u32 {
  return load<u32>(context, 12);
}

// @ts-ignore: decorator
@inline
export function scratchReset(context: usize, mark: u32): void {
  store<u32>(context, mark, 12);
}

/** Records an error and answers its status, so that callers write `return fail(...)`. */
export function fail(context: usize, status: Status, reason: Reason): i32 {
  const error = contextError(context);
  store<i32>(error, <i32>status, <usize>ErrorRecord.STATUS);
  store<u32>(error, <u32>reason, <usize>ErrorRecord.REASON);
  return <i32>status;
}

/** Adds where it happened; -1 and 0xffffffff for what does not apply. */
export function failAt(context: usize, column: i32, row: u32): void {
  const error = contextError(context);
  store<i32>(error, column, <usize>ErrorRecord.COLUMN);
  store<u32>(error, row, <usize>ErrorRecord.ROW);
}

/** Adds a value of up to 16 bytes. */
export function failValue(context: usize, type: Type, low: u64, high: u64): void {
  const error = contextError(context);
  store<u32>(error, <u32>type, <usize>ErrorRecord.TYPE);
  store<u64>(error, low, <usize>ErrorRecord.VALUE);
  store<u64>(error, high, <usize>ErrorRecord.VALUE + 8);
}

/** Adds a second number: a wanted type, bytes asked for, an instruction's index. */
export function failDetail(context: usize, detail: u32): void {
  store<u32>(contextError(context), detail, <usize>ErrorRecord.DETAIL);
}

/** A configuration is malformed; `detail` says which entry. False, as creating an operator answers. */
export function refuseConfig(context: usize, detail: u32 = 0): bool {
  failDetail(context, detail);
  fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  return false;
}

/** The same where memory did not suffice. */
export function refuseMemory(context: usize): bool {
  failMemory(context, 0);
  return false;
}

/** An allocation failed: over budget where there is one, else the address space. */
export function failMemory(context: usize, bytes: usize): i32 {
  failDetail(context, <u32>bytes);
  return fail(context, Status.OUT_OF_MEMORY, Reason.MEMORY_LIMIT);
}
