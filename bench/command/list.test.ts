import picocolors from "picocolors";
import { expect, test } from "vitest";
import { ALL_CASES, caseName, SUITES } from "../suite/index.js";
import { listText } from "./list.js";

const plain = picocolors.createColors(false);

test("a line for each suite and each case, with its question", () => {
  const lines = listText([], plain).trimEnd().split("\n");
  expect(lines).toHaveLength(SUITES.length + ALL_CASES.length);
  for (const of of ALL_CASES) {
    const line = lines.find((text) => text.trim().startsWith(`${caseName(of)} `));
    expect(line).toContain(of.question);
  }
});

test("names choose, variants by suite@variant", () => {
  const names = (text: string) => text.match(/^ {2}\S+/gm)!.map((name) => name.trim());
  expect(names(listText(["exact"], plain))).toHaveLength(4);
  expect(names(listText(["groupby/q1@k2"], plain))).toEqual(["groupby/q1@k2"]);
  expect(names(listText(["groupby"], plain)).every((name) => !name.includes("@"))).toBe(true);
  const nulls = names(listText(["groupby@nulls"], plain));
  expect(nulls.length).toBeGreaterThan(8);
  expect(nulls.every((name) => name.endsWith("@nulls"))).toBe(true);
});
