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
// (about 20 s). The tree itself is not touched (kernel-copy.mjs).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { KernelCopy, kernelSources, root } from "./kernel-copy.mjs";

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

const sources = kernelSources().filter(
  (file) => words.length === 0 || words.some((word) => file.includes(word)),
);
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

const copy = new KernelCopy();
const fuzz = () => copy.fuzz(options.fuzz, options.seed);
const tests = (file) =>
  copy.vitest([...TESTS[file.split("/")[1]], "-t", NOT_SIMD, "--bail", "1", "--reporter", "dot"], 180_000);
function verdictOf(mutant) {
  if (!copy.build().passed) return "does not compile";
  const { passed, timedOut } = options.fuzz === undefined ? tests(mutant.file) : fuzz();
  return passed ? "survived" : timedOut ? "timed out" : "killed";
}

const verdicts = { killed: 0, "timed out": 0, "does not compile": 0, survived: 0 };
const survivors = [];
for (const [index, mutant] of chosen.entries()) {
  const verdict = copy.changed(
    mutant.file,
    (source) =>
      source
        .split("\n")
        .with(mutant.line - 1, mutant.mutated)
        .join("\n"),
    () => verdictOf(mutant),
  );
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
