// Rows set aside by ranges of their groups, many of them, without a fault switch: groups that keep more than the caches hold.

import { beforeAll, describe, expect, test } from "vitest";
import { asExpecting, encodeAggregateConfig } from "../../bindings/ts/kernel/config.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { Batch, Column, Type } from "../abi/layout.js";
import { AggregateFunction, OperatorKind, OperatorStats } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import { compileBuild, END, fixedBatch, RAW_BUILDS, Raw, writeConfig } from "./testing-raw.js";
import { LASTING, SMALL_TOO } from "./testing-retries.js";

const MORSEL = 65_536;
const GROUPS = 900_000;
/** So many rows come for the first groups before any is set aside. */
const BEFORE = 24;
const FAILING = 30;
/** From this one on not one allocation fails, but all from one on; and floats may be null. */
const LASTING_FROM = BEFORE + 16;
const PAGES = 16_000;

const TYPES = [
  { type: Type.I32, width: 4 },
  { type: Type.I16, width: 2 },
  { type: Type.F64, width: 8 },
];

function config(): Uint8Array {
  const builder = new ProgramBuilder();
  for (const { type } of TYPES) builder.output(builder.load(builder.column(type)));
  const bytes = encodeAggregateConfig({
    program: builder.encode(),
    keys: [{ output: 0, type: Type.I32 }],
    aggregates: [
      { function: AggregateFunction.SUM, argument: 1, type: Type.I16 },
      { function: AggregateFunction.SUM, argument: 2, type: Type.F64 },
      { function: AggregateFunction.MAX, argument: 1, type: Type.I16 },
    ],
  });
  return asExpecting(bytes, 2 ** 21);
}

/** What each group is to have. */
class Twin {
  readonly rows = new Int32Array(GROUPS);
  readonly small = new Int32Array(GROUPS);
  readonly floats = new Float64Array(GROUPS);
  readonly valid = new Uint8Array(GROUPS);
  readonly most = new Int16Array(GROUPS).fill(-32768);
}

/** The rows of a push: those of a run of groups in order, or spread over all. */
interface Rows {
  readonly push: number;
  readonly inOrder?: boolean;
  readonly nulls?: boolean;
}

const groupOf = ({ push, inOrder }: Rows, row: number) => {
  const at = push * MORSEL + row;
  return inOrder ? at % GROUPS : (at * 389_573) % GROUPS;
};
const smallOf = ({ push }: Rows, row: number) => ((row + push) % 500) - 100;
const floatOf = ({ push }: Rows, row: number) => ((row * 3 + push) % 4000) / 4 - 300;
const isNull = ({ nulls }: Rows, row: number) => nulls === true && row % 5 === 2;

function add(twin: Twin, rows: Rows): void {
  for (let row = 0; row < MORSEL; row++) {
    const group = groupOf(rows, row);
    twin.rows[group]!++;
    twin.small[group]! += smallOf(rows, row);
    twin.most[group] = Math.max(twin.most[group]!, smallOf(rows, row));
    if (isNull(rows, row)) continue;
    twin.floats[group]! += floatOf(rows, row);
    twin.valid[group] = 1;
  }
}

