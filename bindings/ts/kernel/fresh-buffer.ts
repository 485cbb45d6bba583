// Memory for results that is not cleared first, as all of it is written anyway: large buffers come from memory that others
// have left, and clearing takes as long as writing. Node has such; a page's buffers are cleared.
//
// Measured: 6 MB got and written 0.60 ms, without clearing 0.35 (1 MB 0.083 and 0.068; 100 kB the same).
//
// On Linux, pages that are new to the process cost as much as the copy, or more. glibc gives the memory of a large block back
// when it is freed; what counts as large it learns from the largest block that was, up to 32 MB, and twice that it keeps for
// the next ones. So it is shown such a block, which nobody writes: 54 MB of results leave in 26 ms instead of 53. Of hundreds of
// megabytes it keeps more or less, as it comes: on the whole four fifths of the pages are new that were.

interface UnclearedBuffers {
  allocUnsafeSlow(bytes: number): { readonly buffer: ArrayBuffer };
}

/** Bytes from which on it counts. */
const LARGE = 1 << 18;

/** Nearly the most that glibc learns from. */
const LESSON = (1 << 25) - (1 << 16);

const host: { readonly Buffer?: UnclearedBuffers } = globalThis;

let isTaught = false;

/** So many bytes; what they hold is not said. */
export function freshBuffer(bytes: number): ArrayBuffer {
  const { Buffer } = host;
  if (bytes < LARGE || Buffer === undefined) return new ArrayBuffer(bytes);
  if (!isTaught) Buffer.allocUnsafeSlow(LESSON);
  isTaught = true;
  return Buffer.allocUnsafeSlow(bytes).buffer;
}
