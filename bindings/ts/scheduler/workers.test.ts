// Worker pools: the same bits for every number of workers and any timing; errors, ends of threads and cancellation;
// and what a pool costs while it has nothing to do.

import { Table as ArrowTable, Dictionary, Int32, makeVector, Utf8, vectorFromArray } from "apache-arrow";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Root } from "../../../kernel/abi/layout.js";
import { SMALL_TOO } from "../../../kernel/operator/testing-retries.js";
import { resultRows } from "../../../test/testing-result.js";
import { type Value, writeBatch, writeColumn } from "../../../twin/values.js";
import type { EngineOptions } from "../index.js";
import {
  ArgumentError,
  argMax,
  arrayAgg,
  avg,
  col,
  corr,
  count,
  countDistinct,
  cube,
  cumulate,
  desc,
  Engine,
  first,
  from,
  grouping,
  groupingSets,
  hop,
  int32,
  max,
  median,
  min,
  mode,
  type Plan,
  quantile,
  rollup,
  session,
  stddev,
  stringAgg,
  sum,
  timestamp,
  topK,
  tumble,
  variance,
  WorkerError,
} from "../index.js";
import { Kernel } from "../kernel/index.js";
import { WorkerPool } from "../pool/index.js";
import type { BatchData } from "../type/column.js";
import { dictionary, float64, int16, int64, type Schema, utf8 } from "../type/data-type.js";
import { sliceRows } from "./rows.js";

const ROWS = 6000;
const SCHEMA: Schema = {
  fields: [
    { name: "few", type: int32, nullable: true },
    { name: "many", type: int64, nullable: true },
    { name: "text", type: utf8, nullable: true },
    { name: "x", type: float64, nullable: true },
    { name: "n", type: int32, nullable: false },
    { name: "at", type: int64, nullable: false },
  ],
};

function cells(row: number): Value[] {
  const mixed = Math.imul(row, 0x9e3779b1) >>> 0;
  // Half of all rows have one key.
  const few = mixed % 2 === 0 ? 7 : mixed % 13;
  return [
    mixed % 101 === 0 ? null : BigInt(few),
    mixed % 97 === 0 ? null : BigInt(mixed % 3001) * 1_000_003n,
    mixed % 89 === 0 ? null : `t${mixed % 211}`,
    mixed % 83 === 0 ? null : (mixed - 2 ** 31) * 10 ** ((mixed % 40) - 20),
    BigInt(mixed % 1000),
    1_700_000_000_000n + BigInt(mixed % 3_600_000),
  ];
}

/** Morsels and other pieces that workers have done. */
const morselsOf = (engine: Engine): number =>
  engine.stats().workers.each.reduce((sum, { morsels }) => sum + morsels, 0);

/** The rows of [start, end) as one batch. */
function batch(start: number, end: number): BatchData {
  const rows = Array.from({ length: end - start }, (_, row) => cells(start + row));
  return writeBatch(SCHEMA.fields, rows);
}

/** Forty batches, each a morsel. */
const batches = Array.from({ length: 40 }, (_, i) => batch((i * ROWS) / 40, ((i + 1) * ROWS) / 40));

const t = from("t") as Plan;
const w = t.withColumns({ time: col("at").cast(timestamp("ms")) }) as Plan;
const PLANS: Readonly<Record<string, Plan>> = {
  "few groups": t.groupBy("few").aggregate({ s: sum("x"), a: avg("x"), c: count(), l: min("text") }) as Plan,
  "many groups": t.groupBy("many", "text").aggregate({ s: sum("x"), n: sum("n"), m: max("x") }) as Plan,
  texts: t
    .groupBy("text")
    .aggregate({ d: countDistinct("many"), v: variance("x"), c: corr("x", "n") }) as Plan,
  "texts of which there are many, and few": t
    .groupBy({ m: col("many").cast(utf8) }, "text")
    .aggregate({ s: sum("x"), c: count() }) as Plan,
  "no keys": t.aggregate({ s: sum("x"), c: count("x"), d: countDistinct("text") }) as Plan,
  lists: t.groupBy("few").aggregate({
    k: topK("x", 3),
    all: arrayAgg("n"),
    joined: stringAgg("text", ","),
    m: median("x"),
  }) as Plan,
  "by order": t.groupBy("few").aggregate({ f: first("text", "n"), g: argMax("x", "n") }) as Plan,
  "filter, then keys alone": t.where(col("n").lt(500)).groupBy("many").aggregate({}) as Plan,
  "grouping sets": t.groupBy(cube("few", "text")).aggregate({ s: sum("x") }) as Plan,
  "grouping sets behind a filter": t
    .where(col("n").lt(600))
    .groupBy(groupingSets(["few"], [{ tens: col("n").sub(col("n").mod(10)) }], ["text", "few"], [], []))
    .aggregate({ s: sum(col("x").mul(2)), l: min("text"), c: count({ filter: col("x").gt(0) }) }) as Plan,
  "a rollup of three keys": t
    .groupBy(rollup("few", "text", "many"))
    .aggregate({ s: sum("x"), m: max("n"), level: grouping("few", "text", "many") }) as Plan,
  "grouping sets, with all values of a group": t
    .groupBy(cube("few", "text"))
    .aggregate({ d: countDistinct("many"), m: median("x"), all: arrayAgg("n") }) as Plan,
  "of a join": t
    .join(from("u") as Plan, { on: "text" })
    .groupBy("few")
    .aggregate({ s: sum("x") }) as Plan,
  // Times of an hour in no order, windows with few rows each, and with many.
  "tumbling windows": w
    .window(tumble("time", "20 seconds"))
    .groupBy("few")
    .aggregate({ s: sum("x"), l: min("text"), c: count() }) as Plan,
  "tumbling windows of texts": w
    .window(tumble("time", "10 minutes"))
    .groupBy("text")
    .aggregate({ s: sum("x"), d: countDistinct("many") }) as Plan,
  "hopping windows": w
    .window(hop("time", "10 minutes", "1 minute"))
    .groupBy("few")
    .aggregate({ s: sum("x"), m: median("n") }) as Plan,
  "cumulating windows, then windows of these": w
    .window(cumulate("time", "20 minutes", "2 minutes"))
    .groupBy("few")
    .aggregate({ s: sum("n") })
    .window(tumble("window_time", "1 hour"))
    .aggregate({ s: sum("s"), c: count() }) as Plan,
  "sessions, which stay on one thread": w
    .window(session("time", "3 seconds"))
    .groupBy("few")
    .aggregate({ s: sum("x") }) as Plan,
  "then sorted": t
    .groupBy("text")
    .aggregate({ s: sum("x") })
    .orderBy("s", "text")
    .limit(20) as Plan,
};

