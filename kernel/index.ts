import { contextCreate } from "./memory/context";
import { heapAllocate, heapFree } from "./memory/heap";
export function ctx_init(base: usize, length: usize, flags: u32): usize { return contextCreate(base, length, flags); }
export function mem_alloc(c: usize, n: usize): usize { return heapAllocate(load<u32>(c), n); }
export function mem_free(c: usize, n: usize): bool { return heapFree(load<u32>(c), n); }
