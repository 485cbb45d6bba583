// Compiles the kernel to build/*.wasm, one compiler call per target of asconfig.json.
//
// Targets whose output is newer than every kernel source are skipped, so that `npm test` and
// `npm run bench` cost nothing when nothing changed. `--force` rebuilds; names pick targets.
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);
const config = JSON.parse(readFileSync("asconfig.json", "utf8"));
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const force = process.argv.includes("--force");

const sources = readdirSync("kernel", { recursive: true })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => join("kernel", file));
const newest = Math.max(...[...sources, "asconfig.json"].map((file) => statSync(file).mtimeMs));
const builtAt = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

mkdirSync("build", { recursive: true });
for (const [target, { outFile }] of Object.entries(config.targets)) {
  if (wanted.length > 0 && !wanted.includes(target)) continue;
  if (!force && builtAt(outFile) > newest) continue;
  const started = performance.now();
  const { error, stderr } = await asc.main(["--config", "asconfig.json", "--target", target]);
  const warnings = stderr.toString();
  if (warnings) process.stderr.write(warnings);
  if (error) {
    console.error(`kernel: ${target} failed: ${error.message}`);
    process.exit(1);
  }
  console.error(
    `kernel: ${outFile}, ${statSync(outFile).size} bytes, ${Math.round(performance.now() - started)} ms`,
  );
}
