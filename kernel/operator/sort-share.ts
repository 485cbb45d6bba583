// Sharing a sort: several workers each take rows into a SORT of their own, and bring them in order together.
//
//   measure   each sort learns the ranges of its columns (op_measure)
//   split     a sort without rows becomes their leader: it samples all of them and finds splitters (op_split)
//   divide    each sort divides its rows by those (op_divide_by)
//   range     a sort without rows gives the rows of some parts, of all sorts, in order (op_take_parts, then pulls)
//
// All but the second is done by whoever is free, a sort or a range at a time. Ranges one after the other are the whole.
// Rows that are equal have the same bits, so that nothing depends on which sort a row is in.
//
// Few rows, and those that a limit leaves, go into one of the sorts instead (op_combine).

import { Reason, Status } from "../abi/status";
import { insideMemory } from "../memory/bounds";
import { contextRoot, fail, failMemory } from "../memory/context";
import { regionBlock, regionCut, regionFree } from "../memory/region";
import { Course } from "../sort/course";
import { DIVISION_SIZE, Division, divisionDrop, divisionIsDone, divisionStep } from "../sort/division";
import { SortOrder } from "../sort/order";
import {
  CHUNK_ROWS,
  RowStore,
  storeAdoptTexts,
  storeAllTextBytes,
  storeAppendRows,
  storeClear,
  storeReserve,
  storeStretchBytes,
} from "../sort/row-store";
import { sorterBegin, sorterEnd, sorterIsReady, sorterReserve, sorterStep } from "../sort/sorter";
import { orderJoin, orderJoinBegin, orderJoinEnd, orderMeasure } from "../sort/split-order";
import {
  MOST_SPLIT_PARTS,
  SPLITTERS_SIZE,
  Splitters,
  packSplitters,
  pickSplitters,
  sampleRows,
  sampleStore,
  splittersBegin,
  splittersBytes,
} from "../sort/splitters";
import { Operator, handleAt } from "./operator";
import { sortMakeRoom } from "./sort";
import { LEADER_SIZE, Leader, leaderSource, leaderSplitters, partRows } from "./sort-range";
import { ALL, Sort, rowsOf, sortOf, sorterOf } from "./sort-state";

const MOST_SOURCES: u32 = 1024;

/** Whether it only takes part in what others do: then it takes nothing, and gives nothing by itself. */
export function sortIsShared(operator: usize): bool {
  const self = sortOf(operator);
  return (self.division | self.leader) != 0 || self.combining != 0;
}

/** Whether its rows lie divided: they can leave then, part by part, and nobody else reads them from there on. */
export function sortIsDivided(operator: usize): bool {
  const self = sortOf(operator);
  return self.division != 0 && divisionIsDone(changetype<Division>(self.division));
}

/** Whether it takes rows still, and could as well stop and be shared. */
function isOpen(operator: usize): bool {
  const self = sortOf(operator);
  return changetype<Operator>(operator).ended == 0 && self.state == 0 && self.leading == 0;
}

// ---- measure

/** NEED_INPUT, or BAD_ARGUMENT. */
export function sortMeasure(context: usize, operator: usize): i32 {
  if (!isOpen(operator)) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  const self = sortOf(operator);
  self.measured = max<u32>(1, orderMeasure(changetype<SortOrder>(self.order), self.rows));
  return Status.NEED_INPUT;
}

// ---- split

/** Makes a sort the leader of `count` others, whose handles are the u32 at `handles`. Rows that it has are the sample. */
export function sortSplit(context: usize, operator: usize, handles: usize, count: u32, parts: u32): i32 {
  const self = sortOf(operator);
  const isPower = parts >= 2 && parts <= MOST_SPLIT_PARTS && (parts & (parts - 1)) == 0;
  if (!isPower || count == 0 || count > MOST_SOURCES) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  if ((handles & 3) != 0 || !insideMemory(handles, count << 2))
    return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  if (self.limit != ALL || self.offset != 0 || self.carried != 0)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (!isOpen(operator)) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  for (let index: u32 = 0; index < count; index++) {
    const refused = checkSource(context, operator, load<u32>(handles + ((<usize>index) << 2)));
    if (refused < 0) return refused;
  }
  const address = regionCut(operator, LEADER_SIZE);
  const splitters = regionCut(operator, SPLITTERS_SIZE);
  const sources = regionBlock(operator, max<usize>(64, (<usize>count) << 3));
  const words = regionBlock(operator, splittersBytes(parts));
  if (address == 0 || splitters == 0 || sources == 0 || words == 0) {
    regionFree(operator, sources);
    regionFree(operator, words);
    return failMemory(context, 0);
  }
  const leader = changetype<Leader>(address);
  leader.splitters = splitters;
  leader.sources = sources;
  leader.count = count;
  for (let index: u32 = 0; index < count; index++) {
    const handle = load<u32>(handles + ((<usize>index) << 2));
    const entry = sources + ((<usize>index) << 3);
    store<u32>(entry, handle);
    store<u32>(entry, <u32>handleAt(contextRoot(context), handle), 4);
  }
  splittersBegin(changetype<Splitters>(splitters), words, parts, self.order, self.spare);
  if (!findSplitters(context, operator, self, leader)) {
    storeClear(rowsOf(self));
    storeClear(changetype<RowStore>(self.spare));
    regionFree(operator, sources);
    regionFree(operator, words);
    return failMemory(context, 0);
  }
  self.leader = address;
  return Status.NEED_INPUT;
}

