// A stream that is saved between any two batches, and goes on from there in another engine, gives what it would have given
// without that, bit for bit.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ArgumentError,
  asc,
  avg,
  CheckpointError,
  ClosedError,
  CorruptStateError,
  col,
  count,
  countDistinct,
  cumulate,
  Engine,
  float64,
  from,
  global,
  groupingSets,
  hop,
  int32,
  lit,
  max,
  median,
  type Plan,
  type Run,
  readCheckpoint,
  type StreamOptions,
  session,
  sum,
  timestamp,
  tumble,
  utf8,
} from "../bindings/ts/index.js";
import { BUILDS } from "../bindings/ts/kernel/testing.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { type Value, writeBatch } from "../twin/values.js";
import { consolidate, fingerprint, resultRows } from "./testing-result.js";

let engines: Engine[];
beforeAll(async () => {
  engines = await Promise.all(BUILDS.map((build) => Engine.open({ build, memory: "256 MiB" })));
});
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

const FIELDS = [
  { name: "ts", type: timestamp("ms"), nullable: true },
  { name: "key", type: utf8, nullable: true },
  { name: "value", type: float64, nullable: true },
  { name: "part", type: int32, nullable: true },
];

type Rows = readonly (readonly Value[])[];

const batchOf = (rows: Rows): BatchData => writeBatch(FIELDS, rows);

/** Times that go on and sometimes back, values of any size. */
function rowsOf(count: number, seed: number): Value[][] {
  return Array.from({ length: count }, (_, row) => {
    const pick = (row * 7919 + seed * 104729) % 1000;
    return [
      pick % 97 === 0 ? null : BigInt(row * 3 + ((row * 17 + seed * 5) % 41)),
      pick % 11 === 0 ? null : ["a", "bb", "é", ""][pick % 4]!,
      [pick / 7, 1e300, -1e300, Number.NaN, -0, 0.1, null][pick % 23] ?? pick * 0.1,
      BigInt(pick % 5),
    ];
  });
}

/** Rows in batches of the given sizes; the last one repeats. */
function batches(rows: Rows, sizes: readonly number[]): Rows[] {
  const cut: Rows[] = [];
  for (let start = 0; start < rows.length; ) {
    const size = sizes[Math.min(cut.length, sizes.length - 1)]!;
    cut.push(rows.slice(start, start + size));
    start += size;
  }
  return cut;
}

const t = () => from("t") as Plan;
const aggregates = { total: sum("value"), n: count(), kinds: countDistinct("part"), top: max("value") };
const nulls = { nullTime: "drop" } as const;
const marks: StreamOptions = { watermarks: { t: { column: "ts", outOfOrderness: "15 ms" } } };
const update: StreamOptions = { ...marks, emit: "onUpdate" };

