// The exports of the kernel, nothing else. ABI.md says how to call them.

import { contextAccount, contextCharge, contextCreate, contextError, contextRoot } from "./memory/context";
import { accountClose, accountIsOpen, accountOpen, heapAllocate, heapFail, heapFree } from "./memory/heap";
import { Root } from "./abi/layout";
import { codesBytes, codesSpell } from "./join/codes";
import * as operators from "./operator/dispatch";

export function ctx_init(base: usize, length: usize, flags: u32): usize {
  return contextCreate(base, length, flags);
}

export function last_error(ctx: usize): usize {
  return contextError(ctx);
}

export function mem_alloc(ctx: usize, bytes: usize): usize {
  return heapAllocate(contextRoot(ctx), contextAccount(ctx), bytes);
}

export function mem_free(ctx: usize, address: usize): bool {
  return heapFree(contextRoot(ctx), address);
}

export function mem_budget(ctx: usize, bytes: u32): void {
  store<u32>(contextRoot(ctx), bytes, <usize>Root.BUDGET);
}

export function mem_account(ctx: usize, limit: u32): usize {
  return accountOpen(contextRoot(ctx), limit);
}

export function mem_charge(ctx: usize, account: usize): bool {
  if (account != 0 && !accountIsOpen(contextRoot(ctx), account)) return false;
  contextCharge(ctx, account);
  return true;
}

export function mem_account_close(ctx: usize, account: usize): bool {
  if (!accountIsOpen(contextRoot(ctx), account)) return false;
  if (contextAccount(ctx) == account) contextCharge(ctx, 0);
  accountClose(contextRoot(ctx), account);
  return true;
}

/** A fault switch for tests: the `nth` allocation from now on fails; 0 turns it off. Bits 30 and 31: see ABI.md. */
export function mem_fail(ctx: usize, nth: u32): void {
  heapFail(contextRoot(ctx), nth & 0x3fffffff, ((nth >> 30) & 1) != 0, nth >> 31 != 0);
}

export function op_create(ctx: usize, kind: u32, config: usize, length: u32): u32 {
  return operators.create(ctx, kind, config, length);
}

export function op_push(ctx: usize, handle: u32, port: u32, batch: usize): i32 {
  return operators.push(ctx, handle, port, batch);
}

export function op_push_together(ctx: usize, handle: u32, batch: usize, sets: usize, count: u32): i32 {
  return operators.pushTogether(ctx, handle, batch, sets, count);
}

export function op_watermark(ctx: usize, handle: u32, port: u32, time: i64): i32 {
  return operators.watermark(ctx, handle, port, time);
}

export function op_pull(ctx: usize, handle: u32, out: usize, max_rows: u32, max_bytes: u32): i32 {
  return operators.pull(ctx, handle, out, max_rows, max_bytes);
}

export function op_snapshot(ctx: usize, handle: u32, out: usize, max_rows: u32): i32 {
  return operators.snapshot(ctx, handle, out, max_rows, 0);
}

export function op_snapshot_parts(ctx: usize, handle: u32, out: usize, max_rows: u32, parts: u32): i32 {
  return operators.snapshotParts(ctx, handle, out, max_rows, parts);
}

export function op_rows_out(ctx: usize, handle: u32, out: usize): i32 {
  return operators.rowsOut(ctx, handle, out);
}

export function op_rows_in(
  ctx: usize,
  handle: u32,
  rows: usize,
  count: u32,
  part: u32,
  here: u32,
  waiting: u32,
): i32 {
  return operators.rowsIn(ctx, handle, rows, count, part, here, waiting);
}

export function op_merge(ctx: usize, handle: u32, batch: usize): i32 {
  return operators.merge(ctx, handle, batch);
}

export function op_combine(ctx: usize, handle: u32, source: u32): i32 {
  return operators.combine(ctx, handle, source);
}

export function op_fold(ctx: usize, handle: u32, source: u32): i32 {
  return operators.fold(ctx, handle, source);
}

export function op_fold_part(ctx: usize, handle: u32, source: u32, part: u32): i32 {
  return operators.foldPart(ctx, handle, source, part);
}

export function op_alike(ctx: usize, handle: u32, source: u32): i32 {
  return operators.alike(ctx, handle, source);
}

export function op_pass(ctx: usize, handle: u32, batch: usize): i32 {
  return operators.pass(ctx, handle, batch);
}

export function op_divide(ctx: usize, handle: u32, parts: u32, like: u32): i32 {
  return operators.divide(ctx, handle, parts, like);
}

export function op_pack(ctx: usize, handle: u32, like: u32): i32 {
  return operators.pack(ctx, handle, like);
}

export function op_combine_part(ctx: usize, handle: u32, source: u32, part: u32): i32 {
  return operators.combinePart(ctx, handle, source, part);
}

export function op_ready(ctx: usize, handle: u32): i32 {
  return operators.ready(ctx, handle);
}

export function op_ready_part(ctx: usize, handle: u32, part: u32): i32 {
  return operators.readyPart(ctx, handle, part);
}

export function op_share(ctx: usize, handle: u32, source: u32, part: u32, parts: u32): i32 {
  return operators.share(ctx, handle, source, part, parts);
}

export function op_measure(ctx: usize, handle: u32): i32 {
  return operators.measure(ctx, handle);
}

export function op_split(ctx: usize, handle: u32, handles: usize, count: u32, parts: u32): i32 {
  return operators.split(ctx, handle, handles, count, parts);
}

export function op_divide_by(ctx: usize, handle: u32, leader: u32): i32 {
  return operators.divideBy(ctx, handle, leader);
}

export function op_take_parts(ctx: usize, handle: u32, leader: u32, first: u32, count: u32): i32 {
  return operators.takeParts(ctx, handle, leader, first, count);
}

export function op_attach(ctx: usize, handle: u32, source: u32, port: u32): i32 {
  return operators.attach(ctx, handle, source, port);
}

export function op_release(ctx: usize, handle: u32): i32 {
  return operators.release(ctx, handle);
}

export function op_destroy(ctx: usize, handle: u32): i32 {
  return operators.destroy(ctx, handle);
}

export function op_stats(ctx: usize, handle: u32, out: usize): i32 {
  return operators.stats(ctx, handle, out);
}

export function op_time(ctx: usize, handle: u32): i64 {
  return operators.time(ctx, handle);
}

export function op_late(ctx: usize, handle: u32, out: usize): i32 {
  return operators.late(ctx, handle, out);
}

export function codes_bytes(ctx: usize, dictionary: usize, codes: usize, rows: u32, validity: usize, first: u32): u64 {
  return codesBytes(dictionary, codes, rows, validity, first);
}

export function codes_spell(
  ctx: usize,
  dictionary: usize,
  codes: usize,
  rows: u32,
  validity: usize,
  first: u32,
  before: u32,
): usize {
  return codesSpell(ctx, dictionary, codes, rows, validity, first, before);
}
