// Fixtures on disk: generated once, then read by every engine's process.
//
// An Arrow file a column, so that a case reads (and an engine's process holds) what its query needs and no more.
// The folder's name says everything that the bytes depend on, the generators' source text included, so that an
// edited generator never meets yesterday's data.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFile } from "../../bindings/ts/io/file.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import { ArgumentError } from "../../bindings/ts/type/error.js";
import { openFixture } from "../../fixtures/catalog.js";
import type { Fixture } from "../../fixtures/fixture.js";
import { FLIGHTS_ROWS } from "../../fixtures/flights.js";
import { UnavailableError } from "../engine/engine.js";
import type { DataOptions } from "../suite/case.js";

/** A fixture's folder: one file a column. */
export interface DataFolder {
  readonly path: string;
  readonly fixture: string;
}

export interface DataRequest {
  /** A name of fixtures/catalog.ts. */
  readonly fixture: string;
  readonly rows: number;
  readonly seed: number;
  readonly columns: readonly string[];
  /** Empty: the fixture as it comes. */
  readonly options: DataOptions;
}

/** Rows that a fixture has when asked for `rows`: real data has no more than there are. */
export function fixtureRows(fixture: string, rows: number): number {
  return fixture === "flights" ? Math.min(rows, FLIGHTS_ROWS) : rows;
}

/** The file of one column. */
export function columnFile(folder: DataFolder, column: string): string {
  return join(folder.path, `${column}.arrow`);
}

/** The folder of a request, and the columns that are not in it yet. */
export function dataOnDisk(request: DataRequest, base = dataFolder()) {
  const { fixture, seed, columns, options } = request;
  const rows = fixtureRows(fixture, request.rows);
  const name = [fixture, rows, `seed${seed}`, ...optionTexts(options), sourceDigest()].join("-");
  const folder: DataFolder = { fixture, path: join(base, name) };
  return { folder, rows, missing: columns.filter((column) => !existsSync(columnFile(folder, column))) };
}

/** Generates the columns of a request that are not there yet, in a folder below `base`. */
export async function prepareData(request: DataRequest, base = dataFolder()): Promise<DataFolder> {
  const { fixture, seed, options } = request;
  const { folder, rows, missing } = dataOnDisk(request, base);
  if (missing.length === 0) return folder;
  await mkdir(folder.path, { recursive: true });
  const open = (only: readonly string[]) =>
    openFixture(fixture, { ...options, rows, seed, columns: only }).catch(unavailable);
  // Real data is loaded whole, so once for all columns; generators make a column at a time.
  const loaded = fixture === "flights" ? await open(missing) : null;
  for (const column of missing) {
    await writeColumn(loaded ?? (await open([column])), column, columnFile(folder, column));
  }
  return folder;
}

function optionTexts(options: DataOptions): string[] {
  return Object.entries(options).map(([name, value]) => (value === true ? name : `${name}${value}`));
}

async function writeColumn(fixture: Fixture, column: string, path: string): Promise<void> {
  const index = fixture.schema.fields.findIndex(({ name }) => name === column);
  const schema = { fields: [fixture.schema.fields[index]!] };
  function* batches(): Generator<BatchData> {
    for (const { length, columns } of fixture.batches()) yield { schema, length, columns: [columns[index]!] };
  }
  await writeFile(path, batches(), { schema });
}

/** Real data comes with packages that may not be there, which is no defect. */
function unavailable(error: unknown): never {
  throw error instanceof ArgumentError ? new UnavailableError(error.message) : error;
}

/** `data/bench` of a checkout; a folder of the user's among the temporary files for an installed package. */
export function dataFolder(): string {
  const chosen = process.env.MILLRACE_DATA;
  if (chosen !== undefined && chosen !== "") return chosen;
  const root = checkoutRoot();
  return root === null
    ? join(tmpdir(), `millrace-bench-${userInfo().username}`)
    : join(root, "data", "bench");
}

/** The root of the checkout that this file runs in; null in an installed package. */
export function checkoutRoot(): string | null {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    if (existsSync(join(folder, "package.json"))) {
      return existsSync(join(folder, "bench", "main.ts")) ? folder : null;
    }
    if (dirname(folder) === folder) return null;
    folder = dirname(folder);
  }
}

let digest: string | null = null;

function sourceDigest(): string {
  if (digest !== null) return digest;
  const hash = createHash("sha256");
  const here = fileURLToPath(import.meta.url);
  const folder = join(dirname(here), "..", "..", "fixtures");
  const isSource = (name: string) => extname(name) === extname(here) && !/\.(test|d)\./.test(name);
  for (const name of readdirSync(folder).filter(isSource).sort()) {
    hash.update(name).update(readFileSync(join(folder, name)));
  }
  digest = hash.digest("hex").slice(0, 8);
  return digest;
}
