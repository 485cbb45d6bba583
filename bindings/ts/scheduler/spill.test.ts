// Spilling: the bits of memory in a fraction of it, faults that are typed errors, and nothing left behind.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Table as ArrowTable, makeVector } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { resultRows } from "../../../test/testing-result.js";
import { type Value, writeBatch, writeColumn } from "../../../twin/values.js";
import {
  approxCountDistinct,
  argMax,
  arrayAgg,
  avg,
  col,
  count,
  countDistinct,
  cube,
  Engine,
  type EngineOptions,
  first,
  from,
  MemoryLimitError,
  max,
  median,
  min,
  type Plan,
  SpillError,
  stringAgg,
  sum,
  topK,
  variance,
} from "../index.js";
import { Operator } from "../kernel/index.js";
import { failure, hostWith } from "../spill/testing-host.js";
import type { BatchData } from "../type/column.js";
import { float64, int32, int64, type Schema, utf8 } from "../type/data-type.js";
import {
  counted,
  expectNoFilesIn,
  memoryEndsAfter,
  type SpillingQuery,
  tellsOfDamagedFiles,
  tellsOfFailedWrites,
} from "./testing-spill.js";

const SCHEMA: Schema = {
  fields: [
    { name: "k", type: int64, nullable: true },
    { name: "text", type: utf8, nullable: true },
    { name: "x", type: float64, nullable: true },
    { name: "n", type: int32, nullable: false },
  ],
};

function cells(row: number): Value[] {
  const mixed = Math.imul(row, 0x9e3779b1) >>> 0;
  return [
    mixed % 101 === 0 ? null : BigInt(mixed % 200_003) * 1_000_003n,
    mixed % 97 === 0 ? null : `text ${mixed % 100_003}`,
    mixed % 83 === 0 ? null : (mixed - 2 ** 31) * 10 ** ((mixed % 40) - 20),
    BigInt(mixed % 1000),
  ];
}

function batch(start: number, end: number): BatchData {
  const rows = Array.from({ length: end - start }, (_, row) => cells(start + row));
  return writeBatch(SCHEMA.fields, rows);
}

const ROWS = 48_000;
const batches = Array.from({ length: 12 }, (_, i) => batch((i * ROWS) / 12, ((i + 1) * ROWS) / 12));

const t = from("t") as Plan;
const AGGREGATIONS = {
  sums: t.groupBy("k").aggregate({ s: sum("x"), a: avg("n"), c: count("x") }) as Plan,
  texts: t.groupBy("text").aggregate({ l: min("text"), v: variance("x"), m: max("x") }) as Plan,
  "two keys": t.groupBy("k", "text").aggregate({ c: count() }) as Plan,
  "keys alone": t.where(col("n").lt(900)).groupBy("k").aggregate({}) as Plan,
  distinct: t.groupBy("k").aggregate({ d: countDistinct("text"), a: approxCountDistinct("n") }) as Plan,
  lists: t
    .groupBy("k")
    .aggregate({ m: median("x"), all: arrayAgg("n"), j: stringAgg("text", ","), t: topK("n", 2) }) as Plan,
  "by order": t.groupBy("k").aggregate({ f: first("text", "n"), g: argMax("x", "n") }) as Plan,
  "grouping sets": t.groupBy(cube("k", "text")).aggregate({ s: sum("x") }) as Plan,
} as const;

const text = (rows: readonly (readonly Value[])[]) =>
  rows
    .map((row) =>
      row.map((cell) => (typeof cell === "number" && Object.is(cell, -0) ? "-0" : String(cell))).join("|"),
    )
    .sort();

let directory: string;
let roomy: Engine;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
  roomy = await Engine.open({ memory: "1 GiB" });
});
afterAll(async () => {
  await roomy.close();
  expect(readdirSync(directory)).toEqual([]);
  rmSync(directory, { recursive: true });
});

