// Grouping sets and distinct rows as they run; test/equality.test.ts and test/duckdb.test.ts hold them to oracles.

import {
  Dictionary,
  Float64,
  Int32,
  Table,
  TimestampMillisecond,
  tableFromArrays,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  col,
  count,
  cube,
  Engine,
  from,
  grouping,
  groupingSets,
  MemoryLimitError,
  max,
  type Plan,
  rollup,
  sum,
} from "../index.js";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open({ memory: "256 MiB" });
});
afterAll(() => engine.close());

const t = tableFromArrays({
  region: ["n", "n", null, "s"],
  shop: ["a", "b", "a", "a"],
  price: Float64Array.of(1, 2, 4, 8),
});

const told = (table: Table) => table.toArray().map((row) => Object.values(row.toJSON()).join(" "));
const collect = async (plan: Plan<unknown>, inputs: object = { t }) =>
  told(await engine.collect(plan, inputs as Record<string, object>));

it("tells a null of the data from that of a subtotal", async () => {
  const plan = from("t")
    .groupBy(rollup("region", "shop"))
    .aggregate({ total: sum("price"), level: grouping("region", "shop"), n: count() });
  expect((await collect(plan)).sort()).toEqual(
    ["n a 1 0 1", "n b 2 0 1", " a 4 0 1", "s a 8 0 1", "n  3 1 2", "  4 1 1", "s  8 1 1", "  15 3 4"].sort(),
  );
});

it("takes a condition on the groups, an order and a limit after it", async () => {
  const plan = from("t")
    .where(col("price").gt(1))
    .groupBy(cube("region", "shop"))
    .aggregate({ total: sum("price"), level: grouping("region", "shop") })
    .where(col("level").ne(0), col("total").gt(2))
    .orderBy("level", "total")
    .limit(3);
  expect(await collect(plan)).toEqual(["  4 1", "s  8 1", " a 12 2"]);
});

it("gives a set as often as it is asked for", async () => {
  const plan = from("t")
    .groupBy(groupingSets([], ["shop"], []))
    .aggregate({ n: count() });
  expect((await collect(plan)).sort()).toEqual([" 4", " 4", "a 3", "b 1"]);
});

it("gives the row over everything also of no rows and of no aggregates", async () => {
  const plan = from("t")
    .groupBy(rollup("shop"))
    .aggregate({ g: grouping("shop") });
  expect((await collect(plan)).sort()).toEqual([" 1", "a 0", "b 0"]);
  const none = from("t").where(col("price").gt(99));
  expect(await collect(none.groupBy(rollup("shop")).aggregate({ n: count(), s: sum("price") }))).toEqual([
    " 0 ",
  ]);
  expect(await collect(none.groupBy(rollup("shop")).aggregate({}))).toEqual([""]);
  expect(await collect(none.groupBy("region", rollup("shop")).aggregate({ n: count() }))).toEqual([]);
  expect(
    (
      await collect(
        from("t")
          .groupBy("shop")
          .aggregate({ g: grouping("shop") }),
      )
    ).sort(),
  ).toEqual(["a 0", "b 0"]);
});

it("emits the changes of every set", async () => {
  const plan = from("t").groupBy(rollup("shop")).aggregate({});
  const kinds: string[] = [];
  for await (const batch of engine.stream(plan, { t: t.batches }, { emit: "onUpdate" })) {
    for (const row of batch) kinds.push(Object.values(row.toJSON()).join(" "));
  }
  expect(kinds.sort()).toEqual([" 0", "a 0", "b 0"]);
});

const draws = fc.record({
  rows: fc.array(
    fc.record({
      region: fc.option(fc.constantFrom("n", "s", "o", "w"), { freq: 6 }),
      shop: fc.constantFrom("a", "b", "c"),
      at: fc.integer({ min: -200_000, max: 200_000 }),
      price: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { freq: 6 }),
      amount: fc.integer({ min: -9, max: 9 }),
    }),
    { minLength: 1, maxLength: 120 },
  ),
  cuts: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 5 }),
});

