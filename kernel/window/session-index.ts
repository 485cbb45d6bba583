// Finding a session among very many of one key: a skip list over the key's list, once that has been walked far.
//
// Keys have few sessions in a stream, and no index. Where a walk was long, as in unsorted history, the key gets one:
// a sixteenth of its sessions, by a hash of their numbers, have a node on the first level, a sixteenth of those on the
// second, and so on. (Pugh 1990, "Skip lists: a probabilistic alternative to balanced trees".) A node that finds no
// room is left out: the walk is longer then, and nothing else.
//
//   level 2   head ---------------> 9 ------------------------------->
//   level 1   head ------> 14 ----> 9 ---------> 5 ------------------>      each list in the order of `Sessions`,
//   list      head -> 15 -> 14 ... 9 ... 7 ... 5 ... 1                       latest first
//
//   node: +0 u32 session  +4 u32 right  +8 u32 below  +12 u32 0                (numbers are + 1, 0 = none)

import { regionBlock, regionFree } from "../memory/region";
import { Sessions, sessionAt, sessionFirst, sessionNext } from "./session";

const NODE: usize = 16;
const LEVELS: u32 = 5;
/** Sessions that are passed before an index is worth its while. */
export const WALK_FAR: u32 = 32;

// @ts-ignore: decorator
@inline
function nodeAt(self: Sessions, name: u32): usize {
  return self.nodes + <usize>(name - 1) * NODE;
}

/** On how many levels a session has a node. */
function levelsOf(number: u32): u32 {
  let hash = (number + 1) * 0x9e3779b1;
  hash = (hash ^ (hash >>> 15)) * 0x85ebca6b;
  hash ^= hash >>> 13;
  return min<u32>(ctz<u32>(hash) >> 2, LEVELS);
}

/** Room for the nodes of `rows` further sessions and for every key's index; none is lost when there is no memory. */
export function indexReserve(self: Sessions, rows: u32): void {
  if (self.wantsIndex == 0) return;
  if (self.indexCapacity < self.headCapacity) {
    const indexes = regionBlock(self.region, (<usize>self.headCapacity) << 2);
    if (indexes == 0) return;
    const used = (<usize>self.indexCapacity) << 2;
    if (used != 0) memory.copy(indexes, self.indexes, used);
    memory.fill(indexes + used, 0, ((<usize>self.headCapacity) << 2) - used);
    regionFree(self.region, self.indexes);
    self.indexes = indexes;
    self.indexCapacity = self.headCapacity;
  }
  const need = self.nodeCount + ((self.count + rows) >> 3) + 64;
  if (need <= self.nodeCapacity) return;
  const capacity = need + (need >> 1);
  const nodes = regionBlock(self.region, <usize>capacity * NODE);
  if (nodes == 0) return;
  if (self.nodeCount != 0) memory.copy(nodes, self.nodes, <usize>self.nodeCount * NODE);
  regionFree(self.region, self.nodes);
  self.nodes = nodes;
  self.nodeCapacity = capacity;
}

/** A fresh node; 0 when there is no room. */
function takeNode(self: Sessions, session: u32, right: u32, below: u32): u32 {
  let name = self.freeNode;
  if (name != 0) self.freeNode = load<u32>(nodeAt(self, name), 4);
  else {
    // unreached: needs nodes to be refused push after push, while all else finds memory
    if (self.nodeCount == self.nodeCapacity) return 0;
    self.nodeCount++;
    name = self.nodeCount;
  }
  const node = nodeAt(self, name);
  store<u32>(node, session);
  store<u32>(node, right, 4);
  store<u64>(node, below, 8);
  return name;
}

function freeNode(self: Sessions, name: u32): void {
  store<u32>(nodeAt(self, name), self.freeNode, 4);
  self.freeNode = name;
}

/** The uppermost head of a key's index; 0 = there is none. */
// @ts-ignore: decorator
@inline
function headOf(self: Sessions, key: u32): u32 {
  return key < self.indexCapacity ? load<u32>(self.indexes + ((<usize>key) << 2)) : 0;
}

/** The node to the right, while its session begins after `time`; else 0. */
// @ts-ignore: decorator
@inline
function rightAfter(self: Sessions, node: usize, time: i64): u32 {
  const right = load<u32>(node, 4);
  if (right == 0) return 0;
  const session = sessionAt(self, load<u32>(nodeAt(self, right)) - 1);
  return sessionFirst(session) > time ? right : 0;
}

/** The name of a session of `key` that begins after `time`, the earliest that the index knows; 0 = none. */
export function indexSeek(self: Sessions, key: u32, time: i64): u32 {
  let name = headOf(self, key);
  let session: u32 = 0;
  while (name != 0) {
    const node = nodeAt(self, name);
    session = load<u32>(node);
    const right = rightAfter(self, node, time);
    name = right != 0 ? right : load<u32>(node, 8);
  }
  return session;
}

/** Makes an index of a key's sessions where there is none and its heads have room; the first walk that is far only asks for that. */
export function indexBuild(self: Sessions, key: u32): void {
  self.wantsIndex = 1;
  if (key >= self.indexCapacity || headOf(self, key) != 0 || self.nodeCount + LEVELS > self.nodeCapacity) return;
  let head: u32 = 0;
  for (let level: u32 = 0; level < LEVELS; level++) {
    head = takeNode(self, 0, 0, head);
  }
  store<u32>(self.indexes + ((<usize>key) << 2), head);
  let name = load<u32>(self.heads + ((<usize>key) << 2));
  for (; name != 0; name = sessionNext(sessionAt(self, name - 1))) indexAdd(self, key, name - 1);
}

/** A session has come to a key's list. */
export function indexAdd(self: Sessions, key: u32, number: u32): void {
  let name = headOf(self, key);
  const levels = levelsOf(number);
  if (name == 0 || levels == 0) return;
  const first = sessionFirst(sessionAt(self, number));
  let above: u32 = 0;
  for (let level = LEVELS; level > 0; level--) {
    let node = nodeAt(self, name);
    for (let right = rightAfter(self, node, first); right != 0; right = rightAfter(self, node, first)) node = nodeAt(self, right);
    name = load<u32>(node, 8);
    if (level > levels) continue;
    const fresh = takeNode(self, number + 1, load<u32>(node, 4), 0);
    // unreached: see `takeNode`
    if (fresh == 0) return;
    store<u32>(node, fresh, 4);
    if (above != 0) store<u32>(nodeAt(self, above), fresh, 8);
    above = fresh;
  }
}

/** A session leaves a key's list: while its own first time, and its neighbours', are what they were. */
export function indexRemove(self: Sessions, key: u32, number: u32): void {
  let name = headOf(self, key);
  if (name == 0 || levelsOf(number) == 0) return;
  const first = sessionFirst(sessionAt(self, number));
  while (name != 0) {
    let node = nodeAt(self, name);
    for (let right = rightAfter(self, node, first); right != 0; right = rightAfter(self, node, first)) node = nodeAt(self, right);
    const own = load<u32>(node, 4);
    if (own != 0 && load<u32>(nodeAt(self, own)) == number + 1) {
      store<u32>(node, load<u32>(nodeAt(self, own), 4), 4);
      freeNode(self, own);
    }
    name = load<u32>(node, 8);
  }
}
