import { expect, test } from "vitest";
import { scalingLines, scalingOf } from "./scaling.js";
import { row } from "./testing-row.js";

test("several threads are held against one, of the same case, mode and size", () => {
  const results = [
    row({ timesMs: [10, 12] }),
    row({ threads: 2, timesMs: [9, 5] }),
    row({ case: "q2", rowsPerSec: 200 }),
    row({ case: "q2", rowsPerSec: 300, threads: 2 }),
    row({ case: "q2", rowsPerSec: 500, threads: 4 }),
    row({ case: "q2", mode: "stream", rowsPerSec: 900, threads: 2 }),
    row({ case: "q2", rows: 2000, rowsPerSec: 900, threads: 2 }),
    row({ case: "q3", threads: 2 }),
    row({ case: "q4" }),
    row({ case: "q4", threads: 2, verified: false }),
    row({ engine: "duckdb" }),
    row({ engine: "duckdb", threads: 2 }),
  ];
  const one = { suite: "groupby", mode: "batch", size: 900 };
  const scaling = scalingOf(results);
  expect(scaling).toEqual([
    { ...one, case: "q1", threads: 2, speedup: 2 },
    { ...one, case: "q2", threads: 2, speedup: 1.5 },
    { ...one, case: "q2", threads: 4, speedup: 2.5 },
  ]);
  const memory = [
    { threads: 1, bytesPerSec: 2e10 },
    { threads: 2, bytesPerSec: 3e10 },
    { threads: 4, bytesPerSec: 3.2e10 },
  ];
  expect(scalingLines(scaling, memory)).toEqual([
    "groupby, batch, 900 rows: 2 threads do 1.73 times as much as one, from 1.50 (q2) to 2.00 (q1)",
    "groupby, batch, 900 rows: 4 threads do 2.50 times as much as one",
    "memory: one thread reads 20.0 GB/s, 2 read 30.0 GB/s, 1.50 times as much; 4 read 32.0 GB/s, 1.60 times as much",
  ]);
  expect(scalingLines(scaling, [])).toHaveLength(2);
  expect(scalingLines([], memory)).toEqual([]);
});
