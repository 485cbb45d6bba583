// Whether the contenders of a race agree.
//
// Equal checksums settle most pairs; others are compared column by column, floats within the peers' tolerance.
// Millrace is verified when at least one other engine has its result and none has another one, and its own
// modes agree bit for bit. A peer is verified when more engines share its result than have another.

import type { EngineName } from "../engine/engine.js";
import type { CanonicalResult } from "../result/canonical.js";
import { FLOAT_TOLERANCE, firstDifference } from "../result/compare.js";
import { isMillrace, type Outcome } from "./race.js";

export interface Verdict {
  readonly verified: boolean;
  /** Engines that gave the same result, each once. */
  readonly verifiedBy: readonly string[];
  /** The first disagreement that counts against the outcome, in words. */
  readonly mismatch: string | null;
}

/** A verdict for every outcome, in order. `inexact`: Millrace's modes need agree only within the tolerance. */
export async function verify(outcomes: readonly Outcome[], inexact = false): Promise<Verdict[]> {
  const tables = new Map<Outcome, CanonicalResult>();
  const table = async (outcome: Outcome) => {
    let result = tables.get(outcome);
    if (result === undefined) {
      result = await outcome.contender.table();
      tables.set(outcome, result);
    }
    return result;
  };
  const notes = outcomes.map((): Notes => ({ agree: new Set(), differ: new Map() }));
  for (let a = 0; a < outcomes.length; a++) {
    for (let b = a + 1; b < outcomes.length; b++) {
      const [one, other] = [outcomes[a]!, outcomes[b]!];
      if (one.checked === null || other.checked === null) continue;
      const same = one.checked.checksum === other.checked.checksum;
      const tolerance = isMillrace(one) && isMillrace(other) && !inexact ? 0 : FLOAT_TOLERANCE;
      const [ours, theirs] = same ? [] : [await table(one), await table(other)];
      const differs = (x: CanonicalResult, y: CanonicalResult) => firstDifference(x, y, tolerance);
      note(notes[a]!, other, ours === undefined ? null : differs(ours, theirs!));
      note(notes[b]!, one, ours === undefined ? null : differs(theirs!, ours));
    }
  }
  return outcomes.map((outcome, index) => verdictOf(outcome, notes[index]!));
}

/** Engines that agree with an outcome, and those that differ with how. */
interface Notes {
  readonly agree: Set<EngineName>;
  readonly differ: Map<EngineName, string>;
}

function note({ agree, differ }: Notes, other: Outcome, difference: string | null): void {
  const { engine, options } = other.contender.spec;
  if (difference === null) agree.add(engine);
  else if (!differ.has(engine)) {
    const name = engine === "millrace" ? `${engine} ${options.mode}` : engine;
    differ.set(engine, `differs from ${name}: ${difference}`);
  }
}

function verdictOf(outcome: Outcome, { agree, differ }: Notes): Verdict {
  // Millrace is no witness for itself.
  const verifiedBy = [...agree].filter((engine) => engine !== "millrace" || !isMillrace(outcome));
  const outvoted = isMillrace(outcome) ? differ.size > 0 : differ.size > verifiedBy.length;
  const mismatch = outvoted ? [...differ.values()][0]! : null;
  return { verified: outcome.checked !== null && verifiedBy.length > 0 && !outvoted, verifiedBy, mismatch };
}
