import { expect, test } from "vitest";
import { benchCommandLine } from "./command-line.js";
import { benchOptions } from "./options.js";

test("what was asked for, without defaults; the seed always", () => {
  const line = (names: string[], raw: object) => benchCommandLine(names, benchOptions({ ...raw }));
  expect(line([], {})).toBe("npx millrace bench --seed 42");
  expect(line(["join", "groupby/q1"], { rows: "1M,2500", mode: "stream", workers: "1,2", seed: 7 })).toBe(
    "npx millrace bench join groupby/q1 --rows 1M,2500 --mode stream --workers 1,2 --seed 7",
  );
  expect(line(["exact"], { peers: "none", runs: 9, build: "scalar", rows: "500k", target: "4e9" })).toBe(
    "npx millrace bench exact --rows 500k --build scalar --peers none --runs 9 --seed 42 --target 4000000000",
  );
  expect(line([], { budget: "60" })).toBe("npx millrace bench --budget 60 --seed 42");
  expect(line(["exact"], { peers: "js,duckdb" })).toBe(
    "npx millrace bench exact --peers duckdb,js --seed 42",
  );
});
