// Whether the chosen sizes can fit at all: told before data are generated for minutes.
//
// A lower bound, as refusing what would have fitted is worse than failing late: 4 bytes a value, every engine of a
// case holding its own copy.

import { totalmem } from "node:os";
import { formatBytes, MAX_BUDGET_BYTES } from "../../bindings/ts/kernel/index.js";
import { fixtureRows } from "../input/data-file.js";
import { caseName } from "../suite/index.js";
import type { SelectedCase } from "./measured-case.js";
import { UsageError } from "./usage.js";

const LEAST_VALUE_BYTES = 4;

/** Throws UsageError for the first case that cannot fit, saying how much it would take. */
export function checkMemory(
  selection: readonly SelectedCase[],
  modes: number,
  machineBytes = totalmem(),
): void {
  for (const { of, rows, peers } of selection) {
    const bytes = Object.values(of.inputs).reduce(
      (sum, { fixture, columns }) => sum + fixtureRows(fixture, rows) * columns.length * LEAST_VALUE_BYTES,
      0,
    );
    const size = `${caseName(of)} with ${rows.toLocaleString("en-US")} rows`;
    if (bytes > MAX_BUDGET_BYTES) {
      throw new UsageError(
        `${size} takes at least ${formatBytes(bytes)}, and WebAssembly has ${formatBytes(MAX_BUDGET_BYTES)}`,
      );
    }
    const copies = peers.length + (of.kernel === undefined ? modes : 1);
    if (bytes * copies > machineBytes) {
      throw new UsageError(
        `${size} takes at least ${formatBytes(bytes * copies)} in ${copies} engines, and this machine has ${formatBytes(machineBytes)}: fewer --rows or --peers`,
      );
    }
  }
}
