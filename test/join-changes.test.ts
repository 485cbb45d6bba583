// Joins over changelogs in whole plans: in every mode, whatever the batches, the changes that leave come to what the plan
// gives of the rows that are left.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  avg,
  col,
  count,
  dictionary,
  Engine,
  float64,
  from,
  int8,
  int16,
  int32,
  int64,
  type JoinHow,
  max,
  type Plan,
  RetractionError,
  source,
  sum,
  timestamp,
  utf8,
} from "../bindings/ts/index.js";
import { BUILDS } from "../bindings/ts/kernel/testing.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { type Value, writeBatch } from "../twin/values.js";
import {
  arriving,
  batches,
  CELLS,
  type Change,
  type Columns,
  changesOf,
  folded,
  left,
  streamed,
} from "./testing-changes.js";
import { consolidate, fingerprint, resultRows } from "./testing-result.js";

let engines: Engine[];
beforeAll(async () => {
  engines = await Promise.all(BUILDS.map((build) => Engine.open({ build, memory: "512 MiB" })));
});
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

const { whole, text, float, number } = CELLS;
const SIDES: readonly Columns[] = [
  [
    ["i", int32, whole],
    ["s", utf8, text],
    ["f", float64, float],
    ["v", int64, number],
  ],
  [
    ["i", int64, whole],
    ["s", dictionary(utf8, int16), text],
    ["f", float64, float],
    ["v", int64, number],
  ],
];

const SHAPES: Record<string, (l: Plan, r: Plan, join: Join) => Plan<unknown>> = {
  join: (l, r, join) => join(l, r),
  "filtered and chosen": (l, r, join) =>
    join(l.where(col("v").gt(1)), r)
      .where(col("i").isNotNull())
      .select("s", { twice: col("v").mul(2) }),
  "under an aggregation": (l, r, join) =>
    join(l, r)
      .groupBy("i")
      .aggregate({ n: count(), total: sum("v"), mean: avg("f"), most: max("s") }),
  "over an aggregation": (l, r, join) =>
    join(l.groupBy("i", "s", "f").aggregate({ v: sum("v") }), r.distinct("i", "s", "f", "v")),
  "between aggregations": (l, r, join) =>
    join(l.groupBy("i", "s", "f").aggregate({ v: sum("v") }), r)
      .groupBy("s")
      .aggregate({ n: count("v") }),
  twice: (l, r, join) =>
    join(join(l, r).select("i", "s", "f", "v"), r.where(col("v").lt(5))).select("i", "v"),
  intersect: (l, r) => l.select("s", "v").intersect(r.select("s", "v")),
  except: (l, r) => l.select("s", "v").except(r.select("s", "v")),
};
type Join = (l: Plan, r: Plan) => Plan;

interface Case {
  readonly sides: readonly [readonly Change[], readonly Change[]];
  readonly changes: readonly [boolean, boolean];
  readonly how: JoinHow;
  readonly on: readonly string[];
  readonly nullsEqual: boolean;
  readonly nullAware: boolean;
  readonly residual: boolean;
  readonly shape: string;
  readonly cuts: readonly number[];
  readonly offset: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  sides: fc.tuple(changesOf(SIDES[0]!), changesOf(SIDES[1]!)),
  changes: fc.tuple(fc.boolean(), fc.boolean()),
  how: fc.constantFrom<JoinHow>("inner", "left", "right", "full", "semi", "anti", "cross"),
  on: fc.uniqueArray(fc.constantFrom("i", "s", "f"), { minLength: 1, maxLength: 2 }),
  nullsEqual: fc.boolean(),
  nullAware: fc.boolean(),
  residual: fc.boolean(),
  shape: fc.constantFrom(...Object.keys(SHAPES)),
  cuts: fc.array(fc.nat(40), { maxLength: 6 }),
  offset: fc.nat(9),
});

function planOf(one: Case, changes: readonly [boolean, boolean]): Plan<unknown> {
  const side = (name: string, isChangelog: boolean) => {
    const plan = from(name);
    return (isChangelog ? plan.changelog() : plan.drop("row_kind" as never)) as unknown as Plan;
  };
  const aware = one.nullAware && one.how === "anti" && one.on.length === 1;
  const join: Join = (l, r) =>
    l.join(r, {
      how: one.how,
      nullsEqual: one.nullsEqual && !aware,
      nullAware: aware,
      ...(one.how === "cross" ? {} : { on: one.on as never }),
      ...(one.residual && !aware ? { residual: col("v").le(col("v_right")) as never } : {}),
    }) as Plan;
  return SHAPES[one.shape]!(side("l", changes[0]), side("r", changes[1]), join);
}

