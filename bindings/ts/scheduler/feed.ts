// The order in which a run reads its sources, a morsel at a time.
//
// In a batch they come one after the other, a join's smaller side first: it is indexed when it has ended, and the
// other side streams past it. In a stream they take turns, after tables that are to be complete before: each has at most
// one batch in hand and one that it is being waited for, and a source that has nothing to give holds nobody up.

import type { InputBatch } from "../kernel/index.js";
import { MORSEL_ROWS } from "./pipeline.js";
import type { Probe } from "./probe.js";
import type { Share } from "./shares.js";
import type { Source } from "./source.js";
import type { Stride } from "./stride.js";
import { settledSoon, turn, Waits } from "./yield.js";

/** `rows` of a morsel that says that its source has ended, and that it has given nothing for its idle time. */
export const ENDED = -1;
export const IDLE = -2;

/** Rows of one source for the pipeline (several morsels of them by a stride), or (ENDED, IDLE) what has become of that source. */
export interface Morsel {
  /** Which source. */
  readonly index: number;
  readonly input: InputBatch | null;
  readonly start: number;
  readonly rows: number;
  /** Number of the batch's row 0 among the source's. */
  readonly firstRow: number;
}

export interface Reader {
  readonly source: Source;
  /** The source's columns that the plan reads. */
  readonly columns: readonly number[];
  /** Where an earlier run has left off: the number of the source's first row here, and whether it had ended. */
  readonly from?: { readonly rows: number; readonly ended: boolean } | undefined;
  /** Milliseconds without a batch after which the source is idle; left out: it never is. */
  readonly idleMs?: number | undefined;
}

type Next = IteratorResult<InputBatch>;

/** One source on its way: its batches, and the one in hand. */
class Feed {
  readonly index: number;
  /** Batches that nobody needs to wait for; null when there are none left. */
  #present: Generator<InputBatch> | null;
  /** Null where none may come after those. */
  readonly #later: AsyncGenerator<InputBatch> | null;
  #input: InputBatch | null = null;
  #start = 0;
  #firstRow = 0;
  #rows = 0;
  #waiting: Promise<void> | null = null;
  #answer: { next: Next } | { error: unknown } | null = null;
  ended: boolean;
  readonly #idleMs: number;
  /** When the batch that is being waited for was asked for. */
  #asked = 0;
  #idle = false;

  constructor(index: number, { source, columns, idleMs = Number.POSITIVE_INFINITY, from }: Reader) {
    this.index = index;
    this.#rows = from?.rows ?? 0;
    this.ended = from?.ended ?? false;
    this.#idleMs = idleMs;
    this.#present = source.present(columns);
    this.#later = source.hasLater ? source.later() : null;
  }

  /** Asks for the next batch, unless there is one; null when nothing needs to be waited for. */
  ask(): Promise<void> | null {
    if (this.ended || this.#input !== null || this.#answer !== null) return null;
    if (this.#present !== null && this.#askPresent(this.#present)) return null;
    if (this.#later === null) {
      this.#answer = { next: { done: true, value: undefined } };
      return null;
    }
    if (this.#waiting === null) {
      this.#asked = performance.now();
      this.#waiting = this.#later.next().then(
        (next) => this.#settle({ next }),
        (error: unknown) => this.#settle({ error }),
      );
    }
    return this.#waiting;
  }

  /** Whether one of the batches that are there answers; without promises, which cost as much as a small query. */
  #askPresent(present: Generator<InputBatch>): boolean {
    try {
      const next = present.next();
      if (!next.done) this.#answer = { next };
      else this.#present = null;
    } catch (error) {
      this.#answer = { error };
    }
    return this.#answer !== null;
  }

  /** Whether it is waited for however long it takes. */
  get isPatient(): boolean {
    return this.#idleMs === Number.POSITIVE_INFINITY;
  }

  /** Milliseconds until the source is idle; infinite where it is, has something to give, or never will be. */
  get patienceMs(): number {
    if (this.#waiting === null || this.#idle) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#asked + this.#idleMs - performance.now());
  }

  /** That it has become idle, once. */
  #becomesIdle(): Morsel | null {
    if (this.patienceMs > 0) return null;
    this.#idle = true;
    return { index: this.index, input: null, start: 0, rows: IDLE, firstRow: this.#rows };
  }

  #settle(answer: { next: Next } | { error: unknown }): void {
    this.#answer = answer;
    this.#waiting = null;
  }

