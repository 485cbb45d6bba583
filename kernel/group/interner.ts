// Interner: texts -> dense ids in the order of first appearance, each text kept once.
//
// It turns a variable-length key into a fixed-width one, so that every key tier above works on numbers.
// Plain columns look each row's text up; dictionary columns look a code up once and remember its id
// (`InternedDictionary`), so that rows cost one load. Texts live in an arena of chunks and never move.
//
//   entry: u32 address, u32 length (dense by id)

import { regionFree } from "../memory/region";
import { copyBytes } from "../memory/copy";
import { Arena, arenaInit, arenaReserve, arenaTake } from "../memory/arena";
import { bytesEqual, hashBytes } from "../hash/hash";
import { pieceMask, pieceSlots, slotsFeed, slotsFill, slotsInit, slotsPiece, tagOf } from "../hash/slots";
import { dictionaryAddress, dictionaryLength } from "../column/dictionary";
import { regrow } from "../column/builder";

export const INTERNER_SIZE: usize = 128;
const SLOTS: usize = 32;
export const NO_ID: u32 = 0xffffffff;

// @ts-ignore: decorator
@unmanaged
export class Interner {
  slots0: u64;
  slots1: u64;
  slots2: u64;
  slots3: u64;
  arena0: u64;
  arena1: u64;
  arena2: u64;
  arena3: u64;
  region: usize;
  entries: usize;
  /** Ids given so far. */
  count: u32;
  capacity: u32;
  hashZero: u32;
  /** The dictionary whose codes `remap` translates; 0 when none. */
  dictionaryId: u32;
  remap: usize;
  remapLength: u32;
  /** Bytes of all texts. */
  bytes: u64;
}

// @ts-ignore: decorator
@inline
function internerArena(interner: usize): Arena {
  return changetype<Arena>(interner + SLOTS);
}

export function internerInit(interner: usize, region: usize, hashZero: bool, tiny: bool): bool {
  memory.fill(interner, 0, INTERNER_SIZE);
  const self = changetype<Interner>(interner);
  self.region = region;
  self.hashZero = hashZero ? 1 : 0;
  arenaInit(internerArena(interner), region);
  return slotsInit(interner, region, tiny);
}

/** Room for `more` further texts of `bytes` bytes in all; false when out of memory. */
export function internerReserve(interner: usize, more: u32, bytes: usize): bool {
  const self = changetype<Interner>(interner);
  if (!slotsFeed(interner)) return false;
  const need: u64 = <u64>self.count + <u64>more;
  if (need > <u64>self.capacity) {
    if (need > 0x1fffffff) return false;
    const wanted: u64 = min<u64>(max<u64>(need, <u64>self.capacity + (<u64>self.capacity >> 1)), 0x1fffffff);
    let capacity = wanted;
    let entries = regrow(self.region, self.entries, <usize>self.count << 3, <usize>wanted << 3);
    if (entries == 0) {
      capacity = need;
      entries = regrow(self.region, self.entries, <usize>self.count << 3, <usize>need << 3);
    }
    if (entries == 0) return false;
    self.entries = entries;
    self.capacity = <u32>capacity;
  }
  return arenaReserve(internerArena(interner), bytes);
}

/** Id of a text, which is added when new (room for it must have been reserved); NO_ID when out of memory. */
export function internText(interner: usize, address: usize, length: u32): u32 {
  const self = changetype<Interner>(interner);
  const tag: u32 = self.hashZero ? 0 : tagOf(hashBytes(address, length));
  const piece = slotsPiece(interner, tag);
  const slots = pieceSlots(piece);
  const mask = pieceMask(piece);
  let index = tag & mask;
  let slot = slots + (<usize>index << 3);
  let found: u64 = load<u64>(slot);
  while (found != 0) {
    if (<u32>(found >> 32) == tag) {
      const entry = self.entries + (<usize>(<u32>found - 1) << 3);
      if (load<u32>(entry, 4) == length && bytesEqual(load<u32>(entry), address, length)) return <u32>found - 1;
    }
    index = (index + 1) & mask;
    slot = slots + (<usize>index << 3);
    found = load<u64>(slot);
  }
  return addText(interner, piece, slot, tag, address, length);
}

function addText(interner: usize, piece: usize, slot: usize, tag: u32, address: usize, length: u32): u32 {
  const self = changetype<Interner>(interner);
  const id = self.count;
  if (id >= self.capacity) return NO_ID;
  const text = arenaTake(internerArena(interner), length);
  if (text == 0 || !slotsFill(interner, piece, slot, tag, id)) return NO_ID;
  copyBytes(text, address, length);
  const entry = self.entries + (<usize>id << 3);
  store<u32>(entry, <u32>text);
  store<u32>(entry, length, 4);
  self.bytes += length;
  self.count = id + 1;
  return id;
}

// @ts-ignore: decorator
@inline
export function internedAddress(interner: usize, id: u32): usize {
  return load<u32>(changetype<Interner>(interner).entries + (<usize>id << 3));
}

// @ts-ignore: decorator
@inline
export function internedLength(interner: usize, id: u32): u32 {
  return load<u32>(changetype<Interner>(interner).entries + (<usize>id << 3), 4);
}

/**
 * Makes the table that translates the codes of `dictionary` (of `length` values) ready; false when out of
 * memory. A dictionary of the same id as last time may only have grown, and keeps what is known.
 */
export function internerUseDictionary(interner: usize, id: u32, length: u32): bool {
  const self = changetype<Interner>(interner);
  const known: u32 = self.dictionaryId == id && id != 0 ? self.remapLength : 0;
  if (known >= length && known != 0) return true;
  const remap = regrow(self.region, self.remap, <usize>known << 2, max<usize>(<usize>length << 2, 64));
  if (remap == 0) return false;
  memory.fill(remap + (<usize>known << 2), 0xff, <usize>(length - known) << 2);
  self.remap = remap;
  self.remapLength = length;
  self.dictionaryId = id;
  return true;
}

/** Id of the text behind a code; NO_ID when out of memory. `internerUseDictionary` comes first. */
// @ts-ignore: decorator
@inline
export function internCode(interner: usize, dictionary: usize, code: u32): u32 {
  const at = changetype<Interner>(interner).remap + (<usize>code << 2);
  const id = load<u32>(at);
  return id != NO_ID ? id : learnCode(interner, dictionary, code, at);
}

function learnCode(interner: usize, dictionary: usize, code: u32, at: usize): u32 {
  const id = internText(interner, dictionaryAddress(dictionary, code), dictionaryLength(dictionary, code));
  store<u32>(at, id);
  return id;
}

/** Frees what only lookups by dictionary need. */
export function internerForgetDictionary(interner: usize): void {
  const self = changetype<Interner>(interner);
  regionFree(self.region, self.remap);
  self.remap = 0;
  self.remapLength = 0;
  self.dictionaryId = 0;
}
