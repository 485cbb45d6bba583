// Rows that were written in order, run by run, and the order of them all.
//
// A run lies in a file in batches. The order of all rows is made stretch by stretch. The first and last rows of all
// batches stay in the host's memory, and are sorted first: that tells which batches a stretch needs. Rows up to a batch's
// last row S lie in batches whose first row does not come after S. These are read into an empty sort, as many as memory
// should do for, and its rows leave up to S; what a batch has beyond S is read again for the next stretch. So one kernel
// does it all, by its own rules for ties, nulls and NaN; input that came nearly in order is read once, however many runs it
// is; and rows that are equal in every column keep their order, as runs are pushed in the order in which they were written.
//
// Where memory does not do for a batch of each run, neighbours are merged to longer runs before, as many as fit.

import { Abi } from "../../../kernel/abi/layout.js";
import { END_OF_INPUT, type Kernel, type Operator, Stage } from "../kernel/index.js";
import type { Extent, SpillFile } from "../spill/index.js";
import type { BatchData } from "../type/column.js";
import { MemoryLimitError } from "../type/error.js";
import type { Relief } from "./relief.js";
import { concatBatches, sliceRows } from "./rows.js";
import {
  numbered,
  numbersIn,
  type RowSize,
  rowSize,
  type SortedColumns,
  sortOperatorFor,
  TABLE_BYTES,
  withNumbers,
} from "./sort.js";
import { atWork, drainAsFits, noRows, pullAsFits, pullOf } from "./step.js";

/** What of the free memory a stretch leaves, at most: steps behind the sort need some of it. */
const LEFT_SHARE = 0.5;
const LEFT_BYTES = 2 ** 24;
/** Batches whose first and last rows are pushed together. */
const BOUNDS = 1024;

/** A batch that was written. */
export interface Stored {
  readonly file: SpillFile;
  readonly extent: Extent;
  readonly rows: number;
}

/** A batch of a run. */
export interface Piece extends Stored {
  /** Its first and its last row. */
  readonly bounds: BatchData;
  /** Rows that have left. */
  done: number;
}

export type SortedRun = readonly Piece[];

/** Most rows of a written batch, and most bytes of its texts. */
export interface BatchLimits {
  readonly rows: number;
  readonly bytes: number;
}

/** The batches, by number, that hold all rows up to the last one of batch `last` which have not left. */
interface Stretch {
  readonly needed: readonly number[];
  readonly last: number;
  /** The bound after those that it covers. */
  readonly end: number;
  /** Whether there is no shorter one. */
  readonly isLeast: boolean;
}

export class SortedRuns {
  readonly #kernel: Kernel;
  readonly #relief: Relief;
  readonly #sorted: SortedColumns;
  /** The same with the number of the batch that a row comes from. */
  readonly #numbered: SortedColumns;
  readonly #size: RowSize;
  readonly limits: BatchLimits;
  readonly #stage: Stage;
  /** The numbers of the rows of one batch. */
  #numbers = new Uint32Array(0);
  readonly #runs: SortedRun[] = [];

  /** @param limits those of batches that are written where runs become longer ones */
  constructor(relief: Relief, sorted: SortedColumns, limits: BatchLimits) {
    this.#kernel = relief.kernel;
    this.#relief = relief;
    this.#sorted = sorted;
    this.#numbered = numbered(sorted);
    this.#size = rowSize(this.#numbered.schema);
    this.limits = limits;
    this.#stage = new Stage(relief.kernel);
  }

  get isEmpty(): boolean {
    return this.#runs.length === 0;
  }

  /** Another run, whose rows come after all before it where the order does not tell. */
  add(run: SortedRun): void {
    this.#runs.push(run);
  }

  /** Writes batches in order as a run. Yields after each. */
  *write(file: SpillFile, batches: Iterable<BatchData>): Generator<void, SortedRun> {
    const pieces: Piece[] = [];
    for (const batch of batches) {
      if (batch.length > 0) {
        const extent = file.append(batch);
        pieces.push({ file, extent, rows: batch.length, bounds: boundsOf(batch), done: 0 });
      }
      yield;
    }
    return pieces;
  }

  /** All rows in order. Yields an empty batch after each that was read. */
  *results(batchRows: number): Generator<BatchData> {
    yield* this.#merged(this.#runs, batchRows);
    this.free();
  }

