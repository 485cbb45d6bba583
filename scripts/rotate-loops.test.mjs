import binaryen from "assemblyscript/binaryen";
import { expect, it } from "vitest";
import { afterCompile } from "./rotate-loops.mjs";

/** Adds `step` to each of the first values of memory that is not 0, up to `count`, and answers how many it looked at. */
const source = (add) => `(module
  (memory (export "memory") 1)
  (func (export "add") (param $count i32) (param $step i32) (result i32) (local $row i32)
    (drop (block $value (result i32)
      (loop $rows
        (if (i32.lt_u (local.get $row) (local.get $count))
          (then
            (local.set $row (i32.add (local.get $row) (i32.const 1)))
            (br_if $rows (i32.eqz (i32.load (i32.shl (local.get $row) (i32.const 4)))))
            ${add}
            (br $rows))))
      (i32.const 0)))
    (local.get $row)))`;

const AT = "(i32.shl (local.get $row) (i32.const 4))";
const VECTORS = `(v128.store ${AT} (i32x4.add (v128.load ${AT}) (i32x4.splat (local.get $step))))`;
const INTEGERS = `(i32.store ${AT} (i32.add (i32.load ${AT}) (local.get $step)))`;

function moduleOf(add) {
  const module = binaryen.parseText(source(add));
  module.setFeatures(binaryen.Features.All);
  return module;
}

function run(module, count) {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.emitBinary()));
  const memory = new Int32Array(exports.memory.buffer);
  for (let row = 1; row < 8; row++) if (row !== 3) memory.fill(10 * row, 4 * row, 4 * row + 4);
  return [exports.add(count, 5), ...memory.slice(0, 40)];
}

it("turns a loop over vectors round, which does what it did", () => {
  for (const count of [0, 1, 2, 3, 4, 7]) {
    const [plain, turned] = [moduleOf(VECTORS), moduleOf(VECTORS)];
    afterCompile(turned);
    expect(turned.validate()).toBe(1);
    expect(turned.emitText()).toMatch(
      /\(loop \$rows\|turn\s+\(block \$rows\b[\s\S]*\(br_if \$rows\|turn\s+\(i32\.lt_u/,
    );
    expect(run(turned, count)).toEqual(run(plain, count));
  }
});

it("leaves a loop without vectors as it is", () => {
  const [plain, same] = [moduleOf(INTEGERS), moduleOf(INTEGERS)];
  afterCompile(same);
  expect(same.emitText()).toBe(plain.emitText());
});