const u = from("u") as Plan;
const v = from("v") as Plan;
/** What comes in the order of the rows, whoever did which. */
const IN_ORDER: Readonly<Record<string, Plan>> = {
  projection: t
    .where(col("n").lt(700))
    .select({ text: col("text"), twice: col("n").mul(2), x: col("x") }) as Plan,
  "left join": t.join(u, { on: "text", how: "left" }) as Plan,
  "join of unique keys": t.join(v, { on: { n: "key" } }) as Plan,
  "full join": t.join(v, { on: { n: "key" }, how: "full" }) as Plan,
  "right join": t.join(v, { on: { many: "key" }, how: "right" }) as Plan,
  "semi join": t.join(u, { on: "text", how: "semi" }) as Plan,
  "anti join": t.join(v, { on: { n: "key" }, how: "anti" }) as Plan,
  "join with a residual": t.join(v, {
    on: { n: "key" },
    residual: col("half").lt(col("few")),
  } as never) as Plan,
  "sort by few, then all": t.orderBy("few") as Plan,
  "sort by texts, descending": t.orderBy(desc("text"), "x") as Plan,
  "sort of a projection": t
    .where(col("n").lt(900))
    .select({ y: col("x").mul(2), n: col("n") })
    .orderBy("y") as Plan,
  "the first rows in order": t.orderBy("x", "many").limit(50, 7) as Plan,
  "any rows": t.limit(40) as Plan,
  "join, projection, aggregation": t
    .join(v, { on: { n: "key" } })
    .select({ few: col("few"), y: col("half").add(col("n")) })
    .groupBy("few")
    .aggregate({ s: sum("y") })
    .orderBy("few") as Plan,
};

const right: BatchData = {
  schema: { fields: [{ name: "text", type: utf8, nullable: false }] },
  length: 100,
  columns: [
    writeColumn(
      utf8,
      Array.from({ length: 100 }, (_, row) => `t${row % 50}`),
    ),
  ],
};

const unique: BatchData = {
  schema: {
    fields: [
      { name: "key", type: int64, nullable: false },
      { name: "half", type: int32, nullable: true },
    ],
  },
  length: 600,
  columns: [
    writeColumn(
      int64,
      Array.from({ length: 600 }, (_, row) => BigInt(row * 3 - 100)),
    ),
    writeColumn(
      int32,
      Array.from({ length: 600 }, (_, row) => (row % 11 === 0 ? null : BigInt(row % 13))),
    ),
  ],
};

/** An engine all of whose workers are there: what they need is in use. */
async function openReady(options: EngineOptions): Promise<Engine> {
  const engine = await Engine.open(options);
  await engine.ready();
  return engine;
}

/** Each query class is run so many times for each number of workers. */
const ROUNDS = Number(process.env.MILLRACE_WORKER_ROUNDS ?? 1);

const inOrder = (rows: readonly (readonly Value[])[]) => rows.map((row) => row.map(cellText).join("|"));

function cellText(cell: Value): string {
  return typeof cell === "number" && Object.is(cell, -0) ? "-0" : String(cell);
}

const text = (rows: readonly (readonly Value[])[]) => inOrder(rows).sort();

/** Runs a plan in more and more memory, until that does: each time before is an error that leaves nothing behind. */
async function memoryEnds(
  engine: Engine,
  plan: Plan,
  written: typeof text,
  data: readonly BatchData[] = batches,
  result: "arrow" | "kernel" = "arrow",
): Promise<void> {
  const before = engine.stats().usedBytes;
  const expected = written(resultRows(await engine.collect(plan, { t: data })));
  let refused = 0;
  for (let memory = 100_000; ; memory = Math.ceil(memory * 1.15)) {
    const isDone = await engine.collect(plan, { t: data }, { memory, result: result as "kernel" }).then(
      (table) => {
        expect(written(resultRows(result === "kernel" ? table.toArrow() : table))).toEqual(expected);
        if (result === "kernel") table.free();
        return true;
      },
      (error) => {
        expect(error).toMatchObject({ code: "MEMORY_LIMIT" });
        refused++;
        return false;
      },
    );
    expect(engine.stats().usedBytes).toBe(before);
    if (isDone) break;
  }
  expect(refused).toBeGreaterThan(5);
}

