// Rows that a sort has written range by range of its order.
//
// Rows of the first run say where ranges begin. A sort that is to be written divides its rows by them, as sorts do that are
// shared (kernel/operator/sort-share.ts), and they leave range by range, as they lie. At the end ranges that lie next to each
// other are read into an empty sort, as many as should fit, and leave in order. So a row is put in order once, where runs
// that are merged by sorting (sorted-runs.ts) cost that twice: 10 million rows of 16 bytes with a quarter of the memory
// took 1.3 times as long by those.
//
// Later rows may lie elsewhere than the first did, and ranges may get larger than memory. Then what has been written
// becomes runs, range by range.

import { END_OF_INPUT, type Operator, Stage } from "../kernel/index.js";
import type { SpillFile } from "../spill/index.js";
import type { BatchData } from "../type/column.js";
import { MemoryLimitError } from "../type/error.js";
import type { Relief } from "./relief.js";
import { concatBatches, sliceRows } from "./rows.js";
import { type RowSize, rowSize, type SortedColumns, sortOperatorFor } from "./sort.js";
import {
  type BatchLimits,
  bytesToSort,
  type Piece,
  roomToSort,
  type SortedRun,
  type SortedRuns,
  type Stored,
} from "./sorted-runs.js";
import { atWork, drainAsFits, noRows, pullAsFits } from "./step.js";

const LEAST_RANGES = 4;
/** What the kernel divides rows into at most. */
const MOST_RANGES = 1024;
/** What of the budget the rows of a range may take at most, while they are sorted, for later ones to be divided as well. */
const RANGE_SHARE = 1 / 2;
/** Rows of a written batch, in times those of a run's: ranges of the first run have so many at most. */
const BATCHES = 2;

/** A batch of rows of one range. */
interface RangePiece extends Stored {
  readonly range: number;
}

/** A range, and how many of its first rows have left. */
interface Place {
  readonly range: number;
  readonly given: number;
}

export class SpilledRanges {
  readonly #relief: Relief;
  readonly #sorted: SortedColumns;
  readonly #size: RowSize;
  readonly #stage: Stage;
  readonly #count: number;
  /** The least row of each range but the first. */
  readonly #splitters: BatchData;
  /** The first run. */
  readonly #first: readonly (Piece & RangePiece)[];
  /** Rows that were divided, each time some were written. */
  readonly #divided: RangePiece[][] = [];

  /** Ranges of about as many rows of the first run each; null where it has few batches. */
  static of(relief: Relief, sorted: SortedColumns, run: SortedRun): SpilledRanges | null {
    const count = Math.min(MOST_RANGES, 2 ** Math.floor(Math.log2(run.length)));
    return count < LEAST_RANGES ? null : new SpilledRanges(relief, sorted, run, count);
  }

