// Rows that are set aside (aggregate-backlog.ts) leave, where memory ends and the host has somewhere to put them (LEAVES).
//
// A row takes half of the bytes of a group's state, or less, and a fraction of the time. So rows that hardly reduce are not
// looked up to make room for others: they leave as they lie, chunk by chunk, and come back to an empty operator a partition at
// a time, whose groups then stay in the cache. What comes after them is set aside from the first row on (ASIDE). Whether
// rows reduce, a sample of their hashes says each time, so that data that changes is followed: a memory's worth of rows
// decides for the next one.
//
// Rows are packed as the backlog has them, by configuration and seed alone. Not where texts are keys: their ids are the
// operator's own, and are worked off as ever.

import { Abi, Batch } from "../abi/layout";
import { AggregateFlag } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { groupsHaveTexts, groupsRowTags, groupsToHash } from "../group/groups";
import { Tier } from "../group/state";
import { fail, failMemory } from "../memory/context";
import {
  BACKLOG_PARTITIONS,
  HEADER,
  PARTITION,
  applyChunk,
  backlogIsOpen,
  backlogOf,
  backlogRows,
  backlogSettle,
  chunkLength,
  createBacklog,
  mayBeSetAside,
  packKeys,
} from "./aggregate-backlog";
import { rangesClose } from "./aggregate-ranges";
import { aggregationOf, groupsOf } from "./aggregation";

const ROWS: u32 = Abi.VECTOR_ROWS;
/** Rows leave where more than one in so many would become a group: a row takes half of the bytes of a group's state. */
const FEW_ROWS: u32 = 3;
/** To tell, about so many rows are looked at: all with some of the hashes, in every 64th partition. */
const SAMPLE_ROWS: u32 = 4096;
const SAMPLE_FIRST: u32 = 32;
const SAMPLE_STEP: u32 = 64;

/** Whether rows of this operator leave rather than wait for memory that is not there. */
export function rowsLeave(operator: usize): bool {
  const self = aggregationOf(operator);
  return (self.flags & <u32>AggregateFlag.LEAVES) != 0 && !groupsHaveTexts(groupsOf(self));
}

/** Whether rows that wait hardly reduce, by a sample of them and, where any were worked off, by the last of those. */
export function isWorthwhile(operator: usize): bool {
  const backlog = backlogOf(operator);
  return min(backlog.share, sampleShare(operator)) * FEW_ROWS >= 256;
}

/** The same as of when there were half as many rows, or more; rows that are all set aside leave in any case. */
export function rowsMayLeave(operator: usize): bool {
  const flags = aggregationOf(operator).flags;
  if (!rowsLeave(operator) || (flags & <u32>AggregateFlag.SAVES) != 0) return false;
  if (flags & <u32>AggregateFlag.ASIDE) return true;
  const backlog = backlogOf(operator);
  if (backlog.rows < backlog.judged || backlog.rows >= backlog.judged << 1) {
    backlog.judged = backlog.rows;
    backlog.worthwhile = isWorthwhile(operator) ? 1 : 0;
  }
  return backlog.worthwhile != 0;
}

/**
 * Keys among 256 of the rows that wait, about: bits that their hashes set in a table with room for many more. 0 where most
 * rows are of a few keys, which lie in few partitions.
 */
