// Reports that were written earlier, read back from JSON.

import { readFile } from "node:fs/promises";
import { UsageError } from "../command/usage.js";
import type { Report } from "./report.js";

const SCHEMA = "millrace-bench/1";

/** Throws UsageError when the file is missing, is no JSON, or is not a report of this schema. */
export async function readReport(path: string): Promise<Report> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
  }
  let value: Partial<Report> | null;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} is no JSON: ${(error as Error).message}`);
  }
  const schema = (value as { schema?: unknown } | null)?.schema;
  if (schema !== SCHEMA) {
    const found = schema === undefined ? "no schema" : `the schema "${String(schema)}"`;
    throw new UsageError(`${path} has ${found}: this version reads "${SCHEMA}", as bench --json writes it`);
  }
  const isWhole = Array.isArray(value!.results) && typeof value!.machine === "object";
  if (!isWhole) throw new UsageError(`${path} is no whole report: it has no results or no machine`);
  return value as Report;
}
