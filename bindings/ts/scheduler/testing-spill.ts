// What spilling leaves behind, and what faults of the disk do to it: for tests.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, vi } from "vitest";
import { MemoryLimitError, SpillError } from "../index.js";
import { Operator, type StateBatch } from "../kernel/index.js";
import type { Host } from "../spill/index.js";
import { type Counts, countingHost, failure } from "../spill/testing-host.js";
import type { CollectOptions, Engine } from "./engine.js";

type Options = Pick<CollectOptions, "signal">;

/** What is there while an engine is open: its folder in `directory`, without files once runs have ended. */
export function expectNoFilesIn(directory: string, engine: Engine, mostBytes: number): void {
  const { spill, usedBytes } = engine.stats();
  expect([spill!.files, spill!.bytes]).toEqual([0, 0]);
  expect(usedBytes).toBeLessThan(mostBytes);
  for (const folder of readdirSync(directory)) expect(readdirSync(join(directory, folder))).toEqual([]);
}

/** A query that does not fit its engine's memory. */
export interface SpillingQuery {
  /** The result of plenty of memory. */
  readonly expected: readonly string[];
  readonly open: (spillHost: Host) => Promise<Engine>;
  readonly run: (engine: Engine, options: Options) => Promise<readonly string[]>;
  readonly expectNoFiles: (engine: Engine) => void;
}

/** The query's engine after one run, with its writes and reads. */
export interface CountedEngine extends SpillingQuery {
  readonly counts: Counts;
  readonly engine: Engine;
  /** How many the first run made. */
  readonly writes: number;
  readonly reads: number;
  /** Runs again, and counts anew. */
  readonly again: (options?: Options) => Promise<readonly string[]>;
}

export async function counted(query: SpillingQuery): Promise<CountedEngine> {
  const { counts, spillHost } = await countingHost();
  const engine = await query.open(spillHost);
  expect(await query.run(engine, {})).toEqual(query.expected);
  const { writes, reads } = counts;
  expect(Math.min(writes, reads)).toBeGreaterThan(20);
  const again = (options: Options = {}) => {
    counts.writes = 0;
    counts.reads = 0;
    return query.run(engine, options);
  };
  return { ...query, counts, engine, writes, reads, again };
}

/** Whichever write fails, the run ends with a SpillError, and the next one is as ever. */
export async function tellsOfFailedWrites(query: SpillingQuery): Promise<void> {
  const { counts, engine, writes, expected, again, expectNoFiles } = await counted(query);
  for (const failAt of [1, 2, 3, writes >> 1, writes]) {
    counts.onWrite = (nth) => {
      if (nth === failAt) throw failure("ENOSPC");
    };
    const error = await again().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SpillError);
    expect((error as SpillError).message).toMatch(/disk is full/);
    expectNoFiles(engine);
  }
  counts.onWrite = () => {};
  expect(await again()).toEqual(expected);
  await engine.close();
}

/** A file that is shorter than what was written, or has other bytes, ends the run with a SpillError. */
export async function tellsOfDamagedFiles(query: SpillingQuery): Promise<void> {
  const { counts, engine, reads, again, expectNoFiles } = await counted(query);
  for (const fault of ["torn", "changed"]) {
    counts.onRead = (nth) => (nth === reads >> 1 ? fault : "fine");
    await expect(again()).rejects.toThrow(SpillError);
    expectNoFiles(engine);
  }
  await engine.close();
}

/** Lets memory end at the next snapshot of an operator, once so many batches have left. */
export function memoryEndsAfter(batches: number, method: "snapshot" | "snapshotParts") {
  type Snapshot = (this: Operator, ...sizes: number[]) => Generator<StateBatch>;
  const real = Operator.prototype[method] as Snapshot;
  const ending: Snapshot = function* (...sizes) {
    let left = batches;
    for (const state of real.apply(this, sizes)) {
      if (left-- === 0) throw new MemoryLimitError("no room for a batch of state");
      yield state;
    }
  };
  return vi.spyOn(Operator.prototype, method).mockImplementationOnce(ending as never);
}
