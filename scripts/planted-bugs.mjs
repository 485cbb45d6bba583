// What `plant-bugs.mjs` plants: in `file`, where `find` stands once, `plant` instead.
import { readFileSync } from "node:fs";

/** How often what a bug replaces stands in its file: once, or the source has moved on. */
export function placesOf({ file, find }) {
  return readFileSync(new URL(`../${file}`, import.meta.url), "utf8").split(find).length - 1;
}

export const BUGS = [
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
    name: "a block is not told what a cut has put before it",
    file: "kernel/memory/heap.ts",
    find: "store<u32>(block + bytes, <u32>rest, BEFORE);",
    plant: "",
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
    file: "kernel/sort/pack.ts",
    find: "const first: u64 = key.nullsFirst;",
    plant: "const first: u64 = <u64>(key.nullsFirst == 0);",
  },
  {
    name: "what a sort spills leaves under the number of the range before",
    file: "kernel/operator/sort.ts",
    find: "if (self.division != 0) store<u32>(out, self.part, <usize>Batch.PARTITION);",
    plant:
      "if (self.division != 0) store<u32>(out, self.part - <u32>(self.part != 0), <usize>Batch.PARTITION);",
  },
  {
    name: "the largest 128-bit minimum is not kept",
    file: "kernel/aggregate/minmax.ts",
    find: "store<u64>(self.values + ((<usize>group) << 4), neutralOf(Type.I64, least), 8);",
    plant: "store<u64>(self.values + ((<usize>group) << 4), 0, 8);",
  },
];