describe("results", () => {
  const engines: Engine[] = [];
  beforeAll(async () => {
    for (const workers of [1, 2, 3, 4, 7]) {
      engines.push(await openReady({ workers, memory: "1 GiB", faults: { jitterUs: 300 } }));
    }
    // Whatever is in more than one place comes together by parts; sorts are many.
    for (const workers of [2, 7]) {
      const faults = { jitterUs: 300, divideGroups: 0, roundRows: 200 };
      engines.push(await openReady({ workers, memory: "1 GiB", faults }));
    }
  });
  afterAll(() => Promise.all(engines.map((engine) => engine.close())));

  it.each(Object.entries(PLANS))("%s: the bits of one thread", async (_name, plan) => {
    const [one] = engines;
    const expected = text(resultRows(await one!.collect(plan, { t: [batch(0, ROWS)], u: right })));
    expect(expected.length).toBeGreaterThan(0);
    for (const engine of engines) {
      const before = engine.stats().usedBytes;
      const table = await engine.load(batches);
      for (const data of Array.from({ length: ROUNDS }, () => [table, batches, table]).flat()) {
        const result = await engine.collect(plan, { t: data, u: right });
        expect(text(resultRows(result))).toEqual(expected);
      }
      const kept = await engine.collect(plan, { t: table, u: right }, { result: "kernel" });
      expect(text(resultRows(kept.toArrow()))).toEqual(expected);
      kept.free();
      table.free();
      expect(engine.stats().usedBytes).toBe(before);
    }
  });

  it.each(Object.entries(IN_ORDER))("%s: the rows of one thread, in its order", async (_name, plan) => {
    const inputs = { u: right, v: unique };
    const [one] = engines;
    const expected = inOrder(resultRows(await one!.collect(plan, { ...inputs, t: batches })));
    expect(expected.length).toBeGreaterThan(5);
    for (const engine of engines) {
      const before = engine.stats().usedBytes;
      const table = await engine.load(batches);
      for (const data of Array.from({ length: ROUNDS }, () => [table, batches]).flat()) {
        const result = await engine.collect(plan, { ...inputs, t: data });
        expect(inOrder(resultRows(result))).toEqual(expected);
      }
      const kept = await engine.collect(plan, { ...inputs, t: table }, { result: "kernel" });
      expect(inOrder(resultRows(kept.toArrow()))).toEqual(expected);
      kept.free();
      table.free();
      expect(engine.stats().usedBytes).toBe(before);
    }
  });

  it.each([0, 1, 100])(
    "a join that keeps many rows, %s keys of which come again: indexed by all, the rows of one thread in its order",
    async (again) => {
      const rows = 300_000;
      const keyed = (column: string, key: (row: number) => number): BatchData => ({
        schema: {
          fields: [
            { name: column, type: int64, nullable: false },
            { name: `${column}_row`, type: int32, nullable: false },
          ],
        },
        length: rows,
        columns: [
          writeColumn(
            int64,
            Array.from({ length: rows }, (_, row) => BigInt(key(row))),
          ),
          writeColumn(
            int32,
            Array.from({ length: rows }, (_, row) => BigInt(row)),
          ),
        ],
      });
      const inputs = {
        t: keyed("k", (row) => (row * 7) % 299_993),
        u: keyed("l", (row) => (row < again ? (row * 2999 + 1) * 7919 : row * 7919) % 300_007),
      };
      const plan = (from("t") as Plan).join(from("u") as Plan, { on: { k: "l" } as never }) as Plan;
      const columns = async (engine: Engine) => {
        const result = await engine.collect(plan, inputs);
        return ["k_row", "l_row"].map((name) => Buffer.from(result.getChild(name)!.toArray().buffer));
      };
      const [one, ...others] = engines;
      const expected = await columns(one!);
      expect(expected[0]!.length).toBeGreaterThan(4 * 299_000);
      for (const engine of others) {
        const found = await columns(engine);
        expect(found.map((column, at) => column.equals(expected[at]!))).toEqual([true, true]);
      }
    },
  );

  it.each([null, 0, 1, 3000, 5998])(
    "a sort of rows that come in order, but for row %s: shared as soon as they do not",
    async (odd) => {
      const fields = [
        { name: "id", type: int64, nullable: false },
        { name: "x", type: float64, nullable: true },
      ];
      const ordered = Array.from({ length: 40 }, (_, at) => {
        const rows = Array.from({ length: ROWS / 40 }, (_, place): Value[] => {
          const row = (at * ROWS) / 40 + place;
          return [BigInt(row === odd ? 2 * ROWS : row), row % 9 === 0 ? null : row / 7];
        });
        return writeBatch(fields, rows);
      });
      for (const plan of [t.orderBy("id") as Plan, t.orderBy(desc("id")) as Plan]) {
        const expected = inOrder(resultRows(await engines[0]!.collect(plan, { t: ordered })));
        expect(expected.length).toBe(ROWS);
        for (const engine of engines.slice(1)) {
          const before = morselsOf(engine);
          const table = await engine.load(ordered);
          for (const data of [table, ordered]) {
            expect(inOrder(resultRows(await engine.collect(plan, { t: data })))).toEqual(expected);
          }
          table.free();
          if (odd === null) expect(morselsOf(engine)).toBe(before);
          if (odd === 0) expect(morselsOf(engine)).toBeGreaterThan(before);
        }
      }
    },
  );

  it("grouping sets of texts whose dictionaries change with every batch: the bits of one thread", async () => {
    const fields = SCHEMA.fields.map((field) =>
      field.name === "text" ? { ...field, type: dictionary(utf8, int16) } : field,
    );
    const coded = Array.from({ length: 40 }, (_, at) => {
      const rows = Array.from({ length: ROWS / 40 }, (_, row) => cells((at * ROWS) / 40 + row));
      return writeBatch(fields, rows);
    });
    const plan = t.groupBy(cube("few", "text")).aggregate({ s: sum("x"), l: min("text") }) as Plan;
    const expected = text(resultRows(await engines[0]!.collect(plan, { t: batches })));
    for (const engine of engines) {
      const table = await engine.load(coded);
      for (const data of [table, coded])
        expect(text(resultRows(await engine.collect(plan, { t: data })))).toEqual(expected);
      table.free();
    }
  });

  it("a morsel goes to all grouping sets at once", async () => {
    const engine = engines[1]!;
    const plan = t.groupBy(rollup("few", "n")).aggregate({ s: sum("x") });
    const morsels = () => morselsOf(engine);
    const before = morsels();
    await engine.collect(plan, { t: batches });
    // The first one is not shared.
    expect(morsels() - before).toBe(39);
  });

  it("several queries at once share the workers", async () => {
    const engine = engines[2]!;
    const plans = Object.values(PLANS);
    const alone = await Promise.all(plans.map((plan) => engines[0]!.collect(plan, { t: batches, u: right })));
    const together = await Promise.all(plans.map((plan) => engine.collect(plan, { t: batches, u: right })));
    together.forEach((table, index) => {
      expect(text(resultRows(table))).toEqual(text(resultRows(alone[index]!)));
    });
    const { workers, activeRuns } = engine.stats();
    expect(activeRuns).toBe(0);
    expect(workers).toMatchObject({ asked: 3, running: 3, fallback: null, restarts: 0 });
    expect(workers.each.length).toBe(3);
    expect(workers.each.every(({ morsels, busyMs }) => morsels > 0 && busyMs > 0)).toBe(true);
  });

  it("tells how far it is, and fails with who is told", async () => {
    for (const engine of engines.slice(0, 2)) {
      const told: unknown[] = [];
      const table = await engine.load(batches);
      await engine.collect(
        PLANS["few groups"]!,
        { t: table },
        { progress: (progress) => told.push(progress) },
      );
      expect(told[0]).toEqual({ rows: 0, of: ROWS });
      expect(told.at(-1)).toEqual({ rows: ROWS, of: ROWS });
      table.free();
      await engine.collect(
        PLANS["few groups"]!,
        { t: batches.values() },
        { progress: (one) => told.push(one) },
      );
      expect(told.at(-1)).toEqual({ rows: ROWS, of: null });
      const before = engine.stats().usedBytes;
      const progress = ({ rows }: { rows: number }) => {
        if (rows > 0) throw new Error("no more");
      };
      await expect(engine.collect(PLANS["few groups"]!, { t: batches }, { progress })).rejects.toThrow(
        "no more",
      );
      expect(engine.stats().usedBytes).toBe(before);
    }
  });

  it("what has a group for nearly every row, and cannot be divided or has texts as keys, stays on the calling thread", async () => {
    // Results are not shared, however long they take: what a worker writes of them counts as morsels, too.
    const engine = await openReady({
      workers: 2,
      memory: "1 GiB",
      faults: { jitterUs: 300, lookRows: 100_000 },
    });
    const before = engine.stats().workers.each.map(({ morsels }) => morsels);
    const keys = Array.from(
      { length: 3 },
      (_, at): BatchData => ({
        schema: { fields: [{ name: "k", type: int64, nullable: false }] },
        length: 20_000,
        columns: [
          writeColumn(
            int64,
            Array.from({ length: 20_000 }, (_, row) => BigInt(at * 20_000 + row) * 1_000_003n),
          ),
        ],
      }),
    );
    const plan = t.groupBy("k").aggregate({ n: countDistinct("k") });
    const result = await engine.collect(plan, { t: keys });
    expect(result.numRows).toBe(60_000);
    expect(engine.stats().workers.each.map(({ morsels }) => morsels)).toEqual(before);
    const sets = t.groupBy(rollup("k")).aggregate({ n: countDistinct("k") });
    expect((await engine.collect(sets, { t: keys })).numRows).toBe(60_001);
    const texts = keys.map((data) => ({
      ...data,
      schema: { fields: [{ name: "k", type: utf8, nullable: false }] },
      columns: [
        writeColumn(
          utf8,
          Array.from({ length: 20_000 }, (_, row) => `${keys.indexOf(data)} ${row}`),
        ),
      ],
    }));
    const named = await engine.collect(t.groupBy("k").aggregate({ n: count() }), { t: texts });
    expect(named.numRows).toBe(60_000);
    expect(engine.stats().workers.each.map(({ morsels }) => morsels)).toEqual(before);
    const divided = await engine.collect(t.groupBy("k").aggregate({ n: count() }), { t: keys });
    expect(divided.numRows).toBe(60_000);
    expect(engine.stats().workers.each.map(({ morsels }) => morsels)).not.toEqual(before);
    await engine.close();
  });

  it("a source that keeps others waiting holds no worker", async () => {
    const engine = engines[1]!;
    const expected = text(resultRows(await engines[0]!.collect(PLANS["few groups"]!, { t: batches })));
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    async function* slow() {
      yield* batches.slice(0, 20);
      await gate;
      yield* batches.slice(20);
    }
    const waiting = engine.collect(PLANS["few groups"]!, { t: slow() });
    expect(text(resultRows(await engine.collect(PLANS["few groups"]!, { t: batches })))).toEqual(expected);
    go();
    expect(text(resultRows(await waiting))).toEqual(expected);
  });
});

