import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { nextDictionaryId } from "../../bindings/ts/type/column.js";
import type { DataType } from "../../bindings/ts/type/data-type.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { readColumn, type Value, writeColumn } from "../../twin/values.js";
import { Opcode } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { BUILDS, runProgram } from "./testing.js";
import { arbitraryColumn, arbitraryValue } from "./testing-samples.js";

const TEXTS: DataType[] = [
  types.utf8,
  types.largeUtf8,
  types.dictionary(types.utf8, types.int8),
  types.dictionary(types.utf8, types.int32),
];
const byName = TEXTS.map((type) => [types.typeName(type), type] as const);
const encoder = new TextEncoder();

/** LIKE as a regular expression over code points. */
function like(text: string, pattern: string, escapeWith: string): boolean {
  const quote = (letter: string) => letter.replace(/[\\^$.*+?()[\]{}|/]/u, "\\$&");
  const letters = [...pattern];
  let source = "";
  for (let i = 0; i < letters.length; i++) {
    const letter = letters[i]!;
    if (letter === escapeWith && i + 1 < letters.length) source += quote(letters[++i]!);
    else
      source +=
        letter === "%" && escapeWith !== "%"
          ? ".*"
          : letter === "_" && letter !== escapeWith
            ? "."
            : quote(letter);
  }
  return new RegExp(`^${source}$`, "su").test(text);
}

function substring(text: string, start: bigint, count: bigint | null): string {
  const letters = [...text];
  const end = count === null ? letters.length : Number(start - 1n + (count < 0n ? 0n : count));
  const from = Math.max(0, Number(start) - 1);
  return letters.slice(from, Math.max(from, Math.min(letters.length, end))).join("");
}

const blanks = /[ \t\n\v\f\r]/;
function trim(text: string, sides: number): string {
  let from = 0;
  let to = text.length;
  if (sides & 1) while (from < to && blanks.test(text[from]!)) from++;
  if (sides & 2) while (from < to && blanks.test(text[to - 1]!)) to--;
  return text.slice(from, to);
}

function lowerPairs(): [number, number][] {
  const pairs: [number, number][] = [];
  for (let code = 0; code < 0x1f000; code++) {
    const lower = String.fromCodePoint(code).toLowerCase();
    if ([...lower].length === 1 && lower.codePointAt(0) !== code) pairs.push([code, lower.codePointAt(0)!]);
  }
  return pairs;
}

