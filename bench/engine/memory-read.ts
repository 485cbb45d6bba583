// Reading memory and nothing else: what a kernel over the same bytes is held against.
//
// A WebAssembly function of one loop, 64 bytes a round, over the kernel's own memory. It is small enough to be
// written down as bytes, and so needs no build of its own:
//
//   (func (export "read") (param $at i32) (param $end i32) (result i32) (local v128 v128 v128 v128)
//     (block (loop
//       (br_if 1 (i32.ge_u (local.get $at) (local.get $end)))
//       (local.set 2 (v128.xor (local.get 2) (v128.load (local.get $at))))
//       ...the same for 3, 4 and 5 at offsets 16, 32 and 48
//       (local.set $at (i32.add (local.get $at) (i32.const 64)))
//       (br 0)))
//     (i32x4.extract_lane 0 (the four, xor-ed)))

import type { WasmMemory } from "../../bindings/ts/kernel/index.js";

/** A call reads this much at most: V8 compiles the loop's fast form after some calls, not within one. */
const CALL_BYTES = 2 ** 18;

const ROUND = 64;

export class MemoryReader {
  readonly #read: (at: number, end: number) => number;

  constructor(memory: WasmMemory, shared: boolean) {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes(shared)), {
      env: { memory: memory as WebAssembly.Memory },
    });
    this.#read = instance.exports.read as (at: number, end: number) => number;
  }

  /** Reads the whole rounds of 64 bytes from `start` to `end`. Answers the exclusive or of their 32-bit lanes' firsts. */
  read(start: number, end: number): number {
    const stop = end - ((end - start) % ROUND);
    let bits = 0;
    for (let at = start; at < stop; at += CALL_BYTES) bits ^= this.#read(at, Math.min(at + CALL_BYTES, stop));
    return bits;
  }
}

function moduleBytes(shared: boolean): Uint8Array<ArrayBuffer> {
  const text = (name: string) => [name.length, ...Buffer.from(name)];
  const section = (id: number, ...bytes: number[]) => [id, bytes.length, ...bytes];
  const limits = shared ? [0x03, 0, 0x80, 0x80, 0x04] : [0x00, 0];
  const loads = [0, 1, 2, 3].flatMap((lane) => [
    ...[0x20, 2 + lane, 0x20, 0, 0xfd, 0x00, 4, 16 * lane],
    ...[0xfd, 0x51, 0x21, 2 + lane],
  ]);
  const code = [
    ...[1, 4, 0x7b],
    ...[0x02, 0x40, 0x03, 0x40, 0x20, 0, 0x20, 1, 0x4f, 0x0d, 1],
    ...loads,
    ...[0x20, 0, 0x41, 0xc0, 0x00, 0x6a, 0x21, 0, 0x0c, 0, 0x0b, 0x0b],
    ...[0x20, 2, 0x20, 3, 0xfd, 0x51, 0x20, 4, 0xfd, 0x51, 0x20, 5, 0xfd, 0x51, 0xfd, 0x1b, 0, 0x0b],
  ];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f),
    ...section(2, 1, ...text("env"), ...text("memory"), 2, ...limits),
    ...section(3, 1, 0),
    ...section(7, 1, ...text("read"), 0, 0),
    ...section(10, 1, code.length, ...code),
  ]);
}