  private constructor(relief: Relief, sorted: SortedColumns, run: SortedRun, count: number) {
    this.#relief = relief;
    this.#sorted = sorted;
    this.#size = rowSize(sorted.schema);
    this.#stage = new Stage(relief.kernel);
    this.#count = count;
    this.#first = run.map((piece, index) => ({
      ...piece,
      range: Math.floor((index * count) / run.length),
    }));
    const least = this.#first.filter(
      ({ range }, index) => index > 0 && range > this.#first[index - 1]!.range,
    );
    this.#splitters = concatBatches(
      sorted.schema,
      least.map(({ bounds }) => sliceRows(bounds, 0, 1)),
    );
  }

  /** All batches by range. */
  get #pieces(): RangePiece[][] {
    return byRange([...this.#first, ...this.#divided.flat()], this.#count);
  }

  #bytesOf(pieces: readonly RangePiece[]): number {
    return pieces.reduce((sum, piece) => sum + bytesToSort(this.#size, piece), 0);
  }

  /** Whether there are too few for what has been written. */
  get areFew(): boolean {
    const most = this.#relief.kernel.budgetBytes * RANGE_SHARE;
    return this.#pieces.some((pieces) => this.#bytesOf(pieces) > most);
  }

  /**
   * Writes all rows of a sort, whose input has not ended. Yields after each batch.
   * Answers false, and the sort is as it was, where there is no memory to divide them.
   */
  *write(operator: Operator, file: SpillFile, limits: BatchLimits): Generator<void, boolean> {
    if (!(yield* this.#divide(operator))) return false;
    operator.watermark(END_OF_INPUT);
    operator.lend();
    const pieces: RangePiece[] = [];
    this.#divided.push(pieces);
    const pull = (rows: number) => operator.tryPullPart(rows, limits.bytes);
    for (const batch of pullAsFits(pull, limits.rows * BATCHES, true)) {
      if (batch !== null) {
        const { partition: range, length: rows } = batch;
        pieces.push({ range, file, extent: file.append(batch), rows });
      }
      yield;
    }
    return true;
  }

  *#divide(operator: Operator): Generator<void, boolean> {
    const opened: Operator[] = [];
    // The leader's rows divide the others'; words that tell them apart must do for both.
    const open = () => {
      const made = sortOperatorFor(this.#relief.kernel, this.#sorted);
      opened.push(made);
      made.push(this.#stage.batch(this.#splitters), 0, this.#splitters.length);
      return made;
    };
    try {
      const leader = open();
      leader.split([operator, open()], this.#count);
      while (!operator.divideBy(leader)) yield;
      return true;
    } catch (error) {
      if (!(error instanceof MemoryLimitError)) throw error;
      operator.release();
      return false;
    } finally {
      for (const made of opened) made.destroy();
    }
  }

  /**
   * All rows in order. Yields an empty batch after each that was read.
   * @param file for rows that are written again
   * @param runs rows that were written in order, as ranges did not do; takes what does not leave by range
   */
  *results(batchRows: number, file: SpillFile, runs: SortedRuns): Generator<BatchData> {
    let left: Place = { range: 0, given: 0 };
    if (runs.isEmpty) left = yield* this.#give(this.#pieces, left, batchRows, false);
    if (left.range < this.#count) yield* this.#giveRuns(left, batchRows, file, runs);
  }

  /**
   * The rows of ranges in order, from a place on, as many ranges at a time as should fit. Answers the place from which on
   * they do not.
   * @param isLast whether there is no other way: it goes on then, or throws. Batches are valid until the next one only.
   */
  *#give(
    pieces: readonly (readonly RangePiece[])[],
    { range, given }: Place,
    batchRows: number,
    isLast: boolean,
  ): Generator<BatchData, Place> {
    for (let share = 1; range < this.#count; ) {
      const fitting = this.#endOf(pieces, range, roomToSort(this.#relief.kernel) * share);
      const end = isLast ? Math.max(fitting, range + 1) : fitting;
      if (end === range) break;
      try {
        for (const batch of withoutFirst(
          given,
          this.#inOrder(pieces.slice(range, end).flat(), batchRows, isLast),
        )) {
          given += batch.length;
          yield batch;
        }
        [range, given] = [end, 0];
      } catch (error) {
        if (!(error instanceof MemoryLimitError)) throw error;
        const isLeast = isLast && end === range + 1;
        if (isLeast && !(yield* atWork(this.#relief.relieve(), this.#sorted.schema))) throw error;
        share /= 2;
        for (; range < end && given >= rowsOf(pieces[range]!); range++) given -= rowsOf(pieces[range]!);
      }
    }
    return { range, given };
  }

  /** The end of the ranges from `first` on that fit `room`. */
  #endOf(pieces: readonly (readonly RangePiece[])[], first: number, room: number): number {
    const most = Math.min(this.#count, first + (this.#relief.faults.ranges ?? this.#count));
    let end = first;
    for (let bytes = 0; end < most; end++) {
      bytes += this.#bytesOf(pieces[end]!);
      if (bytes > room) break;
    }
    return end;
  }

  /** @param isLent whether a batch need be valid until the next one only */
  *#inOrder(pieces: readonly RangePiece[], batchRows: number, isLent: boolean): Generator<BatchData> {
    const { schema } = this.#sorted;
    const operator = sortOperatorFor(this.#relief.kernel, this.#sorted);
    try {
      for (const { file, extent, rows } of pieces) {
        operator.push(this.#stage.batch(file.read(extent)), 0, rows);
        yield noRows(schema);
      }
      operator.watermark(END_OF_INPUT);
      if (isLent) operator.lend();
      yield* drainAsFits(operator, batchRows);
    } finally {
      operator.destroy();
    }
  }

  /** All rows from a place on, as runs. */
  *#giveRuns(
    { range: first, given }: Place,
    batchRows: number,
    file: SpillFile,
    runs: SortedRuns,
  ): Generator<BatchData> {
    runs.add(this.#first.filter(({ range }) => range >= first));
    for (const pieces of this.#divided) {
      const rows = this.#give(
        byRange(pieces, this.#count),
        { range: first, given: 0 },
        runs.limits.rows,
        true,
      );
      runs.add(yield* atWork(runs.write(file, rows), this.#sorted.schema));
    }
    yield* withoutFirst(given, runs.results(batchRows));
  }

  /** Gives the kernel's memory back. */
  free(): void {
    this.#stage.free();
  }
}

function byRange(pieces: readonly RangePiece[], count: number): RangePiece[][] {
  const ranges: RangePiece[][] = Array.from({ length: count }, () => []);
  for (const piece of pieces) ranges[piece.range]!.push(piece);
  return ranges;
}

function rowsOf(pieces: readonly RangePiece[]): number {
  return pieces.reduce((sum, { rows }) => sum + rows, 0);
}

/** Batches without their first `rows` rows. */
function* withoutFirst(rows: number, batches: Iterable<BatchData>): Generator<BatchData> {
  let skip = rows;
  for (const batch of batches) {
    const start = Math.min(skip, batch.length);
    skip -= start;
    yield sliceRows(batch, start, batch.length);
  }
}
