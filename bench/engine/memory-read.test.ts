import { expect, test } from "vitest";
import { MemoryReader } from "./memory-read.js";

test.each([false, true])("reads every round of 64 bytes once, shared memory: %s", (shared) => {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 65536, shared });
  const reader = new MemoryReader(memory, shared);
  const words = new Int32Array(memory.buffer);
  expect(reader.read(64, 2 ** 20)).toBe(0);
  // The first 32-bit lane of each 16 bytes shows in the answer.
  words[(64 + 16) / 4] = 5;
  words[(2 ** 19 + 48) / 4] = 9;
  words[(2 ** 20 - 16) / 4] = 32;
  expect(reader.read(64, 2 ** 20)).toBe(5 ^ 9 ^ 32);
  expect(reader.read(64, 2 ** 20 - 1)).toBe(5 ^ 9);
  expect(reader.read(128, 128)).toBe(0);
});
