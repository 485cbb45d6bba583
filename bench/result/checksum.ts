// The checksum of a result: SHA-256 over its canonical form, floats by their bits, first 16 bytes in hex.

import { createHash } from "node:crypto";
import type { CanonicalResult } from "./canonical.js";

/** 32 hex digits, equal for equal rows whatever the engine, mode, threads and row order that made them. */
export function checksum(result: CanonicalResult): string {
  const hash = createHash("sha256");
  hash.update(`rows ${result.rows}\n`);
  for (const column of result.columns) {
    hash.update(
      `${column.kind} ${JSON.stringify(column.name)} ${column.valid === null ? "full" : "nulls"}\n`,
    );
    if (column.valid !== null) hash.update(column.valid);
    if (column.kind === "text") hash.update(JSON.stringify(column.dictionary));
    if (column.kind === "list-of-float") hash.update(column.lengths);
    const values = column.values;
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest("hex").slice(0, 32);
}
