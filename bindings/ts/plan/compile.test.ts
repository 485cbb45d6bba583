// The compiler and the kernel's expressions against the row-by-row definition: random typed expressions over
// random columns must give the same bits, and fail where it fails.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluateRows } from "../../../twin/expression.js";
import { readColumn, type Value, writeColumn } from "../../../twin/values.js";
import { Kernel } from "../kernel/kernel.js";
import { BUILDS } from "../kernel/testing.js";
import type { BatchData } from "../type/column.js";
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
  type Schema,
  time,
  timestamp,
  uint8,
  uint16,
  uint32,
  uint64,
  utf8,
} from "../type/data-type.js";
import { MillraceError } from "../type/error.js";
import { bind } from "./bind.js";
import { coalesce, col, concat, type Expression, lit, when } from "./expression.js";
import { interval } from "./interval.js";
import { lower, type ProjectStage } from "./lower.js";
import { from } from "./plan.js";
import { bindCondition, bindExpression } from "./typing.js";

// ---- columns

const TEXTS = [
  "",
  "a",
  "abc",
  "ABC",
  "Ärger",
  "a%b_c",
  "  x\t",
  "😀b😀",
  "12",
  " -3.5e1 ",
  "true",
  "2024-02-29",
  "ß",
];
const FLOATS = [0, -0, 1, -1.5, 2.5, 0.285, 1e10, -1e-10, 123456.789, Number.NaN, Infinity, -Infinity];
const DAY_US = 86_400_000_000n;

const columns: Readonly<Record<string, { type: DataType; values: readonly Value[] }>> = {
  i: { type: int32, values: [0n, 1n, -1n, 7n, -13n, 100n, 2147483647n, -2147483648n] },
  k: { type: int32, values: [0n, 1n, 2n, 3n, -2n, 5n] },
  j: { type: int64, values: [0n, 1n, -5n, 12345678901n, 9223372036854775807n, -9223372036854775808n] },
  w: { type: uint8, values: [0n, 1n, 200n, 255n] },
  u: { type: uint64, values: [0n, 1n, 18446744073709551615n] },
  x: { type: float64, values: FLOATS },
  y: { type: float64, values: FLOATS },
  g: { type: float32, values: FLOATS.map(Math.fround) },
  m: { type: decimal(9, 2), values: [0n, 1n, -1n, 250n, -125n, 999999999n] },
  n: { type: decimal(18, 4), values: [0n, 5n, -25000n, 12345n, 999999999999999999n] },
  s: { type: utf8, values: TEXTS },
  t: { type: largeUtf8, values: TEXTS },
  v: { type: dictionary(utf8), values: TEXTS },
  p: { type: bool, values: [true, false] },
  q: { type: bool, values: [true, false] },
  d: { type: date32, values: [0n, -1n, 19782n, 18628n, -719162n, 47541n] },
  ts: {
    type: timestamp("us"),
    values: [0n, -1n, 19782n * DAY_US - 1n, 1_612_096_215_250_000n, -12_219_292_800_000_000n],
  },
  z: {
    type: timestamp("ms", "Europe/Berlin"),
    values: [
      0n,
      1_711_846_800_000n,
      1_711_846_799_999n,
      1_729_987_200_000n,
      -1_000_000_000_000n,
      1_719_784_800_123n,
    ],
  },
  tm: { type: time("ms"), values: [0n, 45_000_500n, 86_399_999n] },
  vi: { type: dictionary(int64), values: [0n, 3n, -7n, 12345678901n] },
  vd: { type: dictionary(date32), values: [0n, 19782n, -400n] },
  i8: { type: int8, values: [0n, 127n, -128n] },
  i16: { type: int16, values: [1n, 32767n, -32768n] },
  u16: { type: uint16, values: [0n, 65535n] },
  u32: { type: uint32, values: [2n, 4294967295n] },
  d64: { type: date64, values: [0n, 1_709_164_800_000n, -86_400_000n] },
  tn: { type: time("ns"), values: [1n, 45_000_500_000_001n] },
  du: { type: duration("ms"), values: [0n, 90_000n, -5n, 9223372036854775807n] },
  bin: { type: binary, values: [new Uint8Array(), Uint8Array.of(0, 255), Uint8Array.of(97)] },
  lb: { type: largeBinary, values: [Uint8Array.of(97), Uint8Array.of(97, 98)] },
  tz: { type: timestamp("ns", "+05:30"), values: [0n, 1_711_846_800_000_000_001n] },
};

