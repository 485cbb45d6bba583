// Every case at a smoke size, through the same race, verification and report as the real thing, in one process.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import picocolors from "picocolors";
import { afterAll, describe, expect, test } from "vitest";
import { openFixture } from "../../fixtures/catalog.js";
import { benchReport, exitCode, select } from "../command/bench.js";
import type { SelectedCase } from "../command/measured-case.js";
import { benchOptions } from "../command/options.js";
import { inProcess } from "../command/workshop.js";
import type { ResultRow } from "../report/report.js";
import { reportText } from "../report/table.js";
import { isLimited } from "./case.js";
import { ALL_CASES, caseName, SUITES } from "./index.js";

const ROWS = 2000;
/** A runner may ask for colours; what is matched has none. */
const plain = picocolors.createColors(false);
const folder = mkdtempSync(join(tmpdir(), "millrace-bench-test-"));
const silent = { show() {}, clear() {} };

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A dictionary of a million texts takes seconds to make: fewer groups, as many to the rows as there are. */
function atSmokeSize(selected: readonly SelectedCase[]): SelectedCase[] {
  return selected.map(({ of, ...rest }) => {
    const inputs = Object.entries(of.inputs).map(([name, input]) => {
      const k = Math.min(input.options?.k ?? 100, ROWS / 4);
      return [name, input.options?.k === undefined ? input : { ...input, options: { ...input.options, k } }];
    });
    return { ...rest, of: { ...of, inputs: Object.fromEntries(inputs) } };
  });
}

function figures(row: ResultRow | undefined) {
  return { verified: row?.verified, verifiedBy: row?.verifiedBy, error: row?.error, rows: row?.rows };
}

/** Nexmark asks about one auction in 123, and three events in 50 are auctions. */
function smokeRows(name: string): number {
  return name.startsWith("nexmark/") ? 5 * ROWS : ROWS;
}

function caseNamed(name: string) {
  return ALL_CASES.find((candidate) => caseName(candidate) === name)!;
}

/** Rows of a case's inputs together. */
async function inputRows(name: string): Promise<number> {
  const of = ALL_CASES.find((candidate) => caseName(candidate) === name)!;
  const rows = smokeRows(name);
  const fixtures = Object.values(of.inputs).map(({ fixture }) => openFixture(fixture, { rows }));
  return (await Promise.all(fixtures)).reduce((sum, { rows }) => sum + rows, 0);
}

const QUERIES = ALL_CASES.filter((of) => of.kernel === undefined && !of.latency);

describe.each(QUERIES.map(caseName))("%s", (name) => {
  test("both modes agree with the loop and the twin, bit for bit with each other", async () => {
    const options = benchOptions({ rows: String(smokeRows(name)), peers: "js", runs: 1 });
    const report = await benchReport(
      atSmokeSize(select([name], options)),
      options,
      inProcess(folder),
      silent,
    );
    const [batch, stream, js] = report.results;
    const rows = await inputRows(name);
    const of = caseNamed(name);
    const hasLoop = of.javascript !== undefined;
    const loopRaces = hasLoop && !isLimited(of);
    const verifiedBy = loopRaces ? ["js", "twin"] : ["twin"];
    const expected = { verified: true, verifiedBy, error: undefined, rows };
    expect(figures(batch)).toEqual(expected);
    expect(figures(stream)).toEqual(expected);
    if (loopRaces) expect(figures(js)).toEqual({ ...expected, verifiedBy: ["millrace", "twin"] });
    else if (hasLoop) expect(js).toBe(undefined);
    else expect(js).toMatchObject({ unavailable: true, error: expect.stringMatching(/no loop/) });
    expect(stream!.checksum).toBe(batch!.checksum);
    expect(batch!.outputRows).toBeGreaterThan(1);
    expect(exitCode(report, { failBelow: null })).toBe(0);
    if (loopRaces) expect(exitCode(report, { failBelow: 1e9 })).toBe(3);
  });

  test("has a form for every peer", () => {
    const of = caseNamed(name);
    expect(of.sql).toMatch(/select/i);
    // Overlapping windows are not put to Polars: its binding has no way to ask for them in one query. Nor are Nexmark
    // and the scenarios of a Double 11 beyond gmv.
    const sqlOnly = of.suite === "nexmark" || (of.suite === "double11" && of.name !== "gmv");
    if (!sqlOnly && !["windows/hop-100", "windows/cumulate", "windows/session"].includes(name))
      expect(of.polars).toBeTypeOf("function");
    for (const input of Object.keys(of.inputs)) expect(of.sql).toMatch(new RegExp(`\\b${input}\\b`));
  });
});

describe.each(ALL_CASES.filter((of) => of.kernel !== undefined).map(caseName))("%s", (name) => {
  test("the kernel agrees with the loop and the plan's twin", async () => {
    const options = benchOptions({ rows: String(ROWS), peers: "js", runs: 1 });
    const report = await benchReport(select([name], options), options, inProcess(folder), silent);
    const [kernel, js] = report.results;
    expect(report.results).toHaveLength(2);
    const expected = { verified: true, verifiedBy: ["js", "twin"], error: undefined, rows: ROWS };
    expect(figures(kernel)).toEqual(expected);
    expect(figures(js)).toEqual({ ...expected, verifiedBy: ["millrace", "twin"] });
    expect(kernel!.nsPerRow).toBeGreaterThan(0);
    expect(kernel!.bytesPerSec).toBeGreaterThan(0);
    expect(kernel!.readBytesPerSec).toBeGreaterThan(0);
    expect(kernel!.cacheBytesPerSec).toBeGreaterThan(0);
    expect(report.double11).toBe(null);
  });
});

