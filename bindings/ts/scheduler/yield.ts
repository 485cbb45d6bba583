// Turns of the event loop, and waiting for others (sources, their clean-up) that a signal, or a turn, puts an end to.

declare const setImmediate: ((run: () => void) => void) | undefined;

/** One turn of the event loop: microtasks, timers and messages that are due. */
export function turn(): Promise<void> {
  if (typeof setImmediate === "function") return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    // Unlike setTimeout, a message is not delayed by 4 ms in browsers.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** `work`, or the signal's reason if that comes first: what is waited for may never answer. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | null): Promise<T> {
  if (signal === null) return work;
  signal.throwIfAborted();
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
  });
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
    work.catch(() => {});
  }
}

const NOBODYS = new AbortController().signal;

/** Waits of one caller, one after the other, that a signal puts an end to: it is listened to once for all of them. */
export class Waits {
  #signal: AbortSignal;
  #reject: ((reason: unknown) => void) | null = null;
  readonly #abort = () => this.#reject?.(this.#signal.reason);

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#abort);
  }

  /** `work`, or the signal's reason if that comes first. */
  until(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#signal.aborted) reject(this.#signal.reason);
      this.#reject = reject;
      work.then(resolve, reject);
    });
  }

  end(): void {
    this.#signal.removeEventListener("abort", this.#abort);
    this.#signal = NOBODYS;
    this.#reject = null;
  }
}

/** Waits for a clean-up, but no longer than a turn of the event loop: what hangs goes on behind our back. */
export async function settledSoon(cleanup: Promise<unknown>): Promise<void> {
  const quiet = cleanup.catch(() => {});
  await Promise.race([quiet, turn()]);
}