/** The result in plenty of memory, and somewhat more than half of what it took there. */
async function inMemory(plan: Plan): Promise<{ expected: string[]; memory: number }> {
  const engine = await Engine.open({ memory: "1 GiB" });
  const expected = text(resultRows(await engine.collect(plan, { t: batches })));
  const { peakBytes } = engine.stats();
  await engine.close();
  return { expected, memory: Math.floor(peakBytes * 0.6) };
}

const open = (memory: number | string, faults?: EngineOptions["faults"]) =>
  Engine.open({ memory, spill: { directory }, ...(faults === undefined ? {} : { faults }) });

const expectNoFiles = (engine: Engine) => expectNoFilesIn(directory, engine, 2 ** 21);

describe("aggregations", () => {
  it.each(Object.entries(AGGREGATIONS))("%s: the bits of memory", async (_name, plan) => {
    const { expected, memory } = await inMemory(plan);
    const small = await Engine.open({ memory });
    await expect(small.collect(plan, { t: batches })).rejects.toThrow(MemoryLimitError);
    await small.close();
    const engine = await open(memory);
    const collected = await engine.collect(plan, { t: batches });
    expect(text(resultRows(collected))).toEqual(expected);
    expect(engine.stats().spill!.bytesWritten).toBeGreaterThan(0);
    expectNoFiles(engine);
    const rows: Value[][] = [];
    for await (const part of engine.stream(plan, { t: batches })) rows.push(...resultRows(part));
    expect(text(rows)).toEqual(expected);
    expectNoFiles(engine);
    await engine.close();
  });

  it("a stream, too, writes rows that bring a group each as they lie", async () => {
    const ROWS = 300_000;
    const keys = BigInt64Array.from({ length: ROWS }, (_, row) => BigInt(row) * 1_000_003n);
    const table = new ArrowTable({ k: makeVector(keys), n: makeVector(new Int32Array(ROWS).fill(2)) });
    const sums = t.groupBy("k").aggregate({ s: sum("n") }) as Plan;
    const written: number[] = [];
    for (const mode of ["batch", "stream"]) {
      const engine = await open("6 MiB");
      let rows = 0;
      if (mode === "batch") rows = (await engine.collect(sums, { t: table })).numRows;
      else
        for await (const part of engine.stream(sums, { t: table }, { batchRows: 8192 })) rows += part.numRows;
      expect(rows).toBe(ROWS);
      written.push(engine.stats().spill!.bytesWritten);
      await engine.close();
    }
    // States take three times as much.
    expect(written[0]).toBeGreaterThan(ROWS * 8);
    expect(written[1]).toBeLessThan(1.3 * written[0]!);
  });

  const plan = AGGREGATIONS.sums;

  it("results stay in the kernel's memory where they fit", async () => {
    const { expected, memory } = await inMemory(plan);
    const engine = await open(memory);
    const kept = await engine.collect(plan, { t: batches }, { result: "kernel" });
    expect(engine.stats().spill!.bytesWritten).toBeGreaterThan(0);
    expect(text(resultRows(kept.toArrow()))).toEqual(expected);
    kept.free();
    expectNoFiles(engine);
    await engine.close();
  });

  it("what fits is not written, with workers as well", async () => {
    for (const workers of [1, 2]) {
      const engine = await Engine.open({ workers, memory: "512 MiB", spill: { directory } });
      const result = await engine.collect(plan, { t: batches });
      expect(result.numRows).toBe((await roomy.collect(plan, { t: batches })).numRows);
      expect(engine.stats().spill).toEqual({ bytesWritten: 0, bytesRead: 0, files: 0, bytes: 0 });
      await engine.close();
    }
    expect(roomy.stats().spill).toBeNull();
  });

  it("several runs at once share the memory", async () => {
    const plans = [AGGREGATIONS.sums, AGGREGATIONS.texts, AGGREGATIONS["keys alone"]];
    const expected = await Promise.all(plans.map((one) => roomy.collect(one, { t: batches })));
    const engine = await open("16 MiB");
    const got = await Promise.all(plans.map((one) => engine.collect(one, { t: batches })));
    for (const [at, result] of got.entries()) {
      expect(text(resultRows(result))).toEqual(text(resultRows(expected[at]!)));
    }
    expectNoFiles(engine);
    await engine.close();
  });

  it("rows that bring a group each leave without having been looked up, also from a memory that is shared", async () => {
    const { expected, memory } = await inMemory(plan);
    for (const workers of [1, 2]) {
      const engine = await Engine.open({ workers, memory, spill: { directory } });
      const back = vi.spyOn(Operator.prototype, "rowsIn");
      expect(text(resultRows(await engine.collect(plan, { t: batches })))).toEqual(expected);
      expect(back.mock.calls.reduce((sum, [, rows]) => sum + rows, 0)).toBeGreaterThan(ROWS / 4);
      back.mockRestore();
      expectNoFiles(engine);
      await engine.close();
    }
  });

  it("a push for which memory ends in the midst of its rows is the run's error, and nothing is written", async () => {
    const { expected, memory } = await inMemory(plan);
    const engine = await open(memory);
    const sound = vi.spyOn(Operator.prototype, "isSound").mockReturnValue(false);
    await expect(engine.collect(plan, { t: batches })).rejects.toThrow(MemoryLimitError);
    expect(sound).toHaveBeenCalledOnce();
    sound.mockRestore();
    expect(engine.stats().spill!.bytesWritten).toBe(0);
    expect(text(resultRows(await engine.collect(plan, { t: batches })))).toEqual(expected);
    expectNoFiles(engine);
    await engine.close();
  });

  /** So many that rows are set aside before memory ends the first time. */
  const MANY = 1_000_000;
  const wide = (keyOf: (row: number) => number): BatchData => {
    const values = [
      Int32Array.from({ length: MANY }, (_, row) => keyOf(row)),
      Float64Array.from({ length: MANY }, (_, row) => (row % 1000) / 8 - 30),
    ];
    const fields = [int32, float64].map((type, at) => ({ name: "kx"[at]!, type, nullable: false }));
    const columns = fields.map(({ type }, at) => ({
      ...writeColumn(type, []),
      length: MANY,
      values: new Uint8Array(values[at]!.buffer),
    }));
    return { schema: { fields }, length: MANY, columns };
  };
  const mixed = (row: number) => Math.imul(row, 0x9e3779b1);

  it.each<[string, (row: number) => number]>([
    ["each key once", mixed],
    ["one key for most rows", (row) => (row % 10 === 0 ? mixed(row) : 7)],
    ["new keys first, then the same ones again", (row) => (row < MANY / 2 ? mixed(row) : mixed(row % 1000))],
    ["every key eight times", (row) => mixed(row % (MANY / 8))],
  ])("a million rows: %s", async (_what, keyOf) => {
    const sums = t.groupBy("k").aggregate({ s: sum("x"), c: count(), m: min("x") }) as Plan;
    const source = { t: [wide(keyOf)] };
    // Whole numbers up to 2^52, which sort as such: the key, and the row behind it.
    const inOrder = (table: ArrowTable) => {
      const [k, ...others] = ["k", "s", "c", "m"].map((name) => table.getChild(name)!.toArray());
      const order = Float64Array.from(k, (key: number, row) => key * 2 ** 20 + row).sort();
      const rows = Uint32Array.from(order, (key) => ((key % 2 ** 20) + 2 ** 20) % 2 ** 20);
      return [k, ...others].map((values) =>
        Buffer.from(values.constructor.from(rows, (row: number) => values[row]).buffer),
      );
    };
    const big = await Engine.open({ memory: "1 GiB" });
    const expected = inOrder(await big.collect(sums, source));
    const peak = big.stats().peakBytes;
    await big.close();
    for (const share of [1.1, 0.7, 0.25]) {
      const engine = await open(Math.max(Math.floor(peak * share), 2 ** 23));
      const got = inOrder(await engine.collect(sums, source));
      expect(got.map((bytes, at) => Buffer.compare(bytes, expected[at]!))).toEqual([0, 0, 0, 0]);
      expectNoFilesIn(directory, engine, 2 ** 22);
      await engine.close();
    }
  });

  it("of one group it cannot divide, an aggregation says what holds the memory", async () => {
    const engine = await open("2 MiB");
    const whole = t.aggregate({ d: countDistinct("text", "k") }) as Plan;
    const error = await engine.collect(whole, { t: batches }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MemoryLimitError);
    const { held, message } = error as MemoryLimitError;
    expect(held.length).toBeGreaterThan(1);
    expect(held.some(({ what, bytes }) => /^hash aggregate/.test(what) && bytes > 2 ** 18)).toBe(true);
    expect(message).toContain(held[0]!.what);
    expectNoFiles(engine);
    await engine.close();
  });

  it("tables that are loaded are told of", async () => {
    const engine = await Engine.open({ memory: (await inMemory(plan)).memory });
    const table = await engine.load(batches);
    const error = await engine.collect(plan, { t: table }).catch((thrown: unknown) => thrown);
    const { held } = error as MemoryLimitError;
    expect(held.find(({ what }) => what === "loaded tables")!.bytes).toBeGreaterThan(2 ** 20);
    table.free();
    await engine.close();
  });
});

