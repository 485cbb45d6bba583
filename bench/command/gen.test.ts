import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openFile } from "../../bindings/ts/io/file.js";
import { ArgumentError } from "../../bindings/ts/type/error.js";
import { CATALOG, openFixture } from "../../fixtures/catalog.js";
import { readColumn, type Value } from "../../twin/values.js";
import { gen } from "./gen.js";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-gen-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function valuesOf(path: string): Promise<Value[][]> {
  const source = await openFile(path);
  const columns: Value[][] = source.schema.fields.map(() => []);
  for await (const batch of source.batches()) {
    batch.columns.forEach((column, index) => {
      columns[index]!.push(...readColumn(column));
    });
  }
  return columns;
}

test.each(Object.keys(CATALOG))("%s: the file holds the fixture's rows", async (fixture) => {
  const out = join(directory, `${fixture}.arrow`);
  const result = await gen({ fixture, rows: "1k", seed: "7", out });
  const made = await openFixture(fixture, { rows: 1000, seed: 7 });
  expect(result).toMatchObject({ fixture, path: out, rows: made.rows, bytes: statSync(out).size });
  expect(await valuesOf(out)).toEqual(made.batch(0, made.rows).columns.map(readColumn));
});

test("options reach the fixture, and progress is told", async () => {
  const out = join(directory, "options.parquet");
  const progress: number[][] = [];
  await gen({
    ...{
      fixture: "groupby",
      rows: 70_000,
      k: "10",
      nulls: "5",
      sorted: true,
      strings: "utf8",
      columns: "id1,v1",
      out,
    },
    onProgress: (rows, total) => progress.push([rows, total]),
  });
  const made = await openFixture("groupby", {
    ...{ rows: 70_000, k: 10, nulls: 5, sorted: true, strings: "utf8", columns: ["id1", "v1"] },
  });
  expect(await valuesOf(out)).toEqual(made.batch(0, 70_000).columns.map(readColumn));
  expect(progress).toEqual([
    [65_536, 70_000],
    [70_000, 70_000],
  ]);
});

test("bad usage is an ArgumentError", async () => {
  const out = join(directory, "bad.csv");
  const cases = [
    [{ fixture: "grupby", out }, /did you mean groupby/],
    [{ fixture: "orders", out: "x.txt", rows: 1 }, /extension/],
    [{ fixture: "orders", out, rows: "0" }, /--rows/],
    [{ fixture: "orders", out, rows: 1, seed: "-1" }, /--seed/],
    [{ fixture: "orders", out, rows: 1, k: 5 }, /no option "k"/],
    [{ fixture: "groupby", out, rows: 1, k: "x" }, /--k/],
    [{ fixture: "groupby", out, rows: 1, nulls: "101" }, /--nulls/],
    [{ fixture: "groupby", out, rows: 1, strings: "text" }, /--strings/],
    [{ fixture: "flights", out, rows: "4M" }, /3000000 rows/],
    [{ fixture: "orders", out: join(directory, "none", "x.csv"), rows: 1 }, /cannot be written/],
  ] as const;
  for (const [options, message] of cases) {
    const error = await gen(options).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toMatch(message);
  }
});
