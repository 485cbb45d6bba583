// States that are damaged, and calls that may fail: for tests.

import { expect } from "vitest";
import type { StateBatch } from "../../bindings/ts/kernel/state.js";
import { MillraceError } from "../../bindings/ts/type/error.js";

/** What `run` answers; null where it fails, which must be by a typed error and no trap. */
export function attempt<T>(run: () => T): T | null {
  try {
    return run();
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    expect((error as MillraceError).code).not.toBe("KERNEL_TRAP");
    return null;
  }
}

/** A bit of a buffer, counted modulo the columns and bytes that there are. */
export interface Damage {
  readonly column: number;
  readonly part: "values" | "offsets" | "validity";
  readonly at: number;
  readonly bit: number;
}

/** The state with that bit turned; as it is where it has no such buffer. */
export function damaged(state: StateBatch, { column, part, at, bit }: Damage): StateBatch {
  const index = column % state.columns.length;
  const columns = state.columns.map((data, i) => {
    const bytes = data[part];
    if (i !== index || bytes === null || bytes.length === 0) return data;
    const copy = bytes.slice();
    copy[at % copy.length]! ^= 1 << bit;
    return { ...data, [part]: copy };
  });
  return { ...state, columns };
}
