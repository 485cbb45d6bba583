// Which branches of the kernel its tests reach: marks are set in a copy of the source, the builds made of it, and the
// tests and the fuzzer run over them. What they never pass is printed, with its line; a branch that nothing can reach
// should go, another should get a test. One that is kept as a defence, or that no test can afford to reach, says so in
// the source (`// unreached: WHY`, see instrument-kernel.mjs): these are counted, and listed, apart.
//
//   node scripts/cover-kernel.mjs                        all tests, then two minutes of the fuzzer
//   node scripts/cover-kernel.mjs --fuzz 0 kernel/sort   these tests only
//   node scripts/cover-kernel.mjs --least 98             exits with 1 below so many percent
//
// A mark is passed or not; how often is not counted. Conditions are not taken apart: `a && b` is one branch. What a
// loop does with no step at all is not asked for. The bits stand in globals that the host shares with all instances
// of a thread, so that a mark costs an `or`, and no test knows of it.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { instrument, WORD_BITS } from "./instrument-kernel.mjs";
import { importing, KernelCopy, kernelSources, root } from "./kernel-copy.mjs";

const { values: options, positionals: tests } = parseArgs({
  allowPositionals: true,
  options: {
    fuzz: { type: "string", default: "120" },
    seed: { type: "string", default: "20201111" },
    least: { type: "string", default: "0" },
    json: { type: "string" },
  },
});

const TEST_MS = 3_600_000;
/** What the kernel must look like from outside is not true of a copy with marks, and the copy is not the whole tree. */
const NOT_OF_COPIES = [
  "kernel/abi.test.ts",
  "test/wasm.test.ts",
  "test/layering.test.ts",
  "scripts/planted-bugs.test.mjs",
];
/** Marks make it slow. */
const ONE_TEST_MS = 600_000;
const DEFAULT_TESTS = ["kernel", "bindings", "test", "twin", "fuzz"];

const copy = new KernelCopy(["simd", "scalar", "threads"]);
const marks = markSources();
const words = Math.ceil(marks.length / WORD_BITS);
writeFileSync(copy.pathOf("kernel/coverage.ts"), wordsSource(words));
const found = copy.pathOf("coverage");
mkdirSync(found);
writeFileSync(copy.pathOf("coverage.cjs"), collectorSource(words, found));
copy.environment = { NODE_OPTIONS: `--require=${copy.pathOf("coverage.cjs")}`, ALLOCATION_STRIDE: "2" };

console.log(`${marks.length} branches are marked`);
const built = copy.build();
if (!built.passed) fail("the copy does not compile", built.output);
const excluded = NOT_OF_COPIES.flatMap((file) => ["--exclude", file]);
const tested = copy.vitest(
  [
    ...(tests.length === 0 ? DEFAULT_TESTS : tests),
    ...excluded,
    "--testTimeout",
    String(ONE_TEST_MS),
    "--reporter",
    "dot",
  ],
  TEST_MS,
);
// What was passed before a failure is reported all the same: half an hour has gone into it.
if (!tested.passed) complain("the tests fail", tested.output);
if (options.fuzz !== "0") {
  const fuzzed = copy.fuzz(options.fuzz, options.seed, []);
  if (!fuzzed.passed) complain("the fuzzer fails", fuzzed.output);
}
report(passedMarks());

/** Sets marks in all sources of the copy. */
function markSources() {
  const all = [];
  for (const file of kernelSources()) {
    const { marks: own, source } = instrument(file, readFileSync(join(root, file), "utf8"), all.length);
    if (own.length === 0) continue;
    const last = all.length + own.length - 1;
    const names = [];
    for (let word = Math.floor(all.length / WORD_BITS); word <= Math.floor(last / WORD_BITS); word++) {
      names.push(`hit${word}`);
    }
    writeFileSync(copy.pathOf(file), importing(file, names, "coverage", source));
    all.push(...own.map((mark) => ({ file, ...mark })));
  }
  return all;
}

function wordsSource(count) {
  const lines = [];
  for (let word = 0; word < count; word++) {
    lines.push(`@external("coverage", "w${word}") declare let w${word}: u64;`);
    lines.push(`@inline export function hit${word}(mark: u64): void { w${word} |= mark; }`);
  }
  return lines.join("\n");
}

