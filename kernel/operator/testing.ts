// What the tests of aggregation share: a hash aggregation over plain columns, and its twin.

import fc from "fast-check";
import { type AggregateConfigSpec, encodeAggregateConfig } from "../../bindings/ts/kernel/config.js";
import type { ProgramAggregateSpec } from "../../bindings/ts/kernel/hash-aggregate.js";
import type { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator, type OperatorSpec } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { DISTINCT_BUILDS } from "../../bindings/ts/kernel/testing.js";
import { sliceRows } from "../../bindings/ts/scheduler/rows.js";
import {
  type AggregateName,
  aggregateFunction,
  aggregateParameter,
  aggregateType,
  distinctEffect,
  isCollect,
  isList,
  isOrderedAggregate,
} from "../../bindings/ts/type/aggregate.js";
import type { BatchData, ColumnData } from "../../bindings/ts/type/column.js";
import type { DataType, Field } from "../../bindings/ts/type/data-type.js";
import {
  binary,
  bool,
  date32,
  decimal,
  dictionary,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  largeUtf8,
  physicalType,
  timestamp,
  typeName,
  uint8,
  uint16,
  uint32,
  uint64,
  utf8,
  valueType,
} from "../../bindings/ts/type/data-type.js";
import { OverflowError } from "../../bindings/ts/type/error.js";
import { aggregateTwin, TwinOverflow, valueName } from "../../twin/aggregate.js";
import { readColumn, type Value, writeColumn } from "../../twin/values.js";
import { Type } from "../abi/layout.js";
import { OperatorKind } from "../abi/operator.js";

export { DISTINCT_BUILDS as BUILDS };

export interface Aggregate {
  readonly name: AggregateName;
  /** Column of the argument; absent: rows are counted. */
  readonly of?: number | undefined;
  /** Column of a second argument. */
  readonly second?: number | undefined;
  /** Column of a boolean filter. */
  readonly filter?: number | undefined;
  readonly fast?: boolean | undefined;
  readonly distinct?: boolean | undefined;
  /** p of a quantile. */
  readonly p?: number | undefined;
  /** How many values a list has. */
  readonly limit?: number | undefined;
  /** Of `arrayAgg` and `stringAgg`. */
  readonly descending?: boolean | undefined;
  readonly separator?: string | undefined;
}

/** An aggregation over columns of these types. */
export interface Query {
  readonly types: readonly DataType[];
  readonly keys: readonly number[];
  readonly aggregates: readonly Aggregate[];
  /** Column of a boolean that rows must satisfy. */
  readonly where?: number | undefined;
  readonly changelog?: boolean | undefined;
  readonly faults?: number | undefined;
  readonly seed?: number | undefined;
  /** How many rows will come, if that is told. */
  readonly rows?: number | undefined;
  /** Column of the row kinds, where the input is a changelog. */
  readonly kind?: number | undefined;
}

export function open(kernel: Kernel, query: Query): Operator {
  return kernel.hashAggregate(specOf(query));
}

/** The same by a configuration with more flags: `asKeeping`, `asDraining`, ... */
export function openAs(
  kernel: Kernel,
  query: Query,
  flagged: (config: Uint8Array) => Uint8Array,
  more: Partial<OperatorSpec> = {},
): Operator {
  const spec = specOf(query);
  return kernel.operator({
    kind: OperatorKind.HASH_AGGREGATE,
    config: flagged(encodeAggregateConfig(spec)),
    columns: spec.columns,
    output: spec.output,
    ...more,
  });
}

export function specOf(query: Query): ProgramAggregateSpec {
  const program = new ProgramBuilder();
  const { keys, aggregates, retract } = aggregateSpec(program, query);
  return {
    program: program.encode(),
    keys,
    aggregates,
    retract,
    changelog: query.changelog,
    faults: query.faults,
    seed: query.seed,
    rows: query.rows,
    columns: query.types.map((_, i) => i),
    output: { fields: resultFields(query) },
  };
}

