// Contenders in real processes, one of which is killed half-way.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { EngineName } from "../engine/engine.js";
import { prepareData } from "../input/data-file.js";
import { resultRow } from "../report/report.js";
import { casesNamed } from "../suite/index.js";
import { ChildContender } from "./child-process.js";
import { race } from "./race.js";
import { verify } from "./verify.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-child-test-"));
const { execArgv } = process;

afterEach(() => {
  process.execArgv = execArgv;
  rmSync(folder, { recursive: true, force: true });
});

test("a peer whose process is killed half-way is a row with the error, and the others go on", async () => {
  // Children read TypeScript by what their parent was started with.
  process.execArgv = ["--import", "tsx"];
  const [of] = casesNamed(["groupby/int-sum"]);
  const { fixture, columns } = of!.inputs.t!;
  const t = await prepareData({ fixture, columns, rows: 5000, seed: 1, options: {} }, folder);
  const contender = (engine: EngineName) =>
    new ChildContender({
      engine,
      case: "groupby/int-sum",
      files: { t },
      options: { threads: 1, mode: "batch", build: "simd" },
    });
  const contenders = [contender("millrace"), contender("js"), contender("twin")];
  const [millrace, js, twin] = contenders as [ChildContender, ChildContender, ChildContender];
  const onStep = (step: string) => {
    if (step.startsWith("js: run 2")) process.kill(js.pid!, "SIGKILL");
  };
  const outcomes = await race([millrace, js], [twin], { runs: 3, onStep });
  const verdicts = await verify(outcomes);
  await Promise.all([millrace.close(), twin.close()]);
  const rows = outcomes.map((outcome, index) =>
    resultRow(of!, outcome, verdicts[index]!, { asked: 5000, rows: 5000, bytes: null }),
  );
  expect(rows[0]).toMatchObject({ engine: "millrace", runs: 3, verified: true, verifiedBy: ["twin"] });
  expect(rows[1]).toMatchObject({ engine: "js", verified: false, rows: 5000 });
  expect(rows[1]!.error).toMatch(/the process of js on groupby\/int-sum died \(SIGKILL\)/);
  expect(rows[1]!.unavailable).toBe(undefined);
}, 120_000);
