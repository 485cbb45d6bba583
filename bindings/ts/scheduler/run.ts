// One execution of a plan: the loop that moves morsels from a source through a pipeline, in both modes.
//
// There is no queue: the consumer's `next()` pulls, a source is asked for a batch only when everything before it
// has been taken. That is the backpressure. Between two morsels the run looks at its signal and
// at the engine, and whatever ends it (the end, an error, `break`, `cancel()`) frees all it holds. A source
// that is being waited for is left behind when the signal comes: it may never answer.

import type { RecordBatch } from "apache-arrow";
import { toRecordBatch } from "../arrow/index.js";
import { bytesRead, type InputBatch } from "../kernel/index.js";
import type { BatchData } from "../type/column.js";
import { ClosedError, type MillraceError } from "../type/error.js";
import { AT_BOUNDARY, type Boundary, type Position } from "./boundary.js";
import type { Counts } from "./checkpoint.js";
import { ENDED, IDLE, type Morsel, morsels, type Reader } from "./feed.js";
import { MORSEL_ROWS, type Pipeline } from "./pipeline.js";
import type { ChainPrint } from "./plan-print.js";
import type { Probe } from "./probe.js";
import type { Share } from "./shares.js";
import type { SourceClock } from "./source-clock.js";
import { Stride } from "./stride.js";
import { unlessAborted } from "./yield.js";

export interface RunStats {
  /** Rows and batches read from the source so far. */
  readonly rowsIn: number;
  readonly batchesIn: number;
  readonly rowsOut: number;
  readonly batchesOut: number;
  /** Bytes of state in the kernel's memory after the last morsel; 0 once the run is over. */
  readonly stateBytes: number;
  /** Rows that came after all their windows were closed, and are in no result. */
  readonly lateRows: number;
  /**
   * Rows that came after some of their windows were closed, and are in the results of the others only; of sessions, rows
   * behind the watermark that begin one, or move its beginning, as one that is gone may have reached them. With this and
   * `lateRows` at 0 the results are those of batch mode.
   */
  readonly partlyLateRows: number;
  /** Rows without a time that a window could take, which it dropped (`nullTime: "drop"`). */
  readonly nullTimes: number;
  /** Watermarks from a column, or from a function, that would have gone back: they were ignored. */
  readonly backwardWatermarks: number;
  /** No more rows at or before this time, in ticks of the time column; null before the first, or without watermarks. */
  readonly watermark: bigint | null;
}

/** What the operators of a run say. */
export type RunState = Pick<RunStats, "stateBytes" | "lateRows" | "partlyLateRows" | "nullTimes">;

/** What a run is made of, once its sources are open. */
export interface Opened {
  readonly readers: readonly ClockedReader[];
  /** The order in which the sources are read, one group after the other; those of a group take turns. */
  readonly order: readonly (readonly number[])[];
  readonly pipeline: Pipeline;
  /** What tells the plan from others. */
  readonly print: () => readonly ChainPrint[];
}

export interface ClockedReader extends Reader {
  /** Makes the source's watermarks; null where only its end closes windows. */
  readonly clock: SourceClock | null;
  readonly from?: Position | undefined;
}

export interface DriveOptions {
  readonly signal: AbortSignal | null;
  /** Throws when the engine was closed. */
  readonly check: () => void;
  readonly share: Share;
  /** Is told where the run can be saved; null where nobody asks. */
  readonly boundary?: { readonly at: Boundary; readonly positions: readonly Position[] };
  /** Hands over the late rows that have come up; null when there is nobody to take them, or none. */
  readonly late?: () => Promise<void> | null;
  /** Is told of each morsel that has been taken, and of the end. */
  readonly progress?: (rows: number, isOver: boolean) => void;
  readonly probe: Probe | null;
}

