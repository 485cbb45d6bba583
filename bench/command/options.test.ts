import { describe, expect, test } from "vitest";
import { benchOptions } from "./options.js";
import { UsageError } from "./usage.js";

describe("options of bench", () => {
  test("have defaults", () => {
    expect(benchOptions({})).toEqual({
      rows: null,
      modes: ["batch", "stream"],
      workers: [1],
      build: "simd",
      peers: null,
      runs: null,
      budget: null,
      seed: 42,
      target: null,
      json: null,
      html: null,
      save: null,
      quiet: false,
      failBelow: null,
    });
  });

  test("are read from texts and numbers", () => {
    const raw = { rows: "10M", mode: "stream", workers: "1,2", peers: "js,duckdb", runs: 7, target: "4e9" };
    expect(
      benchOptions({ ...raw, json: "x.json", quiet: true, failBelow: 0.9, build: "scalar" }),
    ).toMatchObject({
      rows: [10_000_000],
      modes: ["stream"],
      workers: [1, 2],
      peers: ["duckdb", "js"],
      runs: 7,
      target: 4e9,
      json: "x.json",
      quiet: true,
      failBelow: 0.9,
      build: "scalar",
    });
    expect(benchOptions({ save: true, html: "x.html" })).toMatchObject({
      save: "millrace-history",
      html: "x.html",
    });
    expect(benchOptions({ save: "kept" }).save).toBe("kept");
    expect(benchOptions({ rows: 1e7 }).rows).toEqual([10_000_000]);
    expect(benchOptions({ rows: "500k,2M" }).rows).toEqual([500_000, 2_000_000]);
    expect(benchOptions({ peers: "none" }).peers).toEqual([]);
    expect(benchOptions({ peers: "all" }).peers).toEqual([
      "duckdb",
      "polars",
      "duckdb-wasm",
      "arquero",
      "js",
      "native",
    ]);
  });

  test.each([
    [{ mode: "both-ish" }, /--mode is batch, stream or both/],
    [{ workers: "0" }, /--workers takes whole numbers from 1/],
    [{ workers: "1,x" }, /--workers/],
    [{ build: "fast" }, /--build is simd, threads, scalar/],
    [{ peers: "duck" }, /--peers takes duckdb/],
    [{ runs: 0 }, /--runs/],
    [{ seed: -1 }, /--seed/],
    [{ target: "much" }, /--target takes a positive number/],
    [{ failBelow: 0 }, /--fail-below takes a positive number/],
    [{ failBelow: 1, peers: "none" }, /needs --peers/],
    [{ html: true }, /--html needs a value/],
    [{ html: ["a", "b"] }, /--html was given more than once/],
    [{ runs: [5, 6] }, /more than once/],
  ])("%j is refused", (raw, message) => {
    expect(() => benchOptions(raw)).toThrow(message);
    expect(() => benchOptions(raw)).toThrow(UsageError);
  });
});
