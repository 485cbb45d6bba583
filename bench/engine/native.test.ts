// The C program against the kernels' own results, where there is a compiler.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { benchReport, select } from "../command/bench.js";
import { benchOptions } from "../command/options.js";
import { inProcess } from "../command/workshop.js";
import { caseName, casesNamed } from "../suite/index.js";
import { native } from "./native.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-native-test-"));
const silent = { show() {}, clear() {} };
// The program is compiled beside the data files.
process.env.MILLRACE_DATA = folder;
const hasCompiler = ["cc", "gcc", "clang"].some((name) => spawnSync(name, ["--version"]).status === 0);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function results(name: string, rows: number) {
  const options = benchOptions({ rows, peers: "native", runs: 1 });
  const report = await benchReport(select([name], options), options, inProcess(folder), silent);
  return report.results;
}

describe.runIf(hasCompiler)("in C", () => {
  const exact = casesNamed(["micro"])
    .map(caseName)
    .filter((name) => name !== "micro/byte-corr");

  test.each(exact)("%s has the kernel's result", { timeout: 60_000 }, async (name) => {
    const [kernel, peer] = await results(name, 5000);
    expect(kernel).toMatchObject({ engine: "millrace", verified: true, verifiedBy: ["native", "twin"] });
    expect(peer).toMatchObject({ engine: "native", verified: true, rows: 5000 });
    expect(peer!.checksum).toBe(kernel!.checksum);
  });

  // Of which the program knows no nulls, that groups of one row have, nor rounds it once.
  test("a correlation is the kernel's, to some digits", { timeout: 60_000 }, async () => {
    const [kernel, peer] = await results("micro/byte-corr", 200_000);
    expect(kernel).toMatchObject({ engine: "millrace", verified: true, verifiedBy: ["native", "js"] });
    expect(peer).toMatchObject({ engine: "native", verified: true, rows: 200_000, outputRows: 10_000 });
  });

  test("rows are set aside, and tables split", async () => {
    const [kernel, peer] = await results("micro/set-aside", 400_000);
    expect(peer!.error).toBe(undefined);
    expect(peer!.checksum).toBe(kernel!.checksum);
  });
});

test("a case without a C program is none of its", async () => {
  const [of] = casesNamed(["groupby/q1"]);
  await expect(native.open(of!, {}, { threads: 1, mode: "batch", build: "simd" })).rejects.toThrow(
    /no C program/,
  );
});

test.runIf(hasCompiler)("without a compiler the row says so", async () => {
  const path = process.env.PATH;
  process.env.PATH = folder;
  try {
    const [of] = casesNamed(["micro/sum-int"]);
    const opened = native.open(of!, {}, { threads: 1, mode: "batch", build: "simd" });
    await expect(opened).rejects.toMatchObject({
      name: "UnavailableError",
      message: "no C compiler found (cc, gcc, clang)",
    });
  } finally {
    process.env.PATH = path;
  }
});
