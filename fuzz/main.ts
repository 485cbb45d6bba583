// `npm run fuzz -- [--seconds N] [--seed S] [--cases N] [--only NAME] [--keep-going]`: draws cases until the time is
// up, and of each that fails prints the smallest form found, as a test to paste. Cases are numbered from the seed on:
// `--seed 1234 --cases 1` is case 1234 again.

import { inspect, parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { KernelTrapError } from "../bindings/ts/type/error.js";
import { BytesTarget } from "./bytes-target.js";
import { Draw } from "./draw.js";
import { DuckdbTarget } from "./duckdb-target.js";
import { FaultTarget } from "./fault-target.js";
import { PlanTarget } from "./plan-target.js";
import { shrink } from "./shrink.js";
import type { Target } from "./target.js";

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string" },
    cases: { type: "string" },
    only: { type: "string" },
    "keep-going": { type: "boolean", default: false },
    "shrink-seconds": { type: "string", default: "30" },
  },
});

/** A case that takes so much of the processor hangs, and one that waits so long; of a busy machine it gets little. */
const HANG_MS = { processor: 60_000, wall: 600_000 };
/** Cases are small: one that makes the process so large would take all there is. */
const MOST_BYTES = 2 ** 31;
/** Looks from another thread whether cases go on; kills the process when one hangs, or takes too much memory. */
const WATCH = `
  const { workerData } = require("node:worker_threads");
  const end = (what) => {
    const number = Atomics.load(workerData.cases, 0) & ((1n << 53n) - 1n);
    require("node:fs").writeSync(2, "case " + number + " " + what + "\\n");
    process.kill(process.pid, "SIGKILL");
  };
  const processorMs = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
  let [last, since, used] = [-1n, Date.now(), processorMs()];
  setInterval(() => {
    const now = Atomics.load(workerData.cases, 0);
    if (now !== last) [last, since, used] = [now, Date.now(), processorMs()];
    else if (processorMs() - used > ${HANG_MS.processor} || Date.now() - since > ${HANG_MS.wall}) end("hangs");
    if (process.memoryUsage.rss() > ${MOST_BYTES}) end("takes more than ${MOST_BYTES} bytes");
  }, 1000);
`;
const current = new BigInt64Array(new SharedArrayBuffer(8));
const watch = new Worker(WATCH, { eval: true, workerData: { cases: current } });
watch.unref();

const TARGETS: Readonly<Record<string, () => Promise<Target>>> = {
  plan: () => PlanTarget.open(),
  fault: () => FaultTarget.open(),
  bytes: () => BytesTarget.open(),
  duckdb: () => DuckdbTarget.open(),
};

const names = Object.keys(TARGETS).filter((name) => options.only === undefined || name === options.only);
if (names.length === 0) {
  console.error(`--only is one of ${Object.keys(TARGETS).join(", ")}, not ${options.only}`);
  process.exit(2);
}
const first = options.seed === undefined ? Math.floor(Math.random() * 2 ** 40) : Number(options.seed);
const seconds = Number(options.seconds);
const most = options.cases === undefined ? Number.POSITIVE_INFINITY : Number(options.cases);
const shrinkMs = 1000 * Number(options["shrink-seconds"]);

let found = 0;
for (const name of names) {
  const target = await TARGETS[name]!();
  const start = Date.now();
  const until = start + (1000 * seconds) / names.length;
  let seed = first;
  for (; seed < first + most && Date.now() < until && (found === 0 || options["keep-going"]); seed++) {
    if (await fails(target, seed)) found++;
  }
  const minutes = (Date.now() - start) / 60_000;
  const count = seed - first;
  console.log(
    `${name}: cases ${first} to ${seed - 1}, ${count} in ${(60 * minutes).toFixed(0)} s (${(count / minutes).toFixed(0)} a minute); ${target.summary()}`,
  );
  await target.close();
}
console.log(found === 0 ? "nothing found" : `${found} found`);
process.exitCode = found === 0 ? 0 : 1;

/** Runs one case; of a failing one says what is known. */
async function fails(target: Target, seed: number): Promise<boolean> {
  const draw = Draw.random(seed, target.name);
  current[0] = BigInt(seed);
  const error = await errorOf(target, draw);
  if (error === null) return false;
  console.log(`\n${target.name}, case ${seed} fails: ${messageOf(error)}`);
  const shrunk = await shrink(draw, error, (smaller) => errorOf(target, smaller), shrinkMs);
  const title = `${target.name} case ${seed}`;
  console.log(`\nafter ${shrunk.trials} trials: ${messageOf(shrunk.error)}\n`);
  console.log(target.test(Draw.replay(shrunk.choices), title));
  return true;
}

async function errorOf(target: Target, draw: Draw): Promise<unknown> {
  // Trials of a smaller case tick too.
  current[0]! += 1n << 53n;
  try {
    await target.run(draw);
    return null;
  } catch (error) {
    return error;
  }
}

/** Of a trap, also where it was. */
function messageOf(error: unknown): string {
  if (error instanceof KernelTrapError) return inspect(error);
  return error instanceof Error ? error.message : String(error);
}
