// DuckDB-Wasm: the same engine compiled to WebAssembly, on Node's main thread (its blocking edition).
//
// Data goes in as an Arrow IPC stream; dictionary-coded texts arrive as VARCHAR and are cast to ENUMs.

import { createRequire } from "node:module";
import { dirname } from "node:path";
import { type Table, tableToIPC } from "apache-arrow";
import { arrowTables, inputRows, scanBytes } from "../input/load.js";
import { type PlainTable, plainTable } from "../input/plain-table.js";
import type { RawColumn, RawResult } from "../result/canonical.js";
import { resultCast } from "./duckdb.js";
import { type Engine, importPeer, timed, UnavailableError } from "./engine.js";
import { enumName, quoted } from "./sql-types.js";

interface Connection {
  insertArrowFromIPCStream(bytes: Uint8Array, options: { name: string; create: boolean }): void;
  query(sql: string): { numRows: number; getChild(name: string): ArrayLike<unknown> & Iterable<unknown> };
  close(): void;
}

export const duckdbWasm: Engine = {
  name: "duckdb-wasm",
  parallel: false,
  async open(of, files) {
    const { sql } = of;
    if (sql === undefined) throw new UnavailableError("DuckDB-Wasm has no form of a single kernel");
    const require = createRequire(import.meta.url);
    const api = await importPeer(() => import("@duckdb/duckdb-wasm/blocking"), "@duckdb/duckdb-wasm");
    const folder = dirname(require.resolve("@duckdb/duckdb-wasm/dist/duckdb-eh.wasm"));
    const module = (name: string) => ({ mainModule: `${folder}/duckdb-${name}.wasm`, mainWorker: "" });
    const database = await api.createDuckDB(
      { mvp: module("mvp"), eh: module("eh") },
      new api.VoidLogger(),
      api.NODE_RUNTIME,
    );
    await database.instantiate(() => {});
    const connection = database.connect() as unknown as Connection;
    const tables = arrowTables(of, files);
    for (const [name, table] of Object.entries(tables)) loadTable(connection, name, table, plainTable(table));
    return {
      version: database.getVersion().replace(/^v/, ""),
      threads: Number(firstValue(connection, "SELECT current_setting('threads')::INTEGER AS value")),
      inputRows: inputRows(tables),
      inputBytes: scanBytes(tables),
      async run() {
        const { ms } = await timed(() => connection.query(`CREATE OR REPLACE TEMP TABLE ans AS ${sql}`));
        return {
          ms,
          outputRows: Number(firstValue(connection, "SELECT count(*)::INTEGER AS value FROM ans")),
        };
      },
      async result(): Promise<RawResult> {
        const casts = of.output.map((output) => `${resultCast(output)} AS "${output.name}"`);
        const result = connection.query(`SELECT ${casts.join(", ")} FROM ans`);
        const columns: Record<string, RawColumn> = {};
        for (const { name, kind } of of.output) {
          const values = Array.from(result.getChild(name));
          const isList = kind === "list-of-float";
          // Items of a list are a vector of their own.
          const numbers = (list: unknown) => (list === null ? null : Array.from(list as Iterable<number>));
          columns[name] = { values: (isList ? values.map(numbers) : values) as never };
        }
        return { rows: result.numRows, columns };
      },
      async close() {
        connection.close();
      },
    };
  },
};

function loadTable(connection: Connection, name: string, table: Table, plain: PlainTable): void {
  connection.insertArrowFromIPCStream(tableToIPC(table, "stream"), { name: `${name}_text`, create: true });
  const coded = Object.values(plain.columns).filter((column) => column.coded);
  for (const column of coded) {
    const texts = column.dictionary!.map(quoted).join(", ");
    connection.query(`CREATE TYPE ${enumName(name, column)} AS ENUM (${texts})`);
  }
  const casts = coded.map((column) => `"${column.name}"::${enumName(name, column)} AS "${column.name}"`);
  const replaced = casts.length === 0 ? "" : ` REPLACE (${casts.join(", ")})`;
  connection.query(`CREATE TABLE ${name} AS SELECT *${replaced} FROM ${name}_text`);
  connection.query(`DROP TABLE ${name}_text`);
}

function firstValue(connection: Connection, sql: string): unknown {
  return Array.from(connection.query(sql).getChild("value"))[0];
}
