import fc from "fast-check";
import { expect, test } from "vitest";
import { ArgumentError } from "../../bindings/ts/type/error.js";
import { parseRows } from "./rows.js";

test("the forms that people write", () => {
  const forms: [string | number, number][] = [
    ["10M", 10_000_000],
    ["10m", 10_000_000],
    ["500k", 500_000],
    ["1e7", 10_000_000],
    ["1E+7", 10_000_000],
    ["2_000_000", 2_000_000],
    ["1.5M", 1_500_000],
    ["1.1M", 1_100_000],
    ["0.1k", 100],
    ["1G", 1_000_000_000],
    ["1B", 1_000_000_000],
    ["1", 1],
    [" 7 ", 7],
    [1e7, 10_000_000],
    [42, 42],
  ];
  for (const [text, rows] of forms) expect(parseRows(text), String(text)).toBe(rows);
});

test("a whole number in any form is itself", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (count) => {
      expect(parseRows(String(count))).toBe(count);
      expect(parseRows(`${count}k`)).toBe(count * 1000);
      expect(parseRows(`${count}M`)).toBe(count * 1e6);
    }),
  );
});

test("nonsense is refused with the option's name", () => {
  const bad = [
    "0",
    "-5",
    "1.5",
    "1e-3",
    "0.0001k",
    "",
    "M",
    "10MB",
    "1_",
    "_1",
    "1e999",
    "ten",
    "NaN",
    "0x10",
    "1 000",
  ];
  for (const text of bad) {
    expect(() => parseRows(text), text).toThrow(ArgumentError);
    expect(() => parseRows(text, "--k")).toThrow(/^--k must be a whole number/);
  }
  for (const number of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    expect(() => parseRows(number)).toThrow(ArgumentError);
  }
});
