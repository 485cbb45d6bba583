// What `engine.profile` says is what happened: rows and groups are exact, times add up, the tree is the plan's.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RecordBatch, tableFromArrays } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  col,
  count,
  Engine,
  from,
  hop,
  type OperatorProfile,
  type Plan,
  type ProfileOptions,
  sum,
  timestamp,
  tumble,
  UnknownColumnError,
} from "../index.js";

const ROWS = 200_000;
const items = 500;

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open({ memory: "512 MiB" });
});
afterAll(() => engine.close());

const sales = tableFromArrays({
  item: Int32Array.from({ length: ROWS }, (_, row) => (row * 7919) % items),
  amount: Float64Array.from({ length: ROWS }, (_, row) => row / 8),
  ts: BigInt64Array.from({ length: ROWS }, (_, row) => BigInt(row)),
});
const names = tableFromArrays({
  item: Int32Array.from({ length: items }, (_, item) => item),
  shop: Int32Array.from({ length: items }, (_, item) => item % 10),
});

function flat(operator: OperatorProfile): OperatorProfile[] {
  return [operator, ...operator.inputs.flatMap(flat)];
}

const plans: Record<string, { plan: Plan<unknown>; rows: number; tree: string[] }> = {
  "an aggregation": {
    plan: from("sales")
      .where(col("item").lt(100))
      .groupBy("item")
      .aggregate({ total: sum("amount") }) as Plan<unknown>,
    rows: 100,
    tree: ["hash aggregate", "read"],
  },
  "a projection, a sort and a limit": {
    plan: from("sales")
      .select("item", { twice: col("amount").mul(2) })
      .orderBy("twice")
      .limit(7) as Plan<unknown>,
    rows: 7,
    tree: ["limit", "read"],
  },
  "a join and an aggregation": {
    plan: from("sales")
      .join(from("names"), { on: "item" })
      .groupBy("shop")
      .aggregate({ n: count() }) as Plan<unknown>,
    rows: 10,
    tree: ["hash aggregate", "join", "read", "read"],
  },
  "a join": {
    plan: from("sales").join(from("names"), { on: "item" }) as Plan<unknown>,
    rows: ROWS,
    tree: ["join", "read", "read"],
  },
  "a union": {
    plan: from("sales").select("item").unionAll(from("names").select("item")) as Plan<unknown>,
    rows: ROWS + items,
    tree: ["union all", "project", "read", "project", "read"],
  },
  windows: {
    plan: from("sales")
      .withColumns({ time: col("ts").cast(timestamp("ms")) })
      .window(hop("time", "20 seconds", "10 seconds"))
      .aggregate({ n: count() }) as Plan<unknown>,
    rows: 21,
    tree: ["window aggregate", "read"],
  },
};

describe.each(Object.keys(plans))("%s", (name) => {
  const { plan, rows, tree } = plans[name]!;
  it.each(["batch", "stream"] as const)("%s", async (mode) => {
    const before = engine.stats().usedBytes;
    const inputs = { sales, names };
    const { result, profile } = await engine.profile(plan, inputs, { mode });
    expect(result.numRows).toBe(rows);
    expect(profile.mode).toBe(mode);
    expect(profile.rowsOut).toBe(rows);
    const operators = flat(profile.plan);
    expect(operators.map((operator) => operator.name)).toEqual(tree);
    expect(new Set(operators.map(({ id }) => id)).size).toBe(operators.length);
    const sources = operators.filter((operator) => operator.name === "read");
    expect(profile.rowsIn).toBe(sources.reduce((total, { rowsOut }) => total + rowsOut, 0));
    for (const operator of operators) {
      const given = operator.inputs.reduce((total, { rowsOut }) => total + rowsOut, 0);
      if (operator.name !== "read") expect(operator.rowsIn).toBe(given);
      expect(operator.kernelMs).toBeLessThanOrEqual(operator.ms + 1e-6);
      expect(operator.rowsSelected).toBeLessThanOrEqual(operator.rowsIn);
    }
    const spent = operators
      .filter((operator) => operator.name !== "read")
      .reduce((ms, one) => ms + one.ms, 0);
    expect(spent).toBeLessThanOrEqual(profile.wallMs);
    const parts = profile.kernelMs + profile.typescriptMs + profile.waitingMs;
    expect(parts).toBeCloseTo(profile.wallMs, 6);
    expect(profile.kernelMs).toBeGreaterThan(0);
    for (const { start, ms, operator } of profile.slices) {
      expect(start).toBeGreaterThanOrEqual(0);
      expect(start + ms).toBeLessThanOrEqual(profile.wallMs + 1e-6);
      expect(operators.some(({ id }) => id === operator)).toBe(true);
    }
    expect(profile.slicesDropped).toBe(0);
    expect(engine.stats().usedBytes).toBe(before);
  });
});

