// DuckDB as the second oracle of whole plans: the same question in SQL over the same rows.
//
// Integers, texts, decimals, dates and booleans must be equal, floats within 1e-9 (DuckDB's sums depend on
// the order of the rows). What differs on purpose is in docs/semantics.md and left out here.

import { DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  type Aggregate,
  argMax,
  argMin,
  arrayAgg,
  asc,
  avg,
  bitAnd,
  bitOr,
  bitXor,
  bool,
  boolAnd,
  boolOr,
  bottomK,
  col,
  count,
  countDistinct,
  cube,
  type DataType,
  date32,
  decimal,
  desc,
  Engine,
  type Expression,
  float64,
  from,
  type Grouping,
  grouping,
  groupingSets,
  int32,
  int64,
  max,
  median,
  min,
  type Plan,
  quantile,
  quantileDisc,
  rollup,
  stringAgg,
  sum,
  timestamp,
  topK,
  tumble,
  utf8,
} from "../bindings/ts/index.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { listValue, type Value, writeBatch } from "../twin/values.js";
import { resultRows } from "./testing-result.js";

let engine: Engine;
let duckdb: Awaited<ReturnType<DuckDBInstance["connect"]>>;
beforeAll(async () => {
  engine = await Engine.open({ memory: "256 MiB" });
  duckdb = await (await DuckDBInstance.create(":memory:")).connect();
});
afterAll(() => engine.close());

interface ColumnKind {
  readonly type: DataType;
  readonly sql: string;
  readonly cell: fc.Arbitrary<Value>;
  readonly literal: (value: NonNullable<Value>) => string;
}

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
const number = (value: number) =>
  Number.isFinite(value) && !Object.is(value, -0)
    ? `${value}::DOUBLE`
    : `'${Object.is(value, -0) ? "-0.0" : value}'::DOUBLE`;

const KINDS: Record<string, ColumnKind> = {
  small: { type: int32, sql: "INTEGER", cell: fc.integer({ min: -3, max: 3 }).map(BigInt), literal: String },
  large: { type: int64, sql: "BIGINT", cell: fc.bigInt(-(2n ** 50n), 2n ** 50n), literal: String },
  float: {
    type: float64,
    sql: "DOUBLE",
    cell: fc.oneof(
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
      fc.constantFrom(0, -0, 1.5, Number.NaN, Infinity, -Infinity),
    ),
    literal: (value) => number(value as number),
  },
  money: {
    type: decimal(12, 2),
    sql: "DECIMAL(12, 2)",
    cell: fc.bigInt(-(10n ** 8n), 10n ** 8n),
    literal: (value) => `(${value}::HUGEINT::DECIMAL(38, 2) / 100)::DECIMAL(12, 2)`,
  },
  text: {
    type: utf8,
    sql: "VARCHAR",
    cell: fc.constantFrom("", "a", "ab", "b'c", "\u00e9t\u00e9", "\u{1f600}x", "A", "100%", "a_b"),
    literal: (value) => quoted(value as string),
  },
  flag: { type: bool, sql: "BOOLEAN", cell: fc.boolean(), literal: String },
  day: {
    type: date32,
    sql: "DATE",
    cell: fc.integer({ min: -40_000, max: 40_000 }).map(BigInt),
    literal: (value) => `(DATE '1970-01-01' + ${value}::INTEGER)`,
  },
  moment: {
    type: timestamp("us"),
    sql: "TIMESTAMP",
    cell: fc.bigInt(-(10n ** 15n), 10n ** 15n),
    literal: (value) => `make_timestamp(${value}::BIGINT)`,
  },
};
const NAMES = Object.keys(KINDS);

/** The same thing to Millrace and to DuckDB. */
interface Both<T> {
  readonly ours: T;
  readonly sql: string;
}
type Computed = Both<Expression>;
type Aggregated = Both<Aggregate> & { readonly name: string };

