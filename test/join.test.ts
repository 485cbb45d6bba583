// Joins in whole plans: the same rows whatever the mode, the batches, the build and the order in which the sources
// come, namely the naive twin's; and DuckDB's, as the second oracle.

import { DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromArrow } from "../bindings/ts/arrow/index.js";
import {
  col,
  count,
  type DataType,
  date32,
  decimal,
  dictionary,
  Engine,
  float64,
  from,
  int16,
  int32,
  int64,
  type JoinHow,
  MemoryLimitError,
  type Plan,
  source,
  sum,
  utf8,
} from "../bindings/ts/index.js";
import { BUILDS } from "../bindings/ts/kernel/testing.js";
import { bind } from "../bindings/ts/plan/index.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { runPlan } from "../twin/plan.js";
import { type Value, writeBatch } from "../twin/values.js";
import { consolidate } from "./testing-result.js";
import { multiset, valuesOf } from "./testing-rows.js";

let engines: Engine[];
let duckdb: Awaited<ReturnType<DuckDBInstance["connect"]>>;
beforeAll(async () => {
  engines = await Promise.all(BUILDS.map((build) => Engine.open({ build, memory: "512 MiB" })));
  duckdb = await (await DuckDBInstance.create(":memory:")).connect();
});
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

interface Column {
  readonly name: string;
  readonly type: DataType;
  readonly sql: string;
  readonly cell: fc.Arbitrary<Value>;
}

const cents = (digits: number) => (value: bigint) => {
  const text = `${value < 0n ? -value : value}`.padStart(digits + 1, "0");
  return `${value < 0n ? "-" : ""}${text.slice(0, -digits)}.${text.slice(-digits)}`;
};
const whole = fc.integer({ min: -3, max: 3 }).map(BigInt);
const text = fc.constantFrom("", "a", "b", "ab", "\u00e9t\u00e9", "x".repeat(40));
const float = fc.constantFrom(0, -0, 1.5, Number.NaN, Infinity, -2);

/** Both sides have the same names; their types differ where joins bring them to one. */
const SIDES: readonly [readonly Column[], readonly Column[]] = [
  [
    { name: "i", type: int32, sql: "INTEGER", cell: whole },
    { name: "s", type: utf8, sql: "VARCHAR", cell: text },
    { name: "f", type: float64, sql: "DOUBLE", cell: float },
    {
      name: "d",
      type: decimal(12, 2),
      sql: "DECIMAL(12, 2)",
      cell: fc.constantFrom(-150n, 0n, 10n, 20n, 25n),
    },
    { name: "t", type: date32, sql: "DATE", cell: whole },
    { name: "v", type: int64, sql: "BIGINT", cell: fc.bigInt(0n, 20n) },
  ],
  [
    { name: "i", type: int64, sql: "BIGINT", cell: whole },
    { name: "s", type: dictionary(utf8, int16), sql: "VARCHAR", cell: text },
    { name: "f", type: float64, sql: "DOUBLE", cell: float },
    { name: "d", type: decimal(8, 1), sql: "DECIMAL(8, 1)", cell: fc.constantFrom(-15n, 0n, 1n, 2n, 3n) },
    { name: "t", type: date32, sql: "DATE", cell: whole },
    { name: "v", type: int64, sql: "BIGINT", cell: fc.bigInt(0n, 20n) },
  ],
];
const KEYS = ["i", "s", "f", "d", "t"];
const HOWS: readonly JoinHow[] = ["inner", "left", "right", "full", "semi", "anti", "cross"];

type Rows = readonly (readonly Value[])[];

interface Case {
  readonly rows: readonly [Rows, Rows];
  readonly how: JoinHow;
  readonly on: readonly string[];
  readonly nullsEqual: boolean;
  readonly nullAware: boolean;
  readonly residual: boolean;
  readonly where: readonly string[];
  readonly cuts: readonly (readonly number[])[];
  readonly offset: number;
}

const rowsOf = (side: readonly Column[]) =>
  fc.array(fc.tuple(...side.map(({ cell }) => fc.option(cell, { freq: 6 }))), { maxLength: 25 });
const cutsOf = fc.array(fc.nat(25), { maxLength: 4 });

