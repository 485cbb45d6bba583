// Files written and read back in every format, and what damaged ones get.

import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tableFromArrays } from "apache-arrow";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { groupByTable } from "../../../fixtures/group-by.js";
import { orders } from "../../../fixtures/orders.js";
import { readColumn, type Value, writeColumn } from "../../../twin/values.js";
import type { BatchData } from "../type/column.js";
import * as types from "../type/data-type.js";
import {
  ArgumentError,
  MalformedArrowError,
  SchemaMismatchError,
  UnknownColumnError,
} from "../type/error.js";
import { fileFormat, openFile, readFile, writeFile } from "./file.js";
import { MalformedFileError } from "./file-error.js";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-io-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
const newPath = (extension: string) => join(directory, `${files++}.${extension}`);

function textFile(extension: string, text: string | Uint8Array): string {
  const path = newPath(extension);
  writeFileSync(path, text);
  return path;
}

type Columns = Record<string, Value[]>;

async function readAll(path: string, options: Parameters<typeof openFile>[1] = {}) {
  const source = await openFile(path, options);
  const columns: Columns = Object.fromEntries(source.schema.fields.map(({ name }) => [name, []]));
  const lengths: number[] = [];
  for await (const batch of source.batches()) {
    lengths.push(batch.length);
    source.schema.fields.forEach(({ name, type }, index) => {
      expect(types.sameType(batch.columns[index]!.type, type)).toBe(true);
      columns[name]!.push(...readColumn(batch.columns[index]!));
    });
  }
  const names = Object.fromEntries(
    source.schema.fields.map(({ name, type }) => [name, types.typeName(type)]),
  );
  return { columns, lengths, types: names };
}

function batchOf(columns: Record<string, { type: types.DataType; values: readonly Value[] }>): BatchData {
  const entries = Object.entries(columns);
  return {
    schema: { fields: entries.map(([name, { type }]) => ({ name, type, nullable: true })) },
    length: entries[0]?.[1].values.length ?? 0,
    columns: entries.map(([, { type, values }], index) => writeColumn(type, values, { offset: index % 3 })),
  };
}

const bits = (low: bigint, high: bigint) => fc.bigInt({ min: low, max: high });
const signed = (width: number) => bits(-(2n ** BigInt(width - 1)), 2n ** BigInt(width - 1) - 1n);
const unsigned = (width: number) => bits(0n, 2n ** BigInt(width) - 1n);
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom("", " ", ",", '"', 'a"b', "x\ny", "x\r\ny", "null", "12", "省", "true", "\r", "NaN"),
);
const decimals = bits(-(10n ** 18n) + 1n, 10n ** 18n - 1n);
/** Years 0001 to 9999. */
const seconds = bits(-62_135_596_800n, 253_402_300_799n);
const scaled = (factor: bigint) => fc.tuple(seconds, bits(0n, factor - 1n)).map(([s, f]) => s * factor + f);

/** A type and what its values may be. */
const kinds: Record<string, { type: types.DataType; values: fc.Arbitrary<Value> }> = {
  bool: { type: types.bool, values: fc.boolean() },
  i8: { type: types.int8, values: signed(8) },
  i16: { type: types.int16, values: signed(16) },
  i32: { type: types.int32, values: signed(32) },
  i64: { type: types.int64, values: signed(64) },
  u8: { type: types.uint8, values: unsigned(8) },
  u16: { type: types.uint16, values: unsigned(16) },
  u32: { type: types.uint32, values: unsigned(32) },
  u64: { type: types.uint64, values: unsigned(64) },
  f32: { type: types.float32, values: fc.float() },
  f64: { type: types.float64, values: fc.double() },
  dec: { type: types.decimal(18, 4), values: decimals },
  dec38: { type: types.decimal(38, 2), values: bits(-(10n ** 38n) + 1n, 10n ** 38n - 1n) },
  text: { type: types.utf8, values: text },
  day: { type: types.date32, values: bits(-719_162n, 2_932_896n) },
  ms: { type: types.timestamp("ms"), values: scaled(1000n) },
  us: { type: types.timestamp("us", "UTC"), values: scaled(1_000_000n) },
  ns: { type: types.timestamp("ns"), values: signed(64) },
};

