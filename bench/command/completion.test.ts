import { spawnSync } from "node:child_process";
import { afterEach, expect, test, vi } from "vitest";
import { runCommandLine } from "./cli.js";

afterEach(() => {
  vi.restoreAllMocks();
});

async function script(shell: string): Promise<string> {
  let said = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
  expect(await runCommandLine(["completion", shell])).toBe(0);
  vi.restoreAllMocks();
  return said;
}

/** What bash completes after these words. */
function completed(source: string, words: readonly string[]): string[] {
  const list = words.map((word) => `'${word}'`).join(" ");
  const run = `${source}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, status } = spawnSync("bash", ["-c", run], { encoding: "utf8" });
  expect(status).toBe(0);
  return stdout.trim().split("\n");
}

const hasBash = spawnSync("bash", ["-c", "true"]).status === 0;

test.runIf(hasBash)("bash completes verbs, options, suites, cases and fixtures", async () => {
  const source = await script("bash");
  expect(completed(source, ["millrace", "p"])).toEqual(["profile"]);
  expect(completed(source, ["millrace", "bench", "--fail"])).toEqual(["--fail-below"]);
  expect(completed(source, ["millrace", "bench", "double11/g"])).toEqual(["double11/gmv"]);
  expect(completed(source, ["millrace", "gen", "order"])).toEqual(["orders", "orders-yesterday"]);
  expect(completed(source, ["millrace", "report", "--c"])).toEqual(["--card"]);
  expect(completed(source, ["millrace", "compare", "package.js"])).toEqual(["package.json"]);
});

test("zsh and fish get theirs", async () => {
  expect(await script("zsh")).toMatch(/^autoload -U \+X bashcompinit/);
  const fish = await script("fish");
  expect(fish).toContain('-a "bench profile gen run compare report completion"');
  expect(fish).toContain('-n "__fish_seen_subcommand_from bench" -l peers');
});
