// Unions of which a side is a changelog, or both are: in every mode, whatever the batches, the changes that leave come to
// what the naive twin makes of the rows that are left.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  avg,
  col,
  count,
  countDistinct,
  type DataType,
  dictionary,
  Engine,
  float32,
  float64,
  from,
  grouping,
  int8,
  int16,
  int32,
  int64,
  lit,
  max,
  min,
  type Plan,
  PlanError,
  RetractionError,
  readCheckpoint,
  rollup,
  rowNumber,
  type StreamOptions,
  source,
  sum,
  timestamp,
  tumble,
  utf8,
} from "../bindings/ts/index.js";
import { BUILDS } from "../bindings/ts/kernel/testing.js";
import { bind } from "../bindings/ts/plan/index.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { runPlan } from "../twin/plan.js";
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
import { fingerprint, resultRows } from "./testing-result.js";

let engines: Engine[];
beforeAll(async () => {
  engines = await Promise.all(BUILDS.map((build) => Engine.open({ build, memory: "512 MiB" })));
});
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

const { whole, text, float, number } = CELLS;
/** The same names in another order, and of other types. */
const SIDES: readonly [Columns, Columns] = [
  [
    ["i", int32, whole],
    ["s", utf8, text],
    ["f", float32, float],
    ["v", int64, number],
  ],
  [
    ["v", int32, number],
    ["f", float64, float],
    ["s", dictionary(utf8, int16), text],
    ["i", int64, whole],
  ],
];

const figures = { n: count(), total: sum("v"), mean: avg("f"), most: max("s"), least: min("f") };

const SHAPES: Record<string, (l: Plan, r: Plan) => Plan<unknown>> = {
  union: (l, r) => l.unionAll(r),
  "the other way round": (l, r) => r.unionAll(l),
  "filtered and chosen": (l, r) =>
    l
      .where(col("v").gt(1))
      .unionAll(r)
      .where(col("i").isNotNull())
      .select("s", { twice: col("v").mul(2) }),
  "with a constant": (l, r) =>
    l.withColumns({ side: lit("l") }).unionAll(r.withColumns({ side: lit("r") }) as never),
  "under an aggregation": (l, r) => l.unionAll(r).groupBy("i").aggregate(figures),
  "under an aggregation without keys": (l, r) => l.unionAll(r).aggregate(figures),
  "under grouping sets": (l, r) =>
    l
      .unionAll(r)
      .groupBy(rollup("i", "s"))
      .aggregate({ n: count(), kinds: countDistinct("v"), level: grouping("i", "s") }),
  "under distinct": (l, r) => l.unionAll(r).distinct("s", "i"),
  "under intersect": (l, r) => l.unionAll(r).select("s", "v").intersect(r.select("v", "s")),
  "under except": (l, r) => r.select("s", "v").except(l.where(col("v").gt(3)).unionAll(r).select("s", "v")),
  "over aggregations": (l, r) =>
    l
      .groupBy("i", "s", "f")
      .aggregate({ v: sum("v") })
      .unionAll(r.distinct("f", "s", "i", "v")),
  "between aggregations": (l, r) =>
    l
      .groupBy("i", "s")
      .aggregate({ v: sum("v") })
      .unionAll(r.select("i", "s", "v"))
      .groupBy("s")
      .aggregate({ n: count("v"), total: sum("v"), high: max("v") }),
  "under a join": (l, r) =>
    l.unionAll(r).join(r as never, { on: ["i"] as never, how: "full" }) as unknown as Plan,
  "beside a join": (l, r) =>
    (l.join(r as never, { on: ["i", "s"] as never, how: "left" }) as unknown as Plan)
      .select("i", "s", "f", "v")
      .unionAll(r as never),
  "over anti joins": (l, r) =>
    (l.join(r as never, { on: ["s"] as never, how: "anti" }) as unknown as Plan).unionAll(
      r.join(l as never, { on: ["v"] as never, how: "anti" }) as never,
    ),
  "over an outer join, under an aggregation": (l, r) =>
    (l.join(r as never, { on: ["s"] as never, how: "full" }) as unknown as Plan)
      .select("s", { v: col("v").add(col("v_right")) })
      .unionAll(r.select("v", "s"))
      .groupBy("s")
      .aggregate({ n: count(), total: sum("v") }),
  "with itself": (l) => l.unionAll(l.where(col("v").lt(5))),
  nested: (l, r) =>
    l
      .select("s", "v")
      .unionAll(r.select("v", "s").unionAll(l.where(col("i").eq(1)).select("s", "v")))
      .unionAll(r.select("s", "v")),
};
/** Those in which each source is read once, and no join stands, which cannot be saved. */
const SAVED = [
  "union",
  "the other way round",
  "filtered and chosen",
  "with a constant",
  "under an aggregation",
  "under an aggregation without keys",
  "under grouping sets",
  "under distinct",
  "over aggregations",
  "between aggregations",
];

interface Case {
  readonly sides: readonly [readonly Change[], readonly Change[]];
  /** Which sides are changelogs. */
  readonly changes: readonly [boolean, boolean];
  readonly shape: string;
  readonly cuts: readonly number[];
  readonly offset: number;
  readonly engine: number;
}

