// A run on a line of time, in Chrome's trace event format: Perfetto (ui.perfetto.dev) and chrome://tracing open it.
//
// A track a thread; on it a slice a piece of work of an operator, with the calls into the kernel inside of it. Other
// threads than the calling one do nothing but such calls: their slices are the morsels that they pushed, and the parts
// of states that they divided or brought together.
// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU

import type { OperatorProfile, RunProfile } from "../../bindings/ts/index.js";

interface TraceEvent {
  readonly name: string;
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args?: Readonly<Record<string, unknown>>;
}

const PROCESS = 1;
/** The thread that called the engine; workers count from here. */
const CALLER = 1;

export function chromeTrace(
  title: string,
  { plan, slices, workers }: RunProfile,
): { traceEvents: TraceEvent[] } {
  const operators = new Map(operatorsIn(plan).map((operator) => [operator.id, operator]));
  const meta = (name: string, args: TraceEvent["args"], tid = CALLER): TraceEvent => {
    return { name, ph: "M", pid: PROCESS, tid, args: args! };
  };
  const events = slices.map(({ operator, worker, call, start, ms, rows, piece }): TraceEvent => {
    const { name, detail } = operators.get(operator)!;
    const which = { ...(rows > 0 ? { rows } : {}), ...(piece === undefined ? {} : { morsel: piece }) };
    const args = call === "kernel" ? { operator: name } : { detail, ...which };
    return {
      name: call === "kernel" ? "kernel" : `${name}: ${call}`,
      cat: call === "kernel" ? "kernel" : "operator",
      ph: "X",
      pid: PROCESS,
      tid: CALLER + worker,
      ts: start * 1000,
      dur: ms * 1000,
      args,
    };
  });
  // A slice is written when it ends; viewers want the outer one first.
  events.sort((a, b) => a.ts! - b.ts! || b.dur! - a.dur!);
  return {
    traceEvents: [
      meta("process_name", { name: `millrace ${title}` }),
      meta("thread_name", { name: "calling thread" }),
      ...workers
        .slice(1)
        .map((_, index) => meta("thread_name", { name: `worker ${index + 1}` }, CALLER + 1 + index)),
      ...events,
    ],
  };
}

/** A node and all below it, from the result to the sources. */
export function operatorsIn(plan: OperatorProfile): OperatorProfile[] {
  return [plan, ...plan.inputs.flatMap(operatorsIn)];
}
