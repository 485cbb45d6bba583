import fc from "fast-check";
import { expect, test } from "vitest";
import { compareValues, exactSum, roundRatio, toFixedPoint } from "./aggregate.js";

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });

test("the exact sum of two is what IEEE addition rounds to", () => {
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      expect(Object.is(exactSum([a, b]), a + b || 0)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test("a ratio of floats is what IEEE division rounds to", () => {
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      fc.pre(a !== 0 && b !== 0);
      const sign = b < 0 ? -1n : 1n;
      expect(roundRatio(sign * toFixedPoint(a), sign * toFixedPoint(b))).toBe(a / b);
    }),
    { numRuns: 2000 },
  );
});

test("the order is total: -Inf .. -0 < +0 .. +Inf < NaN", () => {
  const ascending = [-Infinity, -1, -5e-324, -0, 0, 5e-324, 1, Infinity, Number.NaN];
  ascending.forEach((a, i) => {
    ascending.forEach((b, j) => {
      expect(Math.sign(compareValues(a, b))).toBe(Math.sign(i - j));
    });
  });
  expect(compareValues("a", "ab")).toBeLessThan(0);
  expect(compareValues("￿", "😀")).toBeLessThan(0);
});
