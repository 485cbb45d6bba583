import { gzipSync } from "node:zlib";
import binaryen from "assemblyscript/binaryen";
import fc from "fast-check";
import { expect, it } from "vitest";
import { afterCompile, likelyOrders } from "./order-functions.mjs";

/** Functions of noise that only the one `half` further on has too, far beyond what gzip looks back. */
function moduleOf(half) {
  let state = 1;
  const noise = () => (state = (Math.imul(state, 1664525) + 1013904223) | 0);
  const constants = Array.from({ length: half }, () => Array.from({ length: 2000 }, noise));
  const functions = [...constants, ...constants].map(
    (values, index) => `(func $f${index} (export "f${index}") (param $at i32) (result i32)
      ${values.map((value) => `(local.set $at (i32.xor (local.get $at) (i32.const ${value})))`).join("\n")}
      (i32.add (local.get $at) (i32.const ${index}))
      ${index === 0 ? "" : `(call $f${index - 1}) (i32.const 7) (i32.mul)`})`,
  );
  const module = binaryen.parseText(`(module ${functions.join("\n")})`);
  module.setFeatures(binaryen.Features.All);
  return module;
}

it("makes a module that gzip finds more in, and that does the same", () => {
  const half = 6;
  const [plain, ordered] = [moduleOf(half), moduleOf(half)];
  afterCompile(ordered);
  const binaries = [plain.emitBinary(), ordered.emitBinary()];
  const [before, after] = binaries.map((bytes) => gzipSync(bytes).length);
  expect(after).toBeLessThan(0.6 * before);
  const [one, other] = binaries.map(
    (bytes) => new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports,
  );
  expect(Object.keys(other)).toEqual(Object.keys(one));
  for (const name of Object.keys(one)) expect(other[name](12345)).toBe(one[name](12345));
});

it("leaves a module without functions as it is", () => {
  const module = binaryen.parseText(`(module (memory (export "memory") 1))`);
  const plain = module.emitBinary();
  afterCompile(module);
  expect(module.emitBinary()).toEqual(plain);
});

it("gives each body once, whatever they are, the largest first", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ min: 0, max: 3, maxLength: 60 }), { maxLength: 30 }), (bodies) => {
      for (const order of likelyOrders(bodies)) {
        expect([...order].sort((a, b) => a - b)).toEqual([...bodies.keys()]);
        if (order.length > 0)
          expect(bodies[order[0]].length).toBe(Math.max(...bodies.map(({ length }) => length)));
      }
    }),
  );
});

it("puts bodies that are alike beside each other", () => {
  const text = (value) => new TextEncoder().encode(value);
  const bodies = ["sums of columns, one", "abcdefghij", "sums of columns, two more", "abcdefghik"].map(text);
  expect(likelyOrders(bodies)[0]).toEqual([2, 0, 1, 3]);
});
