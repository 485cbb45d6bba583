import picocolors from "picocolors";
import { describe, expect, test } from "vitest";
import { comparisonText } from "../command/compare.js";
import { compareReports } from "./changes.js";
import type { Report, ResultRow } from "./report.js";

function row(over: Partial<ResultRow>): ResultRow {
  const base = { suite: "groupby", case: "q1", mode: "batch", threads: 1, rows: 1e6, build: "simd" } as const;
  const figures = { runs: 9, medianMs: 10, deviationMs: 0.1, verified: true, verifiedBy: ["js"] } as const;
  const speed = over.rowsPerSec ?? 100e6;
  return { ...base, engine: "millrace", ...figures, rowsPerSec: speed, rowsPerSecPerCore: speed, ...over };
}

function report(...results: ResultRow[]): Report {
  const machine = {
    ...{ cpu: "CPU", cores: 2, memoryGiB: 24, node: "20.20.2", millrace: "0.1.0", platform: "linux-x64" },
    date: "2026-11-11T00:00:00.000Z",
  };
  const rest = { options: {}, ratios: [], exactness: [], double11: null };
  return { schema: "millrace-bench/1", machine, results, ...rest };
}

const duckdb = (rowsPerSec: number) => row({ engine: "duckdb", rowsPerSec });

function change(old: Report, ...news: Report[]) {
  const { changes } = compareReports(old, news);
  expect(changes).toHaveLength(1);
  return changes[0]!;
}

describe("a change", () => {
  test("is relative to the fastest common peer: a slower day is none", () => {
    const old = report(row({}), duckdb(50e6), row({ engine: "js", rowsPerSec: 60e6, verified: false }));
    const half = change(old, report(row({ rowsPerSec: 50e6 }), duckdb(25e6)));
    expect(half).toMatchObject({ kind: "noise", ratio: 1, peer: "duckdb" });
    expect(change(old, report(row({ rowsPerSec: 50e6 }), duckdb(50e6)))).toMatchObject({
      kind: "suspected",
      ratio: 0.5,
      noise: 0.05,
    });
  });

  test("without a common peer is one of rows a second", () => {
    const old = report(row({}), duckdb(50e6));
    expect(change(old, report(row({ rowsPerSec: 130e6 })))).toMatchObject({
      kind: "gain",
      ratio: 1.3,
      peer: null,
    });
  });

  test("below 5 %, or within what the runs' spread explains, is noise", () => {
    expect(change(report(row({})), report(row({ rowsPerSec: 96e6 }))).kind).toBe("noise");
    const restless = row({ rowsPerSec: 80e6, deviationMs: 2 });
    const seen = change(report(row({})), report(restless));
    expect(seen.kind).toBe("noise");
    expect(seen.noise).toBeGreaterThan(0.3);
    // Older reports keep the range only.
    const { deviationMs: _, ...older } = row({ rowsPerSec: 80e6, minMs: 8, maxMs: 12 });
    expect(change(report(row({})), report(older)).kind).toBe("noise");
  });

  test("is a regression once a second measurement shows it too, and noise when that does not", () => {
    const slow = report(row({ rowsPerSec: 70e6 }));
    expect(change(report(row({})), slow).kind).toBe("suspected");
    expect(change(report(row({})), slow, slow).kind).toBe("regression");
    expect(change(report(row({})), slow, report(row({ rowsPerSec: 99e6 }))).kind).toBe("noise");
  });

  test("to a result that is not verified is none of speed", () => {
    expect(change(report(row({})), report(row({ verified: false, error: "differs" }))).kind).toBe("broken");
  });

  test("needs the same size, mode, threads and build", () => {
    const old = report(row({}), row({ mode: "stream" }));
    const others = [row({ rows: 2e6 }), row({ threads: 2 }), row({ build: "scalar" })];
    const { changes, missing } = compareReports(old, [report(...others)]);
    expect(changes).toEqual([]);
    expect(missing).toEqual(["groupby/q1 batch", "groupby/q1 stream"]);
  });
});

describe("the text", () => {
  const plain = picocolors.createColors(false);
  const text = (old: Report, ...news: Report[]) =>
    comparisonText(old, news, compareReports(old, news), ["old.json", "new.json"], plain);

  test("lists what is outside the noise, and how to confirm it", () => {
    const old = report(row({}), row({ case: "q2" }), row({ case: "q3" }));
    const now = report(
      row({ rowsPerSec: 70e6 }),
      row({ case: "q2", rowsPerSec: 150e6 }),
      row({ case: "q3" }),
    );
    const lines = text(old, now).split("\n");
    expect(lines).toContain(
      "groupby/q1 batch              100   70.0   0.70x    5 %  itself       suspected regression",
    );
    expect(lines).toContain("groupby/q2 batch              100    150   1.50x    5 %  itself       gain");
    expect(lines).toContain("1 of 3 cases within the noise.");
    expect(lines).toContain("  millrace bench groupby/q1 --rows 1000000 --runs 15 --json again.json");
    expect(lines).toContain("  millrace compare old.json new.json again.json");
  });

  test("says when the machine is another one, and what is missing", () => {
    const now = report(row({}));
    const moved = { ...now, machine: { ...now.machine, cpu: "Other" } };
    expect(text(report(row({}), row({ case: "q9" })), moved)).toMatch(
      /Other machines .*\n\n1 of 1 cases within the noise.\n\nNot in the new report: groupby\/q9 batch\./,
    );
  });

  test("counts the ratios to the fastest peer that two runs agree on", () => {
    const ratio = { suite: "groupby", mode: "batch", threads: 1, best: "duckdb" } as const;
    const run = (...ratios: number[]): Report => {
      const of = ratios.map((value, index) => ({ ...ratio, case: `q${index + 1}`, ratio: value }));
      const mean = { ...ratio, case: "geomean", best: "fastest", ratio: 1, cases: 3 };
      return { ...report(row({})), ratios: [...of, mean] };
    };
    expect(text(run(2, 3, 4), run(2.09, 2.9, 5, 6))).toContain(
      "2 of 3 ratios to the fastest peer (66 %) agree within 5 %.",
    );
    expect(text(run(), run(1))).not.toContain("agree within");
  });
});
