// The rows of a stream, pushed by several workers into operators of their own.
//
// Of a batch, morsels are under way while the next ones are read (shared-push.ts). Of a stream, all rows of a push are
// done when it ends: results leave as soon as they are there, and whatever else looks at a stream, to save or count it,
// meets no other thread. The calling thread waits for that, some 20 us, and each piece costs 5, so only long pushes
// are spread, and short ones are its own.
//
// The others hold what has come since they were last gathered into the first operator, which alone gives results: when
// windows close, and at the end. All are told the same watermarks. Where the first operator keeps the time by its rows, it
// is shown what the others are to take (kernel/operator/window-pass.ts), and takes what closes windows itself.

import { Abi } from "../../../kernel/abi/layout.js";
import { Status } from "../../../kernel/abi/status.js";
import type { InputBatch, Operator } from "../kernel/index.js";
import type { QueryWorkers } from "../pool/index.js";
import type { SharedPush } from "./shared-push.js";

/** Rows of a push from which on it is spread. */
const SPREAD_ROWS = 16_384;
/** Pieces of a push for each thread; rows of a piece at least, at most, and what they are a multiple of: the kernel's vectors. */
const PIECES = 2;
const PIECE_ROWS = 8192;
const MOST_PIECE_ROWS: number = Abi.MORSEL_ROWS;
const VECTOR_ROWS: number = Abi.VECTOR_ROWS;
/**
 * Where the first operator keeps the time, every row passes it, too: spreading pays from so many nanoseconds a row on. What
 * the fastest of the first long pushes takes, which nobody shares, tells.
 */
const TIMED_NS = 3;
const TRIED_PUSHES = 4;
/** A stream's rows between results, from which on they are spread: bringing them together costs what some 10,000 do. */
const INTERVAL_ROWS = 131_072;
/** How long the event loop waits for others at most: a piece takes a millisecond, or two. */
const PATIENCE_MS = 20;

export class SpreadPush {
  readonly #shared: SharedPush;
  readonly #staysAlone: ((operator: Operator) => boolean) | null;
  readonly #keepsTime: boolean;
  readonly #leastRows: number;
  readonly #threads: number;
  /** Of every piece, for tests; null: as suits the push. */
  readonly #pieceRows: number | null;
  readonly #intervalRows: number;
  /** Nanoseconds a row below which the first operator goes on alone. */
  readonly #timedNs: number;
  /** Long pushes that are still to tell whether spreading pays, the least time of a row in those before, and what they said. */
  #trials: number;
  #leastNs = Number.POSITIVE_INFINITY;
  #isAlone = false;
  /** Whether the others may hold rows. */
  #isSpread = false;
  #isWaiting = false;
  /** Rows since the last results, and between those and the ones before. */
  #rows = 0;
  #interval = 0;

  /**
   * @param staysAlone whether, by what an operator has had, spreading would not pay; null where it always does
   * @param keepsTime whether the first operator keeps the time by the rows that it sees
   */
  constructor(
    shared: SharedPush,
    staysAlone: ((operator: Operator) => boolean) | null,
    keepsTime: boolean,
    { threads, faults: { spreadRows } }: QueryWorkers,
  ) {
    this.#shared = shared;
    this.#staysAlone = staysAlone;
    this.#keepsTime = keepsTime;
    this.#leastRows = spreadRows ?? SPREAD_ROWS;
    this.#threads = 1 + threads;
    this.#pieceRows = spreadRows === undefined ? null : Math.ceil(spreadRows / 2);
    this.#intervalRows = spreadRows === undefined ? INTERVAL_ROWS : 0;
    this.#timedNs = keepsTime && spreadRows === undefined ? TIMED_NS : 0;
    this.#trials = this.#timedNs > 0 ? TRIED_PUSHES : 1;
  }