const cases: fc.Arbitrary<Case> = fc
  .record({
    rows: fc.tuple(rowsOf(SIDES[0]), rowsOf(SIDES[1])),
    how: fc.constantFrom(...HOWS),
    on: fc.uniqueArray(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 3 }),
    nullsEqual: fc.boolean(),
    nullAware: fc.boolean(),
    residual: fc.boolean(),
    where: fc.subarray(["v > 7", "v_right < 12"]),
    cuts: fc.tuple(cutsOf, cutsOf),
    offset: fc.nat(9),
  })
  .map((one) => (one.how === "cross" ? { ...one, on: [] } : one))
  .map((one) => {
    if (!one.nullAware || one.how !== "anti") return { ...one, nullAware: false };
    const on = one.on.slice(0, 1);
    const key = SIDES[1].findIndex(({ name }) => name === on[0]);
    // Any null on the right leaves nothing: half of the cases have none.
    const right = one.rows[1].filter((row) => one.offset % 2 === 0 || row[key] !== null);
    return { ...one, rows: [one.rows[0], right] as const, on, nullsEqual: false, residual: false };
  });

const filters = ({ how }: Case) => how === "semi" || how === "anti";

function planOf(one: Case): Plan<unknown> {
  let plan = (from("l") as Plan).join(from("r") as Plan, {
    how: one.how,
    nullsEqual: one.nullsEqual,
    nullAware: one.nullAware,
    ...(one.on.length > 0 ? { on: one.on as never } : {}),
    ...(one.residual ? { residual: col("v").le(col("v_right")) as never } : {}),
  }) as Plan;
  if (one.where.includes("v > 7")) plan = plan.where(col("v").gt(7));
  if (one.where.includes("v_right < 12") && !filters(one)) plan = plan.where(col("v_right").lt(12));
  return plan;
}

function batchOf(side: readonly Column[], rows: Rows, offset: number): BatchData {
  const fields = side.map(({ name, type }) => ({ name, type, nullable: true }));
  return writeBatch(fields, rows, { offset });
}

function batchesOf(
  side: readonly Column[],
  rows: Rows,
  cuts: readonly number[],
  offset: number,
): BatchData[] {
  const edges = [0, ...cuts.map((cut) => Math.min(cut, rows.length)).sort((a, b) => a - b), rows.length];
  return edges.slice(1).map((end, at) => batchOf(side, rows.slice(edges[at], end), (offset + at) % 9));
}

async function streamed(
  engine: Engine,
  plan: Plan<unknown>,
  inputs: Record<string, object>,
): Promise<Value[][]> {
  const rows: Value[][] = [];
  for await (const batch of engine.stream(plan, inputs)) rows.push(...valuesOf(fromArrow(batch).batches));
  return rows;
}

async function* slowly(batches: readonly BatchData[]): AsyncGenerator<BatchData> {
  for (const batch of batches) {
    await new Promise((resolve) => setImmediate(resolve));
    yield batch;
  }
}

it("every mode, build, batch size and order gives the rows of the twin", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(cases, fc.nat(2), async (one, pick) => {
      const plan = planOf(one);
      const whole = [0, 1].map((side) =>
        batchOf(SIDES[side as 0 | 1], one.rows[side as 0 | 1], 0),
      ) as BatchData[];
      const schemas = { l: whole[0]!.schema, r: whole[1]!.schema };
      const want = multiset(runPlan(bind(plan, schemas), { l: [whole[0]!], r: [whole[1]!] }).rows);
      const engine = engines[pick % engines.length]!;
      const [l, r] = [0, 1].map((side) =>
        batchesOf(SIDES[side as 0 | 1], one.rows[side as 0 | 1], one.cuts[side]!, one.offset),
      ) as [BatchData[], BatchData[]];
      expect(
        multiset(valuesOf(fromArrow(await engine.collect(plan, { l: whole[0]!, r: whole[1]! })).batches)),
      ).toEqual(want);
      expect(multiset(await streamed(engine, plan, { l, r }))).toEqual(want);
      expect(multiset(await streamed(engine, plan, { l: slowly(l), r }))).toEqual(want);
    }),
    { numRuns: 250 },
  );
});

// ---- DuckDB

const literal: Record<string, (value: NonNullable<Value>) => string> = {
  INTEGER: String,
  BIGINT: String,
  VARCHAR: (value) => `'${value}'`,
  DOUBLE: (value) => `'${Object.is(value, -0) ? "-0.0" : value}'::DOUBLE`,
  "DECIMAL(12, 2)": (value) => `${cents(2)(value as bigint)}::DECIMAL(12, 2)`,
  "DECIMAL(8, 1)": (value) => `${cents(1)(value as bigint)}::DECIMAL(8, 1)`,
  DATE: (value) => `(DATE '1970-01-01' + ${value}::INTEGER)`,
};

