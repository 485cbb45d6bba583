// Rows set aside, many of them, without a fault switch: a table of hundreds of thousands of groups, and memory that is
// refused again and again while rows wait. A push is applied or it is not, and the sums are those of the pushes that were.

import { beforeAll, describe, expect, test } from "vitest";
import { asDraining, encodeAggregateConfig } from "../../bindings/ts/kernel/config.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { Batch, Column, Type } from "../abi/layout.js";
import { AggregateFunction, OperatorKind, OperatorStats } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import { compileBuild, END, fixedBatch, RAW_BUILDS, Raw, writeConfig } from "./testing-raw.js";
import { LASTING, SMALL_TOO } from "./testing-retries.js";

const MORSEL = 65_536;
/** After so many pushes of new keys rows are set aside. */
const BEFORE = 5;
const FAILING = 26;
/** From this one on not one allocation fails, but all from one on. */
const LASTING_FROM = BEFORE + 14;
const PAGES = 6000;

const TYPES = [
  { type: Type.I64, width: 8 },
  { type: Type.I16, width: 2 },
  { type: Type.I8, width: 1 },
];

const EXTREME = { function: AggregateFunction.MAX, argument: 2, type: Type.I8 };
const SUM = { function: AggregateFunction.SUM, argument: 2, type: Type.I8 };

function config(second = EXTREME): Uint8Array {
  const builder = new ProgramBuilder();
  for (const { type } of TYPES) builder.output(builder.load(builder.column(type)));
  return encodeAggregateConfig({
    program: builder.encode(),
    keys: [{ output: 0, type: Type.I64 }],
    aggregates: [{ function: AggregateFunction.SUM, argument: 1, type: Type.I16 }, second],
  });
}

