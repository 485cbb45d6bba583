// Grouping sets and distinct rows as they run; test/equality.test.ts and test/duckdb.test.ts hold them to oracles.

import { type Table, tableFromArrays } from "apache-arrow";
import { afterAll, beforeAll, expect, it } from "vitest";
import { col, count, cube, Engine, from, grouping, groupingSets, type Plan, rollup, sum } from "../index.js";

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

const rows = (table: Table) => table.toArray().map((row) => Object.values(row.toJSON()).join(" "));
const collect = async (plan: Plan<unknown>, inputs: object = { t }) =>
  rows(await engine.collect(plan, inputs as Record<string, object>));

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
  expect(rows(kept.toArrow())).toEqual(["1 4611686018427387904"]);
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
