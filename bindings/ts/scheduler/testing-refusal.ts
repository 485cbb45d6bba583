// Sorts that find no memory now and then, as if other runs had taken it: for tests with few rows.

import type { Kernel } from "../kernel/index.js";
import { MemoryLimitError } from "../type/error.js";
import { ExternalSort } from "./external-sort.js";

const refusals = new WeakMap<Kernel, () => number>();
const pushes = new WeakMap<ExternalSort, number>();
let isPatched = false;

/** From now on each so-manieth push to a sort of `kernel` whose rows can leave for files finds no memory; 0: none. */
export function refuseSorts(kernel: Kernel, every: () => number): void {
  refusals.set(kernel, every);
  if (isPatched) return;
  isPatched = true;
  const { push } = ExternalSort.prototype;
  ExternalSort.prototype.push = function (...input) {
    const refuse = refusals.get(this.operator.kernel)?.() ?? 0;
    const count = (pushes.get(this) ?? 0) + 1;
    pushes.set(this, count);
    if (refuse > 0 && count % refuse === 0 && this.spillable > 0)
      throw new MemoryLimitError("made to find no memory");
    push.apply(this, input);
  };
}
