// The engines that cases run on: one for each build, number of workers, and memory with or without files behind it.
//
// Each is opened when a case first asks for it, and stays: starting threads takes longer than most cases do.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUILDS } from "../bindings/ts/kernel/testing.js";
import { FaultyEngine } from "./faulty-kernel.js";
import { SpillDisk } from "./spill-disk.js";
import type { Way } from "./way.js";

/** What two ways, or a way and the twin, do not have in common. */
export class Disagreement extends Error {}

const BUDGET = "512 MiB";
/** How long a thread that has ended may take to be replaced. */
const HEAL_MS = 20_000;

interface Opened {
  readonly faulty: FaultyEngine;
  /** Bytes in use when nothing runs. */
  idle: number;
}

export class Engines {
  readonly #opened = new Map<string, Opened>();
  readonly #directory = mkdtempSync(join(tmpdir(), "millrace-fuzz-"));
  readonly disk = new SpillDisk();

  /** How many builds there are to choose from. */
  get builds(): number {
    return BUILDS.length;
  }

  /** Threads need their own build. */
  get mayHaveWorkers(): boolean {
    return BUILDS.includes("threads");
  }

  /** The engine that a way asks for. */
  async at({ build, workers, spill }: Pick<Way, "build" | "workers" | "spill">): Promise<FaultyEngine> {
    const isShared = workers > 1 && this.mayHaveWorkers;
    const name = isShared ? "threads" : BUILDS[build % BUILDS.length]!;
    const key = `${name} ${isShared ? workers : 1} ${spill !== null}`;
    const known = this.#opened.get(key);
    if (known !== undefined) return known.faulty;
    const faulty = await FaultyEngine.open({
      build: name,
      budget: BUDGET,
      workers: isShared ? workers : 1,
      spill: spill === null ? null : { directory: this.#directory },
      spillHost: await this.disk.host(),
    });
    // Three workers bring together in parts what others fold. Streams are spread row by row, or a few at a time.
    if (faulty.pool !== null) {
      if (workers === 3) faulty.pool.faults.divideGroups = 0;
      faulty.pool.faults.spreadRows = workers === 3 ? 8 : 2;
    }
    this.#opened.set(key, { faulty, idle: faulty.kernel.usedBytes });
    return faulty;
  }

  /** @throws Disagreement where a run has left something behind. */
  checkIdle(): void {
    for (const [name, opened] of this.#opened) {
      const { usedBytes, activeRuns, spill } = opened.faulty.engine.stats();
      if (activeRuns !== 0) throw new Disagreement(`${activeRuns} runs are left in the engine "${name}"`);
      if (spill !== null && (spill.files !== 0 || spill.bytes !== 0))
        throw new Disagreement(
          `${spill.files} files of ${spill.bytes} bytes are left by the engine "${name}"`,
        );
      const left = usedBytes - opened.idle;
      // Said once: the next case begins with what there is now.
      opened.idle = usedBytes;
      if (left !== 0) throw new Disagreement(`${left} bytes are left in the engine "${name}"`);
    }
  }

  /**
   * Resolves when threads that have ended are replaced, whose contexts are memory in use.
   * @throws Disagreement where that does not happen
   */
  async healed(): Promise<void> {
    const deadline = performance.now() + HEAL_MS;
    for (const { faulty, idle } of this.#opened.values()) {
      while (faulty.pool !== null && faulty.kernel.usedBytes !== idle) {
        if (performance.now() > deadline) throw new Disagreement("a thread that has ended is not replaced");
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#opened.values()].map(({ faulty }) => faulty.engine.close()));
    rmSync(this.#directory, { recursive: true });
  }
}
