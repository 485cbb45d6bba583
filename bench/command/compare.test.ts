import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { compareCommand } from "./compare.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-compare-test-"));
const path = (name: string) => join(folder, `${name}.json`);

function write(name: string, over: object): void {
  const row = {
    ...{
      suite: "groupby",
      case: "q1",
      engine: "millrace",
      build: "simd",
      mode: "batch",
      threads: 1,
      rows: 1000,
    },
    ...{
      runs: 9,
      medianMs: 10,
      deviationMs: 0.1,
      rowsPerSec: 1e8,
      verified: true,
      verifiedBy: ["js"],
      ...over,
    },
  };
  const machine = { cpu: "CPU", node: "20.20.2", millrace: "0.1.0", date: "2026-11-11T00:00:00.000Z" };
  writeFileSync(
    path(name),
    JSON.stringify({ schema: "millrace-bench/1", machine, results: [row], ratios: [], exactness: [] }),
  );
}

beforeAll(() => {
  write("old", {});
  write("slow", { rowsPerSec: 6e7 });
  write("wrong", { verified: false });
  write("other", { case: "q2" });
  writeFileSync(path("cut"), JSON.stringify({ schema: "millrace-bench/1", results: [] }));
  return () => rmSync(folder, { recursive: true, force: true });
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function run(...names: string[]) {
  let said = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
  const code = await compareCommand(path(names[0]!), names.slice(1).map(path));
  return { code, said };
}

test("exits with 1 on a confirmed regression and on a result that is not verified, else with 0", async () => {
  expect(await run("old", "old")).toMatchObject({ code: 0 });
  const suspected = await run("old", "slow");
  expect(suspected.code).toBe(0);
  expect(suspected.said).toMatch(/suspected regression[\s\S]*measure again and compare/);
  const confirmed = await run("old", "slow", "slow");
  expect(confirmed.code).toBe(1);
  expect(confirmed.said).toMatch(/REGRESSION/);
  const wrong = await run("old", "wrong");
  expect(wrong).toMatchObject({ code: 1 });
  expect(wrong.said).toMatch(/NO LONGER VERIFIED/);
});

test("reports with nothing in common, and broken ones, are bad usage", async () => {
  await expect(run("old", "other")).rejects.toThrow(/no measured case of the same size in common/);
  await expect(run("old", "cut")).rejects.toThrow(/no whole report/);
});
