// A signal that comes while a run waits for anything: after some turns of the event loop and of the promises.

/** Aborts with `reason` after so many turns. */
export async function abortAfter(controller: AbortController, turns: number, reason: Error): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    await (turn % 3 === 0 ? new Promise((resolve) => setImmediate(resolve)) : null);
  }
  controller.abort(reason);
}
