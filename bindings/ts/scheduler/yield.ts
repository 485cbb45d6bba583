// Letting the host breathe: a long run gives the event loop a turn now and then, so that timers, signals
// and other requests are served. Between turns it never waits.

/** Longest stretch of work between two turns. */
const TURN_MS = 12;

declare const setImmediate: ((run: () => void) => void) | undefined;

/** One turn of the event loop: microtasks, timers and messages that are due. */
function turn(): Promise<void> {
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

export class Breather {
  #since = performance.now();

  /** A promise to await when a turn is due; null (nothing to wait for) otherwise. */
  due(): Promise<void> | null {
    if (performance.now() - this.#since < TURN_MS) return null;
    return turn().then(() => {
      this.#since = performance.now();
    });
  }
}