const names = Object.keys(columns);
const schema: Schema = { fields: names.map((name) => ({ name, type: columns[name]!.type, nullable: true })) };

const cell = (name: string) => fc.option(fc.constantFrom(...columns[name]!.values), { freq: 6, nil: null });
const row = fc.tuple(...names.map(cell));

/** A batch whose columns begin at different offsets, with and without bitmaps. */
function batchOf(rows: readonly (readonly Value[])[], offset: number): BatchData {
  return {
    schema,
    length: rows.length,
    columns: names.map((name, index) =>
      writeColumn(
        columns[name]!.type,
        rows.map((values) => values[index]!),
        { offset: (offset * (index + 1)) % 11, bitmap: (offset + index) % 2 === 0 },
      ),
    ),
  };
}

// ---- expressions

type Kind = "integer" | "float" | "decimal" | "bool" | "text" | "date" | "stamp" | "zoned";
type Arbitraries = Record<Kind, Expression>;

const ones = (arbitrary: fc.Arbitrary<Expression>, ...ops: ((a: Expression) => Expression)[]) =>
  fc.tuple(arbitrary, fc.constantFrom(...ops)).map(([a, op]) => op(a));
const pairs = (
  a: fc.Arbitrary<Expression>,
  b: fc.Arbitrary<Expression>,
  ...ops: ((a: Expression, b: Expression) => Expression)[]
) => fc.tuple(a, b, fc.constantFrom(...ops)).map(([x, y, op]) => op(x, y));
const column = (...list: string[]) => fc.constantFrom(...list.map((name): Expression => col(name)));
const constant = (...list: Expression[]) => fc.constantFrom(...list);
const shifts = fc.constantFrom(
  "1 month",
  "-13 months",
  "1 day",
  "36 hours",
  "2 years -3 days 5 milliseconds",
);
const units = fc.constantFrom(
  "year",
  "quarter",
  "month",
  "week",
  "day",
  "hour",
  "minute",
  "second",
  "millisecond",
);

