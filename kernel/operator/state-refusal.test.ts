// Calls that an operator cannot take as it is: after its end, in the midst of a snapshot or a combination, of another
// kind or configuration, by a handle of nothing. Each is refused with its reason, and the operator goes on.

import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  asLeaving,
  encodeAggregateConfig,
  encodeFramesConfig,
  encodeJoinConfig,
  encodeOverConfig,
  encodePartitionConfig,
  encodeProjectConfig,
  encodeSortConfig,
  encodeWindowConfig,
  type JoinConfigSpec,
} from "../../bindings/ts/kernel/config.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { Opcode } from "../abi/instruction.js";
import { Batch, Column, ErrorRecord, Root, Type } from "../abi/layout.js";
import {
  AggregateFault,
  AggregateFunction,
  JoinFault,
  JoinTime,
  JoinType,
  OperatorKind,
} from "../abi/operator.js";
import { FrameFunction, FrameUnit, OverFrame, OverFunction } from "../abi/over.js";
import { Reason, Status } from "../abi/status.js";
import { WindowKind } from "../abi/window.js";
import { compileBuild, END, RAW_BUILDS, Raw, writeConfig } from "./testing-raw.js";

const STALE = 0xffff_ffff;
/** Partitions that an aggregation is divided into. */
const PARTS = 256;
/** Rows that a batch may have, and groups that a call combines. */
const MORSEL = 65_536;
const PAGES = 1600;

function program(type = Type.I64, outputs = 2): Uint8Array {
  const builder = new ProgramBuilder();
  const column = builder.load(builder.column(type));
  for (let output = 0; output < outputs; output++) builder.output(column);
  return builder.encode();
}

const aggregates = (fn = AggregateFunction.SUM, grouped = true) => ({
  program: program(),
  keys: grouped ? [{ output: 0, type: Type.I64 }] : [],
  aggregates: [{ function: fn, argument: 0, type: Type.I64 }],
});
const SUMS = encodeAggregateConfig(aggregates());
const CHANGES = encodeAggregateConfig({ ...aggregates(), changelog: true });
const AVERAGES = encodeAggregateConfig(aggregates(AggregateFunction.AVG));
const SKETCHES = encodeAggregateConfig(aggregates(AggregateFunction.APPROX_COUNT_DISTINCT));
const ONE_SUM = encodeAggregateConfig(aggregates(AggregateFunction.SUM, false));
const COLUMNS = encodeProjectConfig(program(), 2);
const WINDOWS = encodeWindowConfig({
  kind: WindowKind.TUMBLE,
  time: 0,
  length: 10n,
  aggregate: aggregates(),
});
const SESSIONS = encodeWindowConfig({
  kind: WindowKind.SESSION,
  time: 0,
  length: 10n,
  aggregate: aggregates(),
});

/** Two outputs: the column, and one that is computed of it. */
function computedTime(): Uint8Array {
  const builder = new ProgramBuilder();
  const column = builder.load(builder.column(Type.I64));
  builder.output(column);
  builder.output(builder.emit(Opcode.ADD, Type.I64, { a: column, b: builder.literal(Type.I64, 1n) }));
  return builder.encode();
}

const join = (change: Partial<JoinConfigSpec> = {}) =>
  encodeJoinConfig({
    type: JoinType.INNER,
    keys: 1,
    left: program(),
    right: program(),
    outputs: [
      { port: 0, output: 0 },
      { port: 1, output: 0 },
    ],
    ...change,
  });