  *#merged(all: readonly SortedRun[], batchRows: number): Generator<BatchData> {
    let runs = all;
    for (let most = this.#runsThatFit(); ; ) {
      if (runs.length > most) runs = yield* this.#fewer(runs, most);
      try {
        yield* this.#merge(runs, batchRows);
        break;
      } catch (error) {
        if (!(error instanceof MemoryLimitError) || runs.length <= 2) throw error;
        most = Math.max(2, runs.length >> 1);
      }
    }
    const given = filesOf(this.#runs);
    for (const file of filesOf(runs)) if (!given.has(file)) this.#relief.drop(file);
  }

  /** Runs of which memory should do for two batches each; two at least. */
  #runsThatFit(): number {
    const { rowBytes, hasTexts } = this.#size;
    const bytes = this.limits.rows * rowBytes + (hasTexts ? this.limits.bytes : 0);
    return Math.max(2, Math.floor(roomToSort(this.#kernel) / (2 * bytes)));
  }

  /** Merges neighbours, `most` at a time, to longer runs, until there are no more than that. */
  *#fewer(runs: readonly SortedRun[], most: number): Generator<BatchData, readonly SortedRun[]> {
    const { schema } = this.#sorted;
    const longer: SortedRun[] = [];
    for (let at = 0; at < runs.length; at += most) {
      const some = runs.slice(at, at + most);
      if (some.length === 1) longer.push(some[0]!);
      else {
        const merged = this.write(this.#relief.file(schema), this.#merged(some, this.limits.rows));
        longer.push(yield* atWork(merged, schema));
      }
    }
    return longer.length > most ? yield* this.#fewer(longer, most) : longer;
  }

  /**
   * @throws MemoryLimitError where memory does not do for a batch of each run: fewer of them can go on from there, as
   * each batch knows how many of its rows have left
   */
  *#merge(runs: readonly SortedRun[], batchRows: number): Generator<BatchData> {
    const pieces = runs.flat();
    const runOf = runs.flatMap((run, number) => run.map(() => number));
    if (runs.length <= 1) {
      yield* this.#read(pieces, batchRows);
      return;
    }
    const bounds = yield* this.#order(pieces);
    let open: readonly number[] = [];
    let share = 1;
    for (let at = 0; ; ) {
      const stretch = this.#stretch(pieces, bounds, at, open, roomToSort(this.#kernel) * share);
      if (stretch === null) return;
      const needed = stretch.needed.map((number) => pieces[number]!);
      try {
        const isOneRun = stretch.needed.every((number) => runOf[number] === runOf[stretch.last]);
        if (isOneRun) yield* this.#read(needed, batchRows);
        else yield* this.#give(needed, pieces[stretch.last]!, batchRows);
        at = stretch.end;
        open = stretch.needed;
      } catch (error) {
        if (!(error instanceof MemoryLimitError)) throw error;
        share /= 2;
        const { schema } = this.#sorted;
        if (stretch.isLeast && !(yield* atWork(this.#relief.relieve(), schema))) throw error;
      }
      open = open.filter((number) => pieces[number]!.done < pieces[number]!.rows);
    }
  }

  /** Rows that are in order as they lie. */
  *#read(pieces: readonly Piece[], batchRows: number): Generator<BatchData> {
    for (const piece of pieces) {
      if (piece.done === piece.rows) continue;
      const batch = piece.file.take(piece.extent);
      while (piece.done < piece.rows) {
        const start = piece.done;
        piece.done = Math.min(piece.rows, start + batchRows);
        yield sliceRows(batch, start, piece.done);
      }
    }
  }

  /** The bounds of all batches in order: twice the number of a batch, and one more for its last row. */
  *#order(pieces: readonly Piece[]): Generator<BatchData, Uint32Array> {
    const { schema } = this.#sorted;
    const operator = this.#open();
    const order = new Uint32Array(pieces.length * 2);
    try {
      for (let from = 0; from < pieces.length; from += BOUNDS) {
        const some = pieces.slice(from, from + BOUNDS).map(({ bounds }) => bounds);
        const numbers = Uint32Array.from({ length: some.length * 2 }, (_, row) => from * 2 + row);
        this.#push(operator, concatBatches(schema, some), numbers, 0);
        yield this.#nothing;
      }
      operator.watermark(END_OF_INPUT);
      let at = 0;
      for (const batch of drainAsFits(operator, Abi.MORSEL_ROWS)) {
        if (batch.length > 0) order.set(numbersIn(batch.columns.at(-1)!), at);
        at += batch.length;
        yield this.#nothing;
      }
    } finally {
      operator.destroy();
    }
    return order;
  }

  /**
   * The longest stretch from bound `from` on that should fit, or the shortest; null when all rows have left.
   * @param open batches whose first row comes before that bound, and that have rows left
   */
  #stretch(
    pieces: readonly Piece[],
    bounds: Uint32Array,
    from: number,
    open: readonly number[],
    room: number,
  ): Stretch | null {
    const needed = [...open];
    let bytes = needed.reduce((sum, number) => sum + this.#bytesOf(pieces[number]!), 0);
    let [last, end, count, width] = [-1, from, 0, 0];
    for (let at = from; at < bounds.length && (count === 0 || bytes <= room); at++) {
      const number = bounds[at]! >> 1;
      const piece = pieces[number]!;
      if (piece.done === piece.rows) continue;
      if ((bounds[at]! & 1) === 0) {
        needed.push(number);
        bytes += this.#bytesOf(piece);
      } else {
        [last, end, width] = [number, at + 1, needed.length];
        count++;
      }
    }
    if (count === 0) return null;
    const inTurn = needed.slice(0, width).sort((a, b) => a - b);
    return { needed: inTurn, last, end, isLeast: count === 1 };
  }

  #bytesOf(piece: Piece): number {
    return bytesToSort(this.#size, piece, piece.rows - piece.done);
  }

  /** The rows of some batches up to the last one of `last`, in order. */
  *#give(pieces: readonly Piece[], last: Piece, batchRows: number): Generator<BatchData> {
    const { schema } = this.#sorted;
    const operator = this.#open();
    try {
      for (const [number, piece] of pieces.entries()) {
        const batch = piece.file.read(piece.extent);
        if (piece.rows > this.#numbers.length) this.#numbers = new Uint32Array(piece.rows);
        this.#push(operator, batch, this.#numbers.subarray(0, piece.rows).fill(number), piece.done);
        yield this.#nothing;
      }
      operator.watermark(END_OF_INPUT);
      // Who has had a batch needs no numbers, nor rows beyond the stretch: only what is given leaves the kernel's memory.
      const pull = pullOf(operator, (given) => given.takenResident());
      for (const batch of pullAsFits(pull, batchRows, true)) {
        if (batch === null) {
          yield this.#nothing;
          continue;
        }
        const end = this.#count(pieces, last, numbersIn(batch.view(schema.fields.length)!));
        yield batch.leading(schema, end);
        if (last.done === last.rows) return;
      }
    } finally {
      operator.destroy();
    }
  }

  /** Counts rows, whose batches' numbers these are, as gone, up to the last one of `last`; answers how many they are. */
  #count(pieces: readonly Piece[], last: Piece, numbers: Uint32Array): number {
    const counts = new Uint32Array(pieces.length);
    const ending = pieces.indexOf(last);
    let left = last.rows - last.done;
    let end = 0;
    for (; end < numbers.length && left > 0; end++) {
      const number = numbers[end]!;
      counts[number]!++;
      if (number === ending) left--;
    }
    for (const [number, piece] of pieces.entries()) piece.done += counts[number]!;
    return end;
  }

  #open(): Operator {
    return sortOperatorFor(this.#kernel, this.#numbered);
  }

  #push(operator: Operator, batch: BatchData, numbers: Uint32Array<ArrayBuffer>, start: number): void {
    const input = this.#stage.batch(withNumbers(batch, numbers, this.#numbered.schema));
    operator.push(input, start, batch.length - start);
  }

  get #nothing(): BatchData {
    return noRows(this.#sorted.schema);
  }

  /** Gives the kernel's memory back. */
  free(): void {
    this.#stage.free();
  }
}

/** The first and the last row of a batch, in memory of their own. */
function boundsOf(batch: BatchData): BatchData {
  const { schema, length } = batch;
  return concatBatches(schema, [sliceRows(batch, 0, 1), sliceRows(batch, length - 1, length)]);
}

function filesOf(runs: readonly SortedRun[]): Set<SpillFile> {
  return new Set(runs.flat().map(({ file }) => file));
}

/** What a sort may take for rows. */
export function roomToSort({ freeBytes }: Kernel): number {
  return freeBytes - Math.min(freeBytes * LEFT_SHARE, LEFT_BYTES) - TABLE_BYTES;
}

/** What some rows of a written batch, or all, take while they are sorted. */
export function bytesToSort(
  { rowBytes, hasTexts }: RowSize,
  { extent, rows }: Stored,
  some: number = rows,
): number {
  return some * (rowBytes + (hasTexts ? extent.bytes / rows : 0));
}