async function createTable(name: string, side: readonly Column[], rows: Rows): Promise<void> {
  await duckdb.run(`CREATE OR REPLACE TABLE ${name} (${side.map((c) => `"${c.name}" ${c.sql}`).join(", ")})`);
  if (rows.length === 0) return;
  const values = rows.map(
    (row) =>
      `(${row.map((value, at) => (value === null ? "NULL" : literal[side[at]!.sql]!(value))).join(", ")})`,
  );
  await duckdb.run(`INSERT INTO ${name} VALUES ${values.join(", ")}`);
}

function sqlOf(one: Case): string {
  const equal = one.nullsEqual ? "IS NOT DISTINCT FROM" : "=";
  const conditions = [
    ...one.on.map((key) => `l."${key}" ${equal} r."${key}"`),
    ...(one.residual ? ["l.v <= r.v"] : []),
  ];
  const key = (name: string) => {
    if (!one.on.includes(name) || one.how === "inner" || one.how === "left") return `l."${name}"`;
    return one.how === "right" ? `r."${name}"` : `coalesce(l."${name}", r."${name}")`;
  };
  const rights = SIDES[1].filter(({ name }) => !one.on.includes(name)).map(({ name }) => `r."${name}"`);
  const columns = filters(one) ? "l.*" : [...SIDES[0].map(({ name }) => key(name)), ...rights].join(", ");
  const where = [
    ...(one.where.includes("v > 7") ? ["l.v > 7"] : []),
    ...(one.where.includes("v_right < 12") && !filters(one) ? ["r.v < 12"] : []),
  ];
  if (one.nullAware) {
    const [name] = one.on;
    return `SELECT * FROM l WHERE "${name}" NOT IN (SELECT "${name}" FROM r)${where.map((condition) => ` AND ${condition}`).join("")}`;
  }
  const join = one.how === "cross" ? "INNER" : one.how.toUpperCase();
  return `SELECT ${columns} FROM l ${join} JOIN r ON ${conditions.length > 0 ? conditions.join(" AND ") : "true"}${where.length > 0 ? ` WHERE ${where.join(" AND ")}` : ""}`;
}

function plain(value: DuckDBValue): Value {
  if (value === null || typeof value !== "object") return value as Value;
  if ("days" in value) return BigInt(value.days as number);
  if ("scale" in value) return value.value as bigint;
  throw new TypeError(`no plain form of ${String(value)}`);
}

/** Numbers without their kind: DuckDB's 32-bit integers are plain numbers, and it has one zero. */
const loosely = (rows: readonly (readonly Value[])[]) =>
  rows
    .map((row) =>
      row.map((value) => (value === null ? "null" : Object.is(value, -0) ? "0" : `${value}`)).join(" | "),
    )
    .sort();

it("DuckDB gives the same rows", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      for (const [at, name] of ["l", "r"].entries())
        await createTable(name, SIDES[at as 0 | 1], one.rows[at as 0 | 1]);
      const sql = sqlOf(one);
      const theirs = (await (await duckdb.runAndReadAll(sql)).getRows()).map((row) => row.map(plain));
      const inputs = { l: batchOf(SIDES[0], one.rows[0], 0), r: batchOf(SIDES[1], one.rows[1], 0) };
      const ours = valuesOf(fromArrow(await engines[0]!.collect(planOf(one), inputs)).batches);
      expect(loosely(ours), sql).toEqual(loosely(theirs));
    }),
    { numRuns: 200 },
  );
});

const SETS = { unionAll: "UNION ALL", intersect: "INTERSECT", except: "EXCEPT" } as const;