const PLANS: Record<string, { plan: () => Plan<unknown>; options: StreamOptions }> = {
  "filters and projections": {
    plan: () =>
      t()
        .where(col("part").gt(1))
        .select({ key: "key", twice: col("value").mul(2) }),
    options: {},
  },
  "an aggregation": {
    plan: () =>
      t()
        .groupBy("key")
        .aggregate({ ...aggregates, mid: median("value") }),
    options: {},
  },
  "an aggregation without keys": { plan: () => t().aggregate(aggregates), options: {} },
  "changes of an aggregation": {
    plan: () =>
      t()
        .groupBy("key")
        .aggregate({ ...aggregates, mean: avg("value") }),
    options: { emit: "onUpdate" },
  },
  "grouping sets": {
    plan: () =>
      t()
        .groupBy(groupingSets(["key"], ["part"], []))
        .aggregate({ n: count(), total: sum("value") }),
    options: { emit: "onUpdate" },
  },
  "tumbling windows": {
    plan: () =>
      t()
        .window(tumble("ts", "20 ms", nulls))
        .groupBy("key")
        .aggregate(aggregates),
    options: marks,
  },
  "hopping windows of many slices": {
    plan: () =>
      t()
        .where(col("part").lt(4))
        .window(hop("ts", "100 ms", "15 ms", nulls))
        .groupBy("key")
        .aggregate(aggregates),
    options: marks,
  },
  "cumulating windows": {
    plan: () =>
      t()
        .window(cumulate("ts", "90 ms", "20 ms", nulls))
        .groupBy("part")
        .aggregate(aggregates),
    options: { watermarks: { t: { column: "ts", advance: (time) => time - 12n } } },
  },
  "one window of all": {
    plan: () => t().window(global("ts", nulls)).aggregate(aggregates),
    options: marks,
  },
  "windows whose results change": {
    plan: () =>
      t()
        .window(hop("ts", "60 ms", "10 ms", { ...nulls, allowedLateness: "30 ms" }))
        .groupBy("key")
        .aggregate(aggregates),
    options: update,
  },
  "windows that leave early": {
    plan: () =>
      t()
        .window(tumble("ts", "80 ms", { ...nulls, allowedLateness: "10 ms", earlyEvery: "25 ms" }))
        .groupBy("key")
        .aggregate(aggregates),
    options: update,
  },
  "windows over windows": {
    plan: () =>
      t()
        .window(tumble("ts", "10 ms", nulls))
        .groupBy("key")
        .aggregate({ n: count() })
        .window(tumble("window_time", "50 ms"))
        .groupBy("key")
        .aggregate({ most: max("n") }),
    options: marks,
  },
  "an aggregation over windows": {
    plan: () =>
      t()
        .window(tumble("ts", "10 ms", nulls))
        .groupBy("key")
        .aggregate({ n: count() })
        .groupBy("key")
        .aggregate({ windows: count(), most: max("n") }),
    options: update,
  },
  "windows in order, the first of them": {
    plan: () =>
      t()
        .window(tumble("ts", "10 ms", nulls))
        .groupBy("key")
        .aggregate({ n: count() })
        .orderBy(asc("window_end"), asc("key"))
        .limit(30),
    options: marks,
  },
};

/** What a run has given, and the checkpoint that was taken of it. */
interface Half {
  readonly rows: Value[][];
  readonly bytes: Uint8Array;
}

async function all(run: Run, rows: Value[][] = []): Promise<Value[][]> {
  for await (const batch of run) rows.push(...resultRows(batch));
  return rows;
}

/** Saves the run while it waits for its batch number `at`, then leaves it. */
async function savedBefore(
  engine: Engine,
  plan: Plan<unknown>,
  cut: readonly Rows[],
  at: number,
  options: StreamOptions,
): Promise<Half> {
  let bytes: Promise<Uint8Array> | null = null;
  async function* source() {
    for (const [index, rows] of cut.entries()) {
      if (index === at) {
        bytes = run.snapshot();
        await bytes;
        run.cancel();
        return;
      }
      yield batchOf(rows);
    }
    throw new Error("the source was read to its end");
  }
  const run = engine.stream(plan, { t: source() }, options);
  const rows: Value[][] = [];
  await expect(all(run, rows)).rejects.toThrow(ClosedError);
  return { rows, bytes: await bytes! };
}

/** Saves the run after its `at`-th result, with results in hand; null where it has fewer. */
async function savedAfter(
  engine: Engine,
  plan: Plan<unknown>,
  cut: readonly Rows[],
  at: number,
  options: StreamOptions,
): Promise<Half | null> {
  const run = engine.stream(plan, { t: cut.map(batchOf) }, options);
  const rows: Value[][] = [];
  let taken = 0;
  for await (const batch of run) {
    rows.push(...resultRows(batch));
    if (++taken === at) return { rows, bytes: await run.snapshot() };
  }
  return null;
}

function rest(rows: Rows, { bytes }: Half, sizes: readonly number[]): BatchData[] {
  const read = readCheckpoint(bytes).sources[0]!.rows;
  return batches(rows.slice(read), sizes).map(batchOf);
}

const outcome = (rows: Rows, options: StreamOptions, run: Run) => ({
  rows: fingerprint(options.emit === "onUpdate" ? consolidate(rows) : rows),
  late: run.stats.lateRows,
  nulls: run.stats.nullTimes,
});