/** Keys and aggregates of a query over the outputs that `program` gets: one for each column. */
export function aggregateSpec(
  program: ProgramBuilder,
  query: Query,
): Omit<AggregateConfigSpec, "program"> & { readonly outputs: readonly number[] } {
  const physical = query.types.map((type) => physicalType(valueType(type)));
  const columns = physical.map((type) => program.column(type));
  if (query.where !== undefined) program.filter(program.load(columns[query.where]!));
  const outputs = columns.map((column) => program.output(program.load(column)));
  const keys = query.keys.map((column) => ({ output: outputs[column]!, type: normal(physical[column]!) }));
  const aggregates = query.aggregates.map((aggregate) => {
    const { name, of, second, filter, fast, distinct, p, limit, descending, separator } = aggregate;
    const value = of === undefined ? null : valueType(query.types[of]!);
    const other = second === undefined ? null : valueType(query.types[second]!);
    return {
      function: aggregateFunction(name, of !== undefined),
      argument: of === undefined ? undefined : outputs[of],
      filter: filter === undefined ? undefined : outputs[filter],
      type: of === undefined ? undefined : normal(physical[of]!),
      fast,
      distinct,
      parameter: isCollect(name) ? Number(descending ?? false) : aggregateParameter(name, p),
      scale: value?.kind === "decimal" ? value.scale : 0,
      second:
        separator === undefined
          ? second && outputs[second]
          : program.output(program.literal(Type.BYTES, separator)),
      limit: isList(name) ? limit : undefined,
      secondScale: other?.kind === "decimal" ? other.scale : undefined,
    };
  });
  const retract = query.kind === undefined ? undefined : outputs[query.kind];
  const { changelog, faults, seed } = query;
  return { keys, aggregates, retract, changelog, faults, seed, outputs };
}

function normal(type: Type): Type {
  return type === Type.LARGE_BYTES ? Type.BYTES : type;
}

export function resultFields(query: Query): Field[] {
  const fields = query.keys.map(
    (column, i): Field => ({ name: `k${i}`, type: valueType(query.types[column]!), nullable: true }),
  );
  query.aggregates.forEach(({ name, of }, i) => {
    const type = aggregateType(name, of === undefined ? null : query.types[of]!);
    if (type === null) throw new Error(`no ${name} over ${typeName(query.types[of!]!)}`);
    fields.push({ name: `a${i}`, type, nullable: true });
  });
  if (query.changelog) fields.push({ name: "row_kind", type: int8, nullable: false });
  return fields;
}

/** Columns of plain values. */
export type Table = readonly (readonly Value[])[];

export function batchOf(types: readonly DataType[], table: Table, offset = 0, bitmap = false): BatchData {
  const columns: ColumnData[] = types.map((type, i) => writeColumn(type, table[i]!, { offset, bitmap }));
  const fields = types.map((type, i) => ({ name: `c${i}`, type, nullable: true }));
  return { schema: { fields }, length: table[0]?.length ?? 0, columns };
}

/** A batch under other names of its columns. */
export function named(names: readonly string[], batch: BatchData): BatchData {
  const fields = batch.schema.fields.map((field, index) => ({ ...field, name: names[index]! }));
  return { ...batch, schema: { fields } };
}

/** The results of an operator, of what is pushed into it. */
export function resultsOf(kernel: Kernel, query: Query, push: (operator: Operator) => void): string[] {
  const operator = open(kernel, query);
  try {
    push(operator);
    operator.watermark(END_OF_INPUT);
    return multiset(rowsOf(pulled(operator)));
  } finally {
    operator.destroy();
  }
}

/** The results of a table that is pushed in parts of these sizes, in turn. */
export function resultsOfTable(
  kernel: Kernel,
  query: Query,
  table: Table,
  sizes: readonly number[],
): string[] {
  return resultsOf(kernel, query, (operator) => pushAll(operator, query, table, sizes));
}

/** The results of one batch that is pushed in parts of these sizes, in turn, whose texts' codes are of the same dictionaries. */
export function resultsOfCut(
  kernel: Kernel,
  query: Query,
  batch: BatchData,
  sizes: readonly number[],
): string[] {
  return resultsOf(kernel, query, (operator) => {
    for (let start = 0, turn = 0; start < batch.length; turn++) {
      const end = Math.min(start + sizes[turn % sizes.length]!, batch.length);
      operator.push(sliceRows(batch, start, end));
      start = end;
    }
  });
}

export function slice(table: Table, start: number, end: number): Table {
  return table.map((column) => column.slice(start, end));
}

/** Rows of batches, as arrays of values. */
export function rowsOf(batches: Iterable<BatchData>): Value[][] {
  const rows: Value[][] = [];
  for (const batch of batches) {
    const columns = batch.columns.map((column) => readColumn(column));
    for (let row = 0; row < batch.length; row++) rows.push(columns.map((column) => column[row]!));
  }
  return rows;
}

/** All that an operator has to give now. */
export function* pulled(operator: Operator, maxRows?: number, maxBytes?: number): Generator<BatchData> {
  const pull = () => operator.pull(maxRows, maxBytes);
  for (let batch = pull(); batch !== null; batch = pull()) yield batch;
}

/** A multiset of rows in a form that compares by bits. */
export function multiset(rows: readonly (readonly Value[])[]): string[] {
  return rows.map((row) => row.map(valueName).join(" | ")).sort();
}

