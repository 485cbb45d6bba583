// Contenders in real processes, one of which is killed half-way.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import type { EngineName } from "../engine/engine.js";
import { prepareData } from "../input/data-file.js";
import { resultRow } from "../report/report.js";
import type { Mode } from "../suite/case.js";
import { casesNamed } from "../suite/index.js";
import { ChildContender, housemates } from "./child-process.js";
import type { ContenderSpec } from "./contender.js";
import { race } from "./race.js";
import { verify } from "./verify.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-child-test-"));
const { execArgv } = process;

afterEach(() => {
  process.execArgv = execArgv;
});

afterAll(() => {
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

test("contenders of one engine share a process, which ends with the last of them", async () => {
  process.execArgv = ["--import", "tsx"];
  const [of] = casesNamed(["groupby/int-sum"]);
  const { fixture, columns } = of!.inputs.t!;
  const t = await prepareData({ fixture, columns, rows: 5000, seed: 1, options: {} }, folder);
  const spec = (engine: EngineName, mode: Mode): ContenderSpec => {
    return { engine, case: "groupby/int-sum", files: { t }, options: { threads: 1, mode, build: "simd" } };
  };
  const shared = housemates([spec("millrace", "batch"), spec("js", "batch"), spec("millrace", "stream")]);
  const [batch, js, stream] = shared as [ChildContender, ChildContender, ChildContender];
  expect(stream.pid).toBe(batch.pid);
  expect(js.pid).not.toBe(batch.pid);
  const outcomes = await race(shared, [], { runs: 1 });
  expect(outcomes.map(({ error, checked }) => error ?? checked!.rows)).toEqual([100, 100, 100]);
  await batch.close();
  expect((await stream.run(0)).outputRows).toBe(100);
  await Promise.all([stream.close(), js.close()]);
  await expect(stream.run(0)).rejects.toThrow();
}, 120_000);
