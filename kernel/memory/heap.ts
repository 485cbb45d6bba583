// The heap: every byte that the kernel or its host uses in linear memory comes from here.
//
// Blocks lie one behind the other, and each knows the one before it, so that neighbours are joined when a block is
// freed; free ones are found by their size (free-blocks.ts). Callers ask for few, large blocks (regions and
// columns); small things are cut out of a region instead (region.ts). State lives in the root block behind a spin
// lock, because several instances on several threads share one memory and a global would be one per instance. The
// lock compiles to nothing in builds without threads.
//
//   block:  +0 u32 bytes (header included)   +8 u32 magic (USED, FREE, ACCOUNT)   +12 u32 account
//           +16 u32 the block before it in memory, 0 = none   +4, +20 see free-blocks.ts   +24..63 unused
//           +64 payload, 64-byte aligned
//
// An account counts what one query uses, and may have a limit of its own. Each block names the account that it was
// charged to (0: none), so that whoever frees it, whenever, gives it back there.
//
// Tried and lost: size classes by powers of two. They waste up to half of a large column, and a budget
// that counts real bytes is then a lie.

import { Account, ContextFlag, Root, Abi } from "../abi/layout";
import { insideMemory } from "./bounds";
import { BYTES, freeFind, freePut, freeTake } from "./free-blocks";

const HEADER: usize = 64;
const GRAIN: usize = 64;
/** A free remainder smaller than this stays with its block. */
const SPLIT_MIN: usize = 256;
const PAGE: usize = 65536;
/** Address of the last page of 4 GiB, which is never used. */
const LAST_PAGE: u64 = 0xffff0000;
/** Memory is grown by at least this much, so that growth is rare. */
const GROWTH_MIN: usize = 1 << 20;
const ROOT_MAGIC: u32 = 0x4c52494d; // "MIRL"
const USED: u32 = 0x44455355;
const FREE: u32 = 0x45455246;

const STATE: usize = 8;
const CHARGED: usize = 12;
const BEFORE: usize = 16;
/** An account is no block that its host could free. */
const ACCOUNT: u32 = 0x54434341;

/** Prepares a root block at `root`; the heap is what follows it up to `root + length`. */
export function heapInit(root: usize, length: usize, flags: u32): bool {
  if (root == 0 || (root & 63) != 0 || length < <usize>Root.SIZE + PAGE || !insideMemory(root, length)) return false;
  memory.fill(root, 0, <usize>Root.SIZE);
  const start: usize = (root + <usize>Root.SIZE + 63) & ~(<usize>63);
  store<u32>(root, <u32>start, <usize>Root.HEAP_START);
  store<u32>(root, <u32>start, <usize>Root.HEAP_TOP);
  // The end of a memory of 4 GiB would be 0.
  store<u32>(root, <u32>min<u64>(<u64>root + <u64>length, LAST_PAGE), <usize>Root.HEAP_LIMIT);
  store<u32>(root, flags & <u32>ContextFlag.GROW ? 1 : 0, <usize>Root.GROWABLE);
  store<u32>(root, <u32>Abi.VERSION, <usize>Root.VERSION);
  store<u32>(root, ROOT_MAGIC, <usize>Root.MAGIC);
  return true;
}

export function heapIsRoot(root: usize): bool {
  return (
    root != 0 &&
    (root & 63) == 0 &&
    insideMemory(root, <u64>Root.SIZE) &&
    load<u32>(root, <usize>Root.MAGIC) == ROOT_MAGIC &&
    load<u32>(root, <usize>Root.VERSION) == <u32>Abi.VERSION
  );
}

// @ts-ignore: decorator
@inline
export function lock(root: usize): void {
  if (ASC_FEATURE_THREADS) {
    while (atomic.cmpxchg<i32>(root, 0, 1, <usize>Root.LOCK) != 0) {}
  }
}

// @ts-ignore: decorator
@inline
export function unlock(root: usize): void {
  if (ASC_FEATURE_THREADS) atomic.store<i32>(root, 0, <usize>Root.LOCK);
}

