// The kernel of an engine and, where more than one worker is asked for and the host can share memory, its pool.

import { hasSimd, Kernel, type KernelOptions } from "../kernel/index.js";
import { type PoolFaults, WorkerPool, whyNoThreads } from "../pool/index.js";
import { ArgumentError } from "../type/error.js";

/** Most workers of an engine: each has half a megabyte of scratch, and operators of its own. */
export const MAX_WORKERS = 64;

export interface Workers {
  readonly asked: number;
  /** Null where one thread runs. */
  readonly pool: WorkerPool | null;
  /** Why there is no pool although one was asked for. */
  readonly fallback: string | null;
}

/** @throws ArgumentError for a number that there cannot be, or a build without shared memory. */
export function checkWorkers(workers: number, build: KernelOptions["build"]): void {
  if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) {
    const expected = `a whole number from 1 to ${MAX_WORKERS}`;
    throw new ArgumentError(`workers: ${workers} is not ${expected}`, { value: workers, expected });
  }
  if (workers === 1 || build === undefined || build === "auto" || build === "threads") return;
  throw new ArgumentError(
    `workers: ${workers}: the ${build} build has no shared memory: leave build out, or give "threads"`,
    { value: build, expected: '"threads"' },
  );
}

export async function openWorkers(
  asked: number,
  options: KernelOptions,
  faults: PoolFaults = {},
): Promise<Workers & { readonly kernel: Kernel }> {
  const fallback = asked === 1 ? null : why();
  if (asked > 1 && fallback === null) {
    const opening = Kernel.open({ ...options, build: "threads" });
    const pool = await WorkerPool.open(opening, asked, faults);
    return { kernel: await opening, asked, pool, fallback };
  }
  const build = fallback === null ? options.build : "auto";
  return { kernel: await Kernel.open({ ...options, build }), asked, pool: null, fallback };
}

function why(): string | null {
  return hasSimd() ? whyNoThreads() : "this host has no WebAssembly SIMD, which the threads build needs";
}