  get #first(): Operator {
    return this.#shared.operators[0]!;
  }

  get #others(): readonly Operator[] {
    return this.#shared.operators.slice(1);
  }

  /** Whether others are at work while the event loop goes on: only the first operator can be asked. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /**
   * Takes rows. Yields true whenever the first operator has results, of all rows so far, that are to leave before it goes
   * on; false where others take so long that something may have happened to them, of which only the event loop hears.
   */
  *push(input: InputBatch, start: number, rows: number, firstRow: number): Generator<boolean> {
    const isLong = rows >= this.#leastRows && !this.#isAlone;
    this.#rows += rows;
    const isSeldom = Math.max(this.#rows, this.#interval) >= this.#intervalRows;
    const isTrial = isLong && this.#trials > 0;
    if (!isLong || !isSeldom || isTrial) {
      const since = isTrial ? performance.now() : 0;
      const status = this.#take(input, start, rows, firstRow);
      if (isTrial) this.#try(((performance.now() - since) * 1e6) / rows);
      if (status === Status.HAS_MORE) {
        this.#leaves();
        yield true;
      }
      return;
    }
    this.#follow();
    const pieceRows = this.#pieceRows ?? this.#suits(rows);
    for (let at = 0; at < rows; at += pieceRows) {
      const piece = Math.min(pieceRows, rows - at);
      if ((yield* this.#offer(input, start + at, piece, firstRow, at === 0)) !== Status.HAS_MORE) continue;
      this.#leaves();
      yield true;
    }
    yield* this.#await(this.#shared.rest());
  }

  /** A long push that nobody has shared has taken so long a row. */
  #try(ns: number): void {
    this.#leastNs = Math.min(this.#leastNs, ns);
    this.#trials -= 1;
    if (this.#trials > 0) return;
    this.#isAlone = this.#leastNs < this.#timedNs || (this.#staysAlone?.(this.#first) ?? false);
  }

  /** Rows of the pieces of a push. */
  #suits(rows: number): number {
    const even = Math.ceil(rows / (PIECES * this.#threads) / VECTOR_ROWS) * VECTOR_ROWS;
    return Math.min(MOST_PIECE_ROWS, Math.max(PIECE_ROWS, even));
  }

  /** Goes on without letting anybody else, as long as that takes no longer than it should. */
  *#await<T>(work: Generator<void, T>): Generator<boolean, T> {
    const patience = performance.now() + PATIENCE_MS;
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
      if (performance.now() < patience) continue;
      this.#isWaiting = true;
      yield false;
      this.#isWaiting = false;
    }
  }

  /** Results leave. */
  #leaves(): void {
    this.#interval = this.#rows;
    this.#rows = 0;
  }

  /** Lets any operator take a piece, or the first one, after all others, where it closes windows. */
  *#offer(
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
    wakes: boolean,
  ): Generator<boolean, Status> {
    const row = firstRow + start;
    const closes = (address: number) => !this.#first.passes(address, input.schema, row);
    const isOwn = this.#keepsTime ? closes : null;
    const own = yield* this.#await(this.#shared.offer(input, start, rows, firstRow, wakes, isOwn));
    if (own === 0) {
      this.#isSpread = true;
      return Status.NEED_INPUT;
    }
    yield* this.#await(this.gather());
    const status = this.#first.pushDescribed(own, input.schema, row);
    // Windows without rows may have closed, too.
    this.#follow();
    return status;
  }

  /** Lets the first operator take rows. */
  #take(input: InputBatch, start: number, rows: number, firstRow: number): Status {
    const first = this.#first;
    if (!this.#isSpread || !this.#keepsTime) return first.push(input, start, rows, firstRow);
    const { columns } = first;
    const address = input.describe(columns, start, rows, firstRow);
    if (!first.passes(address, input.schema, firstRow + start)) this.gatherAtOnce();
    const status = first.pushDescribed(address, input.schema, firstRow + start);
    input.accepted?.(columns, start, rows);
    return status;
  }

  /** Tells all operators that no more rows up to `number` come: whether that has made windows of any of them due. */
  watermark(number: bigint): boolean {
    let isDue = false;
    for (const operator of this.#shared.operators) {
      if (operator.watermark(number) === Status.HAS_MORE) isDue = true;
    }
    if (isDue) this.#leaves();
    return isDue;
  }

  /** Tells the others, which are empty, how far the time has come that the first operator keeps. */
  #follow(): void {
    if (!this.#keepsTime || this.#isSpread) return;
    const time = this.#first.watermarkTime;
    if (time !== null) for (const other of this.#others) other.watermark(time);
  }

  /** Brings what the others hold into the first operator; they go on empty. */
  *gather(): Generator<void> {
    if (!this.#isSpread) return;
    yield* this.#shared.rest();
    // Rows that bring more groups than they did at first.
    this.#isAlone ||= this.#others.some((other) => this.#staysAlone?.(other) ?? false);
    for (const other of this.#others) yield* this.#first.absorb(other);
    // They may have made the memory larger.
    this.#first.kernel.memory.reachAll();
    this.#isSpread = false;
  }

  /** The same between two pushes, when nobody is at work. */
  gatherAtOnce(): void {
    for (const _ of this.gather());
  }
}