const condition: fc.Arbitrary<Computed> = fc.oneof(
  fc.constantFrom<Computed>(
    { ours: col("small").gt(0), sql: "small > 0" },
    { ours: col("float").le(1.5), sql: "float <= 1.5" },
    { ours: col("text").like("%a%"), sql: "text LIKE '%a%'" },
    { ours: col("text").isIn(["a", "", "été"]), sql: "text IN ('a', '', 'été')" },
    { ours: col("money").between(-5000, 250000.5), sql: "money BETWEEN -5000 AND 250000.5" },
    { ours: col("flag").isNull(), sql: "flag IS NULL" },
    { ours: col("flag").not(), sql: "NOT flag" },
    { ours: col("day").ge("1999-12-31"), sql: "day >= DATE '1999-12-31'" },
    { ours: col("moment").hour().lt(12), sql: "hour(moment) < 12" },
    { ours: col("large").mod(7).ne(3), sql: "large % 7 <> 3" },
    {
      ours: col("small")
        .eq(1)
        .and(col("flag").or(col("text").eq("A"))),
      sql: "small = 1 AND (flag OR text = 'A')",
    },
  ),
);

const key: fc.Arbitrary<Computed> = fc.oneof(
  fc.constantFrom(...NAMES).map((name): Computed => ({ ours: col(name), sql: name })),
  fc.constantFrom<Computed>(
    { ours: col("text").length(), sql: "length(text)" },
    { ours: col("text").upper(), sql: "upper(text)" },
    { ours: col("text").substring(1, 1), sql: "substring(text, 1, 1)" },
    { ours: col("day").year(), sql: "year(day)::BIGINT" },
    { ours: col("day").dateTrunc("month"), sql: "date_trunc('month', day)::DATE" },
    { ours: col("moment").dateTrunc("week"), sql: "date_trunc('week', moment)::TIMESTAMP" },
    { ours: col("moment").isoDayOfWeek(), sql: "isodow(moment)::BIGINT" },
    { ours: col("small").add(col("small").abs()), sql: "small + abs(small)" },
    { ours: col("large").idiv(1000), sql: "large // 1000" },
    { ours: col("money").floor(), sql: "floor(money)" },
    { ours: col("small").isNull(), sql: "small IS NULL" },
  ),
);