describe("a group for nearly every row, by texts of one dictionary", () => {
  const coded = dictionary(utf8, int16);
  const fields = [
    { name: "a", type: coded, nullable: true },
    { name: "b", type: coded, nullable: true },
    { name: "k", type: int64, nullable: false },
    { name: "n", type: int32, nullable: false },
  ];
  const LONG = 30_000;
  const rows = Array.from({ length: LONG }, (_, row): Value[] => [
    row % 101 === 7 ? null : `name ${(row * 7) % 3001}`,
    row % 89 === 3 ? null : `${row % 13}`,
    BigInt(row - (row % 50 === 0 ? row % 1000 : 0)) * 1_000_003n,
    BigInt(row % 1000),
  ]);
  /** All batches have the same dictionaries. */
  const whole = writeBatch(fields, rows);
  const data = Array.from({ length: 12 }, (_, at): BatchData => {
    const length = LONG / 12;
    return sliceRows(whole, at * length, (at + 1) * length);
  });
  /** Each has its own. */
  const apart = Array.from({ length: 12 }, (_, at) =>
    writeBatch(fields, rows.slice((at * LONG) / 12, ((at + 1) * LONG) / 12)),
  );
  const plan = t.groupBy("a", "b", "k").aggregate({ s: sum("n"), c: count() }) as Plan;

  it("is shared, and has the bits of one thread", async () => {
    const one = await openReady({ workers: 1 });
    const expected = text(resultRows(await one.collect(plan, { t: data })));
    await one.close();
    const faults = { jitterUs: 300 };
    for (const options of [
      { workers: 2, faults: { ...faults, divideGroups: 0 } },
      { workers: 4, faults: { ...faults, divideGroups: 0 } },
      { workers: 7, faults: { ...faults, divideGroups: 0 } },
    ]) {
      const engine = await openReady(options);
      const before = engine.stats().usedBytes;
      const table = await engine.load(data);
      for (const given of [data, apart, table]) {
        const kept = await engine.collect(plan, { t: given }, { result: "kernel" });
        expect(text(resultRows(kept.toArrow()))).toEqual(expected);
        kept.free();
      }
      table.free();
      expect(engine.stats().usedBytes).toBe(before);
      await engine.close();
    }
  });

  it("stays on the calling thread from the first batch on that has another dictionary", async () => {
    // Results are not shared either, however long the first of them take to write.
    const engine = await openReady({ workers: 2, faults: { jitterUs: 300, lookRows: 2 * LONG } });
    const one = await openReady({ workers: 1 });
    const morsels = () => morselsOf(engine);
    const wide = (length: number) => ({
      ...whole,
      length,
      columns: whole.columns.map((column) => ({ ...column, length })),
    });
    const before = morsels();
    for (const given of [
      [wide(20_000), ...apart],
      [wide(20_000), ...data, ...apart],
    ]) {
      const expected = text(resultRows(await one.collect(plan, { t: given })));
      expect(text(resultRows(await engine.collect(plan, { t: given })))).toEqual(expected);
      if (given.length === 13) expect(morsels()).toBe(before);
    }
    await engine.close();
    await one.close();
  });

  it("texts that only one operator has, of no dictionary, are divided by their hashes", async () => {
    const engine = await openReady({ workers: 3, faults: { divideGroups: 0 } });
    const some = Array.from({ length: 50 }, (_, row) => cells(row));
    const dropped = some.map(([few, many, name, x, , at]): Value[] => [few!, many!, name!, x!, -1n, at!]);
    const groups = t
      .where(col("n").ge(0))
      .groupBy("text", "many")
      .aggregate({ s: sum("n") }) as Plan;
    const [kept, others] = [some, dropped].map((all) => writeBatch(SCHEMA.fields, all));
    const expected = text(resultRows(await engine.collect(groups, { t: [kept!] })));
    const data = [kept!, ...Array.from({ length: 12 }, () => others!)];
    expect(text(resultRows(await engine.collect(groups, { t: data })))).toEqual(expected);
    await engine.close();
  });

  it("of a stream wait to be looked up, the last ones when results are asked for", async () => {
    const length = 300_000;
    const keys = BigInt64Array.from({ length }, (_, row) => BigInt(row) * 1_000_003n);
    const names = Array.from({ length }, (_, row) => `name ${row % 7}`);
    const table = new ArrowTable({
      a: vectorFromArray(names, new Dictionary(new Utf8(), new Int32())),
      k: makeVector(keys),
      n: makeVector(Int32Array.from({ length }, (_, row) => row % 1000)),
    });
    const groups = t.groupBy("a", "k").aggregate({ s: sum("n"), c: count() }) as Plan;
    const one = await openReady({ workers: 1 });
    const expected = text(resultRows(await one.collect(groups, { t: table })));
    await one.close();
    const engine = await openReady({ workers: 2 });
    const rows: Value[][] = [];
    for await (const part of engine.stream(groups, { t: table }, { batchRows: 65_536 }))
      rows.push(...resultRows(part));
    expect(text(rows)).toEqual(expected);
    await engine.close();
  });

  it("goes to all workers", async () => {
    const engine = await openReady({ workers: 2, faults: { leavesPieces: true, divideGroups: 0 } });
    const morsels = () => morselsOf(engine);
    const wide = [
      { ...whole, length: 20_000, columns: whole.columns.map((column) => ({ ...column, length: 20_000 })) },
      ...data.slice(8),
    ];
    await engine.collect(plan, { t: wide });
    // All but the first, then two operators to be divided, 256 parts, and the results of two operators.
    expect(morsels()).toBe(4 + 2 + 256 + 2);
    const kept = await engine.collect(plan, { t: wide }, { result: "kernel" });
    expect(morsels()).toBe(2 * (4 + 2 + 256 + 2));
    kept.free();
    await engine.close();
  });

  it("a signal at any moment ends it, and its memory is back", async () => {
    const faults = { jitterUs: 1000, divideGroups: 0, leavesPieces: true };
    const engine = await openReady({ workers: 3, faults });
    const before = engine.stats().usedBytes;
    let stopped = 0;
    for (const ms of [0, 5, 20, 60, 100, 140, 180, 220]) {
      for (const result of ["arrow", "kernel"] as const) {
        const controller = new AbortController();
        async function* source() {
          yield* data;
          setTimeout(() => controller.abort(new Error("enough")), ms);
        }
        const { signal } = controller;
        const run = engine.collect(plan, { t: source() }, { signal, result: result as "kernel" });
        await run.then(
          (table) => (result === "kernel" ? table.free() : undefined),
          (error) => {
            expect(error.message).toBe("enough");
            stopped++;
          },
        );
        expect(engine.stats().usedBytes).toBe(before);
      }
    }
    expect(stopped).toBeGreaterThanOrEqual(2);
    await engine.close();
  });

  it("memory that ends at any point is an error, and nothing stays behind", async () => {
    const engine = await openReady({ workers: 2, faults: { jitterUs: 10, divideGroups: 0 } });
    await memoryEnds(engine, plan, text, data);
    await memoryEnds(engine, plan, text, data, "kernel");
    await engine.close();
  });
});

