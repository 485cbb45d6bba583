// DuckDB, in process through its Node binding.
//
// Tables are filled through appender chunks, a vector's memory at a time (10 million rows of four columns in
// about two seconds); dictionary-coded texts become ENUMs, as someone tuning DuckDB would have it.
// A run is `CREATE TABLE AS`: the result lies complete in DuckDB's own memory. Where a case says what an engine may hold,
// tables lie in a file, and the result is taken over chunk by chunk.

import { rmSync } from "node:fs";
import { join } from "node:path";
import type { DuckDBConnection, DuckDBType } from "@duckdb/node-api";
import { arrowTables, inputRows, plainTables, scanBytes } from "../input/load.js";
import type { Numbers, PlainColumn, PlainTable } from "../input/plain-table.js";
import type { OutputColumn, RawColumn, RawResult } from "../result/canonical.js";
import { memoryLimit } from "../suite/case.js";
import { type Engine, importPeer, timed, UnavailableError } from "./engine.js";
import { spillFolder } from "./spill-folder.js";
import { columnDefinition, enumName, quoted } from "./sql-types.js";

type Api = typeof import("@duckdb/node-api");

export const duckdb: Engine = {
  name: "duckdb",
  parallel: true,
  async open(of, files, { threads }) {
    const { sql } = of;
    if (sql === undefined) throw new UnavailableError("DuckDB has no form of a single kernel");
    const api = await importPeer(() => import("@duckdb/node-api"), "@duckdb/node-api");
    const tables = arrowTables(of, files);
    const limit = memoryLimit(of, inputRows(tables));
    const folder = limit === null ? null : spillFolder();
    const place = folder === null ? ":memory:" : join(folder, "tables.duckdb");
    const instance = await api.DuckDBInstance.create(place, { threads: String(threads) });
    const connection = await instance.connect();
    for (const [name, table] of Object.entries(plainTables(tables))) {
      await loadTable(api, connection, name, table);
    }
    if (folder !== null) {
      await connection.run("CHECKPOINT");
      await connection.run(`SET temp_directory = '${join(folder, "spill")}'`);
      if (limit !== Infinity) await connection.run(`SET memory_limit = '${limit}B'`);
    }
    const create = () => connection.run(`CREATE OR REPLACE TEMP TABLE ans AS ${sql}`);
    const settings = await connection.runAndReadAll(
      "SELECT current_setting('threads')::INTEGER, library_version FROM pragma_version()",
    );
    const [verified, version] = settings.getRows()[0] as [number, string];
    return {
      version: version.replace(/^v/, ""),
      threads: verified,
      inputRows: inputRows(tables),
      inputBytes: scanBytes(tables),
      async run() {
        if (folder !== null) {
          const { ms, value } = await timed(() => rowsStreamed(connection, sql));
          return { ms, outputRows: value };
        }
        const { ms } = await timed(create);
        const count = await connection.runAndReadAll("SELECT count(*)::INTEGER FROM ans");
        return { ms, outputRows: count.getRows()[0]![0] as number };
      },
      async result() {
        if (folder !== null) await create();
        return readResult(connection, of.output);
      },
      async close() {
        connection.closeSync();
        instance.closeSync();
        if (folder !== null) rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};

/** Rows of a result, each of which has been handed over. */
async function rowsStreamed(connection: DuckDBConnection, sql: string): Promise<number> {
  const result = await connection.stream(sql);
  let rows = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return rows;
    rows += chunk.rowCount;
  }
}

async function loadTable(api: Api, connection: DuckDBConnection, name: string, table: PlainTable) {
  const columns = Object.values(table.columns);
  for (const column of columns) {
    if (!column.coded) continue;
    const texts = column.dictionary!.map(quoted).join(", ");
    await connection.run(`CREATE TYPE ${enumName(name, column)} AS ENUM (${texts})`);
  }
  await connection.run(
    `CREATE TABLE ${name} (${columns.map((column) => columnDefinition(name, column)).join(", ")})`,
  );
  const appender = await connection.createAppender(name);
  const types = columns.map((_, index) => appender.columnType(index));
  const size = 2048;
  let chunk = newChunk(api, types, columns, size);
  for (let start = 0; start < table.rows; start += size) {
    const rows = Math.min(size, table.rows - start);
    if (rows < size) chunk = newChunk(api, types, columns, rows);
    for (const fill of chunk.fills) fill(start, rows);
    appender.appendDataChunk(chunk.chunk);
  }
  appender.flushSync();
  appender.closeSync();
}

function newChunk(api: Api, types: readonly DuckDBType[], columns: readonly PlainColumn[], rows: number) {
  const chunk = api.DuckDBDataChunk.create(types, rows);
  const fills = columns.map((column, index) =>
    columnFill(column, chunk.getColumnVector(index) as unknown as WritableVector),
  );
  return { chunk, fills };
}

/** What DuckDBVector's classes have in common below their types: memory to fill and to hand over. */
interface WritableVector {
  readonly items?: Numbers;
  readonly dataView?: DataView;
  readonly validity: { setItemValid(row: number, valid: boolean): void };
  setItem(row: number, value: unknown): void;
  flush(): void;
}

function columnFill(column: PlainColumn, vector: WritableVector): (start: number, rows: number) => void {
  const items = vectorItems(column, vector);
  const { values, valid, dictionary, kind } = column;
  return (start, rows) => {
    if (items === null) {
      for (let row = 0; row < rows; row++) {
        const value = values[start + row]!;
        vector.setItem(row, kind === "bool" ? value !== 0 : dictionary![Number(value)]);
      }
    } else {
      items.set(values.subarray(start, start + rows) as never);
    }
    if (valid !== null) {
      for (let row = 0; row < rows; row++) vector.validity.setItemValid(row, valid[start + row] === 1);
    }
    vector.flush();
  };
}

/** The vector's memory as values of the column; null where values must go in one by one. */
function vectorItems(column: PlainColumn, vector: WritableVector): Numbers | null {
  if (column.kind === "bool" || (column.kind === "text" && !column.coded)) return null;
  if (vector.items !== undefined) return vector.items;
  const view = vector.dataView!;
  return new BigInt64Array(view.buffer, view.byteOffset, view.byteLength / 8);
}

async function readResult(
  connection: DuckDBConnection,
  outputs: readonly OutputColumn[],
): Promise<RawResult> {
  const casts = outputs.map((output) => `${resultCast(output)} AS "${output.name}"`);
  const result = await connection.run(`SELECT ${casts.join(", ")} FROM ans`);
  const chunks = await result.fetchAllChunks();
  const rows = chunks.reduce((sum, chunk) => sum + chunk.rowCount, 0);
  const columns: Record<string, RawColumn> = {};
  outputs.forEach((output, index) => {
    const values: (number | bigint | string | readonly number[] | null)[] = new Array(rows);
    const isList = output.kind === "list-of-float";
    let row = 0;
    for (const chunk of chunks) {
      const vector = chunk.getColumnVector(index);
      const { rowCount } = chunk;
      for (let at = 0; at < rowCount; at++) {
        const item = vector.getItem(at) as never;
        values[row++] = isList ? ((item as { items: number[] } | null)?.items ?? null) : item;
      }
    }
    columns[output.name] = { values };
  });
  return { rows, columns };
}

/** DuckDB's expression for a column in the form that canonical results want. */
export function resultCast({ name, kind }: OutputColumn): string {
  const column = `"${name}"`;
  if (kind === "int") return `${column}::BIGINT`;
  if (kind === "float") return `${column}::DOUBLE`;
  if (kind === "text") return `${column}::VARCHAR`;
  if (kind === "list-of-float") return `${column}::DOUBLE[]`;
  if (kind === "timestamp") return `epoch_us(${column}::TIMESTAMP)`;
  return `(${column} * ${10 ** kind.decimal})::BIGINT`;
}