describe.each(BUILDS)("texts, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const column = (type: DataType) => fc.nat(6).chain((size) => arbitraryColumn(type, size));

  test.each(byName)("prefix, suffix and part of %s, constant and varying", (_, type) => {
    const opcodes = [Opcode.STARTS_WITH, Opcode.ENDS_WITH, Opcode.CONTAINS];
    const apply = (which: number, text: string, part: string) =>
      which === 0 ? text.startsWith(part) : which === 1 ? text.endsWith(part) : text.includes(part);
    const sides = fc
      .nat(6)
      .chain((size) => fc.tuple(arbitraryColumn(type, size), arbitraryColumn(type, size)));
    fc.assert(
      fc.property(sides, arbitraryValue(types.utf8), ([left, right], literal) => {
        const results = runProgram(
          kernel,
          [left.column, right.column],
          Array.from({ length: 6 }, () => types.bool),
          (program, a, b) => {
            const constant = program.literal(Type.BYTES, literal);
            return [b!, constant].flatMap((part) =>
              opcodes.map((opcode) =>
                program.emit(opcode, Type.BYTES, { target: Type.BOOL, a: a!, b: part }),
              ),
            );
          },
        );
        const expected = [right.values, left.values.map(() => literal)].flatMap((parts) =>
          opcodes.map((_opcode, which) =>
            left.values.map((text, row) => {
              const part = parts[row]!;
              return text === null || part === null ? null : apply(which, text as string, part as string);
            }),
          ),
        );
        expect(results).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test.each(byName)("long %s contain parts anywhere", (_, type) => {
    const texts = Array.from(
      { length: 120 },
      (_value, row): Value => `${"xy".repeat(row % 50)}needle${"xz".repeat(row % 7)}`.slice(row % 11),
    );
    const parts = ["needle", "n", "yneedlex", "xyxyxyxyxyxyxyxyxyxyn", "nothing", ""];
    const results = runProgram(
      kernel,
      [writeColumn(type, texts)],
      parts.map(() => types.bool),
      (program, a) =>
        parts.map((part) =>
          program.emit(Opcode.CONTAINS, Type.BYTES, {
            target: Type.BOOL,
            a: a!,
            b: program.literal(Type.BYTES, part),
          }),
        ),
    );
    expect(results).toEqual(parts.map((part) => texts.map((text) => (text as string).includes(part))));
  });

  test.each(byName)("%s like", (_, type) => {
    const pattern = fc.string({
      unit: fc.constantFrom("%", "_", "a", "b", "ä", "\\", "😀", " "),
      maxLength: 7,
    });
    const text = fc.option(
      fc.string({ unit: fc.constantFrom("a", "b", "ä", "%", "_", "\\", "😀", " "), maxLength: 9 }),
      { freq: 6 },
    );
    const columns = fc.nat(6).chain((size) => arbitraryColumn(type, size, text));
    fc.assert(
      fc.property(
        columns,
        pattern,
        fc.constantFrom("", "\\", "%", "_", "a"),
        ({ column: texts, values }, literal, escapeWith) => {
          const [result] = runProgram(kernel, [texts], [types.bool], (program, a) => [
            program.emit(Opcode.LIKE, Type.BYTES, {
              target: Type.BOOL,
              a: a!,
              b: program.literal(Type.BYTES, literal),
              arg0: escapeWith === "" ? 0 : escapeWith.charCodeAt(0),
            }),
          ]);
          expect(result).toEqual(
            values.map((value) => (value === null ? null : like(value as string, literal, escapeWith))),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  test.each(byName)("lengths, trims and concatenation of %s", (_, type) => {
    const sides = fc
      .nat(6)
      .chain((size) => fc.tuple(arbitraryColumn(type, size), arbitraryColumn(type, size)));
    fc.assert(
      fc.property(sides, arbitraryValue(types.utf8), ([left, right], literal) => {
        const outputs = [types.int64, types.int64, ...Array.from({ length: 6 }, () => types.utf8)];
        const results = runProgram(kernel, [left.column, right.column], outputs, (program, a, b) => {
          const constant = program.literal(Type.BYTES, literal);
          const once = program.emit(Opcode.CONCAT, Type.BYTES, { a: a!, b: b! });
          return [
            program.emit(Opcode.LENGTH, Type.BYTES, { target: Type.I64, a: a! }),
            program.emit(Opcode.OCTET_LENGTH, Type.BYTES, { target: Type.I64, a: b! }),
            ...[1, 2, 3].map((sides_) => program.emit(Opcode.TRIM, Type.BYTES, { a: a!, arg0: sides_ })),
            once,
            program.emit(Opcode.CONCAT, Type.BYTES, { a: constant, b: once }),
            program.emit(Opcode.CONCAT, Type.BYTES, { a: once, b: once }),
          ];
        });
        const map = (values: readonly Value[], apply: (text: string) => Value) =>
          values.map((value) => (value === null ? null : apply(value as string)));
        const both = left.values.map((text, row) => {
          const other = right.values[row]!;
          return text === null || other === null ? null : `${text}${other}`;
        });
        expect(results).toEqual([
          map(left.values, (text) => BigInt([...text].length)),
          map(right.values, (text) => BigInt(encoder.encode(text).length)),
          ...[1, 2, 3].map((side) => map(left.values, (text) => trim(text, side))),
          both,
          map(both, (text) => (literal === null ? null : literal + text)),
          map(both, (text) => text + text),
        ]);
      }),
      { numRuns: 40 },
    );
  });

  test.each(byName)("substrings of %s", (_, type) => {
    const number = fc.oneof(fc.bigInt(-5n, 9n), fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n)));
    const optional = fc.option(number, { freq: 6 });
    const sides = fc
      .nat(6)
      .chain((size) =>
        fc.tuple(
          arbitraryColumn(type, size),
          arbitraryColumn(types.int64, size, optional),
          arbitraryColumn(types.int64, size, optional),
        ),
      );
    fc.assert(
      fc.property(sides, number, ([texts, starts, counts], start) => {
        const outputs = [types.utf8, types.utf8, types.utf8];
        const results = runProgram(
          kernel,
          [texts.column, starts.column, counts.column],
          outputs,
          (program, a, b, c) => [
            program.emit(Opcode.SUBSTRING, Type.BYTES, { a: a!, b: b!, c: c! }),
            program.emit(Opcode.SUBSTRING, Type.BYTES, { a: a!, b: b! }),
            program.emit(Opcode.SUBSTRING, Type.BYTES, { a: a!, b: program.literal(Type.I64, start), c: c! }),
          ],
        );
        const expected = (from: readonly Value[], count: readonly Value[] | null) =>
          texts.values.map((text, row) => {
            const x = from[row]!;
            const y = count === null ? 0n : count[row]!;
            if (text === null || x === null || y === null) return null;
            return substring(text as string, x as bigint, count === null ? null : (y as bigint));
          });
        expect(results).toEqual([
          expected(starts.values, counts.values),
          expected(starts.values, null),
          expected(
            texts.values.map(() => start),
            counts.values,
          ),
        ]);
      }),
      { numRuns: 60 },
    );
  });

  test.each(byName)("lower case of %s by a table", (_, type) => {
    const pairs = lowerPairs();
    const lower = new Map(pairs.map(([from, to]) => [String.fromCodePoint(from), String.fromCodePoint(to)]));
    fc.assert(
      fc.property(column(type), ({ column: texts, values }) => {
        const [result] = runProgram(kernel, [texts], [types.utf8], (program, a) => [
          program.emit(Opcode.CASE_MAP, Type.BYTES, { a: a!, arg0: program.caseTable(pairs) }),
        ]);
        const mapped = values.map((text) =>
          text === null ? null : [...(text as string)].map((letter) => lower.get(letter) ?? letter).join(""),
        );
        expect(result).toEqual(mapped);
      }),
      { numRuns: 15 },
    );
  });

  test("case mapping may lengthen every letter, and survives bytes that are no UTF-8", () => {
    const table: [number, number][] = [
      [0x61, 0x10000],
      [0xe4, 0x61],
    ];
    const values: Value[] = [
      Uint8Array.of(0x61, 0xff, 0xc3, 0x61, 0xe2, 0x82),
      Uint8Array.of(0xc3, 0xa4, 0xf0, 0x9f),
    ];
    const long = Array.from({ length: 3000 }, () => new Uint8Array(40).fill(0x61));
    const [result] = runProgram(
      kernel,
      [writeColumn(types.binary, [...values, ...long])],
      [types.binary],
      (program, a) => [program.emit(Opcode.CASE_MAP, Type.BYTES, { a: a!, arg0: program.caseTable(table) })],
    );
    const high = [0xf0, 0x90, 0x80, 0x80];
    expect(result!.slice(0, 2)).toEqual([
      Uint8Array.of(...high, 0xff, 0xc3, ...high, 0xe2, 0x82),
      Uint8Array.of(0x61, 0xf0, 0x9f),
    ]);
    expect(
      result!
        .slice(2)
        .every((text) =>
          Buffer.from(text as Uint8Array).equals(Buffer.from(Array.from({ length: 40 }, () => high).flat())),
        ),
    ).toBe(true);
  });

  test("case mapping counts bytes where four for each would not fit", () => {
    const table: [number, number][] = [
      [0x61, 0x41],
      [0xe4, 0xc4],
    ];
    // Letters of one and two bytes, and bytes that are no UTF-8.
    const text = Uint8Array.from({ length: 99 }, (_, at) => [0x61, 0x7a, 0xff, 0xc3, 0xa4][at % 5]!);
    const mapped = Uint8Array.from({ length: 99 }, (_, at) => [0x41, 0x7a, 0xff, 0xc3, 0x84][at % 5]!);
    const [result] = runProgram(kernel, [writeColumn(types.binary, [text])], [types.binary], (program, a) => [
      program.emit(Opcode.CASE_MAP, Type.BYTES, { a: a!, arg0: program.caseTable(table) }),
    ]);
    expect(result).toEqual([mapped]);
  });

  const TOO_LONG: [string, number, (program: ProgramBuilder, a: number) => number][] = [
    [
      "a concatenation",
      2047,
      (program, a) => program.emit(Opcode.CONCAT, Type.BYTES, { a, b: program.literal(Type.BYTES, "") }),
    ],
    [
      "a mapped text",
      2047,
      (program, a) => program.emit(Opcode.CASE_MAP, Type.BYTES, { a, arg0: program.caseTable([]) }),
    ],
    // A key of its own is as long, but room must be left for twice as much.
    ["a sort key", 2046, (program, a) => program.emit(Opcode.ORDER_KEY, Type.BYTES, { a })],
  ];
  // A quarter of a gigabyte each: once is enough.
  test.runIf(build === BUILDS[0]).each(TOO_LONG)(
    "%s of more than 256 MiB in a vector names the first row too many",
    (_, row, write) => {
      const zeros = writeColumn(types.int8, new Array<Value>(2048).fill(0n));
      const values = writeColumn(types.utf8, ["a".repeat(131_073)]);
      const column = {
        ...zeros,
        type: types.dictionary(types.utf8, types.int8),
        dictionary: { id: nextDictionaryId(), values },
      };
      const run = () =>
        runProgram(kernel, [column], [types.uint32], (program, a) => {
          write(program, a!);
          return [program.emit(Opcode.ROW_INDEX, Type.U32)];
        });
      expect(run).toThrow(expect.objectContaining({ code: "OVERFLOW", row }));
    },
  );

  test("a predicate over a dictionary of more than a million values goes by rows", () => {
    const length = 2 ** 20 + 1;
    const offsets = new Uint32Array(length + 1);
    offsets[length] = 1;
    const values = {
      ...writeColumn(types.utf8, ["a"]),
      length,
      offsets: new Uint8Array(offsets.buffer),
    };
    const type = types.dictionary(types.utf8, types.uint32);
    const codes = writeColumn(types.uint32, [0n, BigInt(length - 1), null, 77n]);
    const column = { ...codes, type, dictionary: { id: nextDictionaryId(), values } };
    const [result] = runProgram(kernel, [column], [types.bool], (program, a) => [
      program.emit(Opcode.STARTS_WITH, Type.BYTES, {
        target: Type.BOOL,
        a: a!,
        b: program.literal(Type.BYTES, "a"),
      }),
    ]);
    expect(result).toEqual([false, true, null, false]);
  });

  test("a predicate over a dictionary follows it when it grows, shrinks and is replaced", () => {
    const program = (part: string) => (builder: ProgramBuilder) => {
      const a = builder.load(builder.column(Type.BYTES));
      builder.output(
        builder.emit(Opcode.CONTAINS, Type.BYTES, {
          target: Type.BOOL,
          a,
          b: builder.literal(Type.BYTES, part),
        }),
      );
      return builder.encode();
    };
    const type = types.dictionary(types.utf8, types.int16);
    const words = ["apple", "pear", "plum", "apricot", "grape", "peach"];
    const bytes = program("ap");
    const operator = kernel.project({
      program: bytes(new ProgramBuilder()),
      columns: [0],
      output: { fields: [{ name: "o", type: types.bool, nullable: true }] },
    });
    const batch = (id: number, dictionary: readonly string[], codes: readonly (number | null)[]) => {
      const indices = writeColumn(
        types.int16,
        codes.map((code) => (code === null ? null : BigInt(code))),
      );
      const garbled = indices.values.slice();
      codes.forEach((code, row) => {
        if (code === null) garbled.fill(0x7f, row * 2, row * 2 + 2);
      });
      const values = writeColumn(types.utf8, dictionary);
      const data = { ...indices, values: garbled, type, dictionary: { id, values } };
      return {
        schema: { fields: [{ name: "c0", type, nullable: true }] },
        length: codes.length,
        columns: [data],
      };
    };
    const steps: [number, readonly string[], (number | null)[]][] = [
      [1001, words.slice(0, 2), [0, 1, null, 0]],
      [1001, words, [5, 4, 3, 2, 1, 0, null]],
      [1001, words.slice(0, 3), [2, 0]],
      [1001, words, [4, 3, 5]],
      [1002, [...words].reverse(), [0, 1, 2, 3, 4, 5]],
      [
        1003,
        Array.from({ length: 3000 }, (_value, code) => `ap${code}`.slice(code % 2)),
        [0, 1, 2999, 2998, null],
      ],
    ];
    for (const [id, dictionary, codes] of steps) {
      const results = [...operator.process(batch(id, dictionary, codes))].flatMap(({ columns }) =>
        readColumn(columns[0]!),
      );
      expect(results).toEqual(codes.map((code) => (code === null ? null : dictionary[code]!.includes("ap"))));
    }
    operator.destroy();
  });
});
