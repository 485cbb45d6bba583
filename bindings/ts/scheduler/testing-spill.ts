// What spilling leaves behind: for tests.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Engine } from "./engine.js";

/** What is there while an engine is open: its folder in `directory`, without files once runs have ended. */
export function expectNoFilesIn(directory: string, engine: Engine, mostBytes: number): void {
  const { spill, usedBytes } = engine.stats();
  expect([spill!.files, spill!.bytes]).toEqual([0, 0]);
  expect(usedBytes).toBeLessThan(mostBytes);
  for (const folder of readdirSync(directory)) expect(readdirSync(join(directory, folder))).toEqual([]);
}