function sampleShare(operator: usize): u32 {
  const groups = groupsOf(aggregationOf(operator));
  const backlog = backlogOf(operator);
  const bits = backlog.places;
  memory.fill(bits, 0, (<usize>ROWS) << 2);
  let mask: u32 = 0;
  while (mask < 255 && backlog.rows / SAMPLE_STEP > SAMPLE_ROWS * (mask + 1)) mask = (mask << 1) | 1;
  let rows: u32 = 0;
  let keys: u32 = 0;
  let all: u32 = 0;
  for (let top = SAMPLE_FIRST; top < BACKLOG_PARTITIONS; top += SAMPLE_STEP) {
    const partition = backlog.partitions + <usize>top * PARTITION;
    all += load<u32>(partition, 12);
    for (let chunk: usize = load<u32>(partition); chunk != 0; chunk = load<u32>(chunk)) {
      const count = chunkLength(backlog, partition, chunk);
      packKeys(backlog, groups.packed, chunk + HEADER, count);
      const tags = groupsRowTags(groups, groups.packed, count);
      for (let row: u32 = 0; row < count; row++) {
        const tag = load<u32>(tags + ((<usize>row) << 2));
        if (((tag >> 16) & mask) != 0) continue;
        const byte = bits + <usize>((tag & 0xffff) >> 3);
        const known = load<u8>(byte);
        const bit = (<u8>1) << (<u8>(tag & 7));
        keys += <u32>((known & bit) == 0);
        rows++;
        store<u8>(byte, known | bit);
      }
    }
  }
  if (backlog.rows >= SAMPLE_ROWS && all * 4 < backlog.rows / SAMPLE_STEP) return 0;
  return rows == 0 ? 256 : (keys << 8) / rows;
}

/** Whether rows wait that leave. */
export function rowsHeld(operator: usize): bool {
  return rowsLeave(operator) && backlogRows(operator) != 0;
}

/**
 * Tells `out` of the next rows that leave, those of a chunk, from the `first` on; false when there are none any more. They
 * stay where they are until the operator goes on, and so does what it holds. Takes no memory.
 */
export function rowsOut(operator: usize, out: usize, first: bool): bool {
  const backlog = backlogOf(operator);
  if (first) {
    backlog.top = 0;
    backlog.chunk = load<u32>(backlog.partitions);
    backlog.worthwhile = isWorthwhile(operator) ? 1 : 0;
  }
  while (backlog.chunk == 0) {
    if (++backlog.top == BACKLOG_PARTITIONS) return false;
    backlog.chunk = load<u32>(backlog.partitions + <usize>backlog.top * PARTITION);
  }
  const chunk = backlog.chunk;
  const partition = backlog.partitions + <usize>backlog.top * PARTITION;
  store<u32>(out, chunkLength(backlog, partition, chunk), <usize>Batch.ROWS);
  store<u32>(out, backlog.width, <usize>Batch.COLUMNS);
  store<u32>(out, <u32>(chunk + HEADER), <usize>Batch.DESCRIPTORS);
  store<u32>(out, backlog.worthwhile, <usize>Batch.SECTION);
  store<u32>(out, backlog.top, <usize>Batch.PARTITION);
  backlog.chunk = load<u32>(chunk);
  return true;
}

/** Bytes of a row. */
export function rowsWidth(operator: usize): u32 {
  return backlogOf(operator).width;
}

/** Makes the operator ready for rows that come back; 0, or an error. */
export function rowsPrepare(context: usize, operator: usize): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  if (groups.keyCount == 0 || groupsHaveTexts(groups) || !mayBeSetAside(self))
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  const worked = rangesClose(context, operator);
  if (worked < 0) return worked;
  if (groups.tier != <u32>Tier.HASH && !groupsToHash(groups)) return failMemory(context, 0);
  if (groups.packing != 0) {
    const settled = backlogSettle(context, operator);
    if (settled < 0) return settled;
  }
  if (!backlogIsOpen(operator)) createBacklog(operator, false);
  return backlogIsOpen(operator) ? 0 : failMemory(context, 0);
}

/**
 * Applies rows that have left an operator like this one, all of partition `top`: each is looked up now. `here` and `waiting`
 * are about how many groups the partition, and all that are to come, will have. 0, or an error: then some rows may have been
 * applied.
 */
export function rowsIn(
  context: usize,
  operator: usize,
  rows: usize,
  count: u32,
  top: u32,
  here: u32,
  waiting: u32,
): i32 {
  const backlog = backlogOf(operator);
  const width: usize = backlog.width;
  for (let row: u32 = 0; row < count; row++) backlog.seen |= load<u32>(rows + <usize>row * width + <usize>backlog.nulls);
  for (let start: u32 = 0; start < count; start += ROWS) {
    const some = min(ROWS, count - start);
    const status = applyChunk(context, operator, top, rows + <usize>start * width - HEADER, some, here, waiting);
    if (status < 0) return status;
  }
  return 0;
}
