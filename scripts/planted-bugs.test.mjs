import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { BUGS } from "./planted-bugs.mjs";

it.each(BUGS)("there is one place for: $name", ({ file, find, plant }) => {
  const source = readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
  expect(source.split(find)).toHaveLength(2);
  expect(plant).not.toBe(find);
});