export class Counters {
  rowsIn = 0;
  batchesIn = 0;
  rowsOut = 0;
  batchesOut = 0;
  bytesIn = 0;
  morsels = 0;
  /** Time in which the calling thread was at work. */
  runningMs = 0;
  backwardWatermarks = 0;
  watermark: bigint | null = null;

  /** The calling thread has been at work since then (of `performance.now()`); answers how long. */
  worked(since: number): number {
    const ms = performance.now() - since;
    this.runningMs += ms;
    return ms;
  }
}

/** Runs to the end; yields results as they become ready. The caller frees. */
export async function* drive(
  { readers, order, pipeline }: Opened,
  counters: Counters,
  { signal, check, share, boundary, late, progress, probe }: DriveOptions,
): AsyncGenerator<BatchData> {
  await pause(signal, check, share, probe);
  const clocks = readers.flatMap(({ clock }) => clock ?? []);
  // A run that is looked at morsel by morsel takes one at a time.
  const strides = readers.map(({ clock }, index) => {
    const turnMs = pipeline.turnMs(index);
    return probe === null && clock === null && turnMs !== undefined ? new Stride(turnMs) : null;
  });
  if (boundary?.at.rest()) yield* atBoundary(share);
  for await (const morsel of morsels(readers, order, strides, signal, share, probe)) {
    const { index, input, start, rows } = morsel;
    boundary?.at.leave();
    if (input !== null) probe?.read(index, rows, start === 0);
    if (input !== null && start === 0) {
      counters.batchesIn += 1;
      counters.rowsIn += input.rows;
      counters.bytesIn += bytesRead(input, readers[index]!.columns, 0, input.rows);
    }
    if (boundary !== undefined) advance(boundary.positions[index]!, morsel);
    if (rows === 0) {
      if (boundary?.at.rest()) yield* atBoundary(share);
      continue;
    }
    // Awaiting nothing is not free.
    const before = pause(signal, check, share, probe);
    if (before !== null) await before;
    const results =
      rows === IDLE
        ? pipeline.setIdle(index, true)
        : input === null
          ? pipeline.finish(index)
          : pushed(pipeline, readers, morsel, input);
    if (input !== null) counters.morsels += Math.ceil(rows / MORSEL_ROWS);
    let since = performance.now();
    for (const batch of results) {
      // An empty batch is a step that is still at work: time to look up.
      if (batch.length > 0) {
        counted(counters, batch);
        counters.worked(since);
        const handed = performance.now();
        yield batch;
        share.waitedSince(handed);
        since = performance.now();
      }
      const pausing = pause(signal, check, share, probe);
      if (pausing === null) continue;
      counters.worked(since);
      await pausing;
      since = performance.now();
    }
    const ms = counters.worked(since);
    // The end of a source is no watermark of its rows.
    if (input !== null) {
      strides[index]?.took(rows, ms);
      counters.watermark = watermarkOf(clocks);
      counters.backwardWatermarks = clocks.reduce((sum, { backward }) => sum + backward, 0);
    }
    if (input !== null) progress?.(rows, false);
    const handing = late?.() ?? null;
    if (handing !== null) await handing;
    if (boundary?.at.rest()) yield* atBoundary(share);
  }
  progress?.(0, true);
  boundary?.at.end();
}

/** Somebody has asked for the run to come so far, and does not want more of it yet. */
function* atBoundary(share: Share): Generator<BatchData> {
  const handed = performance.now();
  yield AT_BOUNDARY;
  share.waitedSince(handed);
}

/** A morsel is about to be taken: nobody looks before all of it is. */
function advance(position: Position, { input, start, rows }: Morsel): void {
  if (input === null) {
    if (rows === ENDED) position.ended = true;
    return;
  }
  position.rows += rows;
  if (start + rows >= input.rows) position.batches += 1;
}

