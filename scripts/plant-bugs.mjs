// Bugs planted on purpose, of the kinds that kernels really have: each must be found by the fuzzer within five minutes.
// Where mutate-kernel.mjs draws small faults at random and asks the tests, this asks whether whole plans, drawn at
// random, reach the places that matter.
//
//   node scripts/plant-bugs.mjs                    all of them
//   node scripts/plant-bugs.mjs session carry      those whose names contain one of the words
//   node scripts/plant-bugs.mjs --seconds 60       another limit
//   node scripts/plant-bugs.mjs --seed 7           the fuzzer's cases from this seed on (drawn anew otherwise)
//
// Exits with 1 when one was not found. `find` must be there exactly once: what has moved on is told before anything
// is built.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { KernelCopy, root } from "./kernel-copy.mjs";

const BUGS = [
  {
    name: "tail loop leaves the last row out",
    file: "kernel/aggregate/sum-integer.ts",
    find: "for (; row < rows; row++) {\n      const at = lanes",
    plant: "for (; row + 1 < rows; row++) {\n      const at = lanes",
  },
  {
    name: "nulls are summed",
    file: "kernel/aggregate/sum-integer.ts",
    find: "const keep: i64 = -(<i64>maskBit(mask, row));",
    plant: "const keep: i64 = -1;",
  },
  {
    name: "lost carry of a wide sum",
    file: "kernel/aggregate/sum-integer.ts",
    find: "const carry: u64 = <u64>(newLow < low);",
    plant: "const carry: u64 = 0;",
  },
  {
    name: "lost carry between the limbs of an exact sum",
    file: "kernel/aggregate/exact-read.ts",
    find: "const value = load<i64>(at + ((<usize>limb) << 3)) + carry;",
    plant: "const value = load<i64>(at + ((<usize>limb) << 3));",
  },
  {
    name: "growth forgets the last slot",
    file: "kernel/hash/slots.ts",
    find: "for (let at = old; at < end; at += 8) {\n    const entry = load<u64>(at);\n    if (entry != 0) place",
    plant:
      "for (let at = old; at < end - 8; at += 8) {\n    const entry = load<u64>(at);\n    if (entry != 0) place",
  },
  {
    name: "sessions that a row joins are not merged",
    file: "kernel/operator/window-session.ts",
    find: "let part = sessionParts(sessionAt(sessions, number));",
    plant: "let part: u32 = 0;",
  },
  {
    name: "a window closes one tick early",
    file: "kernel/window/shape.ts",
    find: "return watermark >= windowEnd(shape, window) - 1;",
    plant: "return watermark >= windowEnd(shape, window) - 2;",
  },
  {
    name: "a text equals what it begins with",
    file: "kernel/hash/hash.ts",
    find: "return lengthA < lengthB ? -1 : <i32>(lengthA > lengthB);",
    plant: "return 0;",
  },
  {
    name: "the bit offset of a sliced bitmap is dropped",
    file: "kernel/column/bitmap.ts",
    find: "const shift: u64 = offset & 7;",
    plant: "const shift: u64 = 0;",
  },
  {
    name: "a sliced dictionary is read from its start",
    file: "kernel/column/dictionary.ts",
    find: "const index: usize = <usize>load<u32>(dictionary, <usize>Column.OFFSET) + <usize>code;\n  const start",
    plant: "const index: usize = <usize>code;\n  const start",
  },
  {
    name: "null keys of a join match",
    file: "kernel/join/keys.ts",
    find: "const none: u32 = self.nullsEqual ? 0 : NO_KEY;",
    plant: "const none: u32 = 0;",
  },
  {
    name: "an outer join forgets who was matched",
    file: "kernel/operator/join-results.ts",
    find: "if (joinPreserves(self, 1)) mark(joinStore(self, 1), self.found1, count);",
    plant: "",
  },
  {
    name: "nulls come on the other side of a sort",
    file: "kernel/sort/compare.ts",
    find: "if (validA != validB) return validA != (key.nullsFirst != 0);",
    plant: "if (validA != validB) return validA == (key.nullsFirst != 0);",
  },
  {
    name: "the largest 128-bit minimum is not kept",
    file: "kernel/aggregate/minmax.ts",
    find: "store<u64>(self.values + ((<usize>group) << 4), least ? 0x8000000000000000 : 0x7fffffffffffffff, 8);",
    plant: "store<u64>(self.values + ((<usize>group) << 4), 0, 8);",
  },
];

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string", default: "300" }, seed: { type: "string" } },
});
const bugs = BUGS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));

for (const { name, file, find } of bugs) {
  const places = readFileSync(join(root, file), "utf8").split(find).length - 1;
  if (places !== 1) throw new Error(`${name}: ${file} has what is to be replaced ${places} times, not once`);
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