/** NEED_INPUT when the operator of that handle can be a source of `operator`. */
function checkSource(context: usize, operator: usize, handle: u32): i32 {
  const source = handleAt(contextRoot(context), handle);
  if (source == 0 || source == operator) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  const head = changetype<Operator>(source);
  if (head.kind != changetype<Operator>(operator).kind) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (sortOf(source).shape != sortOf(operator).shape)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  if (head.failed || !isOpen(source)) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (sortIsShared(source)) return fail(context, Status.BUSY, Reason.NONE);
  return Status.NEED_INPUT;
}

/** Puts a sample of all sources, or the rows that are there, in order, takes every so many of them, and makes their words. */
function findSplitters(context: usize, operator: usize, self: Sort, leader: Leader): bool {
  const splitters = leaderSplitters(leader);
  splitters.given = rowsOf(self).rows == 0 ? 0 : 1;
  if (splitters.given == 0 && !takeSample(context, operator, self, leader)) return false;
  const sorter = sorterOf(self);
  if (rowsOf(self).rows != 0) {
    if (!sorterBegin(sorter, operator, self.order, self.rows, Course.NONE)) return false;
    let made = true;
    while (made && !sorterIsReady(sorter)) made = sorterStep(sorter) != 0;
    made = made && pickSplitters(context, sorter, rowsOf(self), changetype<RowStore>(self.spare), splitters.parts);
    sorterEnd(sorter);
    if (!made) return false;
  }
  storeClear(rowsOf(self));
  return joinOrders(context, operator, self, leader);
}

function takeSample(context: usize, operator: usize, self: Sort, leader: Leader): bool {
  let total: u64 = 0;
  for (let index: u32 = 0; index < leader.count; index++) {
    total += rowsOf(sortOf(leaderSource(context, leader, index))).rows;
  }
  const wanted = sampleRows(leaderSplitters(leader).parts);
  const stride = <u32>max<u64>(1, total / wanted);
  const room = 2 * wanted + 64;
  const words = regionBlock(operator, (<usize>room) << 3);
  let made = words != 0;
  for (let index: u32 = 0; index < leader.count && made; index++) {
    const source = sortOf(leaderSource(context, leader, index));
    made = sampleStore(rowsOf(self), rowsOf(source), stride, words, room);
  }
  regionFree(operator, words);
  return made;
}

/** Puts together what has been measured of the sources, as far as all of them have been. */
function joinOrders(context: usize, operator: usize, self: Sort, leader: Leader): bool {
  const order = changetype<SortOrder>(self.order);
  const splitters = leaderSplitters(leader);
  let keys: u32 = order.keyCount;
  for (let index: u32 = 0; index < leader.count; index++) {
    const address = leaderSource(context, leader, index);
    const source = sortOf(address);
    if (source.measured == 0) sortMeasure(context, address);
    if (rowsOf(source).rows != 0) keys = min(keys, source.measured);
  }
  const samples = regionBlock(operator, max<usize>(64, (<usize>keys) << 2));
  if (samples == 0) return false;
  memory.fill(samples, 0, (<usize>keys) << 2);
  orderJoinBegin(order, keys);
  for (let index: u32 = 0; index < leader.count; index++) {
    const source = sortOf(leaderSource(context, leader, index));
    if (rowsOf(source).rows != 0) orderJoin(order, changetype<SortOrder>(source.order), keys, samples);
  }
  orderJoinEnd(order, keys, rowsOf(self));
  regionFree(operator, samples);
  splitters.keys = keys;
  packSplitters(splitters);
  return true;
}

// ---- divide