describe.each(RAW_BUILDS)("rows set aside, %s build", (_build, file, shared, base) => {
  let raw: Raw;
  beforeAll(async () => {
    raw = new Raw(await compileBuild(file), shared, base, PAGES);
  });

  /** Room for a batch, of which `fill` writes the rows of a push. */
  function batch(): { at: number; fill: (push: number) => void } {
    const { at, places } = fixedBatch(raw, TYPES, MORSEL);
    const fill = (push: number) => {
      const keys = new BigInt64Array(raw.memory.buffer, places[0], MORSEL);
      const small = new Int16Array(raw.memory.buffer, places[1], MORSEL);
      const least = new Int8Array(raw.memory.buffer, places[2], MORSEL);
      for (let row = 0; row < MORSEL; row++) {
        // Far apart, so that no key is its own place.
        keys[row] = BigInt(push * MORSEL + row) * 1_000_003n;
        small[row] = push - 3;
        least[row] = row % 100;
      }
    };
    return { at, fill };
  }

  test("memory is refused while they wait", { timeout: 120_000 }, () => {
    const bytes = config();
    const handle =
      raw.call(
        "op_create",
        raw.context,
        OperatorKind.HASH_AGGREGATE,
        writeConfig(raw, bytes),
        bytes.length,
      ) >>> 0;
    const { at, fill } = batch();
    const taken: number[] = [];
    for (let push = 0; push < BEFORE + FAILING; push++) {
      fill(push);
      const lasts = push >= LASTING_FROM;
      const nth = ((push - (lasts ? LASTING_FROM : BEFORE)) >> 1) + 1;
      if (push >= BEFORE) raw.call("mem_fail", raw.context, (nth | SMALL_TOO | (lasts ? LASTING : 0)) >>> 0);
      let status = raw.status("op_push", handle, 0, at);
      raw.call("mem_fail", raw.context, 0);
      // Rows that wait are worked off, to make room. Of pushes that are refused every other one comes again.
      if (status === Status.OUT_OF_MEMORY && push % 2 === 0) status = raw.status("op_push", handle, 0, at);
      if (status >= 0) taken.push(push);
    }
    expect(taken.length).toBeGreaterThan(BEFORE + FAILING / 2);
    expect(raw.status("op_stats", handle, raw.out)).toBe(0);
    expect(raw.view.getBigUint64(raw.out + OperatorStats.PARTITIONS, true)).toBe(256n);
    raw.status("op_watermark", handle, 0, END);
    const sums = new Map<number, number>();
    eachGroup(handle, (key, small, least) => {
      const push = Math.floor(key / MORSEL);
      if (small !== push - 3 || least !== (key % MORSEL) % 100) throw new Error(`${key}`);
      sums.set(push, (sums.get(push) ?? 0) + 1);
    });
    expect([...sums].sort(([a], [b]) => a - b)).toEqual(taken.map((push) => [push, MORSEL]));
    expect(raw.status("op_destroy", handle)).toBe(0);
  });

  /** Pulls all results: the key's number, the sum and the maximum of each group. */
  function eachGroup(
    handle: number,
    take: (key: number, small: number, second: number) => void,
    { second = EXTREME, maxRows = MORSEL, fails = false } = {},
  ): void {
    let pulls = 0;
    for (let status: number = Status.HAS_MORE; status === Status.HAS_MORE; pulls++) {
      if (fails && pulls % 3 !== 0) raw.call("mem_fail", raw.context, ((pulls % 7) + 1) | SMALL_TOO);
      status = raw.status("op_pull", handle, raw.out, maxRows, 0);
      raw.call("mem_fail", raw.context, 0);
      if (fails && status === Status.OUT_OF_MEMORY) {
        status = Status.HAS_MORE;
        continue;
      }
      expect(status).toBeGreaterThanOrEqual(0);
      const rows = raw.view.getUint32(raw.out + Batch.ROWS, true);
      if (rows === 0) continue;
      const columns = raw.view.getUint32(raw.out + Batch.DESCRIPTORS, true);
      const values = (index: number) =>
        raw.view.getUint32(columns + index * Column.SIZE + Column.VALUES, true);
      const keys = new BigInt64Array(raw.memory.buffer, values(0), rows);
      const small = new BigInt64Array(raw.memory.buffer, values(1), rows);
      const others =
        second === EXTREME
          ? new Int8Array(raw.memory.buffer, values(2), rows)
          : new BigInt64Array(raw.memory.buffer, values(2), rows);
      for (let row = 0; row < rows; row++)
        take(Number(keys[row]! / 1_000_003n), Number(small[row]), Number(others[row]));
    }
  }

  function tableSlots(handle: number): bigint {
    expect(raw.status("op_stats", handle, raw.out)).toBe(0);
    return raw.view.getBigUint64(raw.out + OperatorStats.TABLE_SLOTS, true);
  }

  test("partitions that wait for the end are met once each, and leave no slots behind", () => {
    const bytes = config();
    const at = writeConfig(raw, bytes);
    const handle = raw.call("op_create", raw.context, OperatorKind.HASH_AGGREGATE, at, bytes.length) >>> 0;
    const input = batch();
    // The last pushes bring keys of others once more: of some that were looked up as they came, and of some that wait.
    const pushes = [0, 1, 2, 3, 4, 5, 6, 7, 2, 6, 6];
    for (const push of pushes) {
      input.fill(push);
      expect(raw.status("op_push", handle, 0, input.at)).toBe(Status.NEED_INPUT);
    }
    const before = tableSlots(handle);
    raw.status("op_watermark", handle, 0, END);
    const groups = new Set<number>();
    eachGroup(handle, (key, small, least) => {
      const push = Math.floor(key / MORSEL);
      const times = pushes.filter((other) => other === push).length;
      if (small !== (push - 3) * times || least !== (key % MORSEL) % 100) throw new Error(`${key}`);
      groups.add(key);
    });
    expect(groups.size).toBe(8 * MORSEL);
    expect(before).toBeGreaterThan(0n);
    expect(tableSlots(handle)).toBe(0n);
    expect(raw.status("op_destroy", handle)).toBe(0);
  });

  test.each([
    { maxRows: MORSEL, fails: false },
    { maxRows: 1000, fails: false },
    { maxRows: MORSEL, fails: true },
    { maxRows: 5000, fails: true },
  ])("sums leave partition by partition, each group once: $maxRows rows, memory fails: $fails", (how) => {
    const bytes = asDraining(config(SUM));
    const at = writeConfig(raw, bytes);
    const handle = raw.call("op_create", raw.context, OperatorKind.HASH_AGGREGATE, at, bytes.length) >>> 0;
    const input = batch();
    const pushes = [0, 1, 2, 3, 4, 5, 6, 7, 2, 6, 6, 9];
    for (const push of pushes) {
      input.fill(push);
      expect(raw.status("op_push", handle, 0, input.at)).toBe(Status.NEED_INPUT);
    }
    raw.status("op_watermark", handle, 0, END);
    const groups = new Set<number>();
    const order: number[] = [];
    const take = (key: number, small: number, second: number) => {
      const push = Math.floor(key / MORSEL);
      const times = pushes.filter((other) => other === push).length;
      if (small !== (push - 3) * times || second !== ((key % MORSEL) % 100) * times)
        throw new Error(`${key}`);
      if (groups.has(key)) throw new Error(`twice: ${key}`);
      groups.add(key);
      if (push !== order.at(-1)) order.push(push);
    };
    eachGroup(handle, take, { second: SUM, ...how });
    expect(groups.size).toBe(9 * MORSEL);
    // Groups from before the end come last, in the order in which they came.
    expect(order.slice(-4)).toEqual([0, 1, 2, 3]);
    expect(raw.status("op_stats", handle, raw.out)).toBe(0);
    expect(raw.view.getBigUint64(raw.out + OperatorStats.GROUPS, true)).toBe(BigInt(9 * MORSEL));
    expect(raw.status("op_destroy", handle)).toBe(0);
  });
});
