// What a report says of the machine, and Millrace's own version.

import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Machine {
  readonly cpu: string;
  /** Threads that the system offers. */
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  readonly millrace: string;
  readonly platform: string;
  /** ISO 8601. */
  readonly date: string;
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    millrace: millraceVersion(),
    platform: `${process.platform}-${process.arch}`,
    date: new Date().toISOString(),
  };
}

/** The version in the package's own package.json, from source and from dist alike. */
export function millraceVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;
}
