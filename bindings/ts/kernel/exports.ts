// The exports of a kernel module, as TypeScript sees them: the signatures of kernel/index.ts.
//
// Every address and handle is an unsigned 32-bit number, but comes back from WebAssembly as a signed
// one: callers write `>>> 0`.

export interface KernelExports {
  ctx_init(base: number, length: number, flags: number): number;
  last_error(context: number): number;
  mem_alloc(context: number, bytes: number): number;
  mem_free(context: number, address: number): number;
  mem_budget(context: number, bytes: number): void;
  mem_account(context: number, limit: number): number;
  mem_charge(context: number, account: number): number;
  mem_account_close(context: number, account: number): number;
  mem_fail(context: number, nth: number): void;
  op_create(context: number, kind: number, config: number, length: number): number;
  op_push(context: number, handle: number, port: number, batch: number): number;
  op_push_together(context: number, handle: number, batch: number, sets: number, count: number): number;
  op_watermark(context: number, handle: number, port: number, time: bigint): number;
  op_pull(context: number, handle: number, out: number, maxRows: number, maxBytes: number): number;
  op_snapshot(context: number, handle: number, out: number, maxRows: number): number;
  op_snapshot_parts(context: number, handle: number, out: number, maxRows: number, parts: number): number;
  op_rows_out(context: number, handle: number, out: number): number;
  op_rows_in(
    context: number,
    handle: number,
    rows: number,
    count: number,
    part: number,
    here: number,
    waiting: number,
  ): number;
  op_merge(context: number, handle: number, batch: number): number;
  op_combine(context: number, handle: number, source: number): number;
  op_fold(context: number, handle: number, source: number): number;
  op_fold_part(context: number, handle: number, source: number, part: number): number;
  op_alike(context: number, handle: number, source: number): number;
  op_pass(context: number, handle: number, batch: number): number;
  op_divide(context: number, handle: number, parts: number, like: number): number;
  op_pack(context: number, handle: number, like: number): number;
  op_combine_part(context: number, handle: number, source: number, part: number): number;
  op_ready(context: number, handle: number): number;
  op_ready_part(context: number, handle: number, part: number): number;
  op_share(context: number, handle: number, source: number, part: number, parts: number): number;
  op_measure(context: number, handle: number): number;
  op_split(context: number, handle: number, handles: number, count: number, parts: number): number;
  op_divide_by(context: number, handle: number, leader: number): number;
  op_take_parts(context: number, handle: number, leader: number, first: number, count: number): number;
  op_attach(context: number, handle: number, source: number, port: number): number;
  op_release(context: number, handle: number): number;
  op_destroy(context: number, handle: number): number;
  op_stats(context: number, handle: number, out: number): number;
  op_time(context: number, handle: number): bigint;
  op_late(context: number, handle: number, out: number): number;
  codes_bytes(
    context: number,
    dictionary: number,
    codes: number,
    rows: number,
    validity: number,
    first: number,
  ): bigint;
  codes_spell(
    context: number,
    dictionary: number,
    codes: number,
    rows: number,
    validity: number,
    first: number,
    before: number,
  ): number;
}
