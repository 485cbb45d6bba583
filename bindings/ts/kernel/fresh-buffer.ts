// Memory for results that is not cleared first, as all of it is written anyway: large buffers come from memory that others
// have left, and clearing takes as long as writing. Node has such; a page's buffers are cleared.
//
// Measured: 6 MB got and written 0.60 ms, without clearing 0.35 (1 MB 0.083 and 0.068; 100 kB the same).

interface UnclearedBuffers {
  allocUnsafeSlow(bytes: number): { readonly buffer: ArrayBuffer };
}

/** Bytes from which on it counts. */
const LARGE = 1 << 18;

const host: { readonly Buffer?: UnclearedBuffers } = globalThis;

/** So many bytes; what they hold is not said. */
export function freshBuffer(bytes: number): ArrayBuffer {
  return bytes < LARGE || host.Buffer === undefined
    ? new ArrayBuffer(bytes)
    : host.Buffer.allocUnsafeSlow(bytes).buffer;
}
