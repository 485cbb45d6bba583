// Reading the options of `profile`: every value is checked before anything starts.

import type { ProfileBuild } from "../profile/profile.js";
import type { Mode } from "../suite/case.js";
import { BUILDS, fileOption, integerOption, modesOption, rowsOption, single } from "./option-values.js";
import type { RawOptions } from "./options.js";
import { UsageError } from "./usage.js";

export interface ProfileOptions {
  readonly rows: number;
  readonly modes: readonly Mode[];
  readonly build: ProfileBuild;
  /** Threads that batches run on. */
  readonly workers: number;
  readonly runs: number;
  readonly seed: number;
  /** The folder that the files go to. */
  readonly out: string;
  readonly html: string | null;
  readonly quiet: boolean;
}

const FULL_ROWS = 10_000_000;

/** Throws UsageError naming the option and what it takes. */
export function profileOptions(raw: RawOptions): ProfileOptions {
  const build = single(raw, "build") ?? "debug";
  const builds: readonly string[] = ["debug", ...BUILDS];
  if (!builds.includes(build)) throw new UsageError(`--build is ${builds.join(", ")}, not "${build}"`);
  return {
    rows: raw.rows === undefined ? FULL_ROWS : rowsOption(single(raw, "rows")),
    modes: modesOption(single(raw, "mode") ?? "both"),
    build: build as ProfileBuild,
    workers: integerOption(single(raw, "workers") ?? "1", "workers", 1, 1024),
    runs: integerOption(single(raw, "runs") ?? "5", "runs", 1, 1000),
    seed: integerOption(single(raw, "seed") ?? "42", "seed", 0, 4294967295),
    out: fileOption(single(raw, "out"), "out") ?? "millrace-profile",
    html: fileOption(single(raw, "html"), "html"),
    quiet: raw.quiet === true,
  };
}
