// Millrace with the tables of a case: in its own memory; or, where the case says what an engine may hold, as they lie on the
// host, with room beside for what is more. Results then leave for the host, as they would not fit.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Table } from "apache-arrow";
import { Engine, type EngineOptions, type KernelTable, type Plan } from "../../bindings/ts/index.js";
import { inputRows } from "../input/load.js";
import { type BenchCase, memoryLimit } from "../suite/case.js";
import type { BuildName } from "./engine.js";

const ALL_MEMORY = "3.5 GiB";

export interface OpenedOptions {
  readonly build: BuildName | "debug";
  readonly workers: number;
}

export class OpenedCase {
  readonly engine: Engine;
  readonly inputs: Readonly<Record<string, KernelTable | Table>>;
  readonly #folder: string | null;

  private constructor(engine: Engine, inputs: OpenedCase["inputs"], folder: string | null) {
    this.engine = engine;
    this.inputs = inputs;
    this.#folder = folder;
  }

  static async open(
    of: BenchCase,
    tables: Readonly<Record<string, Table>>,
    options: OpenedOptions,
  ): Promise<OpenedCase> {
    const limit = memoryLimit(of, inputRows(tables));
    if (limit === null) {
      const engine = await openEngine(options);
      const inputs: Record<string, KernelTable> = {};
      for (const [name, table] of Object.entries(tables)) inputs[name] = await engine.load(table);
      return new OpenedCase(engine, inputs, null);
    }
    const folder = spillFolder();
    const memory = limit === Infinity ? ALL_MEMORY : limit;
    const engine = await openEngine(options, { memory, spill: { directory: folder } });
    return new OpenedCase(engine, tables, folder);
  }

  /** The whole result, in the engine's memory or on the host. */
  collect(plan: Plan): Promise<KernelTable | Table> {
    const { engine, inputs } = this;
    if (this.#folder !== null) return engine.collect(plan, inputs);
    return engine.collect(plan, inputs, { result: "kernel" });
  }

  async close(): Promise<void> {
    await this.engine.close();
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Several threads need the build that shares memory, whichever one runs alone. */
export async function openEngine(
  { build, workers }: OpenedOptions,
  { memory = ALL_MEMORY, ...spill }: Pick<EngineOptions, "memory" | "spill"> = {},
): Promise<Engine> {
  const engine = await Engine.open({
    ...spill,
    workers,
    build: workers === 1 ? build : "threads",
    memory,
  });
  await engine.ready();
  return engine;
}

/** A folder of its own for what an engine writes for want of memory; whoever asks removes it. */
export function spillFolder(): string {
  return mkdtempSync(join(tmpdir(), "millrace-bench-spill-"));
}
