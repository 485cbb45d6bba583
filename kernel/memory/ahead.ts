// Reading memory through before it is worked on, or written here and there.
//
// Loops that work on what they read have few lines of memory on their way at a time, and wait; what is written to a line that is
// not in the cache waits for it, and few writes can wait. Reads that nothing depends on wait together.

const LINE: usize = 64;

/** Reads a byte of each line of [at, at + bytes), in four places in turn. Answers what depends on all of them, for no one. */
export function loadAhead(at: usize, bytes: usize): u32 {
  const quarter = (bytes >> 2) & ~(LINE - 1);
  let sum: u32 = 0;
  let other: u32 = 0;
  for (const end = at + quarter; at < end; at += LINE) {
    sum += load<u8>(at);
    other += load<u8>(at + quarter);
    sum += load<u8>(at + quarter * 2);
    other += load<u8>(at + quarter * 3);
  }
  return sum + other;
}
