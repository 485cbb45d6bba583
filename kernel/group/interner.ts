// Interner: texts -> dense ids in the order of first appearance, each text kept once.
//
// It turns a variable-length key into a fixed-width one, so that every key tier above works on numbers.
// Plain columns look each row's text up; dictionary columns look a code up once and remember its id (`remap`),
// so that rows cost one load. The first dictionary is learnt whole, in order, where that is cheap: then codes
// are ids, and rows cost nothing. Texts live in an arena and never move.
//
// Learning a dictionary shows that its values differ, which the root block keeps by its id. Who learns it after that,
// another worker or the next query, need not look a single text up: they are copied, and put into the index
// only when a text comes that is not one of its codes. For 100,000 texts that is 0.5 ms instead of 7. Where the host expects
// many rows for each text a dictionary may be long: of 100 million rows by a million texts the translation of codes, a miss
// of the cache a row, took a quarter of the time of a range of two columns, and hashing the texts another quarter.
//
//   entry: u32 address, u32 length (dense by id)

import { regionCut, regionFree } from "../memory/region";
import { copyBytes, copyRun } from "../memory/copy";
import { Arena, arenaClear, arenaInit, arenaReserve, arenaTake } from "../memory/arena";
import { bytesEqual } from "../hash/hash";
import { SlotHash, slotHashBytes, slotHashInit } from "../hash/slot-hash";
import {
  pieceMask,
  pieceSlots,
  slotsClear,
  slotsExpect,
  slotsFeed,
  slotsFill,
  slotsFirst,
  slotsInit,
  slotsPiece,
  tagOf,
} from "../hash/slots";
import { Column } from "../abi/layout";
import { dictionaryAddress, dictionaryIsValid, dictionaryLength } from "../column/dictionary";
import { regrow } from "../column/builder";
import { heapKnowsDictionary, heapNotesDictionary } from "../memory/heap";

export const INTERNER_SIZE: usize = 192;
/** Rows that are looked up together: see row-table.ts. */
const BLOCK: u32 = 128;
const SLOTS: usize = 32;
const HASH: usize = 64;
/** A first dictionary up to so long is learnt whole, where at least so many rows come with it. */
const WHOLE_DICTIONARY: u32 = 1 << 17;
const WHOLE_ROWS: u32 = 1024;
/**
 * A longer one, up to this, where a row for each of its texts is expected: most come then, and a text that comes by a row, from
 * anywhere, takes several times as long as one after the other.
 */
const WHOLE_LARGE: u32 = 1 << 24;
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
  hash0: u64;
  hash1: u64;
  hash2: u64;
  /** Slots looked at beyond each text's first. */
  probes: u64;
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
  /** Bytes of the longest text. */
  longest: u32;
  /** 1 when the dictionary's codes are the ids: it was learnt whole, in order, first. */
  identity: u32;
  /** The dictionary whose codes, from 0 on, all ids are, and nothing else is; 0 when they are not one's. */
  learnt: u32;
  /** A block's tags (u32) and the rows to probe one by one (u16). */
  scratch: usize;
  /** Bytes of all texts. */
  bytes: u64;
  /** Ids below this are in the index; all are but those of a dictionary that was learnt without it. */
  indexed: u32;
  /** 1 where a dictionary may be learnt without the index: for those whose every text comes by `internerReserve` first. */
  defers: u32;
  /** Rows that are likely to come; 0 where nobody knows. */
  expected: u32;
}

// @ts-ignore: decorator
@inline
function internerArena(interner: usize): Arena {
  return changetype<Arena>(interner + SLOTS);
}

