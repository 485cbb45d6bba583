import { describe, expect, test } from "vitest";
import { UnavailableError } from "../engine/engine.js";
import {
  caseRatios,
  double11Verdict,
  exactnessOf,
  geometricMeans,
  median,
  overheadOf,
  ratioTo,
  resultRow,
  spillingOf,
} from "./report.js";
import { row } from "./testing-row.js";

describe("ratios", () => {
  test("are to the fastest verified peer of the same case, size and threads", () => {
    const results = [
      row({ rowsPerSec: 300 }),
      row({ mode: "stream", rowsPerSec: 150 }),
      row({ engine: "duckdb", rowsPerSec: 50 }),
      row({ engine: "polars", rowsPerSec: 100 }),
      row({ engine: "js", rowsPerSec: 900, verified: false }),
      row({ engine: "duckdb", rowsPerSec: 800, threads: 2 }),
      row({ engine: "duckdb", rowsPerSec: 850, rows: 2000 }),
      row({ engine: "duckdb", rowsPerSec: 700, case: "q2" }),
    ];
    expect(caseRatios(results)).toEqual([
      { suite: "groupby", case: "q1", mode: "batch", threads: 1, size: 900, best: "polars", ratio: 3 },
      { suite: "groupby", case: "q1", mode: "stream", threads: 1, size: 900, best: "polars", ratio: 1.5 },
    ]);
  });

  test("are of the fastest quarter of the runs, which slow ones do not move", () => {
    const own = row({ rowsPerSec: 300, timesMs: [2, 5, 1, 9, 1, 2, 2, 7] });
    const peer = row({ engine: "duckdb", rowsPerSec: 100, timesMs: [30, 4, 40, 2, 90] });
    expect(caseRatios([own, peer])[0]!.ratio).toBe(3);
    // Reports from before each run's time was kept.
    expect(ratioTo(own, row({ engine: "duckdb", rowsPerSec: 150 }))).toBe(2);
  });

  test("leave out cases without a verified figure or a peer", () => {
    expect(caseRatios([row({})])).toEqual([]);
    expect(caseRatios([row({ verified: false }), row({ engine: "js" })])).toEqual([]);
  });

  test("average geometrically by suite, mode, threads and size", () => {
    const ratio = { suite: "groupby", mode: "batch", threads: 1, size: 1000, best: "duckdb" } as const;
    const means = geometricMeans(
      [
        { ...ratio, case: "q1", ratio: 2 },
        { ...ratio, case: "q2", ratio: 8 },
        { ...ratio, case: "q1", ratio: 3, mode: "stream" },
        { ...ratio, case: "q1", ratio: 7, size: 2000 },
        { ...ratio, case: "q1", ratio: 5, suite: "exact" },
        { ...ratio, case: "q1@nulls", ratio: 6 },
      ],
      ["groupby"],
    );
    expect(means).toEqual([
      { ...ratio, case: "geomean", best: "fastest", ratio: 4, cases: 2 },
      { ...ratio, case: "geomean", best: "fastest", ratio: 3, cases: 1, mode: "stream" },
      { ...ratio, case: "geomean", best: "fastest", ratio: 7, cases: 1, size: 2000 },
      { ...ratio, case: "geomean@nulls", best: "fastest", ratio: 6, cases: 1 },
    ]);
  });
});

