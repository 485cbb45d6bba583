// CSV and NDJSON as found in the wild: quoting, line ends, chunks that end anywhere, inference, and errors that say
// where.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readColumn, type Value } from "../../../twin/values.js";
import * as types from "../type/data-type.js";
import { ArgumentError, UnknownColumnError } from "../type/error.js";
import { MalformedFileError } from "./file-error.js";
import { readText, type TextOptions } from "./text-reader.js";

const encoder = new TextEncoder();

async function* chunked(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
    const end = Math.min(Math.max(cut, start), bytes.length);
    if (end > start) yield bytes.slice(start, end);
    start = end;
  }
}

interface Read {
  readonly types: Record<string, string>;
  readonly columns: Record<string, Value[]>;
}

async function read(
  format: "csv" | "ndjson",
  text: string | Uint8Array,
  options: Partial<TextOptions> & { cuts?: readonly number[] } = {},
): Promise<Read> {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  const { cuts = [], ...rest } = options;
  const source = await readText(format, "test.txt", chunked(bytes, cuts), {
    batchRows: 1000,
    sampleRows: 1000,
    delimiter: ",",
    ...rest,
  });
  const columns: Record<string, Value[]> = Object.fromEntries(
    source.schema.fields.map(({ name }) => [name, []]),
  );
  for await (const batch of source.batches()) {
    source.schema.fields.forEach(({ name }, index) => {
      columns[name]!.push(...readColumn(batch.columns[index]!));
    });
  }
  return {
    types: Object.fromEntries(source.schema.fields.map(({ name, type }) => [name, types.typeName(type)])),
    columns,
  };
}

const csv = (text: string | Uint8Array, options = {}) => read("csv", text, options);
const ndjson = (text: string | Uint8Array, options = {}) => read("ndjson", text, options);