/** Divides the rows by the splitters of `leading`. HAS_MORE while there is work left; after OUT_OF_MEMORY it may go on. */
export function sortDivideBy(context: usize, operator: usize, leading: usize): i32 {
  const self = sortOf(operator);
  const leader = changetype<Leader>(sortOf(leading).leader);
  if (sortOf(leading).leader == 0) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (!leads(context, leader, operator)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  // Rows that have come, or left, since would not be where the leader believes.
  if (!isOpen(operator) || self.measured == 0) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (self.combining != 0 || self.leader != 0) return fail(context, Status.BUSY, Reason.NONE);
  if (self.division == 0) {
    self.division = regionCut(operator, DIVISION_SIZE);
    if (self.division == 0) return failMemory(context, 0);
    changetype<SortOrder>(self.order).store = self.rows;
    self.parts = leaderSplitters(leader).parts;
  }
  const division = changetype<Division>(self.division);
  const made = divisionStep(division, operator, changetype<SortOrder>(self.order), leaderSplitters(leader));
  if (!made) return failMemory(context, 0);
  return divisionIsDone(division) ? Status.NEED_INPUT : Status.HAS_MORE;
}

/** Gives up what has been begun and cannot be undone, which makes it useless, or a division of which no row has moved. */
export function sortRelease(operator: usize): void {
  const self = sortOf(operator);
  if (self.combining != 0) changetype<Operator>(operator).failed = 1;
  if (self.division == 0 || !divisionDrop(changetype<Division>(self.division), operator)) return;
  self.division = 0;
  self.parts = 0;
}

function leads(context: usize, leader: Leader, operator: usize): bool {
  for (let index: u32 = 0; index < leader.count; index++) {
    if (leaderSource(context, leader, index) == operator) return true;
  }
  return false;
}

// ---- range

/** Makes a sort without rows, whose input has ended then, give the rows of parts [first, first + count). */
export function sortTakeParts(context: usize, operator: usize, leading: usize, handle: u32, first: u32, count: u32): i32 {
  const self = sortOf(operator);
  const leader = changetype<Leader>(sortOf(leading).leader);
  if (sortOf(leading).leader == 0 || self.carried != 0) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (self.shape != sortOf(leading).shape) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  const parts = leaderSplitters(leader).parts;
  if (first >= parts || count > parts - first) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  if (!isOpen(operator) || rowsOf(self).rows != 0) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (sortIsShared(operator)) return fail(context, Status.BUSY, Reason.NONE);
  let texts: u64 = 0;
  for (let index: u32 = 0; index < leader.count; index++) {
    const source = leaderSource(context, leader, index);
    if (source == 0) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
    if (!sortIsDivided(source)) return fail(context, Status.BUSY, Reason.NONE);
    texts += storeAllTextBytes(rowsOf(sortOf(source)));
  }
  let rows: u64 = 0;
  let most: u32 = 0;
  for (let part = first; part < first + count; part++) {
    const some = partRows(leader, part);
    rows += some;
    most = max(most, some);
  }
  if (rows > u32.MAX_VALUE || !storeReserve(rowsOf(self), most, 0)) return failMemory(context, 0);
  if (rows != 0 && !sorterReserve(sorterOf(self), operator, self.order, most)) return failMemory(context, 0);
  self.leading = handle;
  self.parts = parts;
  self.part = first;
  self.partEnd = first + count;
  self.textBytes = texts;
  self.left = <u32>rows;
  self.skip = 0;
  self.used = 0;
  self.state = rows == 0 ? 2 : 1;
  changetype<Operator>(operator).rowsSelected = rows;
  changetype<Operator>(operator).ended = 1;
  return Status.NEED_INPUT;
}

// ---- combine

/** Takes in some of the rows of another sort of the same configuration, which is as it was: HAS_MORE until all are in. */
export function sortCombine(context: usize, operator: usize, source: usize, handle: u32): i32 {
  const self = sortOf(operator);
  const other = sortOf(source);
  if (self.shape != other.shape) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  if (!isOpen(operator) || !isOpen(source)) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  const isBusy = (self.division | self.leader) != 0 || sortIsShared(source);
  if (isBusy || (self.combining != 0 && self.combining != handle)) return fail(context, Status.BUSY, Reason.NONE);
  const rows = rowsOf(other).rows;
  const first = min(self.combined, rows);
  const some = min(CHUNK_ROWS, rows - first);
  const bytes = storeStretchBytes(rowsOf(other), first, some);
  if (!sortMakeRoom(context, operator, some)) return failMemory(context, 0);
  if (!storeReserve(rowsOf(self), some, bytes)) return failMemory(context, 0);
  storeAppendRows(rowsOf(self), rowsOf(other), first, some);
  storeAdoptTexts(rowsOf(self), some);
  self.course = Course.NONE;
  self.measured = 0;
  const isOver = first + some == rows;
  self.combining = isOver ? 0 : handle;
  self.combined = isOver ? 0 : first + some;
  if (isOver) {
    changetype<Operator>(operator).rowsIn += changetype<Operator>(source).rowsIn;
    changetype<Operator>(operator).rowsSelected += changetype<Operator>(source).rowsSelected;
  }
  return isOver ? Status.NEED_INPUT : Status.HAS_MORE;
}
