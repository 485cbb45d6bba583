import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Table } from "apache-arrow";
import { afterAll, expect, test } from "vitest";
import { prepareData } from "../input/data-file.js";
import { arrowTables } from "../input/load.js";
import { casesNamed } from "../suite/index.js";
import { OpenedCase } from "./opened-case.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-opened-case-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["spill/sort", true],
  ["spill/sort-in-memory", false],
])("%s writes to files: %s; its result lies on the host", async (name, writes) => {
  const [of] = casesNamed([name]);
  const { fixture, columns } = of!.inputs.t!;
  const data = await prepareData({ fixture, rows: 1_500_000, seed: 1, columns, options: {} }, folder);
  const opened = await OpenedCase.open(of!, arrowTables(of!, { t: data }), { build: "simd", workers: 1 });
  try {
    const result = await opened.collect(of!.plan());
    expect(result).toBeInstanceOf(Table);
    expect((result as Table).numRows).toBe(1_500_000);
    expect((opened.engine.stats().spill?.bytesWritten ?? 0) > 0).toBe(writes);
  } finally {
    await opened.close();
  }
  expect(opened.folder !== null).toBe(writes);
  if (opened.folder !== null) expect(existsSync(opened.folder)).toBe(false);
});

test("a case that limits nothing is loaded, and its result stays", async () => {
  const [of] = casesNamed(["groupby/int-sum"]);
  const { fixture, columns } = of!.inputs.t!;
  const data = await prepareData({ fixture, rows: 1000, seed: 1, columns, options: {} }, folder);
  const opened = await OpenedCase.open(of!, arrowTables(of!, { t: data }), { build: "simd", workers: 1 });
  try {
    const result = await opened.collect(of!.plan());
    expect(result).not.toBeInstanceOf(Table);
    expect((result as Exclude<typeof result, Table>).rows).toBe(100);
  } finally {
    await opened.close();
  }
});
