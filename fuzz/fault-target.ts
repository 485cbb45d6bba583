// Faults on purpose: memory that ends, signals, consumers that leave, sources that throw, a clock that goes back, threads
// that end, disks that fail.
// Whatever happens is a typed error, the fault's own, or the right result; afterwards memory is back where it was, and
// the same plan gives the twin's rows.

import { inspect } from "node:util";
import { MemoryLimitError, SpillError, WorkerError } from "../bindings/ts/index.js";
import { CorruptStateError, MillraceError } from "../bindings/ts/type/error.js";
import { abortAfter } from "./abort-after.js";
import { agree } from "./agree.js";
import type { Draw } from "./draw.js";
import { Disagreement, Engines } from "./engines.js";
import { drawPlan, type PlanCase } from "./plan.js";
import { sourceText } from "./source-text.js";
import type { DiskFault } from "./spill-disk.js";
import type { Target } from "./target.js";
import { type Disturbance, drawWay, runWay, type Way } from "./way.js";

/**
 * What goes wrong, and when: at which allocation, before which batch of a source, after which batch of results, after how
 * many turns of the event loop, with which morsel, at which call of the file system.
 */
export interface Fault {
  readonly kind:
    | "allocation"
    | "abort"
    | "signal"
    | "leave"
    | "throw"
    | "clock"
    | "thread"
    | DiskFault["kind"];
  readonly at: number;
}

const DISK: readonly Fault["kind"][] = ["full", "cut", "changed", "gone"] satisfies DiskFault["kind"][];

class SourceFailure extends Error {}
class Aborted extends Error {}

export class FaultTarget implements Target {
  readonly name = "fault";
  readonly #engines: Engines;
  readonly #counts = { disturbed: 0, unharmed: 0 };

  private constructor(engines: Engines) {
    this.#engines = engines;
  }

  static async open(): Promise<FaultTarget> {
    return new FaultTarget(new Engines());
  }

  async run(draw: Draw): Promise<void> {
    const { fault, way, one } = this.#draw(draw);
    const isDisturbed = await survives(this.#engines, one, way, fault);
    this.#counts[isDisturbed ? "disturbed" : "unharmed"]++;
  }

  #draw(draw: Draw): { fault: Fault; way: Way; one: PlanCase } {
    const kind = draw.pick([
      "allocation",
      "allocation",
      "allocation",
      "abort",
      "signal",
      "signal",
      "leave",
      "throw",
      "clock",
      "full",
      "cut",
      "changed",
      "gone",
      // Another thread has to start.
      ...(draw.chance(50) ? (["thread"] as const) : []),
    ] as const);
    const at =
      kind === "allocation" ? 1 + draw.below(draw.pick([10, 40, 200])) : draw.below(draw.pick([4, 20]));
    const way = drawWay(draw, this.#engines.builds);
    return { fault: { kind, at }, way: exposed(way, kind), one: drawPlan(draw) };
  }

  test(draw: Draw, title: string): string {
    const { fault, way, one } = this.#draw(draw);
    return `it(${JSON.stringify(title)}, () =>\n  survived(${sourceText(one, "  ")}, ${sourceText(way, "  ")}, ${sourceText(fault)}));`;
  }

  summary(): string {
    return `${this.#counts.disturbed} runs ended by their fault, ${this.#counts.unharmed} not`;
  }

  close(): Promise<void> {
    return this.#engines.close();
  }
}

/** The way as one that the fault can meet: with threads, or files. */
function exposed(way: Way, kind: Fault["kind"]): Way {
  if (kind === "thread") {
    const mode = way.mode === "kernel" ? "kernel" : "collect";
    return { ...way, mode, workers: Math.max(2, way.workers), shy: 3, spill: null };
  }
  if (!DISK.includes(kind)) return way;
  const { spill, faults } = way;
  return {
    ...way,
    spill: spill ?? { room: null },
    faults: { ...faults, refuse: Math.max(1, faults.refuse) },
  };
}

/**
 * Runs a case with a fault, then without.
 * @returns whether the fault ended the run
 * @throws Disagreement
 */
export async function survives(engines: Engines, one: PlanCase, way: Way, fault: Fault): Promise<boolean> {
  const controller = new AbortController();
  const disturbance = disturbanceOf(fault, controller);
  const faulty = await engines.at(way);
  faulty.faults = way.faults;
  const putBack = fault.kind === "clock" ? turnBack() : () => {};
  if (fault.kind === "allocation") faulty.kernel.failAllocation(fault.at);
  if (fault.kind === "signal") void abortAfter(controller, fault.at, new Aborted("enough"));
  if (fault.kind === "thread" && faulty.pool !== null) faulty.pool.faults.endAt = fault.at;
  engines.disk.fault = isOfDisk(fault) ? fault : null;
  let error: unknown = null;
  try {
    await runWay(faulty, one, way, disturbance);
  } catch (failure) {
    error = failure;
  } finally {
    faulty.kernel.failAllocation(0);
    putBack();
    if (faulty.pool !== null) faulty.pool.faults.endAt = undefined;
    engines.disk.fault = null;
  }
  // A source that was left behind ends a turn later.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  if (fault.kind === "thread") await engines.healed();
  const isOwn = isAnswer(error, fault);
  if (!isOwn && (!(error instanceof MillraceError) || error.code === "KERNEL_TRAP"))
    throw new Disagreement(`${fault.kind} at ${fault.at}: ${inspect(error)}`);
  engines.checkIdle();
  // An allocation that fails anywhere else than where memory is asked for would be another error.
  if (!isOwn && fault.kind === "allocation" && error instanceof CorruptStateError)
    throw new Disagreement(`allocation ${fault.at}: ${inspect(error)}`);
  await agree(engines, one, [way]);
  return isOwn && error !== null;
}

function isAnswer(error: unknown, { kind }: Fault): boolean {
  if (error === null) return true;
  if (kind === "allocation") return error instanceof MemoryLimitError;
  if (kind === "thread") return error instanceof WorkerError;
  if (DISK.includes(kind)) return error instanceof SpillError;
  return kind === "abort" || kind === "signal" ? error instanceof Aborted : error instanceof SourceFailure;
}

function isOfDisk(fault: Fault): fault is DiskFault {
  return DISK.includes(fault.kind);
}

function disturbanceOf({ kind, at }: Fault, controller: AbortController): Disturbance {
  if (kind === "leave") return { leaveAfter: at };
  if (kind === "throw") {
    const before = (batch: number) => {
      if (batch === at) throw new SourceFailure("the source fails");
    };
    return { before };
  }
  if (kind === "signal") return { signal: controller.signal };
  if (kind !== "abort") return {};
  const before = (batch: number) => {
    if (batch === at) controller.abort(new Aborted("enough"));
  };
  return { before, signal: controller.signal };
}

/** From now on the clocks run backwards; answers what puts them right. */
function turnBack(): () => void {
  const { now } = performance;
  const today = Date.now;
  let steps = 0;
  performance.now = () => now.call(performance) - 1000 * ++steps;
  Date.now = () => today() - 1_000_000 * ++steps;
  return () => {
    performance.now = now;
    Date.now = today;
  };
}
