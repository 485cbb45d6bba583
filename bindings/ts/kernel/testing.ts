// The builds that tests go through: all, or those that MILLRACE_BUILDS names ("simd", "simd,scalar").

import type { KernelBuild } from "./build.js";

const ALL: readonly KernelBuild[] = ["simd", "scalar", "threads"];
const asked = process.env.MILLRACE_BUILDS?.split(",");

export const BUILDS: readonly KernelBuild[] = asked ? ALL.filter((build) => asked.includes(build)) : ALL;

/**
 * One of those that share their operators' code, for tests of a single operator: "threads" is "simd" with another heap, and
 * goes through whatever has workers.
 */
export const DISTINCT_BUILDS: readonly KernelBuild[] = asked ? BUILDS : ["simd", "scalar"];
