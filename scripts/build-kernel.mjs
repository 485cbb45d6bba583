// Compiles the kernel to build/*.wasm, one compiler process per target of asconfig.json, as many at once as there
// are cores.
//
// Targets whose output is newer than every kernel source are skipped, so that `npm test` and
// `npm run bench` cost nothing when nothing changed. `--force` rebuilds; names pick targets.
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
const config = JSON.parse(readFileSync("asconfig.json", "utf8"));
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const force = process.argv.includes("--force");

const transforms = [
  "./scripts/rotate-loops.mjs",
  "./scripts/keep-apart.mjs",
  "./scripts/order-functions.mjs",
];
const sources = readdirSync("kernel", { recursive: true })
  .filter((file) => /(?<!\.test)\.ts$/.test(file) && !/testing[^/\\]*\.ts$/.test(file))
  .map((file) => join("kernel", file));
const newest = Math.max(
  ...[...sources, "asconfig.json", ...transforms].map((file) => statSync(file).mtimeMs),
);
const builtAt = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
const compiler = fileURLToPath(import.meta.resolve("assemblyscript/bin/asc.js"));

/** Compiles one target; rejects with what the compiler said. */
function compile(target, outFile) {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const options = ["--config", "asconfig.json", "--target", target, "--transform", transforms.join(",")];
    const child = spawn(process.execPath, [compiler, ...options], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code !== 0) return reject(new Error(`kernel: ${target} failed`));
      const took = Math.round(performance.now() - started);
      console.error(`kernel: ${outFile}, ${statSync(outFile).size} bytes, ${took} ms`);
      resolve();
    });
  });
}

mkdirSync("build", { recursive: true });
const waiting = Object.entries(config.targets).filter(
  ([target, { outFile }]) =>
    (wanted.length === 0 || wanted.includes(target)) && (force || builtAt(outFile) <= newest),
);
async function work() {
  for (let next = waiting.shift(); next; next = waiting.shift()) await compile(next[0], next[1].outFile);
}
try {
  await Promise.all(Array.from({ length: availableParallelism() }, work));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
