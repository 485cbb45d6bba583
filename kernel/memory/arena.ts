// An arena: texts of any length, in chunks of a region, that never move and go all together.
//
// Room is reserved before a batch is applied. What does not fit the rest of the current chunk is kept
// ready in a spare one: the arena moves on to it only when a text really does not fit, so that a stream
// of batches which bring few new texts does not leave a half-empty chunk behind with each.
//
//   chunk: +0 u32 next chunk   +4.. unused   +16 texts

import { regionBlock, regionFree } from "./region";

const LINK: usize = 16;
const CHUNK_MIN: usize = 4096;
const CHUNK_MAX: usize = 1 << 20;

// @ts-ignore: decorator
@unmanaged
export class Arena {
  region: usize;
  cursor: usize;
  end: usize;
  spare: usize;
  spareEnd: usize;
  chunks: usize;
  /** Bytes of all chunks, which sizes the next one. */
  held: usize;
  reserved: u32;
}

export const ARENA_SIZE: usize = 32;

export function arenaInit(arena: Arena, region: usize): void {
  memory.fill(changetype<usize>(arena), 0, ARENA_SIZE);
  arena.region = region;
}

/** Room for `bytes` in all, however they are divided; false when out of memory. */
export function arenaReserve(arena: Arena, bytes: usize): bool {
  if (arena.end - arena.cursor >= bytes || arena.spareEnd - arena.spare >= bytes) return true;
  if (bytes > 0x7fffffff) return false; // unreached: needs 2 GiB of values
  const size = max<usize>(bytes, min<usize>(max<usize>(arena.held, CHUNK_MIN), CHUNK_MAX));
  const chunk = regionBlock(arena.region, size + LINK);
  if (chunk == 0) return false;
  // A spare that proved too small was never used: it goes.
  dropSpare(arena);
  store<u32>(chunk, <u32>arena.chunks);
  arena.chunks = chunk;
  arena.held += size;
  arena.spare = chunk + LINK;
  arena.spareEnd = chunk + LINK + size;
  if (arena.cursor == 0) moveOn(arena);
  return true;
}

/** The spare chunk, when there is one, is the first of the list. */
function dropSpare(arena: Arena): void {
  if (arena.spare == 0) return;
  const chunk = arena.chunks;
  arena.held -= arena.spareEnd - arena.spare;
  arena.chunks = load<u32>(chunk);
  arena.spare = 0;
  arena.spareEnd = 0;
  regionFree(arena.region, chunk);
}

function moveOn(arena: Arena): void {
  arena.cursor = arena.spare;
  arena.end = arena.spareEnd;
  arena.spare = 0;
  arena.spareEnd = 0;
}

/** Address of `length` fresh bytes, never 0 unless out of memory (which a reservation rules out). */
export function arenaTake(arena: Arena, length: usize): usize {
  // No bytes lie anywhere: reserving none may have made no chunk.
  if (length == 0 && arena.cursor == 0) return changetype<usize>(arena);
  if (arena.end - arena.cursor < length || arena.cursor == 0) {
    if (arena.spareEnd - arena.spare < length || arena.spare == 0) {
      if (!arenaReserve(arena, max<usize>(length, 1))) return 0;
    }
    if (arena.spare != 0) moveOn(arena);
  }
  const at = arena.cursor;
  arena.cursor = at + length;
  return at;
}

/** Gives every chunk back; the arena is empty then. */
export function arenaClear(arena: Arena): void {
  let chunk = arena.chunks;
  while (chunk != 0) {
    const next: usize = load<u32>(chunk);
    regionFree(arena.region, chunk);
    chunk = next;
  }
  arenaInit(arena, arena.region);
}
