import { expect, it } from "vitest";
import { BUGS, placesOf } from "./planted-bugs.mjs";

it.each(BUGS)("there is one place for: $name", (bug) => {
  expect(placesOf(bug)).toBe(1);
  expect(bug.plant).not.toBe(bug.find);
});
