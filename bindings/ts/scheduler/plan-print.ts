// What tells plans apart for a checkpoint: the steps of each chain as people read them, and a hash of all that the kernel
// is told of them. A state fits where these are the same; the kernel asks the same of each operator's configuration.

import { chainsIn, type LoweredPlan, type Stage, stageTitle } from "../plan/index.js";
import { typeName, valueType } from "../type/data-type.js";
import { CheckpointError } from "../type/error.js";
import type { WatermarkOptions } from "./watermark.js";

export interface ChainPrint {
  readonly source: string;
  /** As `ts: timestamp[ms]`, of the columns that are read. */
  readonly columns: readonly string[];
  /** How its watermarks are declared; null where they are not. */
  readonly watermark: string | null;
  readonly stages: readonly { readonly title: string; readonly hash: string }[];
}

/** By the number of the source. */
export function planPrint(
  plan: LoweredPlan,
  watermarks: Readonly<Record<string, WatermarkOptions>>,
): ChainPrint[] {
  return chainsIn(plan).map(({ source, stages }) => ({
    source: source.name,
    columns: source.columns.map((index) => {
      const { name, type } = source.schema.fields[index]!;
      return `${name}: ${typeName(valueType(type))}`;
    }),
    watermark: Object.hasOwn(watermarks, source.name) ? watermarkText(watermarks[source.name]!) : null,
    stages: stages.map((stage) => {
      const { name, detail } = stageTitle(stage);
      return { title: `${name} ${detail}`, hash: stageHash(stage) };
    }),
  }));
}

/** How long to wait for a silent source may change, and a function cannot be compared. */
function watermarkText({ idleTimeout: _, ...options }: WatermarkOptions): string {
  return JSON.stringify(options, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}` : typeof value === "function" ? "a function" : value,
  );
}

/** What messages say, expressions that the program has been made from, and how sets share one, which states do not tell. */
const UNTOLD = new Set(["instructions", "instant", "outputs", "texts", "text", "filters", "together"]);

function stageHash(stage: Stage): string {
  const text = JSON.stringify(stage, (key, value: unknown) => {
    if (UNTOLD.has(key) || typeof value === "function") return undefined;
    // The other side is a chain of its own; of a window's time the output's number tells.
    if (key === "input" || (key === "time" && typeof value === "object")) return undefined;
    if (typeof value === "bigint") return `${value}n`;
    if (value instanceof Uint8Array) return hash(value);
    return value;
  });
  return hash(new TextEncoder().encode(text));
}

/** FNV-1a in 64 bits. */
function hash(bytes: Uint8Array): string {
  let [high, low] = [0xcbf29ce4, 0x84222325];
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0;
    // Times 2^40 + 0x1b3.
    const product = low * 0x1b3;
    high = (Math.imul(high, 0x1b3) + Math.floor(product / 2 ** 32) + (low << 8)) >>> 0;
    low = product >>> 0;
  }
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

/** @throws CheckpointError that says what differs first. */
export function checkPrint(was: readonly ChainPrint[], is: readonly ChainPrint[]): void {
  const refuse = (what: string, before: unknown, now: unknown) => {
    const said = (value: unknown) => (value === null || value === undefined ? "none" : JSON.stringify(value));
    throw new CheckpointError(
      `the checkpoint is of another plan: ${what} was ${said(before)} there, and is ${said(now)} here`,
      { value: now, expected: typeof before === "string" ? before : said(before) },
    );
  };
  const names = (chains: readonly ChainPrint[]) => chains.map(({ source }) => source).join(", ");
  if (names(was) !== names(is)) refuse("what it reads", names(was), names(is));
  for (const [index, chain] of is.entries()) {
    const before = was[index]!;
    const of = ` of source "${chain.source}"`;
    for (let at = 0; at < Math.max(chain.stages.length, before.stages.length); at++) {
      const [then, now] = [before.stages[at], chain.stages[at]];
      if (then?.title !== now?.title) refuse(`step ${at + 1}${of}`, then?.title, now?.title);
    }
    const columns = [before, chain].map((one) => one.columns.join(", "));
    if (columns[0] !== columns[1]) refuse(`the columns read${of}`, columns[0], columns[1]);
    if (before.watermark !== chain.watermark) refuse(`the watermark${of}`, before.watermark, chain.watermark);
    const at = chain.stages.findIndex(({ hash }, index) => before.stages[index]!.hash !== hash);
    if (at < 0) continue;
    throw new CheckpointError(
      `the checkpoint is of another plan: step ${at + 1}${of}, ${chain.stages[at]!.title}, has other types, literals or options than there`,
      { value: chain.stages[at]!.title },
    );
  }
}