/** A table of drawn rows in batches of these sizes, the last one of the rest. */
function tableOf({ rows, cuts }: typeof draws extends fc.Arbitrary<infer T> ? T : never): Table {
  const texts = (values: readonly (string | null)[]) =>
    vectorFromArray(values, new Dictionary(new Utf8(), new Int32()));
  const whole = new Table({
    region: texts(rows.map(({ region }) => region)),
    shop: texts(rows.map(({ shop }) => shop)),
    at: vectorFromArray(
      rows.map(({ at }) => at),
      new TimestampMillisecond(),
    ),
    price: vectorFromArray(
      rows.map(({ price }) => price),
      new Float64(),
    ),
    amount: vectorFromArray(
      rows.map(({ amount }) => amount),
      new Int32(),
    ),
  });
  const parts: Table[] = [];
  let start = 0;
  for (const size of [...cuts, rows.length]) {
    if (start < rows.length) parts.push(whole.slice(start, Math.min(rows.length, start + size)));
    start += size;
  }
  return parts.reduce((a, b) => a.concat(b));
}

it("gives, and changes, each set's rows as an aggregation by its keys alone does", async () => {
  const minute = { minute: col("at").dateTrunc("minute") };
  const hour = { hour: col("at").dateTrunc("hour") };
  const kept = from("d").where(col("amount").ne(3));
  const figures = { total: sum("price"), most: max("amount"), n: count({ filter: col("price").gt(0) }) };
  const sets = groupingSets([minute], [hour], ["region"], ["region", "shop"], []);
  const together = kept.groupBy(sets).aggregate({
    ...figures,
    level: grouping("minute", "hour", "region", "shop"),
  });
  const apart: Record<string, Plan<unknown>> = {
    7: kept.groupBy(minute).aggregate(figures),
    11: kept.groupBy(hour).aggregate(figures),
    13: kept.groupBy("region").aggregate(figures),
    12: kept.groupBy("region", "shop").aggregate(figures),
    15: kept.aggregate(figures),
  };
  const keys = { 7: ["minute"], 11: ["hour"], 13: ["region"], 12: ["region", "shop"], 15: [] } as Record<
    string,
    string[]
  >;
  type Row = Record<string, unknown>;
  const line = (row: Row, names: readonly string[]) =>
    [...names, "total", "most", "n", "row_kind"].map((name) => `${row[name]}`).join(" ");
  const streamed = async (plan: Plan<unknown>, table: Table): Promise<Row[]> => {
    const all: Row[] = [];
    for await (const batch of engine.stream(plan, { d: table.batches }, { emit: "onUpdate" })) {
      for (const row of batch) all.push(row.toJSON());
    }
    return all;
  };
  await fc.assert(
    fc.asyncProperty(draws, async (drawn) => {
      const table = tableOf(drawn);
      const results = (await engine.collect(together, { d: table }))
        .toArray()
        .map((row) => row.toJSON() as Row);
      const changes = await streamed(together, table);
      for (const [level, plan] of Object.entries(apart)) {
        const own = (rows: readonly Row[]) =>
          rows.filter((row) => `${row.level}` === level).map((row) => line(row, keys[level]!));
        const alone = (await engine.collect(plan, { d: table }))
          .toArray()
          .map((row) => line(row.toJSON(), keys[level]!));
        expect(own(results)).toEqual(alone);
        expect(own(changes)).toEqual((await streamed(plan, table)).map((row) => line(row, keys[level]!)));
      }
    }),
    { numRuns: 40 },
  );
});

it("names the expression and the row that cannot be computed", async () => {
  const values = [1n, 2n, 2n ** 62n, 3n];
  const large = tableFromArrays({ k: [1, 2, 3, 4], v: BigInt64Array.from(values) });
  const plan = from("large")
    .groupBy(rollup("k"))
    .aggregate({ total: sum(col("v").mul(4)) });
  const failure = await engine.collect(plan, { large }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ row: 2 });
  expect(String(failure)).toMatch(/v \* 4/);
  const long = tableFromArrays({
    k: new Int32Array(70_000),
    v: BigInt64Array.from({ length: 70_000 }, (_, row) => (row === 69_000 ? 2n ** 62n : 1n)),
  });
  await expect(engine.collect(plan, { large: long })).rejects.toMatchObject({ row: 69_000 });
});