describe.each(RAW_BUILDS)("rows set aside by ranges of groups, %s build", (_build, file, shared, base) => {
  let raw: Raw;
  beforeAll(async () => {
    raw = new Raw(await compileBuild(file), shared, base, PAGES);
  });

  function create(): number {
    const bytes = config();
    const at = writeConfig(raw, bytes);
    return raw.call("op_create", raw.context, OperatorKind.HASH_AGGREGATE, at, bytes.length) >>> 0;
  }

  /** Room for a batch, of which `fill` writes the rows of a push. */
  function batch(): { at: number; fill: (rows: Rows) => void } {
    const { at, places, spare } = fixedBatch(raw, TYPES, MORSEL, MORSEL / 8);
    const fill = (rows: Rows) => {
      const keys = new Int32Array(raw.memory.buffer, places[0], MORSEL);
      const small = new Int16Array(raw.memory.buffer, places[1], MORSEL);
      const floats = new Float64Array(raw.memory.buffer, places[2], MORSEL);
      const validity = raw.bytes.subarray(spare, spare + MORSEL / 8).fill(0);
      for (let row = 0; row < MORSEL; row++) {
        keys[row] = groupOf(rows, row) - 1000;
        small[row] = smallOf(rows, row);
        floats[row] = floatOf(rows, row);
        if (!isNull(rows, row)) validity[row >> 3]! |= 1 << (row & 7);
      }
      const column = at + Batch.SIZE + 2 * Column.SIZE;
      raw.view.setInt32(column + Column.NULL_COUNT, rows.nulls ? -1 : 0, true);
      raw.view.setUint32(column + Column.VALIDITY, rows.nulls ? spare : 0, true);
      raw.view.setUint32(column + Column.VALIDITY_BYTES, rows.nulls ? MORSEL / 8 : 0, true);
    };
    return { at, fill };
  }

  function stat(handle: number, field: OperatorStats): number {
    expect(raw.status("op_stats", handle, raw.out)).toBe(0);
    return Number(raw.view.getBigUint64(raw.out + field, true));
  }

  /** Pulls all results, some pulls without memory, and holds them against the twin. */
  function compare(handle: number, twin: Twin, fails: boolean): void {
    raw.status("op_watermark", handle, 0, END);
    let groups = 0;
    let pulls = 0;
    for (let status: number = Status.HAS_MORE; status === Status.HAS_MORE; pulls++) {
      if (fails && pulls % 3 !== 0) raw.call("mem_fail", raw.context, ((pulls % 7) + 1) | SMALL_TOO);
      status = raw.status("op_pull", handle, raw.out, MORSEL, 0);
      raw.call("mem_fail", raw.context, 0);
      if (fails && status === Status.OUT_OF_MEMORY) {
        status = Status.HAS_MORE;
        continue;
      }
      expect(status).toBeGreaterThanOrEqual(0);
      groups += compareRows(twin);
    }
    expect(groups).toBe(twin.rows.filter((rows) => rows !== 0).length);
  }

  function compareRows(twin: Twin): number {
    const { view } = raw;
    const rows = view.getUint32(raw.out + Batch.ROWS, true);
    if (rows === 0) return 0;
    const columns = view.getUint32(raw.out + Batch.DESCRIPTORS, true);
    const field = (index: number, which: Column) =>
      view.getUint32(columns + index * Column.SIZE + which, true);
    const keys = new Int32Array(raw.memory.buffer, field(0, Column.VALUES), rows);
    const small = new BigInt64Array(raw.memory.buffer, field(1, Column.VALUES), rows);
    const floats = new Float64Array(raw.memory.buffer, field(2, Column.VALUES), rows);
    const most = new Int16Array(raw.memory.buffer, field(3, Column.VALUES), rows);
    const validity = field(2, Column.VALIDITY);
    for (let row = 0; row < rows; row++) {
      const group = keys[row]! + 1000;
      const valid = validity === 0 || ((raw.bytes[validity + (row >> 3)]! >> (row & 7)) & 1) !== 0;
      const sound =
        Number(small[row]) === twin.small[group] &&
        most[row] === twin.most[group] &&
        valid === (twin.valid[group] === 1) &&
        (!valid || floats[row] === twin.floats[group]);
      if (!sound) throw new Error(`group ${group}`);
    }
    return rows;
  }

  test("memory is refused while they wait", { timeout: 120_000 }, () => {
    const handle = create();
    const { at, fill } = batch();
    const twin = new Twin();
    let taken = 0;
    let parts = 0;
    for (let push = 0; push < BEFORE + FAILING; push++) {
      const rows = { push, nulls: push >= LASTING_FROM };
      fill(rows);
      const lasts = push >= LASTING_FROM;
      const nth = ((push - (lasts ? LASTING_FROM : BEFORE)) >> 1) + 1;
      if (push >= BEFORE) raw.call("mem_fail", raw.context, (nth | SMALL_TOO | (lasts ? LASTING : 0)) >>> 0);
      let status = raw.status("op_push", handle, 0, at);
      raw.call("mem_fail", raw.context, 0);
      // Of pushes that are refused every other one comes again.
      if (status === Status.OUT_OF_MEMORY && push % 2 === 0) status = raw.status("op_push", handle, 0, at);
      expect([push, status]).toEqual([push, status < 0 ? Status.OUT_OF_MEMORY : Status.NEED_INPUT]);
      parts += stat(handle, OperatorStats.PARTITIONS) === 256 ? 1 : 0;
      if (status < 0) continue;
      add(twin, rows);
      taken++;
    }
    expect(taken).toBeGreaterThan(BEFORE + FAILING / 2);
    expect(parts).toBeGreaterThan(0);
    compare(handle, twin, true);
    expect(raw.status("op_destroy", handle)).toBe(0);
  });

  test("rows that come group by group are not set aside, those that come afterwards are", () => {
    const handle = create();
    const { at, fill } = batch();
    const twin = new Twin();
    const parts: number[] = [];
    for (let push = 0; push < BEFORE + 4; push++) {
      // The first rows say that there are so many groups.
      const rows = { push, inOrder: push > 0 && push < BEFORE };
      fill(rows);
      add(twin, rows);
      expect(raw.status("op_push", handle, 0, at)).toBe(Status.NEED_INPUT);
      parts.push(stat(handle, OperatorStats.PARTITIONS));
    }
    expect(parts.slice(0, BEFORE)).toEqual(parts.slice(0, BEFORE).fill(0));
    expect(parts.slice(BEFORE)).toEqual([256, 256, 256, 256]);
    compare(handle, twin, false);
    expect(raw.status("op_destroy", handle)).toBe(0);
  });

  test("what waits is in a state, and what comes afterwards waits again", () => {
    const [first, second] = [create(), create()];
    const { at, fill } = batch();
    const twin = new Twin();
    for (let push = 0; push < BEFORE + 6; push++) {
      const rows = { push, nulls: push % 3 === 0 };
      fill(rows);
      add(twin, rows);
      expect(raw.status("op_push", first, 0, at)).toBe(Status.NEED_INPUT);
      if (push !== BEFORE + 3) continue;
      for (let status: number = Status.HAS_MORE; status === Status.HAS_MORE; ) {
        status = raw.status("op_snapshot", first, raw.out, MORSEL);
        if (raw.view.getUint32(raw.out + Batch.COLUMNS, true) === 0) break;
        expect(raw.status("op_merge", second, raw.out)).toBeGreaterThanOrEqual(0);
      }
      expect(stat(first, OperatorStats.PARTITIONS)).toBe(256);
      expect(stat(second, OperatorStats.GROUPS)).toBe(GROUPS);
    }
    compare(first, twin, false);
    expect(raw.status("op_destroy", first)).toBe(0);
    expect(raw.status("op_destroy", second)).toBe(0);
  });
});