const aggregate: fc.Arbitrary<Omit<Aggregated, "name">> = fc
  .tuple(
    fc.oneof(
      fc.constant({ ours: () => count(), sql: "count(*)" }),
      fc
        .constantFrom(...NAMES)
        .chain((name) =>
          fc.constantFrom(
            { ours: () => count(name), sql: `count(${name})` },
            { ours: () => countDistinct(name), sql: `count(DISTINCT ${name})` },
            { ours: () => min(name), sql: `min(${name})` },
            { ours: () => max(name), sql: `max(${name})` },
          ),
        ),
      fc
        .constantFrom("small", "large", "float", "money")
        .chain((name) =>
          fc.constantFrom(
            { ours: () => sum(name), sql: `sum(${name})` },
            { ours: () => avg(name), sql: `avg(${name})` },
            { ours: () => sum(name, { distinct: true }), sql: `sum(DISTINCT ${name})` },
            { ours: () => avg(name, { distinct: true }), sql: `avg(DISTINCT ${name})` },
          ),
        ),
      fc.constantFrom("large", "money", "text", "day", "moment").map((name) => ({
        ours: () => arrayAgg(name, { distinct: true }),
        sql: `list(DISTINCT ${name} ORDER BY ${name}) FILTER (WHERE ${name} IS NOT NULL)`,
      })),
      fc
        .tuple(fc.constantFrom(...NAMES), fc.constantFrom(...NAMES), fc.constantFrom("text", "small"))
        .map(([a, b, c]) => ({
          ours: () => countDistinct(a, b, c),
          sql: `count(DISTINCT CASE WHEN ${[a, b, c].map((one) => `${one} IS NOT NULL`).join(" AND ")} THEN (${a}, ${b}, ${c}) END)`,
        })),
      fc
        .tuple(
          fc.constantFrom("large", "money", "text", "day", "moment"),
          fc.constantFrom("small", "text", "money", "flag", "day"),
          fc.boolean(),
        )
        .chain(([name, by, descending]) => {
          const order = `ORDER BY ${by} ${descending ? "DESC" : "ASC"} NULLS LAST`;
          return fc.constantFrom(
            {
              ours: () => arrayAgg(name, { orderBy: by, descending }),
              sql: `list(${name} ${order}, ${name}) FILTER (WHERE ${name} IS NOT NULL)`,
            },
            {
              ours: () => stringAgg("text", "/", { orderBy: by, descending }),
              sql: `string_agg(text, '/' ${order}, text)`,
            },
          );
        }),
      fc.constantFrom("small", "large").map((name) => ({
        ours: () => median(name, { distinct: true }),
        sql: `median(DISTINCT ${name}::DOUBLE)`,
      })),
      // Of floats DuckDB takes -0 and +0 for one another.
      fc
        .constantFrom("large", "money", "text", "day", "moment")
        .chain((name) =>
          fc.constantFrom(
            { ours: () => topK(name, 2), sql: `max(${name}, 2)` },
            { ours: () => bottomK(name, 3), sql: `min(${name}, 3)` },
          ),
        ),
      fc.constantFrom("large", "money", "text", "day", "moment").map((name) => ({
        ours: () => arrayAgg(name, { filter: col("small").gt(0), descending: true }),
        sql: `list(${name} ORDER BY ${name} DESC) FILTER (WHERE ${name} IS NOT NULL AND small > 0)`,
      })),
      fc.constant({
        ours: () => stringAgg("text", ", "),
        sql: "string_agg(text, ', ' ORDER BY text)",
      }),
      // Rows that tie are DuckDB's to choose: here they have the same argument.
      fc.constantFrom("large", "money", "day", "moment").map((name) => ({
        ours: () => bottomK(name, 2, { by: name }),
        sql: `arg_min(${name}, ${name}, 2)`,
      })),
      fc.constant({ ours: () => sum(col("small").mul(col("large"))), sql: "sum(small * large)" }),
      fc
        .constantFrom("small", "large", "money")
        .chain((name) =>
          fc.constantFrom(
            { ours: () => median(name), sql: `median(${name}::DOUBLE)` },
            { ours: () => quantile(name, 0.3), sql: `quantile_cont(${name}::DOUBLE, 0.3)` },
          ),
        ),
      fc
        .constantFrom("small", "large", "float", "money", "day", "moment", "text")
        .map((name) => ({ ours: () => quantileDisc(name, 0.7), sql: `quantile_disc(${name}, 0.7)` })),
      fc
        .tuple(fc.constantFrom(...NAMES), fc.constantFrom("small", "text", "day", "money", "flag"))
        .chain(([name, by]) => {
          // DuckDB breaks ties by arrival: content is put behind the order.
          const pair = `CASE WHEN ${by} IS NOT NULL THEN {'by': ${by}, 'value': ${name}} END`;
          return fc.constantFrom(
            { ours: () => argMin(name, by), sql: `arg_min(${name}, ${pair})` },
            { ours: () => argMax(name, by), sql: `arg_max(${name}, ${pair})` },
          );
        }),
      fc.constantFrom(
        { ours: () => boolAnd("flag"), sql: "bool_and(flag)" },
        { ours: () => boolOr("flag"), sql: "bool_or(flag)" },
        { ours: () => bitAnd("large"), sql: "bit_and(large)" },
        { ours: () => bitOr("small"), sql: "bit_or(small)" },
        { ours: () => bitXor("large"), sql: "bit_xor(large)" },
      ),
    ),
    fc.option(condition),
  )
  .map(([{ ours, sql }, filter]) => ({
    ours: filter === null || sql.includes("FILTER") ? ours() : ours().filter(filter.ours),
    sql: filter === null || sql.includes("FILTER") ? sql : `${sql} FILTER (WHERE ${filter.sql})`,
  }));

