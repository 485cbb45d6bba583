// Threads, the same on every host: `worker_threads` in Node, Web Workers elsewhere.
//
// A worker starts from text, the function of worker.ts and a few lines that give it its channel. So there is no file
// to be found: it works from TypeScript source, from `dist`, and in whatever a bundler has made, without its help. The
// price is that a page with a content security policy must allow `worker-src blob:`; one that does not has one
// thread, and says so. Considered: `new Worker(new URL("./worker.js", import.meta.url), { type: "module" })`, which
// bundlers follow, but which Node cannot load from TypeScript source, and which makes a second copy of the package's
// modules in every worker (15 ms more to open).

import type { FromWorker, ToWorker } from "./worker.js";
import { runWorker } from "./worker.js";

/** A running thread, seen from the one that started it. */
export interface Thread {
  post(message: ToWorker): void;
  /** Whether the thread keeps the process alive; at first it does not. */
  hold(keeps: boolean): void;
  terminate(): Promise<void>;
}

export interface ThreadEvents {
  message(message: FromWorker): void;
  /** The thread is gone, for the reason given if there is one. */
  exit(reason: unknown): void;
}

// Tools that keep the names of functions (tsx) wrap inner ones in calls of `__name`.
const KEEP_NAMES = "const __name = (value) => value;\n";

const NODE_PORT = `
const { parentPort, receiveMessageOnPort } = require("node:worker_threads");
const port = {
  post: (message) => parentPort.postMessage(message),
  listen: (receive) => parentPort.on("message", receive),
  next: () => receiveMessageOnPort(parentPort)?.message ?? null,
  close: () => parentPort.close(),
  end: () => process.exit(1),
};
`;

const WEB_PORT = `
const port = {
  post: (message) => self.postMessage(message),
  listen: (receive) => { self.onmessage = ({ data }) => receive(data); },
  close: () => self.close(),
  end: () => self.close(),
};
`;

function runsInNode(): boolean {
  return typeof process !== "undefined" && typeof process.versions?.node === "string";
}

/** Cores of this host, as far as it tells; else one. */
export function coresOfHost(): number {
  const { navigator } = globalThis as { navigator?: { readonly hardwareConcurrency?: number } };
  if (navigator?.hardwareConcurrency !== undefined) return navigator.hardwareConcurrency;
  return runsInNode() ? process.getBuiltinModule("node:os").availableParallelism() : 1;
}

/** Why this host has no threads that share a memory; null when it has them. */
export function whyNoThreads(): string | null {
  if (typeof SharedArrayBuffer === "undefined") {
    return "this host shares no memory (a page has to be cross-origin isolated)";
  }
  if (!runsInNode() && typeof Worker === "undefined") return "this host has no workers";
  const { crossOriginIsolated } = globalThis as { crossOriginIsolated?: boolean };
  if (!runsInNode() && crossOriginIsolated !== true) {
    return "the page is not cross-origin isolated, so that memory cannot be shared";
  }
  return null;
}

/** Starts a thread that runs worker.ts. */
export async function spawn(events: ThreadEvents): Promise<Thread> {
  return runsInNode() ? spawnNode(events) : spawnWeb(events);
}

async function spawnNode(events: ThreadEvents): Promise<Thread> {
  const { Worker: NodeWorker } = await import("node:worker_threads");
  const source = `${KEEP_NAMES}${NODE_PORT}(${runWorker.toString()})(port);`;
  const worker = new NodeWorker(source, { eval: true, execArgv: [], name: "millrace" });
  let reason: unknown = null;
  worker.on("message", (message: FromWorker) => events.message(message));
  worker.on("error", (error) => {
    reason = error;
  });
  worker.on("exit", () => events.exit(reason));
  worker.unref();
  return {
    post: (message) => worker.postMessage(message),
    hold: (keeps) => (keeps ? worker.ref() : worker.unref()),
    terminate: async () => {
      await worker.terminate();
    },
  };
}

async function spawnWeb(events: ThreadEvents): Promise<Thread> {
  const source = `${KEEP_NAMES}${WEB_PORT}(${runWorker.toString()})(port);`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url, { name: "millrace" });
  let gone = false;
  const exit = (reason: unknown) => {
    if (gone) return;
    gone = true;
    URL.revokeObjectURL(url);
    events.exit(reason);
  };
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => events.message(data);
  worker.onerror = (event) => {
    worker.terminate();
    exit(new Error(event.message));
  };
  return {
    post: (message) => worker.postMessage(message),
    hold: () => {},
    terminate: async () => {
      worker.terminate();
      exit(null);
    },
  };
}
