// A share of the fuzzer in every test run: always the same cases. `npm run fuzz` draws others.

import { expect, it } from "vitest";
import { Draw } from "./draw.js";
import { PlanTarget } from "./plan-target.js";

const CASES = 150;

it("random plans give the twin's rows in every way", { timeout: 120_000 }, async () => {
  const target = await PlanTarget.open();
  for (let seed = 0; seed < CASES; seed++) {
    const draw = Draw.random(seed, target.name);
    await target.run(draw).catch((error) => {
      throw new Error(`case ${seed}: ${error.message}\n${target.test(draw, `plan case ${seed}`)}`);
    });
  }
  expect(target.summary()).toMatch(/^[1-9]\d\d+ runs compared/);
  await target.close();
});
