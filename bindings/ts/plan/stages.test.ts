// Whole plans: their stages run one after the other in the kernel must give the rows of the naive twin.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OperatorKind } from "../../../kernel/abi/operator.js";
import { runPlan, sortRows } from "../../../twin/plan.js";
import { readColumn, type Value, writeColumn } from "../../../twin/values.js";
import { Kernel } from "../kernel/kernel.js";
import { BUILDS } from "../kernel/testing.js";
import type { BatchData } from "../type/column.js";
import {
  type DataType,
  date32,
  decimal,
  dictionary,
  float64,
  int32,
  int64,
  largeUtf8,
  type Schema,
  utf8,
} from "../type/data-type.js";
import { MillraceError } from "../type/error.js";
import {
  type Aggregate,
  avg,
  corr,
  count,
  countDistinct,
  covar,
  covarPop,
  kurtosis,
  max,
  min,
  skewness,
  stddev,
  sum,
  varPop,
} from "./aggregate.js";
import { bind } from "./bind.js";
import { col, type Expression } from "./expression.js";
import { type AggregateStage, lower, type ProjectStage, type Stage } from "./lower.js";
import { asc, desc, from, type Plan } from "./plan.js";

const columns: Readonly<Record<string, { type: DataType; values: readonly Value[] }>> = {
  k: { type: int32, values: [0n, 1n, 2n, -1n] },
  s: { type: dictionary(utf8), values: ["a", "b", "", "long enough to need an arena"] },
  l: { type: largeUtf8, values: ["x", "yy"] },
  x: { type: float64, values: [0, -0, 1.5, 1e300, -1e300, 1e-300, Number.NaN, 0.1] },
  j: { type: int64, values: [1n, -1n, 2n ** 62n, 5n] },
  m: { type: decimal(12, 2), values: [1n, -250n, 999999999999n] },
  d: { type: date32, values: [0n, 19782n, -5n] },
};
const names = Object.keys(columns);
const schema: Schema = { fields: names.map((name) => ({ name, type: columns[name]!.type, nullable: true })) };
const row = fc.tuple(
  ...names.map((name) => fc.option(fc.constantFrom(...columns[name]!.values), { freq: 6, nil: null })),
);
const batches = fc
  .array(fc.array(row, { maxLength: 30 }), { maxLength: 4 })
  .map((parts) => parts.map(batchOf));

function batchOf(rows: readonly (readonly Value[])[]): BatchData {
  const data = names.map((name, index) =>
    writeColumn(
      columns[name]!.type,
      rows.map((values) => values[index]!),
      { offset: index },
    ),
  );
  return { schema, length: rows.length, columns: data };
}

const conditions = fc.constantFrom<Expression>(
  col("k").gt(0),
  col("s").eq("a").or(col("x").gt(1)),
  col("s").like("%e%"),
  col("j").gt(0).and(col("k").add(1).lt(3)),
  col("d").lt("2000-01-01"),
);
const keys = fc.subarray<string | Record<string, Expression>>([
  "k",
  "s",
  "l",
  "x",
  { year: col("d").year() },
  { big: col("m").gt(100) },
  { twice: col("k").mul(2) },
]);
const aggregates = fc.subarray<[string, Aggregate]>(
  [
    ["n", count()],
    ["some", count("x")],
    ["kinds", countDistinct("s")],
    ["floats", countDistinct(col("x").add(0))],
    ["total", sum("k")],
    ["money", sum("m")],
    ["exact", sum("x")],
    ["mean", avg("m")],
    ["meanx", avg("x")],
    ["least", min("s")],
    ["most", max("x")],
    ["latest", max("d")],
    ["large", min("l")],
    ["part", sum(col("x").mul(2), { filter: col("k").gt(0) })],
    ["few", count().filter(col("s").ne("a"))],
    ["spread", stddev("x")],
    ["varied", varPop(col("m").mul(2))],
    ["together", corr("x", "k", { filter: col("j").gt(0) })],
    ["apart", covarPop("k", "m")],
    ["pair", covar("j", "k")],
    ["lean", skewness("k")],
    ["tails", kurtosis("x")],
    ["safe", max(col("j").mul(4), { filter: col("j").lt(100) })],
  ],
  { minLength: 1 },
);

