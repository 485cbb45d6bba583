// How calls become runs, in this process.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { EngineName } from "../engine/engine.js";
import { prepareData } from "../input/data-file.js";
import type { Mode } from "../suite/case.js";
import { casesNamed } from "../suite/index.js";
import { LocalContender } from "./contender.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-contender-test-"));
/** Long enough for several calls on a machine that has other things to do. */
const RUN_MS = 200;

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function opened(name: string, engine: EngineName, mode: Mode = "batch"): Promise<LocalContender> {
  const [of] = casesNamed([name]);
  const { fixture, columns } = of!.inputs.t!;
  const t = await prepareData({ fixture, columns, rows: 2000, seed: 1, options: {} }, folder);
  const options = { threads: 1, mode, build: "simd" } as const;
  const contender = new LocalContender({ engine, case: name, files: { t }, options });
  await contender.open();
  return contender;
}

test.each([
  ["groupby/int-sum", "millrace", "batch"],
  ["groupby/int-sum", "millrace", "stream"],
  ["groupby/int-sum", "js", "batch"],
  ["micro/sum-int", "millrace", "batch"],
] as const)(
  "%s of %s as a %s: a run of a short call is many, one alone is one",
  async (name, engine, mode) => {
    const contender = await opened(name, engine, mode);
    await contender.warmUp(0, 0);
    const one = await contender.run(0);
    expect(one.calls ?? 1).toBe(1);
    const several = await contender.run(RUN_MS);
    expect(several.calls).toBeGreaterThan(1);
    expect(several.ms * several.calls!).toBeGreaterThanOrEqual(RUN_MS);
    expect(several.outputRows).toBe(one.outputRows);
    expect((await contender.check()).ownMs).toBeGreaterThan(0);
    await contender.close();
  },
);
