// What tests share: arbitrary types, values and columns, and equality by bits.

import fc from "fast-check";
import { type Value, writeColumn } from "../../../twin/values.js";
import type { BatchData, ColumnData } from "./column.js";
import {
  binary,
  bool,
  type DataType,
  date32,
  date64,
  decimal,
  dictionary,
  duration,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  largeBinary,
  largeUtf8,
  time,
  timestamp,
  uint8,
  uint16,
  uint32,
  uint64,
  utf8,
} from "./data-type.js";

/** Every type without a dictionary, in every unit. */
export const PLAIN_TYPES: readonly DataType[] = [
  bool,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float32,
  float64,
  utf8,
  largeUtf8,
  binary,
  largeBinary,
  decimal(38, 4),
  decimal(9, 2),
  date32,
  date64,
  ...(["s", "ms", "us", "ns"] as const).flatMap((unit) => [
    time(unit),
    duration(unit),
    timestamp(unit),
    timestamp(unit, "Europe/Berlin"),
  ]),
];

/** Dictionaries of every index width and of values of several kinds. */
export const DICTIONARY_TYPES: readonly DataType[] = [
  ...[int8, int16, int32, int64, uint8, uint16, uint32, uint64].map((index) => dictionary(utf8, index)),
  ...[int64, float64, bool, largeUtf8, binary, decimal(10, 2), timestamp("ms"), date32].map((value) =>
    dictionary(value),
  ),
];

export const ALL_TYPES: readonly DataType[] = [...PLAIN_TYPES, ...DICTIONARY_TYPES];

/** A value of a type, without null. */
export function arbitraryValue(type: DataType): fc.Arbitrary<Value> {
  switch (type.kind) {
    case "bool":
      return fc.boolean();
    case "int":
      return type.signed ? signed(type.bits) : fc.bigInt({ min: 0n, max: 2n ** BigInt(type.bits) - 1n });
    case "float":
      return type.bits === 32 ? fc.float() : fc.double();
    case "decimal":
      return fc.bigInt({ min: 1n - 10n ** BigInt(type.precision), max: 10n ** BigInt(type.precision) - 1n });
    case "utf8":
    case "largeUtf8":
      return fc.string({ unit: "grapheme", maxLength: 6 });
    case "binary":
    case "largeBinary":
      return fc.uint8Array({ maxLength: 6 });
    case "date":
      return signed(type.unit === "day" ? 32 : 64);
    case "time":
      return signed(type.unit === "s" || type.unit === "ms" ? 32 : 64);
    case "timestamp":
    case "duration":
      return signed(64);
    case "dictionary":
      return arbitraryValue(type.value);
    case "list":
    case "opaque":
      return fc.constant(null);
  }
}

function signed(bits: number): fc.Arbitrary<bigint> {
  const half = 2n ** BigInt(bits - 1);
  return fc.bigInt({ min: -half, max: half - 1n });
}

/** Up to `maxLength` values with nulls among them. */
export function arbitraryValues(type: DataType, maxLength = 40): fc.Arbitrary<Value[]> {
  const value = arbitraryValue(type);
  return fc.oneof(
    fc.array(value, { maxLength }),
    fc.array(fc.option(value, { nil: null, freq: 3 }), { maxLength }),
    fc.array(fc.constant(null), { maxLength: 10 }),
  );
}

export interface ColumnCase {
  readonly values: readonly Value[];
  readonly column: ColumnData;
}

/** A column with rubbish before its first row, with or without a bitmap it does not need. */
export function arbitraryColumn(type: DataType, maxLength = 40): fc.Arbitrary<ColumnCase> {
  return fc
    .record({
      values: arbitraryValues(type, maxLength),
      offset: fc.integer({ min: 0, max: 19 }),
      bitmap: fc.boolean(),
      unknown: fc.boolean(),
    })
    .map(({ values, offset, bitmap, unknown }) => {
      const column = writeColumn(type, values, { offset, bitmap });
      return { values, column: unknown ? { ...column, nullCount: -1 } : column };
    });
}

/** A batch of one column `x`. */
export function oneColumn(column: ColumnData): BatchData {
  return {
    schema: { fields: [{ name: "x", type: column.type, nullable: true }] },
    length: column.length,
    columns: [column],
  };
}

/** A value such that two are equal exactly when their bits are (all NaNs count as one). */
export function bitsOf(value: Value): unknown {
  if (value instanceof Uint8Array) return `bytes ${value.join()}`;
  if (Object.is(value, -0)) return "-0";
  return value;
}
