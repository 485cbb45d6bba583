// Amounts of memory: reading them, saying them, and what a kernel may use unless told otherwise.

import { ArgumentError } from "../type/error.js";

const UNITS: Record<string, number> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** The most that a kernel can be given: a 32-bit memory without its last page. */
export const MAX_BUDGET_BYTES = 2 ** 32 - 65536;

/** What is taken when the machine's memory is not known. */
const FALLBACK_BYTES = 2 ** 30;
const MAX_DEFAULT_BYTES = 3.5 * 2 ** 30;

/**
 * Bytes of an amount such as `1048576`, `"64 KiB"`, `"1.5GB"`. KiB, MiB, GiB count in 1024, kB, MB, GB in 1000.
 * @throws ArgumentError for anything else, negative amounts included.
 */
export function parseBytes(amount: number | string): number {
  let bytes = Number.NaN;
  if (typeof amount === "number") bytes = amount;
  else if (typeof amount === "string") {
    const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(amount);
    const unit = match === null ? undefined : UNITS[match[2]!.toLowerCase()];
    if (match !== null && unit !== undefined) bytes = Math.floor(Number(match[1]) * unit);
  }
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new ArgumentError(
      `${JSON.stringify(amount)} is not an amount of memory: write 1048576 or "2 GiB"`,
      {
        value: amount,
        expected: 'a number of bytes or a text such as "2 GiB"',
      },
    );
  }
  return bytes;
}

/** `parseBytes` of a kernel's budget: above 0 and within a 32-bit memory. */
export function parseBudget(amount: number | string): number {
  const bytes = parseBytes(amount);
  if (bytes === 0 || bytes > MAX_BUDGET_BYTES) {
    throw new ArgumentError(
      `a memory budget of ${formatBytes(bytes)} is out of range: one kernel takes from 1 byte to 4 GiB - 64 KiB`,
      { value: amount, expected: `1 to ${MAX_BUDGET_BYTES} bytes` },
    );
  }
  return bytes;
}

/** An amount as people read it, such as `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ] as const) {
    if (bytes >= size) return `${Number((bytes / size).toFixed(2))} ${unit}`;
  }
  return `${bytes} bytes`;
}

/** Half of the machine's (or the container's) memory where it is known, at most 3.5 GiB. */
export async function defaultBudget(): Promise<number> {
  const total = await machineMemory();
  return Math.min(MAX_DEFAULT_BYTES, total === null ? FALLBACK_BYTES : Math.floor(total / 2));
}

async function machineMemory(): Promise<number | null> {
  if (typeof process !== "undefined" && typeof process.versions?.node === "string") {
    const { totalmem } = await import("node:os");
    const limit = process.constrainedMemory?.() ?? 0;
    return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  }
  const gigabytes = (globalThis.navigator as { deviceMemory?: number } | undefined)?.deviceMemory;
  return gigabytes === undefined ? null : gigabytes * 2 ** 30;
}
