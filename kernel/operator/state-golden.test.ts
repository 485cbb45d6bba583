// States that this version wrote, kept: later versions must restore them, or refuse them by the header. They are written
// anew only when `Abi.VERSION` changes: GOLDEN=write npx vitest run kernel/operator/state-golden.test.ts

import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import type { StateBatch } from "../../bindings/ts/kernel/state.js";
import type { ColumnData } from "../../bindings/ts/type/column.js";
import { bool, decimal, type Field, float64, int32, int64, utf8 } from "../../bindings/ts/type/data-type.js";
import { CorruptStateError } from "../../bindings/ts/type/error.js";
import { RowRandom } from "../../fixtures/random.js";
import { valueName } from "../../twin/aggregate.js";
import type { Value } from "../../twin/values.js";
import { Abi } from "../abi/layout.js";
import {
  batchOf,
  expected,
  multiset,
  open,
  pulled,
  pushAll,
  type Query,
  rowsOf,
  slice,
  type Table,
} from "./testing.js";
import { consolidated, expectedWindow, openWindow, type WindowQuery } from "./testing-window.js";

const ROWS = 60;
/** Rows that the windows have seen when their state is written. */
const SEEN = 45;

const query: Query = {
  types: [int32, utf8, float64, decimal(12, 2), bool],
  keys: [0, 1],
  aggregates: [
    { name: "count" },
    { name: "sum", of: 0 },
    { name: "sum", of: 2, filter: 4 },
    { name: "avg", of: 3 },
    { name: "min", of: 1 },
    { name: "max", of: 2 },
    { name: "countDistinct", of: 2 },
    { name: "variance", of: 2 },
    { name: "median", of: 3 },
    { name: "first", of: 1, second: 2 },
    { name: "approxCountDistinct", of: 0 },
    { name: "topK", of: 2, limit: 3 },
    { name: "arrayAgg", of: 3 },
  ],
};

/** Nulls, a zero of each sign, NaN, numbers far apart, texts of several bytes a letter. */
function table(): Table {
  const random = new RowRandom(1, "golden state");
  const texts = ["", "a", "\u00e9t\u00e9", "\u{1f600}", "x".repeat(40)];
  const floats = [0, -0, Number.NaN, 1.5, 1e300, -1e-300, 0.1];
  const column = (at: number, cell: (pick: number) => Value) =>
    Array.from({ length: ROWS }, (_, row) => {
      const pick = random.below(row * 8 + at, 1000);
      return pick % 9 === 0 ? null : cell(pick);
    });
  return [
    column(0, (pick) => BigInt(pick % 4)),
    column(1, (pick) => texts[pick % texts.length]!),
    column(2, (pick) => floats[pick % floats.length]!),
    column(3, (pick) => BigInt(pick - 500)),
    column(4, (pick) => pick % 2 === 0),
  ];
}

interface Written {
  readonly section: number;
  readonly length: number;
  readonly fields: readonly Field[];
  readonly columns: readonly Record<"validity" | "offsets" | "values", string | null>[];
}

const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString("base64");
const bytesOf = (written: string | null) => written && new Uint8Array(Buffer.from(written, "base64"));

function write({ section, length, schema, columns }: StateBatch): Written {
  return {
    section,
    length,
    fields: schema.fields,
    columns: columns.map(({ validity, offsets, values }) => ({
      validity: text(validity),
      offsets: text(offsets),
      values: text(values),
    })),
  };
}

function read({ section, length, fields, columns }: Written): StateBatch {
  const made = columns.map(
    ({ validity, offsets, values }, at): ColumnData => ({
      type: fields[at]!.type,
      length,
      offset: 0,
      nullCount: validity === null ? 0 : -1,
      validity: bytesOf(validity) || null,
      offsets: bytesOf(offsets) || null,
      values: bytesOf(values) || new Uint8Array(),
      dictionary: null,
    }),
  );
  return { schema: { fields }, length, columns: made, section };
}