/**
 * Address of `bytes` fresh bytes (contents undefined), 64-byte aligned; 0 when the budget, the limit of `account` (0: none
 * is charged) or memory is exhausted.
 */
export function heapAllocate(root: usize, account: usize, bytes: usize): usize {
  if (bytes > 0xfff00000) return 0;
  const need: usize = (max<usize>(bytes, 1) + HEADER + GRAIN - 1) & ~(GRAIN - 1);
  lock(root);
  const block = allocateLocked(root, account, need);
  unlock(root);
  return block == 0 ? 0 : block + HEADER;
}

function allocateLocked(root: usize, account: usize, need: usize): usize {
  const count = load<u32>(root, <usize>Root.ALLOCATIONS) + 1;
  store<u32>(root, count, <usize>Root.ALLOCATIONS);
  if (isToFail(root, count)) return 0;
  if (!isWithin(root, account, need)) return 0;

  const found = freeFind(root, <u32>need);
  if (found != 0) {
    freeTake(root, found);
    cut(root, found, need);
    return take(root, account, found);
  }

  const top: usize = load<u32>(root, <usize>Root.HEAP_TOP);
  if (<u64>top + <u64>need > <u64>load<u32>(root, <usize>Root.HEAP_LIMIT) && !grow(root, top, need)) return 0;
  store<u32>(top, <u32>need, BYTES);
  store<u32>(top, load<u32>(root, <usize>Root.LAST_BLOCK), BEFORE);
  store<u32>(root, <u32>top, <usize>Root.LAST_BLOCK);
  store<u32>(root, <u32>(top + need), <usize>Root.HEAP_TOP);
  return take(root, account, top);
}

/** Leaves `need` bytes to a block that was free and makes what is behind them a free block, where that is worth one. */
function cut(root: usize, block: usize, need: usize): void {
  const bytes: usize = load<u32>(block, BYTES);
  if (bytes - need < SPLIT_MIN) return;
  const rest = block + need;
  store<u32>(block, <u32>need, BYTES);
  store<u32>(rest, <u32>(bytes - need), BYTES);
  store<u32>(rest, FREE, STATE);
  store<u32>(rest, <u32>block, BEFORE);
  // No free block is the last one of the heap.
  store<u32>(block + bytes, <u32>rest, BEFORE);
  freePut(root, rest);
}

/** For tests: the `nth` allocation from now on fails, 0 none, and with `lasting` all that follow; `small`: see `heapFails`. */
export function heapFail(root: usize, nth: u32, lasting: bool, small: bool): void {
  store<u32>(root, nth == 0 ? 0 : load<u32>(root, <usize>Root.ALLOCATIONS) + nth, <usize>Root.FAIL_AT);
  store<u32>(root, nth == 0 ? 0 : lasting ? u32.MAX_VALUE >> 1 : 1, <usize>Root.FAIL_COUNT);
  store<u32>(root, <u32>(nth != 0 && small), <usize>Root.FAIL_SMALL);
}

// @ts-ignore: decorator
@inline
function isToFail(root: usize, allocation: u32): bool {
  return allocation - load<u32>(root, <usize>Root.FAIL_AT) < load<u32>(root, <usize>Root.FAIL_COUNT);
}

/**
 * Whether tests want a piece that needs no block of its own to be refused here, as an allocation would be: such pieces
 * are counted among the allocations only where that is asked for.
 */
export function heapFails(root: usize): bool {
  if (load<u32>(root, <usize>Root.FAIL_SMALL) == 0) return false;
  lock(root);
  const fails = failsLocked(root);
  unlock(root);
  return fails;
}

function failsLocked(root: usize): bool {
  if (load<u32>(root, <usize>Root.FAIL_SMALL) == 0) return false;
  const count = load<u32>(root, <usize>Root.ALLOCATIONS) + 1;
  store<u32>(root, count, <usize>Root.ALLOCATIONS);
  return isToFail(root, count);
}

