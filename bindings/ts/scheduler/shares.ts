// Shares: whose turn it is when several runs are at work in one engine.
//
// Runs give way between morsels, by waiting for a turn. A turn goes with each turn of the event loop, so that timers,
// signals and sources are served in between, and while one run works no other does: what is shared is time.
//
// Streams come first: while one is open, batches give way after each morsel, and a stream whose source has something
// to give goes on at once, ahead of all that wait. Among streams, and among batches, who has had the least time for its
// weight is next (stride scheduling: Waldspurger and Weihl, 1995); one that comes, or comes back from waiting for its
// source, begins where the others are, and is owed nothing for the time that it was away. Streams that never wait would
// starve the batches: these get a tenth of what streams take, at the least.

import { ArgumentError } from "../type/error.js";
import { turn } from "./yield.js";

/** Which come first: those that answer to the world, or those that take what is left. */
export type ShareClass = "stream" | "batch";

export interface ShareOptions {
  /** "stream" (the default of `stream`) comes before "batch" (the default of `collect`). */
  readonly class?: ShareClass;
  /** Share of the engine's time among runs of the same class that want it; 1 by default. */
  readonly weight?: number;
}

/**
 * What a run is to get, of what its caller said.
 * @throws ArgumentError for an unknown class, or a weight that is not a finite number above 0
 */
export function checkShare(options: ShareOptions | undefined, usual: ShareClass): Required<ShareOptions> {
  const { class: kind = usual, weight = 1 } = options ?? {};
  if (kind !== "stream" && kind !== "batch") {
    const expected = '"stream" or "batch"';
    throw new ArgumentError(`share.class is ${expected}, not ${JSON.stringify(kind)}`, {
      value: kind,
      expected,
    });
  }
  if (typeof weight !== "number" || !(weight > 0) || weight === Number.POSITIVE_INFINITY) {
    const expected = "a finite number above 0";
    throw new ArgumentError(`share.weight must be ${expected}, not ${String(weight)}`, {
      value: weight,
      expected,
    });
  }
  return { class: kind, weight };
}

/** Longest work between two turns of the event loop: of one run alone, and while others wait. */
const ALONE_MS = 12;
const SHARED_MS = 3;
/** While a stream is open, a batch looks up after so much work, which is to say after each morsel. */
const GRAIN_MS = 0.1;
/** What batches that wait are owed of the time that streams take, and most of it. */
const OWED_RATIO = 0.1;
const OWED_MOST_MS = 10;

/** The runs of one engine. */
export class Shares {
  readonly #open = new Set<Share>();
  readonly #waiting = new Map<Share, () => void>();
  /** Weighted time of the last run of each class that was given a turn: newcomers begin there. */
  readonly #clocks: Record<ShareClass, number> = { stream: 0, batch: 0 };
  #owedMs = 0;
  #isTurning = false;
  /** @internal Turns of the event loop while runs waited for theirs. */
  turns = 0;
  /** @internal Milliseconds. */
  readonly now: () => number;

  /** @param now another clock, for tests */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  open({ class: kind, weight }: Required<ShareOptions>): Share {
    const share = new Share(this, kind, weight);
    this.#open.add(share);
    return share;
  }

  /** @internal */
  leave(share: Share): void {
    this.#open.delete(share);
    this.#waiting.delete(share);
  }

  /** @internal Milliseconds that a run may work before it gives way. */
  patience(share: Share): number {
    if (this.#open.size === 1) return ALONE_MS;
    if (share.class === "batch" && this.#hasStream()) return GRAIN_MS;
    return this.#waiting.size > 0 ? SHARED_MS : ALONE_MS;
  }

  /** @internal Counts time that a run has worked. */
  count(share: Share, ms: number): void {
    share.used = Math.max(share.used, this.#clocks[share.class]) + ms / share.weight;
    if (share.class === "batch") this.#owedMs = Math.max(0, this.#owedMs - ms);
    else if (this.#someWait("batch")) this.#owedMs = Math.min(OWED_MOST_MS, this.#owedMs + OWED_RATIO * ms);
  }

  /** @internal Resolves when it is the run's turn. */
  next(share: Share): Promise<void> {
    const granted = new Promise<void>((resolve) => this.#waiting.set(share, resolve));
    if (!this.#isTurning) void this.#turnOver();
    return granted;
  }

  /** Gives one run a turn with each turn of the event loop, as long as some wait. */
  async #turnOver(): Promise<void> {
    this.#isTurning = true;
    await turn();
    while (this.#waiting.size > 0) {
      const share = this.#choose();
      const resume = this.#waiting.get(share)!;
      this.#waiting.delete(share);
      this.#clocks[share.class] = Math.max(this.#clocks[share.class], share.used);
      resume();
      // By then it has worked, and waits again, for its turn or for others.
      await turn();
      this.turns++;
    }
    this.#isTurning = false;
  }

  #choose(): Share {
    const streamsFirst = this.#owedMs < SHARED_MS || !this.#someWait("batch");
    const kind = streamsFirst && this.#someWait("stream") ? "stream" : "batch";
    let best: Share | null = null;
    for (const share of this.#waiting.keys()) {
      if (share.class === kind && (best === null || share.used < best.used)) best = share;
    }
    return best!;
  }

  #someWait(kind: ShareClass): boolean {
    for (const share of this.#waiting.keys()) if (share.class === kind) return true;
    return false;
  }

  #hasStream(): boolean {
    for (const share of this.#open) if (share.class === "stream") return true;
    return false;
  }
}

/** One run's share. */
export class Share {
  readonly class: ShareClass;
  readonly weight: number;
  readonly #shares: Shares;
  /** @internal Time that it has had, for its weight. */
  used = 0;
  #since: number;
  #turns: number;

  /** @internal */
  constructor(shares: Shares, kind: ShareClass, weight: number) {
    this.#shares = shares;
    this.class = kind;
    this.weight = weight;
    this.#since = shares.now();
    this.#turns = shares.turns;
  }

  /** A promise to await when the run must give way; null (nothing to wait for) otherwise. */
  due(): Promise<void> | null {
    const worked = this.#shares.now() - this.#since;
    if (worked < this.#shares.patience(this)) return null;
    this.#shares.count(this, worked);
    return this.#shares.next(this).then(() => this.#begin());
  }

  /** Time from `start` (of `performance.now()`) on was not work, but waiting for others: a source, or who takes results. */
  waitedSince(start: number): void {
    this.#since += this.#shares.now() - start;
    // Others had their turns meanwhile, so this run has given way.
    if (this.#shares.turns === this.#turns) return;
    this.#shares.count(this, this.#shares.now() - this.#since);
    this.#begin();
  }

  #begin(): void {
    this.#since = this.#shares.now();
    this.#turns = this.#shares.turns;
  }

  /** The run is over. */
  close(): void {
    this.#shares.leave(this);
  }
}