const {
  integer,
  float,
  decimal: exact,
  bool: logical,
  text,
  date,
  stamp,
  zoned,
} = fc.letrec<Arbitraries>((tie) => {
  const of = {
    integer: tie("integer"),
    float: tie("float"),
    decimal: tie("decimal"),
    bool: tie("bool"),
    text: tie("text"),
    date: tie("date"),
    stamp: tie("stamp"),
    zoned: tie("zoned"),
  };
  const chosen = (kind: Kind) =>
    fc.oneof(
      fc.tuple(of.bool, of[kind], of[kind]).map(([c, a, b]) => when(c).then(a).otherwise(b)),
      fc
        .tuple(of.bool, of[kind], of.bool)
        .map(([c, a, e]) => when(c).then(a).when(e).then(null) as Expression),
      fc.tuple(of[kind], of[kind]).map(([a, b]) => coalesce(a, b)),
    );
  const node = (kind: Kind, leaf: fc.Arbitrary<Expression>, ...inner: fc.Arbitrary<Expression>[]) =>
    fc.oneof({ maxDepth: 3, withCrossShrink: true }, leaf, ...inner, chosen(kind));
  const any = fc.oneof(of.integer, of.float, of.decimal, of.bool, of.text, of.date, of.stamp, of.zoned);
  const point = fc.oneof(of.date, of.stamp, of.zoned);
  return {
    integer: node(
      "integer",
      fc.oneof(
        column("i", "k", "j", "w", "vi", "i8", "u16", "u32"),
        constant(lit(3), lit(-2), lit(0), lit(10_000_000_000)),
      ),
      pairs(
        of.integer,
        of.integer,
        (a, b) => a.add(b),
        (a, b) => a.sub(b),
        (a, b) => a.mul(b),
      ),
      pairs(
        of.integer,
        of.integer,
        (a, b) => a.idiv(b),
        (a, b) => a.mod(b),
      ),
      ones(
        of.integer,
        (a) => a.neg(),
        (a) => a.abs(),
        (a) => a.sign(),
        (a) => a.round(-1),
      ),
      ones(
        of.text,
        (a) => a.length(),
        (a) => a.octetLength(),
        (a) => a.tryCast(int32),
        (a) => a.tryCast(int64),
      ),
      ones(
        of.float,
        (a) => a.tryCast(int32),
        (a) => a.tryCast(int64),
        (a) => a.cast(int64),
      ),
      ones(
        of.decimal,
        (a) => a.cast(int64),
        (a) => a.tryCast(int32),
      ),
      ones(of.bool, (a) => a.cast(int32)),
      ones(
        point,
        (a) => a.year(),
        (a) => a.quarter(),
        (a) => a.month(),
        (a) => a.day(),
        (a) => a.hour(),
        (a) => a.minute(),
        (a) => a.second(),
        (a) => a.millisecond(),
        (a) => a.microsecond(),
        (a) => a.dayOfWeek(),
        (a) => a.isoDayOfWeek(),
        (a) => a.dayOfYear(),
        (a) => a.week(),
        (a) => a.isoYear(),
        (a) => a.epoch(),
      ),
      ones(
        column("tm"),
        (a) => a.hour(),
        (a) => a.second(),
        (a) => a.cast(int32),
      ),
      pairs(of.date, of.date, (a, b) => a.sub(b)),
      ones(of.stamp, (a) => a.cast(int64)),
    ),
    float: node(
      "float",
      fc.oneof(column("x", "y", "g"), constant(lit(0.5), lit(-3.25))),
      pairs(
        of.float,
        of.float,
        (a, b) => a.add(b),
        (a, b) => a.sub(b),
        (a, b) => a.mul(b),
        (a, b) => a.div(b),
      ),
      pairs(of.float, of.float, (a, b) => a.mod(b)),
      pairs(
        of.integer,
        of.float,
        (a, b) => a.add(b),
        (a, b) => b.mul(a),
      ),
      pairs(of.integer, of.integer, (a, b) => a.div(b)),
      pairs(
        of.decimal,
        of.float,
        (a, b) => a.sub(b),
        (a, b) => b.div(a),
      ),
      ones(
        of.float,
        (a) => a.neg(),
        (a) => a.abs(),
        (a) => a.floor(),
        (a) => a.ceil(),
        (a) => a.round(),
        (a) => a.round(2),
        (a) => a.round(-3),
        (a) => a.sqrt(),
        (a) => a.sign(),
        (a) => a.cast(float32),
        (a) => a.cast(float64),
      ),
      ones(
        of.integer,
        (a) => a.cast(float64),
        (a) => a.cast(float32),
        (a) => a.sqrt(),
      ),
      ones(
        of.decimal,
        (a) => a.cast(float64),
        (a) => a.cast(float32),
      ),
      ones(of.text, (a) => a.tryCast(float64)),
    ),
    decimal: node(
      "decimal",
      fc.oneof(column("m", "n"), constant(lit("0.05", decimal(3, 2)), lit("7", decimal(2, 1)))),
      pairs(column("m", "n"), column("m", "n"), (a, b) => a.mul(b)),
      pairs(
        of.decimal,
        of.decimal,
        (a, b) => a.add(b),
        (a, b) => a.sub(b),
        (a, b) => a.mod(b),
        (a, b) => a.idiv(b),
      ),
      pairs(
        of.decimal,
        column("i", "k", "w"),
        (a, b) => a.add(b),
        (a, b) => b.sub(a),
      ),
      ones(
        of.decimal,
        (a) => a.neg(),
        (a) => a.abs(),
        (a) => a.floor(),
        (a) => a.ceil(),
        (a) => a.round(),
        (a) => a.round(1),
        (a) => a.round(-2),
        (a) => a.sign(),
        (a) => a.add(1.5),
        (a) => a.mul(2),
        (a) => a.tryCast(decimal(6, 1)),
        (a) => a.cast(decimal(38, 6)),
      ),
      ones(of.integer, (a) => a.cast(decimal(20, 2))),
      ones(of.float, (a) => a.tryCast(decimal(15, 3))),
      ones(of.text, (a) => a.tryCast(decimal(10, 2))),
    ),
    bool: node(
      "bool",
      fc.oneof(column("p", "q"), constant(lit(true), lit(false), lit(null, bool))),
      pairs(
        of.bool,
        of.bool,
        (a, b) => a.and(b),
        (a, b) => a.or(b),
        (a, b) => a.eq(b),
        (a, b) => a.sameAs(b),
      ),
      ones(of.bool, (a) => a.not()),
      ...[of.integer, of.float, of.decimal, of.text, of.date, of.stamp, of.zoned].map((kind) =>
        pairs(
          kind,
          kind,
          (a, b) => a.eq(b),
          (a, b) => a.ne(b),
          (a, b) => a.lt(b),
          (a, b) => a.le(b),
          (a, b) => a.gt(b),
          (a, b) => a.ge(b),
          (a, b) => a.sameAs(b),
        ),
      ),
      pairs(of.integer, of.float, (a, b) => a.lt(b)),
      pairs(of.integer, of.decimal, (a, b) => a.ge(b)),
      pairs(of.date, of.stamp, (a, b) => a.lt(b)),
      ones(
        any,
        (a) => a.isNull(),
        (a) => a.isNotNull(),
      ),
      ones(
        of.float,
        (a) => a.isNaN(),
        (a) => a.isIn([0, 2.5, Number.NaN]),
        (a) => a.gt(1),
      ),
      ones(
        of.integer,
        (a) => a.isIn([1, 7, -13]),
        (a) => a.isIn([1, null]),
        (a) => a.between(-5, 7.5),
      ),
      ones(
        of.decimal,
        (a) => a.isIn([2.5, "-1.25"]),
        (a) => a.gt(0.125),
      ),
      ones(
        of.date,
        (a) => a.ge("2021-01-01"),
        (a) => a.isIn(["1970-01-01", "2024-02-29"]),
      ),
      ones(of.stamp, (a) => a.lt("2024-02-29T12:00:00.5")),
      ones(
        of.zoned,
        (a) => a.lt("2024-03-31T03:00:00"),
        (a) => a.ge(new Date(1_711_846_800_000)),
      ),
      ones(
        column("u"),
        (a) => a.gt(0),
        (a) => a.eq(2n ** 64n - 1n),
      ),
      ones(column("tm"), (a) => a.lt("12:30:00.5")),
      ones(
        of.text,
        (a) => a.eq("abc"),
        (a) => a.isIn(["a", "Ärger"]),
        (a) => a.isIn(["a", null]),
        (a) => a.like("%b%"),
        (a) => a.like("_b_"),
        (a) => a.like("a!%%", "!"),
        (a) => a.like("%a%c"),
        (a) => a.tryCast(bool),
      ),
      pairs(
        of.text,
        of.text,
        (a, b) => a.startsWith(b),
        (a, b) => a.endsWith(b),
        (a, b) => a.contains(b),
      ),
    ),
    text: node(
      "text",
      fc.oneof(column("s", "t", "v"), constant(lit("b"), lit(""), lit("😀"))),
      pairs(
        of.text,
        of.text,
        (a, b) => a.concat(b),
        (a, b) => concat(a, "-", b),
      ),
      ones(
        of.text,
        (a) => a.lower(),
        (a) => a.upper(),
        (a) => a.trim(),
        (a) => a.trimStart(),
        (a) => a.trimEnd(),
        (a) => a.substring(2),
        (a) => a.substring(0, 2),
        (a) => a.substring(2, 1),
      ),
      pairs(
        of.text,
        column("k", "i"),
        (a, b) => a.substring(b),
        (a, b) => a.substring(b, 2),
        (a, b) => a.substring(1, b),
      ),
      ones(of.integer, (a) => a.cast(utf8)),
      ones(of.float, (a) => a.cast(utf8)),
      ones(of.decimal, (a) => a.cast(utf8)),
      ones(of.bool, (a) => a.cast(utf8)),
      ones(of.date, (a) => a.cast(utf8)),
      ones(of.stamp, (a) => a.cast(utf8)),
    ),
    date: node(
      "date",
      fc.oneof(column("d", "vd"), constant(lit("2024-02-29", date32))),
      fc.tuple(of.date, units).map(([a, unit]) => a.dateTrunc(unit)),
      ones(
        of.date,
        (a) => a.add(30),
        (a) => a.sub(1),
      ),
      pairs(of.date, column("k"), (a, b) => a.add(b)),
      ones(of.stamp, (a) => a.cast(date32)),
      ones(of.zoned, (a) => a.cast(date32)),
      ones(of.text, (a) => a.tryCast(date32)),
    ),
    stamp: node(
      "stamp",
      column("ts"),
      fc.tuple(of.stamp, units).map(([a, unit]) => a.dateTrunc(unit)),
      fc.tuple(fc.oneof(of.stamp, of.date), shifts).map(([a, span]) => a.plus(span)),
      pairs(of.stamp, of.stamp, (a, b) => a.add(b.sub("2024-01-01T00:00:00"))),
      ones(of.date, (a) => a.cast(timestamp("us"))),
      ones(of.zoned, (a) => a.cast(timestamp("us"))),
      ones(
        of.stamp,
        (a) => a.cast(timestamp("s")),
        (a) => a.tryCast(timestamp("ns")),
      ),
      ones(of.text, (a) => a.tryCast(timestamp("us"))),
    ),
    zoned: node(
      "zoned",
      column("z"),
      fc.tuple(of.zoned, units).map(([a, unit]) => a.dateTrunc(unit)),
      fc.tuple(of.zoned, shifts).map(([a, span]) => a.minus(interval(span))),
      ones(of.stamp, (a) => a.cast(timestamp("us", "America/New_York"))),
      ones(of.zoned, (a) => a.cast(timestamp("ms", "Asia/Tokyo"))),
      ones(of.date, (a) => a.cast(timestamp("ms", "+05:30"))),
    ),
  };
});