describe.each(ALL_CASES.filter((of) => of.latency).map(caseName))("%s", (name) => {
  test("rows pushed one by one come to what the loop and the twin say; percentiles rise", async () => {
    const options = benchOptions({ rows: String(ROWS), runs: 1 });
    const report = await benchReport(select([name], options), options, inProcess(folder), silent);
    const [only] = report.results;
    expect(report.results).toHaveLength(1);
    expect(only).toMatchObject({ mode: "stream", verified: true, verifiedBy: ["twin"], rows: ROWS });
    expect(only!.rowsPerSec).toBe(undefined);
    const percentiles = [only!.p50Us!, only!.p99Us!, only!.p999Us!, only!.maxUs!];
    expect(percentiles[0]).toBeGreaterThan(0);
    expect([...percentiles].sort((a, b) => a - b)).toEqual(percentiles);
    expect(report.double11).toBe(null);
    expect(reportText(report, plain)).toMatch(
      new RegExp(`${name} +millrace( +[\\d.,]+){4}( +\\d+ %)? +twin`),
    );
  });
});

describe("the quick tour", () => {
  test("has cases of every suite, and DuckDB-Wasm and Arquero in one at least", () => {
    const tour = select([], benchOptions({}));
    expect(new Set(tour.map(({ of }) => of.suite))).toEqual(new Set(SUITES.map(({ name }) => name)));
    const needed = tour.filter(({ optional }) => !optional);
    expect(needed.map(({ of }) => of.suite)).toEqual(SUITES.map(({ name }) => name));
    expect(needed.length).toBeLessThan(tour.length);
    for (const peer of ["duckdb", "polars", "js"] as const) {
      expect(
        tour.every(
          ({ of, peers }) => of.kernel !== undefined || of.latency || isLimited(of) || peers.includes(peer),
        ),
      ).toBe(true);
    }
    for (const peer of ["duckdb-wasm", "arquero"] as const) {
      expect(tour.some(({ of, peers }) => peers.includes(peer) && (peer !== "arquero" || of.arquero))).toBe(
        true,
      );
    }
    const kernels = tour.filter(({ of }) => of.kernel !== undefined);
    expect(kernels.every(({ peers }) => peers.join() === "native")).toBe(true);
    expect(tour.every(({ rows }) => rows === 1_000_000)).toBe(true);
    expect(select(["quick"], benchOptions({}))).toEqual(tour);
  });

  test("has no variants: suite names leave them out, suite@variant takes them", () => {
    const names = (name: string) => select([name], benchOptions({})).map(({ of }) => of.name);
    expect(select([], benchOptions({})).some(({ of }) => of.variant !== undefined)).toBe(false);
    expect(names("groupby").some((name) => name.includes("@"))).toBe(false);
    expect(names("groupby@sorted")).toContain("q10@sorted");
    expect(names("groupby@sorted").every((name) => name.endsWith("@sorted"))).toBe(true);
  });

  test("named cases come at full size; names may repeat and overlap", () => {
    const chosen = select(["exact", "groupby/q1", "exact/few-exact"], benchOptions({}));
    expect(chosen.map(({ of }) => caseName(of))).toEqual([
      "groupby/q1",
      ...ALL_CASES.filter(({ suite }) => suite === "exact").map(caseName),
    ]);
    expect(chosen.every(({ rows }) => rows === 10_000_000)).toBe(true);
  });
});

test("workers are counted, and refused where there is nothing for them to do", async () => {
  const options = benchOptions({ rows: "500", peers: "none", runs: 1, workers: 2, mode: "both" });
  const chosen = select(["groupby/q1", "latency/push"], options);
  const report = await benchReport(chosen, options, inProcess(folder), silent);
  const [batch, stream, push] = report.results;
  expect(batch).toMatchObject({ mode: "batch", threads: 2, verified: true });
  expect(stream).toMatchObject({ mode: "stream", threads: 2, verified: true });
  expect(push).toMatchObject({ mode: "stream", threads: 2, verified: false, unavailable: true });
  expect(push!.error).toMatch(/a push runs on 1 thread/);
  expect(exitCode(report, { failBelow: null })).toBe(0);
});

test("DuckDB agrees with the scenarios that have no loop in JavaScript", async () => {
  const cases = ALL_CASES.filter((of) => of.kernel === undefined && of.javascript === undefined);
  expect(cases.length).toBeGreaterThan(7);
  const options = benchOptions({ rows: "3000", peers: "duckdb", runs: 1, mode: "batch" });
  for (const of of cases) {
    const report = await benchReport(select([caseName(of)], options), options, inProcess(folder), silent);
    expect(report.results.map((row) => [row.engine, row.error, row.verifiedBy])).toEqual([
      ["millrace", undefined, ["duckdb", "twin"]],
      ["duckdb", undefined, ["millrace", "twin"]],
    ]);
  }
});
