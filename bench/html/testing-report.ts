// Reports and profiles for tests of what is drawn of them: a small one with something for every section, and one as large
// as they get.

import type { EngineName } from "../engine/engine.js";
import type { ProfileReport } from "../profile/profile.js";
import { QUIET_OPERATOR } from "../profile/testing-profile.js";
import {
  caseRatios,
  double11Verdict,
  geometricMeans,
  type Report,
  type ResultRow,
} from "../report/report.js";
import { ALL_CASES } from "../suite/index.js";

const ROOFS = { readBytesPerSec: 2e10, cacheBytesPerSec: 6e10 };

export function sampleRow(over: Partial<ResultRow>): ResultRow {
  const rowsPerSec = over.rowsPerSec ?? 1e8;
  return {
    suite: "groupby",
    case: "q1",
    engine: "millrace",
    engineVersion: "0.1.0",
    mode: "batch",
    threads: 1,
    rows: 1e6,
    size: 1e6,
    runs: 5,
    coldMs: 30,
    medianMs: 1e9 / rowsPerSec,
    minMs: 0.9e9 / rowsPerSec,
    maxMs: 1.2e9 / rowsPerSec,
    timesMs: Array.from({ length: 25 }, (_, run) => Math.round(((run + 20) * 4e10) / rowsPerSec) / 1000),
    rowsPerSec,
    rowsPerSecPerCore: rowsPerSec,
    bytesPerRecord: 12,
    peakRssMiB: 200,
    verified: true,
    verifiedBy: ["js", "twin"],
    ...over,
  };
}

/** A report with something for every section. */
export function sampleReport(over: Partial<Report> = {}): Report {
  const results = [
    sampleRow({}),
    sampleRow({ mode: "stream", rowsPerSec: 9e7 }),
    sampleRow({ engine: "duckdb", rowsPerSec: 4e7 }),
    sampleRow({ engine: "polars", verified: false, verifiedBy: [], error: "differs from <millrace> & 'co'" }),
    sampleRow({ threads: 2, rowsPerSec: 1.8e8 }),
    sampleRow({ rows: 1e7, size: 1e7, rowsPerSec: 1.1e8 }),
    sampleRow({ rows: 1e7, size: 1e7, engine: "duckdb", rowsPerSec: 5e7 }),
    sampleRow({ suite: "double11", case: "gmv", mode: "stream", rowsPerSec: 5e7 }),
    sampleRow({ suite: "micro", case: "sum-int", nsPerRow: 0.3, bytesPerSec: 1.3e10, ...ROOFS }),
    sampleRow({ suite: "micro", case: "sum-int", engine: "native", nsPerRow: 0.2, bytesPerSec: 1.5e10 }),
    {
      ...sampleRow({ suite: "latency", case: "push" }),
      p50Us: 20,
      p99Us: 70,
      p999Us: 90,
      maxUs: 300,
    } as ResultRow,
    sampleRow({ engine: "arquero", verified: false, unavailable: true, error: "arquero is not installed" }),
  ];
  const ratios = caseRatios(results);
  return {
    schema: "millrace-bench/1",
    machine: {
      cpu: 'Xeon "<7>"',
      cores: 2,
      memoryGiB: 24,
      node: "20.20.2",
      millrace: "0.1.0",
      platform: "linux-x64",
      date: "2026-11-26T04:00:00.000Z",
    },
    options: { workers: [1], seed: 42, target: null },
    results,
    ratios: [...ratios, ...geometricMeans(ratios, ["groupby"])],
    exactness: [{ groups: "few", mode: "batch", timeRatio: 1.2 }],
    double11: double11Verdict(results, 2),
    ...over,
  };
}

const ENGINES: readonly EngineName[] = ["millrace", "duckdb", "polars", "duckdb-wasm", "arquero", "js"];

/** Every case by every engine at two sizes, Millrace in both modes: figures made up, but of every magnitude. */
export function fullReport(): Report {
  const results = [1e6, 1e7].flatMap((size) =>
    ALL_CASES.flatMap(({ suite, name }, index) =>
      ENGINES.flatMap((engine, place) => {
        const rowsPerSec = 1e5 * 1.37 ** ((7 * index + 5 * place) % 25);
        const made = sampleRow({ suite, case: name, engine, rows: size, size, rowsPerSec });
        return engine === "millrace" ? [made, { ...made, mode: "stream" as const }] : [made];
      }),
    ),
  );
  const ratios = caseRatios(results);
  return sampleReport({
    results,
    ratios: [...ratios, ...geometricMeans(ratios, ["groupby", "join"])],
    double11: double11Verdict(results, 2),
  });
}

export function sampleProfile(): ProfileReport {
  const leaf = {
    ...QUIET_OPERATOR,
    detail: "t: <a>",
    rowsIn: 10,
    rowsSelected: 10,
    rowsOut: 10,
    ms: 1,
  };
  const plan = {
    ...leaf,
    id: 1,
    name: "hash aggregate",
    ms: 7,
    groups: 1234,
    keyTier: "hash",
    inputs: [leaf],
  };
  const run = {
    mode: "batch" as const,
    rowsIn: 10,
    rowsOut: 10,
    wallMs: 10,
    kernelMs: 7,
    waitingMs: 1,
    typescriptMs: 2,
    plan,
    workers: [
      { morsels: 3, busyMs: 6 },
      { morsels: 2, busyMs: 5 },
    ],
    slices: [
      { operator: 1, worker: 0, call: "push" as const, start: 1, ms: 7, rows: 10 },
      { operator: 1, worker: 1, call: "push" as const, start: 2, ms: 5, rows: 0, piece: 1 },
    ],
    slicesDropped: 0,
  };
  const functions = [
    { name: "kernel/group/emit", kind: "kernel" as const, selfMs: 9, share: 0.9 },
    { name: "(idle)", kind: "waiting" as const, selfMs: 9, share: 0 },
  ];
  const mode = {
    mode: "batch" as const,
    runs: 5,
    medianMs: 9,
    minMs: 8,
    checksum: "x",
    run,
    sampledMs: 100,
    functions,
  };
  const { machine } = sampleReport();
  return {
    schema: "millrace-profile/1",
    machine,
    case: "groupby/q1",
    question: "sums",
    build: "debug",
    rows: 10,
    seed: 42,
    modes: [mode],
  };
}
