// Bugs planted on purpose, of the kinds that kernels really have: each must be found by the fuzzer within five minutes.
// Where mutate-kernel.mjs draws small faults at random and asks the tests, this asks whether whole plans, drawn at
// random, reach the places that matter.
//
//   node scripts/plant-bugs.mjs                    all of them
//   node scripts/plant-bugs.mjs session carry      those whose names contain one of the words
//   node scripts/plant-bugs.mjs --seconds 60       another limit
//   node scripts/plant-bugs.mjs --seed 7           the fuzzer's cases from this seed on (drawn anew otherwise)
//
// Exits with 1 when one was not found. What has moved on is told before anything is built.
import { parseArgs } from "node:util";
import { KernelCopy } from "./kernel-copy.mjs";
import { BUGS, placesOf } from "./planted-bugs.mjs";

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string", default: "300" }, seed: { type: "string" } },
});
const bugs = BUGS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));

for (const bug of bugs) {
  const places = placesOf(bug);
  if (places !== 1)
    throw new Error(`${bug.name}: ${bug.file} has what is to be replaced ${places} times, not once`);
}

const copy = new KernelCopy();
let missed = 0;
for (const { name, file, find, plant } of bugs) {
  const verdict = copy.changed(
    file,
    (source) => source.replace(find, () => plant),
    () => {
      const built = copy.build();
      if (!built.passed) throw new Error(`${name}: does not compile\n${built.output}`);
      const start = performance.now();
      const { passed, output } = copy.fuzz(options.seconds, options.seed);
      const seconds = ((performance.now() - start) / 1000).toFixed(0);
      if (passed) return "NOT FOUND";
      return `found after ${seconds} s, ${/case \d+ (?:fails|hangs)/.exec(output)?.[0] ?? output.trim().slice(0, 200)}`;
    },
  );
  if (verdict === "NOT FOUND") missed++;
  console.log(`${name}: ${verdict}`);
}
console.log(`${bugs.length - missed} of ${bugs.length} found within ${options.seconds} s each`);
process.exitCode = missed === 0 ? 0 : 1;
