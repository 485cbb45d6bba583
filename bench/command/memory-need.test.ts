import { expect, test } from "vitest";
import { casesNamed } from "../suite/index.js";
import type { SelectedCase } from "./measured-case.js";
import { checkMemory } from "./memory-need.js";

const GIB = 2 ** 30;

function selected(name: string, rows: number): SelectedCase[] {
  return casesNamed([name]).map((of) => ({ of, rows, peers: ["duckdb", "js"] }));
}

test("sizes that fit pass", () => {
  expect(() => checkMemory(selected("groupby/q10", 100e6), 2, 64 * GIB)).not.toThrow();
  // Real data has no more rows than there are.
  expect(() => checkMemory(selected("flights/busiest-routes", 1e12), 2, 64 * GIB)).not.toThrow();
});

test("past WebAssembly's memory, or the machine's for all engines, the error says how much it takes", () => {
  expect(() => checkMemory(selected("groupby/q10", 1e9), 2, 256 * GIB)).toThrow(
    /groupby\/q10 with 1,000,000,000 rows takes at least 26\.08 GiB, and WebAssembly has 4 GiB/,
  );
  expect(() => checkMemory(selected("groupby/q10", 100e6), 2, 8 * GIB)).toThrow(
    /takes at least 10\.43 GiB in 4 engines, and this machine has 8 GiB: fewer --rows or --peers/,
  );
});
