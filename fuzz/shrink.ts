// Makes a failing case smaller: tries lists of choices that are shorter or have smaller numbers, and keeps those
// that still fail.

import { Draw } from "./draw.js";

/** Fails: an error; passes: null. */
export type Trial = (draw: Draw) => Promise<unknown>;

export interface Shrunk {
  readonly choices: readonly number[];
  readonly error: unknown;
  readonly trials: number;
}

/**
 * The smallest list of choices found within `ms` that still fails.
 * @param failing what failed, with the spans that can be left out
 */
export async function shrink(failing: Draw, error: unknown, trial: Trial, ms: number): Promise<Shrunk> {
  const until = Date.now() + ms;
  let best: { choices: readonly number[]; spans: readonly (readonly [number, number])[]; error: unknown } = {
    choices: trimmed(failing.choices),
    spans: failing.spans,
    error,
  };
  let trials = 0;

  async function fails(choices: readonly number[]): Promise<boolean> {
    if (Date.now() > until) return false;
    trials++;
    const draw = Draw.replay(choices);
    const found = await trial(draw);
    if (found === null) return false;
    const made = trimmed(draw.choices);
    if (!isSimpler(made, best.choices)) return false;
    best = { choices: made, spans: draw.spans, error: found };
    return true;
  }

  for (let progress = true; progress && Date.now() < until; ) {
    progress = false;
    // Many items next to each other, such as rows, then single ones.
    for (const many of [64, 16, 4]) {
      for (let at = 0; at + many <= best.spans.length && Date.now() < until; ) {
        const spans = [...best.spans].sort((a, b) => b[0] - a[0]);
        const [start, end] = [spans[at + many - 1]![0], spans[at]![1]];
        if (await fails([...best.choices.slice(0, start), ...best.choices.slice(end)])) progress = true;
        else at += many;
      }
    }
    // Whole items, the longest first, from the end: what comes later depends on what comes before.
    for (let at = 0; at < best.spans.length && Date.now() < until; ) {
      const spans = [...best.spans].sort((a, b) => b[1] - b[0] - (a[1] - a[0]) || b[0] - a[0]);
      const [start, end] = spans[at]!;
      if (await fails([...best.choices.slice(0, start), ...best.choices.slice(end)])) progress = true;
      else at++;
    }
    for (let size = 8; size >= 1; size >>= 1) {
      for (let at = best.choices.length - size; at >= 0 && Date.now() < until; at -= size) {
        const { choices } = best;
        const zeros = choices.slice(at, at + size).map(() => 0);
        if (choices.slice(at, at + size).every((choice) => choice === 0)) continue;
        if (await fails([...choices.slice(0, at), ...zeros, ...choices.slice(at + size)])) progress = true;
        else if (await fails([...choices.slice(0, at), ...choices.slice(at + size)])) progress = true;
      }
    }
    for (let at = best.choices.length - 1; at >= 0 && Date.now() < until; at--) {
      const choice = best.choices[at] ?? 0;
      for (const smaller of [choice >> 1, choice - 1]) {
        if (smaller < 0 || smaller >= (best.choices[at] ?? 0)) continue;
        if (await fails([...best.choices.slice(0, at), smaller, ...best.choices.slice(at + 1)]))
          progress = true;
      }
    }
  }
  return { choices: best.choices, error: best.error, trials };
}

/** Zeros at the end are what a list that is too short gives by itself. */
function trimmed(choices: readonly number[]): readonly number[] {
  let length = choices.length;
  while (length > 0 && choices[length - 1] === 0) length--;
  return choices.slice(0, length);
}

/** Shorter, or as long and less where they first differ. */
function isSimpler(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return a.length < b.length;
  const at = a.findIndex((choice, index) => choice !== b[index]);
  return at >= 0 && a[at]! < b[at]!;
}
