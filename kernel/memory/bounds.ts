// What a host hands over is an address and a size, and either may be wrong: nothing is read or written
// before it is known to lie inside the memory. A load past the end would trap.

/** Up to where `bytes` bytes, some at least, can be read at once. */
// @ts-ignore: decorator
@inline
export function readLimit(bytes: u64): usize {
  return <usize>((<u64>memory.size() << 16) - bytes);
}

/** Whether `bytes` bytes at `address` lie inside the memory. */
// @ts-ignore: decorator
@inline
export function insideMemory(address: usize, bytes: u64): bool {
  return <u64>address + bytes <= <u64>memory.size() << 16;
}