it("set operations give what the twin and DuckDB give, in both modes", { timeout: 120_000 }, async () => {
  const names = ["i", "s", "f"];
  const operation = fc.constantFrom(...(Object.keys(SETS) as (keyof typeof SETS)[]));
  await fc.assert(
    fc.asyncProperty(cases, operation, fc.boolean(), async ({ rows, cuts }, name, filtered) => {
      let right = from("r") as Plan;
      if (filtered) right = right.where(col("v").gt(7));
      const plan = (from("l") as Plan)
        .select(...names)
        [name](right.select(...[...names].reverse()) as Plan)
        .where(col("i").isNotNull()) as Plan;
      const [l, r] = [0, 1].map((side) =>
        batchOf(SIDES[side as 0 | 1], rows[side as 0 | 1], 3),
      ) as BatchData[];
      const want = runPlan(bind(plan, { l: l!.schema, r: r!.schema }), { l: [l!], r: [r!] }).rows;
      const batch = valuesOf(fromArrow(await engines[0]!.collect(plan, { l: l!, r: r! })).batches);
      const cut = [0, 1].map((side) => batchesOf(SIDES[side as 0 | 1], rows[side as 0 | 1], cuts[side]!, 1));
      expect(multiset(batch)).toEqual(multiset(want));
      expect(
        multiset(await streamed(engines.at(1 % engines.length)!, plan, { l: cut[0]!, r: cut[1]! })),
      ).toEqual(multiset(want));
      for (const [at, table] of ["l", "r"].entries())
        await createTable(table, SIDES[at as 0 | 1], rows[at as 0 | 1]);
      const sql = `SELECT * FROM (SELECT i, s, f FROM l ${SETS[name]} SELECT i, s, f FROM r${filtered ? " WHERE v > 7" : ""}) WHERE i IS NOT NULL`;
      const theirs = (await (await duckdb.runAndReadAll(sql)).getRows()).map((row) => row.map(plain));
      expect(loosely(batch), sql).toEqual(loosely(theirs));
    }),
    { numRuns: 100 },
  );
});

// ---- the engine

const table = (types: Readonly<Record<string, DataType>>, rows: Rows): BatchData => {
  const columns = Object.entries(types).map(([name, type]): Column => ({ name, type, sql: "", cell: whole }));
  return batchOf(columns, rows, 0);
};