const rowCount = fc.integer({ min: 1, max: 40 });
const anyBatch = rowCount.chain((rows) =>
  fc.record(
    Object.fromEntries(
      Object.entries(kinds).map(([name, { values }]) => [
        name,
        fc.array(fc.option(values, { freq: 5 }), { minLength: rows, maxLength: rows }),
      ]),
    ) as Record<string, fc.Arbitrary<Value[]>>,
  ),
);
const typed = (values: Record<string, Value[]>) =>
  batchOf(
    Object.fromEntries(
      Object.entries(values).map(([name, list]) => [name, { type: kinds[name]!.type, values: list }]),
    ),
  );
const schemaTypes = Object.fromEntries(Object.entries(kinds).map(([name, { type }]) => [name, type]));

describe("what is written is read back, bit for bit", () => {
  test.each(["arrow", "arrows", "csv", "ndjson", "parquet"])("%s", async (extension) => {
    const path = newPath(extension);
    await fc.assert(
      fc.asyncProperty(anyBatch, async (values) => {
        const batch = typed(values);
        const result = await writeFile(path, [batch]);
        expect(result).toEqual({ rows: batch.length, bytes: statSync(path).size });
        const isText = extension === "csv" || extension === "ndjson";
        const back = await readAll(path, isText ? { types: schemaTypes } : {});
        const before = Object.fromEntries(
          batch.schema.fields.map(({ name }, i) => [name, readColumn(batch.columns[i]!)]),
        );
        expect(back.columns).toEqual(before);
        for (const [name, type] of Object.entries(back.types)) {
          expect(type).toBe(types.typeName(schemaTypes[name]!));
        }
      }),
      { numRuns: 40 },
    );
  });

  test.each(["arrow", "arrows", "csv", "ndjson", "parquet"])(
    "%s: the orders, in batches",
    async (extension) => {
      const fixture = orders({ rows: 5000 });
      const path = newPath(extension);
      await writeFile(path, fixture.batches(700), { schema: fixture.schema });
      const isText = extension === "csv" || extension === "ndjson";
      const given = Object.fromEntries(
        fixture.schema.fields.map(({ name, type }) => [name, type.kind === "dictionary" ? type.value : type]),
      );
      const back = await readAll(path, isText ? { types: given } : {});
      const whole = fixture.batch(0, 5000);
      expect(back.columns).toEqual(
        Object.fromEntries(fixture.schema.fields.map(({ name }, i) => [name, readColumn(whole.columns[i]!)])),
      );
      expect(readdirSync(directory).filter((name) => name.includes("partial"))).toEqual([]);
    },
  );

  test.each(["arrow", "arrows", "csv", "ndjson", "parquet"])("%s: no rows", async (extension) => {
    const { schema } = groupByTable({ rows: 0, strings: "utf8" });
    const path = newPath(extension);
    expect((await writeFile(path, [], { schema })).rows).toBe(0);
    const back = await readAll(path);
    expect(back.lengths).toEqual([]);
    // NDJSON has no place for the names.
    if (extension !== "ndjson")
      expect(Object.keys(back.types)).toEqual(schema.fields.map(({ name }) => name));
  });

  test("types without a text form of their own: times, durations, binary", async () => {
    const batch = batchOf({
      s: { type: types.time("s"), values: [0n, 86_399n, null] },
      us: { type: types.time("us"), values: [1n, 86_399_999_999n, null] },
      d: { type: types.duration("ms"), values: [-5n, 7n, null] },
      b: { type: types.binary, values: [new Uint8Array([0, 255]), new Uint8Array(), null] },
    });
    const csv = newPath("csv");
    await writeFile(csv, [batch]);
    expect(readFileSync(csv, "utf8")).toBe(
      's,us,d,b\n00:00:00,00:00:00.000001,-5,00ff\n23:59:59,23:59:59.999999,7,""\n,,,\n',
    );
    const ndjson = newPath("ndjson");
    await writeFile(ndjson, [batch]);
    expect(readFileSync(ndjson, "utf8").split("\n")[1]).toBe(
      '{"s":"23:59:59","us":"23:59:59.999999","d":7,"b":""}',
    );
  });

  test("CSV and NDJSON are inferred as what they were", async () => {
    const batch = batchOf({
      i: { type: types.int64, values: [1n, null, -(2n ** 63n)] },
      f: { type: types.float64, values: [1, Number.NaN, Number.NEGATIVE_INFINITY] },
      b: { type: types.bool, values: [true, false, null] },
      d: { type: types.date32, values: [0n, 18_577n, null] },
      t: { type: types.timestamp("us"), values: [0n, null, 1_605_052_800_123_456n] },
      z: { type: types.timestamp("us", "UTC"), values: [0n, null, -1n] },
      s: { type: types.utf8, values: ["a,b", "", null] },
      none: { type: types.utf8, values: [null, null, null] },
    });
    for (const extension of ["csv", "ndjson"]) {
      const path = newPath(extension);
      await writeFile(path, [batch]);
      const back = await readAll(path);
      expect(back.types).toEqual({
        ...{ i: "int64", f: "float64", b: "bool", d: "date32" },
        ...{ t: "timestamp[us]", z: "timestamp[us, UTC]", s: "utf8", none: "utf8" },
      });
      expect(back.columns.i).toEqual([1n, null, -(2n ** 63n)]);
      expect(back.columns.f).toEqual([1, Number.NaN, Number.NEGATIVE_INFINITY]);
      expect(back.columns.s).toEqual(["a,b", "", null]);
    }
  });
});

