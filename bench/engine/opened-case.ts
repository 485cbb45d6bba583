// Millrace with the tables of a case: in its own memory; or, where the case says what an engine may hold, as they lie on the
// host. Results then leave for the host, too, and what is more than it may hold goes to files.

import { rmSync } from "node:fs";
import type { Table } from "apache-arrow";
import { Engine, type EngineOptions, type KernelTable, type Plan } from "../../bindings/ts/index.js";
import { inputRows } from "../input/load.js";
import { type BenchCase, memoryLimit } from "../suite/case.js";
import type { BuildName } from "./engine.js";
import { spillFolder } from "./spill-folder.js";

export interface OpenedOptions {
  readonly build: BuildName | "debug";
  readonly workers: number;
}

export class OpenedCase {
  readonly engine: Engine;
  readonly inputs: Readonly<Record<string, KernelTable | Table>>;
  /** Where it writes what is more than it may hold; null where it may hold all. */
  readonly folder: string | null;
  readonly #keeps: boolean;

  private constructor(engine: Engine, inputs: OpenedCase["inputs"], keeps: boolean, folder: string | null) {
    this.engine = engine;
    this.inputs = inputs;
    this.#keeps = keeps;
    this.folder = folder;
  }

  static async open(
    of: BenchCase,
    tables: Readonly<Record<string, Table>>,
    options: OpenedOptions,
  ): Promise<OpenedCase> {
    const limit = memoryLimit(of, inputRows(tables));
    if (limit !== null && limit !== Infinity) {
      const folder = spillFolder();
      const engine = await openEngine(options, { memory: limit, spill: { directory: folder } });
      return new OpenedCase(engine, tables, false, folder);
    }
    const engine = await openEngine(options);
    if (limit !== null) return new OpenedCase(engine, tables, false, null);
    const inputs: Record<string, KernelTable> = {};
    for (const [name, table] of Object.entries(tables)) inputs[name] = await engine.load(table);
    return new OpenedCase(engine, inputs, true, null);
  }

  /** The whole result, in the engine's memory or on the host. */
  collect(plan: Plan): Promise<KernelTable | Table> {
    const { engine, inputs } = this;
    return this.#keeps ? engine.collect(plan, inputs, { result: "kernel" }) : engine.collect(plan, inputs);
  }

  async close(): Promise<void> {
    await this.engine.close();
    if (this.folder !== null) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Several threads need the build that shares memory, whichever one runs alone. */
export async function openEngine(
  { build, workers }: OpenedOptions,
  limits: Pick<EngineOptions, "memory" | "spill"> = { memory: "3.5 GiB" },
): Promise<Engine> {
  const engine = await Engine.open({ ...limits, workers, build: workers === 1 ? build : "threads" });
  await engine.ready();
  return engine;
}
