// Polars, through its Node binding: lazy queries on the in-memory engine.
//
// It reads the data file itself, dictionary-coded texts as categoricals. The number of its threads is fixed
// when the library loads (POLARS_MAX_THREADS, set for the child process) and verified by counting them.

import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import type Polars from "nodejs-polars";
import { columnFile } from "../input/data-file.js";
import { mapInputs } from "../input/load.js";
import type { OutputColumn, RawColumn } from "../result/canonical.js";
import { type Engine, importPeer, timed, UnavailableError } from "./engine.js";

type Frame = ReturnType<typeof Polars.DataFrame>;
type Series = ReturnType<Frame["getColumn"]>;

export const polars: Engine = {
  name: "polars",
  parallel: true,
  async open(of, files, { threads }) {
    const ask = of.polars;
    if (ask === undefined) throw new UnavailableError("this case has no form for Polars");
    process.env.POLARS_MAX_THREADS ??= String(threads);
    const { default: pl } = await importPeer(() => import("nodejs-polars"), "nodejs-polars");
    const tables = mapInputs(of, (name, columns) => {
      const read = (column: string) => pl.readIPC(readFileSync(columnFile(files[name]!, column)));
      return pl.DataFrame(columns.map((column) => read(column).getColumn(column))).rechunk();
    });
    const inputRows = Object.values(tables).reduce((sum, table) => sum + table.height, 0);
    const query = ask(pl, tables);
    let last: Frame | null = null;
    return {
      version: polarsVersion(pl.version),
      threads: poolThreads() ?? Number(process.env.POLARS_MAX_THREADS),
      inputRows,
      inputBytes: null,
      async run() {
        last = null;
        const { ms, value } = await timed(() => query.collectSync());
        last = value;
        return { ms, outputRows: value.height };
      },
      async result() {
        const frame = last ?? query.collectSync();
        const columns: Record<string, RawColumn> = {};
        for (const output of of.output)
          columns[output.name] = rawColumn(pl, frame.getColumn(output.name), output);
        return { rows: frame.height, columns };
      },
      async close() {},
    };
  },
};

function rawColumn(pl: typeof Polars, series: Series, { kind }: OutputColumn): RawColumn {
  const valid = series.nullCount() === 0 ? null : series.isNotNull().toArray().map(Number);
  if (kind === "text") return { values: series.cast(pl.Utf8).toArray(), valid };
  if (kind === "timestamp") {
    const micros = series.cast(pl.Datetime("us")).cast(pl.Int64);
    const values = micros.toArray().map((value: number | bigint | null) => value && BigInt(value));
    return { values, valid };
  }
  if (typeof kind === "object") {
    const scale = 10 ** kind.decimal;
    const values = series
      .cast(pl.Float64)
      .toArray()
      .map((value: number | null) => scaled(value, scale));
    return { values, valid };
  }
  if (kind === "list-of-float") {
    // Where there is nothing to list, its list is empty, and not null.
    const lists = series.toArray() as unknown as (number[] | null)[];
    return { values: lists.map((list) => (list === null || list.length === 0 ? null : list)) };
  }
  return { values: valid === null ? series.toTypedArray() : series.toArray(), valid };
}

function scaled(value: number | null, scale: number): number | null {
  return value === null ? null : Math.round(value * scale);
}

/** Threads of Polars' pool by the names that it gives them; null where the system does not list threads. */
function poolThreads(): number | null {
  try {
    const names = readdirSync("/proc/self/task").map((task) => {
      try {
        return readFileSync(`/proc/self/task/${task}/comm`, "utf8");
      } catch {
        return "";
      }
    });
    const pool = names.filter((name) => name.startsWith("polars")).length;
    return pool === 0 ? null : pool;
  } catch {
    return null;
  }
}

/** The binding's version with that of the Rust core it was built from, which only the library's text tells. */
function polarsVersion(binding: string): string {
  const core = coreVersion();
  return core === null ? binding : `${binding} (core ${core})`;
}

function coreVersion(): string | null {
  try {
    const require = createRequire(createRequire(import.meta.url).resolve("nodejs-polars"));
    const library = Object.keys(require.cache).find((path) => path.endsWith(".node"));
    return library === undefined ? null : textInFile(library, /polars-core-(\d+\.\d+\.\d+)/);
  } catch {
    return null;
  }
}

/** The first match of `pattern` in a file, read a piece at a time; null when there is none. */
function textInFile(path: string, pattern: RegExp): string | null {
  const file = openSync(path, "r");
  try {
    const piece = Buffer.alloc(1 << 22);
    // Pieces overlap by 64 bytes, more than a match is long.
    for (let at = 0; ; at += piece.length - 64) {
      const length = readSync(file, piece, 0, piece.length, at);
      const match = pattern.exec(piece.toString("latin1", 0, length));
      if (match !== null) return match[1]!;
      if (length < piece.length) return null;
    }
  } finally {
    closeSync(file);
  }
}
