// A copy of the tree in a temporary directory, in which the kernel may be changed: what the scripts share that put
// faults into it, or marks. Unless they ask for more, only the SIMD build is made of the copy, and tested.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
const FOLDERS = ["kernel", "bindings", "twin", "fixtures", "fuzz", "test", "scripts", "build"];
const FILES = ["package.json", "asconfig.json", "vitest.config.ts", "tsconfig.json"];
const BUILD_MS = 600_000;
/** What the fuzzer may take beyond its time: it starts, and ends the case at hand. */
const FUZZ_EXTRA_MS = 120_000;

/** Where a module's file lies, from the root of the tree or of its copy. */
const moduleFile = (path) => relative(root, join(root, "node_modules", path));

/** The kernel's files that are code: no tests, and no numbers of the ABI. */
export function kernelSources() {
  return readdirSync(join(root, "kernel"), { recursive: true })
    .map((file) => join("kernel", file))
    .filter((file) => file.endsWith(".ts") && !/\.test\.ts$|testing/.test(file) && !file.includes("abi/"))
    .sort();
}

/** The source of one of them with a module of the copy, `kernel/NAME.ts`, at hand. */
export function importing(file, names, module, source) {
  const path = join(relative(dirname(file), "kernel"), module);
  return `import { ${names.join(", ")} } from "${path.startsWith(".") ? path : `./${path}`}";\n${source}`;
}

export class KernelCopy {
  #path = mkdtempSync(join(tmpdir(), "millrace-kernel-"));
  #builds;
  /** Added to what commands find in their environment. */
  environment = {};

  constructor(builds = ["simd"]) {
    this.#builds = builds;
    process.on("exit", () => rmSync(this.#path, { recursive: true, force: true }));
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));
    for (const name of FOLDERS) cpSync(join(root, name), join(this.#path, name), { recursive: true });
    for (const name of FILES) cpSync(join(root, name), join(this.#path, name));
    symlinkSync(join(root, "node_modules"), join(this.#path, "node_modules"), "junction");
  }

  /** Runs `body` while `file` is what `change` makes of it. */
  changed(file, change, body) {
    const path = join(this.#path, file);
    const original = readFileSync(path, "utf8");
    writeFileSync(path, change(original));
    try {
      return body();
    } finally {
      writeFileSync(path, original);
    }
  }

  /** Where a file of the tree lies in the copy. */
  pathOf(file) {
    return join(this.#path, file);
  }

  build() {
    return this.#run("scripts/build-kernel.mjs", ["--force", ...this.#builds], BUILD_MS);
  }

  vitest(parameters, timeout) {
    return this.#run(moduleFile("vitest/vitest.mjs"), ["run", ...parameters], timeout);
  }

  /** The fuzzer's plans, or other cases, for so many seconds; what it finds is not made smaller. */
  fuzz(seconds, seed, only = ["--only", "plan"]) {
    const parameters = [...only, "--seconds", String(seconds), "--shrink-seconds", "0"];
    if (seed !== undefined) parameters.push("--seed", String(seed));
    return this.#run(
      moduleFile("tsx/dist/cli.mjs"),
      ["fuzz/main.ts", ...parameters],
      1000 * seconds + FUZZ_EXTRA_MS,
    );
  }

  #run(command, parameters, timeout) {
    const result = spawnSync(process.execPath, [command, ...parameters], {
      cwd: this.#path,
      encoding: "utf8",
      timeout,
      killSignal: "SIGKILL",
      maxBuffer: 1 << 28,
      env: { ...process.env, MILLRACE_BUILDS: this.#builds.join(","), ...this.environment },
    });
    return {
      passed: result.status === 0,
      timedOut: result.error?.code === "ETIMEDOUT",
      output: `${result.stdout}${result.stderr}`,
    };
  }
}
