import { describe, expect, it } from "vitest";
import { count, max, sum } from "../bindings/ts/plan/aggregate.js";
import { bind, type PlanLike } from "../bindings/ts/plan/bind.js";
import { asChangelog } from "../bindings/ts/plan/changelog.js";
import { col } from "../bindings/ts/plan/expression.js";
import { asc, desc, from, source } from "../bindings/ts/plan/plan.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { dictionary, float64, int8, int32, type Schema, utf8 } from "../bindings/ts/type/data-type.js";
import { runPlan } from "./plan.js";
import { type Value, writeBatch, writeColumn } from "./values.js";

const schema: Schema = {
  fields: [
    { name: "k", type: dictionary(utf8), nullable: true },
    { name: "a", type: int32, nullable: true },
    { name: "x", type: float64, nullable: true },
  ],
};

function batch(rows: readonly (readonly [Value, Value, Value])[]): BatchData {
  const columns = schema.fields.map(({ type }, index) =>
    writeColumn(
      type,
      rows.map((row) => row[index]!),
    ),
  );
  return { schema, length: rows.length, columns };
}

const batches = [
  batch([
    ["b", 1n, 1.5],
    ["a", 2n, Number.NaN],
    [null, 3n, -0],
  ]),
  batch([
    ["a", null, 0],
    ["b", 5n, 1e300],
    ["b", 6n, null],
  ]),
];

const declared = from(source("t", { k: utf8, a: int32, x: float64 }));
const run = (plan: PlanLike) => runPlan(bind(plan, { t: schema }), batches).rows;

describe("the twin of plans", () => {
  it("filters and computes", () => {
    const plan = declared.where(col("a").gt(1)).select("k", { b: col("a").mul(2) });
    expect(run(plan)).toEqual([
      ["a", 4n],
      [null, 6n],
      ["b", 10n],
      ["b", 12n],
    ]);
  });

  it("aggregates by key, nulls a group of their own", () => {
    const plan = declared
      .groupBy("k")
      .aggregate({ n: count(), s: sum("a"), m: max("x"), some: count().filter(col("a").gt(2)) })
      .orderBy("k");
    expect(run(plan)).toEqual([
      ["a", 2n, 2n, Number.NaN, 0n],
      ["b", 3n, 12n, 1e300, 2n],
      [null, 1n, 3n, -0, 1n],
    ]);
  });

  it("gives one row of no keys, also over no rows", () => {
    const plan = declared.where(col("a").gt(100)).aggregate({ n: count(), s: sum("a") });
    expect(run(plan)).toEqual([[0n, null]]);
  });

  it("orders by keys, then by every other column; NaN last, -0 before 0, nulls where they are told", () => {
    const xs = (plan: PlanLike) => run(plan).map((row) => row[0]);
    expect(xs(declared.select("x").orderBy("x"))).toEqual([-0, 0, 1.5, 1e300, Number.NaN, null]);
    expect(xs(declared.select("x").orderBy(desc("x", { nulls: "first" })))).toEqual([
      null,
      Number.NaN,
      1e300,
      1.5,
      0,
      -0,
    ]);
    const tied = declared.select("k", "a").orderBy(asc("k")).limit(3, 1);
    expect(run(tied)).toEqual([
      ["a", null],
      ["b", 1n],
      ["b", 5n],
    ]);
  });

  it("limits by the order of all columns where no order is asked for", () => {
    expect(run(declared.select("a").limit(2, 1))).toEqual([[2n], [3n]]);
  });
});

it("takes rows of a changelog back, whenever they came", () => {
  const changed: Schema = {
    fields: [
      { name: "row_kind", type: int8, nullable: false },
      { name: "k", type: utf8, nullable: true },
      { name: "a", type: int32, nullable: true },
    ],
  };
  const rows: [bigint, Value, Value][] = [
    [0n, "x", 1n],
    [0n, "x", 2n],
    [3n, "y", 9n],
    [1n, "x", 1n],
    [2n, "x", 5n],
    [0n, "y", 9n],
    [0n, null, null],
  ];
  const columns = changed.fields.map(({ type }, index) =>
    writeColumn(
      type,
      rows.map((row) => row[index]!),
    ),
  );
  const plan = from(source("t", { k: utf8, a: int32 }, { changelog: true }))
    .where(col("a").ne(2))
    .groupBy("k")
    .aggregate({ n: count(), s: sum("a"), most: max("a") });
  const bound = asChangelog(bind(plan, { t: changed }), false);
  const given = [{ schema: changed, length: rows.length, columns }];
  expect(runPlan(bound, given).rows).toEqual([["x", 1n, 5n, 5n]]);
  // A union takes the kinds along, and has one for rows that only come.
  const t = from(source("t", { k: utf8, a: int32 }, { changelog: true }));
  const both = from(source("u", { a: int32, k: utf8 })).unionAll(t);
  const only = { fields: [changed.fields[2]!, changed.fields[1]!] };
  const inputs = { t: given, u: [writeBatch(only.fields, [[7n, "y"]])] };
  const union = asChangelog(bind(both, { t: changed, u: only }), false);
  expect(runPlan(union, inputs).rows).toEqual([[7n, "y", 0n], ...rows.map(([kind, k, a]) => [a, k, kind])]);
  const left = asChangelog(bind(both.distinct(), { t: changed, u: only }), false);
  expect(runPlan(left, inputs).rows).toEqual([
    [7n, "y"],
    [2n, "x"],
    [5n, "x"],
    [null, null],
  ]);
});
