import binaryen from "assemblyscript/binaryen";
import { expect, it } from "vitest";
import { afterCompile, SELDOM, SELDOM_SIMD } from "./keep-apart.mjs";

/** Functions of one line each, no two of which are alike, and each of which is called from one place. */
const source = (names) => `(module
  ${names.map((name, at) => `(func $${name} (param $x i32) (result i32) (i32.mul (local.get $x) (i32.const ${at + 3})))`).join("\n  ")}
  (func (export "calls") (param $x i32) (result i32)
    ${names.reduce((inner, name) => `(call $${name} ${inner})`, "(local.get $x)")}))`;

function optimized(names, prepare) {
  const module = binaryen.parseText(source(names));
  prepare(module);
  module.optimize();
  return module.emitText();
}

it("keeps functions that are seldom called from being put in the place of their calls, and no others", () => {
  const calls = (text) => [...text.matchAll(/\(call \$([^\s)]+)/g)].map(([, name]) => name).sort();
  for (const apart of [SELDOM, [...SELDOM, ...SELDOM_SIMD]]) {
    const names = [...apart, "other"];
    expect(calls(optimized(names, () => {}))).toEqual([]);
    expect(calls(optimized(names, afterCompile))).toEqual([...apart].sort());
  }
});

it("says so where the kernel has no such function any more", () => {
  expect(() => afterCompile(binaryen.parseText(source(SELDOM.slice(1))))).toThrow(SELDOM[0]);
  const some = [...SELDOM, ...SELDOM_SIMD.slice(1)];
  expect(() => afterCompile(binaryen.parseText(source(some)))).toThrow(SELDOM_SIMD[0]);
});