const plans: fc.Arbitrary<Plan> = fc
  .tuple(fc.option(conditions, { nil: null }), keys, aggregates, fc.nat(6), fc.nat(5))
  .map(([condition, by, computed, after, limit]) => {
    const source = from("t");
    const filtered = condition === null ? source : source.where(condition);
    const grouped: Plan = filtered.groupBy(...by).aggregate(Object.fromEntries(computed));
    const name = computed[0]![0];
    switch (after) {
      case 0:
        return grouped;
      case 1:
        return grouped.where(col(name).isNotNull()).select(name, { copy: col(name) });
      case 2:
        return grouped.orderBy(desc(name)).limit(limit, 1);
      default:
        return grouped
          .orderBy(asc(name, { nulls: "first" }))
          .select(name)
          .limit(limit);
    }
  });

let kernels: { build: string; kernel: Kernel }[] = [];

beforeAll(async () => {
  kernels = await Promise.all(BUILDS.map(async (build) => ({ build, kernel: await Kernel.open({ build }) })));
});

afterAll(() => {
  for (const { kernel } of kernels) kernel.close();
});

function rowsOf(data: readonly BatchData[]): Value[][] {
  return data.flatMap((batch) => {
    const values = batch.columns.map(readColumn);
    return Array.from({ length: batch.length }, (_, at) => values.map((column) => column[at]!));
  });
}

function runProgram(
  kernel: Kernel,
  stage: ProjectStage | AggregateStage,
  input: readonly BatchData[],
): BatchData[] {
  const project = stage.kind === "project";
  const operator = kernel.operator({
    kind: project ? OperatorKind.PROJECT : OperatorKind.HASH_AGGREGATE,
    config: stage.config,
    columns: stage.columns,
    output: { fields: stage.output },
    emitsPerPush: project,
  });
  try {
    const pushed = input.flatMap((batch) => [...operator.process(batch)]);
    return [...pushed, ...operator.finish()];
  } finally {
    operator.destroy();
  }
}

/** Sorts and limits belong to the scheduler: the twin's stand in for them. */
function runStages(kernel: Kernel, stages: readonly Stage[], input: readonly BatchData[]): Value[][] {
  let data = [...input];
  for (const stage of stages) {
    if (stage.kind === "project" || stage.kind === "aggregate") {
      data = runProgram(kernel, stage, data);
      continue;
    }
    if (stage.kind === "groupingSets") throw new Error("these plans have no grouping sets");
    if (stage.kind === "window" || stage.kind === "over") throw new Error("no windows here");
    if (stage.kind === "join" || stage.kind === "union") throw new Error("these plans have one source");
    const rows = rowsOf(data);
    const arranged =
      stage.kind === "limit" && stage.ordered ? rows : sortRows(rows, stage.kind === "sort" ? stage.by : []);
    const kept = stage.kind === "sort" ? arranged : arranged.slice(stage.offset, stage.offset + stage.count);
    const cells = stage.schema.fields.map(({ type }, index) =>
      writeColumn(
        type,
        kept.map((values) => values[index]!),
      ),
    );
    data = [{ schema: stage.schema, length: kept.length, columns: cells }];
  }
  return rowsOf(data);
}

describe("stages in the kernel", () => {
  it("give the rows of the twin, whatever the build", () => {
    fc.assert(
      fc.property(plans, batches, (plan, input) => {
        const bound = bind(plan, { t: schema });
        const { stages } = lower(bound);
        const ordered = stages.some(({ kind }) => kind === "sort" || kind === "limit");
        const arranged = (rows: readonly (readonly Value[])[]) => (ordered ? rows : sortRows(rows, []));
        let want: readonly (readonly Value[])[];
        try {
          want = arranged(runPlan(bound, input).rows);
        } catch (error) {
          // TwinOverflow of a sum has no class of its own here: any failure must fail in the kernel too.
          for (const { kernel } of kernels) {
            expect(() => runStages(kernel, stages, input), String(error)).toThrow(MillraceError);
          }
          return;
        }
        for (const { build, kernel } of kernels) {
          expect(arranged(runStages(kernel, stages, input)), build).toStrictEqual(want);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("gives memory back", () => {
    for (const { kernel } of kernels) {
      const before = kernel.usedBytes;
      const { stages } = lower(bind(from("t").groupBy("s").aggregate({ n: count() }), { t: schema }));
      runStages(kernel, stages, [batchOf([[1n, "a", "x", 1, 1n, 1n, 1n]])]);
      expect(kernel.usedBytes).toBe(before);
    }
  });
});
