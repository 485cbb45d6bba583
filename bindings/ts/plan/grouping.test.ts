// Grouping sets as plans: which sets they are, what their results look like, and what is refused.

import { describe, expect, expectTypeOf, it } from "vitest";
import { float64, int32, typeName, utf8 } from "../type/data-type.js";
import { MillraceError, PlanError, UnknownColumnError } from "../type/error.js";
import { count, sum } from "./aggregate.js";
import { bind } from "./bind.js";
import { col } from "./expression.js";
import { cube, grouping, groupingSets, rollup } from "./grouping.js";
import { from, type Key, type Plan, source } from "./plan.js";

const sales = source("sales", { region: utf8, shop: utf8, year: int32, price: float64 });
type Row = { region: string; shop: string; year: number; price: number };

function setsOf(...keys: Key<Row>[]): string[] {
  const plan = bind((from(sales) as Plan<Row>).groupBy(...keys).aggregate({ n: count() }) as Plan<unknown>);
  if (plan.kind !== "aggregate" || plan.grouping === null) throw new Error("no grouping");
  const names = plan.keys.map(({ name }) => name);
  return plan.grouping.sets.map((set) => set.map((key) => names[key]).join(" "));
}

function failure(run: () => unknown): MillraceError {
  try {
    run();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("the sets", () => {
  const year = { decade: col("year").idiv(10) };

  it.each<[string, Key<Row>[], string[]]>([
    ["rollup drops keys from the end", [rollup("region", "shop")], ["region shop", "region", ""]],
    ["cube has every subset", [cube("region", "shop")], ["region shop", "region", "shop", ""]],
    ["an array is one step", [rollup(["region", "shop"], year)], ["region shop decade", "region shop", ""]],
    ["groupingSets has what it says", [groupingSets(["shop"], [], [])], ["shop", "", ""]],
    ["plain keys are in all", ["year", rollup("shop")], ["year shop", "year"]],
    ["groupings multiply", [rollup("region"), cube("shop")], ["region shop", "region", "shop", ""]],
    ["groupings nest", [groupingSets(rollup("region"), ["shop"])], ["region", "", "shop"]],
    [
      "a key that comes twice is one",
      ["region", rollup("region", year)],
      ["region decade", "region", "region"],
    ],
  ])("%s", (_, keys, expected) => {
    expect(setsOf(...keys)).toEqual(expected);
  });
});

describe("the result", () => {
  it("has all keys, null where a set may leave them out, and columns in the order written", () => {
    const plan = from(sales)
      .groupBy("year", rollup("region", { expensive: col("price").gt(100).isNull() }))
      .aggregate({ turnover: sum("price"), level: grouping("region", "expensive"), n: count() });
    expect(
      plan.schema!.fields.map(({ name, type, nullable }) => `${name} ${typeName(type)} ${nullable}`),
    ).toEqual([
      "year int32 true",
      "region utf8 true",
      "expensive bool true",
      "turnover float64 true",
      "level int64 false",
      "n int64 false",
    ]);
    expectTypeOf(plan).toEqualTypeOf<
      Plan<{
        year: number;
        region: string | null;
        expensive: boolean | null;
        turnover: number | bigint | null;
        level: bigint;
        n: bigint;
      }>
    >();
  });

  it("is explained with its sets", () => {
    const plan = from(sales)
      .groupBy(rollup("region"))
      .aggregate({ n: count(), level: grouping("region") })
      .where(col("level").eq(0));
    expect(plan.explain()).toMatchInlineSnapshot(`
      "Plan
        where level = 0
          aggregate n = count(*), level = grouping(region) by region in the sets (region), () -> (region: utf8, n: int64 not null, level: int64 not null)
            from sales -> (region: utf8, shop: utf8, year: int32, price: float64)
      Stages
        0 read sales: region
        1 grouping sets
          1 hash aggregate count(*)
            by region
            program of 1 instructions
          1 hash aggregate count(*)
            by nothing: one group
            program of 0 instructions
        2 project region, n, level
          filter level = 0
          program of 7 instructions"
    `);
    expect(
      from("unknown")
        .groupBy(rollup("a"))
        .aggregate({ g: grouping("a"), n: count() })
        .explain(),
    ).toMatchInlineSnapshot(`
      "Plan (not bound)
        aggregate g = grouping(a), n = count(*) by a in the sets (a), ()
          from unknown"
    `);
    expect(from("unknown").distinct("a").distinct().explain()).toMatchInlineSnapshot(`
      "Plan (not bound)
        distinct
          distinct a
            from unknown"
    `);
  });
});

describe("a grouping that cannot work", () => {
  const keys = Array.from({ length: 9 }, (_, index) => ({ [`k${index}`]: col("year").mod(index + 2) }));

  it("has too many sets", () => {
    const error = failure(() => from(sales).groupBy(cube(...keys)));
    expect(error).toBeInstanceOf(PlanError);
    expect(error.message).toBe("groupBy: 512 grouping sets: one aggregation takes at most 256");
    expect(error.value).toBe(512);
    const many = Array.from({ length: 400 }, (_, index) => ({ [`k${index}`]: 1 }));
    expect(failure(() => from(sales).groupBy(cube(...many), rollup("shop")))).toBeInstanceOf(PlanError);
    expect(() => from(sales).groupBy(cube(...keys.slice(1)))).not.toThrow();
  });

  it("asks for a key that there is not", () => {
    const rolled = from(sales).groupBy(rollup("region"));
    // @ts-expect-error: "year" is no key
    const error = failure(() => rolled.aggregate({ g: grouping("year") }));
    expect(error).toBeInstanceOf(UnknownColumnError);
    expect(error.column).toBe("year");
    // @ts-expect-error: "shops" is no column
    expect(failure(() => from(sales).groupBy(cube("shops")).aggregate({}))).toBeInstanceOf(
      UnknownColumnError,
    );
  });

  it.each([
    [() => rollup(), "rollup takes at least one key"],
    [() => cube(), "cube takes at least one key"],
    [() => groupingSets(), "groupingSets takes at least one set; [] is the set without keys"],
    [
      () => from(sales).groupBy({ k: col("shop") }, rollup({ k: col("region") })),
      'groupBy: two different keys are called "k"',
    ],
    [
      () => from(sales).groupBy(rollup("shop")).aggregate({ shop: count() }),
      'the result would have two columns "shop"',
    ],
    [() => grouping(...([] as unknown as [string])), "grouping takes at least one key"],
  ])("is refused: %s", (run, message) => {
    expect(failure(run)).toMatchObject({ message, code: "PLAN" });
  });
});
