// ORDER_KEY: keys compare as the values do, by themselves and put together, in every build.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { compareValues } from "../../twin/aggregate.js";
import { type Value, writeColumn } from "../../twin/values.js";
import { Opcode, OrderKeyFlag } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { BUILDS, runProgram } from "./testing.js";
import { arbitraryValue } from "./testing-samples.js";

const TYPES: types.DataType[] = [
  types.bool,
  types.int8,
  types.uint16,
  types.int32,
  types.int64,
  types.uint64,
  types.float32,
  types.float64,
  types.decimal(38, 2),
  types.utf8,
  types.dictionary(types.utf8, types.int8),
];

/** By the flags' rules: nulls last, -0 as +0 where they say so, all else in the total order. */
function compare(a: Value, b: Value, flags: number): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const zero = (value: Value) => (flags & OrderKeyFlag.ZEROS_EQUAL && value === 0 ? 0 : value);
  return compareValues(zero(a), zero(b)) * (flags & OrderKeyFlag.DESCENDING ? -1 : 1);
}

const side = fc.constantFrom(...TYPES).chain((type) =>
  fc.record({
    type: fc.constant(type),
    values: fc.array(
      fc.option(fc.oneof(arbitraryValue(types.valueType(type)), zeros(types.valueType(type))), { freq: 6 }),
      {
        minLength: 12,
        maxLength: 12,
      },
    ),
    flags: fc.constantFrom(4, 5, 6, 7),
  }),
);

function zeros(type: types.DataType): fc.Arbitrary<Value> {
  if (type.kind === "float") return fc.constantFrom(0, -0, Number.NaN);
  return type.kind === "utf8"
    ? fc.constantFrom("", "\0", "\0\0", "a", "a\0", "a\0b", "ab", "\u00ff")
    : arbitraryValue(type);
}

describe.each(BUILDS)("order keys, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test("of two columns order as the pairs do", () => {
    fc.assert(
      fc.property(side, side, (first, second) => {
        const columns = [first, second].map(({ type, values }) => writeColumn(type, values));
        const [keys] = runProgram(kernel, columns, [types.binary], (program, ...loaded) => {
          const [a, b] = [first, second].map(({ flags }, at) =>
            program.emit(Opcode.ORDER_KEY, program.typeOf(loaded[at]!), {
              a: loaded[at]!,
              target: Type.BYTES,
              arg0: flags,
            }),
          );
          return [program.emit(Opcode.CONCAT, Type.BYTES, { a: a!, b: b! })];
        });
        for (let i = 0; i < 12; i++) {
          for (let j = 0; j < i; j++) {
            const wanted =
              compare(first.values[i]!, first.values[j]!, first.flags) ||
              compare(second.values[i]!, second.values[j]!, second.flags);
            expect(Math.sign(compareValues(keys![i]!, keys![j]!)) + 0).toBe(Math.sign(wanted) + 0);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  test("are null where the value is, without NULLABLE", () => {
    const column = writeColumn(types.int32, [1n, null, -1n]);
    const [keys] = runProgram(kernel, [column], [types.binary], (program, a) => [
      program.emit(Opcode.ORDER_KEY, Type.I32, { a: a!, target: Type.BYTES }),
    ]);
    expect(keys!.map((key) => (key === null ? null : [...(key as Uint8Array)]))).toEqual([
      [128, 0, 0, 0, 0, 0, 0, 1],
      null,
      [127, 255, 255, 255, 255, 255, 255, 255],
    ]);
  });
});
