// Fixtures as Arrow files on disk: generated once, then read by every engine's process.
//
// A file's name says everything that its bytes depend on, the generators' source text included, so that an
// edited generator never meets yesterday's data.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFile } from "../../bindings/ts/io/file.js";
import { ArgumentError } from "../../bindings/ts/type/error.js";
import { openFixture } from "../../fixtures/catalog.js";
import { FLIGHTS_ROWS } from "../../fixtures/flights.js";
import { UnavailableError } from "../engine/engine.js";

export interface DataFile {
  readonly path: string;
  readonly fixture: string;
}

export interface DataRequest {
  /** A name of fixtures/catalog.ts. */
  readonly fixture: string;
  readonly rows: number;
  readonly seed: number;
}

/** Rows that a fixture has when asked for `rows`: real data has no more than there are. */
export function fixtureRows(fixture: string, rows: number): number {
  return fixture === "flights" ? Math.min(rows, FLIGHTS_ROWS) : rows;
}

/** Where a request's file lies, whether or not it exists yet. */
export function dataFile({ fixture, rows, seed }: DataRequest, folder = dataFolder()): DataFile {
  const size = fixtureRows(fixture, rows);
  return { fixture, path: join(folder, `${fixture}-${size}-seed${seed}-${sourceDigest()}.arrow`) };
}

/** Generates the request's file unless it is there. */
export async function prepareDataFile(request: DataRequest, folder = dataFolder()): Promise<DataFile> {
  const file = dataFile(request, folder);
  if (existsSync(file.path)) return file;
  await mkdir(folder, { recursive: true });
  const rows = fixtureRows(request.fixture, request.rows);
  const fixture = await openFixture(request.fixture, { rows, seed: request.seed }).catch(unavailable);
  await writeFile(file.path, fixture.batches(), { schema: fixture.schema });
  return file;
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