// ---- running

let kernels: { build: string; kernel: Kernel }[] = [];

beforeAll(async () => {
  kernels = await Promise.all(BUILDS.map(async (build) => ({ build, kernel: await Kernel.open({ build }) })));
});

afterAll(() => {
  for (const { kernel } of kernels) kernel.close();
});

function stageOf(predicate: Expression | null, results: Readonly<Record<string, Expression>>): ProjectStage {
  const source = predicate === null ? from("t") : from("t").where(predicate);
  const [stage] = lower(bind(source.select(results), { t: schema })).stages;
  if (stage?.kind !== "project") throw new Error("not a projection");
  return stage;
}

function run(kernel: Kernel, stage: ProjectStage, batch: BatchData): Value[][] {
  const operator = kernel.project({
    program: stage.program,
    columns: stage.columns,
    output: { fields: stage.output },
    instruction: (index) => stage.instructions[index],
  });
  try {
    return [...operator.process(batch)].flatMap((output) => {
      const values = output.columns.map(readColumn);
      return Array.from({ length: output.length }, (_, at) => values.map((column) => column[at]!));
    });
  } finally {
    operator.destroy();
  }
}

/** The twin's values, with `undefined` where it fails. */
function expected(expression: Expression, rows: readonly (readonly Value[])[]): (Value | undefined)[] {
  const bound = bindExpression(expression.node, schema);
  return rows.map((values) => {
    try {
      return evaluateRows(bound, [values])[0]!;
    } catch (error) {
      if (error instanceof MillraceError) return undefined;
      throw error;
    }
  });
}

