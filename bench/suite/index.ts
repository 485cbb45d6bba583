// The suites, and how a command line names cases of them.

import { nearestNames } from "../../bindings/ts/type/error.js";
import { UsageError } from "../command/usage.js";
import type { BenchCase, Suite } from "./case.js";
import { double11Suite } from "./double11.js";
import { exactSuite } from "./exact.js";
import { flightsSuite } from "./flights.js";
import { groupbySuite } from "./groupby.js";
import { joinSuite } from "./join.js";
import { latencySuite } from "./latency.js";
import { microSuite } from "./micro.js";
import { nexmarkSuite } from "./nexmark.js";
import { sortSuite } from "./sort.js";
import { spillSuite } from "./spill.js";
import { windowsSuite } from "./windows.js";

export const SUITES: readonly Suite[] = [
  groupbySuite,
  joinSuite,
  sortSuite,
  windowsSuite,
  nexmarkSuite,
  flightsSuite,
  double11Suite,
  latencySuite,
  exactSuite,
  spillSuite,
  microSuite,
];

export const ALL_CASES: readonly BenchCase[] = SUITES.flatMap((suite) => suite.cases);

export function caseName(of: Pick<BenchCase, "suite" | "name">): string {
  return `${of.suite}/${of.name}`;
}

/** What a suite's name chooses: its cases without variants (`groupby`), or those of one (`groupby@nulls`). */
function groupName({ suite, variant }: BenchCase): string {
  return variant === undefined ? suite : `${suite}@${variant}`;
}

/**
 * The cases that `SUITE`, `SUITE@VARIANT`, `SUITE/CASE` or `SUITE/CASE@VARIANT` names, in suite order.
 * Throws UsageError on unknown names.
 */
export function casesNamed(names: readonly string[]): BenchCase[] {
  const chosen = new Set<BenchCase>();
  for (const name of names) {
    const found = ALL_CASES.filter((of) => groupName(of) === name || caseName(of) === name);
    if (found.length === 0) throw unknownName(name);
    for (const of of found) chosen.add(of);
  }
  return ALL_CASES.filter((of) => chosen.has(of));
}

function unknownName(name: string): UsageError {
  const known = [...new Set([...SUITES.map((suite) => suite.name), ...ALL_CASES.map(groupName)])];
  known.push(...ALL_CASES.map(caseName));
  const near = nearestNames(name, known);
  const hint =
    near.length > 0
      ? `did you mean ${near.join(" or ")}?`
      : `suites: ${known.slice(0, SUITES.length).join(", ")}`;
  return new UsageError(`unknown suite or case "${name}": ${hint}`);
}