/** Makes an empty interner, hashed by `seed`; false when out of memory. */
export function internerInit(
  interner: usize,
  region: usize,
  hashZero: bool,
  tiny: bool,
  seed: u32 = 0,
): bool {
  memory.fill(interner, 0, INTERNER_SIZE);
  const self = changetype<Interner>(interner);
  self.region = region;
  self.hashZero = hashZero ? 1 : 0;
  slotHashInit(interner + HASH, seed);
  arenaInit(internerArena(interner), region);
  self.scratch = regionCut(region, <usize>BLOCK * 14);
  return self.scratch != 0 && slotsInit(interner, region, tiny);
}

/** Lets dictionaries be learnt without the index, which is made when other texts come. */
export function internerDefer(interner: usize): void {
  changetype<Interner>(interner).defers = 1;
}

/** Says that at least `rows` rows are likely to come. */
export function internerExpect(interner: usize, rows: u32): void {
  changetype<Interner>(interner).expected = rows;
}

/** Room for `more` further texts of `bytes` bytes in all; false when out of memory. */
export function internerReserve(interner: usize, more: u32, bytes: usize): bool {
  return slotsFeed(interner) && makeIndex(interner) && reserveTexts(interner, more, bytes);
}

/** Puts the texts into the index that are not in it. False when out of memory: then some are. */
function makeIndex(interner: usize): bool {
  const self = changetype<Interner>(interner);
  if (self.indexed == self.count) return true;
  if (self.indexed == 0) slotsExpect(interner, self.count);
  for (; self.indexed < self.count; self.indexed++) {
    const id = self.indexed;
    const tag = textTag(self, internedAddress(interner, id), internedLength(interner, id));
    const piece = slotsPiece(interner, tag);
    const mask = pieceMask(piece);
    let index = tag & mask;
    while (load<u64>(pieceSlots(piece) + ((<usize>index) << 3)) != 0) index = (index + 1) & mask;
    if (!slotsFill(interner, piece, pieceSlots(piece) + ((<usize>index) << 3), tag, id)) return false;
  }
  return true;
}

function reserveTexts(interner: usize, more: u32, bytes: usize): bool {
  const self = changetype<Interner>(interner);
  const need: u64 = <u64>self.count + <u64>more;
  if (need > <u64>self.capacity) {
    if (need > 0x1fffffff) return false; // unreached: needs 2^29 texts
    const wanted: u64 = min<u64>(max<u64>(need, <u64>self.capacity + (<u64>self.capacity >> 1)), 0x1fffffff);
    let capacity = wanted;
    let entries = regrow(self.region, self.entries, (<usize>self.count) << 3, (<usize>wanted) << 3);
    if (entries == 0) {
      capacity = need;
      entries = regrow(self.region, self.entries, (<usize>self.count) << 3, (<usize>need) << 3);
    }
    if (entries == 0) return false;
    self.entries = entries;
    self.capacity = <u32>capacity;
  }
  return arenaReserve(internerArena(interner), bytes);
}

/** Id of a text, which is added when new (room for it must have been reserved); NO_ID when out of memory. */
export function internText(interner: usize, address: usize, length: u32): u32 {
  return internTagged(interner, textTag(changetype<Interner>(interner), address, length), address, length);
}

// @ts-ignore: decorator
@inline
function textTag(self: Interner, address: usize, length: u32): u32 {
  return self.hashZero ? 0 : tagOf(slotHashBytes(changetype<SlotHash>(changetype<usize>(self) + HASH), address, length));
}

/**
 * Ids of the valid texts among `rows` views (u32 address, u32 length), to `ids` (u32 each); null rows get 0.
 * Room for all of them must have been reserved. False when out of memory.
 *
 * Slot, entry and text are three loads that depend on each other: a block's rows take each step together, so
 * that their cache misses overlap. Rows whose first slot is not theirs go one by one at the end.
 */