/** Whether the expression is one that its types allow: scales of products may pass 38 digits. */
function isValid(expression: Expression): boolean {
  try {
    bindExpression(expression.node, schema);
    return true;
  } catch (error) {
    if (error instanceof MillraceError) return false;
    throw error;
  }
}

function check(expression: Expression, rows: readonly (readonly Value[])[], offset: number): void {
  fc.pre(isValid(expression));
  const values = expected(expression, rows);
  const sound = rows.filter((_, at) => values[at] !== undefined);
  const want = values.filter((value) => value !== undefined);
  const stage = stageOf(null, { r: expression });
  for (const { build, kernel } of kernels) {
    const got = run(kernel, stage, batchOf(sound, offset)).map(([value]) => value);
    expect(got, `${expression} on ${build}`).toStrictEqual(want);
    if (sound.length < rows.length) {
      expect(() => run(kernel, stage, batchOf(rows, offset)), `${expression} on ${build}`).toThrow(
        MillraceError,
      );
    }
  }
}

const fixed: readonly Expression[] = [
  col("u").add(1),
  col("u").sub(1),
  col("u").mul(2),
  col("u").idiv(3),
  col("u").mod(7n),
  col("u").cast(int64),
  col("u").tryCast(int32),
  col("u").cast(float64),
  col("u").cast(decimal(20, 0)),
  col("u").cast(utf8),
  col("i8").neg(),
  col("i8").add(col("i8")),
  col("i16").mul(col("u16")),
  col("u32").add(col("u16")),
  col("u32").eq(col("i8")),
  col("u16").tryCast(int8),
  col("i16").cast(uint16),
  col("i").tryCast(uint32),
  col("i8").isIn([1, -128, 300]),
  col("bin").eq(col("lb")),
  col("bin").lt(Uint8Array.of(97, 98)),
  col("bin").octetLength(),
  col("bin").isIn([Uint8Array.of(97)]),
  col("s").cast(binary),
  col("d64").add(1),
  col("d64").sub(col("d")),
  col("d64").dateTrunc("month"),
  col("d64").eq(col("d")),
  col("d64").cast(utf8),
  col("d64").lt("2024-02-29T12:00"),
  col("s").tryCast(date64),
  col("ts").cast(date64),
  col("d64").plus("1 month"),
  col("tn").second(),
  col("tn").microsecond(),
  col("tn").lt(col("tm")),
  col("tn").cast(time("s")),
  col("ts").cast(time("us")),
  col("z").cast(time("ms")),
  col("i").tryCast(time("s")),
  col("du").neg(),
  col("du").abs(),
  col("du").add(col("du")),
  col("du").gt("90 seconds"),
  col("du").cast(int64),
  col("du").cast(duration("s")),
  col("du").tryCast(duration("ns")),
  col("ts").add(col("du")),
  col("ts").sub(col("du")),
  col("ts").sub(col("d")),
  col("z").sub(col("tz")),
  col("z").lt(col("tz")),
  col("tz").hour(),
  col("tz").dateTrunc("day"),
  col("j").cast(timestamp("s")),
  col("s").isIn([]),
  col("s").isIn([null]),
  col("i").eq(null),
  coalesce(null, col("vi"), 5),
  col("s").like("a%%%_c", "%"),
  when(col("p")).then(null).otherwise(col("s")).upper(),
  when(col("i").gt(0))
    .then(lit(1).idiv(col("k")))
    .otherwise(col("i").mul(-1)),
  lit(2147483647).add(1).gt(col("i")),
];