it("figures of an aggregation: rows, groups, bytes, keys", async () => {
  const plan = from("sales")
    .where(col("item").lt(100))
    .groupBy("item")
    .aggregate({ total: sum("amount") });
  const { profile } = await engine.profile(plan, { sales });
  const selected = sales
    .getChild("item")!
    .toArray()
    .filter((item: number) => item < 100).length;
  expect(profile.plan).toMatchObject({
    detail: "sum(amount) by item where item < 100",
    rowsIn: ROWS,
    rowsSelected: selected,
    rowsOut: 100,
    batchesIn: 4,
    groups: 100,
    keyTier: "direct",
    bytesRead: ROWS * (4 + 8),
    lateRows: 0,
  });
  expect(profile.plan.bytesWritten).toBeGreaterThanOrEqual(100 * 12);
  expect(profile.plan.peakStateBytes).toBeGreaterThan(100 * 8);
  expect(profile.plan.nsPerRow).toBeCloseTo((profile.plan.ms * 1e6) / ROWS, 6);
});

it("parts of a sort and of a large aggregation", async () => {
  const sorted = await engine.profile(from("sales").orderBy("item", "amount"), { sales });
  expect(flat(sorted.profile.plan)[0]!.partitions).toBeGreaterThan(1);
  const rows = 700_000;
  const keys = tableFromArrays({ k: Float64Array.from({ length: rows }, (_, row) => (row * 7919) % rows) });
  const grouped = await engine.profile(from("keys").groupBy("k").aggregate({ n: count() }), { keys });
  expect(grouped.profile.plan).toMatchObject({ groups: rows, keyTier: "hash", partitions: 256 });
  expect(grouped.profile.plan.probeLength).toBeGreaterThan(0);
});