const casesOf = (shapes: readonly string[]): fc.Arbitrary<Case> =>
  fc.record({
    sides: fc.tuple(changesOf(SIDES[0]), changesOf(SIDES[1])),
    changes: fc.tuple(fc.boolean(), fc.boolean()),
    shape: fc.constantFrom(...shapes),
    cuts: fc.array(fc.nat(40), { maxLength: 6 }),
    offset: fc.nat(9),
    engine: fc.nat(5),
  });

function planOf({ shape }: Case, changes: readonly [boolean, boolean]): Plan<unknown> {
  const side = (name: string, isChangelog: boolean) => {
    const plan = from(name);
    return (isChangelog ? plan.changelog() : plan.drop("row_kind" as never)) as unknown as Plan;
  };
  return SHAPES[shape]!(side("l", changes[0]), side("r", changes[1]));
}

/** What the twin makes of the rows that are left. */
function wanted(one: Case): string[] {
  const [l, r] = one.sides.map((changes, side) => batches(SIDES[side]!, left(arriving(changes, true)))) as [
    BatchData[],
    BatchData[],
  ];
  const schemas = { l: l[0]!.schema, r: r[0]!.schema };
  return fingerprint(runPlan(bind(planOf(one, [false, false]), schemas), { l, r }).rows);
}

function inputsOf({ sides, changes, cuts, offset }: Case): { l: BatchData[]; r: BatchData[] } {
  const [l, r] = sides.map((own, side) =>
    batches(SIDES[side]!, arriving(own, changes[side]!), cuts, offset),
  ) as [BatchData[], BatchData[]];
  return { l, r };
}

const engineOf = ({ engine }: Case) => engines[engine % engines.length]!;

it("what leaves comes to the result over the rows that are left", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(casesOf(Object.keys(SHAPES)), async (one) => {
      const engine = engineOf(one);
      const want = wanted(one);
      const plan = planOf(one, one.changes);
      const inputs = inputsOf(one);
      const table = await engine.collect(plan, inputs);
      const names = table.schema.fields.map(({ name }) => name);
      expect(folded(names, resultRows(table))).toEqual(want);
      const kernel = await engine.collect(plan, inputs, { result: "kernel" });
      expect(folded(names, resultRows(kernel.toArrow()))).toEqual(want);
      kernel.free();
      expect(await streamed(engine, plan, inputs, { emit: "onClose" })).toEqual(want);
      expect(await streamed(engine, plan, inputs, { emit: "onUpdate", batchRows: 3 })).toEqual(want);
    }),
    { numRuns: 150 },
  );
});

it("goes on from a checkpoint between any two batches", { timeout: 120_000 }, async () => {
  const emits = fc.constantFrom("onClose" as const, "onUpdate" as const);
  await fc.assert(
    fc.asyncProperty(casesOf(SAVED), emits, fc.nat(13), async (one, emit, at) => {
      const plan = planOf(one, one.changes);
      const options: StreamOptions = { emit, batchRows: 2 };
      const inputs = inputsOf(one);
      let handed = 0;
      let saved: Promise<Uint8Array> | null = null;
      async function* counted(own: readonly BatchData[]) {
        for (const batch of own) {
          if (handed++ === at) saved = run.snapshot();
          yield batch;
        }
      }
      const run = engineOf(one).stream(plan, { l: counted(inputs.l), r: counted(inputs.r) }, options);
      const rows: Value[][] = [];
      let names: string[] = [];
      for await (const batch of run) {
        names = batch.schema.fields.map(({ name }) => name);
        rows.push(...resultRows(batch));
      }
      const want = wanted(one);
      expect(folded(names, rows)).toEqual(want);
      if (saved === null) return;
      const { sources, rowsOut } = readCheckpoint(await saved);
      const read = Object.fromEntries(sources.map((source) => [source.name, source.batches]));
      const rest = { l: inputs.l.slice(read.l), r: inputs.r.slice(read.r) };
      const after = engines.at(-1)!.stream(plan, rest, { ...options, restore: await saved });
      const more: Value[][] = [];
      for await (const batch of after) more.push(...resultRows(batch));
      expect(folded(names, [...rows.slice(0, rowsOut), ...more])).toEqual(want);
    }),
    { numRuns: 100 },
  );
});

