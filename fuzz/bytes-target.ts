// Bad bytes: Arrow IPC files and streams, states of aggregations, and checkpoints of streams, in which some bytes were
// changed, or the end cut off. Whatever comes of it is a result or a typed error, soon, and with memory back where it was.

import { inspect } from "node:util";
import type { StateBatch } from "../bindings/ts/kernel/state.js";
import { HEAD_BYTES, seal } from "../bindings/ts/scheduler/checkpoint.js";
import { KernelTrapError, MillraceError } from "../bindings/ts/type/error.js";
import { RowRandom } from "../fixtures/random.js";
import type { Draw } from "./draw.js";
import { Disagreement, Engines } from "./engines.js";
import { drawPlan, type PlanCase } from "./plan.js";
import { sourceText } from "./source-text.js";
import type { Target } from "./target.js";
import { type Disturbance, drawWay, runWay, type Way } from "./way.js";

export interface Damage {
  readonly what: "ipc" | "state" | "checkpoint";
  readonly seed: number;
  /** How many places. */
  readonly places: number;
  /** The end is cut off here, in 256ths; 256: nowhere. */
  readonly keep: number;
  /** Of a checkpoint: its checksum is right again, so that the damage is found behind it, or not at all. */
  readonly sealed?: boolean;
}

/** Processor time that hardly a case needs; one that takes more must need it without damage, too. */
const SLOW_MS = 5000;
/** ... or a good part of it: damaged rows may match more often. */
const SLOWER = 3;

export class BytesTarget implements Target {
  readonly name = "bytes";
  readonly #engines: Engines;
  readonly #counts = { refused: 0, accepted: 0 };

  private constructor(engines: Engines) {
    this.#engines = engines;
  }

  static async open(): Promise<BytesTarget> {
    return new BytesTarget(new Engines());
  }

  async run(draw: Draw): Promise<void> {
    const { damage, way, one } = this.#draw(draw);
    const isRefused = await endures(this.#engines, one, way, damage);
    this.#counts[isRefused ? "refused" : "accepted"]++;
  }

  #draw(draw: Draw): { damage: Damage; way: Way; one: PlanCase } {
    const what = draw.pick(["ipc", "state", "checkpoint"] as const);
    const damage: Damage = {
      what,
      seed: draw.below(2 ** 20),
      places: 1 + draw.below(draw.pick([1, 4, 16])),
      keep: draw.chance(20) ? draw.below(256) : 256,
      ...(what === "checkpoint" ? { sealed: draw.chance(80) } : {}),
    };
    const way = drawWay(draw, this.#engines.builds);
    const one = drawPlan(draw);
    if (what === "ipc") return { damage, one, way: { ...way, form: "ipc", encoding: "plain" } };
    if (what === "checkpoint") {
      const mode = way.mode === "update" ? "update" : "stream";
      return { damage, one, way: { ...way, mode, checkpoint: 1 + draw.below(8) } };
    }
    const faults = { ...way.faults, restart: 1 };
    return { damage, one, way: { ...way, faults, mode: way.mode === "update" ? "stream" : way.mode } };
  }

  test(draw: Draw, title: string): string {
    const { damage, way, one } = this.#draw(draw);
    return `it(${JSON.stringify(title)}, () =>\n  endured(${sourceText(one, "  ")}, ${sourceText(way, "  ")}, ${sourceText(damage)}));`;
  }

  summary(): string {
    return `${this.#counts.refused} inputs refused, ${this.#counts.accepted} accepted`;
  }

  close(): Promise<void> {
    return this.#engines.close();
  }
}

/**
 * Runs a case over damaged bytes.
 * @returns whether they were refused
 * @throws Disagreement for an error that is not typed, a trap, a hang, memory that is not given back
 */
export async function endures(engines: Engines, one: PlanCase, way: Way, damage: Damage): Promise<boolean> {
  const { error, ms } = await timed(engines, one, way, damage);
  // Rows that only damaged values make; `runWay` says so itself.
  const isTyped = error === null || error instanceof MillraceError || isOwn(error);
  if (!isTyped || error instanceof KernelTrapError)
    throw new Disagreement(`${damage.what}: ${inspect(error)}`, {
      cause: error,
    });
  if (ms > SLOW_MS) {
    const whole = await timed(engines, one, way, null);
    if (ms > SLOWER * whole.ms) {
      throw new Disagreement(
        `${damage.what}: took ${ms.toFixed(0)} ms, without damage ${whole.ms.toFixed(0)} ms`,
      );
    }
  }
  engines.checkIdle();
  return error !== null;
}

/** Runs a case, with damage or without; what it threw, and the processor time that it took. */
async function timed(
  engines: Engines,
  one: PlanCase,
  way: Way,
  damage: Damage | null,
): Promise<{ error: unknown; ms: number }> {
  const faulty = await engines.at(way);
  faulty.faults = way.faults;
  if (damage?.what === "state") faulty.damage = (states) => damagedStates(states, damage);
  const disturbance = damage === null ? {} : disturbedBy(damage);
  const start = process.cpuUsage();
  let error: unknown = null;
  try {
    await runWay(faulty, one, way, disturbance);
  } catch (failure) {
    error = failure;
  } finally {
    faulty.damage = null;
  }
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  return { error, ms: process.cpuUsage(start).user / 1000 };
}

function disturbedBy(damage: Damage): Pick<Disturbance, "bytes" | "saved"> {
  if (damage.what === "ipc") return { bytes: (ipc) => damaged(ipc, damage) };
  if (damage.what === "state") return {};
  const saved = (checkpoint: Uint8Array) => {
    const changed = damaged(checkpoint, damage);
    if (!damage.sealed) return changed;
    // A length that is none is told before the checksum is.
    const whole = changed.slice(0, changed.length & ~7);
    if (whole.length >= HEAD_BYTES) seal(whole);
    return whole;
  };
  return { saved };
}

/** What the fuzzer's own reading of results says of late rows and of changes. */
function isOwn(error: unknown): boolean {
  return error instanceof RangeError && /rows are late|was taken back/.test(error.message);
}

/** Values that often matter. */
const WORDS = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff];

