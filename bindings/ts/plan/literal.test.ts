import { describe, expect, it } from "vitest";
import {
  binary,
  type DataType,
  date32,
  date64,
  decimal,
  duration,
  float32,
  float64,
  int32,
  int64,
  time,
  timestamp,
  typeName,
  uint8,
  uint64,
  utf8,
} from "../type/data-type.js";
import { ArgumentError } from "../type/error.js";
import { interval, intervalText, negated } from "./interval.js";
import { literalAlone, literalBeside } from "./literal.js";
import type { Plain } from "./node.js";

function shown(typed: { type: DataType; value: unknown } | null): string {
  return typed === null ? "none" : `${String(typed.value)}: ${typeName(typed.type)}`;
}

describe("literals", () => {
  it.each<[Plain, string]>([
    [1, "1: int32"],
    [-2147483648, "-2147483648: int32"],
    [2147483648, "2147483648: int64"],
    [1e20, "100000000000000000000: float64"],
    [-0, "0: float64"],
    [1.5, "1.5: float64"],
    [5n, "5: int32"],
    [2n ** 63n, "9223372036854775808: uint64"],
    [2n ** 64n, "18446744073709551616: decimal(20, 0)"],
    ["x", "x: utf8"],
    [true, "true: bool"],
    [new Date(1500), "1500: timestamp[ms]"],
    [null, "none"],
  ])("alone: %s", (plain, expected) => {
    expect(shown(literalAlone(plain))).toBe(expected);
  });

  it.each<[Plain, DataType, string]>([
    [200, uint8, "200: uint8"],
    [300, uint8, "300: int64"],
    [5_000_000_000, int32, "5000000000: int64"],
    [1.5, int32, "1.5: float64"],
    [1e30, int64, "1e+30: float64"],
    [-1, uint64, "none"],
    [2n ** 63n, uint64, "9223372036854775808: uint64"],
    [0.1, float32, `${Math.fround(0.1)}: float32`],
    [3n, float64, "3: float64"],
    [0.1, decimal(10, 2), "1: decimal(1, 1)"],
    ["12.50", decimal(10, 2), "125: decimal(3, 1)"],
    [1e-7, decimal(10, 2), "1: decimal(7, 7)"],
    [Number.NaN, decimal(10, 2), "NaN: float64"],
    ["2024-02-29", date32, "19782: date32"],
    ["2024-02-29", date64, "1709164800000: date64"],
    ["2024-02-29T12:00", date32, "1709208000: timestamp[s]"],
    [new Date("2024-02-29"), date32, "19782: date32"],
    ["1969-12-31 23:59:59.25", timestamp("s"), "-750: timestamp[ms]"],
    ["2024-07-01T00:00:00", timestamp("s", "Europe/Berlin"), "1719784800: timestamp[s, Europe/Berlin]"],
    ["2024-07-01T00:00:00+09:00", timestamp("s", "Europe/Berlin"), "1719759600: timestamp[s, Europe/Berlin]"],
    ["2024-07-01T00:00:00Z", timestamp("us"), "1719792000000000: timestamp[us]"],
    ["12:30:00.5", time("s"), "45000500: time[ms]"],
    ["90 seconds", duration("ms"), "90000: duration[ms]"],
    ["ä", binary, "195,164: binary"],
    ["1", int32, "none"],
    [1, utf8, "none"],
    [true, int32, "none"],
    [null, date32, "null: date32"],
  ])("%s beside %o", (plain, type, expected) => {
    expect(shown(literalBeside(plain, type))).toBe(expected);
  });
});

describe("intervals", () => {
  it("read, print and turn around", () => {
    expect(interval("1 year 2 months, 3 weeks")).toEqual({ months: 14, days: 21, nanoseconds: 0n });
    expect(interval("-90 seconds").nanoseconds).toBe(-90_000_000_000n);
    expect(intervalText(interval("3 MONTHS 1 day 1500 ms".replace("ms", "milliseconds")))).toBe(
      "3 months 1 day 1500 milliseconds",
    );
    expect(negated(interval("1 day"))).toEqual({ months: 0, days: -1, nanoseconds: 0n });
  });

  it.each(["", "3", "months", "3 fortnights", "1.5 days"])("refuse %j", (text) => {
    expect(() => interval(text)).toThrow(ArgumentError);
  });
});
