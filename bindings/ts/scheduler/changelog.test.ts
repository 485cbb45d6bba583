// Plans over changelogs: sources whose rows are changes, and aggregations over aggregations that emit changes.

import { type Table, tableFromArrays } from "apache-arrow";
import { afterAll, describe, expect, it } from "vitest";
import {
  approxMedian,
  argMax,
  argMin,
  arrayAgg,
  avg,
  bitXor,
  bottomK,
  col,
  corr,
  count,
  countDistinct,
  Engine,
  first,
  from,
  max,
  median,
  min,
  mode,
  type Plan,
  PlanError,
  quantileDisc,
  RetractionError,
  SchemaMismatchError,
  source,
  stringAgg,
  sum,
  topK,
  variance,
} from "../index.js";
import { float64, int64, utf8 } from "../type/data-type.js";

interface Change {
  readonly shop: string;
  readonly item: bigint;
  readonly price: number;
  readonly row_kind: number;
}

/** Orders of which some are corrected and some taken back, and what is left of them. */
const changes: Change[] = [];
const rest: Change[] = [];
for (let i = 0; i < 400; i++) {
  const order = { shop: `shop ${i % 7}`, item: BigInt(i % 23), price: (i % 50) / 8 - 1 };
  changes.push({ ...order, row_kind: 0 });
  if (i % 3 === 0) changes.push({ ...order, row_kind: 1 });
  const corrected = { ...order, price: order.price * 3 };
  if (i % 6 === 0) changes.push({ ...corrected, row_kind: 2 });
  if (i % 6 === 0) rest.push({ ...corrected, row_kind: 0 });
  else if (i % 3 !== 0) rest.push({ ...order, row_kind: 0 });
}
// All of one shop go.
for (const order of rest.filter(({ shop }) => shop === "shop 6")) changes.push({ ...order, row_kind: 3 });
const left = rest.filter(({ shop }) => shop !== "shop 6");

function tableOf(rows: readonly Change[]): Table {
  return tableFromArrays({
    shop: rows.map(({ shop }) => shop),
    item: BigInt64Array.from(rows, ({ item }) => item),
    price: Float64Array.from(rows, ({ price }) => price),
    row_kind: Int8Array.from(rows, ({ row_kind }) => row_kind),
  });
}

const said = (rows: Iterable<unknown>): string[] =>
  [...rows]
    .map((row) => JSON.stringify(row, (_, value) => (typeof value === "bigint" ? `${value}n` : value)))
    .sort();

const engine = await Engine.open();
afterAll(() => engine.close());

/** Splits a table into batches of different sizes. */
const pieces = (table: Table): Table[] => {
  const sizes = [1, 60, 7, 200, 33];
  const parts: Table[] = [];
  for (let start = 0, i = 0; start < table.numRows; start += sizes[i++ % sizes.length]!)
    parts.push(table.slice(start, start + sizes[i % sizes.length]!));
  return parts;
};

/** What is left of emitted changes; none may be taken back before it came. */
async function consolidated(plan: Plan<unknown>, inputs: Record<string, Table[]>): Promise<string[]> {
  const counts = new Map<string, number>();
  for await (const batch of engine.stream(plan, inputs, { emit: "onUpdate" })) {
    for (const row of batch) {
      const { row_kind, ...values } = row.toJSON() as { row_kind: number };
      const name = said([values])[0]!;
      const now = (counts.get(name) ?? 0) + (row_kind & 1 ? -1 : 1);
      expect(now).toBeGreaterThanOrEqual(0);
      counts.set(name, now);
    }
  }
  return [...counts].flatMap(([name, times]) => new Array<string>(times).fill(name)).sort();
}

const declared = source("orders", { shop: utf8, item: int64, price: float64 }, { changelog: true });

