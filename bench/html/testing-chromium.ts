// A real browser for tests: Chromium without a window, over its debugging pipe (one JSON message after the other, each
// ended by a zero byte, on the file descriptors 3 and 4), so that nothing has to be installed to speak with it.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** The program: $CHROMIUM, or what is found by its usual names; null where there is none. */
export function findChromium(): string | null {
  const names = process.env.CHROMIUM === undefined ? NAMES : [process.env.CHROMIUM];
  return names.find((name) => spawnSync(name, ["--version"]).status === 0) ?? null;
}

export interface View {
  readonly width: number;
  readonly height: number;
  readonly scheme: "light" | "dark";
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

type Settle = { resolve(value: Record<string, unknown>): void; reject(error: Error): void };

export class Chromium {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #waiting = new Map<number, Settle>();
  readonly #listeners = new Set<(message: Message) => void>();
  #lastId = 0;
  #target = "";
  #session = "";
  #partial = "";

  private constructor(program: string) {
    this.#folder = mkdtempSync(join(tmpdir(), "millrace-chromium-"));
    const isRoot = process.getuid?.() === 0;
    const flags = ["--headless", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"];
    this.#process = spawn(
      program,
      [...flags, ...(isRoot ? ["--no-sandbox"] : []), `--user-data-dir=${this.#folder}`, "about:blank"],
      // A group of its own: its helpers end with it.
      { detached: true, stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
    );
    const output = this.#process.stdio[4] as Readable;
    output.setEncoding("utf8");
    output.on("data", (text: string) => this.#read(text));
    // It is ended while it may still be speaking.
    for (const pipe of this.#process.stdio) pipe?.on("error", () => {});
    this.#process.on("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("Chromium ended"));
      this.#waiting.clear();
    });
  }

  static async open(program: string): Promise<Chromium> {
    const browser = new Chromium(program);
    await browser.#openPage();
    return browser;
  }

  /** A page of its own for each visit: leaving a large one takes longer than opening another. */
  async #openPage(): Promise<void> {
    const before = this.#target;
    this.#session = "";
    const { targetId } = await this.#call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.#call("Target.attachToTarget", { targetId, flatten: true });
    if (before !== "") await this.#call("Target.closeTarget", { targetId: before });
    this.#target = String(targetId);
    this.#session = String(sessionId);
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await this.#call(`${domain}.enable`);
    await this.#call("Performance.enable", { timeDomain: "threadTicks" });
  }

  /** Opens a page in a window of this size; answers what was logged as an error, and every address that was asked for. */
  async visit(url: string, { width, height, scheme }: View): Promise<{ errors: string[]; asked: string[] }> {
    await this.#openPage();
    await this.#call("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: width < 600,
    });
    await this.#call("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: scheme }],
    });
    const errors: string[] = [];
    const asked: string[] = [];
    let hasBegun = false;
    const loaded = new Promise<void>((resolve) => {
      const listen = ({ method, params }: Message) => {
        // The empty page before may still be finishing.
        if (method === "Page.frameNavigated" && (params!.frame as { url: string }).url === url)
          hasBegun = true;
        if (method === "Page.loadEventFired" && hasBegun) {
          this.#listeners.delete(listen);
          resolve();
        }
        if (method === "Network.requestWillBeSent")
          asked.push(String((params!.request as { url: string }).url));
        if (method === "Runtime.exceptionThrown" || method === "Log.entryAdded")
          errors.push(JSON.stringify(params));
        if (method === "Runtime.consoleAPICalled" && params!.type === "error")
          errors.push(JSON.stringify(params));
      };
      this.#listeners.add(listen);
    });
    await this.#call("Page.navigate", { url });
    await loaded;
    return { errors, asked };
  }

  /** The value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#call("Runtime.evaluate", {
      expression,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  }

  /** Seconds of the processor that the page has taken so far. */
  async pageSeconds(): Promise<number> {
    const { metrics } = await this.#call("Performance.getMetrics");
    return (metrics as { name: string; value: number }[]).find(({ name }) => name === "TaskDuration")!.value;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    const { pid } = this.#process;
    if (process.platform === "win32" || pid === undefined) this.#process.kill("SIGKILL");
    else process.kill(-pid, "SIGKILL");
    await ended;
    // A helper may still be writing its profile.
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20 });
  }

  #call(method: string, params: object = {}): Promise<Record<string, unknown>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const session = this.#session === "" ? {} : { sessionId: this.#session };
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
  }

  #read(text: string): void {
    const parts = (this.#partial + text).split("\0");
    this.#partial = parts.pop()!;
    for (const part of parts) {
      const message: Message = JSON.parse(part);
      const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
      if (waiting === undefined) {
        for (const listener of this.#listeners) listener(message);
        continue;
      }
      this.#waiting.delete(message.id!);
      if (message.error === undefined) waiting.resolve(message.result ?? {});
      else waiting.reject(new Error(message.error.message));
    }
  }
}
