// What a join that follows changes no longer needs goes: once less than half of the rows that it keeps are there, those
// are laid out anew in a region of their own, with their keys and texts, and the old one is freed whole.
//
// As of joins by time (join-compact.ts), that costs what is there, after at least as much has gone: a constant for each
// change. It is one piece of work, not bounded by a push; its memory is that of both for a moment, and where that cannot
// be had the old one stays, and it is tried again later.

import { Abi } from "../abi/layout";
import { Keys, keysAssignStored, keysReserveStored, keysSpan } from "../join/keys";
import {
  RowState,
  ledgerAdd,
  ledgerHash,
  ledgerMatches,
  ledgerReserve,
  ledgerState,
} from "../join/ledger";
import { storeCopy } from "../join/store";
import { REGION_SIZE, regionBlock, regionClear, regionCut, regionFree, regionInitLike } from "../memory/region";
import { Changes, changesGeneration, changesLedger, changesLedgers, changesLink, changesOf } from "./join-changes";
import { freshKeys, freshStore } from "./join-compact";
import { Join, joinIsSmall, joinReserveHeads, joinStore } from "./join-state";

/** Fewer rows are not worth it. */
const LEAST_ROWS: u32 = 1 << 15;
const NO_PLACE: u32 = 0xffffffff;

/** Lays out anew what is there, if that is less than half of what is kept. Between pushes, while both sides are kept. */
export function changesCompact(self: Join): void {
  const changes = changesOf(self);
  const rows = joinStore(self, 0).rows + joinStore(self, 1).rows;
  if (rows < max(changes.compactAt, joinIsSmall(self) ? 8 : LEAST_ROWS)) return;
  const live = changesLedger(self, 0).live + changesLedger(self, 1).live;
  if (<u64>live << 1 > <u64>rows || !layOut(self, rows)) changes.compactAt = rows + (rows >> 1);
  else changes.compactAt = live << 1;
}

/** False when the rows stay where they are. */
function layOut(self: Join, rows: u32): bool {
  const changes = changesOf(self);
  const old = changesGeneration(self);
  const places = regionBlock(old, (<usize>rows << 2) + 4);
  if (places == 0) return false;
  const others = places + ((<usize>joinStore(self, 0).rows) << 2);
  place(self, 0, places);
  place(self, 1, others);
  const next = changes.generations + (old == changes.generations ? REGION_SIZE : 0);
  regionInitLike(next, old);
  const size = offsetof<Join>();
  const saved = regionCut(next, size + offsetof<Changes>());
  const held = changetype<usize>(self);
  if (saved != 0) {
    memory.copy(saved, held, size);
    memory.copy(saved + size, self.changes, offsetof<Changes>());
    const before = changetype<Join>(saved);
    // The copies stand for what was there: its ledgers are those that the old changes name.
    before.changes = saved + size;
    if (move(self, next, before, places, others)) {
      regionClear(old);
      return true;
    }
    before.changes = self.changes;
    memory.copy(held, saved, size);
    memory.copy(self.changes, saved + size, offsetof<Changes>());
  }
  regionClear(next);
  regionFree(old, places);
  return false;
}

/** Gives the rows that are there their places. */
function place(self: Join, port: u32, places: usize): void {
  const ledger = changesLedger(self, port);
  const rows = joinStore(self, port).rows;
  let count: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const gone = (ledgerState(ledger, row) & <u32>RowState.GONE) != 0;
    store<u32>(places + ((<usize>row) << 2), gone ? NO_PLACE : count);
    count += gone ? 0 : 1;
  }
}

/** False when out of memory: what was there is in `before`. */
function move(self: Join, region: usize, before: Join, places: usize, others: usize): bool {
  const seed = joinStore(before, 0).seed;
  self.store0 = freshStore(joinStore(before, 0), region);
  self.store1 = freshStore(joinStore(before, 1), region);
  if (self.store0 == 0 || self.store1 == 0) return false;
  if (!freshKeys(self, region, seed) || !changesLedgers(self, region, seed)) return false;
  self.heads0 = 0;
  self.heads1 = 0;
  self.headCount0 = 0;
  self.headCount1 = 0;
  changesOf(self).keyless = 0;
  return moveRows(self, 0, before, places) && moveRows(self, 1, before, others);
}

function moveRows(self: Join, port: u32, before: Join, places: usize): bool {
  const from = joinStore(before, port);
  const to = joinStore(self, port);
  const past = changesLedger(before, port);
  const ledger = changesLedger(self, port);
  if (!storeCopy(to, from, places) || !ledgerReserve(ledger, to.rows)) return false;
  const keys = changetype<Keys>(self.keys);
  let old: u32 = 0;
  for (let start: u32 = 0; start < to.rows; start += <u32>Abi.VECTOR_ROWS) {
    const some = min<u32>(<u32>Abi.VECTOR_ROWS, to.rows - start);
    if (!keysReserveStored(keys, to, start, some) || !keysAssignStored(keys, to, start, some, self.numbers)) return false;
    const span = keysSpan(keys);
    if (!joinReserveHeads(self, 0, span) || !joinReserveHeads(self, 1, span)) return false;
    for (let row = start; row < start + some; row++, old++) {
      while (load<u32>(places + ((<usize>old) << 2)) == NO_PLACE) old++;
      if (ledger.retracts) ledgerHash(ledger, to, row);
      ledgerAdd(ledger, row, ledgerState(past, old));
      if (ledger.counts) store<i32>(ledgerMatches(ledger, row), load<i32>(ledgerMatches(past, old)));
      changesLink(self, port, row, load<u32>(self.numbers + ((<usize>(row - start)) << 2)));
    }
  }
  return true;
}
