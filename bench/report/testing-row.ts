// A row of a report for tests, of a run that took ten milliseconds.

import type { ResultRow } from "./report.js";

export function row(over: Partial<ResultRow>): ResultRow {
  const base = { suite: "groupby", case: "q1", engine: "millrace", mode: "batch", threads: 1 } as const;
  const figures = { rows: 1000, size: 900, medianMs: 10, verified: true, verifiedBy: ["js"] };
  const rowsPerSec = over.rowsPerSec ?? 100;
  return { ...base, ...figures, rowsPerSec, rowsPerSecPerCore: rowsPerSec, ...over };
}
