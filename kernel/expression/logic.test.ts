import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { DataType } from "../../bindings/ts/type/data-type.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { physicalType, valueType } from "../../bindings/ts/type/data-type.js";
import { type Value, writeColumn } from "../../twin/values.js";
import { Opcode } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { BUILDS, runProgram } from "./testing.js";
import { arbitraryColumn, arbitraryValue } from "./testing-samples.js";

type Logical = boolean | null;

const CHOSEN: DataType[] = [
  types.bool,
  types.int8,
  types.int16,
  types.int32,
  types.int64,
  types.float32,
  types.float64,
  types.decimal(30, 3),
  types.utf8,
  types.dictionary(types.utf8, types.int16),
];

function and(x: Logical, y: Logical): Logical {
  return x === false || y === false ? false : x === null || y === null ? null : true;
}

function not(x: Logical): Logical {
  return x === null ? null : !x;
}

describe.each(BUILDS)("logic, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const bool = { target: Type.BOOL };

  test("three-valued and, or, not, is null, is true", () => {
    const pair = fc
      .nat(6)
      .chain((size) => fc.tuple(arbitraryColumn(types.bool, size), arbitraryColumn(types.bool, size)));
    fc.assert(
      fc.property(pair, fc.constantFrom(true, false, null), ([left, right], literal) => {
        const results = runProgram(
          kernel,
          [left.column, right.column],
          Array.from({ length: 9 }, () => types.bool),
          (program, a, b) => {
            const constant = program.literal(Type.BOOL, literal);
            return [
              program.emit(Opcode.AND, Type.BOOL, { a: a!, b: b! }),
              program.emit(Opcode.OR, Type.BOOL, { a: a!, b: b! }),
              program.emit(Opcode.AND, Type.BOOL, { a: a!, b: constant }),
              program.emit(Opcode.OR, Type.BOOL, { a: constant, b: b! }),
              program.emit(Opcode.NOT, Type.BOOL, { a: a! }),
              program.emit(Opcode.NOT, Type.BOOL, { a: constant }),
              program.emit(Opcode.IS_NULL, Type.BOOL, { a: a! }),
              program.emit(Opcode.IS_NOT_NULL, Type.BOOL, { a: constant }),
              program.emit(Opcode.IS_TRUE, Type.BOOL, { a: b! }),
            ];
          },
        );
        const x = left.values as Logical[];
        const y = right.values as Logical[];
        const or = (p: Logical, q: Logical) => not(and(not(p), not(q)));
        expect(results).toEqual([
          x.map((value, row) => and(value, y[row]!)),
          x.map((value, row) => or(value, y[row]!)),
          x.map((value) => and(value, literal)),
          y.map((value) => or(literal, value)),
          x.map(not),
          x.map(() => not(literal)),
          x.map((value) => value === null),
          x.map(() => literal !== null),
          y.map((value) => value === true),
        ]);
      }),
      { numRuns: 60 },
    );
  });

  test.each(CHOSEN.map((type) => [types.typeName(type), type] as const))(
    "case and coalesce over %s",
    (_, type) => {
      const physical = physicalType(valueType(type));
      const sides = fc
        .nat(6)
        .chain((size) =>
          fc.tuple(
            arbitraryColumn(types.bool, size),
            arbitraryColumn(type, size),
            arbitraryColumn(type, size),
            arbitraryValue(valueType(type)),
          ),
        );
      fc.assert(
        fc.property(sides, ([when, left, right, literal]) => {
          const outputs = Array.from({ length: 4 }, () => valueType(type));
          const results = runProgram(
            kernel,
            [when.column, left.column, right.column],
            outputs,
            (program, a, b, c) => {
              const constant = program.literal(physical, literal);
              return [
                program.emit(Opcode.SELECT, physical, { a: a!, b: b!, c: c! }),
                program.emit(Opcode.SELECT, physical, { a: a!, b: constant, c: c! }),
                program.emit(Opcode.COALESCE, physical, { a: b!, b: c! }),
                program.emit(Opcode.COALESCE, physical, { a: c!, b: constant }),
              ];
            },
          );
          expect(results).toEqual([
            when.values.map((value, row) => (value === true ? left : right).values[row]!),
            when.values.map((value, row) => (value === true ? literal : right.values[row]!)),
            left.values.map((value, row) => value ?? right.values[row]!),
            right.values.map((value) => value ?? literal),
          ]);
        }),
        { numRuns: 25 },
      );
    },
  );

  test.each([types.float32, types.float64])("is NaN", (type) => {
    const values: Value[] = [Number.NaN, 1, null, Infinity, -0];
    const [result] = runProgram(
      kernel,
      [writeColumn(type, values, { offset: 3 })],
      [types.bool],
      (program, a) => [program.emit(Opcode.IS_NAN, physicalType(type), { ...bool, a: a! })],
    );
    expect(result).toEqual([true, false, null, false, false]);
  });
});