describe("results of one operator", () => {
  const plans: Readonly<Record<string, Plan>> = {
    ...Object.fromEntries(
      ["few groups", "texts", "by order", "grouping sets"].map((name) => [name, PLANS[name]!]),
    ),
    "integers of a range, and what is made of their results": t
      .groupBy("n")
      .aggregate({ s: sum("x"), l: min("text"), k: topK("x", 2) })
      .select({ n: "n", twice: col("s").mul(2), l: "l", k: "k" }) as Plan,
    "medians, which are not shared": t.groupBy("n").aggregate({ m: median("x"), c: count() }) as Plan,
  };
  const faults = { jitterUs: 200, lookRows: 3 };

  it.each(Object.entries(plans))(
    "%s: are the bits of one thread, in batches and in the kernel",
    async (_name, plan) => {
      const one = await openReady({ workers: 1 });
      const expected = text(resultRows(await one.collect(plan, { t: batches })));
      await one.close();
      for (const [workers, leavesPieces] of [
        [2, false],
        [2, true],
        [5, false],
      ] as const) {
        const engine = await openReady({ workers, faults: { ...faults, leavesPieces } });
        const before = engine.stats().usedBytes;
        const table = await engine.load(batches);
        for (const data of [batches, table]) {
          expect(text(resultRows(await engine.collect(plan, { t: data })))).toEqual(expected);
          const kept = await engine.collect(plan, { t: data }, { result: "kernel" });
          expect(text(resultRows(kept.toArrow()))).toEqual(expected);
          kept.free();
        }
        const streamed = [];
        for await (const some of engine.stream(plan, { t: batches }, { batchRows: 7 })) {
          expect(some.numRows).toBeLessThanOrEqual(7);
          streamed.push(...resultRows(some));
        }
        expect(text(streamed)).toEqual(expected);
        table.free();
        expect(engine.stats().usedBytes).toBe(before);
        await engine.close();
      }
    },
  );

  it("leave the kernel by all threads, in parts", async () => {
    const engine = await openReady({ workers: 2, faults: { lookRows: 3, leavesPieces: true } });
    const plan = plans.texts!;
    const before = morselsOf(engine);
    const kept = await engine.collect(plan, { t: batches }, { result: "kernel" });
    // All morsels but the first, and the results in four parts.
    expect(morselsOf(engine) - before).toBe(batches.length - 1 + 4);
    kept.free();
    await engine.close();
  });

  it("a profile counts them once", async () => {
    const engine = await openReady({ workers: 2, faults });
    const { result, profile } = await engine.profile(plans["few groups"]!, { t: batches });
    expect(profile.plan).toMatchObject({
      rowsOut: result.numRows,
      groups: result.numRows,
      rowsSelected: ROWS,
    });
    await engine.close();
  });

  it("memory that ends at any point is an error, and nothing stays behind", async () => {
    const engine = await openReady({ workers: 2, faults: { ...faults, jitterUs: 10 } });
    await memoryEnds(engine, plans.texts!, text, batches);
    await memoryEnds(engine, plans.texts!, text, batches, "kernel");
    await engine.close();
  });

  it("a signal at any moment ends it, and its memory is back", async () => {
    const engine = await openReady({
      workers: 3,
      faults: { jitterUs: 1000, lookRows: 3, leavesPieces: true },
    });
    const before = engine.stats().usedBytes;
    for (const ms of [0, 10, 20, 30, 40, 50, 60, 80]) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("enough")), ms);
      const run = engine.collect(
        plans.texts!,
        { t: batches },
        { signal: controller.signal, result: "kernel" },
      );
      await run.then(
        (table) => table.free(),
        (error) => expect(error.message).toBe("enough"),
      );
      expect(engine.stats().usedBytes).toBe(before);
    }
    await engine.close();
  });
});

describe("many groups that all workers number alike", () => {
  const length = 60_000;
  const fields = [
    { name: "k", type: int32, nullable: true },
    { name: "x", type: float64, nullable: true },
    { name: "n", type: int32, nullable: false },
  ];
  const rows = Array.from({ length }, (_, row): Value[] => {
    const mixed = Math.imul(row, 0x9e3779b1) >>> 0;
    const x = mixed % 83 === 0 ? null : (mixed - 2 ** 31) * 10 ** (mixed % 5);
    return [mixed % 1009 === 0 ? null : BigInt(mixed % 20_011), x, BigInt(mixed % 1000)];
  });
  const data = Array.from({ length: 30 }, (_, at) =>
    writeBatch(fields, rows.slice((at * length) / 30, ((at + 1) * length) / 30)),
  );
  const plan = t.groupBy("k").aggregate({
    s: sum("x"),
    a: avg("x"),
    c: count("x"),
    n: sum("n"),
    m: max("x"),
    top: topK("x", 2),
  }) as Plan;
  const kept = t.groupBy("k").aggregate({ s: sum("x"), m: median("x"), l: min("n") }) as Plan;

  it("are folded by all of them: the bits of one thread", async () => {
    const one = await openReady({ workers: 1 });
    for (const [name, of] of Object.entries({ plan, kept })) {
      const expected = text(resultRows(await one.collect(of, { t: data })));
      for (const workers of [2, 3, 7]) {
        const engine = await openReady({ workers, faults: { jitterUs: 50 } });
        const before = engine.stats().usedBytes;
        expect(text(resultRows(await engine.collect(of, { t: data }))), name).toEqual(expected);
        const table = await engine.collect(of, { t: data }, { result: "kernel" });
        expect(text(resultRows(table.toArrow())), name).toEqual(expected);
        table.free();
        expect(engine.stats().usedBytes).toBe(before);
        await engine.close();
      }
    }
    await one.close();
  });

  it("by parts that the others claim", async () => {
    const engine = await openReady({ workers: 2, faults: { leavesPieces: true } });
    const before = morselsOf(engine);
    const table = await engine.collect(plan, { t: data }, { result: "kernel" });
    // All morsels but the first, 64 parts of the groups, and four of the results.
    expect(morselsOf(engine) - before).toBe(data.length - 1 + 64 + 4);
    table.free();
    await engine.close();
  });

  it("memory that ends at any point is an error, and nothing stays behind", async () => {
    const engine = await openReady({ workers: 2, faults: { jitterUs: 10 } });
    await memoryEnds(engine, plan, text, data, "kernel");
    await engine.close();
  });

  it("a signal at any moment ends it, and its memory is back", async () => {
    const engine = await openReady({ workers: 3, faults: { jitterUs: 500, leavesPieces: true } });
    const before = engine.stats().usedBytes;
    for (const ms of [0, 10, 20, 30, 40, 60, 80]) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("enough")), ms);
      await engine.collect(plan, { t: data }, { signal: controller.signal, result: "kernel" }).then(
        (table) => table.free(),
        (error) => expect(error.message).toBe("enough"),
      );
      expect(engine.stats().usedBytes).toBe(before);
    }
    await engine.close();
  });
});

