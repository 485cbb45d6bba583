// `gen FIXTURE --rows N --seed S --out FILE`: generated data, streamed to a file a batch at a time.

import { performance } from "node:perf_hooks";
import { writeFile } from "../../bindings/ts/io/file.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import { ArgumentError } from "../../bindings/ts/type/error.js";
import { openFixture } from "../../fixtures/catalog.js";
import type { Fixture } from "../../fixtures/fixture.js";
import { parseRows } from "./rows.js";

/** Options as a command line gives them: texts or numbers. */
export interface GenOptions {
  /** A name of fixtures/catalog.ts. */
  readonly fixture: string;
  /** The file; its extension (.arrow, .arrows, .ndjson, .csv, .parquet) is the format. */
  readonly out: string;
  /** 1M by default; flights: all. For a join side the rows of the left side. */
  readonly rows?: string | number | undefined;
  readonly seed?: string | number | undefined;
  /** groupby: the number of groups, 100 by default. */
  readonly k?: string | number | undefined;
  /** groupby: percent of nulls. */
  readonly nulls?: string | number | undefined;
  readonly sorted?: boolean | undefined;
  /** `dictionary` or `utf8`. */
  readonly strings?: string | undefined;
  /** Names, perhaps separated by commas in one text. */
  readonly columns?: string | readonly string[] | undefined;
  /** Called after each batch with the rows written so far and in all. */
  readonly onProgress?: ((rows: number, total: number) => void) | undefined;
}

export interface GenResult {
  readonly fixture: string;
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly milliseconds: number;
}

/**
 * Generates a fixture into a file. A file of that name is replaced once the new one is complete.
 * Throws ArgumentError on an unknown fixture, option or extension.
 */
export async function gen(options: GenOptions): Promise<GenResult> {
  const started = performance.now();
  const fixture = await openFixture(options.fixture, {
    rows: options.rows === undefined ? undefined : parseRows(options.rows),
    seed: whole("--seed", options.seed),
    k: options.k === undefined ? undefined : parseRows(options.k, "--k"),
    nulls: percent(options.nulls),
    sorted: options.sorted || undefined,
    strings: stringForm(options.strings),
    columns: columnNames(options.columns),
  });
  const { rows, bytes } = await writeFile(options.out, batchesOf(fixture, options.onProgress), {
    schema: fixture.schema,
  });
  const milliseconds = performance.now() - started;
  return { fixture: fixture.name, path: options.out, rows, bytes, milliseconds };
}

function* batchesOf(
  fixture: Fixture,
  onProgress: GenOptions["onProgress"],
): Generator<BatchData, void, undefined> {
  let rows = 0;
  for (const batch of fixture.batches()) {
    yield batch;
    rows += batch.length;
    onProgress?.(rows, fixture.rows);
  }
}

function whole(option: string, text: string | number | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(String(text)) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) {
    throw new ArgumentError(`${option} must be a whole number from 0 to 2^53 - 1, not "${text}"`, {
      value: text,
    });
  }
  return value;
}

function percent(text: string | number | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+(\.\d+)?$/.test(String(text)) ? Number(text) : Number.NaN;
  if (!(value >= 0 && value <= 100)) {
    throw new ArgumentError(`--nulls must be a percentage from 0 to 100, not "${text}"`, { value: text });
  }
  return value;
}

function stringForm(text: string | undefined): "dictionary" | "utf8" | undefined {
  if (text === undefined || text === "dictionary" || text === "utf8") return text;
  throw new ArgumentError(`--strings must be dictionary or utf8, not "${text}"`, { value: text });
}

function columnNames(columns: string | readonly string[] | undefined): string[] | undefined {
  if (columns === undefined) return undefined;
  const texts = typeof columns === "string" ? [columns] : columns;
  return texts.flatMap((text) => text.split(",")).map((name) => name.trim());
}