describe("a union over changes", () => {
  const orders = source("orders", { id: int64, item: utf8, at: timestamp("ms") }, { changelog: true });
  const returns = source("returns", { item: utf8, at: timestamp("ms"), id: int32 });

  it("is a changelog, whose rows of a side that only adds are +I", async () => {
    const plan = from(returns).unionAll(from(orders));
    expect(plan.explain()).toContain(`2 union all
    gives changes
    right side
      0 read orders: id, item, at, row_kind
      1 project item, at, id, row_kind`);
    expect(from(returns).unionAll(from(returns)).explain()).not.toContain("gives changes");
    const field = (name: string, type: DataType) => ({ name, type, nullable: name !== "row_kind" });
    const order = writeBatch(
      [field("row_kind", int8), field("id", int64), field("item", utf8), field("at", timestamp("ms"))],
      [
        [0n, 1n, "a", 5n],
        [1n, 1n, "a", 5n],
        [2n, 1n, "b", null],
        [3n, 7n, null, 2n],
      ],
    );
    const back = writeBatch(
      [field("id", int32), field("at", timestamp("ms")), field("item", utf8)],
      [[9n, 6n, "a"]],
    );
    const inputs = { orders: [order], returns: [back] };
    const table = await engines[0]!.collect(plan, inputs);
    expect(table.schema.fields.map(({ name, nullable }) => [name, nullable])).toEqual([
      ["item", true],
      ["at", true],
      ["id", true],
      ["row_kind", false],
    ]);
    expect(fingerprint(resultRows(table))).toEqual(
      fingerprint([
        ["a", 5n, 1n, 0n],
        ["a", 5n, 1n, 1n],
        ["b", null, 1n, 2n],
        [null, 2n, 7n, 3n],
        ["a", 6n, 9n, 0n],
      ]),
    );
    const totals = plan.groupBy("item").aggregate({ n: count() });
    await expect(engines[0]!.collect(totals, inputs)).rejects.toThrow(RetractionError);
  });

  it("is refused by what cannot take rows back, with the name of the side that does", () => {
    const both = from(returns).unionAll(from(orders));
    const refusal = (refused: Plan<unknown>) => () => refused.explain();
    expect(refusal(both.orderBy("id"))).toThrow(PlanError);
    expect(refusal(both.orderBy("id"))).toThrow(/orderBy over the changelog "orders"/);
    expect(refusal(from(returns).unionAll(both).limit(3))).toThrow(/limit over the changelog "orders"/);
    expect(refusal(both.over({ orderBy: "at" }, { place: rowNumber() }))).toThrow(
      /over over the changelog "orders"/,
    );
    expect(refusal(both.window(tumble("at", "1 s")).aggregate({ n: count() }))).toThrow(
      /tumble.* over the changelog "orders"/,
    );
    const within = { left: "at", right: "at", from: "-1 hour", to: "1 hour" } as const;
    expect(refusal(from(returns).join(both, { on: "item", within }))).toThrow(
      /within over the changelog "orders"/,
    );
  });

  it("does not keep a join below it from correcting what has left, unless something above cannot follow", async () => {
    const rows = (names: readonly string[]) =>
      writeBatch(
        [{ name: "k", type: utf8, nullable: false }],
        names.map((name) => [name]),
      );
    const plan = (from("l") as Plan)
      .join(from("r") as Plan, { on: "k" as never, how: "anti" })
      .unionAll(from("m") as Plan) as Plan;
    let go: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      go = resolve;
    });
    async function* late() {
      yield rows(["c"]);
      await asked;
      yield rows(["b"]);
    }
    const inputs = () => ({ l: [rows(["a", "b"])], r: late(), m: [rows(["b"])] });
    const run = engines[0]!.stream(plan, inputs(), { emit: "onUpdate" });
    const early: Value[][] = [];
    while (early.length < 3) early.push(...resultRows((await run.next()).value!));
    expect(fingerprint(early)).toEqual(
      fingerprint([
        ["a", 0n],
        ["b", 0n],
        ["b", 0n],
      ]),
    );
    go();
    expect(resultRows((await run.next()).value!)).toEqual([["b", 3n]]);
    expect((await run.next()).done).toBe(true);
    const sorted = await streamed(engines[0]!, plan.orderBy("k" as never), inputs(), { emit: "onUpdate" });
    expect(sorted).toEqual(fingerprint([["a"], ["b"]]));
  });

  it("follows windows of both sides that are corrected, behind the watermarks of both", async () => {
    const fields = [
      { name: "ts", type: timestamp("ms"), nullable: false },
      { name: "v", type: int64, nullable: false },
    ];
    const side = (name: string, late: string) =>
      (from(name) as Plan)
        .window(tumble("ts", "10 ms", { allowedLateness: late }))
        .groupBy()
        .aggregate({ total: sum("v") });
    const plan = side("a", "1 second")
      .unionAll(side("b", "1 second"))
      .groupBy("window_end")
      .aggregate({ sides: count(), total: sum("total") });
    const events = (seed: number) =>
      Array.from({ length: 60 }, (_, at) => [
        BigInt(at * 3 + ((at * seed) % 7) * 10),
        BigInt((at * seed) % 11),
      ]);
    const inputs = Object.fromEntries(
      ["a", "b"].map((name, seed) => {
        const rows = events(seed + 3);
        return [
          name,
          Array.from({ length: 12 }, (_, at) => writeBatch(fields, rows.slice(5 * at, 5 * at + 5))),
        ];
      }),
    );
    const marks = { a: { column: "ts" }, b: { column: "ts" } };
    const schemas = { a: { fields }, b: { fields } };
    const want = fingerprint(runPlan(bind(plan, schemas), inputs).rows);
    const options: StreamOptions = { emit: "onUpdate", watermarks: marks };
    expect(await streamed(engines[0]!, plan, inputs, options)).toEqual(want);
  });
});
