// What a small budget costs: questions of other suites with a quarter of the memory that Millrace would like for them, and
// with all of it.
//
// Input lies outside the engines, as Arrow in the host's memory or in a file of DuckDB's, and results leave them: what an
// engine may hold is for its work. It writes the rest to files. Only DuckDB can be held to a limit as well.

import type { BenchCase, Suite } from "./case.js";
import { distinctKeys } from "./groupby.js";
import { sortSuite } from "./sort.js";

/** Bytes a row that Millrace takes at most where it has all the memory: of 10 million rows 191 and 267 MB. */
const WANTED = { "distinct-keys": 19.1, sort: 26.7 } as const;
const SHARE = 0.25;
const IN_MEMORY = "-in-memory";

/** The case with all of the memory beside one with a quarter; null for the former. */
export function inMemoryName(name: string): string | null {
  return name.endsWith(IN_MEMORY) ? null : name + IN_MEMORY;
}

function spillCases(
  name: keyof typeof WANTED,
  of: BenchCase,
  quick?: BenchCase["quick"],
): readonly [BenchCase, BenchCase] {
  const { quick: _, ...asked } = of;
  return [
    {
      ...asked,
      suite: "spill",
      name,
      question: `${of.question}, with a quarter of the memory`,
      memoryARow: WANTED[name] * SHARE,
      ...(quick === undefined ? {} : { quick }),
    },
    {
      ...asked,
      suite: "spill",
      name: inMemoryName(name)!,
      question: `${of.question}, with all of it`,
      memoryARow: Infinity,
    },
  ];
}

const int64Key = sortSuite.cases.find(({ name }) => name === "int64")!;

export const spillSuite: Suite = {
  name: "spill",
  title: "with a quarter of the memory, and with all of it",
  cases: [...spillCases("distinct-keys", distinctKeys, "fast"), ...spillCases("sort", int64Key)],
};