describe("results of many groups", () => {
  const length = 300_000;
  const keys = BigInt64Array.from({ length }, (_, row) => BigInt(row) * 1_000_003n);
  const schema: Schema = { fields: [{ name: "k", type: int64, nullable: false }] };
  const column = { ...writeColumn(int64, []), length, values: new Uint8Array(keys.buffer) };
  const input = { schema, length, columns: [column] };
  const distinct = t.groupBy("k").aggregate({ c: count() }) as Plan;

  it.each([
    [2, true],
    [3, false],
    [7, true],
  ])("leave in batches of every operator of %i workers", async (workers, leavesPieces) => {
    const engine = await openReady({ workers, faults: { jitterUs: 100, leavesPieces } });
    const before = engine.stats().usedBytes;
    const given = await engine.load([input]);
    const table = await engine.collect(distinct, { t: given });
    const kept = await engine.collect(distinct, { t: given }, { result: "kernel" });
    for (const result of [table, kept.toArrow()]) {
      expect(result.batches.length).toBeGreaterThanOrEqual(5);
      const found = (result.getChild("k")!.toArray() as BigInt64Array).slice().sort();
      expect(found.length).toBe(length);
      expect(found.every((key, row) => key === keys[row])).toBe(true);
      const counts = result.getChild("c")!.toArray() as BigInt64Array;
      expect(counts.every((rows) => rows === 1n)).toBe(true);
    }
    given.free();
    kept.free();
    expect(engine.stats().usedBytes).toBe(before);
    await engine.close();
  });

  it("that leave by parts: memory that ends at any point is an error, or lets them wait, and nothing stays behind", async () => {
    const engine = await openReady({ workers: 2 });
    const before = engine.stats().usedBytes;
    let refused = 0;
    for (let memory = 6_000_000, isDone = false; !isDone; memory = Math.ceil(memory * 1.15)) {
      const run = engine.collect(distinct, { t: [input] }, { memory, result: "kernel" });
      await run.then(
        (kept) => {
          const found = (kept.toArrow().getChild("k")!.toArray() as BigInt64Array).slice().sort();
          expect(found).toEqual(keys);
          kept.free();
          isDone = true;
        },
        (error) => {
          expect(error).toMatchObject({ code: "MEMORY_LIMIT" });
          refused++;
        },
      );
      expect(engine.stats().usedBytes).toBe(before);
    }
    expect(refused).toBeGreaterThan(2);
    await engine.close();
  });

  // Of so many rows one has a key far from all others: none, few for a table apart, too many.
  it.each([length, 1000, 20])(
    "by keys that share a word, one of %i far from the others: the bits of one thread",
    async (seldom) => {
      const names = writeColumn(
        dictionary(utf8, int16),
        Array.from({ length: 500 }, (_, row) => `name ${row}`),
      );
      const codes = Int16Array.from({ length }, (_, row) => (row * 7) % 500);
      const numbers = Int32Array.from({ length }, (_, row) =>
        row % seldom === seldom - 1 ? -row * 7001 : row >> 1,
      );
      const fields = [
        { name: "a", type: dictionary(utf8, int16), nullable: false },
        { name: "b", type: int32, nullable: false },
      ];
      const columns = [
        { ...names, length, values: new Uint8Array(codes.buffer) },
        { ...writeColumn(int32, []), length, values: new Uint8Array(numbers.buffer) },
      ];
      const data = [{ schema: { fields }, length, columns }];
      const pairs = t.groupBy("a", "b").aggregate({ s: sum("b"), c: count() }) as Plan;
      const one = await openReady({ workers: 1 });
      const expected = text(resultRows(await one.collect(pairs, { t: data })));
      await one.close();
      for (const workers of [3]) {
        const engine = await openReady({ workers, faults: { jitterUs: 100 } });
        const before = engine.stats().usedBytes;
        const kept = await engine.collect(pairs, { t: data }, { result: "kernel" });
        expect(text(resultRows(kept.toArrow()))).toEqual(expected);
        kept.free();
        expect(engine.stats().usedBytes).toBe(before);
        await engine.close();
      }
    },
  );

  it("a thread that ends while it writes them is replaced, and the query told", async () => {
    // No other job has so many pieces.
    const faults: { endAt?: number; leavesPieces: boolean } = { endAt: 400, leavesPieces: true };
    const engine = await openReady({ workers: 2, faults });
    const before = engine.stats().usedBytes;
    let rows = 0;
    const leave = async () => {
      for await (const batch of engine.stream(distinct, { t: [input] }, { batchRows: 500 }))
        rows += batch.numRows;
    };
    await expect(leave()).rejects.toBeInstanceOf(WorkerError);
    expect(rows).toBeGreaterThan(100_000);
    expect(rows).toBeLessThan(length);
    delete faults.endAt;
    await vi.waitFor(() => expect(engine.stats().usedBytes).toBe(before), 10_000);
    rows = 0;
    await leave();
    expect(rows).toBe(length);
    await engine.close();
  });

  it("who has enough of them stops everybody, and their memory is back", async () => {
    const engine = await openReady({ workers: 3, faults: { jitterUs: 500, leavesPieces: true } });
    const before = engine.stats().usedBytes;
    for (const wanted of [1, 20]) {
      let batches = 0;
      for await (const _ of engine.stream(distinct, { t: [input] }, { batchRows: 500 }))
        if (++batches === wanted) break;
      expect(batches).toBe(wanted);
      expect(engine.stats().usedBytes).toBe(before);
    }
    await engine.close();
  });
});

