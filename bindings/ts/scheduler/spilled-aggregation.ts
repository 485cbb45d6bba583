// What an aggregation has written for want of memory, and its results.
//
// Each time it writes, its state leaves partition by partition (by the hash of the keys), each a state of its own. At the
// end the states of one partition, which hold all that there is of its keys, are merged into an empty operator, and its
// results leave; then those of the next. Several partitions are merged together as far as memory should do for them, and
// one by one when it does not. States merge to the same bits in whatever pieces, so the results are those of memory.
//
// Headers (one row each) stay in memory, sections go to a file each.
//
// Where rows bring a new group each, or nearly, states are larger than the rows and cost more. So rows that the operator has
// set aside by their keys' hash and not looked up yet are written as they lie, and it goes on setting rows aside: those of a
// partition are looked up when all of them are there. Each time a sample says whether that is still right.

import type { Operator, PartitionedState, StateBatch } from "../kernel/index.js";
import { END_OF_INPUT } from "../kernel/index.js";
import type { Extent, SpillBytes, SpillFile } from "../spill/index.js";
import type { BatchData } from "../type/column.js";
import { MemoryLimitError } from "../type/error.js";
import type { Relief } from "./relief.js";
import { owned } from "./rows.js";
import { atWork, noRows, type Pull, pullAsFits } from "./step.js";

/** Partitions, by the groups of the state that leaves first: so few that a batch of each is worth writing. */
const PARTS = [
  { groups: 2 ** 20, parts: 256 },
  { groups: 2 ** 14, parts: 64 },
  { groups: 0, parts: 16 },
] as const;
/** Rows of a batch of state: what it takes in memory on its way out comes out of what is kept aside. */
const STATE_ROWS = 8192;
/** Partitions that rows are set aside in, which are divided among those of states. */
const ROW_PARTS = 256;
/** Rows are better set aside where there are fewer for a group: one takes half of the bytes of a state. */
const FEW_ROWS = 3;
/** Rows are read back so many bytes at a time. */
const ROWS_BYTES = 2 ** 18;
/** What merging states takes, in bytes of their files: slots, and arrays that have grown by half or double. */
const MERGE_FACTOR = 3;
const ROW_BYTES = 24;
/** What a row that was set aside takes as a group, about. */
const GROUP_BYTES = 96;
/** Rows of a partition that has more than so many times the usual number are taken to be of the same keys. */
const LARGE = 2;
/** What of the free memory partitions may take: steps behind the aggregation need some of it. */
const ROOM_SHARE = 0.5;

interface Piece {
  readonly header: StateBatch;
  readonly batches: { readonly section: number; readonly extent: Extent }[];
}

/** Rows that were set aside. */
interface Rows {
  readonly partition: number;
  readonly rows: number;
  readonly extent: Extent;
}

interface Part {
  readonly pieces: Piece[];
  bytes: number;
  readonly aside: Rows[];
  rows: number;
}

export class SpilledAggregation {
  readonly #relief: Relief;
  readonly #create: () => Operator;
  /** One a section. */
  readonly #files: (SpillFile | undefined)[] = [];
  #rows: SpillBytes | null = null;
  #rowCount = 0;
  #parts: Part[] = [];
  /** States that were written. */
  runs = 0;

  /** @param create makes an empty operator like those that are written */
  constructor(relief: Relief, create: () => Operator) {
    this.#relief = relief;
    this.#create = create;
  }

