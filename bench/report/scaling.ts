// What more threads are good for: how many times as many rows a second they do as one, beside how many times as many bytes
// they read from memory. Where the second figure is low, threads that do little more than read cannot gain more either.

import { grouped } from "./grouped.js";
import { counts, geometricMean, type ResultRow, ratioTo } from "./report.js";

export interface Scaling {
  readonly suite: string;
  readonly case: string;
  readonly mode: ResultRow["mode"];
  readonly threads: number;
  readonly size?: number;
  /** Millrace's rows/s over those that it does with one thread, each by its fastest quarter of runs. */
  readonly speedup: number;
}

/** Reading memory and nothing else. */
export interface MemorySpeed {
  readonly threads: number;
  /** Of all threads together. */
  readonly bytesPerSec: number;
}

/** Millrace with several threads against itself with one, where both were measured. */
export function scalingOf(results: readonly ResultRow[]): Scaling[] {
  const own = results.filter((row) => row.engine === "millrace").filter(counts);
  return own.flatMap((row) => {
    const { suite, case: name, mode, threads, size, rows } = row;
    const isSame = (other: ResultRow) => other.suite === suite && other.case === name && other.rows === rows;
    const one = own.find((other) => isSame(other) && other.mode === mode && other.threads === 1);
    if (threads === 1 || one === undefined) return [];
    const speedup = Number(ratioTo(row, one).toFixed(3));
    return [{ suite, case: name, mode, threads, ...(size === undefined ? {} : { size }), speedup }];
  });
}

/** A line for each suite, mode and number of threads, and one of the memory. */
export function scalingLines(scaling: readonly Scaling[], memory: readonly MemorySpeed[]): string[] {
  const groups = grouped(scaling, ({ suite, mode, threads, size }) => `${suite} ${mode} ${threads} ${size}`);
  const lines = [...groups.values()].map((group) => {
    const { suite, mode, threads, size } = group[0];
    const of = size === undefined ? "" : `, ${size.toLocaleString("en-US")} rows`;
    const mean = geometricMean(group.map(({ speedup }) => speedup));
    const bySpeedup = [...group].sort((a, b) => a.speedup - b.speedup);
    const from = (one: Scaling) => `${one.speedup.toFixed(2)} (${one.case})`;
    const range = group.length === 1 ? "" : `, from ${from(bySpeedup[0]!)} to ${from(bySpeedup.at(-1)!)}`;
    return `${suite}, ${mode}${of}: ${threads} threads do ${mean.toFixed(2)} times as much as one${range}`;
  });
  return lines.length === 0 ? [] : [...lines, ...memoryLine(memory)];
}

function memoryLine(memory: readonly MemorySpeed[]): string[] {
  const one = memory.find(({ threads }) => threads === 1);
  const more = memory.filter(({ threads }) => threads > 1);
  if (one === undefined || more.length === 0) return [];
  const speed = ({ bytesPerSec }: MemorySpeed) => `${(bytesPerSec / 1e9).toPrecision(3)} GB/s`;
  const others = more.map(
    (many) =>
      `${many.threads} read ${speed(many)}, ${(many.bytesPerSec / one.bytesPerSec).toFixed(2)} times as much`,
  );
  return [`memory: one thread reads ${speed(one)}, ${others.join("; ")}`];
}
