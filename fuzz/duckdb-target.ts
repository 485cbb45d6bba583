// Random plans against DuckDB, as far as it can be asked (sql.ts): a second opinion on what the twin and the engine, written by
// the same hands, might both have misunderstood.
//
// Integers, texts, decimals, times and booleans must be equal; of floats, which no sum makes here, -0 is 0 and the last
// bits may differ. A question that DuckDB answers by an error (it computes what nobody asks for, and overflows) is
// no answer.

import { DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import { MillraceError } from "../bindings/ts/type/error.js";
import { listValue, type Value } from "../twin/values.js";
import { boundCase, expected } from "./agree.js";
import type { Draw } from "./draw.js";
import { Disagreement, Engines } from "./engines.js";
import { drawPlan, type PlanCase } from "./plan.js";
import { sourceText } from "./source-text.js";
import { sqlLiteral, sqlOf, sqlType } from "./sql.js";
import type { TableCase } from "./table.js";
import type { Target } from "./target.js";
import { PLAIN_WAY, runWay } from "./way.js";

type Connection = Awaited<ReturnType<DuckDBInstance["connect"]>>;

/** What one question may come to. */
const MOST_ROWS = 2000;
const CLOSE = 1e-9;

/** What became of a case. */
export type Answer = "equal" | "no question" | "no answer";

export class DuckdbTarget implements Target {
  readonly name = "duckdb";
  readonly #engines = new Engines();
  readonly #connection: Connection;
  readonly #counts: Record<Answer, number> = { equal: 0, "no question": 0, "no answer": 0 };

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(): Promise<DuckdbTarget> {
    const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    return new DuckdbTarget(await instance.connect());
  }

  async run(draw: Draw): Promise<void> {
    this.#counts[await answers(this.#engines, this.#connection, drawPlan(draw))]++;
  }

  test(draw: Draw, title: string): string {
    return `it(${JSON.stringify(title)}, () =>\n  asked(${sourceText(drawPlan(draw), "  ")}));`;
  }

  summary(): string {
    const { equal } = this.#counts;
    return `${equal} answers of DuckDB are the same, ${this.#counts["no question"]} plans are no SQL, ${this.#counts["no answer"]} it cannot answer`;
  }

  async close(): Promise<void> {
    this.#connection.closeSync();
    await this.#engines.close();
  }
}

/**
 * Asks DuckDB what a plan gives.
 * @throws Disagreement where it says something else
 */
export async function answers(engines: Engines, duckdb: Connection, one: PlanCase): Promise<Answer> {
  const names = Object.entries(one.tables);
  const bound = boundCase(one);
  const question = sqlOf(bound);
  const setup = question === null ? null : tablesSql(names);
  if (question === null || setup === null || names.some(([, { rows }]) => rows.length > MOST_ROWS))
    return "no question";
  if (expected(one).want === null) return "no answer";
  let theirs: Value[][];
  try {
    for (const statement of setup) await duckdb.run(statement);
    // Values in the columns' types: what is computed in wider ones must fit.
    const columns = bound.schema.fields.map(({ type }, at) => `CAST(c${at} AS ${sqlType(type)}) AS c${at}`);
    const reader = await duckdb.runAndReadAll(`SELECT ${columns.join(", ")} FROM (${question})`);
    const isFloat = bound.schema.fields.map(({ type }) => type.kind === "float");
    theirs = reader.getRows().map((row) => row.map((value, at) => plain(value, isFloat[at]!)));
  } catch (error) {
    if (process.env.MILLRACE_FUZZ_SQL) console.log(`${question}\n${(error as Error).message}`);
    return "no answer";
  }
  let ours: Value[][] | null;
  try {
    ours = await runWay(await engines.at(PLAIN_WAY), one, PLAIN_WAY);
  } catch (error) {
    if (error instanceof MillraceError) return "no answer";
    throw error;
  }
  compare(sorted(ours!), sorted(theirs), question);
  return "equal";
}

/** Null where a value is none that DuckDB has. */
function tablesSql(tables: readonly (readonly [string, TableCase])[]): string[] | null {
  try {
    return tables.flatMap(([name, { columns, rows }]) => {
      const types = columns.map(({ type }, at) => `c${at} ${sqlType(type)}`);
      const values = rows.map(
        (row) => `(${row.map((value, at) => sqlLiteral(value, valueTypeOf(columns[at]!))).join(", ")})`,
      );
      const create = `CREATE OR REPLACE TABLE "${name}" (${types.join(", ")})`;
      return rows.length === 0 ? [create] : [create, `INSERT INTO "${name}" VALUES ${values.join(", ")}`];
    });
  } catch {
    return null;
  }
}

function valueTypeOf({ type }: TableCase["columns"][number]) {
  return type.kind === "dictionary" ? type.value : type;
}

/** A DuckDB value in the form of the twins' values. */
function plain(value: DuckDBValue, isFloat: boolean): Value {
  // As integers of up to 32 bits come from there.
  if (typeof value === "number" && !isFloat) return BigInt(value);
  if (value === null || ["boolean", "string", "bigint", "number"].includes(typeof value))
    return value as Value;
  if (typeof value === "object" && "items" in value)
    return listValue((value.items as DuckDBValue[]).map((item) => plain(item, isFloat)));
  if (typeof value === "object" && "scale" in value) return (value as { value: bigint }).value;
  throw new TypeError(`no plain form of ${String(value)}`);
}

/** Rows in an order in which equal ones stand at equal places. */
function sorted(rows: readonly (readonly Value[])[]): (readonly Value[])[] {
  const rank = (value: Value) => (typeof value === "number" ? (value + 0).toPrecision(6) : String(value));
  return rows
    .map((row) => ({ row, key: row.map(rank).join("|") }))
    .sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)))
    .map(({ row }) => row);
}

function compare(
  ours: readonly (readonly Value[])[],
  theirs: readonly (readonly Value[])[],
  question: string,
): void {
  const at = ours.findIndex(
    (row, index) =>
      theirs[index] === undefined || !row.every((value, column) => same(value, theirs[index]![column]!)),
  );
  if (at < 0 && ours.length === theirs.length) return;
  const show = (row: readonly Value[] | undefined) => row?.map(String).join(" | ").slice(0, 1000);
  const where = at < 0 ? ours.length : at;
  throw new Disagreement(
    `DuckDB gives ${theirs.length} rows, we ${ours.length}; row ${where}\nours   ${show(ours[where])}\ntheirs ${show(theirs[where])}\n${question}`,
  );
}

function same(ours: Value, theirs: Value): boolean {
  if (typeof ours === "number" && typeof theirs === "number") {
    if (Object.is(ours, theirs) || ours === theirs) return true;
    return Math.abs(ours - theirs) <= CLOSE * Math.max(Math.abs(ours), Math.abs(theirs));
  }
  return ours === theirs;
}