describe.each(Object.entries(PLANS))("%s", (_, { plan, options }) => {
  it("go on from any batch", { timeout: 60_000 }, async () => {
    const rows = rowsOf(70, 1);
    const sizes = [1, 7, 25];
    const cut = batches(rows, sizes);
    const whole = engines[0]!.stream(plan(), { t: cut.map(batchOf) }, options);
    const wanted = outcome(await all(whole), options, whole);
    expect(wanted.rows.length).toBeGreaterThan(0);
    for (let at = 1; at < cut.length; at++) {
      const [first, second] = [engines[at % engines.length]!, engines[(at + 1) % engines.length]!];
      const half = await savedBefore(first, plan(), cut, at, options);
      const read = cut.slice(0, at).reduce((sum, { length }) => sum + length, 0);
      expect(readCheckpoint(half.bytes).sources).toMatchObject([
        { name: "t", rows: read, batches: at, ended: false },
      ]);
      const run = second.stream(
        plan(),
        { t: rest(rows, half, [13, 1]) },
        { ...options, restore: half.bytes },
      );
      const after = await all(run);
      expect(outcome([...half.rows, ...after], options, run)).toEqual(wanted);
    }
    for (const engine of engines) expect(engine.stats().activeRuns).toBe(0);
  });

  it("go on from any result, with others in hand", { timeout: 60_000 }, async () => {
    const rows = rowsOf(90, 2);
    const cut = batches(rows, [30]);
    const small = { ...options, batchRows: 3 };
    const whole = engines[0]!.stream(plan(), { t: cut.map(batchOf) }, options);
    const wanted = outcome(await all(whole), options, whole);
    for (let at = 1; at < 100; at += 2 + at) {
      const half = await savedAfter(engines[0]!, plan(), cut, at, small);
      if (half === null) break;
      const { rowsOut } = readCheckpoint(half.bytes);
      expect(rowsOut).toBe(half.rows.length);
      const run = engines
        .at(-1)!
        .stream(plan(), { t: rest(rows, half, [9]) }, { ...small, restore: half.bytes });
      const after = await all(run);
      expect(outcome([...half.rows, ...after], options, run)).toEqual(wanted);
    }
  });
});

/** Windows of every shape over rows of any order, some late, and a restart or two. */
const histories = fc.record({
  count: fc.integer({ min: 1, max: 60 }),
  seed: fc.nat(1000),
  sizes: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 }),
  window: fc.constantFrom(
    (changes: object) => tumble("ts", "17 ms", { ...nulls, ...changes }),
    (changes: object) => hop("ts", "50 ms", "9 ms", { ...nulls, ...changes }),
    (changes: object) => hop("ts", "30 ms", "15 ms", { ...nulls, ...changes }),
    (changes: object) => cumulate("ts", "60 ms", "8 ms", { ...nulls, ...changes }),
  ),
  lateness: fc.constantFrom(null, "20 ms"),
  early: fc.constantFrom(null, "30 ms"),
  bound: fc.constantFrom(0, 10, 60),
  keys: fc.constantFrom([], ["key"], ["key", "part"]),
  batchRows: fc.constantFrom(1, 4, 1000),
  cuts: fc.array(fc.nat(1000), { minLength: 1, maxLength: 2 }),
});

it("any windows go on from any batches", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      histories,
      async ({ count: size, seed, sizes, window, lateness, early, bound, keys, batchRows, cuts }) => {
        const rows = rowsOf(size, seed);
        const cut = batches(rows, sizes);
        const changes = {
          ...(lateness && { allowedLateness: lateness }),
          ...(early && { earlyEvery: early }),
        };
        const plan = t()
          .window(window(changes))
          .groupBy(...(keys as ["key"]))
          .aggregate(aggregates);
        const options: StreamOptions = {
          batchRows,
          watermarks: { t: { column: "ts", outOfOrderness: `${bound} ms` } },
          emit: lateness === null && early === null ? "onClose" : "onUpdate",
        };
        const whole = engines[0]!.stream(plan, { t: cut.map(batchOf) }, options);
        const wanted = outcome(await all(whole), options, whole);
        const given: Value[][] = [];
        let restore: Uint8Array | null = null;
        let left: readonly Rows[] = cut;
        for (const place of cuts) {
          if (left.length < 2) break;
          const at: number = 1 + (place % (left.length - 1));
          const resumed: StreamOptions = restore === null ? options : { ...options, restore };
          const half: Half = await savedBefore(engines[place % engines.length]!, plan, left, at, resumed);
          given.push(...half.rows);
          restore = half.bytes;
          left = left.slice(at);
        }
        const run = engines
          .at(-1)!
          .stream(plan, { t: left.map(batchOf) }, restore === null ? options : { ...options, restore });
        given.push(...(await all(run)));
        expect(outcome(given, options, run)).toEqual(wanted);
        expect(run.stats.rowsIn).toBe(size);
      },
    ),
    { numRuns: 25 },
  );
});