/** Whether neither the budget nor the limit of the account is passed by so many bytes more. */
function isWithin(root: usize, account: usize, bytes: u64): bool {
  const budget: u64 = load<u32>(root, <usize>Root.BUDGET);
  if (budget != 0 && <u64>load<u32>(root, <usize>Root.USED) + bytes > budget) return false;
  if (account == 0) return true;
  const limit: u64 = load<u32>(account, <usize>Account.LIMIT);
  return limit == 0 || <u64>load<u32>(account, <usize>Account.USED) + bytes <= limit;
}

/**
 * Whether blocks of `bytes` bytes in all, headers included, could be had now: within the budget, and in one
 * piece, so that it does not matter how they are divided. Takes nothing, but may grow the memory.
 */
export function heapHasRoom(root: usize, account: usize, bytes: u64): bool {
  if (bytes == 0) return true;
  lock(root);
  const has = hasRoomLocked(root, account, bytes);
  unlock(root);
  return has;
}

function hasRoomLocked(root: usize, account: usize, bytes: u64): bool {
  if (failsLocked(root)) return false;
  if (!isWithin(root, account, bytes)) return false;
  const top: usize = load<u32>(root, <usize>Root.HEAP_TOP);
  if (<u64>top + bytes <= <u64>load<u32>(root, <usize>Root.HEAP_LIMIT)) return true;
  if (bytes > LAST_PAGE) return false;
  return freeFind(root, <u32>bytes) != 0 || grow(root, top, <usize>bytes);
}

function take(root: usize, account: usize, block: usize): usize {
  store<u32>(block, USED, STATE);
  store<u32>(block, <u32>account, CHARGED);
  if (account != 0) {
    const charged = load<u32>(account, <usize>Account.USED) + load<u32>(block, BYTES);
    store<u32>(account, charged, <usize>Account.USED);
    if (charged > load<u32>(account, <usize>Account.PEAK)) store<u32>(account, charged, <usize>Account.PEAK);
  }
  const used = load<u32>(root, <usize>Root.USED) + load<u32>(block, BYTES);
  store<u32>(root, used, <usize>Root.USED);
  if (used > load<u32>(root, <usize>Root.PEAK)) store<u32>(root, used, <usize>Root.PEAK);
  store<u32>(root, load<u32>(root, <usize>Root.BLOCKS) + 1, <usize>Root.BLOCKS);
  return block;
}

/**
 * Grows the memory until `need` bytes fit above `top`. The last page of the 4 GiB is never used: its end
 * wraps to 0.
 */
function grow(root: usize, top: usize, need: usize): bool {
  if (load<u32>(root, <usize>Root.GROWABLE) == 0) return false;
  const limit: u64 = <u64>memory.size() * PAGE;
  const wanted: u64 = <u64>top + <u64>need;
  if (wanted > LAST_PAGE) return false;
  let ok = limit >= wanted;
  if (!ok) {
    const missing: u64 = wanted - limit;
    const step: u64 = max<u64>(missing, max<u64>(GROWTH_MIN, limit >> 3));
    ok = memory.grow(<i32>((step + PAGE - 1) / PAGE)) >= 0;
    if (!ok) ok = memory.grow(<i32>((missing + PAGE - 1) / PAGE)) >= 0;
  }
  if (ok) store<u32>(root, <u32>min<u64>(<u64>memory.size() * PAGE, LAST_PAGE), <usize>Root.HEAP_LIMIT);
  return ok;
}

/** Gives a block back. False when `payload` is not the address of a block in use. */
export function heapFree(root: usize, payload: usize): bool {
  if (payload < <usize>load<u32>(root, <usize>Root.HEAP_START) + HEADER || (payload & (GRAIN - 1)) != 0)
    return false;
  const block = payload - HEADER;
  lock(root);
  const known = block < <usize>load<u32>(root, <usize>Root.HEAP_TOP) && load<u32>(block, STATE) == USED;
  if (known) {
    const account: usize = load<u32>(block, CHARGED);
    const size = load<u32>(block, BYTES);
    freeLocked(root, block);
    if (account != 0) giveBack(root, account, size);
  }
  unlock(root);
  return known;
}

