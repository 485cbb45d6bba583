// Reports that were written earlier, read back from JSON.

import { readFile } from "node:fs/promises";
import { UsageError } from "../command/usage.js";
import type { Report } from "./report.js";

/** Throws UsageError when the file is missing, is no JSON, or is not a report of this schema. */
export function readReport(path: string): Promise<Report> {
  return readJson<Report>(path, "millrace-bench/1", "bench --json", [
    "results",
    "machine",
    "ratios",
    "exactness",
  ]);
}

/**
 * What `verb` wrote with this schema, with objects or lists under the names of `parts`.
 * @throws UsageError when the file is missing, is no JSON, of another schema, or not whole
 */
export async function readJson<T>(
  path: string,
  schema: string,
  verb: string,
  parts: readonly string[],
): Promise<T> {
  const value = await parsed(path);
  if (value?.schema !== schema) {
    const found = value?.schema === undefined ? "no schema" : `the schema "${String(value.schema)}"`;
    throw new UsageError(`${path} has ${found}: this version reads "${schema}", as ${verb} writes it`);
  }
  const missing = parts.find((part) => typeof value[part] !== "object" || value[part] === null);
  if (missing !== undefined) throw new UsageError(`${path} is no whole report: it has no ${missing}`);
  return value as T;
}

/** The schema that a file says it has; undefined when it says none. */
export async function schemaOf(path: string): Promise<unknown> {
  return (await parsed(path))?.schema;
}

async function parsed(path: string): Promise<Record<string, unknown> | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} is no JSON: ${(error as Error).message}`);
  }
}
