// The child process of a contender, or of several: waits for calls from the parent, one at a time, and answers them.
//
// The first call about a contender makes it, the end of the last one is that of the process. `prepare` generates a data
// file instead (in a process of its own, so that the generator's memory is given back), `readMemory` reads memory.

import { UnavailableError } from "../engine/engine.js";
import { type DataRequest, prepareData } from "../input/data-file.js";
import { type ContenderSpec, LocalContender } from "./contender.js";
import { readingSpeed } from "./memory-speed.js";

export type Call =
  | { readonly id: number; readonly method: "prepare"; readonly request: DataRequest }
  | { readonly id: number; readonly method: "readMemory"; readonly ms: number }
  | ContenderCall;

/** About the contender of that number. */
export type ContenderCall = { readonly id: number; readonly contender: number } & (
  | { readonly method: "open"; readonly spec: ContenderSpec }
  | { readonly method: "run"; readonly leastMs: number }
  | { readonly method: "warmUp"; readonly ms: number; readonly leastMs: number }
  | { readonly method: "peakRssMiB" | "check" | "table" | "close" }
);

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string; readonly unavailable: boolean };

const contenders = new Map<number, LocalContender>();

async function answer(call: Call): Promise<unknown> {
  if (call.method === "prepare") return prepareData(call.request);
  if (call.method === "readMemory") return readingSpeed(call.ms);
  if (call.method === "open") contenders.set(call.contender, new LocalContender(call.spec));
  const contender = contenders.get(call.contender)!;
  if (call.method === "run") return contender.run(call.leastMs);
  if (call.method === "warmUp") return contender.warmUp(call.ms, call.leastMs);
  if (call.method === "close") contenders.delete(call.contender);
  return contender[call.method]();
}

process.on("message", async (call: Call) => {
  let message: Answer;
  try {
    message = { id: call.id, value: await answer(call) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    message = { id: call.id, error: text, unavailable: error instanceof UnavailableError };
  }
  process.send!(message);
  const isOnly = call.method === "prepare" || call.method === "readMemory";
  if (isOnly || (call.method === "close" && contenders.size === 0)) process.disconnect();
});