it("runs and states that were written for want of memory, and brought together", async () => {
  const directory = mkdtempSync(join(tmpdir(), "millrace-profile-spill-"));
  const rows = 200_000;
  const wide = tableFromArrays({
    k: Float64Array.from({ length: rows }, (_, row) => (row * 7919) % rows),
    v: Float64Array.from({ length: rows }, (_, row) => row),
  });
  const batches = wide.batches.flatMap((batch) =>
    Array.from({ length: 20 }, (_, part) => batch.slice(part * 10_000, (part + 1) * 10_000)),
  ) as RecordBatch[];
  const small = await Engine.open({ memory: "4 MiB", spill: { directory } });
  try {
    const plans = [
      from("wide").orderBy("k"),
      from("wide")
        .groupBy("k")
        .aggregate({ v: sum("v") }),
    ] as Plan<unknown>[];
    for (const plan of plans) {
      const { profile } = await small.profile(plan, { wide: batches }, { mode: "stream" });
      expect(profile.plan.runsMerged).toBeGreaterThan(1);
      expect(profile.plan.rowsOut).toBe(rows);
    }
  } finally {
    await small.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

describe("two workers", () => {
  const rows = 2_000_000;
  const wide = tableFromArrays({
    key: Int32Array.from({ length: rows }, (_, row) => (row * 7919) % 1000),
    many: Int32Array.from({ length: rows }, (_, row) => (row * 7919) % 900_001),
    amount: Float64Array.from({ length: rows }, (_, row) => row / 8),
  });
  let shared: Engine;
  beforeAll(async () => {
    shared = await Engine.open({ workers: 2, memory: "1 GiB" });
    await shared.ready();
  });
  afterAll(() => shared.close());

  const shares = {
    "few groups": from("wide")
      .where(col("key").lt(500))
      .groupBy("key")
      .aggregate({ total: sum("amount") }),
    "many groups, divided and combined": from("wide")
      .groupBy("many")
      .aggregate({ total: sum("amount") }),
    "a projection": from("wide")
      .where(col("key").lt(500))
      .select({ twice: col("amount").mul(2) }),
    "a sort, divided among ranges": from("wide").orderBy("many", "amount"),
    "windows of a history": from("wide")
      .withColumns({ time: col("many").mul(10).cast(timestamp("ms")) })
      .window(tumble("time", "1 hour"))
      .groupBy("key")
      .aggregate({ total: sum("amount") }),
    "a join": from("wide")
      .join(from("names"), { on: { key: "item" } })
      .select("shop"),
  } as const;

  it.each(Object.keys(shares) as (keyof typeof shares)[])("%s: each thread's pieces", async (name) => {
    const before = shared.stats().usedBytes;
    const inputs = { wide, names };
    const plan = shares[name] as Plan<unknown>;
    const { result, profile } = await shared.profile(plan, inputs);
    const alone = await engine.profile(plan, inputs);
    expect(result.numRows).toBe(alone.result.numRows);
    expect(profile.workers).toHaveLength(2);
    expect(alone.profile.workers).toEqual([]);
    const [operator, same] = [flat(profile.plan), flat(alone.profile.plan)].map((all) =>
      all.map(({ name, rowsIn, rowsSelected, rowsOut }) => ({ name, rowsIn, rowsSelected, rowsOut })),
    );
    expect(operator).toEqual(same);
    // A sort of more than a million rows takes them in two rounds.
    const merged = { "a sort, divided among ranges": 4, "a projection": 0, "a join": 0 } as Record<
      string,
      number
    >;
    expect(profile.plan.runsMerged).toBe(merged[name] ?? 2);
    const others = profile.slices.filter(({ worker }) => worker === 1);
    expect(others.length).toBe(profile.workers[1]!.morsels);
    const busy = others.reduce((ms, one) => ms + one.ms, 0);
    expect(busy).toBeCloseTo(profile.workers[1]!.busyMs, 0);
    expect(flat(profile.plan).reduce((ms, { workersMs }) => ms + workersMs, 0)).toBeCloseTo(busy, 6);
    for (const { start, ms, operator, piece } of others) {
      expect(start).toBeGreaterThanOrEqual(0);
      expect(start + ms).toBeLessThanOrEqual(profile.wallMs + 0.01);
      expect(piece).toBeGreaterThanOrEqual(0);
      expect(operator).toBe(profile.plan.inputs[0]!.name === "read" ? profile.plan.id : operator);
    }
    const ends = others.map(({ start, ms }) => start + ms);
    expect(others.slice(1).every(({ start }, index) => start >= ends[index]! - 0.01)).toBe(true);
    const parts = profile.kernelMs + profile.typescriptMs + profile.waitingMs;
    expect(parts).toBeCloseTo(profile.wallMs, 6);
    expect(shared.stats().usedBytes).toBe(before);
  });
});

it("windows close while a stream runs, and are counted", async () => {
  const plan = from("sales")
    .withColumns({ time: col("ts").cast(timestamp("ms")) })
    .window(tumble("time", "10 seconds"))
    .aggregate({ n: count() });
  const batches = sales.batches.flatMap((batch) =>
    Array.from({ length: 10 }, (_, part) => batch.slice(part * 20_000, (part + 1) * 20_000)),
  ) as RecordBatch[];
  const options: ProfileOptions = { mode: "stream", batchRows: 100 };
  const { profile } = await engine.profile(plan, { sales: batches }, options);
  expect(profile.plan.openWindows).toBeGreaterThan(0);
  expect(profile.plan.rowsOut).toBe(20);
});

it("an error leaves the engine as it was, and unmeasured", async () => {
  const before = engine.stats().usedBytes;
  const plan = from("sales").groupBy("itm").aggregate({ n: count() });
  await expect(engine.profile(plan, { sales })).rejects.toThrow(UnknownColumnError);
  await expect(engine.profile(plan, { sales }, { mode: "stream" })).rejects.toThrow(UnknownColumnError);
  await expect(engine.profile(plan, { sales }, { mode: "both" as never })).rejects.toThrow(
    /mode is "batch" or "stream"/,
  );
  expect(engine.stats()).toMatchObject({ usedBytes: before, activeRuns: 0 });
  expect((await engine.collect(from("sales").limit(1), { sales })).numRows).toBe(1);
});
