import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { runCommandLine } from "./cli.js";
import { runOptions } from "./run.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-run-test-"));
const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const index = new URL("../../bindings/ts/index.ts", import.meta.url).href;
const PLAN = `
  import { asc, count, from, sum } from ${JSON.stringify(index)};
  export default from("sales").groupBy("shop").aggregate({ rows: count(), total: sum("fee") }).orderBy("shop");`;
const SALES = "shop,fee\nnorth,1.5\nsouth,2\nnorth,0.25\n,4\n";

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("run", () => {
  let out = "";
  let said = "";

  beforeEach(() => {
    [out, said] = ["", ""];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      out += String(text);
      return true;
    });
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      said += String(text);
      return true;
    });
  });

  afterEach(() => {
    vi.restoreAllMocks();
  });

  test.each(["batch", "stream"])("prints the result of a %s as a table", async (mode) => {
    const plan = file("plan.ts", PLAN);
    const sales = file("sales.csv", SALES);
    expect(await runCommandLine(["run", plan, "--input", `sales=${sales}`, "--mode", mode])).toBe(0);
    const lines = ["shop   rows  total", "north     2   1.75", "south     1    2.0", "null      1    4.0"];
    expect(out).toBe(`${lines.join("\n")}\n(3 rows)\n`);
    expect(said).toBe("");
  });

  test.each(["batch", "stream"])("writes the result of a %s to a file", async (mode) => {
    const plan = file("plan.ts", PLAN);
    const sales = file("sales.csv", SALES);
    const to = join(folder, `${mode}.ndjson`);
    const args = ["run", plan, "--input", `sales=${sales}`, "--mode", mode, "--out", to];
    expect(await runCommandLine(args)).toBe(0);
    expect(
      readFileSync(to, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { shop: "north", rows: 2, total: 1.75 },
      { shop: "south", rows: 1, total: 2 },
      { shop: null, rows: 1, total: 4 },
    ]);
    expect(out).toMatch(/3 rows/);
  });

  test("a plan that does not fit the data is bad usage, named", async () => {
    const plan = file("other.ts", PLAN.replace('sum("fee")', 'sum("fees")'));
    const sales = file("sales.csv", SALES);
    expect(await runCommandLine(["run", plan, "--input", `sales=${sales}`])).toBe(2);
    expect(said).toMatch(/unknown column "fees".*"fee"/);
  });

  test("a module that exports no plan is bad usage", async () => {
    const plan = file("empty.ts", "export default 7;");
    expect(await runCommandLine(["run", plan])).toBe(2);
    expect(said).toMatch(/must export a plan as default/);
  });
});

test("options are read", () => {
  const options = runOptions({ input: ["a=x.csv", "b=y=z.csv"], mode: "stream", out: "o.arrow" });
  expect([...options.inputs]).toEqual([
    ["a", "x.csv"],
    ["b", "y=z.csv"],
  ]);
  expect(options).toMatchObject({ mode: "stream", out: "o.arrow", quiet: false });
  expect(() => runOptions({ mode: "both" })).toThrow(/--mode is batch or stream/);
});
