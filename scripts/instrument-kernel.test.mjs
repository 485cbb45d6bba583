import { expect, it } from "vitest";
import { instrument } from "./instrument-kernel.mjs";

const SOURCE = `export function pick(x: u32, bytes: u64): u32 {
  if (bytes > 0xffe00000) return 0; // unreached: nobody asks for 4 GiB
  if (x == 1) { // unreached: guards against damaged memory
    for (let at: u32 = 0; at < x; at++) x += at;
  } else if (x == 2) x = 3;
  // unreached: only a debugger asks for it
  switch (x) {
    case 1: return x;
  }
  // No reason: // unreached: stands behind another comment
  const large = x > 9 ? 1 : 2;
  return large;
}
`;

it("marks branches, and knows which of them need not be reached", () => {
  const { marks, source } = instrument("pick.ts", SOURCE, 62);
  const known = marks.map(({ line, what, reason, isOwn }) => [line, what, reason, isOwn]);
  expect(known).toEqual([
    [1, "function", undefined, false],
    [2, "else, not written", "nobody asks for 4 GiB", true],
    [2, "if", "nobody asks for 4 GiB", true],
    [3, "if", "guards against damaged memory", true],
    [5, "else", undefined, false],
    [4, "loop", "guards against damaged memory", false],
    [5, "else, not written", undefined, false],
    [5, "if", undefined, false],
    [8, "case", undefined, false],
    [11, "then", undefined, false],
    [11, "otherwise", undefined, false],
  ]);
  expect(marks[2].text).toBe("if (bytes > 0xffe00000) return 0; // unreached: nobody asks for 4 GiB");
  expect(source).toContain("if (bytes > 0xffe00000) { hit1(0x1); return 0; }");
  expect(source).toContain("if (x == 1) { hit1(0x2); // unreached");
});