/** What the twin makes of a table. */
export function expected(query: Query, table: Table): Value[][] {
  const kept = query.where === undefined ? null : table[query.where]!;
  const admitted =
    kept === null ? table : table.map((column) => column.filter((_, row) => kept[row] === true));
  return aggregateTwin(
    admitted[0]?.length ?? 0,
    query.keys.map((column) => admitted[column]!),
    query.aggregates.map(({ name, of, second, filter, distinct, p, limit, descending, separator }) => ({
      name,
      distinct,
      p,
      limit,
      descending,
      separator,
      argument: of === undefined ? undefined : admitted[of],
      filter: filter === undefined ? undefined : admitted[filter],
      type: of === undefined ? undefined : query.types[of],
      second: second === undefined ? undefined : admitted[second],
      secondType: second === undefined ? undefined : query.types[second],
    })),
  );
}

/**
 * Pushes a table in batches of the given sizes (the last one takes the rest); column offsets vary with them.
 */
export function pushAll(operator: Operator, query: Query, table: Table, sizes: readonly number[] = []): void {
  const rows = table[0]?.length ?? 0;
  let start = 0;
  for (let i = 0; start < rows; i++) {
    const end = Math.min(rows, start + (sizes[i] ?? rows));
    operator.push(batchOf(query.types, slice(table, start, end), i % 9, i % 2 === 1));
    start = end;
  }
}

// ---- arbitrary tables

const INTEGERS: { readonly [name: string]: readonly [bigint, bigint] } = Object.fromEntries(
  ([8, 16, 32, 64] as const).flatMap((bits) => [
    [`int${bits}`, [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n] as const],
    [`uint${bits}`, [0n, 2n ** BigInt(bits) - 1n] as const],
  ]),
);

/**
 * Values that have broken aggregations before: extremes, zeros of both signs, NaN, neighbours in bits,
 * prefixes.
 */
export function valuesOf(type: DataType): fc.Arbitrary<Value> {
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 5, arbitrary: validValuesOf(valueType(type)) },
  );
}

function validValuesOf(type: DataType): fc.Arbitrary<Value> {
  const range = INTEGERS[typeName(type)];
  if (range !== undefined) {
    const [min, max] = range;
    return fc.oneof(
      { weight: 4, arbitrary: fc.bigInt({ min: min < 0n ? -3n : 0n, max: 5n }) },
      { weight: 1, arbitrary: fc.constantFrom(min, max, max - 1n, 0n, max / 2n) },
      { weight: 1, arbitrary: fc.bigInt({ min, max }) },
    );
  }
  switch (type.kind) {
    case "bool":
      return fc.boolean();
    case "float":
      return type.bits === 64 ? floats64 : floats32;
    case "decimal":
      return fc.oneof(
        { weight: 3, arbitrary: fc.bigInt({ min: -500n, max: 500n }) },
        { weight: 1, arbitrary: fc.bigInt({ min: -(10n ** 37n), max: 10n ** 37n }) },
        { weight: 1, arbitrary: fc.constantFrom(10n ** 38n - 1n, 1n - 10n ** 38n, 2n ** 64n, -(2n ** 63n)) },
      );
    case "utf8":
    case "largeUtf8":
      return fc.oneof(
        fc.constantFrom(
          "",
          "a",
          "ab",
          "abcdefgh",
          "abcdefghi",
          "abcdefgi",
          "\0",
          "a\0",
          "häß",
          "日本語",
          "😀",
          "zz",
        ),
        fc.string({ unit: "grapheme", maxLength: 12 }),
      );
    case "binary":
    case "largeBinary":
      return fc.uint8Array({ maxLength: 9 });
    default:
      return fc.bigInt({ min: -(2n ** 31n), max: 2n ** 31n - 1n });
  }
}

const NAN = Number.NaN;
const floats64: fc.Arbitrary<Value> = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: -400, max: 400 }).map((x) => x / 100) },
  { weight: 4, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0, -0, 5e-324, -5e-324, 1e16, -1e16, 1e300, -1e300, 2 ** 53 + 2, 2 ** -40, 1),
  },
  { weight: 1, arbitrary: fc.constantFrom(NAN, Infinity, -Infinity, Number.MAX_VALUE, -Number.MAX_VALUE) },
);
const floats32: fc.Arbitrary<Value> = floats64.map((x) => Math.fround(x as number));

export const TYPES: readonly DataType[] = [
  bool,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float32,
  float64,
  decimal(38, 3),
  utf8,
  largeUtf8,
  binary,
  date32,
  timestamp("us"),
  dictionary(utf8, int16),
  dictionary(int64, int16),
  dictionary(float64, uint16),
  dictionary(bool, int32),
  dictionary(decimal(20, 2), int32),
];