export function internViews(interner: usize, views: usize, validity: usize, rows: u32, ids: usize): bool {
  const self = changetype<Interner>(interner);
  const tags = self.scratch;
  const pending = tags + ((<usize>BLOCK) << 2);
  for (let start: u32 = 0; start < rows; start += BLOCK) {
    const count = min<u32>(BLOCK, rows - start);
    const from = views + ((<usize>start) << 3);
    const to = ids + ((<usize>start) << 2);
    findSlots(interner, from, validity, start, count, to);
    const left = compareTexts(self, from, validity, start, count, to, pending);
    for (let index: u32 = 0; index < left; index++) {
      const row: usize = load<u16>(pending + ((<usize>index) << 1));
      const view = from + (row << 3);
      const id = internTagged(interner, load<u32>(tags + (row << 2)), load<u32>(view), load<u32>(view, 4));
      if (id == NO_ID) return false;
      store<u32>(to + (row << 2), id);
    }
  }
  return true;
}

// @ts-ignore: decorator
@inline
function isValid(validity: usize, row: u32): bool {
  return validity == 0 || ((load<u8>(validity + <usize>(row >> 3)) >> <u8>(row & 7)) & 1) != 0;
}

/** Writes the tag of each text, and entry + 1 where its first slot has that tag, else 0. */
function findSlots(
  interner: usize,
  views: usize,
  validity: usize,
  start: u32,
  count: u32,
  found: usize,
): void {
  const self = changetype<Interner>(interner);
  const tags = self.scratch;
  for (let row: u32 = 0; row < count; row++) {
    const view = views + ((<usize>row) << 3);
    let tag: u32 = 0;
    if (isValid(validity, start + row)) tag = textTag(self, load<u32>(view), load<u32>(view, 4));
    store<u32>(tags + ((<usize>row) << 2), tag);
  }
  // Behind tags and pending rows.
  slotsFirst(interner, tags, count, found, tags + <usize>BLOCK * 6);
}

/** Turns entries + 1 that hold the row's text into ids, and lists the other valid rows; how many. */
function compareTexts(
  self: Interner,
  views: usize,
  validity: usize,
  start: u32,
  count: u32,
  found: usize,
  pending: usize,
): u32 {
  let left: u32 = 0;
  for (let row: u32 = 0; row < count; row++) {
    const at = found + ((<usize>row) << 2);
    const slot = load<u32>(at);
    const id = max<u32>(slot, 1) - 1;
    store<u32>(at, id);
    if (!isValid(validity, start + row)) {
      store<u32>(at, 0);
      continue;
    }
    const view = views + ((<usize>row) << 3);
    const length = load<u32>(view, 4);
    const entry = self.entries + ((<usize>id) << 3);
    if (slot != 0 && load<u32>(entry, 4) == length && bytesEqual(load<u32>(entry), load<u32>(view), length))
      continue;
    store<u16>(pending + ((<usize>left) << 1), <u16>row);
    left++;
  }
  return left;
}

function internTagged(interner: usize, tag: u32, address: usize, length: u32): u32 {
  const self = changetype<Interner>(interner);
  const piece = slotsPiece(interner, tag);
  const mask = pieceMask(piece);
  const index = slotOf(self, pieceSlots(piece), mask, tag, address, length);
  const slot = pieceSlots(piece) + ((<usize>index) << 3);
  const found = load<u64>(slot);
  self.probes += <u64>((index - tag) & mask);
  if (found != 0) return <u32>found - 1;
  return addText(interner, piece, slot, tag, address, length);
}

/** Where a text is among a piece's slots, or the free one where it would be. */
// @ts-ignore: decorator
@inline
function slotOf(self: Interner, slots: usize, mask: u32, tag: u32, address: usize, length: u32): u32 {
  let index = tag & mask;
  let found = load<u64>(slots + ((<usize>index) << 3));
  while (found != 0) {
    if (<u32>(found >> 32) == tag) {
      const entry = self.entries + ((<usize>(<u32>found - 1)) << 3);
      if (load<u32>(entry, 4) == length && bytesEqual(load<u32>(entry), address, length)) break;
    }
    index = (index + 1) & mask;
    found = load<u64>(slots + ((<usize>index) << 3));
  }
  return index;
}

