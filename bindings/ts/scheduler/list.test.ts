// Results that are lists on their way through plans: kept, filtered, ordered, cut, left in the kernel's memory.

import { type Table, tableFromArrays } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import {
  ArgumentError,
  arrayAgg,
  bottomK,
  col,
  count,
  Engine,
  float64,
  from,
  int64,
  type ListOf,
  list,
  type Plan,
  PlanError,
  source,
  stringAgg,
  TypeMismatchError,
  topK,
  utf8,
} from "../index.js";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open({ memory: "256 MiB" });
});
afterAll(() => engine.close());

const t = tableFromArrays({
  k: ["a", "b", "a", "a", "c", "b"],
  x: [3, 1, Number.NaN, 7, null, 2],
  s: ["p", "qq", "", "rrr", null, "é"],
});

const show = (value: unknown): unknown =>
  typeof value === "object" && value !== null ? `[${[...(value as Iterable<unknown>)].join(" ")}]` : value;
const rows = (table: Table) => table.toArray().map((row) => Object.values(row.toJSON()).map(show).join("|"));

const lists = from("t")
  .groupBy("k")
  .aggregate({ best: topK("x", 2), least: bottomK("s", 2), n: count("x") });

describe("lists", () => {
  it("leave as Arrow lists, null where there is no value", async () => {
    const table = await engine.collect(lists, { t });
    expect(rows(table).sort()).toEqual(["a|[NaN 7]|[ p]|3", "b|[2 1]|[qq é]|2", "c|||0"]);
    expect(table.schema.fields.map(({ type }) => String(type))).toEqual([
      "Utf8",
      "List<Float64>",
      "List<Utf8>",
      "Int64",
    ]);
  });

  it("go through conditions, selections, orders and limits", async () => {
    const plan = lists
      .where(col("n").gt(0))
      .select({ twice: col("n").mul(2) }, "best", "least", "k")
      .orderBy("k");
    expect(rows(await engine.collect(plan, { t }))).toEqual(["6|[NaN 7]|[ p]|a", "4|[2 1]|[qq é]|b"]);
    expect(rows(await engine.collect(plan.limit(1, 1), { t }))).toEqual(["4|[2 1]|[qq é]|b"]);
    const few: string[] = [];
    for await (const batch of engine.stream(lists.orderBy("k"), { t }, { batchRows: 1 })) {
      for (const row of batch) few.push(Object.values(row.toJSON()).map(show).join("|"));
    }
    expect(few).toEqual(["a|[NaN 7]|[ p]|3", "b|[2 1]|[qq é]|2", "c|||0"]);
    expect(rows(await engine.collect(lists.where(col("n").gt(99)), { t }))).toEqual([]);
    expect(rows(await engine.collect(lists.where(col("n").gt(99)).orderBy("k"), { t }))).toEqual([]);
  });

  it("are in the order of texts, zeros in them too", async () => {
    const [zero, all] = ["\0", "\u{10ffff}"];
    const texts = ["", zero, `${zero}${zero}`, `${zero}a`, "a", `a${zero}`, `a${zero}${zero}b`, `a${all}`];
    const table = tableFromArrays({
      at: texts.map((_, at) => (at * 5) % texts.length),
      by: texts.map((_, at) => texts[(at * 5) % texts.length]!),
      s: texts.map((_, at) => `text ${(at * 5) % texts.length}`),
    });
    const plan = from("t").aggregate({
      up: arrayAgg("at", { orderBy: "by" }),
      down: arrayAgg("at", { orderBy: "by", descending: true }),
      names: stringAgg("s", " ", { orderBy: "by" }),
    });
    const ranks = texts.map((_, at) => at);
    expect(rows(await engine.collect(plan, { t: table }))).toEqual([
      `[${ranks.join(" ")}]|[${ranks.reverse().join(" ")}]|${texts.map((_, at) => `text ${at}`).join(" ")}`,
    ]);
  });

  it("stay in the kernel's memory, and may be read from there", async () => {
    for (const plan of [lists, lists.where(col("n").gt(0)), lists.orderBy("n")]) {
      const kept = await engine.collect(plan, { t }, { result: "kernel" });
      expect(rows(kept.toArrow()).sort().slice(0, 2)).toEqual(["a|[NaN 7]|[ p]|3", "b|[2 1]|[qq é]|2"]);
      const again = from("kept").where(col("n").eq(2)).select("least", "best");
      expect(rows(await engine.collect(again, { kept }))).toEqual(["[qq é]|[2 1]"]);
      kept.free();
    }
    expect(engine.stats().usedBytes).toBeLessThan(1 << 20);
  });

  it("of a column may go by another", async () => {
    const plan = from("t")
      .groupBy("k")
      .aggregate({ best: topK("s", 2, { by: "x" }), least: bottomK("x", 1, { by: col("x").neg() }) });
    expect(rows(await engine.collect(plan, { t })).sort()).toEqual(["a|[ rrr]|[7]", "b|[é qq]|[2]", "c||"]);
    expect(plan.explain()).toContain("best = topK(s, 2 by x)");
    const typed = from(source("t", { k: utf8, x: float64 })).groupBy("k");
    expect(() => typed.aggregate({ a: topK("x", 2, { by: "k" }) })).toThrow(
      'topK(x, 2 by k): goes by a number, a time or a boolean, not by column "k" (utf8)',
    );
    // @ts-expect-error: "z" is no column
    expect(() => typed.aggregate({ a: topK("x", 2, { by: "z" }) })).toThrow(PlanError);
  });

  it("of all values, and texts of all texts, are in order", async () => {
    const plan = from("t")
      .groupBy("k")
      .aggregate({
        all: arrayAgg("x", { descending: true }),
        some: arrayAgg("s").filter(col("x").gt(1)),
        text: stringAgg("s", " ", { descending: true }),
      });
    expect(rows(await engine.collect(plan, { t })).sort()).toEqual([
      "a|[NaN 7 3]|[ p rrr]|rrr p ",
      "b|[2 1]|[é]|é qq",
      "c|||",
    ]);
    expect(plan.explain()).toContain("text = stringAgg(s descending, ' ')");
    const typed = from(source("t", { k: utf8, x: float64 })).groupBy("k");
    expect(() => typed.aggregate({ a: stringAgg("x", ",") })).toThrow(
      /stringAgg\(x, ','\): takes a text column/,
    );
    // @ts-expect-error: a separator is needed
    expect(() => stringAgg("k")).toThrow(ArgumentError);
    const last = typed.aggregate({ a: stringAgg("k", ","), b: arrayAgg("x") });
    expectTypeOf(last).toEqualTypeOf<Plan<{ k: string; a: string | null; b: ListOf<number> | null }>>();
  });

  it("have types in plans, and are not computed on", () => {
    const typed = from(source("t", { k: utf8, x: float64, n: int64 }))
      .groupBy("k")
      .aggregate({ best: topK("x", 2), least: bottomK(col("n").add(1), 3).filter(col("x").gt(0)) });
    expectTypeOf(typed).toEqualTypeOf<
      Plan<{ k: string; best: ListOf<number> | null; least: ListOf<number | bigint> | null }>
    >();
    expect(typed.schema!.fields.map(({ type }) => type)).toEqual([utf8, list(float64), list(int64)]);
    expect(typed.explain()).toContain("least = bottomK(n + 1, 3) filter (x > 0)");
    expect(() => typed.where(col("best").isNull())).toThrow(TypeMismatchError);
    expect(() => typed.groupBy("best").aggregate({})).toThrow(/column "best" is list<float64>/);
    expect(() => typed.orderBy("best")).toThrow(TypeMismatchError);
  });

  it.each([0, -1, 1.5, 1025, Number.NaN])("k = %d is refused when the plan is built", (k) => {
    expect(() => topK("x", k)).toThrow(ArgumentError);
    expect(() => topK("x", k)).toThrow(`topK: k is a whole number from 1 to 1,024, not ${k}`);
  });
});
