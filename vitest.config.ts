import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    // The examples import the package by its name; in a checkout that is its source.
    alias: [
      { find: /^millrace\/kernel$/, replacement: source("./bindings/ts/kernel/index.ts") },
      { find: /^millrace$/, replacement: source("./bindings/ts/index.ts") },
    ],
  },
  test: {
    include: [
      "kernel/**/*.test.ts",
      "bindings/**/*.test.ts",
      "bench/**/*.test.ts",
      "fixtures/**/*.test.ts",
      "twin/**/*.test.ts",
      "scripts/**/*.test.mjs",
      "examples/**/*.test.ts",
      "test/**/*.test.ts",
      "fuzz/**/*.test.ts",
    ],
    // One of two cores would idle: Vitest leaves one to itself.
    maxWorkers: "100%",
    setupFiles: ["./test/testing-seed.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
