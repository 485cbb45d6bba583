// The command as people start it: a process of its own, engines in child processes, JSON on disk.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";
import type { Report } from "../report/report.js";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const tsx = createRequire(import.meta.url).resolve("tsx/cli");
const folder = mkdtempSync(join(tmpdir(), "millrace-command-test-"));

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Without colours, also where the runner of the tests asks for them. */
function commandEnvironment(): NodeJS.ProcessEnv {
  const { FORCE_COLOR: _, ...rest } = process.env;
  return { ...rest, MILLRACE_DATA: folder, NO_COLOR: "1" };
}

function millrace(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const env = commandEnvironment();
    execFile(process.execPath, [tsx, main, ...args], { env, cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test("a measured case: table on stdout, nothing on stderr, the report as JSON", async () => {
  const json = join(folder, "report.json");
  const flags = ["--rows", "20k", "--peers", "js", "--runs", "2", "--target", "1e6", "--json", json];
  const { code, stdout, stderr } = await millrace("bench", "groupby/int-sum", ...flags);
  expect(stderr).toBe("");
  expect(stdout).toMatch(/groupby\/int-sum +millrace +batch +1 +[\d.]+/);
  expect(stdout).toMatch(/Double 11 \(groupby\/int-sum, stream\)/);
  const report: Report = JSON.parse(readFileSync(json, "utf8"));
  expect(report.schema).toBe("millrace-bench/1");
  const engines = report.results.map(({ engine, mode, verified }) => [engine, mode, verified]);
  expect(engines).toEqual([
    ["millrace", "batch", true],
    ["millrace", "stream", true],
    ["js", "batch", true],
  ]);
  expect(report.ratios.map(({ case: name, mode }) => [name, mode])).toEqual([
    ["int-sum", "batch"],
    ["int-sum", "stream"],
    ["geomean", "batch"],
    ["geomean", "stream"],
  ]);
  expect(report.double11).toMatchObject({ recordsPerSec: 1e6, recordsPerSecPerCore: 2667 });
  for (const { timesMs, runs, overheadUs } of report.results) {
    expect(timesMs).toHaveLength(runs!);
    expect(overheadUs).toBeGreaterThan(0);
  }
  expect(report.overhead!.share).toBeLessThan(0.02);
  expect(report.overhead!.largest).toBeLessThan(0.02);
  expect(code).toBe(0);
}, 120_000);

test("two threads beside one: what they gain, and what they could read", async () => {
  const json = join(folder, "scaling.json");
  const flags = ["--rows", "20k", "--mode", "batch", "--workers", "1,2", "--peers", "none", "--json", json];
  const { code, stdout } = await millrace("bench", "groupby/int-sum", "--runs", "1", ...flags);
  expect(code).toBe(0);
  const { scaling, memory }: Report = JSON.parse(readFileSync(json, "utf8"));
  expect(scaling).toMatchObject([{ suite: "groupby", case: "int-sum", mode: "batch", threads: 2 }]);
  expect(memory!.map(({ threads }) => threads)).toEqual([1, 2]);
  for (const { bytesPerSec } of memory!) expect(bytesPerSec).toBeGreaterThan(1e8);
  expect(stdout).toMatch(/groupby, batch, 20,000 rows: 2 threads do [\d.]+ times as much as one\n/);
  expect(stdout).toMatch(
    /memory: one thread reads [\d.]+ GB\/s, 2 read [\d.]+ GB\/s, [\d.]+ times as much\n/,
  );
}, 120_000);

test("a missed target exits with 3, bad usage with 2", async () => {
  const flags = ["--rows", "2k", "--peers", "js", "--runs", "1", "--fail-below", "1000000"];
  const [missed, usage] = await Promise.all([
    millrace("bench", "groupby/int-sum", ...flags),
    millrace("bench", "nonsense"),
  ]);
  expect(missed.code).toBe(3);
  expect(usage).toMatchObject({ code: 2, stdout: "" });
  expect(usage.stderr).toMatch(/unknown suite or case "nonsense"/);
});

test.each([
  ["SIGINT", 7],
  ["SIGTERM", 8],
] as const)("%s ends the children and writes what is complete", async (signal, seed) => {
  const json = join(folder, `${signal}.json`);
  const args = ["bench", "groupby/int-sum", "groupby/q1", "--rows", "2k", "--peers", "js", "--json", json];
  // Data of its own, whose folder says that the command is at work; then a thousand runs.
  const env = commandEnvironment();
  const child = spawn(
    process.execPath,
    ["--import", "tsx", main, ...args, "--seed", `${seed}`, "--runs", "1000"],
    {
      env,
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  // Also where the test fails: a thousand runs would go on for long.
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  let stdout = "";
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  await vi.waitFor(
    () => expect(readdirSync(folder).some((name) => name.includes(`seed${seed}`))).toBe(true),
    60_000,
  );
  child.kill(signal);
  const code = await new Promise((resolve) => child.once("exit", resolve));
  expect(code).toBe(1);
  expect(stdout).toMatch(/Interrupted: the cases that were complete/);
  const report: Report = JSON.parse(readFileSync(json, "utf8"));
  expect(report.interrupted).toBe(true);
  expect(report.results.every(({ verified }) => verified)).toBe(true);
});
