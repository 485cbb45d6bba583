// Shared work in which the calling thread hangs back, so that the others do theirs: with as few rows as a case has it would
// have done all of it before they are awake.

import { Job } from "../bindings/ts/pool/job.js";

const claim = Job.prototype.claim;
/** How often a job's calling thread still finds nothing. */
const left = new WeakMap<Job, number>();
let most = 0;

/** Of jobs from now on the calling thread leaves a piece to the others so many times, for a millisecond at most. */
export function leavePieces(times: number): void {
  most = times;
}

Job.prototype.claim = function (this: Job): number {
  const times = left.get(this) ?? most;
  if (times === 0) return claim.call(this);
  left.set(this, times - 1);
  return -1;
};