const data = { rows: fc.array(row, { minLength: 1, maxLength: 40 }), offset: fc.nat(10) };
const RUNS = 150;

describe("random expressions, kernel against twin", () => {
  it.each([
    ["integer", integer],
    ["float", float],
    ["decimal", exact],
    ["bool", logical],
    ["text", text],
    ["date", date],
    ["timestamp", stamp],
    ["zoned timestamp", zoned],
  ] as const)("%s", (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, data.rows, data.offset, (expression, rows, offset) => {
        check(expression, rows, offset);
      }),
      { numRuns: RUNS },
    );
  });

  it.each(fixed.map((expression) => ({ expression, text: String(expression) })))(
    "$text",
    ({ expression }) => {
      fc.assert(
        fc.property(data.rows, data.offset, (rows, offset) => {
          check(expression, rows, offset);
        }),
        { numRuns: 20 },
      );
    },
  );

  it("filters keep the rows that are true, and what they drop cannot fail", () => {
    fc.assert(
      fc.property(
        logical,
        logical,
        integer,
        data.rows,
        data.offset,
        (first, second, result, rows, offset) => {
          fc.pre(isValid(first) && isValid(second) && isValid(result));
          const condition = bindCondition(first.node, schema);
          const keeps = (values: readonly Value[]) => {
            try {
              return evaluateRows(condition, [values])[0] === true;
            } catch (error) {
              if (error instanceof MillraceError) return null;
              throw error;
            }
          };
          // Rows where the first condition fails fail the run: leave them out.
          const usable = rows.filter((values) => keeps(values) !== null);
          const seconds = expected(second, usable);
          const kept = usable.filter((values, at) => keeps(values) === true && seconds[at] === true);
          const failing = usable.some((values, at) => keeps(values) === true && seconds[at] === undefined);
          const want = expected(result, kept);
          fc.pre(!failing && !want.includes(undefined));
          const plan = from("t").where(first).where(second).select({ r: result });
          const [stage] = lower(bind(plan, { t: schema })).stages;
          for (const { build, kernel } of kernels) {
            const got = run(kernel, stage as ProjectStage, batchOf(usable, offset)).map(([value]) => value);
            expect(got, `${first}; ${second}; ${result} on ${build}`).toStrictEqual(want);
          }
        },
      ),
      { numRuns: RUNS },
    );
  });

  it("over more rows than a vector and a morsel", () => {
    const rows = fc.sample(row, { numRuns: 500, seed: 7 });
    const many = Array.from({ length: 70_000 }, (_, at) => rows[(at * 7919) % rows.length]!);
    const expression = when(col("x").gt(0)).then(col("s").upper()).otherwise(col("v").concat("!"));
    check(expression, many, 3);
  });
});
