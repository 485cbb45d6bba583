// Reading the options of `bench`: every value is checked before anything starts.

import { type BuildName, PEERS, type PeerName } from "../engine/engine.js";
import type { Mode } from "../suite/case.js";
import {
  buildOption,
  fileOption,
  integerOption,
  listOption,
  modesOption,
  positiveOption,
  rowsOption,
  single,
} from "./option-values.js";
import { UsageError } from "./usage.js";

export interface BenchOptions {
  /** Several: each case at each of them. Null: the size that the chosen cases come with (1 million in the quick tour, else 10 million). */
  readonly rows: readonly number[] | null;
  readonly modes: readonly Mode[];
  readonly workers: readonly number[];
  readonly build: BuildName;
  /** Null: the peers that the chosen cases come with. */
  readonly peers: readonly PeerName[] | null;
  /** Runs that count, exactly; null: at least 5, and more where they are short. */
  readonly runs: number | null;
  /** Seconds that it may take, cases and peers being left out where it must be; null: 172 in the quick tour, else no end. */
  readonly budget: number | null;
  readonly seed: number;
  /** Records/s that the user needs; null when not given. */
  readonly target: number | null;
  readonly json: string | null;
  readonly html: string | null;
  /** The folder that keeps reports. */
  readonly save: string | null;
  readonly quiet: boolean;
  /** Least ratio to the fastest peer; null when not given. */
  readonly failBelow: number | null;
}

/** Where `--save` keeps reports when it is not told. */
const SAVE_FOLDER = "millrace-history";

/** What the command line gave, by option name, as cac reads it. */
export type RawOptions = Readonly<Record<string, unknown>>;

/** Throws UsageError naming the option and what it takes. */
export function benchOptions(raw: RawOptions): BenchOptions {
  const options: BenchOptions = {
    rows: raw.rows === undefined ? null : listOption(raw, "rows", "").map(rowsOption),
    modes: modesOption(single(raw, "mode") ?? "both"),
    workers: listOption(raw, "workers", "1").map(workerCount),
    build: buildOption(single(raw, "build") ?? "simd"),
    peers: raw.peers === undefined ? null : peersOption(listOption(raw, "peers", "")),
    runs: raw.runs === undefined ? null : integerOption(single(raw, "runs"), "runs", 1, 1000),
    budget: raw.budget === undefined ? null : positiveOption(single(raw, "budget"), "budget"),
    seed: integerOption(single(raw, "seed") ?? "42", "seed", 0, 4294967295),
    target: raw.target === undefined ? null : positiveOption(single(raw, "target"), "target"),
    json: fileOption(single(raw, "json"), "json"),
    html: fileOption(single(raw, "html"), "html"),
    save: raw.save === true ? SAVE_FOLDER : fileOption(single(raw, "save"), "save"),
    quiet: raw.quiet === true,
    failBelow: raw.failBelow === undefined ? null : positiveOption(single(raw, "failBelow"), "fail-below"),
  };
  if (options.failBelow !== null && options.peers?.length === 0) {
    throw new UsageError("--fail-below compares with the fastest peer: it needs --peers");
  }
  return options;
}

function peersOption(names: readonly string[]): readonly PeerName[] {
  if (names.length === 1 && names[0] === "all") return PEERS;
  if (names.length === 1 && names[0] === "none") return [];
  for (const name of names) {
    if (!(PEERS as readonly string[]).includes(name)) {
      throw new UsageError(`--peers takes ${PEERS.join(", ")}, all or none, not "${name}"`);
    }
  }
  return PEERS.filter((peer) => names.includes(peer));
}

function workerCount(text: string): number {
  return integerOption(text, "workers", 1, 1024);
}
