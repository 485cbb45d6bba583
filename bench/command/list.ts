// `bench --list`: the suites and their cases, a line each.

import picocolors from "picocolors";
import { alignedTable } from "../report/table.js";
import { ALL_CASES, caseName, casesNamed, SUITES } from "../suite/index.js";

type Colours = ReturnType<typeof picocolors.createColors>;

/** All suites, or the cases that `names` choose. Throws UsageError on unknown names. */
export function listText(names: readonly string[], colours: Colours = picocolors): string {
  const chosen = new Set(names.length === 0 ? ALL_CASES : casesNamed(names));
  const lines = SUITES.flatMap((suite) => {
    const cases = suite.cases.filter((of) => chosen.has(of));
    if (cases.length === 0) return [];
    return [
      [{ text: suite.name, paint: colours.bold }, { text: suite.title }],
      ...cases.map((of) => [{ text: `  ${caseName(of)}`, paint: colours.cyan }, { text: of.question }]),
    ];
  });
  return `${alignedTable(lines, new Set())}\n`;
}