/** Pushes a morsel, and every watermark where it belongs among its rows. */
function* pushed(
  pipeline: Pipeline,
  readers: readonly ClockedReader[],
  { index, start, rows, firstRow }: Morsel,
  input: InputBatch,
): Generator<BatchData> {
  const { clock, idleMs } = readers[index]!;
  if (idleMs !== undefined) yield* pipeline.setIdle(index, false);
  if (clock === null) {
    yield* pipeline.push(index, input, start, rows, firstRow);
    return;
  }
  for (const cut of clock.cuts(input, start, rows)) {
    if (cut.watermark !== null) yield* pipeline.watermark(index, cut.watermark);
    yield* pipeline.push(index, input, cut.start, cut.rows, firstRow);
  }
  const { watermark } = clock;
  if (watermark !== null) yield* pipeline.watermark(index, watermark);
}

/** The least watermark of the sources that have one. */
function watermarkOf(clocks: readonly SourceClock[]): bigint | null {
  let least: bigint | null = null;
  for (const { ticks } of clocks) {
    if (ticks === null) return null;
    if (least === null || ticks < least) least = ticks;
  }
  return least;
}

/** Between morsels: throws when the run is to stop; a promise when it must give way to others. */
function pause(
  signal: AbortSignal | null,
  check: () => void,
  share: Share,
  probe: Probe | null,
): Promise<void> | null {
  signal?.throwIfAborted();
  check();
  const due = share.due();
  return due === null ? null : giveWay(due, signal, check, probe);
}

async function giveWay(
  due: Promise<void>,
  signal: AbortSignal | null,
  check: () => void,
  probe: Probe | null,
): Promise<void> {
  const granted = unlessAborted(due, signal);
  await (probe === null ? granted : probe.waiting(granted));
  signal?.throwIfAborted();
  check();
}

function counted(counters: Counters, batch: BatchData): void {
  counters.rowsOut += batch.length;
  counters.batchesOut += 1;
}

/** Why a run ended that was left while its source was being waited for. */
const RETURNED = new ClosedError("the run was left");

/**
 * A stream of results: iterate it once. Breaking out of the loop, an error, the signal or `cancel()` release
 * all that it holds, whether or not somebody is waiting for a batch.
 */
export class Run implements AsyncIterable<RecordBatch>, AsyncIterator<RecordBatch, undefined> {
  readonly #results: AsyncGenerator<BatchData>;
  readonly #counters: Counters;
  readonly #controller: AbortController;
  readonly #signal: AbortSignal;
  readonly #state: () => RunState;
  readonly #boundary: Boundary;
  /** What an earlier run has counted. */
  readonly #before: Counts;
  #over = false;
  /** Whether the loop has come to its end: all results are there. Or what it has ended with. */
  #complete = false;
  #failure: { readonly error: unknown } | null = null;
  /** Calls of `next` that have not been answered, and of `snapshot` that let the loop go on. */
  #waiting = 0;
  /** Whether somebody lets the loop go on at present, and who comes next. */
  #isAtWork = false;
  readonly #turns: (() => void)[] = [];

  /** @internal */
  constructor(
    results: AsyncGenerator<BatchData>,
    counters: Counters,
    controller: AbortController,
    signal: AbortSignal,
    state: () => RunState,
    boundary: Boundary,
    before: Counts,
  ) {
    this.#results = results;
    this.#counters = counters;
    this.#controller = controller;
    this.#signal = signal;
    this.#state = state;
    this.#boundary = boundary;
    this.#before = before;
    signal.addEventListener("abort", () => void results.return(undefined).catch(() => {}), { once: true });
  }