type Keys = Record<string, Expression>;

/** Keys and their SQL as one grouping: plain, or in sets. `at` is the SQL of a key's position. */
interface Style {
  readonly ours: (keys: readonly Keys[]) => readonly (Keys | Grouping)[];
  readonly sql: (at: readonly string[]) => string;
}
const STYLES: Record<string, Style> = {
  plain: { ours: (keys) => keys, sql: (at) => at.join(", ") },
  rollup: { ours: (keys) => [rollup(...keys)], sql: (at) => `ROLLUP (${at.join(", ")})` },
  cube: { ours: (keys) => [cube(...keys)], sql: (at) => `CUBE (${at.join(", ")})` },
  step: { ours: (keys) => [rollup(keys)], sql: (at) => `ROLLUP ((${at.join(", ")}))` },
  sets: {
    ours: (keys) => [groupingSets([...keys], [keys[0]!], [keys.at(-1)!], [], [])],
    sql: (at) => `GROUPING SETS ((${at.join(", ")}), (${at[0]}), (${at.at(-1)}), (), ())`,
  },
  mixed: {
    ours: (keys) => [keys[0]!, ...keys.slice(1).map((key) => groupingSets(cube(key), [key]))],
    sql: (at) => [at[0]!, ...at.slice(1).map((key) => `GROUPING SETS (CUBE (${key}), (${key}))`)].join(", "),
  },
};

const question = fc.record({
  style: fc.constantFrom("plain", ...Object.keys(STYLES)),
  rows: fc.array(fc.tuple(...NAMES.map((name) => fc.option(KINDS[name]!.cell, { freq: 5 }))), {
    maxLength: 40,
  }),
  where: fc.array(condition, { maxLength: 2 }),
  keys: fc.uniqueArray(key, { maxLength: 3, selector: ({ sql }) => sql }),
  aggregates: fc.array(aggregate, { minLength: 1, maxLength: 4 }),
  having: fc.boolean(),
});

function tableOf(rows: readonly (readonly Value[])[]): BatchData {
  return writeBatch(
    NAMES.map((name) => ({ name, type: KINDS[name]!.type, nullable: true })),
    rows,
  );
}

function tableSql(rows: readonly (readonly Value[])[]): string {
  const columns = NAMES.map((name) => `${name} ${KINDS[name]!.sql}`).join(", ");
  const values = rows.map(
    (row) =>
      `(${row.map((value, at) => (value === null ? "NULL" : KINDS[NAMES[at]!]!.literal(value))).join(", ")})`,
  );
  const insert = rows.length === 0 ? "" : `INSERT INTO t VALUES ${values.join(", ")};`;
  return `CREATE OR REPLACE TABLE t (${columns}); ${insert}`;
}

/** A DuckDB value in the form of the twins' values; decimals unscaled, times as ticks. */
function plain(value: DuckDBValue): Value {
  if (value === null || typeof value === "boolean" || typeof value === "string" || typeof value === "bigint")
    return value;
  if (typeof value === "number") return value;
  if ("items" in value) return listValue(value.items.map(plain));
  if ("micros" in value) return value.micros as bigint;
  if ("days" in value) return BigInt(value.days as number);
  if ("scale" in value) return value.value as bigint;
  throw new TypeError(`no plain form of ${String(value)}`);
}

function same(ours: Value, theirs: Value): boolean {
  if (typeof ours === "number" && typeof theirs === "number") {
    return (
      Object.is(ours, theirs) ||
      ours === theirs ||
      Math.abs(ours - theirs) <= 1e-9 * Math.max(Math.abs(ours), Math.abs(theirs), 1e-3)
    );
  }
  // Integers of 32 bits come as numbers from there.
  if (typeof ours === "bigint" && typeof theirs === "number") return Number(ours) === theirs;
  return ours === theirs;
}