describe("a checkpoint", () => {
  const plan = () => PLANS["tumbling windows"]!.plan();
  const cut = batches(rowsOf(80, 3), [10]);
  const saved = () => savedBefore(engines[0]!, plan(), cut, 4, marks);
  const restoring = (restore: Uint8Array, other = plan(), options: StreamOptions = marks) =>
    all(engines[0]!.stream(other, { t: cut.slice(4).map(batchOf) }, { ...options, restore }));

  it("of two sources goes on with each where it was, also where one has ended", async () => {
    const both = () =>
      from("a")
        .unionAll(from("b"))
        .window(tumble("ts", "20 ms", nulls))
        .groupBy("key")
        .aggregate(aggregates) as Plan<unknown>;
    const options: StreamOptions = {
      watermarks: {
        a: { column: "ts", outOfOrderness: "60 ms" },
        b: { column: "ts", outOfOrderness: "60 ms" },
      },
    };
    const [a, b] = [batches(rowsOf(60, 4), [7]), batches(rowsOf(40, 5), [9])];
    const whole = engines[0]!.stream(both(), { a: a.map(batchOf), b: b.map(batchOf) }, options);
    const wanted = outcome(await all(whole), options, whole);
    for (let at = 1; at < 40; at += 7) {
      const run = engines[0]!.stream(
        both(),
        { a: a.map(batchOf), b: b.map(batchOf) },
        { ...options, batchRows: 2 },
      );
      const rows: Value[][] = [];
      let taken = 0;
      for await (const batch of run) {
        rows.push(...resultRows(batch));
        if (++taken === at) break;
      }
      if (taken < at) break;
      const again = engines[0]!.stream(
        both(),
        { a: a.map(batchOf), b: b.map(batchOf) },
        { ...options, batchRows: 2 },
      );
      const before: Value[][] = [];
      let bytes: Uint8Array | null = null;
      for await (const batch of again) {
        before.push(...resultRows(batch));
        if (before.length < rows.length) continue;
        bytes = await again.snapshot();
        break;
      }
      const { sources } = readCheckpoint(bytes!);
      const left = (name: string, of: readonly Rows[]) =>
        of.slice(sources.find((one) => one.name === name)!.batches).map(batchOf);
      const inputs = { a: left("a", a), b: left("b", b) };
      const next = engines.at(-1)!.stream(both(), inputs, { ...options, restore: bytes! });
      expect(outcome([...before, ...(await all(next))], options, next)).toEqual(wanted);
    }
  });

  it("can be taken again and again, at any time, and the run goes on", async () => {
    const options = { ...marks, batchRows: 9 };
    const whole = await all(engines[0]!.stream(plan(), { t: cut.map(batchOf) }, options));
    const run = engines[0]!.stream(plan(), { t: cut.map(batchOf) }, options);
    const first = await run.snapshot();
    expect(readCheckpoint(first).sources[0]).toMatchObject({ rows: 0, batches: 0, watermark: null });
    const rows: Value[][] = [];
    for await (const batch of run) {
      rows.push(...resultRows(batch));
      const [one, two] = await Promise.all([run.snapshot(), run.snapshot()]);
      expect(one).toEqual(two);
      // Nothing is read on for it.
      expect(await run.snapshot()).toEqual(one);
    }
    expect(fingerprint(rows)).toEqual(fingerprint(whole));
    await expect(run.snapshot()).rejects.toThrow(ClosedError);
    expect(
      fingerprint(
        await all(engines[0]!.stream(plan(), { t: cut.map(batchOf) }, { ...options, restore: first })),
      ),
    ).toEqual(fingerprint(whole));
  });

  it("beside a call of next that waits gives each result once", async () => {
    const run = engines[0]!.stream(plan(), { t: cut.map(batchOf) }, { ...marks, batchRows: 3 });
    const rows: Value[][] = [];
    for (;;) {
      const [next] = await Promise.all([run.next(), run.snapshot().catch(() => null)]);
      if (next.done) break;
      rows.push(...resultRows(next.value));
    }
    expect(fingerprint(rows)).toEqual(
      fingerprint(await all(engines[0]!.stream(plan(), { t: cut.map(batchOf) }, marks))),
    );
  });

  it("that a source asks for loses no result, though it is refused", async () => {
    for (const asks of [0, 1]) {
      async function* source() {
        if (asks === 0) void run.snapshot().catch(() => {});
        yield batchOf(rowsOf(10, 8));
        if (asks === 1) void run.snapshot().catch(() => {});
      }
      const run = engines[0]!.stream(t().orderBy(asc("ts")), { t: source() }, {});
      expect(await all(run)).toHaveLength(10);
    }
  });

  it("of the end holds the results that are left", async () => {
    const run = engines[0]!.stream(plan(), { t: cut.map(batchOf) }, { batchRows: 4 });
    const { value } = await run.next();
    const bytes = await run.snapshot();
    const others = await all(run);
    expect(readCheckpoint(bytes).sources[0]).toMatchObject({ rows: 80, batches: 8, ended: true });
    // Its columns are known, though it has nothing to give.
    const again = engines[0]!.stream(plan(), { t: [] }, { batchRows: 4, restore: bytes });
    expect(await all(again)).toEqual(others);
    expect(again.stats).toMatchObject({ rowsIn: 80, rowsOut: others.length + value!.numRows });
  });

  it("tells late rows to the run that they come to", async () => {
    const late: Value[][] = [];
    const options: StreamOptions = {
      watermarks: { t: { column: "ts" } },
      late: (rows) => void late.push(...resultRows(rows)),
    };
    const whole = engines[0]!.stream(plan(), { t: cut.map(batchOf) }, options);
    await all(whole);
    const wanted = fingerprint(late.splice(0));
    expect(wanted.length).toBeGreaterThan(0);
    const { bytes } = await savedBefore(engines[0]!, plan(), cut, 4, options);
    const run = engines[0]!.stream(plan(), { t: cut.slice(4).map(batchOf) }, { ...options, restore: bytes });
    await all(run);
    expect(fingerprint(late)).toEqual(wanted);
    expect(run.stats.lateRows).toBe(wanted.length);
  });

  it("is refused by other plans, which say what differs", async () => {
    const { bytes } = await saved();
    const windowed = (size: string, filter = false) =>
      (filter ? t().where(col("part").gt(1)) : t())
        .window(tumble("ts", size as "20 ms", nulls))
        .groupBy("key")
        .aggregate(aggregates);
    await expect(restoring(bytes, windowed("30 ms"))).rejects.toThrow(
      /step 1 of source "t" was ".*20 ms.*30 ms/,
    );
    await expect(restoring(bytes, t().groupBy("key").aggregate(aggregates))).rejects.toThrow(CheckpointError);
    await expect(restoring(bytes, windowed("20 ms", true))).rejects.toThrow(/columns|step 1/);
    await expect(restoring(bytes, plan(), {})).rejects.toThrow(/the watermark of source "t"/);
    await expect(restoring(bytes, plan(), { ...marks, emit: "onUpdate" })).rejects.toThrow(CheckpointError);
    const other = from("u")
      .window(tumble("ts", "20 ms", nulls))
      .groupBy("key")
      .aggregate(aggregates);
    const run = engines[0]!.stream(
      other as Plan<unknown>,
      { u: [batchOf(rowsOf(5, 1))] },
      { restore: bytes },
    );
    await expect(all(run)).rejects.toThrow(/what it reads was "t" there, and is "u" here/);
    const literal = (value: number) =>
      t()
        .where(col("value").gt(lit(value)))
        .groupBy("key")
        .aggregate({ n: count() });
    const one = await savedBefore(engines[0]!, literal(1), cut, 2, {});
    await expect(restoring(one.bytes, literal(2), {})).rejects.toThrow(CheckpointError);
    expect(engines[0]!.stats().activeRuns).toBe(0);
  });

  it("that is damaged, of another version, or none at all, is refused at once", async () => {
    const { bytes } = await saved();
    const used = engines[0]!.stats().usedBytes;
    for (let at = 0; at < bytes.length; at += 131) {
      const copy = bytes.slice();
      copy[at]! ^= 1 << (at % 8);
      expect(() => readCheckpoint(copy)).toThrow(/checkpoint/);
      expect(() => engines[0]!.stream(plan(), { t: [] }, { restore: copy })).toThrow(/checkpoint/);
    }
    for (const end of [0, 7, 23, 24, 100, bytes.length - 8, bytes.length - 1])
      expect(() => readCheckpoint(bytes.slice(0, end))).toThrow(/checkpoint/);
    const other = bytes.slice();
    other[8] = 2;
    expect(() => readCheckpoint(other)).toThrow(/format 2, this version of Millrace reads 1/);
    expect(() => readCheckpoint("bytes" as never)).toThrow(ArgumentError);
    const damaged = bytes.slice();
    damaged[bytes.length - 9]! ^= 4;
    expect(() => readCheckpoint(damaged)).toThrow(CorruptStateError);
    expect(engines[0]!.stats().usedBytes).toBe(used);
    // Wherever it begins in a block.
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(readCheckpoint(shifted.subarray(3))).toEqual(readCheckpoint(bytes));
  });

  it("cannot be taken of steps without a state to save, which it names; the run goes on", async () => {
    const rows = batches(rowsOf(60, 6), [10]);
    const refused: [Plan<unknown>, RegExp][] = [
      [
        t()
          .window(session("ts", "5 ms", nulls))
          .groupBy("key")
          .aggregate({ n: count() }),
        /session.*cannot be saved/,
      ],
      [
        t()
          .join(from("t2") as Plan, { on: "key" })
          .select({ key: "key" }),
        /join.*cannot be saved/,
      ],
      [t().orderBy(asc("ts")).limit(3), /limit 3.*cannot be saved/],
    ];
    for (const [plan, message] of refused) {
      let failure: unknown = null;
      async function* source() {
        for (const [index, part] of rows.entries()) {
          if (index === 3) failure = await run.snapshot().catch((error: unknown) => error);
          yield batchOf(part);
        }
      }
      const run = engines[0]!.stream(plan, { t: source(), t2: [batchOf(rowsOf(4, 7))] }, { watermarks: {} });
      const wanted = engines[0]!.stream(plan, { t: rows.map(batchOf), t2: [batchOf(rowsOf(4, 7))] }, {});
      expect(fingerprint(await all(run))).toEqual(fingerprint(await all(wanted)));
      expect(failure).toBeInstanceOf(CheckpointError);
      expect((failure as Error).message).toMatch(message);
    }
  });

  it("is not waited for when the run is left, cancelled or fails", async () => {
    const waiting = () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) });
    const left = engines[0]!.stream(plan(), { t: waiting() }, marks);
    const [first] = [left.snapshot()];
    await left.return();
    await expect(first).rejects.toThrow(ClosedError);
    const cancelled = engines[0]!.stream(plan(), { t: waiting() }, marks);
    const second = cancelled.snapshot();
    cancelled.cancel(new RangeError("enough"));
    await expect(second).rejects.toThrow(ClosedError);
    await expect(cancelled.next()).rejects.toThrow("enough");
    async function* broken() {
      yield batchOf(rowsOf(10, 8));
      throw new RangeError("no more");
    }
    const failing = engines[0]!.stream(plan(), { t: broken() }, marks);
    await failing.snapshot();
    await expect(all(failing)).rejects.toThrow("no more");
    await expect(failing.snapshot()).rejects.toThrow(ClosedError);
    expect(engines[0]!.stats().activeRuns).toBe(0);
  });
});