/** Runs in every process and thread before anything else: hands the words to instances, and writes them down. */
function collectorSource(count, folder) {
  return `
    const { renameSync, writeFileSync } = require("node:fs");
    const { threadId } = require("node:worker_threads");
    const words = {};
    for (let word = 0; word < ${count}; word++) words["w" + word] = new WebAssembly.Global({ value: "i64", mutable: true }, 0n);
    const withWords = (imports) => ({ ...imports, coverage: words });
    const { instantiate, Instance } = WebAssembly;
    WebAssembly.instantiate = (source, imports) => instantiate(source, withWords(imports));
    WebAssembly.Instance = new Proxy(Instance, {
      construct: (target, [module, imports]) => new target(module, withWords(imports)),
    });
    let last = "";
    const write = () => {
      const values = Object.values(words).map(({ value }) => BigInt.asUintN(64, value).toString());
      const text = JSON.stringify(values);
      if (text === last) return;
      last = text;
      const path = ${JSON.stringify(folder)} + "/" + process.pid + "-" + threadId + ".json";
      // Tests kill processes: what one has half written is not there.
      writeFileSync(path + ".part", text);
      renameSync(path + ".part", path);
    };
    setInterval(write, 100).unref();
    process.on("exit", write);
    // A runner ends a process once that has said what came of its last test, and a test lets no timer in.
    const { send } = process;
    let written = 0;
    if (send !== undefined) {
      process.send = function (...message) {
        if (performance.now() - written > 20) {
          write();
          written = performance.now();
        }
        return send.apply(this, message);
      };
    }
  `;
}

function passedMarks() {
  const passed = new Array(words).fill(0n);
  for (const name of readdirSync(found).filter((name) => name.endsWith(".json"))) {
    const values = JSON.parse(readFileSync(join(found, name), "utf8"));
    for (const [word, value] of values.entries()) passed[word] |= BigInt(value);
  }
  return marks.map(
    (_, mark) => ((passed[Math.floor(mark / WORD_BITS)] >> BigInt(mark % WORD_BITS)) & 1n) === 1n,
  );
}

function report(isPassed) {
  const judged = marks.map((mark, at) => ({ ...mark, reached: isPassed[at] }));
  const excused = judged.filter(({ reached, reason }) => !reached && reason !== undefined);
  const asked = judged.filter(({ reached, reason }) => reached || reason === undefined);
  for (const { file, line, reason } of oneOfALine(excused))
    console.log(`${file}:${line} unreached: ${reason}`);
  for (const { file, line, what, text, reached } of asked) {
    if (!reached) console.log(`${file}:${line} ${what}: ${text}`);
  }
  for (const { file, line, text } of oneOfALine(judged.filter((mark) => isNeedless(mark, judged)))) {
    console.log(`${file}:${line} is reached, and needs no reason: ${text}`);
  }
  const files = new Set(marks.map(({ file }) => file));
  for (const file of files) {
    const all = asked.filter((mark) => mark.file === file);
    const passed = countReached(all);
    if (passed < all.length) console.log(`${file}: ${passed} of ${all.length}`);
  }
  const passed = countReached(asked);
  const share = (100 * passed) / asked.length;
  console.log(
    `${passed} of ${asked.length} branches (${share.toFixed(1)} %) in ${files.size} files are reached; ` +
      `${excused.length} more are not, and say why`,
  );
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(judged));
  if (share < Number(options.least)) process.exitCode = 1;
}

function countReached(some) {
  return some.filter(({ reached }) => reached).length;
}

/** A line gives a reason, and there is nothing in it that is not reached. */
function isNeedless({ file, line, isOwn }, judged) {
  return isOwn && judged.every((mark) => mark.file !== file || mark.line !== line || mark.reached);
}

function oneOfALine(list) {
  return list.filter(
    ({ file, line }, at) => at === 0 || list[at - 1].file !== file || list[at - 1].line !== line,
  );
}

function complain(what, output) {
  console.error(output.slice(-5000));
  console.error(`cover-kernel: ${what}`);
  process.exitCode = 1;
}

function fail(what, output) {
  complain(what, output);
  process.exit();
}