const rank = (value: Value) => (typeof value === "number" ? value.toPrecision(6) : String(value));
const sorted = (rows: Value[][]) =>
  rows.map((row) => ({ row, key: row.map(rank).join("|") })).sort((a, b) => (a.key < b.key ? -1 : 1));

async function fill(rows: readonly (readonly Value[])[]): Promise<void> {
  for (const statement of tableSql(rows).split(/;\s*(?=INSERT|$)/))
    if (statement !== "") await duckdb.run(statement);
}

async function rowsOfOurs(plan: Plan<unknown>, rows: readonly (readonly Value[])[]): Promise<Value[][]> {
  return resultRows(await engine.collect(plan, { t: tableOf(rows) }));
}

async function rowsOfTheirs(sql: string): Promise<Value[][]> {
  return (await (await duckdb.runAndReadAll(sql)).getRows()).map((row) => row.map(plain));
}

async function compare(plan: Plan, rows: readonly (readonly Value[])[], sql: string): Promise<void> {
  await fill(rows);
  const [a, b] = [sorted(await rowsOfOurs(plan, rows)), sorted(await rowsOfTheirs(sql))];
  expect(a.length, sql).toBe(b.length);
  a.forEach(({ row }, at) => {
    const equal = row.every((value, column) => same(value, b[at]!.row[column]!));
    expect(equal, `${sql}\nours ${row.map(String)}\ntheirs ${b[at]!.row.map(String)}`).toBe(true);
  });
}

it("whole plans give what DuckDB gives", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(question, async ({ rows, where, keys, aggregates, having, style }) => {
      const named = (prefix: string, index: number) => `${prefix}${index}`;
      let plan: Plan = from("t") as Plan;
      for (const { ours } of where) plan = plan.where(ours);
      const keyed = keys.map(({ ours }, index) => ({ [named("k", index)]: ours }));
      const { ours: grouped, sql: groupedSql } = STYLES[style]!;
      const computed = Object.fromEntries(aggregates.map(({ ours }, index) => [named("a", index), ours]));
      const all = { ...computed, n: count() };
      const [first, ...others] = keys.map((_, index) => named("k", index));
      plan = (
        first === undefined
          ? plan.aggregate(all)
          : plan.groupBy(...grouped(keyed)).aggregate({ ...all, g: grouping(first, ...others) })
      ) as Plan;
      if (having) plan = plan.where(col("n").gt(1));

      const columns = [
        ...keys.map(({ sql }, index) => `${sql} AS ${named("k", index)}`),
        ...aggregates.map(({ sql }, index) => `${sql} AS ${named("a", index)}`),
        "count(*) AS n",
        ...(keys.length > 0 ? [`GROUPING(${keys.map(({ sql }) => sql).join(", ")}) AS g`] : []),
      ];
      const sql = [
        `SELECT ${columns.join(", ")} FROM t`,
        where.length > 0 ? `WHERE ${where.map((one) => `(${one.sql})`).join(" AND ")}` : "",
        keys.length > 0 ? `GROUP BY ${groupedSql(keys.map(({ sql }) => sql))}` : "",
        having ? "HAVING count(*) > 1" : "",
      ].join(" ");

      await compare(plan, rows, sql);
    }),
    { numRuns: 500 },
  );
});

/** -0 ties with 0 in DuckDB, and the next key decides; here it comes first. */
const cell = (name: string) => KINDS[name]!.cell.map((value) => (Object.is(value, -0) ? 0 : value));

const ordering = fc.record({
  rows: fc.array(fc.tuple(...NAMES.map((name) => fc.option(cell(name), { freq: 5 }))), { maxLength: 60 }),
  by: fc.array(
    fc.record({ name: fc.constantFrom(...NAMES), descending: fc.boolean(), nullsFirst: fc.boolean() }),
    { maxLength: 3 },
  ),
  where: fc.option(condition),
  limit: fc.option(fc.tuple(fc.nat(40), fc.nat(5))),
});

