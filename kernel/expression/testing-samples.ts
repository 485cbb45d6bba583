// Random columns for the tests of this folder, and the order of values that the kernel keeps.

import fc from "fast-check";
import type { ColumnData } from "../../bindings/ts/type/column.js";
import type { DataType } from "../../bindings/ts/type/data-type.js";
import { valueType } from "../../bindings/ts/type/data-type.js";
import { type Value, writeColumn } from "../../twin/values.js";

export interface Sample {
  readonly column: ColumnData;
  readonly values: readonly Value[];
}

/** Row counts by size: none, one, around a word, around a vector. */
const ROWS = [0, 1, 3, 64, 77, 2048, 2113] as const;

/** A column with nulls, at a random offset. Sizes 0 to 6 name row counts up to more than a vector. */
export function arbitraryColumn(
  type: DataType,
  size: number,
  values = arbitraryValue(valueType(type)),
): fc.Arbitrary<Sample> {
  const rows = ROWS[size]!;
  // A large column repeats a small one, out of step with words: shrinking stays possible.
  const seed = fc.array(values, { minLength: Math.min(rows, 1), maxLength: Math.min(rows, 61) });
  return fc.tuple(seed, fc.nat(13), fc.boolean(), fc.boolean()).map(([some, offset, bitmap, nulls]) => {
    const pool = nulls ? some : some.map((value) => value ?? fallback(valueType(type)));
    const repeated = Array.from({ length: rows }, (_, row): Value => pool[row % pool.length]!);
    return { values: repeated, column: writeColumn(type, repeated, { offset, bitmap }) };
  });
}

function fallback(type: DataType): Value {
  switch (type.kind) {
    case "bool":
      return false;
    case "float":
      return -0;
    case "utf8":
    case "largeUtf8":
      return "";
    default:
      return 0n;
  }
}

const FLOATS = [
  0,
  -0,
  1,
  -1,
  0.1,
  1.5,
  2.5,
  -2.5,
  1e16,
  1e15,
  123456.789,
  5e-324,
  1e-5,
  9.999e-6,
  2 ** 53,
  2 ** 63,
  -(2 ** 63),
];
const EXTREMES = [
  ...FLOATS,
  Number.MAX_VALUE,
  Number.NaN,
  Infinity,
  -Infinity,
  2 ** -44,
  2 ** 31,
  1e300,
  4.35,
  1e22,
  1e23,
];

/** Any value of a type, null included; extremes and repeats are common. */
export function arbitraryValue(type: DataType): fc.Arbitrary<Value> {
  return fc.option(arbitraryPresent(type), { freq: 4 }) as fc.Arbitrary<Value>;
}

export function arbitraryPresent(type: DataType): fc.Arbitrary<Exclude<Value, null>> {
  switch (type.kind) {
    case "bool":
      return fc.boolean();
    case "int": {
      const [low, high] = integerRange(type);
      return fc.oneof(
        fc.bigInt(low, high),
        fc.constantFrom(low, low + 1n, high, high - 1n, 0n, 1n),
        fc.bigInt(low < 0n ? -4n : 0n, 4n),
      );
    }
    case "float": {
      const round = type.bits === 32 ? Math.fround : (value: number) => value;
      return fc.oneof(fc.double(), fc.constantFrom(...EXTREMES), fc.integer({ min: -3, max: 3 })).map(round);
    }
    case "decimal": {
      const limit = 10n ** BigInt(type.precision) - 1n;
      return fc.oneof(
        fc.bigInt(-limit, limit),
        fc.bigInt(-10n, 10n),
        fc.constantFrom(limit, -limit),
        fc.bigInt(-(limit / 10n ** 20n), limit / 10n ** 20n),
      );
    }
    case "utf8":
    case "largeUtf8":
      return fc.oneof(
        fc.constantFrom(
          "",
          "a",
          "b",
          "ab",
          "abc",
          "äöü",
          "€uro",
          "😀",
          "a%b_c",
          "abcabcabcabcabcabcabcab",
          "İstanbul",
        ),
        fc.string({ unit: "binary", maxLength: 40 }),
        fc.string({ maxLength: 6, unit: fc.constantFrom("a", "b", "ä", " ") }),
      );
    default:
      return fc.bigInt(-(2n ** 40n), 2n ** 40n);
  }
}

export function integerRange(type: { readonly bits: number; readonly signed: boolean }): [bigint, bigint] {
  const bits = BigInt(type.bits);
  return type.signed ? [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n] : [0n, 2n ** bits - 1n];
}

const encoder = new TextEncoder();

export function compareBytes(a: string, b: string): number {
  return Buffer.compare(encoder.encode(a), encoder.encode(b));
}

/** The total order of a type's values: -0 = 0, NaN = NaN and greatest, texts by bytes. */
export function compareValues(a: Value, b: Value): number {
  if (typeof a === "string") return compareBytes(a, b as string);
  if (typeof a === "number" && typeof b === "number" && (Number.isNaN(a) || Number.isNaN(b))) {
    return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  }
  return a! < b! ? -1 : Number(a! > b!);
}