function freeLocked(root: usize, block: usize): void {
  let bytes: usize = load<u32>(block, BYTES);
  store<u32>(root, load<u32>(root, <usize>Root.USED) - <u32>bytes, <usize>Root.USED);
  store<u32>(root, load<u32>(root, <usize>Root.BLOCKS) - 1, <usize>Root.BLOCKS);
  store<u32>(block, FREE, STATE);
  const before: usize = load<u32>(block, BEFORE);
  if (before != 0 && load<u32>(before, STATE) == FREE) {
    freeTake(root, before);
    bytes += <usize>load<u32>(before, BYTES);
    block = before;
  }
  let next = block + bytes;
  const top: usize = load<u32>(root, <usize>Root.HEAP_TOP);
  if (next != top && load<u32>(next, STATE) == FREE) {
    freeTake(root, next);
    bytes += <usize>load<u32>(next, BYTES);
    next = block + bytes;
  }
  if (next == top) {
    // The last block of the heap goes back below the top, so that a free heap has no block.
    store<u32>(root, load<u32>(block, BEFORE), <usize>Root.LAST_BLOCK);
    store<u32>(root, <u32>block, <usize>Root.HEAP_TOP);
    return;
  }
  store<u32>(block, <u32>bytes, BYTES);
  store<u32>(next, <u32>block, BEFORE);
  freePut(root, block);
}

// ---- dictionaries

/** Notes that the first `length` values of the dictionary of that id are there and differ from each other. */
export function heapNotesDictionary(root: usize, id: u32, length: u32): void {
  const at = dictionaryAt(root, id);
  lock(root);
  store<u32>(at, id);
  store<u32>(at, length, 4);
  unlock(root);
}

/** Whether that is known; another dictionary may have taken its place. */
export function heapKnowsDictionary(root: usize, id: u32, length: u32): bool {
  const at = dictionaryAt(root, id);
  lock(root);
  const knows = load<u32>(at) == id && load<u32>(at, 4) >= length;
  unlock(root);
  return knows;
}

// @ts-ignore: decorator
@inline
function dictionaryAt(root: usize, id: u32): usize {
  return root + <usize>Root.DICTIONARIES + ((<usize>(id & (<u32>Root.DICTIONARY_COUNT - 1))) << 3);
}

// ---- accounts

/** A new account, of which at most `limit` bytes may be in use (0: no limit of its own); 0 when memory is exhausted. */
export function accountOpen(root: usize, limit: u32): usize {
  const account = heapAllocate(root, 0, <usize>Account.SIZE);
  if (account == 0) return 0;
  memory.fill(account, 0, <usize>Account.SIZE);
  store<u32>(account - HEADER, ACCOUNT, STATE);
  store<u32>(account, limit, <usize>Account.LIMIT);
  return account;
}

/** Whether there is an open account at `account`. */
export function accountIsOpen(root: usize, account: usize): bool {
  if (account < <usize>load<u32>(root, <usize>Root.HEAP_START) + HEADER || (account & (GRAIN - 1)) != 0) return false;
  if (account >= <usize>load<u32>(root, <usize>Root.HEAP_TOP)) return false;
  return load<u32>(account - HEADER, STATE) == ACCOUNT && load<u32>(account, <usize>Account.CLOSED) == 0;
}

/** Nothing more is charged to the account: it goes with the last block that was. */
export function accountClose(root: usize, account: usize): void {
  lock(root);
  store<u32>(account, 1, <usize>Account.CLOSED);
  giveBack(root, account, 0);
  unlock(root);
}

function giveBack(root: usize, account: usize, bytes: u32): void {
  const used = load<u32>(account, <usize>Account.USED) - bytes;
  store<u32>(account, used, <usize>Account.USED);
  if (used != 0 || load<u32>(account, <usize>Account.CLOSED) == 0) return;
  freeLocked(root, account - HEADER);
}

/** Payload bytes that the block at `payload` can hold. */
export function heapCapacity(payload: usize): usize {
  return <usize>load<u32>(payload - HEADER, BYTES) - HEADER;
}
