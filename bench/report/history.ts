// Reports that are kept: a file a run, in folders by machine and version.

import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../command/usage.js";
import { readReport } from "./read-report.js";
import type { Report } from "./report.js";

/** Writes `FOLDER/MACHINE/VERSION/DATE.json`; answers the path. */
export async function saveReport(folder: string, report: Report): Promise<string> {
  const { cpu, cores, millrace, date } = report.machine;
  const place = join(folder, slug(`${cpu} ${cores} cores`), slug(millrace));
  await mkdir(place, { recursive: true });
  const path = join(place, `${date.slice(0, 19).replaceAll(":", "-")}.json`);
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
  return path;
}

/** All reports below a folder, by their dates. Throws UsageError when there is none, or a file is none. */
export async function readHistory(folder: string): Promise<Report[]> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".json"));
  if (names.length === 0)
    throw new UsageError(`${folder} has no reports: bench --save ${folder} keeps them there`);
  const reports = await Promise.all(names.sort().map((name) => readReport(join(folder, name))));
  return reports.sort((a, b) => (a.machine.date < b.machine.date ? -1 : 1));
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, "-")
    .replace(/^-|-$/g, "");
}
