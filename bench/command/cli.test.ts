import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { runCommandLine } from "./cli.js";

describe("bad usage", () => {
  let said = "";

  beforeEach(() => {
    said = "";
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      said += String(text);
      return true;
    });
  });

  afterEach(() => {
    vi.restoreAllMocks();
  });

  test.each([
    [
      ["measure", "groupby/q1"],
      /unknown verb "measure"; verbs: bench, profile, gen, run, compare, report, completion/,
    ],
    [["profile"], /profile needs SUITE\/CASE/],
    [["profile", "groupby"], /profile takes one case: groupby is 1\d \(groupby\/q1, /],
    [["profile", "groupby/q1", "groupby/q2"], /profile takes one case/],
    [["profile", "groupby/q55"], /did you mean groupby\/q5/],
    [["profile", "groupby/q1", "--build", "fast"], /--build is debug, simd, threads, scalar, not "fast"/],
    [["profile", "groupby/q1", "--mode", "fast"], /--mode is batch, stream or both/],
    [["profile", "groupby/q1", "--rows", "0"], /--rows must be a whole number/],
    [["profile", "groupby/q1", "--runs", "0"], /--runs takes whole numbers/],
    [["profile", "--diff", "one.json"], /needs OLD.json and NEW.json/],
    [["profile", "--diff", "none.json", "none.json"], /none.json cannot be read/],
    [
      ["profile", "--diff", "package.json", "package.json"],
      /has no schema: this version reads "millrace-profile/,
    ],
    [[], /which verb\?/],
    [["bench", "groupby/q55"], /unknown suite or case "groupby\/q55": did you mean groupby\/q5/],
    [["bench", "groupby@null"], /did you mean groupby@nulls/],
    [["bench", "groupby/q55", "--list"], /did you mean groupby\/q5/],
    [["bench", "quick", "exact"], /quick stands alone/],
    [["bench", "--bogus", "1"], /Unknown option `--bogus`/],
    [["bench", "--rows"], /value is missing/],
    [["bench", "--rows", "many"], /--rows must be/],
    [["bench", "groupby/q1", "--rows", "0"], /--rows must be a whole number of rows/],
    [["bench", "groupby/q1", "--rows", "1M,none"], /--rows must be a whole number of rows/],
    [["bench", "groupby/q1", "--rows", "50G"], /takes at least .* and WebAssembly has 4 GiB/],
    [["bench", "--html"], /value is missing/],
    [["bench", "--json", "a.json", "--json", "b.json"], /--json was given more than once/],
    [["report"], /missing required args/],
    [["report", "package.json"], /report needs --html FILE or --card FILE/],
    [["report", "none.json", "--html", "x.html"], /none.json cannot be read/],
    [["report", "package.json", "--html", "x.html"], /has no schema: this version reads "millrace-bench/],
    [["report", "README.md", "--html", "x.html"], /README.md is no JSON/],
    [["report", "docs", "--html", "x.html"], /docs has no reports: bench --save docs/],
    [["report", "docs", "--card", "x.svg"], /--card draws one report, and docs is a folder/],
    [["completion"], /missing required args/],
    [["completion", "csh"], /completion is for bash, zsh, fish, not "csh"/],
    [["bench", "--fail-below=-1"], /--fail-below/],
    [["gen", "orders"], /gen needs --out FILE/],
    [["gen", "order", "--out", "x.arrow"], /did you mean orders/],
    [["compare", "none.json"], /compare needs OLD.json and NEW.json/],
    [["compare", "none.json", "none.json"], /none.json cannot be read/],
    [["compare", "package.json", "package.json"], /package.json has no schema: this version reads/],
    [["compare", "README.md", "README.md"], /README.md is no JSON/],
    [["run"], /missing required args/],
    [["run", "plan.txt"], /a plan module is a/],
    [["run", "none.mjs", "--input", "x"], /--input is NAME=FILE/],
    [["run", "none.mjs", "--input", "x=1", "--input", "x=2"], /names "x" twice/],
    [["run", "none.mjs"], /no such file/],
  ])("%j exits with 2", async (args, message) => {
    expect(await runCommandLine(args)).toBe(2);
    expect(said).toMatch(message);
  });
});

test("the help of every verb teaches by examples", async () => {
  const print = vi.spyOn(console, "info").mockImplementation(() => {});
  const verbs = ["bench", "profile", "gen", "run", "compare", "report", "completion"];
  for (const verb of verbs) expect(await runCommandLine([verb, "--help"])).toBe(0);
  const said = print.mock.calls.map(([text]) => String(text));
  expect(said.map((text) => text.match(/\$ millrace (\w+)/)?.[1])).toEqual(verbs);
  for (const text of said) expect(text).toMatch(/Examples:\n +(source <\()?millrace /);
  print.mockRestore();
});

test("help and version exit with 0", async () => {
  const print = vi.spyOn(console, "info").mockImplementation(() => {});
  expect(await runCommandLine(["--help"])).toBe(0);
  expect(await runCommandLine(["bench", "--help"])).toBe(0);
  expect(await runCommandLine(["--version"])).toBe(0);
  expect(print).toHaveBeenCalledTimes(3);
  print.mockRestore();
});