/** The error that a read ends with. */
async function errorOf(reading: Promise<unknown>): Promise<MalformedFileError> {
  const error = await reading.then(
    () => null,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(MalformedFileError);
  return error as MalformedFileError;
}

describe("CSV", () => {
  test("quotes, doubled quotes, commas and line breaks inside, both line ends, no last line break", async () => {
    const { columns } = await csv('a,"b ""x""",c\r\n1,"x,y",z\n2,"line\r\nbreak",\r\n3,"",""""');
    expect(columns).toEqual({
      a: [1n, 2n, 3n],
      'b "x"': ["x,y", "line\r\nbreak", ""],
      c: ["z", null, '"'],
    });
  });

  test("a byte order mark, blank lines, a header alone", async () => {
    expect((await csv("\ufeffa,b\n\n1,2\n\r\n3,4\n")).columns).toEqual({ a: [1n, 3n], b: [2n, 4n] });
    expect(await csv("a,b")).toEqual({ types: { a: "utf8", b: "utf8" }, columns: { a: [], b: [] } });
  });

  test("in a table of one column a blank line is a null", async () => {
    expect((await csv("a\n1\n\n3\n")).columns).toEqual({ a: [1n, null, 3n] });
  });

  test("another delimiter", async () => {
    expect((await csv("a\tb,c\n1\t2\n", { delimiter: "\t" })).columns).toEqual({ a: [1n], "b,c": [2n] });
    for (const delimiter of ["", "ab", '"', "\n", "é"]) {
      await expect(csv("a\n", { delimiter })).rejects.toThrow(ArgumentError);
    }
  });

  test("chunks may end anywhere, and blocks after any row", async () => {
    const text =
      'id,name,t\r\n1,"a ""quoted"", one",2020-01-01\r\n,省,\n3,"x\r\ny",2020-02-29\n4,"",2021-03-04\r\n';
    const bytes = encoder.encode(text);
    const whole = await csv(text);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(bytes.length), { maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        async (cuts, batchRows) => {
          expect(await csv(text, { cuts, batchRows })).toEqual(whole);
          const small = await csv(text, { cuts, batchRows, sampleRows: 1, types: { name: types.utf8 } });
          expect(small.columns).toEqual(whole.columns);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("damage is an error with its line", async () => {
    const cases: [string, number, RegExp][] = [
      ["", 1, /no header/],
      ["a,b\n1,2\n3\n", 3, /1 fields, but the header has 2/],
      ["a,b\n1,2,3\n", 2, /more than 2 fields/],
      ['a,b\n"x\ny",1\n"z', 4, /not closed/],
      ['a,b\n1,"x"y\n', 2, /behind the closing quote/],
      ['a,b\n1,x"y\n', 2, /a quote inside/],
      ["a,b,a\n", 1, /"a" twice/],
    ];
    for (const [text, line, message] of cases) {
      const error = await errorOf(csv(text));
      expect(error.message).toMatch(message);
      expect(error.message).toMatch(new RegExp(`^test.txt:${line}: `));
      expect([error.path, error.line]).toEqual(["test.txt", line]);
    }
  });

  test("bytes that are not UTF-8", async () => {
    const error = await errorOf(csv(Uint8Array.of(0x61, 0x2c, 0x62, 0x0a, 0x31, 0x2c, 0xff, 0x0a)));
    expect([error.line, error.column, error.row]).toEqual([2, "b", 0]);
  });

  test("a value further down that is not of the inferred type names line, column, row and value", async () => {
    const error = await errorOf(csv('a,b\n1,"two\nlines"\n2,x\nthree,y\n', { sampleRows: 2, batchRows: 1 }));
    expect(error.message).toBe(
      'test.txt:5: column "a": "three" is not int64 (its type by the first 2 rows; say types: { "a": ... } to choose another)',
    );
    expect(error).toMatchObject({ line: 5, column: "a", row: 2, value: "three", expected: "int64" });
    const { columns } = await csv("a\n1\n2\nthree\n", { sampleRows: 2, types: { a: types.utf8 } });
    expect(columns.a).toEqual(["1", "2", "three"]);
  });

  test("unknown columns and types that text has no form for", async () => {
    await expect(csv("amount\n1\n", { columns: ["amout"] })).rejects.toThrow(UnknownColumnError);
    await expect(csv("a\n1\n", { types: { b: types.int32 } })).rejects.toThrow(UnknownColumnError);
    await expect(csv("a\n1\n", { types: { a: types.binary } })).rejects.toThrow(/cannot be read as binary/);
  });
});

describe("inference", () => {
  const inferred = async (...values: string[]) =>
    (await csv(`a,b\n${values.map((v) => `${v},\n`).join("")}`)).types.a;

  test("the narrowest type that fits every value", async () => {
    const cases: [string[], string][] = [
      [["1", "-2", "+3", ""], "int64"],
      [["9223372036854775807", "-9223372036854775808"], "int64"],
      [["9223372036854775808"], "float64"],
      [["1", "2.5"], "float64"],
      [["1e3", ".5", "5.", "NaN", "-inf", "Infinity"], "float64"],
      [["01", "2"], "utf8"],
      [["true", "FALSE"], "bool"],
      [["true", "1"], "utf8"],
      [["2020-02-29"], "date32"],
      [["2021-02-29"], "utf8"],
      [["2020/02/29"], "date32"],
      [["2020-02/29"], "utf8"],
      [["2020-01-01", "2020-01-01 10:00"], "timestamp[us]"],
      [["2020-01-01T10:00:00.123456789"], "timestamp[ns]"],
      [["2020-01-01T10:00:00Z", "2020-01-01T10:00:00+08:00"], "timestamp[us, UTC]"],
      [["2020-01-01T10:00:00Z", "2020-01-01T10:00:00"], "utf8"],
      [["2020-01-01T24:00:00"], "utf8"],
      [["", ""], "utf8"],
      [["1", "x"], "utf8"],
      [["0x10"], "utf8"],
      [["--1"], "utf8"],
    ];
    for (const [values, type] of cases) expect(await inferred(...values), values.join()).toBe(type);
  });

  test("quoted numbers are numbers in CSV and texts in JSON", async () => {
    expect((await csv('a,b\n"1",""\n')).types).toEqual({ a: "int64", b: "utf8" });
    expect((await ndjson('{"a":"1","b":"NaN"}\n{"a":"2","b":1.5}\n')).types).toEqual({
      a: "utf8",
      b: "float64",
    });
  });
});

describe("parsing", () => {
  const one = async (type: types.DataType, text: string) =>
    (await csv(`a,b\n"${text}",\n`, { types: { a: type } })).columns.a![0];

  test("floats are the nearest doubles, whatever their form", async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ noNaN: true }), fc.nat(20), async (value, digits) => {
        for (const text of [String(value), value.toExponential(), value.toPrecision(digits + 1)]) {
          expect(Object.is(await one(types.float64, text), Number(text)), text).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
    expect(Object.is(await one(types.float64, "-0"), -0)).toBe(true);
    expect(await one(types.float64, "123456.789012345")).toBe(123456.789012345);
  });

  test("limits of integers", async () => {
    const limits: [types.DataType, bigint, bigint][] = [
      [types.int8, -128n, 127n],
      [types.uint8, 0n, 255n],
      [types.int16, -32_768n, 32_767n],
      [types.int32, -(2n ** 31n), 2n ** 31n - 1n],
      [types.uint32, 0n, 2n ** 32n - 1n],
      [types.int64, -(2n ** 63n), 2n ** 63n - 1n],
      [types.uint64, 0n, 2n ** 64n - 1n],
    ];
    for (const [type, low, high] of limits) {
      expect(await one(type, String(low))).toBe(low);
      expect(await one(type, String(high))).toBe(high);
      for (const beyond of [low - 1n, high + 1n]) {
        await expect(one(type, String(beyond))).rejects.toThrow(MalformedFileError);
      }
      for (const text of ["", "1.0", "1 ", "x", "-", "0x1"]) {
        await expect(one(type, text)).rejects.toThrow(MalformedFileError);
      }
    }
  });

  test("decimals: exact, refused when digits would be lost", async () => {
    expect(await one(types.decimal(18, 2), "-12.3")).toBe(-1230n);
    expect(await one(types.decimal(18, 2), "12.3400")).toBe(1234n);
    expect(await one(types.decimal(38, 0), "9".repeat(38))).toBe(10n ** 38n - 1n);
    for (const text of ["12.345", "1e3", ".", "", "99999999999999999"]) {
      await expect(one(types.decimal(18, 2), text)).rejects.toThrow(MalformedFileError);
    }
  });

  test("timestamps: units, zones, refused when digits would be lost", async () => {
    expect(await one(types.timestamp("s"), "1970-01-01 00:00:01")).toBe(1n);
    expect(await one(types.timestamp("ms"), "1969-12-31T23:59:59.999")).toBe(-1n);
    expect(await one(types.timestamp("ms", "UTC"), "1970-01-01T08:00:00+08:00")).toBe(0n);
    expect(await one(types.timestamp("ms", "UTC"), "1969-12-31 19:00:00-0500")).toBe(0n);
    expect(await one(types.timestamp("ms", "UTC"), "1970-01-01 00:00")).toBe(0n);
    expect(await one(types.timestamp("ns"), "2262-04-11T23:47:16.854775807")).toBe(2n ** 63n - 1n);
    expect(await one(types.date64, "1970-01-02")).toBe(86_400_000n);
    const bad: [types.DataType, string][] = [
      [types.timestamp("s"), "1970-01-01 00:00:01.5"],
      [types.timestamp("ms"), "1970-01-01T00:00:00Z"],
      [types.timestamp("ms", "Asia/Shanghai"), "1970-01-01T00:00:00"],
      [types.timestamp("ns"), "2262-04-11T23:47:16.854775808"],
      [types.timestamp("ms"), "1970-01-01T00:00:60"],
      [types.timestamp("ms"), "1970-13-01"],
      [types.timestamp("ms"), "1970-01-01T00:00:00."],
      [types.date32, "1970-01-01 00:00"],
    ];
    for (const [type, text] of bad) await expect(one(type, text), text).rejects.toThrow(MalformedFileError);
  });

  test("every day of eight centuries is where Date has it", async () => {
    const days = Array.from({ length: 3000 }, (_, i) => i * 97 - 100_000);
    const lines = days.map((day) => new Date(day * 86_400_000).toISOString().slice(0, 10));
    expect(
      (await csv(`a,b\n${lines.map((line) => `${line},\n`).join("")}`, { batchRows: 5000, sampleRows: 5000 }))
        .columns.a,
    ).toEqual(days.map(BigInt));
  });
});

describe("NDJSON", () => {
  test("keys in any order, missing keys, nulls, blank lines, spaces", async () => {
    const { columns, types: found } = await ndjson(
      '{"a":1,"b":"x"}\n\n { "b" : null , "c" : true }\r\n{"c":false,"b":"y","a":-2}\n{}',
    );
    expect(columns).toEqual({
      a: [1n, null, -2n, null],
      b: ["x", null, "y", null],
      c: [null, true, false, null],
    });
    expect(found).toEqual({ a: "int64", b: "utf8", c: "bool" });
  });

  test("integers past 2^53 keep their digits", async () => {
    expect((await ndjson('{"a":9007199254740993}\n{"a":-9223372036854775808}')).columns.a).toEqual([
      9007199254740993n,
      -(2n ** 63n),
    ]);
  });

  test("what JSON.parse reads, for any flat object", async () => {
    const key = fc.string({ unit: "binary", maxLength: 6 }).filter((name) => name !== "__proto__");
    const row = fc.dictionary(key, fc.oneof(fc.string({ unit: "binary" }), fc.constant(null)), {
      maxKeys: 5,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 8 }),
        fc.array(fc.nat(200)),
        fc.boolean(),
        async (rows, cuts, escaped) => {
          const lines = rows.map((object) => {
            const text = JSON.stringify(object);
            return escaped
              ? text.replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
              : text;
          });
          const names = [...new Set(rows.flatMap((object) => Object.keys(object)))];
          const given = Object.fromEntries(names.map((name) => [name, types.utf8]));
          const { columns } = await ndjson(lines.join("\n"), { cuts, types: given });
          const decoded = JSON.parse(`[${lines.join()}]`) as Record<string, string | null>[];
          const valid = (text: string | null) =>
            text === null ? null : new TextDecoder().decode(encoder.encode(text));
          expect(columns).toEqual(
            Object.fromEntries(
              names.map((name) => [name, decoded.map((object) => valid(object[name] ?? null))]),
            ),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test("surrogates: pairs, and halves that have none", async () => {
    const text = String.raw`{"a":"\ud83d\ude00","b":"\ud83d\ud83d\ude00","c":"\ude00\ud83d\u0041\ud83d"}`;
    const { columns } = await ndjson(text);
    expect(columns).toEqual({ a: ["😀"], b: ["\ufffd😀"], c: ["\ufffd\ufffdA\ufffd"] });
  });

  test("nested values stay JSON text", async () => {
    expect((await ndjson('{"a":{"x":[1,"}\\""]},"b":[ ]}')).columns).toEqual({
      a: ['{"x":[1,"}\\""]}'],
      b: ["[ ]"],
    });
  });

  test("damage is an error with its line", async () => {
    const lines: [string, RegExp][] = [
      ["[1]", /an object is missing/],
      ['{"a":1', /neither a comma/],
      ['{"a" 1}', /a colon is missing/],
      ["{a:1}", /a key in quotes is missing/],
      ['{"a":}', /a value is missing/],
      ['{"a":tru}', /"tru" is not a JSON value/],
      ['{"a":"x}', /a string is not closed/],
      ['{"a":"\\x"}', /unknown escape/],
      ['{"a":"\\u12g4"}', /unknown escape/],
      ['{"a":"\t"}', /control character/],
      ['{"a":{"b":1}', /neither a comma/],
      ['{"a":[1', /nested value is not closed/],
      ['{"a":[1,,2]}', /not JSON/],
      ['{"a":1} x', /behind the object/],
      ['{"a":1,}', /a key in quotes is missing/],
    ];
    for (const [line, message] of lines) {
      const error = await errorOf(ndjson(`{"a":null}\n${line}\n`));
      expect(error.message, line).toMatch(message);
      expect(error.line).toBe(2);
    }
    const number = await errorOf(ndjson('{"a":1}\n{"a":1x}\n', { sampleRows: 1 }));
    expect(number).toMatchObject({ line: 2, column: "a", value: "1x" });
  });

  test("a key that first occurs behind the sample is an error, unless its type is given or columns are", async () => {
    const text = '{"a":1}\n{"a":2,"b":3}\n';
    const options = { sampleRows: 1, batchRows: 1 };
    const error = await errorOf(ndjson(text, options));
    expect(error.message).toMatch(/test.txt:2: the key "b"/);
    expect((await ndjson(text, { ...options, columns: ["a"] })).columns).toEqual({ a: [1n, 2n] });
    expect((await ndjson(text, { ...options, types: { b: types.int8 } })).columns).toEqual({
      a: [1n, 2n],
      b: [null, 3n],
    });
  });

  test("an empty file has no columns", async () => {
    expect(await ndjson("")).toEqual({ types: {}, columns: {} });
  });
});
