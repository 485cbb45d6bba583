// The parent's side of a child process: calls with a time limit, and a plain error when the child dies.

import { type ChildProcess, fork } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { type EngineName, type RunFigure, UnavailableError } from "../engine/engine.js";
import { type DataFolder, type DataRequest, dataOnDisk } from "../input/data-file.js";
import type { CanonicalResult } from "../result/canonical.js";
import type { Answer, Call, ContenderCall } from "./child.js";
import type { Checked, Contender, ContenderSpec, Opened } from "./contender.js";

/** Longest that a call may take. Loading 100 million rows takes minutes; a run that long is a hang. */
const OPEN_LIMIT_MS = 600_000;
const CALL_LIMIT_MS = 120_000;

/** Heap for peers that keep their data there. */
const HEAP_MIB = 8192;

/**
 * Garbage is collected between runs, by the thread that asks for it: helpers of a collection go on for some milliseconds into
 * the next run, on the core that a second thread is to have (groupby/q3 and q8 by two take 0.94 of the time without them), and a
 * contender of one thread is to have one.
 */
const V8_FLAGS = ["--expose-gc", "--single-threaded-gc", `--max-old-space-size=${HEAP_MIB}`];

/** Processes that have not ended. */
const running = new Set<Child>();

/** Ends every child process at once; what waits for them fails. */
export function endChildren(): void {
  for (const child of running) child.kill();
}

type Unnumbered<T> = T extends unknown ? Omit<T, "id"> : never;
type Asked<T> = T extends unknown ? Omit<T, "id" | "contender"> : never;

class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  /** That it has been given. */
  contenders = 0;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #lastId = 0;
  #ended: string | null = null;
  #errorText = "";

  constructor(name: string, env: Record<string, string>) {
    this.#name = name;
    const here = fileURLToPath(import.meta.url);
    // In a checkout the parent's loader for TypeScript is handed on in its execArgv.
    this.#process = fork(here.replace(/child-process(\.[a-z]+)$/, `child${extname(here)}`), [], {
      execArgv: [...process.execArgv, ...V8_FLAGS],
      env: { ...process.env, ...env },
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    running.add(this);
    this.#process.stderr!.on("data", (text) => {
      this.#errorText = `${this.#errorText}${text}`.slice(-2000);
    });
    this.#process.on("message", (answer: Answer) => this.#settle(answer));
    this.#process.on("error", (error) => this.#end(error.message));
    this.#process.on("exit", (code, signal) => this.#end(signal ?? `exit code ${code}`));
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  call(call: Unnumbered<Call>, limitMs = CALL_LIMIT_MS): Promise<unknown> {
    if (this.#ended !== null) return Promise.reject(this.#deathError());
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        this.kill();
        reject(new Error(`${this.#name}: no answer to ${call.method} in ${limitMs / 1000} s`));
      }, limitMs);
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          then(value);
        };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#process.send({ ...call, id } as Call, (error) => {
        if (error !== null) this.#settle({ id, error: error.message, unavailable: false });
      });
    });
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    if (!("error" in answer)) waiting.resolve(answer.value);
    else waiting.reject(answer.unavailable ? new UnavailableError(answer.error) : new Error(answer.error));
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    running.delete(this);
    for (const { reject } of this.#waiting.values()) reject(this.#deathError());
    this.#waiting.clear();
  }

  #deathError(): Error {
    const said = this.#errorText.trim().split("\n").slice(-3).join(" | ");
    return new Error(`the process of ${this.#name} died (${this.#ended})${said === "" ? "" : `: ${said}`}`);
  }
}

/** A contender in a fresh process, or in that of another one. */
export class ChildContender implements Contender {
  readonly spec: ContenderSpec;
  readonly #child: Child;
  /** By which the child knows it. */
  readonly #number: number;

  constructor(spec: ContenderSpec, housemate?: ChildContender) {
    this.spec = spec;
    const env = { POLARS_MAX_THREADS: String(spec.options.threads) };
    this.#child =
      housemate === undefined ? new Child(`${spec.engine} on ${spec.case}`, env) : housemate.#child;
    this.#number = this.#child.contenders++;
  }

  /** Of the process; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  open(): Promise<Opened> {
    return this.#call({ method: "open", spec: this.spec }, OPEN_LIMIT_MS);
  }

  run(leastMs: number): Promise<RunFigure> {
    return this.#call({ method: "run", leastMs });
  }

  async warmUp(ms: number, leastMs: number): Promise<void> {
    await this.#call({ method: "warmUp", ms, leastMs });
  }

  peakRssMiB(): Promise<number> {
    return this.#call({ method: "peakRssMiB" });
  }

  check(): Promise<Checked> {
    return this.#call({ method: "check" }, OPEN_LIMIT_MS);
  }

  table(): Promise<CanonicalResult> {
    return this.#call({ method: "table" }, OPEN_LIMIT_MS);
  }

  async close(): Promise<void> {
    try {
      await this.#call({ method: "close" }, 5_000);
    } catch {
      this.#child.kill();
    }
  }

  #call<T>(call: Asked<ContenderCall>, limitMs = CALL_LIMIT_MS): Promise<T> {
    return this.#child.call({ ...call, contender: this.#number }, limitMs) as Promise<T>;
  }
}

/** Contenders of which those of one engine share a process. */
export function housemates(specs: readonly ContenderSpec[]): ChildContender[] {
  const first = new Map<EngineName, ChildContender>();
  return specs.map((spec) => {
    const contender = new ChildContender(spec, first.get(spec.engine));
    if (!first.has(spec.engine)) first.set(spec.engine, contender);
    return contender;
  });
}

/** Generates a data file in a process of its own, where it is not there yet. */
export async function prepareInChild(request: DataRequest): Promise<DataFolder> {
  const { folder, missing } = dataOnDisk(request);
  if (missing.length === 0) return folder;
  const child = new Child(`the generator of ${request.fixture}`, {});
  return child.call({ method: "prepare", request }, OPEN_LIMIT_MS) as Promise<DataFolder>;
}

/** Bytes a second that so many processes read from memory at the same time, each for `ms`. */
export async function readMemoryInChildren(processes: number, ms: number): Promise<number> {
  const children = Array.from({ length: processes }, () => new Child("a reader of memory", {}));
  const speeds = await Promise.all(children.map((child) => child.call({ method: "readMemory", ms })));
  return (speeds as number[]).reduce((sum, speed) => sum + speed, 0);
}
