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
import { arbitraryColumn, arbitraryValue, compareBytes, compareValues } from "./testing-samples.js";

const COMPARED: DataType[] = [
  types.bool,
  types.int8,
  types.int16,
  types.int32,
  types.int64,
  types.uint8,
  types.uint16,
  types.uint32,
  types.uint64,
  types.float32,
  types.float64,
  types.decimal(38, 3),
  types.utf8,
  types.largeUtf8,
  types.dictionary(types.utf8, types.int8),
  types.dictionary(types.utf8, types.uint32),
  types.dictionary(types.int64, types.int16),
];

const OPERATORS: [Opcode, (order: number) => boolean][] = [
  [Opcode.EQUAL, (order) => order === 0],
  [Opcode.NOT_EQUAL, (order) => order !== 0],
  [Opcode.LESS, (order) => order < 0],
  [Opcode.LESS_EQUAL, (order) => order <= 0],
  [Opcode.GREATER, (order) => order > 0],
  [Opcode.GREATER_EQUAL, (order) => order >= 0],
];

describe.each(BUILDS)("comparisons, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test.each(COMPARED.map((type) => [types.typeName(type), type] as const))("%s", (_, type) => {
    const physical = physicalType(valueType(type));
    fc.assert(
      fc.property(
        fc
          .nat(6)
          .chain((size) =>
            fc.tuple(
              arbitraryColumn(type, size),
              arbitraryColumn(type, size),
              arbitraryValue(valueType(type)),
            ),
          ),
        ([left, right, constant]) => {
          const columns = [left.column, right.column];
          const outputs = Array.from({ length: 20 }, () => types.bool);
          const results = runProgram(kernel, columns, outputs, (program, a, b) => {
            const literal = program.literal(physical, constant);
            return [
              ...OPERATORS.map(([opcode]) =>
                program.emit(opcode, physical, { target: Type.BOOL, a: a!, b: b! }),
              ),
              ...OPERATORS.map(([opcode]) =>
                program.emit(opcode, physical, { target: Type.BOOL, a: a!, b: literal }),
              ),
              ...OPERATORS.map(([opcode]) =>
                program.emit(opcode, physical, { target: Type.BOOL, a: literal, b: b! }),
              ),
              program.emit(Opcode.SAME, physical, { target: Type.BOOL, a: a!, b: b! }),
              program.emit(Opcode.SAME, physical, { target: Type.BOOL, a: a!, b: literal }),
            ];
          });
          const pairs = (other: "column" | "right" | "left") =>
            left.values.map((value, row): [Value, Value] => {
              if (other === "column") return [value, right.values[row]!];
              return other === "right" ? [value, constant] : [constant, right.values[row]!];
            });
          const expected = (["column", "right", "left"] as const).flatMap((other) =>
            OPERATORS.map(([, holds]) =>
              pairs(other).map(([x, y]) => (x === null || y === null ? null : holds(compareValues(x, y)))),
            ),
          );
          const same = (["column", "right"] as const).map((other) =>
            pairs(other).map(([x, y]) => (x === null || y === null ? x === y : compareValues(x, y) === 0)),
          );
          expect(results).toEqual([...expected, ...same]);
        },
      ),
      { numRuns: 25 },
    );
  });

  test.each(COMPARED.map((type) => [types.typeName(type), type] as const))("%s in a list", (_, type) => {
    const physical = physicalType(valueType(type));
    fc.assert(
      fc.property(
        fc
          .nat(6)
          .chain((size) =>
            fc.tuple(
              arbitraryColumn(type, size),
              fc.array(arbitraryValue(valueType(type)), { maxLength: 40 }),
            ),
          ),
        ([{ column, values }, more]) => {
          const list = [...values.filter((_value, row) => row % 3 === 0).slice(0, 30), ...more];
          const present = list.filter((value) => value !== null);
          const [result] = runProgram(kernel, [column], [types.bool], (program, a) => [
            program.emit(Opcode.IN, physical, {
              target: Type.BOOL,
              a: a!,
              arg0: program.list(physical, list),
            }),
          ]);
          const expected = values.map((value) => {
            if (value === null) return null;
            if (present.some((item) => compareValues(item, value) === 0)) return true;
            return present.length < list.length ? null : false;
          });
          expect(result).toEqual(expected);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("texts order by bytes, prefixes first", () => {
    const texts = ["", "a", "ab", "abcdefgh", "abcdefghi", "abcdefgz", "ä", "€", "😀", "\u{ffff}"];
    const pairs = texts.flatMap((x) => texts.map((y) => [x, y] as const));
    const columns = [0, 1].map((side) =>
      writeColumn(
        types.utf8,
        pairs.map((pair) => pair[side]!),
      ),
    );
    const [less] = runProgram(kernel, columns, [types.bool], (program, a, b) => [
      program.emit(Opcode.LESS, Type.BYTES, { target: Type.BOOL, a: a!, b: b! }),
    ]);
    expect(less).toEqual(pairs.map(([x, y]) => compareBytes(x, y) < 0));
  });
});