function addText(interner: usize, piece: usize, slot: usize, tag: u32, address: usize, length: u32): u32 {
  const self = changetype<Interner>(interner);
  const id = self.count;
  if (id >= self.capacity) return NO_ID; // unreached: its room is reserved before
  const text = arenaTake(internerArena(interner), length);
  if (text == 0 || !slotsFill(interner, piece, slot, tag, id)) return NO_ID;
  copyBytes(text, address, length);
  append(self, text, length);
  self.indexed = id + 1;
  self.learnt = 0;
  return id;
}

/** Gives a text that lies in the arena the next id. */
// @ts-ignore: decorator
@inline
function append(self: Interner, text: usize, length: u32): void {
  const entry = self.entries + ((<usize>self.count) << 3);
  store<u32>(entry, <u32>text);
  store<u32>(entry, length, 4);
  self.bytes += length;
  self.longest = max(self.longest, length);
  self.count++;
}

// @ts-ignore: decorator
@inline
export function internedAddress(interner: usize, id: u32): usize {
  return load<u32>(changetype<Interner>(interner).entries + ((<usize>id) << 3));
}

// @ts-ignore: decorator
@inline
export function internedLength(interner: usize, id: u32): u32 {
  return load<u32>(changetype<Interner>(interner).entries + ((<usize>id) << 3), 4);
}

/** How many texts there are. */
export function internedCount(interner: usize): u32 {
  return changetype<Interner>(interner).count;
}

/** Gives an interner without texts those of `other`, under the same ids. False when out of memory. */
export function internerLearn(interner: usize, other: usize): bool {
  const count = internedCount(other);
  let bytes: usize = 0;
  for (let id: u32 = 0; id < count; id++) bytes += internedLength(other, id);
  if (!internerReserve(interner, count, bytes)) return false;
  for (let id: u32 = 0; id < count; id++) {
    if (internText(interner, internedAddress(other, id), internedLength(other, id)) == NO_ID) return false;
  }
  return true;
}

/** Whether both have learnt one dictionary, as far as each has seen it, and nothing else: then no id differs. */
export function internersLearntOne(interner: usize, other: usize): bool {
  const learnt = changetype<Interner>(interner).learnt;
  return learnt != 0 && learnt == changetype<Interner>(other).learnt;
}

/**
 * Gives an interner without texts, or one that has learnt the dictionary of `other`, what that has learnt of it. False
 * when out of memory, and then it is of no use.
 */
export function internerFollow(interner: usize, other: usize): bool {
  const self = changetype<Interner>(interner);
  const count = internedCount(other);
  if (self.count >= count) return true;
  let bytes: usize = 0;
  for (let id = self.count; id < count; id++) bytes += internedLength(other, id);
  if (self.defers) return followDeferred(interner, other, bytes);
  if (!internerReserve(interner, count - self.count, bytes)) return false;
  slotsExpect(interner, count - self.count);
  while (self.count < count) {
    const id = self.count;
    if (internText(interner, internedAddress(other, id), internedLength(other, id)) != id) return false;
  }
  self.learnt = changetype<Interner>(other).learnt;
  return true;
}

function followDeferred(interner: usize, other: usize, bytes: usize): bool {
  const self = changetype<Interner>(interner);
  const count = internedCount(other);
  if (!reserveTexts(interner, count - self.count, bytes)) return false;
  while (self.count < count) {
    const length = internedLength(other, self.count);
    const text = arenaTake(internerArena(interner), length);
    if (text == 0) return false; // unreached: its room is reserved before
    copyBytes(text, internedAddress(other, self.count), length);
    append(self, text, length);
  }
  self.learnt = changetype<Interner>(other).learnt;
  return true;
}

