// What sorts are drawn of: columns that break them, and orders over these.

import fc from "fast-check";
import type { Value } from "../../../twin/values.js";
import { binary, bool, type DataType, decimal, float64, int32, int64, utf8 } from "../type/data-type.js";

export const CELLS: readonly (readonly [DataType, fc.Arbitrary<Value>])[] = [
  [int32, fc.integer({ min: -2, max: 2 }).map(BigInt)],
  [int64, fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)],
  [float64, fc.constantFrom(0, -0, 1, -1, Number.NaN, Infinity, -Infinity, 5e-324)],
  [decimal(38, 2), fc.bigInt(-(2n ** 100n), 2n ** 100n)],
  [utf8, fc.constantFrom("", "a", "ab", "ä", "\u{1f600}", "\uffee", "aa")],
  [binary, fc.uint8Array({ maxLength: 3 }).map((bytes) => Uint8Array.from(bytes))],
  [bool, fc.boolean()],
];

/** At most two of so many columns to order by, and at least `least`. */
export function drawnOrder(columns: number, least: number) {
  return fc.array(
    fc.record({
      column: fc.nat(columns - 1),
      descending: fc.boolean(),
      nullsFirst: fc.boolean(),
    }),
    { minLength: least, maxLength: 2 },
  );
}