it("what leaves comes to the result over the rows that are left", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(cases, fc.nat(2), async (one, pick) => {
      const engine = engines[pick % engines.length]!;
      const rows = one.sides.map((changes, side) => arriving(changes, one.changes[side]!));
      const [wholeL, wholeR] = rows.map((own, side) => batches(SIDES[side]!, left(own))) as [
        BatchData[],
        BatchData[],
      ];
      const plain = await engine.collect(planOf(one, [false, false]), { l: wholeL, r: wholeR });
      const want = fingerprint(resultRows(plain));
      const plan = planOf(one, one.changes);
      const [l, r] = rows.map((own, side) => batches(SIDES[side]!, own, one.cuts, one.offset)) as [
        BatchData[],
        BatchData[],
      ];
      const table = await engine.collect(plan, { l, r });
      const names = table.schema.fields.map(({ name }) => name);
      expect(folded(names, resultRows(table))).toEqual(want);
      const kernel = await engine.collect(plan, { l, r }, { result: "kernel" });
      expect(folded(names, resultRows(kernel.toArrow()))).toEqual(want);
      kernel.free();
      expect(await streamed(engine, plan, { l, r }, { emit: "onClose" })).toEqual(want);
      expect(await streamed(engine, plan, { l, r }, { emit: "onUpdate" })).toEqual(want);
    }),
    { numRuns: 60 },
  );
});

describe("a join over changes", () => {
  const orders = source("orders", { id: int64, item: utf8, at: timestamp("ms") }, { changelog: true });
  const items = source("items", { item: utf8, price: float64, since: timestamp("ms") });

  it("says what it does, and that times have no part in it", () => {
    const plan = from(orders).join(from(items), { on: "item", how: "left" });
    expect(plan.explain()).toContain("follows the changes of the left side, and gives changes");
    expect(plan.explain()).toContain("that are not taken back");
    expect(from(items).join(from(orders), { on: "item" }).explain()).toContain("the right side");
    const refusal = (refused: Plan<unknown>) => () => refused.explain();
    const within = { left: "at", right: "since", from: "-1 hour", to: "1 hour" } as const;
    expect(refusal(from(orders).join(from(items), { on: "item", within }))).toThrow(
      /within over the changelog "orders"/,
    );
    const asof = from(items).asofJoin(from(orders), { on: ["since", "at"], by: "item" });
    expect(refusal(asof)).toThrow(/asofJoin over the changelog "orders"/);
    expect(refusal(plan.orderBy("id"))).toThrow(/orderBy over the changelog "orders"/);
    expect(refusal(from(items).join(from(orders), { on: "item" }).limit(3))).toThrow(
      /limit over the changelog "orders"/,
    );
  });

  it("without a changelog: with corrections a row without a match leaves at once, if what follows can take it back", async () => {
    const rows = (names: readonly string[]) =>
      writeBatch(
        [{ name: "k", type: utf8, nullable: false }],
        names.map((name) => [name]),
      );
    let go: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      go = resolve;
    });
    async function* late() {
      yield rows(["c"]);
      await asked;
      yield rows(["b"]);
    }
    const plan = (from("l") as Plan).join(from("r") as Plan, { on: "k" as never, how: "anti" });
    const run = engines[0]!.stream(plan, { l: [rows(["a", "b"])], r: late() }, { emit: "onUpdate" });
    const first = await run.next();
    expect(resultRows(first.value!)).toEqual([
      ["a", 0n],
      ["b", 0n],
    ]);
    go();
    expect(resultRows((await run.next()).value!)).toEqual([["b", 3n]]);
    expect((await run.next()).done).toBe(true);
    const inputs = () => ({ l: [rows(["a", "b"])], r: [rows(["b"])] });
    const sorted: Value[][] = [];
    for await (const batch of engines[0]!.stream(plan.orderBy("k" as never), inputs(), { emit: "onUpdate" }))
      sorted.push(...resultRows(batch));
    expect(sorted).toEqual([["a"]]);
    const counted: Value[][] = [];
    const total = plan.aggregate({ n: count() });
    for await (const batch of engines[0]!.stream(total, inputs(), { emit: "onUpdate" }))
      counted.push(...resultRows(batch));
    expect(consolidate(counted)).toEqual([[1n]]);
  });

  it("refuses rows that are taken back and never came, when their side has ended", async () => {
    const owing = writeBatch(
      [
        { name: "k", type: int64, nullable: false },
        { name: "row_kind", type: int8, nullable: false },
      ],
      [
        [1n, 0n],
        [2n, 3n],
      ],
    );
    const right = from("r").select("k" as never) as unknown as Plan;
    const plan = right.join(from("l").changelog() as unknown as Plan, { on: "k" as never });
    const run = engines[0]!.collect(plan, { l: [owing], r: [owing] });
    await expect(run).rejects.toThrow(RetractionError);
  });
});
