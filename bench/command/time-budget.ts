// How the quick tour ends in time on a machine of any speed.
//
// One case of every suite is needed, and comes first; the others follow while there is time, each expected to be as much
// slower than its usual seconds as the cases so far were (the mean of the cases so far was tried: the needed ones take
// longer, and a tour that ended after 94 of 150 seconds had saved on its runs). Where that will not be enough for
// all, runs are repeated no more often than they must be, five times; where it is not for the needed ones, peers are
// left out of them: first those that are slow to start, then all but the one that verifies.

import { PEERS, type PeerName } from "../engine/engine.js";
import { caseName } from "../suite/index.js";
import type { SelectedCase } from "./measured-case.js";

/** DuckDB-Wasm compiles 35 MB before it can answer, Arquero a function for each question. */
export const SLOW_STARTERS: readonly PeerName[] = ["duckdb-wasm", "arquero"];

/** Seconds of a case in the tour on two quiet cores, by its engines, and of those that take longer. */
const ENGINE_SECONDS = 1.3;
const LONG_SECONDS: Readonly<Record<string, number>> = { "join/q2": 17, "sort/int64": 10, "latency/push": 9 };

/** Below this part of the time that the needed cases ask for, only the peer that verifies stays. */
const LATE = 0.6;

export class TimeBudget {
  readonly #ms: number;
  readonly #now: () => number;
  readonly #start: number;
  /** Usual seconds of the cases that are done. */
  #done = 0;
  readonly #leftOut = new Set<string>();

  /** Infinity leaves nothing out. */
  constructor(seconds: number, now: () => number = () => performance.now()) {
    this.#ms = seconds * 1000;
    this.#now = now;
    this.#start = now();
  }

  get elapsedMs(): number {
    return this.#now() - this.#start;
  }

  get leftMs(): number {
    return Math.max(this.#ms - this.elapsedMs, 0);
  }

  /** What there was no time for, in words. */
  get leftOut(): readonly string[] {
    return [...this.#leftOut];
  }

  /** Counts a case as done. */
  finish(selected: SelectedCase): void {
    this.#done += usualSeconds(selected);
  }

  /** What is to be measured of the first of the cases that are to come; null: nothing. */
  fit(coming: readonly SelectedCase[]): SelectedCase | null {
    const [selected] = coming as [SelectedCase];
    if (this.#done === 0) return selected;
    const left = this.#ms - this.elapsedMs;
    const pace = this.elapsedMs / this.#done;
    const expected = (cases: readonly SelectedCase[]) =>
      pace * cases.reduce((sum, of) => sum + usualSeconds(of), 0);
    if (expected(coming) <= left) return selected;
    if (selected.optional && expected([selected]) > left) {
      this.#leftOut.add(caseName(selected.of));
      return null;
    }
    this.#leftOut.add("runs beyond the fifth");
    const needed = expected(coming.filter(({ optional }) => !optional));
    const enough = needed === 0 ? 1 : left / needed;
    const dropped = enough >= 1 ? [] : enough >= LATE ? SLOW_STARTERS : othersThan(selected);
    const gone = selected.peers.filter((peer) => dropped.includes(peer));
    if (gone.length > 0) this.#leftOut.add(`${gone.join(", ")} in ${caseName(selected.of)}`);
    return { ...selected, peers: selected.peers.filter((peer) => !gone.includes(peer)), isBrief: true };
  }

  /** Whether so many seconds are left for another look at a case; only a second one is missed. */
  hasTimeToLook(look: number, name: string, seconds: number): boolean {
    const has = 1000 * seconds <= this.leftMs;
    if (!has && look === 2) this.#leftOut.add(`a second look at ${name}`);
    return has;
  }
}

/** Of a case at the tour's size; at other sizes what counts is that all are measured alike. */
export function usualSeconds({ of, peers }: SelectedCase): number {
  const engines = peers.length + (of.kernel === undefined ? 2 : 1);
  return LONG_SECONDS[caseName(of)] ?? ENGINE_SECONDS * engines;
}

/** All peers but the one that a case cannot be verified without. */
function othersThan({ of }: SelectedCase): readonly PeerName[] {
  const witness = of.kernel !== undefined ? "native" : of.javascript === undefined ? "duckdb" : "js";
  return PEERS.filter((peer) => peer !== witness);
}
