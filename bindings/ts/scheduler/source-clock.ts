// How far event time has come in a source, row by row.
//
// A row is late when it comes after the watermark has closed its windows. So that the size of batches never
// decides that, the watermark counts before each row: `cuts` divides a morsel before every row that is behind
// it, and such a row meets exactly the watermark that the rows before it have made. Rows that are not behind
// cannot be late, so a morsel in good order stays whole. All rows of the source move its time, also those that
// a filter drops later.

import { checkHeldRows, type InputBatch } from "../kernel/index.js";
import { watermarkOf } from "../plan/index.js";
import { type DataType, valueType } from "../type/data-type.js";
import { OverflowError } from "../type/error.js";
import { type Times, ticksAt, timesOf } from "./time-column.js";

/** Rows of a morsel, and the watermark to pass on before them. */
export interface Cut {
  readonly start: number;
  readonly rows: number;
  /** On the line of plan/time-scale.ts; null for no other than before. */
  readonly watermark: bigint | null;
}

export interface TimeColumn {
  /** Index in the source's schema. */
  readonly column: number;
  readonly type: DataType;
}

/** Watches the rows of one source go by. */
export abstract class SourceClock {
  /** Index of the time column in the source's schema. */
  readonly column: number;
  readonly type: DataType;

  constructor({ column, type }: TimeColumn) {
    this.column = column;
    this.type = type;
  }

  /** All columns that it reads. */
  get columns(): readonly number[] {
    return [this.column];
  }

  /** The watermark in ticks of the column; null before the first. */
  abstract get ticks(): bigint | null;

  /** Watermarks so far that would have gone back, and were ignored. */
  get backward(): number {
    return 0;
  }

  /** The ticks that it goes by: what `restore` needs to go on. Null before the first, or where another keeps time. */
  abstract get kept(): bigint | null;

  abstract restore(kept: bigint): void;

  /** The watermark on the line of plan/time-scale.ts. */
  get watermark(): bigint | null {
    const { ticks } = this;
    return ticks === null ? null : watermarkOf(ticks, this.type);
  }

  /** How far in ticks a row may be behind the newest before it, where that is all that counts; else null. */
  get bound(): bigint | null {
    return null;
  }

  /** Lets rows [start, start + rows) of `input` pass. */
  abstract cuts(input: InputBatch, start: number, rows: number): Cut[];

  /**
   * @throws OverflowError for an unsigned number that is past the signed ones: watermarks are these.
   * @throws MalformedArrowError for buffers that do not hold the rows.
   */
  protected times(input: InputBatch, column: number, start: number, rows: number): Times {
    const field = input.schema.fields[column]!;
    const view = input.view(column)!;
    // Before the kernel does.
    checkHeldRows(view, field, start, rows);
    const times = timesOf(view, start, rows);
    const { name, type } = field;
    if (isUnsignedLong(valueType(type))) refuseLarge(times, rows, name, start);
    return times;
  }
}

function isUnsignedLong(type: DataType): boolean {
  return type.kind === "int" && type.bits === 64 && !type.signed;
}

function refuseLarge(times: Times, rows: number, column: string, firstRow: number): void {
  for (let at = 0; at < rows; at++) {
    if (times.words[at * 2 + 1]! >= 0 || times.isNull?.(at) === true) continue;
    const value = BigInt.asUintN(64, ticksAt(times, at));
    const row = firstRow + at;
    const expected = `at most ${LARGEST}`;
    throw new OverflowError(
      `column "${column}" (row ${row} of its batch): a watermark cannot follow ${value}: a time is ${expected}`,
      { column, row, value, expected },
    );
  }
}

const LARGEST = 2n ** 63n - 1n;

/** Divides a morsel where it is told to. */
class Cutter {
  readonly cuts: Cut[] = [];
  #start: number;
  #watermark: bigint | null = null;

  constructor(start: number) {
    this.#start = start;
  }

  /** A watermark before `row`. */
  at(row: number, watermark: bigint): void {
    this.#close(row);
    this.#watermark = watermark;
  }

  finish(end: number): Cut[] {
    this.#close(end);
    return this.cuts;
  }

