import { expect, test } from "vitest";
import { isLimited } from "../suite/case.js";
import { caseName } from "../suite/index.js";
import { budgetSeconds, select } from "./bench.js";
import type { SelectedCase } from "./measured-case.js";
import { benchOptions } from "./options.js";
import { SLOW_STARTERS, TimeBudget, usualSeconds } from "./time-budget.js";

const tour = select([], benchOptions({}));
const inOrder = [...tour.filter(({ optional }) => !optional), ...tour.filter(({ optional }) => optional)];
const needed = tour.length - tour.filter(({ optional }) => optional).length;

/** What a tour measures where each case takes so many times its usual seconds, with all its peers. */
function measured(seconds: number, slowness: number) {
  let now = 0;
  const budget = new TimeBudget(seconds, () => now);
  const done: SelectedCase[] = [];
  for (const index of inOrder.keys()) {
    const fitting = budget.fit(inOrder.slice(index));
    if (fitting === null) continue;
    done.push(fitting);
    now += 1000 * slowness * usualSeconds(inOrder[index]!);
    budget.finish(fitting);
  }
  return { done, leftOut: budget.leftOut, seconds: now / 1000 };
}

test("a machine with time to spare leaves nothing out", () => {
  expect(measured(150, 1.1)).toMatchObject({ done: inOrder, leftOut: [] });
  expect(measured(Infinity, 100)).toMatchObject({ done: inOrder, leftOut: [] });
});

test("a slower one repeats runs less, then leaves out cases that are not needed", () => {
  const { done, leftOut, seconds } = measured(150, 1.5);
  expect(seconds).toBeLessThanOrEqual(150);
  expect(done.length).toBeLessThan(tour.length);
  expect(done.slice(0, needed).map(({ of }) => of)).toEqual(inOrder.slice(0, needed).map(({ of }) => of));
  expect(done[0]!.isBrief).toBe(undefined);
  // What is short, and not needed, may find time for all of its runs at the end.
  expect(done.slice(1, needed).every(({ isBrief }) => isBrief)).toBe(true);
  expect(leftOut[0]).toBe("runs beyond the fifth");
  const measuredNames = new Set(done.map(({ of }) => caseName(of)));
  const others = inOrder.map(({ of }) => caseName(of)).filter((name) => !measuredNames.has(name));
  expect(leftOut.slice(1)).toEqual(others);
});

test("one that is slow leaves out peers, but none that verifies", () => {
  const late = measured(150, 1.9);
  expect(late.done).toHaveLength(needed);
  expect(late.done.slice(1).some(({ peers }) => SLOW_STARTERS.some((slow) => peers.includes(slow)))).toBe(
    false,
  );
  expect(late.leftOut).toContain("duckdb-wasm, arquero in flights/busiest-routes");
  const slowest = measured(150, 7).done.slice(1);
  expect(slowest.every(({ of, peers }) => peers.length === (of.latency || isLimited(of) ? 0 : 1))).toBe(true);
});

test("further looks are for the time that is left", () => {
  let now = 0;
  const budget = new TimeBudget(10, () => now);
  now = 6000;
  expect(budget.hasTimeToLook(2, "s/a", 4)).toBe(true);
  expect(budget.hasTimeToLook(2, "s/b", 4.1)).toBe(false);
  expect(budget.hasTimeToLook(3, "s/a", 4.1)).toBe(false);
  expect(budget.leftOut).toEqual(["a second look at s/b"]);
});

test("only the tour has an end of its own", () => {
  expect(budgetSeconds([], benchOptions({}))).toBe(172);
  expect(budgetSeconds(["groupby"], benchOptions({}))).toBe(Infinity);
  expect(budgetSeconds(["groupby"], benchOptions({ budget: 30 }))).toBe(30);
});
