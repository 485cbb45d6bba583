// The profiler as a command: what it prints and writes, at a smoke size and on the plain build.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import picocolors from "picocolors";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { OperatorProfile } from "../../bindings/ts/index.js";
import { profileCommand, profileDiffCommand } from "../command/profile.js";
import { profileOptions } from "../command/profile-options.js";
import { inProcess } from "../command/workshop.js";
import { diffText, profileDiff } from "./diff.js";
import type { ProfileReport } from "./profile.js";
import { profileText, sharesText } from "./profile-text.js";
import { functionTimes } from "./sampling.js";
import { QUIET_OPERATOR } from "./testing-profile.js";
import { chromeTrace, operatorsIn } from "./trace.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-profile-test-"));
const plain = picocolors.createColors(false);
let said = "";

beforeEach(() => {
  said = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function profiled(name: string, out: string): Promise<number> {
  const options = profileOptions({
    rows: "3000",
    build: "simd",
    runs: 1,
    out: join(folder, out),
    quiet: true,
  });
  return profileCommand([name], options, inProcess(folder).prepare, 20);
}

function json(path: string) {
  return JSON.parse(readFileSync(join(folder, path), "utf8"));
}

describe("the command", () => {
  it.each(["double11/gmv", "join/q1", "windows/ysb", "micro/sum-int"])("%s", async (name) => {
    const base = name.replace("/", "-");
    expect(await profiled(name, "one")).toBe(0);
    expect(said).toContain(`${name}: `);
    expect(said).toMatch(/batch, [\d,]+ rows, simd build: median/);
    expect(said).toMatch(/stream, [\d,]+ rows, simd build: median/);
    expect(said).toMatch(/time: [\d.]+ % in kernels, [\d.]+ % in TypeScript, [\d.]+ % waiting/);
    expect(said).toMatch(/└ read t|└ read/);
    const report: ProfileReport = json(`one/${base}.json`);
    expect(report).toMatchObject({ schema: "millrace-profile/1", case: name, build: "simd" });
    expect(report.modes.map(({ mode }) => mode)).toEqual(["batch", "stream"]);
    expect(report.modes[0]!.checksum).toBe(report.modes[1]!.checksum);
    for (const mode of ["batch", "stream"]) {
      expect(json(`one/${base}-${mode}.cpuprofile`)).toMatchObject({ nodes: expect.any(Array) });
      const { traceEvents } = json(`one/${base}-${mode}.trace.json`);
      expect(traceEvents.length).toBeGreaterThan(3);
    }
    if (name !== "double11/gmv") return;
    expect(await profiled(name, "two")).toBe(0);
    said = "";
    expect(
      await profileDiffCommand([join(folder, "one", `${base}.json`), join(folder, "two", `${base}.json`)]),
    ).toBe(0);
    expect(said).toMatch(/median run +[\d.]+ +[\d.]+ +[\d.]+x/);
    await expect(
      profileDiffCommand([join(folder, "one", `${base}.json`), join(folder, "one", "missing.json")]),
    ).rejects.toThrow(/cannot be read/);
  });

  it("two workers: a track each, and functions from one thread", async () => {
    const flags = { rows: "200000", mode: "batch", build: "simd", runs: 1, workers: "2", quiet: true };
    const options = profileOptions({ ...flags, out: join(folder, "workers") });
    expect(await profileCommand(["groupby/int-sum"], options, inProcess(folder).prepare, 20)).toBe(0);
    expect(said).toMatch(/batch, 200,000 rows, threads build: median/);
    expect(said).toMatch(
      /shared: the calling thread \d+ morsels in [\d.]+ ms, worker 1 \d+ morsels in [\d.]+ ms/,
    );
    const { traceEvents } = json("workers/groupby-int-sum-batch.trace.json");
    const names = traceEvents.filter(({ name }: { name: string }) => name === "thread_name");
    expect(names.map(({ tid, args }: { tid: number; args: { name: string } }) => [tid, args.name])).toEqual([
      [1, "calling thread"],
      [2, "worker 1"],
    ]);
    expect(json("workers/groupby-int-sum.json")).toMatchObject({ build: "threads", threads: 2 });
  });

  it("tells profiles of different cases, and files that are none", async () => {
    await profiled("micro/sum-int", "one");
    await profiled("double11/gmv", "one");
    const [sums, gmv] = ["micro-sum-int", "double11-gmv"].map((base) => join(folder, "one", `${base}.json`));
    await expect(profileDiffCommand([sums!, gmv!])).rejects.toThrow(/not the same case/);
    await expect(profileDiffCommand([sums!])).rejects.toThrow(/needs OLD.json and NEW.json/);
    await expect(profileDiffCommand(["package.json", gmv!])).rejects.toThrow(/has no schema/);
  });
});

const source: OperatorProfile = {
  ...QUIET_OPERATOR,
  rowsIn: 1000,
  rowsSelected: 1000,
  rowsOut: 1000,
  batchesIn: 2,
  batchesOut: 2,
  ms: 0.5,
};
const join2: OperatorProfile = {
  ...source,
  id: 2,
  name: "join",
  detail: "inner join on a",
  ms: 8,
  kernelMs: 7,
  nsPerRow: 4000,
  bytesRead: 8000,
  bytesWritten: 4000,
  bytesPerSec: 1.5e6,
  peakStateBytes: 2048,
  groups: 10,
  keyTier: "direct",
  probeLength: 0.25,
  partitions: 8,
  runsMerged: 3,
  inputs: [source, { ...source, id: 1, detail: "u: a" }],
};
const report: ProfileReport = {
  schema: "millrace-profile/1",
  machine: {} as never,
  case: "join/q1",
  question: "who meets whom",
  build: "debug",
  rows: 2000,
  seed: 42,
  modes: [
    {
      mode: "batch",
      runs: 5,
      medianMs: 10,
      minMs: 9,
      checksum: "x",
      run: {
        mode: "batch",
        rowsIn: 2000,
        rowsOut: 10,
        wallMs: 10,
        kernelMs: 7,
        waitingMs: 1,
        typescriptMs: 2,
        plan: join2,
        workers: [
          { morsels: 1, busyMs: 7 },
          { morsels: 1, busyMs: 4 },
        ],
        slices: [
          { operator: 2, worker: 0, call: "kernel", start: 1.5, ms: 7, rows: 0 },
          { operator: 2, worker: 0, call: "push", start: 1, ms: 8, rows: 1000 },
          { operator: 2, worker: 1, call: "push", start: 2, ms: 4, rows: 0, piece: 5 },
        ],
        slicesDropped: 0,
      },
      sampledMs: 1000,
      functions: [
        { name: "kernel/join/keys/probe", kind: "kernel", selfMs: 600, share: 0.6 },
        { name: "(garbage collector)", kind: "engine", selfMs: 50, share: 0.05 },
        { name: "pull (operator.ts:10)", kind: "typescript", selfMs: 350, share: 0.35 },
      ],
    },
  ],
};

it("the tree, the shares and the functions as text", () => {
  const text = profileText(report, plain);
  expect(text).toContain("batch, 2,000 rows, debug build: median 10.0 ms, 0.200 million rows/s");
  expect(text).toContain("70.0 % in kernels, 20.0 % in TypeScript, 10.0 % waiting, garbage collection 5.0 %");
  expect(text).toMatch(
    /join inner join on a +8\.00 +80\.0 +1,000 +1,000 +2 +4000\.00 +0\.0 +0\.00 +2 KiB +10 +direct +0\.250 +8 +3/,
  );
  expect(text).toMatch(/├ read t: a/);
  expect(text).toMatch(/└ read u: a/);
  expect(text).toMatch(/60\.0 +kernel +kernel\/join\/keys\/probe/);
  expect(sharesText(report.modes[0]!)).toContain("kernels");
});

it("a trace: a track a thread, calls into the kernel inside of what called them", () => {
  const { traceEvents } = chromeTrace("join/q1 batch", report.modes[0]!.run);
  const slices = traceEvents.filter(({ ph }) => ph === "X");
  expect(slices.map(({ name, tid, ts, dur }) => [name, tid, ts, dur])).toEqual([
    ["join: push", 1, 1000, 8000],
    ["kernel", 1, 1500, 7000],
    ["join: push", 2, 2000, 4000],
  ]);
  expect(slices[0]!.args).toEqual({ detail: "inner join on a", rows: 1000 });
  expect(slices[2]!.args).toEqual({ detail: "inner join on a", morsel: 5 });
  const names = traceEvents.filter(({ ph }) => ph === "M");
  expect(names.map(({ name, tid, args }) => [name, tid, args!.name])).toEqual([
    ["process_name", 1, "millrace join/q1 batch"],
    ["thread_name", 1, "calling thread"],
    ["thread_name", 2, "worker 1"],
  ]);
  expect(operatorsIn(join2).map(({ id }) => id)).toEqual([2, 0, 1]);
});

it("a difference in nanoseconds a row, with what is new and gone", () => {
  const [mode] = report.modes;
  const functions = [{ name: "kernel/join/keys/insert", kind: "kernel" as const, selfMs: 1, share: 0.5 }];
  const after = { ...report, rows: 4000, modes: [{ ...mode!, medianMs: 10, functions }] };
  const [diff] = profileDiff(report, after);
  expect(diff!.total).toEqual({ what: "median run", before: 5000, after: 2500 });
  expect(diff!.functions).toEqual([
    { what: "kernel/join/keys/probe", before: 3000, after: null },
    { what: "kernel/join/keys/insert", before: null, after: 1250 },
  ]);
  expect(diffText([diff!], plain)).toMatch(/median run +5000\.00 +2500\.00 +0\.50x/);
  expect(profileDiff(report, { ...after, modes: [] })).toEqual([]);
});

it("self times by function: kernel, own code, host and what waits", () => {
  const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 9 });
  const nodes = [
    { id: 1, callFrame: frame("(root)", "") },
    { id: 2, callFrame: frame("kernel/sort/radix/scatter", "wasm://wasm/abc") },
    { id: 3, callFrame: frame("(idle)", "") },
    { id: 4, callFrame: frame("push", "file:///x/operator.js") },
    { id: 5, callFrame: frame("(garbage collector)", "") },
    { id: 6, callFrame: frame("readFileSync", "node:fs") },
    { id: 7, callFrame: frame("dispatch", "") },
    { id: 8, callFrame: frame("push", "file:///x/operator.js") },
  ];
  const samples = [2, 2, 3, 4, 5, 6, 7, 8, 99];
  const timeDeltas = [100, 300, 5000, 100, 200, 100, 900, 200, 1];
  const times = functionTimes({ nodes, samples, timeDeltas });
  expect(times.map(({ name, kind, selfMs }) => [name, kind, selfMs])).toEqual([
    ["(idle)", "waiting", 5],
    ["kernel/sort/radix/scatter", "kernel", 0.4],
    ["push (operator.js:10)", "typescript", 0.3],
    ["(garbage collector)", "engine", 0.2],
    ["readFileSync", "node", 0.1],
  ]);
  expect(times[1]!.share).toBe(0.4);
  expect(functionTimes({ nodes })).toEqual([]);
});