describe.each(RAW_BUILDS)("calls in the wrong state, %s build", (_build, file, shared, base) => {
  let module: WebAssembly.Module;
  let raw: Raw;
  beforeAll(async () => {
    module = await compileBuild(file);
  });
  beforeEach(() => {
    raw = new Raw(module, shared, base, PAGES);
  });

  function make(kind: OperatorKind, config: Uint8Array): number {
    const handle = raw.call("op_create", raw.context, kind, writeConfig(raw, config), config.length) >>> 0;
    expect(handle).not.toBe(0);
    return handle;
  }

  /** One column of the numbers below `rows`, in memory of its own. */
  function batch(rows: number): number {
    const at = raw.call("mem_alloc", raw.context, Batch.SIZE + Column.SIZE + 8 * rows) >>> 0;
    expect(at).not.toBe(0);
    const column = at + Batch.SIZE;
    const values = column + Column.SIZE;
    raw.bytes.fill(0, at, values);
    const { view } = raw;
    view.setUint32(at + Batch.ROWS, rows, true);
    view.setUint32(at + Batch.COLUMNS, 1, true);
    view.setUint32(at + Batch.DESCRIPTORS, column, true);
    view.setUint32(column + Column.TYPE, Type.I64, true);
    view.setUint32(column + Column.LENGTH, rows, true);
    view.setUint32(column + Column.VALUES, values, true);
    view.setUint32(column + Column.VALUES_BYTES, 8 * rows, true);
    for (let row = 0; row < rows; row++) view.setBigInt64(values + 8 * row, BigInt(row), true);
    return at;
  }

  function filled(config: Uint8Array, rows: number): number {
    const handle = make(OperatorKind.HASH_AGGREGATE, config);
    expect(raw.status("op_push", handle, 0, batch(rows))).toBe(Status.NEED_INPUT);
    return handle;
  }

  function refused(status: Status, reason: Reason, name: string, ...values: (number | bigint)[]): void {
    expect([name, values, raw.status(name, ...values)]).toEqual([name, values, status]);
    const record = raw.call("last_error", raw.context) >>> 0;
    expect([name, raw.view.getUint32(record + ErrorRecord.REASON, true)]).toEqual([name, reason]);
  }
  const bad = (reason: Reason, name: string, ...values: (number | bigint)[]) =>
    refused(Status.BAD_ARGUMENT, reason, name, ...values);
  const busy = (name: string, ...values: (number | bigint)[]) =>
    refused(Status.BUSY, Reason.NONE, name, ...values);

  test("handles of nothing, and of the operator itself", () => {
    const { out } = raw;
    const handle = make(OperatorKind.HASH_AGGREGATE, SUMS);
    for (const [name, ...values] of [
      ["op_push", 0, out],
      ["op_pull", out, 1, 0],
      ["op_watermark", 0, 0n],
      ["op_snapshot", out, 1],
      ["op_snapshot_parts", out, 1, 8],
      ["op_merge", out],
      ["op_rows_out", out],
      ["op_rows_in", out, 1, 0, 1, 1],
      ["op_divide", PARTS],
      ["op_ready"],
      ["op_ready_part", 0],
      ["op_release"],
      ["op_destroy"],
      ["op_stats", out],
      ["op_late", out],
      ["op_combine", handle],
      ["op_combine_part", handle, 0],
      ["op_pack", 0],
      ["op_alike", handle],
      ["op_pass", out],
      ["op_attach", handle, 0],
    ] as [string, ...(number | bigint)[]][])
      bad(Reason.BAD_HANDLE, name, STALE, ...values);
    bad(Reason.BAD_HANDLE, "op_combine", handle, STALE);
    bad(Reason.BAD_HANDLE, "op_divide", handle, PARTS, STALE);
    bad(Reason.BAD_HANDLE, "op_combine_part", handle, STALE, 0);
    bad(Reason.BAD_HANDLE, "op_pack", handle, STALE);
    bad(Reason.BAD_HANDLE, "op_pack", handle, handle);
    bad(Reason.BAD_HANDLE, "op_alike", handle, STALE);
    bad(Reason.BAD_HANDLE, "op_attach", handle, STALE, 0);
    bad(Reason.BAD_HANDLE, "op_combine", handle, handle);
    bad(Reason.BAD_HANDLE, "op_combine_part", handle, handle, 0);
    bad(Reason.BAD_HANDLE, "op_attach", handle, handle, 0);
    expect(raw.call("op_time", raw.context, STALE)).toBe(-(2n ** 63n));
    expect(raw.status("op_destroy", handle)).toBe(0);
  });

  test("more operators than there are handles", () => {
    const one = encodeProjectConfig(program(Type.I8, 1), 1);
    const idle = raw.used;
    const handles: number[] = [];
    for (let slot = 1; slot < Root.HANDLE_COUNT; slot++) handles.push(make(OperatorKind.PROJECT, one));
    const full = raw.used;
    for (const [kind, config] of [
      [OperatorKind.PROJECT, one],
      [OperatorKind.HASH_AGGREGATE, SUMS],
      [OperatorKind.WINDOW_AGGREGATE, WINDOWS],
      [OperatorKind.JOIN, join()],
    ] as const) {
      expect(raw.call("op_create", raw.context, kind, writeConfig(raw, config), config.length)).toBe(0);
      const record = raw.call("last_error", raw.context) >>> 0;
      expect(raw.view.getInt32(record + ErrorRecord.STATUS, true)).toBe(Status.OUT_OF_MEMORY);
      expect(raw.view.getUint32(record + ErrorRecord.REASON, true)).toBe(Reason.BAD_HANDLE);
      expect(raw.used).toEqual(full);
    }
    for (const handle of handles) expect(raw.status("op_destroy", handle)).toBe(0);
    expect(raw.used).toEqual(idle);
  });

  test("an account that is charged while it is closed", () => {
    const account = raw.call("mem_account", raw.context, 4096) >>> 0;
    expect(raw.call("mem_charge", raw.context, account)).toBe(1);
    expect(raw.call("mem_alloc", raw.context, 8192)).toBe(0);
    expect(raw.call("mem_account_close", raw.context, account)).toBe(1);
    expect(raw.call("mem_account_close", raw.context, account)).toBe(0);
    // Nothing is charged to it any more, so that its limit does not count.
    expect(raw.call("mem_alloc", raw.context, 8192)).not.toBe(0);
  });

  test("what a kind does not know", () => {
    const { out } = raw;
    const project = make(OperatorKind.PROJECT, COLUMNS);
    const sums = filled(SUMS, 100);
    const windows = make(OperatorKind.WINDOW_AGGREGATE, WINDOWS);
    const sketches = make(OperatorKind.HASH_AGGREGATE, SKETCHES);
    const divided = filled(SUMS, 100);
    expect(raw.status("op_divide", divided, PARTS)).toBe(0);
    bad(Reason.STATE_KIND, "op_merge", project, out);
    bad(Reason.STATE_KIND, "op_snapshot", project, out, 1);
    bad(Reason.STATE_KIND, "op_snapshot_parts", windows, out, 1, 8);
    bad(Reason.STATE_KIND, "op_snapshot_parts", make(OperatorKind.HASH_AGGREGATE, ONE_SUM), out, 1, 8);
    for (const [target, source] of [
      [project, sums],
      [sums, project],
      [make(OperatorKind.HASH_AGGREGATE, CHANGES), make(OperatorKind.HASH_AGGREGATE, CHANGES)],
    ])
      bad(Reason.STATE_KIND, "op_combine", target!, source!);
    bad(Reason.STATE_KIND, "op_alike", project, sums);
    bad(Reason.STATE_KIND, "op_alike", sums, windows);
    bad(Reason.STATE_KIND, "op_pass", sums, batch(1));
    bad(Reason.STATE_KIND, "op_pass", make(OperatorKind.WINDOW_AGGREGATE, SESSIONS), batch(1));
    for (const handle of [project, sketches, make(OperatorKind.HASH_AGGREGATE, ONE_SUM)])
      bad(Reason.STATE_KIND, "op_divide", handle, 0);
    for (const [target, source] of [
      [project, divided],
      [sums, project],
      [sums, sketches],
      [sketches, divided],
    ])
      bad(Reason.STATE_KIND, "op_combine_part", target!, source!, 0);
    bad(Reason.STATE_KIND, "op_attach", project, sums, 0);
    for (const handle of [project, windows]) {
      bad(Reason.STATE_KIND, "op_ready", handle);
      bad(Reason.STATE_KIND, "op_ready_part", handle, 0);
    }
    bad(Reason.BAD_CONFIG, "op_ready_part", sums, 128);
    bad(Reason.BAD_CONFIG, "op_ready_part", make(OperatorKind.JOIN, join()), 64);
    bad(Reason.STATE_KIND, "op_rows_out", project, out);
    for (const handle of [project, sketches, windows, make(OperatorKind.HASH_AGGREGATE, ONE_SUM)])
      bad(Reason.STATE_KIND, "op_rows_in", handle, out, 1, 0, 1, 1);
    bad(Reason.BAD_CONFIG, "op_rows_in", sums, out, 1, PARTS, 1, 1);
    for (const [at, rows] of [
      [0, 1],
      [out + 4, 1],
      [out, 2 ** 32 - 1],
      [2 ** 32 - 8, 1],
    ] as const)
      bad(Reason.BAD_BATCH, "op_rows_in", sums, at, rows, 0, 1, 1);
    bad(Reason.BAD_BATCH, "op_rows_out", sums, out + 4);
    expect(raw.status("op_rows_out", sums, out)).toBe(Status.FINISHED);
    bad(Reason.BAD_HANDLE, "op_late", project, out);
    bad(Reason.BAD_CONFIG, "op_late", windows, out);
    const averages = make(OperatorKind.HASH_AGGREGATE, AVERAGES);
    bad(Reason.STATE_CONFIG, "op_combine", averages, sums);
    bad(Reason.STATE_CONFIG, "op_alike", averages, sums);
    bad(Reason.STATE_CONFIG, "op_divide", averages, PARTS, sums);
    bad(Reason.STATE_KIND, "op_divide", averages, PARTS, project);
    bad(Reason.STATE_KIND, "op_pack", project, 0);
    bad(Reason.STATE_KIND, "op_pack", averages, project);
    bad(Reason.STATE_KIND, "op_pack", averages, 0);
    bad(Reason.STATE_CONFIG, "op_combine_part", averages, divided, 0);
    bad(Reason.BAD_CONFIG, "op_divide", sums, 8);
    bad(Reason.BAD_CONFIG, "op_combine_part", sums, divided, PARTS);
    expect(raw.status("op_divide", sums, 0)).toBe(Status.NEED_INPUT);
  });

  test("windows that are shown what another operator takes", () => {
    const timed = (bound: bigint, computed = false) =>
      make(
        OperatorKind.WINDOW_AGGREGATE,
        encodeWindowConfig({
          kind: WindowKind.TUMBLE,
          time: computed ? 1 : 0,
          length: 100n,
          bound,
          aggregate: { ...aggregates(), program: computed ? computedTime() : program() },
        }),
      );
    const time = (handle: number) => raw.call("op_time", raw.context, handle) as unknown as bigint;
    // Only the host moves the time of one; what the other's is the batch does not say as it is.
    expect(raw.status("op_pass", timed(-1n), batch(50))).toBe(Status.NEED_INPUT);
    expect(raw.status("op_pass", timed(5n, true), batch(50))).toBe(Status.HAS_MORE);
    const keeper = timed(5n);
    const none = time(keeper);
    // The first batch of all, one that closes nothing, and one that closes a window.
    expect(raw.status("op_pass", keeper, batch(50))).toBe(Status.HAS_MORE);
    expect(time(keeper)).toBe(none);
    expect(raw.status("op_push", keeper, 0, batch(50))).toBe(Status.NEED_INPUT);
    expect(raw.status("op_pass", keeper, batch(105))).toBe(Status.NEED_INPUT);
    expect(time(keeper)).toBe(98n);
    expect(raw.status("op_pass", keeper, batch(80))).toBe(Status.NEED_INPUT);
    expect(raw.status("op_pass", keeper, batch(0))).toBe(Status.NEED_INPUT);
    expect(raw.status("op_pass", keeper, batch(106))).toBe(Status.HAS_MORE);
    expect(time(keeper)).toBe(98n);
    // A time around which there is no window.
    const far = batch(1);
    raw.view.setBigInt64(raw.view.getUint32(far + Batch.SIZE + Column.VALUES, true), END - 1n, true);
    expect(raw.status("op_pass", keeper, far)).toBe(Status.HAS_MORE);
    bad(Reason.BAD_BATCH, "op_pass", keeper, batch(1) + 4);
    bad(Reason.TOO_MANY_ROWS, "op_pass", keeper, batch(MORSEL + 1));
    const odd = batch(1);
    raw.view.setUint32(odd + Batch.COLUMNS, 0, true);
    expect(raw.status("op_pass", keeper, odd)).toBe(raw.status("op_push", keeper, 0, odd));
    expect(raw.status("op_push", keeper, 0, batch(106))).toBe(Status.HAS_MORE);
    busy("op_pass", keeper, batch(1));
    expect(raw.status("op_watermark", keeper, 0, END)).toBe(Status.HAS_MORE);
    bad(Reason.PORT_CLOSED, "op_pass", keeper, batch(1));
  });

  test("after the end", () => {
    const { out } = raw;
    const ended = filled(SUMS, 100);
    const sums = filled(SUMS, 100);
    const divided = filled(SUMS, 100);
    expect(raw.status("op_divide", divided, PARTS)).toBe(0);
    expect(raw.status("op_watermark", ended, 0, END)).toBe(Status.HAS_MORE);
    bad(Reason.PORT_CLOSED, "op_push", ended, 0, batch(1));
    bad(Reason.PORT_CLOSED, "op_merge", ended, out);
    bad(Reason.PORT_CLOSED, "op_combine", ended, sums);
    bad(Reason.PORT_CLOSED, "op_combine", sums, ended);
    bad(Reason.PORT_CLOSED, "op_divide", ended, PARTS);
    bad(Reason.PORT_CLOSED, "op_combine_part", ended, divided, 0);
    bad(Reason.PORT_CLOSED, "op_rows_in", ended, out, 1, 0, 1, 1);
    expect(raw.status("op_pull", ended, out, MORSEL, 0)).toBe(Status.HAS_MORE);
    expect(raw.view.getUint32(out + Batch.ROWS, true)).toBe(100);
  });

  test("in the midst of a snapshot", () => {
    const { out } = raw;
    const open = filled(SUMS, 100);
    const sums = filled(SUMS, 100);
    const divided = filled(SUMS, 100);
    expect(raw.status("op_divide", divided, PARTS)).toBe(0);
    expect(raw.status("op_snapshot", open, out, 64)).toBe(Status.HAS_MORE);
    busy("op_push", open, 0, batch(1));
    busy("op_pull", open, out, 1, 0);
    busy("op_watermark", open, 0, 0n);
    busy("op_merge", open, out);
    busy("op_divide", open, PARTS);
    busy("op_combine", open, sums);
    busy("op_combine", sums, open);
    busy("op_combine_part", open, divided, 0);
    busy("op_ready", open);
    busy("op_ready", divided);
    busy("op_rows_in", open, out, 1, 0, 1, 1);
    busy("op_rows_out", open, out);
    busy("op_rows_out", divided, out);
    expect(raw.status("op_release", open)).toBe(0);
    expect(raw.status("op_combine", open, sums)).toBe(Status.NEED_INPUT);
  });

  test("while rows leave", () => {
    const { out } = raw;
    const open = filled(asLeaving(SUMS, "aside"), 100);
    const other = make(OperatorKind.HASH_AGGREGATE, SUMS);
    expect(raw.status("op_rows_out", open, out)).toBe(Status.HAS_MORE);
    const [rows, at, part] = [Batch.ROWS, Batch.DESCRIPTORS, Batch.PARTITION].map((field) =>
      raw.view.getUint32(out + field, true),
    );
    busy("op_push", open, 0, batch(1));
    busy("op_pull", open, out, 1, 0);
    busy("op_watermark", open, 0, 0n);
    busy("op_merge", open, out);
    busy("op_snapshot", open, out, 64);
    busy("op_snapshot_parts", open, out, 64, 8);
    busy("op_divide", open, PARTS);
    busy("op_combine", open, other);
    busy("op_rows_in", open, at!, rows!, part!, rows!, rows!);
    expect(raw.status("op_rows_in", other, at!, rows!, part!, rows!, rows!)).toBe(Status.NEED_INPUT);
    expect(raw.status("op_release", open)).toBe(0);
    // It begins anew.
    expect(raw.status("op_rows_out", open, out)).toBe(Status.HAS_MORE);
    expect(raw.view.getUint32(out + Batch.DESCRIPTORS, true)).toBe(at);
    expect(raw.status("op_release", open)).toBe(0);
    expect(raw.status("op_watermark", open, 0, END)).toBe(Status.HAS_MORE);
    expect(raw.status("op_pull", open, out, MORSEL, 0)).toBeGreaterThanOrEqual(0);
    while (raw.view.getUint32(out + Batch.ROWS, true) === 0) raw.status("op_pull", open, out, MORSEL, 0);
    busy("op_rows_out", open, out);
  });

  test("parts of a snapshot that is open cannot change", () => {
    const { out } = raw;
    const open = filled(SUMS, 100);
    expect(raw.status("op_snapshot_parts", open, out, 64, 8)).toBe(Status.HAS_MORE);
    expect(raw.status("op_release", open)).toBe(0);
    for (const parts of [0, 65_537]) bad(Reason.STATE_KIND, "op_snapshot_parts", open, out, 64, parts);
  });

  test("what a merge has brought to a changelog leaves before a snapshot", () => {
    const { out } = raw;
    const log = make(OperatorKind.HASH_AGGREGATE, CHANGES);
    const sums = filled(SUMS, 100);
    const pull = () => {
      expect(raw.status("op_pull", log, out, MORSEL, 0)).toBe(Status.NEED_INPUT);
      return raw.view.getUint32(out + Batch.ROWS, true);
    };
    expect(raw.status("op_push", log, 0, batch(10))).toBe(Status.HAS_MORE);
    expect(pull()).toBe(10);
    for (let status: number = Status.HAS_MORE; status === Status.HAS_MORE; ) {
      status = raw.status("op_snapshot", sums, out, MORSEL);
      if (raw.view.getUint32(out + Batch.COLUMNS, true) !== 0) raw.status("op_merge", log, out);
    }
    busy("op_snapshot", log, out, MORSEL);
    expect(raw.status("op_push", log, 0, batch(1))).toBe(Status.HAS_MORE);
    // Those that were there change, but for the sum of zeros, the others come.
    expect(pull()).toBe(9 * 2 + 90);
    expect(raw.status("op_snapshot", log, out, MORSEL)).toBe(Status.HAS_MORE);
  });

  test("rows that cannot be computed, and results that do not fit", () => {
    const { out } = raw;
    const builder = new ProgramBuilder();
    const column = builder.load(builder.column(Type.I64));
    builder.output(column);
    // Fits up to a row of 4; the sum of two such does not.
    const most = builder.literal(Type.I64, 2n ** 63n - 5n);
    builder.output(builder.emit(Opcode.ADD, Type.I64, { a: column, b: most }));
    const retract = builder.output(builder.literal(Type.I8, 0n));
    const bytes = builder.encode();
    const sum = { function: AggregateFunction.SUM, argument: 1, type: Type.I64 };
    const aggregate = { program: bytes, keys: [], aggregates: [sum] };
    const by = { output: 0, type: Type.I64 };
    const asideFaults = { keys: [by], faults: AggregateFault.SET_ASIDE };
    for (const [kind, config, atPull] of [
      [OperatorKind.PROJECT, encodeProjectConfig(bytes, 3), false],
      [OperatorKind.PARTITION, encodePartitionConfig(bytes, 3, 1, 3), false],
      [OperatorKind.SORT, encodeSortConfig({ program: bytes, keys: [] }), false],
      [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(aggregate), true],
      [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig({ ...aggregate, ...asideFaults }), false],
      [
        OperatorKind.WINDOW_AGGREGATE,
        encodeWindowConfig({ kind: WindowKind.TUMBLE, time: 0, length: 100n, aggregate }),
        true,
      ],
      [
        OperatorKind.WINDOW_AGGREGATE,
        encodeWindowConfig({
          kind: WindowKind.SESSION,
          time: 0,
          length: 100n,
          aggregate: { ...aggregate, changelog: true },
        }),
        true,
      ],
      [
        OperatorKind.WINDOW_AGGREGATE,
        encodeWindowConfig({
          kind: WindowKind.HOP,
          time: 0,
          length: 100n,
          step: 10n,
          lateness: 10n,
          aggregate: { ...aggregate, changelog: true },
        }),
        true,
      ],
      [
        OperatorKind.OVER,
        encodeOverConfig({
          frame: OverFrame.ROWS,
          carried: 2,
          order: [0],
          functions: [{ kind: OverFunction.AGGREGATE }],
          aggregate,
        }),
        true,
      ],
      [
        OperatorKind.OVER,
        encodeOverConfig({
          frame: OverFrame.ALL,
          carried: 2,
          order: [0],
          functions: [{ kind: OverFunction.AGGREGATE }],
          aggregate,
        }),
        true,
      ],
      [
        OperatorKind.FRAMES,
        encodeFramesConfig({
          unit: FrameUnit.ROWS,
          start: null,
          end: null,
          carried: 2,
          kept: 2,
          order: [0],
          functions: [{ kind: FrameFunction.AGGREGATE, column: 0 }],
          aggregate: { ...aggregate, retract },
        }),
        true,
      ],
    ] as const) {
      // The rows of 5 and above do not fit: all of the push is refused.
      const early = make(kind, config);
      expect([kind, raw.status("op_push", early, 0, batch(6))]).toEqual([kind, Status.OVERFLOW]);
      refused(Status.FAILED, Reason.NONE, "op_push", early, 0, batch(1));
      expect(raw.status("op_destroy", early)).toBe(0);
      if (!atPull) continue;
      const late = make(kind, config);
      let status = raw.status("op_push", late, 0, batch(4));
      if (status >= 0) status = raw.status("op_watermark", late, 0, END);
      for (let pull = 0; pull < 9 && status >= 0; pull++) {
        status = raw.status("op_pull", late, out, MORSEL, 0);
        if (status === Status.FINISHED) break;
      }
      expect([kind, status]).toEqual([kind, Status.OVERFLOW]);
      refused(Status.FAILED, Reason.NONE, "op_pull", late, out, MORSEL, 0);
      expect(raw.status("op_destroy", late)).toBe(0);
    }
  });

  test("rows of joins that cannot be computed, or that their filter leaves out", () => {
    const { out } = raw;
    const builder = new ProgramBuilder();
    const column = builder.load(builder.column(Type.I64));
    builder.filter(
      builder.emit(Opcode.NOT_EQUAL, Type.I64, {
        a: column,
        b: builder.literal(Type.I64, 0n),
        target: Type.BOOL,
      }),
    );
    const kept = builder.load(0);
    builder.output(kept);
    builder.output(
      builder.emit(Opcode.ADD, Type.I64, { a: kept, b: builder.literal(Type.I64, 2n ** 63n - 5n) }),
    );
    const side = builder.encode();
    const latest = { mode: JoinTime.BACKWARD, tolerance: null, strict: false } as const;
    for (const [change, first] of [
      [{}, false],
      [{ buildFirst: true }, true],
      [{ buildFirst: true, keys: 0 }, true],
      [{ keys: 0, time: { mode: JoinTime.WITHIN, low: 0n, high: 1n } }, false],
      [{ keys: 0, time: latest }, true],
      [{ keys: 0, time: latest }, false],
      [{ corrects: true }, false],
    ] satisfies [Partial<JoinConfigSpec>, boolean][]) {
      const handle = make(OperatorKind.JOIN, join({ ...change, left: side, right: side }));
      const drain = () => {
        for (let status: number = Status.HAS_MORE; status === Status.HAS_MORE; )
          status = raw.status("op_pull", handle, out, MORSEL, 0);
      };
      if (first) {
        expect(raw.status("op_push", handle, 1, batch(3))).toBeGreaterThanOrEqual(0);
        raw.status("op_watermark", handle, 1, END);
        drain();
      }
      // The one row has no key.
      expect(raw.status("op_push", handle, 0, batch(1))).toBeGreaterThanOrEqual(0);
      drain();
      expect(raw.status("op_push", handle, 0, batch(4))).toBeGreaterThanOrEqual(0);
      drain();
      expect([change, raw.status("op_push", handle, 0, batch(6))]).toEqual([change, Status.OVERFLOW]);
      refused(Status.FAILED, Reason.NONE, "op_push", handle, 0, batch(1));
      expect(raw.status("op_destroy", handle)).toBe(0);
    }
  });

  test("pairs of rows whose condition cannot be computed", () => {
    const { out } = raw;
    const builder = new ProgramBuilder();
    const [a, b] = [0, 1].map(() => builder.load(builder.column(Type.I64)));
    const most = builder.literal(Type.I64, 2n ** 63n - 5n);
    const sum = builder.emit(Opcode.ADD, Type.I64, { a: a!, b: most });
    builder.filter(builder.emit(Opcode.NOT_EQUAL, Type.I64, { a: sum, b: b!, target: Type.BOOL }));
    builder.output(builder.emit(Opcode.ROW_INDEX, Type.U32));
    const columns = [0, 1].map((port) => ({ port, output: 0 }));
    for (const corrects of [false, true]) {
      const config = join({ corrects, residual: { program: builder.encode(), columns } });
      const handle = make(OperatorKind.JOIN, config);
      expect(raw.status("op_push", handle, 1, batch(6))).toBe(Status.NEED_INPUT);
      for (const [rows, status] of [
        [4, Status.NEED_INPUT],
        [6, Status.OVERFLOW],
      ] as const) {
        expect(raw.status("op_push", handle, 0, batch(rows))).toBe(Status.HAS_MORE);
        expect([rows, raw.status("op_pull", handle, out, MORSEL, 0)]).toEqual([rows, status]);
      }
      refused(Status.FAILED, Reason.NONE, "op_pull", handle, out, MORSEL, 0);
      expect(raw.status("op_destroy", handle)).toBe(0);
    }
  });

  test("parts of rows that were set aside another way", () => {
    const faults = AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT;
    const aside = encodeAggregateConfig({ ...aggregates(), faults });
    const few = make(OperatorKind.HASH_AGGREGATE, aside);
    // The first push brings the table, the second is set aside.
    for (const rows of [100, 16]) expect(raw.status("op_push", few, 0, batch(rows))).toBe(Status.NEED_INPUT);
    expect(raw.status("op_divide", few, PARTS)).toBe(Status.NEED_INPUT);
    const sums = filled(SUMS, 10);
    let status = 0;
    for (let part = 0; part < PARTS && status >= 0; part++)
      status = raw.status("op_combine_part", sums, few, part);
    expect(status).toBe(Status.BAD_ARGUMENT);
    refused(Status.FAILED, Reason.NONE, "op_combine_part", sums, few, 0);
  });

  describe("pushes of several aggregations together", () => {
    const COLUMNS_2 = 2;
    const rowed = encodeAggregateConfig({
      program: new ProgramBuilder().encode(),
      keys: [],
      aggregates: [{ function: AggregateFunction.COUNT_ROWS }],
    });

    /** The sets in memory of their own, each with the leader's outputs that it reads. */
    function sets(...members: (readonly [handle: number, ...outputs: number[]])[]): number {
      const numbers = members.flatMap(([, ...outputs]) => outputs);
      const at = raw.call("mem_alloc", raw.context, 8 * members.length + 4 * numbers.length + 8) >>> 0;
      let from = at + 8 * members.length;
      for (const [index, [handle, ...outputs]] of members.entries()) {
        raw.view.setUint32(at + 8 * index, handle, true);
        raw.view.setUint32(at + 8 * index + 4, from, true);
        for (const output of outputs) {
          raw.view.setUint32(from, output, true);
          from += 4;
        }
      }
      return at;
    }

    test("that are not there, not of the kind, or not fed by the program", () => {
      const leader = make(OperatorKind.PROJECT, COLUMNS);
      const [sums, partial] = [
        make(OperatorKind.HASH_AGGREGATE, SUMS),
        make(OperatorKind.HASH_AGGREGATE, encodeAggregateConfig({ ...aggregates(), partial: true })),
      ];
      const rows = batch(10);
      const one = sets([sums, 1, 0]);
      bad(Reason.BAD_HANDLE, "op_push_together", STALE, rows, one, 1);
      bad(Reason.STATE_KIND, "op_push_together", sums, rows, one, 1);
      bad(Reason.BAD_BATCH, "op_push_together", leader, 0, one, 1);
      bad(Reason.BAD_BATCH, "op_push_together", leader, raw.size - 8, one, 1);
      for (const count of [0, 257]) bad(Reason.BAD_CONFIG, "op_push_together", leader, rows, one, count);
      for (const at of [0, one + 4, raw.size - 8])
        bad(Reason.BAD_CONFIG, "op_push_together", leader, rows, at, 2);
      bad(Reason.BAD_HANDLE, "op_push_together", leader, rows, sets([STALE, 1, 0]), 1);
      bad(Reason.BAD_HANDLE, "op_push_together", leader, rows, sets([sums, 1, 0], [sums, 1, 0]), 2);
      bad(Reason.STATE_KIND, "op_push_together", leader, rows, sets([leader, 1, 0]), 1);
      bad(Reason.STATE_KIND, "op_push_together", leader, rows, sets([partial!, 1, 0]), 1);
      bad(Reason.STATE_CONFIG, "op_push_together", leader, rows, sets([sums, 1, COLUMNS_2]), 1);
      const texts = make(OperatorKind.PROJECT, encodeProjectConfig(program(Type.BYTES), 2));
      bad(Reason.STATE_CONFIG, "op_push_together", texts, rows, one, 1);
      for (const wild of [raw.size - 4, one + 2]) {
        const list = sets([sums, 1, 0]);
        raw.view.setUint32(list + 4, wild, true);
        bad(Reason.BAD_CONFIG, "op_push_together", leader, rows, list, 1);
      }
      const many = batch(MORSEL);
      raw.view.setUint32(many + Batch.ROWS, MORSEL + 1, true);
      bad(Reason.TOO_MANY_ROWS, "op_push_together", leader, many, one, 1);
      expect(raw.status("op_push_together", leader, rows, one, 1)).toBe(Status.NEED_INPUT);
    });

    test("of which one reads more outputs than all may", () => {
      const wide = program(Type.I64, 4096);
      const leader = make(OperatorKind.PROJECT, encodeProjectConfig(wide, 4096));
      const config = encodeAggregateConfig({ ...aggregates(), program: wide });
      const outputs = Array.from({ length: 4096 }, (_, output) => output);
      const members = Array.from(
        { length: 5 },
        () => [make(OperatorKind.HASH_AGGREGATE, config), ...outputs] as const,
      );
      bad(Reason.BAD_CONFIG, "op_push_together", leader, batch(10), sets(...members), 5);
      const fewer = sets(...members.slice(1));
      expect(raw.status("op_push_together", leader, batch(10), fewer, 4)).toBe(Status.NEED_INPUT);
    });

    test("that have ended, failed, or are at something else", () => {
      const { out } = raw;
      const leader = make(OperatorKind.PROJECT, COLUMNS);
      const sums = make(OperatorKind.HASH_AGGREGATE, SUMS);
      const rows = batch(10);
      const log = make(OperatorKind.HASH_AGGREGATE, CHANGES);
      const count = make(OperatorKind.HASH_AGGREGATE, rowed);
      const both = sets([log, 0, 1], [sums, 1, 0], [count]);
      expect(raw.status("op_push_together", leader, rows, both, 3)).toBe(Status.HAS_MORE);
      busy("op_push_together", leader, rows, both, 3);
      expect(raw.status("op_pull", log, out, MORSEL, 0)).toBe(Status.NEED_INPUT);
      expect(raw.view.getUint32(out + Batch.ROWS, true)).toBe(10);
      expect(raw.status("op_snapshot", sums, out, 4)).toBe(Status.HAS_MORE);
      busy("op_push_together", leader, rows, both, 3);
      expect(raw.status("op_release", sums)).toBe(0);
      const idle = sets([sums, 0, 1]);
      expect(raw.status("op_push", leader, 0, rows)).toBe(Status.HAS_MORE);
      busy("op_push_together", leader, rows, idle, 1);
      expect(raw.status("op_pull", leader, out, MORSEL, 0)).toBe(Status.NEED_INPUT);
      expect(raw.status("op_watermark", log, 0, END)).toBe(Status.HAS_MORE);
      bad(Reason.PORT_CLOSED, "op_push_together", leader, rows, both, 3);

      // A row that cannot be computed ends all that take it.
      const builder = new ProgramBuilder();
      const column = builder.load(builder.column(Type.I64));
      const most = builder.literal(Type.I64, 2n ** 63n - 3n);
      builder.output(builder.emit(Opcode.ADD, Type.I64, { a: column, b: most }));
      builder.output(column);
      const overflows = make(OperatorKind.PROJECT, encodeProjectConfig(builder.encode(), 2));
      const pair = sets([sums, 0, 1], [count]);
      expect(raw.status("op_push_together", overflows, rows, pair, 2)).toBe(Status.OVERFLOW);
      refused(Status.FAILED, Reason.NONE, "op_push_together", leader, rows, pair, 2);
      for (const handle of [overflows, sums, count])
        refused(Status.FAILED, Reason.NONE, "op_push", handle, 0, rows);
      expect(raw.status("op_push", leader, 0, rows)).toBe(Status.HAS_MORE);
    });
  });

  test("once divided", () => {
    const { out } = raw;
    const divided = filled(SUMS, 100);
    const sums = filled(SUMS, 100);
    expect(raw.status("op_divide", divided, PARTS)).toBe(0);
    busy("op_push", divided, 0, batch(1));
    busy("op_pull", divided, out, 1, 0);
    busy("op_snapshot", divided, out, 1);
    busy("op_divide", divided, PARTS);
    busy("op_combine", divided, sums);
    busy("op_combine", sums, divided);
    for (let part = 0; part < PARTS; part++)
      expect(raw.status("op_combine_part", sums, divided, part)).toBe(Status.NEED_INPUT);
  });

  test("in the midst of a combination", () => {
    const { out } = raw;
    const sums = filled(SUMS, 100);
    const many = filled(SUMS, MORSEL);
    const other = filled(SUMS, 100);
    expect(raw.status("op_combine", sums, many)).toBe(Status.HAS_MORE);
    busy("op_push", sums, 0, batch(1));
    busy("op_merge", sums, out);
    busy("op_snapshot", sums, out, 1);
    busy("op_divide", sums, PARTS);
    busy("op_combine", sums, other);
    busy("op_combine", other, sums);
    expect(raw.status("op_combine", sums, many)).toBe(Status.NEED_INPUT);
    expect(raw.status("op_combine", sums, other)).toBe(Status.NEED_INPUT);
    // What has come in part cannot be undone.
    expect(raw.status("op_combine", other, many)).toBe(Status.HAS_MORE);
    expect(raw.status("op_release", other)).toBe(0);
    refused(Status.FAILED, Reason.NONE, "op_combine", other, many);
  });

  test("sorts among what is asked of any two operators", () => {
    const { out, view } = raw;
    const config = encodeSortConfig({
      program: program(),
      keys: [{ output: 0, descending: false, nullsFirst: false }],
    });
    const sort = () => make(OperatorKind.SORT, config);
    const filledSort = (rows: number) => {
      const handle = sort();
      expect(raw.status("op_push", handle, 0, batch(rows))).toBe(Status.NEED_INPUT);
      return handle;
    };
    const sums = filled(SUMS, 10);
    const leader = sort();
    const some = filledSort(10);
    view.setUint32(out, some, true);
    for (const [reason, handle] of [
      [Reason.BAD_HANDLE, STALE],
      [Reason.STATE_KIND, sums],
    ] as const) {
      bad(reason, "op_measure", handle);
      bad(reason, "op_split", handle, out, 1, 8);
      bad(reason, "op_divide_by", handle, leader);
      bad(reason, "op_divide_by", some, handle);
      bad(reason, "op_take_parts", handle, leader, 0, 1);
      bad(reason, "op_take_parts", leader, handle, 0, 1);
    }
    bad(Reason.BAD_HANDLE, "op_combine", STALE, 0);
    expect(raw.status("op_combine", some, 0)).toBe(Status.NEED_INPUT);
    const target = filledSort(20);
    const many = filledSort(MORSEL);
    expect(raw.status("op_push", many, 0, batch(MORSEL))).toBe(Status.NEED_INPUT);
    expect(raw.status("op_combine", target, many)).toBe(Status.HAS_MORE);
    for (const [name, ...values] of [["op_measure"], ["op_split", out, 1, 8]] as const)
      busy(name, target, ...values);
    // Rows that have come in part cannot be given back.
    expect(raw.status("op_release", target)).toBe(Status.NEED_INPUT);
    refused(Status.FAILED, Reason.NONE, "op_combine", target, many);
    expect(raw.status("op_measure", some)).toBe(Status.NEED_INPUT);
  });

  test("windows in the midst of a combination", () => {
    const config = encodeWindowConfig({
      kind: WindowKind.TUMBLE,
      time: 0,
      length: 40_000n,
      aggregate: aggregates(),
    });
    const windows = (rows: number) => {
      const handle = make(OperatorKind.WINDOW_AGGREGATE, config);
      expect(raw.status("op_push", handle, 0, batch(rows))).toBeGreaterThanOrEqual(0);
      return handle;
    };
    const target = windows(10);
    expect(raw.status("op_combine", target, windows(MORSEL))).toBe(Status.HAS_MORE);
    busy("op_merge", target, batch(1));
    expect(raw.status("op_release", target)).toBe(Status.NEED_INPUT);
    refused(Status.FAILED, Reason.NONE, "op_merge", target, batch(1));
  });

  test("readers of what another join keeps", () => {
    const { out } = raw;
    const owner = make(OperatorKind.JOIN, join());
    const reader = make(OperatorKind.JOIN, join());
    busy("op_attach", reader, owner, 1);
    expect(raw.status("op_push", owner, 1, batch(100))).toBe(Status.NEED_INPUT);
    expect(raw.status("op_watermark", owner, 1, END)).toBe(Status.HAS_MORE);
    expect(raw.status("op_pull", owner, out, 1, 0)).toBe(Status.NEED_INPUT);
    bad(Reason.BAD_PORT, "op_attach", reader, owner, 2);
    busy("op_attach", reader, owner, 0);
    for (const change of [
      { type: JoinType.LEFT },
      { nullsEqual: true },
      { faults: JoinFault.HASH_ZERO },
      { keys: 2 },
      { left: program(Type.I32), right: program(Type.I32) },
      { outputs: [{ port: 0, output: 0 }] },
      {
        outputs: [
          { port: 0, output: 1 },
          { port: 1, output: 0 },
        ],
      },
      {
        outputs: [
          { port: 0, output: 0 },
          { port: 1, output: 0 },
          { port: 1, output: 1 },
        ],
      },
    ] satisfies Partial<JoinConfigSpec>[])
      bad(Reason.STATE_CONFIG, "op_attach", make(OperatorKind.JOIN, join(change)), owner, 1);
    const within = { mode: JoinTime.WITHIN, low: 0n, high: 1n } as const;
    bad(Reason.STATE_KIND, "op_attach", make(OperatorKind.JOIN, join({ time: within })), owner, 1);
    const semi = join({ type: JoinType.SEMI, outputs: [{ port: 0, output: 0 }] });
    bad(Reason.STATE_KIND, "op_attach", make(OperatorKind.JOIN, semi), make(OperatorKind.JOIN, semi), 0);
    expect(raw.status("op_attach", reader, owner, 1)).toBe(Status.NEED_INPUT);
    busy("op_attach", reader, owner, 1);
    bad(Reason.PORT_CLOSED, "op_watermark", reader, 0, END);
    bad(Reason.PORT_CLOSED, "op_push", reader, 1, batch(1));
    expect(raw.status("op_push", reader, 0, batch(10))).toBe(Status.HAS_MORE);
    expect(raw.status("op_pull", reader, out, MORSEL, 0)).toBe(Status.NEED_INPUT);
    expect(raw.view.getUint32(out + Batch.ROWS, true)).toBe(10);
    expect(raw.status("op_destroy", owner)).toBe(0);
    bad(Reason.BAD_HANDLE, "op_push", reader, 0, batch(10));
    bad(Reason.BAD_HANDLE, "op_pull", reader, out, MORSEL, 0);
    expect(raw.status("op_destroy", reader)).toBe(0);
  });
});
