// DuckDB reads what is written here, and its files are read here: the formats are the formats.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { orders } from "../../../fixtures/orders.js";
import { readColumn, type Value } from "../../../twin/values.js";
import type { BatchData } from "../type/column.js";
import { decimal, type Schema } from "../type/data-type.js";
import { openFile, writeFile } from "./file.js";

let directory = "";
let duckdb: DuckDBConnection;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-duckdb-"));
  duckdb = await (await DuckDBInstance.create(":memory:")).connect();
});
afterAll(() => {
  duckdb.closeSync();
  rmSync(directory, { recursive: true });
});

async function query(sql: string): Promise<unknown[][]> {
  return (await duckdb.runAndReadAll(sql)).getRowsJson() as unknown[][];
}

const fixture = orders({ rows: 3000 });

/** Counts, sums and extremes as DuckDB and we can both compute them. */
function summary({ schema, batches }: { schema: Schema; batches: readonly BatchData[] }): string[] {
  const present = (name: string) => {
    const index = schema.fields.findIndex((field) => field.name === name);
    const values = batches.flatMap((batch) => readColumn(batch.columns[index]!));
    return values.filter((value): value is Exclude<Value, null> => value !== null);
  };
  const total = (name: string) => present(name).reduce((sum: bigint, value) => sum + (value as bigint), 0n);
  const time = schema.fields.find(({ name }) => name === "event_time")!.type;
  const perMs = time.kind === "timestamp" && time.unit === "us" ? 1000n : 1n;
  const fen = total("amount");
  return [
    String(present("event_id").length),
    String(total("order_id")),
    `${fen / 100n}.${String(fen % 100n).padStart(2, "0")}`,
    String(total("source_ip")),
    String(present("status").length),
    String(new Set(present("province")).size),
    String(present("province").reduce((sum: number, name) => sum + [...(name as string)].length, 0)),
    String(
      present("event_time").reduce((sum: bigint, t) => sum + (t as bigint) / perMs - 1605052800000n, 0n),
    ),
    String(Math.max(...present("amount_float").map(Number))),
  ];
}

const expected = summary({ schema: fixture.schema, batches: [...fixture.batches()] });

const SUMMARY = `select count(event_id)::varchar, sum(order_id)::varchar, sum(amount)::varchar,
  sum(source_ip)::varchar, count(status)::varchar, count(distinct province)::varchar, sum(length(province))::varchar,
  sum(epoch_ms(event_time) - 1605052800000)::varchar, max(amount_float)::varchar`;

test("Parquet", async () => {
  const path = join(directory, "orders.parquet");
  await writeFile(path, fixture.batches(1000));
  expect((await query(`${SUMMARY} from '${path}'`))[0]).toEqual(expected);
  const described = await query(`select column_name, column_type from (describe select * from '${path}')`);
  expect(Object.fromEntries(described as [string, string][])).toMatchObject({
    ...{ event_time: "TIMESTAMP", amount: "DECIMAL(18,2)", source_ip: "UINTEGER", seller_id: "INTEGER" },
    ...{ order_id: "BIGINT", province: "VARCHAR", amount_float: "DOUBLE" },
  });
});

test("CSV and NDJSON", async () => {
  const types = `{amount: 'DECIMAL(18,2)', event_time: 'TIMESTAMP'}`;
  const csv = join(directory, "orders.csv");
  await writeFile(csv, fixture.batches(1000));
  expect((await query(`${SUMMARY} from read_csv('${csv}', types = ${types})`))[0]).toEqual(expected);
  const ndjson = join(directory, "orders.ndjson");
  await writeFile(ndjson, fixture.batches(1000));
  const read = `(select * replace (amount::decimal(18,2) as amount, event_time::timestamp as event_time) from read_ndjson('${ndjson}'))`;
  expect((await query(`${SUMMARY} from ${read}`))[0]).toEqual(expected);
});

test.each([
  ["zstd.parquet", "(format parquet, compression zstd, row_group_size 2048)"],
  ["gzip.parquet", "(format parquet, compression gzip)"],
  ["snappy.parquet", "(format parquet, parquet_version v2)"],
  ["plain.csv", "(format csv)"],
  ["tabs.csv", "(format csv, force_quote *, delimiter '\t')"],
  ["lines.ndjson", "(format json)"],
])("DuckDB's %s", async (name, options) => {
  const source = join(directory, `${name}.source.parquet`);
  await writeFile(source, fixture.batches(1000));
  const path = join(directory, name);
  await duckdb.run(`copy (from '${source}') to '${path}' ${options}`);
  const read = await openFile(path, {
    ...(name.endsWith("parquet") ? {} : { types: { amount: decimal(18, 2) } }),
    delimiter: name === "tabs.csv" ? "\t" : ",",
    batchRows: 700,
  });
  const batches: BatchData[] = [];
  for await (const batch of read.batches()) batches.push(batch);
  expect(read.schema.fields.map((field) => field.name)).toEqual(
    fixture.schema.fields.map((field) => field.name),
  );
  expect(summary({ schema: read.schema, batches })).toEqual(expected);
});