/** A query over random types and a table for it. The last two columns are booleans: a filter and a where. */
export const cases: fc.Arbitrary<{ query: Query; table: Table }> = fc
  .record({
    types: fc.array(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 4 }),
    keyCount: fc.integer({ min: 0, max: 3 }),
    rows: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 300 })),
    where: fc.boolean(),
  })
  .chain(({ types, keyCount, rows, where }) => {
    const all = [...types, bool, bool];
    const columns = all.map((type) => fc.array(valuesOf(type), { minLength: rows, maxLength: rows }));
    return fc.record({
      table: fc.tuple(...columns),
      query: fc
        .array(aggregateOf(all), { minLength: keyCount === 0 ? 1 : 0, maxLength: 6 })
        .map((aggregates) => ({
          types: all,
          keys: all.map((_, i) => i).slice(0, Math.min(keyCount, types.length)),
          aggregates,
          where: where ? all.length - 1 : undefined,
        })),
    });
  });

function aggregateOf(types: readonly DataType[]): fc.Arbitrary<Aggregate> {
  const names: AggregateName[] = [
    "count",
    "countDistinct",
    "sum",
    "avg",
    "min",
    "max",
    "any",
    "boolAnd",
    "boolOr",
    "median",
    "quantile",
    "quantileDisc",
    "mode",
    "bitAnd",
    "bitOr",
    "bitXor",
    "first",
    "argMax",
    "approxCountDistinct",
    "approxMedian",
    "approxQuantile",
    "topK",
    "bottomK",
    "arrayAgg",
  ];
  const choices = types.flatMap((type, of) =>
    names.filter((name) => aggregateType(name, type) !== null).map((name) => ({ name, of })),
  );
  return fc
    .record({
      choice: fc.constantFrom<{ name: AggregateName; of?: number }>({ name: "count" }, ...choices),
      filter: fc.option(fc.constant(types.length - 2), { nil: undefined, freq: 3 }),
      by: fc.nat({ max: types.length - 1 }),
      p: fc.oneof(fc.constantFrom(0, 1, 0.5, 0.25, 0.9), fc.double({ min: 0, max: 1, noNaN: true })),
      limit: fc.constantFrom(1, 2, 3, 4, 17),
      distinct: fc.boolean(),
    })
    .map(({ choice, filter, p, by, limit, distinct }) => {
      const quantile = ["quantile", "quantileDisc", "approxQuantile"].includes(choice.name);
      const second = isOrderedAggregate(choice.name) ? by : undefined;
      const once = choice.name !== "count" && distinctEffect(choice.name) === "applies" && distinct;
      return { ...choice, filter, second, limit, distinct: once, p: quantile ? p : undefined };
    });
}

/** What a run gives; "overflow" where it, or the twin, finds one. */
export function outcome<T>(run: () => T): T | "overflow" {
  try {
    return run();
  } catch (error) {
    if (error instanceof OverflowError || error instanceof TwinOverflow) return "overflow";
    throw error;
  }
}

/**
 * A query's results over a table that is cut in two, as multisets: by one operator (pulled `pullRows` rows at a time),
 * by the merged states of one for each part, and by the changes that a changelog gives after each part.
 */
export function inThreeWays(
  kernel: Kernel,
  query: Query,
  table: Table,
  cut: number,
  pullRows?: number,
): { whole: string[]; merged: string[]; changes: string[] } {
  const parts = [slice(table, 0, cut), slice(table, cut, table[0]!.length)];
  const whole = open(kernel, query);
  pushAll(whole, query, table, [cut]);
  const wholeRows = multiset(rowsOf(whole.finish(pullRows)));
  whole.destroy();

  const merged = open(kernel, query);
  for (const part of parts) {
    const operator = open(kernel, query);
    pushAll(operator, query, part);
    for (const state of operator.snapshot(3)) merged.merge(state);
    operator.destroy();
  }
  const mergedRows = multiset(rowsOf(merged.finish()));
  merged.destroy();

  const changes = open(kernel, { ...query, changelog: true });
  const left = new Map<string, number>();
  for (const part of parts) {
    changes.push(batchOf(query.types, part));
    for (let batch = changes.pull(3); batch !== null; batch = changes.pull(3)) {
      for (const row of rowsOf([batch])) {
        const kind = row.pop();
        const [name] = multiset([row]);
        left.set(name!, (left.get(name!) ?? 0) + (kind === 0n || kind === 2n ? 1 : -1));
      }
    }
  }
  changes.destroy();
  const rows = [...left].flatMap(([name, times]) => Array<string>(times).fill(name));
  return { whole: wholeRows, merged: mergedRows, changes: rows.sort() };
}
