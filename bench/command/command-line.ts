// The command that makes a report again: what was asked for, as one would type it, without what is the default.

import type { BenchOptions } from "./options.js";
import { benchOptions } from "./options.js";

export function benchCommandLine(names: readonly string[], options: BenchOptions): string {
  const usual = benchOptions({});
  const { rows, modes, workers, build, peers, runs, budget, seed, target } = options;
  const given: [flag: string, value: unknown, byDefault: unknown][] = [
    ["rows", rows?.map(shortRows), usual.rows],
    ["mode", modes.length > 1 ? null : modes, null],
    ["workers", workers, usual.workers],
    ["build", build, usual.build],
    ["peers", peers?.length === 0 ? "none" : peers, usual.peers],
    ["runs", runs, usual.runs],
    ["budget", budget, usual.budget],
    // Always, as it chooses the data.
    ["seed", seed, null],
    ["target", target, usual.target],
  ];
  const flags = given
    .filter(([, value, byDefault]) => value != null && String(value) !== String(byDefault))
    .map(([flag, value]) => `--${flag} ${String(value)}`);
  return ["npx millrace bench", ...names, ...flags].join(" ");
}

/** 10M for 10000000. */
function shortRows(rows: number): string {
  for (const [suffix, factor] of [
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (rows % factor === 0) return `${rows / factor}${suffix}`;
  }
  return String(rows);
}
