import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { nextDictionaryId } from "../../bindings/ts/type/column.js";
import type { DataType } from "../../bindings/ts/type/data-type.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { readColumn, type Value, writeColumn } from "../../twin/values.js";
import { Opcode } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { BUILDS, runProgram } from "./testing.js";

/** `count` values of a type, every `nth` of them null. */
function sample(type: DataType, count: number, nth = 5): Value[] {
  return Array.from(
    { length: count },
    (_, row): Value => (row % nth === nth - 1 ? null : exampleOf(type, row)),
  );
}

function exampleOf(type: DataType, row: number): Value {
  switch (type.kind) {
    case "bool":
      return row % 3 === 0;
    case "float":
      return row / 4 - 7;
    case "utf8":
    case "largeUtf8":
      return `häß ${row % 37}`.repeat(row % 3);
    case "dictionary":
      return exampleOf(type.value, row % 50);
    case "int":
      return BigInt(row % 100);
    default:
      return BigInt(row) - 40n;
  }
}

const LOADED: DataType[] = [
  types.bool,
  types.int8,
  types.uint16,
  types.int32,
  types.uint64,
  types.float32,
  types.float64,
  types.decimal(20, 2),
  types.utf8,
  types.largeUtf8,
  types.dictionary(types.utf8, types.int8),
  types.dictionary(types.utf8, types.uint16),
  types.dictionary(types.largeUtf8, types.int32),
  types.dictionary(types.utf8, types.int64),
  types.dictionary(types.int64, types.uint8),
  types.dictionary(types.bool, types.int32),
  types.dictionary(types.decimal(10, 1), types.int16),
];

describe.each(BUILDS)("loads, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test.each(LOADED.map((type) => [types.typeName(type), type] as const))("%s comes through", (_, type) => {
    for (const rows of [0, 1, 63, 64, 65, 2047, 2048, 2049, 5000]) {
      for (const offset of [0, 1, 7, 13]) {
        const column = writeColumn(type, sample(type, rows), { offset });
        const [output] = runProgram(kernel, [column], [types.valueType(type)], (_program, a) => [a!]);
        expect(output).toEqual(readColumn(column));
      }
    }
  });

  test.each(LOADED.map((type) => [types.typeName(type), type] as const))("%s through filters", (_, type) => {
    const rows = 4500;
    const values = writeColumn(type, sample(type, rows), { offset: 3 });
    fc.assert(
      fc.property(fc.infiniteStream(fc.constantFrom(true, false, null)), fc.boolean(), (stream, sparse) => {
        const first = Array.from(
          { length: rows },
          (_, row): Value => (sparse ? row % 97 === 0 : stream.next().value!),
        );
        const second = Array.from({ length: rows }, (): Value => stream.next().value!);
        const columns = [
          values,
          writeColumn(types.bool, first, { offset: 1 }),
          writeColumn(types.bool, second),
        ];
        const outputs = [types.valueType(type), types.uint32];
        const result = runProgram(kernel, columns, outputs, (program, _values, a) => {
          program.filter(a!);
          program.filter(program.load(2));
          return [program.load(0), program.emit(Opcode.ROW_INDEX, Type.U32)];
        });
        const kept = first.flatMap((keep, row) => (keep === true && second[row] === true ? [row] : []));
        const all = readColumn(values);
        expect(result).toEqual([kept.map((row) => all[row]), kept.map(BigInt)]);
      }),
      { numRuns: 10 },
    );
  });

  test.each([
    types.utf8,
    types.largeUtf8,
    types.bool,
    types.int8,
    types.int16,
    types.float32,
    types.int64,
    types.decimal(20, 2),
  ])("dictionaries of $kind: codes of null rows may be anything, and values may be null", (value) => {
    const words: Value[] = Array.from({ length: 20 }, (_, code) => exampleOf(value, code));
    const holes: Value[] = words.map((word, code) => (code % 3 === 1 ? null : word));
    for (const [index, width] of [
      [types.int8, 1],
      [types.uint16, 2],
      [types.uint32, 4],
      [types.int64, 8],
    ] as const) {
      for (const [values, empty] of [
        [words, false],
        [holes, false],
        [holes, true],
      ] as const) {
        const rows = 2100;
        const codes = Array.from(
          { length: rows },
          (_, row): Value =>
            // Without nulls among the codes; with some; or nothing but nulls.
            empty ? null : values === words && row % 7 === 3 ? null : BigInt((row * 5) % 20),
        );
        const { values: bytes, ...indices } = writeColumn(index, codes, { offset: 3 });
        const garbled = bytes.slice();
        codes.forEach((code, row) => {
          if (code === null) garbled.fill(0xfd, (3 + row) * width, (4 + row) * width);
        });
        const column = {
          ...indices,
          values: garbled,
          type: types.dictionary(value, index),
          dictionary: { id: nextDictionaryId(), values: writeColumn(value, values, { offset: 2 }) },
        };
        const expected = codes.map((code) => (code === null ? null : values[Number(code)]!));
        const [output] = runProgram(kernel, [column], [value], (_program, a) => [a!]);
        expect(output).toEqual(expected);
        // Vectors whose rows have values all: their nulls go with the filter.
        const [kept] = runProgram(kernel, [column], [value], (program, a) => {
          const type = types.physicalType(value);
          program.filter(program.emit(Opcode.IS_NOT_NULL, type, { target: Type.BOOL, a: a! }));
          return [program.load(0)];
        });
        expect(kept).toEqual(expected.filter((word) => word !== null));
      }
    }
  });

  test("texts of dictionaries with codes of every width, more than a rough bound is made of", () => {
    const words = ["", "häß".repeat(400), "b", "long".repeat(500)];
    for (const index of [
      types.int8,
      types.uint8,
      types.int16,
      types.uint16,
      types.int32,
      types.uint32,
      types.int64,
    ]) {
      const codes = Array.from(
        { length: 1000 },
        (_, row): Value => (row % 11 === 7 ? null : BigInt(row % 4)),
      );
      const indices = writeColumn(index, codes);
      const garbled = indices.values.slice();
      const width = garbled.length / codes.length;
      codes.forEach((code, row) => {
        if (code === null) garbled.fill(0x7f, row * width, (row + 1) * width);
      });
      const type = types.dictionary(types.utf8, index);
      const values = writeColumn(types.utf8, words);
      const column = { ...indices, values: garbled, type, dictionary: { id: nextDictionaryId(), values } };
      const [twice] = runProgram(kernel, [column], [types.utf8], (program, a) => [
        program.emit(Opcode.CONCAT, Type.BYTES, { a: a!, b: a! }),
      ]);
      expect(twice).toEqual(codes.map((code) => (code === null ? null : words[Number(code)]!.repeat(2))));
    }
  });

  test("literals of every type, null and not, are constant over all rows", () => {
    const column = writeColumn(types.int32, sample(types.int32, 2100));
    for (const type of LOADED.filter(({ kind }) => kind !== "dictionary")) {
      const physical = types.physicalType(type);
      for (const value of [exampleOf(type, 47), type.kind === "bool" ? true : exampleOf(type, 99), null]) {
        const [output] = runProgram(kernel, [column], [type], (program) => [
          program.literal(physical, value),
        ]);
        expect(output).toEqual(Array.from({ length: 2100 }, () => value));
      }
    }
  });
});