  /** The next morsel, of `most` rows at most, if there is one; throws what the source threw. */
  take(most: number): Morsel | null {
    if (this.#answer !== null) {
      const answer = this.#answer;
      this.#answer = null;
      if ("error" in answer) throw answer.error;
      if (answer.next.done) {
        this.ended = true;
        return { index: this.index, input: null, start: 0, rows: ENDED, firstRow: this.#rows };
      }
      this.#idle = false;
      this.#input = answer.next.value;
      this.#start = 0;
      this.#firstRow = this.#rows;
      this.#rows += this.#input.rows;
    }
    const input = this.#input;
    if (input === null) return this.#becomesIdle();
    const start = this.#start;
    const rows = Math.min(most, input.rows - start);
    this.#start += rows;
    if (this.#start >= input.rows) this.#input = null;
    return { index: this.index, input, start, rows, firstRow: this.#firstRow };
  }

  async close(): Promise<void> {
    this.#present?.return(undefined);
    this.#present = null;
    this.#input = null;
    this.#answer = null;
    if (this.#later !== null) await settledSoon(this.#later.return(undefined));
  }
}

/**
 * The morsels of all sources, and the end of each.
 * @param order of the sources, one group after the other; those of a group take turns
 * @param strides of the sources whose morsels are taken several at a time, null for the others
 */
export async function* morsels(
  readers: readonly Reader[],
  order: readonly (readonly number[])[],
  strides: readonly (Stride | null)[],
  signal: AbortSignal | null,
  share: Share,
  probe: Probe | null,
): AsyncGenerator<Morsel> {
  const feeds = readers.map((reader, index) => new Feed(index, reader));
  const rounds = order.map((group) => group.map((index) => feeds[index]!));
  // Of tables nothing is ever waited for.
  let aborting: Waits | null = null;
  // One morsel of one row is what a stream may take a turn for: nothing is made here that is not needed.
  const waits: Promise<void>[] = [];
  try {
    for (const round of rounds) {
      const isPatient = round.every(({ isPatient }) => isPatient);
      let idle = false;
      while (round.some(isOpen)) {
        askAll(round, waits);
        if (waits.length > 0) {
          // While others have rows, those that have none get a turn of the event loop, not more.
          if (!idle && waits.length < round.length) waits.push(turn());
          const patience = isPatient ? null : pauseOf(Math.min(...round.map(({ patienceMs }) => patienceMs)));
          if (patience !== null) waits.push(patience.over);
          const first = waits.length === 1 ? waits[0]! : Promise.race(waits);
          if (signal !== null) aborting ??= new Waits(signal);
          const wait = aborting === null ? first : aborting.until(first);
          const asked = performance.now();
          try {
            await (probe === null ? wait : probe.waiting(wait, round.length === 1 ? round[0]!.index : null));
          } finally {
            patience?.stop();
            share.waitedSince(asked);
          }
        }
        idle = true;
        for (const feed of round) {
          const morsel = feed.take(strides[feed.index]?.rows ?? MORSEL_ROWS);
          if (morsel === null) continue;
          idle = false;
          yield morsel;
        }
      }
    }
  } finally {
    const { kernel } = readers[0]!.source;
    aborting?.end();
    if (aborting !== null) kernel.retire(aborting);
    for (const feed of feeds) {
      await feed.close();
      kernel.retire(feed);
    }
  }
}

/** What has to be waited for, to `waits`. */
function askAll(feeds: readonly Feed[], waits: Promise<void>[]): void {
  waits.length = 0;
  for (const feed of feeds) {
    const wait = feed.ask();
    if (wait !== null) waits.push(wait);
  }
}

/** A timer; null for one that never rings. */
function pauseOf(ms: number): { readonly over: Promise<void>; readonly stop: () => void } | null {
  if (ms === Number.POSITIVE_INFINITY) return null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.ceil(ms));
  });
  return { over, stop: () => clearTimeout(timer) };
}

function isOpen({ ended }: Feed): boolean {
  return !ended;
}
