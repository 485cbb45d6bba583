// Where V8's sampling profiler finds this process, function by function.
//
// Functions of the kernel have names in the build that carries them (`debug`); in the others they are numbers. A
// sample counts for the function on top (its self time), so inlined functions count for the one they were put into.

import { Session } from "node:inspector";

/** Time between samples. A profile of a second has ten thousand of them. */
const INTERVAL_US = 100;

/** What a `.cpuprofile` file holds; times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples?: readonly number[];
  readonly timeDeltas?: readonly number[];
}

export type FunctionKind = "kernel" | "typescript" | "node" | "engine" | "waiting";

export interface FunctionTime {
  readonly name: string;
  /** `kernel`; `typescript`: Millrace's own code around it; `node`: the host's; `engine`: garbage collection and what V8 does itself. */
  readonly kind: FunctionKind;
  readonly selfMs: number;
  /** Of the time that was not spent waiting. */
  readonly share: number;
}

/** Samples this process while `work` runs. */
export async function sampled(work: () => Promise<void>): Promise<CpuProfile> {
  const session = new Session();
  session.connect();
  const post = (method: string, parameters: object = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      session.post(method, parameters, (error: Error | null, answer: unknown) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  try {
    await post("Profiler.enable");
    await post("Profiler.setSamplingInterval", { interval: INTERVAL_US });
    await post("Profiler.start");
    await work();
    return ((await post("Profiler.stop")) as { profile: CpuProfile }).profile;
  } finally {
    session.disconnect();
  }
}

/** Self times by function, the longest first. */
export function functionTimes({ nodes, samples = [], timeDeltas = [] }: CpuProfile): FunctionTime[] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map<string, { name: string; kind: FunctionKind; us: number }>();
  samples.forEach((id, index) => {
    const frame = frames.get(id);
    if (frame === undefined || isProfiler(frame)) return;
    const kind = kindOf(frame);
    const name = nameOf(frame, kind);
    const known = times.get(`${kind} ${name}`) ?? { name, kind, us: 0 };
    known.us += Math.max(0, timeDeltas[index] ?? 0);
    times.set(`${kind} ${name}`, known);
  });
  const all = [...times.values()];
  const busy = all.reduce((sum, { kind, us }) => sum + (kind === "waiting" ? 0 : us), 0);
  return all
    .sort((a, b) => b.us - a.us)
    .map(({ name, kind, us }) => {
      const share = kind === "waiting" || busy === 0 ? 0 : us / busy;
      return { name, kind, selfMs: us / 1000, share };
    });
}

type Frame = CpuProfile["nodes"][number]["callFrame"];

/** The session's own calls, which start and stop the profiler. */
function isProfiler({ functionName, url }: Frame): boolean {
  return functionName === "dispatch" && url === "";
}

function kindOf({ functionName, url }: Frame): FunctionKind {
  if (url.startsWith("wasm:")) return "kernel";
  if (functionName === "(idle)") return "waiting";
  if (url === "" || functionName.startsWith("(")) return "engine";
  return url.startsWith("node:") ? "node" : "typescript";
}

function nameOf({ functionName, url, lineNumber }: Frame, kind: FunctionKind): string {
  const name = functionName === "" ? "(anonymous)" : functionName;
  if (kind !== "typescript") return name;
  return `${name} (${url.slice(url.lastIndexOf("/") + 1)}:${lineNumber + 1})`;
}