it("orderBy and limit give DuckDB's rows in DuckDB's order", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(ordering, async ({ rows, by, where, limit }) => {
      let plan = from("t") as Plan;
      if (where !== null) plan = plan.where(where.ours);
      if (by.length > 0) {
        plan = plan.orderBy(
          ...by.map(({ name, descending, nullsFirst }) =>
            (descending ? desc : asc)(name, { nulls: nullsFirst ? "first" : "last" }),
          ),
        );
      }
      plan = plan.limit(limit?.[0] ?? 1000, limit?.[1] ?? 0);
      const keys = [
        ...by.map(
          ({ name, descending, nullsFirst }) =>
            `${name} ${descending ? "DESC" : "ASC"} NULLS ${nullsFirst ? "FIRST" : "LAST"}`,
        ),
        ...NAMES.map((name) => `${name} ASC NULLS LAST`),
      ];
      const sql = [
        "SELECT * FROM t",
        where === null ? "" : `WHERE ${where.sql}`,
        `ORDER BY ${keys.join(", ")}`,
        limit === null ? "" : `LIMIT ${limit[0]} OFFSET ${limit[1]}`,
      ].join(" ");
      await fill(rows);
      const theirs = await rowsOfTheirs(sql);
      const ours = await rowsOfOurs(plan, rows);
      const equal =
        ours.length === theirs.length &&
        ours.every((row, at) => row.every((value, column) => same(value, theirs[at]![column]!)));
      expect(
        equal,
        `${sql}\nours ${ours.map(String).join("\n")}\ntheirs ${theirs.map(String).join("\n")}`,
      ).toBe(true);
    }),
    { numRuns: 200 },
  );
});

/** A size of windows, and DuckDB's buckets of the same size. Weeks begin on Mondays, days of several in 1970. */
const SIZES: readonly (readonly [string, string])[] = [
  ["15 minutes", "time_bucket(INTERVAL 15 MINUTE, moment)"],
  ["1 hour", "time_bucket(INTERVAL 1 HOUR, moment)"],
  ["1 day", "time_bucket(INTERVAL 1 DAY, moment)"],
  ["5 days", "time_bucket(INTERVAL 5 DAY, moment, TIMESTAMP '1970-01-01')"],
  ["2 weeks", "time_bucket(INTERVAL 14 DAY, moment, TIMESTAMP '1970-01-05')"],
  ["1 week", "time_bucket(INTERVAL 7 DAY, moment)"],
  ["1 month", "time_bucket(INTERVAL 1 MONTH, moment)"],
  ["1 quarter", "time_bucket(INTERVAL 3 MONTH, moment)"],
  ["1 year", "time_bucket(INTERVAL 1 YEAR, moment)"],
];

it("tumbling windows give what DuckDB's time_bucket gives", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(question, fc.constantFrom(...SIZES), async ({ rows, where, keys, aggregates }, size) => {
      let plan: Plan = from("t") as Plan;
      for (const { ours } of where) plan = plan.where(ours);
      const keyed = Object.fromEntries(keys.map(({ ours }, index) => [`k${index}`, ours]));
      const computed = Object.fromEntries(aggregates.map(({ ours }, index) => [`a${index}`, ours]));
      const windowed = plan.window(tumble("moment", size[0], { nullTime: "drop" }));
      const asked = { ...computed, n: count() };
      const results =
        keys.length === 0 ? windowed.aggregate(asked) : windowed.groupBy(keyed).aggregate(asked);
      const all = (results as Plan).drop("window_end", "window_time") as Plan;
      const columns = [size[1], ...keys.map(({ sql }) => sql)];
      const sql = [
        `SELECT ${[...columns, ...aggregates.map((one) => one.sql), "count(*)"].map((one, at) => `${one} AS c${at}`).join(", ")}`,
        `FROM t WHERE ${["moment IS NOT NULL", ...where.map((one) => `(${one.sql})`)].join(" AND ")}`,
        `GROUP BY ${columns.map((_, index) => index + 1).join(", ")}`,
      ].join(" ");
      await compare(all, rows, sql);
    }),
    { numRuns: 150 },
  );
});
