import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: [
      "kernel/**/*.test.ts",
      "bindings/**/*.test.ts",
      "bench/**/*.test.ts",
      "fixtures/**/*.test.ts",
      "twin/**/*.test.ts",
      "test/**/*.test.ts",
    ],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
