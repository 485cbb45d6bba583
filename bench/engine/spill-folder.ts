// Where an engine of the bench writes what is more than it may hold.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of its own, which whoever asks removes. */
export function spillFolder(): string {
  return mkdtempSync(join(tmpdir(), "millrace-bench-spill-"));
}
