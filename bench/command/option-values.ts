// Values of options, as several verbs take them: each throws UsageError naming the option and what it takes.

import type { BuildName } from "../engine/engine.js";
import type { Mode } from "../suite/case.js";
import type { RawOptions } from "./options.js";
import { parseRows } from "./rows.js";
import { UsageError } from "./usage.js";

const MODES: Readonly<Record<string, readonly Mode[]>> = {
  batch: ["batch"],
  stream: ["stream"],
  both: ["batch", "stream"],
};
export const BUILDS: readonly BuildName[] = ["simd", "threads", "scalar"];

export function single(raw: RawOptions, key: string): string | undefined {
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
export function listOption(raw: RawOptions, key: string, byDefault: string): string[] {
  const value = raw[key] ?? byDefault;
  const parts = (Array.isArray(value) ? value : [value]).flatMap((part) => String(part).split(","));
  const names = [...new Set(parts.map((part) => part.trim()))];
  if (names.some((name) => name === "" || name === "true")) throw new UsageError(`--${key} needs a value`);
  return names;
}

export function rowsOption(text: string | undefined): number {
  const rows = parseRows(text!);
  if (rows < 1) throw new UsageError("--rows must be at least 1");
  return rows;
}

export function modesOption(text: string): readonly Mode[] {
  const modes = MODES[text];
  if (modes === undefined) throw new UsageError(`--mode is batch, stream or both, not "${text}"`);
  return modes;
}

export function buildOption(text: string): BuildName {
  if (!(BUILDS as readonly string[]).includes(text)) {
    throw new UsageError(`--build is ${BUILDS.join(", ")}, not "${text}"`);
  }
  return text as BuildName;
}

export function integerOption(text: string | undefined, name: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new UsageError(`--${name} takes whole numbers from ${least} to ${most}, not "${text}"`);
  }
  return value;
}

export function positiveOption(text: string | undefined, name: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) {
    throw new UsageError(`--${name} takes a positive number, not "${text}"`);
  }
  return value;
}

export function fileOption(text: string | undefined, name: string): string | null {
  if (text === undefined) return null;
  if (text === "true") throw new UsageError(`--${name} needs a file name`);
  return text;
}
