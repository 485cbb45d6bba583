import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import type { ColumnData } from "../../bindings/ts/type/column.js";
import type { DataType } from "../../bindings/ts/type/data-type.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { physicalType } from "../../bindings/ts/type/data-type.js";
import { OverflowError } from "../../bindings/ts/type/error.js";
import { type Value, writeColumn } from "../../twin/values.js";
import { Opcode } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { BUILDS, runBatches, runProgram } from "./testing.js";
import { arbitraryColumn, arbitraryValue, integerRange } from "./testing-samples.js";

const DECIMAL_LIMIT = 10n ** 38n;
const decimal38 = types.decimal(38, 0);

/** A result, null, or "overflow". */
type Outcome = Value | "overflow";

function checked(value: bigint, type: DataType): Outcome {
  if (type.kind === "decimal") return value < DECIMAL_LIMIT && value > -DECIMAL_LIMIT ? value : "overflow";
  if (type.kind !== "int") throw new RangeError(type.kind);
  const [low, high] = integerRange(type);
  return value >= low && value <= high ? value : "overflow";
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

const INTEGER_BINARY: [string, Opcode, (x: bigint, y: bigint) => bigint | null][] = [
  ["add", Opcode.ADD, (x, y) => x + y],
  ["subtract", Opcode.SUBTRACT, (x, y) => x - y],
  ["multiply", Opcode.MULTIPLY, (x, y) => x * y],
  ["divide", Opcode.INTEGER_DIVIDE, (x, y) => (y === 0n ? null : x / y)],
  ["modulo", Opcode.MODULO, (x, y) => (y === 0n ? null : x % y)],
];

const INTEGER_UNARY: [string, Opcode, (x: bigint) => bigint][] = [
  ["negate", Opcode.NEGATE, (x) => -x],
  ["abs", Opcode.ABS, magnitude],
  ["sign", Opcode.SIGN, (x) => (x === 0n ? 0n : x < 0n ? -1n : 1n)],
];

const FLOAT_BINARY: [string, Opcode, (x: number, y: number) => number][] = [
  ["add", Opcode.ADD, (x, y) => x + y],
  ["subtract", Opcode.SUBTRACT, (x, y) => x - y],
  ["multiply", Opcode.MULTIPLY, (x, y) => x * y],
  ["divide", Opcode.DIVIDE, (x, y) => x / y],
  ["modulo", Opcode.MODULO, (x, y) => x % y],
];

const FLOAT_UNARY: [string, Opcode, (x: number) => number][] = [
  ["negate", Opcode.NEGATE, (x) => -x],
  ["abs", Opcode.ABS, Math.abs],
  ["floor", Opcode.FLOOR, Math.floor],
  ["ceil", Opcode.CEIL, Math.ceil],
  ["sqrt", Opcode.SQRT, Math.sqrt],
  ["sign", Opcode.SIGN, Math.sign],
];

/** Runs a program whose rows may overflow: the results, or the first row that does. */
function outcome(run: () => Value[]): Value[] | { row: number | undefined } {
  try {
    return run();
  } catch (error) {
    if (error instanceof OverflowError) return { row: error.row };
    throw error;
  }
}

function expectedOutcome(outcomes: readonly Outcome[]): Value[] | { row: number } {
  const row = outcomes.indexOf("overflow");
  return row >= 0 ? { row } : (outcomes as Value[]);
}

/** Mostly small values, so that some batches pass without an overflow. */
function mild(type: DataType, size: number) {
  const small = fc.option(fc.bigInt(type.kind === "int" && !type.signed ? 0n : -300n, 300n), { freq: 4 });
  return fc.oneof(arbitraryColumn(type, size), arbitraryColumn(type, size, small));
}

describe.each(BUILDS)("arithmetic, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const one = (columns: ColumnData[], type: DataType, opcode: Opcode, extra = {}) =>
    runProgram(kernel, columns, [type], (program, a, b) => [
      program.emit(opcode, physicalType(type), { a: a!, ...(b === undefined ? {} : { b }), ...extra }),
    ])[0]!;

  describe.each(
    [types.int32, types.int64, types.uint64, decimal38].map((type) => [types.typeName(type), type] as const),
  )("%s", (_, type) => {
    test.each(INTEGER_BINARY)("%s", (_name, opcode, apply) => {
      fc.assert(
        fc.property(
          fc.nat(6).chain((size) => fc.tuple(mild(type, size), mild(type, size))),
          ([a, b]) => {
            const outcomes = a.values.map((x, row): Outcome => {
              const y = b.values[row]!;
              const value = x === null || y === null ? null : apply(x as bigint, y as bigint);
              return value === null ? null : checked(value, type);
            });
            expect(outcome(() => one([a.column, b.column], type, opcode))).toEqual(expectedOutcome(outcomes));
          },
        ),
        { numRuns: 30 },
      );
    });

    test.each(INTEGER_BINARY)("%s with a literal on either side", (_name, opcode, apply) => {
      const values = fc
        .nat(6)
        .chain((size) => fc.tuple(mild(type, size), arbitraryValue(type), fc.boolean()));
      fc.assert(
        fc.property(values, ([a, literal, left]) => {
          const outcomes = a.values.map((x): Outcome => {
            if (x === null || literal === null) return null;
            const value = apply((left ? literal : x) as bigint, (left ? x : literal) as bigint);
            return value === null ? null : checked(value, type);
          });
          const run = () =>
            runProgram(kernel, [a.column], [type], (program, register) => {
              const constant = program.literal(physicalType(type), literal);
              const operands = left ? { a: constant, b: register! } : { a: register!, b: constant };
              return [program.emit(opcode, physicalType(type), operands)];
            })[0]!;
          expect(outcome(run)).toEqual(expectedOutcome(outcomes));
        }),
        { numRuns: 30 },
      );
    });

    test.each(INTEGER_UNARY)("%s", (_name, opcode, apply) => {
      fc.assert(
        fc.property(
          fc.nat(6).chain((size) => mild(type, size)),
          (a) => {
            const outcomes = a.values.map(
              (x): Outcome => (x === null ? null : checked(apply(x as bigint), type)),
            );
            expect(outcome(() => one([a.column], type, opcode))).toEqual(expectedOutcome(outcomes));
          },
        ),
        { numRuns: 20 },
      );
    });
  });

  describe.each([types.float32, types.float64].map((type) => [types.typeName(type), type] as const))(
    "%s",
    (_, type) => {
      const round = type.bits === 32 ? Math.fround : (value: number) => value;

      test.each(FLOAT_BINARY)("%s", (_name, opcode, apply) => {
        fc.assert(
          fc.property(
            fc.nat(6).chain((size) => fc.tuple(arbitraryColumn(type, size), arbitraryColumn(type, size))),
            ([a, b]) => {
              const expected = a.values.map((x, row) => {
                const y = b.values[row]!;
                return x === null || y === null ? null : round(apply(x as number, y as number));
              });
              expect(one([a.column, b.column], type, opcode)).toEqual(expected);
            },
          ),
          { numRuns: 30 },
        );
      });

      test.each(FLOAT_UNARY)("%s", (_name, opcode, apply) => {
        fc.assert(
          fc.property(
            fc.nat(6).chain((size) => arbitraryColumn(type, size)),
            (a) => {
              const expected = a.values.map((x) => (x === null ? null : round(apply(x as number))));
              expect(one([a.column], type, opcode)).toEqual(expected);
            },
          ),
          { numRuns: 20 },
        );
      });

      test("round, half away from zero", () => {
        const digits = fc.integer({ min: -25, max: 25 });
        fc.assert(
          fc.property(
            fc.nat(5).chain((size) => arbitraryColumn(type, size)),
            digits,
            (a, places) => {
              const expected = a.values.map((x) => (x === null ? null : round(rounded(x as number, places))));
              expect(one([a.column], type, Opcode.ROUND, { arg0: places >>> 0 })).toEqual(expected);
            },
          ),
          { numRuns: 60 },
        );
      });

      test("rounding to more digits than there are changes nothing, to fewer leaves 0", () => {
        const values = [0, -0, 1.5, -2.5e30, 3e38, -1e-40, Infinity, -Infinity, Number.NaN].map(round);
        for (const places of [-2147483648, -401, -400, -309, 309, 400, 401, 2147483647]) {
          const rounded = one([writeColumn(type, values)], type, Opcode.ROUND, { arg0: places >>> 0 });
          expect(rounded).toEqual(values.map((x) => (places > 0 || !Number.isFinite(x) ? x : 0)));
        }
      });
    },
  );

  test("decimals rounded to a place before their first digit are 0", () => {
    const values = [10n ** 38n - 1n, -(10n ** 38n) + 1n, 0n, null];
    const type = types.decimal(38, 38);
    for (const [places, expected] of [
      [-1, [0n, 0n, 0n, null]],
      [-300, [0n, 0n, 0n, null]],
      [38, values],
    ] as const) {
      const extra = { arg0: places >>> 0, arg1: 38 };
      expect(one([writeColumn(type, values)], type, Opcode.ROUND, extra)).toEqual(expected);
    }
  });

  test("NaN results have one bit pattern", () => {
    const columns = [
      writeColumn(types.float64, [0, Infinity, -1]),
      writeColumn(types.float64, [0, Infinity, 0]),
    ];
    const program = new ProgramBuilder();
    const [a, b] = columns.map(() => program.load(program.column(Type.F64))) as [number, number];
    program.output(program.emit(Opcode.DIVIDE, Type.F64, { a, b }));
    program.output(program.emit(Opcode.SUBTRACT, Type.F64, { a, b }));
    program.output(program.emit(Opcode.SQRT, Type.F64, { a }));
    const float = types.float64;
    const [batch] = runBatches(kernel, columns, [float, float, float], program.encode());
    const bits = batch!.columns.map(({ values }) => new BigUint64Array(values.buffer, values.byteOffset, 3));
    const canonical = 0x7ff8000000000000n;
    expect([bits[0]![0], bits[0]![1], bits[1]![1], bits[2]![2]]).toEqual(
      Array.from({ length: 4 }, () => canonical),
    );
  });

  test.each([
    [Opcode.FLOOR, (x: bigint, unit: bigint) => x - (((x % unit) + unit) % unit)],
    [Opcode.CEIL, (x: bigint, unit: bigint) => -(-x - (((-x % unit) + unit) % unit))],
    [
      Opcode.ROUND,
      (x: bigint, unit: bigint) => (x < 0n ? -1n : 1n) * (((magnitude(x) * 2n + unit) / (unit * 2n)) * unit),
    ],
  ] as const)("decimals to a multiple, opcode %i", (opcode, apply) => {
    fc.assert(
      fc.property(
        fc.nat(6).chain((size) => mild(decimal38, size)),
        fc.nat(38),
        (a, places) => {
          const unit = 10n ** BigInt(places);
          const outcomes = a.values.map(
            (x): Outcome => (x === null ? null : checked(apply(x as bigint, unit), decimal38)),
          );
          const extra = opcode === Opcode.ROUND ? { arg0: 0, arg1: places } : { arg0: places };
          expect(outcome(() => one([a.column], decimal38, opcode, extra))).toEqual(expectedOutcome(outcomes));
        },
      ),
      { numRuns: 40 },
    );
  });

  test("an overflow names row and instruction, of the rows that count only", () => {
    const rows = 5000;
    const max = 2n ** 63n - 1n;
    const at = 4321;
    const a = Array.from(
      { length: rows },
      (_, row): Value => (row === at || row === 77 || row === 4500 ? max : 1n),
    );
    const dropped = Array.from({ length: rows }, (_, row) => row !== 77);
    const columns = [writeColumn(types.int64, a), writeColumn(types.bool, dropped)];
    const run = (write: Parameters<typeof runProgram>[3]) =>
      outcome(() => runProgram(kernel, columns, [types.int64], write)[0]!);
    expect(
      run((program, x) => [program.emit(Opcode.ADD, Type.I64, { a: x!, b: program.literal(Type.I64, 1n) })]),
    ).toEqual({ row: 77 });
    expect(
      run((program, _x, keep) => {
        program.filter(keep!);
        return [program.emit(Opcode.ADD, Type.I64, { a: program.load(0), b: program.literal(Type.I64, 1n) })];
      }),
    ).toEqual({ row: at });
    expect(
      run((program, x, keep) => [
        program.emit(Opcode.ADD, Type.I64, { a: x!, b: program.literal(Type.I64, 1n), mask: keep! }),
      ]),
    ).toEqual({ row: at });
    const masked = run((program, x) => {
      const small = program.emit(Opcode.LESS, Type.I64, {
        target: Type.BOOL,
        a: x!,
        b: program.literal(Type.I64, max),
      });
      const sum = program.emit(Opcode.ADD, Type.I64, {
        a: x!,
        b: program.literal(Type.I64, 1n),
        mask: small,
      });
      return [program.emit(Opcode.SELECT, Type.I64, { a: small, b: sum, c: x! })];
    });
    expect(masked).toEqual(a.map((value) => (value === max ? max : 2n)));
  });
});

/** As DuckDB rounds a double. */
function rounded(x: number, digits: number): number {
  if (!Number.isFinite(x)) return x;
  const away = (value: number) =>
    Math.sign(value) * (Math.trunc(Math.abs(value)) + (Math.abs(value) % 1 >= 0.5 ? 1 : 0));
  const keepSign = (value: number) => (value === 0 && Object.is(Math.sign(x), -1) ? -0 : value);
  if (digits >= 0) {
    const result = away(x * Number(`1e${digits}`)) / Number(`1e${digits}`);
    return Number.isFinite(result) ? (Object.is(x, -0) ? x : keepSign(result)) : x;
  }
  const result = away(x / Number(`1e${-digits}`)) * Number(`1e${-digits}`);
  return Number.isFinite(result) ? (Object.is(x, -0) ? x : keepSign(result)) : 0;
}