describe("plans over several sources", () => {
  const people = table({ id: int32, name: utf8 }, [
    [1n, "Ada"],
    [2n, "Grace"],
    [3n, "Edsger"],
  ]);
  const orders = table(
    { id: int64, person: int32, amount: int64 },
    Array.from({ length: 12 }, (_, row) => [BigInt(row), BigInt(row % 4), BigInt(row * 10)]),
  );

  it("aggregate over a join, and a join of an aggregate", async () => {
    const engine = engines[0]!;
    const total = (from("orders") as Plan)
      .join(from("people") as Plan, { on: { person: "id" } as never })
      .groupBy("name")
      .aggregate({ total: sum("amount"), n: count() })
      .orderBy("name");
    const rows = valuesOf(fromArrow(await engine.collect(total, { orders, people })).batches);
    expect(rows).toEqual([
      ["Ada", 150n, 3n],
      ["Edsger", 210n, 3n],
      ["Grace", 180n, 3n],
    ]);
    const sums = (from("orders") as Plan).groupBy("person").aggregate({ total: sum("amount") }) as Plan;
    const named = (from("people") as Plan)
      .join(sums, { on: { id: "person" } as never, how: "left" })
      .select("name", "total")
      .orderBy("name")
      .limit(2);
    expect(await streamed(engine, named, { orders, people })).toEqual([
      ["Ada", 150n],
      ["Edsger", 210n],
    ]);
  });

  it("tables that the plan was built from, of the same name or the same table", async () => {
    const engine = engines[0]!;
    const a = await engine.collect(from("people"), { people });
    const b = await engine.collect(
      (from("orders") as Plan).select({ id: col("person"), amount: col("amount") }),
      {
        orders,
      },
    );
    const both = from(a as object).join(from(b as object) as Plan, { on: "id" as never, how: "semi" });
    expect((await engine.collect(both as Plan)).numRows).toBe(3);
    const self = (from("people") as Plan).join(from("people") as Plan, { on: "id" });
    expect(valuesOf(fromArrow(await engine.collect(self, { people })).batches)).toContainEqual([
      1n,
      "Ada",
      "Ada",
    ]);
  });

  it("results that stay in the kernel's memory, and give it back", async () => {
    const engine = engines[0]!;
    const before = engine.stats().usedBytes;
    const plan = (from("orders") as Plan).join(from("people") as Plan, {
      on: { person: "id" } as never,
      how: "left",
    });
    const kept = await engine.collect(plan, { orders, people }, { result: "kernel" });
    const again = await engine.collect(
      (from("kept") as Plan).groupBy("name").aggregate({ n: count() }).orderBy("name"),
      { kept },
    );
    expect(valuesOf(fromArrow(again).batches)).toEqual([
      ["Ada", 3n],
      ["Edsger", 3n],
      ["Grace", 3n],
      [null, 3n],
    ]);
    const copy = valuesOf(fromArrow(kept.toArrow()).batches);
    kept.free();
    expect(multiset(copy)).toEqual(
      multiset(valuesOf(fromArrow(await engine.collect(plan, { orders, people })).batches)),
    );
    const many = (from("orders") as Plan).join(from("orders") as Plan, { on: { person: "person" } as never });
    const wide = await engine.collect(many, { orders }, { result: "kernel" });
    expect(wide.rows).toBe(36);
    wide.free();
    expect(engine.stats().usedBytes).toBe(before);
  });

  it("a source that can be read once only cannot be two", async () => {
    const self = (from("people") as Plan).join(from("people") as Plan, { on: "id" });
    await expect(engines[0]!.collect(self, { people: slowly([people]) })).rejects.toThrow(
      /reads source "people" more than once/,
    );
    await expect(engines[0]!.collect(self, {})).rejects.toThrow(/no such source was given/);
  });

  it("an inner join of streams gives results before either ends, and a slow side holds nobody up", async () => {
    const engine = engines[0]!;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* stuck() {
      yield people;
      await held;
    }
    const plan = (from("orders") as Plan).join(from(source("people", { id: int32, name: utf8 })) as Plan, {
      on: { person: "id" } as never,
    });
    const run = engine.stream(plan, { orders: slowly([orders]), people: stuck() });
    const first = await run.next();
    expect(first.value!.numRows).toBe(9);
    expect(run.stats.stateBytes).toBeGreaterThan(0);
    release();
    expect((await run.next()).done).toBe(true);
    expect(run.stats).toMatchObject({ rowsIn: 15, rowsOut: 9 });
  });

  it("cancelled while both sources are waited for", async () => {
    const never = new Promise<void>(() => {});
    async function* stuck() {
      yield people;
      await never;
    }
    const plan = (from("a") as Plan).join(from("b") as Plan, { on: "id" });
    const run = engines[0]!.stream(plan, { a: stuck(), b: stuck() });
    expect((await run.next()).value!.numRows).toBe(3);
    const waiting = run.next();
    run.cancel(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
  });

  it("over an aggregation that emits changes: a changelog", async () => {
    const counts = (from("orders") as Plan).groupBy("person").aggregate({ n: count() }) as Plan;
    const plan = (from("people") as Plan).join(counts, { on: { id: "person" } as never });
    const want = multiset(valuesOf(fromArrow(await engines[0]!.collect(plan, { people, orders })).batches));
    const changes: Value[][] = [];
    for await (const batch of engines[0]!.stream(plan, { people, orders }, { emit: "onUpdate" }))
      changes.push(...valuesOf(fromArrow(batch).batches));
    expect(multiset(consolidate(changes))).toEqual(want);
  });
});

it("a cross product over the budget is an error, and the engine goes on", { timeout: 60_000 }, async () => {
  const engine = await Engine.open({ memory: "24 MiB" });
  const rows = Array.from({ length: 3000 }, (_, row) => [BigInt(row), `text ${row}`]);
  const wide = table({ id: int64, name: utf8 }, rows);
  const cross = (from("a") as Plan).join(from("b") as Plan, { how: "cross" });
  await expect(
    engine.collect(cross.groupBy("id", "id_right").aggregate({ n: count() }), { a: wide, b: wide }),
  ).rejects.toThrow(MemoryLimitError);
  const { usedBytes } = engine.stats();
  const counted = await engine.collect(cross.aggregate({ n: count() }), { a: wide, b: wide });
  expect(counted.get(0)!.toJSON()).toEqual({ n: 9_000_000n });
  expect(engine.stats().usedBytes).toBe(usedBytes);
  await engine.close();
});

it("a long product can be left, and is cancelled in the middle", async () => {
  const rows = Array.from({ length: 20_000 }, (_, row) => [BigInt(row)]);
  const wide = table({ id: int64 }, rows);
  const cross = (from("a") as Plan).join(from("b") as Plan, {
    how: "cross",
    residual: col("id").lt(0) as never,
  });
  const held = () => {
    const { usedBytes, activeRuns, queries } = engines[0]!.stats();
    return { usedBytes, activeRuns, queries };
  };
  const before = held();
  const signal = AbortSignal.timeout(50);
  await expect(engines[0]!.collect(cross, { a: wide, b: wide }, { signal })).rejects.toThrow(/timeout/i);
  const run = engines[0]!.stream((from("a") as Plan).join(from("b") as Plan, { how: "cross" }), {
    a: wide,
    b: wide,
  });
  for await (const batch of run) {
    expect(batch.numRows).toBeGreaterThan(0);
    break;
  }
  expect(held()).toEqual(before);
});
