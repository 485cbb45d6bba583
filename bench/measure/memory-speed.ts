// How fast this process reads memory and does nothing else.

import { MemoryReader } from "../engine/memory-read.js";

/** More than the caches of most processors hold for one core. */
export const READ_BYTES = 2 ** 28;

/** Bytes a second of passes over `bytes` of memory, for `ms` after a first one. */
export function readingSpeed(ms: number, bytes = READ_BYTES): number {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
  // Pages that nobody has written to may all be the same one.
  new Uint8Array(memory.buffer).fill(1);
  const reader = new MemoryReader(memory, false);
  reader.read(0, bytes);
  const start = performance.now();
  let passes = 0;
  do {
    reader.read(0, bytes);
    passes += 1;
  } while (performance.now() - start < ms);
  return ((passes * bytes) / (performance.now() - start)) * 1000;
}
