import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { DataType } from "../../bindings/ts/type/data-type.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { physicalType, valueType } from "../../bindings/ts/type/data-type.js";
import { CastError } from "../../bindings/ts/type/error.js";
import { type Value, writeColumn } from "../../twin/values.js";
import { Opcode } from "../abi/instruction.js";
import { BUILDS, runProgram } from "./testing.js";
import { arbitraryColumn, integerRange } from "./testing-samples.js";

type Present = Exclude<Value, null>;

const NUMBERS: DataType[] = [
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
  types.decimal(38, 0),
  types.decimal(20, 4),
  types.decimal(38, 37),
];
const byName = (list: DataType[]) => list.map((type) => [types.typeName(type), type] as const);

function scaleOf(type: DataType): number {
  return type.kind === "decimal" ? type.scale : 0;
}

function halfAway(value: bigint, by: bigint): bigint {
  const magnitude = ((value < 0n ? -value : value) * 2n + by) / (by * 2n);
  return value < 0n ? -magnitude : magnitude;
}

function halfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}

/** unscaled / 10^scale as the target type; null where it does not fit. */
function exact(unscaled: bigint, scale: number, to: DataType): Value {
  switch (to.kind) {
    case "bool":
      return unscaled !== 0n;
    case "int": {
      const [low, high] = integerRange(to);
      const whole = halfAway(unscaled, 10n ** BigInt(scale));
      return whole >= low && whole <= high ? whole : null;
    }
    case "decimal": {
      const up = to.scale - scale;
      const value = up >= 0 ? unscaled * 10n ** BigInt(up) : halfAway(unscaled, 10n ** BigInt(-up));
      const limit = 10n ** BigInt(to.precision);
      return value < limit && value > -limit ? value : null;
    }
    case "float": {
      const value = Number(`${unscaled}e-${scale}`);
      return to.bits === 32 ? Math.fround(value) : value;
    }
    default:
      throw new RangeError(to.kind);
  }
}

function convert(value: Present, from: DataType, to: DataType): Value {
  if (typeof value !== "number") return exact(BigInt(value as bigint | boolean), scaleOf(from), to);
  switch (to.kind) {
    case "bool":
      return value !== 0;
    case "float":
      return to.bits === 32 ? Math.fround(value) : value;
    default: {
      const scaled = to.kind === "decimal" ? value * Number(`1e${to.scale}`) : value;
      return Number.isFinite(scaled) ? exact(BigInt(halfEven(scaled)), scaleOf(to), to) : null;
    }
  }
}