  /** Of a run that goes on from a checkpoint, with what was counted before it. */
  get stats(): RunStats {
    const { rowsIn, batchesIn, rowsOut, batchesOut, backwardWatermarks, watermark } = this.#counters;
    const { stateBytes, lateRows, partlyLateRows, nullTimes } = this.#state();
    const before = this.#before;
    return {
      rowsIn: before.rowsIn + rowsIn,
      batchesIn: before.batchesIn + batchesIn,
      rowsOut: before.rowsOut + rowsOut,
      batchesOut: before.batchesOut + batchesOut,
      stateBytes,
      lateRows,
      partlyLateRows,
      nullTimes,
      backwardWatermarks: before.backwardWatermarks + backwardWatermarks,
      watermark,
    };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<RecordBatch, undefined>> {
    if (this.#over) return { done: true, value: undefined };
    this.#waiting += 1;
    try {
      const batch = await this.#inTurn(() => this.#next());
      if (batch !== null) return { done: false, value: toRecordBatch(batch) };
      this.#end();
      return { done: true, value: undefined };
    } catch (error) {
      this.#end();
      if (error === RETURNED) return { done: true, value: undefined };
      throw error;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #next(): Promise<BatchData | null> {
    const { pending } = this.#boundary;
    for (;;) {
      if (this.#signal.aborted) pending.length = 0;
      const batch = pending.shift();
      if (batch !== undefined) return batch;
      if (!(await this.#goOn()) && pending.length === 0) return null;
    }
  }

  /** Lets the loop go on until it has one more result, or is where it can be saved; false at its end. */
  async #goOn(): Promise<boolean> {
    if (this.#failure !== null) throw this.#failure.error;
    // Ended by the signal while nobody waited: say so, as if somebody had.
    if (this.#complete) this.#signal.throwIfAborted();
    if (this.#complete) return false;
    try {
      const next = await this.#results.next();
      if (next.done) {
        this.#complete = true;
        this.#signal.throwIfAborted();
        return false;
      }
      if (next.value !== AT_BOUNDARY) this.#boundary.pending.push(next.value);
      return true;
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  /** One after the other: also where work begins within another's, as when a source asks for a snapshot. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isAtWork) await new Promise<void>((resolve) => this.#turns.push(resolve));
    this.#isAtWork = true;
    try {
      return await work();
    } finally {
      const next = this.#turns.shift();
      // Whoever comes before the next one goes on comes after it.
      if (next === undefined) this.#isAtWork = false;
      else next();
    }
  }

  #end(): void {
    this.#over = true;
    this.#boundary.pending.length = 0;
    this.#boundary.close(OVER());
  }

  /**
   * Saves the run as it is between two batches of its sources (or two morsels of long ones): bytes from which
   * `engine.stream(plan, sources, { restore })` goes on, in this process or another. They hold the state of every step,
   * the watermarks, how far each source has been read (`readCheckpoint` tells), and results that are there but have not
   * been handed out by `next()`; those that have are not given again. Everything after a restore is what it would have been
   * here, bit for bit. The run goes on; calls may come at any time, also while `next()` waits for a source.
   * @throws CheckpointError for a step that cannot be saved (sorts, joins, window functions, sessions), naming it;
   *   ClosedError when the run is over.
   */
  async snapshot(): Promise<Uint8Array> {
    if (this.#over) throw OVER();
    const bytes = this.#boundary.ask();
    if (!this.#boundary.isAsked) return bytes;
    this.#waiting += 1;
    const going = this.#inTurn(async () => {
      while (this.#boundary.isAsked && (await this.#goOn()));
    });
    going
      .catch((error: unknown) => this.#boundary.refuse(error === RETURNED ? OVER() : error))
      .finally(() => {
        this.#waiting -= 1;
        this.#boundary.refuse(OVER());
      });
    return bytes;
  }

  /** Ends the run. A `next()` that waits for the source is answered as the end. */
  async return(): Promise<IteratorResult<RecordBatch, undefined>> {
    this.#over = true;
    if (this.#waiting > 0) this.#controller.abort(RETURNED);
    await this.#results.return(undefined);
    this.#end();
    return { done: true, value: undefined };
  }

  /** Stops the run within one morsel; a pending or the next `next()` throws `reason`. Safe to call twice. */
  cancel(reason: MillraceError | Error = new ClosedError("the run was cancelled")): void {
    this.#controller.abort(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

const OVER = () => new ClosedError("the run is over: there is nothing to save");