/** Whether each text of `other` has the same id in `interner`. */
export function internersAgree(interner: usize, other: usize): bool {
  const count = changetype<Interner>(other).count;
  if (count > changetype<Interner>(interner).count) return false;
  if (internersLearntOne(interner, other)) return true;
  for (let id: u32 = 0; id < count; id++) {
    const length = internedLength(other, id);
    if (internedLength(interner, id) != length) return false;
    if (!bytesEqual(internedAddress(interner, id), internedAddress(other, id), length)) return false;
  }
  return true;
}

/** A hash of an interned text: the same in every interner of the same seed. */
export function internedHash(interner: usize, id: u32): u32 {
  if (changetype<Interner>(interner).hashZero) return 0;
  const hash = changetype<SlotHash>(interner + HASH);
  return tagOf(slotHashBytes(hash, internedAddress(interner, id), internedLength(interner, id)));
}

/**
 * Makes the table that translates the codes of `dictionary` ready for `rows` rows; false when out of memory.
 * A dictionary of the same id as last time may only have grown, and keeps what is known.
 */
export function internerUseDictionary(interner: usize, dictionary: usize, id: u32, rows: u32): bool {
  const self = changetype<Interner>(interner);
  const length = load<u32>(dictionary, <usize>Column.LENGTH);
  const known: u32 = self.dictionaryId == id && id != 0 ? self.remapLength : 0;
  if (known >= length && known != 0) return true;
  const remap = regrow(self.region, self.remap, (<usize>known) << 2, max<usize>((<usize>length) << 2, 64));
  if (remap == 0) return false;
  memory.fill(remap + ((<usize>known) << 2), 0xff, (<usize>(length - known)) << 2);
  self.remap = remap;
  self.remapLength = length;
  self.dictionaryId = id;
  // Another interner's texts, which were taken over, may be this dictionary's.
  const taken: u32 = id != 0 && self.learnt == id ? min(self.count, length) : 0;
  for (let code = known; code < taken; code++) store<u32>(remap + ((<usize>code) << 2), code);
  const from = max(known, taken);
  const first = from == 0 ? self.count == 0 : (taken != 0 || self.identity == 1) && self.count == from;
  self.identity = 0;
  if (taken == length && taken != 0) self.identity = 1;
  else if (first && id != 0 && rows >= WHOLE_ROWS && length <= wholeMost(self)) {
    const root: usize = load<u32>(self.region);
    const differ = self.defers != 0 && heapKnowsDictionary(root, id, length);
    const learnt = differ ? copyWhole(interner, dictionary, from, length) : learnWhole(interner, dictionary, from, length);
    self.identity = learnt ? 1 : 0;
    if (learnt && !differ) heapNotesDictionary(root, id, length);
  }
  if (self.identity != 0) self.learnt = id;
  return true;
}

/** Most texts of a first dictionary that is learnt whole. */
function wholeMost(self: Interner): u32 {
  return max<u32>(WHOLE_DICTIONARY, min<u32>(WHOLE_LARGE, self.expected));
}

/**
 * Whether all values of a dictionary are known, and their codes are the ids: it brings no text. So it is, too, where another
 * interner that has learnt it was followed.
 */
export function internerHasWhole(interner: usize, dictionary: usize, id: u32): bool {
  const self = changetype<Interner>(interner);
  const length = load<u32>(dictionary, <usize>Column.LENGTH);
  if (id == 0) return false;
  if (self.learnt == id && self.count >= length) return true;
  return self.identity != 0 && self.dictionaryId == id && self.remapLength >= length;
}

/** Appends the values from `known` on of a dictionary whose values differ, which lie one after the other. False when out of memory. */
function copyWhole(interner: usize, dictionary: usize, known: u32, length: u32): bool {
  const self = changetype<Interner>(interner);
  if (length == 0) return true;
  const first = dictionaryAddress(dictionary, known);
  const last = length - 1;
  const bytes = dictionaryAddress(dictionary, last) + <usize>dictionaryLength(dictionary, last) - first;
  if (!reserveTexts(interner, length - known, bytes)) return false;
  const texts = arenaTake(internerArena(interner), bytes);
  if (texts == 0) return false; // unreached: its room is reserved before
  memory.copy(texts, first, bytes);
  for (let code = known; code < length; code++) {
    append(self, texts + (dictionaryAddress(dictionary, code) - first), dictionaryLength(dictionary, code));
  }
  for (let code = known; code < length; code++) store<u32>(self.remap + ((<usize>code) << 2), code);
  return true;
}