const plans: { readonly [name: string]: (orders: Plan) => Plan<unknown> } = {
  sums: (orders) =>
    orders
      .groupBy("shop")
      .aggregate({ n: count(), total: sum("price"), mean: avg("price"), kinds: countDistinct("item") }),
  extremes: (orders) =>
    orders.groupBy("shop").aggregate({ low: min("price"), high: max("price"), last: max("item") }),
  moments: (orders) =>
    orders.groupBy("item").aggregate({ spread: variance("price"), r: corr("price", "item") }),
  "every value": (orders) =>
    orders.groupBy("shop").aggregate({
      middle: median("price"),
      usual: mode("item"),
      named: mode("shop"),
      third: quantileDisc("price", 0.3),
      bits: bitXor("item"),
      best: topK("price", 3),
      prices: arrayAgg("price", { filter: col("item").gt(2) }),
      different: sum("price", { distinct: true }),
    }),
  "by another column": (orders) =>
    orders.groupBy("shop").aggregate({
      earliest: first("price", "item"),
      dearest: argMax("item", "price"),
      named: argMin("shop", "price"),
      top: topK("item", 3, { by: "price" }),
      bottom: bottomK("shop", 2, { by: col("item").neg() }),
      listed: arrayAgg("item", { orderBy: "price", descending: true }),
      joined: stringAgg("shop", "/", { orderBy: "item", filter: col("price").gt(4) }),
      pairs: countDistinct("item", "price"),
    }),
  "without keys": (orders) => orders.aggregate({ total: sum("price"), first: min("shop") }),
  "over filters and projections": (orders) =>
    orders
      .where(col("price").gt(0))
      .select("shop", { cents: col("price").mul(100) })
      .groupBy("shop")
      .aggregate({ total: sum("cents", { filter: col("cents").lt(400) }), n: count() })
      .where(col("n").gt(10)),
  distinct: (orders) => orders.distinct("shop", "item"),
  "twice over": (orders) =>
    orders
      .groupBy("shop", "item")
      .aggregate({ total: sum("price"), n: count() })
      .groupBy("shop")
      .aggregate({ items: count(), best: max("total"), all: sum("n") }),
};

describe("a source that is a changelog", () => {
  const orders = tableOf(changes);

  it.each(Object.keys(plans))("gives what the rows that are left give: %s", async (name) => {
    const plain = tableOf(left);
    const wanted = said(await engine.collect(plans[name]!(from("orders")), { orders: plain }));
    expect(wanted.length).toBeGreaterThan(0);
    const plan = plans[name]!(from("orders").changelog() as Plan);
    expect(said(await engine.collect(plan, { orders }))).toEqual(wanted);
    expect(said(await engine.collect(plans[name]!(from(declared) as Plan), { orders }))).toEqual(wanted);
    expect(said(await engine.collect(plans[name]!(from(orders).changelog() as Plan)))).toEqual(wanted);
    expect(await consolidated(plan, { orders: pieces(orders) })).toEqual(wanted);
    // Nested aggregations as changelogs over rows that only come.
    expect(await consolidated(plans[name]!(from("orders")), { orders: pieces(plain) })).toEqual(wanted);
  });

  it("hands changes on through filters and projections, in both modes", async () => {
    const plan = from("orders").changelog().where(col("shop").eq("shop 1")).select("item");
    const table = await engine.collect(plan, { orders });
    expect(table.schema.fields.map(({ name }) => name)).toEqual(["item", "row_kind"]);
    expect(table.numRows).toBe(changes.filter(({ shop }) => shop === "shop 1").length);
    const items = left.filter(({ shop }) => shop === "shop 1").map(({ item }) => ({ item }));
    expect(await consolidated(plan, { orders: pieces(orders) })).toEqual(said(items));
  });

  it("may come as an empty stream when it is declared", async () => {
    const plan = from(declared).aggregate({ n: count() });
    expect(said(await engine.collect(plan, { orders: [] }))).toEqual(['{"n":"0n"}']);
    expect(plan.explain()).toContain("row_kind");
  });

  it("is refused by what cannot take rows back, with both names", () => {
    const orders = from(declared);
    const refusal = (plan: Plan<unknown>) => () => plan.explain();
    expect(refusal(orders.orderBy("price"))).toThrow(/orderBy over the changelog "orders"/);
    expect(refusal(orders.limit(3))).toThrow(/limit over the changelog "orders"/);
    expect(refusal(orders.aggregate({ total: sum("price", { fast: true }) }))).toThrow(
      /sum\(price\) fast over the changelog "orders"/,
    );
    expect(refusal(orders.aggregate({ middle: approxMedian("price") }))).toThrow(
      /approxMedian\(price\) over the changelog "orders"/,
    );
    expect(() => orders.where(col("price").gt(0)).changelog()).toThrow(PlanError);
    expect(refusal(orders.select({ row_kind: col("item") }))).toThrow(/row_kind/);
  });

  it("needs row kinds, and no more taken back than came", async () => {
    const plan = from("orders").changelog().groupBy("shop").aggregate({ n: count() });
    const bare = tableOf(left).select(["shop", "item", "price"]) as unknown as Table;
    await expect(engine.collect(plan, { orders: bare })).rejects.toThrow(SchemaMismatchError);
    const gone = tableOf([{ shop: "x", item: 1n, price: 1, row_kind: 3 }]);
    await expect(engine.collect(plan, { orders: gone })).rejects.toThrow(RetractionError);
    const odd = tableOf([{ shop: "x", item: 1n, price: 1, row_kind: 9 }]);
    await expect(engine.collect(plan, { orders: odd })).rejects.toThrow(/9 is no row kind/);
  });
});
