// Mutation testing of the kernel: small faults are put into a copy of kernel/, one at a time, the SIMD
// build is made of it, and the kernel's tests must notice. A mutant that they let pass ("survivor") is
// either a gap in the tests or a change that makes no difference; a reader has to tell which.
//
//   node scripts/mutate-kernel.mjs                        30 mutants drawn from the whole kernel
//   node scripts/mutate-kernel.mjs group hash --count 50  only files whose path contains one of the words
//   node scripts/mutate-kernel.mjs --seed 7 --list        print the mutants, run nothing
//   node scripts/mutate-kernel.mjs --at group/pack.ts:31  every mutant of one line
//   node scripts/mutate-kernel.mjs --fuzz 300             the fuzzer must notice, within so many seconds
//
// The draw is seeded, so that a run can be repeated. A mutant costs a build and the tests of its folder
// (about 20 s). The copy is made in a temporary directory: the tree is not touched.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: "string", default: "30" },
    seed: { type: "string", default: "1" },
    at: { type: "string" },
    fuzz: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

/** What is replaced, and by what. One match of one rule on one line is one mutant. */
const RULES = [
  [/ < /g, " <= ", "boundary"],
  [/ <= /g, " < ", "boundary"],
  [/ > /g, " >= ", "boundary"],
  [/ >= /g, " > ", "boundary"],
  [/ == /g, " != ", "negated comparison"],
  [/ != /g, " == ", "negated comparison"],
  [/ \+ /g, " - ", "plus to minus"],
  [/ - /g, " + ", "minus to plus"],
  [/ && /g, " || ", "and to or"],
  [/ \|\| /g, " && ", "or to and"],
  [/ & /g, " | ", "mask widened"],
  [/ >>> /g, " >> ", "signed shift"],
  [/\bgt_s\b/g, "ge_s", "boundary in SIMD"],
  [/\bgt_u\b/g, "ge_u", "boundary in SIMD"],
  [/\bmin([_<(])/g, "max$1", "min to max"],
  [/\bmax([_<(])/g, "min$1", "max to min"],
  [/(?<=[(&|=?:] ?)!(?=[\w(])/g, "", "dropped negation"],
  [/\breturn true\b/g, "return false", "answer turned"],
  [/\breturn false\b/g, "return true", "answer turned"],
  [/\+ 1\b/g, "+ 0", "off by one"],
  [/- 1\b/g, "- 0", "off by one"],
  [/^(\s+)[\w.]+ (?:[-+|&^]?=) [^;]+;$/g, "$1;", "dropped assignment"],
  [/^(\s+)[\w.]+(?:\+\+|--);$/g, "$1;", "dropped step"],
  [/^(\s+)(?:store<|memory\.|v128\.store)[^;]*;$/g, "$1;", "dropped store"],
  [/^(\s+)[a-z]\w+\([^;]*\);$/g, "$1;", "dropped call"],
];

/** Tests that have a say about a folder of the kernel; others are not run. */
const TESTS = {
  abi: ["kernel"],
  expression: ["kernel/expression", "kernel/operator/project.test.ts"],
  memory: ["kernel/memory", "kernel/operator", "bindings/ts/kernel/input.test.ts"],
  column: ["kernel/expression", "kernel/operator", "kernel/group"],
  hash: ["kernel/group", "kernel/operator"],
  group: ["kernel/group", "kernel/operator"],
  aggregate: ["kernel/aggregate", "kernel/operator"],
  sort: ["kernel/sort"],
  operator: ["kernel/operator", "kernel/sort", "bindings/ts/kernel/operator.test.ts"],
};
const NOT_SIMD = "^(?!.*(threads|scalar)).*$";

/** Mulberry32: numbers in [0, 1) from a seed. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Whether a line has code that may be mutated: no comments, imports, decorators, declarations of constants. */
function isCode(line) {
  return !/^\s*(\/\/|\*|\/\*|import |export \{|\} from|@|export const enum)/.test(line);
}

function mutantsOf(file) {
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  const mutants = [];
  lines.forEach((line, index) => {
    if (!isCode(line)) return;
    const code = line.replace(/\s*\/\/.*$/, "");
    for (const [pattern, replacement, name] of RULES) {
      for (const match of code.matchAll(pattern)) {
        const fresh = match[0].replace(new RegExp(pattern.source), replacement);
        const mutated =
          fresh === match[0]
            ? code.slice(0, match.index) + replacement + code.slice(match.index + match[0].length)
            : code.slice(0, match.index) + fresh + code.slice(match.index + match[0].length);
        if (mutated !== code) mutants.push({ file, line: index + 1, name, before: code.trim(), mutated });
      }
    }
  });
  return mutants;
}

function draw(mutants, count, seed) {
  const random = generator(seed);
  const left = [...mutants];
  const drawn = [];
  while (drawn.length < count && left.length > 0) {
    const [mutant] = left.splice(Math.floor(random() * left.length), 1);
    drawn.push(mutant);
  }
  return drawn;
}

const sources = readdirSync(join(root, "kernel"), { recursive: true })
  .map((file) => join("kernel", file))
  .filter((file) => file.endsWith(".ts") && !/\.test\.ts$|testing/.test(file) && !file.includes("abi/"))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
const all = sources.flatMap(mutantsOf);
const chosen = options.at
  ? all.filter(({ file, line }) => `${file}:${line}`.endsWith(options.at))
  : draw(all, Number(options.count), Number(options.seed));
console.log(`${all.length} mutants in ${sources.length} files, ${chosen.length} chosen`);

const describe = ({ file, line, name, before, mutated }) =>
  `${file}:${line} ${name}\n    ${before}\n    ${mutated.trim() || "(nothing)"}`;
if (options.list) {
  for (const mutant of chosen) console.log(describe(mutant));
  process.exit(0);
}

const copy = mkdtempSync(join(tmpdir(), "millrace-mutants-"));
process.on("exit", () => rmSync(copy, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));
for (const name of ["kernel", "bindings", "twin", "fixtures", "fuzz", "test", "scripts", "build"]) {
  cpSync(join(root, name), join(copy, name), { recursive: true });
}
for (const name of ["package.json", "asconfig.json", "vitest.config.ts", "tsconfig.json"]) {
  cpSync(join(root, name), join(copy, name));
}
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "junction");

function run(command, parameters, timeout) {
  const result = spawnSync(process.execPath, [command, ...parameters], {
    cwd: copy,
    encoding: "utf8",
    timeout,
    killSignal: "SIGKILL",
    // Only this build is made of the mutant.
    env: { ...process.env, MILLRACE_BUILDS: "simd" },
  });
  return { passed: result.status === 0, timedOut: result.error?.code === "ETIMEDOUT", output: result.stdout };
}
const build = () => run("scripts/build-kernel.mjs", ["--force", "simd"], 300_000);
const vitest = relative(root, fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url)));
const tsx = relative(root, fileURLToPath(new URL("../node_modules/tsx/dist/cli.mjs", import.meta.url)));
const fuzz = () =>
  run(
    tsx,
    [
      "fuzz/main.ts",
      "--only",
      "plan",
      "--seed",
      options.seed,
      "--seconds",
      options.fuzz,
      "--shrink-seconds",
      "0",
    ],
    1000 * (Number(options.fuzz) + 120),
  );
const tests = (file) =>
  run(
    vitest,
    ["run", ...TESTS[file.split("/")[1]], "-t", NOT_SIMD, "--bail", "1", "--reporter", "dot"],
    180_000,
  );

const verdicts = { killed: 0, "timed out": 0, "does not compile": 0, survived: 0 };
const survivors = [];
for (const [index, mutant] of chosen.entries()) {
  const path = join(copy, mutant.file);
  const original = readFileSync(path, "utf8");
  const lines = original.split("\n");
  lines[mutant.line - 1] = mutant.mutated;
  writeFileSync(path, lines.join("\n"));
  let verdict = "does not compile";
  if (build().passed) {
    const { passed, timedOut } = options.fuzz === undefined ? tests(mutant.file) : fuzz();
    verdict = passed ? "survived" : timedOut ? "timed out" : "killed";
  }
  writeFileSync(path, original);
  verdicts[verdict]++;
  if (verdict === "survived") survivors.push(mutant);
  console.log(`${index + 1}/${chosen.length} ${verdict}: ${describe(mutant)}`);
}
console.log(
  Object.entries(verdicts)
    .map(([verdict, count]) => `${count} ${verdict}`)
    .join(", "),
);
for (const mutant of survivors) console.log(`survived: ${describe(mutant)}`);
process.exitCode = survivors.length === 0 ? 0 : 1;