/** Windows of several slices with late rows, so that a state has parts of every role. */
const windows: WindowQuery = {
  query: {
    types: [...query.types, int64],
    keys: [1],
    aggregates: query.aggregates.filter(
      ({ name }) => !["first", "approxCountDistinct", "topK", "arrayAgg"].includes(name),
    ),
  },
  time: query.types.length,
  window: { kind: "hop", length: 30n, step: 7n, offset: 3n },
  bound: 4n,
  changes: { lateness: 15n, early: 0n },
};
const windowTable = (): Table => [
  ...table(),
  Array.from({ length: ROWS }, (_, row) => BigInt(2 * row - ((row * 5) % 17))),
];

const fileOf = (name: string) => new URL(`../../fixtures/golden/${name}-state.json`, import.meta.url);

function store(name: string, operator: Operator): void {
  const batches = [...operator.snapshot()].map(write);
  operator.destroy();
  writeFileSync(fileOf(name), `${JSON.stringify({ version: Abi.VERSION, batches })}\n`);
}

const drain = (operator: Operator) => {
  const rows: Value[][] = [];
  rows.push(...rowsOf(pulled(operator)));
  return rows;
};

/** Pushes rows from `start` on to the windows. */
function pushWindows(operator: Operator, start: number, end: number): Value[][] {
  operator.push(batchOf(windows.query.types, slice(windowTable(), start, end)));
  return drain(operator);
}

let kernel: Kernel;
beforeAll(async () => {
  kernel = await Kernel.open({ build: "simd", budget: "64 MiB" });
  if (process.env.GOLDEN !== "write") return;
  const operator = open(kernel, query);
  pushAll(operator, query, table(), [20, 30]);
  store("aggregate", operator);
  const other = openWindow(kernel, windows);
  pushWindows(other, 0, SEEN);
  store("window", other);
});
afterAll(() => kernel.close());

const golden = (name = "aggregate") =>
  JSON.parse(readFileSync(fileOf(name), "utf8")) as {
    readonly version: number;
    readonly batches: readonly Written[];
  };

test("the windows that this version wrote are restored, to the bits", () => {
  const { version, batches } = golden("window");
  expect(version).toBe(Abi.VERSION);
  const states = batches.map(read);
  const roles = states
    .filter(({ section }) => section === 1)
    .flatMap((batch) => rowsOf([batch]).map((row) => Number(row[3])));
  expect([...new Set(roles)].sort()).toEqual([0, 1, 2, 3, 4]);
  const begun = openWindow(kernel, windows);
  const before = pushWindows(begun, 0, SEEN);
  begun.destroy();
  const operator = openWindow(kernel, windows);
  for (const state of states) operator.merge(state);
  const after = pushWindows(operator, SEEN, ROWS);
  operator.watermark(END_OF_INPUT);
  const rows = consolidated([...before, ...after, ...drain(operator)]);
  const wanted = expectedWindow(windows, { table: windowTable(), watermarks: [] });
  expect(rows).toEqual(wanted.rows.map((row) => row.map(valueName).join(" | ")).sort());
  expect(operator.stats().lateRows).toBe(wanted.late.length);
  operator.destroy();
});

test("the state that this version wrote is restored, to the bits", () => {
  const { version, batches } = golden();
  expect(version).toBe(Abi.VERSION);
  const operator = open(kernel, query);
  for (const batch of batches) operator.merge(read(batch));
  expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(query, table())));
  operator.destroy();
});

test("another version, and other configurations, are refused by the header", () => {
  const [header] = golden().batches.map(read);
  const refused = (state: StateBatch, asked: Query) => {
    const operator = open(kernel, asked);
    expect(() => operator.merge(state)).toThrow(CorruptStateError);
    operator.destroy();
  };
  refused(header!, { ...query, keys: [1, 0] });
  refused(header!, { ...query, aggregates: query.aggregates.slice(1) });
  const values = header!.columns[0]!.values.slice();
  values[0]! ^= 2;
  refused({ ...header!, columns: [{ ...header!.columns[0]!, values }, ...header!.columns.slice(1)] }, query);
  const operator = open(kernel, query);
  operator.merge(header!);
  operator.destroy();
});