  #close(row: number): void {
    if (row > this.#start)
      this.cuts.push({ start: this.#start, rows: row - this.#start, watermark: this.#watermark });
    this.#start = row;
  }
}

const WORD = 2 ** 32;
/** Distances up to here, and differences of two of them, are exact in a float64. */
const EXACT = 2 ** 52;

/** Rows of a stretch. */
const STRETCH = 1024;

/**
 * The newest low word after rows that are all in time and share a high word; -1 when one is not, or has another.
 * Words are compared as signed numbers, which is the order of unsigned ones when the highest bit is turned.
 */
function newestInOrder(
  words: Int32Array,
  start: number,
  end: number,
  high: number,
  before: number,
  bound: number,
): number {
  let newest = before ^ HIGHEST_BIT;
  for (let at = start * 2; at < end * 2; at += 2) {
    if (words[at + 1] !== high) return -1;
    const low = words[at]! ^ HIGHEST_BIT;
    newest = Math.max(newest, low);
    if ((newest - low) >>> 0 > bound) return -1;
  }
  return (newest ^ HIGHEST_BIT) >>> 0;
}

const HIGHEST_BIT = 1 << 31;

/** The newest time so far, less a bound (in ticks), less one tick. */
export function boundedClock(time: TimeColumn, bound: bigint): SourceClock {
  return bound <= BigInt(EXACT)
    ? new BoundedClock(time, bound)
    : new FarBoundedClock(time, (ticks) => ticks - bound - 1n);
}

class BoundedClock extends SourceClock {
  readonly #bound: bigint;
  /** The newest time is this many ticks after `#base` words of 2^32 ticks. */
  #newest = 0;
  #base = 0;
  #begun = false;

  constructor(time: TimeColumn, bound: bigint) {
    super(time);
    this.#bound = bound;
  }

  override get bound(): bigint {
    return this.#bound;
  }

  get ticks(): bigint | null {
    if (!this.#begun) return null;
    return BigInt(this.#base) * BigInt(WORD) + BigInt(this.#newest) - this.#bound - 1n;
  }

  get kept(): bigint | null {
    return this.#begun ? BigInt(this.#base) * BigInt(WORD) + BigInt(this.#newest) : null;
  }

  restore(kept: bigint): void {
    const low = BigInt.asUintN(32, kept);
    this.#begun = true;
    this.#base = Number((kept - low) / BigInt(WORD));
    this.#newest = Number(low);
  }

  cuts(input: InputBatch, start: number, rows: number): Cut[] {
    const { words, isNull } = this.times(input, this.column, start, rows);
    const cutter = new Cutter(start);
    const bound = Number(this.#bound);
    let { base, newest } = {
      base: this.#base,
      newest: this.#begun ? this.#newest : Number.NEGATIVE_INFINITY,
    };
    let passed = Number.NEGATIVE_INFINITY;
    let row = 0;
    while (row < rows) {
      // Most rows come in good order, near each other: twice as fast in 32 bits.
      if (isNull === null && this.#begun && row % STRETCH === 0) {
        const end = Math.min(row + STRETCH, rows);
        const turns = Math.floor(newest / WORD);
        const after = newestInOrder(words, row, end, base + turns, newest - turns * WORD, bound);
        if (after >= 0) {
          newest = turns * WORD + after;
          row = end;
          continue;
        }
      }
      const high = words[row * 2 + 1]!;
      const low = words[row * 2]! >>> 0;
      const ticks = (high - base) * WORD + low;
      if (ticks < newest - bound) {
        if (!isNull?.(row) && newest !== passed) {
          passed = newest;
          this.#keep(base, newest);
          cutter.at(start + row, this.watermark!);
        }
      } else if (ticks > newest && !isNull?.(row)) {
        newest = ticks;
        if (ticks >= EXACT || !this.#begun) {
          base = high;
          newest = low;
          passed = Number.NEGATIVE_INFINITY;
          this.#begun = true;
        }
      }
      row += 1;
    }
    if (this.#begun) this.#keep(base, newest);
    return cutter.finish(start + rows);
  }

  #keep(base: number, newest: number): void {
    this.#base = base;
    this.#newest = newest;
  }
}

/** The clock of a window that keeps time by itself, with a bound: the kernel sees every row anyway. */
export class WindowClock extends SourceClock {
  readonly #ticks: () => bigint | null;

  /** @param ticks the window's watermark */
  constructor({ column, type }: SourceClock, ticks: () => bigint | null) {
    super({ column, type });
    this.#ticks = ticks;
  }

  get ticks(): bigint | null {
    return this.#ticks();
  }

  get kept(): null {
    return null;
  }

  restore(): void {}

  cuts(_: InputBatch, start: number, rows: number): Cut[] {
    return [{ start, rows, watermark: null }];
  }
}

/** Watermarks that each row brings along: from a column, or from the user's function of its time. */
export class MarkedClock extends SourceClock {
  readonly #mark: number | ((time: bigint) => bigint | null);
  #ticks: bigint | null = null;
  #backward = 0;

  /** @param mark column whose values are watermarks, or the function */
  constructor(time: TimeColumn, mark: number | ((time: bigint) => bigint | null)) {
    super(time);
    this.#mark = mark;
  }

  override get columns(): readonly number[] {
    return typeof this.#mark === "number" ? [this.column, this.#mark] : [this.column];
  }

  get ticks(): bigint | null {
    return this.#ticks;
  }

  override get backward(): number {
    return this.#backward;
  }

  get kept(): bigint | null {
    return this.#ticks;
  }

  restore(kept: bigint): void {
    this.#ticks = kept;
  }

  cuts(input: InputBatch, start: number, rows: number): Cut[] {
    const times = this.times(input, this.column, start, rows);
    const mark = this.#mark;
    const marks = typeof mark === "number" ? this.times(input, mark, start, rows) : null;
    const cutter = new Cutter(start);
    let passed = this.#ticks;
    for (let row = 0; row < rows; row++) {
      const time = times.isNull?.(row) ? null : ticksAt(times, row);
      if (time !== null && this.#ticks !== null && time <= this.#ticks && this.#ticks !== passed) {
        passed = this.#ticks;
        cutter.at(start + row, this.watermark!);
      }
      const next = typeof mark === "number" ? markAt(marks!, row) : time === null ? null : mark(time);
      if (next === null) continue;
      if (this.#ticks === null || next > this.#ticks) this.#ticks = next;
      else if (next < this.#ticks) this.#backward += 1;
    }
    return cutter.finish(start + rows);
  }
}

/** A bound too large for `BoundedClock`: rows that come out of order are no watermarks. */
class FarBoundedClock extends MarkedClock {
  override get backward(): number {
    return 0;
  }
}

function markAt(marks: Times, row: number): bigint | null {
  return marks.isNull?.(row) ? null : ticksAt(marks, row);
}
