import { describe, expect, it } from "vitest";
import { date32, decimal, float64, int32, type Schema, timestamp, utf8 } from "../type/data-type.js";
import { avg, count, countDistinct, sum } from "./aggregate.js";
import { explain } from "./explain.js";
import { coalesce, col, not, when } from "./expression.js";
import { interval } from "./interval.js";
import { desc, from, source } from "./plan.js";

const orders = source("orders", {
  seller: utf8,
  status: utf8,
  amount: decimal(12, 2),
  price: float64,
  quantity: int32,
  day: date32,
  ts: timestamp("us", "Europe/Berlin"),
});

describe("explain", () => {
  it("prints the logical plan with its types, and the stages", () => {
    const plan = from(orders)
      .where(col("status").eq("paid"), col("seller").like("A%"), col("quantity").mul(2).gt(10))
      .groupBy("seller", { month: col("day").dateTrunc("month") })
      .aggregate({
        gmv: sum("amount"),
        orders: count(),
        big: count().filter(col("price").gt(99.5)),
        buyers: countDistinct("status"),
        mean: avg(col("price").mul(col("quantity")), { fast: true }),
      })
      .where(col("orders").gt(10))
      .orderBy(desc("gmv"))
      .limit(10, 5);
    expect(explain(plan)).toMatchInlineSnapshot(`
      "Plan
        limit 10 after 5
          order by gmv descending
            where orders > 10
              aggregate gmv = sum(amount), orders = count(*), big = count(*) filter (price > 99.5), buyers = count(distinct status), mean = avg(price * quantity) fast by seller, month = date_trunc('month', day) -> (seller: utf8, month: date32, gmv: decimal(38, 2), orders: int64 not null, big: int64 not null, buyers: int64 not null, mean: float64)
                where (quantity * 2) > 10
                  where seller like 'A%'
                    where status = 'paid'
                      from orders -> (seller: utf8, status: utf8, amount: decimal(12, 2), price: float64, quantity: int32, day: date32, ts: timestamp[us, Europe/Berlin])
      Stages
        0 read orders: seller, status, amount, price, quantity, day
        1 hash aggregate sum(amount), count(*), count(*) filter (price > 99.5), count(distinct status), avg(price * quantity) fast
          filter status = 'paid'
          filter seller like 'A%'
          filter (quantity * 2) > 10
          by seller, date_trunc('month', day)
          program of 27 instructions
        2 project seller, month, gmv, orders, big, buyers, mean
          filter orders > 10
          program of 11 instructions
        3 sort by gmv descending, then all other columns
        4 limit 10 after 5"
    `);
  });

  it("prints a plan whose source is not known yet", () => {
    const plan = from("t")
      .withColumns({ late: col("ts").plus("1 day 2 hours"), early: col("ts").minus(interval("3 months")) })
      .rename({ a: "b" })
      .drop("c")
      .select("b", {
        x: when(col("b").isNull())
          .then("none")
          .otherwise(coalesce(col("d"), "?")),
      })
      .where(not(col("x").isIn(["a", "it's"])).or(col("b").substring(1, 3).concat("!").eq("abc!")));
    expect(plan.explain()).toMatchInlineSnapshot(`
      "Plan (not bound)
        where (not (x in ('a', 'it''s'))) or (concat(substring(b, 1, 3), '!') = 'abc!')
          select b, x = case when b is null then 'none' else coalesce(d, '?') end
            drop c
              rename a to b
                with columns late = ts + interval '1 day 2 hours', early = ts - interval '3 months'
                  from t"
    `);
    expect(explain(from("t").groupBy("k").aggregate({ n: count() }).orderBy("k"))).toMatchInlineSnapshot(`
      "Plan (not bound)
        order by k
          aggregate n = count(*) by k
            from t"
    `);
  });

  it("shows opaque columns that are carried along", () => {
    const schema: Schema = {
      fields: [
        { name: "tags", type: { kind: "opaque", name: "list<utf8>" }, nullable: true },
        { name: "a", type: int32, nullable: false },
      ],
    };
    const plan = from("t")
      .where(col("a").gt(1))
      .select("tags", { b: col("a").add(1) });
    expect(explain(plan, { t: schema })).toMatchInlineSnapshot(`
      "Plan
        select tags, b = a + 1 -> (tags: list<utf8>, b: int32 not null)
          where a > 1
            from t -> (tags: list<utf8>, a: int32 not null)
      Stages
        0 read t: tags, a
        1 project tags, b
          filter a > 1
          carried along: tags
          program of 7 instructions"
    `);
  });
});