test("medians of odd and even counts", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("exactness compares exact with plain sums of the same groups and mode", () => {
  const results = [
    row({ suite: "exact", case: "few-exact", medianMs: 30 }),
    row({ suite: "exact", case: "few-plain", medianMs: 20 }),
    row({ suite: "exact", case: "many-exact", medianMs: 30, mode: "stream" }),
    row({ suite: "exact", case: "many-plain", medianMs: 10 }),
  ];
  expect(exactnessOf(results)).toEqual([{ groups: "few", mode: "batch", timeRatio: 1.5 }]);
});

test("spilling compares a quarter of the memory with all of it, by as many threads", () => {
  const results = [
    row({ suite: "spill", case: "sort", medianMs: 45 }),
    row({ suite: "spill", case: "sort-in-memory", medianMs: 18 }),
    row({ suite: "spill", case: "sort", medianMs: 40, threads: 2 }),
    row({ suite: "spill", case: "distinct-keys", medianMs: 40 }),
  ];
  expect(spillingOf(results)).toEqual([{ case: "sort", mode: "batch", threads: 1, timeRatio: 2.5 }]);
});

test("overhead is the bench's share of all calls, and of the row with most of it", () => {
  const results = [
    row({ medianMs: 1, overheadUs: 10 }),
    row({ medianMs: 38, overheadUs: 9, engine: "duckdb" }),
    row({ suite: "latency", case: "push", medianMs: 600, p50Us: 1000, overheadUs: 1 }),
    row({ engine: "native" }),
  ];
  expect(overheadOf(results)).toEqual({
    ...{ share: 0.0005, largest: 0.01, case: "groupby/q1", engine: "millrace" },
  });
  expect(overheadOf([row({})])).toBe(null);
});

describe("Double 11", () => {
  const gmv = row({
    ...{ suite: "double11", case: "gmv", mode: "stream", rowsPerSec: 128e6, bytesPerRecord: 25 },
  });

  test("is judged by the gmv stream", () => {
    const faster = row({ mode: "stream", rowsPerSec: 500e6 });
    expect(double11Verdict([faster, gmv], 2)).toEqual({
      recordsPerSec: 4e9,
      recordsPerSecPerCore: 2667,
      coresNeeded: 31.3,
      case: "double11/gmv",
      mode: "stream",
      measuredPerSecPerCore: 128e6,
      machinePerSec: 256e6,
      bytesPerSec: 7e12,
      measuredBytesPerSecPerCore: 3.2e9,
      coresNeededForBytes: 2187.5,
    });
    expect(double11Verdict([row({})], 2)).toMatchObject({
      measuredBytesPerSecPerCore: null,
      coresNeededForBytes: null,
    });
    expect(double11Verdict([gmv], 2, 1.28e9)!.coresNeeded).toBe(10);
  });

  test("else by the slowest verified stream, else by the slowest batch", () => {
    const slow = row({ mode: "stream", rowsPerSec: 2e6 });
    const batch = row({ rowsPerSec: 1e6 });
    expect(double11Verdict([row({ mode: "stream", rowsPerSec: 3e6 }), slow, batch], 1)!.coresNeeded).toBe(
      2000,
    );
    expect(double11Verdict([batch], 1)).toMatchObject({ case: "groupby/q1", mode: "batch" });
    expect(double11Verdict([row({ verified: false })], 1)).toBeNull();
  });
});

describe("rows", () => {
  const size = { asked: 900, rows: 1, bytes: null };
  const of = { suite: "s", name: "c", output: [] } as never;
  const outcome = {
    contender: { spec: { engine: "millrace", options: { mode: "stream", threads: 1, build: "simd" } } },
    opened: { version: "1", threads: 1, inputRows: 1000, inputBytes: 8000 },
    coldMs: 9,
    runMs: [4, 2, 3],
    calls: [5, 8, 7],
    copyMs: [],
    readMs: [],
    cacheMs: [],
    outputRows: 5,
    peakRssMiB: 77,
    loadMs: 11.4,
    wallMs: 20.6,
    checked: { rows: 5, checksum: "ab", ownMs: 0.002 },
    error: null,
  } as never as Parameters<typeof resultRow>[1];

  test("carry the figures", () => {
    const verdict = { verified: true, verifiedBy: ["js"], mismatch: null };
    expect(resultRow(of, outcome, verdict, size)).toEqual({
      suite: "s",
      case: "c",
      engine: "millrace",
      engineVersion: "1",
      build: "simd",
      mode: "stream",
      threads: 1,
      rows: 1000,
      size: 900,
      bytesPerRecord: 8,
      runs: 3,
      coldMs: 9,
      medianMs: 3,
      minMs: 2,
      maxMs: 4,
      deviationMs: 1,
      timesMs: [4, 2, 3],
      callsPerRun: 7,
      overheadUs: 2,
      rowsPerSec: 333333,
      rowsPerSecPerCore: 333333,
      outputRows: 5,
      peakRssMiB: 77,
      loadMs: 11,
      wallMs: 21,
      checksum: "ab",
      verified: true,
      verifiedBy: ["js"],
    });
  });

  test("of a mismatch, a failure or other threads than asked for carry an error", () => {
    const mismatch = { verified: false, verifiedBy: [], mismatch: "differs from js: n" };
    expect(resultRow(of, outcome, mismatch, size)).toMatchObject({
      verified: false,
      error: "differs from js: n",
    });
    const failed = { ...outcome, opened: null, error: new UnavailableError("no luck") };
    expect(resultRow(of, failed, mismatch, { asked: 5, rows: 7, bytes: null })).toEqual({
      suite: "s",
      case: "c",
      engine: "millrace",
      build: "simd",
      mode: "stream",
      threads: 1,
      rows: 7,
      size: 5,
      verified: false,
      verifiedBy: [],
      error: "no luck",
      unavailable: true,
    });
    const threads = { ...outcome, opened: { ...outcome.opened!, threads: 4 } };
    const verified = { verified: true, verifiedBy: ["js"], mismatch: null };
    expect(resultRow(of, threads, verified, size)).toMatchObject({
      verified: false,
      error: "worked with 4 threads, not 1",
    });
  });
});