describe("what goes wrong", () => {
  const plan = t.groupBy("few").aggregate({ s: sum("n") });

  it.each([1, 3])("the first row that fails is named, with %i workers", async (workers) => {
    const engine = await openReady({ workers, faults: { jitterUs: 300 } });
    // Every batch from the twentieth on has a row that overflows.
    const values = (at: number) =>
      Array.from({ length: 50 }, (_, row): Value => (at >= 20 && row === 17 ? 2n ** 30n + BigInt(at) : 1n));
    const schema: Schema = { fields: [{ name: "v", type: int32, nullable: false }] };
    const failing = Array.from(
      { length: 40 },
      (_, at): BatchData => ({
        schema,
        length: 50,
        columns: [writeColumn(int32, values(at))],
      }),
    );
    const sums = { s: sum(col("v").mul(2)) };
    const before = engine.stats().usedBytes;
    for (let round = 0; round < 8; round++) {
      const doubled =
        round % 2 === 0 ? t.aggregate(sums) : t.groupBy(rollup({ k: col("v").mod(3) })).aggregate(sums);
      const error = await engine.collect(doubled, { t: failing }).catch((caught) => caught);
      expect(error).toMatchObject({ code: "OVERFLOW", row: 1017 });
      expect(error.message).toMatch(/1073741844/);
      expect(engine.stats().usedBytes).toBe(before);
    }
    await engine.close();
  });

  it("a thread that ends is replaced, and its query told", async () => {
    const engine = await openReady({ workers: 2, faults: { endAt: 17, jitterUs: 10 } });
    const before = engine.stats().usedBytes;
    let lost = 0;
    // On a busy machine the calling thread may have done everything before the other one is awake.
    const deadline = performance.now() + 30_000;
    while (lost === 0 && performance.now() < deadline) {
      await engine.collect(plan, { t: batches }).catch((error) => {
        expect(error).toBeInstanceOf(WorkerError);
        expect(error.code).toBe("WORKER");
        lost++;
      });
    }
    expect(lost).toBe(1);
    expect(engine.stats().workers.restarts).toBe(1);
    expect(resultRows(await engine.collect(plan, { t: batches.slice(0, 10) })).length).toBe(14);
    await vi.waitFor(() => expect(engine.stats().usedBytes).toBe(before), 10_000);
    await engine.close();
  });

  it("a thread that could not be replaced for want of memory is once there is some", async () => {
    const kernel = await Kernel.open({ build: "threads", budget: "64 MiB" });
    const faults: { endAt?: number; jitterUs: number } = { endAt: 0, jitterUs: 10 };
    const pool = await WorkerPool.open(Promise.resolve(kernel), 2, faults);
    await pool.ready();
    const engine = Engine.over(kernel, pool);
    const before = kernel.usedBytes;
    let lost = 0;
    const deadline = performance.now() + 30_000;
    while (lost === 0 && performance.now() < deadline) {
      await engine.collect(plan, { t: batches }).catch(() => {
        lost++;
        kernel.setBudget(kernel.usedBytes);
      });
    }
    expect(lost).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(kernel.usedBytes).toBeLessThan(before);
    expect(engine.stats().workers.fallback).toBeNull();
    delete faults.endAt;
    kernel.setBudget("64 MiB");
    await vi.waitFor(() => expect(kernel.usedBytes).toBe(before), 20_000);
    expect(resultRows(await engine.collect(plan, { t: batches })).length).toBe(14);
    await engine.close();
  });

  it("a signal stops all workers within a morsel, and their memory is back", async () => {
    const engine = await openReady({ workers: 3, faults: { jitterUs: 2000 } });
    const before = engine.stats().usedBytes;
    for (const at of [1, 30]) {
      const controller = new AbortController();
      async function* source() {
        for (const [index, one] of batches.entries()) {
          if (index === at) controller.abort(new Error("enough"));
          yield one;
        }
      }
      const run = engine.collect(plan, { t: source() }, { signal: controller.signal });
      await expect(run).rejects.toThrow("enough");
      expect(engine.stats().usedBytes).toBe(before);
    }
    expect(engine.stats().usedBytes).toBe(before);
    await engine.close();
  });

  it("closing while a query runs ends both", async () => {
    const engine = await openReady({ workers: 3, faults: { jitterUs: 2000 } });
    const running = engine.collect(plan, { t: batches });
    const failed = expect(running).rejects.toThrow(/closed/);
    await engine.close();
    await failed;
    await engine.close();
  });

  it("too little memory is an error, and nothing stays behind", async () => {
    const engine = await openReady({ workers: 2, memory: "4 MiB" });
    const before = engine.stats().usedBytes;
    const many = Array.from({ length: 8 }, (_, i) => batch(i * 6000, (i + 1) * 6000));
    const grouped = t.groupBy("x", "n").aggregate({ s: sum("x"), l: arrayAgg("n") });
    await expect(engine.collect(grouped, { t: many })).rejects.toMatchObject({ code: "MEMORY_LIMIT" });
    expect(engine.stats().usedBytes).toBe(before);
    expect(resultRows(await engine.collect(plan, { t: batches })).length).toBe(14);
    await engine.close();
  });
});

describe("every value of a group, where there are many", () => {
  const LOGGED = 400_000;
  const fields = [
    { name: "k", type: int32, nullable: true },
    { name: "x", type: float64, nullable: true },
    { name: "n", type: int32, nullable: false },
  ];
  /** Ten batches, whose keys are null here and there. */
  const data = Array.from({ length: 10 }, (_, at): BatchData => {
    const length = LOGGED / 10;
    const mixed = Uint32Array.from({ length }, (_, row) => Math.imul(at * length + row + 1, 0x9e3779b1));
    const keys = Int32Array.from(mixed, (word) => (word >>> 8) % 2003);
    const validity = new Uint8Array(length / 8).fill(0xff);
    for (let row = at; row < length; row += 907) validity[row >> 3]! &= ~(1 << (row & 7));
    const floats = Float64Array.from(mixed, (word) => ((word % 100_003) - 50_000) / 7);
    const integers = Int32Array.from(mixed, (word) => word % 1009);
    const columns = [keys, floats, integers].map((values, index) => ({
      ...writeColumn(fields[index]!.type, []),
      length,
      values: new Uint8Array(values.buffer),
      ...(index === 0 ? { validity, nullCount: -1 } : {}),
    }));
    return { schema: { fields }, length, columns };
  });
  const all = { m: median("x"), q: quantile("x", 0.9), s: stddev("x"), n: mode("n"), c: count() };
  const plans: Readonly<Record<string, Plan>> = {
    "of keys that all number alike": t.groupBy("k").aggregate(all) as Plan,
    "of keys that all number in their own way": t
      .groupBy({ far: col("k").cast(int64).mul(1_000_000_007) })
      .aggregate(all) as Plan,
    "of one group": t.aggregate(all) as Plan,
    "of a group that has most, and others": t
      .groupBy({ few: col("k").lt(3), some: col("n").mod(5) })
      .aggregate(all) as Plan,
    "of no rows": t.where(col("n").lt(0)).groupBy("k").aggregate(all) as Plan,
    "of grouping sets": t.groupBy(rollup({ a: col("k").mod(7) }, "k")).aggregate(all) as Plan,
  };

  it.each(Object.entries(plans))("%s: the bits of one thread", async (_name, plan) => {
    const one = await openReady({ workers: 1 });
    const expected = text(resultRows(await one.collect(plan, { t: data })));
    await one.close();
    for (const workers of [2, 3, 4, 7]) {
      const engine = await openReady({ workers, faults: { jitterUs: 300 } });
      const before = engine.stats().usedBytes;
      const table = await engine.load(data);
      expect(text(resultRows(await engine.collect(plan, { t: table })))).toEqual(expected);
      const kept = await engine.collect(plan, { t: data }, { result: "kernel" });
      expect(text(resultRows(kept.toArrow()))).toEqual(expected);
      kept.free();
      table.free();
      expect(engine.stats().usedBytes).toBe(before);
      await engine.close();
    }
  });

  it("results are readied by all threads", async () => {
    const engine = await openReady({ workers: 2, faults: { leavesPieces: true } });
    const morsels = () => morselsOf(engine);
    const before = morsels();
    await engine.collect(plans["of keys that all number alike"]!, { t: data });
    // All morsels but the first, and all 128 parts.
    expect(morsels() - before).toBe(data.length - 1 + 128);
    await engine.close();
  });

  it("memory that ends at any point is an error, and nothing stays behind", async () => {
    const engine = await openReady({ workers: 2, faults: { jitterUs: 10 } });
    await memoryEnds(engine, plans["of keys that all number alike"]!, text, data);
    await engine.close();
  });

  it("a signal at any moment ends it, and its memory is back", async () => {
    const engine = await openReady({ workers: 3, faults: { jitterUs: 2000 } });
    const before = engine.stats().usedBytes;
    let stopped = 0;
    for (const ms of [0, 2, 5, 10, 20, 40]) {
      const controller = new AbortController();
      async function* source() {
        yield* data;
        setTimeout(() => controller.abort(new Error("enough")), ms);
      }
      const run = engine.collect(
        plans["of keys that all number alike"]!,
        { t: source() },
        {
          signal: controller.signal,
        },
      );
      await run.catch((error) => {
        expect(error.message).toBe("enough");
        stopped++;
      });
      expect(engine.stats().usedBytes).toBe(before);
    }
    expect(stopped).toBeGreaterThanOrEqual(2);
    await engine.close();
  });
});

