// How the quick tour ends in time on a machine of any speed.
//
// One case of every suite is needed, and comes first; the others follow while there is time, each expected to take what
// a case took so far. Where that will not be enough for all, short runs are repeated no more often than they must be,
// five times; where it is not for the needed ones, peers are left out of them: first those that are slow to start,
// then all but the one that verifies.

import { PEERS, type PeerName } from "../engine/engine.js";
import { caseName } from "../suite/index.js";
import type { SelectedCase } from "./bench.js";

/** DuckDB-Wasm compiles 35 MB before it can answer, Arquero a function for each question. */
export const SLOW_STARTERS: readonly PeerName[] = ["duckdb-wasm", "arquero"];

/** Below this part of the time that the needed cases ask for, only the peer that verifies stays. */
const LATE = 0.6;

export class TimeBudget {
  readonly #ms: number;
  readonly #now: () => number;
  readonly #start: number;
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

  /** What there was no time for, in words. */
  get leftOut(): readonly string[] {
    return [...this.#leftOut];
  }

  /** Counts a case as done. */
  finish(): void {
    this.#done += 1;
  }

  /** What is to be measured of the first of the cases that are to come; null: nothing. */
  fit(coming: readonly SelectedCase[]): SelectedCase | null {
    const [selected] = coming as [SelectedCase];
    if (this.#done === 0) return selected;
    const left = this.#ms - this.elapsedMs;
    const usual = this.elapsedMs / this.#done;
    if (usual * coming.length <= left) return selected;
    if (selected.optional && usual > left) {
      this.#leftOut.add(caseName(selected.of));
      return null;
    }
    this.#leftOut.add("runs beyond the fifth");
    const needed = coming.filter(({ optional }) => !optional).length;
    const pace = needed === 0 ? 1 : left / (usual * needed);
    const dropped = pace >= 1 ? [] : pace >= LATE ? SLOW_STARTERS : othersThan(selected);
    const gone = selected.peers.filter((peer) => dropped.includes(peer));
    if (gone.length > 0) this.#leftOut.add(`${gone.join(", ")} in ${caseName(selected.of)}`);
    return { ...selected, peers: selected.peers.filter((peer) => !gone.includes(peer)), isBrief: true };
  }
}

/** All peers but the one that a case cannot be verified without. */
function othersThan({ of }: SelectedCase): readonly PeerName[] {
  const witness = of.kernel !== undefined ? "native" : of.javascript === undefined ? "duckdb" : "js";
  return PEERS.filter((peer) => peer !== witness);
}
