import { expect, test } from "vitest";
import { Kernel } from "../kernel/index.js";
import { type Job, QueryWorkers, WorkerPool } from "../pool/index.js";
import { SharedWork } from "./shared-work.js";

/** Another thread finishes its piece once the calling one has found nothing to claim, and before it sleeps. */
class FinishingWorkers extends QueryWorkers {
  readonly sleeps: { completed: number; told: number }[] = [];

  override check(job: Job): void {
    super.check(job);
    if (!job.isDone(0)) job.done(0);
  }

  override sleep(job: Job, completed: number): void {
    this.sleeps.push({ completed: job.completed, told: completed });
    super.sleep(job, completed);
  }
}

test("the calling thread does not sleep for a piece that is finished just before", async () => {
  const opening = Kernel.open({ build: "threads" });
  const pool = await WorkerPool.open(opening, 1);
  const workers = new FinishingWorkers(pool);
  const work = new SharedWork(await opening, workers, {
    task: { kind: "measure" },
    handles: [],
    ring: 1,
    failure: () => new Error("no piece fails here"),
  });
  work.offer(0);
  expect(work.job.claim()).toBe(0);
  for (const _ of work.finish(() => {}));
  // Told of what was done before, it sees that more is.
  expect(workers.sleeps).toEqual([{ completed: 1, told: 0 }]);
  await pool.close();
});