describe("readFile", () => {
  test("gives apache-arrow's record batches and schema, each iteration anew", async () => {
    const fixture = groupByTable({ rows: 1000, k: 10 });
    for (const extension of ["arrow", "arrows", "csv", "ndjson", "parquet"]) {
      const path = newPath(extension);
      await writeFile(path, fixture.batches(300));
      const source = await readFile(path);
      expect(source.schema.fields.map(({ name }) => name)).toEqual(
        fixture.schema.fields.map(({ name }) => name),
      );
      for (let round = 0; round < 2; round++) {
        let rows = 0;
        let sum = 0;
        for await (const batch of source) {
          rows += batch.numRows;
          for (const value of batch.getChild("v1")!) sum += Number(value);
        }
        const v1 = readColumn(fixture.batch(0, 1000).columns[6]!).map(Number);
        expect([rows, sum]).toEqual([1000, v1.reduce((a, b) => a + b)]);
      }
    }
  });

  test.each(["arrow", "arrows", "csv", "ndjson", "parquet"])(
    "%s: columns and batch sizes",
    async (extension) => {
      const path = newPath(extension);
      const fixture = groupByTable({ rows: 1000, k: 10 });
      await writeFile(path, fixture.batches(400));
      const back = await readAll(path, { columns: ["v3", "id1"], batchRows: 256, sampleRows: 10 });
      expect(Object.keys(back.columns)).toEqual(["v3", "id1"]);
      expect(Math.max(...back.lengths)).toBeLessThanOrEqual(256);
      const whole = fixture.batch(0, 1000);
      expect(back.columns).toEqual({ v3: readColumn(whole.columns[8]!), id1: readColumn(whole.columns[0]!) });
      await expect(readFile(path, { columns: ["id11"] })).rejects.toThrow(UnknownColumnError);
      await expect(readFile(path, { batchRows: 0 })).rejects.toThrow(ArgumentError);
    },
  );

  test("a stream under the name of a file, and a file under that of a stream", async () => {
    const fixture = groupByTable({ rows: 100 });
    for (const [written, read] of [
      ["arrow", "arrows"],
      ["arrows", "arrow"],
    ] as const) {
      const path = newPath(written);
      await writeFile(path, fixture.batches());
      const other = textFile(read, readFileSync(path));
      expect((await readAll(other)).lengths).toEqual([100]);
    }
  });

  test("an iteration that stops early, or never begins, is fine", async () => {
    for (const extension of ["arrow", "arrows", "csv", "ndjson", "parquet"]) {
      const path = newPath(extension);
      await writeFile(path, groupByTable({ rows: 1000 }).batches(100));
      await readFile(path);
      for await (const batch of await readFile(path)) {
        expect(batch.numRows).toBeGreaterThan(0);
        break;
      }
    }
  });

  test("what is no file, or has another extension", async () => {
    await expect(readFile(join(directory, "none.csv"))).rejects.toThrow(/no such file/);
    await expect(readFile(join(directory, "x.xlsx"))).rejects.toThrow(/extension/);
    await expect(readFile(directory)).rejects.toThrow(ArgumentError);
    expect(() => fileFormat("csv")).toThrow(ArgumentError);
    expect(fileFormat("A.CSV")).toBe("csv");
  });
});

