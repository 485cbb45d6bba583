import { expect, it } from "vitest";
import { MORSEL_ROWS } from "./pipeline.js";
import { SPREAD_TURN_MS, Stride, TURN_MS } from "./stride.js";

/** Morsels of each turn where one takes `ms`. */
function turns(stride: Stride, ms: number, count: number): number[] {
  return Array.from({ length: count }, () => {
    const { rows } = stride;
    stride.took(rows, (ms * rows) / MORSEL_ROWS);
    return rows / MORSEL_ROWS;
  });
}

it("takes as many morsels as a quarter of a millisecond does for, at most twice as many as before", () => {
  const stride = new Stride(TURN_MS);
  expect(turns(stride, 0.04, 5)).toEqual([1, 2, 4, 6, 6]);
  expect(turns(stride, 0.11, 3)).toEqual([6, 2, 2]);
});

it("takes one morsel where that takes longer, and no more than 16", () => {
  const stride = new Stride(TURN_MS);
  expect(turns(stride, 3, 3)).toEqual([1, 1, 1]);
  expect(turns(stride, 0.001, 7)).toEqual([1, 2, 4, 8, 16, 16, 16]);
  expect(turns(stride, 3, 2)).toEqual([16, 1]);
});

it("takes more where a turn may take longer", () => {
  expect(turns(new Stride(SPREAD_TURN_MS), 0.11, 5)).toEqual([1, 2, 4, 8, 9]);
});

it("goes by the rows of a shorter turn", () => {
  const stride = new Stride(TURN_MS);
  stride.took(MORSEL_ROWS / 4, 0.05);
  expect(stride.rows).toBe(MORSEL_ROWS);
  stride.took(MORSEL_ROWS / 4, 0.02);
  expect(stride.rows).toBe(2 * MORSEL_ROWS);
});
