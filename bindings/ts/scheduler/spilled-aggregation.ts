// What an aggregation has written for want of memory, and its results.
//
// Each time it writes, its state leaves partition by partition (by the hash of the keys), each a state of its own. At the
// end the states of one partition, which hold all that there is of its keys, are merged into an empty operator, and its
// results leave; then those of the next. Several partitions are merged together as far as memory should do for them, and
// one by one when it does not. States merge to the same bits in whatever pieces, so the results are those of memory.
//
// Headers (one row each) stay in memory, sections go to a file each.

import type { Operator, PartitionedState, StateBatch } from "../kernel/index.js";
import { END_OF_INPUT } from "../kernel/index.js";
import type { Extent, SpillFile } from "../spill/index.js";
import type { BatchData } from "../type/column.js";
import { MemoryLimitError } from "../type/error.js";
import type { Relief } from "./relief.js";
import { owned } from "./rows.js";
import { atWork, drainAsFits } from "./step.js";

/** Partitions, by the groups of the state that leaves first: so few that a batch of each is worth writing. */
const PARTS = [
  { groups: 2 ** 20, parts: 256 },
  { groups: 2 ** 14, parts: 64 },
  { groups: 0, parts: 16 },
] as const;
/** Rows of a batch of state: what it takes in memory on its way out comes out of what is kept aside. */
const STATE_ROWS = 8192;
/** What merging states takes, in bytes of their files: slots, and arrays that have grown by half or double. */
const MERGE_FACTOR = 3;
const ROW_BYTES = 24;
/** What of the free memory partitions may take: steps behind the aggregation need some of it. */
const ROOM_SHARE = 0.5;

interface Piece {
  readonly header: StateBatch;
  readonly batches: { readonly section: number; readonly extent: Extent }[];
}

interface Part {
  readonly pieces: Piece[];
  bytes: number;
}

export class SpilledAggregation {
  readonly #relief: Relief;
  readonly #create: () => Operator;
  /** One a section. */
  readonly #files: (SpillFile | undefined)[] = [];
  #parts: Part[] = [];
  /** States that were written. */
  runs = 0;

  /** @param create makes an empty operator like those that are written */
  constructor(relief: Relief, create: () => Operator) {
    this.#relief = relief;
    this.#create = create;
  }

  /**
   * Writes all that the operator holds, and destroys it. Yields after each batch. When it throws, the operator is as it
   * was, and nothing of this time counts as written: it may be tried again, also after more rows.
   */
  *write(operator: Operator): Generator<void> {
    if (this.#parts.length === 0) {
      const { groups } = operator.stats();
      const length = PARTS.find((choice) => groups >= choice.groups)!.parts;
      this.#parts = Array.from({ length }, () => ({ pieces: [], bytes: 0 }));
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
    this.runs += 1;
    operator.destroy();
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
        bytes += this.#parts[to]!.bytes;
        if (bytes > room && to > from) break;
      }
      yield* this.#round(from, to, batchRows);
      from = to;
    }
    for (const file of this.#files) if (file !== undefined) this.#relief.drop(file);
  }

  /** Results of partitions from `from` to `to`, together or, where memory does not do, each half by itself. */
  *#round(from: number, to: number, batchRows: number): Generator<BatchData> {
    if (this.#parts.slice(from, to).every(({ pieces }) => pieces.length === 0)) return;
    const operator = this.#create();
    let isShort = false;
    try {
      try {
        for (const part of this.#parts.slice(from, to)) yield* this.#merge(operator, part);
        operator.watermark(END_OF_INPUT);
      } catch (error) {
        if (!(error instanceof MemoryLimitError)) throw error;
        if (to - from === 1 && !(yield* atWork(this.#relief.relieve(), operator.output))) throw error;
        isShort = true;
      }
      if (!isShort) isShort = yield* results(operator, batchRows, to - from > 1);
    } finally {
      operator.destroy();
    }
    if (!isShort) return;
    const middle = (from + to + 1) >> 1;
    yield* this.#round(from, middle, batchRows);
    if (middle < to) yield* this.#round(middle, to, batchRows);
  }

  *#merge(operator: Operator, { pieces }: Part): Generator<BatchData> {
    for (const { header, batches } of pieces) {
      operator.merge(header);
      for (const { section, extent } of batches) {
        operator.merge({ ...this.#files[section]!.read(extent), section });
        yield { schema: operator.output, length: 0, columns: [] };
      }
    }
  }
}

/**
 * Results of an operator whose input has ended (`drainAsFits`). Answers whether it found no memory for the first of them,
 * if there is another way then (`mayGiveUp`).
 */
export function* results(
  operator: Operator,
  batchRows: number,
  mayGiveUp: boolean,
): Generator<BatchData, boolean> {
  let isFirst = true;
  try {
    for (const batch of drainAsFits(operator, batchRows, undefined, !mayGiveUp)) {
      if (batch.length === 0) continue;
      isFirst = false;
      yield batch;
    }
    return false;
  } catch (error) {
    if (isFirst && mayGiveUp && error instanceof MemoryLimitError) return true;
    throw error;
  }
}
