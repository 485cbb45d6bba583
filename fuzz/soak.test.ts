// A few seconds of the soak in every test run. `npm run soak` goes on for longer, and sees memory grow.

import { expect, it } from "vitest";
import { soak } from "./soak-run.js";

it("streams and batches side by side give their results, and leave nothing", {
  timeout: 120_000,
}, async () => {
  const report = await soak({ seconds: 3, seed: 7 });
  expect(report.failures).toEqual([]);
  // A busy machine does a few, an idle one hundreds.
  expect(report.right).toBeGreaterThan(0);
});