describe.each(BUILDS)("casts, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const cast = (
    values: readonly Value[] | { column: ReturnType<typeof writeColumn> },
    from: DataType,
    to: DataType,
    attempt: boolean,
  ) =>
    runProgram(
      kernel,
      ["column" in values ? values.column : writeColumn(from, values)],
      [to],
      (program, a) => [
        program.emit(Opcode.CAST, physicalType(valueType(from)), {
          target: physicalType(to),
          a: a!,
          arg0: scaleOf(from),
          arg1: scaleOf(to),
          immediate: BigInt(to.kind === "decimal" ? to.precision : 0),
          try: attempt,
        }),
      ],
    )[0]!;

  describe.each(byName(NUMBERS))("from %s", (_, from) => {
    test.each(byName(NUMBERS))("to %s", (_name, to) => {
      fc.assert(
        fc.property(
          fc.nat(6).chain((size) => arbitraryColumn(from, size)),
          (sample) => {
            const expected = sample.values.map((value) => (value === null ? null : convert(value, from, to)));
            expect(cast(sample, from, to, true)).toEqual(expected);
            const failing = expected.findIndex((value, row) => value === null && sample.values[row] !== null);
            if (failing < 0) expect(cast(sample, from, to, false)).toEqual(expected);
            else {
              const error = caught(() => cast(sample, from, to, false));
              expect(error).toBeInstanceOf(CastError);
              expect(error).toMatchObject({
                row: failing,
                value: from.kind === "bool" ? sample.values[failing] : sample.values[failing],
              });
            }
          },
        ),
        { numRuns: 8 },
      );
    });
  });

  test.each(byName([...NUMBERS]))("%s to text and back", (_, type) => {
    fc.assert(
      fc.property(
        fc.nat(6).chain((size) => arbitraryColumn(type, size)),
        (sample) => {
          const texts = cast(sample, type, types.utf8, false);
          expect(texts).toEqual(sample.values.map((value) => (value === null ? null : printed(value, type))));
          expect(cast(texts, types.utf8, type, false)).toEqual(sample.values);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("of two shortest decimals as near to a float32, the even one", () => {
    const texts = cast([-468226.125, 468226.375], types.float32, types.utf8, false);
    expect(texts).toEqual(["-468226.12", "468226.38"]);
  });

  test("float32 values below the normal ones as text", () => {
    const values = [2 ** -149, -(2 ** -126 - 2 ** -149), 3 * 2 ** -140, 2 ** -126];
    const texts = cast(values, types.float32, types.utf8, false);
    expect(texts).toEqual(values.map((value) => floatText(value, 32)));
    expect(cast(texts, types.utf8, types.float32, false)).toEqual(values);
  });

  test("float64 as text has the digits of JavaScript", () => {
    const hard = [
      2 ** -44,
      5e-324,
      2 ** -1022,
      2 ** -1022 - 2 ** -1074,
      2 ** 53,
      1e21,
      123456789012345680000,
      2 ** -1021 - 2 ** -1074,
      0.3,
      1 / 3,
    ];
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 300 }),
        (values) => {
          const all = [...values, ...hard];
          const texts = cast(all, types.float64, types.utf8, false) as string[];
          const digits = (text: string) =>
            text.replace(/e.*$/, "").replace(/[-.]/g, "").replace(/^0+/, "").replace(/0+$/, "");
          texts.forEach((text, row) => {
            expect(Object.is(Number(text), all[row])).toBe(true);
            expect(digits(text)).toBe(digits(all[row]!.toExponential()));
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  test("text to float64 is correctly rounded", () => {
    const hard = [
      "9007199254740993",
      "9007199254740992.99999999999999999999999999999999999999999999999",
      "9007199254740993.00000000000000000000000000000000000000000000001",
      "2.4703282292062327208e-324",
      "2.4703282292062328e-324",
      "1.7976931348623158e308",
      "1.7976931348623159e308",
      "1e309",
      "1e-400",
      `0.${"0".repeat(400)}1e400`,
      `${"1".repeat(900)}e-880`,
      "2.2250738585072012e-308",
      "2.2250738585072011e-308",
      `${(2n ** 1023n + 2n ** 969n).toString()}.${"0".repeat(20)}1`,
      (2n ** 1023n + 2n ** 969n + 2n ** 970n).toString(),
      "1e23",
      "8.5e22",
      ".5",
      "5.",
      "1E5",
      " +12.5e-3\t",
    ];
    expect(cast(hard, types.utf8, types.float64, false)).toEqual(hard.map(Number));
    const digits = fc
      .tuple(fc.bigInt(0n, 10n ** 40n), fc.integer({ min: -360, max: 340 }), fc.nat(60))
      .map(([whole, exponent, zeros]) => `${whole}${"0".repeat(zeros)}e${exponent}`);
    const middles = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }).map(halfwayAbove);
    fc.assert(
      fc.property(fc.array(fc.oneof(digits, middles), { minLength: 1, maxLength: 100 }), (texts) => {
        expect(cast(texts, types.utf8, types.float64, false)).toEqual(texts.map(Number));
      }),
      { numRuns: 40 },
    );
  });

  test("texts that are numbers, and texts that are not", () => {
    const texts = [
      "",
      " ",
      "+",
      "-",
      ".",
      "1",
      " 1 ",
      "+1",
      "-1.5",
      "1.5",
      "2.5",
      "-0.5",
      "1e2",
      "1.25e1",
      "1e-1",
      "1e",
      "1e+",
      "1e12345",
      "1e40",
      "0e99",
      "1_000",
      "0x10",
      "１",
      "1 2",
      "99999999999999999999",
      "127.4",
      "127.5",
      "-128.5",
      "00000000000000000000000000000000000000000000012",
      "1.2.3",
      "--1",
      "nan",
      "0.005",
      "0.0049",
      "-0.005",
      // Past 10^38: by the last of 39 digits, after 39, and by its exponent.
      `17${"0".repeat(37)}`,
      "9".repeat(38),
      `-${"9".repeat(39)}`,
      "3".repeat(60),
      "1.7e38",
      "-9e37",
    ];
    const decimal = /^\s*[+-]?(?=\.?\d)\d*(?:\.\d*)?(?:e[+-]?\d{1,4})?\s*$/i;
    const parsed = (text: string): [bigint, number] | null => {
      if (!decimal.test(text)) return null;
      const [, sign, whole = "", fraction = "", exponent = "0"] =
        /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?/i.exec(text)!;
      const unscaled = BigInt(`${whole}${fraction}`) * (sign === "-" ? -1n : 1n);
      const scale = fraction.length - Number(exponent);
      return scale >= 0 ? [unscaled, scale] : [unscaled * 10n ** BigInt(-scale), 0];
    };
    for (const to of [types.int8, types.uint64, types.int64, types.decimal(10, 2), types.decimal(38, 0)]) {
      const expected = texts.map((text) => {
        const number = parsed(text);
        return number === null ? null : exact(number[0], number[1], to);
      });
      expect(cast(texts, types.utf8, to, true)).toEqual(expected);
      expect(cast(texts, types.dictionary(types.utf8, types.int8), to, true)).toEqual(expected);
    }
    const floats = texts.map((text) =>
      text === "nan" ? Number.NaN : parsed(text) === null ? null : Number(text),
    );
    expect(cast(texts, types.utf8, types.float64, true)).toEqual(floats);
  });

  test("words for booleans, infinities and NaN", () => {
    const words: Value[] = [
      "true",
      "F",
      " Yes",
      "no",
      "1",
      "0",
      "t",
      "N",
      "y",
      "FALSE",
      "maybe",
      "",
      "truee",
      null,
    ];
    const expected = [
      true,
      false,
      true,
      false,
      true,
      false,
      true,
      false,
      true,
      false,
      null,
      null,
      null,
      null,
    ];
    expect(cast(words, types.utf8, types.bool, true)).toEqual(expected);
    const floats = ["inf", "-Infinity", "+INF", "NaN", "-nan", "infinit", "nano"];
    expect(cast(floats, types.utf8, types.float32, true)).toEqual([
      Infinity,
      -Infinity,
      Infinity,
      Number.NaN,
      Number.NaN,
      null,
      null,
    ]);
  });

  test("a text that does not convert is named with its row", () => {
    const texts = Array.from({ length: 3000 }, (_value, row) =>
      row === 2500 ? "twelve" : row === 2700 ? "x" : "12",
    );
    const error = caught(() => cast(texts, types.utf8, types.int32, false)) as CastError;
    expect(error).toBeInstanceOf(CastError);
    expect(error.row).toBe(2500);
    expect(new TextDecoder().decode(error.value as Uint8Array)).toBe("twelve");
    const coded = types.dictionary(types.utf8, types.int16);
    const same = caught(() => cast(texts, coded, types.int32, false)) as CastError;
    expect([same.row, same.value]).toEqual([error.row, error.value]);
    const flags = caught(() => cast([false, null, true], types.bool, types.decimal(3, 3), false));
    expect(flags).toMatchObject({ code: "CAST", row: 2 });
  });
});

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Decimal digits of the exact middle between a float and the next one up. */
function halfwayAbove(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const field = Number(bits >> 52n);
  const significand = field === 0 ? bits : (bits & (2n ** 52n - 1n)) | (2n ** 52n);
  const exponent = Math.max(field, 1) - 1075;
  const odd = significand * 2n + 1n;
  if (exponent >= 1) return (odd * 2n ** BigInt(exponent - 1)).toString();
  const places = 1 - exponent;
  return `${odd * 5n ** BigInt(places)}e-${places}`;
}

function printed(value: Present, type: DataType): string {
  if (typeof value === "boolean") return String(value);
  if (typeof value === "bigint") {
    const scale = scaleOf(type);
    const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
    const sign = value < 0n ? "-" : "";
    return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  }
  return floatText(value as number, type.kind === "float" ? type.bits : 64);
}

/** DuckDB's layout of the shortest digits. */
function floatText(value: number, bits: 32 | 64): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const text = shortest(Math.abs(value), bits);
  const [mantissa, exponentText] = text.split("e") as [string, string];
  const digits = mantissa.replace(".", "");
  const exponent = Number(exponentText);
  if (value === 0) return `${sign}0.0`;
  if (exponent < -5 || exponent >= 16) {
    const padded = Math.abs(exponent).toString().padStart(2, "0");
    return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${padded}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  return `${sign}${digits.slice(0, exponent + 1).padEnd(exponent + 1, "0")}.${digits.slice(exponent + 1) || "0"}`;
}

function shortest(value: number, bits: 32 | 64): string {
  if (bits === 64) return value.toExponential();
  for (let digits = 0; digits < 9; digits++) {
    const text = tiesToEven(value, digits);
    if (Math.fround(Number(text)) === value) return text;
  }
  return value.toExponential();
}

/** As `toExponential`, which takes the larger of two decimals that are as near; here the even one. */
function tiesToEven(value: number, digits: number): string {
  const text = value.toExponential(digits);
  const [mantissa, exponent] = value.toExponential(100).split("e") as [string, string];
  const kept = digits === 0 ? 1 : digits + 2;
  const rest = mantissa.slice(kept).replace(".", "");
  const down = mantissa.slice(0, kept);
  return /^50*$/.test(rest) && Number(down.at(-1)) % 2 === 0 ? `${down}e${exponent}` : text;
}