  /**
   * Writes all that the operator holds, and destroys it. Yields after each batch. Answers whether rows that come are better
   * set aside. When it throws, the operator is as it was, and nothing of this time counts as written: it may be tried again,
   * also after more rows.
   */
  *write(operator: Operator): Generator<void, boolean> {
    const { groups, rowsSelected, partitions } = operator.stats();
    let isAside = groups * FEW_ROWS >= rowsSelected;
    if (this.#parts.length === 0) {
      const isFine = partitions !== 0 || isAside;
      const length = isFine ? ROW_PARTS : PARTS.find((choice) => groups >= choice.groups)!.parts;
      this.#parts = Array.from({ length }, () => ({ pieces: [], bytes: 0, aside: [], rows: 0 }));
    }
    const before = this.#parts.map(({ pieces, bytes }) => ({ pieces: pieces.length, bytes }));
    operator.lend();
    try {
      for (const state of operator.snapshotParts(this.#parts.length, STATE_ROWS)) {
        this.#add(state);
        yield;
      }
    } catch (error) {
      for (const [at, part] of this.#parts.entries()) {
        part.pieces.length = before[at]!.pieces;
        part.bytes = before[at]!.bytes;
      }
      throw error;
    }
    // Takes no memory: nothing but the disk, which ends the run, can fail here.
    isAside = (yield* this.#writeRows(operator)) ?? isAside;
    this.runs += 1;
    operator.destroy();
    return isAside;
  }

  /** Writes the rows that the operator has set aside; answers whether they hardly reduce, null where there are none. */
  *#writeRows(operator: Operator): Generator<void, boolean | null> {
    let isAside: boolean | null = null;
    let last = -1;
    for (const { rows, bytes, partition, reduces } of operator.rowsOut()) {
      this.#rows ??= this.#relief.bytes();
      const part = this.#parts[Math.floor((partition * this.#parts.length) / ROW_PARTS)]!;
      const before = partition === last ? part.aside.at(-1)! : null;
      if (before !== null && before.extent.bytes + bytes.length <= ROWS_BYTES) {
        const extent = this.#rows.append(bytes, before.extent);
        part.aside[part.aside.length - 1] = { partition, rows: before.rows + rows, extent };
      } else {
        part.aside.push({ partition, rows, extent: this.#rows.append(bytes) });
        yield;
      }
      part.rows += rows;
      this.#rowCount += rows;
      last = partition;
      isAside = !reduces;
    }
    return isAside;
  }

  #add(state: PartitionedState): void {
    const part = this.#parts[state.partition]!;
    const { section } = state;
    if (section === 0) {
      part.pieces.push({ header: owned(state), batches: [] });
      return;
    }
    this.#files[section] ??= this.#relief.file(state.schema);
    const extent = this.#files[section]!.append(state);
    part.pieces.at(-1)!.batches.push({ section, extent });
    part.bytes += extent.bytes * MERGE_FACTOR + state.length * ROW_BYTES;
  }

  /** The results of all that was written. Yields an empty batch after each that was read. */
  *results(batchRows: number): Generator<BatchData> {
    for (let from = 0; from < this.#parts.length; ) {
      const room = this.#relief.kernel.freeBytes * ROOM_SHARE;
      let to = from;
      for (let bytes = 0; to < this.#parts.length; to++) {
        bytes += this.#parts[to]!.bytes + this.#groups(this.#parts[to]!) * GROUP_BYTES;
        if (bytes > room && to > from) break;
      }
      yield* this.#round(from, to, batchRows);
      from = to;
    }
    for (const file of [...this.#files, this.#rows]) if (file) this.#relief.drop(file);
  }

  /** Groups that a partition's rows become, at most unless its hashes are skewed. */
  #groups({ rows }: Part): number {
    return Math.min(rows, Math.ceil((this.#rowCount * LARGE) / this.#parts.length));
  }

  /** Results of partitions from `from` to `to`, together or, where memory does not do, each half by itself. */
  *#round(from: number, to: number, batchRows: number): Generator<BatchData> {
    const parts = this.#parts.slice(from, to);
    if (parts.every(({ pieces, rows }) => pieces.length === 0 && rows === 0)) return;
    const operator = this.#create();
    let isShort = false;
    try {
      try {
        yield* this.#apply(operator, parts);
        for (const part of parts) yield* this.#merge(operator, part);
        operator.watermark(END_OF_INPUT);
      } catch (error) {
        if (!(error instanceof MemoryLimitError)) throw error;
        if (to - from === 1 && !(yield* atWork(this.#relief.relieve(), operator.output))) throw error;
        isShort = true;
      }
      const pull = (rows: number) => operator.tryPull(rows);
      if (!isShort) isShort = yield* results(pull, batchRows, to - from > 1);
    } finally {
      operator.destroy();
    }
    if (!isShort) return;
    const middle = (from + to + 1) >> 1;
    yield* this.#round(from, middle, batchRows);
    if (middle < to) yield* this.#round(middle, to, batchRows);
  }

  /** Looks up the rows of some partitions that were set aside. */
  *#apply(operator: Operator, parts: readonly Part[]): Generator<BatchData> {
    const { kernel } = this.#relief;
    let waiting = parts.reduce((sum, part) => sum + this.#groups(part), 0);
    if (waiting === 0) return;
    const room = kernel.allocate(ROWS_BYTES);
    try {
      for (const part of parts) {
        const groups = this.#groups(part);
        let left = groups;
        for (const { partition, rows, extent } of part.aside) {
          this.#rows!.read(extent, kernel.memory.bytes.subarray(room, room + extent.bytes));
          const here = Math.ceil((left * this.#parts.length) / ROW_PARTS);
          operator.rowsIn(room, rows, partition, here, waiting - groups + left);
          left = Math.max(0, left - rows);
          yield noRows(operator.output);
        }
        waiting -= groups;
      }
    } finally {
      kernel.free(room);
    }
  }

  *#merge(operator: Operator, { pieces }: Part): Generator<BatchData> {
    for (const { header, batches } of pieces) {
      operator.merge(header);
      for (const { section, extent } of batches) {
        operator.merge({ ...this.#files[section]!.read(extent), section });
        yield noRows(operator.output);
      }
    }
  }
}

/**
 * Results of an operator whose input has ended (`pullAsFits`). Answers whether it found no memory for the first of them,
 * if there is another way then (`mayGiveUp`).
 */
export function* results<B>(pull: Pull<B>, batchRows: number, mayGiveUp: boolean): Generator<B, boolean> {
  let isFirst = true;
  try {
    for (const batch of pullAsFits(pull, batchRows, !mayGiveUp)) {
      if (batch === null) continue;
      isFirst = false;
      yield batch;
    }
    return false;
  } catch (error) {
    if (isFirst && mayGiveUp && error instanceof MemoryLimitError) return true;
    throw error;
  }
}