/**
 * Learns codes from `known` on in order; whether ids equal codes then. They do not after a value that is null
 * or was there before: rows find the rest by `remap`.
 */
function learnWhole(interner: usize, dictionary: usize, known: u32, length: u32): bool {
  const self = changetype<Interner>(interner);
  let bytes: usize = 0;
  for (let code = known; code < length; code++) {
    if (!dictionaryIsValid(dictionary, code)) return false;
    bytes += dictionaryLength(dictionary, code);
  }
  // Without the room rows find their codes one by one, in what was reserved for them.
  if (!internerReserve(interner, length - known, bytes)) return false;
  slotsExpect(interner, length - known);
  for (let code = known; code < length; code++) {
    if (learnCode(interner, dictionary, code, self.remap + ((<usize>code) << 2)) != code) return false;
  }
  return true;
}

/** Ids of the valid rows' codes to `ids` (u32 each); null rows get 0. False when out of memory. */
export function internCodes(
  interner: usize,
  dictionary: usize,
  codes: usize,
  validity: usize,
  rows: u32,
  ids: usize,
): bool {
  const remap = changetype<Interner>(interner).remap;
  let worst: u32 = 0;
  // Codes of a dictionary that was learnt whole are ids.
  if (validity == 0 && changetype<Interner>(interner).identity != 0) {
    copyRun(ids, codes, (<usize>rows) << 2);
    return true;
  }
  if (validity == 0) {
    // Optimistic: most codes are known. Two of them a load.
    let row: u32 = 0;
    for (const whole = rows & ~1; row < whole; row += 2) {
      const pair = load<u64>(codes + ((<usize>row) << 2));
      const first = load<u32>(remap + ((<usize>(<u32>pair)) << 2));
      const second = load<u32>(remap + ((<usize>(<u32>(pair >> 32))) << 2));
      worst = max(worst, max(first, second));
      store<u64>(ids + ((<usize>row) << 2), <u64>first | (<u64>second << 32));
    }
    for (; row < rows; row++) {
      const id = load<u32>(remap + ((<usize>load<u32>(codes + ((<usize>row) << 2))) << 2));
      worst = max(worst, id);
      store<u32>(ids + ((<usize>row) << 2), id);
    }
    if (worst != NO_ID) return true;
    worst = 0;
  }
  for (let row: u32 = 0; row < rows; row++) {
    let id: u32 = 0;
    if (isValid(validity, row)) id = internCode(interner, dictionary, load<u32>(codes + ((<usize>row) << 2)));
    worst = max(worst, id);
    store<u32>(ids + ((<usize>row) << 2), id);
  }
  return worst != NO_ID;
}

/** Id of the text behind a code; NO_ID when out of memory. `internerUseDictionary` comes first. */
// @ts-ignore: decorator
@inline
function internCode(interner: usize, dictionary: usize, code: u32): u32 {
  const at = changetype<Interner>(interner).remap + ((<usize>code) << 2);
  const id = load<u32>(at);
  return id != NO_ID ? id : learnCode(interner, dictionary, code, at);
}

function learnCode(interner: usize, dictionary: usize, code: u32, at: usize): u32 {
  const id = internText(interner, dictionaryAddress(dictionary, code), dictionaryLength(dictionary, code));
  store<u32>(at, id);
  return id;
}