it("does with as little memory as sets that are pushed one by one", async () => {
  const rows = 70_000;
  const wide = tableFromArrays({
    a: BigInt64Array.from({ length: rows }, (_, row) => BigInt(row) * 1_000_003n),
    b: Int32Array.from({ length: rows }, (_, row) => row % 1000),
    v: Float64Array.from({ length: rows }, (_, row) => row / 8),
  });
  const keys = ["a", { c: col("a").add(1) }, { d: col("a").add(2) }] as const;
  const plan = from("wide")
    .groupBy(groupingSets([keys[0]], [keys[1]], [keys[2]], ["b"]))
    .aggregate({ total: sum("v"), n: count() })
    .aggregate({ groups: count(), n: sum("n"), total: sum("total") });
  const wanted = [`${3 * rows + 1000} ${4 * rows} ${(4 * (rows / 8) * (rows - 1)) / 2}`];
  let [refused, answered] = [0, 0];
  for (let megabytes = 10; megabytes <= 60; megabytes += 5) {
    const small = await Engine.open({ memory: `${megabytes} MiB` });
    try {
      expect(told(await small.collect(plan, { wide }))).toEqual(wanted);
      answered++;
    } catch (error) {
      expect(error).toBeInstanceOf(MemoryLimitError);
      expect(answered).toBe(0);
      refused++;
    } finally {
      await small.close();
    }
  }
  expect(refused).toBeGreaterThan(0);
  expect(answered).toBeGreaterThan(3);
});

it("names what failed, and gives the memory of all sets back", async () => {
  const large = tableFromArrays({ k: [1, 2], v: BigInt64Array.of(2n ** 62n, 2n ** 62n) });
  const before = engine.stats().usedBytes;
  const plan = from("large")
    .groupBy(rollup("k"))
    .aggregate({ total: sum("v") });
  await expect(engine.collect(plan, { large })).rejects.toThrow(/"total" = sum\(v\)/);
  const many = Array.from({ length: 8 }, (_, index) => ({ [`k${index}`]: col("v").mod(index + 2) }));
  const all = await engine.collect(
    from("large")
      .groupBy(cube(...many))
      .aggregate({ n: count() }),
    { large },
  );
  expect(all.numRows).toBe(256);
  const kept = await engine.collect(
    plan.where(col("k").isNotNull()),
    { large: large.slice(0, 1) },
    { result: "kernel" },
  );
  expect(told(kept.toArrow())).toEqual(["1 4611686018427387904"]);
  kept.free();
  expect(engine.stats().usedBytes).toBe(before);
});

it("gives each different row once", async () => {
  const twice = tableFromArrays({
    a: Float64Array.of(0, -0, Number.NaN, Number.NaN, 1),
    b: [1, 1, 2, 2, null],
  });
  expect((await collect(from("twice").distinct(), { twice })).sort()).toEqual(["0 1", "1 ", "NaN 2"]);
  expect((await collect(from("twice").distinct("b"), { twice })).sort()).toEqual(["", "1", "2"]);
  const named = from("twice")
    .distinct({ whole: col("b").isNotNull() }, "b")
    .orderBy("b")
    .limit(1);
  expect(await collect(named, { twice })).toEqual(["true 1"]);
  expect(await collect(from("t").distinct("shop").aggregate({ n: count() }))).toEqual(["2"]);
});

it("refuses distinct over columns that cannot be compared", async () => {
  const { vectorFromArray, List, Field, Int32, Table } = await import("apache-arrow");
  const list = vectorFromArray([[1], [2]], new List(new Field("item", new Int32())));
  expect(() => from(new Table({ list })).distinct()).toThrow(/distinct: column "list" is/);
});