describe("writeFile", () => {
  test("takes tables, record batches of apache-arrow and async iterables", async () => {
    const table = tableFromArrays({ a: Int32Array.of(1, 2, 3), b: ["x", "y", "x"] });
    async function* later() {
      yield* table.batches;
    }
    for (const input of [table, table.batches, later()]) {
      const path = newPath("arrow");
      await writeFile(path, input);
      expect((await readAll(path)).columns).toEqual({ a: [1n, 2n, 3n], b: ["x", "y", "x"] });
    }
  });

  test.each(["csv", "ndjson", "parquet"])(
    "%s: one batch that is longer than what is written at once",
    async (extension) => {
      const fixture = groupByTable({ rows: 70_000, k: 10, nulls: 5, columns: ["id1", "id6", "v1"] });
      const path = newPath(extension);
      expect((await writeFile(path, [fixture.batch(0, 70_000)])).rows).toBe(70_000);
      const whole = fixture.batch(0, 70_000);
      const [id1, id6, v1] = whole.columns.map(readColumn);
      expect((await readAll(path)).columns).toEqual({ id1, id6, v1 });
    },
  );

  test("refuses batches that differ, and leaves the old file and nothing else", async () => {
    const path = newPath("csv");
    writeFileSync(path, "old\n");
    const a = batchOf({ a: { type: types.int32, values: [1n] } });
    const b = batchOf({ a: { type: types.int64, values: [1n] } });
    await expect(writeFile(path, [a, b])).rejects.toThrow(SchemaMismatchError);
    expect(readFileSync(path, "utf8")).toBe("old\n");
    expect(readdirSync(directory).filter((name) => name.includes("partial"))).toEqual([]);
  });

  test("the source is closed when writing fails", async () => {
    let closed = false;
    function* source() {
      try {
        yield batchOf({ a: { type: types.int32, values: [1n] } });
        yield batchOf({ b: { type: types.int32, values: [1n] } });
      } finally {
        closed = true;
      }
    }
    await expect(writeFile(newPath("arrows"), source())).rejects.toThrow(SchemaMismatchError);
    expect(closed).toBe(true);
  });

  test("a changing dictionary fits a stream, not a file", async () => {
    const type = types.dictionary(types.utf8);
    const batches = [
      batchOf({ a: { type, values: ["x", "y"] } }),
      batchOf({ a: { type, values: ["z", "x"] } }),
    ];
    const path = newPath("arrows");
    await writeFile(path, batches);
    expect((await readAll(path)).columns.a).toEqual(["x", "y", "z", "x"]);
    await expect(writeFile(newPath("arrow"), batches)).rejects.toThrow(/\.arrows/);
    for (const extension of ["csv", "ndjson", "parquet"]) {
      const text = newPath(extension);
      await writeFile(text, batches);
      expect((await readAll(text)).columns.a).toEqual(["x", "y", "z", "x"]);
    }
  });

  test("no batch and no schema, no directory", async () => {
    await expect(writeFile(newPath("csv"), [])).rejects.toThrow(/no batch/);
    const batch = batchOf({ a: { type: types.int32, values: [1n] } });
    for (const extension of ["csv", "parquet", "arrow"]) {
      await expect(writeFile(join(directory, "none", `x.${extension}`), [batch])).rejects.toThrow(
        ArgumentError,
      );
    }
  });
});

describe("damaged Arrow and Parquet files", () => {
  test.each(["arrow", "arrows", "parquet"])(
    "%s: cut short anywhere it is an error, never a hang or fewer rows",
    async (extension) => {
      const whole = newPath(extension);
      await writeFile(whole, groupByTable({ rows: 200, k: 10 }).batches(100));
      const size = statSync(whole).size;
      for (const share of [0, 0.02, 0.1, 0.3, 0.5, 0.8, 0.95]) {
        const path = textFile(extension, readFileSync(whole));
        truncateSync(path, Math.floor(size * share));
        const error = await readAll(path).then(
          ({ lengths }) => `read ${lengths}`,
          (caught: unknown) => caught,
        );
        expect(error, `${share}`).toBeInstanceOf(
          extension === "parquet" ? MalformedFileError : MalformedArrowError,
        );
      }
    },
  );

  test("other bytes", async () => {
    for (const extension of ["arrow", "arrows", "parquet"]) {
      const path = textFile(extension, "this is not a table, whatever its name says, and it is long enough");
      await expect(readAll(path)).rejects.toThrow(/not .*(Arrow|Parquet)/);
    }
  });
});