describe("faults", () => {
  const plan = AGGREGATIONS.sums;

  async function spilling(): Promise<SpillingQuery & { memory: number }> {
    const { expected, memory } = await inMemory(plan);
    return {
      expected,
      memory,
      open: (spillHost) => open(memory, { spillHost }),
      run: async (engine, options) => text(resultRows(await engine.collect(plan, { t: batches }, options))),
      expectNoFiles,
    };
  }

  it("a write that fails, whichever it is, is a SpillError and leaves the engine as it was", async () => {
    await tellsOfFailedWrites(await spilling());
  });

  it("what has left when memory runs out in the middle is not counted twice", async () => {
    const { expected, memory } = await inMemory(plan);
    const engine = await open(memory);
    // A header is the first batch of each piece: some of these end between two pieces.
    for (const most of [1, 2, 3, 16, 33]) {
      const spy = memoryEndsAfter(most, "snapshotParts");
      expect(text(resultRows(await engine.collect(plan, { t: batches })))).toEqual(expected);
      expect(spy.mock.calls.length).toBeGreaterThan(1);
      spy.mockRestore();
      expectNoFiles(engine);
    }
    await engine.close();
  });

  it("a torn file, or one whose bytes have changed, is a SpillError", async () => {
    await tellsOfDamagedFiles(await spilling());
  });

  it("a run that is aborted, or an engine that is closed, while it spills leaves nothing", async () => {
    const query = await spilling();
    const { counts, engine, writes, again } = await counted(query);
    for (const at of [3, writes >> 1, writes]) {
      const controller = new AbortController();
      counts.onWrite = (nth) => {
        if (nth === at) controller.abort(new Error("enough"));
      };
      await expect(again({ signal: controller.signal })).rejects.toThrow("enough");
      expectNoFiles(engine);
    }
    await engine.close();
    const other = await open(query.memory);
    const left = other.stream(plan, { t: batches });
    await left.next();
    expect(other.stats().spill!.files).toBeGreaterThan(0);
    await left.return();
    expectNoFiles(other);
    const closed = other.stream(plan, { t: batches });
    await closed.next();
    await other.close();
    await expect(closed.next()).rejects.toThrow(/closed/);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("a directory that cannot be written is refused when the engine opens", async () => {
    const spillHost = await hostWith(() => ({
      mkdirSync: () => {
        throw failure("EACCES");
      },
    }));
    await expect(open("5 MiB", { spillHost })).rejects.toThrow(SpillError);
    await expect(Engine.open({ memory: "none", spill: { directory } })).rejects.toThrow(/amount of memory/);
    expect(readdirSync(directory)).toEqual([]);
  });
});
