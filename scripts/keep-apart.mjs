// A transform of the kernel's compiler: keeps functions that are seldom called in one place each.
//
// Binaryen puts what is small in the place of its calls, and a few functions that report failures, or manage memory, are
// called from everywhere: their copies take 11 KB of 600, 1.9 of 200 gzipped. They are called once a vector at the most, so
// that calls cost nothing. What runs for each row has to stay where it is.
import binaryen from "assemblyscript/binaryen";

export const SELDOM = [
  "kernel/aggregate/argument/keptValues",
  "kernel/aggregate/sum-integer/largest32",
  "kernel/aggregate/sum-integer/sumIntegerIsTight",
  "kernel/expression/bignum/bigCompare",
  "kernel/expression/bignum/bigMultiplyAdd",
  "kernel/expression/check/operands",
  "kernel/expression/machine/badClear",
  "kernel/expression/machine/ownVector",
  "kernel/expression/machine/validityOf",
  "kernel/expression/machine/validityOfBoth",
  "kernel/expression/program/loadedColumn",
  "kernel/expression/program/programOutputType",
  "kernel/group/direct/directEnd",
  "kernel/group/direct/directGap",
  "kernel/group/direct/directReach",
  "kernel/join/keys/keysSpan",
  "kernel/memory/context/fail",
  "kernel/memory/context/failMemory",
  "kernel/memory/context/refuseConfig",
  "kernel/memory/context/scratchTake",
  "kernel/memory/free-blocks/freeFind",
  "kernel/memory/free-blocks/freePut",
  "kernel/memory/free-blocks/freeTake",
  "kernel/memory/heap/freeLocked",
  "kernel/memory/region/regionBlock",
  "kernel/memory/region/regionCut",
  "kernel/memory/region/regionFree",
  "kernel/operator/aggregate-backlog/backlogRows",
  "kernel/operator/aggregate-changelog/changelogTouch",
  "kernel/operator/aggregate-combine/hasPairs",
  "kernel/operator/aggregate-headroom/aggregateHasRoom",
  "kernel/operator/aggregate-headroom/magnitudeOf",
  "kernel/operator/aggregate-headroom/spared",
  "kernel/operator/aggregate-merge/headerValue",
  "kernel/operator/aggregate-state/distinctAt",
  "kernel/operator/dispatch/isAddress",
  "kernel/operator/dispatch/merging",
  "kernel/operator/mixed-sums/mixedSumsFlush",
  "kernel/operator/narrow-sums/narrowSumsFlush",
  "kernel/operator/narrow-sums/sumsSettle",
  "kernel/operator/narrow-sums/sumsYield",
  "kernel/operator/operator/operatorFree",
  "kernel/operator/tracked-counts/addRows",
  "kernel/operator/tracked-counts/countsSettle",
  "kernel/operator/window-merge/value64",
  "kernel/operator/window-route/newestOfAll",
  "kernel/operator/window-snapshot/append64",
  "kernel/operator/windows/partialSearch",
];

/** Those that builds with SIMD have, and no others. */
export const SELDOM_SIMD = [
  "kernel/aggregate/exact-cut/areWhole",
  "kernel/aggregate/lane-rows/addOne",
  "kernel/operator/byte-keys/byteKeysAreKnown",
  "kernel/operator/narrow-sums/sumOf",
];

export function afterCompile(module) {
  const isThere = (name) => module.getFunction(name) !== 0;
  const names = SELDOM_SIMD.some(isThere) ? [...SELDOM, ...SELDOM_SIMD] : SELDOM;
  for (const name of names) {
    if (!isThere(name)) throw new Error(`the kernel has no function ${name}`);
    binaryen.setPassArgument("no-inline", name);
    module.runPasses(["no-inline"]);
  }
}
