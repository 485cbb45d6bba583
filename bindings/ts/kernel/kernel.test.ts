// Opening kernels: builds, sources of the module, budgets.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ArgumentError, MillraceError } from "../type/error.js";
import { chooseBuild, hasSimd, loadModule } from "./build.js";
import { defaultBudget, formatBytes, MAX_BUDGET_BYTES, parseBudget, parseBytes } from "./bytes.js";
import { Kernel } from "./kernel.js";

test.each([
  [0, 0],
  [1048576, 1048576],
  ["123", 123],
  ["64 KiB", 65536],
  [" 1.5gb ", 1.5e9],
  ["2 GiB", 2 ** 31],
  ["0.1 kB", 100],
])("%j is %i bytes", (amount, bytes) => {
  expect(parseBytes(amount)).toBe(bytes);
});

test.each([
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  "",
  "GiB",
  "2 TiB",
  "-1 MiB",
  "1e9",
  "2 GiB!",
  null,
  {},
])("%j is no amount of memory", (amount) => {
  expect(() => parseBytes(amount as string)).toThrow(ArgumentError);
});

test("budgets lie within a 32-bit memory", async () => {
  expect(parseBudget(MAX_BUDGET_BYTES)).toBe(MAX_BUDGET_BYTES);
  for (const wrong of [0, MAX_BUDGET_BYTES + 1, "4 GiB"])
    expect(() => parseBudget(wrong)).toThrow(ArgumentError);
  const bytes = await defaultBudget();
  expect(bytes).toBeGreaterThan(2 ** 26);
  expect(bytes).toBeLessThanOrEqual(3.5 * 2 ** 30);
  expect(formatBytes(bytes)).toMatch(/[GM]iB$/);
  const kernel = await Kernel.open();
  expect(kernel.budgetBytes).toBe(bytes);
  kernel.setBudget("1 MiB");
  expect(kernel.budgetBytes).toBe(2 ** 20);
});

test("auto takes SIMD here, and modules are compiled once", async () => {
  expect(hasSimd()).toBe(true);
  expect(chooseBuild("auto")).toBe("simd");
  expect((await Kernel.open()).build).toBe("simd");
  expect(await loadModule("simd")).toBe(await loadModule("simd"));
  expect(() => chooseBuild("fast" as "simd")).toThrow(ArgumentError);
});

test("the module may come as URL, path, bytes or module", async () => {
  const url = new URL("../../../build/millrace.scalar.wasm", import.meta.url);
  const bytes = await readFile(url);
  const sources = [url, url.href, fileURLToPath(url), bytes, await WebAssembly.compile(bytes)];
  for (const wasm of sources) {
    const kernel = await Kernel.open({ build: "scalar", wasm });
    kernel.free(kernel.allocate(10));
  }
  await expect(Kernel.open({ wasm: new URL("./missing.wasm", url) })).rejects.toThrow(/missing/);
  await expect(Kernel.open({ wasm: new Uint8Array([1, 2, 3]) })).rejects.toThrow();
});

test("the root block may lie anywhere in the memory", async () => {
  for (const base of [64, 1024, 0xfff0_0000 - 2 ** 21]) {
    const kernel = await Kernel.open({ base, budget: "2 MiB" });
    expect(kernel.memory.root).toBe(base);
    expect(kernel.allocate(1000)).toBeGreaterThan(base);
  }
  for (const base of [0, 63, 100, 2 ** 32 - 64, Number.NaN]) {
    await expect(Kernel.open({ base })).rejects.toThrow(MillraceError);
  }
});
