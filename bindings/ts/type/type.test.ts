// Types by name and size, aggregates by type, and the nearest names of an unknown column.

import { describe, expect, test } from "vitest";
import { Type } from "../../../kernel/abi/layout.js";
import { AggregateFunction } from "../../../kernel/abi/operator.js";
import { aggregateFunction, aggregateType } from "./aggregate.js";
import {
  bool,
  byteWidth,
  type DataType,
  date32,
  decimal,
  dictionary,
  duration,
  float32,
  int8,
  int16,
  int64,
  largeUtf8,
  physicalType,
  sameType,
  time,
  timestamp,
  typeName,
  uint8,
  uint64,
  utf8,
} from "./data-type.js";
import { MillraceError, nearestNames, PlanError, UnknownColumnError } from "./error.js";
import { ALL_TYPES } from "./testing.js";

const opaque = { kind: "opaque", name: "List<Int32>" } as const;

test("names tell types apart", () => {
  const names = ALL_TYPES.map(typeName);
  expect(new Set(names).size).toBe(names.length);
  expect(typeName(timestamp("us", "Europe/Berlin"))).toBe("timestamp[us, Europe/Berlin]");
  expect(typeName(dictionary(decimal(10, 2), int8))).toBe("dictionary<int8, decimal(10, 2)>");
  for (const a of ALL_TYPES)
    for (const b of ALL_TYPES) expect(sameType(a, b)).toBe(a === b || typeName(a) === typeName(b));
  expect(sameType(opaque, { ...opaque })).toBe(true);
  expect(sameType(opaque, { ...opaque, name: "List<Utf8>" })).toBe(false);
});

test.each<[DataType, Type, number]>([
  [bool, Type.BOOL, 0],
  [int8, Type.I8, 1],
  [uint8, Type.U8, 1],
  [int16, Type.I16, 2],
  [uint64, Type.U64, 8],
  [float32, Type.F32, 4],
  [decimal(38, 2), Type.I128, 16],
  [utf8, Type.BYTES, 0],
  [largeUtf8, Type.LARGE_BYTES, 0],
  [date32, Type.I32, 4],
  [time("ms"), Type.I32, 4],
  [time("us"), Type.I64, 8],
  [timestamp("s"), Type.I64, 8],
  [dictionary(utf8, int16), Type.I16, 2],
  [opaque, Type.NONE, 0],
])("%j lies in memory as it should", (type, physical, width) => {
  expect(physicalType(type)).toBe(physical);
  expect(byteWidth(physical)).toBe(width);
});

describe("aggregates", () => {
  test.each([
    ["sum", int8, "int64"],
    ["sum", uint8, "uint64"],
    ["sum", float32, "float64"],
    ["sum", decimal(10, 2), "decimal(38, 2)"],
    ["sum", duration("ms"), "duration[ms]"],
    ["sum", utf8, null],
    ["sum", timestamp("ms"), null],
    ["sum", bool, null],
    ["avg", int64, "float64"],
    ["avg", duration("s"), null],
    ["stddev", uint8, "float64"],
    ["corr", decimal(10, 2), "float64"],
    ["kurtosis", duration("s"), null],
    ["variance", null, null],
    ["min", dictionary(utf8), "utf8"],
    ["max", timestamp("ms"), "timestamp[ms]"],
    ["countDistinct", largeUtf8, "int64"],
    ["count", null, "int64"],
    ["sum", null, null],
    ["min", opaque, null],
  ] as const)("%s of %j is %s", (name, type, expected) => {
    const result = aggregateType(name, type);
    expect(result === null ? null : typeName(result)).toBe(expected);
  });

  test("count counts rows without an argument, values with one", () => {
    expect(aggregateFunction("count", false)).toBe(AggregateFunction.COUNT_ROWS);
    expect(aggregateFunction("count", true)).toBe(AggregateFunction.COUNT);
    expect(aggregateFunction("corr", true)).toBe(AggregateFunction.CORR);
  });
});

test("an unknown column names the nearest ones", () => {
  const error = new UnknownColumnError("prize", ["id", "Price", "price_usd", "size"]);
  expect(error).toBeInstanceOf(PlanError);
  expect(error).toBeInstanceOf(MillraceError);
  expect(error).toMatchObject({ code: "UNKNOWN_COLUMN", column: "prize", name: "UnknownColumnError" });
  expect(error.message).toMatch(/did you mean "Price" or "size"\?/);
  expect(new UnknownColumnError("zzzzzz", ["id"]).message).toMatch(/there is no such column. Columns: id$/);
  expect(nearestNames("abc", ["abd", "xyz", "ab", "abc1", "abx"])).toHaveLength(3);
});