function damaged(bytes: Uint8Array, { seed, places, keep }: Damage): Uint8Array {
  const random = new RowRandom(seed, "bytes");
  const copy = bytes.slice(0, Math.floor((bytes.length * keep) / 256));
  for (let at = 0; at < places && copy.length > 0; at++) {
    // Metadata stands at the front and, in files, at the end: there most changes mean something.
    const reach = [copy.length, Math.min(copy.length, 1024)][random.below(4 * at, 2)]!;
    const from = random.below(4 * at + 1, reach);
    const position = random.below(4 * at + 2, 3) === 0 ? copy.length - 1 - from : from;
    const value = random.below(4 * at + 3, WORDS.length + 256);
    copy[position] = WORDS[value] ?? value - WORDS.length;
  }
  return copy;
}

function damagedStates(states: readonly StateBatch[], damage: Damage): readonly StateBatch[] {
  const { seed, places, keep } = damage;
  const random = new RowRandom(seed, "states");
  const changed = [...states];
  for (let at = 0; at < places && changed.length > 0; at++) {
    const index = random.below(8 * at, changed.length);
    const state = changed[index]!;
    switch (random.below(8 * at + 1, 6)) {
      case 0:
        changed.splice(index, 1);
        break;
      case 1:
        changed.splice(index, 0, state);
        break;
      case 2:
        changed[index] = { ...state, section: random.below(8 * at + 2, 12) };
        break;
      default:
        changed[index] = damagedState(state, random, 8 * at + 3);
    }
  }
  return changed.slice(0, Math.ceil((changed.length * keep) / 256));
}

/** One byte of one buffer of one column is another. */
function damagedState(state: StateBatch, random: RowRandom, at: number): StateBatch {
  if (state.columns.length === 0) return state;
  const column = random.below(at, state.columns.length);
  const columns = [...state.columns];
  const old = columns[column]!;
  const buffer = (["values", "offsets", "validity"] as const)[random.below(at + 1, 3)]!;
  const bytes = old[buffer];
  if (bytes === null || bytes.length === 0) return state;
  const copy = bytes.slice();
  const value = random.below(at + 3, WORDS.length + 256);
  copy[random.below(at + 2, copy.length)] = WORDS[value] ?? value - WORDS.length;
  columns[column] = { ...old, [buffer]: copy };
  return { ...state, columns };
}