/** Learns all values of the dictionary in use: the ids of its codes, u32 each; 0 when out of memory. */
export function internerLearnCodes(interner: usize, dictionary: usize): usize {
  const remap = changetype<Interner>(interner).remap;
  const length = load<u32>(dictionary, <usize>Column.LENGTH);
  for (let code: u32 = 0; code < length; code++) {
    if (internCode(interner, dictionary, code) == NO_ID) return 0;
  }
  return remap;
}

/** In `remap`: a code whose text was looked for and is not there. */
const ABSENT: u32 = 0xfffffffe;

/** Id of a text; NO_ID when it is not there. Adds nothing. */
export function internFind(interner: usize, address: usize, length: u32): u32 {
  const self = changetype<Interner>(interner);
  const tag = textTag(self, address, length);
  const piece = slotsPiece(interner, tag);
  const slots = pieceSlots(piece);
  const index = slotOf(self, slots, pieceMask(piece), tag, address, length);
  return <u32>load<u64>(slots + ((<usize>index) << 3)) - 1;
}

/**
 * Ids of the valid rows' codes to `ids` (u32 each), NO_ID for texts that are not there, and of null rows. Adds
 * nothing, and no text may be added later: what is not there is remembered.
 */
export function internFindCodes(
  interner: usize,
  dictionary: usize,
  codes: usize,
  validity: usize,
  rows: u32,
  ids: usize,
): void {
  const remap = changetype<Interner>(interner).remap;
  if (validity == 0 && foundCodes(remap, codes, rows, ids)) return;
  for (let row: u32 = 0; row < rows; row++) {
    let id = NO_ID;
    if (isValid(validity, row)) {
      const code = load<u32>(codes + ((<usize>row) << 2));
      const at = remap + ((<usize>code) << 2);
      id = load<u32>(at);
      if (id == NO_ID) {
        id = internFind(interner, dictionaryAddress(dictionary, code), dictionaryLength(dictionary, code));
        if (id == NO_ID) id = ABSENT;
        store<u32>(at, id);
      }
      if (id == ABSENT) id = NO_ID;
    }
    store<u32>(ids + ((<usize>row) << 2), id);
  }
}

/** The same of codes that have been looked for before; false where one has not. Whether a text is there is as good as random. */
function foundCodes(remap: usize, codes: usize, rows: u32, ids: usize): bool {
  let fresh: u32 = 0;
  const end = codes + ((<usize>rows) << 2);
  const pairs = codes + ((<usize>(rows & ~1)) << 2);
  for (; codes < pairs; codes += 8) {
    const pair = load<u64>(codes);
    const first = load<u32>(remap + ((<usize>(<u32>pair)) << 2));
    const second = load<u32>(remap + ((<usize>(<u32>(pair >> 32))) << 2));
    fresh |= <u32>(first == NO_ID) | <u32>(second == NO_ID);
    store<u32>(ids, first | (0 - <u32>(first == ABSENT)));
    store<u32>(ids, second | (0 - <u32>(second == ABSENT)), 4);
    ids += 8;
  }
  if (codes < end) {
    const id = load<u32>(remap + ((<usize>load<u32>(codes)) << 2));
    fresh |= <u32>(id == NO_ID);
    store<u32>(ids, id | (0 - <u32>(id == ABSENT)));
  }
  return fresh == 0;
}

/** Forgets every text: ids begin at 0 again. */
export function internerClear(interner: usize): void {
  const self = changetype<Interner>(interner);
  internerForgetDictionary(interner);
  slotsClear(interner);
  arenaClear(internerArena(interner));
  self.count = 0;
  self.indexed = 0;
  self.learnt = 0;
  self.longest = 0;
  self.bytes = 0;
}

/** Frees what only lookups by dictionary need. */
export function internerForgetDictionary(interner: usize): void {
  const self = changetype<Interner>(interner);
  regionFree(self.region, self.remap);
  self.remap = 0;
  self.remapLength = 0;
  self.dictionaryId = 0;
  self.identity = 0;
}
