// `npm run soak -- [--seconds N] [--seed S]`: streams and batches side by side for so long, results held against what they
// must be, memory and handles against what they were. Exits with 1 where anything differs, and says what.

import { parseArgs } from "node:util";
import { soak } from "./soak-run.js";

const { values: options } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, seed: { type: "string", default: "1" } },
});

let said = 0;
const report = await soak({
  seconds: Number(options.seconds),
  seed: Number(options.seed),
  say: (line) => {
    if (Date.now() - said < 10_000) return;
    said = Date.now();
    console.log(line);
  },
});
const { right, ended, short, refused, spilledBytes, restarts, rests, growth, failures } = report;
console.log(
  `${right} runs gave their results, ${ended} were ended on purpose, ${short} found no memory, ${refused} had no result to compare; ` +
    `${(spilledBytes / 2 ** 20).toFixed(0)} MiB spilled, ${restarts} threads replaced, ${rests} rests; ${growth}`,
);
for (const failure of failures) console.error(`failed: ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
