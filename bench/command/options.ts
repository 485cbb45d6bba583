// Reading the options of `bench`: every value is checked before anything starts.

import { type BuildName, PEERS, type PeerName } from "../engine/engine.js";
import type { Mode } from "../suite/case.js";
import { parseRows } from "./rows.js";
import { UsageError } from "./usage.js";

export interface BenchOptions {
  /** Null: the size that the chosen cases come with (1 million in the quick tour, else 10 million). */
  readonly rows: number | null;
  readonly modes: readonly Mode[];
  readonly workers: readonly number[];
  readonly build: BuildName;
  /** Null: the peers that the chosen cases come with. */
  readonly peers: readonly PeerName[] | null;
  /** Runs that count, exactly; null: at least 5, and more where they are short. */
  readonly runs: number | null;
  readonly seed: number;
  /** Records/s that the user needs; null when not given. */
  readonly target: number | null;
  readonly json: string | null;
  readonly quiet: boolean;
  /** Least ratio to the fastest peer; null when not given. */
  readonly failBelow: number | null;
}

const MODES: Readonly<Record<string, readonly Mode[]>> = {
  batch: ["batch"],
  stream: ["stream"],
  both: ["batch", "stream"],
};
const BUILDS: readonly BuildName[] = ["simd", "threads", "scalar"];

/** What the command line gave, by option name, as cac reads it. */
export type RawOptions = Readonly<Record<string, unknown>>;

/** Throws UsageError naming the option and what it takes. */
export function benchOptions(raw: RawOptions): BenchOptions {
  if (raw.html !== undefined) {
    throw new UsageError("--html is not there yet; --json FILE writes the same figures");
  }
  const options: BenchOptions = {
    rows: raw.rows === undefined ? null : rowsOption(single(raw, "rows")),
    modes: modesOption(single(raw, "mode") ?? "both"),
    workers: listOption(raw, "workers", "1").map(workerCount),
    build: buildOption(single(raw, "build") ?? "simd"),
    peers: raw.peers === undefined ? null : peersOption(listOption(raw, "peers", "")),
    runs: raw.runs === undefined ? null : integerOption(single(raw, "runs"), "runs", 1, 1000),
    seed: integerOption(single(raw, "seed") ?? "42", "seed", 0, 4294967295),
    target: raw.target === undefined ? null : positiveOption(single(raw, "target"), "target"),
    json: fileOption(single(raw, "json"), "json"),
    quiet: raw.quiet === true,
    failBelow: raw.failBelow === undefined ? null : positiveOption(single(raw, "failBelow"), "fail-below"),
  };
  if (options.failBelow !== null && options.peers?.length === 0) {
    throw new UsageError("--fail-below compares with the fastest peer: it needs --peers");
  }
  return options;
}

function single(raw: RawOptions, key: string): string | undefined {
  const value = raw[key];
  if (value === undefined) return undefined;
  const name = optionName(key);
  if (Array.isArray(value)) throw new UsageError(`--${name} was given more than once`);
  if (value === true || value === "") throw new UsageError(`--${name} needs a value`);
  return String(value);
}

function optionName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A list, either comma-separated or from an option given several times. */
function listOption(raw: RawOptions, key: string, byDefault: string): string[] {
  const value = raw[key] ?? byDefault;
  const parts = (Array.isArray(value) ? value : [value]).flatMap((part) => String(part).split(","));
  const names = [...new Set(parts.map((part) => part.trim()))];
  if (names.some((name) => name === "" || name === "true")) throw new UsageError(`--${key} needs a value`);
  return names;
}

function rowsOption(text: string | undefined): number {
  const rows = parseRows(text!);
  if (rows < 1) throw new UsageError("--rows must be at least 1");
  return rows;
}

function modesOption(text: string): readonly Mode[] {
  const modes = MODES[text];
  if (modes === undefined) throw new UsageError(`--mode is batch, stream or both, not "${text}"`);
  return modes;
}

function buildOption(text: string): BuildName {
  if (!(BUILDS as readonly string[]).includes(text)) {
    throw new UsageError(`--build is ${BUILDS.join(", ")}, not "${text}"`);
  }
  return text as BuildName;
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

function integerOption(text: string | undefined, name: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new UsageError(`--${name} takes whole numbers from ${least} to ${most}, not "${text}"`);
  }
  return value;
}

function positiveOption(text: string | undefined, name: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) {
    throw new UsageError(`--${name} takes a positive number, not "${text}"`);
  }
  return value;
}

function fileOption(text: string | undefined, name: string): string | null {
  if (text === undefined) return null;
  if (text === "true") throw new UsageError(`--${name} needs a file name`);
  return text;
}
