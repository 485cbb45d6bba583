import picocolors from "picocolors";
import { expect, test } from "vitest";
import type { Report, ResultRow } from "./report.js";
import { alignedTable, displayWidth, kernelTable, reportText, resultTable } from "./table.js";

const plain = picocolors.createColors(false);
const figures = { runs: 5, verified: true, verifiedBy: ["js"], rows: 1e6, threads: 1 } as const;
const ROWS: ResultRow[] = [
  {
    suite: "groupby",
    case: "q1",
    engine: "millrace",
    mode: "batch",
    ...figures,
    medianMs: 2,
    rowsPerSec: 5e8,
  },
  {
    suite: "groupby",
    case: "q1",
    engine: "duckdb",
    mode: "batch",
    ...figures,
    medianMs: 20.5,
    rowsPerSec: 4.9e7,
  },
  {
    ...{ suite: "groupby", case: "q1", engine: "polars", mode: "batch", rows: 1e6, threads: 1 },
    ...{ verified: false, verifiedBy: [], error: "nodejs-polars is not installed", unavailable: true },
  },
  {
    ...{ suite: "exact", case: "few-exact", engine: "millrace", mode: "stream", ...figures, medianMs: 1234 },
    ...{ rowsPerSec: 8.1e5, verified: false, error: "differs from js: v3" },
  },
] as ResultRow[];

const VERDICT_END =
  "7 TB/s, the peak's bytes, take 2,187.5 cores at the 3.20 GB/s that this question reads on one (25.0 bytes a record: the columns it asks for).";

test("columns line up, numbers to the right", () => {
  expect(resultTable(ROWS, plain)).toBe(
    [
      "case             engine    mode    threads  median ms  M rows/s  of fastest peer  verified by",
      "groupby/q1       millrace  batch         1       2.00       500            10.2x  js",
      "                 duckdb    batch         1      20.50      49.0            1.00x  js",
      "                 polars    batch         1          -                             nodejs-polars is not installed",
      "exact/few-exact  millrace  stream        1     failed                             differs from js: v3",
    ].join("\n"),
  );
});

test("sizes are named where there are several", () => {
  const rows = [1e6, 1e7].map((size) => ({ ...ROWS[0]!, size, rows: size }));
  expect(resultTable(rows, plain)).toMatch(
    /groupby\/q1 1,000,000 rows +millrace[\s\S]*groupby\/q1 10,000,000 rows +millrace/,
  );
});

test("a time that failed verification is not printed", () => {
  expect(resultTable(ROWS, plain)).not.toContain("1234");
});

test("single kernels have a table of their own", () => {
  const kernel = { suite: "micro", case: "filter", mode: "batch", ...figures, medianMs: 2 } as const;
  const rows: ResultRow[] = [
    {
      ...kernel,
      engine: "millrace",
      rowsPerSec: 5e8,
      nsPerRow: 2,
      bytesPerSec: 6e9,
      readBytesPerSec: 1.2e10,
      cacheBytesPerSec: 5e10,
    },
    { ...kernel, engine: "native", rowsPerSec: 6.25e8, nsPerRow: 1.6, bytesPerSec: 7.5e9 },
    { ...kernel, engine: "js", verified: false, error: "differs from native: v3" },
  ];
  expect(kernelTable(rows, plain)).toBe(
    [
      "kernel        engine    ns/row  GB/s  memory GB/s  cache GB/s  of fastest peer  verified by",
      "micro/filter  millrace    2.00  6.00        12.00       50.00            0.80x  js",
      "              native      1.60  7.50                                     1.00x  js",
      "              js        failed                                                  differs from native: v3",
    ].join("\n"),
  );
});

test("wide characters take two columns, colours none", () => {
  expect(displayWidth("北京 a")).toBe(6);
  const red = (text: string) => `<${text}>`;
  const rows = [
    [{ text: "北京", paint: red }, { text: "1" }],
    [{ text: "x" }, { text: "10" }],
  ];
  expect(alignedTable(rows, new Set([1]))).toBe("<北京>   1\nx     10");
});

test("a report ends with means, exactness and the Double 11 verdict", () => {
  const report: Report = {
    schema: "millrace-bench/1",
    machine: {
      ...{ cpu: "CPU", cores: 2, memoryGiB: 24, node: "20.20.2", millrace: "0.1.0" },
      ...{ platform: "linux-x64", date: "2026-11-11T00:00:00.000Z" },
    },
    options: {},
    results: ROWS,
    ratios: [
      { suite: "groupby", case: "geomean", mode: "batch", threads: 1, best: "fastest", ratio: 4.5, cases: 9 },
    ],
    exactness: [{ groups: "few", mode: "batch", timeRatio: 1.25 }],
    spilling: [{ case: "sort", mode: "batch", threads: 2, timeRatio: 2.8 }],
    overhead: { share: 0.0001234, largest: 0.0151, case: "groupby/q1", engine: "millrace" },
    double11: {
      ...{ recordsPerSec: 4e9, recordsPerSecPerCore: 2667, coresNeeded: 31.3, case: "double11/gmv" },
      ...{ mode: "stream", measuredPerSecPerCore: 128e6, machinePerSec: 256e6 },
      ...{ bytesPerSec: 7e12, measuredBytesPerSecPerCore: 3.2e9, coresNeededForBytes: 2187.5 },
    },
  };
  const text = reportText(report, plain);
  expect(text).toContain("Millrace 0.1.0 on CPU, 2 cores, Node 20.20.2");
  expect(text).toContain("groupby, batch, 1 thread: 4.50x the fastest peer (geometric mean of 9 cases)");
  expect(text).toContain("exact float sums, few groups, batch: 1.25x the time of plain ones");
  expect(text).toContain("spill/sort, batch, 2 threads: 2.80x the time that it takes with all of the memory");
  expect(text).toContain(
    "the bench's own part of the times (its clock, taking results over): 0.012 %, and 1.5 % at most (groupby/q1, millrace)",
  );
  expect(text).toContain("128 million records/s on one core");
  expect(text).toContain("4e9 records/s take 31.3 cores like this one");
  expect(text.trimEnd().endsWith(VERDICT_END)).toBe(true);
  expect(text).toContain("One core carries 3.2 %; the 2 of this machine, scaling evenly, 6.4 %");
});
