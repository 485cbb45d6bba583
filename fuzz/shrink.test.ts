import { describe, expect, it } from "vitest";
import { Draw } from "./draw.js";
import { shrink } from "./shrink.js";
import { sourceText } from "./source-text.js";

const numbers = (draw: Draw) => draw.list(50, 10, () => draw.below(1000));

describe("a draw", () => {
  it("gives the same case for the same seed, and again from its choices", () => {
    const draw = Draw.random(7, "numbers");
    const drawn = numbers(draw);
    expect(numbers(Draw.random(7, "numbers"))).toEqual(drawn);
    expect(numbers(Draw.replay(draw.choices))).toEqual(drawn);
    expect(numbers(Draw.replay([]))).toEqual([]);
    expect(draw.spans.length).toBe(drawn.length);
  });
});

describe("shrinking", () => {
  it("finds the smallest case that still fails", async () => {
    const sum = (draw: Draw) => numbers(draw).reduce((a, b) => a + b, 0);
    const trial = async (draw: Draw) => (sum(draw) >= 100 ? new Error("too much") : null);
    let failing = Draw.random(1, "numbers");
    for (let seed = 2; sum(failing) < 100; seed++) failing = Draw.random(seed, "numbers");
    const { choices, trials } = await shrink(failing, null, trial, 5000);
    expect(numbers(Draw.replay(choices))).toEqual([100]);
    expect(trials).toBeLessThan(2000);
  });

  it("gives the case back when time is up at once", async () => {
    const draw = Draw.random(3, "numbers");
    const drawn = numbers(draw);
    const { choices } = await shrink(draw, null, async () => new Error(), 0);
    expect(numbers(Draw.replay(choices))).toEqual(drawn);
  });
});

it("data is written as source", () => {
  const value = { a: [1n, -0, Number.NaN, null, "x\n"], b: Uint8Array.of(1, 2), c: undefined };
  expect(sourceText(value)).toBe(`{ a: [1n, -0, Number.NaN, null, "x\\n"], b: Uint8Array.of(1, 2) }`);
});