describe("a sort that goes wrong", () => {
  const sorted = t.orderBy("x", "text") as Plan;

  it("a signal at any moment ends it, and its memory is back", async () => {
    const engine = await openReady({ workers: 3, faults: { jitterUs: 2000, divideGroups: 0 } });
    const before = engine.stats().usedBytes;
    let stopped = 0;
    for (const result of ["arrow", "kernel"] as const) {
      for (const ms of [0, 1, 3, 8, 20]) {
        const controller = new AbortController();
        const stop = () => controller.abort(new Error("enough"));
        let timer: NodeJS.Timeout | undefined;
        // From when all rows are there on: what follows is the sort.
        async function* source() {
          yield* batches;
          if (ms === 0) stop();
          else timer = setTimeout(stop, ms);
        }
        const run = engine.collect(sorted, { t: source() }, { signal: controller.signal, result } as object);
        await run.then(
          (table) => (table as unknown as { free?: () => void }).free?.(),
          (error) => {
            expect(error.message).toBe("enough");
            stopped++;
          },
        );
        clearTimeout(timer);
        expect(engine.stats().usedBytes).toBe(before);
      }
    }
    expect(stopped).toBeGreaterThanOrEqual(2);
    await engine.close();
  });

  it("a thread that ends while it sorts is replaced, and its query told", async () => {
    // Two morsels are shared, and two sorts divided: only ranges have such numbers.
    const engine = await openReady({ workers: 2, faults: { endAt: 3, jitterUs: 10, divideGroups: 0 } });
    const before = engine.stats().usedBytes;
    const whole = [batch(0, 2000), batch(2000, 4000), batch(4000, ROWS)];
    let lost = 0;
    const deadline = performance.now() + 30_000;
    while (lost === 0 && performance.now() < deadline) {
      await engine.collect(sorted, { t: whole }).catch((error) => {
        expect(error).toBeInstanceOf(WorkerError);
        lost++;
      });
    }
    expect(lost).toBe(1);
    await vi.waitFor(() => expect(engine.stats().usedBytes).toBe(before), 10_000);
    await engine.close();
  });

  it("memory that ends at any point is an error, and nothing stays behind", async () => {
    const engine = await openReady({ workers: 2, faults: { jitterUs: 10, divideGroups: 0 } });
    await memoryEnds(engine, sorted, inOrder);
    await engine.close();
  });
});

describe("grouping sets that go wrong", () => {
  const sets = t.groupBy(rollup("text", "many")).aggregate({ s: sum("x"), c: count() }) as Plan;

  it("memory that ends at any point is an error, and nothing stays behind", async () => {
    const engine = await openReady({ workers: 2, faults: { jitterUs: 10, divideGroups: 0 } });
    await memoryEnds(engine, sets, text);
    await engine.close();
  });

  it("an allocation that fails in another thread is an error, or changes nothing", async () => {
    const kernel = await Kernel.open({ build: "threads", budget: "64 MiB" });
    const faults = { leavesPieces: false };
    const pool = await WorkerPool.open(Promise.resolve(kernel), 2, faults);
    await pool.ready();
    const engine = Engine.over(kernel, pool);
    const expected = text(resultRows(await engine.collect(sets, { t: batches })));
    faults.leavesPieces = true;
    const { base } = kernel.share();
    const allocations = () => kernel.memory.view.getUint32(base + Root.ALLOCATIONS, true);
    const before = kernel.usedBytes;
    let survived = 0;
    for (let nth = 1; nth < 250; nth += 8) {
      let [fails, read] = [0, 0];
      // The first morsel is the calling thread's, what comes afterwards the other one's.
      function* source() {
        for (const [index, one] of batches.entries()) {
          if (index === 3) {
            fails = allocations() + nth;
            kernel.failAllocation(nth | SMALL_TOO);
          }
          yield one;
        }
        read = allocations();
      }
      const result = await engine.collect(sets, { t: source() }).then(
        (all) => text(resultRows(all)),
        (error) => {
          expect(error).toMatchObject({ code: "MEMORY_LIMIT" });
          return null;
        },
      );
      kernel.failAllocation(0);
      if (result !== null) expect(result).toEqual(expected);
      // What comes after the rows may be asked for again.
      survived += Number(result !== null && fails <= read);
      expect(kernel.usedBytes).toBe(before);
    }
    expect(survived).toBeGreaterThan(0);
    await engine.close();
  });
});

describe("options", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it.each([0, -1, 1.5, Number.NaN, 65, "2"])("%s workers are refused", async (workers) => {
    await expect(Engine.open({ workers: workers as number })).rejects.toThrow(ArgumentError);
  });

  it("a build without shared memory is refused", async () => {
    await expect(Engine.open({ workers: 2, build: "simd" })).rejects.toThrow(/shared memory/);
    await expect(Engine.open({ workers: 2, memory: "much" })).rejects.toThrow(ArgumentError);
  });

  it("without shared memory there is one thread, and stats say why", async () => {
    vi.stubGlobal("SharedArrayBuffer", undefined);
    const engine = await Engine.open({ workers: 2 });
    const { build, workers } = engine.stats();
    expect(build).toBe("simd");
    expect(workers).toMatchObject({ asked: 2, running: 1, each: [] });
    expect(workers.fallback).toMatch(/shares no memory/);
    await engine.close();
  });
});

describe("an idle pool", () => {
  it("uses no processor", async () => {
    const engine = await openReady({ workers: 4 });
    await engine.collect(t.groupBy("few").aggregate({ s: sum("n") }), { t: batches });
    // What else runs in this process (compilation, collection of garbage) ends some time; a pool that spins does not.
    let least = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < 20 && least > 0.1; turn++) {
      const { user, system } = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, 200));
      const used = process.cpuUsage({ user, system });
      least = Math.min(least, (used.user + used.system) / 200_000);
    }
    expect(least).toBeLessThanOrEqual(0.1);
    await engine.close();
  });

  it("is not waited for: what begins before its threads are ready runs on the calling one, then on all", async () => {
    const engine = await Engine.open({ workers: 3, faults: { jitterUs: 100 } });
    const plan = t.groupBy("few").aggregate({ s: sum("n") });
    const first = resultRows(await engine.collect(plan, { t: batches }));
    await engine.ready();
    expect(engine.stats().workers).toMatchObject({ asked: 3, running: 3, fallback: null });
    expect(text(resultRows(await engine.collect(plan, { t: batches })))).toEqual(text(first));
    await engine.close();
    // Closed while they start.
    const brief = await Engine.open({ workers: 3 });
    await brief.close();
    await brief.ready();
  });

  it("does not keep a script alive that forgets to close it", async () => {
    const before = process.getActiveResourcesInfo().filter((name) => name === "MessagePort").length;
    const engine = await Engine.open({ workers: 3 });
    await engine.collect(t.groupBy("few").aggregate({ s: sum("n") }), { t: batches });
    const ports = process.getActiveResourcesInfo().filter((name) => name === "MessagePort");
    expect(ports.length).toBe(before);
    await engine.close();
  });
});
